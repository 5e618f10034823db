"""A process that dials, and then does what it is told: a peer that can be killed, stopped, or floods.

python -m tests.transport.peer ENDPOINT KEY LINKS idle|flood
python -m tests.transport.peer listen    # prints its endpoint and key, and is dialled
"""

from __future__ import annotations

import asyncio
import sys

from distevo.events import Event, LinkOpened
from distevo.instructions import Dial, Send
from distevod.transport import KeyPair, Transport
from tests.transport.side import numbered


async def main(endpoint: str, key: str, links: int, *, is_flooding: bool) -> None:
    """Dial `links` times, say so, and go on for ever."""
    opened: list[int] = []

    def heard(event: Event) -> None:
        if isinstance(event, LinkOpened):
            opened.append(event.link)
            if len(opened) == links:
                print("linked", flush=True)

    transport = Transport(KeyPair.make(), heard, listen=None)
    transport.start()
    for _ in range(links):
        transport.carry_out(Dial("other", (endpoint,), key))
    number = 0
    while True:
        await asyncio.sleep(0.0005 if is_flooding else 1.0)
        for link in opened if is_flooding else ():
            for _ in range(64):
                number += 1
                transport.carry_out(Send(link, numbered(number)))


async def listen() -> None:
    """Say where, and take in for ever what others send."""
    keys = KeyPair.make()
    transport = Transport(keys, lambda _event: None, listen="tcp://127.0.0.1:0")
    transport.start()
    transport.admit(())
    print(transport.endpoint, keys.public, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        asyncio.run(listen())
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), is_flooding=sys.argv[4] == "flood"))
