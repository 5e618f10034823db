"""`distevo-ctl doctor`: what would go wrong with a daemon of these settings, found before a run is lost.

Checks are in the order in which a daemon meets what they look at; those of the store are in `doctor_store`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distevo.errors import DistevoError
from distevo_ctl.examination import FAILED, Check, Examination, disk, failed, fine, warning
from distevo_ctl.exits import MEANINGS, CliError, ExitCode
from distevo_ctl.setting_options import setting_options, settings_of
from distevo_ctl.target import JSON_HELP

if TYPE_CHECKING:
    from distevod.settings import Settings

WORKER_SECONDS = 30.0
"""A worker that has not started in so long will not."""
SLOW_WORKER_SECONDS = 5.0
LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""

HELP = f"""Find what would keep a daemon of these settings from working, before a run is lost.

Takes all settings as `distevod start` does, needs no daemon, and does no harm beside one. It tries the state folder,
the ports, a worker, the problems that ship (or --problem), and the store: each verb once, with how long it took, under
`doctor/`, which is cleared away; one small object, `doctor`, stays, since swapped objects are never deleted. In
Google Cloud Storage it also looks at the sign-in, the clock and the bucket's settings.

Each line is ok, a warning, or failed, with what to do. The exit code is 0 if nothing failed, else that of the first
failure: {int(ExitCode.USAGE)} ({MEANINGS[ExitCode.USAGE].partition(":")[0]}), {int(ExitCode.STORE_UNAVAILABLE)} (the \
store), {int(ExitCode.NO_DAEMON)} (the daemon that runs does not answer), {int(ExitCode.NOT_FOUND)} (a file of \
--problem or --tasks is not there), else {int(ExitCode.REFUSED)}.

\b
  distevo-ctl doctor --store gs://bucket/prefix
  distevo-ctl doctor --problem pairs.py:Pairs"""


@click.command("doctor", help=HELP, short_help="Find what would go wrong, before it does.")
@setting_options
@click.option(
    "--problem", metavar="PROBLEM", help="Try this problem, as `submit` takes it, instead of those that ship."
)
@click.option("--tasks", metavar="TASKS", help="With --problem: tasks, as `submit` takes them.")
@click.option("--json", "as_json", is_flag=True, help=JSON_HELP)
def doctor(problem: str | None, tasks: str | None, as_json: bool, **values: Any) -> int:
    group = click.get_current_context().find_root().params
    values["state_dir"] = values["state_dir"] or group.get("state_dir")
    if tasks and not problem:
        raise click.UsageError("--tasks goes with --problem")
    examination = Examination(as_json or bool(group.get("as_json")))
    for check in _checks(values, problem, tasks):
        examination.add(check)
    return examination.finish()


def _checks(values: dict[str, Any], problem: str | None, tasks: str | None) -> Iterator[Check]:
    from distevo_ctl.doctor_store import store_checks

    try:
        settings = settings_of(values)
    except DistevoError as error:
        yield failed("settings", str(error), "`distevod config --explain` has all settings", ExitCode.USAGE)
        return
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    yield fine("settings", f"platform {settings.id!r} of kind {settings.kind}, {workers}")
    for text in settings.warnings:
        yield warning("settings", text)
    if (own := _sharding(settings)) is not None:
        yield own
    yield (state_folder := _state_folder(settings))
    pid, daemon = _daemon(settings) if state_folder.state != FAILED else (0, None)
    if daemon is not None:
        yield daemon
    yield from _ports(settings, pid)
    yield _worker(settings)
    yield from _problems(settings, problem, tasks)
    yield from store_checks(settings)


# --- this machine --------------------------------------------------------------------------------


def _sharding(settings: Settings) -> Check | None:
    """A sharding function of the user's own, tried as a daemon tries it."""
    from distevo.sharding import SHARDINGS
    from distevod.sharding import load_sharding

    if settings.sharding in SHARDINGS:
        return None
    try:
        load_sharding(settings)
    except DistevoError as error:
        return failed("sharding", str(error), "correct the function, or leave --sharding out", ExitCode.USAGE)
    return fine("sharding", f"{settings.sharding} works")


def _state_folder(settings: Settings) -> Check:
    """Write to it; make it, as a daemon does, where it is missing."""
    import tempfile

    folder = settings.state_dir
    try:
        is_new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return failed("state folder", f"{folder}: {error.strerror}", "give another with --state-dir")
    if (lacking := _lacking(folder)) is not None:
        what, hint = lacking
        return failed("state folder", f"{folder}: {what}", hint)
    return disk("state folder", folder, f"{folder}{', made now' if is_new else ''}")


