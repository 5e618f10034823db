"""`distevo-ctl benchmark`: does one more platform bring one more platform's worth, and what does it cost."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.number import Number
from distevo_ctl.target import JSON_HELP
from distevod.paths import resolved

if TYPE_CHECKING:
    from distevo_ctl.benchmark.isolation import Isolation
    from distevo_ctl.benchmark.measurement import Setup

MOST_PLATFORMS = 64

HELP = """Measure what several platforms do in the time of one, on this machine.

Real daemons of a fixed size do the work of TASKS.json: one of them, then as many as --platforms says, in turn and
--repeats times. Each is in a network namespace of its own with a part of the CPU, where this machine allows it (root,
iproute2, cgroups); else they are processes bound to a core each, which is said. After its steady state the largest
cluster loses a platform by SIGKILL.

OUTPUT.json gets an entry for each count of platforms and a verdict: good with 2.5 times as much done by three platforms
as by one (poor below 2; for other counts in proportion), checkpoints that take less than 20 % of the time (poor above
30), merges that take less than 10 % (15), and a lost platform's islands elsewhere within 60 s; then OUTPUT.svg, the
scaling curve; with --profile, the folder OUTPUT.profile a cProfile of every daemon and worker, of a cluster that is not
measured. In a bucket one small object is left of each cluster; nothing else stays.


TASKS.json is task data by id, as submit takes it, or
  {"problem": "grids", "tasks": "training:0-39",
   "islands_per_task": 2, "evaluations": 10000}
where "tasks" may be a list of ids or task data by id, too. All but the tasks
may be left out. They are worked on in turn, again and again.

