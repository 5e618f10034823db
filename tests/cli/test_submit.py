"""`submit`: what it accepts and says, how it waits, and what it refuses before anything is stored."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from distevo.run import MigrationSettings, RunSettings
from distevo_ctl import client
from distevo_ctl.commands.submit import LIMITS
from tests.cli.conftest import Home
from tests.support.daemon import wait_for

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


def waits_for(file: Path) -> str:
    """The beginning of a problem file whose trial takes until that file is there, or 20 s."""
    return f"import os, time\nfor _ in range(2000):\n    os.path.exists({str(file)!r}) or time.sleep(0.01)\n"


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
    out, err = waiting.communicate(timeout=90)
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
    _, err = waiting.communicate(timeout=90)
    assert waiting.returncode == 130
    assert "no longer waiting; left goes on\n" in err
    assert "error:" not in err
    assert wait_for_run(platform, "left")["state"] in {"queued", "running"}
    platform.ctl("cancel", "left")


def test_ctrl_c_before_there_is_an_answer_says_that_the_run_may_go_on(platform: Home) -> None:
    note, go = platform.folder / "tried", platform.folder / "go"
    endless = MINE.replace("genome == self.goal", "False")
    (platform.folder / "slow.py").write_text(f"open({str(note)!r}, 'w')\n{waits_for(go)}{endless}")
    asking = platform.popen(
        "main", "submit", "--problem", "slow.py:Mine", "--name", "perhaps", "--cpu-seconds", "600",
        stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(note.exists, "the trial")
    asking.send_signal(signal.SIGINT)
    _, err = asking.communicate(timeout=90)
    assert asking.returncode == 130
    assert "may still take the run in" in err
    assert "distevo-ctl cancel perhaps" in err
    go.touch()
    wait_for_run(platform, "perhaps")
    platform.ctl("cancel", "perhaps")


def test_a_long_trial_is_waited_for_as_long_as_the_daemon_says_that_it_is_there(
    platform: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PING_SECONDS", 0.1)
    go, patience = platform.folder / "go on", 3.0
    begun = time.monotonic()

    def waiting() -> None:
        if time.monotonic() > begun + patience + 0.5:
            go.touch()

    source = f"{waits_for(go)}{MINE}"
    with client.Client(platform.state_dir) as asked:
        answer = asked.ask("submit", seconds=patience, waiting=waiting, reference="mine.py:Mine", source=source)
    assert answer["problem"] == "mine 3"
    assert go.exists()


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
        (("--problem", "onemax", "--cpu-seconds", "1e10"), 2, "--cpu-seconds must be at most 1000000000"),
        (("--problem", "onemax", "--islands-per-task", "5000"), 2, "5000 is not in the range 1<=x<=1024"),
        (("--problem", "onemax", "--population-size", "100001"), 2, "100001 is not in the range 2<=x<=100000"),
        (("--problem", "onemax", "--name", "a b"), 2, "run name 'a b'"),
        (
            ("--problem", "onemax", "--topology", "rings"),
            2,
            "the topology 'rings' is unknown; choose one of unconnected",
        ),
        (
            ("--problem", "onemax", "--selection", "best"),
            2,
            "the selection 'best' is unknown; choose one of select_best",
        ),
        (
            ("--problem", "onemax", "--replacement", "all"),
            2,
            "the replacement 'all' is unknown; choose one of fair_rep",
        ),
        (("--problem", "onemax", "--topology", "free_form"), 2, "free_form has no edges"),
        (("--problem", "onemax", "--edges", "0-1"), 2, "choose free_form for them"),
        (("--problem", "onemax", "--edges", "0>1"), 2, "write each edge as SOURCE-TARGET"),
        (
            ("--problem", "onemax", "--topology", "free_form", "--edges", "0-1,1-2", "--islands-per-task", "2"),
            2,
            "the edge 1 -> 2 names an island that is not there",
        ),
        (("--problem", "onemax", "--degree", "0"), 2, "--degree"),
        (("--problem", "onemax", "--topology", "ring", "--degree", "3"), 2, "ring has its own edges"),
        (
            ("--problem", "onemax", "--topology", "random", "--degree", "3", "--islands-per-task", "3"),
            2,
            "--degree 3 needs more than 3 islands",
        ),
        (("--problem", "onemax", "--migration-interval", "0"), 2, "--migration-interval"),
        (("--problem", "onemax", "--migration-size", "1001"), 2, "1001 is not in the range 1<=x<=1000"),
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


@pytest.mark.parametrize("field", LIMITS)
def test_limits_are_those_of_a_run(field: str) -> None:
    struct = RunSettings if field in RunSettings.__struct_fields__ else MigrationSettings
    given: dict[str, Any] = {"seed": 1, "evaluations": 1024} if struct is RunSettings else {}
    msgspec.convert(given | {field: LIMITS[field]}, struct)
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert(given | {field: LIMITS[field] + 1}, struct)


def test_a_task_file_that_holds_null_is_not_the_same_as_none(platform: Home) -> None:
    (platform.folder / "mine.py").write_text(MINE)
    (platform.folder / "null.json").write_text("null")
    error = platform.error("submit", "--problem", "mine.py:Mine", "--tasks", "null.json", code=4)
    assert "the task file holds no object of tasks by id" in error["message"]


def test_a_task_file_that_holds_the_data_of_a_task(platform: Home) -> None:
    (platform.folder / "mine.py").write_text(MINE)
    (platform.folder / "data.json").write_text('{"goal": 3}')
    error = platform.error("submit", "--problem", "mine.py:Mine", "--tasks", "data.json", code=4)
    assert 'its data is 3: a task file is {"id": data of that task, ...}' in error["message"]


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


@pytest.mark.parametrize(
    ("name", "options", "edges"),
    [
        ("ring", (), {(0, 1), (1, 2), (2, 0)}),
        ("free", ("--topology", "free_form", "--edges", "0-2,1-2"), {(0, 2), (1, 2)}),
    ],
)
def test_islands_give_each_other_programs_along_the_topology(
    roomy: Home, name: str, options: tuple[str, ...], edges: set[tuple[int, int]]
) -> None:
    roomy.ctl(
        "submit", "--problem", "onemax", "--tasks", "8192", "--name", name, "--islands-per-task", "3",
        "--evaluations", "1000000", "--migration-interval", "1", "--migration-size", "3", *options,
    )  # fmt: skip
    found: dict[tuple[int, int], dict[str, Any]] = {}

    def has_migrated() -> bool:
        found.update({(edge["source"], edge["target"]): edge for edge in roomy.json("status")["migrations"]})
        return found.keys() == edges and all(edge["sent"] > 1 and edge["accepted"] for edge in found.values())

    wait_for(has_migrated, "emigrants on every edge", every=0.2)
    for edge in found.values():
        assert (edge["run"], edge["task"], edge["is_waiting"]) == (name, "8192", False)
        assert edge["accepted"] + edge["known"] <= 3 * edge["sent"]
        assert edge["owner"].startswith("roomy-")
    shown = roomy.ctl("status", "--edges").stdout
    for source, target in edges:
        assert re.search(rf"^{name} +8192 +{source} to {target} ", shown, re.MULTILINE)
    roomy.ctl("cancel", name)
    assert roomy.json("status")["migrations"] == []


def test_unconnected_islands_keep_to_themselves(roomy: Home) -> None:
    roomy.ctl(
        "submit", "--problem", "onemax", "--tasks", "8192", "--name", "alone", "--islands-per-task", "3",
        "--evaluations", "1000000", "--migration-interval", "1", "--topology", "unconnected",
    )  # fmt: skip

    def have_evolved() -> bool:
        generations = [island["generation"] for island in roomy.json("status", "--islands")["islands"]]
        return len(generations) == 3 and min(generations) > 2

    wait_for(have_evolved, "some generations of all islands", every=0.2)
    assert roomy.json("status")["migrations"] == []
    roomy.ctl("cancel", "alone")


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with a daemon that lets three islands evolve side by side."""
    found = Home(tmp_path_factory.mktemp("home"))
    found.distevod(
        "start", "--detach", "--workers", "2", "--islands-per-platform", "3", "--metrics-port", "0", "--id", "roomy"
    )
    yield found
    found.distevod("stop")


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
    start, store = error["hint"].split("\n  ")
    assert start == f"start one with: distevod start --detach --state-dir '{other}'"
    assert store == "or look at a cluster from outside: --store FOLDER or gs://BUCKET/PREFIX"
    assert "--store" in home.error("--state-dir", other, "watch", code=3)["hint"]


