"""P6: a school can prove what it sent and that it stands in the log.

The receipt is checked by somebody who has the policy and the report, and nothing else; a coordinator that
later shows a log without the report is convicted by it; the report can be made again from the school's own
journal.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes_attacks import ForgedLog
from fakes_county import CountySimulator

from auditor.policy import parse_auditor_policy
from crypto.checkpoint import parse_checkpoint
from crypto.errors import CryptoError
from crypto.merkle import leaf_hash, verify_inclusion
from crypto.note import parse_note
from crypto.policy import verify_checkpoint
from crypto.tlog_proof import encode_proof, parse_proof

Stage = tuple[CountySimulator, bytes]


def receipt_of(county: CountySimulator, round_id: bytes) -> tuple[bytes, bytes]:
    """What school s01 keeps: its report's header and the final receipt."""
    county.serve_node("s01")
    _, blobs = county.nodes["s01"].handle({"command": "receipt", "round": round_id.hex()}, {})
    header = county.ledger().rounds[round_id].reports[("s01", 0)]
    entries = county.coordinator.get_log(0, 10_000).entries
    return entries[header.index][0], blobs["receipt"]


def prove(policy_text: str, header: bytes, receipt: bytes) -> int:
    """Check a receipt with the policy alone; give the report's place in the log."""
    proof = parse_proof(receipt)
    checkpoint = verify_checkpoint(proof.checkpoint_note, parse_auditor_policy(policy_text).trust)
    verify_inclusion(leaf_hash(header), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return proof.index


def test_the_receipt_proves_the_report_to_anybody(released: Stage) -> None:
    county, round_id = released
    header, receipt = receipt_of(county, round_id)
    assert prove(county.policy_text, header, receipt) == county.round(round_id).reports[("s01", 0)].index


def test_it_proves_nothing_else(released: Stage) -> None:
    county, round_id = released
    header, receipt = receipt_of(county, round_id)
    proof = parse_proof(receipt)
    other = bytearray(header)
    other[-10] ^= 1
    forged = [
        (bytes(other), receipt),
        (header, encode_proof(replace(proof, index=proof.index - 1))),
        (header, encode_proof(replace(proof, hashes=proof.hashes[::-1]))),
        (header, encode_proof(replace(proof, hashes=proof.hashes[1:]))),
    ]
    for entry, changed in forged:
        with pytest.raises(CryptoError):
            prove(county.policy_text, entry, changed)


def test_a_log_without_the_report_is_convicted_by_the_receipt(released: Stage) -> None:
    """Two signed checkpoints, one tree size, two roots: nobody else has to be believed."""
    county, round_id = released
    header, receipt = receipt_of(county, round_id)
    proof = parse_proof(receipt)
    kept = parse_checkpoint(parse_note(proof.checkpoint_note).text)
    fork = ForgedLog(county, kept.size)
    fork.entries[proof.index] = fork.entries[proof.index - 1]
    for auditor_id in ("a1", "a2", "a3"):
        fork.cosign(auditor_id)
    shown = verify_checkpoint(fork.checkpoint(), parse_auditor_policy(county.policy_text).trust)
    assert (shown.size, shown.origin) == (kept.size, kept.origin)
    assert shown.root != kept.root
    with pytest.raises(CryptoError):
        verify_inclusion(leaf_hash(header), proof.index, shown.size, proof.hashes, shown.root)


def test_the_report_is_made_again_from_the_schools_journal(released: Stage) -> None:
    county, round_id = released
    answer, _ = county.nodes["s01"].handle(
        {"command": "recompute", "round": round_id.hex(), "attempt": 0}, {}
    )
    assert answer["outcome"] == "PASS"
    assert {check["result"] for check in answer["checks"]} == {"PASS"}
