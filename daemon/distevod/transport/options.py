"""The options of every ZeroMQ socket, each with its reason. Facts are those of libzmq 4.3.5."""

from __future__ import annotations

import zmq

from distevo.codec import MAX_FRAME_BYTES
from distevod.transport.keys import KeyPair

ZAP_DOMAIN = b"distevo"

LINGER_MS = 500
"""What was sent last has so long to leave. Without a limit closing hangs for ever; with 0 a goodbye is lost."""
SEND_FRAMES = 128
"""Frames within libzmq on their way to one peer; more wait in the link's own queue, where the newest replaces. With 16
libzmq's thread and ours woke each other for every second frame of 200 bytes, and half as many passed; 1,000 allow no
more than 128. Bytes of large ones are counted (`in_flight`)."""
RECEIVE_FRAMES = 16
"""Frames of one peer that libzmq reads ahead of us; then TCP holds the peer up."""
CONNECT_MS = 4000
"""For the TCP connection."""
HANDSHAKE_MS = 5000
"""From the TCP connection to the end of the CURVE handshake; also for whoever connects and says nothing."""
UNACKNOWLEDGED_MS = 10_000
"""A connection whose other end has acknowledged nothing that was sent for so long is gone. A kernel acknowledges for a
process that is stopped or hangs: to find these is what the members' heartbeats are for."""
KEEPALIVE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_COUNT = 30, 10, 3
"""For connections on which nothing is said, and to keep the entry in a NAT's table."""
BACKLOG = 512
"""TCP connections that wait to be accepted: a whole cluster may come back at once."""
RECONNECT_MS = 3_600_000
"""Beyond the life of any socket whose connection is gone."""
MAX_SOCKETS = 16_384
"""Of one context; a connection that was dialled takes three, and the default is 1023."""


def listening(context: zmq.Context[zmq.Socket[bytes]], keys: KeyPair) -> zmq.Socket[bytes]:
    """The ROUTER at which others arrive."""
    socket = context.socket(zmq.ROUTER)
    _common(socket, keys)
    # Both, and before bind: with one alone, or if the handler is gone, libzmq lets any key in.
    socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    # A frame for a connection that is gone is an error here, not a silent loss.
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    # Off, as it is by default: whoever connects under a routing id that exists must not take it over.
    socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
    socket.setsockopt(zmq.BACKLOG, BACKLOG)
    return socket


def dialling(
    context: zmq.Context[zmq.Socket[bytes]], keys: KeyPair, server_key: str, address: str
) -> zmq.Socket[bytes]:
    """A DEALER for one connection, to be made once."""
    socket = context.socket(zmq.DEALER)
    _common(socket, keys)
    socket.setsockopt(zmq.CURVE_SERVERKEY, server_key.encode("ascii"))
    # Not by itself: the node decides when to dial again, and a new link is a new number. -1 would say so, but then, and
    # with IMMEDIATE, libzmq throws away what came last before a connection ended. So the socket is closed long before.
    # Nothing is sent before the connection is there or after it is gone, so nothing stale can ever come out of it.
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.IMMEDIATE, 0)
    # An empty frame tells the ROUTER of the connection; else it would learn of it with our first message.
    socket.setsockopt(zmq.PROBE_ROUTER, 1)
    socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
    socket.setsockopt(zmq.IPV6, int("[" in address))
    return socket


def _common(socket: zmq.Socket[bytes], keys: KeyPair) -> None:
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode("ascii"))
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode("ascii"))
    # Before authentication too, and for each frame; without it a stranger made a process buffer 200 MiB.
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.setsockopt(zmq.LINGER, LINGER_MS)
    socket.setsockopt(zmq.SNDHWM, SEND_FRAMES)
    socket.setsockopt(zmq.RCVHWM, RECEIVE_FRAMES)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    # None of ZMTP's own heartbeats: if their timer runs out while a peer's frames wait unread, RCVHWM of them, and its
    # connection has ended, libzmq aborts the process (`!_io_error`). So it would after each longer suspension.
    socket.setsockopt(zmq.HEARTBEAT_IVL, 0)
    socket.setsockopt(zmq.TCP_MAXRT, UNACKNOWLEDGED_MS)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_SECONDS)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_INTERVAL_SECONDS)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT)
