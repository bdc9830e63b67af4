"""Release of a round: the only way by which anything made from records leaves the vault.

Order; every step is idempotent, and a crash at any durable write is finished by running it again:

1. ``check_round``: everything that may refuse the round, before anything is written.
2. One transaction: count, decide the attempt, check the account, **write the charge**, journal it.
3. One transaction: count and decide again under the lock (another process may have been faster), then draw
   the noise, mask, seal, sign the header, **journal, store the bytes**. Only what is stored is ever sent.

One charge a round, one vector an attempt: the noise is a function of (K, round, attempt, x), and the boxes,
which are not (HPKE draws an encapsulation), exist once, in the store. A retry sends the stored bytes. A new
attempt (0 to 3) is made only if x differs from the newest one, only while no report of this node is on its
way, and only before the candidates.

Spec: docs/protocol.md "Node: from table to report"; privacy.md "The account".
Proof note: docs/proofs/account.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import cryptography.hazmat.backends.openssl.backend  # sealing would load it on first use

from crypto import derivation
from crypto.canonical import JsonInput, encode_base64
from crypto.note import Note, SigningKey, encode_note, parse_signature_line
from crypto.replication import subsets_with
from crypto.sealing import seal
from node.vault.check_round import CheckedRound, check_round
from node.vault.derive import Derived, Recipe, derive, tag_of
from node.vault.enrol import load_floors
from node.vault.errors import AttemptError, CommandError, RecordsError, _
from node.vault.journal import TIME_FORMAT, JournalRecord
from node.vault.parts import Parts
from node.vault.reports import (
    ReportState,
    StoredReport,
    add_report,
    payload_of,
    reports_of,
    state_of,
    waiting_report,
)
from node.vault.tabulate import ExactTables, count_round
from plan.attributes import own_codes
from plan.published import Published
from protos.fields import ZERO_DIGEST
from protos.ledger import RoundLog
from protos.report_payload import ReportPayload, encode_payload
from protos.statements import MAX_ATTEMPT, Report, digest, encode_statement

MAX_NAME = 100
_NEEDED_BEHIND_THE_WALL = (cryptography.hazmat.backends.openssl.backend,)


@dataclass(frozen=True, slots=True)
class Released:
    """What a release did: the stored report, and whether it was made just now."""

    report: StoredReport
    is_new: bool
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class _Draft:
    """A report that may be made: its attempt, its tables, and what the header must name."""

    attempt: int
    exact: ExactTables = field(repr=False)
    recipe: Recipe
    previous: bytes


def release_round(parts: Parts, round_id: bytes, by: str, *, records: str = "") -> Released:
    """Release this node's report of a round; the same tables again give the stored report.

    Args:
        parts: the open vault.
        round_id: which round.
        by: the person who releases; kept in the journal, never sent.
        records: digest (hex) of the records that the person saw in the preview; empty for any.

    Raises:
        VaultError: a check, the account, the records or the attempt rule refuse it; nothing leaves.
    """
    _check_name(by)
    checked = check_round(parts, round_id)
    with parts.store.transaction("charge"):
        decision = _decide(parts, checked, records)
        if isinstance(decision, StoredReport):
            return Released(decision, False, len(payload_of(parts.store, decision)))
        _write_charge(parts, checked, by)
    with parts.store.transaction("report"):
        decision = _decide(parts, checked, records, decision.exact)
        if isinstance(decision, StoredReport):
            return Released(decision, False, len(payload_of(parts.store, decision)))
        return _make(parts, checked, decision, by)


def recipe_of(node: str, round_log: RoundLog, published: Published) -> Recipe:
    """Put together the public ingredients of a node's report."""
    return Recipe(
        node=node,
        round_id=round_log.round_id,
        terms=round_log.terms,
        approvals=round_log.approvals_digest(),
        layout=published.layout,
    )


def _check_name(by: str) -> None:
    if not isinstance(by, str) or not 0 < len(by.strip()) <= MAX_NAME or not by.isprintable():
        raise CommandError(
            _("the release needs the name of the person who releases"),
            _("Give it with --by NAME."),
            code="no-name",
        )


