"""Mutates sound frames and stored objects, and sees that their readers raise what they document and nothing else.

    python tests/protocol/fuzz.py --inputs 1000000 --seed 1
    python tests/protocol/fuzz.py --inputs 100000 --seed 1 --objects

prints one JSON object: inputs per second, what came of them, the slowest input, and by how much the process grew. It
begins with the golden vectors; what a reader takes is written and read again, and must be the same. An input that
breaks something ends it, with the input in hexadecimal.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from blake3 import blake3

sys.path.insert(0, str(Path(__file__).parents[2]))

from distevo.block import unpack
from distevo.box import encode_box
from distevo.checkpoint import encode_checkpoint
from distevo.cluster import encode_cluster
from distevo.codec import HEADER_BYTES, MAX_FRAME_BYTES, MAX_HEAD_BYTES, MAX_PAYLOAD_BYTES, decode, decode_inner, encode
from distevo.command import encode_command
from distevo.errors import BlockError, CheckpointError, DistevoError, ObjectError, RemoteProtocolError
from distevo.member import encode_announcement
from distevo.messages import Code, Command
from distevo.plan import encode_plan
from distevo.program import keyer
from distevo.result import decode_result, encode_result
from distevo.run import encode_run
from tests.protocol import vectors
from tests.protocol.frames import frame_of

_LENGTHS = [0, 1, 2, 3, 18, 255, 2**16, MAX_HEAD_BYTES, MAX_PAYLOAD_BYTES, MAX_FRAME_BYTES, 2**31, 2**32 - 1]
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[a-z]+|[\[\]{},:]|.', re.DOTALL)
_JUNK = [
    *(b"null true false NaN Infinity 0 -1 -0 -0.0 1.0 1.5 1e3 1e999 -1e999 5e-324 9007199254740992 01").split(),
    *(
        b'9007199254740993 18446744073709551616 "" "x" "00ff" "\\u0000" "\\ud800" "\\udc00 ?" [] {} [[]] {"a":1}'
    ).split(),
    *(b'"\xff" "\xc0\xaf" "\xed\xa0\x80" "\xf0\x9f\xa7\xac" , : [ ] { } " \\ \x00 \xef\xbb\xbf').split(b" "),
    b"9" * 5000,
    b'"' + b"x" * 2000 + b'"',
    b"[" * 3000,
    b'{"a":' * 3000,
    b"[" * 50 + b"]" * 50,
]
_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    2**63 - 1,
    2**64 - 1,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x" * 2000,
    b"",
    b"x",
]
_VALUES += [b"x" * 32, [], {}, [[]], {"a": 1}, {1: 2}, [1.0, float("nan")], "\U0001f9ec"]


# --- mutations of bytes


def _flip(rng: Random, data: bytes) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if flipped:
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _cut(rng: Random, data: bytes) -> bytes:
    start, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    return rng.choice((data[:start], data[:start] + data[end:], data[:end] + data[start:], data + data[start:end]))


def _tokens(rng: Random, text: bytes) -> bytes:
    """JSON with some of its tokens replaced, dropped, repeated or exchanged."""
    tokens = _TOKEN.findall(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(tokens)) if tokens else 0
        match rng.randrange(5):
            case 0 | 1:
                tokens[at : at + 1] = [rng.choice(_JUNK)]
            case 2:
                tokens[at : at + rng.choice((1, 2, 4))] = []
            case 3:
                tokens[at:at] = tokens[at : at + rng.choice((1, 2, 4))]
            case _:
                other = rng.randrange(len(tokens)) if tokens else 0
                tokens[at : at + 1], tokens[other : other + 1] = tokens[other : other + 1], tokens[at : at + 1]
    return b"".join(tokens)


def _deflated(rng: Random, data: bytes) -> tuple[bytes, int]:
    """A zlib stream that may be spoilt, and the length that is claimed for what is in it."""
    content = data if rng.random() < 0.8 else bytes(rng.choice((10, 1000, 10**5, 10**6)))
    stream = zlib.compress(content, rng.choice((0, 1, 9)))
    length = rng.choice((len(content), len(content), len(content) + rng.randint(-2, 2), rng.choice(_LENGTHS)))
    return rng.choice((stream, _flip(rng, stream), _cut(rng, stream), stream + b"\0")), max(0, length)


def _spoil(rng: Random, value: Any) -> Any:
    """Plain data with one value somewhere in it replaced, dropped or repeated."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        rest = {other: inner for other, inner in value.items() if other != name}
        return rest if rng.random() < 0.1 else {**rest, name: _spoil(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        inner = rng.choice(([], [value[at]] * 2, *[[_spoil(rng, value[at])]] * 8))
        return value[:at] + inner + value[at + 1 :]
    if isinstance(value, bytes) and rng.random() < 0.7:
        return rng.choice((_flip, _cut, _packed))(rng, value)
    return rng.choice(_VALUES)


def _packed(rng: Random, data: bytes) -> bytes:
    """Spoilt MessagePack, where it is some."""
    try:
        plain = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _flip(rng, data)
    return msgspec.msgpack.encode(_spoil(rng, plain))


# --- frames


def _lie(rng: Random, frame: bytes) -> bytes:
    lying = bytearray(frame)
    for _ in range(rng.choice((1, 1, 2, 3))):
        offset = rng.choice((8, 12, 16))
        true = int.from_bytes(frame[offset : offset + 4], "big")
        lying[offset : offset + 4] = (rng.choice((*_LENGTHS, true + 1, max(0, true - 1))) % 2**32).to_bytes(4, "big")
    return bytes(lying)


def _parts(frame: bytes) -> tuple[int, int, bytes, bytes, int]:
    command, flags, head_bytes, _, payload_bytes = struct.unpack_from(">5xBHIII", frame)
    return command, flags, frame[20 : 20 + head_bytes], frame[20 + head_bytes :], payload_bytes


def _mutate_frame(rng: Random, seeds: list[bytes]) -> bytes:
    frame = rng.choice(seeds)
    command, flags, head, payload, payload_bytes = _parts(frame)
    match rng.randrange(9):
        case 0:
            return _flip(rng, frame)
        case 1:
            return _cut(rng, frame)
        case 2:
            return _lie(rng, frame)
        case 3:
            other = rng.choice(seeds)
            return frame[: rng.randint(0, len(frame))] + other[rng.randint(0, len(other)) :]
        case 4 | 5:
            head = _tokens(rng, head)
            return frame_of(command, head, payload, flags=flags, payload_bytes=payload_bytes)
        case 6:
            sent, claimed = _deflated(rng, payload)
            return frame_of(command, head, sent, flags=1, payload_bytes=claimed % 2**32)
        case 7:
            changed = rng.choice((_flip, _cut))(rng, payload)
            return frame_of(command, head, changed, flags=rng.choice((0, 0, 0, 1, 2, 65535)))
        case _:
            # The head and payload of one message under the command of another.
            return frame_of(rng.randrange(256) if rng.random() < 0.2 else rng.choice(list(Command)), head, payload)


def _check_frame(frame: bytes) -> str:
    try:
        message = decode(frame)
        if message[0].command is Command.FORWARD:
            decode_inner(message[1])
    except RemoteProtocolError as error:
        return Code(error.code).name
    assert decode(encode(*message)) == message, "what was taken is not what would be sent"
    return "message"


def frames(rng: Random, inputs: int) -> dict[str, Any]:
    """Mutate frames of the golden vectors; in a tenth of the inputs twice."""
    seeds = [bytes.fromhex(vector["frame"]) for vector in vectors.load()["messages"]]

    def make() -> bytes:
        frame = _mutate_frame(rng, seeds)
        if rng.random() < 0.1 and len(frame) >= HEADER_BYTES:
            frame = _mutate_frame(rng, [frame])
        return frame

    return _measure(make, _check_frame, inputs)


# --- stored objects


def _reseal(rng: Random, data: bytes) -> bytes:
    """A sealed object, spoilt before its digest was made."""
    magic, kind, version, head_bytes, payload_bytes = struct.unpack_from(">4s4sHII", data)
    content = zlib.decompress(data[34:])
    head, payload = content[:head_bytes], content[head_bytes:]
    body = b""
    match rng.randrange(6):
        case 0 | 1 | 2:
            head = _tokens(rng, head)
            head_bytes = len(head)
        case 3:
            payload = rng.choice((_flip, _cut))(rng, payload)
            payload_bytes = len(payload)
        case 4:
            body, claimed = _deflated(rng, content)
            head_bytes = rng.choice((head_bytes, claimed % 2**32))
        case _:
            version, head_bytes = rng.choice((0, 1, 2, 65535)), rng.choice((head_bytes, *_LENGTHS))
            kind = rng.choice((kind, b"PLAN", b"????"))
    body = body or zlib.compress(head + payload)
    prefix = struct.pack(">4s4sHII", magic, kind, version, head_bytes, payload_bytes)
    return prefix + blake3(prefix).update(body).digest(length=16) + body


def _reseal_cluster(rng: Random, data: bytes) -> bytes:
    text = rng.choice((_tokens, _tokens, _flip, _cut))(rng, data.partition(b"\n")[0])
    return text + b"\n" + blake3(text).hexdigest(length=16).encode() + b"\n"


def _reseal_checkpoint(rng: Random, data: bytes) -> bytes:
    magic, version, content_bytes, _ = struct.unpack_from("<8sHII", data)
    content = zlib.decompress(data[50:])
    match rng.randrange(6):
        case 0 | 1 | 2:
            content = _packed(rng, content)
            payload, content_bytes = zlib.compress(content), len(content)
        case 3:
            content = rng.choice((_flip, _cut))(rng, content)
            payload, content_bytes = zlib.compress(content), len(content)
        case 4:
            payload, content_bytes = _deflated(rng, content)
        case _:
            payload, version = data[50:], rng.choice((0, 1, 2, 65535))
            content_bytes = rng.choice((content_bytes, *_LENGTHS))
    head = struct.pack("<8sHII", magic, version, content_bytes % 2**32, len(payload))
    return head + blake3(head).update(payload).digest() + payload


def _read_block(data: bytes) -> Any:
    return unpack(data, keyer(vectors.PROBLEM, vectors.PROBLEM_VERSION))


Reader = Callable[[bytes], Any]
Writer = Callable[[Any], bytes]
Mutation = Callable[[Random, bytes], bytes]
READERS: dict[str, tuple[Reader, Writer | None, type[DistevoError], Mutation]] = {
    "plan": (vectors.READERS["plan"], encode_plan, ObjectError, _reseal),
    "run": (vectors.READERS["run"], encode_run, ObjectError, _reseal),
    "command": (vectors.READERS["command"], encode_command, ObjectError, _reseal),
    "command about a member": (vectors.READERS["command about a member"], encode_command, ObjectError, _reseal),
    "member": (vectors.READERS["member"], encode_announcement, ObjectError, _reseal),
    "result": (decode_result, lambda stored: encode_result(*stored), ObjectError, _reseal),
    "cluster": (vectors.READERS["cluster"], encode_cluster, ObjectError, _reseal_cluster),
    "checkpoint": (vectors.READERS["checkpoint"], encode_checkpoint, CheckpointError, _reseal_checkpoint),
    "box": (vectors.READERS["box"], lambda letters: encode_box("kaggle-1", "b00", 1, letters), ObjectError, _reseal),
    "block": (_read_block, None, BlockError, _packed),
}
"""What reads each object, writes it, is raised for it, and spoils it under a right digest."""


def objects(rng: Random, name: str, inputs: int) -> dict[str, Any]:
    """Mutate a stored object: a fifth of the inputs as it lies there, the others under a digest that is right again."""
    read, write, documented, reseal = READERS[name]
    seed = vectors.FEW if name == "block" else vectors.OBJECTS[name][1]

    def make() -> bytes:
        if rng.random() < 0.2:
            return rng.choice((_flip, _cut))(rng, seed)
        return reseal(rng, seed)

    def check(data: bytes) -> str:
        try:
            value = read(data)
        except documented as error:
            return type(error).__name__
        if write is not None:
            assert read(write(value)) == value, "what was taken is not what would be written"
        return "taken"

    return _measure(make, check, inputs)


def _measure(make: Callable[[], bytes], check: Callable[[bytes], str], inputs: int) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, slowest, largest = time.perf_counter(), 0.0, 0
    for _ in range(inputs):
        data = make()
        started = time.perf_counter()
        try:
            outcomes[check(data)] += 1
        except BaseException:
            print(data.hex(), file=sys.stderr)
            raise
        slowest, largest = max(slowest, time.perf_counter() - started), max(largest, len(data))
    seconds = time.perf_counter() - begun
    return {
        "inputs": inputs,
        "seconds": round(seconds, 1),
        "inputs_per_second": round(inputs / seconds),
        "outcomes": dict(outcomes.most_common()),
        "slowest_ms": round(1000 * slowest, 1),
        "largest_input_bytes": largest,
        "memory_growth_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1),
    }


def main() -> None:
    """Fuzz as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--objects", action="store_true", help="the readers of stored objects instead, INPUTS each")
    options = parser.parse_args()
    report: dict[str, Any]
    if options.objects:
        report = {name: objects(Random(options.seed), name, options.inputs) for name in READERS}
    else:
        report = frames(Random(options.seed), options.inputs)
    print(json.dumps({"seed": options.seed, "report": report}, indent=1))


if __name__ == "__main__":
    main()
