"""Islands: deterministic from their seed, and the same after a restart as without one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from distevo.block import unpack
from distevo.convergence import SWEEP_OVER
from distevo.errors import ProblemError
from distevo.problem import Contract
from distevo.program import MAX_GENOME_BYTES
from distevo.provenance import Provenance, provenance_of
from distevod.evolution.island import LONG_PART_SECONDS, MOST_FAILED, Island
from distevod.evolution.page import EVALUATING, Page
from distevod.evolution.pool import BUSY_SECONDS
from distevod.problems.grids import Grids
from distevod.problems.onemax import OneMax
from distevod.problems.regression import Regression
from tests.evolution.islands import SETTINGS, Tiny, fresh, stored, trajectory

PROBLEMS: dict[str, Callable[[], Any]] = {
    "onemax": lambda: OneMax({"bits": 200}),
    "regression": lambda: Regression(Regression.tasks("nguyen-7")["nguyen-7"]),
    "grids": lambda: Grids(next(iter(Grids.tasks("training:0-0").values()))),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_resuming_equals_never_having_stopped(problem: str, page: Page) -> None:
    contract = Contract(PROBLEMS[problem]())
    steady = Island(contract, SETTINGS, fresh(contract), page)
    interrupted = Island(contract, SETTINGS, fresh(contract), page)
    for number in range(12):
        wanted = steady.generation().snapshot
        found = interrupted.generation().snapshot
        assert trajectory(found) == trajectory(wanted)
        if number % 3 == 2:
            # A new contract too: nothing that the problem keeps may matter.
            interrupted = Island(Contract(PROBLEMS[problem]()), SETTINGS, stored(found), page)
    assert wanted.generation == 12
    assert unpack(wanted.population, contract.keyer)


def test_resuming_after_the_sweep_equals_never_having_stopped(page: Page) -> None:
    """The state that the sweep leaves behind is all that evolution goes on from."""
    contract = Contract(Tiny())
    steady = Island(contract, SETTINGS, fresh(contract), page)
    interrupted = Island(contract, SETTINGS, fresh(contract), page)
    for _ in range(8):
        wanted = steady.generation().snapshot
        found = interrupted.generation().snapshot
        interrupted = Island(contract, SETTINGS, stored(found), page)
        assert trajectory(found) == trajectory(wanted)
    assert wanted.cursor == SWEEP_OVER


def test_another_seed_takes_another_way(page: Page) -> None:
    contract = Contract(PROBLEMS["onemax"]())
    one, two = (Island(contract, SETTINGS, fresh(contract, seed), page).generation() for seed in (1, 2))
    assert one.snapshot.population != two.snapshot.population


def test_known_programs_are_not_evaluated_again(page: Page) -> None:
    seen: list[int] = []

    class Watched(Tiny):
        def evaluate(self, genome: int) -> float:
            seen.append(genome)
            return super().evaluate(genome)

        sweep = None  # type: ignore[assignment]

    contract = Contract(Watched())
    island = Island(contract, SETTINGS, fresh(contract), page)
    for _ in range(10):
        counters = island.generation().snapshot.counters
    assert len(seen) == len(set(seen)) == counters.evaluations
    assert counters.evaluations + counters.duplicates == 600


def test_the_shares_of_a_sweep_are_everything_once(page: Page) -> None:
    contract = Contract(Tiny())
    evaluated = 0
    found: set[bytes] = set()
    for index in range(3):
        snapshot = msgspec.structs.replace(fresh(contract), island=index)
        settings = SETTINGS._replace(islands=3, population_size=1000)
        island = Island(contract, settings, snapshot, page)
        while (done := island.generation().snapshot).cursor != SWEEP_OVER:
            assert done.counters.evaluations <= 500
        evaluated += done.counters.evaluations
        found |= {program.genome for program in unpack(done.population, contract.keyer)}
    assert evaluated == 200
    assert len(found) == 100  # The even ones are valid.


def test_an_exception_of_evaluate_makes_the_program_invalid_and_is_told(page: Page) -> None:
    class Touchy(Tiny):
        sweep = None  # type: ignore[assignment]

        def evaluate(self, genome: int) -> float:
            if genome % 3 == 0:
                raise ZeroDivisionError("three")
            return super().evaluate(genome)

    contract = Contract(Touchy())
    done = Island(contract, SETTINGS, fresh(contract), page).generation()
    assert done.snapshot.counters.errors > 0
    assert done.warning is not None
    assert "ZeroDivisionError: three" in done.warning
    assert all(int(program.genome) % 3 for program in unpack(done.snapshot.population, contract.keyer))


TOO_LONG = b"0" * MAX_GENOME_BYTES


@pytest.mark.parametrize(
    ("member", "replacement", "words"),
    [
        ("evaluate", lambda self, genome: genome if genome % 3 else float("nan"), "fitness that is NaN"),
        ("evaluate_batch", lambda self, genomes: [n if n % 3 else "?" for n in genomes], "evaluate raised Zero"),
        ("encode", lambda self, genome: b"%d" % genome if genome % 3 else TOO_LONG + b"0", "1,048,577 bytes"),
        ("random", lambda self, rng: [7, 8, 10][rng.randrange(6)], "raised IndexError"),
        ("mutate", lambda self, genome, rng: rng.choice([None, (genome + 1) % 200]), "mutate returned None"),
    ],
)
def test_what_goes_wrong_with_one_program_makes_it_invalid_and_is_told(
    member: str, replacement: Callable[..., Any], words: str, page: Page
) -> None:
    def evaluate(self: Any, genome: int) -> float:
        return 1 / (genome % 3)

    contract = Contract(type("Touchy", (Tiny,), {"sweep": None, "evaluate": evaluate, member: replacement})())
    island = Island(contract, SETTINGS, fresh(contract), page)
    done = [island.generation() for _ in range(4)]
    assert any(words in (generation.warning or "") for generation in done)
    counters = done[-1].snapshot.counters
    assert 0 < counters.errors <= counters.invalid < counters.evaluations
    assert counters.evaluations + counters.duplicates == 4 * SETTINGS.batch_size
    assert unpack(done[-1].snapshot.population, contract.keyer)


def test_seeds_that_cannot_be_encoded_are_passed_over(page: Page) -> None:
    class Seeded(Tiny):
        sweep = None  # type: ignore[assignment]

        def seeds(self, rng: Any) -> list[int]:
            return [1, -1, 2, 4, -1]

        def encode(self, genome: int) -> bytes:
            return b"%d" % genome if genome > 0 else TOO_LONG + b"0"

    contract = Contract(Seeded())
    island = Island(contract, SETTINGS._replace(batch_size=2), fresh(contract), page)
    assert [island.generation().snapshot.cursor for _ in range(3)] == [2, 4, SWEEP_OVER]


def test_seeds_that_cannot_be_encoded_are_paid_for_once(page: Page) -> None:
    class Seeded(Tiny):
        sweep = None  # type: ignore[assignment]

        def seeds(self, rng: Any) -> list[int]:
            return [2, 4, 6, 8, -1, -1, -1, -1]

        def evaluate(self, genome: int) -> Any:
            time.sleep(0.02)
            return super().evaluate(genome)

        def encode(self, genome: int) -> bytes:
            return b"%d" % genome if genome > 0 else TOO_LONG + b"0"

    contract = Contract(Seeded())
    # Each generation has time for one of them.
    island = Island(contract, SETTINGS._replace(generation_seconds=0.01), fresh(contract), page)
    done = [island.generation().snapshot for _ in range(4)]
    assert (done[-1].counters.evaluations, done[-1].counters.errors) == (8, 4)


@pytest.mark.parametrize(
    ("member", "replacement", "words"),
    [
        ("evaluate", lambda self, genome: 1 / 0, "all of the first 51 programs failed; evaluate raised"),
        ("evaluate", lambda self, genome: float("nan"), "NaN"),
        ("random", lambda self, rng: None, "random"),
        ("random", lambda self, rng: [][0], "IndexError"),
        ("encode", lambda self, genome: str(genome), "encode"),
        ("decode", lambda self, data: int(data) + 1, "canonical"),
        (
            "decode",
            lambda self, data: {}[data],
            r"decode raised KeyError.*test_island\.py, line.*; encode had given b'",
        ),
    ],
)
def test_a_problem_that_cannot_go_on_says_why(
    member: str, replacement: Callable[..., Any], words: str, page: Page
) -> None:
    broken = type("Broken", (Tiny,), {member: replacement, "sweep": None})
    contract = Contract(broken())
    island = Island(contract, SETTINGS, fresh(contract), page)
    with pytest.raises(ProblemError, match=words):
        island.generation()


@pytest.mark.parametrize("how", [{"batch_size": 1}, {"generation_seconds": 1e-9}], ids=["small", "slow"])
def test_generations_of_a_single_program_that_fails_are_no_reason_to_give_up(how: dict[str, Any], page: Page) -> None:
    class Rough(Tiny):
        sweep = None  # type: ignore[assignment]

        def evaluate(self, genome: int) -> float:
            if genome % 4:
                raise ValueError("three of four")
            return float(genome)

    contract = Contract(Rough())
    for seed in range(20):
        island = Island(contract, SETTINGS._replace(**how), fresh(contract, seed), page)
        for _ in range(60):
            done = island.generation()
        assert done.snapshot.counters.errors
        assert done.snapshot.population


@pytest.mark.parametrize("budget", [None, 3], ids=["many", "all that it may have"])
def test_generations_of_a_single_program_are_one_when_all_fail(budget: int | None, page: Page) -> None:
    class Broken(Tiny):
        sweep = None  # type: ignore[assignment]

        def evaluate(self, genome: int) -> float:
            raise ValueError("always")

    contract = Contract(Broken())
    island = Island(contract, SETTINGS._replace(batch_size=1), fresh(contract), page)
    failed = 0

    def fail(times: int) -> None:
        nonlocal failed
        while failed < times:  # Some are known already.
            counters = island.generation(None if budget is None else budget - failed).snapshot.counters
            failed = counters.errors

    last = budget or MOST_FAILED
    fail(last - 1)
    with pytest.raises(ProblemError, match=f"all of the first {last} programs failed; evaluate raised ValueError"):
        fail(last)


def test_the_last_program_of_a_budget_may_fail_where_others_did_not(page: Page) -> None:
    class Odd(Tiny):
        sweep = None  # type: ignore[assignment]
        calls = 0

        def evaluate(self, genome: int) -> float | None:
            self.calls += 1
            if self.calls > 2:
                raise ValueError("the third")
            return None

    contract = Contract(Odd())
    island = Island(contract, SETTINGS._replace(batch_size=1), fresh(contract), page)
    for left in (3, 2, 1):
        done = island.generation(left).snapshot.counters
    assert (done.evaluations, done.errors) == (3, 1)


def test_a_program_that_killed_a_worker_is_never_evaluated(page: Page) -> None:
    contract = Contract(PROBLEMS["onemax"]())
    first = Island(contract, SETTINGS, fresh(contract), page).generation().snapshot
    bad = unpack(first.population, contract.keyer)[0]
    snapshot = msgspec.structs.replace(fresh(contract), invalid=[bad.key])
    again = Island(contract, SETTINGS, snapshot, page).generation().snapshot
    assert bad.key not in {program.key for program in unpack(again.population, contract.keyer)}
    assert again.counters.evaluations == first.counters.evaluations - 1


def test_a_problem_that_evaluates_many_at_once_takes_the_same_way(page: Page) -> None:
    calls: list[int] = []

    class Together(Tiny):
        sweep = None  # type: ignore[assignment]

        def evaluate_batch(self, genomes: list[int]) -> list[float | None]:
            calls.append(len(genomes))
            return [Tiny.evaluate(self, genome) for genome in genomes]

        def evaluate(self, genome: int) -> float | None:
            raise AssertionError("all at once")

    class Single(Tiny):
        sweep = None  # type: ignore[assignment]

    together, single = (Island(Contract(p()), SETTINGS, fresh(Contract(p())), page) for p in (Together, Single))
    for _ in range(5):
        assert trajectory(together.generation().snapshot) == trajectory(single.generation().snapshot)
    assert sum(calls) == together._snapshot.counters.evaluations
    assert max(calls) > 20


@pytest.mark.parametrize(
    ("each", "all_together", "largest"),
    [(3.0, 0.0, 4), (12.0, 0.0, 1), (0.7, 0.0, 16), (0.0, 2.0, 16), (0.0, 6.0, 16), (0.0, 0.01, 64)],
    ids=["3 s each", "12 s each", "0.7 s each", "2 s however many", "6 s however many", "fast"],
)
def test_so_many_are_evaluated_at_once_as_do_not_take_long(
    each: float, all_together: float, largest: int, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon ends a worker of which it sees nothing for half a minute."""
    now = 0.0
    calls: list[int] = []

    class Slow(Tiny):
        sweep = None  # type: ignore[assignment]

        def evaluate_batch(self, genomes: list[int]) -> list[float | None]:
            nonlocal now
            calls.append(len(genomes))
            now += all_together + each * len(genomes)
            return [self.evaluate(genome) for genome in genomes]

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    contract = Contract(Slow())
    island = Island(contract, SETTINGS._replace(batch_size=190, generation_seconds=1e9), fresh(contract), page)
    for _ in range(3):
        island.generation()
    assert calls[:1] == [1]
    assert max(calls) == largest
    assert 2 * LONG_PART_SECONDS < BUSY_SECONDS


