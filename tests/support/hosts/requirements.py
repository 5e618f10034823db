"""What a machine needs to have hosts on it."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from distevo_ctl.hosts.namespaces import Namespace
from distevo_ctl.hosts.requirements import missing_for_groups, missing_for_namespaces, missing_tools
from distevo_ctl.hosts.tools import ToolError

_TOOLS = ("ip", "tc", "iptables-restore", "nsenter", "mount")


def missing() -> str:
    """What this machine lacks; empty when it has all. It is tried, since a container may forbid what is installed."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if absent := missing_tools(_TOOLS):
        return f"no {', '.join(absent)}: the packages are iproute2, iptables, util-linux and mount"
    if lack := missing_for_namespaces() or missing_for_groups():
        return lack
    try:
        with closing(Namespace("trial")) as namespace:
            namespace.iptables("*nat", "COMMIT", "*filter", "COMMIT")
    except (OSError, ToolError) as error:
        return f"iptables cannot be used in namespaces here: {error}"
    return ""


_missing = missing()
requires_namespaces = pytest.mark.skipif(bool(_missing), reason=_missing or "nothing is missing")
"""Marks a test that has hosts."""
