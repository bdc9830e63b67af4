"""The local roles: who may open what, and what a wrong passphrase gets."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_roles import actor, add, key_of
from fakes_vault import Crash, SchoolHouse, fake_bytes

from crypto.sealing import round_public_key
from node.vault.errors import CommandError, RoleError
from node.vault.roles import PRINCIPAL, PSYCHOLOGIST, Unlocked, require, unlock


def test_a_new_node_has_no_roles(house: SchoolHouse) -> None:
    assert house.call("roles") == {"holders": [], "keys": {"principal": "", "psychologist": ""}}
    with pytest.raises(RoleError) as caught:
        require(house.store, actor(PSYCHOLOGIST, "李老师"), PSYCHOLOGIST)
    assert caught.value.code == "no-role"


@pytest.mark.parametrize("role", [PSYCHOLOGIST, PRINCIPAL])
def test_the_first_holder_needs_nobody_and_unlocks_the_published_key(house: SchoolHouse, role: str) -> None:
    add(house, role, "李老师")
    unlocked = unlock(house.store, actor(role, "李老师"))
    public = house.call("roles")["keys"][role]
    assert [row["name"] for row in house.call("roles")["holders"]] == ["李老师"]
    if role == PSYCHOLOGIST:
        assert round_public_key(unlocked.secret).hex() == public
    assert unlocked.secret.hex() not in repr(unlocked)


def test_a_second_holder_needs_one_of_the_same_role_and_gets_the_same_key(house: SchoolHouse) -> None:
    add(house, PSYCHOLOGIST, "李老师")
    add(house, PRINCIPAL, "张校长")
    for by in ({}, {"actor": actor(PRINCIPAL, "张校长")}):
        with pytest.raises(RoleError) as caught:
            add(house, PSYCHOLOGIST, "王老师", **by)
        assert caught.value.code in ("role-taken", "role-needed")
    add(house, PSYCHOLOGIST, "王老师", actor=actor(PSYCHOLOGIST, "李老师"))
    secrets = {unlock(house.store, actor(PSYCHOLOGIST, name)).secret for name in ("李老师", "王老师")}
    assert len(secrets) == 1


def test_a_new_passphrase_opens_and_the_old_one_no_longer(house: SchoolHouse) -> None:
    add(house, PSYCHOLOGIST, "李老师")
    secret = unlock(house.store, actor(PSYCHOLOGIST, "李老师")).secret
    salt = house.call("role_salt", role=PSYCHOLOGIST, name="李老师")
    assert salt["is_new"] == 0
    new = fake_bytes("a new passphrase", 32).hex()
    fields = {"role": PSYCHOLOGIST, "name": "李老师", "salt": salt["salt"], "key": new}
    house.call("role_add", **fields, actor=actor(PSYCHOLOGIST, "李老师"))
    assert unlock(house.store, {"role": PSYCHOLOGIST, "name": "李老师", "key": new}).secret == secret
    with pytest.raises(RoleError):
        unlock(house.store, actor(PSYCHOLOGIST, "李老师"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "00" * 32},
        {"key": "zz"},
        {"key": ""},
        {"name": "王老师"},
        {"role": PRINCIPAL},
        {"role": "it"},
        {"name": None},
    ],
    ids=["other-key", "no-hex", "empty", "other-name", "other-role", "no-role", "no-name"],
)
def test_a_wrong_holder_is_refused_without_saying_more(house: SchoolHouse, wrong: dict[str, Any]) -> None:
    add(house, PSYCHOLOGIST, "李老师")
    with pytest.raises(RoleError) as caught:
        house.call("role_check", actor=actor(PSYCHOLOGIST, "李老师") | wrong)
    assert caught.value.code in ("wrong-role-passphrase", "bad-role")
    assert key_of("李老师") not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": " 李老师"},
        {"name": "a\nb"},
        {"name": "x" * 101},
        {"role": "it"},
        {"salt": "00"},
        {"key": "ab" * 31},
    ],
    ids=["blank", "two-lines", "long", "role", "salt", "key"],
)
def test_what_is_no_role_is_refused(house: SchoolHouse, fields: dict[str, str]) -> None:
    good = {"role": PSYCHOLOGIST, "name": "李老师", "salt": "00" * 16, "key": "ab" * 32}
    with pytest.raises((RoleError, CommandError)):
        house.call("role_add", **{**good, **fields})
    assert house.call("roles")["holders"] == []


def test_a_sealed_secret_is_bound_to_its_holder(house: SchoolHouse) -> None:
    add(house, PSYCHOLOGIST, "李老师")
    with house.store.transaction("tamper"):
        house.store.execute("UPDATE role_holder SET name = '王老师'")
    with pytest.raises(RoleError):
        unlock(house.store, {"role": PSYCHOLOGIST, "name": "王老师", "key": key_of("李老师")})


def test_making_a_role_stands_in_the_journal(house: SchoolHouse) -> None:
    add(house, PRINCIPAL, "张校长")
    last = list(house.desk.enrolled().journal.verify())[-1]
    assert (last.kind, last.subject, last.target) == ("role", "张校长", PRINCIPAL)


def test_a_crash_makes_the_role_whole_or_not_at_all(house: SchoolHouse) -> None:
    for at in ("before role", "after role"):
        house.at_step[at] = lambda: (_ for _ in ()).throw(Crash("now"))
        with pytest.raises(Crash):
            add(house, PSYCHOLOGIST, "李老师")
        house.restart()
    assert isinstance(unlock(house.store, actor(PSYCHOLOGIST, "李老师")), Unlocked)