def test_what_a_deadline_cuts_off_is_not_taken_for_tried(page: Page) -> None:
    seen: list[int] = []

    class Slow(Tiny):
        sweep = None  # type: ignore[assignment]

        def evaluate(self, genome: int) -> float:
            seen.append(genome)
            return float(genome)

    contract = Contract(Slow())
    island = Island(contract, SETTINGS._replace(generation_seconds=0.0), fresh(contract), page)
    for number in range(1, 80):
        assert island.generation().snapshot.counters.evaluations <= number
    assert sorted(seen) == sorted(set(seen))
    are_new = island._tried.unknown(contract.keyer(b"%d" % genome) for genome in range(200))
    assert {genome for genome, is_new in enumerate(are_new) if not is_new} == set(seen)


def test_an_exception_in_a_batch_makes_one_program_invalid(page: Page) -> None:
    class Touchy(Tiny):
        sweep = None  # type: ignore[assignment]

        def evaluate(self, genome: int) -> float:
            if genome == 7:
                raise ValueError("seven")
            return float(genome)

        def evaluate_batch(self, genomes: list[int]) -> list[float]:
            return [self.evaluate(genome) for genome in genomes]

    contract = Contract(Touchy())
    island = Island(contract, SETTINGS, fresh(contract), page)
    counters = [island.generation().snapshot.counters for _ in range(12)][-1]
    assert counters.errors <= 1
    assert counters.evaluations > 100


