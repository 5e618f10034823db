"""The keys already tried: the last ones are known, and memory is bounded."""

from __future__ import annotations

from hashlib import sha256

import pytest

from distevod.evolution import tried
from distevod.evolution.tried import PART_KEYS, PARTS, WINDOW_KEYS, Fingerprints, Tried


def keys(start: int, stop: int) -> list[bytes]:
    return [sha256(number.to_bytes(8)).digest() for number in range(start, stop)]


def known(window: Tried, start: int, stop: int) -> int:
    return sum(key in window for key in keys(start, stop))


def test_a_key_is_new_once() -> None:
    window = Tried(keys(0, 2))
    assert window.unknown([*keys(1, 4), *keys(3, 5)]) == [False, True, True, False, True]
    window.forget(keys(1, 3))
    assert window.unknown(keys(0, 4)) == [False, True, True, False]


def test_the_window_of_keys_is_bounded() -> None:
    window, step = Tried(), WINDOW_KEYS // 2
    for start in range(0, 5 * WINDOW_KEYS, step):
        assert all(window.unknown(keys(start, start + step)))
        last = max(0, start + step - WINDOW_KEYS), start + step
        assert known(window, *last) == last[1] - last[0]
    assert known(window, 0, 5 * WINDOW_KEYS) <= 2 * WINDOW_KEYS


def test_keys_that_are_worth_it_are_known_for_long() -> None:
    window, step, number = Tried(), WINDOW_KEYS // 2, 18 * WINDOW_KEYS
    assert all(window.unknown(keys(0, step)))
    window.is_long = True
    for start in range(step, number, step):
        assert all(window.unknown(keys(start, start + step)))
    assert known(window, number - 300_000, number) > 299_900
    assert known(window, 0, number) <= PARTS * PART_KEYS + 2 * WINDOW_KEYS
    window.forget(keys(number - 200_000, number - 100_000))
    assert known(window, number - 200_000, number) == 100_000


def test_what_was_known_in_a_set_is_known_when_that_becomes_worth_it() -> None:
    window = Tried()
    window.unknown(keys(0, WINDOW_KEYS))
    window.is_long = True
    window.unknown(keys(WINDOW_KEYS, 4 * WINDOW_KEYS))
    assert known(window, 0, 4 * WINDOW_KEYS) == 4 * WINDOW_KEYS


def test_a_fingerprint_that_lies_across_two_others_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tried, "FINGERPRINT_BYTES", 4)
    found = Fingerprints()
    found.add([b"\0aaaa", b"\0aabb"])
    # In the bytes that are kept, `aaaaaabb`, the one lies across two, the other too and once more where it is meant.
    found.discard(b"\0aaab")
    assert b"\0aaab" not in found
    assert b"\0aabb" in found
    found.discard(b"\0aabb")
    assert b"\0aabb" not in found
    assert b"\0aaaa" in found
