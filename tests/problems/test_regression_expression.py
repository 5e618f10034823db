"""Formulas: normal form, canonical text, values, and weights by least squares."""

import math
import operator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distevod.problems.regression.expression import (
    BINARY,
    CONSTANT,
    FUNCTIONS,
    UNARY,
    VARIABLE,
    Tree,
    constant,
    node,
    parse_arguments,
    replaced,
    rounded,
    size,
    subtrees,
    text,
    values,
)
from distevod.problems.regression.formula import Formula, combined, formula_text, parse_formula, terms_of, weighted
from distevod.problems.regression.least_squares import best_weights, centred

numbers = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6))
leaves: st.SearchStrategy[Tree] = st.one_of(
    numbers.map(constant), st.integers(0, 2).map(lambda index: (VARIABLE, index))
)
trees: st.SearchStrategy[Tree] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(node, st.sampled_from(UNARY), inner), st.builds(node, st.sampled_from(BINARY), inner, inner)
    ),
    max_leaves=12,
)
COLUMNS = [[0.5, 1.0, 2.0, 3.0], [-1.0, 0.0, 0.25, 7.0], [1e-3, 1.5, -2.0, 40.0]]


def parsed(source: str) -> Tree:
    (tree,) = parse_arguments(source, 3, 40)
    return tree


def rewritten(source: str) -> str:
    return text(parsed(source))


@given(trees)
def test_text_and_back_is_the_same_tree(tree: Tree) -> None:
    (again,) = parse_arguments(text(tree), 3, size(tree))
    assert again == tree
    assert " " not in text(tree)


