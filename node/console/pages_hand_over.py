"""Sealed hand-over files, for the psychologist alone: make one, open one, keep the receipts.

A file that is about to be made is shown first, field by field; what was chosen waits in this session's
memory.
"""

from __future__ import annotations

from typing import Any, Final

from node.cli_follow_up import value_words
from node.console.visit import Download, Page, Redirect, Reply, Visit
from node.errors import NodeError, VaultRefusal
from node.errors import _ as N_  # translated where it is shown
from node.hand_over_file import KINDS, MAX_DAYS, MAX_NOTE, MAX_WORDS, REASONS
from node.hand_over_key import MAX_KEY_BYTES

MORE: Final = ("total", "factors_high", "critical")
DRAFT: Final = "hand-over"
RECEIPT: Final = "receipt."
DAYS: Final = 14


def overview(visit: Visit) -> Reply:
    """Show this school's key, and the files that were sent and received."""
    key = visit.ask("hand_over_key", **visit.session.actor)
    files = visit.ask("hand_over_list", **visit.session.actor)["files"]
    kept = {name[len(RECEIPT) :] for name in visit.session.drafts if name.startswith(RECEIPT)}
    return Page("hand_over.html", {"key": key, "files": files, "kept": kept})


def own_key(visit: Visit) -> Reply:
    """Give this school's public key."""
    _answer, blobs = visit.console.keeper.call({"command": "hand_over_key", **visit.session.actor})
    return Download("hand-over.key", blobs["key"], "text/plain; charset=utf-8")


def form(visit: Visit) -> Reply:
    """Ask what is handed over, to whom, and why."""
    typed = visit.typed(DRAFT)
    values = {
        "typed": typed,
        "pupil": typed.get("pupil", visit.query.get("pupil", "")),
        "set": typed.get("set", visit.query.get("set", "")),
        "kinds": KINDS,
        "reasons": REASONS,
        "more": MORE,
        "days": DAYS,
        "most": {"days": MAX_DAYS, "note": MAX_NOTE, "words": MAX_WORDS},
    }
    return Page("hand_over_form.html", values)


def show_draft(visit: Visit) -> Reply:
    """Show what would be handed over, field by field; nothing is made yet."""
    asks, files = _asks(visit), {"recipient": visit.files.get("recipient", b"")[: MAX_KEY_BYTES + 1]}
    try:
        answer, _blobs = visit.console.keeper.call({**asks, "dry_run": 1, **visit.session.actor}, files)
    except NodeError as err:
        visit.keep_typed(DRAFT)
        visit.say_refused(err)
        return Redirect("/hand-over/new")
    visit.session.drafts[DRAFT] = (asks, files)
    return Page("hand_over_draft.html", {"answer": answer, "asks": asks, "value_words": value_words})


def make(visit: Visit) -> Reply:
    """Make the file that was shown."""
    draft = visit.session.drafts.pop(DRAFT, None)
    if draft is None:
        return Redirect("/hand-over")
    asks, files = draft
    answer, blobs = visit.console.keeper.call({**asks, "dry_run": 0, **visit.session.actor}, files)
    return Download(f"{answer['id'][:16]}.hand-over", blobs["file"])


def receive(visit: Visit) -> Reply:
    """Open a file that was sealed to this school, keep it, and show it."""
    asks = {"command": "hand_over_receive", **visit.session.actor}
    try:
        answer, blobs = visit.console.keeper.call(asks, {"file": visit.files.get("file", b"")})
    except NodeError as err:
        visit.say_refused(err)
        return Redirect("/hand-over")
    visit.session.drafts[RECEIPT + answer["id"]] = blobs["receipt"]
    return _content(visit, answer)


def show(visit: Visit) -> Reply:
    """Show a received file again."""
    return _content(visit, visit.ask("hand_over_show", id=visit.path["id"], **visit.session.actor))


def receipt(visit: Visit) -> Reply:
    """Give the receipt of a file that was opened in this session."""
    data = visit.session.drafts.get(RECEIPT + visit.path["id"])
    if data is None:
        raise VaultRefusal(
            N_("this receipt is not at hand any more"),
            N_("Open the file once more: the receipt comes with it."),
            code="no-receipt",
        )
    return Download(f"{visit.path['id'][:16]}.receipt", data, "text/plain; charset=utf-8")


def take_receipt(visit: Visit) -> Reply:
    """Keep the receipt that a recipient sent back."""
    asks = {"command": "hand_over_receipt", **visit.session.actor}
    try:
        answer, _blobs = visit.console.keeper.call(asks, {"receipt": visit.files.get("receipt", b"")})
    except NodeError as err:
        visit.say_refused(err)
        return Redirect("/hand-over")
    visit.say("good", N_("The receipt is kept: opened by %(by)s."), by=answer["by"])
    return Redirect("/hand-over")


def _content(visit: Visit, answer: dict[str, Any]) -> Reply:
    has_receipt = RECEIPT + answer["id"] in visit.session.drafts
    values = {"answer": answer, "has_receipt": has_receipt, "value_words": value_words}
    return Page("hand_over_content.html", values)


def _asks(visit: Visit) -> dict[str, Any]:
    """Take the command's fields from the form."""
    school_year, _sign, wave = visit.text("set").partition("/")
    days, note = visit.text("days"), visit.text("note").replace("\r\n", "\n")
    found: dict[str, Any] = {
        "command": "hand_over_make",
        **{name: visit.text(name) for name in ("pupil", "kind", "fingerprint", "reason", "words")},
        "day": visit.text("day") if visit.text("reason") == "consent" else "",
        "days": int(days) if days.isascii() and days.isdigit() and len(days) < 4 else 0,
        "note": note,
        "more": [name for name in MORE if visit.text(f"more.{name}")],
    }
    found |= {"school_year": school_year, "wave": wave} if wave else {}
    return {name: value for name, value in found.items() if value not in ("", [])}
