"""Trying a problem before its run is accepted: whatever it does, the answer is in words and in time."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from distevo.errors import ProblemError, TaskError
from distevod.problems.check_process import LEAST_STEP_S, CheckedProblem, check_in_process, step_limit
from distevod.problems.loader import load, resolve
from distevod.problems.task_data import parse_task_file
from tests.hosts.processes import is_running

GOOD = """
class Mine:
    name = "mine"
    version = "1"

    def __init__(self, task):
        self.task = task

    def random(self, rng):
        return rng.random()

    def mutate(self, genome, rng):
        return genome + rng.gauss(0, 1)

    def evaluate(self, genome):
        return -abs(genome)

    def encode(self, genome):
        return repr(genome).encode()

    def decode(self, data):
        return float(data)
"""


STEP_S = 3.0
"""What a step may take where one of them takes too long: those before it are over in time on a machine that stalls."""


def check(source: str = GOOD, step_s: float = 30, memory_mb: int = 1024, **tasks: Any) -> CheckedProblem:
    return check_in_process({"reference": "mine.py:Mine", "source": source, **tasks}, step_s, memory_mb)


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def with_member(text: str) -> str:
    return GOOD + "\n" + "\n".join("    " + line for line in text.splitlines()) + "\n"


def tasks_of(checked: CheckedProblem) -> dict[str, Any]:
    return {name: orjson.loads(bytes(data)) for name, data in checked.tasks.items()}


# What is right


def test_a_named_set_of_a_problem_that_ships() -> None:
    checked = check_in_process({"reference": "onemax", "spec": "64,128"})
    assert (checked.name, checked.version, checked.reference, checked.digest) == ("onemax", "1", "onemax", "")
    assert tasks_of(checked) == {"64": {"bits": 64}, "128": {"bits": 128}}
    assert not checked.has_verify


def test_without_tasks_there_is_one_called_default() -> None:
    assert tasks_of(check()) == {"default": {}}


def test_a_problem_that_cannot_be_made_without_tasks_says_that_none_were_given() -> None:
    source = changed("self.task = task", "self.goal = task['goal']")
    with pytest.raises(TaskError, match=r"KeyError: 'goal' .*\); its data is \{\}, since no tasks were given"):
        check(source)
    with pytest.raises(TaskError, match=r"\)$"):
        check(source, data={"one": {}})


def test_a_file_of_tasks_by_id_keeps_its_order() -> None:
    assert list(tasks_of(check(data={"b": 1, "a": None, "c": [{}]})).items()) == [("b", 1), ("a", None), ("c", [{}])]


def test_a_problem_may_read_the_task_file_itself() -> None:
    source = with_member("@classmethod\ndef tasks_from_file(cls, data):\n    return {'whole': data}")
    assert tasks_of(check(source, data=[1, 2])) == {"whole": [1, 2]}
    assert tasks_of(check(source, data=None)) == {"whole": None}


def test_a_csv_file() -> None:
    lines = "\n".join(f"{x},{2 * x}" for x in range(8))
    checked = check_in_process({"reference": "regression", "csv": f"x,y\n{lines}\n", "name": "mine"})
    (name, task), *_ = tasks_of(checked).items()
    assert name == "mine"
    assert len(task["y"]) == 6
    assert checked.has_verify
    with pytest.raises(TaskError, match="problem Mine takes no CSV files"):
        check(csv="1,2\n")


def test_a_file_of_one_task_that_it_does_not_name_gives_it_its_own_name() -> None:
    pair = {"input": [[0]], "output": [[1]]}
    one = {"train": [pair], "test": [pair]}
    for data, name, ids in (
        (one, "007bbfb7", ["007bbfb7"]),
        (one, "", ["default"]),
        ({"default": one}, "007bbfb7", ["default"]),
        ({"a": one}, "007bbfb7", ["a"]),
        (one, "no\nname", ["default"]),
    ):
        assert list(check_in_process({"reference": "grids", "data": data, "name": name}).tasks) == ids


def test_grid_tasks_are_called_as_published_files_are() -> None:
    """As some of Mini-ARC are."""
    pair = {"input": [[0]], "output": [[1]]}
    names = [
        "2x2_grid_at_the_bottom-right_indicates_the_rotation_for_the_3x3_grid_on_the_upper-left_l6aajdd8e987ucg7wmp",
        "1,_3,_5,_...__l6aejqqqc1b47pjr5g4",
        "Eunji_Delete all except blocks in pink's view_l6aekdd9ag9d5758ucw",
        "Tetris_(edit)_l6ae0g871owxvc1baq3",
    ]
    data = {name: {"train": [pair], "test": [pair]} for name in names}
    assert list(check_in_process({"reference": "grids", "data": data}).tasks) == names
    with pytest.raises(TaskError, match=r"task id 'a\\nb': use letters"):
        check_in_process({"reference": "grids", "data": {"a\nb": data[names[0]]}})


@pytest.mark.parametrize("data", [[5], {"n": 5}, 5, None, "default"])
def test_so_does_a_file_that_holds_no_object(data: Any) -> None:
    source = with_member("@classmethod\ndef tasks_from_file(cls, data):\n    return {'default': {}}")
    assert list(check(source, data=data, name="mine").tasks) == ["mine"]


def test_what_was_checked_can_be_loaded() -> None:
    checked = check()
    assert checked.ref == resolve("mine.py:Mine", GOOD)
    assert load(checked.ref)({}).task == {}


def test_prints_do_not_spoil_the_answer() -> None:
    source = "import os, sys\nprint('hello')\nos.write(1, b'hello')\nos.system('echo hello')\n" + GOOD
    assert check(source).name == "mine"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("'no file b\\udc80.csv'", r"ValueError: no file b\\udc80\.csv \(mine\.py, line 1"),
        ("'x' * 10**7", r"ValueError: xxx.* \.\.\. xxx.*\(mine\.py, line 1: raise ValueError\('x' \* 10\*\*7\)\)$"),
    ],
)
def test_what_a_problem_says_is_told_whatever_is_in_it_and_not_all_of_it(text: str, says: str) -> None:
    with pytest.raises(ProblemError, match=says) as refused:
        check(f"raise ValueError({text})\n{GOOD}")
    assert len(str(refused.value)) < 5_000


def test_a_hundred_thousand_tasks() -> None:
    checked = check(data={str(number): number for number in range(100_000)})
    assert len(checked.tasks) == 100_000
    with pytest.raises(TaskError, match="there are 100001 tasks; must be 1 to 100,000"):
        check(data={str(number): number for number in range(100_001)})


# What is wrong with the problem


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1 / 0", "importing mine.py failed: ZeroDivisionError: division by zero (mine.py, line 1: x = 1 / 0)"),
        ("raise SystemExit(0)", "importing mine.py failed: SystemExit: 0"),
        ("import os\nos._exit(3)", "ended its process with exit code 3 while importing"),
        ("import os\nos.abort()", "was killed by SIGABRT (it may use 1024 MB) while importing"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import sys\nsys.stderr.write('my last words')\nimport os\nos._exit(1)", "were:\n  my last words"),
        ("class Other: pass", "there is no 'Mine'"),
        ("class Mine: pass", "Mine cannot be made with a task's data"),
        (changed("def mutate", "def mutated"), "mutate: missing; add: mutate(genome, rng) -> a new genome"),
        (changed("genome + rng.gauss(0, 1)", "None"), "Mine.mutate returned None"),
        (changed("rng.random()", "1 / 0"), "mine: random raised ZeroDivisionError: division by zero (mine.py, line 10"),
        (changed("-abs(genome)", "float('nan')"), "Mine.evaluate returned a fitness that is NaN"),
        (changed("-abs(genome)", "genome.nothing"), "mine: evaluate raised AttributeError"),
        (changed("-abs(genome)", "__import__('random').random()"), "mine: evaluate gave one program"),
        (with_member("def evaluate_batch(self, genomes):\n    return [round(-abs(g), 3) for g in genomes]"),
         "both have to say the same"),
        (with_member("def evaluate_batch(self, many):\n    return [{'fitness': -abs(g), 'fit': True} for g in many]"),
         "both have to say the same"),
        (changed("return rng.random()", "return [rng.random()]")
         .replace("return genome + rng.gauss(0, 1)", "genome[0] += rng.gauss(0, 1); return [genome[0]]")
         .replace("-abs(genome)", "-abs(genome[0])").replace("repr(genome)", "repr(genome[0])")
         .replace("float(data)", "[float(data)]"), "mine: mutate changes its parent in place"),
        (changed("repr(genome)", "f'{genome:.9f}'"), "mutate makes another child of a genome than of the same genome"),
        (changed("rng.random()", "__import__('random').random()"), "mine: random makes something else when"),
        (changed("rng.gauss(0, 1)", "__import__('random').random()"), "mine: mutate makes something else when"),
        (with_member("def crossover(self, a, b, rng):\n    return a + __import__('random').random()"),
         "mine: crossover makes something else when it is asked again with the same rng; take chance from rng alone"),
        (changed("float(data)", "float(data) + 1"), "Mine.encode is not canonical"),
        (with_member("def crossover(self, a, b, rng):\n    raise SystemExit"), "mine: crossover raised SystemExit"),
        (with_member("seeds = 3"), "seeds: is 3 (int), not a method"),
    ],
)  # fmt: skip
def test_a_broken_problem_is_explained(source: str, message: str) -> None:
    with pytest.raises(ProblemError) as caught:
        check(source)
    assert message in str(caught.value)


def test_a_crossover_that_changes_a_parent_is_found() -> None:
    source = """
