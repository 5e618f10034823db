"""Folders by the XDG rules and systemd's variables, and a control socket that two commands agree on."""

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from distevod import paths


def test_the_state_folder(tmp_path: Path) -> None:
    home = {"HOME": "/h"}
    assert paths.state_folder(home) == Path("/h/.local/state/distevo")
    assert paths.state_folder({**home, "XDG_STATE_HOME": "/x"}) == Path("/x/distevo")
    assert paths.state_folder({**home, "XDG_STATE_HOME": ""}) == Path("/h/.local/state/distevo")
    # "must be absolute; otherwise consider it invalid and ignore it" (XDG base directories)
    assert paths.state_folder({**home, "XDG_STATE_HOME": "x"}) == Path("/h/.local/state/distevo")
    service = {**home, "XDG_STATE_HOME": "/x", "STATE_DIRECTORY": "/var/lib/distevo:/var/lib/more"}
    assert paths.state_folder(service) == Path("/var/lib/distevo")


def test_the_config_file() -> None:
    assert paths.config_file({"HOME": "/h"}) == Path("/h/.config/distevo/config.yaml")
    assert paths.config_file({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == Path("/c/distevo/config.yaml")


def test_home_is_known_without_the_variable() -> None:
    known = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert paths.home({}) == known
    assert paths.home({"HOME": ""}) == known
    assert paths.home({"HOME": "relative"}) == known


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user who is in no database")
def test_a_user_without_any_home_is_told_what_to_do() -> None:
    code = (
        "import os; from distevod import paths; os.setuid(54321)\n"
        "try: paths.state_folder({})\nexcept paths.PathError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "this user has no home folder: set HOME, or give --state-dir\n"


def test_the_runtime_folder_is_ours_or_passed_over(tmp_path: Path) -> None:
    state = tmp_path / "state"
    runtime = tmp_path / "run"
    environ = {"XDG_RUNTIME_DIR": str(runtime)}
    assert paths.runtime_folder({}, state) == state / "run"
    assert paths.runtime_folder(environ, state) == state / "run"  # it does not exist
    runtime.write_text("a file")
    assert paths.runtime_folder(environ, state) == state / "run"
    runtime.unlink()
    runtime.mkdir()
    assert paths.runtime_folder(environ, state) == runtime / "distevo"
    assert paths.runtime_folder({**environ, "RUNTIME_DIRECTORY": "/run/d"}, state) == Path("/run/d")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_runtime_folder_of_another_user_is_passed_over(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    os.chown(runtime, 12345, 12345)
    assert paths.runtime_folder({"XDG_RUNTIME_DIR": str(runtime)}, tmp_path) == tmp_path / "run"


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room for a socket, wherever those of tests are."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_each_state_folder_has_a_socket_of_its_own(tmp_path: Path, short_path: Path) -> None:
    runtime = short_path / "r"
    runtime.mkdir()
    environ = {"XDG_RUNTIME_DIR": str(runtime)}
    one = paths.control_socket(tmp_path / "a", environ)
    assert one.parent == runtime / "distevo"
    assert len(one.name) == len("01234567.sock")
    assert one != paths.control_socket(tmp_path / "b", environ)
    # however the folder is written
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "a").mkdir()
    for same in (tmp_path / "link", tmp_path / "x/../a", tmp_path / "a/."):
        assert paths.control_socket(same, environ) == one


def test_a_state_folder_that_is_a_link_to_itself_has_none(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(paths.PathError, match=r"cannot use the state folder .*loop: Too many levels"):
        paths.control_socket(loop, {})


def test_a_socket_is_never_longer_than_a_socket_can_be(short_path: Path) -> None:
    context = zmq.Context.instance()
    seen = set()
    for depth in range(1, 60):
        state = short_path / ("ü" * depth)
        socket = paths.control_socket(state, {})
        assert len(os.fsencode(socket)) <= 107
        seen.add(socket.parent == state / "run")
        if len(os.fsencode(socket)) >= 106:  # as long as it gets: ZeroMQ must take it
            paths.make_private(socket.parent)
            with context.socket(zmq.ROUTER) as server:
                server.bind(f"ipc://{socket}")
                assert socket.is_socket()
    assert seen == {True, False}, "no folder was too deep, or every one"


def test_a_socket_of_the_longest_path_binds(short_path: Path) -> None:
    room = paths.SOCKET_PATH_LIMIT - len(os.fsencode(short_path)) - 1
    longest = short_path / ("s" * room)
    with zmq.Context.instance().socket(zmq.ROUTER) as server:
        server.bind(f"ipc://{longest}")
        assert longest.is_socket()
        with pytest.raises(zmq.ZMQError):
            server.bind(f"ipc://{longest}x")


def test_a_private_folder_is_made_and_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "deep/run"
    paths.make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    paths.make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_not_a_folder_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(paths.PathError, match=r"cannot make the private folder .*: File exists"):
        paths.make_private(tmp_path / "file")
    with pytest.raises(paths.PathError, match="is not a folder of this user"):
        paths.make_private(tmp_path / "link")
    with pytest.raises(paths.PathError, match=r"cannot make the private folder .*: Not a directory"):
        paths.make_private(tmp_path / "file/run")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(paths.PathError, match="is not a folder of this user"):
        paths.make_private(tmp_path)


@pytest.mark.parametrize(
    ("written", "found"),
    [("a", "/base/a"), ("/a", "/a"), ("~", "/h"), ("~/a", "/h/a"), ("~a", "/base/~a"), ("../a", "/base/../a")],
)
def test_absolute(written: str, found: str) -> None:
    assert paths.absolute(written, Path("/base"), {"HOME": "/h"}) == Path(found)
