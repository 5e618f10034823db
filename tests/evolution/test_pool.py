"""The pool with real worker processes: what it says of those that hang, die, cannot start or lack the problem."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from distevo.block import pack
from distevo.events import (
    Death,
    IslandFailed,
    IslandId,
    IslandReported,
    ProblemMissing,
    Verified,
    WorkerDied,
)
from distevo.instructions import LimitIsland, SkipKeys, StartIsland, StopIsland, TakeMigrants, VerifyProgram
from distevo.program import MAX_GENOME_BYTES
from distevo.run import Budget, ProblemUse
from distevod.evolution import pool
from distevod.evolution.page import Page
from distevod.evolution.pool import BUSY_SECONDS, LOOK_SECONDS
from distevod.problems.loader import resolve
from tests.evolution.bench import ONEMAX, STEP, TIME_OUT, Bench, bench, start, verify

OBEDIENT = """
import os, subprocess, sys, time

class Obedient:
    name, version = "obedient", "1"

    def __init__(self, task):
        self.task = task; exec(task.get("begin", ""))

    def random(self, rng):
        return rng.randbytes(self.task["length"])

    def mutate(self, genome, rng):
        return rng.randbytes(self.task["length"])

    def evaluate(self, genome):
        exec(self.task["code"])
        return 1.0

    def encode(self, genome):
        return genome

    def decode(self, data):
        return data
