"""Sign-in with Google's own packages: each way, their order, and what is said of each that fails.

Tokens are asked for at a server on this machine; what runs on Kaggle and in Colab stands in for those two.
"""

from __future__ import annotations

import base64
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distevo.errors import StoreUnavailable, kind_of
from distevod.store.access import clock_ahead, refusal
from distevod.store.sign_in import (
    EMULATOR_VARIABLE,
    GOOGLE_VARIABLE,
    KAGGLE_LINKED_VARIABLE,
    KAGGLE_TOKEN_VARIABLE,
    VARIABLE,
    AccessError,
    Problem,
    SignIn,
    Way,
    sign_in,
)
from tests.support.google_server import GoogleServer, service_account_key

EMAIL = "runner@project.iam.gserviceaccount.com"


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no credentials of its own; Google's packages read the environment themselves."""
    for name in (EMULATOR_VARIABLE, GOOGLE_VARIABLE, VARIABLE, KAGGLE_TOKEN_VARIABLE, "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("PATH", str(tmp_path))  # Where gcloud is installed it is asked for a project.
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def server() -> Iterator[GoogleServer]:
    with GoogleServer() as running:
        yield running


@pytest.fixture(scope="module")
def any_key() -> dict[str, str]:
    """Where no token is asked for."""
    return service_account_key("https://oauth2.googleapis.com")


def refused(environ: dict[str, str]) -> AccessError:
    with pytest.raises(AccessError) as raised:
        sign_in(environ)
    assert isinstance(raised.value, StoreUnavailable)
    assert kind_of(raised.value) == "store_unavailable"
    return raised.value


# --- the ways ------------------------------------------------------------------------------------


def test_without_a_bucket_nothing_of_google_is_imported() -> None:
    code = (
        "import sys, distevod.store.access, distevo_ctl.main, distevo_ctl.doctor_store, distevod.store; "
        "print([name for name in sys.modules if name.startswith('google')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_missing_packages_are_named_with_the_way_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    error = refused({})
    assert error.problem is Problem.NO_PACKAGES
    assert "pip install google-cloud-storage" in str(error)


def test_an_emulator_needs_nobody(any_key: dict[str, str]) -> None:
    """It comes first, so that tests never touch a real bucket."""
    found = sign_in({EMULATOR_VARIABLE: "127.0.0.1:9", VARIABLE: json.dumps(any_key)})
    assert (found.way, found.account, found.endpoint) == (Way.EMULATOR, "anonymous", "http://127.0.0.1:9")
    assert found.credentials.token is None


@pytest.mark.parametrize(
    "host",
    ["ftp://127.0.0.1:9", "http://", "http://[::1", "127.0.0.1:99999", "//127.0.0.1:9", "127.0.0.1 :9", "host:9?x=1"],
)
def test_an_emulator_without_an_address_is_told_at_once(host: str) -> None:
    error = refused({EMULATOR_VARIABLE: host})
    assert error.problem is Problem.ADDRESS
    assert f"{EMULATOR_VARIABLE}={host!r} is no address" in str(error)


@pytest.mark.parametrize("host", [" 127.0.0.1:9\n", "HTTP://127.0.0.1:9", "https://[::1]:9/path", "localhost"])
def test_an_emulators_address_may_have_any_usual_form(host: str) -> None:
    assert host.strip() in str(sign_in({EMULATOR_VARIABLE: host}).endpoint)


@pytest.mark.parametrize("behind", ["/", "//", "/storage/v1", "/storage/v1/"])
def test_what_other_clients_want_behind_an_emulators_address_is_left_out(behind: str) -> None:
    for host in ("http://127.0.0.1:9", "127.0.0.1:9", "https://[::1]:9/path"):
        found = sign_in({EMULATOR_VARIABLE: host + behind})
        assert found.endpoint == sign_in({EMULATOR_VARIABLE: host}).endpoint


@pytest.mark.parametrize("is_file", [False, True])
def test_key_in_the_variable_or_in_the_file_that_it_names(
    is_file: bool, any_key: dict[str, str], tmp_path: Path
) -> None:
    text = json.dumps(any_key)
    path = tmp_path / "key.json"
    path.write_text(text)
    found = sign_in({VARIABLE: str(path) if is_file else f"\n {text}\n", GOOGLE_VARIABLE: "/nowhere"})
    assert (found.way, found.account, found.email) == (Way.VARIABLE, f"service account {EMAIL}", EMAIL)
    assert (str(path) in found.source) is is_file
    assert found.project == "project"
    assert list(found.credentials.scopes) == ["https://www.googleapis.com/auth/devstorage.read_write"]


def test_key_in_the_file_that_googles_variable_names(any_key: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(any_key))
    found = sign_in({GOOGLE_VARIABLE: str(path), KAGGLE_TOKEN_VARIABLE: "x"})
    assert (found.way, found.email) == (Way.FILE, EMAIL)


USER = {"type": "authorized_user", "client_id": "1.apps", "client_secret": "s", "refresh_token": "r"}


def test_a_users_credentials_do_in_googles_variable_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "user.json"
    path.write_text(json.dumps(USER))
    monkeypatch.setenv(GOOGLE_VARIABLE, str(path))
    found = sign_in({GOOGLE_VARIABLE: str(path)})
    assert (found.way, found.account, found.email) == (Way.FILE, "authorized user", "")
    error = refused({VARIABLE: str(path)})
    assert error.problem is Problem.WRONG_KIND
    assert "all that the user may" in str(error)


def test_gclouds_credentials_are_the_default(tmp_path: Path) -> None:
    folder = tmp_path / "gcloud"
    folder.mkdir()
    file = folder / "application_default_credentials.json"
    file.write_text(json.dumps(USER))
    assert (sign_in({}).way, sign_in({}).account) == (Way.DEFAULT, "a user, by gcloud")
    file.write_text("{")
    error = refused({})
    assert error.problem is Problem.MALFORMED
    assert str(file) in str(error)


def test_no_credentials_at_all_names_the_ways() -> None:
    error = refused({})
    assert error.problem is Problem.NO_CREDENTIALS
    assert VARIABLE in str(error)
    assert "gcloud auth application-default login" in str(error)
    assert "authenticate_user" not in str(error)
    assert "authenticate_user" in str(refused({"COLAB_RELEASE_TAG": "x"}))


# --- keys that are none --------------------------------------------------------------------------


def test_what_is_no_key_is_told_apart_and_never_shown(any_key: dict[str, str]) -> None:
    secret = any_key["private_key"][40:100]
    cut = json.dumps(any_key)[:-30]
    crippled = any_key | {"private_key": any_key["private_key"].replace("\n", "\\n")}
    for text, problem, says in [
        (cut, Problem.MALFORMED, "not JSON"),
        (json.dumps(crippled), Problem.MALFORMED, "no whole PEM key"),
        (json.dumps({"type": "service_account", "client_email": "x"}), Problem.MALFORMED, "private_key, token_uri"),
        (json.dumps({"installed": {"client_id": "x"}}), Problem.WRONG_KIND, "an OAuth client"),
        (json.dumps({"username": "x", "key": "y"}), Problem.WRONG_KIND, "a token for Kaggle"),
        (json.dumps({"type": "external_account"}), Problem.WRONG_KIND, "'external_account'"),
    ]:
        error = refused({VARIABLE: text})
        assert error.problem is problem, text
        assert says in str(error)
        assert VARIABLE in str(error)
        assert secret not in str(error)
        assert error.__cause__ is None


@pytest.mark.parametrize("form", ["base64", "without its brace", "its PEM alone", "a part of it"])
def test_a_key_in_another_form_is_told_and_never_shown(form: str, any_key: dict[str, str]) -> None:
    key = json.dumps(any_key)
    text = {
        "base64": base64.b64encode(key.encode()).decode(),
        "without its brace": key[1:],
        "its PEM alone": any_key["private_key"],
        "a part of it": key[1:60],
    }[form]
    error = refused({VARIABLE: text})
    assert error.problem is Problem.MALFORMED
    assert f"{VARIABLE} holds neither a JSON key, which begins with {{, nor the path of a file" in str(error)
    assert text[:20] not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "impersonated_service_account"}',
        '{"type": "impersonated_service_account", "source_credentials": []}',
        '{"type": "external_account", "audience": 7}',
        '{"type": "gdch_service_account", "format_version": []}',
    ],
)
def test_a_file_of_credentials_that_is_not_whole_is_told(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text)
    monkeypatch.setenv(GOOGLE_VARIABLE, str(path))
    error = refused({GOOGLE_VARIABLE: str(path)})
    assert error.problem is Problem.MALFORMED
    assert f"the file {path} ({GOOGLE_VARIABLE}) cannot be used" in str(error)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    error = refused({VARIABLE: "/nowhere.json"})
    assert error.problem is Problem.NO_CREDENTIALS
    assert "/nowhere.json" in str(error)
    assert GOOGLE_VARIABLE in str(refused({GOOGLE_VARIABLE: "/nowhere.json"}))
    for variable in (VARIABLE, GOOGLE_VARIABLE):
        assert f"{variable} names ~nobody-here/key.json: " in str(refused({variable: "~nobody-here/key.json"}))
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    assert "it is no text" in str(refused({GOOGLE_VARIABLE: str(tmp_path / "b")}))
    (tmp_path / "list").write_text("[]")
    assert "no object" in str(refused({GOOGLE_VARIABLE: str(tmp_path / "list")}))
    (tmp_path / "other").write_text("{}")
    assert refused({GOOGLE_VARIABLE: str(tmp_path / "other")}).problem is Problem.WRONG_KIND


