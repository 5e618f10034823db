"""One link through every row of its table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import tests.support.programs  # noqa: F401 - loads the profile without time limits
from distevo.contact import FAR, FULL_MESH, Contact, wished
from distevo.dialling import STABLE_SECONDS
from distevo.events import LinkClosed, Malformed
from distevo.instructions import Dial
from distevo.link import (
    GREETING_SECONDS,
    LINK_TABLE,
    MAX_FAULTS,
    STRANGER_SECONDS,
    LinkEvent,
    LinkState,
)
from distevo.links import SURPLUS_SECONDS
from distevo.messages import Code, Command, ErrorReport, Goodbye
from tests.protocol.ends import OTHER_BOOT, A, B, C, End, errors, heads, hung_up
from tests.protocol.network import boot_of, contact, heartbeat, key_of


def greet_as_acceptor() -> None:
    end = End()
    assert end.opened(1) == []
    assert heads(end.hello(1)) == [Command.WELCOME]
    assert end.a.told() == [("linked", B)]
    end.says(1, Goodbye())
    assert end.a.heads() == [(B, Goodbye())]
    assert (end.a.came[0].boot, end.a.came[0].path.kind) == (boot_of(B), "direct")


def greet_as_dialler() -> None:
    end = End()
    end.dials()
    assert [i.member for i in end.out if isinstance(i, Dial)] == [B]
    assert heads(end.opened(1, is_dialled=True)) == [Command.HELLO]
    assert end.welcome(1) == []
    assert end.a.told() == [("linked", B)]


def greet_again_on_an_open_link() -> None:
    end = End()
    end.accepted(1)
    assert end.hello(1) == end.welcome(1) == []
    assert end.a.came == []
    assert end.a.told() == [("linked", B)]


def bad_hello() -> None:
    end = End()
    end.opened(1)
    assert errors(end.hello(1, cluster="c2")) == [Code.CLUSTER]


def bad_welcome() -> None:
    end = End()
    end.dials()
    end.opened(1, is_dialled=True)
    assert errors(end.welcome(1, cluster="c2")) == [Code.CLUSTER]


def stranger_becomes_known() -> None:
    end = End(C)
    end.opened(1)
    out = end.hello(1)
    assert (errors(out), hung_up(out)) == ([Code.NOT_YET_KNOWN], [])
    assert end.a.strangers == [key_of(B)]
    assert end.hello(1) == end.says(1, ErrorReport(code=Code.BUSY, reason="")) == []
    assert errors(end.says(1, heartbeat())) == [Code.UNEXPECTED]
    end.out.clear()
    end.contacts[B] = contact(B, is_dialable=False)
    end.follow()
    assert heads(end.out) == [Command.WELCOME]
    assert end.a.told() == [("linked", B)]
    assert end.a.came == []


def stranger_says_hello_on_a_second_link() -> None:
    end = End(C)
    end.opened(1)
    end.hello(1)
    end.opened(2)
    assert hung_up(end.hello(2)) == [1]
    assert end.state(2) is LinkState.STRANGE


def stranger_turns_out_to_be_somebody_else() -> None:
    end = End(C)
    end.opened(1)
    end.hello(1)
    end.contacts["b~2"] = Contact(OTHER_BOOT, key_of(B))
    end.out.clear()
    end.follow()
    assert (errors(end.out), hung_up(end.out)) == ([Code.IDENTITY], [1])


def acceptor_waits_in_vain() -> None:
    end = End(C)
    end.opened(1)
    end.opened(2)
    end.hello(2)
    assert hung_up(end.wait(GREETING_SECONDS)) == [1]
    assert hung_up(end.wait(STRANGER_SECONDS - GREETING_SECONDS - 0.1)) == []
    assert hung_up(end.wait(0.2)) == [2]


def dialler_waits_in_vain() -> None:
    end = End()
    end.dials()
    end.opened(1, is_dialled=True)
    assert hung_up(end.wait(GREETING_SECONDS)) == [1]
    end.opened(2, is_dialled=True)
    assert end.says(2, ErrorReport(code=Code.NOT_YET_KNOWN, reason="wait")) == []
    end.wait(STRANGER_SECONDS - 0.1)
    assert end.state(2) is LinkState.DIALLED
    # Saying it again and again holds the link no longer.
    end.says(2, ErrorReport(code=Code.NOT_YET_KNOWN, reason="wait"))
    assert hung_up(end.wait(0.2)) == [2]


def dialler_is_refused() -> None:
    end = End()
    end.dials()
    end.opened(1, is_dialled=True)
    out = end.says(1, ErrorReport(code=Code.VERSION, reason="too old"))
    assert (errors(out), hung_up(out)) == ([], [1])
    assert end.a.links == []


def dialler_meets_a_boot_that_its_plan_does_not_show_yet() -> None:
    end = End()
    end.dials()
    end.opened(1, is_dialled=True)
    assert end.welcome(1, boot=OTHER_BOOT) == []
    assert end.a.strangers == [key_of(B)]
    # The other end holds the link open and may speak; only this end cannot know yet whose words these are.
    for _ in range(2 * MAX_FAULTS):
        assert end.says(1, heartbeat()) == end.says(1, ErrorReport(code=Code.BUSY, reason="")) == []
    assert end.a.came == []
    end.follow(boot=OTHER_BOOT)
    assert end.a.told() == [("linked", B)]
    end.says(1, heartbeat())
    assert end.a.came[0].boot == OTHER_BOOT


def dialler_waits_for_a_boot_in_vain() -> None:
    end = End()
    end.dials()
    end.opened(1, is_dialled=True)
    end.welcome(1, boot=OTHER_BOOT)
    assert hung_up(end.wait(STRANGER_SECONDS)) == [1]


def an_old_boot_answers() -> None:
    """The plan has moved on twice: what answers is the boot between."""
    end = End()
    end.dials()
    end.opened(1, is_dialled=True)
    end.welcome(1, boot=OTHER_BOOT)
    end.follow(boot=OTHER_BOOT)
    end.follow(boot="cafe")
    assert end.state(1) is None
    end.opened(2, is_dialled=True)
    assert errors(end.welcome(2, boot=OTHER_BOOT)) == [Code.IDENTITY]


def unexpected_before_open() -> None:
    end = End(B, C)
    end.dials()
    end.opened(1, is_dialled=True)
    end.opened(2, C)
    for link in (1, 2):
        for _ in range(MAX_FAULTS):
            assert errors(end.says(link, heartbeat())) == [Code.UNEXPECTED]
        out = end.says(link, heartbeat())
        assert (errors(out), hung_up(out)) == ([], [link])
    assert end.a.came == []


def hello_and_welcome_the_wrong_way_round() -> None:
    end = End(B, C)
    end.dials()
    end.opened(1, is_dialled=True)
    assert errors(end.hello(1)) == [Code.UNEXPECTED]
    end.opened(2, C)
    assert errors(end.welcome(2, C)) == [Code.UNEXPECTED]
    end.opened(3, "d")
    end.hello(3, "d")
    assert errors(end.welcome(3, "d")) == [Code.UNEXPECTED]
    assert end.a.links == []


def in_each_state(then: Callable[[End, int], None]) -> None:
    """One link in each state but CLOSED, numbered so; then what is asked, on each."""
    for number, state in enumerate(
        (LinkState.DIALLED, LinkState.ACCEPTED, LinkState.STRANGE, LinkState.WELCOMED, LinkState.OPEN)
    ):
        end = End(C) if state is LinkState.STRANGE else End(B, C)
        if state in {LinkState.DIALLED, LinkState.WELCOMED}:
            end.dials()
        end.opened(number, is_dialled=state in {LinkState.DIALLED, LinkState.WELCOMED})
        if state is LinkState.WELCOMED:
            end.welcome(number, boot=OTHER_BOOT)
        elif state in {LinkState.STRANGE, LinkState.OPEN}:
            end.hello(number)
        assert end.state(number) is state
        end.out.clear()
        then(end, number)


def malformed_in_each_state() -> None:
    def then(end: End, link: int) -> None:
        for _ in range(MAX_FAULTS):
            assert errors(end.event(Malformed(link, Code.TOO_LARGE, "x" * 5000))) == [Code.TOO_LARGE]
        out = end.event(Malformed(link, Code.TOO_LARGE, ""))
        assert (errors(out), hung_up(out)) == ([], [link])
        assert end.event(Malformed(link, Code.TOO_LARGE, "")) == []

    in_each_state(then)


def closed_in_each_state() -> None:
    def then(end: End, link: int) -> None:
        was_open = end.state(link) is LinkState.OPEN
        assert hung_up(end.event(LinkClosed(link))) == []
        assert end.state(link) is None
        assert (end.a.told()[-1:] == [("unlinked", B)]) == was_open

    in_each_state(then)


def revoked_in_each_state() -> None:
    def then(end: End, link: int) -> None:
        end.follow(denied=key_of(B))
        assert (errors(end.out), hung_up(end.out)) == ([Code.DENIED], [link])
        assert end.says(link, heartbeat()) == []
        assert end.a.came == []
        end.out.clear()
        end.opened(99)
        assert (errors(end.out), hung_up(end.out)) == ([Code.DENIED], [99])

    in_each_state(then)


def gone_from_the_plan_in_each_state() -> None:
    def then(end: End, link: int) -> None:
        stays = end.state(link) in {LinkState.ACCEPTED, LinkState.STRANGE}
        end.follow(B)
        assert hung_up(end.out) == ([] if stays else [link])
        end.says(link, heartbeat())
        assert end.a.came == []

    in_each_state(then)


def unexpected_on_an_open_link() -> None:
    end = End()
    end.accepted(1)
    link = end.a.all_links()[1]
    end.a.router._links.unexpected(link, heartbeat(), "not now", end.now)
    assert errors(end.wait(0)) == [Code.UNEXPECTED]


def error_before_hello() -> None:
    end = End()
    end.opened(1)
    assert end.says(1, ErrorReport(code=Code.MALFORMED, reason="?")) == []
    assert end.state(1) is LinkState.ACCEPTED


def newer_link_of_the_same_dialler() -> None:
    end = End()
    end.accepted(1)
    end.opened(2)
    assert hung_up(end.hello(2)) == [1]
    assert end.a.told() == [("linked", B)]
    end.event(LinkClosed(1))
    assert end.a.told() == [("linked", B)]
    end.says(1, heartbeat())
    end.says(2, Goodbye())
    assert end.a.heads() == [(B, Goodbye())]


def surplus_link() -> None:
    end = End(*[f"m{n:03}" for n in range(FULL_MESH + 20)])
    far = next(m for m in end.contacts if m not in wished(A, FAR, end.contacts))
    end.a.router.want([far], end.now)
    end.dials(far)
    end.opened(1, far, is_dialled=True)
    end.welcome(1, far)
    end.a.router.want([], end.now)
    end.wait(SURPLUS_SECONDS - 1)
    assert end.state(1) is LinkState.OPEN
    assert hung_up(end.wait(1)) == [1]
    assert end.a.evidence == [(far, False, [])]
    assert [i for i in end.wait(100) if isinstance(i, Dial)] == []


def owner_counts_as_dead() -> None:
    end = End()
    end.dials()
    end.opened(1, is_dialled=True)
    end.welcome(1)
    end.now = STABLE_SECONDS
    end.a.router.hang_up(B, end.now)
    end.a.router.hang_up(B, end.now)
    out = end.wait(0)
    assert hung_up(out) == [1]
    assert end.a.evidence == [(B, False, [])]
    assert [i.member for i in out if isinstance(i, Dial)] == [B]


def not_dialled_or_no_longer_wanted() -> None:
    end = End()
    end.dials()
    end.opened(1, is_dialled=True, key="of somebody else")
    assert hung_up(end.out) == [1]
    end.follow(B)
    end.out.clear()
    end.opened(2, is_dialled=True)
    assert hung_up(end.out) == [2]


SCENARIOS = [
    greet_as_acceptor,
    greet_as_dialler,
    greet_again_on_an_open_link,
    bad_hello,
    bad_welcome,
    stranger_becomes_known,
    stranger_says_hello_on_a_second_link,
    stranger_turns_out_to_be_somebody_else,
    acceptor_waits_in_vain,
    dialler_waits_in_vain,
    dialler_is_refused,
    dialler_meets_a_boot_that_its_plan_does_not_show_yet,
    dialler_waits_for_a_boot_in_vain,
    an_old_boot_answers,
    unexpected_before_open,
    hello_and_welcome_the_wrong_way_round,
    malformed_in_each_state,
    closed_in_each_state,
    revoked_in_each_state,
    gone_from_the_plan_in_each_state,
    unexpected_on_an_open_link,
    error_before_hello,
    newer_link_of_the_same_dialler,
    surplus_link,
    owner_counts_as_dead,
    not_dialled_or_no_longer_wanted,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_link(scenario: Callable[[], None]) -> None:
    scenario()


def test_every_row_of_the_table_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = set()

    def step(state: LinkState, event: LinkEvent) -> LinkState:
        taken.add((state, event))
        return LINK_TABLE.rows[state, event].next

    monkeypatch.setattr(LINK_TABLE, "step", step)
    for scenario in SCENARIOS:
        scenario()
    assert set(LINK_TABLE.rows) - taken == set()
