"""Every way in which a command can end, and what it says when it does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from distevo import errors
from distevo_ctl.exits import EXITS_HELP, MEANINGS, CliError, ExitCode, ExitCodeGroup
from distevod.paths import PathError
from distevod.settings import SettingsError
from distevod.state_lock import AlreadyRunning, Holder
from distevod.transport.errors import ListenError, TransportError

COMMANDS = '''
import click, sys, time
from distevo_ctl.exits import CliError, ExitCode, ExitCodeGroup

@click.group(cls=ExitCodeGroup)
def main(): """Commands for tests."""

@main.command()
@click.option("--json", "as_json", is_flag=True)
def wait(as_json):
    print("waiting", flush=True)
    time.sleep(60)

@main.command()
@click.argument("lines", type=int)
def write(lines):
    for number in range(lines):
        print(f"line {number}")  # not flushed, as rich and print leave it

@main.command()
def draw():
    print("a \u2265 b")

main()
'''

HELD_UP = """
import threading
from distevo.errors import StoreUnavailable
from distevo_ctl.daemon import main
from distevod import daemon

def run_daemon(*_):
    threading.Thread(target=threading.Event().wait, args=(300,)).start()  # as in a store that does not answer
    raise StoreUnavailable("away")

daemon.run_daemon = run_daemon
main()
"""


def ending(error: BaseException | int | None, *arguments: str, debug: str = "") -> Result:
    """Run a command that raises `error`, or returns it."""

    @click.group(cls=ExitCodeGroup)
    def main() -> None:
        """Commands for tests."""

    @main.command()
    @click.option("--json", "as_json", is_flag=True)
    @click.argument("words", nargs=-1)
    def end(as_json: bool, words: tuple[str, ...]) -> int | None:
        if isinstance(error, BaseException):
            raise error
        return error

    before = ["--debug"] if "--debug" in arguments else []
    after = [argument for argument in arguments if argument != "--debug"]
    return CliRunner().invoke(main, [*before, "end", *after], env={"DISTEVO_DEBUG": debug}, prog_name="test")


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (CliError(ExitCode.NO_DAEMON, "no"), 3, "no_daemon"),
        (CliError(ExitCode.TIMED_OUT, "no"), 7, "timed_out"),
        (CliError(ExitCode.RUN_FAILED, "no"), 8, "run_failed"),
        (SettingsError("no"), 2, "usage"),
        (PathError("no"), 2, "usage"),
        (click.UsageError("no"), 2, "usage"),
        (click.FileError("no", "gone"), 2, "usage"),
        (AlreadyRunning(Path("/s"), Holder(7, None)), 10, "already_running"),
        (errors.TaskError("no"), 4, "refused"),
        (errors.ProblemError("no"), 4, "refused"),
        (errors.DistevoError("no"), 4, "refused"),
        (errors.BadName("no"), 4, "refused"),
        (TransportError("no"), 4, "refused"),
        (ListenError("no"), 11, "cannot_listen"),
        (errors.CheckpointVersionError("no"), 4, "refused"),
        (errors.NotFound("no"), 5, "not_found"),
        (errors.CheckpointTruncated("no"), 6, "corrupt"),
        (errors.CheckpointDamaged("no"), 6, "corrupt"),
        (errors.BlockError("no"), 6, "corrupt"),
        (errors.StoreUnavailable("no"), 9, "store_unavailable"),
        (errors.Unknown("no"), 9, "store_unavailable"),
        (OSError(28, "No space left on device"), 4, "refused"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ValueError("no"), 1, "internal_error"),
        (OSError(5, "Input/output error"), 1, "internal_error"),
        (RecursionError(), 1, "internal_error"),
        (errors.LocalProtocolError("no"), 1, "internal_error"),
        (errors.RemoteProtocolError(1, "no"), 1, "internal_error"),
    ],
)
def test_every_error_has_its_code_in_text_and_json(error: BaseException, code: int, name: str) -> None:
    text = ending(error)
    assert text.exit_code == code
    assert text.stdout == ""
    assert "error: " in text.stderr
    assert "Traceback" not in text.stderr
    as_json = ending(error, "--json")
    assert (as_json.exit_code, as_json.stdout) == (code, "")
    told = json.loads(as_json.stderr)["error"]
    assert set(told) == {"code", "name", "message", "hint"}
    assert (told["code"], told["name"]) == (code, name)
    assert told["message"] in text.stderr


def test_an_error_says_what_to_do() -> None:
    error = CliError(ExitCode.NO_DAEMON, "no daemon runs on /s", "start one: distevod start")
    assert ending(error).stderr == "error: no daemon runs on /s\n  start one: distevod start\n"
    assert json.loads(ending(error, "--json").stderr) == {
        "error": {
            "code": 3,
            "name": "no_daemon",
            "message": "no daemon runs on /s",
            "hint": "start one: distevod start",
        }
    }


def test_json_after_a_double_hyphen_is_no_option() -> None:
    assert ending(ValueError("no"), "--", "--json").stderr.startswith("error: ")


def test_a_traceback_is_shown_when_asked_for() -> None:
    for result in (ending(ValueError("eek"), "--debug"), ending(ValueError("eek"), debug="1")):
        assert result.exit_code == 1
        assert "Traceback (most recent call last):" in result.stderr
        assert result.stderr.endswith(
            "error: internal error: ValueError: eek\n  --debug before the command shows the traceback\n"
        )
    told = json.loads(ending(ValueError("eek"), "--json", "--debug").stderr)["error"]
    assert told["traceback"].endswith("ValueError: eek\n")
    assert "Traceback" not in ending(ValueError("eek"), debug="0").stderr


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (ExitCode.RUN_FAILED, 8), (5, 5)])
def test_what_a_command_returns_is_its_code(returned: int | None, code: int) -> None:
    result = ending(returned)
    assert (result.exit_code, result.output) == (code, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edn"], "error: No such command 'edn'. Did you mean 'end'?\n  see test --help\n"),
        (["end", "--jsn"], "error: No such option '--jsn'. Did you mean '--json'?\n  see test end --help\n"),
    ],
)
def test_near_misses_are_named(arguments: list[str], message: str) -> None:
    group = ExitCodeGroup("test")
    group.add_command(click.Command("end", params=[click.Option(["--json"], is_flag=True)]))
    result = CliRunner().invoke(group, arguments, prog_name="test")
    assert (result.exit_code, result.stderr) == (2, message)


def test_help_shows_the_whole_table() -> None:
    group = ExitCodeGroup("test", commands={"x": click.Command("x")})
    shown = CliRunner().invoke(group, ["--help"], prog_name="test")
    assert shown.exit_code == 0
    for code, text in MEANINGS.items():
        assert f"  {code.value}  {text}\n" in shown.stdout
    nothing = CliRunner().invoke(group, [], prog_name="test")
    assert nothing.exit_code == 2
    assert nothing.stderr.strip() == shown.stdout.strip()


def test_the_table_is_whole() -> None:
    assert set(MEANINGS) == set(ExitCode)
    assert [code.value for code in ExitCode][:12] == list(range(12))
    assert len(EXITS_HELP.splitlines()) == len(ExitCode) + 2


def test_without_standalone_mode_errors_pass_through() -> None:
    group = ExitCodeGroup("test")
    with pytest.raises(click.UsageError):
        group.main(["x"], standalone_mode=False)


def started(*arguments: str, out: int | None = subprocess.PIPE) -> subprocess.Popen[str]:
    # with buffers, as users have it: that is where the last lines wait when a reader is gone or a disk is full
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [sys.executable, "-c", COMMANDS, *arguments], stdout=out, stderr=subprocess.PIPE, text=True, env=environ
    )


@pytest.mark.parametrize("arguments", [["write", "100000"], ["write", "1"], ["--help"]])
def test_a_reader_that_leaves_ends_it_silently(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with started(*arguments, out=writing) as process:
        os.close(writing)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (ExitCode.READER_GONE, "")


def test_an_error_that_nobody_reads_has_its_code_all_the_same() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen([sys.executable, "-c", COMMANDS, "wirte"], stderr=writing) as process:
        os.close(writing)
    assert process.returncode == ExitCode.USAGE


def test_an_error_for_which_the_disk_has_no_room_has_its_code_all_the_same() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-c", COMMANDS, "wirte"], stderr=full, timeout=60)
    assert ended.returncode == ExitCode.USAGE


def test_a_daemon_that_a_thread_holds_up_has_its_code_where_the_disk_has_no_room(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HELD_UP, "start", "--state-dir", str(tmp_path), "--workers", "1"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stderr=full, timeout=60)
    assert ended.returncode == ExitCode.STORE_UNAVAILABLE


@pytest.mark.parametrize("lines", ["1", "100000"])
def test_an_output_that_is_full_is_no_fault_of_ours(lines: str) -> None:
    with Path("/dev/full").open("w") as full, started("write", lines, out=full.fileno()) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == ExitCode.REFUSED
    assert told.startswith("error: cannot write: No space left on device\n")
    assert "Exception" not in told


@pytest.mark.parametrize("encoding", ["ascii", "ascii:surrogateescape", "iso-8859-1"])
def test_an_output_that_lacks_a_letter_shows_the_rest(encoding: str) -> None:
    environ = os.environ | {"PYTHONIOENCODING": encoding}
    ended = subprocess.run([sys.executable, "-c", COMMANDS, "draw"], env=environ, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"a ? b\n", b"")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_asks_its_output_for_something_takes_a_closed_one(options: list[str]) -> None:
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "distevo_ctl.main", "cost", *options]
    ended = subprocess.run(shell, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_closed_output_is_no_fault_either() -> None:
    shell = ["sh", "-c", 'exec "$0" -c "$1" write 1 >&-', sys.executable, COMMANDS]
    ended = subprocess.run(shell, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("as_json", [False, True])
def test_control_c_interrupts(as_json: bool) -> None:
    with started("wait", *(["--json"] if as_json else [])) as process:
        assert process.stdout
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    if as_json:
        assert json.loads(told)["error"]["name"] == "interrupted"
    else:
        assert told.strip() == "error: interrupted"


def test_only_click_is_imported() -> None:
    code = "import sys, click; before = set(sys.modules); import distevo_ctl.exits; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(loaded.stdout.split()) == {"distevo_ctl", "distevo_ctl.exits"}
