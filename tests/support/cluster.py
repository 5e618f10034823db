"""Daemons on hosts of their own that share a store: what the plan in force says, and what each really has in hand.

Whatever is looked at here is read from the store or asked of the daemons. What must never be is checked at each look:
that two have one island under one grant, that an epoch falls, that a named result changes.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from distevo.block import unpack
from distevo.checkpoint import decode_checkpoint
from distevo.cluster import ClusterRecord, decode_cluster
from distevo.errors import NotFound
from distevo.events import IslandId
from distevo.names import CHECKPOINTS, CLUSTER
from distevo.plan import IslandPlace, Plan, TaskState, decode_plan
from distevo.population import Population
from distevo.program import keyer
from distevod.store import Store, open_store
from tests.support.daemon import Daemon, DaemonError, wait_for
from tests.support.hosts import Host
from tests.support.metrics import Scrape, scrape

QUICK = (
    "--heartbeat-interval", "1", "--heartbeat-timeout", "3", "--mail-interval", "0.5", "--lease-ttl", "5",
    "--checkpoint-seconds", "1", "--batch-size", "20",
)  # fmt: skip
LISTENING = ("--listen", "tcp://*:0")
SLOW = {"bits": 256, "cost_us": 1000}
"""A task of `Rugged`, which is never solved: with QUICK a generation takes 20 ms of CPU."""
ROOMY: dict[str, Any] = {"data": {"t": SLOW}, "islands_per_task": 3}
"""A run that leaves room beside it on two platforms, each of which has two islands in hand at most."""
EASY: dict[str, Any] = {"reference": "onemax", "data": {"t": {"bits": 8}}, "islands_per_task": 1}
"""A run that is over as soon as anybody works on it, and has to wait for its turn."""

log = logging.getLogger(__name__)


class InHand(NamedTuple):
    """An island as one daemon has it."""

    member: str
    grant: int
    generation: int


class Cluster:
    """Daemons by the name of their host, stopped at the end; none may have met a fault of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, (*QUICK, *options)
        self.hosts: dict[str, Host] = {}
        self.daemons: dict[str, Daemon] = {}
        self.store: Store = open_store(str(folder / "store"))
        self._stack = ExitStack()
        self._epoch = 0
        self._results: dict[tuple[str, str], str] = {}
        self._durable: dict[str, dict[str, list[float]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if kind is None:
            lines = [line for daemon in self.daemons.values() for line in daemon.log.read_text().splitlines()]
            assert not [line for line in lines if line.startswith("Traceback")]
            ended = {daemon.process.returncode for daemon in self.daemons.values() if daemon.process is not None}
            assert ended <= {0, -signal.SIGKILL}

    def start(self, host: Host, *options: str) -> Daemon:
        """Start the daemon of a host, whose own way to the store can be cut; wait until it answers."""
        self.daemons[host.name] = daemon = self.make_daemon(host, *options)
        self.hosts[host.name] = host
        self.mend_store(host.name)
        self._stack.push(daemon)
        return daemon.start()

    def make_daemon(self, host: Host, *options: str) -> Daemon:
        """The daemon of a host, not started yet."""
        folder = self.folder / host.name
        return host.daemon(folder, "--store", str(folder / "store"), *self.options, *options)

    # --- faults ----------------------------------------------------------------------------------

    def kill(self, member: str) -> None:
        """SIGKILL to all processes of a platform at once."""
        self.hosts[member].kill()
        self.daemons[member].kill()

    def cut_store(self, member: str) -> None:
        """From now on nothing in the store can be read or written by this one: the way there leads to itself."""
        self._lead_to(member, "store")

    def mend_store(self, member: str) -> None:
        """It can again."""
        self._lead_to(member, "../store")

    def revive(self) -> None:
        """Start whoever ended, mend all ways to the store, and cancel what is open; wait until all agree on it."""
        for member, daemon in self.daemons.items():
            self.mend_store(member)
            if daemon.process is None or daemon.process.poll() is not None:
                daemon.start()
        alive = dict.fromkeys(self.daemons, "alive")
        within(40, lambda: all(self.members(member).items() >= alive.items() for member in alive), "all to be alive")
        first, *_ = self.daemons.values()
        for run in first.status()["runs"]:
            if run["state"] not in {"done", "failed", "cancelled"}:
                with suppress(DaemonError):  # It has ended since.
                    first.ask(do="command", verb="cancel", run=run["id"])
        within(20, lambda: not self.places(), "nothing to do")

    def _lead_to(self, member: str, target: str) -> None:
        new = self.folder / member / "store.new"
        os.symlink(target, new)  # noqa: PTH211 - a pair with the next line
        os.replace(new, new.with_suffix(""))  # noqa: PTH105 - of links, as they are

    # --- what the store says ---------------------------------------------------------------------

    def record(self) -> ClusterRecord:
        """The object `cluster`."""
        record = decode_cluster(self.store.read(CLUSTER)[0])
        assert record.epoch >= self._epoch, f"epoch {record.epoch} after {self._epoch}"
        self._epoch = record.epoch
        return record

    def plan(self) -> Plan:
        """The plan in force."""
        name = self.record().plan
        assert name is not None
        plan = decode_plan(self.store.read(name)[0])
        for run, entry in plan.runs.items():
            for task, found in entry.tasks.items():
                if found.result is not None and found.state is not TaskState.OPEN:  # else one of a lower budget
                    first = self._results.setdefault((run, task), found.result)
                    assert found.result == first, f"the result of {task} of {run} was {first} and is {found.result}"
        return plan

    def places(self) -> dict[IslandId, IslandPlace]:
        """Where the islands of open tasks live."""
        return {
            IslandId(name, task, index): place
            for name, run in self.plan().runs.items()
            for task, entry in run.tasks.items()
            if entry.is_open_in(run.state)
            for index, place in enumerate(entry.islands)
        }

    def followers_first(self) -> list[str]:
        """All members, the coordinator last."""
        holder = self.record().holder
        return sorted(self.daemons, key=lambda member: (member == holder, member))

    def owned(self, member: str) -> set[IslandId]:
        """The islands of a member, whichever boot of it."""
        return {island for island, place in self.places().items() if place.owner.rpartition("-")[0] == member}

    # --- what the daemons say --------------------------------------------------------------------

    def in_hand(self, members: Iterable[str]) -> dict[IslandId, list[InHand]]:
        """Who of these has which island, under which grant, and how far."""
        found: dict[IslandId, list[InHand]] = {}
        for member in members:
            for island in self.daemons[member].ask(do="islands")["islands"]:
                island_id = IslandId(island["run"], island["task"], island["island"])
                held = InHand(member, island["grant"], island["generation"])
                twice = [other for other in found.setdefault(island_id, []) if other.grant == held.grant]
                assert not twice, f"{island_id} is in two hands: {held}, {twice}"
                found[island_id].append(held)
        return found

    def members(self, seen_by: str, field: str = "state") -> dict[str, Any]:
        """The members as one of them sees them: the state of each, or another field."""
        return {member["id"]: member[field] for member in self.daemons[seen_by].status()["members"]}

    def coordinators(self, *members: str) -> set[str | None]:
        """Who coordinates, as these see it."""
        return {self.daemons[member].status()["cluster"]["coordinator"] for member in members}

    def scrape(self, member: str) -> Scrape:
        """The figures of a member's metrics page, which only its own host reaches."""
        with self.hosts[member].entered():
            return scrape(self.daemons[member])

    def results(self, run: str, *members: str) -> dict[str, dict[str, Any]]:
        """The results of a run by task, of which these members say the same."""
        first, *others = (self.daemons[member].results(run) for member in members)
        assert all(other == first for other in others), [first, *others]
        return first

    # --- work ------------------------------------------------------------------------------------

    def submit(self, through: str, **request: Any) -> str:
        """Submit a run of two tasks with two islands each, which nobody solves; returns its name."""
        slow = {
            "reference": "tests.support.rugged:Rugged", "data": {"t1": SLOW, "t2": SLOW}, "islands_per_task": 2,
            "evaluations": 10**9, "migration": {"interval": 5},
        }  # fmt: skip
        return self.daemons[through].submit(**slow | request)

    def wait_durable(self, run: str) -> None:
        """Wait until some checkpoint holds programs of each task, of which the best must not be lost any more."""

        def are_all_durable() -> bool:
            self.note_durable(run)
            return self._durable[run].keys() == self.plan().runs[run].tasks.keys()

        within(10, are_all_durable, f"something durable of {run}")

    def note_durable(self, run: str) -> None:
        """Remember the best of each task that some checkpoint holds by now: it must not be lost any more."""
        problem = self.plan().runs[run].problem
        key_of, found = keyer(problem.name, problem.version), self._durable.setdefault(run, {})
        for name in self.store.list(CHECKPOINTS):
            try:
                islands = decode_checkpoint(self.store.read(name)[0]).islands
            except NotFound:
                continue  # Deleted meanwhile, since later ones hold as much.
            for island in islands:
                best = Population(unpack(island.population, key_of)).best if island.population else None
                if best is not None and island.run == run:
                    found[island.task] = max(found.get(island.task, []), list(best.fitness))

    def finish(self, run: str, *members: str) -> None:
        """Cancel a run and see that its results, of which all members say the same, hold what was durable."""
        self.note_durable(run)
        self.daemons[members[0]].ask(do="command", verb="cancel", run=run)
        self.judge(run, *members)

    def judge(self, run: str, *members: str) -> None:
        """The same of a run that is cancelled already."""
        for member in members:
            states = partial(self._states, run, member)
            within(15, lambda: states() == {"done"}, f"the results of {run} on {member}")  # noqa: B023
        for task, result in self.results(run, *members).items():
            # Of a task that was hardly begun nothing may have been durable.
            assert task not in self._durable[run] or result["fitness"] >= self._durable[run][task]

    def _states(self, run: str, member: str) -> set[str]:
        return {task["state"] for task in self.daemons[member].results(run).values()}

    def wait_working(self, members: Collection[str], seconds: float, islands: Collection[IslandId] = ()) -> float:
        """Wait until all islands of open tasks, or these, have evolved a generation at the owner that the plan names,
        which is one of these members; returns the seconds that it took."""
        owners = {f"{member}-{self.daemons[member].ask(do='ping')['boot']}": member for member in members}
        first: dict[tuple[IslandId, int], int] = {}

        def is_rising(island: IslandId, place: IslandPlace, hands: list[InHand]) -> bool:
            owner = owners.get(place.owner)
            now = next((held.generation for held in hands if (held.member, held.grant) == (owner, place.grant)), -1)
            return now >= 0 and now > first.setdefault((island, place.grant), now)

        def all_rise() -> bool:
            places, hands = self.places(), self.in_hand(members)
            # Of each, whether another still stands or not: it counts from when it was seen first.
            rising = [is_rising(island, places[island], hands.get(island, [])) for island in islands or places]
            return bool(rising) and all(rising)

        return within(seconds, all_rise, f"{len(islands) or 'all'} islands to evolve on {', '.join(members)}")

    def wait_members(self, wanted: dict[str, str], seconds: float = 20) -> float:
        """Wait until all that are alive in it see the members in these states; returns the seconds that it took."""
        alive = [member for member, state in wanted.items() if state == "alive"]
        return within(
            seconds, lambda: all(self.members(member) == wanted for member in alive), f"{alive} to see {wanted}"
        )


def within(seconds: float, condition: Callable[[], object], what: str) -> float:
    """Wait until `condition()` is true; returns the seconds that it took. Raises TimeoutError."""
    begun = time.monotonic()
    wait_for(condition, what, seconds)
    taken = time.monotonic() - begun
    log.info("%.2f s for %s", taken, what)
    return taken
