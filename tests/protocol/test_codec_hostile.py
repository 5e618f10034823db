"""Hostile frames: whatever the bytes are, they are a message or a RemoteProtocolError, and memory is bounded."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distevo.codec import (
    COMPRESSED,
    MAX_FRAME_BYTES,
    MAX_HEAD_BYTES,
    MAX_PAYLOAD_BYTES,
    decode,
    decode_inner,
    encode,
)
from distevo.errors import RemoteProtocolError
from distevo.messages import MAX_ISLANDS, MAX_MEMBERS, Code, Command
from tests.protocol import fuzz
from tests.protocol.frames import code_of, frame_of
from tests.protocol.heads import any_message
from tests.protocol.vectors import load

VECTORS = {vector["name"]: bytes.fromhex(vector["frame"]) for vector in load()["messages"]}
CODES = {Code.MALFORMED, Code.TOO_LARGE, Code.VERSION, Code.UNKNOWN_COMMAND}
MIGRANTS = b'{"run":"r","task":"t","source":0,"target":1,"number":2,"grant":3}'
HELLO = b'{"versions":[%b],"cluster":"","member":"a","boot":"1","incarnation":0,"heartbeat_interval":1}'
BEAT = b'{"incarnation":1,"progress":1,"interval":1'

frames = pytest.mark.parametrize("frame", VECTORS.values(), ids=VECTORS.keys())


def check(frame: bytes) -> None:
    """What is taken can be sent, and is read alike; all else is refused with a code and a short reason."""
    refused: RemoteProtocolError
    try:
        message = decode(frame)
    except RemoteProtocolError as error:
        refused = error
    else:
        assert decode(encode(*message)) == message
        return
    assert refused.code in CODES
    assert 0 < len(str(refused)) <= 256


def peak_of(frame: bytes, read: Callable[[bytes], object] = decode) -> int:
    """Most bytes that refusing or reading `frame` takes at a time."""
    tracemalloc.start()
    try:
        read(frame)
    except RemoteProtocolError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


# --- damage


@frames
def test_every_cut_is_refused(frame: bytes) -> None:
    for length in range(len(frame)):
        assert code_of(frame[:length]) == Code.MALFORMED


@frames
def test_whatever_is_behind_the_end_is_refused(frame: bytes) -> None:
    for more in (b"\0", b"{}", frame):
        assert code_of(frame + more) == Code.MALFORMED


@frames
def test_every_flipped_bit_is_refused_or_another_message(frame: bytes) -> None:
    for bit in range(8 * len(frame)):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        check(bytes(flipped))


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_or_a_message(data: bytes) -> None:
    check(data)
    check(b"DEVM\x01" + data)


@settings(max_examples=60)
@given(any_message, any_message, st.data())
def test_spliced_messages_are_refused_or_a_message(one: Any, other: Any, data: st.DataObject) -> None:
    first, second = encode(*one)[:4000], encode(*other)[:4000]
    check(first[: data.draw(st.integers(0, len(first)))] + second[data.draw(st.integers(0, len(second))) :])


# --- lengths that lie


LIMITS = [MAX_HEAD_BYTES, MAX_HEAD_BYTES + 1, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1]


@pytest.mark.parametrize("field", ["head_bytes", "sent_bytes", "payload_bytes"])
@pytest.mark.parametrize("length", [0, 1, 2, 18, 255, *LIMITS, 2**31, 2**32 - 1])
def test_a_length_that_lies_is_refused_and_costs_nothing(field: str, length: int) -> None:
    lie: dict[str, Any] = {field: length}
    frame = frame_of(Command.MIGRANTS, MIGRANTS, b"four", **lie)
    limit = MAX_HEAD_BYTES if field == "head_bytes" else MAX_PAYLOAD_BYTES
    assert code_of(frame) == (Code.TOO_LARGE if length > limit else Code.MALFORMED)
    assert peak_of(frame) < 20_000


def test_lengths_that_lie_together_are_refused() -> None:
    """Their sum is right: a part of the head is claimed to be payload, and the other way about."""
    for shift in (-4, -1, 1, 4):
        assert (
            code_of(
                frame_of(
                    Command.MIGRANTS,
                    MIGRANTS,
                    b"four",
                    head_bytes=len(MIGRANTS) + shift,
                    sent_bytes=4 - shift,
                    payload_bytes=4 - shift,
                )
            )
            == Code.MALFORMED
        )


def test_more_than_any_frame_has_is_refused_unread() -> None:
    frame = encode(*decode(VECTORS["goodbye"])) + bytes(MAX_FRAME_BYTES)
    assert code_of(frame) == Code.TOO_LARGE
    assert peak_of(frame) < 20_000


# --- heads

HEADS = {
    "nothing": (Command.GOODBYE, b""),
    "blanks": (Command.GOODBYE, b"   "),
    "null": (Command.GOODBYE, b"null"),
    "an array": (Command.MIGRANTS, b'["r","t",0,1,2,3]'),
    "a text": (Command.GOODBYE, b'"reason"'),
    "a byte order mark": (Command.GOODBYE, b"\xef\xbb\xbf{}"),
    "UTF-16": (Command.GOODBYE, '{"reason":"x"}'.encode("utf-16")),
    "no UTF-8": (Command.GOODBYE, b'{"reason":"\xc3\x28"}'),
    "overlong UTF-8": (Command.GOODBYE, b'{"reason":"\xc0\xaf"}'),
    "a surrogate in UTF-8": (Command.GOODBYE, b'{"reason":"\xed\xa0\x80"}'),
    "no UTF-8 in a name": (Command.GOODBYE, b'{"\xff":1}'),
    "a lone surrogate": (Command.GOODBYE, b'{"reason":"\\udc00"}'),
    "a control character": (Command.GOODBYE, b'{"reason":"a\nb"}'),
    "a comment": (Command.GOODBYE, b"{/**/}"),
    "a comma too many": (Command.GOODBYE, b'{"reason":"x",}'),
    "an object without end": (Command.GOODBYE, b'{"reason":"x"'),
    "deep arrays": (Command.GOODBYE, b'{"later":' + b"[" * 100_000),
    "deep arrays, closed": (Command.GOODBYE, b'{"later":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "deep objects": (Command.GOODBYE, b'{"later":' * 100_000),
    "deep arrays in a field": (Command.HEARTBEAT, BEAT + b',"islands":' + b"[" * 100_000),
    "deep tables in a field": (Command.HEARTBEAT, BEAT + b',"suspects":' + b'{"a":' * 100_000),
    "a text too long": (Command.GOODBYE, b'{"reason":"' + b"x" * 1025 + b'"}'),
    "an id too long": (Command.FORWARD, b'{"to":"' + b"x" * 129 + b'"}'),
    "an id of another type": (Command.FORWARD, b'{"to":7}'),
    "a task of another type": (Command.MIGRANTS, MIGRANTS.replace(b'"t"', b"null")),
    "a count that is a boolean": (Command.MIGRANTS, MIGRANTS.replace(b"2", b"true")),
    "a count with 5000 digits": (Command.MIGRANTS, MIGRANTS.replace(b"2", b"9" * 5000)),
    "seconds with 5000 digits": (Command.HEARTBEAT, BEAT + b"0" * 5000 + b"}"),
    "seconds below nought": (Command.HEARTBEAT, BEAT.replace(b'"interval":1', b'"interval":-1') + b"}"),
    "seconds above the limit": (Command.HEARTBEAT, BEAT + b"e10}"),
    "seconds that are infinite": (Command.HEARTBEAT, BEAT.replace(b'"interval":1', b'"interval":Infinity') + b"}"),
    "too many versions": (
        Command.HELLO,
        b'{"versions":['
        + b"1," * 16
        + b'1],"cluster":"","member":"a","boot":"1","incarnation":0,"heartbeat_interval":1}',
    ),
    "no version": (Command.HELLO, HELLO % b""),
    "a boot and a line": (Command.PRE_VOTE, b'{"round":1,"epoch":1,"holder":"a","boot":"1\\n"}'),
    "too many islands": (
        Command.HEARTBEAT,
        BEAT + b',"islands":[' + b",".join([b'["r","t",0,0,0,0,0,0,true]'] * (MAX_ISLANDS + 1)) + b"]}",
    ),
    "too many suspects": (
        Command.HEARTBEAT,
        BEAT + b',"suspects":{' + b",".join(b'"%d":1' % n for n in range(MAX_MEMBERS + 1)) + b"}}",
    ),
    "too many numbers": (
        Command.HEARTBEAT,
        BEAT + b',"islands":[["r","t",0,0,0,0,0,0,true,[' + b"0," * 16 + b"0]]]}",
    ),
    "an island cut short": (Command.HEARTBEAT, BEAT + b',"islands":[["r","t",0,0,0,0,0,0]]}'),
    "an island as an object": (Command.HEARTBEAT, BEAT + b',"islands":[{"run":"r"}]}'),
    "a fitness that is null": (Command.CONTROL, b'{"verb":3,"fitness":[null]}'),
    "a kind that nobody knows": (Command.POPULATION, b'{"kind":3}'),
    "a code below nought": (Command.ERROR, b'{"code":-1,"reason":""}'),
}


@pytest.mark.parametrize(("command", "head"), HEADS.values(), ids=HEADS.keys())
def test_a_head_that_breaks_the_grammar_is_refused(command: Command, head: bytes) -> None:
    frame = frame_of(command, head)
    assert code_of(frame) == Code.MALFORMED
    assert peak_of(frame) < 100_000 + 40 * len(head)


def test_the_heads_above_are_sound_but_for_what_was_spoilt() -> None:
    decode(frame_of(Command.MIGRANTS, MIGRANTS))
    decode(frame_of(Command.HELLO, HELLO % b"1"))
    decode(frame_of(Command.HEARTBEAT, BEAT + b',"islands":[["r","t",0,0,0,0,0,0,true,[]]],"suspects":{"a":1}}'))


@pytest.mark.parametrize(
    ("command", "head"),
    [
        (Command.HEARTBEAT, BEAT + b',"islands":[["r","t",0,0,0,0,0,0,true,[]%b]]}'),
        (Command.HEARTBEAT, BEAT + b',"diversity":[[1,0,0,false%b]]}'),
        (Command.HEARTBEAT, BEAT + b',"wishes":[["r","t",1,""%b]]}'),
        (Command.POPULATION, b'{"kind":1,"empty":[["r","t",0,1%b]]}'),
        (Command.POPULATION, b'{"kind":1,"failures":[["r","t",0,1,"x"%b]]}'),
        (Command.POPULATION, b'{"kind":1,"warnings":[["r","t","x"%b]]}'),
        (Command.POPULATION, b'{"kind":1,"rungs":[["r","t",0,1%b]]}'),
    ],
)
def test_what_a_later_version_adds_to_a_structure_is_ignored(command: Command, head: bytes) -> None:
    assert decode(frame_of(command, head % b',"later",[1]')) == decode(frame_of(command, head % b""))


def test_of_two_fields_of_one_name_the_last_counts() -> None:
    """Only the sender can be misled by it: nobody else looks at the head of a message."""
    head, _ = decode(frame_of(head=b'{"reason":"first","reason":"last"}'))
    assert head == decode(frame_of(head=b'{"reason":"last"}'))[0]


FILLERS = {
    "numbers": (Command.HEARTBEAT, BEAT + b',"islands":[["r","t",0,0,0,0,0,0,true,[', b"0,", b"0]]]}"),
    "islands": (Command.HEARTBEAT, BEAT + b',"islands":[', b'["r","t",0,0,0,0,0,0,true],', b"1]}"),
    "failures": (Command.POPULATION, b'{"kind":1,"failures":[', b'["r","",0,0,""],', b"1]}"),
    "unknown": (Command.GOODBYE, b'{"later":[', b"[],", b"1]}"),
    "escapes": (Command.GOODBYE, b'{"reason":"', b"\\u0000", b'"}'),
}


@pytest.mark.parametrize(("command", "start", "filler", "end"), FILLERS.values(), ids=FILLERS.keys())
def test_the_worst_head_costs_a_small_multiple_of_its_size(
    command: Command, start: bytes, filler: bytes, end: bytes
) -> None:
    head = start + filler * ((MAX_HEAD_BYTES - len(start) - len(end)) // len(filler)) + end
    assert peak_of(frame_of(command, head)) < 25 * MAX_HEAD_BYTES


# --- payloads


@pytest.mark.parametrize("claimed", [1000, 2**20, MAX_PAYLOAD_BYTES])
def test_a_bomb_takes_no_more_than_it_claims(claimed: int) -> None:
    bomb = zlib.compress(bytes(2 * MAX_PAYLOAD_BYTES), 9)[: claimed - 1]
    frame = frame_of(Command.MIGRANTS, MIGRANTS, bomb, flags=COMPRESSED, payload_bytes=claimed)
    assert code_of(frame) == Code.MALFORMED
    # Python's zlib grows its buffer as it fills, and the tail that was not needed is copied once.
    assert peak_of(frame) < 100_000 + 3 * claimed


def test_a_bomb_within_a_forward_is_met_by_the_same_limit() -> None:
    bomb = zlib.compress(bytes(2 * MAX_PAYLOAD_BYTES), 9)
    inner = frame_of(Command.MIGRANTS, MIGRANTS, bomb, flags=COMPRESSED, payload_bytes=2 * MAX_PAYLOAD_BYTES)
    _, payload = decode(frame_of(Command.FORWARD, b'{"to":"a"}', inner))
    with pytest.raises(RemoteProtocolError) as caught:
        decode_inner(payload)
    assert caught.value.code == Code.TOO_LARGE
    assert peak_of(payload, decode_inner) < 50_000


def test_the_largest_sound_payload_takes_a_small_multiple_of_its_size() -> None:
    frame = encode(decode(VECTORS["migrants"])[0], bytes(MAX_PAYLOAD_BYTES))
    assert len(frame) < 200_000
    assert peak_of(frame) < 3 * MAX_PAYLOAD_BYTES


def test_a_compressed_payload_is_one_whole_stream_and_shorter_than_what_is_in_it() -> None:
    stream = zlib.compress(bytes(99))
    sound: dict[str, Any] = {"flags": COMPRESSED, "payload_bytes": 99}
    assert decode(frame_of(Command.MIGRANTS, MIGRANTS, stream, **sound))[1] == bytes(99)
    for payload in (stream[:-1], stream[:-4], stream + b"\0", stream + stream):
        assert code_of(frame_of(Command.MIGRANTS, MIGRANTS, payload, **sound)) == Code.MALFORMED
    for flags in (2, 3, 2**15, 2**15 + 1, 2**16 - 1):
        assert code_of(frame_of(Command.MIGRANTS, MIGRANTS, stream, flags=flags, payload_bytes=99)) == Code.MALFORMED
    noise = random.Random(1).randbytes(20)
    same = next(data for data in (noise + bytes(n) for n in range(30)) if len(zlib.compress(data)) == len(data))
    frame = frame_of(Command.MIGRANTS, MIGRANTS, zlib.compress(same), flags=COMPRESSED, payload_bytes=len(same))
    assert code_of(frame) == Code.MALFORMED


def test_a_zlib_stream_that_asks_for_a_dictionary_is_refused() -> None:
    packer = zlib.compressobj(zdict=b"dictionary of ours")
    sent = packer.compress(b"dictionary of ours" * 9) + packer.flush()
    assert code_of(frame_of(Command.MIGRANTS, MIGRANTS, sent, flags=COMPRESSED, payload_bytes=162)) == Code.MALFORMED


# --- the fuzzer, a bounded number


def test_two_thousand_mutated_frames() -> None:
    report = fuzz.frames(random.Random(1), inputs=2000)
    assert report["inputs"] == 2000
    assert set(report["outcomes"]) >= {"message", "MALFORMED", "TOO_LARGE", "VERSION", "UNKNOWN_COMMAND"}
    assert report["outcomes"]["message"] > 100


@pytest.mark.parametrize("reader", sorted(fuzz.READERS))
def test_three_hundred_mutated_objects(reader: str) -> None:
    report = fuzz.objects(random.Random(1), reader, inputs=300)
    assert sum(report["outcomes"].values()) == 300
    assert len(report["outcomes"]) > 1
