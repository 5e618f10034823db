"""Presets: the tuning guide's figures, and how a platform is recognised."""

from collections.abc import Mapping

import pytest

from distevod.presets import NETWORK_PRESETS, PLATFORM_PRESETS, detect_kind
from distevod.settings import SETTINGS


def test_presets_give_values_that_their_settings_allow() -> None:
    settings = {setting.name: setting for setting in SETTINGS}
    given: list[Mapping[str, float | str]] = [*PLATFORM_PRESETS.values(), *NETWORK_PRESETS.values()]
    assert sum(map(len, given)) > 10
    for values in given:
        for name, value in values.items():
            assert settings[name].value.parse(value) == (() if value == "none" else value)


def test_the_guides_islands_per_platform() -> None:
    islands = {kind: preset.get("islands_per_platform") for kind, preset in PLATFORM_PRESETS.items()}
    assert islands == {"kaggle": 4, "colab": 3, "paperspace": None, "local": 2, "server": 2}


def test_the_guides_roles() -> None:
    order = sorted(PLATFORM_PRESETS, key=lambda kind: PLATFORM_PRESETS[kind]["coordinator_priority"])
    # Coordinator; what stays up; backup coordinator; worker; supplementary worker.
    assert order == ["kaggle", "server", "local", "colab", "paperspace"]


def test_every_network_gives_three_heartbeats_before_a_member_is_dead() -> None:
    for values in NETWORK_PRESETS.values():
        assert values["heartbeat_timeout"] == 3 * values["heartbeat_interval"]


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, ("local", "")),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, ("kaggle", "KAGGLE_KERNEL_RUN_TYPE")),
        ({"COLAB_RELEASE_TAG": "release-colab"}, ("colab", "COLAB_RELEASE_TAG")),
        ({"COLAB_GPU": ""}, ("colab", "COLAB_GPU")),  # empty on a runtime without one
        ({"PAPERSPACE_NOTEBOOK_REPO_ID": "r1"}, ("paperspace", "PAPERSPACE_NOTEBOOK_REPO_ID")),
        ({"PAPERSPACE_FQDN": "x.paperspacegradient.com"}, ("paperspace", "PAPERSPACE_FQDN")),
        # Kaggle's images carry Colab's variables along
        (
            {"COLAB_RELEASE_TAG": "r", "KAGGLE_KERNEL_RUN_TYPE": "Interactive"},
            ("kaggle", "KAGGLE_KERNEL_RUN_TYPE"),
        ),
    ],
)
def test_a_platform_is_recognised_by_its_variables(environ: dict[str, str], found: tuple[str, str]) -> None:
    assert detect_kind(environ) == found
