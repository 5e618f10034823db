"""One daemon per state folder, shown with real processes that race and are killed."""

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distevod import state_lock
from distevod.paths import PathError
from distevod.state_lock import AlreadyRunning, Holder, StateLock, holder

SOCKET = Path("/run/some.sock")
HOLD = """
import subprocess, sys
from pathlib import Path
from distevod.state_lock import AlreadyRunning, StateLock
sys.stdin.readline()
try:
    lock = StateLock(Path(sys.argv[1])).acquire(Path("/run/some.sock"))
except AlreadyRunning as error:
    print("refused", flush=True)
else:
    if "with-child" in sys.argv:
        child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)  # It ends neither with us nor before.
        print("held", child.pid, flush=True)
    else:
        print("held", flush=True)
    sys.stdin.readline()
"""


class Processes:
    """Processes that take a lock when told to; all are gone at the end of the test."""

    def __init__(self) -> None:
        self.all: list[subprocess.Popen[str]] = []

    def start(self, state_dir: Path, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(state_dir), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.all.append(process)
        return process

    @staticmethod
    def tell(process: subprocess.Popen[str]) -> None:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()

    @staticmethod
    def heard(process: subprocess.Popen[str]) -> str:
        assert process.stdout
        return process.stdout.readline().strip()


@pytest.fixture
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    for process in started.all:
        process.kill()
        process.communicate()


def test_a_second_daemon_is_refused_and_told_who_runs(tmp_path: Path, processes: Processes) -> None:
    first = processes.start(tmp_path)
    processes.tell(first)
    assert processes.heard(first) == "held"
    with pytest.raises(AlreadyRunning) as caught:
        StateLock(tmp_path).acquire(SOCKET)
    assert str(caught.value) == (
        f"another distevod (pid {first.pid}) runs on {tmp_path}; "
        f"stop it with `distevod stop --state-dir {shlex.quote(str(tmp_path))}`"
    )
    assert caught.value.holder == holder(tmp_path) == Holder(first.pid, SOCKET)
    with StateLock(tmp_path / "another").acquire(SOCKET):
        assert holder(tmp_path / "another") == Holder(os.getpid(), SOCKET)


def test_a_killed_daemon_leaves_nothing_stale(tmp_path: Path, processes: Processes) -> None:
    first = processes.start(tmp_path, "with-child")
    processes.tell(first)
    word, child = processes.heard(first).split()
    assert word == "held"
    first.send_signal(signal.SIGKILL)
    first.wait(30)
    try:
        os.kill(int(child), 0)  # a worker that outlives the daemon for a moment must not hold its folder
        assert holder(tmp_path) is None
        with StateLock(tmp_path).acquire(SOCKET):
            assert holder(tmp_path) == Holder(os.getpid(), SOCKET)
    finally:
        os.kill(int(child), signal.SIGKILL)
    assert holder(tmp_path) is None


def test_of_many_at_once_exactly_one_wins(tmp_path: Path, processes: Processes) -> None:
    racers = [processes.start(tmp_path / "made/by the winner") for _ in range(6)]
    for racer in racers:
        processes.tell(racer)
    assert sorted(processes.heard(racer) for racer in racers) == ["held"] + ["refused"] * 5


def test_looking_never_keeps_a_daemon_from_starting(tmp_path: Path) -> None:
    StateLock(tmp_path).acquire(SOCKET).release()
    stop = threading.Event()
    looking = threading.Barrier(3)
    seen: set[Holder | None] = set()

    def look() -> None:
        looking.wait(60)
        while not stop.is_set():
            seen.add(holder(tmp_path))

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        looking.wait(60)
        # A hundred times, and on until a look has fallen between two: threads get their turns when the machine likes.
        started, end = 0, time.monotonic() + 60
        while started < 100 or (None not in seen and time.monotonic() < end):
            StateLock(tmp_path).acquire(SOCKET).release()
            started += 1
    finally:
        stop.set()
        for looker in lookers:
            looker.join()
    assert seen <= {None, Holder(os.getpid(), SOCKET), Holder(0, None)}
    assert None in seen


def test_those_who_look_do_not_take_each_other_for_a_daemon(tmp_path: Path) -> None:
    StateLock(tmp_path).acquire(SOCKET).release()
    file = os.open(tmp_path / "lock", os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_SH)  # what another look holds for its moment
        assert holder(tmp_path) is None
    finally:
        os.close(file)


def test_nobody_holds_what_does_not_exist(tmp_path: Path) -> None:
    assert holder(tmp_path / "nowhere") is None
    assert not (tmp_path / "nowhere").exists()


def test_the_state_folder_is_made_private(tmp_path: Path) -> None:
    with StateLock(tmp_path / "deep/state").acquire(SOCKET):
        assert (tmp_path / "deep/state").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "deep/state/lock").stat().st_mode & 0o777 == 0o600


def test_release_is_done_once(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    lock.release()
    lock.acquire(SOCKET)
    lock.release()
    lock.release()
    assert holder(tmp_path) is None


def test_a_folder_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PathError, match=r"cannot use the state folder .*file: (File exists|Not a directory)"):
        StateLock(tmp_path / "file").acquire(SOCKET)
    with pytest.raises(PathError, match="Not a directory"):
        holder(tmp_path / "file")


@pytest.mark.parametrize("text", [b"", b"12", b"12\n", b"12\n/half/a/pa", b"x\ny\n", b"\xff" * 9000])
def test_an_unfinished_or_foreign_text_is_a_holder_that_nothing_is_known_of(tmp_path: Path, text: bytes) -> None:
    with StateLock(tmp_path).acquire(SOCKET):
        (tmp_path / "lock").write_bytes(text)
        assert holder(tmp_path) == Holder(0, None)
        with pytest.raises(AlreadyRunning, match="just starting"):
            StateLock(tmp_path).acquire(SOCKET)


def test_the_file_tells_people_of_the_newest_holder_alone(tmp_path: Path) -> None:
    for socket in (Path("/run/a/very/long/path.sock"), Path("/s")):
        StateLock(tmp_path).acquire(socket).release()
        assert (tmp_path / "lock").read_text().startswith(f"{os.getpid()}\n{socket}\n")
        assert (tmp_path / "lock").read_text().count("\n") == 3


def test_a_socket_path_of_any_bytes_comes_back(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(b"/run/\xff \xc3\xbc.sock"))
    with StateLock(tmp_path).acquire(odd):
        assert holder(tmp_path) == Holder(os.getpid(), odd)


@pytest.mark.parametrize("place", ["_BOOT", "_PIDS"])
def test_a_pid_is_somebody_else_after_another_boot_and_in_another_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with StateLock(tmp_path).acquire(SOCKET):
        monkeypatch.setattr(state_lock, place, tmp_path / "lock")
        assert holder(tmp_path) == Holder(os.getpid(), SOCKET, is_here=False)
        (tmp_path / "lock").write_text(f"{os.getpid()}\n{SOCKET}\n")
        assert holder(tmp_path) == Holder(os.getpid(), SOCKET), "written where nothing of this is known"
