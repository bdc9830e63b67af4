"""A new plan's text: a ready plan with a county's answers in it, its comments kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from fedscreen.planning.toml_edit import TomlText
from plan.codebook import Codebook
from plan.document import PlanDocument
from plan.instrument import Instrument, instrument_of
from plan.scores import encode_score

OPENING, CLOSING = "08:00:00+08:00", "18:00:00+08:00"
_CRITICAL_IDS = ("A8", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a county says about its plan; dates are days in China.

    Attributes:
        codebook: of the instrument in use; None leaves the ready plan's.
        (the others): as in the plan's file.
    """

    base: str
    id: str
    title: str
    school_year: str
    census_date: date
    opens: date
    closes: date
    grades: tuple[str, ...]
    systems: tuple[str, ...]
    recipients: tuple[str, ...]
    legal_basis: str
    consent: str
    critical_items: str
    release_class: str
    ladder: str
    codebook: Codebook | None


def write_draft(text: str, plan: PlanDocument, answers: Answers) -> str:
    """Return the text of a ready plan with the answers in it.

    Args:
        text: of the ready plan's file.
        plan: the ready plan itself.
    """
    found = TomlText(text)
    for section, key, value in _values(answers):
        found.set(section, key, value)
    if answers.ladder != "off":
        found.set("trust", "ladder", json.dumps(answers.ladder))
    if answers.codebook is not None:
        _use_instrument(found, plan, instrument_of(answers.codebook))
    if answers.critical_items == "counted":
        _count_critical(found, plan)
    return str(found)


def _values(answers: Answers) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and TOML text of each answer."""
    for key in ("id", "title", "school_year", "legal_basis", "consent", "critical_items", "release_class"):
        yield "", key, _toml(getattr(answers, key))
    for key in ("grades", "systems", "recipients"):
        yield "", key, _toml(list(getattr(answers, key)))
    yield "", "census_date", answers.census_date.isoformat()
    yield "window", "opens", f"{answers.opens.isoformat()}T{OPENING}"
    yield "window", "closes", f"{answers.closes.isoformat()}T{CLOSING}"


def _toml(value: str | list[str]) -> str:
    """Return a basic string or a list of them: JSON's spelling is TOML's for text of one line."""
    return json.dumps(value, ensure_ascii=False)


def _use_instrument(found: TomlText, plan: PlanDocument, instrument: Instrument) -> None:
    """Put the codebook's instrument in, pinned; tables over factors follow it as in `use_codebook`."""
    low, high = (encode_score(end) for end in (instrument.total.low, instrument.total.high))
    lines = [
        "[[instruments]]",
        f"id = {_toml(instrument.id)}",
        f"digest = {_toml(instrument.digest)}",
        f"total = [{low}, {high}]",
    ]
    if instrument.factors:
        pairs = [f"    {_toml(list(pair))}," for pair in instrument.factors]
        lines += ["factors = [", *pairs, "]"]
    found.replace_blocks("instruments", lines)
    for table in plan.tables:
        if table.multi == "factor" and not instrument.factors:
            found.remove("tables", table.id)
        elif table.multi == "factor" and table.touch > len(instrument.factors):
            found.set("tables", "touch", str(len(instrument.factors)), item=table.id)


def _count_critical(found: TomlText, plan: PlanDocument) -> None:
    """Add the table of self-harm items, if the plan has none."""
    if any("critical" in table.dims for table in plan.tables):
        return
    taken = {table.id for table in plan.tables}
    name = next(name for name in _CRITICAL_IDS if name not in taken)
    found.append(
        (
            "# 风险题:由人决定是否统计 / self-harm items: a person decided to count them",
            "[[tables]]",
            f'id = "{name}"',
            'title = "风险题"',
            'dims = ["stage", "sex", "critical"]',
            "where = { disposition = [1] }",
        )
    )
