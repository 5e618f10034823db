"""Writing checkpoints without holding evolution up."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

from distevo.checkpoint import Checkpoint, encode_checkpoint
from distevo.errors import CheckpointError, Conflict, StoreError
from distevo.names import checkpoint_name
from distevod.store import Store


class AsyncCheckpointManager:
    """Encodes and stores the checkpoints of one platform in an executor's threads.

    `compression_level` is zlib's, 1 (fast) to 9 (small); with `enable_compression` false, nothing is compressed.
    """

    def __init__(
        self,
        platform_id: str,
        store: Store,
        executor: Executor,
        *,
        enable_compression: bool = True,
        compression_level: int = 6,
    ) -> None:
        self.platform_id = platform_id
        self._store, self._executor = store, executor
        self._level = compression_level if enable_compression else 0
        self.saved = self.failed = 0
        self.bytes_saved = 0
        self.seconds = 0.0
        """Time that encoding and storing took, all checkpoints together."""

    async def save_checkpoint_async(self, checkpoint: Checkpoint) -> str:
        """Make the checkpoint durable and return its name.

        Raises StoreError when that failed or is not known, and CheckpointError for one that cannot be encoded.
        """
        try:
            name, size, seconds = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._save, checkpoint
            )
        except (StoreError, CheckpointError):
            self.failed += 1
            raise
        self.saved += 1
        self.bytes_saved += size
        self.seconds += seconds
        return name

    def _save(self, checkpoint: Checkpoint) -> tuple[str, int, float]:
        """(name, bytes, seconds that it took)."""
        begun = time.perf_counter()
        data = encode_checkpoint(checkpoint, self._level)
        name = checkpoint_name(checkpoint.member, checkpoint.boot, checkpoint.sequence)
        try:
            self._store.create(name, data)
        except Conflict:
            # No one else makes this boot's names: an earlier try whose answer was lost.
            if self._store.read(name)[0] != data:
                raise
        return name, len(data), time.perf_counter() - begun
