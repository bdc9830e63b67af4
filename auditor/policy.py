"""The auditor's policy file: whose log it believes, and what it signs.

The first four words are those of c2sp.org/tlog-policy (`crypto.policy`); the rest is ours:

    log <vkey>                        exactly one: the federation's log
    witness <id> <vkey>               the auditors' cosigner keys
    group quorum <k> <id>...
    quorum quorum
    genesis <sha256 in hex>           digest of the genesis roster's text; pins the roster chain
    max-rho <a>/<b>                   most that one round may cost a pupil (rho, zCDP)
    max-rho-year <a>/<b>              most that all rounds of a school year may cost together
    min-reports <number>              plans below are refused
    min-group <number>                the same for the smallest group of schools
    tuple <n> <t> <f> <q>             one line for each that plans may use
    forbid-field <dim>                a table with this dimension, attribute or summed number is refused;
                                      any number of lines
    forbid-table <id>                 a plan with a table of this id is refused; any number of lines
    forbid-relation <relation>        a plan that claims its guarantee for this relation of neighbouring data
                                      sets (`replace-one`, `add-remove`) is refused; not for both
    min-colluding-schools <number>    plans that assume fewer schools without noise are refused

A file without the last three kinds of lines says nothing of them, as files from before they existed.
The same file makes `verify` mean something: keys out of a bundle prove nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from auditor.errors import PolicyError
from auditor.policy_reasons import policy_reason
from crypto.errors import CryptoError
from crypto.note import VerifierKey
from crypto.policy import NO_QUORUM, LogPolicy, parse_policy
from crypto.replication import validate_parameters
from plan.errors import Phrase, phrase
from privacy.sensitivity import Neighbouring
from protos.card import FederationCard
from protos.policy_words import OPTIONAL, SINGLE, WORDS

MAX_POLICY_BYTES = 64 * 1024
DEFAULT_MAX_RHO = Fraction(1, 4)
DEFAULT_MAX_RHO_YEAR = Fraction(1, 2)  # docs/privacy.md, "The account"
DEFAULT_MIN_REPORTS = 5
DEFAULT_MIN_GROUP = 5
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
_RELATION = re.compile("(?:" + "|".join(item.value for item in Neighbouring) + r")\Z")
Tuple = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class AuditorPolicy:
    """A parsed policy.

    Attributes:
        trust: log key, witnesses and quorum.
        genesis: SHA-256 of the genesis roster's text (32 bytes).
        max_rho, max_rho_year: zCDP bounds.
        tuples: allowed (n, t, f, q).
        forbidden_fields: dimensions that no table may have.
        forbidden_tables: ids that no table may have.
        forbidden_relations: relations of neighbouring data sets that no plan may claim.
        min_colluding_schools: schools that a plan must at least assume to add no noise.
    """

    trust: LogPolicy
    genesis: bytes
    max_rho: Fraction
    max_rho_year: Fraction
    min_reports: int
    min_group: int
    tuples: tuple[Tuple, ...]
    forbidden_fields: tuple[str, ...]
    forbidden_tables: tuple[str, ...] = ()
    forbidden_relations: tuple[str, ...] = ()
    min_colluding_schools: int = 1

    @property
    def log(self) -> VerifierKey:
        """The federation's log key."""
        return self.trust.logs[0]


def parse_auditor_policy(text: str) -> AuditorPolicy:
    """Read a policy file.

    Raises:
        PolicyError: a line is wrong, missing or there twice; a tuple breaks the protocol's rules;
            no quorum of witnesses is asked for.
    """
    if len(text) > MAX_POLICY_BYTES:
        raise PolicyError(
            phrase(
                "policy of %(found)s characters, at most %(most)s",
                found=len(text),
                most=MAX_POLICY_BYTES,
            )
        )
    try:
        trust = parse_policy(text, WORDS)
    except CryptoError as err:
        raise PolicyError(policy_reason(err)) from err
    if len(trust.logs) != 1 or trust.quorum == NO_QUORUM:
        raise PolicyError(phrase("expected exactly one log line and a quorum of witnesses"))
    rows = _rows(trust.extra)
    return AuditorPolicy(
        trust=replace(trust, extra=()),
        genesis=bytes.fromhex(_word(rows["genesis"][0], "genesis", _HEX, phrase("64 lower-case hex digits"))),
        max_rho=_rho(rows["max-rho"][0], "max-rho"),
        max_rho_year=_rho(rows["max-rho-year"][0], "max-rho-year"),
        min_reports=int(_word(rows["min-reports"][0], "min-reports", _NUMBER, phrase("a number"))),
        min_group=int(_word(rows["min-group"][0], "min-group", _NUMBER, phrase("a number"))),
        tuples=tuple(_tuple(values) for values in rows["tuple"]),
        forbidden_fields=_each(rows, "forbid-field", _FIELD, phrase("the name of a dimension")),
        forbidden_tables=_each(rows, "forbid-table", _FIELD, phrase("the id of a table")),
        forbidden_relations=_relations(rows),
        min_colluding_schools=int(
            _word(
                (*rows["min-colluding-schools"], ["1"])[0],
                "min-colluding-schools",
                _NUMBER,
                phrase("a number"),
            )
        ),
    )


