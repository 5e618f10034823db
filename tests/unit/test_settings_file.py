"""The YAML file: the guide's sections, the line of every mistake, and files that mean harm."""

import errno
import os
import time
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distevod import hardware
from distevod.settings import Settings, SettingsError, load_settings
from distevod.settings.file import MAX_BYTES

# The two examples of the tuning guide ("Platform-Specific Tuning", "Heartbeat Optimization"), as it writes them.
GUIDE = """\
platforms:
  - id: kaggle-1
    memory_limit_mb: 4096
    worker_count: 2
    batch_size: 500  # Higher for Kaggle's stable environment
  - id: colab-1
    memory_limit_mb: 12288
    worker_count: 2
    batch_size: 250  # Lower due to session time limits
distributed_evolution:
  heartbeat_timeout: 30  # Seconds before platform considered dead
  heartbeat_interval: 10  # Seconds between heartbeat pings
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def loaded(path: Path, content: str | bytes, **flags: object) -> Settings:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_settings(flags, {"HOME": str(path.parent / "home")}, path)


def refusal(path: Path, content: str | bytes, **flags: object) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(path, content, **flags)
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize(("name", "memory_mb", "batch_size"), [("kaggle-1", 4096, 500), ("colab-1", 12288, 250)])
def test_the_guides_file_gives_each_platform_its_entry(path: Path, name: str, memory_mb: int, batch_size: int) -> None:
    found = loaded(path, GUIDE, id=name)
    assert (found.memory_mb, found.workers, found.batch_size) == (memory_mb, 2, batch_size)
    assert (found.heartbeat_timeout, found.heartbeat_interval) == (30, 10)
    index, line = (0, 4) if name == "kaggle-1" else (1, 8)
    assert found.sources["workers"] == f"{path} line {line}: platforms[{index}].worker_count"
    assert found.sources["heartbeat_timeout"] == f"{path} line 11: distributed_evolution.heartbeat_timeout"


def test_what_an_entry_says_stands_above_what_the_file_says_for_all(path: Path) -> None:
    content = "workers: 3\ndistributed_evolution:\n  islands_per_platform: 3\n"
    own = "platforms:\n  - id: a\n    islands_per_platform: 2\n    worker_count: 1\n"
    for name, islands, workers in (("a", 2, 1), ("b", 3, 3)):
        found = loaded(path, content + own, id=name)
        assert (found.islands_per_platform, found.workers) == (islands, workers)
    assert refusal(path, "distributed_evolution:\n  islands_per_platform: {kaggle: 4}", id="a") == (
        "FILE line 2: distributed_evolution.islands_per_platform must be one value"
    )


def test_an_entry_takes_settings_by_their_own_names(path: Path) -> None:
    content = """\
session_limit: 12h
platforms:
  - {id: a, workers: 1, session_limit: 9h, coordinator_priority: 5, peer: ["a:1", "b:2"], store: there}
  - {id: b, checkpoint_generations: 20}
