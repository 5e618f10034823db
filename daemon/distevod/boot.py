"""One boot of a daemon: a runtime with its control socket and metrics, from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import secrets
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from distevo.errors import BadName, DistevoError, ObjectError, StoreError
from distevo.instructions import Exit
from distevod.logs import fields
from distevod.metrics.counted_store import CountedStore
from distevod.paths import PathError
from distevod.sdnotify import notify
from distevod.settings import Settings
from distevod.state_lock import StateLock
from distevod.store import open_store
from distevod.threads import in_daemon_thread

if TYPE_CHECKING:
    from distevo.sharding import Shard
    from distevod.evolution.launcher import Launcher
    from distevod.runtime import Runtime

SUBMISSIONS = "submissions"
FOLDER_SECONDS = 30.0
"""How often a daemon sees whether it has its state folder still."""
FIRST_ISLAND_SECONDS = 0.5
"""How long metrics wait for the first island: their library takes as long to import as all that the island waits for
once the daemon answers."""
GONE = "the state folder was removed under the daemon, which no command finds any more; what it had is in the store"

log = logging.getLogger("distevod")


async def run(settings: Settings, shard: Shard, socket: Path, lock: StateLock, launcher: Launcher) -> Exit:
    """Run until a stop; returns how it ended. Raises PathError, StoreError and whatever else ends it."""
    this = asyncio.current_task()
    assert this is not None
    stop: Callable[[], object] = this.cancel
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A shell lets what it starts in the background ignore Ctrl-C, and `nohup` the end of the terminal. So in a
        # notebook the button that interrupts a cell, which signals everything that cells have started, ends no daemon.
        # SIGTERM is meant for the daemon, whoever ignored it before: `distevod stop` and supervisors rely on it.
        if number is signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, lambda: stop())

    from distevod.runtime import Runtime

    gc.freeze()  # What was imported stays.
    gc.enable()
    submissions = settings.state_dir / SUBMISSIONS
    own = _own(submissions)
    boot = secrets.token_hex(8)
    try:
        # A bucket that says nothing is waited for for minutes, a file server that is dead for ever.
        store = CountedStore(
            await in_daemon_thread(open_store, settings.store, upload_seconds=settings.upload_timeout, is_doubted=True)
        )
    except asyncio.CancelledError:
        log.info("stopped")
        return Exit()  # nothing had begun
    runtime = Runtime(settings, store, boot, random.Random(secrets.randbits(128)), own, shard, launcher)
    stop = runtime.stop

    async def answer() -> None:
        # Workers are starting up meanwhile; these imports and sockets are what they need not wait for.
        from distevod.control import Control
        from distevod.service import Service

        control = Control(socket, Service(runtime, submissions))
        closing.append(control.close)
        control.bind()
        log.info(
            "ready",
            extra=fields(id=settings.id, kind=settings.kind, boot=boot, store=settings.store, pid=os.getpid()),
        )
        notify("READY=1", f"MAINPID={os.getpid()}")
        with contextlib.suppress(TimeoutError):
            await runtime.until(lambda: runtime.has_begun, FIRST_ISLAND_SECONDS)
        await in_daemon_thread(_serve_metrics, runtime, store, asyncio.get_running_loop())

    has_folder = True

    async def look_for_folder() -> None:
        nonlocal has_folder
        while has_folder:
            await asyncio.sleep(FOLDER_SECONDS)
            # On a file server that is dead the look never returns, and where no thread is left there is none for now.
            with contextlib.suppress(BlockingIOError):
                has_folder = await in_daemon_thread(lock.is_found)
        log.error(GONE, extra=fields(state_dir=settings.state_dir))
        runtime.stop()

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            runtime.fail(error)

    def begin() -> None:
        for work in (answer(), look_for_folder()):
            task = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(ended)
            tasks.append(task)

    async def over() -> None:
        notify("STOPPING=1")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for close in closing:
            await close()

    closing: list[Callable[[], Awaitable[None]]] = []
    tasks: list[asyncio.Task[None]] = []
    try:
        end = await _faults_told(runtime.run(begin, over))
        return end if has_folder or end.reason else Exit(GONE, "refused")
    finally:
        log.info("stopped")


async def _faults_told(running: Awaitable[Exit]) -> Exit:
    """The same. What is wrong with a folder or the store has a code of its own; any other error of ours that ends a
    runtime is a fault, with a traceback: started again, the daemon goes on from its checkpoint."""
    try:
        return await running
    except DistevoError as error:
        if isinstance(error, PathError | ObjectError | StoreError) and not isinstance(error, BadName):
            raise
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _own(submissions: Path) -> frozenset[str]:
    """The nonces in there. What is damaged is none that any run has."""
    try:
        return frozenset(submissions.read_text("ascii", "replace").split())
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise PathError(f"cannot read {submissions}: {error.strerror}; move it away") from error


def _serve_metrics(runtime: Runtime, store: CountedStore, loop: asyncio.AbstractEventLoop) -> None:
    from distevod.metrics.costs import Costs
    from distevod.metrics.figures import Figures
    from distevod.metrics.loop_collector import LoopCollector
    from distevod.metrics.page import MetricsPage, PortTaken

    settings = runtime.settings
    figures = Figures(runtime.node, runtime.checkpoints, store, runtime.now, runtime.transport.counts)
    costs = Costs(settings.id, runtime.checkpoints, runtime.pool.spent)
    try:
        page = MetricsPage(
            settings.metrics_port, LoopCollector(settings.id, loop, lambda: [*figures.read(), *costs.read()])
        )
    except PortTaken as error:
        log.warning("no metrics", extra=fields(reason=str(error), hint="--metrics-port 0 picks a free port"))
        return
    runtime.metrics = f"http://localhost:{page.port}/metrics"
    log.info("metrics", extra=fields(url=runtime.metrics))
