"""A large result is compressed while the daemon goes on: it renews its lease, and hears the others."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import pytest

from distevo.checkpoint import Checkpoint
from distevo.events import ResultEncoded
from distevo.instructions import EncodeResult
from distevo.result import Result
from distevod import runtime as shell
from distevod.runtime import Runtime
from distevod.settings import load_settings
from distevod.store import open_store


def test_the_event_loop_goes_on_while_a_result_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"state_dir": tmp_path / "state", "store": tmp_path / "store", "workers": 1, "id": "here"}
    settings = load_settings(flags, {"HOME": str(tmp_path)})
    result = Result(
        run="r", task="t", fit=False, solved=None, program=None, key=None, fitness=None, evaluations=0, seconds=0.0
    )
    states = Checkpoint(cluster="", member="here", boot="0", sequence=1, islands=[], resource_usage={})
    may_end, heard = threading.Event(), []
    encoded = shell.encoded

    def slow(order: EncodeResult) -> object:
        assert may_end.wait(10)  # as long as the loop does nothing
        return encoded(order)

    async def scene() -> None:
        settings.state_dir.mkdir()  # as whoever locks it has done
        runtime = Runtime(settings, open_store(settings.store), "0" * 16, random.Random(1), frozenset())
        monkeypatch.setattr(shell, "encoded", slow)
        monkeypatch.setattr(runtime, "feed", heard.append)
        runtime._do(EncodeResult(7, result, states))
        asyncio.get_running_loop().call_soon(may_end.set)
        async with asyncio.timeout(10):
            while not heard:
                await asyncio.sleep(0.01)
        await runtime.transport.close()
        runtime.lanes.close()

    asyncio.run(scene())
    (answer,) = heard
    assert isinstance(answer, ResultEncoded)
    assert answer.number == 7
