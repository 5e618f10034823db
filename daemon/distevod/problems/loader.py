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
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import msgspec
from blake3 import blake3

from distevo.errors import ProblemError, said_by

BUILT_IN = {
    "grids": "distevod.problems.grids:Grids",
    "onemax": "distevod.problems.onemax:OneMax",
    "regression": "distevod.problems.regression:Regression",
}
"""The problems that ship with distevo. Their `version` tells them apart, so they carry no digest."""

ENTRY_POINT_GROUP = "distevo.problems"

SOURCE_LIMIT_BYTES = 1 << 20
"""Longest problem file: it stands in the run's object, which every platform reads."""

_MACHINERY = {str(Path(__file__).with_name(name)) for name in ("loader.py", "check.py", "task_data.py", "trial.py")}
"""Files whose lines mean nothing to the author of a problem."""


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
        return data.decode("utf-8-sig")
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
    name, attribute = _split(_target(ref.reference), ref.reference)
    if ref.reference not in BUILT_IN:
        _check_digest(ref, resolve(ref.reference).digest)
    try:
        module = importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if ref.reference in BUILT_IN and isinstance(error, ModuleNotFoundError):
            extra = f"pip install '.[{ref.reference}]' in distevo's folder"
            raise ProblemError(f"problem {ref.reference} needs {error.name}; install it with: {extra}") from error
        raise ProblemError(f"importing {name} failed: {described(error)}") from error
    return _class_in(module, attribute, ref.reference)


def described(error: BaseException, file: str | None = None) -> str:
    """One line for the author of a problem: what was raised, and by which of their lines.

    `file`: the problem's own file, whose last line in the traceback is meant; without it, the last line of all.
    """
    said = said_by(error)
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename not in _MACHINERY
    ]
    frames = [frame for frame in frames if frame.filename == file] or frames
    if not frames:
        return what
    line = f": {frames[-1].line}" if frames[-1].line else ""
    return f"{what} ({Path(frames[-1].filename).name}, line {frames[-1].lineno}{line})"


def _is_file(reference: str) -> bool:
    return reference.endswith(".py") or reference.rpartition(":")[0].endswith(".py")


def _split(target: str, reference: str) -> tuple[str, str]:
    """Module or file, and class. Raises `ProblemError` where the class is not named."""
    module, _, attribute = target.rpartition(":")
    if not module or not attribute.isidentifier():
        raise ProblemError(f"{reference!r} names no class; write it behind a colon: {module or target}:Class")
    return module, attribute


def _target(reference: str) -> str:
    """`module:Class` for any reference but a file's."""
    if ":" in reference:
        return reference
    if reference in BUILT_IN:
        return BUILT_IN[reference]
    from importlib.metadata import entry_points  # Costs more than a worker's whole start, and is seldom needed.

    offered = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if reference in offered:
        return f"{offered[reference].module}:{offered[reference].attr}"
    names = sorted({*BUILT_IN, *offered})
    raise ProblemError(
        f"no problem is called {reference!r}{_meant(reference, names)}; known are {', '.join(names)}; "
        "your own is given as module:Class or file.py:Class"
    )


def _meant(word: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches  # which only a mistake has to pay for

    near = get_close_matches(word, names, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _module_source(module: str, reference: str) -> bytes:
    """What the digest of a module is made of: its file; of a package, every Python file in it, with its path."""
    spec = _spec(module)
    if spec is None:
        raise ProblemError(
            f"{reference}: no module named {module!r} here; install it in the environment of distevod, or submit it "
            "as file.py:Class"
        )
    if spec.submodule_search_locations:
        parts: list[bytes] = []
        for folder in map(Path, spec.submodule_search_locations):
            for path in sorted(folder.rglob("*.py")):
                data = path.read_bytes()
                parts.append(f"{path.relative_to(folder)} {len(data)}\n".encode() + data)
        return b"".join(parts)
    if not spec.has_location or spec.origin is None:
        raise ProblemError(f"{reference}: {module} has no source to make a digest of")
    return Path(spec.origin).read_bytes()


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is, found without importing the packages above it: that would run their code."""
    first, *rest = module.split(".")
    if not all(part.isidentifier() for part in (first, *rest)):
        return None
    spec = find_spec(first)
    name, paths = first, None if spec is None else spec.submodule_search_locations
    for part in rest:
        if paths is None:
            return None
        name = f"{name}.{part}"
        try:
            spec = PathFinder.find_spec(name, paths)
        except KeyError:
            # A folder without __init__.py, which is sought by way of the package above it, as that is imported.
            spec, paths = None, [str(folder) for path in paths if (folder := Path(path, part)).is_dir()]
        else:
            paths = None if spec is None else spec.submodule_search_locations
    return spec


def _check_digest(ref: ProblemRef, digest: str) -> None:
    if digest != ref.digest:
        raise ProblemError(
            f"{ref.reference} is other code here (digest {digest[:16]}) than what the run was submitted with "
            f"({ref.digest[:16]}); install the same version on all platforms, or submit it as file.py:Class"
        )


def _execute(name: str, source: str, digest: str) -> ModuleType:
    """A module made from a file's text. It is entered in `sys.modules`, where dataclasses look for it."""
    module = ModuleType(f"distevo_file_{digest[:16]}")
    module.__file__ = name
    # So that tracebacks show the lines of a file that need not exist on this platform.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[module.__name__]
        what = f"importing {name} failed: {described(error, name)}"
        if isinstance(error, ModuleNotFoundError):
            what += "; the file travels alone: what it imports has to be installed, not to lie beside it"
        raise ProblemError(what) from error
    return module


def _class_in(module: ModuleType, attribute: str, reference: str) -> type:
    found = getattr(module, attribute, None)
    if isinstance(found, type):
        return found
    classes = [
        name for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__
    ]
    has = f"its classes are {', '.join(classes)}" if classes else "it has no class"
    if found is None:
        raise ProblemError(f"{reference}: there is no {attribute!r}{_meant(attribute, classes)}; {has}")
    raise ProblemError(f"{reference}: {attribute} is no class but {type(found).__name__}; {has}")
