"""How many messages pass between two transports, and what links cost that say nothing.

    python tests/performance/transport_speed.py [--trials 20] [--quick]

prints one JSON object. Two processes, each on one core with all its threads, libzmq's included; CURVE, as everywhere:

    messages_per_second   frames of 200 bytes that one transport sends over one link and the other decodes and delivers;
                          median, the speed that 19 of 20 trials exceed, and range
    raw                   the same frames by pyzmq alone, without a loop, codec or queue of ours
    idle_cpu_percent      CPU time of a process whose transport has ten quiet links, in per cent of a core; libzmq's
                          threads and heartbeats included
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson
import zmq

from distevo.codec import encode
from distevo.events import Event, LinkOpened, Received
from distevo.instructions import Dial, Send
from distevo.messages import MigrantsAck
from distevod.transport import KeyPair, Transport, options

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.support.quantiles import quantile

TARGET_PER_SECOND = 50_000
FRAME_BYTES = 200
LINKS = 10
AHEAD = 512
"""Frames that wait in the link's queue at most: the sender keeps pace as a node does, that has other things to do."""


def message() -> MigrantsAck:
    """A message whose frame has `FRAME_BYTES`."""
    short = MigrantsAck(run="run-1", task="", source=1, target=2, number=3, grant=4)
    made = MigrantsAck(
        run="run-1", task="t" * (FRAME_BYTES - len(encode(short))), source=1, target=2, number=3, grant=4
    )
    if len(encode(made)) != FRAME_BYTES:
        raise AssertionError(f"a frame of {len(encode(made))} bytes")
    return made


def pin(core: int) -> None:
    """Keep this process on one core, if there are several. Threads that begin later stay there too."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


async def receive(pipe: Connection, keys: KeyPair, number: int) -> None:
    """Listen, take in this many messages, and tell how many there were in a second."""
    begin = end = 0.0
    taken = 0
    is_over = asyncio.Event()

    def deliver(event: Event) -> None:
        nonlocal begin, end, taken
        if isinstance(event, Received):
            taken += 1
            if taken == 1:
                begin = time.perf_counter()
            elif taken == number:
                end = time.perf_counter()
                is_over.set()

    transport = Transport(keys, deliver, listen="tcp://127.0.0.1:0")
    transport.start()
    transport.admit(())
    pipe.send(transport.endpoint)
    await is_over.wait()
    pipe.send((number - 1) / (end - begin))
    await transport.close()


async def send(endpoint: str, key: str, number: int, pipe: Connection) -> None:
    """Dial, and send this many messages; end when told to, since what has not left soon after a close is lost."""
    link: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def deliver(event: Event) -> None:
        if isinstance(event, LinkOpened):
            link.set_result(event.link)

    transport = Transport(KeyPair.make(), deliver, listen=None)
    transport.start()
    transport.carry_out(Dial("other", (endpoint,), key))
    instruction = Send(await link, message())
    queue = transport._wires.by_number[instruction.link].queue
    sent = 0
    while sent < number:
        for _ in range(min(64, number - sent)):
            transport.carry_out(instruction)
            sent += 1
        while len(queue) >= AHEAD:
            await asyncio.sleep(0.0005)
        await asyncio.sleep(0)
    while queue:
        await asyncio.sleep(0.001)
    await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
    await transport.close()


def receive_raw(pipe: Connection, keys: KeyPair, number: int) -> None:
    """As `receive`, by pyzmq alone."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.CURVE_SERVER, 1)
        router.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
        pipe.send(f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}")
        router.recv_multipart()
        begin = time.perf_counter()
        for _ in range(number - 1):
            router.recv_multipart()
        pipe.send((number - 1) / (time.perf_counter() - begin))


def send_raw(endpoint: str, key: str, number: int) -> None:
    """As `send`, by pyzmq alone."""
    frame = encode(message())
    with zmq.Context() as context, options.dialling(context, KeyPair.make(), key, endpoint) as dealer:
        dealer.setsockopt(zmq.SNDHWM, 1000)
        dealer.setsockopt(zmq.LINGER, -1)
        dealer.connect(endpoint)
        for _ in range(number):
            dealer.send(frame)


