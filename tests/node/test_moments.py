"""Bad moments: what happens between a decision and its being durable, and to orders that meet each other."""

from __future__ import annotations

from distevo.command import Verb
from distevo.events import (
    Death,
    IslandFailed,
    IslandId,
    Outcome,
    ProblemMissing,
    StopRequested,
    Tick,
    WorkerDied,
    WorkersFinished,
)
from distevo.instructions import ReadObject, ReplaceObject, StoreInstruction
from distevo.messages import Heartbeat
from distevo.names import CLUSTER
from distevo.plan import RunState
from distevo.result import decode_result
from distevo.run import Budget
from tests.node.test_leavers import cluster
from tests.node.test_node import T0, T1, finish
from tests.node.world import World


def test_a_worker_that_dies_taking_its_order_in_is_blamed_on_that_order() -> None:
    world = World(workers=1)
    world.submit(tasks=2)
    for _ in range(3):
        world.running.clear()
        world.feed(WorkerDied(0, Death.KILLED, None, None))
        world.pass_time(1)
    assert world.node.plan.runs["r"].tasks["t0"].error is not None
    assert T1 in world.running


def test_a_result_that_is_not_durable_does_not_cost_its_islands_their_checkpoints() -> None:
    world = World(workers=1)
    world.submit(tasks=2, evaluations=10**6)
    for _ in range(5):
        world.generation(T0)
    world.pass_time(2)
    world.fault = lambda i: Outcome.UNAVAILABLE if isinstance(i, ReplaceObject) else None
    world.generation(T0, fit=True)
    world.verify()
    for _ in range(15):
        world.generation(T1)
        world.pass_time(0.5)
    again = World(world.objects, boot="b1", start=world.now)
    # What the first boot found is in its checkpoints, since no durable plan says that the task is closed.
    assert [order.genome for order in again.verifying] == [b"r/t0/0:6"]


def test_a_cancelled_run_keeps_its_checkpoints_until_that_is_durable() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=10**6)
    for _ in range(5):
        world.generation(T0)
    world.pass_time(2)
    world.fault = lambda i: Outcome.UNAVAILABLE if isinstance(i, ReplaceObject) else None
    world.order(Verb.CANCEL)
    world.pass_time(5)
    assert world.node.plan.runs["r"].state is RunState.CANCELLED
    again = World(world.objects, boot="b1", start=world.now)  # It finds the command in the inbox once more.
    assert [order.genome for order in again.verifying] == [b"r/t0/0:5"]
    again.verify()
    again.pass_time(1)
    assert again.node.plan.runs["r"].tasks["t0"].result in again.objects


def test_a_run_that_takes_a_deleted_runs_name_inherits_nothing() -> None:
    world = World()
    world.submit(tasks=1)
    for _ in range(4):
        world.generation(T0)
    world.generation(T0, fit=True)
    world.verify()
    world.pass_time(60)
    assert world.command(Verb.DELETE) == "accepted"
    world.pass_time(45)
    world.submit(tasks=1, seed=99, nonce="n1")
    seed = world.running[T0].snapshot.seed
    again = World(world.objects, boot="b1", start=world.now)
    assert (again.running[T0].snapshot.generation, again.running[T0].snapshot.seed) == (0, seed)


def test_cancelling_a_paused_run_after_a_restart_keeps_its_best() -> None:
    world = World()
    world.submit(tasks=2)
    world.generation(T0, fitness=0.7)
    world.command(Verb.PAUSE)
    world.stop()
    again = World(world.objects, boot="b1", start=world.now)
    assert again.node.foreman.islands[T0].state.counters.evaluations == 10  # Shown, too.
    assert again.command(Verb.CANCEL) == "accepted"
    again.verify()
    again.pass_time(1)
    task = again.node.plan.runs["r"].tasks["t0"]
    assert decode_result(again.objects[task.result or ""][0])[0].fitness == [0.7]


def test_extending_a_run_with_nothing_left_to_do_is_refused() -> None:
    world = World()
    world.submit(tasks=1)
    finish(world, T0)
    assert "no unfit task" in world.command(Verb.EXTEND, budget=Budget(None, 10**6))
    assert world.node.plan.runs["r"].state is RunState.DONE
    assert world.node.plan.runs["r"].budget == Budget(None, 1000)


