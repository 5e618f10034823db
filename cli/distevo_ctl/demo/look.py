"""Looking at the run of the demonstration and at its platforms, again and again, until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from distevo_ctl.demo.platforms import Platforms
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.wait import OVER

RUN = "demo"
INTERVAL_SECONDS = 0.25


@dataclass(frozen=True)
class Look:
    """What one platform knows of the whole at one moment.

    `run` and `tasks` are as `results` has them, `members` (by id) and `coordinator` as `status` has them; `seconds` are
    counted from the submission, and `share` is the part of the demonstration that is over: of its tasks or of its time,
    whichever is more.
    """

    run: dict[str, Any]
    tasks: list[dict[str, Any]]
    members: dict[str, dict[str, Any]]
    coordinator: str | None
    seconds: float
    share: float

    @property
    def is_over(self) -> bool:
        """Whether all is done, or given up."""
        return self.run["state"] in OVER


Show = Callable[[Look], None]
"""Shows a look to whoever watches."""


def looks(platforms: Platforms, deadline: float) -> Iterator[Look]:
    """Look until the run is over; at the deadline (of the monotonic clock) it is cancelled. Raises CliError."""
    begun = time.monotonic()
    is_cancelled = False
    while True:
        look = _look(platforms, begun, deadline)
        if look is not None:
            yield look
            if look.is_over:
                return
        if time.monotonic() > deadline and not is_cancelled:
            is_cancelled = True
            _cancel(platforms)
        time.sleep(INTERVAL_SECONDS)


def _cancel(platforms: Platforms) -> None:
    """End the run, unless it has ended since the last look: the next one shows how. Raises CliError."""
    try:
        platforms.ask("command", verb="cancel", run=RUN)
    except CliError as error:
        if error.code is not ExitCode.REFUSED:
            raise


def _look(platforms: Platforms, begun: float, deadline: float) -> Look | None:
    """None where the run is known to nobody yet: it is in the store, and waits for a coordinator that is busy."""
    try:
        answer = platforms.ask("results", run=RUN)
    except CliError as error:
        if error.code is ExitCode.NOT_FOUND and time.monotonic() < deadline:
            return None
        raise
    status = platforms.ask("status")
    run, seconds = answer["run"], time.monotonic() - begun
    return Look(
        run,
        answer["tasks"],
        {member["id"]: member for member in status["members"]},
        status["cluster"]["coordinator"],
        seconds,
        max(run["tasks_done"] / run["tasks_total"], seconds / max(deadline - begun, seconds)),
    )
