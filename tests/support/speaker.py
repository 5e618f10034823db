"""A member of a cluster that is no daemon: it joins as one does, and then says on its links whatever a test wants."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import zmq

from distevo.codec import decode, encode
from distevo.member import Announcement, encode_announcement
from distevo.messages import Command, ErrorReport, Head, Heartbeat, Hello, Welcome
from distevo.names import inbox_member
from distevo.plan import MemberPlan
from distevod.transport import options
from distevod.transport.keys import KeyPair
from tests.support.cluster import Cluster, within
from tests.support.hosts import Host

HeadT = TypeVar("HeadT", bound=Head)


class Line:
    """One connection that a speaker has dialled."""

    def __init__(self, socket: zmq.Socket[bytes], hello: Hello) -> None:
        self._socket, self.hello = socket, hello
        self._beats = 0

    def send(self, frame: bytes) -> None:
        """Send any bytes as one frame. Raises zmq.Again when nobody takes them for 5 s."""
        self._socket.send(frame)

    def say(self, head: Head, payload: bytes = b"") -> None:
        """Send a message."""
        self.send(encode(head, payload))

    def greet(self, hello: Hello | None = None) -> None:
        """Say HELLO, its own or another."""
        self.say(hello or self.hello)

    def beat(self, **fields: object) -> bytes:
        """A sign of life; returns its frame."""
        self._beats += 1
        frame = encode(Heartbeat(incarnation=0, progress=self._beats, interval=1.0, **fields))  # type: ignore[arg-type]
        self.send(frame)
        return frame

    def hear(self, kind: type[HeadT], seconds: float = 5.0) -> HeadT:
        """The next message of a kind; others are passed over. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._socket.poll(1000 * left) and (frame := self._socket.recv()):
                head, _ = decode(frame)
                if isinstance(head, kind):
                    return head
        raise TimeoutError(f"no {kind.__name__} in {seconds} s")

    def heard(self, seconds: float = 0.0) -> list[Head]:
        """All that has come, or comes within these seconds."""
        deadline, found = time.monotonic() + seconds, []
        while self._socket.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
            if frame := self._socket.recv():
                found.append(decode(frame)[0])
        return found

    def complaint(self, about: Command | None = None, seconds: float = 5.0) -> ErrorReport:
        """The next ERROR, about a command if one is given. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            report = self.hear(ErrorReport, deadline - time.monotonic())
            if about is None or report.about == about:
                return report


class Speaker:
    """A platform `spy` on a host."""

    def __init__(self, cluster: Cluster, host: Host, keys: KeyPair | None = None) -> None:
        self.cluster, self.host, self.name = cluster, host, host.name
        self.keys, self.boot = keys or KeyPair.make(), secrets.token_hex(8)

    def hello(self, **fields: object) -> Hello:
        """What it says first; `fields` stand in for what would be right."""
        right = {
            "versions": [1], "cluster": self.cluster.record().cluster, "member": self.name, "boot": self.boot,
            "incarnation": 0, "heartbeat_interval": 1.0,
        }  # fmt: skip
        return Hello(**right | fields)  # type: ignore[arg-type]

    def join(self) -> None:
        """Ask by the store to be taken in, as a daemon does; wait until it is. Without workers it gets no islands."""
        says = MemberPlan(boot=self.boot, kind="local", workers=0, memory_mb=1, batch_size=1, key=self.keys.public)
        known = self.cluster.plan().members.get(self.name)
        asks = Announcement(member=self.name, says=says, after=known.boot if known else "")
        self.cluster.store.create(inbox_member(self.name, self.boot), encode_announcement(asks))
        with self.dial(self.cluster.record().holder) as line:
            line.greet()  # As a stranger, so that the coordinator looks at once.
            within(15, lambda: self.entry().boot == self.boot, f"{self.name} to be taken in")

    def entry(self) -> MemberPlan:
        """What the plan says of it."""
        nobody = MemberPlan(boot="", kind="", workers=0, memory_mb=0, batch_size=0)
        return self.cluster.plan().members.get(self.name, nobody)

    @contextmanager
    def dial(self, member: str) -> Iterator[Line]:
        """A connection to a member's port, with nothing said yet."""
        entry = self.cluster.plan().members[member]
        # The threads of a context are where the context is made, and so are the sockets that they open.
        with zmq.Context() as context:
            with self.host.entered():
                socket = options.dialling(context, self.keys, entry.key, entry.endpoints[0])
                socket.connect(entry.endpoints[0])
            with socket:
                socket.setsockopt(zmq.LINGER, 0)
                socket.setsockopt(zmq.SNDTIMEO, 5000)
                yield Line(socket, self.hello())

    @contextmanager
    def linked(self, member: str) -> Iterator[Line]:
        """An open link, over which it has said that it lives."""
        with self.dial(member) as line:
            line.greet()
            line.hear(Welcome)
            line.beat()
            yield line
