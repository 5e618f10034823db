"""The setting `sharding`: what it may name, and how a function is refused that is none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distevo.sharding import by_capability, by_speed, calculate_platform_shard_sizes
from distevod.settings import Settings, SettingsError, load_settings
from distevod.sharding import ENTRY_POINT_GROUP, load_sharding

OWN = """
def even(platforms, total_population):
    return {platform["id"]: total_population // len(platforms) for platform in platforms}

def short(platforms):
    return {}

def broken(platforms, total_population):
    return {platform["id"]: platform["gpus"] for platform in platforms}

def strange(platforms, total_population):
    return {platform["id"]: "much" for platform in platforms}

class Panic(BaseException):
    def __str__(self):
        raise ZeroDivisionError

def panics(platforms, total_population):
    raise Panic

def unsayable(platforms, total_population):
    raise ValueError(Panic())

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def given(folder: Path, text: str) -> Settings:
    (folder / "settings.yaml").write_text(f"distributed_evolution:\n  sharding: '{text}'\n")
    return load_settings({}, {"HOME": str(folder)}, folder / "settings.yaml")


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_sharding(given(folder, text))
    return str(caught.value).replace(str(folder), "FOLDER")


def test_those_that_ship(folder: Path) -> None:
    assert load_sharding(load_settings({}, {"HOME": str(folder)})) is by_capability
    assert load_sharding(given(folder, " Speed ")) is by_speed


def test_a_function_of_a_module_and_of_a_file_beside_the_settings(folder: Path) -> None:
    module = "distevo.sharding:calculate_platform_shard_sizes"
    assert load_sharding(given(folder, module)) is calculate_platform_shard_sizes
    even = load_sharding(given(folder, "own.py:even"))
    assert even([{"id": "a"}, {"id": "b"}], 10) == {"a": 5, "b": 5}


def test_an_entry_point(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_points(*, group: str) -> list[Any]:
        assert group == ENTRY_POINT_GROUP
        return [SimpleNamespace(name="balanced", load=lambda: by_speed)]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    assert load_sharding(given(folder, "balanced")) is by_speed
    assert refusal(folder, "balancd").endswith("nothing is called so; did you mean balanced?")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("capabilty", "nothing is called so; did you mean capability?"),
        ("no.such:function", "cannot be loaded: ModuleNotFoundError: No module named 'no'"),
        ("distevo.sharding:shards", "there is no 'shards' in the module"),
        ("own.py:uneven", "there is no 'uneven' in the file"),
        ("gone.py:even", "cannot be loaded: FileNotFoundError"),
        ("own.py:number", "that is no function but int"),
        ("own.py:short", "TypeError: short() takes 1 positional argument but 2 were given"),
        ("own.py:broken", "KeyError: 'gpus' (own.py, line 9"),
        ("own.py:panics", "Panic: its words raised (own.py, line 19"),
        ("own.py:unsayable", "its words raised"),
        ("own.py:strange", "is 'much'; give a number, 0 or more"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(folder: Path, text: str, words: str) -> None:
    message = refusal(folder, text)
    assert message.startswith("sharding ")
    assert "(FOLDER/settings.yaml line 2: distributed_evolution.sharding)" in message
    assert words in message


@pytest.mark.parametrize("text", ["", "a:b:", "own.py", "a b", "../own:f"])
def test_what_cannot_name_a_function_is_refused_with_the_settings(folder: Path, text: str) -> None:
    if text == "own.py":
        assert "nothing is called so" in refusal(folder, text)
        return
    with pytest.raises(SettingsError, match="sharding must be capability, speed, module:function, file"):
        given(folder, text)


def test_the_threshold_may_be_off(folder: Path) -> None:
    settings = load_settings({"avg_generation_time_threshold": "off"}, {"HOME": str(folder)})
    assert settings.avg_generation_time_threshold is None
    assert load_settings({}, {"HOME": str(folder)}).avg_generation_time_threshold == 2.5
