"""What people see of a cluster, at 80 and 60 columns: whole screens, compared with those in `screens/`.

`python tests/cli/test_status_screens.py` writes them anew; look at each before it is kept.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distevo_ctl.commands import status as status_module
from distevo_ctl.commands.watch import screen
from distevo_ctl.members_table import members_table
from distevo_ctl.migration_table import migration_tables

SCREENS = Path(__file__).parent / "screens"
WIDTHS = (80, 60)


def member(name: str, state: str = "alive", path: str | None = "direct", **more: Any) -> dict[str, Any]:
    return {
        "id": name, "kind": "server", "state": state, "role": "member", "is_draining": False, "boot": "b", "workers": 4,
        "key": f"key-of-{name}", "islands": 12, "queued": 3, "path": path, "latency_s": None, "lag_s": 0.0004,
        "last_heard_s": 1.2, "checkpoint_age_s": None, "phase": None, "workers_replaced": None, "slowness": 1.0,
        "store_trouble": None,
    } | more  # fmt: skip


def run(name: str, state: str = "running", **more: Any) -> dict[str, Any]:
    return {
        "id": name, "problem": "grids 1", "state": state, "tasks_total": 400, "tasks_done": 137, "tasks_failed": 0,
        "fit": 84, "solved": 71, "evaluations": 12_345_678, "is_at_least": False,
        "evaluations_per_s": 5432.1, "duplicates_avoided": 7,
        "tasks_per_hour": 120.0, "eta_s": 7890.0, "budget": {"cpu_seconds": 60.0, "evaluations": None},
        "rungs": [], "tasks_on_rungs": [], "priority": 0,
        "islands_per_task": 4, "invalid_programs": 2, "note": None,
    } | more  # fmt: skip


def edge(task: str, source: int, target: int, **more: Any) -> dict[str, Any]:
    return {
        "run": "arc-training", "task": task, "source": source, "target": target, "owner": "kaggle-1-0123456789abcdef",
        "is_waiting": False, "is_resting": False, "sent": 12, "accepted": 31, "known": 9, "last_s": 4.0,
        "trouble": None,
    } | more  # fmt: skip


def cluster() -> dict[str, Any]:
    return {
        "cluster": {"id": "5f3fbda083a14155", "epoch": 7, "coordinator": "kaggle-1", "plan": "plans/7-41-a"},
        "members": [
            member(
                "home-server",
                path="self",
                role="member",
                checkpoint_age_s=2.5,
                lag_s=0.0012,
                kind="local",
                workers_replaced={"memory": 1, "time-out": 2},
            ),
            member("kaggle-1", latency_s=0.0234, role="coordinator", kind="kaggle"),
            member("colab-7", "suspect", "via kaggle-1", last_heard_s=31.0, kind="colab", lag_s=2.25),
            member("paperspace-with-a-long-name", path="mail", is_draining=True, kind="paperspace", queued=0),
            member("laptop", "dead", None, islands=None, queued=None, last_heard_s=95.0, lag_s=None),
            member("stolen", "revoked", None, islands=None, queued=None, last_heard_s=None, lag_s=None),
        ],
        "revoked": ["key-of-stolen", "key-of-one-that-is-gone"],
        "runs": [
            run("arc-training"),
            run("nguyen-1", "paused", problem="regression 2", eta_s=None, note="no platform has the problem\x1b[2J"),
        ],
        "migrations": [
            edge("007bbfb7", 0, 1),
            edge("007bbfb7", 1, 2, trouble="late", last_s=760.0, is_waiting=True),
            edge("00d62c1b", 0, 1, trouble="unanswered", last_s=None, accepted=0, known=0, is_waiting=True),
            edge("017c7c7b", 2, 3, is_resting=True, last_s=500.0),
        ],
    }


def alone() -> dict[str, Any]:
    return cluster() | {
        "cluster": {"id": "5f3fbda083a14155", "epoch": 1, "coordinator": "laptop", "plan": "plans/1-4-a"},
        "members": [
            member(
                "laptop",
                path="self",
                role="coordinator",
                checkpoint_age_s=95.4,
                kind="local",
                store_trouble={"seconds": 93.0, "reason": "cannot write 'results/arc/1': No space left on device"},
            )
        ],
        "revoked": [],
        "runs": [run("arc-training")],
        "migrations": [edge("007bbfb7", 0, 1, owner="laptop-0123456789abcdef")],
    }


def stored() -> dict[str, Any]:
    """What a store alone tells, one object damaged and one too new."""
    unknown = {"lag_s": None, "last_heard_s": None}
    rates = {"evaluations_per_s": None, "tasks_per_hour": None, "eta_s": None, "invalid_programs": None}
    return cluster() | {
        "members": [
            member("kaggle-1", path=None, role="coordinator", checkpoint_age_s=1.5, kind="kaggle", **unknown),
            member("laptop", "dead", None, islands=None, kind="local", **unknown | {"queued": None}),
        ],
        "revoked": [],
        "runs": [run("arc-training", **rates)],
        "migrations": [],
        "store": {
            "age_s": 0.03,
            "lease": {"state": "silent", "ttl": 15.0, "renewal_s": 5.0, "unmoved_s": 6.0, "has_moved": False},
            "checkpoints": [
                checkpoint("kaggle-1", 1203, least_generation=4, most_generation=96, age_s=1.5),
                checkpoint("laptop", 77, is_current=False),
            ],
            "results": {"named": 137, "objects": 141, "missing": ["results/arc/1/1-ab"]},
            "inbox": 2,
            "unreadable": [
                unreadable("checkpoints/laptop-ab/78", "the digest does not match the bytes"),
                unreadable("checkpoints/laptop-ab/79", "format version 2; upgrade", is_newer=True),
            ],
        },
    }


def checkpoint(name: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "member": name, "boot": "b", "is_current": True, "name": f"checkpoints/{name}-b/{number}", "sequence": number,
        "age_s": None, "islands": 12, "least_generation": 8, "most_generation": 8, "evaluations": 345_678,
    } | more  # fmt: skip


def unreadable(name: str, error: str, is_newer: bool = False) -> dict[str, Any]:
    return {"name": name, "error": error, "is_newer": is_newer, "is_missing": False}


VIEWS: dict[str, Callable[[], dict[str, Any]]] = {"cluster": cluster, "alone": alone, "stored": stored}


def terminal(width: int, *, colour: bool = False) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=40, highlight=False, markup=False, emoji=False,
        force_terminal=colour, color_system="truecolor" if colour else None, legacy_windows=False,
    )  # fmt: skip


def shown(view: dict[str, Any], width: int, *, colour: bool = False) -> str:
    out = terminal(width, colour=colour)
    status_module.show_status(out, view, "/home/me/store", islands=False, edges=False)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", VIEWS)
def test_a_screen(name: str, width: int) -> None:
    made = shown(VIEWS[name](), width)
    assert made == (SCREENS / f"{name}-{width}.txt").read_text()
    assert max(map(len, made.splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", VIEWS)
def test_the_live_screen_fits(name: str, width: int) -> None:
    out = terminal(width)
    with out.capture() as captured:
        out.print(screen(VIEWS[name](), "/home/me/store", out))
    lines = captured.get().splitlines()
    assert len(lines) <= out.height
    assert max(len(line.rstrip()) for line in lines) <= width
    assert any("arc-training" in line and "running" in line for line in lines)


def test_colours_are_for_terminals_and_marks_are_seen_without_them() -> None:
    plain, coloured = shown(cluster(), 80), shown(cluster(), 80, colour=True)
    assert "\x1b[" not in plain
    assert "\x1b[1;31munanswered" in coloured
    assert "kaggle-1 *" in plain


def test_who_is_slow_is_named() -> None:
    members = [member("fast"), member("slow", slowness=4.5), member("gone", "dead", slowness=9.0)]
    told = shown(cluster() | {"members": [*members, member("new", slowness=None)]}, 80)
    assert [line for line in told.splitlines() if "as long as" in line] == [
        "slow takes 4.5 times as long as the others' median"
    ]


def test_of_hundreds_of_edges_the_worst_are_shown() -> None:
    edges = [edge(f"t{number}", 0, 1, last_s=float(number)) for number in range(300)]
    edges[120] |= {"trouble": "late"}
    edges[40] |= {"trouble": "unanswered", "last_s": None}
    view = cluster() | {"migrations": edges}
    out = terminal(100)
    out.print(*migration_tables(view, 100), sep="\n")
    assert isinstance(out.file, io.StringIO)
    told = out.file.getvalue()
    assert "on 300 edges" in told
    assert "1 unanswered" in told
    assert "1 late" in told
    assert "and 292 more; --edges shows all" in told
    tasks = [line.split()[1] for line in told.splitlines() if line.startswith("arc-training")]
    assert tasks[:4] == ["t40", "t120", "t299", "t298"]
    assert len(tasks) == 8
    assert migration_tables(view, 100, is_all=True)[1].row_count == 300


def test_of_a_hundred_members_a_live_screen_shows_who_is_not_well() -> None:
    members = [member(f"m{number:02}") for number in range(100)]
    members[0] |= {"path": "self"}
    members[50] |= {"role": "coordinator"}
    members[70] |= {"state": "dead"}
    view = cluster() | {"members": members, "migrations": [], "revoked": []}
    rows, more = members_table(view, 80, most=4)
    assert list(rows.columns[0].cells) == ["m00", "m01", "m50 *", "m70"]
    assert str(more) == "and 96 more: 96 alive"
    out = terminal(80)
    with out.capture() as captured:
        out.print(screen(view, "/home/me/store", out))
    assert len(captured.get().splitlines()) <= out.height


def test_evaluations_that_are_a_lower_bound_are_marked() -> None:
    assert "  ≥ 12,345,678  " in shown(cluster() | {"runs": [run("arc-training", is_at_least=True)]}, 100)


def test_on_which_budget_open_tasks_are_is_said_while_there_are_any() -> None:
    rising = run("r", rungs=[0.05, 0.5], tasks_on_rungs=[1200, 0, 3])
    said = "r: open tasks 1,200 at 0.05 s, 3 at 60 s"
    assert said in shown(alone() | {"runs": [rising]}, 100)
    assert "open tasks" not in shown(alone() | {"runs": [rising | {"tasks_on_rungs": [0, 0, 0]}]}, 100)
    assert "open tasks" not in shown(alone() | {"runs": [rising | {"state": "cancelled"}, run("flat")]}, 100)


def test_of_runs_that_are_over_the_latest_are_shown() -> None:
    over = [run(f"over-{number}", "done") for number in range(9)]
    view = cluster() | {"runs": [*over[:4], run("long"), *over[4:], run("last")], "migrations": []}
    lines = shown(view, 100).splitlines()
    told = [line.split()[0] for line in lines if line.startswith(("over-", "long", "last"))]
    assert told == ["long", "over-4", "over-5", "over-6", "over-7", "over-8", "last"]
    assert "4 earlier ones are over; distevo-ctl runs lists all" in lines


if __name__ == "__main__":
    for view_name, make in VIEWS.items():
        for columns in WIDTHS:
            (SCREENS / f"{view_name}-{columns}.txt").write_text(shown(make(), columns))
            sys.stdout.write(f"{view_name}-{columns}\n{shown(make(), columns)}\n")
