"""Two daemons on one folder: one cluster, over links or by mail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.support.daemon import Daemon, wait_for

until = partial(wait_for, seconds=60)

QUICK = (
    "--heartbeat-interval", "0.5", "--heartbeat-timeout", "2", "--mail-interval", "0.5", "--lease-ttl", "5",
    "--checkpoint-seconds", "1", "--batch-size", "50",
)  # fmt: skip
HARD = {"t": {"bits": 8192, "cost_us": 500}}
"""A task that nobody solves in a test."""


@contextmanager
def cluster(folder: Path, listen: str, *more: str) -> Iterator[tuple[Daemon, Daemon]]:
    """The coordinator and a follower. `more`: options of both, which go before those of any such cluster."""
    options = ("--store", str(folder / "store"), "--listen", listen, *QUICK, *more)
    with Daemon(folder / "a", *options, id="a") as first:
        until(lambda: coordinator(first) == "a", "a coordinator")
        with Daemon(folder / "b", *options, id="b") as second:
            for daemon in (first, second):
                until(lambda: members(daemon) == {"a": "alive", "b": "alive"}, "both to know each other")  # noqa: B023
            yield first, second


LISTEN = {"links": "tcp://127.0.0.1:0", "mail": "none"}


def coordinator(daemon: Daemon) -> str | None:
    found: str | None = daemon.status()["cluster"]["coordinator"]
    return found


def members(daemon: Daemon) -> dict[str, str]:
    return {member["id"]: member["state"] for member in daemon.status()["members"]}


def evolving(daemon: Daemon) -> set[tuple[str, int]]:
    """(task, island) of those in hand there that have finished a generation."""
    found = daemon.ask(do="islands")["islands"]
    return {(island["task"], island["island"]) for island in found if island["generation"] and not island["is_resting"]}
