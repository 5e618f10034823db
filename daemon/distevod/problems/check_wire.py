"""What the daemon and the process in which a problem is checked say to each other: lines of JSON.

The daemon says one thing, a `CheckRequest`. The process says a `Phase` for each step that begins, so that the daemon
knows what never returned, and last an `Answer`.
"""

from typing import Any

import msgspec


class CheckRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to try. At most one of `spec`, `data`, `csv` and `made` is given; without any the task is `default`."""

    reference: str
    source: str | None = None
    """The file's text, where the reference names a file."""
    spec: str | None = None
    """The text behind `--tasks`, for the problem's named sets."""
    data: Any = msgspec.UNSET
    """A task file's content, as JSON values; null is one, and not the same as none given."""
    csv: str | None = None
    """A CSV file's text."""
    made: dict[str, Any] | None = None
    """Task data by id, as the problem has made it of one of these before: it is not asked to do so again."""
    name: str | None = None
    """What to call the task of a file that names none."""
    evaluation_timeout_s: float | None = None
    """Seconds after which a worker that evaluates a program is ended; None: it does not matter."""

    @property
    def has_tasks(self) -> bool:
        """Whether any is given, be it null."""
        return self.data is not msgspec.UNSET or any(each is not None for each in (self.spec, self.csv, self.made))


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step begins."""

    phase: str


class Failure(msgspec.Struct, frozen=True):
    """Why the problem, or its tasks, will not do."""

    kind: str
    """`problem` or `task`."""
    message: str


class Problem(msgspec.Struct, frozen=True):
    """A problem that will do; its fields are those of `CheckedProblem`."""

    name: str
    version: str
    reference: str
    source: str | None
    digest: str
    has_verify: bool


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it."""

    ok: bool
    problem: Problem | None = None
    tasks: dict[str, msgspec.Raw] = {}
    error: Failure | None = None
