"""What every store must do: one suite that all implementations pass.

An implementation subclasses `StoreContract` as `Test...` and overrides the fixture `connect`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from distevo.errors import BadName, Conflict, NotFound
from distevod.store import Store

NAMES = [
    "cluster",
    "plans/3-17-a1b2",
    "inbox/member-kaggle%2D1-0123456789abcdef",
    "inbox/run-my%20run-ab12",
    "inbox/command-00ff",
    "checkpoints/kaggle-1-0123456789abcdef/42",
    "results/run/task/0a1b2c",
    "mail/id~boot-0123456789abcdef/7",
    "...",
    ".hidden/%2E%2E/-",
    "a/" + "x" * 255,
    "/".join(["d" * 127] * 8),
]
BAD_NAMES = [
    "",
    "/",
    "/etc/passwd",
    "..",
    ".",
    "../outside",
    "plans/../../outside",
    "plans/./x",
    "plans//x",
    "plans/",
    "/plans/x",
    "plans/a\0b",
    "plans/a\nb",
    "plans/a b",
    "plans/a\\b",
    "plans/ä",
    "plans/\ud800",
    "plans/*",
    "a/" + "x" * 256,
    "/".join(["d" * 127] * 8) + "/x",
    "tmp",
    "tmp/x",
    "cas",
    "cas/cluster/00000000000000000001",
]
BAD_PREFIXES = ["/", "../", "plans/../", "plans//", "tmp/", "cas/cluster/", "a b", "a\0", "ä", "x" * 1025]
CONTENTS = {
    "empty": b"",
    "every byte": bytes(range(256)),
    "line ends": b"\r\n\n\r\x1a",
    "one MiB": b"\x00\xff" * (1 << 19),
}
SWAPPERS = 6


class StoreContract:
    """The guarantees of `distevod.store.base.Store`, one test each."""

    @pytest.fixture
    def connect(self) -> Callable[[], Store]:
        """A function that returns another object for the same, at first empty, store."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, connect: Callable[[], Store]) -> Store:
        return connect()

    # --- create and read -------------------------------------------------------------------------

    @pytest.mark.parametrize("name", NAMES)
    def test_created_object_is_read_and_listed_by_everybody(
        self, name: str, store: Store, connect: Callable[[], Store]
    ) -> None:
        token = store.create(name, b"bytes")
        assert token >= 1
        for reader in (store, connect()):
            assert reader.read(name) == (b"bytes", token)
            assert reader.list("") == [name]

    @pytest.mark.parametrize("name", ["cluster", "plans/1"])
    @pytest.mark.parametrize("content", CONTENTS)
    def test_any_bytes_come_back_unchanged(self, name: str, content: str, store: Store) -> None:
        store.create(name, CONTENTS[content])
        assert store.read(name)[0] == CONTENTS[content]

    @pytest.mark.parametrize("name", ["cluster", "plans/1"])
    def test_absent_object_is_not_found(self, name: str, store: Store) -> None:
        with pytest.raises(NotFound, match=name):
            store.read(name)

    @pytest.mark.parametrize("name", ["cluster", "plans/1"])
    def test_second_create_conflicts_and_changes_nothing(
        self, name: str, store: Store, connect: Callable[[], Store]
    ) -> None:
        token = store.create(name, b"first")
        for other in (store, connect()):
            for data in (b"second", b"first"):
                with pytest.raises(Conflict, match=name):
                    other.create(name, data)
        assert store.read(name) == (b"first", token)

    @pytest.mark.parametrize("name", ["cluster", "plans/1"])
    def test_of_many_creators_one_wins(self, name: str, connect: Callable[[], Store]) -> None:
        gate = threading.Barrier(SWAPPERS)

        def create(number: int) -> int | None:
            store = connect()
            gate.wait(30)
            try:
                store.create(name, b"%d" % number)
            except Conflict:
                return None
            return number

        with ThreadPoolExecutor(SWAPPERS) as pool:
            winners = [number for number in pool.map(create, range(SWAPPERS)) if number is not None]
        assert len(winners) == 1
        assert connect().read(name)[0] == b"%d" % winners[0]

    # --- replace ---------------------------------------------------------------------------------

    def test_replace_moves_the_object_and_its_token(self, store: Store, connect: Callable[[], Store]) -> None:
        token = store.create("cluster", b"0")
        for number in range(1, 5):
            newer = connect().replace("cluster", b"%d" % number, token)
            assert newer > token
            assert store.read("cluster") == (b"%d" % number, newer)
            token = newer
        assert store.list("") == ["cluster"]

    def test_replace_with_an_old_token_conflicts_and_changes_nothing(self, store: Store) -> None:
        tokens = [store.create("cluster", b"0")]
        for _ in range(3):
            tokens.append(store.replace("cluster", b"new", tokens[-1]))
        for token in tokens[:-1]:
            with pytest.raises(Conflict, match="cluster"):
                store.replace("cluster", b"late", token)
        assert store.read("cluster") == (b"new", tokens[-1])

    @pytest.mark.parametrize("offset", [1, 2, 1000])
    def test_replace_with_a_token_never_given_conflicts(self, offset: int, store: Store) -> None:
        token = store.create("cluster", b"0")
        with pytest.raises(Conflict):
            store.replace("cluster", b"late", token + offset)
        assert store.read("cluster") == (b"0", token)

    @pytest.mark.parametrize("token", [0, -1, 1, 7])
    def test_replace_of_an_absent_object_conflicts_and_makes_none(self, token: int, store: Store) -> None:
        with pytest.raises(Conflict):
            store.replace("cluster", b"data", token)
        assert store.list("") == []

    @pytest.mark.parametrize("token", [0, -1])
    def test_replace_with_no_token_conflicts(self, token: int, store: Store) -> None:
        newest = store.create("cluster", b"0")
        with pytest.raises(Conflict):
            store.replace("cluster", b"1", token)
        assert store.read("cluster") == (b"0", newest)

    def test_object_written_once_cannot_be_replaced(self, store: Store) -> None:
        token = store.create("plans/1", b"once")
        with pytest.raises(BadName, match="written once"):
            store.replace("plans/1", b"twice", token)
        assert store.read("plans/1")[0] == b"once"

    def test_create_conflicts_after_many_swaps(self, store: Store) -> None:
        token = store.create("cluster", b"0")
        for number in range(130):
            token = store.replace("cluster", b"%d" % number, token)
        with pytest.raises(Conflict):
            store.create("cluster", b"anew")
        assert store.read("cluster") == (b"129", token)
        assert store.list("cl") == ["cluster"]

    def test_concurrent_swaps_lose_no_update(self, connect: Callable[[], Store]) -> None:
        connect().create("cluster", b"0")

        def count(_: int) -> list[int]:
            store, won = connect(), []
            while len(won) < 20:
                data, token = store.read("cluster")
                try:
                    won.append(store.replace("cluster", b"%d" % (int(data) + 1), token))
                except Conflict:
                    continue
            return won

        with ThreadPoolExecutor(SWAPPERS) as pool:
            tokens = [token for won in pool.map(count, range(SWAPPERS)) for token in won]
        assert len(set(tokens)) == SWAPPERS * 20
        assert connect().read("cluster") == (b"%d" % (SWAPPERS * 20), max(tokens))

    def test_readers_see_whole_objects_that_never_go_back(self, connect: Callable[[], Store]) -> None:
        size = 50_000
        store = connect()
        token = store.create("cluster", b"\0" * size)
        stop = threading.Event()

        def watch(_: int) -> int:
            reader, seen, last, looks = connect(), [0, 0], 0, 0
            while not stop.is_set():
                data, last = reader.read("cluster")
                assert len(data) == size
                assert len(set(data)) == 1, "bytes of two versions in one read"
                seen = [seen[1], last]
                assert seen[0] <= seen[1], "the token fell"
                looks += 1
            return looks

        with ThreadPoolExecutor(2) as pool:
            watchers = [pool.submit(watch, number) for number in range(2)]
            try:
                for number in range(1, 100):
                    token = store.replace("cluster", bytes([number]) * size, token)
            finally:
                stop.set()
            assert all(watcher.result(30) > 0 for watcher in watchers)

    # --- list ------------------------------------------------------------------------------------

    def test_empty_store_lists_nothing(self, store: Store) -> None:
        for prefix in ("", "c", "plans/", "plans/3-", "results/run/task/"):
            assert store.list(prefix) == []

    def test_list_takes_any_beginning_of_a_name(self, store: Store) -> None:
        names = [
            "cluster",
            "inbox/member-a-1",
            "inbox/run-a-1",
            "inbox/run-b-2",
            "inbox2/run-c-3",
            "results/a/1/x",
            "results/a/1/y",
            "results/a/10/x",
            "results/b/1/x",
        ]
        for name in reversed(names):
            store.create(name, name.encode())
        every_prefix = {name[:end] for name in names for end in range(len(name) + 1)}
        for prefix in [*sorted(every_prefix), "x", "results/c/", "results/a/1/x/y", "inbox/run-a-1/"]:
            assert store.list(prefix) == [name for name in names if name.startswith(prefix)], prefix

    def test_list_is_sorted_by_character(self, store: Store) -> None:
        names = ["a/-", "a/.x", "a/0", "a/10", "a/9", "a/A", "a/_", "a/a", "a/b/c", "a/b-", "a/~", "a-/b", "a0/b"]
        for name in names:
            store.create(name, b"")
        assert store.list("") == sorted(names)

    def test_list_shows_thousands(self, store: Store) -> None:
        names = sorted(f"plans/1-{number}-ab" for number in range(2000))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: store.create(name, b"x"), names))
        assert store.list("plans/") == names

    def test_list_holds_what_stays_while_others_come_and_go(self, connect: Callable[[], Store]) -> None:
        store = connect()
        stays = {"cluster", *(f"inbox/stays-{number}" for number in range(50)), "checkpoints/a/1"}
        for name in stays:
            store.create(name, b"")
        stop = threading.Event()
        comes = [*(f"inbox/comes-{number}" for number in range(20)), "checkpoints/b/1", "checkpoints/a/2"]

        def churn(_: int) -> None:
            other = connect()
            token = other.read("cluster")[1]
            for name in itertools.cycle(comes):
                if stop.is_set():
                    return
                other.create(name, b"")
                token = other.replace("cluster", b"", token)
                other.delete(name)

        with ThreadPoolExecutor(1) as pool:
            churning = pool.submit(churn, 0)
            try:
                for _ in range(200):
                    listed = store.list("")
                    assert listed == sorted(set(listed))
                    assert stays <= set(listed) <= stays | set(comes)
            finally:
                stop.set()
            churning.result(30)

    # --- delete ----------------------------------------------------------------------------------

    def test_deleted_object_is_gone_and_may_come_again(self, store: Store, connect: Callable[[], Store]) -> None:
        names = ["checkpoints/a/1", "checkpoints/a/2", "inbox/run-a-1"]
        for name in names:
            store.create(name, b"old")
        for name in names:
            connect().delete(name)
            with pytest.raises(NotFound):
                store.read(name)
        assert store.list("") == []
        for name in names:
            store.create(name, b"new")
            assert store.read(name)[0] == b"new"
        assert store.list("") == names

    def test_delete_leaves_the_others(self, store: Store) -> None:
        for name in ("cluster", "a/b/1", "a/b/2", "a/c/1"):
            store.create(name, b"x")
        store.delete("a/b/1")
        assert store.list("") == ["a/b/2", "a/c/1", "cluster"]

    def test_delete_of_the_absent_is_fine(self, store: Store) -> None:
        store.create("inbox/run-a-1", b"x")
        for name in ("inbox/run-b-1", "nowhere/at/all", "inbox/run-a-1", "inbox/run-a-1"):
            store.delete(name)
        assert store.list("") == []

    def test_mutable_object_cannot_be_deleted(self, store: Store) -> None:
        store.create("cluster", b"x")
        with pytest.raises(BadName, match="never deleted"):
            store.delete("cluster")
        assert store.list("") == ["cluster"]

    def test_creates_and_deletes_in_one_folder_do_not_hinder_each_other(self, connect: Callable[[], Store]) -> None:
        def churn(number: int) -> None:
            store = connect()
            for sequence in range(40):
                name = f"checkpoints/a-1/{number}-{sequence}"
                store.create(name, b"x")
                assert store.read(name)[0] == b"x"
                store.delete(name)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(churn, range(4)))
        assert connect().list("") == []

    # --- names -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:30])
    def test_bad_name_is_refused_by_every_verb(self, name: str, store: Store) -> None:
        with pytest.raises(BadName):
            store.create(name, b"x")
        with pytest.raises(BadName):
            store.read(name)
        with pytest.raises(BadName):
            store.replace(name, b"x", 1)
        with pytest.raises(BadName):
            store.delete(name)
        assert store.list("") == []

    @pytest.mark.parametrize("prefix", BAD_PREFIXES, ids=lambda name: ascii(name)[:30])
    def test_bad_prefix_is_refused(self, prefix: str, store: Store) -> None:
        with pytest.raises(BadName):
            store.list(prefix)

    # --- the rest --------------------------------------------------------------------------------

    def test_one_object_serves_many_threads(self, store: Store) -> None:
        def work(number: int) -> None:
            for sequence in range(20):
                store.create(f"mail/{number}/{sequence}", b"%d" % sequence)
                assert store.read(f"mail/{number}/{sequence}")[0] == b"%d" % sequence
            assert len(store.list(f"mail/{number}/")) == 20

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert len(store.list("mail/")) == 160

    def test_swap_interval_is_stated(self, store: Store) -> None:
        assert 0 <= store.swap_interval <= 2

    def test_mail_interval_is_stated(self, store: Store) -> None:
        assert 0.1 <= store.mail_interval <= 60
