"""The daemon, from start to end: it takes its state folder, launches its workers, and boots beside them."""

from __future__ import annotations

import contextlib
import gc
import logging
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from distevod.evolution.launcher import Launcher
from distevod.paths import make_private
from distevod.settings import Settings
from distevod.settings.error import SettingsError
from distevod.state_lock import StateLock

if TYPE_CHECKING:
    from distevo.instructions import Exit

OWN_FILES, WORKER_FILES = 52, 4
"""Files that a daemon without a link has open at most, itself and for each worker: 34 and 3 when it is idle."""

log = logging.getLogger("distevod")


def run_daemon(settings: Settings, socket: Path) -> Exit:
    """Run until a stop; returns how it ended.

    Raises AlreadyRunning, PathError, StoreError and, also where too few files may be open, SettingsError, before
    anything has begun.
    """
    _raise_file_limit(settings.workers)
    with (
        StateLock(settings.state_dir).acquire(socket) as lock,
        contextlib.closing(Launcher(settings.worker_memory_mb)) as launcher,
    ):
        make_private(socket.parent)
        for warning in settings.warnings:
            log.warning(warning)
        launcher.launch_ahead(settings.workers)
        # Workers take as long to come up as what is imported from here on: they do so at once. No cycles are looked for
        # among all that until a boot has its runtime.
        gc.disable()
        import asyncio

        from distevod.boot import run
        from distevod.sharding import load_sharding

        try:
            return asyncio.run(run(settings, load_sharding(settings), socket, lock, launcher))
        finally:
            gc.enable()


def _raise_file_limit(workers: int) -> None:
    """As far as it goes: a link takes up to four descriptors, and the usual soft limit is there for programs that use
    `select`. Raises SettingsError where ZeroMQ would end the process, without a word of ours, for want of one: with
    another limit or with fewer workers it starts, and never by trying again."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = OWN_FILES + WORKER_FILES * workers
    if most != resource.RLIM_INFINITY and most < least:
        raise SettingsError(
            f"too few files may be open here, {most}: a daemon with this many workers ({workers}) needs {least}, and "
            "four more for each link; raise the limit (ulimit -Hn, or LimitNOFILE of a service)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