@given(
    st.recursive(
        st.one_of(st.integers(-3, 3).map(str), st.sampled_from(["x0", "x1"])),
        lambda inner: st.one_of(
            st.builds("{}({})".format, st.sampled_from(["sin", "cos"]), inner),
            st.builds("{}({},{})".format, st.sampled_from(["add", "sub", "mul"]), inner, inner),
        ),
        max_leaves=12,
    )
)
def test_the_normal_form_changes_no_value(source: str) -> None:
    def meant(x0: float, x1: float) -> float:
        functions = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "sin": math.sin, "cos": math.cos}
        return float(eval(source, functions | {"x0": x0, "x1": x1}))  # noqa: S307 - our own grammar

    columns = [[-1.0, -0.3, 0.4, 1.0], [0.7, -0.9, 0.1, 1.0]]
    assert values(parsed(source), columns, 4) == pytest.approx(list(map(meant, *columns)), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("source", "normal"),
    [
        ("add(x1,x0)", "add(x0,x1)"),
        ("mul(sin(x0),x1)", "mul(x1,sin(x0))"),
        ("sub(x1,x0)", "sub(x1,x0)"),
        ("add(1,2)", "3.0"),
        ("sin(0)", "0.0"),
        ("add(x0,0)", "x0"),
        ("mul(1,x0)", "x0"),
        ("mul(x0,0)", "0.0"),
        ("div(x0,1)", "x0"),
        ("pow(x0,1)", "x0"),
        ("div(1,x0)", "div(1.0,x0)"),
        ("sub(x0,x0)", "0.0"),
        ("div(x0,x0)", "1.0"),
        ("sub(x0,2)", "add(-2.0,x0)"),
        ("sub(x0,0)", "x0"),
        ("add(1,add(2,x0))", "add(3.0,x0)"),
        ("add(x1,add(2,x0))", "add(2.0,add(x0,x1))"),
        ("mul(2,mul(x0,mul(3,x1)))", "mul(6.0,mul(x0,x1))"),
        ("mul(0.5,mul(2,x0))", "x0"),
        ("add(mul(2,x0),mul(3,x0))", "add(mul(2.0,x0),mul(3.0,x0))"),
        ("-0.0", "0.0"),
        ("0.1234567891234", "0.123456789"),
        ("log(-1)", "log(-1.0)"),
        ("div(1,0)", "div(1.0,0.0)"),
        ("exp(1e9)", "exp(1000000000.0)"),
    ],
)
def test_the_normal_form(source: str, normal: str) -> None:
    assert rewritten(source) == normal
    assert rewritten(normal) == normal


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "neither a number nor a variable"),
        ("x3", "x3 does not exist: the task has x0 to x2"),
        ("x", "neither a number nor a variable"),
        ("x٣", "neither a number nor a variable"),
        ("nan", "no finite number"),
        ("1e999", "no finite number"),
        ("foo(x0)", "'foo' is no function; known are add, sub"),
        ("add(x0)", "add takes 2 arguments"),
        ("sin(x0,x1)", "sin takes 1 arguments; '\\)' expected"),
        ("sin(x0", "'\\)' expected"),
        ("sin(x0))", "after the end"),
        ("__import__('os')", "is no function"),
        ("(x0)", "is no function"),
        ("sin(" * 50 + "x0" + ")" * 50, "too large"),
        ("sin(" * 100_000, "too large"),
    ],
    ids=range(15),
)
def test_what_is_no_formula(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_arguments(source, 3, 40)


@given(st.text("x01.,()adsinmul-e", max_size=60))
def test_no_text_crashes_the_parser(source: str) -> None:
    try:
        trees = parse_arguments(source, 3, 40)
    except ValueError:
        return
    assert sum(map(size, trees)) <= 40


def test_values() -> None:
    assert values(parsed("add(x0,mul(x1,x1))"), COLUMNS, 4) == [1.5, 1.0, 2.0625, 52.0]
    assert values(parsed("2.5"), COLUMNS, 4) == [2.5] * 4
    assert values(parsed("sin(x0)"), COLUMNS, 4) == [math.sin(x) for x in COLUMNS[0]]


@pytest.mark.parametrize("source", ["log(x1)", "sqrt(x1)", "div(1,x1)", "exp(exp(x2))", "pow(x1,0.5)", "log(-1)"])
def test_a_formula_without_a_value_somewhere_has_none(source: str) -> None:
    assert values(parsed(source), COLUMNS, 4) is None


@given(trees, trees, st.integers(0, 50))
def test_replacing_a_part(tree: Tree, new: Tree, index: int) -> None:
    parts = list(subtrees(tree))
    assert len(parts) == size(tree)
    index %= len(parts)
    assert replaced(tree, 0, new) == new
    assert replaced(tree, index, parts[index]) == tree
    text(replaced(tree, index, new))


def test_functions_keep_their_place() -> None:
    # Codes order the operands in stored programs: a new function goes to the end.
    names = [function.name for function in FUNCTIONS]
    assert names == ["add", "sub", "mul", "div", "pow", "sin", "cos", "exp", "log", "sqrt"]


@given(st.lists(trees, max_size=5), st.lists(numbers, min_size=40, max_size=40), numbers)
def test_a_formula_and_its_text(parts: list[Tree], weights: list[float], intercept: float) -> None:
    terms = terms_of(parts)
    formula = weighted(intercept, weights[: len(terms)], terms[:40])
    again = parse_formula(formula_text(formula), 3, 200)
    assert again == formula
    assert formula_text(again) == formula_text(formula)


@pytest.mark.parametrize(
    ("source", "terms"),
    [
        ("add(x0,sub(x1,mul(3,x2)))", ["x0", "x1", "x2"]),
        ("mul(2,add(x0,1))", ["x0"]),
        ("3", []),
        ("add(x0,x0)", ["x0"]),
        ("mul(x0,add(1,x1))", ["mul(x0,add(1.0,x1))"]),
    ],
)
def test_terms_are_no_sums_constants_or_multiples(source: str, terms: list[str]) -> None:
    assert list(map(text, terms_of([parsed(source)]))) == terms


@pytest.mark.parametrize(
    ("source", "canonical"),
    [
        ("sum(1.0,x0)", True),
        ("mul(2.0,x0)", True),
        ("3.0", True),
        ("sum(x0)", False),
        ("sum(0.0,x0)", False),
        ("mul(0.0,x0)", False),
        ("sum(1,x0)", False),
    ],
)
def test_only_canonical_text_comes_back(source: str, canonical: bool) -> None:
    assert (formula_text(parse_formula(source, 3, 40)) == source) == canonical


@pytest.mark.parametrize("source", ["sum(x1,x0)", "sum(x0,x0)", "add(x0,x1)", "x0,x1", "sum()", "sum(add(x0,x1),x2)"])
def test_sums_that_are_none(source: str) -> None:
    with pytest.raises(ValueError, match=r"terms|number"):
        parse_formula(source, 3, 40)


def test_combining_adds_weighted_columns() -> None:
    formula = Formula(1.0, (2.0, 1.0), ((VARIABLE, 0), (VARIABLE, 1)))
    assert combined(formula, [[1.0, 2.0], [10.0, 20.0]], 2) == [13.0, 25.0]
    assert combined(Formula(4.0, (), ()), [], 3) == [4.0] * 3


def column(values: list[float]) -> object:
    made = centred(values)
    assert made is not None
    return made


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_weights_are_those_of_least_squares(seed: int, count: int) -> None:
    numpy = pytest.importorskip("numpy")
    rng = Random(seed)
    columns = [[rng.gauss(rng.uniform(-5, 5), 1) for _ in range(20)] for _ in range(count)]
    y = [rng.gauss(0, 1) + sum(column[i] for column in columns) for i in range(20)]
    weights = best_weights([column(values) for values in columns], column(y))  # type: ignore[arg-type,misc]
    design = numpy.array([*columns, [1.0] * 20]).T
    expected = numpy.linalg.lstsq(design, numpy.array(y), rcond=None)[0]
    assert weights == pytest.approx(list(expected[:-1]), rel=1e-6, abs=1e-9)


def test_dependent_and_useless_columns_get_no_weight() -> None:
    x = [1.0, 2.0, 3.0, 5.0]
    square = [a * a for a in x]
    y = [3 * a + 1 for a in x]
    flat = [7.0] * 4
    columns = [column(values) for values in (flat, x, [2 * a - 1 for a in x], square)]
    weights = best_weights(columns, column(y))  # type: ignore[arg-type]
    assert weights == pytest.approx([0, 3, 0, 0], abs=1e-12)
    assert [bool(weight) for weight in weights] == [False, True, False, False]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e200])
def test_what_cannot_be_calculated_with_is_no_column(wrong: float) -> None:
    assert centred([1.0, wrong]) is None


def test_rounding_keeps_nine_digits_and_no_negative_zero() -> None:
    assert rounded(math.pi) == 3.14159265
    assert math.copysign(1, rounded(-0.0)) == 1
    assert constant(2.0) == (CONSTANT, 2.0)
