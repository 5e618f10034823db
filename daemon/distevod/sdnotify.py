"""Telling systemd how the daemon is (sd_notify(3)): one datagram to the socket that NOTIFY_SOCKET names."""

import os
import socket


def notify(*states: str) -> bool:
    """Send states such as "READY=1", "STOPPING=1" or "STATUS=3 islands" to systemd, in one message.

    False when nobody asked to be told, or nobody listens any more: a daemon never fails because its supervisor
    is gone. A line break within a state would begin another one, so it becomes a space.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    if address.startswith("@"):  # an abstract socket, written with @ for its leading zero byte
        address = "\0" + address[1:]
    message = "\n".join(state.replace("\n", " ") for state in states)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as link:
            link.sendto(message.encode(), address)
    except OSError:
        return False
    return True