def _write_charge(parts: Parts, checked: CheckedRound, by: str) -> None:
    """Charge the round to the account as it is under the lock: another process may have charged since."""
    cap = load_floors(parts.store).rho_year
    account = parts.account.read(checked.charge.school_year, cap, parts.mirror)
    account.after(checked.charge)
    if parts.account.charge(checked.charge, checked.now):
        parts.journal.append(_charge_record(checked, by))
    parts.clock.save()


def _decide(
    parts: Parts, checked: CheckedRound, records: str, known: ExactTables | None = None
) -> StoredReport | _Draft:
    """Count, and say whether the stored report stands or a new attempt may be made."""
    parts.mirror.catch_up()
    node, round_log = parts.identity.node, checked.round_log
    exact = count_round(parts.store, checked.published, checked.attributes, known)
    if records and records != exact.record_set.digest.hex():
        raise RecordsError(
            _("the records have changed since the preview"),
            _("Look at the preview again before you release."),
            code="records-changed",
        )
    recipe = recipe_of(node, round_log, checked.published)
    alive = [
        row
        for row in reports_of(parts.store, round_log.round_id)
        if state_of(parts.mirror, row, node) is not ReportState.DEAD
    ]
    if alive and alive[-1].tag == tag_of(recipe, parts.identity.master, exact.x):
        return alive[-1]
    attempt = _next_attempt(parts, checked.round_log.round_id)
    previous = parts.mirror.ledger.last_report.get(node, ZERO_DIGEST)
    return _Draft(attempt, exact, recipe, previous)


def _next_attempt(parts: Parts, round_id: bytes) -> int:
    """Give the next attempt's number, or refuse one."""
    node = parts.identity.node
    round_log = parts.mirror.ledger.rounds[round_id]
    if round_log.candidates is not None:
        raise AttemptError(
            _("the county has closed the collection of this round"),
            _("Nothing can be added any more; it counts from the next round on."),
            code="too-late",
        )
    waiting = waiting_report(parts.store, parts.mirror, node)
    if waiting is not None:
        raise AttemptError(
            _("an earlier report (round %(round)s…, attempt %(attempt)d) is still on its way"),
            _("Let the node run until it has arrived in the log, then release again."),
            code="report-waiting",
            details={"round": waiting.round_id.hex()[:16], "attempt": waiting.attempt},
        )
    attempt = len(round_log.attempts_of(node))
    if attempt > MAX_ATTEMPT:
        raise AttemptError(
            _("all %(allowed)d attempts of this round are used"),
            _("The newest report in the log counts; tell the county if it is wrong."),
            code="no-attempt-left",
            details={"allowed": MAX_ATTEMPT + 1},
        )
    return attempt


def _make(parts: Parts, checked: CheckedRound, draft: _Draft, by: str) -> Released:
    """Draw, mask, seal, sign, journal and store: inside the caller's transaction."""
    _require_new_table(parts, checked, draft)
    master, rows_digest = parts.identity.master, draft.exact.record_set.digest
    derived = derive(draft.recipe, master, draft.exact.x, draft.attempt, rows_digest)
    boxes = _seal_boxes(checked.round_log, draft, derived)
    header = _header(parts, checked.round_log, draft, derived, boxes)
    text = encode_statement(header)
    line = _signing_key(parts, checked.round_log).sign(text)
    note = encode_note(Note(text, (parse_signature_line(line),)))
    payload = encode_payload(ReportPayload(note, derived.vector, boxes))
    seq = parts.journal.append(_report_record(checked, draft, text, parts.identity.commitment, by))
    report = StoredReport(
        round_id=checked.round_log.round_id,
        attempt=draft.attempt,
        set_id=draft.exact.record_set.set_id,
        tag=derived.tag,
        digest=digest(text),
        journal_seq=seq,
        released=checked.now.strftime(TIME_FORMAT),
        released_by=by,
    )
    add_report(parts.store, report, payload)
    return Released(report, True, len(payload))


def _signing_key(parts: Parts, round_log: RoundLog) -> SigningKey:
    """Give the report key that the plan's roster names; `check_round` has seen that it is this node's."""
    own = round_log.roster.node(parts.identity.node)
    key = None if own is None else parts.identity.key_for(own.report)
    return key or parts.identity.report_key


