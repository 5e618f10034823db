"""Log lines as they reach standard error or a file, each from a process of its own."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from distevod import logs

START = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
PRELUDE = """
import logging, sys, threading, warnings
from pathlib import Path
from distevod import logs
from distevod.logs import fields
log = logging.getLogger("distevod.runtime")
"""


def ran(code: str, *arguments: str, fails: bool = False) -> str:
    """Standard error of a process that runs `code`."""
    process = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, *arguments], capture_output=True, text=True, timeout=60
    )
    assert (process.returncode != 0) is fails, process.stderr
    assert process.stdout == ""
    return process.stderr


def test_a_text_line_has_time_level_place_message_and_fields() -> None:
    line = ran(
        "logs.configure()\n"
        "log.info('checkpoint %s', 'written', extra=fields(run='first', bytes=8192, seconds=0.12345678,"
        "name='two words', empty='', quoted='a\"b=c'))"
    )
    assert re.fullmatch(
        START + r"info    runtime: checkpoint written run=first bytes=8192 seconds=0\.123457"
        r' name="two words" empty="" quoted="a\\"b=c"\n',
        line,
    )


def test_a_json_line_is_one_object() -> None:
    text = ran(
        "logs.configure('json')\n"
        "log.warning('checkpoint\\nwritten', extra=fields(run='ü', bytes=8192, path=Path('/x')))\n"
        "log.error('plain')"
    )
    first, second = map(json.loads, text.splitlines())
    assert re.fullmatch(START.strip(), first.pop("time"))
    assert first == {
        "level": "warning",
        "logger": "distevod.runtime",
        "message": "checkpoint\nwritten",
        "fields": {"run": "ü", "bytes": 8192, "path": "/x"},
    }
    assert set(second) == {"time", "level", "logger", "message"}


def test_levels() -> None:
    code = "logs.configure('text', sys.argv[1])\nfor level in (10, 20, 30, 40): log.log(level, 'x')"
    for level, lines in (("debug", 4), ("info", 3), ("warning", 2), ("error", 1)):
        assert len(ran(code, level).splitlines()) == lines


FAILING = """
def fail():
    raise ValueError("deep\\x1b[31m trouble")
