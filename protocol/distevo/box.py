"""A box of mail: what one member writes at a time for all whom it can reach through the store only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from distevo.errors import ObjectFormatError
from distevo.messages import MAX_MEMBERS, Boot, Count, Id
from distevo.sealed import seal, unseal

_KIND = b"MAIL"

MAX_LETTERS = 2 * MAX_MEMBERS


class Letter(msgspec.Struct, frozen=True):
    """A message for one boot of one member; another boot would not know what it is about."""

    to: str
    boot: str
    frame: bytes


class _Address(msgspec.Struct, frozen=True, array_like=True):
    to: Id
    boot: Boot
    size: Count
    """Bytes of its frame; the payload is the frames one after another."""


class _Box(msgspec.Struct, frozen=True, kw_only=True):
    member: Id
    boot: Boot
    number: Count
    letters: Annotated[list[_Address], msgspec.Meta(max_length=MAX_LETTERS)]


def encode_box(member: str, boot: str, number: int, letters: Sequence[Letter]) -> bytes:
    """The object that holds these letters, written by this boot of this member."""
    addresses = [_Address(letter.to, letter.boot, len(letter.frame)) for letter in letters]
    box = _Box(member=member, boot=boot, number=number, letters=addresses)
    return seal(_KIND, box, b"".join(letter.frame for letter in letters))


def decode_box(member: str, boot: str, number: int, data: bytes) -> list[Letter]:
    """The letters of box `number` in this mailbox, their frames unread. Errors as in `sealed.unseal`.

    ObjectFormatError also for a box that belongs elsewhere: what lies in a mailbox is taken for its owner's.
    """
    box, payload = unseal(_KIND, _Box, data)
    if (box.member, box.boot, box.number) != (member, boot, number):
        raise ObjectFormatError(f"is box {box.number} of {box.member}-{box.boot}")
    if sum(address.size for address in box.letters) != len(payload):
        raise ObjectFormatError("its letters are together not as long as they should be")
    letters, start = [], 0
    for address in box.letters:
        letters.append(Letter(address.to, address.boot, payload[start : start + address.size]))
        start += address.size
    return letters