def _require_new_table(parts: Parts, checked: CheckedRound, draft: _Draft) -> None:
    """Refuse to send a table that the log already has from this node (its own record was lost)."""
    if draft.attempt == 0:
        return
    newest = checked.round_log.attempts_of(parts.identity.node)[-1].statement
    rows_digest = draft.exact.record_set.digest
    again = derive(draft.recipe, parts.identity.master, draft.exact.x, newest.attempt, rows_digest)
    if again.vector_digest == newest.vector:
        raise AttemptError(
            _("the log already has this node's report of exactly these records"),
            _("Nothing needs to be sent again."),
            code="already-logged",
        )


def _seal_boxes(round_log: RoundLog, draft: _Draft, derived: Derived) -> tuple[bytes, ...]:
    terms = round_log.terms
    commitments = derivation.commitments_digest([commitment for _subset, commitment in derived.commitments])
    boxes = []
    for index, auditor in enumerate(terms.auditors):
        public_key = round_log.approvals[auditor].statement.round_key
        held = [derived.seeds[subset] for subset in subsets_with(index, len(terms.auditors), terms.threshold)]
        info = derivation.box_info(
            round_log.round_id,
            draft.recipe.node,
            draft.attempt,
            auditor,
            public_key,
            derived.vector_digest,
            commitments,
        )
        boxes.append(seal(public_key, derivation.box_plaintext(held), info))
    return tuple(boxes)


def _header(
    parts: Parts, round_log: RoundLog, draft: _Draft, derived: Derived, boxes: tuple[bytes, ...]
) -> Report:
    names = zip(round_log.terms.auditors, boxes, strict=True)
    return build_header(
        draft.recipe,
        derived,
        attempt=draft.attempt,
        boxes=tuple((auditor, hashlib.sha256(box).digest()) for auditor, box in names),
        software=parts.software,
        confinement=parts.level,
        previous=draft.previous,
        size=len(derived.vector) + sum(len(box) for box in boxes),
    )


def build_header(
    recipe: Recipe,
    derived: Derived,
    *,
    attempt: int,
    boxes: tuple[tuple[str, bytes], ...],
    software: bytes,
    confinement: str,
    previous: bytes,
    size: int,
) -> Report:
    """Put a report's header together; a replay does it with the journal's values and compares."""
    return Report(
        federation=recipe.terms.federation,
        round=recipe.round_id,
        roster=recipe.terms.roster,
        approvals=recipe.approvals,
        node=recipe.node,
        attempt=attempt,
        cells=recipe.terms.cells,
        vector=derived.vector_digest,
        seeds=derived.commitments,
        boxes=boxes,
        input=derived.input,
        software=software,
        confinement=confinement,
        previous=previous,
        size=size,
    )


def _charge_record(checked: CheckedRound, by: str) -> JournalRecord:
    data: JsonInput = {"rho": str(checked.charge.rho), "school_year": checked.charge.school_year}
    return JournalRecord(checked.now, by, "charge", checked.charge.round_id.hex(), "ok", data)


def _report_record(
    checked: CheckedRound, draft: _Draft, header: str, commitment: bytes, by: str
) -> JournalRecord:
    """Everything that a replay needs, so that it does not depend on the mirror of the log."""
    round_log, listed = checked.round_log, checked.published.layout.scope.attributes
    counts = derivation.encode_measurement(draft.exact.counts)
    used: dict[str, JsonInput] = {"attributes": {**own_codes(listed, checked.attributes)}} if listed else {}
    return JournalRecord(
        time=checked.now,
        subject=by,
        kind="report",
        target=round_log.round_id.hex(),
        result="ok",
        data={
            "approvals": [round_log.approvals[name].text for name in round_log.terms.auditors],
            "attempt": draft.attempt,
            "counts": encode_base64(counts),
            "header": header,
            "master": commitment.hex(),
            "plan": round_log.plan.text,
            "plan_body": encode_base64(round_log.plan.body),
            "rows": draft.exact.record_set.digest.hex(),
            "set": draft.exact.record_set.set_id,
            **used,
        },
    )
