"""Ctrl-C and other wishes that a command end which has started daemons: they come where they do no harm."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Inside `let_in` the first of these signals raises KeyboardInterrupt; before, it waits for that; after, it is too
    late. So what starts daemons and what ends them is never broken off half-way.

    Signals that this process was started without (`nohup`) stay ignored. No daemon inherits any of this: handlers,
    other than ignoring, end with exec.
    """

    def __init__(self) -> None:
        self._is_open = False
        self._is_waiting = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def let_in(self) -> Iterator[None]:
        """What may be interrupted. Raises KeyboardInterrupt, once."""
        self._is_open = True
        try:
            if self._is_waiting:
                raise KeyboardInterrupt
            yield
        finally:
            self._is_open = False

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """What must not be broken off half-way, where it otherwise could be. Raises KeyboardInterrupt at its end."""
        was_open, self._is_open = self._is_open, False
        try:
            yield
        finally:
            self._is_open = was_open
        if was_open and self._is_waiting:
            self._is_open = False
            raise KeyboardInterrupt

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if not self._is_open:
            self._is_waiting = True
            return
        self._is_open = False
        raise KeyboardInterrupt
