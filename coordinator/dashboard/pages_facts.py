"""A school's own two forms: its conditions for a school year, and the progress of a running round.

Both are typed by people, outside of the protected statistics; no node has a part in them. A form is taken
whole or not at all, and what was typed stays when it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from coordinator import facts as store
from coordinator.account_rules import AccountError
from coordinator.dashboard.rounds import Round, every_round
from coordinator.dashboard.visit import Page, Redirect, Reply, Visit
from plan.codes import WAVE
from plan.errors import Problem, phrase
from results.facts import (
    ATTESTATIONS,
    BAND_LABELS,
    DECLARATION_TEXT,
    FIELDS,
    SECTIONS,
    FactsError,
    Field,
    InstitutionFacts,
    fact_indicators,
    is_year,
    parse_facts,
    parse_progress,
)

SCHOOL_YEAR_BEGINS: Final = 8
SPLIT: Final = "\n"


@dataclass(frozen=True, slots=True)
class Form:
    """A form to be shown: what stands in it by field, and what is wrong with it by field."""

    texts: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


def facts_form(visit: Visit) -> Reply:
    """Show a school's conditions of a school year, as they were saved last."""
    year = _year(visit, visit.query.get("year", ""))
    found = _saved(visit, year)
    return _facts_page(visit, year, Form(_texts(found) if found else _first(visit)))


def save_facts(visit: Visit) -> Reply:
    """Take a school's conditions, whole or not at all."""
    year, node = visit.text("year"), _node(visit)
    if not is_year(year) or year not in _years(visit):
        return _facts_page(visit, _year(visit, ""), Form(visit.texts, {"year": _say(visit, _NO_YEAR)}), 409)
    try:
        found = parse_facts(node, year, dict(_raw(visit.texts)))
        store.save_facts(visit.county.book, [found], visit.name, "form")
    except FactsError as err:
        return _facts_page(visit, year, Form(visit.texts, _problems(visit, err.problems)), 409)
    return Redirect("/facts", "facts")


def progress_form(visit: Visit) -> Reply:
    """Show the progress statement of each round that is collecting."""
    return _progress_page(visit, Form())


def save_progress(visit: Visit) -> Reply:
    """Take a progress statement."""
    rounds = {row.id: row for row in _rounds(visit)}
    found = rounds.get(visit.text("round"))
    if found is None:
        closed = phrase("this round takes no statement any more")
        return _progress_page(visit, Form(visit.texts, {"round": _say(visit, closed)}), 409)
    raw = {name: visit.text(name) for name in ("band", "by", "on", *ATTESTATIONS) if visit.text(name)}
    try:
        statement = parse_progress(_node(visit), {**raw, "wave": found.wave})
        store.save_progress(visit.county.book, bytes.fromhex(found.id), [statement], visit.name, "form")
    except FactsError as err:
        return _progress_page(visit, Form(visit.texts, _problems(visit, err.problems)), 409)
    return Redirect("/progress", "progress")


def schools(visit: Visit) -> Reply:
    """Show the clerk which schools have filled in what, and the indicators of all together."""
    year = _year(visit, visit.query.get("year", ""))
    current = next(iter(_rounds(visit)), None)
    with visit.county.reading() as view:
        nodes = store.schools(view) if view.has_genesis else ()
        forms = store.facts_versions(view, year) if nodes else {}
        facts = store.read_facts(view, year) if nodes else ()
        round_id = bytes.fromhex(current.id) if current else b""
        said = {row.node: row for row in store.read_progress(view, round_id)} if current else {}
    values = {
        "year": year,
        "years": _years(visit),
        "round": current,
        "rows": [(node.id, store.school_name(node), forms.get(node.id), said.get(node.id)) for node in nodes],
        "indicators": [row for row in fact_indicators(facts, len(nodes)) if not row.keys] if nodes else [],
        "bands": BAND_LABELS,
        "declaration": DECLARATION_TEXT,
    }
    return Page("schools.html", values)


def _facts_page(visit: Visit, year: str, form: Form, status: int = 200) -> Page:
    sections: dict[str, list[Field]] = {}
    for row in FIELDS.values():
        sections.setdefault(row.section, []).append(row)
    values: dict[str, Any] = {
        "year": year,
        "years": _years(visit),
        "school": visit.county.nodes().get(_node(visit), _node(visit)),
        "sections": [(SECTIONS[key], rows) for key, rows in sections.items()],
        "form": form,
        "declaration": DECLARATION_TEXT,
        "saved": _version(visit, year),
    }
    return Page("facts.html", values, status)


