"""The figures: what the metrics page says of the daemon, of the members that it knows, and of the runs.

All of it is read from what the node and its shell keep anyway, at the moment of a scrape; nothing is updated while
evolution goes on. Labels have few values: ids of members, names of commands, events and states, and runs that are not
over; never tasks or programs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from distevo.diversity_view import all_islands_view, summary
from distevo.events import Death
from distevo.members import State
from distevo.messages import Command
from distevo.node import Node
from distevo.plan import RunState, TaskState
from distevo.view import coordinating, state_of
from distevo.work import Stage
from distevod.checkpoints import AsyncCheckpointManager
from distevod.metrics.counted_store import CountedStore
from distevod.metrics.families import counter, gauge

LIVING = {State.ALIVE, State.SUSPECT}
"""A suspect is not dead yet: it may refute that within a second."""

TransportCounts = Callable[[], Mapping[str, int]]
"""What the transport has counted: frames and bytes, in and out; failures of handshakes, by kind, under names that begin
with HANDSHAKES_FAILED; other events; and `links_open`, how many links there are now."""

HANDSHAKES_FAILED = "handshakes_failed_"
_HANDSHAKES = ("broken_off", "denied", "protocol")
"""Kinds that are shown before the first of them fails."""
_GREETINGS = {
    "greetings_timed_out": "timed_out",
    "refused_by_others": "by_others",
    **{f"refused_{kind}": kind for kind in ("cluster", "denied", "identity", "version")},
}
"""What the router counts of greetings that came to nothing, and the kind of failure that each is."""


class Figures:
    """Reads all figures; to be used where the node is, in the event loop."""

    def __init__(
        self,
        node: Node,
        checkpoints: AsyncCheckpointManager,
        store: CountedStore,
        clock: Callable[[], float],
        transport: TransportCounts | None = None,
    ) -> None:
        """`clock` is the node's, in seconds. Without `transport` there is none, and no figures of it."""
        self._node, self._checkpoints, self._store, self._clock = node, checkpoints, store, clock
        self._transport = transport
        self._me = node.settings.member
        self._begun = clock()

    def read(self) -> list[Metric]:
        """All families, as they are now."""
        now, states = self._clock(), self._states()
        return [
            *self._members(states, now),
            *self._terms(now),
            *self._runs(states, now),
            *self._work(),
            *self._exchange(),
            *self._network(),
            *self._kept(now),
        ]

    # --- the cluster -----------------------------------------------------------------------------

    def _members(self, states: dict[str, State], now: float) -> Iterator[Metric]:
        health = gauge("platform_health", "1 for a platform that lives, as the one that is scraped knows it, else 0.")
        state = gauge("platform_state", "1 for the state that a platform is held to be in, 0 for the others.", "state")
        silence = gauge("platform_last_heard_seconds", "Seconds since another platform was last heard, in this boot.")
        generation_time = gauge(
            "avg_generation_time_seconds", "How long a platform's generations take in the mean, of late."
        )
        slowness = gauge(
            "platform_slowness",
            "How many times as long as the cluster's median a platform takes for the same work, as the plan has it.",
        )
        coordinator = gauge("coordinator", "1 for the platform that coordinates, as the one that is scraped knows it.")
        holder = coordinating(self._node, now)
        for name, found in states.items():
            health.add_metric([name], found in LIVING)
            for each in State:
                state.add_metric([name, each.value], found is each)
            heard_at = self._node.table.heard_at(name)
            if heard_at is not None:
                silence.add_metric([name], now - heard_at)
            coordinator.add_metric([name], name == holder and found in LIVING)
            taken = self._generation_time(name, now)
            if taken is not None and found in LIVING:
                generation_time.add_metric([name], taken)
            if found in LIVING and name in self._node.following.plan.members:
                slowness.add_metric([name], self._node.following.plan.members[name].slowness)
        yield from (health, state, silence, coordinator, generation_time, slowness)

    def _generation_time(self, name: str, now: float) -> float | None:
        standing = self._node.standing
        return standing.pace.avg_generation_time(now) if name == self._me else standing.generation_time.get(name)

    def _states(self) -> dict[str, State]:
        others = [name for name in self._node.following.plan.members if name != self._me]
        return {self._me: State.ALIVE} | {name: state_of(self._node, name) for name in others}

    def _terms(self, now: float) -> Iterator[Metric]:
        node = self._node
        record = node.lease.record
        yield self._own(
            gauge("epoch", "The coordinator's term, as last seen."), record.epoch if record is not None else 0
        )
        yield self._own(
            gauge("lease_unchanged_seconds", "Seconds since the coordinator's lease was last seen to be renewed."),
            node.lease.unchanged_for(now) if record is not None else None,
        )
        elections = counter(
            "elections_total",
            "Candidacies of this platform: won, lost to another, or given up since a member hears the coordinator.",
            "outcome",
        )
        yield self._each(elections, {outcome: node.election.outcomes[outcome] for outcome in ("won", "lost", "heard")})

    # --- work ------------------------------------------------------------------------------------

    def _runs(self, states: dict[str, State], now: float) -> Iterator[Metric]:
        node = self._node
        plan, standing = node.following.plan, node.standing
        runs = Counter(run.state for run in plan.runs.values())
        yield self._each(gauge("runs", "Runs in the plan.", "state"), {state.value: runs[state] for state in RunState})
        tasks = gauge("run_tasks", "Tasks of a run that is not over, by what came of them so far.", "run", "state")
        per_second = gauge("run_evaluations_per_second", "Evaluations of a run in the cluster, lately.", "run")
        per_hour = gauge(
            "run_tasks_per_hour",
            "Tasks of a run that were finished, fit or not, per hour of work on it, without pauses: to be read with "
            "run_budget, which each had unless it was fit before, and run_tasks_solved. A smaller one finishes more.",
            "run",
        )
        budget = gauge(
            "run_budget", "Whole budget of each task of a run, in unit: cpu_seconds, evaluations.", "run", "unit"
        )
        solved = gauge(
            "run_tasks_solved",
            "Tasks of a run that are solved, also on what evolution never saw; absent where nothing is hidden.",
            "run",
        )
        rate = 0.0
        for name, run in plan.runs.items():
            if run.state.is_over:
                continue
            found = Counter(task.state for task in run.tasks.values())
            for state in TaskState:
                tasks.add_metric([self._me, name, state.value], found[state])
            for unit, amount in (("cpu_seconds", run.budget.cpu_seconds), ("evaluations", run.budget.evaluations)):
                if amount is not None:
                    budget.add_metric([self._me, name, unit], amount)
            if any(task.solved is not None for task in run.tasks.values()):
                solved.add_metric([self._me, name], run.tally()["solved"])
            progress = standing.progress(name)
            per_second.add_metric([self._me, name], progress.evaluations_per_s(now))
            per_hour.add_metric([self._me, name], progress.tasks_per_hour())
            if run.state is RunState.RUNNING and progress.is_worked_on(now):
                rate += progress.tasks_per_hour()
        yield from (tasks, solved, budget, per_second, per_hour, *self._diversity())
        throughput = gauge(
            "throughput",
            "Tasks per hour that the whole cluster finishes, as this platform knows, of all runs that are worked on; "
            "absent while no run is running. It compares only with that of runs of the same run_budget; "
            "run_tasks_solved says what came of them.",
            "configuration",
        )
        if runs[RunState.RUNNING]:
            # No work is not slow work: an alert on a low rate should not speak of it.
            living = sum(state in LIVING for state in states.values())
            throughput.add_metric([self._me, "multi_platform" if living > 1 else "single_platform"], rate)
        yield throughput

    def _diversity(self) -> Iterator[Metric]:
        converged = gauge("run_islands_converged", "Islands of a run, of those at work, that get nowhere.", "run")
        entropy = gauge("run_entropy_bits", "Mean entropy in islands of a run at work.", "run", "of")
        islands = all_islands_view(self._node)
        for name, run in self._node.following.plan.runs.items():
            if run.state.is_over:
                continue
            found = summary(island for island in islands if island["run"] == name)
            converged.add_metric([self._me, name], found["islands_converged"])
            for of, field in (("behaviour", "entropy"), ("fitness", "fitness_entropy")):
                if found[field] is not None:
                    entropy.add_metric([self._me, name, of], found[field])
        yield from (converged, entropy)

    def _work(self) -> Iterator[Metric]:
        node = self._node
        tally, slots = node.standing.tally, node.slots
        yield self._own(counter("tasks_finished_total", "Tasks that were closed in the whole cluster."), tally.tasks)
        yield self._own(counter("generations_total", "Generations of islands here."), tally.generations)
        yield self._own(counter("generation_cpu_seconds_total", "CPU time that they took."), tally.cpu_seconds)
        yield self._own(counter("evaluations_total", "Programs that were evaluated here."), tally.evaluations)
        yield self._own(
            counter("duplicates_total", "Programs that were known already, and so not evaluated again here."),
            tally.duplicates,
        )
        stages = Counter(work.stage for work in node.foreman.islands.values())
        yield self._each(
            gauge("islands", "Islands in hand here.", "stage"),
            {stage.value: stages[stage] for stage in Stage if stage is not Stage.GONE},
        )
        yield self._own(gauge("islands_queued", "Islands that are this platform's and not begun."), node.foreman.queued)
        yield self._own(gauge("workers", "Worker processes that this platform has room for."), len(slots.slots))
        ready = sum(slot.is_ready for slot in slots.slots)
        yield self._own(gauge("workers_ready", "Workers that take islands now."), ready)
        yield self._each(
            counter("workers_replaced_total", "Workers that died and were replaced.", "cause"),
            {cause.value: slots.replaced.get(cause.value, 0) for cause in Death},
        )

    def _exchange(self) -> Iterator[Metric]:
        exchange = self._node.exchange
        yield self._own(
            counter("migrants_sent_total", "Programs that islands here gave to others, here or elsewhere."),
            exchange.emigrated,
        )
        yield self._each(
            counter("migrants_received_total", "Programs that were given to islands here.", "outcome"),
            {outcome: exchange.immigrated[outcome] for outcome in ("accepted", "known", "declined")},
        )
        yield self._own(
            gauge("migrant_batches_waiting", "Batches of emigrants that are not acknowledged yet."),
            sum(edge.is_waiting for edge in exchange.status()),
        )
        yield self._own(
            counter("seen_bytes_total", "Keys of evaluated programs that were sent to others, 16 bytes of each."),
            exchange.announced_bytes,
        )
        yield from self._merged()

    def _merged(self) -> Iterator[Metric]:
        merging = self._node.exchange.merging
        yield self._each(
            counter(
                "merge_seconds_total",
                "CPU time that bringing programs of several islands together took the daemon: what was wished for from "
                "other platforms (periodic), the last states of a task (final), immigrants (migration).",
                "kind",
            ),
            {kind: merging.stopwatch.seconds.get(kind, 0.0) for kind in ("periodic", "final", "migration")},
        )
        yield self._own(
            counter("merge_wishes_total", "Questions for better programs of a task that another was heard to have."),
            merging.wished_for,
        )
        yield self._each(
            counter("merge_programs_total", "Programs that answered such questions; known: here before.", "direction"),
            {"sent": merging.sent, "received": merging.received, "known": merging.known},
        )
        yield self._own(
            counter("merge_bytes_total", "Keys and programs that merges have sent, before compression."),
            merging.bytes_sent,
        )

    # --- network ---------------------------------------------------------------------------------

    def _network(self) -> Iterator[Metric]:
        routed = dict(self._node.router.counts())
        for direction, what in (("sent", "Messages to other platforms."), ("received", "Messages from others.")):
            names = {command: f"{direction}_{command.name.lower()}" for command in Command}
            found = {command.name.lower(): routed.pop(name, 0) for command, name in names.items()}
            yield self._each(counter(f"messages_{direction}_total", what, "command"), found)
        failures = counter(
            "handshake_failures_total",
            "Connections that came to nothing: the keys (transport), or what was said first (greeting).",
            "layer",
            "kind",
        )
        for name, kind in _GREETINGS.items():
            failures.add_metric([self._me, "greeting", kind], routed.pop(name, 0))
        if self._transport is not None:
            counts = dict.fromkeys((HANDSHAKES_FAILED + kind for kind in _HANDSHAKES), 0) | dict(self._transport())
            for name in [name for name in counts if name.startswith(HANDSHAKES_FAILED)]:
                failures.add_metric([self._me, "transport", name.removeprefix(HANDSHAKES_FAILED)], counts.pop(name))
            yield from self._transported(counts)
        yield failures
        yield self._each(
            counter("routing_events_total", "What else happened to links, relays and mail.", "event"), routed
        )
        yield self._own(counter("node_events_total", "Events that the node has handled."), self._node.handled)

    def _transported(self, counts: dict[str, int]) -> Iterator[Metric]:
        yield self._own(gauge("links", "Direct links with other platforms."), counts.pop("links_open", 0))
        for what in ("frames", "bytes"):
            yield self._each(
                counter(f"transport_{what}_total", f"Messages between platforms, in {what}.", "direction"),
                {direction: counts.pop(f"{what}_{direction}", 0) for direction in ("in", "out")},
            )
        yield self._each(
            counter("transport_events_total", "What else happened to connections and frames.", "event"), counts
        )

    # --- what is kept ----------------------------------------------------------------------------

    def _kept(self, now: float) -> Iterator[Metric]:
        checkpoints, saved_at = self._checkpoints, self._node.keeper.saved_at
        yield self._own(counter("checkpoints_total", "Checkpoints that this platform has saved."), checkpoints.saved)
        yield self._own(
            counter("checkpoint_failures_total", "Checkpoints of which nobody knows that they were saved."),
            checkpoints.failed,
        )
        yield self._own(
            counter(
                "checkpoints_replaced_total",
                "Checkpoints that were due while another was on its way, and whose place a newer one took.",
            ),
            self._node.keeper.replaced + checkpoints.replaced,
        )
        yield self._own(counter("checkpoint_bytes_total", "Their size in the store."), checkpoints.bytes_saved)
        yield self._own(
            counter("checkpoint_seconds_total", "Time that encoding and storing took."), checkpoints.seconds
        )
        yield self._own(
            gauge(
                "checkpoint_age_seconds",
                "Seconds since the newest durable checkpoint of this boot, or since its start while there is none.",
            ),
            now - (self._begun if saved_at is None else saved_at),
        )
        requests, seconds = self._store.counts()
        answered = counter("store_requests_total", "Requests to the store.", "kind", "outcome")
        for (kind, outcome), count in requests.items():
            answered.add_metric([self._me, kind, outcome], count)
        yield answered
        yield self._each(counter("store_request_seconds_total", "Time that they took.", "kind"), seconds)
        yield self._each(
            counter(
                "store_billed_requests_total", "Requests to a bucket, by the class that they are billed as.", "class"
            ),
            self._store.billed(),
        )

    # --- helpers ---------------------------------------------------------------------------------

    def _own(self, family: GaugeMetricFamily | CounterMetricFamily, value: float | None) -> Metric:
        """A family with one figure, of this platform; None: with none."""
        if value is not None:
            family.add_metric([self._me], value)
        return family

    def _each(self, family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float]) -> Metric:
        """A family with one more label, and a figure of this platform for each value of that."""
        for label, value in values.items():
            family.add_metric([self._me, label], value)
        return family
