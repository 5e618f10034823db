"""Access: what a server of Google refuses an account that has signed in, and what somebody has to do about it.

What may pass by itself is none of it. As in `sign_in`, Google's packages are imported in functions only.
"""

from __future__ import annotations

import contextlib
import re
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from distevo.errors import StoreUnavailable
from distevod.store.sign_in import AccessError, Problem, SignIn, reason_in

ROLE = "roles/storage.objectAdmin"
"""Has all that a platform does in a bucket, and nothing of the bucket itself."""
CLOCK_SECONDS = 3.0
"""How long a server may take to tell the time."""
SKEW_SECONDS = 60.0
"""A clock that is further off than this is the likely reason of a refused token; Google allows some minutes."""


def refusal(error: Exception, bucket: str, signed_in: SignIn) -> AccessError | None:
    """What to tell of an exception out of Google's packages if somebody has to act; None if it may pass by itself.

    A 404 is taken for the bucket's, unless it says that it is an object's. Where a token was refused, the server is
    asked for the time, once.
    """
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(error, auth.RefreshError):
        passes = error.retryable or isinstance(error.__cause__, auth.TransportError | ConnectionError)
        return None if passes else _token_refusal(str(error.args[0]) if error.args else "", signed_in)
    if isinstance(error, auth.DefaultCredentialsError):
        return AccessError(Problem.MALFORMED, f"Google's packages refuse {signed_in.source}: {reason_in(error)}")
    text = str(error)
    if isinstance(error, api.NotFound):
        return None if "No such object" in text else _no_bucket(bucket)
    if isinstance(error, api.Unauthorized):
        return _no_permission(text, bucket, signed_in)
    if isinstance(error, api.Forbidden) and "ateLimitExceeded" not in text:
        return _forbidden(text, bucket, signed_in)
    return None


def clock_ahead(signed_in: SignIn) -> float | None:
    """Seconds by which this machine's clock is ahead of the server's; None where the server does not tell.

    The server tells whole seconds, so it is right to about one. Raises StoreUnavailable where nobody answers.
    """
    from google.auth.exceptions import TransportError
    from google.auth.transport.requests import Request

    before = time.time()
    try:
        # Whatever the status is, the answer has a date.
        answer = Request()(signed_in.clock, method="HEAD", timeout=CLOCK_SECONDS)
    except TransportError as error:
        raise StoreUnavailable(f"{urlsplit(signed_in.clock).netloc} does not answer") from error
    try:
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5
    except (KeyError, ValueError):
        return None
    return (before + time.time()) / 2 - told


def clock_words(ahead: float | None) -> str:
    """What is wrong with a clock, and what to do; `ahead` as from `clock_ahead`."""
    if ahead is None or abs(ahead) <= SKEW_SECONDS:
        return "this machine's clock is off, or was; set it: sudo timedatectl set-ntp true"
    side = "ahead of" if ahead > 0 else "behind"
    return f"this machine's clock is {abs(ahead):,.0f} s {side} the server's; set it: sudo timedatectl set-ntp true"


def grant(bucket: str, signed_in: SignIn, role: str = ROLE) -> str:
    """The command that gives the account a role in the bucket."""
    member = f"serviceAccount:{signed_in.email}" if signed_in.email else "user:ACCOUNT"
    return f"gcloud storage buckets add-iam-policy-binding gs://{bucket} --member={member} --role={role}"


def _token_refusal(text: str, signed_in: SignIn) -> AccessError:
    ahead = None
    with contextlib.suppress(StoreUnavailable):
        ahead = clock_ahead(signed_in)
    told = f"Google gives no token to {signed_in.account} from {signed_in.source} ({reason_in(text)})"
    if "reasonable timeframe" in text or (ahead is not None and abs(ahead) > SKEW_SECONDS):
        return AccessError(Problem.CLOCK, f"{told}: {clock_words(ahead)}")
    if "Invalid JWT Signature" in text:
        account = signed_in.email or "ACCOUNT"
        what = "the key was deleted or disabled; make another: gcloud iam service-accounts keys create key.json"
        return AccessError(Problem.KEY_REVOKED, f"{told}: {what} --iam-account={account}")
    if "account not found" in text or "disabled" in text:
        return AccessError(Problem.KEY_REVOKED, f"{told}: the account was deleted or disabled; use another")
    if "invalid_grant" in text and not signed_in.email:
        return AccessError(
            Problem.KEY_REVOKED, f"{told}: sign in again, as with `gcloud auth application-default login`"
        )
    return AccessError(Problem.KEY_REVOKED, f"{told}: use another key or account")


def _no_bucket(bucket: str) -> AccessError:
    make = f"gcloud storage buckets create gs://{bucket} --location=REGION --uniform-bucket-level-access"
    message = f"there is no bucket {bucket!r}: correct the name, or make it: {make} --soft-delete-duration=0"
    return AccessError(Problem.NO_BUCKET, message)


def _forbidden(text: str, bucket: str, signed_in: SignIn) -> AccessError:
    if "illing" in text and ("disabled" in text or "delinquent" in text or "absent" in text):
        message = f"the project of the bucket {bucket!r} has no working billing account: link one in the Cloud console"
        return AccessError(Problem.BILLING, message)
    if "retention" in text or "hold" in text.lower().split():
        message = (
            f"the bucket {bucket!r} keeps objects by a retention policy, so nothing can be replaced or deleted: "
            f"gcloud storage buckets update gs://{bucket} --clear-retention-period, or use another bucket"
        )
        return AccessError(Problem.RETENTION, message)
    return _no_permission(text, bucket, signed_in)


def _no_permission(text: str, bucket: str, signed_in: SignIn) -> AccessError:
    found = re.search(r"\bstorage\.[a-z]+\.[a-zA-Z]+\b", text.replace("storage.googleapis.com", ""))
    lacks = f"lacks {found[0]}" if found else "may not do this"
    is_of_bucket = found is not None and found[0].startswith("storage.buckets.")
    role = "roles/storage.legacyBucketReader" if is_of_bucket else ROLE
    message = f"{signed_in.account} {lacks} in the bucket {bucket!r}: {grant(bucket, signed_in, role)}"
    return AccessError(Problem.NO_PERMISSION, message)
