"""The unit file: what `systemd-analyze verify` says of it, as the service of a user and of the machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from distevo_ctl.exits import ExitCode

UNIT = Path(__file__).parents[2] / "systemd/distevod.service"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def install_commands(start: str, before: str) -> list[str]:
    """The `sed` of an install comment, between two of its words."""
    text = UNIT.read_text()
    comment = text[text.index(start) : text.index(before)]
    return [line.removeprefix("#   ") for line in comment.splitlines() if line.startswith("#   ")]


def installed(folder: Path, commands: list[str]) -> Path:
    """The unit as the comment's own `sed` makes it, with a program that exists in the place of distevod."""
    (sed,) = [command.partition(" systemd/distevod.service")[0] for command in commands if "sed " in command]
    (folder / "bin").mkdir()
    program = folder / "bin/distevod"
    program.symlink_to("/bin/true")
    made = subprocess.run(
        ["sh", "-c", f"{sed} {UNIT}"],
        env={"PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    unit = folder / UNIT.name
    unit.write_text(made.stdout)
    assert f"\nExecStart={program} start\n" in made.stdout
    return unit


def complaints(unit: Path, *arguments: str) -> str:
    """What verify says; it ends with 0 for keys that it does not know, so what it prints is what counts."""
    runtime = unit.parent / "run"
    runtime.mkdir(exist_ok=True, mode=0o700)
    verified = subprocess.run(
        ["systemd-analyze", "verify", *arguments, str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = verified.stdout + verified.stderr
    assert (verified.returncode == 0) or said
    return said


@needs_systemd
def test_the_service_of_the_machine_is_accepted(tmp_path: Path) -> None:
    unit = installed(tmp_path, install_commands("# For the machine", "# Settings:"))
    assert complaints(unit) == ""
    assert "\nUser=distevo\n" in unit.read_text()
    assert "\nStateDirectory=distevo\n" in unit.read_text()


@needs_systemd
def test_the_service_of_a_user_is_accepted(tmp_path: Path) -> None:
    unit = installed(tmp_path, install_commands("# For one user", "# For the machine"))
    assert complaints(unit, "--user") == ""
    assert "\nStateDirectory" not in unit.read_text()
    assert "\nUser=" not in unit.read_text()


@needs_systemd
def test_a_mistake_would_be_noticed(tmp_path: Path) -> None:
    unit = installed(tmp_path, install_commands("# For the machine", "# Settings:"))
    unit.write_text(unit.read_text().replace("Restart=on-failure", "Restrat=on-failure"))
    assert "Restrat" in complaints(unit)


def test_the_unit_says_what_the_daemon_does() -> None:
    lines = UNIT.read_text().splitlines()
    for line in ("Type=notify", "ExecStart=distevod start", "Restart=on-failure", "KillMode=mixed"):
        assert line in lines
    # What only a person can mend: a restart would put the key's other start out, or write an announcement, for ever.
    prevented = ExitCode.USAGE, ExitCode.REFUSED, ExitCode.ALREADY_RUNNING
    assert f"RestartPreventExitStatus={' '.join(str(int(code)) for code in prevented)}" in lines


def test_each_install_is_three_lines() -> None:
    assert len(install_commands("# For one user", "# For the machine")) == 3
    assert len(install_commands("# For the machine", "# Settings:")) == 3
