"""`distevo-ctl simulate`: try a cluster, with everything that can go wrong with it, before renting it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.target import JSON_HELP

if TYPE_CHECKING:
    from distevo.simulator import Report, Scenario

LIMIT_BYTES = 1 << 20
LINE_SECONDS = 5.0
"""Between two lines of progress where standard error is no terminal."""
SHOWN_FINDINGS = 1
"""Findings of which everything is printed; of the others, the seed and one line."""

EXAMPLE = """\
minutes: 60
members:                                  # server-1, notebook-1, notebook-2, notebook-3
  - {kind: server, workers: 4, latency: 0.02}
  - {kind: notebook, count: 3, workers: 2, is_behind_nat: true, crashes_per_hour: 1, downtime: 120}
runs:
  - {name: demo, tasks: 4, islands_per_task: 3, evaluations: 4000}
faults:                                   # seconds from the start
  - {fault: crash, at: 300, member: coordinator, back_after: 60}
  - {fault: partition, at: 900, seconds: 120, sides: [[server-1], [notebook-1, notebook-2]]}
  - {fault: store_away, at: 1800, seconds: 60}
commands:                                 # of users
  - {verb: drain, at: 2400, member: server-1, back_after: 300}
  - {verb: extend, at: 2700, run: demo, evaluations: 8000}
"""

HELP = f"""Simulate a cluster: the node that ships, in virtual time, with a network and a store that fail.

CONFIG is a YAML file that says which members there are, what they work on and what goes wrong. Without one, each seed
draws a small cluster and faults of its own, and after the last fault the cluster has to heal. Every step is judged: a
lost run, two coordinators or a forgotten island end a simulation as a finding, with what led to it. The same CONFIG
and seed always give the same simulation. The exit code is 1 if there was a finding.

\b
An example:
{chr(10).join("  " + line for line in EXAMPLE.splitlines())}

Other faults: stop, suspend, pause, freeze, slow, cut, reset, undialable, lossy, store_flaky, worker_death, twin.
Other verbs: cancel, pause, resume, delete, priority, revoke, unrevoke. `work` says how long generations take
(generation_seconds), and how many programs are fit (fit) or only seem to be (made_up). `--print` with a seed shows a
scenario in full. The `kind` of members is a name; all that they can do is said beside it."""


@click.command(help=HELP, short_help="Try a cluster in virtual time, with faults.")
@click.argument("config", type=click.Path(path_type=Path), required=False)
@click.option("--seeds", type=click.IntRange(min=1), default=1, metavar="N", help="Simulations, each with a next seed.")
@click.option("--seed", "first", type=click.IntRange(min=0), default=0, metavar="K", help="The first seed; else 0.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, metavar="J", help="Processes that share the seeds.")
@click.option("--trace", "is_traced", is_flag=True, help="Print everything that happened (one seed).")
@click.option("--print", "is_printed", is_flag=True, help="Print the scenario of the seed as YAML, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
def simulate(
    config: Path | None, seeds: int, first: int, jobs: int, is_traced: bool, is_printed: bool, as_json: bool
) -> int:
    as_json = as_json or bool(click.get_current_context().find_root().params.get("as_json"))
    if (is_traced or is_printed) and seeds > 1:
        raise click.UsageError("--trace and --print are about one seed: leave --seeds out")
    scenario = None if config is None else _read(config)
    if is_printed:
        click.echo(_yaml(scenario, first), nl=False)
        return ExitCode.OK
    begun = time.monotonic()
    reports = []
    progress = _Progress(seeds, is_shown=not as_json)
    for report in _simulated(scenario, range(first, first + seeds), jobs, is_traced):
        reports.append(report)
        progress.tell(reports)
    progress.end()
    if as_json:
        _print_json(reports)
    else:
        _print(scenario, reports, time.monotonic() - begun)
    return ExitCode.INTERNAL_ERROR if any(report.finding for report in reports) else ExitCode.OK


class _Progress:
    """How many seeds are through, on standard error: in place on a terminal, from the first, and else now and then."""

    def __init__(self, seeds: int, *, is_shown: bool) -> None:
        self._seeds, self._is_shown, self._is_live = seeds, is_shown, sys.stderr.isatty()
        self._told = time.monotonic()
        if is_shown and self._is_live:
            click.echo(f"simulating {seeds} seed{'s' if seeds > 1 else ''} …", nl=False, err=True)

    def tell(self, reports: list[Report]) -> None:
        """These are through."""
        now = time.monotonic()
        if not self._is_shown or not (self._is_live or now >= self._told + LINE_SECONDS):
            return
        self._told = now
        found = sum(report.finding is not None for report in reports)
        line = f"{len(reports)} of {self._seeds} seeds, {found} findings"
        click.echo(f"\r\033[K{line}" if self._is_live else line, nl=not self._is_live, err=True)

    def end(self) -> None:
        """Leave the line to what follows."""
        if self._is_shown and self._is_live:
            click.echo("\r\033[K", nl=False, err=True)


def _read(path: Path) -> Scenario:
    """The scenario in a file. Raises CliError."""
    import yaml

    from distevo.simulator import ScenarioError, scenario_of

    try:
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise CliError(ExitCode.NOT_FOUND, f"there is no file {path}", "distevo-ctl simulate --help has one") from None
    except OSError as error:
        raise CliError(ExitCode.REFUSED, f"cannot read {path}: {error.strerror}") from None
    if len(content) > LIMIT_BYTES:
        raise CliError(ExitCode.REFUSED, f"{path} is larger than {LIMIT_BYTES >> 20} MiB, the most that is read")
    try:
        return scenario_of(_plain(content))
    except ScenarioError as error:
        raise CliError(ExitCode.USAGE, f"{path}: {error}", "distevo-ctl simulate --help has an example") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter for text that is not UTF-8, or a date that is none
        raise CliError(ExitCode.USAGE, f"{path} is not YAML: {error}") from None
    except RecursionError:
        raise CliError(ExitCode.USAGE, f"{path} is nested too deeply") from None


def _plain(content: bytes) -> Any:
    """What YAML says, where nothing is said twice: the first would be lost without a word."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
            # As it is written: later a node may have what is merged into it (`<<`) as well as what stands above that.
            node = super().compose_mapping_node(anchor)
            names: set[str] = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in names:
                    problem = f"{key.value!r} is there more than once"
                    raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
                names.add(key.value)
            return node

    return yaml.load(content, Loader)


