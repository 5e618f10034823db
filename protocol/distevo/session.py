"""The session: a notebook's time is limited, and its end can be foreseen.

Some minutes before it, checkpoints are made as often as a loss may cost, whatever they cost themselves; and in the
last ones the platform asks for its own drain, so that its islands are elsewhere when the notebook is taken away. One
that is alone then works on, and asks as soon as somebody comes who can take them.
"""

from __future__ import annotations

from collections.abc import Callable

from distevo.alarms import NEVER
from distevo.command import Command, Verb, encode_command
from distevo.keeper import Keeper
from distevo.names import inbox_command
from distevo.outbox import Outbox
from distevo.plan import MemberState, Plan

FORESIGHT_SECONDS = 600.0
"""So long before the end checkpoints become frequent; at most a quarter of the session."""
DRAIN_SECONDS = 120.0
"""So long before the end the platform asks to be drained; at most a tenth of the session."""
LOOK_SECONDS = 3.0
"""So often one that is alone looks whether somebody has come."""
CADENCE = 0.8
"""Of the heartbeat timeout: the most that passes between two checkpoints when the end is near."""


class Session:
    """One boot's expected time. With no limit it does nothing."""

    def __init__(
        self,
        member: str,
        boot: str,
        limit: float | None,
        heartbeat_timeout: float,
        keeper: Keeper,
        outbox: Outbox,
        asked: Callable[[float], None],
    ) -> None:
        """`limit`: seconds from the start. `asked` is told when the inbox holds the request to be drained."""
        self._member, self._boot, self._limit = member, boot, limit
        self._cadence = CADENCE * heartbeat_timeout
        self._keeper, self._outbox, self._asked = keeper, outbox, asked
        self._hasten_at = self._drain_at = self._end_at = NEVER

    def begin(self, now: float) -> None:
        """The daemon has started."""
        if self._limit is not None:
            self._end_at = now + self._limit
            self._hasten_at = self._end_at - min(FORESIGHT_SECONDS, self._limit / 4)
            self._drain_at = self._end_at - min(DRAIN_SECONDS, self._limit / 10)

    def end(self) -> None:
        """The platform leaves by itself."""
        self._hasten_at = self._drain_at = NEVER

    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        return self._hasten_at if self._hasten_at < self._drain_at else self._drain_at

    def tick(self, now: float, plan: Plan) -> None:
        """Do what is due; `plan` is the one in force."""
        if now >= self._hasten_at:
            self._hasten_at = NEVER
            self._keeper.hasten(self._cadence)
            self._outbox.log("info", "the session ends soon: checkpoints are made more often")
        if now >= self._drain_at:
            if self._has_others(plan):
                self._drain_at = NEVER
                self._outbox.log("info", "the session is about to end: islands are handed over")
                self._ask()
            else:
                look_at = now + LOOK_SECONDS
                self._drain_at = look_at if look_at < self._end_at else NEVER

    def _has_others(self, plan: Plan) -> bool:
        """Whether somebody is there to take the islands; alone, work goes on."""
        return any(
            name != self._member and member.state is MemberState.ALIVE and not member.is_draining
            for name, member in plan.members.items()
        )

    def _ask(self) -> None:
        command = Command(verb=Verb.DRAIN, member=self._member, boot=self._boot)
        name = inbox_command(self._boot)
        self._outbox.create(name, encode_command(command), lambda _answer, now: self._asked(now))
