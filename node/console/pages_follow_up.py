"""Follow-up over the year, for the psychologist alone: the list, a pupil's form, who typed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.cli_follow_up import value_words
from node.console.visit import Page, Redirect, Reply, Visit
from node.errors import NodeError, VaultRefusal
from node.errors import _ as N_  # translated where it is shown
from node.vault.follow_up_form import FORM_FIELDS, LABELS
from plan.codes import UNKNOWN

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    N_("Review"): ("reviewed", "days_to_review", "guardian_told", "supported", "found_by"),
    N_("Recheck"): ("level2", "recheck", "recheck_by"),
    N_("File and carer"): ("file_built", "carer_assigned", "pool", "home_visit"),
    N_("Referral"): ("referral_advised", "referral_attended", "green_channel_free", "ref_dest"),
    N_("Outcome"): ("outcome", "handed_over", "closed"),
}
"""The form's parts; `groups` stands at its end."""


def pupils(visit: Visit) -> Reply:
    """List who is followed up, with what is still to be done."""
    sets = visit.ask("records_summary")["records"]
    if not sets:
        return Page("follow_up.html", {"sets": sets, "answer": None, "is_all": False})
    is_all = visit.query.get("all") == "1"
    answer = visit.ask("follow_up_list", all=int(is_all), **visit.session.actor, **_wave(visit))
    return Page("follow_up.html", {"sets": sets, "answer": answer, "is_all": is_all})


def pupil(visit: Visit) -> Reply:
    """Show a pupil's form and history."""
    row, answer = _find(visit)
    history = visit.ask("follow_up_history", rec_key=row["rec_key"], **visit.session.actor, **_wave(visit))
    values = {
        "row": row,
        "shown": _shown(row["values"], visit.typed(f"pupil/{row['rec_key']}")),
        "answer": answer,
        "history": history,
        "sections": SECTIONS,
        "labels": LABELS,
        "unknown": UNKNOWN,
        "value_words": value_words,
    }
    return Page("pupil.html", values)


def change(visit: Visit) -> Reply:
    """Store what was changed in the form, and nothing else."""
    row, _answer = _find(visit)
    back = Redirect(f"/follow-up/{row['rec_key']}?{_query(visit)}")
    values = changed_values(row["values"], visit.texts)
    if not values:
        visit.say("warn", N_("Nothing was changed."))
        return back
    try:
        asks = {"rec_key": row["rec_key"], "values": values}
        visit.ask("follow_up_set", **asks, **visit.session.actor, **_wave(visit))
    except NodeError as err:
        visit.keep_typed(f"pupil/{row['rec_key']}")
        visit.say_refused(err)
        return back
    visit.say("good", N_("Stored."))
    return back


def withdraw(visit: Visit) -> Reply:
    """Take an entry back."""
    back = Redirect(f"/follow-up/{visit.path['rec_key']}?{_query(visit)}")
    entry = visit.text("entry")
    try:
        number = int(entry) if entry.isascii() and entry.isdigit() else 0
        visit.ask("follow_up_withdraw", entry=number, **visit.session.actor)
    except NodeError as err:
        visit.say("bad", err.message, err.advice, **err.details)
        return back
    visit.say("good", N_("The entry was withdrawn; its values are erased."))
    return back


def changed_values(before: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Give what a form says otherwise than the records do.

    Args:
        before: the pupil's values, without those that are unknown.
        texts: the form; a group is a field `group.CODE`.
    """
    found: dict[str, Any] = {}
    for name in FORM_FIELDS:
        if name in texts and name != "groups":
            typed, known = texts[name].strip(), str(before.get(name, ""))
            if typed != known and not (typed == UNKNOWN and known == "" and name in LABELS):
                found[name] = typed
    if "groups" in texts:
        groups = sorted(code for code in LABELS["groups"] if texts.get(f"group.{code}"))
        if groups != sorted(before.get("groups", [])):
            found["groups"] = groups
    return found


def _shown(before: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """Give the values of the form: the pupil's, with what was typed and refused over them."""
    if not typed:
        return dict(before)
    fields = {name: typed[name].strip() for name in FORM_FIELDS if name in typed and name != "groups"}
    groups = [code for code in LABELS["groups"] if typed.get(f"group.{code}")]
    return {**before, **fields, "groups": groups}


def _find(visit: Visit) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Find a pupil of the wave by the record's key.

    Raises:
        VaultRefusal: there is none.
    """
    for is_all in (0, 1):  # the few who are followed up first: a large school has thousands
        answer = visit.ask("follow_up_list", all=is_all, **visit.session.actor, **_wave(visit))
        for row in answer["pupils"]:
            if row["rec_key"] == visit.path["rec_key"]:
                return row, answer
    raise VaultRefusal(
        N_("there is no such pupil in this wave"),
        N_("Go back to the list and choose again."),
        code="no-pupil",
    )


def _wave(visit: Visit) -> dict[str, str]:
    """Take the wave of the request; nothing for the one that was counted last."""
    school_year, _sign, wave = (visit.query.get("set") or visit.text("set")).partition("/")
    return {"school_year": school_year, "wave": wave} if wave else {}


def _query(visit: Visit) -> str:
    wave = _wave(visit)
    return f"set={wave['school_year']}/{wave['wave']}" if wave else ""
