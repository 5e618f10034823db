"""What boots that are gone have left in the store, and when it goes."""

from __future__ import annotations

import pytest

from distevo.events import Outcome
from distevo.instructions import ReadObject, StoreInstruction
from distevo.janitor import LOOK_SECONDS
from distevo.names import owner_checkpoints
from distevo.plan import TaskState
from tests.node.test_leavers import cluster, in_force, together
from tests.node.world import World


def left_by(world: World, owner: str) -> list[str]:
    """The checkpoints of this boot that lie in the store."""
    return [name for name in world.objects if name.startswith(owner_checkpoints(owner))]


def started_again() -> tuple[World, World]:
    """A coordinator, and another platform that died with an island and has it again, as another boot."""
    first, second = cluster(islands=2)
    together([first, second], lambda: left_by(second, "b-b0"))
    again = World(first.objects, member="b", boot="b1", key="key of b", start=second.now)
    together([first, again], lambda: again.running)
    return first, again


def checkpoint(first: World, again: World) -> None:
    """Let the other platform write one more."""
    before = set(left_by(again, "b-b1"))
    for _ in range(5):
        for island in list(again.running):
            again.generation(island)
    together([first, again], lambda: set(left_by(again, "b-b1")) - before, seconds=10)


def look(first: World, again: World) -> None:
    """Let the coordinator look for what is left behind."""
    together([first, again], lambda: not left_by(first, "b-b0"), seconds=LOOK_SECONDS + 5)


def test_it_goes_when_two_checkpoints_of_another_member_that_lives_hold_it() -> None:
    first, again = started_again()
    checkpoint(first, again)
    checkpoint(first, again)
    look(first, again)
    plan = in_force(first)
    assert plan.runs["r"].tasks["t0"].state is TaskState.OPEN  # Else it would be nobody's any more.
    assert plan.members["b"].boot == "b1"
    assert len(left_by(again, "b-b1")) == 2


def test_nothing_of_who_lives_is_read_while_nothing_is_left_behind() -> None:
    first, second = cluster(islands=2)
    read: list[str] = []

    def note(instruction: StoreInstruction) -> Outcome | None:
        if isinstance(instruction, ReadObject):
            read.append(instruction.name)
        return None

    first.fault = note
    since = first.now
    together([first, second], lambda: first.now >= since + LOOK_SECONDS + 5, seconds=LOOK_SECONDS + 6)
    assert left_by(second, "b-b0")
    assert not set(read) & set(left_by(second, "b-b0"))


def test_it_stays_while_only_one_holds_it() -> None:
    first, again = started_again()
    checkpoint(first, again)
    with pytest.raises(AssertionError, match="it has not become so"):
        look(first, again)
    checkpoint(first, again)
    look(first, again)


def test_a_damaged_checkpoint_of_who_lives_holds_nothing() -> None:
    first, again = started_again()
    checkpoint(first, again)
    checkpoint(first, again)
    newest = left_by(again, "b-b1")[-1]
    whole = first.objects[newest]
    first.objects[newest] = whole[0][:-1], whole[1]
    with pytest.raises(AssertionError, match="it has not become so"):
        look(first, again)
    assert not [log for log in first.logs if log.fields.get("name") == newest]


def test_what_one_that_lives_has_handed_over_goes_from_its_old_checkpoints_too() -> None:
    first, second = cluster(islands=4)
    together([first, second], lambda: left_by(second, "b-b0"))
    old = set(left_by(second, "b-b0"))
    term = first.node.term
    assert term is not None
    handed = next(iter(second.running))
    term.ledger.assign(handed, "a-a0")
    first.node.lease.publish(term.ledger.plan)
    together([first, second], lambda: handed in first.node.foreman.islands and handed not in second.running)
    for _ in range(3):
        for _ in range(5):
            for world in (first, second):
                for island in list(world.running):
                    world.generation(island)
        for world in (first, second):
            world.pass_time(6)
    assert old & set(left_by(second, "b-b0"))  # Its owner knows of nobody else's checkpoints.
    together([first, second], lambda: not old & set(left_by(second, "b-b0")), seconds=2 * LOOK_SECONDS + 10)
    assert len(left_by(second, "b-b0")) >= 2
    assert in_force(first).members["b"].boot == "b0"
