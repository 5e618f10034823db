"""What the tests of the stores share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gcs import Emulator

pytest.register_assert_rewrite("contract")

MEMORY = Path("/dev/shm")


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk in memory, where there is one: for tests that fsync thousands of times."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One server for all tests of a session; each takes a bucket of its own."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def bucket(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, which `open_store` finds."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    return emulator.bucket()
