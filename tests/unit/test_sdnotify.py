"""Messages to systemd, received on real sockets of both kinds."""

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from distevod.sdnotify import notify


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket that systemd would listen on."""
    name = str(tmp_path / "notify") if request.param == "path" else "@distevo-" + uuid.uuid4().hex
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        listener.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listener


def test_states_arrive_in_one_message(systemd: socket.socket) -> None:
    assert notify("READY=1", "STATUS=3 islands")
    assert systemd.recv(4096) == b"READY=1\nSTATUS=3 islands"
    assert notify("STOPPING=1")
    assert systemd.recv(4096) == b"STOPPING=1"


def test_a_state_cannot_smuggle_in_another(systemd: socket.socket) -> None:
    assert notify("STATUS=run x\nMAINPID=1")
    assert systemd.recv(4096) == b"STATUS=run x MAINPID=1"


def test_a_listener_that_reads_nothing_stops_nobody(systemd: socket.socket) -> None:
    told = [notify("STATUS=" + "x" * 1000) for _ in range(5000)]
    assert told[0]
    assert not told[-1]


def test_nobody_who_asked_is_told_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    for name in ("", "relative", "vsock:2:1", str(tmp_path / "gone"), "/" + "x" * 200):
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert not notify("READY=1")
