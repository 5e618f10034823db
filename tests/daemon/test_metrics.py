"""The metrics page of one daemon: that its figures are those of the daemon, under the names that people rely on."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, wait_for
from tests.support.metrics import PREFIX, Scrape, page_text, scrape

HARD = {"t": {"bits": 8192, "cost_us": 500}}
"""A task that nobody solves in a test."""
NAMES = {
    "throughput": ("gauge", {"platform_id", "configuration"}),
    "platform_health": ("gauge", {"platform_id"}),
    "platform_state": ("gauge", {"platform_id", "state"}),
    "platform_last_heard_seconds": ("gauge", {"platform_id"}),
    "avg_generation_time_seconds": ("gauge", {"platform_id"}),
    "platform_slowness": ("gauge", {"platform_id"}),
    "coordinator": ("gauge", {"platform_id"}),
    "epoch": ("gauge", {"platform_id"}),
    "lease_unchanged_seconds": ("gauge", {"platform_id"}),
    "elections": ("counter", {"platform_id", "outcome"}),
    "runs": ("gauge", {"platform_id", "state"}),
    "run_tasks": ("gauge", {"platform_id", "run", "state"}),
    "run_evaluations_per_second": ("gauge", {"platform_id", "run"}),
    "run_tasks_solved": ("gauge", {"platform_id", "run"}),
    "run_budget": ("gauge", {"platform_id", "run", "unit"}),
    "run_tasks_per_hour": ("gauge", {"platform_id", "run"}),
    "run_islands_converged": ("gauge", {"platform_id", "run"}),
    "run_entropy_bits": ("gauge", {"platform_id", "run", "of"}),
    "tasks_finished": ("counter", {"platform_id"}),
    "generations": ("counter", {"platform_id"}),
    "generation_cpu_seconds": ("counter", {"platform_id"}),
    "evaluations": ("counter", {"platform_id"}),
    "duplicates": ("counter", {"platform_id"}),
    "islands": ("gauge", {"platform_id", "stage"}),
    "islands_queued": ("gauge", {"platform_id"}),
    "workers": ("gauge", {"platform_id"}),
    "workers_ready": ("gauge", {"platform_id"}),
    "workers_replaced": ("counter", {"platform_id", "cause"}),
    "migrants_sent": ("counter", {"platform_id"}),
    "migrants_received": ("counter", {"platform_id", "outcome"}),
    "migrant_batches_waiting": ("gauge", {"platform_id"}),
    "seen_bytes": ("counter", {"platform_id"}),
    "merge_seconds": ("counter", {"platform_id", "kind"}),
    "merge_wishes": ("counter", {"platform_id"}),
    "merge_programs": ("counter", {"platform_id", "direction"}),
    "merge_bytes": ("counter", {"platform_id"}),
    "messages_sent": ("counter", {"platform_id", "command"}),
    "messages_received": ("counter", {"platform_id", "command"}),
    "handshake_failures": ("counter", {"platform_id", "layer", "kind"}),
    "routing_events": ("counter", {"platform_id", "event"}),
    "links": ("gauge", {"platform_id"}),
    "transport_frames": ("counter", {"platform_id", "direction"}),
    "transport_bytes": ("counter", {"platform_id", "direction"}),
    "transport_events": ("counter", {"platform_id", "event"}),
    "node_events": ("counter", {"platform_id"}),
    "checkpoints": ("counter", {"platform_id"}),
    "checkpoint_bytes": ("counter", {"platform_id"}),
    "checkpoint_failures": ("counter", {"platform_id"}),
    "checkpoints_replaced": ("counter", {"platform_id"}),
    "checkpoint_seconds": ("counter", {"platform_id"}),
    "checkpoint_cpu_seconds": ("counter", {"platform_id", "part"}),
    "worker_seconds": ("counter", {"platform_id", "doing"}),
    "checkpoint_age_seconds": ("gauge", {"platform_id"}),
    "store_billed_requests": ("counter", {"platform_id", "class"}),
    "store_requests": ("counter", {"platform_id", "kind", "outcome"}),
    "store_request_seconds": ("counter", {"platform_id", "kind"}),
    "metrics_age_seconds": ("gauge", {"platform_id"}),
    "event_loop_lag_seconds": ("gauge", {"platform_id"}),
}
"""Dashboards and alerts use these: a name that changes breaks them without a word."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(
        tmp_path_factory.mktemp("metrics"), "--checkpoint-seconds", "1", "--batch-size", "50", workers=2
    ) as found:
        yield found


