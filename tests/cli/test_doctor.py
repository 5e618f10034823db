"""`doctor`: it is content where a daemon would be, and finds what would keep one from working, with what to do."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import psutil
import pytest

from distevo.errors import Conflict
from distevo_ctl.doctor import _listens, _problems, _state_folder
from distevo_ctl.doctor_store import SKEW_FAILURE, SWAPPED, store_checks, verbs
from distevo_ctl.examination import FAILED, OK, WARNING
from distevo_ctl.exits import ExitCode
from distevod.settings import load_settings
from distevod.store import FolderStore
from distevod.store.gcs import GcsStore, place_of
from distevod.store.sign_in import EMULATOR_VARIABLE, GOOGLE_VARIABLE, VARIABLE, Problem, sign_in
from tests.cli.conftest import Home
from tests.support.gcs import Emulator
from tests.support.google_server import GoogleServer, service_account_key
from tests.support.ports import refusing_port

USUAL = ("--metrics-port", "0", "--workers", "1")
QUICK = (*USUAL, "--problem", "onemax", "--tasks", "8")


def examined(home: Home, *options: str, code: int = 0) -> dict[str, Any]:
    """What doctor finds: for each name the check, or the worst where there are several."""
    found = home.json("doctor", *options, code=code)
    ranks = [OK, WARNING, FAILED]
    checks: dict[str, Any] = {}
    for check in found["checks"]:
        known = checks.setdefault(check["name"], check)
        if ranks.index(check["state"]) > ranks.index(known["state"]):
            checks[check["name"]] = check
    states = [check["state"] for check in found["checks"]]
    assert (found["failed"], found["warnings"]) == (states.count(FAILED), states.count(WARNING))
    assert found["state"] == max(states, key=ranks.index)
    return checks


# --- where all is well ---------------------------------------------------------------------------


def test_a_machine_that_is_well(home: Home) -> None:
    """Twice, since the second finds what the first left: one swapped object, and nothing else."""
    for number in (1, 2):
        checks = examined(home, *USUAL)
        assert {check["state"] for check in checks.values()} == {OK}, checks
        assert set(checks) == {
            "settings", "state folder", "listen", "metrics port", "worker", "problem", "store", "store verbs", "clock",
        }  # fmt: skip
        assert set(checks["store verbs"]["figures"]) == {"create", "read", "list", "swap", "delete"}
        assert 0 < checks["worker"]["figures"]["start_s"] < 30
        store = FolderStore(home.state_dir / "store", read_only=True)
        assert store.list("") == [SWAPPED]
        # Whoever is first makes it and then swaps it.
        assert store.read(SWAPPED)[1] == number + 1


def test_lines_for_people(home: Home) -> None:
    lines = home.ctl("doctor", *USUAL).stdout.splitlines()
    assert lines[-1] == "All is well."
    assert all(line.startswith("ok  ") for line in lines[:-2])
    assert home.state_dir.stat().st_mode & 0o777 == 0o700, "made as a daemon makes it"
    (home.folder / "state").write_text("")
    text = home.ctl("doctor", *USUAL, "--state-dir", "state", "--store", "store", code=4).stdout
    assert "failed   state folder" in text
    assert "give another with --state-dir" in text
    assert text.endswith("1 failure.\n")


def test_doctor_beside_a_daemon_knows_its_ports(home: Home) -> None:
    picks = ("--listen", "tcp://127.0.0.1:0", "--metrics-port", "0")
    told = json.loads(home.distevod("start", "--detach", *picks, "--id", "here", "--workers", "1", "--json").stdout)
    try:
        # Those that it has: one that was free a moment ago may be somebody else's by now.
        metrics = urlsplit(told["metrics"]).port
        found = psutil.Process(told["pid"]).net_connections("inet")
        (listen,) = {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN} - {metrics}
        ports = ("--listen", f"tcp://127.0.0.1:{listen}", "--metrics-port", str(metrics))
        checks = examined(home, *ports, "--workers", "1")
        assert {check["state"] for check in checks.values()} == {OK}, checks
        assert "'here' runs" in checks["daemon"]["text"]
        for name in ("listen", "metrics port"):
            assert checks[name]["text"].endswith("in use by this daemon")
        other = examined(home, *ports, "--workers", "1", "--store", str(home.folder / "other"))
        assert other["daemon"]["state"] == WARNING
        assert other["daemon"]["hint"].endswith(f"--store {home.state_dir / 'store'}")
    finally:
        home.distevod("stop")


# --- what is found -------------------------------------------------------------------------------


def test_settings_that_contradict(home: Home) -> None:
    checks = examined(home, "--heartbeat-timeout", "5", code=2)
    assert set(checks) == {"settings"}
    assert "heartbeat_timeout must be above" in checks["settings"]["text"]
    assert examined(home, *QUICK, "--memory-mb", str(1 << 24))["settings"]["state"] == WARNING


def test_a_sharding_function(home: Home) -> None:
    (home.folder / "own.py").write_text("def even(platforms, total):\n    return {p['id']: 1 for p in platforms}\n")
    assert examined(home, *QUICK, "--sharding", f"{home.folder}/own.py:even")["sharding"]["state"] == OK
    checks = examined(home, *QUICK, "--sharding", f"{home.folder}/own.py:odd", code=2)
    assert "there is no 'odd' in the file" in checks["sharding"]["text"]


def test_ports_that_others_have(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        checks = examined(home, "--workers", "1", "--listen", f"tcp://*:{port}", "--metrics-port", str(port), code=4)
    assert checks["listen"]["state"] == FAILED
    assert checks["listen"]["hint"].startswith("give another with --listen")
    assert checks["metrics port"]["state"] == WARNING
    assert "--metrics-port 0" in checks["metrics port"]["hint"]


def test_folders_that_may_not_be_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path, **_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    settings = load_settings({"state_dir": tmp_path / "a", "store": tmp_path / "b"}, {})
    for name in ("stat", "mkdir"):  # which root may do everywhere
        monkeypatch.setattr(Path, name, refuse)
    assert "Permission denied" in _state_folder(settings).text
    (store,) = store_checks(settings)
    assert (store.name, store.state) == ("store", FAILED)
    assert "Permission denied" in store.text


def test_a_state_folder_without_links_or_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in Google Drive, where all else works."""

    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    settings = load_settings({"state_dir": tmp_path / "a"}, {})
    assert _state_folder(settings).state == OK
    assert [path.name for path in settings.state_dir.iterdir()] == ["run"]
    assert not list((settings.state_dir / "run").iterdir())
    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert f"no socket can be made in {tmp_path}/a/run: Operation not permitted" in _state_folder(settings).text
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    found = _state_folder(settings)
    assert (found.state, found.hint) == (FAILED, "give another, on a local disk, with --state-dir")
    assert "no hard link can be made in it: Operation not permitted" in found.text