"""


def obedient(code: str, length: int = 8, evaluations: int = 10**6, begin: str = "") -> StartIsland:
    """An island whose programs, of so many bytes, do this when they are evaluated; `begin`: when the task is made."""
    ref = resolve("obedient.py:Obedient", OBEDIENT)
    problem = ProblemUse(ref.reference, ref.digest, "obedient", "1", ref.source)
    return start(problem, {"code": code, "length": length, "begin": begin}, evaluations=evaluations)


def stubborn(sign: Path, seconds: float = 60, length: int = 8) -> StartIsland:
    """An island whose first program writes itself to `sign`, sleeps, and ends the worker."""
    code = f"open({str(sign)!r}, 'wb').write(genome)\ntime.sleep({seconds})\nos._exit(3)"
    return obedient(code, length)


async def appears(sign: Path, length: int = 8) -> bytes:
    """Wait until a program is being evaluated; which."""
    async with asyncio.timeout(20):
        # Read and looked at as one: another evaluation may begin to write it anew.
        while len(said := sign.read_bytes() if sign.exists() else b"") < length:
            await asyncio.sleep(0.01)
    return said


def test_orders_for_a_slot_without_a_process_come_to_nothing() -> None:
    async def scene() -> None:
        async with bench() as b:
            order = start()
            b.pool.start_island(order)
            b.pool.limit_island(LimitIsland(0, order.island, order.budget))
            b.pool.stop_island(StopIsland(0, order.island))
            b.pool.take_migrants(TakeMigrants(0, order.island, 1, pack([])))
            b.pool.skip_keys(SkipKeys(0, order.island, b"0" * 16))
            b.pool.verify(verify())
            # Also while a worker has died and its death is not yet known.
            os.kill(await b.ready(), signal.SIGKILL)
            b.pool.start_island(order)
            died = await b.next(WorkerDied)
            assert died == WorkerDied(0, Death.KILLED, None, None)
            b.pool.stop_island(StopIsland(0, order.island))

    asyncio.run(scene())


@pytest.fixture
def few_descriptors() -> Iterator[Callable[[int], None]]:
    """Leaves as many file descriptors as it is told."""
    taken: list[int] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def leave(count: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(2))
        for _ in range(count):
            os.close(taken.pop())

    yield leave
    for descriptor in taken:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("left", [0, 2, 3, 4, 6])
def test_a_worker_that_cannot_be_started_counts_as_dead(few_descriptors: Callable[[int], None], left: int) -> None:
    async def scene() -> None:
        async with bench() as b:
            few_descriptors(left)
            before = os.listdir("/dev/fd") if left else []  # noqa: PTH208 - the shortest way to count them
            b.pool.launch(0)
            assert b.events == []  # Not in the middle of whoever gave the order.
            assert await b.next(WorkerDied) == WorkerDied(0, Death.CRASHED, None, None)
            assert b.pool.pids() == {}
            assert (os.listdir("/dev/fd") if left else []) == before  # noqa: PTH208

    asyncio.run(scene())


def test_a_stopped_island_says_no_more_and_its_worker_goes_on_with_others() -> None:
    async def scene() -> None:
        async with bench() as b:
            pid = await b.ready()
            first, second = start(data={"bits": 5000}), start(data={"bits": 6000}, task="u")
            b.pool.start_island(first)
            await b.next(IslandReported)
            b.pool.stop_island(StopIsland(0, first.island))
            b.pool.start_island(second)
            b.events.clear()
            for _ in range(3):
                assert (await b.next(IslandReported)).island == second.island
            assert b.pool.pids() == {0: pid}

    asyncio.run(scene())


def test_a_worker_that_hangs_in_a_stopped_island_is_killed_and_its_program_named(tmp_path: Path) -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            order = stubborn(tmp_path / "sign")
            b.pool.start_island(order)
            genome = await appears(tmp_path / "sign")
            b.pool.stop_island(StopIsland(0, order.island))
            assert await b.next(WorkerDied) == WorkerDied(0, Death.TIME_OUT, order.island, genome)

    asyncio.run(scene())


def test_the_longest_genome_is_named_when_it_ends_its_worker(tmp_path: Path) -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            order = stubborn(tmp_path / "sign", seconds=0, length=MAX_GENOME_BYTES)
            b.pool.start_island(order)
            genome = await appears(tmp_path / "sign", MAX_GENOME_BYTES)
            died = await b.next(WorkerDied)
            assert (died.cause, died.island) == (Death.CRASHED, order.island)
            assert died.culprit == genome

    asyncio.run(scene())


async def gone(pid: int) -> None:
    """Wait until there is no such process, or nothing but its number."""
    async with asyncio.timeout(10):
        while True:
            try:
                if " Z " in Path(f"/proc/{pid}/stat").read_text():
                    return
            except FileNotFoundError:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("session", [False, True])
def test_a_worker_is_known_to_be_gone_whatever_its_problem_has_left_behind(session: bool, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        f"left = subprocess.Popen(['sleep', '60'], start_new_session={session}, close_fds=False)\n"
        f"open({str(note)!r}, 'w').write(str(left.pid))\n"
        "time.sleep(60)"
    )

    async def scene() -> None:
        async with bench(time_out=4) as b:  # To start a process may take long.
            await b.ready()
            b.pool.start_island(obedient(code))
            assert (await b.next(WorkerDied)).cause is Death.TIME_OUT
            left = int(note.read_text())
            if session:  # It has left the worker's group of processes, and is nobody's to end.
                os.kill(left, signal.SIGKILL)
            await gone(left)

    asyncio.run(scene())


def test_what_a_problem_has_left_behind_holds_up_no_end(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        f"if not os.path.exists({str(note)!r}):\n"
        f"    open({str(note)!r}, 'w').write(str(subprocess.Popen(['sleep', '60'], close_fds=False).pid))"
    )

    async def scene() -> None:
        async with bench(time_out=20) as b:  # To start a process may take long.
            await b.ready()
            b.pool.start_island(obedient(code))
            await b.next(IslandReported)
            begun = time.monotonic()
            await b.pool.finish(20)
            assert time.monotonic() - begun < 15
            await gone(int(note.read_text()))

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sys.exit(3)", "SystemExit: 3"),
        ("raise __import__('asyncio').CancelledError('late')", "CancelledError: late"),
        (
            "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})",
            "evaluate raised Odd: its words raised (",
        ),
        (
            "raise __import__('distevo.errors').errors.ProgramError(type('O', (), {'__str__': lambda self: 1 / 0})())",
            "its words raised",
        ),
        ("raise AssertionError", "evaluate raised AssertionError ("),
        ("raise ValueError('\\udc80')", "ValueError: \\udc80"),
        ("raise ValueError('x' * 10**7)", "ValueError: xxx"),
    ],
)
def test_whatever_a_program_raises_it_alone_is_invalid(code: str, words: str) -> None:
    async def scene() -> None:
        async with bench(time_out=20) as b:  # One of them imports asyncio first.
            await b.ready()
            b.pool.start_island(obedient(f"if genome[0] % 2:\n    {code}"))
            reported = await b.next(IslandReported)
            assert reported.snapshot.counters.errors > 0
            assert words in (reported.warning or "")
            assert len(reported.warning or "") < 3000

    asyncio.run(scene())


@pytest.mark.parametrize("place", ["code", "begin"])
@pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "raise ValueError('lost')"])
def test_a_copy_that_a_problem_has_forked_does_not_evolve_beside_its_worker(end: str, place: str) -> None:
    code = {"code": "", place: f"pid = os.fork()\nif not pid:\n    {end}\nelse:\n    os.waitpid(pid, 0)"}

    async def scene() -> None:
        async with bench(time_out=20, generation_seconds=20) as b:
            await b.ready()
            order = obedient(**code, evaluations=60)
            b.pool.start_island(order)
            for generation in range(1, 4):
                reported = await b.next(IslandReported)
                assert reported.snapshot.generation == generation
                assert (reported.snapshot.counters.evaluations, reported.warning) == (20 * generation, None)

    asyncio.run(scene())


@pytest.mark.parametrize("garbage", ["hello, all of you", "yes\n", "\x05\x00\x00\x00hello"])
def test_a_worker_whose_problem_writes_to_its_socket_is_replaced(garbage: str) -> None:
    code = f"os.write(int(sys.argv[1]), {garbage.encode()!r})\ntime.sleep(0.01)"

    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            b.pool.start_island(obedient(code))
            died = await b.next(WorkerDied)
            assert died.culprit is not None

    asyncio.run(scene())


def test_a_problem_cannot_take_the_shared_page_away_from_its_daemon(tmp_path: Path) -> None:
    """Else the daemon would end by SIGBUS, at its next look: here, the tests."""
    sign = tmp_path / "sign"
    code = f"""
