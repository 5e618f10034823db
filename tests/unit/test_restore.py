"""Which snapshots an island goes on from, and what of the others it takes along."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distevo.block import pack, unpack
from distevo.checkpoint import COVER_GRANTS, Counters, IslandSnapshot, _rank, restore
from distevo.population import Population
from distevo.program import Program
from tests.support.programs import PROBLEM, VERSION, key_of, populations, program


def snapshot(grant: int, sequence: int, *programs: Program, **fields: Any) -> IslandSnapshot:
    """A snapshot of the one island of these tests."""
    sound: dict[str, Any] = {
        "run": "r1",
        "task": "t1",
        "island": 0,
        "problem": PROBLEM,
        "version": VERSION,
        "grant": grant,
        "sequence": sequence,
        "cover": {},
        "seed": "00" * 16,
        "generation": 10 * sequence,
        "cursor": sequence,
        "optimizer": b"",
        "population": pack(programs),
        "invalid": [],
        "suspects": [],
        "counters": Counters(),
    }
    return IslandSnapshot(**(sound | fields))


def programs_of(restored: IslandSnapshot | None) -> list[Program]:
    assert restored is not None
    return unpack(restored.population, key_of) if restored.population else []


A, B, C, D = (program(b"%c" % (97 + i), float(i)) for i in range(4))


def test_without_snapshots_there_is_nothing_to_restore() -> None:
    assert restore([], 3) is None


def test_snapshots_above_the_grant_are_ignored() -> None:
    assert restore([snapshot(4, 1, A)], 3) is None
    restored = restore([snapshot(3, 1, A), snapshot(4, 9, B)], 3)
    assert programs_of(restored) == [A]


def test_a_cover_names_the_latest_grants() -> None:
    """An island that changes owners for weeks can still be saved."""
    start = snapshot(5000, 1, A, cover=dict.fromkeys(range(5000), 1))
    restored = restore([start, snapshot(7, 2, B)], 6000)
    assert restored is not None
    assert restored.cover == dict.fromkeys(range(5001 - COVER_GRANTS, 5001), 1)
    assert programs_of(restored) == [B, A]


def test_a_single_snapshot_is_taken_as_it_is() -> None:
    only = snapshot(2, 5, A, C, B, cover={1: 3}, optimizer=b"state", invalid=[bytes(32)])
    restored = restore([only], 2)
    assert restored == msgspec.structs.replace(only, cover={1: 3, 2: 5})


def test_of_one_owner_the_newest_is_taken_as_it_is() -> None:
    """Else a restart would not go on as if nothing had been."""
    newest = snapshot(2, 6, C, A)
    restored = restore([snapshot(2, 5, D, A), newest, snapshot(2, 4, B)], 2)
    assert restored == msgspec.structs.replace(newest, cover={2: 6})


def test_the_highest_generation_does_not_win() -> None:
    """The former owner, cut off, evolved on for 500 generations and never saw what its successor found and reported.

    Choosing by generation would lose D, which was acknowledged; choosing the successor alone would lose C.
    """
    cut_off = snapshot(1, 9, A, C, generation=500, cursor=77)
    successor = snapshot(2, 2, A, D, generation=40, cursor=5, cover={1: 7})
    restored = restore([cut_off, successor], 3)
    assert restored is not None
    assert (restored.grant, restored.sequence) == (2, 2)
    assert (restored.generation, restored.cursor) == (40, 5)
    assert programs_of(restored) == [D, C, A]
    assert restored.cover == {1: 9, 2: 2}


def test_what_the_start_covers_is_not_merged_again() -> None:
    """A program that the successor dropped for better ones stays dropped."""
    absorbed = snapshot(1, 7, B)
    successor = snapshot(2, 2, D, cover={1: 7})
    assert programs_of(restore([absorbed, successor], 2)) == [D]
    unseen = snapshot(1, 8, B)
    assert programs_of(restore([unseen, successor], 2)) == [D, B]


def test_a_cover_says_nothing_of_grants_that_it_does_not_name() -> None:
    restored = restore([snapshot(0, 0, A), snapshot(2, 3, D, cover={1: 9}), snapshot(1, 9, B)], 2)
    assert programs_of(restored) == [D, A]
    assert restored is not None
    assert restored.cover == {0: 0, 1: 9, 2: 3}


def test_what_the_merged_had_absorbed_is_absorbed() -> None:
    restored = restore([snapshot(3, 1, D), snapshot(2, 4, C, cover={0: 5, 1: 2})], 3)
    assert restored is not None
    assert restored.cover == {0: 5, 1: 2, 2: 4, 3: 1}


def test_two_writers_of_one_number_are_both_heard() -> None:
    one, other = snapshot(1, 4, A, cover={1: 4}), snapshot(1, 4, D, cover={1: 4})
    assert programs_of(restore([one, other], 1)) == [D, A]
    assert restore([one, other], 1) == restore([other, one], 1)
    assert restore([one, one], 1) == one


def test_the_fitter_copy_of_a_program_stays() -> None:
    restored = restore([snapshot(1, 1, program(b"x", 2.0)), snapshot(2, 1, program(b"x", 1.0))], 2)
    assert programs_of(restored) == [program(b"x", 2.0)]


def test_killers_are_remembered_from_all() -> None:
    keys = [bytes([i]) * 32 for i in range(4)]
    restored = restore(
        [
            snapshot(1, 1, invalid=[keys[3]], suspects=[keys[1], keys[2]]),
            snapshot(2, 1, invalid=[keys[2]], suspects=[keys[0]]),
        ],
        2,
    )
    assert restored is not None
    assert restored.invalid == [keys[2], keys[3]]
    assert restored.suspects == [keys[0], keys[1]]


def test_counters_never_fall_and_are_not_counted_twice() -> None:
    former = snapshot(1, 9, counters=Counters(evaluations=900, duplicates=5, cpu_seconds=9.0))
    successor = snapshot(2, 1, counters=Counters(evaluations=700, duplicates=8, cpu_seconds=7.0, seconds=1.0))
    restored = restore([former, successor], 2)
    assert restored is not None
    assert restored.counters == Counters(evaluations=900, duplicates=8, cpu_seconds=9.0, seconds=1.0)


def test_islands_before_their_first_generation_hold_nothing_to_merge() -> None:
    assert programs_of(restore([snapshot(1, 1, population=b""), snapshot(2, 1, A)], 2)) == [A]
    assert programs_of(restore([snapshot(1, 1, A), snapshot(2, 1, population=b"")], 2)) == [A]


@pytest.mark.parametrize("field", ["run", "task", "problem", "version"])
def test_islands_are_not_mixed(field: str) -> None:
    with pytest.raises(ValueError, match="several islands"):
        restore([snapshot(1, 1, A), snapshot(2, 1, B, **{field: "other"})], 2)
    with pytest.raises(ValueError, match="several islands"):
        restore([snapshot(1, 1, A), snapshot(2, 1, B, island=1)], 2)


histories = st.lists(
    st.builds(
        lambda grant, sequence, cover, population: snapshot(
            grant, sequence, *population, cover={g: s for g, s in cover.items() if g < grant}
        ),
        st.integers(0, 4),
        st.integers(0, 4),
        st.dictionaries(st.integers(0, 3), st.integers(0, 4), max_size=3),
        populations,
    ),
    max_size=6,
)


@given(histories, st.integers(0, 4), st.randoms(use_true_random=False))
def test_the_order_of_snapshots_does_not_matter(history: list[IslandSnapshot], grant: int, rng: random.Random) -> None:
    shuffled = history * 2
    rng.shuffle(shuffled)
    assert restore(shuffled, grant) == restore(history, grant)


@given(histories, st.integers(0, 4))
def test_nothing_uncovered_is_lost(history: list[IslandSnapshot], grant: int) -> None:
    counted = [s for s in history if s.grant <= grant]
    restored = restore(history, grant)
    assert (restored is None) == (not counted)
    if restored is None:
        return
    start = max(counted, key=_rank)
    assert (restored.grant, restored.sequence) == (start.grant, start.sequence)
    kept = {p.key: p for p in programs_of(restored)}
    for other in counted:
        assert restored.cover[other.grant] >= other.sequence or other.grant in start.cover
        if other.sequence > start.cover.get(other.grant, -1) and other.grant != start.grant:
            for lost in Population(programs_of(other)):
                assert kept[lost.key] <= lost


@given(histories)
def test_restoring_again_changes_nothing(history: list[IslandSnapshot]) -> None:
    restored = restore(history, 4)
    if restored is None:
        return
    continued = msgspec.structs.replace(restored, grant=5, sequence=1)
    again = restore([*history, continued], 5)
    assert again == msgspec.structs.replace(continued, cover={**restored.cover, 5: 1})
