"""The election: when a member tries to become coordinator.

Safety never rests on it: any member may try at any moment, and the swap of `cluster` decides. It is there so that
they try soon when the holder is gone, seldom at the same time, and not at all while somebody still hears the holder.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum

from distevo.alarms import NEVER
from distevo.lease import RENEWALS_PER_TTL, Lease
from distevo.machine import Table
from distevo.members import MemberTable, State
from distevo.messages import PreVote
from distevo.outline import precedence
from distevo.plan import MemberPlan, MemberState, Plan

RANK_SECONDS = 0.5
"""Each candidate waits this much longer than the one before it, so that the first is done before the second tries."""
JITTER_SECONDS = 0.2
ANSWER_SECONDS = 0.5
"""How long a pre-vote waits for answers."""
CALM_SECONDS = 3.0
"""How long a candidate rests after a member has said that it hears the holder."""
QUIET_RENEWALS = 1.25
"""With nobody to ask, the holder counts as gone when it has missed a renewal: so many intervals without a change."""


class Candidacy(StrEnum):
    """Where a member that does not hold the lease is."""

    CALM = "calm"
    WAITING = "waiting"
    ASKING = "asking"
    TRYING = "trying"


class Occasion(StrEnum):
    """What moves it."""

    DOUBTED = "the holder seems gone"
    VACANT = "nobody holds the lease, or it has expired"
    TRUSTED = "there is a holder, and no doubt"
    TURN = "those before it had their time"
    HEARD = "a member hears the holder"
    UNHEARD = "nobody who answers hears the holder"
    ALONE = "nobody answers"
    LOST = "another was faster"


ELECTION_TABLE = Table(
    "election",
    Candidacy.CALM,
    {
        (Candidacy.CALM, Occasion.DOUBTED): (Candidacy.WAITING, "wait by rank; look at `cluster`"),
        (Candidacy.CALM, Occasion.VACANT): (Candidacy.WAITING, "wait by rank"),
        (Candidacy.WAITING, Occasion.TRUSTED): (Candidacy.CALM, "nothing"),
        (Candidacy.WAITING, Occasion.DOUBTED): (Candidacy.WAITING, "nothing"),
        (Candidacy.WAITING, Occasion.VACANT): (Candidacy.WAITING, "nothing"),
        (Candidacy.WAITING, Occasion.TURN): (
            Candidacy.ASKING,
            "PRE-VOTE to all who may answer; about a vacancy nobody is asked",
        ),
        (Candidacy.ASKING, Occasion.TRUSTED): (Candidacy.CALM, "nothing"),
        (Candidacy.ASKING, Occasion.DOUBTED): (Candidacy.ASKING, "nothing"),
        (Candidacy.ASKING, Occasion.VACANT): (Candidacy.TRYING, "load, and try the swap"),
        (Candidacy.ASKING, Occasion.HEARD): (Candidacy.CALM, "rest for a while"),
        (Candidacy.ASKING, Occasion.UNHEARD): (Candidacy.TRYING, "load, and try the swap"),
        (Candidacy.ASKING, Occasion.ALONE): (Candidacy.WAITING, "look at `cluster`; try once it has missed a renewal"),
        (Candidacy.TRYING, Occasion.LOST): (Candidacy.CALM, "follow whoever it is"),
    },
)


# Asked after every event; bound once, since looking them up costs as much as a step.
_CALM, _WAITING, _ASKING, _TRYING = Candidacy
_TRUSTED = Occasion.TRUSTED
_FALLEN = {State.SUSPECT, State.DEAD, State.LEFT}


class Election:
    """One member's side of it."""

    def __init__(
        self,
        member: str,
        boot: str,
        lease: Lease,
        table: MemberTable,
        rng: random.Random,
        *,
        is_linked: Callable[[str], bool],
        has_twin: Callable[[Plan], bool],
        ask: Callable[[str, PreVote], None],
        look: Callable[[float], None],
        run: Callable[[float], None],
    ) -> None:
        """`has_twin`: whether a plan shows this member's id alive as another platform's. `ask` sends a pre-vote to a
        member, `look` reads `cluster`, `run` loads and tries the swap.
        """
        self._member, self._boot = member, boot
        self._lease, self._table, self._rng = lease, table, rng
        self._is_linked, self._has_twin, self._ask, self._look, self._run = is_linked, has_twin, ask, look, run
        self.state = _CALM
        self._plan = Plan(epoch=0, version=0)
        self._round = 0
        self._turn_at = self._answer_by = NEVER
        self._rest_until = -NEVER
        self._answers: dict[str, bool] = {}
        self._asked = 0
        self._has_won = False
        self.has_deferred = False
        """Whether this candidacy has left time for another platform with this one's id."""
        self.outcomes: Counter[str] = Counter()
        """What came of this member's candidacies: `won`, `lost` (another was faster, or what was loaded could not be
        used), `heard` (a member hears the holder)."""

    def follow(self, plan: Plan) -> None:
        """A plan is in force: who may be candidates."""
        # Each term has an epoch of its own, and its first plan comes with the swap that wins it.
        if plan.epoch > self._plan.epoch and self._lease.is_ours:
            self._has_won = True
            self.outcomes["won"] += 1
        self._plan = plan

    @property
    def _is_trying(self) -> bool:
        return self.state is _TRYING

    def consider(self, now: float) -> None:
        """Look at the lease and at who is heard; to be called after every event of a member without the lease."""
        if self._is_trying or self._lease.is_writing:
            return
        occasion = self._occasion(now)
        if self.state is _CALM:
            if occasion is not _TRUSTED and now >= self._rest_until and not self._stands_back():
                self._step(occasion)
                self.has_deferred = self._has_twin(self._plan)
                self._turn_at = now + self._delay()
                if self._lease.record is not None:
                    # What was seen last may be old: this member may have slept.
                    self._look(now)
        else:
            self._step(occasion)
        if self.state is _WAITING and now >= self._turn_at:
            self._step(Occasion.TURN)
            self._begin_asking(occasion, now)
        elif self.state is _ASKING and (self._is_answered() or now >= self._answer_by):
            self._conclude(now)
        if self._is_trying:
            self._run(now)

    def next_deadline(self) -> float:
        """When `consider` has something to do."""
        if self.state is _WAITING:
            return self._turn_at
        if self.state is _ASKING:
            return self._answer_by
        return NEVER

    def answered(self, sender: str, head: PreVote) -> None:
        """A member answers."""
        if self.state is _ASKING and head.round == self._round and head.hears is not None:
            self._answers[sender] = head.hears

    def answer(self, head: PreVote, now: float) -> PreVote:
        """What this member says when it is asked.

        It vouches for a holder only over a link of its own: what it heard through others, some heartbeats ago, says
        nothing about now.
        """
        record = self._lease.record
        epoch = record.epoch if record is not None else 0
        is_holder = self._lease.is_held and (head.holder, head.boot) == (self._member, self._boot)
        is_heard = self._is_linked(head.holder) and self._table.hears(head.holder, head.boot, now)
        hears = is_holder or epoch > head.epoch or is_heard
        return PreVote(round=head.round, epoch=head.epoch, holder=head.holder, boot=head.boot, hears=hears)

    def lost(self) -> None:
        """Another was faster, or what was loaded cannot be used."""
        if self._is_trying:
            self._step(Occasion.LOST)
            if not self._has_won:
                self.outcomes["lost"] += 1
            self._has_won = False

    def rest(self, now: float) -> None:
        """Try no more for a while: what was loaded says what no plan that was followed has said yet."""
        self._rest_until = now + CALM_SECONDS

    def rank(self) -> int:
        """This member's place among the candidates that live: 0 goes first."""
        return sum(precedence(*entry) < precedence(self._member, self._me()) for entry in self._candidates())

    # --- helpers ---------------------------------------------------------------------------------

    def _step(self, occasion: Occasion) -> None:
        self.state = ELECTION_TABLE.step(self.state, occasion)

    def _occasion(self, now: float) -> Occasion:
        lease = self._lease
        if lease.is_free or lease.is_expired(now):
            return Occasion.VACANT
        record = lease.record
        assert record is not None
        if self._table.state(record.holder) not in _FALLEN:
            return _TRUSTED
        # Only who was heard in its term can fall silent in it. Of one that never was, the object itself has to tell:
        # else the halves of a cluster that is cut in two would take the lease from each other in turn.
        heard_at = self._table.heard_at(record.holder)
        was_heard = heard_at is not None and lease.has_begun_before(heard_at)
        return Occasion.DOUBTED if was_heard or self._is_quiet(now) else _TRUSTED

    def _is_quiet(self, now: float) -> bool:
        """Whether the holder has missed a renewal, as far as `cluster` shows."""
        record = self._lease.record
        interval = record.ttl / RENEWALS_PER_TTL if record is not None else 0.0
        return self._lease.unchanged_for(now) >= QUIET_RENEWALS * interval

    def _stands_back(self) -> bool:
        """Whether this member is to leave, and another is there that is not."""
        me = self._me()
        return me is not None and me.boot == self._boot and me.is_draining and self.rank() > 0

    def _delay(self) -> float:
        record = self._lease.record
        if record is not None and self.has_deferred:
            return record.ttl  # It would take the lease meanwhile, if it lived.
        if record is None or record.holder == self._member:
            return 0.0  # There is nobody else, or nobody else knows yet.
        return self.rank() * RANK_SECONDS + self._rng.uniform(0, JITTER_SECONDS) * bool(self._plan.members)

    def _me(self) -> MemberPlan | None:
        return self._plan.members.get(self._member)

    def _candidates(self) -> Iterable[tuple[str, MemberPlan]]:
        record = self._lease.record
        holder = record.holder if record is not None else ""
        for name, member in self._plan.members.items():
            is_heard = self._table.state(name) is State.ALIVE if name != self._member else True
            if member.state is MemberState.ALIVE and name not in {holder, self._member} and is_heard:
                yield name, member

    def _begin_asking(self, occasion: Occasion, now: float) -> None:
        self._round += 1
        self._answers = {}
        self._answer_by = now
        self._asked = 0
        if occasion is Occasion.VACANT:
            self._step(Occasion.VACANT)
            return
        record = self._lease.record
        assert record is not None
        vote = PreVote(round=self._round, epoch=record.epoch, holder=record.holder, boot=record.boot)
        self._answer_by = now + ANSWER_SECONDS
        for name, _ in self._candidates():
            self._asked += 1
            self._ask(name, vote)

    def _is_answered(self) -> bool:
        return self._asked > 0 and (len(self._answers) >= self._asked or True in self._answers.values())

    def _conclude(self, now: float) -> None:
        if True in self._answers.values():
            self._step(Occasion.HEARD)
            self.outcomes["heard"] += 1
            self._rest_until = now + CALM_SECONDS
        elif self._answers:
            self._step(Occasion.UNHEARD)
        else:
            if self._is_quiet(now):
                self._step(Occasion.UNHEARD)
                return
            self._step(Occasion.ALONE)
            self._turn_at = now + ANSWER_SECONDS
            self._look(now)
