"""Which checkpoints of a store may go."""

from __future__ import annotations

import random

import pytest

from distevo.events import IslandId
from distevo.keeper import COVERING_SNAPSHOTS, Mark
from distevo.plan import IslandPlace, Plan, RunPlan, RunState, TaskPlan, TaskState
from distevo.pruning import is_over, judge
from distevo.run import Budget, ProblemUse

ISLAND = IslandId("run", "t", 0)


def planned(
    grant: int, owner: str = "a-1", state: TaskState = TaskState.OPEN, run: RunState = RunState.RUNNING
) -> Plan:
    """A plan in which the island has this owner under this grant; its run's first grant is 3."""
    task = TaskPlan(state=state, islands=[IslandPlace(owner, grant, [])])
    entry = RunPlan(
        object="inbox/run-run-1", first_grant=3, state=run, problem=ProblemUse("p", "d", "p", "1"), islands_per_task=1,
        budget=Budget(None, 1), tasks={"t": task},
    )  # fmt: skip
    return Plan(epoch=1, version=1, runs={"run": entry}, next_grant=10)


def goes(plan: Plan, *marks: Mark) -> list[bool]:
    """Whether objects with one of these marks each go."""
    verdicts = judge(plan, {str(at): [mark] for at, mark in enumerate(marks)})
    return [verdicts[str(at)].goes for at in range(len(marks))]


def test_what_two_later_ones_of_the_owner_cover_goes() -> None:
    own = [Mark(ISLAND, 5, sequence, {}) for sequence in (1, 2, 3, 4)]
    assert goes(planned(5), *own) == [True, True, False, False]
    assert goes(planned(5), *own[:2]) == [False, False]
    before = Mark(ISLAND, 4, 7, {})
    cover = [Mark(ISLAND, 5, 1, {}), Mark(ISLAND, 5, 2, {4: 6}), Mark(ISLAND, 5, 3, {4: 7}), Mark(ISLAND, 5, 4, {4: 7})]
    assert goes(planned(5), before, *cover) == [True, True, True, False, False]
    assert goes(planned(5), before, *cover[:3]) == [False, True, False, False]


def test_only_the_present_owner_counts() -> None:
    former = [Mark(ISLAND, 4, sequence, {}) for sequence in (1, 2, 3)]
    assert goes(planned(5), *former) == [False, False, False]
    assert goes(planned(5, owner=""), *former) == [False, False, False]
    assert goes(planned(4), *former) == [True, False, False]


@pytest.mark.parametrize(
    ("plan", "grant", "island", "is_it"),
    [
        (planned(5), 5, ISLAND, False),
        (planned(5), 2, ISLAND, True),  # of a deleted run of the same name
        (planned(5), 5, IslandId("other", "t", 0), True),
        (planned(5), 12, IslandId("other", "t", 0), False),  # of a run that a later plan has taken in
        (planned(5), 5, IslandId("run", "t", 7), True),
        (planned(5, state=TaskState.DONE), 5, ISLAND, True),
        (planned(5, state=TaskState.DONE), 10, ISLAND, False),  # a later plan has extended it
        (planned(5, run=RunState.CANCELLED), 5, ISLAND, False),  # its result is still to be made
        (planned(5, run=RunState.FAILED), 5, ISLAND, False),  # its object cannot be read: extended, it goes on
    ],
)
def test_what_is_over_goes(plan: Plan, grant: int, island: IslandId, is_it: bool) -> None:
    assert is_over(plan, island, grant) == is_it
    verdict = judge(plan, {"x": [Mark(island, grant, 1, {})]})["x"]
    assert (verdict.goes, verdict.reason == "its tasks are over") == (is_it, is_it)


def test_every_island_of_an_object_counts_and_the_reason_names_one() -> None:
    done, later = IslandId("gone", "t", 0), Mark(ISLAND, 11, 1, {})
    verdicts = judge(planned(5), {"x": [Mark(done, 5, 1, {}), later], "y": [], "z": [Mark(ISLAND, 5, 1, {}), later]})
    assert verdicts["x"] == (False, "run/t/0 was given by a later plan")
    assert verdicts["y"].goes
    assert verdicts["z"].reason == "run/t/0 is covered by 0 of 2 checkpoints of its owner, and 1 more"


def known(mark: Mark) -> set[tuple[int, int]]:
    """(grant, sequence) of all that went into a snapshot, itself included."""
    spans = [*mark.cover.items(), (mark.grant, mark.sequence)]
    return {(grant, sequence) for grant, most in spans for sequence in range(1, most + 1)}


@pytest.mark.parametrize("seed", range(200))
def test_nothing_is_lost_however_late_a_delete_comes(seed: int) -> None:
    """Owners come and go, take in what lies in the store, and write; whoever prunes may know an old plan, and sleep."""
    rng = random.Random(seed)
    store: dict[str, Mark] = {}
    written: dict[str, Mark] = {}
    doomed: list[str] = []
    owners: dict[int, tuple[int, dict[int, int]]] = {3: (0, {})}
    """Of each grant, the last sequence and what it covers; the last of them is the owner, as far as plans go."""
    for step in range(80):
        what = rng.random()
        grant = max(owners)
        if what < 0.1 and grant < 9:
            owners[grant + 1] = 0, {}
        elif what < 0.7:
            # Sometimes one that was cut off, and does not know that it owns nothing any more.
            writer = rng.choice([grant, grant, *owners])
            sequence, cover = owners[writer]
            if not sequence or rng.random() < 0.2:
                found = {at for mark in store.values() for at in known(mark) if at[0] < writer} | set(cover.items())
                cover = {by: max(most for other, most in found if other == by) for by, _ in found}
            owners[writer] = sequence + 1, cover
            store[str(step)] = written[str(step)] = Mark(ISLAND, writer, sequence + 1, cover)
        elif what < 0.85:
            verdicts = judge(planned(rng.randint(3, grant)), {name: [mark] for name, mark in store.items()})
            doomed += [name for name, verdict in verdicts.items() if verdict.goes]
        else:
            rng.shuffle(doomed)
            for name in doomed[: rng.randint(0, len(doomed))]:
                store.pop(name, None)
    for name in doomed:
        store.pop(name, None)
    for name, mark in written.items():
        holders = sum((mark.grant, mark.sequence) in known(other) for other in store.values())
        assert name in store or holders >= COVERING_SNAPSHOTS
