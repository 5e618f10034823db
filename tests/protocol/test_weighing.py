"""Weighing: the sharding functions that ship, a user's own, and what becomes of one that fails."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy
import pytest

from distevo.instructions import Log
from distevo.outbox import Outbox
from distevo.plan import MemberPlan
from distevo.sharding import SHARDINGS, Shard, calculate_platform_shard_sizes, shares_of
from distevo.weighing import Weigher


def members(**slowness: float) -> dict[str, MemberPlan]:
    return {
        name: MemberPlan(boot="0", kind="server", workers=2, memory_mb=4096, batch_size=100, slowness=times)
        for name, times in slowness.items()
    }


def weights(shard: Shard, threshold: float | None = 2.5, **slowness: float) -> dict[str, float]:
    return Weigher(shard, Outbox()).weights(members(**slowness), threshold)


def test_capability_takes_something_off_for_slow_ones_alone() -> None:
    found = weights(SHARDINGS["capability"], a=1.0, b=2.4, c=4.0)
    assert found == {"a": 819200.0, "b": 819200.0, "c": 204800.0}
    assert weights(SHARDINGS["capability"], threshold=None, a=1.0, c=4.0) == {"a": 819200.0, "c": 819200.0}


def test_speed_is_that_of_all_workers() -> None:
    assert weights(SHARDINGS["speed"], a=1.0, b=2.0, c=0.5) == {"a": 2.0, "b": 1.0, "c": 4.0}


def test_the_guides_function_is_a_sharding_function() -> None:
    found = weights(calculate_platform_shard_sizes, a=1.0, b=1.0)
    assert found == {"a": 500_000.0, "b": 500_000.0}


def test_a_platform_that_is_left_out_gets_nothing_and_more_may_be_known() -> None:
    assert weights(lambda platforms, total: {"b": 3, "elsewhere": 9}, a=1.0, b=1.0) == {"a": 0.0, "b": 3.0}


def test_the_function_is_asked_again_only_when_platforms_have_changed() -> None:
    asked: list[list[str]] = []

    def shard(platforms: list[dict[str, Any]], total: int) -> dict[str, float]:
        asked.append(
            [platform.pop("id") for platform in platforms]
        )  # What it does with its argument is its own affair.
        return dict.fromkeys(asked[-1], 1)

    weigher, known = Weigher(shard, Outbox()), members(a=1.0, b=1.0)
    for _ in range(3):
        assert weigher.weights(known, 2.5) == {"a": 1.0, "b": 1.0}
    known["b"].slowness = 3.0
    weigher.weights(known, 2.5)
    assert asked == [["a", "b"], ["a", "b"]]


def fails(_platforms: object, _total: int) -> dict[str, float]:
    raise SystemExit("no")


class Panic(BaseException):
    """What a function written in Rust raises is no `Exception`; and its words may raise, too."""

    def __str__(self) -> str:
        raise ZeroDivisionError


def panics(_platforms: object, _total: int) -> dict[str, float]:
    raise Panic


@pytest.mark.parametrize(
    "shard",
    [
        fails,
        panics,
        lambda platforms: {},
        lambda platforms, total: None,
        lambda platforms, total: {"a": "much"},
        lambda platforms, total: {"a": True},
        lambda platforms, total: {"a": float("nan")},
        lambda platforms, total: {"a": -1},
        lambda platforms, total: {},
        lambda platforms, total: {"a": 0, "b": 0.0},
    ],
)
def test_a_function_that_fails_is_replaced_by_capability_and_that_is_said_once(shard: Any) -> None:
    outbox, known = Outbox(), members(a=1.0, b=1.0)
    weigher = Weigher(shard, outbox)
    for slowness in (1.0, 2.0, 3.0):
        known["b"].slowness = slowness
        assert weigher.weights(known, 2.5) == weights(SHARDINGS["capability"], a=1.0, b=slowness)
    said = [say for say in outbox.take() if isinstance(say, Log)]
    assert [say.level for say in said] == ["error"]
    assert said[0].fields["reason"]


def test_a_share_may_be_a_number_of_any_kind() -> None:
    answer = {"a": numpy.int64(2), "b": numpy.float32(0.5), "c": Fraction(1, 4), "d": Decimal("0.1")}
    assert shares_of(answer, "abcd") == {"a": 2.0, "b": 0.5, "c": 0.25, "d": 0.1}


@pytest.mark.parametrize("share", [True, numpy.bool_(True), "1", 1j, Decimal("NaN"), numpy.float32("inf")])
def test_what_is_no_number_is_no_share(share: object) -> None:
    with pytest.raises(ValueError, match="the share of platform 'a' is "):
        shares_of({"a": share}, ["a"])


def test_what_is_no_answer_is_named() -> None:
    with pytest.raises(ValueError, match="the share of platform 'b' is -1; give a number, 0 or more"):
        shares_of({"a": 1, "b": -1}, ["a", "b"])
