"""Write round.json: one whole round of a small federation, from six schools' counts to the released integers.

    python tests/vectors/regenerate_round.py [--check]

Seven reports (school s2 sends twice, s6 seals one box under another info), four auditors of whom three
answer. Every key and secret is the SHAKE-256 of a label. Sealed boxes are random, so those of the existing
file are kept as long as they still open.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).parents[level]) for level in (2, 1, 0)]

from fakes_federation import TinyFederation, fake_bytes  # noqa: E402
from vector_files import load, made_by, main  # noqa: E402

from crypto import derivation  # noqa: E402
from crypto.canonical import decode_base64, encode_base64  # noqa: E402
from crypto.errors import OpenError  # noqa: E402
from crypto.field64 import encode_vector, parse_vector  # noqa: E402
from crypto.merkle import inclusion_proof  # noqa: E402
from crypto.note import Note, encode_note, parse_signature_line  # noqa: E402
from crypto.replication import subsets_with  # noqa: E402
from crypto.sealing import open_box, seal  # noqa: E402
from crypto.sharing import unmask  # noqa: E402
from crypto.tier_sum import TierSum  # noqa: E402
from crypto.tlog_proof import TlogProof, encode_proof  # noqa: E402
from node.vault.derive import Derived, Recipe, derive  # noqa: E402
from node.vault.release import build_header  # noqa: E402
from plan.document import encode_body, parse_plan_toml  # noqa: E402
from plan.layout import Layout, build_layout  # noqa: E402
from plan.published import noise_rows, step_rows  # noqa: E402
from plan.tabulation import scaled  # noqa: E402
from protos.bodies import Refusal, TableSums, encode_release_body  # noqa: E402
from protos.report_payload import ReportPayload, encode_payload  # noqa: E402
from protos.statements import body_ref, encode_statement  # noqa: E402

NAME = "round.json"
PLAN = """
format = "fedscreen/plan/v1"
id = "vectors"
title = "测试向量"
purpose = "测试"
recipients = ["县教育局"]
legal_basis = "测试"
consent = "record-only"
wave = "A"
school_year = "2026-2027"
census_date = 2026-09-05
grades = ["7", "8"]
systems = ["6-3"]
rho = "1/5"
[window]
opens = 2026-09-01T00:00:00Z
closes = 2026-10-31T00:00:00Z
[trust]
auditors = 4
threshold = 3
collude = 1
quorum = 3
min_reports = 5
colluding_schools = 1
min_group = 5
[[instruments]]
id = "mht"
digest = "%(codebook)s"
total = [0, 90]
factors = [["learning", "学习焦虑"]]
[[tables]]
id = "A1"
title = "年级与性别"
dims = ["grade", "sex"]
[[tables]]
id = "A2"
title = "测评情况"
dims = ["disposition"]
"""
SOFTWARE = hashlib.sha256(b"software").digest()
OPENERS = ("a1", "a2", "a3")
GARBLED = ("s6", 0, "a2")  # this box is sealed as if for attempt 3


@dataclass
class MadeReport:
    """One school's report with everything that it was made from."""

    node: str
    attempt: int
    counts: NDArray[np.int64]
    rows_digest: bytes
    recipe: Recipe
    derived: Derived
    boxes: tuple[bytes, ...]
    note: bytes
    digest: bytes
    previous: bytes

    @property
    def payload(self) -> bytes:
        """The report as it travels."""
        return encode_payload(ReportPayload(self.note, self.derived.vector, self.boxes))


