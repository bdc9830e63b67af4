"""From the log to a report's model: what workbook, brief and pages show of a released round.

Needs the log and the database, and no key. Order:

1. the release with its plan, what the log says of it (`About`, `AuditNote`);
2. facts about schools of the plan's school year;
3. with an earlier round: the comparison; with all earlier waves: 累计测评人次;
4. last of all the release class, which takes away what it does not show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from coordinator import facts as kept_facts
from coordinator.errors import NotReleasedError, ReportError
from coordinator.log_book import LogBook, View
from coordinator.plan_view import published_plan
from coordinator.schema import cosignatures
from coordinator.witnesses import cosigned_size
from crypto.canonical import parse_json
from plan.errors import PlanError, phrase
from protos.round_log import Logged, RoundLog, distinct_operators
from protos.statements import Release
from results import files
from results.comparing import with_earlier
from results.errors import ResultsError
from results.facts import InstitutionFacts, fact_indicators
from results.release_class import CLASSES, narrow
from results.report_model import ReportModel, build_report
from results.report_parts import About, AuditNote
from results.waves import TESTED, with_cumulative

DEPLOYMENT: Final = "deployment"
INTERNAL: Final = "internal"
Builder = Callable[[LogBook, RoundLog], ReportModel]


def report_of(
    book: LogBook,
    round_id: bytes,
    *,
    compared: bytes | None = None,
    release_class: str = INTERNAL,
    has_facts: bool = True,
    unit: str = "",
) -> ReportModel:
    """Make the model of a released round.

    Args:
        compared: an earlier round to compare with; without one nothing is compared.
        release_class: code of the class that the model is for.
        has_facts: whether facts about schools are in it.
        unit: the county's name in words, for the cover; by default the federation's id.

    Raises:
        NotReleasedError: a round has no numbers.
        ReportError: rounds that cannot be compared, or a class more open than the plan's.
    """
    with book.reading() as view:
        round_log = view.round(round_id)
        other = view.round(compared) if compared else None
    try:
        model = build_model(book, round_log, unit)
        if has_facts:
            model = with_facts(book, model)
        model = with_all_waves(book, round_log, model)
        if other is not None:
            model = with_earlier(model, build_model(book, other, unit))
        return narrow(model, CLASSES[release_class])
    except (ResultsError, PlanError) as err:
        short = round_id.hex()[:16]
        raise ReportError(phrase("round %(round_id)s…: %(reason)s", round_id=short, reason=err)) from err


def build_model(book: LogBook, round_log: RoundLog, unit: str = "") -> ReportModel:
    """Make the model of a round by itself, for the class 内部: no facts, no other round.

    Raises:
        NotReleasedError: the round has no numbers.
        ResultsError, PlanError: release and plan do not fit together.
    """
    logged = _released(round_log)
    body: Any = parse_json(logged.body)
    head = files.head_of(
        round_log.terms,
        logged.statement,
        round_log.round_id,
        logged.digest,
        len(round_log.roster.nodes),
        round_log.changes.corrections_as_values(),
    )
    with book.reading() as view:
        about, audit = _about(view, round_log, unit), _audit(book, view, round_log)
    return build_report(head, published_plan(round_log).document, body["tables"], about=about, audit=audit)


def with_facts(book: LogBook, model: ReportModel) -> ReportModel:
    """Add the indicators of school conditions of the model's school year, if any school has answered."""
    with book.reading() as view:
        found = kept_facts.read_facts(view, model.head.school_year)
        num_schools = len(kept_facts.schools(view))
    if not found:
        return model
    return replace(
        model,
        facts=tuple(fact_indicators(found, num_schools)),
        facts_missing=num_schools - len(found),
    )


def conditions_of(book: LogBook, model: ReportModel) -> tuple[InstitutionFacts, ...]:
    """Give what schools typed about themselves; nothing for a class other than 内部."""
    if model.release_class != INTERNAL:
        return ()
    with book.reading() as view:
        return kept_facts.read_facts(view, model.head.school_year)


def with_all_waves(
    book: LogBook, round_log: RoundLog, model: ReportModel, build: Builder = build_model
) -> ReportModel:
    """Add 累计测评人次 over all waves up to the model's own; of a wave's rounds the newest that tells.

    Args:
        build: makes the model of an earlier round; a page may give one that remembers.
    """
    if model.value(TESTED) is None:
        return model
    seen = {(model.head.school_year, model.head.wave)}
    earlier = []
    for other in _earlier_rounds(book, round_log):
        plan = published_plan(other).document
        if (plan.school_year, plan.wave) in seen:
            continue
        found = build(book, other)
        if found.value(TESTED) is not None:
            seen.add((plan.school_year, plan.wave))
            earlier.append(found)
    return with_cumulative(model, earlier)


def newest_before(book: LogBook, round_log: RoundLog) -> RoundLog | None:
    """Find the newest released round with an earlier census date, or None."""
    return next(_earlier_rounds(book, round_log), None)


def _earlier_rounds(book: LogBook, round_log: RoundLog) -> Iterator[RoundLog]:
    """Yield the released rounds of earlier census dates, the newest first."""
    day = published_plan(round_log).document.census_date
    with book.reading() as view:
        others = [row for row in view.ledger.rounds.values() if _has_numbers(row)]
    dated = [(published_plan(row).document.census_date, row.terms.serial, row) for row in others]
    earlier = [item for item in dated if item[0] < day]
    yield from (row for _day, _serial, row in sorted(earlier, key=lambda item: item[:2], reverse=True))


def _has_numbers(round_log: RoundLog) -> bool:
    logged = round_log.release
    return logged is not None and logged.statement.status == "ok" and not round_log.changes.is_withdrawn


def _released(round_log: RoundLog) -> Logged[Release]:
    short = round_log.round_id.hex()[:16]
    if round_log.release is None:
        raise NotReleasedError(phrase("round %(round_id)s…: not released yet", round_id=short))
    if round_log.release.statement.status != "ok":
        raise NotReleasedError(
            phrase("round %(round_id)s…: released as corrupt, without numbers", round_id=short)
        )
    return round_log.release


def _about(view: View, round_log: RoundLog, unit: str) -> About:
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
        federation_title=unit,
        closes=round_log.closes,
        released=view.logged_at(round_log.release.index) if round_log.release else None,
        schools_in=frozenset(name.node for name in names),
        operators_in=distinct_operators(round_log, names),
        deployments={form: number for form, number in sorted(forms.items()) if form},
        spent=spent or None,
    )


def _audit(book: LogBook, view: View, round_log: RoundLog) -> AuditNote:
    size = cosigned_size(view)
    release, close, terms = round_log.release, round_log.close, round_log.terms

    def signed(table: Any) -> tuple[tuple[str, str], ...]:
        return tuple((name, table[name].digest.hex()) for name in terms.auditors if name in table)

    return AuditNote(
        origin=book.checkpoint_text(view.ledger, size).split("\n", 1)[0] if size else "",
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
