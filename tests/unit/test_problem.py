"""The contract: what a problem must have, and how mistakes in it are reported."""

import math
import timeit
from collections.abc import Callable
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Any

import pytest
from blake3 import blake3

from distevo.errors import ProblemError
from distevo.problem import INVALID, SEEDS_LIMIT, Contract, Evaluation
from distevo.program import MAX_GENOME_BYTES, keyer


class Complete:
    """The least that a problem must have: numbers near 0 are good."""

    name = "complete"
    version = "1"

    def random(self, rng: Random) -> Any:
        return rng.random()

    def mutate(self, genome: Any, rng: Random) -> Any:
        return genome + rng.gauss(0, 1)

    def evaluate(self, genome: Any) -> Any:
        return -abs(genome)

    def encode(self, genome: Any) -> Any:
        return repr(genome).encode()

    def decode(self, data: bytes) -> Any:
        return float(data)


def with_member(member: str, function: Callable[..., Any]) -> Contract:
    """`Complete` with one member replaced."""
    return Contract(type("Changed", (Complete,), {member: staticmethod(function)})())


def evaluating(outcome: Any) -> Evaluation:
    return with_member("evaluate", lambda genome: outcome).evaluate(1.0)


def test_a_complete_problem_works_through_its_contract() -> None:
    contract = Contract(Complete())
    rng = Random(1)
    genome = contract.mutate(contract.random(rng), rng)
    assert contract.decode(contract.encode(genome)) == genome
    assert contract.evaluate(genome) == ((-abs(genome),), False, b"", None)
    assert contract.evaluate_batch([1.0, 2.0]) == [((-1.0,), False, b"", None), ((-2.0,), False, b"", None)]
    assert contract.seeds(rng) == []
    assert contract.panels(genome) == []
    assert (contract.name, contract.version) == ("complete", "1")
    assert contract.keyer(b"0.5") == keyer("complete", "1")(b"0.5")
    assert [contract.has_crossover, contract.has_sweep, contract.has_verify] == [False] * 3
    contract.decode_canonical(b"0.5")


def test_everything_that_is_missing_is_named_in_one_error() -> None:
    class Empty:
        version = 3
        mutate = 4

    with pytest.raises(ProblemError) as caught:
        Contract(Empty())
    message = str(caught.value)
    for expected in (
        "problem Empty is not complete",
        'name: missing; add: name = "..."',
        "version: is 3 (int); must be text of 1 to 128 bytes",
        "random: missing; add: random(rng) -> a new genome",
        "mutate: is 4 (int), not a method",
        "evaluate: missing",
        "encode: missing",
        "decode: missing",
    ):
        assert expected in message
    assert "crossover" not in message  # it is optional


@pytest.mark.parametrize("name", ["", "x" * 129, "ä" * 65])
def test_a_name_has_a_length(name: str) -> None:
    with pytest.raises(ProblemError, match="name: is"):
        Contract(type("Named", (Complete,), {"name": name})())


def test_a_class_instead_of_an_instance_is_refused() -> None:
    with pytest.raises(ProblemError, match="Complete is a class"):
        Contract(Complete)


@pytest.mark.parametrize("member", ["random", "mutate", "decode", "crossover"])
def test_no_genome_is_an_error_that_names_the_member(member: str) -> None:
    contract = with_member(member, lambda *arguments: None)
    arguments = {"random": (0,), "mutate": (0, 0), "decode": (b"",), "crossover": (0, 0, 0)}[member]
    with pytest.raises(ProblemError, match=rf"Changed\.{member} returned None; expected: {member}\("):
        getattr(contract, member)(*arguments)


@pytest.mark.parametrize("data", ["text", None, bytearray(b"x"), 7])
def test_encode_must_return_bytes(data: object) -> None:
    with pytest.raises(ProblemError, match=r"Changed\.encode returned .*; return bytes"):
        with_member("encode", lambda genome: data).encode(1.0)


def test_encode_must_not_return_too_many_bytes() -> None:
    with pytest.raises(ProblemError, match=r"encode returned 1,048,577 bytes; at most 1,048,576"):
        with_member("encode", lambda genome: bytes(MAX_GENOME_BYTES + 1)).encode(1.0)