def test_names_and_labels_are_what_was_promised(daemon: Daemon) -> None:
    ours = {name.removeprefix(PREFIX): f for name, f in scrape(daemon).families.items() if name.startswith(PREFIX)}
    assert {name: family.type for name, family in ours.items()} == {name: kind for name, (kind, _) in NAMES.items()}
    for name, family in ours.items():
        assert family.documentation.endswith("."), name
        for sample in family.samples:
            assert set(sample.labels) == NAMES[name][1], name


def test_an_idle_daemon(daemon: Daemon) -> None:
    wait_for(lambda: scrape(daemon).figure("coordinator") == 1, "the daemon to coordinate")
    wait_for(lambda: scrape(daemon).figure("workers_ready") == 2, "the workers")
    begun = time.monotonic()
    page = scrape(daemon)
    taken = time.monotonic() - begun
    assert page.figures("platform_health") == {("here",): 1}
    assert page.figures("platform_state", "state") == {
        ("here", state): state == "alive" for state in ("alive", "suspect", "dead", "left")
    }
    assert page.figures("elections_total", "outcome") == {
        ("here", "won"): 1, ("here", "lost"): 0, ("here", "heard"): 0,
    }  # fmt: skip
    assert (page.figure("epoch"), page.figure("workers")) == (1, 2)
    assert page.figures("throughput", "configuration") == {}, "an idle cluster would alert as a slow one"
    # It was asked, answered after a while, and told the figures then: all of it within the scrape.
    assert 0 <= page.figure("event_loop_lag_seconds") <= taken
    assert 0 <= page.figure("metrics_age_seconds") <= taken
    assert page.figure("store_requests_total", kind="create", outcome="done") >= 1
    assert page.figure("handshake_failures_total", layer="transport", kind="denied") == 0
    assert "process_resident_memory_bytes" in page.families


def test_figures_of_a_run_are_those_of_the_status(daemon: Daemon) -> None:
    before = scrape(daemon)
    tasks = {f"solved-{number}": {"bits": 48} for number in range(3)}
    run = daemon.submit(
        reference="onemax", data=tasks, islands_per_task=2, evaluations=40_000, seed=3, migration={"interval": 1}
    )
    view = daemon.wait_done(run)
    assert (view["tasks_done"], view["fit"]) == (3, 3)
    # The status is the coordinator's, which is ahead of the plan in force.
    closed = before.figure("tasks_finished_total") + 3
    wait_for(lambda: scrape(daemon).figure("tasks_finished_total") == closed, "the tasks to be counted")
    page = scrape(daemon)

    def rise(name: str, **labels: str) -> float:
        return page.figure(name, **labels) - before.figure(name, **labels)

    # Nothing else has run, and no island moved: all is counted, and once.
    assert rise("evaluations_total") == view["evaluations"] > 0
    assert rise("duplicates_total") == view["duplicates_avoided"] > 0
    assert rise("generations_total") >= 6
    assert rise("generation_cpu_seconds_total") > 0
    assert page.figure("runs", state="done") == 1
    # All islands are here: what is sent arrives.
    received = {
        outcome: rise("migrants_received_total", outcome=outcome) for outcome in ("accepted", "known", "declined")
    }
    assert rise("migrants_sent_total") == sum(received.values()) > 0
    assert received["accepted"] > 0


