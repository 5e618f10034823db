"""The mutation check: bugs that a naive build has are put into the node, one at a time, and some seed has to find each.

`python tests/simulator/mutations.py` prints JSON: for each bug the first seed that finds it, and by which invariant. It
exits with 1 if one gets away. What is patched is the node that ships, never the simulator.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import structs

from distevo import (
    closing,
    dispatch,
    election,
    foreman,
    janitor,
    keeper,
    lease,
    members,
    news,
    node,
    routing,
    work,
)
from distevo.checkpoint import IslandSnapshot
from distevo.events import Outcome, StoreAnswer
from distevo.simulator.expand import expand
from distevo.simulator.world import simulate

Patch = tuple[Any, str, Any]


# --- the lease: bugs 1 to 4 -----------------------------------------------------------------------


def token_at_send_time() -> list[Patch]:
    """1. The swap compares with the token known when it is sent, not with the one that the decision rests on."""
    original = lease.Lease._send

    def send(self: lease.Lease, write: Any, event: Any) -> None:
        write.token = self._token
        original(self, write, event)

    def see_always(self: lease.Lease, now: float, then: Any) -> None:
        # It also goes on looking while a write is in flight, which is how the token gets newer.
        def seen(answer: StoreAnswer, now: float) -> None:
            self._see(answer, now)
            then(now)

        self._outbox.read("cluster", seen)

    settle = lease.Lease._settle

    def settle_unmoved(self: lease.Lease, write: Any, answer: StoreAnswer, seen: StoreAnswer, now: float) -> None:
        if seen.outcome is Outcome.DONE and lease.decode_cluster(seen.data).nonce != write.record.nonce:
            self._token = seen.token
            write.token = seen.token
        settle(self, write, answer, seen, now)

    return [
        (lease.Lease, "_send", send),
        (lease.Lease, "watch", see_always),
        (lease.Lease, "_settle", settle_unmoved),
    ]


def stale_plan_under_a_new_token() -> list[Patch]:
    """1, as it was here: what was loaded is older than the token that the take-over compares with."""
    original = node.Node._loaded

    def loaded(self: node.Node, found: Any, _record: Any, now: float) -> None:
        original(self, found, self.lease.record, now)

    return [(node.Node, "_loaded", loaded)]


def old_epoch_renewed() -> list[Patch]:
    """2. A holder that finds the object moved goes on renewing its own epoch with the newer token."""

    def settle(self: lease.Lease, write: Any, _answer: StoreAnswer, seen: StoreAnswer, now: float) -> None:
        write.token = seen.token if seen.outcome is Outcome.DONE else None
        self._step(lease.WriteEvent.UNMOVED)
        self._outbox.later(now + 1, lambda _: self._send(write, lease.WriteEvent.RETRY))

    return [(lease.Lease, "_settle", settle)]


def unknown_taken_for_lost() -> list[Patch]:
    """3. An answer that is not definite is taken for a failure: the write is begun anew, with another nonce."""

    def settle(self: lease.Lease, write: Any, _answer: StoreAnswer, seen: StoreAnswer, now: float) -> None:
        self._step(lease.WriteEvent.MOVED)
        self._write = None
        self.is_held, self.is_lost = False, True
        self._see(seen, now)

    return [(lease.Lease, "_settle", settle)]


def unknown_taken_for_won() -> list[Patch]:
    """3. An answer that is not definite is taken for success."""

    def settle(self: lease.Lease, write: Any, _answer: StoreAnswer, seen: StoreAnswer, now: float) -> None:
        self._step(lease.WriteEvent.MINE)
        self._won(write, seen.token, now)

    return [(lease.Lease, "_settle", settle)]


def no_fencing() -> list[Patch]:
    """4. Taking over adds nothing to the epoch, so that nothing tells the successor's plan from the sleeper's."""
    original = lease.Lease._begin

    def begin(self: lease.Lease, now: float, epoch: int) -> None:
        original(self, now, max(self.record.epoch if self.record else 0, 1))

    return [(lease.Lease, "_begin", begin)]


def sleeper_overwrites() -> list[Patch]:
    """4. A coordinator that lost the swap takes the lease back at once, with the plan that it still has in hand."""

    def settle(self: lease.Lease, write: Any, _answer: StoreAnswer, seen: StoreAnswer, now: float) -> None:
        if seen.outcome is Outcome.DONE and lease.decode_cluster(seen.data).nonce == write.record.nonce:
            self._step(lease.WriteEvent.MINE)
            self._won(write, seen.token, now)
            return
        record = lease.decode_cluster(seen.data)
        epoch = record.epoch + 1 if record.epoch > write.record.epoch else write.record.epoch
        write.record = structs.replace(write.record, epoch=epoch)
        write.token = seen.token
        self._step(lease.WriteEvent.UNMOVED)
        self._outbox.later(now + 1, lambda _: self._send(write, lease.WriteEvent.RETRY))

    return [(lease.Lease, "_settle", settle)]


# --- identity and liveness: bugs 6 and 7, as far as they are the node's ---------------------------


def boot_ignored() -> list[Patch]:
    """6. Life is credited to a name, whatever boot it is: the dead boot lives on in its successor's traffic."""
    original = members.MemberTable.heard

    def heard(self: Any, member: str, _boot: str, now: float, *rest: Any, **more: Any) -> bool:
        entry = self.members.get(member)
        return original(self, member, entry.boot if entry is not None else "", now, *rest, **more)

    def follow(self: Any, known: Any, now: float) -> None:
        # A new boot of a known id is taken for the old one.
        for member, entry in self.members.items():
            if member in known:
                entry.boot = known[member]
        original_follow(self, known, now)

    original_follow = members.MemberTable.follow
    return [(members.MemberTable, "heard", heard), (members.MemberTable, "follow", follow)]


