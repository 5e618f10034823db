"""The specification does not drift: every command, code, field, default and limit in SPEC.md is the code's."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import msgspec
import pytest

from distevo import (
    checkpoint,
    cluster,
    codec,
    command,
    desk,
    link,
    member,
    messages,
    names,
    orders,
    plan,
    policies,
    program,
    provenance,
    result,
    run,
    sealed,
    verifier,
)
from distevo.ledger import OUTDATED, Ledger
from distevo.messages import HEADS, Code, Command
from tests.protocol.vectors import PLAN

SPEC = (Path(__file__).parents[2] / "protocol" / "SPEC.md").read_text()

LIMITS = {
    name: value
    for module, names in (
        (codec, [name for name in vars(codec) if re.fullmatch(r"(MAX_|SEEN_|HEADER_)\w*BYTES", name)]),
        (program, ["MAX_GENOME_BYTES"]),
    )
    for name in names
    if isinstance(value := getattr(module, name), int)
}
STORED = [
    cluster.ClusterRecord,
    plan.Plan,
    plan.MemberPlan,
    plan.RunPlan,
    plan.TaskPlan,
    plan.IslandPlace,
    run.Budget,
    run.ProblemUse,
    run.MigrationSettings,
    run.Run,
    run.RunSettings,
    run.WarmStart,
    command.Command,
    member.Announcement,
    result.Result,
    provenance.Provenance,
    checkpoint.Checkpoint,
    checkpoint.IslandSnapshot,
    checkpoint.Counters,
]


def rows(text: str) -> list[list[str]]:
    """The rows of the first table in `text`, heading and rule left out."""
    lines = iter(text.splitlines())
    table: list[list[str]] = []
    for line in lines:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
        elif table:
            break
    return table[2:]


def section(name: str) -> str:
    """The text of one message's section."""
    _, _, text = SPEC.partition(f" {name}\n")
    assert text, f"SPEC.md has no section {name}"
    return text.partition("\n#")[0]


