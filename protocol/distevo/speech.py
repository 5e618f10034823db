"""Speech: what a member says to others in the words of `messages`, and who is to act on what it hears."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from distevo.block import pack, unpack
from distevo.checkpoint import (
    Checkpoint,
    Claim,
    IslandSnapshot,
    content_bytes,
    decode_wanted,
    encode_checkpoint,
    programs_of,
)
from distevo.codec import MAX_PROGRAM_BYTES, MAX_STATES_BYTES, MAX_STATES_PROGRAMS, MAX_TOLD_PROGRAMS
from distevo.diversity import diversity_of
from distevo.errors import (
    BlockError,
    BlockTooLarge,
    CheckpointError,
    CheckpointTooLarge,
    CheckpointVersionError,
    RemoteProtocolError,
)
from distevo.events import IslandId, TaskId, Verified
from distevo.foreman import Foreman
from distevo.lease import InForce
from distevo.messages import (
    MAX_COUNT,
    MAX_ISLANDS,
    MAX_MEMBERS,
    MAX_SECONDS,
    MAX_TEXT_BYTES,
    Code,
    Command,
    Control,
    ControlVerb,
    Fit,
    Heartbeat,
    IslandDiversity,
    IslandFailure,
    IslandProgress,
    IslandRef,
    IslandRung,
    PlanHint,
    PopulationKind,
    PopulationState,
    TaskWarning,
)
from distevo.news import FitTask, Report
from distevo.program import Program, keyer
from distevo.result import finite
from distevo.work import IslandWork, Stage, cut

WIRE_LEVEL = 1
"""zlib's, for states that travel: they are on their way for as long as they are being compressed."""
MAX_BEST_NUMBERS = 16
DETAILED_ISLANDS = 1024
"""Of more islands in hand neither the best fitness nor the diversity is told: a head has its limit."""
ENVELOPE_BYTES = 2**14
"""What a checkpoint has beside the content of its islands, at most, where nothing is said of what was used: names of
who wrote it, its header, and what zlib adds to content that it cannot make smaller."""
MAX_REASONS = 2**17
"""Characters of all reasons for refusals together: with many, each is cut short, for the same limit."""


def member_of(owner: str) -> str:
    """The id of the member that an owner, `<id>-<boot>`, is a boot of."""
    return owner.rpartition("-")[0]


# --- what is said ---------------------------------------------------------------------------------


