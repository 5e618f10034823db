"""A store in a folder on a local disk, for any number of daemons on one machine, without locks.

    <root>/plans/3-17-a1b2                       an object written once, under its own name
    <root>/cas/cluster/00000000000000000042      version 42 of the mutable object `cluster`
    <root>/tmp/<boot>.<n>                        a file on its way to one of the above

Nothing is ever written in place.  A file is written and fsynced below `tmp/`, then *linked* to its name,
which fails when the name exists: that is the one step that decides, and the kernel lets one of many succeed.
So every name shows whole bytes or nothing, at every moment and after a crash at any.  Locks are not used: a
lock whose holder is stopped would stop everybody.

A mutable object is its versions; the highest number, the head, is the newest.  To replace version n is to
link n+1.  Old versions are pruned, and that is why a link alone is no proof: whoever slept while n+1 was made,
superseded and pruned would succeed in linking it again.  So a list follows the link, and a head far beyond
n+1 means *unknown*.  Safety rests on no clock.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from distevo.errors import Conflict, NotFound, StoreUnavailable, Unknown
from distevod.store.base import (
    MAX_NAME_BYTES,
    RESERVED,
    SEGMENT,
    check_mutable,
    check_name,
    check_prefix,
    check_written_once,
    is_mutable,
)
from distevod.store.mounts import check_file_system

KEEP_VERSIONS = 65
"""Versions behind the head that are never pruned."""
KEEP_SECONDS = 600.0
"""How old a version must be to be pruned.  It spares the slow an `Unknown`; safety does not rest on it."""
PRUNE_EVERY = 64
"""Swaps between two prunings."""
STALE_LOOKS = 4
"""Looks that a stale handle may spoil, one after another, before the file server itself is in trouble."""
LEFTOVER_SECONDS = 3600.0
"""How old a file below `tmp/` must be to be a dead process's leftover."""

