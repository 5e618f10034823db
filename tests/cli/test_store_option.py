"""`--store`: a cluster seen from its store alone, with nothing written, whatever lies there."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from blake3 import blake3

from distevo.cluster import decode_cluster, encode_cluster
from distevo.plan import Plan, decode_plan, encode_plan
from distevo_ctl.exits import CliError
from distevo_ctl.offline import Offline, open_reader
from distevod.store import FolderStore
from tests.cli.conftest import Home
from tests.support.daemon import wait_for

HARD = {"t": {"bits": 8192, "cost_us": 500}}
"""A task that nobody solves in a test."""


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything below a folder: kind and mode, size, and when it was changed last."""
    paths = [folder, *folder.rglob("*")]
    return {str(p): (p.lstat().st_mode, p.lstat().st_size, p.lstat().st_mtime_ns) for p in paths}


def store_of(home: Home) -> Path:
    return home.state_dir / "store"


def offline(store: Path) -> Offline:
    return Offline(open_reader(str(store)), str(store))


@pytest.fixture(scope="module")
def evolving(platform: Home, solved: str) -> Iterator[Home]:
    """The platform, with a run in hand that has a checkpoint."""
    (platform.folder / "hard.json").write_text(json.dumps(HARD))
    platform.ctl(
        "submit", "--problem", "onemax", "--tasks", "hard.json", "--evaluations", "1000000000",
        "--islands-per-task", "2", "--name", "stored",
    )  # fmt: skip

    def is_durable() -> bool:
        islands = offline(store_of(platform)).ask("islands")["islands"]
        return [island["run"] for island in islands] == ["stored"] * 2

    wait_for(is_durable, "a checkpoint of both islands")
    yield platform
    platform.ctl("cancel", "stored")
    platform.ctl("delete", "stored")


