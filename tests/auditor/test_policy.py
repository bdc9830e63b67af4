"""The policy file: read exactly, refused with the line's name, the same after writing it again."""

from __future__ import annotations

from fractions import Fraction

import pytest
from fakes_auditors import FakeCounty

from auditor.errors import PolicyError
from auditor.policy import AuditorPolicy, default_policy, encode_auditor_policy, parse_auditor_policy
from crypto.note import KeyType, SigningKey
from protos.card import CardAuditor, FederationCard


def _key(name: str, number: int, key_type: KeyType = KeyType.ED25519) -> SigningKey:
    return SigningKey(name, key_type, bytes([number]) * 32)


@pytest.fixture
def card() -> FederationCard:
    return FederationCard(
        federation="county",
        kind="production",
        log=_key("fedscreen/county/log", 1).verifier,
        coordinator=_key("fedscreen/county/coordinator", 2).verifier,
        ca=bytes(32),
        genesis=bytes(range(32)),
        quorum=3,
        auditors=tuple(
            CardAuditor(
                name,
                _key(f"fedscreen/county/auditor/{name}", number).verifier,
                _key(f"fedscreen/county/witness/{name}", number + 10, KeyType.COSIGNATURE).verifier,
            )
            for number, name in enumerate(["a", "b", "c", "d"], start=3)
        ),
        tuples=((4, 3, 1, 3),),
    )


@pytest.fixture
def text(card: FederationCard) -> str:
    return default_policy(card)


def test_the_default_policy_pins_the_card(card: FederationCard, text: str) -> None:
    policy = parse_auditor_policy(text)
    assert policy.log == card.log
    assert policy.genesis == card.genesis
    assert list(policy.trust.witnesses.values()) == [row.cosigner for row in card.auditors]
    assert policy.tuples == ((4, 3, 1, 3),)
    assert (policy.max_rho, policy.max_rho_year) == (Fraction(1, 4), Fraction(1, 2))
    assert (policy.min_reports, policy.min_group) == (5, 5)
    assert policy.trust.is_satisfied({"a", "c", "d"})
    assert not policy.trust.is_satisfied({"a", "c"})


def test_writing_and_reading_are_inverse(text: str) -> None:
    more = "forbid-table A3\nforbid-relation add-remove\nmin-colluding-schools 2\n"
    policy = parse_auditor_policy(text + "forbid-field sex\nforbid-field grade\ntuple 3 3 2 3\n" + more)
    written = encode_auditor_policy(policy)
    again: AuditorPolicy = parse_auditor_policy(written)
    assert again == policy
    assert encode_auditor_policy(again) == written
    assert again.forbidden_fields == ("sex", "grade")
    assert (again.forbidden_tables, again.forbidden_relations) == (("A3",), ("add-remove",))
    assert again.min_colluding_schools == 2


def test_a_policy_from_before_the_newer_lines_says_nothing_of_them(text: str) -> None:
    policy = parse_auditor_policy(text)
    assert (policy.forbidden_tables, policy.forbidden_relations) == ((), ())
    assert policy.min_colluding_schools == 1
    assert "colluding" not in encode_auditor_policy(policy)


