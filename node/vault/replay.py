"""Replay: make a report again from what is kept, and compare it with what went out.

An auditor runs it on the school's machine, inside the vault. It prints numbered checks and nothing else: no
count, no key, no pupil. Every check reads its inputs anew:

1.  ``journal``      the chain is whole and has this report's record
2.  ``plan``         the journaled plan is the round's, and its layout can be rebuilt
3.  ``master``       K is the one that the plan's roster commits to
4.  ``approvals``    the journaled approvals give the digest in the header
5.  ``records``      the stored rows are those of the journal
6.  ``tables``       counted again, with this node's roster attributes, the rows give the journaled counts
7.  ``vector``       noise and masks drawn again give the vector in the header
8.  ``seeds``        the seed commitments are the header's
9.  ``input``        the input commitment is the header's
10. ``bytes``        the stored vector and boxes are those that the header names
11. ``header``       put together again, the header is the same text, signed by this node's key
12. ``log``          exactly this header stands in the log, below a cosigned checkpoint

A check that could not be made is SKIPPED, and the outcome is PASS only if all twelve passed.
Spec: docs/protocol.md "Node: from table to report".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crypto.canonical import decode_base64, parse_json
from crypto.derivation import approvals_digest, encode_measurement
from crypto.errors import CryptoError
from crypto.note import Note, parse_note, verified_by
from node.vault.derive import Derived, Recipe, derive
from node.vault.enrol import MAX_ROLLS, Identity
from node.vault.errors import ReplayError, VaultError, _
from node.vault.journal import JournalRecord
from node.vault.parts import Parts
from node.vault.published import read_plan
from node.vault.records import read_records, read_set
from node.vault.release import build_header
from node.vault.reports import StoredReport, find_logged, payload_of, reports_of
from node.vault.retention import deleted_on
from node.vault.tabulate import count_records
from plan.published import Published
from plan.tabulation import scaled
from protos.errors import ProtocolError
from protos.report_payload import note_of, parse_payload, verify_contents
from protos.statements import Plan, Report, digest, encode_statement, parse_statement

T = TypeVar("T")
PASS, FAIL, SKIPPED = "PASS", "FAIL", "SKIPPED"


@dataclass(frozen=True, slots=True)
class ReplayCheck:
    """One numbered check and how it came out: PASS, FAIL or SKIPPED."""

    number: int
    name: str
    result: str


@dataclass(frozen=True, slots=True)
class Replay:
    """The whole replay: PASS only if every check passed; FAIL if one failed; else SKIPPED."""

    node: str
    round_id: bytes
    attempt: int
    report: bytes
    checks: tuple[ReplayCheck, ...]

    @property
    def outcome(self) -> str:
        """Sum up."""
        results = {check.result for check in self.checks}
        if FAIL in results:
            return FAIL
        return PASS if results == {PASS} else SKIPPED


class _SkippedError(Exception):
    """An input of a check is missing because an earlier check failed, or is not there yet."""


@dataclass(slots=True)
class _Evidence:
    """What the checks gather on their way; a missing piece skips those that need it."""

    parts: Parts
    stored: StoredReport
    journal: dict[str, Any] | None = None
    header: Report | None = None
    text: str = ""
    terms: Plan | None = None
    published: Published | None = None
    counts: NDArray[np.int64] | None = field(default=None, repr=False)
    derived: Derived | None = field(default=None, repr=False)


def replay_report(parts: Parts, round_id: bytes, attempt: int) -> Replay:
    """Make one of this node's reports again and compare.

    Raises:
        ReplayError: this node has no such report, or retention has deleted what a replay needs
            (``records-gone``): that is no FAIL.
    """
    stored = next((row for row in reports_of(parts.store, round_id) if row.attempt == attempt), None)
    if stored is None:
        raise ReplayError(
            _("this node has no report of round %(round)s…, attempt %(attempt)d"),
            _("See 'fedscreen node status' for the reports that it has."),
            code="no-report",
            details={"round": round_id.hex()[:16], "attempt": attempt},
        )
    if deleted_on(parts, stored):
        raise ReplayError(
            _("what this report was made from was deleted when its time of keeping was over"),
            _("The audit that covers it was filed before: see 'fedscreen node retention'."),
            code="records-gone",
        )
    evidence = _Evidence(parts, stored)
    checks = tuple(
        ReplayCheck(number, name, _run(check, evidence)) for number, (name, check) in enumerate(_CHECKS, 1)
    )
    return Replay(parts.identity.node, round_id, attempt, stored.digest, checks)


def _run(check: Callable[[_Evidence], bool], evidence: _Evidence) -> str:
    try:
        return PASS if check(evidence) else FAIL
    except _SkippedError:
        return SKIPPED
    except (VaultError, CryptoError, ProtocolError, KeyError, TypeError, ValueError):
        return FAIL


def _check_journal(evidence: _Evidence) -> bool:
    found: JournalRecord | None = None
    journal = evidence.parts.journal
    for seq, record in enumerate(journal.verify(), journal.first):
        if seq == evidence.stored.journal_seq:
            found = record
    if found is None or found.kind != "report" or found.target != evidence.stored.round_id.hex():
        return False
    data = found.data
    if not isinstance(data, dict) or data["attempt"] != evidence.stored.attempt:
        return False
    header = parse_statement(str(data["header"]))
    if not isinstance(header, Report) or digest(str(data["header"])) != evidence.stored.digest:
        return False
    evidence.journal, evidence.header, evidence.text = dict(data), header, str(data["header"])
    return True


def _check_plan(evidence: _Evidence) -> bool:
    journal = _require(evidence.journal)
    text = str(journal["plan"])
    terms = parse_statement(text)
    if digest(text) != evidence.stored.round_id or not isinstance(terms, Plan):
        return False
    body = decode_base64(str(journal["plan_body"]))
    parse_json(body)
    evidence.published = read_plan(terms, body)
    evidence.terms = terms
    return True


def _check_master(evidence: _Evidence) -> bool:
    journal, identity = _require(evidence.journal), evidence.parts.identity
    if journal["master"] != identity.commitment.hex():
        return False
    round_log = evidence.parts.mirror.ledger.rounds.get(evidence.stored.round_id)
    own = round_log.roster.node(identity.node) if round_log else None
    if own is None:
        raise _SkippedError
    return own.master == identity.commitment


def _check_approvals(evidence: _Evidence) -> bool:
    texts = _require(evidence.journal)["approvals"]
    return approvals_digest([str(text) for text in texts]) == _require(evidence.header).approvals


def _check_records(evidence: _Evidence) -> bool:
    journal, store = _require(evidence.journal), evidence.parts.store
    record_set = read_set(store, evidence.stored.set_id)
    read_records(store, record_set)
    return bool(record_set.digest.hex() == journal["rows"])


def _check_tables(evidence: _Evidence) -> bool:
    journal, store = _require(evidence.journal), evidence.parts.store
    published = _require(evidence.published)
    attributes = {str(name): str(value) for name, value in dict(journal.get("attributes", {})).items()}
    round_log = evidence.parts.mirror.ledger.rounds.get(evidence.stored.round_id)
    own = round_log.roster.node(evidence.parts.identity.node) if round_log else None
    if own is not None and not attributes.items() <= dict(own.attributes).items():
        return False
    records = read_records(store, read_set(store, evidence.stored.set_id))
    counts = count_records(published, records, attributes)
    evidence.counts = counts
    return encode_measurement(counts) == decode_base64(str(journal["counts"]))


def _check_vector(evidence: _Evidence) -> bool:
    header, recipe = _require(evidence.header), _recipe(evidence)
    x = scaled(recipe.layout, _require(evidence.counts))
    rows_digest = bytes.fromhex(str(_require(evidence.journal)["rows"]))
    master = evidence.parts.identity.master
    evidence.derived = derive(recipe, master, x, header.attempt, rows_digest)
    return evidence.derived.vector_digest == header.vector


def _check_seeds(evidence: _Evidence) -> bool:
    return _require(evidence.derived).commitments == _require(evidence.header).seeds


def _check_input(evidence: _Evidence) -> bool:
    return _require(evidence.derived).input == _require(evidence.header).input


def _check_bytes(evidence: _Evidence) -> bool:
    header, terms = _require(evidence.header), _require(evidence.terms)
    data = payload_of(evidence.parts.store, evidence.stored)
    num_boxes = len(terms.auditors)
    box_bytes = (header.size - 8 * terms.num_elements) // num_boxes
    payload = parse_payload(data, terms.num_elements, box_bytes, num_boxes)
    verify_contents(payload, header, terms.num_vectors)
    return payload.vector == _require(evidence.derived).vector


def _check_header(evidence: _Evidence) -> bool:
    header = _require(evidence.header)
    again = build_header(
        _recipe(evidence),
        _require(evidence.derived),
        attempt=header.attempt,
        boxes=header.boxes,
        software=header.software,
        confinement=header.confinement,
        previous=header.previous,
        size=header.size,
    )
    note = parse_note(note_of(payload_of(evidence.parts.store, evidence.stored)))
    is_same = encode_statement(again) == evidence.text == note.text
    return is_same and _is_signed(evidence.parts.identity, note)


def _is_signed(identity: Identity, note: Note) -> bool:
    """Whether one of this node's report keys has signed a header, and nobody else."""
    own = (identity.report_key_at(number).verifier for number in range(MAX_ROLLS + 1))
    return len(note.signatures) == 1 and any(verified_by(note, [key]) == (key,) for key in own)


