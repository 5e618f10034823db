"""A contender on two platforms, both on this machine, each with room for all islands, to kill one of them."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.performance.peers.contenders import Contender
from tests.performance.peers.distevo_session import DistevoSession
from tests.performance.peers.session import VENV, Marked, Session
from tests.performance.peers.work import WORKERS

COORDINATING, OTHER = 0, 1
"""The platforms of a pair: the first coordinates, and has the peer's scheduler and the script."""


class Pair:
    """Two platforms."""

    def __init__(self, session: Session | DistevoSession, platforms: tuple[list[Marked], list[Marked]]) -> None:
        self.session, self.platforms = session, platforms

    def __enter__(self) -> Self:
        try:
            self.session.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in (COORDINATING, OTHER):
            self.kill(number)
        self.session.__exit__(kind, value, trace)

    def kill(self, number: int) -> None:
        """SIGKILL to all processes of a platform."""
        for marked in self.platforms[number]:
            marked.kill()


def pair_of(contender: Contender, folder: Path, work: str) -> Pair | None:
    """Two platforms of it, the script not started yet; None for what knows one platform only."""
    if not contender.module:
        session = DistevoSession(folder, work, contender.variant, platforms=2)
        return Pair(session, ([session.platforms[0].marked], [session.platforms[1].marked]))
    starts = {"ray": ray_nodes, "distributed": dask_workers}.get(contender.package)
    if starts is None:
        return None
    first, second = Marked(folder), Marked(folder)
    try:
        address = starts(folder, first, second)
    except BaseException:
        first.kill()
        second.kill()
        raise
    script = Session(folder, contender.module, work, contender.variant, "--address", address)
    return Pair(script, ([first, script.marked], [second]))


def ray_nodes(folder: Path, head: Marked, other: Marked) -> str:
    """A head node and another; returns the address."""
    address = f"127.0.0.1:{free_port()}"
    first = ["--head", "--port", address.rpartition(":")[2], "--include-dashboard", "false"]
    for marked, options in ((head, first), (other, ["--address", address])):
        command = [str(VENV / "bin/ray"), "start", "--num-cpus", str(WORKERS), "--disable-usage-stats", *options]
        with (folder / "ray.log").open("ab") as log:
            subprocess.run(command, env=marked.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
    return address


def dask_workers(folder: Path, first: Marked, second: Marked) -> str:
    """A scheduler with workers beside it, and other workers; returns the scheduler's address."""
    address = f"tcp://127.0.0.1:{free_port()}"
    program = str(VENV / "bin/dask")
    _background(folder, first, program, "scheduler", "--host", address, "--no-dashboard")
    for marked in (first, second):
        _background(
            folder, marked, program, "worker", address, "--nworkers", str(WORKERS), "--nthreads", "1", "--no-dashboard"
        )
    return address


def _background(folder: Path, marked: Marked, *command: str) -> None:
    with (folder / "dask.log").open("ab") as log:
        marked.start(command, log, log)


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
