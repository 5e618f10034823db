"""Writing checkpoints without holding evolution up."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

from distevo.checkpoint import Checkpoint, encode_checkpoint
from distevo.errors import CheckpointError, CheckpointReplaced, Conflict, StoreError
from distevo.names import checkpoint_name
from distevod.store import Store

FAST_LEVEL = 1
"""Takes a sixth of the time of level 6, and a third more bytes."""


class AsyncCheckpointManager:
    """Encodes, compresses and stores the checkpoints of one platform in an executor's threads.

    `compression_level` is zlib's, 1 (fast) to 9 (small); with `enable_compression` false, nothing is compressed.
    At most `max_concurrent_uploads` are on their way at a time. Of those that wait for that the newest takes the place
    of the one before, whose caller gets `CheckpointReplaced`: it holds all that the older one held.
    """

    def __init__(
        self,
        platform_id: str,
        store: Store,
        executor: Executor,
        *,
        enable_compression: bool = True,
        compression_level: int = 6,
        max_concurrent_uploads: int = 10,
    ) -> None:
        self.platform_id = platform_id
        self._store, self._executor = store, executor
        self._level = compression_level if enable_compression else 0
        self._free = max_concurrent_uploads
        self._waiting: asyncio.Future[bool] | None = None
        """Becomes true when it may begin, false when a newer one has come."""
        self.saved = self.failed = self.replaced = 0
        self.bytes_saved = 0
        self.seconds = 0.0
        """Time that encoding and storing took, all checkpoints together."""
        self.cpu_seconds = 0.0
        """Processor time of that."""
        self.loop_seconds = 0.0
        """At most so much processor time of the event loop went into checkpoints; whoever runs the loop counts it."""

    def hasten(self) -> None:
        """An end waits for what is saved from now on: it is compressed fast."""
        self._level = min(self._level, FAST_LEVEL)

    async def save_checkpoint_async(self, checkpoint: Checkpoint) -> str:
        """Make the checkpoint durable and return its name.

        Raises StoreError when that failed or is not known, CheckpointError for one that cannot be encoded, and
        CheckpointReplaced for one whose place a newer one took.
        """
        await self._turn()
        try:
            name, size, seconds, cpu_seconds = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._save, checkpoint
            )
        except (StoreError, CheckpointError):
            self.failed += 1
            raise
        finally:
            self._leave()
        self.saved += 1
        self.bytes_saved += size
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds
        return name

    async def _turn(self) -> None:
        """Wait until fewer are on their way."""
        if self._free:
            self._free -= 1
            return
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(False)
        mine = self._waiting = asyncio.get_running_loop().create_future()
        try:
            is_mine = await mine
        except asyncio.CancelledError:
            if self._waiting is mine:
                self._waiting = None
            elif mine.done() and not mine.cancelled() and mine.result():
                self._leave()
            raise
        if not is_mine:
            self.replaced += 1
            raise CheckpointReplaced("a newer checkpoint took its place")

    def _leave(self) -> None:
        """One has arrived, or failed: the one that waits is next."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():  # It may have been given up, and not know it yet.
            waiting.set_result(True)
        else:
            self._free += 1

    def _save(self, checkpoint: Checkpoint) -> tuple[str, int, float, float]:
        """(name, bytes, seconds that it took, processor time of that)."""
        begun, begun_cpu = time.perf_counter(), time.thread_time()
        data = encode_checkpoint(checkpoint, self._level)
        name = checkpoint_name(checkpoint.member, checkpoint.boot, checkpoint.sequence)
        try:
            self._store.create(name, data)
        except Conflict:
            # No one else makes this boot's names: an earlier try whose answer was lost.
            if self._store.read(name)[0] != data:
                raise
        return name, len(data), time.perf_counter() - begun, time.thread_time() - begun_cpu
