"""A cluster of two daemons, seen by somebody who has the folder and runs none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distevo_ctl.offline import Offline, open_reader
from tests.support.two import HARD, LISTEN, cluster, coordinator, evolving, until


def test_a_cluster_its_checkpoints_and_the_end_of_its_coordinator(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    with cluster(tmp_path, LISTEN["links"]) as (first, second):
        run = second.submit(reference="onemax", data=HARD, islands_per_task=2, evaluations=10**9)
        until(lambda: evolving(first) and evolving(second), "islands on both")
        watcher = Offline(open_reader(url), url)

        def ages() -> dict[str, float | None]:
            found = watcher.ask("status")["members"]
            return {member["id"]: member["checkpoint_age_s"] for member in found}

        until(lambda: all(age is not None for age in ages().values()), "new checkpoints of both")
        until(lambda: watcher.ask("status")["store"]["lease"]["state"] == "held", "a renewal to be seen")
        islands = watcher.ask("islands")["islands"]
        view = watcher.ask("status")  # After them, since they go on.
        assert view["store"]["unreadable"] == []
        members = {member["id"]: member for member in view["members"]}
        assert {name: (m["state"], m["islands"], m["path"]) for name, m in members.items()} == {
            "a": ("alive", 1, None),
            "b": ("alive", 1, None),
        }
        assert [name for name, member in members.items() if member["role"] == "coordinator"] == ["a"]
        assert {entry["member"] for entry in view["store"]["checkpoints"] if entry["is_current"]} == {"a", "b"}
        assert {(island["island"], island["owner"].rpartition("-")[0]) for island in islands} in (
            {(0, "a"), (1, "b")},
            {(0, "b"), (1, "a")},
        )
        (seen,) = (entry for entry in view["runs"] if entry["id"] == run)
        assert (seen["state"], seen["tasks_total"]) == ("running", 1)
        assert seen["evaluations"] >= sum(island["evaluations"] for island in islands) > 0

        told = {member["id"]: member for member in first.status()["members"]}
        assert (told["a"]["role"], told["b"]["role"]) == ("coordinator", "member")
        assert all(set(told[name]) == set(members[name]) for name in members)

        first.kill()
        states: list[Any] = []

        def is_taken() -> bool:
            now = watcher.ask("status")
            states.append(now["store"]["lease"]["state"])
            return bool(now["cluster"]["coordinator"] == "b")

        until(is_taken, "the takeover to be seen")
        assert watcher.ask("status")["cluster"]["epoch"] == 2
        assert set(states) <= {"held", "silent", "expired"}
        # What it has written is in the folder before it knows that it is.
        until(lambda: coordinator(second) == "b", "the new coordinator to know of its write")
