"""What a status from a store alone has besides members and runs: the lease, checkpoints, and what cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distevo_ctl.screen import Column, count, duration, fitting, plain

if TYPE_CHECKING:
    from rich.text import Text


def store_lines(store: dict[str, Any]) -> list[Text]:
    """How old the observation is, the lease, results and inbox, and each object that cannot be read."""
    from rich.text import Text

    lines = [Text(f"seen    from outside, {duration(store['age_s'])} ago")]
    if (lease := _lease(store["lease"])) is not None:
        lines.append(Text.assemble("lease   ", lease))
    results = store["results"]
    lines.append(Text(f"results {count(results['named'])}"))
    if results["missing"]:
        lines[-1].append(f", {len(results['missing'])} missing", "bold red")
    if (others := results["objects"] - results["named"] + len(results["missing"])) > 0:
        lines[-1].append(f", {count(others)} more that the plan does not name", "dim")
    if store["inbox"]:
        lines.append(Text(f"inbox   {store['inbox']} that no plan has taken in", "yellow"))
    for entry in store["unreadable"]:
        what = "is of a newer distevo" if entry["is_newer"] else "cannot be read"
        style = "yellow" if entry["is_newer"] else "bold red"
        lines.append(Text(f"{plain(entry['name'])} {what}: {plain(entry['error'])}", style))
    return lines


def _lease(lease: dict[str, Any]) -> tuple[str, str] | None:
    silence, renewal = duration(lease["unmoved_s"]), duration(lease["renewal_s"])
    match lease["state"]:
        case "held":
            return f"renewed {silence} before that", "green"
        case "silent":
            return f"not renewed in {silence}; a holder that is well does it every {renewal}", "yellow"
        case "expired":
            return f"not renewed in {silence}: another member may take it", "bold red"
        case "released":
            return "given back: nobody coordinates", "yellow"
        case None if lease["ttl"] is not None:
            return f"watched for {silence}, too short to tell; a holder renews it every {renewal}", "dim"
        case _:
            return None


def checkpoints_table(checkpoints: list[dict[str, Any]], width: int) -> Any:
    """The newest checkpoint of each boot of a platform."""
    columns = [
        Column("CHECKPOINT OF…", lambda c: plain(c["member"]) + ("" if c["is_current"] else " (earlier)")),
        Column("NUMBER>", lambda c: count(c["sequence"])),
        Column("ISLANDS>", lambda c: count(c["islands"])),
        Column("GENERATION>", _generations),
        Column("EVALUATIONS>", lambda c: count(c["evaluations"]), 1),
        Column("AGE>", lambda c: duration(c["age_s"])),
    ]
    return fitting(columns, checkpoints, width)


def _generations(checkpoint: dict[str, Any]) -> str:
    least, most = checkpoint["least_generation"], checkpoint["most_generation"]
    if least is None:
        return "-"
    return count(most) if least == most else f"{count(least)} to {count(most)}"
