"""The report's words: labels of codes, of merged codes, of tables; msgids are English.

Wording follows the domain: a screening (测评), never a diagnosis; levels of attention, never an illness; no
pupil is called a problem, no school or class is ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from gettext import gettext as _
from typing import Final

from node.errors import _ as N_  # translated where it is shown

STATUS: Final[Mapping[str, str]] = {
    "d7": N_("elsewhere or moved away"),
    "d8": N_("consent not recorded"),
    "d5": N_("exempt"),
    "d4": N_("on leave"),
    "d6": N_("no consent or refused"),
    "d3": N_("not tested"),
    "d2": N_("invalid test"),
    "l0": N_("routine observation"),
    "l1": N_("general attention"),
    "l2": N_("needs attention"),
    "l3": N_("priority attention"),
}
NONE_VALID: Final = N_("no valid test")
GRADES: Final[Mapping[str, str]] = {
    "1": N_("Grade 1"),
    "2": N_("Grade 2"),
    "3": N_("Grade 3"),
    "4": N_("Grade 4"),
    "5": N_("Grade 5"),
    "6": N_("Grade 6"),
    "7": N_("Grade 7"),
    "8": N_("Grade 8"),
    "9": N_("Grade 9"),
    "10": N_("Senior 1"),
    "11": N_("Senior 2"),
    "12": N_("Senior 3"),
    "V1": N_("Vocational 1"),
    "V2": N_("Vocational 2"),
    "V3": N_("Vocational 3"),
}
WAVES: Final[Mapping[str, str]] = {
    "A": N_("autumn term"),
    "S": N_("spring term"),
    "X": N_("special screening"),
}
VERSIONS: Final[Mapping[str, str]] = {
    "hand-in": N_("Hand-in version"),
    "exact": N_("Exact version"),
    "follow-up": N_("Follow-up list"),
}
UNKNOWN: Final = N_("unknown")
YES, NO, NOT_DONE = N_("yes"), N_("no"), N_("no or unknown")

AXES: Final[Mapping[str, Mapping[str, str]]] = {
    "sex": {"9": N_("not stated"), "1": N_("boys"), "2": N_("girls")},
    "boarding": {"9": UNKNOWN, "1": N_("day pupils"), "2": N_("boarders")},
    "left_behind": {
        "9": UNKNOWN,
        "0": N_("not left behind"),
        "1": N_("one parent away"),
        "2": N_("both parents away"),
    },
    "family": {
        "9": UNKNOWN,
        "1": N_("two parents"),
        "2": N_("single parent (divorced)"),
        "3": N_("single parent (bereaved, other)"),
        "4": N_("without parental care"),
    },
    "migrant": {"9": UNKNOWN, "0": N_("not migrant"), "1": N_("migrant workers' children")},
    "recheck": {
        "9": N_("not recorded"),
        "0": N_("no recheck"),
        "1": N_("level lowered"),
        "2": N_("level unchanged"),
        "3": N_("level raised"),
    },
    "review": {
        "none": N_("no review recorded"),
        "dated": N_("reviewed, days unknown"),
        "late": N_("after 15 days or more"),
        "later": N_("after 4 to 14 days"),
        "soon": N_("within 3 days"),
    },
    "referral": {
        "none": N_("no referral advised"),
        "advised": N_("referral advised"),
        "attended": N_("referral attended"),
        "free": N_("referral attended, free green channel"),
    },
    "closing": {"none": N_("no outcome recorded"), "going": N_("case going on"), "closed": N_("case closed")},
    "pool": {
        "9": N_("not in the pool"),
        "3": N_("taken off the pool"),
        "2": N_("staying in the pool"),
        "1": N_("newly added"),
    },
    "ref_dest": {
        "9": N_("none recorded"),
        "1": N_("psychiatric hospital"),
        "2": N_("general hospital"),
        "3": N_("maternal and child hospital"),
        "4": N_("county counselling centre"),
        "5": N_("social organisation"),
        "6": N_("guardian declined"),
    },
    "outcome": {
        "9": N_("none recorded"),
        "1": N_("outpatient"),
        "2": N_("inpatient"),
        "3": N_("leave from school"),
        "4": N_("returned to school"),
        "5": N_("followed at school"),
        "6": N_("case closed"),
        "7": N_("lost or moved"),
    },
    "found_by": {
        "9": UNKNOWN,
        "1": N_("online test"),
        "2": N_("observation at school"),
        "3": N_("community screening"),
        "4": N_("several ways"),
    },
    "level2": {"9": N_("not rechecked"), **{code: STATUS[f"l{code}"] for code in "0123"}},
}
TITLES: Final[Mapping[str, str]] = {
    "sex": N_("Sex"),
    "boarding": N_("Boarding"),
    "left_behind": N_("Left behind"),
    "family": N_("Family"),
    "migrant": N_("Migrant"),
    "recheck": N_("Recheck"),
    "review": N_("From alert to review"),
    "referral": N_("Referral"),
    "closing": N_("How far the case is"),
    "pool": N_("Alert pool"),
    "ref_dest": N_("Referred to"),
    "outcome": N_("What became of it"),
    "found_by": N_("Found by"),
    "level2": N_("Level after the recheck"),
    "guardian_told": N_("guardian told"),
    "supported": N_("supported at school"),
    "file_built": N_("own plan and file"),
    "carer_assigned": N_("carer named"),
    "home_visit": N_("home visit"),
    "handed_over": N_("file handed over"),
}
STEPS: Final[Mapping[str, str]] = {
    "reviewed": N_("review"),
    "recheck": N_("recheck by a second test"),
    "guardian_told": N_("tell the guardian"),
    "file_built": N_("make a plan and file"),
    "carer_assigned": N_("name a carer"),
    "referral_attended": N_("see that the referral is attended"),
    "handed_over": N_("hand the file over"),
    "closed": N_("close the case"),
}
"""What is to be done, for each step of `node.vault.follow_up_form.open_steps`."""
GROUPS: Final[Mapping[str, str]] = {
    "g1": N_("left-behind children"),
    "g2": N_("single parent (divorced)"),
    "g3": N_("diagnosed by a specialist"),
    "g4": N_("in hardship"),
    "g5": N_("migrant children"),
    "g6": N_("disabled"),
    "g7": N_("violence or bullying"),
    "g9": N_("other key group"),
}
FACTORS: Final[Mapping[str, str]] = {
    "learning": N_("learning anxiety"),
    "social": N_("social anxiety"),
    "loneliness": N_("loneliness"),
    "self_blame": N_("self-blame"),
    "sensitivity": N_("oversensitivity"),
    "somatic": N_("bodily complaints"),
    "phobia": N_("fearfulness"),
    "impulsivity": N_("impulsivity"),
    "obsession": N_("obsession"),
    "paranoia": N_("suspicion"),
    "hostility": N_("hostility"),
    "interpersonal": N_("interpersonal sensitivity"),
    "depression": N_("low mood"),
    "anxiety": N_("anxiety"),
    "study_pressure": N_("study pressure"),
    "maladjustment": N_("maladjustment"),
    "mood_swings": N_("mood swings"),
    "imbalance": N_("imbalance"),
    "somatization": N_("somatisation"),
    "psychoticism": N_("psychoticism"),
    "other": N_("other complaints"),
}
TOO_SMALL: Final = N_("too small")
FOOTERS: Final = (
    N_(
        "Small groups are merged. This report must not be used to check on single pupils or to compare or "
        "rank classes and schools."
    ),
    N_("The results serve care in education only and are no medical diagnosis."),
    N_(
        "This system is not for emergencies. Where a pupil may hurt themselves or others, follow the "
        "emergency plan at once, tell the guardian and see a doctor."
    ),
)
EXACT_FOOTERS: Final = (
    N_(
        "Exact numbers, for the school's psychologist only. Not to be handed in, copied or sent; keep it "
        "locked away and destroy it when its purpose is served."
    ),
    *FOOTERS[1:],
)
LIST_FOOTERS: Final = (
    N_(
        "Names of pupils, for the school's psychologist only. Not to be handed in, copied or sent by e-mail "
        "or messenger; keep it locked away and destroy it when its purpose is served."
    ),
    *FOOTERS[1:],
)


def grade(code: str) -> str:
    """Name a grade."""
    return _(GRADES[code])


def class_name(name: str) -> str:
    """Name a class within its grade."""
    if not name:
        return _("class not recorded")
    return _("Class %(name)s") % {"name": name} if name.isdecimal() else name


def factor(name: str) -> str:
    """Name a factor; one that is not of a ready codebook keeps its id."""
    return _(FACTORS[name]) if name in FACTORS else name


def together(texts: Sequence[str]) -> str:
    """List several names."""
    return ("、" if _("en").startswith("zh") else ", ").join(texts)


def status_block(codes: Sequence[str]) -> str:
    """Name neighbouring codes of the status axis that are counted together."""
    tests = [code for code in codes if code[0] == "d"]
    levels = [code for code in codes if code[0] == "l"]
    if len(codes) == len(STATUS):
        return _("all enrolled")
    if not levels:
        return _(NONE_VALID) if len(tests) == 7 else together([_(STATUS[code]) for code in tests])
    if len(levels) == 1 and not tests:
        return _(STATUS[levels[0]])
    if not tests:
        return _level_block(levels)
    rest = _(NONE_VALID) if len(tests) == 7 else together([_(STATUS[code]) for code in tests])
    highest = _(STATUS[levels[-1]])
    if levels == ["l0"]:
        return _("%(level)s, or %(rest)s") % {"level": highest, "rest": rest}
    return _("%(level)s or less, or %(rest)s") % {"level": highest, "rest": rest}


def _level_block(levels: Sequence[str]) -> str:
    if levels[0] == "l0" and levels[-1] == "l3":
        return _("valid test")
    if levels[-1] == "l3":
        return _("%(level)s or more") % {"level": _(STATUS[levels[0]])}
    return together([_(STATUS[code]) for code in levels])


def change_block(codes: Sequence[str]) -> str:
    """Name neighbouring levels of the table of changes; "none" is no valid test."""
    whole = [code for status in codes for code in (_NOT_VALID if status == "none" else (status,))]
    return status_block(whole)


_NOT_VALID: Final = tuple(code for code in STATUS if code[0] == "d")


def axis_block(axis: str, codes: Sequence[str]) -> str:
    """Name neighbouring codes of another axis."""
    words = AXES.get(axis, {"no": NOT_DONE, "yes": YES})
    return together([_(words[code]) for code in codes])