def relay_credited() -> list[Patch]:
    """6. What comes through a relay is credited to the relay, and whoever is behind it is never heard."""
    original = dispatch.Dispatch.delivered

    def delivered(self: Any, delivery: Any, now: float) -> None:
        if delivery.path.via is not None:
            self.alive(delivery.path.via, self._node.plan.members[delivery.path.via].boot, delivery.path, now)
            self._act(delivery, delivery.head, now)
        else:
            original(self, delivery, now)

    return [(dispatch.Dispatch, "delivered", delivered)]


def stranger_refused_for_ever() -> list[Patch]:
    """7. A member that is not known yet is turned away for good: it does not announce itself to anybody."""

    def announce(_self: node.Node, _now: float) -> None:
        return

    return [(node.Node, "_announce", announce)]


# --- delivery and durability: bug 8 ---------------------------------------------------------------


def sent_taken_for_delivered() -> list[Patch]:
    """8. What was told once is taken for heard."""

    def repeat(_self: news.News, _now: float) -> None:
        return

    return [(news.News, "repeat", repeat), (news.News, "next_deadline", lambda _self: float("inf"))]


def plan_followed_before_it_is_durable() -> list[Patch]:
    """8. The coordinator acts on its plan when it sends it, not when the swap is won."""
    original = lease.Lease._begin

    def begin(self: lease.Lease, now: float, epoch: int) -> None:
        original(self, now, epoch)
        write = self._write
        if write is not None and write.data is not None and write.record.plan is not None:
            self._in_force(lease.InForce(write.record.plan, epoch, lease.decode_plan(write.data)), now)

    return [(lease.Lease, "_begin", begin)]


def checkpoints_deleted_too_soon() -> list[Patch]:
    """8. A checkpoint is deleted as soon as a newer one was begun, durable or not."""
    original = keeper.Keeper.save

    def save(self: Any, *arguments: Any) -> int:
        number = original(self, *arguments)
        for name in list(self._objects):
            del self._objects[name]
            self._outbox.delete(name, lambda _answer, _now: None)
        return number

    return [(keeper.Keeper, "save", save)]


# --- what was found on the way --------------------------------------------------------------------


def restored_by_generation_alone() -> list[Patch]:
    """A new owner goes on from the highest generation that it finds, and leaves the rest."""

    def restore(snapshots: Any, grant: int) -> IslandSnapshot | None:
        known = [s for s in snapshots if s.grant <= grant]
        return max(known, key=lambda s: s.generation, default=None)

    return [(foreman, "restore", restore)]


