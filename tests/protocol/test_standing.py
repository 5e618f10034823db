"""How far islands are, as their owners tell it."""

from __future__ import annotations

import msgspec
import pytest

from distevo.events import IslandId
from distevo.messages import Heartbeat, IslandDiversity, IslandProgress
from distevo.progress import Progress
from distevo.standing import MAX_AHEAD, NOBODY, Standing

HERE, THERE = IslandId("r", "t", 0), IslandId("r", "t", 1)


def heartbeat(
    *islands: IslandId, generation: int = 1, evaluations: int = 10, seconds: float = 5.0, interval: float = 5.0
) -> Heartbeat:
    told = [IslandProgress(*island, 1, generation, evaluations, 0, seconds, False) for island in islands]
    return Heartbeat(incarnation=0, progress=1, interval=interval, epoch=1, version=1, islands=told)


def test_what_a_member_no_longer_names_is_not_its_own() -> None:
    standing = Standing()
    standing.heard("a", "a1", heartbeat(HERE, THERE), 1.0)
    standing.heard("a", "a1", heartbeat(THERE), 2.0)
    assert list(standing.islands) == [THERE]


def test_not_even_when_it_was_thought_gone_meanwhile() -> None:
    standing = Standing()
    standing.heard("a", "a1", heartbeat(HERE, THERE), 1.0)
    standing.forget("a")
    assert set(standing.islands) == {HERE, THERE}  # they were begun
    standing.heard("a", "a1", heartbeat(THERE), 9.0)
    assert list(standing.islands) == [THERE]


def test_nor_is_what_another_has_now() -> None:
    standing = Standing()
    standing.heard("a", "a1", heartbeat(HERE), 1.0)
    standing.heard("b", "b1", heartbeat(HERE), 2.0)
    standing.heard("a", "a1", heartbeat(), 3.0)
    assert standing.islands[HERE][0] == "b"


def test_what_a_boot_had_begun_is_nobodys_once_another_speaks() -> None:
    standing = Standing()
    standing.heard("a", "a1", heartbeat(HERE, THERE), 1.0)
    standing.forget("a")
    standing.heard("a", "a2", heartbeat(), 9.0)
    assert {island: member for island, (member, _) in standing.islands.items()} == {HERE: NOBODY, THERE: NOBODY}
    assert standing.counted(HERE) == (10, 0, 5.0)
    standing.heard("b", "b1", heartbeat(HERE, evaluations=15), 12.0)
    assert standing.islands[HERE][0] == "b"


def test_what_an_evaluation_of_a_run_takes_is_the_mean_over_its_islands() -> None:
    standing = Standing()
    standing.heard("a", "a1", heartbeat(HERE, evaluations=10, seconds=5.0), 1.0)
    standing.heard("b", "b1", heartbeat(THERE, evaluations=30, seconds=5.0), 1.0)
    standing.heard("c", "c1", heartbeat(IslandId("other", "t", 0), evaluations=0, seconds=0.0), 1.0)
    assert standing.seconds_per_evaluation() == {"r": pytest.approx(0.25)}


def test_of_runs_that_no_plan_has_few_are_measured() -> None:
    standing = Standing()
    for number in range(10 * MAX_AHEAD):
        told = heartbeat(IslandId(f"r{number}", "t", 0))
        told = msgspec.structs.replace(told, diversity=[IslandDiversity(1, 0.0, 0.0, False)])
        standing.heard("a", "a1", told, float(number))
    assert len(standing._progress) == MAX_AHEAD
    assert len(standing.islands) == len(standing.diversity) == 1


def test_a_run_that_goes_on_is_measured_from_there() -> None:
    progress = Progress()
    progress.evaluated(10, 1.0, 100.0)
    progress.finished()
    progress.evaluated(10, 360.0, 460.0)
    progress.over()
    assert progress.tasks_per_hour() == 10.0
    progress.goes_on()
    assert progress.tasks_per_hour() == 0.0
    progress.evaluated(10, 1.0, 9000.0)
    progress.finished()
    progress.evaluated(10, 360.0, 9360.0)
    assert progress.tasks_per_hour() == 10.0


def test_what_is_told_after_the_end_of_a_run_is_no_work() -> None:
    standing = Standing()
    standing.heard("a", "a1", heartbeat(HERE), 0.0)
    standing.heard("a", "a1", heartbeat(HERE, generation=2, seconds=365.0), 360.0)
    progress = standing.progress("r")
    progress.finished()
    progress.over()
    standing.heard("a", "a1", heartbeat(HERE, generation=3, seconds=370.0), 385.0)
    assert (progress.tasks_per_hour(), progress.evaluations_per_s(385.0)) == (10.0, 0.0)


def test_a_pause_is_no_work() -> None:
    progress = Progress()
    for second in range(3601):
        progress.evaluated(10, 1.0, float(second))
    progress.finished()
    assert (progress.tasks_per_hour(), progress.eta_s(2)) == (1.0, 7200.0)
    assert progress.is_worked_on(3620.0)
    assert not progress.is_worked_on(7200.0)
    progress.evaluated(10, 1.0, 7200.0)
    assert progress.tasks_per_hour() == pytest.approx(1.0, rel=0.01)


def test_long_evaluations_are_work() -> None:
    progress = Progress()
    for minute in range(0, 61, 5):
        progress.evaluated(1, 300.0, 60.0 * minute)
    progress.finished()
    assert (progress.tasks_per_hour(), progress.is_worked_on(3890.0)) == (1.0, True)


def test_what_was_done_before_an_island_changed_owners_is_not_done_then() -> None:
    standing = Standing()
    standing.heard("a", "a1", heartbeat(HERE, seconds=1.0), 0.0)
    standing.heard("a", "a1", heartbeat(HERE, generation=2, seconds=3600.0), 3600.0)
    standing.heard("a", "a1", heartbeat(), 3605.0)
    standing.progress("r").finished()
    assert standing.progress("r").tasks_per_hour() == 1.0
    # It waited for two hours.
    standing.heard("b", "b1", heartbeat(HERE, generation=3, seconds=3601.0), 10_800.0)
    assert standing.progress("r").tasks_per_hour() == pytest.approx(1.0, rel=0.01)
    assert not standing.progress("r").is_worked_on(10_900.0)


def test_islands_that_share_a_worker_and_are_heard_of_by_mail_are_worked_on_all_the_time() -> None:
    standing = Standing()
    for minutes in range(0, 61, 2):
        # A quarter of the time is theirs.
        told = heartbeat(HERE, generation=minutes + 1, seconds=15.0 * minutes, interval=120.0)
        standing.heard("a", "a1", told, 60.0 * minutes)
    standing.progress("r").finished()
    assert standing.progress("r").tasks_per_hour() == 1.0
    assert standing.progress("r").is_worked_on(3719.0)


def test_signs_of_life_of_an_island_that_does_not_go_on_are_no_work() -> None:
    standing = Standing()
    for second in range(0, 3601, 10):
        standing.heard("a", "a1", heartbeat(HERE), float(second))
    standing.progress("r").finished()
    assert standing.progress("r").tasks_per_hour() == 3600.0


def test_work_of_a_moment_is_no_measure_of_an_hour() -> None:
    progress = Progress()
    progress.evaluated(10, 0.01, 100.0)
    progress.finished()
    progress.evaluated(10, 0.01, 100.01)
    assert progress.tasks_per_hour() == 3600.0
