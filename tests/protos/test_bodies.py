"""Bodies, card, enrolment files, payload and manifest: inverses, and the refused ones."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.canonical import encode_json, parse_json
from crypto.note import KeyType, SigningKey
from protos.bodies import (
    CloseBody,
    Refusal,
    ReportName,
    RosterAuditor,
    RosterBody,
    RosterNode,
    TableSums,
    encode_candidates_body,
    encode_checked_body,
    encode_close_body,
    encode_release_body,
    encode_roster_body,
    key_name,
    parse_candidates_body,
    parse_checked_body,
    parse_close_body,
    parse_release_body,
    parse_roster_body,
)
from protos.bundle import Manifest, encode_manifest, file_entry, is_safe_path, manifest_of, parse_manifest
from protos.card import CardAuditor, FederationCard, encode_card, fingerprint, parse_card
from protos.enrolment import (
    Grant,
    Request,
    encode_grant,
    encode_request,
    parse_grant,
    parse_request,
    request_text,
    sign_request,
)
from protos.errors import BodyError, CardError, EnrolmentError, ManifestError, PayloadError
from protos.report_payload import (
    ReportPayload,
    encode_payload,
    note_of,
    parse_payload,
    verify_contents,
)
from protos.statements import Report

FED = "county-1"


def key(seed: int, *parts: str, key_type: KeyType = KeyType.ED25519) -> SigningKey:
    return SigningKey(key_name(FED, *parts), key_type, bytes([seed]) * 32)


AUDITORS = tuple(
    RosterAuditor(
        f"a{n}",
        f"operator {n}",
        key(n, "auditor", f"a{n}").verifier,
        key(n + 50, "witness", f"a{n}", key_type=KeyType.COSIGNATURE).verifier,
        n > 2,
    )
    for n in range(1, 5)
)
NODES = tuple(
    RosterNode(
        f"s{n}",
        f"学校 {n}",
        key(n + 100, "node", f"s{n}").verifier,
        bytes([n]) * 32,
        (("county", "530101"),),
        (),
    )
    for n in range(1, 4)
)
ROSTER = RosterBody(
    key(200, "log").verifier, key(201, "coordinator").verifier, bytes(32), AUDITORS, NODES, ((4, 3, 1, 3),)
)


def test_roster_body_round_trip() -> None:
    assert parse_roster_body(encode_roster_body(ROSTER), FED) == ROSTER
    assert ROSTER.node("s2") == NODES[1]
    assert ROSTER.auditor("nobody") is None


@pytest.mark.parametrize(
    "change",
    [
        {"auditors": ()},
        {"auditors": AUDITORS[::-1]},
        {"auditors": (AUDITORS[0], AUDITORS[0])},
        {"nodes": NODES[::-1]},
        {"nodes": (NODES[0], replace(NODES[1], master=NODES[0].master))},
        {"nodes": (replace(NODES[0], report=replace(NODES[0].report, name="fedscreen/other/node/s1")),)},
        {"nodes": (replace(NODES[0], operator=""),)},
        {"nodes": (replace(NODES[0], operator="two\nlines"),)},
        {"nodes": (replace(NODES[0], succeeds=("b", "a")),)},
        {"log": ROSTER.coordinator},
        {"auditors": (replace(AUDITORS[0], cosigner=AUDITORS[0].statement),)},
        {
            "auditors": (
                replace(
                    AUDITORS[0], cosigner=replace(AUDITORS[0].cosigner, public_key=ROSTER.log.public_key)
                ),
            )
        },
        {"tuples": ((4, 3, 1, 3), (4, 3, 1, 3))},
        {"tuples": ((8, 3, 1, 3),)},
    ],
)
def test_a_malformed_roster_body_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BodyError):
        parse_roster_body(encode_roster_body(replace(ROSTER, **change)), FED)


def test_a_roster_of_another_federation_is_refused() -> None:
    with pytest.raises(BodyError):
        parse_roster_body(encode_roster_body(ROSTER), "county-2")


NAMES = tuple(ReportName(f"s{n}", n % 4, bytes([n]) * 32) for n in range(1, 5))


def test_report_lists_round_trip() -> None:
    refused = (Refusal(NAMES[1], "bad-box"),)
    assert parse_candidates_body(encode_candidates_body(NAMES)) == NAMES
    assert parse_checked_body(encode_checked_body(refused)) == refused
    assert parse_checked_body(encode_checked_body(())) == ()
    close = CloseBody((NAMES[0], NAMES[2], NAMES[3]), refused)
    assert parse_close_body(encode_close_body(close)) == close


@pytest.mark.parametrize(
    "data",
    [
        encode_candidates_body(NAMES[::-1]),
        encode_candidates_body((NAMES[0], NAMES[0])),
        b"{}",
        b'{"reports":[["s1",0]]}',
        b'{"reports":[["s1",4,"' + b"11" * 32 + b'"]]}',
        b'{"reports":[["S1",0,"' + b"11" * 32 + b'"]]}',
        b'{"reports":[["s1",0,"' + b"AA" * 32 + b'"]]}',
        b'{"reports": []}',
        b'{"reports":[],"more":[]}',
        b'{"reports":{}}',
        b"",
        b"\xff",
    ],
)
def test_malformed_candidates_are_refused(data: bytes) -> None:
    with pytest.raises(BodyError):
        parse_candidates_body(data)


def test_release_body_round_trip_with_negative_sums() -> None:
    tables = (TableSums("A1", 64, 14000, (-5, 0, 2**53 - 1)),)
    assert parse_release_body(encode_release_body(tables)) == tables
    for bad in (b'{"tables":[{"id":"A1","s2":1,"scale":64,"sums":["1"]}]}', b'{"tables":[{"id":"A 1"}]}'):
        with pytest.raises(BodyError):
            parse_release_body(bad)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_body_errors(data: bytes) -> None:
    for parse in (parse_candidates_body, parse_checked_body, parse_close_body, parse_release_body):
        with pytest.raises(BodyError):
            parse(data)


CARD = FederationCard(
    FED,
    "demo",
    ROSTER.log,
    ROSTER.coordinator,
    bytes(32),
    bytes([9]) * 32,
    3,
    tuple(CardAuditor(row.id, row.statement, row.cosigner) for row in AUDITORS),
    ((3, 3, 2, 3), (4, 3, 1, 3)),
)


def test_card_round_trip_and_fingerprint() -> None:
    text = encode_card(CARD)
    assert parse_card(text) == CARD
    groups = fingerprint(text).split("-")
    assert [len(group) for group in groups] == [4] * 8
    assert fingerprint(text.replace("quorum 3", "quorum 2")) != fingerprint(text)


@given(data=st.data())
def test_a_changed_card_is_refused_or_another_card(data: st.DataObject) -> None:
    text = encode_card(CARD)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda ch: ch != text[at]))
    try:
        other = parse_card(text[:at] + letter + text[at + 1 :])
    except CardError:
        return
    assert other != CARD


@pytest.mark.parametrize(
    "text", ["", "fedscreen/card/v1\n", encode_card(CARD)[:-1], encode_card(CARD) + "x 1\n"]
)
def test_malformed_cards_are_refused(text: str) -> None:
    with pytest.raises(CardError):
        parse_card(text)


NODE_KEY = key(101, "node", "s1")
NODE_REQUEST = Request(
    "node", FED, "s1", "一中", (("county", "530101"),), NODE_KEY.verifier, None, bytes([1]) * 32, "PEM"
)
AUDITOR_KEY = key(1, "auditor", "a1")
AUDITOR_REQUEST = Request(
    "auditor", FED, "a1", "卫健委", (), AUDITOR_KEY.verifier, AUDITORS[0].cosigner, None, "PEM"
)


@pytest.mark.parametrize(
    ("request_", "signer"),
    [(NODE_REQUEST, NODE_KEY), (AUDITOR_REQUEST, AUDITOR_KEY)],
    ids=["node", "auditor"],
)
def test_request_round_trip(request_: Request, signer: SigningKey) -> None:
    data = sign_request(request_, signer)
    assert parse_request(data) == request_
    assert encode_request(request_, signer.sign(request_text(request_))) == data


def test_a_request_signed_by_another_key_is_refused() -> None:
    with pytest.raises(EnrolmentError, match="not signed"):
        parse_request(encode_request(NODE_REQUEST, key(7, "node", "s1").sign(request_text(NODE_REQUEST))))


@pytest.mark.parametrize(
    "change",
    [
        {"role": "coordinator"},
        {"id": "s2"},
        {"federation": "county-2"},
        {"master": b""},
        {"operator": "x" * 300},
        {"cosigner": AUDITORS[0].cosigner},
        {"role": "auditor"},
    ],
    ids=str,
)
def test_an_inconsistent_request_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(EnrolmentError):
        parse_request(sign_request(replace(NODE_REQUEST, **change), NODE_KEY))


def test_a_flipped_byte_in_a_request_is_refused() -> None:
    data = sign_request(NODE_REQUEST, NODE_KEY)
    for at in range(0, len(data), 7):
        with pytest.raises(EnrolmentError):
            parse_request(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_grant_round_trip_and_refusals() -> None:
    grant = Grant("node", FED, "s1", "CERT", "CA", encode_card(CARD), "127.0.0.1:5000", "coordinator")
    data = encode_grant(grant)
    assert parse_grant(data) == grant
    values = parse_json(data)
    assert isinstance(values, dict)
    for bad in (
        b"",
        data[:-1],
        data + b" ",
        encode_json(values | {"role": "boss"}),
        encode_json(values | {"card": 1}),
        encode_json(values | {"format": "fedscreen/grant/v2"}),
        encode_json({name: value for name, value in values.items() if name != "ca"}),
        b"x" * 300_000,
    ):
        with pytest.raises(EnrolmentError):
            parse_grant(bad)


VECTOR = bytes(8 * 10)
BOXES = (b"a" * 50, b"b" * 50)


def report_for(payload: ReportPayload) -> Report:
    return Report(
        FED,
        bytes(32),
        bytes(32),
        bytes(32),
        "s1",
        0,
        10,
        hashlib.sha256(payload.vector).digest(),
        ((3, bytes(32)),),
        tuple((f"a{n}", hashlib.sha256(box).digest()) for n, box in enumerate(payload.boxes)),
        bytes(32),
        bytes(32),
        "L3",
        bytes(32),
        180,
    )


def test_payload_round_trip() -> None:
    payload = ReportPayload(b"note", VECTOR, BOXES)
    data = encode_payload(payload)
    assert parse_payload(data, 10, 50, 2) == payload
    assert note_of(data) == b"note"
    verify_contents(payload, report_for(payload))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0\0", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x05note", b"\0\0\0\x04note" + bytes(179)],
)
def test_a_payload_of_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(PayloadError):
        parse_payload(data, 10, 50, 2)


def test_a_payload_of_other_content_is_refused() -> None:
    payload = ReportPayload(b"note", VECTOR, BOXES)
    report = report_for(payload)
    bad = [
        replace(payload, vector=b"\1" + VECTOR[1:]),
        replace(payload, vector=VECTOR[:-8]),
        replace(payload, boxes=BOXES[::-1]),
        replace(payload, boxes=(BOXES[0],)),
        replace(payload, boxes=(BOXES[0] + BOXES[1][:25], BOXES[1][25:])),
    ]
    for other in bad:
        with pytest.raises(PayloadError):
            verify_contents(other, report)
    with pytest.raises(PayloadError):
        verify_contents(payload, replace(report, boxes=report.boxes[:1]))


FILES = {"log/checkpoint": b"x", "log/tile/0/000.p/3": b"yy", "release.json": b"{}"}


def test_manifest_round_trip() -> None:
    manifest = manifest_of("auditor", FILES)
    assert parse_manifest(encode_manifest(manifest)) == manifest
    assert manifest.files["release.json"] == file_entry(b"{}")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"fedscreen/manifest/v1\n",
        b"fedscreen/manifest/v1\nkind other\n",
        b"fedscreen/manifest/v1\nkind public",
        encode_manifest(manifest_of("public", FILES)) + b"\n",
        encode_manifest(manifest_of("public", FILES))[:-1],
        encode_manifest(manifest_of("public", FILES)).replace(b" 1 ", b" 01 "),
        encode_manifest(manifest_of("public", FILES)).replace(b"log/checkpoint", b"log/../checkpoint"),
        encode_manifest(manifest_of("public", FILES)).replace(b"log/checkpoint", b"/log/checkpoint"),
        encode_manifest(manifest_of("public", FILES)).replace(b"release.json", b"aaa.json"),
        b"\xff",
    ],
)
def test_malformed_manifests_are_refused(data: bytes) -> None:
    with pytest.raises(ManifestError):
        parse_manifest(data)


@pytest.mark.parametrize("path", ["", "/a", "a//b", "../a", "a/..", "a\\b", "a b", "a/", "ü"])
def test_unsafe_paths(path: str) -> None:
    assert not is_safe_path(path)


def test_an_empty_manifest_is_canonical() -> None:
    assert parse_manifest(encode_manifest(Manifest("public", {}))) == Manifest("public", {})
