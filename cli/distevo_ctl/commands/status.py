"""`distevo-ctl status`: the cluster, its members and its runs, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distevo_ctl.asking import connect, store_option
from distevo_ctl.budgets import on_rungs, speed
from distevo_ctl.members_table import members_table
from distevo_ctl.migration_table import migration_tables
from distevo_ctl.number import Number
from distevo_ctl.screen import (
    STATE_STYLES,
    Column,
    console,
    count,
    duration,
    fitness,
    fitting,
    known,
    plain,
    print_json,
    short,
    show,
)
from distevo_ctl.target import target_options
from distevo_ctl.wait import OVER

if TYPE_CHECKING:
    from rich.console import Console

RUNS_OVER = 5
"""So many runs that are over are shown."""
ISLAND_STATES = {True: "resting", False: "evolving", None: "-"}


@click.command()
@click.option("--islands", is_flag=True, help="Show the islands, too, and how diverse each is.")
@click.option("--edges", is_flag=True, help="Show all edges of migration; else a few, those that need a look first.")
@store_option
@click.option(
    "--lease-seconds", type=Number(0, 3600), metavar="S",
    help="With --store: watch the lease for so long at most. [until a holder that is well has renewed it]",
)  # fmt: skip
@target_options
def status(
    islands: bool, edges: bool, store: str | None, lease_seconds: float | None, state_dir: Path, as_json: bool
) -> None:
    """Show the cluster, its platforms, its runs, and migration.

    A star marks the coordinator. ISLANDS are those in work, QUEUE those that wait their turn, also behind another task
    that their worker ends first, or while their run is paused; - is what nobody knows here, as of a platform whose
    first heartbeat has not come yet.
    What others do is as old as their last heartbeat. EVALUATIONS are at least so many (≥) while islands that others
    began wait their turn, or a platform that has islands was not heard yet. TASKS/H is what the one that is asked has
    seen of a run. SAVED is the age of its last checkpoint; --store shows those of all. An edge of migration is
    unanswered when programs were sent and nothing was ever acknowledged, late when the last acknowledgement is much
    older than those of other edges. An island rests when its share of the budget is used up and others of its task go
    on; so does an edge from or to it.

    With --store it is what lies in the store that is shown, and - for what only a daemon can know. Whether somebody
    coordinates shows only when the lease is renewed, so this may take some seconds.
    """
    view, where = _asked(state_dir, store, lease_seconds, islands)
    if as_json:
        print_json(view)
    else:
        show_status(console(), view, where, islands=islands, edges=edges)
    if store is not None:
        from distevo_ctl.offline import check_readable

        check_readable(view)


def _asked(
    state_dir: Path, store: str | None, lease_seconds: float | None, islands: bool
) -> tuple[dict[str, Any], str]:
    """The view, and the store's URL."""
    if store is None and lease_seconds is not None:
        raise click.UsageError("--lease-seconds goes with --store")
    with connect(state_dir, store) as asked:
        if store is not None:
            _watch_lease(asked, lease_seconds)
        view = asked.ask("status")
        if islands:
            view |= asked.ask("islands", everywhere=True)
        return view, asked.daemon["store"]


def _watch_lease(asked: Any, seconds: float | None) -> None:
    out = console(stderr=True)
    if not out.is_terminal:
        asked.watch_lease(seconds)
        return
    with out.status("watching the lease"):
        asked.watch_lease(seconds)


def show_status(out: Console, view: dict[str, Any], store: str, *, islands: bool, edges: bool) -> None:
    """Print a status; `islands`: the islands that it has, too; `edges`: all edges of migration."""
    show(out, *_cluster(view, store))
    if view["members"]:
        show(out, "", *members_table(view, out.width))
    if view["runs"]:
        runs = _latest(view["runs"])
        show(out, "", *runs_tables(runs, out.width))
        if hidden := len(view["runs"]) - len(runs):
            show(out, f"{hidden} earlier ones are over; distevo-ctl runs lists all")
    elif "store" not in view:
        show(out, "\nno runs; distevo-ctl submit --problem grids --tasks training:0-39")
    elif view["cluster"]["id"] is not None:
        show(out, "\nno runs")
    if lines := migration_tables(view, out.width, is_all=edges):
        show(out, "", *lines)
    if "store" in view and view["store"]["checkpoints"]:
        from distevo_ctl.store_lines import checkpoints_table

        show(out, "", checkpoints_table(view["store"]["checkpoints"], out.width))
    if islands:
        show(out, "", _islands_table(view["islands"], out.width))


