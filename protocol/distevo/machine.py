"""Transition tables: each small state machine of the protocol, written down once.

A machine of the protocol is a table of rows (state, event) -> (next state, what is done). The code steps through
the table and through nothing else, the specification's tables and the manual's diagrams are made from it, and a
check counts that every row has been taken. An event that has no row in a state is a fault of the program
(`LocalProtocolError`): what others may do wrong has a row everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from distevo.errors import LocalProtocolError

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class Row(NamedTuple, Generic[S]):
    """What an event does in a state."""

    next: S
    does: str
    """In a few words, for the specification."""


class Table(Generic[S, E]):
    """One machine's rows."""

    def __init__(self, name: str, initial: S, rows: Mapping[tuple[S, E], tuple[S, str]]) -> None:
        self.name, self.initial = name, initial
        self.rows: dict[tuple[S, E], Row[S]] = {at: Row(*row) for at, row in rows.items()}

    def step(self, state: S, event: E) -> S:
        """The state after `event`. Raises LocalProtocolError where the table has no such row."""
        row = self.rows.get((state, event))
        if row is None:
            raise LocalProtocolError(f"{self.name}: nothing is written down for {event.value!r} in {state.value!r}")
        return row.next
