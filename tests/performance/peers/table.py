"""The report as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.performance.peers.losses import BEGAN_ANEW, STANDS_STILL

NOTHING = "-"
EXPERIMENTS = {
    "worker": "a worker",
    "platform": "one of two platforms",
    "coordinator": "that which coordinates",
    "restart": "everything, started again",
}


class Column(NamedTuple):
    """Which figure, and how it is written."""

    key: str
    digits: int
    unit: str = ""


SPEED = {
    "offspring / s / core": Column("offspring_per_s_per_core", 0),
    "offspring / CPU second": Column("offspring_per_cpu_s", 0),
    "known": Column("repeats_percent", 1, " %"),
    "RSS of all": Column("rss_mb", 0, " MB"),
    "RSS of a worker": Column("worker_rss_mb", 0, " MB"),
    "processes": Column("processes", 0),
}
OWN = {
    "onemax": {"256 ones after": Column("solved_s", 1, " s"), "ones at the end": Column("ones", 0)},
    "regression": {"error at the end": Column("error", 4)},
}


def markdown(report: Mapping[str, Any]) -> str:
    """All tables that the report has figures for."""
    machine, versions = report["machine"], report["versions"]
    numbers = ", ".join(f"{name} {number}" for name, number in versions.items())
    where = f"{machine['cores']} x {machine['processor']}, {machine['memory_gb']} GiB"
    load = f"load {machine['load_before']:.1f} before and {machine['load_after']:.1f} after"
    how = (
        f"{report['repeats']} rounds of {report['generations']} generations, {report['seconds']:g} s for own operators"
    )
    parts = [f"Python {machine['python']}, {numbers}. {where}, {load}. {how}; medians (ranges)."]
    for work, rows in report.get("equal", {}).items():
        parts.append(
            f"**At equal operators, {work}**\n\n" + grid([row_of(name, row, SPEED) for name, row in rows.items()])
        )
    for work, rows in report.get("own", {}).items():
        parts.append(f"**With each one's own, {work}**\n\n" + grid([row_of(n, r, OWN[work]) for n, r in rows.items()]))
    if "start" in report:
        parts.append("**Start**\n\n" + starts(report["start"]))
    if "losses" in report:
        parts.append("**What SIGKILL loses**\n\n" + fates(report["losses"]))
    return "\n\n".join(parts) + "\n"


def grid(rows: list[dict[str, str]]) -> str:
    """A table; each row has the same columns."""
    if not rows:
        return NOTHING
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def row_of(name: str, row: Mapping[str, Any], columns: Mapping[str, Column]) -> dict[str, str]:
    """A contender's figures."""
    return {"": name} | {title: figure(row, column) for title, column in columns.items()}


def starts(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Seconds to the first evaluation; of distevo in both ways."""
    title = "first process to first evaluation"
    lines = []
    for name, row in rows.items():
        lines.append({"": name, title: figure(row, Column("start_s", 2, " s"))})
        if "start_and_submit_s" in row:
            typed = f"{name}, `start --detach`, then `submit`"
            lines.append({"": typed, title: figure(row, Column("start_and_submit_s", 2, " s"))})
    return grid(lines)


def figure(row: Mapping[str, Any], column: Column) -> str:
    """Median and range."""
    if column.key not in row:
        return "failed" if "error" in row else NOTHING
    median, least, most = (f"{row[column.key][which]:,.{column.digits}f}" for which in ("median", "least", "most"))
    return f"{median}{column.unit}" + (f" ({least}-{most})" if least != most else "")


def fates(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """What became of the islands."""
    return grid(
        [
            {"": name} | {title: "failed" if "error" in row else fate(row[what]) for what, title in EXPERIMENTS.items()}
            for name, row in rows.items()
        ]
    )


def fate(found: Mapping[str, Any] | None) -> str:
    """What one experiment showed."""
    if found is None:
        return NOTHING
    if found["has_ended"]:
        return "the run ended"
    told = []
    for outcome in sorted({island["outcome"] for island in found["islands"]}):
        islands = [island for island in found["islands"] if island["outcome"] == outcome]
        seconds = max(island["seconds"] for island in islands)
        lost = max(island["lost"] or 0 for island in islands)
        told.append(f"{len(islands)} {outcome}{_how(outcome, seconds, lost)}")
    return "; ".join(told)


def _how(outcome: str, seconds: float, lost: int) -> str:
    if outcome == STANDS_STILL:
        return f" after {seconds:.0f} s"
    if outcome == BEGAN_ANEW:
        return f" within {seconds:.1f} s, all of {lost} generations lost"
    return f" within {seconds:.1f} s, " + (f"at most {lost} generations lost" if lost else "nothing lost")
