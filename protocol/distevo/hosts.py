"""From members to hosts: what the placement has to know of each platform."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from distevo.balance import is_slow
from distevo.load import Host
from distevo.plan import MemberPlan
from distevo.sharding import island_limit
from distevo.weighing import Weigher


def hosts_of(
    members: Mapping[str, MemberPlan],
    weigher: Weigher,
    threshold: float | None,
    refuses: Callable[[str], Collection[str]] = lambda _member: (),
) -> list[Host]:
    """The members that may own islands, as hosts, in the same order.

    `threshold`: from how many times the cluster's median on a platform is slow; None: no matter how slow, none is
    treated so. `refuses` tells the runs that a member cannot work on.
    """
    weights = weigher.weights(members, threshold)
    return [_host(name, member, weights[name], threshold, refuses(name)) for name, member in members.items()]


def most_islands(member: MemberPlan) -> int:
    """How many islands a platform works on at a time, at most."""
    # Where memory and wish disagree, the member's own daemon has said so when it started.
    limit, _ = island_limit(member.islands, member.memory_mb, member.workers)
    return limit


def _host(name: str, member: MemberPlan, weight: float, threshold: float | None, refuses: Collection[str]) -> Host:
    limit = most_islands(member)
    keep = limit
    if is_slow(member, threshold):
        # Never fewer than keep its workers busy: a slow platform does more than an idle one.
        keep = max(member.workers, int(limit / member.slowness))
    return Host(
        owner=member.owner(name),
        weight=weight,
        workers=member.workers,
        limit=limit,
        refuses=refuses,
        slowness=member.slowness if threshold is not None else 1.0,
        keep=keep,
    )
