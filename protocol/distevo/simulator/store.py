"""The store of a simulation: in memory, with the semantics of a bucket and everything that can go wrong with one.

A request is carried out at some moment between being sent and being answered. Which moment that is, is drawn: at once
or just before the answer, so that answers are as stale as they can be, and races go either way.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Callable
from itertools import islice, takewhile
from typing import Protocol

from msgspec.structs import replace

from distevo.checkpoint import Checkpoint, encode_checkpoint
from distevo.errors import CheckpointError
from distevo.events import Outcome, StoreAnswer
from distevo.instructions import (
    CreateObject,
    DeleteObject,
    ListObjects,
    ReadObject,
    ReplaceObject,
    SaveCheckpoint,
    StoreInstruction,
)
from distevo.names import CLUSTER, checkpoint_name
from distevo.simulator.agenda import Agenda
from distevo.simulator.config import Bucket
from distevo.simulator.faults import StoreAway, StoreFlaky
from distevo.simulator.invariants.violation import Violation

SOUND = "what a node saves can be read again"
TIMEOUT = (1.5, 4.0)
"""Least and most seconds after which a client gives a request up."""
WRITE_INTERVAL = 1.0
"""Seconds for which an object refuses to be written again."""

Content = bytes | Checkpoint
"""Checkpoints are kept as they are until somebody reads them: few are ever read."""
Reply = Callable[[StoreAnswer], None]


class Client(Protocol):
    """Whoever asks the store."""

    member: str
    owner: str
    """`<id>-<boot>`; for a user, a name that no owner has."""
    is_over: bool
    """Whether it is dead: some of what it had asked for never left it."""


class Witness(Protocol):
    """Is told what the store did, in the order in which it did it; the referee of the simulation."""

    def swapped(self, client: Client, data: bytes) -> None: ...
    def created(self, client: Client, name: str, content: Content) -> None: ...
    def deleted(self, name: str) -> None: ...
    def listed(self, client: Client, prefix: str) -> None: ...
    def durable(self, client: Client, checkpoint: Checkpoint, moment: int) -> None: ...


class Store:
    """Objects by name, with a token for each version; one counter numbers all writes."""

    def __init__(self, settings: Bucket, agenda: Agenda, rng: random.Random, witness: Witness) -> None:
        self._settings, self._agenda, self._rng, self._witness = settings, agenda, rng, witness
        self._objects: dict[str, dict[str, tuple[Content, int]]] = {}
        """By first segment of the name, then by name: what is listed together lies together."""
        self._sorted: dict[str, list[str]] = {}
        """By first segment, the names in order."""
        self.moment = 0
        """Writes and listings carried out so far: the order of the store's history."""
        self.requests = {"insert": 0, "list": 0, "read": 0, "miss": 0, "delete": 0}
        """Requests by class, as a bucket charges them; what no answer came to is counted too."""
        self._away: list[StoreAway] = []
        self._flaky: list[StoreFlaky] = []
        self._cluster_written_at = -WRITE_INTERVAL

    # --- what clients ask ------------------------------------------------------------------------

    def ask(self, client: Client, order: StoreInstruction, reply: Reply) -> None:
        """Carry out a store instruction; `reply` is called later, with the answer."""
        self._request(client, order, None, reply)

    def save(self, client: Client, order: SaveCheckpoint, done: Callable[[bool, str], None]) -> None:
        """Write a checkpoint; `done` is called later: whether it is durable for certain, and if not, why."""
        checkpoint = order.checkpoint
        create = CreateObject(0, checkpoint_name(checkpoint.member, checkpoint.boot, order.sequence), b"")

        def reply(answer: StoreAnswer) -> None:
            # The shell reads the object again after a conflict, and finds its own.
            is_saved = answer.outcome in (Outcome.DONE, Outcome.CONFLICT)
            if is_saved and not client.is_over:
                self._witness.durable(client, checkpoint, self._token(create.name))
            done(is_saved, answer.reason)

        self._request(client, create, checkpoint, reply)

    def _request(self, client: Client, order: StoreInstruction, content: Checkpoint | None, reply: Reply) -> None:
        rng, after = self._rng, self._agenda.after
        delay = self._settings.latency * (0.5 + rng.random())
        if self._is_away(client.member):
            self._count(order)
            after(delay, reply, StoreAnswer(order.op, Outcome.UNAVAILABLE, reason="the store is away"))
            return
        if self._flaky:
            delay *= self._flaky[-1].slowness
            if self._stumbles(client, order, content, reply, delay):
                return
        if rng.random() < 0.5:
            after(delay, reply, self._carry_out(client, order, content))
        else:
            after(delay, self._arrive, (client, order, content, reply))

    def _arrive(self, request: tuple[Client, StoreInstruction, Checkpoint | None, Reply]) -> None:
        client, order, content, reply = request
        if not client.is_over or self._rng.random() < 0.5:
            reply(self._carry_out(client, order, content))

    def _stumbles(
        self, client: Client, order: StoreInstruction, content: Checkpoint | None, reply: Reply, delay: float
    ) -> bool:
        """Draw what goes wrong with a request, and let it; False if nothing does."""
        rng, after, flaky = self._rng, self._agenda.after, self._flaky[-1]
        draw = rng.random()
        gives_up = rng.uniform(*TIMEOUT)
        unknown = StoreAnswer(order.op, Outcome.UNKNOWN, reason="timed out")
        if draw < flaky.dropped:
            self._count(order)
            after(gives_up, reply, unknown)
            return True
        if isinstance(order, ReadObject) and rng.random() < flaky.damaged:
            after(delay, lambda _: reply(self._damaged(self._carry_out(client, order, content))))
            return True
        if isinstance(order, ReadObject | ListObjects):
            return False
        draw -= flaky.dropped
        if draw < flaky.lost:
            after(delay, lambda _: self._carry_out(client, order, content))
            after(max(gives_up, delay), reply, unknown)
        elif draw < flaky.lost + flaky.late:
            arrives = gives_up + flaky.late_seconds * rng.random()
            after(gives_up, reply, unknown)
            after(arrives, lambda _: self._carry_out(client, order, content))
        elif draw < flaky.lost + flaky.late + flaky.retried:
            after(delay, lambda _: self._carry_out(client, order, content))
            after(2 * delay + 0.5, lambda _: reply(self._carry_out(client, order, content)))
        else:
            return False
        return True

    def _damaged(self, answer: StoreAnswer) -> StoreAnswer:
        """With a byte flipped or the end missing."""
        if not answer.data:
            return answer
        at = self._rng.randrange(len(answer.data))
        rest = b"" if self._rng.random() < 0.5 else bytes([answer.data[at] ^ 0x10]) + answer.data[at + 1 :]
        return replace(answer, data=answer.data[:at] + rest)

    # --- what it does ----------------------------------------------------------------------------

    def _carry_out(self, client: Client, order: StoreInstruction, content: Checkpoint | None) -> StoreAnswer:
        op = order.op
        folder = _folder(order.prefix if isinstance(order, ListObjects) else order.name)
        kept = self._objects.setdefault(folder, {})
        match order:
            case ReadObject(name=name):
                found = kept.get(name)
                if found is None:
                    self.requests["miss"] += 1
                    return StoreAnswer(op, Outcome.MISSING)
                self.requests["read"] += 1
                return StoreAnswer(op, Outcome.DONE, data=self._bytes(kept, name, found), token=found[1])
            case ListObjects(prefix=prefix):
                self.requests["list"] += 1
                self.moment += 1
                names = _beginning(self._sorted.get(folder, []), prefix)
                self._witness.listed(client, prefix)
                return StoreAnswer(op, Outcome.DONE, names=names)
            case DeleteObject(name=name):
                self.requests["delete"] += 1
                if kept.pop(name, None) is not None:
                    there = self._sorted[folder]
                    del there[bisect_left(there, name)]
                    self.moment += 1
                    self._witness.deleted(name)
                return StoreAnswer(op, Outcome.DONE)
            case CreateObject(name=name, data=data):
                return self._write(client, op, name, content or data, None, kept)
            case ReplaceObject(name=name, data=data, token=token):
                return self._write(client, op, name, data, token, kept)

    def _write(
        self,
        client: Client,
        op: int,
        name: str,
        data: Content,
        token: int | None,
        kept: dict[str, tuple[Content, int]],
    ) -> StoreAnswer:
        self.requests["insert"] += 1
        found = kept.get(name)
        if (found[1] if found is not None else None) != token:
            return StoreAnswer(op, Outcome.CONFLICT, reason="the token has moved" if token else "it exists")
        if name == CLUSTER:
            if self._settings.has_write_limit and self._agenda.now < self._cluster_written_at + WRITE_INTERVAL:
                return StoreAnswer(op, Outcome.UNAVAILABLE, reason="429: written less than a second ago")
            self._cluster_written_at = self._agenda.now
        self.moment += 1
        if found is None:
            insort(self._sorted.setdefault(_folder(name), []), name)
        kept[name] = data, self.moment
        if name == CLUSTER:
            assert isinstance(data, bytes)
            self._witness.swapped(client, data)
        else:
            self._witness.created(client, name, data)
        return StoreAnswer(op, Outcome.DONE, token=self.moment)

    @staticmethod
    def _bytes(kept: dict[str, tuple[Content, int]], name: str, found: tuple[Content, int]) -> bytes:
        content, token = found
        if isinstance(content, Checkpoint):
            try:
                content = encode_checkpoint(content, level=0)
            except CheckpointError as error:
                raise Violation(SOUND, f"{name}: {error}") from error
            kept[name] = content, token
        return content

    def _count(self, order: StoreInstruction) -> None:
        kinds = {ReadObject: "read", ListObjects: "list", DeleteObject: "delete"}
        self.requests[kinds.get(type(order), "insert")] += 1

    def _token(self, name: str) -> int:
        found = self._objects.get(_folder(name), {}).get(name)
        return found[1] if found is not None else self.moment

    # --- what the simulation sees of it ----------------------------------------------------------

    def peek(self, name: str) -> bytes | None:
        """The content of an object, free of charge."""
        kept = self._objects.get(_folder(name), {})
        found = kept.get(name)
        return None if found is None else self._bytes(kept, name, found)

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        return name in self._objects.get(_folder(name), {})

    def names(self) -> list[str]:
        """The names of all objects."""
        return sorted(name for kept in self._objects.values() for name in kept)

    # --- faults ----------------------------------------------------------------------------------

    def begin(self, fault: StoreAway | StoreFlaky) -> None:
        """Let the store fail from now on."""
        if isinstance(fault, StoreAway):
            self._away.append(fault)
        else:
            self._flaky.append(fault)

    def end(self, fault: StoreAway | StoreFlaky) -> None:
        """That fault is over."""
        if isinstance(fault, StoreAway):
            self._away.remove(fault)
        else:
            self._flaky.remove(fault)

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong with it for anybody."""
        return not self._away and not self._flaky

    def _is_away(self, member: str) -> bool:
        return bool(self._away) and any(not fault.members or member in fault.members for fault in self._away)


def _folder(name: str) -> str:
    return name.partition("/")[0]


def _beginning(names: list[str], prefix: str) -> tuple[str, ...]:
    """Of sorted names those that begin so."""
    start = bisect_left(names, prefix)
    return tuple(takewhile(lambda name: name.startswith(prefix), islice(names, start, None)))