def test_all_seeds_are_looked_at_whatever_the_size_of_a_generation(page: Page) -> None:
    seen: list[int] = []

    class Seeded(Tiny):
        sweep = None  # type: ignore[assignment]

        def seeds(self, rng: Any) -> list[int]:
            return [*range(1, 200, 2), 2]  # All but the last are invalid.

        def evaluate(self, genome: int) -> float | None:
            seen.append(genome)
            return super().evaluate(genome)

    contract = Contract(Seeded())
    steady = Island(contract, SETTINGS, fresh(contract), page)
    snapshot = steady.generation().snapshot
    assert snapshot.cursor == SETTINGS.batch_size
    island = Island(contract, SETTINGS, stored(snapshot), page)
    assert island.generation().snapshot.cursor == SWEEP_OVER
    assert seen == [*range(1, 200, 2), 2]
    assert trajectory(island.generation().snapshot) != trajectory(snapshot)


def test_a_fit_program_is_kept_however_poor_its_fitness(page: Page) -> None:
    class Odd(Tiny):
        sweep = None  # type: ignore[assignment]

        def evaluate(self, genome: int) -> dict[str, Any]:  # type: ignore[override]
            is_fit = genome % 10 == 3
            return {"fitness": -1.0 if is_fit else float(genome), "fit": is_fit}

    contract = Contract(Odd())
    island = Island(contract, SETTINGS._replace(population_size=5), fresh(contract), page)
    done = [island.generation() for _ in range(30)]
    assert any(generation.is_fit for generation in done[1:])  # With a full population of better ones.
    kept = unpack(done[-1].snapshot.population, contract.keyer)
    assert len([program for program in kept if not program.fit]) <= 5
    assert len([program for program in kept if program.fit]) > 5


