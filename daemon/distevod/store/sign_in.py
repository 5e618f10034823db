"""Sign-in to Google Cloud: which credentials a platform uses, and what is wrong with those that do not do.

The first way that a platform has is the one that is taken; where it does not work, the next is *not* tried, since a
mistake in what somebody set up on purpose is to be seen:

1. `STORAGE_EMULATOR_HOST`, Google's own variable: anonymous, at that address
2. `DISTEVO_GCS_CREDENTIALS`: the JSON key of a service account, or the path of its file
3. `GOOGLE_APPLICATION_CREDENTIALS`, Google's own variable: the path of a file with credentials of any kind
4. on Kaggle: the secret `DISTEVO_GCS_CREDENTIALS` attached to the notebook, else the account linked to it for
   Google Cloud Storage
5. in a Colab kernel: the secret of the same name, else the user whom Colab asks; for a process that a notebook
   starts, as a daemon is, a cell does the same beforehand (`COLAB_CELL`)
6. application default credentials: of `gcloud`, or of the machine itself in Google Cloud

What a server refuses whoever has signed in is told by `access`. Google's packages take 39 MB and a fifth of a second,
so they are imported in functions only. Nothing of a key is ever in a message.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from distevo.errors import StoreUnavailable
from distevod.logs import fields
from distevod.presets import detect_kind

VARIABLE = "DISTEVO_GCS_CREDENTIALS"
"""The environment variable, and the label of the secret on Kaggle and in Colab."""
GOOGLE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"
KAGGLE_TOKEN_VARIABLE = "KAGGLE_USER_SECRETS_TOKEN"
"""There where Kaggle's secrets can be asked for."""
KAGGLE_LINKED_VARIABLE = "KAGGLE_KERNEL_INTEGRATIONS"
"""Names the services for which an account is linked to the notebook, with colons between."""

SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
GOOGLE = "https://storage.googleapis.com/"
API_PATH = "/storage/v1"
"""What comes behind the address of a storage server in each request."""
LONGEST_PATH = 500
"""Letters in the path of a file with a key. A key itself has 2,000 and more."""

log = logging.getLogger("distevod.store")

COLAB_CELL = "from google.colab import auth; auth.authenticate_user()"
COLAB_SECRET_CELL = (
    f"import os; from google.colab import userdata; os.environ['{VARIABLE}'] = userdata.get('{VARIABLE}')"
)


class Way(StrEnum):
    """How a platform signs in."""

    EMULATOR = "emulator"
    VARIABLE = "variable"
    FILE = "file"
    KAGGLE = "kaggle"
    COLAB = "colab"
    DEFAULT = "default"


class Problem(StrEnum):
    """What is wrong, for machines."""

    NO_PACKAGES = "no_packages"
    NO_CREDENTIALS = "no_credentials"
    MALFORMED = "malformed_credentials"
    WRONG_KIND = "wrong_kind_of_credentials"
    KEY_REVOKED = "key_revoked"
    CLOCK = "clock"
    NO_PERMISSION = "no_permission"
    ADDRESS = "address"
    NO_BUCKET = "no_bucket"
    BILLING = "billing"
    RETENTION = "retention"


