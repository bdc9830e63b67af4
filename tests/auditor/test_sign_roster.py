"""Signing rosters: what changes is shown, and what breaks the chain is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes_auditors import FakeCounty
from fakes_federation import fake_bytes

from auditor.desk import Desk
from auditor.errors import RefusalError
from auditor.sign_roster import RosterReview, list_reviews
from crypto.note import KeyType, SigningKey
from protos.bodies import RosterBody
from protos.convert import Proposal
from protos.ledger import Ledger
from protos.statements import digest


def _without(body: RosterBody, node: str) -> RosterBody:
    return replace(body, nodes=tuple(row for row in body.nodes if row.id != node))


def _with_node(county: FakeCounty, body: RosterBody, name: str, operator: str = "new operator") -> RosterBody:
    node = replace(
        body.nodes[0],
        id=name,
        operator=operator,
        master=fake_bytes(f"m {name}"),
        report=SigningKey(
            f"fedscreen/{county.federation}/node/{name}", KeyType.ED25519, fake_bytes(f"k {name}")
        ).verifier,
    )
    return replace(body, nodes=tuple(sorted((*body.nodes, node), key=lambda row: row.id)))


def test_additions_removals_and_changes_are_shown(county: FakeCounty, desks: dict[str, Desk]) -> None:
    body = _with_node(county, _without(county.ledger.roster.body, "s3"), "s9")
    first = replace(body.nodes[0], attributes=(("county", "another"),))
    county.propose(replace(body, nodes=(first, *body.nodes[1:]), tuples=((4, 3, 1, 3), (4, 4, 1, 4))))
    (review,) = desks["a1"].list_rosters()
    assert (review.nodes.added, review.nodes.removed, review.nodes.changed) == (("s9",), ("s3",), ("s1",))
    assert (review.auditors.added, review.auditors.removed, review.auditors.changed) == ((), (), ())
    assert review.quorum == (3, 3)
    assert review.tuples_added == ((4, 4, 1, 4),)
    assert review.tuples_removed == ()
    assert (review.num_nodes, review.num_operators, review.serial) == (6, 6, 3)
    assert not review.is_signed


def test_sock_puppet_schools_are_visible(county: FakeCounty, desks: dict[str, Desk]) -> None:
    body = county.ledger.roster.body
    for name in ("x1", "x2", "x3"):
        body = _with_node(county, body, name, operator="one and the same")
    county.propose(body)
    (review,) = desks["a1"].list_rosters()
    assert (review.num_nodes, review.num_operators) == (9, 7)


def test_a_quorum_of_signatures_logs_the_roster(county: FakeCounty, desks: dict[str, Desk]) -> None:
    proposal = county.propose(_without(county.ledger.roster.body, "s6"))
    name = digest(proposal.text)
    for desk in desks.values():
        desk.sync()
    assert [desks[auditor].sign_roster(name) for auditor in ("a1", "a2", "a3")] == [False, False, True]
    assert county.ledger.roster.digest == name


def test_one_that_is_signed_already_says_so(county: FakeCounty, desks: dict[str, Desk]) -> None:
    county.propose(_without(county.ledger.roster.body, "s6"), ["a1"])
    assert desks["a1"].list_rosters()[0].is_signed
    assert not desks["a2"].list_rosters()[0].is_signed


def test_genesis_is_the_one_on_the_card(tmp_path: Path) -> None:
    county = FakeCounty()
    text, (_, body) = county.genesis_text, county.entries[0]
    county.entries.clear()
    county.ledger = Ledger(county.card)
    desk = county.desk("a1", tmp_path)
    county.proposals.append(Proposal(text, body, (county.coordinator.sign(text),)))
    review = _review(desk, county)
    assert review.serial == 1
    assert review.auditors.added == ("a1", "a2", "a3", "a4")


def _review(desk: Desk, county: FakeCounty) -> RosterReview:
    return list_reviews(desk.context, county.card)[0][1]


def test_another_genesis_is_refused(tmp_path: Path) -> None:
    county, other = FakeCounty(), FakeCounty(quorum=4)
    county.ledger = Ledger(county.card)
    desk = county.desk("a1", tmp_path)
    county.proposals.append(Proposal(other.genesis_text, other.entries[0][1], ()))
    with pytest.raises(RefusalError, match="wrong-genesis"):
        _review(desk, county)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"serial": 4}, "wrong-predecessor"),
        ({"serial": 2}, "wrong-predecessor"),
        ({"previous": bytes(32)}, "wrong-predecessor"),
        ({"kind": "production"}, "wrong-kind"),
        ({"federation": "county-2"}, "malformed"),
    ],
)
def test_a_roster_that_does_not_follow_is_refused(
    county: FakeCounty, desks: dict[str, Desk], changes: dict[str, Any], code: str
) -> None:
    proposal = county.propose(_without(county.ledger.roster.body, "s6"), **changes)
    with pytest.raises(RefusalError) as caught:
        desks["a1"].list_rosters()
    assert caught.value.code == code
    with pytest.raises(RefusalError):
        desks["a1"].sign_roster(digest(proposal.text))


def test_a_roster_with_other_keys_for_this_auditor_is_refused(
    county: FakeCounty, desks: dict[str, Desk]
) -> None:
    body = county.ledger.roster.body
    name = f"fedscreen/{county.federation}/auditor/a1"
    forged = SigningKey(name, KeyType.ED25519, fake_bytes("forged")).verifier
    auditors = (replace(body.auditors[0], statement=forged), *body.auditors[1:])
    county.propose(replace(body, auditors=auditors))
    with pytest.raises(RefusalError, match="wrong-own-keys"):
        desks["a1"].list_rosters()
    with pytest.raises(RefusalError, match="wrong-succession"):
        desks["a2"].list_rosters()


def test_another_body_is_refused(county: FakeCounty, desks: dict[str, Desk]) -> None:
    body = county.ledger.roster.body
    good = county.propose(_without(body, "s6"))
    other = county.propose(_without(body, "s5"))
    county.proposals[:] = [Proposal(good.text, other.body, good.signatures)]
    with pytest.raises(RefusalError, match="wrong-body"):
        desks["a1"].list_rosters()


def test_a_bad_signature_among_the_collected_is_refused(county: FakeCounty, desks: dict[str, Desk]) -> None:
    body = county.ledger.roster.body
    good = county.propose(_without(body, "s6"))
    wrong = county.auditors["a2"].sign("something else\n")
    county.proposals[:] = [Proposal(good.text, good.body, (*good.signatures, wrong))]
    with pytest.raises(RefusalError, match="bad-signature"):
        desks["a1"].list_rosters()


def test_a_malformed_proposal_is_refused(county: FakeCounty, desks: dict[str, Desk]) -> None:
    county.proposals.append(Proposal("fedscreen/roster/v1\n", b"{}", ()))
    with pytest.raises(RefusalError, match="malformed"):
        desks["a1"].list_rosters()


def test_a_proposal_that_is_not_there_is_not_signed(desks: dict[str, Desk]) -> None:
    with pytest.raises(RefusalError, match="no-such-proposal"):
        desks["a1"].sign_roster(bytes(32))
