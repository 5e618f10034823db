"""The view of a node: members with path and latency, runs, and which edges of migration need a look."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import msgspec

from distevo.cluster import decode_cluster, encode_cluster
from distevo.command import Verb
from distevo.diversity_view import all_islands_view, islands_view
from distevo.events import IslandId, Outcome
from distevo.instructions import ListObjects, ReadObject, ReplaceObject, StoreInstruction
from distevo.names import CLUSTER
from distevo.node import Node
from distevo.outline import Outline
from distevo.phase import Phase
from distevo.plan import MemberState, Plan, decode_plan, encode_plan
from distevo.result import LARGEST
from distevo.simulator import scenario_of
from distevo.simulator.world import _World
from distevo.speech import heartbeat
from distevo.standing import Standing
from distevo.view import Unreadable, run_view, status, task_view, with_result
from tests.node.world import World


def edge(run: str = "r", last: float | None = 1.0, sent: int = 3, is_resting: bool = False) -> dict[str, Any]:
    return {"run": run, "sent": sent, "last_s": last, "is_resting": is_resting}


def troubles(*edges: dict[str, Any]) -> list[str | None]:
    from distevo.migration_view import mark

    mark(list(edges))
    return [view["trouble"] for view in edges]


def cluster(minutes: float = 1.0, **more: Any) -> tuple[dict[str, Node], float]:
    """The nodes of a simulated cluster of two servers and a notebook that is dialled by nobody, by name."""
    world = _World(
        scenario_of(
            {
                "minutes": minutes,
                "members": [
                    {"kind": "server", "count": 2, "workers": 2},
                    {"kind": "notebook", "count": 2, "is_behind_nat": True},
                ],
                "runs": [{"name": "long", "tasks": 2, "islands_per_task": 4, "evaluations": 10**6}],
                "calm_minutes": 0,
                **more,
            }
        ),
        1,
        False,
    )
    assert world.run().finding is None
    return {boot.host: boot.node for boot in world.boots()}, world.agenda.now


def change(node: Node, apply: Callable[[Plan], object]) -> None:
    """Another plan is in force; the one that was is shared with whoever else has read it."""
    plan = decode_plan(encode_plan(node.following.plan))
    apply(plan)
    node.following.outline = Outline(plan)


def test_a_complaint_names_its_task_where_the_run_has_several() -> None:
    world = World(workers=1)
    for name, tasks in (("one", 1), ("two", 2)):
        world.submit(name, tasks=tasks, nonce=name)
        world.node.news.warn((name, f"t{tasks - 1}"), "evaluate raised ValueError")
    notes = {run["id"]: run["note"] for run in status(world.node, world.now)["runs"]}
    assert notes == {"one": "evaluate raised ValueError", "two": "t1: evaluate raised ValueError"}


def test_a_platform_alone() -> None:
    world = World(workers=1)
    world.submit(tasks=3)
    view = status(world.node, world.now)
    (member,) = view["members"]
    assert (member["id"], member["state"], member["role"], member["path"]) == ("m", "alive", "coordinator", "self")
    assert (member["islands"], member["queued"], member["latency_s"], member["is_draining"]) == (1, 2, None, False)
    assert view["cluster"]["coordinator"] == "m"
    assert view["migrations"] == []
    (run,) = view["runs"]
    assert run == run_view(world.node, "r", world.now)
    assert (run["state"], run["tasks_total"], run["evaluations"]) == ("running", 3, 0)
    world.generation(next(iter(world.running)), fitness=0.5, evaluations=50)
    assert run_view(world.node, "r", world.now)["evaluations"] == 50
    task = task_view(world.node, "r", "t0")
    assert (task["state"], task["fitness"], task["evaluations"]) == ("working", [0.5], 50)
    island = islands_view(world.node)[0]
    assert (island["run"], island["task"], island["generation"], island["is_resting"]) == ("r", "t0", 1, False)


def test_an_infinite_fitness_is_shown_as_json_can_hold_it() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    for fitness, shown in ((-inf, -LARGEST), (inf, LARGEST)):
        world.generation(next(iter(world.running)), fitness=fitness)
        for view, field in (
            (task_view(world.node, "r", "t0"), "fitness"),
            (islands_view(world.node)[0], "best_fitness"),
        ):
            assert msgspec.json.decode(msgspec.json.encode(view[field])) == [shown]


def test_a_task_that_is_done_is_fit_though_its_result_cannot_be_read() -> None:
    world = World(workers=1)
    world.submit(tasks=1)
    world.generation(next(iter(world.running)), fit=True)
    world.pass_time(2)
    world.verify()
    world.pass_time(1)
    entry = world.plan.runs["r"].tasks["t0"]
    lost = Unreadable(entry.result or "", "it is not there", is_missing=True)
    shown = with_result(task_view(world.node, "r", "t0"), lost, world.plan.runs["r"].problem)
    assert (shown["state"], shown["fit"], shown["error"]) == (
        "done",
        True,
        f"{entry.result} cannot be read: it is not there",
    )


def test_what_waits_for_another_task_on_its_worker_is_shown_so_here_and_elsewhere() -> None:
    world = World(workers=1)
    world.submit(tasks=3)
    assert [island["is_waiting"] for island in all_islands_view(world.node)] == [False, True]
    assert [task_view(world.node, "r", task)["state"] for task in ("t0", "t1", "t2")] == ["working", "open", "open"]
    told = heartbeat(world.node.foreman, incarnation=0, progress=1, interval=10.0)
    standing = Standing()
    standing.heard("m", "b0", told, 0.0)
    assert [standing.waits(island) for island in sorted(world.running)] == [False, True]


def test_members_with_path_latency_and_role() -> None:
    nodes, now = cluster()
    me = nodes["notebook-1"]
    view = status(me, now, {"server-1": 0.0125, "notebook-2": 0.001})
    members = {member["id"]: member for member in view["members"]}
    assert set(members) == {"server-1", "server-2", "notebook-1", "notebook-2"}
    assert members["notebook-1"]["path"] == "self"
    assert (members["server-1"]["path"], members["server-1"]["latency_s"]) == ("direct", 0.0125)
    assert (members["server-2"]["path"], members["server-2"]["latency_s"]) == ("direct", None)
    # Two that nobody dials have no link with each other, so whatever is said of one is not about it.
    assert members["notebook-2"]["path"].startswith("via server-")
    assert members["notebook-2"]["latency_s"] is None
    assert [name for name, member in members.items() if member["role"] == "coordinator"] == [
        view["cluster"]["coordinator"]
    ]
    for member in members.values():
        assert member["last_heard_s"] < 30
        assert member["lag_s"] is not None
        assert member["queued"] is not None


def test_of_a_platform_that_nobody_heard_yet_and_of_one_that_is_gone_no_figures_are_told() -> None:
    nodes, now = cluster()
    me = nodes["notebook-1"]
    me.standing.forget("server-1")
    other = next(m for m in status(me, now)["members"] if m["id"] == "server-1")
    assert (other["state"], other["islands"], other["queued"], other["lag_s"]) == ("alive", None, None, None)
    assert other["path"] == "direct"
    change(me, lambda plan: setattr(plan.members["server-2"], "state", MemberState.DEAD))
    gone = next(m for m in status(me, now)["members"] if m["id"] == "server-2")
    assert gone["state"] == "dead"
    assert gone["last_heard_s"] is not None
    assert [gone[field] for field in ("islands", "queued", "path", "latency_s", "lag_s")] == [None] * 5


def test_who_is_revoked_is_shown_with_the_key() -> None:
    nodes, now = cluster()
    me = nodes["notebook-1"]
    key = me.following.plan.members["server-2"].key
    change(me, lambda plan: plan.denied.append(key))
    view = status(me, now)
    revoked = next(m for m in view["members"] if m["id"] == "server-2")
    assert (revoked["state"], revoked["key"], revoked["path"]) == ("revoked", key, None)
    assert view["revoked"] == [key]


def test_a_platform_that_no_plan_has_joins() -> None:
    nodes, now = cluster()
    me = nodes["notebook-1"]
    assert status(me, now)["members"][0]["state"] == "alive"
    change(me, lambda plan: plan.members.pop("notebook-1"))
    assert status(me, now)["members"][0]["state"] == "joining"


def test_what_is_solved_is_known_where_something_is_hidden() -> None:
    world = World(workers=1)
    world.submit(tasks=2)
    assert run_view(world.node, "r", world.now)["solved"] is None
    change(world.node, lambda plan: setattr(plan.runs["r"].tasks["t0"], "solved", False))
    assert run_view(world.node, "r", world.now)["solved"] == 0
    change(world.node, lambda plan: setattr(plan.runs["r"].tasks["t1"], "solved", True))
    assert run_view(world.node, "r", world.now)["solved"] == 1


def test_how_fast_a_run_was_is_not_known_to_who_saw_nothing_of_it() -> None:
    world = World()
    world.submit(tasks=1, evaluations=20)
    while world.running:
        world.generation(next(iter(world.running)))
    world.verify()
    world.pass_time(2)
    assert run_view(world.node, "r", world.now)["tasks_per_hour"] > 0
    again = World(dict(world.objects), boot="b1", start=world.now + 60)
    again.pass_time(60)
    view = run_view(again.node, "r", again.now)
    assert (view["state"], view["tasks_done"], view["tasks_per_hour"]) == ("done", 1, None)


def test_what_a_cancel_cuts_short_is_no_finished_task() -> None:
    world = World()
    world.submit(tasks=2)
    world.generation(IslandId("r", "t0", 0))
    world.generation(IslandId("r", "t1", 0), fit=True)
    world.command(Verb.CANCEL)
    world.verify()
    world.pass_time(2)
    view = run_view(world.node, "r", world.now)
    assert (view["state"], view["tasks_done"], view["tasks_per_hour"]) == ("cancelled", 2, 3600.0)


def test_evaluations_are_a_lower_bound_while_an_island_that_was_begun_is_not_loaded() -> None:
    nodes, now = cluster()
    me = nodes["notebook-1"]
    island = next(iter(me.standing.islands))
    assert not run_view(me, "long", now)["is_at_least"]
    change(me, lambda plan: plan.runs["long"].tasks[island.task].islands[island.island].former.append("gone-1"))
    assert not run_view(me, "long", now)["is_at_least"]
    before = run_view(me, "long", now)["evaluations"]
    del me.standing.islands[island]
    assert run_view(me, "long", now)["evaluations"] < before
    assert run_view(me, "long", now)["is_at_least"]


def test_and_while_a_platform_that_has_islands_was_not_heard_yet() -> None:
    nodes, now = cluster()
    me = nodes["notebook-1"]
    other = next(member for member, _ in me.standing.islands.values() if member != me.settings.member)
    assert not run_view(me, "long", now)["is_at_least"]
    me.standing.forget(other)
    assert run_view(me, "long", now)["is_at_least"]


def test_migration_that_works_has_no_trouble_and_counts() -> None:
    nodes, now = cluster(minutes=3)
    edges = [edge for node in nodes.values() for edge in status(node, now)["migrations"]]
    assert len(edges) >= 4
    assert all(edge["sent"] > 0 for edge in edges)
    assert all(edge["last_s"] is not None for edge in edges if not edge["is_resting"])
    assert {edge["trouble"] for edge in edges} == {None}
    assert sum(edge["accepted"] for edge in edges) > 0


def test_an_edge_that_was_never_answered() -> None:
    assert troubles(edge(last=None), edge(), edge(last=None, sent=0)) == ["unanswered", None, None]
    assert troubles(edge(last=None, is_resting=True)) == [None]


def test_an_edge_is_late_beside_the_others_of_its_run() -> None:
    assert troubles(edge(last=400.0), edge(last=2.0)) == ["late", None]
    # A minute is nothing: a batch that was lost is sent again after up to 30 s.
    assert troubles(edge(last=59.0), edge(last=2.0)) == [None, None]
    # Where all are slow, none is late.
    assert troubles(edge(last=400.0), edge(last=100.0), edge(last=90.0)) == [None] * 3
    # What is usual in one run says nothing about another, nor does what rests about what evolves.
    assert troubles(edge(last=400.0), edge("other", last=1.0)) == [None, None]
    assert troubles(edge(last=400.0), edge(last=1.0, is_resting=True)) == [None, None]


def test_edges_of_a_run_that_is_paused_rest() -> None:
    pause = {"at": 60, "run": "long", "verb": "pause"}
    nodes, now = cluster(minutes=2, commands=[pause])
    edges = [edge for node in nodes.values() for edge in status(node, now)["migrations"]]
    assert edges
    assert all(edge["is_resting"] and edge["trouble"] is None for edge in edges)


def test_what_the_store_refuses_is_shown_until_it_succeeds() -> None:
    is_full = False

    def fault(order: StoreInstruction) -> Outcome | None:
        return Outcome.UNAVAILABLE if is_full and not isinstance(order, ReadObject | ListObjects) else None

    world = World(workers=1, fault=fault)
    world.submit(tasks=1)
    world.generation(next(iter(world.running)))
    world.pass_time(30)
    assert status(world.node, world.now)["members"][0]["store_trouble"] is None
    is_full = True
    world.pass_time(20)
    first = status(world.node, world.now)["members"][0]["store_trouble"]
    world.pass_time(5)
    later = status(world.node, world.now)["members"][0]["store_trouble"]
    assert (later["seconds"], bool(later["reason"])) == (first["seconds"] + 5, True)
    is_full = False
    world.pass_time(60)
    assert status(world.node, world.now)["members"][0]["store_trouble"] is None


def test_why_the_store_fails_is_what_it_said_last() -> None:
    """A swap fails, and is not tried again before a read has succeeded; reads fail for another reason then."""
    world = World(workers=1)
    world.submit(tasks=1)
    world.pass_time(5)
    world.reason, world.fault = "no answer in 2 s", lambda _: Outcome.UNKNOWN
    world.pass_time(40)
    before = status(world.node, world.now)["members"][0]["store_trouble"]
    world.reason, world.fault = "there is no bucket", lambda _: Outcome.UNAVAILABLE
    world.pass_time(40)
    after = status(world.node, world.now)["members"][0]["store_trouble"]
    assert (before["reason"], after["reason"]) == ("no answer in 2 s", "there is no bucket")
    assert after["seconds"] == before["seconds"] + 40


def test_a_store_that_says_nothing_is_trouble_too() -> None:
    """As a file server that is dead, or a line on which each byte takes a second."""
    world = World(workers=1)
    world.submit(tasks=1)
    world.pass_time(5)
    world.is_silent = True
    world.pass_time(15)
    assert status(world.node, world.now)["members"][0]["store_trouble"] is None
    world.pass_time(45)
    trouble = status(world.node, world.now)["members"][0]["store_trouble"]
    assert (50 < trouble["seconds"] <= 60, trouble["reason"]) == (True, "it has not answered since")
    world.is_silent = False
    world.do(world.unheard)
    world.pass_time(10)
    assert status(world.node, world.now)["members"][0]["store_trouble"] is None


def test_a_lease_that_was_lost_is_no_trouble_with_the_store() -> None:
    world = World(workers=1)
    world.pass_time(5)
    world.fault = lambda order: Outcome.UNKNOWN if isinstance(order, ReplaceObject) else None
    world.submit(tasks=1)
    data, token = world.objects[CLUSTER]
    taken = msgspec.structs.replace(decode_cluster(data), nonce="ab", holder="n", boot="c0", epoch=2)
    world.objects[CLUSTER] = encode_cluster(taken), token + 1
    world.pass_time(3)
    world.fault = lambda _: None
    assert world.node.phase is Phase.WATCHING
    assert status(world.node, world.now)["members"][0]["store_trouble"] is None
