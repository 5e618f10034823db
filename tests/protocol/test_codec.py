"""The codec: what is sent arrives, what could not be read is not sent, and versions can tell each other apart."""

from __future__ import annotations

import random
import struct
from math import inf, nan
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distevo import seen
from distevo.block import pack
from distevo.codec import (
    COMPRESS_FROM_BYTES,
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    MAX_HEAD_BYTES,
    MAX_INNER_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_SEEN_BYTES,
    PAYLOAD_LIMITS,
    SEEN_KEY_BYTES,
    decode,
    decode_inner,
    encode,
)
from distevo.errors import LocalProtocolError, RemoteProtocolError
from distevo.messages import (
    HEADS,
    MAX_ISLANDS,
    Code,
    Command,
    Control,
    ControlVerb,
    ErrorReport,
    Fit,
    Forward,
    Goodbye,
    Head,
    Heartbeat,
    IslandProgress,
    Migrants,
    PlanHint,
    PopulationKind,
    PopulationState,
    Seen,
)
from tests.protocol.frames import code_of, frame_of
from tests.protocol.heads import any_message, messages
from tests.support.programs import program

MIGRANTS = Migrants(run="r", task="t", source=0, target=1, number=2, grant=3)
SEEN = Seen(run="r", task="t", first_grant=1)
BEAT = Heartbeat(incarnation=1, progress=2, interval=10.0)


# --- what is sent arrives


@pytest.mark.parametrize("command", Command)
@settings(max_examples=30)
@given(data=st.data())
def test_what_is_sent_arrives(command: Command, data: st.DataObject) -> None:
    head, payload = data.draw(messages(command))
    assert decode(encode(head, payload)) == (head, payload)


@given(any_message)
def test_a_message_has_one_frame(message: tuple[Head, bytes]) -> None:
    frame = encode(*message)
    assert encode(*decode(frame)) == frame
    assert len(frame) <= MAX_FRAME_BYTES


def test_the_layout_is_the_specification_s() -> None:
    assert encode(Goodbye(reason="x")) == frame_of(4, b'{"reason":"x"}')
    assert encode(MIGRANTS, b"few") == frame_of(
        6, b'{"run":"r","task":"t","source":0,"target":1,"number":2,"grant":3}', b"few"
    )


@pytest.mark.parametrize("command", Command)
def test_every_command_has_a_head_of_its_own(command: Command) -> None:
    assert HEADS[command].command is command
    assert command in PAYLOAD_LIMITS


def test_keys_have_one_size_and_one_limit() -> None:
    assert (SEEN_KEY_BYTES, MAX_SEEN_BYTES) == (seen.SEEN_KEY_BYTES, seen.MAX_SEEN_BYTES)


# --- compression, where it pays


def programs(count: int) -> bytes:
    rng = random.Random(count)
    words = [b"rot90", b"crop(", b"fill_holes(", b"recolour(", b"x,", b"1)"]
    return pack([program(b"".join(rng.choices(words, k=12)), rng.random()) for _ in range(count)])


def is_compressed(frame: bytes) -> bool:
    return frame[6:8] == b"\0\1"


def test_programs_are_compressed_where_it_pays() -> None:
    few, many = programs(2), programs(50)
    assert len(few) < COMPRESS_FROM_BYTES < len(many)
    for head in (MIGRANTS, Fit(run="r", task="t", first_grant=1, problem="p", problem_version="1")):
        assert not is_compressed(encode(head, few))
        frame = encode(head, many)
        assert is_compressed(frame)
        assert len(frame) < 0.7 * len(many)
        assert decode(frame)[1] == many


def test_what_does_not_shrink_is_sent_as_it_is() -> None:
    noise = random.Random(1).randbytes(4 * COMPRESS_FROM_BYTES)
    assert not is_compressed(encode(MIGRANTS, noise))


def test_only_programs_are_worth_a_try() -> None:
    for head in (SEEN, PopulationState(kind=PopulationKind.FINAL), PlanHint(epoch=1, version=2, name="")):
        assert not is_compressed(encode(head, bytes(16 * COMPRESS_FROM_BYTES)))


def test_a_receiver_takes_any_payload_compressed() -> None:
    frame = encode(MIGRANTS, bytes(1000))
    sent = frame[HEADER_BYTES + struct.unpack_from(">I", frame, 8)[0] :]
    seen = frame_of(Command.SEEN, b'{"run":"r","task":"t"}', sent, flags=1, payload_bytes=1000)
    assert code_of(seen) == Code.MALFORMED, "1000 bytes are no whole number of keys"
    population = frame_of(Command.POPULATION, b'{"kind":1}', sent, flags=1, payload_bytes=1000)
    assert decode(population) == (PopulationState(kind=PopulationKind.FINAL), bytes(1000))


