"""Strategies for heads and payloads, made from the annotations in `messages`: a new field is tried at once."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

import tests.support.programs  # noqa: F401 - loads the profile without time limits
from distevo.codec import HEADER_BYTES, PAYLOAD_LIMITS, encode
from distevo.messages import HEADS, Command, Goodbye, Head

FEW = 3
letters = st.characters(exclude_categories=["Cs"])


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Values of an annotated type: mostly small, and now and then as large as its limits allow."""
    if isinstance(kind, inspect.IntType):
        assert kind.ge is not None, "an integer without a lower limit"
        assert kind.le is not None, "an integer without an upper limit"
        return st.sampled_from([kind.ge, kind.le]) | st.integers(kind.ge, kind.le)
    if isinstance(kind, inspect.FloatType):
        return st.floats(kind.ge, kind.le, allow_nan=False, allow_infinity=False)
    if isinstance(kind, inspect.BoolType):
        return st.booleans()
    if isinstance(kind, inspect.NoneType):
        return st.none()
    if isinstance(kind, inspect.EnumType):
        return st.sampled_from(list(kind.cls))
    if isinstance(kind, inspect.StrType):
        if kind.pattern is not None:
            return st.from_regex(kind.pattern, fullmatch=True)
        assert kind.max_length is not None, "a text without an upper limit"
        least = kind.min_length or 0
        return st.text(letters, min_size=least, max_size=8) | st.just("\U0001f9ec" * kind.max_length)
    if isinstance(kind, inspect.BytesType):
        assert kind.max_length is not None, "octets without an upper limit"
        return st.binary(max_size=FEW) | st.just(bytes(kind.max_length))
    if isinstance(kind, inspect.ListType):
        assert kind.max_length is not None, "a list without an upper limit"
        return st.lists(values(kind.item_type), min_size=kind.min_length or 0, max_size=min(FEW, kind.max_length))
    if isinstance(kind, inspect.DictType):
        assert kind.max_length is not None, "a table without an upper limit"
        return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=FEW)
    if isinstance(kind, inspect.TupleType):
        return st.tuples(*map(values, kind.item_types))
    if isinstance(kind, inspect.UnionType):
        return st.one_of(*map(values, kind.types))
    assert isinstance(kind, inspect.StructType), f"no strategy for {kind}"
    return st.fixed_dictionaries(
        {field.name: values(field.type) for field in kind.fields if field.required},
        optional={field.name: values(field.type) for field in kind.fields if not field.required},
    ).map(lambda fields: kind.cls(**fields))


def payloads(command: Command) -> st.SearchStrategy[bytes]:
    """Payloads that `command` may carry, as far as the codec looks at them."""
    if command is Command.SEEN:
        return st.binary(max_size=5).map(lambda keys: keys * 16)
    if command is Command.FORWARD:
        return st.sampled_from([encode(Goodbye()), encode(Goodbye(reason="x")) + bytes(HEADER_BYTES)])
    if PAYLOAD_LIMITS[command] == 0:
        return st.just(b"")
    # The second is long enough to be compressed, and compressible.
    return st.binary(max_size=40) | st.binary(min_size=16, max_size=32).map(lambda data: data * 64)


def messages(command: Command) -> st.SearchStrategy[tuple[Head, bytes]]:
    """Messages of one command, as (head, payload)."""
    return st.tuples(values(inspect.type_info(HEADS[command])), payloads(command))


any_message = st.sampled_from(Command).flatmap(messages)
