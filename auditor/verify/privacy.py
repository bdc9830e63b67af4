"""Checks of what the rounds cost the pupils: noise, rho, and the school year's account of every node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

from auditor.plan_view import view_plan
from auditor.result_files import result_files
from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckFailed, CheckSkipped
from auditor.verify.round import name_of, released, with_not_judged
from plan.errors import Phrase, phrase
from plan.published import thresholds_sha256
from privacy.year_account import Charge, spent
from protos.ledger import Ledger, RoundLog
from protos.lineage import lineage, successions


def _rounds(log: BundleLog) -> list[RoundLog]:
    rounds = list(log.whole_ledger().rounds.values())
    if not rounds:
        raise CheckSkipped(phrase("the log has no round"))
    return rounds


def check_noise(log: BundleLog) -> Phrase:
    """Recompute scale, variance and thresholds of every table from the plan alone."""
    number = 0
    for row in _rounds(log):
        view = view_plan(row.terms, row.plan.body)
        if row.terms.noise != view.noise or row.terms.steps != view.steps:
            raise CheckFailed(
                phrase("%(row)s: the noise lines are not those that follow from the plan", row=name_of(row))
            )
        for table, _, s2, thresholds in (*row.terms.noise, *row.terms.steps):
            if thresholds_sha256(s2) != thresholds:
                raise CheckFailed(
                    phrase(
                        "%(row)s, table %(table)s: not the thresholds of s2 = %(s2)s",
                        row=name_of(row),
                        table=table,
                        s2=s2,
                    )
                )
        number += len(row.terms.noise)
    return phrase("%(number)s tables", number=number)


def check_rho(log: BundleLog) -> Phrase:
    """Recompute every round's cost; plan and release must say as much, the policy where all approved it."""
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
        if row.is_approved and row.terms.rho > policy.max_rho:
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
    return with_not_judged(log, rounds, phrase("%(num_rounds)s rounds", num_rounds=len(rounds)))


def check_account(log: BundleLog) -> Phrase:
    """Recompute the account of every node and school year from the log, as the node's vault does.

    A node's account is the sum over the *union by round id* of its own reports' rounds and of those of every
    node that it succeeds by any roster of the chain: a pupil is in one report of a round, so a round counts
    once for those who moved. Several attempts are one round, and an abandoned round costs nothing.
    """
    policy = log.required_policy()
    accounts = year_accounts(log.whole_ledger(), _rounds(log))
    if not accounts:
        raise CheckSkipped(phrase("no reports to account for"))
    for (node, year), total in accounts.items():
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
    return phrase(
        "%(num_spent)s accounts, at most rho %(most)s of %(max_rho_year)s",
        num_spent=len(accounts),
        most=f"{float(max(accounts.values())):.6g}",
        max_rho_year=policy.max_rho_year,
    )


def year_accounts(ledger: Ledger, rounds: Sequence[RoundLog]) -> dict[tuple[str, str], Fraction]:
    """Compute what each school year has cost each node's pupils, by (node, school year), sorted."""
    charges: dict[str, list[Charge]] = defaultdict(list)
    for row in rounds:
        if not row.is_refundable:
            view = view_plan(row.terms, row.plan.body)
            charge = Charge(row.round_id, view.document.school_year, view.rho)
            for node in {node for node, _ in row.reports}:
                charges[node].append(charge)
    succeeds = successions(state.body for state in ledger.roster_chain)
    accounts: dict[tuple[str, str], Fraction] = {}
    for node in sorted({*charges, *succeeds}):
        known = [charge for name in lineage(succeeds, node) for charge in charges.get(name, ())]
        for year in sorted({charge.school_year for charge in known}):
            accounts[node, year] = spent((), known, year)
    return accounts


def check_results(log: BundleLog) -> Phrase:
    """Recompute every result file from log and plan, and compare byte for byte."""
    expected: dict[str, bytes] = {}
    for row in released(log.whole_ledger().rounds.values()):
        files = result_files(row)
        expected |= {f"results/{row.round_id.hex()}/{path}": data for path, data in files.items()}
    extra = [path for path in log.files.under("results") if path not in expected]
    if extra:
        raise CheckFailed(phrase("%(extra)s: belongs to no release", extra=extra[0]))
    if not expected:
        raise CheckSkipped(phrase("no round is released"))
    for path, data in expected.items():
        if log.files.read(path) != data:
            raise CheckFailed(phrase("%(path)s: not what follows from the release", path=path))
    return phrase("%(num_expected)s files", num_expected=len(expected))
