"""What a cluster costs in Google Cloud Storage: requests, bytes and dollars a day, from its shape.

The formulas say what a node does with the store, item by item, for a cluster in which all goes well; the simulator
counts what nodes really do, and a test holds the two together. They stand in the library since they are made of its
intervals. Misses and deletes are free, as is all that is written; what is read from outside Google Cloud is not.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from distevo.contact import CANDIDATES, FULL_MESH, RING_NEIGHBOURS
from distevo.desk import LIST_SECONDS
from distevo.janitor import LOOK_SECONDS
from distevo.keeper import COVERING_SNAPSHOTS
from distevo.lease import RENEWALS_PER_TTL
from distevo.mail import MAIL_KEEP_SECONDS
from distevo.strangers import WAITS_SECONDS

DAY = 86_400.0
MONTH_DAYS = 365 / 12
GIB = float(1 << 30)

CLUSTER_BYTES = 250
"""The object `cluster`."""
PLAN_BYTES = 600
"""A plan without tasks; and each task in it adds TASK_BYTES. Measured: 7.6 KB for 500 tasks of two islands."""
TASK_BYTES = 15
RESULT_BYTES = 4_000
CHANGES_PER_TASK = 2
"""Plans that one task makes: its islands are placed, and its result is chosen. Measured: 1.5 to 2.6."""
START_READS = 10
"""What a platform that starts reads: `cluster`, the plan, runs, checkpoints that its islands go on from."""


class Prices(NamedTuple):
    """In dollars."""

    write: float
    """One insert or list: a Class A operation."""
    read: float
    """One object read: a Class B operation."""
    stored: float
    """A GiB that is stored for a day."""
    read_out: float
    """A GiB that is read from outside Google Cloud, of the first 10 TiB in a month."""
    seen_on: str
    """When Google's page had these."""


PRICES = Prices(write=0.005 / 1000, read=0.0004 / 1000, stored=24 * 0.000027397, read_out=0.12, seen_on="2026-09-20")
"""Of https://cloud.google.com/storage/pricing, for a bucket of the Standard class in one region (us-central1)."""

Count = Annotated[int, Meta(ge=1, le=100_000)]
Seconds = Annotated[float, Meta(gt=0)]
Amount = Annotated[float, Meta(ge=0)]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster, as far as its costs go. Times are in seconds."""

    platforms: Count = 4
    mail: Annotated[int, Meta(ge=0)] = 0
    """Platforms that no link reaches, also through another: they are heard by mail."""
    tasks: Annotated[int, Meta(ge=0)] = 400
    """In the plan."""
    tasks_per_hour: Amount = 20.0
    """How many of them end."""
    budgets: Annotated[int, Meta(ge=1, le=32)] = 1
    """How many rising budgets each goes through before it does: on each it gets a result, and is placed anew."""
    starts_per_day: Amount = 2.0
    """How often each platform starts, as a notebook's session does."""
    checkpoint_seconds: Seconds = 30.0
    checkpoint_mb: Amount = 0.02
    """Size of one checkpoint of one platform, compressed, in MiB."""
    mail_interval: Seconds = 15.0
    mail_kb: Amount = 2.0
    """Size of a box of mail, in KiB."""
    lease_ttl: Seconds = 15.0
    swap_interval: Seconds = 1.2
    outside: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """Share of the platforms that are outside Google Cloud, or in another region than the bucket."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Requests and bytes of a day, for one purpose."""

    what: str
    inserts: float = 0.0
    lists: float = 0.0
    reads: float = 0.0
    misses: float = 0.0
    deletes: float = 0.0
    bytes_written: float = 0.0
    bytes_read: float = 0.0

    def dollars(self, prices: Prices, outside: float) -> float:
        """Of its requests, and of what is read from outside."""
        requests = (self.inserts + self.lists) * prices.write + self.reads * prices.read
        return requests + outside * self.bytes_read / GIB * prices.read_out


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a day costs."""

    items: list[Item]
    bytes_stored: float
    dollars_requests: float
    dollars_read_out: float
    dollars_stored: float

    @property
    def dollars(self) -> float:
        """All of it."""
        return self.dollars_requests + self.dollars_read_out + self.dollars_stored

    def total(self) -> Item:
        """All items together."""
        fields = [field for field in Item.__struct_fields__ if field != "what"]
        return Item(what="all", **{field: sum(getattr(item, field) for item in self.items) for field in fields})


def estimate(shape: Shape, prices: Prices = PRICES) -> Estimate:
    """Requests, bytes and dollars of a day."""
    items = [_lease(shape), _looks(shape), _inbox(shape), _checkpoints(shape), _results(shape), _mail(shape)]
    items += [_starts(shape)]
    total = Estimate(items=items, bytes_stored=0.0, dollars_requests=0.0, dollars_read_out=0.0, dollars_stored=0.0)
    added = total.total()
    stored = _stored(shape, added)
    return msgspec.structs.replace(
        total,
        bytes_stored=stored,
        dollars_requests=added.dollars(prices, outside=0.0),
        dollars_read_out=shape.outside * added.bytes_read / GIB * prices.read_out,
        dollars_stored=stored / GIB * prices.stored,
    )


# --- what a node does ----------------------------------------------------------------------------


def _changes(shape: Shape) -> float:
    """Plans that are written a second; what changes within one swap interval is one."""
    wanted = _ends(shape) * CHANGES_PER_TASK / 3600 + 2 * shape.starts_per_day * shape.platforms / DAY
    return wanted / (1 + wanted * shape.swap_interval)


def _ends(shape: Shape) -> float:
    """How often in an hour a task has used a budget up."""
    return shape.tasks_per_hour * shape.budgets


def _plan_bytes(shape: Shape) -> float:
    return PLAN_BYTES + TASK_BYTES * shape.tasks


def _lease(shape: Shape) -> Item:
    """The coordinator renews a third of the lease's life after its last write, and each plan renews as well."""
    renewal, changes = shape.lease_ttl / RENEWALS_PER_TTL, _changes(shape)
    swaps = changes / -math.expm1(-changes * renewal) if changes else 1 / renewal
    return Item(
        what="lease and plan",
        inserts=DAY * (swaps + changes),
        deletes=DAY * changes,
        bytes_written=DAY * (swaps * CLUSTER_BYTES + changes * _plan_bytes(shape)),
    )


