"""Waiting for a condition with a deadline: nobody here sleeps for luck."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20, every: float = 0.02) -> None:
    """Wait until `condition()` is true, looking `every` so many seconds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(every)