def test_where_no_socket_can_be_made_it_is_said_what_decides_where_it_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    for name in ("XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"):  # the second goes first
        monkeypatch.setenv(name, str(tmp_path))
        hint = _state_folder(load_settings({"state_dir": tmp_path / "a"}, {})).hint
        assert f"since {name} says so: unset it" in hint
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    deep = _state_folder(load_settings({"state_dir": tmp_path / ("a" * 90)}, {}))
    assert "no socket can be made in /tmp/distevo-" in deep.text
    assert deep.hint.endswith("give a shorter --state-dir")


def test_a_kernel_without_ipv6_has_one_table_of_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def without_ipv6(path: Path, *how: Any) -> str:
        if path.name == "tcp6":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return read(path, *how)

    monkeypatch.setattr(Path, "read_text", without_ipv6)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert _listens(os.getpid(), port)
    assert not _listens(os.getpid(), port)


def test_the_first_failure_gives_the_exit_code(home: Home) -> None:
    nowhere = ("--listen", "tcp://192.0.2.1:0")
    (home.folder / "file").write_text("")
    checks = examined(home, *QUICK, *nowhere, "--store", "file/store", code=4)
    assert (checks["listen"]["code"], checks["store"]["code"]) == (4, 9)


def test_a_problem_of_ones_own(home: Home) -> None:
    good = 'class P:\n    name, version = "p", "1"\n    def __init__(self, task): pass\n'
    good += "    def random(self, rng): return 'a'\n    def mutate(self, g, rng): return g\n"
    good += "    def evaluate(self, g): return 1.0\n    def encode(self, g): return g.encode()\n"
    good += "    def decode(self, d): return d.decode()\n"
    (home.folder / "good.py").write_text(good)
    (home.folder / "bad.py").write_text("import no_such_module\n")
    assert examined(home, *USUAL, "--problem", "good.py:P")["problem"]["text"] == "p 1 works, on 1 tasks"
    bad = examined(home, *USUAL, "--problem", "bad.py:P", code=4)["problem"]
    assert bad["state"] == FAILED
    assert "no_such_module" in bad["text"]
    (home.folder / "tasks.json").write_text('{"a": {}, "b": {}}')
    of_file = ("--problem", "good.py:P", "--tasks", "tasks.json")
    assert examined(home, *USUAL, *of_file)["problem"]["text"] == "p 1 works, on 2 tasks"
    nowhere = examined(home, *USUAL, "--problem", "good.py:P", "--tasks", "nowhere.json", code=5)["problem"]
    assert "nowhere.json" in nowhere["text"]
    assert examined(home, *USUAL, "--problem", "onemax", "--tasks", "x", code=4)["problem"]["state"] == FAILED
    assert "--tasks goes with --problem" in home.error("doctor", "--tasks", "x", code=2)["message"]


