"""Check an auditor's challenge before it is answered: who signed it, whom it asks, whether the log drew it.

1. it is of this federation, and signed by an auditor of the roster in force;
2. it asks this node, for a report of this node that stands in the log;
3. its close is the round's, and this node's place in it is the one that this node draws itself from the log.

A node whose copy of the log does not reach to the release cannot draw, and says so.
Spec: docs/on-site-audit.md.
"""

from __future__ import annotations

from typing import Any

from node.vault.errors import ReplayError, _
from node.vault.parts import Parts
from protos.challenge import ChallengeError, challenge_of
from protos.errors import ProtocolError
from protos.round_log import RoundLog
from protos.site_visit import SiteChallenge, SiteSchool, parse_challenge, verify_signed

UNKNOWN, DRAWN, ASKED = "unknown", "drawn", "asked"


def check_visit(parts: Parts, data: bytes) -> dict[str, Any]:
    """Check a challenge; give what the visit is about.

    Raises:
        ReplayError: it is not for this node, or not what it says; the code says which.
    """
    try:
        challenge, note = parse_challenge(data)
        ledger = parts.mirror.ledger
        auditor = ledger.roster.body.auditor(challenge.auditor)
        is_own = challenge.federation == parts.card.federation
        if auditor is None or not is_own or challenge.auditor in ledger.revoked_auditors:
            raise _refuse("not-an-auditor")
        verify_signed(note, auditor.statement)
    except ProtocolError as err:
        raise _refuse("bad-challenge") from err
    school = challenge.school(parts.identity.node)
    round_log = parts.mirror.ledger.rounds.get(challenge.round)
    if school is None or round_log is None:
        raise _refuse("not-asked" if school is None else "no-such-round")
    logged = round_log.reports.get((school.node, school.attempt))
    if logged is None or logged.digest != school.report:
        raise _refuse("another-report")
    return {
        "federation": challenge.federation,
        "auditor": challenge.auditor,
        "node": school.node,
        "round": challenge.round.hex(),
        "attempt": school.attempt,
        "report": school.report.hex(),
        "draw": _draw(round_log, challenge, school),
        "trials": list(challenge.trials),
    }


def _draw(round_log: RoundLog, challenge: SiteChallenge, school: SiteSchool) -> str:
    """Say whether this node was drawn, asked without a draw, or cannot tell.

    Raises:
        ReplayError: the challenge claims another draw than the log gives.
    """
    try:
        own = challenge_of(round_log)
        drawn = [row.node for row in own.draw(challenge.number)] if challenge.number else []
    except ChallengeError:
        return UNKNOWN
    place = drawn.index(school.node) + 1 if school.node in drawn else 0
    if own.close != challenge.close or place != school.place:
        raise _refuse("not-drawn")
    return DRAWN if place else ASKED


def _refuse(code: str) -> ReplayError:
    return ReplayError(
        _("this challenge is not one that this school has to answer (%(code)s)"),
        _("Ask the auditor for the file that 'auditor site prepare' wrote for this school."),
        code=code,
        details={"code": code},
    )