def _rows(extra: tuple[tuple[str, ...], ...]) -> dict[str, list[list[str]]]:
    """Sort our own lines by their word; each stands there as often as it may."""
    rows: dict[str, list[list[str]]] = {word: [] for word in WORDS}
    for word, *values in extra:
        rows[word].append(values)
    for word in (*SINGLE, *OPTIONAL):
        if len(rows[word]) != 1 and (rows[word] or word in SINGLE):
            raise PolicyError(
                phrase(
                    "expected exactly one line '%(word)s', found %(num_rows)s",
                    word=word,
                    num_rows=len(rows[word]),
                )
            )
    if not rows["tuple"]:
        raise PolicyError(phrase("expected at least one line 'tuple n t f q'"))
    return rows


def _each(
    rows: dict[str, list[list[str]]], key: str, pattern: re.Pattern[str], expected: Phrase
) -> tuple[str, ...]:
    return tuple(_word(values, key, pattern, expected) for values in rows[key])


def _relations(rows: dict[str, list[list[str]]]) -> tuple[str, ...]:
    found = _each(rows, "forbid-relation", _RELATION, phrase("replace-one or add-remove"))
    if len(set(found)) == len(Neighbouring):
        raise PolicyError(phrase("forbid-relation: forbids both relations, so no plan could be approved"))
    return found


def _word(values: list[str], key: str, pattern: re.Pattern[str], expected: Phrase) -> str:
    if len(values) != 1 or not pattern.match(values[0]):
        raise PolicyError(phrase("%(key)s: expected %(expected)s", key=key, expected=expected))
    return values[0]


def _rho(values: list[str], key: str) -> Fraction:
    above, _, below = values[0].partition("/") if len(values) == 1 else ("", "", "")
    if not (_NUMBER.match(above) and _NUMBER.match(below)) or below == "0":
        raise PolicyError(phrase("%(key)s: expected a rational a/b, for example 1/4", key=key))
    return Fraction(int(above), int(below))


def _tuple(values: list[str]) -> Tuple:
    if len(values) != 4 or not all(_NUMBER.match(value) for value in values):
        raise PolicyError(phrase("tuple: expected the four numbers n t f q"))
    n, t, f, q = (int(value) for value in values)
    try:
        validate_parameters(n, t, f, q)
    except CryptoError as err:
        raise PolicyError(phrase("tuple: %(reason)s", reason=err)) from err
    return n, t, f, q


def encode_auditor_policy(policy: AuditorPolicy) -> str:
    """Write a policy in its one canonical form."""
    lines: list[tuple[Any, ...]] = [("log", policy.log.text)]
    lines += [("witness", name, key.text) for name, key in policy.trust.witnesses.items()]
    lines += [("group", name, group.threshold, *group.members) for name, group in policy.trust.groups.items()]
    lines.append(("quorum", policy.trust.quorum))
    lines.append(("genesis", policy.genesis.hex()))
    lines.append(("max-rho", f"{policy.max_rho.numerator}/{policy.max_rho.denominator}"))
    lines.append(("max-rho-year", f"{policy.max_rho_year.numerator}/{policy.max_rho_year.denominator}"))
    lines += [("min-reports", policy.min_reports), ("min-group", policy.min_group)]
    if policy.min_colluding_schools != 1:
        lines.append(("min-colluding-schools", policy.min_colluding_schools))
    lines += [("tuple", *row) for row in policy.tuples]
    lines += [("forbid-field", name) for name in policy.forbidden_fields]
    lines += [("forbid-table", name) for name in policy.forbidden_tables]
    lines += [("forbid-relation", name) for name in policy.forbidden_relations]
    return "".join(" ".join(str(word) for word in line) + "\n" for line in lines)


def default_policy(card: FederationCard) -> str:
    """Write the policy that follows from a federation card; an auditor may tighten it afterwards."""
    ids = [row.id for row in card.auditors]
    names = {
        auditor_id: f"auditor-{auditor_id}" if auditor_id in ("none", "quorum") else auditor_id
        for auditor_id in ids
    }
    lines = [
        f"# federation {card.federation} ({card.kind})",
        f"log {card.log.text}",
        *(f"witness {names[row.id]} {row.cosigner.text}" for row in card.auditors),
        f"group quorum {card.quorum} {' '.join(names[auditor_id] for auditor_id in ids)}",
        "quorum quorum",
        f"genesis {card.genesis.hex()}",
        f"max-rho {DEFAULT_MAX_RHO}",
        f"max-rho-year {DEFAULT_MAX_RHO_YEAR}",
        f"min-reports {DEFAULT_MIN_REPORTS}",
        f"min-group {DEFAULT_MIN_GROUP}",
        *(f"tuple {n} {t} {f} {q}" for n, t, f, q in card.tuples),
    ]
    return "\n".join(lines) + "\n"
