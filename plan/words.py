"""Words for the stable codes that commands show: states, reasons, statements, checks.

Programs read the codes; people read `word(code, translate)`. The English words are message ids of the
catalogue. A code that has no word here is shown as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final


def _(message: str) -> str:
    """Mark a word for the translation catalogue; the command line translates it."""
    return message


ROUND_STATES: Final[Mapping[str, str]] = {
    "draft": _("draft"),
    "approved": _("approved"),
    "collecting": _("collecting"),
    "checking": _("checking"),
    "agreed": _("agreed"),
    "unsealed": _("unsealed"),
    "released": _("released"),
    "aborted": _("aborted"),
}
"""States of a round."""

REASONS: Final[Mapping[str, str]] = {
    "waiting-for-approvals": _("waiting for approvals"),
    "not-yet-open": _("the window has not begun"),
    "waiting-for-reports": _("waiting for reports"),
    "waiting-for-extension": _("waiting for the auditors to grant a later deadline"),
    "waiting-for-checks": _("waiting for checks"),
    "waiting-for-more-checks": _("waiting a while for the remaining checks"),
    "checks-disagree": _("an auditor refuses so many reports that the round cannot be closed with its check"),
    "waiting-for-agreements": _("waiting for agreements"),
    "waiting-for-openings": _("waiting for openings"),
    "waiting-for-more-openings": _("waiting a while for the remaining openings"),
    "replica-mismatch": _("the returned sums disagree"),
    "expired-before-approval": _("expired before it was approved"),
    "too-few-reports": _("too few reports"),
    "group-too-small": _("a group of schools is too small"),
    "abandoned": _("abandoned by its auditors"),
    "cancelled": _("ended by the county"),
    "reissued": _("replaced by another plan"),
    "corrupt": _("the sum is out of all bounds"),
    "released": _("released"),
    "at-work": _("at work"),
}
"""Why a round waits or has ended."""

CHANGE_REASONS: Final[Mapping[str, str]] = {
    "schools-missing": _("schools are missing"),
    "holiday": _("holidays"),
    "technical-fault": _("a technical fault"),
    "auditor-away": _("an auditor is away"),
    "wrong-terms": _("the plan's terms were wrong"),
    "expired": _("the plan expired"),
    "no-longer-needed": _("no longer needed"),
    "reissued": _("replaced by another plan"),
    "school-miscounted": _("a school had miscounted"),
    "wrong-codebook": _("a codebook was wrong"),
    "wrong-records": _("records were wrong"),
    "replaced": _("newer numbers take their place"),
    "other": _("another reason, told by the county itself"),
}
"""Why the county moves a deadline, ends a round or corrects a release."""

STANDINGS: Final[Mapping[str, str]] = {
    "valid": _("valid"),
    "corrected": _("corrected"),
    "withdrawn": _("withdrawn"),
}
"""How a release is to be read."""

REPORT_STATES: Final[Mapping[str, str]] = {
    "waiting": _("not yet in the log"),
    "logged": _("logged"),
    "cosigned": _("logged and cosigned"),
    "in-set": _("part of the sum"),
    "excluded": _("left out of the sum"),
    "superseded": _("replaced by a newer one"),
    "released": _("part of the released sum"),
    "dead": _("the round ended without a sum"),
    "lost": _("in the log, but no longer on this computer"),
}
"""Where a school's report stands."""

ROLE_WORDS: Final[Mapping[str, str]] = {
    "it": _("school IT"),
    "psychologist": _("psychology teacher"),
    "principal": _("releasing principal"),
}
"""The local roles of a school."""

DECISIONS: Final[Mapping[str, str]] = {
    "approve": _("approved and released"),
    "hold": _("held back"),
    "decline": _("declined"),
}
"""What a principal decided of a round."""

RETENTION_CLASSES: Final[Mapping[str, str]] = {
    "records": _("pupils' records"),
    "follow_up": _("entries of the follow-up"),
    "sealed_files": _("sealed hand-over files"),
    "payloads": _("the bytes of reports"),
    "journal": _("the journal"),
    "master": _("the node's secret"),
}
"""What is kept for a number of days."""

RECEIPTS: Final[Mapping[str, str]] = {
    "immediate": _("signed by the log"),
    "cosigned": _("cosigned by auditors"),
}
"""Kinds of receipts."""

STATEMENTS: Final[Mapping[str, str]] = {
    "roster": _("federation roster"),
    "revoke": _("revocation"),
    "plan": _("plan"),
    "approval": _("approval"),
    "report": _("report"),
    "candidates": _("candidates"),
    "checked": _("check"),
    "close": _("close"),
    "agreement": _("agreement"),
    "abandon": _("abandonment"),
    "opening": _("opening"),
    "release": _("release"),
    "replayed": _("replay"),
    "extension": _("extension"),
    "extended": _("extension granted"),
    "cancel": _("end by the county"),
    "correction": _("correction"),
}
"""Types of statements in the log."""

