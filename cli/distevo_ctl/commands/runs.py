"""`distevo-ctl runs`, and what is done to one: cancel, pause, resume, extend, priority, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from distevo_ctl.asking import connect, store_option
from distevo_ctl.budgets import check_budget
from distevo_ctl.client import Client
from distevo_ctl.commands.status import runs_tables
from distevo_ctl.commands.submit import AT_LEAST_ONE, PRIORITY
from distevo_ctl.screen import console, print_json, show
from distevo_ctl.target import target_options


@click.command()
@store_option
@target_options
def runs(store: str | None, state_dir: Path, as_json: bool) -> None:
    """List the runs."""
    with connect(state_dir, store) as asked:
        view = asked.ask("status")
    found = view["runs"]
    if store is not None:
        from distevo_ctl.offline import check_readable

        check_readable(view)
    if as_json:
        print_json({"runs": found})
    elif found:
        out = console()
        show(out, *runs_tables(found, out.width))
    elif store is not None:
        click.echo("no runs")
    else:
        click.echo("no runs; distevo-ctl submit --problem grids --tasks training:0-39")


@click.command()
@click.argument("run")
@target_options
def cancel(run: str, state_dir: Path, as_json: bool) -> None:
    """End a run now; its best so far are its results.

    `extend` takes it up again.
    """
    _command(state_dir, as_json, "cancel", run)


@click.command()
@click.argument("run")
@target_options
def pause(run: str, state_dir: Path, as_json: bool) -> None:
    """Let a run rest, its islands as they are."""
    _command(state_dir, as_json, "pause", run)


@click.command()
@click.argument("run")
@target_options
def resume(run: str, state_dir: Path, as_json: bool) -> None:
    """Go on with a run that was paused."""
    _command(state_dir, as_json, "resume", run)


@click.command()
@click.argument("run")
@click.option("--cpu-seconds", type=float, metavar="S", help="The new budget of each task, not what is added to it.")
@click.option("--evaluations", type=AT_LEAST_ONE, metavar="N", help="Or that, in evaluations.")
@target_options
def extend(run: str, cpu_seconds: float | None, evaluations: int | None, state_dir: Path, as_json: bool) -> None:
    """Raise a run's budget; its unfit tasks go on from there."""
    check_budget(cpu_seconds, evaluations)
    if cpu_seconds is None and evaluations is None:
        raise click.UsageError("give the new budget: --cpu-seconds or --evaluations")
    _command(state_dir, as_json, "extend", run, cpu_seconds=cpu_seconds, evaluations=evaluations)


# So that a negative number is no option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("run")
@click.argument("n", type=PRIORITY)
@target_options
def priority(run: str, n: int, state_dir: Path, as_json: bool) -> None:
    """Let a run wait behind others, or go before them.

    N is -1000 to 1000, and runs have 0 unless `submit` said otherwise; of all tasks that wait, those of the run with
    the highest go first. What is begun goes on.
    """
    _command(state_dir, as_json, "priority", run, priority=n)


@click.command()
@click.argument("run")
@target_options
def delete(run: str, state_dir: Path, as_json: bool) -> None:
    """Forget a run that is over, and its results."""
    _command(state_dir, as_json, "delete", run)


def _command(state_dir: Path, as_json: bool, verb: str, run: str, **fields: Any) -> None:
    with Client(state_dir) as client:
        answer = client.ask("command", verb=verb, run=run, **fields)
    if as_json:
        print_json(answer)
    else:
        priority = f", priority {fields['priority']}" if "priority" in fields else ""
        click.echo(f"{click.style(answer['run'], bold=True)}: {answer['state']}{priority}")
