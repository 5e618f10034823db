"""The phases of a member's life."""

from __future__ import annotations

from enum import StrEnum

from distevo.machine import Table


class Phase(StrEnum):
    """Where the node is in its life."""

    WATCHING = "watching"
    LOADING = "loading"
    TAKING = "taking"
    COORDINATING = "coordinating"
    FINISHING = "finishing"
    LEAVING = "leaving"
    GONE = "gone"


class Turning(StrEnum):
    """What leads from one phase to another."""

    ELECTED = "the election says try"
    LOADED = "plan, inbox and runs are read"
    WON = "the swap is ours"
    LOST = "another holds the lease"
    STOP = "a stop is asked for"
    FINISHED = "the workers are gone"
    PARTED = "all is durable and released"
    OUT_OF_TIME = "the store did not answer in time"
    FAULT = "nothing can be decided any more"


PHASE_TABLE = Table(
    "node",
    Phase.WATCHING,
    {
        (Phase.WATCHING, Turning.ELECTED): (Phase.LOADING, "read plan, inbox and runs"),
        (Phase.LOADING, Turning.LOADED): (Phase.TAKING, "swap `cluster`, with a plan that takes the inbox in"),
        (Phase.LOADING, Turning.LOST): (Phase.WATCHING, "follow"),
        (Phase.TAKING, Turning.WON): (Phase.COORDINATING, "coordinate"),
        (Phase.TAKING, Turning.LOST): (Phase.WATCHING, "drop the term; follow"),
        (Phase.COORDINATING, Turning.LOST): (Phase.WATCHING, "drop the term; follow"),
        (Phase.FINISHING, Turning.FINISHED): (Phase.LEAVING, "write the last checkpoint, release, say goodbye"),
        (Phase.FINISHING, Turning.OUT_OF_TIME): (Phase.GONE, "end; what is durable stands"),
        (Phase.LEAVING, Turning.OUT_OF_TIME): (Phase.GONE, "end; what is durable stands"),
        (Phase.LEAVING, Turning.PARTED): (Phase.GONE, "end"),
        **{
            (phase, Turning.STOP): (Phase.FINISHING, "let the workers end their generation")
            for phase in (Phase.WATCHING, Phase.LOADING, Phase.TAKING, Phase.COORDINATING)
        },
        **{(phase, Turning.FAULT): (Phase.GONE, "end loudly") for phase in Phase if phase is not Phase.GONE},
    },
)
IN_OFFICE = {Phase.TAKING, Phase.COORDINATING}
"""It has a term."""
ENDING = {Phase.FINISHING, Phase.LEAVING}
"""It decides nothing new any more."""
ENDED = ENDING | {Phase.GONE}
"""Or nothing at all."""
