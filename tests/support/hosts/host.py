"""One host: processes, sockets and daemons in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from tests.support.hosts.groups import Group
from tests.support.hosts.namespaces import Namespace

_ENTER = 'for folder in $1; do echo $$ >"$folder/cgroup.procs" || exit 125; done; shift; exec "$@"'
"""A shell that puts itself into cgroups and becomes the command: the pid is that of the command."""


class Host:
    """A namespace and a cgroup. `address` is the one that others see, `own_address` the one that it has itself.

    These differ behind NAT, and both are empty on a host that is isolated.
    """

    def __init__(self, name: str, namespace: Namespace, group: Group, address: str, own_address: str) -> None:
        self.name, self.namespace, self.group = name, namespace, group
        self.address, self.own_address = address, own_address
        self._processes: list[subprocess.Popen[Any]] = []

    @property
    def prefix(self) -> tuple[str, ...]:
        """What goes before a command line so that it runs here, under the pid that it is started with."""
        folders = " ".join(map(str, self.group.folders))
        return ("sh", "-c", _ENTER, "sh", folders, "nsenter", f"--net={self.namespace.path}", "--")

    def popen(self, *command: str, **options: Any) -> subprocess.Popen[Any]:
        """`subprocess.Popen` here. It is killed with the host if it is still there."""
        process = subprocess.Popen([*self.prefix, *command], **options)
        self._processes.append(process)
        return process

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        """`subprocess.run` here."""
        return subprocess.run([*self.prefix, *command], **{"check": True} | options)

    def daemon(self, folder: Path, *options: str, workers: int = 1) -> Daemon:
        """A daemon here, named like the host."""
        return Daemon(folder, *options, workers=workers, id=self.name, prefix=self.prefix)

    def entered(self) -> AbstractContextManager[None]:
        """This thread is on the host for a while; a socket made in it stays there for good."""
        return self.namespace.entered()

    def limit_cpu(self, cpus: float | None) -> None:
        """All processes here together get `cpus` seconds of CPU in a second; None: as many as there are."""
        self.group.limit(cpus)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All processes stand still at once, as when the lid of a notebook is closed; its kernel still answers."""
        self.group.freeze()
        try:
            yield
        finally:
            self.group.thaw()

    def kill(self) -> None:
        """SIGKILL to all processes here at once, as when the power fails; its kernel still answers."""
        self.group.kill()

    def close(self) -> None:
        """Kill what runs here, and remove the cgroup."""
        self.group.close()
        for process in self._processes:
            with process:  # Waits; one that was on its way into the group finds it gone, and ends.
                pass
