"""The member table: each rule by example, on virtual time, and every row of its transition table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from distevo.alarms import NEVER
from distevo.errors import LocalProtocolError
from distevo.machine import Table
from distevo.members import MEMBER_TABLE, MemberEvent, MemberTable, State

ALIVE, SUSPECT, DEAD, LEFT = State.ALIVE, State.SUSPECT, State.DEAD, State.LEFT

Act = Callable[[MemberTable, float], object]
Script = list[tuple[float, Act]]
Timeline = list[tuple[float, str, State]]

STORE_SECONDS = 0.25
"""How long the store takes for the read by which a node asks whether it is cut off itself."""


def member_table(*members: str) -> MemberTable:
    """A table that follows boot `<id>1` of each of these members (`a` and `b` unless told) since time 0."""
    table = MemberTable("me", "me1", heartbeat_interval=10.0, heartbeat_timeout=30.0)
    table.follow({member: f"{member}1" for member in members or ("a", "b")}, 0.0)
    return table


def play(table: MemberTable, script: Script, until: float, is_store_there: bool = True) -> Timeline:
    """Do what the script says at its times, tick as a node does, and return what the ticks report.

    As a node does: after each event, and when `next_deadline` says so. Each new suspect makes it read the store.
    """
    script = sorted(script, key=lambda step: step[0])
    reported: Timeline = []
    while True:
        at = min([until, *(step[0] for step in script[:1]), table.next_deadline()])
        if script and script[0][0] == at:
            script.pop(0)[1](table, at)
        changes = table.tick(at)
        reported += [(at, member, state) for member, state in changes]
        if is_store_there and any(state is SUSPECT for _, state in changes):
            script.append((at + STORE_SECONDS, healthy()))
            script.sort(key=lambda step: step[0])
        if at >= until and not (script and script[0][0] <= at):
            return reported


def heard(member: str, boot: str = "", interval: float = 0.0, incarnation: int | None = None) -> Act:
    return lambda table, now: table.heard(member, boot or f"{member}1", now, interval, incarnation)


def link_lost(member: str) -> Act:
    return lambda table, now: table.link_lost(member, now)


def link_made(member: str) -> Act:
    return lambda table, now: table.link_made(member, now)


def left(member: str, boot: str = "") -> Act:
    return lambda table, _: table.left(member, boot or f"{member}1")


def suspected(member: str, incarnation: int) -> Act:
    return lambda table, now: table.suspected(member, incarnation, now)


def follow(**members: str) -> Act:
    return lambda table, now: table.follow(members, now)


def grace(*members: str, interval: float = 0.0) -> Act:
    return lambda table, now: table.grace(members, now, interval)


def lagged(seconds: float) -> Act:
    return lambda table, now: table.lagged(seconds, now)


def healthy() -> Act:
    return lambda table, now: table.healthy(now)


EXAMPLES: dict[str, tuple[Script, Timeline]] = {
    "silence: suspect at the timeout, dead a second later": (
        [],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD)],
    ),
    "every word is a full timeout": (
        [(10.0, heard("a")), (20.0, heard("a"))],
        [(50.0, "a", SUSPECT), (51.0, "a", DEAD)],
    ),
    "a closed link: two seconds to death": (
        [(5.0, link_lost("a"))],
        [(6.0, "a", SUSPECT), (7.0, "a", DEAD)],
    ),
    "closing again does not prolong the wait": (
        [(5.0, link_lost("a")), (5.75, link_lost("a"))],
        [(6.0, "a", SUSPECT), (7.0, "a", DEAD)],
    ),
    "a link made again in time is as if it had never closed": (
        [(5.0, link_lost("a")), (5.75, link_made("a"))],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD)],
    ),
    "a link made again too late, with nothing said on it, saves nobody": (
        [(5.0, link_lost("a")), (6.25, link_made("a"))],
        [(6.0, "a", SUSPECT), (7.0, "a", DEAD)],
    ),
    "another path while the redial is awaited: silence alone judges from then on": (
        [(5.0, link_lost("a")), (5.5, heard("a"))],
        [(35.5, "a", SUSPECT), (36.5, "a", DEAD)],
    ),
    "a suspect that is heard through any path is alive": (
        [(5.0, link_lost("a")), (6.5, heard("a", interval=15.0))],
        [(6.0, "a", SUSPECT), (6.5, "a", ALIVE), (51.5, "a", SUSPECT), (52.5, "a", DEAD)],
    ),
    "what refutes is hearing, not the incarnation": (
        [(1.0, heard("a", incarnation=4)), (31.5, heard("a", incarnation=3))],
        [(31.0, "a", SUSPECT), (31.5, "a", ALIVE), (61.5, "a", SUSPECT), (62.5, "a", DEAD)],
    ),
    "an older boot refutes nothing": (
        [(30.5, heard("a", "a0"))],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD)],
    ),
    "the dead are welcomed back": (
        [(40.0, heard("a"))],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD), (40.0, "a", ALIVE), (70.0, "a", SUSPECT), (71.0, "a", DEAD)],
    ),
    "the dead are not welcomed back by a link, by grace or by another boot": (
        [(40.0, link_made("a")), (41.0, grace("a")), (42.0, heard("a", "a2")), (43.0, link_lost("a"))],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD)],
    ),
    "mail: three of its intervals": (
        [(1.0, heard("a", interval=15.0))],
        [(46.0, "a", SUSPECT), (47.0, "a", DEAD)],
    ),
    "mail quicker than the timeout: the timeout": (
        [(1.0, heard("a", interval=5.0))],
        [(31.0, "a", SUSPECT), (32.0, "a", DEAD)],
    ),
    "one word through a relay takes nothing from the mail": (
        [(1.0, heard("a", interval=20.0)), (2.0, heard("a"))],
        [(61.0, "a", SUSPECT), (62.0, "a", DEAD)],
    ),
    "nobody talks himself immortal": (
        [(1.0, heard("a", interval=1e9))],
        [(1801.0, "a", SUSPECT), (1802.0, "a", DEAD)],
    ),
    "grace: a full timeout from now": (
        [(20.0, grace("a"))],
        [(50.0, "a", SUSPECT), (51.0, "a", DEAD)],
    ),
    "grace for one whose next words come by mail": (
        [(20.0, grace("a", interval=15.0))],
        [(65.0, "a", SUSPECT), (66.0, "a", DEAD)],
    ),
    "grace of one who was heard by mail is as long as mail takes": (
        [(1.0, heard("a", interval=15.0)), (20.0, grace("a"))],
        [(65.0, "a", SUSPECT), (66.0, "a", DEAD)],
    ),
    "grace never shortens": (
        [(1.0, heard("a", interval=30.0)), (2.0, heard("a")), (3.0, grace("a"))],
        [(91.0, "a", SUSPECT), (92.0, "a", DEAD)],
    ),
    "grace given to the dead is nothing, later neither": (
        [(40.0, grace("a", interval=100.0)), (41.0, heard("a"))],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD), (41.0, "a", ALIVE), (71.0, "a", SUSPECT), (72.0, "a", DEAD)],
    ),
    "grace withdraws a suspicion": (
        [(30.5, grace("a"))],
        [(30.0, "a", SUSPECT), (30.5, "a", ALIVE), (60.5, "a", SUSPECT), (61.5, "a", DEAD)],
    ),
    "grace does not mend a link: the wait begins anew": (
        [(5.0, link_lost("a")), (5.75, grace("a"))],
        [(6.75, "a", SUSPECT), (7.75, "a", DEAD)],
    ),
    "nor that of a suspect": (
        [(5.0, link_lost("a")), (6.5, grace("a"))],
        [(6.0, "a", SUSPECT), (6.5, "a", ALIVE), (7.5, "a", SUSPECT), (8.5, "a", DEAD)],
    ),
    "nor one that closed during a suspicion": (
        [(30.25, link_lost("a")), (30.5, grace("a"))],
        [(30.0, "a", SUSPECT), (30.5, "a", ALIVE), (31.5, "a", SUSPECT), (32.5, "a", DEAD)],
    ),
    "a link closed before a word from elsewhere is forgotten by grace too": (
        [(5.0, link_lost("a")), (5.5, heard("a")), (6.0, grace("a"))],
        [(36.0, "a", SUSPECT), (37.0, "a", DEAD)],
    ),
    "our own lag: a full timeout for everybody": (
        [(29.0, lagged(1.5))],
        [(59.0, "a", SUSPECT), (60.0, "a", DEAD)],
    ),
    "our own lag, again and again: who is dead all the same is found so": (
        [(29.0, lagged(1.5)), (58.0, lagged(1.5)), (87.0, lagged(1.5))],
        [(88.0, "a", SUSPECT), (89.0, "a", DEAD)],
    ),
    "unless a path on which it spoke has a longer timeout than the last": (
        [
            (1.0, heard("a", interval=20.0)),
            (1.0, heard("a")),
            (30.0, lagged(1.5)),
            (59.0, lagged(1.5)),
            (88.0, lagged(1.5)),
            (117.0, lagged(1.5)),
        ],
        [(147.0, "a", SUSPECT), (148.0, "a", DEAD)],
    ),
    "a lag that may be anybody's is none": (
        [(29.0, lagged(1.0))],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD)],
    ),
    "goodbye": (
        [(5.0, left("a"))],
        [(5.0, "a", LEFT)],
    ),
    "what was said before the goodbye and comes after it": (
        [(5.0, left("a")), (5.5, heard("a", incarnation=7)), (6.0, link_lost("a")), (7.0, left("a"))],
        [(5.0, "a", LEFT)],
    ),
    "a goodbye of an older boot": (
        [(5.0, left("a", "a0"))],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD)],
    ),
    "a suspect says goodbye": (
        [(30.5, left("a"))],
        [(30.0, "a", SUSPECT), (30.5, "a", LEFT)],
    ),
    "the dead say goodbye": (
        [(40.0, left("a"))],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD), (40.0, "a", LEFT)],
    ),
    "a new boot of one that left": (
        [(5.0, left("a")), (6.0, follow(a="a2")), (7.0, heard("a", "a1"))],
        [(5.0, "a", LEFT), (6.0, "a", ALIVE), (36.0, "a", SUSPECT), (37.0, "a", DEAD)],
    ),
    "a new boot has its own link and its own time": (
        [(1.0, heard("a", interval=100.0)), (5.0, link_lost("a")), (5.5, follow(a="a2"))],
        [(35.5, "a", SUSPECT), (36.5, "a", DEAD)],
    ),
    "a new boot of a suspect": (
        [(30.5, follow(a="a2"))],
        [(30.0, "a", SUSPECT), (30.5, "a", ALIVE), (60.5, "a", SUSPECT), (61.5, "a", DEAD)],
    ),
    "the same boot followed again: nothing": (
        [(20.0, follow(a="a1"))],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD)],
    ),
    "removed: no change is reported any more, and nothing is remembered": (
        [(30.5, follow()), (31.5, heard("a")), (32.0, follow(a="a1"))],
        [(30.0, "a", SUSPECT), (62.0, "a", SUSPECT), (63.0, "a", DEAD)],
    ),
    "a peer's suspicion of a third neither kills nor hurries": (
        [(float(second), suspected("a", 0)) for second in range(1, 30)],
        [(30.0, "a", SUSPECT), (31.0, "a", DEAD)],
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    script, expected = EXAMPLES[name]
    table = member_table("a")
    assert play(table, script, until=2000.0) == expected
    assert table.next_deadline() == NEVER


CUT_OFF: dict[str, tuple[Script, Timeline]] = {
    "nothing is heard at all: nobody is dead": (
        [],
        [(30.0, "a", SUSPECT), (30.0, "b", SUSPECT)],
    ),
    "all links close at once, right after a word: nobody is dead": (
        [(5.0, heard("a")), (5.0, heard("b")), (5.0, link_lost("a")), (5.0, link_lost("b"))],
        [(6.0, "a", SUSPECT), (6.0, "b", SUSPECT)],
    ),
    "a sign of health before the suspicion proves nothing": (
        [(29.75, healthy())],
        [(30.0, "a", SUSPECT), (30.0, "b", SUSPECT)],
    ),
    "one during it does": (
        [(30.0, healthy())],
        [(30.0, "a", SUSPECT), (30.0, "b", SUSPECT), (31.0, "a", DEAD), (31.0, "b", DEAD)],
    ),
    "the store answers again: a second more, since all else may come back too": (
        [(100.0, healthy()), (100.5, healthy())],
        [(30.0, "a", SUSPECT), (30.0, "b", SUSPECT), (101.0, "a", DEAD), (101.0, "b", DEAD)],
    ),
    "a peer is heard again: it lives, the other has a second more": (
        [(100.0, heard("b")), (110.0, heard("b"))],
        [
            *[(30.0, "a", SUSPECT), (30.0, "b", SUSPECT)],
            *[(100.0, "b", ALIVE), (101.0, "a", DEAD), (140.0, "b", SUSPECT)],
        ],
    ),
    "both come back in that second": (
        [(100.0, heard("b")), (100.75, heard("a"))],
        [
            *[(30.0, "a", SUSPECT), (30.0, "b", SUSPECT), (100.0, "b", ALIVE), (100.75, "a", ALIVE)],
            *[(130.0, "b", SUSPECT), (130.75, "a", SUSPECT)],
        ],
    ),
    "a waiting verdict is dropped with its member": (
        [(40.0, follow(b="b1")), (41.0, follow(a="a1", b="b1")), (100.0, healthy())],
        [(30.0, "a", SUSPECT), (30.0, "b", SUSPECT), (71.0, "a", SUSPECT), (101.0, "a", DEAD), (101.0, "b", DEAD)],
    ),
    "our own lag withdraws a waiting verdict": (
        [(40.0, lagged(9.0)), (40.25, healthy())],
        [
            *[(30.0, "a", SUSPECT), (30.0, "b", SUSPECT), (40.0, "a", ALIVE), (40.0, "b", ALIVE)],
            *[(70.0, "a", SUSPECT), (70.0, "b", SUSPECT)],
        ],
    ),
}


@pytest.mark.parametrize("name", CUT_OFF)
def test_whoever_hears_nobody_suspects_itself_first(name: str) -> None:
    script, expected = CUT_OFF[name]
    assert play(member_table("a", "b"), script, until=2000.0, is_store_there=False) == expected


def test_however_long_we_slept_whoever_was_heard_before_has_a_full_timeout() -> None:
    table = member_table("a")
    table.lagged(9000.0, 9020.0)
    assert table.tick(9020.0) == []
    assert table.next_deadline() == 9050.0
    assert table.tick(9050.0) == [("a", SUSPECT)]


def test_whoever_was_silent_for_two_timeouts_before_we_slept_has_none() -> None:
    table = member_table("a")
    assert play(table, [(29.0, lagged(1.5)), (58.0, lagged(1.5))], until=87.0) == []
    table.lagged(9000.0, 9087.0)
    assert table.tick(9087.0) == [("a", SUSPECT)]


def test_a_late_tick_leaves_a_refutation_its_time() -> None:
    table = member_table("a")
    assert table.tick(500.0) == [("a", SUSPECT)]
    table.healthy(500.5)
    assert table.tick(500.75) == []
    assert table.next_deadline() == 501.0
    assert table.tick(501.0) == [("a", DEAD)]


# ---- every row


def in_state(state: State) -> tuple[MemberTable, float]:
    """A table whose member `a` is in this state, and the time."""
    scripts: dict[State, tuple[Script, float]] = {
        ALIVE: ([], 1.0),
        SUSPECT: ([], 30.0),
        DEAD: ([], 31.0),
        LEFT: ([(1.0, left("a"))], 1.0),
    }
    table = member_table("a")
    script, now = scripts[state]
    play(table, script, until=now)
    assert table.state("a") is state
    return table, now


CAUSES: dict[MemberEvent, Script] = {
    MemberEvent.HEARD: [(0.25, heard("a"))],
    MemberEvent.INCARNATION: [(0.25, heard("a", incarnation=1))],
    MemberEvent.OTHER_BOOT: [(0.25, heard("a", "a0"))],
    MemberEvent.LINK_CLOSED: [(0.25, link_lost("a"))],
    MemberEvent.LINK_MADE: [(0.25, link_made("a"))],
    MemberEvent.LINK_LOST: [(0.0, link_lost("a")), (1.0, healthy())],
    MemberEvent.SILENCE: [(29.0, healthy())],
    MemberEvent.VERDICT: [(0.25, healthy()), (1.0, healthy())],
    MemberEvent.UNSURE: [(1.0, suspected("a", 0))],
    MemberEvent.RUMOUR: [(0.25, suspected("a", 0))],
    MemberEvent.GOODBYE: [(0.25, left("a"))],
    MemberEvent.NEW_BOOT: [(0.25, follow(a="a2"))],
    MemberEvent.GRACE: [(0.25, grace("a"))],
}


@pytest.mark.parametrize(("state", "event"), MEMBER_TABLE.rows)
def test_every_row_is_taken(state: State, event: MemberEvent, monkeypatch: pytest.MonkeyPatch) -> None:
    table, now = in_state(state)
    taken: list[tuple[State, MemberEvent]] = []
    step = Table.step

    def noted(machine: Table[State, MemberEvent], before: State, what: MemberEvent) -> State:
        taken.append((before, what))
        return step(machine, before, what)

    monkeypatch.setattr(Table, "step", noted)
    script = [(now + after, act) for after, act in CAUSES[event]]
    play(table, script, until=script[-1][0], is_store_there=False)
    assert (state, event) in taken
    assert taken[-1] == (state, event)
    assert table.state("a") is MEMBER_TABLE.rows[state, event].next


def test_the_pairs_without_a_row_are_those_that_time_alone_makes() -> None:
    missing = {(state, event) for state in State for event in MemberEvent} - MEMBER_TABLE.rows.keys()
    timers = {MemberEvent.LINK_LOST: ALIVE, MemberEvent.SILENCE: ALIVE, MemberEvent.VERDICT: SUSPECT}
    timers[MemberEvent.UNSURE] = SUSPECT
    assert missing == {(state, event) for event, only in timers.items() for state in State if state is not only}
    for state, event in sorted(missing):
        with pytest.raises(LocalProtocolError):
            MEMBER_TABLE.step(state, event)


# ---- refutation


def test_a_suspicion_of_us_raises_our_incarnation_above_it() -> None:
    table = member_table()
    assert table.incarnation == 0
    assert table.suspected("me", 0, 1.0)
    assert table.incarnation == 1
    assert table.suspected("me", 6, 1.25)
    assert table.incarnation == 7


def test_old_news_of_a_suspicion_is_answered_without_another_rise() -> None:
    table = member_table()
    assert table.suspected("me", 0, 1.0)
    assert table.suspected("me", 0, 1.25)
    assert table.incarnation == 1


def test_our_incarnation_never_outgrows_a_message() -> None:
    table = member_table()
    assert table.suspected("me", 2**53, 1.0)
    assert table.suspected("me", 2**53, 1.0)
    assert table.incarnation == 2**53


@pytest.mark.parametrize("member", ["a", "stranger"])
def test_a_suspicion_of_another_is_not_ours_to_refute(member: str) -> None:
    table = member_table()
    assert not table.suspected(member, 3, 1.0)
    assert table.incarnation == 0
    assert table.suspects() == {}


def test_suspects_name_the_incarnation_to_exceed_and_are_gone_with_the_suspicion() -> None:
    table = member_table("a", "b", "c", "d")
    table.heard("b", "b1", 1.0, incarnation=5)
    table.heard("b", "b1", 2.0, incarnation=4)
    table.link_lost("b", 2.0)
    play(table, [], until=30.0, is_store_there=False)
    assert list(table.suspects().items()) == [("b", 5), ("a", 0), ("c", 0), ("d", 0)]
    table.heard("b", "b1", 30.5)
    table.left("a", "a1")
    table.follow({"b": "b1", "c": "c2", "d": "d1"}, 30.5)
    assert table.suspects() == {"d": 0}
    table.follow({"b": "b1"}, 30.5)
    assert table.suspects() == {}


def test_an_incarnation_belongs_to_a_boot() -> None:
    table = member_table("a")
    table.heard("a", "a1", 1.0, incarnation=5)
    table.follow({"a": "a2"}, 2.0)
    table.heard("a", "a1", 3.0, incarnation=9)
    table.tick(32.0)
    assert table.suspects() == {"a": 0}


def test_two_tables_settle_a_suspicion_between_them() -> None:
    here, there = member_table("a"), MemberTable("a", "a1", 10.0, 30.0)
    assert here.tick(30.0) == [("a", SUSPECT)]
    [(suspect, incarnation)] = here.suspects().items()
    assert there.suspected(suspect, incarnation, 30.25)
    assert here.heard("a", "a1", 30.5, incarnation=there.incarnation)
    assert here.tick(30.5) == [("a", ALIVE)]
    here.tick(60.5)
    assert here.suspects() == {"a": there.incarnation}


# ---- what is asked


def test_heard_says_whether_it_counted() -> None:
    table = member_table("a", "b")
    table.left("b", "b1")
    assert table.heard("a", "a1", 1.0)
    assert not table.heard("a", "a0", 2.0)
    assert not table.heard("b", "b1", 2.0)
    assert not table.heard("stranger", "s1", 2.0)
    assert table.heard_at("a") == 1.0
    assert table.heard_at("b") is None


def test_what_did_not_count_is_no_sign_of_our_health() -> None:
    script: Script = [(30.25, heard("a", "a0")), (30.5, heard("b")), (30.75, heard("stranger"))]
    table = member_table("a", "b")
    table.left("b", "b1")
    play(table, script, until=40.0, is_store_there=False)
    assert table.state("a") is SUSPECT


def test_silence_counts_from_the_last_word_or_from_the_first_day() -> None:
    table = member_table("a")
    table.follow({"a": "a1", "b": "b1"}, 5.0)
    table.heard("a", "a1", 7.0)
    table.grace(["a", "b"], 9.0)
    assert table.silence("a", 10.0) == 3.0
    assert table.silence("b", 10.0) == 5.0
    table.follow({"a": "a2"}, 12.0)
    assert table.silence("a", 13.0) == 1.0
    assert table.heard_at("a") is None


def test_strangers_are_ignored_by_reports_and_unknown_to_questions() -> None:
    table = member_table("a")
    for act in (link_made("x"), link_lost("x"), left("x"), grace("x"), heard("x"), suspected("x", 0)):
        act(table, 1.0)
    assert play(table, [], until=29.0) == []
    assert table.alive() == ["a"]
    assert not table.hears("x", "x1", 1.0)
    assert table.state("x") is None
    assert table.heard_at("x") is None
    with pytest.raises(KeyError):
        table.silence("x", 1.0)


def test_we_do_not_follow_ourselves() -> None:
    table = member_table("a", "me")
    assert (table.me, table.boot) == ("me", "me1")
    assert table.alive() == ["a"]
    assert not table.heard("me", "me1", 1.0)
    assert not table.hears("me", "me1", 1.0)


def test_alive_are_the_suspects_too_in_the_order_of_the_plan() -> None:
    table = member_table("d", "b", "c", "a")
    table.left("b", "b1")
    table.heard("c", "c1", 20.0)
    table.tick(30.0)
    assert table.alive() == ["d", "c", "a"]
    table.healthy(30.5)
    table.tick(31.0)
    assert table.alive() == ["c"]
    table.follow({"x": "x1", "c": "c1"}, 32.0)
    assert table.alive() == ["x", "c"]


HEARS: dict[str, tuple[Script, float, bool]] = {
    "never heard": ([], 1.0, False),
    "heard": ([(1.0, heard("a"))], 30.75, True),
    "silent for the timeout": ([(1.0, heard("a"))], 31.0, False),
    "heard by mail": ([(1.0, heard("a", interval=20.0))], 60.0, True),
    "another boot is heard": ([(1.0, heard("a", "a2"))], 1.0, False),
    "grace is no hearing": ([(1.0, heard("a")), (25.0, grace("a"))], 40.0, False),
    "its link has closed": ([(1.0, heard("a")), (2.0, link_lost("a"))], 2.0, False),
    "and is made again": ([(1.0, heard("a")), (2.0, link_lost("a")), (2.5, link_made("a"))], 2.5, True),
    "or it is heard through another path": ([(2.0, link_lost("a")), (2.5, heard("a"))], 5.0, True),
    "suspect": ([(1.0, heard("a")), (2.0, link_lost("a")), (3.25, link_made("a"))], 3.5, False),
    "left": ([(1.0, heard("a")), (2.0, left("a"))], 2.5, False),
    "a new boot": ([(1.0, heard("a")), (2.0, follow(a="a2")), (3.0, heard("a", "a2"))], 3.0, False),
}


@pytest.mark.parametrize("name", HEARS)
def test_the_answer_to_a_pre_vote(name: str) -> None:
    script, now, expected = HEARS[name]
    table = member_table("a")
    play(table, script, until=now)
    assert table.hears("a", "a1", now) is expected


def test_a_late_node_does_not_claim_to_hear_before_its_tick() -> None:
    table = member_table("a")
    table.heard("a", "a1", 1.0)
    assert not table.hears("a", "a1", 100.0)


@pytest.mark.parametrize(("interval", "timeout"), [(10.0, 10.0), (10.0, 5.0), (0.0, 30.0)])
def test_times_that_would_kill_everybody_are_refused(interval: float, timeout: float) -> None:
    with pytest.raises(ValueError, match="cannot keep a member alive"):
        MemberTable("me", "me1", interval, timeout)


# ---- deadlines and order


def test_nobody_to_wait_for() -> None:
    table = MemberTable("me", "me1", 10.0, 30.0)
    assert table.next_deadline() == NEVER
    assert table.tick(1e9) == []


def test_a_timeout_shorter_than_a_suspicion() -> None:
    table = MemberTable("me", "me1", 0.125, 0.5)
    table.follow({"a": "a1"}, 0.0)
    expected = [(0.5, "a", SUSPECT), (0.625, "a", ALIVE), (1.125, "a", SUSPECT), (2.125, "a", DEAD)]
    assert play(table, [(0.625, heard("a"))], until=3.0) == expected


def test_changes_of_one_moment_come_by_id_whatever_the_order_of_the_plan() -> None:
    reported = []
    for members in (("a", "b", "c", "d"), ("d", "b", "a", "c")):
        table = member_table(*members)
        for member in members:
            table.heard(member, f"{member}1", 1.0)
        reported.append(play(table, [], until=40.0))
    assert reported[0] == reported[1]
    assert [member for _, member, _ in reported[0]] == ["a", "b", "c", "d"] * 2


def test_a_change_and_its_undoing_between_two_ticks_is_no_change() -> None:
    table = member_table("a")
    table.left("a", "a1")
    table.follow({"a": "a2"}, 1.0)
    assert table.tick(1.0) == []


def test_a_change_of_one_who_is_removed_before_the_tick_is_not_reported() -> None:
    table = member_table("a", "b")
    table.left("a", "a1")
    table.left("b", "b1")
    table.follow({"b": "b1"}, 1.0)
    assert table.tick(1.0) == [("b", LEFT)]
    table.left("b", "b1")
    table.follow({}, 1.0)
    table.follow({"a": "a1", "b": "b1"}, 1.0)
    assert table.tick(1.0) == []


def test_a_link_that_flaps_leaves_nothing_behind() -> None:
    table = member_table("a", "b", "c")
    table.link_lost("c", 0.0)
    table.left("c", "c1")
    assert table.tick(0.0) == [("c", LEFT)]
    assert table.next_deadline() == 30.0
    for number in range(2000):
        now = 1.0 + number / 512
        table.link_lost("a", now)
        table.heard("a", "a1", now, interval=10.0)
        table.next_deadline()
    assert len(table._heap) < 50
    assert play(table, [], until=34.0) == [(30.0, "b", SUSPECT), (31.0, "b", DEAD)]
    table.left("a", "a1")
    assert table.next_deadline() == NEVER
