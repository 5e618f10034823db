"""`distevo-ctl submit`: a new run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from distevo_ctl.budgets import MOST_EVALUATIONS, check_budget, rising
from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.files import problem_request, tasks_request
from distevo_ctl.screen import plain, print_json
from distevo_ctl.target import state_dir_option, target_options
from distevo_ctl.wait import progress_line, wait_for_run

AT_LEAST_ONE = click.IntRange(1, MOST_EVALUATIONS)
PRIORITY = click.IntRange(-1000, 1000)
LIMITS = {
    "islands_per_task": 1024,
    "population_size": 100_000,
    "degree": 1024,
    "interval": 1_000_000,
    "size": 1000,
    "restart_after": 1_000_000,
}
"""The most that a run may have: `distevo.run`, whose import no command waits for."""

MIGRATION = {
    "topology": "topology",
    "edges": "edges",
    "degree": "degree",
    "migration_interval": "interval",
    "migration_size": "size",
    "selection": "selection",
    "replacement": "replacement",
}
"""Options of migration, and what they are called in a request."""


class _Submit(click.Command):
    """Its help has migration in a part of its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
        for param in self.get_params(ctx):
            if (row := param.get_help_record(ctx)) is not None:
                rows[param.name in MIGRATION].append(row)
        for title, is_migration in (("Options", False), ("Migration, between the islands of a task", True)):
            with formatter.section(title):
                formatter.write_dl(rows[is_migration])


def _edges(_ctx: click.Context, _param: click.Parameter, text: str | None) -> list[tuple[int, ...]] | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}-\d{1,9}(,\d{1,9}-\d{1,9})*", text, re.ASCII):
        raise click.BadParameter(f"{text!r}: write each edge as SOURCE-TARGET, as in 0-1,1-2,2-0")
    return [tuple(map(int, edge.split("-"))) for edge in text.split(",")]


