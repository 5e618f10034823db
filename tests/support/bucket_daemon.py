"""`distevod` with more checkpoints in a bucket than it would make, so that a test need not wait for half a minute.

python -m tests.support.bucket_daemon start ...
"""

from __future__ import annotations

from distevo_ctl.daemon import main
from distevod.store.gcs import GcsStore

CHECKPOINT_SECONDS = 1.0

if __name__ == "__main__":
    GcsStore.checkpoint_interval = CHECKPOINT_SECONDS
    main(prog_name="distevod")
