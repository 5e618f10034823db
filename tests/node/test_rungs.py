"""Rising budgets and priorities: what is worked on when, from where it goes on, and what a death leaves of it."""

from __future__ import annotations

import msgspec

from distevo.block import pack, unpack
from distevo.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from distevo.cluster import decode_cluster
from distevo.command import Verb
from distevo.events import IslandFailed, IslandId, ResultUnencodable, Verified
from distevo.names import CHECKPOINTS, RESULTS, checkpoint_name
from distevo.news import Report
from distevo.plan import RunState, TaskState
from distevo.population import Population
from distevo.program import Program
from distevo.result import decode_result
from distevo.run import Budget
from distevo.stored_view import Found, task
from distevo.view import run_view
from tests.node.world import KEY_OF, World

RUNGS = (Budget(None, 20), Budget(None, 50))


def island(task: int, run: str = "r", index: int = 0) -> IslandId:
    return IslandId(run, f"t{task}", index)


def spend(world: World, which: IslandId) -> None:
    """Work on an island until its share is used up, and let the coordinator see to that."""
    budget = world.running[which].budget
    while which in world.running and world.running[which].budget == budget:
        world.generation(which)
    world.pass_time(1)


def test_a_task_that_has_used_a_rung_up_waits_behind_all_that_have_not() -> None:
    world = World(workers=1)
    world.submit(tasks=4, evaluations=100, rungs=RUNGS)
    order = []
    while world.running:
        which = next(iter(world.running))
        order.append((which.task, world.running[which].budget.evaluations))
        spend(world, which)
    first = [("t0", 20), ("t1", 20), ("t2", 20), ("t3", 20)]
    assert order[:4] == first
    assert sorted(order[4:8]) == [(task, 50) for task, _ in first]
    assert sorted(order[8:]) == [(task, 100) for task, _ in first]
    world.verify()
    world.pass_time(1)
    run = world.plan.runs["r"]
    assert run.state is RunState.DONE
    assert {task.evaluations for task in run.tasks.values()} == {100}  # Nothing was done twice.


def test_it_goes_on_from_where_it_was_and_is_not_looked_at_again_before_its_end() -> None:
    world = World(workers=1)
    world.submit(tasks=2, evaluations=100, rungs=RUNGS)
    spend(world, island(0))
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.rung, entry.evaluations) == (TaskState.OPEN, 1, 20)
    assert entry.first_grant > 1
    assert not world.verifying
    result, _ = decode_result(world.objects[entry.result or ""][0])
    assert (result.fit, result.solved, result.evaluations) == (False, None, 20)
    shown = task(Found(plan=world.plan), "r", "t0", result)
    assert (shown["state"], shown["evaluations"], shown["fitness"]) == ("open", 20, result.fitness)
    start = world.running[island(0)]
    assert (start.snapshot.generation, start.snapshot.counters.evaluations) == (2, 20)
    assert start.budget == Budget(None, 50)


def test_a_task_whose_states_make_no_object_ends_on_its_rung_since_nobody_could_go_on_from_there() -> None:
    world = World(workers=1)
    world.encodes = False
    world.submit(tasks=2, evaluations=100, rungs=RUNGS)
    spend(world, island(0))
    (order,) = world.encoding
    world.encoding.clear()
    world.feed(ResultUnencodable(order.number, "too large"))
    world.pass_time(1)
    world.verify()
    world.encodes = True
    world.encode()
    world.pass_time(1)
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.rung, entry.evaluations) == (TaskState.DONE, 0, 20)


