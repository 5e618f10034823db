"""A full disk, a read-only folder, a clock set back, a damaged checkpoint, bad tasks and bad code: nothing is lost."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distevod.store import open_store
from tests.support.daemon import Daemon, DaemonError, wait_for

TASKS = {f"t{number}": {"bits": 64, "cost_us": 200} for number in range(3)}
TROUBLED = (Path(__file__).parents[1] / "support" / "troubled.py").read_text()
CHATTY = (Path(__file__).parents[1] / "support" / "chatty.py").read_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def endless(daemon: Daemon) -> str:
    """A run that goes on and on."""
    return daemon.submit(reference="onemax", data={"t": {"bits": 20_000, "cost_us": 300}}, cpu_seconds=10**6, seed=1)


def generations(daemon: Daemon) -> int:
    return sum(island["generation"] for island in daemon.ask(do="islands")["islands"])


def saved(daemon: Daemon) -> int:
    return int(daemon.status()["checkpoints"]["saved"])


def goes_on(daemon: Daemon) -> None:
    """Evolution and checkpoints move."""
    generation, count = generations(daemon), saved(daemon)
    wait_for(lambda: generations(daemon) > generation + 3, "evolution to go on")
    wait_for(lambda: saved(daemon) > count, "a checkpoint", 30)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        try:
            for _ in range(10_000):
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - that it is full is what is wanted


@pytest.mark.parametrize("is_default", [False, True], ids=["store", "state folder with the default store"])
def test_a_full_disk_is_survived_and_all_heals(tmp_path: Path, small_disk: Path, is_default: bool) -> None:
    where = () if is_default else ("--store", str(small_disk / "store"))
    daemon = Daemon(tmp_path, "--batch-size", "20", "--lease-ttl", "5", *where)
    if is_default:
        daemon.state_dir = small_disk / "state"
    with daemon:
        run = endless(daemon)
        goes_on(daemon)
        filler = small_disk / "filler"
        fill(filler)
        wait_for(lambda: "a checkpoint could not be written" in daemon.log.read_text(), "the error in the log", 30)
        with pytest.raises(DaemonError, match=r"space|full") as refused:
            daemon.submit(reference="onemax", data=TASKS, evaluations=1000)
        assert refused.value.kind == "store_unavailable"
        trouble = daemon.status()["members"][0]["store_trouble"]
        assert trouble["seconds"] > 0
        assert "space" in trouble["reason"]
        generation = generations(daemon)
        wait_for(lambda: generations(daemon) > generation + 3, "evolution to go on without a store")
        filler.unlink()
        goes_on(daemon)
        wait_for(lambda: daemon.status()["members"][0]["phase"] == "coordinating", "the lease")
        wait_for(lambda: daemon.status()["members"][0]["store_trouble"] is None, "the end of the trouble")
        assert daemon.run(run)["state"] == "running"
        daemon.ask(do="command", verb="cancel", run=run)
        assert daemon.wait_done(daemon.submit(reference="onemax", data=TASKS, evaluations=10**6))["fit"] == 3


def test_a_log_that_is_full_costs_no_program_of_a_problem_that_prints(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, environ={"PYTHONIOENCODING": "ascii"})
    daemon.log = Path("/dev/full")
    with daemon:
        run = daemon.submit(reference="chatty.py:Chatty", source=CHATTY, evaluations=500, seed=1)
        assert daemon.wait_done(run)["state"] == "done"
        (task,) = daemon.results(run).values()
        assert (task["evaluations"], task["error"]) == (500, None)


def test_a_folder_that_turns_read_only_is_survived(tmp_path: Path, small_disk: Path) -> None:
    with Daemon(tmp_path, "--store", str(small_disk / "store"), "--batch-size", "20") as daemon:
        endless(daemon)
        goes_on(daemon)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        wait_for(lambda: "a checkpoint could not be written" in daemon.log.read_text(), "the error in the log", 30)
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        goes_on(daemon)


def test_a_file_where_a_folder_of_the_store_should_be_is_survived(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        stray = daemon.state_dir / "store" / "results"
        stray.write_text("distevo-ctl results grids-1 > results")
        run = daemon.submit(reference="onemax", data=TASKS, evaluations=1000)
        wait_for(lambda: daemon.status()["members"][0]["store_trouble"], "the trouble")
        assert f"move {stray} away" in daemon.status()["members"][0]["store_trouble"]["reason"]
        stray.unlink()
        assert daemon.wait_done(run)["state"] == "done"


def test_a_store_that_cannot_be_used_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    daemon = Daemon(tmp_path, "--store", str(tmp_path / "file"))
    process = subprocess.run(
        daemon.command, env=daemon.environ, capture_output=True, text=True, timeout=90, check=False
    )
    assert process.returncode == 9
    assert "file" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_clock_set_back_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the clock that is set back")
    library, switch = tmp_path / "clock_back.so", tmp_path / "back"
    source = Path(__file__).with_name("clock_back.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("CLOCK_BACK", str(switch))
    with Daemon(tmp_path, "--batch-size", "20", "--lease-ttl", "5") as daemon:
        endless(daemon)
        goes_on(daemon)
        epoch = daemon.status()["cluster"]["epoch"]
        switch.touch()
        for _ in range(3):
            goes_on(daemon)
        daemon.kill()
        daemon.start()
        wait_for(lambda: daemon.ask(do="islands")["islands"], "the island")
        goes_on(daemon)
        status = daemon.status()
        assert status["cluster"]["coordinator"] == "here"
        assert status["cluster"]["epoch"] == epoch + 1
        hours = {line[11:13] for line in daemon.log.read_text().splitlines() if line[:2] == "20"}
        assert len(hours) > 1, "the clock was never set back"


def test_a_checkpoint_damaged_by_hand_is_skipped_loudly(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "--batch-size", "20", "--checkpoint-seconds", "1").start()
    run = endless(daemon)
    wait_for(lambda: saved(daemon) >= 3, "three checkpoints", 30)
    daemon.kill()
    files = sorted((daemon.state_dir / "store" / "checkpoints").glob("*/*"), key=lambda file: int(file.name))
    assert len(files) >= 2
    newest = bytearray(files[-1].read_bytes())
    newest[len(newest) // 2] ^= 1
    files[-1].chmod(0o600)
    files[-1].write_bytes(newest)
    with daemon:
        wait_for(lambda: generations(daemon) > 0, "the island to go on")
        goes_on(daemon)
        log = daemon.log.read_text()
        assert "a damaged checkpoint is skipped" in log
        assert files[-1].name in log
        assert daemon.run(run)["state"] == "running"
        listed = daemon.ask(do="checkpoints")["checkpoints"]
        assert [entry["kind"] for entry in listed if not entry["ok"]] == ["CheckpointDamaged"]


GRID = [[0, 1], [1, 0]]
PAIR = {"input": GRID, "output": GRID}


@pytest.mark.parametrize(
    "grid",
    [
        [[0, 1], [1]],
        [],
        [[]],
        [[0] * 31] * 31,
        [[0, 10]],
        [[0, -1]],
        [[0, 1.5]],
        [[0, "1"]],
        [[0, None]],
        [[True]],
        "grid",
        {"a": 1},
    ],
    ids=lambda grid: str(grid)[:20],
)
def test_bad_grids_are_refused_with_their_place(one_daemon: Daemon, grid: Any) -> None:
    task = {"train": [PAIR, {"input": GRID, "output": grid}], "test": [PAIR]}
    with pytest.raises(DaemonError, match="train") as refused:
        one_daemon.submit(reference="grids", data={"bad": task}, cpu_seconds=1)
    assert refused.value.kind == "refused"
    assert "bad" in str(refused.value)
    assert one_daemon.status()["runs"] == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise RuntimeError('no luck')", "no luck"),
        ("class Problem:\n    def __init__(self, task): self.name = 'x'", "version"),
        ("def Problem(", "SyntaxError"),
        ("import os\nos._exit(7)", "exit code 7"),
        ("Problem = 3", "class"),
        ("import nowhere_at_all", "nowhere_at_all"),
    ],
)
def test_bad_code_is_refused_with_its_reason(one_daemon: Daemon, source: str, words: str) -> None:
    with pytest.raises(DaemonError, match=words) as refused:
        one_daemon.submit(reference="bad.py:Problem", source=source, cpu_seconds=1)
    assert refused.value.kind == "refused"
    assert one_daemon.status()["runs"] == []


def test_an_exception_in_evaluate_stays_with_the_result(one_daemon: Daemon) -> None:
    source = (
        "class Touchy:\n    name, version = 'touchy', '1'\n    def __init__(self, task): pass\n"
        "    def random(self, rng): return rng.randrange(10_000)\n"
        "    def mutate(self, genome, rng): return rng.randrange(10_000)\n"
        "    def evaluate(self, genome): return genome if genome % 9 else 1 / 0\n"
        "    def encode(self, genome): return b'%d' % genome\n"
        "    def decode(self, data): return int(data)\n"
    )
    run = one_daemon.submit(reference="touchy.py:Touchy", source=source, evaluations=2000, seed=1)
    view = one_daemon.wait_done(run)
    assert view["state"] == "done"
    assert "ZeroDivisionError" in view["note"]
    assert "ZeroDivisionError" in one_daemon.results(run)["default"]["error"]
    one_daemon.ask(do="command", verb="delete", run=run)


def test_a_cancelled_run_can_be_deleted_at_once(one_daemon: Daemon) -> None:
    for _ in range(5):
        run = endless(one_daemon)
        wait_for(lambda run=run: one_daemon.run(run)["evaluations"], "some evaluations")  # type: ignore[misc]
        assert one_daemon.ask(do="command", verb="cancel", run=run)["state"] == "cancelled"
        assert one_daemon.ask(do="command", verb="delete", run=run)["state"] == "deleted"


@pytest.mark.long
def test_code_that_never_returns_is_given_up_and_holds_nobody_up(one_daemon: Daemon) -> None:
    import threading

    refusals: list[DaemonError] = []

    def submit() -> None:
        try:
            one_daemon.submit(reference="bad.py:Problem", source="while True: pass", cpu_seconds=1)
        except DaemonError as error:
            refusals.append(error)

    thread = threading.Thread(target=submit)
    thread.start()
    assert one_daemon.wait_done(one_daemon.submit(reference="onemax", data=TASKS, evaluations=10**6))["fit"] == 3
    thread.join(60)
    assert "took more than" in str(refusals[0])


@pytest.mark.parametrize("request_", [{"do": "nothing"}, {"do": "results", "run": "x"}, {"do": "submit", "run": "a/b"}])
def test_bad_requests_get_an_answer(one_daemon: Daemon, request_: dict[str, Any]) -> None:
    with pytest.raises(DaemonError) as refused:
        one_daemon.ask(**request_)
    assert refused.value.kind in {"usage", "not_found"}


@pytest.mark.parametrize("task", [[1], {"a": 1}, 1])
def test_a_task_that_is_no_text_is_none_of_a_run(one_daemon: Daemon, task: object) -> None:
    run = one_daemon.submit(reference="onemax", spec="8", evaluations=10)
    with pytest.raises(DaemonError, match="has no task") as refused:
        one_daemon.ask(do="results", run=run, task=task)
    assert refused.value.kind == "not_found"


def test_submitted_code_runs_only_where_it_is_allowed(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    with daemon:
        run = daemon.submit(
            reference="troubled.py:Troubled", source=TROUBLED, data={"t": {"cost": 0.001}}, cpu_seconds=10**6
        )
        wait_for(lambda: daemon.run(run)["evaluations"] > 0, "work")
    daemon.options = ("--allow-problems", "none")
    sign = tmp_path / "imported"
    with daemon:
        with pytest.raises(DaemonError, match="--allow-problems none") as refused:
            daemon.submit(reference="x.py:X", source=f"open({str(sign)!r}, 'w')", data={}, cpu_seconds=1)
        assert refused.value.kind == "refused"
        assert not sign.exists()
        assert daemon.wait_done(daemon.submit(reference="onemax", data=TASKS, evaluations=10**6))["fit"] == 3
        view = daemon.run(run)
        assert "--allow-problems" in view["note"]
        wait_for(lambda: daemon.ask(do="islands")["islands"] == [], "no island in hand")
    daemon.options = ()
    with daemon:  # Submitted through this very daemon: it remembers.
        wait_for(lambda: daemon.ask(do="islands")["islands"], "work")
        assert daemon.run(run)["note"] is None
    assert len(open_store(str(daemon.state_dir / "store")).list("inbox/")) == 2


@pytest.fixture(scope="module")
def one_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("one")) as daemon:
        yield daemon
