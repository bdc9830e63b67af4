"""Words for the code words of a plan's file and of the roster, for where a person chooses or reads one.

A file keeps the code (`release_class = "internal"`), so a command shows the code with its word beside it:
`beside("internal", word)`. The codes of plans are English words, hence their own message ids; those of the
roster (`urban_rural = "3"`) say nothing in any language and have a word in each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from plan.errors import Phrase, phrase


def _(message: str) -> str:
    """Mark a word for the translation catalogue; the command line translates it."""
    return message


PLAN_CODES: Final = frozenset(
    {
        # release_class
        _("internal"),
        _("on-request"),
        _("public"),
        # consent
        _("require"),
        _("record-only"),
        # critical_items, ladder, min_reports
        _("off"),
        _("counted"),
        _("auto"),
        # neighbouring
        _("replace-one"),
        _("add-remove"),
        # systems
        _("6-3"),
        _("5-4"),
        # stages
        _("primary"),
        _("junior"),
        _("senior"),
        _("vocational"),
    }
)
"""Values that a plan's keys may have."""

DIMENSION_CODES: Final = frozenset(
    {
        _("stage"),
        _("grade"),
        _("sex"),
        _("boarding"),
        _("left_behind"),
        _("family"),
        _("migrant"),
        _("disposition"),
        _("critical"),
        _("found_by"),
        _("recheck"),
        _("level"),
        _("level2"),
        _("level_before"),
        _("alert"),
        _("review"),
        _("band"),
        _("factor"),
        _("flag"),
        _("group"),
        _("groups_held"),
        _("file_built"),
        _("carer_assigned"),
        _("pool"),
        _("ref_dest"),
        _("outcome"),
        _("home_visit"),
        _("handed_over"),
        # roster attributes that tables use like dimensions
        _("county"),
        _("school_type"),
        _("urban_rural"),
        _("size_class"),
        _("deployment"),
    }
)
"""Names that stand in a table's `dims`."""

READY_PLANS: Final[Mapping[str, str]] = {
    "autumn-full": _("autumn screening of all pupils, for counties of 60 schools and more"),
    "autumn-small": _("autumn screening with fewer tables, for counties of fewer than 60 schools"),
    "follow-up": _("rechecks, referrals and what came of them"),
    "ledgers": _("ledgers and key groups, without a test"),
    "prefecture-rare": _("rare findings, summed over a whole prefecture"),
    "spring-monitor": _("spring monitoring: what changed since autumn"),
}
"""What each ready plan is for."""

ATTRIBUTES: Final[Mapping[str, str]] = {
    "county": _("County or city"),
    "school_type": _("Type of school"),
    "urban_rural": _("Urban or rural"),
    "size_class": _("Size of school"),
    "deployment": _("Where the records lie"),
    "name": _("Name of the school"),
    "pupils": _("Number of pupils"),
    "contact": _("Contact"),
}
"""Titles of the public attributes that schools usually have in the roster."""

ATTRIBUTE_VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "deployment": {"a": _("at the school"), "b": _("on the platform"), "c": _("at the central school")},
    "school_type": {
        "point": _("teaching point"),
        "primary": _("primary school"),
        "nine-year": _("nine-year school"),
        "junior": _("junior middle school"),
        "complete": _("complete middle school"),
        "senior": _("senior middle school"),
        "vocational": _("vocational school"),
        "special": _("special school"),
    },
    "urban_rural": {"1": _("city"), "2": _("town"), "3": _("village")},
}
"""Attributes with fixed values: attribute → value → word."""


def code_phrase(code: str) -> Phrase:
    """Give a plan's code word as a phrase: itself in English, its word in another language."""
    return Phrase(code) if code in PLAN_CODES or code in DIMENSION_CODES else phrase("%(text)s", text=code)


def beside(code: str, text: str, translate: Callable[[str], str]) -> str:
    """Show a code with its word beside it; alone where the word says no more."""
    if text.casefold() in (code, code.replace("-", " "), code.replace("_", " ")):
        return code
    return translate(_("%(code)s (%(word)s)")) % {"code": code, "word": text}


def listed(
    codes: Iterable[str], translate: Callable[[str], str], words: Mapping[str, str] | None = None
) -> str:
    """List codes with their words; `words` is a table of English words, else each code is its own."""
    found = words or {}
    return ", ".join(beside(code, translate(found.get(code, code)), translate) for code in codes)


def choices_note(
    codes: Iterable[str], translate: Callable[[str], str], words: Mapping[str, str] | None = None
) -> str:
    """Give what a help text adds about its choices: their words, or nothing where the codes say it all."""
    plain = ", ".join(given := tuple(codes))
    text = listed(given, translate, words)
    return "" if text == plain else " " + translate(_("Choices: %(codes)s.")) % {"codes": text}


def attribute_words(name: str, value: str, translate: Callable[[str], str]) -> str:
    """Say one public attribute of a school: its title and what its value means."""
    values = ATTRIBUTE_VALUES.get(name, {})
    shown = translate(values[value]) if value in values else value
    title = translate(ATTRIBUTES[name]) if name in ATTRIBUTES else name
    return translate(_("%(title)s: %(value)s")) % {"title": title, "value": shown}
