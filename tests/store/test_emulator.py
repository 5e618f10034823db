"""The storage server of tests."""

from __future__ import annotations

import pytest

from tests.support.gcs import Emulator


def test_one_that_does_not_answer_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_emulator: Emulator) -> bool:
        raise TimeoutError("waited for the emulator to answer")

    monkeypatch.setattr(Emulator, "_answers", interrupted)
    emulator = Emulator()
    with pytest.raises(TimeoutError), emulator:
        pass
    assert emulator._process.poll() is not None
