"""What a machine needs to have hosts on it. All is tried, since a container may forbid what is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import closing

from distevo_ctl.hosts.bridge import Bridge
from distevo_ctl.hosts.groups import Group
from distevo_ctl.hosts.namespaces import Namespace
from distevo_ctl.hosts.tools import ToolError

TRIAL_CPUS = 0.5


def missing_tools(names: Iterable[str]) -> list[str]:
    """Those of these commands that are not installed."""
    return [name for name in names if shutil.which(name) is None]


def missing_for_groups() -> str:
    """What this machine lacks to give processes a fixed part of its processors; empty when it has all."""
    try:
        with closing(Group("trial")) as group:
            group.limit(TRIAL_CPUS)
    except OSError as error:
        why = "cgroups need root" if os.geteuid() != 0 else error.strerror or str(error)
        return f"no CPU quota can be set: {why}"
    return ""


def missing_for_namespaces() -> str:
    """What this machine lacks for network namespaces that reach each other; empty when it has all."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if absent := missing_tools(("ip", "nsenter")):
        return f"no {', '.join(absent)}: the packages are iproute2 and util-linux"
    try:
        with closing(Bridge()) as bridge, closing(Namespace("trial")) as namespace:
            bridge.lay_line(namespace)
    except (OSError, ToolError) as error:
        return f"network namespaces cannot be made here: {error}"
    return ""