def test_a_problem_is_tried_as_submit_tries_it(tmp_path: Path) -> None:
    """With the memory that a worker would have, and its time."""
    problem = 'import time\nclass P:\n    name, version = "p", "1"\n'
    problem += "    def __init__(self, task): self.data = bytearray(1200 << 20)\n"
    problem += "    def random(self, rng): return 'a'\n    def mutate(self, g, rng): return g\n"
    problem += "    def evaluate(self, g):\n        time.sleep(0.1)\n        return 1.0\n"
    problem += "    def encode(self, g): return g.encode()\n    def decode(self, d): return d.decode()\n"
    (tmp_path / "p.py").write_text(problem)
    found = {}
    for memory_mb, timeout in ((2000, 10), (1100, 10), (2000, 0.05)):
        flags = {"memory_mb": memory_mb, "workers": 1, "evaluation_timeout_seconds": timeout}
        (found[memory_mb, timeout],) = _problems(
            load_settings(flags, {"HOME": str(tmp_path)}), f"{tmp_path}/p.py:P", None
        )
    assert [check.state for check in found.values()] == [OK, FAILED, FAILED]
    assert "needs more than 1100 MB" in found[1100, 10].text
    assert "longer than evaluation_timeout_seconds (0.05) is invalid" in found[2000, 0.05].text


@pytest.mark.parametrize("reference", [None, "onemax"])
def test_where_no_process_can_be_started_that_is_said_and_the_rest_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str | None
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(subprocess.Popen, "__init__", no_room)
    settings = load_settings({"state_dir": tmp_path / "state"}, {"HOME": str(tmp_path)})
    (check,) = _problems(settings, reference, None)
    assert (check.name, check.state, check.code) == ("problem", FAILED, ExitCode.REFUSED)
    assert "Cannot allocate memory" in check.text


def test_a_store_that_cannot_be_used(home: Home) -> None:
    (home.folder / "file").write_text("")
    for url, code, says in (("file/store", 9, "a file stands"), ("s3://bucket", 2, "no store is called 's3'")):
        store = examined(home, *QUICK, "--store", url, code=code)["store"]
        assert store["state"] == FAILED
        assert says in store["text"]


class Careless(FolderStore):
    """Gives every swap its way, as a network's file system that caches might."""

    def replace(self, name: str, data: bytes, token: int) -> int:
        return super().replace(name, data, super().read(name)[1])


class Generous(FolderStore):
    """Makes every object that it is told to."""

    def create(self, name: str, data: bytes) -> int:
        try:
            return super().create(name, data)
        except Conflict:
            return 1


class Forgetful(FolderStore):
    """Lists what was there a moment ago."""

    def list(self, prefix: str) -> list[str]:
        return super().list(prefix)[1:]


