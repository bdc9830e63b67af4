"""Revocation: from its position on, for everybody to read, once."""

import pytest
from fakes_coordinator import County

from coordinator import errors


def test_a_revoked_node_reports_no_more_and_is_not_waited_for(collecting: County) -> None:
    collecting.report(collecting.round_id, ["s01", "s02", "s03", "s04", "s05"])
    late = collecting.payload("s06", collecting.round_id)
    position = collecting.desk.revoke("node", "s06", "key-lost")
    assert collecting.desk.revoke("node", "s06", "key-lost") == position
    with pytest.raises(errors.NotRosteredError):
        collecting.desk.submit_report("s06", late)
    assert len(collecting.desk.tick()) == 1
    assert len(collecting.round(collecting.round_id).candidate_names()) == 5


def test_a_revoked_nodes_report_is_no_candidate(collecting: County) -> None:
    collecting.report(collecting.round_id, ["s01", "s02", "s03", "s04", "s05"])
    collecting.desk.revoke("node", "s05", "key-lost")
    with pytest.raises(errors.TooFewReportsError):
        collecting.desk.request_close(collecting.round_id, without_missing=True)


def test_a_revoked_auditor_gets_no_boxes_and_is_not_waited_for(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.tick()
    collecting.desk.revoke("auditor", "a4", "key-lost")
    with pytest.raises(errors.NotRosteredError):
        collecting.desk.get_boxes("a4", collecting.round_id)
    collecting.check(collecting.round_id, ["a1", "a2", "a3"])
    assert len(collecting.desk.tick()) == 1


def test_the_next_roster_leaves_the_revoked_out(collecting: County) -> None:
    collecting.desk.revoke("node", "s06", "key-lost")
    collecting.desk.propose_roster()
    collecting.sign_rosters()
    assert collecting.ledger().roster.body.node("s06") is None


@pytest.mark.parametrize(
    ("subject", "party", "reason", "error"),
    [
        ("node", "s99", "x", errors.NotRosteredError),
        ("auditor", "s01", "x", errors.NotRosteredError),
        ("node", "s01", "Two words", errors.RosterError),
    ],
)
def test_wrong_revocations(
    collecting: County, subject: str, party: str, reason: str, error: type[Exception]
) -> None:
    size = collecting.ledger().size
    with pytest.raises(error):
        collecting.desk.revoke(subject, party, reason)
    assert collecting.ledger().size == size
