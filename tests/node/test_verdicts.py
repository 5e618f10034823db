"""Who looks at a guess: this platform if it has the problem, else another; and what others ask changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from distevo.command import Verb
from distevo.events import Death, IslandId, ProblemMissing, Verified, WorkerDied, WorkerReady
from distevo.instructions import Instruction, StartWorker
from distevo.messages import Control, ControlVerb, Heartbeat
from distevo.plan import MemberState, TaskPlan, TaskState
from distevo.program import Program
from distevo.verdicts import ANSWER_SECONDS
from distevo.verifier import MAX_ASKED_BYTES
from tests.node.world import KEY_OF, World

ISLAND = IslandId("r", "t0", 0)
FIT = Program.of(b"good", KEY_OF(b"good"), (1.0,), True)


def task(world: World) -> TaskPlan:
    return world.plan.runs["r"].tasks["t0"]


def verdict(world: World, fitness: float | None, *, is_missing: bool = False) -> Verified:
    """What a worker finds of the guess that it was given."""
    (order,) = world.verifying
    world.verifying = []
    found = None if fitness is None else (fitness,)
    error = "No module named 'mine'" if is_missing else None
    return Verified(order.run, order.task, order.genome, found, found is not None, None, error, is_missing)


def told_fit(world: World) -> None:
    assert world.node.term is not None
    world.node.term.fit(("r", "t0"), [FIT], world.now)
    world.pass_time(2)


def asked(world: World) -> list[str]:
    return [member for question in world.node.dispatch.verdicts._questions.values() for member in question.asked]


def loses(world: World, slot: int) -> None:
    """The worker of a slot is gone, and each that is to take its place dies before it is ready."""
    do = world.do

    def dying(instructions: list[Instruction]) -> None:
        do([order for order in instructions if not isinstance(order, StartWorker)])
        starts = [order for order in instructions if isinstance(order, StartWorker)]
        world._todo.extend(WorkerDied(order.slot, Death.KILLED, None, None) for order in starts)

    world.do = dying  # type: ignore[method-assign]
    world.feed(WorkerDied(slot, Death.KILLED, None, None))


def live(world: World, seconds: float) -> None:
    """Let time pass in which the other member is heard."""
    for beat in range(round(seconds / 5) + 1):
        world.pass_time(5)
        world.hear("n", Heartbeat(incarnation=0, progress=beat, interval=5.0))


def about(world: World, verb: ControlVerb, **said: Any) -> Control:
    return Control(verb=verb, run="r", task="t0", first_grant=world.plan.runs["r"].first_grant, **said)


def answer(world: World, fitness: float) -> None:
    """The other member has looked."""
    world.hear("n", about(world, ControlVerb.VERDICT, fitness=[fitness], fit=True, solved=True), FIT.genome)
    world.pass_time(2)


def test_a_platform_that_is_known_to_lack_the_problem_asks_another() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=2)
    world.feed(ProblemMissing(0, next(iter(world.running)), "No module named 'mine'"))
    world.pass_time(1)
    told_fit(world)
    assert (world.verifying, asked(world)) == ([], ["n"])
    answer(world, 1.0)
    assert (task(world).state, task(world).solved, task(world).error) == (TaskState.DONE, True, None)


def test_a_platform_that_finds_out_only_then_asks_another() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    told_fit(world)
    world.feed(verdict(world, None, is_missing=True))
    assert (task(world).state, asked(world)) == (TaskState.OPEN, ["n"])
    answer(world, 1.0)
    assert (task(world).state, task(world).solved) == (TaskState.DONE, True)


def test_who_is_asked_and_lacks_the_problem_says_nothing_and_the_next_is_asked() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    world.hear("n", about(world, ControlVerb.VERIFY), b"of another")
    sent = world.node.router.counts()["sent_control"]
    world.feed(verdict(world, None, is_missing=True))
    world.pass_time(1)
    assert world.node.router.counts()["sent_control"] == sent
    world.hear("n", about(world, ControlVerb.VERIFY), b"of another")
    world.feed(verdict(world, 0.5))
    world.pass_time(1)
    assert world.node.router.counts()["sent_control"] == sent + 1


def test_what_another_asks_of_a_task_replaces_no_look_of_ours() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    world.pass_time(60)
    world.generation(ISLAND, fitness=0.5, evaluations=1000)
    world.pass_time(1)
    ours = verdict(world, 0.5)
    world.hear("n", about(world, ControlVerb.VERIFY), b"another genome")
    world.feed(verdict(world, 0.1))
    assert task(world).state is TaskState.OPEN
    world.feed(ours)
    world.pass_time(2)
    assert task(world).state is TaskState.DONE


def test_who_asks_without_end_has_one_guess_of_a_task_with_a_worker_and_hears_of_the_last() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    for number in range(100):
        world.hear("n", about(world, ControlVerb.VERIFY), b"guess %d" % number)
    first = verdict(world, 0.5)
    assert first.genome == b"guess 0"
    sent = world.node.router.counts()["sent_control"]
    world.feed(first)
    last = verdict(world, 0.5)
    assert last.genome == b"guess 99"
    world.feed(last)
    assert world.node.router.counts()["sent_control"] == sent + 1
    assert world.verifying == []


def test_one_member_has_only_so_much_looked_at_at_a_time() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=6)
    heads = [msgspec.structs.replace(about(world, ControlVerb.VERIFY), task=f"t{number}") for number in range(6)]
    for head in heads:
        world.hear("n", head, bytes(MAX_ASKED_BYTES // 5))
    assert [order.task for order in world.verifying] == ["t0", "t1", "t2", "t3", "t4"]
    assert world.node.term is not None
    world.node.term.fit(("r", "t5"), [FIT], world.now)
    world.pass_time(2)
    assert world.verifying[-1].genome == FIT.genome  # What this platform asks itself is looked at.


def test_nor_is_there_more_of_what_it_asks_of_them_anew() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=6)
    heads = [msgspec.structs.replace(about(world, ControlVerb.VERIFY), task=f"t{number}") for number in range(6)]
    for genome in (b"small", bytes(MAX_ASKED_BYTES // 5)):
        for head in heads:
            world.hear("n", head, genome)
    looks = world.node.verifier._looks.values()
    waiting = [look.later for look in looks if look.later is not None]
    assert sum(len(look.genome) for look in waiting) <= MAX_ASKED_BYTES


def test_what_is_asked_once_more_meanwhile_is_not_looked_at_twice() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    for _ in range(2):
        world.hear("n", about(world, ControlVerb.VERIFY), b"guess")
    sent = world.node.router.counts()["sent_control"]
    world.feed(verdict(world, 0.5))
    assert world.node.router.counts()["sent_control"] == sent + 1
    assert world.verifying == []


def test_a_look_that_nobody_waits_for_asks_nobody() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    told_fit(world)
    late = verdict(world, None, is_missing=True)
    assert world.command(Verb.CANCEL) == "accepted"
    world.node.dispatch.verdicts.withdraw(("r", "t0"))
    sent = world.node.router.counts()["sent_control"]
    world.feed(late)
    world.pass_time(ANSWER_SECONDS)
    assert world.node.router.counts()["sent_control"] == sent


def test_where_no_worker_starts_another_platform_looks() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    loses(world, 0)
    told_fit(world)
    assert (world.verifying, asked(world)) == ([], [])
    live(world, ANSWER_SECONDS)
    assert asked(world) == ["n"]
    answer(world, 1.0)
    assert (task(world).state, task(world).solved) == (TaskState.DONE, True)


def test_when_the_worker_that_looks_is_gone_another_does() -> None:
    world = World(workers=2)
    world.submit(tasks=1)
    told_fit(world)
    (order,) = world.verifying
    world.verifying = []
    loses(world, order.slot)
    assert [again.slot for again in world.verifying] == [1 - order.slot]
    world.verify()
    world.pass_time(2)
    assert task(world).state is TaskState.DONE


def test_as_long_as_a_worker_is_at_it_nobody_else_is_asked() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    told_fit(world)
    assert world.verifying
    live(world, 3 * ANSWER_SECONDS)
    assert asked(world) == []
    world.verify()
    world.pass_time(2)
    assert task(world).state is TaskState.DONE


def test_alone_a_platform_waits_until_it_has_a_worker_whichever() -> None:
    world = World(workers=2)
    world.submit(tasks=1)
    for slot in (0, 1):
        world.node.slots.slots[slot].is_ready = False
    told_fit(world)
    world.pass_time(3 * ANSWER_SECONDS)
    assert world.verifying == []
    assert task(world).state is TaskState.OPEN
    (look,) = world.node.verifier._looks.values()
    world.feed(WorkerReady(1 - look.slot))
    assert len(world.verifying) == 1
    world.verify()
    world.pass_time(2)
    assert task(world).state is TaskState.DONE


def test_a_task_that_only_a_refuted_program_made_fit_fails_if_no_state_comes() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=2)
    theirs = next(name for name, entry in world.plan.runs["r"].tasks.items() if entry.islands[0].owner == "n-c0")
    assert world.node.term is not None
    world.node.term.fit(("r", theirs), [FIT], world.now)
    world.pass_time(2)
    world.feed(verdict(world, 0.3))
    world.pass_time(100)
    assert world.plan.members["n"].state is MemberState.DEAD
    entry = world.plan.runs["r"].tasks[theirs]
    assert (entry.state, entry.islands) == (TaskState.FAILED, [])
    assert "had fitness 1" in (entry.error or "")


def test_where_the_problem_is_missing_here_and_nobody_else_answers_the_guess_stands_unverified() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    told_fit(world)
    world.feed(verdict(world, None, is_missing=True))
    assert asked(world) == ["n"]
    live(world, 2 * ANSWER_SECONDS)
    assert (task(world).state, task(world).fit) == (TaskState.DONE, True)
    assert "no platform that has the problem looked at the guess" in (task(world).error or "")


def test_a_question_and_a_verdict_are_about_one_run_of_a_name() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=2)
    world.feed(ProblemMissing(0, next(iter(world.running)), "No module named 'mine'"))
    told_fit(world)
    assert asked(world) == ["n"]
    earlier = world.plan.runs["r"].first_grant - 1
    said = {"fitness": [0.0], "first_grant": earlier}
    world.hear("n", Control(verb=ControlVerb.VERDICT, run="r", task="t0", **said), FIT.genome)
    assert asked(world) == ["n"]
    answer(world, 1.0)
    assert task(world).state is TaskState.DONE


def test_who_follows_an_earlier_run_of_the_name_looks_at_no_guess_of_the_next() -> None:
    world = World(workers=1)
    world.join("n")
    world.submit(tasks=1)
    later = world.plan.runs["r"].first_grant + 7
    world.hear("n", Control(verb=ControlVerb.VERIFY, run="r", task="t0", first_grant=later), b"another")
    assert world.verifying == []
    world.hear("n", about(world, ControlVerb.VERIFY), b"another")
    assert [order.genome for order in world.verifying] == [b"another"]