for name in os.listdir("/proc/self/fd"):
    if "distevo-worker" in os.path.realpath("/proc/self/fd/" + name):
        try:
            os.ftruncate(int(name), 0)
        except PermissionError:
            open({str(sign)!r}, "w").write("refused!")
        else:
            open({str(sign)!r}, "w").write("all gone")
"""

    async def scene() -> None:
        async with bench() as b:
            # Before any worker: the page of one is not looked at any more if this fails.
            page = Page.create()
            with pytest.raises(PermissionError):
                os.ftruncate(page.descriptor, 0)
            page.close()
            await b.ready()
            b.pool.start_island(obedient(code))
            assert await appears(sign) == b"refused!"
            await b.next(IslandReported)

    asyncio.run(scene())


def test_a_worker_that_has_joined_another_group_is_killed_when_it_hangs() -> None:
    async def scene() -> None:
        async with bench() as b:
            pid = await b.ready()
            b.pool.start_island(obedient("os.setpgid(0, os.getpgid(os.getppid()))\ntime.sleep(60)"))
            assert (await b.next(WorkerDied)).cause is Death.TIME_OUT
            await gone(pid)

    asyncio.run(scene())


def test_processes_that_a_problem_starts_are_paid_for() -> None:
    code = "subprocess.run([sys.executable, '-S', '-c', 'import time\\nwhile time.process_time() < 0.1: pass'])"

    async def scene() -> None:
        async with bench(time_out=60) as b:
            await b.ready()
            b.pool.start_island(obedient(code, evaluations=5))
            counters = (await b.next(IslandReported)).snapshot.counters
            assert counters.cpu_seconds > 0.09 * counters.evaluations

    asyncio.run(scene())


async def stopped_before_it_is_ready(b: Bench) -> None:
    """Launch a worker that comes to nothing, though on a busy machine some are ready before they can be stopped."""
    for _ in range(20):
        b.pool.launch(0)
        os.kill(b.pool.pids()[0], signal.SIGSTOP)
        await asyncio.sleep(0.1)
        if not b.events:
            return
        os.kill(b.pool.pids()[0], signal.SIGKILL)
        await b.next(WorkerDied)
        b.events.clear()
    raise AssertionError("each worker was ready before it could be stopped")


@pytest.mark.parametrize("order", [start(), verify(), None], ids=["island", "verification", "getting ready"])
def test_a_worker_that_never_begins_is_killed(order: StartIsland | VerifyProgram | None) -> None:
    async def scene() -> None:
        async with bench() as b:
            if order is None:
                await stopped_before_it_is_ready(b)
            else:
                os.kill(await b.ready(), signal.SIGSTOP)
            if isinstance(order, StartIsland):
                b.pool.start_island(order)
            elif order is not None:
                b.pool.verify(order)
            b.look_for(BUSY_SECONDS - 2 * STEP)
            await asyncio.sleep(0.1)
            assert b.events == []
            b.look_for(BUSY_SECONDS + 3 * STEP)
            assert await b.next(WorkerDied) == WorkerDied(0, Death.TIME_OUT, None, None)

    asyncio.run(scene())


def test_an_end_does_not_wait_for_a_worker_that_the_kernel_does_not_let_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a read from a file server that is dead, where SIGKILL waits for the answer."""

    async def scene() -> None:
        async with bench() as b:
            os.kill(await b.ready(), signal.SIGSTOP)
            with monkeypatch.context() as held:
                held.setattr(pool._Process, "kill", lambda _process: None)
                async with asyncio.timeout(10):
                    await b.pool.finish(0.1)
            assert list(b.pool.pids()) == [0]

    asyncio.run(scene())


