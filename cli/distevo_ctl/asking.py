"""Whom a command that only looks asks: the daemon of a state folder or, with `--store`, a store alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode

if TYPE_CHECKING:
    from distevo_ctl.offline import Offline

F = TypeVar("F", bound=Callable[..., Any])


def store_option(command: F) -> F:
    """Give a command `--store`; it arrives as `store: str | None`."""
    return click.option(
        "--store", metavar="URL",
        help="Ask no daemon: look at this store, a folder or gs://BUCKET/PREFIX, from outside, and write nothing.",
    )(command)  # fmt: skip


def connect(state_dir: Path, store: str | None) -> Client | Offline:
    """Whom to ask; to be used as a context manager. Raises CliError, StoreError."""
    if store is None:
        with _store_named():
            return Client(state_dir)
    from distevo_ctl.offline import Offline, open_reader

    return Offline(open_reader(store), store)


def follow(state_dir: Path, store: str | None, interval: float) -> Iterator[tuple[Client | Offline, dict[str, Any]]]:
    """Who is asked, and the status, every `interval` seconds, without end; a daemon is followed over its restarts."""
    if store is None:
        from distevo_ctl.follow import follow as follow_daemon

        with _store_named():
            first = Client(state_dir)
        yield from follow_daemon(state_dir, interval, first=first)
        return
    import time

    from distevo_ctl.offline import Offline, check_readable, open_reader

    found = Offline(open_reader(store), store)
    while True:
        view = found.ask("status")
        check_readable(view)
        yield found, view
        time.sleep(interval)


@contextmanager
def _store_named() -> Iterator[None]:
    """Where no daemon answers, say that a store can be looked at without one."""
    try:
        yield
    except CliError as error:
        if error.code is ExitCode.NO_DAEMON and error.hint:
            error.hint += "\n  or look at a cluster from outside: --store FOLDER or gs://BUCKET/PREFIX"
        raise
