"""Migration as people ask for it: each edge that leaves an island here, and which of them need a look."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from distevo.events import IslandId
from distevo.migration import MAX_RESEND_SECONDS, Edge, EdgeStatus
from distevo.node import Node
from distevo.plan import RunState

LATE_SECONDS = 2 * MAX_RESEND_SECONDS
"""An edge whose last acknowledgement is not older than this is never late: a batch has been sent twice by then."""
LATE_FACTOR = 5
"""An edge is late when its last acknowledgement is older than so many times what is usual in its run."""

UNANSWERED = "unanswered"
"""Programs were sent, and nothing was ever acknowledged."""
LATE = "late"
"""The last acknowledgement is much older than those of the other edges of the run."""


def edges(node: Node, now: float) -> list[dict[str, Any]]:
    """All edges on which programs have left an island here, in their order; times in seconds.

    `trouble` is "unanswered", "late" or None. An edge rests while its run does, or one of its two islands, or while
    nobody is known to have begun its target: nothing is to be expected of it then.
    """
    views = [_edge(node, status, now) for status in node.exchange.status()]
    mark(views)
    return views


def mark(views: list[dict[str, Any]]) -> None:
    """Give each edge its `trouble`: some can be seen only beside the others."""
    usual = _usual(views)
    for view in views:
        view["trouble"] = _trouble(view, usual.get(view["run"], 0.0))


def _edge(node: Node, status: EdgeStatus, now: float) -> dict[str, Any]:
    edge = status.edge
    return {
        **edge._asdict(),
        "owner": status.owner,
        "is_waiting": status.is_waiting,
        "is_resting": _is_resting(node, edge),
        "sent": status.sent,
        "accepted": status.accepted,
        "known": status.known,
        "last_s": None if status.last_at is None else round(now - status.last_at, 3),
    }


def _is_resting(node: Node, edge: Edge) -> bool:
    run = node.following.plan.runs.get(edge.run)
    if run is None or run.state is not RunState.RUNNING:
        return True
    islands = node.standing.islands
    source = islands.get(IslandId(edge.run, edge.task, edge.source))
    target = islands.get(IslandId(edge.run, edge.task, edge.target))
    return target is None or target[1].is_final or (source is not None and source[1].is_final)


def _usual(views: list[dict[str, Any]]) -> dict[str, float]:
    """By run, the age of an acknowledgement that half of its edges do not exceed."""
    ages = defaultdict(list)
    for view in views:
        if view["last_s"] is not None and not view["is_resting"]:
            ages[view["run"]].append(view["last_s"])
    # The lower of two in the middle: of two edges the one that lives is the measure.
    return {run: sorted(found)[(len(found) - 1) // 2] for run, found in ages.items()}


def _trouble(view: dict[str, Any], usual: float) -> str | None:
    if view["is_resting"] or not view["sent"]:
        return None
    if view["last_s"] is None:
        return UNANSWERED
    return LATE if view["last_s"] > max(LATE_SECONDS, LATE_FACTOR * usual) else None
