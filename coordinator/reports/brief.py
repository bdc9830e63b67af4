"""The brief: 《……学年……学期学生心理健康测评情况分析报告》 in eight chapters and three annexes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from coordinator.reports import words
from coordinator.reports.brief_actions import next_steps, problems
from coordinator.reports.brief_follow_up import follow_up, resources
from coordinator.reports.material import Asked, Material, present
from coordinator.reports.sentences import is_above, joined, listed, named_amount, together
from coordinator.reports.sheets_annex import audit_blocks, quality_blocks, reading_rules
from coordinator.reports.sheets_groups import factor_drawings, group_tables
from coordinator.reports.sheets_testing import grade_drawing, rate_columns, stage_drawing
from coordinator.reports.workbook import local_day, make_head, status_words, term
from paper.document import Block, Document, Head, Paragraph, Part, Table
from paper.text import clean
from results.report_notes import EXACT_DATA_NOTES

_ = words._


def make_brief(material: Material) -> Document:
    """Make the brief of a release."""
    chapters = (
        basics(material),
        overall(material),
        breakdowns(material),
        key_groups(material),
        follow_up(material),
        resources(material),
        problems(material),
        next_steps(material),
    )
    titles = [material.say(title) for title in words.CHAPTERS]
    parts = tuple(Part(title, tuple(blocks)) for title, blocks in zip(titles, chapters, strict=True))
    return Document(brief_head(material), (*parts, *annexes(material)))


def brief_head(material: Material) -> Head:
    """Make the heading: the county, school year and term in the title."""
    place = clean(material.model.head.federation_title, 60)
    if place[-1:].isascii() and place[-1:].isalnum():
        place += material.speech.choose(" ", "")  # "County-12026" would read as one number
    about = {"place": place, "term": term(material)}
    title = material.say(_("%(place)s: report on the mental-health screening of pupils, %(term)s")) % about
    plan = material.say(_("Plan: %(title)s")) % {"title": clean(material.model.head.plan_title, 60)}
    return replace(make_head(material, title), subtitle=plan)


def basics(material: Material) -> Iterator[Block]:
    """Write chapter one: who, when, with what, and the coverage."""
    say, head = material.say, material.model.head
    status = status_words(material)
    if status:
        yield Paragraph(status, "warning")
    told = {
        "plan": clean(head.plan_title, 60),
        "place": clean(head.federation_title, 60),
        "from": local_day(head.opens).isoformat(),
        "to": local_day(head.closes).isoformat(),
        "grades": listed(material, (material.label("grade", code) for code in head.grades)),
        "day": head.census_date.isoformat(),
        "tools": listed(material, (item.id.upper() for item in head.instruments)),
    }
    yield Paragraph(
        say(
            _(
                "Under the plan “%(plan)s” %(place)s screened its pupils' mental health; reports were taken "
                "from %(from)s to %(to)s. Eligible were pupils of %(grades)s, where enrolled on %(day)s; "
                "instruments: %(tools)s."
            )
        )
        % told
    )
    aims = {"purpose": clean(head.purpose), "basis": clean(head.legal_basis)}
    yield Paragraph(say(_("Purpose: %(purpose)s. Basis: %(basis)s.")) % aims)
    told_schools = _("The numbers are about the pupils of %(in)s of %(all)s schools.")
    schools = {"in": head.reports_in, "all": head.schools}
    yield Paragraph(together(material, say(told_schools) % schools, _coverage(material)))
    yield from present(_coverage_table(material))


def _coverage(material: Material) -> str:
    say = material.say
    parts = [
        named_amount(material, say(_("to be tested")), "IND-01"),
        named_amount(material, say(_("tested")), "IND-03"),
        named_amount(material, say(_("valid tests")), "FS-08", {"disposition": "1"}),
        named_amount(material, say(_("coverage")), "IND-02"),
        named_amount(material, say(_("coverage with those on leave in the base")), "IND-02/leave"),
        named_amount(material, say(_("valid among the tested")), "IND-04"),
        named_amount(material, say(_("no consent or refused")), "IND-06"),
    ]
    so_far = material.value("IND-05", {})
    if so_far is not None and len(so_far.sources) > 1:
        parts.append(named_amount(material, say(_("tests of all waves so far")), "IND-05"))
    return joined(material, parts)


def _coverage_table(material: Material) -> Table | None:
    say = material.say
    columns = [
        Asked(say(_("To be tested")), "IND-01"),
        Asked(say(_("Tested")), "IND-03"),
        Asked(say(_("Coverage (%)")), "IND-02"),
        Asked(say(_("With leave in the base (%)")), "IND-02/leave"),
        Asked(say(_("Valid (%)")), "IND-04"),
    ]
    rows = material.group("stage", say(words.TOTAL))
    return material.grid(say(_("Testing by stage")), say(_("Stage")), rows, columns)


def overall(material: Material) -> Iterator[Block]:
    """Write chapter two: levels of the county."""
    say = material.say
    found = joined(
        material, (named_amount(material, material.label("level", code), f"IND-07/{code}") for code in "123")
    )
    if not found:
        yield Paragraph(material.absent(_("The plan of this round does not count levels.")))
        return
    rates = joined(
        material,
        (
            named_amount(material, say(_("general attention or more")), "IND-08/1+"),
            named_amount(material, say(_("needs attention or more")), "IND-08/2+"),
            named_amount(material, say(_("priority attention")), "IND-08/3"),
        ),
    )
    yield Paragraph(say(_("Pupils found by the first screening. ")) + found)
    if rates:
        yield Paragraph(say(_("Rates among the valid tests. ")) + rates)
    yield Paragraph(
        say(
            _(
                "These are levels of a first screening. They say who should be looked at again, and are no "
                "diagnosis; recheck and review at the school decide."
            )
        )
    )
    yield from present(stage_drawing(material, "brief-levels"))


def breakdowns(material: Material) -> Iterator[Block]:
    """Write chapter three: stages, grades, sexes."""
    blocks = list(_breakdown_blocks(material))
    yield from blocks or [
        Paragraph(material.absent(_("The plan of this round does not count levels by stage, grade or sex.")))
    ]


def _breakdown_blocks(material: Material) -> Iterator[Block]:
    say = material.say
    stages = (
        named_amount(material, material.label("stage", code), "IND-08/2+", {"stage": code})
        for code in material.codes("stage")
    )
    told = joined(material, stages)
    if told:
        yield Paragraph(
            say(_("Rate of needs attention or more, by stage. "))
            + together(material, told, stage_words(material))
        )
    rows = material.group("stage", say(words.TOTAL))
    yield from present(
        material.grid(say(_("Levels by stage: rates")), say(_("Stage")), rows, rate_columns(material)),
        grade_drawing(material, "brief-grades"),
    )
    sexes = (
        named_amount(material, material.label("sex", code), "IND-08/2+", {"sex": code}) for code in ("1", "2")
    )
    told = joined(material, sexes)
    if told:
        yield Paragraph(
            say(_("Rate of needs attention or more, by sex. "))
            + together(material, told, sex_words(material))
        )


def stage_words(material: Material) -> str:
    """Name the stages whose rate is above the county's; no problem by itself, so it stands here."""
    county = material.shown("IND-08/2+")
    higher = [
        material.label("stage", code)
        for code in material.codes("stage")
        if is_above(material.shown("IND-08/2+", stage=code), county)
    ]
    if not higher:
        return ""
    text = _("%(stages)s: needs attention or more is above the county's rate by more than the noise.")
    careful = _("A higher rate may also come of more careful screening; it is no ranking.")
    told = material.say(text) % {"stages": listed(material, higher)}
    return together(material, told, material.say(careful))


