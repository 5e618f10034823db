"""What `doctor` found: its checks, how they are shown, and the exit code that comes of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import click

from distevo_ctl.exits import ExitCode

OK, WARNING, FAILED = "ok", "warning", "failed"
_STYLES: dict[str, dict[str, Any]] = {
    OK: {"fg": "green"},
    WARNING: {"fg": "yellow"},
    FAILED: {"fg": "red", "bold": True},
}
_NAME_WIDTH = 13

DISK_LOW_MB = 500
"""Free space below which a warning is due: logs, keys and, in a folder, all checkpoints have to go there."""
DISK_FULL_MB = 20
MIB = 1 << 20


class Check(NamedTuple):
    """One line."""

    name: str
    state: str
    text: str
    hint: str = ""
    """What to do."""
    code: ExitCode = ExitCode.OK
    problem: str = ""
    """Of a failed sign-in: one of `distevod.store.sign_in.Problem`."""
    figures: dict[str, Any] = {}  # noqa: RUF012 - never changed
    """For machines; seconds, unless the name says otherwise."""


def fine(name: str, text: str, figures: dict[str, Any] | None = None) -> Check:
    """Nothing is wrong."""
    return Check(name, OK, text, figures=figures or {})


def warning(name: str, text: str, hint: str = "") -> Check:
    """A daemon would work; not as well as it might."""
    return Check(name, WARNING, text, hint)


def failed(name: str, text: str, hint: str, code: ExitCode = ExitCode.REFUSED) -> Check:
    """A daemon would not work, or lose something."""
    return Check(name, FAILED, text, hint, code)


def disk(name: str, there: Path, text: str) -> Check:
    """Whether there is room on the disk of an existing folder; `text` is said before how much."""
    free = shutil.disk_usage(there).free // MIB
    text = f"{text}, {free:,} MiB free"
    figures = {"free_mb": free}
    hint = f"make room on the disk of {there}"
    if free < DISK_FULL_MB:
        return failed(name, text, hint)._replace(figures=figures)
    if free < DISK_LOW_MB:
        return warning(name, text, hint)._replace(figures=figures)
    return fine(name, text, figures)


class Examination:
    """Shows checks as they come; as JSON, all at the end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._checks: list[Check] = []

    def add(self, check: Check) -> None:
        """One more."""
        self._checks.append(check)
        if self._as_json:
            return
        from distevo_ctl.screen import plain

        state = click.style(f"{check.state:7}", **_STYLES[check.state])
        click.echo(f"{state}  {check.name:{_NAME_WIDTH}}  {plain(check.text)}")
        if check.hint:
            click.echo(f"{'':7}  {'':{_NAME_WIDTH}}  {plain(check.hint)}")

    def finish(self) -> ExitCode:
        """Sum up; returns the exit code."""
        failures = [check for check in self._checks if check.state == FAILED]
        warnings = [check for check in self._checks if check.state == WARNING]
        state = FAILED if failures else WARNING if warnings else OK
        if self._as_json:
            from distevo_ctl.screen import print_json

            rows = [check._asdict() | {"code": int(check.code)} for check in self._checks]
            print_json({"state": state, "failed": len(failures), "warnings": len(warnings), "checks": rows})
        else:
            click.echo(f"\n{_summed(len(failures), len(warnings))}")
        return failures[0].code if failures else ExitCode.OK


def _summed(failures: int, warnings: int) -> str:
    if not failures and not warnings:
        return "All is well."
    parts = [
        f"{count} {what}{'' if count == 1 else 's'}" for count, what in ((failures, "failure"), (warnings, "warning"))
    ]
    return ", ".join(part for part in parts if not part.startswith("0 ")) + "."