class AccessError(StoreUnavailable):
    """The bucket cannot be used until somebody acts. `problem` says why, the message also what to do."""

    def __init__(self, problem: Problem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


class SignIn(NamedTuple):
    """Who a platform is for Google."""

    way: Way
    account: str
    """In words."""
    source: str
    """Where the credentials are from, in words."""
    credentials: Any
    """`google.auth.credentials.Credentials`, with `SCOPES`."""
    project: str | None = None
    endpoint: str | None = None
    """The emulator's address."""

    @property
    def email(self) -> str:
        """Of a service account; empty where it is none, or not known yet."""
        email = getattr(self.credentials, "service_account_email", "") or ""
        return email if "@" in email else ""

    @property
    def clock(self) -> str:
        """Whose clock counts: that of the server that makes tokens out of keys, else that of the storage."""
        return self.endpoint or getattr(self.credentials, "_token_uri", None) or GOOGLE


def sign_in(environ: Mapping[str, str]) -> SignIn:
    """The credentials of this platform. `environ` is the process's own, which Google's packages read as well.

    Blocks, for seconds where it looks for a machine's own account. Sends no request for a service account: a token is
    fetched when it is needed first. Raises AccessError.
    """
    _check_packages()
    found = _first_way(environ)
    log.info("signed in to Google Cloud", extra=fields(way=found.way.value, account=found.account, source=found.source))
    return found


# --- the ways ------------------------------------------------------------------------------------


def _check_packages() -> None:
    try:
        import google.auth
        import google.cloud.storage  # noqa: F401 - all that a store needs, or none of it
    except ImportError as error:
        message = f"Google's packages are not installed ({error}): pip install google-cloud-storage"
        raise AccessError(Problem.NO_PACKAGES, message) from error


def _first_way(environ: Mapping[str, str]) -> SignIn:
    if host := environ.get(EMULATOR_VARIABLE, "").strip():
        return _anonymous(host)
    if text := environ.get(VARIABLE, "").strip():
        return _of_variable(text)
    if path := environ.get(GOOGLE_VARIABLE):
        return _of_file(_path(path, GOOGLE_VARIABLE))
    notes: list[str] = []
    return _of_kaggle(environ, notes) or _of_colab(notes) or _default(Way.DEFAULT, environ, notes)


def _anonymous(host: str) -> SignIn:
    from google.auth.credentials import AnonymousCredentials

    # Google's clients in other languages take the address with the path of the API behind it; that for Python, which
    # adds the path, would ask below it once more, where no bucket is.
    endpoint = (host if "://" in host else f"http://{host}").rstrip("/").removesuffix(API_PATH).rstrip("/")
    if not _is_address(endpoint):
        message = f"{EMULATOR_VARIABLE}={host!r} is no address: give HOST:PORT or http://HOST:PORT"
        raise AccessError(Problem.ADDRESS, message)
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return SignIn(Way.EMULATOR, "anonymous", f"{EMULATOR_VARIABLE}={host}", credentials, endpoint=endpoint)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # which is looked at only when it is asked for
    except ValueError:
        return False
    is_whole = not (parts.query or parts.fragment or re.search(r"\s", url))
    return is_whole and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _of_variable(text: str) -> SignIn:
    if text.startswith("{"):
        return _service_account(Way.VARIABLE, text, f"the variable {VARIABLE}")
    if len(text) > LONGEST_PATH or not text.isprintable() or '"' in text:
        # A key in some other form, or a part of one: to be shown to nobody, as a path would be.
        what = f"{VARIABLE} holds neither a JSON key, which begins with {{, nor the path of a file: {_WHOLE}"
        raise AccessError(Problem.MALFORMED, what)
    path = _path(text, VARIABLE)
    return _service_account(Way.VARIABLE, _read(path, VARIABLE), f"the file {path} ({VARIABLE})")


def _of_file(path: Path) -> SignIn:
    source = f"the file {path} ({GOOGLE_VARIABLE})"
    text = _read(path, GOOGLE_VARIABLE)
    info = _object(text, source)
    match info.get("type"):
        case "service_account":
            return _service_account(Way.FILE, text, source)
        case str():  # A user's, or one of the kinds that stand for others: Google's packages know them all.
            return _from_default(Way.FILE, source, info["type"].replace("_", " "), [])
        case _:
            raise _wrong_kind(info, source)


def _of_kaggle(environ: Mapping[str, str], notes: list[str]) -> SignIn | None:
    if not environ.get(KAGGLE_TOKEN_VARIABLE):
        return None
    try:
        import kaggle_secrets
    except ImportError:
        notes.append("this Python has no kaggle_secrets: run distevod with the notebook's own")
        return None
    source = f"the Kaggle secret {VARIABLE}"
    kinds = ("BackendError", "CredentialError", "NotFoundError", "ValidationError")
    try:
        text = kaggle_secrets.UserSecretsClient().get_secret(VARIABLE)
    except ConnectionError as error:
        message = f"Kaggle's secrets cannot be reached; turn the notebook's Internet on (Settings): {error}"
        raise AccessError(Problem.NO_CREDENTIALS, message) from error
    except tuple(getattr(kaggle_secrets, kind) for kind in kinds if hasattr(kaggle_secrets, kind)) as error:
        notes.append(f"{source} cannot be had ({reason_in(error)}); attach it under Add-ons, Secrets")
    else:
        return _service_account(Way.KAGGLE, text, source)
    if "GCS" not in environ.get(KAGGLE_LINKED_VARIABLE, "").upper().split(":"):
        return None
    from kaggle_gcp import KaggleKernelCredentials

    credentials = KaggleKernelCredentials(target=kaggle_secrets.GcpTarget.GCS)
    return SignIn(Way.KAGGLE, "the account linked to this notebook", "Kaggle, Add-ons, Google Cloud SDK", credentials)


def _of_colab(notes: list[str]) -> SignIn | None:
    """Only the kernel itself can ask the notebook; other processes do not even try."""
    ipython = sys.modules.get("IPython")
    if "google.colab" not in sys.modules or ipython is None or not hasattr(ipython.get_ipython(), "kernel"):
        return None
    from google.colab import auth, userdata

    source = f"the Colab secret {VARIABLE}"
    try:
        text = userdata.get(VARIABLE)
    except userdata.NotebookAccessError:
        message = f"{source} is closed to this notebook: switch its access on, at the key symbol on the left"
        raise AccessError(Problem.NO_CREDENTIALS, message) from None
    except userdata.SecretNotFoundError:
        auth.authenticate_user()
        return _from_default(Way.COLAB, "Colab", "the user of this notebook", notes)
    return _service_account(Way.COLAB, text, source)


def _default(way: Way, environ: Mapping[str, str], notes: list[str]) -> SignIn:
    if detect_kind(environ)[0] == "colab":
        notes.append(f"in a cell, run {COLAB_CELL!r}, or with a secret {COLAB_SECRET_CELL!r}, before the daemon starts")
    return _from_default(way, "application default credentials", "", notes)


def _from_default(way: Way, source: str, account: str, notes: list[str]) -> SignIn:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        with warnings.catch_warnings():
            # That a user's credentials have no project to charge: storage charges the bucket's.
            warnings.simplefilter("ignore", UserWarning)
            credentials, project = google.auth.default(scopes=SCOPES)
    except DefaultCredentialsError as error:
        if "were not found" not in str(error):
            raise AccessError(Problem.MALFORMED, f"{source} cannot be used: {reason_in(error)}") from error
        raise AccessError(Problem.NO_CREDENTIALS, _no_credentials(notes)) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # as an impersonated account without a source
        message = f"{source} cannot be used: it lacks something, or holds it in another form"
        raise AccessError(Problem.MALFORMED, message) from error
    email = getattr(credentials, "service_account_email", "")
    who = f"service account {email}" if email and email != "default" else account or _kind_of(credentials)
    return SignIn(way, who, source, credentials, project)


def _kind_of(credentials: Any) -> str:
    module = type(credentials).__module__
    if module.startswith("google.auth.compute_engine"):
        return "this machine's own service account"
    return "a user, by gcloud" if module == "google.oauth2.credentials" else module


def _no_credentials(notes: list[str]) -> str:
    ways = [
        *notes,
        f"set {VARIABLE} to the JSON key of a service account, or to the path of its file",
        "or run `gcloud auth application-default login`",
    ]
    return "no credentials for Google Cloud were found here: " + "; ".join(ways)


# --- the key of a service account ----------------------------------------------------------------


def _service_account(way: Way, text: str, source: str) -> SignIn:
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2 import service_account

    info = _object(text, source)
    if info.get("type") != "service_account":
        raise _wrong_kind(info, source)
    missing = [key for key in ("client_email", "private_key", "token_uri") if not isinstance(info.get(key), str)]
    if missing:
        raise AccessError(Problem.MALFORMED, f"{source} lacks {', '.join(missing)}: {_WHOLE}")
    try:
        credentials = service_account.Credentials.from_service_account_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call]
    except (ValueError, GoogleAuthError):  # Its text may show some of the key.
        raise AccessError(Problem.MALFORMED, f"the private_key in {source} is no whole PEM key: {_WHOLE}") from None
    return SignIn(way, f"service account {info['client_email']}", source, credentials, info.get("project_id"))


