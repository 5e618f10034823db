"""`copy`: a cluster goes on in another store, and nothing that was durable is lost on the way."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from distevo.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from distevo.cluster import decode_cluster, encode_cluster
from distevo.command import Command, Verb, encode_command
from distevo.errors import StoreUnavailable
from distevo.events import IslandId
from distevo.names import CHECKPOINTS, CLUSTER, checkpoint_name, inbox_command, plan_name
from distevo.plan import MemberState, RunState, encode_plan
from distevo_ctl.copying import copy_cluster
from distevo_ctl.exits import CliError, ExitCode
from distevod.store import FolderStore
from tests.cli.conftest import Home
from tests.cli.test_store_option import damage, tree
from tests.support.daemon import Daemon, wait_for
from tests.support.gcs import Emulator, Proxy
from tests.support.half_done import QUICK, TASKS, best, evaluated, leave_half_done
from tests.support.store_view import StoreView

pytestmark = pytest.mark.long

PAUSE = inbox_command("0123456789abcdef")


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return leave_half_done(tmp_path_factory.mktemp("left"))


@pytest.fixture
def source(left: Path, tmp_path: Path) -> Path:
    """The store that it left, for one test."""
    return Path(shutil.copytree(left, tmp_path / "source"))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def test_another_platform_finishes_the_run_in_the_copy(source: Path, home: Home) -> None:
    old, before = StoreView(source), tree(source)
    durable, counted = best(old, "half", "hard"), evaluated(old)
    made = home.json("copy", str(source), str(home.folder / "new store"))
    assert tree(source) == before
    assert (made["runs"], made["open_tasks"], made["bad"], made["was_alive"]) == (1, 1, {}, False)

    copy = StoreView(home.folder / "new store")
    record = copy.record()
    assert record is not None
    assert (record.cluster, record.holder, record.plan) == (made["cluster"], "", made["plan"])
    assert record.cluster != made["origin"] == decode_cluster(old.store.read(CLUSTER)[0]).cluster
    assert {name: member.state for name, member in copy.plan().members.items()} == {"one": MemberState.LEFT}
    assert (best(copy, "half", "hard"), evaluated(copy)) == (durable, counted)

    # A platform of the same id, with another key, as a notebook in its next session; and one that is new.
    options = ("--store", str(home.folder / "new store"), *QUICK)
    with (
        Daemon(home.folder / "one", *options, id="one") as one,
        Daemon(home.folder / "two", *options, id="two") as two,
    ):
        wait_for(lambda: {m["state"] for m in two.status()["members"]} == {"alive"}, "both to be members", seconds=60)

        def goes_on() -> bool:
            now = evaluated(copy)
            return all(now[island] > count for island, count in counted.items() if island.task == "hard")

        wait_for(goes_on, "the islands to go on", seconds=60)
        one.ask(do="command", verb="cancel", run="half")
        wait_for(lambda: one.results("half")["hard"]["state"] == "done", "the result", seconds=60)
        results = one.results("half")
    assert results["easy"]["fit"]
    assert results["hard"]["fitness"] >= durable
    assert results["hard"]["evaluations"] >= sum(n for island, n in counted.items() if island.task == "hard")


def test_to_a_bucket_and_back(source: Path, home: Home, emulator: Emulator) -> None:
    home.environ["STORAGE_EMULATOR_HOST"] = emulator.url
    url, back = f"gs://{emulator.bucket()}/a", home.folder / "back"
    there = home.json("copy", str(source), url)
    again = home.json("copy", url, f"file://{back}")
    assert (again["origin"], again["bytes"] > 0) == (there["cluster"], True)
    first, last = StoreView(source), StoreView(back)
    runs = first.plan().runs
    assert last.plan().runs == runs
    names = [str(task.result) for task in runs["half"].tasks.values() if task.result] + [runs["half"].object]
    assert len(names) == 2
    for name in [*names, *last.store.list(CHECKPOINTS)]:
        assert last.store.read(name)[0] == first.store.read(name)[0]
    assert evaluated(last) == evaluated(first)


class Filling:
    """A store whose disk is full after some objects."""

    def __init__(self, folder: Path, room: int) -> None:
        self._store, self.room = FolderStore(folder), room
        self.read, self.list = self._store.read, self._store.list

    def create(self, name: str, data: bytes) -> int:
        if self.room <= 0:
            raise StoreUnavailable("no room is left")
        self.room -= 1
        return self._store.create(name, data)


def test_what_was_interrupted_is_no_cluster_and_can_be_repeated(source: Path, home: Home) -> None:
    target, old = home.folder / "target", FolderStore(source, read_only=True)
    with pytest.raises(StoreUnavailable):
        copy_cluster(old, Filling(target, 3))  # type: ignore[arg-type]
    assert not (target / "cas").exists() or CLUSTER not in FolderStore(target).list("")

    ended = home.distevod("start", "--store", str(target), "--metrics-port", "0", code=6)
    assert "the store has plans and no object `cluster`" in ended.stderr
    foreign = StoreView(Path(shutil.copytree(source, home.folder / "other")))
    record = foreign.record()
    assert record is not None
    other = msgspec.structs.replace(record, cluster="f" * 16)
    foreign.store.replace(CLUSTER, encode_cluster(other), foreign.store.read(CLUSTER)[1])
    assert "not empty" in home.error("copy", str(home.folder / "other"), str(target), code=4)["message"]

    made = home.json("copy", str(source), str(target))
    assert made["known"] == 2
    assert evaluated(StoreView(target)) == evaluated(StoreView(source))
    assert "complete" in home.error("copy", str(source), str(target), code=4)["message"]
    assert made["cluster"] == getattr(StoreView(target).record(), "cluster", None)


def test_refusals(source: Path, home: Home) -> None:
    assert home.error("copy", str(home.folder / "absent"), "to", code=5)["message"].startswith("there is no")
    FolderStore(home.folder / "new")
    assert "no cluster" in home.error("copy", "new", "to", code=5)["message"]
    assert "on top of it" in home.error("copy", str(source), str(source), code=4)["message"]
    FolderStore(home.folder / "used").create("checkpoints/x/1", b"")
    error = home.error("copy", str(source), "used", code=4)
    assert "checkpoints/x/1" in error["message"]
    assert "empty folder" in error["hint"]
    assert "lies in" in home.error("copy", str(source), str(source / "inner"), code=4)["message"]
    (home.folder / "loop").symlink_to("loop")
    assert "Too many levels" in home.error("copy", str(source), "loop", code=9)["message"]
    assert not (source / "inner").exists()
    home.error("copy", str(source), "ftp://x", code=2)
    home.error("copy", str(source), code=2)


def test_what_is_damaged_stays_behind_loudly(source: Path, home: Home) -> None:
    view = StoreView(source)
    name = view.store.list(CHECKPOINTS)[0]
    bad = source / checkpoint_name("bad", "ab", 1)
    bad.parent.mkdir()
    bad.write_bytes(damage((source / name).read_bytes()))
    result = str(view.plan().runs["half"].tasks["easy"].result)
    (source / result).unlink()
    done = home.ctl("copy", str(source), "target", code=6)
    assert "2 objects could not be copied" in done.stderr
    assert "Traceback" not in done.stderr
    assert "copied 1 run with 1 open task" in done.stdout
    copy = StoreView(home.folder / "target")
    assert checkpoint_name("bad", "ab", 1) not in copy.store.list("")
    bad.unlink()
    assert evaluated(copy) == evaluated(view)
    assert copy.plan().runs["half"].tasks["easy"].result == result


def test_a_cluster_that_is_alive(home: Home) -> None:
    store = home.folder / "store"
    with Daemon(home.folder / "d", "--store", str(store), *QUICK) as daemon:
        daemon.submit(run="live", reference="onemax", data=TASKS, islands_per_task=2, evaluations=10**8)

        def hard(folder: Path) -> dict[IslandId, int]:
            return {island: count for island, count in evaluated(StoreView(folder)).items() if island.task == "hard"}

        wait_for(lambda: len(hard(store)) == 2, "checkpoints of both islands", seconds=60)
        before = hard(store)
        done = home.ctl("copy", "store", "target")
        assert "warning: the cluster is alive" in done.stderr
        copied = hard(home.folder / "target")
        assert all(copied[island] >= count for island, count in before.items())
        assert daemon.run("live")["state"] == "running"
        done = home.ctl("copy", "store", "another", "--json")
        assert (done.stderr, json.loads(done.stdout)["was_alive"]) == ("", True)


class Moving(FolderStore):
    """A store in which islands change hands, so many times: after a look at what checkpoints there are, or just before
    another one at which plan is in force."""

    def __init__(self, folder: Path, *, after_list: int = 0, before_read: int = 0) -> None:
        super().__init__(folder)
        self.folder, self.after_list, self.before_read = folder, after_list, before_read
        self._reads = 0

    def list(self, prefix: str) -> list[str]:
        names = super().list(prefix)
        if prefix == CHECKPOINTS and self.after_list:
            self.after_list -= 1
            self.move(names)
        return names

    def read(self, name: str) -> tuple[bytes, int]:
        self._reads += name == CLUSTER
        if name == CLUSTER and self._reads > 1 and self.before_read:
            self.before_read -= 1
            self.move(super().list(CHECKPOINTS))
        return super().read(name)

    def move(self, names: Sequence[str]) -> None:
        """What a new owner leaves, and its predecessor's prune, within a moment."""
        writer, view = FolderStore(self.folder), StoreView(self.folder)
        plan, record = view.plan(), view.record()
        assert record is not None
        newest = {IslandId(s.run, s.task, s.island): s for _, s in sorted(view.snapshots(), key=lambda at: at[1].grant)}
        plan.version += 1
        owner, snapshots = f"new-{plan.version:x}", []
        for index, place in enumerate(plan.runs["half"].tasks["hard"].islands):
            place.former, place.owner, place.grant = [], owner, plan.next_grant
            plan.next_grant += 1
            old = newest[IslandId("half", "hard", index)]
            cover = {old.grant: old.sequence}
            snapshots.append(msgspec.structs.replace(old, grant=place.grant, sequence=1, cover=cover))
        boot = owner.rpartition("-")[2]
        made = Checkpoint(
            cluster=record.cluster, member="new", boot=boot, sequence=1, islands=snapshots, resource_usage={}
        )  # fmt: skip
        writer.create(checkpoint_name(made.member, made.boot, 1), encode_checkpoint(made))
        pointer = plan_name(plan.epoch, plan.version, "ab")
        writer.create(pointer, encode_plan(plan))
        record = msgspec.structs.replace(record, plan=pointer, plan_version=plan.version)
        writer.replace(CLUSTER, encode_cluster(record), writer.read(CLUSTER)[1])
        for name in names:
            writer.delete(name)


