"""What `doctor` tries of the store: sign-in, the bucket's settings, each verb once, and the clock."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from distevo.errors import Conflict, DistevoError, NotFound, StoreError, StoreUnavailable, StoreUrlError
from distevo_ctl.examination import FAILED, Check, disk, failed, fine, warning
from distevo_ctl.exits import ExitCode
from distevo_ctl.screen import delay

if TYPE_CHECKING:
    from distevod.settings import Settings
    from distevod.store import Store
    from distevod.store.sign_in import SignIn

SWAPPED = "doctor"
"""The one mutable object of all doctors: swapped objects are never deleted, so there is no second."""
SLOW_SECONDS = {"folder": 0.1, "bucket": 0.25}
"""A read or write that takes longer, in the median, is worth a warning: a full disk queue, a bucket far away."""
SKEW_FAILURE = 300.0
"""Seconds between the clocks. Nothing in a cluster rests on them, but Google makes no token where they differ much."""
ROUNDS = 3
"""Times that each verb is tried: the first has the connection and the token to wait for."""
TRIES = 5
"""Of a swap that another doctor comes before, at most."""

T = TypeVar("T")


def store_checks(settings: Settings) -> Iterator[Check]:
    """All checks of the store; those that need an earlier one to succeed are left out after a failure."""
    url = settings.store
    if url.lower().startswith("gs://"):
        yield from _bucket_checks(url, settings.kind)
    else:
        yield from _folder_checks(url)


def _folder_checks(url: str) -> Iterator[Check]:
    from distevod.store import open_store

    root = Path(unquote(urlsplit(url).path) if "://" in url else url)
    is_new = not os.path.lexists(root)  # False also where it cannot be seen, which opening it tells
    try:
        store = open_store(url)
    except DistevoError as error:
        yield _failure("store", error)
        return
    yield disk("store", root, f"{root}{', made now' if is_new else ''}")
    nonce = secrets.token_hex(8)
    yield from verbs(store, "folder", nonce, lambda name: _age(root / name))


def _age(path: Path) -> float:
    """Seconds by which the local clock is ahead of the file's."""
    return time.time() - path.stat().st_mtime


def _bucket_checks(url: str, kind: str) -> Iterator[Check]:
    from distevod.store.access import clock_ahead
    from distevod.store.sign_in import sign_in

    try:
        signed_in = sign_in(os.environ)
    except DistevoError as error:
        yield _failure("sign-in", error)
        return
    from distevod.store.gcs import GcsStore, place_of  # Now it is known that Google's packages are there.

    yield fine("sign-in", f"{signed_in.account}, from {signed_in.source}", {"way": str(signed_in.way)})
    try:
        place = place_of(url)
    except DistevoError as error:
        yield _failure("bucket", error)
        return
    try:
        ahead = clock_ahead(signed_in)
    except StoreUnavailable as error:
        hint = "see that this machine reaches it, or set HTTPS_PROXY"
        if kind == "kaggle":
            hint = "turn the notebook's Internet on (Settings)"  # Off by default, and nothing else helps.
        yield failed("network", str(error), hint, ExitCode.STORE_UNAVAILABLE)
        return
    if ahead is None:
        yield warning("clock", f"{urlsplit(signed_in.clock).netloc} does not tell the time to compare with")
    else:
        yield _clock(ahead)
    is_lost = False
    for check in bucket_settings(place.bucket, signed_in):
        yield check
        is_lost = is_lost or (check.state == FAILED and bool(check.problem))
    if is_lost:
        return
    try:
        store = GcsStore(place, signed_in)
    except DistevoError as error:
        yield _failure("store", error)
        return
    yield from verbs(store, "bucket", secrets.token_hex(8), None)


# --- the verbs -----------------------------------------------------------------------------------


