"""`distevo-ctl results`: what a run found, as a table, and each program drawn at work."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distevo_ctl.asking import connect, store_option
from distevo_ctl.budgets import per_hour
from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.screen import STATE_STYLES, console, count, duration, fitness, known, plain, print_json, show, table
from distevo_ctl.target import target_options

if TYPE_CHECKING:
    from rich.text import Text

    from distevo_ctl.offline import Offline

MOST_COMPLAINTS = 5
"""That are shown below a table."""
SUGGESTED = 5
"""Ids of tasks that are named to somebody who named none of them."""
COLUMNS = ("TASK…", "STATE", "FIT", "SOLVED", "FITNESS>", "EVALUATIONS>", "WALL>", "PROGRAM…")


@click.command()
@click.argument("run")
@click.option("--task", metavar="ID", help="Only this task: its program, and what it does, drawn.")
@click.option("--svg", metavar="FOLDER", type=click.Path(path_type=Path), help="Write a picture of each task there.")
@store_option
@target_options
def results(run: str, task: str | None, svg: Path | None, store: str | None, state_dir: Path, as_json: bool) -> None:
    """Show what a run found, and what its programs do.

    Of tasks in hand (working) that is the best so far; open ones wait for a worker, or for their next budget.

    Fit: right on all that evolution saw. Solved: right on what it never saw, too; - where nothing is hidden.
    WALL is the time from a task's first generation to its result, pauses and restarts not counted, on all its islands
    at once; its budget is in CPU seconds or evaluations.
    """
    with connect(state_dir, store) as client:
        answer = _asked(client, run, task)
        written = _write_pictures(client, run, answer, svg) if svg is not None else []
    if as_json:
        print_json(answer)
    elif task is not None:
        show_task(answer)
    else:
        _show_run(answer)
    if svg is not None and not as_json:
        click.echo(f"{len(written)} pictures in {svg}")


def _asked(client: Client | Offline, run: str, task: str | None) -> dict[str, Any]:
    """The results; of a run or task that is not there, the error says which one may be meant."""
    try:
        return client.ask("results", run=run, task=task)
    except CliError as error:
        if error.code is ExitCode.NOT_FOUND:
            error.hint = _hint(client, run)
        raise


def _hint(client: Client | Offline, run: str) -> str | None:
    names = [view["id"] for view in client.ask("status")["runs"]]
    if run not in names:
        near = get_close_matches(run, names, 1)
        return f"did you mean {near[0]!r}?" if near else None
    ids = [plain(entry["id"]) for entry in client.ask("results", run=run)["tasks"]]
    return f"its tasks are: {', '.join(ids[:SUGGESTED])}{', …' if len(ids) > SUGGESTED else ''}"


def show_task(answer: dict[str, Any]) -> None:
    """One task: what is known of it, its program, and the program's panels."""
    from rich.text import Text

    from distevo.errors import ProblemError
    from distevo_ctl.draw import draw
    from distevo_ctl.panels import panels_of

    out = console()
    entry = answer["tasks"][0]
    head = Text.assemble(
        (plain(entry["id"]), "bold"), f"  {answer['run']['id']}  ", _state(entry),
        "  fit ", _mark(entry["fit"]), "  solved ", _mark(entry["solved"]),
        f"  fitness {fitness(entry['fitness'])}  {count(entry['evaluations'])} evaluations  "
        f"{duration(entry['seconds'])}",
    )  # fmt: skip
    show(out, head)
    if entry["error"]:
        show(out, Text(plain(entry["error"]), "red"))
    if entry["program"] is None:
        show(out, "no valid program yet")
        return
    show(out, Text.assemble("program  ", (plain(entry["program"]), "cyan")))
    if origin := entry.get("origin"):
        made = f"island {origin['island']}, generation {count(origin['generation'])}"
        show(out, Text.assemble("made on  ", plain(origin["platform"]), f", {made}"))
    try:
        rows = panels_of(answer)
    except ProblemError as error:
        show(out, Text(f"cannot be drawn here: {plain(str(error))}", "yellow"))
        return
    if rows:
        out.print()
        draw(out, rows)


def _show_run(answer: dict[str, Any]) -> None:
    from rich.text import Text

    out = console()
    run, tasks = answer["run"], answer["tasks"]
    if len(tasks) == 1 and tasks[0]["error"] == run["note"]:
        tasks = [tasks[0] | {"error": None}]  # A run that failed says what its only task says.
    rows = [
        (
            plain(entry["id"]),
            _state(entry),
            _mark(entry["fit"]),
            _mark(entry["solved"]),
            fitness(entry["fitness"]),
            count(entry["evaluations"]),
            duration(entry["seconds"]),
            _found(entry),
        )
        for entry in tasks
    ]
    total = (
        f"\n{run['id']} is {run['state']}: {run['tasks_done']} of {run['tasks_total']} tasks done, {run['fit']} fit, "
        f"{known(run['solved'])} solved, {run['tasks_failed']} failed, {per_hour(run)}; "
        f"{count(run['evaluations'])} evaluations, "
        f"{count(run['duplicates_avoided'])} repeats avoided"
    )
    show(out, table(COLUMNS, rows, out.width), total)
    complaints = [f"{entry['id']}: {entry['error']}" for entry in tasks if entry["error"] and entry["program"]]
    # The note may be the first of them.
    if run["note"] and run["note"] not in complaints[:MOST_COMPLAINTS]:
        show(out, Text(plain(run["note"]), "yellow"))
    for complaint in complaints[:MOST_COMPLAINTS]:
        show(out, Text(plain(complaint), "yellow"))
    if len(complaints) > MOST_COMPLAINTS:
        show(out, Text(f"and {len(complaints) - MOST_COMPLAINTS} more; --task ID shows each", "yellow"))


def _found(entry: dict[str, Any]) -> str | Text:
    """The program of a task, or why it has none."""
    from rich.text import Text

    if entry["error"] and not entry["program"]:
        return Text(plain(entry["error"]), "red")
    return plain(entry["program"] or "-")


def _write_pictures(client: Client | Offline, run: str, answer: dict[str, Any], folder: Path) -> list[Path]:
    """One SVG for each task that has a program and panels; returns their paths."""
    from distevo.names import quote
    from distevo_ctl.panels import panels_of
    from distevo_ctl.svg import picture

    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in answer["tasks"]:
            if entry["program"] is None:
                continue
            one = answer if "data" in answer else client.ask("results", run=run, task=entry["id"])
            # What was in hand has gone on since, or is in hand elsewhere, where its program is: all is told of this.
            drawn = one["tasks"][0]
            if drawn["program"] is None:
                continue
            rows = panels_of(one)
            if not rows:
                raise CliError(ExitCode.REFUSED, f"{answer['run']['problem']} has no pictures that can be drawn here")
            told = "solved" if drawn["solved"] else "fit" if drawn["fit"] else "not fit"
            path = folder / f"{quote(entry['id'])}.svg"
            path.write_text(picture(f"{entry['id']}: {told}", drawn["program"], rows), encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise CliError(ExitCode.REFUSED, f"cannot write pictures into {folder}: {error.strerror}") from error
    return written


def _state(entry: dict[str, Any]) -> Text:
    from rich.text import Text

    return Text(entry["state"], STATE_STYLES.get(entry["state"], ""))


def _mark(value: bool | None) -> Text:
    from rich.text import Text

    return Text("-") if value is None else Text("yes", "green") if value else Text("no", "dim")
