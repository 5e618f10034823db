"""`distevo-ctl simulate` as a person has it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from distevo.simulator import Report, expand, scenario_of, simulate
from distevo_ctl.simulate import _plain

SMALL = "minutes: 2\nmembers: [{kind: server, count: 2}]\nruns: [{name: r, tasks: 1, evaluations: 60}]\n"
STUCK = SMALL.replace("60", "60000") + "must_finish: true\n"


def run(*arguments: object, code: int = 0) -> str:
    """What the command prints, on standard output or else on standard error."""
    command = [sys.executable, "-m", "distevo_ctl.main", "simulate", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout or done.stderr


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_a_scenario_is_simulated_and_summed_up(small: Path) -> None:
    printed = run(small, "--seed", 4)
    lines = dict(line.split(maxsplit=1) for line in printed.splitlines() if line.split(maxsplit=1)[1:])
    assert lines["seeds"] == "1, 0 with a finding"
    assert lines["virtual"].startswith("time  2 min, in ")
    assert lines["runs"] == "r done"
    assert "on Google Cloud Storage $" in lines["store"]


def test_what_users_ask_for_in_vain_is_said(tmp_path: Path) -> None:
    path = tmp_path / "refused.yaml"
    orders = ["{verb: pause, run: r, at: 5}", "{verb: resume, run: r, at: 15}", "{verb: delete, run: r, at: 25}"]
    path.write_text(f"{SMALL}commands: [{', '.join(orders)}]\n".replace("60", "600"))
    assert [line.split(maxsplit=1)[1] for line in run(path).splitlines() if line.startswith("refused")] == [
        "delete r: the run is running; cancel it first"
    ]


def test_json_has_every_report(small: Path) -> None:
    told: dict[str, Any] = json.loads(run(small, "--seeds", 3, "--jobs", 2, "--seed", 7, "--json"))
    assert told["findings"] == []
    assert [report["seed"] for report in told["reports"]] == [7, 8, 9]
    assert set(told["reports"][0]) == set(Report.__struct_fields__)


def test_a_finding_is_shown_with_its_trace_and_ends_with_1(tmp_path: Path) -> None:
    path = tmp_path / "stuck.yaml"
    path.write_text(STUCK)
    printed = run(path, code=1)
    assert "every run ends" in printed
    assert "r is running, 0 of 1 tasks done" in printed
    assert "slot 0 reports r/t0/" in printed


def test_a_seed_prints_its_scenario_and_its_trace(small: Path) -> None:
    assert scenario_of(yaml.safe_load(run("--seed", 5, "--print"))) == expand(5)
    assert "coordinator cluster=" in run(small, "--trace")


def test_the_command_and_the_library_simulate_the_same() -> None:
    told = json.loads(run("--seed", 5, "--json"))
    assert told["reports"][0]["hash"] == simulate(expand(5), 5).hash


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 5, "there is no file"),
        ("members: [}", 2, "is not YAML"),
        (SMALL + "runs: []", 2, "'runs' is there more than once"),
        (SMALL + "network: {jitter: " + "[" * 900, 2, "is nested too deeply"),
        ("minutes: 2001-99-99", 2, "month must be in 1..12"),
        ("minutes: 5", 2, "missing required field `members`"),
        (SMALL + "faults: [{fault: crash, at: 1, member: x}]", 2, "there is no member 'x'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: str | None, code: int, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    if content is not None:
        path.write_text(content)
    assert message in run(path, code=code)


def test_what_is_merged_into_a_mapping_is_not_said_twice() -> None:
    content = b"b: &b {k: 0}\nx: {y: &a {<<: *b, k: 1}}\nc: {<<: *a}\n"
    assert _plain(content) == yaml.safe_load(content) == {"b": {"k": 0}, "x": {"y": {"k": 1}}, "c": {"k": 1}}


def test_a_trace_is_of_one_seed() -> None:
    assert "one seed" in run("--seeds", 2, "--trace", code=2)
