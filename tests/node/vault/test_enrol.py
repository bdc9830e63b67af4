"""Enrolment: keys made once, a request that the coordinator accepts, one card for ever."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from fakes_federation import TinyFederation
from fakes_vault import KEY, LATER, SchoolHouse

from node.vault.desk import Desk
from node.vault.enrol import Floors, load_identity, parse_floors
from node.vault.errors import CommandError, EnrolmentStateError, VaultError
from node.vault.store import VaultStore
from protos.card import encode_card, fingerprint
from protos.enrolment import parse_request

GOOD: dict[str, Any] = {
    "federation": "county-1",
    "node": "school-1",
    "operator": "第一中学",
    "attributes": {"county": "530101"},
    "system": "6-3",
    "floors": {},
}
CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMII\n-----END CERTIFICATE REQUEST-----\n"


def test_init_makes_keys_once(house: SchoolHouse) -> None:
    first = house.call("identity")
    again = house.call("init", **(GOOD | {"floors": {}}))
    house.restart()
    assert first == again == house.call("identity")
    assert first["report_key"].startswith("fedscreen/county-1/node/school-1+")


def test_the_answers_hold_no_secret(house: SchoolHouse) -> None:
    identity = load_identity(house.store)
    secrets = [identity.master, identity.report_seed, identity.pupil_key, identity.journal_key]
    assert len(set(secrets)) == 4
    answers = repr([house.call("identity"), house.call("status"), identity, house.desk, house.store])
    for secret in secrets:
        assert secret.hex() not in answers
        assert repr(secret) not in answers


@pytest.mark.parametrize("name", ["federation", "node", "operator", "attributes", "system"])
def test_a_second_init_as_another_node_is_refused(house: SchoolHouse, name: str) -> None:
    other = {"federation": "county-2", "node": "b", "operator": "b", "attributes": {}, "system": "5-4"}
    with pytest.raises(EnrolmentStateError) as caught:
        house.call("init", **(GOOD | {name: other[name]}))
    assert caught.value.code == "already-initialised"


@pytest.mark.parametrize(
    "changes",
    [
        {"federation": "County 1"},
        {"node": ""},
        {"node": None},
        {"operator": ""},
        {"operator": "a\nb"},
        {"operator": "x" * 201},
        {"attributes": {"County": "x"}},
        {"attributes": {"county": 5}},
        {"attributes": []},
        {"system": "7-2"},
        {"floors": {"threshhold": 3}},
        {"floors": {"threshold": -1}},
        {"floors": {"threshold": "3"}},
        {"floors": {"threshold": True}},
        {"floors": {"rho_year": "3/5"}},
        {"floors": {"rho_year": "0"}},
        {"floors": {"rho_round": "x"}},
        {"floors": {"rho_round": "1/0"}},
        {"colour": "red"},
    ],
    ids=repr,
)
def test_bad_values_are_refused_and_make_no_keys(tmp_path: Path, changes: dict[str, Any]) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    desk = Desk(store, entropy=bytes, now=_later, level="L3", software=bytes(32))
    with pytest.raises(CommandError):
        desk.handle({"command": "init", **(GOOD | changes)}, {})
    assert store.query("SELECT 1 FROM identity") == []
    store.close()


def _later() -> datetime:
    return LATER


def test_a_dead_entropy_source_makes_no_keys(tmp_path: Path) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    for entropy in (bytes, lambda _size: b"short"):
        desk = Desk(store, entropy=entropy, now=_later, level="L3", software=bytes(32))
        with pytest.raises(EnrolmentStateError):
            desk.handle({"command": "init", **GOOD}, {})
    assert store.query("SELECT 1 FROM identity") == []
    store.close()


@pytest.mark.parametrize("command", ["identity", "status", "records_summary", "request", "accept", "rounds"])
def test_nothing_works_before_init(tmp_path: Path, command: str) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    desk = Desk(store, entropy=bytes, now=_later, level="L3", software=bytes(32))
    fields = {"request": {"csr": CSR}, "accept": {"card_text": "x"}}.get(command, {})
    with pytest.raises(EnrolmentStateError) as caught:
        desk.handle({"command": command, **fields}, {})
    assert caught.value.code == "not-initialised"
    store.close()


def test_the_request_is_one_that_the_coordinator_accepts(house: SchoolHouse) -> None:
    request = parse_request(house.blob("request", "request", csr=CSR))
    node = house.roster_node
    assert (request.role, request.federation, request.id) == ("node", "county-1", "school-1")
    assert (request.key, request.master, request.csr_pem) == (node.report, node.master, CSR)
    assert request.attributes == (("county", "530101"),)


@pytest.mark.parametrize("csr", ["", 5, None, "x" * 20000])
def test_a_request_needs_a_csr(house: SchoolHouse, csr: object) -> None:
    with pytest.raises(CommandError):
        house.call("request", csr=csr)


# -- the card ----------------------------------------------------------------------------------


def test_accept_shows_the_fingerprint_and_may_be_repeated(house: SchoolHouse) -> None:
    text = house.federation.card_text
    answer = house.call("accept", card_text=text)
    assert answer["fingerprint"] == fingerprint(text)
    assert house.call("status")["fingerprint"] == fingerprint(text)


def test_a_second_card_is_refused(house: SchoolHouse) -> None:
    other = TinyFederation(kind="demo")
    with pytest.raises(EnrolmentStateError) as caught:
        house.call("accept", card_text=encode_card(other.card))
    assert caught.value.code == "card-pinned"
    assert house.call("status")["fingerprint"] == fingerprint(house.federation.card_text)


def test_a_card_of_another_federation_is_refused(tmp_path: Path) -> None:
    house = SchoolHouse(tmp_path, is_enrolled=False)
    with pytest.raises(EnrolmentStateError) as caught:
        house.call("accept", card_text=TinyFederation(federation="county-2").card_text)
    assert caught.value.code == "wrong-federation"
    with pytest.raises(EnrolmentStateError) as caught:
        house.call("rounds")
    assert caught.value.code == "not-accepted"
    assert house.call("status")["fingerprint"] == ""
    house.store.close()


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text[:-1], lambda text: text + "x\n", lambda _: "x"]
)
def test_a_damaged_card_is_refused(tmp_path: Path, change: Any) -> None:
    house = SchoolHouse(tmp_path, is_enrolled=False)
    with pytest.raises(CommandError):
        house.call("accept", card_text=change(house.federation.card_text))
    house.store.close()


# -- floors ------------------------------------------------------------------------------------


def test_floors_only_become_stricter(house: SchoolHouse) -> None:
    house.call("floors", floors={"rho_year": "1/4", "threshold": 4})
    answer = house.call("floors", floors={"rho_year": "1/2", "threshold": 2, "min_reports": 8})
    assert answer == Floors(4, 1, 8, 1, Fraction(1, 4), Fraction(1, 4)).as_json()
    house.restart()
    assert house.call("status")["floors"] == answer


def test_a_node_may_start_with_lower_floors_but_later_with_a_higher_cap() -> None:
    assert parse_floors({"threshold": 1, "collude": 0}).threshold == 1
    with pytest.raises(VaultError):
        parse_floors({"rho_year": "51/100"})


def test_a_floor_that_is_lowered_holds_for_the_next_round(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.call("floors", floors={"rho_round": "1/20"})
    with pytest.raises(VaultError, match="below-floor"):
        house.release(round_id)
