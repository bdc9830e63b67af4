"""Accounts: names, persons, passphrases, roles kept apart, the journal's chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fakes_coordinator import County

from coordinator import accounts, actions
from coordinator.account_rules import AccountError, check_name, check_passphrase, check_person
from coordinator.schema import actions as table
from coordinator.store import Store

PASSPHRASE = "cedar lantern ninety rivers"
NOW = 1_790_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty coordinator's database."""
    made = Store(tmp_path / "coordinator.db", create=True)
    yield made
    made.close()


def add(store: Store, name: str, role: str = "", person: str = "", *, node: str = "") -> None:
    with store.writing("test") as connection:
        accounts.add(connection, name, person or name, NOW)
        if role:
            accounts.give_role(connection, name, role, node, {"s01": "school 1"})
            accounts.set_passphrase(connection, name, "stored", NOW)


@pytest.mark.parametrize("name", ["wang", "a", "0.x_y-z", "a" * 63])
def test_a_name_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "Wang", "王", "-a", ".a", "a b", "a/b", "a\n", "a" * 64, "a\u200b", "<b>", "a'--", "a\x00"]
)
def test_a_name_is_refused(name: str) -> None:
    with pytest.raises(AccountError):
        check_name(name)


def test_a_person_has_one_spelling() -> None:
    assert check_person("  王 \u3000小明（２） ") == "王 小明(2)"


@pytest.mark.parametrize(
    "person", ["", "   ", "王\u202e明", "a\x00b", "王\u200b明", "x" * 61, "\ud800", "\ufeff"]
)
def test_a_person_is_refused(person: str) -> None:
    with pytest.raises(AccountError):
        check_person(person)


@pytest.mark.parametrize(
    "passphrase",
    [
        "",
        "short",
        "elevenchars",
        "a" * 40,
        "abababababababab",
        "my-wang-passphrase",
        "x" * 257,
        "tab\there and there",
    ],
)
def test_a_passphrase_is_refused(passphrase: str) -> None:
    with pytest.raises(AccountError):
        check_passphrase(passphrase, "wang")


@pytest.mark.parametrize("passphrase", [PASSPHRASE, "红灯笼挂在老树上随风轻轻摇", "abcde1234567"])
def test_a_passphrase_is_taken(passphrase: str) -> None:
    assert check_passphrase(passphrase, "wang") == passphrase


def test_a_passphrase_is_stretched_with_argon2id() -> None:
    stored = accounts.stretch(PASSPHRASE)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,")
    assert accounts.is_passphrase(stored, PASSPHRASE)
    assert not accounts.is_passphrase(stored, PASSPHRASE + " ")
    assert not accounts.is_passphrase("", "")


@pytest.mark.parametrize("first", ["system", "security", "audit"])
@pytest.mark.parametrize("second", ["system", "security", "audit"])
def test_one_person_never_holds_two_administrators_roles(store: Store, first: str, second: str) -> None:
    add(store, "one", first, "Wang Min")
    add(store, "two", "", " wang  MIN")
    with store.writing("test") as connection:
        if first == second:
            accounts.give_role(connection, "two", second, "", {})
            return
        with pytest.raises(AccountError):
            accounts.give_role(connection, "two", second, "", {})


def test_nor_does_somebody_who_comes_back(store: Store) -> None:
    add(store, "one", "audit", "Wang Min")
    with store.writing("test") as connection:
        accounts.set_enabled(connection, "one", False)
    add(store, "two", "system", "Wang Min")
    with store.writing("test") as connection, pytest.raises(AccountError):
        accounts.set_enabled(connection, "one", True)


def test_a_clerk_may_also_administer(store: Store) -> None:
    add(store, "one", "clerk", "Wang Min")
    add(store, "two", "system", "Wang Min")


@pytest.mark.parametrize("role", ["system", "security"])
def test_the_last_account_of_its_role_stays(store: Store, role: str) -> None:
    add(store, "one", role)
    with store.writing("test") as connection:
        with pytest.raises(AccountError):
            accounts.set_enabled(connection, "one", False)
        with pytest.raises(AccountError):
            accounts.give_role(connection, "one", "clerk", "", {})
    add(store, "two", role)
    with store.writing("test") as connection:
        accounts.set_enabled(connection, "one", False)


@pytest.mark.parametrize(
    ("role", "node"), [("school", ""), ("school", "s99"), ("clerk", "s01"), ("king", ""), ("", "")]
)
def test_a_role_that_does_not_fit_is_refused(store: Store, role: str, node: str) -> None:
    add(store, "one")
    with store.writing("test") as connection, pytest.raises(AccountError):
        accounts.give_role(connection, "one", role, node, {"s01": "school 1"})


def test_two_accounts_have_two_names(store: Store) -> None:
    add(store, "one")
    with store.writing("test") as connection, pytest.raises(AccountError):
        accounts.add(connection, "one", "another", NOW)


def test_a_refused_change_leaves_nothing_behind(store: Store) -> None:
    add(store, "one", "clerk")
    with pytest.raises(AccountError), store.writing("test") as connection:  # noqa: PT012
        accounts.set_passphrase(connection, "one", "other", NOW)
        accounts.give_role(connection, "one", "king", "", {})
    with store.reading() as connection:
        assert accounts.get(connection, "one").passphrase == "stored"


def note_some(store: Store) -> None:
    for place in range(5):
        with store.writing("test") as connection:
            actions.note(connection, NOW + place, ("clerk", "clerk"), "read-board", f"round{place}")


def test_the_journal_is_a_chain(store: Store) -> None:
    note_some(store)
    with store.reading() as connection:
        assert actions.first_wrong(connection) is None
        assert [row.subject for row in actions.newest(connection, None, 2)] == ["round4", "round3"]
        assert [row.position for row in actions.newest(connection, 2, 9)] == [1, 0]


@pytest.mark.parametrize("column", ["at_ms", "account", "role", "action", "subject", "outcome", "digest"])
def test_a_changed_row_shows(store: Store, column: str) -> None:
    note_some(store)
    value = {"at_ms": 1, "digest": b"x"}.get(column, "changed")
    with store.writing("test") as connection:
        connection.execute(sa.update(table).where(table.c.position == 2).values({column: value}))
    with store.reading() as connection:
        assert actions.first_wrong(connection) == 2


def test_a_row_that_is_gone_shows(store: Store) -> None:
    note_some(store)
    with store.writing("test") as connection:
        connection.execute(sa.delete(table).where(table.c.position == 1))
    with store.reading() as connection:
        assert actions.first_wrong(connection) == 1


def test_the_tables_are_there_in_a_coordinators_folder(county: County) -> None:
    found = Store(county.desk.home.store_path)
    with found.reading() as connection:
        assert accounts.every(connection) == ()
    found.close()
