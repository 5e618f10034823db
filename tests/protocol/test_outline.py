"""The outline of a plan says the same as the plan, to whoever asks."""

from __future__ import annotations

from distevo.contact import CANDIDATES, FAR
from distevo.events import IslandId
from distevo.outline import Outline, outline_of
from distevo.plan import IslandPlace, MemberPlan, MemberState, Plan, RunPlan, RunState, TaskPlan, TaskState, encode_plan
from distevo.run import Budget, MigrationSettings, ProblemUse


def member(number: int, **fields: object) -> MemberPlan:
    says = MemberPlan(boot="b", kind="local", workers=1, memory_mb=4096, batch_size=10, key=f"k{number}", joined=number)
    for name, value in fields.items():
        setattr(says, name, value)
    return says


def plan(state: RunState = RunState.RUNNING, **tasks: TaskPlan) -> Plan:
    run = RunPlan(
        object="inbox/r",
        first_grant=1,
        state=state,
        problem=ProblemUse(name="toy", version="1", reference="toy", digest="d"),
        islands_per_task=1,
        budget=Budget(None, None),
        tasks=tasks,
    )
    return Plan(epoch=1, version=1, runs={"r": run})


def test_islands_are_found_by_who_has_them_and_by_who_had_them_last() -> None:
    outline = Outline(
        plan(
            t0=TaskPlan(islands=[IslandPlace("a-1", 1), IslandPlace("b-1", 2, ["c-1", "a-1"])]),
            t1=TaskPlan(islands=[IslandPlace("", 3, ["a-1"]), IslandPlace("a-1", 4, ["b-1", "a-1"])]),
        )
    )
    assert {island: place.grant for island, place in outline.owned("a-1").items()} == {
        IslandId("r", "t0", 0): 1,
        IslandId("r", "t1", 1): 4,
    }
    assert list(outline.owned("b-1")) == [IslandId("r", "t0", 1)]
    assert outline.owned("c-1") == {}
    # Not the one that came back to it, nor one that another had in between.
    assert outline.given_away("a-1") == [IslandId("r", "t0", 1), IslandId("r", "t1", 0)]
    assert outline.given_away("c-1") == outline.given_away("b-1") == []


def test_who_sends_to_another_and_who_is_sent_to_are_partners() -> None:
    shown = plan(t0=TaskPlan(islands=[*(IslandPlace(f"{name}-1", 1) for name in "abc"), IslandPlace("", 0)]))
    shown.runs["r"].migration = MigrationSettings(topology="free_form", edges=((0, 2), (1, 0), (1, 3)))
    partners = {name: Outline(shown).partners(f"{name}-1") for name in "abcd"}
    assert partners == {"a": {"b-1", "c-1"}, "b": {"a-1"}, "c": {"a-1"}, "d": set()}


def test_what_is_over_belongs_to_nobody() -> None:
    places = [IslandPlace("a-1", 1)]
    assert Outline(plan(t0=TaskPlan(state=TaskState.DONE, islands=places))).owned("a-1") == {}
    assert Outline(plan(RunState.DONE, t0=TaskPlan(islands=places))).owned("a-1") == {}
    assert Outline(plan(RunState.CANCELLED, t0=TaskPlan(islands=places))).owned("a-1")


def test_whoever_changes_what_it_was_given_changes_it_for_itself() -> None:
    outline = Outline(plan(t0=TaskPlan(islands=[IslandPlace("a-1", 1)])))
    outline.plan.members["a"] = member(0)
    outline.owned("a-1").clear()
    outline.contacts("").clear()
    assert outline.owned("a-1")
    assert outline.contacts("")


def test_contacts_are_all_but_those_who_left_or_were_revoked_and_few_have_a_rank() -> None:
    members = {f"m{number:02}": member(number, endpoints=["e"]) for number in range(40)}
    members["m05"].state = MemberState.DEAD
    members["m06"].state = MemberState.LEFT
    shown = Plan(epoch=1, version=1, members=members, denied=["k7"])
    contacts = Outline(shown).contacts("m30")
    assert contacts.keys() == members.keys() - {"m06", "m07"}
    ranked = {name: contact.rank for name, contact in contacts.items() if contact.rank != FAR}
    assert ranked == {"m30": 0, "m00": 1, "m01": CANDIDATES - 1}
    assert Outline(shown).contacts("m31")["m31"].rank == 0


def test_a_contact_stays_the_same_object_from_plan_to_plan() -> None:
    """Comparing a thousand of them is quick only so."""
    before = Outline(Plan(epoch=1, version=1, members={"a": member(0), "b": member(1)})).contacts("a")
    after = Outline(Plan(epoch=1, version=2, members={"a": member(0), "b": member(1)})).contacts("a")
    assert all(after[name] is contact for name, contact in before.items())


def test_the_same_bytes_are_decoded_once() -> None:
    data = encode_plan(Plan(epoch=3, version=4))
    assert outline_of(data) is outline_of(bytes(bytearray(data)))
    assert outline_of(data).plan == Plan(epoch=3, version=4)
