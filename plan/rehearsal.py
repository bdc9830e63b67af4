"""Rehearse a codebook before a round opens: made-up pupils through its labels and scores into the tables.

1. Every label of every label set gives the level that the codebook names, also with spaces and in full width;
   a label that no set knows is refused, and a bare number where numbers are no labels.
2. Scores at the ends of each range are taken, those beyond refused; each comparator turns where it says.
3. Made-up pupils with all these labels and scores, in every grade, are counted into the plan's tables: the
   identities between tables hold, and each level has as many pupils as had its labels.

The pupils follow from a counter; nothing about them is true of anybody. What a rehearsal cannot find: that a
platform's file has other labels than the codebook. For that a school imports its own file.

I/O-free. Spec: design "Codebooks and profiles".
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import numpy as np

from plan.codebook import Codebook
from plan.codes import FLAG, UNKNOWN
from plan.document import PlanDocument
from plan.errors import CodebookError, Phrase, PlanError, Problem, phrase
from plan.identities import violated
from plan.layout import Layout, TableLayout, build_layout
from plan.record import Record
from plan.scores import ScoreRange, encode_score, parse_score
from plan.tabulation import Counts, tabulate

DEFAULT_PUPILS = 3000
_Check = Callable[[Decimal], object]
_STEP = Decimal("0.01")
_FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "sex": ("1", "2", "9"),
    "boarding": ("1", "2", "9"),
    "left_behind": ("0", "1", "2", "9"),
    "family": ("1", "2", "3", "4", "9"),
    "migrant": ("0", "1", "9"),
    "recheck": ("0", "1", "2", "3", "9"),
    "found_by": ("1", "2", "3", "4", "9"),
    "file_built": ("0", "1", "9"),
    "carer_assigned": ("0", "1", "9"),
    "pool": ("1", "2", "3", "9"),
    "level_before": ("0", "1", "2", "3", "9"),
    "home_visit": ("0", "1", "9"),
    "ref_dest": ("1", "2", "3", "4", "5", "6", "9"),
    "outcome": ("1", "2", "3", "4", "5", "6", "7", "9"),
    **dict.fromkeys(FLAG, ("0", "1", "9")),
}
_GROUPS: tuple[frozenset[str], ...] = (
    frozenset(),
    frozenset({"g1"}),
    frozenset({"g1", "g2"}),
    frozenset({"g2", "g4", "g5", "g6"}),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that was tried. `is_right` says whether the codebook did what it must."""

    what: Phrase
    is_right: bool