_WHOLE = "put the whole JSON file there, as Google made it"
_MAKE = "make a JSON key of a service account: gcloud iam service-accounts keys create key.json --iam-account=ACCOUNT"


def _path(text: str, variable: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # `~somebody` who has no home here
        raise AccessError(Problem.NO_CREDENTIALS, f"{variable} names {text}: {error}") from None


def _read(path: Path, variable: str) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        hint = " (a JSON key begins with {)" if variable == VARIABLE else ""
        raise AccessError(Problem.NO_CREDENTIALS, f"{variable} names {path}, and there is no such file{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise AccessError(Problem.NO_CREDENTIALS, f"{variable} names {path}, which cannot be read: {reason}") from None


def _object(text: str, source: str) -> dict[str, Any]:
    try:
        info = json.loads(text)
    except json.JSONDecodeError as error:
        what = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise AccessError(Problem.MALFORMED, f"{source} is not JSON ({what}): {_WHOLE}") from None
    if not isinstance(info, dict):
        raise AccessError(Problem.MALFORMED, f"{source} is JSON, and no object of credentials: {_WHOLE}")
    return info


def _wrong_kind(info: Mapping[str, Any], source: str) -> AccessError:
    if info.get("type") == "authorized_user":
        what = "holds a user's credentials, which may do all that the user may"
    elif "installed" in info or "web" in info:
        what = "holds an OAuth client, which is no account"
    elif {"username", "key"} <= info.keys():
        what = "holds a token for Kaggle"
    else:
        what = f"holds credentials of the kind {str(info.get('type'))[:40]!r}"
    return AccessError(Problem.WRONG_KIND, f"{source} {what}; {_MAKE}")


def reason_in(error: object) -> str:
    """The first line of what an error says: short enough to be told."""
    return next(iter(str(error).strip().splitlines()), "no reason given")[:200]
