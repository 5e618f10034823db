"""Latency on the line of one host: netem's delay, for kernels without netem."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from collections import deque
from threading import Thread

from distevo_ctl.hosts.namespaces import Namespace

_HELD = 10_000
"""The most frames that are under way on one line; those beyond are lost, as in the queue of a router."""
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000  # <linux/if_tun.h>


class Delay:
    """Each Ethernet frame over `port` of `bridge` comes `seconds` later, either way, whatever it carries.

    A proxy for TCP would accept for a host that is dead and keep a connection across a cut; this has no such effect.
    The port moves to a bridge aside, and a thread of this process carries frames between the two bridges.
    """

    def __init__(self, namespace: Namespace, bridge: str, port: str, seconds: float) -> None:
        self.seconds = seconds
        self._namespace, self._bridge, self._port, self._aside = namespace, bridge, port, f"{port}-aside"
        near, far = f"{port}-near", f"{port}-far"
        with namespace.entered():
            self._taps = _open_tap(near), _open_tap(far)
        self._stop = os.eventfd(0)
        namespace.ip(
            f"link add {self._aside} type bridge",
            f"link set {self._aside} up",
            f"link set {near} master {self._aside} up",
            f"link set {far} master {bridge} up",
            f"link set {port} master {self._aside}",
        )
        self._thread = Thread(target=self._carry, name=f"delay of {port}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The line is as before; frames that are under way are lost."""
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        for descriptor in (*self._taps, self._stop):
            os.close(descriptor)  # The interfaces of the taps go with them.
        self._namespace.ip(f"link set {self._port} master {self._bridge}", f"link delete {self._aside}")

    def _carry(self) -> None:
        near, far = self._taps
        held: deque[tuple[float, int, bytes]] = deque()  # In the order in which they are due: all wait equally long.
        while True:
            patience = max(0.0, held[0][0] - time.monotonic()) if held else None
            readable, _, _ = select.select([near, far, self._stop], [], [], patience)
            if self._stop in readable:
                return
            now = time.monotonic()
            for tap in readable:
                frame = os.read(tap, 1 << 16)
                if len(held) < _HELD:
                    held.append((now + self.seconds, far if tap == near else near, frame))
            while held and held[0][0] <= now:
                _, tap, frame = held.popleft()
                os.write(tap, frame)


def _open_tap(name: str) -> int:
    """Make a tap interface; whoever reads the descriptor gets the frames that are sent to it."""
    tap = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    except BaseException:
        os.close(tap)
        raise
    return tap