def test_an_encoding_that_is_not_canonical_is_found() -> None:
    contract = with_member("encode", lambda genome: f"{genome:.2f}".encode())
    contract.decode_canonical(b"0.50")
    with pytest.raises(ProblemError, match=r"not canonical: b'0\.501' .* encodes to b'0\.50'"):
        contract.decode_canonical(b"0.501")


def test_encodings_that_begin_alike_are_shown_from_where_they_differ() -> None:
    contract = with_member("encode", lambda genome: b"0" * 100 + f"{genome:.2f}".encode())
    with pytest.raises(ProblemError, match=r"bytes: from byte 103 on b'1' \(bytes\) in place of b'09' \(bytes\);"):
        contract.decode_canonical(b"0" * 100 + b"0.509")


@pytest.mark.parametrize(
    ("outcome", "fitness"),
    [
        (1.5, (1.5,)),
        (2, (2.0,)),
        (True, (1.0,)),
        (Decimal("0.5"), (0.5,)),
        (math.inf, (math.inf,)),
        (-math.inf, (-math.inf,)),
        ({"fitness": 2}, (2.0,)),
        ({"fitness": [1, 2.5]}, (1.0, 2.5)),
        ({"fitness": (1.0,)}, (1.0,)),
        (MappingProxyType({"fitness": 3.0}), (3.0,)),
    ],
)
def test_what_a_fitness_may_be(outcome: object, fitness: tuple[float, ...]) -> None:
    evaluation = evaluating(outcome)
    assert evaluation == (fitness, False, b"", None)
    assert evaluation.fitness is not None
    assert all(type(number) is float for number in evaluation.fitness)


@pytest.mark.parametrize("outcome", [None, {"fitness": None}, {"fitness": None, "fit": False}])
def test_an_invalid_program_has_no_fitness(outcome: object) -> None:
    assert evaluating(outcome) == INVALID


def test_numpy_scalars_and_arrays_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    assert evaluating(numpy.float32(0.5)) == ((0.5,), False, b"", None)
    assert evaluating({"fitness": numpy.array([1, 2]), "fit": numpy.bool_(True)}) == (
        (1.0, 2.0),
        True,
        b"",
        None,
    )
    assert evaluating({"fitness": 1.0, "metrics": {"steps": numpy.int64(3)}}).metrics == {"steps": 3.0}
    with pytest.raises(ProblemError, match="NaN"):
        evaluating(numpy.float64("nan"))
    with pytest.raises(ProblemError, match="it must be a number"):
        evaluating(numpy.array([1.0, 2.0]))
    assert with_member("verify", lambda genome: numpy.bool_(False)).verify(1.0) is False


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (math.nan, "a fitness that is NaN; return None for a program that is invalid"),
        ({"fitness": math.nan}, "NaN"),
        ({"fitness": [1.0, math.nan]}, "NaN"),
        ("1.0", "returned fitness = '1.0' (str); it must be a number"),
        ((1.0,), "returned (1.0,) (tuple); return a number, or of several {'fitness': (first, second)}"),
        (1j, "it must be a number"),
        (10**400, "scale it down"),
        ({}, "a mapping without 'fitness'"),
        ({"fitnes": 1.0}, "a mapping without 'fitness'"),
        ({"fitness": []}, "0 fitness numbers; give 1 to 255"),
        ({"fitness": [0.0] * 256}, "256 fitness numbers; give 1 to 255"),
        ({"fitness": 1.0, "behavior": b"x"}, "'behavior'; known are fitness, fit, behaviour, metrics"),
        ({"fitness": 1.0, "fit": 1}, "returned 'fit' = 1 (int); it must be True or False"),
        ({"fitness": 1.0, "fit": None}, "'fit' = None; it must be True or False"),
        ({"fitness": None, "fit": True}, "an invalid program cannot be fit"),
        ({"fitness": 1.0, "behaviour": "x"}, "returned 'behaviour' = 'x' (str); it must be bytes"),
        ({"fitness": 1.0, "metrics": 3}, "it must be numbers by name"),
        ({"fitness": 1.0, "metrics": {1: 1}}, "it must be numbers by name"),
        ({"fitness": 1.0, "metrics": {"a": "b"}}, "metrics['a'] = 'b' (str); it must be a number"),
    ],
)
def test_what_evaluate_must_not_return(outcome: object, message: str) -> None:
    for contract, member in (
        (with_member("evaluate", lambda genome: outcome), "evaluate"),
        (with_member("evaluate_batch", lambda genomes: [outcome for _ in genomes]), "evaluate_batch"),
    ):
        with pytest.raises(ProblemError) as caught:
            contract.evaluate(1.0) if member == "evaluate" else contract.evaluate_batch([1.0])
        assert message in str(caught.value)
        assert str(caught.value).startswith(f"Changed.{member} ")


