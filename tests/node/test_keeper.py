"""The keeper: what may be deleted, and when a checkpoint is tried again."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distevo.alarms import NEVER
from distevo.block import pack
from distevo.checkpoint import Counters, IslandSnapshot
from distevo.events import IslandId
from distevo.instructions import DeleteObject, Log, SaveCheckpoint
from distevo.keeper import COVERING_SNAPSHOTS, Keeper, Mark
from distevo.names import checkpoint_name
from distevo.outbox import Outbox
from distevo.program import Program
from distevo.work import population_of
from tests.node.world import KEY_OF

LEAST_SECONDS = 0.5


def snapshot(island: int, grant: int, cover: dict[int, int] | None = None) -> IslandSnapshot:
    return IslandSnapshot(
        run="r",
        task="t",
        island=island,
        problem="toy",
        version="1",
        grant=grant,
        sequence=0,
        cover=cover or {},
        seed="0" * 32,
        generation=1,
        cursor=-1,
        optimizer=b"",
        population=b"",
        invalid=[],
        suspects=[],
        counters=Counters(),
    )


def at(island: int) -> IslandId:
    return IslandId("r", "t", island)


class Desk:
    """A keeper, and what it keeps according to the rule written out in full."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.keeper = Keeper("m", "b", 5, 5.0, LEAST_SECONDS, self.outbox)
        self.durable: dict[str, list[Mark]] = {}
        self.unsure: dict[str, list[Mark]] = {}

    def save(self, *islands: IslandSnapshot, is_durable: bool = True) -> int:
        sequence = self.keeper.save("c", islands, {}, 0.0)
        kept = self.durable if is_durable else self.unsure
        kept[checkpoint_name("m", "b", sequence)] = [Mark(at(s.island), s.grant, sequence, s.cover) for s in islands]
        if is_durable:
            self.keeper.saved(sequence, 0.0)
        else:
            self.keeper.failed(sequence, "a fault", 0.0)
        return sequence

    def is_covered(self, mark: Mark, grant: int) -> bool:
        own = [own for marks in self.durable.values() for own in marks]
        covering = [o for o in own if o.island == mark.island and o.grant == grant and o.covers(mark)]
        return len(covering) >= COVERING_SNAPSHOTS

    def prune(self, grants: dict[int, int]) -> tuple[list[str], list[str]]:
        """What was deleted, and what should have been."""
        self.outbox.take()
        expected: list[str] = []
        for kept in (self.unsure, self.durable):
            for name, marks in list(kept.items()):
                in_force = [(mark, grants.get(mark.island.island)) for mark in marks]
                if all(grant is None or self.is_covered(mark, grant) for mark, grant in in_force):
                    del kept[name]
                    expected.append(name)
        self.keeper.prune(lambda mark: grants.get(mark.island.island))
        return [i.name for i in self.outbox.take() if isinstance(i, DeleteObject)], expected


def test_the_second_newest_durable_snapshot_decides() -> None:
    desk = Desk()
    first = desk.save(snapshot(0, 7))
    desk.save(snapshot(0, 7), is_durable=False)
    desk.save(snapshot(0, 7))
    mark = Mark(at(0), 7, first, {})
    assert not desk.keeper.covers(mark, 7), "one newer is durable; nobody knows of the other"
    assert desk.prune({0: 7}) == ([], [])
    desk.save(snapshot(0, 7))
    assert desk.keeper.covers(mark, 7)
    assert not desk.keeper.covers(mark, 8), "whoever holds it under another grant has its own snapshots to count"
    assert desk.prune({0: 7})[0] == [checkpoint_name("m", "b", sequence) for sequence in (first + 1, first)]


def test_another_grant_is_covered_as_far_as_both_name_it() -> None:
    desk = Desk()
    desk.save(snapshot(0, 7, {6: 3}))
    desk.save(snapshot(0, 7, {6: 5}))
    covered = [desk.keeper.covers(Mark(at(0), 6, sequence, {}), 7) for sequence in range(7)]
    assert covered == [True] * 4 + [False] * 3
    assert not desk.keeper.covers(Mark(at(0), 5, 0, {}), 7), "a grant that is not named is not covered"
    assert not desk.keeper.covers(Mark(at(1), 6, 0, {}), 7), "and nothing of another island"


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_what_goes_is_what_the_rule_written_out_lets_go(seed: int) -> None:
    rng = random.Random(seed)
    desk, next_grant = Desk(), 4
    grants, mine = {0: 1, 1: 2, 2: 3}, {0: 1, 1: 2, 2: 3}
    covers: dict[int, dict[int, int]] = {0: {}, 1: {}, 2: {}}
    for _ in range(40):
        island = rng.randrange(3)
        match rng.randrange(8):
            case 0:  # It moves away, or is done.
                if mine.pop(island, None) is not None:
                    grants[island], next_grant = next_grant, next_grant + 1
                else:
                    grants.pop(island, None)
            case 1:  # It comes (back) here, with what somebody had of it.
                grants[island] = mine[island] = next_grant
                next_grant += 1
                for earlier in range(next_grant - 1):
                    if rng.random() < 0.7:
                        covers[island][earlier] = max(covers[island].get(earlier, 0), rng.randrange(40))
            case 2:
                desk.save(*(snapshot(i, g, dict(covers[i])) for i, g in mine.items()), is_durable=False)
            case _:
                desk.save(*(snapshot(i, g, dict(covers[i])) for i, g in mine.items()))
        deleted, expected = desk.prune(grants)
        assert deleted == expected
    left = [*desk.unsure, *desk.durable]
    assert desk.prune({}) == (left, left)


