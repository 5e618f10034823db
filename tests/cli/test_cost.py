"""`cost`: the shape that is meant, and where the money goes."""

from __future__ import annotations

import pytest

from distevo.cost import PRICES, Shape
from distevo_ctl.cost import BUCKET_CHECKPOINT_SECONDS, BUCKET_MAIL_SECONDS
from distevod.store.gcs import GcsStore
from tests.cli.conftest import Home


def test_a_buckets_times_are_the_stores() -> None:
    """The command does not import Google's packages for two numbers."""
    assert (GcsStore.checkpoint_interval, GcsStore.mail_interval) == (BUCKET_CHECKPOINT_SECONDS, BUCKET_MAIL_SECONDS)
    assert Shape().swap_interval == GcsStore.swap_interval


def test_the_command_shows_causes_and_sums(home: Home) -> None:
    text = home.ctl("cost", "--platforms", "10", "--mail", "10").stdout
    made = home.json("cost", "--platforms", "10", "--mail", "10")
    for item in made["items"]:
        assert item["what"] in text
    assert f"${made['dollars_per_day']:.2f} a day" in text
    assert PRICES.seen_on in text
    parts = made["dollars_requests"] + made["dollars_read_out"] + made["dollars_stored"]
    assert made["dollars_per_day"] == pytest.approx(parts)
    assert made["total"]["inserts"] == pytest.approx(sum(item["inserts"] for item in made["items"]))


def test_the_settings_are_what_is_not_given(home: Home) -> None:
    """A bucket's 30 s stand where nobody asks for another time; who asks, in whatever way, gets it."""
    assert home.json("cost")["shape"]["checkpoint_seconds"] == 30
    (home.folder / "x.yaml").write_text("checkpoint_seconds: 7\nmail_interval: 60\n")
    shape = home.json("cost", "--config", "x.yaml")["shape"]
    assert (shape["checkpoint_seconds"], shape["mail_interval"], shape["lease_ttl"]) == (7, 60, 15)
    assert home.json("cost", "--config", "x.yaml", "--checkpoint-seconds", "9")["shape"]["checkpoint_seconds"] == 9


def test_what_cannot_be_is_refused(home: Home) -> None:
    assert "more than the 4 platforms" in home.error("cost", "--mail", "5", code=2)["message"]
    assert "lease_ttl must be" in home.error("cost", "--lease-ttl", "1", code=2)["message"]
    assert "--platforms" in home.error("cost", "--platforms", "0", code=2)["message"]