# --- notebooks -----------------------------------------------------------------------------------

KAGGLE_SECRETS = """
import enum, os

class CredentialError(Exception): pass
class BackendError(Exception): pass

class GcpTarget(enum.Enum):
    BIGQUERY = 1
    GCS = 2

class UserSecretsClient:
    def get_secret(self, label):
        assert label == "DISTEVO_GCS_CREDENTIALS"
        answer = os.environ["TEST_SECRET"]
        if answer == "offline":
            raise ConnectionError("Connection error trying to communicate with service.")
        if answer == "none":
            raise BackendError("Unexpected response from the service. Response: {'errors': ['No user secrets exist']}")
        return answer
"""
KAGGLE_GCP = """
from google.auth import credentials

class KaggleKernelCredentials(credentials.Credentials):
    def __init__(self, target):
        super().__init__()
        self.target = target

    def refresh(self, request):
        self.token = "linked"
"""


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A Kaggle notebook's environment, with what stands in for Kaggle's packages."""
    folder = tmp_path / "kaggle"
    folder.mkdir()
    (folder / "kaggle_secrets.py").write_text(KAGGLE_SECRETS)
    (folder / "kaggle_gcp.py").write_text(KAGGLE_GCP)
    monkeypatch.syspath_prepend(str(folder))
    yield {KAGGLE_TOKEN_VARIABLE: "x", "KAGGLE_KERNEL_RUN_TYPE": "Interactive"}
    for name in ("kaggle_secrets", "kaggle_gcp"):
        sys.modules.pop(name, None)


def test_kaggle_secret(kaggle: dict[str, str], any_key: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SECRET", json.dumps(any_key))
    found = sign_in(kaggle | {KAGGLE_LINKED_VARIABLE: "GCS"})
    assert (found.way, found.email) == (Way.KAGGLE, EMAIL)
    monkeypatch.setenv("TEST_SECRET", "not JSON")
    assert refused(kaggle).problem is Problem.MALFORMED


def test_kaggle_without_a_secret_takes_the_linked_account_or_says_how_to_attach_one(
    kaggle: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_SECRET", "none")
    found = sign_in(kaggle | {KAGGLE_LINKED_VARIABLE: "BIGQUERY:GCS"})
    assert (found.way, found.credentials.target.name) == (Way.KAGGLE, "GCS")
    error = refused(kaggle | {KAGGLE_LINKED_VARIABLE: "BIGQUERY"})
    assert error.problem is Problem.NO_CREDENTIALS
    assert "No user secrets exist" in str(error)
    assert "Add-ons, Secrets" in str(error)


def test_kaggle_without_internet(kaggle: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SECRET", "offline")
    assert "turn the notebook's Internet on" in str(refused(kaggle))


def test_kaggle_in_a_python_without_its_packages() -> None:
    assert "the notebook's own" in str(refused({KAGGLE_TOKEN_VARIABLE: "x"}))


COLAB = """
import os

