"""Hypothesis strategies for programs: few genomes and few numbers, so that equal keys and ties are common."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from distevo.population import Population
from distevo.program import Program, keyer

# A busy machine must not fail a test that is about results: no example has a time limit.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

PROBLEM, VERSION = "strategies", "1"
key_of = keyer(PROBLEM, VERSION)

numbers = st.sampled_from([0.0, -0.0, 1.0, 0.5, -3.0, float("inf"), float("-inf"), 5e-324])
fitnesses = st.one_of(st.tuples(numbers), st.lists(numbers, min_size=1, max_size=3).map(tuple))
genomes = st.sampled_from([b"", b"a", b"b", b"ab", b"ba", b"abc", b"\x00\xff", b"x" * 70])


def program(genome: bytes, *fitness: float, fit: bool = False, behaviour: bytes = b"", meta: bytes = b"") -> Program:
    """A program keyed as all programs of these tests are."""
    return Program.of(genome, key_of(genome), fitness or (0.0,), fit, behaviour, meta)


programs = st.builds(
    lambda genome, fitness, fit, behaviour, meta: program(genome, *fitness, fit=fit, behaviour=behaviour, meta=meta),
    genomes,
    fitnesses,
    st.booleans(),
    st.sampled_from([b"", b"8 bytes.", b"8 others"]),
    st.sampled_from([b"", b"m", b"n"]),
)
program_lists = st.lists(programs, max_size=12)
populations = program_lists.map(Population)
