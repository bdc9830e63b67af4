"""What failed in the year, what is open, what the product does not meet yet: by code, from facts alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from auditor.evidence.facts import Check, Facts, Finding, Round

NOT_MET: Final = (
    "sm-algorithms",
    "certified-module",
    "level-of-operator",
    "penetration-test",
    "outside-review",
    "anonymity-claim",
)
"""What holds for every county that runs this version."""

CUSTODY_TOPICS: Final = (
    "admin_accounts",
    "export_rights_removed",
    "confidentiality_agreement",
    "deletion_certificate",
)
RETENTION_TOPICS: Final = (
    "records_days",
    "sealed_files_days",
    "journal_days",
    "vectors_days",
    "log_days",
    "backups_days",
)
TOPICS: Final = (*CUSTODY_TOPICS, *RETENTION_TOPICS, "controllers")


def failures_of(facts: Facts) -> tuple[Finding, ...]:
    """List everything in the year that did not go as it should, in the order of the pack's chapters."""
    return (
        *(Finding("check-failed", row.name, "", row.number) for row in _checks(facts, "FAIL")),
        *(item for row in facts.rounds for item in _round_failures(row)),
        *(
            Finding("replay-failed", row.node, row.auditor, row.round)
            for row in facts.replays
            if row.outcome != "PASS" and row.is_of_year
        ),
        *(
            Finding("visit-failed", row.node, row.outcome, row.round)
            for row in facts.visits
            if row.outcome != "PASS"
        ),
        *(
            Finding("visit-unsigned", row.node, row.auditor, row.round)
            for row in facts.visits
            if not row.is_signed
        ),
        *(
            Finding(f"revoked-{row.subject}", row.id, row.reason, row.index)
            for row in facts.revocations
            if row.is_of_year
        ),
        *(
            Finding("over-the-cap", row.school_year, row.spent_decimal)
            for row in facts.accounts
            if not row.is_within
        ),
    )


def _checks(facts: Facts, outcome: str) -> list[Check]:
    return [row for row in facts.verification.checks if row.outcome == outcome]


def _round_failures(row: Round) -> Iterator[Finding]:
    name = str(row.serial)
    if row.ended:
        yield Finding(f"round-{row.ended}", name, row.reason, row.successor)
    if row.release_standing in ("withdrawn", "corrected"):
        yield Finding(f"release-{row.release_standing}", name, row.corrections[-1].reason)
    for code in sorted({item.code for item in row.excluded}):
        nodes = [item.node for item in row.excluded if item.code == code]
        yield Finding("refused", name, code, len(nodes))
    for auditor in row.withheld_draws:
        yield Finding("draw-withheld", name, auditor)
    for duty in row.duties:
        if duty.is_away:
            yield Finding("away", name, duty.auditor)


def open_points_of(facts: Facts) -> tuple[Finding, ...]:
    """List what this pack cannot say, and who has to say it."""
    return (*_of_evidence(facts), *_of_people(facts))


def _of_evidence(facts: Facts) -> Iterator[Finding]:
    if facts.kind != "production":
        yield Finding("demo", "", "")
    if not facts.verification.has_policy:
        yield Finding("no-policy", "", "")
    skipped = len(_checks(facts, "SKIPPED"))
    if skipped:
        yield Finding("skipped-checks", "", "", skipped)
    if facts.verification.kind == "public":
        yield Finding("public-bundle", "", "")
    if facts.start.origin == "unknown":
        yield Finding("no-kept-checkpoint", "", "")
    if not facts.rounds:
        yield Finding("no-round", "", "")
    for row in facts.rounds:
        if row.state not in ("released", "aborted"):
            yield Finding("unfinished", str(row.serial), row.state)
        replayed = sum(item.round == row.serial for item in facts.replays)
        if row.release_status == "ok" and not replayed:
            yield Finding("not-replayed", str(row.serial), "")
    if not facts.visits:
        yield Finding("no-visits", "", "")
    outside = {row.auditor for row in facts.terms if row.is_outside and not row.until_roster}
    if len(outside) < 2:
        yield Finding("few-outside", "", "", len(outside))


def _of_people(facts: Facts) -> Iterator[Finding]:
    unknown = sum(not row.deployment for row in facts.schools)
    if unknown:
        yield Finding("custody-unknown", "", "", unknown)
    stated = said(facts)
    if any(row.form == "b" and row.number for row in facts.custody):
        for topic in CUSTODY_TOPICS:
            if topic not in stated:
                yield Finding("custody-unstated", topic, "")
    for topic in RETENTION_TOPICS:
        if topic not in stated:
            yield Finding("retention-unstated", topic, "")


def said(facts: Facts) -> Mapping[str, str]:
    """Give what people state, by topic; what is empty is not there."""
    return {row.topic: row.text for row in facts.stated if row.text}
