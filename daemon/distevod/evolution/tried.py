"""The keys already tried: a bounded window, so that a known program is looked up and not evaluated again."""

from __future__ import annotations

from collections.abc import Iterable

WINDOW_KEYS = 40_000
"""Keys in each of the two halves; about 5 MB together."""


class Tried:
    """At least the last `WINDOW_KEYS` keys added; at most twice as many, and what is added at once.

    It is there to save evaluations only, so it is in no checkpoint and may be lost at any time.
    """

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._recent = set(keys)
        self._older: set[bytes] = set()

    def unknown(self, keys: Iterable[bytes]) -> list[bool]:
        """Add these keys; of each, whether it is new, also among themselves."""
        recent, older = self._recent, self._older
        answers = []
        for key in keys:
            is_new = key not in recent and key not in older
            if is_new:
                recent.add(key)
            answers.append(is_new)
        if len(recent) >= WINDOW_KEYS:
            self._older, self._recent = recent, set()
        return answers

    def __contains__(self, key: bytes) -> bool:
        return key in self._recent or key in self._older

    def forget(self, keys: Iterable[bytes]) -> None:
        """These were not tried after all."""
        for key in keys:
            self._recent.discard(key)
            self._older.discard(key)