def sex_words(material: Material) -> str:
    """Say whether the rates of boys and girls differ by more than the noise."""
    boys, girls = (material.shown("IND-08/2+", sex=code) for code in ("1", "2"))
    if is_above(girls, boys):
        return material.say(_("Girls are above boys by more than the noise."))
    if is_above(boys, girls):
        return material.say(_("Boys are above girls by more than the noise."))
    return material.say(_("The difference is within the noise."))


def key_groups(material: Material) -> Iterator[Block]:
    """Write chapter four: groups, ledgers, factors."""
    say = material.say
    is_empty = True
    for title, entry, dimension in (
        (_("By boarding, alert rate (needs attention or more). "), "IND-09", "boarding"),
        (_("By being left behind. "), "IND-10", "left_behind"),
        (_("By family. "), "IND-11", "family"),
        (_("Pupils in the three ledgers. "), "IND-25", "group"),
        (_("Alert rate of key groups. "), "IND-26", "group"),
    ):
        codes = [code for code in material.codes(dimension) if code != "9"]
        told = joined(
            material,
            (
                named_amount(material, material.label(dimension, code), entry, {dimension: code})
                for code in codes
            ),
        )
        if told:
            is_empty = False
            yield Paragraph(say(title) + told)
    if is_empty:
        yield Paragraph(material.absent(_("The plan of this round does not count key groups.")))
    tables = [table for table in group_tables(material)[:3] if table]
    yield from tables[:1]
    yield from factor_drawings(material)


def annexes(material: Material) -> Iterator[Part]:
    """Write the annexes: how numbers are made, privacy, audit."""
    say = material.say
    method = [Paragraph(text, "item") for text in reading_rules(material)]
    method += [Paragraph(note.text(say), "item") for note in EXACT_DATA_NOTES]
    blocks = (tuple(method), tuple(quality_blocks(material)), tuple(audit_blocks(material)))
    for title, some in zip(words.ANNEXES, blocks, strict=True):
        yield Part(say(title), some, is_annex=True)