class SecretNotFoundError(Exception): pass
class NotebookAccessError(Exception): pass

def get(key):
    assert key == "DISTEVO_GCS_CREDENTIALS"
    answer = os.environ["TEST_SECRET"]
    if answer in ("closed", "none"):
        raise (NotebookAccessError if answer == "closed" else SecretNotFoundError)(key)
    return answer
"""
COLAB_AUTH = """
import os

def authenticate_user():
    folder = os.environ["CLOUDSDK_CONFIG"]
    os.makedirs(folder)
    with open(folder + "/application_default_credentials.json", "w") as file:
        file.write(os.environ["TEST_USER"])
"""


@pytest.fixture
def _colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Colab kernel, with what stands in for Colab's packages."""
    folder = tmp_path / "colab"
    package = folder / "google/colab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "userdata.py").write_text(COLAB)
    (package / "auth.py").write_text(COLAB_AUTH)
    (folder / "IPython.py").write_text("class Shell: kernel = 1\ndef get_ipython(): return Shell()\n")
    monkeypatch.syspath_prepend(str(folder))
    names = ["google.colab", "google.colab.userdata", "google.colab.auth", "IPython"]
    for name in names:
        importlib.import_module(name)
    yield
    for name in names:
        del sys.modules[name]
    del sys.modules["google"].colab


