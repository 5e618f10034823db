"""`drain` and `revoke`, where there is one platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from distevod.state_lock import holder
from tests.cli.conftest import Home
from tests.support.daemon import wait_for

START = ("start", "--detach", "--workers", "1", "--metrics-port", "0", "--id", "alone")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path)
    found.distevod(*START)
    yield found
    if holder(found.state_dir) is not None:
        found.distevod("stop")


def generations(home: Home) -> int:
    return sum(int(island["generation"]) for island in home.json("status", "--islands")["islands"])


def test_the_only_platform_says_where_its_islands_are_and_a_later_start_goes_on(alone: Home) -> None:
    alone.ctl("submit", "--problem", "onemax", "--tasks", "8192", "--cpu-seconds", "600", "--name", "long")
    wait_for(lambda: generations(alone) >= 3, "three generations")
    before = generations(alone)
    done = alone.ctl("drain", "alone")
    assert done.stdout == "alone: has left; what nobody could take is in its last checkpoint\n"
    assert "no other platform can take one island of it: kept in its last checkpoint" in done.stderr
    wait_for(lambda: holder(alone.state_dir) is None, "the daemon to end")
    log = (alone.state_dir / "distevod.log").read_text()
    assert "drained: nothing is left here, so this platform leaves" in log
    assert log.rstrip().endswith("stopped")
    alone.distevod(*START)
    wait_for(lambda: generations(alone) >= before, "it to go on from there")


def test_draining_without_waiting(alone: Home) -> None:
    answer = alone.json("drain", "alone", "--no-wait")
    assert (answer["member"], answer["state"], answer["note"]) == ("alone", "draining", None)
    wait_for(lambda: holder(alone.state_dir) is None, "the daemon to end")


def test_what_cannot_be_done_is_said(platform: Home) -> None:
    for command in (("drain", "nobody"), ("revoke", "nobody", "--yes")):
        assert platform.error(*command, code=5)["message"] == "there is no platform 'nobody'; there are: here"
    assert "drain it first" in platform.error("revoke", "here", "--yes", code=4)["message"]
    assert platform.error("revoke", "here", "--undo", code=4)["message"] == "the key of 'here' is not revoked"
    assert "add --yes" in platform.error("revoke", "here", code=2)["message"]
    assert "above 0" in platform.error("drain", "here", "--timeout", "0", code=2)["message"]
    assert platform.json("status")["members"][0]["state"] == "alive"


def test_help_has_an_example_and_the_exit_codes(home: Home) -> None:
    shown = home.ctl("drain", "--help").stdout
    assert "distevo-ctl drain kaggle-1 &&" in shown
    assert "7 after --timeout" in " ".join(shown.split())
    assert "--undo" in home.ctl("revoke", "--help").stdout
