"""A node built from the documents alone makes the vectors' reports, and the product takes its own."""

import ast
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import stranger_node
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey
from stranger_node import Node, Statement, read, signers, tree_root
from vectors_dir import OWN_VECTORS, own

from crypto.derivation import (
    box_info,
    commitments_digest,
    master_commitment,
    parse_box_plaintext,
    seed_commitment,
)
from crypto.errors import OpenError
from crypto.note import parse_note
from crypto.replication import subsets_with
from crypto.sealing import open_box
from plan.dimensions import DIMENSIONS
from protos.card import parse_card
from protos.enrolment import parse_request
from protos.errors import EnrolmentError
from protos.ledger import Ledger
from protos.report_payload import parse_payload, verify_contents
from protos.statements import Report, parse_statement

ROUND = own("round.json")
REPORTS: list[dict[str, Any]] = ROUND["reports"]
LOG: list[Statement] = [read(row["entry"], row["body"]) for row in ROUND["entries"]]
REPORTS_AT = [index for index, statement in enumerate(LOG) if statement.type == "report"]


def drawn(number: int) -> Node:
    """The node of a report, with the log as it stood before it, and everything but boxes."""
    report = REPORTS[number]
    seeds = bytes.fromhex(report["master"]), bytes.fromhex(report["report_key_seed"])
    node = Node(report["node"], *seeds, LOG[: REPORTS_AT[number]])
    node.draw(report["counts"], bytes.fromhex(report["rows_digest"]))
    return node


def names(number: int) -> str:
    return f"{REPORTS[number]['node']} attempt {REPORTS[number]['attempt']}"


def test_the_stranger_uses_nothing_of_the_product() -> None:
    tree = ast.parse(Path(stranger_node.__file__).read_text(encoding="utf-8"))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {module.split(".")[0] for module in modules}
    assert roots <= sys.stdlib_module_names | {"cryptography", "nacl", "numpy"}
    assert not any("hpke" in module for module in modules)


@pytest.mark.parametrize("number", range(len(REPORTS)), ids=names)
def test_every_report_is_made_byte_for_byte(number: int) -> None:
    report, node = REPORTS[number], drawn(number)
    assert node.y.hex() == report["y"]
    assert {str(subset): seed.hex() for subset, seed in node.seeds.items()} == report["seeds"]
    assert (node.attempt, node.previous.hex()) == (report["attempt"], report["previous"])
    boxes = [base64.b64decode(box) for box in report["boxes"]]
    payload = node.payload(boxes, bytes.fromhex(report["software"]), report["confinement"])
    assert hashlib.sha256(payload).hexdigest() == ROUND["payload_sha256"][number]
    assert payload[4 : 4 + len(report["note"].encode())].decode() == report["note"]


def test_the_strangers_own_boxes_are_opened_and_its_report_is_accepted() -> None:
    node = drawn(0)
    boxes = node.boxes()
    data = node.payload(boxes, bytes(32), "L0")
    ledger = Ledger(parse_card(ROUND["card"]))
    for row in ROUND["entries"][: REPORTS_AT[0]]:
        ledger.append(row["entry"].encode(), row["body"].encode())
    round_log = ledger.rounds[bytes.fromhex(ROUND["round_id"])]
    payload = parse_payload(data, round_log.terms.cells, round_log.box_bytes, 4)
    header = parse_statement(parse_note(payload.note).text)
    assert isinstance(header, Report)
    verify_contents(payload, header)
    ledger.append(payload.note, b"")
    commitments = commitments_digest([value for _, value in header.seeds])
    for place, auditor in enumerate(round_log.terms.auditors):
        key = round_log.approvals[auditor].statement.round_key
        info = box_info(header.round, "s1", 0, auditor, key, header.vector, commitments)
        secret = bytes.fromhex(ROUND["round_secrets"][auditor])
        held = dict(
            zip(
                subsets_with(place, 4, 3),
                parse_box_plaintext(open_box(secret, boxes[place], info), 3),
                strict=True,
            )
        )
        for subset, seed in held.items():
            assert seed_commitment(header.round, "s1", 0, subset, seed) == dict(header.seeds)[subset]
        with pytest.raises(OpenError):
            open_box(secret, boxes[place - 1], info)


