"""A store in a bucket of Google Cloud Storage, for members anywhere.

    gs://bucket/prefix      objects `prefix/cluster`, `prefix/plans/3-17-a1b2` and so on

The bucket's own preconditions are the two verbs that decide: `ifGenerationMatch=0` makes an object that must not exist,
`ifGenerationMatch=<token>` swaps one, and a generation is the token. Nothing else is asked for: no conditional delete,
copy or compose, which emulators ignore the condition of.

Google's client would try an upload again for two minutes, and then take the 412 that its own first try caused for
somebody else's. So here each write is sent once, and what is not certainly done or not done is `Unknown`; whoever asked
reads and decides. Only what changes nothing when it is done twice (reading, listing, deleting) is repeated, in
`_repeat`.

Nor is any other answer believed for its status alone. Google's client reads answers unchecked, so that a login page of
some network between, or half an answer, comes out of it as a TypeError: `FAILURES` has these too. A 404 says that an
object is missing only in Google's own words, or where a list does not show it.

Importing Google's packages takes 150 ms and 24 MB: this module is imported by `open_store` when a bucket is asked for,
and by nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import re
import secrets
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import google_crc32c
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import storage
from google.cloud.storage import blob as uploads
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from requests.adapters import HTTPAdapter
from urllib3 import ProxyManager
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from distevo.errors import BadName, Conflict, NotFound, StoreError, StoreUnavailable, StoreUrlError, Unknown
from distevo.names import CLUSTER
from distevod.store.access import refusal
from distevod.store.answers import POOLS
from distevod.store.base import (
    MAX_NAME_BYTES,
    UPLOAD_SECONDS,
    check_mutable,
    check_name,
    check_prefix,
    check_written_once,
    is_mutable,
)
from distevod.store.sign_in import SignIn, sign_in

MAX_PREFIX_BYTES = 500
"""Leaves room for the longest name that a cluster makes, that of a result, whose run and task may have long ids."""
CONNECTIONS = 144
"""Kept open at most: as many as threads may ask at once, 64 of them with uploads where somebody wants that, and 64 for
people who look at all that is stored."""
PAGE = 1000
"""Names in one answer to a list: the most that Google gives, so what it gives by itself; an emulator gives all."""
PATIENCE_SECONDS = 8.0
"""How long reading, listing and deleting are repeated before whoever asked is told."""
LIST_SECONDS = 60.0
"""How long all pages of a list may take: 100 ms for a thousand names is usual."""
FIRST_PAUSE_SECONDS = 0.2
"""The longest pause before the second try; then twice as long each time. Each pause is drawn at random below that."""
LOOKS = 5
"""At an object that came without its generation, and was replaced before that was asked for."""
PROBED, NO_GENERATION = "doctor", 2**62
"""An object, and what those below it begin with, on which nothing hangs; and a generation that none ever has."""
SEEN_SECONDS = 10.0
"""For so long after an answer a bucket counts as being there, to whoever asks for an object written once."""
REFRESH_SECONDS = 5.0
"""How long a new token may take; Google's default is 120 s, for which a lease would be held up."""

Timeout = tuple[float, float]
"""(seconds for the connection, and once more for sending all of the request; seconds without a byte of the answer).
`answers` says how long one may take that comes byte by byte."""
MUTABLE: Timeout = (1.0, 2.0)
"""For `cluster`: a lease cannot wait longer, and who holds it asks again."""
OTHERS: Timeout = (3.0, 10.0)

