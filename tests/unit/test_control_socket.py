"""The control socket where none can be made."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from distevod.control import Control
from distevod.paths import PathError


@pytest.mark.parametrize("is_read_only", [False, True])
def test_where_no_socket_can_be_made_that_is_said_with_what_to_do(
    is_read_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EROFS, "No such file or directory or none that can be removed")

    if is_read_only:
        monkeypatch.setattr(Path, "unlink", refuse)

    async def scene() -> None:
        service: Any = SimpleNamespace(requests={})
        control = Control(tmp_path / "missing" / "control.sock", service)
        try:
            control.bind()
        finally:
            await control.close()

    with pytest.raises(
        PathError, match=r"control\.sock: No such file or directory.*; not every file system has sockets"
    ):
        asyncio.run(scene())
