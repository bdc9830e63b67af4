"""Targets that need more than bytes: keys, a round's sizes, a log, the other files of an import.

What an attacker may hold a key for is signed here, so that mutations reach what stands behind the signature.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import functools
import hashlib
import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fakes_auditors import joined_county, small_plan
from fakes_coordinator import tls_key
from fakes_federation import TinyFederation, fake_bytes, sign_entry
from fuzz.entries import BODY_MARK, signers_of, with_body
from fuzz.roundtrip import text_of
from numpy.typing import NDArray

from coordinator.ca import Authority, create_authority, issue_client
from crypto import canonical, derivation, field64, merkle, note, policy, sealing, tiles, tlog_proof
from crypto.checkpoint import Checkpoint
from crypto.errors import CryptoError, DecodeError
from crypto.note import KeyType, SigningKey, VerifierKey
from node import frames, hand_over_file
from node.hand_over_key import key_pair
from node.hand_over_receipt import make_receipt
from node.vault.enrol import Floors
from node.vault.enrol import parse_floors as parse_floor_values
from node.vault.import_file import ImportContext, ImportResult, import_files
from node.vault.importing.cells import Cell
from node.vault.importing.reader import Sheet, read_sheets
from node.vault.importing.text_table import read_text_table
from plan.published import Published, disagreement
from plan.published import read_published as read_published_plan
from protos import bodies, enrolment
from protos.bodies import RosterBody, key_name, parse_release_body
from protos.errors import StatementError
from protos.ledger import Ledger
from protos.log_file import LogFile, encode_log_file, parse_log_file
from protos.report_payload import ReportPayload
from protos.report_payload import parse_payload as parse_report_payload
from protos.statements import Plan, Statement, parse_statement
from results.release import Release
from results.release import read_release as read_release_tables

FEDERATION = "county-1"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ROUND_SECRET = fake_bytes("fuzz round secret", sealing.ROUND_SECRET_BYTES)
BOX_INFO = b"fuzz"
CELLS, BOX_BYTES, NUM_BOXES = 4, 8, 2
NOW = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)


def note_key(name: str, key_type: KeyType = KeyType.ED25519) -> SigningKey:
    """A key that the tests hold."""
    return SigningKey(name, key_type, fake_bytes(f"fuzz key {name}"))


LOG_KEY = note_key(key_name(FEDERATION, "log"))
WITNESSES = [
    note_key(key_name(FEDERATION, "witness", f"a{place}"), KeyType.COSIGNATURE) for place in (1, 2, 3)
]
WITNESS_KEYS = tuple(key.verifier for key in WITNESSES)
KNOWN_KEYS: tuple[VerifierKey, ...] = (LOG_KEY.verifier, *WITNESS_KEYS)
ENTRY = b"an entry"

# ------------------------------------------------------------------ crypto


def parse_vector(data: bytes) -> NDArray[np.uint64]:
    """Read as many cells as there may be."""
    return field64.parse_vector(data, max(1, len(data) // 8))


def parse_seeds(data: bytes) -> tuple[bytes, ...]:
    """Read an opened box of three seeds."""
    return derivation.parse_box_plaintext(data, 3)


def open_box(data: bytes) -> bytes:
    """Open a box with a fixed round key."""
    return sealing.open_box(ROUND_SECRET, data, BOX_INFO)


def verify_note(data: bytes) -> object:
    """Find who signed a note."""
    return note.verified_by(note.parse_note(data), KNOWN_KEYS)


def verify_cosigned(data: bytes) -> Checkpoint:
    """Verify a checkpoint with two cosignatures."""
    return tlog_proof.verify_cosigned(data, LOG_KEY.verifier, WITNESS_KEYS, 2)


def verify_receipt(data: bytes) -> Checkpoint:
    """Verify a proof that a fixed entry is in the log."""
    return tlog_proof.verify_proof(tlog_proof.parse_proof(data), ENTRY, LOG_KEY.verifier, WITNESS_KEYS, 2)


def _proof_parts(data: bytes) -> tuple[int, int, list[bytes]]:
    """Two numbers of 64 bits with sign, then hashes; the last may be short."""
    first, second = struct.unpack(">qq", data[:16].ljust(16, b"\0"))
    return first, second, [data[at : at + 32] for at in range(16, len(data), 32)]


def verify_inclusion(data: bytes) -> None:
    """Verify an inclusion proof: index, size, root, hashes."""
    index, size, (root, *proof) = (*_proof_parts(data)[:2], _proof_parts(data)[2] or [b""])
    merkle.verify_inclusion(merkle.leaf_hash(ENTRY), index, size, proof, root)


def verify_consistency(data: bytes) -> None:
    """Verify a consistency proof: sizes, old root, new root, hashes."""
    old, new, hashes = _proof_parts(data)
    old_root, new_root, *proof = [*hashes, b"", b""]
    merkle.verify_consistency(old, new, proof[: max(0, len(proof) - 2)], old_root, new_root)


def parse_tile(data: bytes) -> tuple[bytes, ...]:
    """Read a tile as wide as it can be."""
    return tiles.parse_tile(data, max(1, min(256, len(data) // 32)))


def parse_entries(data: bytes) -> tuple[bytes, ...]:
    """Read a bundle; the first byte is the number of its entries."""
    if not data:
        raise DecodeError("no number of entries")
    return tiles.parse_entries(data[1:], data[0])


def encode_entries(entries: tuple[bytes, ...]) -> bytes:
    """Write what `parse_entries` reads."""
    return bytes([len(entries)]) + tiles.encode_entries(entries)


def verify_policed(data: bytes) -> Checkpoint:
    """Verify a checkpoint by a policy: the policy, then the mark, then the note."""
    written, _, checkpoint_note = data.partition(BODY_MARK)
    parsed = policy.parse_policy(text_of(written) + "\n")
    parsed.is_satisfied(set(parsed.witnesses))
    return policy.verify_checkpoint(checkpoint_note, parsed)


# ------------------------------------------------------------------ protos


def parse_roster(data: bytes) -> RosterBody:
    """Read a roster's body of the tests' federation."""
    return bodies.parse_roster_body(data, FEDERATION)


def parse_payload(data: bytes) -> ReportPayload:
    """Read a payload of a small round."""
    return parse_report_payload(data, CELLS, BOX_BYTES, NUM_BOXES)


def parse_signed_request(data: bytes) -> enrolment.Request:
    """Read an enrolment request that its sender has signed, whatever it says."""
    with contextlib.suppress(CryptoError):
        values = canonical.parse_json(data)
        if isinstance(values, dict):
            key = _request_key(values)
            text = f"{enrolment.REQUEST_FORMAT}\n{canonical.encode_json(values).decode()}\n"
            data = canonical.encode_json({**values, "signature": key.sign(text)})
    return enrolment.parse_request(data)


def _request_key(values: Any) -> SigningKey:
    try:
        name = note.parse_vkey(str(values.get("key"))).name
    except CryptoError:
        name = "nobody"
    return note_key(name)


@functools.cache
def county() -> tuple[TinyFederation, dict[str, Ledger]]:
    """A federation with one released round and one that collects, and its ledger at each stage."""
    federation = TinyFederation()
    stages: dict[str, Ledger] = {}

    def keep(name: str) -> None:
        stages[name] = copy.deepcopy(federation.ledger)

    keep("genesis")
    federation.join()
    keep("joined")
    round_id = federation.publish()
    keep("planned")
    federation.approve(round_id)
    keep("approved")
    for name in federation.nodes:
        federation.report(name, round_id)
    keep("reported")
    federation.fix_candidates(round_id)
    keep("fixed")
    for name in list(federation.auditors)[:3]:
        federation.check(name, round_id)
    keep("checked")
    federation.close(round_id)
    keep("closed")
    for name in list(federation.auditors)[:3]:
        federation.agree(name, round_id)
    keep("agreed")
    for name in list(federation.auditors)[:3]:
        federation.open_(name, round_id)
    keep("opened")
    federation.release(round_id)
    keep("released")
    return federation, stages


STAGES = (
    *("genesis", "joined", "planned", "approved", "reported"),
    *("fixed", "checked", "closed", "agreed", "opened", "released"),
)


def check_entry(data: bytes) -> Statement:
    """Check a statement as the next entry of a log: stage (1 byte), text, mark, body; signed as it needs."""
    federation, stages = county()
    ledger = stages[STAGES[(data[0] if data else 0) % len(STAGES)]]
    written, _, body = data[1:].partition(BODY_MARK)
    text = with_body(text_of(written) + "\n", body)
    with contextlib.suppress(CryptoError):
        return ledger.check(sign_entry(text, signers_of(federation, text)), body)
    return ledger.check(text_of(written).encode("utf-8", "replace"), body)


def verify_logged(data: bytes) -> Checkpoint:
    """Check a checkpoint against a copy of the log."""
    return county()[1]["released"].verify_checkpoint(data)


# ------------------------------------------------------------------ plan, results


@functools.cache
def real_plan(tiers: tuple[int, ...] = ()) -> tuple[Plan, bytes]:
    """A plan that follows all rules, as statement and body; with tiers it has a turnout ladder."""
    made = joined_county()
    round_log = made.ledger.rounds[made.publish_plan(replace(small_plan(), tiers=tiers))]
    return round_log.terms, round_log.plan.body


def read_published(data: bytes) -> tuple[Published, object]:
    """Read a published plan: its body, and after a mark the text of its statement, if it is a plan's."""
    body, mark, text = data.partition(BODY_MARK)
    statement: Any = real_plan()[0]
    if mark:
        with contextlib.suppress(StatementError):
            found = parse_statement(text_of(text))
            statement = found if isinstance(found, Plan) else statement
    published = read_published_plan(statement, body)
    return published, disagreement(statement, published)


