"""SIGKILL at every system call: whoever comes after finds the state before a step or after it, and can go on."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distevo.errors import Conflict
from distevod.store import FolderStore

Step = tuple[Any, ...]
State = dict[str, tuple[bytes, int]]

VICTIM = Path(__file__).with_name("victim.py")

LIFE: list[Step] = [
    ("open",),
    ("create", "cluster", "one"),
    ("create", "checkpoints/a-1/1", "x" * 1000),
    ("create", "checkpoints/a-1/2", ""),
    ("replace", "cluster", "two", 1),
    ("replace", "cluster", "late", 1),
    ("create", "checkpoints/a-1/1", "late"),
    ("list", ""),
    ("read", "cluster"),
    ("delete", "checkpoints/a-1/1"),
    ("delete", "checkpoints/a-1/2"),
    ("delete", "checkpoints/a-1/2"),
]
"""Every verb, with each of its endings: the folders new and there already, won and lost, left empty or not."""

PRUNING: list[Step] = [("open",), ("replace", "cluster", "128", 127)]
"""A swap that prunes three versions, in a store prepared by `make_versions`."""


def make_versions(root: Path) -> None:
    FolderStore(root).create("cluster", b"1")
    versions = root / "cas" / "cluster"
    (versions / f"{1:020}").unlink()
    for number in range(60, 128):
        (versions / f"{number:020}").write_bytes(b"%d" % number)


def apply(state: State, step: Step) -> State:
    """The state after a step, by the contract."""
    verb, *arguments = step
    after = dict(state)
    match verb, arguments:
        case "create", [name, data] if name not in state:
            after[name] = (data.encode(), 1)
        case "replace", [name, data, token] if state[name][1] == token:
            after[name] = (data.encode(), token + 1)
        case "delete", [name]:
            after.pop(name, None)
    return after


def states(start: State, script: list[Step]) -> list[State]:
    found = [start]
    for step in script:
        found.append(apply(found[-1], step))
    return found


def observe(root: Path) -> State:
    """All that a newcomer sees."""
    store = FolderStore(root)
    return {name: store.read(name) for name in store.list("")}


def go_on(root: Path, rest: list[Step]) -> None:
    """A later process takes up the script at the step that was not confirmed."""
    store = FolderStore(root)
    for verb, *arguments in rest:
        match verb, arguments:
            case "create", [name, data]:
                try:
                    store.create(name, data.encode())
                except Conflict:
                    store.read(name)
            case "replace", [name, data, token]:
                try:
                    store.replace(name, data.encode(), token)
                except Conflict:
                    assert store.read(name)[1] > token
            case "delete", [name]:
                store.delete(name)


def check_aftermath(root: Path, script: list[Step], start: State, confirmed: int) -> None:
    expected = states(start, script)
    seen = observe(root)
    possible = expected[confirmed : confirmed + 2]
    assert seen in possible, f"after {confirmed} confirmed steps: {seen}"

    leftovers = list((root / "tmp").iterdir())
    assert len(leftovers) <= 1
    go_on(root, script[confirmed:])
    assert observe(root) == expected[-1]

    hours_ago = time.time() - 7200
    for path in leftovers:
        assert path.exists(), "young: its writer may be alive"
        os.utime(path, (hours_ago, hours_ago))
    assert observe(root) == expected[-1]
    assert not list((root / "tmp").iterdir())


class Victims:
    """The process whose children are killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def send(self, root: Path, script: list[Step], **how: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"root": str(root), "script": script, "kill_at": None, **how}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


@pytest.fixture
def victims() -> Iterator[Victims]:
    victims = Victims()
    yield victims
    victims.close()


def prepared(root: Path, script: list[Step]) -> State:
    if script is not PRUNING:
        return {}
    make_versions(root)
    return observe(root)


