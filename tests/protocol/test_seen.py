"""Seen keys: none is announced before it is durable, and there are never too many."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from distevo.alarms import NEVER
from distevo.errors import RemoteProtocolError
from distevo.events import IslandId
from distevo.messages import Code
from distevo.seen import MAX_SEEN_BYTES, MAX_WAITING_BYTES, SEEN_KEY_BYTES, SEEN_SECONDS, SeenKeys, heard

ISLANDS = [IslandId("r", "t", 0), IslandId("r", "t", 1), IslandId("r", "u", 0)]
A, B, OTHER = ISLANDS
FULL = MAX_SEEN_BYTES // SEEN_KEY_BYTES


def keys(start: int, number: int) -> bytes:
    return b"".join(key.to_bytes(SEEN_KEY_BYTES) for key in range(start, start + number))


def numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + SEEN_KEY_BYTES]) for at in range(0, len(data), SEEN_KEY_BYTES)]


def saved(seen: SeenKeys, sequence: int, *islands: IslandId) -> None:
    seen.saving(sequence, islands)
    seen.durable(sequence)


def everything(seen: SeenKeys, now: float = 0.0) -> bytes:
    """All that is announced from `now` on, if nothing more comes."""
    found = b""
    while seen.next_deadline() < NEVER:
        found += b"".join(said.keys for said in seen.announce(now))
        now += SEEN_SECONDS
    return found


def test_a_key_is_announced_once_a_checkpoint_holds_it() -> None:
    seen = SeenKeys()
    seen.reported(A, keys(0, 2))
    assert (seen.announce(0), seen.next_deadline()) == ([], NEVER)
    seen.saving(1, [A, B])
    seen.reported(A, keys(2, 1))  # Evaluated later than what is being written.
    assert (seen.announce(0), seen.next_deadline()) == ([], NEVER)
    seen.durable(1)
    assert seen.next_deadline() == 0.0
    assert seen.announce(3) == [("r", "t", keys(0, 2))]
    assert (seen.announce(100), seen.next_deadline()) == ([], NEVER)
    saved(seen, 2, A)
    assert seen.announce(100) == [("r", "t", keys(2, 1))]


def test_a_checkpoint_says_nothing_of_islands_that_are_not_in_it() -> None:
    seen = SeenKeys()
    seen.reported(A, keys(0, 1))
    seen.reported(B, keys(1, 1))
    saved(seen, 1, B, OTHER)
    assert everything(seen) == keys(1, 1)
    saved(seen, 2, A)
    assert everything(seen) == keys(0, 1)


def test_keys_of_a_checkpoint_that_failed_wait_for_the_next() -> None:
    seen = SeenKeys()
    seen.reported(A, keys(0, 1))
    seen.saving(1, [A])
    seen.reported(A, keys(1, 1))
    seen.failed(1)
    seen.durable(1)  # Whatever comes late of it.
    assert everything(seen) == b""
    saved(seen, 2, A)
    assert everything(seen) == keys(0, 2)


@pytest.mark.parametrize("answer", [SeenKeys.durable, SeenKeys.failed])
def test_an_answer_about_another_checkpoint_does_not_count(answer: object) -> None:
    assert callable(answer)
    seen = SeenKeys()
    seen.reported(A, keys(0, 1))
    answer(seen, 1)
    seen.saving(1, [A])
    seen.saving(2, [A])
    answer(seen, 1)
    assert everything(seen) == b""
    seen.durable(2)
    assert everything(seen) == keys(0, 1)


def test_an_island_that_is_let_go_takes_its_keys_with_it() -> None:
    seen = SeenKeys()
    for island in ISLANDS:
        seen.reported(island, keys(island.island, 1))
    seen.let_go(A)
    seen.saving(1, ISLANDS)
    seen.let_go(B)
    seen.reported(A, keys(7, 1))  # It is back, from another state, and its next checkpoint does not hold the first.
    seen.failed(1)
    saved(seen, 2, *ISLANDS)
    assert sorted(numbers(everything(seen))) == [0, 7]


def test_a_closed_task_is_forgotten_and_no_other() -> None:
    seen = SeenKeys()
    for island in ISLANDS:
        seen.reported(island, keys(island.island, 1))
    saved(seen, 1, A, OTHER)
    seen.saving(2, [B])
    seen.reported(A, keys(3, 1))
    seen.closed("r", "t")
    seen.durable(2)
    saved(seen, 3, *ISLANDS)
    assert seen.announce(0) == [("r", "u", keys(0, 1))]
    assert everything(seen, SEEN_SECONDS) == b""


def test_each_task_is_announced_at_most_every_few_seconds_and_a_message_at_a_time() -> None:
    seen = SeenKeys()
    seen.reported(A, keys(0, FULL))
    seen.reported(A, keys(FULL, 10))
    saved(seen, 1, A)
    assert seen.announce(10) == [("r", "t", keys(0, FULL))]
    assert seen.next_deadline() == 10 + SEEN_SECONDS
    seen.reported(OTHER, keys(9, 1))
    saved(seen, 2, OTHER)
    assert seen.announce(11) == [("r", "u", keys(9, 1))]  # One task does not wait for the other.
    seen.reported(B, keys(8, 1))
    saved(seen, 3, B)
    assert seen.announce(10 + SEEN_SECONDS - 0.01) == []
    assert seen.announce(10 + SEEN_SECONDS) == [("r", "t", keys(FULL, 10) + keys(8, 1))]


@pytest.mark.parametrize("is_durable_at_once", [False, True])
def test_when_too_many_wait_the_oldest_are_dropped(is_durable_at_once: bool) -> None:
    seen = SeenKeys()
    for report in range(10):
        seen.reported(A, keys(report * FULL, FULL))
        if is_durable_at_once:
            saved(seen, report, A)
        else:
            seen.saving(report, [A])
            seen.failed(report)
    saved(seen, 11, A)
    assert everything(seen) == keys(6 * FULL, 4 * FULL)
    assert 4 * MAX_SEEN_BYTES == MAX_WAITING_BYTES


def test_no_island_is_crowded_out_by_another() -> None:
    seen = SeenKeys()
    for island in (A, B):
        for report in range(4):
            seen.reported(island, keys((10 * island.island + report) * FULL, FULL))
    saved(seen, 1, A, B)
    assert everything(seen) == keys(2 * FULL, 2 * FULL) + keys(12 * FULL, 2 * FULL)


@pytest.mark.parametrize("length", [0, SEEN_KEY_BYTES, MAX_SEEN_BYTES])
def test_what_others_announce_is_passed_on(length: int) -> None:
    assert heard(bytes(length)) == bytes(length)


@pytest.mark.parametrize(
    ("length", "code"),
    [(1, Code.MALFORMED), (SEEN_KEY_BYTES + 1, Code.MALFORMED), (MAX_SEEN_BYTES + SEEN_KEY_BYTES, Code.TOO_LARGE)],
)
def test_what_no_keys_are_is_refused(length: int, code: Code) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        heard(bytes(length))
    assert refused.value.code == code


SMALL_MESSAGE, SMALL_ROOM = 4 * SEEN_KEY_BYTES, 16 * SEEN_KEY_BYTES


@pytest.fixture
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that are reached within a few steps."""
    monkeypatch.setattr("distevo.seen.MAX_SEEN_BYTES", SMALL_MESSAGE)
    monkeypatch.setattr("distevo.seen.MAX_WAITING_BYTES", SMALL_ROOM)