@dataclass(frozen=True, slots=True)
class TableReached:
    """How many of a table's cells the made-up pupils fell into."""

    id: str
    cells: int
    reached: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rehearsal found.

    Attributes:
        codebook: id and version.
        digest: of the codebook, hex: what the plan pins.
        labels: (label set, label, level), as the codebook has them.
        unreached: (label set, levels that none of its labels gives); empty for complete sets.
        cases: everything that was tried.
        pupils: how many were made up.
        tables: of the plan that count this instrument.
        broken: identities between tables that do not hold.
    """

    codebook: str
    digest: str
    labels: tuple[tuple[str, str, str], ...]
    unreached: tuple[tuple[str, tuple[str, ...]], ...]
    cases: tuple[Case, ...]
    pupils: int
    tables: tuple[TableReached, ...]
    broken: tuple[str, ...]

    @property
    def failed(self) -> tuple[Case, ...]:
        """The cases that went wrong."""
        return tuple(case for case in self.cases if not case.is_right)

    @property
    def is_good(self) -> bool:
        """Whether schools may import with this codebook under this plan."""
        return not self.failed and not self.broken and any(row.reached for row in self.tables)


def rehearse(plan: PlanDocument, codebook: Codebook, num_pupils: int = DEFAULT_PUPILS) -> Rehearsal:
    """Rehearse one codebook of a plan.

    Args:
        plan: with its `min_reports` set, and the codebook pinned.
        codebook: of one of the plan's instruments.
        num_pupils: made-up pupils.

    Raises:
        PlanError: the plan has no layout, or does not accept this codebook.
    """
    layout = build_layout(plan)
    digest = codebook.digest.hex()
    if not any(item.accepts(codebook.id, digest) for item in plan.instruments):
        names = ", ".join(f"{item.id} {item.digest[:16]}" for item in plan.instruments)
        found = phrase("the codebook %(name)s %(digest)s", name=codebook.id, digest=digest[:16])
        raise CodebookError(Problem("instruments", found, phrase("one of %(names)s", names=names)))
    labels = tuple((row.name, label, level) for row in codebook.label_sets for label, level in row.labels)
    rows = list(_pupils(plan, codebook, labels, num_pupils))
    counts = np.zeros(layout.cells, np.int64)
    for number, attributes in enumerate(_schools(plan)):
        school = [record for place, (record, _) in enumerate(rows) if place % _num_schools(plan) == number]
        counts += tabulate(layout, school, attributes)
    cases = [*_label_cases(codebook, labels), *_score_cases(codebook), *_count_cases(layout, counts, rows)]
    return Rehearsal(
        codebook=f"{codebook.id} {codebook.version}",
        digest=digest,
        labels=labels,
        unreached=tuple(_unreached(codebook)),
        cases=tuple(cases),
        pupils=num_pupils,
        tables=tuple(_reached(table, counts) for table in layout.tables),
        broken=violated(layout, counts),
    )


def _unreached(codebook: Codebook) -> Iterator[tuple[str, tuple[str, ...]]]:
    for row in codebook.label_sets:
        levels = {level for _, level in row.labels}
        missing = tuple(level for level in ("0", "1", "2", "3") if level not in levels)
        if missing:
            yield row.name, missing


# -- what must be taken and what refused -------------------------------------------------------


def _label_cases(codebook: Codebook, labels: Sequence[tuple[str, str, str]]) -> Iterator[Case]:
    for name, label, level in labels:
        for text in (label, f" {label}\u3000", label.translate(_FULL_WIDTH)):
            what = phrase(
                "label set %(name)s, label %(label)s: level %(level)s", name=name, label=text, level=level
            )
            yield Case(what, _level(codebook, text, name) == level)
    for row in codebook.label_sets:
        unknown = phrase("label set %(name)s: a label that it does not know is refused", name=row.name)
        yield Case(unknown, _level(codebook, "\u2603 no such label", row.name) is None)
        if not row.has_numbers:
            bare = phrase("label set %(name)s: a bare number is refused", name=row.name)
            yield Case(bare, _level(codebook, "7", row.name) is None)


def _level(codebook: Codebook, label: str, name: str) -> str | None:
    try:
        return codebook.level_of(label, name)
    except CodebookError:
        return None


def _score_cases(codebook: Codebook) -> Iterator[Case]:
    total = phrase("total score")
    yield from _range_cases(total, codebook.total, codebook.check_total)
    scale = codebook.validity
    if scale is not None:
        yield from _range_cases(phrase("validity"), scale.range, codebook.validity_of)
        for score in _ends(scale.range):
            code = "2" if scale.invalid.holds(score) else "1"
            what = phrase("validity %(score)s: %(code)s", score=encode_score(score), code=code)
            yield Case(what, codebook.validity_of(score) == code)
    middle = {item.id: item.range.low for item in codebook.factors}
    for item in codebook.factors:

        def check(score: Decimal, name: str = item.id) -> None:
            codebook.factors_high({**middle, name: score})

        yield from _range_cases(phrase("factor %(name)s", name=item.id), item.range, check)
        both = {item.high.holds(score) for score in _ends(item.range)}
        yield Case(
            phrase("factor %(name)s: it can be high and not high", name=item.id), both == {True, False}
        )


def _ends(scores: ScoreRange) -> tuple[Decimal, Decimal]:
    return scores.low, scores.high


def _range_cases(name: Phrase, scores: ScoreRange, check: _Check) -> Iterator[Case]:
    for score, is_inside in (
        (scores.low, True),
        (scores.high, True),
        (scores.high + _STEP, False),
        (scores.low - _STEP, False),
    ):
        what = (
            phrase("%(name)s %(score)s is taken", name=name, score=str(score))
            if is_inside
            else phrase("%(name)s %(score)s is refused", name=name, score=str(score))
        )
        yield Case(what, _is_taken(check, score) is is_inside)


def _is_taken(check: _Check, score: Decimal) -> bool:
    try:
        parsed = parse_score(encode_score(score))
        check(parsed)
    except (PlanError, ValueError):
        return False
    return True


# -- made-up pupils ------------------------------------------------------------------------------


def _schools(plan: PlanDocument) -> Iterator[dict[str, str]]:
    """Yield one school for each value of the roster attributes that the plan uses."""
    for number in range(_num_schools(plan)):
        yield {name: values[number % len(values)][0] for name, values in plan.attributes}


def _num_schools(plan: PlanDocument) -> int:
    return max((len(values) for _, values in plan.attributes), default=1)


def _pupils(
    plan: PlanDocument, codebook: Codebook, labels: Sequence[tuple[str, str, str]], number: int
) -> Iterator[tuple[Record, str]]:
    """Yield records and the level that each one's label stands for."""
    for place in range(number):
        name, label, level = labels[place % len(labels)]
        yield _pupil(plan, codebook, place, (name, label)), level


