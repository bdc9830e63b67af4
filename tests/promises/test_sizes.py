"""How many bytes a report has: computed from the format, and measured with real boxes and real nodes."""

from __future__ import annotations

import hashlib
import json
from math import comb
from pathlib import Path

import numpy as np
import pytest
from fakes_federation import fake_bytes
from leak_search import frames_in
from promise_county import sent

from crypto.derivation import box_plaintext
from crypto.errors import ParameterError
from crypto.field64 import encode_vector, from_signed
from crypto.note import KeyType, Note, SigningKey, encode_note, parse_signature_line
from crypto.replication import MAX_AUDITORS, subsets, subsets_with, validate_parameters
from crypto.sealing import ROUND_SECRET_BYTES, round_public_key, seal
from fedscreen.demo.federation import demo_tuple
from node.frames import LIMITS, MAX_NOTE_BYTES, Kind, report_shape
from plan.document import parse_plan_toml
from plan.layout import build_layout
from plan.publishing import resolve
from protos.bodies import key_name
from protos.report_payload import ReportPayload, encode_payload, parse_payload, verify_contents
from protos.statements import Report, encode_statement

CELLS = 652
KB = 1000
FEDERATION, NODE = "demo-county", "s01"
READY = Path(__file__).parents[2] / "plan" / "ready" / "autumn-full.toml"


def allowed() -> list[tuple[int, int]]:
    """Every (n, t) for which some f and q are safe."""
    return sorted({(n, t) for n in range(1, MAX_AUDITORS + 1) for t in range(1, n + 1) if is_safe(n, t)})


def is_safe(n: int, t: int) -> bool:
    for f in range(n):
        for q in range(1, n + 1):
            try:
                validate_parameters(n, t, f, q)
            except ParameterError:
                continue
            return True
    return False


