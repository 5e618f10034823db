"""`status`, `runs`, and what is done to a run."""

from __future__ import annotations

import json
from importlib.metadata import version

from tests.cli.conftest import Home

LONG = ("submit", "--problem", "onemax", "--tasks", "8192", "--cpu-seconds", "60")
MEMBER = {"id", "kind", "state", "boot", "workers", "islands", "path", "last_heard_s", "checkpoint_age_s"}
RUN = {
    "id", "problem", "state", "tasks_total", "tasks_done", "fit", "solved", "evaluations", "evaluations_per_s",
    "duplicates_avoided", "tasks_per_hour", "budget", "rungs", "tasks_on_rungs", "priority", "eta_s",
}  # fmt: skip


def test_status_has_the_promised_names(platform: Home, solved: str) -> None:
    status = platform.json("status")
    assert set(status["cluster"]) >= {"id", "epoch", "coordinator"}
    assert status["cluster"]["coordinator"] == "here"
    (member,) = status["members"]
    assert set(member) >= MEMBER
    assert (member["id"], member["state"], member["workers"]) == ("here", "alive", 2)
    run = next(run for run in status["runs"] if run["id"] == solved)
    assert set(run) >= RUN
    assert (run["tasks_total"], run["tasks_done"], run["fit"], run["solved"]) == (3, 3, 2, 2)


def test_status_for_people(platform: Home, solved: str) -> None:
    shown = platform.ctl("status").stdout
    assert "coordinator here" in shown
    assert "alive" in shown
    line = next(line for line in shown.splitlines() if line.startswith(solved))
    assert line.split()[1:7] == ["grids", "1", "done", "3/3", "2", "2"]
    assert "\x1b" not in shown
    assert "\x1b[" in platform.terminal("status")
    assert "\x1b[3" not in platform.terminal("status", NO_COLOR="1")
    listed = platform.ctl("runs").stdout.splitlines()
    assert {line.split()[0] for line in listed} >= {run["id"] for run in platform.json("status")["runs"]}


def test_islands_and_their_diversity(platform: Home) -> None:
    platform.ctl(*LONG, "--name", "diverse", "--islands-per-task", "2")
    for _ in range(50):
        islands = [island for island in platform.json("status", "--islands")["islands"] if island["run"] == "diverse"]
        if all(island["programs"] for island in islands) and len(islands) == 2:
            break
    assert [island["island"] for island in islands] == [0, 1]
    assert all(island["programs"] > 0 and island["best_fitness"] for island in islands)
    assert "diverse 8192 1" in platform.ctl("status", "--islands").stdout
    platform.ctl("cancel", "diverse")


def test_the_life_of_a_run(platform: Home) -> None:
    platform.ctl(*LONG, "--name", "life")
    assert platform.ctl("pause", "life").stdout == "life: paused\n"
    assert platform.error("pause", "life", code=4)["message"] == "the run is paused"
    assert platform.json("resume", "life")["state"] in {"queued", "running"}
    assert platform.error("extend", "life", "--cpu-seconds", "1", code=4)["message"].startswith("the budget has to be")
    other = platform.error("extend", "life", "--evaluations", "9", code=4)["message"]
    assert other == "this run's budget is in CPU seconds: give --cpu-seconds above 60"
    assert platform.json("extend", "life", "--cpu-seconds", "90")["run"] == "life"
    assert platform.ctl("priority", "life", "-7").stdout == "life: running, priority -7\n"
    assert next(run for run in platform.json("runs")["runs"] if run["id"] == "life")["priority"] == -7
    assert "PRIORITY" in platform.ctl("runs").stdout
    assert "-1000<=x<=1000" in platform.error("priority", "life", "1001", code=2)["message"]
    assert platform.error("delete", "life", code=4)["message"].endswith("cancel it first")
    assert platform.json("cancel", "life") == {"run": "life", "state": "cancelled"}
    budget = next(run for run in platform.json("runs")["runs"] if run["id"] == "life")["budget"]
    assert budget == {"cpu_seconds": 90, "evaluations": None}
    assert platform.ctl("delete", "life").stdout == "life: deleted\n"
    assert "life" not in [run["id"] for run in platform.json("runs")["runs"]]


def test_extending_goes_on_from_where_it_stopped(platform: Home) -> None:
    view = platform.json(
        "submit", "--problem", "onemax", "--tasks", "8192", "--evaluations", "300", "--name", "more", "--wait"
    )
    assert view["evaluations"] >= 300
    platform.ctl("extend", "more", "--evaluations", "900")
    platform.ctl("watch", "--until-done", "--interval", "0.1")
    after = next(run for run in platform.json("runs")["runs"] if run["id"] == "more")
    assert (after["state"], after["tasks_done"]) == ("done", 1)
    assert 900 <= after["evaluations"] < 900 + view["evaluations"]


def test_what_is_not_there_is_5_and_what_makes_no_sense_is_2(platform: Home) -> None:
    for command in ("cancel", "pause", "resume", "delete"):
        assert platform.error(command, "nobody", code=5)["message"].startswith("there is no run 'nobody'")
    platform.error("extend", "nobody", "--cpu-seconds", "5", code=5)
    assert "--cpu-seconds or --evaluations" in platform.error("extend", "nobody", code=2)["message"]
    platform.error("extend", "nobody", "--cpu-seconds", "nan", code=2)
    assert "No such command 'stat'" in platform.ctl("stat", code=2).stderr


def test_help_has_the_exit_codes(home: Home) -> None:
    shown = home.ctl("--help").stdout
    assert "    3  no daemon runs" in shown
    for command in ("submit", "status", "watch", "runs", "results", "cancel", "pause", "resume", "extend", "delete"):
        assert f"  {command} " in shown
        assert "--state-dir" in home.ctl(command, "--help").stdout


def test_options_before_the_command_are_those_after_it(platform: Home, solved: str) -> None:
    before = json.loads(platform.ctl("--json", "--state-dir", str(platform.state_dir), "results", solved).stdout)
    assert before == platform.json("results", solved)
    assert "checkpoints" in json.loads(platform.ctl("--json", "checkpoints", "list").stdout)


def test_version(home: Home) -> None:
    assert home.ctl("--version").stdout == f"distevo-ctl {version('distevo')}\n"
    assert home.distevod("--version").stdout == f"distevod {version('distevo')}\n"
