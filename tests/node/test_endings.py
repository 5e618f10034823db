"""How tasks end when orders, reports and failures cross each other: nothing that was found is left out of a result."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from distevo.block import pack
from distevo.checkpoint import Checkpoint, Counters, decode_checkpoint, encode_checkpoint
from distevo.closing import SAVED_SECONDS
from distevo.command import Verb
from distevo.desk import ANSWER_SECONDS
from distevo.events import IslandFailed, IslandId, IslandReported, Outcome, ResultUnencodable, Verified
from distevo.instructions import CreateObject, ReadObject, StoreInstruction
from distevo.messages import Heartbeat, IslandProgress, PopulationKind, PopulationState, TaskWarning
from distevo.names import PLANS, RESULTS, checkpoint_name
from distevo.news import Report
from distevo.plan import RunPlan, RunState, TaskPlan, TaskState
from distevo.program import Program
from distevo.result import TIGHT_BYTES, Result, decode_result
from distevo.run import Budget
from distevo.speech import report_messages
from distevo.work import population_of
from tests.node.world import KEY_OF, World

ISLAND = IslandId("r", "t0", 0)


def a_program(genome: bytes, fitness: float, fit: bool = False) -> Program:
    return Program.of(genome, KEY_OF(genome), (fitness,), fit)


def run_in_force(world: World) -> RunPlan:
    return world.node.following.plan.runs["r"]


def task_in_force(world: World, task: str = "t0") -> TaskPlan:
    return run_in_force(world).tasks[task]


def result(world: World, task: str = "t0") -> Result:
    return decode_result(world.objects[task_in_force(world, task).result or ""][0])[0]


def test_an_island_that_was_over_before_it_began_and_is_begun_after_all_is_not_empty() -> None:
    world = World(workers=1)
    world.submit(tasks=1, islands=40, evaluations=4000)
    queued = next(iter(world.node.foreman._queue))
    for island in list(world.running):
        world.generation(island)
    assert world.command(Verb.CANCEL) == "accepted"
    assert world.node.news.finals[queued][1] is None
    assert world.command(Verb.EXTEND, budget=Budget(None, 8000)) == "accepted"
    for _ in range(100):
        for island in [island for island in world.running if island != queued]:
            world.generation(island, evaluations=100)
        if queued in world.running:
            break
        world.pass_time(0.2)
    assert queued in world.running
    world.generation(queued, fitness=9.0)
    assert queued not in world.node.news.finals


@pytest.mark.parametrize(("genome_bytes", "second_octet"), [(1000, 0x9C), (TIGHT_BYTES, 0x01)], ids=["small", "large"])
def test_large_states_are_compressed_fast_since_the_end_of_their_task_waits_for_it(
    genome_bytes: int, second_octet: int
) -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=10)
    genome = Random(1).randbytes(genome_bytes // 2).hex().encode()
    program = Program.of(genome, KEY_OF(genome), (0.5,), False)
    start = world.running.pop(ISLAND)
    snapshot = msgspec.structs.replace(
        start.snapshot, generation=1, population=pack([program]), counters=Counters(evaluations=10)
    )
    world.feed(IslandReported(start.slot, ISLAND, snapshot, fit=False, is_spent=True))
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    _, states = decode_result(world.objects[task_in_force(world).result or ""][0])
    assert population_of(decode_checkpoint(states).islands[0])
    # The first two octets of a zlib stream tell its level.
    assert tuple(states[50:52]) == (0x78, second_octet)


def ending() -> World:
    """A world whose task's result is being encoded, for as long as the test likes."""
    world = World(workers=1)
    world.encodes = False
    world.submit(tasks=1, evaluations=100)
    world.generation(ISLAND, fitness=0.5, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    return world


def test_a_result_is_encoded_outside_the_node_which_goes_on_renewing_its_lease() -> None:
    world = ending()
    assert [order.result.task for order in world.encoding] == ["t0"]
    renewed = len(world.swaps)
    world.pass_time(60)
    assert len(world.swaps) > renewed + 5
    assert task_in_force(world).state is TaskState.OPEN
    world.encode()
    world.pass_time(2)
    assert task_in_force(world).state is TaskState.DONE
    assert result(world).fitness == [0.5]


def test_what_is_encoded_for_one_who_no_longer_decides_is_written_nowhere() -> None:
    world = ending()
    term = world.node.term
    assert term is not None
    term.end()
    world.encode()
    world.pass_time(2)
    assert [name for name in world.objects if name.startswith(RESULTS)] == []


def test_a_result_whose_states_make_no_object_is_written_without_them() -> None:
    world = ending()
    (order,) = world.encoding
    world.encoding.clear()
    world.feed(ResultUnencodable(order.number, "too large"))
    world.encode()
    world.pass_time(2)
    _, states = decode_result(world.objects[task_in_force(world).result or ""][0])
    assert decode_checkpoint(states).islands == []
    assert [line.fields["reason"] for line in world.logs if line.level == "error"] == ["too large"]


def test_a_cancelled_run_stays_so_though_it_was_extended_while_a_result_was_written() -> None:
    is_slow = True

    def fault(order: StoreInstruction) -> Outcome | None:
        is_result = isinstance(order, CreateObject) and order.name.startswith(RESULTS)
        return Outcome.UNKNOWN if is_slow and is_result else None

    world = World(workers=1, fault=fault)
    world.submit(tasks=1, evaluations=100)
    world.generation(ISLAND, fitness=0.5, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    assert world.command(Verb.EXTEND, budget=Budget(None, 200)) == "accepted"
    assert world.command(Verb.CANCEL) == "accepted"
    is_slow = False
    world.pass_time(60)
    assert (run_in_force(world).state, task_in_force(world).state) == (RunState.CANCELLED, TaskState.DONE)
    assert world.running == {}


def test_a_task_that_is_about_to_get_a_result_does_not_end_with_that_of_its_rung() -> None:
    world = World(workers=1)
    world.submit(tasks=200, evaluations=100, rungs=(Budget(None, 20),))
    while ISLAND in world.running and world.running[ISLAND].budget == Budget(None, 20):
        world.generation(ISLAND)
    world.pass_time(1)
    assert (task_in_force(world).state, task_in_force(world).rung) == (TaskState.OPEN, 1)
    assert world.node.term is not None
    world.node.term.fit(("r", "t0"), [a_program(b"late", 5.0, True)], world.now)
    world.pass_time(1.5)
    assert world.command(Verb.CANCEL) == "accepted"
    assert task_in_force(world).state is TaskState.OPEN
    world.verify()
    world.pass_time(3)
    assert (task_in_force(world).state, result(world).program) == (TaskState.DONE, "late")


def test_a_failure_is_told_again_when_the_island_has_come_back() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    world.pass_time(60)
    world.join("n2", boot="c1")
    world.generation(ISLAND, fitness=0.5)
    world.pass_time(1)
    term = world.node.term
    assert term is not None
    report, term.closing.report = term.closing.report, lambda *_: None  # type: ignore[method-assign]  # it is lost
    world.feed(IslandFailed(0, ISLAND, "boom"))
    for owner in ("n2-c1", "m-b0"):
        term.ledger.assign(ISLAND, owner)
        world.node.office._publish()
        world.pass_time(0.5)
    term.closing.report = report  # type: ignore[method-assign]
    world.pass_time(600)
    assert task_in_force(world).state is TaskState.FAILED


def test_a_failure_comes_with_its_state_and_never_before_it() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=2)
    theirs = next(name for name, entry in world.plan.runs["r"].tasks.items() if entry.islands[0].owner == "n-c0")
    island, grant = IslandId("r", theirs, 0), world.plan.runs["r"].tasks[theirs].islands[0].grant
    some = next(iter(world.running.values())).snapshot
    state = msgspec.structs.replace(
        some, task=theirs, grant=grant, sequence=4, generation=7, population=pack([a_program(b"best", 0.8)])
    )
    told = Report(finals=[state], failures={island: (grant, "boom")}, empty=[(IslandId("s", "x", 0), 9)])
    for head, payload in report_messages(told, "n", "c0"):
        world.hear("n", head, payload)
    world.pass_time(3)
    assert (task_in_force(world, theirs).state, task_in_force(world, theirs).error) == (TaskState.FAILED, "boom")
    assert result(world, theirs).program == "best"


@pytest.mark.parametrize("fit", [False, True])
def test_a_failure_of_one_island_costs_nothing_that_another_had_saved(fit: bool) -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1, islands=2)
    places = task_in_force(world).islands
    ours, theirs = (
        IslandId("r", "t0", next(index for index, at in enumerate(places) if at.owner == owner))
        for owner in ("m-b0", "n-c0")
    )
    state = msgspec.structs.replace(
        world.running[ours].snapshot,
        island=theirs.island,
        grant=places[theirs.island].grant,
        generation=7,
        population=pack([a_program(b"theirs", 0.8, fit)]),
    )
    saved = Checkpoint(cluster="", member="n", boot="c0", sequence=1, islands=[state], resource_usage={})
    world.objects[checkpoint_name("n", "c0", 1)] = encode_checkpoint(saved), 1
    told = IslandProgress(*theirs, state.grant, 7, 70, 0, 1.0, False, [0.8])
    world.hear("n", Heartbeat(incarnation=0, progress=1, interval=10.0, islands=[told]))
    world.generation(ours, fitness=0.5)
    world.feed(IslandFailed(world.running[ours].slot, ours, "boom"))
    world.pass_time(1)
    world.verify()
    world.pass_time(2)
    entry = task_in_force(world)
    assert (entry.state, entry.fit) == ((TaskState.DONE, True) if fit else (TaskState.FAILED, False))
    assert result(world).program == "theirs"
    # Whoever submits it anew begins with both.
    states = decode_checkpoint(decode_result(world.objects[entry.result or ""][0])[1]).islands
    assert [len(population_of(state)) for state in states] == [1, 1]