@pytest.mark.parametrize(
    ("kind", "says"), [(Careless, "both won"), (Generous, "made twice"), (Forgetful, "does not show")]
)
def test_a_store_that_breaks_its_word(kind: type[FolderStore], says: str, tmp_path: Path) -> None:
    store = kind(tmp_path / "store")
    checks = list(verbs(store, "folder", "0123", None))
    assert [(check.name, check.state) for check in checks] == [("store verbs", FAILED)]
    assert says in checks[0].text
    assert FolderStore.list(store, "doctor/") == []


def test_swap_that_others_win_is_tried_again(tmp_path: Path) -> None:
    """Another doctor at work on the same store is no failure; one that never ends is."""

    class Busy(FolderStore):
        times = 2

        def replace(self, name: str, data: bytes, token: int) -> int:
            if self.times:
                self.times -= 1
                super().replace(name, b"another", token)
            return super().replace(name, data, token)

    store = Busy(tmp_path / "store")
    assert [check.state for check in verbs(store, "folder", "0123", None)] == [OK]
    store.times = 100
    assert "by others" in next(iter(verbs(store, "folder", "0123", None))).text


@pytest.mark.parametrize(
    ("ahead", "state", "says"),
    [
        (0.2, OK, "within 1 s"), (-100.0, WARNING, "100 s behind"),
        (SKEW_FAILURE + 1, FAILED, "301 s ahead"), (-4000.0, FAILED, "4,000 s behind"),
    ],
)  # fmt: skip
def test_clocks_that_differ(ahead: float, state: str, says: str, tmp_path: Path) -> None:
    *_, clock = verbs(FolderStore(tmp_path / "store"), "folder", "0123", lambda _name: ahead)
    assert (clock.name, clock.state) == ("clock", state)
    assert says in clock.text
    assert clock.hint == ("" if state == OK else "set it: sudo timedatectl set-ntp true")


# --- buckets -------------------------------------------------------------------------------------

BUCKET = {
    "kind": "storage#bucket", "id": "bucket-x", "name": "bucket-x",
    "location": "EUROPE-WEST4", "locationType": "region",
    "storageClass": "STANDARD", "iamConfiguration": {"publicAccessPrevention": "enforced"},
    "softDeletePolicy": {"retentionDurationSeconds": "0"},
}  # fmt: skip
GS = (*QUICK, "--store", "gs://bucket-x/prefix")


@pytest.fixture
def server() -> Iterator[GoogleServer]:
    with GoogleServer() as running:
        running.answers["/b/bucket-x"] = 200, BUCKET
        yield running


@pytest.fixture
def emulated(home: Home, server: GoogleServer) -> Home:
    """A home whose buckets are the server's."""
    home.environ |= {EMULATOR_VARIABLE: server.url, "NO_GCE_CHECK": "true"}
    return home


def bucket_lines(home: Home) -> dict[str, str]:
    """The hints of what is wrong with the bucket, by state and beginning of the text."""
    done = home.popen("main", "doctor", *GS, "--json", stdout=-1)
    found = json.loads(done.communicate(timeout=60)[0])
    return {
        f"{check['state']}: {check['text']}": check["hint"] for check in found["checks"] if check["name"] == "bucket"
    }


def test_a_bucket_is_shown_with_its_place(emulated: Home) -> None:
    assert bucket_lines(emulated) == {"ok: bucket-x in EUROPE-WEST4 (region), class STANDARD": ""}


