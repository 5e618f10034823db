"""Settings as users meet them: who wins, what is refused and in which words, and what is never loaded."""

import json
import os
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from distevo.mailboxes import LONGEST_MAIL_INTERVAL
from distevo_ctl.target import state_dir_of
from distevod import hardware
from distevod.paths import PathError
from distevod.settings import SETTINGS, Settings, SettingsError, explain, explain_data, load_settings
from distevod.settings.table import WORKER_MEMORY_MB
from distevod.store import folder_of

# For each setting four values that differ, as text: given by flag, by environment, by file; and one to refuse.
SAMPLES = {
    "id": ("flag-1", "env_1", "file.1", "no spaces"),
    "kind": ("kaggle", "colab", "server", "kagle"),
    "network": ("unstable", "low-latency", "stable", "unstabel"),
    "store": ("/flag/store", "gs://bucket/env", "file:///file/store", "\0"),
    "state_dir": ("/flag/state", "/env/state", "/file/state", "gs://bucket/state"),
    "workers": ("3", "4", "5", "two"),
    "memory_mb": ("2000", "3000", "4000", "1.5"),
    "islands_per_platform": ("5", "6", "7", "0"),
    "sharding": ("speed", "capability", "a.b:c", "a:b:c!"),
    "avg_generation_time_threshold": ("1.5", "2", "3.5", "1"),
    "batch_size": ("10", "20", "30", "0"),
    "generation_seconds": ("0.5", "2", "3.5", "nan"),
    "evaluation_timeout_seconds": ("1", "2", "3", "-1"),
    "checkpoint_generations": ("1", "2", "3", "1e2"),
    "checkpoint_seconds": ("1", "2", "3", "soon"),
    "merge_interval": ("0", "5", "2.5", "-1"),
    "preserve_top_n": ("30", "20%", "0.5", "0"),
    "session_limit": ("7200", "5400.5", "3600", "soon"),
    "max_concurrent_uploads": ("1", "2", "3", "0"),
    "upload_timeout": ("5", "6.5", "70", "0.5"),
    "enable_compression": ("false", "no", "off", "perhaps"),
    "compression_level": ("1", "2", "3", "10"),
    "heartbeat_interval": ("1", "2", "3", "0"),
    "heartbeat_timeout": ("100", "200", "300", "inf"),
    "listen": ("tcp://*:0", "10.0.0.1:5670", "tcp://[::1]:5671", "tcp://*"),
    "advertise": ("tcp://a.example:1", "b.example:2,c.example:3", "tcp://[fe80::1]:4", "tcp://*:5"),
    "peer": ("tcp://a.example:1", "none", "b.example:2 c.example:3", "a.example:0"),
    "socks_proxy": ("127.0.0.1:1080", "proxy:1081", "proxy:1082", "proxy"),
    "mail_interval": ("0.5", "30", "120", "121"),
    "coordinator_priority": ("0", "1", "1000", "1001"),
    "lease_ttl": ("20", "30", "40", "4.9"),
    "metrics_port": ("0", "9000", "65535", "65536"),
    "allow_problems": ("store", "none", "own", "all"),
    "log_format": ("json", "text", "json", "yaml"),
    "log_level": ("debug", "warning", "error", "verbose"),
}
NAMES = [setting.name for setting in SETTINGS]
BY_NAME = {setting.name: setting for setting in SETTINGS}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing is set but the home."""
    return {"HOME": str(tmp_path / "home")}


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def refusal(flags: dict[str, object], environ: dict[str, str], config: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, environ, config)
    return str(caught.value)


def test_every_setting_has_samples_a_field_and_reasons() -> None:
    assert list(SAMPLES) == NAMES
    assert set(NAMES) == set(Settings._fields) - {"sources", "warnings"}
    for setting in SETTINGS:
        assert setting.meaning.endswith(".")
        assert setting.formula.endswith(".")
        assert setting.tradeoff.endswith(".")


def test_without_anything_said_the_hardware_and_the_defaults_decide(environ: dict[str, str], tmp_path: Path) -> None:
    settings = load_settings({}, environ)
    assert settings.kind == "local"
    assert settings.state_dir == tmp_path / "home/.local/state/distevo"
    assert settings.store == str(settings.state_dir / "store")
    assert settings.memory_mb == hardware.usable_memory_mb() // 2
    assert settings.islands_per_platform == 2
    assert (settings.mail_interval, settings.coordinator_priority) == (None, 20)
    assert (settings.listen, settings.advertise, settings.peer, settings.socks_proxy) == (("tcp://*:0",), (), (), "")
    assert settings.workers == min(hardware.usable_cores(), settings.memory_mb // WORKER_MEMORY_MB)
    assert (settings.heartbeat_interval, settings.heartbeat_timeout) == (10, 30)
    assert (settings.checkpoint_generations, settings.checkpoint_seconds) == (5, 5)
    assert (settings.enable_compression, settings.compression_level) == (True, 6)
    assert settings.metrics_port == 8000
    assert settings.allow_problems == "own"
    assert settings.warnings == ()
    assert set(settings.sources) == set(NAMES)
    assert load_settings({"id": settings.id}, environ).id == settings.id


def test_the_longest_interval_of_mail_is_that_of_the_protocol(environ: dict[str, str]) -> None:
    assert load_settings({"mail_interval": str(LONGEST_MAIL_INTERVAL)}, environ).mail_interval == LONGEST_MAIL_INTERVAL
    assert f"a number from 0.1 to {LONGEST_MAIL_INTERVAL:g}, not" in refusal({"mail_interval": "121"}, environ)


def test_values_have_the_types_of_their_fields(environ: dict[str, str]) -> None:
    given = load_settings({name: samples[0] for name, samples in SAMPLES.items()}, environ)
    hints = typing.get_type_hints(Settings)
    for settings in (given, load_settings({}, environ)):
        for name in NAMES:
            value, hint = getattr(settings, name), typing.get_origin(hints[name]) or hints[name]
            assert type(value) is hint or isinstance(value, hints[name]), name


@pytest.mark.parametrize("name", NAMES)
def test_flag_beats_environment_beats_file(name: str, environ: dict[str, str], tmp_path: Path) -> None:
    setting = BY_NAME[name]
    flag, variable, file, _ = SAMPLES[name]
    config = written(tmp_path, f"{name}: {file}\n")
    both = {**environ, setting.variable: variable}

    def value_and_source(settings: Settings) -> tuple[object, str]:
        return getattr(settings, name), settings.sources[name]

    from_flag = value_and_source(load_settings({name: flag}, both, config))
    from_variable = value_and_source(load_settings({name: None}, both, config))
    from_file = value_and_source(load_settings({}, environ, config))
    assert from_flag == (typed(name, flag), f"flag {setting.flag}")
    assert from_variable == (typed(name, variable), f"environment {setting.variable}")
    assert from_file == (typed(name, file), f"{config} line 1: {name}")


def typed(name: str, text: str) -> object:
    hint = typing.get_type_hints(Settings)[name]
    if hint == tuple[str, ...]:
        parts = text.replace(",", " ").split()
        return () if text == "none" else tuple(f"tcp://{part.removeprefix('tcp://')}" for part in parts)
    if hint == int | float:
        return float(text.removesuffix("%")) / 100 if "%" in text else float(text) if "." in text else int(text)
    kind = next(iter(typing.get_args(hint)), hint)  # of `float | None` the float
    return {"false": False, "no": False, "off": False}[text] if kind is bool else kind(text)


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_value_is_refused_by_name_place_and_what_is_allowed(
    name: str, environ: dict[str, str], tmp_path: Path
) -> None:
    setting, bad = BY_NAME[name], SAMPLES[name][3]
    message = refusal({name: bad}, environ)
    assert message.startswith(f"{name} must be {setting.value.allowed}, not {bad!r} (flag {setting.flag})")
    assert f"(environment {setting.variable})" in refusal({}, {**environ, setting.variable: bad})
    if "\0" not in bad:
        config = written(tmp_path, f"# a comment\n{name}: {bad}\n")
        assert f"({config} line 2: {name})" in refusal({}, environ, config)


def test_typed_values_are_taken_and_wrong_types_refused(environ: dict[str, str]) -> None:
    settings = load_settings(
        {"workers": 3, "heartbeat_interval": 2, "enable_compression": False, "state_dir": Path("/x")}, environ
    )
    assert (settings.workers, settings.heartbeat_interval) == (3, 2.0)
    assert (settings.enable_compression, settings.state_dir) == (False, Path("/x"))
    wrong: list[dict[str, object]] = [
        {"workers": True},
        {"workers": 2.0},
        {"heartbeat_interval": False},
        {"id": 7},
        {"kind": 7},
        {"store": ["x"]},
        {"enable_compression": 1},
        {"heartbeat_interval": 10**400},
    ]
    for flags in wrong:
        assert "must be" in refusal(flags, environ)


def test_near_misses_are_named(environ: dict[str, str]) -> None:
    assert refusal({"worker": 2}, environ) == "unknown setting 'worker'; did you mean workers?"
    assert refusal({}, {**environ, "DISTEVO_WORKRS": "2"}) == (
        "unknown environment variable 'DISTEVO_WORKRS'; did you mean DISTEVO_WORKERS?"
    )
    assert refusal({"kind": "kagle"}, environ).endswith("; did you mean kaggle?")
    assert "; did you mean gs://bucket?" in refusal({"store": "gs:/bucket"}, environ)
    assert "valid: DISTEVO_ID, DISTEVO_KIND, " in refusal({}, {**environ, "DISTEVO_QQQ": "2"})


def test_empty_variables_and_our_other_variables_are_not_settings(environ: dict[str, str]) -> None:
    settings = load_settings({}, {**environ, "DISTEVO_WORKERS": "", "DISTEVO_DEBUG": "1", "OTHER": "x"})
    assert settings.sources["workers"] == "default"


@pytest.mark.parametrize(
    ("kind", "workers", "batch_size", "memory_mb", "checkpoint_generations", "islands", "priority"),
    [("kaggle", 2, 500, 4096, 2, 4, 0), ("colab", 2, 250, 12288, 1, 3, 30), ("paperspace", 1, 100, 2048, 1, 1, 40)],
)
def test_presets_stand_below_all_that_is_said(
    kind: str,
    workers: int,
    batch_size: int,
    memory_mb: int,
    checkpoint_generations: int,
    islands: int,
    priority: int,
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    settings = load_settings({"kind": kind}, environ)
    assert (settings.workers, settings.batch_size) == (workers, batch_size)
    assert (settings.memory_mb, settings.checkpoint_generations) == (memory_mb, checkpoint_generations)
    assert (settings.islands_per_platform, settings.coordinator_priority) == (islands, priority)
    assert settings.sources["workers"] == f"preset {kind}"
    said = load_settings({"kind": kind}, environ, written(tmp_path, "batch_size: 7"))
    assert (said.batch_size, said.workers) == (7, workers)


def test_the_kind_is_recognised_and_may_be_overruled(environ: dict[str, str]) -> None:
    kaggle = {**environ, "KAGGLE_KERNEL_RUN_TYPE": "Interactive"}
    settings = load_settings({}, kaggle)
    assert (settings.kind, settings.batch_size) == ("kaggle", 500)
    assert settings.sources["kind"] == "recognised by KAGGLE_KERNEL_RUN_TYPE"
    assert load_settings({"kind": "colab"}, kaggle).batch_size == 250


@pytest.mark.parametrize(
    ("network", "interval", "timeout"), [("stable", 10, 30), ("unstable", 20, 60), ("low-latency", 5, 15)]
)
def test_the_network_chooses_the_heartbeats(
    network: str, interval: float, timeout: float, environ: dict[str, str]
) -> None:
    settings = load_settings({"network": network}, environ)
    assert (settings.heartbeat_interval, settings.heartbeat_timeout) == (interval, timeout)
    said = load_settings({"network": network, "heartbeat_timeout": 61}, environ)
    assert (said.heartbeat_interval, said.heartbeat_timeout) == (interval, 61)


def test_a_timeout_not_above_the_interval_is_a_contradiction(environ: dict[str, str]) -> None:
    message = refusal({"heartbeat_timeout": 10}, environ)
    assert message == (
        "heartbeat_timeout must be above heartbeat_interval: heartbeat_timeout 10 (flag --heartbeat-timeout), "
        "heartbeat_interval 10 (preset of network stable); three intervals are usual"
    )
    assert load_settings({"heartbeat_timeout": 10.5}, environ).heartbeat_timeout == 10.5


def test_a_working_folder_that_was_removed_is_told(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for ask in (lambda: load_settings({}, environ), lambda: folder_of("store"), lambda: state_dir_of("state")):
        with pytest.raises(PathError, match="the working folder was removed"):
            ask()
    assert folder_of(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["state_dir", "store"])
def test_a_folder_whose_name_is_no_text_is_refused(name: str, environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=rf"{name} '/x/caf\\udce9' \(flag --.*UTF-8"):
        load_settings({name: os.fsdecode(b"/x/caf\xe9")}, environ)
    if name == "state_dir":
        with pytest.raises(SettingsError, match=r"state_dir .*\(default\).*UTF-8"):
            load_settings({}, environ | {"HOME": os.fsdecode(b"/x/caf\xe9")})


def test_memory_too_small_for_the_workers_is_a_contradiction(environ: dict[str, str]) -> None:
    message = refusal({"workers": 8, "memory_mb": 767}, environ)
    assert message == (
        "each worker needs 96 MiB: memory_mb 767 (flag --memory-mb) is too little for workers 8 (flag --workers)"
    )
    assert load_settings({"workers": 8, "memory_mb": 768}, environ).memory_mb == 768
    # a default gives way to what is said, rather than contradict it
    assert load_settings({"memory_mb": 96}, environ).workers == 1


def test_what_is_hardly_meant_is_a_warning(environ: dict[str, str]) -> None:
    settings = load_settings({"enable_compression": "no", "compression_level": 9}, environ)
    assert settings.warnings == (
        "compression_level 9 (flag --compression-level) has no effect: enable_compression is false",
    )
    cores = hardware.usable_cores()
    (warning,) = load_settings({"workers": cores + 1}, environ).warnings
    assert warning == (f"workers {cores + 1} (flag --workers) is more than the {cores} that this machine has")


def test_more_islands_than_the_memory_has_room_for_is_a_warning(environ: dict[str, str]) -> None:
    def warnings(**flags: object) -> list[str]:
        found = load_settings({"kind": "kaggle", **flags}, environ).warnings
        return [warning for warning in found if warning.startswith("islands_per_platform")]  # this machine may be small

    assert warnings(islands_per_platform=4) == [
        (
            "islands_per_platform 4 (flag --islands-per-platform) is more than memory_mb 4096 (preset kaggle) has room "
            "for, 3 for each 4096 MiB: 3 it is"
        )
    ]
    # nobody asked for what the preset says
    assert warnings() == warnings(memory_mb=1000) == []
    # no worker idles for want of memory
    assert warnings(memory_mb=1000, workers=2, islands_per_platform=2) == []
    (warning,) = warnings(memory_mb=1000, workers=2, islands_per_platform=3)
    assert warning.endswith("3 for each 4096 MiB: 2 it is")


def test_where_no_preset_says_how_many_islands_the_memory_does(environ: dict[str, str]) -> None:
    for memory_mb, islands in ((1024, 1), (4096, 3), (8192, 6)):
        settings = load_settings({"kind": "paperspace", "memory_mb": memory_mb}, environ)
        assert (settings.islands_per_platform, settings.sources["islands_per_platform"]) == (islands, "default")


def test_relative_folders_are_taken_from_where_they_are_written(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    assert load_settings({"store": "bucket"}, environ).store == str(here / "bucket")
    config = written(there, "store: bucket\nstate_dir: ~/state")
    settings = load_settings({}, environ, config)
    assert settings.store == str(there / "bucket")
    assert settings.state_dir == tmp_path / "home/state"
    assert load_settings({"store": "gs://bucket/x"}, environ).store == "gs://bucket/x"
    assert load_settings({}, environ, Path("../there/settings.yaml")).store == str(here / "../there/bucket")


def test_the_store_goes_along_with_the_state_folder(environ: dict[str, str]) -> None:
    assert load_settings({"state_dir": "/somewhere"}, environ).store == "/somewhere/store"


def test_the_manual_has_every_setting_and_what_is_in_force(environ: dict[str, str]) -> None:
    settings = load_settings({"workers": 1, "enable_compression": False}, environ)
    text = explain(settings)
    assert max(map(len, text.splitlines())) <= 100
    for setting in SETTINGS:
        assert f"\n{setting.name}\n" in text
        assert setting.flag in text
        assert setting.variable in text
    assert "  now         1  (flag --workers)" in text
    assert "  now         false  (flag --enable-compression)" in text
    assert "  now         computed  (default)" in text
    assert "  now " not in explain()


def test_the_manual_is_also_json(environ: dict[str, str]) -> None:
    settings = load_settings({"workers": 1}, environ)
    rows = json.loads(json.dumps(explain_data(settings)))
    assert [row["name"] for row in rows] == NAMES
    workers = next(row for row in rows if row["name"] == "workers")
    assert workers["yaml"] == ["workers", "platforms[].workers", "platforms[].worker_count"]
    assert {row["name"] for row in rows if f"platforms[].{row['name']}" not in row["yaml"]} == {"id", "state_dir"}
    assert workers["presets"] == {"kaggle": 2, "colab": 2, "paperspace": 1}
    assert (workers["value"], workers["source"]) == (1, "flag --workers")
    assert next(row for row in rows if row["name"] == "mail_interval")["value"] is None
    assert "value" not in explain_data()[0]


def test_starting_pays_for_nothing_that_only_files_and_mistakes_need() -> None:
    """`distevod start` has half a second to its first evaluation; what is imported here is part of it."""
    code = (
        "import sys, click, distevod.settings as s; s.load_settings({'workers': 1}, {'HOME': '/nowhere'});"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    modules = set(loaded.stdout.split())
    assert "distevod.settings.load" in modules
    assert not modules & {"yaml", "difflib", "msgspec", "dataclasses", "logging", "socket", "json", "numpy"}


def test_endpoints_are_one_text_or_a_list_each_once_and_in_order(environ: dict[str, str], tmp_path: Path) -> None:
    path = written(tmp_path, "peer:\n  - tcp://b.example:2\n  - a.example:1\n  - b.example:2\nlisten: 'tcp://*:*'\n")
    settings = load_settings({}, environ, path)
    assert settings.peer == ("tcp://b.example:2", "tcp://a.example:1")
    assert settings.listen == ("tcp://*:0",)
    assert "workers must be one value" in refusal({}, environ, written(tmp_path, "workers: [1, 2]\n"))


def test_an_address_of_one_link_is_an_endpoint_with_its_interface(environ: dict[str, str]) -> None:
    peer = "tcp://[fe80::1%eth0]:5670"
    assert load_settings({"peer": peer, "socks_proxy": peer[6:]}, environ).peer == (peer,)


def test_a_notebook_listens_nowhere_unless_it_is_told_to(environ: dict[str, str]) -> None:
    for kind in ("kaggle", "colab", "paperspace"):
        assert load_settings({"kind": kind}, environ).listen == ()
        assert load_settings({"kind": kind, "listen": "tcp://*:99"}, environ).listen == ("tcp://*:99",)
    assert load_settings({"kind": "server"}, environ).listen == ("tcp://*:0",)


def test_what_is_advertised_by_who_listens_nowhere_is_warned_of(environ: dict[str, str]) -> None:
    settings = load_settings({"listen": "none", "advertise": "a.example:1"}, environ)
    assert any("listens nowhere" in warning for warning in settings.warnings)


@pytest.mark.parametrize("text", ["tcp://a:65536", "udp://a:1", "a", "a:b", "tcp://[::1:1", "tcp://a b:1", "*x:1", ""])
def test_what_is_no_endpoint_is_refused(text: str, environ: dict[str, str]) -> None:
    assert "listen must be" in refusal({"listen": text}, environ)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12h", 43_200), ("1h30m", 5400), ("1h 30s", 3630), ("90m", 5400), ("1d", 86_400), ("5400s", 5400),
        ("5400", 5400), ("1.5h", 5400), ("none", None),
    ],
)  # fmt: skip
def test_a_time_is_given_in_seconds_or_with_units(text: str, seconds: float | None, environ: dict[str, str]) -> None:
    assert load_settings({"session_limit": text}, environ).session_limit == seconds


@pytest.mark.parametrize("text", ["", "h", "12x", "1m2h", "1h30", "-1h", "1..5h", "10", "31d", "inf"])
def test_a_time_that_is_none(text: str, environ: dict[str, str]) -> None:
    assert "session_limit must be a time like 12h, 1h30m or 5400" in refusal({"session_limit": text}, environ)


@pytest.mark.parametrize(
    ("given", "value"),
    [("20", 20), ("1", 1), (7, 7), ("20%", 0.2), ("100%", 1.0), ("1.0", 1.0), (0.25, 0.25), (" 0.5 ", 0.5)],
)
def test_how_many_may_be_a_count_or_a_share(given: object, value: float, environ: dict[str, str]) -> None:
    found = load_settings({"preserve_top_n": given}, environ).preserve_top_n
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("given", ["0", "1001", "101%", "0%", "-3", "1.5", "many", "nan", "", True])
def test_how_many_is_neither(given: object, environ: dict[str, str]) -> None:
    assert "a count from 1 to 256, or a share above 0 like 20% or 0.2" in refusal({"preserve_top_n": given}, environ)
