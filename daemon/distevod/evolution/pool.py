"""The pool: the worker processes of a daemon. It starts them, talks to them, and tells how they died."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import subprocess
from collections.abc import Callable
from functools import reduce

import msgspec

from distevo.checkpoint import IslandSnapshot
from distevo.events import (
    Death,
    Event,
    IslandFailed,
    IslandId,
    IslandReported,
    ProblemMissing,
    Verified,
    WorkerDied,
    WorkerReady,
)
from distevo.instructions import LimitIsland, SkipKeys, StartIsland, StopIsland, TakeMigrants, VerifyProgram
from distevod.evolution.launcher import KILLED_SECONDS, Launcher
from distevod.evolution.page import EVALUATING, IDLE, Page, Reading
from distevod.evolution.spent import Spent
from distevod.evolution.wire import (
    EXIT_MEMORY,
    Failed,
    Finish,
    Frames,
    Garbled,
    Limit,
    Looked,
    Missing,
    Ready,
    Report,
    Skip,
    Start,
    Stop,
    Stopped,
    Take,
    ToWorker,
    Verify,
    decode_from_worker,
    frame,
)
from distevod.logs import fields

LOOK_SECONDS = 0.05
"""How often the workers' pages are looked at, while any of them owes something."""
LATE_SECONDS = 1.0
"""A look that comes so long after the one before says that the daemon was held up itself, and its workers maybe too."""
BUSY_SECONDS = 30.0
"""How long a worker may owe something outside any evaluation without a sign of life: starting, loading, varying."""
AFTER_SECONDS = 0.2
"""How long what a worker said last is waited for once it has ended, if its socket is still open."""
UNREAD_BYTES = 1 << 20
"""When a worker in a long evaluation has left so much unread, keys that it could skip are not worth keeping for it."""

log = logging.getLogger("distevod.workers")


class _Island(msgspec.Struct):
    """One start of an island in a worker, or one verification."""

    id: IslandId
    snapshot: IslandSnapshot | None
    """None for a verification."""
    genome: bytes = b""
    """The program to be verified."""
    is_stopped: bool = False
    """Nothing that it says counts; but the worker may still hang in it."""


