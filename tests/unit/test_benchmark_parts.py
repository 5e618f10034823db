"""What a benchmark makes of what it measured: sizes, repeats, multipliers, the verdict, the curve."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from distevo.checkpoint import IslandSnapshot
from distevo.errors import TaskError
from distevo.events import IslandId
from distevo.orders import MAX_PLACES
from distevo.run import MAX_ISLANDS, ProblemUse, Run, RunSettings
from distevo.work import fresh_snapshot
from distevo_ctl.benchmark import bare
from distevo_ctl.benchmark.curve import curve
from distevo_ctl.benchmark.document import disturbance
from distevo_ctl.benchmark.figures import Figures, Page, cpu_seconds
from distevo_ctl.benchmark.isolation import Isolation, Place, choose, fair_cpus
from distevo_ctl.benchmark.measurement import Measurement, Setup, _measured
from distevo_ctl.benchmark.series import Series
from distevo_ctl.benchmark.traces import count_traces
from distevo_ctl.benchmark.verdict import Finding, judge, overall
from distevo_ctl.benchmark.work import RUN_SIZE, Work, read_work
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.hosts.tools import ToolError
from distevod.evolution import trace
from distevod.evolution.trace import Trace
from distevod.problems.check_process import check_in_process
from distevod.problems.task_data import TASKS_LIMIT_BYTES


@pytest.mark.parametrize(
    ("cores", "largest", "cpus"), [(2, 1, 1.0), (2, 3, 0.5), (2, 8, 0.2), (2, 64, 0.05), (16, 8, 1.0), (1, 3, 0.25)]
)
def test_platforms_fit_on_the_machine_together(cores: int, largest: int, cpus: float) -> None:
    assert fair_cpus(cores, largest) == cpus


def test_without_quotas_no_more_than_the_cores_is_promised() -> None:
    found = choose(3, None, forbidden="as asked for")
    assert (found.network, found.processors) == ("loopback", "bound to a core")
    assert [found._replace(cores=2).capacity(count) for count in (1, 2, 8)] == [1.0, 2.0, 2.0]
    assert found.told() == "platforms in loopback, each bound to a core (as asked for)"


@pytest.mark.parametrize(
    ("cpus", "capacities"), [(0.2, [1, 3, 8]), (0.5, [1, 3, 4]), (1.0, [1, 2, 2]), (2.0, [1, 1, 1]), (4.0, [1, 1, 1])]
)
def test_quotas_promise_no_more_than_the_machine_has(cpus: float, capacities: list[float]) -> None:
    found = Isolation(has_namespaces=True, has_quota=True, cpus=cpus, cores=2, reasons=())
    assert [found.capacity(count) for count in (1, 3, 8)] == capacities


# --- plain loops ---------------------------------------------------------------------------------

NOTED = """
import sys, time

time.sleep(float(sys.argv[1]))
path, up = sys.argv[2], time.monotonic()

def begin():
    input()
    open(path, "w").write(f"{up} {time.monotonic()}")

code, sys.argv = sys.argv[5], sys.argv[5:]
exec(code, {"input": begin})
"""
"""A loop that is up late, and notes when it was not yet up and when it begins; before the loop's own command line."""


def loop_turns(monkeypatch: pytest.MonkeyPatch, *prefixes: tuple[str, ...]) -> float:
    """Of loops behind these."""
    monkeypatch.setattr(bare, "SECONDS", 0.1)
    given = iter(prefixes)
    monkeypatch.setattr(Place, "prefix", property(lambda _: next(given)))
    isolation = choose(2, None, forbidden="as asked for")
    return bare.turns_per_second(isolation, contextlib.nullcontext, len(prefixes), 1)


def test_plain_loops_begin_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / name for name in "ab"]
    prefixes = [(sys.executable, "-c", NOTED, delay, str(file)) for delay, file in zip("01", files, strict=True)]
    assert loop_turns(monkeypatch, *prefixes) > 0
    up, begun = zip(*(map(float, file.read_text().split()) for file in files), strict=True)
    assert max(up) <= min(begun)


@pytest.mark.parametrize(
    ("prefix", "loop", "words"),
    [
        (("sh", "-c", "echo no such place >&2; exit 125"), bare.LOOP, "ended with 125: no such place"),
        ((), "print('ready', flush=True); input(); exit('broken')", "ended with 1: broken"),
    ],
    ids=["before it is up", "in the middle"],
)
def test_a_plain_loop_that_fails_is_told(
    monkeypatch: pytest.MonkeyPatch, prefix: tuple[str, ...], loop: str, words: str
) -> None:
    monkeypatch.setattr(bare, "LOOP", loop)
    with pytest.raises(ToolError, match=words):
        loop_turns(monkeypatch, (), prefix)


