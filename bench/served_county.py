"""A county for measurements: a coordinator's folder with many schools and one round, and its server process.

Genesis roster, plan and approvals are real, signed entries, written straight into the folder:
enrolling ten thousand schools one by one is not what is measured. Everything that is measured
afterwards is the product's own, in processes of its own: `coordinator.serve.serve` over mutual TLS
on 127.0.0.1. Keys follow from labels, so that every process can make them; nothing here is secret.

Run as a program it is that server: ``python bench/served_county.py FOLDER [no-fsync]``.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from numpy.typing import NDArray

from coordinator import backend_sqlite, ca
from coordinator.config import Config
from coordinator.desk import Desk
from coordinator.home import Home, create_home
from coordinator.log_book import CARD, LogBook, sign_entry
from coordinator.publish_plan import publish_plan
from coordinator.serve import serve, stop_on_signals
from coordinator.store import write_meta
from crypto import derivation
from crypto.field64 import encode_vector
from crypto.note import KeyType, Note, SigningKey, encode_note, parse_signature_line
from crypto.replication import subsets
from crypto.sealing import ROUND_SECRET_BYTES, round_public_key, seal
from crypto.sharing import mask_vector
from plan.document import PlanDocument, parse_plan_toml
from protos.bodies import RosterAuditor, RosterBody, RosterNode, encode_roster_body, key_name
from protos.card import CardAuditor, FederationCard, encode_card
from protos.fields import ZERO_DIGEST
from protos.ledger import Ledger
from protos.report_payload import ReportPayload, encode_payload
from protos.round_log import RoundLog
from protos.statements import Approval, Report, Roster, body_ref, digest, encode_statement

FEDERATION = "bench-county"
AUDITORS = ("a1", "a2", "a3", "a4")
TUPLE = (4, 3, 1, 3)
QUORUM = 3
_PLAN_HEAD = """format = "fedscreen/plan/v1"
id = "bench"
title = "量程"
purpose = "量程"
recipients = ["县教育局"]
legal_basis = "教思政厅函〔2021〕10号"
consent = "require"
release_class = "internal"
wave = "A"
school_year = "2026-2027"
census_date = 2026-09-30
neighbouring = "replace-one"
grades = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]
systems = ["6-3"]
critical_items = "off"
rho = "1/5"
[window]
opens = {opens}
closes = {closes}
[trust]
auditors = 4
threshold = 3
collude = 1
quorum = 3
min_reports = 5
colluding_schools = 1
min_group = 5
[floors]
display = 11
denominator = 30
[[instruments]]
id = "mht"
digest = ""
total = [0, 90]
factors = []
"""
_PLAN_TABLE = """[[tables]]
id = "B{place}"
title = "表 {place}"
dims = [{dims}]
{where}
"""
_TABLES: Mapping[int, tuple[str, ...]] = {
    1_010: ("grade sex boarding disposition", "band family", "grade disposition"),
    10_000: (
        "grade sex boarding family level",
        "grade sex left_behind family level",
        "grade sex boarding left_behind level",
        "grade sex migrant level",
        "stage band family found_by",
        "band family found_by",
    ),
}


def label_bytes(label: str, size: int = 32) -> bytes:
    """Make bytes from a label: distinct, repeatable, not secret."""
    return hashlib.shake_256(label.encode()).digest(size)


def node_name(place: int) -> str:
    """Id of a school."""
    return f"s{place:06}"


@cache
def signing_key(*parts: str) -> SigningKey:
    """A party's Ed25519 key, e.g. of ``node``, ``s000001``."""
    key_type = KeyType.COSIGNATURE if parts[0] == "witness" else KeyType.ED25519
    name = key_name(FEDERATION, *parts)
    return SigningKey(name, key_type, label_bytes(name))


def plan_of(cells: int, now: datetime) -> PlanDocument:
    """A plan of 1,010 or 10,000 cells whose window is open."""
    head = _PLAN_HEAD.format(
        opens=(now - timedelta(days=1)).isoformat(timespec="seconds"),
        closes=(now + timedelta(days=30)).isoformat(timespec="seconds"),
    )
    tables = [
        _PLAN_TABLE.format(
            place=place,
            dims=", ".join(f'"{name}"' for name in dims.split()),
            where="" if "disposition" in dims else "where = { disposition = [1, 2] }",
        )
        for place, dims in enumerate(_TABLES[cells])
    ]
    return parse_plan_toml((head + "".join(tables)).encode())


def make_county(
    folder: Path,
    num_nodes: int,
    cells: int,
    *,
    is_approved: bool = True,
    tick_s: float = 3600.0,
    database: str = "",
) -> bytes:
    """Make a coordinator's folder with its genesis roster and one round; return the round id.

    Its database is a SQLite file, or the empty PostgreSQL database named.
    """
    now = datetime.now(UTC)
    config = Config(
        federation=FEDERATION,
        kind="demo",
        tick_s=tick_s,
        check_grace_s=0.0,
        open_grace_s=0.0,
        database=database,
    )
    home = create_home(folder, config, now, os.urandom)
    store = home.open_store()
    try:
        book = LogBook(store, home.log_key, lambda: datetime.now(UTC))
        _log_genesis(book, home, num_nodes)
        round_id = publish_plan(book, home, plan_of(cells, now), AUDITORS)
        if is_approved:
            _log_approvals(book, round_id)
    finally:
        store.close()
    return round_id


