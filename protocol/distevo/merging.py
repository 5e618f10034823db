"""Merging: what the islands of a task have found, known on every platform while they still evolve.

Fitness comes first: heartbeats tell the best of each island (`Standing`). Where somebody has better than is held here,
the next heartbeat to that one *wishes* for it, with the keys that are here already; what is lacking of its best
`preserve_top_n` comes back as a FIT of programs that are not fit. So nothing is sent twice to one member, nothing at
all while nobody improves, and nobody waits: workers are not asked, and what was lost on the way is wished for again.

What was merged is shown (`results` of a task that is worked on, on any member), counts when the task is closed (what a
platform has found and not saved is not lost with it), and changes no island: what these give each other is migration's.
It is soft, and dropped when the task is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import islice

from distevo.block import fitting, pack
from distevo.codec import MAX_PROGRAM_BYTES
from distevo.errors import LocalProtocolError
from distevo.events import IslandId, TaskId
from distevo.foreman import Foreman
from distevo.merge import PopulationMerger, distinct
from distevo.messages import MAX_WISH_KEYS, MAX_WISHES, SEEN_KEY_BYTES, Fit, Head, Wish
from distevo.news import News
from distevo.node_settings import NodeSettings
from distevo.plan import MemberState, Plan, renewed
from distevo.population import Population
from distevo.program import Program
from distevo.speech import told_fitness
from distevo.standing import Standing
from distevo.stopwatch import Stopwatch

MAX_MERGED_PROGRAMS = MAX_WISH_KEYS
"""Most that are held of one task, whatever `preserve_top_n` is: a wish names them all, so that none comes twice."""

Send = Callable[[str, Head, bytes, float], object]
"""(member, head, payload, now)."""


class Merging:
    """One member's side: it wishes, answers, and holds what came of it."""

    def __init__(
        self,
        settings: NodeSettings,
        foreman: Foreman,
        standing: Standing,
        news: News,
        send: Send,
        stopwatch: Stopwatch,
    ) -> None:
        self._member, self._interval, self._top_n = settings.member, settings.merge_interval, settings.preserve_top_n
        # A beat that comes a little early is not to be the one that is left out.
        self._early = settings.heartbeat_interval / 2
        self._foreman, self._standing, self._news, self._send = foreman, standing, news, send
        self._plan = Plan(epoch=0, version=0)
        self._merged: dict[TaskId, Population] = {}
        self._unlooked: set[TaskId] = set()
        """Merged since `validate` looked last: a population does not change."""
        self._wished_at: dict[str, float] = {}
        """When each member was last sent wishes."""
        self._wishing: set[str] = set()
        """Whose last heartbeat had wishes in it."""
        self.stopwatch = stopwatch
        self.wished_for = self.sent = self.received = self.known = 0
        """Wishes; programs sent; programs that came, and of these, such as were here already."""
        self.bytes_sent = 0
        """Keys and programs, before compression."""

    @property
    def limit(self) -> int:
        """Most programs that are held of a task."""
        is_count = isinstance(self._top_n, int)
        return min(int(self._top_n), MAX_MERGED_PROGRAMS) if is_count else MAX_MERGED_PROGRAMS

    # --- what is known ---------------------------------------------------------------------------

    def of(self, task: TaskId) -> Population:
        """What came from others of a task."""
        return self._merged.get(task, Population())

    def best(self, task: TaskId) -> Program | None:
        """The best that is known here of a task, whoever found it."""
        found = [best for population in (*self._own(task), self.of(task)) if (best := population.best) is not None]
        return min(found, default=None)

    def all(self, task: TaskId) -> Population:
        """All that is known here of a task: its islands that are in hand, and what came from others."""
        return PopulationMerger.merge_populations([*self._own(task), self.of(task)])

    def final(self, task: TaskId, populations: Iterable[Iterable[Program]]) -> Population:
        """The last merge of a task: the states that its islands ended with, all that was merged before, and what is in
        hand here: of an island that went elsewhere its new owner may not have been told yet."""
        with self.stopwatch.of("final"):
            return PopulationMerger.merge_populations([*populations, *self._own(task), self.of(task)])

    def _own(self, task: TaskId) -> list[Population]:
        """The populations of a task's islands that are in hand here."""
        entry = self._plan.open_task(*task)
        count = len(entry.islands) if entry is not None else 0
        works = (self._foreman.islands.get(IslandId(*task, index)) for index in range(count))
        return [work.population() for work in works if work is not None and work.snapshot is not None]

    def _here(self, task: TaskId) -> Population:
        """The best of what is known here, one for each behaviour."""
        own = self._own(task)
        if not isinstance(self._top_n, int):  # A share is of each island; a count, of different behaviours.
            own = [PopulationMerger.merge_populations(own, self._top_n)]
        return distinct([*own, self.of(task)], self.limit)

    # --- wishes ----------------------------------------------------------------------------------

    def wishes(self, members: Collection[str], is_unsent: Callable[[str], bool], now: float) -> dict[str, list[Wish]]:
        """What to wish for from these members, who are about to be sent a heartbeat. `is_unsent`: whether it takes the
        place of an earlier one to that member, which waits for a box of mail: its wishes would go with it."""
        fresh = {name for name in members if self._is_due(name, now)}
        due = fresh | {name for name in members if name in self._wishing and is_unsent(name)}
        self._wishing.difference_update(members)
        if not self._interval or not due:
            return {}
        made: dict[str, list[Wish]] = {}
        with self.stopwatch.of("periodic"):
            better = list(self._better(name for name in members if name in due).items())
            # Beginning where the last wishes ended, so that no task waits for ever behind those that improve.
            first = self.wished_for % len(better) if better else 0
            for task, member in better[first:] + better[:first]:
                if member in due and len(made.get(member, ())) < MAX_WISHES:
                    keys = b"".join(key[:SEEN_KEY_BYTES] for key in islice(self._here(task).keys(), MAX_WISH_KEYS))
                    grant = self._plan.runs[task[0]].first_grant
                    made.setdefault(member, []).append(Wish(*task, grant, keys))
                    if member in fresh:
                        self.wished_for += 1
                        self.bytes_sent += len(keys)
        self._wished_at |= dict.fromkeys(made, now)
        self._wishing |= made.keys()
        return made

    def _is_due(self, member: str, now: float) -> bool:
        return now + self._early >= self._wished_at.get(member, -self._interval) + self._interval

    def _better(self, members: Iterable[str]) -> dict[TaskId, str]:
        """By task that one of these members works on, who has a better program of it than is known here: of all members
        that have one, who has the best."""
        found: dict[TaskId, str] = {}
        for task in dict.fromkeys(island[:2] for name in members for island in self._standing.named(name)):
            if (entry := self._plan.open_task(*task)) is None:
                continue
            best = self.best(task)
            held = told_fitness(best.fitness if best is not None else None)
            told = (self._standing.islands.get(IslandId(*task, index)) for index in range(len(entry.islands)))
            for member, progress in filter(None, told):
                # Few have better, and most of these may be asked.
                if progress.best > held and self.may_ask(member, task):
                    held, found[task] = progress.best, member
        return found

    def wished(self, sender: str, wishes: list[Wish], now: float) -> None:
        """A member wishes for what it lacks."""
        with self.stopwatch.of("periodic"):
            for wish in {(wish.run, wish.task): wish for wish in wishes}.values():
                run, task = self._plan.runs.get(wish.run), (wish.run, wish.task)
                if run is None or run.first_grant != wish.first_grant or not self._is_open(task):
                    continue
                if task in self._news.fits:
                    continue  # Nothing else matters of it, and in a box of mail only the newest FIT of a task waits.
                known = {wish.keys[at : at + SEEN_KEY_BYTES] for at in range(0, len(wish.keys), SEEN_KEY_BYTES)}
                # Whoever has fit programs tells them by itself, at once.
                lacking = [p for p in self._here(task) if p.key[:SEEN_KEY_BYTES] not in known and not p.fit]
                if lacking := fitting(lacking, MAX_PROGRAM_BYTES):
                    block, problem = pack(lacking), run.problem
                    self.sent += len(lacking)
                    self.bytes_sent += len(block)
                    head = Fit(
                        run=wish.run,
                        task=wish.task,
                        first_grant=wish.first_grant,
                        problem=problem.name,
                        problem_version=problem.version,
                    )
                    self._send(sender, head, block, now)

    def came(self, task: TaskId, programs: list[Program]) -> None:
        """A member sends what was lacking here."""
        if not self._is_open(task):
            return
        with self.stopwatch.of("periodic"):
            here = self.of(task)
            self.received += len(programs)
            self.known += sum(program.key in here for program in programs)
            # As many as go into one message: that is all that anybody who wishes is ever sent.
            kept = fitting(list(distinct([here, programs], self.limit)), MAX_PROGRAM_BYTES)
            self._merged[task] = Population(kept)
            self._unlooked.add(task)

    # --- the plan --------------------------------------------------------------------------------

    def follow(self, plan: Plan) -> None:
        """A plan is in force: drop what belongs to nothing any more."""
        anew, self._plan = renewed(self._plan, plan), plan
        for task in list(self._merged):
            if not self._is_open(task) or task[0] in anew:
                del self._merged[task]
                self._unlooked.discard(task)
        for member in [member for member in self._wished_at if member not in plan.members]:
            del self._wished_at[member]
            self._wishing.discard(member)

    def may_ask(self, member: str, task: TaskId) -> bool:
        """Whether a member is another, that lives, and the task is still worked on."""
        known = self._plan.members.get(member)
        is_alive = known is not None and known.state is MemberState.ALIVE and member != self._member
        return bool(self._interval) and is_alive and self._is_open(task)

    def _is_open(self, task: TaskId) -> bool:
        return self._plan.open_task(*task) is not None

    def validate(self) -> None:
        """Raises LocalProtocolError when more is held than may be, or one thing twice."""
        most = self.limit
        for task, population in self._merged.items():
            if len(population) > most or not self._is_open(task):
                raise LocalProtocolError(f"{len(population)} programs of {task} merged, of which {most} are wanted")
        for population in map(self.of, self._unlooked):
            behaviours = {program.behaviour or program.key for program in population}
            if len(behaviours) < len(population):
                raise LocalProtocolError(f"{len(population)} programs merged of {len(behaviours)} behaviours")
        self._unlooked.clear()
