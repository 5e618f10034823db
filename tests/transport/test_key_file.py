"""The file with a member's key pair."""

import errno
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
import zmq

from distevod.transport import KeyPair, TransportError, keys, load_or_make


def test_a_pair_is_made_once_and_only_its_user_can_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = load_or_make(tmp_path / "key")
    finally:
        os.umask(old)
    assert load_or_make(tmp_path / "key") == made
    assert zmq.curve_public(made.secret.encode()) == made.public.encode()
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert made != KeyPair.make()


def test_the_secret_key_is_in_no_text() -> None:
    pair = KeyPair.make()
    assert pair.secret not in f"{pair} {pair!r}"
    assert pair.public in repr(pair)


def _public(path: Path) -> str:
    return load_or_make(path).public


def test_processes_that_begin_at_once_have_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(_public, [tmp_path / "key"] * 16, chunksize=1)
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o777])
def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    load_or_make(path)
    path.chmod(mode)
    with pytest.raises(TransportError, match=rf"open to other users \(mode 0{mode:o}\).*chmod 600"):
        load_or_make(path)


def _damage() -> list[bytes]:
    one, other = KeyPair.make(), KeyPair.make()
    good = f"public {one.public}\nsecret {one.secret}\n"
    return [
        b"",
        good.encode()[:-10],
        good[: good.index("secret")].encode(),
        good.replace(one.secret, other.secret).encode(),  # a pair that is none
        good.replace(one.public, one.public[:-1] + "~").encode(),
        (good + good).encode(),
        b"\xff" + good.encode(),
        bytes(2000),
        good.replace("secret", "geheim").encode(),
    ]


@pytest.mark.parametrize("content", _damage(), ids=range(9))
def test_a_damaged_file_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(TransportError, match=f"{path} is damaged: .*delete it"):
        load_or_make(path)
    assert path.read_bytes() == content


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    load_or_make(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(0o700)
    for name, reason in [("link", "cannot read"), ("pipe", "is not a file"), ("folder", "is not a file")]:
        with pytest.raises(TransportError, match=reason):
            load_or_make(tmp_path / name)
    with pytest.raises(TransportError, match=r"cannot write .*: No such file"):
        load_or_make(tmp_path / "missing" / "key")


def test_is_key() -> None:
    assert keys.is_key(KeyPair.make().public)
    for text in ("", "a" * 39, "a" * 41, "~" * 40, "é" * 40, "#" * 40, " " * 40):
        assert not keys.is_key(text)


def test_a_file_system_without_hard_links_is_named_as_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(
        TransportError, match="Operation not permitted; not every file system has hard links: give a --s"
    ):
        load_or_make(tmp_path / "key")
    assert not list(tmp_path.iterdir())
