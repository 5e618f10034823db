"""A process whose children use a store and are killed at a chosen call of the operating system.

Reads one order a line from standard input, forks a child that carries it out, and answers with one line:

    {"root": path, "script": [[verb, argument, ...], ...], "kill_at": n, "wait": false}
    {"confirmed": steps that the child saw return, "signal": of its death or 0, "exit": code, "calls": [...]}

With `kill_at` the child kills itself just before its n-th call, counted from 0, of those that touch a file (also
what `pathlib` calls).  With `wait` it stops itself before the first, says so (`{"stopped": pid}`), and whoever wants
may attach a tracer and let it go on.  A step is a verb of the store, or `open`.  A child that was not killed tells
the names of its calls, one list for each step.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distevo.errors import Conflict, NotFound
from distevod.store import FolderStore

COUNTED = ("open", "write", "fsync", "close", "link", "mkdir", "unlink", "rmdir", "stat", "scandir")

real_write = os.write


def count_calls(kill_at: int | None) -> list[str]:
    """Wrap the calls of `os`; return the list that they are noted in."""
    calls: list[str] = []

    def note(name: str) -> None:
        if len(calls) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append(name)

    def wrapped(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            note(name)
            return call(*arguments, **named)

        return counted

    for name in COUNTED:
        setattr(os, name, wrapped(name, getattr(os, name)))
    return calls


def carry_out(order: dict[str, Any], confirm: int) -> None:
    """The child: run the script, and write a byte to `confirm` after each step."""
    calls: list[str] = []
    ends = [0]
    if order.get("wait"):
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        calls = count_calls(order["kill_at"])
    store = None
    for verb, *arguments in order["script"]:
        if verb == "open":
            store = FolderStore(Path(order["root"]), keep_seconds=0.0)
        else:
            values = [value.encode() if place == 1 else value for place, value in enumerate(arguments)]
            with contextlib.suppress(Conflict, NotFound):
                getattr(store, verb)(*values)
        ends.append(len(calls))
        real_write(confirm, b".")
    real_write(confirm, json.dumps([calls[start:end] for start, end in itertools.pairwise(ends)]).encode())


def run(order: dict[str, Any]) -> dict[str, Any]:
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        carry_out(order, sink)
        os._exit(0)
    os.close(sink)
    if order.get("wait"):
        os.waitpid(child, os.WUNTRACED)
        say({"stopped": child})
    with os.fdopen(source, "rb") as pipe:
        heard = pipe.read()
    _, status = os.waitpid(child, 0)
    confirmed = len(heard) - len(heard.lstrip(b"."))
    return {
        "confirmed": confirmed,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "exit": os.waitstatus_to_exitcode(status),
        "calls": json.loads(heard[confirmed:] or "[]"),
    }


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    for line in sys.stdin:
        say(run(json.loads(line)))