def test_a_mutation_in_place_is_found_out(page: Page) -> None:
    class InPlace(Tiny):
        sweep = None  # type: ignore[assignment]

        def random(self, rng: Any) -> list[int]:  # type: ignore[override]
            return [rng.randrange(200)]

        def mutate(self, genome: list[int], rng: Any) -> list[int]:  # type: ignore[override]
            genome[0] = (genome[0] + 1) % 200
            return genome

        def evaluate(self, genome: list[int]) -> float:  # type: ignore[override]
            return float(genome[0])

        def encode(self, genome: list[int]) -> bytes:  # type: ignore[override]
            return b"%d" % genome[0]

        def decode(self, data: bytes) -> list[int]:  # type: ignore[override]
            return [int(data)]

    contract = Contract(InPlace())
    island = Island(contract, SETTINGS, fresh(contract), page)
    with pytest.raises(ProblemError, match="in place"):
        [island.generation() for _ in range(3)]


def test_the_page_names_the_program_under_evaluation(page: Page) -> None:
    readings = []

    class Looking(Tiny):
        sweep = None  # type: ignore[assignment]

        def evaluate(self, genome: int) -> float:
            readings.append((page.read(), genome))
            return super().evaluate(genome)

    contract = Contract(Looking())
    page.busy(7)
    Island(contract, SETTINGS, fresh(contract), page).generation()
    assert len(readings) > 10
    assert len({reading.counter for reading, _ in readings}) == len(readings)
    for reading, genome in readings:
        assert (reading.state, reading.island, reading.genome) == (EVALUATING, 7, b"%d" % genome)


