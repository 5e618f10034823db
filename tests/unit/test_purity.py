"""The library takes time and randomness as arguments; what the import check cannot see is looked for here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import distevo

SOURCES = sorted(Path(distevo.__file__).parent.glob("**/*.py"))
EFFECTS = {"open", "print", "input", "hash", "id", "exec", "eval", "compile", "__import__"}


def impurities(source: str) -> list[str]:
    """Calls with effects, or whose value differs between processes, and uses of the global random generator."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in EFFECTS:
            found.append(f"{node.lineno}: {node.func.id}()")
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "random" and node.attr != "Random":
            found.append(f"{node.lineno}: random.{node.attr}")
        if isinstance(node, ast.ImportFrom) and node.module == "random":
            found += [f"{node.lineno}: random.{name.name}" for name in node.names if name.name != "Random"]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_module_has_no_effects(path: Path) -> None:
    assert impurities(path.read_text()) == []


def test_the_check_sees_what_it_looks_for() -> None:
    source = "import random\nfrom random import choice, Random\nopen('x')\nhash(1)\nrandom.random()\nrandom.Random(1)\n"
    assert impurities(source) == ["2: random.choice", "3: open()", "4: hash()", "5: random.random"]
