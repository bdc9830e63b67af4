"""What changed from one plan to another, in words, for those who review it.

Every attribute of a plan is compared; the changes that touch a pupil's privacy or what is asked about pupils
come first, in the order of `_ATTRIBUTES`: what it costs and whom it protects, then what is counted, then what
is only named or timed. Both plans may be drafts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from plan.code_words import code_phrase
from plan.codes import GRADE
from plan.document import AUTO, CRITICAL, PlanDocument
from plan.errors import Phrase, phrase
from plan.instrument import Instrument
from plan.reading import encode_moment
from plan.scores import encode_score
from plan.table_spec import TableSpec


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        key: path of the key in the plan's file, stable.
        is_privacy: whether it touches the protection, or what is asked about whom.
        words: what was and what is.
    """

    key: str
    is_privacy: bool
    words: Phrase


@dataclass(frozen=True, slots=True)
class _Attribute:
    """How to show one attribute of a plan."""

    key: str
    name: str
    show: Callable[[PlanDocument], str | Phrase]
    is_privacy: bool = True


def _(message: str) -> str:
    """Mark a name for the translation catalogue."""
    return message


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(values)


def _pairs(values: Iterable[tuple[str, str]]) -> str:
    return _list(tuple(f"{code} {label}" for code, label in values)) or "—"


def _codes(codes: tuple[str, ...], sign: str) -> Phrase:
    """Join code words by a sign, each to be translated by itself."""
    names = [f"code{place}" for place in range(len(codes))]
    values = tuple((name, code_phrase(code)) for name, code in zip(names, codes, strict=True))
    return Phrase(sign.join(f"%({name})s" for name in names), values)


def _number_or_auto(value: int | None) -> str | Phrase:
    return code_phrase(AUTO) if value is None else str(value)


def _ladder(plan: PlanDocument) -> str | Phrase:
    if plan.tiers is None:
        return code_phrase(AUTO)
    return _list(tuple(str(tier) for tier in plan.tiers)) or code_phrase("off")


def _days(value: date | datetime) -> str:
    return encode_moment(value) if isinstance(value, datetime) else value.isoformat()


_ATTRIBUTES: Final = (
    _Attribute("rho", _("cost ρ"), lambda plan: str(plan.rho)),
    _Attribute("neighbouring", _("what the guarantee protects"), lambda plan: code_phrase(plan.neighbouring)),
    _Attribute("consent", _("consent"), lambda plan: code_phrase(plan.consent)),
    _Attribute(
        "critical_items", _("self-harm items"), lambda plan: code_phrase(CRITICAL[plan.has_critical_items])
    ),
    _Attribute(
        "trust",
        _("auditors n, threshold t, colluding f, quorum q"),
        lambda plan: f"{plan.num_auditors}, {plan.threshold}, {plan.collude}, {plan.quorum}",
    ),
    _Attribute("trust.min_reports", _("fewest reports"), lambda plan: _number_or_auto(plan.min_reports)),
    _Attribute(
        "trust.colluding_schools",
        _("schools assumed to add no noise"),
        lambda plan: str(plan.colluding_schools),
    ),
    _Attribute("trust.min_group", _("fewest schools behind an attribute"), lambda plan: str(plan.min_group)),
    _Attribute("trust.ladder", _("turnout ladder"), _ladder),
    _Attribute("floors.display", _("smallest value shown"), lambda plan: str(plan.display_floor)),
    _Attribute("floors.denominator", _("smallest base of a rate"), lambda plan: str(plan.denominator_floor)),
    _Attribute("release_class", _("release class"), lambda plan: code_phrase(plan.release_class)),
    _Attribute("recipients", _("recipients"), lambda plan: _list(plan.recipients)),
    _Attribute("purpose", _("purpose"), lambda plan: plan.purpose),
    _Attribute("legal_basis", _("legal basis"), lambda plan: plan.legal_basis),
    _Attribute("grades", _("grades"), lambda plan: _list(tuple(GRADE[grade] for grade in plan.grades))),
    _Attribute("systems", _("school systems"), lambda plan: _codes(plan.systems, ", ")),
    _Attribute("school_year", _("school year"), lambda plan: plan.school_year),
    _Attribute("census_date", _("census date"), lambda plan: _days(plan.census_date)),
    _Attribute("window.opens", _("window opens"), lambda plan: _days(plan.opens), is_privacy=False),
    _Attribute("window.closes", _("window closes"), lambda plan: _days(plan.closes), is_privacy=False),
    _Attribute("wave", _("wave"), lambda plan: plan.wave, is_privacy=False),
    _Attribute("id", _("id"), lambda plan: plan.id, is_privacy=False),
    _Attribute("title", _("title"), lambda plan: plan.title, is_privacy=False),
)


@dataclass(frozen=True, slots=True)
class _TableKey:
    """How to show one attribute of a table."""

    key: str
    name: str
    show: Callable[[TableSpec], str | Phrase]
    is_privacy: bool = True


