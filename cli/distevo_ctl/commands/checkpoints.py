"""`distevo-ctl checkpoints`: what the store holds to go on from, whether it is sound, and what of it may go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from distevo_ctl.asking import connect, store_option
from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.screen import console, count, plain, print_json, show, table
from distevo_ctl.target import target_options

NEWER = "CheckpointVersionError"

Entry = dict[str, Any]


@click.group()
def checkpoints() -> None:
    """Look at the checkpoints in the store, and clear away those that nobody needs."""


@checkpoints.command("list")
@store_option
@target_options
def list_(state_dir: Path, as_json: bool, store: str | None) -> None:
    """List the checkpoints."""
    found = _ask(state_dir, store, verify=False)
    if as_json:
        print_json({"checkpoints": found})
        return
    if _is_any(found):
        rows = [[*_figures(entry), _state(entry)] for entry in found]
        _show(("CHECKPOINT", "BYTES>", "NUMBER>", "ISLANDS>", "STATE…"), rows)
    _warn(found)


@checkpoints.command()
@store_option
@target_options
def verify(state_dir: Path, as_json: bool, store: str | None) -> None:
    """Read each checkpoint, check its digest and all its content, and show what is in it."""
    found = _ask(state_dir, store, verify=True)
    if as_json:
        print_json({"checkpoints": found})
    elif _is_any(found):
        rows = [[*_figures(entry), _state(entry)] for entry in found]
        _show(("CHECKPOINT", "BYTES>", "NUMBER>", "ISLANDS>", "STATE…"), rows)
        _show_contents([entry for entry in found if entry["ok"]])
    bad = [entry for entry in found if not entry["ok"]]
    damaged = [entry for entry in bad if entry["kind"] != NEWER]
    if damaged:
        raise CliError(
            ExitCode.CORRUPT,
            f"{len(damaged)} of {len(found)} checkpoints are damaged: {', '.join(e['name'] for e in damaged)}",
            "a restart skips them, and goes on from the older ones that are sound",
        )
    if bad:
        raise CliError(ExitCode.REFUSED, f"{len(bad)} of {len(found)} checkpoints are of a newer distevo: upgrade")


@checkpoints.command()
@click.option("--yes", "is_meant", is_flag=True, help="Do it; else it is only shown what would go.")
@click.option("--store", metavar="URL", help="Ask no daemon: prune this store (a folder, or gs://BUCKET/PREFIX).")
@target_options
def prune(state_dir: Path, as_json: bool, store: str | None, is_meant: bool) -> None:
    """Show which checkpoints nobody needs any more, and why the others stay; with --yes, delete them.

    A checkpoint goes when the task of each island in it is over, or two later checkpoints of the island's owner hold
    all that it holds. Daemons delete theirs by the same rule; what is left to do here is what a cluster left that
    ended. Damaged ones stay, for somebody to look at.
    """
    found = _prune(state_dir, store, is_meant)
    gone = [entry for entry in found if entry["goes"]]
    if as_json:
        print_json({"is_done": is_meant, "checkpoints": found})
        return
    if _is_any(found):
        columns = ("CHECKPOINT", "BYTES>", "NUMBER>", "ISLANDS>", "", "WHY…")
        goes = "gone" if is_meant else "goes"
        rows = [[*_figures(entry), goes if entry["goes"] else "stays", _why(entry)] for entry in found]
        _show(columns, rows)
        what = f"{len(gone)} of {len(found)} checkpoints, {count(sum(entry['bytes'] for entry in gone))} bytes"
        if is_meant:
            click.echo(f"\ndeleted {what}")
        else:
            click.echo(f"\nwould delete {what}{': to do it, repeat it with --yes' if gone else ''}")
    _warn(found)


def _ask(state_dir: Path, store: str | None, verify: bool) -> list[Entry]:
    with connect(state_dir, store) as asked:
        found: list[Entry] = asked.ask("checkpoints", verify=verify)["checkpoints"]
    return found


def _prune(state_dir: Path, store: str | None, is_meant: bool) -> list[Entry]:
    if store is None:
        with Client(state_dir) as client:
            found: list[Entry] = client.ask("prune", is_meant=is_meant)["checkpoints"]
        return found
    from distevo_ctl.offline import open_reader
    from distevod import stock
    from distevod.store import open_store

    reader = open_reader(store)
    return stock.prune(reader, open_store(store).delete if is_meant else None)


# --- what is printed -----------------------------------------------------------------------------


def _is_any(found: list[Entry]) -> bool:
    if not found:
        click.echo("no checkpoints: no island has ended its first generation, or all tasks are over")
    return bool(found)


def _figures(entry: Entry) -> list[str]:
    return [entry["name"], count(entry["bytes"]), str(entry.get("sequence", "-")), str(entry.get("islands", "-"))]


def _state(entry: Entry) -> Any:
    from rich.text import Text

    return Text("sound", "green") if entry["ok"] else Text(plain(entry["error"]), "bold red")


def _why(entry: Entry) -> Any:
    from rich.text import Text

    return Text(plain(entry["reason"]), "" if entry["ok"] else "bold red")


def _warn(found: list[Entry]) -> None:
    damaged = [entry["name"] for entry in found if not entry["ok"] and entry["kind"] != NEWER]
    if damaged:
        lead = click.style("warning:", fg="yellow", bold=True)
        click.echo(f"{lead} {len(damaged)} of {len(found)} checkpoints are damaged: {', '.join(damaged)}", err=True)


def _show_contents(sound: list[Entry]) -> None:
    rows = [
        [
            plain(island["run"]),
            plain(island["task"]),
            str(island["island"]),
            str(island["grant"]),
            count(island["generation"]),
            count(island["evaluations"]),
            _in(entry),
        ]
        for entry in sound
        for island in entry["contents"]
    ]
    if rows:
        click.echo()
        _show(("RUN…", "TASK…", "ISLAND>", "GRANT>", "GENERATION>", "EVALUATIONS>", "IN"), rows)
    used = [[_in(entry), plain(_used(entry["resource_usage"]))] for entry in sound if entry["resource_usage"]]
    if used:
        click.echo()
        _show(("IN", "WHAT THE PLATFORM USED…"), used)


def _in(entry: Entry) -> str:
    return str(entry["name"].partition("/")[2])


def _used(usage: dict[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in usage.items())


def _show(columns: Sequence[str], rows: list[list[Any]]) -> None:
    out = console()
    show(out, table(columns, rows, out.width))
