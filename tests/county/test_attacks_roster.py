"""Weaker rosters and auditors that are the coordinator's own: refused by the log's rules, pins and floors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes_attacks import ForgedLog, assert_refused, coordinator_key, give_link, log_statement
from fakes_county import FEDERATION, CountySimulator, Link
from fakes_federation import fake_bytes
from forged_plans import (
    approve_blindly,
    body_in_force,
    finish_honestly,
    log_plan,
    puppet,
    refusal_at_school,
    roster_with,
    signers,
)

from auditor.errors import RefusalError
from coordinator.errors import StatementRefusedError
from crypto.note import KeyType, SigningKey
from protos.bodies import key_name
from protos.convert import Proposal
from protos.statements import digest, encode_statement

Stage = tuple[CountySimulator, bytes]
WEAK = (3, 2, 0, 2)
ALL = ("a1", "a2", "a3", "a4")


@pytest.mark.parametrize(
    ("helpers", "puppets", "signing_puppets"),
    [((), 4, 4), (("a4",), 3, 3), (("a3", "a4"), 2, 2), (ALL[:3], 1, 0)],
    ids=["alone", "with f auditors", "one below the quorum", "a puppet that did not sign"],
)
def test_sock_puppet_auditors_are_refused(
    collecting: Stage, helpers: tuple[str, ...], puppets: int, signing_puppets: int
) -> None:
    county, round_id = collecting
    body = body_in_force(county)
    made = [puppet(f"x{number}") for number in range(1, puppets + 1)]
    kept = tuple(row for row in body.auditors if row.id in helpers)
    log = ForgedLog(county)
    forged = replace(body, auditors=(*kept, *(row for row, _ in made)))
    keys = [*signers(county, *helpers), *(key for _, key in made[:signing_puppets])]
    log.add(*roster_with(county, forged), *keys)
    assert_refused(county, log, "too-few-signatures")
    assert county.round(round_id).is_approved


@pytest.mark.parametrize(
    ("changes", "tuples", "code"),
    [
        ({"kind": "demo"}, None, "wrong-roster"),
        ({"quorum": 2}, None, "wrong-tuple"),
        ({"serial": 2}, None, "wrong-predecessor"),
        ({"previous": bytes(32)}, None, "wrong-predecessor"),
        ({}, ((1, 1, 0, 1), (4, 3, 1, 3)), "wrong-tuple"),
        ({}, ((4, 2, 1, 3),), "wrong-tuple"),
        ({}, ((4, 3, 1, 2),), "wrong-tuple"),
        ({}, ((4, 3, 3, 3),), "wrong-tuple"),
    ],
)
def test_a_weaker_roster_is_refused_although_all_auditors_signed(
    collecting: Stage, changes: dict[str, object], tuples: tuple[tuple[int, int, int, int], ...], code: str
) -> None:
    county, _ = collecting
    body = body_in_force(county)
    log = ForgedLog(county)
    roster = roster_with(county, replace(body, tuples=tuples or body.tuples), **changes)
    log.add(*roster, *signers(county, *ALL))
    assert_refused(county, log, code)


def test_a_school_is_never_given_to_another_operator(collecting: Stage) -> None:
    county, _ = collecting
    body = body_in_force(county)
    taken = replace(body.nodes[0], operator="somebody else")
    log = ForgedLog(county)
    forged = replace(body, nodes=(taken, *body.nodes[1:]))
    log.add(*roster_with(county, forged), *signers(county, *ALL))
    assert_refused(county, log, "wrong-roster")


class ProposingLink(Link):
    """A coordinator that proposes a roster of its own."""

    def __init__(self, county: CountySimulator, auditor_id: str, proposal: Proposal) -> None:
        super().__init__(county, auditor_id)
        self._proposal = proposal

    def list_proposals(self) -> Sequence[Proposal]:
        return [self._proposal]


def test_an_auditor_signs_no_roster_that_gives_its_place_away(collecting: Stage) -> None:
    county, round_id = collecting
    body = body_in_force(county)
    other = replace(puppet("a1")[0], operator=body.auditors[0].operator)
    roster, data = roster_with(county, replace(body, auditors=(other, *body.auditors[1:])))
    text = encode_statement(roster)
    give_link(
        county, "a1", ProposingLink(county, "a1", Proposal(text, data, (coordinator_key(county).sign(text),)))
    )
    with pytest.raises(RefusalError) as caught:
        county.auditors["a1"].sign_roster(digest(text))
    assert caught.value.code == "wrong-own-keys"
    county.restart("a1")
    finish_honestly(county, round_id)


# --- rosters that a careless quorum has signed ------------------------------------------------


def test_a_puppet_that_a_quorum_let_in_gets_no_report(collecting: Stage) -> None:
    """Whoever is no auditor on the card that a school has pinned opens none of its boxes."""
    county, honest_round = collecting
    body = body_in_force(county)
    row, key = puppet("x1")
    forged = replace(body, auditors=(*body.auditors[:3], row))
    log_statement(county, *roster_with(county, forged), *signers(county, "a1", "a2", "a3"), key)
    round_id = log_plan(county, auditors=("a1", "a2", "a3", "x1"))
    approve_blindly(county, round_id, [key])
    assert refusal_at_school(county, round_id) == "auditor-not-pinned"
    finish_honestly(county, honest_round)  # a superseding roster changes no open round


def test_a_weaker_tuple_that_a_quorum_let_in_is_below_policy_and_floor(collecting: Stage) -> None:
    county, honest_round = collecting
    body = replace(body_in_force(county), tuples=(WEAK, county.tuple_))
    log_statement(county, *roster_with(county, body), *signers(county, "a1", "a2", "a3"))
    n, t, f, q = WEAK
    round_id = log_plan(county, auditors=ALL[:n], threshold=t, collude=f, quorum=q)
    with pytest.raises(RefusalError) as caught:
        county.auditors["a1"].approve(round_id)
    assert caught.value.code == "tuple"
    approve_blindly(county, round_id)
    assert refusal_at_school(county, round_id) == "below-floor"
    finish_honestly(county, honest_round)


def test_a_quorum_cannot_exchange_a_schools_key(collecting: Stage) -> None:
    """Only the school's own key says which one follows it; a whole quorum's signatures do not."""
    county, honest_round = collecting
    body = body_in_force(county)
    name = key_name(FEDERATION, "node", "s01")
    stolen = replace(body.nodes[0], report=SigningKey(name, KeyType.ED25519, fake_bytes("stolen")).verifier)
    forged = replace(body, nodes=(stolen, *body.nodes[1:]))
    with pytest.raises(StatementRefusedError, match="wrong-succession"):
        log_statement(county, *roster_with(county, forged), *signers(county, "a1", "a2", "a3"))
    finish_honestly(county, honest_round)
