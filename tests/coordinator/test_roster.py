"""Rosters: drafted from what is enrolled, logged only with the signatures that the rules ask for."""

from collections.abc import Callable

import pytest
from fakes_coordinator import Auditor, County, School, small_config

from coordinator.errors import (
    NoGenesisError,
    NotRosteredError,
    RosterError,
    SignatureRefusedError,
    UnknownProposalError,
)
from protos.statements import digest

NAMES = ["a1", "a2", "a3", "a4"]


def test_genesis_needs_every_auditor(county: County) -> None:
    county.enrol()
    county.desk.propose_roster()
    county.sign_rosters(NAMES[:3])
    assert county.desk.get_log(0, 10).entries == ()
    assert county.desk.round_ids() == ()
    county.sign_rosters(NAMES[3:])
    assert county.ledger().size == 1
    assert [node.id for node in county.ledger().roster.body.nodes] == sorted(county.schools)


def test_a_later_roster_needs_a_quorum_of_the_preceding(county: County) -> None:
    county.found()
    county.desk.approve_request(School("s99", "school 99").request())
    county.desk.propose_roster()
    county.sign_rosters(NAMES[:2])
    assert county.ledger().size == 1
    county.sign_rosters(NAMES[2:3])
    assert county.ledger().size == 2
    assert county.ledger().roster.body.node("s99") is not None


def test_a_new_auditor_must_sign_itself(county: County) -> None:
    county.found()
    county.auditors["a5"] = Auditor("a5")
    county.desk.approve_request(county.auditors["a5"].request())
    with pytest.raises(RosterError, match="quorum"):  # 5 auditors need a quorum of 4
        county.desk.propose_roster()


def test_a_new_auditor_joins(make_county: Callable[..., County]) -> None:
    county = make_county(config=small_config(quorum=4))
    county.found()
    county.auditors["a5"] = Auditor("a5")
    county.desk.approve_request(county.auditors["a5"].request())
    county.desk.propose_roster()
    county.sign_rosters(NAMES)
    assert county.ledger().size == 1
    county.sign_rosters(["a5"])
    assert county.ledger().size == 2


def test_signing_again_changes_nothing(county: County) -> None:
    county.enrol()
    county.desk.propose_roster()
    (proposal,) = county.desk.list_proposals("a1")
    line = county.auditors["a1"].key.sign(proposal.text)
    for _ in range(2):
        assert county.desk.sign_roster("a1", digest(proposal.text), line) is False
    (again,) = county.desk.list_proposals("a2")
    assert again.signatures[1:] == (line,)
    county.sign_rosters(NAMES[1:])
    for _ in range(2):
        assert county.desk.sign_roster("a1", digest(proposal.text), line) is True
    assert county.ledger().size == 1


def test_a_newer_draft_replaces_a_waiting_one(county: County) -> None:
    county.enrol()
    old = county.desk.propose_roster()
    (proposal,) = county.desk.list_proposals("a1")
    county.desk.approve_request(School("s99", "school 99").request())
    new = county.desk.propose_roster()
    assert [digest(row.text) for row in county.desk.list_proposals("a1")] == [new]
    with pytest.raises(UnknownProposalError):
        county.desk.sign_roster("a1", old, county.auditors["a1"].key.sign(proposal.text))


def test_proposing_again_gives_the_same_draft(county: County) -> None:
    county.enrol()
    assert county.desk.propose_roster() == county.desk.propose_roster()
    county.sign_rosters()
    with pytest.raises(RosterError, match="nothing has changed"):
        county.desk.propose_roster()


def test_a_stranger_sees_and_signs_nothing(county: County) -> None:
    county.enrol()
    waiting = county.desk.propose_roster()
    assert county.desk.list_proposals("a9") == ()
    (proposal,) = county.desk.list_proposals("a1")
    with pytest.raises(NotRosteredError):
        county.desk.sign_roster("a9", waiting, Auditor("a9").key.sign(proposal.text))


@pytest.mark.parametrize("case", ["other auditor", "other text", "no line"])
def test_a_wrong_signature_is_refused(county: County, case: str) -> None:
    county.enrol()
    waiting = county.desk.propose_roster()
    (proposal,) = county.desk.list_proposals("a1")
    line = {
        "other auditor": county.auditors["a2"].key.sign(proposal.text),
        "other text": county.auditors["a1"].key.sign(proposal.text + "more\n"),
        "no line": "nothing",
    }[case]
    with pytest.raises(SignatureRefusedError):
        county.desk.sign_roster("a1", waiting, line)


def test_too_few_auditors_for_the_tuples(county: County) -> None:
    for name in NAMES[:3]:
        county.desk.approve_request(county.auditors[name].request())
    with pytest.raises(RosterError, match="3 auditors enrolled"):
        county.desk.propose_roster()


def test_nobody_signs_before_a_draft(county: County) -> None:
    with pytest.raises(UnknownProposalError):
        county.desk.sign_roster("a1", bytes(32), county.auditors["a1"].key.sign("x\n"))
    with pytest.raises(NoGenesisError):
        county.publish()


def test_the_first_roster_waits_for_every_auditor(county: County) -> None:
    county.enrol()
    assert county.desk.roster_status() == {"in_force": None, "waiting": None}
    draft = county.desk.propose_roster().hex()
    county.sign_rosters(["a4", "a2"])
    assert county.desk.roster_status() == {
        "in_force": None,
        "waiting": {
            "roster": draft, "serial": 1, "auditors": 4, "schools": 6, "signed": ["a2", "a4"],
            "missing": ["a1", "a3"], "num_signed": 2, "needed": 4,
        },
    }  # fmt: skip
    county.sign_rosters()
    assert county.desk.roster_status() == {
        "in_force": {"roster": draft, "serial": 1, "auditors": 4, "schools": 6},
        "waiting": None,
    }


def test_a_new_auditor_is_still_to_sign_when_the_quorum_has(make_county: Callable[..., County]) -> None:
    county = make_county(config=small_config(quorum=4))
    county.found()
    county.auditors["a5"] = Auditor("a5")
    county.desk.approve_request(county.auditors["a5"].request())
    county.desk.propose_roster()
    county.sign_rosters(NAMES)
    waiting = county.desk.roster_status()["waiting"]
    assert (waiting["num_signed"], waiting["needed"], waiting["missing"]) == (4, 4, ["a5"])


def test_a_revoked_auditor_is_not_asked_and_does_not_count(county: County) -> None:
    county.found()
    county.desk.approve_request(School("s99", "school 99").request())
    county.desk.propose_roster()
    county.sign_rosters(["a1"])
    county.desk.revoke("auditor", "a1", "key-lost")
    waiting = county.desk.roster_status()["waiting"]
    assert (waiting["num_signed"], waiting["needed"], waiting["missing"]) == (0, 3, ["a2", "a3", "a4"])