# Above 8 MiB Google's client asks in several requests, each of which may fail on its own, and the emulator compares no
# generation then. Whatever its size, an object is one request.
uploads._MAX_MULTIPART_SIZE = sys.maxsize

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
FAILURES = (
    api.GoogleAPIError, auth.GoogleAuthError, requests.RequestException, HTTPError, DataCorruption, InvalidResponse,
    ConnectionError, TimeoutError,
    AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip
"""Whatever Google's packages raise when something went wrong on the way or at the other end; those of the last line
where an answer has another shape than they think."""
_NOT_DONE = frozenset({400, 401, 403, 405, 411, 413, 416})
"""Statuses of a write that was certainly not carried out. What else there is, 408, 409 and 429 too, may come from
somebody between."""
_REQUEST = re.compile(r"\b[A-Z]{3,6} https?://\S+: ")
"""What Google's client puts before the words of an answer."""
_T = TypeVar("_T")


class Place(NamedTuple):
    """Where in Google Cloud Storage a store is."""

    bucket: str
    prefix: str
    """Before the name of each object: empty, or with a `/` at its end."""

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}".rstrip("/")


def place_of(url: str) -> Place:
    """The place that a `gs://` address names. Raises StoreUrlError for one that no bucket can have."""
    bucket, _, prefix = url.partition("://")[2].partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise StoreUrlError(
            f"{url!r} names no bucket: write gs://BUCKET or gs://BUCKET/PREFIX; a bucket's name has 3 to 63 lower-case "
            "letters, digits, '-', '_' and '.'"
        )
    prefix = prefix.strip("/")
    try:
        if prefix:
            check_name(f"x/{prefix}/x")  # Its first part may be one that a folder store keeps for itself.
    except BadName as error:
        raise StoreUrlError(f"{url!r}: {error}") from error
    if len(prefix) > MAX_PREFIX_BYTES:
        raise StoreUrlError(
            f"the prefix {prefix[:40]!r}... has {len(prefix)} bytes; at most {MAX_PREFIX_BYTES} leave room for the "
            "names of objects: choose a shorter one"
        )
    return Place(bucket, f"{prefix}/" if prefix else "")


class Ending(HTTPAdapter):
    """Makes the connections such as end an answer that trickles."""

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        """Make them for whoever is asked directly."""
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        """The same of those through a proxy."""
        manager = super().proxy_manager_for(proxy, **named)
        if isinstance(manager, ProxyManager):  # One for SOCKS has connections of its own.
            manager.pool_classes_by_scheme = POOLS
        return manager


