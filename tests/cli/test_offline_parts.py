"""A platform whose islands are too large for one checkpoint object: all of them are seen from its store."""

from __future__ import annotations

import msgspec

from distevo.checkpoint import decode_checkpoint, encode_checkpoint
from distevo.errors import NotFound
from distevo.names import CHECKPOINTS, checkpoint_name
from distevo_ctl.offline import Offline
from tests.node.world import World


class Objects:
    """A world's objects, to be looked at."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects

    def read(self, name: str) -> tuple[bytes, int]:
        if name not in self._objects:
            raise NotFound(name)
        return self._objects[name]

    def list(self, prefix: str) -> list[str]:
        return sorted(name for name in self._objects if name.startswith(prefix))


def parted() -> tuple[World, list[str]]:
    """A world whose platform has its three islands in two objects, and a third that is covered; the names of all."""
    world = World(workers=1)
    world.submit(tasks=1, islands=3, evaluations=10_000)
    for island in list(world.running):
        world.generation(island)
    world.pass_time(10)
    newest = max(world.node.keeper._objects, key=lambda name: int(name.rpartition("/")[2]))
    whole = decode_checkpoint(world.objects[newest][0])
    assert len(whole.islands) == 3
    for name in [name for name in world.objects if name.startswith(CHECKPOINTS)]:
        del world.objects[name]
    names = []
    for sequence, islands in ((7, whole.islands[:2]), (8, whole.islands[:2]), (9, whole.islands[2:])):
        stamped = [msgspec.structs.replace(island, sequence=sequence) for island in islands]
        part = msgspec.structs.replace(whole, sequence=sequence, islands=stamped)
        names.append(checkpoint_name(whole.member, whole.boot, sequence))
        world.objects[names[-1]] = encode_checkpoint(part), 1
    return world, names


def test_islands_in_several_objects_of_one_moment_are_all_seen() -> None:
    world, names = parted()
    view = Offline(Objects(world), "here").ask("status")
    assert [entry["name"] for entry in view["store"]["checkpoints"]] == [names[2], names[1]]
    assert (view["members"][0]["islands"], view["members"][0]["queued"]) == (3, 0)


def test_an_older_part_that_is_covered_between_list_and_read_is_no_fault() -> None:
    world, names = parted()

    class Covering(Objects):
        def read(self, name: str) -> tuple[bytes, int]:
            if name == names[1]:
                world.objects.pop(name, None)
            return super().read(name)

    found = Offline(Covering(world), "here").look()
    assert found.unreadable == []
    assert len(found.islands) == 3
