"""One platform and one find, as rows of what is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.table import Table
from rich.text import Text

from distevo_ctl.demo.look import Look
from distevo_ctl.demo.platforms import Platforms
from distevo_ctl.members_table import STYLES
from distevo_ctl.screen import Column, delay, duration, fitting, known, plain


def platforms_table(look: Look, platforms: Platforms, width: int) -> Table:
    """The platforms, as the one that is asked knows them."""

    def state(id: str) -> Text:  # noqa: A002
        word = standing(look, platforms, id)
        return Text(word, "bold red" if word == "killed" else STYLES.get(word, "dim"))

    def told(tell: Callable[[dict[str, Any]], str]) -> Callable[[str], str]:
        def cell(id: str) -> str:  # noqa: A002
            return "-" if id in platforms.killed or id not in look.members else tell(look.members[id])

        return cell

    columns = [
        Column("PLATFORM…", lambda name: Text(name, "bold")),
        Column("STATE", state),
        Column("ROLE", told(lambda member: member["role"]), 2),
        Column("ISLANDS>", told(lambda member: known(member["islands"]))),
        Column("QUEUE>", told(lambda member: known(member["queued"])), 1),
        Column("PATH…", told(_path)),
        Column("HEARD>", told(lambda member: "-" if member["path"] == "self" else duration(member["last_heard_s"])), 3),
    ]
    return fitting(columns, platforms.ids, width)


def platforms_line(look: Look, platforms: Platforms) -> str:
    """The same in one line."""
    return "; ".join(_words(look, platforms, name) for name in platforms.ids)


def standing(look: Look, platforms: Platforms, id: str) -> str:  # noqa: A002
    """How a platform is, in a word."""
    if id in platforms.killed:
        return "killed"
    return str(look.members[id]["state"]) if id in look.members else "not there"


def found_line(entry: dict[str, Any]) -> Text:
    """A task whose program fits what it was shown."""
    mark = ("solved", "green") if entry["solved"] else ("fit   ", "yellow")
    return Text.assemble(
        mark, f"  {plain(entry['id'])}  {duration(entry['seconds']):>6}  ", (plain(entry["program"]), "cyan"),
        no_wrap=True, overflow="ellipsis",
    )  # fmt: skip


def _words(look: Look, platforms: Platforms, id: str) -> str:  # noqa: A002
    word = standing(look, platforms, id)
    if word != "alive":
        return f"{id} {word}"
    member = look.members[id]
    role = " coordinates," if id == look.coordinator else ""
    return f"{id}{role} {known(member['islands'])} in hand and {known(member['queued'])} queued"


def _path(member: dict[str, Any]) -> str:
    """How the platform that is asked reaches this one; a link between the two is direct."""
    if member["path"] == "self":
        return "asked here"
    return plain(member["path"] or "-") + ("" if member["latency_s"] is None else f" {delay(member['latency_s'])}")
