"""`distevod`: starting, in both ways, and stopping; what is said when that cannot be."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distevod.state_lock import holder
from tests.cli.conftest import Home
from tests.support.daemon import wait_for

QUICK = ("--workers", "1", "--metrics-port", "0", "--id", "here")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home whose daemon, if the test leaves one, is stopped."""
    found = Home(tmp_path)
    yield found
    for state_dir in {found.state_dir, *(lock.parent for lock in tmp_path.rglob("lock"))}:
        left = holder(state_dir)
        if left is not None:
            os.kill(left.pid, signal.SIGKILL)


def test_a_sharding_function_that_fails_is_told_before_anything_begins(home: Home) -> None:
    own = home.state_dir.parent / "own.py"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("def shares(platforms, total_population):\n    return 1 / 0\n")
    for extra in ((), ("--detach",)):
        said = home.distevod("start", *extra, *QUICK, "--sharding", f"{own}:shares", code=2)
        assert "--sharding" in said.stderr
        assert "ZeroDivisionError: division by zero (own.py, line 2" in said.stderr


def test_detached_it_says_what_to_type_next_and_stops_when_told(home: Home) -> None:
    said = home.distevod("start", "--detach", *QUICK).stdout
    daemon = holder(home.state_dir)
    assert daemon is not None
    assert said.startswith(f"distevod runs: here, 1 worker, pid {daemon.pid}\n")
    for hint in ("distevo-ctl submit --problem grids", "distevo-ctl watch\n", "distevod stop\n", "distevod.log\n"):
        assert hint in said
    assert os.getsid(daemon.pid) == daemon.pid
    assert daemon.socket is not None
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600
    assert home.json("status")["members"][0]["id"] == "here"

    for second in (("start", *QUICK), ("start", "--detach", *QUICK)):
        refused = home.distevod(*second, code=10)
        assert f"another distevod (pid {daemon.pid}) runs on {home.state_dir}" in refused.stderr

    stopped = json.loads(home.distevod("stop", "--json").stdout)
    assert stopped["pid"] == daemon.pid
    assert stopped["seconds"] < 5
    assert holder(home.state_dir) is None
    assert not daemon.socket.exists()
    assert "no daemon runs" in home.distevod("stop", code=3).stderr
    log = (home.state_dir / "distevod.log").read_text()
    assert "ready id=here" in log
    assert log.rstrip().endswith("stopped")


def test_ctrl_c_before_a_detached_one_answers_says_that_it_goes_on(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # A bucket that says nothing is waited for for minutes.
        home.environ["STORAGE_EMULATOR_HOST"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        waiting = home.popen("daemon", "start", "--detach", *QUICK, "--store", "gs://silent", stderr=subprocess.PIPE)
        silent.settimeout(60)
        asked, _ = silent.accept()
        daemon = holder(home.state_dir)
        assert daemon is not None
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=30)
        assert waiting.returncode == 130
        assert err == (
            f"no longer waiting; the daemon (pid {daemon.pid}) goes on\n"
            "  distevo-ctl status shows when it answers, distevod stop ends it\n"
        )
        asked.close()
        home.distevod("stop")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_the_foreground_it_logs_to_standard_error_and_ends_at_signals(home: Home, number: signal.Signals) -> None:
    daemon = home.popen("daemon", "start", *QUICK, "--log-format", "json", stderr=subprocess.PIPE)
    assert daemon.stderr is not None
    while json.loads(daemon.stderr.readline())["message"] != "ready":
        assert daemon.poll() is None
    daemon.send_signal(number)
    _, rest = daemon.communicate(timeout=30)
    assert daemon.returncode == 0
    messages = [json.loads(line)["message"] for line in rest.splitlines()]
    assert "stopping" in messages
    assert messages[-1] == "stopped"


def test_in_the_background_of_a_shell_it_goes_on_when_that_is_interrupted_or_ends(home: Home) -> None:
    """As from a cell of a notebook: its button for an interrupt signals all that cells have started."""
    log = home.folder / "log"
    command = shlex.join(home.command("daemon", "start", *QUICK))
    subprocess.run(["sh", "-c", f"nohup {command} 2>{log} >&2 &"], env=home.environ, cwd=home.folder, check=True)
    wait_for(lambda: log.exists() and "ready" in log.read_text(), "the daemon to answer")
    daemon = holder(home.state_dir)
    assert daemon is not None
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(daemon.pid, number)
    assert home.json("status")["members"][0]["state"] == "alive"
    assert "stopping" not in log.read_text()
    home.distevod("stop")


def test_a_shell_that_ignores_sigterm_lets_its_daemon_obey_it(home: Home) -> None:
    command = home.command("daemon", "start", *QUICK)
    daemon = subprocess.Popen(
        ["sh", "-c", 'trap "" TERM; exec "$@"', "sh", *command],
        env=home.environ, cwd=home.folder, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert daemon.stderr is not None
    assert "ready" in daemon.stderr.readline()
    daemon.send_signal(signal.SIGTERM)
    assert "stopped" in daemon.communicate(timeout=30)[1]
    assert daemon.returncode == 0


def test_without_standard_output_and_error_it_works_all_the_same(home: Home) -> None:
    """As some supervisors start it: a worker takes its standard error from the daemon."""
    command = home.command("daemon", "start", *QUICK)
    daemon = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], env=home.environ)

    def listens() -> bool:
        """It has its folder before it has its socket, and a command waits three seconds at most for an answer."""
        found = holder(home.state_dir)
        return found is not None and found.socket is not None and found.socket.exists()

    wait_for(lambda: daemon.poll() is not None or listens(), "the daemon")
    home.ctl("submit", "--problem", "onemax", "--tasks", "16", "--evaluations", "200", "--wait")
    home.distevod("stop")
    assert daemon.wait(timeout=30) == 0


