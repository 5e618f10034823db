"""Trying a problem and its tasks before a run is accepted, in a process of its own.

A submitted problem is code that nobody has seen yet: it may raise on import, never return, eat all memory, or end
the process. So the daemon runs `python -m distevod.problems.check`, hands it a JSON request on standard input, and
gets a JSON answer on standard output; `check_in_process` does so and kills the process, with all that it started,
when one of its steps takes too long.

On standard output there is a line of JSON for each step that begins, `{"phase": "importing"}`, so that the parent
knows what never returned, and last the answer: `{"ok": true, "problem": {...}, "tasks": {...}}` or
`{"ok": false, "error": {"kind": "problem" | "task", "message": "..."}}`. What the user's code prints goes to
standard error.
"""

import ctypes
import json
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import signature
from random import Random
from typing import Any, NoReturn

import msgspec
import orjson

from distevo.errors import DistevoError, ProblemError, TaskError
from distevo.names import quote
from distevo.problem import Contract, Evaluation
from distevo.reproduction import is_same
from distevod.printed import never_raise
from distevod.problems.loader import ProblemRef, described, load, resolve

LEAST_STEP_S = 30.0
"""What each step may take at least: importing, making each of the tasks, trying each member."""
STEP_EVALUATIONS = 3
"""A step may take as long as so many evaluations: the longest tries two."""
DEFAULT_MEMORY_MB = 1024
MOST_TASKS = 100_000
TASK_ID_LIMIT_BYTES = 128
FILE_NAME_LIMIT_BYTES = 255
"""A task's id, percent-encoded, is one file name in a folder store."""
TASKS_LIMIT_BYTES = 64 << 20
"""Largest task file, and largest set of tasks as JSON: every platform reads it."""
ANSWER_LIMIT_BYTES = 2 * TASKS_LIMIT_BYTES
STDERR_TAIL_BYTES = 2000
SAID_LIMIT, SAID_END = 4000, 500
"""Characters that are told of what went wrong, and how many of these are its last, which say where."""

MOST_RAISING = 20
"""Programs that are tried until the evaluation of one does not raise."""
MOST_SLOW = 3
"""Further programs that are tried where the evaluation of the first took too long."""
LONGEST_REPEATED_S = 5.0
"""Evaluations that took longer are not made twice."""

DEFAULT_TASK = "default"

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MOST_DIGITS = 20
"""Of a whole number of 64 bits."""
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


class CheckRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to try. At most one of `spec`, `data`, `csv` and `made` is given; without any the task is `default`."""

    reference: str
    source: str | None = None
    """The file's text, where the reference names a file."""
    spec: str | None = None
    """The text behind `--tasks`, for the problem's named sets."""
    data: Any = msgspec.UNSET
    """A task file's content, as JSON values; null is one, and not the same as none given."""
    csv: str | None = None
    """A CSV file's text."""
    made: dict[str, Any] | None = None
    """Task data by id, as the problem has made it of one of these before: it is not asked to do so again."""
    name: str | None = None
    """What to call the task of a file that names none."""
    evaluation_timeout_s: float | None = None
    """Seconds after which a worker that evaluates a program is ended; None: it does not matter."""


class CheckedProblem(msgspec.Struct, frozen=True):
    """A problem that was imported, whose tasks were all constructed, and whose members did what they should."""

    name: str
    version: str
    reference: str
    source: str | None
    digest: str
    has_verify: bool
    """Whether the first task hides something."""
    tasks: dict[str, msgspec.Raw]
    """JSON task data by id, in the problem's order."""

    @property
    def ref(self) -> ProblemRef:
        """What workers load."""
        return ProblemRef(self.reference, self.source, self.digest)


def parse_task_file(content: bytes) -> Any:
    """JSON of a task file. Raises `TaskError` for what is none, for NaN, for too much or too deep content, and for what
    readers of JSON silently change: names that are given twice, and whole numbers of more than 64 bits."""
    if len(content) > TASKS_LIMIT_BYTES:
        raise TaskError(f"the task file has {len(content):,} bytes; at most {TASKS_LIMIT_BYTES:,} are read")
    try:
        parsed = orjson.loads(content)
        json.loads(content, object_pairs_hook=_once, parse_int=_whole_number_of(content))
    except RecursionError as error:
        raise TaskError("the task file is nested too deeply") from error
    except ValueError as error:
        if "depth limit" in str(error):
            raise TaskError("the task file is nested too deeply") from error
        raise TaskError(f"the task file is not JSON: {error}") from error
    return parsed


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise TaskError(f"{twice!r:.80} is given twice in one object of the task file")


