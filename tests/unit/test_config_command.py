"""`config`: what it shows is what a daemon would use."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from distevo_ctl.config_command import config_command
from distevo_ctl.exits import ExitCodeGroup
from distevod.settings import SETTINGS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing is set."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def config(*arguments: str, **environ: str) -> Result:
    group = ExitCodeGroup("distevod", commands={"config": config_command})
    return CliRunner().invoke(group, ["config", *arguments], env=environ, prog_name="distevod")


def test_values_and_their_sources(home: Path) -> None:
    file = home / "x.yaml"
    file.write_text("batch_size: 7\n")
    shown = config("--config", str(file), "--workers", "1", "--no-enable-compression", DISTEVO_LEASE_TTL="20")
    assert (shown.exit_code, shown.stderr) == (0, "")
    lines = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()}
    assert list(lines) == [setting.name for setting in SETTINGS]
    assert lines["batch_size"] == f"7 {file} line 1: batch_size".split()
    assert lines["workers"] == ["1", "flag", "--workers"]
    assert lines["enable_compression"] == ["false", "flag", "--enable-compression"]
    assert lines["lease_ttl"] == ["20", "environment", "DISTEVO_LEASE_TTL"]
    assert lines["state_dir"] == f"{home}/.local/state/distevo default".split()


def test_explain(home: Path) -> None:
    shown = config("--explain", "--workers", "1")
    assert shown.exit_code == 0
    assert "trade-off   Fewer leave cores to others" in shown.stdout
    assert "now         1  (flag --workers)" in shown.stdout


def test_json(home: Path) -> None:
    brief = json.loads(config("--json", "--workers", "1").stdout)
    assert brief["warnings"] == []
    assert {"name": "workers", "value": 1, "unit": "processes", "source": "flag --workers"} in brief["settings"]
    whole = json.loads(config("--json", "--explain").stdout)["settings"]
    assert all({"name", "flag", "variable", "yaml", "formula", "tradeoff", "value"} <= set(row) for row in whole)


def test_warnings_go_to_standard_error(home: Path) -> None:
    arguments = ("--no-enable-compression", "--compression-level", "9")
    assert config(*arguments).stderr.startswith("warning: compression_level 9")
    assert len(json.loads(config("--json", *arguments).stdout)["warnings"]) == 1


def test_a_folder_whose_name_is_no_text_is_refused_and_shown(home: Path) -> None:
    for arguments in ([], ["--explain"]):
        refused = config("--store", os.fsdecode(b"/x/\xff"), *arguments)
        assert refused.exit_code == 2
        assert "/x/\\udcff" in refused.stderr


def test_every_setting_is_an_option_and_every_option_is_checked(home: Path) -> None:
    options = {option for parameter in config_command.params for option in parameter.opts}
    assert options == {setting.flag for setting in SETTINGS} | {"--config", "--explain", "--json"}
    for arguments in (("--workers", "two"), ("--kind", "kagle"), ("--config", "/nowhere"), ("--wokers", "2")):
        refused = config(*arguments)
        assert refused.exit_code == 2
        assert refused.stderr.startswith("error: ")
    assert json.loads(config("--workers", "two", "--json").stderr)["error"]["message"] == (
        "workers must be a whole number from 1 to 1024, not 'two' (flag --workers)"
    )