class Obeying(FolderStore):
    """A store whose coordinator takes a command in, and clears it away, just after a plan without it was looked up."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder, self._reads = folder, 0

    def read(self, name: str) -> tuple[bytes, int]:
        found = super().read(name)
        self._reads += name == CLUSTER
        if name == CLUSTER and self._reads == 2:
            writer, view = FolderStore(self.folder), StoreView(self.folder)
            plan, record = view.plan(), decode_cluster(found[0])
            plan.version += 1
            plan.runs["half"].state = RunState.PAUSED
            pointer = plan_name(plan.epoch, plan.version, "ab")
            writer.create(pointer, encode_plan(plan))
            record = msgspec.structs.replace(record, plan=pointer, plan_version=plan.version)
            writer.replace(CLUSTER, encode_cluster(record), found[1])
            writer.delete(PAUSE)
        return found


def test_a_command_that_is_taken_in_meanwhile(source: Path, tmp_path: Path) -> None:
    FolderStore(source).create(PAUSE, encode_command(Command(verb=Verb.PAUSE, run="half")))
    made = copy_cluster(Obeying(source), FolderStore(tmp_path / "copy"))
    assert made.bad == {}
    copy = StoreView(tmp_path / "copy")
    assert copy.plan().runs["half"].state is RunState.PAUSED
    assert PAUSE not in copy.store.list("")


def test_a_command_that_waits_goes_along(source: Path, tmp_path: Path) -> None:
    FolderStore(source).create(PAUSE, encode_command(Command(verb=Verb.PAUSE, run="half")))
    copy_cluster(FolderStore(source), FolderStore(tmp_path / "copy"))
    assert PAUSE in FolderStore(tmp_path / "copy").list("")


class Renewing(Moving):
    """The same, but it is the owner that writes another checkpoint, and deletes the one before."""

    def move(self, names: Sequence[str]) -> None:
        writer = FolderStore(self.folder)
        last = max((decode_checkpoint(writer.read(name)[0]) for name in names), key=lambda found: found.sequence)
        sequence = last.sequence + 1
        islands = [msgspec.structs.replace(island, sequence=sequence) for island in last.islands]
        made = msgspec.structs.replace(last, sequence=sequence, islands=islands)
        writer.create(checkpoint_name(made.member, made.boot, sequence), encode_checkpoint(made))
        for name in names:
            writer.delete(name)


def test_checkpoints_that_are_renewed_meanwhile(source: Path, tmp_path: Path) -> None:
    before = evaluated(StoreView(source))
    copy_cluster(Renewing(source, after_list=1), FolderStore(tmp_path / "copy"))
    assert evaluated(StoreView(tmp_path / "copy")) == before


@pytest.mark.parametrize("moves", [{"after_list": 1}, {"before_read": 1}, {"after_list": 2, "before_read": 2}])
def test_islands_that_change_hands_meanwhile(source: Path, tmp_path: Path, moves: dict[str, int]) -> None:
    before = evaluated(StoreView(source))
    made = copy_cluster(Moving(source, **moves), FolderStore(tmp_path / "copy"))
    assert made.bad == {}
    copy = StoreView(tmp_path / "copy")
    grants = {place.grant for place in copy.plan().runs["half"].tasks["hard"].islands}
    assert grants == {place.grant for place in StoreView(source).plan().runs["half"].tasks["hard"].islands}
    assert grants <= {snapshot.grant for _, snapshot in copy.snapshots()}
    assert evaluated(copy) == {island: count for island, count in before.items() if island.task == "hard"}


@pytest.mark.parametrize("moves", [{"after_list": 100}, {"before_read": 100}])
def test_islands_that_change_hands_without_end(source: Path, tmp_path: Path, moves: dict[str, int]) -> None:
    with pytest.raises(CliError, match="faster than they can be copied") as refusal:
        copy_cluster(Moving(source, **moves), FolderStore(tmp_path / "copy"))
    assert refusal.value.code is ExitCode.TIMED_OUT
    assert CLUSTER not in FolderStore(tmp_path / "copy").list("")


def test_through_a_bad_line_and_interrupted(source: Path, home: Home, emulator: Emulator) -> None:
    with Proxy(emulator.port) as proxy:
        home.environ["STORAGE_EMULATOR_HOST"] = proxy.url
        url = f"gs://{emulator.bucket()}"
        proxy.latency = 1.0
        copying = home.popen("main", "copy", str(source), url, stderr=subprocess.PIPE)
        wait_for(lambda: proxy.done["POST"], "something to be written", seconds=60)
        copying.send_signal(signal.SIGINT)
        _, told = copying.communicate(timeout=60)
        assert copying.returncode == 130
        assert "repeat it" in told
        proxy.latency = 0.0
        proxy.fault("lose", method="POST", times=3)
        proxy.fault("refuse_done", method="POST", times=2)
        proxy.fault("flip", method="GET", path="alt=media", times=2)
        made = home.json("copy", str(source), url)
        assert (made["runs"], made["bad"]) == (1, {})
        home.json("copy", url, "back")
    assert evaluated(StoreView(home.folder / "back")) == evaluated(StoreView(source))