def defaults(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The fields of a structure, in order, each with its default as the specification writes it."""
    found = {}
    for field in msgspec.structs.fields(kind):
        if field.default_factory is not msgspec.NODEFAULT:
            found[field.encode_name] = msgspec.json.encode(field.default_factory()).decode()
        elif isinstance(field.default, msgspec.Struct):
            found[field.encode_name] = repr(type(field.default)()).partition("(")[0] + "()"
        elif field.default is not msgspec.NODEFAULT:
            found[field.encode_name] = msgspec.json.encode(field.default).decode()
        else:
            found[field.encode_name] = "required"
    return found


@pytest.mark.parametrize("name", [command.name for command in Command])
def test_a_message_stands_there_with_its_number_fields_and_defaults(name: str) -> None:
    text, head = section(name), HEADS[Command[name]]
    assert re.search(rf"\bNumber\s+{Command[name].value}\. \*Payload:\*", text)
    assert {field.strip("`"): default for field, _, default, _ in rows(text)} == defaults(head)
    assert f"| {name} | {Command[name].value} |" in SPEC


@pytest.mark.parametrize("name", [command.name for command in Command])
def test_a_payload_s_limit_stands_there(name: str) -> None:
    limit = codec.PAYLOAD_LIMITS[Command[name]]
    payload = section(name).partition("*Payload:*")[2].partition("\n\n")[0]
    stated = re.findall(r"`(MAX_\w+)`", payload)
    assert [LIMITS[stated_name] for stated_name in stated] == ([limit] if limit else [])
    assert limit or payload.startswith(" none.")


def test_the_list_of_messages_is_whole() -> None:
    assert re.findall(r"^\| ([A-Z_]+) \| (\d+) \|", SPEC, re.MULTILINE) == [
        (command.name, str(command.value)) for command in Command
    ]


def test_the_codes_are_the_code_s() -> None:
    stated = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", SPEC, re.MULTILINE)
    assert stated == [(str(code.value), code.name) for code in Code]


def test_the_limits_are_the_code_s() -> None:
    stated = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", SPEC, re.MULTILINE)
    assert {name: int(value) for name, value in stated} == LIMITS
    assert set(codec.PAYLOAD_LIMITS.values()) <= {0, *LIMITS.values()}


def test_the_verbs_of_commands_stand_there() -> None:
    row = next(row for row in rows(SPEC[SPEC.index("| field of `Command`") :]) if row[0] == "`verb`")
    about_run, about_member = (re.findall(r'"(\w+)"', part) for part in row[2].split("about a member:"))
    about = [[verb.value for verb in command.Verb if verb.is_about_member is one] for one in (False, True)]
    assert [about_run, about_member] == about


def test_other_numbers_are_the_code_s() -> None:
    for value, text in [
        (codec.MAX_TOLD_PROGRAMS, "MIGRANTS or a FIT brings at most {} programs"),
        (codec.MAX_STATES_PROGRAMS, "at most\n{} programs together"),
        (checkpoint.MAX_CLAIMS, "and of all states at most {}."),
        (messages.MAX_ISLANDS, "at most {} islands that are over"),
        (messages.MAX_MEMBERS, "at most {}: whom the sender suspects"),
        (orders.MAX_DENIED, "at most {} public keys that were revoked"),
        (orders.MAX_DENIED, "more than {} keys"),
        (orders.MAX_PLACES, "more than {} islands (of all tasks together)"),
        (run.MAX_ISLANDS, "1 to {} edges that leave each island"),
        (run.MAX_ISLANDS, "| 1 to {} |"),
        (run.EXHAUSTED_RATIO, "`run.EXHAUSTED_RATIO` ({}) times"),
        (verifier.MAX_ASKED, "(here {} of one member"),
        (policies.TOURNAMENT, "`policies.TOURNAMENT` ({}) draws"),
        (messages.MAX_TEXT_BYTES, "version of its problem of more than {} characters"),
        (messages.MAX_TEXT_BYTES, "why it was refused, in at most {} characters"),
        (member.MAX_KIND, "than {} characters, a `key` of"),
        (member.MAX_KEY, "a `key` of more than {},"),
        (member.MAX_ENDPOINTS, "more than {} `endpoints`"),
        (member.MAX_ENDPOINT, "or one of more than {} characters"),
        (link.MAX_FAULTS, "here {}; with one more it is hung up"),
        (names.MAX_SEGMENT_BYTES, "No segment has more than {} octets"),
        (messages.MAX_TASK_BYTES, "| task | string | at most {} characters |"),
        (messages.MAX_TEXT_BYTES, "| text | string | at most {} characters;"),
        (2 * names.MAX_ID_BYTES, "| id | string | 1 to {} characters"),
        (sealed.MAX_SEALED_BYTES, "head length | uncompressed; at most {} |"),
        (checkpoint.MAX_CONTENT_BYTES, "uncompressed, little-endian; at most {} |"),
        (codec.COMPRESS_FROM_BYTES, "from {} octets on"),
        (messages.VERSION, "# The distevo protocol, version {}"),
    ]:
        assert text.format(value) in SPEC
    assert " ".join(f"%x{octet:02X}" for octet in codec.MAGIC) in SPEC


def test_the_timers_are_the_code_s() -> None:
    timers = rows(SPEC[SPEC.index("### 11.8 Timers") :])
    assert len(timers) > 50
    for timer, stated, _ in timers:
        module, name = re.findall(r"(\w+)\.([A-Z_]+)", timer)[-1]
        value = getattr(importlib.import_module(f"distevo.{module}"), name)
        assert [float(number) for number in re.findall(r"[\d.]+", stated)] == list(
            value if isinstance(value, tuple) else (value,)
        ), timer


def test_what_comes_of_an_object_in_the_inbox_stands_there() -> None:
    row = next(row for row in rows(SPEC[SPEC.index("| field of `Plan`") :]) if row[0] == "`handled`")
    ledger = Ledger(plan.decode_plan(plan.encode_plan(PLAN)), {})
    ledger.forget("run-1")
    assert list(ledger.plan.handled.values()) == ["deleted"]
    for said in (orders.ACCEPTED, OUTDATED, *ledger.plan.handled.values(), f"{desk.UNREADABLE}: "):
        assert f'"{said}"' in row[2]


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.__name__)
def test_a_stored_structure_stands_there(kind: type[msgspec.Struct]) -> None:
    heading = re.search(rf"\| field of `{kind.__name__}`[^\n]*", SPEC)
    assert heading, f"SPEC.md has no table `{kind.__name__}`"
    table = {row[0].strip("`"): row[1] for row in rows(SPEC[heading.start() :])}
    if "default" in heading[0]:
        assert table == defaults(kind)
    else:
        assert list(table) == list(defaults(kind))
