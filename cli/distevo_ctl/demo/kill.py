"""The platform that is killed on the way: the coordinator, as that is the worst that can happen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from distevo_ctl.demo.look import Look
from distevo_ctl.demo.platforms import Platforms

AT_SHARE = 1 / 3
FIELDS = ("fit", "solved", "program", "fitness", "evaluations")
"""What a result says, and must go on to say."""


class Kill:
    """Kills the coordinator when a third is over, and tells what follows.

    It waits until another platform can go on and the coordinator has islands to lose.
    """

    def __init__(self, platforms: Platforms) -> None:
        self._platforms = platforms
        self._victim: str | None = None
        self._at = 0.0
        self._results: dict[str, list[Any]] = {}
        self._begun: set[str] = set()
        self._heir: str | None = None
        self._is_settled = False

    def follow(self, look: Look) -> Iterator[Text]:
        """What there is to tell after this look; it may be the one at which the platform is killed."""
        self._begun |= {entry["id"] for entry in look.tasks if entry["evaluations"]}
        if self._victim is None:
            if self._is_time(look):
                yield from self._kill(look)
            return
        if self._heir is None and look.coordinator not in {self._victim, None}:
            self._heir = look.coordinator
            after = time.monotonic() - self._at
            yield _line(look, f"{self._heir} has taken over, {after:.1f} s after the kill", "bold green")
        if not self._is_settled and not look.is_over:
            left = self._platforms.ask("member", member=self._victim)
            if left["state"] != "alive" and not left["owned"] and not left["waiting"]:
                self._is_settled = True
                given = f"all that was on {self._victim} is given to others, and goes on from its last checkpoint"
                yield _line(look, given, "green")

    def verdict(self, look: Look) -> Text:
        """What was lost, as the last look shows it."""
        if self._victim is None:
            return Text("no platform was killed: the run was over too soon for that", "dim")
        now = _results(look)
        changed = [task for task, result in self._results.items() if now.get(task, result) != result]
        missing = [entry["id"] for entry in look.tasks if entry["id"] not in now]
        # A run that was cancelled, as its time was up, owes nothing for tasks that nobody had begun.
        owed = [task for task in missing if task in self._begun or look.run["state"] == "done"]
        if changed or owed:
            lost = [*(f"{task} has another result" for task in changed), *(f"{task} has none" for task in owed)]
            return Text(f"lost when {self._victim} was killed: {', '.join(lost)}", "bold red")
        late = f"; time was up before {_number(len(missing))} begun" if missing else ""
        return Text.assemble(
            ("nothing was lost", "bold green"),
            f" when {self._victim} was killed: {'all ' if not missing else ''}{len(now)} tasks have a result, "
            f"and the {len(self._results)} from before are unchanged{late}",
        )

    # --- inside ----------------------------------------------------------------------------------

    def _is_time(self, look: Look) -> bool:
        others = [
            platform.id
            for platform in self._platforms.running
            if platform.id != look.coordinator and look.members.get(platform.id, {}).get("state") == "alive"
        ]
        is_ours = any(platform.id == look.coordinator for platform in self._platforms.running)
        return look.share >= AT_SHARE and not look.is_over and bool(others) and is_ours

    def _kill(self, look: Look) -> Iterator[Text]:
        victim = str(look.coordinator)
        islands = self._platforms.ask("member", member=victim)["owned"]
        if not islands:
            return
        self._victim, self._results = victim, _results(look)
        self._platforms.kill(victim)
        self._at = time.monotonic()
        yield _line(
            look,
            f"SIGKILL to {victim}, which coordinates, and to its worker (islands there: {islands})",
            "bold red",
        )


def _results(look: Look) -> dict[str, list[Any]]:
    return {entry["id"]: [entry[field] for field in FIELDS] for entry in look.tasks if entry["state"] == "done"}


def _line(look: Look, text: str, style: str) -> Text:
    return Text.assemble((f"{look.seconds:5.1f} s  ", "dim"), (text, style))


def _number(tasks: int) -> str:
    return f"{tasks} were" if tasks > 1 else "one was"