def _progress_page(visit: Visit, form: Form, status: int = 200) -> Page:
    rows = []
    with visit.county.reading() as view:
        for found in _rounds(visit):
            said = {row.node: row for row in store.read_progress(view, bytes.fromhex(found.id))}
            rows.append((found, said.get(_node(visit))))
    values = {"rows": rows, "form": form, "bands": BAND_LABELS, "attestations": ATTESTATIONS}
    today = visit.county.clock().astimezone().date().isoformat()
    return Page("progress.html", {**values, "today": today, "waves": WAVE}, status)


def _rounds(visit: Visit) -> tuple[Round, ...]:
    """List the rounds that are collecting; for a school those that it takes part in."""
    node = visit.account.node if visit.account else ""
    return tuple(
        row
        for row in every_round(visit)
        if row.status["state"] == "collecting"
        and (not node or node in {school.node for school in row.schools})
    )


def _node(visit: Visit) -> str:
    """Give the school of the account; the only one whose forms it sees.

    Raises:
        AccountError: the school has left the roster.
    """
    node = visit.account.node if visit.account else ""
    if not node or node not in visit.county.nodes():
        raise AccountError(phrase("this school is not in the roster in force; telephone the county"))
    return node


def _years(visit: Visit) -> tuple[str, ...]:
    """List the school years that have a round or forms, and the present one, the newest first."""
    now = visit.county.clock().astimezone()
    begin = now.year if now.month >= SCHOOL_YEAR_BEGINS else now.year - 1
    with visit.county.reading() as view:
        known = set(store.facts_years(view))
    return tuple(sorted({f"{begin}-{begin + 1}", *known, *_round_years(visit)}, reverse=True))


def _round_years(visit: Visit) -> set[str]:
    return {row.school_year for row in every_round(visit)}


def _year(visit: Visit, asked: str) -> str:
    years = _years(visit)
    return asked if asked in years else years[0]


def _saved(visit: Visit, year: str) -> InstitutionFacts | None:
    node = _node(visit)
    with visit.county.reading() as view:
        return next((row for row in store.read_facts(view, year) if row.node == node), None)


def _version(visit: Visit, year: str) -> store.Version | None:
    with visit.county.reading() as view:
        return store.facts_versions(view, year).get(_node(visit))


def _first(visit: Visit) -> dict[str, str]:
    return {"school_name": visit.county.nodes()[_node(visit)]}


def _texts(found: InstitutionFacts) -> dict[str, str]:
    """Turn stored values into the fields of the form."""
    texts: dict[str, str] = {}
    for name, value in found.plain().items():
        if FIELDS[name].kind == "choices" and isinstance(value, list):
            texts |= {f"{name}.{code}": "1" for code in value}
        else:
            texts[name] = SPLIT.join(value) if isinstance(value, list) else str(value)
    return texts


def _raw(texts: Mapping[str, str]) -> Iterator[tuple[str, object]]:
    """Turn fields of the form into values; one that the form does not have is passed on, to be refused."""
    several: dict[str, list[str]] = {}
    for name, text in texts.items():
        head, _sign, code = name.partition(".")
        if name in ("form_token", "year"):
            continue
        if code and head in FIELDS and FIELDS[head].kind == "choices":
            several.setdefault(head, []).append(code)
        elif name in FIELDS and FIELDS[name].kind == "texts":
            yield name, [line.strip() for line in text.splitlines() if line.strip()]
        else:
            yield name, text.strip()
    yield from several.items()


_NO_YEAR: Final = phrase("choose a school year that is offered")


def _problems(visit: Visit, problems: tuple[Problem, ...]) -> dict[str, str]:
    """Say by field what is wrong; what belongs to no field of the form stands under ""."""
    found: dict[str, str] = {}
    for problem in problems:
        known = problem.key in FIELDS or problem.key in ("band", "by", "on", *ATTESTATIONS)
        key = problem.key if known else ""
        said = phrase("expected: %(allowed)s", allowed=problem.allowed) if key else problem.phrase
        found[key] = _say(visit, said)
    return found


def _say(visit: Visit, words: Any) -> str:
    return str(words.text(visit.translate))