def _receiver(pipe: Connection, keys: KeyPair, number: int, is_raw: bool) -> None:
    pin(1)
    if is_raw:
        receive_raw(pipe, keys, number)
    else:
        asyncio.run(receive(pipe, keys, number))


def _sender(endpoint: str, key: str, number: int, is_raw: bool, pipe: Connection) -> None:
    pin(0)
    if is_raw:
        send_raw(endpoint, key, number)
    else:
        asyncio.run(send(endpoint, key, number, pipe))


def speed(number: int, *, is_raw: bool) -> float:
    """Messages per second between two processes."""
    processes = multiprocessing.get_context("spawn")
    keys = KeyPair.make()
    here, there = processes.Pipe()
    told, telling = processes.Pipe(duplex=False)
    receiver = processes.Process(target=_receiver, args=(there, keys, number, is_raw), daemon=True)
    receiver.start()
    sender = processes.Process(target=_sender, args=(here.recv(), keys.public, number, is_raw, told), daemon=True)
    sender.start()
    if not here.poll(120):
        raise AssertionError("the messages do not arrive")
    found = float(here.recv())
    telling.send(None)
    for process in (sender, receiver):
        process.join(10)
        if process.exitcode != 0:
            raise AssertionError(f"a process ended with {process.exitcode}")
    return found


async def _dial_and_wait(endpoint: str, key: str, pipe: Connection) -> None:
    transport = Transport(KeyPair.make(), lambda _event: None, listen=None)
    transport.start()
    for _ in range(LINKS):
        transport.carry_out(Dial("other", (endpoint,), key))
    await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
    await transport.close()


def _quiet_peer(endpoint: str, key: str, pipe: Connection) -> None:
    asyncio.run(_dial_and_wait(endpoint, key, pipe))


async def idle_cpu(seconds: float) -> float:
    """CPU time of this process, in per cent, while its transport has `LINKS` links over which nothing is said."""
    processes = multiprocessing.get_context("spawn")
    opened: list[Event] = []
    keys = KeyPair.make()
    transport = Transport(keys, opened.append, listen="tcp://127.0.0.1:0")
    transport.start()
    transport.admit(())
    here, there = processes.Pipe()
    peer = processes.Process(target=_quiet_peer, args=(transport.endpoint, keys.public, there), daemon=True)
    peer.start()
    while len(opened) < LINKS:
        await asyncio.sleep(0.01)
    await asyncio.sleep(2.0)  # until the probes of new links are over
    cpu, begin = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    used = 100.0 * (time.process_time() - cpu) / (time.monotonic() - begin)
    if any(not isinstance(event, LinkOpened) for event in opened):
        raise AssertionError("a link was lost")
    here.send(None)
    await transport.close()
    peer.join(10)
    return used


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few messages and one trial: does it work?")
    arguments = parser.parse_args()
    is_quick = arguments.quick
    number, trials = (20_000, 1) if is_quick else (300_000, arguments.trials)
    ours, raw = [], []
    for _ in range(trials):
        ours.append(speed(number, is_raw=False))
        raw.append(speed(number, is_raw=True))
    found: dict[str, Any] = {
        "messages": number,
        "frame_bytes": FRAME_BYTES,
        "trials": trials,
        "messages_per_second": round(statistics.median(ours)),
        "p95": round(quantile(ours, 0.05)),
        "range": [round(min(ours)), round(max(ours))],
        "raw": round(statistics.median(raw)),
        "raw_range": [round(min(raw)), round(max(raw))],
        "target": TARGET_PER_SECOND,
        "idle_links": LINKS,
        "idle_cpu_percent": round(asyncio.run(idle_cpu(2.0 if is_quick else 60.0)), 3),
    }
    print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    if not is_quick and found["messages_per_second"] < TARGET_PER_SECOND:
        sys.exit(f"the target of {TARGET_PER_SECOND} messages a second is missed")


if __name__ == "__main__":
    main()
