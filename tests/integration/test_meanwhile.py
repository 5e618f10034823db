"""Requests, and what happens while they wait: for a thread, for the store, for the plan."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from distevo.events import InboxChanged
from distevo.orders import name_taken
from distevo_ctl.client import Client
from distevod import inbox, runtime
from distevod.daemon import run_daemon
from distevod.lanes import READ_THREADS, Lanes
from distevod.refusal import Refusal
from distevod.runtime import Runtime
from distevod.service import Service
from distevod.settings import load_settings
from distevod.store import FolderStore
from distevod.submission import TRIALS_AT_ONCE
from tests.support.daemon import wait_for

EASY = {"reference": "onemax", "spec": "16", "seed": 1}
SECONDS = 20.0


COUNTING = """
import pathlib, os, sys, time

if sys.argv[0].endswith("check.py"):
    folder = pathlib.Path(FOLDER)
    mine = folder / f"{os.getpid()}.here"
    mine.touch()
    time.sleep(0.3)
    with (folder / "counts").open("a") as counts:
        counts.write(f"{len(list(folder.glob('*.here')))}\\n")
    mine.unlink()


class Counting:
    name, version = "counting", "1"

    def __init__(self, task):
        pass

    def random(self, rng):
        return rng.randrange(9)

    def mutate(self, genome, rng):
        return rng.randrange(9)

    def evaluate(self, genome):
        return genome

    def encode(self, genome):
        return b"%d" % genome

    def decode(self, data):
        return int(data)
"""
"""A problem that notes how many are being tried while it is."""


class Store(FolderStore):
    """A store in which something happens, once, before an object is read or made, or after it was made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.acts: dict[str, Callable[[], object]] = {}
        """By "read NAME", "creating NAME" or "create NAME", or how that begins."""
        self.lists_checkpoints = threading.Event()
        self.lists_checkpoints.set()
        """Cleared: who lists them waits."""

    def read(self, name: str) -> tuple[bytes, int]:
        self._act(f"read {name}")
        return super().read(name)

    def create(self, name: str, data: bytes) -> int:
        self._act(f"creating {name}")
        token = super().create(name, data)
        self._act(f"create {name}")
        return token

    def list(self, prefix: str) -> list[str]:
        if prefix == "checkpoints/":
            self.lists_checkpoints.wait(SECONDS)
        return super().list(prefix)

    def _act(self, what: str) -> None:
        for begin in [begin for begin in self.acts if what.startswith(begin)]:
            self.acts.pop(begin)()


class Scene:
    """A daemon's runtime and service on this very loop."""

    def __init__(self, folder: Path) -> None:
        flags = {"state_dir": folder / "state", "store": folder / "store", "workers": 1, "id": "here"}
        settings = load_settings(flags, {"HOME": str(folder)})
        settings.state_dir.mkdir()  # as whoever locks it has done
        self.store = Store(folder / "store")
        self.runtime = Runtime(settings, self.store, "0" * 16, random.Random(1), frozenset())
        self.service = Service(self.runtime, settings.state_dir / "submissions")
        self._loop = asyncio.get_running_loop()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        ready = asyncio.Event()
        running = asyncio.create_task(self.runtime.run(ready.set))
        running.add_done_callback(lambda _: ready.set())  # One that cannot begin is not waited for without end.
        await ready.wait()
        try:
            async with asyncio.timeout(3 * SECONDS):
                yield
        finally:
            self.runtime.stop()
            await running

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition():
                await asyncio.sleep(0.01)

    def meanwhile(self, what: str, act: Callable[[], Awaitable[object]]) -> None:
        """Do this when that happens in the store; who does that waits for it."""

        async def carried_out() -> None:
            await act()

        self.store.acts[what] = lambda: asyncio.run_coroutine_threadsafe(carried_out(), self._loop).result(SECONDS)

    def is_there(self, run: str) -> bool:
        return run in self.runtime.node.following.plan.runs

    async def done(self, **request: Any) -> str:
        """The name of a run that was submitted, and is done."""
        name = str((await self.service.submit(EASY | {"evaluations": 50} | request))["run"])
        await self.until(lambda: self.runtime.node.following.plan.runs[name].state == "done")
        return name