def test_a_worker_that_owes_nothing_may_wait_for_ever() -> None:
    async def scene() -> None:
        async with bench() as b:
            pid = await b.ready()
            order = start(data={"bits": 5000})
            b.pool.start_island(order)
            await b.next(IslandReported)
            b.pool.stop_island(StopIsland(0, order.island))
            b.pool.verify(verify())
            await b.next(Verified)
            b.look_for(10 * BUSY_SECONDS)
            b.pool.verify(verify())
            await b.next(Verified)
            assert b.pool.pids() == {0: pid}

    asyncio.run(scene())


def test_nobody_is_convicted_of_a_time_in_which_the_daemon_stood_still_too(tmp_path: Path) -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            order = stubborn(tmp_path / "sign")
            b.pool.start_island(order)
            genome = await appears(tmp_path / "sign")
            begun = asyncio.get_running_loop().time()
            b.pool.look(begun)
            b.pool.look(begun + 60)
            b.pool.look(begun + 60 + TIME_OUT - STEP)
            await asyncio.sleep(0)
            assert b.events == []
            b.pool.look(begun + 60 + TIME_OUT + STEP / 2)
            assert await b.next(WorkerDied) == WorkerDied(0, Death.TIME_OUT, order.island, genome)

    asyncio.run(scene())


OTHER_VERSION = msgspec.structs.replace(ONEMAX, version="0")
NOWHERE = ProblemUse("nowhere_at_all:Problem", "00", "nowhere", "1")
MISSING = [
    (OTHER_VERSION, "this platform has onemax 1, the run was made for onemax 0"),
    (NOWHERE, "no module named 'nowhere_at_all' here"),
    (ProblemUse("bad.py:Problem", "00", "bad", "1", "raise RuntimeError('no luck')"), "other code here"),
]


@pytest.mark.parametrize(("problem", "words"), MISSING)
def test_a_platform_without_the_problem_says_so(problem: ProblemUse, words: str) -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            b.pool.start_island(start(problem))
            missing = await b.next(ProblemMissing)
            assert (missing.slot, missing.island) == (0, IslandId("r", "t", 0))
            assert words in missing.error
            b.pool.verify(verify(problem))
            looked = await b.next(Verified)
            assert words in str(looked.error)
            assert looked.genome == b"0" * 64
            # The problem is not there, and the worker is fine.
            b.pool.start_island(start())
            await b.next(IslandReported)

    asyncio.run(scene())


@pytest.mark.parametrize("needs", ["open('/nowhere/rows.csv')", "import nowhere_at_all"])
def test_a_platform_that_lacks_what_a_task_needs_says_so(needs: str) -> None:
    ref = resolve("needy.py:Obedient", OBEDIENT.replace("self.task = task", needs))
    problem = ProblemUse(ref.reference, ref.digest, "obedient", "1", ref.source)

    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            b.pool.start_island(start(problem))
            assert "nowhere" in (await b.next(ProblemMissing)).error
            b.pool.verify(verify(problem))
            assert (await b.next(Verified)).is_missing

    asyncio.run(scene())


def test_a_problem_that_is_there_and_breaks_has_not_gone_missing() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            b.pool.start_island(start(data={"bits": "many"}))
            assert (await b.next(IslandFailed)).island == IslandId("r", "t", 0)

    asyncio.run(scene())


def test_a_verification_says_which_program_it_looked_at() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            looks = [(b"0" * 64, 0.0), (b"1" * 3 + b"0" * 61, 3.0)]
            for genome, _ in looks:
                b.pool.verify(verify(genome=genome))
            for genome, ones in looks:
                looked = await b.next(Verified)
                assert (looked.genome, looked.fitness, looked.error) == (genome, (ones,), None)

    asyncio.run(scene())


