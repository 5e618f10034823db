"""The trace of a worker: what it evaluated in each generation, readable up to the record that a kill has cut."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distevo.problem import Contract
from distevod.evolution.island import Island
from distevod.evolution.page import Page
from distevod.evolution.trace import KEY_BYTES, Trace, read_trace
from distevod.problems.onemax import OneMax
from tests.evolution.islands import SETTINGS, fresh


class Swept(OneMax):
    """Begins with an exhaustive sweep of which every other node is invalid."""

    def sweep(self, share: int, shares: int) -> Iterator[tuple[int, dict[str, Any]] | None]:
        for genome in range(10):
            yield None if genome % 2 else (genome, self.evaluate(genome))


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page.create()
    yield made
    made.close()


def traced(page: Page, folder: Path, problem: type[OneMax]) -> tuple[Path, Island]:
    island = Island(
        Contract(problem({"bits": 24})), SETTINGS, fresh(Contract(problem({"bits": 24}))), page, Trace(folder)
    )
    (path,) = folder.iterdir()
    return path, island


def test_it_has_what_the_counters_count_and_each_key_once(page: Page, tmp_path: Path) -> None:
    begun = time.monotonic()
    path, island = traced(page, tmp_path / "traces", OneMax)
    counted = [island.generation().snapshot.counters.evaluations for _ in range(3)]
    records = list(read_trace(path))
    assert [(record.run, record.task, record.island) for record in records] == [("r", "t", 0)] * 3
    assert sum(record.evaluations for record in records) == counted[-1] > 60
    keys = b"".join(record.keys for record in records)
    assert len({keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)}) == counted[-1]
    times = [begun, *(moment for record in records for moment in (record.begun, record.ended)), time.monotonic()]
    assert times == sorted(times)


def test_invalid_nodes_of_a_sweep_are_counted_without_a_key(page: Page, tmp_path: Path) -> None:
    path, island = traced(page, tmp_path, Swept)
    island.generation()
    (record,) = read_trace(path)
    assert (record.evaluations, len(record.keys)) == (10, 5 * KEY_BYTES)


def test_a_record_that_was_cut_short_is_left_out(page: Page, tmp_path: Path) -> None:
    path, island = traced(page, tmp_path, OneMax)
    for _ in range(2):
        island.generation()
    whole = list(read_trace(path))
    data = path.read_bytes()
    for cut in (1, KEY_BYTES + 1, len(whole[1].keys) + 1):
        path.write_bytes(data[:-cut])
        assert list(read_trace(path)) == whole[:1]
    path.write_bytes(b"")
    assert list(read_trace(path)) == []
