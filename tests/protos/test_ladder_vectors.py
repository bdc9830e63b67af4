"""The vectors of a round with a turnout ladder: by the stranger from the documents, and by the product."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
import stranger_node
from stranger_node import Node, Statement, Stream, read
from vectors_dir import own

from crypto.field64 import parse_vector
from crypto.sealing import box_bytes
from protos.card import parse_card
from protos.errors import LedgerError, PayloadError
from protos.ledger import Ledger
from protos.report_payload import parse_payload, verify_contents
from protos.statements import Report, encode_statement, parse_statement

ROUND = own("ladder.json")
REPORTS: list[dict[str, Any]] = ROUND["reports"]
LOG: list[Statement] = [read(row["entry"], row["body"]) for row in ROUND["entries"]]
REPORTS_AT = [index for index, statement in enumerate(LOG) if statement.type == "report"]
CELLS, STEPS, TIER = 14, 2, 1


def only(kind: str) -> Statement:
    return next(statement for statement in LOG if statement.type == kind)


def names(number: int) -> str:
    return str(REPORTS[number]["node"])


@pytest.mark.parametrize("number", range(len(REPORTS)), ids=names)
def test_the_stranger_makes_every_report_with_its_steps_byte_for_byte(number: int) -> None:
    report = REPORTS[number]
    seeds = bytes.fromhex(report["master"]), bytes.fromhex(report["report_key_seed"])
    node = Node(report["node"], *seeds, LOG[: REPORTS_AT[number]])
    node.draw(report["counts"], bytes.fromhex(report["rows_digest"]))
    assert len(node.y) == 8 * CELLS * (1 + STEPS)
    assert node.y.hex() == report["y"]
    boxes = [base64.b64decode(box) for box in report["boxes"]]
    payload = node.payload(boxes, bytes.fromhex(report["software"]), report["confinement"])
    assert hashlib.sha256(payload).hexdigest() == ROUND["payload_sha256"][number]


def test_the_tier_follows_from_the_log() -> None:
    plan, close = only("plan"), only("close")
    reports, colluding = int(close.one("reports")), int(plan.one("colluding-schools"))
    reached = [m for (m,) in plan.all("tier") if int(m) <= reports - colluding]
    assert (reports, len(reached), close.one("tier")) == (6, TIER, str(TIER))


def test_the_strangers_auditor_returns_the_one_combination() -> None:
    seeds = {report["node"]: report["seeds"] for report in REPORTS}
    for auditor, sums in ROUND["mask_sums"].items():
        place = ROUND["auditors"].index(auditor)
        assert {int(subset) for subset in sums} == {a for a in stranger_node.subsets(4, 3) if a >> place & 1}
        for subset, data in sums.items():
            rank = stranger_node.subsets(4, 3).index(int(subset))
            total = [0] * CELLS
            for node in ROUND["set"]:
                for usage, sign in ((1, 1), (17, -1)):
                    stream = Stream(
                        bytes.fromhex(seeds[node][subset]),
                        usage,
                        bytes.fromhex(ROUND["round_id"]),
                        bytes([1 + rank]),
                    )
                    total = [a + sign * b for a, b in zip(total, stream.elements(CELLS), strict=True)]
            assert b"".join((value % stranger_node.P).to_bytes(8, "little") for value in total).hex() == data


def test_the_stranger_adds_the_round_up_to_what_was_released() -> None:
    total = [0] * CELLS
    for report in REPORTS:
        y, w_1, _w_2 = vectors(report)
        total = [a + b - c for a, b, c in zip(total, y, w_1, strict=True)]
    sums = {subset: value for table in ROUND["mask_sums"].values() for subset, value in table.items()}
    for value in sums.values():
        total = [a + b for a, b in zip(total, elements(bytes.fromhex(value)), strict=True)]
    lifted = [(value % stranger_node.P + stranger_node.P // 2) % stranger_node.P for value in total]
    opened = [value - stranger_node.P // 2 for value in lifted]
    release = only("release")
    assert opened == [value for table in release.body["tables"] for value in table["sums"]] == ROUND["result"]
    plan = only("plan")
    for table, (_, _, z_0, _) in zip(release.body["tables"], plan.all("noise"), strict=True):
        left = [int(row[2]) for row in plan.all("step") if row[0] == table["id"] and int(row[1]) > TIER]
        assert table["s2"] == int(z_0) + sum(left)


def vectors(report: dict[str, Any]) -> list[list[int]]:
    """y, w_1, w_2 as they were sent."""
    data, size = bytes.fromhex(report["y"]), 8 * CELLS
    return [elements(data[at : at + size]) for at in range(0, len(data), size)]


def elements(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]


def test_what_is_opened_is_the_counts_and_the_noise_that_was_left() -> None:
    """Every step was drawn anew here from the reports' own keys: nothing else is in the sum."""
    plan = only("plan")
    expected = [64 * count for count in ROUND["counted"]]
    for report in REPORTS:
        noise: list[int] = []
        for keys, (table, *_), line in zip(
            report["noise_keys"], plan.all("noise"), plan.all("noise"), strict=True
        ):
            variances = [int(line[2]), *(int(row[2]) for row in plan.all("step") if row[0] == table)]
            cells = [
                stranger_node.sample(
                    Stream(bytes.fromhex(key), 32, b"", b""), s2, len(report["counts"][table])
                )
                for key, s2 in zip(keys, variances, strict=True)
            ]
            noise += [z + w for z, w in zip(cells[0], cells[2], strict=True)]  # without w_1
        expected = [a + b for a, b in zip(expected, noise, strict=True)]
    assert expected == ROUND["result"]


