"""The users of a simulated cluster: they submit runs, give commands and drain or revoke members, through the store.

What they send is one object with a name of its own, sent again under the same name until there is an answer; so a
retry changes nothing. What the store has confirmed must be done.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import msgspec

from distevo.command import Command, Verb, encode_command
from distevo.events import InboxChanged, Outcome, StoreAnswer
from distevo.instructions import CreateObject
from distevo.names import inbox_command, inbox_run
from distevo.run import Budget, Run, encode_run
from distevo.simulator.agenda import Agenda
from distevo.simulator.boot import Boot
from distevo.simulator.config import Order, Scenario, Submission
from distevo.simulator.store import Store
from distevo.simulator.trace import Trace
from distevo.simulator.workers import PROBLEM

RETRY_SECONDS = 2.0
AGAIN = 1 << 32
"""Between the number of what was sent once and of what is sent like it later."""


class Confirmed(Protocol):
    """Is told what the store has confirmed to a user, and knows what came of it."""

    def run_confirmed(self, name: str, run: str) -> None: ...
    def asked(self, run: str, verb: Verb, is_of_any: bool) -> None: ...
    def key_may_return(self, key: str) -> None: ...
    def order_confirmed(self, name: str, words: str) -> None: ...
    def run_renewed(self, run: str) -> None: ...
    def is_carried_out(self, name: str) -> bool: ...
    def goes_on(self, run: str) -> bool: ...


class Users:
    """All users together, as one client of the store."""

    member = "users"
    owner = "users"
    is_over = False

    def __init__(
        self,
        scenario: Scenario,
        agenda: Agenda,
        store: Store,
        trace: Trace,
        rng: random.Random,
        witness: Confirmed,
        boots: Callable[[], Sequence[Boot]],
        name: Callable[[str], str],
        keys: Callable[[str], Collection[str]],
    ) -> None:
        """`name` says who is meant by a member's name in a scenario, `keys` which keys machines of a name have."""
        self._name, self._keys = name, keys
        self.back_after: dict[str, float | None] = {}
        """By member that somebody has leave: after how many seconds it is started again."""
        self._agenda, self._store, self._trace, self._rng = agenda, store, trace, rng
        self._witness, self._boots = witness, boots
        self._confirmed: set[str] = set()
        self._commands: dict[str, list[str]] = {}
        """Names of the commands given so far, by run or member."""
        self._wishes = {run.name: run for run in scenario.runs}
        self._objects: dict[str, str] = {}
        """Of the run that was submitted last under each name."""
        for number, submission in enumerate(scenario.runs):
            agenda.at(submission.at, self._submit, (number, submission))
        for number, order in enumerate(scenario.commands):
            agenda.at(order.at, self._command, (number, order))

    def _submit(self, planned: tuple[int, Submission]) -> None:
        number, wish = planned
        run = Run(
            name=wish.name,
            nonce=f"{number:016x}",
            problem=PROBLEM,
            settings=wish.settings(seed=number),
            tasks={f"t{task}": msgspec.Raw(b"{}") for task in range(wish.tasks)},
            submitted_through="",
        )
        name = self._objects[run.name] = inbox_run(run.name, run.nonce)
        self._create(name, encode_run(run), lambda: self._witness.run_confirmed(name, run.name))

    def _command(self, planned: tuple[int, Order]) -> None:
        number, order = planned
        about = self._name(order.member) if order.verb.is_about_member else order.run
        if not about:
            return
        earlier = self._commands.setdefault(f"{order.verb.is_about_member} {about}", [])
        if any(name not in self._confirmed or not self._witness.is_carried_out(name) for name in earlier):
            # Nobody gives a command about a run or a member before the one before was carried out.
            self._agenda.after(RETRY_SECONDS, self._command, planned)
            return
        budget = Budget(order.cpu_seconds, order.evaluations) if order.cpu_seconds or order.evaluations else None
        name = inbox_command(f"{number:016x}")
        earlier.append(name)
        if order.verb.is_about_member:
            command = self._about(order, about)
        else:
            meant = self._known_as(order.run)
            self._witness.asked(order.run, order.verb, is_of_any=meant == 0)
            command = Command(verb=order.verb, run=order.run, first_grant=meant, budget=budget, priority=order.priority)
        words = f"{order.verb} {about}"

        def confirmed() -> None:
            self._witness.order_confirmed(name, words)
            if order.again_after is not None:
                self._renew((number, order))

        self._create(name, encode_command(command), confirmed)

    def _renew(self, planned: tuple[int, Order]) -> None:
        """Once a run is gone, submit another of its name."""
        number, order = planned
        run = self._objects.get(order.run)
        if run is None or not self._witness.is_carried_out(inbox_command(f"{number:016x}")):
            self._agenda.after(RETRY_SECONDS, self._renew, planned)
        elif run in self._confirmed and self._witness.is_carried_out(run):
            assert order.again_after is not None
            self._agenda.after(order.again_after, self._submit_again, (number + AGAIN, self._wishes[order.run]))
        elif not self._witness.goes_on(order.run):
            # It was refused, since the run was still ending, or had not been taken in.
            self._agenda.after(RETRY_SECONDS, self._command, (number + AGAIN, order))

    def _submit_again(self, planned: tuple[int, Submission]) -> None:
        self._witness.run_renewed(planned[1].name)
        self._submit(planned)

    def _about(self, order: Order, member: str) -> Command:
        if order.verb is Verb.UNREVOKE:
            for key in self._keys(member):
                self._witness.key_may_return(key)
        else:
            self.back_after[member] = order.back_after
        boot = next((boot.settings.boot for boot in self._boots() if boot.member == member), "")
        return Command(verb=order.verb, member=member, boot=boot if order.verb is Verb.DRAIN else "")

    def _known_as(self, run: str) -> int:
        """Which run of a name somebody means who looks at one of the members, whose plan may be an old one."""
        boots = self._boots()
        plan = self._rng.choice(boots).node.following.plan if boots else None
        return plan.runs[run].first_grant if plan is not None and run in plan.runs else 0

    def _create(self, name: str, data: bytes, confirmed: Callable[[], None]) -> None:
        def answered(answer: StoreAnswer) -> None:
            # A name that is there already is our own earlier try.
            if answer.outcome in (Outcome.DONE, Outcome.CONFLICT):
                self._trace.note(self._agenda.now, "users", f"is told that {name} is there")
                self._confirmed.add(name)
                confirmed()
                self._knock()
            else:
                self._agenda.after(RETRY_SECONDS, ask)

        def ask(_: object = None) -> None:
            self._trace.note(self._agenda.now, "users", f"writes {name}")
            self._store.ask(self, CreateObject(0, name, data), answered)

        ask()

    def _knock(self) -> None:
        """Half of them go through a daemon, which is told; the others write to the store and leave it at that."""
        boots = self._boots()
        if boots and self._rng.random() < 0.5:
            self._rng.choice(boots).feed(InboxChanged())
