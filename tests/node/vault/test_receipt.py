"""Receipts: only what proves a report of this node is kept, and the cosigned one verifies offline."""

from __future__ import annotations

import pytest
from fakes_federation import TinyFederation
from fakes_vault import SchoolHouse

from crypto.errors import CryptoError
from crypto.merkle import inclusion_proof
from crypto.tlog_proof import TlogProof, encode_proof, parse_proof, verify_proof
from node.vault.errors import ReceiptError


@pytest.fixture
def round_id(house: SchoolHouse) -> bytes:
    """A round whose report waits."""
    found = house.start_round()
    house.release(found)
    return found


def entry_of(house: SchoolHouse, round_id: bytes) -> bytes:
    return house.payload(round_id).note


def test_the_immediate_receipt_is_kept(house: SchoolHouse, round_id: bytes) -> None:
    receipt = house.submit()
    assert house.desk.on_receipt(receipt) is True
    assert house.desk.on_receipt(receipt) is True
    assert house.call("receipt", round=round_id.hex())["kind"] == "immediate"
    assert house.blob("receipt", "receipt", round=round_id.hex()) == receipt
    assert len(house.store.query("SELECT 1 FROM receipt")) == 1


def test_the_cosigned_receipt_verifies_offline(house: SchoolHouse, round_id: bytes) -> None:
    entry = entry_of(house, round_id)
    house.desk.on_receipt(house.submit())
    house.sync()
    assert house.call("receipt", round=round_id.hex())["kind"] == "cosigned"
    proof = parse_proof(house.blob("receipt", "receipt", round=round_id.hex()))
    card = house.federation.card
    checkpoint = verify_proof(proof, entry, card.log, [row.cosigner for row in card.auditors], 3)
    assert checkpoint.size == house.federation.ledger.size
    with pytest.raises(CryptoError):
        verify_proof(proof, entry + b"x", card.log, [row.cosigner for row in card.auditors], 3)


def test_the_cosigned_receipt_needs_no_immediate_one(house: SchoolHouse, round_id: bytes) -> None:
    house.submit()
    house.sync()
    assert house.call("receipt", round=round_id.hex()) == {"kind": "cosigned", "attempt": 0}


def test_no_receipt_before_the_report_has_arrived(house: SchoolHouse, round_id: bytes) -> None:
    with pytest.raises(ReceiptError) as caught:
        house.call("receipt", round=round_id.hex())
    assert caught.value.code == "no-receipt"


def test_no_receipt_without_a_report(house: SchoolHouse) -> None:
    with pytest.raises(ReceiptError) as caught:
        house.call("receipt", round="00" * 32)
    assert caught.value.code == "no-report"


def test_what_proves_nothing_is_dropped(house: SchoolHouse, round_id: bytes) -> None:
    federation = house.federation
    good = house.submit()
    index = federation.ledger.size - 1
    wrong_leaf = encode_proof(
        TlogProof(0, inclusion_proof(federation.ledger.leaves, 0, index + 1), federation.checkpoint())
    )
    unsigned = TinyFederation(federation="county-9").checkpoint()
    other_log = encode_proof(TlogProof(0, (), unsigned))
    flipped = bytearray(good)
    flipped[80] ^= 1
    for data in (b"", b"no proof", wrong_leaf, other_log, bytes(flipped), good[:-10]):
        assert house.desk.on_receipt(data) is False
    assert house.store.query("SELECT 1 FROM receipt") == []


def test_a_receipt_of_a_report_that_is_not_this_nodes(house: SchoolHouse) -> None:
    round_id = house.start_round()
    federation = house.federation
    federation.report("s1", round_id)
    index = federation.ledger.size - 1
    proof = TlogProof(
        index, inclusion_proof(federation.ledger.leaves, index, index + 1), federation.checkpoint()
    )
    assert house.desk.on_receipt(encode_proof(proof)) is False
    house.release(round_id)
    assert house.desk.on_receipt(encode_proof(proof)) is False
