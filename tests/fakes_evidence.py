"""A county's year for evidence packs: six rounds and everything that can happen to one, in memory.

| round | window | what happened |
| --- | --- | --- |
| 1 | autumn 2025 | released; the year before. The checkpoint after it was kept |
| 2 | spring 2026 | later deadline granted; released, then corrected; replayed at s1 (PASS) and s2 (FAIL) |
| 3 | autumn 2026 | abandoned by three auditors, so refunded |
| 4 | autumn 2026 | had no reports; ended by the county, replaced by round 5 |
| 5 | autumn 2026 | s6 refused; a4 away; released, then withdrawn |
| 6 | winter 2026 | s6 did not report; a4 agreed and withheld its draw; out of bounds: corrupt |

Between rounds 2 and 3 auditor a3 rolls its keys over; after round 5 school s6 and auditor a4 are revoked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from fakes_auditors import PLAN_TOML, FakeCounty

from auditor.bundle_write import write_public_bundle
from auditor.config import AuditorConfig, AuditorFolder, write_config
from auditor.mirror import Mirror
from crypto.note import KeyType, SigningKey
from plan.document import PlanDocument, parse_plan_toml
from protos.bodies import Refusal, ReportName, RosterNode, encode_release_body, encode_roster_body, key_name
from protos.card import encode_card
from protos.site_visit import VISIT_FORMAT, sign_file
from protos.statements import (
    Abandon,
    Cancel,
    Correction,
    Extended,
    Extension,
    Replayed,
    Revoke,
    Roster,
    body_ref,
)
from protos.succession import succession_text

ZERO = bytes(32)
YEAR = 2026
SECRET_SUM = 98765  # a released sum; no pack may show it
STATEMENTS = """
controllers = "某县教育局；各校"
[custody]
admin_accounts = "由县教育局信息中心一人保管"
export_rights_removed = "2026-08-30"
[retention]
records_days = 1095
log_days = 3650
"""


def plan(school_year: str, wave: str, census: str, opens: str, closes: str) -> PlanDocument:
    """The small plan in another season."""
    text = PLAN_TOML
    for line, value in (
        ('school_year = "2026-2027"', f'school_year = "{school_year}"'),
        ('wave = "A"', f'wave = "{wave}"'),
        ("census_date = 2026-09-30", f"census_date = {census}"),
        ("opens = 2026-10-12T", f"opens = {opens}T"),
        ("closes = 2026-12-31T", f"closes = {closes}T"),
    ):
        assert line in text
        text = text.replace(line, value)
    return parse_plan_toml(text.encode())


class County(FakeCounty):
    """A fake county whose schools say where their records lie."""

    def all_roster_nodes(self) -> tuple[RosterNode, ...]:
        """Give each node a form: two a, one b, one c, one none, and the one that is revoked b."""
        forms = ("a", "a", "b", "c", "", "b")
        return tuple(
            replace(node, attributes=(("county", "530101"), *((("deployment", form),) if form else ())))
            for node, form in zip(super().all_roster_nodes(), forms, strict=True)
        )

    def run_to(
        self,
        round_id: bytes,
        *,
        away: Sequence[str] = (),
        silent: Sequence[str] = (),
        missing: Sequence[str] = (),
        refuse: str = "",
    ) -> None:
        """Report, check, close, agree and open.

        Args:
            round_id: the round.
            away: auditors that do nothing; `silent` ones agree and do not open.
            silent: see there.
            missing: schools that do not report.
            refuse: a school whose report every auditor refuses.
        """
        for node in sorted(set(self.nodes) - set(missing)):
            self.report(node, round_id)
        self.fix_candidates(round_id)
        here = [name for name in sorted(self.auditors) if name not in away]
        for name in here:
            self.check(name, round_id, self.refusals(round_id, refuse) if refuse else ())
        self.close(round_id)
        for name in here:
            self.agree(name, round_id)
        for name in here:
            if name not in silent:
                self.open_(name, round_id)

    def refusals(self, round_id: bytes, node: str) -> list[Refusal]:
        """Refuse one school's report."""
        found = self.round(round_id).attempts_of(node)[0]
        return [Refusal(ReportName(node, 0, found.digest), "seed-mismatch")]

    def release_sums(self, round_id: bytes) -> None:
        """Release made-up sums."""
        self.release_real(round_id, np.full(self.round(round_id).terms.cells, SECRET_SUM))

    def release_corrupt(self, round_id: bytes) -> None:
        """Release nothing: out of bounds."""
        body = encode_release_body([])
        openers = sorted(self.round(round_id).openings)
        statement, _ = self.release_statement(round_id, openers, status="corrupt", body=body_ref(body))
        self.add(statement, body, [self.coordinator])

    def roll(self, name: str) -> None:
        """Let an auditor go over to new keys."""
        old = self.auditors[name]
        new = SigningKey(key_name(self.federation, "auditor", name), KeyType.ED25519, b"\x11" * 32)
        witness = SigningKey(key_name(self.federation, "witness", name), KeyType.COSIGNATURE, b"\x12" * 32)
        text = succession_text(self.federation, "auditor", name, old.verifier, new.verifier, witness.verifier)
        line = old.sign(text)
        self.auditors[name], self.witnesses[name] = new, witness
        body = self.roster_body(self.all_roster_nodes())
        body = replace(
            body,
            auditors=tuple(replace(row, succession=line) if row.id == name else row for row in body.auditors),
        )
        data, last = encode_roster_body(body), self.ledger.roster
        roster = Roster(
            self.federation, last.statement.serial + 1, last.digest, self.kind, self.quorum, body_ref(data)
        )
        self.add(roster, data, [self.coordinator, *self.auditors.values()])

    def correct(self, round_id: bytes, status: str, tables: tuple[str, ...], reason: str) -> None:
        """Correct or withdraw a release."""
        release = self.round(round_id).release
        assert release is not None
        said = Correction(self.federation, round_id, release.digest, ZERO, status, tables, ZERO, reason)
        self.add(said, b"", [self.coordinator])

    def replay(self, auditor: str, node: str, round_id: bytes, outcome: str) -> None:
        """Log a replay."""
        report = self.round(round_id).attempts_of(node)[0].digest
        said = Replayed(self.federation, round_id, auditor, node, report, outcome, "L3")
        self.add(said, b"", [self.auditors[auditor]])

    def extend(self, round_id: bytes, closes: datetime) -> None:
        """Ask for a later deadline and grant it."""
        wish = self.add(Extension(self.federation, round_id, 1, closes, "holiday"), b"", [self.coordinator])
        for name in ("a1", "a2", "a3"):
            self.add(Extended(self.federation, round_id, name, wish), b"", [self.auditors[name]])

    def revoke(self, subject: str, party: str, reason: str) -> None:
        """Take somebody out."""
        said = Revoke(self.federation, self.ledger.roster.digest, subject, party, reason)
        self.add(said, b"", [self.coordinator])


