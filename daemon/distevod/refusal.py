"""Refusals: what is asked of a daemon and cannot be granted."""

from __future__ import annotations

from distevo.errors import kind_of


class Refusal(Exception):  # noqa: N818 - the word of the exit codes
    """A request that cannot be granted. `kind` is one of the names in the table of exit codes."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def kind_of_any(error: Exception) -> str:
    """The name of an error in the table of exit codes."""
    return error.kind if isinstance(error, Refusal) else kind_of(error)
