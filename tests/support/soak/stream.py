"""A stream of runs, submitted at whatever platform is there."""

from __future__ import annotations

import random
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from distevo.plan import Plan
from tests.support.daemon import DaemonError
from tests.support.soak.platforms import Platforms
from tests.support.soak.timeline import Timeline

OPEN_RUNS = 3
ISLANDS = 3
ANSWER_MS = 45_000
"""Longer than a follower waits for the plan before it answers all the same."""
UNSOLVED = "tests.support.rugged:Rugged"
BITS, COST_US = 256, 500
EVALUATIONS = (4_000, 16_000)


class Stream:
    """Keeps some runs open. Half of them have tasks that end when they are solved, half end with their budget."""

    def __init__(self, platforms: Platforms, rng: random.Random, timeline: Timeline) -> None:
        self._platforms, self._rng, self._timeline = platforms, rng, timeline
        self._executor = ThreadPoolExecutor(1)
        self._submitting: Future[str] | None = None
        self._number = 0
        self._name = ""
        self.confirmed: set[str] = set()
        self.unconfirmed: set[str] = set()
        """Nobody knows of these: they may be there and they may not."""
        self.tasks: dict[str, int] = {}
        """How many tasks each run has."""

    def tick(self, plan: Plan) -> None:
        """Submit another one if there is room. Raises DaemonError for a refusal."""
        self.settle()
        if not self.is_settled:
            return
        open_runs = self.confirmed - {name for name, run in plan.runs.items() if run.state.is_over}
        if len(open_runs) < OPEN_RUNS and (awake := self._platforms.awake):
            self._number += 1
            self._name = f"soak-{self._number:04}"
            at = self._rng.choice(awake)
            self._submitting = self._executor.submit(self._submit, at, self._request())

    @property
    def is_settled(self) -> bool:
        """Whether no submission is under way."""
        return self._submitting is None

    def settle(self) -> None:
        """Take in what became of a submission that has ended. Raises DaemonError for a refusal."""
        if self._submitting is not None and self._submitting.done():
            submitting, self._submitting = self._submitting, None
            self._take(submitting)

    def close(self) -> None:
        """Submit nothing more; wait for what is under way, whatever becomes of it."""
        self._executor.shutdown()

    def _request(self) -> dict[str, Any]:
        rng = self._rng
        tasks = {f"t{number}": {"bits": BITS, "cost_us": COST_US} for number in range(rng.randint(1, 3))}
        self.tasks[self._name] = len(tasks)
        return {
            "reference": rng.choice((UNSOLVED, "onemax")),
            "data": tasks,
            "islands_per_task": ISLANDS,
            "evaluations": rng.randint(*EVALUATIONS),
            "migration": {"interval": 2},
            "seed": rng.randrange(2**32),
            "run": self._name,
        }

    def _submit(self, at: str, request: dict[str, Any]) -> str:
        self._platforms.daemons[at].ask(ANSWER_MS, do="submit", **request)
        return at

    def _take(self, submitting: Future[str]) -> None:
        try:
            at = submitting.result()
        except TimeoutError:
            self.unconfirmed.add(self._name)
            self._timeline.note(f"{self._name} is not confirmed: no answer")
        except DaemonError as error:
            if error.kind not in {"timed_out", "store_unavailable"}:
                raise
            self.unconfirmed.add(self._name)
            self._timeline.note(f"{self._name} is not confirmed: {error}")
        else:
            self.confirmed.add(self._name)
            self._timeline.note(f"{self._name} with {self.tasks[self._name]} tasks is confirmed by {at}")
