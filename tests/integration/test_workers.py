"""Workers that are killed, hang, run out of memory or crash are replaced, and their islands go on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.daemon import Daemon, DaemonError, wait_for

TROUBLED = (Path(__file__).parents[1] / "support" / "troubled.py").read_text()


@pytest.fixture
def daemon(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """Its evaluations may take long, as all things do on a busy machine, but where a test waits for that very end."""
    seconds = str(getattr(request, "param", 60))
    options = ("--evaluation-timeout-seconds", seconds, "--memory-mb", "600", "--batch-size", "50")
    with Daemon(tmp_path, *options, workers=2) as daemon:
        yield daemon


def troubled(daemon: Daemon, evaluations: int = 1500, islands: int = 2, **task: Any) -> str:
    return daemon.submit(
        reference="troubled.py:Troubled",
        source=TROUBLED,
        data={"t": task},
        evaluations=evaluations,
        islands_per_task=islands,
        seed=1,
    )


def test_how_long_generations_take_is_told(daemon: Daemon) -> None:
    name = daemon.submit(reference="onemax", data={"t": {"bits": 256}}, cpu_seconds=30, islands_per_task=2)
    wait_for(lambda: daemon.status()["members"][0]["avg_generation_time"] is not None, "a generation")
    member = daemon.status()["members"][0]
    assert 0 < member["avg_generation_time"] < 5
    assert member["slowness"] == 1.0
    daemon.ask(do="command", verb="cancel", run=name)


def replaced(daemon: Daemon) -> dict[str, int]:
    found: dict[str, int] = daemon.status()["members"][0]["workers_replaced"]
    return found


# The culprit is met by both islands: each convicts it by itself.
@pytest.mark.parametrize(
    ("daemon", "trouble", "cause", "deaths"),
    [
        (3, "hang", "time-out", 1),
        (60, "memory", "memory", 1),
        (60, "segfault", "crashed", 2),
        (60, "exit", "crashed", 2),
    ],
    indirect=["daemon"],
)
def test_a_program_that_kills_its_worker_is_convicted_and_the_run_ends(
    daemon: Daemon, trouble: str, cause: str, deaths: int
) -> None:
    run = troubled(daemon, trouble=trouble, at=[480, 481])
    view = daemon.wait_done(run)
    assert view["state"] == "done"
    assert view["evaluations"] >= 900  # All but the convicted: the space has 1,000 programs.
    counted = replaced(daemon)
    assert set(counted) == {cause}
    assert deaths <= counted[cause] <= 2 * 2 * deaths
    result = daemon.results(run)["t"]
    assert result["program"] == "999"
    assert f"a worker died ({cause})" in result["error"]
    assert f"a worker died ({cause})" in view["note"]
    assert "its program is invalid from now on" in daemon.log.read_text()


def test_a_death_outside_evaluate_takes_another_way(daemon: Daemon) -> None:
    """A hang in `mutate` cannot be blamed on a program; the generation is tried with other random choices."""
    run = troubled(daemon, trouble="exit", at=[930], where="mutate", islands=1)
    assert daemon.wait_done(run)["state"] in {"done", "failed"}
    assert replaced(daemon)["crashed"] >= 1
    assert "no program was being evaluated" in daemon.log.read_text()


def test_a_problem_that_always_kills_its_worker_ends_the_task_with_a_reason(daemon: Daemon) -> None:
    run = troubled(daemon, trouble="exit", at=list(range(1000)), after=30, where="mutate", islands=1)
    view = daemon.wait_done(run)
    assert view["state"] == "failed"
    assert "3 workers died (crashed)" in view["note"]
    # The daemon is fine, and so is the next run.
    assert daemon.wait_done(troubled(daemon))["state"] == "done"


def test_a_killed_worker_is_replaced_and_nothing_reported_is_lost(daemon: Daemon) -> None:
    run = troubled(daemon, evaluations=10**6, cost=0.002, at=[], islands=2)
    wait_for(lambda: daemon.run(run)["evaluations"] > 200, "some evaluations")
    for _ in range(3):
        workers = daemon.status()["workers"]
        before = daemon.run(run)["evaluations"]
        os.kill(workers["0"], signal.SIGKILL)
        wait_for(lambda old=workers: daemon.status()["workers"].get("0") not in {None, old["0"]}, "a new worker")  # type: ignore[misc]
        assert daemon.run(run)["evaluations"] >= before
        wait_for(lambda before=before: daemon.run(run)["evaluations"] > before + 100, "evolution to go on")  # type: ignore[misc]
    assert replaced(daemon) == {"killed": 3}
    zombies = [p for p in psutil.Process(daemon.pid).children() if p.status() == psutil.STATUS_ZOMBIE]
    assert zombies == []


@pytest.mark.parametrize("trouble", [None, "hang"])
def test_killing_the_daemon_ends_its_workers(daemon: Daemon, trouble: str | None) -> None:
    troubled(daemon, evaluations=10**6, cost=0.01, trouble=trouble, at=list(range(1000)), after=5)
    pids = list(daemon.status()["workers"].values())
    assert len(pids) == 2
    daemon.kill()
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids), "the workers to end", 5)


def test_a_stop_gives_up_a_hanging_evaluation_and_is_quick(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "--evaluation-timeout-seconds", "60", workers=1).start()
    troubled(daemon, trouble="hang", at=list(range(1000)), after=5, islands=1)
    pid = daemon.status()["workers"]["0"]
    assert daemon.stop(10) == 0  # within five seconds, also where the machine has half the time for it
    assert not psutil.pid_exists(pid)


IGNORING = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
"""What starts a command with the end of its children ignored, as a server does that wants no zombies."""
ORPHANING = """
import os, signal, sys, time

class Orphaning:
    name, version = "orphaning", "1"

    def __init__(self, task): pass
    def random(self, rng): return rng.randrange(9)
    def mutate(self, genome, rng): return rng.randrange(9)
    def encode(self, genome): return b"%d" % genome
    def decode(self, data): return int(data)

    def evaluate(self, genome):
        if genome == 7 and sys.argv[0].endswith("worker.py"):
            if os.fork() == 0:
                os.setsid()
                time.sleep(20)  # and holds the worker's socket open
            os.kill(os.getpid(), signal.SIGKILL)
        return genome
"""


def test_how_workers_and_trials_end_is_known_though_whoever_started_the_daemon_ignores_it(tmp_path: Path) -> None:
    with Daemon(tmp_path, prefix=(sys.executable, "-c", IGNORING)) as daemon:
        with pytest.raises(DaemonError, match="SIGABRT"):
            daemon.submit(reference="x.py:X", source="import os; os.abort()", evaluations=1)
        run = daemon.submit(reference="x.py:Orphaning", source=ORPHANING, evaluations=20, seed=1)
        wait_for(lambda: daemon.run(run)["evaluations"] > 0, "work that goes on", 60)
        assert set(daemon.status()["members"][0]["workers_replaced"]) == {"killed"}