ANOTHER = "give another, on a local disk, with --state-dir"


def _lacking(folder: Path) -> tuple[str, str] | None:
    """What a daemon needs and cannot have there, and what to do: a hard link, for its key, and beside it or where else
    it makes it, the control socket."""
    import tempfile

    from distevod.paths import PathError, control_socket, make_private

    try:
        with tempfile.TemporaryDirectory(dir=folder) as tried:
            file = Path(tried, "file")
            file.touch()
            Path(tried, "link").hardlink_to(file)
    except OSError as error:
        return f"no hard link can be made in it: {error.strerror}", ANOTHER
    hint = ANOTHER
    try:
        path = control_socket(folder, os.environ).with_suffix(".try")
        hint = _other_socket(path.parent, folder)
        make_private(path.parent)
        path.unlink(missing_ok=True)  # of a doctor that was killed
        with socket.socket(socket.AF_UNIX) as trial:
            trial.bind(str(path))
        path.unlink()
    except PathError as error:
        return str(error), hint
    except OSError as error:
        return f"no socket can be made in {path.parent}: {error.strerror}", hint
    return None


def _other_socket(chosen: Path, folder: Path) -> str:
    """How to have the control socket made in another folder than this, which depends on why it is this one."""
    from distevod.paths import runtime_folder

    if chosen == folder / "run":
        return ANOTHER
    if chosen != runtime_folder(os.environ, folder):
        return "the socket goes there since a path in the state folder would be too long: give a shorter --state-dir"
    variable = "RUNTIME_DIRECTORY" if os.environ.get("RUNTIME_DIRECTORY", "").startswith("/") else "XDG_RUNTIME_DIR"
    return f"the socket goes there since {variable} says so: unset it, or let it name a folder of this user"


def _daemon(settings: Settings) -> tuple[int, Check | None]:
    """The process id of the daemon that runs on the state folder, and what is to be said of it; 0 and None, of none."""
    from distevo_ctl.client import Client
    from distevod.state_lock import holder

    try:
        found = holder(settings.state_dir)
        if found is None:
            return 0, None
        with Client(settings.state_dir) as client:
            daemon = client.daemon
    except CliError as error:
        return 0, failed("daemon", error.message, error.hint or "", error.code)
    except DistevoError as error:
        return 0, failed("daemon", str(error), "make the state folder readable, or give another --state-dir")
    text = f"{daemon['id']!r} runs (pid {daemon['pid']})"
    if daemon["store"] != settings.store:
        what = f"{text} with the store {daemon['store']}, and not with {settings.store}, which is looked at here"
        return found.pid, warning("daemon", what, f"to look at the daemon's: --store {daemon['store']}")
    return found.pid, fine("daemon", text)


def _ports(settings: Settings, pid: int) -> Iterator[Check]:
    for endpoint in settings.listen:
        yield _listen(endpoint, pid)
    port = settings.metrics_port
    if not port:
        yield fine("metrics port", "a free one will be picked")
        return
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", port))
        except OSError as error:
            yield _taken("metrics port", str(port), port, pid, error.strerror or "", is_needed=False)
        else:
            yield fine("metrics port", f"{port} is free")


def _listen(endpoint: str, pid: int) -> Check:
    """Bind as the transport does."""
    import zmq

    from distevod.transport.errors import in_words

    port = int(endpoint.rpartition(":")[2])
    with zmq.Context() as context, context.socket(zmq.ROUTER) as trial:
        trial.setsockopt(zmq.IPV6, int("*" in endpoint or "[" in endpoint))
        try:
            trial.bind(endpoint)
        except zmq.ZMQError as error:
            return _taken("listen", endpoint, port, pid, in_words(error), is_needed=True)
    if not port:
        return fine("listen", f"{endpoint}: a free port will be picked")
    return fine("listen", f"{endpoint} can be listened at; whether others reach it, a firewall decides")


def _taken(name: str, what: str, port: int, pid: int, reason: str, *, is_needed: bool) -> Check:
    if pid and port and _listens(pid, port):
        return fine(name, f"{what} is in use by this daemon")
    if is_needed:
        return failed(name, f"{what} cannot be listened at: {reason}", "give another with --listen, or `none`")
    return warning(name, f"{what} is taken ({reason}): there will be no metrics", "--metrics-port 0 picks a free one")


