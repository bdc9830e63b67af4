"""One round as facts: what it counted, who did what, how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.evidence import facts
from auditor.evidence.moments import decimal, rational, shown_epsilon, touches, written
from auditor.plan_view import view_plan
from plan.dimensions import DIMENSIONS, NUMBERS
from plan.layout import TableLayout
from plan.published import Published
from protos.fields import ZERO_DIGEST
from protos.ledger import Ledger, RoundLog
from protos.round_log import RoundState
from protos.statement_changes import Correction, Extension


def rounds_of(ledger: Ledger, year: int) -> tuple[facts.Round, ...]:
    """Describe the rounds whose windows have a day in a year."""
    return tuple(describe(ledger, row) for row in ledger.rounds.values() if is_of_year(row, year))


def is_of_year(row: RoundLog, year: int) -> bool:
    """Say whether a round's window, with the deadline in force, touches a year."""
    return touches(row.terms.opens, row.closes, year)


def describe(ledger: Ledger, row: RoundLog) -> facts.Round:
    """Describe one round."""
    terms, view = row.terms, view_plan(row.terms, row.plan.body)
    document = view.document
    ended, reason, successor = _end(ledger, row)
    close, release = row.close_body(), row.release
    duties = tuple(_duty(row, auditor) for auditor in terms.auditors)
    return facts.Round(
        serial=terms.serial,
        id=row.round_id.hex(),
        index=row.plan.index,
        title=document.title,
        purpose=document.purpose,
        recipients=tuple(document.recipients),
        legal_basis=document.legal_basis,
        consent=document.consent,
        release_class=document.release_class,
        wave=document.wave,
        school_year=document.school_year,
        census_date=document.census_date.isoformat(),
        neighbouring=str(document.neighbouring),
        opens=written(terms.opens),
        closes=written(terms.closes),
        deadline=written(row.closes),
        rho=rational(terms.rho),
        rho_decimal=decimal(terms.rho),
        epsilon=shown_epsilon(terms.rho),
        auditors=terms.auditors,
        threshold=terms.threshold,
        collude=terms.collude,
        quorum=terms.quorum,
        min_reports=terms.min_reports,
        min_group=terms.min_group,
        colluding_schools=terms.colluding_schools,
        cells=terms.cells,
        tables=_tables(view),
        state=row.state.value,
        ended=ended,
        reason=reason,
        successor=successor,
        num_schools=len(row.roster.nodes),
        num_reporting=len({node for node, _ in row.reports}),
        num_attempts=len(row.reports),
        num_set=len(close.set) if close else 0,
        excluded=_excluded(row),
        duties=duties,
        away=tuple(item.auditor for item in duties if item.is_away),
        withheld_draws=_withheld_draws(row),
        release_index=release.index if release else 0,
        release_status=release.statement.status if release else "",
        release_standing=row.changes.standing if release and release.statement.status == "ok" else "",
        replicas=release.statement.replicas if release else 0,
        is_refunded=int(row.is_refundable),
        extensions=tuple(_extension(row, item.statement, item.digest) for item in row.changes.extensions),
        corrections=tuple(
            _correction(ledger, item.statement, item.index) for item in row.changes.corrections
        ),
        has_draw=int(bool(row.openings)),
    )


def _excluded(row: RoundLog) -> tuple[facts.Excluded, ...]:
    close = row.close_body()
    found = close.excluded if close else ()
    return tuple(facts.Excluded(item.report.node, item.report.attempt, item.code) for item in found)


def _tables(view: Published) -> tuple[facts.Table, ...]:
    return tuple(_table(table) for table in view.layout.tables)


def _table(table: TableLayout) -> facts.Table:
    return facts.Table(
        table.id,
        table.title,
        table.dims,
        table.dim_titles,
        tuple(f"{name}={','.join(codes)}" for name, codes in table.where),
        tuple(_filter_words(name, codes) for name, codes in table.where),
        NUMBERS.get(table.sum, table.sum),
        table.cells,
    )


def _filter_words(name: str, codes: Sequence[str]) -> str:
    known = DIMENSIONS.get(name)
    if known is None:
        return f"{name}：{'、'.join(codes)}"
    return f"{known.title}：{'、'.join(known.codes.get(code, code) for code in codes)}"


def _duty(row: RoundLog, auditor: str) -> facts.Duty:
    abandon = row.abandons.get(auditor)
    was_needed = row.candidates is not None
    did = (
        auditor in row.checked or auditor in row.agreements or auditor in row.openings or abandon is not None
    )
    return facts.Duty(
        auditor,
        int(auditor in row.approvals),
        int(auditor in row.checked),
        int(auditor in row.agreements),
        abandon.statement.reason if abandon else "",
        int(auditor in row.openings),
        int(was_needed and not did),
    )


def _withheld_draws(row: RoundLog) -> tuple[str, ...]:
    """Auditors of a released round that agreed and never revealed their share of the draw."""
    if row.release is None:
        return ()
    return tuple(name for name in row.terms.auditors if name in row.agreements and name not in row.openings)


def _end(ledger: Ledger, row: RoundLog) -> tuple[str, str, int]:
    """Say why a round ended without numbers, the reason given, and the serial of the round in its place."""
    cancel = row.changes.cancel
    if row.state is not RoundState.ABORTED:
        return "", "", 0
    if row.release is not None:
        return "corrupt", "", 0
    if cancel is not None:
        serial = serial_of(ledger, cancel.statement.successor)
        return ("reissued" if serial else "cancelled"), cancel.statement.reason, serial
    reasons = sorted({item.statement.reason for item in row.abandons.values()})
    return "abandoned", " ".join(reasons), 0


def serial_of(ledger: Ledger, round_id: bytes) -> int:
    """Give the serial of a round by its id; 0 for none."""
    return 0 if round_id == ZERO_DIGEST else ledger.rounds[round_id].terms.serial


def _extension(row: RoundLog, asked: Extension, digest: bytes) -> facts.Extension:
    granted = tuple(sorted(row.changes.extended.get(digest, {})))
    is_in_force = len(granted) >= row.terms.quorum
    return facts.Extension(asked.serial, written(asked.closes), asked.reason, granted, int(is_in_force))


def _correction(ledger: Ledger, said: Correction, index: int) -> facts.Correction:
    return facts.Correction(said.status, said.tables, serial_of(ledger, said.successor), said.reason, index)
