"""`checkpoints`: what is there, and what is damaged."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Home


def damaged(folder: Path) -> str:
    """Copy a checkpoint with one bit flipped; the name of the copy's object."""
    found = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    data = bytearray(found.read_bytes())
    data[len(data) // 2] ^= 1
    copy = found.with_name("zz" + found.name[2:])
    copy.write_bytes(data)
    return copy.name


def test_sound_and_damaged_ones(platform: Home) -> None:
    platform.ctl("submit", "--problem", "onemax", "--tasks", "8192", "--cpu-seconds", "60", "--name", "kept")
    for _ in range(100):
        found = platform.json("checkpoints", "list")["checkpoints"]
        if found:
            break
    assert all(entry["ok"] and entry["islands"] == 1 and entry["bytes"] > 0 for entry in found)
    assert "sound" in platform.ctl("checkpoints", "list").stdout
    verified = platform.json("checkpoints", "verify")["checkpoints"]
    assert verified[0]["contents"][0]["task"] == "8192"
    assert "kept" in platform.ctl("checkpoints", "verify").stdout

    name = damaged(platform.state_dir / "store" / "checkpoints")
    done = platform.ctl("checkpoints", "verify", code=6)
    assert "1 of " in done.stderr
    assert name in done.stderr
    assert done.stdout.count("sound") >= 1
    entries = platform.json("checkpoints", "verify", code=6)["checkpoints"]
    (bad,) = [entry for entry in entries if not entry["ok"]]
    assert bad["kind"] == "CheckpointDamaged"
    platform.ctl("checkpoints", "list")  # only lists
    next((platform.state_dir / "store" / "checkpoints").rglob(name)).unlink()
    platform.ctl("checkpoints", "verify")
    platform.ctl("cancel", "kept")
