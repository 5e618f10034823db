"""A violation: something happened that must never happen, or did not happen in time."""

from __future__ import annotations


class Violation(Exception):  # noqa: N818 - it is a finding, not a failure of whoever finds it
    """An invariant, by its name, and what broke it."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant, self.message = invariant, message
