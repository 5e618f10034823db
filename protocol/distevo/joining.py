"""How a platform gets into the plan: it says in the inbox that it is there, until a plan has it or refuses it."""

from __future__ import annotations

from collections.abc import Callable

from distevo.alarms import NEVER
from distevo.cluster import ClusterRecord
from distevo.desk import UNREADABLE
from distevo.following import Following
from distevo.lease import Lease
from distevo.ledger import OUTDATED
from distevo.member import Announcement, encode_announcement
from distevo.names import inbox_member
from distevo.node_settings import NodeSettings
from distevo.orders import ACCEPTED
from distevo.outbox import Outbox
from distevo.plan import MemberPlan, MemberState, Plan

ANNOUNCE_SECONDS = 60.0
"""How often a platform that is not in the plan announces itself again."""
ANSWER_SECONDS = (1.0, 2.0, 4.0)
"""When, after it has announced itself, it looks for the plan that has it: nobody can send it that one."""
REVOKED = (
    "this platform's key was revoked, and others have its islands; after `distevo-ctl revoke ID --undo` on another "
    "platform it is taken in when it is started again"
)


class Joining:
    """One boot's place in the plan."""

    def __init__(
        self,
        settings: NodeSettings,
        lease: Lease,
        following: Following,
        outbox: Outbox,
        announced: Callable[[float], None],
        look: Callable[[float], None],
    ) -> None:
        """`announced`: told when the inbox has our announcement. `look`: looks for a newer plan."""
        self._settings = settings
        self._lease = lease
        self._following = following
        self._outbox = outbox
        self._announced, self._look = announced, look
        self._was_member = False
        self._attempts, self._name = 0, ""
        self._announce_at = -NEVER

    def follow(self, plan: Plan, now: float) -> str:
        """A plan is in force. Returns why this platform has to leave, or nothing."""
        if self.is_revoked(plan):
            return REVOKED
        if self.is_in(plan):
            self._was_member = True
        elif self._was_member and self._settings.member in plan.members:
            return f"another start of {self._settings.member!r} has taken this one's place"
        if self._was_member:
            return ""
        answer = plan.handled.get(self._name)
        if answer in {ACCEPTED, OUTDATED}:
            # Another boot was read before, or after it.
            self._announce_at = now
        elif answer is not None and not answer.startswith(UNREADABLE):
            # One that was damaged on its way is made again in time.
            return f"the cluster does not take this platform in: {answer}"
        return ""

    def is_revoked(self, plan: Plan) -> bool:
        """Whether a plan lets this platform's key in no more."""
        return self._settings.key != "" and self._settings.key in plan.denied

    def is_draining(self, plan: Plan) -> bool:
        """Whether a plan has this boot leave."""
        return self.is_in(plan) and plan.members[self._settings.member].is_draining

    def is_in(self, plan: Plan) -> bool:
        """Whether the plan shows this boot."""
        me = plan.members.get(self._settings.member)
        return me is not None and me.boot == self._settings.boot

    def has_twin(self, plan: Plan) -> bool:
        """Whether a plan shows this platform's id alive with another key: that of a platform with a copied
        configuration, or of an earlier session, whose end nobody was left to see."""
        entry = plan.members.get(self._settings.member)
        return entry is not None and entry.state is MemberState.ALIVE and entry.key != self._settings.key

    def announce(self, now: float) -> None:
        """Say in the inbox that this platform is there, when that is due and somebody is there to read it."""
        record = self._lease.record
        me = self._following.plan.members.get(self._settings.member)
        if record is None or not record.holder or self._lease.is_free or self._lease.is_ours:
            return
        if self.is_in(self._following.plan):
            return
        if record.plan is not None and record.plan != self._following.name:
            return  # The plan is being read: whose place is to be taken stands in there.
        if now < self._announce_at:
            return
        self._announce_at = now + ANNOUNCE_SECONDS
        self._attempts += 1
        self._name = inbox_member(self._settings.member, self._settings.boot, self._attempts)
        after = me.boot if me is not None else ""
        announcement = Announcement(member=self._settings.member, says=says(self._settings), after=after)
        self._outbox.create(self._name, encode_announcement(announcement), lambda _answer, now: self._written(now))

    def _written(self, now: float) -> None:
        self._announced(now)
        for wait in ANSWER_SECONDS:
            self._outbox.later(now + wait, self._look_for_answer)

    def _look_for_answer(self, now: float) -> None:
        if not self.is_in(self._following.plan):
            self._look(now)

    def is_predecessor(self, record: ClusterRecord) -> bool:
        """Whether the holder of our id is an earlier boot of ours, and no platform with a copied configuration."""
        if record.plan is None or record.plan != self._following.name:
            return False  # Not known yet; the plan is being read.
        entry = self._following.plan.members.get(self._settings.member)
        return entry is not None and (entry.boot, entry.key) == (record.boot, self._settings.key)


def says(settings: NodeSettings) -> MemberPlan:
    """What a platform tells of itself, for the plan."""
    return MemberPlan(
        boot=settings.boot,
        kind=settings.kind,
        workers=settings.workers,
        memory_mb=settings.memory_mb,
        batch_size=settings.batch_size,
        key=settings.key,
        endpoints=list(settings.endpoints),
        islands=settings.islands,
        priority=settings.priority,
    )