def _check_log(evidence: _Evidence) -> bool:
    parts = evidence.parts
    logged = find_logged(parts.mirror, evidence.stored, parts.identity.node)
    if logged is None or logged.index >= parts.mirror.trusted_size:
        round_log = parts.mirror.ledger.rounds.get(evidence.stored.round_id)
        if round_log and (parts.identity.node, evidence.stored.attempt) in round_log.reports and not logged:
            return False
        raise _SkippedError
    return logged.text == _require(evidence.text)


_CHECKS: tuple[tuple[str, Callable[[_Evidence], bool]], ...] = (
    ("journal", _check_journal),
    ("plan", _check_plan),
    ("master", _check_master),
    ("approvals", _check_approvals),
    ("records", _check_records),
    ("tables", _check_tables),
    ("vector", _check_vector),
    ("seeds", _check_seeds),
    ("input", _check_input),
    ("bytes", _check_bytes),
    ("header", _check_header),
    ("log", _check_log),
)


def _recipe(evidence: _Evidence) -> Recipe:
    texts = [str(text) for text in _require(evidence.journal)["approvals"]]
    return Recipe(
        node=evidence.parts.identity.node,
        round_id=evidence.stored.round_id,
        terms=_require(evidence.terms),
        approvals=approvals_digest(texts),
        layout=_require(evidence.published).layout,
    )


def _require(value: T | None) -> T:
    if value is None or (isinstance(value, str) and not value):
        raise _SkippedError
    return value