def _simulated(scenario: Scenario | None, seeds: range, jobs: int, is_traced: bool) -> Iterator[Report]:
    calls = [(scenario, seed, is_traced) for seed in seeds]
    with ExitStack() as stack:
        if jobs == 1 or len(calls) == 1:
            yield from map(_one, calls)
        else:
            pool = stack.enter_context(ProcessPoolExecutor(min(jobs, len(calls))))
            yield from pool.map(_one, calls, chunksize=8)


def _one(call: tuple[Scenario | None, int, bool]) -> Report:
    from distevo.simulator import expand
    from distevo.simulator import simulate as run

    scenario, seed, is_traced = call
    return run(expand(seed) if scenario is None else scenario, seed, is_traced)


def _yaml(scenario: Scenario | None, seed: int) -> str:
    import yaml

    from distevo.simulator import expand, plain

    text: str = yaml.safe_dump(plain(expand(seed) if scenario is None else scenario), sort_keys=False)
    return text


# --- what is printed -----------------------------------------------------------------------------


def _print_json(reports: list[Report]) -> None:
    import msgspec

    from distevo_ctl.screen import print_json

    found = [report.seed for report in reports if report.finding is not None]
    print_json({"seeds": len(reports), "findings": found, "reports": msgspec.to_builtins(reports)})


def _print(scenario: Scenario | None, reports: list[Report], seconds: float) -> None:
    from distevo.simulator import Spread

    if reports[0].trace is not None:
        click.echo("\n".join(reports[0].trace))
    found = [report for report in reports if report.finding is not None]
    for report in found[:SHOWN_FINDINGS]:
        _print_finding(scenario, report)
    for report in found[SHOWN_FINDINGS:]:
        assert report.finding is not None
        click.echo(f"seed {report.seed}: {report.finding.invariant}: {report.finding.message}")
    simulated = sum(report.seconds for report in reports)
    member_seconds = sum(report.seconds * report.members for report in reports)
    lines: list[tuple[str, str]] = [
        ("seeds", f"{len(reports)}, {len(found)} with a finding"),
        ("virtual time", f"{_time(simulated)}, in {seconds:.1f} s"),
        ("faults", f"{sum(report.faults for report in reports)}"),
        (
            "messages",
            f"{sum(report.messages for report in reports) / max(member_seconds, 1e-9):.2f} per member and second",
        ),
        ("store", _store_line(reports)),
        ("generations", f"{sum(report.generations for report in reports)}"),
        ("migrations", f"{sum(report.migrations for report in reports)}"),
    ]
    for name, what in (
        ("elections", "a new coordinator"),
        ("adoptions", "a gone member's islands elsewhere"),
        ("arrivals", "a started daemon in the plan"),
    ):
        spread = Spread.of([second for report in reports for second in getattr(report, name)])
        if spread is not None:
            figures = f"median {spread.median:.1f} s, p95 {spread.p95:.1f} s, longest {spread.longest:.1f} s"
            lines.append((name, f"{spread.count}: {what} after {figures}"))
    if len(reports) == 1 and reports[0].runs:
        lines.append(("runs", ", ".join(f"{name} {state}" for name, state in reports[0].runs.items())))
        lines += [("refused", f"{words}: {reason}") for words, reason in reports[0].refused]
        lines.append(("trace hash", reports[0].hash))
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        click.echo(f"{name:<{width}}  {text}")


def _time(seconds: float) -> str:
    """In minutes below two hours: 5 min, 2.5 h."""
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _print_finding(scenario: Scenario | None, report: Report) -> None:
    finding = report.finding
    assert finding is not None
    if scenario is None:
        click.echo(f"# the scenario of seed {report.seed}")
        click.echo(_yaml(None, report.seed))
    click.echo("\n".join(finding.trace))
    click.secho(f"\nseed {report.seed}, at {finding.at:.3f} s: {finding.invariant}", fg="red", bold=True)
    click.echo(f"{finding.message}\n")


def _store_line(reports: list[Report]) -> str:
    def mean(field: str) -> float:
        return float(sum(getattr(report.store, field) for report in reports) / len(reports))

    counts: dict[str, Any] = {kind: mean(f"{kind}_per_hour") for kind in ("inserts", "lists", "reads", "deletes")}
    figures = ", ".join(f"{count:.0f} {kind}" for kind, count in counts.items())
    return f"{figures} an hour; on Google Cloud Storage ${mean('dollars_per_day'):.2f} a day"
