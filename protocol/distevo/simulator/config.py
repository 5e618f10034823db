"""Scenarios: which cluster is simulated, what is asked of it, and what goes wrong.

A scenario is plain data, so that it can be written by hand, drawn from a seed (`expand`) and printed again. With a
seed it determines everything that happens.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from distevo.command import Verb
from distevo.errors import DistevoError
from distevo.mailboxes import LONGEST_MAIL_INTERVAL
from distevo.names import MAX_ID_BYTES
from distevo.orders import MAX_PLACES
from distevo.run import Budget, MigrationSettings, Priority, RunSettings
from distevo.run import Positive as Evaluations
from distevo.simulator import faults as f
from distevo.simulator.faults import AnyFault, Fault, Moment, Partition, Share, Span, end_of, members_of
from distevo.topology import check

MAX_MEMBERS = 2000
COORDINATOR = "coordinator"
"""Names, in a fault or a `drain`, whoever is coordinator when it strikes; nobody, and it does nothing."""
STRIKES_COORDINATOR = f.Crash | f.Stop | f.Suspend | f.Pause | f.Reset | f.WorkerDeath | f.Slow
"""The faults that can name it: the others are about machines and lines, whoever coordinates."""
CLOCK_BEGINS = 1000.0
"""What a clock that is right shows at the start, seconds."""
Positive = Annotated[int, Meta(ge=1)]
CpuSeconds = Annotated[int, Meta(ge=1, le=10**9)]


class ScenarioError(DistevoError):
    """A scenario that cannot be simulated; the message names the field."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A part of a scenario: unknown fields are mistakes."""


class Group(_Part, frozen=True, kw_only=True):
    """Members of one kind. They are named after it: `server-1`, `server-2`, and on through all groups of the kind."""

    kind: Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES - 8, pattern=r"^[a-z0-9_]+\Z")] = "server"
    count: Positive = 1
    workers: Annotated[int, Meta(ge=1, le=1024)] = 1
    memory_mb: Positive = 4096
    batch_size: Positive = 100
    islands: Positive | None = None
    """Most islands that each wishes to hold."""
    lacks: tuple[str, ...] = ()
    """Runs whose problem is not there."""
    is_behind_nat: bool = False
    """It dials and cannot be dialled, as a notebook."""
    latency: Annotated[float, Meta(ge=0)] = 0.02
    """Seconds from it to the middle of the network."""
    priority: int = 0
    """As candidate for coordinator; lower goes first."""
    session_limit: Annotated[float, Meta(ge=60)] | None = None
    """Seconds from a start of its daemon until the machine is taken away, as the daemon knows; None: it stays."""
    starts_at: Moment = 0.0
    clock_offset: Annotated[float, Meta(ge=-CLOCK_BEGINS, le=1e9)] = 0.0
    """Seconds that its clock is ahead. It counts up from the machine's start, and never shows less than 0."""
    clock_rate: Annotated[float, Meta(gt=0.5, lt=2)] = 1.0
    """Seconds that its clock counts in a second."""
    crashes_per_hour: Annotated[float, Meta(ge=0)] = 0.0
    """How often each of them crashes in the mean."""
    downtime: Annotated[float, Meta(gt=0, le=1e9)] = 60.0
    """Seconds until it is back, in the mean."""


class Times(_Part, frozen=True, kw_only=True):
    """Settings of every node that have to do with time, in seconds, within what a daemon accepts."""

    lease_ttl: Annotated[float, Meta(ge=5, le=600)] = 15.0
    swap_interval: Span = 1.2
    heartbeat_interval: Annotated[float, Meta(ge=0.1, le=3600)] = 10.0
    heartbeat_timeout: Annotated[float, Meta(ge=0.2, le=36_000)] = 30.0
    mail_interval: Annotated[float, Meta(ge=0.1, le=LONGEST_MAIL_INTERVAL)] = 15.0
    checkpoint_generations: Annotated[int, Meta(ge=1, le=10_000)] = 5
    checkpoint_seconds: Annotated[float, Meta(ge=0.1, le=86_400)] = 10.0
    checkpoint_least_seconds: Span = 5.0
    avg_generation_time_threshold: Annotated[float, Meta(ge=1.1, le=100)] | None = 2.5
    """From how many times the cluster's median on a platform is slow; null: none is."""
    merge_interval: Annotated[float, Meta(ge=0, le=86_400)] = 10.0
    """0: never."""


class Network(_Part, frozen=True, kw_only=True):
    """The network at its best; faults make it worse for a while."""

    jitter: Annotated[float, Meta(ge=0)] = 0.02
    """Seconds that a frame takes longer, at most."""
    dial_timeout: Span = 5.0
    has_codec: bool = False
    """Whether frames travel as bytes, through the codec; else as heads and payloads, which is faster."""


class Bucket(_Part, frozen=True, kw_only=True):
    """The store at its best."""

    latency: Annotated[float, Meta(ge=0)] = 0.06
    """Seconds that a request takes in the mean."""
    has_write_limit: bool = True
    """Whether an object that was written less than a second ago refuses to be written."""