class WholeRound:
    """The round: federation, plan and layout, the reports in log order, mask sums and result."""

    name = NAME
    plan = PLAN
    garbled: tuple[str, int, str] | None = GARBLED
    order: tuple[tuple[str, int], ...] = (
        ("s1", 0),
        ("s2", 0),
        ("s3", 0),
        ("s6", 0),
        ("s5", 0),
        ("s2", 1),
        ("s4", 0),
    )

    def __init__(self) -> None:
        """Play the round from genesis to release; every statement is checked by the ledger."""
        self.federation = TinyFederation(federation="county-demo", kind="demo")
        self.kept = {(row["node"], row["attempt"]): row for row in load(self.name).get("reports", [])}
        plan = parse_plan_toml((self.plan % {"codebook": fake_bytes("codebook").hex()}).encode())
        self.layout: Layout = build_layout(plan)
        self.federation.join()
        self.round_id = self.federation.publish(
            encode_body(plan),
            self.layout.cells,
            noise_rows(self.layout),
            min_group=plan.min_group,
            tiers=plan.tiers,
            steps=step_rows(self.layout),
        )
        self.federation.approve(self.round_id)
        self.terms = self.federation.round(self.round_id).terms
        self.reports = [self._report(node, attempt) for node, attempt in self.order]
        self._agree()
        self.sums = {name: self._sums(name) for name in OPENERS}
        self.result = self._open()

    def _counts(self, node: str, attempt: int) -> NDArray[np.int64]:
        number = 10 * int(node[1:]) + attempt
        return np.array([(7 * cell + number) % 23 for cell in range(self.layout.cells)], dtype=np.int64)

    def _report(self, node: str, attempt: int) -> MadeReport:
        federation, round_log = self.federation, self.federation.round(self.round_id)
        counts, rows = self._counts(node, attempt), fake_bytes(f"rows {node} {attempt}")
        recipe = Recipe(node, self.round_id, self.terms, round_log.approvals_digest(), self.layout)
        x = scaled(self.layout, counts)
        derived = derive(recipe, federation.nodes[node].master, x, attempt, rows)
        boxes = self._boxes(node, attempt, derived)
        previous = federation.ledger.last_report.get(node, bytes(32))
        header = build_header(
            recipe,
            derived,
            attempt=attempt,
            boxes=tuple(
                (name, hashlib.sha256(box).digest())
                for name, box in zip(self.terms.auditors, boxes, strict=True)
            ),
            software=SOFTWARE,
            confinement="L3",
            previous=previous,
            size=len(derived.vector) + sum(map(len, boxes)),
        )
        text, key = encode_statement(header), federation.nodes[node].key(federation.federation)
        note = encode_note(Note(text, (parse_signature_line(key.sign(text)),)))
        digest = federation.add(header, b"", [key])
        return MadeReport(node, attempt, counts, rows, recipe, derived, boxes, note, digest, previous)

    def _boxes(self, node: str, attempt: int, derived: Derived) -> tuple[bytes, ...]:
        kept = self.kept.get((node, attempt), {}).get("boxes", [])
        return tuple(
            self._box(node, attempt, place, name, derived, kept)
            for place, name in enumerate(self.terms.auditors)
        )

    def _box(
        self, node: str, attempt: int, place: int, auditor: str, derived: Derived, kept: list[str]
    ) -> bytes:
        bound = 3 if (node, attempt, auditor) == self.garbled else attempt
        info = self.box_info(node, bound, auditor, derived)
        plaintext = derivation.box_plaintext([derived.seeds[a] for a in subsets_with(place, 4, 3)])
        try:
            if kept:
                box = decode_base64(kept[place])
                if open_box(self.federation.round_secret_of(auditor, self.round_id), box, info) == plaintext:
                    return box
        except OpenError:
            pass
        return seal(self.round_key(auditor), plaintext, info)

    def round_key(self, auditor: str) -> bytes:
        """The public half of an auditor's round key."""
        return self.federation.round(self.round_id).approvals[auditor].statement.round_key

    def box_info(self, node: str, attempt: int, auditor: str, derived: Derived) -> bytes:
        """The HPKE info of one box."""
        commitments = derivation.commitments_digest([value for _, value in derived.commitments])
        return derivation.box_info(
            self.round_id, node, attempt, auditor, self.round_key(auditor), derived.vector_digest, commitments
        )

    def _agree(self) -> None:
        federation, round_id = self.federation, self.round_id
        federation.fix_candidates(round_id)
        names = federation.round(round_id).candidate_names()
        node, _, witness = self.garbled or ("", 0, "")
        refused = tuple(Refusal(name, "box-unopenable") for name in names if name.node == node)
        for auditor in OPENERS:
            federation.check(auditor, round_id, refused if auditor == witness else ())
        federation.close(round_id, OPENERS)
        for auditor in OPENERS:
            federation.agree(auditor, round_id)

    @property
    def in_set(self) -> list[MadeReport]:
        """The reports of S, in its order."""
        body = self.federation.round(self.round_id).close_body()
        by_digest = {report.digest: report for report in self.reports}
        return [by_digest[name.digest] for name in body.set] if body else []

    def _sums(self, auditor: str) -> dict[int, bytes]:
        sums = {}
        for subset in subsets_with(self.terms.auditors.index(auditor), 4, 3):
            acc = TierSum(self.layout.cells, self.tier)
            acc.add_masks(
                subset, [report.derived.seeds[subset] for report in self.in_set], self.round_id, 4, 3
            )
            sums[subset] = encode_vector(acc.value())
        return sums

    @property
    def tier(self) -> int:
        """Of the close."""
        close = self.federation.round(self.round_id).close
        return close.statement.tier if close else 0

    def _open(self) -> NDArray[np.int64]:
        federation, cells = self.federation, self.layout.cells
        for auditor, sums in self.sums.items():
            digests = {subset: hashlib.sha256(data).digest() for subset, data in sums.items()}
            statement = federation.opening_statement(auditor, self.round_id, digests)
            federation.add(statement, b"", [federation.auditors[auditor]])
        total = TierSum(cells, self.tier)
        for report in self.in_set:
            elements = parse_vector(report.derived.vector, self.terms.num_elements)
            total.add_report(elements[: total.num_elements])
        masks = {subset: data for sums in self.sums.values() for subset, data in sums.items()}
        result = unmask(total.value(), [parse_vector(data, cells) for data in masks.values()])
        self._release(result)
        return result

    def _release(self, result: NDArray[np.int64]) -> None:
        tables = [
            TableSums(
                table.id,
                table.noise.scale,
                table.noise.left_at(self.tier),
                tuple(result[table.offset : table.end].tolist()),
            )
            for table in self.layout.tables
        ]
        body = encode_release_body(tables)
        statement, _ = self.federation.release_statement(
            self.round_id, OPENERS, body=body_ref(body), reports_out=int(self.garbled is not None)
        )
        self.federation.add(statement, body, [self.federation.coordinator])

    def receipt(self) -> bytes:
        """The final receipt of the first report: under the checkpoint of the whole log, cosigned."""
        ledger = self.federation.ledger
        index = ledger.entries_digest[self.reports[0].digest]
        note = self.federation.checkpoint(OPENERS)
        return encode_proof(TlogProof(index, inclusion_proof(ledger.leaves, index, ledger.size), note))


