"""Chapters seven and eight of a brief: what stands out of the numbers, and what follows from it.

Each sentence rests on a rule over numbers with their intervals; schools and classes are never named. What the
bureau knows besides, it adds itself: a line asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.reports import words
from coordinator.reports.labels import indicator_name
from coordinator.reports.material import Material
from coordinator.reports.sentences import amount, is_below, listed
from paper.document import Block, Paragraph
from results.showing import display_value

FULL_COVERAGE = 95.0
"""The highest band of a principal's statement, in percent."""

DONE = 90.0
"""Steps of the follow-up below this share are named, in percent."""

_STEPS = ("IND-16", "IND-22", "IND-24", "IND-27", "IND-28", "IND-34")
_ = words._


def problems(material: Material) -> Iterator[Block]:
    """Write chapter seven."""
    found = [*_testing(material), *_steps(material), *_conditions(material)]
    if not found:
        found = [material.say(_("Nothing stands out of the numbers by more than their noise."))]
    for text in found:
        yield Paragraph(text, "item")
    yield Paragraph(material.say(_("(To be completed by the unit from what it knows besides.)")), "note")


def _testing(material: Material) -> Iterator[str]:
    for entry, text in (
        (
            "IND-02",
            _("Coverage is below 95%% (%(number)s); find out who was not, and why."),
        ),
        (
            "IND-04",
            _("Valid tests are below 95%% (%(number)s); look at how tests are held."),
        ),
    ):
        value = material.value(entry, {})
        if value and is_below(display_value(value), FULL_COVERAGE):
            yield material.say(text) % {"number": amount(material, value)}


def _steps(material: Material) -> Iterator[str]:
    for entry in _STEPS:
        value = material.value(entry, {})
        if value and is_below(display_value(value), DONE):
            told = {"name": indicator_name(material.speech, value), "number": amount(material, value)}
            yield material.say(_("%(name)s: %(number)s, still below 90%%.")) % told


def _conditions(material: Material) -> Iterator[str]:
    missed = []
    for value in material.model.facts:
        if not value.keys and any(value.meets(target) is False for target in value.targets):
            missed.append(f"{indicator_name(material.speech, value)} {value.shown}")
    if missed:
        text = _("Below targets of published documents: %(names)s.")
        yield material.say(text) % {"names": listed(material, missed)}


def next_steps(material: Material) -> Iterator[Block]:
    """Write chapter eight."""
    say = material.say
    steps = [
        _(
            "Schools recheck and review every pupil whose first level is needs attention or more, make a "
            "plan and file for each, and tell the guardians; the county follows the shares, not the names."
        ),
        _(
            "Pupils who need more than the school can give are referred with their guardians to a hospital "
            "by the green channel."
        ),
        _("Schools make up the tests of those on leave and record consent class by class."),
        _("In spring the pupils are monitored again, with the same instruments, to compare the terms."),
        _("Staff, rooms, lessons and training are brought to the targets, small and rural schools first."),
        _(
            "Results are used for care only: no ranking of schools or classes, no list of names upwards, "
            "nothing by messenger."
        ),
    ]
    for text in steps:
        yield Paragraph(say(text), "item")
    yield Paragraph(say(_("(To be completed by the unit from what it knows besides.)")), "note")