@pytest.mark.parametrize("script", [LIFE, PRUNING], ids=["life", "pruning"])
def test_killed_before_each_call(script: list[Step], victims: Victims, quick_path: Path) -> None:
    root = quick_path / "whole"
    start = prepared(root, script)
    victims.send(root, script)
    whole = victims.answer()
    assert (whole["signal"], whole["exit"], whole["confirmed"]) == (0, 0, len(script))
    assert observe(root) == states(start, script)[-1]
    calls = [call for step in whole["calls"] for call in step]
    assert {"open", "write", "fsync", "close", "link", "unlink", "stat", "scandir"} <= set(calls)
    assert len(calls) >= (100 if script is LIFE else 20)

    for point in range(len(calls)):
        root = quick_path / str(point)
        start = prepared(root, script)
        victims.send(root, script, kill_at=point)
        killed = victims.answer()
        assert killed["signal"] == signal.SIGKILL
        check_aftermath(root, script, start, killed["confirmed"])
        shutil.rmtree(root)


TRACED = "%file,%desc"


def trace(child: int, *options: str) -> subprocess.Popen[str]:
    """Attach strace to a stopped child, and let both go on."""
    tracer = subprocess.Popen(["strace", f"--attach={child}", *options], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    os.kill(child, signal.SIGCONT)
    if "attached" not in said:
        pytest.skip(f"strace cannot attach here: {said.strip()}")
    return tracer


def test_killed_at_each_system_call_by_a_tracer(victims: Victims, quick_path: Path) -> None:
    """The same, where the kernel's own calls are counted and not Python's."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    root, log = quick_path / "store", quick_path / "log"

    def live(*options: str) -> dict[str, Any]:
        victims.send(root, LIFE, wait=True)
        tracer = trace(victims.answer()["stopped"], *options)
        end = victims.answer()
        tracer.communicate(timeout=10)
        return end

    assert live(f"--trace={TRACED}", f"--output={log}")["signal"] == 0
    counts = Counter(re.findall(r"^([a-z0-9_]+)\(", log.read_text(), re.MULTILINE))
    assert counts["link"] + counts["linkat"] == 5
    assert counts["fsync"] == 20
    shutil.rmtree(root)
    for name, count in counts.items():
        for number in range(1, count + 1):
            end = live(f"--inject={name}:signal=KILL:when={number}", "--output=/dev/null")
            assert end["signal"] == signal.SIGKILL, f"{name} no. {number}"
            check_aftermath(root, LIFE, {}, end["confirmed"])
            shutil.rmtree(root)


FILE_WRITTEN = ["open", "write", "fsync", "close"]
FOLDER_SYNCED = ["open", "fsync", "close"]


def test_order_of_calls_survives_a_loss_of_power(victims: Victims, quick_path: Path) -> None:
    """A file is durable before it gets its name, and the name before success or defeat is told."""
    script: list[Step] = [
        ("open",),
        ("create", "plans/1", "x"),
        ("create", "plans/2", "x"),
        ("create", "plans/2", "late"),
        ("create", "cluster", "x"),
        ("replace", "cluster", "y", 1),
        ("replace", "cluster", "late", 1),
        ("delete", "plans/1"),
        ("delete", "plans/1"),
    ]
    victims.send(quick_path / "store", script)
    _, first, known, late, _, swap, lost, delete, again = victims.answer()["calls"]
    assert known == [*FILE_WRITTEN, "link", *FOLDER_SYNCED, "unlink"]
    assert first == [*FILE_WRITTEN, "stat", "mkdir", *FOLDER_SYNCED, "link", *FOLDER_SYNCED, "unlink"]
    assert late == [*FILE_WRITTEN, "link", "stat", "stat", *FOLDER_SYNCED, "unlink"]
    assert swap == ["scandir", *FILE_WRITTEN, "link", *FOLDER_SYNCED, "unlink", "scandir", "stat"]
    assert lost == ["scandir", "stat", *FOLDER_SYNCED]
    assert delete == ["unlink", *FOLDER_SYNCED]
    assert again == ["unlink", "stat", *FOLDER_SYNCED]
