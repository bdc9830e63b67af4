"""Statements that could be read in two ways, and papers of another federation."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import nacl.signing
import pytest
from county_sums import assert_released
from fakes_attacks import ForgedLog, assert_refused, auditor_key, close_digest
from fakes_county import START, CountySimulator, tls_request

from coordinator import ca
from coordinator.errors import CallerError, EnrolmentRefusedError, StatementRefusedError
from coordinator.identity import identify
from crypto.note import KeyType, Signature, SigningKey, signature_line
from node.vault.errors import EnrolmentStateError
from protos.bodies import encode_checked_body, key_name
from protos.card import encode_card, parse_card
from protos.enrolment import Request, sign_request
from protos.statements import Agreement, Checked, body_ref, encode_statement

Stage = tuple[CountySimulator, bytes]

# --- one statement, one spelling --------------------------------------------------------------


def line_of(text: str, key: str) -> str:
    """One line of a statement."""
    return next(line for line in text.split("\n") if line.startswith(f"{key} "))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "a space at a line's end": lambda text: text.replace("\nround", " \nround"),
    "two spaces": lambda text: text.replace("auditor a1", "auditor  a1"),
    "a tab": lambda text: text.replace("auditor a1", "auditor\ta1"),
    "CR LF": lambda text: text.replace("\n", "\r\n"),
    "upper-case digits": lambda text: text.replace(
        line_of(text, "close")[6:], line_of(text, "close")[6:].upper()
    ),
    "a line more": lambda text: text + "reason none\n",
    "a line twice": lambda text: text.replace("auditor a1\n", "auditor a1\nauditor a1\n"),
    "a line less": lambda text: text.replace("auditor a1\n", ""),
    "another order": lambda text: text.replace(
        f"auditor a1\n{line_of(text, 'close')}", f"{line_of(text, 'close')}\nauditor a1"
    ),
    "another version": lambda text: text.replace("/v1", "/v2"),
    "a byte order mark": lambda text: "\ufeff" + text,
    "a combining mark": lambda text: text.replace("auditor a1", "auditor a1\u0301"),
    "full-width letters": lambda text: text.replace("auditor a1", "auditor \uff411"),
    "a zero-width space": lambda text: text.replace("auditor a1", "auditor a1\u200b"),
    "an empty line": lambda text: text.replace("auditor a1\n", "\nauditor a1\n"),
    "a digest cut short": lambda text: text.replace(line_of(text, "close"), line_of(text, "close")[:-2]),
}


def entry_of(text: str, *lines: str) -> bytes:
    """A note with these signature lines, whatever its text is."""
    return "".join([text, "\n", *(line + "\n" for line in lines)]).encode()


def raw_signature(key: SigningKey, text: str) -> str:
    """Sign any bytes; the key's own `sign` refuses a text that is none."""
    blob = nacl.signing.SigningKey(key.seed).sign(text.encode()).signature
    return signature_line(Signature(key.name, key.verifier.key_id, blob))


def refused_as(county: CountySimulator, entry: bytes, body: bytes = b"") -> str:
    """Why the coordinator does not log a statement of a1."""
    with pytest.raises(StatementRefusedError) as caught:
        county.coordinator.submit_statement("a1", entry, body)
    assert caught.value.code == "statement-refused"
    return caught.value.reason


def test_no_other_spelling_of_a_vote_is_accepted(closed: Stage) -> None:
    """Signed by the right key over exactly these bytes, and refused all the same."""
    county, round_id = closed
    key = auditor_key(county, "a1")
    text = encode_statement(Agreement("county-1", round_id, "a1", close_digest(county.round(round_id))))
    assert raw_signature(key, text) == key.sign(text)
    for name, spell in SPELLINGS.items():
        other = spell(text)
        assert other != text, name
        assert refused_as(county, entry_of(other, raw_signature(key, other))) == "bad-entry", name
    assert not county.round(round_id).agreements
    assert_released(county, round_id, county.node_ids)
    assert county.round(round_id).agreements["a1"].text == text


def test_no_other_signatures_are_accepted_under_a_vote(closed: Stage) -> None:
    county, round_id = closed
    own, other = auditor_key(county, "a1"), auditor_key(county, "a2")
    text = encode_statement(Agreement("county-1", round_id, "a1", close_digest(county.round(round_id))))
    witness = county.auditors["a1"].context.keys.cosigner
    as_witness = replace(own, seed=witness.seed)
    cases = {
        "of another": ([other.sign(text)], "wrong-signers"),
        "of the wrong key under the right name": ([as_witness.sign(text)], "wrong-signers"),
        "one more": ([own.sign(text), other.sign(text)], "wrong-signers"),
        "over another text": ([own.sign(text + "x\n")], "bad-signature"),
        "none": ([], "bad-entry"),
        "twice": ([own.sign(text), own.sign(text)], "wrong-signers"),
    }
    for name, (lines, reason) in cases.items():
        assert refused_as(county, entry_of(text, *lines)) == reason, name
    assert refused_as(county, entry_of(text, own.sign(text)), b"{}") == "wrong-body"
    assert_released(county, round_id, county.node_ids)


