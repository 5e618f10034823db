"""The archive depends on what was offered, not on when, in which order, or how often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distevo.program import Program, keyer
from distevod.evolution.archive import Archive

KEY_OF = keyer("archive", "1")


def program(genome: int, fitness: int, behaviour: int) -> Program:
    data = b"%d" % genome
    return Program.of(data, KEY_OF(data), (float(fitness),), behaviour=behaviour.to_bytes(8))


# A program's fitness and behaviour are functions of its genome, as with any deterministic problem.
programs = st.lists(
    st.integers(0, 60).map(lambda genome: program(genome, genome * 7 % 11, genome * 5 % 13)), max_size=60
)


def orders(archive: Archive) -> list[bytes]:
    return [kept.genome for kept in archive.programs]


@given(programs, st.lists(st.integers(0, 59), max_size=60), st.integers(1, 8))
def test_order_grouping_and_repetition_do_not_matter(offered: list[Program], again: list[int], size: int) -> None:
    at_once = Archive(size)
    at_once.offer(offered)
    one_by_one = Archive(size)
    for each in reversed(offered):
        one_by_one.offer([each])
    for place in again:
        one_by_one.offer(offered[place : place + 3])
    assert orders(one_by_one) == orders(at_once)


@given(programs, st.integers(1, 8))
def test_it_keeps_the_best_of_each_behaviour(offered: list[Program], size: int) -> None:
    archive = Archive(size, offered)
    best = {}
    for each in sorted(offered, reverse=True):
        best[each.behaviour] = each
    assert orders(archive) == [p.genome for p in sorted(best.values())][:size]


def test_a_smaller_program_of_the_same_behaviour_replaces_a_larger() -> None:
    larger, smaller = program(1000, 5, 1), program(7, 5, 1)
    archive = Archive(10, [larger])
    assert archive.offer([smaller]) == [smaller]
    assert archive.programs == [smaller]


def test_programs_of_unknown_behaviour_stand_for_themselves() -> None:
    one, two = (Program.of(data, KEY_OF(data), (1.0,)) for data in (b"a", b"b"))
    assert len(Archive(10, [one, two])) == 2
