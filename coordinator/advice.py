"""What the county can do next: for every reason why a round waits or has ended, and for every refusal.

Programs read the codes; people read the words. `advice_for` speaks of rounds, `refusal_advice` of commands.
A code without an entry is a defect that a test finds (tests/coordinator/test_advice.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _(message: str) -> str:
    """Mark a sentence for the translation catalogue; the command line translates it."""
    return message


ROUND_ADVICE: Final[Mapping[str, str]] = {
    "waiting-for-approvals": _(
        "Ask the auditors named to look at the plan ('auditor approve'). If one of them cannot: 'round "
        "reissue' "
        "with other auditors or another tuple."
    ),
    "not-yet-open": _("Nothing to do yet. Schools can import and look at their preview in the meantime."),
    "waiting-for-reports": _(
        "Telephone the schools that are missing: 'round missing' writes the list and what to say. Needs a "
        "later deadline? Ask for it before this one ends: 'round extend'."
    ),
    "waiting-for-extension": _(
        "Too few schools have reported, and the deadline has passed. Ask the auditors named to grant the "
        "later "
        "one ('auditor extend'); without their quorum the round ends."
    ),
    "waiting-for-checks": _(
        "The auditors named have not checked the reports. See that their 'auditor watch' runs and "
        "reaches this "
        "coordinator."
    ),
    "waiting-for-more-checks": _("Nothing to do: the round goes on by itself when the waiting time is over."),
    "checks-disagree": _(
        "Telephone the auditors named: why do they refuse? If they are wrong, close over the checks of the "
        "others ('round leave-out'). If they are right, do nothing: the round ends when the keys' time "
        "is over, "
        "and what schools were charged comes back. Have those schools' nodes mended."
    ),
    "waiting-for-agreements": _(
        "The auditors named have not agreed to the close. See that their 'auditor watch' runs; a quorum is "
        "enough, one may be away."
    ),
    "waiting-for-openings": _(
        "The auditors named have not answered. See that their 'auditor watch' runs before their keys' "
        "time is over."
    ),
    "waiting-for-more-openings": _(
        "Nothing to do: the round goes on by itself when the waiting time is over."
    ),
    "replica-mismatch": _(
        "One of the auditors named has a fault or lies. Ask another auditor of the plan to answer: one more "
        "reply shows who it was. Without one end the round: 'round cancel'."
    ),
    "expired-before-approval": _(
        "The window ended before all auditors had approved. 'round reissue' with a later window, and ask for "
        "the approvals first."
    ),
    "too-few-reports": _(
        "Fewer schools than the plan's floor. Before the deadline: telephone the missing ones, or ask for a "
        "later deadline ('round extend'). Afterwards: end the round ('round cancel'); what schools were "
        "charged "
        "comes back once a quorum of auditors has abandoned; then publish a new plan."
    ),
    "group-too-small": _(
        "A group of schools that a table shows is too small, so that nothing may be opened. End the round "
        "('round cancel'), leave the group out of the tables or join groups, and publish the plan anew."
    ),
    "abandoned": _(
        "Too many auditors have abandoned; the reasons stand beside their names. What schools were charged "
        "comes back once a quorum has. Mend the reason, then publish a new plan."
    ),
    "cancelled": _(
        "The county has ended the round; there is no release. What schools were charged comes back once a "
        "quorum of auditors has abandoned, which they do by themselves."
    ),
    "reissued": _("Another plan has taken its place; go on with that round."),
    "corrupt": _(
        "The opened sum cannot be a sum of schools' reports, so nothing is published and the charge stands. "
        "Keep everything, and have the auditors verify their bundles: one of the parties has a fault or lies."
    ),
    "released": _("Write the results: 'results export'. If a number turns out wrong: 'round correct'."),
    "at-work": _("Nothing to do: the next step is taken by 'coordinator serve'."),
}
"""Advice by the reason's code, of every `coordinator.round.Reason` and of a round at work."""

