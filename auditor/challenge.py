"""Which schools are replayed in a round, from an auditor's own copy of the log or from a verified bundle.

The draw itself is `protos.challenge`; nothing here needs a key, so inspectors without keys make the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from auditor.config import AuditorFolder
from auditor.enrol import load_card
from auditor.errors import RefusalError
from auditor.mirror import Mirror
from auditor.policy import AuditorPolicy
from auditor.verify import log as log_checks
from auditor.verify.bundle_files import BundleFiles, check_manifest
from auditor.verify.log import BundleLog
from auditor.verify.outcome import Outcome, Verdict
from plan.errors import phrase
from protos.bodies import ReportName
from protos.challenge import (
    Challenge,
    ChallengeError,
    challenge_of,
    odds,
    odds_against_county,
    replays_needed,
)
from protos.ledger import Ledger, RoundLog

ONE_CHEATER_IN = 30
MIN_PREFIX = 4
SHOWN_DIGITS, MOST_LISTED = 8, 12  # what a refusal lists of a log's rounds


@dataclass(frozen=True, slots=True)
class Selection:
    """A draw and what it is worth.

    Attributes:
        round_id: the round.
        challenge: what was drawn from.
        schools: the schools drawn, in the order drawn.
        cheaters: how many schools are taken to cheat in the odds below.
        found: probability that at least one of them is among `schools`.
        found_at_least: the same where the county picked the draw that suits them best.
    """

    round_id: bytes
    challenge: Challenge
    schools: tuple[ReportName, ...]
    cheaters: int
    found: Fraction
    found_at_least: Fraction


def ledger_of_folder(folder: AuditorFolder) -> Ledger:
    """Read an auditor's own copy of the log; nobody is asked."""
    return Mirror(folder.mirror, load_card(folder)).ledger


def ledger_of_bundle(folder: Path, policy: AuditorPolicy) -> Ledger:
    """Read the log of a bundle, and check it as `auditor verify` does.

    Raises:
        RefusalError: a check of the log does not pass; what is in the bundle is not believed.
    """
    files = BundleFiles(folder)
    log, verdict = BundleLog(files, policy), Verdict()
    verdict.run("manifest", partial(check_manifest, files))
    for name, check in (
        ("policy", log_checks.check_policy),
        ("checkpoint", log_checks.check_checkpoint),
        ("tree", log_checks.check_tree),
        ("bodies", log_checks.check_bodies),
        ("genesis", log_checks.check_genesis),
        ("entries", log_checks.check_entries),
        ("rosters", log_checks.check_rosters),
    ):
        verdict.run(name, partial(check, log))
    for row in verdict.checks:
        if row.outcome is not Outcome.PASS:
            raise RefusalError(
                "bundle",
                phrase(
                    "the bundle's check %(name)s does not pass (%(reason)s); run 'auditor verify' on it",
                    name=row.name,
                    reason=row.phrase,
                ),
            )
    return log.whole_ledger()


def find_round(ledger: Ledger, prefix: str) -> RoundLog:
    """Find a round by the first digits of its id.

    Raises:
        RefusalError: none, or several begin with them.
    """
    found = [row for round_id, row in ledger.rounds.items() if round_id.hex().startswith(prefix.lower())]
    if len(prefix) < MIN_PREFIX or len(found) != 1:
        raise RefusalError(
            "which-round",
            phrase(
                "%(number)s rounds of this log begin with %(prefix)s; give four digits or more that name one "
                "of these: %(rounds)s",
                number=len(found),
                prefix=prefix[:64],
                rounds=_listed(ledger),
            ),
        )
    return found[0]


def _listed(ledger: Ledger) -> str:
    """Name the newest rounds of a log by the first digits of their ids, with their serials."""
    rows = [f"{found.hex()[:SHOWN_DIGITS]} ({row.terms.serial})" for found, row in ledger.rounds.items()]
    return ", ".join(rows[-MOST_LISTED:]) or "-"


def find_challenge(round_log: RoundLog) -> Challenge:
    """Give a round's draw.

    Raises:
        RefusalError: there is none yet.
    """
    try:
        return challenge_of(round_log)
    except ChallengeError as err:
        raise RefusalError("no-draw", phrase("no draw yet: %(reason)s", reason=err)) from err


def select(
    round_log: RoundLog, number: int | None, probability: Fraction | None, cheaters: int | None
) -> Selection:
    """Draw so many schools, or as many as find one of the cheaters with a probability.

    Args:
        round_log: the round.
        number: how many; None for as many as `probability` needs.
        probability: above 0 and below 1; None for 9/10.
        cheaters: None for one school in thirty, at least one.

    Raises:
        RefusalError: there is no draw yet, or the numbers do not fit the set.
    """
    challenge = find_challenge(round_log)
    size = len(challenge.schools)
    assumed = max(1, -(-size // ONE_CHEATER_IN)) if cheaters is None else cheaters
    try:
        chosen = number or replays_needed(size, assumed, probability or Fraction(9, 10))
        drawn = challenge.draw(chosen)
        found = odds(size, assumed, chosen)
    except ChallengeError as err:
        raise RefusalError("odds", phrase("these numbers do not fit: %(reason)s", reason=err)) from err
    at_least = odds_against_county(size, assumed, chosen, challenge.num_draws)
    return Selection(round_log.round_id, challenge, drawn, assumed, found, at_least)


def selection_values(selection: Selection) -> dict[str, Any]:
    """Give a selection as JSON values, with all that is needed to make it again."""
    challenge = selection.challenge
    return {
        "round": selection.round_id.hex(),
        "close": challenge.close.hex(),
        "seed": challenge.seed.hex(),
        "revealed": {name: draw.hex() for name, draw in challenge.revealed.items()},
        "late": list(challenge.late),
        "withheld": list(challenge.withheld),
        "population": len(challenge.schools),
        "number": len(selection.schools),
        "cheaters": selection.cheaters,
        "found": round(float(selection.found), 4),
        "draws": challenge.num_draws,
        "found_at_least": round(float(selection.found_at_least), 4),
        "schools": [
            {"node": row.node, "attempt": row.attempt, "report": row.digest.hex()}
            for row in selection.schools
        ],
    }