class _Process(msgspec.Struct):
    """One worker process."""

    slot: int
    popen: subprocess.Popen[bytes]
    page: Page
    transport: asyncio.Transport | None = None
    islands: dict[int, _Island] = {}
    is_ready: bool = False
    is_timed_out: bool = False
    ended_at: float | None = None
    """When it was seen that it has ended, though its socket has not."""
    last: Reading | None = None
    moved_at: float = 0.0
    """When it last gave a sign of life, or owed none; on the event loop's clock."""
    spent: Spent = msgspec.field(default_factory=Spent)
    """As it last said, and how long it has owed nothing since then."""
    counted_at: float = 0.0
    """Until when that is counted; on the event loop's clock."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended; it is left to be reaped."""
        return os.waitid(os.P_PID, self.popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        """End it at once, with whatever a problem has started in it."""
        if self.popen.returncode is None:  # Else its number may be another's.
            # It may have joined another group. Not by `popen`, which would reap it if it has ended.
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(self.popen.pid, signal.SIGKILL)

    @property
    def owes_nothing(self) -> bool:
        """Whether nobody waits for it: it is there, and was given nothing to do."""
        return self.is_ready and not self.islands

    def count_idle(self, now: float) -> None:
        """Count the time since the last call, in which nothing may have changed of what it owes.

        It says itself how long it was idle, but with its next report only, which may be far.
        """
        if self.owes_nothing:
            self.spent.idle += now - self.counted_at
        self.counted_at = now


class Pool:
    """All workers. Each event goes to `on_event`, called from the event loop."""

    def __init__(
        self,
        launcher: Launcher,
        *,
        batch_size: int,
        generation_seconds: float,
        evaluation_timeout_seconds: float,
        on_event: Callable[[Event], None],
        on_fault: Callable[[BaseException], None],
        platform: str = "",
    ) -> None:
        """The two times are in seconds; all programs name `platform`.

        `on_fault` is told of an error after which workers that hang or have ended are not noticed any more.
        """
        self._launcher, self._batch_size = launcher, batch_size
        self._generation_seconds, self._evaluation_timeout = generation_seconds, evaluation_timeout_seconds
        self._on_event, self._on_fault, self._platform = on_event, on_fault, platform
        self._processes: dict[int, _Process] = {}
        self._numbers = itertools.count(1)
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = 0.0
        self._is_owed = asyncio.Event()
        """Set as soon as some worker owes something, if nobody looks at them."""
        self._is_finishing = False
        self._spent_by_the_gone = Spent()
        self._all_gone = asyncio.Event()

    def pids(self) -> dict[int, int]:
        """Process id of the worker in each slot."""
        return {slot: process.popen.pid for slot, process in sorted(self._processes.items())}

    @property
    def is_at_work(self) -> bool:
        """Whether some worker was given something to do."""
        return any(process.islands for process in self._processes.values())

    def spent(self) -> Spent:
        """What the time of all workers went into, those that are gone too, as they last said; idle until now."""
        now = asyncio.get_running_loop().time()
        for process in self._processes.values():
            process.count_idle(now)
        return reduce(Spent.plus, (process.spent for process in self._processes.values()), self._spent_by_the_gone)

    def launch(self, slot: int) -> None:
        """Start a worker process for a slot; one that cannot be started counts as one that died at once."""
        loop = asyncio.get_running_loop()
        try:
            popen, ours, page = self._launcher.launch()
        except OSError as error:
            log.error("a worker cannot be started", extra=fields(slot=slot, reason=str(error)))
            loop.call_soon(self._on_event, WorkerDied(slot, Death.CRASHED, None, None))
            return
        self._processes[slot] = process = _Process(slot, popen, page, moved_at=loop.time())
        self._is_owed.set()
        connecting = loop.create_task(loop.create_unix_connection(lambda: _Link(self, process), sock=ours))
        connecting.add_done_callback(lambda task: task.result())
        if self._looking is None:
            self._looking = loop.create_task(self._look())
            self._looking.add_done_callback(self._looked)

    # Orders for a worker that is gone come to nothing: that it died is on its way to whoever gave them.

    def start_island(self, order: StartIsland) -> None:
        """Carry out `StartIsland`."""
        process = self._processes.get(order.slot)
        if process is None:
            return
        number = self._give(process, _Island(order.island, order.snapshot))
        self._send(
            process,
            Start(
                number=number,
                problem=order.problem,
                data=order.task,
                islands=order.islands,
                population_size=order.population_size,
                batch_size=self._batch_size,
                generation_seconds=self._generation_seconds,
                attempt=order.attempt,
                restart_after=order.restart_after,
                platform=self._platform,
                budget=order.budget,
                snapshot=order.snapshot,
                seeds=order.seeds,
            ),
        )

    def limit_island(self, order: LimitIsland) -> None:
        """Carry out `LimitIsland`."""
        for process, number in self._starts_of(order.slot, order.island):
            self._send(process, Limit(number, order.budget))

    def stop_island(self, order: StopIsland) -> None:
        """Carry out `StopIsland`. Reports that are on their way no longer count."""
        for process, number in self._starts_of(order.slot, order.island):
            process.islands[number].is_stopped = True
            self._send(process, Stop(number))

    def take_migrants(self, order: TakeMigrants) -> None:
        """Carry out `TakeMigrants`. For an island that has just ended it comes to nothing."""
        for process, number in self._starts_of(order.slot, order.island):
            self._send(process, Take(number, order.number, order.block))

    def skip_keys(self, order: SkipKeys) -> None:
        """Carry out `SkipKeys`, or not: it only saves evaluations."""
        for process, number in self._starts_of(order.slot, order.island):
            if process.transport is not None and process.transport.get_write_buffer_size() < UNREAD_BYTES:
                self._send(process, Skip(number, order.keys))

    def verify(self, order: VerifyProgram) -> None:
        """Carry out `VerifyProgram`."""
        process = self._processes.get(order.slot)
        if process is None:
            return
        number = self._give(process, _Island(IslandId(order.run, order.task, 0), None, order.genome))
        self._send(process, Verify(number, order.problem, order.data, order.genome))

    async def finish(self, grace: float) -> None:
        """Let all workers end their generation and go; kill those that have not after `grace` seconds. One that does
        not even end then is left to the kernel: it asks something of a disk or a file server that does not answer."""
        self._is_finishing = True
        for process in self._processes.values():
            self._send(process, Finish())
        try:
            async with asyncio.timeout(grace):
                await self._gone()
        except TimeoutError:
            self.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KILLED_SECONDS):
                    await self._gone()
        if self._looking is not None:
            self._looking.cancel()

    def kill(self) -> None:
        """End all workers at once."""
        for process in self._processes.values():
            process.kill()

    async def _gone(self) -> None:
        while self._processes:
            self._all_gone.clear()
            await self._all_gone.wait()

    def _give(self, process: _Process, island: _Island) -> int:
        """The number of one more start in this worker."""
        process.count_idle(asyncio.get_running_loop().time())
        number = next(self._numbers)
        process.islands[number] = island
        return number

    def _starts_of(self, slot: int, island: IslandId) -> list[tuple[_Process, int]]:
        """The start of this island that the slot's worker goes by, with the worker; none if it has none."""
        process = self._processes.get(slot)
        if process is None:
            return []
        return [
            (process, number)
            for number, known in process.islands.items()
            if known.id == island and known.snapshot is not None and not known.is_stopped
        ]

    def _send(self, process: _Process, message: ToWorker) -> None:
        if process.transport is not None:
            process.transport.write(frame(message))
            self._is_owed.set()

    # --- what workers do -------------------------------------------------------------------------

    def heard(self, process: _Process, body: bytes) -> None:
        """A worker has said something."""
        message = decode_from_worker(body)
        slot, now = process.slot, asyncio.get_running_loop().time()
        process.count_idle(now)
        if isinstance(message, Report):
            # Sums never fall, even if it tidied up for a while before it was idle.
            message.spent.idle = max(message.spent.idle, process.spent.idle)
            process.spent = message.spent
        if isinstance(message, Ready):
            process.is_ready, process.moved_at = True, now
            self._on_event(WorkerReady(slot, message.yardstick))
            return
        if isinstance(message, Stopped):
            process.islands.pop(message.number, None)
            return
        known = process.islands.get(message.number)
        if known is None or known.is_stopped:
            return
        match message:
            case Report():
                assert known.snapshot is not None
                known.snapshot = msgspec.structs.replace(
                    known.snapshot,
                    generation=message.generation,
                    cursor=message.cursor,
                    optimizer=message.optimizer,
                    counters=message.counters,
                    population=known.snapshot.population if message.population is None else message.population,
                )
                if message.is_fit or message.is_spent:
                    del process.islands[message.number]
                self._on_event(
                    IslandReported(
                        slot=slot,
                        island=known.id,
                        snapshot=known.snapshot,
                        fit=message.is_fit,
                        is_spent=message.is_spent,
                        warning=message.warning,
                        taken=message.taken,
                        evaluated=message.evaluated,
                    )
                )
            case Failed():
                del process.islands[message.number]
                self._on_event(IslandFailed(slot, known.id, message.error))
            case Missing():
                del process.islands[message.number]
                self._on_event(ProblemMissing(slot, known.id, message.error))
            case Looked():
                del process.islands[message.number]
                self._on_event(
                    Verified(
                        run=known.id.run,
                        task=known.id.task,
                        genome=known.genome,
                        fitness=message.fitness,
                        fit=message.is_fit,
                        solved=message.is_solved,
                        error=message.error,
                        is_missing=message.is_missing,
                    )
                )

    def lost(self, process: _Process) -> None:
        """A worker's socket has closed: it is gone, or as good as gone."""
        process.kill()
        status = process.popen.wait()
        reading = process.page.read()
        process.page.close()
        del self._processes[process.slot]
        process.count_idle(asyncio.get_running_loop().time())
        self._spent_by_the_gone = self._spent_by_the_gone.plus(process.spent)
        if not self._processes:
            self._all_gone.set()
        if self._is_finishing:
            return
        known = process.islands.get(reading.island) if reading.state != IDLE else None
        self._on_event(
            WorkerDied(
                process.slot,
                _cause(status, process.is_timed_out),
                known.id if known else None,
                reading.genome if known else None,
            )
        )

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._is_finishing and all(process.owes_nothing for process in self._processes.values()):
                self._is_owed.clear()
                await self._is_owed.wait()
            await asyncio.sleep(LOOK_SECONDS)
            self.look(loop.time())

    def _looked(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fault(error)

    def look(self, now: float) -> None:
        """Kill the workers that have not moved for too long. `now` is in seconds, on the event loop's clock."""
        is_late = now - self._looked_at > LATE_SECONDS
        self._looked_at = now
        for process in self._processes.values():
            if is_late:
                process.moved_at = now
            self._look_at(process, now)

    def _look_at(self, process: _Process, now: float) -> None:
        if process.is_over:
            self._look_after(process, now)
            return
        reading = process.page.read()
        if process.owes_nothing or reading != process.last:
            process.last, process.moved_at = reading, now
            return
        limit = self._evaluation_timeout
        if reading.state != EVALUATING:
            limit = max(limit, BUSY_SECONDS)
        if now - process.moved_at > limit and not process.is_timed_out:
            process.is_timed_out = True
            process.kill()

    def _look_after(self, process: _Process, now: float) -> None:
        """It has ended, and its socket not: what a problem has started in it may hold it open for ever."""
        if process.ended_at is None:
            process.ended_at = now
            process.kill()
        elif now - process.ended_at > AFTER_SECONDS and process.transport is not None:
            process.transport.abort()


class _Link(asyncio.Protocol):
    """The daemon's end of a worker's socket."""

    def __init__(self, pool: Pool, process: _Process) -> None:
        self._pool, self._process = pool, process
        self._frames = Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._process.transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                self._pool.heard(self._process, body)
        except (Garbled, msgspec.MsgspecError) as error:
            # A problem has written to the socket: nothing that comes after it means anything.
            log.error("a worker garbles what it says", extra=fields(slot=self._process.slot, reason=str(error)))
            if self._process.transport is not None:
                self._process.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.lost(self._process)


def _cause(status: int, is_timed_out: bool) -> Death:
    if is_timed_out:
        return Death.TIME_OUT
    if status == EXIT_MEMORY:
        return Death.MEMORY
    return Death.KILLED if status == -signal.SIGKILL else Death.CRASHED
