"""A store on a file system that takes upper for lower case: what differs by case alone lies in one folder there."""

from __future__ import annotations

import msgspec

from distevo.command import Verb
from distevo.events import InboxChanged, IslandId, StoreAnswer
from distevo.instructions import CreateObject, DeleteObject, ListObjects, ReadObject, StoreInstruction
from distevo.names import RESULTS, inbox_run
from distevo.run import ProblemUse, Run, RunSettings, encode_run
from tests.node.world import World


class Indifferent(World):
    """Its store takes a name as it was first written; a list shows the folder that was asked for as it was asked, and
    all below as it was first written. So does a folder on such a file system."""

    def _carry_out(self, instruction: StoreInstruction) -> StoreAnswer:
        match instruction:
            case ReadObject(name=name) | CreateObject(name=name) | DeleteObject(name=name) if "/" in name:
                return super()._carry_out(msgspec.structs.replace(instruction, name=self._first(name)))
            case ListObjects(prefix=prefix):
                folder, slash, rest = prefix.rpartition("/")
                below = self._first(folder) + slash + rest
                answer = super()._carry_out(msgspec.structs.replace(instruction, prefix=below))
                return msgspec.structs.replace(
                    answer, names=tuple(prefix + name.removeprefix(below) for name in answer.names)
                )
        return super()._carry_out(instruction)

    def _first(self, name: str) -> str:
        """A name or a folder, part by part as it was first written."""
        found = ""
        for part in name.split("/"):
            wanted = f"{found}/{part}" if found else part
            found = next(
                (
                    known[: len(wanted)]
                    for known in self.objects
                    if known.lower() == wanted.lower() or known.lower().startswith(f"{wanted.lower()}/")
                ),
                wanted,
            )
        return found

    def done(self, run: str, *tasks: str) -> None:
        """A run is submitted, worked on and over."""
        made = Run(
            name=run,
            nonce=f"{len(self.objects):x}",
            problem=ProblemUse("toy", "", "toy", "1"),
            settings=RunSettings(seed=1, evaluations=100),
            tasks=dict.fromkeys(tasks, msgspec.Raw(b"{}")),
            submitted_through="",
        )
        self.objects[inbox_run(run, made.nonce)] = encode_run(made), 1
        self.feed(InboxChanged())
        self.pass_time(1)
        for task in tasks:
            self.generation(IslandId(run, task, 0), evaluations=100)
            self.pass_time(1)
            self.verify()
            self.pass_time(1)
        self.pass_time(60)

    def missing(self, run: str) -> list[str]:
        """Tasks of a run whose results are not there."""
        found = []
        for task, entry in self.node.following.plan.runs[run].tasks.items():
            assert entry.result is not None
            if self._first(entry.result) not in self.objects:
                found.append(task)
        return found

    def results(self) -> list[str]:
        return [name for name in self.objects if name.startswith(RESULTS)]


def test_results_of_tasks_that_differ_by_case_stay() -> None:
    world = Indifferent(workers=1)
    world.done("r", "a", "A")
    assert world.missing("r") == []
    assert len({name.rpartition("/")[0] for name in world.results()}) == 1, "they lie in one folder"


def test_results_of_runs_that_differ_by_case_stay_until_each_is_deleted() -> None:
    world = Indifferent(workers=1)
    world.done("Demo", "t")
    world.done("demo", "t")
    assert (world.missing("Demo"), world.missing("demo")) == ([], [])
    assert world.command(Verb.DELETE, "demo") == "accepted"
    world.pass_time(60)
    assert world.missing("Demo") == []
    assert len(world.results()) == 1
    assert world.command(Verb.DELETE, "Demo") == "accepted"
    world.pass_time(60)
    assert world.results() == []