def test_a_mistake_is_found_after_good_answers_too() -> None:
    answers: list[Any] = [1.0, {"fitness": 1.0, "fit": False}, math.nan]
    contract = with_member("evaluate", lambda genome: answers[int(genome)])
    assert contract.evaluate(0).fitness == contract.evaluate(1).fitness == (1.0,)
    with pytest.raises(ProblemError, match="NaN"):
        contract.evaluate(2)


@pytest.mark.parametrize("outcomes", [[1.0, [1.0, 2.0]], [[1.0, 2.0], 1.0]])
def test_a_second_number_of_fitness_numbers_is_refused(outcomes: list[Any]) -> None:
    contract = with_member("evaluate", lambda genome: {"fitness": outcomes[genome]})
    contract.evaluate(0)
    with pytest.raises(ProblemError, match=r"returned \d fitness numbers where it returned \d before"):
        contract.evaluate(1)


def test_behaviour_becomes_its_digest() -> None:
    evaluation = evaluating({"fitness": 1.0, "fit": True, "behaviour": b"abc", "metrics": {"steps": 3}})
    assert evaluation == ((1.0,), True, blake3(b"abc").digest(8), {"steps": 3.0})
    assert evaluating({"fitness": 1.0, "behaviour": b""}).behaviour == b""
    assert evaluating({"fitness": 1.0, "behaviour": None}).behaviour == b""


def test_both_ways_through_evaluate_agree() -> None:
    # The first call looks closely, later ones take the short way.
    outcome = {"fitness": 1.0, "fit": True, "behaviour": b"abc"}
    contract = with_member("evaluate", lambda genome: outcome)
    first = contract.evaluate(0)
    second = contract.evaluate(0)
    assert first == second
    assert type(first) is type(second) is Evaluation


def test_exceptions_of_the_problem_pass_through() -> None:
    def failing(*arguments: Any) -> Any:
        raise ZeroDivisionError("mine")

    for member, arguments in (("random", (0,)), ("evaluate", (0,)), ("encode", (0,)), ("verify", (0,))):
        with pytest.raises(ZeroDivisionError, match="mine"):
            getattr(with_member(member, failing), member)(*arguments)


def test_a_batch_has_one_outcome_for_each_genome() -> None:
    contract = with_member("evaluate_batch", lambda genomes: [-genome for genome in genomes])
    assert [e.fitness for e in contract.evaluate_batch((1.0, 2.0))] == [(-1.0,), (-2.0,)]
    with pytest.raises(ProblemError, match="returned 1 outcomes for 2 genomes"):
        with_member("evaluate_batch", lambda genomes: [1.0]).evaluate_batch([1.0, 2.0])
    with pytest.raises(ProblemError, match="returned None; return a list"):
        with_member("evaluate_batch", lambda genomes: None).evaluate_batch([1.0])


def test_seeds() -> None:
    assert with_member("seeds", lambda rng: (number for number in (1.0, 2.0))).seeds(0) == [1.0, 2.0]
    for wrong in (None, 3, "text", b"bytes", {"a": 1}):
        with pytest.raises(ProblemError, match=r"seeds returned .*; return a list of genomes"):
            with_member("seeds", lambda rng, wrong=wrong: wrong).seeds(0)
    with pytest.raises(ProblemError, match="seeds gave None at position 1"):
        with_member("seeds", lambda rng: [1.0, None]).seeds(0)