# --- repeats -------------------------------------------------------------------------------------


class Times:
    """Moments that a trace is told, one after another."""

    def __init__(self, *moments: float) -> None:
        self._moments = iter(moments)

    def monotonic(self) -> float:
        return next(self._moments)


def snapshot(task: str) -> IslandSnapshot:
    run = Run(
        name="r", nonce="", problem=ProblemUse("onemax", "", "onemax", "1"), tasks={task: msgspec.Raw(b"{}")},
        settings=RunSettings(seed=1, evaluations=1), submitted_through="",
    )  # fmt: skip
    return fresh_snapshot(run, IslandId("r", task, 0), 1)


def test_repeats_are_told_by_task_and_by_whether_another_platform_was_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(pid: int, *generations: tuple[str, float, float, str]) -> Path:
        monkeypatch.setattr(trace.os, "getpid", lambda: pid)
        moments = [moment for _, begun, ended, _ in generations for moment in (begun, ended)]
        monkeypatch.setattr(trace, "time", Times(*moments))
        made = Trace(tmp_path / str(pid))
        for task, _, _, keys in generations:
            made.begin()
            made.evaluated(f"{key:8}".encode() for key in keys)
            made.end(snapshot(task), len(keys) + 1)  # One more without a key.
        return tmp_path / str(pid) / f"{pid}.trace"

    one = write(1, ("t", 0, 10, "abc"), ("t", 10, 20, "ade"), ("u", 20, 30, "a"))
    other = write(2, ("t", 5, 15, "cfg"), ("t", 28, 32, "ah"))
    counted = count_traces([one, other], 0, 100)
    assert counted == (4 + 4 + 2 + 4 + 3, 3, 2)  # a by the same, c and a by another.
    assert counted.distinct == 14
    half = count_traces([one, other], 15, 30)
    assert half.evaluations == pytest.approx(4 / 2 + 2 + 3 / 2)
    assert (half.repeats, half.repeats_elsewhere) == (pytest.approx(0.5 + 0.5), pytest.approx(0.5))


class Silent:
    """A cluster whose workers wrote nothing down."""

    traces: tuple[Path, ...] = ()


def test_a_measurement_in_which_nothing_was_evaluated_is_refused(tmp_path: Path) -> None:
    work = Work({"reference": "onemax"}, "onemax 1", {"a": 1}, 2, 100, None)
    isolation = choose(1, None, forbidden="as asked for")
    setup = Setup(
        work=work, isolation=isolation, workers=1, seconds=2.0, warm_up=0.0, store=None, folder=tmp_path,
        hold=contextlib.nullcontext,
    )  # fmt: skip
    before = Figures(*[0.0] * len(Figures._fields))
    with pytest.raises(CliError, match="nothing new was evaluated in 2 s") as caught:
        _measured(Silent(), setup, 1.0, [before], [before._replace(at=2.0, cpu=2.0)], [], None)  # type: ignore[arg-type]
    assert caught.value.code is ExitCode.TIMED_OUT
    assert "--seconds" in str(caught.value.hint)


# --- work ----------------------------------------------------------------------------------------


def test_runs_are_whole_rounds_of_copies_that_are_never_the_same() -> None:
    work = Work({"reference": "onemax"}, "onemax 1", {"a": 1, "b": 2, "c": 3}, 2, 100, None)
    assert [name for name, _ in islice(work.copies(), 7)] == ["1.1", "2.1", "3.1", "1.2", "2.2", "3.2", "1.3"]
    first, second = islice(work.runs(), 2)
    assert len(first["made"]) == len(second["made"]) == work.run_size == RUN_SIZE // 3 * 3
    assert not first["made"].keys() & second["made"].keys()
    assert first["run"] != second["run"]
    assert Work({}, "", dict.fromkeys(map(str, range(RUN_SIZE + 1))), 1, 1, None).run_size == RUN_SIZE + 1
    assert Work({}, "", dict.fromkeys("abc"), MAX_ISLANDS, 10**6, None).run_size * MAX_ISLANDS <= MAX_PLACES


