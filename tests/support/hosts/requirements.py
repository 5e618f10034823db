"""What a machine needs to have hosts on it."""

from __future__ import annotations

import os
import shutil
from contextlib import closing

import pytest

from tests.support.hosts.groups import Group
from tests.support.hosts.namespaces import Namespace
from tests.support.hosts.tools import ToolError

_TOOLS = ("ip", "tc", "iptables-restore", "nsenter", "mount")


def missing() -> str:
    """What this machine lacks; empty when it has all. It is tried, since a container may forbid what is installed."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if absent := [name for name in _TOOLS if shutil.which(name) is None]:
        return f"no {', '.join(absent)}: the packages are iproute2, iptables, util-linux and mount"
    try:
        with closing(Namespace("trial")) as namespace:
            namespace.iptables("*nat", "COMMIT", "*filter", "COMMIT")
        with closing(Group("trial")) as group:
            group.limit(0.5)
    except (OSError, ToolError) as error:
        return f"namespaces or cgroups cannot be made here: {error}"
    return ""


_missing = missing()
requires_namespaces = pytest.mark.skipif(bool(_missing), reason=_missing or "nothing is missing")
"""Marks a test that has hosts."""
