"""Nothing stays: not after a failure, not after an interrupted run, and what a killed one leaves is swept."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from distevo_ctl.hosts import groups
from tests.hosts.processes import is_running
from tests.hosts.sockets import can_dial
from tests.support.hosts import Host, Network, full_disk, requires_namespaces, sweep
from tests.support.hosts.requirements import missing

pytestmark = requires_namespaces
ROOT = Path(__file__).parents[2]
RUN = """
import signal
import sys
from pathlib import Path
from tests.support.hosts import Host, Network, full_disk

signal.signal(signal.SIGINT, signal.default_int_handler)  # It is ignored in what a shell starts in the background.
with Network() as network, full_disk(Path(sys.argv[1]), 1):
    host = network.nat_host("victim")
    host.limit_cpu(0.5)
    process = host.popen("sleep", "1000")
    host.group.freeze()
    print(process.pid, flush=True)
    sys.stdin.read()
"""


def left_by(pid: int) -> set[str]:
    """Namespaces, cgroups and disks of a test run."""
    name = re.compile(rf"distevo-host-{pid}-[\w-]+")
    folders = (*Path("/run/netns").glob("*"), *Path("/sys/fs/cgroup").glob("*"), *Path("/sys/fs/cgroup").glob("*/*"))
    disks = (line.split()[0] for line in Path("/proc/self/mounts").read_text().splitlines())
    return {str(path) for path in folders if name.fullmatch(path.name)} | set(filter(name.fullmatch, disks))


def start(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A test run with all that can be left, and the pid of a frozen process of it."""
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    return run, int(run.stdout.readline())


def test_what_a_killed_run_leaves_is_swept_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    run, victim = start(tmp_path / "a disk")
    with run:
        there = left_by(run.pid)
        assert len(there) == 3 + len(set(groups.roots())) + 1  # Namespaces, cgroups, the disk.
        sweep()
        assert left_by(run.pid) == there
        assert is_running(victim)
        run.kill()
        run.wait()
        sweep()
        assert left_by(run.pid) == set()
        assert not is_running(victim)


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    run, victim = start(tmp_path / "a disk")
    with run:
        assert left_by(run.pid)
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == -signal.SIGINT
        assert left_by(run.pid) == set()
        assert not is_running(victim)


def test_networks_side_by_side_keep_apart() -> None:
    with Network() as one, Network() as other:
        pairs = [(network.host("a"), network.host("b")) for network in (one, other)]
        assert [host.address for host in pairs[0]] == [host.address for host in pairs[1]]
        one.cut(*pairs[0])
        assert not can_dial(*pairs[0])
        assert can_dial(*pairs[1])


def test_a_process_that_was_started_just_now_ends_too() -> None:
    for _ in range(5):
        with Network() as network:
            process = network.host("a").popen("sleep", "1000", stderr=subprocess.DEVNULL)
        assert process.returncode in (-signal.SIGKILL, 125)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    network = Network()
    hosts: list[Host] = []

    def fail() -> None:
        with network, full_disk(tmp_path / "disk", 1):
            hosts.extend((network.host("a"), network.nat_host("b")))
            network.partition(hosts[:1], hosts[1:])
            for host in hosts:
                network.delay(host, 0.01)
                network.limit_rate(host, 1e6)
                host.popen("sleep", "1000")
                host.group.freeze()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert left_by(os.getpid()) == set()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("delay of")]
    assert not (tmp_path / "disk").is_mount()


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing() == ""
    monkeypatch.setenv("PATH", "/nowhere")
    assert missing().startswith("no ip, tc, iptables-restore, nsenter, mount: the packages are iproute2")
    asked = "import os; from tests.support.hosts.requirements import missing; os.seteuid(65534); print(missing())"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "network namespaces need root\n"


def test_who_is_not_root_gets_processes_and_is_told_why() -> None:
    asked = "import os; from distevo_ctl.benchmark.isolation import choose; choose(3, None); os.seteuid(65534); "
    asked += "found = choose(3, None); print(found.told(), found.capacity(3) == min(found.cores, 3))"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    why = "no CPU quota can be set: cgroups need root"
    assert told.stdout == f"platforms in loopback, each bound to a core ({why}) True\n"
