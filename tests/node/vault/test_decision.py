"""The principal's decisions: what each does, what is signed, and that nobody else releases."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_roles import actor, add
from fakes_vault import Crash, SchoolHouse, pupils

from crypto.errors import VerificationError
from crypto.note import KeyType, VerifierKey, parse_signature_line, verify_signature
from node.vault.decision import DECLINE, HOLD, latest_decision
from node.vault.errors import AttemptError, CommandError, RecordsError, RoleError, VaultError
from node.vault.roles import PRINCIPAL, PSYCHOLOGIST

NAME = "张校长"


@pytest.fixture
def ready(house: SchoolHouse) -> tuple[SchoolHouse, str]:
    """A school with a principal and an open round."""
    round_id = house.start_round()
    add(house, PRINCIPAL, NAME)
    return house, round_id.hex()


def decide(house: SchoolHouse, round_id: str, decision: str, reason: str = "", **more: Any) -> dict[str, Any]:
    asks = {"round": round_id, "decision": decision, "actor": actor(PRINCIPAL, NAME), **more}
    return house.call("decide", **asks, **({"reason": reason} if reason else {}))


def test_approval_releases_in_the_principals_name(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    answer = decide(house, round_id, "approve")
    assert (answer["is_new"], answer["by"], answer["decision"]) == (1, NAME, "approve")
    assert house.desk.outgoing() is not None
    (row,) = house.call("rounds")["rounds"]
    assert row["decision"]["by"] == NAME


def test_what_is_signed_names_round_records_and_cost(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    shown = house.call("preview", round=round_id, actor=actor(PRINCIPAL, NAME))
    decide(house, round_id, "approve", "符合要求", records=shown["records"])
    found = latest_decision(house.store, bytes.fromhex(round_id))
    assert found is not None
    for line in (f"round {round_id}", f"records {shown['records']}", f"rho {shown['rho']}", f"by {NAME}"):
        assert f"{line}\n" in found.text
    public = bytes.fromhex(house.call("roles")["keys"][PRINCIPAL])
    name = f"fedscreen/{house.federation.federation}/principal/{house.node}"
    key = VerifierKey(name, KeyType.ED25519, public)
    signature = parse_signature_line(found.signature)
    verify_signature(found.text, signature, key)
    with pytest.raises(VerificationError):
        verify_signature(found.text.replace("approve", "decline"), signature, key)


def test_without_the_principal_nothing_is_released(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    add(house, PSYCHOLOGIST, "李老师")
    for fields in ({}, {"actor": actor(PSYCHOLOGIST, "李老师")}, {"actor": actor(PRINCIPAL, "别人")}):
        with pytest.raises(RoleError):
            house.call("release", round=round_id, by=NAME, **fields)
    assert house.desk.outgoing() is None


def test_a_node_without_roles_releases_as_before(house: SchoolHouse) -> None:
    round_id = house.start_round()
    assert house.release(round_id)["is_new"] == 1


def test_counts_are_shown_to_holders_only(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    hidden = house.call("preview", round=round_id)
    shown = house.call("preview", round=round_id, actor=actor(PRINCIPAL, NAME))
    assert hidden["hidden"] == 1
    assert shown["hidden"] == 0
    assert not any("count" in cell for table in hidden["tables"] for cell in table["cells"])
    assert all("count" in cell for table in shown["tables"] for cell in table["cells"])
    with pytest.raises(RoleError):
        house.call("preview", round=round_id, actor=actor(PRINCIPAL, NAME) | {"key": "00" * 32})


def test_a_hold_keeps_back_and_an_approval_lets_go(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    decide(house, round_id, "approve")
    assert decide(house, round_id, HOLD, "再核对一次")["held"] == 1
    assert house.desk.outgoing() is None
    assert decide(house, round_id, "approve")["is_new"] == 0
    assert house.desk.outgoing() is not None


def test_the_command_does_not_lift_the_principals_hold(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    decide(house, round_id, "approve")
    decide(house, round_id, HOLD, "再核对一次")
    with pytest.raises(VaultError) as caught:
        house.call("hold", on=0)
    assert caught.value.code == "held-by-principal"
    assert house.desk.outgoing() is None


def test_an_approval_does_not_lift_the_hold_of_the_command(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    house.call("hold", on=1)
    decide(house, round_id, "approve")
    assert house.desk.outgoing() is None


def test_a_declined_round_can_be_approved_later_but_not_the_other_way(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    assert decide(house, round_id, DECLINE, "本校不参加")["decision"] == DECLINE
    decide(house, round_id, "approve")
    with pytest.raises(AttemptError) as caught:
        decide(house, round_id, DECLINE, "反悔")
    assert caught.value.code == "already-released"


@pytest.mark.parametrize("reason", ["", "   ", "a\nb", "x" * 301], ids=["none", "blank", "lines", "long"])
def test_holding_and_declining_need_a_reason(ready: tuple[SchoolHouse, str], reason: str) -> None:
    house, round_id = ready
    with pytest.raises(CommandError):
        decide(house, round_id, DECLINE, reason)
    assert latest_decision(house.store, bytes.fromhex(round_id)) is None


def test_other_records_than_those_shown_are_not_released(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    with pytest.raises(RecordsError) as caught:
        decide(house, round_id, "approve", records="00" * 32)
    assert caught.value.code == "records-changed"
    assert latest_decision(house.store, bytes.fromhex(round_id)) is None


def test_a_crash_anywhere_is_finished_by_approving_again(house: SchoolHouse) -> None:
    round_id = house.start_round().hex()
    add(house, PRINCIPAL, NAME)
    already, payloads = len(house.steps), set()
    for at in range(already, already + 12):
        house.crash_at = at
        try:
            decide(house, round_id, "approve")
        except Crash:
            house.restart()
        house.crash_at = None
        payloads.add(house.desk.outgoing())
    decide(house, round_id, "approve")
    payloads.add(house.desk.outgoing())
    assert len(payloads - {None}) == 1
    assert house.store.query("SELECT COUNT(*) FROM charge") == [(1,)]
    assert house.store.query("SELECT COUNT(*) FROM decision") == [(1,)]


def test_nothing_is_decided_once_the_county_has_closed_the_collection(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    decide(house, round_id, "approve")
    house.submit()
    house.federation.fix_candidates(bytes.fromhex(round_id))
    house.sync()
    with pytest.raises(AttemptError) as caught:
        decide(house, round_id, "approve", "再签一次")
    assert caught.value.code == "too-late"
    assert house.store.query("SELECT COUNT(*) FROM decision") == [(1,)]


def test_a_preview_tells_what_was_released(ready: tuple[SchoolHouse, str]) -> None:
    house, round_id = ready
    assert house.call("preview", round=round_id)["released"] == {}
    records = house.call("preview", round=round_id)["records"]
    decide(house, round_id, "approve")
    house.save(pupils()[:-3])
    shown = house.call("preview", round=round_id)
    assert (shown["released"]["records"], shown["released"]["by"]) == (records, NAME)
    assert shown["records"] != records
    assert shown["is_over"] == 0