def _where(table: TableSpec) -> str:
    return "; ".join(f"{name} = {_list(kept)}" for name, kept in table.where) or "—"


def _range(table: TableSpec) -> str:
    return f"{table.sum} {table.range[0]}–{table.range[1]}" if table.range else "—"


_TABLE_KEYS: Final = (
    _TableKey("dims", _("dimensions"), lambda table: _codes(table.dims, " × ")),
    _TableKey("where", _("filter"), _where),
    _TableKey("multi", _("set-valued dimension"), lambda table: code_phrase(table.multi or "—")),
    _TableKey("touch", _("most cells of a pupil"), lambda table: str(table.touch)),
    _TableKey("sum", _("number summed, and its range"), _range),
    _TableKey("weight", _("weight"), lambda table: str(table.weight)),
    _TableKey("instrument", _("instrument"), lambda table: table.instrument or "—"),
    _TableKey("reason", _("reason"), lambda table: table.reason or "—", is_privacy=False),
    _TableKey("title", _("title"), lambda table: table.title, is_privacy=False),
)


def compare(old: PlanDocument, new: PlanDocument) -> tuple[Change, ...]:
    """List what differs, privacy first; empty for plans that say the same."""
    found = [*_attributes(old, new), *_tables(old, new), *_instruments(old, new), *_roster_columns(old, new)]
    if not found and old != new:
        found.append(Change("", True, phrase("something else differs: compare the files themselves")))
    return tuple(sorted(found, key=lambda change: not change.is_privacy))


def _attributes(old: PlanDocument, new: PlanDocument) -> Iterator[Change]:
    for item in _ATTRIBUTES:
        before, after = item.show(old), item.show(new)
        if before != after:
            yield Change(item.key, item.is_privacy, _from_to(phrase(item.name), before, after))


def _from_to(name: Phrase, before: str | Phrase, after: str | Phrase) -> Phrase:
    return phrase("%(name)s: %(before)s → %(after)s", name=name, before=before, after=after)


def _tables(old: PlanDocument, new: PlanDocument) -> Iterator[Change]:
    before = {table.id: table for table in old.tables}
    after = {table.id: table for table in new.tables}
    for table in new.tables:
        if table.id not in before:
            words = phrase("table %(id)s added: %(title)s, %(dims)s, weight %(weight)s", **_told(table))
            yield Change(f"tables.{table.id}", True, words)
    for table in old.tables:
        if table.id not in after:
            words = phrase("table %(id)s removed: %(title)s, %(dims)s, weight %(weight)s", **_told(table))
            yield Change(f"tables.{table.id}", True, words)
    for name in (name for name in after if name in before):
        for item in _TABLE_KEYS:
            was, now = item.show(before[name]), item.show(after[name])
            if was != now:
                words = phrase("table %(id)s, %(name)s", id=name, name=phrase(item.name))
                yield Change(f"tables.{name}.{item.key}", item.is_privacy, _from_to(words, was, now))
    if before.keys() == after.keys() and list(before) != list(after):
        words = _from_to(phrase("order of the tables"), _list(tuple(before)), _list(tuple(after)))
        yield Change("tables", False, words)


def _told(table: TableSpec) -> dict[str, str | Phrase]:
    return {
        "id": table.id,
        "title": table.title,
        "dims": _codes(table.dims, " × "),
        "weight": str(table.weight),
    }


def _instruments(old: PlanDocument, new: PlanDocument) -> Iterator[Change]:
    before = {item.id: item for item in old.instruments}
    after = {item.id: item for item in new.instruments}
    for name in dict.fromkeys((*before, *after)):
        if name not in before:
            yield Change(f"instruments.{name}", True, phrase("instrument %(id)s added", id=name))
        elif name not in after:
            yield Change(f"instruments.{name}", True, phrase("instrument %(id)s removed", id=name))
        else:
            yield from _instrument(before[name], after[name])


def _instrument(old: Instrument, new: Instrument) -> Iterator[Change]:
    rows: Mapping[str, tuple[str, Callable[[Instrument], str]]] = {
        "digest": (_("codebook"), lambda item: item.digest or "—"),
        "total": (
            _("score range"),
            lambda item: f"{encode_score(item.total.low)}–{encode_score(item.total.high)}",
        ),
        "factors": (_("factors"), lambda item: _pairs(item.factors)),
    }
    for key, (name, show) in rows.items():
        if show(old) != show(new):
            words = phrase("instrument %(id)s, %(name)s", id=old.id, name=phrase(name))
            yield Change(f"instruments.{old.id}.{key}", True, _from_to(words, show(old), show(new)))


def _roster_columns(old: PlanDocument, new: PlanDocument) -> Iterator[Change]:
    before, after = dict(old.attributes), dict(new.attributes)
    for name in dict.fromkeys((*before, *after)):
        was, now = (_pairs(values.get(name, ())) for values in (before, after))
        if was != now:
            words = phrase("roster attribute %(name)s", name=name)
            yield Change(f"attributes.{name}", True, _from_to(words, was, now))
