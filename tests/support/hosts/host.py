"""One host of a test: processes, sockets and daemons in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distevo_ctl.hosts import host
from distevo_ctl.hosts.groups import Group
from distevo_ctl.hosts.namespaces import Namespace
from tests.support.daemon import Daemon


class Host(host.Host):
    """A namespace and a cgroup. `address` is the one that others see, `own_address` the one that it has itself.

    These differ behind NAT, and both are empty on a host that is isolated.
    """

    def __init__(self, name: str, namespace: Namespace, group: Group, address: str, own_address: str) -> None:
        super().__init__(name, namespace, group)
        self.address, self.own_address = address, own_address
        self._processes: list[subprocess.Popen[Any]] = []

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

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All processes stand still at once, as when the lid of a notebook is closed; its kernel still answers."""
        self.group.freeze()
        try:
            yield
        finally:
            self.group.thaw()

    def close(self) -> None:
        """Kill what runs here, and remove the cgroup."""
        super().close()
        for process in self._processes:
            with process:  # Waits; one that was on its way into the group finds it gone, and ends.
                pass