def ledger_after(count: int) -> Ledger:
    ledger = Ledger(parse_card(ROUND["card"]))
    for row in ROUND["entries"][:count]:
        ledger.append(row["entry"].encode(), row["body"].encode())
    return ledger


def test_the_ledger_accepts_every_entry_and_the_texts_are_canonical() -> None:
    ledger = ledger_after(len(LOG))
    row = ledger.rounds[bytes.fromhex(ROUND["round_id"])]
    assert row.release is not None
    assert (row.terms.tiers, row.terms.num_vectors, row.terms.num_elements) == ((5, 6), 3, 42)
    for statement in LOG:
        assert encode_statement(parse_statement(statement.text)) == statement.text


def test_a_payload_without_its_steps_is_refused() -> None:
    report = REPORTS[0]
    row = ledger_after(REPORTS_AT[0]).rounds[bytes.fromhex(ROUND["round_id"])]
    note, vector = report["note"].encode(), bytes.fromhex(report["y"])
    boxes = b"".join(base64.b64decode(box) for box in report["boxes"])
    data = len(note).to_bytes(4, "big") + note + vector + boxes
    payload = parse_payload(data, row.terms.num_elements, box_bytes(3), 4)
    header = parse_statement(note.decode().rpartition("\n\n")[0] + "\n")
    assert isinstance(header, Report)
    verify_contents(payload, header, row.terms.num_vectors)
    parse_vector(payload.vector, row.terms.num_elements)
    with pytest.raises(PayloadError):
        verify_contents(payload, header)  # as if there were no ladder
    with pytest.raises(PayloadError):
        parse_payload(data.replace(vector, vector[: 8 * CELLS]), row.terms.num_elements, box_bytes(3), 4)


@pytest.mark.parametrize(
    "case", own("ladder_bad_entries.json")["cases"], ids=lambda case: f"{case['code']}: {case['name']}"
)
def test_an_entry_that_may_not_come_next_is_refused_with_its_code(case: dict[str, Any]) -> None:
    with pytest.raises(LedgerError) as found:
        ledger_after(case["after"]).check(case["entry"].encode(), case["body"].encode())
    assert found.value.code == case["code"]
