"""A worker: a process of its own that evolves islands, since a program may loop, leak or crash.

Started as `python -m distevod.evolution.worker SOCKET PAGE PARENT MEMORY_MB` with two inherited descriptors. It takes
turns among the islands of its earliest task, reports each generation, and does not outlive its daemon.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections import deque
from typing import Any

import msgspec

from distevo.block import unpack
from distevo.checkpoint import IslandSnapshot
from distevo.errors import ProblemError
from distevo.problem import Contract
from distevo.run import Budget, ProblemUse
from distevod.evolution.island import Generation, Island, IslandSettings
from distevod.evolution.page import Page
from distevod.evolution.raised import RAISED, spoils_one, words
from distevod.evolution.spent import Spent
from distevod.evolution.trace import Trace
from distevod.evolution.wire import (
    EXIT_MEMORY,
    Failed,
    Finish,
    Frames,
    FromWorker,
    Limit,
    Looked,
    Missing,
    Ready,
    Report,
    Skip,
    Start,
    Stop,
    Stopped,
    Take,
    ToWorker,
    Verify,
    decode_to_worker,
    frame,
)
from distevod.evolution.yardstick import yardstick
from distevod.printed import never_raise
from distevod.problems.loader import ProblemRef, load
from distevod.profiling import profiled

_PR_SET_PDEATHSIG = 1

TaskKey = tuple[str, bytes]


class ProblemAbsent(ProblemError):  # noqa: N818 - says what is wrong
    """This platform cannot load the problem, has another version of it, or lacks what a task needs."""


class Running:
    """An island in this worker."""

    def __init__(self, number: int, key: TaskKey, island: Island, budget: Budget, snapshot: IslandSnapshot) -> None:
        self.number, self.key, self.island, self.budget = number, key, island, budget
        self.counters = snapshot.counters
        self._population = snapshot.population

    def generation(self, spent: Spent) -> Report:
        """One generation, as a report. What it `spent` is added there."""
        done: Generation = self.island.generation(self._most())
        spent.packing += done.packing
        snapshot = done.snapshot
        self.counters = counters = snapshot.counters
        population = None if snapshot.population is self._population else snapshot.population
        self._population = snapshot.population
        return Report(
            number=self.number,
            generation=snapshot.generation,
            cursor=snapshot.cursor,
            optimizer=snapshot.optimizer,
            population=population,
            counters=counters,
            is_fit=done.is_fit,
            is_spent=self.budget.is_used(counters.cpu_seconds, counters.evaluations, counters.duplicates),
            warning=done.warning,
            taken=done.taken,
            evaluated=done.evaluated,
            spent=spent,
        )

    def _most(self) -> int | None:
        if self.budget.evaluations is None:
            return None
        # A budget may be lowered below what has been used already.
        return max(self.budget.evaluations - self.counters.evaluations, 0)


class Worker:
    """The loop of the process."""

    def __init__(self, connection: socket.socket, page: Page) -> None:
        self._connection, self._page = connection, page
        self._frames = Frames()
        self._tasks: dict[TaskKey, deque[Running]] = {}
        self._contracts: dict[TaskKey, Contract] = {}
        self._classes: dict[str, type] = {}
        self._is_finishing = self._has_garbage = False
        self._spent = Spent()
        self._trace = Trace.wanted()

    def run(self) -> None:
        """Work until told to finish, or until the daemon is gone."""
        self._send(Ready(yardstick()))
        while not self._is_finishing:
            if self._has_garbage:
                # A problem and what it caches are often a cycle, and `main` lets cycles be looked for but seldom.
                self._has_garbage = False
                gc.collect()
            if not self._listen():
                return
            if self._tasks and not self._is_finishing:
                self._turn()

    def _listen(self) -> bool:
        """Take in what the daemon has said; wait for it if there is nothing else to do. False: it is gone."""
        flags = 0
        if self._tasks:
            flags = socket.MSG_DONTWAIT
        else:
            self._page.idle()
        while True:
            self._page.end_copy()
            begun = time.perf_counter()
            try:
                data = self._connection.recv(1 << 20, flags)
            except BlockingIOError:
                return True
            except ConnectionResetError:
                return False
            if not data:
                return False
            if not flags:
                self._spent.idle += time.perf_counter() - begun
            for body in self._frames.feed(data):
                self._obey(decode_to_worker(body))
            flags = socket.MSG_DONTWAIT

    def _obey(self, message: ToWorker) -> None:
        # An island that has just ended is not among those running: what is for it comes to nothing.
        match message:
            case Start():
                self._start(message)
            case Limit():
                for running in self._running(message.number):
                    running.budget = message.budget
            case Stop():
                for running in self._running(message.number):
                    self._drop(running)
                self._send(Stopped(message.number))
            case Take():
                begun = time.thread_time()
                for running in self._running(message.number):
                    self._page.busy(message.number)
                    running.island.take(message.batch, message.block)
                self._spent.merging += time.thread_time() - begun
            case Skip():
                for running in self._running(message.number):
                    running.island.skip(message.keys)
            case Verify():
                self._verify(message)
            case Finish():
                self._is_finishing = True

    def _start(self, message: Start) -> None:
        self._page.busy(message.number)
        key = (message.problem.reference + message.problem.digest, message.data)
        try:
            contract = self._contract(key, message.problem, message.data)
            settings = IslandSettings(
                islands=message.islands,
                population_size=message.population_size,
                batch_size=message.batch_size,
                generation_seconds=message.generation_seconds,
                attempt=message.attempt,
                restart_after=message.restart_after,
                platform=message.platform,
                seeds=_genomes(contract, message.seeds),
            )
            island = Island(contract, settings, message.snapshot, self._page, self._trace)
        except MemoryError:
            raise
        except RAISED as error:  # its words go to the user
            answer = Missing if isinstance(error, ProblemAbsent) else Failed
            self._send(answer(message.number, words(error)))
            self._forget(key)
            return
        running = Running(message.number, key, island, message.budget, message.snapshot)
        self._tasks.setdefault(key, deque()).append(running)

    def _turn(self) -> None:
        islands = next(iter(self._tasks.values()))
        running = islands[0]
        islands.rotate(-1)
        self._page.busy(running.number)
        try:
            report = running.generation(self._spent)
        except MemoryError:
            raise
        except RAISED as error:  # its words go to the user
            self._send(Failed(running.number, words(error)))
            self._drop(running)
            return
        self._send(report)
        if report.is_fit or report.is_spent:
            self._drop(running)

    def _verify(self, message: Verify) -> None:
        self._page.busy(message.number)
        key = (message.problem.reference + message.problem.digest, message.data)
        try:
            contract = self._contract(key, message.problem, message.data)
            self._page.begin(message.genome)
            answer = self._look(message.number, contract, message.genome)
        except MemoryError:
            raise
        except RAISED as error:  # its words go to the user
            answer = Looked(message.number, None, False, None, words(error), isinstance(error, ProblemAbsent))
        self._page.end()
        self._send(answer)
        self._forget(key)

    @staticmethod
    def _look(number: int, contract: Contract, data: bytes) -> Looked:
        """What a program is worth. As in an island, one that cannot be decoded, or of which the evaluation raises, is
        invalid; not so where this machine may lack something, of which no program is to blame."""
        try:
            genome = contract.decode(data)
            evaluation = contract.evaluate(genome)
        except (OSError, ImportError):
            raise
        except RAISED as error:
            if not spoils_one(error):
                raise
            return Looked(number, None, False, None, None)
        solved: bool | None = None
        said: str | None = None
        if contract.has_verify:
            try:
                solved = evaluation.fit and contract.verify(genome)
            except MemoryError:
                raise
            except RAISED as error:  # its words go to the user
                said = words(error)
        return Looked(number, evaluation.fitness, evaluation.fit, solved, said)

    def _contract(self, key: TaskKey, problem: ProblemUse, data: bytes) -> Contract:
        contract = self._contracts.get(key)
        if contract is None:
            made = self._class(key[0], problem)
            try:
                contract = Contract(made(msgspec.json.decode(data)))
            except (OSError, ImportError) as error:
                # Where it was submitted every task could be made: others may have the file or module that is not here.
                raise ProblemAbsent(f"this platform lacks what a task needs: {words(error)}") from error
            if (contract.name, contract.version) != (problem.name, problem.version):
                raise ProblemAbsent(
                    f"this platform has {contract.name} {contract.version}, "
                    f"the run was made for {problem.name} {problem.version}"
                )
            self._contracts[key] = contract
        return contract

    def _class(self, key: str, problem: ProblemUse) -> type:
        made = self._classes.get(key)
        if made is None:
            try:
                made = load(ProblemRef(reference=problem.reference, source=problem.source, digest=problem.digest))
            except MemoryError:
                raise
            except RAISED as error:
                raise ProblemAbsent(words(error)) from error
            self._classes[key] = made
        return made

    def _running(self, number: int) -> list[Running]:
        """The island with this number; none if it does not run here any more."""
        return [running for islands in self._tasks.values() for running in islands if running.number == number]

    def _drop(self, running: Running) -> None:
        islands = self._tasks[running.key]
        islands.remove(running)
        if not islands:
            del self._tasks[running.key]
            self._forget(running.key)

    def _forget(self, key: TaskKey) -> None:
        """A task that no island here works on gives its memory back."""
        if key not in self._tasks and self._contracts.pop(key, None) is not None:
            self._has_garbage = True

    def _send(self, message: FromWorker) -> None:
        self._page.end_copy()
        data = frame(message)
        try:
            sent = self._connection.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            # The daemon has not taken in what was said before. (That it runs as soon as something is said, before this
            # process goes on, is no waiting.)
            begun = time.perf_counter()
            self._connection.sendall(memoryview(data)[sent:])
            self._spent.sending += time.perf_counter() - begun


def _genomes(contract: Contract, block: bytes) -> tuple[bytes, ...]:
    return tuple(program.genome for program in unpack(block, contract.keyer)) if block else ()


def _die_with(parent: int) -> None:
    """Be killed when the daemon ends, however it ends; the socket's end alone would not reach a hung evaluation."""
    libc: Any = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the daemon is gone")


def main() -> None:
    """Entry of the process."""
    descriptor, page_descriptor, parent, memory_mb = (int(argument) for argument in sys.argv[1:5])
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    never_raise()
    faulthandler.enable()
    # Heap and private mappings: what a program can fill. RLIMIT_AS would count libraries and reserved space too.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
    # What is loaded stays. What evolution makes is freed by its reference counts; looking for cycles as often as
    # Python does by default costs several percent, since populations are many small containers.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    page = Page(page_descriptor)
    page.end_copies()
    worker = Worker(socket.socket(fileno=descriptor), page)
    try:
        with profiled("worker"):
            worker.run()
    except MemoryError:
        # At once: the page still names the program, and unwinding could need memory.
        os._exit(EXIT_MEMORY)
    except (BrokenPipeError, ConnectionResetError):
        sys.exit("the daemon is gone")
    except BaseException:  # noqa: BLE001 - whatever it is, the daemon has to hear of its end
        # At once, too: the page still names the program, and a thread that a problem has left would be waited for.
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
