"""The report as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = "-"


def markdown(report: Mapping[str, Any]) -> str:
    """All tables that the report has figures for."""
    machine, versions = report["machine"], report["versions"]
    parts = [
        f"Python {machine['python']}, " + ", ".join(f"{name} {number}" for name, number in versions.items()) + ". "
        f"{machine['cores']} x {machine['processor']}, {machine['memory_gb']} GiB; {report['repeats']} rounds, windows of "
        f"{report['seconds']:g} s; medians (ranges)."
    ]
    for part, title in (("equal", "At equal operators"), ("own", "With each one's own operators")):
        for work, rows in report.get(part, {}).items():
            parts.append(f"**{title}, {work}**\n\n" + speeds(rows, is_own=part == "own"))
    if "start" in report:
        parts.append("**Start**\n\n" + starts(report["start"]))
    if "losses" in report:
        parts.append("**What SIGKILL loses**\n\n" + fates(report["losses"]))
    return "\n\n".join(parts) + "\n"


def grid(header: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def speeds(rows: Mapping[str, Mapping[str, Any]], *, is_own: bool) -> str:
    """Rates and memory of all with one work."""
    header = [
        "", "offspring / s / core", "offspring / CPU second", "repeats", "RSS of all", "of a worker", "processes"
    ]  # fmt: skip
    lines = []
    for name, row in rows.items():
        cells = [
            figure(row, "offspring_per_s_per_core", 0),
            figure(row, "offspring_per_cpu_s", 0),
            figure(row, "repeats_percent", 1, " %"),
            figure(row, "rss_mb", 0, " MB"),
            figure(row, "worker_rss_mb", 0, " MB"),
            figure(row, "processes", 0),
            *([figure(row, "best", 3)] if is_own else []),
        ]
        lines.append([name, *cells])
    return grid([*header, *(["best"] if is_own else [])], lines)


def starts(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Seconds to the first evaluation."""
    lines = []
    for name, row in rows.items():
        lines.append([name, figure(row, "start_s", 2, " s")])
        if "start_and_submit_s" in row:
            lines.append([f"{name}, `start --detach` and `submit`", figure(row, "start_and_submit_s", 2, " s")])
    return grid(["", "first process to first evaluation"], lines)


def figure(row: Mapping[str, Any], key: str, digits: int, unit: str = "") -> str:
    """Median and range."""
    if key not in row:
        return "failed" if "error" in row else NOTHING
    median, least, most = (row[key][which] for which in ("median", "least", "most"))
    text = f"{median:,.{digits}f}{unit}"
    return text if least == most else f"{text} ({least:,.{digits}f}-{most:,.{digits}f})"


def fates(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """What became of the islands."""
    lines = [
        [name, *(fate(row[what]) for what in ("worker", "platform", "coordinator", "restart"))]
        for name, row in rows.items()
    ]
    header = ["", "a worker", "the other of two platforms", "that which coordinates", "everything, started again"]
    return grid(header, lines)


def fate(found: Mapping[str, Any] | None) -> str:
    """What one experiment showed."""
    if found is None:
        return NOTHING
    outcomes: dict[str, list[Mapping[str, Any]]] = {}
    for island in found["islands"]:
        outcomes.setdefault(island["outcome"], []).append(island)
    told = []
    for outcome, islands in sorted(outcomes.items()):
        seconds = max(island["seconds"] for island in islands)
        lost = max((island["lost"] or 0 for island in islands), default=0)
        text = f"{len(islands)} {outcome}"
        if outcome == "went on":
            text += f" within {seconds:.1f} s" + (f", up to {lost} generations lost" if lost else ", nothing lost")
        elif outcome == "began anew":
            text += f" after {seconds:.1f} s: up to {lost} generations lost"
        told.append(text)
    return ("the run ended; " if found["has_ended"] else "") + "; ".join(told)