def test_extending_a_run_whose_unfit_tasks_failed_says_how_many() -> None:
    world = World()
    world.submit(tasks=3)
    finish(world, T0)
    for number in (1, 2):
        world.feed(IslandFailed(0, IslandId("r", f"t{number}", 0), "boom"))
    world.pass_time(2)
    assert "2 failed" in world.command(Verb.EXTEND, budget=Budget(None, 10**6))


def test_a_report_by_the_old_budget_does_not_end_an_extended_island() -> None:
    world = World()
    world.submit(tasks=1, evaluations=100)
    late = world.running[T0]
    assert world.command(Verb.EXTEND, budget=Budget(None, 10_000)) == "accepted"
    world.running[T0] = late
    world.generation(T0, evaluations=100)  # The worker has not heard, says that it is spent, and drops the island.
    assert world.node.plan.runs["r"].state is RunState.RUNNING
    assert world.running[T0].budget.evaluations == 10_000
    finish(world, T0)
    assert world.node.plan.runs["r"].tasks["t0"].fit


def test_a_worker_with_nothing_to_do_gets_an_island_that_waits_elsewhere() -> None:
    world = World(workers=2)
    world.submit(tasks=3)
    slots = {island.task: start.slot for island, start in world.running.items()}
    assert sorted(slots.values()) == [0, 0, 1]
    alone = next(task for task, slot in slots.items() if slot == 1)
    finish(world, IslandId("r", alone, 0))
    assert sorted(start.slot for start in world.running.values()) == [0, 1]


def test_a_run_whose_problem_is_missing_here_waits_and_says_so() -> None:
    world = World()
    world.submit(tasks=2)
    world.submit(name="s", tasks=1)
    world.feed(ProblemMissing(world.running[T0].slot, T0, "no module named toy"))
    world.pass_time(1)
    run = world.node.plan.runs["r"]
    assert (run.state, run.note) == (RunState.QUEUED, "no module named toy")
    assert [island.run for island in world.running] == ["s"]
    again = World(world.objects, boot="b1", start=world.now)  # Another start may have it.
    assert T0 in again.running


def test_a_run_that_all_who_could_have_it_refuse_says_so() -> None:
    """The coordinator has a share of nothing, and could work on it."""
    world = World(shard=lambda _platforms, total: {"m": 0, "other": total})
    world.join("other")
    world.submit(tasks=1)
    world.hear("other", Heartbeat(incarnation=0, progress=1, interval=10.0, refuses={"r": "no module named toy"}))
    world.pass_time(10)
    run = world.node.plan.runs["r"]
    assert (run.state, run.note) == (RunState.QUEUED, "no module named toy")


def test_a_stop_does_not_spin_while_workers_finish() -> None:
    world = World()
    world.submit(tasks=1)
    world.finishes = False
    for _ in range(5):
        world.generation(T0)
    world.feed(StopRequested())
    world.pass_time(0.5)  # A node that asks for a tick again and again fails in here.
    world.generation(T0)
    world.feed(WorkersFinished())
    world.pass_time(3)
    assert world.exit == ""
    again = World(world.objects, boot="b1", start=world.now)
    assert again.running[T0].snapshot.generation == 6


def test_a_plan_that_is_named_right_after_another_is_looked_at_as_soon_as_may_be() -> None:
    _, follower = cluster()
    interval = follower.node.settings.swap_interval
    follower.node.look_soon(follower.now)
    follower.feed(Tick())
    looked_at = follower.now
    follower.node.look_soon(looked_at + 0.1)
    follower.feed(Tick())
    assert follower.node.next_deadline() == looked_at + interval
    reads: list[float] = []

    def note(instruction: StoreInstruction) -> Outcome | None:
        if isinstance(instruction, ReadObject) and instruction.name == CLUSTER:
            reads.append(follower.now)
        return None

    follower.fault = note
    follower.pass_time(2 * interval)
    assert reads[0] == looked_at + interval
