"""In the calm, what somebody tells to have found is soon known to whoever heard it, and is what it was said to be."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import NamedTuple

from distevo.events import TaskId
from distevo.node import Node
from distevo.path import PathKind
from distevo.program import Program
from distevo.simulator.invariants.calm import Bounds
from distevo.simulator.invariants.violation import Violation
from distevo.speech import told_fitness

SPREADS = "a member comes to have as good a program of a task as it has heard of"
TRUE = "what was merged is worth what evaluating it says"


class _Lack(NamedTuple):
    """Since when a member lacks a program of this fitness or a better one, and how long it may."""

    since: float
    wanted: list[float]
    teller: str
    bound: float = 0.0


class MergeJudge:
    """Follows what each member has heard of, and what it has."""

    def __init__(self, bounds: Bounds, worth: Callable[[TaskId, Program], tuple[float, ...]]) -> None:
        """`worth`: the fitness of a program of a task."""
        self._bounds, self._worth = bounds, worth
        self._lacks: dict[tuple[str, TaskId], _Lack] = {}
        """By owner and task."""

    def sweep(self, nodes: Iterable[Node], now: float) -> None:
        """Look at the members. Raises Violation."""
        lacks: dict[tuple[str, TaskId], _Lack] = {}
        nodes = list(nodes)
        fits = {node.settings.member: node.news.fits for node in nodes}
        for node in nodes:
            for task, (told, member) in _told(node, fits).items():
                self._look(node, task)
                best = node.exchange.merging.best(task)
                held = told_fitness(best.fitness if best is not None else None)
                lack = self._lacks.get((node.owner, task))
                if lack is None or held >= lack.wanted:
                    lack = _Lack(now, told, member)
                if held >= told or told < lack.wanted:
                    continue  # It has it; or nobody has any more what was told.
                is_linked = node.router.path(lack.teller).kind in {PathKind.DIRECT, PathKind.VIA}
                bound = max(lack.bound, self._bounds.merge if is_linked else self._bounds.mailed_merge)
                if now - lack.since > bound:
                    waited = f"{now - lack.since:.1f} s ago"
                    raise Violation(SPREADS, f"{node.owner} has {held} of {task}, and heard of {lack.wanted} {waited}")
                lacks[node.owner, task] = lack._replace(bound=bound)
        self._lacks = lacks

    def forget(self) -> None:
        """Something is wrong: nobody has to have anything yet."""
        self._lacks.clear()

    def _look(self, node: Node, task: TaskId) -> None:
        for program in node.exchange.merging.of(task):
            if (worth := self._worth(task, program)) != program.fitness:
                raise Violation(
                    TRUE, f"{node.owner} has {program.fitness} for {program.genome!r} of {task}; it is {worth}"
                )


def _told(node: Node, fits: Mapping[str, Container[TaskId]]) -> dict[TaskId, tuple[list[float], str]]:
    """The best fitness that a member has heard of, of each task for which it may ask, and from whom.

    `fits`: by member, the tasks of which it knows a fit program. That comes by itself to whom it concerns, and whoever
    has one gives nothing else of its task, which for others may last: until a paused run is resumed, say.
    """
    found: dict[TaskId, tuple[list[float], str]] = {}
    merging = node.exchange.merging
    for island, (member, progress) in node.standing.islands.items():
        task = island[:2]
        is_fit = task in node.news.fits or task in fits.get(member, ())
        if merging.may_ask(member, task) and progress.best and not is_fit:
            found[task] = max(found.get(task, ([], "")), (progress.best, member))
    return found
