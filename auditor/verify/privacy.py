"""Checks of what the rounds cost the pupils: noise, rho, and the school year's account of every node."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

from auditor.plan_view import view_plan
from auditor.result_files import result_files
from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckFailed, CheckSkipped
from auditor.verify.round import name_of, released
from plan.errors import Phrase, phrase
from plan.published import thresholds_sha256
from protos.bodies import RosterBody
from protos.ledger import RoundLog


def _rounds(log: BundleLog) -> list[RoundLog]:
    rounds = list(log.whole_ledger().rounds.values())
    if not rounds:
        raise CheckSkipped(phrase("the log has no round"))
    return rounds


def check_noise(log: BundleLog) -> Phrase:
    """Recompute scale, variance and thresholds of every table from the plan alone."""
    number = 0
    for row in _rounds(log):
        expected = view_plan(row.terms, row.plan.body).noise
        if row.terms.noise != expected:
            raise CheckFailed(
                phrase("%(row)s: the noise lines are not those that follow from the plan", row=name_of(row))
            )
        for table, _, s2, thresholds in row.terms.noise:
            if thresholds_sha256(s2) != thresholds:
                raise CheckFailed(
                    phrase(
                        "%(row)s, table %(table)s: not the thresholds of s2 = %(s2)s",
                        row=name_of(row),
                        table=table,
                        s2=s2,
                    )
                )
            number += 1
    return phrase("%(number)s tables", number=number)


def check_rho(log: BundleLog) -> Phrase:
    """Recompute every round's cost; plan, release and policy must say as much."""
    policy = log.required_policy()
    rounds = _rounds(log)
    for row in rounds:
        cost = view_plan(row.terms, row.plan.body).rho
        if cost > row.terms.rho:
            raise CheckFailed(
                phrase(
                    "%(row)s: costs rho %(cost)s, the plan says %(rho)s",
                    row=name_of(row),
                    cost=f"{float(cost):.6g}",
                    rho=row.terms.rho,
                )
            )
        if row.terms.rho > policy.max_rho:
            raise CheckFailed(
                phrase(
                    "%(row)s: rho %(rho)s, the policy allows %(max_rho)s",
                    row=name_of(row),
                    rho=row.terms.rho,
                    max_rho=policy.max_rho,
                )
            )
        if row.release is not None and row.release.statement.rho != row.terms.rho:
            raise CheckFailed(
                phrase("%(row)s: the release states another rho than the plan", row=name_of(row))
            )
    return phrase("%(num_rounds)s rounds", num_rounds=len(rounds))


def check_account(log: BundleLog) -> Phrase:
    """Add up what every node's reports cost in each school year, its predecessors' included."""
    policy = log.required_policy()
    rounds = _rounds(log)
    latest = log.whole_ledger().roster.body
    spent: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for row in rounds:
        if row.is_refundable:
            continue
        view = view_plan(row.terms, row.plan.body)
        for node in {node for node, _ in row.reports}:
            spent[(node, view.document.school_year)] += view.rho
    if not spent:
        raise CheckSkipped(phrase("no reports to account for"))
    for node, year in spent:
        lineage = predecessors(latest, node)
        total = sum((spent.get((name, year), Fraction(0)) for name in lineage), Fraction(0))
        if total > policy.max_rho_year:
            raise CheckFailed(
                phrase(
                    "%(node)s: rho %(total)s in %(year)s, the policy allows %(max_rho_year)s",
                    node=node,
                    total=f"{float(total):.6g}",
                    year=year,
                    max_rho_year=policy.max_rho_year,
                )
            )
    most = max(spent.values())
    return phrase(
        "%(num_spent)s accounts, at most rho %(most)s of %(max_rho_year)s",
        num_spent=len(spent),
        most=f"{float(most):.6g}",
        max_rho_year=policy.max_rho_year,
    )


def predecessors(roster: RosterBody, node_id: str) -> set[str]:
    """Return a node and every node that it succeeds, directly or not."""
    found, waiting = set(), [node_id]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            node = roster.node(name)
            waiting += node.succeeds if node else ()
    return found


def check_results(log: BundleLog) -> Phrase:
    """Recompute every result file from log and plan, and compare byte for byte."""
    expected: dict[str, bytes] = {}
    for row in released(_rounds(log)):
        files = result_files(row)
        expected |= {f"results/{row.round_id.hex()}/{path}": data for path, data in files.items()}
    if not expected:
        raise CheckSkipped(phrase("no round is released"))
    for path, data in expected.items():
        if log.files.read(path) != data:
            raise CheckFailed(phrase("%(path)s: not what follows from the release", path=path))
    extra = [path for path in log.files.under("results") if path not in expected]
    if extra:
        raise CheckFailed(phrase("%(extra)s: belongs to no release", extra=extra[0]))
    return phrase("%(num_expected)s files", num_expected=len(expected))
