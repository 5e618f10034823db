"""Loading: what a candidate reads before it takes the lease. Every read has to have a definite answer."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from distevo.desk import READ_SECONDS, is_kind
from distevo.errors import ObjectError, kind_of
from distevo.events import Outcome, StoreAnswer
from distevo.names import INBOX, PLANS
from distevo.outbox import Outbox, Wanted
from distevo.plan import Plan, decode_plan

FIRST_PLAN = f"{PLANS}1-1-"
"""Plans of those who try to be a new cluster's first coordinator."""


class Loaded(msgspec.Struct):
    """What was found."""

    plan: Plan
    objects: dict[str, bytes] = {}
    """Inbox objects that are new, and the objects of runs that are not over, by name."""
    old_plans: list[str] = []
    """Plans that the pointer does not name."""

    def fresh(self) -> list[str]:
        """The inbox objects that the plan does not know."""
        known = {run.object for run in self.plan.runs.values()}
        return [name for name in self.objects if name not in known]


class Loading:
    """Reads the plan in force, then inbox and runs, and calls `then`.

    Or `contradicted`, with a reason, if `cluster` as it was read does not go with the plans that are there: it has
    changed since, or the store is corrupt. Or `refuse`, with kind and reason. Or none of them, once it is not wanted
    any more.
    """

    def __init__(
        self,
        pointer: str | None,
        outbox: Outbox,
        then: Callable[[Loaded, float], None],
        contradicted: Callable[[str, float], None],
        refuse: Callable[[str, str], None],
        is_wanted: Wanted,
    ) -> None:
        self._outbox, self._then, self._contradicted, self._refuse = outbox, then, contradicted, refuse
        self._is_wanted = is_wanted
        self._loaded = Loaded(Plan(epoch=0, version=0))
        self._pointer, self._missing = pointer, 0
        self._awaited: set[str] = set()
        """Inbox objects of these: what no plan knows need not be known to go on."""
        if pointer is None:
            self._read_rest()
        else:
            outbox.read(pointer, lambda answer, now: self._plan_read(pointer, answer, now), is_wanted)

    def _plan_read(self, pointer: str, answer: StoreAnswer, now: float) -> None:
        if answer.outcome is Outcome.MISSING:
            self._contradicted(f"the plan {pointer} is missing from the store", now)
            return
        try:
            self._loaded.plan = decode_plan(answer.data)
        except ObjectError as error:
            self._refuse(kind_of(error), f"the plan {pointer} cannot be read: {error}")
            return
        self._read_rest()

    def _read_rest(self) -> None:
        plan = self._loaded.plan
        for run in plan.runs.values():
            if run.is_unfinished:
                self._fetch(run.object)
        self._missing += 2
        self._outbox.list(INBOX, self._inbox_listed, self._is_wanted)
        self._outbox.list(PLANS, self._plans_listed, self._is_wanted)

    def _fetch(self, name: str) -> None:
        def arrived(answer: StoreAnswer, now: float) -> None:
            self._object_read(name, answer)
            self._arrived(now)

        self._missing += 1
        self._outbox.read(name, arrived, self._is_wanted)

    def _fetch_new(self, name: str) -> None:
        def arrived(answer: StoreAnswer, now: float) -> None:
            if name in self._awaited:
                self._awaited.remove(name)
                self._object_read(name, answer)
                self._arrived(now)

        self._missing += 1
        self._awaited.add(name)
        self._outbox.read(name, arrived, self._is_wanted)

    def _waited(self, now: float) -> None:
        """What cannot be read holds up no takeover: the coordinator will come to it."""
        for _ in range(len(self._awaited)):
            self._awaited.pop()
            self._arrived(now)

    def _arrived(self, now: float) -> None:
        self._missing -= 1
        if self._missing == 0:
            self._then(self._loaded, now)

    def _inbox_listed(self, answer: StoreAnswer, now: float) -> None:
        plan = self._loaded.plan
        known = {run.object for run in plan.runs.values()} | plan.handled.keys()
        for name in answer.names:
            if name not in known and is_kind(name):
                self._fetch_new(name)
        self._outbox.later(now + READ_SECONDS, self._waited)
        self._arrived(now)

    def _plans_listed(self, answer: StoreAnswer, now: float) -> None:
        self._loaded.old_plans = [name for name in answer.names if name != self._pointer]
        if self._pointer is None and any(not name.startswith(FIRST_PLAN) for name in answer.names):
            # Beginning anew would take all that a lost cluster did for leftovers.
            self._contradicted("the store has plans and no object `cluster`: restore it, or use another store", now)
            return
        self._arrived(now)

    def _object_read(self, name: str, answer: StoreAnswer) -> None:
        if answer.outcome is Outcome.DONE:
            self._loaded.objects[name] = answer.data
