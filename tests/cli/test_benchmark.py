"""`benchmark`: real platforms, kept apart or not, for a moment; what it writes, and that nothing of it stays."""

from __future__ import annotations

import json
import pstats
import signal
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from distevo_ctl.hosts.owners import is_left_over
from distevod.store import open_store
from tests.cli.conftest import Home
from tests.support.gcs import Emulator
from tests.support.hosts import requires_namespaces

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

QUICK = ("--platforms", "2", "--seconds", "2", "--warm-up", "1", "--repeats", "1")
FIELDS = {
    "configuration",
    "platform_count",
    "throughput_multiplier",
    "checkpoint_overhead_seconds",
    "merge_overhead_seconds",
}
"""Of the tuning guide."""


@pytest.fixture
def tasks(home: Home) -> str:
    """Two tasks of which the second is soon solved; a thousand evaluations take 0.2 s.

    Clusters come and go, which takes a minute and more where others use the machine, too.
    """
    home.seconds = 200
    path = home.folder / "tasks.json"
    work = {"long": {"bits": 512, "cost_us": 150}, "short": {"bits": 8, "cost_us": 150}}
    path.write_text(json.dumps({"problem": "onemax", "tasks": work, "islands_per_task": 2, "evaluations": 1000}))
    return path.name


def left(home: Home) -> list[str]:
    """What a benchmark has left of processes, folders, namespaces and cgroups."""
    folders = [*home.folder.glob("distevo-benchmark-*")]
    for places in ("/run/netns", "/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/freezer"):
        folders += [path for path in Path(places).glob("distevo-*") if is_left_over(path.name)]
    return [*map(str, folders), *home.processes()]


@requires_namespaces
def test_platforms_on_hosts_of_their_own(home: Home, tasks: str) -> None:
    found = home.json("benchmark", tasks, "found.json", *QUICK, "--cpus", "0.4", "--isolation", "namespaces")
    assert json.loads((home.folder / "found.json").read_text()) == found
    assert found["isolation"] == {"network": "network namespaces", "processors": "cgroup quota", "reasons": []}
    assert found["platform"] == {"workers": 1, "cpus": 0.4}
    assert found["work"]["tasks"] == ["long", "short"]
    one, two = found["configurations"]
    assert FIELDS <= one.keys() == two.keys()
    assert (one["configuration"], two["configuration"]) == ("single_platform", "multi_platform")
    assert (one["platform_count"], two["platform_count"]) == (1, 2)
    assert one["throughput_multiplier"] == 1.0
    assert 0.5 < two["throughput_multiplier"] < 4  # The time is too short, and the machine too busy, to say more.
    assert one["multipliers"]["machine"]["median"] == 1.0
    assert 0.5 < two["multipliers"]["machine"]["median"] < 4
    for entry in (one, two):
        assert 1.5 < entry["duration_seconds"] < 10
        assert entry["evaluations"] > 500
        assert entry["tasks_finished"] > 0
        assert 0 < entry["cpus_used"]["median"] < 0.6
        assert 0 < entry["checkpoint_overhead_seconds"] < 1
        assert 0 <= entry["merge_overhead_seconds"] < 1
    assert one["recovery_seconds"] is None
    assert 0 < two["recovery_seconds"]["median"] < 60
    assert found["verdict"] in {"good", "fair", "poor"}
    assert ET.parse(home.folder / "found.svg").getroot().tag.endswith("svg")
    assert left(home) == []


def test_platforms_as_processes_with_a_profile_of_each(home: Home, tasks: str) -> None:
    for earlier in ("platform-1/worker-1.pstats", "platform-3/daemon-1.pstats"):
        (home.folder / "found.profile" / earlier).parent.mkdir(parents=True)
        (home.folder / "found.profile" / earlier).touch()
    shown = home.ctl("benchmark", tasks, "found.json", *QUICK, "--isolation", "processes", "--profile").stdout
    assert "platforms in loopback, each bound to a core (as asked for)\n" in shown
    assert "onemax 1, 1,000 evaluations and 2 islands for each task; of " in shown
    assert "verdict: " in shown
    profiles = sorted((home.folder / "found.profile").glob("platform-*/*.pstats"))
    assert [(path.parent.name, path.name.partition("-")[0]) for path in profiles] == [
        (name, part) for name in ("platform-1", "platform-2") for part in ("daemon", "worker")
    ]
    for path, function in zip(profiles, ("handle", "generation") * 2, strict=True):
        assert any(name == function for _, _, name in pstats.Stats(str(path)).stats)  # type: ignore[attr-defined]
    names = {path.name for path in home.folder.iterdir()}
    assert names == {"tasks.json", "found.json", "found.svg", "found.profile"}
    assert left(home) == []


