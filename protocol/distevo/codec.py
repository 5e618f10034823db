"""The codec: one message as one frame of bytes.

    magic 4 | version 1 | command 1 | flags 2 | head bytes 4 | bytes sent 4 | payload bytes 4 | head | payload

Big-endian. The head is JSON of one of the structs in `messages`, validated while it is parsed; the payload is zlib
where the flag says so. Magic, version and command stay where they are in every later version, so that whoever
cannot read a frame can say so. Nothing that comes from a peer is believed: each length is checked before a byte is
used, and each limit is named below.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from struct import Struct

import msgspec

from distevo.errors import LocalProtocolError, RemoteProtocolError
from distevo.messages import HEADS, SEEN_KEY_BYTES, VERSION, Code, Command, Head
from distevo.program import MAX_GENOME_BYTES

MAGIC = b"DEVM"
COMPRESSED = 1
"""The one flag: the payload is sent as a zlib stream."""

_HEADER = Struct(">4sBBHIII")
_FIRST_BYTES = 6
"""Magic, version and command."""

HEADER_BYTES = _HEADER.size
MAX_HEAD_BYTES = 2**20
"""The largest are heartbeats of a member with a thousand islands, up to 500 bytes each, and wishes."""
MAX_PAYLOAD_BYTES = 16 * 2**20
"""Before compression and after. A checkpoint is compressed already; one that is larger travels by the store alone."""
MAX_PROGRAM_BYTES = MAX_PAYLOAD_BYTES // 2
"""Genomes in one payload: what else a block has of each program takes no more than they do."""
MAX_STATES_BYTES = MAX_PAYLOAD_BYTES
"""Of the states in one POPULATION, once they are decompressed. What a checkpoint may hold is eight times that, of which
an enemy would make a message of some hundred kilobytes, and its receiver half a gigabyte."""
MAX_STATES_PROGRAMS = 2**17
"""Of the states in one POPULATION together: an island keeps 100,000 at most, and a million take seconds to read."""
MAX_TOLD_PROGRAMS = 1024
"""Programs in one MIGRANTS or FIT. More than any sender has a reason for: of a block that is tiny when compressed a
receiver would make a million, for seconds in which it hears nobody."""
MAX_INNER_BYTES = HEADER_BYTES + MAX_HEAD_BYTES + MAX_PAYLOAD_BYTES
"""A frame within a FORWARD: whatever can be sent directly can be relayed."""
MAX_FRAME_BYTES = HEADER_BYTES + MAX_HEAD_BYTES + MAX_INNER_BYTES
"""What a transport sets as the largest message that it takes in."""
MAX_SEEN_BYTES = 2**12 * SEEN_KEY_BYTES

PAYLOAD_LIMITS: dict[Command, int] = dict.fromkeys(Command, 0) | {
    Command.PLAN: MAX_PAYLOAD_BYTES,
    Command.MIGRANTS: MAX_PAYLOAD_BYTES,
    Command.POPULATION: MAX_PAYLOAD_BYTES,
    Command.FIT: MAX_PAYLOAD_BYTES,
    Command.SEEN: MAX_SEEN_BYTES,
    Command.FORWARD: MAX_INNER_BYTES,
    Command.CONTROL: MAX_GENOME_BYTES,
}
"""Most bytes of payload, uncompressed, by command; the others take none."""

COMPRESSIBLE = frozenset({Command.MIGRANTS, Command.FIT, Command.CONTROL})
"""Programs. The other payloads are compressed already (plan, checkpoint, inner frame) or random (keys)."""
COMPRESS_FROM_BYTES = 512
"""10 grid programs are 730 bytes, of which zlib saves 42 % in 9 us; of 5 it saves 110 bytes of one packet in 6 us."""
COMPRESS_LEVEL = 1
"""On a batch of 50 grid programs level 6 sends 5 % less and takes 1.3 times as long; on 200, 9 % and 2.5 times."""

_DECODERS: dict[int, Callable[[str], Head]] = {
    command: msgspec.json.Decoder(head).decode for command, head in HEADS.items()
}
_encode_head = msgspec.json.Encoder().encode
# ValueError: what is no UTF-8. RecursionError: deep nesting.
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def encode(head: Head, payload: bytes = b"") -> bytes:
    """The frame of a message. Raises LocalProtocolError for what `decode` would refuse."""
    command = head.command
    if len(payload) > PAYLOAD_LIMITS[command]:
        raise LocalProtocolError(f"{command.name}: {len(payload)} bytes of payload; {PAYLOAD_LIMITS[command]} at most")
    try:
        encoded = _encode_head(head)
        # What could not be read must not be sent: structs are not validated when they are made.
        _DECODERS[command](encoded.decode())
    except (*_UNREADABLE, TypeError) as error:
        raise LocalProtocolError(f"{command.name}: {error}") from error
    if len(encoded) > MAX_HEAD_BYTES:
        raise LocalProtocolError(f"{command.name}: a head of {len(encoded)} bytes; {MAX_HEAD_BYTES} at most")
    fault = _payload_fault(command, payload)
    if fault:
        raise LocalProtocolError(f"{command.name}: {fault}")
    flags, sent = 0, payload
    if command in COMPRESSIBLE and len(payload) >= COMPRESS_FROM_BYTES:
        shorter = zlib.compress(payload, COMPRESS_LEVEL)
        if len(shorter) < len(payload):
            flags, sent = COMPRESSED, shorter
    header = _HEADER.pack(MAGIC, VERSION, command, flags, len(encoded), len(sent), len(payload))
    return b"".join((header, encoded, sent))


def decode(frame: bytes) -> tuple[Head, bytes]:
    """The message in `frame`, as (head, payload).

    Raises RemoteProtocolError with the code MALFORMED, TOO_LARGE, VERSION or UNKNOWN_COMMAND, and nothing else,
    whatever the bytes are. Memory stays within the limits above and a small multiple of the head.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise RemoteProtocolError(Code.TOO_LARGE, f"a frame of {len(frame)} bytes; {MAX_FRAME_BYTES} at most")
    if len(frame) < _FIRST_BYTES or not frame.startswith(MAGIC):
        raise RemoteProtocolError(Code.MALFORMED, f"{len(frame)} bytes that do not begin as a frame does")
    version, number = frame[len(MAGIC)], frame[len(MAGIC) + 1]
    if version != VERSION:
        # Before everything that another version may do differently.
        raise RemoteProtocolError(Code.VERSION, f"a frame of version {version}; this distevo speaks {VERSION}")
    if number not in _DECODERS:
        raise RemoteProtocolError(Code.UNKNOWN_COMMAND, f"no command has the number {number}")
    command = Command(number)
    if len(frame) < HEADER_BYTES:
        raise RemoteProtocolError(Code.MALFORMED, f"{command.name}: ends within the header, after {len(frame)} bytes")
    _, _, _, flags, head_bytes, sent_bytes, payload_bytes = _HEADER.unpack_from(frame)
    if head_bytes > MAX_HEAD_BYTES:
        raise RemoteProtocolError(
            Code.TOO_LARGE, f"{command.name}: a head of {head_bytes} bytes; {MAX_HEAD_BYTES} at most"
        )
    if max(sent_bytes, payload_bytes) > PAYLOAD_LIMITS[command]:
        claimed = max(sent_bytes, payload_bytes)
        raise RemoteProtocolError(
            Code.TOO_LARGE, f"{command.name}: {claimed} bytes of payload; {PAYLOAD_LIMITS[command]} at most"
        )
    stated = HEADER_BYTES + head_bytes + sent_bytes
    if len(frame) != stated:
        raise RemoteProtocolError(
            Code.MALFORMED, f"{command.name}: {len(frame)} bytes where the header states {stated}"
        )
    head = _read_head(command, frame[HEADER_BYTES : HEADER_BYTES + head_bytes])
    payload = _read_payload(command, flags, frame[HEADER_BYTES + head_bytes :], payload_bytes)
    return head, payload


