"""The referee: tells the judges what the store and the nodes did, as it happens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from distevo.box import decode_box
from distevo.checkpoint import Checkpoint, decode_checkpoint
from distevo.cluster import ClusterRecord, decode_cluster
from distevo.command import Verb
from distevo.errors import ObjectError
from distevo.events import IslandId
from distevo.instructions import Log, StartIsland
from distevo.messages import Command
from distevo.names import CHECKPOINTS, CLUSTER, INBOX_COMMANDS, MAIL, RESULTS
from distevo.node import Node
from distevo.orders import ACCEPTED
from distevo.plan import Plan, decode_plan
from distevo.result import decode_result
from distevo.simulator.agenda import Agenda
from distevo.simulator.boot import Boot
from distevo.simulator.config import Scenario
from distevo.simulator.invariants import plan as plan_judge
from distevo.simulator.invariants.calm import Bounds, CalmJudge, Moment
from distevo.simulator.invariants.flaps import FlapJudge
from distevo.simulator.invariants.kept import KeptJudge
from distevo.simulator.invariants.lease import LeaseJudge
from distevo.simulator.invariants.leavers import LeaverJudge
from distevo.simulator.invariants.merged import MergeJudge
from distevo.simulator.invariants.orphans import OrphanJudge, budget_of
from distevo.simulator.invariants.plan import PlanJudge
from distevo.simulator.invariants.results import ResultJudge, reproduced, well_chosen
from distevo.simulator.invariants.runs import RunJudge
from distevo.simulator.invariants.starts import StartJudge
from distevo.simulator.invariants.violation import Violation
from distevo.simulator.invariants.worth import Worth
from distevo.simulator.measures import Measures
from distevo.simulator.network import COMMAND_AT, Network
from distevo.simulator.store import Client, Content, Store
from distevo.simulator.views import LOOK_SECONDS
from distevo.simulator.workers import evaluate, first_look
from distevo.work import Stage, population_of

SWEEP_SECONDS = 5.0
"""How often the judges that look at time do so."""
FULL_MESH = 16
"""Members that are certainly all linked with all."""
SOUND = "a node finds nothing wrong with what nodes have written"
TOLERATED = {"a checkpoint could not be written; another follows"}
"""Errors that the faults of a simulation bring with them; whatever else a node complains about, nodes have done."""
REFUTED = "a best program is no result"
"""What a node says of a guess that was worth something else when it was evaluated again."""
SET_ASIDE = "a run is set aside"
"""What a node says of a run whose problem its platform lacks."""
CLUSTER_STAYS = "the object `cluster` is never deleted"


class Referee:
    """Sees everything, says nothing to the nodes, and raises `Violation`."""

    def __init__(
        self,
        scenario: Scenario,
        agenda: Agenda,
        measures: Measures,
        boots: Callable[[], Sequence[Boot]],
        taken_over: Callable[[str], None],
        planned: Callable[[Plan], None],
    ) -> None:
        """`taken_over` is told of each owner that has just won an epoch, `planned` of each plan in force."""
        self._scenario, self._agenda, self._measures, self._boots = scenario, agenda, measures, boots
        self._taken_over, self._planned = taken_over, planned
        self._lease, self._plans, self._runs, self._flaps = LeaseJudge(), PlanJudge(), RunJudge(), FlapJudge()
        self._kept = KeptJudge()
        self._results, self._starts = ResultJudge(self._plans.grants), StartJudge(self._plans.grants)
        bounds = Bounds.of(scenario.times, scenario.work.generation_seconds[1])
        self._orphans, self._leavers = OrphanJudge(bounds.islands), LeaverJudge(bounds.leaving)
        self._merges = MergeJudge(bounds, lambda task, program: first_look(task[1], program.genome, scenario.work)[0])
        self._calm = CalmJudge(bounds, scenario.calm_from) if scenario.calm_minutes else None
        self._orders: dict[str, str] = {}
        self._answers: dict[str, str] = {}
        """What came of each command, by the name of its object."""
        self._quiet_since = self._swapped_at = self._generated_at = 0.0
        self._mailed = self._acknowledged_before = 0
        self._store: Store
        self._network: Network

    def watch(self, store: Store, network: Network) -> None:
        """Judge what happens here, from the first write on."""
        self._store, self._network = store, network

    @property
    def record(self) -> ClusterRecord | None:
        """The object `cluster`."""
        return self._lease.record

    @property
    def plan(self) -> Plan | None:
        """The plan in force."""
        return self._plans.plan

    @property
    def moves(self) -> int:
        """How often an island went from a member that lives, is to stay and can work on it, to another."""
        return self._flaps.moves

    @property
    def refused(self) -> list[tuple[str, str]]:
        """The orders that were refused, in words, each with why."""
        answers = ((words, self._answers.get(name, ACCEPTED)) for name, words in self._orders.items())
        return [(words, said) for words, said in answers if said != ACCEPTED]

    # --- what the store did ----------------------------------------------------------------------

    def swapped(self, client: Client, data: bytes) -> None:
        """`cluster` was written."""
        record, before, plan = decode_cluster(data), self._lease.record, self._plans.plan
        key = getattr(client, "key", None)
        self._lease.swapped(record, client.owner, is_revoked=plan is not None and key in plan.denied)
        self._swapped_at = self._agenda.now
        self._measures.swapped(record, self._agenda.now)
        if record.plan is not None and (before is None or record.plan != before.plan):
            self._in_force(record, record.plan)
        if before is None or record.epoch > before.epoch:
            self._taken_over(client.owner)

    def _in_force(self, record: ClusterRecord, name: str) -> None:
        data = self._store.peek(name)
        if data is None:
            raise Violation(plan_judge.POINTER_HOLDS, f"{name} is not there")
        try:
            plan = decode_plan(data)
        except ObjectError as error:
            raise Violation(plan_judge.POINTER_HOLDS, f"{name}: {error}") from error
        if (plan.epoch, plan.version) != (record.epoch, record.plan_version):
            raise Violation(plan_judge.POINTER_HOLDS, f"{name} is of version {plan.epoch}-{plan.version}")
        self._plans.in_force(plan)
        self._flaps.in_force(plan, self._agenda.now, self._refused(record))
        self._runs.in_force(plan)
        for run_name, run in plan.runs.items():
            for task, entry in run.tasks.items():
                if entry.result is not None and not self._results.is_named(entry.result):
                    found = self._store.peek(entry.result)
                    result, states = (None, b"") if found is None else decode_result(found)
                    self._results.named(run_name, task, entry, run.first_grant, result)
                    if result is not None and result.program is not None:
                        reproduced(entry.result, entry, result, self._worth(task, result.program.encode()))
                        well_chosen(entry.result, entry, result, self._genuine(task, states))
        self._answers |= {name: said for name, said in plan.handled.items() if name.startswith(INBOX_COMMANDS)}
        self._results.in_force(plan)
        self._measures.planned(plan, self._orphans.at_work(plan), self._agenda.now)
        self._planned(plan)

    def _worth(self, task: str, genome: bytes) -> Worth:
        """What evaluating a program says."""
        fitness, is_fit = evaluate(task, genome, self._scenario.work.fit)
        return Worth(is_fit, fitness)

    def _genuine(self, task: str, states: bytes) -> list[Worth]:
        """What those programs of a task's states are worth that are what they are taken for."""
        programs = [program for state in decode_checkpoint(states).islands for program in population_of(state)]
        worths = ((self._worth(task, program.genome), Worth(program.fit, program.fitness)) for program in programs)
        return [worth for worth, stated in worths if worth == stated]

    def _refused(self, record: ClusterRecord) -> Mapping[str, Collection[str]]:
        """By member, the runs that it cannot work on, as far as the coordinator has heard."""
        owner = f"{record.holder}-{record.boot}"
        nodes = [boot.node for boot in self._boots() if boot.owner == owner]
        return nodes[0].standing.refusals | {record.holder: nodes[0].foreman.refused} if nodes else {}

    def created(self, client: Client, name: str, content: Content) -> None:
        """An object was created."""
        self._results.created(name, client.owner, self._store.moment)
        if isinstance(content, Checkpoint):
            self._kept.created(name, content.islands)
        if name.startswith(MAIL) and self._calm is not None and self._agenda.now >= self._calm.since:
            self._look_for_acknowledgements(client, name)

    def _look_for_acknowledgements(self, client: Client, name: str) -> None:
        if self._mailed:
            return  # One is enough, and reading them takes time.
        _, _, boot = client.owner.rpartition("-")
        number = int(name.rpartition("/")[2])
        for letter in decode_box(client.member, boot, number, self._store.peek(name) or b""):
            self._mailed += letter.frame[COMMAND_AT] == Command.MIGRANTS_ACK

    def deleted(self, name: str) -> None:
        """An object was deleted."""
        if name == CLUSTER:
            raise Violation(CLUSTER_STAYS, "it was deleted")
        record = self._lease.record
        if record is not None and name == record.plan:
            raise Violation(plan_judge.POINTER_HOLDS, f"{name} was deleted")
        if self.plan is not None:
            self._kept.deleted(name, self.plan)
        self._results.deleted(name)
        self._runs.deleted(name)

    def listed(self, client: Client, prefix: str) -> None:
        """Names were listed."""
        if prefix == CHECKPOINTS or not prefix.startswith(CHECKPOINTS):
            return  # It is not what one owner left that was looked for.
        node = getattr(client, "node", None)
        self._results.listed(client.owner, prefix, self._store.moment, frozenset() if node is None else _sought(node))

    def durable(self, client: Client, checkpoint: Checkpoint, moment: int) -> None:
        """A checkpoint was confirmed to whoever wrote it."""
        for snapshot in checkpoint.islands:
            self._results.durable(client.owner, snapshot, moment)

    # --- what users were told --------------------------------------------------------------------

    def run_confirmed(self, name: str, run: str) -> None:
        """The store said to a user that this run is there."""
        self._runs.confirmed(name, run)

    def asked(self, run: str, verb: Verb, is_of_any: bool) -> None:
        """A user is about to ask this of a run, or of whichever has that name."""
        self._runs.asked(run, verb, is_of_any)

    def run_renewed(self, run: str) -> None:
        """This run is deleted, and a user is about to submit another of its name."""
        self._runs.renewed(run)
        self._results.renewed(run)
        self._orphans.renewed(run)

    def key_may_return(self, key: str) -> None:
        """A user is about to let this key in again."""
        self._plans.may_return(key)

    def order_confirmed(self, name: str, words: str) -> None:
        """The store said to a user that this command is there."""
        self._orders[name] = words

    def is_carried_out(self, name: str) -> bool:
        """Whether a command was taken in, or a run deleted: the plan in force says so, or has said so, and the object
        is gone."""
        return not self._store.has(name) or (self.plan is not None and name in self.plan.handled)

    def goes_on(self, run: str) -> bool:
        """Whether a run is there, and neither over nor cancelled."""
        return self.plan is not None and run in self.plan.runs and not self.plan.runs[run].state.is_over

    # --- what nodes did --------------------------------------------------------------------------

    def started(self, boot: Boot, order: StartIsland) -> None:
        """A node lets a worker begin an island."""
        self._starts.started(order.island, order.snapshot.grant, boot.owner)
        self._flaps.at_work(order.island)
        self._measures.views.started(boot.owner, self._agenda.now)

    def said(self, boot: Boot, line: Log) -> None:
        """A node tells its user something. Raises Violation for an error that nodes must have made themselves."""
        run = line.fields.get("run")
        if line.message == REFUTED and self._scenario.work.made_up:
            self._results.refuted(str(run), str(line.fields.get("task")))
            return
        is_lacked = line.message == SET_ASIDE and any(run in group.lacks for group in self._scenario.members)
        if line.level != "error" or line.message in TOLERATED or is_lacked:
            return
        # Whoever slept goes by an old plan, and finds gone what that named.
        name = line.fields.get("name")
        if isinstance(name, str) and name.startswith(RESULTS) and not self._results.is_named(name):
            return
        if isinstance(run, str):
            there = _object_of(self.plan, run)
            if there is None or _object_of(boot.node.following.plan, run) not in {there, None}:
                return
        fields = ", ".join(f"{key}={value}" for key, value in line.fields.items())
        raise Violation(SOUND, f"{boot.owner} says: {line.message} ({fields})")

    def disturbed(self) -> None:
        """Something happened after which the cluster may need time again."""
        self._quiet_since = self._agenda.now

    def migrated(self) -> None:
        """A node offered migrants to one of its islands."""
        self._measures.migrations += 1

    def generated(self, island: IslandId, grant: int, is_final: bool) -> None:
        """An island had a generation under this grant; its last one under its budget, if `is_final`."""
        run = self.plan.runs.get(island.run) if self.plan is not None else None
        if is_final and self.plan is not None and run is not None and grant >= run.first_grant:
            self._orphans.rests(island, budget_of(self.plan, island))
        self._flaps.at_work(island)
        self._generated_at = self._agenda.now
        self._measures.generations += 1

    # --- what time shows -------------------------------------------------------------------------

    def begin(self) -> None:
        """Look at the cluster from time to time."""
        self._agenda.after(SWEEP_SECONDS, self._sweep)
        self._agenda.after(LOOK_SECONDS, self._look)

    def end(self) -> None:
        """The simulation is over."""
        must_finish = self._scenario.must_finish
        if self._calm is not None:
            boots = [boot for boot in self._boots() if not boot.is_leaving]
            if len(boots) <= FULL_MESH and self._calm.is_settled(self._moment()):
                dialable = {boot.host for boot in boots if boot.settings.endpoints}
                self._calm.linked([boot.host for boot in boots], dialable, self._network.links())
            acknowledged = self._network.acknowledged - self._acknowledged_before + self._mailed
            self._calm.end(self._moment(), acknowledged, self._store.names(), self._orders, must_finish)
        elif must_finish:
            CalmJudge.finished(self.plan)

    def _sweep(self, _: object) -> None:
        boots = self._boots()
        if not self._store.is_well or any(boot.is_suspended for boot in boots):
            self.disturbed()
        moment = self._moment()
        if moment.plan is not None:
            refused = self._refused(self.record) if self.record is not None else {}
            self._orphans.sweep(moment.plan, moment.living, self._quiet_since, moment.now, refused)
            self._leavers.sweep(moment.plan, moment.leaving, self._quiet_since, moment.now)
        if self._calm is not None:
            if moment.now < self._calm.since:
                self._acknowledged_before = self._network.acknowledged
            else:
                self._calm.sweep(moment)
                if self._calm.is_settled(moment):
                    self._merges.sweep((boot.node for boot in boots if not boot.is_leaving), moment.now)
                else:
                    self._merges.forget()
        self._agenda.after(SWEEP_SECONDS, self._sweep)

    def _look(self, _: object) -> None:
        self._measures.views.look(self._boots(), self.plan, self._agenda.now)
        self._agenda.after(LOOK_SECONDS, self._look)

    def _moment(self) -> Moment:
        boots = self._boots()
        return Moment(
            now=self._agenda.now,
            record=self.record,
            swapped_at=self._swapped_at,
            plan=self.plan,
            living={boot.owner: None for boot in boots if not boot.is_leaving}.keys(),
            generated_at=self._generated_at,
            leaving={boot.owner: None for boot in boots if boot.is_leaving}.keys(),
            quiet_since=self._quiet_since,
            evolving=[
                (work.id, boot.owner)
                for boot in (boots if self._calm is not None else ())
                for work in boot.node.foreman.islands.values()
                if work.stage is Stage.EVOLVING
            ],
        )


def _object_of(plan: Plan | None, run: str) -> str | None:
    """Which run has this name, by a plan."""
    entry = plan.runs.get(run) if plan is not None else None
    return entry.object if entry is not None else None


def _sought(node: Node) -> frozenset[IslandId]:
    """The islands for which a node may look for what others have of them: in hand, and not told to rest."""
    told = {island: grant for island, (grant, _) in node.news.finals.items()}
    return frozenset(work.id for work in node.foreman.islands.values() if told.get(work.id) != work.grant)