def test_too_few_files_are_refused_and_enough_do(home: Home) -> None:
    """ZeroMQ aborts where it has none left: nobody would learn why."""
    command = home.command("daemon", "start", "--detach", *QUICK)

    def limited(files: int) -> subprocess.CompletedProcess[str]:
        shell = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
        return subprocess.run(shell, env=home.environ, capture_output=True, text=True, timeout=60)

    refused = limited(40)
    assert (refused.returncode, "needs 56" in refused.stderr) == (2, True)
    assert limited(56).returncode == 0
    home.ctl("submit", "--problem", "onemax", "--tasks", "16", "--evaluations", "200", "--wait")
    home.distevod("stop")


def test_the_folders_follow_the_variables(home: Home) -> None:
    run = home.folder / "r"
    run.mkdir(mode=0o700)
    home.environ |= {"XDG_STATE_HOME": str(home.folder / "s"), "XDG_RUNTIME_DIR": str(run)}
    answer = json.loads(home.distevod("start", "--detach", "--json", *QUICK).stdout)
    assert answer["state_dir"] == str(home.folder / "s/distevo")
    assert answer["store"] == str(home.folder / "s/distevo/store")
    assert len(list((run / "distevo").iterdir())) == 1
    assert home.json("status")["members"][0]["boot"] == answer["boot"]
    home.distevod("stop")
    assert not home.state_dir.exists()


def test_another_state_folder_is_named_in_what_to_type(home: Home) -> None:
    said = home.distevod("start", "--detach", *QUICK, "--state-dir", "my state", "--store", "st").stdout
    folder = home.folder / "my state"
    assert f"distevo-ctl watch --state-dir '{folder}'" in said
    assert (home.folder / "st").is_dir()
    assert "no daemon runs" in home.ctl("status", code=3).stderr
    home.ctl("status", "--state-dir", "my state")
    home.distevod("stop", "--state-dir", str(folder))


def test_wrong_settings_are_2_and_name_the_nearest(home: Home) -> None:
    (home.folder / "bad.yaml").write_text("wrokers: 3\n")
    for arguments, message in (
        (("--wrokers", "3"), "--workers"),
        (("--workers", "many"), "workers must be a whole number"),
        (("--config", "bad.yaml"), "workers"),
        (("--config", "none.yaml"), "none.yaml"),
        (("--json",), "--json goes with --detach"),
    ):
        assert message in home.distevod("start", *arguments, code=2).stderr
        if arguments != ("--json",):
            assert message in home.distevod("start", "--detach", *arguments, code=2).stderr
    assert not home.state_dir.exists()


def test_a_store_that_cannot_be_used_is_9_with_the_reason(home: Home) -> None:
    (home.folder / "file").write_text("")
    for detach in ((), ("--detach",)):
        refused = home.distevod("start", *detach, *QUICK, "--store", "file", code=9)
        assert str(home.folder / "file") in refused.stderr
    assert "names no bucket" in home.distevod("start", *QUICK, "--store", "gs://No/x", code=2).stderr
    body = json.loads(home.distevod("start", "--detach", "--json", *QUICK, "--store", "file", code=9).stderr)["error"]
    assert body["name"] == "store_unavailable"
    assert "distevod.log" in body["hint"]


