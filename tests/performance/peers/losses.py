"""What SIGKILL of a worker, a platform or everything loses, by experiment, in the middle of bit strings."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.performance.peers.contenders import Contender
from tests.performance.peers.measures import AnySession, log_of, warm
from tests.performance.peers.pairs import COORDINATING, OTHER, pair_of
from tests.performance.peers.session import Session
from tests.performance.peers.work import MIGRATION_INTERVAL
from tests.support.daemon import wait_for

LOOK_SECONDS = 0.1
LEAST_RESTART_PATIENCE = 120.0
"""Starting anew takes a while, and nothing but that is waited for."""
WORK = "onemax"
WENT_ON, BEGAN_ANEW, STANDS_STILL = "went on", "began anew", "stands still"


def losses(contender: Contender, patience: float) -> dict[str, dict[str, Any] | None]:
    """All experiments with one of them; None where it cannot have what would be killed.

    `worker`: one of the processes that evolve. `platform`: all processes of the second of two platforms. `coordinator`:
    all of the first, on which the peer's scheduler and script are, or distevo's coordinator; of those that are on one
    platform only, this is all. `restart`: everything, and then the same command again.
    """
    with tempfile.TemporaryDirectory() as folder, contender.session(Path(folder), WORK) as session:
        warm(session)
        found: dict[str, dict[str, Any] | None] = {
            "worker": after_kill(session, lambda: psutil.Process(session.worker_pids()[0]).kill(), patience)
        }
    found["platform"] = with_two(contender, OTHER, patience)
    found["coordinator"] = with_two(contender, COORDINATING, patience)
    found["restart"] = after_restart(contender, patience)
    return found


def with_two(contender: Contender, victim: int, patience: float) -> dict[str, Any] | None:
    """One of two platforms is killed."""
    with tempfile.TemporaryDirectory() as folder:
        pair = pair_of(contender, Path(folder), WORK)
        if pair is None:
            return None
        with pair:
            warm(pair.session)
            return after_kill(pair.session, lambda: pair.kill(victim), patience)


def after_restart(contender: Contender, patience: float) -> dict[str, Any]:
    """Everything is killed, and the same command typed again."""
    with tempfile.TemporaryDirectory() as name, contender.session(Path(name), WORK) as session:
        warm(session)

        def again() -> None:
            if isinstance(session, Session):
                session.kill()
                session.start()
            else:
                session.platforms[0].marked.kill()
                session.platforms[0].start()

        return after_kill(session, again, max(patience, LEAST_RESTART_PATIENCE))


def after_kill(session: AnySession, kill: Callable[[], None], patience: float) -> dict[str, Any]:
    """Kill something, then see for how long which islands go on, and from where.

    An island went on when it is seen in other generations than before, and what it lost is what it is then seen below
    where it was. It began anew when it is seen as far as a first report has it.
    """
    before = session.look()
    killed_at = time.monotonic()
    kill()
    changed: list[list[tuple[float, int]]] = [[] for _ in before.islands]
    """When each island was seen at which generation, if it was another than before."""

    def is_over() -> bool:
        look = session.look()
        if look.t > killed_at and look.islands:
            for seen, now, then in zip(changed, look.islands, before.islands, strict=True):
                if now.generation not in {0, then.generation}:
                    seen.append((look.t - killed_at, now.generation))
        fates = [fate(seen, then.generation, patience) for seen, then in zip(changed, before.islands, strict=True)]
        return session.has_ended or all(one["outcome"] != STANDS_STILL for one in fates)

    # What does not go on is what is to be told.
    with contextlib.suppress(TimeoutError):
        wait_for(is_over, "all islands to go on", patience, every=LOOK_SECONDS)
    has_ended = session.has_ended
    return {
        "generations_before": [island.generation for island in before.islands],
        "islands": [fate(seen, then.generation, patience) for seen, then in zip(changed, before.islands, strict=True)],
        "has_ended": has_ended,
        "last_words": log_of(session).strip().splitlines()[-1:] if has_ended else [],
    }


def fate(seen: list[tuple[float, int]], generation: int, patience: float) -> dict[str, Any]:
    """What became of an island that was in this generation. A single report may have been on its way already."""
    numbers = {number for _, number in seen}
    if numbers and min(numbers) <= MIGRATION_INTERVAL < generation:
        return {"outcome": BEGAN_ANEW, "seconds": round(seen[0][0], 2), "lost": generation}
    if len(numbers) < 2:
        return {"outcome": STANDS_STILL, "seconds": patience, "lost": None}
    return {"outcome": WENT_ON, "seconds": round(seen[0][0], 2), "lost": max(0, generation - min(numbers))}