"""
    found = loaded(path, content, id="a")
    assert (found.workers, found.session_limit, found.coordinator_priority) == (1, 9 * 3600, 5)
    assert (found.peer, found.store) == (("tcp://a:1", "tcp://b:2"), str(path.parent / "there"))
    found = loaded(path, content, id="b")
    assert (found.session_limit, found.checkpoint_generations) == (12 * 3600, 20)
    assert "unknown key in platforms[0] 'state_dir'" in refusal(path, "platforms: [{id: a, state_dir: x}]")


def test_the_entry_is_also_found_by_the_files_own_id_and_by_the_environment(path: Path) -> None:
    assert loaded(path, "id: colab-1\n" + GUIDE).batch_size == 250
    path.write_text("id: colab-1\n" + GUIDE)
    environ = {"HOME": "/nowhere", "DISTEVO_ID": "kaggle-1"}
    assert load_settings({}, environ, path).batch_size == 500


def test_an_entry_may_give_the_kind_whose_preset_fills_the_rest(path: Path) -> None:
    found = loaded(path, "platforms:\n  - id: a\n    kind: paperspace\n    memory_limit: 1024\n", id="a")
    assert (found.kind, found.workers, found.memory_mb) == ("paperspace", 1, 1024)


def test_a_file_for_others_is_a_warning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "usable_cores", lambda: 2)  # as many workers as it wants; with one it says so, too
    (warning,) = loaded(path, GUIDE, id="kaggle-2").warnings
    assert warning == "no entry under platforms: is for the id 'kaggle-2', only for kaggle-1, colab-1; give --id"
    assert loaded(path, GUIDE, id="kaggle-1", memory_mb=200).warnings == ()


@pytest.mark.parametrize(
    "content", ["", "# nothing\n", "---\n", "platforms:\ndistributed_evolution:\n", "{}", "\ufeff{}"]
)
def test_a_file_may_be_empty(path: Path, content: str) -> None:
    assert loaded(path, content).sources["workers"] == "default"


def test_one_setting_twice_and_differently_in_one_place_is_refused(path: Path) -> None:
    content = "platforms:\n  - id: a\n    workers: 3\n    worker_count: 2\n"
    places = ("3 (FILE line 3: platforms[0].workers)", "2 (FILE line 4: platforms[0].worker_count)")
    message = f"workers is given twice: {' and '.join(places)}"
    assert refusal(path, content, id="a") == message
    assert refusal(path, content, id="b") == message
    # even where a flag would decide: the file is wrong by itself
    assert refusal(path, content, id="a", workers=1) == message
    assert loaded(path, content.replace("3", "2"), id="a").workers == 2
    assert refusal(path, "heartbeat_timeout: 31\n" + GUIDE, id="x").startswith(
        "heartbeat_timeout is given twice: 31.0 (FILE line 1"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\nwrkers: 2", "FILE line 2: unknown key 'wrkers'; did you mean workers?"),
        ("worker_count: 2", "FILE line 1: unknown key 'worker_count'; did you mean workers?"),
        ("platform: []", "FILE line 1: unknown key 'platform'; did you mean platforms?"),
        (
            "platforms:\n- id: b\n  worker_counts: 2",
            "FILE line 3: unknown key in platforms[0] 'worker_counts'; did you mean worker_count?",
        ),
        (
            "distributed_evolution:\n  zzz: 2",
            (
                "FILE line 2: unknown key in distributed_evolution 'zzz'; valid: islands_per_platform, "
                "sharding, avg_generation_time_threshold, heartbeat_interval, heartbeat_timeout"
            ),
        ),
        ("workers: 2\nworkers: 2", "FILE line 2: workers is given twice"),
        ("workers: [2]", "FILE line 1: workers must be one value"),
        ("workers:", "workers must be a whole number from 1 to 1024, not '' (FILE line 1: workers)"),
        ("[1]: 2", "FILE line 1: a key in the file is not a name"),
        ("[1, 2]", "FILE line 1: the file must be a mapping of names to values"),
        ("just text", "FILE line 1: the file must be a mapping of names to values"),
        ("platforms: {id: a}", "FILE line 1: platforms must be a list, each item beginning with `- id: …`"),
        ("platforms: [a]", "FILE line 1: platforms[0] must be a mapping of names to values"),
        ("platforms:\n- batch_size: 2", "FILE line 2: platforms[0] has no id: say whose entry it is"),
        ("platforms:\n- id: b\n- id: b", "FILE line 3: platforms[1].id: a second entry for 'b'"),
        ("distributed_evolution: 3", "FILE line 1: distributed_evolution must be a mapping of names to values"),
        (
            "platforms:\n- id: not ours\n",
            (
                "id must be 1 to 64 letters, digits, dots, hyphens or underscores, not 'not ours' "
                "(FILE line 2: platforms[0].id)"
            ),
        ),
        (
            "platforms:\n- id: b\n  batch_size: many",
            "batch_size must be a whole number from 1 to 100000, not 'many' (FILE line 3: platforms[0].batch_size)",
        ),
        (
            "a: [b\nc",
            "FILE line 2: broken YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        ),
        (
            "workers: 2\n\tid: a",
            (
                "FILE line 2: broken YAML: while scanning for the next token, "
                "found character '\\t' that cannot start any token"
            ),
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(path: Path, content: str, message: str) -> None:
    assert refusal(path, content, id="a") == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"workers: 2\nid: \xff", "FILE: not UTF-8 text at byte 15"),
        (b"id: \x01", "FILE: broken YAML: unacceptable character #x0001: special characters are not allowed"),
        (b"workers: 2 #" + b"x" * MAX_BYTES, f"FILE: larger than {MAX_BYTES} bytes"),
        (b"[" * 30_000, "FILE line 1: nested deeper than 8"),
        (b"{a: " * 15_000, "FILE line 1: nested deeper than 8"),
        (b"- " * 30_000, "FILE line 1: nested deeper than 8"),
        (b"id: a\n---\nid: b", "FILE line 2: a second document; a settings file has one"),
        (b"id: &x a\nkind: *x", "FILE line 1: anchors and aliases are not allowed here"),
        (b"id: a\nkind: *x", "FILE line 2: anchors and aliases are not allowed here"),
        (b"<<: {workers: 2}", "FILE line 1: unknown key '<<'; valid: id, kind"),
        (b"workers: !!int 2", "FILE line 1: the tag tag:yaml.org,2002:int is not allowed here"),
    ],
)
def test_what_no_settings_file_needs_is_refused_quickly(path: Path, content: bytes, message: str) -> None:
    start = time.process_time()
    assert refusal(path, content).startswith(message)
    assert time.process_time() - start < 2


def test_a_tag_runs_nothing(path: Path) -> None:
    ran = path.with_name("ran")
    refused = refusal(path, f'workers: !!python/object/apply:os.mkdir ["{ran}"]')
    assert "the tag tag:yaml.org,2002:python/object/apply:os.mkdir is not allowed here" in refused
    assert not ran.exists()


def test_a_file_that_cannot_be_read_says_why(path: Path) -> None:
    environ = {"HOME": str(path.parent)}
    with pytest.raises(SettingsError, match=r"cannot read the settings file .*: No such file or directory"):
        load_settings({}, environ, path)
    with pytest.raises(SettingsError, match=r"cannot read the settings file .*: Is a directory"):
        load_settings({}, environ, path.parent)


def test_which_file_is_read(path: Path) -> None:
    home = path.parent / "home"
    own = home / ".config/distevo/config.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("workers: 11")
    xdg = path.parent / "xdg/distevo/config.yaml"
    xdg.parent.mkdir(parents=True)
    xdg.write_text("workers: 12")
    path.write_text("workers: 13")
    environ = {"HOME": str(home)}
    assert load_settings({}, environ).workers == 11
    environ["XDG_CONFIG_HOME"] = str(path.parent / "xdg")
    assert load_settings({}, environ).workers == 12
    environ["DISTEVO_CONFIG"] = str(path)
    assert load_settings({}, environ).workers == 13
    assert load_settings({}, environ, own).workers == 11
    environ["DISTEVO_CONFIG"] = str(path) + ".missing"
    with pytest.raises(SettingsError, match="cannot read"):
        load_settings({}, environ)


def test_a_home_that_cannot_be_looked_into_has_no_file_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "stat", refuse)  # which root may do everywhere
    assert load_settings({"store": "/s", "state_dir": "/s"}, {"HOME": "/another"}).sources["workers"] == "default"


def test_a_pipe_is_a_file_too(path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"workers: 7")
    os.close(writing)
    try:
        assert load_settings({}, {"HOME": "/nowhere"}, Path(f"/dev/fd/{reading}")).workers == 7
    finally:
        os.close(reading)


_words = st.sampled_from(
    ["workers", "platforms", "id", "worker_count", "distributed_evolution", "heartbeat_timeout", "2", "a", "~", "é"]
)
_marks = st.sampled_from(
    [": ", "\n", "\n  ", "\n- ", "[", "]", "{", "}", ", ", "&x ", "*x", "!!int ", "'", '"', "|\n", "? ", "# "]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.lists(_words | _marks, max_size=40).map("".join).map(str.encode)))
def test_any_bytes_are_settings_or_a_refusal(path: Path, content: bytes) -> None:
    try:
        found = loaded(path, content)
    except SettingsError as error:
        assert "FILE" in str(error).replace(str(path), "FILE") or "(preset" in str(error)  # noqa: PT017
    else:
        assert found.workers >= 1
