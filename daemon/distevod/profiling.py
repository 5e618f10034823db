"""Profiles of the daemon and of its workers, for whoever looks for what is slow.

With DISTEVO_PROFILE=FOLDER in its environment a daemon writes `daemon-PID.pstats` into that folder when it ends, and
each of its workers that ends well `worker-PID.pstats`, to be read by `python -m pstats`. Of the daemon that is the
event loop, without the threads that wait for the store. It all takes about twice as long meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "DISTEVO_PROFILE"


@contextmanager
def profiled(part: str) -> Iterator[None]:
    """Profile what this thread does here, if somebody wants to know. Raises OSError for a folder that is none."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        yield
        return
    import cProfile

    Path(folder).mkdir(parents=True, exist_ok=True)
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(Path(folder, f"{part}-{os.getpid()}.pstats"))
