"""Processes on hosts: their place, their part of the CPU, and that they stop and end together."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from distevo_ctl.hosts import groups
from distevo_ctl.patience import wait_for
from tests.hosts.processes import is_running
from tests.support.hosts import Host, Network, full_disk, requires_namespaces

pytestmark = requires_namespaces
SPIN = """
import time
print(flush=True)
end = float(input())
for _ in range(5):
    begun, used, end = time.monotonic(), time.process_time(), end + 0.6
    while time.monotonic() < end:
        pass
    print((time.process_time() - used) / max(0.6, time.monotonic() - begun))  # One that was begun late counts as less.
"""
FAMILY = "setsid sleep 1000 & sleep 1000 & wait"


def namespace(pid: int | str) -> str:
    return os.readlink(f"/proc/{pid}/ns/net")  # noqa: PTH115 - of a link that leads to no path


def spun(host: Host, count: int) -> float:
    """The CPUs that so many processes had together that were busy at the same time: the most in any of five stretches,
    since in others the machine may have stood still."""
    pipe = subprocess.PIPE
    spinning = [
        host.popen(sys.executable, "-c", SPIN, stdin=pipe, stdout=pipe, text=True, bufsize=-1) for _ in range(count)
    ]
    for process in spinning:  # Until then it starts, and takes its time with so little CPU.
        assert process.stdout is not None
        process.stdout.readline()
    begin = time.monotonic()
    for process in spinning:
        assert process.stdin is not None
        process.stdin.write(f"{begin}\n")
        process.stdin.flush()
    found = [map(float, process.communicate()[0].split()) for process in spinning]
    return max(map(sum, zip(*found, strict=True)))


def test_a_process_is_on_its_host(hosts: tuple[Host, Host, Host]) -> None:
    a, b, _ = hosts
    found = a.run("ip", "-4", "-brief", "address", capture_output=True, text=True).stdout
    assert a.address in found
    assert b.address not in found
    process = a.popen("sh", "-c", "echo $$; exec sleep 1000", stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    assert namespace(process.pid) != namespace("self")
    with a.entered():
        assert namespace(process.pid) == namespace("thread-self")
    assert a.run("sh", "-c", "exit 3", check=False).returncode == 3
    with pytest.raises(subprocess.CalledProcessError):
        a.run("false")


def test_a_platform_has_a_fixed_part_of_the_cpu(network: Network) -> None:
    host = network.host("slow", cpus=0.2)
    assert spun(host, 1) == pytest.approx(0.2, abs=0.08)
    assert spun(host, 2) == pytest.approx(0.2, abs=0.08)  # Together: the size is that of the platform.
    host.limit_cpu(None)
    assert spun(host, 1) > 0.3


def test_a_frozen_host_stands_still(hosts: tuple[Host, Host, Host]) -> None:
    process = hosts[0].popen(sys.executable, "-c", "while True: pass")

    def used() -> float:
        return float(psutil.Process(process.pid).cpu_times().user)

    wait_for(lambda: used() > 0.1, "the process to run")
    with hosts[0].frozen():
        before = used()
        with pytest.raises(TimeoutError):
            wait_for(lambda: used() > before, "the frozen to move", 0.3)
    wait_for(lambda: used() > before, "the process to go on")


@pytest.mark.parametrize("is_frozen", [False, True])
def test_all_on_a_host_die_together(network: Network, is_frozen: bool) -> None:
    host = network.host("family")
    process = host.popen("sh", "-c", FAMILY)
    wait_for(lambda: len(psutil.Process(process.pid).children()) == 2, "its children")
    family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]
    assert len(family) == 3
    if is_frozen:
        host.group.freeze()
    host.kill()
    assert process.wait(0.5) == -signal.SIGKILL
    assert not any(map(is_running, family))
    assert host.run("true").returncode == 0


def test_who_joins_a_host_while_it_is_killed_dies_too(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    host = network.host("family")
    late = subprocess.Popen(["sleep", "1000"])
    freeze = groups._freeze

    def freeze_and_join(folder: Path, *, is_frozen: bool) -> None:
        freeze(folder, is_frozen=is_frozen)
        if not is_frozen:
            (folder / "cgroup.procs").write_text(str(late.pid))

    with late:
        try:
            with monkeypatch.context() as patched:
                patched.setattr(groups, "_freeze", freeze_and_join)
                host.kill()
            assert late.wait(0.5) == -signal.SIGKILL
        finally:
            late.kill()


def test_a_daemon_is_on_its_host(hosts: tuple[Host, Host, Host], tmp_path: Path) -> None:
    with hosts[0].daemon(tmp_path, workers=1) as daemon, hosts[0].entered():
        assert daemon.status()["members"][0]["id"] == "a"
        processes = [psutil.Process(daemon.pid), *psutil.Process(daemon.pid).children(recursive=True)]
        assert len(processes) > 1
        for process in processes:
            assert namespace(process.pid) == namespace("thread-self")
            assert hosts[0].group.cpu.name in Path(f"/proc/{process.pid}/cgroup").read_text()
        assert daemon.stop() == 0


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    with full_disk(tmp_path / "disk", 2) as disk:
        disk.fill()
        with pytest.raises(OSError, match="No space left") as refused:
            (disk.path / "file").write_bytes(b"more")
        assert refused.value.errno == errno.ENOSPC
        (tmp_path / "file").write_bytes(b"more")
        disk.free()
        (disk.path / "file").write_bytes(bytes(1_900_000))
        with pytest.raises(OSError, match="No space left"):
            (disk.path / "other").write_bytes(bytes(200_000))
        still_open = (disk.path / "file").open("rb")
    with still_open:
        assert not os.path.ismount(disk.path)
        assert list(disk.path.iterdir()) == []
