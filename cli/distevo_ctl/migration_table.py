"""Migration in a status: a line that sums it up, and a table of its edges, those that need a look first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distevo_ctl.screen import Column, count, duration, fitting, plain

if TYPE_CHECKING:
    from rich.text import Text

FEW = 8
"""Edges that are shown where not all are asked for."""
TROUBLES = ("unanswered", "late")


def migration_tables(view: dict[str, Any], width: int, *, is_all: bool = False) -> list[Any]:
    """What emigrated from islands here, and whether it arrived; nothing where nothing did.

    Of a platform that is alone only the sum, unless there is trouble or `is_all`.
    """
    from rich.text import Text

    edges = sorted(view["migrations"], key=_rank)
    if not edges:
        return []
    is_bad = edges[0]["trouble"] is not None
    if not is_all and not is_bad and len(view["members"]) == 1:
        return [_sum(edges)]
    shown = edges if is_all else edges[:FEW]
    lines = [_sum(edges), _table(shown, width)]
    if len(shown) < len(edges):
        lines.append(Text(f"and {len(edges) - len(shown)} more; --edges shows all", "dim"))
    return lines


def _sum(edges: list[dict[str, Any]]) -> Text:
    from rich.text import Text

    ages = [edge["last_s"] for edge in edges if edge["last_s"] is not None]
    sent, accepted, known = (sum(edge[field] for edge in edges) for field in ("sent", "accepted", "known"))
    made = Text.assemble(
        ("migration", "bold"),
        f" on {len(edges)} {'edge' if len(edges) == 1 else 'edges'} from here: {count(sent)} batches sent, "
        f"{count(accepted)} programs accepted, {count(known)} known; last "
        f"{duration(min(ages)) + ' ago' if ages else 'never'}",
    )
    for trouble in TROUBLES:
        if number := sum(edge["trouble"] == trouble for edge in edges):
            made.append("; ").append(f"{number} {trouble}", "bold red")
    return made


def _table(edges: list[dict[str, Any]], width: int) -> Any:
    columns = [
        Column("RUN…", lambda e: plain(e["run"]), 2),
        Column("TASK…", lambda e: plain(e["task"])),
        Column("EDGE", lambda e: f"{e['source']} to {e['target']}"),
        Column("ON…", lambda e: plain(e["owner"].rpartition("-")[0]) or "-", 1),
        Column("SENT>", lambda e: count(e["sent"])),
        Column("ACCEPTED>", lambda e: count(e["accepted"])),
        Column("KNOWN>", lambda e: count(e["known"])),
        Column("LAST>", _last),
    ]
    return fitting(columns, edges, width)


def _last(edge: dict[str, Any]) -> Text:
    """When something was last acknowledged; what is wrong with that stands beside it."""
    from rich.text import Text

    age = "" if edge["last_s"] is None else duration(edge["last_s"])
    if edge["trouble"]:
        return Text(f"{edge['trouble']} {age}".rstrip(), "bold red")
    return Text(f"rests {age}".rstrip(), "dim") if edge["is_resting"] else Text(age or "-")


def _rank(edge: dict[str, Any]) -> tuple[int, float]:
    """The worst first: never answered and sent to the most, then the longest silence; what rests comes last."""
    if edge["trouble"] == "unanswered":
        return 0, -edge["sent"]
    silence = float("inf") if edge["last_s"] is None else edge["last_s"]
    return 1 if edge["trouble"] else 3 if edge["is_resting"] else 2, -silence
