"""`distevod` that writes down how long each of its migrations takes, and changes nothing else.

    python -m tests.support.timed_daemon FILE start ...

Each batch of emigrants that is acknowledged over a link is a line in FILE, as JSON: `reported_ms`, from when the
daemon takes in the worker's report of the generation to when it has taken in the acknowledgement; `sent_ms`, the same
from when it hands the batch to the transport; the number of bytes, and the programs that were `accepted` and `known`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson

from distevo.events import Event, IslandReported, Received
from distevo.instructions import Instruction, Send
from distevo.messages import Migrants, MigrantsAck
from distevo_ctl.daemon import main
from distevod import runtime
from tests.support.daemon import Daemon

Batch = tuple[str, str, int, int, int]


class TimedDaemon(Daemon):
    """Such a daemon as a process. What it writes down is `timings` in its folder."""

    @property
    def timings(self) -> Path:
        return self.folder / "timings"

    @property
    def command(self) -> list[str]:
        module = "distevo_ctl.daemon"
        return [
            part
            for word in super().command
            for part in (("tests.support.timed_daemon", str(self.timings)) if word == module else (word,))
        ]


class TimedRuntime(runtime.Runtime):
    """Looks at the clock where events come in and messages go out."""

    _file = Path()
    _reported: float | None = None
    """When the event that is being handled came in, if it is a worker's report."""

    def feed(self, event: Event) -> None:
        begun = time.perf_counter()
        self._reported = begun if isinstance(event, IslandReported) else None
        super().feed(event)
        self._reported = None
        if isinstance(event, Received) and isinstance(event.head, MigrantsAck):
            self._acknowledged(event.head, time.perf_counter())

    def _do(self, instruction: Instruction) -> None:
        # A batch that is sent again, for whatever other reason, is none of these.
        if isinstance(instruction, Send) and isinstance(instruction.head, Migrants) and self._reported is not None:
            size = len(instruction.payload)
            self._sent()[batch_of(instruction.head)] = self._reported, time.perf_counter(), size
        super()._do(instruction)

    def _sent(self) -> dict[Batch, tuple[float, float, int]]:
        found: dict[Batch, tuple[float, float, int]] = self.__dict__.setdefault("_timed", {})
        return found

    def _acknowledged(self, ack: MigrantsAck, now: float) -> None:
        found = self._sent().pop(batch_of(ack), None)
        if found is None or ack.refused is not None:
            return
        reported, sent, size = found
        line = {
            "reported_ms": 1000 * (now - reported),
            "sent_ms": 1000 * (now - sent),
            "bytes": size,
            "accepted": ack.accepted,
            "known": ack.known,
        }
        with self._file.open("ab") as file:
            file.write(orjson.dumps(line) + b"\n")


def batch_of(head: Migrants | MigrantsAck) -> Batch:
    """Which batch this is, or is about."""
    return head.run, head.task, head.source, head.target, head.number


if __name__ == "__main__":
    TimedRuntime._file = Path(sys.argv.pop(1))
    runtime.Runtime = TimedRuntime  # type: ignore[misc]  # where the daemon takes it from
    main(prog_name="distevod")