@pytest.mark.usefixtures("_colab")
def test_colab_secret_else_the_user_of_the_notebook(any_key: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"COLAB_RELEASE_TAG": "x"}
    monkeypatch.setenv("TEST_SECRET", json.dumps(any_key))
    assert (sign_in(environ).way, sign_in(environ).email) == (Way.COLAB, EMAIL)
    monkeypatch.setenv("TEST_SECRET", "closed")
    assert "switch its access on" in str(refused(environ))
    monkeypatch.setenv("TEST_SECRET", "none")
    monkeypatch.setenv("TEST_USER", json.dumps(USER))
    found = sign_in(environ)
    assert (found.way, found.account) == (Way.COLAB, "the user of this notebook")


# --- what servers refuse -------------------------------------------------------------------------


def by_key(server: GoogleServer, key: dict[str, str]) -> SignIn:
    """Signed in with a key whose tokens come from `server`."""
    found = sign_in({VARIABLE: json.dumps(key | {"token_uri": f"{server.url}/token"})})
    assert server.requests == [], "a token is fetched when it is needed first"
    return found


def failure(server: GoogleServer, signed_in: SignIn) -> Exception:
    """What Google's own client raises when it reads an object from the bucket `b`."""
    from google.cloud import storage

    client = storage.Client(project="p", credentials=signed_in.credentials, client_options={"api_endpoint": server.url})
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which it is, is what is tested
        client.bucket("b").blob("o").download_as_bytes(timeout=10, retry=None)
    return raised.value


SHORT_LIVED = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


