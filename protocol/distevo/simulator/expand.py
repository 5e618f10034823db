"""From a seed to a scenario: a small cluster, a few runs, and faults that heal before a calm at the end.

Every draw comes from the seed, so that a seed means the same scenario for ever, or until this file changes; then the
printed scenario still replays it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from distevo.command import Verb
from distevo.outbox import LONGEST_RETRY_SECONDS
from distevo.run import MAX_RUNGS, MigrationSettings
from distevo.simulator import config as c
from distevo.simulator import faults as f
from distevo.simulator.invariants.calm import Bounds

MINUTES = 5.0
FIRST_FAULT = 8.0
"""Seconds: some faults strike while the cluster is still finding itself."""
FEW = 4
"""Members that have enough to do with one task."""
FEW_CAPABLE = 2
"""Members that stay and have the problems of all runs, at least."""
QUICK_MAIL_SECONDS = 5.0
CARRIED_OUT_SECONDS = 20.0
"""Before the calm, for a command about a member to be carried out, unless a fault is in the way."""
WORK_SECONDS = 85.0
"""Of the calm, for the last run to be done after everything has healed."""

_QUICKEST = c.Times(lease_ttl=8.0, heartbeat_interval=4.0, heartbeat_timeout=12.0, mail_interval=5.0)
_QUICK = c.Times(lease_ttl=10.0, heartbeat_interval=5.0, heartbeat_timeout=15.0, mail_interval=5.0)
_USUAL = c.Times(lease_ttl=15.0, heartbeat_interval=5.0, heartbeat_timeout=15.0, mail_interval=10.0)
_STABLE = c.Times(lease_ttl=15.0, heartbeat_interval=10.0, heartbeat_timeout=30.0, mail_interval=15.0)
# Quick ones are drawn less often: more happens, and no more goes wrong.
_TIMES = (_QUICKEST, _USUAL, _QUICK, _USUAL, _USUAL, _STABLE, _STABLE, _STABLE)


def expand(seed: int) -> c.Scenario:
    """The scenario of a seed."""
    return _Draw(seed).scenario()


def _lost(faults: list[f.AnyFault]) -> list[f.AnyFault]:
    """Those from which a member does not come back."""
    return [fault for fault in faults if isinstance(fault, f.Crash | f.Stop) and fault.back_after is None]


def _spare(names: list[str], faults: list[f.AnyFault]) -> bool:
    """Whether one member more may leave for ever, and the rest can do the work."""
    return len(_lost(faults)) + _namesakes(faults) < len(names) - 2


def _namesakes(faults: list[f.AnyFault]) -> int:
    """Of two platforms that are called the same one has to give way."""
    return sum(isinstance(fault, f.Twin) and fault.has_own_key for fault in faults)


class _Draw:
    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"scenario {seed}")
        self._times = self._rng.choice(_TIMES)
        self._work = c.Work(
            generation_seconds=(2.0, 5.0),
            fit=self._rng.choice((0.0, 0.0, 0.002, 0.02)),
            deaths=self._rng.choice((0.0, 0.0, 0.01)),
        )
        self._bounds = Bounds.of(self._times, self._work.generation_seconds[1])
        self._has_mail = False
        """Whether some two members may reach each other by mail alone."""
        self._calm = self._bounds.islands + WORK_SECONDS
        self._calm_from = 60 * MINUTES - self._calm

    def scenario(self) -> c.Scenario:
        rng = self._rng
        members = self._members()
        self._has_mail = any(member.is_behind_nat for member in members)
        names = list(c.names_of(c.Scenario(members=members)))
        runs, commands = self._runs(len(names))
        scenario = c.checked(
            c.Scenario(
                minutes=MINUTES,
                calm_minutes=round(self._calm / 60, 3),
                must_finish=True,
                members=members,
                times=self._times,
                network=c.Network(jitter=rng.choice((0.0, 0.02, 0.2)), has_codec=rng.random() < 0.2),
                store=c.Bucket(latency=rng.choice((0.005, 0.06, 0.3))),
                work=self._work,
                runs=runs,
                commands=commands,
                faults=self._faults(names),
                validate_every=1 if rng.random() < 0.1 else 16,
            )
        )
        # Drawn last, so that what a seed meant before members could be drained is what it means now, and this besides;
        # and so on for what was added later.
        leavers = self._leavers(names, scenario.faults)
        slow = self._slow_members(names)
        faults = sorted([*scenario.faults, *slow], key=lambda fault: fault.at)
        work = msgspec.structs.replace(scenario.work, noise=rng.choice((0.0, 0.0, 0.5)))
        if slow:
            # Whoever has no more islands than workers gives none away.
            runs = [msgspec.structs.replace(runs[0], islands_per_task=2 + len(names)), *runs[1:]]
            if self._has_mail:
                # The short run may wait for its places until that is cancelled: with more to do, it would not end.
                commands = [order for order in commands if order.verb is not Verb.EXTEND]
        times = msgspec.structs.replace(scenario.times, merge_interval=rng.choice((0.0, 5.0, 10.0, 10.0)))
        runs, changes = self._turns(runs)
        members = self._lacking(scenario.members, [*scenario.faults, *slow], leavers)
        runs, commands = self._renewing(runs, commands, scenario.faults)
        commands = sorted([*commands, *leavers, *changes], key=lambda order: order.at)
        work = msgspec.structs.replace(work, made_up=rng.choice((0.0, 0.0, 0.0, 0.0, 0.005, 0.05)))
        if rng.random() < 0.15:
            self._in_seconds(runs, commands)
        return c.checked(
            msgspec.structs.replace(
                scenario, members=members, commands=commands, faults=faults, work=work, runs=runs, times=times
            )
        )

    # --- members ---------------------------------------------------------------------------------

    def _members(self) -> list[c.Group]:
        rng = self._rng
        behind_nat = rng.choice((0.0, 0.0, 0.5, 0.5, 0.5, 1.0))
        # What goes wrong among many goes wrong among few, and messages grow with the square.
        sizes, weights = ((3, 4), (2, 1)) if behind_nat == 1.0 else ((3, 4, 5, 6, 7), (76, 16, 5, 2, 1))
        (size,) = rng.choices(sizes, weights)
        return [self._member(number, behind_nat) for number in range(size)]

    def _member(self, number: int, behind_nat: float) -> c.Group:
        rng = self._rng
        is_behind_nat = rng.random() < behind_nat
        is_off = rng.random() < 0.1
        return c.Group(
            kind="notebook" if is_behind_nat else "server",
            workers=rng.choice((1, 2, 2)),
            islands=rng.choice((None, None, None, 3)),
            is_behind_nat=is_behind_nat,
            latency=round(rng.uniform(0.001, 0.08), 3),
            priority=rng.choice((0, 0, 1)),
            # The first two are there from the beginning.
            starts_at=round(rng.uniform(0, 0.6 * self._calm_from), 1) if number > 1 and rng.random() < 0.2 else 0.0,
            clock_offset=round(rng.uniform(-1000, 1e6), 1),
            clock_rate=round(rng.uniform(0.97, 1.03) if is_off else rng.uniform(0.999, 1.001), 5),
        )

    def _lacking(self, members: list[c.Group], faults: list[f.AnyFault], leavers: list[c.Order]) -> list[c.Group]:
        """In some scenarios a member lacks the problem of the run that ends under the faults."""
        rng = self._rng
        at = rng.randrange(len(members))
        stay = len(members) - len(_lost(faults)) - len(leavers) - _namesakes(faults)
        if rng.random() >= 0.3 or stay <= FEW_CAPABLE:
            return members
        # It may be the last to begin an island of the run, and by slow mail nobody hears in time that it cannot.
        if self._has_mail and self._times.mail_interval > QUICK_MAIL_SECONDS:
            return members
        return [*members[:at], msgspec.structs.replace(members[at], lacks=("short",)), *members[at + 1 :]]

    # --- what users do ---------------------------------------------------------------------------

    def _runs(self, size: int) -> tuple[list[c.Submission], list[c.Order]]:
        rng, calm = self._rng, self._calm_from
        runs = [
            # One that lasts: there is always something to lose and to migrate, until it is cancelled.
            c.Submission(
                name="long",
                at=round(rng.uniform(0, 10), 1),
                tasks=rng.randint(1, 2) if size > FEW else 1,
                islands_per_task=rng.randint(2, 3),
                evaluations=100_000,
                population_size=rng.randint(3, 6),
                migration=self._migration(),
            ),
            # One that ends under the faults.
            c.Submission(
                name="short",
                at=round(rng.uniform(0, 0.7 * calm), 1),
                tasks=rng.randint(1, 2),
                islands_per_task=rng.randint(1, 2),
                evaluations=rng.randint(3, 8) * 10,
                population_size=rng.randint(3, 6),
                migration=self._migration(),
            ),
            # One that comes when all is well again.
            c.Submission(
                name="last",
                at=round(calm + rng.uniform(0, 5), 1),
                tasks=1,
                islands_per_task=rng.randint(1, 3),
                evaluations=rng.randint(4, 8) * 10,
                population_size=4,
            ),
        ]
        cancelled_at = calm + self._bounds.coordinator + self._bounds.migration + 10.0
        commands = [c.Order(at=round(cancelled_at, 1), verb=Verb.CANCEL, run="long")]
        commands += self._commands(runs[1])
        return runs, sorted(commands, key=lambda order: order.at)

    def _commands(self, run: c.Submission) -> list[c.Order]:
        rng, calm = self._rng, self._calm_from
        drawn = rng.random()
        at = round(run.at + rng.uniform(2, 40), 1)
        last = max(calm, at + 1)
        if drawn < 0.15:
            # Until late, since a command that was given up may arrive late.
            return [c.Order(at=at, verb=Verb.PAUSE, run=run.name), c.Order(at=last, verb=Verb.RESUME, run=run.name)]
        if drawn < 0.3:
            return [c.Order(at=at, verb=Verb.EXTEND, run=run.name, evaluations=run.evaluations + 40)]
        if drawn < 0.4:
            return [c.Order(at=at, verb=Verb.CANCEL, run=run.name), c.Order(at=last, verb=Verb.DELETE, run=run.name)]
        if drawn < 0.5:
            return [
                c.Order(at=at, verb=Verb.CANCEL, run=run.name),
                c.Order(at=round(at + 20, 1), verb=Verb.EXTEND, run=run.name, evaluations=run.evaluations + 40),
            ]
        return []

    def _most_rungs(self) -> int:
        """Of a run that has to end: as many as it can climb in time, where by mail a budget takes four intervals to be
        told, closed, planned and read."""
        if not self._has_mail:
            return MAX_RUNGS
        return int(WORK_SECONDS / (4 * self._times.mail_interval)) - 1

    def _turns(self, runs: list[c.Submission]) -> tuple[list[c.Submission], list[c.Order]]:
        """In some scenarios tasks have rising budgets, runs have priorities, and one of these is changed."""
        rng = self._rng
        turned = []
        for run in runs:
            most = min(run.evaluations // 10, 12)
            rungs = sorted(rng.sample(range(1, most), rng.randint(1, 2))) if rng.random() < 0.4 else []
            if run.name != "long":  # The short one, too, may wait for its places until that is cancelled.
                rungs = rungs[: self._most_rungs()]
            priority = rng.choice((-1, 1)) if rng.random() < 0.3 else 0
            turned.append(msgspec.structs.replace(run, rungs=[10 * rung for rung in rungs], priority=priority))
        if rng.random() >= 0.2:
            return turned, []
        at = round(rng.uniform(FIRST_FAULT, self._calm_from), 1)
        return turned, [c.Order(at=at, verb=Verb.PRIORITY, run="long", priority=rng.randint(-2, 2))]

    def _renewing(
        self, runs: list[c.Submission], commands: list[c.Order], faults: list[f.AnyFault]
    ) -> tuple[list[c.Submission], list[c.Order]]:
        """In some scenarios the run that ends under the faults is deleted, and another of its name submitted: often
        while somebody hears nothing of that, and sees the one after the other, or while what users write may be
        written once more, when the next run has the name."""
        rng, latest = self._rng, self._calm_from - CARRIED_OUT_SECONDS
        drawn, (long, run, last) = rng.random(), runs
        if drawn >= 0.4 or any(order.run == run.name for order in commands):
            return runs, commands
        absences = [fault.at for fault in faults if isinstance(fault, f.Suspend | f.Pause | f.Partition | f.StoreAway)]
        lates = [fault for fault in faults if isinstance(fault, f.StoreFlaky) and fault.late]
        if lates:
            fault = rng.choice(lates)
            at = rng.uniform(fault.at, fault.at + fault.seconds)
        else:
            at = (rng.choice(absences) if absences else rng.uniform(FIRST_FAULT, latest)) + rng.uniform(-15, 5)
        cancelled_at = round(max(at, FIRST_FAULT), 1)
        deleted_at = round(min(cancelled_at + rng.uniform(0, 15), max(latest, cancelled_at)), 1)
        run = msgspec.structs.replace(run, at=round(max(min(run.at, cancelled_at - rng.uniform(2, 30)), 0.0), 1))
        return [long, run, last], [
            *commands,
            c.Order(at=cancelled_at, verb=Verb.CANCEL, run=run.name),
            c.Order(at=deleted_at, verb=Verb.DELETE, run=run.name, again_after=round(rng.uniform(0.1, 3), 1)),
        ]

    @staticmethod
    def _in_seconds(runs: list[c.Submission], commands: list[c.Order]) -> None:
        """Give all budgets in CPU seconds, of which a generation takes three or four, and ten evaluations."""

        def seconds(evaluations: int) -> int:
            return max(evaluations // 3, 1)

        for at, run in enumerate(runs):
            rungs = [seconds(rung) for rung in run.rungs]
            runs[at] = msgspec.structs.replace(run, cpu_seconds=seconds(run.evaluations), rungs=rungs)
        for at, order in enumerate(commands):
            if order.evaluations is not None:
                more = seconds(order.evaluations)
                commands[at] = msgspec.structs.replace(order, evaluations=None, cpu_seconds=more)

    def _leavers(self, names: list[str], faults: list[f.AnyFault]) -> list[c.Order]:
        """In some scenarios a member is drained, or its key revoked and perhaps let in again."""
        rng, latest = self._rng, self._calm_from - CARRIED_OUT_SECONDS
        drawn = rng.random()
        at = round(rng.uniform(FIRST_FAULT, latest), 1)
        back_after = None if _spare(names, faults) and rng.random() < 0.5 else round(rng.uniform(1, 40), 1)
        if drawn < 0.15:
            return [c.Order(at=at, verb=Verb.DRAIN, member=self._member_name(names), back_after=back_after)]
        if drawn < 0.25:
            member = rng.choice(names)
            orders = [c.Order(at=at, verb=Verb.REVOKE, member=member, back_after=round(rng.uniform(1, 40), 1))]
            if back_after is not None:
                undone = min(round(at + rng.uniform(5, 60), 1), latest)
                orders.append(c.Order(at=undone, verb=Verb.UNREVOKE, member=member))
            return orders
        return []

    def _migration(self) -> MigrationSettings:
        rng = self._rng
        return MigrationSettings(
            topology=rng.choice(("ring", "bidirectional_ring", "fully_connected", "random", "unconnected")),
            degree=1,
            interval=rng.randint(1, 2),
            size=rng.randint(1, 3),
            selection=rng.choice(("select_best", "select_random", "select_tournament")),
            replacement=rng.choice(("fair_replace", "merge")),
        )

    # --- faults ----------------------------------------------------------------------------------

    def _faults(self, names: list[str]) -> list[f.AnyFault]:
        rng = self._rng
        makers: list[tuple[int, Callable[[list[str]], f.AnyFault]]] = [
            (5, self._crash),
            (2, self._stop),
            (3, self._suspend),
            (3, self._pause),
            (4, self._partition),
            (3, self._cut),
            (2, self._reset),
            (1, self._undialable),
            (2, self._lossy),
            (2, self._store_away),
            (5, self._store_flaky),
            (1, self._worker_death),
            (1, self._twin),
            (3, self._freeze),
        ]
        weights = [weight for weight, _ in makers]
        drawn = rng.choices([make for _, make in makers], weights, k=rng.randint(3, 8))
        faults = [make(names) for make in drawn]
        # At least two members stay to the end.
        for fault in _lost(faults)[max(len(names) - 2, 0) :]:
            faults.remove(fault)
            faults.append(self._reset(names))
        return sorted(faults, key=lambda fault: fault.at)

    def _span(self, least: float, most: float, after: float = 0.0) -> tuple[float, float]:
        """(at, seconds) of a fault of which nothing is left when the calm begins, `after` seconds behind its end."""
        rng = self._rng
        longest = self._calm_from - 1.0 - after
        seconds = round(min(rng.uniform(least, most), longest), 1)
        latest = max(longest - seconds, 0.0)
        return round(rng.uniform(min(FIRST_FAULT, latest), latest), 1), seconds

    def _member_name(self, names: list[str]) -> str:
        return c.COORDINATOR if self._rng.random() < 0.4 else self._rng.choice(names)

    def _crash(self, names: list[str]) -> f.AnyFault:
        rng = self._rng
        at, back_after = self._span(1, 40, after=f.MIDWAY_SECONDS)
        is_for_ever = rng.random() < 0.3
        return f.Crash(
            at=at,
            member=self._member_name(names),
            back_after=None if is_for_ever else back_after,
            is_silent=rng.random() < 0.5,
            is_midway=rng.random() < 0.4,
        )

    def _stop(self, names: list[str]) -> f.AnyFault:
        # A stop may take some seconds, and its return is counted from there.
        at, back_after = self._span(1, 30, after=10)
        return f.Stop(
            at=at, member=self._member_name(names), back_after=back_after if self._rng.random() < 0.7 else None
        )

    def _suspend(self, names: list[str]) -> f.AnyFault:
        at, seconds = self._span(3, 70)
        return f.Suspend(at=at, member=self._member_name(names), seconds=seconds)

    def _pause(self, names: list[str]) -> f.AnyFault:
        at, seconds = self._span(1, 40, after=10)
        return f.Pause(at=at, member=self._member_name(names), seconds=seconds)

    def _closes_after(self) -> float | None:
        return self._rng.choice((None, round(self._rng.uniform(1, 20), 1)))

    def _partition(self, names: list[str]) -> f.AnyFault:
        rng = self._rng
        at, seconds = self._span(5, 80)
        mixed = rng.sample(names, len(names))
        first = rng.randint(1, len(names) - 1)
        return f.Partition(
            at=at, seconds=seconds, sides=[mixed[:first], mixed[first:]], closes_after=self._closes_after()
        )

    def _cut(self, names: list[str]) -> f.AnyFault:
        at, seconds = self._span(5, 80)
        source, target = self._rng.sample(names, 2)
        return f.Cut(at=at, seconds=seconds, source=source, target=target, closes_after=self._closes_after())

    def _reset(self, names: list[str]) -> f.AnyFault:
        return f.Reset(at=self._span(1, 2)[0], member=self._member_name(names))

    def _undialable(self, names: list[str]) -> f.AnyFault:
        at, seconds = self._span(5, 60)
        return f.Undialable(at=at, seconds=seconds, member=self._rng.choice(names))

    def _lossy(self, _names: list[str]) -> f.AnyFault:
        rng = self._rng
        at, seconds = self._span(20, 90)
        is_harsh = rng.random() < 0.5
        return f.Lossy(
            at=at,
            seconds=seconds,
            loss=rng.choice((0.02, 0.1, 0.3)),
            breaks=rng.choice((0.0, 0.1)),
            duplicates=0.1 if is_harsh else 0.0,
            reorders=0.1 if is_harsh else 0.0,
        )

    def _store_away(self, names: list[str]) -> f.AnyFault:
        rng = self._rng
        # Afterwards it is asked again after half a minute at most; the bounds of the calm count from then.
        at, seconds = self._span(2, 50, after=LONGEST_RETRY_SECONDS)
        members = [] if rng.random() < 0.5 else rng.sample(names, rng.randint(1, len(names) - 1))
        return f.StoreAway(at=at, seconds=seconds, members=members)

    def _store_flaky(self, _names: list[str]) -> f.AnyFault:
        rng = self._rng
        late_seconds = rng.choice((5.0, 30.0))
        at, seconds = self._span(10, 80, after=late_seconds + 5)
        return f.StoreFlaky(
            at=at,
            seconds=seconds,
            slowness=rng.choice((1.0, 4.0, 20.0)),
            lost=rng.choice((0.0, 0.1, 0.3)),
            late=rng.choice((0.0, 0.1, 0.3)),
            late_seconds=late_seconds,
            dropped=rng.choice((0.0, 0.05, 0.2)),
            retried=rng.choice((0.0, 0.1)),
            damaged=rng.choice((0.0, 0.0, 0.02)),
        )

    def _worker_death(self, names: list[str]) -> f.AnyFault:
        return f.WorkerDeath(at=self._span(1, 2)[0], member=self._rng.choice(names), slot=self._rng.randint(0, 1))

    def _twin(self, names: list[str]) -> f.AnyFault:
        at, seconds = self._span(20, 80, after=5)
        return f.Twin(at=at, seconds=seconds, member=self._rng.choice(names), has_own_key=self._rng.random() < 0.5)

    def _slow_members(self, names: list[str]) -> list[f.AnyFault]:
        """In some scenarios a member takes several times as long for a while, up to the end of what goes wrong."""
        if self._rng.random() < 0.7:
            return []
        times = self._rng.choice((3.0, 5.0, 8.0))
        # The last generation that was begun meanwhile is still a slow one.
        at, seconds = self._span(20, 90, after=times * self._work.generation_seconds[1])
        return [f.Slow(at=at, seconds=seconds, member=self._rng.choice(names), times=times)]

    def _freeze(self, _names: list[str]) -> f.AnyFault:
        at, seconds = self._span(5, 70)
        return f.Freeze(at=at, seconds=seconds)
