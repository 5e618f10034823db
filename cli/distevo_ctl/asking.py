"""Whom a command that only looks asks: the daemon of a state folder or, with `--store`, a store alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from distevo_ctl.client import Client

if TYPE_CHECKING:
    from distevo_ctl.offline import Offline

F = TypeVar("F", bound=Callable[..., Any])


def store_option(command: F) -> F:
    """Give a command `--store`; it arrives as `store: str | None`."""
    return click.option(
        "--store", metavar="URL",
        help="Ask no daemon: look at this store (a folder) from outside. Nothing is written to it.",
    )(command)  # fmt: skip


def connect(state_dir: Path, store: str | None) -> Client | Offline:
    """Whom to ask; to be used as a context manager. Raises CliError, StoreError."""
    if store is None:
        return Client(state_dir)
    from distevo_ctl.offline import Offline, open_reader

    return Offline(open_reader(store), store)


def follow(state_dir: Path, store: str | None, interval: float) -> Iterator[tuple[Client | Offline, dict[str, Any]]]:
    """Who is asked, and the status, every `interval` seconds, without end; a daemon is followed over its restarts."""
    if store is None:
        from distevo_ctl.follow import follow as follow_daemon

        yield from follow_daemon(state_dir, interval)
        return
    import time

    from distevo_ctl.offline import Offline, check_readable, open_reader

    found = Offline(open_reader(store), store)
    while True:
        view = found.ask("status")
        check_readable(view)
        yield found, view
        time.sleep(interval)