\b
  distevo-ctl benchmark tests/performance/data/distributed_test_tasks.json benchmark.json
  distevo-ctl benchmark TASKS.json OUTPUT.json --platforms 1,3,8 --repeats 5
  distevo-ctl benchmark TASKS.json OUTPUT.json --problem problem.py:Problem --cpu-seconds 2"""


class _Counts(click.ParamType[list[int]]):
    """Counts of platforms, with commas between."""

    name = "counts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            counts = [int(word) for word in value.split(",")]
        except ValueError:
            counts = []
        if not counts or not all(1 <= count <= MOST_PLATFORMS for count in counts):
            self.fail(f"{value!r} is not a list like 1,3,8 of counts from 1 to {MOST_PLATFORMS}", param, ctx)
        return sorted({1, *counts})


@click.command("benchmark", help=HELP, short_help="Measure what several platforms do in the time of one.")
@click.argument("tasks", metavar="TASKS.json", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUTPUT.json", type=click.Path(path_type=Path))
@click.option(
    "--platforms", "counts", type=_Counts(), default="1,3", show_default=True, metavar="N,N",
    help="Counts of platforms; 1, to which others are compared, is always among them.",
)  # fmt: skip
@click.option(
    "--seconds", type=Number(0.5, 86_400), default=120.0, show_default=True, metavar="N",
    help="Steady state of each measurement.",
)  # fmt: skip
@click.option(
    "--warm-up", type=Number(0, 3600), default=15.0, show_default=True, metavar="N",
    help="Seconds of work before it, which are not counted.",
)  # fmt: skip
@click.option("--repeats", type=click.IntRange(1, 1000), default=3, show_default=True, metavar="N", help="How often.")
@click.option("--problem", metavar="PROBLEM", help="As for submit; else what the file says, else grids.")
@click.option("--islands-per-task", type=click.IntRange(min=1), metavar="N", help="Else as the file says, else 2.")
@click.option(
    "--evaluations", type=click.IntRange(min=1), metavar="N",
    help="Budget of each task; else as the file says, else 10000.",
)  # fmt: skip
@click.option("--cpu-seconds", type=Number(min=0.001), metavar="N", help="The same in CPU time.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N", help="Of a platform.")
@click.option(
    "--cpus", type=Number(0.05, 1024), metavar="N",
    help="Cores of each platform; else as much as lets the most platforms fit on this machine, and 1 at most.",
)  # fmt: skip
@click.option(
    "--isolation", "wanted", type=click.Choice(["best", "namespaces", "processes"]), default="best", show_default=True,
    help="Network namespaces and CPU quotas, processes bound to a core, or the best of it that is possible.",
)  # fmt: skip
@click.option("--store", metavar="URL", help="Folder or gs:// address below which each cluster has its store.")
@click.option("--profile", "with_profile", is_flag=True, help="Profile one more cluster of the largest count.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
def benchmark(tasks: Path, output: Path, counts: list[int], repeats: int, as_json: bool, **given: Any) -> None:
    import orjson

    from distevo_ctl.benchmark.curve import curve
    from distevo_ctl.benchmark.document import document, write_text
    from distevo_ctl.benchmark.measurement import Setup, profile
    from distevo_ctl.benchmark.series import Series
    from distevo_ctl.benchmark.shown import progress, show
    from distevo_ctl.benchmark.work import read_work
    from distevo_ctl.interrupts import Interrupts
    from distevo_ctl.screen import console, print_json

    as_json = as_json or bool(click.get_current_context().find_root().params.get("as_json"))
    picture, profiles = _other_outputs(output, tasks, given["with_profile"])
    above_file = ("problem", "islands_per_task", "evaluations", "cpu_seconds")
    work = read_work(tasks, {name: given[name] for name in above_file})
    isolation = _isolation(given["wanted"], counts[-1], given["cpus"], given["store"])
    series = Series(counts)
    unprofiled: BaseException | None = None
    with Interrupts() as interrupts, tempfile.TemporaryDirectory(prefix="distevo-benchmark-") as folder:
        setup = Setup(
            work=work,
            isolation=isolation,
            workers=given["workers"],
            seconds=given["seconds"],
            warm_up=given["warm_up"],
            store=given["store"],
            folder=Path(folder),
            hold=interrupts.hold,
        )
        with progress(as_json) as say, interrupts.let_in():
            say(f"{isolation.told()}; {_minutes(setup, counts, repeats)}")
            with _kept_apart():
                series.run(setup, repeats, say)
            if profiles is not None:
                try:
                    with _kept_apart():
                        profile(setup, counts[-1], lambda what: say(f"profile: {what}"), profiles)
                except (CliError, KeyboardInterrupt) as error:
                    unprofiled = error  # What took minutes does not depend on it.
    found = document(setup, series, repeats)
    texts = {
        output: orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode(),
        picture: curve(series, f"{work.problem}; {isolation.told()}"),
    }
    written = [] if profiles is None or unprofiled is not None else [profiles]
    try:
        for path, text in texts.items():
            write_text(path, text)
            written.append(path)
    except OSError as error:
        raise CliError(ExitCode.REFUSED, f"{path} cannot be written: {error.strerror}") from error
    finally:
        # What took minutes is shown whatever becomes of the files.
        if as_json:
            print_json(found)
        else:
            out = console()
            out.print(isolation.told(), style="dim")
            show(out, found, [str(path) for path in written])
    if unprofiled is not None:
        raise unprofiled


@contextlib.contextmanager
def _kept_apart() -> Iterator[None]:
    """Platforms are started, asked and ended in here. Raises CliError."""
    from distevo_ctl.hosts.tools import ToolError

    try:
        yield
    except (OSError, ToolError) as error:
        raise CliError(ExitCode.REFUSED, f"the platforms cannot be kept apart or looked at: {error}") from error


def _other_outputs(output: Path, tasks: Path, with_profile: bool) -> tuple[Path, Path | None]:
    """Beside OUTPUT the file of the curve and, if there is to be one, the folder of profiles.

    Raises CliError where one of the three cannot be written, before anything that takes minutes.
    """
    _refuse_unwritable(output, tasks)
    picture, profiles = output.with_suffix(".svg"), output.with_suffix(".profile") if with_profile else None
    for path, what in ((picture, "the curve goes"), (profiles, "the profiles go")):
        if path == output:
            raise CliError(ExitCode.USAGE, f"{output} is where {what}", "give OUTPUT another ending, as .json")
    _refuse_unwritable(picture, tasks)
    if profiles is not None:
        _refuse_unwritable(profiles, tasks, Path.is_dir)
    return picture, profiles


def _refuse_unwritable(path: Path, tasks: Path, is_kind: Callable[[Path], bool] = Path.is_file) -> None:
    is_other = path.exists() and not is_kind(path)
    if is_other or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise CliError(ExitCode.REFUSED, f"{path} cannot be written", "name a file in a folder that is there")
    try:
        is_itself = resolved(path) == resolved(tasks)
    except OSError as error:
        raise CliError(ExitCode.REFUSED, f"{error.filename} cannot be used: {error.strerror}") from error
    if is_itself:
        raise CliError(ExitCode.USAGE, f"{path} is written, and is TASKS.json itself", "give OUTPUT another name")


def _isolation(wanted: str, largest: int, cpus: float | None, store: str | None) -> Isolation:
    """Raises CliError where what is wanted cannot be had, StoreError for a store that is none."""
    from distevo_ctl.benchmark.isolation import choose
    from distevod.store import folder_of

    is_far = store is not None and folder_of(store) is None
    found = choose(
        largest,
        cpus,
        forbidden="as asked for" if wanted == "processes" else "",
        no_namespaces="a bucket is out of reach in a namespace of its own" if is_far else "",
    )
    if wanted == "namespaces" and not found.has_namespaces:
        hint = "--isolation best takes what is possible"
        raise CliError(ExitCode.REFUSED, f"no network namespaces: {'; '.join(found.reasons)}", hint)
    if not found.has_quota and cpus is not None:
        raise CliError(ExitCode.REFUSED, f"--cpus has no effect: {'; '.join(found.reasons)}")
    return found


def _minutes(setup: Setup, counts: list[int], repeats: int) -> str:
    """How long it will take, about."""
    from distevo_ctl.benchmark.bare import SECONDS
    from distevo_ctl.screen import duration

    start = 10.0 + SECONDS
    return f"about {duration(repeats * len(counts) * (setup.seconds + setup.warm_up + start))}"
