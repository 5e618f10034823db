"""One host: a namespace and a cgroup, and what runs in both."""

from __future__ import annotations

from contextlib import AbstractContextManager

from distevo_ctl.hosts.groups import Group
from distevo_ctl.hosts.namespaces import Namespace

_ENTER = 'for folder in $1; do echo $$ >"$folder/cgroup.procs" || exit 125; done; shift; exec "$@"'
"""A shell that puts itself into cgroups and becomes the command: the pid is that of the command."""


class Host:
    """Where processes are started by putting `prefix` before their command lines."""

    def __init__(self, name: str, namespace: Namespace, group: Group) -> None:
        self.name, self.namespace, self.group = name, namespace, group

    @property
    def prefix(self) -> tuple[str, ...]:
        """What goes before a command line so that it runs here, under the pid that it is started with."""
        return (*in_group(self.group), "nsenter", f"--net={self.namespace.path}", "--")

    def entered(self) -> AbstractContextManager[None]:
        """This thread is on the host for a while; a socket made in it stays there for good."""
        return self.namespace.entered()

    def limit_cpu(self, cpus: float | None) -> None:
        """All processes here together get `cpus` seconds of CPU in a second; None: as many as there are."""
        self.group.limit(cpus)

    def kill(self) -> None:
        """SIGKILL to all processes here at once, as when the power fails; its kernel still answers."""
        self.group.kill()

    def close(self) -> None:
        """Kill what runs here, and remove the cgroup. The namespace stays, as whoever made it removes it."""
        self.group.close()


def in_group(group: Group) -> tuple[str, ...]:
    """What goes before a command line so that it runs in a group, under the pid that it is started with."""
    return ("sh", "-c", _ENTER, "sh", " ".join(map(str, group.folders)))