def _pupil(plan: PlanDocument, codebook: Codebook, place: int, label: tuple[str, str]) -> Record:
    level = codebook.level_of(label[1], label[0])
    is_valid = level != UNKNOWN
    scores = {item.id: _score(item.range, place, item.id) for item in codebook.factors}
    choices = {name: codes[_draw(place, name, len(codes))] for name, codes in _CHOICES.items()}
    record = Record(
        rec_key=_digest(place, "key")[:16],
        grade=plan.grades[_draw(place, "grade", len(plan.grades))],
        system=plan.systems[_draw(place, "system", len(plan.systems))],
        disposition="1" if is_valid else "2",
        guardian_consent="1",
        groups=_GROUPS[_draw(place, "groups", len(_GROUPS))],
        instrument=codebook.id,
        rule_version=codebook.version,
        codebook=codebook.digest.hex(),
        administered_on=plan.census_date + timedelta(days=3),
        total=_score(codebook.total, place, "total") if is_valid else None,
        factors_high=codebook.factors_high(scores) if is_valid else frozenset(),
        level1=level,
        days_to_review=_draw(place, "days", 30),
        critical=("0", "1", "9")[_draw(place, "critical", 3)] if plan.has_critical_items else UNKNOWN,
        **choices,  # type: ignore[arg-type]
    )
    return record if place % 11 else _untested(record, place)


def _untested(record: Record, place: int) -> Record:
    """Make every eleventh pupil one without a test."""
    kept = {name: getattr(record, name) for name in ("rec_key", "grade", "system", "sex", "boarding")}
    return Record(**kept, disposition="34567"[_draw(place, "why", 5)], guardian_consent="1")


def _score(scores: ScoreRange, place: int, name: str) -> Decimal:
    steps = int(scores.high - scores.low)
    return min(scores.low + _draw(place, name, steps + 1), scores.high)


def _draw(place: int, name: str, number: int) -> int:
    return int.from_bytes(_digest(place, name)[:8], "big") % number


def _digest(place: int, name: str) -> bytes:
    return hashlib.sha256(f"rehearsal {name} {place}".encode()).digest()


# -- what was counted ----------------------------------------------------------------------------


def _reached(table: TableLayout, counts: Counts) -> TableReached:
    cells = counts[table.offset : table.end]
    return TableReached(table.id, table.cells, int((cells > 0).sum()))


def _count_cases(layout: Layout, counts: Counts, rows: Sequence[tuple[Record, str]]) -> Iterator[Case]:
    """Compare each table by level alone with the labels that went in."""
    eligible = [(record, level) for record, level in rows if record.grade in layout.scope.grades]
    levels = Counter(level for record, level in eligible if record.is_tested)
    for table in layout.tables:
        is_plain = "level" in table.dims and not table.multi and not table.sum
        filters = {name for name, _ in table.where}
        if not is_plain or filters - {"disposition"}:
            continue
        found = Counter[str]()
        for index in range(table.cells):
            found[table.keys(index)["level"]] += int(counts[table.offset + index])
        what = phrase("table %(id)s: as many pupils at each level as had its labels", id=table.id)
        yield Case(what, all(found[level] == levels[level] for level in found))