def read_release(data: bytes) -> Release:
    """Read the body of a release with its plan."""
    parse_release_body(data)
    statement, body = real_plan()
    document = read_published_plan(statement, body).document
    tables: Any = canonical.parse_json(data)
    return read_release_tables(document, tables["tables"], release="ab" * 32, reports_in=6)


# ------------------------------------------------------------------ node, coordinator


def parse_floors(data: bytes) -> Floors:
    """Read a school's floors out of a command."""
    return parse_floor_values(frames.parse_object(data))


def read_csv(data: bytes) -> list[list[Cell]]:
    """Read a text file of separated values."""
    return read_text_table("roster", data)


def read_xlsx(data: bytes) -> list[Sheet]:
    """Read a workbook, old or new, or whatever else the bytes are."""
    return read_sheets("roster", data)


def read_sheet(data: bytes) -> list[Sheet]:
    """Read a workbook with this sheet; after a mark, its shared strings."""
    sheet, _, strings = data.partition(BODY_MARK)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**_plain_parts(), "xl/worksheets/sheet1.xml": sheet}.items():
            archive.writestr(name, content)
        if strings:
            archive.writestr("xl/sharedStrings.xml", strings)
    return read_xlsx(packed.getvalue())


@functools.cache
def _plain_parts() -> dict[str, bytes]:
    from fuzz.seeds import workbook

    with zipfile.ZipFile(io.BytesIO(workbook())) as archive:
        names = [name for name in archive.namelist() if "sheet1.xml" not in name and "sharedS" not in name]
        return {name: archive.read(name) for name in names if not name.startswith("docProps")}


