"""The golden vectors: what is written in `protocol/vectors.json` is what the code reads and writes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from distevo.box import Letter
from distevo.codec import decode, decode_inner, encode
from distevo.errors import RemoteProtocolError
from distevo.messages import HEADS, VERSION, Code, Command
from distevo.run import MigrationSettings
from distevo.topology import TOPOLOGIES as TARGETS
from distevo.topology import targets
from tests.protocol.vectors import KINDS, OBJECTS, READERS, TOPOLOGIES, load

VECTORS = load()


def named(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", VECTORS[kind], ids=lambda vector: vector["name"])


@named("messages")
def test_a_message_is_read_and_written_as_it_stands_there(vector: dict[str, Any]) -> None:
    command = Command[vector["command"]]
    expected = msgspec.convert(vector["head"], HEADS[command])
    frame, payload = bytes.fromhex(vector["frame"]), bytes.fromhex(vector["payload"])
    assert decode(frame) == (expected, payload)
    assert (frame[4], frame[5], frame[7]) == (VERSION, command, vector["is_compressed"])
    if vector["is_compressed"]:
        # Other zlibs make other bytes; what they mean is the same.
        assert decode(encode(expected, payload)) == (expected, payload)
        assert len(frame) < len(payload)
    else:
        assert encode(expected, payload) == frame
    if command is Command.FORWARD:
        assert decode_inner(payload)[0].command is Command.MIGRANTS


@named("refused")
def test_a_frame_is_refused_with_the_code_that_stands_there(vector: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(bytes.fromhex(vector["frame"]))
    assert caught.value.code == Code[vector["code"]]


@named("objects")
def test_an_object_is_read_as_it_stands_there(vector: dict[str, Any]) -> None:
    value = READERS[vector["name"]](bytes.fromhex(vector["object"]))
    kind = list[Letter] if vector["name"] == "box" else type(value)
    assert value == msgspec.json.decode(msgspec.json.encode(vector["content"]), type=kind)


@named("topologies")
def test_all_members_find_the_targets_that_stand_there(vector: dict[str, Any]) -> None:
    migration, islands = msgspec.convert(vector["migration"], MigrationSettings), vector["islands"]
    seed = f"{vector['run']}/{vector['task']}"
    assert [targets(migration, island, islands, seed) for island in range(islands)] == vector["targets"]


def test_the_file_has_every_command_compressed_and_not_and_every_code_of_the_codec() -> None:
    assert {vector["command"] for vector in VECTORS["messages"]} == {command.name for command in Command}
    assert {vector["is_compressed"] for vector in VECTORS["messages"]} == {True, False}
    codes = (Code.MALFORMED, Code.TOO_LARGE, Code.VERSION, Code.UNKNOWN_COMMAND)
    assert {vector["code"] for vector in VECTORS["refused"]} == {code.name for code in codes}
    assert {vector["name"] for vector in VECTORS["objects"]} == set(OBJECTS) == set(READERS)
    assert {vector["name"] for vector in VECTORS["topologies"]} == set(TOPOLOGIES)
    assert {vector["migration"].get("topology", "ring") for vector in VECTORS["topologies"]} == set(TARGETS)
    names = [vector["name"] for kind in KINDS for vector in VECTORS[kind]]
    assert len(set(names)) == len(names)