@pytest.mark.parametrize(
    ("budgets", "why"),
    [
        ("5", "2 to 32 rise"),
        ("1,2ev", "all budgets are in one unit"),
        ("2,1", "does not rise: 1 comes after 2"),
        ("1,x", "'x' is no budget"),
        ("1.5ev,3ev", "whole numbers"),
        ("0,1", "above 0"),
        ("1e400,2", "'1e400' is no budget"),
    ],
)
def test_budgets_that_do_not_rise_are_refused(platform: Home, budgets: str, why: str) -> None:
    assert why in platform.error("submit", "--problem", "onemax", "--budgets", budgets, code=2)["message"]


def test_rising_budgets_are_gone_through_and_shown(platform: Home) -> None:
    both = platform.error("submit", "--problem", "onemax", "--budgets", "1,2", "--cpu-seconds", "3", code=2)
    assert "give no --cpu-seconds" in both["message"]
    few = ("--budgets", "3ev,9ev", "--islands-per-task", "4")
    assert "none" in platform.error("submit", "--problem", "onemax", *few, code=2)["message"]
    rising = ("--budgets", "200ev,500ev,1000ev", "--priority", "3", "--name", "rising", "--seed", "1")
    view = platform.json("submit", "--problem", "onemax", "--tasks", "4000,4001,4002", *rising, "--wait")
    assert (view["state"], view["tasks_done"], view["fit"], view["evaluations"]) == ("done", 3, 0, 3000)
    assert (view["rungs"], view["budget"]["evaluations"], view["priority"]) == ([200, 500], 1000, 3)
    assert view["tasks_on_rungs"] == [0, 0, 0]
    assert "tasks an hour at 200, 500, 1,000 evaluations each" in platform.ctl("results", "rising").stdout
    assert " at 200, 500, 1,000 evaluations" in platform.ctl("runs").stdout
    platform.ctl("delete", "rising")