EVENTS: Final[Mapping[str, str]] = {
    **STATEMENTS,
    "cosigned": _("cosigned"),
    "destroyed": _("keys destroyed"),
    "renewed": _("renewed"),
    "waiting": _("waiting"),
    "refused": _("refused"),
    "error": _("error"),
}
"""What an auditor's watch tells."""

CHECKS: Final[Mapping[str, str]] = {
    "manifest": _("list of files"),
    "policy": _("policy"),
    "checkpoint": _("checkpoint"),
    "tree": _("tree"),
    "bodies": _("bodies"),
    "genesis": _("genesis"),
    "entries": _("entries"),
    "rosters": _("rosters"),
    "head": _("kept checkpoint"),
    "plans": _("plans"),
    "approvals": _("approvals"),
    "reports": _("reports"),
    "receipts": _("receipts"),
    "candidates": _("candidates"),
    "checked": _("checks"),
    "close": _("closes"),
    "votes": _("votes"),
    "openings": _("openings"),
    "changes": _("changes"),
    "vectors": _("vectors"),
    "sums": _("mask sums"),
    "arithmetic": _("arithmetic"),
    "noise": _("noise"),
    "rho": _("cost"),
    "account": _("account"),
    "results": _("results"),
    "canonical": _("one form"),
    "replays": _("replays"),
    "kept": _("what was kept"),
    "shown": _("what is shown now"),
    "extends": _("the kept log, continued"),
    "rules": _("rules"),
}
"""Checks of a bundle, and of a log against one that was kept."""

REPLAY_CHECKS: Final[Mapping[str, str]] = {
    "journal": _("journal"),
    "plan": _("plan"),
    "master": _("master secret"),
    "approvals": _("approvals"),
    "records": _("records"),
    "tables": _("tables"),
    "vector": _("vector"),
    "seeds": _("seeds"),
    "input": _("input"),
    "bytes": _("bytes sent"),
    "header": _("header"),
    "log": _("log"),
}
"""Checks of a replay."""

TRIAL_CHECKS: Final[Mapping[str, str]] = {
    "wall": _("the wall stands on every side"),
    "planted": _("planted pupils were imported and counted"),
    "search": _("the search finds every planted spelling"),
    "sent": _("what left the vault is what arrived"),
    "pipe": _("pipe of the vault: reports of one length, nothing planted"),
    "wire": _("on the line and inside TLS: nothing planted"),
    "carried": _("files for a stick: nothing planted"),
    "lines": _("output, errors, running.json: nothing planted"),
    "crash": _("aborted and fed with garbage: no core file, no value"),
    "files": _("files of the node: nothing planted readable"),
    "identifiers": _("no ID number, phone number or name of any kind"),
    "fresh": _("a K of its own, drawn for this rehearsal"),
    "import": _("made-up pupils imported"),
    "counts": _("the vault counts as the program outside does"),
    "expected": _("the vault counts as the auditor does"),
    "header": _("header: this round, this program, signed"),
    "size": _("length: exactly what the plan makes it"),
    "opened": _("every box opens and fits the header"),
    "noise": _("opened minus expected: within the noise's bounds"),
    "spread": _("the noise scatters as much as it should"),
    "again": _("asked again: the same bytes"),
    "replay": _("the replay passes"),
}
"""Checks of `selftest` and `rehearse`."""

TRIALS: Final[Mapping[str, str]] = {
    "replay": _("replay of the report"),
    "rehearse": _("rehearsal with made-up pupils"),
    "selftest": _("self-test with planted pupils"),
}
"""What a visit is made of."""

TRIAL_NOTES: Final[Mapping[str, str]] = {
    "missing": _("an earlier check failed"),
    "no-expected-json": _(
        "the auditor brought no expected.json: compared with this program's own count only"
    ),
    "no-restart": _("the report was not sent, so nothing was restarted"),
    "not-on-this-system": _("not possible on this operating system"),
}
"""Why a check of a trial was not made."""

TRIP_ITEMS: Final[Mapping[str, str]] = {
    "cosignature": _("cosignature"),
    "roster-line": _("signature under a roster"),
    "statement": _("statement"),
    "opening": _("opening"),
    "trip-key": _("request for vectors"),
}
"""What an auditor's answer on a stick holds."""

PARTIES: Final[Mapping[str, str]] = {
    "node": _("node"),
    "auditor": _("auditor"),
    "production": _("production"),
    "demo": _("demonstration"),
}
"""Roles, and kinds of federations."""

VERDICTS: Final[Mapping[str, str]] = {
    "good": _("good"),
    "fair": _("fair"),
    "poor": _("poor"),
    "useless": _("useless"),
}
"""How much of a table will be readable."""


def word(table: Mapping[str, str], code: str, translate: Callable[[str], str]) -> str:
    """Give the word for a code in the reader's language; `translate` is a gettext function."""
    return translate(table[code]) if code in table else code