@click.command(cls=_Submit)
@click.option(
    "--problem",
    required=True,
    metavar="NAME|module:Class|FILE.py:Class",
    help="What to solve: grids, regression, onemax, an installed class, or a file that travels with the run.",
)
@click.option(
    "--tasks",
    metavar="SET|ID,ID|FILE|FOLDER/",
    help="The problem's named tasks (for grids training, evaluation, training:0-39, ids), a JSON, CSV or TSV file, "
    "or a folder of JSON files, each of them one task.",
)
@click.option(
    "--islands-per-task", type=click.IntRange(1, LIMITS["islands_per_task"]), metavar="N",
    help="Islands of each task, on whatever platforms, at most 1024. [1]",
)  # fmt: skip
@click.option(
    "--population-size", type=click.IntRange(2, LIMITS["population_size"]), metavar="N",
    help="Programs that each island keeps, 2 to 100000. [200]",
)  # fmt: skip
@click.option(
    "--cpu-seconds",
    type=float,
    metavar="S",
    help="Budget of each task: CPU time of variation and evaluation, summed over its islands. [10]",
)
@click.option("--evaluations", type=AT_LEAST_ONE, metavar="N", help="Or that: evaluations, summed over its islands.")
@click.option(
    "--budgets", metavar="S,S,S|Nev,Nev", callback=rising,
    help="Or rising budgets, in CPU seconds (0.05,0.5,5) or evaluations (1000ev,10000ev): all tasks have the first, "
    "then those that are not fit go on to the next; no worker waits for the last task to have had one.",
)  # fmt: skip
@click.option(
    "--priority", type=PRIORITY, metavar="N",
    help="Higher goes first: waiting tasks of such runs get free workers before all others, -1000 to 1000. [0]",
)  # fmt: skip
@click.option(
    "--from", "begin_from", metavar="RUN",
    help="Begin with the programs that RUN, of the same problem and store, found for the same tasks.",
)  # fmt: skip
@click.option(
    "--from-others", type=click.IntRange(1, 1000), metavar="N",
    help="With --from: each task also tries the N smallest programs that fit any task of RUN.",
)  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(0, MOST_EVALUATIONS),
    metavar="N",
    help="Makes islands repeatable, but for migration and generations that end by their time. [random]",
)
@click.option(
    "--restart-after", type=click.IntRange(0, LIMITS["restart_after"]), metavar="N",
    help="An island that gets nowhere for so many generations begins anew, and keeps its best; 0 never does. [0]",
)  # fmt: skip
@click.option("--name", metavar="NAME", help="The id of the run; one that exists is refused. [PROBLEM-N]")
@click.option(
    "--topology",
    metavar="NAME",
    help="Whom an island sends to: unconnected, ring (one way), bidirectional_ring, fully_connected, random, "
    "free_form. [ring]",
)
@click.option("--edges", metavar="0-1,1-2", callback=_edges, help="For free_form: the edges, islands counted from 0.")
@click.option(
    "--degree", type=click.IntRange(1, LIMITS["degree"]), metavar="N",
    help="For random: the edges that leave each island. [2]",
)  # fmt: skip
@click.option(
    "--migration-interval", type=click.IntRange(1, LIMITS["interval"]), metavar="N",
    help="Generations between two emigrations, at most a million. [10]",
)  # fmt: skip
@click.option(
    "--migration-size", type=click.IntRange(1, LIMITS["size"]), metavar="N",
    help="Programs that emigrate at a time, at most 1000. [5]",
)  # fmt: skip
@click.option(
    "--selection", metavar="NAME", help="Who emigrates: select_best, select_random, select_tournament. [select_best]"
)
@click.option(
    "--replacement",
    metavar="NAME",
    help="Whom the target takes: fair_replace (at most as many as emigrate), merge (all). [fair_replace]",
)
@click.option("--wait", is_flag=True, help="Wait until it is done, showing its progress; Ctrl-C leaves it running.")
@target_options
def submit(
    problem: str,
    tasks: str | None,
    islands_per_task: int | None,
    population_size: int | None,
    cpu_seconds: float | None,
    evaluations: int | None,
    budgets: dict[str, Any] | None,
    priority: int | None,
    begin_from: str | None,
    from_others: int | None,
    seed: int | None,
    restart_after: int | None,
    name: str | None,
    wait: bool,
    state_dir: Path,
    as_json: bool,
    **migration: Any,
) -> None:
    """Submit a run: a problem, tasks, and a budget for each.

    Everything is checked first, the problem in a process of its own; what is accepted is in the store, and will be
    run. Without --tasks the problem gets one task with empty data.
    """
    check_budget(cpu_seconds, evaluations)
    if budgets is not None and (cpu_seconds is not None or evaluations is not None):
        raise click.UsageError("--budgets says the whole budget, too: give no --cpu-seconds or --evaluations with it")
    _check_degree(migration["degree"], migration["topology"], islands_per_task or 1)
    if from_others is not None and begin_from is None:
        raise click.UsageError("--from-others goes with --from RUN")
    option = state_dir_option(state_dir)
    request = problem_request(problem) | tasks_request(tasks)
    with Client(state_dir) as client:
        try:
            answer = client.ask(
                "submit",
                waiting=_waiting(as_json),
                **request,
                islands_per_task=islands_per_task,
                population_size=population_size,
                **(budgets or {"cpu_seconds": cpu_seconds, "evaluations": evaluations}),
                priority=priority,
                from_others=from_others,
                begin_from=begin_from,
                seed=seed,
                restart_after=restart_after,
                run=name,
                migration={MIGRATION[key]: value for key, value in migration.items() if value is not None},
            )
        except KeyboardInterrupt:
            raise CliError(
                ExitCode.INTERRUPTED,
                "no longer waiting; the daemon may still take the run in",
                f"distevo-ctl runs{option} shows whether it did, distevo-ctl cancel {name or 'RUN'}{option} ends it",
            ) from None
        run = answer["run"]
        if not as_json:
            number = f"{answer['tasks']} task" + ("s" if answer["tasks"] != 1 else "")
            click.echo(f"{click.style(run, bold=True)}: {number} of {answer['problem']}, seed {answer['seed']}")
            if answer["begins_with"]:
                click.echo(f"  begins with {_inherited(answer['begins_with'])}")
            if answer["note"]:
                click.echo(f"  {click.style('waits:', fg='yellow')} {plain(answer['note'])}")
            if "source" in request and _has_others(client):
                told = "only this platform runs it, unless others were started with --allow-problems store"
                click.echo(f"  {click.style('a file:', fg='yellow')} {told}", err=True)
        if not wait:
            if as_json:
                print_json(answer)
            else:
                click.echo(f"  watch it      distevo-ctl watch{option}")
                click.echo(f"  see results   distevo-ctl results {run}{option}")
            return
        view = wait_for_run(client, state_dir, run, quiet=as_json)
    if as_json:
        print_json(view)
    else:
        click.echo(progress_line(view))
    if view["state"] != "done":
        raise CliError(ExitCode.RUN_FAILED, f"{run} is {view['state']}", f"see distevo-ctl results {run}{option}")
    if not as_json:
        click.echo(f"  see results   distevo-ctl results {run}{option}")


def _waiting(is_quiet: bool) -> Callable[[], None]:
    """Says, once, what takes so long."""
    notes = [] if is_quiet else ["the problem is being tried, and each of its tasks made; Ctrl-C waits no longer"]

    def waiting() -> None:
        if notes:
            click.echo(notes.pop(), err=True)

    return waiting


def _inherited(given: dict[str, Any]) -> str:
    """What a run takes over from an earlier one."""
    said = f"{given['programs']:,} programs of {given['tasks']:,} task{'s' * (given['tasks'] != 1)} of {given['run']}"
    said += f", and {given['others']:,} that fit any of its tasks" if given["others"] else ""
    anew = f"; those of {given['anew']:,} changed since or were refuted, and are evaluated anew"
    return said + (anew if given["anew"] else "")


def _has_others(client: Client) -> bool:
    """Whether other platforms could work on a run."""
    return sum(member["state"] in {"alive", "suspect"} for member in client.ask("status")["members"]) > 1


def _check_degree(degree: int | None, topology: str | None, islands: int) -> None:
    """Refuse a degree that says nothing. Raises click.UsageError."""
    if degree is None:
        return
    if topology != "random":
        raise click.UsageError(f"--degree goes with --topology random; {topology or 'ring'} has its own edges")
    if degree >= islands:
        raise click.UsageError(
            f"--degree {degree} needs more than {degree} islands, and --islands-per-task is {islands}: "
            "no edge leads back to its own island"
        )