def test_what_an_extended_task_has_reached_on_a_rung_is_looked_at_since_it_stands_if_the_rest_fails() -> None:
    for is_genuine, kept in ((True, 0.7), (False, 0.5)):
        world = World(workers=1)
        world.submit(tasks=2, evaluations=100, rungs=RUNGS)
        world.generation(island(0), fitness=0.5)
        world.order(Verb.CANCEL)
        world.verify()
        world.pass_time(1)
        assert world.command(Verb.EXTEND, budget=Budget(None, 200)) == "accepted"
        world.pass_time(1)
        world.generation(island(0), fitness=0.7)
        world.pass_time(1)
        (order,) = world.verifying
        world.verifying = []
        found = (0.7,) if is_genuine else (0.6,)
        world.feed(Verified(order.run, order.task, order.genome, found, False, False))
        world.pass_time(1)
        entry = world.plan.runs["r"].tasks["t0"]
        if is_genuine:
            assert (entry.state, entry.rung, entry.is_extended) == (TaskState.OPEN, 1, True)
            while island(0) not in world.running:
                spend(world, next(iter(world.running)))
            world.feed(IslandFailed(world.running[island(0)].slot, island(0), "boom"))
            world.pass_time(3)
            entry = world.plan.runs["r"].tasks["t0"]
            assert entry.error == "boom"
        result, _ = decode_result(world.objects[entry.result or ""][0])
        assert (entry.state, result.fitness, result.solved) == (TaskState.DONE, [kept], False)


def test_a_fit_task_climbs_no_further() -> None:
    world = World(workers=1)
    world.submit(tasks=2, evaluations=100, rungs=RUNGS)
    world.generation(island(0), fit=True)
    world.pass_time(2)
    world.verify()
    world.pass_time(1)
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.rung, entry.fit, entry.solved) == (TaskState.DONE, 0, True, True)
    view = run_view(world.node, "r", world.now)
    assert (view["tasks_on_rungs"], view["tasks_per_hour"] > 0, view["eta_s"]) == ([1, 0, 0], True, None)


def test_where_nothing_waits_no_worker_waits_for_the_plan() -> None:
    world = World(workers=1)
    world.submit(tasks=1, islands=2, evaluations=100, rungs=RUNGS)
    for _ in range(5):
        for index in range(2):
            world.generation(island(0, index=index))
    assert not world.running
    assert world.plan.runs["r"].tasks["t0"].rung == 0
    world.verify()
    world.pass_time(1)
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.evaluations) == (TaskState.DONE, 100)


def test_what_waits_on_a_rung_survives_the_death_of_its_platform() -> None:
    first = World(workers=1)
    first.submit(tasks=2, evaluations=100, rungs=RUNGS)
    spend(first, island(0))
    spend(first, island(1))
    # No more is heard of it; another finds what the store has.
    second = World(dict(first.objects), boot="b1", workers=1, start=first.now + 100)
    second.pass_time(60)
    started = second.running[island(0)]
    assert (started.snapshot.counters.evaluations, started.budget) == (20, Budget(None, 50))


def test_a_result_has_more_than_what_was_saved_on_its_rung() -> None:
    first = World(workers=1)
    first.submit(tasks=2, evaluations=100, rungs=RUNGS)
    spend(first, island(0))
    spend(first, island(1))
    result, state = decode_result(first.objects[first.plan.runs["r"].tasks["t0"].result or ""][0])
    (told,) = decode_checkpoint(state).islands
    own = {program.genome for program in unpack(told.population, KEY_OF)}
    # Saved under the same grant after it was told, without what came late and was told alone.
    saved = msgspec.structs.replace(told, sequence=told.sequence + 99, population=pack([_program(b"x")]))
    needed = msgspec.structs.replace(saved, task="t1", grant=first.plan.runs["r"].tasks["t1"].islands[0].grant)
    made = Checkpoint(
        cluster=decode_cluster(first.objects["cluster"][0]).cluster,
        member="m",
        boot="b0",
        sequence=99,
        islands=[saved, needed],
        resource_usage={},
    )
    first.objects[checkpoint_name("m", "b0", 99)] = encode_checkpoint(made), 1
    second = World(dict(first.objects), boot="b1", workers=1, start=first.now + 100)
    second.pass_time(60)
    begun = second.running[island(0)].snapshot
    assert result.key in {program.key.hex() for program in unpack(begun.population, KEY_OF)}
    assert {program.genome for program in unpack(begun.population, KEY_OF)} == own


def _program(genome: bytes) -> Program:
    return Program.of(genome, KEY_OF(genome), (0.0,))


