"""Words for the fields of the follow-up and of hand-over files, and for what is still to be done.

Programs read the names; people read `word(WORDS, name, translate)`. Values are shown with the labels of
`plan.codes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _(message: str) -> str:
    """Mark a word for the translation catalogue; the command line translates it."""
    return message


FIELD_WORDS: Final[Mapping[str, str]] = {
    "recheck": _("result of the recheck"),
    "recheck_by": _("rechecked by"),
    "level1": _("level of the test"),
    "level2": _("level after the recheck"),
    "found_by": _("found by"),
    "file_built": _("file built"),
    "carer_assigned": _("named carer"),
    "pool": _("alert pool"),
    "reviewed": _("reviewed"),
    "guardian_told": _("guardian told"),
    "supported": _("supported at school"),
    "referral_advised": _("referral advised"),
    "referral_attended": _("referral attended"),
    "green_channel_free": _("green channel, free"),
    "closed": _("case closed"),
    "days_to_review": _("days until the review"),
    "reviewed_on": _("day of the review"),
    "ref_dest": _("referred to"),
    "outcome": _("outcome"),
    "home_visit": _("home visit"),
    "handed_over": _("file handed over"),
    "groups": _("groups"),
    "name": _("name"),
    "birth": _("birth"),
    "student_no": _("student number"),
    "grade": _("grade"),
    "sex": _("sex"),
    "instrument": _("scale"),
    "tested_on": _("tested on"),
    "total": _("total score"),
    "factors_high": _("high factors"),
    "critical": _("risk item"),
}
"""Fields of the form and of hand-over files."""

OPEN_WORDS: Final[Mapping[str, str]] = {
    "reviewed": _("review"),
    "recheck": _("recheck"),
    "guardian_told": _("tell the guardian"),
    "file_built": _("build the file"),
    "carer_assigned": _("name a carer"),
    "referral_attended": _("see that the referral is attended"),
    "handed_over": _("hand the file over"),
    "closed": _("close the case"),
}
"""What is still to be done for a pupil."""

KIND_WORDS: Final[Mapping[str, str]] = {
    "transfer": _("transfer to another school"),
    "referral": _("referral to a hospital"),
    "consultation": _("consultation of experts"),
}
"""Kinds of hand-over files."""

REASON_WORDS: Final[Mapping[str, str]] = {
    "consent": _("the guardian's consent"),
    "crisis": _("crisis, without consent"),
}
"""Why a pupil's data may be handed over."""