class Requests(Ending):
    """Keeps connections, and counts requests by the class that they are billed as."""

    def __init__(self) -> None:
        super().__init__(pool_connections=4, pool_maxsize=CONNECTIONS, max_retries=0)
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request."""
        billed_as = _class_of(request)
        with self._lock:
            self.counts[billed_as] += 1
        if billed_as == "B":
            # No object is stored compressed. What a proxy compresses on the way, Google's client unpacks, and yet it
            # compares the checksum with the compressed bytes.
            request.headers["Accept-Encoding"] = "identity"
        return super().send(request, *args, **kwargs)


def _class_of(request: requests.PreparedRequest) -> str:
    """A (insert, list: dear), B (get), or free (delete)."""
    if request.method == "DELETE":
        return "free"
    is_list = request.method == "GET" and (request.path_url.partition("?")[0]).endswith("/o")
    return "A" if is_list or request.method != "GET" else "B"


class GcsStore:
    """The store in a bucket; see `Store` for its verbs."""

    swap_interval: float = 1.2
    mail_interval: float = 15.0
    checkpoint_interval: float = 30.0

    def __init__(
        self,
        place: Place,
        signed_in: SignIn | None = None,
        *,
        read_only: bool = False,
        upload_seconds: float = UPLOAD_SECONDS,
    ) -> None:
        """Sign in, and see that the bucket is there.

        Raises:
            StoreUnavailable: the bucket cannot be used; the message says why and what to do.
            NotFound: with `read_only`, no store is there.
        """
        self.place = place
        self.bucket, self.prefix = place
        self.signed_in = signed_in or sign_in(os.environ)
        # Twice, since the first is the limit for sending all of it, too, and uplinks are slow.
        self._upload: Timeout = (upload_seconds, upload_seconds)
        self._requests = Requests()
        self.client = self._make_client()
        self._bucket = self.client.bucket(self.bucket)
        self._seen_at = -SEEN_SECONDS
        self._has_cluster = CLUSTER in self._repeat(lambda: self._names(CLUSTER, most=1), PATIENCE_SECONDS)
        if read_only and not self._has_cluster:
            raise NotFound(f"there is no store in {place}")

    def check_conditions(self) -> None:
        """See that a write whose condition does not hold is refused, in one request that leaves nothing behind: on
        compare-and-swap hangs all that a cluster decides, and not every server that speaks like Google's has it.

        Raises StoreUrlError where it is carried out. Where there is no answer to it, nothing is said here.
        """
        try:
            self._put(PROBED, b"written by a daemon that saw no condition compared\n", NO_GENERATION)
        except StoreError:
            return  # Refused, as it should be; or the one who writes next meets what is wrong, and says it.
        raise self._unconditional()

    def check_creates(self) -> None:
        """See that what must not exist is not made twice: on that hangs whose `cluster` is the first, and nothing
        later. So it is tried only where there was none yet, with an object that is gone afterwards.

        Raises as `check_conditions`.
        """
        if self._has_cluster:
            return
        name, made, may_be_there = f"{PROBED}/{secrets.token_hex(8)}", 0, True
        try:
            for _ in range(2):
                self._put(name, b"written by a daemon that sees whether it can be written twice\n", 0)
                made += 1
        except Unknown:
            pass  # Whoever makes `cluster` next meets what is wrong.
        except StoreError:
            may_be_there = made > 0  # The second is refused, as it should be.
        if may_be_there:
            with contextlib.suppress(StoreError):
                self.delete(name)
        if made == 2:
            raise self._unconditional()

    def _unconditional(self) -> StoreUrlError:
        return StoreUrlError(
            f"what answers for {self.place} carries writes out whatever their condition (ifGenerationMatch): there two "
            "members would decide at once, and lose runs and results; another server or bucket is needed"
        )

    def _make_client(self) -> storage.Client:
        tokens = requests.Session()
        tokens.mount("https://", Ending())
        tokens.mount("http://", Ending())
        session = AuthorizedSession(  # type: ignore[no-untyped-call]
            self.signed_in.credentials,
            refresh_timeout=REFRESH_SECONDS,
            max_refresh_attempts=1,
            auth_request=Request(tokens),
        )
        session.mount("https://", self._requests)
        session.mount("http://", self._requests)
        # Else it looks for the bucket in a thread of its own after each 404: after each box of mail that is not there
        # yet, a request that is billed.
        os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        options = {"api_endpoint": self.signed_in.endpoint} if self.signed_in.endpoint else None
        project = self.signed_in.project or "none"
        return storage.Client(project, credentials=self.signed_in.credentials, client_options=options, _http=session)

    def billed(self) -> dict[str, int]:
        """Requests sent so far, by the class that they are billed as: `A`, `B`, `free`."""
        return {name: self._requests.counts[name] for name in ("A", "B", "free")}

    # --- the verbs -------------------------------------------------------------------------------

    def read(self, name: str) -> tuple[bytes, int]:
        check_name(name)
        timeout = MUTABLE if is_mutable(name) else OTHERS

        def get() -> tuple[bytes, int]:
            before = None
            try:
                for _ in range(LOOKS):
                    blob = self._blob(name)  # Anew each time: one that knows a generation asks for that one alone.
                    # One request: the generation comes with the bytes, whose checksum is compared.
                    data = blob.download_as_bytes(timeout=timeout, retry=None)
                    if blob.generation is None:
                        # Somebody between has dropped the header, or the server is not Google's and gives none. One
                        # without checksums either has given what came between two looks at the same generation.
                        blob.reload(timeout=timeout, retry=None)
                        has_sum = blob.crc32c is not None
                        is_whole = blob.crc32c == _checksum(data) if has_sum else blob.generation == before
                        before = blob.generation
                        if not is_whole:
                            continue
                    return data, _generation(blob)
            except api.NotFound as error:
                self._check_missing(name, error)
                raise NotFound(f"there is no object {name!r}") from None
            raise InvalidResponse(None, f"{name!r} changed while it was read")

        return self._repeat(get, 0.0 if is_mutable(name) else PATIENCE_SECONDS)

    def create(self, name: str, data: bytes) -> int:
        check_name(name)
        return self._put(name, data, 0)

    def replace(self, name: str, data: bytes, token: int) -> int:
        check_mutable(name)
        if token < 1:
            # To Google, 0 means that the object must not exist.
            raise Conflict(f"{name!r}: {token} is no token")
        return self._put(name, data, token)

    def list(self, prefix: str) -> list[str]:
        check_prefix(prefix)
        names = self._repeat(lambda: self._names(prefix), PATIENCE_SECONDS)
        # Each once: a server whose pages are counted off shows a name again when one before it has come meanwhile.
        return sorted({name for name in names if _is_name(name)})

    def delete(self, name: str) -> None:
        check_written_once(name)

        def remove() -> None:
            try:
                self._bucket.delete_blob(self._full(name), timeout=OTHERS, retry=None)
            except api.NotFound as error:
                self._check_missing(name, error)

        self._repeat(remove, PATIENCE_SECONDS, is_write=True)

    # --- helpers ---------------------------------------------------------------------------------

    def _full(self, name: str) -> str:
        full = self.prefix + name
        if len(full) > MAX_NAME_BYTES:
            most = MAX_NAME_BYTES - len(self.prefix)
            raise BadName(f"object name {name[:80]!r}... has {len(name)} bytes; below {self.place} at most {most} fit")
        return full

    def _blob(self, name: str) -> Any:
        return self._bucket.blob(self._full(name))

    def _names(self, prefix: str, most: int | None = None) -> Sequence[str]:
        """All names below a prefix, or the first ones; in as many requests as there are thousands."""
        end = time.monotonic() + LIST_SECONDS
        found = self.client.list_blobs(
            self._bucket, prefix=self.prefix + prefix, max_results=most, page_size=PAGE, timeout=OTHERS, retry=None,
            fields="items(name),nextPageToken",
        )  # fmt: skip
        names: list[str] = []
        for page in found.pages:
            names += (blob.name.removeprefix(self.prefix) for blob in page)
            if not found.next_page_token:
                break  # Google's client takes an empty one for that of another page: the first, again and again.
            if time.monotonic() > end:
                raise TimeoutError(f"{len(names)} names were listed in {LIST_SECONDS:g} s, and more were to come")
        return names

    def _put(self, name: str, data: bytes, token: int) -> int:
        blob, timeout, doing = self._blob(name), self._upload, f"writing {name!r}"
        if is_mutable(name):
            # Or a reader may get what some cache between has kept.
            blob.cache_control, timeout = "no-store", MUTABLE
        try:
            blob.upload_from_string(
                data, "application/octet-stream", if_generation_match=token, timeout=timeout, retry=None,
                checksum="crc32c",
            )  # fmt: skip
            new = _generation(blob)
        except api.PreconditionFailed:
            # Sent once, so this is the answer to it.
            what = "exists" if token == 0 else f"is no longer at {token}"
            raise Conflict(f"{name!r} {what}") from None
        except api.NotFound as error:
            # Of the bucket, most likely: then the list says so too, and more clearly.
            is_there = name in self._repeat(lambda: self._names(name, most=1), 0.0)
            if token and not is_there:
                raise Conflict(f"there is no object {name!r}") from None
            raise Unknown(f"{doing} in {self.place}: {first_line(error)}") from error
        except FAILURES as error:
            raise self._trouble(error, doing, is_in_doubt=_may_be_done(error)) from error
        self._seen_at = time.monotonic()
        if blob.crc32c not in {None, _checksum(data)}:
            # Google compares it itself, and takes nothing that differs; whoever stands in for it may not.
            raise Unknown(f"{doing} in {self.place}: what was taken is not what was sent")
        return new

    def _repeat(self, ask: Callable[[], _T], patience: float, *, is_write: bool = False) -> _T:
        """Ask until there is an answer, for so many seconds; for what may be asked any number of times."""
        end, longest, is_in_doubt = time.monotonic() + patience, FIRST_PAUSE_SECONDS, False
        while True:
            try:
                found = ask()
            except FAILURES as error:
                is_in_doubt = is_in_doubt or (is_write and _may_be_done(error))
                pause = random.uniform(0.0, longest)
                if refusal(error, self.bucket, self.signed_in) is not None or time.monotonic() + pause > end:
                    raise self._trouble(error, "asking", is_in_doubt=is_in_doubt) from error
                time.sleep(pause)
                longest *= 2
            else:
                self._seen_at = time.monotonic()
                return found

    def _check_missing(self, name: str, error: api.NotFound) -> None:
        """Raise unless a 404 is an answer about the object: it may be the bucket that is missing, or somebody between
        may have spoken."""
        # Google's own words. Whoever stands in for it may say less: then a list tells, but not at each box of mail.
        if "No such object" in str(error):
            return
        is_to_ask = is_mutable(name) or time.monotonic() > self._seen_at + SEEN_SECONDS
        if is_to_ask and name in self._names(name, most=1):
            raise InvalidResponse(None, f"{name!r} is listed, and yet said to be missing")

    def _trouble(self, error: Exception, doing: str, *, is_in_doubt: bool) -> StoreError:
        """What to tell whoever asked."""
        refused = refusal(error, self.bucket, self.signed_in)
        if refused is not None:
            return refused
        reason = f"{doing} in {self.place}: {first_line(error)}"
        if is_in_doubt:
            return Unknown(reason)
        return StoreUnavailable(f"{reason}; is this machine online?" if _was_never_sent(error) else reason)


def _generation(blob: Any) -> int:
    """The token of what was just read or written. Raises ValueError, TypeError where there is none in the answer."""
    generation = int(blob.generation)
    if generation < 1:
        raise ValueError(f"the generation {generation} is none that an object can have")
    return generation


def _may_be_done(error: Exception) -> bool:
    """Whether a write that ended so may have been carried out."""
    return getattr(error, "code", None) not in _NOT_DONE and not _was_never_sent(error)


def _was_never_sent(error: BaseException | None) -> bool:
    """Whether there was no connection, or no token, to send anything with."""
    while error is not None:
        if isinstance(error, NewConnectionError | ConnectTimeoutError | requests.ConnectTimeout | auth.TransportError):
            return True
        error = _wrapped(error) or error.__cause__
    return False


def _wrapped(error: BaseException) -> BaseException | None:
    """What `requests` and `urllib3` have put around: the error that says why, without the address of the request."""
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
    reason = getattr(inner, "reason", None)
    return reason if isinstance(reason, BaseException) else inner


def _checksum(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4)).decode("ascii")


def _is_name(name: str) -> bool:
    """Whether an object below the prefix can be one of ours: the bucket may hold what others have put there."""
    try:
        check_name(name)
    except BadName:
        return False
    return True


def first_line(error: BaseException) -> str:
    """What is told of one of `FAILURES`."""
    while (wrapped := _wrapped(error)) is not None:
        error = wrapped
    is_odd = isinstance(error, AttributeError | LookupError | TypeError | ValueError)
    if is_odd and not isinstance(error, ssl.SSLError):  # A certificate that is not trusted is a ValueError, too.
        return f"the answer was none of Google Cloud Storage ({type(error).__name__}: {error})"[:300]
    text = _REQUEST.sub("", str(error), count=1)
    return next(iter(text.splitlines()), "")[:300] or type(error).__name__
