"""One text, one meaning: every statement type, and the texts that are refused."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statement_samples import D1, D2, EXAMPLES
from vectors_dir import own

from protos.errors import StatementError
from protos.statements import (
    STATEMENT_TYPES,
    BodyRef,
    Statement,
    digest,
    encode_statement,
    parse_statement,
)


def test_every_type_has_an_example() -> None:
    assert {type(example) for example in EXAMPLES.values()} == set(STATEMENT_TYPES)
    assert sorted(EXAMPLES) == sorted(cls.TYPE for cls in STATEMENT_TYPES)


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_parse_inverts_encode(example: Statement) -> None:
    text = encode_statement(example)
    assert parse_statement(text) == example
    assert text.startswith(f"fedscreen/{example.TYPE}/v1\n")
    assert digest(text) == hashlib.sha256(text.encode()).digest()


def test_known_texts() -> None:
    assert own("statements.json")["texts"] == {
        name: encode_statement(example) for name, example in EXAMPLES.items()
    }


@pytest.mark.parametrize("name", [case["name"] for case in own("statements_bad_texts.json")["cases"]])
def test_known_bad_texts_are_refused(name: str) -> None:
    case = next(case for case in own("statements_bad_texts.json")["cases"] if case["name"] == name)
    assert case["text"] not in own("statements.json")["texts"].values()
    with pytest.raises(StatementError):
        parse_statement(case["text"])


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
@given(data=st.data())
def test_any_changed_character_is_refused_or_another_statement(
    example: Statement, data: st.DataObject
) -> None:
    text = encode_statement(example)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda ch: ch != text[at]))
    changed = text[:at] + letter + text[at + 1 :]
    try:
        other = parse_statement(changed)
    except StatementError:
        return
    assert other != example
    assert encode_statement(other) == changed


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_a_missing_doubled_or_moved_line_is_refused(example: Statement) -> None:
    lines = encode_statement(example).splitlines(keepends=True)
    for at in range(1, len(lines)):
        key = lines[at].split(" ")[0]
        repeated = sum(line.startswith(key + " ") for line in lines) > 1
        repeatable = repeated or key in {"noise", "auditor", "agreement", "opening"}
        if not repeatable:
            with pytest.raises(StatementError):
                parse_statement("".join(lines[:at] + lines[at + 1 :]))
            with pytest.raises(StatementError):
                parse_statement("".join(lines[: at + 1] + lines[at:]))
        if at + 1 < len(lines) and lines[at + 1].split(" ")[0] != key:
            moved = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
            with pytest.raises(StatementError):
                parse_statement("".join(moved))


@given(st.text(max_size=400))
def test_arbitrary_text_raises_only_statement_errors(text: str) -> None:
    with pytest.raises(StatementError):
        parse_statement(text)


@pytest.mark.parametrize(
    "change",
    [
        {"federation": "County"},
        {"federation": ""},
        {"federation": "a b"},
        {"attempt": 4},
        {"attempt": -1},
        {"attempt": True},
        {"cells": 0},
        {"vector": bytes(31)},
        {"vector": "11" * 32},
        {"confinement": "L4"},
        {"seeds": ((0, D1),)},
        {"seeds": ((128, D1),)},
        {"seeds": [(3, D1)]},
        {"boxes": (("a1", D1, D2),)},
        {"size": 0},
    ],
    ids=str,
)
def test_a_report_is_built_valid_or_not_at_all(change: dict[str, object]) -> None:
    with pytest.raises(StatementError):
        replace(EXAMPLES["report"], **change)


@pytest.mark.parametrize(
    "change",
    [
        {"rho": 0.2},
        {"rho": Fraction(-1, 5)},
        {"rho": Fraction(1, 10**18)},
        {"opens": datetime(2026, 9, 1)},
        {"opens": datetime(2026, 9, 1, microsecond=5, tzinfo=UTC)},
        {"opens": datetime(2026, 9, 1, tzinfo=timezone(timedelta(hours=8)))},
        {"noise": (("A1", 0, 1, D1),)},
        {"noise": (("A 1", 64, 1, D1),)},
        {"body": BodyRef(D1, 0)},
        {"body": BodyRef(b"", 5)},
    ],
    ids=str,
)
def test_a_plan_is_built_valid_or_not_at_all(change: dict[str, object]) -> None:
    with pytest.raises(StatementError):
        replace(EXAMPLES["plan"], **change)


def test_a_rational_is_in_lowest_terms() -> None:
    text = encode_statement(EXAMPLES["plan"])
    assert "\nrho 1/5\n" in text
    with pytest.raises(StatementError):
        parse_statement(text.replace("rho 1/5", "rho 2/10"))


def test_an_overlong_text_is_refused() -> None:
    seeds = tuple((subset, D1) for subset in range(1, 128)) * 3
    with pytest.raises(StatementError, match="16384"):
        encode_statement(replace(EXAMPLES["report"], seeds=seeds))
    with pytest.raises(StatementError, match="at most"):
        parse_statement("fedscreen/report/v1\n" * 1000)


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(StatementError):
        parse_statement("fedscreen/report/v1\nfederation \ud800\n")


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_the_fast_way_reads_what_the_slow_way_reads(
    example: Statement, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = encode_statement(example)
    changed = [text[:at] + other + text[at + 1 :] for at in range(0, len(text), 9) for other in "0 A\n"]
    fast = [outcome_of(row) for row in [text, *changed]]
    monkeypatch.setattr("protos.statements._PATTERNS", {})
    assert fast == [outcome_of(row) for row in [text, *changed]]


def test_the_fast_way_keeps_ranges_and_length() -> None:
    text = encode_statement(EXAMPLES["report"])
    cells = re.search("\ncells ([0-9]+)\n", text)
    seed = re.search("\nseed ([0-9]+) [0-9a-f]{64}\n", text)
    assert cells is not None
    assert seed is not None
    with pytest.raises(StatementError, match=r"^cells: expected a number"):
        parse_statement(text.replace(cells[0], "\ncells 1000001\n"))
    with pytest.raises(StatementError, match=r"^seed: expected a number"):
        parse_statement(text.replace(seed[0], seed[0].replace(f"seed {seed[1]} ", "seed 128 ")))
    with pytest.raises(StatementError, match="at most"):
        parse_statement(text.replace(seed[0], seed[0] + seed[0][1:] * 250))


def outcome_of(text: str) -> Statement | str:
    try:
        return parse_statement(text)
    except StatementError as err:
        return str(err)
