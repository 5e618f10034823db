"""Warm starts: which programs a run begins with, where each goes, and what is refused."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distevo.block import pack, unpack
from distevo.checkpoint import Checkpoint, IslandSnapshot, encode_checkpoint
from distevo.errors import BlockError
from distevo.events import IslandId
from distevo.plan import RunPlan, RunState, TaskPlan, TaskState
from distevo.program import Program, keyer
from distevo.provenance import Provenance, meta_of, provenance_of
from distevo.result import Result, encode_result
from distevo.run import Budget, ProblemUse, Run, RunSettings, WarmStart, decode_run, encode_run
from distevo.warm_start import fault, inherit, resident, seeds
from distevo.work import fresh_snapshot
from distevod.earlier import warm_start_from
from distevod.store import open_store

OLD = ProblemUse("toy", "", "toy", "1")
KEY_OF = keyer("toy", "1")


def program(genome: bytes, fitness: float, fit: bool = False, behaviour: bytes = b"") -> Program:
    return Program.of(genome, KEY_OF(genome), (fitness,), fit, behaviour)


def run(warm: WarmStart | None, version: str = "1", islands: int = 1) -> Run:
    return Run(
        name="new", nonce="n", problem=ProblemUse("toy", "", "toy", version),
        settings=RunSettings(seed=1, evaluations=10, islands_per_task=islands),
        tasks={"t": msgspec.Raw(b"{}"), "u": msgspec.Raw(b"{}")}, submitted_through="", warm_start=warm,
    )  # fmt: skip


def state(task: str, *programs: Program, cursor: int = -1) -> IslandSnapshot:
    made = fresh_snapshot(run(None), IslandId("new", task, 0), 1)
    return msgspec.structs.replace(made, population=pack(programs), cursor=cursor)


def genomes(block: bytes) -> list[bytes]:
    return [found.genome for found in unpack(block, KEY_OF)] if block else []


def test_the_best_of_all_islands_are_taken_each_once_and_all_that_are_fit() -> None:
    a, b, c, small = program(b"a", 3), program(b"b", 2), program(b"c", 1), program(b"fit", 0, fit=True)
    warm = inherit("old", OLD, {"t": [state("t", a, c), state("t", a, b, small)]}, ["t", "u"], 2, 0)
    assert genomes(warm.programs["t"]) == [b"a", b"b", b"fit"]
    assert set(warm.programs) == {"t"}
    assert (warm.run, warm.version, warm.swept, warm.others) == ("old", "1", ["t"], b"")


def test_of_what_islands_have_found_in_other_words_the_best_is_taken_and_all_that_are_fit() -> None:
    same, solved, other = b"the same", b"all done", b"another."
    one = state("t", program(b"a", 3, True, solved), program(b"b", 2, behaviour=same), program(b"c", 1))
    two = state("t", program(b"aa", 3, True, solved), program(b"bb", 2, behaviour=same), program(b"d", 0, False, other))
    warm = inherit("old", OLD, {"t": [one, msgspec.structs.replace(two, island=1)]}, ["t"], 4, 0)
    assert genomes(warm.programs["t"]) == [b"a", b"aa", b"b", b"c", b"d"]


def test_under_the_same_version_they_are_the_first_population_and_the_sweep_is_over() -> None:
    warm = inherit("old", OLD, {"t": [state("t", program(b"a", 3), program(b"b", 2))]}, ["t"], 9, 0)
    block, cursor = resident(run(warm), IslandId("new", "t", 0))
    assert (unpack(block, KEY_OF), cursor) == ([program(b"a", 3), program(b"b", 2)], -1)
    assert seeds(run(warm), IslandId("new", "t", 0)) == b""
    assert resident(run(warm), IslandId("new", "u", 0)) == (b"", 0)
    going = inherit("old", OLD, {"t": [state("t", program(b"a", 3), cursor=7)]}, ["t"], 9, 0)
    assert resident(run(going), IslandId("new", "t", 0))[1] == 0
    begun = fresh_snapshot(run(warm), IslandId("new", "t", 0), 5)
    assert (begun.population, begun.cursor, begun.generation) == (block, -1, 0)


def test_a_sweep_is_over_only_if_each_island_of_the_earlier_run_says_so_of_its_share() -> None:
    states = [msgspec.structs.replace(state("t", program(b"%d" % index, 3)), island=index) for index in range(2)]
    assert inherit("old", OLD, {"t": states}, ["t"], 9, 0, islands=2).swept == ["t"]
    # Of a run that was cancelled, say, before its other islands had begun.
    assert inherit("old", OLD, {"t": states}, ["t"], 9, 0, islands=4).swept == []


def test_under_another_version_they_are_to_be_evaluated() -> None:
    warm = inherit("old", OLD, {"t": [state("t", program(b"a", 3))]}, ["t"], 9, 0)
    new = run(warm, version="2")
    assert resident(new, IslandId("new", "t", 0)) == (b"", 0)
    assert genomes(seeds(new, IslandId("new", "t", 0))) == [b"a"]


def test_of_a_task_that_has_changed_they_are_to_be_evaluated_though_the_version_is_the_same() -> None:
    results = {task: [state(task, program(b"a", 3))] for task in ("t", "u")}
    warm = inherit("old", OLD, results, ["t", "u"], 9, 0, changed=["t"])
    assert (warm.anew, warm.swept) == (["t"], ["u"])
    assert resident(run(warm), IslandId("new", "t", 0)) == (b"", 0)
    assert genomes(seeds(run(warm), IslandId("new", "t", 0))) == [b"a"]
    assert genomes(resident(run(warm), IslandId("new", "u", 0))[0]) == [b"a"]
    assert seeds(run(warm), IslandId("new", "u", 0)) == b""


def test_what_fits_other_tasks_is_tried_everywhere_the_smallest_first() -> None:
    results = {
        "t": [state("t", program(b"long", 1, fit=True), program(b"x", 1))],
        "w": [state("w", program(b"ab", 1, fit=True))],
        "v": [state("v", program(b"zz", 9))],
    }
    warm = inherit("old", OLD, results, ["t", "u"], 9, 5)
    assert genomes(warm.others) == [b"ab", b"long"]
    assert genomes(inherit("old", OLD, results, ["t"], 9, 1).others) == [b"ab"]
    assert genomes(seeds(run(warm), IslandId("new", "u", 0))) == [b"ab", b"long"]
    # They stand before the sweep, which therefore is not behind the island.
    assert resident(run(warm), IslandId("new", "t", 0))[1] == 0


@given(st.integers(0, 30), st.integers(1, 8))
def test_islands_share_all_programs_and_no_two_begin_alike(count: int, islands: int) -> None:
    programs = [program(b"%d" % number, -number) for number in range(count)]
    warm = WarmStart(run="old", version="1", programs={"t": pack(programs)})
    shares = [genomes(resident(run(warm, islands=islands), IslandId("new", "t", i))[0]) for i in range(islands)]
    assert sorted(chain.from_iterable(shares)) == sorted(one.genome for one in programs)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_run_keeps_it_and_one_that_cannot_be_read_is_refused() -> None:
    warm = inherit("old", OLD, {"t": [state("t", program(b"a", 3))]}, ["t"], 9, 0)
    assert decode_run(encode_run(run(warm))) == run(warm)
    assert fault(run(None)) is None
    assert fault(run(warm)) is None
    twice = pack([program(b"a", 3), program(b"a", 3)])
    for broken in ({"t": b"rubbish"}, {"t": twice}):
        assert "'t'" in (fault(run(WarmStart(run="old", version="1", programs=broken))) or "")
    assert "'others'" in (fault(run(WarmStart(run="old", version="1", others=b"?"))) or "")
    with pytest.raises(BlockError):
        inherit("old", OLD, {"t": [msgspec.structs.replace(state("t"), population=b"?")]}, ["t"], 9, 0)


def test_what_is_inherited_was_made_before_the_first_generation() -> None:
    key_of = keyer("toy", "1")
    meta = meta_of(Provenance("kaggle-1", 2, 300))
    program = Program.of(b"p", key_of(b"p"), (1.0,), False, meta=meta)
    problem = ProblemUse("toy", "", "toy", "1")
    run = Run(
        name="a", nonce="", problem=problem, settings=RunSettings(seed=1, evaluations=10),
        tasks={"t": msgspec.Raw(b"{}")}, submitted_through="",
    )  # fmt: skip
    state = msgspec.structs.replace(fresh_snapshot(run, IslandId("a", "t", 2), 1), population=pack([program]))
    (inherited,) = unpack(inherit("a", problem, {"t": [state]}, ["t"], 10, 0).programs["t"], key_of)
    assert provenance_of(inherited.meta) == Provenance("kaggle-1", 2, 0)


def test_a_result_is_a_beginning_though_the_object_of_its_run_is_damaged(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    result = Result(
        run="old", task="t", fit=False, solved=None, program=None, key=None, fitness=None, evaluations=1, seconds=1.0
    )
    states = Checkpoint(
        cluster="", member="m", boot="b", sequence=0, islands=[state("t", program(b"a", 3))], resource_usage={}
    )
    store.create("results/t", encode_result(result, encode_checkpoint(states)))
    store.create("inbox/run-whole", encode_run(run(None)))
    store.create("inbox/run-damaged", b"damaged")
    for name, data, anew in (
        ("inbox/run-whole", b"{}", []),
        ("inbox/run-whole", b"{ }", []),
        ("inbox/run-whole", b"[]", ["t"]),
        ("inbox/run-damaged", b"{}", ["t"]),
        ("inbox/run-gone", b"{}", ["t"]),
    ):
        earlier = RunPlan(
            object=name, first_grant=1, state=RunState.FAILED, problem=OLD, islands_per_task=1,
            budget=Budget(None, 10), tasks={"t": TaskPlan(state=TaskState.DONE, result="results/t")},
        )  # fmt: skip
        warm = warm_start_from("old", earlier, store, {"t": msgspec.Raw(data)}, OLD.digest, 5, 0)
        assert (list(warm.programs), warm.anew) == (["t"], anew)
    other_code = warm_start_from("old", earlier, store, {"t": msgspec.Raw(b"{}")}, "another", 5, 0)
    assert other_code.anew == ["t"]


@pytest.mark.parametrize(("shown", "anew"), [(None, ["t"]), ("a", [])])
def test_what_a_task_has_of_which_nothing_could_be_had_again_is_evaluated_anew(
    tmp_path: Path, shown: str | None, anew: list[str]
) -> None:
    """Without a program: its best were refuted. A task that failed otherwise has a result with its best."""
    store = open_store(str(tmp_path))
    result = Result(
        run="old", task="t", fit=False, solved=None, program=shown, key=shown and KEY_OF(b"a").hex(),
        fitness=None if shown is None else [3.0], evaluations=1, seconds=1.0,
    )  # fmt: skip
    states = Checkpoint(
        cluster="", member="m", boot="b", sequence=0, islands=[state("t", program(b"a", 3))], resource_usage={}
    )
    store.create("results/t", encode_result(result, encode_checkpoint(states)))
    store.create("inbox/run-old", encode_run(run(None)))
    earlier = RunPlan(
        object="inbox/run-old", first_grant=1, state=RunState.FAILED, problem=OLD, islands_per_task=1,
        budget=Budget(None, 10), tasks={"t": TaskPlan(state=TaskState.FAILED, result="results/t")},
    )  # fmt: skip
    warm = warm_start_from("old", earlier, store, {"t": msgspec.Raw(b"{}")}, OLD.digest, 5, 0)
    assert (genomes(warm.programs["t"]), warm.anew) == ([b"a"], anew)