def test_a_run_that_goes_on(daemon: Daemon) -> None:
    run = daemon.submit(reference="onemax", data=HARD, islands_per_task=2, evaluations=10**9)
    wait_for(lambda: daemon.ask(do="islands")["islands"], "islands in hand")
    saved = daemon.status()["checkpoints"]["saved"]
    wait_for(lambda: daemon.status()["checkpoints"]["saved"] > saved + 1, "checkpoints")
    wait_for(lambda: scrape(daemon).figure("run_evaluations_per_second", run=run) > 0, "a rate")
    page = scrape(daemon)
    assert page.figures("throughput", "configuration") == {("here", "single_platform"): 0}
    assert page.figure("run_tasks", run=run, state="open") == 1
    assert page.figure("islands", stage="evolving") == 2
    assert page.figure("checkpoints_total") >= saved + 2
    assert page.figure("checkpoint_bytes_total") > 0
    assert page.figure("checkpoint_seconds_total") > 0
    assert page.figure("checkpoint_cpu_seconds_total", part="threads") > 0
    assert page.figure("checkpoint_cpu_seconds_total", part="event_loop") > 0
    for doing in ("idle", "packing", "merging"):  # Two islands here exchange programs.
        wait_for(lambda: scrape(daemon).figure("worker_seconds_total", doing=doing) > 0, doing)  # noqa: B023
    assert 0 <= kept_waiting(daemon) < 0.25, "a daemon that is well keeps its workers from little of their time"
    assert page.figure("checkpoint_age_seconds") < 5
    daemon.ask(do="command", verb="cancel", run=run)
    wait_for(lambda: run not in runs_named(scrape(daemon)), "the run to be over")


def kept_waiting(daemon: Daemon) -> float:
    """The part of its two workers' time in which they wait for the daemon to listen, in the median of five seconds: in
    one or two of them it may be the machine that stands still."""
    found = []
    for _ in range(5):
        begun, before = time.monotonic(), scrape(daemon).figure("worker_seconds_total", doing="sending")
        time.sleep(1)
        after = scrape(daemon).figure("worker_seconds_total", doing="sending")
        found.append((after - before) / (2 * (time.monotonic() - begun)))
    return statistics.median(found)


def runs_named(page: Scrape) -> set[str]:
    """All values of the label `run`."""
    samples = [sample for family in page.families.values() for sample in family.samples]
    return {sample.labels["run"] for sample in samples if "run" in sample.labels}


def test_no_label_names_a_task_or_a_program(daemon: Daemon) -> None:
    samples = [s for name, family in scrape(daemon).families.items() if name.startswith(PREFIX) for s in family.samples]
    values = {value for sample in samples for value in sample.labels.values()}
    assert values
    assert not any("solved-" in value or value == "t" for value in values)
    assert len(samples) < 250


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian's prometheus)")
def test_the_linter_of_prometheus_finds_nothing(daemon: Daemon) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=page_text(daemon), capture_output=True, text=True, timeout=30
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_worker_that_dies_is_counted(daemon: Daemon) -> None:
    before = scrape(daemon).figure("workers_replaced_total", cause="killed")
    (pid, *_) = daemon.status()["workers"].values()
    subprocess.run(["kill", "-9", str(pid)], check=True)
    wait_for(lambda: scrape(daemon).figure("workers_replaced_total", cause="killed") == before + 1, "another worker")


def test_a_new_boot_counts_anew_and_finds_its_run(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "--checkpoint-seconds", "1", "--batch-size", "50")
    with daemon:
        daemon.submit(reference="onemax", data=HARD, evaluations=10**9)
        wait_for(lambda: daemon.status()["checkpoints"]["saved"], "a checkpoint")
        daemon.kill()
    with daemon:
        wait_for(lambda: scrape(daemon).figure("generations_total") >= 2, "the island to go on")
        page, view = scrape(daemon), daemon.status()["runs"][0]
        assert 0 < page.figure("evaluations_total") < view["evaluations"]
        assert (page.figure("epoch"), page.figure("elections_total", outcome="won")) == (2, 1)