def results_swept_across_epochs() -> list[Patch]:
    """A coordinator that slept takes its successor's result for a leftover."""
    return [(closing, "result_epoch", lambda _name: 0)]


def janitor_judges_later_grants() -> list[Patch]:
    """A coordinator that slept takes checkpoints of runs that it does not know for leftovers, and looks often."""
    original = janitor.Janitor._is_needed

    def is_needed(self: Any, mark: Any) -> bool:
        plan = self._plan
        if mark.grant >= plan.next_grant:
            return False
        return original(self, mark)

    return [(janitor.Janitor, "_is_needed", is_needed), (janitor, "LOOK_SECONDS", 5.0)]


def worker_keeps_the_old_grant() -> list[Patch]:
    """A report under the grant of before stands, though the island is here under another one by now."""
    original = work.IslandWork.report

    def report(self: Any, snapshot: Any, taken: int) -> None:
        grant = snapshot.grant
        original(self, snapshot, taken)
        self.snapshot = structs.replace(self.snapshot, grant=grant)

    return [(work.IslandWork, "report", report)]


def late_finals_accepted() -> list[Patch]:
    """A state from before a budget was raised closes the task."""
    return [(closing.Closing, "_may_go_on", lambda *_: False)]


def dead_links_kept() -> list[Patch]:
    """A link with a member that counts as dead stays in use, for it and as a relay."""
    return [(routing.Router, "hang_up", lambda *_: None)]


def pre_vote_ignored() -> list[Patch]:
    """A candidate does not ask: one cut link between two healthy members costs the lease."""
    original = election.Election._conclude

    def conclude(self: Any, now: float) -> None:
        self._answers = {"nobody": False}
        original(self, now)

    return [(election.Election, "_conclude", conclude)]


BUGS: list[Callable[[], list[Patch]]] = [
    token_at_send_time,
    stale_plan_under_a_new_token,
    old_epoch_renewed,
    unknown_taken_for_lost,
    unknown_taken_for_won,
    no_fencing,
    sleeper_overwrites,
    boot_ignored,
    relay_credited,
    stranger_refused_for_ever,
    sent_taken_for_delivered,
    plan_followed_before_it_is_durable,
    checkpoints_deleted_too_soon,
    restored_by_generation_alone,
    results_swept_across_epochs,
    janitor_judges_later_grants,
    worker_keeps_the_old_grant,
    late_finals_accepted,
    dead_links_kept,
    pre_vote_ignored,
]


@contextmanager
def put_in(bug: Callable[[], list[Patch]]) -> Iterator[None]:
    """The node with a bug, for a while."""
    patches = bug()
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, value in patches:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def hunt(bug: Callable[[], list[Patch]], seeds: int) -> dict[str, Any]:
    """The first seed that finds a bug."""
    begun = time.process_time()
    found: dict[str, Any] = {"bug": bug.__name__, "seed": None, "invariant": None}
    with put_in(bug):
        for seed in range(seeds):
            report = simulate(expand(seed), seed)
            if report.finding is not None:
                found |= {"seed": seed, "invariant": report.finding.invariant, "message": report.finding.message[:200]}
                break
    return found | {"cpu_s": round(time.process_time() - begun, 1)}


def main() -> None:
    """Hunt them all, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bugs", nargs="*", help="names of bugs; all without any")
    parser.add_argument("--seeds", type=int, default=1000, help="most seeds for each")
    arguments = parser.parse_args()
    wanted = [bug for bug in BUGS if not arguments.bugs or bug.__name__ in arguments.bugs]
    hunts = []
    for bug in wanted:
        hunts.append(hunt(bug, arguments.seeds))
        print(json.dumps(hunts[-1]), file=sys.stderr)
    print(json.dumps({"seeds": arguments.seeds, "bugs": hunts}, indent=1))
    sys.exit(any(found["seed"] is None for found in hunts))


if __name__ == "__main__":
    main()
