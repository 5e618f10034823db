"""The tests themselves where whoever runs them has set distevo up, and other things."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OWN = {
    "DISTEVO_ID": "mine",
    "KAGGLE_KERNEL_RUN_TYPE": "Interactive",
    "STORAGE_EMULATOR_HOST": "http://localhost:1",
    "GOOGLE_APPLICATION_CREDENTIALS": "mine.json",
    "http_proxy": "http://localhost:1",
    "HTTPS_PROXY": "http://localhost:1",
    "NO_COLOR": "1",
}


def test_nothing_of_it_reaches_a_test() -> None:
    code = "import os, tests.conftest; print(*os.environ)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | OWN,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    left = set(told.stdout.split())
    assert "PATH" in left
    assert not left & OWN.keys()