# --- what could not be read is not sent


@pytest.mark.parametrize(
    "head",
    [
        Goodbye(reason="x" * 1025),
        Goodbye(reason="\ud800"),
        Migrants(run="", task="t", source=0, target=1, number=2, grant=3),
        Migrants(run="r", task="t", source=-1, target=1, number=2, grant=3),
        Migrants(run="r", task="t", source=2**70, target=1, number=2, grant=3),
        Migrants(run="r", task="t", source=2**53 + 1, target=1, number=2, grant=3),
        Heartbeat(incarnation=1, progress=2, interval=inf),
        Heartbeat(incarnation=1, progress=2, interval=nan),
        Heartbeat(incarnation=1, progress=2, interval=-1.0),
        Heartbeat(incarnation=1, progress=2, interval=1.0, suspects={"": 1}),
        Control(verb=ControlVerb.VERDICT, fitness=[-inf]),
        ErrorReport(code=-1, reason=""),
        PlanHint(epoch=1, version=1, name="x" * 257),
    ],
)
def test_what_could_not_be_read_is_not_sent(head: Head) -> None:
    with pytest.raises(LocalProtocolError, match=head.command.name):
        encode(head)


def test_a_value_of_another_type_is_not_sent() -> None:
    others: list[Any] = [object(), 7, None]
    for reason in others:
        with pytest.raises(LocalProtocolError):
            encode(Goodbye(reason=reason))


LARGEST: list[tuple[Head, int]] = [
    (PlanHint(epoch=1, version=2, name="plans/1-2-a"), MAX_PAYLOAD_BYTES),
    (MIGRANTS, MAX_PAYLOAD_BYTES),
    (PopulationState(kind=PopulationKind.FINAL), MAX_PAYLOAD_BYTES),
    (Fit(run="r", task="t", first_grant=1, problem="p", problem_version="1"), MAX_PAYLOAD_BYTES),
    (SEEN, MAX_SEEN_BYTES),
    (Control(verb=ControlVerb.VERIFY), 2**20),
    (BEAT, 0),
    (Goodbye(), 0),
    (ErrorReport(code=1, reason=""), 0),
]


@pytest.mark.parametrize(("head", "most"), LARGEST, ids=lambda value: getattr(value, "command", value))
def test_a_payload_has_a_limit_on_both_sides(head: Head, most: int) -> None:
    assert decode(encode(head, bytes(most))) == (head, bytes(most))
    with pytest.raises(LocalProtocolError, match=f"{most} at most"):
        encode(head, bytes(most + 16))
    text = msgspec.json.encode(head)
    assert code_of(frame_of(head.command, text, bytes(most + 16))) == Code.TOO_LARGE


def test_a_head_has_a_limit_on_both_sides() -> None:
    islands = [IslandProgress("r" * 128, "t" * 1024, n, 1, 1, 1, 1, 1.0, False) for n in range(MAX_ISLANDS)]
    with pytest.raises(LocalProtocolError, match=f"{MAX_HEAD_BYTES} at most"):
        encode(msgspec.structs.replace(BEAT, islands=islands))
    with pytest.raises(LocalProtocolError, match="length <= 4096"):
        encode(msgspec.structs.replace(BEAT, islands=[islands[0]] * (MAX_ISLANDS + 1)))
    padded = b"{" + b" " * (MAX_HEAD_BYTES - 2) + b"}"
    assert decode(frame_of(head=padded)) == (Goodbye(), b"")
    assert code_of(frame_of(head=b" " + padded)) == Code.TOO_LARGE


def test_a_member_with_most_islands_can_say_how_they_are() -> None:
    islands = [
        IslandProgress("run-1", "007bbfb7", n, 9, 10**6, 10**9, 10**9, 12345.678, False) for n in range(MAX_ISLANDS)
    ]
    beat = msgspec.structs.replace(BEAT, islands=islands)
    assert decode(encode(beat)) == (beat, b"")


# --- one relay at most


INNER = encode(MIGRANTS, b"few")


