"""What a node is told of its platform."""

from __future__ import annotations

import msgspec

from distevo.sharding import Shard, by_capability


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the node has to know of its platform. Times are in seconds."""

    member: str
    boot: str
    kind: str
    workers: int
    memory_mb: int
    batch_size: int
    key: str = ""
    """Public key, by which links are authenticated."""
    endpoints: tuple[str, ...] = ()
    """Where it can be dialled; empty where it cannot."""
    peers: tuple[str, ...] = ()
    """Further endpoints at which any other member may be found, beside those that it advertises."""
    islands: int | None = None
    """Most islands at a time (`islands_per_platform`); what the memory has room for is never exceeded."""
    priority: int = 0
    """As candidate for coordinator; lower goes first."""
    allow_problems: str = "own"
    built_in: frozenset[str] = frozenset()
    """References of the problems that ship with the daemon."""
    lease_ttl: float = 15.0
    swap_interval: float = 1.2
    heartbeat_interval: float = 10.0
    heartbeat_timeout: float = 30.0
    mail_interval: float = 15.0
    checkpoint_generations: int = 5
    checkpoint_seconds: float = 5.0
    checkpoint_least_seconds: float = 1.0
    merge_interval: float = 10.0
    """Between two looks for better programs elsewhere; 0: never."""
    preserve_top_n: int | float = 20
    """Of each task in a merge: a count, or a share of each island's population."""
    session_limit: float | None = None
    """Seconds from the start after which the platform is expected to be taken away; None: not foreseen."""
    shard: Shard = by_capability
    """What this platform weighs the others by while it coordinates."""
    avg_generation_time_threshold: float | None = 2.5
    """From how many times the cluster's median on a platform gives islands away, while this one coordinates; None:
    never."""