"""


def test_a_traceback_is_kept_in_both_formats() -> None:
    code = FAILING + "logs.configure(sys.argv[1])\ntry: fail()\nexcept ValueError: log.exception('went wrong')"
    text = ran(code, "text")
    head, *trace = text.splitlines()
    assert head.endswith("error   runtime: went wrong")
    assert trace[0] == "    Traceback (most recent call last):"
    assert trace[-1] == "    ValueError: deep\\x1b[31m trouble"
    assert all(line.startswith("    ") for line in trace)
    record = json.loads(ran(code, "json"))
    assert record["exception"].startswith("Traceback (most recent call last):")
    assert record["exception"].endswith("ValueError: deep\x1b[31m trouble")


def test_what_nobody_caught_is_logged() -> None:
    text = ran(FAILING + "logs.configure()\nfail()", fails=True)
    assert re.search(r"critical uncaught exception\n    Traceback .*\n(    .*\n)*    ValueError: deep", text)
    text = ran(FAILING + "logs.configure()\nt = threading.Thread(target=fail, name='uploader'); t.start(); t.join()")
    assert re.search(r"critical uncaught exception thread=uploader\n    Traceback", text)
    text = ran(
        FAILING + "logs.configure()\nclass X:\n    def __del__(self): fail()\nX()",
    )
    assert re.search(r"error   exception ignored object=.*\n    Traceback", text)


def test_warnings_come_into_the_log() -> None:
    assert "UserWarning: careful" in json.loads(ran("logs.configure('json')\nwarnings.warn('careful')"))["message"]


def test_an_interrupt_is_no_fault() -> None:
    assert "critical" not in ran("logs.configure()\nraise KeyboardInterrupt", fails=True)


def test_a_call_with_wrong_arguments_still_says_what_it_can() -> None:
    text = ran("logs.configure()\nlog.error('a %s b %s', 'one')\nlog.error('%d', 'x', exc_info=True)")
    assert "a %s b %s ('one',) [cannot be put together: " in text
    assert len(text.splitlines()) == 2


def test_a_file_is_made_private_and_added_to(tmp_path: Path) -> None:
    path = tmp_path / "distevod.log"
    code = "logs.configure('text', 'info', Path(sys.argv[1]))\nlog.info(sys.argv[2])"
    assert ran(code, str(path), "one") == ""
    assert ran(code, str(path), "two \udcff") == ""
    assert path.stat().st_mode & 0o777 == 0o600
    one, two = path.read_text().splitlines()
    assert one.endswith("runtime: one")
    assert two.endswith("runtime: two \\udcff")


def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "distevod.log"
    ran(
        "logs.FILE_LIMIT = 10_000\nlogs.configure('text', 'info', Path(sys.argv[1]))\n"
        "for i in range(1000): log.info('line %d', i)",
        str(path),
    )
    assert {file.name for file in tmp_path.iterdir()} == {"distevod.log", "distevod.log.1"}
    kept = path.with_name("distevod.log.1").read_text() + path.read_text()
    assert 10_000 < len(kept) < 21_000
    numbers = [int(line.rsplit(" ", 1)[1]) for line in kept.splitlines()]
    assert numbers == list(range(numbers[0], 1000))


def test_a_file_that_cannot_be_moved_grows_on(tmp_path: Path) -> None:
    path = tmp_path / "distevod.log"
    (tmp_path / "distevod.log.1").mkdir()
    complaint = ran(
        "logs.FILE_LIMIT = 100\nlogs.configure('text', 'info', Path(sys.argv[1]))\n"
        "for i in range(5): log.info('line %d', i)",
        str(path),
    )
    assert "IsADirectoryError" in complaint
    assert len(path.read_text().splitlines()) == 5


def test_a_full_disk_stops_nobody() -> None:
    complaint = ran(
        "logs.configure('text', 'info', Path('/dev/full'))\n"
        "for _ in range(3): log.info('x')\n"
        "logs.configure()\nlog.info('on')"
    )
    assert complaint.count("--- Logging error ---") >= 3
    assert "No space left on device" in complaint
    assert complaint.endswith("runtime: on\n")


def test_configuring_again_replaces(tmp_path: Path) -> None:
    text = ran("logs.configure()\nlogs.configure('json')\nlog.info('once')")
    assert json.loads(text)["message"] == "once"


def record(message: str, **values: object) -> logging.LogRecord:
    made = logging.LogRecord("distevod.x", logging.INFO, "file", 1, message, (), None)
    made.__dict__.update(logs.fields(**values))
    return made


@given(st.text(), st.text())
def test_whatever_is_said_stays_on_one_line(message: str, value: str) -> None:
    text = logs.TextFormatter().format(record(message, value=value))
    assert text.isprintable()
    line = logs.JsonFormatter().format(record(message, value=value))
    assert "\n" not in line
    parsed = json.loads(line)
    assert (parsed["message"], parsed["fields"]["value"]) == (message, value)


def test_json_lines_are_json_whatever_the_fields_hold() -> None:
    loop: list[object] = []
    loop.append(loop)
    for value in (float("nan"), float("inf"), {(1, 2): 3}, loop, b"bytes", {1, 2}, object()):
        line = logs.JsonFormatter().format(record("x", value=value))
        parsed = json.loads(line, parse_constant=lambda word: 1 / 0)
        assert "value" in parsed["fields"]


def test_what_others_write_into_the_file_is_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "distevod.log"
    ran(
        "import subprocess\nlogs.FILE_LIMIT = 10_000\npath = Path(sys.argv[1])\nlogs.configure('text', 'info', path)\n"
        "with path.open('ab') as inherited:\n"
        "    for number in range(100):\n"
        "        subprocess.run(['echo', str(number) * 200], stdout=inherited)\n"
        "        logs.keep_bounded()\n"
        "        assert sum(file.stat().st_size for file in path.parent.iterdir()) < 21_000\n"
        "    subprocess.run(['echo', 'the last'], stdout=inherited)\n",
        str(path),
    )
    assert path.read_text().endswith("the last\n")
    assert "9898" in path.with_name("distevod.log.1").read_text() + path.read_text()