def test_a_verification_that_raises_says_where() -> None:
    ref = resolve(
        "touchy.py:Obedient", OBEDIENT + "    def verify(self, genome):\n        raise ValueError('no luck')\n"
    )
    source = (ref.source or "").replace("return 1.0", "return {'fitness': 1.0, 'fit': True}").replace("exec(", "str(")
    ref = resolve("touchy.py:Obedient", source.replace('self.task["code"]', "self.task"))
    problem = ProblemUse(ref.reference, ref.digest, "obedient", "1", ref.source)

    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            b.pool.verify(verify(problem))
            looked = await b.next(Verified)
            assert looked.error == "ValueError: no luck (verify in touchy.py, line 26)"
            # What it is worth is said all the same: the guess has to have had that.
            assert (looked.fitness, looked.fit, looked.solved) == ((1.0,), True, None)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("raised", "error"), [("ValueError('odd')", None), ("FileNotFoundError('gone')", "FileNotFoundError: gone")]
)
def test_a_guess_of_which_the_evaluation_raises_is_invalid_unless_this_machine_may_lack_something(
    raised: str, error: str | None
) -> None:
    ref = resolve("obedient.py:Obedient", OBEDIENT.replace('self.task["code"]', f'"raise {raised}"'))
    problem = ProblemUse(ref.reference, ref.digest, "obedient", "1", ref.source)

    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            b.pool.verify(verify(problem))
            looked = await b.next(Verified)
            assert (looked.fitness, looked.fit, looked.is_missing) == (None, False, False)
            assert (looked.error or "").partition(" (")[0] == (error or "")

    asyncio.run(scene())


def test_a_guess_that_the_problem_cannot_read_is_invalid() -> None:
    source = OBEDIENT.replace("        return data\n", "        raise ValueError('no program of ours')\n")
    ref = resolve("obedient.py:Obedient", source)
    problem = ProblemUse(ref.reference, ref.digest, "obedient", "1", ref.source)

    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            b.pool.verify(verify(problem, b"made up"))
            looked = await b.next(Verified)
            # With an error it would stand, as one that nobody could look at.
            assert (looked.genome, looked.fitness, looked.fit, looked.error) == (b"made up", None, False, None)

    asyncio.run(scene())


def test_a_budget_lowered_below_what_is_used_ends_the_island() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            order = start(data={"bits": 5000})
            b.pool.start_island(order)
            begun = time.monotonic()
            used = (await b.next(IslandReported)).snapshot.counters.evaluations
            b.pool.limit_island(LimitIsland(0, order.island, Budget(None, 1)))
            while not (report := await b.next(IslandReported)).is_spent:
                assert time.monotonic() < begun + 20
            assert report.snapshot.counters.evaluations >= used > 1

    asyncio.run(scene())


def test_workers_that_owe_nothing_are_not_looked_at_and_the_first_task_changes_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            looks: list[float] = []
            look = b.pool.look
            await asyncio.sleep(3 * LOOK_SECONDS)  # one may be under way
            monkeypatch.setattr(b.pool, "look", lambda now: (looks.append(now), look(now)))
            await asyncio.sleep(10 * LOOK_SECONDS)
            assert looks == []
            b.pool.start_island(start())
            await b.next(IslandReported)
            async with asyncio.timeout(5):
                while not looks:
                    await asyncio.sleep(LOOK_SECONDS)

    asyncio.run(scene())


def test_a_worker_with_nothing_to_do_is_idle_before_it_says_so_and_that_counts_once() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.ready()
            loop = asyncio.get_running_loop()
            begun, idle = loop.time(), [b.pool.spent().idle]
            await asyncio.sleep(1.0)
            idle.append(b.pool.spent().idle)
            b.pool.verify(verify())  # The answer does not say how long it was idle.
            await b.next(Verified)
            await asyncio.sleep(1.0)
            b.pool.start_island(start())
            idle.append(b.pool.spent().idle)
            await b.next(IslandReported)
            idle.append(b.pool.spent().idle)
            assert idle == sorted(idle)
            assert idle[1] - idle[0] > 0.95
            # A worker is idle from its first word on, which is underway a moment before the pool hears it.
            assert 1.9 < idle[2] - idle[0] <= idle[3] - idle[0] < loop.time() - begun + 0.8

    asyncio.run(scene())
