"""`submit`: what it accepts and says, how it waits, and what it refuses before anything is stored."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Home

MINE = """
class Mine:
    name = "mine"
    version = "3"

    def __init__(self, task):
        self.goal = task.get("goal", 5)

    def random(self, rng):
        return rng.randrange(50)

    def mutate(self, genome, rng):
        return max(genome + rng.choice((-1, 1)), 0)

    def evaluate(self, genome):
        return {"fitness": -abs(genome - self.goal), "fit": genome == self.goal}

    def encode(self, genome):
        return str(genome).encode()

    def decode(self, data):
        return int(data)
"""


def test_what_is_said_and_what_is_json(platform: Home) -> None:
    text = platform.ctl("submit", "--problem", "onemax", "--tasks", "8,16", "--name", "said", "--seed", "7").stdout
    assert text.startswith("said: 2 tasks of onemax 1, seed 7\n")
    assert "distevo-ctl watch" in text
    assert "distevo-ctl results said" in text
    answer = platform.json("submit", "--problem", "onemax", "--evaluations", "100")
    assert answer["run"].startswith("onemax-")
    assert answer["tasks"] == 1
    assert answer["problem"] == "onemax 1"


def test_waiting_ends_with_the_last_view_of_the_run(platform: Home) -> None:
    view = platform.json("submit", "--problem", "onemax", "--tasks", "24,32", "--name", "waited", "--wait")
    assert (view["id"], view["state"], view["tasks_done"], view["fit"]) == ("waited", "done", 2, 2)
    done = platform.ctl("submit", "--problem", "onemax", "--tasks", "400", "--name", "waited-too", "--wait")
    assert "waited-too: done, 1 of 1 tasks, 1 fit" in done.stdout
    assert done.stderr.startswith("waited-too: ")


def test_waiting_on_a_terminal_shows_a_bar(platform: Home) -> None:
    shown = platform.terminal(
        "submit", "--problem", "onemax", "--tasks", "16,8192", "--name", "bar", "--cpu-seconds", "0.6", "--wait"
    )
    assert "━━━━" in shown
    assert "bar: done, 2 of 2 tasks, 1 fit" in shown


def test_a_run_that_is_cancelled_while_waited_for_is_8(platform: Home) -> None:
    waiting = platform.popen(
        "main", "submit", "--problem", "onemax", "--tasks", "8192", "--name", "doomed", "--wait", "--json",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for_run(platform, "doomed")
    platform.ctl("cancel", "doomed")
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 8
    assert json.loads(out)["state"] == "cancelled"
    assert json.loads(err)["error"] | {"hint": ""} == {
        "code": 8, "name": "run_failed", "message": "doomed is cancelled", "hint": "",
    }  # fmt: skip


def test_ctrl_c_while_waiting_leaves_the_run(platform: Home) -> None:
    waiting = platform.popen(
        "main", "submit", "--problem", "onemax", "--tasks", "8192", "--name", "left", "--wait",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert waiting.stdout is not None
    assert waiting.stdout.readline().startswith("left: 1 task")
    wait_for_run(platform, "left")
    assert waiting.stderr is not None
    assert waiting.stderr.readline().startswith("left: ")  # so it is waiting
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert "no longer waiting; left goes on\n" in err
    assert "error:" not in err
    assert wait_for_run(platform, "left")["state"] in {"queued", "running"}
    platform.ctl("cancel", "left")


def test_a_problem_file_and_a_task_file(platform: Home) -> None:
    (platform.folder / "mine.py").write_text(MINE)
    (platform.folder / "goals.json").write_text('{"a": {"goal": 3}, "b": {"goal": 40}}')
    view = platform.json(
        "submit", "--problem", "mine.py:Mine", "--tasks", "goals.json", "--name", "file", "--wait", "--cpu-seconds", "5"
    )
    assert (view["problem"], view["fit"]) == ("mine 3", 2)
    shown = platform.ctl("results", "file", "--task", "b").stdout
    assert "program  40\n" in shown


def test_a_csv_file(platform: Home) -> None:
    (platform.folder / "line.csv").write_text("x,y\n" + "".join(f"{x},{2 * x + 1}\n" for x in range(20)))
    view = platform.json(
        "submit", "--problem", "regression", "--tasks", "line.csv", "--name", "csv", "--wait", "--cpu-seconds", "5"
    )
    assert view["fit"] == 1
    assert platform.json("results", "csv")["tasks"][0]["id"] == "line"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--problem", "gridz"), 4, "did you mean 'grids'"),
        (("--problem", "no.such.module:Class"), 4, "no module named 'no.such.module'"),
        (("--problem", "grids"), 4, "Grids needs tasks; give "),
        (("--problem", "grids", "--tasks", "training:9-3"), 4, "from the lower to the higher"),
        (("--problem", "nowhere.py:Class"), 5, "there is no problem file nowhere.py"),
        (("--problem", "onemax", "--tasks", "nowhere.json"), 5, "there is no task file nowhere.json"),
        (("--problem", "onemax", "--evaluations", "9", "--cpu-seconds", "1"), 2, "not both"),
        (("--problem", "onemax", "--cpu-seconds", "nan"), 2, "--cpu-seconds must be above 0"),
        (("--problem", "onemax", "--cpu-seconds", "inf"), 2, "--cpu-seconds must be above 0"),
        (("--problem", "onemax", "--evaluations", "0"), 2, "--evaluations"),
        (("--problem", "onemax", "--evaluations", "1" + "0" * 30), 2, "--evaluations"),
        (("--problem", "onemax", "--seed", "-1"), 2, "--seed"),
        (("--problem", "onemax", "--islands-per-task", "5000"), 2, "islands_per_task"),
        (("--problem", "onemax", "--name", "a b"), 2, "run name 'a b'"),
        (("--tasks", "8"), 2, "--problem"),
        (("--problem", "onemax", "--wiat"), 2, "--wiat"),
    ],
)
def test_what_is_refused(platform: Home, arguments: tuple[str, ...], code: int, message: str) -> None:
    before = [run["id"] for run in platform.json("runs")["runs"]]
    assert message in platform.error("submit", *arguments, code=code)["message"]
    assert [run["id"] for run in platform.json("runs")["runs"]] == before


def test_a_name_that_exists_is_refused(platform: Home, solved: str) -> None:
    error = platform.error("submit", "--problem", "onemax", "--name", solved, code=4)
    assert error["message"] == "a run named 'solved' exists already"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise ValueError('boom')", "importing bad.py failed: ValueError: boom"),
        ("class Mine:\n    def __init__(self, task): pass", "name"),
        ("class Mine(", "bad.py"),
    ],
)
def test_problem_files_that_do_not_work(platform: Home, source: str, message: str) -> None:
    (platform.folder / "bad.py").write_text(source)
    assert message in platform.error("submit", "--problem", "bad.py:Mine", code=4)["message"]


def wait_for_run(platform: Home, name: str) -> dict[str, Any]:
    """The run as soon as it is there."""
    for _ in range(100):
        for run in platform.json("runs")["runs"]:
            if run["id"] == name:
                found: dict[str, Any] = run
                return found
    raise AssertionError(f"no run {name}")


def test_there_must_be_a_daemon(home: Home, tmp_path: Path) -> None:
    error = home.error("submit", "--problem", "onemax", code=3)
    assert error["message"] == f"no daemon runs on {home.state_dir}"
    assert error["hint"] == "start one with: distevod start --detach"
    other = str(tmp_path / "an other")
    error = home.error("--state-dir", other, "status", code=3)
    assert error["hint"] == f"start one with: distevod start --detach --state-dir '{other}'"
