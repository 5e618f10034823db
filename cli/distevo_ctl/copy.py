"""`distevo-ctl copy`: a cluster goes on in another store."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.target import JSON_HELP

if TYPE_CHECKING:
    from distevo_ctl.copying import Copied, Progress
    from distevo_ctl.offline import Offline

HELP = """Copy a cluster into another store, where it goes on under a new id: FROM a folder TO a bucket, or back.

Stop its daemons first (`distevod stop`, or SIGTERM), so that the copy has all that they did; a cluster that is alive is
copied as it was at some moment meanwhile. Runs, results, checkpoints and what waits in the inbox go along, revoked keys
too; the members do not: each is a member again once its daemon is started with --store TO.

Nothing is written to FROM, and TO is no cluster before all is there. If it is interrupted, repeat it: what was copied
is not copied again.

\b
  distevo-ctl copy ~/.local/state/distevo/store gs://bucket/prefix
  distevo-ctl copy gs://bucket/prefix /data/store"""

_REPEAT = "repeat it: it goes on from here"


@click.command("copy", help=HELP, short_help="Copy a cluster into another store.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
def copy(source: str, target: str, as_json: bool) -> None:
    import msgspec

    from distevo.errors import StoreUnavailable, Unknown
    from distevo_ctl.copying import copy_cluster
    from distevo_ctl.offline import Offline, open_reader
    from distevo_ctl.screen import print_json
    from distevod.paths import resolved
    from distevod.store import folder_of, open_store

    as_json = as_json or bool(click.get_current_context().find_root().params.get("as_json"))
    reader = open_reader(source)
    here, there = folder_of(source), folder_of(target)
    try:
        is_inside = here is not None and there is not None and resolved(here) in resolved(there).parents
    except OSError as error:
        raise StoreUnavailable(f"the store {error.filename} cannot be found: {error.strerror}") from error
    if is_inside:
        raise CliError(ExitCode.REFUSED, f"{target} lies in {source}", "choose a folder outside of it")
    is_alive = _is_alive(Offline(reader, source))
    if is_alive and not as_json:  # which says so with what it prints, and nothing but JSON
        click.echo(
            f"{click.style('warning:', fg='yellow')} the cluster is alive: what it does from now on stays in {source}",
            err=True,
        )
    store = open_store(target)
    try:
        done = copy_cluster(reader, store, _progress(as_json))
    except KeyboardInterrupt:
        raise CliError(ExitCode.INTERRUPTED, "the copy is not complete", _REPEAT) from None
    except (StoreUnavailable, Unknown) as error:
        raise CliError(ExitCode.STORE_UNAVAILABLE, f"the copy is not complete: {error}", _REPEAT) from error
    if as_json:
        print_json({"from": source, "to": target, "was_alive": is_alive} | msgspec.to_builtins(done))
    else:
        _print(done, target)
    if done.bad:
        names = ", ".join(f"{name} ({what})" for name, what in list(done.bad.items())[:5])
        raise CliError(
            ExitCode.CORRUPT,
            f"{len(done.bad)} objects could not be copied: {names}{', ...' if len(done.bad) > 5 else ''}",
            f"all else was: the cluster in {target} goes on without them, as it would in {source}",
        )


def _is_alive(offline: Offline) -> bool:
    """Whether somebody renews the lease."""
    offline.watch_lease(None)
    return offline.is_renewed


def _progress(as_json: bool) -> Progress:
    """Shows how far it is, where somebody looks."""
    if as_json or not sys.stderr.isatty():
        return lambda _through, _all: None

    def show(through: int, of: int) -> None:
        end = "\n" if through == of else ""
        click.echo(f"\r{through} of {of} objects{end}", nl=False, err=True)

    return show


def _print(done: Copied, target: str) -> None:
    from distevo_ctl.screen import count

    tasks = "1 open task" if done.open_tasks == 1 else f"{count(done.open_tasks)} open tasks"
    runs = "1 run" if done.runs == 1 else f"{count(done.runs)} runs"
    there = f", {count(done.known)} were there already" if done.known else ""
    click.echo(f"copied {runs} with {tasks}: {count(done.objects)} objects, {count(done.bytes)} bytes{there}")
    click.echo(f"cluster {done.origin} goes on as {done.cluster}: distevod start --store {shlex.quote(target)}")
