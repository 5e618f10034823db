"""`distevod start --detach` and `stop`: what they say, and that a stopped daemon is gone."""

from __future__ import annotations

import json
import socket

import psutil

from tests.cli.conftest import Home


def test_a_taken_metrics_port_is_said_and_a_stopped_daemon_is_gone(home: Home) -> None:
    folder = str(home.folder / "other")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = home.distevod(
            "start", "--detach", "--workers", "1", "--state-dir", folder, "--metrics-port", str(port)
        ).stdout
    assert f"no metrics    port {port} is taken" in shown
    pid = int(shown.partition(", pid ")[2].split()[0])
    stopped = json.loads(home.distevod("stop", "--json", "--state-dir", folder).stdout)
    assert stopped["pid"] == pid
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
