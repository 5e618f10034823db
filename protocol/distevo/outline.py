"""The outline of a plan in force: what the members' parts ask of it, worked out once and not by each of them.

A plan has up to thousands of islands and members, of which each part of a member is concerned with a few.
"""

from __future__ import annotations

from functools import lru_cache

from distevo.contact import CANDIDATES, FAR, Contact, with_relays
from distevo.events import IslandId
from distevo.plan import IslandPlace, MemberPlan, MemberState, Plan, decode_plan
from distevo.topology import partners

_KEPT = 4
"""Plans of which the outline is kept: whoever swaps, reads or is told one of them again need not decode it again."""


def precedence(name: str, member: MemberPlan | None) -> tuple[bool, int, int, str]:
    """The order of candidates: who is to leave comes last; then by configured priority, then who has lived longest."""
    if member is None:
        return False, 2**31, 0, name
    return member.is_draining, member.priority, member.joined, name


def candidates(plan: Plan, holder: str) -> dict[str, int]:
    """Rank of each member that may coordinate: 0 for who does, then the others in the order in which they would."""
    living = [(name, member) for name, member in plan.members.items() if member.state is MemberState.ALIVE]
    ranked = sorted(living, key=lambda entry: (entry[0] != holder, precedence(*entry)))
    return {name: rank for rank, (name, _) in enumerate(ranked)}


class Outline:
    """A plan, to be read and never changed, and the islands of its open tasks by who has them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._owned: dict[str, dict[IslandId, IslandPlace]] = {}
        self._given_away: dict[str, list[IslandId]] = {}
        self._contacts: dict[str, dict[str, Contact]] = {}
        for name, run in plan.in_turn():
            for task, entry in run.in_turn():
                if not entry.is_open_in(run.state):
                    continue
                for index, place in enumerate(entry.islands):
                    island = IslandId(name, task, index)
                    self._owned.setdefault(place.owner, {})[island] = place
                    if place.former and place.former[-1] != place.owner:
                        self._given_away.setdefault(place.former[-1], []).append(island)

    def owned(self, owner: str) -> dict[IslandId, IslandPlace]:
        """The islands that an owner has, in the order in which they are to be begun; a new dictionary."""
        return dict(self._owned.get(owner, ()))

    def given_away(self, owner: str) -> list[IslandId]:
        """The islands that an owner had last, and that another, or nobody for now, has."""
        return self._given_away.get(owner, [])

    def partners(self, owner: str) -> set[str]:
        """The other owners of islands that exchange programs with those of this one. Each finds the other, since both
        are told by the plan."""
        found: set[str] = set()
        for name, task, island in self._owned.get(owner, ()):
            run = self.plan.runs[name]
            places = run.tasks[task].islands
            near = partners(run.migration, len(places), f"{name}/{task}")[island]
            found.update(places[index].owner for index in near)
        return found - {owner, ""}

    def contacts(self, holder: str) -> dict[str, Contact]:
        """All members that may be spoken to, while this one holds the lease; a new dictionary.

        Of the candidates for coordinator only the first few have a rank: those with whom everybody is linked.
        """
        contacts = self._contacts.get(holder)
        if contacts is None:
            denied, members = frozenset(self.plan.denied), self.plan.members
            dialable = {name for name, member in members.items() if member.endpoints}
            order = with_relays(candidates(self.plan, holder), dialable)
            # Else most contacts would be others whenever one candidate goes.
            ranks = {name: rank for name, rank in order.items() if rank < CANDIDATES}
            contacts = self._contacts[holder] = {
                name: _contact(
                    member.boot,
                    member.key,
                    tuple(member.endpoints),
                    ranks.get(name, FAR),
                    member.state is MemberState.ALIVE,
                )
                for name, member in members.items()
                if member.state is not MemberState.LEFT and member.key not in denied
            }
        return contacts.copy()


@lru_cache(maxsize=_KEPT)
def outline_of(data: bytes) -> Outline:
    """The outline of the plan in a stored object; errors as in `plan.decode_plan`."""
    return Outline(decode_plan(data))


_contact = lru_cache(maxsize=4096)(Contact)
"""From plan to plan most contacts stay as they are: then the very same object is quick to compare."""
