"""The outbox: instructions on their way out, and who waits for the answers."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol, Self

import msgspec

from distevo.alarms import NEVER
from distevo.checkpoint import Checkpoint
from distevo.events import Outcome, ResultEncoded, ResultUnencodable, StoreAnswer
from distevo.instructions import (
    CreateObject,
    DeleteObject,
    EncodeResult,
    Instruction,
    ListObjects,
    Log,
    ReadObject,
    ReplaceObject,
    StoreInstruction,
)
from distevo.result import Result
from distevo.soundness import is_whole

Continuation = Callable[[StoreAnswer, float], None]
Encoding = Callable[[ResultEncoded | ResultUnencodable, float], None]
Wanted = Callable[[], bool]
"""Whether what was asked of the store is still of any use; if not, it is tried no more."""


def _always() -> bool:
    return True


class Publish(Protocol):
    """Puts the plan in force, then calls `then`."""

    def __call__(self, then: Callable[[float], None] | None = None) -> None: ...


RETRY_SECONDS = 1.0
"""How long after a store said that it is away it is asked again; twice as long after each further time."""
SILENCE_SECONDS = 20.0
"""A store that has said nothing to what it was asked for so long is in trouble."""
LONGEST_RETRY_SECONDS = 30.0
"""It is never left alone for longer."""
DAMAGED_READS = 4
"""How often an object is read at once whose bytes are not those that were written: the way may have damaged them."""
AT_ONCE = 8
"""So many of the oldest that are asked count as under way; what else is asked waits for its turn, with any store."""


def next_wait(wait: float) -> float:
    """Seconds until the next try, after one that came `wait` seconds after the one before; 0 for the first try."""
    return min(max(2 * wait, RETRY_SECONDS), LONGEST_RETRY_SECONDS)


class Trouble(NamedTuple):
    """What is asked of the store does not succeed."""

    since: float
    reason: str
    """Of the latest try."""
    latest: float
    """When that failed."""

    @classmethod
    def after(cls, before: Trouble | None, reason: str, now: float) -> Self:
        """One more try has failed."""
        return cls(now if before is None else before.since, reason, now)


def together(*troubles: Trouble | None) -> Trouble | None:
    """Several as one, which began with the first of them. Its reason is that of the latest try: the last swap may have
    failed long ago, for another reason than all that was asked since."""
    some = [trouble for trouble in troubles if trouble is not None]
    if not some:
        return None
    return max(some, key=lambda trouble: trouble.latest)._replace(since=min(trouble.since for trouble in some))


class _Request(msgspec.Struct):
    """A store operation that is repeated until it has a definite answer."""

    make: Callable[[int], StoreInstruction]
    then: Continuation
    is_wanted: Wanted
    wait: float = 0.0
    """Seconds between its last try and the next; 0 while it has not failed."""


class _Resting(NamedTuple):
    """A request between two tries."""

    due: float
    order: int
    soonest: float
    """When it may be tried if the store is seen to answer."""
    request: _Request


class Outbox:
    """Collects what one `handle` emits, numbers store operations and resumes whoever asked for them."""

    def __init__(self) -> None:
        self._instructions: list[Instruction] = []
        self.now = 0.0
        """When what is being asked is asked; kept by the node."""
        self._waiting: dict[int, Continuation] = {}
        self._asked: dict[int, float] = {}
        """When each of these was asked or, of many, came to its turn; the oldest first."""
        self._encoding: dict[int, Encoding] = {}
        self._delayed: list[tuple[float, int, Callable[[float], None]]] = []
        self._resting: list[_Resting] = []
        self._is_hastened = True
        """Whether all that rest have been made due as soon as may be."""
        self._deleting: set[str] = set()
        """What a delete is on its way of."""
        self._failing = 0
        """Requests that have failed and not been answered yet."""
        self._ops = 0
        self.failing_since: float | None = None
        """Since when the store has not answered; None while it does."""
        self._trouble: Trouble | None = None
        """While some request fails."""
        self._swap_trouble: Trouble | None = None
        """While the last swap has failed."""
        self.answers_again: Callable[[float], None] = lambda _now: None
        """Told when the store answers, after it did not."""

    def trouble(self, now: float) -> Trouble | None:
        """What does not succeed, be it for one kind of request: the store may refuse writes for long while it answers
        reads. So may one that says nothing at all, as a file server that is dead."""
        asked = next(iter(self._asked.values()), now)
        is_silent = now - asked > SILENCE_SECONDS
        silence = Trouble(asked, "it has not answered since", asked) if is_silent else None
        return together(self._trouble, self._swap_trouble, silence)

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

    def read(self, name: str, then: Continuation, is_wanted: Wanted = _always) -> None:
        """Read until there is a definite answer: an object, or that there is none.

        Damaged bytes are given to `then` only if they were damaged `DAMAGED_READS` times.
        """
        self._read(name, then, is_wanted, DAMAGED_READS)

    def _read(self, name: str, then: Continuation, is_wanted: Wanted, reads: int) -> None:
        def arrived(answer: StoreAnswer, now: float) -> None:
            if reads > 1 and answer.outcome is Outcome.DONE and not is_whole(name, answer.data):
                self.log("warning", "an object arrived damaged; reading it again", object=name)
                self._read(name, then, is_wanted, reads - 1)
            else:
                then(answer, now)

        self._until_definite(lambda op: ReadObject(op, name), arrived, is_wanted)

    def list(self, prefix: str, then: Continuation, is_wanted: Wanted = _always) -> None:
        """List until there is an answer."""
        self._until_definite(lambda op: ListObjects(op, prefix), then, is_wanted)

    def create(self, name: str, data: bytes, then: Continuation, is_wanted: Wanted = _always) -> None:
        """Create an object whose name nobody else makes, until it is there: a conflict is our own earlier try."""
        self._until_definite(lambda op: CreateObject(op, name, data), then, is_wanted)

    def encode(self, result: Result, states: Checkpoint, then: Encoding) -> None:
        """Have a result encoded, which takes long where the states are large."""
        self._ops += 1
        self._encoding[self._ops] = then
        self.emit(EncodeResult(self._ops, result, states))

    def encoded(self, event: ResultEncoded | ResultUnencodable, now: float) -> None:
        """Resume whoever has a result encoded."""
        self._encoding.pop(event.number)(event, now)

    def delete(self, name: str) -> None:
        """Delete until it is gone, once at a time for each name: a store may refuse deletes for ever."""
        if name in self._deleting:
            return

        def gone(_answer: StoreAnswer, _now: float) -> None:
            self._deleting.remove(name)

        self._deleting.add(name)
        self._until_definite(lambda op: DeleteObject(op, name), gone)

    def swap(self, name: str, data: bytes, token: int | None, then: Continuation) -> None:
        """One attempt at a compare-and-swap; `token` None means that the object must not exist. Never repeated here."""

        def swapped(answer: StoreAnswer, now: float) -> None:
            is_definite = answer.outcome.is_definite
            self._swap_trouble = None if is_definite else Trouble.after(self._swap_trouble, answer.reason, now)
            then(answer, now)

        op = self._expect(swapped)
        if token is None:
            self.emit(CreateObject(op, name, data))
        else:
            self.emit(ReplaceObject(op, name, data, token))

    def swap_settled(self) -> None:
        """What became of the last swap is known."""
        self._swap_trouble = None

    def answered(self, answer: StoreAnswer, now: float) -> None:
        """Resume whoever waits for this answer. An answer that nobody waits for is an error of the shell."""
        if answer.outcome.is_definite:
            self.failing_since = None
            self._hasten()
        del self._asked[answer.op]
        if len(self._asked) >= AT_ONCE:
            self._asked[next(islice(self._asked, AT_ONCE - 1, None))] = now
        self._waiting.pop(answer.op)(answer, now)

    def later(self, when: float, action: Callable[[float], None]) -> None:
        """Run `action` at the first tick at or after `when`."""
        self._ops += 1
        heapq.heappush(self._delayed, (when, self._ops, action))

    def tick(self, now: float) -> None:
        """Run what is due."""
        while self._resting and self._resting[0].due <= now:
            self._ask(heapq.heappop(self._resting).request)
        while self._delayed and self._delayed[0][0] <= now:
            heapq.heappop(self._delayed)[2](now)

    def next_deadline(self) -> float:
        """When the next delayed action or try is due."""
        delayed = self._delayed[0][0] if self._delayed else NEVER
        return min(self._resting[0].due, delayed) if self._resting else delayed

    def _expect(self, then: Continuation) -> int:
        self._ops += 1
        self._waiting[self._ops] = then
        self._asked[self._ops] = self.now
        return self._ops

    def _until_definite(
        self, make: Callable[[int], StoreInstruction], then: Continuation, is_wanted: Wanted = _always
    ) -> None:
        self._ask(_Request(make, then, is_wanted))

    def _ask(self, request: _Request) -> None:
        if not request.is_wanted():
            self._fails_no_more(request)
            return
        self.emit(request.make(self._expect(partial(self._resume, request))))

    def _resume(self, request: _Request, answer: StoreAnswer, now: float) -> None:
        if not answer.outcome.is_definite:
            self._rest(request, answer, now)
            return
        if self._fails_no_more(request):
            self.log("info", "the store answers again")
            self.answers_again(now)
        request.then(answer, now)

    def _fails_no_more(self, request: _Request) -> bool:
        """Whether it was the last of those that did."""
        if not request.wait:
            return False
        self._failing -= 1
        if self._failing:
            return False
        self._trouble = None
        return True

    def _rest(self, request: _Request, answer: StoreAnswer, now: float) -> None:
        if not request.wait:
            self._failing += 1
            if self._failing == 1:
                # Once for all that fail: one a try would fill the user's disk while the store is away.
                operation = type(request.make(answer.op)).__name__
                message = "the store does not answer; asking again until it does"
                self.log("warning", message, operation=operation, reason=answer.reason)
        if self.failing_since is None:
            self.failing_since = now
        self._trouble = Trouble.after(self._trouble, answer.reason, now)
        request.wait = next_wait(request.wait)
        self._ops += 1
        heapq.heappush(self._resting, _Resting(now + request.wait, self._ops, now + RETRY_SECONDS, request))
        self._is_hastened = False

    def _hasten(self) -> None:
        """The store answers: what rests need not wait longer. One that has just failed still waits its first second,
        since a store may refuse writes for long while it answers reads."""
        if not self._is_hastened:
            self._resting = [rest._replace(due=min(rest.due, rest.soonest)) for rest in self._resting]
            heapq.heapify(self._resting)
            self._is_hastened = True
