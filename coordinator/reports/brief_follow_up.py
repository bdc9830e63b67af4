"""Chapters five and six of a brief: recheck and follow-up, conditions and resources."""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.reports import words
from coordinator.reports.labels import indicator_name
from coordinator.reports.material import Material, present
from coordinator.reports.sentences import joined, named_amount
from coordinator.reports.sheets_comparison import change_blocks, outcome_table, transition_drawing
from coordinator.reports.sheets_conditions import target_words
from coordinator.reports.sheets_follow_up import funnel_drawing
from paper.document import Block, Column, Paragraph, Table
from results.facts import DECLARATION, DECLARATION_TEXT

_ = words._


def follow_up(material: Material) -> Iterator[Block]:
    """Write chapter five: recheck, plans, referral, the way to spring, changes."""
    say = material.say
    groups = (
        (_("Recheck and review. "), ("IND-16", "IND-18", "IND-24")),
        (_("Plans and carers. "), ("IND-22", "IND-27", "IND-28")),
        (_("Referral and closing. "), ("IND-29/advised", "IND-29/attended", "IND-30/free", "IND-33")),
        (_("From autumn to spring. "), ("IND-19", "IND-20/up", "IND-20/same", "IND-20/down", "IND-21")),
    )
    blocks: list[Block] = []
    for title, entries in groups:
        told = joined(material, (_by_id(material, entry) for entry in entries))
        if told:
            blocks.append(Paragraph(say(title) + told))
    blocks += present(
        funnel_drawing(material, "brief-funnel"),
        outcome_table(material),
        transition_drawing(material, "brief-transition"),
    )
    blocks += change_blocks(material, is_short=True)
    if not blocks:
        blocks.append(
            Paragraph(
                material.absent(
                    _(
                        "The plan of this round does not count recheck, referral and closing; they are the "
                        "matter of the plan “follow-up”."
                    )
                )
            )
        )
    yield from blocks


def _by_id(material: Material, entry: str) -> str:
    value = material.value(entry, {})
    return named_amount(material, indicator_name(material.speech, value), entry) if value else ""


def resources(material: Material) -> Iterator[Block]:
    """Write chapter six: the conditions of schools, exact numbers that people typed."""
    say = material.say
    if not material.model.facts:
        yield Paragraph(say(_("No school has typed its conditions yet.")))
        return
    whole = [value for value in material.model.facts if not value.keys and value.value is not None]
    answered = max((value.answered for value in whole), default=0)
    lead = say(_("%(answered)s schools typed their conditions; the numbers are exact for them."))
    yield Paragraph(lead % {"answered": answered})
    columns = (
        Column(say(_("Indicator")), "name"),
        Column(say(_("Value")), "name"),
        Column(say(_("Targets of published documents")), "text"),
    )
    speech = material.speech
    rows = tuple(
        (indicator_name(speech, value), value.shown, target_words(material, value)) for value in whole
    )
    yield Table(say(_("Indicators of school conditions (exact, not estimated)")), columns, rows)
    yield Paragraph(material.speech.choose(DECLARATION, str(DECLARATION_TEXT)), "note")