def scene(folder: Path, play: Callable[[Scene], Awaitable[None]]) -> None:
    async def played() -> None:
        stage = Scene(folder)
        async with stage.running():
            await play(stage)

    asyncio.run(played())


def test_whoever_deletes_a_run_is_not_told_how_another_is_that_has_its_name_by_then(tmp_path: Path) -> None:
    async def play(stage: Scene) -> None:
        run = await stage.done(run="a")

        async def taken_in_and_followed() -> None:
            stage.runtime.feed(InboxChanged())
            await stage.until(lambda: not stage.is_there(run))
            await stage.service.submit(EASY | {"run": run, "evaluations": 10**9})

        stage.meanwhile("create inbox/command-", taken_in_and_followed)
        assert await stage.service.command({"verb": "delete", "run": run}) == {"run": run, "state": "deleted"}
        assert stage.is_there(run)

    scene(tmp_path, play)


@pytest.mark.parametrize("is_submitted_again", [False, True])
def test_who_asks_for_a_task_of_a_run_that_is_deleted_meanwhile_is_told_of_runs_and_not_of_objects(
    tmp_path: Path, is_submitted_again: bool
) -> None:
    async def play(stage: Scene) -> None:
        run = await stage.done(run="a")
        first = stage.runtime.node.following.plan.runs[run].object

        async def deleted() -> None:
            await stage.service.command({"verb": "delete", "run": run})
            await stage.until(lambda: first not in stage.store.list("inbox/"))
            if is_submitted_again:
                await stage.done(run=run, spec="16,24")

        stage.meanwhile(f"read {first}", deleted)
        asked = stage.service.results({"run": run, "task": "16"})
        if not is_submitted_again:
            with pytest.raises(Refusal, match="there is no run 'a'"):
                await asked
            return
        answer = await asked
        assert (answer["run"]["tasks_total"], answer["data"]) == (2, {"bits": 16})

    scene(tmp_path, play)


def test_what_is_submitted_while_nobody_takes_runs_in_has_names_of_its_own_and_is_all_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "TAKE_IN_SECONDS", 0.2)
    monkeypatch.setattr(inbox, "FOLLOWER_SECONDS", 0.2)

    async def play(stage: Scene) -> None:
        await stage.until(lambda: stage.runtime.node.lease.is_held)
        is_through = asyncio.Event()
        stage.meanwhile("read inbox/run-", is_through.wait)
        request = EASY | {"evaluations": 50}
        others = Service(stage.runtime, tmp_path / "submissions")  # As on another platform.
        answers = [await through.submit(request) for through in (stage.service, stage.service, others)]
        assert [(answer["run"], answer["state"]) for answer in answers] == [
            ("onemax-1", "queued"),
            ("onemax-2", "queued"),
            ("onemax-3", "queued"),
        ]
        for through in (stage.service, others):
            with pytest.raises(Refusal, match="exists already"):
                await through.submit(request | {"run": "onemax-1"})
        is_through.set()
        await stage.until(lambda: all(stage.is_there(str(answer["run"])) for answer in answers))

    scene(tmp_path, play)


def test_a_name_is_free_again_once_the_object_of_the_run_that_waited_is_gone_whoever_missed_what_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(stage: Scene) -> None:
        await stage.until(lambda: stage.runtime.node.lease.is_held)
        is_through = asyncio.Event()
        stage.meanwhile("read inbox/run-", is_through.wait)
        with monkeypatch.context() as impatient:
            impatient.setattr(inbox, "TAKE_IN_SECONDS", 0.2)
            assert (await stage.service.submit(EASY | {"run": "a", "evaluations": 50}))["state"] == "queued"
        (waiting,) = stage.store.list("inbox/run-")
        stage.store.delete(waiting)
        is_through.set()
        assert await stage.done(run="a") == "a"

    scene(tmp_path, play)


