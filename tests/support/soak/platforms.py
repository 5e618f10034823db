"""Six platforms: two that reach each other, two behind NAT that reach one of these, two that reach the store alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from distevo.simulator.config import Times
from tests.support.daemon import Daemon
from tests.support.hosts import Host, Network
from tests.support.metrics import Scrape, page_text
from tests.support.soak.timeline import Timeline
from tests.support.store_view import StoreView

RELAY, OTHER = DIRECT = ("relay", "direct")
BEHIND_NAT = ("nat-1", "nat-2")
ISOLATED = ("store-1", "store-2")
NAMES = (*DIRECT, *BEHIND_NAT, *ISOLATED)
JOINED = (*DIRECT, *BEHIND_NAT)
"""Those that a partition can cut off: the others speak to nobody anyway."""
ELDERS = (OTHER, BEHIND_NAT[0], ISOLATED[0])
"""One of each kind, which nobody kills: a daemon's memory is to be judged over a long life. So that coordinators are
killed all the same, these are the last to become one."""
TIMES = Times(
    lease_ttl=5, swap_interval=0.2, heartbeat_interval=1, heartbeat_timeout=3, mail_interval=0.5, checkpoint_seconds=1
)
OPTIONS = (
    "--lease-ttl", str(TIMES.lease_ttl), "--heartbeat-interval", str(TIMES.heartbeat_interval),
    "--heartbeat-timeout", str(TIMES.heartbeat_timeout), "--mail-interval", str(TIMES.mail_interval),
    "--checkpoint-seconds", str(TIMES.checkpoint_seconds), "--batch-size", "20",
)  # fmt: skip


class Unexpected(Exception):  # noqa: N818 - what it is
    """A daemon ended by itself, or did not end as it was asked to."""


class Platforms:
    """All of them. A platform is up when its daemon answers, and awake unless it is frozen."""

    def __init__(self, folder: Path, timeline: Timeline) -> None:
        self.folder, self._timeline = folder, timeline
        self.boots: dict[str, str] = {}
        """Of the platforms that are up."""
        self._down: set[str] = set(NAMES)
        self._frozen: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.network = stack.enter_context(Network())
            self.hosts: dict[str, Host] = {
                **{name: self.network.host(name) for name in DIRECT},
                **{name: self.network.nat_host(name) for name in BEHIND_NAT},
                **{name: self.network.isolated_host(name) for name in ISOLATED},
            }
            self.daemons: dict[str, Daemon] = {
                name: host.daemon(
                    self.folder / name, "--store", str(self.folder / "store"), *OPTIONS,
                    "--listen", "tcp://*:0" if name in DIRECT else "none",
                    "--coordinator-priority", "50" if name in ELDERS else "40",
                )
                for name, host in self.hosts.items()
            }  # fmt: skip
            self.heal()
            for name in sorted(NAMES, key=ELDERS.__contains__):
                self.start(name)
                self.daemons[name].wait_ready()
            self.store = StoreView(self.folder / "store")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()  # Whatever still runs on the hosts is killed.

    # --- faults ----------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a daemon, and do not wait for it."""
        self.daemons[name].start(wait=False)
        self._down.discard(name)

    def kill(self, name: str) -> None:
        """SIGKILL to a daemon; its workers follow it."""
        self.daemons[name].kill()
        self._down.add(name)
        self.boots.pop(name, None)

    def freeze(self, name: str) -> None:
        """A platform stands still."""
        self._frozen.add(name)
        self.hosts[name].group.freeze()

    def thaw(self, name: str) -> None:
        """It goes on."""
        self.hosts[name].group.thaw()
        self._frozen.discard(name)

    def cut_off(self, names: Iterable[str]) -> None:
        """These reach each other, and nobody else."""
        chosen = set(names)
        self.network.partition(
            [self.hosts[name] for name in JOINED if name in chosen],
            [self.hosts[name] for name in JOINED if name not in chosen],
        )

    def heal(self) -> None:
        """All reach whom they reach at best: those behind NAT one of the two direct ones."""
        self.network.heal()
        for name in BEHIND_NAT:
            self.network.cut(self.hosts[name], self.hosts[OTHER])

    def stop(self) -> None:
        """End all, as users do. Raises Unexpected."""
        for name, daemon in self.daemons.items():
            status = daemon.stop(30)
            if status != 0:
                raise Unexpected(f"{name} ended with {status} when it was stopped")
            self._down.add(name)

    # --- looking ---------------------------------------------------------------------------------

    def look(self) -> None:
        """Learn who is up. Raises Unexpected when a daemon has ended by itself."""
        for name, daemon in self.daemons.items():
            if name in self._down:
                continue
            assert daemon.process is not None
            if (status := daemon.process.poll()) is not None:
                tail = "\n".join(daemon.log.read_text().splitlines()[-20:])
                raise Unexpected(f"the daemon of {name} ended by itself with {status}:\n{tail}")
            if name not in self.boots and name not in self._frozen:
                try:
                    found = daemon.ask(do="ping", timeout_ms=100)
                except TimeoutError:
                    continue
                if found["pid"] == daemon.pid:
                    self.boots[name] = found["boot"]
                    self._timeline.note(f"{name} is up, boot {found['boot']}")

    @property
    def awake(self) -> list[str]:
        """Those that are up and not frozen."""
        return [name for name in self.boots if name not in self._frozen]

    @property
    def owners(self) -> set[str]:
        """The same, as owners of islands."""
        return {f"{name}-{self.boots[name]}" for name in self.awake}

    def scrape(self, name: str) -> Scrape | None:
        """The metrics page of a platform that is awake; None while it has none yet."""
        log = self.daemons[name].log.read_text().rpartition(" ready ")[2]
        if not re.search(r"metrics url=\S+", log):
            return None
        with self.hosts[name].entered():
            return Scrape(page_text(self.daemons[name]))

    def errors(self) -> list[str]:
        """Lines of the logs that speak of an error."""
        return [
            f"{name}: {line}"
            for name, daemon in self.daemons.items()
            for line in daemon.log.read_text().splitlines()
            if re.match(r"\S+ error ", line) or line.startswith("Traceback")
        ]