def test_a_run_begins_from_another(platform: Home) -> None:
    short = ("--problem", "onemax", "--evaluations", "2000", "--seed", "1")
    platform.ctl("submit", *short, "--tasks", "16,4000", "--name", "earlier", "--wait")
    best = {task["id"]: task["fitness"] for task in platform.json("results", "earlier")["tasks"]}
    text = platform.ctl("submit", *short, "--tasks", "16,4000,20", "--name", "later", "--from", "earlier").stdout
    assert re.search(r"begins with \d+ programs of 2 tasks of earlier", text)
    platform.ctl("delete", "earlier")
    wait_for(lambda: _state(platform, "later") == "done", "the run to be done")
    later = {task["id"]: task for task in platform.json("results", "later")["tasks"]}
    assert (later["16"]["fit"], later["16"]["evaluations"]) == (True, 0)
    assert later["4000"]["fitness"] >= best["4000"]
    platform.ctl("delete", "later")


def test_what_was_found_for_other_data_under_the_same_id_is_evaluated_anew(platform: Home, tmp_path: Path) -> None:
    data = tmp_path / "points.csv"
    few = ("submit", "--problem", "regression", "--tasks", data, "--evaluations", "3000", "--seed", "1")
    data.write_text("x0,y\n" + "".join(f"{x},{x + 1}\n" for x in range(9)))
    platform.ctl(*few, "--name", "line", "--wait")
    data.write_text(data.read_text() + "".join(f"{x},{3 * x}\n" for x in range(20, 29)))
    said = platform.ctl(*few, "--name", "bent", "--from", "line").stdout
    assert "those of 1 changed since or were refuted, and are evaluated anew" in said
    wait_for(lambda: _state(platform, "bent") == "done", "the run to be done")
    (task,) = platform.json("results", "bent")["tasks"]
    assert (task["fit"], task["evaluations"]) == (False, 3000)
    for name in ("line", "bent"):
        platform.ctl("delete", name)


def _state(platform: Home, name: str) -> str:
    return str(next(run["state"] for run in platform.json("runs")["runs"] if run["id"] == name))


def test_what_a_run_cannot_begin_from_is_said(platform: Home, solved: str) -> None:
    def refused(code: int, *options: str) -> str:
        return str(platform.error("submit", "--problem", *options, code=code)["message"])

    assert "there is no run 'nowhere'" in refused(5, "onemax", "--from", "nowhere")
    assert "its programs mean nothing to onemax" in refused(4, "onemax", "--from", solved)
    assert "--from-others goes with" in refused(2, "onemax", "--from-others", "3")
    assert f"of these tasks {solved} has no result" in refused(
        4, "grids", "--tasks", "training:390-391", "--from", solved
    )
    platform.ctl("submit", "--problem", "onemax", "--tasks", "9000", "--cpu-seconds", "60", "--name", "young")
    assert "young has no results yet" in refused(4, "onemax", "--tasks", "9000", "--from", "young")
    platform.ctl("cancel", "young")
    platform.ctl("delete", "young")
