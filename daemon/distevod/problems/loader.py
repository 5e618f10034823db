"""From a reference to a problem class.

A reference is what a person types after `--problem`:

- `grids`: a problem that ships with distevo, or one that an installed package offers under the entry point group
  `distevo.problems`.
- `module:Class`: an installed module. It travels as the reference and a digest of its source, so that a platform
  with other code says so instead of evolving something else.
- `file.py:Class`: a file. Its text travels with the run, and is what is executed, wherever the file may be.
"""

import importlib
import linecache
import sys
import traceback
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import msgspec
from blake3 import blake3

from distevo.errors import ProblemError

BUILT_IN = {
    "grids": "distevod.problems.grids:Grids",
    "onemax": "distevod.problems.onemax:OneMax",
    "regression": "distevod.problems.regression:Regression",
}
"""The problems that ship with distevo. Their `version` tells them apart, so they carry no digest."""

ENTRY_POINT_GROUP = "distevo.problems"

SOURCE_LIMIT_BYTES = 1 << 20
"""Longest problem file: it stands in the run's object, which every platform reads."""


class ProblemRef(msgspec.Struct, frozen=True):
    """Which code a problem is, in a form that can travel."""

    reference: str
    """`grids`, `module:Class` or `file.py:Class` (the file's name only, no folder)."""
    source: str | None
    """The file's text, where it is a file."""
    digest: str
    """BLAKE3 of the source of the file or module, hexadecimal; empty for what ships with distevo."""


def read_source(reference: str) -> str | None:
    """The text of the file that a reference names, or None where it names no file.

    Raises `ProblemError` where the file cannot be read. For whoever submits: daemons get the text, never the path.
    """
    if not _is_file(reference):
        return None
    path = Path(reference.rpartition(":")[0])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProblemError(f"problem file {path}: {error.strerror or error}") from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ProblemError(f"problem file {path} is not UTF-8 text: {error}") from error


def resolve(reference: str, source: str | None = None) -> ProblemRef:
    """What a reference means here, without running any of its code.

    Raises `ProblemError` where there is no such problem, module or source, with the nearest name that exists.
    """
    if _is_file(reference):
        name = Path(reference).name
        if source is None:
            raise ProblemError(f"{name}: the text of the file is needed with the reference; use read_source")
        if len(source.encode()) > SOURCE_LIMIT_BYTES:
            raise ProblemError(f"{name}: longer than {SOURCE_LIMIT_BYTES:,} bytes")
        return ProblemRef(name, source, blake3(source.encode()).hexdigest())
    if source is not None:
        raise ProblemError(f"{reference!r} names no file; a file's reference is file.py:Class")
    if reference in BUILT_IN:
        return ProblemRef(reference, None, "")
    module, _ = _split(_target(reference), reference)
    return ProblemRef(reference, None, blake3(_module_source(module, reference)).hexdigest())


def load(ref: ProblemRef) -> type:
    """The problem's class. Runs the user's code: the module's, or the file's from `ref.source`.

    Raises `ProblemError` where it is not there, is not what `ref.digest` says, raises on import, or is no class.
    """
    if ref.source is not None:
        found = resolve(ref.reference, ref.source)
        _check_digest(ref, found.digest)
        name, attribute = _split(ref.reference, ref.reference)
        return _class_in(_execute(name, ref.source, ref.digest), attribute, ref.reference)
    target = _target(ref.reference)
    name, attribute = _split(target, ref.reference)
    if ref.reference not in BUILT_IN:
        _check_digest(ref, resolve(ref.reference).digest)
    try:
        module = importlib.import_module(name)
    except MissingExtraError:
        raise
    except (Exception, SystemExit) as error:
        raise ProblemError(f"importing {name} failed: {raised(error)}") from error
    return _class_in(module, attribute, ref.reference)