def test_the_strangers_request_to_enrol_is_read() -> None:
    key = SigningKey(bytes(range(32)))
    typed, name = b"\x01" + key.verify_key.encode(), "fedscreen/county-demo/node/s9"
    key_id = hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()[:8]
    values: dict[str, Any] = {
        "attributes": {"county": "530101", "school_type": "初中"},
        "cosigner": "",
        "csr": "-----BEGIN CERTIFICATE REQUEST-----\n",
        "federation": "county-demo",
        "format": "fedscreen/request/v1",
        "id": "s9",
        "key": f"{name}+{key_id}+{base64.b64encode(typed).decode()}",
        "master": stranger_node.sha256(stranger_node.encode("master", "s9", bytes(32))).hex(),
        "operator": "第九中学",
        "role": "node",
    }
    signed = f"fedscreen/request/v1\n{canonical(values)}\n"
    request = parse_request(canonical(values | {"signature": stranger_node.sign(signed, name, key)}).encode())
    assert (request.id, request.operator) == ("s9", "第九中学")
    assert request.master == master_commitment("s9", bytes(32))
    other = canonical(values | {"signature": stranger_node.sign(signed + "\n", name, key)}).encode()
    with pytest.raises(EnrolmentError):
        parse_request(other)


def canonical(value: dict[str, Any]) -> str:
    """RFC 8785 for what occurs here: ASCII keys."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def test_the_stranger_reads_the_log_as_the_product_does() -> None:
    card = Statement(ROUND["card"], None)
    entries = [row["entry"].encode() for row in ROUND["entries"]]
    root = tree_root([hashlib.sha256(b"\x00" + entry).digest() for entry in entries])
    origin, size, encoded, *_ = ROUND["checkpoint"].split("\n")
    assert (origin, int(size), base64.b64decode(encoded)) == (
        card.one("log").split("+")[0],
        len(entries),
        root,
    )
    witnesses = [row[2] for row in card.all("auditor")]
    signed = signers(ROUND["checkpoint"], [card.one("log"), *witnesses])
    assert signed[0] == origin
    assert len(signed) - 1 >= int(card.one("quorum"))
    assert LOG[0].digest.hex() == card.one("genesis")
    with pytest.raises(BadSignatureError):
        signers(ROUND["checkpoint"].replace(f"\n{size}\n", f"\n{int(size) + 1}\n"), witnesses)


def test_the_stranger_adds_the_round_up_to_what_was_released() -> None:
    last = {report["node"]: bytes.fromhex(report["y"]) for report in REPORTS}
    vectors = [last[node] for node in ROUND["set"]]
    sums = {subset: value for table in ROUND["mask_sums"].values() for subset, value in table.items()}
    vectors += [bytes.fromhex(value) for value in sums.values()]
    total = [
        sum(int.from_bytes(vector[at : at + 8], "little") for vector in vectors) % stranger_node.P
        for at in range(0, len(vectors[0]), 8)
    ]
    lifted = [value - stranger_node.P if value > stranger_node.P // 2 else value for value in total]
    release = next(statement for statement in LOG if statement.type == "release")
    assert lifted == [value for table in release.body["tables"] for value in table["sums"]] == ROUND["result"]


def test_every_vector_file_is_listed_in_the_protocol_with_its_section() -> None:
    document = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    listed = document[document.index("## 12. Known answers") :]
    files = {path.name for path in OWN_VECTORS.glob("*.json")}
    assert {name for name in files if f"`{name}`" not in listed} == set()


def test_the_cells_of_the_protocol_are_those_that_are_counted() -> None:
    document = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    table = document[document.index("| dimension | codes |") :].partition("\n\n")[0]
    stated: dict[str, list[str]] = {}
    for row in table.splitlines()[2:]:
        left, right = (cell.strip().replace("`", "") for cell in row.strip("|").split("|"))
        dimensions, codes = left.split(", "), [part.split(" ") for part in right.split("; ")]
        stated |= zip(dimensions, codes * (1 if len(codes) > 1 else len(dimensions)), strict=True)
    from_the_plan = {"grade", "stage", "band", "factor"}  # a sentence each
    assert stated.keys() == DIMENSIONS.keys()
    for name in stated.keys() - from_the_plan:
        assert stated[name] == list(DIMENSIONS[name].codes)
