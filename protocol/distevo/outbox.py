"""The outbox: instructions on their way out, and who waits for the answers."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

from distevo.events import StoreAnswer
from distevo.instructions import (
    CreateObject,
    DeleteObject,
    Instruction,
    ListObjects,
    Log,
    ReadObject,
    ReplaceObject,
    StoreInstruction,
)

Continuation = Callable[[StoreAnswer, float], None]


class Publish(Protocol):
    """Puts the plan in force, then calls `then`."""

    def __call__(self, then: Callable[[float], None] | None = None) -> None: ...


RETRY_SECONDS = 1.0
"""How long after a store said that it is away it is asked again."""


class Outbox:
    """Collects what one `handle` emits, numbers store operations and resumes whoever asked for them."""

    def __init__(self) -> None:
        self._instructions: list[Instruction] = []
        self._waiting: dict[int, Continuation] = {}
        self._retries: list[tuple[float, int, Callable[[float], None]]] = []
        self._ops = 0

    def take(self) -> list[Instruction]:
        """All instructions since the last call, in order."""
        taken, self._instructions = self._instructions, []
        return taken

    def emit(self, instruction: Instruction) -> None:
        """Add an instruction that is not a store operation."""
        self._instructions.append(instruction)

    def log(self, level: str, message: str, **fields: object) -> None:
        """Add a line for the platform's user."""
        self.emit(Log(level, message, fields))

    def read(self, name: str, then: Continuation) -> None:
        """Read until there is a definite answer: an object, or that there is none."""
        self._until_definite(lambda op: ReadObject(op, name), then)

    def list(self, prefix: str, then: Continuation) -> None:
        """List until there is an answer."""
        self._until_definite(lambda op: ListObjects(op, prefix), then)

    def create(self, name: str, data: bytes, then: Continuation) -> None:
        """Create an object whose name nobody else makes, until it is there: a conflict is our own earlier try."""
        self._until_definite(lambda op: CreateObject(op, name, data), then)

    def delete(self, name: str, then: Continuation) -> None:
        """Delete until it is gone."""
        self._until_definite(lambda op: DeleteObject(op, name), then)

    def swap(self, name: str, data: bytes, token: int | None, then: Continuation) -> None:
        """One attempt at a compare-and-swap; `token` None means that the object must not exist. Never repeated here."""
        op = self._expect(then)
        if token is None:
            self.emit(CreateObject(op, name, data))
        else:
            self.emit(ReplaceObject(op, name, data, token))

    def answered(self, answer: StoreAnswer, now: float) -> None:
        """Resume whoever waits for this answer. An answer that nobody waits for is an error of the shell."""
        self._waiting.pop(answer.op)(answer, now)

    def later(self, when: float, action: Callable[[float], None]) -> None:
        """Run `action` at the first tick at or after `when`."""
        self._ops += 1
        heapq.heappush(self._retries, (when, self._ops, action))

    def tick(self, now: float) -> None:
        """Run what is due."""
        while self._retries and self._retries[0][0] <= now:
            heapq.heappop(self._retries)[2](now)

    def next_deadline(self) -> float | None:
        """When the next delayed action is due."""
        return self._retries[0][0] if self._retries else None

    def _expect(self, then: Continuation) -> int:
        self._ops += 1
        self._waiting[self._ops] = then
        return self._ops

    def _until_definite(self, make: Callable[[int], StoreInstruction], then: Continuation) -> None:
        def resume(answer: StoreAnswer, now: float) -> None:
            if not answer.outcome.is_definite:
                instruction = make(answer.op)
                self.log(
                    "warning",
                    "the store does not answer; asking again",
                    operation=type(instruction).__name__,
                    reason=answer.reason,
                )
                self.later(now + RETRY_SECONDS, lambda _: self.emit(make(self._expect(resume))))
            else:
                then(answer, now)

        self.emit(make(self._expect(resume)))
