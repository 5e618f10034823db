"""Frames of any content, sound or not, built from the specification and not by the codec."""

from __future__ import annotations

import struct

import pytest

from distevo.codec import decode
from distevo.errors import RemoteProtocolError
from distevo.messages import Command


def frame_of(
    command: int = Command.GOODBYE,
    head: bytes = b"{}",
    payload: bytes = b"",
    *,
    magic: bytes = b"DEVM",
    version: int = 1,
    flags: int = 0,
    head_bytes: int | None = None,
    sent_bytes: int | None = None,
    payload_bytes: int | None = None,
) -> bytes:
    """A frame of any content, built from the specification and not by the codec."""
    header = struct.pack(
        ">4sBBHIII",
        magic,
        version,
        command,
        flags,
        len(head) if head_bytes is None else head_bytes,
        len(payload) if sent_bytes is None else sent_bytes,
        len(payload) if payload_bytes is None else payload_bytes,
    )
    return header + head + payload


def code_of(frame: bytes) -> int:
    """With which code `frame` is refused."""
    with pytest.raises(RemoteProtocolError) as caught:
        decode(frame)
    assert 0 < len(str(caught.value)) <= 256
    return caught.value.code