def _whole_number_of(content: bytes) -> Callable[[str], Any]:
    """What reads whole numbers: with a closer look only where some are long."""
    return _whole_number if _LONG_NUMBER.search(content) else str


def _whole_number(text: str) -> int:
    digits = text.lstrip("-0")
    if len(digits) > _MOST_DIGITS or not -(2**63) <= int(text) < 2**64:
        raise TaskError(f"the whole number {text:.30} has more than 64 bits: write it as text")
    return int(text)


def step_limit(evaluation_timeout_s: float) -> float:
    """Seconds that each step may take where an evaluation may take so many."""
    return max(LEAST_STEP_S, STEP_EVALUATIONS * evaluation_timeout_s)


def memory_limit(memory_mb: int, workers: int) -> int:
    """MiB that a problem may use when it is tried where so many workers share so much: no less than one of them may."""
    return max(memory_mb // workers, DEFAULT_MEMORY_MB)


def check_in_process(
    request: dict[str, Any], step_s: float = LEAST_STEP_S, memory_mb: int = DEFAULT_MEMORY_MB
) -> CheckedProblem:
    """Try a problem in a process of its own; the fields of `request` are those of `CheckRequest`.

    Blocks for up to `step_s` seconds in each step; may be called from any thread. Raises `ProblemError` or `TaskError`
    with what was wrong, in words for whoever submitted it.
    """
    try:
        payload = orjson.dumps(request)
    except orjson.JSONEncodeError as error:
        deep = "recursion" in str(error).lower()
        raise TaskError(f"the tasks are {'nested too deeply' if deep else f'no JSON: {error}'}") from error
    if len(payload) > 2 * TASKS_LIMIT_BYTES:
        raise TaskError(f"the tasks are larger than {TASKS_LIMIT_BYTES:,} bytes")
    # -u: what it says on standard error is to be known also of one that ends without a flush.
    command = [sys.executable, "-u", "-P", "-m", "distevod.problems.check", str(memory_mb), str(os.getpid())]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Numerical libraries reserve address space for a thread per core, which counts against the limit.
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    talk = _Talk(process, payload)
    try:
        finished = talk.run(step_s)
        if finished and talk.answer is None:
            with suppress(subprocess.TimeoutExpired):  # it closed its output and lives on
                process.wait(1.0)
    finally:
        _end(process)
    if talk.answer is not None:
        return _read_answer(talk.answer)
    if not finished:
        raise ProblemError(
            f"the problem took more than {step_s:g} s while {talk.phase}: a step of its trial may take "
            f"{LEAST_STEP_S:g} s, or {STEP_EVALUATIONS} times evaluation_timeout_seconds if that is longer"
        )
    raise ProblemError(f"the problem {_ending(process.returncode, memory_mb)} while {talk.phase}{talk.last_words()}")


class _Talk:
    """The parent's side: writes the request and reads until the answer, the end, or a step that takes too long."""

    def __init__(self, process: subprocess.Popen[bytes], payload: bytes) -> None:
        self._process = process
        self._payload = memoryview(payload)
        self._output = bytearray()
        self._errors = b""
        self.phase = "starting"
        self.answer: bytes | None = None

    def run(self, step_s: float) -> bool:
        """Whether there was an answer or an end, and no step took so many seconds."""
        deadline = time.monotonic() + step_s
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        with selectors.DefaultSelector() as selector:
            for stream, events in (
                (stdin, selectors.EVENT_WRITE),
                (stdout, selectors.EVENT_READ),
                (stderr, selectors.EVENT_READ),
            ):
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, events)
            while (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if key.fileobj is stdin:
                        if not self._write(stdin.fileno()):
                            selector.unregister(stdin)
                            stdin.close()
                        continue
                    data = os.read(key.fd, 1 << 16)
                    if key.fileobj is stderr:
                        self._errors = (self._errors + data)[-STDERR_TAIL_BYTES:]
                        if not data:
                            selector.unregister(stderr)
                    elif not data or self._read(data):
                        with suppress(BlockingIOError):  # what it said before its end may not have been read yet
                            self._errors = (self._errors + os.read(stderr.fileno(), 1 << 16))[-STDERR_TAIL_BYTES:]
                        return True
                    else:
                        deadline = time.monotonic() + step_s  # The next step has begun.
        return False

    def _write(self, fd: int) -> bool:
        try:
            self._payload = self._payload[os.write(fd, self._payload[: 1 << 16]) :]
        except BrokenPipeError:  # it died; reading finds out why
            return False
        return bool(self._payload)

    def _read(self, data: bytes) -> bool:
        """Take output; whether the answer is there."""
        self._output += data
        if len(self._output) > ANSWER_LIMIT_BYTES:
            self.answer = b""  # it says nothing, which is what a spoilt answer is worth
            return True
        if b"\n" not in data:
            return False
        *lines, rest = bytes(self._output).split(b"\n")
        self._output = bytearray(rest)
        for line in lines:
            try:
                self.phase = msgspec.json.decode(line, type=_Phase).phase
            except msgspec.DecodeError:
                self.answer = line
                return True
        return False

    def last_words(self) -> str:
        """The end of standard error, for a message."""
        words = self._errors.decode(errors="replace").strip().splitlines()[-3:]
        return "; its last words were:\n  " + "\n  ".join(words) if words else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all that it started (its session is one process group), and reap it."""
    with suppress(ProcessLookupError):  # all gone by themselves
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None and not stream.closed:
            stream.close()
    process.wait()


def _ending(returncode: int, memory_mb: int) -> str:
    if returncode >= 0:
        return f"ended its process with exit code {returncode}"
    name = signal.Signals(-returncode).name
    hint = f" (it may use {memory_mb} MB)" if name in ("SIGKILL", "SIGSEGV", "SIGABRT") else ""
    return f"was killed by {name}{hint}"


def _read_answer(answer: bytes) -> CheckedProblem:
    try:
        read = msgspec.json.decode(answer, type=_Answer)
    except msgspec.DecodeError as error:
        # The process is the user's as much as ours: whatever it writes, the daemon only ever says so.
        raise ProblemError(f"the problem spoilt the answer of its check: {error}") from error
    if read.ok and read.problem is not None:
        return CheckedProblem(**msgspec.structs.asdict(read.problem), tasks=read.tasks)
    failure = read.error or _Failure("problem", "the check gave no reason")
    raise (TaskError if failure.kind == "task" else ProblemError)(failure.message)


# The child's side


class _Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phase: str


class _Failure(msgspec.Struct, frozen=True):
    kind: str
    message: str


class _Problem(msgspec.Struct, frozen=True):
    name: str
    version: str
    reference: str
    source: str | None
    digest: str
    has_verify: bool


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    ok: bool
    problem: _Problem | None = None
    tasks: dict[str, msgspec.Raw] = {}
    error: _Failure | None = None


Say = Callable[[str], None]
"""Tells the parent which step begins."""


def check(request: CheckRequest, say: Say) -> tuple[ProblemRef, Contract, dict[str, bytes]]:
    """Import the problem, make its tasks, construct each, and try all members on the first.

    Returns what it is, the first task's contract, and JSON task data by id. Raises `ProblemError` and `TaskError`;
    what the user's code raised is in their message.
    """
    say("importing")
    ref = resolve(request.reference, request.source)
    problem = load(ref)
    try:
        with suppress(ValueError):  # a class made in C shows no signature
            signature(problem).bind({})
    except TypeError as error:
        raise ProblemError(
            f"{problem.__name__} cannot be made with a task's data ({error}); add: def __init__(self, task)"
        ) from error
    say("reading the tasks")
    file = ref.reference.rpartition(":")[0] if ref.source is not None else None
    tasks = {name: _as_json(name, data) for name, data in _tasks(problem, request, file).items()}
    if sum(map(len, tasks.values())) > TASKS_LIMIT_BYTES:
        raise TaskError(f"the tasks are larger than {TASKS_LIMIT_BYTES:,} bytes of JSON")
    first: Contract | None = None
    for name, data in tasks.items():
        say(f"constructing task {name!r}")
        try:
            # From the JSON, not from what `tasks` returned: this is what workers will get.
            instance = problem(msgspec.json.decode(data))
        except TaskError as error:
            if _needs_tasks(problem, request):
                raise TaskError(f"{problem.__name__} needs tasks{_tasks_hint(problem)}") from error
            raise TaskError(f"task {name!r}: {error}") from error
        except (ProblemError, MemoryError):
            raise
        except BaseException as error:
            raise TaskError(
                f"task {name!r}: {problem.__name__}() failed: {described(error, file)}{_data_hint(data, request)}"
            ) from error
        if first is None:
            first = Contract(instance)
        del instance  # It may be large, and a worker has two at most: the next one, too.
    assert first is not None
    _try_members(first, say, file, request.evaluation_timeout_s)
    return ref, first, tasks


def _tasks(problem: Any, request: CheckRequest, file: str | None) -> dict[str, Any]:
    """Task data by id, checked as far as ids go."""
    hint = _tasks_hint(problem)
    if request.spec is not None:
        made = _called(problem, "tasks", file, request.spec, otherwise=f"has no named sets; {_FILE_FORM}")
    elif request.csv is not None:
        name = request.name or DEFAULT_TASK
        made = _called(problem, "tasks_from_csv", file, request.csv, name, otherwise="takes no CSV files" + hint)
    elif request.data is not msgspec.UNSET:
        made = request.data
        if hasattr(problem, "tasks_from_file"):
            made = _named(_called(problem, "tasks_from_file", file, made, otherwise=""), request)
        elif not isinstance(made, dict):
            raise TaskError(f"the task file holds no object of tasks by id; {_FILE_FORM}")
    elif request.made is not None:
        made = request.made
    else:
        made = {DEFAULT_TASK: {}}
    if not isinstance(made, dict):
        raise ProblemError(f"{problem.__name__} made {type(made).__name__} of the tasks; it must be a dict by id")
    if not 1 <= len(made) <= MOST_TASKS:
        raise TaskError(f"there are {len(made)} tasks; must be 1 to {MOST_TASKS:,}{hint}")
    for name in made:
        if not isinstance(name, str) or not 0 < len(name.encode(errors="replace")) <= TASK_ID_LIMIT_BYTES:
            raise TaskError(f"task id {name!r:.80}: must be text of 1 to {TASK_ID_LIMIT_BYTES} bytes")
        if not name.isprintable() or len(quote(name)) > FILE_NAME_LIMIT_BYTES:
            raise TaskError(f"task id {name!r:.80}: use letters, digits, '-', '_' and '.'")
    return made


def _named(made: Any, request: CheckRequest) -> Any:
    """The tasks of a file; if it is one task, and the file does not say which, its id is the file's name."""
    is_named = isinstance(request.data, dict) and DEFAULT_TASK in request.data
    is_one = isinstance(made, dict) and list(made) == [DEFAULT_TASK]
    if is_named or not is_one or not request.name or not _is_task_id(request.name):
        return made
    return {request.name: made[DEFAULT_TASK]}


def _is_task_id(name: str) -> bool:
    is_short = len(quote(name)) <= FILE_NAME_LIMIT_BYTES and len(name.encode()) <= TASK_ID_LIMIT_BYTES
    return is_short and name.isprintable()


def _needs_tasks(problem: Any, request: CheckRequest) -> bool:
    """Whether a problem with named sets refused to be made without any task."""
    return not _has_tasks(request) and hasattr(problem, "tasks")


def _has_tasks(request: CheckRequest) -> bool:
    given = request.spec, request.csv, request.made
    return request.data is not msgspec.UNSET or any(each is not None for each in given)


def _tasks_hint(problem: Any) -> str:
    help_text = getattr(problem, "tasks_help", None)
    return f"; give {help_text}" if isinstance(help_text, str) else ""


def _data_hint(data: bytes, request: CheckRequest) -> str:
    """What may be wrong: there were no tasks, or a task's data is no mapping, as where a file holds one task's data."""
    if not _has_tasks(request):
        return "; its data is {}, since no tasks were given: give --tasks"
    if data.startswith(b"{"):
        return ""
    return f'; its data is {data[:40].decode(errors="replace")}: a task file is {{"id": data of that task, ...}}'


_FILE_FORM = 'give a JSON file {"id": data, ...}'


def _called(problem: Any, member: str, file: str | None, *arguments: Any, otherwise: str) -> Any:
    function = getattr(problem, member, None)
    if function is None:
        raise TaskError(f"problem {problem.__name__} {otherwise}")
    try:
        return function(*arguments)
    except (DistevoError, MemoryError):
        raise
    except BaseException as error:
        raise ProblemError(f"{problem.__name__}.{member} failed: {described(error, file)}") from error


def _as_json(name: str, data: Any) -> bytes:
    """Task data as JSON. orjson would write null for NaN, so it is json that writes what Python code made."""
    try:
        text = json.dumps(data, allow_nan=False, separators=(",", ":")).encode()
        if _LONG_NUMBER.search(text):
            json.loads(text, parse_int=_whole_number)
        return text
    except TaskError as error:
        raise TaskError(f"task {name!r}: {error}") from error
    except RecursionError as error:
        raise TaskError(f"task {name!r} is nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise TaskError(f"task {name!r} is not JSON data: {error}") from error


def _try_members(contract: Contract, say: Say, file: str | None, timeout_s: float | None) -> None:
    """One round of what the engine does, so that a broken member is found before the run."""
    rng = Random(0)
    say("trying random")
    with _blame(contract, "random", file):
        genome = contract.random(rng)
    say("trying encode and decode")
    with _blame(contract, "encode or decode", file):
        contract.decode_canonical(contract.encode(genome))
    say("trying random again")
    with _blame(contract, "random", file):
        _repeat(contract, "random", contract.random)
    say("trying mutate")
    with _blame(contract, "mutate", file):
        before = contract.encode(genome)
        other = contract.mutate(genome, rng)
        if contract.encode(genome) != before:
            raise ProblemError(f"{contract.name}: mutate changes its parent in place; change a copy and return it")
        decoded = contract.decode_canonical(contract.encode(other))
        if any(_child(contract, other, seed) != _child(contract, decoded, seed) for seed in range(8)):
            _repeat(contract, "mutate", lambda rng: contract.mutate(other, rng))
            raise ProblemError(
                f"{contract.name}: mutate makes another child of a genome than of the same genome decoded from its "
                "bytes; a genome must hold nothing beyond its bytes, or a restarted island takes another way"
            )
    if contract.has_crossover:
        say("trying crossover")
        with _blame(contract, "crossover", file):
            parents = [contract.encode(genome), contract.encode(other)]
            contract.decode_canonical(contract.encode(contract.crossover(genome, other, rng)))
            if [contract.encode(genome), contract.encode(other)] != parents:
                raise ProblemError(f"{contract.name}: crossover changes a parent in place; change a copy and return it")
            _repeat(contract, "crossover", lambda rng: contract.crossover(genome, other, rng))
    with _blame(contract, "evaluate", file):
        _try_evaluate(contract, [genome, other], rng, say, timeout_s)


def _try_evaluate(contract: Contract, genomes: list[Any], rng: Random, say: Say, timeout_s: float | None) -> None:
    """See that some programs can be evaluated, and are worth the same when they are evaluated again.

    One whose evaluation raises is invalid, so that a few of these are no reason to refuse the problem.
    """
    for left in reversed(range(MOST_RAISING)):
        say("trying evaluate")
        begun, encoded = time.monotonic(), [contract.encode(genome) for genome in genomes]
        try:
            found, took = _evaluated(contract, genomes)
        except DistevoError:
            raise
        except BaseException:  # as in workers: a cancelled coroutine or a panic in Rust is no `Exception`
            if not left:
                raise
            genomes = [contract.random(rng)]
        else:
            break
    if [contract.encode(genome) for genome in genomes] != encoded:
        raise ProblemError(f"{contract.name}: evaluate changes the genome in place; work on a copy")
    if timeout_s is not None and took and took[0] > timeout_s:
        _refuse_slow(contract, genomes[0], took, timeout_s, rng, say)
    if time.monotonic() - begun > LONGEST_REPEATED_S:
        return
    for before, after in zip(found, contract.evaluate_batch(genomes), strict=True):
        if before.fitness is not None and not is_same(before.fitness, after.fitness):
            raise ProblemError(
                f"{contract.name}: evaluate gave one program {before.fitness} and then {after.fitness}; it has to be "
                "deterministic: take what chance it needs from the program or the task"
            )
    if contract.has_batch:
        # A result is evaluated again by itself, and so is every program of a part that raised.
        for together, genome in zip(found, genomes, strict=True):
            if together.fitness is None:
                continue
            alone = contract.evaluate(genome)
            if not is_same(together.fitness, alone.fitness) or together.fit != alone.fit:
                raise ProblemError(
                    f"{contract.name}: evaluate_batch gave one program {_worth(together)}, and evaluate "
                    f"{_worth(alone)}; both have to say the same"
                )


def _evaluated(contract: Contract, genomes: list[Any]) -> tuple[list[Evaluation], list[float]]:
    """What they are worth, and the seconds that each took; none where they are evaluated together, which has a limit
    of its own."""
    if contract.has_batch:
        return contract.evaluate_batch(genomes), []
    found, took = [], []
    for genome in genomes:
        begun = time.monotonic()
        found.append(contract.evaluate(genome))
        took.append(time.monotonic() - begun)
    return found, took


def _refuse_slow(contract: Contract, first: Any, took: list[float], timeout_s: float, rng: Random, say: Say) -> None:
    """Refuse a problem with which no worker gets anywhere: it is ended with an evaluation that takes too long, and so
    is the next. `first` took too long here, in a process as new as a worker's."""
    limit = f"evaluation_timeout_seconds ({timeout_s:g})"
    if min(took) <= timeout_s:
        say("trying evaluate")
        again = _seconds(contract, first)
        if again > timeout_s:  # it is that program alone
            return
        raise ProblemError(
            f"{contract.name}: the first evaluation in a process took {took[0]:.3g} s, the same again {again:.3g} s; "
            f"what takes longer than {limit} is ended with its process, so that none gets beyond its first: load in "
            "__init__, or when the file is imported, what evaluate needs"
        )
    for _ in range(MOST_SLOW):
        say("trying evaluate")
        took.append(_seconds(contract, contract.random(rng)))
        if took[-1] <= timeout_s:
            return
    raise ProblemError(
        f"{contract.name}: evaluate took {min(took):.3g} s or more for each of {len(took)} programs, and what takes "
        f"longer than {limit} is invalid; start the platforms with a longer --evaluation-timeout-seconds"
    )


def _seconds(contract: Contract, genome: Any) -> float:
    """How long its evaluation takes, whatever comes of it."""
    begun = time.monotonic()
    with suppress(BaseException):
        contract.evaluate(genome)
    return time.monotonic() - begun


def _worth(evaluation: Evaluation) -> str:
    return f"{evaluation.fitness}, fit" if evaluation.fit else str(evaluation.fitness)


def _repeat(contract: Contract, member: str, make: Callable[[Random], Any]) -> None:
    """See that a member makes the same of the same `rng`, since that is what an island does that goes on elsewhere."""
    begun = time.monotonic()
    for seed in range(4):
        if contract.encode(make(Random(seed))) != contract.encode(make(Random(seed))):
            raise ProblemError(
                f"{contract.name}: {member} makes something else when it is asked again with the same rng; take chance "
                "from rng alone, and keep nothing from one call to the next, or a restarted island takes another way"
            )
        if time.monotonic() - begun > LONGEST_REPEATED_S:
            return


def _child(contract: Contract, genome: Any, seed: int) -> bytes:
    return contract.encode(contract.mutate(genome, Random(seed)))


@contextmanager
def _blame(contract: Contract, member: str, file: str | None) -> Iterator[None]:
    try:
        yield
    except (DistevoError, MemoryError):
        raise
    except BaseException as error:
        raise ProblemError(f"{contract.name}: {member} raised {described(error, file)}") from error


def _said(text: str) -> str:
    """What went wrong as it may be sent and shown, whatever the problem's own code put into it: UTF-8, and no book."""
    if len(text) > SAID_LIMIT:
        text = f"{text[: SAID_LIMIT - SAID_END]} ... {text[-SAID_END:]}"
    return text.encode(errors="backslashreplace").decode()


def _die_with_parent(parent: int) -> None:
    """So that a daemon that is killed leaves no check behind. Linux only; elsewhere the time-out is the bound."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit(0)


def main() -> NoReturn:
    """`python -m distevod.problems.check MEMORY_MB PARENT_PID`."""
    memory_mb, parent = map(int, sys.argv[1:3])
    _die_with_parent(parent)
    limit = memory_mb << 20
    # As in workers: what a problem fills, and not libraries and reserved space.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    payload = sys.stdin.buffer.read()
    # The user's prints, and those of C libraries, must not spoil the answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    never_raise()
    phase = "starting"

    def say(step: str) -> None:
        nonlocal phase
        phase = step
        answers.write(msgspec.json.encode(_Phase(step)) + b"\n")

    try:
        ref, contract, tasks = check(msgspec.json.decode(payload, type=CheckRequest), say)
        answer = _Answer(
            ok=True,
            problem=_Problem(
                contract.name, contract.version, ref.reference, ref.source, ref.digest, contract.has_verify
            ),
            tasks={name: msgspec.Raw(data) for name, data in tasks.items()},
        )
    except TaskError as error:
        answer = _Answer(ok=False, error=_Failure("task", _said(str(error))))
    except ProblemError as error:
        answer = _Answer(ok=False, error=_Failure("problem", _said(str(error))))
    except MemoryError:
        answer = _Answer(ok=False, error=_Failure("problem", f"needs more than {memory_mb} MB while {phase}"))
    answers.write(msgspec.json.encode(answer) + b"\n")
    sys.stderr.flush()
    os._exit(0)  # not through the user's atexit handlers and threads


if __name__ == "__main__":
    main()