def verbs(store: Store, kind: str, nonce: str, age: Callable[[str], float] | None) -> Iterator[Check]:
    """Every verb, and that a swap loses when it should."""
    took: dict[str, list[float]] = {}

    def timed(verb: str, call: Callable[[], T]) -> T:
        begun = time.monotonic()
        done = call()
        took.setdefault(verb, []).append(time.monotonic() - begun)
        return done

    names = [f"doctor/{nonce}-{number}" for number in range(ROUNDS)]
    data = os.urandom(1024)
    skew: float | None = None
    try:
        try:
            for name in names:
                timed("create", lambda name=name: store.create(name, data))  # type: ignore[misc]
                skew = age(name) if age is not None else None
                if timed("read", lambda name=name: store.read(name))[0] != data:  # type: ignore[misc]
                    raise StoreError(f"{name} came back with other bytes than were written")
                if name not in timed("list", lambda: store.list(f"doctor/{nonce}")):
                    raise StoreError(f"a list does not show {name}, which was just made")
            _expect_conflict(lambda: store.create(names[0], b"other"), "an object was made twice under one name")
            _swap(store, nonce, timed)
        finally:
            for name in names:
                timed("delete", lambda name=name: store.delete(name))  # type: ignore[misc]
        left = store.list(f"doctor/{nonce}")
        if left:
            raise StoreError(f"{left[0]} is still there after it was deleted")
    except DistevoError as error:
        yield _failure("store verbs", error)
        return
    medians = {verb: sorted(seconds)[len(seconds) // 2] for verb, seconds in took.items()}
    text = ", ".join(f"{verb} {delay(seconds)}" for verb, seconds in medians.items())
    figures = {verb: round(seconds, 6) for verb, seconds in medians.items()}
    if max(medians["read"], medians["create"]) > SLOW_SECONDS[kind]:
        hint = {
            "folder": "each write waits for the disk: another disk, or less other load on it, would help",
            "bucket": "the bucket is far away or the network is slow: make one in a region near most platforms",
        }[kind]
        yield warning("store verbs", text, hint)._replace(figures=figures)
    else:
        yield fine("store verbs", text, figures)
    if skew is not None:
        yield _clock(skew)


def _swap(store: Store, nonce: str, timed: Callable[[str, Callable[[], int]], int]) -> None:
    """Swap the one object, then lose with its old token. Another doctor may swap it in between."""
    data = f"swapped by distevo-ctl doctor, {nonce}\n".encode()
    for _ in range(TRIES):
        try:
            _, old = store.read(SWAPPED)
        except NotFound:
            try:
                old = store.create(SWAPPED, data)
            except Conflict:  # Another doctor has just made it.
                continue
            time.sleep(store.swap_interval)
        try:
            new = timed("swap", lambda old=old: store.replace(SWAPPED, data, old))  # type: ignore[misc]
        except Conflict:
            time.sleep(store.swap_interval)
            continue
        if new <= old:
            raise StoreError(f"the token of {SWAPPED} went from {old} to {new}")
        time.sleep(store.swap_interval)  # Else a bucket may refuse for another reason.
        _expect_conflict(lambda old=old: store.replace(SWAPPED, b"lost", old), "two swaps of one token both won")  # type: ignore[misc]
        return
    raise StoreError(f"{SWAPPED} was swapped by others {TRIES} times in a row: try again")


def _expect_conflict(call: Callable[[], Any], otherwise: str) -> None:
    try:
        call()
    except Conflict:
        return
    raise StoreError(f"{otherwise}: this store must not be used by a cluster")


def _clock(ahead: float) -> Check:
    from distevod.store.access import SKEW_SECONDS, clock_words

    figures = {"ahead_s": round(ahead, 1)}
    if abs(ahead) <= SKEW_SECONDS:
        return fine("clock", f"within {max(abs(ahead), 1):.0f} s of the store's", figures)
    text, _, hint = clock_words(ahead).partition("; ")
    if abs(ahead) <= SKEW_FAILURE:
        return warning("clock", text, hint)._replace(figures=figures)
    return failed("clock", text, hint, ExitCode.STORE_UNAVAILABLE)._replace(figures=figures)


def _failure(name: str, error: DistevoError) -> Check:
    """A failed check out of an error, whose message says what to do."""
    problem = str(getattr(error, "problem", ""))
    code = ExitCode.USAGE if isinstance(error, StoreUrlError) else ExitCode.STORE_UNAVAILABLE
    return failed(name, str(error), "", code)._replace(problem=problem)


# --- the bucket ----------------------------------------------------------------------------------


def bucket_settings(name: str, signed_in: SignIn) -> Iterator[Check]:
    """Where the bucket is, and which of its settings do harm to a cluster, or cost for nothing."""
    from google.cloud import storage
    from google.cloud.exceptions import Forbidden, MethodNotAllowed, MethodNotImplemented

    from distevod.store.access import grant, refusal
    from distevod.store.gcs import FAILURES, first_line
    from distevod.store.sign_in import AccessError, Problem

    options = {"api_endpoint": signed_in.endpoint} if signed_in.endpoint else None
    client = storage.Client(
        project=signed_in.project or "none", credentials=signed_in.credentials, client_options=options
    )
    try:
        bucket = client.get_bucket(name, timeout=10, retry=None)
        found = list(_settings_of(bucket))
    except Forbidden as error:
        refused = refusal(error, name, signed_in)
        if isinstance(refused, AccessError) and refused.problem is not Problem.NO_PERMISSION:
            yield _failure("bucket", refused)
        else:
            what = "its settings cannot be seen, so that they are not checked; the rest needs none of this"
            yield warning("bucket", what, grant(name, signed_in, "roles/storage.legacyBucketReader"))
        return
    except (MethodNotAllowed, MethodNotImplemented):
        # A server that stands in for Google's need not have what no daemon asks for.
        yield warning(
            "bucket", "its settings are not told here, so that they are not checked; the rest needs none of this"
        )
        return
    except (*FAILURES, OSError) as error:
        refused = refusal(error, name, signed_in)
        yield (
            failed("bucket", first_line(error), "", ExitCode.STORE_UNAVAILABLE)
            if refused is None
            else _failure("bucket", refused)
        )
        return
    yield from found
    yield from _public(bucket)


def _settings_of(bucket: Any) -> Iterator[Check]:
    where = f"{bucket.location or 'somewhere'} ({(bucket.location_type or 'region').lower()})"
    kept = f", class {bucket.storage_class}" if bucket.storage_class else ""
    yield fine("bucket", f"{bucket.name} in {where}{kept}", {"location": bucket.location})
    yield from _harmful(bucket)


def _harmful(bucket: Any) -> Iterator[Check]:
    update = f"gcloud storage buckets update gs://{bucket.name}"
    if bucket.storage_class not in {None, "STANDARD"}:
        what = f"objects of class {bucket.storage_class} are charged for a month or more, however soon they are deleted"
        yield warning("bucket", what, f"{update} --default-storage-class=STANDARD")
    if bucket.retention_period:
        what = f"a retention policy keeps objects for {bucket.retention_period} s: none can be replaced or deleted"
        yield failed("bucket", what, f"{update} --clear-retention-period", ExitCode.STORE_UNAVAILABLE)
    if bucket.default_event_based_hold:
        what = "new objects are held: nothing can be replaced or deleted"
        yield failed("bucket", what, f"{update} --no-default-event-based-hold", ExitCode.STORE_UNAVAILABLE)
    kept = bucket.soft_delete_policy.retention_duration_seconds
    if kept:
        what = f"what is deleted or replaced is kept for {int(kept) / 86_400:g} days more, and charged (soft delete)"
        yield warning("bucket", what, f"{update} --clear-soft-delete")
    if bucket.versioning_enabled:
        yield warning(
            "bucket", "each version of an object is kept, and charged (versioning)", f"{update} --no-versioning"
        )
    if any(rule.get("action", {}).get("type") == "Delete" for rule in bucket.lifecycle_rules):
        what = "a lifecycle rule deletes objects: checkpoints and the cluster itself may vanish"
        yield warning("bucket", what, f"{update} --clear-lifecycle, or keep the rule to other prefixes")
    if bucket.requester_pays:
        yield warning("bucket", "whoever asks pays, with a project that is named in each request: distevo names none",
                      f"{update} --no-requester-pays")  # fmt: skip


def _public(bucket: Any) -> Iterator[Check]:
    from distevod.store.gcs import FAILURES

    prevent = f"gcloud storage buckets update gs://{bucket.name} --public-access-prevention"
    try:
        if bucket.iam_configuration.public_access_prevention == "enforced":
            return
        bindings = bucket.get_iam_policy(timeout=10, retry=None).bindings
        open_to = sorted({member for binding in bindings for member in binding["members"]} & PUBLIC)
        roles = [str(binding.get("role")) for binding in bindings if PUBLIC & set(binding["members"])]
    except (*FAILURES, OSError):  # Few may see it, or it has another shape; the setting itself is then the only word.
        yield warning("bucket", "public access is not ruled out: whoever may write there may have code run", prevent)
        return
    if open_to:
        what = f"the bucket is open to {' and '.join(open_to)} ({', '.join(roles)})"
        yield failed("bucket", what, prevent, ExitCode.STORE_UNAVAILABLE)


PUBLIC = {"allUsers", "allAuthenticatedUsers"}