def heartbeat(foreman: Foreman, **fields: object) -> Heartbeat:
    """A sign of life, with how far the islands in hand are."""
    waiting = foreman.waiting
    begun = [work for work in foreman.islands.values() if not work.is_fetching][:MAX_ISLANDS]
    works = sorted(begun, key=lambda work: work.id in waiting)
    islands = [progress_of(work) for work in works]
    has_details = len(works) <= DETAILED_ISLANDS
    refused = list(foreman.refused.items())[:MAX_MEMBERS]
    most = min(MAX_TEXT_BYTES, MAX_REASONS // max(len(refused), 1))
    return Heartbeat(
        queued=foreman.queued,
        islands=islands if has_details else [msgspec.structs.replace(progress, best=[]) for progress in islands],
        waiting=sum(work.id in waiting for work in works),
        diversity=[_diversity_of(work) for work in works] if has_details else [],
        refuses={run: reason[:most] for run, reason in refused},
        **fields,  # type: ignore[arg-type]
    )


def progress_of(work: IslandWork) -> IslandProgress:
    """How far an island in hand is."""
    state = work.state
    return IslandProgress(
        run=work.id.run,
        task=work.id.task,
        island=work.id.island,
        grant=work.grant,
        generation=min(state.generation, MAX_COUNT),
        evaluations=min(state.counters.evaluations, MAX_COUNT),
        duplicates=min(state.counters.duplicates, MAX_COUNT),
        seconds=min(state.counters.cpu_seconds, MAX_SECONDS),
        is_final=work.stage is Stage.FINAL,
        best=told_fitness(work.best_fitness),
    )


def _diversity_of(work: IslandWork) -> IslandDiversity:
    """How diverse an island in hand is."""
    found = diversity_of(work.population())
    entropy, fitness_entropy = round(found.entropy, 4), round(found.fitness_entropy, 4)
    return IslandDiversity(found.behaviours, entropy, fitness_entropy, work.is_converged)


def told_fitness(fitness: Sequence[float] | None) -> list[float]:
    """The fitness of a program as heartbeats tell it; empty without one."""
    return [finite(number) for number in fitness[:MAX_BEST_NUMBERS]] if fitness is not None else []


def fit_message(task: TaskId, fit: FitTask) -> tuple[Fit, bytes]:
    """FIT, with the fit programs that are kept."""
    head = Fit(
        run=task[0],
        task=task[1],
        first_grant=fit.first_grant,
        problem=fit.problem,
        problem_version=fit.version,
    )
    return head, pack(list(fit.programs.values()))


def report_messages(report: Report, member: str, boot: str) -> list[tuple[PopulationState, bytes]]:
    """POPULATION to the coordinator, in as many messages as it takes."""
    head = PopulationState(
        kind=PopulationKind.FINAL,
        empty=[IslandRef(*island, grant) for island, grant in report.empty],
        failures=[
            IslandFailure(*island, grant, error[:MAX_TEXT_BYTES]) for island, (grant, error) in report.failures.items()
        ],
        deaths=[IslandRef(*island, report.failures[island][0]) for island in sorted(report.deaths)],
        warnings=[TaskWarning(*task, warning[:MAX_TEXT_BYTES]) for task, warning in report.warnings.items()],
        rungs=[IslandRung(*island, rung) for island, rung in report.rungs.items()],
    )
    messages: list[tuple[PopulationState, bytes]] = []
    bare = msgspec.structs.replace(head, empty=[], failures=[], deaths=[])
    batch: list[IslandSnapshot] = []
    size = programs = 0
    for whole in report.finals:
        # All of it lies in a checkpoint.
        snapshot = cut(whole, MAX_PROGRAM_BYTES, MAX_STATES_PROGRAMS)
        size, programs = size + content_bytes(snapshot), programs + programs_of(snapshot)
        if batch and (size > MAX_PROGRAM_BYTES or programs > MAX_STATES_PROGRAMS):
            messages.append((bare, _states(batch, member, boot)))
            batch, size, programs = [], content_bytes(snapshot), programs_of(snapshot)
        batch.append(snapshot)
    # A failure ends its task: it comes with the last of the states, or after them, and never before one.
    if batch:
        messages.append((msgspec.structs.replace(head, empty=[]), _states(batch, member, boot)))
        head = msgspec.structs.replace(head, failures=[], deaths=[])
    if head.empty or not report.finals:
        messages.append((head, b""))
    return messages


def is_tellable(snapshot: IslandSnapshot) -> bool:
    """Whether a state goes into a message, as it is."""
    is_short = content_bytes(snapshot) + ENVELOPE_BYTES <= MAX_STATES_BYTES
    return is_short and programs_of(snapshot) <= MAX_STATES_PROGRAMS


def hand_over_message(snapshot: IslandSnapshot, member: str, boot: str) -> tuple[PopulationState, bytes]:
    """POPULATION to the new owner."""
    return PopulationState(kind=PopulationKind.HAND_OVER), _states([snapshot], member, boot)


def plan_hint(in_force: InForce) -> PlanHint:
    """PLAN: only of what is in force."""
    return PlanHint(epoch=in_force.plan.epoch, version=in_force.plan.version, name=in_force.name)


def verdict_message(verdict: Verified, first_grant: int) -> tuple[Control, bytes]:
    """CONTROL with what came of looking at a guess of the run that has this first grant."""
    head = Control(
        verb=ControlVerb.VERDICT,
        run=verdict.run,
        task=verdict.task,
        first_grant=first_grant,
        fitness=[finite(number) for number in verdict.fitness] if verdict.fitness is not None else None,
        fit=verdict.fit,
        solved=verdict.solved,
        error=verdict.error[:MAX_TEXT_BYTES] if verdict.error is not None else None,
    )
    return head, verdict.genome


def _states(snapshots: Iterable[IslandSnapshot], member: str, boot: str) -> bytes:
    state = Checkpoint(cluster="", member=member, boot=boot, sequence=0, islands=list(snapshots), resource_usage={})
    return encode_checkpoint(state, WIRE_LEVEL)


# --- what is heard --------------------------------------------------------------------------------


def _code_of(error: CheckpointError) -> Code:
    if isinstance(error, CheckpointVersionError):
        return Code.VERSION
    return Code.TOO_LARGE if isinstance(error, CheckpointTooLarge) else Code.MALFORMED


def states_in(payload: bytes, is_its: Callable[[Claim], bool]) -> list[IslandSnapshot]:
    """The states that a POPULATION brings, as far as they are its sender's to bring. Raises RemoteProtocolError."""
    if not payload:
        return []
    try:
        return decode_wanted(payload, is_its, MAX_STATES_BYTES, MAX_STATES_PROGRAMS)
    except CheckpointError as error:
        raise RemoteProtocolError(_code_of(error), f"POPULATION: {error}") from error


def report_in(head: PopulationState, payload: bytes, is_its: Callable[[Claim], bool]) -> Report:
    """What a member reports. Raises RemoteProtocolError."""
    return Report(
        finals=states_in(payload, is_its),
        empty=[(IslandId(ref.run, ref.task, ref.island), ref.grant) for ref in head.empty],
        failures={IslandId(told.run, told.task, told.island): (told.grant, told.error) for told in head.failures},
        deaths={IslandId(ref.run, ref.task, ref.island) for ref in head.deaths},
        warnings={(told.run, told.task): told.warning for told in head.warnings},
        rungs={IslandId(told.run, told.task, told.island): told.rung for told in head.rungs},
    )


def programs_in(command: Command, payload: bytes, problem: str, version: str) -> list[Program]:
    """The programs that a FIT or MIGRANTS brings, their keys made anew. Raises RemoteProtocolError."""
    try:
        return unpack(payload, keyer(problem, version), MAX_TOLD_PROGRAMS, MAX_PROGRAM_BYTES)
    except BlockError as error:
        code = Code.TOO_LARGE if isinstance(error, BlockTooLarge) else Code.MALFORMED
        raise RemoteProtocolError(code, f"{command.name}: {error}") from error


def verdict_in(head: Control, payload: bytes) -> Verified:
    """The verdict that a CONTROL brings."""
    return Verified(
        run=head.run or "",
        task=head.task or "",
        genome=payload,
        fitness=tuple(head.fitness) if head.fitness is not None else None,
        fit=head.fit,
        solved=head.solved,
        error=head.error,
    )
