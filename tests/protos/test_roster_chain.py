"""Rosters after one another: keys that follow by their owners' word, mergers, and whose signatures count."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes_federation import TinyFederation, fake_bytes, sign_entry

from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.note import KeyType, SigningKey, encode_signed, parse_vkey
from protos.bodies import RosterBody, encode_roster_body
from protos.card import parse_card
from protos.errors import LedgerError
from protos.ledger import Ledger
from protos.statements import Revoke, Roster, body_ref, digest, encode_statement
from protos.succession import sign_succession, succession_text, verify_succession


def next_key(old: SigningKey, label: str = "next") -> SigningKey:
    return SigningKey(old.name, old.key_type, fake_bytes(f"{label} {old.name} {old.key_type}"))


def ready() -> TinyFederation:
    federation = TinyFederation()
    federation.join()
    return federation


def log_roster(federation: TinyFederation, body: RosterBody, keys: Sequence[SigningKey]) -> None:
    last = federation.ledger.roster
    data = encode_roster_body(body)
    statement = Roster("county-1", last.statement.serial + 1, last.digest, "demo", 3, body_ref(data))
    entry = sign_entry(encode_statement(statement), [federation.coordinator, *keys])
    federation.ledger.append(entry, data)
    federation.entries.append((entry, data))


def refused(federation: TinyFederation, body: RosterBody, keys: Sequence[SigningKey]) -> str:
    with pytest.raises(LedgerError) as caught:
        log_roster(federation, body, keys)
    return caught.value.code


def signers(federation: TinyFederation, *names: str) -> list[SigningKey]:
    return [federation.auditors[name] for name in names]


def rolled_auditor(
    federation: TinyFederation, name: str, by: SigningKey | None = None
) -> tuple[RosterBody, SigningKey]:
    """The roster in force with new keys of one auditor, and its new statement key."""
    old, witness = federation.auditors[name], federation.witnesses[name]
    new, cosigner = next_key(old), next_key(witness)
    line = sign_succession("county-1", "auditor", name, by or old, new.verifier, cosigner.verifier)
    body = federation.ledger.roster.body
    rows = tuple(
        replace(row, statement=new.verifier, cosigner=cosigner.verifier, succession=line)
        if row.id == name
        else row
        for row in body.auditors
    )
    return replace(body, auditors=rows), new


def rolled_node(federation: TinyFederation, name: str, by: SigningKey | None = None) -> RosterBody:
    old = federation.nodes[name].key("county-1")
    new = next_key(old)
    line = sign_succession("county-1", "node", name, by or old, new.verifier, None)
    body = federation.ledger.roster.body
    rows = (
        replace(row, report=new.verifier, succession=line) if row.id == name else row for row in body.nodes
    )
    return replace(body, nodes=tuple(rows))


def without_lines(body: RosterBody) -> RosterBody:
    return replace(
        body,
        auditors=tuple(replace(row, succession="") for row in body.auditors),
        nodes=tuple(replace(row, succession="", succeeds=()) for row in body.nodes),
    )


def test_an_auditor_signs_with_its_new_key_and_counts_as_the_one_it_was() -> None:
    federation = ready()
    body, new = rolled_auditor(federation, "a1")
    log_roster(federation, body, [new, *signers(federation, "a2", "a3")])
    assert federation.ledger.chain.auditor_keys["a1"][0][0] == federation.auditors["a1"].verifier
    assert federation.ledger.chain.auditor_keys["a1"][1][0] == new.verifier
    again = without_lines(federation.ledger.roster.body)
    log_roster(federation, replace(again, ca=fake_bytes("ca 2")), [new, *signers(federation, "a2", "a4")])


def test_all_auditors_may_roll_over_at_once() -> None:
    federation = ready()
    body, keys = federation.ledger.roster.body, []
    for name in federation.auditors:
        one, key = rolled_auditor(federation, name)
        row = one.auditor(name)
        assert row is not None
        body = replace(body, auditors=tuple(row if own.id == name else own for own in body.auditors))
        keys.append(key)
    assert refused(federation, body, keys[:3]) == "too-few-signatures"
    log_roster(federation, body, keys)


@pytest.mark.parametrize(
    ("names", "code"),
    [(("a2", "a3", "a4"), "too-few-signatures"), (("a1", "a2", "a3", "a4"), "wrong-signers")],
    ids=["without the new key", "with the old key"],
)
def test_a_new_key_has_to_sign_itself(names: tuple[str, ...], code: str) -> None:
    federation = ready()
    body, _ = rolled_auditor(federation, "a1")
    assert refused(federation, body, signers(federation, *names)) in {code, "too-few-signatures"}


def test_a_revoked_auditors_signature_counts_for_no_quorum() -> None:
    """Whoever stole its key would otherwise stand in for an auditor until a roster leaves it out."""
    federation = ready()
    roster = federation.ledger.roster
    federation.add(
        Revoke("county-1", roster.digest, "auditor", "a1", "key-lost"), b"", [federation.coordinator]
    )
    body = replace(roster.body, ca=fake_bytes("ca 2"))
    assert refused(federation, body, signers(federation, "a1", "a2", "a3")) == "too-few-signatures"
    by_auditors = Revoke("county-1", roster.digest, "node", "s1", "school-closed")
    with pytest.raises(LedgerError) as caught:
        federation.add(by_auditors, b"", signers(federation, "a1", "a2", "a3"))
    assert caught.value.code == "too-few-signatures"
    federation.add(by_auditors, b"", signers(federation, "a2", "a3", "a4"))
    log_roster(federation, body, signers(federation, "a2", "a3", "a4"))


def test_keys_change_only_by_their_owners_word() -> None:
    federation = ready()
    quorum = signers(federation, "a1", "a2", "a3")
    thief = SigningKey("fedscreen/county-1/node/s1", KeyType.ED25519, fake_bytes("thief"))
    good = rolled_node(federation, "s1")
    assert refused(federation, without_lines(good), quorum) == "wrong-succession"
    assert refused(federation, rolled_node(federation, "s1", thief), quorum) == "wrong-succession"
    other = rolled_node(federation, "s2").node("s2")
    assert other is not None
    borrowed = replace(good.nodes[0], succession=other.succession)
    assert refused(federation, replace(good, nodes=(borrowed, *good.nodes[1:])), quorum) == "wrong-succession"
    idle = federation.ledger.roster.body
    idle = replace(idle, nodes=(replace(idle.nodes[0], succession=other.succession), *idle.nodes[1:]))
    assert refused(federation, idle, quorum) == "wrong-succession"
    log_roster(federation, good, quorum)


def test_a_cosigner_key_alone_needs_the_word_too() -> None:
    federation = ready()
    body = federation.ledger.roster.body
    old, cosigner = federation.auditors["a1"], next_key(federation.witnesses["a1"]).verifier
    line = sign_succession("county-1", "auditor", "a1", old, old.verifier, cosigner)
    quorum = signers(federation, "a1", "a2", "a3")
    for text, code in (("", "wrong-succession"), (line, "")):
        rows = (replace(body.auditors[0], cosigner=cosigner, succession=text), *body.auditors[1:])
        if code:
            assert refused(federation, replace(body, auditors=rows), quorum) == code
        else:
            log_roster(federation, replace(body, auditors=rows), quorum)


def test_a_key_that_another_one_follows_never_comes_back() -> None:
    federation = ready()
    quorum = signers(federation, "a1", "a2", "a3")
    before = federation.ledger.roster.body
    log_roster(federation, rolled_node(federation, "s1"), quorum)
    now, old = without_lines(federation.ledger.roster.body), federation.nodes["s1"].key("county-1")
    back = sign_succession("county-1", "node", "s1", next_key(old), old.verifier, None)
    rows = (replace(now.nodes[0], report=old.verifier, succession=back), *now.nodes[1:])
    assert refused(federation, replace(now, nodes=rows), quorum) == "retired-key"
    log_roster(federation, replace(now, log=next_key(federation.log_key).verifier), quorum)
    later = without_lines(federation.ledger.roster.body)
    assert refused(federation, replace(later, log=before.log), quorum) == "retired-key"


def test_a_node_that_leaves_and_comes_back_has_its_key() -> None:
    federation = ready()
    quorum = signers(federation, "a1", "a2", "a3")
    body = federation.ledger.roster.body
    log_roster(federation, replace(body, nodes=body.nodes[1:]), quorum)
    log_roster(federation, body, quorum)
    log_roster(federation, replace(body, nodes=body.nodes[1:]), quorum)
    stranger = replace(body.nodes[0], report=next_key(federation.nodes["s1"].key("county-1")).verifier)
    assert refused(federation, replace(body, nodes=(stranger, *body.nodes[1:])), quorum) == "wrong-succession"


def test_a_checkpoint_is_signed_by_the_log_key_of_its_size() -> None:
    federation = ready()
    ledger, old, new = federation.ledger, federation.log_key, next_key(federation.log_key)
    body = ledger.roster.body
    size = ledger.size
    log_roster(federation, replace(body, log=new.verifier), signers(federation, "a1", "a2", "a3"))

    def checkpoint(at: int, *keys: SigningKey) -> bytes:
        text = encode_checkpoint(Checkpoint(old.name, at, ledger.root(at)))
        return sign_entry(text, list(keys))

    assert ledger.verify_checkpoint(checkpoint(size, old), 0).size == size
    assert ledger.verify_checkpoint(checkpoint(size + 1, new, old), 0).size == size + 1
    assert ledger.verify_checkpoint(checkpoint(size + 1, new), 0).size == size + 1
    for at, keys in ((size + 1, (old,)), (size, (new,))):
        with pytest.raises(LedgerError, match="bad-checkpoint"):
            ledger.verify_checkpoint(checkpoint(at, *keys), 0)
    assert ledger.chain.log_keys() == (old.verifier, new.verifier)
    text = encode_checkpoint(Checkpoint(old.name, size + 1, ledger.root(size + 1)))
    cosigned = [cosign(text, key, 1_790_000_000) for key in federation.witnesses.values()]
    with pytest.raises(LedgerError, match="bad-checkpoint"):  # whatever the auditors have signed
        ledger.verify_checkpoint(encode_signed(text, (old.sign(text), *cosigned)))
    ledger.verify_checkpoint(encode_signed(text, (new.sign(text), *cosigned)))


def test_a_round_is_finished_under_the_coordinators_old_key() -> None:
    federation = ready()
    round_id = federation.publish()
    federation.approve(round_id)
    for node in federation.nodes:
        federation.report(node, round_id)
    new = next_key(federation.coordinator)
    body = replace(federation.ledger.roster.body, coordinator=new.verifier)
    log_roster(federation, body, signers(federation, "a1", "a2", "a3"))
    federation.fix_candidates(round_id)  # signed by the old key
    with pytest.raises(LedgerError, match="wrong-signers"):
        federation.publish()  # a plan needs the new one
    federation.coordinator = new
    federation.publish()


def test_mergers() -> None:
    federation = ready()
    quorum = signers(federation, "a1", "a2", "a3")
    body = federation.ledger.roster.body
    first, second, third, *rest = body.nodes

    def roster(*nodes: object) -> RosterBody:
        return replace(body, nodes=tuple(nodes))  # type: ignore[arg-type]

    stays = replace(first, succeeds=("s2",))
    assert refused(federation, roster(stays, second, third, *rest), quorum) == "wrong-merger"
    assert (
        refused(federation, roster(replace(first, succeeds=("s9",)), third, *rest), quorum) == "wrong-merger"
    )
    both = (stays, replace(third, succeeds=("s2",)))
    assert refused(federation, roster(*both, *rest), quorum) == "wrong-merger"
    log_roster(federation, roster(stays, third, *rest), quorum)
    assert federation.ledger.chain.successors == {"s2": "s1"}
    assert refused(federation, roster(first, second, third, *rest), quorum) == "wrong-merger"
    assert (
        refused(federation, roster(first, replace(third, succeeds=("s2",)), *rest), quorum) == "wrong-merger"
    )
    log_roster(federation, roster(first, third, *rest), quorum)  # said once is enough


def test_nobody_follows_anybody_in_the_genesis_roster() -> None:
    federation = TinyFederation()
    body = federation.genesis_body
    row = replace(body.auditors[0], succession="— x AAAAAAAA")
    data = encode_roster_body(replace(body, auditors=(row, *body.auditors[1:])))
    text = encode_statement(Roster("county-1", 1, bytes(32), "demo", 3, body_ref(data)))
    with pytest.raises(LedgerError, match="nobody in the genesis roster"):
        Ledger(replace(federation.card, genesis=digest(text))).append(
            sign_entry(text, [federation.coordinator]), data
        )


def test_the_known_answers_of_key_succession() -> None:
    value = json.loads((Path(__file__).parents[1] / "vectors/succession.json").read_text("utf-8"))
    ledger = Ledger(parse_card(value["card"]))
    for row in value["log"]:
        ledger.append(base64.b64decode(row["entry"]), row["body"].encode())
    for row in value["refused"]:
        with pytest.raises(LedgerError) as caught:
            ledger.append(base64.b64decode(row["entry"]), row["body"].encode())
        assert caught.value.code == row["code"], row["name"]
    row = value["taken"]
    ledger.append(base64.b64decode(row["entry"]), row["body"].encode())
    words = value["succession"]
    old, new = parse_vkey(words["from"]), parse_vkey(words["to"])
    text = succession_text(words["federation"], words["role"], words["id"], old, new, None)
    assert text == words["text"]
    verify_succession(words["line"], text, old)
    found = ledger.roster.body.node(words["id"])
    assert found is not None
    assert (found.report, found.succession) == (new, words["line"])
