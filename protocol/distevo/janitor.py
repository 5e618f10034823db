"""The janitor: clears away what is left over in the store, of boots that are gone and of islands that were handed over,
once nobody can need it any more."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial

from distevo.alarms import NEVER
from distevo.checkpoint import decode_checkpoint
from distevo.errors import CheckpointError
from distevo.events import IslandId, Outcome, StoreAnswer
from distevo.keeper import COVERING_SNAPSHOTS, Keeper, Mark, marks_of
from distevo.names import CHECKPOINTS, MAIL, checkpoint_of, quote, quote_owner
from distevo.outbox import Outbox
from distevo.plan import MemberState, Plan
from distevo.pruning import is_over

LOOK_SECONDS = 600.0
"""How often the coordinator looks for what is left over; what lies there for longer may be, though its owner lives."""


class Janitor:
    """Part of a coordinator's term. It deletes by the plan in force alone, never by one in hand."""

    def __init__(
        self, owner: str, keeper: Keeper, outbox: Outbox, forget_former: Callable[[Container[str]], None]
    ) -> None:
        """`owner`: this very boot, which prunes its own checkpoints by itself. `forget_former` is told of all owners
        that the plan shows or that have left checkpoints."""
        self._owner, self._keeper, self._outbox, self._forget_former = owner, keeper, outbox, forget_former
        self._objects: dict[str, list[Mark]] = {}
        """What checkpoints hold that are left over, by name: those of boots that are gone, and old ones of others."""
        self._there_since: dict[str, float] = {}
        """When each checkpoint of a boot that lives was first seen."""
        self._newest: dict[str, list[str]] = {}
        """By owner that lives, the names of its newest checkpoints, as listed last."""
        self._covering: dict[str, list[Mark]] = {}
        """What some of these hold."""
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
        if not self._objects:
            return
        held: dict[tuple[IslandId, int], list[Mark]] = {}
        for marks in self._covering.values():
            for mark in marks:
                held.setdefault((mark.island, mark.grant), []).append(mark)
        for name, marks in list(self._objects.items()):
            if not any(self._is_needed(mark, held) for mark in marks):
                del self._objects[name]
                self._outbox.delete(name)

    def _boots(self, states: Container[MemberState] = tuple(MemberState)) -> set[str]:
        return {f"{quote(name)}-{member.boot}" for name, member in self._plan.members.items() if member.state in states}

    def _listed(self, known: set[str], answer: StoreAnswer, now: float) -> None:
        """`known`: the boots that the plan showed before."""
        if not self.is_open:
            return
        living, there_since = self._boots({MemberState.ALIVE}), self._there_since
        self._there_since = {}
        numbers: dict[str, list[tuple[int, str]]] = {}
        for name in answer.names:
            at = checkpoint_of(name)
            if at is None:
                continue
            owner, sequence = at
            known.add(owner)
            if owner in living:
                numbers.setdefault(owner, []).append((sequence, name))
                since = self._there_since[name] = there_since.get(name, now)
                # It may hold what is another's now, of whose checkpoints its owner knows nothing.
                is_left_over = now >= since + LOOK_SECONDS
            else:
                is_left_over = True
            if is_left_over and name not in self._objects:
                self._read(name, self._objects)
        for name in self._objects.keys() - set(answer.names):
            del self._objects[name]  # Its owner has deleted it.
        self._newest = {owner: [name for _, name in sorted(of)[-COVERING_SNAPSHOTS:]] for owner, of in numbers.items()}
        newest = {name for names in self._newest.values() for name in names}
        for name in self._covering.keys() - newest:
            del self._covering[name]
        self._look_for_cover()
        self._forget_former(known)

    def _read(self, name: str, into: dict[str, list[Mark]]) -> None:
        """Read what a checkpoint holds, once."""
        if name in self._reading:
            return
        self._reading.add(name)

        def read(answer: StoreAnswer, _now: float) -> None:
            self._reading.discard(name)
            if not self.is_open:
                return
            try:
                if answer.outcome is Outcome.DONE:
                    into[name] = marks_of(decode_checkpoint(answer.data).islands)
                elif into is self._covering:
                    into[name] = []  # Its owner has deleted it.
            except CheckpointError as error:
                if into is self._covering:
                    into[name] = []  # Its owner lives, and has the state: it counts for nothing, and that is all.
                else:
                    # Whoever restores from it says so too; it stays for a person, or a newer distevo, to look at.
                    self._outbox.log("warning", "a checkpoint cannot be read", name=name, reason=str(error))
            self.tidy()
            self._look_for_cover()

        self._outbox.read(name, read)

    def _look_for_cover(self) -> None:
        """See whether others hold by now what is left over of islands of theirs. Each owner knows of its own
        checkpoints only: in a long run with a platform that starts again and again, or with islands that move, all that
        former owners had left would stay, and be listed and read by each new one."""
        if self._reading:
            return  # One at a time, and after all else: they may be large, and nobody waits for them.
        owners = set()
        for marks in self._objects.values():
            for mark in marks:
                place = self._plan.place_of(*mark.island)
                if place is not None and place.owner not in {"", self._owner}:
                    owners.add(quote_owner(place.owner))
        for owner in sorted(owners & self._newest.keys()):
            for name in self._newest[owner]:
                if name not in self._covering:
                    self._read(name, self._covering)
                    return

    def _mail_listed(self, answer: StoreAnswer, now: float) -> None:
        # One that is thought dead may be heard again, and one that is about to join writes already; what they write is
        # read in order. Only mail that has been nobody's for long is left over.
        known = self._boots()
        strange = [name for name in answer.names if name.removeprefix(MAIL).partition("/")[0] not in known]
        self._strange_since = {name: self._strange_since.get(name, now) for name in strange}
        for name, since in self._strange_since.items() if self.is_open else ():
            if now >= since + LOOK_SECONDS:
                self._outbox.delete(name)

    def _is_needed(self, mark: Mark, held: Mapping[tuple[IslandId, int], Sequence[Mark]]) -> bool:
        """`held`: what others' newest checkpoints hold, by island and grant, each of another object."""
        if is_over(self._plan, mark.island, mark.grant):
            return False
        if mark.grant >= self._plan.next_grant:
            return True  # Given by a later plan than the one known here: this may be the deed of one that slept.
        place = self._plan.place_of(*mark.island)
        if place is None or not place.owner:
            return True
        if place.owner == self._owner:
            return not self._keeper.covers(mark, place.grant)
        return sum(own.covers(mark) for own in held.get((mark.island, place.grant), ())) < COVERING_SNAPSHOTS