def test_a_run_without_a_name_is_taken_in_though_the_one_that_had_its_name_first_is_gone_by_then(
    tmp_path: Path,
) -> None:
    async def play(stage: Scene) -> None:
        def is_refused() -> bool:
            handled = stage.runtime.node.following.plan.handled
            return any(outcome == name_taken("onemax-1") for outcome in handled.values())

        async def another_comes() -> None:
            # As through another platform, of which nothing is known here when the name is chosen.
            other = Service(stage.runtime, tmp_path / "submissions")
            await other.submit(EASY | {"run": "onemax-1", "evaluations": 50})
            await stage.until(lambda: stage.runtime.node.following.plan.runs["onemax-1"].state == "done")
            stage.meanwhile("create inbox/run-", and_goes)

        async def and_goes() -> None:
            stage.runtime.feed(InboxChanged())
            await stage.until(is_refused)
            await stage.service.command({"verb": "delete", "run": "onemax-1"})

        stage.meanwhile("creating inbox/run-", another_comes)
        answer = await stage.service.submit(EASY | {"evaluations": 50})
        assert (answer["run"], stage.is_there("onemax-1")) == ("onemax-1", True)

    scene(tmp_path, play)


def test_of_many_problems_that_are_submitted_at_once_few_are_tried_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    folder.mkdir()
    source = COUNTING.replace("FOLDER", repr(str(folder)))

    async def play(stage: Scene) -> None:
        request = {"reference": "counting.py:Counting", "source": source, "evaluations": 1}
        await asyncio.gather(*(stage.service.submit(request) for _ in range(3 * TRIALS_AT_ONCE)))
        assert len(stage.runtime.node.following.plan.runs) == 3 * TRIALS_AT_ONCE
        counts = [int(line) for line in (folder / "counts").read_text().split()]
        assert len(counts) == 3 * TRIALS_AT_ONCE
        assert max(counts) <= TRIALS_AT_ONCE

    scene(tmp_path, play)


def no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")  # As Python says it, where a limit of processes is reached.


@pytest.mark.parametrize(
    ("of", "lacks", "instead", "why"),
    [
        (subprocess, "Popen", no_room, "Cannot allocate memory"),
        (threading.Thread, "start", no_thread, "Resource temporarily unavailable"),
    ],
)
def test_where_no_process_can_be_started_a_submission_is_refused_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: object, lacks: str, instead: object, why: str
) -> None:
    async def play(stage: Scene) -> None:
        with monkeypatch.context() as lacking:
            lacking.setattr(of, lacks, instead)
            with pytest.raises(Refusal, match=f"{why}; submit it again") as refused:
                await stage.service.submit(EASY)
            assert refused.value.kind == "refused"
        await stage.done()

    scene(tmp_path, play)


def test_however_many_slow_looks_people_take_runs_are_taken_in_and_done(tmp_path: Path) -> None:
    async def play(stage: Scene) -> None:
        await stage.until(lambda: stage.runtime.node.lease.is_held)
        stage.store.lists_checkpoints.clear()
        looks = [asyncio.ensure_future(stage.service.checkpoints({})) for _ in range(2 * READ_THREADS)]
        await stage.done()
        assert not any(look.done() for look in looks)
        stage.store.lists_checkpoints.set()
        await asyncio.gather(*looks)

    scene(tmp_path, play)


def test_nobody_is_answered_any_more_when_what_answers_need_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, state = tmp_path / "control.sock", tmp_path / "state"
    there: list[bool] = []

    class Closing(Lanes):
        def close(self) -> None:
            there.append(path.exists())
            super().close()

    monkeypatch.setattr(runtime, "Lanes", Closing)

    def stop() -> None:
        wait_for(path.exists, "the control socket")
        with Client(state) as client:
            client.ask("stop")

    with socket.create_server(("", 0)) as taken, ThreadPoolExecutor(1) as stopping:
        flags = {"state_dir": state, "store": tmp_path / "store", "workers": 1, "metrics_port": taken.getsockname()[1]}
        stopped = stopping.submit(stop)
        run_daemon(load_settings(flags, {"HOME": str(tmp_path)}), path)
        stopped.result()
    assert there == [False]


def test_a_key_that_nobody_can_have_leaves_nothing_in_the_inbox(tmp_path: Path) -> None:
    async def play(stage: Scene) -> None:
        with pytest.raises(Refusal, match="longer than any platform's id or key") as refused:
            await stage.service.command({"verb": "unrevoke", "member": "x" * 65})
        assert refused.value.kind == "not_found"
        assert stage.store.list("inbox/command-") == []

    scene(tmp_path, play)
