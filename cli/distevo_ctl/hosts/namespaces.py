"""One network namespace."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distevo_ctl.hosts.owners import unique
from distevo_ctl.hosts.tools import ToolError, tool

FOLDER = Path("/run/netns")
"""Where iproute2 keeps namespaces that have a name."""
_CLONE_NEWNET = 0x40000000  # <sched.h>
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace with loopback up, and no IPv6 on the lines that are laid to it."""

    def __init__(self, label: str) -> None:
        self.name = unique(label)
        self.path = FOLDER / self.name
        tool("ip", "netns", "add", self.name)
        try:
            self.sysctl("net/ipv6/conf/default/disable_ipv6", 1)  # Or there would be a way around every fault.
            self.ip("link set lo up")
        except BaseException:
            self.close()
            raise

    def ip(self, *lines: str) -> None:
        """Carry out commands of ip(8), one a line, without the leading `ip`. Raises ToolError."""
        tool("ip", "-n", self.name, "-batch", "-", lines="\n".join(lines) + "\n")

    def tc(self, *lines: str) -> None:
        """The same for tc(8)."""
        tool("tc", "-n", self.name, "-batch", "-", lines="\n".join(lines) + "\n")

    def iptables(self, *lines: str) -> None:
        """Replace the tables that `lines` name, each at once: the input of iptables-restore(8)."""
        tool("nsenter", f"--net={self.path}", "iptables-restore", "-w", lines="\n".join(lines) + "\n")

    def sysctl(self, key: str, value: int) -> None:
        """Set a kernel setting of this namespace; `key` with slashes. One that the kernel lacks stays away."""
        path = Path("/proc/sys", key)
        with self.entered():
            if path.exists():
                path.write_text(str(value))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is in the namespace for a while; a socket made in it stays there for good."""
        with open("/proc/thread-self/ns/net") as here, self.path.open() as there:  # noqa: PTH123 - a pair
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())

    def close(self) -> None:
        """Remove the namespace, and with it the lines laid to it. It lives on in processes that are still in it."""
        remove(self.name)


def remove(name: str) -> None:
    """Remove a namespace by its name, unless somebody else has."""
    try:
        tool("ip", "netns", "delete", name)
    except ToolError:
        if (FOLDER / name).exists():
            raise


def _enter(namespace: int) -> None:
    # os.setns came with Python 3.12.
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")