def test_a_run_of_large_tasks_is_no_larger_than_submit_takes() -> None:
    tasks = {"a": "x" * 400_000, "b": "y" * 200_000}
    request = next(Work({}, "", tasks, 1, 100, None).runs())
    assert len(request["made"]) % 2 == 0
    assert TASKS_LIMIT_BYTES / 8 < sum(map(len, request["made"].values())) < TASKS_LIMIT_BYTES / 2
    whole = dict.fromkeys("abc", "z" * (TASKS_LIMIT_BYTES // 4))
    assert Work({}, "", whole, 1, 100, None).run_size == 3


def test_any_id_and_any_number_of_islands_that_submit_takes_is_worked_on(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps({"problem": "onemax", "islands_per_task": MAX_ISLANDS, "tasks": {"a" * 64: {}}}))
    work = read_work(path, {})
    request = next(work.runs())
    again = check_in_process({"reference": "onemax", "made": request["made"]})
    assert len(again.tasks) == work.run_size == MAX_PLACES // MAX_ISLANDS


WORDS = """
class Words:
    name, version = "words", "1"

    @classmethod
    def tasks(cls, spec):
        return {word: {"word": word} for word in spec.split("+")}

    @classmethod
    def tasks_from_file(cls, data):
        return {word: {"word": word} for word in data["words"]}

    def __init__(self, task):
        self.word = task["word"]

    def random(self, rng):
        return "".join(rng.choice("abcd") for _ in self.word)

    def mutate(self, genome, rng):
        at = rng.randrange(len(genome))
        return genome[:at] + rng.choice("abcd") + genome[at + 1 :]

    def evaluate(self, genome):
        return sum(one == other for one, other in zip(genome, self.word))

    def encode(self, genome):
        return genome.encode()

    def decode(self, data):
        return data.decode()
"""


@pytest.mark.parametrize("content", [{"words": ["abcdabcd", "dcbadcba"]}, {"tasks": "abcdabcd+dcbadcba"}])
def test_tasks_that_a_problem_makes_of_a_file_or_a_set_are_made_once(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "words.py").write_text(WORDS)
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(content))
    request = next(read_work(path, {"problem": f"{tmp_path}/words.py:Words"}).runs())
    checked = check_in_process({key: request[key] for key in ("reference", "source", "made")})
    assert [msgspec.json.decode(data) for data in list(checked.tasks.values())[:3]] == [
        {"word": "abcdabcd"},
        {"word": "dcbadcba"},
        {"word": "abcdabcd"},
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"islands_per_task": 5000}, "<= 1024 - at `$.islands_per_task`"),
        ({"evaluations": 2**60}, "<= 9007199254740992 - at `$.evaluations`"),
        ({"evaluations": 1}, "the budget of 1 evaluations leaves some of 2 islands none"),
    ],
)
def test_what_no_run_may_have_is_refused(tmp_path: Path, given: dict[str, int], words: str) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps({"problem": "onemax", "tasks": "64"}))
    with pytest.raises(TaskError, match=re.escape(words)):
        read_work(path, given)
    path.write_text(json.dumps({"problem": "onemax", "tasks": "64"} | given))
    with pytest.raises(TaskError, match=re.escape(words)):
        read_work(path, {})


# --- multipliers and the verdict ------------------------------------------------------------------


def measurement(count: int, **figures: Any) -> Measurement:
    usual = dict.fromkeys(Measurement.__struct_fields__, 1.0) | {"platforms": count, "fit": 0, "finished": 9}
    usual |= {"solved": None, "platform_seconds": 10.0 * count, "worker_seconds": 10.0 * count, "idle_seconds": 0.0}
    return Measurement(**(usual | {"cpu_seconds": 5.0 * count, "recovery_seconds": None} | figures))


def series_of(rates: dict[int, list[tuple[float, float]]], **figures: Any) -> Series:
    """By count, (distinct evaluations, tasks per hour) in each repeat."""
    made = Series([*rates])
    for count, found in rates.items():
        made.found[count] = [
            measurement(count, distinct_evaluations=rate, tasks_per_hour=tasks, **figures) for rate, tasks in found
        ]
    return made


def test_the_multiplier_is_the_median_of_ratios_within_repeats_and_the_lower_of_two() -> None:
    series = series_of({1: [(100, 10), (200, 20), (50, 5)], 3: [(290, 28), (560, 56), (150, 14)]})
    assert series.evaluations_multiplier(3).median == 2.9
    assert series.evaluations_multiplier(3).range == (2.8, 3.0)
    assert series.multiplier(3) == series.tasks_multiplier(3)
    assert series.multiplier(3).median == 2.8
    assert series.multiplier(1).range == (1.0, 1.0)


def test_tasks_are_not_compared_where_one_platform_finished_none() -> None:
    series = series_of({1: [(100, 0.0)], 2: [(150, 3.0)]}, tasks=0.0)
    assert series.tasks_multiplier(2) is None
    assert series.multiplier(2).median == 1.5