def _latest(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs without those that are over, but for the latest of these."""
    over = [run["id"] for run in runs if run["state"] in OVER][:-RUNS_OVER]
    return [run for run in runs if run["id"] not in over]


def runs_tables(runs: list[dict[str, Any]], width: int) -> list[Any]:
    """The runs of a status as a table, and what is to be said about some of them."""
    from rich.text import Text

    columns = [
        Column("RUN…", lambda run: run["id"]),
        Column("PROBLEM…", lambda run: plain(run["problem"]), 3),
        Column("STATE", lambda run: Text(run["state"], STATE_STYLES[run["state"]])),
        *([Column("PRIORITY>", lambda run: str(run["priority"]), 4)] if has_priorities(runs) else []),
        Column("TASKS>", lambda run: f"{run['tasks_done']}/{run['tasks_total']}"),
        Column("FIT>", lambda run: str(run["fit"])),
        Column("SOLVED>", lambda run: known(run["solved"])),
        Column("TASKS/H>", speed, 1),
        Column("EVALUATIONS>", lambda run: ("≥ " if run["is_at_least"] else "") + count(run["evaluations"]), 2),
        Column("PER S>", lambda run: short(run["evaluations_per_s"])),
        Column("LEFT>", lambda run: duration(run["eta_s"])),
    ]
    return [fitting(columns, runs, width), *remarks(runs)]


def has_priorities(runs: list[dict[str, Any]]) -> bool:
    """Whether any of the runs that are left has another priority than the usual."""
    return any(run["priority"] for run in runs if run["state"] not in OVER)


def remarks(runs: list[dict[str, Any]]) -> list[Any]:
    """What is to be said about some runs: how far their rising budgets are, and what is the matter with them."""
    from rich.text import Text

    rising = [(run, found) for run in runs if run["state"] not in OVER and (found := on_rungs(run))]
    return [
        *(Text(f"{run['id']}: open tasks {found}", "dim") for run, found in rising),
        *(Text(f"{run['id']}: {plain(run['note'])}", "yellow") for run in runs if run["note"]),
    ]


def _islands_table(islands: list[dict[str, Any]], width: int) -> Any:
    columns = [
        Column("ISLAND…", lambda island: f"{island['run']} {plain(island['task'])} {island['island']}"),
        Column("GENERATION>", lambda island: count(island["generation"])),
        Column("EVALUATIONS>", lambda island: count(island["evaluations"]), 2),
        Column("BEST>", lambda island: fitness(island["best_fitness"])),
        Column("PROGRAMS>", lambda island: known(island["programs"]), 4),
        Column("BEHAVIOURS>", lambda island: known(island["behaviours"]), 3),
        Column("ENTROPY>", lambda island: _bits(island["entropy"])),
        Column("OF FITNESS>", lambda island: _bits(island["fitness_entropy"]), 4),
        Column("STATE", _island_state, 1),
        Column("ON", lambda island: plain(island["owner"].rpartition("-")[0] or "-"), 5),
    ]
    return fitting(columns, islands, width)


def _bits(entropy: float | None) -> str:
    return "-" if entropy is None else f"{entropy:.2f} bit"


def _island_state(island: dict[str, Any]) -> str:
    """Converged: it evolves, and nothing has come of it for long."""
    if island["is_waiting"]:
        return "waiting"
    is_stuck = island["is_converged"] and island["is_resting"] is not True
    return "converged" if is_stuck else ISLAND_STATES[island["is_resting"]]


def _cluster(view: dict[str, Any], store: str) -> list[Any]:
    from rich.text import Text

    cluster = view["cluster"]
    lines = [Text("no cluster yet")]
    if cluster["id"] is not None:
        coordinator = cluster["coordinator"] or "none"
        lines = [
            Text.assemble(
                "cluster ",
                (cluster["id"], "bold"),
                f"  epoch {cluster['epoch']}  coordinator ",
                (plain(coordinator), "bold"),
            )
        ]
    lines.append(Text(f"store   {store}"))
    if "store" not in view:
        return lines
    from distevo_ctl.store_lines import store_lines

    if any(entry["name"] == "cluster" for entry in view["store"]["unreadable"]):
        lines[0] = Text("cluster unknown")
    return [*lines, *store_lines(view["store"])]