def test_checkpoints_of_an_earlier_rung_may_go() -> None:
    world = World(workers=1)
    world.submit(tasks=3, evaluations=1000, rungs=(Budget(None, 20),))
    world.generation(island(0))
    world.pass_time(10)
    assert [name for name in world.objects if name.startswith(CHECKPOINTS)]
    spend(world, island(0))
    world.command(Verb.PAUSE)
    world.pass_time(30)
    assert not [name for name in world.objects if name.startswith(CHECKPOINTS)]


def test_a_cancelled_run_keeps_what_waited_on_a_rung() -> None:
    world = World(workers=1)
    world.submit(tasks=4, evaluations=100, rungs=RUNGS)
    spend(world, island(0))
    assert world.command(Verb.CANCEL) == "accepted"
    world.verify()
    world.pass_time(1)
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.evaluations) == (TaskState.DONE, 20)
    assert world.command(Verb.EXTEND, budget=Budget(None, 200)) == "accepted"
    assert world.plan.runs["r"].tasks["t0"].state is TaskState.OPEN


def test_superseded_results_go_when_the_run_is_over() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=100, rungs=(Budget(None, 20),))
    world.submit(name="s", tasks=2)
    while world.running:
        spend(world, next(iter(world.running)))
    world.verify()
    world.pass_time(2)
    assert world.plan.runs["r"].state is RunState.DONE
    assert len([name for name in world.objects if name.startswith(f"{RESULTS}r/")]) == 1


def test_higher_priorities_get_free_places_first_and_nothing_begun_is_lost() -> None:
    world = World(workers=1)
    world.submit(tasks=3)
    assert list(world.running) == [island(0), island(1)]
    world.submit(name="s", tasks=2, priority=5)
    assert list(world.running) == [island(0), island(1)]
    spend(world, island(0))
    assert list(world.running) == [island(1), island(0, "s")]


def test_a_priority_can_be_changed() -> None:
    world = World(workers=1)
    world.submit(tasks=3)
    world.submit(name="s", tasks=2)
    assert world.command(Verb.PRIORITY, run="s", priority=-1) == "accepted"
    assert [name for name, _ in world.plan.in_turn()] == ["r", "s"]
    assert world.command(Verb.PRIORITY, run="s", priority=1) == "accepted"
    spend(world, island(0))
    assert list(world.running) == [island(1), island(0, "s")]
    assert "no priority" in world.command(Verb.PRIORITY, run="s")
    world.command(Verb.CANCEL, run="s")
    assert world.command(Verb.PRIORITY, run="s", priority=1) == "the run is cancelled already"


def half_placed() -> World:
    """A task of twelve islands on its second rung, of which a result has 0.9 and eight have a place again."""
    world = World(workers=1)
    world.submit(tasks=1, islands=12, evaluations=1200, rungs=(Budget(None, 120),))
    for number in range(12):
        world.generation(next(iter(world.running)), fitness=0.9 if number == 11 else 0.5)
        world.pass_time(0.5)
    world.pass_time(2)
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.rung, entry.evaluations) == (1, 120)
    assert 0 < sum(not place.owner for place in entry.islands) < 12
    return world


def test_a_run_that_is_cancelled_on_a_rung_keeps_what_had_no_place_again() -> None:
    world = half_placed()
    world.generation(next(iter(world.running)), fitness=0.1)
    assert world.command(Verb.CANCEL) == "accepted"
    world.pass_time(2)
    world.verify()
    world.pass_time(2)
    entry = world.plan.runs["r"].tasks["t0"]
    result, states = decode_result(world.objects[entry.result or ""][0])
    assert (entry.state, result.fitness, result.evaluations) == (TaskState.DONE, [0.9], 130)
    assert len(decode_checkpoint(states).islands) == 12


def test_evaluations_of_lower_rungs_are_counted_on() -> None:
    world = half_placed()
    first = next(iter(world.running))
    world.generation(first, fitness=0.1)
    world.pass_time(1)
    assert run_view(world.node, "r", world.now)["evaluations"] >= 120
    world.generation(first, fitness=0.95, fit=True)
    world.pass_time(3)
    world.verify()
    world.pass_time(2)
    assert world.plan.runs["r"].tasks["t0"].evaluations >= 120


