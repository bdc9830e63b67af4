"""A reader of the log that was written a second time, from docs/protocol.md: what no honest party may accept.

`Judge` takes the entries that an honest party has accepted and raises `Violation` at the first one that must
not stand there, by rules of its own: nothing of `protos.ledger`, `protos.round_log` or `auditor` is called.
Statements are parsed by the product (`protos.entry`), bodies by `json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from protos import entry as entries
from protos.statements import (
    Abandon,
    Agreement,
    Approval,
    Cancel,
    Candidates,
    Checked,
    Close,
    Opening,
    Plan,
    Release,
    Report,
    Revoke,
    Roster,
)

Name = tuple[str, int, bytes]
"""Node, attempt, digest of the header."""


class Violation(AssertionError):
    """An invariant does not hold; the first word is its name."""


def hold(condition: bool, name: str, detail: str) -> None:
    """Raise a violation unless a condition holds."""
    if not condition:
        raise Violation(f"{name}: {detail}")


@dataclass
class Members:
    """A roster as the judge reads it."""

    tuples: set[tuple[int, ...]]
    quorum: int
    operators: dict[str, str]
    attributes: dict[str, dict[str, str]]
    keys: dict[str, str]
    auditors: dict[str, str]
    digest: bytes


@dataclass
class Sitting:
    """A round as the judge reads it."""

    id: bytes
    terms: Plan
    body: dict[str, Any]
    members: Members
    approvals: dict[str, tuple[bytes, str, Approval]] = field(default_factory=dict)
    reports: list[tuple[int, Name, Report]] = field(default_factory=list)
    candidates: tuple[bytes, tuple[Name, ...]] | None = None
    checked: dict[str, tuple[bytes, set[Name]]] = field(default_factory=dict)
    close: tuple[bytes, Close] | None = None
    chosen: tuple[Name, ...] = ()
    agreements: dict[str, int] = field(default_factory=dict)
    abandons: dict[str, int] = field(default_factory=dict)
    openings: dict[str, Opening] = field(default_factory=dict)
    release: Release | None = None
    cancelled: bool = False

    @property
    def quorum(self) -> int:
        """q of the plan."""
        return self.terms.quorum

    @property
    def is_over(self) -> bool:
        """Whether so many have abandoned that q agreements cannot come together."""
        return len(self.abandons) > len(self.terms.auditors) - self.quorum

    def operators_of(self, names: Iterable[Name]) -> int:
        """Count independent operators."""
        return len({self.members.operators[node] for node, _, _ in names})

    def small_groups(self, names: Iterable[Name]) -> set[str]:
        """Find the nodes of any group that a table shows and that is too small."""
        nodes = {node for node, _, _ in names}
        found: set[str] = set()
        for table in self.body["tables"]:
            for attribute, values in table.get("where", {}).items():
                groups = {
                    value: {node for node in nodes if self.members.attributes[node].get(attribute) == value}
                    for value in values
                    if attribute in ("county", "school_type")
                }
                for group in groups.values():
                    found |= group if 0 < len(group) < self.terms.min_group else set()
        return found


class Judge:
    """Reads one log.

    Attributes:
        size: entries read.
        rounds: by id.
        revoked: node or auditor → position.
    """

    def __init__(self) -> None:
        self.size = 0
        self.members: Members | None = None
        self.rounds: dict[bytes, Sitting] = {}
        self.revoked: dict[str, int] = {}
        self.last_report: dict[str, bytes] = {}

    def feed(self, data: bytes, body: bytes) -> None:
        """Take the next entry.

        Raises:
            Violation: it must not stand here.
        """
        entry = entries.parse_entry(data)
        statement, digest = entry.statement, entry.digest
        signers = [signature.name for signature in entry.note.signatures]
        if isinstance(statement, Roster):
            self._roster(statement, digest, body, signers)
        elif isinstance(statement, Plan):
            self._plan(statement, digest, body)
        elif isinstance(statement, Revoke):
            self.revoked[statement.id] = self.size
        elif getattr(statement, "round", None) in self.rounds:
            self._of_round(self.rounds[statement.round], statement, digest, body, entry.note.text)  # type: ignore[union-attr]
        self.size += 1

    def _roster(self, roster: Roster, digest: bytes, body: bytes, signers: list[str]) -> None:
        value = json.loads(body)
        before = self.members
        if before is not None:
            known = {key.split("+")[0] for key in before.auditors.values()}
            found = len(known.intersection(signers))
            hold(
                found >= before.quorum,
                "roster-quorum",
                f"{found} signatures, {before.quorum} before it asked",
            )
        for n, t, f, q in value["tuples"]:
            ok = t > (n + f) / 2 and q > (n + f) / 2 and q >= t > f
            hold(ok, "roster-tuple", f"({n},{t},{f},{q}) lets two sets be opened")
        self.members = Members(
            {tuple(row) for row in value["tuples"]},
            roster.quorum,
            {row["id"]: row["operator"] for row in value["nodes"]},
            {row["id"]: row["attributes"] for row in value["nodes"]},
            {row["id"]: row["report"] for row in value["nodes"]},
            {row["id"]: row["statement"] for row in value["auditors"]},
            digest,
        )

    def _plan(self, plan: Plan, digest: bytes, body: bytes) -> None:
        members = self.members
        row = (len(plan.auditors), plan.threshold, plan.collude, plan.quorum)
        hold(members is not None and row in members.tuples, "plan-tuple", f"{row} is not allowed")
        hold(plan.min_reports >= 5, "plan-min-reports", f"{plan.min_reports} in a plan")
        if members is not None:
            known = set(plan.auditors) <= set(members.auditors)
            hold(known and plan.roster == members.digest, "plan-roster", "auditors or roster of another plan")
            self.rounds[digest] = Sitting(digest, plan, json.loads(body), members)

    def _of_round(self, row: Sitting, statement: Any, digest: bytes, body: bytes, text: str) -> None:
        if isinstance(statement, Approval):
            hold(statement.auditor not in row.approvals, "second-approval", f"{statement.auditor} in one log")
            row.approvals[statement.auditor] = digest, text, statement
        elif isinstance(statement, Report):
            self._report(row, statement, digest)
        elif isinstance(statement, Candidates):
            self._candidates(row, statement, digest, body)
        elif isinstance(statement, Checked):
            named = {_name(value) for value in json.loads(body)["refused"]}
            hold(row.close is None, "late-check", f"a check of {statement.auditor} after the close")
            hold(statement.auditor not in row.checked, "second-checked", f"{statement.auditor} in one log")
            row.checked[statement.auditor] = digest, named
        elif isinstance(statement, Close):
            self._close(row, statement, digest, body)
        elif isinstance(statement, Agreement | Abandon):
            self._vote(row, statement)
        elif isinstance(statement, Opening):
            self._opening(row, statement)
        elif isinstance(statement, Release):
            self._release(row, statement)
        elif isinstance(statement, Cancel):
            row.cancelled = True

    def _report(self, row: Sitting, report: Report, digest: bytes) -> None:
        hold(report.node in row.members.operators, "stranger", f"a report of {report.node}")
        hold(report.node not in self.revoked, "revoked", f"a report of {report.node}")
        hold(row.candidates is None, "late-report", f"{report.node} after the candidates")
        hold(len(row.approvals) == len(row.terms.auditors), "early-report", "before all approvals")
        texts = [row.approvals[name][1].encode() for name in row.terms.auditors if name in row.approvals]
        apr = hashlib.sha256(b"".join(len(text).to_bytes(4, "big") + text for text in texts)).digest()
        is_same = report.approvals == apr and report.roster == row.members.digest
        hold(is_same, "report-of-another-round", f"{report.node} names other approvals or another roster")
        before = [name for _, name, _ in row.reports if name[0] == report.node]
        hold(report.attempt == len(before) <= 3, "attempt", f"{report.node} sent {report.attempt}")
        previous = self.last_report.get(report.node, bytes(32))
        hold(report.previous == previous, "report-chain", f"{report.node} names another report before it")
        self.last_report[report.node] = digest
        row.reports.append((self.size, (report.node, report.attempt, digest), report))

    def _candidates(self, row: Sitting, statement: Candidates, digest: bytes, body: bytes) -> None:
        hold(row.candidates is None, "second-candidates", "in one log")
        named = tuple(_name(value) for value in json.loads(body)["reports"])
        hold(named == self.expected_candidates(row, self.size), "candidates", "not the function of the log")
        hold(statement.log_size == self.size, "candidates", "another log size")
        row.candidates = digest, named

    def expected_candidates(self, row: Sitting, size: int) -> tuple[Name, ...]:
        """Compute what candidates must be at a size: of each unrevoked node its newest report."""
        newest: dict[str, Name] = {}
        for position, name, _ in row.reports:
            if position < size and self.revoked.get(name[0], size) >= size:
                newest[name[0]] = max(name, newest.get(name[0], name), key=lambda item: item[1])
        return tuple(newest[node] for node in sorted(newest))

    def _close(self, row: Sitting, close: Close, digest: bytes, body: bytes) -> None:
        hold(row.close is None, "second-close", "in one log")
        named = {name for name, _ in close.checked}
        hold(len(named) >= row.quorum, "close-quorum", f"{len(named)} checks, {row.quorum} needed")
        same = all(row.checked.get(name, (b"",))[0] == check for name, check in close.checked)
        hold(same, "close-checks", "names a check that is not in the log")
        refused = set().union(*(row.checked[name][1] for name in named))
        candidates = row.candidates[1] if row.candidates else ()
        expected = tuple(name for name in candidates if name not in refused)
        found = tuple(_name(value) for value in json.loads(body)["set"])
        hold(found == expected, "S", "is not the candidates without what the named checks refuse")
        count = row.operators_of(found)
        hold(count >= row.terms.min_reports, "min-reports", f"{count} operators in a close")
        row.close, row.chosen = (digest, close), found

    def _vote(self, row: Sitting, vote: Agreement | Abandon) -> None:
        voted = vote.auditor in row.agreements or vote.auditor in row.abandons
        hold(not voted, "second-vote", f"{vote.auditor} in one log")
        if isinstance(vote, Agreement):
            same = row.close is not None and vote.close == row.close[0]
            hold(same, "vote", f"{vote.auditor} agrees to another close")
        (row.agreements if isinstance(vote, Agreement) else row.abandons)[vote.auditor] = self.size

    def _opening(self, row: Sitting, opening: Opening) -> None:
        same = row.close is not None and opening.close == row.close[0]
        hold(same, "opening-close", f"{opening.auditor} opens for another close")
        agreed = len(row.agreements)
        hold(agreed >= row.quorum, "opening-quorum", f"{agreed} agreements, {row.quorum} needed")
        first = opening.auditor not in row.openings and opening.auditor not in row.abandons
        hold(first, "second-opening", f"{opening.auditor} in one log")
        row.openings[opening.auditor] = opening

    def _release(self, row: Sitting, release: Release) -> None:
        hold(row.release is None, "second-release", "in one log")
        named = [row.openings[name] for name, _ in release.openings if name in row.openings]
        hold(len(named) >= row.terms.threshold, "release-openings", f"{len(named)} openings")
        sums: dict[int, bytes] = {}
        if release.status == "ok":
            agree = all(
                sums.setdefault(subset, digest) == digest for row_ in named for subset, digest in row_.sums
            )
            hold(agree, "replicas", "a release rests on openings that disagree")
        row.release = release


def _name(value: list[Any]) -> Name:
    return value[0], value[1], bytes.fromhex(value[2])