_SERVER = _("Look at the message; if it stays, restore the folder from its backup.")
_CALLER = _("The other side has to mend this; tell it the message.")
_ASK_AGAIN = _("Ask again later; nothing was changed.")

REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "coordinator": (_("refused"), _SERVER),
    "config": (_("the settings"), _("Mend the line of coordinator.toml that the message names.")),
    "store": (_("the database"), _SERVER),
    "schema-version": (
        _("the database is of another version"),
        _("Use the version that wrote it, or bring it up to date as the message says."),
    ),
    "log-rolled-back": (
        _("the published log is ahead of the database"),
        _("An old copy was restored: stop, keep both, and restore the newest backup."),
    ),
    "certificate": (_("a certificate"), _("Ask the party for a new request file, or renew the certificate.")),
    "enrolment-refused": (
        _("enrolment refused"),
        _("Ask the party for a new request file, and compare its code by telephone."),
    ),
    "token-refused": (
        _("invitation not valid"),
        _("Make a new invitation ('invite --online') and hand it to the school in person or by telephone."),
    ),
    "already-enrolled": (
        _("enrolled already"),
        _("Give the party another id, or have it renew its keys instead of asking anew."),
    ),
    "roster": (_("the roster"), _("Mend what the message names, then propose the roster again.")),
    "roster-unchanged": (
        _("nothing new in the roster"),
        _("Nothing to do: the roster in force says the same."),
    ),
    "no-genesis": (
        _("the federation has not begun"),
        _("Enrol the auditors, propose the first roster, and have all of them sign it."),
    ),
    "unknown-proposal": (
        _("no such roster waits"),
        _("List the waiting rosters again; this one was replaced."),
    ),
    "signature-refused": (_("a signature is not valid"), _CALLER),
    "plan-refused": (
        _("the plan does not fit"),
        _("Mend what the message names; 'plan check' and 'plan explain' look at the file beforehand."),
    ),
    "roster-waits": (
        _("the roster waits for signatures"),
        _(
            "Ask the auditors named to sign it ('auditor sign-roster'); 'roster status' shows who has. Then "
            "publish the plan again."
        ),
    ),
    "year-refused": (
        _("the plans of the year do not go together"),
        _("Leave a plan out or give it a smaller ρ ('plan year' shows the sums), then publish them again."),
    ),
    "unknown-round": (
        _("no such round"),
        _("'round list' shows the rounds and the first digits of their ids."),
    ),
    "not-rostered": (
        _("not on the roster"),
        _("Enrol the party; it takes part from the next roster and plan on."),
    ),
    "caller": (_("the caller's certificate"), _CALLER),
    "wrong-role": (_("a call for another role"), _CALLER),
    "identity-mismatch": (_("the statement of somebody else"), _CALLER),
    "report-refused": (
        _("a damaged report"),
        _("Have the school send it again; if it comes damaged again, update the node."),
    ),
    "report-length": (
        _("a report of another length"),
        _("Update the node: it follows another plan or version."),
    ),
    "element-range": (
        _("a report with an impossible element"),
        _("Update the node; its report is no report."),
    ),
    "round-not-open": (
        _("the round takes no reports yet"),
        _("'round status' says what it waits for: approvals, or the begin of its window."),
    ),
    "round-expired": (
        _("the plan expired"),
        _("The deadline in force has passed. A later one has to be granted before it ends ('round extend')."),
    ),
    "round-closed": (
        _("the round is closed"),
        _("No report counts any more; the school waits for the next plan."),
    ),
    "round-ended": (
        _("the round is too far on"),
        _("'round status' says where it stands and what can still be done."),
    ),
    "already-reported": (
        _("another report stands there"),
        _("The school has to update its copy of the log and look at its status."),
    ),
    "has-reports": (
        _("schools have reported"),
        _("A plan that was answered cannot be exchanged. Close the round, or end it ('round cancel')."),
    ),
    "extension-refused": (
        _("no such later deadline"),
        _("Choose a time within what the message says; a deadline moves three times at most."),
    ),
    "statement-refused": (
        _("against the rules of the log"),
        _("Nothing was written. 'round status' says what may come next."),
    ),
    "already-stated": (_("another statement stands there"), _CALLER),
    "opening-refused": (_("mask sums that do not fit"), _CALLER),
    "schools-missing": (
        _("schools are missing"),
        _("Telephone them ('round missing'), move the deadline ('round extend'), or close without them."),
    ),
    "too-few-reports": (
        _("too few reports"),
        _("Telephone the missing schools ('round missing') or move the deadline ('round extend')."),
    ),
    "group-too-small": (
        _("a group of schools is too small"),
        _("Leave the group out of the tables, join it with another, or enrol more schools of it."),
    ),
    "not-yet-agreed": (_("a quorum has not agreed yet"), _ASK_AGAIN),
    "replica-mismatch": (
        _("the returned sums disagree"),
        _("Ask another auditor of the plan to answer: one more reply shows which one is wrong."),
    ),
    "report": (
        _("the report cannot be written"),
        _("Choose another --format, --class or round, as the message says."),
    ),
    "not-released": (
        _("not released"),
        _("'round status' says what the round waits for, or why it has ended."),
    ),
    "withdrawn": (
        _("the release was withdrawn"),
        _(
            "Use the round that takes its place, if one is named. For the files only: 'results export "
            "--withdrawn'; they then say what they are."
        ),
    ),
    "not-opened": (_("the auditor has not opened yet"), _CALLER),
    "not-cosigned": (
        _("not enough auditors have cosigned"),
        _("See that the auditors' 'auditor watch' runs; then ask again."),
    ),
    "file": (_("a file"), _("Give another file or place; nothing was changed.")),
    "boxes-deleted": (_("the boxes are deleted"), _("Nothing to do: the round is over.")),
    "fsck": (
        _("the published log is not whole"),
        _("Export it anew from the coordinator; if that is not whole either, keep it and tell the auditors."),
    ),
    "facts-refused": (
        _("institution facts"),
        _("Mend the field that the message names, then enter it again."),
    ),
    "revoked": (_("revoked"), _("A revoked party takes no part any more; enrol it anew under another id.")),
    "certificate-denied": (
        _("a denied certificate"),
        _("The party has to use its newest certificate, or renew it."),
    ),
    "draining": (_("shutting down"), _ASK_AGAIN),
    "too-many-calls": (_("too many calls"), _ASK_AGAIN),
    "quota-used": (_("the quota is used up"), _ASK_AGAIN),
    "store-away": (_("the database does not answer"), _ASK_AGAIN),
    "vectors-deleted": (
        _("the masked vectors are deleted"),
        _("They are deleted when the protocol says; an auditor's bundle holds what was handed out before."),
    ),
    "backup": (_("a backup"), _("Mend what the message names, then make or read the backup again.")),
    "extra-missing": (
        _("a part of the programme is not installed"),
        _("Install the extra that the message names, then try again."),
    ),
}
"""Word and advice by the error's code, of every `coordinator.errors.CoordinatorError`."""

ABANDON_REASONS: Final[Mapping[str, str]] = {
    "not-named": _("it could not have answered for the set"),
    "wrong-set": _("the set is not what candidates and checks make it"),
    "too-few-reports": _("too few reports"),
    "min-group": _("a group of schools is too small"),
    "expired": _("its keys' time was over"),
    "never-opens": _("too many others had abandoned"),
    "cancelled": _("the county had ended the round"),
}
"""Why an auditor abandoned."""


def advice_for(reason: str) -> str:
    """Give the advice (a message id) for a round's reason; empty for one that is not known."""
    return ROUND_ADVICE.get(reason, "")


def refusal_advice(code: str) -> str:
    """Give the advice (a message id) for a refusal's code; empty for one that is not known."""
    return REFUSALS[code][1] if code in REFUSALS else ""
