"""The keys already tried: a bounded window, so that a known program is looked up and not evaluated again."""

from __future__ import annotations

from collections.abc import Iterable

WINDOW_KEYS = 40_000
"""Keys in a set, of which there are at most two; about 6 MB each."""
NEAR_KEYS = 10_000
"""The same where keys that leave the sets are not forgotten."""
PARTS = 1 << 12
PART_KEYS = 96
"""With these `Fingerprints` hold 393,216 keys, in 4 MB."""
FINGERPRINT_BYTES = 8
LONG_KNOWN_SECONDS = 500e-6
"""Evaluations that take longer are worth that their keys are known for long, at two microseconds for each."""


class Fingerprints:
    """A part of each key: nine bytes of memory where a set needs ninety, for lookups that take ten times as long.

    Keys are digests. So the first twelve bits spread them evenly over the parts, of which each forgets its oldest; and
    one that was never added is taken for known once in 10^16 lookups.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = [bytearray() for _ in range(PARTS)]

    def add(self, keys: Iterable[bytes]) -> None:
        """Add keys that are not there yet."""
        parts = self._parts
        for key in keys:
            part = parts[key[0] << 4 | key[1] >> 4]
            part += key[1 : 1 + FINGERPRINT_BYTES]
            if len(part) > PART_KEYS * FINGERPRINT_BYTES:
                del part[:FINGERPRINT_BYTES]

    def __contains__(self, key: bytes) -> bool:
        part, wanted = self._parts[key[0] << 4 | key[1] >> 4], key[1 : 1 + FINGERPRINT_BYTES]
        at = part.find(wanted)
        while at > 0 and at % FINGERPRINT_BYTES:  # found across two
            at = part.find(wanted, at + 1)
        return at >= 0

    def discard(self, key: bytes) -> None:
        """Forget a key, if it is there."""
        part, wanted = self._parts[key[0] << 4 | key[1] >> 4], key[1 : 1 + FINGERPRINT_BYTES]
        for at in range(0, len(part), FINGERPRINT_BYTES):
            if part[at : at + FINGERPRINT_BYTES] == wanted:
                del part[at : at + FINGERPRINT_BYTES]
                return


class Tried:
    """The last keys added: at least `WINDOW_KEYS`, and some 390,000 while `is_long`.

    It is there to save evaluations only, so it is in no checkpoint and may be lost at any time.
    """

    def __init__(self, keys: Iterable[bytes] = (), *, is_long: bool = False) -> None:
        self._recent = set(keys)
        self._older: set[bytes] = set()
        self._far: Fingerprints | None = None
        """What has left the sets; None while nothing has."""
        self.is_long = is_long
        """Whether keys are worth a slow lookup when they leave the sets."""

    def unknown(self, keys: Iterable[bytes]) -> list[bool]:
        """Add these keys; of each, whether it is new, also among themselves."""
        recent, older, far = self._recent, self._older, self._far
        answers = []
        for key in keys:
            is_new = key not in recent and key not in older and (far is None or key not in far)
            if is_new:
                recent.add(key)
            answers.append(is_new)
        if len(recent) >= (NEAR_KEYS if self.is_long else WINDOW_KEYS):
            self._age()
        return answers

    def __contains__(self, key: bytes) -> bool:
        return key in self._recent or key in self._older or (self._far is not None and key in self._far)

    def forget(self, keys: Iterable[bytes]) -> None:
        """These were not tried after all."""
        for key in keys:
            self._recent.discard(key)
            self._older.discard(key)
            if self._far is not None:
                self._far.discard(key)

    def _age(self) -> None:
        """Make room for keys to come."""
        if self.is_long:
            if self._far is None:
                self._far = Fingerprints()
            self._far.add(self._older)
        self._older, self._recent = self._recent, set()
