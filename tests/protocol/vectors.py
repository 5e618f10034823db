"""Golden vectors: what `protocol/vectors.json` is made from.

    python tests/protocol/vectors.py

adds a vector for each sample below whose name the file does not have yet, and never changes one that it has: what was
once sent must stay readable.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from distevo.block import pack
from distevo.box import Letter, decode_box, encode_box
from distevo.checkpoint import Checkpoint, Counters, IslandSnapshot, decode_checkpoint, encode_checkpoint
from distevo.cluster import ClusterRecord, decode_cluster, encode_cluster
from distevo.codec import COMPRESSED, MAX_HEAD_BYTES, MAX_PAYLOAD_BYTES, decode, encode
from distevo.command import Command as RunCommand
from distevo.command import Verb, decode_command, encode_command
from distevo.errors import RemoteProtocolError
from distevo.member import Announcement, decode_announcement, encode_announcement
from distevo.messages import (
    Code,
    Command,
    Control,
    ControlVerb,
    ErrorReport,
    Fit,
    Forward,
    Goodbye,
    Head,
    Heartbeat,
    Hello,
    IslandDiversity,
    IslandFailure,
    IslandProgress,
    IslandRef,
    Migrants,
    MigrantsAck,
    PlanHint,
    PopulationKind,
    PopulationState,
    PreVote,
    Seen,
    TaskWarning,
    Welcome,
    Wish,
)
from distevo.plan import (
    IslandPlace,
    MemberPlan,
    MemberState,
    Plan,
    RunPlan,
    RunState,
    TaskPlan,
    TaskState,
    decode_plan,
    encode_plan,
)
from distevo.program import Program, keyer
from distevo.result import Result, decode_result, encode_result
from distevo.run import Budget, MigrationSettings, ProblemUse, Run, RunSettings, WarmStart, decode_run, encode_run
from distevo.topology import TOPOLOGIES as TARGETS
from distevo.topology import targets
from tests.protocol.frames import frame_of

KINDS = ("messages", "refused", "objects", "topologies")
FILE = Path(__file__).parents[2] / "protocol" / "vectors.json"

PROBLEM, PROBLEM_VERSION = "grids", "1"
_key_of = keyer(PROBLEM, PROBLEM_VERSION)


def _block(*genomes: bytes, fit: bool = False) -> bytes:
    return pack(
        [
            Program.of(genome, _key_of(genome), [1.0 if fit else 0.5, -float(len(genome))], fit, b"8 bytes.", b"")
            for genome in genomes
        ]
    )


FEW = _block(b"rot90(x)", b"crop(x)")
MANY = _block(*(b"recolour(fill_holes(crop(x)),%d,%d)" % (n // 10, n % 10) for n in range(30)))

ISLAND = IslandSnapshot(
    run="run-1",
    task="007bbfb7",
    island=0,
    problem=PROBLEM,
    version=PROBLEM_VERSION,
    grant=2,
    sequence=5,
    cover={1: 9},
    seed="0123456789abcdef" * 2,
    generation=11,
    cursor=-1,
    optimizer=b"",
    population=FEW,
    invalid=[],
    suspects=[],
    counters=Counters(evaluations=100, duplicates=60, cpu_seconds=1.5, seconds=2.0),
)
CHECKPOINT = Checkpoint(cluster="c1", member="kaggle-1", boot="b00", sequence=7, islands=[ISLAND], resource_usage={})
CHECKPOINT_BYTES = encode_checkpoint(CHECKPOINT)
PROBLEM_USE = ProblemUse(reference="grids", digest="d0", name=PROBLEM, version=PROBLEM_VERSION)
MEMBER = MemberPlan(
    boot="b00", kind="kaggle", workers=4, memory_mb=16000, batch_size=50, key="k", endpoints=["tcp://192.0.2.1:5555"]
)
PLAN = Plan(
    epoch=3,
    version=17,
    members={"kaggle-1": MEMBER},
    runs={
        "run-1": RunPlan(
            object="inbox/run-run%2D1-77aa",
            first_grant=1,
            state=RunState.RUNNING,
            problem=PROBLEM_USE,
            islands_per_task=2,
            budget=Budget(10.0, None),
            tasks={
                "007bbfb7": TaskPlan(islands=[IslandPlace("kaggle-1-b00", 2, ["colab-2-00ff"]), IslandPlace()]),
                "00d62c1b": TaskPlan(state=TaskState.DONE, result="results/run%2D1/00d62c1b/aa", fit=True, solved=True),
            },
        )
    },
    next_grant=6,
    next_joined=2,
    denied=["stolen"],
)
RUNGS = Plan(
    epoch=3,
    version=19,
    runs={
        "run-2": RunPlan(
            object="inbox/run-run%2D2-77ab",
            first_grant=6,
            state=RunState.RUNNING,
            problem=PROBLEM_USE,
            islands_per_task=1,
            budget=Budget(5.0, None),
            rungs=[Budget(0.05, None), Budget(0.5, None)],
            priority=2,
            tasks={
                "007bbfb7": TaskPlan(
                    islands=[IslandPlace()], result="results/run%2D2/007bbfb7/aa", rung=1, first_grant=8, evaluations=90
                ),
                "00d62c1b": TaskPlan(islands=[IslandPlace("kaggle-1-b00", 7)]),
            },
        )
    },
    next_grant=8,
)
LEAVERS = Plan(
    epoch=3,
    version=18,
    members={
        "kaggle-1": msgspec.structs.replace(MEMBER, is_draining=True),
        "laptop": msgspec.structs.replace(MEMBER, boot="00ff", key="stolen", state=MemberState.DEAD, gone_s=1800),
    },
    denied=["stolen"],
    handled={"inbox/command-01": "accepted"},
)
DRAIN = RunCommand(verb=Verb.DRAIN, member="kaggle-1", boot="b00")
RUN = Run(
    name="run-1",
    nonce="77aa",
    problem=PROBLEM_USE,
    settings=RunSettings(seed=1, islands_per_task=2, cpu_seconds=10.0),
    tasks={"007bbfb7": msgspec.Raw(b'{"train":[],"test":[]}')},
    submitted_through="kaggle-1-b00",
)
WARM_RUN = msgspec.structs.replace(
    RUN,
    name="run-2",
    nonce="77ab",
    settings=RunSettings(seed=1, cpu_seconds=5.0, rungs=(Budget(0.05, None), Budget(0.5, None)), priority=2),
    warm_start=WarmStart(
        run="run-1", version=PROBLEM_VERSION, programs={"007bbfb7": FEW}, swept=["007bbfb7"], others=FEW
    ),
)
PRIORITY = RunCommand(verb=Verb.PRIORITY, run="run-2", priority=-3)
DELETE = RunCommand(verb=Verb.DELETE, run="run-2", first_grant=41)
RESULT = Result(
    run="run-1",
    task="00d62c1b",
    fit=True,
    solved=True,
    program="rot90(x)",
    key=_key_of(b"rot90(x)").hex(),
    fitness=[1.0, -8.0],
    evaluations=100,
    seconds=2.0,
)
RECORD = ClusterRecord(
    cluster="0af1", epoch=3, holder="kaggle-1", boot="b00", nonce="aa", ttl=15.0, plan="plans/3-17-aa", plan_version=17
)
MIGRANTS = Migrants(run="run-1", task="007bbfb7", source=0, target=1, number=4, grant=2)

MESSAGES: dict[str, tuple[Head, bytes]] = {
    "hello": (
        Hello(versions=[1], cluster="0af1", member="laptop", boot="00ff", incarnation=0, heartbeat_interval=10.0),
        b"",
    ),
    "hello of a member that has not seen the store": (
        Hello(versions=[1, 2], cluster="", member="ümlaut", boot="1", incarnation=2**53, heartbeat_interval=0.25),
        b"",
    ),
    "welcome": (
        Welcome(version=1, cluster="0af1", member="kaggle-1", boot="b00", incarnation=2, heartbeat_interval=10.0),
        b"",
    ),
    "heartbeat, the least": (Heartbeat(incarnation=0, progress=1, interval=10.0), b""),
    "heartbeat, the whole": (
        Heartbeat(
            incarnation=1,
            progress=4711,
            interval=10.0,
            epoch=3,
            version=17,
            lag=0.004,
            queued=12,
            islands=[
                IslandProgress("run-1", "007bbfb7", 0, 2, 11, 100, 60, 1.5, False, [0.5, -8.0]),
                IslandProgress("run-1", "00d62c1b", 3, 5, 0, 0, 0, 0.0, True),
            ],
            suspects={"colab-2": 4},
            refuses={"run-2": "the problem is not installed here"},
        ),
        b"",
    ),
    "heartbeat with how long generations take": (
        Heartbeat(
            incarnation=1,
            progress=4711,
            interval=10.0,
            avg_generation_time=0.75,
            pace={"run-1": 1.3},
        ),
        b"",
    ),
    "heartbeat with diversity": (
        Heartbeat(
            incarnation=1,
            progress=4713,
            interval=10.0,
            islands=[IslandProgress("run-1", "007bbfb7", 0, 2, 11, 100, 60, 1.5, False, [0.5])],
            diversity=[IslandDiversity(200, 7.6439, 1.25, True)],
        ),
        b"",
    ),
    "heartbeat with wishes": (
        Heartbeat(
            incarnation=1,
            progress=4712,
            interval=10.0,
            wishes=[
                Wish("run-1", "007bbfb7", 1, _key_of(b"rot90(x)")[:16] + _key_of(b"crop(x)")[:16]),
                Wish("run-1", "00d62c1b", 1),
            ],
        ),
        b"",
    ),
    "goodbye": (Goodbye(), b""),
    "goodbye with a reason": (Goodbye(reason="stopped"), b""),
    "plan hint": (PlanHint(epoch=3, version=17, name="plans/3-17-77aa"), b""),
    "plan wanted": (PlanHint(epoch=3, version=16, name="", is_wanted=True), b""),
    "plan itself": (PlanHint(epoch=3, version=17, name="plans/3-17-77aa"), encode_plan(PLAN)),
    "migrants": (MIGRANTS, FEW),
    "migrants, compressed": (MIGRANTS, MANY),
    "migrants acknowledged": (
        MigrantsAck(run="run-1", task="007bbfb7", source=0, target=1, number=4, grant=2, accepted=1, known=1),
        b"",
    ),
    "migrants refused": (
        MigrantsAck(
            run="run-1", task="007bbfb7", source=0, target=1, number=4, grant=2, refused="the island is not here"
        ),
        b"",
    ),
    "population, final": (
        PopulationState(
            kind=PopulationKind.FINAL,
            empty=[IslandRef("run-1", "00d62c1b", 3, 5)],
            failures=[IslandFailure("run-1", "bad", 0, 4, "evaluate raised KeyError")],
            warnings=[TaskWarning("run-1", "007bbfb7", "behaviour is no bytes")],
        ),
        CHECKPOINT_BYTES,
    ),
    "population, deaths": (
        PopulationState(
            kind=PopulationKind.FINAL,
            failures=[IslandFailure("run-1", "large", 0, 6, "3 workers died (memory)")],
            deaths=[IslandRef("run-1", "large", 0, 6)],
        ),
        b"",
    ),
    "population, hand-over": (PopulationState(kind=PopulationKind.HAND_OVER), CHECKPOINT_BYTES),
    "fit": (
        Fit(run="run-1", task="007bbfb7", first_grant=1, problem=PROBLEM, problem_version=PROBLEM_VERSION),
        _block(b"mirror(x)", fit=True),
    ),
    "fit, answer to a wish": (
        Fit(run="run-1", task="007bbfb7", first_grant=1, problem=PROBLEM, problem_version=PROBLEM_VERSION),
        FEW,
    ),
    "seen": (Seen(run="run-1", task="007bbfb7", first_grant=1), _key_of(b"rot90(x)")[:16] + _key_of(b"crop(x)")[:16]),
    "pre-vote asked": (PreVote(round=5, epoch=3, holder="kaggle-1", boot="b00"), b""),
    "pre-vote answered": (PreVote(round=5, epoch=3, holder="kaggle-1", boot="b00", hears=False), b""),
    "forward, to the relay": (Forward(to="colab-2"), encode(MIGRANTS, FEW)),
    "forward, from the relay": (Forward(to="colab-2", origin="laptop", boot="00ff"), encode(MIGRANTS, FEW)),
    "control, inbox": (Control(verb=ControlVerb.INBOX), b""),
    "control, verify": (Control(verb=ControlVerb.VERIFY, run="run-1", task="007bbfb7"), b"mirror(x)"),
    "control, verdict": (
        Control(verb=ControlVerb.VERDICT, run="run-1", task="007bbfb7", fitness=[1.0, -9.0], fit=True, solved=True),
        b"mirror(x)",
    ),
    "error": (ErrorReport(code=Code.MALFORMED, reason="ends within the header", about=Command.MIGRANTS), b""),
    "error of a relay": (
        ErrorReport(code=Code.UNREACHABLE, reason="no link", about=Command.FORWARD, target="colab-2"),
        b"",
    ),
}

_ACK = b'{"run":"r","task":"t","source":0,"target":1,"number":2,"grant":3}'
_BOMB = zlib.compress(bytes(2**20), 9)

REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "another magic": frame_of(magic=b"DEVO"),
    "a later version": frame_of(version=2),
    "a later version, six octets": b"DEVM\x02\x04",
    "version nought": frame_of(version=0),
    "command nought": frame_of(0),
    "a later command": frame_of(15),
    "a cut header": frame_of()[:19],
    "a cut head": frame_of()[:-1],
    "more behind the end": frame_of() + b"\0",
    "an unknown flag": frame_of(Command.MIGRANTS, _ACK, b"x", flags=2),
    "no head": frame_of(head=b""),
    "a head that is no JSON": frame_of(head=b"{'reason':1}"),
    "a head that is no UTF-8": frame_of(head=b'{"reason":"\xff"}'),
    "an unknown field that is no UTF-8": frame_of(head=b'{"later":"\xff"}'),
    "half a surrogate pair": frame_of(head=b'{"reason":"\\ud800 and no more"}'),
    "a head that is no object": frame_of(head=b"[]"),
    "two heads": frame_of(head=b"{}{}"),
    "a missing field": frame_of(Command.PRE_VOTE, b'{"round":1,"epoch":1,"holder":"a"}'),
    "a text for a number": frame_of(Command.MIGRANTS, _ACK.replace(b"3", b'"3"')),
    "a fraction for a whole number": frame_of(Command.MIGRANTS, _ACK.replace(b"3", b"3.0")),
    "a negative count": frame_of(Command.MIGRANTS, _ACK.replace(b"3", b"-3")),
    "a count above 2^53": frame_of(Command.MIGRANTS, _ACK.replace(b"3", b"9007199254740993")),
    "a number that is NaN": frame_of(Command.HEARTBEAT, b'{"incarnation":1,"progress":1,"interval":NaN}'),
    "a number without end": frame_of(Command.HEARTBEAT, b'{"incarnation":1,"progress":1,"interval":1e999}'),
    "an empty id": frame_of(Command.FORWARD, b'{"to":""}', frame_of()),
    "an unknown verb": frame_of(Command.CONTROL, b'{"verb":4}'),
    "a boot in capitals": frame_of(Command.PRE_VOTE, b'{"round":1,"epoch":1,"holder":"a","boot":"FF"}'),
    "a head too large": frame_of(head_bytes=MAX_HEAD_BYTES + 1),
    "a payload too large": frame_of(Command.MIGRANTS, _ACK, sent_bytes=MAX_PAYLOAD_BYTES + 1),
    "a payload too large uncompressed": frame_of(
        Command.MIGRANTS, _ACK, _BOMB, flags=COMPRESSED, payload_bytes=MAX_PAYLOAD_BYTES + 1
    ),
    "a payload where none is taken": frame_of(payload=b"x"),
    "two lengths of one payload": frame_of(Command.MIGRANTS, _ACK, b"xy", payload_bytes=3),
    "a bomb": frame_of(Command.MIGRANTS, _ACK, _BOMB, flags=COMPRESSED, payload_bytes=2**20 - 1),
    "less than was promised": frame_of(Command.MIGRANTS, _ACK, _BOMB, flags=COMPRESSED, payload_bytes=2**20 + 1),
    "compressed and not shorter": frame_of(
        Command.MIGRANTS, _ACK, zlib.compress(b"x"), flags=COMPRESSED, payload_bytes=1
    ),
    "no zlib stream": frame_of(Command.MIGRANTS, _ACK, b"xy", flags=COMPRESSED, payload_bytes=100),
    "more behind the zlib stream": frame_of(
        Command.MIGRANTS, _ACK, zlib.compress(bytes(99)) + b"x", flags=COMPRESSED, payload_bytes=99
    ),
    "a part of a key": frame_of(Command.SEEN, b'{"run":"r","task":"t"}', bytes(17)),
    "a forward of nothing": frame_of(Command.FORWARD, b'{"to":"a"}'),
    "a forward of a forward": frame_of(
        Command.FORWARD, b'{"to":"a"}', frame_of(Command.FORWARD, b'{"to":"b"}', frame_of())
    ),
}


LETTERS = [Letter("colab-2", "00ff", encode(MIGRANTS, FEW)), Letter("laptop", "1", encode(Goodbye()))]

OBJECTS: dict[str, tuple[Any, bytes]] = {
    "cluster": (RECORD, encode_cluster(RECORD)),
    "plan": (PLAN, encode_plan(PLAN)),
    "plan with members that are to leave": (LEAVERS, encode_plan(LEAVERS)),
    "run": (RUN, encode_run(RUN)),
    "command": (
        RunCommand(verb=Verb.EXTEND, run="run-1", budget=Budget(None, 1000)),
        encode_command(RunCommand(verb=Verb.EXTEND, run="run-1", budget=Budget(None, 1000))),
    ),
    "command about a member": (DRAIN, encode_command(DRAIN)),
    "plan with a task on a rung": (RUNGS, encode_plan(RUNGS)),
    "run with rising budgets and a warm start": (WARM_RUN, encode_run(WARM_RUN)),
    "command about a priority": (PRIORITY, encode_command(PRIORITY)),
    "command about one run of a name": (DELETE, encode_command(DELETE)),
    "member": (
        Announcement(member="kaggle-1", says=MEMBER),
        encode_announcement(Announcement(member="kaggle-1", says=MEMBER)),
    ),
    "result": (RESULT, encode_result(RESULT, CHECKPOINT_BYTES)),
    "checkpoint": (CHECKPOINT, CHECKPOINT_BYTES),
    "box": (LETTERS, encode_box("kaggle-1", "b00", 1, LETTERS)),
}
READERS: dict[str, Callable[[bytes], Any]] = {
    "cluster": decode_cluster,
    "plan": decode_plan,
    "plan with members that are to leave": decode_plan,
    "run": decode_run,
    "command": decode_command,
    "command about a member": decode_command,
    "plan with a task on a rung": decode_plan,
    "run with rising budgets and a warm start": decode_run,
    "command about a priority": decode_command,
    "command about one run of a name": decode_command,
    "member": decode_announcement,
    "result": lambda data: decode_result(data)[0],
    "checkpoint": decode_checkpoint,
    "box": lambda data: decode_box("kaggle-1", "b00", 1, data),
}

TOPOLOGIES: dict[str, tuple[MigrationSettings, str, str, int]] = {
    **{topology: (MigrationSettings(topology=topology), "run-1", "007bbfb7", 5) for topology in TARGETS},
    "random, of another task": (MigrationSettings(topology="random"), "run-1", "ümlaut", 5),
    "random, of a high degree": (MigrationSettings(topology="random", degree=6), "run-1", "007bbfb7", 9),
    "random, of a higher degree than there are others": (
        MigrationSettings(topology="random", degree=1024), "run-1", "007bbfb7", 3,
    ),
    "free_form with edges": (
        MigrationSettings(topology="free_form", edges=((0, 2), (2, 1), (0, 1), (0, 2), (1, 9))), "run-1", "007bbfb7", 3,
    ),
}  # fmt: skip
"""(settings, run, task, number of islands)."""


def message_vector(name: str, head: Head, payload: bytes) -> dict[str, Any]:
    """The vector of a message."""
    frame = encode(head, payload)
    return {
        "name": name,
        "command": head.command.name,
        "head": msgspec.to_builtins(head),
        "payload": payload.hex(),
        "is_compressed": frame[6:8] != b"\0\0",
        "frame": frame.hex(),
    }


def refused_vector(name: str, frame: bytes) -> dict[str, Any]:
    """The vector of a frame that is refused."""
    try:
        decode(frame)
    except RemoteProtocolError as error:
        return {"name": name, "code": Code(error.code).name, "frame": frame.hex()}
    raise AssertionError(f"{name}: not refused")


def content_of(value: Any) -> Any:
    """A stored value as JSON; bytes are in base64."""
    return msgspec.json.decode(msgspec.json.encode(value))


def object_vector(name: str, value: Any, data: bytes) -> dict[str, Any]:
    """The vector of a stored object."""
    return {"name": name, "content": content_of(value), "object": data.hex()}


def topology_vector(name: str, migration: MigrationSettings, run: str, task: str, islands: int) -> dict[str, Any]:
    """The vector of a topology."""
    found = [targets(migration, island, islands, f"{run}/{task}") for island in range(islands)]
    sample = {"migration": content_of(migration), "run": run, "task": task, "islands": islands}
    return {"name": name, **sample, "targets": found}


def load() -> dict[str, Any]:
    """The vectors in the file."""
    vectors: dict[str, Any] = json.loads(FILE.read_text())
    return vectors


def main() -> None:
    """Add what is missing."""
    vectors: dict[str, Any] = load() if FILE.exists() else {"version": 1, "messages": [], "refused": [], "objects": []}
    vectors.setdefault("topologies", [])
    named = {vector["name"] for kind in KINDS for vector in vectors[kind]}
    vectors["messages"] += [message_vector(name, *message) for name, message in MESSAGES.items() if name not in named]
    vectors["refused"] += [refused_vector(name, frame) for name, frame in REFUSED.items() if name not in named]
    vectors["objects"] += [object_vector(name, *stored) for name, stored in OBJECTS.items() if name not in named]
    vectors["topologies"] += [topology_vector(name, *each) for name, each in TOPOLOGIES.items() if name not in named]
    FILE.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
