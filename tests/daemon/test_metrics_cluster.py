"""The metrics of a cluster: what survivors say of those who are gone, and what a real Prometheus makes of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from tests.support.daemon import Daemon, wait_for
from tests.support.metrics import page_url, scrape
from tests.support.prometheus import Prometheus, needs_prometheus

QUICK = (
    "--heartbeat-interval", "0.5", "--heartbeat-timeout", "2", "--mail-interval", "0.5", "--lease-ttl", "5",
    "--checkpoint-seconds", "1", "--batch-size", "50",
)  # fmt: skip
HARD = {"t": {"bits": 8192, "cost_us": 500}}
"""A task that nobody solves in a test."""
HERE = Path(__file__).parent
RULES = HERE.parents[1] / "systemd/prometheus/distevo.rules.yml"
GUIDE_RULES = HERE / "guide.rules.yml"
DASHBOARD = HERE.parents[1] / "systemd/grafana/distevo.json"

until = partial(wait_for, seconds=60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Daemon]]:
    """Three platforms, of which `a` coordinates; the tests share them in their order."""
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        daemons: dict[str, Daemon] = {}
        for name in ("a", "b", "c"):
            daemons[name] = Daemon(folder / name, "--store", str(folder / "store"), *QUICK, id=name)
            stack.enter_context(daemons[name])
            if name == "a":
                until(lambda: scrape(daemons["a"]).figure("coordinator") == 1, "a coordinator")
        for daemon in daemons.values():
            until(lambda: health(daemon) == {"a": 1, "b": 1, "c": 1}, "all to know each other")  # noqa: B023
        yield daemons


@pytest.fixture(scope="module")
def prometheus(cluster: dict[str, Daemon], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that scrapes all three every second."""
    targets = [urlsplit(page_url(daemon)).netloc for daemon in cluster.values()]
    with Prometheus(tmp_path_factory.mktemp("prometheus"), targets, [RULES, GUIDE_RULES]) as found:
        yield found


def health(daemon: Daemon) -> dict[str, float]:
    """By platform, as that daemon sees it."""
    return {name: value for (name,), value in scrape(daemon).figures("platform_health").items()}


def test_all_are_healthy_and_one_coordinates_whomever_one_asks(cluster: dict[str, Daemon]) -> None:
    for member, daemon in cluster.items():
        page = scrape(daemon)
        assert page.figures("coordinator") == {("a",): 1, ("b",): 0, ("c",): 0}
        assert page.figures("platform_state", "state")[("a", "alive")] == 1
        others = {(other,) for other in cluster if other != member}
        heard = page.figures("platform_last_heard_seconds")
        assert heard.keys() == others
        assert all(0 <= seconds < 10 for seconds in heard.values())
        for name in ("messages_received_total", "messages_sent_total"):
            until(lambda: scrape(daemon).figure(name, command="heartbeat") > 0, f"beats, {name}")  # noqa: B023
        won = scrape(daemon).figure("elections_total", outcome="won")
        assert won == (1 if member == "a" else 0)


def test_programs_that_travel_are_counted_at_both_ends(cluster: dict[str, Daemon]) -> None:
    run = cluster["a"].submit(
        reference="onemax", data=HARD, islands_per_task=3, evaluations=10**9, migration={"interval": 1}
    )
    for daemon in cluster.values():
        for name, labels in (
            # Each has one of the three islands: all that comes has travelled.
            ("migrants_received_total", {"outcome": "accepted"}),
            ("migrants_sent_total", {}),
            ("messages_sent_total", {"command": "migrants"}),
            ("messages_received_total", {"command": "migrants_ack"}),
            ("run_evaluations_per_second", {"run": run}),
        ):
            until(lambda: scrape(daemon).figure(name, **labels) > 0, f"{name} of {daemon.id}")  # noqa: B023
        page = scrape(daemon)
        assert page.figure("islands", stage="evolving") == 1
        assert page.figures("throughput", "configuration").keys() == {(daemon.id, "multi_platform")}


