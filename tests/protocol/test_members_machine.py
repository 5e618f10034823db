"""The member table against a model that has no heap and forgets nothing: it keeps all that was heard, and scans.

A second table gets the same events and is never asked anything in between: questions, `next_deadline` among them,
must change nothing that `tick` says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from distevo.alarms import NEVER
from distevo.members import MemberTable, State

ALIVE, SUSPECT, DEAD, LEFT = State.ALIVE, State.SUSPECT, State.DEAD, State.LEFT

TIMEOUT = 6.0
IDS = ["a", "b", "c", "d"]

ids = st.sampled_from(IDS)
boots = st.sampled_from([None, "1", "2"])
"""None: the one that is followed."""
rises = st.sampled_from([None, -1, 0, 1, 2])
"""By how much an incarnation exceeds the highest heard; None: the message carries none."""
intervals = st.sampled_from([0.0, 0.0, 0.0, 1.0, 4.0])
"""1.0: mail quicker than the timeout; 4.0: slower."""


@dataclass
class Life:
    """What the model knows of one boot of a member."""

    boot: str
    since: float
    state: State = ALIVE
    incarnation: int = 0
    words: list[tuple[float, float]] = field(default_factory=list)
    """(when it was heard, the path's timeout)."""
    graces: list[float] = field(default_factory=list)
    """Until when."""
    cut: float | None = None
    """When its link closed, or grace began that wait anew."""
    lags: list[tuple[float, float]] = field(default_factory=list)
    """(when, by how many seconds we were late)."""
    suspected: float = 0.0
    verdict: float | None = None

    def is_excused(self, now: float) -> bool:
        """Whether our lag may be why it is silent."""
        heard, timeout = self.words[-1] if self.words else (self.since, TIMEOUT)
        timeout = max([timeout, *(at + longest - heard for at, longest in self.words)])
        return now - heard - sum(seconds for at, seconds in self.lags if at >= heard) < 2 * timeout

    @property
    def due(self) -> float | None:
        if self.state is SUSPECT:
            return self.verdict
        if self.state is not ALIVE:
            return None
        silence = max([self.since + TIMEOUT, *(at + timeout for at, timeout in self.words), *self.graces])
        return silence if self.cut is None else min(silence, self.cut + 1.0)


class MemberMachine(RuleBasedStateMachine):
    """Random events, in a random order, at random times."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.table = MemberTable("me", "1", 2.0, TIMEOUT)
        self.unasked = MemberTable("me", "1", 2.0, TIMEOUT)
        self.lives: dict[str, Life] = {}
        self.told: dict[str, State] = {}
        self.changed: list[str] = []
        self.healthy_at = -1.0
        self.incarnation = 0

    def both(self, method: str, *arguments: object) -> object:
        answer = getattr(self.table, method)(*arguments)
        assert getattr(self.unasked, method)(*arguments) == answer
        return answer

    def put(self, member: str, state: State) -> None:
        life = self.lives[member]
        if life.state is not state:
            self.changed += [member] * (member not in self.changed)
            life.state = state

    def proof(self) -> None:
        self.healthy_at = self.now
        for life in self.lives.values():
            if life.state is SUSPECT and life.verdict is None:
                life.verdict = self.now + 1.0

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.follow(IDS, 3, data)

    @rule(members=st.permutations(IDS), count=st.integers(2, 4), data=st.data())
    def follow(self, members: list[str], count: int, data: st.DataObject) -> None:
        plan = {}
        for member in members[:count]:
            known = self.lives[member].boot if member in self.lives else "1"
            plan[member] = data.draw(boots) or known
        self.both("follow", {"me": "1", **plan}, self.now)
        lives, self.lives = self.lives, {}
        for member, boot in plan.items():
            self.lives[member] = life = lives.get(member) or Life(boot, self.now)
            if member not in lives:
                self.told[member] = ALIVE
            if life.boot != boot:
                self.put(member, ALIVE)
                self.lives[member] = Life(boot, self.now)
        self.changed = [member for member in self.changed if member in plan]
        for member in lives.keys() - plan.keys():
            del self.told[member]

    @rule(member=ids, interval=intervals, rise=rises)
    def heard(self, member: str, interval: float, rise: int | None) -> None:
        life = self.lives.get(member) or Life("1", self.now)
        incarnation = None if rise is None else max(0, life.incarnation + rise)
        counts = member in self.lives and life.state is not LEFT
        assert self.both("heard", member, life.boot, self.now, interval, incarnation) is counts
        if not counts:
            return
        life.words.append((self.now, max(TIMEOUT, 3 * interval)))
        life.incarnation = max(life.incarnation, incarnation or 0)
        life.cut = None
        self.put(member, ALIVE)
        self.proof()

    @rule(member=ids, incarnation=st.sampled_from([None, 9]), is_goodbye=st.booleans())
    def another_boot_speaks(self, member: str, incarnation: int | None, is_goodbye: bool) -> None:
        if is_goodbye:
            self.both("left", member, "0")
        else:
            assert self.both("heard", member, "0", self.now, 0.0, incarnation) is False

    @rule(member=ids)
    def link_lost(self, member: str) -> None:
        self.both("link_lost", member, self.now)
        life = self.lives.get(member)
        if life is not None and life.cut is None:
            life.cut = self.now

    @rule(member=ids)
    def link_made(self, member: str) -> None:
        self.both("link_made", member, self.now)
        if member in self.lives:
            self.lives[member].cut = None

    @rule(member=ids)
    def left(self, member: str) -> None:
        self.both("left", member, self.lives[member].boot if member in self.lives else "1")
        if member in self.lives:
            self.put(member, LEFT)

    @rule(member=st.sampled_from([*IDS, "me"]), incarnation=st.integers(0, 4))
    def suspected(self, member: str, incarnation: int) -> None:
        assert self.both("suspected", member, incarnation, self.now) is (member == "me")
        if member == "me":
            self.incarnation = max(self.incarnation, incarnation + 1)

    @rule(members=st.lists(ids, max_size=3), interval=intervals)
    def grace(self, members: list[str], interval: float) -> None:
        self.both("grace", members, self.now, interval)
        for member in members:
            self.give_grace(member, interval)

    def give_grace(self, member: str, interval: float) -> None:
        life = self.lives.get(member)
        if life is None or life.state in {DEAD, LEFT}:
            return
        last = life.words[-1][1] if life.words else TIMEOUT
        life.graces.append(self.now + max(last, 3 * interval))
        life.cut = None if life.cut is None else self.now
        self.put(member, ALIVE)

    @rule(seconds=st.sampled_from([0.5, 1.0, 1.25, 9.0]))
    def lagged(self, seconds: float) -> None:
        self.both("lagged", seconds, self.now)
        for member, life in self.lives.items() if seconds > 1.0 else ():
            life.lags.append((self.now, seconds))
            if life.is_excused(self.now):
                self.give_grace(member, 0.0)

    @rule()
    def healthy(self) -> None:
        self.both("healthy", self.now)
        self.proof()

    @rule(steps=st.sampled_from([1, 2, 4, 8, 24]), is_ticking=st.booleans())
    def wait(self, steps: int, is_ticking: bool) -> None:
        self.now += steps / 4
        if is_ticking:
            self.tick()

    @rule(deadlines=st.integers(1, 3), is_store_there=st.booleans())
    def wait_for_deadlines(self, deadlines: int, is_store_there: bool) -> None:
        for _ in range(deadlines):
            if (at := self.table.next_deadline()) < NEVER:
                self.now = max(self.now, at)
            if is_store_there:
                self.healthy()
            self.tick()

    @rule()
    def tick(self) -> None:
        while due := sorted((life.due, member) for member, life in self.lives.items() if life.due is not None):
            at, member = due[0]
            if at > self.now:
                break
            life = self.lives[member]
            if life.state is ALIVE:
                life.suspected, life.verdict = self.now, self.now + 1.0
                self.put(member, SUSPECT)
            elif self.healthy_at >= life.suspected:
                self.put(member, DEAD)
            else:
                life.verdict = None
        changes = [(member, self.lives[member].state) for member in self.changed]
        expected = [(member, state) for member, state in changes if self.told[member] is not state]
        assert self.both("tick", self.now) == expected
        self.told |= dict(expected)
        self.changed = []

    @invariant()
    def it_agrees_with_the_model(self) -> None:
        table, now = self.table, self.now
        assert {member: table.state(member) for member in self.lives} == {m: x.state for m, x in self.lives.items()}
        assert table.alive() == [member for member, life in self.lives.items() if life.state in {ALIVE, SUSPECT}]
        assert table.suspects() == {m: life.incarnation for m, life in self.lives.items() if life.state is SUSPECT}
        assert table.next_deadline() == min((x.due for x in self.lives.values() if x.due is not None), default=NEVER)
        assert table.incarnation == self.incarnation
        for member, life in self.lives.items():
            assert table.heard_at(member) == (life.words[-1][0] if life.words else None)
            is_within = any(now < at + timeout for at, timeout in life.words)
            assert table.hears(member, life.boot, now) is (life.state is ALIVE and is_within and life.cut is None)
            assert not table.hears(member, "0", now)


TestMembers = MemberMachine.TestCase
TestMembers.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
