"""Balance: who is compared with whom, and how long a departure has to last."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from distevo.balance import HOLD_SECONDS, LOOK_SECONDS, MOST_TIMES, TRY_AGAIN_SECONDS, Balance, is_slow, relative
from distevo.instructions import Log
from distevo.outbox import Outbox
from distevo.plan import MemberPlan


def member(name: str) -> MemberPlan:
    return MemberPlan(boot=f"boot-of-{name}", kind="server", workers=2, memory_mb=4096, batch_size=100)


class Term:
    """A coordinator's, in which platforms are as slow as the test says."""

    def __init__(self, *names: str, threshold: float | None = 2.5) -> None:
        self.members = {name: member(name) for name in names}
        self.outbox, self.threshold = Outbox(), threshold
        self.balance = Balance(threshold, self.outbox)
        self.now, self.changes = 0.0, 0
        self.balance.begin(self.now)

    def succeed(self) -> None:
        """Another coordinator takes over."""
        self.balance = Balance(self.threshold, self.outbox)
        self.balance.begin(self.now)

    def go_on(self, seconds: float, **slowness: float) -> None:
        """For so long this is what is measured."""
        end = self.now + seconds
        while self.balance.next_deadline() <= end:
            self.now = self.balance.next_deadline()
            self.changes += self.balance.look(self.members, measured(**slowness), self.now)
        self.now = end

    @property
    def slow(self) -> set[str]:
        return {name for name, one in self.members.items() if is_slow(one, self.threshold)}

    @property
    def planned(self) -> dict[str, float]:
        return {name: one.slowness for name, one in self.members.items()}


def measured(**slowness: float) -> Mapping[str, Mapping[str, float]]:
    return {name: {"r": times} for name, times in slowness.items()}


def test_platforms_are_compared_with_the_median() -> None:
    assert relative({}) == {}
    assert relative(measured(a=3.0)) == {}, "with nobody"
    assert relative(measured(a=2.0, b=2.0, c=8.0)) == {"a": 1.0, "b": 1.0, "c": 4.0}
    assert relative(measured(a=1.0, b=5.0)) == {"a": 1.0, "b": 5.0}, "of two the faster is the measure"
    assert relative(measured(a=1.0, b=1e9, c=1.0))["b"] == MOST_TIMES


def test_only_the_same_run_is_compared() -> None:
    waits, works = {"w": 900.0}, {"r": 1.0}
    assert relative({"a": waits, "b": works}) == {}
    found = relative({"a": waits | {"r": 1.0}, "b": works, "c": {"w": 900.0}})
    assert found == {"a": 1.0, "b": 1.0, "c": 1.0}


def test_a_departure_has_to_last() -> None:
    term = Term("a", "b", "c")
    term.go_on(HOLD_SECONDS, a=1.0, b=1.1, c=5.0)
    term.go_on(2 * LOOK_SECONDS, a=1.0, b=1.1, c=1.2)
    term.go_on(HOLD_SECONDS, a=1.0, b=1.1, c=5.0)
    assert term.planned == {"a": 1.0, "b": 1.0, "c": 1.0}
    term.go_on(LOOK_SECONDS, a=1.0, b=1.1, c=5.0)
    assert term.slow == {"c"}
    assert term.planned["c"] == pytest.approx(4.55)
    said = [say.message for say in term.outbox.take() if isinstance(say, Log)]
    assert said == ["a platform is slow: islands go from it to others"]


def test_what_jumps_up_and_down_is_no_lasting_departure() -> None:
    term = Term("a", "b", "c")
    for _ in range(10):
        term.go_on(LOOK_SECONDS, a=1.0, b=1.0, c=4.0)
        term.go_on(LOOK_SECONDS, a=1.0, b=1.0, c=0.25)
    assert (term.planned["c"], term.changes) == (1.0, 0)


def test_who_was_slow_long_ago_is_tried_again() -> None:
    term = Term("a", "b", "c")
    term.go_on(60, a=1.0, b=1.0, c=8.0)
    term.go_on(TRY_AGAIN_SECONDS - 2 * LOOK_SECONDS, a=1.0, b=1.0)
    assert term.slow == {"c"}
    term.go_on(3 * LOOK_SECONDS, a=1.0, b=1.0)
    assert (term.slow, term.planned["c"], term.changes) == (set(), 1.0, 2)
    term.go_on(60, a=1.0, b=1.0, c=8.0)
    assert (term.slow, term.changes) == ({"c"}, 3)


def test_it_is_slow_until_it_is_well_below_the_threshold() -> None:
    term = Term("a", "b", "c")
    term.go_on(60, a=1.0, b=1.0, c=3.0)
    assert term.slow == {"c"}
    term.go_on(60, a=1.0, b=1.0, c=1.9)
    assert term.slow == {"c"}
    term.go_on(60, a=1.0, b=1.0, c=1.7)
    assert term.slow == set()
    term.go_on(60, a=1.0, b=1.0, c=2.4)
    assert term.slow == set()
    assert term.planned["c"] == 1.7


def test_what_falls_between_the_bounds_changes_nobodys_standing() -> None:
    term = Term("a", "b", "c")
    term.go_on(60, a=1.0, b=1.0, c=8.0)
    term.go_on(60, a=1.0, b=1.0, c=2.0)
    assert term.planned["c"] == 2.5, "less slow than it was, and not yet as fast as it has to be"
    assert term.slow == {"c"}


def test_a_successor_decides_nothing_anew() -> None:
    term = Term("a", "b", "c")
    term.go_on(60, a=1.0, b=1.0, c=4.0)
    term.succeed()
    term.go_on(60, a=1.0, b=1.0, c=3.9)
    term.go_on(60)
    assert (term.slow, term.changes) == ({"c"}, 1)


def test_without_a_threshold_nobody_is_slow() -> None:
    term = Term("a", "b", "c", threshold=None)
    term.go_on(60, a=1.0, b=1.0, c=9.0)
    assert term.slow == set()
    assert term.planned["c"] == 9.0, "it is measured all the same, for those that weigh by speed"


@pytest.mark.parametrize("seed", range(10))
def test_noise_of_half_changes_nothing(seed: int) -> None:
    rng, term = Random(seed), Term("a", "b", "c", "d")
    for _ in range(200):
        # What is measured is a mean over a window, in which noise is smaller than in each generation.
        term.go_on(10, **{name: sum(rng.uniform(0.5, 1.5) for _ in range(4)) / 4 for name in "abcd"})
    assert term.slow == set()
    assert term.changes <= 1
