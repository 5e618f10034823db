"""The outbox, while the store is away and when it is back."""

from __future__ import annotations

from collections.abc import Callable

from distevo.alarms import NEVER
from distevo.attic import KEEP_SECONDS, Attic
from distevo.events import Outcome, StoreAnswer
from distevo.instructions import DeleteObject, ListObjects, Log, ReadObject
from distevo.outbox import AT_ONCE, SILENCE_SECONDS, Outbox


class Asker:
    """Reads objects of a store that answers as it is told."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.outcome = Outcome.UNAVAILABLE
        self.refused: set[str] = set()
        """Names that are not answered whatever `outcome` says."""
        self.now = 100.0
        self.tries: dict[str, list[float]] = {}
        self.answered: list[str] = []
        self.logs: list[tuple[str, str]] = []

    def read(self, name: str) -> None:
        self.outbox.read(name, self._taken(name))
        self.settle()

    def _taken(self, name: str) -> Callable[[StoreAnswer, float], None]:
        return lambda _answer, _now: self.answered.append(name)

    def settle(self) -> None:
        """Answer all that is asked at this moment."""
        while instructions := self.outbox.take():
            for instruction in instructions:
                if isinstance(instruction, Log):
                    self.logs.append((instruction.level, instruction.message))
                    continue
                assert isinstance(instruction, ReadObject)
                self.tries.setdefault(instruction.name, []).append(self.now - 100)
                outcome = Outcome.UNKNOWN if instruction.name in self.refused else self.outcome
                self.outbox.answered(StoreAnswer(instruction.op, outcome, reason="away"), self.now)

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.outbox.next_deadline()) <= end:
            self.now = max(self.now, due)
            self.outbox.tick(self.now)
            self.settle()
        self.now = end


GONE = ("warning", "the store does not answer; asking again until it does")
BACK = ("info", "the store answers again")


def test_a_store_that_is_away_is_asked_less_and_less_often() -> None:
    asker = Asker()
    asker.read("a")
    asker.pass_time(100)
    assert asker.tries["a"] == [0, 1, 3, 7, 15, 31, 61, 91]


def test_an_outage_is_two_lines_however_many_wait() -> None:
    asker = Asker()
    for name in "abc":
        asker.read(name)
    asker.pass_time(600)
    assert asker.logs == [GONE]
    asker.outcome = Outcome.MISSING
    asker.pass_time(30)
    assert asker.logs == [GONE, BACK]
    assert sorted(asker.answered) == ["a", "b", "c"]
    assert asker.outbox.next_deadline() == NEVER
    asker.outcome = Outcome.UNKNOWN
    asker.read("d")
    assert asker.logs == [GONE, BACK, GONE], "the next outage is told of, too"


def test_one_answer_makes_all_due_at_once() -> None:
    asker = Asker()
    for name in "ab":
        asker.read(name)
    asker.pass_time(40)
    asker.outcome = Outcome.MISSING
    asker.read("new")
    asker.pass_time(0)
    assert asker.answered == ["new", "a", "b"]


def test_answers_to_others_do_not_make_a_refused_request_hurry_within_its_first_second() -> None:
    asker = Asker()
    asker.outcome, asker.refused = Outcome.MISSING, {"a"}
    asker.read("a")
    for number in range(10):
        asker.read(f"other-{number}")
        asker.pass_time(0.05)
    assert asker.tries["a"] == [0]
    asker.pass_time(0.6)
    assert asker.tries["a"] == [0, 1]
    assert asker.logs == [GONE], "others are answered, and that is no news while one is not"


def test_a_store_that_has_much_to_do_is_in_no_trouble_as_long_as_it_answers() -> None:
    """As when a run with thousands of results is deleted, of which a few go at a time."""
    outbox = Outbox()
    for number in range(60):
        outbox.delete(f"results/r/{number}")
    asked = [instruction for instruction in outbox.take() if isinstance(instruction, DeleteObject)]
    for second, instruction in enumerate(asked[:-1], 1):
        outbox.answered(StoreAnswer(instruction.op, Outcome.DONE), float(second))
        assert outbox.trouble(second + 0.5) is None
    trouble = outbox.trouble(60.0 + SILENCE_SECONDS)
    assert trouble is not None
    assert trouble.since == 60.0 - AT_ONCE


def test_a_store_that_answers_reads_and_no_writes_is_in_trouble() -> None:
    """As a file system that is frozen."""
    outbox = Outbox()
    outbox.swap("cluster", b"", 1, lambda _answer, _now: None)
    outbox.take()
    for second in range(1, 41):
        outbox.now = float(second)
        for _ in range(2 * AT_ONCE):
            outbox.list("inbox/", lambda _answer, _now: None)
        for instruction in outbox.take():
            assert isinstance(instruction, ListObjects)
            outbox.answered(StoreAnswer(instruction.op, Outcome.DONE), outbox.now)
    trouble = outbox.trouble(40.0)
    assert trouble is not None
    assert trouble.since == 0.0


def test_what_is_delayed_is_not_hastened() -> None:
    asker = Asker()
    done: list[float] = []
    asker.outbox.later(110.0, done.append)
    asker.read("a")
    assert asker.outbox.next_deadline() == 101.0
    asker.outcome = Outcome.MISSING
    asker.pass_time(5)
    assert (asker.outbox.next_deadline(), done) == (110.0, [])
    asker.pass_time(5)
    assert done == [110.0]


def test_the_attic_lets_plans_go_an_hour_after_they_were_put_there_last() -> None:
    outbox = Outbox()
    attic = Attic(outbox)
    assert attic.next_deadline() == NEVER
    for now, name in enumerate(["a", "b", "c", "a"]):
        attic.put(name, float(now))
    gone: list[tuple[float, list[str]]] = []
    while (due := attic.next_deadline()) < NEVER:
        attic.tick(due - 0.5)
        assert outbox.take() == []
        attic.tick(due)
        gone.append((due - KEEP_SECONDS, [i.name for i in outbox.take() if isinstance(i, DeleteObject)]))
    assert gone == [(1.0, ["b"]), (2.0, ["c"]), (3.0, ["a"])]
