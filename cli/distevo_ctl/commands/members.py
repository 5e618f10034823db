"""`distevo-ctl drain` and `revoke`: letting a platform go, because it is wanted elsewhere or no longer trusted."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from distevo_ctl.client import Client
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.screen import console, plain, print_json
from distevo_ctl.target import state_dir_option, target_options

INTERVAL_SECONDS = 0.2
LINE_SECONDS = 5.0
"""Between two lines of progress where standard error is no terminal."""
DRAIN_SECONDS = 120.0
"""A hand-over takes a few seconds, and longer where the store is slow or the platform hears of it by mail."""


@click.command()
@click.argument("platform")
@click.option("--no-wait", is_flag=True, help="Return when it is under way, not when the platform has left.")
@click.option(
    "--timeout", "seconds", type=float, default=DRAIN_SECONDS, metavar="S",
    help="Seconds to wait until it has left; then exit with 7, and it goes on. [120]",
)  # fmt: skip
@target_options
def drain(platform: str, no_wait: bool, seconds: float, state_dir: Path, as_json: bool) -> None:
    """Hand a platform's islands over, and let it leave.

    It is given nothing new, others take up what it has, and with nothing left its daemon ends by itself, with 0.
    Where no other platform can take them, its islands wait in its last checkpoint for one that starts. Started again,
    it takes part as before.

    \b
      distevo-ctl drain kaggle-1 && echo "the session may be closed"

    Exits with 0 once the platform has left, or has been given up as dead on the way; with 4 if it is dead or has left
    already, or is started again meanwhile; with 5 if there is no such platform, and with 7 after --timeout.
    """
    if not 0 < seconds < math.inf:
        raise click.UsageError(f"--timeout must be above 0 and finite, not {seconds:g}")
    begun = time.monotonic()
    with Client(state_dir) as client:
        view = client.ask("command", verb="drain", member=platform)
        note = _note(view)
        if note and not as_json:
            click.echo(note, err=True)
        state = "draining"
        if not no_wait:
            state = _wait(client, view, begun + seconds, not as_json)
    if as_json:
        answer = {"member": platform, "boot": view["boot"], "state": state, "note": note}
        print_json(answer | {"seconds": round(time.monotonic() - begun, 3)})
    else:
        click.echo(f"{click.style(plain(platform), bold=True)}: {_said(state, is_kept=note is not None)}")


@click.command()
@click.argument("platform")
@click.option("--undo", is_flag=True, help="Let it in again. Of a platform that was gone for a day give the key.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@target_options
def revoke(platform: str, undo: bool, yes: bool, state_dir: Path, as_json: bool) -> None:
    """Let a platform that is not trusted any more in no longer.

    Its key is put on the cluster's list of revoked ones: others hang up, hear it no more, and take up its islands from
    its checkpoints. Its daemon ends with 4. Whoever has its key may still have access to the store: take that away,
    too. The coordinator is refused: drain it before. `status --json` has the keys.

    \b
      distevo-ctl revoke stolen-laptop --yes
      distevo-ctl revoke stolen-laptop --undo        it was in the other bag
    """
    verb = "unrevoke" if undo else "revoke"
    if not (undo or yes) and (as_json or not sys.stdin.isatty()):
        raise click.UsageError("revoke asks first, and there is nobody to ask: add --yes")
    with Client(state_dir) as client:
        if not (undo or yes):
            _confirm(client, platform)
        try:
            view = client.ask("command", verb=verb, member=platform)
        except CliError as error:
            if undo or not _is_its_own_end(client, platform, error):
                raise
            view = {"member": platform, "is_revoked": True, "state": None}
    state = "revoked" if view.get("is_revoked") else "allowed"
    if as_json:
        print_json({"member": platform, "state": state})
        return
    again = f"`distevo-ctl revoke {platform} --undo{state_dir_option(state_dir)}` takes that back"
    said = f"revoked; {again}" if state == "revoked" else "no longer revoked; it takes part when it is started"
    click.echo(f"{click.style(plain(platform), bold=True)}: {said}")


def _confirm(client: Client, platform: str) -> None:
    """Ask whether a platform is meant that is there. Raises CliError if there is none, click.Abort if not."""
    names = [member["id"] for member in client.ask("status")["members"]]
    if platform not in names:
        known = ", ".join(map(plain, names))
        raise CliError(ExitCode.NOT_FOUND, f"there is no platform {platform!r}; there are: {known}")
    click.confirm(f"Revoke the key of {plain(platform)}? Its daemon ends, and others take its islands", abort=True)


def _note(view: dict[str, Any]) -> str | None:
    if not view["waiting"]:
        return None
    islands = "one island" if view["waiting"] == 1 else f"{view['waiting']} islands"
    return f"no other platform can take {islands} of it: kept in its last checkpoint, and taken up when one can"


def _wait(client: Client, view: dict[str, Any], until: float, is_shown: bool) -> str:
    """Wait until the platform has left; returns how it is then: "left", or "dead". Raises CliError."""
    member, boot = view["member"], view["boot"]
    shown = _shower() if is_shown else lambda _line: None
    try:
        while True:
            if view["state"] is None:
                return "left"
            if view["boot"] != boot:
                raise CliError(ExitCode.REFUSED, f"{member} was started again meanwhile", f"drain it again: {member}")
            if view["state"] != "alive":
                return str(view["state"])
            if time.monotonic() > until:
                raise CliError(
                    ExitCode.TIMED_OUT,
                    f"{member} has not left yet: {_progress(view)}",
                    "it goes on; the same command waits for it again",
                )
            shown(f"{plain(member)}: {_progress(view)}")
            time.sleep(INTERVAL_SECONDS)
            view = client.ask("member", member=member)
    except KeyboardInterrupt:
        raise CliError(
            ExitCode.INTERRUPTED, f"no longer waiting; {member} goes on to leave", "the same command waits for it again"
        ) from None
    except CliError as error:
        if _is_its_own_end(client, member, error):
            return "left"
        raise
    finally:
        shown("")


def _is_its_own_end(client: Client, member: str, error: CliError) -> bool:
    """Whether the daemon that was asked is the one that was to end, and has."""
    return error.code is ExitCode.NO_DAEMON and client.daemon["id"] == member


def _progress(view: dict[str, Any]) -> str:
    owned = view["owned"]
    if view["waiting"]:
        return "writing its last checkpoint"
    if not owned:
        return "its islands are given to others, and on their way"
    return f"{owned} island{'s' if owned != 1 else ''} to give to others"


def _said(state: str, *, is_kept: bool) -> str:
    """What became of a platform; `is_kept`: islands of it wait in its last checkpoint."""
    if state == "left" and is_kept:
        return "has left; what nobody could take is in its last checkpoint"
    return {
        "draining": "is handing its islands over, and leaves then",
        "left": "has left, with nothing left there",
        "dead": "is gone without a goodbye; others go on from its checkpoints",
    }[state]


def _shower() -> Callable[[str], None]:
    """Shows a line of progress in place on a terminal, and else now and then; an empty one ends it."""
    if sys.stderr.isatty():
        from rich.status import Status

        status = Status("", console=console(stderr=True))

        def show(line: str) -> None:
            if not line:
                status.stop()
                return
            status.update(line)
            status.start()

        return show
    told = -LINE_SECONDS

    def tell(line: str) -> None:
        nonlocal told
        if line and time.monotonic() - told >= LINE_SECONDS:
            told = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    return tell
