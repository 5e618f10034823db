"""`grids` behind the contract: real tasks solved, whole sweeps in shares, the same every time, nothing hidden seen."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from itertools import islice
from random import Random
from typing import Any

import numpy as np
import pytest

from distevo.problem import Contract
from distevod.problems.grids import Grids
from distevod.problems.grids.expression import Expression

SOLVED_AT_ONCE = {
    "007bbfb7": "kron",
    "00d62c1b": "fill holes with a literal colour",
    "0520fde7": "halves combined by a fitted table",
    "1cf80156": "crop",
    "1e0a9b12": "gravity",
    "22168020": "lines joined",
    "3af2c5a8": "mirrored both ways",
    "67385a82": "neighbours counted, colours fitted",
    "6fa7a44f": "mirrored",
    "9172f3a0": "upscaled",
    "c8f0f002": "colour map",
    "d511f180": "colour map",
}
"""Training tasks that fall within the first nodes, and by what."""
FIRST_NODES = 2500
DATA = Grids.tasks(",".join(SOLVED_AT_ONCE))


def guess(task: dict[str, Any]) -> tuple[Grids, Expression | None]:
    """The smallest fit program of the first nodes of the sweep."""
    problem = Grids(task)
    fits = [n[0] for n in islice(problem.sweep(0, 1), FIRST_NODES) if n is not None and n[1]["fit"]]
    return problem, min(fits, key=lambda g: (len(problem.encode(g)), problem.encode(g)), default=None)


def solved(task: dict[str, Any]) -> bool:
    problem, found = guess(task)
    assert problem.verify is not None
    return found is not None and problem.verify(found)


@pytest.mark.parametrize("name", SOLVED_AT_ONCE)
def test_a_real_task_is_solved(name: str) -> None:
    assert solved(DATA[name])


def each_grid(task: dict[str, Any], change: Any) -> dict[str, Any]:
    return {
        part: [{side: change(np.array(grid)).tolist() for side, grid in pair.items()} for pair in pairs]
        for part, pairs in task.items()
    }


@pytest.mark.parametrize("name", SOLVED_AT_ONCE)
def test_a_solve_survives_other_colours(name: str) -> None:
    colours = np.array([0, 4, 7, 1, 9, 2, 3, 8, 6, 5])
    assert solved(each_grid(DATA[name], lambda grid: colours[grid]))


@pytest.mark.parametrize("name", SOLVED_AT_ONCE)
def test_a_solve_survives_transposing(name: str) -> None:
    assert solved(each_grid(DATA[name], np.transpose))


def test_the_contract_holds_on_a_real_task() -> None:
    contract = Contract(Grids(DATA["67385a82"]))
    assert contract.has_sweep
    assert contract.has_crossover
    assert contract.has_verify
    rng = Random(5)
    genome = contract.seeds(rng)[0]
    for _ in range(300):
        genome = contract.crossover(contract.mutate(genome, rng), contract.random(rng), rng)
        contract.decode_canonical(contract.encode(genome))
        contract.evaluate(genome)
    panels = contract.panels(contract.decode(b"g1:dye2(near4(x),x)"))
    assert [title for title, _ in panels[:3]] == ["train 0 input", "train 0 program", "train 0 output"]
    assert panels[1][1] == panels[2][1]


def test_a_sweep_yields_what_evaluate_says() -> None:
    for name in ("0520fde7", "22168020"):
        problem, again = Grids(DATA[name]), Grids(DATA[name])
        nodes = list(islice(problem.sweep(0, 1), 4000))
        programs = [n for n in nodes if n is not None]
        assert len(programs) > 500
        for genome, outcome in programs[::5]:
            assert again.evaluate(again.decode(problem.encode(genome))) == outcome
            assert outcome["fit"] == (outcome["fitness"] == 1.0)


def test_a_sweep_meets_each_behaviour_and_each_program_once() -> None:
    problem = Grids(DATA["22168020"])
    programs = [n for n in islice(problem.sweep(0, 1), 5000) if n is not None]
    texts = [problem.encode(genome) for genome, _ in programs]
    assert len(set(texts)) == len(texts)
    plain = [o["behaviour"] for (g, o), text in zip(programs, texts, strict=True) if b"dye" not in text]
    assert len(set(plain)) > 0.95 * len(plain)


def test_shares_are_disjoint_and_the_same_every_time() -> None:
    task = DATA["22168020"]
    shares = []
    for share in range(3):
        problem = Grids(task)
        walk = list(islice(problem.sweep(share, 3), 1500))
        assert walk == list(islice(Grids(task).sweep(share, 3), 1500))
        shares.append({problem.encode(n[0]) for n in walk if n is not None})
    assert all(shares)
    assert not shares[0] & shares[1]
    assert not shares[0] & shares[2]
    assert not shares[1] & shares[2]


def test_together_the_shares_hold_all_of_depth_1() -> None:
    task = DATA["22168020"]
    problem = Grids(task)
    whole = {problem.encode(n[0]) for n in islice(problem.sweep(0, 1), 300) if n is not None}
    parts: set[bytes] = set()
    for share in range(3):
        parts |= {problem.encode(n[0]) for n in islice(Grids(task).sweep(share, 3), 300) if n is not None}
    assert {text for text in whole if text.count(b"(") <= 1} <= parts


def test_a_sweep_is_resumed_by_discarding() -> None:
    task = DATA["6fa7a44f"]
    whole = list(islice(Grids(task).sweep(0, 2), 1200))
    assert list(islice(Grids(task).sweep(0, 2), 700, 1200)) == whole[700:]


SCRIPT = """
from itertools import islice
from random import Random
import hashlib
from distevod.problems.grids import Grids
problem = Grids(Grids.tasks("0520fde7")["0520fde7"])
rng = Random("seed")
seen = hashlib.sha256()
for node in islice(problem.sweep(0, 1), 2000):
    seen.update(b"-" if node is None else problem.encode(node[0]) + node[1]["behaviour"])
