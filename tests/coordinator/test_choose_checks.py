"""Which checks a close names: all of them, unless one auditor's refusals would end what others can close."""

from __future__ import annotations

from fakes_federation import TinyFederation

from coordinator.choose_checks import choose_checks
from coordinator.round import no_small_group
from protos.bodies import Refusal, ReportName
from protos.errors import LedgerError


def checked(refusing: dict[str, int]) -> tuple[TinyFederation, bytes]:
    """Six schools' reports; each auditor named refuses so many of them, from the front or (a4) the back."""
    federation = TinyFederation()
    federation.join()
    round_id = federation.publish()
    federation.approve(round_id)
    for node in federation.nodes:
        federation.report(node, round_id)
    federation.fix_candidates(round_id)
    names = federation.round(round_id).candidate_names()
    for auditor in sorted(federation.auditors):
        ordered = names[::-1] if auditor == "a4" else names
        chosen = sorted(ordered[: refusing.get(auditor, 0)])
        federation.check(auditor, round_id, [Refusal(name, "seed-mismatch") for name in chosen])
    return federation, round_id


def choice(refusing: dict[str, int]) -> tuple[str, ...]:
    federation, round_id = checked(refusing)
    found = choose_checks(federation.round(round_id), no_small_group)
    if found:
        federation.close(round_id, list(found))  # the log takes it
    return found


def test_all_checks_are_named_where_their_set_may_be_opened() -> None:
    assert choice({}) == ("a1", "a2", "a3", "a4")
    assert choice({"a2": 1}) == ("a1", "a2", "a3", "a4")


def test_one_that_refuses_too_much_is_left_out() -> None:
    assert choice({"a3": 2}) == ("a1", "a2", "a4")
    assert choice({"a1": 6}) == ("a2", "a3", "a4")


def test_of_two_that_refuse_one_each_the_first_choice_in_plan_order_is_taken() -> None:
    assert choice({"a1": 1, "a4": 1}) == ("a1", "a2", "a3")


def test_the_larger_set_is_taken() -> None:
    assert choice({"a1": 2, "a4": 1}) == ("a2", "a3", "a4")


def test_no_choice_where_fewer_than_a_quorum_leave_enough() -> None:
    assert choice({"a1": 2, "a2": 2}) == ()


def test_a_group_that_becomes_too_small_counts_as_too_few() -> None:
    federation, round_id = checked({"a2": 1})
    left_out = federation.round(round_id).candidate_names()[0]

    def has_small_group(names: tuple[ReportName, ...]) -> bool:
        return left_out not in names

    found = choose_checks(federation.round(round_id), has_small_group)
    assert found == ("a1", "a3", "a4")
    try:
        federation.close(round_id, list(found))
    except LedgerError as err:  # pragma: no cover
        raise AssertionError(err) from err
