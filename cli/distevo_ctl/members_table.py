"""The members of a status as a table."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from distevo_ctl.screen import Column, delay, duration, fitting, known, plain

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

SLOW_TIMES = 2.0
"""From so many times the others' median on it is said that a platform is slow, whether it gives islands away or not."""
STYLES = {
    "alive": "green",
    "joining": "yellow",
    "draining": "yellow",
    "suspect": "yellow",
    "revoked": "red",
    "dead": "red",
    "left": "dim",
}


def members_table(view: dict[str, Any], width: int, most: int | None = None) -> list[Any]:
    """The members, at most `most` of them, and what is to be said about some; a star marks the coordinator."""
    from rich.text import Text

    members = view["members"]
    shown = members if most is None or len(members) <= most else _first(members, most)
    lines: list[Any] = [_table(shown, len(members) > 1, width)]
    if hidden := [member for member in members if not any(member is other for other in shown)]:
        lines.append(Text(f"and {len(hidden)} more: {_states(hidden)}", "dim"))
    for member in shown:
        # What only the platform itself can know is null for the others.
        if causes := member["workers_replaced"]:
            told = ", ".join(f"{number} {cause}" for cause, number in causes.items())
            lines.append(Text(f"{plain(member['id'])} has replaced workers: {told}", "yellow"))
        if trouble := member["store_trouble"]:
            told = f"has trouble with the store for {duration(trouble['seconds'])}: {trouble['reason']}"
            lines.append(Text(f"{plain(member['id'])} {plain(told)}", "yellow"))
        if (times := member["slowness"] or 1.0) >= SLOW_TIMES and state_of(member) in {"alive", "suspect"}:
            lines.append(Text(f"{plain(member['id'])} takes {times:g} times as long as the others' median", "yellow"))
    if gone := set(view["revoked"]) - {member["key"] for member in members}:
        lines.append(Text(f"revoked, of platforms that have left the plan: {', '.join(sorted(gone))}", "dim"))
    return lines


def _table(members: list[dict[str, Any]], is_cluster: bool, width: int) -> Table:
    columns = [
        Column("PLATFORM…", lambda m: plain(m["id"]) + (" *" if m["role"] == "coordinator" else "")),
        Column("KIND", lambda m: m["kind"], 5),
        Column("STATE", _state),
        Column("PATH…", _path),
        Column("WORKERS>", lambda m: str(m["workers"]), 4),
        Column("ISLANDS>", lambda m: known(m["islands"])),
        Column("QUEUE>", lambda m: known(m["queued"]), 2),
        Column("HEARD>", lambda m: "-" if m["path"] == "self" else duration(m["last_heard_s"])),
        Column("LAG>", lambda m: delay(m["lag_s"]), 3),
        Column("SAVED>", lambda m: duration(m["checkpoint_age_s"]), 1),
    ]
    if not is_cluster:
        columns = [column for column in columns if column.heading not in {"PATH…", "HEARD>"}]
    return fitting(columns, members, width)


def _state(member: dict[str, Any]) -> Text:
    from rich.text import Text

    state = state_of(member)
    return Text(state, STYLES[state])


def state_of(member: dict[str, Any]) -> str:
    """How a member is, in a word: one that is alive and is to leave drains."""
    return "draining" if member["is_draining"] and member["state"] == "alive" else str(member["state"])


def _path(member: dict[str, Any]) -> str:
    if member["latency_s"] is not None:
        return f"{plain(member['path'])} {delay(member['latency_s'])}"
    return "-" if member["path"] is None else plain(member["path"])


def _first(members: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The ones that a look is for: oneself, the coordinator, and who is not well; in their order."""

    def rank(member: dict[str, Any]) -> int:
        if member["path"] == "self" or member["role"] == "coordinator":
            return 0
        return {"suspect": 1, "dead": 2, "joining": 3, "draining": 3, "alive": 4}.get(state_of(member), 5)

    chosen = {member["id"] for member in sorted(members, key=rank)[:most]}
    return [member for member in members if member["id"] in chosen]


def _states(members: list[dict[str, Any]]) -> str:
    return ", ".join(f"{number} {state}" for state, number in Counter(map(state_of, members)).most_common())
