"""Two daemons: what one finds is shown by the other while it is still being worked on, over links and by mail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.metrics import scrape
from tests.support.two import HARD, LISTEN, cluster, until


@pytest.fixture(params=list(LISTEN))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Daemon, Daemon]]:
    with cluster(tmp_path, LISTEN[request.param]) as found:
        until(lambda: all(len(daemon.status()["members"]) == 2 for daemon in found), "both to be members")
        yield found


def test_each_shows_the_best_of_both_with_where_it_was_made(pair: tuple[Daemon, Daemon]) -> None:
    first, second = pair
    run = first.submit(
        reference="onemax", data=HARD, islands_per_task=1, evaluations=10**9, migration={"topology": "unconnected"}
    )
    (task,) = HARD

    def owner() -> str:
        return str(
            next((i["owner"].rpartition("-")[0] for i in second.ask(do="islands", everywhere=True)["islands"]), "")
        )

    until(owner, "the island to be heard of")
    here, other = (first, second) if owner() == first.id else (second, first)
    until(lambda: other.results(run)[task]["program"], "the other to have a program of it")
    shown = other.results(run)[task]
    assert shown["state"] == "working"
    assert (shown["origin"]["platform"], shown["origin"]["island"]) == (here.id, 0)
    assert shown["diversity"]["programs"] <= 20
    (island,) = other.ask(do="islands", everywhere=True)["islands"]
    until(lambda: other.ask(do="islands", everywhere=True)["islands"][0]["behaviours"], "its diversity")
    assert island["programs"] is None
    page = scrape(other)
    assert page.figure("merge_wishes_total") >= 1
    assert page.figure("merge_programs_total", direction="received") >= 1
    assert page.figure("merge_seconds_total", kind="periodic") > 0