@needs_prometheus
def test_prometheus_scrapes_them(prometheus: Prometheus) -> None:
    until(lambda: prometheus.query("count by (job) (up == 1)", "job") == {("distributed_evolution",): 3}, "the targets")
    until(lambda: prometheus.query("sum by (platform_id) (distributed_evolution_platform_health)", "platform_id") == {
        ("a",): 3, ("b",): 3, ("c",): 3,
    }, "the health of all as all see it")  # fmt: skip
    # The run is slow by both rules: those who wrote the first ones get one alert from each platform.
    until(lambda: {("LowThroughput", name) for name in ("", "a", "b", "c")} <= prometheus.alerts(), "slow work")
    assert not {name for name, _ in prometheus.alerts()} - {"LowThroughput"}
    until(lambda: prometheus.query("sum(rate(distributed_evolution_evaluations_total[10s])) > 0"), "work to be seen")


@needs_prometheus
def test_every_line_of_the_dashboard_shows_something(prometheus: Prometheus) -> None:
    dashboard = orjson.loads(DASHBOARD.read_bytes())
    panels = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in dashboard["panels"]}
    assert {"Active Platforms", "Throughput", "Checkpoint Stats", "Platform Health"} <= panels.keys()
    for title, lines in panels.items():
        for line in lines:
            asked = line.replace("$__rate_interval", "10s").replace("$job", "distributed_evolution")
            assert "$" not in asked
            until(lambda: prometheus.query(asked), f"{title}: {asked}")  # noqa: B023


def test_who_has_left_is_told_from_who_is_dead(cluster: dict[str, Daemon]) -> None:
    (run,) = (view["id"] for view in cluster["a"].status()["runs"])
    # A stop ends in time, come what may: on a slow machine where work goes on, without a checkpoint and a goodbye.
    cluster["a"].ask(do="command", verb="pause", run=run)
    until(lambda: scrape(cluster["b"]).figure("islands", stage="evolving") == 0, "the pause")
    assert cluster["b"].stop() == 0
    until(lambda: health(cluster["c"])["b"] == 0, "the one that left")
    cluster["a"].kill()
    until(lambda: health(cluster["c"])["a"] == 0, "the one that was killed")
    assert health(cluster["c"]) == {"a": 0, "b": 0, "c": 1}
    until(lambda: scrape(cluster["c"]).figures("coordinator") == {("a",): 0, ("b",): 0, ("c",): 1}, "a coordinator")
    page = scrape(cluster["c"])
    states = {name: state for (name, state), is_it in page.figures("platform_state", "state").items() if is_it}
    assert states == {"a": "dead", "b": "left", "c": "alive"}
    assert (page.figure("epoch"), page.figure("elections_total", outcome="won")) == (2, 1)
    cluster["c"].ask(do="command", verb="resume", run=run)
    until(
        lambda: scrape(cluster["c"]).figures("throughput", "configuration").keys() == {("c", "single_platform")},
        "work that goes on",
    )


@needs_prometheus
def test_prometheus_alerts_of_the_dead(cluster: dict[str, Daemon], prometheus: Prometheus) -> None:
    health_now = "min by (platform_id) (distributed_evolution_platform_health)"
    until(
        lambda: prometheus.query(health_now, "platform_id") == {("a",): 0, ("b",): 0, ("c",): 1},
        "the survivor alone to speak",
    )

    def disconnected(severity: str) -> set[str]:
        found = prometheus.query(f'ALERTS{{alertname="PlatformDisconnected", severity="{severity}"}}', "platform_id")
        return {platform for (platform,) in found}

    until(lambda: disconnected("") == {"a", "b"}, "the first rules to miss both")
    until(lambda: "a" in disconnected("critical"), "ours to miss the dead")
    assert disconnected("critical") == {"a"}, "one that said goodbye is not missed"


@needs_prometheus
def test_the_rules_say_what_they_should() -> None:
    for command in (["check", "rules", str(RULES)], ["check", "config", str(RULES.parent / "prometheus.yml")],
                    ["test", "rules", str(HERE / "alerts.yml")]):  # fmt: skip
        checked = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60)
        assert checked.returncode == 0, checked.stdout + checked.stderr
