"""In the calm, what somebody tells to have found is soon known to whoever heard it, and is what it was said to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from distevo.news import TaskId
from distevo.node import Node
from distevo.program import Program
from distevo.simulator.invariants.violation import Violation
from distevo.speech import told_fitness

SPREADS = "a member comes to have as good a program of a task as it has heard of"
TRUE = "what was merged is worth what evaluating it says"


class MergeJudge:
    """Follows what each member has heard of, and what it has."""

    def __init__(self, bound: float, worth: Callable[[TaskId, Program], tuple[float, ...]]) -> None:
        """`bound` in seconds; `worth`: the fitness of a program of a task."""
        self._bound, self._worth = bound, worth
        self._lacks: dict[tuple[str, TaskId], tuple[float, list[float]]] = {}
        """By owner and task: since when it lacks a program of this fitness or a better one."""

    def sweep(self, nodes: Iterable[Node], now: float) -> None:
        """Look at the members. Raises Violation."""
        lacks: dict[tuple[str, TaskId], tuple[float, list[float]]] = {}
        for node in nodes:
            for task, told in _told(node).items():
                self._look(node, task)
                held = told_fitness(node.exchange.merging.best(task))
                since, wanted = self._lacks.get((node.owner, task), (now, told))
                if held >= wanted:
                    since, wanted = now, told
                if held >= told or told < wanted:
                    continue  # It has it; or nobody has any more what was told.
                if now - since > self._bound:
                    raise Violation(
                        SPREADS, f"{node.owner} has {held} of {task}, and heard of {wanted} {now - since:.1f} s ago"
                    )
                lacks[node.owner, task] = since, wanted
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


def _told(node: Node) -> dict[TaskId, list[float]]:
    """The best fitness that a member has heard of, of each task for which it may ask. A fit program comes by itself."""
    found: dict[TaskId, list[float]] = {}
    merging = node.exchange.merging
    for island, (member, progress) in node.standing.islands.items():
        task = island[:2]
        if merging.may_ask(member, task) and progress.best and task not in node.news.fits:
            found[task] = max(found.get(task, []), progress.best)
    return found
