"""The janitor: clears away what boots that are gone left in the store, once nobody can need it any more."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import partial

from distevo.alarms import NEVER
from distevo.checkpoint import decode_checkpoint
from distevo.errors import CheckpointError
from distevo.events import Outcome, StoreAnswer
from distevo.keeper import Keeper, Mark, marks_of
from distevo.names import CHECKPOINTS, MAIL, checkpoint_of, quote
from distevo.outbox import Outbox
from distevo.plan import MemberState, Plan
from distevo.pruning import is_over

LOOK_SECONDS = 600.0
"""How often the coordinator looks for what boots that are gone left behind."""


class Janitor:
    """Part of a coordinator's term. It deletes by the plan in force alone, never by one in hand."""

    def __init__(
        self, owner: str, keeper: Keeper, outbox: Outbox, forget_former: Callable[[Container[str]], None]
    ) -> None:
        """`owner`: this very boot, which prunes its own checkpoints by itself. `forget_former` is told of all owners
        that the plan shows or that have left checkpoints."""
        self._owner, self._keeper, self._outbox, self._forget_former = owner, keeper, outbox, forget_former
        self._objects: dict[str, list[Mark]] = {}
        self._reading: set[str] = set()
        self._strange_since: dict[str, float] = {}
        """When each box of mail of an unknown boot was first seen."""
        self._plan = Plan(epoch=0, version=0)
        self._next_look = NEVER
        self.is_open = True

    def begin(self, now: float) -> None:
        """The term has begun."""
        self._next_look = now

    def look_soon(self, now: float) -> None:
        """A member is gone."""
        self._next_look = min(self._next_look, now + LOOK_SECONDS / 20)

    def next_deadline(self) -> float:
        """When it looks next."""
        return self._next_look

    def tick(self, now: float) -> None:
        """Look when it is time."""
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._outbox.list(CHECKPOINTS, partial(self._listed, self._boots()))
            self._outbox.list(MAIL, self._mail_listed)

    def follow(self, plan: Plan) -> None:
        """A plan is in force."""
        self._plan = plan
        self.tidy()

    def tidy(self) -> None:
        """Delete what is not needed any more."""
        for name, marks in list(self._objects.items()):
            if not any(self._is_needed(mark) for mark in marks):
                del self._objects[name]
                self._outbox.delete(name)

    def _boots(self, states: Container[MemberState] = tuple(MemberState)) -> set[str]:
        return {f"{quote(name)}-{member.boot}" for name, member in self._plan.members.items() if member.state in states}

    def _listed(self, known: set[str], answer: StoreAnswer, _now: float) -> None:
        """`known`: the boots that the plan showed before."""
        if not self.is_open:
            return
        living = self._boots({MemberState.ALIVE})
        for name in answer.names:
            at = checkpoint_of(name)
            if at is None:
                continue
            known.add(at[0])
            if at[0] not in living and name not in self._objects and name not in self._reading:
                self._reading.add(name)
                self._outbox.read(name, self._reader(name))
        self._forget_former(known)

    def _reader(self, name: str) -> Callable[[StoreAnswer, float], None]:
        def read(answer: StoreAnswer, _now: float) -> None:
            self._reading.discard(name)
            if answer.outcome is not Outcome.DONE or not self.is_open:
                return
            try:
                self._objects[name] = marks_of(decode_checkpoint(answer.data).islands)
            except CheckpointError as error:
                # Whoever restores from it says so too; it stays for a person, or a newer distevo, to look at.
                self._outbox.log("warning", "a checkpoint cannot be read", name=name, reason=str(error))
            else:
                self.tidy()

        return read

    def _mail_listed(self, answer: StoreAnswer, now: float) -> None:
        # One that is thought dead may be heard again, and one that is about to join writes already; what they write is
        # read in order. Only mail that has been nobody's for long is left over.
        known = self._boots()
        strange = [name for name in answer.names if name.removeprefix(MAIL).partition("/")[0] not in known]
        self._strange_since = {name: self._strange_since.get(name, now) for name in strange}
        for name, since in self._strange_since.items() if self.is_open else ():
            if now >= since + LOOK_SECONDS:
                self._outbox.delete(name)

    def _is_needed(self, mark: Mark) -> bool:
        if is_over(self._plan, mark.island, mark.grant):
            return False
        if mark.grant >= self._plan.next_grant:
            return True  # Given by a later plan than the one known here: this may be the deed of one that slept.
        place = self._plan.place_of(*mark.island)
        return place is None or place.owner != self._owner or not self._keeper.covers(mark, place.grant)
