"""`distevo-ctl checkpoints`: what the store holds to go on from, and whether it is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.screen import console, count, plain, print_json, show, table
from distevo_ctl.target import target_options

NEWER = "CheckpointVersionError"


@click.group()
def checkpoints() -> None:
    """Look at the checkpoints in the store."""


@checkpoints.command("list")
@target_options
def list_(state_dir: Path, as_json: bool) -> None:
    """List the checkpoints."""
    found = _ask(state_dir, verify=False)
    if as_json:
        print_json({"checkpoints": found})
    else:
        _show(found)


@checkpoints.command()
@target_options
def verify(state_dir: Path, as_json: bool) -> None:
    """Read each checkpoint, check its digest and all its content, and show the islands in it."""
    found = _ask(state_dir, verify=True)
    if as_json:
        print_json({"checkpoints": found})
    else:
        _show(found)
        _show_contents(found)
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


def _ask(state_dir: Path, verify: bool) -> list[dict[str, Any]]:
    with Client(state_dir) as client:
        found: list[dict[str, Any]] = client.ask("checkpoints", verify=verify)["checkpoints"]
    return found


def _show(found: list[dict[str, Any]]) -> None:
    if not found:
        click.echo("no checkpoints: nothing is in hand")
        return
    from rich.text import Text

    rows = [
        (
            entry["name"],
            count(entry["bytes"]),
            str(entry.get("sequence", "-")),
            str(entry.get("islands", "-")),
            Text("sound", "green") if entry["ok"] else Text(plain(entry["error"]), "bold red"),
        )
        for entry in found
    ]
    out = console()
    show(out, table(("CHECKPOINT", "BYTES>", "SEQUENCE>", "ISLANDS>", "STATE…"), rows, out.width))


def _show_contents(found: list[dict[str, Any]]) -> None:
    rows = [
        (
            plain(island["run"]),
            plain(island["task"]),
            str(island["island"]),
            str(island["grant"]),
            count(island["generation"]),
            count(island["evaluations"]),
            entry["name"].rpartition("/")[2],
        )
        for entry in found
        if entry["ok"]
        for island in entry["contents"]
    ]
    if rows:
        columns = ("RUN…", "TASK…", "ISLAND>", "GRANT>", "GENERATION>", "EVALUATIONS>", "IN")
        out = console()
        show(out, "", table(columns, rows, out.width))