def test_an_auditor_called_quorum_or_none_still_gets_a_policy(card: FederationCard) -> None:
    names = ["none", "quorum"]
    auditors = tuple(
        CardAuditor(name, row.statement, row.cosigner)
        for name, row in zip(names, card.auditors, strict=False)
    )
    policy = parse_auditor_policy(
        default_policy(
            FederationCard(
                card.federation,
                card.kind,
                card.log,
                card.coordinator,
                card.ca,
                card.genesis,
                2,
                auditors,
                ((2, 2, 1, 2),),
            )
        )
    )
    assert set(policy.trust.witnesses) == {"auditor-none", "auditor-quorum"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max-rho 1/4", "max-rho 0.25", "max-rho: expected a rational"),
        ("max-rho 1/4", "max-rho 1/0", "max-rho: expected a rational"),
        ("max-rho 1/4", "max-rho -1/4", "max-rho: expected a rational"),
        ("max-rho 1/4", "max-rho 1/4 2", "max-rho: expected a rational"),
        ("max-rho 1/4\n", "", "exactly one line 'max-rho', found 0"),
        ("max-rho-year 1/2\n", "", "exactly one line 'max-rho-year'"),
        ("min-reports 5", "min-reports 5\nmin-reports 4", "exactly one line 'min-reports', found 2"),
        ("min-reports 5", "min-reports five", "min-reports: expected a number"),
        ("min-reports 5", "min-reports 05", "min-reports: expected a number"),
        ("min-group 5", "min-group", "min-group: expected a number"),
        ("tuple 4 3 1 3", "tuple 4 3 1", "tuple: expected the four numbers"),
        ("tuple 4 3 1 3", "tuple 4 2 1 3", "tuple: "),
        ("tuple 4 3 1 3", "tuple 9 9 1 9", "tuple: "),
        ("tuple 4 3 1 3\n", "", "at least one line 'tuple"),
        ("genesis 00", "genesis 0", "genesis: expected 64"),
        ("genesis 00", "genesis ZZ", "genesis: expected 64"),
        ("quorum quorum", "quorum none", "a quorum of witnesses"),
        ("quorum quorum\n", "", "quorum line"),
        ("quorum quorum", "quorum county", "line 8: the name county is not defined"),
        ("log fedscreen", "log Fedscreen", "policy line 2"),
        ("min-group 5", "min-groups 5", "policy line 13"),
        ("min-group 5", "min-group 5\nforbid-field", "forbid-field: expected the name"),
        ("min-group 5", "min-group 5\nforbid-field a b", "forbid-field: expected the name"),
        ("min-group 5", "min-group 5\nforbid-table", "forbid-table: expected the id"),
        ("min-group 5", "min-group 5\nforbid-relation swap", "forbid-relation: expected replace-one"),
        (
            "min-group 5",
            "min-group 5\nforbid-relation replace-one\nforbid-relation add-remove",
            "forbids both relations",
        ),
        ("min-group 5", "min-group 5\nmin-colluding-schools x", "min-colluding-schools: expected a number"),
        (
            "min-group 5",
            "min-group 5\nmin-colluding-schools 1\nmin-colluding-schools 2",
            "exactly one line 'min-colluding-schools', found 2",
        ),
    ],
)
def test_a_wrong_line_is_refused(text: str, old: str, new: str, message: str) -> None:
    assert old in text
    with pytest.raises(PolicyError, match=message):
        parse_auditor_policy(text.replace(old, new, 1))


def test_two_logs_are_refused(text: str) -> None:
    other = _key("fedscreen/other/log", 77).verifier.text
    with pytest.raises(PolicyError, match="exactly one log"):
        parse_auditor_policy(f"log {other}\n{text}")


def test_an_endless_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="at most 65536"):
        parse_auditor_policy(text + "#" * 70_000)


@pytest.mark.parametrize(
    "change",
    [
        ("quorum quorum", "quorum county"),
        ("quorum quorum", "quorum quorum\nquorum quorum"),
        ("quorum quorum\n", ""),
        ("group quorum 3", "group quorum 9"),
        ("group quorum 3 a1", "group quorum 3 a1 a1"),
        ("witness a2", "witness a1"),
        ("log fedscreen", "log Fedscreen"),
        ("max-rho 1/4", "nonsense"),
        ("log ", "log x"),
        ("max-rho 1/4", "max-rho 1/4" + "\n" * 1001),
        ("max-rho 1/4", "max-rho\x0b1/4"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_the_readers_language(
    county: FakeCounty, change: tuple[str, str]
) -> None:
    text = county.policy_text()
    assert change[0] in text
    with pytest.raises(PolicyError) as caught:
        parse_auditor_policy(text.replace(*change, 1))
    seen: list[str] = []

    def translate(message: str) -> str:
        seen.append(message)
        return message

    assert caught.value.phrase.text(translate) == str(caught.value)
    assert "%(text)s" not in seen  # what is passed on as it is stays English