def test_whatever_can_be_sent_directly_can_be_relayed() -> None:
    inner = encode(PopulationState(kind=PopulationKind.FINAL), bytes(MAX_PAYLOAD_BYTES))
    frame = encode(Forward(to="b", origin="a", boot="1"), inner)
    assert decode(frame)[1] == inner
    assert decode_inner(inner)[1] == bytes(MAX_PAYLOAD_BYTES)
    assert MAX_INNER_BYTES < MAX_FRAME_BYTES


def test_a_forward_holds_a_frame_and_no_other_forward() -> None:
    once = encode(Forward(to="b"), INNER)
    assert decode_inner(decode(once)[1]) == (MIGRANTS, b"few")
    for payload in (once, b"", INNER[:5], b"no frame" * 9):
        with pytest.raises(LocalProtocolError, match="holds"):
            encode(Forward(to="c"), payload)
        assert code_of(frame_of(Command.FORWARD, b'{"to":"c"}', payload)) == Code.MALFORMED


def test_a_forward_within_a_box_of_mail_is_refused() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_inner(encode(Forward(to="b"), INNER))
    assert caught.value.code == Code.MALFORMED


def test_a_relay_forwards_what_only_the_ends_can_read() -> None:
    newer = frame_of(200, b"whatever", b"", version=9, flags=77)
    outer = encode(Forward(to="b"), newer)
    assert decode(outer)[1] == newer
    with pytest.raises(RemoteProtocolError) as caught:
        decode_inner(newer)
    assert caught.value.code == Code.VERSION


# --- versions


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_told_apart_before_all_else(version: int) -> None:
    assert code_of(frame_of(version=version)) == Code.VERSION
    assert code_of(frame_of(200, b"no json", b"?", version=version, flags=77, head_bytes=2**32 - 1)) == Code.VERSION
    assert code_of(b"DEVM" + bytes([version, 1])) == Code.VERSION, "the first six bytes are enough"


def test_an_unknown_command_is_told_apart() -> None:
    for command in set(range(256)) - set(Command):
        assert code_of(frame_of(command)) == Code.UNKNOWN_COMMAND


@pytest.mark.parametrize("command", Command)
@given(data=st.data())
def test_further_elements_of_arrays_that_stand_for_structures_are_ignored(
    command: Command, data: st.DataObject
) -> None:
    head, payload = message = data.draw(messages(command))

    def longer(value: Any) -> Any:
        if isinstance(value, msgspec.Struct):
            fields = msgspec.structs.asdict(value)
            if value.__struct_config__.array_like:
                return [*map(longer, fields.values()), "more", {"and": ["more"]}]
            return {name: longer(field) for name, field in fields.items()}
        if isinstance(value, tuple):
            return [*map(longer, value), "more"]
        return [longer(each) for each in value] if isinstance(value, list) else value

    assert decode(frame_of(head.command, msgspec.json.encode(longer(head)), payload)) == message


def test_unknown_fields_are_ignored() -> None:
    newer = b'{"later":{"than":[1,2,null,"\xc3\xa9"]},"reason":"x","x":1e999}'
    assert decode(frame_of(head=newer)) == (Goodbye(reason="x"), b"")


def test_more_elements_of_an_array_are_ignored() -> None:
    head = b'{"incarnation":1,"progress":2,"interval":3,"islands":[["r","t",0,1,2,3,4,5.5,true,[],"later"]]}'
    beat, _ = decode(frame_of(Command.HEARTBEAT, head))
    assert isinstance(beat, Heartbeat)
    assert beat.islands == [IslandProgress("r", "t", 0, 1, 2, 3, 4, 5.5, True)]


def test_numbers_once_given_are_kept() -> None:
    assert {command.name: int(command) for command in Command} == {
        "HELLO": 1,
        "WELCOME": 2,
        "HEARTBEAT": 3,
        "GOODBYE": 4,
        "PLAN": 5,
        "MIGRANTS": 6,
        "MIGRANTS_ACK": 7,
        "POPULATION": 8,
        "FIT": 9,
        "SEEN": 10,
        "PRE_VOTE": 11,
        "FORWARD": 12,
        "CONTROL": 13,
        "ERROR": 14,
    }
    assert {code.name: int(code) for code in Code} == {
        "MALFORMED": 1,
        "TOO_LARGE": 2,
        "VERSION": 3,
        "CLUSTER": 4,
        "DENIED": 5,
        "IDENTITY": 6,
        "UNEXPECTED": 7,
        "UNKNOWN_COMMAND": 8,
        "NOT_YET_KNOWN": 100,
        "UNREACHABLE": 101,
        "BUSY": 102,
    }