_VERSION = re.compile(r"[0-9]{20}")
_TEMPORARY = re.compile(r"[0-9a-f]{16}\.[0-9]+")
_ATTEMPTS = 100
_MAX_FOLDERS = 10_000

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space or raise it",
    errno.EROFS: "the file system is read-only: make it writable or choose another folder",
    errno.EACCES: "permission denied: make the folder readable and writable for this user",
    errno.EPERM: "not permitted (no hard links here, or a protected file): choose another folder",
    errno.EOPNOTSUPP: "the file system has no hard links: choose a folder on another",
    errno.EFBIG: "the object is larger than a file may be: raise the limit (ulimit -f)",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine: close some",
    errno.EXDEV: "it spreads over two file systems: keep the whole folder on one",
    errno.ENAMETOOLONG: "the path is too long: choose a folder with a shorter one",
    errno.ENOTDIR: "a file stands where a folder should be: move it away or choose another folder",
    errno.EEXIST: "a file stands where a folder should be: move it away or choose another folder",
    errno.ENOENT: "a folder above it is missing and cannot be made: choose another folder",
    errno.ESTALE: "the file server has lost the folder: mount it again",
    errno.EIO: "the disk fails: look at the system's log",
}
_MAYBE_DONE = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT})
"""Errors after which a link may exist nevertheless: a failing disk, a network that lost the answer."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class FolderStore:
    """The folder store; see `Store` for its verbs."""

    swap_interval: float = 0.2
    mail_interval: float = 2.0
    checkpoint_interval: float = 1.0

    def __init__(self, root: Path, keep_seconds: float = KEEP_SECONDS, *, read_only: bool = False) -> None:
        """Open the store at the absolute path `root`; make the folder, for this user alone, if it is absent.

        Versions younger than `keep_seconds` are not pruned. With `read_only` nothing is made, swept or asked of the
        file system: whoever opens it so calls `read` and `list` alone.

        Raises:
            StoreUnavailable: the folder cannot be used; the message says why and what to do.
            NotFound: with `read_only`, no store is there.
        """
        self._root = root
        self._tmp = root / "tmp"
        self._cas = root / "cas"
        self._keep_seconds = keep_seconds
        self._boot = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._durable_folders: set[Path] = set()
        if read_only:
            with self._available():
                if not self._cas.is_dir():
                    what = "there is no store in" if root.is_dir() else "there is no folder"
                    raise NotFound(f"{what} {root}")
            return
        with self._available():
            check_file_system(root)
            _make_root(root)
            for folder in (self._tmp, self._cas):
                folder.mkdir(exist_ok=True)
            _sync_folder(root)
        self._sweep()

    def billed(self) -> dict[str, int]:
        return {}

    # --- the verbs -------------------------------------------------------------------------------

    def read(self, name: str) -> tuple[bytes, int]:
        check_name(name)
        with self._available():
            if is_mutable(name):
                return self._read_head(name)
            try:
                return _looked_at((self._root / name).read_bytes), 1
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._check_root()
                raise NotFound(f"there is no object {name!r}") from None

    def create(self, name: str, data: bytes) -> int:
        check_name(name)
        if is_mutable(name):
            return self._swap(name, data, 0)
        with self._available():
            self._publish(name, self._root / name, data)
        return 1

    def replace(self, name: str, data: bytes, token: int) -> int:
        check_mutable(name)
        if token < 1:
            raise Conflict(f"{name!r} never had the token {token}")
        return self._swap(name, data, token)

    def list(self, prefix: str) -> list[str]:
        check_prefix(prefix)
        above, _, _ = prefix.rpartition("/")

        def look() -> list[str]:
            names: list[str] = []
            if not above:
                names += (name for name in self._mutable_names() if name.startswith(prefix))
            _walk(str(self._root / above), above, prefix, names)
            return names

        with self._available():
            names = _looked_at(look)
            if not names:
                self._check_root()
        return sorted(names)

    def delete(self, name: str) -> None:
        check_written_once(name)
        path = self._root / name
        with self._available():
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                # Whoever removed it may not have made that durable: go on and do so.
                self._check_root()
            with _doubtful(f"{name!r} is gone, but may come back after a loss of power"):
                _sync_nearest(path.parent)
            self._remove_empty(path.parent)

    # --- mutable objects -------------------------------------------------------------------------

    def _read_head(self, name: str) -> tuple[bytes, int]:
        while versions := _looked_at(lambda: self._versions(name)):
            head = max(versions)
            try:
                return _looked_at(self._version(name, head).read_bytes), head
            except FileNotFoundError:
                # Superseded and pruned since the list, so the next list shows a higher one.
                continue
        self._check_root()
        raise NotFound(f"there is no object {name!r}")

    def _swap(self, name: str, data: bytes, token: int) -> int:
        """Link version `token` + 1, where 0 stands for an object that does not exist."""
        new = token + 1
        with self._available():
            if token != max(self._versions(name), default=0):
                self._check_root()
                with contextlib.suppress(FileNotFoundError):
                    _sync_folder(self._cas / name)
                raise Conflict(f"the token {token} of {name!r} is not the newest" if token else f"{name!r} exists")
            self._publish(name, self._version(name, new), data)
            with _doubtful(f"{name!r} was written, but what is newest cannot be seen"):
                versions = self._versions(name)
                # A list that a long stop cut in two may miss the head; but `token` is pruned before `new`.
                is_based = token == 0 or self._version(name, token).exists()
        if not is_based or max(versions, default=0) >= new + KEEP_VERSIONS:
            raise Unknown(f"version {new} of {name!r} may have existed before: newer ones do")
        if new % PRUNE_EVERY == 0:
            self._prune(name, versions)
        return new

    def _mutable_names(self) -> Iterator[str]:
        return (name for name in _entries(self._cas) if SEGMENT.fullmatch(name) and self._versions(name))

    def _versions(self, name: str) -> Sequence[int]:
        return [int(entry) for entry in _entries(self._cas / name) if _VERSION.fullmatch(entry)]

    def _version(self, name: str, number: int) -> Path:
        return self._cas / name / f"{number:020}"

    def _prune(self, name: str, versions: Sequence[int]) -> None:
        """Remove old versions, lowest first, so that one that is missing shows that all below it are too."""
        last = max(versions) - KEEP_VERSIONS
        try:
            for number in sorted(versions):
                path = self._version(name, number)
                if number >= last or not _is_older(path, self._keep_seconds):
                    return
                path.unlink(missing_ok=True)
        except OSError as error:
            # The swap has succeeded; the next one prunes again.
            _log.warning("old versions of %r could not be pruned: %s", name, error)

    # --- making a name appear --------------------------------------------------------------------

    def _publish(self, name: str, path: Path, data: bytes) -> None:
        """Make `path` appear with `data`, durably; `Conflict` when it exists."""
        temporary = self._write_temporary(data)
        try:
            is_ours = self._link(name, temporary, path)
            # The loser syncs too: what it concludes from the name must not vanish either.
            with _doubtful(f"{name!r} is there, but may not survive a loss of power"):
                _sync_folder(path.parent)
            if not is_ours:
                raise Conflict(f"{name!r} exists")
        finally:
            _discard(temporary)

    def _write_temporary(self, data: bytes) -> Path:
        for _ in range(_ATTEMPTS):
            path = self._tmp / f"{self._boot}.{next(self._numbers)}"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                # A forked copy of this object has used the number.
                continue
            except FileNotFoundError:
                self._check_root()
                self._tmp.mkdir(exist_ok=True)
                continue
            try:
                _write(descriptor, data)
            except BaseException:
                _discard(path)
                raise
            return path
        raise StoreUnavailable(f"no file can be made in {self._tmp}: something removes it all the time")

    def _link(self, name: str, temporary: Path, path: Path) -> bool:
        """Give the temporary file its name; False when somebody else's file has it."""
        for _ in range(_ATTEMPTS):
            try:
                self._make_folders(path.parent)
                path.hardlink_to(temporary)
            except FileExistsError:
                if path.is_dir():
                    raise StoreUnavailable(f"a folder stands where a file should be: move {path} away") from None
                # A network file system repeats a link whose answer it lost.
                return temporary.stat().st_nlink > 1
            except (FileNotFoundError, NotADirectoryError):
                # The folder became empty and was removed: make it again.
                self._durable_folders.clear()
                if not temporary.exists():
                    raise StoreUnavailable(f"{temporary} was removed before it got its name: try again") from None
            except OSError as error:
                if error.errno in _MAYBE_DONE:
                    raise Unknown(f"{name!r} may have been written: {error}") from error
                raise
            else:
                return True
        raise StoreUnavailable(f"{path.parent} cannot be kept: something removes it all the time")

    def _make_folders(self, folder: Path) -> None:
        """Make `folder` and those above it durable, unless this object has done so before.

        One that is there already may have been made by a process that died before it could sync.
        """
        if folder in self._durable_folders:
            return
        self._check_root()
        if len(self._durable_folders) >= _MAX_FOLDERS:
            self._durable_folders.clear()
        above = self._root
        for part in folder.relative_to(self._root).parts:
            below = above / part
            if below not in self._durable_folders:
                try:
                    below.mkdir()
                except FileExistsError:
                    if below.is_file():
                        # The user's, since no name of ours continues another: the store is as good as away.
                        raise StoreUnavailable(f"a file stands where a folder should be: move {below} away") from None
                _sync_folder(above)
                self._durable_folders.add(below)
            above = below

    def _remove_empty(self, folder: Path) -> None:
        """Remove the folders that a delete left empty, save those next to the root, which fill again soon."""
        while folder.parent != self._root:
            try:
                folder.rmdir()
            except OSError:
                # Not empty, which is how this loop ends; or gone, or not ours to remove: it does no harm.
                return
            self._durable_folders.discard(folder)
            folder = folder.parent

    # --- housekeeping ----------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Remove the temporary files of processes that died."""
        try:
            for entry in _entries(self._tmp):
                path = self._tmp / entry
                if _TEMPORARY.fullmatch(entry) and _is_older(path, LEFTOVER_SECONDS):
                    path.unlink(missing_ok=True)
        except OSError as error:
            # They cost disk space and nothing else; a store that can only be read is still worth opening.
            _log.warning("leftovers in %s could not be removed: %s", self._tmp, error)

    def _check_root(self) -> None:
        """Tell an absent object from an absent store: an unmounted disk must not look like an empty store."""
        if not self._cas.is_dir():
            raise StoreUnavailable(
                f"the store {self._root} is gone since it was opened (removed, or its disk unmounted): "
                "bring the folder back, or start anew with another"
            )

    @contextlib.contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = _REMEDIES.get(error.errno or 0, "the operating system refuses")
            raise StoreUnavailable(f"the store {self._root} cannot be used; {remedy} ({error})") from error