def _looks(shape: Shape) -> Item:
    """Everybody else looks at `cluster` as often as it is renewed, and when told of a plan; and reads each plan, or
    of those that come between two looks the last."""
    every, changes = shape.lease_ttl / RENEWALS_PER_TTL, _changes(shape)
    by_mail = shape.mail / shape.platforms
    others = shape.platforms - 1
    told = others * (1 - by_mail) * changes
    plans = told + others * by_mail * -math.expm1(-changes * every) / every
    looks = others / every + told
    return Item(
        what="looks at the plan",
        reads=DAY * (looks + plans),
        bytes_read=DAY * (looks * CLUSTER_BYTES + plans * _plan_bytes(shape)),
    )


def _inbox(shape: Shape) -> Item:
    """The coordinator lists the inbox, and now and then what is left over of checkpoints and mail."""
    return Item(what="inbox, leftovers", lists=DAY / LIST_SECONDS + 2 * DAY / LOOK_SECONDS)


def _checkpoints(shape: Shape) -> Item:
    saved = shape.platforms * DAY / shape.checkpoint_seconds
    return Item(what="checkpoints", inserts=saved, deletes=saved, bytes_written=saved * shape.checkpoint_mb * 2**20)


def _results(shape: Shape) -> Item:
    """Whoever goes on from the result of a lower budget reads it; then it goes."""
    made, gone = 24 * _ends(shape), 24 * (_ends(shape) - shape.tasks_per_hour)
    return Item(
        what="results",
        inserts=made,
        reads=gone,
        deletes=gone,
        bytes_written=made * RESULT_BYTES,
        bytes_read=gone * RESULT_BYTES,
    )


def _mail(shape: Shape) -> Item:
    """A member writes one box in an interval for all whom no link reaches; each of those reads it, and then looks for
    the next, which is missing."""
    writers, pairs = _by_mail(shape)
    boxes = DAY / shape.mail_interval
    return Item(
        what="mail",
        inserts=writers * boxes,
        reads=pairs * boxes,
        misses=pairs * boxes,
        deletes=writers * boxes,
        bytes_written=writers * boxes * shape.mail_kb * 1024,
        bytes_read=pairs * boxes * shape.mail_kb * 1024,
    )


def _by_mail(shape: Shape) -> tuple[float, float]:
    """Members that write mail, and pairs of a reader and a writer.

    In a large cluster not everybody speaks to everybody: see `contact.wished`.
    """
    n, m = shape.platforms, min(shape.mail, shape.platforms)
    if m == 0 or n == 1:
        return 0.0, 0.0
    share = 1 - (n - m) * (n - m - 1) / (n * (n - 1))
    if n <= FULL_MESH:
        return float(n), n * (n - 1) * share
    peers = min(n - 1, CANDIDATES + 2 * RING_NEIGHBOURS)
    pairs = CANDIDATES * (n - 1) + (n - CANDIDATES) * peers
    writers = m + (n - m) * (1 - (1 - m / (n - 1)) ** peers)
    return writers, pairs * share


def _starts(shape: Shape) -> Item:
    """A platform that comes says so in the inbox, for which the coordinator looks; and looks for the others' mail."""
    starts = shape.starts_per_day * shape.platforms
    _, pairs = _by_mail(shape)
    return Item(
        what="platforms that start",
        inserts=starts,
        lists=starts * len(WAITS_SECONDS) + 2 * shape.starts_per_day * pairs,
        reads=starts * START_READS,
        deletes=starts,
        bytes_read=starts * (_plan_bytes(shape) + shape.checkpoint_mb * 2**20),
    )


def _stored(shape: Shape, day: Item) -> float:
    """Bytes that lie in the bucket at a time; the results of a month."""
    writers, _ = _by_mail(shape)
    checkpoints = shape.platforms * (COVERING_SNAPSHOTS + 1) * shape.checkpoint_mb * 2**20
    plans = 3600 * _changes(shape) * _plan_bytes(shape)
    boxes = writers * MAIL_KEEP_SECONDS / shape.mail_interval * shape.mail_kb * 1024
    return checkpoints + plans + boxes + MONTH_DAYS * 24 * shape.tasks_per_hour * RESULT_BYTES