def _listens(pid: int, port: int) -> bool:
    """Whether a process listens on a TCP port (proc(5))."""
    ours = set()
    for path in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            ours.add(str(path.readlink()))
        except OSError:  # Closed since; or the process is another user's, and none of its descriptors can be seen.
            continue
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:  # A kernel without IPv6 has no table of it.
            continue
        for line in lines:
            fields = line.split()
            is_there = fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port
            if is_there and f"socket:[{fields[9]}]" in ours:
                return True
    return False


# --- workers and problems ------------------------------------------------------------------------


def _worker(settings: Settings) -> Check:
    import asyncio

    memory_mb = settings.worker_memory_mb
    begun = time.monotonic()
    try:
        death = asyncio.run(_started(settings, memory_mb))
    except TimeoutError:
        text = f"a worker has not started in {WORKER_SECONDS:g} s"
        return failed("worker", text, "see what else this machine is at; fewer --workers may do")
    took = time.monotonic() - begun
    if death is not None:
        text = f"a worker with {memory_mb} MiB ended while it started ({death}); its last words stand above"
        return failed("worker", text, "more --memory-mb or fewer --workers may do")
    text, figures = f"one started in {took:.1f} s, with {memory_mb} MiB", {"start_s": round(took, 3)}
    if took > SLOW_WORKER_SECONDS:
        return warning(
            "worker", text, "this machine is slow or busy; each restart of a worker takes that long"
        )._replace(figures=figures)
    return fine("worker", text, figures)


async def _started(settings: Settings, memory_mb: int) -> str | None:
    """Start one worker as a daemon does, and end it; how it died, if it did. Raises TimeoutError."""
    import asyncio

    from distevo.events import Event, WorkerDied, WorkerReady
    from distevod.evolution.launcher import Launcher
    from distevod.evolution.pool import Pool

    came: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def hear(event: Event) -> None:
        if isinstance(event, WorkerReady | WorkerDied) and not came.done():
            came.set_result(event.cause.value if isinstance(event, WorkerDied) else None)

    def stumble(error: BaseException) -> None:
        if not came.done():
            came.set_exception(error)

    pool = Pool(
        Launcher(memory_mb),
        batch_size=settings.batch_size,
        generation_seconds=settings.generation_seconds,
        evaluation_timeout_seconds=settings.evaluation_timeout_seconds,
        on_event=hear,
        on_fault=stumble,
    )
    pool.launch(0)
    try:
        async with asyncio.timeout(WORKER_SECONDS):
            return await came
    finally:
        await pool.finish(0.0)


def _problems(settings: Settings, reference: str | None, tasks: str | None) -> Iterator[Check]:
    """The problem that is named, or else those that ship, each tried in a process of its own."""
    from distevo_ctl.files import problem_request, tasks_request
    from distevod.problems.check_process import check_in_process, step_limit

    if reference is not None:
        try:
            timeout_s = settings.evaluation_timeout_seconds
            request = problem_request(reference) | tasks_request(tasks) | {"evaluation_timeout_s": timeout_s}
            memory_mb = settings.worker_memory_mb
            found = check_in_process(request, step_limit(timeout_s), memory_mb)
        except CliError as error:
            yield failed("problem", error.message, error.hint or "name files that are there", error.code)
        except DistevoError as error:
            yield failed("problem", str(error), "correct it, and try again")
        except OSError as error:
            yield _no_process(error)
        else:
            yield fine("problem", f"{found.name} {found.version} works, on {len(found.tasks)} tasks")
        return
    for name, spec in SHIPPED.items():
        try:
            found = check_in_process({"reference": name, "spec": spec})
        except DistevoError as error:
            yield warning("problem", f"{name}: {error}", "its runs will wait for platforms that have it")
        except OSError as error:
            yield _no_process(error)
            return
        else:
            yield fine("problem", f"{found.name} {found.version} works")


def _no_process(error: OSError) -> Check:
    text = f"no process can be started in which to try a problem: {error.strerror}"
    return failed("problem", text, "make room: memory, processes or open files are used up here")


SHIPPED = {"grids": "training:0-0", "onemax": "8", "regression": "nguyen-1"}
"""The problems that ship, with a set of tasks to try."""