def _log_genesis(book: LogBook, home: Home, num_nodes: int) -> None:
    body = RosterBody(
        log=home.log_key.verifier,
        coordinator=home.statement_key.verifier,
        ca=home.authority.fingerprint,
        auditors=tuple(
            RosterAuditor(
                name,
                f"operator {name}",
                signing_key("auditor", name).verifier,
                signing_key("witness", name).verifier,
                is_outside=False,
            )
            for name in AUDITORS
        ),
        nodes=tuple(_roster_node(node_name(place)) for place in range(num_nodes)),
        tuples=(TUPLE,),
    )
    data = encode_roster_body(body)
    roster = Roster(FEDERATION, 1, ZERO_DIGEST, "demo", QUORUM, body_ref(data))
    text = encode_statement(roster)
    card = FederationCard(
        federation=FEDERATION,
        kind="demo",
        log=body.log,
        coordinator=body.coordinator,
        ca=body.ca,
        genesis=digest(text),
        quorum=QUORUM,
        auditors=tuple(CardAuditor(row.id, row.statement, row.cosigner) for row in body.auditors),
        tuples=body.tuples,
    )
    keys = (home.statement_key, *(signing_key("auditor", name) for name in AUDITORS))
    entry = encode_note(Note(text, tuple(parse_signature_line(key.sign(text)) for key in keys)))
    with book.writing("genesis") as view:
        write_meta(view.connection, CARD, encode_card(card))
        view.begin(Ledger(card))
        view.append(entry, data)


def _roster_node(name: str) -> RosterNode:
    master = derivation.master_commitment(name, label_bytes(f"master {name}"))
    return RosterNode(name, f"school {name}", signing_key("node", name).verifier, master, (), ())


def _log_approvals(book: LogBook, round_id: bytes) -> None:
    with book.writing("approvals") as view:
        for name in AUDITORS:
            approval = Approval(
                federation=FEDERATION,
                round=round_id,
                roster=view.round(round_id).roster_digest,
                auditor=name,
                instance=label_bytes(f"instance {name}", 16),
                round_key=round_public_key(round_secret(name)),
                nonce=label_bytes(f"nonce {name}"),
                draw=derivation.draw_commitment(label_bytes(f"draw {name}")),
            )
            view.append(sign_entry(encode_statement(approval), signing_key("auditor", name)), b"")


def round_secret(auditor: str) -> bytes:
    """The HPKE secret that stands behind `make_county`'s approvals."""
    return label_bytes(f"round key {auditor}", ROUND_SECRET_BYTES)


def make_report(
    round_log: RoundLog,
    name: str,
    attempt: int = 0,
    previous: bytes = ZERO_DIGEST,
    values: NDArray[np.int64] | None = None,
) -> bytes:
    """Make a school's whole report as its vault does: mask, commit, seal, sign. No noise, counts of zero.

    `values` are what it masks instead of zeros.
    """
    terms, n, t = round_log.terms, round_log.num_auditors, round_log.terms.threshold
    label = f"{name} {attempt} {round_log.round_id.hex()}"
    seeds = {subset: label_bytes(f"seed {subset} {label}") for subset in subsets(n, t)}
    counts = np.zeros(terms.cells, np.int64) if values is None else values
    vector = encode_vector(mask_vector(counts, seeds, round_log.round_id, n, t))
    commitments = tuple(
        (subset, derivation.seed_commitment(round_log.round_id, name, attempt, subset, seed))
        for subset, seed in seeds.items()
    )
    y_digest, all_commitments = hashlib.sha256(vector).digest(), [value for _, value in commitments]
    boxes = []
    for auditor in terms.auditors:
        key = round_log.approvals[auditor].statement.round_key
        info = derivation.box_info(
            round_log.round_id,
            name,
            attempt,
            auditor,
            key,
            y_digest,
            derivation.commitments_digest(all_commitments),
        )
        mine = [seeds[subset] for subset in round_log.subsets_of(auditor)]
        boxes.append(seal(key, derivation.box_plaintext(mine), info))
    report = Report(
        federation=FEDERATION,
        round=round_log.round_id,
        roster=round_log.roster_digest,
        approvals=round_log.approvals_digest(),
        node=name,
        attempt=attempt,
        cells=terms.cells,
        vector=y_digest,
        seeds=commitments,
        boxes=tuple(
            (auditor, hashlib.sha256(box).digest())
            for auditor, box in zip(terms.auditors, boxes, strict=True)
        ),
        input=label_bytes(f"input {label}"),
        software=label_bytes("software"),
        confinement="L3",
        previous=previous,
        size=len(vector) + sum(map(len, boxes)),
    )
    header = sign_entry(encode_statement(report), signing_key("node", name))
    return encode_payload(ReportPayload(header, vector, tuple(boxes)))


def client_credentials(
    home: Home, role: str, name: str, key: ec.EllipticCurvePrivateKey
) -> tuple[bytes, bytes]:
    """Certify a TLS key for one party; return (key PEM, certificate PEM)."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    csr_pem = request.public_bytes(serialization.Encoding.PEM).decode()
    uri = ca.uri_of(FEDERATION, role, name)
    return ca.key_pem(key), ca.issue_client(home.authority, csr_pem, uri, 30, datetime.now(UTC)).encode()


def main(folder: str, *words: str) -> int:
    """Serve a folder until SIGTERM; the first line printed is the port."""
    if "no-fsync" in words:
        leave_out_fsync()
    desk = Desk(Path(folder))
    stop = threading.Event()
    stop_on_signals(stop)
    try:
        serve(desk, "127.0.0.1:0", stop, lambda port: print(port, flush=True))
    finally:
        desk.close()
    return 0


def leave_out_fsync() -> None:
    """Open every database of this process with ``synchronous=OFF``, to see what the disk costs."""
    configure = backend_sqlite.configure

    def configure_without(connection: sqlite3.Connection, _record: object) -> None:
        configure(connection, _record)
        connection.execute("PRAGMA synchronous=OFF").close()

    backend_sqlite.configure = configure_without


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