genome = problem.random(rng)
for _ in range(300):
    genome = problem.crossover(problem.mutate(genome, rng), problem.random(rng), rng)
    seen.update(problem.encode(genome) + repr(problem.evaluate(genome)).encode())
print(seen.hexdigest())
"""


def test_another_process_with_other_hashes_does_the_same() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_test_outputs_change_nothing_but_verify() -> None:
    task = DATA["6fa7a44f"]
    other = copy.deepcopy(task)
    other["test"][0]["output"] = [[9]]
    a, b = Grids(task), Grids(other)
    assert list(islice(a.sweep(0, 1), 1500)) == list(islice(b.sweep(0, 1), 1500))
    genome = a.decode(b"g1:mirror_v(x)")
    assert a.evaluate(genome) == b.evaluate(genome)
    assert a.verify is not None
    assert b.verify is not None
    assert a.verify(genome)
    assert not b.verify(genome)


def test_equal_on_training_and_other_on_test_inputs_are_two_behaviours() -> None:
    task = {
        "train": [{"input": [[1, 1]], "output": [[1, 1]]}],
        "test": [{"input": [[1, 2]], "output": [[1, 2]]}],
    }
    problem = Grids(task)
    same, mirrored = problem.evaluate(problem.decode(b"g1:x")), problem.evaluate(problem.decode(b"g1:flip_h(x)"))
    assert same is not None
    assert mirrored is not None
    assert same["fit"]
    assert mirrored["fit"]
    assert same["behaviour"] != mirrored["behaviour"]


def test_an_error_inside_makes_a_program_invalid() -> None:
    task = {"train": [{"input": [[0]], "output": [[0]]}], "test": [{"input": [[0]]}]}
    problem = Grids(task)
    for text in (b"g1:crop(x)", b"g1:first(objs8(x))", b"g1:trim(x)", b"g1:recolor(x,most)"):
        assert problem.evaluate(problem.decode(text)) is None
    rows = [[1] * 30 for _ in range(30)]
    large = Grids({"train": [{"input": rows, "output": rows}], "test": [{"input": rows}]})
    for text in (b"g1:upscale(x,9)", b"g1:kron(x,x)", b"g1:tile_own(x)", b"g1:mirror_h(x)", b"g1:pad(x,1)"):
        assert large.evaluate(large.decode(text)) is None


def test_fitness_rises_with_agreement() -> None:
    task = {
        "train": [{"input": [[1, 2], [3, 4]], "output": [[1, 2], [3, 5]]}],
        "test": [{"input": [[1, 2]], "output": [[1, 2]]}],
    }
    problem = Grids(task)
    outcomes = [problem.evaluate(problem.decode(t)) for t in (b"g1:x", b"g1:rot180(x)", b"g1:twice_h(x)")]
    values = [o["fitness"] for o in outcomes if o is not None]
    assert len(values) == 3
    assert 1 > values[0] > values[1] > values[2] > 0
