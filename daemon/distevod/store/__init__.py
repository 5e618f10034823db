"""Where a cluster keeps its objects.

Read `base.py` (the verbs, their guarantees, the names), then `folder.py` (a folder on a local disk), which
asks `mounts.py` whether the disk will do, and `gcs.py` (a bucket), to which `sign_in.py` opens the door, or
`access.py` says why it stays shut, and whose answers `answers.py` makes end.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from distevo.errors import StoreUrlError
from distevod.paths import check_slashes, working_folder
from distevod.store.base import UPLOAD_SECONDS, Store
from distevod.store.folder import FolderStore

__all__ = ["FolderStore", "Store", "folder_of", "open_store"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_store(
    url: str, *, read_only: bool = False, upload_seconds: float = UPLOAD_SECONDS, is_doubted: bool = False
) -> Store:
    """The store at `url`: the path of a folder (`~` is the home folder), the same as `file:///path`, or `gs://bucket`
    or `gs://bucket/prefix` in Google Cloud Storage.

    A folder is made if it is absent, a bucket never; with `read_only` nothing is written, and only `read` and `list`
    may be used. `upload_seconds`: how long a bucket may be silent while it takes an object. `is_doubted`: see first
    that a bucket compares and swaps.

    Raises:
        NotFound: with `read_only`, there is no store.
        StoreUrlError: there is no such kind of store, or it is none on which a cluster can decide.
        StoreUnavailable: it cannot be used; the message says why and what to do.
    """
    folder = folder_of(url)
    if folder is not None:
        return FolderStore(folder, read_only=read_only)
    from distevod.store.gcs import GcsStore, place_of

    bucket = GcsStore(place_of(url), read_only=read_only, upload_seconds=upload_seconds)
    if is_doubted:
        bucket.check_conditions()
        bucket.check_creates()
    return bucket


def folder_of(url: str) -> Path | None:
    """The folder of the store at `url`; None for one in a bucket. Raises StoreUrlError for what is neither."""
    scheme = _SCHEME.match(url)
    match scheme[1].lower() if scheme is not None else "":
        case "":
            return _folder(url, url)
        case "file":
            parts = urlsplit(url)
            if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment:
                raise StoreUrlError(f"{url!r} is not a folder on this machine: write file:///absolute/path")
            return _folder(unquote(parts.path), url)
        case "gs":
            return None
        case other:
            raise StoreUrlError(f"{url!r}: no store is called {other!r}; give the path of a folder, or gs://bucket")


def _folder(path: str, url: str) -> Path:
    if not path or "\0" in path:
        raise StoreUrlError(f"{url!r} names no folder: give the path of one")
    try:
        check_slashes(url)
    except ValueError as error:
        raise StoreUrlError(f"{url!r} is no URL: {error}") from error
    try:
        folder = Path(path).expanduser()
    except RuntimeError as error:  # `~somebody` who has no home here
        raise StoreUrlError(f"{url!r}: {error}") from error
    return folder if folder.is_absolute() else working_folder() / folder
