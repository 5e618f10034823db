"""The pool: the worker processes of a daemon. It starts them, talks to them, and tells how they died."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from distevo.checkpoint import IslandSnapshot
from distevo.events import (
    Death,
    Event,
    IslandFailed,
    IslandId,
    IslandReported,
    Verified,
    WorkerDied,
    WorkerReady,
)
from distevo.instructions import LimitIsland, StartIsland, StopIsland, VerifyProgram
from distevod.evolution.page import EVALUATING, IDLE, Page, Reading
from distevod.evolution.wire import (
    EXIT_MEMORY,
    Failed,
    Finish,
    Frames,
    Limit,
    Looked,
    Ready,
    Report,
    Start,
    Stop,
    ToWorker,
    Verify,
    decode_from_worker,
    frame,
)

LOOK_SECONDS = 0.05
"""How often the pages of busy workers are looked at."""
BUSY_SECONDS = 30.0
"""How long a worker may work outside any evaluation without a sign of life: loading a problem, varying."""


@dataclass(slots=True)
class _Island:
    """One start of an island in a worker."""

    id: IslandId
    snapshot: IslandSnapshot | None
    """None for a verification."""


@dataclass(slots=True)
class _Process:
    """One worker process."""

    slot: int
    popen: subprocess.Popen[bytes]
    page: Page
    transport: asyncio.Transport | None = None
    islands: dict[int, _Island] = field(default_factory=dict)
    is_timed_out: bool = False
    last: Reading | None = None
    moved_at: float = 0.0


class Pool:
    """All workers. Each event goes to `on_event`, called from the event loop."""

    def __init__(
        self,
        *,
        memory_mb: int,
        batch_size: int,
        generation_seconds: float,
        evaluation_timeout_seconds: float,
        on_event: Callable[[Event], None],
    ) -> None:
        """`memory_mb` is for each worker; the two times are in seconds."""
        self._memory_mb, self._batch_size = memory_mb, batch_size
        self._generation_seconds, self._evaluation_timeout = generation_seconds, evaluation_timeout_seconds
        self._on_event = on_event
        self._processes: dict[int, _Process] = {}
        self._numbers = itertools.count(1)
        self._looking: asyncio.Task[None] | None = None
        self._is_finishing = False
        self._all_gone = asyncio.Event()

    def pids(self) -> dict[int, int]:
        """Process id of the worker in each slot."""
        return {slot: process.popen.pid for slot, process in sorted(self._processes.items())}

    def launch(self, slot: int) -> None:
        """Start a worker process for a slot. It needs no event loop yet, so that it can start up early."""
        ours, theirs = socket.socketpair()
        page = Page.create()
        command = [
            sys.executable,
            "-m",
            "distevod.evolution.worker",
            str(theirs.fileno()),
            str(page.descriptor),
            str(os.getpid()),
            str(self._memory_mb),
        ]
        # One thread for each worker: the cores are shared out among workers already.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        popen = subprocess.Popen(
            command,
            pass_fds=(theirs.fileno(), page.descriptor),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
        )
        theirs.close()
        ours.setblocking(False)
        process = _Process(slot, popen, page)
        self._processes[slot] = process
        loop = asyncio.get_running_loop()
        connecting = loop.create_task(loop.create_unix_connection(lambda: _Link(self, process), sock=ours))
        connecting.add_done_callback(lambda task: task.result())
        if self._looking is None:
            self._looking = loop.create_task(self._look())

    def start_island(self, order: StartIsland, now: float) -> None:
        """Carry out `StartIsland`."""
        process = self._processes[order.slot]
        number = next(self._numbers)
        process.islands[number] = _Island(order.island, order.snapshot)
        process.moved_at = now
        self._send(
            process,
            Start(
                number=number,
                problem=order.problem,
                data=order.task,
                islands=order.islands,
                population_size=order.population_size,
                batch_size=self._batch_size,
                generation_seconds=self._generation_seconds,
                attempt=order.attempt,
                budget=order.budget,
                snapshot=order.snapshot,
            ),
        )

    def limit_island(self, order: LimitIsland) -> None:
        """Carry out `LimitIsland`."""
        process = self._processes[order.slot]
        for number in self._numbers_of(process, order.island):
            self._send(process, Limit(number, order.budget))

    def stop_island(self, order: StopIsland) -> None:
        """Carry out `StopIsland`. Reports that are on their way no longer count."""
        process = self._processes[order.slot]
        for number in self._numbers_of(process, order.island):
            del process.islands[number]
            self._send(process, Stop(number))

    def verify(self, order: VerifyProgram) -> None:
        """Carry out `VerifyProgram`."""
        process = self._processes[order.slot]
        number = next(self._numbers)
        process.islands[number] = _Island(IslandId(order.run, order.task, 0), None)
        self._send(process, Verify(number, order.problem, order.data, order.genome))

    async def finish(self, grace: float) -> None:
        """Let all workers end their generation and go; kill those that have not after `grace` seconds."""
        self._is_finishing = True
        for process in self._processes.values():
            self._send(process, Finish())
        try:
            async with asyncio.timeout(grace):
                await self._gone()
        except TimeoutError:
            self.kill()
            await self._gone()
        if self._looking is not None:
            self._looking.cancel()

    def kill(self) -> None:
        """End all workers at once."""
        for process in self._processes.values():
            process.popen.kill()

    async def _gone(self) -> None:
        while self._processes:
            self._all_gone.clear()
            await self._all_gone.wait()

    @staticmethod
    def _numbers_of(process: _Process, island: IslandId) -> list[int]:
        return [n for n, known in process.islands.items() if known.id == island and known.snapshot is not None]

    @staticmethod
    def _send(process: _Process, message: ToWorker) -> None:
        if process.transport is not None:
            process.transport.write(frame(message))

    # --- what workers do -------------------------------------------------------------------------

    def heard(self, process: _Process, body: bytes) -> None:
        """A worker has said something."""
        message = decode_from_worker(body)
        slot = process.slot
        if isinstance(message, Ready):
            self._on_event(WorkerReady(slot))
            return
        known = process.islands.get(message.number)
        if known is None:
            return  # Stopped meanwhile.
        match message:
            case Report():
                assert known.snapshot is not None
                known.snapshot = msgspec.structs.replace(
                    known.snapshot,
                    generation=message.generation,
                    cursor=message.cursor,
                    optimizer=message.optimizer,
                    counters=message.counters,
                    population=known.snapshot.population if message.population is None else message.population,
                )
                if message.is_fit or message.is_spent:
                    del process.islands[message.number]
                self._on_event(
                    IslandReported(slot, known.id, known.snapshot, message.is_fit, message.is_spent, message.warning)
                )
            case Failed():
                del process.islands[message.number]
                self._on_event(IslandFailed(slot, known.id, message.error))
            case Looked():
                del process.islands[message.number]
                self._on_event(
                    Verified(
                        known.id.run, known.id.task, message.fitness, message.is_fit, message.is_solved, message.error
                    )
                )

    def lost(self, process: _Process) -> None:
        """A worker's socket has closed: it is gone, or as good as gone."""
        process.popen.kill()
        status = process.popen.wait()
        reading = process.page.read()
        process.page.close()
        del self._processes[process.slot]
        if not self._processes:
            self._all_gone.set()
        if self._is_finishing:
            return
        known = process.islands.get(reading.island) if reading.state != IDLE else None
        self._on_event(
            WorkerDied(
                process.slot,
                _cause(status, process.is_timed_out),
                known.id if known else None,
                reading.genome if known else None,
            )
        )

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = loop.time()
            for process in list(self._processes.values()):
                if process.islands:
                    self._look_at(process, now)

    def _look_at(self, process: _Process, now: float) -> None:
        reading = process.page.read()
        if reading != process.last or reading.state == IDLE:
            process.last, process.moved_at = reading, now
            return
        limit = self._evaluation_timeout
        if reading.state != EVALUATING:
            limit = max(limit, BUSY_SECONDS)
        if now - process.moved_at > limit and not process.is_timed_out:
            process.is_timed_out = True
            process.popen.kill()


class _Link(asyncio.Protocol):
    """The daemon's end of a worker's socket."""

    def __init__(self, pool: Pool, process: _Process) -> None:
        self._pool, self._process = pool, process
        self._frames = Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._process.transport = transport

    def data_received(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            self._pool.heard(self._process, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.lost(self._process)


def _cause(status: int, is_timed_out: bool) -> Death:
    if is_timed_out:
        return Death.TIME_OUT
    if status == EXIT_MEMORY:
        return Death.MEMORY
    return Death.KILLED if status == -signal.SIGKILL else Death.CRASHED