def decode_inner(frame: bytes) -> tuple[Head, bytes]:
    """The message in a frame that came within a FORWARD or lay in a mailbox; errors as in `decode`.

    A FORWARD is refused: a message travels by one relay at most, so no set of members can send it in a circle.
    """
    head, payload = decode(frame)
    if head.command is Command.FORWARD:
        raise RemoteProtocolError(Code.MALFORMED, "a FORWARD within another message")
    return head, payload


def _read_head(command: Command, encoded: bytes) -> Head:
    try:
        # Decoded first, since the parser skips unknown fields without a look at their UTF-8.
        return _DECODERS[command](encoded.decode())
    except _UNREADABLE as error:
        raise RemoteProtocolError(Code.MALFORMED, f"{command.name}: {error}") from error


def _read_payload(command: Command, flags: int, sent: bytes, payload_bytes: int) -> bytes:
    if flags == 0:
        if len(sent) != payload_bytes:
            raise RemoteProtocolError(Code.MALFORMED, f"{command.name}: uncompressed, and yet of two lengths")
        payload = sent
    elif flags == COMPRESSED:
        # Also rules out the empty payload, for which the limit given to zlib would mean none.
        if len(sent) >= payload_bytes:
            raise RemoteProtocolError(Code.MALFORMED, f"{command.name}: compressed, and not shorter for it")
        payload = _inflate(command, sent, payload_bytes)
    else:
        raise RemoteProtocolError(Code.MALFORMED, f"{command.name}: flags {flags:#06x}, of which some have no meaning")
    fault = _payload_fault(command, payload)
    if fault:
        raise RemoteProtocolError(Code.MALFORMED, f"{command.name}: {fault}")
    return payload


def _inflate(command: Command, sent: bytes, payload_bytes: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        # One byte more than promised is enough to see that a bomb is one.
        payload = inflater.decompress(sent, payload_bytes + 1)
    except zlib.error as error:
        raise RemoteProtocolError(Code.MALFORMED, f"{command.name}: {error}") from error
    if len(payload) != payload_bytes or not inflater.eof or inflater.unused_data:
        raise RemoteProtocolError(
            Code.MALFORMED, f"{command.name}: does not decompress to the {payload_bytes} bytes stated"
        )
    return payload


def _payload_fault(command: Command, payload: bytes) -> str | None:
    """What is wrong with a payload as far as bytes show it, whoever sends it."""
    if command is Command.SEEN and len(payload) % SEEN_KEY_BYTES:
        return f"{len(payload)} bytes are no whole number of keys"
    if command is Command.FORWARD:
        # A relay looks no further: the members at both ends may speak a version that it does not.
        if len(payload) < _FIRST_BYTES or not payload.startswith(MAGIC):
            return "holds no frame"
        if payload[len(MAGIC) + 1] == Command.FORWARD:
            return "holds another FORWARD; a message travels by one relay at most"
    return None
