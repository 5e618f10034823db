"""File systems are told apart by name, and those that cannot hold a store are refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from distevo.errors import StoreUnavailable
from distevod.store import mounts
from distevod.store.mounts import MOUNTINFO, check_file_system, family_of, file_system_of

MOUNTS = """\
23 28 0:22 / /proc rw,relatime shared:12 - proc proc rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
31 28 0:27 / /mnt/drive rw,nosuid shared:2 master:1 - fuse.sshfs me@there:/ rw,user_id=0
32 31 8:1 / /mnt/drive/local rw - xfs /dev/sda1 rw
33 28 8:2 / /mnt/my\\040stick rw - vfat /dev/sdb1 rw
34 28 0:30 / /mnt/share rw - cifs //server/share rw
35 28 0:31 / /mnt/over rw - tmpfs tmpfs rw
36 35 0:32 / /mnt/over rw - fuseblk /dev/sdc1 rw
37 28 0:33 / /mnt/back\\134slash rw - exfat /dev/sdd1 rw
a line of a later kernel
"""


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "ext4"),
        ("/home/me", "ext4"),
        ("/mnt/drive", "fuse.sshfs"),
        ("/mnt/drive/x/y", "fuse.sshfs"),
        ("/mnt/drive2", "ext4"),
        ("/mnt/drive/local/x", "xfs"),
        ("/mnt/my stick/store", "vfat"),
        ("/mnt/share/store", "cifs"),
        ("/mnt/over/store", "fuseblk"),
        ("/mnt/back\\slash", "exfat"),
    ],
)
def test_deepest_and_last_mount_counts(path: str, name: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == name


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("fuse", "FUSE"),
        ("fuse.gcsfuse", "FUSE"),
        ("fuse.drive", "FUSE"),
        ("fuseblk", "FUSE"),
        ("cifs", "SMB"),
        ("smb3", "SMB"),
        ("vfat", "FAT"),
        ("exfat", "FAT"),
        ("ext4", None),
        ("xfs", None),
        ("btrfs", None),
        ("zfs", None),
        ("overlay", None),
        ("tmpfs", None),
        ("nfs4", None),
        ("fusectl", None),
        ("", None),
    ],
)
def test_refused_families(name: str, family: str | None) -> None:
    assert family_of(name) == family


def test_file_systems_of_this_machine_are_found(tmp_path: Path) -> None:
    if not MOUNTINFO.exists() or shutil.which("findmnt") is None:
        pytest.skip("needs /proc/self/mountinfo and findmnt")
    text = MOUNTINFO.read_text()
    for folder in (tmp_path, Path("/proc/self"), Path("/")):
        said = subprocess.run(
            ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", folder.resolve()],
            capture_output=True,
            text=True,
            check=True,
        )
        assert file_system_of(folder.resolve(), text) == said.stdout.split()[-1]


def test_refusal_says_what_to_do_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a list of mounts in which this very folder is a stick."""
    stick = tmp_path / "stick"
    stick.mkdir()
    written = str(stick).replace(" ", r"\040")
    (tmp_path / "mountinfo").write_text(f"{MOUNTS}40 28 8:9 / {written} rw - vfat /dev/sde1 rw\n")
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "mountinfo")
    check_file_system(tmp_path / "beside")
    (tmp_path / "link").symlink_to(stick)
    for folder in (stick, stick / "not" / "yet", tmp_path / "link" / "store"):
        with pytest.raises(StoreUnavailable, match=r"FAT file system \(vfat\).*choose a folder on a local disk"):
            check_file_system(folder)
    assert not list(stick.iterdir())


def test_symbolic_link_to_itself_is_an_error_with_a_message(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StoreUnavailable, match="Too many levels of symbolic links"):
        check_file_system(tmp_path / "loop" / "store")