@pytest.fixture(scope="module")
def taken(evolving: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of that store as it was at some moment."""
    folder = tmp_path_factory.mktemp("taken") / "store"

    def is_whole() -> bool:
        # The daemon goes on writing, and may remove a file before it is copied.
        shutil.rmtree(folder, ignore_errors=True)
        try:
            shutil.copytree(store_of(evolving), folder)
        except shutil.Error:
            return False
        found = offline(folder).look()
        return found.plan is not None and len(found.islands) == 2 and not found.unreadable

    wait_for(is_whole, "a copy of the store")
    return folder


@pytest.fixture
def copy(taken: Path, tmp_path: Path) -> Path:
    """The same, for one test."""
    return Path(shutil.copytree(taken, tmp_path / "copy"))


def test_it_shows_what_the_daemon_shows_and_null_for_what_only_that_knows(evolving: Home, solved: str) -> None:
    theirs = evolving.json("status")
    ours = evolving.json("status", "--store", str(store_of(evolving)), "--islands", "--lease-seconds", "0")
    assert ours["cluster"] == theirs["cluster"] | {"plan": ours["cluster"]["plan"]}
    (mine,), (its,) = ours["members"], theirs["members"]
    for field in ("id", "kind", "state", "role", "boot", "workers", "is_draining", "key", "islands", "queued"):
        assert mine[field] == its[field]
    for field in ("path", "latency_s", "lag_s", "last_heard_s", "phase", "workers_replaced"):
        assert mine[field] is None
    assert set(mine) == set(its)
    assert mine["islands"] == 2
    done = next(run for run in theirs["runs"] if run["id"] == solved)
    same = next(run for run in ours["runs"] if run["id"] == solved)
    rates = {"evaluations_per_s", "tasks_per_hour", "eta_s", "invalid_programs"}
    assert {key: value for key, value in same.items() if key not in rates} == {
        key: value for key, value in done.items() if key not in rates
    }
    assert all(same[rate] is None for rate in rates)
    stored = next(run for run in ours["runs"] if run["id"] == "stored")
    assert stored["evaluations"] > 0
    assert [island["run"] for island in ours["islands"]] == ["stored"] * 2
    assert all(island["programs"] and island["best_fitness"] for island in ours["islands"])


def test_a_living_holder_is_seen_by_its_renewal(evolving: Home, copy: Path) -> None:
    begun = time.monotonic()
    store = evolving.json("status", "--store", str(store_of(evolving)))["store"]
    taken = time.monotonic() - begun
    assert store["lease"]["state"] == "held"
    assert store["lease"]["has_moved"]
    assert store["lease"]["unmoved_s"] < taken
    assert store["age_s"] < taken
    assert store["unreadable"] == []
    assert store["results"]["missing"] == []
    assert store["results"]["named"] >= 3
    checkpoint = next(entry for entry in store["checkpoints"] if entry["is_current"])
    assert (checkpoint["member"], checkpoint["islands"]) == ("here", 2)
    assert checkpoint["most_generation"] >= 1
    # Of a copy, whose lease nobody renews while it is looked at.
    unwatched = evolving.json("status", "--store", str(copy), "--lease-seconds", "0")["store"]["lease"]
    assert unwatched["state"] is None


def test_for_people(evolving: Home, solved: str) -> None:
    shown = evolving.ctl("status", "--store", str(store_of(evolving))).stdout
    assert "coordinator here" in shown
    assert "lease   renewed" in shown
    assert "CHECKPOINT OF" in shown
    line = next(line for line in shown.splitlines() if line.startswith("here *"))
    assert line.split()[2:8] == ["local", "alive", "2", "2", "0", "-"]
    assert "\x1b" not in shown


def test_runs_results_and_watch(evolving: Home, solved: str, copy: Path) -> None:
    where = ("--store", str(copy))
    assert {solved, "stored"} <= {run["id"] for run in evolving.json("runs", *where)["runs"]}
    ours, theirs = evolving.json("results", solved, *where), evolving.json("results", solved)
    assert ours["tasks"] == theirs["tasks"]
    assert evolving.ctl("results", solved, *where, "--task", "007bbfb7").stdout == (
        evolving.ctl("results", solved, "--task", "007bbfb7").stdout
    )
    (task,) = evolving.json("results", "stored", *where)["tasks"]
    assert (task["state"], task["fit"], task["solved"]) == ("working", False, None)
    assert task["program"]
    assert task["fitness"] == [task["program"].count("1")]
    assert task["evaluations"] > 0
    watching = evolving.popen("main", "watch", *where, "--json", "--interval", "0.1", stdout=-1)
    assert watching.stdout is not None
    looks = [json.loads(watching.stdout.readline()) for _ in range(2)]
    watching.terminate()
    watching.communicate(timeout=90)
    assert [look["runs"] for look in looks] == [looks[0]["runs"]] * 2
    assert evolving.error("results", "nobody", *where, code=5)["message"].startswith("there is no run 'nobody'")
    assert evolving.error("results", solved, "--task", "x", *where, code=5)["hint"].startswith("its tasks are: 007bb")
    assert "no store" in evolving.error("runs", "--store", str(evolving.folder), code=5)["message"]


def test_nothing_is_written(evolving: Home, solved: str, copy: Path) -> None:
    old = copy / "tmp" / f"{'0' * 16}.1"
    old.write_bytes(b"a leftover that a daemon would sweep")
    os.utime(old, (1, 1))
    before, where = tree(copy), ("--store", str(copy))
    evolving.ctl("status", *where, "--islands", "--edges", "--lease-seconds", "0.3")
    evolving.ctl("runs", *where)
    evolving.ctl("results", solved, *where)
    evolving.ctl("results", "stored", *where, "--task", "t")
    assert tree(copy) == before
    for folder in ("tmp", "inbox", "mail"):
        shutil.rmtree(copy / folder, ignore_errors=True)
    before = tree(copy)
    evolving.ctl("status", *where, "--lease-seconds", "0")
    assert tree(copy) == before


def test_of_a_folder_that_is_none_nothing_is_made_of_it(home: Home) -> None:
    for name in ("absent", "empty"):
        if name == "empty":
            (home.folder / name).mkdir()
        before = tree(home.folder)
        for command in [("status",)] if name == "absent" else [("status",), ("runs",), ("watch",), ("results", "x")]:
            error = home.error(*command, "--store", str(home.folder / name), code=5)
            assert error["message"].startswith("there is no")
            assert "daemons were started with" in error["hint"]
        assert tree(home.folder) == before
    home.error("status", "--store", "ftp://x", code=2)
    home.error("status", "--lease-seconds", "1", code=2)


def test_a_store_without_a_cluster(home: Home) -> None:
    FolderStore(home.folder / "new")
    assert home.ctl("status", "--store", "new").stdout.startswith("no cluster yet\nstore   new\n")
    assert home.json("runs", "--store", f"file://{home.folder}/new") == {"runs": []}


def test_a_holder_that_is_gone(evolving: Home, copy: Path) -> None:
    # Nobody renews the lease of a copy.
    patient = offline(copy)
    patient.watch_lease(0.3)
    lease = patient.ask("status")["store"]["lease"]
    assert (lease["state"], lease["has_moved"]) == (None, False)
    assert lease["unmoved_s"] >= 0.3
    _rewrite_cluster(copy, ttl=0.06)
    patient = offline(copy)
    patient.watch_lease(None)  # what a holder may take: a third of that, and a second
    assert patient.ask("status")["store"]["lease"]["state"] == "expired"
    _rewrite_cluster(copy, ttl=6.0)  # 4 s are between "silent" and "expired", for a busy machine
    patient = offline(copy)
    patient.watch_lease(None)
    assert patient.ask("status")["store"]["lease"]["state"] == "silent"
    shown = evolving.ctl("status", "--store", str(copy), "--lease-seconds", "3.1").stdout
    found = re.search(r"lease   not renewed in (\d+\.\d)", shown)
    assert found
    assert float(found[1]) >= 3.1
    _rewrite_cluster(copy, holder="")
    view = evolving.json("status", "--store", str(copy))
    assert (view["store"]["lease"]["state"], view["cluster"]["coordinator"]) == ("released", None)


def test_one_that_watches_sees_the_age_of_what_appears(copy: Path) -> None:
    watcher = offline(copy)
    (before,) = (entry for entry in watcher.ask("status")["store"]["checkpoints"] if entry["is_current"])
    assert before["age_s"] is None
    path = copy / before["name"]
    shutil.copy(path, path.with_name(str(before["sequence"] + 1)))
    view = watcher.ask("status")
    (after,) = (entry for entry in view["store"]["checkpoints"] if entry["is_current"])
    assert after["name"].endswith(f"/{before['sequence'] + 1}")
    assert 0 <= after["age_s"] < 10
    assert view["members"][0]["checkpoint_age_s"] == after["age_s"]


def test_what_is_covered_between_list_and_read_is_no_fault(copy: Path) -> None:
    class Covering:
        """A store in which a newer checkpoint takes the place of the newest, once, after it was listed."""

        def __init__(self) -> None:
            self._store, self.is_done = FolderStore(copy), False

        def read(self, name: str) -> tuple[bytes, int]:
            if name.startswith("checkpoints/") and not self.is_done:
                self.is_done = True
                owner, _, number = name.rpartition("/")
                for other in self._store.list(f"{owner}/"):
                    if other != name:
                        self._store.delete(other)
                self._store.create(f"{owner}/{int(number) + 1}", self._store.read(name)[0])
                self._store.delete(name)
            return self._store.read(name)

        def list(self, prefix: str) -> list[str]:
            return self._store.list(prefix)

    covering = Covering()
    found = Offline(covering, "here").look()
    assert covering.is_done
    assert found.unreadable == []
    assert len(found.islands) == 2


def damage(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def newer_sealed(data: bytes) -> bytes:
    head = struct.Struct(">4s4sHII")
    magic, kind, _, *lengths = head.unpack_from(data)
    prefix, body = head.pack(magic, kind, 2, *lengths), data[head.size + 16 :]
    return prefix + blake3(prefix).update(body).digest(length=16) + body


def newer_checkpoint(data: bytes) -> bytes:
    head = struct.Struct("<8sHII")
    magic, _, *lengths = head.unpack_from(data)
    prefix, payload = head.pack(magic, 2, *lengths), data[head.size + 32 :]
    return prefix + blake3(prefix).update(payload).digest() + payload


def newer_cluster(data: bytes) -> bytes:
    text = data.partition(b"\n")[0].replace(b'"format":1', b'"format":2')
    return text + b"\n" + blake3(text).hexdigest(length=16).encode() + b"\n"


def _head(copy: Path) -> Path:
    return max((copy / "cas" / "cluster").iterdir())


def _rewrite_cluster(copy: Path, **changes: Any) -> None:
    record = msgspec.structs.replace(decode_cluster(_head(copy).read_bytes()), **changes)
    text = msgspec.json.encode(record)
    _head(copy).write_bytes(text + b"\n" + blake3(text).hexdigest(length=16).encode() + b"\n")


@pytest.mark.parametrize(("change", "code"), [(damage, 6), (newer_cluster, 4)])
def test_a_cluster_object_that_cannot_be_read(
    evolving: Home, copy: Path, change: Callable[[bytes], bytes], code: int
) -> None:
    _head(copy).write_bytes(change(_head(copy).read_bytes()))
    done = evolving.ctl("status", "--store", str(copy), code=code)
    assert done.stdout.startswith("cluster unknown\n")
    assert ("newer" in done.stdout) == (code == 4)
    assert "CHECKPOINT OF" in done.stdout
    assert done.stderr.startswith("error: cluster cannot be read")
    assert "Traceback" not in done.stderr
    for command in (("results", "solved"), ("runs",), ("watch",)):
        evolving.error(*command, "--store", str(copy), code=code)


@pytest.mark.parametrize(("change", "code"), [(damage, 6), (newer_sealed, 4), (None, 6)])
def test_a_plan_that_cannot_be_read(
    evolving: Home, copy: Path, change: Callable[[bytes], bytes] | None, code: int
) -> None:
    name = decode_cluster(_head(copy).read_bytes()).plan
    assert name is not None
    if change is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(change((copy / name).read_bytes()))
    done = evolving.ctl("status", "--store", str(copy), "--lease-seconds", "0", code=code)
    assert "coordinator here" in done.stdout
    assert name in done.stdout
    view = offline(copy).ask("status")
    assert [(entry["name"], entry["is_newer"]) for entry in view["store"]["unreadable"]] == [(name, code == 4)]
    assert view["runs"] == view["members"] == []


@pytest.mark.parametrize("change", [damage, newer_checkpoint])
def test_a_checkpoint_that_cannot_be_read_is_said_and_the_one_before_it_shown(
    evolving: Home, copy: Path, change: Callable[[bytes], bytes]
) -> None:
    (before,) = (entry for entry in offline(copy).ask("status")["store"]["checkpoints"] if entry["is_current"])
    sound = copy / before["name"]
    bad = sound.with_name(str(before["sequence"] + 1))
    bad.write_bytes(change(sound.read_bytes()))
    view = evolving.json("status", "--store", str(copy), "--lease-seconds", "0")
    (entry,) = view["store"]["unreadable"]
    assert (copy / entry["name"], entry["is_newer"]) == (bad, change is newer_checkpoint)
    (after,) = (entry for entry in view["store"]["checkpoints"] if entry["is_current"])
    assert after == before
    assert entry["name"] in evolving.ctl("status", "--store", str(copy), "--lease-seconds", "0").stdout


def test_results_that_cannot_be_read_or_are_missing(evolving: Home, solved: str, copy: Path) -> None:
    plan = offline(copy).look().plan
    assert plan is not None
    names = [entry.result for entry in plan.runs[solved].tasks.values()]
    assert all(names)
    (copy / str(names[0])).write_bytes(damage((copy / str(names[0])).read_bytes()))
    (copy / str(names[1])).unlink()
    first, second, third = evolving.json("results", solved, "--store", str(copy))["tasks"]
    assert (first["state"], first["fit"], first["program"]) == ("done", True, None)
    assert "the digest does not match" in first["error"]
    assert "is not there" in second["error"]
    assert third["program"]
    assert evolving.ctl("results", solved, "--store", str(copy)).stdout.count("cannot be read") == 2
    view = evolving.json("status", "--store", str(copy), "--lease-seconds", "0")
    assert view["store"]["results"]["missing"] == [names[1]]


class Superseding:
    """A store in which another plan takes the place of the one in force, once, when the first of these is read."""

    def __init__(self, copy: Path, names: set[str | None], change: Callable[[Plan, FolderStore], None]) -> None:
        self._store, self._names, self._change = FolderStore(copy), names, change
        self.is_done = False

    def read(self, name: str) -> tuple[bytes, int]:
        if name in self._names and not self.is_done:
            self.is_done = True
            data, token = self._store.read("cluster")
            record = decode_cluster(data)
            assert record.plan is not None
            plan = decode_plan(self._store.read(record.plan)[0])
            self._change(plan, self._store)
            plan.version += 1
            later = {"plan": f"plans/{plan.epoch}-{plan.version}-later", "plan_version": plan.version}
            self._store.create(str(later["plan"]), encode_plan(plan))
            self._store.replace("cluster", encode_cluster(msgspec.structs.replace(record, **later)), token)
        return self._store.read(name)

    def list(self, prefix: str) -> list[str]:
        return self._store.list(prefix)


def test_results_that_others_take_the_place_of_while_they_are_read_are_no_fault(solved: str, copy: Path) -> None:
    plan = offline(copy).look().plan
    assert plan is not None
    names = {entry.result for entry in plan.runs[solved].tasks.values()}

    def renew(plan: Plan, store: FolderStore) -> None:
        for entry in plan.runs[solved].tasks.values():
            assert entry.result is not None
            old, entry.result = entry.result, f"{entry.result}-later"
            store.create(entry.result, store.read(old)[0])
            store.delete(old)

    store = Superseding(copy, names, renew)
    tasks = Offline(store, "here").ask("results", run=solved)["tasks"]
    assert store.is_done
    assert [(entry["error"], entry["program"] is None) for entry in tasks] == [(None, False)] * 3


@pytest.mark.parametrize("is_run_read", [False, True])
def test_of_a_run_that_is_deleted_while_its_results_are_read_it_is_said_that_there_is_none(
    solved: str, copy: Path, is_run_read: bool
) -> None:
    plan = offline(copy).look().plan
    assert plan is not None
    (name, entry) = next(iter(plan.runs[solved].tasks.items()))

    def delete(plan: Plan, store: FolderStore) -> None:
        run = plan.runs.pop(solved)
        for name in (run.object, *(entry.result for entry in run.tasks.values() if entry.result)):
            store.delete(name)

    store = Superseding(copy, {plan.runs[solved].object if is_run_read else entry.result}, delete)
    with pytest.raises(CliError, match=f"there is no run '{solved}'"):
        Offline(store, "here").ask("results", run=solved, task=name)
    assert store.is_done


def test_what_only_a_daemon_can_do_is_refused(copy: Path) -> None:
    with pytest.raises(CliError, match="does not answer 'command'"):
        offline(copy).ask("command", verb="cancel", run="stored")
