"""What must hold of a cluster, whatever happens: each module judges one matter from what the store and the nodes did.

The judges know nothing of the simulator's machinery. They are told what happened, in words of the protocol, and
raise `Violation` when it must not have; so a test can tell them a false story and see that they notice.
"""
