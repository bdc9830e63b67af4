"""Which schools are replayed: the draw of a round with its odds, to print. Needs no keys; signs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from auditor.challenge import (
    Selection,
    find_challenge,
    find_round,
    ledger_of_bundle,
    ledger_of_folder,
    select,
    selection_values,
)
from auditor.enrol import load_policy
from auditor.errors import BundleError, RefusalError
from auditor.page.pages_rounds import title_of
from auditor.page.pages_verify import bundles, manifest_digest, read_path
from auditor.page.visit import KEEPER, Page, Redirect, Reply, Visit
from plan.errors import phrase
from protos.ledger import Ledger, RoundLog

MAX_NUMBER: Final = 1_000_000
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,6}\Z")
_PERCENT: Final = re.compile(r"[0-9]{1,2}(\.[0-9]{1,4})?\Z")


@dataclass(frozen=True, slots=True)
class Draw:
    """A draw as a page and a sheet of paper show it.

    Attributes:
        title: of the round.
        source: the bundle it was read from; "" for the auditor's own copy of the log.
        manifest: SHA-256 of the bundle's list of files; "" without a bundle.
        selection: what was drawn, and what it is worth.
        operators: who runs each school drawn.
    """

    title: str
    source: str
    manifest: str
    selection: Selection
    operators: Mapping[str, str]

    @property
    def values(self) -> dict[str, Any]:
        """What the command prints as JSON: enough to make the draw again."""
        return selection_values(self.selection)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form asks for; None for what it leaves open."""

    prefix: str
    number: int | None
    probability: Fraction | None
    cheaters: int | None


def form(visit: Visit) -> Reply:
    """Ask for the round and how sure the draw has to be."""
    own = visit.office.keeper.folder if visit.office.keeper else None
    last = visit.office.workshop.last
    has_last = last is not None and isinstance(last.result, Draw)
    return Page("challenge.html", {"found": list(bundles(own)), "has_last": has_last})


def draw(visit: Visit) -> Reply:
    """Draw; the log of a large bundle takes a while to check, so the page looks again."""
    wanted, bundle = read_wanted(visit.texts), None
    folder = visit.folder if visit.role == KEEPER else None
    if visit.text("bundle"):
        bundle = read_path(visit.text("bundle"))
        if not bundle.is_dir():
            raise BundleError(phrase("%(folder)s: no such folder on this machine", folder=bundle))
    elif folder is None:
        raise BundleError(phrase("without an auditor's folder the draw is made from a bundle: name it"))
    policy_path = folder.policy if folder is not None else None
    if visit.text("policy"):
        policy_path = read_path(visit.text("policy"))
    if policy_path is None:
        raise BundleError(
            phrase("name a policy file: keys that come with a bundle prove nothing by themselves")
        )
    policy = load_policy(policy_path)

    def task(_work: object) -> Draw:
        if bundle is not None:
            return make_draw(ledger_of_bundle(bundle, policy), wanted, str(bundle), manifest_digest(bundle))
        if folder is None:
            raise BundleError(phrase("without an auditor's folder the draw is made from a bundle: name it"))
        return make_draw(ledger_of_folder(folder), wanted)

    return Redirect(visit.office.workshop.start("draw", "/challenge/result", task).back)


def result(visit: Visit) -> Reply:
    """Show the draw, for the screen and for paper."""
    work = visit.office.workshop.last
    if work is None or work.kind != "draw":
        return Redirect("/challenge")
    if not isinstance(work.result, Draw):
        return Page("work.html", {"work": work, "is_idle": work.is_done})
    return Page("drawn.html", {"drawn": work.result, "work": work, "values": work.result.values})


def make_draw(ledger: Ledger, wanted: Wanted, source: str = "", manifest: str = "") -> Draw:
    """Draw from a log.

    Raises:
        RefusalError: no such round, no draw yet, or numbers that do not fit the set.
    """
    row = find_round(ledger, wanted.prefix) if wanted.prefix else newest_drawn(ledger)
    found = select(row, wanted.number, wanted.probability, wanted.cheaters)
    operators = {node.id: node.operator for node in row.roster.nodes}
    return Draw(title_of(row), source, manifest, found, operators)


def newest_drawn(ledger: Ledger) -> RoundLog:
    """Find the newest round that has a draw.

    Raises:
        RefusalError: none has.
    """
    for row in reversed(ledger.rounds.values()):
        try:
            find_challenge(row)
        except RefusalError:
            continue
        return row
    raise RefusalError("no-draw", phrase("no round of this log has a draw yet: it comes with the release"))


def read_wanted(texts: Mapping[str, str]) -> Wanted:
    """Read the form.

    Raises:
        RefusalError: a field is not what it should be, or two of them contradict each other.
    """
    number, percent = _number(texts.get("number", "")), texts.get("percent", "").strip()
    if number is not None and percent:
        raise RefusalError("odds", phrase("say how many schools, or how surely: not both"))
    if percent and (not _PERCENT.match(percent) or not Fraction(percent)):
        raise RefusalError("odds", phrase("how surely: expected a number between 0 and 100, such as 90"))
    probability = Fraction(percent) / 100 if percent else None
    return Wanted(texts.get("round", "").strip(), number, probability, _number(texts.get("cheaters", "")))


def _number(text: str) -> int | None:
    if not text.strip():
        return None
    if not _NUMBER.match(text.strip()) or int(text) > MAX_NUMBER:
        raise RefusalError("odds", phrase("expected a whole number of schools, 1 or more"))
    return int(text)
