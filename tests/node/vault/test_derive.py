"""The derivation block of docs/protocol.md section 5, written out once more, against what was sent."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from fakes_vault import SchoolHouse, plan_of, pupils

from crypto.canonical import encode_json, encode_parts
from crypto.field64 import from_signed, parse_vector, subtract
from crypto.note import parse_note
from crypto.replication import subsets
from crypto.xof import XofHmacSha256Aes128, format_dst
from node.vault.enrol import load_identity
from plan.layout import build_layout
from plan.record import to_row
from plan.tabulation import scaled, tabulate
from privacy.discrete_gaussian import Sampler
from protos.statements import Report, parse_statement


def kdf(key: bytes, *parts: bytes | str | int) -> bytes:
    message = encode_parts("fedscreen/v1", *parts) + b"\x01"
    return hmac.new(key, message, hashlib.sha256).digest()


def sha(*parts: bytes | str | int) -> bytes:
    return hashlib.sha256(encode_parts(*parts)).digest()


@pytest.mark.parametrize("attempt", [0, 1])
def test_what_is_sent_is_the_function_that_the_protocol_says(house: SchoolHouse, attempt: int) -> None:
    round_id = house.start_round()
    for number in range(attempt + 1):
        house.save(pupils(shift=number))
        house.release(round_id)
        if number < attempt:
            house.submit()
            house.sync()
    payload = house.payload(round_id)
    header = parse_statement(parse_note(payload.note).text)
    assert isinstance(header, Report)

    round_log, layout = house.federation.round(round_id), build_layout(plan_of())
    records = sorted(pupils(shift=attempt), key=lambda row: row.rec_key)
    rows = sha(*(encode_json(to_row(row)) for row in records))
    x = scaled(layout, tabulate(layout, records))
    x_bytes = x.astype("<i8").tobytes()
    apr = sha(*(round_log.approvals[name].text for name in round_log.terms.auditors))
    master = load_identity(house.store).master
    secret = kdf(master, "round", "county-1", "school-1", round_id, round_log.roster_digest, apr)
    tag = hmac.new(kdf(secret, "x"), x_bytes, hashlib.sha256).digest()
    report = kdf(secret, "report", attempt, tag)

    noise = []
    for index, table in enumerate(layout.tables):
        stream = XofHmacSha256Aes128(kdf(report, "noise", index), format_dst(32, b""), b"")
        noise.append(Sampler(table.noise.s2).sample(stream.next, table.cells))
    y = from_signed(x + np.concatenate(noise))
    for rank, subset in enumerate(subsets(4, 3)):
        seed = kdf(report, "seed", subset)
        mask = XofHmacSha256Aes128(seed, format_dst(1, round_id), bytes([1 + rank])).next_vec(layout.cells)
        y = subtract(y, mask)
        assert dict(header.seeds)[subset] == sha("seed", round_id, "school-1", attempt, subset, seed)

    assert parse_vector(payload.vector, layout.cells).tolist() == y.tolist()
    assert header.approvals == apr
    message = encode_parts(attempt, rows, x_bytes)
    assert header.input == hmac.new(kdf(secret, "input"), message, hashlib.sha256).digest()


def test_another_node_key_gives_an_unrelated_vector(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    first = house.payload(round_id).vector
    with house.store.transaction("other K"):
        house.store.execute("DROP TRIGGER report_no_delete")
        house.store.execute("DELETE FROM report")
        house.store.execute("UPDATE identity SET master = ?", (bytes(range(32)),))
    house.restart()
    house.federation.roster_nodes = (house.roster_node,)
    house.federation.join()
    other_round = house.publish()
    house.federation.approve(other_round)
    house.sync()
    house.release(other_round)
    second = house.payload(other_round).vector
    assert sum(a == b for a, b in zip(first, second, strict=True)) < len(first) // 16
