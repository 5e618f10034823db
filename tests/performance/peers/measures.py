"""What a contender does in a window of time, what memory it takes, and how soon it begins."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.performance.peers.contenders import Contender
from tests.performance.peers.distevo_session import DistevoSession
from tests.performance.peers.session import Marked, Session, Totals
from tests.performance.peers.work import ISLANDS, MIGRATION_INTERVAL, WORKS
from tests.support.daemon import wait_for
from tests.support.formulas import Formulas

WARM_GENERATIONS = 2 * MIGRATION_INTERVAL
"""Of each island, before the window: all have begun, and have exchanged programs."""
PATIENCE, WINDOW_PATIENCE = 120.0, 600.0
LOOK_SECONDS = 0.5
BITS = WORKS["onemax"].task["bits"]
MB = 2**20

AnySession = Session | DistevoSession


def marks(session: AnySession) -> list[Marked]:
    """All processes of a session."""
    return [session.marked] if isinstance(session, Session) else [each.marked for each in session.platforms]


def processes(session: AnySession) -> list[psutil.Process]:
    """Those that live."""
    return [process for marked in marks(session) for process in marked.processes()]


def cpu_seconds(found: list[psutil.Process]) -> float:
    """User and system time of these processes so far."""
    total = 0.0
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def warm(session: AnySession) -> None:
    """Wait until all islands evolve. Raises RuntimeError if the contender ends, TimeoutError if it takes too long."""

    def is_warm() -> bool:
        islands = alive(session).look().islands
        return len(islands) == ISLANDS and min(island.generation for island in islands) >= WARM_GENERATIONS

    wait_for(is_warm, "all islands to be warm", PATIENCE, every=LOOK_SECONDS)


def alive(session: AnySession) -> AnySession:
    """The session. Raises RuntimeError if it has ended, which none does by itself."""
    if session.has_ended:
        raise RuntimeError(f"it ended: {log_of(session)[-2000:]}")
    return session


def log_of(session: AnySession) -> str:
    """What it wrote."""
    logs = [session.log] if isinstance(session, Session) else [each.log for each in session.platforms]
    return "".join(log.read_text() for log in logs if log.exists())


def steady(contender: Contender, work: str, generations: int) -> dict[str, Any]:
    """Rates over so many generations of each island, the same ones for all, and memory at their end.

    It is not a window of time, since what a generation costs depends on how far a search is.
    """
    with tempfile.TemporaryDirectory() as folder, contender.session(Path(folder), work) as session:
        first, _, found = reach(session, WARM_GENERATIONS, [])
        cpu = cpu_seconds(found)
        last, burnt, _ = reach(session, WARM_GENERATIONS + generations, found)
        burnt -= cpu
        elapsed, repeats = last.t - first.t, last.repeats - first.repeats
        children = last.offspring - first.offspring + repeats
        return {
            "offspring_per_s_per_core": round(children / elapsed / contender.cores, 1),
            "offspring_per_cpu_s": round(children / burnt, 1),
            "evaluated_per_s_per_core": round((children - repeats) / elapsed / contender.cores, 1),
            "repeats_percent": round(100 * repeats / children, 1),
            "cores_busy": round(burnt / elapsed, 3),
            "seconds": round(elapsed, 1),
            **memory(session),
        }


def reach(
    session: AnySession, generations: int, found: list[psutil.Process]
) -> tuple[Totals, float, list[psutil.Process]]:
    """Wait until islands have done so many generations in the mean; what they have done then, what CPU time these
    processes have used, and which processes there are.

    It looks seldom: whoever is looked at pays for it, and a daemon whose metrics are scraped ten times a second with a
    twentieth of all that it uses.
    """
    totals: list[Totals] = []

    def is_there() -> bool:
        totals.append(alive(session).totals())
        return totals[-1].generations >= ISLANDS * generations

    wait_for(is_there, f"generation {generations}", WINDOW_PATIENCE, every=LOOK_SECONDS)
    burnt = cpu_seconds(found)
    return totals[-1], burnt, found or processes(session)


def race(contender: Contender, work: str, seconds: float) -> dict[str, Any]:
    """What each one's own operators find within so many seconds from the start of the first process.

    `solved_s`: until it is known that all bits are ones. `error`: of the best formula, the root of the mean squared
    error; distevo's fitness is that error in standard deviations with a price for length, so that this is an upper
    bound of it.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contender.session(Path(folder), work) as session:
        found: dict[str, Any] = {}
        best: list[float] = []
        while "solved_s" not in found and time.monotonic() < begun + seconds:
            time.sleep(LOOK_SECONDS)
            best = [island.best for island in alive(session).look().islands if island.best is not None]
            if work == "onemax" and best and max(best) >= BITS:
                found["solved_s"] = round(time.monotonic() - begun, 2)
        if not best:
            raise RuntimeError(f"nothing in {seconds:g} s")
        if work == "onemax":
            return found | {"ones": max(best)}
        unit = statistics.pstdev(Formulas({}).wanted) if contender.package == "distevo" else 1.0
        return {"error": -max(best) * unit}


def memory(session: AnySession) -> dict[str, Any]:
    """Resident memory: of all processes, and of the median one of those that evolve."""
    rss, pss = {}, 0
    for process in processes(session):
        with contextlib.suppress(psutil.NoSuchProcess):
            info = process.memory_full_info()
            rss[process.pid], pss = info.rss / MB, pss + info.pss
    workers = [rss[pid] for pid in session.worker_pids() if pid in rss]
    return {
        "rss_mb": round(sum(rss.values()), 1),
        "pss_mb": round(pss / MB, 1),
        "worker_rss_mb": round(statistics.median(workers), 1),
        "workers": len(workers),
        "processes": len(rss),
    }


def startup(contender: Contender) -> dict[str, float]:
    """Seconds from the start of the first process to the first evaluation of bit strings.

    Of distevo both: a run that waits in the store, where only `distevod start` is typed; and nothing there yet, where
    `distevo-ctl submit` follows once the daemon answers.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notes = folder / "notes"
        notes.touch()
        begun = time.monotonic()
        with contender.session(folder, "onemax", str(notes)) as session:
            if isinstance(session, Session):
                return {"start_s": first_note(notes, None) - begun}
            submitted = first_note(notes, session) - begun
            (platform,) = session.platforms
            platform.stop()
            notes.write_bytes(b"")
            begun = time.monotonic()
            platform.start(wait=False)
            return {"start_s": first_note(notes, None) - begun, "start_and_submit_s": submitted}


def first_note(notes: Path, session: DistevoSession | None) -> float:
    """When the first evaluation was; of distevo's workers, not of the trial of the problem when it is submitted."""
    wait_for(notes.read_bytes, "the first evaluation", PATIENCE, every=0.005)
    if session is None:
        return float(notes.read_text().split()[0])
    workers = {str(pid) for pid in session.worker_pids()}

    def found() -> list[float]:
        lines = [line.split() for line in notes.read_text().splitlines()[:-1]]
        return [float(t) for t, pid in lines if pid in workers]

    wait_for(found, "a worker's evaluation", PATIENCE)
    return found()[0]
