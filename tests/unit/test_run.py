"""Runs, budgets and the other stored objects, and the names they lie under."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distevo.cluster import ClusterRecord, decode_cluster, encode_cluster
from distevo.command import Command, Verb, decode_command, encode_command
from distevo.errors import ObjectDamaged, ObjectFormatError, ObjectVersionError
from distevo.names import checkpoint_name, checkpoint_of, inbox_run, plan_name, quote, result_name
from distevo.plan import IslandPlace, Plan, RunPlan, RunState, TaskPlan, TaskState, decode_plan, encode_plan
from distevo.program import keyer
from distevo.result import Result, decode_result, encode_result, hex_of, text_of
from distevo.run import Budget, ProblemUse, Run, RunSettings, decode_run, encode_run, island_seed
from distevod.store.base import check_name

PROBLEM = ProblemUse("onemax", "d", "onemax", "1")
RECORD = ClusterRecord(
    cluster="c", epoch=3, holder="m", boot="b", nonce="n", ttl=15, plan="plans/3-1-n", plan_version=1
)


@given(st.text(min_size=1, max_size=18), st.text(min_size=1, max_size=18))
def test_whatever_people_call_things_the_names_are_good_and_different(one: str, two: str) -> None:
    check_name(inbox_run(one, "0123456789abcdef"))
    check_name(result_name(one, two, 2**53, "0" * 32))
    check_name(checkpoint_name(one, "0" * 16, 1))
    assert (quote(one) == quote(two)) == (one == two)


def test_names_say_what_they_are() -> None:
    assert plan_name(3, 17, "a1") == "plans/3-17-a1"
    assert inbox_run("my run", "a1") == "inbox/run-my%20run-a1"
    assert checkpoint_of(checkpoint_name("kaggle-1", "b0", 42)) == ("kaggle%2D1-b0", 42)
    assert checkpoint_of("checkpoints/x/y") is None
    assert quote("..") == "%2E."


def test_a_run_is_read_as_it_was_written() -> None:
    run = Run(
        name="r",
        nonce="n",
        problem=PROBLEM,
        settings=RunSettings(seed=1, evaluations=5),
        tasks={"b": msgspec.Raw(b'{"x":[1,2]}'), "a": msgspec.Raw(b"null")},
        submitted_through="m-b",
    )
    again = decode_run(encode_run(run))
    assert list(again.tasks) == ["b", "a"]
    assert again == run


@pytest.mark.parametrize(
    "settings", [{}, {"cpu_seconds": 0.0}, {"evaluations": 0}, {"evaluations": 1, "islands_per_task": 0}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"seed": 1} | settings, RunSettings)


def test_a_plan_is_read_as_it_was_written() -> None:
    task = TaskPlan(
        state=TaskState.DONE, islands=[IslandPlace("m-b", 2)], result="results/r/t/d", fit=True, solved=False
    )
    run = RunPlan(
        object="inbox/run-r-n",
        first_grant=1,
        state=RunState.RUNNING,
        problem=PROBLEM,
        islands_per_task=1,
        budget=Budget(1.5, None),
        tasks={"t": task, "u": TaskPlan()},
    )
    plan = Plan(epoch=2, version=9, runs={"r": run}, handled={"inbox/command-x": "accepted"})
    assert decode_plan(encode_plan(plan)) == plan
    assert run.tally() == {"tasks": 2, "done": 1, "failed": 0, "fit": 1, "solved": 0}


def test_results_and_commands_are_read_as_they_were_written() -> None:
    result = Result(
        run="r", task="t", fit=True, solved=None, program="x", key="00", fitness=[1.0], evaluations=3, seconds=0.1
    )
    assert decode_result(encode_result(result, b"islands")) == (result, b"islands")
    command = Command(verb=Verb.EXTEND, run="r", budget=Budget(None, 10))
    assert decode_command(encode_command(command)) == command
    with pytest.raises(ObjectFormatError):
        decode_run(encode_command(command))


def test_the_cluster_object_is_verified_and_readable() -> None:
    data = encode_cluster(RECORD)
    assert decode_cluster(data) == RECORD
    assert b'"holder":"m"' in data
    for place in range(len(data)):
        with pytest.raises(ObjectDamaged):
            decode_cluster(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(ObjectVersionError):
        decode_cluster(encode_cluster(msgspec.structs.replace(RECORD, format=2)))


@given(st.integers(1, 10**6), st.integers(1, 50))
def test_shares_of_a_budget_add_up(evaluations: int, islands: int) -> None:
    shares = [Budget(None, evaluations).share(island, islands).evaluations or 0 for island in range(islands)]
    assert sum(shares) == evaluations
    assert max(shares) - min(shares) <= 1
    assert Budget(3.0, None).share(0, islands) == Budget(3.0 / islands, None)


def test_a_budget_is_used_up_by_any_of_its_limits_or_by_finding_nothing_new() -> None:
    budget = Budget(2.0, 100)
    assert not budget.is_used(1.9, 99, 9999)
    assert budget.is_used(2.0, 0, 0)
    assert budget.is_used(0.0, 100, 0)
    assert budget.is_used(0.0, 1, 10_000)
    assert not Budget(2.0, None).is_used(1.0, 10**9, 10**9)


@pytest.mark.parametrize(
    ("new", "is_more"),
    [
        (Budget(2.0, None), True),
        (Budget(1.0, None), False),
        (Budget(0.5, None), False),
        (Budget(1.0, 5), False),
        (Budget(None, 5), False),
        (Budget(None, None), True),
    ],
)
def test_a_budget_is_raised_when_no_limit_falls(new: Budget, is_more: bool) -> None:
    # A limit where there was none counts as one that falls, except that dropping one raises the budget.
    assert new.is_more_than(Budget(1.0, None)) is is_more


def test_islands_have_seeds_of_their_own() -> None:
    seeds = {island_seed(seed, task, island) for seed in (1, 11) for task in ("a", "1\na") for island in (0, 1)}
    assert len(seeds) == 8


def test_a_program_that_is_no_text_is_shown_in_hexadecimal() -> None:
    assert text_of("größe".encode()) == "größe"
    assert text_of(b"\xff\x00") == "ff00"


@pytest.mark.parametrize("genome", [b"abcd", b"\xab\xcd", "größe".encode(), b""])
def test_the_bytes_of_a_program_are_told_by_its_key(genome: bytes) -> None:
    key_of = keyer("toy", "1")
    assert hex_of(text_of(genome), key_of(genome).hex(), key_of) == genome.hex()


def test_a_budget_leaves_each_island_something() -> None:
    with pytest.raises(msgspec.ValidationError, match="1 evaluations leaves some of 2 islands none"):
        msgspec.convert({"seed": 1, "evaluations": 1, "islands_per_task": 2}, RunSettings)
