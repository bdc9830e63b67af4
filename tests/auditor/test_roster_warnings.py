"""What the rules allow and a person should still ask about before signing a roster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from fakes_auditors import FakeCounty
from fakes_federation import fake_bytes

from auditor.cli_text import roster_lines
from auditor.desk import Desk
from auditor.roster_warnings import node_changes, roster_warnings
from crypto.fingerprint import fingerprint_words
from crypto.note import KeyType, SigningKey
from protos.bodies import RosterAuditor, RosterBody, RosterNode
from protos.card import fingerprint

Change = Callable[[RosterBody], RosterBody]


def _outside(body: RosterBody, number: int) -> RosterBody:
    rows = tuple(replace(row, is_outside=place < number) for place, row in enumerate(body.auditors))
    return replace(body, auditors=rows)


@pytest.fixture
def old(county: FakeCounty) -> RosterBody:
    return _outside(county.ledger.roster.body, 3)


def _codes(old: RosterBody | None, new: RosterBody, quorum: tuple[int, int] = (3, 3)) -> list[str]:
    return [row.code for row in roster_warnings(old, new, quorum, "a1")]


def _fifth() -> RosterAuditor:
    keys = [
        SigningKey(f"fedscreen/county-1/{role}/b5", kind, fake_bytes(role)).verifier
        for role, kind in (("auditor", KeyType.ED25519), ("witness", KeyType.COSIGNATURE))
    ]
    return RosterAuditor("b5", "新单位", keys[0], keys[1], is_outside=True)


def _schools(body: RosterBody, number: int) -> tuple[RosterNode, ...]:
    return tuple(replace(body.nodes[0], id=f"x{place}", operator=f"op {place}") for place in range(number))


CASES: dict[str, tuple[Change, list[str]]] = {
    "nothing": (lambda body: body, []),
    "one school more, one less": (
        lambda body: replace(body, nodes=(*body.nodes[1:], *_schools(body, 1))),
        [],
    ),
    "an auditor leaves": (
        lambda body: replace(body, auditors=body.auditors[:3]),
        ["fewer-auditors"],
    ),
    "this auditor leaves": (
        lambda body: replace(body, auditors=body.auditors[1:]),
        ["own-removed", "fewer-auditors", "few-outside"],
    ),
    "one in another's place": (
        lambda body: replace(body, auditors=(*body.auditors[:3], _fifth())),
        ["auditors-leave", "new-auditor"],
    ),
    "a fifth": (lambda body: replace(body, auditors=(*body.auditors, _fifth())), ["new-auditor"]),
    "fewer outside": (lambda body: _outside(body, 1), ["few-outside"]),
    "one hand, two auditors": (
        lambda body: replace(
            body, auditors=(replace(body.auditors[0], operator=body.auditors[1].operator), *body.auditors[1:])
        ),
        ["shared-operator"],
    ),
    "a lower tuple": (lambda body: replace(body, tuples=(*body.tuples, (3, 3, 2, 3))), ["lower-tuple"]),
    "a higher tuple": (lambda body: replace(body, tuples=(*body.tuples, (5, 4, 2, 4))), []),
    "a tuple as low as one before": (lambda body: replace(body, tuples=(*body.tuples, (4, 4, 1, 4))), []),
    "five schools more": (
        lambda body: replace(body, nodes=(*body.nodes, *_schools(body, 5))),
        ["many-new-schools"],
    ),
    "five schools less": (lambda body: replace(body, nodes=body.nodes[:1]), ["many-schools-leave"]),
    "new secrets": (
        lambda body: replace(body, nodes=(replace(body.nodes[0], master=bytes(32)), *body.nodes[1:])),
        ["new-masters"],
    ),
    "the county's CA": (lambda body: replace(body, ca=bytes(32)), ["county-keys"]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_asked_about(old: RosterBody, case: str) -> None:
    change, expected = CASES[case]
    assert _codes(old, change(old)) == expected


def test_a_lower_quorum_and_the_first_roster(old: RosterBody) -> None:
    assert _codes(old, old, (3, 2)) == ["lower-quorum"]
    assert _codes(old, old, (2, 3)) == []
    assert _codes(None, old, (0, 3)) == []
    assert _codes(None, _outside(old, 1), (0, 3)) == ["few-outside"]


def test_a_new_auditors_key_is_compared_by_words(old: RosterBody) -> None:
    (warning,) = roster_warnings(old, replace(old, auditors=(*old.auditors, _fifth())), (3, 3), "a1")
    line = fingerprint(_fifth().statement.text)
    assert " ".join(fingerprint_words(line, "zh")) in str(warning.words)
    assert line in str(warning.words)


def test_what_changes_of_a_school_is_said(old: RosterBody) -> None:
    before = replace(old.nodes[0], attributes=(("county", "c"), ("urban_rural", "1")))
    after = replace(before, master=bytes(32), attributes=(("county", "c"), ("urban_rural", "2")))
    assert [str(row) for row in node_changes(before, after)] == ["a new secret", "urban_rural: 1 → 2"]
    assert node_changes(before, before) == ()


def test_a_person_reads_names_changes_and_warnings(county: FakeCounty, desks: dict[str, Desk]) -> None:
    body = county.ledger.roster.body
    named = replace(body.nodes[0], attributes=(("county", "x"), ("name", "红河一中")))
    county.propose(replace(body, nodes=(named, *body.nodes[1:]), auditors=body.auditors[:3], tuples=()))
    (review,) = desks["a1"].list_rosters()
    text = "\n".join(roster_lines(review))
    assert "~ 1 schools: s1 红河一中" in text
    assert "name: — → 红河一中" in text
    assert f"- 1 auditors: a4 ({body.auditors[3].operator})" in text
    assert "  ! fewer auditors than before, 4 → 3; a4 leave: ask them by telephone" in text
