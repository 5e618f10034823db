"""The CURVE key pair by which a member is known: made once, kept in a file that its user alone can read."""

from __future__ import annotations

import os
import secrets
import stat
import struct
from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.utils import z85

from distevod.transport.errors import TransportError

KEY_CHARACTERS = 40
"""Of a key of 32 bytes in Z85 (ZeroMQ's RFC 32)."""
_MAX_FILE_BYTES = 1024
_HEADING = "# The CURVE key pair of a distevo member. Whoever has the secret key is this member.\n"


class KeyPair(NamedTuple):
    """Both keys in Z85. The secret one stays out of every log line."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"

    @classmethod
    def make(cls) -> KeyPair:
        """A new pair."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode("ascii"), secret.decode("ascii"))


def load_or_make(path: Path) -> KeyPair:
    """The pair in the file at `path`, which is made if it is not there. Errors as in `load`."""
    if not os.path.lexists(path):
        save(path, KeyPair.make())
    return load(path)  # read back also what was just made: another process may have been first


def load(path: Path) -> KeyPair:
    """The pair in a file.

    Raises TransportError when it cannot be read, is no such file, or can be read or written by other users.
    """
    try:
        # Neither a link to somebody else's file nor a pipe, at which opening would wait.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(file)
            content = os.read(file, _MAX_FILE_BYTES + 1) if stat.S_ISREG(found.st_mode) else b""
        finally:
            os.close(file)
    except OSError as error:
        raise TransportError(f"cannot read the key file {path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise TransportError(f"the key file {path} is not a file")
    if found.st_uid != os.geteuid():
        raise TransportError(f"the key file {path} belongs to another user; its key may be known to others")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise TransportError(
            f"the key file {path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}): if nobody can have "
            f"read it, `chmod 600 {path}`; else delete it, and a new key is made"
        )
    return _parse(content, path)


def save(path: Path, keys: KeyPair) -> None:
    """Write a pair with mode 0600, whole or not at all. A file that is there already stays as it is.

    Raises TransportError when it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, f"{_HEADING}public {keys.public}\nsecret {keys.secret}\n".encode("ascii"))
            os.fsync(file)
        finally:
            os.close(file)
        try:
            os.link(partial, path)  # unlike rename, it never replaces a key that others know already
        except FileExistsError:
            return
        except OSError as error:
            raise TransportError(
                f"cannot make the key file {path}: {error.strerror}; not every file system has hard links: give a "
                "--state-dir on a local disk"
            ) from error
        finally:
            partial.unlink()
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise TransportError(f"cannot write the key file {path}: {error.strerror}") from error


def is_key(text: str) -> bool:
    """Whether this is a key in Z85."""
    try:
        return len(text) == KEY_CHARACTERS and len(z85.decode(text.encode("ascii"))) == 32
    except (ValueError, KeyError, struct.error):  # pyzmq checks neither characters nor range
        return False


def _parse(content: bytes, path: Path) -> KeyPair:
    damaged = TransportError(
        f"the key file {path} is damaged: bring it back from a copy, or delete it, and a new key is made"
    )
    try:
        lines = [line.split() for line in content.decode("ascii").splitlines() if not line.startswith("#")]
    except UnicodeDecodeError:
        raise damaged from None
    found = {line[0]: line[1] for line in lines if len(line) == 2}
    if len(lines) != 2 or found.keys() != {"public", "secret"} or not all(map(is_key, found.values())):
        raise damaged
    if zmq.curve_public(found["secret"].encode("ascii")).decode("ascii") != found["public"]:
        raise damaged
    return KeyPair(found["public"], found["secret"])