def test_no_other_spelling_of_a_body_is_accepted(reported: Stage) -> None:
    county, round_id = reported
    county.coordinator.tick()
    candidates = county.round(round_id).candidates
    assert candidates is not None
    key = auditor_key(county, "a1")
    honest = encode_checked_body(())
    bodies = {
        "a space": honest.replace(b":", b": "),
        "a line feed": honest + b"\n",
        "another key": b'{"excluded":[]}',
        "a key twice": b'{"refused":[],"refused":[]}',
        "no object": b"[]",
        "a boolean": b'{"refused":false}',
        "nothing at all": b"x",
    }
    for name, body in bodies.items():
        text = encode_statement(Checked("county-1", round_id, "a1", candidates.digest, body_ref(body)))
        assert refused_as(county, entry_of(text, key.sign(text)), body) == "bad-body", name
        assert refused_as(county, entry_of(text, key.sign(text)), honest) == "wrong-body", name
    text = encode_statement(Checked("county-1", round_id, "a1", candidates.digest, body_ref(honest)))
    longer_number = text.replace("body-bytes ", "body-bytes 0")
    assert refused_as(county, entry_of(longer_number, key.sign(longer_number)), honest) == "bad-entry"
    assert_released(county, round_id, county.node_ids)


# --- callers and papers of another federation -------------------------------------------------


def certificate(federation: str, role: str, party: str) -> bytes:
    """A certificate as a federation's CA would issue it."""
    authority = ca.create_authority(federation, START, ca.new_key())
    uri = ca.uri_of(federation, role, party)
    return ca.issue_client(authority, tls_request(party), uri, 365, START).encode()


@pytest.mark.parametrize(
    ("federation", "role", "party"),
    [
        ("county-2", "node", "s01"),
        ("county-1.evil", "node", "s01"),
        ("county-1", "coordinator", "s01"),
        ("county-1", "node", ""),
    ],
)
def test_a_certificate_of_another_federation_is_nobodys(federation: str, role: str, party: str) -> None:
    pem = certificate(federation, role, party or "x").decode() if party else None
    with pytest.raises(CallerError) as caught:
        identify(pem.encode() if pem else None, "county-1", START)
    assert caught.value.code == "caller"


def test_an_expired_certificate_is_nobodys() -> None:
    pem = certificate("county-1", "node", "s01")
    assert identify(pem, "county-1", START).id == "s01"
    with pytest.raises(CallerError, match="expired"):
        identify(pem, "county-1", START + timedelta(days=366))


def test_requests_and_cards_of_another_federation_are_refused(enrolled: CountySimulator) -> None:
    county = enrolled
    statement, cosigner = (
        SigningKey(key_name("county-2", role, "a9"), key_type, secrets.token_bytes(32))
        for role, key_type in (("auditor", KeyType.ED25519), ("witness", KeyType.COSIGNATURE))
    )
    request = Request(
        role="auditor",
        federation="county-2",
        id="a9",
        operator="operator a9",
        attributes=(),
        key=statement.verifier,
        cosigner=cosigner.verifier,
        master=None,
        csr_pem=tls_request("a9"),
    )
    with pytest.raises(EnrolmentRefusedError, match="for federation county-2") as refused:
        county.coordinator.approve_request(sign_request(request, statement))
    assert refused.value.code == "enrolment-refused"
    other = encode_card(replace(parse_card(county.card_text), genesis=secrets.token_bytes(32)))
    with pytest.raises(EnrolmentStateError) as pinned:
        county.nodes["s01"].handle({"command": "accept", "card_text": other}, {})
    assert pinned.value.code == "card-pinned"


def test_a_statement_of_another_federation_is_refused_by_everybody(closed: Stage) -> None:
    county, round_id = closed
    vote = Agreement("county-2", round_id, "a4", close_digest(county.round(round_id)))
    fork = ForgedLog(county)
    fork.add(vote, b"", auditor_key(county, "a4"))
    assert_refused(county, fork, "wrong-federation")
    entry = fork.entries[-1][0]
    with pytest.raises(StatementRefusedError) as caught:
        county.coordinator.submit_statement("a4", entry, b"")
    assert caught.value.reason == "wrong-federation"
    assert_released(county, round_id, county.node_ids)
