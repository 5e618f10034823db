"""Encoding: what carries `EncodeResult` out. It needs nothing but its order, so that any thread may do it."""

from __future__ import annotations

from distevo.errors import CheckpointError
from distevo.events import ResultEncoded, ResultUnencodable
from distevo.instructions import EncodeResult
from distevo.result import encode_result, encode_states, result_digest


def encoded(order: EncodeResult) -> ResultEncoded | ResultUnencodable:
    """The answer to an order."""
    try:
        states = encode_states(order.states)
    except CheckpointError as error:
        return ResultUnencodable(order.number, str(error))
    data = encode_result(order.result, states)
    return ResultEncoded(order.number, data, result_digest(data))
