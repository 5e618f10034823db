"""One daemon per state folder: a lock that dies with its process, so SIGKILL leaves nothing stale behind.

The lock is `flock` on `<state>/lock`. The file stays when the lock goes: unlinking it would let two daemons
each lock a file of the same name. Its text is for people and for `distevo-ctl`: the holder's pid and control
socket, and where that pid is its own.
"""

import fcntl
import os
import shlex
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from distevo.errors import DistevoError
from distevod.paths import PathError

_BOOT, _PIDS = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
_PATIENCE = 5.0  # seconds to outlast other commands that are just looking


class Holder(NamedTuple):
    """The daemon that holds a state folder; `pid` is 0 and `socket` None in the moment before it wrote
    them. Not `is_here`: on another machine or in another container, and here that pid is somebody else."""

    pid: int
    socket: Path | None
    is_here: bool = True


class AlreadyRunning(DistevoError):  # noqa: N818 - named for what happened, as all our errors are
    """Another daemon holds the state folder. Attributes: `holder`, `state_dir`."""

    def __init__(self, state_dir: Path, holder: Holder) -> None:
        pid = f"pid {holder.pid}" if holder.pid else "just starting"
        super().__init__(
            f"another distevod ({pid}) runs on {state_dir}; stop it with "
            f"`distevod stop --state-dir {shlex.quote(str(state_dir))}`"
        )
        self.state_dir = state_dir
        self.holder = holder


class StateLock:
    """The lock of one state folder, held from `acquire` to `release` or to the end of the process.

    Child processes that are started anew (exec) do not inherit it (PEP 446); a plain fork does, so fork before
    acquiring.
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._file = -1

    def acquire(self, socket: Path) -> Self:
        """Take the lock, making the state folder (0700) if it is missing, and write down pid and `socket`.

        Raises AlreadyRunning at once when another daemon has it, PathError when the folder cannot be used.
        """
        try:
            self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(_lock_file(self.state_dir), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise PathError(f"cannot use the state folder {self.state_dir}: {error.strerror}") from error
        try:
            if not _exclusive(file):
                raise AlreadyRunning(self.state_dir, _read(file))
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode() + os.fsencode(socket) + b"\n" + _place() + b"\n", 0)
        except OSError as error:
            os.close(file)
            raise PathError(f"cannot lock the state folder {self.state_dir}: {error.strerror}") from error
        except AlreadyRunning:
            os.close(file)
            raise
        self._file = file
        return self

    def is_found(self) -> bool:
        """Whether whoever looks for a daemon on the folder finds this one: not where the folder was removed, or another
        put in its place, while it runs. What cannot be seen for now counts as being there."""
        try:
            there = _lock_file(self.state_dir).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return os.path.samestat(there, os.fstat(self._file))

    def release(self) -> None:
        """Give the lock up; does nothing when it is not held."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder(state_dir: Path) -> Holder | None:
    """The daemon that runs on a state folder now; None when none does. Raises PathError when it cannot be
    seen."""
    try:
        file = os.open(_lock_file(state_dir), os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PathError(f"cannot look into the state folder {state_dir}: {error.strerror}") from error
    try:
        # a shared lock, so that commands that look at the same moment do not take each other for a daemon
        return None if _locked(file, fcntl.LOCK_SH) else _read(file)
    finally:
        os.close(file)


def was_used(state_dir: Path) -> bool:
    """Whether a daemon ever ran on a folder."""
    return _lock_file(state_dir).exists()


def _lock_file(state_dir: Path) -> Path:
    return state_dir / "lock"


def _exclusive(file: int) -> bool:
    """Take the exclusive lock; False when a daemon has it. Who only looks holds a shared one for
    microseconds:
    when a shared lock is to be had, the one in the way was such a look, and we try again."""
    end = time.monotonic() + _PATIENCE
    while not _locked(file, fcntl.LOCK_EX):
        if not _locked(file, fcntl.LOCK_SH) or time.monotonic() > end:
            return False
        fcntl.flock(file, fcntl.LOCK_UN)
    return True


def _locked(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int) -> Holder:
    pid, _, socket = os.pread(file, 8192, 0).partition(b"\n")
    socket, end, place = socket.partition(b"\n")
    if not pid.isdigit() or not end:
        return Holder(0, None)
    return Holder(int(pid), Path(os.fsdecode(socket)), is_here=place.rstrip() in {b"", _place()})


def _place() -> bytes:
    """Where a pid is the same process: one boot of one machine, and of that one container (a namespace of pids).
    Empty where the system does not say."""
    try:
        return b"%s %d" % (_BOOT.read_bytes().strip(), _PIDS.stat().st_ino)
    except OSError:
        return b""
