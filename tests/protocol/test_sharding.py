"""Shares of a population by capability, and how many islands a platform has room for."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distevo.sharding import calculate_platform_shard_sizes, capability, island_limit, island_room


def platform(name: object, workers: object = 1, memory_mb: object = 1, batch_size: object = 1) -> dict[str, object]:
    return {"id": name, "workers": workers, "memory_mb": memory_mb, "batch_size": batch_size}


platform_lists = st.dictionaries(
    st.text("abc-1", min_size=1, max_size=4),
    st.tuples(st.integers(0, 64), st.integers(1, 10**6), st.integers(1, 10**4)),
).map(lambda named: [platform(name, *numbers) for name, numbers in named.items()])


def weight_of(platform: dict[str, int]) -> int:
    return platform["workers"] * platform["memory_mb"] * platform["batch_size"]


def test_the_weight_is_the_product_of_the_three() -> None:
    assert capability(2, 4096, 100) == 819200.0


def test_the_guides_platforms() -> None:
    platforms = [platform("kaggle", 2, 4096, 500), platform("colab", 2, 12288, 250), platform("paper", 1, 2048, 100)]
    # 4,096,000 + 6,144,000 + 204,800 in 10,444,800: 392.16, 588.24 and 19.61 of 1,000
    assert calculate_platform_shard_sizes(platforms, 1000) == {"kaggle": 392, "colab": 588, "paper": 20}


def test_equal_remainders_go_to_the_lower_id() -> None:
    platforms = [platform("c"), platform("a"), platform("b")]
    assert calculate_platform_shard_sizes(platforms, 7) == {"c": 2, "a": 3, "b": 2}
    assert calculate_platform_shard_sizes(platforms, 8) == {"c": 2, "a": 3, "b": 3}


def test_nothing_divided_is_nothing_for_each() -> None:
    assert calculate_platform_shard_sizes([platform("a"), platform("b", 0)], 0) == {"a": 0, "b": 0}
    assert calculate_platform_shard_sizes([], 0) == {}


def test_the_weight_can_be_another() -> None:
    platforms = [platform("a", 1, 9000, 9), platform("b", 3, 1, 1)]
    assert calculate_platform_shard_sizes(platforms, 100, lambda workers, _memory, _batch: workers) == {
        "a": 25,
        "b": 75,
    }


@settings(max_examples=60)
@given(platform_lists, st.integers(0, 10**9))
def test_shares_add_up_and_are_the_quotas_rounded(platforms: list[dict[str, int]], total: int) -> None:
    weight = sum(map(weight_of, platforms))
    if total and not weight:
        with pytest.raises(ValueError, match="no platform can take any"):
            calculate_platform_shard_sizes(platforms, total)
        return
    shares = calculate_platform_shard_sizes(platforms, total)
    assert sum(shares.values()) == (total if platforms else 0)
    assert list(shares) == [platform["id"] for platform in platforms]
    for one in platforms:
        quota = Fraction(total * weight_of(one), weight or 1)
        assert quota - 1 < shares[str(one["id"])] < quota + 1
    assert calculate_platform_shard_sizes(platforms[::-1], total) == shares


@pytest.mark.parametrize(
    ("platforms", "total", "what"),
    [
        ([platform("a")], -1, "total_population is -1"),
        ([platform("a")], 1.5, "total_population is 1.5"),
        ([platform("a")], True, "total_population is True"),
        ([platform("a"), platform("a")], 1, "'a' is there twice"),
        ([platform("")], 1, "id is ''"),
        ([platform(7)], 1, "id is 7"),
        ([{"id": "a", "workers": 1, "memory_mb": 1}], 1, "batch_size of platform 'a' is None"),
        ([platform("a", workers=-1)], 1, "workers of platform 'a' is -1"),
        ([platform("a", workers=True)], 1, "workers of platform 'a' is True"),
        ([platform("a", memory_mb="4 GB")], 1, "memory_mb of platform 'a' is '4 GB'"),
        ([platform("a", memory_mb=float("nan"))], 1, "memory_mb of platform 'a' is nan"),
        ([platform("a", workers=0)], 1, "at least one that has workers"),
        ([], 1, "at least one that has workers"),
    ],
)
def test_what_cannot_be_divided_is_refused_with_what_to_do(
    platforms: list[dict[str, object]], total: int, what: str
) -> None:
    with pytest.raises(ValueError, match=what) as raised:
        calculate_platform_shard_sizes(platforms, total)
    assert "give" in str(raised.value)


@pytest.mark.parametrize("weight", [-1.0, float("inf"), float("nan")])
def test_a_weight_function_that_weighs_nonsense_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight of platform 'a'"):
        calculate_platform_shard_sizes([platform("a")], 1, lambda *_: weight)


@pytest.mark.parametrize(
    ("memory_mb", "islands"), [(256, 1), (2048, 1), (2730, 1), (2731, 2), (4095, 2), (4096, 3), (8192, 6), (12288, 9)]
)
def test_room_is_three_islands_for_each_4096_mb(memory_mb: int, islands: int) -> None:
    assert island_room(memory_mb) == islands


def test_the_wish_holds_within_the_room() -> None:
    assert island_limit(None, 4096) == (3, None)
    assert island_limit(3, 4096) == (3, None)
    assert island_limit(1, 12288) == (1, None)
    assert island_limit(0, 4096) == (0, None)
    assert island_limit(-2, 4096) == (0, None)
    assert island_limit(2, 4096, workers=8) == island_limit(6, 4096, workers=8) == (8, None)


def test_the_memory_has_the_last_word_and_says_so() -> None:
    limit, warning = island_limit(4, 4096)
    assert limit == 3
    assert warning is not None
    assert "4 islands" in warning
    assert "room for 3" in warning
    assert "memory_mb 4096" in warning
