"""Events and instructions in words: in full for people, and events in brief for the hash of a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from distevo import events, instructions
from distevo.box import decode_box
from distevo.codec import decode
from distevo.messages import Forward, Head
from distevo.names import CLUSTER, MAIL

MAX_WORDS = 500


def brief(what: Any) -> str | tuple[Any, ...]:
    """Enough of an event to tell it from another at the same moment."""
    made = _BRIEF.get(type(what))
    return type(what).__name__ if made is None else made(what)


def words(what: Any) -> str:
    """One line about an event or an instruction, for people."""
    made = _WORDS.get(type(what))
    line = str(what) if made is None else made(what)
    return line if len(line) <= MAX_WORDS else line[:MAX_WORDS] + "..."


def _head(head: Head, payload: bytes) -> str:
    fields = ", ".join(f"{key}={value}" for key, value in msgspec.to_builtins(head).items())
    line = f"{head.command.name}({fields}), {len(payload)} bytes"
    return f"{line}: {_head(*decode(payload))}" if isinstance(head, Forward) else line


def _letters(name: str, data: bytes) -> str:
    owner, _, number = name.removeprefix(MAIL).rpartition("/")
    member, _, boot = owner.rpartition("-")
    # Names of simulated members hold nothing else that is quoted.
    letters = decode_box(member.replace("%2D", "-"), boot, int(number), data)
    return "; ".join(f"to {letter.to}: {_head(*decode(letter.frame))}" for letter in letters) or "nothing"


def _answer(answer: events.StoreAnswer) -> str:
    parts = [f"answer {answer.op}: {answer.outcome.value}"]
    if answer.names:
        parts.append(f"{len(answer.names)} names")
    if answer.data:
        parts.append(f"{len(answer.data)} bytes")
    if answer.token:
        parts.append(f"token {answer.token}")
    if answer.reason:
        parts.append(f"({answer.reason})")
    return ", ".join(parts)


def _written(data: bytes, name: str) -> str:
    if name == CLUSTER:
        return data.partition(b"\n")[0].decode()
    return _letters(name, data) if name.startswith(MAIL) else f"{len(data)} bytes"


def _report(event: events.IslandReported) -> str:
    ends = "fit" if event.fit else "spent" if event.is_spent else ""
    counters = event.snapshot.counters
    done = f"generation {event.snapshot.generation}, {counters.evaluations} evaluations"
    return f"slot {event.slot} reports {event.island} {done} {ends}"


def _start(order: instructions.StartIsland) -> str:
    snapshot = order.snapshot
    return f"starts {order.island} in slot {order.slot}, grant {snapshot.grant}, from generation {snapshot.generation}"


def _save(order: instructions.SaveCheckpoint) -> str:
    held = ", ".join(f"{s.run}/{s.task}/{s.island} g{s.grant}" for s in order.checkpoint.islands)
    return f"saves checkpoint {order.sequence} of {held or 'nothing'}"


def _log(line: instructions.Log) -> str:
    fields = " ".join(f"{key}={value}" for key, value in line.fields.items())
    return f"says ({line.level}) {line.message} {fields}"


_BRIEF: dict[type, Callable[[Any], str | tuple[Any, ...]]] = {
    str: lambda text: text,
    events.StoreAnswer: lambda event: ("StoreAnswer", event.op, event.outcome, event.token, len(event.data)),
    events.Received: lambda event: ("Received", event.link, event.head.command, len(event.payload)),
    events.LinkOpened: lambda event: ("LinkOpened", event.link, event.key),
    events.LinkClosed: lambda event: ("LinkClosed", event.link),
    events.DialFailed: lambda event: ("DialFailed", event.member),
    events.ResultEncoded: lambda event: ("ResultEncoded", event.number, event.digest),
    events.IslandReported: lambda event: ("IslandReported", event.slot, *event.island, event.snapshot.generation),
}

_WORDS: dict[type, Callable[[Any], str]] = {
    str: lambda text: text,
    events.StoreAnswer: _answer,
    events.Tick: lambda _: "tick",
    events.Received: lambda event: f"hears on link {event.link}: {_head(event.head, event.payload)}",
    events.LinkOpened: lambda event: f"link {event.link} is open to {event.key}, dialled {event.dialled}",
    events.LinkClosed: lambda event: f"link {event.link} is closed: {event.reason}",
    events.DialFailed: lambda event: f"cannot dial {event.member}: {event.reason}",
    events.IslandReported: _report,
    events.CheckpointSaved: lambda event: f"checkpoint {event.sequence} is durable",
    events.CheckpointFailed: lambda event: f"checkpoint {event.sequence} failed: {event.reason}",
    events.ResultEncoded: lambda event: f"result {event.number} is encoded, {len(event.data)} bytes",
    events.ResultUnencodable: lambda event: f"result {event.number} cannot be encoded: {event.reason}",
    instructions.ReadObject: lambda order: f"store {order.op}: reads {order.name}",
    instructions.CreateObject: lambda order: (
        f"store {order.op}: creates {order.name}, {_written(order.data, order.name)}"
    ),
    instructions.ReplaceObject: lambda order: (
        f"store {order.op}: replaces {order.name} at token {order.token}: {_written(order.data, order.name)}"
    ),
    instructions.ListObjects: lambda order: f"store {order.op}: lists {order.prefix}",
    instructions.DeleteObject: lambda order: f"store {order.op}: deletes {order.name}",
    instructions.StartWorker: lambda order: f"starts a worker in slot {order.slot}",
    instructions.StartIsland: _start,
    instructions.StopIsland: lambda order: f"stops {order.island} in slot {order.slot}",
    instructions.TakeMigrants: lambda order: f"offers migrants {order.number} to {order.island}",
    instructions.SkipKeys: lambda order: f"tells {order.island} of {len(order.keys) // 16} keys",
    instructions.SaveCheckpoint: _save,
    instructions.EncodeResult: lambda order: (
        f"encodes result {order.number}, of {order.result.run}/{order.result.task}"
    ),
    instructions.Admit: lambda order: f"lets in all but {sorted(order.denied)}",
    instructions.Dial: lambda order: f"dials {order.member} at {list(order.endpoints)}",
    instructions.HangUp: lambda order: f"hangs up link {order.link}",
    instructions.Send: lambda order: f"sends on link {order.link}: {_head(order.head, order.payload)}",
    instructions.Log: _log,
    instructions.Exit: lambda order: f"exits: {order.kind or 'cleanly'} {order.reason}",
}
