"""From the log to a report's model, without a key: what the pages and downloads of a released round show."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from coordinator import facts
from coordinator.errors import NotReleasedError
from coordinator.log_book import LogBook, View
from coordinator.plan_view import published_plan
from coordinator.schema import cosignatures
from coordinator.witnesses import cosigned_size
from crypto.canonical import parse_json
from plan.errors import phrase
from protos.round_log import RoundLog, distinct_operators
from results import files
from results.comparing import with_earlier
from results.errors import ResultsError
from results.facts import InstitutionFacts, fact_indicators
from results.report_model import ReportModel, build_report
from results.report_parts import About, AuditNote

MAX_KEPT: Final = 8
DEPLOYMENT: Final = "deployment"
_KEPT: OrderedDict[tuple[bytes, int, int], ReportModel] = OrderedDict()
_LOCK = threading.Lock()


def report_of(book: LogBook, round_log: RoundLog) -> ReportModel:
    """Make the model of a released round, compared with the newest earlier one, with facts about schools.

    Raises:
        NotReleasedError: the round has no numbers.
        ResultsError, PlanError: release and plan do not fit together.
    """
    model = _built(book, round_log)
    model = _with_facts(book, round_log, model)
    with book.reading() as view:
        others = [row for row in view.ledger.rounds.values() if row.round_id != round_log.round_id]
    earlier = [row for row in others if _is_before(row, round_log)]
    for other in sorted(earlier, key=lambda row: row.terms.serial, reverse=True)[:1]:
        try:
            return with_earlier(model, _built(book, other))
        except ResultsError:
            break
    return model


def conditions_of(book: LogBook, year: str) -> tuple[InstitutionFacts, ...]:
    """Give what schools typed about themselves, for the workbook of the class 内部."""
    with book.reading() as view:
        return facts.read_facts(view, year)


def _is_before(other: RoundLog, round_log: RoundLog) -> bool:
    if other.release is None or other.release.statement.status != "ok" or other.changes.is_withdrawn:
        return False
    days = [published_plan(row).document.census_date for row in (other, round_log)]
    return days[0] < days[1]


def _built(book: LogBook, round_log: RoundLog) -> ReportModel:
    """Build a model, or take it from those that were built last."""
    logged = round_log.release
    if logged is None or logged.statement.status != "ok":
        short = round_log.round_id.hex()[:16]
        raise NotReleasedError(phrase("round %(round_id)s…: not released yet", round_id=short))
    corrections = round_log.changes.corrections_as_values()
    with book.reading() as view:
        key = (round_log.round_id, len(corrections), cosigned_size(view))
    with _LOCK:
        if key in _KEPT:
            return _KEPT[key]
    body: Any = parse_json(logged.body)
    num_schools = len(round_log.roster.nodes)
    head = files.head_of(
        *(round_log.terms, logged.statement, round_log.round_id, logged.digest, num_schools), corrections
    )
    with book.reading() as view:
        about, audit = _about(view, round_log), _audit(view, round_log)
    document = published_plan(round_log).document
    model = build_report(head, document, body["tables"], about=about, audit=audit)
    with _LOCK:
        _KEPT[key] = model
        while len(_KEPT) > MAX_KEPT:
            _KEPT.popitem(last=False)
    return model


def _about(view: View, round_log: RoundLog) -> About:
    close = round_log.close_body()
    names = close.set if close else ()
    nodes = {node.id: dict(node.attributes) for node in round_log.roster.nodes}
    forms = Counter(nodes[name.node].get(DEPLOYMENT, "") for name in names if name.node in nodes)
    year = published_plan(round_log).document.school_year
    spent = sum(
        row.terms.rho
        for row in view.ledger.rounds.values()
        if not row.is_refundable and published_plan(row).document.school_year == year
    )
    return About(
        schools_in=frozenset(name.node for name in names),
        operators_in=distinct_operators(round_log, names),
        deployments={form: number for form, number in sorted(forms.items()) if form},
        spent=spent or None,
    )


def _audit(view: View, round_log: RoundLog) -> AuditNote:
    size = cosigned_size(view)
    release, close, terms = round_log.release, round_log.close, round_log.terms

    def signed(table: Any) -> tuple[tuple[str, str], ...]:
        return tuple((name, table[name].digest.hex()) for name in terms.auditors if name in table)

    return AuditNote(
        log_size=size or None,
        log_root=view.ledger.root(size).hex() if size else "",
        plan=round_log.round_id.hex(),
        close=close.digest.hex() if close else "",
        release=release.digest.hex() if release else "",
        approvals=signed(round_log.approvals),
        agreements=signed(round_log.agreements),
        openings=signed(round_log.openings),
        witnesses=_witnesses(view, size),
        replicas=release.statement.replicas if release else 0,
        quorum=terms.quorum,
        threshold=terms.threshold,
        auditors=round_log.num_auditors,
    )


def _witnesses(view: View, size: int) -> tuple[str, ...]:
    query = sa.select(cosignatures.c.auditor).where(cosignatures.c.size == size)
    return tuple(sorted(view.connection.execute(query).scalars())) if size else ()


def _with_facts(book: LogBook, round_log: RoundLog, model: ReportModel) -> ReportModel:
    year = published_plan(round_log).document.school_year
    with book.reading() as view:
        found = facts.read_facts(view, year)
        num_schools = len(facts.schools(view))
    if not found:
        return model
    values = tuple(fact_indicators(found, num_schools))
    return replace(model, facts=values, facts_missing=num_schools - len(found))
