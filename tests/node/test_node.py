"""The node for a cluster of one: what it decides, and that what it decided survives everything."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from distevo.cluster import decode_cluster
from distevo.command import Verb
from distevo.desk import ANSWER_SECONDS
from distevo.events import Death, IslandId, Outcome, StopRequested, StoreAnswer, WorkerDied, WorkerReady
from distevo.instructions import CreateObject, DeleteObject, ReadObject, ReplaceObject, StoreInstruction
from distevo.ledger import FORMER_KEPT
from distevo.names import CHECKPOINTS, RESULTS
from distevo.outbox import DAMAGED_READS
from distevo.plan import RunState, decode_plan
from distevo.result import decode_result
from distevo.run import Budget
from tests.node.world import KEY_OF, Objects, World

T0, T1 = IslandId("r", "t0", 0), IslandId("r", "t1", 0)


def finish(world: World, island: IslandId, fit: bool = True) -> None:
    """Bring a task to its end."""
    while island in world.running:
        world.generation(island, fitness=1.0, fit=fit, evaluations=500)
    world.verify()
    world.pass_time(1)


def results(objects: Objects) -> list[str]:
    return sorted(name for name in objects if name.startswith(RESULTS))


def plan(objects: Objects) -> object:
    record = decode_cluster(objects["cluster"][0])
    assert record.plan is not None
    return decode_plan(objects[record.plan][0])


def test_it_takes_the_lease_and_keeps_renewing_it() -> None:
    world = World()
    record = decode_cluster(world.objects["cluster"][0])
    assert (record.holder, record.boot, record.epoch) == ("m", "b0", 1)
    world.pass_time(60)
    assert world.node.lease.is_held
    assert 11 <= len(world.swaps) <= 14  # A third of the time to live of 15 s apart.
    assert decode_cluster(world.objects["cluster"][0]).epoch == 1


def test_a_run_is_worked_through_in_order_and_its_results_are_named() -> None:
    world = World(workers=1)
    world.submit(tasks=4)
    assert list(world.running) == [T0, T1]  # One to work on and one ahead.
    finish(world, T0)
    assert list(world.running) == [T1, IslandId("r", "t2", 0)]
    for island in (T1, IslandId("r", "t2", 0), IslandId("r", "t3", 0)):
        finish(world, island)
    run = world.node.plan.runs["r"]
    assert run.state is RunState.DONE
    assert [task.solved for task in run.tasks.values()] == [True] * 4
    assert sorted(task.result or "" for task in run.tasks.values()) == results(world.objects)
    result, _ = decode_result(world.objects[run.tasks["t0"].result or ""][0])
    assert (result.program, result.fit, result.evaluations) == ("r/t0/0:1", True, 500)


def test_all_islands_of_a_task_evolve_side_by_side_as_far_as_there_is_room() -> None:
    world = World(workers=1)
    world.submit(tasks=3, islands=3)
    assert {(island.task, island.island) for island in world.running} == {("t0", 0), ("t0", 1), ("t0", 2)}
    again = World(workers=1)
    again.submit(tasks=3)
    assert {island.task for island in again.running} == {"t0", "t1"}


def test_a_run_that_waits_in_the_inbox_is_in_the_very_first_swap() -> None:
    first = World()
    first.submit(tasks=1)
    first.stop()
    before = len(first.swaps)
    second = World(first.objects, boot="b1", start=first.now)
    assert second.swaps == [second.now]
    assert list(second.running) == [T0]
    assert before >= 2


def test_budgets_are_shared_among_islands_and_end_the_task() -> None:
    world = World()
    world.submit(tasks=1, islands=3, evaluations=100)
    assert [start.budget.evaluations for start in world.running.values()] == [34, 33, 33]
    for island in list(world.running):
        while island in world.running:
            world.generation(island)
    world.verify()
    world.pass_time(1)
    task = world.node.plan.runs["r"].tasks["t0"]
    assert (task.fit, task.solved, task.evaluations) == (False, False, 120)


def test_a_fit_island_stops_its_siblings() -> None:
    world = World()
    world.submit(tasks=1, islands=3)
    world.generation(IslandId("r", "t0", 1), fit=True)
    assert world.running == {}
    assert world.verifying[0].genome == b"r/t0/1:1"


def test_a_restart_goes_on_from_the_checkpoint_under_a_higher_grant() -> None:
    world = World()
    world.submit(tasks=1)
    for _ in range(5):
        world.generation(T0)
    world.pass_time(2)
    again = World(world.objects, boot="b1", start=world.now)
    snapshot = again.running[T0].snapshot
    assert (snapshot.generation, snapshot.grant) == (5, 3)
    assert snapshot.counters.evaluations == 50
    assert list(snapshot.cover) == [2]
    # And once more, from what the second boot has written.
    again.generation(T0)
    again.pass_time(10)
    third = World(again.objects, boot="b2", start=again.now)
    assert (third.running[T0].snapshot.generation, third.running[T0].snapshot.grant) == (6, 4)


def test_former_owners_are_forgotten_when_nothing_that_they_left_is_needed() -> None:
    world = World()
    world.submit(tasks=1, evaluations=10**6)
    for number in range(4 * FORMER_KEPT):
        for _ in range(6):
            world.generation(T0)
            world.pass_time(2)
        if number == 3:
            world.objects[f"{CHECKPOINTS}m-c2/9999"] = b"damaged: nobody knows what it holds", 1
        world = World(world.objects, boot=f"c{number:x}", start=world.now + 1)
    world.pass_time(3)
    former = world.node.following.plan.runs["r"].tasks["t0"].islands[0].former
    assert former[0] == "m-c2"
    assert len(former) < 2 * FORMER_KEPT
    assert world.running[T0].snapshot.generation > 4 * 4 * FORMER_KEPT


def test_checkpoints_are_due_by_generations_or_by_time_and_pruned_when_covered() -> None:
    world = World()
    world.submit(tasks=1, evaluations=10**6)
    world.generation(T0)
    assert not [name for name in world.objects if name.startswith(CHECKPOINTS)]
    world.pass_time(5)
    assert len([name for name in world.objects if name.startswith(CHECKPOINTS)]) == 1
    for _ in range(40):
        world.generation(T0)
        world.pass_time(0.3)
    kept = sorted(name for name in world.objects if name.startswith(CHECKPOINTS))
    assert 2 <= len(kept) <= 3
    finish(world, T0)
    world.pass_time(10)
    world.submit(name="s", tasks=1)
    for _ in range(5):
        world.generation(IslandId("s", "t0", 0))
    world.pass_time(2)
    remaining = [name for name in world.objects if name.startswith(CHECKPOINTS)]
    assert len(remaining) == 1
    assert not set(remaining) & set(kept)


def test_an_old_boots_checkpoint_stays_until_two_of_the_new_cover_it() -> None:
    world = World()
    world.submit(tasks=1, evaluations=10**6)
    for _ in range(5):
        world.generation(T0)
    world.pass_time(2)
    again = World(world.objects, boot="b1", start=world.now)
    old = next(name for name in again.objects if name.startswith(CHECKPOINTS))
    for expected in (True, True, False):
        assert (old in again.objects) is expected
        for _ in range(5):
            again.generation(T0)
        again.pass_time(2)
    assert old not in again.objects


def test_a_lost_result_is_made_again_and_the_orphan_is_swept() -> None:
    world = World()
    world.submit(tasks=1)
    world.generation(T0)
    world.pass_time(6)
    world.fault = lambda i: Outcome.UNAVAILABLE if isinstance(i, ReplaceObject) else None
    world.generation(T0, fit=True)
    world.verify()
    assert len(results(world.objects)) == 1  # Written, and named by no plan.
    again = World(world.objects, boot="b1", start=world.now)
    again.generation(T0)
    again.generation(T0, fit=True)
    again.verify()
    again.pass_time(1)
    task = again.node.plan.runs["r"].tasks["t0"]
    assert results(again.objects) == [task.result]


@pytest.mark.parametrize("outcome", [Outcome.UNAVAILABLE, Outcome.UNKNOWN])
def test_with_the_store_away_work_goes_on_and_all_heals(outcome: Outcome) -> None:
    world = World(workers=1)
    world.submit(tasks=3)
    world.fault = lambda _: outcome
    for _ in range(8):
        world.generation(T0)
        world.pass_time(5)
    assert not world.node.lease.is_held
    finish(world, T0)
    assert T1 in world.running
    world.fault = lambda _: None
    world.pass_time(5)
    assert world.node.lease.is_held
    assert world.node.plan.runs["r"].tasks["t0"].fit
    assert len(results(world.objects)) == 1
    assert decode_cluster(world.objects["cluster"][0]).epoch == 1


def test_a_swap_whose_answer_is_lost_is_known_again_by_its_nonce() -> None:
    world = World()
    world.lost = lambda i: isinstance(i, ReplaceObject)
    world.submit(tasks=1)
    finish(world, T0)
    world.pass_time(30)
    assert world.node.lease.is_held
    assert world.node.plan.runs["r"].state is RunState.DONE


def test_another_members_lease_is_respected_and_taken_when_it_falls_silent() -> None:
    holder = World(member="other", boot="b9")
    holder.submit(tasks=1)
    watcher = World(holder.objects, start=holder.now)
    for _ in range(10):
        holder.now = watcher.now
        holder.pass_time(6)
        watcher.pass_time(6)
    assert not watcher.node.lease.is_held
    assert watcher.running == {}
    watcher.pass_time(30)
    assert watcher.node.lease.is_held
    assert decode_cluster(watcher.objects["cluster"][0]).epoch == 2
    # Its mail was read all the time: it counts as dead when that has been silent for long enough.
    watcher.pass_time(60)
    assert list(watcher.running) == [T0]
    # The old holder wakes up and finds itself fenced: it writes nothing more and lets its island go.
    before = dict(watcher.objects)
    holder.now = watcher.now
    holder.pass_time(4)
    assert holder.running == {}
    assert not holder.node.lease.is_held
    assert watcher.objects["cluster"] == before["cluster"]


def test_a_clean_stop_saves_releases_and_ends() -> None:
    world = World()
    world.submit(tasks=1)
    world.generation(T0)
    world.stop()
    assert world.exit == ""
    assert decode_cluster(world.objects["cluster"][0]).holder == ""
    again = World(world.objects, boot="b1", start=world.now)
    assert again.running[T0].snapshot.generation == 1


def test_a_stop_with_the_store_away_ends_in_time_and_says_so() -> None:
    world = World()
    world.submit(tasks=1)
    world.generation(T0)
    world.fault = lambda _: Outcome.UNAVAILABLE
    begun = world.now
    world.feed(StopRequested())
    world.pass_time(5)
    assert world.exit is not None
    assert "checkpoint" in world.exit
    assert world.now - begun <= 5


def test_a_vanished_cluster_object_stops_the_node_loudly() -> None:
    world = World()
    del world.objects["cluster"]
    world.fault = lambda i: Outcome.CONFLICT if isinstance(i, ReplaceObject) else None
    world.pass_time(30)
    assert world.exit is not None
    assert "vanished" in world.exit


# --- commands -------------------------------------------------------------------------------------


def test_pause_keeps_the_state_and_resume_goes_on() -> None:
    world = World()
    world.submit(tasks=1)
    world.generation(T0)
    assert world.command(Verb.PAUSE) == "accepted"
    assert world.running == {}
    assert world.command(Verb.PAUSE) != "accepted"
    world.pass_time(10)
    assert world.command(Verb.RESUME) == "accepted"
    assert world.running[T0].snapshot.generation == 1


def test_of_two_boots_of_one_platform_the_older_ends_with_an_error() -> None:
    world = World()
    again = World(world.objects, boot="b1", start=world.now)
    world.pass_time(10)
    assert again.exit is None
    assert "another start" in (world.exit or "")


def test_a_paused_run_is_resumed_after_a_restart_from_its_checkpoint() -> None:
    world = World()
    world.submit(tasks=1)
    world.generation(T0)
    world.command(Verb.PAUSE)
    world.stop()
    again = World(world.objects, boot="b1", start=world.now)
    assert again.running == {}
    again.submit(name="s", tasks=1)  # Other work goes on, and its checkpoints do not push the paused run's out.
    for _ in range(30):
        again.generation(IslandId("s", "t0", 0))
        again.pass_time(1)
    assert again.command(Verb.RESUME) == "accepted"
    assert again.running[T0].snapshot.generation == 1


def test_cancel_keeps_the_best_so_far() -> None:
    world = World(workers=1)
    world.submit(tasks=3)
    world.generation(T0, fitness=0.7)
    assert world.command(Verb.CANCEL) == "accepted"
    world.verify()
    world.pass_time(1)
    run = world.node.plan.runs["r"]
    assert run.state is RunState.CANCELLED
    result, _ = decode_result(world.objects[run.tasks["t0"].result or ""][0])
    assert result.fitness == [0.7]
    assert world.running == {}
    assert "cancelled" in world.command(Verb.CANCEL)


def test_extend_goes_on_from_where_it_stopped() -> None:
    world = World()
    world.submit(tasks=2, evaluations=100)
    finish(world, T0)
    while T1 in world.running:
        world.generation(T1)
    world.verify()
    world.pass_time(1)
    assert world.node.plan.runs["r"].state is RunState.DONE
    assert "raised" in world.command(Verb.EXTEND, budget=Budget(None, 50))
    assert world.command(Verb.EXTEND, budget=Budget(None, 200)) == "accepted"
    assert list(world.running) == [T1]  # The fit one is done for good.
    start = world.running[T1]
    assert (start.snapshot.generation, start.snapshot.counters.evaluations) == (10, 100)
    assert start.budget.evaluations == 200
    finish(world, T1)
    run = world.node.plan.runs["r"]
    assert run.state is RunState.DONE
    assert run.tasks["t1"].fit
    assert len([name for name in results(world.objects) if "/t1/" in name]) == 1


def test_extend_while_running_raises_the_limit() -> None:
    world = World()
    world.submit(tasks=1, islands=2, evaluations=100)
    world.generation(T0, evaluations=50)
    assert T0 not in world.running
    assert world.command(Verb.EXTEND, budget=Budget(None, 1000)) == "accepted"
    assert [start.budget.evaluations for start in world.running.values()] == [500, 500]


def test_delete_forgets_the_run_and_its_objects() -> None:
    world = World()
    world.submit(tasks=1)
    assert "cancel it first" in world.command(Verb.DELETE)
    finish(world, T0)
    assert world.command(Verb.DELETE) == "accepted"
    world.pass_time(2 * ANSWER_SECONDS)
    assert results(world.objects) == []
    assert not [name for name in world.objects if name.startswith("inbox/")]
    assert world.node.plan.runs == {}
    assert world.node.plan.handled == {}
    world.submit(tasks=1)  # The name is free again.
    assert list(world.running) == [T0]


def test_a_deleted_run_does_not_come_back_when_the_delete_is_lost() -> None:
    world = World()
    world.submit(tasks=1)
    finish(world, T0)
    world.fault = lambda i: Outcome.UNAVAILABLE if isinstance(i, DeleteObject) else None
    world.command(Verb.DELETE)
    again = World(world.objects, boot="b1", start=world.now)
    again.pass_time(30)
    assert again.node.plan.runs == {}
    assert not [name for name in again.objects if name.startswith("inbox/")]


def test_a_second_run_of_the_same_name_is_refused_and_cleared_away() -> None:
    world = World()
    world.submit(tasks=1)
    first = next(name for name in world.objects if name.startswith("inbox/run-"))
    world.objects["inbox/run-r-other"] = world.objects[first]
    world.pass_time(15)
    assert str(world.node.outcome("inbox/run-r-other")).startswith("a run named")
    assert "inbox/run-r-other" not in world.objects


def test_rubbish_in_the_inbox_is_refused_and_left_for_a_person() -> None:
    world = World()
    world.objects["inbox/run-x-1"] = b"rubbish", 1
    world.pass_time(30)
    assert str(world.node.outcome("inbox/run-x-1")).startswith("unreadable")
    assert "inbox/run-x-1" in world.objects
    assert len([log for log in world.logs if log.message == "an inbox object is refused"]) == 1


def test_a_stray_object_in_the_inbox_is_named_once_and_never_read() -> None:
    read: list[str] = []

    def noted(instruction: StoreInstruction) -> None:
        if isinstance(instruction, ReadObject):
            read.append(instruction.name)

    objects = World().objects
    objects["inbox/stray"] = b"rubbish", 1
    world = World(objects, boot="b1", start=5000.0, fault=noted)
    world.pass_time(120)
    assert world.node.term is not None
    assert world.node.plan.members["m"].boot == "b1"
    assert "inbox/stray" not in read
    assert len([log for log in world.logs if log.message == "an inbox object is left alone"]) == 1
    assert "inbox/stray" in world.objects


def test_a_file_of_unknown_origin_waits_for_leave() -> None:
    world = World()
    world.submit(tasks=1, source="class P: ...")
    run = world.node.plan.runs["r"]
    assert run.state is RunState.QUEUED
    assert run.note is not None
    assert "--allow-problems" in run.note
    assert world.running == {}


# --- workers --------------------------------------------------------------------------------------


def died(world: World, island: IslandId, cause: Death, culprit: bytes | None) -> None:
    slot = world.running[island].slot
    for lost in [known for known, start in world.running.items() if start.slot == slot]:
        del world.running[lost]
    world.feed(WorkerDied(slot, cause, island, culprit))
    world.pass_time(0.3)


@pytest.mark.parametrize(
    ("cause", "deaths"), [(Death.TIME_OUT, 1), (Death.MEMORY, 1), (Death.KILLED, 2), (Death.CRASHED, 2)]
)
def test_a_culprit_is_invalid_at_once_or_at_the_second_death(cause: Death, deaths: int) -> None:
    world = World(workers=1)
    world.submit(tasks=1, islands=2)
    world.generation(T0)
    for _ in range(deaths):
        assert KEY_OF(b"bad") not in world.running[T0].snapshot.invalid
        died(world, T0, cause, b"bad")
    snapshot = world.running[T0].snapshot
    assert snapshot.invalid == [KEY_OF(b"bad")]
    assert snapshot.generation == 1
    assert IslandId("r", "t0", 1) in world.running  # The other island of the worker goes on too.
    # A report of the generation keeps the verdict.
    world.generation(T0)
    assert world.node.foreman.islands[T0].state.invalid == [KEY_OF(b"bad")]


def test_blameless_deaths_change_the_attempt_and_then_fail_the_task() -> None:
    world = World(workers=1)
    world.submit(tasks=2)
    for attempt in range(3):
        assert world.running[T0].attempt == attempt
        died(world, T0, Death.CRASHED, None)
    world.pass_time(1)
    run = world.node.plan.runs["r"]
    assert run.tasks["t0"].error is not None
    assert "3 workers died" in run.tasks["t0"].error
    assert T1 in world.running


def test_a_worker_that_dies_while_verifying_gets_a_second_chance() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.generation(T0, fit=True)
    order = world.verifying.pop()
    world.feed(WorkerDied(order.slot, Death.CRASHED, T0, order.genome))
    assert [again.genome for again in world.verifying] == [order.genome]
    world.verifying.clear()
    world.feed(WorkerDied(order.slot, Death.CRASHED, T0, order.genome))
    world.pass_time(1)
    task = world.node.plan.runs["r"].tasks["t0"]
    assert task.result is not None
    assert task.solved is None
    assert task.error is not None


def test_workers_that_die_before_they_are_ready_are_started_ever_more_slowly() -> None:
    world = World(workers=1)
    starts = []
    world.node.slots.slots[0].is_ready = False
    original = world.do
    world.do = lambda instructions: original(  # type: ignore[method-assign]
        [i for i in instructions if not (type(i).__name__ == "StartWorker" and starts.append(world.now) is None)]  # type: ignore[func-returns-value]
    )
    for _ in range(6):
        world.feed(WorkerDied(0, Death.CRASHED, None, None))
        world.pass_time(31)
    gaps = [start - (100 + 31 * number) for number, start in enumerate(starts)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 1 < gaps[-1] < 31
    world.feed(WorkerReady(0))
    world.submit(tasks=1)
    world.generation(T0)
    assert world.node.slots.slots[0].stillborn == 0


def test_the_same_events_give_the_same_instructions() -> None:
    def trace() -> list[str]:
        world = World()
        seen: list[str] = []
        original = world.node.handle
        world.node.handle = lambda event, now: [seen.append(repr(i)) or i for i in original(event, now)]  # type: ignore[method-assign,func-returns-value]
        world.submit(tasks=3, islands=2)
        for island in list(world.running):
            if island in world.running:
                world.generation(island, fit=True)
        world.verify()
        world.stop()
        return seen

    first = trace()
    assert len(first) > 20
    assert first == trace()


def test_superseded_plans_go_after_an_hour_also_those_of_an_earlier_boot() -> None:
    world = World()
    world.submit(tasks=1)
    assert len([name for name in world.objects if name.startswith("plans/")]) == 2
    again = World(world.objects, boot="b1", start=world.now)
    again.pass_time(3500)
    assert len([name for name in again.objects if name.startswith("plans/")]) == 3
    again.pass_time(200)
    record = decode_cluster(again.objects["cluster"][0])
    assert [name for name in again.objects if name.startswith("plans/")] == [record.plan]


def test_superseded_plans_go_though_no_term_lasts_an_hour() -> None:
    world, plans = World(), []
    world.submit(tasks=1)
    for term in range(6):
        for priority in range(10):
            world.command(Verb.PRIORITY, priority=term + priority)
            world.pass_time(250)
        world = World(world.objects, boot=f"c{term}", start=world.now)
        plans.append(len([name for name in world.objects if name.startswith("plans/")]))
    assert max(plans) == max(plans[:3])


def test_a_damaged_cluster_object_ends_the_node_loudly() -> None:
    world = World()
    data, token = world.objects["cluster"]
    world.objects["cluster"] = data.replace(b"b0", b"b9"), token
    again = World(world.objects, boot="b1", start=world.now)
    assert again.exit is not None
    assert "damaged" in again.exit


class BadWay(World):
    """The first reads of each object arrive with their end missing."""

    def __init__(self, *given: Any, damaged: int, **named: Any) -> None:
        self.damaged, self.reads = damaged, Counter[str]()
        super().__init__(*given, **named)

    def _carry_out(self, instruction: StoreInstruction) -> StoreAnswer:
        answer = super()._carry_out(instruction)
        if not isinstance(instruction, ReadObject) or answer.outcome is not Outcome.DONE:
            return answer
        self.reads[instruction.name] += 1
        is_cut = self.reads[instruction.name] <= self.damaged
        return msgspec.structs.replace(answer, data=answer.data[:-1]) if is_cut else answer


def test_an_object_that_arrives_damaged_is_read_again_at_once() -> None:
    world = World()
    world.submit(tasks=1)
    again = BadWay(dict(world.objects), boot="b1", start=world.now, damaged=DAMAGED_READS - 1)
    again.pass_time(30)
    assert again.exit is None
    assert "r" in again.plan.runs
    assert BadWay(dict(world.objects), boot="b2", start=world.now, damaged=DAMAGED_READS).exit is not None


def test_creates_are_never_taken_for_decisions() -> None:
    """A plan object that was created and not pointed at changes nothing."""
    world = World()
    world.submit(tasks=1)
    named = decode_cluster(world.objects["cluster"][0]).plan
    world.objects["plans/9-99-ffff"] = world.objects[named or ""]
    again = World(world.objects, boot="b1", start=world.now)
    assert again.node.plan.epoch == 2
    assert isinstance(CreateObject(1, "x", b""), CreateObject)
