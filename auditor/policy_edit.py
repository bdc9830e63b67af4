"""Change a policy file line by line, say what changes and whether it loosens, and keep the file before.

What may be changed by word are the limits; whose log, witnesses and genesis count is pinned at `join` and
stays. Comments, order and every line that is not named stay as they are. A new policy is read before it is
written: a file that cannot be read is never put in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from auditor.config import AuditorFolder
from auditor.durable import create_exclusively, make_private_directory, replace_durably
from auditor.enrol import load_card, load_policy
from auditor.errors import AuditorError, PolicyError, RefusalError
from auditor.mirror import Mirror
from auditor.plan_view import view_plan
from auditor.policy import AuditorPolicy, parse_auditor_policy
from plan.dimensions import DIMENSIONS, NUMBERS
from plan.document import parse_plan_toml
from plan.errors import Phrase, phrase
from plan.reading import nearest
from protos.card import FederationCard
from protos.errors import ProtocolError
from protos.policy_words import MANY, OPTIONAL, SINGLE

ONE_LINE = tuple(word for word in (*SINGLE, *OPTIONAL) if word != "genesis")
"""Words of which one line stands in a policy and may be set."""
MANY_LINES = MANY
"""Words whose lines are added and removed one by one."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One difference between two policies.

    Attributes:
        word: the policy's word.
        is_looser: whether more is allowed than before.
        words: what was and what is.
        is_strange: whether it forbids something by a name that nothing known has: a slip of the pen protects
            nobody.
    """

    word: str
    is_looser: bool
    words: Phrase
    is_strange: bool = False


def set_line(text: str, word: str, values: Sequence[str]) -> str:
    """Exchange the one line of a word, or append it where it may be left out.

    Raises:
        PolicyError: not a word that is set, or the policy could not be read afterwards.
    """
    if word not in ONE_LINE:
        raise PolicyError(
            phrase("%(word)s: cannot be set; can be set: %(words)s", word=word, words=", ".join(ONE_LINE))
        )
    line = " ".join((word, *values))
    rows = text.split("\n")
    places = [place for place, row in enumerate(rows) if _words(row)[:1] == [word]]
    if places:
        rows[places[0]] = line
        return _readable("\n".join(rows))
    return _readable(_ended(text) + line + "\n")


def add_line(text: str, word: str, values: Sequence[str]) -> str:
    """Append a line of a word that may stand there several times; one that is there already is refused.

    Raises:
        PolicyError: not such a word, there already, or the policy could not be read afterwards.
    """
    wanted = _many(word, values)
    if any(_words(row) == wanted for row in text.split("\n")):
        raise PolicyError(phrase("'%(line)s' stands in the policy already", line=" ".join(wanted)))
    return _readable(_ended(text) + " ".join(wanted) + "\n")


def remove_line(text: str, word: str, values: Sequence[str]) -> str:
    """Take out the line of a word that may stand there several times.

    Raises:
        PolicyError: not such a word, no such line, or the policy could not be read afterwards.
    """
    wanted = _many(word, values)
    rows = text.split("\n")
    kept = [row for row in rows if _words(row) != wanted]
    if len(kept) == len(rows):
        raise PolicyError(phrase("no line '%(line)s' in the policy", line=" ".join(wanted)))
    return _readable("\n".join(kept))


def _many(word: str, values: Sequence[str]) -> list[str]:
    if word not in MANY_LINES:
        raise PolicyError(
            phrase(
                "%(word)s: not a word of several lines; these are: %(words)s",
                word=word,
                words=", ".join(MANY_LINES),
            )
        )
    return [word, *values]


def _words(row: str) -> list[str]:
    return row.replace("\t", " ").split()


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _readable(text: str) -> str:
    parse_auditor_policy(text)
    return text


def read_text(path: Path) -> str:
    """Read a policy file's text, after making sure that it is a policy.

    Raises:
        ConfigError, PolicyError: it is none.
    """
    load_policy(path)
    return path.read_text("utf-8-sig")


def store_policy(folder: AuditorFolder, text: str) -> tuple[tuple[PolicyChange, ...], Path | None]:
    """Put a policy in force, atomically; the one before is kept.

    Args:
        folder: the auditor's directory; it has joined.
        text: the new policy's text.

    Returns:
        What has changed, and where the policy before lies; nothing is written if nothing has changed.

    Raises:
        PolicyError: it cannot be read.
        RefusalError: it pins another log, genesis, witnesses or quorum than the policy in force.
    """
    new, before = parse_auditor_policy(text), read_text(folder.policy)
    changes = review_change(folder, new)
    if text == before:
        return (), None
    kept = _keep(folder, before)
    replace_durably(folder.policy, text.encode("utf-8"), "policy")
    return changes, kept


def review_change(folder: AuditorFolder, new: AuditorPolicy) -> tuple[PolicyChange, ...]:
    """Say what a new policy changes of the one in force.

    Raises:
        RefusalError: it pins other keys, which no change of policy may do.
    """
    old, card = load_policy(folder.policy), load_card(folder)
    is_pinned = (new.trust, new.genesis) == (old.trust, old.genesis)
    if not is_pinned or (new.log, new.genesis) != (card.log, card.genesis):
        raise RefusalError(
            "policy-pins",
            phrase("the file pins another log, genesis, witnesses or quorum; these were compared at 'join'"),
        )
    return (*compare_policies(old, new), *_strange_names(folder, card, old, new))


def _strange_names(
    folder: AuditorFolder, card: FederationCard, old: AuditorPolicy, new: AuditorPolicy
) -> Iterator[PolicyChange]:
    """Say of each newly forbidden name that no field or table known here has it."""
    fields = [name for name in new.forbidden_fields if name not in old.forbidden_fields]
    tables = [name for name in new.forbidden_tables if name not in old.forbidden_tables]
    known_fields, known_tables = _known_names(folder, card) if fields or tables else (set(), set())
    for word, names, known in (
        ("forbid-field", fields, known_fields),
        ("forbid-table", tables, known_tables),
    ):
        for name in names:
            if name not in known:
                hint = nearest(name, sorted(known)) or phrase(
                    "known: %(names)s", names=", ".join(sorted(known))
                )
                words = phrase(
                    "%(word)s %(name)s: no known plan has this name, so it forbids nothing; %(hint)s",
                    word=word,
                    name=name,
                    hint=hint,
                )
                yield PolicyChange(word, False, words, is_strange=True)


def _known_names(folder: AuditorFolder, card: FederationCard) -> tuple[set[str], set[str]]:
    """Names of fields and ids of tables: of the record, of the ready plans, and of the plans in the log."""
    ready = (row for row in files("plan").joinpath("ready").iterdir() if row.name.endswith(".toml"))
    documents = [parse_plan_toml(row.read_bytes()) for row in ready]
    with suppress(AuditorError, ProtocolError, OSError):  # a damaged copy of the log is told elsewhere
        rounds = Mirror(folder.mirror, card).ledger.rounds.values()
        documents += [view_plan(row.terms, row.plan.body).document for row in rounds]
    tables = [table for document in documents for table in document.tables]
    fields = {*DIMENSIONS, *NUMBERS}.union(*(table.names for table in tables))
    return fields, {table.id for table in tables}


def _keep(folder: AuditorFolder, text: str) -> Path:
    """Keep a copy of the policy before under the next number."""
    make_private_directory(folder.old_policies)
    numbers = [int(path.stem) for path in folder.old_policies.glob("*.txt") if path.stem.isdigit()]
    path = folder.old_policies / f"{max(numbers, default=0) + 1:04}.txt"
    create_exclusively(path, text.encode("utf-8"), "old policy")
    return path


def compare_policies(old: AuditorPolicy, new: AuditorPolicy) -> tuple[PolicyChange, ...]:
    """List what differs between the limits of two policies."""
    return (*_bounds(old, new), *_lists(old, new))


def _bounds(old: AuditorPolicy, new: AuditorPolicy) -> Iterator[PolicyChange]:
    most: tuple[tuple[str, Callable[[AuditorPolicy], object]], ...] = (
        ("max-rho", lambda policy: policy.max_rho),
        ("max-rho-year", lambda policy: policy.max_rho_year),
    )
    least: tuple[tuple[str, Callable[[AuditorPolicy], int]], ...] = (
        ("min-reports", lambda policy: policy.min_reports),
        ("min-group", lambda policy: policy.min_group),
        ("min-colluding-schools", lambda policy: policy.min_colluding_schools),
    )
    for word, value in (*most, *least):
        before, after = value(old), value(new)
        if before != after:
            grows = bool(after > before)  # type: ignore[operator]
            words = phrase(
                "%(word)s: %(before)s → %(after)s", word=word, before=str(before), after=str(after)
            )
            yield PolicyChange(word, grows == word.startswith("max-"), words)


def _lists(old: AuditorPolicy, new: AuditorPolicy) -> Iterator[PolicyChange]:
    rows: tuple[tuple[str, bool, Callable[[AuditorPolicy], tuple[object, ...]]], ...] = (
        ("tuple", True, lambda policy: policy.tuples),
        ("forbid-field", False, lambda policy: policy.forbidden_fields),
        ("forbid-table", False, lambda policy: policy.forbidden_tables),
        ("forbid-relation", False, lambda policy: policy.forbidden_relations),
    )
    for word, is_allowing, values in rows:
        before, after = values(old), values(new)
        for value in (item for item in after if item not in before):
            yield PolicyChange(
                word, is_allowing, phrase("added: %(word)s %(value)s", word=word, value=_shown(value))
            )
        for value in (item for item in before if item not in after):
            yield PolicyChange(
                word, not is_allowing, phrase("removed: %(word)s %(value)s", word=word, value=_shown(value))
            )


def _shown(value: object) -> str:
    return " ".join(str(number) for number in value) if isinstance(value, tuple) else str(value)
