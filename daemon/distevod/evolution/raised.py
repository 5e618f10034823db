"""What a problem's own code raises: which of it concerns its program only, and how it is told."""

from __future__ import annotations

import traceback

from distevo.errors import DistevoError, ProblemError, ProgramError, said_by
from distevo.messages import MAX_TEXT_BYTES

RAISED = (BaseException,)
"""Whatever it is: `sys.exit`, a cancelled coroutine or a panic in Rust, which are no `Exception`, end no worker, which
has other work too."""


def spoils_one(error: BaseException) -> bool:
    """Whether only the program is invalid of which this was raised. Not so where memory is lacking, of which the worker
    dies, nor where the problem breaks its contract as such."""
    return isinstance(error, ProgramError) or not isinstance(error, (MemoryError, ProblemError))


def told(text: str) -> str:
    """A text of the problem's as it may be stored and sent: of bounded length, and UTF-8 whatever was in it."""
    return text[:MAX_TEXT_BYTES].encode(errors="backslashreplace").decode()[:MAX_TEXT_BYTES]


def words(error: BaseException) -> str:
    """An exception for whoever wrote the problem: its type, its words, and which line raised it. One of distevo's own
    says all in its words."""
    if isinstance(error, DistevoError):
        return told(said_by(error))
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = told(f"{last.name} in {last.filename.rpartition('/')[2]}")[:200] + f", line {last.lineno}"
    said = said_by(error)  # Nothing, of a bare assert.
    return told(f"{type(error).__name__}: {said}" if said else type(error).__name__) + f" ({where})"
