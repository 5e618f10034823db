"""Links over ZeroMQ: what carries out Dial, HangUp and Send, and tells the node what comes of it.

Read `transport` first, then `wire` (what all links have in common). Those that others make: `listener`, with `arrivals`
(the connections beneath) and `gate` (who may connect). Those that we make: `dialler`, with `race` (members with several
endpoints), `attempt`, `dialled` and `socks`. Beneath all: `options` (of every socket, with reasons), `reader` and
`monitor` (libzmq on the asyncio loop), `send_queue`, `tcp`, `keys`, `complaints`, `errors`.
"""

from distevod.transport.errors import TransportError
from distevod.transport.keys import KeyPair, load_or_make
from distevod.transport.transport import Transport

__all__ = ["KeyPair", "Transport", "TransportError", "load_or_make"]
