"""Files on a command line: what is taken for one, and what is said of bad ones."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from distevo.errors import TaskError
from distevo_ctl.exits import CliError, ExitCode
from distevo_ctl.files import problem_request, tasks_request


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_named_sets_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    for spec in ("training", "training:0-39", "007bbfb7,00d62c1b", "nguyen-5", "64,256", "", "a\0b", "x" * 5000):
        assert tasks_request(spec) == {"spec": spec}
    assert tasks_request(None) == {}


def test_what_is_written_like_a_file_or_is_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"a": [1, 2.5, null]}')
    (tmp_path / "plain").write_text("[true]")
    (tmp_path / "x y.csv").write_text("x,y\n1,2\n")
    assert tasks_request("t.json") == {"data": {"a": [1, 2.5, None]}, "name": "t"}
    assert tasks_request("./plain") == tasks_request("plain") == {"data": [True], "name": "plain"}
    assert tasks_request(str(tmp_path / "x y.csv")) == {"csv": "x,y\n1,2\n", "name": "x y"}
    (tmp_path / "t.TSV").write_text("x\ty\n1\t2\n")
    assert tasks_request("t.TSV") == {"csv": "x\ty\n1\t2\n", "name": "t"}


def test_a_folder_of_task_files_is_a_task_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "arc").mkdir()
    with pytest.raises(CliError, match=r"there is no task file \(\*\.json\) in the folder arc"):
        tasks_request("arc/")
    for name, content in (("b.json", "[1]"), ("a.json", "null"), ("notes.txt", "no task")):
        (tmp_path / "arc" / name).write_text(content)
    assert list(tasks_request("arc/")["data"].items()) == [("a", None), ("b", [1])]
    assert (
        tasks_request("./arc") == tasks_request(str(tmp_path / "arc")) == {"data": {"a": None, "b": [1]}, "name": "arc"}
    )
    assert tasks_request("arc") == {"spec": "arc"}
    monkeypatch.setattr("distevod.problems.task_data.TASKS_LIMIT_BYTES", 5)
    with pytest.raises(CliError, match="the task files in arc are larger than"):
        tasks_request("arc/")
    (tmp_path / "arc" / "c.JSON").write_text("{")
    monkeypatch.undo()
    with pytest.raises(TaskError, match=r"arc/c\.JSON: the task file is not JSON"):
        tasks_request(str(tmp_path / "arc/"))


def test_a_folder_of_folders_of_task_files_names_one_of_these(tmp_path: Path) -> None:
    for name in ("b", "a", "none"):
        (tmp_path / "corpus" / name).mkdir(parents=True)
        if name != "none":
            (tmp_path / "corpus" / name / "1.json").write_text("1")
    with pytest.raises(CliError, match=r"there is no task file \(\*\.json\) in the folder corpus") as caught:
        tasks_request("corpus/")
    assert caught.value.hint == "give one of those below it, as corpus/a/"
    with pytest.raises(CliError) as caught:
        tasks_request("corpus/none/")
    assert caught.value.hint is None


def test_two_task_files_of_one_name_are_not_taken_for_one_task(tmp_path: Path) -> None:
    (tmp_path / "arc").mkdir()
    (tmp_path / "arc" / "a.json").write_text("1")
    (tmp_path / "arc" / "a.JSON").write_text("2")
    with pytest.raises(CliError, match=r"the task files arc/a\.JSON and arc/a\.json are of one name") as caught:
        tasks_request("arc/")
    assert caught.value.code is ExitCode.REFUSED


def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    for name in ("scandir", "listdir"):  # which root may do everywhere
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(CliError, match=r"cannot read the folder .*: Permission denied"):
        tasks_request(f"{tmp_path}/")


def test_a_task_file_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.json")
    path.write_text("{}")
    for given in (f"{tmp_path}/", str(path)):
        with pytest.raises(CliError, match=r"the name of the task file .*udce9\.json' is no text in UTF-8"):
            tasks_request(given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": NaN}', "t.json: the task file is not JSON"),
        (b"", "t.json: the task file is not JSON"),
        (b"\x00\xff" * 50, "t.json: the task file is not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "t.json: the task file is nested too deeply"),
    ],
)
def test_what_is_no_json(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(TaskError) as raised:
        tasks_request("t.json")
    assert str(raised.value).startswith(message)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    for name, text in (("t.json", "[1]"), ("t.csv", "x,y\n"), ("p.py", "x = 1\n")):
        (tmp_path / name).write_text(text, "utf-8-sig")
    assert tasks_request("t.json")["data"] == [1]
    assert tasks_request("t.csv")["csv"] == "x,y\n"
    assert problem_request("p.py:Mine")["source"] == "x = 1\n"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate(1 << 30)  # a hole: it takes no room, and must take no memory
    (tmp_path / "file").write_text("")
    for name, code, message in (
        ("folder.json", ExitCode.REFUSED, "Is a directory"),
        ("bytes.csv", ExitCode.REFUSED, "is not text"),
        ("big.json", ExitCode.REFUSED, "larger than 64 MiB"),
        ("/dev/zero", ExitCode.REFUSED, "larger than 64 MiB"),
        ("nowhere.json", ExitCode.NOT_FOUND, "there is no task file"),
        ("file/t.json", ExitCode.NOT_FOUND, "there is no task file"),
        ("a\0b.json", ExitCode.REFUSED, "cannot read"),
        ("x" * 5000 + ".json", ExitCode.REFUSED, "cannot read"),
    ):
        with pytest.raises(CliError) as raised:
            tasks_request(name)
        assert raised.value.code is code
        assert message in raised.value.message


def test_a_loop_of_links_is_said() -> None:
    Path("loop.json").symlink_to("loop.json")
    with pytest.raises(CliError) as raised:
        tasks_request("loop.json")
    assert "cannot read" in raised.value.message


def test_problems(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("x = 'ä'\n")
    (tmp_path / "bytes.py").write_bytes(b"\xff")
    (tmp_path / "big.py").write_text("#" * ((1 << 20) + 1))
    for name in ("grids", "package.module:Class"):
        assert problem_request(name) == {"reference": name}
    for name in ("p.py:Mine", "p.py", f"{tmp_path}/p.py:Mine"):
        assert problem_request(name) == {"reference": name, "source": "x = 'ä'\n"}
    for name, code in (("no.py:X", 5), ("bytes.py:X", 4), ("big.py:X", 4), (f"{tmp_path}/no.py", 5)):
        with pytest.raises(CliError) as raised:
            problem_request(name)
        assert raised.value.code == code