def test_programs_say_where_they_were_made_and_keep_it(page: Page) -> None:
    contract = Contract(PROBLEMS["onemax"]())
    settings = SETTINGS._replace(platform="kaggle-1")
    island = Island(contract, settings, msgspec.structs.replace(fresh(contract), island=3), page)
    first = {p.key: provenance_of(p.meta) for p in unpack(island.generation().snapshot.population, contract.keyer)}
    assert set(first.values()) == {Provenance("kaggle-1", 3, 1)}
    later = {p.key: provenance_of(p.meta) for p in unpack(island.generation().snapshot.population, contract.keyer)}
    assert {later[key] for key in later.keys() & first.keys()} == {Provenance("kaggle-1", 3, 1)}
    assert {later[key] for key in later.keys() - first.keys()} == {Provenance("kaggle-1", 3, 2)}


def test_what_an_earlier_run_has_left_is_evaluated_first_and_resumed_in_the_middle(page: Page) -> None:
    contract = Contract(Tiny())
    left = tuple(b"%d" % number for number in range(10, 190, 2))
    settings = SETTINGS._replace(seeds=(b"rubbish", *left), batch_size=20)
    steady = Island(contract, settings, fresh(contract), page)
    interrupted = Island(contract, settings, fresh(contract), page)
    warnings = []
    for _ in range(17):
        wanted = steady.generation()
        found = interrupted.generation().snapshot
        interrupted = Island(contract, settings, stored(found), page)
        assert trajectory(found) == trajectory(wanted.snapshot)
        warnings.append(wanted.warning)
        if wanted.snapshot.generation == 5:
            # All of it, but for what is no program; none of the sweep yet.
            assert (wanted.snapshot.cursor, wanted.snapshot.counters.evaluations) == (91, 90)
    assert "b'rubbish'" in (warnings[0] or "")
    assert set(warnings[1:]) == {None}
    assert wanted.snapshot.cursor == SWEEP_OVER


def test_a_first_population_is_not_evaluated_again(page: Page) -> None:
    contract = Contract(Tiny())
    first = Island(contract, SETTINGS, fresh(contract), page)
    for _ in range(6):
        old = first.generation().snapshot
    begun = msgspec.structs.replace(fresh(contract), population=old.population, cursor=SWEEP_OVER)
    warm = Island(contract, SETTINGS, begun, page).generation().snapshot
    known = {program.key for program in unpack(old.population, contract.keyer)}
    found = {program.key for program in unpack(warm.population, contract.keyer)}
    assert found == known  # The sweep has found all that there is.
    assert warm.counters.evaluations + warm.counters.duplicates > 0


class Fussy(Tiny):
    """It can be evaluated on nothing that it has not made itself."""

    def evaluate(self, genome: int) -> float | None:
        if genome > 100:
            raise ValueError("not mine")
        return super().evaluate(genome)


def test_programs_of_another_run_that_all_raise_are_no_reason_to_give_up(page: Page) -> None:
    contract = Contract(Fussy())
    island = Island(contract, SETTINGS._replace(seeds=(b"150", b"152")), fresh(contract), page)
    assert "not mine" in (island.generation().warning or "")
    assert island.generation().snapshot.population
