"""The log as a state machine: a whole round, and every next entry that is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from fakes_federation import CLOSES, NOW, ZERO, TinyFederation, fake_bytes, sign_entry

from crypto.merkle import tree_root
from crypto.note import KeyType, SigningKey, parse_note
from protos.bodies import (
    CloseBody,
    Refusal,
    ReportName,
    RosterAuditor,
    encode_candidates_body,
    encode_checked_body,
    encode_roster_body,
    key_name,
)
from protos.errors import LedgerError
from protos.ledger import Ledger
from protos.round_log import RoundState
from protos.statements import (
    Abandon,
    Candidates,
    Checked,
    Replayed,
    Revoke,
    Roster,
    body_ref,
    encode_statement,
)


def refused(federation: TinyFederation, entry: bytes, body: bytes = b"") -> str:
    """Append to the ledger, expecting a refusal that changes nothing; returns its code."""
    size, root = federation.ledger.size, federation.ledger.root()
    with pytest.raises(LedgerError) as caught:
        federation.ledger.append(entry, body)
    assert (federation.ledger.size, federation.ledger.root()) == (size, root)
    return caught.value.code


def ready(stage: str = "released", **options: object) -> tuple[TinyFederation, bytes]:
    """Bring a round to a stage with every party honest."""
    federation = TinyFederation(**options)  # type: ignore[arg-type]
    federation.join()
    round_id = federation.publish()
    auditors = list(federation.round(round_id).terms.auditors)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("planned", lambda: None),
        ("approved", lambda: federation.approve(round_id)),
        ("reported", lambda: [federation.report(node, round_id) for node in federation.nodes]),
        ("candidates", lambda: federation.fix_candidates(round_id)),
        ("checked", lambda: [federation.check(name, round_id) for name in auditors]),
        ("closed", lambda: federation.close(round_id)),
        ("agreed", lambda: [federation.agree(name, round_id) for name in auditors]),
        ("opened", lambda: [federation.open_(name, round_id) for name in auditors]),
        ("released", lambda: federation.release(round_id)),
    ]
    for name, step in steps:
        step()
        if name == stage:
            break
    return federation, round_id


def test_a_whole_round() -> None:
    federation, round_id = ready()
    assert federation.round(round_id).state is RoundState.RELEASED
    again = Ledger(federation.card)
    for entry, body in federation.entries:
        again.append(entry, body)
    assert again.root() == federation.ledger.root() == tree_root(again.leaves)
    assert again.verify_checkpoint(federation.page().cosigned).size == again.size


@pytest.mark.parametrize(
    ("stage", "state"),
    [
        ("planned", RoundState.DRAFT),
        ("approved", RoundState.COLLECTING),
        ("reported", RoundState.COLLECTING),
        ("candidates", RoundState.CHECKING),
        ("closed", RoundState.CHECKING),
        ("agreed", RoundState.AGREED),
        ("opened", RoundState.UNSEALED),
    ],
)
def test_states(stage: str, state: RoundState) -> None:
    federation, round_id = ready(stage)
    assert federation.round(round_id).state is state


def test_every_entry_is_refused_a_second_time_and_by_another_federation() -> None:
    federation, _ = ready()
    other = TinyFederation(federation="county-2")
    for entry, body in federation.entries:
        assert refused(federation, entry, body) == "already-logged"
        assert refused(other, entry, body) == "wrong-federation"


def test_every_entry_with_a_flipped_byte_or_another_signer_is_refused() -> None:
    federation, _ = ready()
    ledger = Ledger(federation.card)
    for entry, body in federation.entries:
        text = parse_note(entry).text
        for at in range(0, len(entry), 97):
            with pytest.raises(LedgerError):
                ledger.check(entry[:at] + bytes([entry[at] ^ 1]) + entry[at + 1 :], body)
        with pytest.raises(LedgerError) as caught:
            ledger.check(sign_entry(text, [federation.log_key]), body)
        assert caught.value.code in {"wrong-signers", "wrong-genesis"}
        if body:
            with pytest.raises(LedgerError, match="wrong-body"):
                ledger.check(entry, body + b" ")
        else:
            with pytest.raises(LedgerError, match="wrong-body"):
                ledger.check(entry, b"{}")
        ledger.append(entry, body)


def test_the_log_starts_with_the_pinned_genesis() -> None:
    federation = TinyFederation()
    other = TinyFederation(quorum=4)
    ledger = Ledger(federation.card)
    with pytest.raises(LedgerError, match="no-roster"):
        assert ledger.roster
    entry, body = other.entries[0]
    with pytest.raises(LedgerError, match="wrong-genesis"):
        ledger.append(entry, body)
    federation.join()
    with pytest.raises(LedgerError, match="wrong-genesis"):
        Ledger(federation.card).append(*federation.entries[1])


# -- rosters ---------------------------------------------------------------------------------


def roster_entry(federation: TinyFederation, signers: list[str], **changes: object) -> tuple[bytes, bytes]:
    """A successor roster with all nodes, signed by the coordinator and these auditors."""
    body = encode_roster_body(federation.roster_body(federation.all_roster_nodes()))
    last = federation.ledger.roster
    statement = Roster(
        federation.federation,
        last.statement.serial + 1,
        last.digest,
        "demo",
        federation.quorum,
        body_ref(body),
    )
    keys = [federation.coordinator, *(federation.auditors[name] for name in signers)]
    return federation.entry(replace(statement, **changes), keys), body


@pytest.mark.parametrize("signers", [["a1", "a2", "a3"], ["a2", "a3", "a4"], ["a1", "a2", "a3", "a4"]])
def test_a_quorum_of_the_preceding_roster_signs_a_roster(signers: list[str]) -> None:
    federation = TinyFederation()
    entry, body = roster_entry(federation, signers)
    federation.ledger.append(entry, body)
    assert federation.ledger.roster.statement.serial == 2


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ([], "too-few-signatures"),
        (["a1", "a2"], "too-few-signatures"),
        (["a1", "a1", "a2"], "wrong-signers"),
        (["a3", "a2", "a1"], "wrong-signers"),
    ],
)
def test_rosters_below_the_quorum_or_out_of_order_are_refused(signers: list[str], code: str) -> None:
    federation = TinyFederation()
    assert refused(federation, *roster_entry(federation, signers)) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"serial": 3}, "wrong-predecessor"),
        ({"previous": ZERO}, "wrong-predecessor"),
        ({"kind": "production"}, "wrong-roster"),
        ({"quorum": 2}, "wrong-tuple"),
        ({"quorum": 5}, "wrong-tuple"),
    ],
)
def test_downgraded_rosters_are_refused(changes: dict[str, object], code: str) -> None:
    federation = TinyFederation()
    assert refused(federation, *roster_entry(federation, ["a1", "a2", "a3", "a4"], **changes)) == code


@pytest.mark.parametrize(
    ("prefix", "code"), [("a", "wrong-succession"), ("p", "too-few-signatures")], ids=["same ids", "new ids"]
)
def test_sock_puppet_auditors_need_the_old_quorum(prefix: str, code: str) -> None:
    """A coordinator that swaps all auditors has the new ones' signatures, but not the old ones'."""
    federation = TinyFederation()
    rows, keys = [], [federation.coordinator]
    for number in range(1, 5):
        name = f"{prefix}{number}"
        key = SigningKey(key_name("county-1", "auditor", name), KeyType.ED25519, fake_bytes(f"puppet {name}"))
        witness = SigningKey(
            key_name("county-1", "witness", name), KeyType.COSIGNATURE, fake_bytes(f"puppet witness {name}")
        )
        rows.append(RosterAuditor(name, f"operator of {name}", key.verifier, witness.verifier, False))
        keys.append(key)
    body = encode_roster_body(replace(federation.roster_body(()), auditors=tuple(rows)))
    statement = Roster("county-1", 2, federation.ledger.roster.digest, "demo", 3, body_ref(body))
    assert refused(federation, sign_entry(encode_statement(statement), keys), body) == code


def test_a_node_id_belongs_to_one_operator_for_ever() -> None:
    federation = TinyFederation()
    federation.join()
    federation.nodes["s1"].operator = "another school"
    assert refused(federation, *roster_entry(federation, ["a1", "a2", "a3"])) == "wrong-roster"


@pytest.mark.parametrize("row", [(4, 2, 1, 3), (4, 3, 1, 2), (3, 2, 1, 2), (1, 1, 0, 1), (5, 4, 2, 4)])
def test_tuples_that_allow_equivocation_are_refused(row: tuple[int, int, int, int]) -> None:
    kind = "production" if row[0] == 1 else "demo"
    with pytest.raises(LedgerError, match="wrong-tuple"):
        TinyFederation(tuple_=row, kind=kind)


def test_a_single_auditor_is_allowed_in_a_demo() -> None:
    federation, round_id = ready(num_auditors=1, tuple_=(1, 1, 0, 1), quorum=1)
    assert federation.round(round_id).state is RoundState.RELEASED


# -- plans and approvals ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"serial": 2}, "wrong-plan"),
        ({"roster": ZERO}, "wrong-plan"),
        ({"threshold": 2, "collude": 0}, "wrong-tuple"),
        ({"quorum": 4}, "wrong-tuple"),
        ({"auditors": ("a1", "a2", "a3")}, "wrong-tuple"),
        ({"auditors": ("a2", "a1", "a3", "a4")}, "wrong-plan"),
        ({"auditors": ("a1", "a1", "a3", "a4")}, "wrong-plan"),
        ({"auditors": ("a1", "a2", "a3", "a9")}, "wrong-plan"),
        ({"min_reports": 4}, "wrong-plan"),
        ({"colluding_schools": 0}, "wrong-plan"),
        ({"colluding_schools": 4}, "wrong-plan"),
        ({"opens": CLOSES}, "wrong-plan"),
        ({"rho": Fraction(0)}, "wrong-plan"),
        ({"noise": ()}, "wrong-plan"),
        ({"noise": (("A1", 64, 9, ZERO), ("A1", 64, 9, ZERO))}, "wrong-plan"),
    ],
    ids=str,
)
def test_plans_that_are_refused(terms: dict[str, object], code: str) -> None:
    federation = TinyFederation()
    federation.join()
    noise = (("A1", 64, 900, ZERO),)
    statement = replace(federation.plan_statement(b"{}", 10, noise), **terms)
    assert refused(federation, federation.entry(statement, [federation.coordinator]), b"{}") == code


def test_one_approval_per_auditor_and_round_ever() -> None:
    federation, round_id = ready("planned")
    federation.approve(round_id, ["a1"])
    second = replace(federation.approval("a1", round_id), nonce=fake_bytes("other nonce"))
    assert refused(federation, federation.entry(second, [federation.auditors["a1"]])) == "second-approval"
    foreign = replace(federation.approval("a2", round_id), round=fake_bytes("no round"))
    assert refused(federation, federation.entry(foreign, [federation.auditors["a2"]])) == "no-such-round"
    other = replace(federation.approval("a2", round_id), roster=ZERO)
    assert refused(federation, federation.entry(other, [federation.auditors["a2"]])) == "wrong-roster"
    stolen = federation.approval("a2", round_id)
    assert refused(federation, federation.entry(stolen, [federation.auditors["a1"]])) == "wrong-signers"


# -- reports ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"attempt": 1}, "wrong-attempt"),
        ({"roster": ZERO}, "wrong-round"),
        ({"approvals": ZERO}, "wrong-round"),
        ({"previous": fake_bytes("x")}, "wrong-previous"),
        ({"cells": 11}, "wrong-size"),
        ({"size": 80}, "wrong-size"),
        ({"seeds": ((3, ZERO),)}, "wrong-seeds"),
        ({"boxes": (("a1", ZERO),)}, "wrong-boxes"),
        ({"node": "s9"}, "not-a-node"),
        ({"round": fake_bytes("no round")}, "no-such-round"),
        ({"node": "s2"}, "wrong-signers"),
    ],
    ids=str,
)
def test_reports_that_are_refused(changes: dict[str, object], code: str) -> None:
    federation, round_id = ready("approved")
    statement = federation.report_statement("s1", round_id)
    entry = federation.entry(replace(statement, **changes), [federation.nodes["s1"].key("county-1")])
    assert refused(federation, entry) == code


def test_no_report_before_all_have_approved() -> None:
    federation, round_id = ready("planned")
    federation.approve(round_id, ["a1", "a2", "a3"])
    entry = federation.entry(
        federation.report_statement("s1", round_id), [federation.nodes["s1"].key("county-1")]
    )
    assert refused(federation, entry) == "not-approved"


def test_attempts_count_up_to_three_and_the_highest_is_the_candidate() -> None:
    federation, round_id = ready("approved")
    digests = [federation.report("s1", round_id) for _ in range(4)]
    assert federation.ledger.candidates_for(round_id, federation.ledger.size) == (
        ReportName("s1", 3, digests[3]),
    )
    earlier = federation.ledger.entries_digest[digests[2]]
    assert federation.ledger.candidates_for(round_id, earlier + 1)[0].digest == digests[2]


def test_revoked_parties_are_out_from_then_on() -> None:
    federation, round_id = ready("reported")
    revoke = Revoke("county-1", federation.ledger.roster.digest, "node", "s1", "keys-lost")
    federation.add(revoke, b"", [federation.coordinator])
    names = federation.ledger.candidates_for(round_id, federation.ledger.size)
    assert [name.node for name in names] == ["s2", "s3", "s4", "s5", "s6"]
    entry = federation.entry(
        federation.report_statement("s1", round_id), [federation.nodes["s1"].key("county-1")]
    )
    assert refused(federation, entry) == "revoked"
    federation.add(
        replace(revoke, subject="auditor", id="a1"),
        b"",
        [federation.auditors[name] for name in ("a2", "a3", "a4")],
    )
    federation.fix_candidates(round_id)
    candidates = federation.round(round_id).candidates
    body = encode_checked_body(())
    checked = Checked("county-1", round_id, "a1", candidates.digest if candidates else ZERO, body_ref(body))
    assert refused(federation, federation.entry(checked, [federation.auditors["a1"]]), body) == "revoked"


@pytest.mark.parametrize("signers", [["a1", "a2"], ["log"]])
def test_a_revocation_needs_the_coordinator_or_a_quorum(signers: list[str]) -> None:
    federation, _ = ready("planned")
    keys = {**federation.auditors, "log": federation.log_key}
    revoke = Revoke("county-1", federation.ledger.roster.digest, "node", "s1", "keys-lost")
    entry = federation.entry(revoke, [keys[name] for name in signers])
    assert refused(federation, entry) in {"too-few-signatures", "wrong-signers"}
    unknown = replace(revoke, id="s99")
    assert refused(federation, federation.entry(unknown, [federation.coordinator])) == "wrong-revoke"


# -- the close -------------------------------------------------------------------------------


def test_candidates_leave_nobody_out_and_name_their_own_position() -> None:
    federation, round_id = ready("reported")
    names = federation.ledger.candidates_for(round_id, federation.ledger.size)
    for chosen, size, code in (
        (names[1:], federation.ledger.size, "wrong-candidates"),
        (names, federation.ledger.size - 1, "wrong-log-size"),
    ):
        body = encode_candidates_body(chosen)
        statement = Candidates("county-1", round_id, size, body_ref(body))
        assert refused(federation, federation.entry(statement, [federation.coordinator]), body) == code
    federation.fix_candidates(round_id)
    late = federation.report_statement("s1", round_id)
    assert refused(federation, federation.entry(late, [federation.nodes["s1"].key("county-1")])) == "too-late"
    body = encode_candidates_body(names)
    again = Candidates("county-1", round_id, federation.ledger.size, body_ref(body))
    assert refused(federation, federation.entry(again, [federation.coordinator]), body) == "second-candidates"


def test_a_superseded_attempt_cannot_be_a_candidate() -> None:
    federation, round_id = ready("reported")
    first = federation.ledger.candidates_for(round_id, federation.ledger.size)
    federation.report("s1", round_id)
    body = encode_candidates_body(first)
    statement = Candidates("county-1", round_id, federation.ledger.size, body_ref(body))
    entry = federation.entry(statement, [federation.coordinator])
    assert refused(federation, entry, body) == "wrong-candidates"


def test_checks_refuse_only_candidates_and_once() -> None:
    federation, round_id = ready("candidates")
    name = federation.round(round_id).candidate_names()[0]
    stranger = Refusal(replace(name, digest=ZERO), "bad-box")
    with pytest.raises(LedgerError, match="wrong-refusal"):
        federation.check("a1", round_id, [stranger])
    federation.check("a1", round_id, [Refusal(name, "bad-box")])
    with pytest.raises(LedgerError, match="second-checked"):
        federation.check("a1", round_id, [])


def test_s_is_the_candidates_without_what_any_named_check_refuses() -> None:
    federation, round_id = ready("candidates")
    names = federation.round(round_id).candidate_names()
    federation.check("a1", round_id, [Refusal(names[0], "bad-box")])
    federation.check("a2", round_id, [Refusal(names[0], "copied-seed")])
    federation.check("a3", round_id)
    federation.close(round_id)
    body = federation.round(round_id).close_body()
    assert body == CloseBody(names[1:], (Refusal(names[0], "bad-box"),))


@pytest.mark.parametrize(
    ("drop", "named", "code"),
    [
        (1, ["a1", "a2", "a3", "a4"], "wrong-set"),
        (0, ["a1", "a2"], "wrong-checked"),
        (0, ["a2", "a1", "a3", "a4"], "wrong-checked"),
        (0, ["a1", "a1", "a2", "a3"], "wrong-checked"),
    ],
)
def test_closes_that_are_refused(drop: int, named: list[str], code: str) -> None:
    federation, round_id = ready("checked")
    names = federation.round(round_id).candidate_names()
    statement, body = federation.close_statement(round_id, named, CloseBody(names[drop:], ()))
    assert refused(federation, federation.entry(statement, [federation.coordinator]), body) == code


def test_two_schools_of_one_operator_count_once() -> None:
    federation = TinyFederation(num_nodes=5)
    federation.nodes["s5"].operator = federation.nodes["s4"].operator
    federation.join()
    round_id = federation.publish()
    federation.approve(round_id)
    for node in federation.nodes:
        federation.report(node, round_id)
    federation.fix_candidates(round_id)
    for name in federation.auditors:
        federation.check(name, round_id)
    statement, body = federation.close_statement(round_id, sorted(federation.auditors))
    entry = federation.entry(statement, [federation.coordinator])
    assert refused(federation, entry, body) == "too-few-reports"


def test_a_second_close_is_refused() -> None:
    federation, round_id = ready("closed")
    statement, body = federation.close_statement(round_id, ["a1", "a2", "a3"])
    assert refused(federation, federation.entry(statement, [federation.coordinator]), body) == "second-close"


# -- votes, openings, release ----------------------------------------------------------------


def test_agreement_or_abandon_once_ever() -> None:
    federation, round_id = ready("closed")
    federation.agree("a1", round_id)
    abandon = Abandon("county-1", round_id, "a1", ZERO, "changed-mind")
    assert refused(federation, federation.entry(abandon, [federation.auditors["a1"]])) == "second-vote"
    federation.add(replace(abandon, auditor="a2"), b"", [federation.auditors["a2"]])
    with pytest.raises(LedgerError, match="second-vote"):
        federation.agree("a2", round_id)
    wrong = replace(abandon, auditor="a3", close=fake_bytes("other close"))
    assert refused(federation, federation.entry(wrong, [federation.auditors["a3"]])) == "wrong-close"


def test_too_many_abandons_end_the_round() -> None:
    federation, round_id = ready("checked")
    for name in ("a1", "a2"):
        federation.add(
            Abandon("county-1", round_id, name, ZERO, "too-few-reports"), b"", [federation.auditors[name]]
        )
    assert federation.round(round_id).state is RoundState.ABORTED
    assert not federation.round(round_id).is_refundable
    statement, body = federation.close_statement(round_id, ["a1", "a2", "a3"])
    assert refused(federation, federation.entry(statement, [federation.coordinator]), body) == "aborted"
    federation.add(
        Abandon("county-1", round_id, "a3", ZERO, "too-few-reports"), b"", [federation.auditors["a3"]]
    )
    assert federation.round(round_id).is_refundable


def test_no_agreement_without_a_close() -> None:
    federation, round_id = ready("checked")
    with pytest.raises(LedgerError, match="wrong-close"):
        federation.agree("a1", round_id)


def test_no_opening_before_a_quorum_has_agreed() -> None:
    federation, round_id = ready("closed")
    for name in ("a1", "a2"):
        federation.agree(name, round_id)
    with pytest.raises(LedgerError, match="not-agreed"):
        federation.open_("a1", round_id)


def test_openings_that_are_refused() -> None:
    federation, round_id = ready("agreed")
    good = federation.opening_statement("a1", round_id)
    for changes, code in (
        ({"close": ZERO}, "wrong-close"),
        ({"draw": ZERO}, "wrong-draw"),
        ({"sums": good.sums[1:]}, "wrong-sums"),
        ({"sums": good.sums[::-1]}, "wrong-sums"),
        ({"auditor": "a9"}, "second-opening"),
    ):
        assert (
            refused(federation, federation.entry(replace(good, **changes), [federation.auditors["a1"]]))
            == code
        )
    federation.open_("a1", round_id)
    with pytest.raises(LedgerError, match="second-opening"):
        federation.add(
            replace(good, sums=tuple((subset, ZERO) for subset, _ in good.sums)),
            b"",
            [federation.auditors["a1"]],
        )


def test_an_auditor_that_abandoned_does_not_open() -> None:
    federation, round_id = ready("closed")
    for name in ("a1", "a2", "a3"):
        federation.agree(name, round_id)
    federation.add(Abandon("county-1", round_id, "a4", ZERO, "away"), b"", [federation.auditors["a4"]])
    with pytest.raises(LedgerError, match="abandoned"):
        federation.open_("a4", round_id)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"close": ZERO}, "wrong-close"),
        ({"agreements": ()}, "wrong-agreements"),
        ({"openings": ()}, "wrong-openings"),
        ({"replicas": 1}, "wrong-replicas"),
        ({"reports_in": 5}, "wrong-release"),
        ({"rho": Fraction(1, 4)}, "wrong-release"),
        ({"status": "corrupt"}, "wrong-tables"),
    ],
    ids=str,
)
def test_releases_that_are_refused(changes: dict[str, object], code: str) -> None:
    federation, round_id = ready("opened")
    statement, body = federation.release_statement(round_id, ["a1", "a2", "a3", "a4"], **changes)
    assert refused(federation, federation.entry(statement, [federation.coordinator]), body) == code


def test_a_wrong_mask_sum_is_not_released() -> None:
    federation, round_id = ready("agreed")
    lie = {subset: fake_bytes("lie") for subset in federation.round(round_id).subsets_of("a1")}
    federation.add(federation.opening_statement("a1", round_id, lie), b"", [federation.auditors["a1"]])
    for name in ("a2", "a3", "a4"):
        federation.open_(name, round_id)
    statement, body = federation.release_statement(round_id, ["a1", "a2", "a3", "a4"])
    entry = federation.entry(statement, [federation.coordinator])
    assert refused(federation, entry, body) == "replica-mismatch"
    federation.release(round_id, ["a2", "a3", "a4"])
    assert federation.round(round_id).state is RoundState.RELEASED


def test_two_openings_are_too_few() -> None:
    federation, round_id = ready("agreed")
    for name in ("a1", "a2"):
        federation.open_(name, round_id)
    assert federation.round(round_id).state is RoundState.AGREED
    statement, body = federation.release_statement(round_id, ["a1", "a2"])
    entry = federation.entry(statement, [federation.coordinator])
    assert refused(federation, entry, body) == "wrong-openings"


def test_a_second_release_is_refused() -> None:
    federation, round_id = ready()
    statement, body = federation.release_statement(round_id, ["a1", "a2", "a3"])
    entry = federation.entry(statement, [federation.coordinator])
    assert refused(federation, entry, body) == "second-release"


def test_a_replay_names_a_logged_report_of_that_node() -> None:
    federation, round_id = ready()
    report = federation.round(round_id).reports[("s1", 0)].digest
    statement = Replayed("county-1", round_id, "a1", "s1", report, "PASS", "L3")
    for changes in ({"node": "s2"}, {"report": ZERO}, {"auditor": "a9"}):
        entry = federation.entry(replace(statement, **changes), [federation.auditors["a1"]])
        assert refused(federation, entry) == "wrong-replay"
    federation.add(statement, b"", [federation.auditors["a1"]])
    assert [row.statement for row in federation.ledger.replays] == [statement]
    revoke = Revoke("county-1", federation.ledger.roster.digest, "auditor", "a1", "key-lost")
    federation.add(revoke, b"", [federation.coordinator])
    again = federation.entry(replace(statement, outcome="FAIL"), [federation.auditors["a1"]])
    assert refused(federation, again) == "revoked"


# -- checkpoints -----------------------------------------------------------------------------


def test_a_checkpoint_needs_the_roster_quorum() -> None:
    federation, _ = ready("reported")
    verify = federation.ledger.verify_checkpoint
    assert verify(federation.checkpoint(["a1", "a3", "a4"])).size == federation.ledger.size
    assert verify(federation.checkpoint(), quorum=0).size == federation.ledger.size
    for cosigners in ([], ["a1", "a2"], ["a1", "a1", "a1"]):
        with pytest.raises(LedgerError, match="too-few-cosignatures"):
            verify(federation.checkpoint(cosigners))


def test_a_revoked_auditor_is_no_witness_from_then_on() -> None:
    federation, _ = ready("reported")
    verify = federation.ledger.verify_checkpoint
    before = federation.checkpoint(["a1", "a2", "a4"])
    revoke = Revoke("county-1", federation.ledger.roster.digest, "auditor", "a4", "key-lost")
    federation.add(revoke, b"", [federation.coordinator])
    with pytest.raises(LedgerError, match="too-few-cosignatures"):
        verify(federation.checkpoint(["a1", "a2", "a4"]))
    assert verify(federation.checkpoint(["a1", "a2", "a3", "a4"])).size == federation.ledger.size
    assert verify(before).size == federation.ledger.size - 1


def test_a_split_view_is_noticed() -> None:
    """A coordinator that shows another log of the same size, cosigned even, is caught by the root."""
    ours, round_id = ready("approved")
    theirs, _ = ready("approved")
    ours.report("s1", round_id)
    theirs.report("s2", round_id)
    with pytest.raises(LedgerError, match="split-view"):
        ours.ledger.verify_checkpoint(theirs.checkpoint(["a1", "a2", "a3"]))


def test_checkpoints_that_are_refused() -> None:
    federation, round_id = ready("approved")
    later = TinyFederation()
    note = federation.checkpoint(["a1", "a2", "a3"], now=NOW + timedelta(days=1))
    with pytest.raises(LedgerError, match="checkpoint-ahead"):
        later.ledger.verify_checkpoint(note)
    for damaged in (note[:-5], note.replace(b"county-1/log\n", b"county-2/log\n", 1), b"", b"x" * 100):
        with pytest.raises(LedgerError):
            federation.ledger.verify_checkpoint(damaged)
    forged = sign_entry(parse_note(note).text, [federation.coordinator])
    with pytest.raises(LedgerError, match="not signed"):
        federation.ledger.verify_checkpoint(forged)
    assert round_id