@pytest.mark.parametrize(("after", "seconds"), [("1 platform: measuring", "60"), ("2 platforms: starting", "0.5")])
def test_an_interrupt_ends_it_and_nothing_stays(home: Home, tasks: str, after: str, seconds: str) -> None:
    command = ("benchmark", tasks, "found.json", "--platforms", "2", "--seconds", seconds, "--warm-up", "0")
    with home.popen("main", *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1) as running:
        assert running.stderr is not None
        while not running.stderr.readline().endswith(f"{after}\n"):
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "")
    assert err.endswith("error: interrupted\n")
    assert "Traceback" not in err
    assert [path.name for path in home.folder.iterdir()] == ["tasks.json"]
    assert left(home) == []


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{", 4, "is not JSON"),
        ("[]", 4, 'a task file is {"tasks": ..., "problem": ..., ...}'),
        ('{"tasks": "64", "problem": "onemax", "budget": 5}', 4, "budget"),
        ('{"tasks": "64", "problem": "onmax"}', 4, "onmax"),
        ('{"tasks": "none", "problem": "onemax"}', 4, "none"),
        ('{"tasks": ["64", "x"], "problem": "onemax"}', 4, "'x'"),
        ('{"tasks": "64", "problem": "onemax", "evaluations": 0}', 4, ">= 1 - at `$.evaluations`"),
        ('{"t": {"bits": "many"}}', 4, "task"),
    ],
)
def test_a_bad_task_file_is_told_before_anything_starts(home: Home, text: str, code: int, words: str) -> None:
    (home.folder / "tasks.json").write_text(text)
    assert words in home.error("benchmark", "tasks.json", "found.json", code=code)["message"]
    assert not (home.folder / "found.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nowhere.json", "found.json"), 5, "there is no task file nowhere.json"),
        (("tasks.json", "nowhere/found.json"), 4, "nowhere/found.json cannot be written"),
        (("tasks.json", "found.svg"), 2, "is where the curve goes"),
        (("tasks.json", "found.profile", "--profile"), 2, "is where the profiles go"),
        (("tasks.json", "tasks.json"), 2, "tasks.json is written, and is TASKS.json itself"),
        (("tasks.json", "taken.json"), 4, "taken.svg cannot be written"),
        (("tasks.json", "tasks", "--profile"), 4, "tasks.profile cannot be written"),
        (("tasks.json", "/dev/null"), 4, "/dev/null cannot be written"),
        (("tasks.json", "loop.json"), 4, "loop.json cannot be used: Too many levels of symbolic links"),
        (("loop.json", "found.json"), 4, "loop.json cannot be used: Too many levels of symbolic links"),
        (("tasks.json", "found.json", "--platforms", "1,x"), 2, "is not a list like 1,3,8"),
        (("tasks.json", "found.json", "--platforms", "0"), 2, "is not a list like 1,3,8"),
        (("tasks.json", "found.json", "--isolation", "processes", "--cpus", "0.5"), 4, "--cpus has no effect"),
        (("tasks.json", "found.json", "--store", "ftp://x"), 2, "no store is called 'ftp'"),
    ],
)
def test_bad_arguments_are_told(home: Home, tasks: str, arguments: tuple[str, ...], code: int, words: str) -> None:
    (home.folder / "taken.svg").mkdir()
    (home.folder / "tasks.profile").touch()
    (home.folder / "loop.json").symlink_to("loop.json")
    assert words in home.error("benchmark", *arguments, code=code)["message"]


def test_what_was_measured_is_shown_also_where_a_file_can_no_longer_be_written(home: Home, tasks: str) -> None:
    command = ("benchmark", tasks, "found.json", *QUICK, "--platforms", "1")
    with home.popen("main", *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1) as running:
        assert running.stderr is not None
        while not running.stderr.readline().endswith("measuring\n"):
            assert running.poll() is None
        (home.folder / "found.svg").mkdir()
        out, err = running.communicate(timeout=60)
    assert running.returncode == 4
    assert err.endswith("error: found.svg cannot be written: Is a directory\n")
    assert "verdict: " in out
    assert out.endswith("  found.json\n")
    assert json.loads((home.folder / "found.json").read_text())["verdict"]


@pytest.mark.parametrize("ends", ["a file in the way", "Ctrl-C"])
def test_what_was_measured_is_shown_also_where_the_profile_comes_to_nothing(home: Home, tasks: str, ends: str) -> None:
    command = ("benchmark", tasks, "found.json", *QUICK, "--platforms", "1", "--profile")
    before = "counting\n" if ends == "a file in the way" else "profile: starting\n"
    with home.popen("main", *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1) as running:
        assert running.stderr is not None
        while not running.stderr.readline().endswith(before):
            assert running.poll() is None
        if ends == "Ctrl-C":
            running.send_signal(signal.SIGINT)
        else:
            (home.folder / "found.profile").touch()
        out, err = running.communicate(timeout=100)
    assert "error: " in err
    assert "Traceback" not in err
    assert running.returncode == 130 or (ends != "Ctrl-C" and running.returncode != 0)
    assert "verdict: " in out
    assert out.endswith("  found.json\n  found.svg\n")
    assert json.loads((home.folder / "found.json").read_text())["verdict"]
    assert left(home) == []


def test_a_problem_file_and_a_store_of_ones_own_which_is_as_it_was_afterwards(home: Home, tasks: str) -> None:
    (home.folder / "store").mkdir()
    (home.folder / "store" / "mine").touch()
    text = "from distevod.problems.onemax import OneMax\n\nclass Bits(OneMax):\n    name = 'bits'\n"
    (home.folder / "bits.py").write_text(text)
    found = home.json(
        "benchmark",
        tasks,
        "found.json",
        *QUICK,
        "--store",
        "store",
        "--problem",
        "bits.py:Bits",
        "--evaluations",
        "500",
    )
    assert (found["store"], found["work"]["problem"]) == ("store", "bits 1")
    assert found["work"]["budget"] == {"evaluations": 500, "cpu_seconds": None}
    assert found["configurations"][1]["evaluations"] > 500
    assert [path.name for path in (home.folder / "store").iterdir()] == ["mine"]


def test_a_bucket_is_not_reached_from_namespaces_and_has_one_object_of_each_cluster_in_the_end(
    home: Home, tasks: str
) -> None:
    with Emulator() as emulator:
        home.environ["STORAGE_EMULATOR_HOST"] = emulator.url
        url = f"gs://{emulator.bucket()}/benchmarks"
        found = home.json("benchmark", tasks, "found.json", *QUICK, "--store", url)
        assert found["isolation"]["network"] == "loopback"
        assert "a bucket is out of reach in a namespace of its own" in found["isolation"]["reasons"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
            names = open_store(url).list("")
    assert [name.rpartition("/")[2] for name in names] == ["cluster", "cluster"]
