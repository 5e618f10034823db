"""Two daemons on one folder, of which one is drained or revoked with `distevo-ctl`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from tests.support.two import HARD, LISTEN, cluster, coordinator, evolving, members, until

SECONDS = 60


def ctl(daemon: Daemon, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`distevo-ctl`, asking this daemon."""
    command = [sys.executable, "-m", "distevo_ctl.main", *arguments, "--state-dir", str(daemon.state_dir)]
    done = subprocess.run(command, env=daemon.environ, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done


def ended(daemon: Daemon) -> int:
    """Wait until the daemon has ended by itself; its exit status."""
    assert daemon.process is not None
    return daemon.process.wait(SECONDS)


def begun(first: Daemon, second: Daemon) -> set[tuple[str, int]]:
    """Start a run on both; the islands of the second."""
    first.submit(reference="onemax", data=HARD, islands_per_task=2, evaluations=10**9)
    until(lambda: evolving(first) and evolving(second), "islands on both")
    return evolving(second)


def generations(daemon: Daemon) -> dict[tuple[str, int], int]:
    return {(at["task"], at["island"]): at["generation"] for at in daemon.ask(do="islands")["islands"]}


def test_a_follower_is_drained(tmp_path: Path) -> None:
    with cluster(tmp_path, LISTEN["links"]) as (first, second):
        theirs = begun(first, second)
        before = generations(second)
        answer: dict[str, Any] = json.loads(ctl(first, "drain", "b", "--json").stdout)
        assert (answer["member"], answer["state"], answer["note"]) == ("b", "left", None)
        assert ended(second) == 0
        assert "drained: nothing is left here" in second.log.read_text()
        assert members(first)["b"] == "left"
        until(lambda: theirs <= evolving(first), "its islands to go on")
        assert all(generations(first)[island] >= before[island] for island in theirs)
        assert "has left already" in ctl(first, "drain", "b", code=4).stderr
        second.start()
        until(lambda: evolving(second), "it to take part again")


def test_the_coordinator_is_drained_through_itself_and_the_other_goes_on(tmp_path: Path) -> None:
    with cluster(tmp_path, LISTEN["links"]) as (first, second):
        begun(first, second)
        assert ctl(first, "drain", "a").stdout == "a: has left, with nothing left there\n"
        assert ended(first) == 0
        until(lambda: coordinator(second) == "b", "another coordinator", seconds=10)
        until(lambda: len(evolving(second)) == 2, "all islands to go on there")


def test_a_follower_is_revoked_and_let_in_again(tmp_path: Path) -> None:
    with cluster(tmp_path, LISTEN["links"]) as (first, second):
        theirs = begun(first, second)
        assert "drain it first" in ctl(second, "revoke", "a", "--yes", code=4).stderr
        answer = json.loads(ctl(first, "revoke", "b", "--yes", "--json").stdout)
        assert answer == {"member": "b", "state": "revoked"}
        assert ended(second) == 4
        assert "this platform's key was revoked" in second.log.read_text()
        until(lambda: theirs <= evolving(first), "its islands to go on")
        second.start(wait=False)
        assert ended(second) == 4
        assert "revoked already" in ctl(first, "revoke", "b", "--yes", code=4).stderr
        assert ctl(first, "revoke", "b", "--undo").stdout.startswith("b: no longer revoked")
        second.start()
        until(lambda: evolving(second), "it to take part again")


def test_one_that_cannot_leave_yet_is_not_waited_for_without_end(tmp_path: Path) -> None:
    # However long the command takes to start: one that is held to be dead is not waited for at all.
    with cluster(tmp_path, LISTEN["links"], "--heartbeat-timeout", "60") as (first, second):
        begun(first, second)
        assert second.process is not None
        second.process.send_signal(signal.SIGSTOP)
        try:
            assert "b has not left yet" in ctl(first, "drain", "b", "--timeout", "0.5", code=7).stderr
        finally:
            second.process.send_signal(signal.SIGCONT)
        assert ended(second) == 0
