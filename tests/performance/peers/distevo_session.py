"""distevo at work, through its commands: one daemon, or several on one store."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from tests.performance.peers.hand_loop import NOT_BEGUN, Stand
from tests.performance.peers.session import Look, Marked, Totals
from tests.performance.peers.work import BATCH, ISLANDS, POPULATION, WORKERS, WORKS
from tests.support.metrics import Scrape

BIN = Path(sys.executable).parent
RUN = "compared"
TASK = "t"


class Platform:
    """A daemon, started by `distevod start`."""

    def __init__(self, folder: Path, id: str, workers: int) -> None:  # noqa: A002
        self.marked = Marked(folder)
        self.state_dir, self.log = folder / id, folder / f"{id}.log"
        self.page = ""
        """Where its metrics are, once that was asked."""
        self.command = [
            str(BIN / "distevod"), "start", "--id", id, "--state-dir", str(self.state_dir),
            "--store", str(folder / "store"), "--workers", str(workers), "--islands-per-platform", str(ISLANDS),
            "--batch-size", str(BATCH), "--listen", "tcp://127.0.0.1:0", "--metrics-port", "0",
        ]  # fmt: skip

    def start(self, wait: bool = True) -> None:
        """Start the daemon; wait until the cluster has taken it in."""
        self.page = ""
        with self.log.open("ab") as log:
            process = self.marked.start([*self.command, *(["--detach"] if wait else [])], log, log)
        if wait and process.wait() != 0:
            raise RuntimeError(f"distevod start failed: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """`distevod stop`."""
        self._run("distevod", "stop")

    def ctl(self, *arguments: str) -> Any:
        """What `distevo-ctl` answers. Raises RuntimeError with what it said when it fails."""
        return orjson.loads(self._run("distevo-ctl", *arguments, "--json"))

    def _run(self, program: str, *arguments: str) -> bytes:
        command = [str(BIN / program), *arguments, "--state-dir", str(self.state_dir)]
        done = subprocess.run(command, env=self.marked.environ, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{program} {arguments[0]}: {(done.stderr or done.stdout).decode()[-2000:]}")
        return done.stdout

    def figures(self) -> Scrape:
        """The metrics page."""
        if not self.page:
            self.page = str(self.ctl("status")["metrics"])
        with urllib.request.urlopen(self.page, timeout=10) as answer:
            return Scrape(answer.read().decode())


class DistevoSession:
    """Platforms with one run of four islands, until all of their processes are killed."""

    def __init__(
        self, folder: Path, work: str, variant: str, platforms: int = 1, notes: str = "", workers: int = WORKERS
    ) -> None:
        self.platforms = [Platform(folder, f"platform-{number}", workers) for number in range(platforms)]
        self.folder, self.work, self.is_own, self.notes = folder, WORKS[work], variant == "own", notes

    def start(self) -> Self:
        """Start the daemons and submit."""
        for platform in self.platforms:
            platform.start()
        self.submit()
        return self

    def submit(self) -> None:
        """Submit the run."""
        reference, tasks = self.work.own if self.is_own else (self.work.reference, str(self.folder / "tasks.json"))
        if not self.is_own:
            task = self.work.task
            if self.notes:
                reference, task = self.work.noted, task | {"notes": self.notes}
            (self.folder / "tasks.json").write_bytes(orjson.dumps({TASK: task}))
        self.platforms[0].ctl(
            "submit", "--problem", reference, "--tasks", tasks, "--islands-per-task", str(ISLANDS),
            "--population-size", str(POPULATION), "--evaluations", str(10**12), "--name", RUN,
        )  # fmt: skip

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for platform in self.platforms:
            platform.marked.kill()

    @property
    def has_ended(self) -> bool:
        """Whether no daemon lives."""
        return not any(platform.marked.processes() for platform in self.platforms)

    def totals(self) -> Totals:
        """As the metrics pages have them, which cost the daemons next to nothing."""
        pages = [platform.figures() for platform in self.platforms]
        names = ("generations_total", "evaluations_total", "duplicates_total")
        return Totals(time.monotonic(), *(int(sum(page.figure(name) for page in pages)) for name in names))

    def look(self) -> Look:
        """How far the islands are, as those platforms that answer have them in hand; how many repeats is not told."""
        stands = [NOT_BEGUN] * ISLANDS
        for platform in self.platforms:
            if not platform.marked.processes():
                continue
            status = platform.ctl("status", "--islands")
            if any(run["state"] == "done" for run in status["runs"]):
                return self._result(platform)
            for island in status["islands"]:
                best = island["best_fitness"]
                stand = Stand(island["generation"], island["evaluations"], 0, best[0] if best else None)
                stands[island["island"]] = max(stand, stands[island["island"]], key=lambda one: one.generation)
        return Look(time.monotonic(), stands)

    def _result(self, platform: Platform) -> Look:
        """Of a run that is over, which islands are all at its end."""
        (task,) = platform.ctl("results", RUN)["tasks"]
        first = Stand(0, task["evaluations"], 0, task["fitness"][0])
        return Look(time.monotonic(), [first] + [NOT_BEGUN] * (ISLANDS - 1))

    def worker_pids(self) -> list[int]:
        """The processes that evolve."""
        living = [platform for platform in self.platforms if platform.marked.processes()]
        return [pid for platform in living for pid in platform.ctl("status")["workers"].values()]