def report_value(made: MadeReport, whole: WholeRound) -> dict[str, Any]:
    """A report's inputs and every value on the way to its bytes."""
    federation, derived = whole.federation, made.derived
    scale = np.repeat([t.noise.scale for t in whole.layout.tables], [t.cells for t in whole.layout.tables])
    secret = derivation.report_secret(
        made.recipe.round_secret(federation.nodes[made.node].master), made.attempt, derived.tag
    )
    tables = whole.layout.tables
    return {
        "node": made.node,
        "attempt": made.attempt,
        "master": federation.nodes[made.node].master.hex(),
        "report_key_seed": federation.nodes[made.node].key(federation.federation).seed.hex(),
        "counts": {table.id: made.counts[table.offset : table.end].tolist() for table in tables},
        "rows_digest": made.rows_digest.hex(),
        "software": SOFTWARE.hex(),
        "confinement": "L3",
        "previous": made.previous.hex(),
        "x": (made.counts * scale).tolist(),
        "report_secret": secret.hex(),
        "noise_keys": noise_keys(whole.layout, secret),
        "seeds": {str(subset): seed.hex() for subset, seed in derived.seeds.items()},
        "y": derived.vector.hex(),
        "boxes": [encode_base64(box) for box in made.boxes],
        "note": made.note.decode(),
    }


def noise_keys(layout: Layout, secret: bytes) -> list[Any]:
    """The sampler's key of each table; with a ladder a list of them, of z_0 and of each step."""
    tables, steps = range(len(layout.tables)), range(layout.num_vectors)
    if not layout.tiers:
        return [derivation.noise_key(secret, j).hex() for j in tables]
    return [[derivation.tier_key(secret, k, j).hex() for k in steps] for j in tables]


def round_value() -> dict[str, Any]:
    """The whole file."""
    return value_of(WholeRound(), "regenerate_round.py")


def value_of(whole: WholeRound, script: str) -> dict[str, Any]:
    """Everything of a round that a reader needs to repeat it."""
    federation = whole.federation
    return {
        "source": made_by(script),
        "federation": federation.federation,
        "card": federation.card_text,
        "round_id": whole.round_id.hex(),
        "auditors": list(whole.terms.auditors),
        "round_secrets": {
            name: federation.round_secret_of(name, whole.round_id).hex() for name in whole.terms.auditors
        },
        "statement_key_seeds": {
            key.name: key.seed.hex() for key in (federation.coordinator, *federation.auditors.values())
        },
        "entries": [{"entry": entry.decode(), "body": body.decode()} for entry, body in federation.entries],
        "cells": [
            {"table": table.id, "dims": list(table.dims), "codes": [list(codes) for codes in table.codes]}
            for table in whole.layout.tables
        ],
        "reports": [report_value(report, whole) for report in whole.reports],
        "payload_sha256": [hashlib.sha256(report.payload).hexdigest() for report in whole.reports],
        "set": [report.node for report in whole.in_set],
        "mask_sums": {
            auditor: {str(subset): data.hex() for subset, data in sums.items()}
            for auditor, sums in whole.sums.items()
        },
        "result": whole.result.tolist(),
        "counted": np.sum([np.array(report.counts) for report in whole.in_set], axis=0).tolist(),
        "checkpoint": federation.checkpoint(OPENERS).decode(),
        "receipt_of_first_report": whole.receipt().decode(),
    }


FILES = {NAME: round_value}

if __name__ == "__main__":
    sys.exit(main(FILES, sys.argv[1:]))
