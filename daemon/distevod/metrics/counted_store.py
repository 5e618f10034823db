"""A store that counts what is asked of it, whoever asks: the node, checkpoints, and the commands of people."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from distevo.errors import Conflict, NotFound, StoreUnavailable, Unknown
from distevo.events import Outcome
from distevod.store import Store

KINDS = ("read", "create", "replace", "list", "delete")
FAULT = "fault"
"""The outcome of a request that was wrong, or failed in a way that no store should."""
OUTCOMES = (*(outcome.value for outcome in Outcome), FAULT)

_OUTCOME_OF: dict[type[Exception], Outcome] = {
    NotFound: Outcome.MISSING,
    Conflict: Outcome.CONFLICT,
    Unknown: Outcome.UNKNOWN,
    StoreUnavailable: Outcome.UNAVAILABLE,
}


class CountedStore:
    """Does what the store does, and may be used from as many threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.swap_interval, self.mail_interval = store.swap_interval, store.mail_interval
        self.checkpoint_interval = store.checkpoint_interval
        self._lock = threading.Lock()
        self._requests = {(kind, outcome): 0 for kind in KINDS for outcome in OUTCOMES}
        self._seconds = dict.fromkeys(KINDS, 0.0)

    def counts(self) -> tuple[dict[tuple[str, str], int], dict[str, float]]:
        """Requests by kind and outcome, and by kind the seconds that all of them took, those that failed too."""
        with self._lock:
            return self._requests.copy(), self._seconds.copy()

    def billed(self) -> dict[str, int]:
        """As `Store.billed`."""
        return self._store.billed()

    def read(self, name: str) -> tuple[bytes, int]:
        """As `Store.read`."""
        with self._counting("read"):
            return self._store.read(name)

    def create(self, name: str, data: bytes) -> int:
        """As `Store.create`."""
        with self._counting("create"):
            return self._store.create(name, data)

    def replace(self, name: str, data: bytes, token: int) -> int:
        """As `Store.replace`."""
        with self._counting("replace"):
            return self._store.replace(name, data, token)

    def list(self, prefix: str) -> list[str]:
        """As `Store.list`."""
        with self._counting("list"):
            return self._store.list(prefix)

    def delete(self, name: str) -> None:
        """As `Store.delete`."""
        with self._counting("delete"):
            self._store.delete(name)

    @contextmanager
    def _counting(self, kind: str) -> Iterator[None]:
        begun, outcome = time.perf_counter(), Outcome.DONE.value
        try:
            yield
        except Exception as error:
            outcome = next((known.value for of, known in _OUTCOME_OF.items() if isinstance(error, of)), FAULT)
            raise
        finally:
            seconds = time.perf_counter() - begun
            with self._lock:
                self._requests[kind, outcome] += 1
                self._seconds[kind] += seconds