class Mine:
    name, version = "mine", "1"
    def __init__(self, task): pass
    def random(self, rng): return [rng.random()]
    def mutate(self, genome, rng): return [rng.random()]
    def crossover(self, a, b, rng):
        a[0] += b[0]
        return list(a)
    def evaluate(self, genome): return genome[0]
    def encode(self, genome): return repr(genome[0]).encode()
    def decode(self, data): return [float(data)]
"""
    with pytest.raises(ProblemError, match="mine: crossover changes a parent in place; change a copy and return it"):
        check(source)


def test_many_programs_at_once_may_be_worth_what_rounding_makes_of_it() -> None:
    assert check(with_member("def evaluate_batch(self, genomes):\n    return [-abs(g) * (1 + 1e-13) for g in genomes]"))


def test_programs_that_cannot_be_evaluated_are_no_reason_to_refuse_a_problem() -> None:
    source = changed("return -abs(genome)", "return {True: lambda: -abs(genome)}[int(genome * 1e6) % 4 == 0]()")
    assert check(source).name == "mine"


def test_what_is_no_exception_is_no_reason_either() -> None:
    raising = "raise __import__('asyncio').CancelledError('late')"
    evaluate = "        return -abs(genome)"
    assert check(changed(evaluate, f"        if int(genome * 1e6) % 4: {raising}\n{evaluate}")).name == "mine"
    with pytest.raises(ProblemError, match="mine: evaluate raised CancelledError: late"):
        check(changed(evaluate, f"        {raising}"))


def test_an_unknown_problem_is_no_crash() -> None:
    with pytest.raises(ProblemError, match="did you mean 'onemax'"):
        check_in_process({"reference": "onemx"})


@pytest.mark.parametrize(
    ("source", "phase"),
    [
        ("while True: pass", "importing"),
        (changed("self.task = task", "while True: pass"), "constructing task 'default'"),
        (changed("return -abs(genome)", "while True: pass"), "trying evaluate"),
    ],
)
def test_what_never_returns_is_killed_and_named(source: str, phase: str) -> None:
    start = time.monotonic()
    with pytest.raises(ProblemError, match=f"took more than {STEP_S:g} s while {phase}"):
        check(source, step_s=STEP_S)
    assert time.monotonic() - start < LEAST_STEP_S  # It is not waited for as long as a step may usually take.


def test_a_process_that_is_slow_to_start_is_not_taken_for_a_slow_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python runs it before anything else.
    (tmp_path / "sitecustomize.py").write_text(f"import time\ntime.sleep({STEP_S + 0.5})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert check(step_s=STEP_S).name == "mine"


def test_many_tasks_may_take_longer_than_one_step_and_slow_evaluations_longer_still() -> None:
    source = changed("self.task = task", "self.task = task; import time; time.sleep(0.4)")
    assert len(check(source, step_s=STEP_S, data={str(number): {} for number in range(10)}).tasks) == 10
    assert (step_limit(10), step_limit(1000)) == (30, 3000)


SLOW = [
    (
        changed("return -abs(genome)", "import time; time.sleep(0.3); return -abs(genome)"),
        0.3,
        r"evaluate took (\S+) s or more for each of 5 programs",
    ),
    (
        changed(
            "return -abs(genome)",
            "self.data = getattr(self, 'data', None) or __import__('time').sleep(1.8) or 1; return -abs(genome)",
        ),
        1.8,  # The same again takes nothing, and on a machine that stalls less than the limit all the same.
        r"the first evaluation in a process took (\S+) s, the same again .*: load in __init__",
    ),
]


@pytest.mark.parametrize(("source", "seconds", "says"), SLOW, ids=["each", "the first"])
def test_evaluations_with_which_no_worker_gets_anywhere_are_refused(source: str, seconds: float, says: str) -> None:
    limit = seconds * 2 / 3
    with pytest.raises(ProblemError, match=says) as refused:
        check(source, evaluation_timeout_s=limit)
    told = re.search(says, str(refused.value))
    assert told
    assert seconds <= float(told[1]) < 20
    assert check(source, evaluation_timeout_s=20).name == "mine"
    batch = "\n    def evaluate_batch(self, genomes):\n        return [self.evaluate(genome) for genome in genomes]\n"
    assert check(source + batch, evaluation_timeout_s=limit).name == "mine", "what holds for many is another limit"


def test_some_programs_that_take_long_are_no_reason_to_refuse_a_problem() -> None:
    source = changed("return -abs(genome)", "import time; time.sleep(0.3 * (genome > 0.8)); return -abs(genome)")
    assert check(source, evaluation_timeout_s=0.2).name == "mine"
    first_alone = source.replace("genome > 0.8", "genome == 0.8444218515250481")
    assert check(first_alone, evaluation_timeout_s=0.2).name == "mine"


HANGING = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.pause()"


@pytest.mark.parametrize("source", [HANGING, GOOD], ids=["hanging", "good"])
def test_what_it_started_is_killed_with_it(source: str, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    started = f"import subprocess\nopen({str(note)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))\n"
    if source is GOOD:
        check(started + source)
    else:
        with pytest.raises(ProblemError, match=f"took more than {STEP_S:g} s"):
            check(started + source, step_s=STEP_S)
    left = int(note.read_text())
    deadline = time.monotonic() + 20
    while is_running(left):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = bytearray(10**10)", "MemoryError"),
        (changed("self.task = task", "self.x = bytearray(10**10)"), "needs more than 300 MB while constructing"),
        (changed("-abs(genome)", "bytearray(10**10)"), "needs more than 300 MB while trying evaluate"),
    ],
)
def test_memory_is_limited(source: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        check(source, memory_mb=300)


def test_tasks_are_not_all_in_memory_at_once() -> None:
    source = changed("self.task = task", "self.data = bytearray(100 << 20)")
    assert len(check(source, memory_mb=300, data={name: {} for name in "abcdef"}).tasks) == 6


@pytest.mark.parametrize(
    "written",
    ["b'garbage\\n'", "b'[' * 10_000 + b'\\n'", """b'{"ok":true}\\n'""", """b'{"phase":3}\\n{"phase":\\n'"""],
    ids=["garbage", "deep", "empty", "phases"],
)
def test_a_problem_that_forges_the_answer_harms_itself_only(written: str) -> None:
    forging = f"import os\nfor fd in range(3, 16):\n    try: os.write(fd, {written})\n    except OSError: pass\n"
    with pytest.raises(ProblemError, match=r"spoilt the answer|gave no reason"):
        check(forging + GOOD)


def test_an_answer_without_an_end_is_stopped() -> None:
    writing = "        while True: os.write(fd, b'x' * 65536)\n"
    forging = f"import os\nfor fd in range(3, 16):\n    try:\n{writing}    except OSError: pass\n"
    with pytest.raises(ProblemError, match="spoilt the answer"):
        check(forging)


def test_the_process_dies_with_whoever_started_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    source = f"import os, time\nopen({str(note)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    request = {"reference": "mine.py:Mine", "source": source}
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from distevod.problems.check_process import check_in_process; check_in_process({request!r})",
        ]
    )
    try:
        deadline = time.monotonic() + 20
        while not note.exists() or not note.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child = int(note.read_text())
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        while is_running(child):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        parent.kill()
        parent.wait()


# What is wrong with the tasks


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"data": {}}, "there are 0 tasks"),
        ({"data": [1]}, "holds no object of tasks by id"),
        ({"data": None}, "holds no object of tasks by id"),
        ({"data": {"": 1}}, "task id '': must be text of 1 to 128 bytes"),
        ({"data": {"a" * 129: 1}}, "must be text of 1 to 128 bytes"),
        ({"data": {"-" * 100: 1}}, "use letters, digits"),
        ({"data": {"a\nb": 1}}, "use letters, digits"),
        ({"spec": "x"}, "problem Mine has no named sets; give a JSON file"),
    ],
)  # fmt: skip
def test_bad_tasks_are_explained(tasks: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError) as caught:
        check(**tasks)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        ("{'a': float('nan')}", TaskError, "task 'a' is not JSON data: Out of range float values"),
        ("{'a': object()}", TaskError, "task 'a' is not JSON data: Object of type object"),
        ("{'a': b'x'}", TaskError, "task 'a' is not JSON data"),
        ("{'a': [2**64]}", TaskError, "task 'a': the whole number 18446744073709551616 has more than 64 bits"),
        ("{1: 1}", TaskError, "task id 1: must be text"),
        ("{'a': 1} if spec == 'x' else 1 / 0", ProblemError, "Mine.tasks failed: ZeroDivisionError"),
        ("3", ProblemError, "Mine made int of the tasks; it must be a dict by id"),
    ],
)
def test_what_tasks_may_return(returned: str, error: type[Exception], message: str) -> None:
    source = with_member(f"@classmethod\ndef tasks(cls, spec):\n    return {returned}")
    with pytest.raises(error) as caught:
        check(source, spec="y")
    assert message in str(caught.value)


def test_every_task_is_constructed() -> None:
    source = changed("self.task = task", "self.task = task['size']")
    with pytest.raises(TaskError, match=r"task 'c': Mine\(\) failed: KeyError: 'size' \(mine.py, line 7: "):
        check(source, data={"a": {"size": 1}, "b": {"size": 1}, "c": {}})


def test_a_task_error_of_the_problem_keeps_its_words() -> None:
    with pytest.raises(TaskError, match="task 'a': bits must be a whole number"):
        check_in_process({"reference": "onemax", "data": {"a": {"bits": 0}}})


def nested(depth: int) -> list[Any]:
    data: list[Any] = []
    for _ in range(depth):
        data = [data]
    return data


@pytest.mark.parametrize("depth", [300, 100_000])
def test_deep_tasks_are_refused(depth: int) -> None:
    with pytest.raises(TaskError, match="nested too deeply"):
        check(data={"a": nested(depth)})
    source = with_member(
        f"@classmethod\ndef tasks(cls, spec):\n    data = []\n    for _ in range({depth}): data = [data]\n"
        "    return {'a': data}"
    )
    with pytest.raises(TaskError, match="nested too deeply"):
        check(source, spec="x")


def test_huge_tasks_are_refused() -> None:
    with pytest.raises(TaskError, match="larger than 67,108,864 bytes"):
        check(with_member("@classmethod\ndef tasks(cls, spec):\n    return {'a': 'x' * (64 << 20)}"), spec="x")
    with pytest.raises(TaskError, match="larger than 67,108,864 bytes"):
        check(data={"a": "x" * (128 << 20)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": NaN}', "the task file is not JSON"),
        (b'{"a": 1e999}', "the task file is not JSON"),
        (b"", "the task file is not JSON"),
        (b'{"a": "\xff"}', "the task file is not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "the task file is nested too deeply"),
        (b'{"a": {"v": 1}, "b": 2, "a": 3}', "'a' is given twice"),
        (b'{"a": 18446744073709551616}', "the whole number 18446744073709551616 has more than 64 bits"),
        (b'{"a": -9223372036854775809}', "has more than 64 bits"),
        (b'{"a": ' + b"9" * 100 + b"}", "has more than 64 bits"),
        (b" " * ((64 << 20) + 1), "at most 67,108,864 are read"),
    ],
    ids=["nan", "infinite", "empty", "bytes", "deep", "twice", "large", "low", "larger", "huge"],
)
def test_bad_task_files(content: bytes, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        parse_task_file(content)


def test_a_task_file() -> None:
    assert parse_task_file(b'{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


def test_long_numbers_of_64_bits_are_what_they_are() -> None:
    assert parse_task_file(b'{"a": [18446744073709551615, -9223372036854775808]}') == {"a": [2**64 - 1, -(2**63)]}
