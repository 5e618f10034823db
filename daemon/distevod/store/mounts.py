"""Which file system a folder lies on, and which ones a folder store must not use.

The folder store rests on two things: a hard link is made by exactly one of several processes, and `fsync`
means what it says.  FUSE, SMB and FAT file systems promise neither, so they are refused by their names.
"""

from __future__ import annotations

import re
from pathlib import Path

from distevo.errors import StoreUnavailable
from distevod.paths import resolved

MOUNTINFO = Path("/proc/self/mountinfo")

_REFUSED = {
    "fuse": "FUSE",
    "fuseblk": "FUSE",
    "cifs": "SMB",
    "smb3": "SMB",
    "smbfs": "SMB",
    "vfat": "FAT",
    "msdos": "FAT",
    "exfat": "FAT",
}
_OCTAL = re.compile(r"\\([0-7]{3})")


def check_file_system(folder: Path) -> None:
    """Raise `StoreUnavailable` when `folder`, which need not exist yet, is on a refused file system."""
    try:
        mountinfo = MOUNTINFO.read_text(errors="surrogateescape")
    except FileNotFoundError:
        # No Linux, or no /proc: the mounts cannot be asked for their names.
        return
    try:
        name = file_system_of(resolved(folder), mountinfo)
    except OSError as error:
        raise StoreUnavailable(f"the store {folder} cannot be found: {error.strerror}") from error
    family = family_of(name)
    if family is not None:
        raise StoreUnavailable(
            f"the store {folder} is on a {family} file system ({name}), where two daemons could both win one "
            "swap: choose a folder on a local disk"
        )


def family_of(file_system: str) -> str | None:
    """`FUSE`, `SMB` or `FAT` for the name of a refused file system (`fuse.sshfs`, `cifs`), else None."""
    return _REFUSED.get(file_system.partition(".")[0])


def file_system_of(path: Path, mountinfo: str) -> str:
    """The name of the file system below `path` (absolute, without symbolic links).

    `mountinfo` is the text of `/proc/self/mountinfo`; see proc(5).  The longest mount point that contains the
    path counts, and of several on one point the last, which hides the others.
    """
    longest, found = -1, ""
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not source:
            continue
        point = Path(_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), fields[4]))
        if len(point.parts) >= longest and path.is_relative_to(point):
            longest, found = len(point.parts), source.split(" ", 1)[0]
    return found