def test_the_last_word_of_a_cancelled_run_is_looked_at_again() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=1000, rungs=(Budget(None, 200),))
    world.generation(island(0), fitness=0.5)
    assert world.command(Verb.CANCEL) == "accepted"
    assert len(world.verifying) == 1


def test_nobody_climbs_on_what_was_refuted() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=1000, rungs=(Budget(None, 20), Budget(None, 50)))
    world.generation(island(0), fitness=0.5, fit=True)
    world.pass_time(3)
    (order,) = world.verifying
    world.verifying.clear()
    world.feed(Verified(order.run, order.task, order.genome, (0.1,), False, False))
    world.pass_time(30)
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.rung) == (TaskState.FAILED, 0)


def test_what_came_by_merging_is_in_the_result_that_others_go_on_from() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=20)
    world.generation(island(0), fitness=0.5)
    found = Program.of(b"elsewhere", KEY_OF(b"elsewhere"), (0.9,), False)
    world.node.exchange.merging.came(("r", "t0"), [found])
    world.generation(island(0), fitness=0.5)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    result, states = decode_result(world.objects[world.plan.runs["r"].tasks["t0"].result or ""][0])
    assert result.fitness == [0.9]
    (state,) = decode_checkpoint(states).islands
    assert found.key in Population(unpack(state.population, KEY_OF))


def test_what_was_told_before_a_budget_was_raised_ends_nothing() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=40, rungs=(Budget(None, 20), Budget(None, 30)))
    for _ in range(4):
        world.generation(island(0))  # it climbs where it is, and its task stays on the first
    work = world.node.foreman.islands[island(0)]
    state, told = work.state, Report(finals=[work.state], rungs={island(0): work.rung})
    assert (state.counters.evaluations, work.rung) == (40, 2)
    assert world.command(Verb.EXTEND, budget=Budget(None, 80)) == "accepted"
    assert world.running[island(0)].budget == Budget(None, 80)
    term = world.node.term
    assert term is not None
    term.report(world.node.owner, told, world.now)
    world.pass_time(5)
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.rung, entry.result) == (TaskState.OPEN, 0, None)
    for _ in range(4):
        world.generation(island(0))
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.evaluations) == (TaskState.DONE, 80)


def test_a_verdict_on_what_is_no_guess_any_more_is_ignored() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=20)
    for _ in range(2):
        world.generation(island(0))
    (early,) = world.verifying
    assert world.command(Verb.EXTEND, budget=Budget(None, 40)) == "accepted"
    assert world.node.term is not None
    for _ in range(2):
        world.generation(island(0))
    world.pass_time(1)
    guess = world.node.term.closing.ends.by_task["r", "t0"].guess
    assert guess is not None
    assert guess.genome != early.genome
    late = Verified("r", "t0", early.genome, None, False, None, "it cannot be evaluated")
    world.feed(late)
    world.pass_time(1)
    assert world.plan.runs["r"].tasks["t0"].state is TaskState.OPEN
    world.verifying.remove(early)
    world.verify()
    world.pass_time(1)
    entry = world.plan.runs["r"].tasks["t0"]
    assert (entry.state, entry.evaluations, entry.error) == (TaskState.DONE, 40, None)


def test_a_question_about_what_is_no_guess_any_more_is_asked_of_nobody() -> None:
    world = World(workers=1)
    verdicts = world.node.dispatch.verdicts
    verdicts._may_run = lambda _run: "others have to look"
    asked: list[str] = []

    def able(run: str, task: str) -> list[str]:
        asked.append(world.plan.runs[run].tasks[task].state.value)
        return ["silent", "as well"]

    verdicts._able = able
    world.submit(tasks=1, evaluations=20)
    for _ in range(2):
        world.generation(island(0))
    world.pass_time(1)
    assert asked == ["open"]
    assert world.command(Verb.EXTEND, budget=Budget(None, 40)) == "accepted"
    world.pass_time(120)
    assert asked == ["open"]
