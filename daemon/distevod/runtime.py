"""The runtime: an asyncio shell around the node. It feeds events and carries out instructions, and decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from distevo.encoding import encoded
from distevo.errors import (
    CheckpointError,
    CheckpointReplaced,
    Conflict,
    NotFound,
    StoreError,
    StoreUnavailable,
    Unknown,
)
from distevo.events import (
    CheckpointFailed,
    CheckpointSaved,
    CheckpointWanted,
    Event,
    Outcome,
    StopRequested,
    StoreAnswer,
    Tick,
    WorkersFinished,
)
from distevo.instructions import (
    Admit,
    CreateObject,
    DeleteObject,
    Dial,
    EncodeResult,
    Exit,
    FinishWorkers,
    HangUp,
    Instruction,
    LimitIsland,
    ListObjects,
    Log,
    ReadObject,
    ReplaceObject,
    SaveCheckpoint,
    Send,
    SkipKeys,
    StartIsland,
    StartWorker,
    StopIsland,
    StoreInstruction,
    TakeMigrants,
    VerifyProgram,
)
from distevo.node import Node
from distevo.node_settings import NodeSettings
from distevo.sharding import Shard, by_capability
from distevo.stopwatch import Stopwatch
from distevod.addresses import advertised
from distevod.checkpoints import AsyncCheckpointManager
from distevod.evolution.launcher import Launcher
from distevod.evolution.pool import Pool
from distevod.lanes import Lanes, in_lane
from distevod.logs import fields, keep_bounded
from distevod.problems.loader import BUILT_IN
from distevod.settings import Settings
from distevod.store import Store, folder_of
from distevod.threads import in_daemon_thread
from distevod.transport import Transport, load_or_make
from distevod.usage import LOOK_SECONDS, DiskWatch, disk_watches, usage

LOG_SECONDS = 2.0
"""How often the size of the log file is looked at: problems print into it, too."""
KEY = "key"
"""The file in the state folder with the platform's key pair."""

log = logging.getLogger("distevod")