def test_a_busy_machine_is_told() -> None:
    series = series_of({1: [(100, 10)], 3: [(200, 20)]})
    assert disturbance(series) is None
    assert series.cpu_multiplier(3).median == pytest.approx(2.0)
    series.found[3] = [measurement(3, cpu_seconds=10.0, distinct_evaluations=200.0)]
    assert "0.50 of 1, 0.33 of 3" in str(disturbance(series))
    assert series.cpu_multiplier(3).median == pytest.approx(3.0)
    series.found[3] = [measurement(3, cpu_seconds=10.0, idle_seconds=9.0)]
    assert disturbance(series) is None  # They could not use it.
    series.found[3] *= 3
    series.found[1] = [measurement(1), measurement(1), measurement(1, idle_seconds=9.0)]
    assert disturbance(series) is None  # Whose workers were idle does not matter where they are the others.
    series.found[3] = [measurement(3, cpu_seconds=10.0, idle_seconds=idle) for idle in (0.0, 9.0, 0.0)]
    assert "0.50 of 1, 0.33 of 3" in str(disturbance(series))  # Which one idle measurement does not excuse.


def grades(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.grade for finding in findings}


@pytest.mark.parametrize(
    ("platforms", "multiplier", "grade"),
    [(3, 2.5, "good"), (3, 2.49, "fair"), (3, 2.0, "fair"), (3, 1.99, "poor"), (2, 1.7, "good"), (8, 5.3, "poor")],
)
def test_the_multiplier_is_judged_in_proportion_to_three_platforms(
    platforms: int, multiplier: float, grade: str
) -> None:
    findings = judge(platforms, platforms, multiplier, 1.0, 1.0, None)
    assert grades(findings)["throughput_multiplier"] == overall(findings) == grade
    assert (findings[0].advice is None) == (grade == "good")


def test_overheads_and_recovery_have_bounds_and_the_worst_counts() -> None:
    good = judge(3, 3, 3.0, 19.9, 9.9, 59.0)
    assert overall(good) == "good"
    assert len(good) == 4
    assert grades(judge(3, 3, 3.0, 20.0, 15.0, 60.0)) == {
        "throughput_multiplier": "good",
        "checkpoint_overhead_percent": "fair",
        "merge_overhead_percent": "fair",
        "recovery_seconds": "fair",
    }
    poor = judge(3, 3, 3.0, 30.1, 0.0, 61.0)
    assert grades(poor)["checkpoint_overhead_percent"] == grades(poor)["recovery_seconds"] == overall(poor) == "poor"
    # One platform has nothing to be compared with; and who has no more to work with cannot do more.
    alone, unable = judge(1, 1, 1.0, 0.0, 0.0, None), judge(8, 1, 0.9, 0.0, 0.0, None)
    assert "throughput_multiplier" not in grades(alone) | grades(unable)


# --- the page and the curve ----------------------------------------------------------------------


def test_figures_are_sums_over_labels() -> None:
    page = Page(
        "# TYPE distributed_evolution_x counter\n"
        'distributed_evolution_x_total{platform_id="a",part="p"} 1\n'
        'distributed_evolution_x_total{platform_id="a",part="q"} 2.5\n'
    )
    assert (page.total("x_total"), page.total("x_total", part="q"), page.total("y_total")) == (3.5, 2.5, 0)


REPLACED = """
import subprocess, sys

burn = "import time; print(flush=True)\\nwhile time.process_time() < {}: pass\\nprint(flush=True); time.sleep(60)"
for seconds in (0.5, 0.1):
    with subprocess.Popen([sys.executable, "-c", burn.format(seconds)], stdout=subprocess.PIPE) as worker:
        worker.stdout.readline()
        worker.stdout.readline()
        print(worker.pid, flush=True)
        sys.stdin.readline()
        worker.kill()
"""
"""A daemon whose worker is killed and replaced by another."""


def test_the_cpu_time_of_a_worker_that_was_replaced_is_not_lost() -> None:
    with subprocess.Popen([sys.executable, "-c", REPLACED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        first = int(daemon.stdout.readline())
        before = cpu_seconds(daemon.pid, [first])
        assert before >= 0.5
        daemon.stdin.write(b"\n")
        daemon.stdin.flush()
        second = int(daemon.stdout.readline())
        assert 0.05 < cpu_seconds(daemon.pid, [second]) - before < 0.4
        assert cpu_seconds(daemon.pid, [first, second]) == cpu_seconds(daemon.pid, [second])


def test_the_curve_is_a_picture_of_both_lines() -> None:
    text = curve(series_of({1: [(100, 10)], 3: [(290, 28)], 8: [(760, 70)]}), "a < b")
    root = ET.fromstring(text)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b", "ideal", "distinct evaluations per second", "tasks per hour", "platforms", "8"} <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 6
    assert all(float(circle.attrib["cy"]) > 0 for circle in root.iter("{http://www.w3.org/2000/svg}circle"))
