"""The process in which a problem is checked, as the daemon sees it: started, listened to, and ended.

What is in there may raise on import, never return, eat all memory, or end the process. So the process is killed, with
all that it started, when one of its steps takes too long; and whatever it says, or does not, comes to words for whoever
submitted the problem.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import msgspec
import orjson

from distevo.errors import ProblemError, TaskError
from distevod.problems.check_wire import Answer, Failure, Phase
from distevod.problems.loader import ProblemRef
from distevod.problems.task_data import TASKS_LIMIT_BYTES, is_too_deep

LEAST_STEP_S = 30.0
"""What each step may take at least: importing, making each of the tasks, trying each member."""
STEP_EVALUATIONS = 3
"""A step may take as long as so many evaluations: the longest tries two."""
DEFAULT_MEMORY_MB = 1024
ANSWER_LIMIT_BYTES = 2 * TASKS_LIMIT_BYTES
STDERR_TAIL_BYTES = 2000


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

    Blocks for up to `step_s` seconds in each step, and before the first, while the process starts, for as long as a
    step may take at least; may be called from any thread. Raises `ProblemError` or `TaskError` with what was wrong, in
    words for whoever submitted it.
    """
    try:
        payload = orjson.dumps(request)
    except orjson.JSONEncodeError as error:
        what = "nested too deeply" if is_too_deep(error) else f"no JSON: {error}"
        raise TaskError(f"the tasks are {what}") from error
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
        # How long a process takes to start says nothing of the problem.
        deadline = time.monotonic() + max(step_s, LEAST_STEP_S)
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
                self.phase = msgspec.json.decode(line, type=Phase).phase
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
        read = msgspec.json.decode(answer, type=Answer)
    except msgspec.DecodeError as error:
        # The process is the user's as much as ours: whatever it writes, the daemon only ever says so.
        raise ProblemError(f"the problem spoilt the answer of its check: {error}") from error
    if read.ok and read.problem is not None:
        return CheckedProblem(**msgspec.structs.asdict(read.problem), tasks=read.tasks)
    failure = read.error or Failure("problem", "the check gave no reason")
    raise (TaskError if failure.kind == "task" else ProblemError)(failure.message)
