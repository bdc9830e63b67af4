"""The whole-round vector by the product's own parts, and every `_bad_` case refused as the vectors say."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from vectors_dir import own

from crypto import derivation, errors
from crypto.canonical import decode_base64
from crypto.checkpoint import parse_checkpoint
from crypto.field64 import encode_vector, from_signed, parse_vector, subtract
from crypto.mask_sum import MaskSum
from crypto.note import parse_note, parse_vkey
from crypto.replication import subsets, subsets_with
from crypto.sealing import box_bytes, open_box
from crypto.sharing import add_report_mask, mask_vector, unmask
from crypto.tlog_proof import parse_proof, verify_proof
from crypto.xof import XofHmacSha256Aes128, format_dst
from privacy.discrete_gaussian import XOF_USAGE, Sampler
from protos.bodies import parse_release_body
from protos.card import parse_card
from protos.errors import LedgerError, PayloadError, ProtocolError
from protos.ledger import Ledger, RoundLog
from protos.report_payload import ReportPayload, encode_payload, parse_payload, verify_contents
from protos.statements import Plan, Report, digest, parse_statement

ROUND = own("round.json")
ENTRIES = [(row["entry"].encode(), row["body"].encode()) for row in ROUND["entries"]]
ROUND_ID = bytes.fromhex(ROUND["round_id"])
AUDITORS: list[str] = ROUND["auditors"]
REPORTS: list[dict[str, Any]] = ROUND["reports"]
CELLS = 14


def ledger_after(count: int) -> Ledger:
    ledger = Ledger(parse_card(ROUND["card"]))
    for entry, body in ENTRIES[:count]:
        ledger.append(entry, body)
    return ledger


WHOLE = ledger_after(len(ENTRIES))


def round_log() -> RoundLog:
    return WHOLE.rounds[ROUND_ID]


def header_of(report: dict[str, Any]) -> Report:
    statement = parse_statement(parse_note(report["note"].encode()).text)
    assert isinstance(statement, Report)
    return statement


def payload_of(report: dict[str, Any]) -> bytes:
    boxes = tuple(decode_base64(box) for box in report["boxes"])
    return encode_payload(ReportPayload(report["note"].encode(), bytes.fromhex(report["y"]), boxes))


def seeds_of(report: dict[str, Any]) -> dict[int, bytes]:
    return {int(subset): bytes.fromhex(seed) for subset, seed in report["seeds"].items()}


def names(report: dict[str, Any]) -> str:
    return f"{report['node']} attempt {report['attempt']}"


def test_the_ledger_accepts_every_entry_and_the_round_is_released() -> None:
    assert digest(parse_note(ENTRIES[2][0]).text) == ROUND_ID
    assert round_log().release is not None
    body = round_log().close_body()
    assert body is not None
    assert [name.node for name in body.set] == ROUND["set"] == ["s1", "s2", "s3", "s4", "s5"]
    assert [(row.report.node, row.code) for row in body.excluded] == [("s6", "box-unopenable")]


@pytest.mark.parametrize("report", REPORTS, ids=names)
def test_every_value_on_the_way_to_a_report(report: dict[str, Any]) -> None:
    terms = round_log().terms
    master, node, attempt = bytes.fromhex(report["master"]), report["node"], report["attempt"]
    x = np.array(report["x"], dtype=np.int64)
    counts = [value for table in ROUND["cells"] for value in report["counts"][table["table"]]]
    assert x.tolist() == [64 * value for value in counts]
    secret_r = derivation.round_secret(
        master, terms.federation, node, ROUND_ID, terms.roster, round_log().approvals_digest()
    )
    secret = derivation.report_secret(secret_r, attempt, derivation.measurement_tag(secret_r, x))
    assert secret.hex() == report["report_secret"]
    noise_keys = [derivation.noise_key(secret, j) for j in range(2)]
    assert [key.hex() for key in noise_keys] == report["noise_keys"]
    seeds = derivation.seeds(secret, subsets(4, 3))
    assert seeds == seeds_of(report)
    noise = np.concatenate([sampled(noise_keys[0], 10241, 6), sampled(noise_keys[1], 10241, 8)])
    assert encode_vector(mask_vector(x + noise, seeds, ROUND_ID, 4, 3)).hex() == report["y"]
    header = header_of(report)
    rows = bytes.fromhex(report["rows_digest"])
    assert header.input == derivation.input_commitment(secret_r, attempt, rows, x)
    assert dict(header.seeds) == {
        subset: derivation.seed_commitment(ROUND_ID, node, attempt, subset, seed)
        for subset, seed in seeds.items()
    }


def sampled(key: bytes, s2: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    stream = XofHmacSha256Aes128(key, format_dst(XOF_USAGE, b""), b"")
    return Sampler(s2).sample(stream.next, count)


@pytest.mark.parametrize("report", REPORTS, ids=names)
def test_a_reports_bytes_are_what_its_header_names_and_its_boxes_open(report: dict[str, Any]) -> None:
    data = payload_of(report)
    assert hashlib.sha256(data).hexdigest() == ROUND["payload_sha256"][REPORTS.index(report)]
    payload = parse_payload(data, CELLS, box_bytes(3), 4)
    verify_contents(payload, header_of(report))
    seeds = seeds_of(report)
    for place, (auditor, box) in enumerate(zip(AUDITORS, payload.boxes, strict=True)):
        secret, info = bytes.fromhex(ROUND["round_secrets"][auditor]), info_of(report, auditor)
        if (report["node"], auditor) == ("s6", "a2"):  # sealed as if for another attempt
            with pytest.raises(errors.OpenError):
                open_box(secret, box, info)
        else:
            held = [seeds[subset] for subset in subsets_with(place, 4, 3)]
            assert derivation.parse_box_plaintext(open_box(secret, box, info), 3) == tuple(held)


def info_of(report: dict[str, Any], auditor: str) -> bytes:
    header = header_of(report)
    commitments = derivation.commitments_digest([value for _, value in header.seeds])
    key = round_log().approvals[auditor].statement.round_key
    return derivation.box_info(
        ROUND_ID, header.node, header.attempt, auditor, key, header.vector, commitments
    )


def in_set() -> list[dict[str, Any]]:
    last = {report["node"]: report for report in REPORTS}  # the log's order: the last attempt stays
    return [last[node] for node in ROUND["set"]]


@pytest.mark.parametrize("auditor", ROUND["mask_sums"])
def test_an_auditors_mask_sums_are_those_of_its_opening(auditor: str) -> None:
    opening = round_log().openings[auditor].statement
    for subset, data in ROUND["mask_sums"][auditor].items():
        acc = MaskSum(CELLS)
        for report in in_set():
            add_report_mask(acc, int(subset), seeds_of(report)[int(subset)], ROUND_ID, 4, 3)
        assert encode_vector(acc.value()).hex() == data
        assert dict(opening.sums)[int(subset)] == hashlib.sha256(bytes.fromhex(data)).digest()


def test_the_sums_open_to_the_released_integers() -> None:
    total = MaskSum(CELLS)
    for report in in_set():
        total.add_vector(parse_vector(bytes.fromhex(report["y"]), CELLS))
    masks = {subset: data for sums in ROUND["mask_sums"].values() for subset, data in sums.items()}
    opened = unmask(total.value(), [parse_vector(bytes.fromhex(data), CELLS) for data in masks.values()])
    assert opened.tolist() == ROUND["result"]
    release = round_log().release
    assert release is not None
    released = [value for table in parse_release_body(release.body) for value in table.sums]
    assert released == ROUND["result"]
    sigma = (5 * 10241) ** 0.5
    assert all(
        abs(value - 64 * count) < 14 * sigma
        for value, count in zip(ROUND["result"], ROUND["counted"], strict=True)
    )


def test_the_receipt_proves_the_first_report_under_the_cosigned_checkpoint() -> None:
    card = parse_card(ROUND["card"])
    proof = parse_proof(ROUND["receipt_of_first_report"].encode())
    assert proof.checkpoint_note.decode() == ROUND["checkpoint"]
    witnesses = [row.cosigner for row in card.auditors]
    entry = REPORTS[0]["note"].encode()
    checkpoint = verify_proof(proof, entry, card.log, witnesses, 3)
    assert (checkpoint.size, checkpoint.root) == (len(ENTRIES), WHOLE.root())
    assert ENTRIES[proof.index][0] == entry


# -- what is refused ---------------------------------------------------------------------------------


def error_named(name: str) -> type[Exception]:
    found = getattr(errors, name, None) or {cls.__name__: cls for cls in ProtocolError.__subclasses__()}[name]
    assert issubclass(found, errors.CryptoError | ProtocolError)
    return found


PARSERS: dict[str, Callable[[bytes], object]] = {
    "vector": lambda data: parse_vector(data, 2),
    "box plaintext": lambda data: derivation.parse_box_plaintext(data, 3),
    "base64": lambda data: decode_base64(data.decode()),
    "note": parse_note,
    "checkpoint": lambda data: parse_checkpoint(data.decode()),
    "vkey": lambda data: parse_vkey(data.decode()),
    "proof": parse_proof,
}


def case_name(case: dict[str, Any]) -> str:
    return f"{case.get('parser', '')} {case.get('name', '')}".strip()


@pytest.mark.parametrize("case", own("crypto_bad_bytes.json")["cases"], ids=case_name)
def test_bad_bytes_are_refused_with_their_error(case: dict[str, Any]) -> None:
    with pytest.raises(error_named(case["error"])) as found:
        PARSERS[case["parser"]](bytes.fromhex(case["bytes"]))
    assert found.type.__name__ == case["error"]


def accept(data: bytes, ledger: Ledger) -> None:
    """What a report passes on receipt, in order."""
    payload = parse_payload(data, CELLS, box_bytes(3), 4)
    statement = parse_statement(parse_note(payload.note).text)
    assert isinstance(statement, Report)
    verify_contents(payload, statement)
    parse_vector(payload.vector, CELLS)
    ledger.check(payload.note, b"")


BEFORE_REPORTS = ledger_after(own("report_bad_bytes.json")["after"])


def test_the_unedited_report_is_accepted() -> None:
    accept(payload_of(REPORTS[0]), BEFORE_REPORTS)


@pytest.mark.parametrize("case", own("report_bad_bytes.json")["cases"], ids=case_name)
def test_an_edited_report_is_refused_with_its_error(case: dict[str, Any]) -> None:
    data, at = payload_of(REPORTS[0]), case["at"]
    edited = data[:at] + bytes.fromhex(case["insert"]) + data[at + case["remove"] :]
    with pytest.raises(error_named(case["error"])) as found:
        accept(edited, BEFORE_REPORTS)
    assert found.type.__name__ == case["error"]
    assert getattr(found.value, "code", "") == case.get("code", "")


def test_a_vector_with_an_element_that_is_not_canonical_is_refused_whatever_the_header_says() -> None:
    vector = bytes.fromhex(REPORTS[0]["y"])[:-8] + b"\xff" * 8
    with pytest.raises(PayloadError):  # the header's digest; behind it stands the element
        accept(payload_of(REPORTS[0] | {"y": vector.hex()}), BEFORE_REPORTS)
    with pytest.raises(errors.FieldRangeError, match="cell 13"):
        parse_vector(vector, CELLS)


@pytest.mark.parametrize("case", own("report_bad_values.json")["cases"], ids=lambda case: case["rule"])
def test_a_value_that_breaks_a_rule_is_another_than_the_right_one(case: dict[str, Any]) -> None:
    right = right_values()
    assert case["of"] in right
    assert case["value"] != right[case["of"]]
    if case["of"] == "y":
        assert len(case["value"]) == len(right["y"])
        noised = from_signed(np.array(REPORTS[0]["x"], dtype=np.int64))
        difference = subtract(parse_vector(bytes.fromhex(case["value"]), CELLS), noised)
        assert np.unique(difference).size == CELLS  # masked all the same: only the streams are others


def right_values() -> dict[str, str]:
    """The steps of the first report of which broken ones are kept."""
    report, seeds, header = REPORTS[0], seeds_of(REPORTS[0]), header_of(REPORTS[0])
    terms: Plan = round_log().terms
    master = bytes.fromhex(report["master"])
    secret_r = derivation.round_secret(
        master, terms.federation, "s1", ROUND_ID, terms.roster, round_log().approvals_digest()
    )
    x = np.array(report["x"], dtype="<i8")
    return {
        "y": report["y"],
        "box plaintext of a1": derivation.box_plaintext([seeds[a] for a in subsets_with(0, 4, 3)]).hex(),
        "commitments digest": derivation.commitments_digest([value for _, value in header.seeds]).hex(),
        "first commitment": header.seeds[0][1].hex(),
        "xm": hmac.digest(derivation.kdf(secret_r, "x"), x.tobytes(), "sha256").hex(),
        "noise key of table 0": report["noise_keys"][0],
    }


@pytest.mark.parametrize(
    "case", own("round_bad_entries.json")["cases"], ids=lambda case: f"{case['code']}: {case['name']}"
)
def test_an_entry_that_may_not_come_next_is_refused_with_its_code(case: dict[str, Any]) -> None:
    with pytest.raises(LedgerError) as found:
        ledger_after(case["after"]).check(case["entry"].encode(), case["body"].encode())
    assert found.value.code == case["code"]