def county_year() -> tuple[County, bytes]:
    """Play the year; returns the county and the checkpoint that was kept before it."""
    county = County(kind="production")
    county.join()
    first = county.publish_plan(plan("2025-2026", "A", "2025-09-30", "2025-10-12", "2025-12-20"))
    county.approve(first)
    county.run_to(first)
    county.release_sums(first)
    county.clock = datetime(2026, 1, 10, 1, tzinfo=UTC)
    county.cosign_as(("a1", "a2", "a3"), county.ledger.size)
    kept = county.note(county.ledger.size)
    _spring(county)
    county.roll("a3")
    _autumn(county)
    county.clock = datetime(2027, 1, 15, 1, tzinfo=UTC)
    county.cosign_as(("a1", "a2", "a3"), county.ledger.size)
    return county, kept


def _spring(county: County) -> None:
    spring = county.publish_plan(plan("2025-2026", "S", "2026-03-20", "2026-04-01", "2026-05-20"))
    county.approve(spring)
    county.extend(spring, datetime(2026, 6, 1, 10, tzinfo=UTC))
    county.run_to(spring)
    county.release_sums(spring)
    county.correct(spring, "corrected", ("A3",), "school-miscounted")
    county.replay("a1", "s1", spring, "PASS")
    county.replay("a2", "s2", spring, "FAIL")


def _autumn(county: County) -> None:
    left = county.publish_plan(plan("2026-2027", "A", "2026-09-30", "2026-10-12", "2026-11-10"))
    county.approve(left)
    for node in sorted(county.nodes):
        county.report(node, left)
    for name in ("a1", "a2", "a3"):
        said = Abandon(county.federation, left, name, ZERO, "expired")
        county.add(said, b"", [county.auditors[name]])
    wrong = county.publish_plan(plan("2026-2027", "A", "2026-09-30", "2026-11-12", "2026-12-10"))
    right = county.publish_plan(plan("2026-2027", "A", "2026-09-30", "2026-11-12", "2026-12-20"))
    said = Cancel(county.federation, wrong, ZERO, right, "wrong-terms")
    county.add(said, b"", [county.coordinator])
    county.approve(right)
    county.run_to(right, away=("a4",), refuse="s6")
    county.release_sums(right)
    county.correct(right, "withdrawn", (), "wrong-records")
    last = county.publish_plan(plan("2026-2027", "X", "2026-09-30", "2026-12-01", "2026-12-31"))
    county.approve(last)
    county.run_to(last, silent=("a4",), missing=("s6",))
    county.release_corrupt(last)
    county.revoke("node", "s6", "closed")
    county.revoke("auditor", "a4", "key-lost")


def write_folder(county: County, root: Path) -> AuditorFolder:
    """Write the folder of auditor a1: card, policy, its copy of the log, the record of a visit."""
    folder = AuditorFolder(root)
    config = AuditorConfig(federation=county.federation, id="a1", operator="大学", address="x:1")
    write_config(folder, config)
    folder.card.write_text(encode_card(county.card))
    folder.policy.write_text(county.policy_text())
    Mirror(folder.mirror, county.card).sync(county.link("a1"))
    (root / "site").mkdir()
    (root / "site" / "one.json").write_bytes(visit_of(county, "s2", "FAIL"))
    return folder


def visit_of(county: County, node: str, outcome: str, *, signer: str = "a1") -> bytes:
    """Make the signed record of a visit to a school of round 2."""
    round_id = list(county.ledger.rounds)[1]
    trials = {
        name: {"outcome": outcome, "confinement": "L3", "code": "", "checks": []}
        for name in ("replay", "selftest")
    }
    value = {
        "auditor": "a1",
        "outcome": outcome,
        "program": "same",
        "statement": "",
        "result": {
            "node": node,
            "round": round_id.hex(),
            "ended": "2026-06-20T02:10:00Z",
            "trials": trials,
        },
    }
    return sign_file(VISIT_FORMAT, value, county.auditors[signer])


def write_bundle_of(folder: AuditorFolder, county: County, place: Path) -> Path:
    """Write the public bundle."""
    write_public_bundle(Mirror(folder.mirror, county.card), place)
    return place