def header_bytes(n: int, t: int, cells: int, size: int) -> int:
    """Bytes of the signed header, from docs/protocol.md alone: a line is key, space, value, line feed."""
    digest = 64
    lines = [len("fedscreen/report/v1"), len(f"federation {FEDERATION}")]
    lines += [len(name) + 1 + digest for name in ("round", "roster", "approvals")]
    lines += [len(f"node {NODE}"), len("attempt 0"), len(f"cells {cells}"), len("vector ") + digest]
    lines += [len(f"seed {subset} ") + digest for subset in subsets(n, t)]
    lines += [len(f"box a{place} ") + digest for place in range(1, n + 1)]
    lines += [len("input ") + digest, len("software ") + digest, len("confinement L3")]
    lines += [len("previous ") + digest, len(f"size {size}")]
    signature = len("— ".encode()) + len(f"fedscreen/{FEDERATION}/node/{NODE} ") + 4 * ((4 + 64 + 2) // 3) + 1
    return sum(lines) + len(lines) + 1 + signature


def computed(n: int, t: int, cells: int) -> int:
    """Bytes of a payload: y, a box for each auditor, the header and its length."""
    body = 8 * cells + n * (1136 + 32 * comb(n - 1, t - 1))
    return 4 + header_bytes(n, t, cells, body) + body


def real_payload(
    n: int, t: int, cells: int, federation: str = FEDERATION, node: str = NODE, pad: str = ""
) -> bytes:
    """A report with real boxes for real round keys, signed; `pad` makes the auditors' ids longer."""
    auditors = [f"a{place}{pad}" for place in range(1, n + 1)]
    seeds = {subset: fake_bytes(f"seed {subset}") for subset in subsets(n, t)}
    boxes = []
    for index, auditor in enumerate(auditors):
        public_key = round_public_key(fake_bytes(f"round key of {auditor}", ROUND_SECRET_BYTES))
        held = [seeds[subset] for subset in subsets_with(index, n, t)]
        boxes.append(seal(public_key, box_plaintext(held), b"info"))
    vector = encode_vector(from_signed(np.arange(cells, dtype=np.int64) - cells // 2))
    report = Report(
        federation=federation,
        round=fake_bytes("round"),
        roster=fake_bytes("roster"),
        approvals=fake_bytes("approvals"),
        node=node,
        attempt=0,
        cells=cells,
        vector=hashlib.sha256(vector).digest(),
        seeds=tuple((subset, fake_bytes(f"commitment {subset}")) for subset in seeds),
        boxes=tuple((name, hashlib.sha256(box).digest()) for name, box in zip(auditors, boxes, strict=True)),
        input=fake_bytes("input"),
        software=fake_bytes("software"),
        confinement="L3",
        previous=bytes(32),
        size=len(vector) + sum(map(len, boxes)),
    )
    text = encode_statement(report)
    key = SigningKey(key_name(federation, "node", node), KeyType.ED25519, fake_bytes("report key"))
    note = encode_note(Note(text, (parse_signature_line(key.sign(text)),)))
    payload = ReportPayload(note, vector, tuple(boxes))
    verify_contents(payload, report)
    data = encode_payload(payload)
    assert parse_payload(data, cells, len(boxes[0]), n) == payload
    return data


def test_ready_plan_has_652_cells() -> None:
    document = resolve(parse_plan_toml(READY.read_bytes()), 12)
    assert build_layout(document).cells == CELLS


def test_all_pairs_up_to_seven_auditors_are_looked_at() -> None:
    assert len(allowed()) == 16
    assert {(1, 1), (3, 2), (4, 3), (5, 3), (7, 4), (7, 7)} <= set(allowed())
    for n, t in allowed():
        assert 2 * t > n
        assert demo_tuple(n, t)[:2] == (n, t)


@pytest.mark.parametrize(("n", "t"), allowed(), ids=str)
@pytest.mark.parametrize("cells", [CELLS, 5000])
def test_payload_is_within_five_percent_of_its_computed_size(n: int, t: int, cells: int) -> None:
    size = len(real_payload(n, t, cells))
    assert abs(size - computed(n, t, cells)) <= 0.05 * computed(n, t, cells)


@pytest.mark.parametrize(("n", "t"), [(4, 3), (7, 4)])
def test_header_has_exactly_the_computed_size(n: int, t: int) -> None:
    payload = real_payload(n, t, CELLS)
    note_bytes = int.from_bytes(payload[:4])
    assert note_bytes == header_bytes(n, t, CELLS, len(payload) - 4 - note_bytes)


def test_default_payload_keeps_its_bound() -> None:
    """8 bytes a cell, 1.3 KB an auditor, 3 KB."""
    assert len(real_payload(4, 3, CELLS)) <= 8 * CELLS + 1.3 * KB * 4 + 3 * KB


def test_size_does_not_depend_on_what_is_in_it() -> None:
    first = real_payload(4, 3, CELLS)
    again = real_payload(4, 3, CELLS)
    assert first != again  # the encapsulations are random
    assert len(first) == len(again)


@pytest.mark.parametrize(("n", "t"), [(7, 4), (7, 5)])
def test_longest_header_fits_every_bound(n: int, t: int) -> None:
    """The most seeds and boxes, the longest ids."""
    long = "x" * 63
    payload = real_payload(n, t, CELLS, federation=long, node=long, pad="x" * 61)
    assert int.from_bytes(payload[:4]) < MAX_NOTE_BYTES
    assert report_shape(payload).size_bytes == len(payload) < LIMITS[Kind.REPORT][1]


@pytest.mark.process
def test_report_of_a_real_node_keeps_the_bound_and_the_computed_size(runs: Path) -> None:
    summary = json.loads((runs / "first" / "summary.json").read_text())
    assert summary["cells"] == CELLS
    assert summary["bytes_per_report"] == len(real_payload(4, 3, CELLS))
    assert summary["bytes_per_report"] <= 8 * CELLS + 1.3 * KB * 4 + 3 * KB
    assert abs(summary["bytes_per_report"] - computed(4, 3, CELLS)) <= 0.05 * computed(4, 3, CELLS)


@pytest.mark.process
def test_message_on_the_wire_adds_only_its_field(county: Path) -> None:
    """A protobuf message around the payload: a tag and a length, nothing that could carry more."""
    (payload,) = {payload for _kind, payload in frames_in(county / "frames" / "s02" / "from-vault.frames")}
    message = b"\x0a" + bytes([len(payload) & 127 | 128, len(payload) >> 7]) + payload
    assert set(sent(county, "SubmitReport", "s02")) == {message}