class Runtime:
    """One running daemon."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        boot: str,
        rng: random.Random,
        own_submissions: frozenset[str],
        shard: Shard = by_capability,
        launcher: Launcher | None = None,
    ) -> None:
        self.settings, self.store, self.boot = settings, store, boot
        keys = load_or_make(settings.state_dir / KEY)
        listen = next(iter(settings.listen), None)
        self.transport = Transport(keys, self.feed, listen=listen, socks_proxy=settings.socks_proxy or None)
        self.lanes = Lanes(settings.max_concurrent_uploads)
        self.node = Node(
            NodeSettings(
                member=settings.id,
                boot=boot,
                kind=settings.kind,
                workers=settings.workers,
                memory_mb=settings.memory_mb,
                batch_size=settings.batch_size,
                key=keys.public,
                endpoints=self._listen(),
                peers=settings.peer,
                islands=settings.islands_per_platform,
                priority=settings.coordinator_priority,
                allow_problems=settings.allow_problems,
                built_in=frozenset(BUILT_IN),
                lease_ttl=settings.lease_ttl,
                swap_interval=store.swap_interval,
                heartbeat_interval=settings.heartbeat_interval,
                heartbeat_timeout=settings.heartbeat_timeout,
                mail_interval=store.mail_interval if settings.mail_interval is None else settings.mail_interval,
                checkpoint_generations=settings.checkpoint_generations,
                checkpoint_seconds=settings.checkpoint_seconds,
                checkpoint_least_seconds=store.checkpoint_interval,
                merge_interval=settings.merge_interval,
                preserve_top_n=settings.preserve_top_n,
                session_limit=settings.session_limit,
                shard=shard,
                avg_generation_time_threshold=settings.avg_generation_time_threshold,
            ),
            rng,
            own_submissions,
            Stopwatch(time.thread_time),
        )
        self.pool = Pool(
            launcher or Launcher(settings.worker_memory_mb),
            batch_size=settings.batch_size,
            generation_seconds=settings.generation_seconds,
            evaluation_timeout_seconds=settings.evaluation_timeout_seconds,
            on_event=self.feed,
            on_fault=self.fail,
            platform=settings.id,
        )
        self.checkpoints = AsyncCheckpointManager(
            settings.id,
            store,
            self.lanes.uploads,
            enable_compression=settings.enable_compression,
            compression_level=settings.compression_level,
            max_concurrent_uploads=settings.max_concurrent_uploads,
        )
        self._disks = disk_watches(settings.state_dir, folder_of(settings.store))
        self.metrics: str | None = None
        """Address of the metrics page, once it is served."""
        self.watchers: list[Callable[[], None]] = []
        """Called after each event that the node has taken in."""
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone: asyncio.Future[Exit] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a plan has this platform, and workers are at the islands that it has here, if there are any."""
        node = self.node
        return node.is_alive(node.owner) and (node.foreman.is_empty or self.pool.is_at_work)

    def _listen(self) -> tuple[str, ...]:
        """Begin to listen; returns where others can dial."""
        self.transport.start()
        endpoint = self.transport.endpoint
        return self.settings.advertise or advertised(endpoint) if endpoint is not None else ()

    def latencies(self) -> dict[str, float]:
        """Seconds that the network takes there and back, by the members with whom there is a link."""
        found = {member: self.transport.latency(link) for member, link in self.node.router.links().items()}
        return {member: latency for member, latency in found.items() if latency is not None}

    @staticmethod
    def now() -> float:
        """Seconds on a clock that goes on while the machine is suspended."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def run(self, ready: Callable[[], None], over: Callable[[], Awaitable[None]] | None = None) -> Exit:
        """Work until a stop; returns how the node left. Raises whatever ended it instead.

        `over` is awaited before anything is closed that requests of people need.
        """
        self._gone = asyncio.get_running_loop().create_future()
        try:
            self._carry_out(self.node.start(self.now()))
            for disk in self._disks:
                self._spawn(self._watch(disk))
            self._look_at_log()
            ready()
            return await self._gone
        finally:
            self.pool.kill()
            if self._timer is not None:
                self._timer.cancel()
            try:
                if over is not None:
                    await over()
            finally:
                await self.transport.close()
                self.lanes.close()

    async def _watch(self, disk: DiskWatch) -> None:
        """In threads of its own: a file server that is dead says never how much room it has."""
        while not self._is_gone():
            with contextlib.suppress(BlockingIOError):  # no thread is left for now, and the next look may have one
                if (reason := await in_daemon_thread(disk.look)) is not None:
                    self.feed(CheckpointWanted(reason))
            await asyncio.sleep(LOOK_SECONDS)

    def _look_at_log(self) -> None:
        if not self._is_gone():
            keep_bounded()
            asyncio.get_running_loop().call_later(LOG_SECONDS, self._look_at_log)

    def stop(self) -> None:
        """Ask for a clean end."""
        log.info("stopping")
        self.feed(StopRequested())

    async def until(
        self, condition: Callable[[], bool], seconds: float, begin: Callable[[], None] | None = None
    ) -> None:
        """Wait until this is true after some event; `begin` is called first. Raises TimeoutError after so long."""
        happened = asyncio.Event()

        def watch() -> None:
            if condition():
                happened.set()

        self.watchers.append(watch)
        try:
            if begin is not None:
                begin()
            watch()
            async with asyncio.timeout(seconds):
                await happened.wait()
        finally:
            self.watchers.remove(watch)

    def feed(self, event: Event) -> None:
        """Hand an event to the node and carry out what it says."""
        if self._is_gone():
            return
        try:
            self._carry_out(self._handled(event))
            for watcher in list(self.watchers):
                watcher()
        except Exception as error:  # noqa: BLE001 - whoever fed the event could not do anything about it
            self.fail(error)

    def _handled(self, event: Event) -> list[Instruction]:
        """What the node says to an event; what checkpoints cost here is counted."""
        begun = time.thread_time()
        instructions = self.node.handle(event, self.now())
        if isinstance(event, CheckpointSaved) or any(isinstance(order, SaveCheckpoint) for order in instructions):
            self.checkpoints.loop_seconds += time.thread_time() - begun
        return instructions

    def fail(self, error: BaseException) -> None:
        """End with this error, a fault of ours.

        Better a daemon that ends and is restarted from its checkpoint than one that limps.
        """
        if self._gone is None or self._gone.done():
            log.error("a fault after the end", exc_info=error)
        else:
            self._gone.set_exception(error)

    def _carry_out(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            self._do(instruction)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.node.next_deadline()
        if deadline is not None and not self._is_gone():
            delay = max(deadline - self.now(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay, self.feed, Tick())

    def _do(self, instruction: Instruction) -> None:
        match instruction:
            case ReadObject() | CreateObject() | ReplaceObject() | ListObjects() | DeleteObject():
                self._spawn(self._ask_store(instruction))
            case StartWorker():
                self.pool.launch(instruction.slot)
            case StartIsland():
                self.pool.start_island(instruction)
            case LimitIsland():
                self.pool.limit_island(instruction)
            case StopIsland():
                self.pool.stop_island(instruction)
            case TakeMigrants():
                self.pool.take_migrants(instruction)
            case SkipKeys():
                self.pool.skip_keys(instruction)
            case VerifyProgram():
                self.pool.verify(instruction)
            case FinishWorkers():
                self.checkpoints.hasten()
                self._spawn(self._finish(instruction))
            case SaveCheckpoint():
                self._spawn(self._save(instruction))
            case EncodeResult():
                self._spawn(self._encode(instruction))
            case Log():
                level = getattr(logging, instruction.level.upper())
                log.log(level, instruction.message, extra=fields(**instruction.fields))
            case Dial() | HangUp() | Send():
                self.transport.carry_out(instruction)
            case Admit():
                self.transport.admit(instruction.denied)
            case Exit():
                if self._gone is not None and not self._gone.done():
                    self._gone.set_result(instruction)

    async def _ask_store(self, instruction: StoreInstruction) -> None:
        self.feed(await in_lane(self.lanes.of(instruction), ask_store, self.store, instruction))

    async def _save(self, instruction: SaveCheckpoint) -> None:
        try:
            await self.checkpoints.save_checkpoint_async(instruction.checkpoint)
        except (StoreError, CheckpointError, CheckpointReplaced) as error:
            self.feed(CheckpointFailed(instruction.sequence, str(error)))
        else:
            begun = time.thread_time()
            used = usage(self.pool.pids().values(), len(instruction.checkpoint.islands))
            self.checkpoints.loop_seconds += time.thread_time() - begun
            self.feed(CheckpointSaved(instruction.sequence, used))

    async def _encode(self, instruction: EncodeResult) -> None:
        self.feed(await in_lane(self.lanes.encoding, encoded, instruction))

    async def _finish(self, instruction: FinishWorkers) -> None:
        await self.pool.finish(instruction.grace)
        self.feed(WorkersFinished())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    def _is_gone(self) -> bool:
        return self._gone is not None and self._gone.done()


def ask_store(store: Store, instruction: StoreInstruction) -> StoreAnswer:
    """Carry out one store instruction; blocking."""
    op = instruction.op
    try:
        match instruction:
            case ReadObject(name=name):
                data, token = store.read(name)
                return StoreAnswer(op, Outcome.DONE, data=data, token=token)
            case CreateObject(name=name, data=data):
                return StoreAnswer(op, Outcome.DONE, token=store.create(name, data))
            case ReplaceObject(name=name, data=data, token=token):
                return StoreAnswer(op, Outcome.DONE, token=store.replace(name, data, token))
            case ListObjects(prefix=prefix):
                return StoreAnswer(op, Outcome.DONE, names=tuple(store.list(prefix)))
            case DeleteObject(name=name):
                store.delete(name)
                return StoreAnswer(op, Outcome.DONE)
    except NotFound as error:
        return StoreAnswer(op, Outcome.MISSING, reason=str(error))
    except Conflict as error:
        return StoreAnswer(op, Outcome.CONFLICT, reason=str(error))
    except StoreUnavailable as error:
        return StoreAnswer(op, Outcome.UNAVAILABLE, reason=str(error))
    except Unknown as error:
        return StoreAnswer(op, Outcome.UNKNOWN, reason=str(error))
