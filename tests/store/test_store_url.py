"""Where a store is: paths and URLs, and what is said about those that will not do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distevo.errors import StoreUnavailable
from distevod.store import FolderStore, open_store


@pytest.mark.parametrize(
    "form", ["{}/a/store", "file://{}/a/store", "FILE://localhost{}/a/store/", "file://{}/a/%73tore"]
)
def test_path_and_file_url_open_the_same_folder(form: str, tmp_path: Path) -> None:
    store = open_store(form.format(tmp_path))
    assert isinstance(store, FolderStore)
    store.create("plans/1", b"x")
    assert (tmp_path / "a" / "store" / "plans" / "1").read_bytes() == b"x"


def test_path_is_taken_as_it_is(tmp_path: Path) -> None:
    """No percent-decoding, no query: a path is any path."""
    open_store(f"{tmp_path}/50%25 of it?#").create("plans/1", b"x")
    assert (tmp_path / "50%25 of it?#" / "plans" / "1").exists()


def test_a_folder_may_be_called_like_half_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("./gs:/store")
    assert (tmp_path / "gs:" / "store").is_dir()


def test_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store("~/store")
    assert (tmp_path / "store").is_dir()


def test_relative_path_survives_a_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("store")
    (tmp_path / "other").mkdir()
    os.chdir("other")
    store.create("plans/1", b"x")
    assert (tmp_path / "store" / "plans" / "1").exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("gs://No-Bucket/prefix", "names no bucket"),
        ("s3://bucket", "no store is called 's3'"),
        ("gs:/bucket/prefix", "did you mean gs://bucket/prefix"),
        ("GS:bucket", "did you mean gs://bucket"),
        ("s3:/bucket", "did you mean gs://bucket"),
        ("file:/path", "did you mean file:///path"),
        ("file://host/path", "on this machine"),
        ("file://relative", "on this machine"),
        ("file://", "names no folder"),
        ("", "names no folder"),
        ("a\0b", "names no folder"),
        ("~nobody-of-that-name/store", "home"),
    ],
)
def test_what_is_no_store_is_refused_with_a_hint(
    url: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreUnavailable, match=says):
        open_store(url)
    assert not list(tmp_path.iterdir())
