"""The pictures that a problem has of a program at work: its panels, put into rows that belong together."""

from __future__ import annotations

from typing import Any, NamedTuple

PALETTE = (
    "#000000", "#0074D9", "#FF4136", "#2ECC40", "#FFDC00", "#AAAAAA", "#F012BE", "#FF851B", "#7FDBFF", "#870C25",
)  # fmt: skip
"""The colours 0 to 9, as ARC's own pages show them."""

MADE, EXPECTED = "program", "output"
"""Last words of the titles of what a program made, and of what is right: only these are compared."""


class Panel(NamedTuple):
    """One colour grid: rows of 0 to 9."""

    label: str
    rows: list[list[int]]
    is_right: bool | None = None
    """Of what a program made: whether that is the expected output; None where that is not known."""


class PanelRow(NamedTuple):
    """Panels that belong together, such as a pair's input, what the program makes of it, and its output."""

    title: str
    panels: list[Panel]


def panels_of(answer: dict[str, Any]) -> list[PanelRow]:
    """The panels of the guess in a daemon's answer about one task; none where there is no guess, or the problem came
    as a file (whose code this process does not run), or it has none to show.

    Raises ProblemError when the problem is not installed here, is other code, or its code raises.
    """
    from distevo.errors import ProblemError
    from distevo.problem import Contract
    from distevod.problems.loader import ProblemRef, described, load

    problem, program = answer["problem"], answer["tasks"][0]["program_hex"]
    if program is None or problem["source"] is not None:
        return []
    try:
        contract = Contract(load(ProblemRef(problem["reference"], None, problem["digest"]))(answer["data"]))
        panels = contract.panels(contract.decode(bytes.fromhex(program)))
    except (KeyboardInterrupt, ProblemError):
        raise
    except BaseException as error:  # this machine may lack what a task needs, and pictures are no reason to fail
        raise ProblemError(f"{problem['reference']}: {described(error)}") from error
    return _rows(panels)


def _rows(panels: list[tuple[str, list[list[int]]]]) -> list[PanelRow]:
    """Panels whose titles differ in the last word only make a row."""
    found: dict[str, list[tuple[str, list[list[int]]]]] = {}
    for title, rows in panels:
        head, _, label = title.rpartition(" ")
        found.setdefault(head, []).append((label, rows))
    made = []
    for head, pairs in found.items():
        expected = next((rows for label, rows in pairs if label == EXPECTED), None)
        made.append(
            PanelRow(
                head,
                [
                    Panel(label, rows, rows == expected if label == MADE and expected is not None else None)
                    for label, rows in pairs
                ],
            )
        )
    return made