class Work(_Part, frozen=True, kw_only=True):
    """What workers do."""

    generation_seconds: tuple[Span, Span] = (2.0, 8.0)
    """Least and most that a generation of an island takes."""
    noise: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """By what part each platform takes more or less time than that, drawn anew every half minute."""
    evaluations: Annotated[int, Meta(ge=1, le=10**9)] = 10
    """Of each generation."""
    fit: Share = 0.0
    """Of all programs, those that are fit."""
    made_up: Share = 0.0
    """Of all programs, those that an island takes for fit and that are not so when they are evaluated again."""
    deaths: Share = 0.0
    """Generations in which the worker dies."""
    start_seconds: Span = 0.3
    """How long a worker takes to start."""


class Submission(_Part, frozen=True, kw_only=True):
    """A run that a user submits."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]
    at: Moment = 0.0
    tasks: Annotated[int, Meta(ge=1, le=10_000)] = 2
    islands_per_task: Annotated[int, Meta(ge=1, le=1024)] = 2
    evaluations: Evaluations = 300
    """Budget of each task."""
    cpu_seconds: CpuSeconds | None = None
    """Its budget instead, if it is to be one of CPU time."""
    rungs: list[Evaluations] = []
    """Smaller budgets that each task goes through before that one, rising, in the same unit."""
    priority: Priority = 0
    """Of runs that wait for places, those of the highest go first."""
    population_size: Annotated[int, Meta(ge=2, le=100_000)] = 5
    migration: MigrationSettings = MigrationSettings(interval=3, size=2)

    def settings(self, seed: int) -> RunSettings:
        """As a run has them. Raises ValueError where they do not fit together."""
        check(self.migration, self.islands_per_task)
        is_in_seconds = self.cpu_seconds is not None
        return RunSettings(
            seed=seed,
            islands_per_task=self.islands_per_task,
            cpu_seconds=self.cpu_seconds,
            evaluations=None if is_in_seconds else self.evaluations,
            rungs=tuple(Budget(rung, None) if is_in_seconds else Budget(None, rung) for rung in self.rungs),
            priority=self.priority,
            population_size=self.population_size,
            migration=self.migration,
        )


class Order(_Part, frozen=True, kw_only=True):
    """A command that a user gives."""

    at: Moment
    verb: Verb
    run: str = ""
    evaluations: Evaluations | None = None
    """For `extend`: the new budget of each task."""
    cpu_seconds: CpuSeconds | None = None
    """The same for a run whose budget is one of CPU time."""
    priority: Priority | None = None
    """For `priority`: the new one."""
    member: str = ""
    """For `drain`, `revoke` and `unrevoke`: the member."""
    back_after: Span | None = None
    """Whom that has leave is started again so many seconds later, or never; who is let in again, in any case."""
    again_after: Span | None = None
    """For `delete`: so many seconds after the run is gone another is submitted that is like it and has its name."""


class Scenario(_Part, frozen=True, kw_only=True):
    """A whole simulation, but for its seed."""

    minutes: Annotated[float, Meta(gt=0, le=24 * 60)] = 5.0
    """Virtual time."""
    calm_minutes: Annotated[float, Meta(ge=0)] = 0.0
    """At the end, without a fault: the cluster then has to heal within stated times. 0: nothing is asked of it."""
    must_finish: bool = False
    """Whether every run has to be over at the end."""
    members: Annotated[list[Group], Meta(min_length=1)]
    times: Times = Times()
    network: Network = Network()
    store: Bucket = Bucket()
    work: Work = Work()
    runs: list[Submission] = []
    commands: list[Order] = []
    faults: list[AnyFault] = []
    validate_every: Positive = 1
    """Steps of a node from one check of its own bounds to the next."""

    @property
    def seconds(self) -> float:
        """Virtual time, seconds."""
        return 60 * self.minutes

    @property
    def calm_from(self) -> float:
        """When the calm at the end begins, seconds; the end itself where there is none."""
        return self.seconds - 60 * self.calm_minutes


def names_of(scenario: Scenario) -> dict[str, Group]:
    """Every member by name, with its group."""
    counts: dict[str, int] = {}
    named = {}
    for group in scenario.members:
        for _ in range(group.count):
            counts[group.kind] = counts.get(group.kind, 0) + 1
            named[f"{group.kind}-{counts[group.kind]}"] = group
    return named


def twin_host(twin: f.Twin) -> str:
    """What the machine is called that has a member's name, too."""
    return f"{twin.member}~{twin.at:g}"