def test_submissions_that_are_damaged_are_no_fault_and_a_folder_in_their_place_is_2(home: Home) -> None:
    home.state_dir.mkdir(parents=True)
    submissions = home.state_dir / "submissions"
    submissions.write_bytes(b"\n0123456789abcdef\n\xff\xfe")
    home.distevod("start", "--detach", *QUICK)
    home.distevod("stop")
    submissions.unlink()
    submissions.mkdir()
    said = home.distevod("start", *QUICK, code=2).stderr
    assert said == f"error: cannot read {submissions}: Is a directory; move it away\n"


@pytest.mark.parametrize("folder", ["plans", "cas/cluster"])
def test_a_damaged_store_is_6(home: Home, folder: str) -> None:
    home.distevod("start", "--detach", *QUICK)
    home.json("status")
    home.distevod("stop")
    damaged = list((home.state_dir / "store" / folder).iterdir())
    assert damaged
    for path in damaged:
        data = bytearray(path.read_bytes())
        data[0] ^= 1
        path.write_bytes(data)
    refused = home.distevod("start", *QUICK, code=6)
    assert "Traceback" not in refused.stderr
    # The page of metrics, which begins in a thread, may be told of last.
    (error,) = [line for line in refused.stderr.splitlines() if line.startswith("error:")]
    assert error == home.distevod("start", "--detach", *QUICK, code=6).stderr.splitlines()[0]


def test_a_daemon_that_does_not_answer_is_3_and_stopped_by_a_signal(home: Home) -> None:
    home.distevod("start", "--detach", *QUICK)
    daemon = holder(home.state_dir)
    assert daemon is not None
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        assert "does not answer" in home.ctl("status", code=3).stderr
        stopping = home.popen("daemon", "stop", stdout=subprocess.PIPE)
    finally:
        # It wakes up while `stop` waits: the signal that it was sent meanwhile has to be enough.
        os.kill(daemon.pid, signal.SIGCONT)
    out, _ = stopping.communicate(timeout=90)
    assert stopping.returncode == 0
    assert out.startswith(f"stopped (pid {daemon.pid}")


def test_a_daemon_of_another_container_is_asked_and_never_signalled(home: Home) -> None:
    home.distevod("start", "--detach", *QUICK)
    daemon = holder(home.state_dir)
    assert daemon is not None
    lock = home.state_dir / "lock"
    written = lock.read_text()
    with subprocess.Popen(["sleep", "60"]) as innocent:
        lock.write_text(f"{innocent.pid}\n{daemon.socket}\nanother machine\n")
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            assert "does not answer, and is no process here" in home.distevod("stop", code=3).stderr
            os.kill(daemon.pid, signal.SIGCONT)
            assert home.distevod("stop").stdout.startswith("stopped")
            assert innocent.poll() is None
        finally:
            lock.write_text(written)
            innocent.kill()


def test_waiting_goes_on_over_a_restart(home: Home) -> None:
    home.distevod("start", "--detach", *QUICK)
    waiting = home.popen(
        "main", "submit", "--problem", "onemax", "--tasks", "8192", "--cpu-seconds", "3", "--wait", "--json",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not home.json("runs")["runs"]:
        assert waiting.poll() is None
    home.distevod("stop")
    home.distevod("start", "--detach", *QUICK)
    out, err = waiting.communicate(timeout=90)
    assert (waiting.returncode, err) == (0, "")
    assert json.loads(out)["state"] == "done"


def test_a_killed_daemon_is_no_daemon_and_the_next_starts(home: Home) -> None:
    home.distevod("start", "--detach", *QUICK)
    daemon = holder(home.state_dir)
    assert daemon is not None
    assert daemon.socket is not None
    os.kill(daemon.pid, signal.SIGKILL)
    # The lock goes with the process, a moment after the signal.
    wait_for(lambda: holder(home.state_dir) is None, "the end of the process")
    assert daemon.socket.exists()
    assert "no daemon runs" in home.ctl("status", code=3).stderr
    home.distevod("start", "--detach", *QUICK)
    assert home.json("status")["members"][0]["state"] == "alive"


def test_the_commands_start_light() -> None:
    heavy = "zmq rich numpy prometheus_client yaml asyncio msgspec distevod.problems distevod.runtime"
    for module in ("main", "daemon"):
        code = f"import distevo_ctl.{module}, sys; print([m for m in '{heavy}'.split() if m in sys.modules])"
        done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"