def test_what_cannot_be_read_keeps_no_run_from_its_end() -> None:
    saved = checkpoint_name("n", "c0", 1)

    def unreadable(order: StoreInstruction) -> Outcome | None:
        return Outcome.UNAVAILABLE if isinstance(order, ReadObject) and order.name == saved else None

    world = World(workers=1, fault=unreadable)
    world.join("n")
    world.submit(tasks=1, islands=2)
    world.objects[saved] = b"on a bad sector", 1
    (ours,) = world.running
    (theirs,) = [index for index, at in enumerate(task_in_force(world).islands) if at.owner == "n-c0"]
    told = IslandProgress("r", "t0", theirs, task_in_force(world).islands[theirs].grant, 7, 70, 0, 1.0, False, [0.8])
    world.hear("n", Heartbeat(incarnation=0, progress=1, interval=10.0, islands=[told]))
    world.generation(ours, fitness=0.5)
    world.feed(IslandFailed(world.running[ours].slot, ours, "boom"))
    world.pass_time(SAVED_SECONDS - 5)
    assert task_in_force(world).state is TaskState.OPEN
    world.pass_time(10)
    world.verify()
    world.pass_time(2)
    assert (task_in_force(world).state, world.plan.runs["r"].state) == (TaskState.FAILED, RunState.FAILED)


