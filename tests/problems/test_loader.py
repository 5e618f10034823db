"""From `--problem` to a class: what is found, and what is said when it is not."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from blake3 import blake3

from distevo.errors import ProblemError
from distevod.problems.loader import BUILT_IN, SOURCE_LIMIT_BYTES, ProblemRef, load, read_source, resolve
from distevod.problems.onemax import OneMax


@dataclass
class Installed:
    """A package in a folder that is on `sys.path`."""

    folder: Path

    def write(self, name: str, source: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Installed(tmp_path)
    for name in set(sys.modules) - before:
        del sys.modules[name]


def load_text(source: str, name: str = "mine.py:Mine") -> type:
    return load(resolve(name, source))


def test_every_problem_that_ships_loads() -> None:
    for name in BUILT_IN:
        ref = resolve(name)
        assert ref == ProblemRef(name, None, "")
        assert load(ref).name == name  # type: ignore[attr-defined]
    assert load(resolve("onemax")) is OneMax


def test_a_mistyped_name_gets_the_nearest_one() -> None:
    with pytest.raises(ProblemError) as caught:
        resolve("regresion")
    assert "no problem is called 'regresion' (did you mean 'regression'?)" in str(caught.value)
    assert "known are grids, onemax, regression" in str(caught.value)
    assert "module:Class or file.py:Class" in str(caught.value)


def test_a_module_is_found_with_the_digest_of_its_file(installed: Installed) -> None:
    installed.write("mymodule.py", "class Mine: pass\n")
    ref = resolve("mymodule:Mine")
    assert ref == ProblemRef("mymodule:Mine", None, blake3(b"class Mine: pass\n").hexdigest())
    assert "mymodule" not in sys.modules  # finding it runs nothing
    assert load(ref).__module__ == "mymodule"


def test_the_digest_of_a_package_covers_all_of_it(installed: Installed) -> None:
    installed.write("mypackage/__init__.py", "from mypackage.inner import Mine\n")
    installed.write("mypackage/inner.py", "class Mine: pass\n")
    before = resolve("mypackage:Mine")
    inner = resolve("mypackage.inner:Mine")
    installed.write("mypackage/inner.py", "class Mine: changed = True\n")
    assert resolve("mypackage:Mine").digest != before.digest
    assert resolve("mypackage.inner:Mine").digest != inner.digest
    assert "mypackage" not in sys.modules


def test_a_module_in_folders_that_are_no_packages_of_their_own(installed: Installed) -> None:
    installed.write("mypackage/__init__.py", "")
    installed.write("mypackage/plain/deeper/inner.py", "class Mine: pass\n")
    installed.write("plain/inner.py", "class Mine: pass\n")
    for module in ("mypackage.plain.deeper.inner", "plain.inner"):
        ref = resolve(f"{module}:Mine")
        assert module.partition(".")[0] not in sys.modules
        assert load(ref).__module__ == module


def test_a_module_that_is_other_code_here_is_refused(installed: Installed) -> None:
    installed.write("mymodule.py", "class Mine: pass\n")
    ref = resolve("mymodule:Mine")
    installed.write("mymodule.py", "class Mine: changed = True\n")
    with pytest.raises(ProblemError) as caught:
        load(ref)
    here = resolve("mymodule:Mine").digest
    assert f"other code here (digest {here[:16]})" in str(caught.value)
    assert f"submitted with ({ref.digest[:16]})" in str(caught.value)
    assert "install the same version" in str(caught.value)
    assert "mymodule" not in sys.modules  # nor was it run


@pytest.mark.parametrize("name", ["no_such_module:Mine", "json.no_such:Mine", "json.decoder.deeper:Mine", "a b:Mine"])
def test_a_module_that_is_not_there(name: str) -> None:
    with pytest.raises(ProblemError, match=r"no module named .* here; install it .* or submit it as file\.py:Class"):
        resolve(name)


def test_a_module_without_source_cannot_travel() -> None:
    with pytest.raises(ProblemError, match="no source to make a digest of"):
        resolve("sys:Mine")


@pytest.mark.parametrize("name", ["json:", ":Mine", "json:Mine()", "mine.py", "mine.py:"])
def test_a_reference_names_a_class(name: str) -> None:
    with pytest.raises(ProblemError, match="names no class; write it behind a colon"):
        load(resolve(name, "class Mine: pass" if ".py" in name else None))


def test_a_file_is_run_from_its_text_and_its_path_is_forgotten() -> None:
    ref = resolve("/nowhere/at/all/mine.py:Mine", "class Mine: pass\n")
    assert ref == ProblemRef("mine.py:Mine", "class Mine: pass\n", blake3(b"class Mine: pass\n").hexdigest())
    assert load(ref).__name__ == "Mine"


def test_a_file_with_dataclasses_and_annotations_loads() -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n"
        "@dataclass\nclass Mine:\n    task: dict[str, int]\n"
    )
    assert load_text(source)({"a": 1}).task == {"a": 1}


def test_each_load_of_a_file_is_fresh() -> None:
    first, second = load_text("class Mine: seen = []\n"), load_text("class Mine: seen = []\n")
    assert first is not second


def test_a_file_whose_text_was_changed_on_the_way_is_refused() -> None:
    with pytest.raises(ProblemError, match="other code here"):
        load(ProblemRef("mine.py:Mine", "class Mine: evil = True\n", blake3(b"class Mine: pass\n").hexdigest()))


def test_a_file_needs_its_text_and_only_a_file_takes_one() -> None:
    with pytest.raises(ProblemError, match="the text of the file is needed"):
        resolve("mine.py:Mine")
    with pytest.raises(ProblemError, match="names no file"):
        resolve("onemax", "class OneMax: pass")
    with pytest.raises(ProblemError, match="longer than 1,048,576 bytes"):
        resolve("mine.py:Mine", "#" * (SOURCE_LIMIT_BYTES + 1))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\ny = 1 / 0\n", "importing mine.py failed: ZeroDivisionError: division by zero (mine.py, line 2: y"),
        ("def f():\n    return {}['a']\nf()\n", "KeyError: 'a' (mine.py, line 2: return {}['a'])"),
        ("import json\njson.loads('{')\n", "(mine.py, line 2: json.loads('{'))"),
        ("x = (\n", "SyntaxError: '(' was never closed (mine.py, line 1)"),
        ("x = '\x00'\n", "importing mine.py failed: "),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' (mine.py, line 1"),
        ("import beside\n", "import beside); the file travels alone: what it imports has to be installed, not to lie"),
        (
            "class Panic(BaseException):\n def __str__(self): return 1 / 0\nraise Panic\n",
            "importing mine.py failed: Panic: its words raised (mine.py, line 3: raise Panic)",
        ),
        ("raise SystemExit(3)\n", "SystemExit: 3 (mine.py, line 1"),
        ("assert False\n", "importing mine.py failed: AssertionError (mine.py, line 1: assert False)"),
        ("class Min: pass\nclass B: pass\n", "there is no 'Mine' (did you mean 'Min'?); its classes are Min, B"),
        ("", "there is no 'Mine'; it has no class"),
        ("Mine = 3\n", "Mine is no class but int"),
        ("def Mine(task): pass\n", "Mine is no class but function"),
    ],
)  # fmt: skip
def test_a_broken_file_is_explained_to_its_author(source: str, message: str) -> None:
    before = set(sys.modules)
    with pytest.raises(ProblemError) as caught:
        load_text(source)
    assert message in str(caught.value)
    if "there is no" not in message and "is no class" not in message:
        assert not [name for name in set(sys.modules) - before if name.startswith("distevo_file_")]


def test_a_module_that_raises_on_import_names_its_line(installed: Installed) -> None:
    installed.write("raising.py", "x = 1\nraise ValueError('mine')\n")
    with pytest.raises(ProblemError, match=r"importing raising failed: ValueError: mine \(raising.py, line 2: raise"):
        load(resolve("raising:Mine"))


def test_a_name_that_an_installed_package_offers(installed: Installed) -> None:
    installed.write("offering.py", "class Offered: pass\n")
    installed.write("offering-1.0.dist-info/entry_points.txt", "[distevo.problems]\nmine = offering:Offered\n")
    installed.write("offering-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    assert [point.name for point in entry_points(group="distevo.problems")] == ["mine"]
    ref = resolve("mine")
    assert ref == ProblemRef("mine", None, blake3(b"class Offered: pass\n").hexdigest())
    assert load(ref).__name__ == "Offered"
    with pytest.raises(ProblemError, match="known are grids, mine, onemax, regression"):
        resolve("other")


def test_whoever_submits_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text("class Mine: pass\n", encoding)
        assert read_source(f"{path}:Mine") == "class Mine: pass\n"
    assert read_source("onemax") is None
    assert read_source("module:Mine") is None
    with pytest.raises(ProblemError, match=r"none\.py: No such file"):
        read_source(f"{tmp_path}/none.py:Mine")
    path.write_bytes(b"\xff")
    with pytest.raises(ProblemError, match="not UTF-8 text"):
        read_source(f"{path}:Mine")
