"""`results`: the table, one task drawn, and pictures."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from click.testing import CliRunner

from distevo_ctl.commands import results
from tests.cli.conftest import Home

TASK = {"id", "fit", "solved", "program", "program_hex", "key", "fitness", "evaluations", "seconds"}


def test_results_have_the_promised_names(platform: Home, solved: str) -> None:
    answer = platform.json("results", solved)
    assert answer["run"]["id"] == solved
    assert [task["id"] for task in answer["tasks"]] == ["007bbfb7", "00d62c1b", "025d127b"]
    assert all(set(task) >= TASK for task in answer["tasks"])
    first, second, third = answer["tasks"]
    assert (first["fit"], first["solved"], second["solved"]) == (True, True, True)
    assert (third["fit"], third["solved"]) == (False, False)
    assert len(first["key"]) == 64
    assert bytes.fromhex(first["program_hex"]).decode() == first["program"]


def test_the_table_has_a_line_for_each_task_and_a_sum(platform: Home, solved: str) -> None:
    shown = platform.ctl("results", solved).stdout
    program = platform.json("results", solved)["tasks"][1]["program"]
    line = next(line for line in shown.splitlines() if line.startswith("00d62c1b"))
    assert line.split()[1:4] == ["done", "yes", "yes"]
    assert line.endswith(program)
    assert "3 of 3 tasks done, 2 fit, 2 solved, 0 failed" in shown


def test_one_task_is_drawn_with_what_its_program_does(platform: Home, solved: str) -> None:
    shown = platform.ctl("results", solved, "--task", "007bbfb7").stdout
    program = platform.json("results", solved, "--task", "007bbfb7")["tasks"][0]["program"]
    assert f"program  {program}\n" in shown
    assert "fit yes  solved yes" in shown
    assert shown.count("program ✓") == 6  # five pairs to learn from, one that was hidden
    assert "│077│  │000077077│  │000077077│" in shown


def test_on_a_terminal_it_is_drawn_in_colour(platform: Home, solved: str) -> None:
    shown = platform.terminal("results", solved, "--task", "007bbfb7")
    assert "48;2;255;133;27" in shown  # colour 7, #FF851B
    assert "\x1b[1;32m ✓" in shown
    plain = platform.terminal("results", solved, "--task", "007bbfb7", NO_COLOR="1")
    assert "48;2" not in plain
    assert "│077│" in plain


def test_a_wrong_program_is_marked(platform: Home, solved: str) -> None:
    shown = platform.ctl("results", solved, "--task", "025d127b").stdout
    assert "program ✗" in shown
    assert "solved no" in shown


def test_pictures(platform: Home, solved: str) -> None:
    folder = platform.folder / "pictures"
    assert platform.ctl("results", solved, "--svg", str(folder)).stdout.endswith(f"3 pictures in {folder}\n")
    assert sorted(path.name for path in folder.iterdir()) == ["007bbfb7.svg", "00d62c1b.svg", "025d127b.svg"]
    for path in folder.iterdir():
        root = ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "http" not in path.read_text().replace("http://www.w3.org/2000/svg", "")
    one = platform.folder / "one"
    platform.json("results", solved, "--task", "00d62c1b", "--svg", str(one))
    assert [path.name for path in one.iterdir()] == ["00d62c1b.svg"]


def test_pictures_that_cannot_be(platform: Home, solved: str) -> None:
    (platform.folder / "taken").write_text("")
    assert "cannot write" in platform.error("results", solved, "--svg", "taken", code=4)["message"]
    platform.ctl("submit", "--problem", "onemax", "--tasks", "8", "--name", "ones", "--wait")
    assert "no pictures" in platform.error("results", "ones", "--svg", "ones", code=4)["message"]
    assert "1 fit, - solved, 0 failed" in platform.ctl("results", "ones").stdout
    assert "program  11111111\n" in platform.ctl("results", "ones", "--task", "8").stdout


def test_what_is_not_there(platform: Home, solved: str) -> None:
    assert platform.error("results", "nobody", code=5)["message"].startswith("there is no run")
    assert platform.error("results", solved, "--task", "x", code=5)["message"] == "run 'solved' has no task 'x'"
    assert platform.error("results", solved, "--task", "x", code=5)["hint"] == (
        "its tasks are: 007bbfb7, 00d62c1b, 025d127b"
    )
    assert platform.error("results", "solvd", code=5)["hint"] == "did you mean 'solved'?"


@pytest.mark.parametrize("program", [None, "10101010"])
def test_what_is_wrong_with_a_run_of_one_task_is_said_once(
    program: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    complaint = "decode gave another program"
    task = {"id": "8", "state": "failed", "fit": False, "solved": None, "fitness": None, "evaluations": 3}
    run = {
        "id": "ones", "state": "failed", "note": complaint, "tasks_done": 0, "tasks_total": 1, "tasks_failed": 1,
        "fit": 0, "solved": None, "evaluations": 3, "duplicates_avoided": 0, "tasks_per_hour": None,
        "budget": {"cpu_seconds": None, "evaluations": 3}, "rungs": [],
    }  # fmt: skip
    results._show_run({"run": run, "tasks": [task | {"seconds": 0.1, "program": program, "error": complaint}]})
    assert capsys.readouterr().out.count(complaint) == 1


def test_what_is_wrong_with_one_of_several_tasks_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    complaint = "evaluate raised ValueError"
    task = {"state": "done", "fit": False, "solved": None, "fitness": [0.5], "evaluations": 3, "seconds": 0.1}
    run = {
        "id": "ones", "state": "done", "note": f"8: {complaint}", "tasks_done": 2, "tasks_total": 2, "tasks_failed": 0,
        "fit": 0, "solved": None, "evaluations": 6, "duplicates_avoided": 0, "tasks_per_hour": None,
        "budget": {"cpu_seconds": None, "evaluations": 3}, "rungs": [],
    }  # fmt: skip
    tasks = [task | {"id": "8", "program": "x", "error": complaint}, task | {"id": "9", "program": "x", "error": None}]
    results._show_run({"run": run, "tasks": tasks})
    assert capsys.readouterr().out.count(f"8: {complaint}") == 1


def test_a_task_whose_program_is_elsewhere_by_now_has_no_picture_and_spoils_no_others(
    platform: Home, solved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, unfit, still = answers = [
        platform.json("results", solved, "--task", task) for task in ("007bbfb7", "00d62c1b", "025d127b")
    ]
    whole = still | {"tasks": [dict(answer["tasks"][0]) for answer in answers]}
    del whole["data"]
    gone["tasks"][0] |= {"program": None, "program_hex": None, "fit": False, "solved": None, "state": "open"}
    unfit["tasks"][0] |= {"fit": False, "solved": None, "state": "working"}

    class Moving:
        """A daemon whose tasks in hand move on between two questions."""

        def ask(self, _do: str, *, run: str, task: str | None = None) -> dict[str, Any]:
            assert run == solved
            return next((answer for answer in answers if answer["tasks"][0]["id"] == task), whole)

    monkeypatch.setattr(results, "connect", lambda *_: contextlib.nullcontext(Moving()))
    folder = platform.folder / "moving"
    done = CliRunner().invoke(results.results, [solved, "--svg", str(folder), "--state-dir", str(platform.state_dir)])
    assert done.exception is None
    assert sorted(path.name for path in folder.iterdir()) == ["00d62c1b.svg", "025d127b.svg"]
    assert "00d62c1b: not fit" in (folder / "00d62c1b.svg").read_text()
