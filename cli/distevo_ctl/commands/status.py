"""`distevo-ctl status`: the cluster, its members and its runs, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from distevo_ctl.client import Client
from distevo_ctl.screen import STATE_STYLES, console, count, duration, fitness, plain, print_json, short, show, table
from distevo_ctl.target import target_options

RUN_COLUMNS = (
    "RUN…", "PROBLEM…", "STATE", "TASKS>", "FIT>", "SOLVED>", "EVALUATIONS>", "PER S>", "LEFT>"
)  # fmt: skip

MEMBER_COLUMNS = (
    "PLATFORM…", "KIND", "STATE", "PATH", "HEARD>", "WORKERS>", "ISLANDS>", "CHECKPOINT>", "REPLACED WORKERS…"
)  # fmt: skip
HEARD = MEMBER_COLUMNS.index("HEARD>")
WIDE_ENOUGH = 100
"""Columns of a screen that has room for HEARD."""
MEMBER_STYLES = {"alive": "green", "suspect": "yellow", "dead": "red", "left": "dim"}

ISLAND_COLUMNS = (
    "ISLAND…", "GENERATION>", "EVALUATIONS>", "BEST>", "PROGRAMS>", "BEHAVIOURS>", "ENTROPY>", "STATE"
)  # fmt: skip
EDGE_COLUMNS = ("FROM ISLAND TO ISLAND…", "ON", "BATCHES>", "TAKEN>", "KNOWN>", "LAST>")


@click.command()
@click.option(
    "--islands", is_flag=True, help="Show the islands in hand, too, how diverse each is, and what emigrated from them."
)
@target_options
def status(islands: bool, state_dir: Path, as_json: bool) -> None:
    """Show the cluster, its platforms and its runs."""
    with Client(state_dir) as client:
        view = client.ask("status")
        if islands:
            view |= client.ask("islands")
        store = client.daemon["store"]
    if as_json:
        print_json(view)
        return
    out = console()
    show(out, _cluster(view, store), "", members_table(view, out.width))
    if view["runs"]:
        show(out, "", *runs_tables(view["runs"], out.width))
    else:
        show(out, "\nno runs; distevo-ctl submit --problem grids --tasks training:0-39")
    if islands:
        show(out, "", _islands_table(view["islands"], out.width))
        if view["migrations"]:
            show(out, "", _migrations_table(view["migrations"], out.width))


def members_table(view: dict[str, Any], width: int) -> Any:
    """The members of a status as a table; a star marks the coordinator."""
    from rich.text import Text

    rows = []
    for member in view["members"]:
        # What only the platform itself can know is null for the others.
        causes = member["workers_replaced"] or {}
        replaced = ", ".join(f"{number} {cause}" for cause, number in causes.items())
        age, heard = member["checkpoint_age_s"], member["last_heard_s"]
        mark = " *" if member["id"] == view["cluster"]["coordinator"] else ""
        rows.append(
            (
                plain(member["id"]) + mark,
                member["kind"],
                Text(member["state"], MEMBER_STYLES[member["state"]]),
                plain(member["path"]),
                "-" if heard is None or member["path"] == "self" else f"{duration(heard)} ago",
                str(member["workers"]),
                str(member["islands"]),
                "-" if age is None else f"{duration(age)} ago",
                replaced or "-",
            )
        )
    if len(rows) == 1 or width < WIDE_ENOUGH:
        return table(_without_heard(MEMBER_COLUMNS), map(_without_heard, rows), width)
    return table(MEMBER_COLUMNS, rows, width)


def _without_heard(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row[:HEARD] + row[HEARD + 1 :]


def runs_tables(runs: list[dict[str, Any]], width: int) -> list[Any]:
    """The runs of a status as a table, and what is to be said about some of them."""
    from rich.text import Text

    rows = [
        (
            run["id"],
            plain(run["problem"]),
            Text(run["state"], STATE_STYLES[run["state"]]),
            f"{run['tasks_done']}/{run['tasks_total']}",
            str(run["fit"]),
            str(run["solved"]),
            count(run["evaluations"]),
            short(run["evaluations_per_s"]),
            duration(run["eta_s"]),
        )
        for run in runs
    ]
    notes = [Text(f"{run['id']}: {plain(run['note'])}", "yellow") for run in runs if run["note"]]
    return [table(RUN_COLUMNS, rows, width), *notes]


def _islands_table(islands: list[dict[str, Any]], width: int) -> Any:
    rows = [
        (
            f"{island['run']} {plain(island['task'])} {island['island']}",
            count(island["generation"]),
            count(island["evaluations"]),
            fitness(island["best_fitness"]),
            count(island["programs"]),
            count(island["behaviours"]),
            f"{island['entropy']:.2f} bit",
            "resting" if island["is_resting"] else "evolving",
        )
        for island in islands
    ]
    return table(ISLAND_COLUMNS, rows, width)


def _migrations_table(migrations: list[dict[str, Any]], width: int) -> Any:
    rows = [
        (
            f"{edge['run']} {plain(edge['task'])} {edge['source']} to {edge['target']}",
            plain(edge["owner"].rpartition("-")[0]) or "-",
            count(edge["sent"]),
            count(edge["accepted"]),
            count(edge["known"]),
            "-" if edge["last_s"] is None else f"{duration(edge['last_s'])} ago",
        )
        for edge in migrations
    ]
    return table(EDGE_COLUMNS, rows, width)


def _cluster(view: dict[str, Any], store: str) -> Any:
    from rich.text import Text

    cluster = view["cluster"]
    if cluster["id"] is None:
        return Text(f"no cluster yet\nstore   {store}")
    coordinator = cluster["coordinator"] or "none yet"
    made = Text.assemble(
        "cluster ", (cluster["id"], "bold"), f"  epoch {cluster['epoch']}  coordinator ", (coordinator, "bold")
    )
    return made.append(f"\nstore   {store}")
