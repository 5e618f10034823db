"""Each judge is told a true story, which it takes, and false ones, each of which it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from distevo.block import pack
from distevo.checkpoint import Counters, IslandSnapshot
from distevo.cluster import ClusterRecord
from distevo.events import IslandId
from distevo.names import owner_checkpoints
from distevo.plan import IslandPlace, MemberPlan, MemberState, Plan, RunPlan, RunState, TaskPlan, TaskState
from distevo.program import Program
from distevo.result import Result
from distevo.run import Budget, MigrationSettings
from distevo.simulator.config import Times
from distevo.simulator.invariants import calm, flaps, lease, leavers, orphans, plan, results, runs, starts
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.workers import KEY_OF, PROBLEM

A, B = "a-1", "b-2"
ISLAND = IslandId("r", "t", 0)


@contextmanager
def violates(invariant: str) -> Iterator[None]:
    """What is told inside breaks this invariant, and no other."""
    with pytest.raises(Violation) as caught:
        yield
    assert caught.value.invariant == invariant


# --- the lease -----------------------------------------------------------------------------------


def record(epoch: int, owner: str = A, **fields: Any) -> ClusterRecord:
    member, _, boot = owner.rpartition("-")
    known: dict[str, Any] = {"cluster": "c", "nonce": "n", "ttl": 15.0, "plan": None, "plan_version": 0}
    return ClusterRecord(epoch=epoch, holder=member, boot=boot, **(known | fields))


def released(epoch: int) -> ClusterRecord:
    return msgspec.structs.replace(record(epoch), holder="", boot="")


def test_a_lease_is_taken_renewed_released_and_taken_over() -> None:
    judge = lease.LeaseJudge()
    judge.swapped(record(1), A)
    judge.swapped(record(1, plan="p1", plan_version=1), A)
    judge.swapped(record(2, B, plan="p1", plan_version=1), B)
    judge.swapped(msgspec.structs.replace(record(2, plan="p1", plan_version=1), holder="", boot=""), B)
    judge.swapped(record(3, A, plan="p3", plan_version=2), A)


@pytest.mark.parametrize(
    ("invariant", "before", "writer", "after"),
    [
        (lease.ONE_CLUSTER, record(1), A, record(1, cluster="d")),
        (lease.ONE_WINNER, record(1), B, record(1, B)),
        (lease.ONE_WINNER, released(1), A, record(1)),
        (lease.EPOCH_RISES, record(2), B, record(1, B)),
        (lease.OWN_NAME, record(1), B, record(1, A)),
        (lease.VERSION_RISES, record(1), A, record(1, plan="p", plan_version=2)),
        (lease.VERSION_RISES, record(1, plan="p", plan_version=1), A, record(1, plan="q", plan_version=1)),
    ],
)
def test_a_false_write_of_cluster(invariant: str, before: ClusterRecord, writer: str, after: ClusterRecord) -> None:
    judge = lease.LeaseJudge()
    judge.swapped(before, A)
    with violates(invariant):
        judge.swapped(after, writer)


def test_who_was_deposed_writes_no_more() -> None:
    judge = lease.LeaseJudge()
    judge.swapped(record(1), A)
    judge.swapped(record(2, B), B)
    with violates(lease.FENCED):
        judge.swapped(record(1), A)


def test_who_was_revoked_writes_no_more() -> None:
    with violates(lease.NOT_REVOKED):
        lease.LeaseJudge().swapped(record(1), A, is_revoked=True)


# --- the plan ------------------------------------------------------------------------------------


def member(boot: str, state: MemberState = MemberState.ALIVE, *, is_draining: bool = False) -> MemberPlan:
    return MemberPlan(
        boot=boot,
        kind="server",
        workers=1,
        memory_mb=1,
        batch_size=1,
        key=f"key {boot}",
        state=state,
        is_draining=is_draining,
    )


def a_plan(
    owner: str = A,
    grant: int = 1,
    *,
    task: TaskState = TaskState.OPEN,
    result: str | None = None,
    run: RunState = RunState.RUNNING,
    rung: int = 0,
    **fields: Any,
) -> Plan:
    """A plan with one run of one task of one island."""
    known: dict[str, Any] = {
        "epoch": 1,
        "version": 1,
        "next_grant": 10,
        "members": {"a": member("1"), "b": member("2")},
        "runs": {
            "r": RunPlan(
                object="inbox/run-r-0",
                first_grant=1,
                state=run,
                problem=PROBLEM,
                islands_per_task=1,
                budget=Budget(None, 100),
                tasks={"t": TaskPlan(state=task, islands=[IslandPlace(owner, grant)], result=result, rung=rung)},
            )
        },
    }
    return Plan(**(known | fields))


def test_an_island_changes_hands_and_its_task_ends_and_is_extended() -> None:
    judge = plan.PlanJudge()
    for told in (
        a_plan(""),
        a_plan(A, 1),
        # Its owner has died: somebody else will be found.
        a_plan(A, 1, members={"b": member("2")}),
        a_plan(B, 2),
        a_plan(B, 2, task=TaskState.DONE, result="x"),
        a_plan("", 0, result="x"),
        a_plan(A, 3, result="x"),
        a_plan("", 0, result="w"),
        a_plan(A, 4, result="w"),
        a_plan(A, 4, task=TaskState.DONE, result="y"),
    ):
        judge.in_force(told)
    assert judge.grants == {ISLAND: {1: A, 2: B, 3: A, 4: A}}


@pytest.mark.parametrize(
    ("invariant", "before", "after"),
    [
        (plan.GRANT_RISES, a_plan(A, 2), a_plan(B, 2)),
        (plan.GRANT_RISES, a_plan(A, 2), a_plan(A, 1)),
        (plan.GRANT_RISES, a_plan(A, 2), a_plan("", 0)),
        (plan.COUNTERS_RISE, a_plan(A, 2), a_plan(A, 10)),
        (plan.COUNTERS_RISE, a_plan(A, 2), a_plan(A, 2, next_grant=9)),
        (plan.OWNERS_LIVE, a_plan(""), a_plan(members={"a": member("1", MemberState.DEAD)})),
        (plan.OWNERS_LIVE, a_plan(B), a_plan(A, 2, members={"a": member("9")})),
        (plan.REVOKED_ARE_DEAD, a_plan(""), a_plan(denied=["key 1"])),
        (plan.NO_MORE_FOR_LEAVERS, a_plan(""), a_plan(members={"a": member("1", is_draining=True)})),
        (plan.STAYS_REVOKED, a_plan(denied=["key 7"]), a_plan()),
        (plan.RESULT_STAYS, a_plan(task=TaskState.DONE, result="x"), a_plan(task=TaskState.DONE, result="y")),
        (plan.RESULT_STAYS, a_plan(task=TaskState.DONE, result="x"), a_plan(A, 2)),
        (plan.RUNG_RISES, a_plan(), a_plan(rung=1)),
        (plan.RUNG_RISES, a_plan(result="x"), a_plan(result="x", rung=1)),
        (plan.RUNG_RISES, a_plan(result="x", rung=2), a_plan(result="y", rung=1)),
    ],
)
def test_a_false_plan(invariant: str, before: Plan, after: Plan) -> None:
    judge = plan.PlanJudge()
    judge.in_force(before)
    with violates(invariant):
        judge.in_force(after)


def test_a_task_goes_on_to_another_rung() -> None:
    judge = plan.PlanJudge()
    for told in (a_plan(), a_plan("", 0, result="x", rung=1), a_plan(B, 5, result="x", rung=1)):
        judge.in_force(told)


def test_who_is_to_leave_keeps_what_it_has_until_somebody_takes_it() -> None:
    judge = plan.PlanJudge()
    for told in (a_plan(A, 1), a_plan(A, 1, members={"a": member("1", is_draining=True)}), a_plan(B, 2)):
        judge.in_force(told)


def test_a_key_that_somebody_lets_in_again() -> None:
    judge = plan.PlanJudge()
    judge.in_force(a_plan(denied=["key 7", "key 8"]))
    judge.may_return("key 7")
    judge.in_force(a_plan(denied=["key 8"]))
    with violates(plan.STAYS_REVOKED):
        judge.in_force(a_plan())


def test_a_grant_that_comes_back_with_another_owner() -> None:
    judge = plan.PlanJudge()
    judge.in_force(a_plan(A, 2))
    # The place was empty for a while, so the step from plan to plan shows nothing.
    judge.in_force(a_plan("", 2))
    with violates(plan.ONE_OWNER):
        judge.in_force(a_plan(B, 2))


# --- who works -----------------------------------------------------------------------------------


def test_an_owner_starts_its_island_as_often_as_it_likes() -> None:
    judge = starts.StartJudge({ISLAND: {1: A, 2: B}})
    for _ in range(2):
        judge.started(ISLAND, 1, A)
    judge.started(ISLAND, 2, B)


def test_an_island_that_is_started_by_two() -> None:
    judge = starts.StartJudge({ISLAND: {1: A}})
    judge.started(ISLAND, 1, A)
    with violates(starts.ONE_STARTER):
        judge.started(ISLAND, 1, B)


def test_an_island_that_is_started_before_any_plan_says_so() -> None:
    judge = starts.StartJudge({ISLAND: {1: A}})
    with violates(starts.BY_THE_PLAN):
        judge.started(ISLAND, 2, A)


# --- runs ----------------------------------------------------------------------------------------

OBJECT = "inbox/run-r-0"


def test_a_run_is_taken_in_and_deleted_when_a_user_says_so() -> None:
    judge = runs.RunJudge()
    judge.confirmed(OBJECT, "r")
    judge.in_force(a_plan(runs={}))
    judge.in_force(a_plan())
    judge.may_delete("r")
    judge.in_force(a_plan(runs={}))
    judge.deleted(OBJECT)


@pytest.mark.parametrize(
    "tell",
    [
        lambda judge: judge.in_force(a_plan(runs={})),
        lambda judge: judge.in_force(a_plan(runs={}, handled={OBJECT: "refused"})),
        lambda judge: judge.deleted(OBJECT),
    ],
)
def test_a_run_that_is_forgotten(tell: Callable[[runs.RunJudge], None]) -> None:
    judge = runs.RunJudge()
    judge.confirmed(OBJECT, "r")
    judge.in_force(a_plan())
    with violates(runs.RUN_STAYS):
        tell(judge)


def test_a_run_that_is_refused_at_once() -> None:
    judge = runs.RunJudge()
    judge.confirmed(OBJECT, "r")
    with violates(runs.RUN_STAYS):
        judge.in_force(a_plan(runs={}, handled={OBJECT: "refused"}))


# --- results -------------------------------------------------------------------------------------


def snapshot(grant: int, fitness: float, *, fit: bool = False) -> IslandSnapshot:
    genome = f"{fitness} {fit}".encode()
    return IslandSnapshot(
        run="r",
        task="t",
        island=0,
        problem=PROBLEM.name,
        version=PROBLEM.version,
        grant=grant,
        sequence=1,
        cover={},
        seed="0" * 32,
        generation=1,
        cursor=0,
        optimizer=b"",
        population=pack([Program.of(genome, KEY_OF(genome), (fitness,), fit)]),
        invalid=[],
        suspects=[],
        counters=Counters(),
    )


def a_result(fitness: float, *, fit: bool = False) -> Result:
    return Result(
        run="r",
        task="t",
        fit=fit,
        solved=None,
        program="x",
        key="0",
        fitness=[fitness],
        evaluations=1,
        seconds=1.0,
    )


NAME = "results/r/t/0"
ENTRY = TaskPlan(state=TaskState.DONE, islands=[IslandPlace(B, 2, [A])], result=NAME)
GRANTS = {ISLAND: {1: A, 2: B}}


def judged(result: Result | None, *told: Callable[[results.ResultJudge], None], entry: TaskPlan = ENTRY) -> None:
    """A result, after what is told; `b` is the owner and closes, `a` is a former owner."""
    judge = results.ResultJudge(GRANTS)
    judge.in_force(a_plan(B, 2))
    for tell in told:
        tell(judge)
    judge.created(NAME, B, 100)
    judge.named("r", "t", entry, 1, result)


def durable(owner: str, grant: int, fitness: float, moment: int, *, fit: bool = False) -> Any:
    return lambda judge: judge.durable(owner, snapshot(grant, fitness, fit=fit), moment)


def listed(moment: int, *told: IslandId) -> Any:
    return lambda judge: judge.listed(B, owner_checkpoints(A), moment, frozenset(told))


def test_a_result_that_is_good_enough() -> None:
    judged(a_result(3.0), durable(A, 1, 3.0, 10), durable(B, 2, 2.0, 20))
    # A fit program beats every fitness.
    judged(a_result(1.0, fit=True), durable(B, 2, 2.0, 20))
    # Written after the result, under a grant that nobody had, or for a run of the same name before.
    judged(a_result(1.0), durable(B, 2, 2.0, 101))
    judged(a_result(1.0), durable(A, 2, 2.0, 20))
    judged(a_result(1.0), durable(A, 0, 2.0, 20))
    # Written by a former owner after its checkpoints were last listed; what is listed after the result is no help.
    judged(a_result(1.0), listed(15), durable(A, 1, 2.0, 20))
    judged(a_result(1.0), listed(15), durable(A, 1, 2.0, 20), listed(110))
    # Nor is one for another island, when of this it was told already that it rests.
    judged(a_result(1.0), listed(15), durable(A, 1, 2.0, 20), listed(25, IslandId("r", "t", 0)))
    # A task that failed promises nothing.
    failed = TaskPlan(state=TaskState.FAILED, islands=ENTRY.islands, result=NAME)
    judged(a_result(1.0), durable(B, 2, 2.0, 20), entry=failed)


@pytest.mark.parametrize(
    "told",
    [
        [durable(B, 2, 2.0, 20)],
        [durable(A, 1, 2.0, 20)],
        [durable(A, 1, 2.0, 20), listed(25)],
        [durable(B, 2, 0.5, 20, fit=True)],
        # The last listing counts, and a listing of others' names is none.
        [durable(A, 1, 2.0, 20), listed(15), listed(25)],
        [durable(A, 1, 2.0, 20), lambda judge: judge.listed(B, owner_checkpoints(B), 15)],
        [durable(A, 1, 2.0, 20), listed(25, IslandId("r", "t", 1))],
    ],
)
def test_a_result_that_lost_something(told: list[Any]) -> None:
    with violates(results.NOTHING_LOST):
        judged(a_result(1.0), *told)


def test_an_extended_task_keeps_what_its_first_result_had() -> None:
    for fitness, moment in ((2.0, 101), (1.5, 99), (2.0, 99)):
        judge = results.ResultJudge(GRANTS | {ISLAND: {1: A, 2: B, 3: A}})
        judge.in_force(a_plan(B, 2))
        judge.created(NAME, B, 100)
        judge.named("r", "t", ENTRY, 1, a_result(2.0))
        judge.durable(B, snapshot(2, fitness), moment)
        judge.in_force(a_plan(A, 3, result=NAME))
        judge.created("results/r/t/1", B, 200)
        extended = TaskPlan(state=TaskState.DONE, islands=[IslandPlace(A, 3)], result="results/r/t/1")
        if (fitness, moment) == (2.0, 99):
            with violates(results.NOTHING_LOST):
                judge.named("r", "t", extended, 1, a_result(1.5))
        else:
            judge.named("r", "t", extended, 1, a_result(1.5))


def test_a_result_that_is_not_there_or_goes() -> None:
    with violates(results.NAMED_STAYS):
        judged(None)
    judge = results.ResultJudge(GRANTS)
    judge.in_force(a_plan(task=TaskState.DONE, result=NAME))
    with violates(results.NAMED_STAYS):
        judge.deleted(NAME)
    judge.in_force(a_plan(runs={}))
    judge.deleted(NAME)


# --- owners --------------------------------------------------------------------------------------


def test_an_island_whose_owner_dies_is_adopted_in_time() -> None:
    judge = orphans.OrphanJudge(bound=10)
    judge.sweep(a_plan(A), [A, B], 0, 0)
    judge.sweep(a_plan(A), [B], 0, 5)
    judge.sweep(a_plan(A), [B], 0, 15)
    judge.sweep(a_plan(B, 2), [B], 0, 16)
    judge.sweep(a_plan(B, 2), [B], 0, 99)


def test_an_island_without_an_owner_may_wait_for_its_turn() -> None:
    judge = orphans.OrphanJudge(bound=10)
    two = a_plan(A)
    two.runs["r"].tasks["u"] = TaskPlan(islands=[IslandPlace()])
    for now in (0, 50):
        judge.sweep(two, [A], 0, now)


def test_an_island_that_has_used_its_budget_up_needs_no_owner_until_that_is_raised() -> None:
    judge = orphans.OrphanJudge(bound=10)
    told = a_plan(A)
    judge.rests(IslandId("r", "t", 0), told.runs["r"].budget)
    for now in (0, 50):
        judge.sweep(told, [B], 0, now)
    told.runs["r"].budget = Budget(None, 200)
    with violates(orphans.ADOPTED_IN_TIME):
        for now in (51, 62):
            judge.sweep(told, [B], 0, now)


@pytest.mark.parametrize("owner", [A, ""])
def test_an_island_that_stays_an_orphan(owner: str) -> None:
    judge = orphans.OrphanJudge(bound=10)
    judge.sweep(a_plan(owner), [B], 0, 5)
    with violates(orphans.ADOPTED_IN_TIME):
        judge.sweep(a_plan(owner), [B], 0, 15.1)


def test_the_time_of_an_orphan_begins_anew_after_a_disturbance() -> None:
    judge = orphans.OrphanJudge(bound=10)
    judge.sweep(a_plan(A), [B], 0, 5)
    judge.sweep(a_plan(A), [B], 8, 18)
    with violates(orphans.ADOPTED_IN_TIME):
        judge.sweep(a_plan(A), [B], 8, 18.1)


@pytest.mark.parametrize(
    "told",
    [a_plan(A, run=RunState.PAUSED), a_plan(A, run=RunState.CANCELLED), a_plan(A, task=TaskState.DONE, result="x")],
)
def test_nobody_has_to_work_on_what_is_over(told: Plan) -> None:
    judge = orphans.OrphanJudge(bound=10)
    for now in (0, 50):
        judge.sweep(told, [B], 0, now)


# --- leaving -------------------------------------------------------------------------------------


def draining(state: MemberState = MemberState.ALIVE) -> Plan:
    return a_plan(A, members={"a": member("1", state, is_draining=True), "b": member("2")})


def test_who_is_drained_leaves_in_time() -> None:
    judge = leavers.LeaverJudge(bound=10)
    judge.sweep(draining(), [A], 0, 5)
    judge.sweep(draining(), [A], 0, 15)
    judge.sweep(draining(), [], 0, 99)
    # Who was only asked to stop, or is given up, is judged by others.
    for told in (a_plan(A), draining(MemberState.DEAD)):
        judge.sweep(told, [A], 0, 100)
        judge.sweep(told, [A], 0, 200)


def test_who_is_drained_and_stays() -> None:
    judge = leavers.LeaverJudge(bound=10)
    judge.sweep(draining(), [A], 0, 5)
    judge.sweep(draining(), [A], 8, 18)
    with violates(leavers.LEAVES_IN_TIME):
        judge.sweep(draining(), [A], 8, 18.1)


# --- balance -------------------------------------------------------------------------------------


def handed(judge: flaps.FlapJudge, owners: Sequence[str], **refused: list[str]) -> None:
    """An island that each of these works on is given to the next, one in a second."""
    for now, owner in enumerate(owners):
        judge.in_force(a_plan(owner), now, refused)
        judge.generated(ISLAND)


def test_an_island_that_comes_to_rest() -> None:
    judge = flaps.FlapJudge()
    handed(judge, (A, B, A, B, A))
    assert judge.moves == flaps.MOST_MOVES
    judge.in_force(a_plan(B), flaps.WINDOW_SECONDS + 5)
    # From who is dead or leaves it has to go, and from nobody it goes to somebody.
    for members in ({"a": member("1", MemberState.DEAD), "b": member("2", is_draining=True)},):
        for now, owner in enumerate((A, B, A, "", B, A), 100):
            judge.in_force(a_plan(owner, members=members), now)
    assert judge.moves == flaps.MOST_MOVES + 1


def test_an_island_that_is_handed_to_and_fro() -> None:
    judge = flaps.FlapJudge()
    handed(judge, (A, B, A, B, A))
    with violates(flaps.COMES_TO_REST):
        judge.in_force(a_plan(B), 50)


def test_an_island_that_waits_may_follow_idle_workers_but_not_for_ever() -> None:
    judge = flaps.FlapJudge()
    for now in range(flaps.MOST_WAITING_MOVES + 1):
        judge.in_force(a_plan((A, B)[now % 2]), now)
    with violates(flaps.COMES_TO_REST):
        judge.in_force(a_plan((A, B)[now % 2 - 1]), 50)


def test_who_refuses_an_island_is_excused_once() -> None:
    judge = flaps.FlapJudge()
    handed(judge, (A, B, A, B, A, B), a=["r"])
    assert judge.moves == flaps.MOST_MOVES
    with violates(flaps.COMES_TO_REST):
        judge.in_force(a_plan(A), 50, {"a": ["r"]})


def test_another_run_that_is_refused_excuses_nothing() -> None:
    judge = flaps.FlapJudge()
    with violates(flaps.COMES_TO_REST):
        handed(judge, (A, B, A, B, A, B), a=["other"], b=["other"])


# --- the calm ------------------------------------------------------------------------------------

BOUNDS = calm.Bounds.of(Times(), slowest_generation=5.0)


def moment(waited: float, **fields: Any) -> calm.Moment:
    """So many seconds into the calm, all being well."""
    now = 100.0 + waited
    known: dict[str, Any] = {
        "record": record(1),
        "swapped_at": now,
        "plan": a_plan(),
        "living": [A, B],
        "generated_at": now,
    }
    return calm.Moment(now=now, **(known | fields))


def test_a_cluster_that_heals() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.sweep(moment(0, record=None, plan=None))
    judge.sweep(moment(BOUNDS.coordinator - 1, record=record(1, "c-3")))
    judge.sweep(moment(BOUNDS.members - 1, plan=a_plan(members={"a": member("1")})))
    for waited in (BOUNDS.members + 1, BOUNDS.generation + 1):
        judge.sweep(moment(waited))
    judge.end(moment(BOUNDS.generation + 2), 0, ["inbox/command-1"], {"inbox/command-0": "cancel r"}, must_finish=False)


@pytest.mark.parametrize(
    ("invariant", "false"),
    [
        (calm.COORDINATED, {"record": None}),
        (calm.COORDINATED, {"record": released(1)}),
        (calm.COORDINATED, {"record": record(1, "c-3")}),
        (calm.COORDINATED, {"swapped_at": 100.0}),
        (calm.STEADY, {"record": record(2, B)}),
        (calm.ALL_MEMBERS, {"plan": a_plan(members={"a": member("1")})}),
        (calm.ALL_MEMBERS, {"plan": a_plan(members={"a": member("1"), "b": member("9")})}),
        (calm.ALL_MEMBERS, {"plan": None}),
        (calm.EVOLVING, {"generated_at": 100.0}),
    ],
)
def test_a_cluster_that_does_not_heal(invariant: str, false: dict[str, Any]) -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.sweep(moment(BOUNDS.members + 1))
    with violates(invariant):
        judge.sweep(moment(BOUNDS.generation + 1, **false))


def test_a_coordinator_that_is_drained_in_the_calm() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    late = BOUNDS.members + 1
    judge.sweep(moment(late))
    judge.sweep(moment(late + 5, living=[B], leaving=[A]))
    judge.sweep(moment(late + 10, living=[B], record=released(1), leaving=[A]))
    assert not judge.is_settled(moment(late + 10, living=[B], leaving=[A]))
    judge.sweep(moment(late + 15, living=[B], record=record(2, B), quiet_since=100.0 + late + 11))
    # From then on it is judged as at first.
    judge.sweep(moment(late + 11 + BOUNDS.coordinator + 1, living=[B], record=record(2, B), quiet_since=111.0 + late))
    with violates(calm.STEADY):
        again = record(3, A)
        judge.sweep(moment(late + 16 + BOUNDS.coordinator, record=again, quiet_since=111.0 + late))


def neighbours() -> Plan:
    """Two members have islands of one task."""
    told = a_plan(A)
    told.runs["r"].tasks["t"].islands.append(IslandPlace(B, 1))
    told.runs["r"].migration = MigrationSettings(interval=calm.PROMPT_INTERVAL)
    return told


def test_programs_that_do_not_migrate() -> None:
    for migrations in (1, 0):
        judge = calm.CalmJudge(BOUNDS, since=100)
        at_work = [(IslandId("r", "t", 0), A), (IslandId("r", "t", 1), B)]
        judge.sweep(moment(BOUNDS.generation + 1, plan=neighbours(), evolving=at_work))
        if migrations:
            judge.end(moment(200), 1, [], {}, must_finish=False)
        else:
            with violates(calm.MIGRATING):
                judge.end(moment(200), 0, [], {}, must_finish=False)


def test_islands_that_wait_need_not_migrate() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.sweep(moment(BOUNDS.generation + 1, plan=neighbours(), evolving=[(IslandId("r", "t", 0), A)]))
    judge.end(moment(200), 0, [], {}, must_finish=False)


def test_members_that_are_not_linked() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.linked(["a", "b", "c"], {"a"}, {("a", "b"), ("c", "a")})
    judge.linked(["b", "c"], set(), set())
    with violates(calm.LINKED):
        judge.linked(["a", "b", "c"], {"a"}, {("b", "c"), ("c", "a")})


def test_a_run_that_does_not_end() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    judge.end(moment(200, plan=a_plan(run=RunState.DONE)), 0, [], {}, must_finish=True)
    with violates(calm.FINISHED):
        judge.end(moment(200), 0, [], {}, must_finish=True)


def test_a_command_that_nobody_takes_in() -> None:
    judge = calm.CalmJudge(BOUNDS, since=100)
    handled = a_plan(handled={"inbox/command-0": "accepted"})
    judge.end(moment(200, plan=handled), 0, ["inbox/command-0"], {"inbox/command-0": "cancel r"}, must_finish=False)
    with violates(calm.CARRIED_OUT):
        judge.end(moment(200), 0, ["inbox/command-0"], {"inbox/command-0": "cancel r"}, must_finish=False)
