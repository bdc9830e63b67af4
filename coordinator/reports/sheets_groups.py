"""表3 and 表4: key groups, and factors."""

from __future__ import annotations

from coordinator.reports import words
from coordinator.reports.material import Asked, Group, Material, drawn, present
from coordinator.reports.sheets_testing import sheet
from paper.document import Drawing, Line, Part, Table
from results.showing import display_value

LEDGERS = ("g1", "g2", "g3")


def groups(material: Material) -> Part:
    """Make 表3 重点群体预警情况."""
    return sheet(material, words.GROUPS, words.UNIT_PUPILS_PERCENT, *present(*group_tables(material)))


def group_tables(material: Material) -> list[Table | None]:
    """Make the tables of 表3: alert rates by group and stage, the three ledgers, other groups."""
    _, say = words._, material.say
    note = say(_("Alert rate: needs attention or more, among the valid tests of the group."))
    kinds = (
        (say(_("Boarding: alert rate (%)")), "IND-09", "boarding"),
        (say(_("Left behind: alert rate (%)")), "IND-10", "left_behind"),
        (say(_("Family: alert rate (%)")), "IND-11", "family"),
    )
    tables = [
        material.grid(
            title, say(_("Group")), _codes_of(material, entry, dimension), by_stage(material, entry), note
        )
        for title, entry, dimension in kinds
    ]
    ledgers = [Group(material.label("group", code), {"group": code}) for code in LEDGERS]
    others = [Group(material.label("group", code), {"group": code}) for code in material.codes("group")]
    columns = [
        Asked(say(_("With an alert")), "IND-26/count"),
        Asked(say(_("Alert rate (%)")), "IND-26"),
        Asked(say(_("Home visits (%)")), "IND-34"),
    ]
    return [
        *tables,
        material.grid(
            say(_("The three ledgers: pupils")), say(_("Ledger")), ledgers, by_stage(material, "IND-25")
        ),
        material.grid(say(_("Key groups: alerts and home visits")), say(_("Group")), others, columns),
        _county_table(material),
    ]


def _county_table(material: Material) -> Table | None:
    """Make a prefecture's table: pupils with an alert by county and group, in the order of the codes."""
    _, say = words._, material.say
    columns = [
        Asked(material.label("group", code), "IND-26/count", {"group": code})
        for code in material.codes("group")
    ]
    title = say(_("Key groups by county: pupils with an alert"))
    return material.grid(title, say(_("County")), material.group("county"), columns)


def _codes_of(material: Material, entry: str, dimension: str) -> list[Group]:
    """Give a row for each code of a dimension that an indicator has."""
    found = {value.keys[dimension] for value in material.model.values(entry) if dimension in value.keys}
    codes = [code for code in material.codes(dimension) if code in found]
    return [Group(material.label(dimension, code), {dimension: code}) for code in codes]


def by_stage(material: Material, entry: str) -> list[Asked]:
    """Give a column for the county and for each stage."""
    whole = Asked(material.say(words.TOTAL), entry)
    stages = material.codes("stage")
    return [whole, *(Asked(material.label("stage", code), entry, {"stage": code}) for code in stages)]


def factors(material: Material) -> Part:
    """Make 表4 因子偏高情况."""
    blocks = present(*factor_tables(material), *factor_drawings(material), *score_tables(material))
    return sheet(material, words.FACTORS, words.UNIT_PUPILS_PERCENT, *blocks)


def _instruments(material: Material, entry: str) -> list[str]:
    """List the instruments of an indicator's numbers; "" where the plan has only one."""
    return list(dict.fromkeys(value.keys.get("instrument", "") for value in material.model.values(entry)))


def _named(title: str, instrument: str) -> str:
    return f"{title} ({instrument.upper()})" if instrument else title


def factor_tables(material: Material) -> list[Table | None]:
    """Make the tables of 表4, one per instrument: the rate of each factor by stage and sex."""
    _, say = words._, material.say
    tables = []
    for instrument in _instruments(material, "IND-12"):
        own = {"instrument": instrument} if instrument else {}
        rows = [
            Group(material.label("factor", code), {"factor": code, **own})
            for code in material.codes("factor")
        ]
        sexes = material.codes("sex")
        columns = [
            *by_stage(material, "IND-12"),
            *(Asked(material.label("sex", code), "IND-12", {"sex": code}) for code in sexes),
        ]
        note = say(_("Share of the valid tests whose factor is high by the codebook of the instrument."))
        tables.append(
            material.grid(
                _named(say(_("High factors (%)")), instrument), say(_("Factor")), rows, columns, note
            )
        )
    return tables


def factor_drawings(material: Material) -> list[Drawing]:
    """Draw the factors of the county, one chart per instrument."""
    _, say = words._, material.say
    found = []
    for place, instrument in enumerate(_instruments(material, "IND-12")):
        values = [
            value for value in material.model.factor_bars if value.keys.get("instrument", "") == instrument
        ]
        names = tuple(material.label("factor", value.keys["factor"]) for value in values)
        title = _named(say(_("Rate of high factors")), instrument)
        line = Line(title, tuple(drawn(display_value(value)) for value in values))
        found.append(
            Drawing("bars", f"factors-{place}", title, "%", names, (line,), note=say(words.ERROR_BARS))
        )
    return found


def score_tables(material: Material) -> list[Table | None]:
    """Make the tables of score bands and, where a person turned them on, of risk items."""
    _, say = words._, material.say
    tables = []
    for instrument in _instruments(material, "IND-14"):
        own = {"instrument": instrument} if instrument else {}
        rows = [Group(material.label("band", code), {"band": code, **own}) for code in material.codes("band")]
        title = _named(say(_("Valid tests by tenth of the score's range: pupils")), instrument)
        tables.append(material.grid(title, say(_("Band")), rows, by_stage(material, "IND-14")))
    stages = material.group("stage", say(words.TOTAL))
    asked = [Asked(say(_("Risk items marked (%)")), "IND-15")]
    tables.append(material.grid(say(_("Risk items")), say(_("Stage")), stages, asked))
    return tables
