"""What the transport raises for its user."""

import zmq

from distevo.errors import DistevoError


class TransportError(DistevoError):
    """The transport cannot begin: a key file that cannot be used, an address that cannot be bound."""


class ListenError(TransportError):
    """An address cannot be bound now; it may be free later, or be this machine's once its network is up."""


def in_words(error: zmq.ZMQError) -> str:
    """What libzmq or the system says of an error, without what pyzmq adds."""
    return zmq.strerror(error.errno or 0)
