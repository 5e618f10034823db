"""Where a daemon keeps its things: the state, runtime and config folders, and the control socket.

The rules are those of the XDG base directories (relative values are ignored, as it says), and systemd's
STATE_DIRECTORY and RUNTIME_DIRECTORY. Nothing is made here except the folder that a socket needs.

    state    --state-dir, DISTEVO_STATE_DIR, STATE_DIRECTORY, $XDG_STATE_HOME/distevo, ~/.local/state/distevo
    runtime  RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/distevo, <state>/run
    config   $XDG_CONFIG_HOME/distevo/config.yaml, ~/.config/distevo/config.yaml
"""

import errno
import os
import pwd
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from distevo.errors import DistevoError

SOCKET_PATH_LIMIT = 107
"""Bytes in the path of a Unix socket: `sun_path` holds 108, one of them the closing zero (unix(7))."""

_HALF_A_URL = re.compile(r"(gs|gcs|s3|file|https?):(?!//)/*(.*)", re.IGNORECASE | re.DOTALL)


class PathError(DistevoError):
    """A folder that the daemon needs cannot be named or is not safe to use; the message says what to do."""


def home(environ: Mapping[str, str]) -> Path:
    """The user's home: HOME, else the password database's. Raises PathError when neither knows one."""
    if os.path.isabs(environ.get("HOME", "")):  # noqa: PTH117 - an empty Path would be "."
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise PathError("this user has no home folder: set HOME, or give --state-dir") from None


def working_folder() -> Path:
    """Where relative paths begin. Raises PathError when the folder was removed meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise PathError("the working folder was removed: change to one that is there (cd)") from None


def absolute(path: str | Path, base: Path, environ: Mapping[str, str]) -> Path:
    """`path` with a leading `~` expanded, relative ones taken from `base`. Links are left as they are."""
    text = os.fspath(path)
    if text == "~" or text.startswith("~/"):
        return home(environ) / text[2:]
    return base / text


def resolved(path: Path) -> Path:
    """`path`, which need not exist, without links. Raises OSError for a link that leads back to itself, which Python
    resolves to itself from 3.13 on."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise
    return path.resolve()


def check_slashes(store: str) -> None:
    """Raises ValueError, with what may be meant, for a URL that lacks slashes: it would be a folder here and now, and
    what is put there would be shared with nobody."""
    if found := _HALF_A_URL.fullmatch(store):
        lead = "file:///" if found[1].lower() == "file" else "gs://"
        raise ValueError(f"did you mean {lead}{found[2]}? A folder of that name is ./{store}")


def state_folder(environ: Mapping[str, str]) -> Path:
    """The state folder when neither a flag nor a variable of ours names one. Raises PathError."""
    if given := _absolute_variable(environ, "STATE_DIRECTORY"):
        return given
    return (_absolute_variable(environ, "XDG_STATE_HOME") or home(environ) / ".local/state") / "distevo"


def config_file(environ: Mapping[str, str]) -> Path:
    """The settings file that is read when none is named, whether or not it exists. Raises PathError."""
    return (_absolute_variable(environ, "XDG_CONFIG_HOME") or home(environ) / ".config") / "distevo/config.yaml"


def runtime_folder(environ: Mapping[str, str], state_dir: Path) -> Path:
    """The folder for sockets. XDG_RUNTIME_DIR must be a real folder of ours, or it is passed over: a variable
    that `su` or a container handed down may name somebody else's."""
    if given := _absolute_variable(environ, "RUNTIME_DIRECTORY"):
        return given
    xdg = _absolute_variable(environ, "XDG_RUNTIME_DIR")
    return xdg / "distevo" if xdg and _is_ours(xdg) else state_dir / "run"


def control_socket(state_dir: Path, environ: Mapping[str, str]) -> Path:
    """The control socket of the daemon of one state folder: short, and another for each state folder.

    Its name is made from the resolved state folder, so a daemon and `distevo-ctl` with the same variables
    agree on it without a word. (With other variables, `state_lock.holder` knows it.) A runtime folder too
    deep for a socket's 107 bytes is passed over for one in /tmp. Raises PathError when the state folder is a link that
    leads back to itself.
    """
    from blake3 import blake3

    try:
        folder = resolved(state_dir)
    except OSError as error:
        raise PathError(f"cannot use the state folder {state_dir}: {error.strerror}") from error
    name = blake3(os.fsencode(folder)).hexdigest()[:8] + ".sock"
    socket = runtime_folder(environ, state_dir) / name
    if len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT:
        return socket
    return Path(f"/tmp/distevo-{os.getuid()}") / name


def make_private(folder: Path) -> None:
    """Make a folder with mode 0700 (missing parents too). Raises PathError when what is there is a link, is
    another user's, or is open to others and cannot be closed: a socket there could be somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PathError(
                f"{folder} is not a folder of this user: remove it, or let XDG_RUNTIME_DIR name a folder that is"
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise PathError(f"cannot make the private folder {folder}: {error.strerror}") from error


def _absolute_variable(environ: Mapping[str, str], name: str) -> Path | None:
    # systemd writes several folders with colons between them; ours is the first
    text = environ.get(name, "").split(":")[0] if name.endswith("_DIRECTORY") else environ.get(name, "")
    return Path(text) if text.startswith("/") else None


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and os.access(folder, os.W_OK | os.X_OK)
