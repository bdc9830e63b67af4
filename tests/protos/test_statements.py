"""One text, one meaning: every statement type, and the texts that are refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import StatementError
from protos.statements import (
    STATEMENT_TYPES,
    Abandon,
    Agreement,
    Approval,
    BodyRef,
    Candidates,
    Checked,
    Close,
    Opening,
    Plan,
    Release,
    Replayed,
    Report,
    Revoke,
    Roster,
    Statement,
    digest,
    encode_statement,
    parse_statement,
)

D1, D2, D3 = (bytes([value]) * 32 for value in (0x11, 0x22, 0x33))
BODY = BodyRef(D3, 77)
OPENS = datetime(2026, 9, 1, tzinfo=UTC)

EXAMPLES: dict[str, Statement] = {
    "roster": Roster("county-1", 2, D1, "production", 3, BODY),
    "revoke": Revoke("county-1", D1, "node", "s01", "school-closed"),
    "plan": Plan(
        federation="county-1",
        serial=1,
        roster=D1,
        auditors=("a1", "a2", "a3", "a4"),
        threshold=3,
        collude=1,
        quorum=3,
        min_reports=10,
        colluding_schools=1,
        min_group=5,
        rho=Fraction(1, 5),
        opens=OPENS,
        closes=OPENS + timedelta(days=30),
        cells=652,
        noise=(("A1", 64, 14000, D1), ("A6", 64, 400000, D2)),
        body=BODY,
    ),
    "approval": Approval("county-1", D1, D2, "a1", bytes(16), bytes(1216), D3, D1),
    "report": Report(
        federation="county-1",
        round=D1,
        roster=D2,
        approvals=D3,
        node="s01",
        attempt=0,
        cells=652,
        vector=D1,
        seeds=((3, D1), (5, D2)),
        boxes=(("a1", D1), ("a2", D2)),
        input=D3,
        software=D1,
        confinement="L3",
        previous=bytes(32),
        size=10144,
    ),
    "candidates": Candidates("county-1", D1, 40, BODY),
    "checked": Checked("county-1", D1, "a1", D2, BODY),
    "close": Close("county-1", D1, D2, (("a1", D1), ("a2", D2)), 0, 12, BODY),
    "agreement": Agreement("county-1", D1, "a1", D2),
    "abandon": Abandon("county-1", D1, "a1", bytes(32), "too-few-reports"),
    "opening": Opening("county-1", D1, "a1", D2, D3, ((3, D1), (5, D2))),
    "release": Release(
        "county-1", D1, D2, "ok", 2, 12, 0, Fraction(1, 5), (("a1", D1),), (("a1", D1), ("a2", D3)), BODY
    ),
    "replayed": Replayed("county-1", D1, "a1", "s01", D2, "PASS", "L3"),
}


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
    stored = json.loads((Path(__file__).parent.parent / "vectors" / "statements.json").read_text("utf-8"))
    assert stored["texts"] == {name: encode_statement(example) for name, example in EXAMPLES.items()}
    for text in stored["bad"].values():
        with pytest.raises(StatementError):
            parse_statement(text)


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