class Platform(RuleBasedStateMachine):
    """A platform that evaluates, checkpoints, fails to, and lets islands go; each evaluation has a key of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = SeenKeys()
        self.fresh = count()
        self.sequences = count(1)
        self.state: dict[IslandId, set[int]] = {island: set() for island in ISLANDS}
        """What the state in hand of each island holds."""
        self.on_its_way: tuple[int, set[int]] | None = None
        self.durable: set[int] = set()
        """What some durable checkpoint holds."""
        self.announced: list[int] = []
        self.said_at: dict[tuple[str, str], float] = {}
        self.now = 0.0

    def report(self, island: IslandId, number: int) -> None:
        fresh = [next(self.fresh) for _ in range(number)]
        self.state[island].update(fresh)
        self.seen.reported(island, b"".join(key.to_bytes(SEEN_KEY_BYTES) for key in fresh))

    @rule(island=st.sampled_from(ISLANDS), number=st.integers(0, 9))
    def a_generation(self, island: IslandId, number: int) -> None:
        self.report(island, number)

    @rule(islands=st.lists(st.sampled_from(ISLANDS), unique=True))
    def save(self, islands: list[IslandId]) -> None:
        sequence = next(self.sequences)
        self.on_its_way = sequence, set().union(*(self.state[island] for island in islands))
        self.seen.saving(sequence, islands)

    @precondition(lambda self: self.on_its_way)
    @rule(is_durable=st.booleans(), is_late=st.booleans())
    def answer(self, is_durable: bool, is_late: bool) -> None:
        assert self.on_its_way is not None
        sequence, held = self.on_its_way
        if is_late:  # About a checkpoint that another has followed since.
            (self.seen.durable if is_durable else self.seen.failed)(sequence - 1)
            return
        self.on_its_way = None
        if is_durable:
            self.durable |= held
            self.seen.durable(sequence)
        else:
            self.seen.failed(sequence)

    @rule(island=st.sampled_from(ISLANDS))
    def lose(self, island: IslandId) -> None:
        """The island goes, and may come back with the state that the store has."""
        self.state[island] &= self.durable
        self.seen.let_go(island)

    @rule()
    def close(self) -> None:
        for island in (A, B):
            self.state[island].clear()
        self.seen.closed(A.run, A.task)
        self.said_at.pop((A.run, A.task), None)

    @rule(seconds=st.sampled_from([0.0, 1.0, SEEN_SECONDS, 60.0]))
    def announce(self, seconds: float) -> None:
        self.now += seconds
        due = self.seen.next_deadline()
        made = self.seen.announce(self.now)
        assert bool(made) == (due <= self.now)
        for run, task, data in made:
            assert 0 < len(data) <= SMALL_MESSAGE
            assert self.now - self.said_at.get((run, task), -SEEN_SECONDS) >= SEEN_SECONDS
            self.said_at[run, task] = self.now
            self.announced += numbers(data)

    @invariant()
    def nothing_is_announced_that_is_not_durable(self) -> None:
        assert self.durable.issuperset(self.announced)

    @invariant()
    def nothing_is_announced_twice(self) -> None:
        assert len(set(self.announced)) == len(self.announced)

    @invariant()
    def what_waits_is_bounded(self) -> None:
        saving = self.seen._saving[1] if self.seen._saving else {}
        assert all(len(waiting) <= SMALL_ROOM for waiting in [*self.seen._reported.values(), *saving.values()])
        assert all(sum(map(len, task.waiting)) <= SMALL_ROOM for task in self.seen._tasks.values())

    def teardown(self) -> None:
        """In the end, what was evaluated last is announced: an island's newest keys are the last to be dropped."""
        for island in ISLANDS:
            self.report(island, 1)
        newest = {max(held) for held in self.state.values()}
        self.save(ISLANDS)
        self.answer(True, False)
        for _ in range(2 * len(ISLANDS)):
            self.announce(SEEN_SECONDS)
        assert newest <= set(self.announced)
        self.nothing_is_announced_that_is_not_durable()
        self.nothing_is_announced_twice()
        assert self.seen.next_deadline() == NEVER


Platform.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestPlatform = pytest.mark.usefixtures("_small_limits")(Platform.TestCase)