HARMFUL = {
    "soft delete": ({"softDeletePolicy": {"retentionDurationSeconds": "604800"}}, WARNING, "--clear-soft-delete"),
    "versioning": ({"versioning": {"enabled": True}}, WARNING, "--no-versioning"),
    "retention": ({"retentionPolicy": {"retentionPeriod": "60"}}, FAILED, "--clear-retention-period"),
    "held": ({"defaultEventBasedHold": True}, FAILED, "--no-default-event-based-hold"),
    "class NEARLINE": ({"storageClass": "NEARLINE"}, WARNING, "--default-storage-class=STANDARD"),
    "lifecycle": (
        {"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 1}}]}},
        WARNING, "--clear-lifecycle",
    ),
    "whoever asks pays": ({"billing": {"requesterPays": True}}, WARNING, "--no-requester-pays"),
    "public access": ({"iamConfiguration": {}}, WARNING, "--public-access-prevention"),
}  # fmt: skip


def test_settings_of_a_bucket_that_do_harm(emulated: Home, server: GoogleServer) -> None:
    """All at once: each has a line of its own, with the command that changes it."""
    content = dict(BUCKET)
    for changed, _, _ in HARMFUL.values():
        content |= changed
    server.answers["/b/bucket-x"] = 200, content
    server.refuses("/b/bucket-x/iam", 403, "lacks storage.buckets.getIamPolicy")
    lines = bucket_lines(emulated)
    for word, (_, state, command) in HARMFUL.items():
        (line,) = [line for line in lines if word in line and not line.startswith("ok")]
        assert line.startswith(state)
        assert lines[line].startswith("gcloud storage buckets update gs://bucket-x ")
        assert command in lines[line]
    assert len(lines) == 1 + len(HARMFUL)


def test_a_bucket_that_is_open_to_all(emulated: Home, server: GoogleServer) -> None:
    server.answers["/b/bucket-x/iam"] = (
        200,
        {"bindings": [{"role": "roles/storage.objectAdmin", "members": ["allUsers"]}]},
    )
    server.answers["/b/bucket-x"] = 200, BUCKET | {"iamConfiguration": {}}
    lines = bucket_lines(emulated)
    assert "failed: the bucket is open to allUsers (roles/storage.objectAdmin)" in lines
    server.answers["/b/bucket-x/iam"] = 200, {"bindings": [{"role": "roles/storage.admin", "members": ["user:a@b.c"]}]}
    assert list(bucket_lines(emulated)) == ["ok: bucket-x in EUROPE-WEST4 (region), class STANDARD"]


@pytest.mark.parametrize("said", [[], None, "<html>Please sign in</html>"])
def test_an_answer_about_a_bucket_that_is_none_of_googles(emulated: Home, server: GoogleServer, said: object) -> None:
    server.answers["/b/bucket-x/iam"] = 200, said
    server.answers["/b/bucket-x"] = 200, {"name": "bucket-x", "iamConfiguration": {}}
    fine, unknown = bucket_lines(emulated)
    assert fine == "ok: bucket-x in somewhere (region)"
    assert unknown.startswith(f"{WARNING}: public access is not ruled out")
    server.answers["/b/bucket-x"] = 200, said
    (failure,) = bucket_lines(emulated)
    assert failure.startswith(f"{FAILED}: the answer was none of Google Cloud Storage")


@pytest.mark.parametrize("said", [{"iamConfiguration": []}, {"iamConfiguration": None}, {"iamConfiguration": "none"}])
def test_settings_of_access_in_another_shape_rule_nothing_out(
    emulated: Home, server: GoogleServer, said: dict[str, object]
) -> None:
    server.refuses("/b/bucket-x/iam", 403, "lacks storage.buckets.getIamPolicy")
    server.answers["/b/bucket-x"] = 200, BUCKET | said
    _, unknown = bucket_lines(emulated)
    assert unknown.startswith(f"{WARNING}: public access is not ruled out")


def test_a_bucket_that_is_open_in_a_role_that_is_not_told(emulated: Home, server: GoogleServer) -> None:
    server.answers["/b/bucket-x"] = 200, BUCKET | {"iamConfiguration": {}}
    server.answers["/b/bucket-x/iam"] = 200, {"bindings": [{"members": ["allUsers"]}]}
    _, is_open = bucket_lines(emulated)
    assert is_open.startswith(f"{FAILED}: the bucket is open to allUsers")


def test_a_bucket_whose_settings_cannot_be_seen(emulated: Home, server: GoogleServer) -> None:
    server.refuses("/b/bucket-x", 403, "x does not have storage.buckets.get access to the Google Cloud Storage bucket.")
    ((line, hint),) = bucket_lines(emulated).items()
    assert line.startswith(WARNING)
    assert "--role=roles/storage.legacyBucketReader" in hint


def test_no_bucket(emulated: Home, server: GoogleServer) -> None:
    server.refuses("/b/bucket-x", 404, "The specified bucket does not exist.", "notFound")
    checks = examined(emulated, *GS, code=9)
    assert (checks["bucket"]["state"], checks["bucket"]["problem"]) == (FAILED, Problem.NO_BUCKET)
    assert "gcloud storage buckets create gs://bucket-x" in checks["bucket"]["text"]
    assert not {"store", "store verbs"} & checks.keys()


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_that_tells_neither_the_time_nor_settings_is_tried_all_the_same(
    emulated: Home, server: GoogleServer, status: int
) -> None:
    """As one that stands in for Google's may: a daemon needs neither."""
    server.tells_time = False
    server.refuses("/b/bucket-x", status, "no such method")
    server.answers["/b/bucket-x/o"] = 403, {"error": {"code": 403, "message": "as far as this"}}
    checks = examined(emulated, *GS, code=9)
    assert "network" not in checks
    assert (checks["clock"]["state"], checks["bucket"]["state"]) == (WARNING, WARNING)
    assert "does not tell the time" in checks["clock"]["text"]
    assert "its settings are not told" in checks["bucket"]["text"]
    assert checks["store"]["state"] == FAILED, "it is asked for what a daemon needs"


def test_every_verb_in_a_bucket(home: Home) -> None:
    """Against the emulator, whose buckets have few settings; twice, since the second finds what the first left."""
    with Emulator() as emulator:
        url = f"gs://{emulator.bucket()}/some/prefix"
        home.environ |= {EMULATOR_VARIABLE: emulator.url}
        for _ in range(2):
            checks = examined(home, *QUICK, "--store", url)
            assert checks["store verbs"]["state"] == OK
            assert set(checks["store verbs"]["figures"]) == {"create", "read", "list", "swap", "delete"}
            assert (checks["sign-in"]["state"], checks["clock"]["state"]) == (OK, OK)
        assert examined(home, *QUICK, "--store", "gs://no-such-bucket", code=9)["bucket"]["problem"] == "no_bucket"
        assert "names no bucket" in examined(home, *QUICK, "--store", "gs://X", code=2)["bucket"]["text"]
        client = GcsStore(place_of(url), sign_in({EMULATOR_VARIABLE: emulator.url}))
        assert client.list("") == [SWAPPED]


def test_a_server_that_is_away(home: Home) -> None:
    with refusing_port() as port:
        home.environ |= {EMULATOR_VARIABLE: f"http://127.0.0.1:{port}"}
        checks = examined(home, *GS, code=9)
        assert (checks["network"]["state"], "HTTPS_PROXY" in checks["network"]["hint"]) == (FAILED, True)
        assert "bucket" not in checks
        checks = examined(home, *GS, "--kind", "kaggle", code=9)
        assert checks["network"]["hint"] == "turn the notebook's Internet on (Settings)"


def test_sign_in_that_fails(home: Home, server: GoogleServer) -> None:
    """With a key, whose tokens the server refuses; and with none."""
    home.environ |= {"NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": str(home.folder), "PATH": os.devnull}
    checks = examined(home, *GS, code=9)
    assert (checks["sign-in"]["state"], checks["sign-in"]["problem"]) == (FAILED, Problem.NO_CREDENTIALS)
    home.environ[VARIABLE] = "{"
    assert examined(home, *GS, code=9)["sign-in"]["problem"] == Problem.MALFORMED
    del home.environ[VARIABLE]
    key = home.folder / "key.json"
    key.write_text(json.dumps(service_account_key(server.url)))
    home.environ[GOOGLE_VARIABLE] = str(key)
    server.refuses_tokens("invalid_grant", "Invalid JWT Signature.")
    checks = examined(home, *GS, code=9)
    assert checks["sign-in"]["text"].startswith("service account runner@project")
    assert checks["bucket"]["problem"] == Problem.KEY_REVOKED
    server.clock_ahead = 3600
    checks = examined(home, *GS, code=9)
    assert checks["clock"]["state"] == FAILED
    assert checks["bucket"]["problem"] == Problem.CLOCK
