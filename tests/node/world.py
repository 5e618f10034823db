"""A world for one node: a store in memory, virtual time, and workers that do what the test says."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from distevo.block import pack
from distevo.checkpoint import Counters, encode_checkpoint
from distevo.command import Command, Verb, encode_command
from distevo.encoding import encoded
from distevo.events import (
    CheckpointFailed,
    CheckpointSaved,
    Event,
    InboxChanged,
    IslandId,
    IslandReported,
    LinkOpened,
    Outcome,
    Received,
    StopRequested,
    StoreAnswer,
    Tick,
    Verified,
    WorkerReady,
    WorkersFinished,
)
from distevo.instructions import (
    Admit,
    CreateObject,
    DeleteObject,
    Dial,
    EncodeResult,
    Exit,
    FinishWorkers,
    HangUp,
    Instruction,
    LimitIsland,
    ListObjects,
    Log,
    ReadObject,
    ReplaceObject,
    SaveCheckpoint,
    Send,
    SkipKeys,
    StartIsland,
    StartWorker,
    StopIsland,
    StoreInstruction,
    TakeMigrants,
    VerifyProgram,
)
from distevo.listener import Delivery
from distevo.member import Announcement, encode_announcement
from distevo.messages import Head, Hello
from distevo.names import checkpoint_name, inbox_command, inbox_member, inbox_run
from distevo.node import Node
from distevo.node_settings import NodeSettings
from distevo.path import MAIL
from distevo.plan import MemberPlan, Plan
from distevo.program import Program, keyer
from distevo.run import Budget, ProblemUse, Run, RunSettings, encode_run

KEY_OF = keyer("toy", "1")

Objects = dict[str, tuple[bytes, int]]


class World:
    """Drives one node. `objects` is the store; another world may go on with it."""

    def __init__(
        self,
        objects: Objects | None = None,
        boot: str = "b0",
        workers: int = 2,
        member: str = "m",
        start: float = 100.0,
        fault: Callable[[StoreInstruction], Outcome | None] = lambda _: None,
        key: str = "",
        **settings: Any,
    ) -> None:
        self.objects: Objects = {} if objects is None else objects
        self.now = start
        self.node = Node(
            NodeSettings(
                member=member,
                boot=boot,
                key=key,
                kind="local",
                workers=workers,
                memory_mb=8192,
                batch_size=10,
                swap_interval=0.1,
                built_in=frozenset({"toy"}),
                **settings,
            ),
            random.Random(boot),
        )
        self.fault = fault
        """What to answer instead of carrying an instruction out; None: carry it out."""
        self.is_silent = False
        """Whether the store says nothing, for now: what it is asked is carried out when it is no longer so."""
        self.unheard: list[StoreInstruction] = []
        self.reason = "a fault"
        """What that answer says."""
        self.lost: Callable[[StoreInstruction], bool] = lambda _: False
        """Whether an instruction is carried out but its answer is lost."""
        self.running: dict[IslandId, StartIsland] = {}
        self.verifying: list[VerifyProgram] = []
        self.logs: list[Log] = []
        self.finishes = True
        """Whether workers finish as soon as they are told to."""
        self.encodes = True
        """Whether results are encoded at once; else when `encode` is called."""
        self.encoding: list[EncodeResult] = []
        self.exit: str | None = None
        self.exit_kind: str | None = None
        self.swaps: list[float] = []
        self.taken: dict[IslandId, int] = {}
        self._todo: deque[Event] = deque()
        self.do(self.node.start(self.now))
        self._drain()

    # --- driving ---------------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """Hand an event in, and all that follows from it at this moment."""
        self._todo.append(event)
        self._drain()

    def _drain(self) -> None:
        while self._todo:
            self.do(self.node.handle(self._todo.popleft(), self.now))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, from deadline to deadline."""
        end = self.now + seconds
        for _ in range(10_000):
            deadline = self.node.next_deadline()
            if deadline is None or deadline > end or self.exit is not None:
                break
            self.now = max(self.now, deadline)
            self.feed(Tick())
        else:
            raise AssertionError("the node asks for a tick again and again")
        self.now = end

    def encode(self) -> None:
        """Answer what is being encoded."""
        orders, self.encoding = self.encoding, []
        for order in orders:
            self.feed(encoded(order))

    def do(self, instructions: list[Instruction]) -> None:
        """Carry instructions out; answers wait their turn."""
        for instruction in instructions:
            match instruction:
                case ReadObject() | CreateObject() | ReplaceObject() | ListObjects() | DeleteObject():
                    if self.is_silent:
                        self.unheard.append(instruction)
                    else:
                        self._todo.append(self._store(instruction))
                case StartWorker():
                    self._todo.append(WorkerReady(instruction.slot))
                case StartIsland():
                    self.running[instruction.island] = instruction
                case LimitIsland():
                    self.running[instruction.island] = msgspec.structs.replace(
                        self.running[instruction.island], budget=instruction.budget
                    )
                case StopIsland():
                    self.running.pop(instruction.island, None)
                case TakeMigrants():
                    self.taken[instruction.island] = instruction.number
                case SkipKeys() | Admit() | Dial() | HangUp() | Send():
                    pass
                case VerifyProgram():
                    self.verifying.append(instruction)
                case FinishWorkers():
                    if self.finishes:
                        self._todo.append(WorkersFinished())
                case SaveCheckpoint():
                    self._save(instruction)
                case EncodeResult():
                    if self.encodes:
                        self._todo.append(encoded(instruction))
                    else:
                        self.encoding.append(instruction)
                case Log():
                    self.logs.append(instruction)
                case Exit():
                    self.exit, self.exit_kind = instruction.reason, instruction.kind

    def _store(self, instruction: StoreInstruction) -> StoreAnswer:
        outcome = self.fault(instruction)
        if outcome is not None:
            return StoreAnswer(instruction.op, outcome, reason=self.reason)
        answer = self._carry_out(instruction)
        if self.lost(instruction):
            return StoreAnswer(instruction.op, Outcome.UNKNOWN, reason="the answer was lost")
        return answer

    def _carry_out(self, instruction: StoreInstruction) -> StoreAnswer:
        op = instruction.op
        match instruction:
            case ReadObject(name=name):
                if name not in self.objects:
                    return StoreAnswer(op, Outcome.MISSING)
                data, token = self.objects[name]
                return StoreAnswer(op, Outcome.DONE, data=data, token=token)
            case CreateObject(name=name, data=data):
                if name in self.objects:
                    return StoreAnswer(op, Outcome.CONFLICT)
                self.objects[name] = data, 1
                if name == "cluster":
                    self.swaps.append(self.now)
                return StoreAnswer(op, Outcome.DONE, token=1)
            case ReplaceObject(name=name, data=data, token=token):
                if self.objects[name][1] != token:
                    return StoreAnswer(op, Outcome.CONFLICT)
                self.objects[name] = data, token + 1
                self.swaps.append(self.now)
                return StoreAnswer(op, Outcome.DONE, token=token + 1)
            case ListObjects(prefix=prefix):
                names = tuple(sorted(name for name in self.objects if name.startswith(prefix)))
                return StoreAnswer(op, Outcome.DONE, names=names)
            case DeleteObject(name=name):
                self.objects.pop(name, None)
                return StoreAnswer(op, Outcome.DONE)

    def _save(self, instruction: SaveCheckpoint) -> None:
        checkpoint = instruction.checkpoint
        name = checkpoint_name(checkpoint.member, checkpoint.boot, checkpoint.sequence)
        outcome = self.fault(CreateObject(0, name, b""))
        if outcome is not None:
            self._todo.append(CheckpointFailed(instruction.sequence, "a fault"))
            return
        self.objects[name] = encode_checkpoint(checkpoint), 1
        self._todo.append(CheckpointSaved(instruction.sequence))

    # --- what the user does ----------------------------------------------------------------------

    def submit(
        self,
        name: str = "r",
        tasks: int = 2,
        islands: int = 1,
        source: str | None = None,
        nonce: str = "n0",
        **settings: object,
    ) -> None:
        """Submit a run of the toy problem."""
        chosen: dict[str, object] = {"seed": 1, "evaluations": 1000, "islands_per_task": islands} | settings
        run = Run(
            name=name,
            nonce=nonce,
            problem=ProblemUse("toy", "", "toy", "1", source),
            settings=msgspec.convert(chosen, RunSettings),
            tasks={f"t{number}": msgspec.Raw(b"{}") for number in range(tasks)},
            submitted_through="",
        )
        self.objects[inbox_run(name, nonce)] = encode_run(run), 1
        self.feed(InboxChanged())
        self.pass_time(1)

    def command(
        self, verb: Verb, run: str = "r", budget: Budget | None = None, priority: int | None = None, **about: Any
    ) -> str:
        """Give a command; returns what came of it."""
        return self.node.outcome(self.order(verb, run, budget, priority, **about)) or "no answer"

    def order(
        self, verb: Verb, run: str = "r", budget: Budget | None = None, priority: int | None = None, **about: Any
    ) -> str:
        """Give a command; returns the name of its object."""
        name = inbox_command(f"{verb}{self.now}")
        run = "" if verb.is_about_member else run
        command = Command(verb=verb, run=run, budget=budget, priority=priority, **about)
        self.objects[name] = encode_command(command), 1
        self.feed(InboxChanged())
        self.pass_time(1)
        return name

    def stop(self) -> None:
        """SIGTERM."""
        self.feed(StopRequested())
        self.pass_time(5)

    # --- what other members do -------------------------------------------------------------------

    def join(self, member: str, boot: str = "c0", **says: Any) -> None:
        """Another platform announces itself. It is linked with nobody, and dead before long unless it is heard."""
        known: dict[str, Any] = {"kind": "local", "workers": 2, "memory_mb": 8192, "batch_size": 10}
        plan = MemberPlan(boot=boot, **(known | {"key": f"key of {member}"} | says))
        self.objects[inbox_member(member, boot)] = (
            encode_announcement(Announcement(member=member, says=plan)),
            1,
        )
        self.feed(InboxChanged())
        self.pass_time(2)

    def link(self, member: str, boot: str = "c0") -> None:
        """Another platform, which joined before, opens connection 1 and greets."""
        self.feed(LinkOpened(1, f"key of {member}", None))
        hello = Hello(versions=[1, 2], cluster="", member=member, boot=boot, incarnation=0, heartbeat_interval=1.0)
        self.feed(Received(1, hello))

    def noted(self) -> list[Instruction]:
        """All that the node asks for from now on, as it comes."""
        out: list[Instruction] = []
        do = self.do

        def noting(instructions: list[Instruction]) -> None:
            out.extend(instructions)
            do(instructions)

        self.do = noting  # type: ignore[method-assign]
        return out

    def hear(self, member: str, head: Head, payload: bytes = b"", boot: str = "c0") -> None:
        """Another member's letter is read."""
        self.node.hearing.delivered(Delivery(member, boot, head, payload, MAIL, True), self.now)
        self.do(self.node.outbox.take())
        self.feed(Tick())

    # --- what workers do -------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """The plan as the node has it."""
        return self.node.plan

    def generation(self, island: IslandId, *, fitness: float = 0.0, fit: bool = False, evaluations: int = 10) -> None:
        """A worker finishes a generation of an island that was started."""
        start = self.running[island]
        old = start.snapshot
        generation = old.generation + 1
        genome = b"%s:%d" % (str(island).encode(), generation)
        program = Program.of(genome, KEY_OF(genome), (fitness,), fit)
        counters = Counters(
            evaluations=old.counters.evaluations + evaluations,
            seconds=old.counters.seconds + 0.1,
            cpu_seconds=old.counters.cpu_seconds + 0.1,
        )
        snapshot = msgspec.structs.replace(old, generation=generation, population=pack([program]), counters=counters)
        spent = start.budget.is_used(counters.cpu_seconds, counters.evaluations, 0)
        self.running[island] = msgspec.structs.replace(start, snapshot=snapshot)
        if fit or spent:
            del self.running[island]
        self.feed(IslandReported(start.slot, island, snapshot, fit, spent))

    def verify(self, solved: bool | None = True) -> None:
        """Workers answer all verifications."""
        orders, self.verifying = self.verifying, []
        for order in orders:
            fit = self.is_fit(order)
            self.feed(Verified(order.run, order.task, order.genome, self.fitness(order), fit, solved if fit else False))

    def is_fit(self, order: VerifyProgram) -> bool:
        """Whether the guess of a task is fit."""
        return self._guess(order).fit

    def fitness(self, order: VerifyProgram) -> tuple[float, ...]:
        """The fitness of a task's guess."""
        return self._guess(order).fitness

    def _guess(self, order: VerifyProgram) -> Program:
        assert self.node.term is not None
        guess = self.node.term.closing.ends.by_task[order.run, order.task].guess
        assert guess is not None
        return guess