def scenario_of(content: Any) -> Scenario:
    """The scenario in plain data (as JSON or YAML give it). Raises ScenarioError."""
    if content is None:
        raise ScenarioError("the scenario is empty; it needs at least `members`")
    try:
        scenario = msgspec.convert(content, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(_friendly(str(error))) from error
    return checked(scenario)


def plain(scenario: Scenario) -> Any:
    """The scenario as plain data, from which `scenario_of` makes it again."""
    return msgspec.to_builtins(scenario)


def text(scenario: Scenario) -> str:
    """The scenario as text that a scenario's file may hold: JSON, which is YAML too."""
    return msgspec.json.format(msgspec.json.encode(scenario), indent=2).decode()


def checked(scenario: Scenario) -> Scenario:
    """The same scenario, if its parts fit together. Raises ScenarioError."""
    size = sum(group.count for group in scenario.members)
    if size > MAX_MEMBERS:
        raise ScenarioError(f"members: {size} are more than {MAX_MEMBERS}")
    named = names_of(scenario)
    if scenario.calm_minutes >= scenario.minutes:
        raise ScenarioError("calm_minutes: has to be less than minutes")
    times = scenario.times
    if times.heartbeat_timeout <= times.heartbeat_interval:
        raise ScenarioError("times.heartbeat_timeout: has to be more than heartbeat_interval")
    for what, parts in (("runs", scenario.runs), ("commands", scenario.commands), ("faults", scenario.faults)):
        for at, part in enumerate(parts):
            if part.at > scenario.seconds:
                raise ScenarioError(f"{what}[{at}].at: {part.at:g} s is after the end, at {scenario.seconds:g} s")
    least, most = scenario.work.generation_seconds
    if most < least:
        raise ScenarioError("work.generation_seconds: is [least, most]")
    runs = [run.name for run in scenario.runs]
    for at, name in enumerate(runs):
        if name in runs[:at]:
            raise ScenarioError(f"runs[{at}].name: there is a run {name!r} already")
        run = scenario.runs[at]
        if run.tasks * run.islands_per_task > MAX_PLACES:
            raise ScenarioError(f"runs[{at}]: it has more than {MAX_PLACES} islands")
        try:
            run.settings(seed=0)
        except ValueError as error:
            raise ScenarioError(f"runs[{at}]: {error}") from error
    for at, group in enumerate(scenario.members):
        if group.starts_at > scenario.seconds:
            raise ScenarioError(
                f"members[{at}].starts_at: {group.starts_at:g} s is after the end, at {scenario.seconds:g} s"
            )
        unknown = next((name for name in group.lacks if name not in runs), None)
        if unknown is not None:
            raise ScenarioError(f"members[{at}].lacks: there is no run {unknown!r}")
    renewed: set[str] = set()
    for at, order in enumerate(scenario.commands):
        if order.again_after is not None:
            if order.verb is not Verb.DELETE:
                raise ScenarioError(f"commands[{at}].again_after: is for `delete`")
            if order.run in renewed:
                raise ScenarioError(f"commands[{at}].again_after: {order.run!r} is submitted again once already")
            renewed.add(order.run)
        if order.verb.is_about_member:
            if order.member not in named and (order.member, order.verb) != (COORDINATOR, Verb.DRAIN):
                raise ScenarioError(f"commands[{at}].member: there is no member {order.member!r}")
        elif order.run not in runs:
            raise ScenarioError(f"commands[{at}].run: there is no run {order.run!r}")
        if order.verb is Verb.EXTEND and order.evaluations is None and order.cpu_seconds is None:
            raise ScenarioError(f"commands[{at}]: `extend` needs evaluations, or cpu_seconds")
        if order.verb is Verb.PRIORITY and order.priority is None:
            raise ScenarioError(f"commands[{at}]: `priority` needs a priority")
    twins: set[str] = set()
    for at, fault in enumerate(scenario.faults):
        _check_fault(f"faults[{at}]", fault, scenario, named)
        if isinstance(fault, f.Twin):
            host = twin_host(fault)
            if host in twins:
                raise ScenarioError(f"faults[{at}]: a twin of {fault.member!r} starts at {fault.at:g} s already")
            twins.add(host)
    return scenario


def _check_fault(where: str, fault: Fault, scenario: Scenario, named: dict[str, Group]) -> None:
    for member in members_of(fault):
        if member == COORDINATOR and not isinstance(fault, STRIKES_COORDINATOR):
            raise ScenarioError(
                f"{where}: {fault.__struct_config__.tag} names members, and cannot mean whoever is coordinator then"
            )
        if member not in named and member != COORDINATOR:
            known = ", ".join(list(named)[:6]) + (", ..." if len(named) > 6 else "")
            raise ScenarioError(f"{where}: there is no member {member!r}; there are {known}")
    if isinstance(fault, Partition):
        on_sides = [member for side in fault.sides for member in side]
        twice = next((member for member in on_sides if on_sides.count(member) > 1), None)
        if twice is not None:
            raise ScenarioError(f"{where}.sides: {twice!r} is named twice")
    if scenario.calm_minutes and end_of(fault) > scenario.calm_from:
        raise ScenarioError(
            f"{where}: lasts until {end_of(fault):g} s, into the calm that begins at {scenario.calm_from:g} s"
        )


def _friendly(message: str) -> str:
    """What msgspec says about a field, with the field first, as in `members[0].workers: ...`."""
    what, at, path = message.partition(" - at `")
    if not at:
        return what
    return f"{path.removesuffix('`').removeprefix('$').removeprefix('.')}: {what}"
