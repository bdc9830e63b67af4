"""P11: a school's or an auditor's key is followed only by the one that it names itself, also against a
quorum.

The coordinator and all auditors together try to put another key in a school's or an auditor's place; every
reader of the log refuses. With the owner's own line the same roster is taken, by readers who pinned the first
keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from fakes_attacks import ForgedLog, assert_refused, auditor_key, coordinator_key
from fakes_county import FEDERATION, CountySimulator
from fakes_federation import fake_bytes
from forged_plans import finish_honestly

from crypto.note import KeyType, SigningKey
from node.vault.enrol import load_identity
from protos.bodies import RosterBody, encode_roster_body
from protos.statements import Roster, body_ref
from protos.succession import sign_succession

Stage = tuple[CountySimulator, bytes]
ALL = ("a1", "a2", "a3", "a4")


def roster_with(county: CountySimulator, body: RosterBody) -> tuple[Roster, bytes]:
    """The roster that would follow the one in force."""
    last, data = county.ledger().roster, encode_roster_body(body)
    statement = last.statement
    return replace(statement, serial=statement.serial + 1, previous=last.digest, body=body_ref(data)), data


def next_key(old_name: str, label: str) -> SigningKey:
    return SigningKey(old_name, KeyType.ED25519, fake_bytes(label))


def exchanged_school(county: CountySimulator, line: Callable[[SigningKey, SigningKey], str]) -> RosterBody:
    """The roster in force with another report key for school s01."""
    body = county.ledger().roster.body
    old = load_identity(county.stores["s01"]).report_key
    new = next_key(old.name, "next")
    first = replace(body.nodes[0], report=new.verifier, succession=line(old, new))
    return replace(body, nodes=(first, *body.nodes[1:]))


def exchanged_auditor(county: CountySimulator, line: Callable[[SigningKey, SigningKey], str]) -> RosterBody:
    """The roster in force with another statement key for auditor a1; its cosigner key stays."""
    body = county.ledger().roster.body
    old = auditor_key(county, "a1")
    new = next_key(old.name, "next")
    first = replace(body.auditors[0], statement=new.verifier, succession=line(old, new))
    return replace(body, auditors=(first, *body.auditors[1:]))


def nothing(_old: SigningKey, _new: SigningKey) -> str:
    return ""


def thief(old: SigningKey, new: SigningKey) -> str:
    return sign_succession(FEDERATION, "node", "s01", next_key(old.name, "thief"), new.verifier, None)


def of_another_school(_old: SigningKey, new: SigningKey) -> str:
    other = next_key("fedscreen/county-1/node/s02", "other")
    return sign_succession(FEDERATION, "node", "s02", other, new.verifier, None)


def owner(old: SigningKey, new: SigningKey) -> str:
    return sign_succession(FEDERATION, "node", "s01", old, new.verifier, None)


def shown(county: CountySimulator, body: RosterBody, *signers: SigningKey) -> ForgedLog:
    """A log with that roster, signed by the coordinator and these."""
    log = ForgedLog(county)
    log.add(*roster_with(county, body), coordinator_key(county), *signers)
    return log


@pytest.mark.parametrize("line", [nothing, thief, of_another_school])
def test_a_quorum_cannot_give_a_school_another_key(
    collecting: Stage, line: Callable[[SigningKey, SigningKey], str]
) -> None:
    county, round_id = collecting
    signers = [auditor_key(county, name) for name in ALL]
    assert_refused(county, shown(county, exchanged_school(county, line), *signers), "wrong-succession")
    finish_honestly(county, round_id)


def test_the_other_auditors_cannot_give_one_of_them_another_key(collecting: Stage) -> None:
    county, _ = collecting
    signers = [next_key(auditor_key(county, "a1").name, "next")]
    signers += [auditor_key(county, name) for name in ALL[1:]]
    assert_refused(county, shown(county, exchanged_auditor(county, nothing), *signers), "wrong-succession")


def test_by_the_owners_word_the_key_follows(collecting: Stage) -> None:
    """The same roster, with one line more: nobody has to compare a fingerprint again."""
    county, _ = collecting
    signers = [auditor_key(county, name) for name in ALL]
    log = shown(county, exchanged_school(county, owner), *signers)
    assert log.refusal() == ""
