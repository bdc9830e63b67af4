"""表1 and 表2: who was tested, and which levels were found."""

from __future__ import annotations

from coordinator.reports import words
from coordinator.reports.material import Asked, Group, Material, drawn, present
from coordinator.reports.words import SheetName
from paper.charts.values import Value
from paper.document import Block, Drawing, Line, Paragraph, Part, Table
from results.showing import Display, display_value

ALERT_LEVELS = ("1", "2", "3")


def sheet(material: Material, name: SheetName, unit: str, *blocks: Block) -> Part:
    """Make a sheet; without any block it says that the plan does not count this."""
    title = material.speech.choose(name.chinese, name.english)
    shown = blocks or (Paragraph(material.absent(words.NOT_COUNTED), "note"),)
    return Part(title, shown, name=title, unit=material.say(unit) if unit else "")


def testing(material: Material) -> Part:
    """Make 表1 测评组织情况."""
    return sheet(material, words.TESTING, words.UNIT_PUPILS_PERCENT, *present(*testing_tables(material)))


def testing_tables(material: Material) -> list[Table | None]:
    """Make the tables of 表1: by stage, by grade, by sex."""
    _, say = words._, material.say
    columns = [
        Asked(say(_("To be tested")), "IND-01"),
        Asked(say(_("Tested")), "IND-03"),
        *(Asked(material.label("disposition", code), "FS-08", {"disposition": code}) for code in "12345678"),
        Asked(say(_("Coverage (%)")), "IND-02"),
        Asked(say(_("With leave in the base (%)")), "IND-02/leave"),
        Asked(say(_("Refusals not in the base (%)")), "IND-02b"),
        Asked(say(_("Valid (%)")), "IND-04"),
        Asked(say(_("No consent (%)")), "IND-06"),
    ]
    total = say(words.TOTAL)
    counts, rates = columns[:10], columns[10:]
    so_far = [Asked(say(_("Tests so far")), "IND-05")]
    return [
        material.grid(say(_("By stage: pupils")), say(_("Stage")), material.group("stage", total), counts),
        material.grid(say(_("By stage: rates")), say(_("Stage")), material.group("stage", total), rates),
        material.grid(say(_("By grade: pupils")), say(_("Grade")), material.group("grade"), counts),
        material.grid(say(_("By grade: rates")), say(_("Grade")), material.group("grade"), rates),
        material.grid(say(_("By sex")), say(_("Sex")), material.group("sex"), columns),
        material.grid(say(_("All waves so far")), say(_("County")), [Group(total)], so_far),
    ]


def levels(material: Material) -> Part:
    """Make 表2 预警等级分布."""
    blocks = present(
        *level_tables(material), stage_drawing(material, "levels"), grade_drawing(material, "grades")
    )
    return sheet(material, words.LEVELS, words.UNIT_PUPILS_PERCENT, *blocks)


def level_tables(material: Material) -> list[Table | None]:
    """Make the tables of 表2: by stage, grade and sex."""
    _, say = words._, material.say
    counts = [Asked(material.label("level", code), "FS-03", {"level": code}) for code in "01239"]
    found = [Asked(material.label("level", code), f"IND-07/{code}") for code in ALERT_LEVELS]
    total = say(words.TOTAL)
    return [
        material.grid(
            say(_("By stage")),
            say(_("Stage")),
            material.group("stage", total),
            [*counts, *rate_columns(material)],
        ),
        material.grid(
            say(_("By grade")), say(_("Grade")), material.group("grade"), [*found, *rate_columns(material)]
        ),
        material.grid(
            say(_("By sex")), say(_("Sex")), material.group("sex"), [*found, *rate_columns(material)]
        ),
    ]


def rate_columns(material: Material) -> list[Asked]:
    """Give the columns of the three rates."""
    _, say = words._, material.say
    return [
        Asked(say(_("General attention or more (%)")), "IND-08/1+"),
        Asked(say(_("Needs attention or more (%)")), "IND-08/2+"),
        Asked(say(_("Priority attention (%)")), "IND-08/3"),
    ]


def stage_drawing(material: Material, name: str) -> Drawing | None:
    """Draw the levels of each stage as stacked bars: their shares of the valid tests."""
    _, say = words._, material.say
    rows = [
        (group, parts)
        for group in material.group("stage", say(words.TOTAL))
        if any(parts := level_shares(material, group))
    ]
    if not rows:
        return None
    lines = tuple(
        Line(material.label("level", code), tuple(parts[place] for _group, parts in rows))
        for place, code in enumerate(ALERT_LEVELS)
    )
    return Drawing(
        "stacked",
        name,
        say(_("Levels by stage: share of the valid tests")),
        "%",
        tuple(group.title for group, _parts in rows),
        lines,
        totals=tuple(drawn(material.shown("IND-08/1+", **group.keys)) for group, _parts in rows),
        note=say(words.ERROR_BARS),
    )


def level_shares(material: Material, group: Group) -> tuple[Value | None, ...]:
    """Give the shares of level 1, 2 and 3 from the shown cumulated rates; None where one is withheld."""
    keys = group.keys
    one, two, three = (material.shown(f"IND-08/{end}", **keys) for end in ("1+", "2+", "3"))
    return _apart(one, two), _apart(two, three), drawn(three)


def _apart(more: Display | None, fewer: Display | None) -> Value | None:
    """Subtract two shown rates."""
    if more is None or fewer is None or more.value is None or fewer.value is None:
        return None
    share = round(max(more.value - fewer.value, 0.0), 1)
    return Value(share, 0.0, f"{share:.1f}")


def grade_drawing(material: Material, name: str) -> Drawing | None:
    """Draw the rate of 需要关注及以上 over the grades."""
    _, say = words._, material.say
    found = [value for value in material.model.grade_lines if len(value.keys) == 1]
    if not found:
        return None
    return Drawing(
        "lines",
        name,
        say(_("Rate of needs attention or more by grade")),
        "%",
        tuple(material.label("grade", value.keys["grade"]) for value in found),
        (Line(say(words.TOTAL), tuple(drawn(display_value(value)) for value in found)),),
        note=say(words.ERROR_BARS),
    )
