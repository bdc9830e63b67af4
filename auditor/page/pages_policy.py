"""The policy in plain words, and a form for its limits: loosening wants the federation's name typed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final

from auditor.config import AuditorFolder
from auditor.enrol import load_card, load_policy
from auditor.errors import PolicyError, RefusalError
from auditor.page.visit import Page, Redirect, Reply, Visit
from auditor.policy import AuditorPolicy, parse_auditor_policy
from auditor.policy_edit import add_line, read_text, remove_line, review_change, set_line, store_policy
from plan.errors import phrase

_NUMBER: Final = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_RATIONAL: Final = re.compile(r"[0-9]{1,9}(?:/[0-9]{1,9}|\.[0-9]{1,6})?\Z", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z", re.ASCII)
BOUNDS: Final = ("max-rho", "max-rho-year")
COUNTS: Final = ("min-reports", "min-group", "min-colluding-schools")
NAMES: Final = ("forbid-field", "forbid-table")
RELATIONS: Final = ("replace-one", "add-remove")


def policy(visit: Visit) -> Reply:
    """Show the policy in force and the form."""
    found = load_policy(visit.folder.policy)
    return Page("policy.html", {"policy": found, "typed": typed_of(found), "relations": RELATIONS})


def change(visit: Visit) -> Reply:
    """Show what a change does; with the yes to exactly that, store it."""
    folder = visit.folder
    before = read_text(folder.policy)
    found = parse_auditor_policy(before)
    text = changed(before, found, visit.texts)
    changes = review_change(folder, parse_auditor_policy(text))
    if not changes:
        visit.say("warn", phrase("Nothing was changed: the form says what the policy says already."))
        return Redirect("/policy")
    is_looser, federation = any(row.is_looser for row in changes), load_card(folder).federation
    shown = digest(before, text)
    if visit.text("shown") == shown and (not is_looser or visit.text("confirmed") == federation):
        return _store(visit, folder, text)
    values = {
        "changes": changes,
        "is_looser": is_looser,
        "federation": federation,
        "shown": shown,
        "is_wrong": visit.text("shown") == shown,
        "texts": {name: value for name, value in visit.texts.items() if name not in _OWN},
    }
    return Page("policy_change.html", values)


_OWN: Final = frozenset({"form_token", "shown", "confirmed"})


def _store(visit: Visit, folder: AuditorFolder, text: str) -> Reply:
    _changes, kept = store_policy(folder, text)
    place = str(kept.name) if kept else ""
    visit.say("good", phrase("The policy is changed; the one before is kept as %(file)s.", file=place))
    return Redirect("/policy")


def typed_of(found: AuditorPolicy) -> dict[str, str]:
    """Give the form's fields as the policy fills them."""
    return {
        "max-rho": ratio(found.max_rho),
        "max-rho-year": ratio(found.max_rho_year),
        "min-reports": str(found.min_reports),
        "min-group": str(found.min_group),
        "min-colluding-schools": str(found.min_colluding_schools),
        "forbid-field": " ".join(found.forbidden_fields),
        "forbid-table": " ".join(found.forbidden_tables),
    }


def ratio(value: Fraction) -> str:
    """Write a cost as a policy writes it."""
    return f"{value.numerator}/{value.denominator}"


def changed(text: str, found: AuditorPolicy, texts: Mapping[str, str]) -> str:
    """Write the policy that a form asks for; lines that it does not name stay as they are.

    Raises:
        PolicyError: a field is not what it should be.
    """
    before = typed_of(found)
    for word in (*BOUNDS, *COUNTS):
        value = _value(word, texts.get(word, before[word]).strip())
        if value != before[word]:
            text = set_line(text, word, [value])
    added, removed = [], []
    for word, old, new in _lists(found, texts):
        added += [(word, item) for item in new if item not in old]
        removed += [(word, item) for item in old if item not in new]
    for word, item in added:  # first, because a policy without a tuple is none
        text = add_line(text, word, item.split())
    for word, item in removed:
        text = remove_line(text, word, item.split())
    return text


def _lists(
    found: AuditorPolicy, texts: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    before = typed_of(found)
    for word in NAMES:
        yield word, tuple(before[word].split()), _names(texts.get(word, before[word]))
    relations = tuple(name for name in RELATIONS if texts.get(f"forbid-relation.{name}"))
    yield "forbid-relation", tuple(str(name) for name in found.forbidden_relations), relations
    tuples = tuple(" ".join(str(number) for number in row) for row in found.tuples)
    kept = tuple(row for row in tuples if texts.get("tuple." + row.replace(" ", "-")))
    more = " ".join(texts.get("tuple", "").split())
    yield "tuple", tuples, (*kept, more) if more and more not in kept else kept


def _value(word: str, given: str) -> str:
    if word in BOUNDS:
        if not _RATIONAL.match(given) or given.endswith("/0"):
            raise PolicyError(phrase("%(key)s: expected a rational a/b, for example 1/4", key=word))
        try:
            return ratio(Fraction(given))
        except ZeroDivisionError as err:
            raise PolicyError(phrase("%(key)s: expected a rational a/b, for example 1/4", key=word)) from err
    if not _NUMBER.match(given):
        raise PolicyError(phrase("%(key)s: expected %(expected)s", key=word, expected=phrase("a number")))
    return str(int(given))


def _names(given: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(re.split(r"[\s,，、]+", given.strip()))) if given.strip() else ()
    wrong = [name for name in names if not _NAME.match(name)]
    if wrong:
        raise RefusalError("not-a-name", phrase("%(name)s: expected a short name", name=wrong[0][:40]))
    return names


def digest(before: str, after: str) -> str:
    """Name a change, so that what was shown is what is stored."""
    return hashlib.sha256(f"{len(before)}\n{before}{after}".encode()).hexdigest()
