"""What is seen where the output is no terminal: a line for each find, and now and then how far it is."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console

from distevo_ctl.demo.look import Look, Show
from distevo_ctl.demo.platforms import Platforms
from distevo_ctl.demo.rows import found_line, platforms_line
from distevo_ctl.wait import LINE_SECONDS, progress_line


@contextlib.contextmanager
def in_lines(out: Console, platforms: Platforms) -> Iterator[Show]:
    """Gives what shows a look."""
    told: set[str] = set()
    spoke = -LINE_SECONDS

    def show(look: Look) -> None:
        nonlocal spoke
        for entry in look.tasks:
            if entry["state"] == "done" and entry["fit"] and entry["id"] not in told:
                told.add(entry["id"])
                out.print(found_line(entry))
        if time.monotonic() - spoke >= LINE_SECONDS:
            spoke = time.monotonic()
            out.print(progress_line(look.run))
            out.print(f"platforms: {platforms_line(look, platforms)}")
        sys.stdout.flush()

    yield show