@contextlib.contextmanager
def _doubtful(what: str) -> Iterator[None]:
    """For what follows the deciding step: an error there no longer says that nothing happened."""
    try:
        yield
    except OSError as error:
        raise Unknown(f"{what}: {error}") from error


def _looked_at(look: Callable[[], T]) -> T:
    """What a look shows. On a network file system one ends with a stale handle where another machine removes the file
    or folder between its opening and its reading: the next look shows that it is gone."""
    for _ in range(STALE_LOOKS):
        try:
            return look()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return look()


def _make_root(root: Path) -> None:
    for folder in reversed([path for path in (root, *root.parents) if not path.exists()]):
        # Whoever may write to a store may name the program text that its members run.
        folder.mkdir(mode=0o700 if folder == root else 0o777, exist_ok=True)
        _sync_folder(folder.parent)


def _write(descriptor: int, data: bytes) -> None:
    """Write all of `data`, make it durable, and close."""
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError as error:
        # It does no harm, and is swept when it is old.
        _log.warning("a leftover could not be removed: %s", error)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_nearest(folder: Path) -> None:
    """Sync the folder, or the next above it that exists."""
    while True:
        try:
            return _sync_folder(folder)
        except (FileNotFoundError, NotADirectoryError):
            folder = folder.parent


def _is_older(path: Path, seconds: float) -> bool:
    """Whether a file is old, or gone.  One from the future counts as old: the clock was set back."""
    try:
        return abs(time.time() - path.stat().st_mtime) > seconds
    except FileNotFoundError:
        return True


@contextlib.contextmanager
def _strays_left_out() -> Iterator[None]:
    """For looks at what may vanish meanwhile, be no folder, or be a link that leads back to itself."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            raise


def _entries(folder: Path) -> list[str]:
    with _strays_left_out(), os.scandir(folder) as entries:
        return [entry.name for entry in entries]
    return []


def _walk(folder: str, above: str, prefix: str, names: list[str]) -> None:
    """Add the names that begin with `prefix` of all objects written once below `folder`, named `above`.

    What vanishes meanwhile is left out, and so is what no store can have made: a stray file of the user's.
    """
    with _strays_left_out(), os.scandir(folder) as entries:
        for entry in entries:
            name = f"{above}/{entry.name}" if above else entry.name
            if not name.startswith(prefix) or not SEGMENT.fullmatch(entry.name) or len(name) > MAX_NAME_BYTES:
                continue
            with _strays_left_out():
                if entry.is_dir():
                    if name not in RESERVED:
                        _walk(entry.path, name, prefix, names)
                elif above and entry.is_file():
                    names.append(name)
