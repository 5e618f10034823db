"""The bar of a run: one line in which the tasks stand by what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

PARTS = (("solved", "green"), ("fit", "yellow"), ("failed", "red"), ("other", "blue"), ("open", "grey30"))
LINE = "━"


def bar(run: dict[str, Any], width: int) -> Text:
    """Solved, fit but not solved (where something is hidden), failed, done without, still open; in `width` columns."""
    from rich.text import Text

    counts = parts(run)
    made = Text(no_wrap=True)
    drawn = before = 0
    for name, colour in PARTS:
        before += counts[name]
        upto = round(width * before / max(run["tasks_total"], 1))
        made.append(LINE * (upto - drawn), style=colour)
        drawn = upto
    return made


def parts(run: dict[str, Any]) -> dict[str, int]:
    """The tasks of a run in five parts that make up the whole."""
    solved, failed = run["solved"] or 0, run["tasks_failed"]
    fit = run["fit"] - solved
    other = run["tasks_done"] - failed - run["fit"]
    return {
        "solved": solved,
        "fit": fit,
        "failed": failed,
        "other": other,
        "open": run["tasks_total"] - run["tasks_done"],
    }
