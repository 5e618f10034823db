"""The keys already tried: a bounded window, so that a known program is looked up and not evaluated again."""

from __future__ import annotations

from collections.abc import Iterable

WINDOW_KEYS = 40_000
"""Keys in each of the two halves; about 5 MB together."""


class Tried:
    """At least the last `WINDOW_KEYS` keys added, at most twice as many.

    It may save evaluations and never steers the search, so it is in no checkpoint and may be lost at any time.
    """

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._recent = set(keys)
        self._older: set[bytes] = set()

    def add(self, key: bytes) -> bool:
        """Add a key; whether it is new."""
        if key in self._recent or key in self._older:
            return False
        self._recent.add(key)
        if len(self._recent) >= WINDOW_KEYS:
            self._older, self._recent = self._recent, set()
        return True
