"""The machine's own tools, whose complaints become exceptions."""

from __future__ import annotations

import shlex
import subprocess


class ToolError(Exception):
    """A tool failed; the message holds its command line and what it said."""


def tool(*command: str, lines: str = "") -> str:
    """What a command printed; it reads `lines`. Raises ToolError when it fails."""
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{shlex.join(command)} ended with {done.returncode}: {done.stderr.strip()}\n{lines}")
    return done.stdout