def test_what_a_former_owner_writes_after_the_cancel_counts_when_the_run_goes_on() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1, evaluations=1000)
    assert task_in_force(world).islands[0].owner == "n-c0"
    world.order(Verb.CANCEL)
    world.pass_time(60)
    assert (task_in_force(world).state, task_in_force(world).result) == (TaskState.OPEN, None)
    # It was cut off, had begun, and wrote a checkpoint before it heard of anything.
    other = World(member="x", boot="c1")
    other.submit(tasks=1)
    state = msgspec.structs.replace(
        next(iter(other.running.values())).snapshot,
        grant=1,
        generation=7,
        population=pack([a_program(b"cut off", 0.8)]),
    )
    saved = Checkpoint(cluster="", member="n", boot="c0", sequence=1, islands=[state], resource_usage={})
    world.objects[checkpoint_name("n", "c0", 1)] = encode_checkpoint(saved), 1
    assert world.command(Verb.EXTEND, budget=Budget(None, 2000)) == "accepted"
    world.pass_time(30)
    assert [program.genome for program in population_of(world.running[ISLAND].snapshot)] == [b"cut off"]


def test_of_a_cancelled_run_nobody_looks_again_and_again_for_what_was_never_begun() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    world.order(Verb.CANCEL)
    world.pass_time(2 * ANSWER_SECONDS)
    version = world.plan.version
    assert task_in_force(world).islands[0].owner == ""
    assert world.node.foreman.islands == {}
    world.pass_time(600)
    assert world.plan.version == version
    # Another coordinator looks once, and finds the same.
    later = World(world.objects, boot="b1", start=world.now + 100)
    later.pass_time(120)
    version = later.plan.version
    assert task_in_force(later).islands[0].owner == ""
    later.pass_time(600)
    assert later.plan.version == version