def test_seeds_without_an_end_are_stopped() -> None:
    def endless(rng: Any) -> Any:
        while True:
            yield 1.0

    with pytest.raises(ProblemError, match=f"more than {SEEDS_LIMIT:,} genomes"):
        with_member("seeds", endless).seeds(0)


def test_verify() -> None:
    contract = with_member("verify", lambda genome: genome > 0)
    assert contract.has_verify
    assert contract.verify(1.0) is True
    assert contract.verify(-1.0) is False
    with pytest.raises(ProblemError, match="verify returned None; return True or False"):
        with_member("verify", lambda genome: None).verify(1.0)


def test_what_is_optional_and_absent_says_so() -> None:
    contract = Contract(Complete())
    with pytest.raises(ProblemError, match=r"verify does not exist; to use it, add: verify\(genome\)"):
        contract.verify(1.0)
    with pytest.raises(ProblemError, match="crossover does not exist"):
        contract.crossover(1.0, 2.0, 0)
    with pytest.raises(ProblemError, match="sweep does not exist"):
        contract.sweep(0, 1)


def test_an_instance_may_declare_that_it_has_nothing_to_verify() -> None:
    class Sometimes(Complete):
        def __init__(self, hidden: bool) -> None:
            if not hidden:
                self.verify = None

        def verify(self, genome: Any) -> bool:
            return True

    assert Contract(Sometimes(hidden=True)).has_verify
    assert not Contract(Sometimes(hidden=False)).has_verify


def test_sweep_gives_checked_evaluations_and_starts_lazily() -> None:
    started = []

    def sweep(share: int, shares: int) -> Any:
        started.append((share, shares))
        yield None
        yield 1.0, {"fitness": 2.0, "fit": True, "behaviour": b"abc"}
        yield 2.0, None

    contract = with_member("sweep", sweep)
    assert contract.has_sweep
    walk = contract.sweep(1, 3)
    assert started == []
    assert next(walk) is None
    assert started == [(1, 3)]
    assert list(walk) == [(1.0, ((2.0,), True, blake3(b"abc").digest(8), None)), (2.0, INVALID)]


@pytest.mark.parametrize("node", [3, "ab", (1.0,), (None, 1.0), [1.0, 1.0]])
def test_a_sweep_gives_none_or_pairs(node: object) -> None:
    with pytest.raises(ProblemError, match=r"sweep gave .*; give None or a pair"):
        list(with_member("sweep", lambda share, shares: iter([node])).sweep(0, 1))


def test_a_sweep_that_is_no_iterator_and_shares_that_do_not_exist() -> None:
    contract = with_member("sweep", lambda share, shares: None)
    with pytest.raises(ProblemError, match="sweep returned None; return an iterator"):
        list(contract.sweep(0, 1))
    for share, shares in ((1, 1), (-1, 1), (0, 0)):
        with pytest.raises(ValueError, match="shares"):
            contract.sweep(share, shares)


def test_panels() -> None:
    assert with_member("panels", lambda genome: [("in", ((0, 9),))]).panels(1.0) == [("in", [[0, 9]])]
    for wrong in (
        None,
        [("in",)],
        [(1, [[0]])],
        [("in", [[10]])],
        [("in", [["0"]])],
        [("in", 3)],
        [("in", [])],
        [("in", [[]])],
        [("in", [[1], [1, 2]])],
    ):
        with pytest.raises(ProblemError, match=r"Changed\.panels"):
            with_member("panels", lambda genome, wrong=wrong: wrong).panels(1.0)


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(ProblemError) as caught:
        evaluating("x" * 10_000)
    assert len(str(caught.value)) < 200


def test_a_plain_number_costs_next_to_nothing() -> None:
    # Three times the target of 0.4 us: this guards against a slow path, the benchmark measures.
    contract = with_member("evaluate", lambda genome: 1.0)
    contract.evaluate(0)
    # Short, and often: of a loop that takes longer than a turn of the processor, each repeat waits for other work.
    repeats = 1_000
    bare = min(timeit.repeat(lambda: 1.0, number=repeats, repeat=100))
    guarded = min(timeit.repeat(lambda: contract.evaluate(0), number=repeats, repeat=100))
    assert (guarded - bare) / repeats < 1.2e-6