@pytest.mark.parametrize(
    ("error", "description", "ahead", "problem", "says"),
    [
        ("invalid_grant", "Invalid JWT Signature.", 0, Problem.KEY_REVOKED, f"--iam-account={EMAIL}"),
        ("invalid_grant", "Invalid grant: account not found", 0, Problem.KEY_REVOKED, "the account was deleted"),
        (
            "invalid_grant",
            SHORT_LIVED,
            3600,
            Problem.CLOCK,
            "3,600 s behind the server's",
        ),
        (
            "invalid_grant",
            SHORT_LIVED,
            0,
            Problem.CLOCK,
            "clock is off, or was",
        ),
        ("invalid_grant", "Invalid JWT.", -600, Problem.CLOCK, "600 s ahead of"),
        ("unauthorized_client", "Client is unauthorized", 0, Problem.KEY_REVOKED, "use another key"),
    ],
)
def test_a_key_that_gets_no_token(
    error: str, description: str, ahead: float, problem: Problem, says: str,
    any_key: dict[str, str], server: GoogleServer,
) -> None:  # fmt: skip
    signed_in = by_key(server, any_key)
    server.refuses_tokens(error, description)
    server.clock_ahead = ahead
    found = refusal(failure(server, signed_in), "b", signed_in)
    assert found is not None
    assert found.problem is problem
    # A server tells whole seconds.
    assert says in str(found).replace("3,599", "3,600").replace("3,601", "3,600").replace("599", "600").replace(
        "601", "600"
    )
    assert description.split(":")[0].rstrip(".") in str(found)


def test_a_token_server_that_is_away_is_no_refusal(any_key: dict[str, str], server: GoogleServer) -> None:
    signed_in = by_key(server, any_key)
    server.answers["/token"] = 503, {"error": "internal_failure"}
    assert refusal(failure(server, signed_in), "b", signed_in) is None
    from google.auth.exceptions import TransportError

    assert refusal(TransportError("connection reset"), "b", signed_in) is None


LACKS = (
    "runner@project.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage "
    "object. Permission 'storage.objects.get' denied on resource (or it may not exist)."
)
BILLING = "The billing account for the owning project is disabled in state absent"
RETAINED = "Object 'b/o' is subject to bucket's retention policy or object retention and cannot be deleted"


@pytest.mark.parametrize(
    ("status", "message", "problem", "says"),
    [
        (403, LACKS, Problem.NO_PERMISSION, "lacks storage.objects.get in the bucket 'b'"),
        (401, "Invalid Credentials", Problem.NO_PERMISSION, "roles/storage.objectAdmin"),
        (403, BILLING, Problem.BILLING, "billing account"),
        (403, RETAINED, Problem.RETENTION, "--clear-retention-period"),
        (404, "The specified bucket does not exist.", Problem.NO_BUCKET, "buckets create gs://b"),
        (404, "No such object: b/o", None, ""),
        (403, "Quota exceeded: rateLimitExceeded", None, ""),
        (412, "At least one of the pre-conditions you specified did not hold.", None, ""),
        (429, "The object exceeded the rate limit for object mutation operations", None, ""),
        (503, "Backend Error", None, ""),
    ],
)
def test_refused_requests(
    status: int, message: str, problem: Problem | None, says: str, any_key: dict[str, str], server: GoogleServer
) -> None:
    """Only what somebody has to act on is a refusal."""
    signed_in = by_key(server, any_key)
    server.gives_tokens()
    server.refuses("/b/b/o/o", status, message)
    found = refusal(failure(server, signed_in), "b", signed_in)
    assert (found.problem if found else None) is problem
    assert says in str(found)
    if problem is Problem.NO_PERMISSION:
        assert f"--member=serviceAccount:{EMAIL}" in str(found)


def test_the_clock_of_the_server(any_key: dict[str, str], server: GoogleServer) -> None:
    signed_in = by_key(server, any_key)
    ahead = clock_ahead(signed_in)
    assert ahead is not None
    assert abs(ahead) < 2
    server.clock_ahead = -120
    ahead = clock_ahead(signed_in)
    assert ahead is not None
    assert 118 < ahead < 122
    server.tells_time = False
    assert clock_ahead(signed_in) is None
    away: Any = signed_in._replace(endpoint="http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match=r"127.0.0.1:1 does not answer"):
        clock_ahead(away)
