"""Selection and replacement: who emigrates, who is taken, and that an island's archive agrees."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from distevo.policies import REPLACEMENTS, SELECTIONS, admit, select
from distevo.population import Population
from distevo.program import Program
from distevo.run import MigrationSettings
from distevod.evolution.archive import Archive
from tests.support.programs import program, program_lists

RANKED = [program(bytes([65 + rank]), 20.0 - rank) for rank in range(20)]


def chosen(**named: Any) -> MigrationSettings:
    return MigrationSettings(**named)


def ranks_of(programs: list[Program]) -> list[int]:
    return [RANKED.index(program) for program in programs]


# --- selection -----------------------------------------------------------------------------------


def test_the_best_emigrate() -> None:
    assert ranks_of(select(chosen(size=4), RANKED, Random(1))) == [0, 1, 2, 3]


@pytest.mark.parametrize("selection", sorted(SELECTIONS))
def test_emigrants_are_different_ranked_and_as_many_as_there_are(selection: str) -> None:
    for size in (1, 5, 20, 30):
        for seed in range(20):
            ranks = ranks_of(select(chosen(selection=selection, size=size), RANKED, Random(seed)))
            assert ranks == sorted(set(ranks))
            assert len(ranks) == min(size, 20)
    assert select(chosen(selection=selection), [], Random(1)) == []


@pytest.mark.parametrize("selection", ["select_random", "select_tournament"])
def test_a_choice_by_chance_is_the_generators_alone(selection: str) -> None:
    picks = [ranks_of(select(chosen(selection=selection), RANKED, Random(seed))) for seed in (1, 1, 2)]
    assert picks[0] == picks[1] != picks[2]


def test_chance_and_tournaments_prefer_whom_they_should() -> None:
    rng = Random(5)
    totals = {
        selection: sum(
            rank for _ in range(500) for rank in ranks_of(select(chosen(selection=selection, size=2), RANKED, rng))
        )
        / 1000
        for selection in ("select_random", "select_tournament")
    }
    # Of 20 the mean rank is 9.5; the mean of the lowest of three of them, (19 - 1) / 4, is about 4.5.
    assert 9.0 < totals["select_random"] < 10.0
    assert 4.0 < totals["select_tournament"] < 5.2


def test_an_unknown_selection_is_refused() -> None:
    with pytest.raises(ValueError, match="'select_worst' is unknown; choose one of select_best, select_random"):
        select(chosen(selection="select_worst"), RANKED, Random(1))


# --- replacement ---------------------------------------------------------------------------------


def test_immigrants_better_than_the_worst_are_taken_when_the_population_is_full() -> None:
    population = [RANKED[rank] for rank in (1, 4, 6, 8)]
    immigrants = [RANKED[rank] for rank in (0, 5, 7, 9, 10)]
    # 0 and 5 drive out 8 and 6; 7 would have been better than the worst, had it come alone.
    assert admit(chosen(), population, immigrants, 4) == ([RANKED[0], RANKED[5]], 2, 0)
    assert admit(chosen(), population, [RANKED[7]], 4) == ([RANKED[7]], 1, 0)
    assert admit(chosen(), population, [RANKED[9]], 4) == ([], 0, 0)


def test_all_are_taken_while_the_population_is_not_full() -> None:
    assert admit(chosen(), [RANKED[1]], [RANKED[9], RANKED[5]], 4) == ([RANKED[5], RANKED[9]], 2, 0)
    assert admit(chosen(), [], [RANKED[9]], 4) == ([RANKED[9]], 1, 0)


def test_fair_replace_considers_so_many_and_merge_all() -> None:
    immigrants = RANKED[:4]
    assert admit(chosen(size=2), [], immigrants, 10) == (RANKED[:2], 2, 0)
    assert admit(chosen(size=2, replacement="merge"), [], immigrants, 10) == (RANKED[:4], 4, 0)
    assert admit(chosen(size=2, replacement="merge"), [], immigrants, 3) == (RANKED[:3], 3, 0)


def test_what_is_known_does_not_use_up_the_places() -> None:
    assert admit(chosen(size=2), RANKED[:2], RANKED[:5], 10) == (RANKED[2:4], 2, 2)


def test_a_key_that_is_there_is_known() -> None:
    assert admit(chosen(), [program(b"x", 1.0)], [program(b"x", 9.0)], 4) == ([], 0, 1)


def test_a_behaviour_that_is_there_is_known_unless_the_immigrant_is_better() -> None:
    resident = program(b"long", 2.0, behaviour=b"8 bytes.")
    worse, better = program(b"longer", 2.0, behaviour=b"8 bytes."), program(b"s", 2.0, behaviour=b"8 bytes.")
    assert admit(chosen(), [resident], [worse], 1) == ([], 0, 1)
    assert admit(chosen(), [resident], [better], 1) == ([better], 1, 0)
    # Of two of one behaviour that come together, the better one is taken.
    assert admit(chosen(), [resident], [worse, better], 1) == ([better], 1, 1)
    assert admit(chosen(), [], [worse, better], 9) == ([better], 1, 1)


def test_of_residents_of_one_behaviour_the_best_counts() -> None:
    residents = sorted(
        program(genome, fitness, behaviour=b"8 bytes.") for genome, fitness in ((b"x", 3.0), (b"y", 1.0))
    )
    assert admit(chosen(), residents, [program(b"z", 2.0, behaviour=b"8 bytes.")], 9) == ([], 0, 1)


def test_a_fit_program_is_always_taken() -> None:
    fit = program(b"fit", -9.0, fit=True)
    assert admit(chosen(size=1), RANKED[:3], [RANKED[4], fit], 3) == ([fit], 1, 0)


def test_an_unknown_replacement_is_refused() -> None:
    with pytest.raises(ValueError, match="'fair' is unknown; choose one of fair_replace, merge"):
        admit(chosen(replacement="fair"), [], [], 3)


sizes = st.integers(1, 6)
replacements = st.sampled_from(sorted(REPLACEMENTS))


@settings(max_examples=150)
@given(program_lists, program_lists, sizes, sizes, replacements, st.randoms(use_true_random=False))
def test_admission_is_a_function_of_sets(
    residents: list[Program], immigrants: list[Program], keeps: int, size: int, replacement: str, rng: Random
) -> None:
    population = Archive(keeps, residents).programs
    policy = chosen(size=size, replacement=replacement)
    once = admit(policy, population, immigrants, keeps)
    shuffled = immigrants * 2
    rng.shuffle(shuffled)
    assert admit(policy, population, shuffled, keeps) == once
    merged, accepted, known = once
    assert merged == sorted(merged)
    assert accepted == len(merged)
    assert accepted + known <= len({program.key for program in immigrants})
    # Whoever comes a second time is known.
    after = Archive(keeps, [*population, *merged]).programs
    assert admit(policy, after, merged, keeps) == ([], 0, accepted)


def as_evaluated(programs: list[Program]) -> list[Program]:
    """One copy of each program, and of programs that do the same either all are fit or none."""
    fit = [structs.replace(program, unfit=program.behaviour != b"8 bytes.") for program in programs]
    return list(Population(fit))


@settings(max_examples=150)
@given(program_lists.map(as_evaluated), program_lists.map(as_evaluated), sizes, sizes)
def test_the_archive_keeps_exactly_what_was_admitted(
    residents: list[Program], immigrants: list[Program], keeps: int, size: int
) -> None:
    archive = Archive(keeps, residents)
    population = list(archive.programs)
    here = {program.key for program in population}
    strangers = [program for program in immigrants if program.key not in here]
    merged, _, _ = admit(chosen(size=size, replacement="merge"), population, immigrants, keeps)
    archive.offer(merged)
    assert set(merged) <= set(archive.programs)
    assert archive.programs == Archive(keeps, [*population, *strangers]).programs
    few, _, _ = admit(chosen(size=size), population, immigrants, keeps)
    assert sum(not program.fit for program in few) <= size
    assert few == [program for program in merged if program in few]