def test_islands_in_no_object_are_forgotten() -> None:
    desk = Desk()
    for _ in range(3):
        desk.save(snapshot(0, 7), snapshot(1, 8))
    mark = Mark(at(0), 7, 0, {})
    assert desk.keeper.covers(mark, 7)
    desk.prune({1: 8})
    assert desk.keeper.covers(mark, 7), "two objects stay for the other island, and hold this one"
    desk.prune({})
    assert not desk.keeper.covers(mark, 7)


def test_a_prune_asks_a_few_marks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    for number in range(40):
        desk.save(*(snapshot(i, 7) for i in range(20)), snapshot(100 + number, 5))
    asked: list[Mark] = []
    covers = Mark.covers

    def count(own: Mark, other: Mark) -> bool:
        asked.append(other)
        return covers(own, other)

    monkeypatch.setattr(Mark, "covers", count)
    desk.keeper.prune(lambda mark: 9 if mark.island.island >= 100 else 7)
    assert 0 < len(asked) <= COVERING_SNAPSHOTS * 40 * 21


def test_a_checkpoint_that_fails_is_tried_less_and_less_often() -> None:
    keeper = Keeper("m", "b", 5, 5.0, LEAST_SECONDS, Outbox())
    now, waits = 100.0, []
    for _ in range(7):
        keeper.failed(keeper.save("c", [], {}, now), "a fault", now)
        due = keeper.due()
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    keeper.saved(keeper.save("c", [], {}, now), now)
    keeper.failed(keeper.save("c", [], {}, now), "a fault", now)
    assert keeper.due() == now + 1


def test_a_bucket_is_spared_unless_it_is_urgent_or_the_end_is_near() -> None:
    keeper = Keeper("m", "b", 5, 5.0, 30.0, Outbox())

    def save(now: float) -> None:
        keeper.saved(keeper.save("c", [snapshot(0, 1)], {}, now), now)

    keeper.generation(at(0), 0.0)
    save(100.0)
    for _ in range(9):
        keeper.generation(at(0), 101.0)
    assert keeper.due() == 130.0
    keeper.change(102.0)
    assert keeper.due() == 101.0, "an island that is handed over does not wait"
    save(102.0)
    keeper.hasten(24.0)
    keeper.generation(at(0), 103.0)
    assert keeper.due() == 108.0
    save(108.0)
    keeper.hasten(2.0)
    keeper.generation(at(0), 109.0)
    assert keeper.due() == 111.0


def large(island: int, programs: int) -> IslandSnapshot:
    """An island with programs of a kilobyte each, the first of them the best."""
    genomes = [b"%d" % number + random.Random(number).randbytes(1000) for number in range(programs)]
    found = [Program.of(genome, KEY_OF(genome), (-number,)) for number, genome in enumerate(genomes)]
    return msgspec.structs.replace(snapshot(island, 7), population=pack(found))


def test_islands_that_no_object_holds_together_are_saved_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distevo.keeper.MOST_BYTES", 10_000)
    desk = Desk()
    islands, now, saved = [large(0, 6), large(1, 6), snapshot(2, 7), large(3, 6)], 100.0, []
    desk.keeper.generation(at(0), now)
    desk.keeper.generation(at(0), now)
    while desk.keeper.has_news:
        sequence = desk.keeper.save("c", islands, {}, now)
        saved.append([mark.island.island for mark in desk.keeper.saved(sequence, now)])
        now = desk.keeper.due() or now
    assert saved == [[0, 2], [1], [3]]


def test_an_island_that_no_object_holds_is_saved_with_its_best_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distevo.keeper.MOST_BYTES", 10_000)
    desk = Desk()
    for _ in range(4):
        desk.save(large(0, 20), snapshot(1, 7))
    instructions = desk.outbox.take()
    states = [state for i in instructions if isinstance(i, SaveCheckpoint) for state in i.checkpoint.islands]
    assert [state.island for state in states] == [0, 1, 0, 1]
    assert [program.fitness for program in population_of(states[0])] == [(-number,) for number in range(5)]
    assert [i.fields["island"] for i in instructions if isinstance(i, Log)] == [str(at(0))]


def test_what_became_due_while_one_was_on_its_way_is_counted() -> None:
    keeper = Keeper("m", "b", 1, 5.0, 1.0, Outbox())
    keeper.generation(at(0), 0.0)
    sequence = keeper.save("c", [snapshot(0, 1)], {}, 0.0)
    keeper.generation(at(0), 0.5)
    assert keeper.due() == NEVER
    keeper.saved(sequence, 40.0)
    assert (keeper.replaced, keeper.due()) == (1, 1.0)
    sequence = keeper.save("c", [snapshot(0, 1)], {}, 40.0)
    keeper.generation(at(0), 40.1)
    keeper.saved(sequence, 40.2)
    assert keeper.replaced == 1
