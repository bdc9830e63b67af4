"""Put a year's facts together from a read log, its verdict, and what people state beside it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from auditor.errors import EvidenceError
from auditor.evidence import facts
from auditor.evidence.moments import COUNTY, decimal, rational, shown_epsilon
from auditor.evidence.party_facts import (
    custody_of,
    key_changes_of,
    revocations_of,
    rosters_of,
    schools_of,
    terms_of,
)
from auditor.evidence.round_facts import is_of_year, rounds_of
from auditor.verify.privacy import year_accounts
from crypto.checkpoint import parse_checkpoint
from crypto.note import cosignature_time, parse_note, verified_by
from plan.errors import phrase
from privacy.risk import guess_bound, times_in_100
from privacy.year_account import DEFAULT_CAP
from protos.ledger import Ledger, RoundLog
from protos.statements import Statement

KEPT, BEGINNING, UNKNOWN, NEWEST = "kept", "beginning", "unknown", "newest"


@dataclass(frozen=True, slots=True)
class Source:
    """What a pack is made from.

    Attributes:
        name: `folder` or `bundle`.
        ledger: the log, read whole by the protocol's rules.
        statements: of every entry, in order.
        checkpoint: the newest cosigned one, as a note.
        kept: a checkpoint from an earlier pack, which the log extends; empty for none.
        cap: most that a school year may cost, by the policy; None without one.
        verification: what `verify` said.
        visits: on-site visits.
        stated: what people state, topic → text.
    """

    name: str
    ledger: Ledger
    statements: Sequence[Statement]
    checkpoint: bytes
    kept: bytes
    cap: Fraction | None
    verification: facts.Verification
    visits: tuple[facts.Visit, ...]
    stated: Mapping[str, str]


def gather(source: Source, year: int, made_on: str = "") -> facts.Facts:
    """Collect the facts of a calendar year.

    Args:
        source: what the pack is made from.
        year: the year, by the county's clock.
        made_on: the day that stands on the pack; empty for that of the newest cosignature.

    Raises:
        EvidenceError: no day was given, and nobody has cosigned the checkpoint.
    """
    ledger = source.ledger
    start, end = _start(source, year), _end(source)
    span = range(start.size, _stop(ledger, year, end.size))
    schools, rounds = schools_of(ledger), rounds_of(ledger, year)
    revocations = revocations_of(source.statements, span)
    return facts.Facts(
        year=year,
        made_on=made_on or _day(end),
        federation=ledger.card.federation,
        kind=ledger.card.kind,
        genesis=ledger.card.genesis.hex(),
        source=source.name,
        start=start,
        end=end,
        entries=_entries(source.statements),
        year_until=span.stop,
        entries_of_year=_entries(source.statements[span.start : span.stop]),
        rosters=rosters_of(ledger, span),
        schools=schools,
        custody=custody_of(schools),
        terms=terms_of(ledger, revocations),
        key_changes=key_changes_of(ledger),
        revocations=revocations,
        rounds=rounds,
        other_rounds=tuple(row.terms.serial for row in ledger.rounds.values() if not is_of_year(row, year)),
        accounts=_accounts(ledger, rounds, source.cap or DEFAULT_CAP),
        replays=_replays(ledger, span),
        visits=_visits(source.visits, rounds, year),
        stated=tuple(facts.Stated(topic, text) for topic, text in source.stated.items()),
        verification=source.verification,
    )


def _entries(statements: Sequence[Statement]) -> tuple[facts.Entries, ...]:
    found = Counter(row.TYPE for row in statements)
    return tuple(facts.Entries(name, found[name]) for name in sorted(found))


def _start(source: Source, year: int) -> facts.Head:
    """Find where the year begins in the log: at a kept checkpoint, or at its first plan of the year.

    Entries carry no time. Without a kept checkpoint only plans say when they are, by their windows.
    """
    ledger = source.ledger
    if source.kept:
        return _head(ledger, source.kept, KEPT)
    before = [row.plan.index for row in ledger.rounds.values() if row.closes.astimezone(COUNTY).year < year]
    if not before:
        return facts.Head(BEGINNING, 0, "", "", (), 0)
    first = [row.plan.index for row in ledger.rounds.values() if is_of_year(row, year)]
    size = min(first, default=ledger.size)
    return facts.Head(UNKNOWN, size, ledger.root(size).hex(), "", (), 0)


def _stop(ledger: Ledger, year: int, size: int) -> int:
    """Find where the year ends in the log: before the first plan whose window begins in a later one."""
    rounds = ledger.rounds.values()
    later = [row.plan.index for row in rounds if row.terms.opens.astimezone(COUNTY).year > year]
    return min(later, default=size)


def _end(source: Source) -> facts.Head:
    return _head(source.ledger, source.checkpoint, NEWEST)


def _head(ledger: Ledger, note_bytes: bytes, origin: str) -> facts.Head:
    note = parse_note(note_bytes)
    checkpoint = parse_checkpoint(note.text)
    roster = ledger.roster_at(checkpoint.size)
    counted = set(ledger.cosigners_at(checkpoint.size))
    auditors = {row.cosigner: row.id for row in roster.body.auditors if row.cosigner in counted}
    signers = {(key.name, key.key_id): auditors[key] for key in verified_by(note, list(auditors))}
    found = [
        facts.Cosignature(signers[item.name, item.key_id], _moment(cosignature_time(item)))
        for item in note.signatures
        if (item.name, item.key_id) in signers
    ]
    return facts.Head(
        origin,
        checkpoint.size,
        checkpoint.root.hex(),
        note_bytes.decode("utf-8"),
        tuple(found),
        roster.statement.quorum,
    )


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(head: facts.Head) -> str:
    """Give the day of the newest cosignature, at the county."""
    if not head.cosignatures:
        raise EvidenceError(
            phrase(
                "the checkpoint has no cosignature that counts, so the pack has no day of its own; "
                "give --date"
            )
        )
    newest = max(datetime.fromisoformat(row.time) for row in head.cosignatures)
    return newest.astimezone(COUNTY).date().isoformat()


def _accounts(ledger: Ledger, rounds: Sequence[facts.Round], cap: Fraction) -> tuple[facts.Account, ...]:
    """Say for each school year that a round of the year is charged to what it cost a pupil at most."""
    years = {row.school_year for row in rounds}
    per_node = year_accounts(ledger, list(ledger.rounds.values()))
    return tuple(
        _account(name, [total for (_, found), total in per_node.items() if found == name], cap)
        for name in sorted(years)
    )


def _account(school_year: str, totals: Sequence[Fraction], cap: Fraction) -> facts.Account:
    most = max(totals, default=Fraction(0))
    return facts.Account(
        school_year,
        len(totals),
        rational(most),
        decimal(most),
        shown_epsilon(most),
        str(times_in_100(guess_bound(most))),
        rational(cap),
        decimal(cap),
        shown_epsilon(cap),
        int(most <= cap),
    )


def _replays(ledger: Ledger, span: range) -> tuple[facts.Replay, ...]:
    return tuple(
        facts.Replay(
            _serial(ledger.rounds[row.statement.round]),
            row.statement.auditor,
            row.statement.node,
            row.statement.outcome,
            row.statement.confinement,
            row.index,
            int(row.index in span),
        )
        for row in ledger.replays
    )


def _visits(
    visits: Sequence[facts.Visit], rounds: Sequence[facts.Round], year: int
) -> tuple[facts.Visit, ...]:
    """Keep the visits that were made in the year, and those of its rounds."""
    serials = {row.serial for row in rounds}
    return tuple(row for row in visits if row.round in serials or _year_of(row.ended) == year)


def _year_of(moment: str) -> int:
    return datetime.fromisoformat(moment).astimezone(COUNTY).year


def _serial(row: RoundLog) -> int:
    return row.terms.serial