def shared_task() -> tuple[World, IslandId, IslandId, int]:
    """A task with an island here and one of `n`, and the grant of that."""
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1, islands=2)
    owners = {place.owner: index for index, place in enumerate(task_in_force(world).islands)}
    mine, theirs = (ISLAND._replace(island=owners[owner]) for owner in ("m-b0", "n-c0"))
    return world, mine, theirs, task_in_force(world).islands[theirs.island].grant


def fails(world: World, island: IslandId, grant: int) -> None:
    """The problem's code cannot go on with an island of `n`."""
    report = Report(failures={island: (grant, "boom")}, empty=[(island, grant)])
    for head, payload in report_messages(report, "n", "c0"):
        world.hear("n", head, payload)


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_task_that_was_done_keeps_its_result_when_its_extension_fails(tasks: int) -> None:
    world = World(workers=2)
    world.submit(tasks=tasks, evaluations=100)
    for island in list(world.running):
        world.generation(island, fitness=0.5, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    before = task_in_force(world)
    assert (run_in_force(world).state, before.state) == (RunState.DONE, TaskState.DONE)
    shown = result(world)
    assert world.command(Verb.EXTEND, budget=Budget(None, 200)) == "accepted"
    world.feed(IslandFailed(world.running[ISLAND].slot, ISLAND, "boom"))
    world.pass_time(3)
    entry = task_in_force(world)
    assert (entry.state, entry.result, entry.error) == (TaskState.DONE, before.result, "boom")
    assert result(world) == shown
    if tasks == 1:
        assert run_in_force(world).state is RunState.DONE
        # And it may be extended once more.
        assert world.command(Verb.EXTEND, budget=Budget(None, 300)) == "accepted"
        world.generation(ISLAND, fitness=0.7, evaluations=200)
        world.pass_time(1)
        world.verify()
        world.pass_time(1)
        assert (task_in_force(world).state, result(world).fitness) == (TaskState.DONE, [0.7])


def extended(islands: int = 1) -> World:
    """A task that was done with fitness 0.5 after 100 evaluations of each island, and is worked on again."""
    world = World(workers=2)
    world.submit(tasks=1, islands=islands, evaluations=100 * islands)
    for island in list(world.running):
        world.generation(island, fitness=0.5, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    assert world.command(Verb.EXTEND, budget=Budget(None, 1000)) == "accepted"
    return world


def fail(world: World) -> None:
    """The extension cannot go on."""
    world.feed(IslandFailed(world.running[ISLAND].slot, ISLAND, "boom"))
    world.pass_time(1)


def test_what_an_extension_found_before_it_failed_is_the_result_and_may_be_extended_once_more() -> None:
    world = extended(islands=2)
    world.generation(ISLAND, fitness=0.7)
    fail(world)
    world.verify()
    world.pass_time(1)
    entry = task_in_force(world)
    assert (entry.state, entry.error, result(world).fitness) == (TaskState.DONE, "boom", [0.7])
    assert run_in_force(world).state is RunState.DONE
    _, states = decode_result(world.objects[entry.result or ""][0])
    assert [(s.island, s.counters.evaluations) for s in decode_checkpoint(states).islands] == [(0, 110), (1, 100)]
    assert world.command(Verb.EXTEND, budget=Budget(None, 2000)) == "accepted"
    assert {i: start.snapshot.counters.evaluations for i, start in world.running.items()} == {
        ISLAND: 110,
        IslandId("r", "t0", 1): 100,
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [(0.4, None), (0.7, ((0.6,), None)), (0.7, (None, None)), (0.7, (None, "nobody looked"))],
    ids=["worse", "another", "invalid", "unseen"],
)
def test_what_a_failed_extension_found_takes_no_place_unless_it_is_better_and_was_looked_at(
    found: float, said: tuple[tuple[float, ...] | None, str | None] | None
) -> None:
    world = extended()
    before = task_in_force(world).result
    world.generation(ISLAND, fitness=found)
    fail(world)
    for order in world.verifying:
        assert said is not None
        fitness, error = said
        world.feed(Verified(order.run, order.task, order.genome, fitness, False, None, error))
    assert bool(world.verifying) == (said is not None)
    world.pass_time(1)
    entry = task_in_force(world)
    assert (entry.state, entry.result, result(world).fitness) == (TaskState.DONE, before, [0.5])
    assert entry.error


def test_a_result_that_cannot_be_read_stands_when_its_extension_fails() -> None:
    world = extended()
    world.generation(ISLAND, fitness=0.7)
    before = task_in_force(world).result or ""
    del world.objects[before]
    fail(world)
    assert (task_in_force(world).state, task_in_force(world).result) == (TaskState.DONE, before)


def test_when_a_run_ends_with_an_extension_that_fails_what_others_have_superseded_goes() -> None:
    world = World(workers=2)
    world.submit(tasks=2, evaluations=100)
    ids = list(world.running)
    for island in ids:
        world.generation(island, fitness=0.5, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    assert world.command(Verb.EXTEND, budget=Budget(None, 200)) == "accepted"
    other = next(island for island in ids if island != ISLAND)
    world.generation(other, fitness=0.7, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    world.feed(IslandFailed(world.running[ISLAND].slot, ISLAND, "boom"))
    world.pass_time(3)
    run = run_in_force(world)
    assert run.state is RunState.DONE
    named = {task.result for task in run.tasks.values()}
    assert {name for name in world.objects if name.startswith(RESULTS)} == named


def test_a_run_that_is_extended_once_more_while_an_extension_fails_goes_on() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=100)
    world.generation(ISLAND, fitness=0.5, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    assert world.command(Verb.EXTEND, budget=Budget(None, 200)) == "accepted"
    start = world.running[ISLAND]
    programs = [a_program(genome, 0.7) for genome in (b"one", b"another")]
    counters = Counters(evaluations=200)
    snapshot = msgspec.structs.replace(start.snapshot, generation=2, population=pack(programs), counters=counters)
    world.feed(IslandReported(start.slot, ISLAND, snapshot, False, True))
    world.pass_time(1)
    for is_last in (False, True):
        (order,) = world.verifying
        world.verifying = []
        if is_last:
            assert world.command(Verb.EXTEND, budget=Budget(None, 300)) == "accepted"
        world.feed(Verified(order.run, order.task, order.genome, (0.1,), False, None))
        world.pass_time(1)
    run = run_in_force(world)
    assert (run.state, run.budget, task_in_force(world).state) == (RunState.RUNNING, Budget(None, 300), TaskState.OPEN)


def test_a_failure_elsewhere_fails_no_task_that_is_fit() -> None:
    """Whoever tells it has not heard of the fit program yet."""
    for before, after in ((0.3, 1.2), (1.2, 0.0)):
        world, mine, theirs, grant = shared_task()
        world.generation(mine, fit=True)
        world.pass_time(before)
        fails(world, theirs, grant)
        world.pass_time(after)
        world.verify()
        world.pass_time(3)
        entry = task_in_force(world)
        assert (entry.state, entry.solved, entry.error) == (TaskState.DONE, True, None)


def test_a_failure_that_comes_while_the_result_is_written_changes_nothing() -> None:
    world, mine, theirs, grant = shared_task()

    def away(order: StoreInstruction) -> Outcome | None:
        return Outcome.UNKNOWN if isinstance(order, CreateObject) and order.name.startswith(RESULTS) else None

    world.fault = away
    world.generation(mine, fit=True)
    world.pass_time(1.2)
    world.verify()
    fails(world, theirs, grant)
    world.fault = lambda _: None
    world.pass_time(30)
    assert (task_in_force(world).state, run_in_force(world).state) == (TaskState.DONE, RunState.DONE)


def test_a_task_whose_fit_program_is_refuted_fails_if_its_other_island_has_failed() -> None:
    world, mine, theirs, grant = shared_task()
    world.generation(mine, fit=True, fitness=1.0)
    world.pass_time(0.3)
    fails(world, theirs, grant)
    world.pass_time(1.2)
    (order,) = world.verifying
    world.verifying = []
    world.feed(Verified(order.run, order.task, order.genome, (0.3,), False, None))
    world.pass_time(3)
    assert task_in_force(world).state is TaskState.FAILED


def test_a_fit_program_that_comes_while_an_unfit_guess_is_looked_at_takes_its_place() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.generation(ISLAND, fitness=0.5, evaluations=1000)
    world.pass_time(1)
    assert world.verifying
    assert world.node.term is not None
    world.node.term.fit(("r", "t0"), [a_program(b"late", 1.0, fit=True)], world.now)
    world.verify()
    world.pass_time(3)
    world.verify()
    world.pass_time(3)
    assert (task_in_force(world).state, result(world).program) == (TaskState.DONE, "late")
    assert (result(world).fit, result(world).solved) == (True, True)


def test_a_cancelled_task_whose_result_nobody_can_read_keeps_it_and_is_over() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=100)
    world.generation(ISLAND, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(2)
    name = task_in_force(world).result or ""
    data, token = world.objects[name]
    world.objects[name] = data[:-3] + b"xxx", token
    assert world.command(Verb.EXTEND, budget=Budget(None, 200)) == "accepted"
    assert world.command(Verb.CANCEL) == "accepted"
    world.pass_time(2 * ANSWER_SECONDS)
    version = world.plan.version
    world.pass_time(60)
    assert (world.plan.version, task_in_force(world).state, task_in_force(world).result) == (
        version,
        TaskState.DONE,
        name,
    )


def test_a_run_that_failed_and_is_extended_goes_on_from_what_was_saved() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.generation(ISLAND, fitness=9.0)
    world.pass_time(40)
    assert world.node.term is not None
    world.node.term.ledger.give_up("r", "its object is damaged")
    world.node.office._publish()
    world.pass_time(2)
    assert world.command(Verb.EXTEND, budget=Budget(None, 2000)) == "accepted"
    world.pass_time(15)
    assert [program.fitness for program in population_of(world.running[ISLAND].snapshot)] == [(9.0,)]


def test_a_cancelled_run_that_goes_on_where_it_is_is_running() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.generation(ISLAND)
    world.command(Verb.CANCEL)
    world.command(Verb.EXTEND, budget=Budget(None, 2000))
    world.pass_time(2)
    world.generation(ISLAND)
    world.pass_time(5)
    assert run_in_force(world).state is RunState.RUNNING


def test_only_owners_of_a_task_complain_about_it_and_only_states_of_its_problem_count() -> None:
    world, mine, theirs, grant = shared_task()
    world.join("o")
    warned = PopulationState(kind=PopulationKind.FINAL, warnings=[TaskWarning(*mine[:2], "a lie")])
    world.hear("o", warned)
    state = msgspec.structs.replace(world.running[mine].snapshot, island=theirs.island, grant=grant, generation=7)
    spent = Counters(evaluations=1000)
    of_another = msgspec.structs.replace(state, problem="another", counters=spent, population=b"")
    for head, payload in report_messages(Report(finals=[of_another]), "n", "c0"):
        world.hear("n", head, payload)
    assert world.node.term is not None
    end = world.node.term.closing.ends.by_task.get(mine[:2])
    assert end is None or (end.warning, end.finals) == (None, {})
    world.generation(mine, evaluations=1000)
    world.hear("o", warned)
    world.hear("n", msgspec.structs.replace(warned, warnings=[TaskWarning(*mine[:2], "true")]))
    end = world.node.term.closing.ends.by_task[mine[:2]]
    assert (end.warning, list(end.finals)) == ("true", [mine.island])


def test_a_fit_program_that_comes_after_a_failure_counts() -> None:
    world, _, theirs, grant = shared_task()
    assert world.command(Verb.PAUSE) == "accepted"
    fails(world, theirs, grant)
    assert world.node.term is not None
    world.node.term.fit(("r", "t0"), [a_program(b"good", 1.0, fit=True)], world.now)
    world.pass_time(2)
    world.verify()
    world.pass_time(2)
    entry = task_in_force(world)
    assert (entry.state, entry.fit, entry.error) == (TaskState.DONE, True, None)


def test_a_failure_while_an_unfit_guess_is_looked_at_changes_nothing() -> None:
    world, mine, theirs, grant = shared_task()
    state = msgspec.structs.replace(
        world.running[mine].snapshot, island=theirs.island, grant=grant, generation=7,
        population=pack([a_program(b"theirs", 0.5)]), counters=Counters(evaluations=1000),
    )  # fmt: skip
    for head, payload in report_messages(Report(finals=[state]), "n", "c0"):
        world.hear("n", head, payload)
    world.generation(mine, fitness=0.1, evaluations=1000)
    world.pass_time(1)
    assert world.verifying
    fails(world, theirs, grant)
    world.verify()
    world.pass_time(2)
    assert (task_in_force(world).state, task_in_force(world).error) == (TaskState.DONE, None)


def test_whoever_had_begun_an_island_of_a_run_that_failed_does_not_deny_it() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.generation(ISLAND, fitness=9.0)
    world.pass_time(40)
    world.join("n")
    assert world.node.term is not None
    world.node.term.ledger.give_up("r", "its object is damaged")
    world.node.office._publish()
    world.pass_time(2)
    denied: list[IslandId] = []
    world.node.foreman._tell_unbegun = lambda _, islands: denied.extend(islands)
    world.node.foreman.refused["r"] = "not here"  # so that the other one gets it
    assert world.command(Verb.EXTEND, budget=Budget(None, 2000)) == "accepted"
    assert run_in_force(world).state in {RunState.QUEUED, RunState.RUNNING}
    world.pass_time(3)
    assert (task_in_force(world).islands[0].owner, task_in_force(world).islands[0].former) == ("n-c0", ["m-b0"])
    assert denied == []


def test_islands_of_a_failed_run_wait_for_a_place_when_it_goes_on() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.generation(ISLAND)
    assert world.node.term is not None
    ledger = world.node.term.ledger
    ledger.give_up("r", "its object is damaged")
    grant = ledger.plan.runs["r"].tasks["t0"].islands[0].grant
    assert ledger.reopen("r", Budget(None, 2000)) == 1
    (place,) = ledger.plan.runs["r"].tasks["t0"].islands
    assert (ledger.plan.runs["r"].state, place.owner, place.former) == (RunState.QUEUED, "", ["m-b0"])
    assert place.grant > grant


def without_plans(order: StoreInstruction) -> Outcome | None:
    """A fault of the store: no plan comes into force."""
    is_plan = isinstance(order, CreateObject) and order.name.startswith(PLANS)
    return Outcome.UNKNOWN if is_plan else None


def test_a_result_that_the_plan_on_its_way_names_is_not_swept_away_though_its_run_is_deleted_by_then() -> None:
    def results(world: World) -> list[str]:
        return [name for name in world.objects if name.startswith(RESULTS)]

    world = World(workers=1)
    world.submit(tasks=1, evaluations=100)
    world.fault = without_plans
    world.generation(ISLAND, fitness=0.5, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    (named,) = results(world)
    world.order(Verb.DELETE)
    assert world.node.term is not None
    assert not world.node.term.ledger.plan.runs
    assert task_in_force(world).result is None
    world.node.term.closing.sweep_results("r")
    world.pass_time(1)
    assert results(world) == [named]
    world.fault = lambda _: None
    world.pass_time(60)
    assert results(world) == []


def test_who_has_not_heard_that_a_task_goes_on_says_nothing_about_it() -> None:
    world = World(workers=1)
    world.submit(tasks=1, evaluations=100)
    world.fault = without_plans
    world.generation(ISLAND, fitness=0.5, evaluations=100)
    world.pass_time(1)
    world.verify()
    world.pass_time(1)
    world.order(Verb.EXTEND, budget=Budget(None, 200))
    assert world.node.term is not None
    assert world.node.term.ledger.plan.runs["r"].tasks["t0"].state is TaskState.OPEN
    assert task_in_force(world).result is None
    # Of the task as it was: repeated, say, by an island whose fit program was refuted.
    world.node.term.fit(("r", "t0"), [a_program(b"refuted", 1.0, fit=True)], world.now)
    world.pass_time(3)
    assert world.verifying == []
    world.fault = lambda _: None
    world.pass_time(60)
    assert ISLAND in world.running
