"""Verdicts: the coordinator has guesses looked at, by itself if it has the problem, else by a member that has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from distevo.alarms import NEVER
from distevo.events import TaskId, Verified
from distevo.messages import Control, ControlVerb, Head
from distevo.run import Run
from distevo.verifier import TakeVerdict, Verifier

ANSWER_SECONDS = 30.0
"""How long a member has for a verdict before another is asked; and this platform, to have a worker for it."""
MAX_ASKED = 3
"""Members that are asked before a guess stands unverified."""


class _Question(msgspec.Struct):
    run: Run
    first_grant: int
    task: str
    genome: bytes
    then: TakeVerdict
    deadline: float
    """When another is asked, if nobody has answered."""
    is_here: bool
    """Whether a worker of this platform looks, or will once there is one."""
    asked: list[str] = []


class Verdicts:
    """Guesses that wait for a verdict."""

    def __init__(
        self,
        verifier: Verifier,
        may_run: Callable[[Run], str | None],
        able: Callable[[str, str], list[str]],
        send: Callable[[str, Head, bytes, float], object],
        first_grant: Callable[[str], int],
    ) -> None:
        """`may_run`: why this platform cannot evaluate programs of a run, or None; `able`: the other members that can
        work on it, those with islands of the task first; `first_grant`: of the run that has a name."""
        self._verifier, self._may_run, self._able, self._send = verifier, may_run, able, send
        self._first_grant = first_grant
        self._questions: dict[tuple[str, str], _Question] = {}

    def verify(self, run: Run, task: str, genome: bytes, then: TakeVerdict, now: float) -> None:
        """Have a guess looked at."""
        is_here = self._may_run(run) is None
        question = _Question(run, self._first_grant(run.name), task, genome, then, now + ANSWER_SECONDS, is_here)
        self._questions[run.name, task] = question
        if is_here:
            self._verifier.look(run, task, genome, partial(self._looked, question))
        else:
            self._ask(question, now)

    def _looked(self, question: _Question, verdict: Verified, now: float) -> None:
        if self._questions.get((verdict.run, verdict.task)) is not question:
            return
        if verdict.is_missing:
            question.is_here = False
            self._ask(question, now)
        else:
            del self._questions[verdict.run, verdict.task]
            question.then(verdict, now)

    def withdraw(self, task: TaskId) -> None:
        """Nobody waits any more for a verdict on this task's guess."""
        self._questions.pop(task, None)

    def heard(self, sender: str, first_grant: int, verdict: Verified, now: float) -> None:
        """A member has looked at a guess of the run that has this first grant."""
        question = self._questions.get((verdict.run, verdict.task))
        if question is None or (question.first_grant, question.genome) != (first_grant, verdict.genome):
            return
        if sender in question.asked:
            del self._questions[verdict.run, verdict.task]
            question.then(verdict, now)

    def tick(self, now: float) -> None:
        """Ask another where there was no answer. Who has it at work will answer: its worker ends, or is ended."""
        for question in [question for question in self._questions.values() if now >= question.deadline]:
            if question.is_here and self._verifier.has_worker(question.run.name, question.task):
                question.deadline = now + ANSWER_SECONDS
            else:
                self._ask(question, now)

    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        if not self._questions:
            return NEVER  # As nearly always, and it is asked after every event.
        return min(question.deadline for question in self._questions.values())

    def forget(self) -> None:
        """The term is over."""
        self._questions.clear()

    def _ask(self, question: _Question, now: float) -> None:
        name = question.run.name
        member = next((m for m in self._able(name, question.task) if m not in question.asked), None)
        question.deadline = now + ANSWER_SECONDS
        if member is None or len(question.asked) >= MAX_ASKED:
            if question.is_here:
                return  # There may be a worker yet.
            del self._questions[name, question.task]
            error = "no platform that has the problem looked at the guess"
            question.then(Verified(name, question.task, question.genome, None, False, None, error), now)
            return
        question.asked.append(member)
        head = Control(verb=ControlVerb.VERIFY, run=name, task=question.task, first_grant=question.first_grant)
        self._send(member, head, question.genome, now)