def import_screening(data: bytes) -> ImportResult:
    """Import a wave: the platform's csv, and after a mark the roster's; never an error, only issues."""
    from fuzz.seeds import roster_csv

    screening, mark, roster = data.partition(BODY_MARK)
    files = {
        "screening": screening,
        "roster": roster if mark else roster_csv(),
        "profile": (EXAMPLES / "profiles/platform.toml").read_bytes(),
        "codebook": (EXAMPLES / "codebooks/mht.toml").read_bytes(),
    }
    context = ImportContext(bytes(32), "2026-2027", "A", dt.date(2026, 9, 30), "6-3", "require")
    return import_files(files, context)


@functools.cache
def _authority() -> Authority:
    return create_authority(FEDERATION, NOW, tls_key("ca"))


def issue_certificate(data: bytes) -> str:
    """Certify the key of a signing request in PEM."""
    pem = data.decode("utf-8", "replace")  # as in a request, which is JSON and so Unicode
    return issue_client(_authority(), pem, f"spiffe://{FEDERATION}/node/s1", 30, NOW)


def parse_sealed_log_file(data: bytes) -> LogFile:
    """Read a log file whose digest fits: whoever writes one can compute it."""
    return parse_log_file(data + hashlib.sha256(data).digest())


def unseal_log_file(file: LogFile) -> bytes:
    """Write a log file without its digest."""
    return encode_log_file(file)[:-32]


HAND_OVER_SCHOOL = key_pair(fake_bytes("fuzz school", sealing.ROUND_SECRET_BYTES), "第一中学", "李老师")
HAND_OVER_HEAD = b"{}"


def read_hand_over_body(data: bytes) -> hand_over_file.Body:
    """Read the content of a hand-over box that its sender signed as it is."""
    line = HAND_OVER_SCHOOL.signing.sign(hand_over_file._signed_text(HAND_OVER_HEAD, data))
    return hand_over_file._parse_plain(HAND_OVER_HEAD, canonical.encode_parts(data, line, b""))


def write_hand_over(parsed: tuple[hand_over_file.Header, bytes]) -> bytes:
    """Write a hand-over file from its header and its box."""
    header, box = parsed
    return hand_over_file.MAGIC + canonical.encode_parts(hand_over_file._encode_header(header), box)


def hand_over_samples() -> tuple[hand_over_file.Body, bytes, bytes]:
    """Give a body, the file that it makes, and the receipt of that file."""
    to = key_pair(fake_bytes("fuzz hospital", sealing.ROUND_SECRET_BYTES), "县人民医院", "王医生")
    created = NOW.replace(microsecond=0)
    header = hand_over_file.Header("0a" * 16, to.public.key_id, created, created + dt.timedelta(days=14))
    body = hand_over_file.Body(
        kind="referral",
        sender=HAND_OVER_SCHOOL.public,
        node="school-1",
        by="李老师",
        to=to.public.who,
        reason=hand_over_file.Reason("consent", created.date(), "同意"),
        fields={"name": "某某", "level1": "3 重点关注"},
        note="附言",
        token="1b" * 32,
    )
    file = hand_over_file.make_file(header, body, HAND_OVER_SCHOOL, to.public)
    opened = hand_over_file.open_file(file, to, created)
    return body, file, make_receipt(opened, to, "王医生", created)
