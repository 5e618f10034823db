"""The floor of a message and its answer between two processes: pyzmq and CURVE alone, nothing of ours."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection

import zmq


def round_trips(cores: tuple[int, int], there: int, back: int, count: int, every: float) -> list[float]:
    """Seconds of `count` round trips of `there` bytes, answered with `back` bytes, one each `every` seconds.

    Each side is pinned to its core with all its threads, as far as this process may: it goes back to where it was.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_answer, args=(theirs, cores[1], back, count))
    process.start()
    theirs.close()  # Else its end would not be seen.
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores[0]})
    try:
        port, server_key = ours.recv()
        context = zmq.Context()
        with context, context.socket(zmq.DEALER) as socket:
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
            socket.curve_serverkey = server_key
            socket.linger = 0
            socket.connect(f"tcp://127.0.0.1:{port}")
            message, seconds = bytes(there), []
            for _ in range(count):
                time.sleep(every)
                begun = time.perf_counter()
                socket.send(message)
                socket.recv()
                seconds.append(time.perf_counter() - begun)
    finally:
        os.sched_setaffinity(0, before)
        process.join()
    return seconds[1:]  # The first has the handshake in it.


def _answer(pipe: Connection, core: int, size: int, count: int) -> None:
    os.sched_setaffinity(0, {core})
    context = zmq.Context()
    with context, context.socket(zmq.ROUTER) as socket:
        public, secret = zmq.curve_keypair()
        socket.curve_secretkey, socket.curve_server = secret, True
        pipe.send((socket.bind_to_random_port("tcp://127.0.0.1"), public))
        for _ in range(count):
            sender, _ = socket.recv_multipart()
            socket.send_multipart([sender, bytes(size)])
