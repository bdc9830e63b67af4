"""Every reason for which a round is refused, each with its own code; nothing is charged or sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from fakes_federation import TinyFederation, fake_bytes
from fakes_vault import SchoolHouse, plan_of, pupils, utc

from crypto.note import KeyType, SigningKey
from node.vault.check_round import check_round
from node.vault.errors import RecordsError, RoundRefusedError, VaultError
from plan.document import PlanDocument
from plan.layout import build_layout
from plan.published import noise_rows
from plan.table_spec import TableSpec
from protos.bodies import key_name
from protos.statements import Abandon, Cancel, Extended, Extension, Revoke

NOISE = noise_rows(build_layout(plan_of()))


def refusal(house: SchoolHouse, round_id: bytes) -> VaultError:
    """Try preview and release; both must refuse alike and leave no trace."""
    with pytest.raises(VaultError) as by_preview:
        house.call("preview", round=round_id.hex())
    with pytest.raises(VaultError) as by_release:
        house.release(round_id)
    assert by_release.value.code == by_preview.value.code
    assert house.store.query("SELECT * FROM charge") == []
    assert house.store.query("SELECT * FROM report") == []
    assert house.desk.outgoing() is None
    assert by_release.value.advice
    return by_release.value


def test_a_good_round_passes_every_check(house: SchoolHouse) -> None:
    round_id = house.start_round()
    checked = check_round(house.desk.enrolled(), round_id)
    assert checked.charge.rho == build_layout(plan_of()).claimed_rho
    assert checked.charge.school_year == "2026-2027"


def test_an_unknown_round(house: SchoolHouse) -> None:
    house.start_round()
    assert refusal(house, bytes(32)).code == "no-such-round"


def test_before_the_window(house: SchoolHouse) -> None:
    document = plan_of(opens=utc(2026, 9, 20))
    assert refusal(house, house.start_round(document)).code == "plan-not-open"


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=100)])
def test_an_expired_plan(house: SchoolHouse, late: timedelta) -> None:
    round_id = house.start_round()
    house.now = utc(2026, 10, 31) + late
    house.sync()
    assert refusal(house, round_id).code == "plan-expired"


def ask_for(house: SchoolHouse, round_id: bytes, closes: datetime, auditors: tuple[str, ...]) -> None:
    """Have the county ask for a later deadline, and auditors grant it."""
    made = house.federation
    wish = made.add(Extension(made.federation, round_id, 1, closes, "holiday"), b"", [made.coordinator])
    for name in auditors:
        made.add(Extended(made.federation, round_id, name, wish), b"", [made.auditors[name]])


@pytest.mark.parametrize(
    ("auditors", "is_later"), [(("a1", "a2"), False), (("a1", "a2", "a3"), True)], ids=["two", "quorum"]
)
def test_a_later_deadline_that_a_quorum_granted(
    house: SchoolHouse, auditors: tuple[str, ...], is_later: bool
) -> None:
    round_id = house.start_round()
    ask_for(house, round_id, utc(2026, 11, 9), auditors)
    house.now = utc(2026, 11, 5)
    house.sync()
    if not is_later:
        assert refusal(house, round_id).code == "plan-expired"
        return
    check_round(house.desk.enrolled(), round_id)
    house.now = utc(2026, 11, 9)
    house.sync()
    assert refusal(house, round_id).code == "plan-expired"


def test_a_later_deadline_counts_under_a_cosigned_checkpoint_only(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.now = utc(2026, 11, 5)
    house.sync()
    ask_for(house, round_id, utc(2026, 11, 9), ("a1", "a2", "a3"))
    page = house.federation.page(house.desk.enrolled().mirror.ledger.size, [], house.now)
    house.desk.on_log(page.start, list(page.entries), page.latest, b"")
    assert house.desk.enrolled().mirror.ledger.rounds[round_id].closes == utc(2026, 11, 9)
    assert refusal(house, round_id).code == "plan-expired"
    house.sync()
    check_round(house.desk.enrolled(), round_id)


def test_a_round_that_the_county_has_ended(house: SchoolHouse) -> None:
    round_id = house.start_round()
    made = house.federation
    made.add(Cancel(made.federation, round_id, bytes(32), bytes(32), "other"), b"", [made.coordinator])
    house.sync()
    assert refusal(house, round_id).code == "round-cancelled"


def test_turning_the_clock_back_does_not_reopen_an_expired_plan(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.now = utc(2026, 11, 2)
    house.sync()
    house.now = utc(2026, 10, 1)
    house.restart()
    assert refusal(house, round_id).code == "plan-expired"


def test_a_missing_approval(house: SchoolHouse) -> None:
    round_id = house.publish()
    house.federation.approve(round_id, ["a1", "a2", "a4"])
    house.sync()
    house.save(pupils())
    error = refusal(house, round_id)
    assert error.code == "approval-missing"
    assert error.details["auditor"] == "a3"


def test_a_round_key_that_cannot_be_sealed_to_costs_nothing(house: SchoolHouse) -> None:
    round_id = house.publish()
    federation = house.federation
    federation.approve(round_id, ["a1", "a2", "a3"])
    bad = replace(federation.approval("a4", round_id), round_key=b"\xff" * 1216)
    federation.add(bad, b"", [federation.auditors["a4"]])
    house.sync()
    house.save(pupils())
    error = refusal(house, round_id)
    assert (error.code, error.details["auditor"]) == ("bad-round-key", "a4")


def test_no_cosigned_checkpoint(house: SchoolHouse) -> None:
    round_id = house.publish()
    house.federation.approve(round_id)
    page = house.federation.page(0, [], house.now)
    house.desk.on_log(0, list(page.entries), page.latest, b"")
    house.save(pupils())
    assert refusal(house, round_id).code == "log-unverified"


@pytest.mark.parametrize("size_before", [1, 2], ids=["last approval", "plan and approvals"])
def test_what_no_quorum_has_cosigned_does_not_count(house: SchoolHouse, size_before: int) -> None:
    round_id = house.publish()
    if size_before == 1:
        house.federation.approve(round_id, ["a1", "a2", "a3"])
    house.sync()
    house.federation.approve(round_id, ["a4"] if size_before == 1 else None)
    page = house.federation.page(0, [], house.now)
    house.desk.on_log(0, list(page.entries), page.latest, b"")
    house.save(pupils())
    assert refusal(house, round_id).code == "not-cosigned"
    house.sync()
    assert house.release(round_id)["is_new"] == 1


def test_a_plan_that_no_quorum_has_cosigned(house: SchoolHouse) -> None:
    house.sync()
    round_id = house.publish()
    house.federation.approve(round_id)
    page = house.federation.page(0, [], house.now)
    house.desk.on_log(0, list(page.entries), page.latest, b"")
    house.save(pupils())
    assert refusal(house, round_id).code == "not-cosigned"


def test_a_stale_checkpoint(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.now += timedelta(hours=24)
    assert house.call("preview", round=round_id.hex())["cells"] == 46
    house.now += timedelta(seconds=1)
    assert refusal(house, round_id).code == "log-stale"
    house.sync()
    assert house.call("preview", round=round_id.hex())["cells"] == 46


def test_the_age_of_a_checkpoint_is_that_of_its_quorum(house: SchoolHouse) -> None:
    """One auditor that cosigns every minute cannot make an old view look fresh."""
    round_id = house.start_round()
    fresh = house.federation.checkpoint(["a1"], house.now + timedelta(hours=30))
    old = house.federation.checkpoint(["a2", "a3"], house.now)
    note = fresh + b"".join(line + b"\n" for line in old.split(b"\n\n")[1].splitlines()[1:])
    house.now += timedelta(hours=30)
    house.desk.on_log(house.federation.ledger.size, [], b"", note)
    assert refusal(house, round_id).code == "log-stale"


@pytest.mark.parametrize("name", ["threshold", "collude", "min_reports", "colluding_schools"])
def test_a_plan_below_a_local_floor(tmp_path: Path, name: str) -> None:
    usual = {"threshold": 3, "collude": 1, "min_reports": 5, "colluding_schools": 1}
    house = SchoolHouse(tmp_path, floors={name: usual[name] + 1})
    error = refusal(house, house.start_round())
    assert (error.code, error.details["name"]) == ("below-floor", name)
    house.store.close()


def test_a_plan_above_the_cost_of_one_round(tmp_path: Path) -> None:
    house = SchoolHouse(tmp_path, floors={"rho_round": "1/10"})
    error = refusal(house, house.start_round())
    assert (error.code, error.details["allowed"]) == ("below-floor", "0.1")
    house.store.close()


def test_a_plan_above_the_account(tmp_path: Path) -> None:
    house = SchoolHouse(tmp_path, floors={"rho_year": "1/10"})
    assert refusal(house, house.start_round()).code == "account-exceeded"
    house.store.close()


def test_too_few_independent_operators(tmp_path: Path) -> None:
    federation = TinyFederation(kind="production", num_nodes=4)
    for node in federation.nodes.values():
        node.operator = "同一集团"
    house = SchoolHouse(tmp_path, federation)
    assert refusal(house, house.start_round()).code == "too-few-operators"
    house.store.close()


def test_a_roster_without_this_node(tmp_path: Path) -> None:
    house = SchoolHouse(tmp_path, is_enrolled=False)
    house.call("accept", card_text=house.federation.card_text)
    house.federation.join()
    assert refusal(house, house.start_round()).code == "not-on-roster"
    house.store.close()


def _other_key(house: SchoolHouse) -> None:
    name = key_name(house.federation.federation, "node", house.node)
    key = SigningKey(name, KeyType.ED25519, fake_bytes("somebody else"))
    house.federation.roster_nodes = (replace(house.roster_node, report=key.verifier),)


def _other_master(house: SchoolHouse) -> None:
    house.federation.roster_nodes = (replace(house.roster_node, master=fake_bytes("other K")),)


@pytest.mark.parametrize("change", [_other_key, _other_master], ids=["report key", "master commitment"])
def test_a_roster_with_another_key_under_this_name(
    tmp_path: Path, change: Callable[[SchoolHouse], None]
) -> None:
    house = SchoolHouse(tmp_path, is_enrolled=False)
    house.call("accept", card_text=house.federation.card_text)
    change(house)
    house.federation.join()
    assert refusal(house, house.start_round()).code == "wrong-own-key"
    house.store.close()


def test_a_revoked_node(house: SchoolHouse) -> None:
    round_id = house.start_round()
    federation = house.federation
    roster = federation.ledger.roster.digest
    revoke = Revoke(federation.federation, roster, "node", house.node, "left")
    federation.add(revoke, b"", [federation.coordinator])
    house.sync()
    assert refusal(house, round_id).code == "node-revoked"


def test_an_auditor_that_is_not_on_the_card(tmp_path: Path) -> None:
    """The log allows a friendly fifth auditor, signed in by a quorum; this node never pinned it."""
    federation = TinyFederation(kind="production")
    house = SchoolHouse(tmp_path, federation)
    fifth = TinyFederation(num_auditors=5, quorum=4)
    federation.auditors["a5"], federation.witnesses["a5"] = fifth.auditors["a5"], fifth.witnesses["a5"]
    federation.quorum = 4
    federation.join()
    error = refusal(house, house.start_round(auditors=("a2", "a3", "a4", "a5")))
    assert (error.code, error.details["auditor"]) == ("auditor-not-pinned", "a5")
    house.store.close()


def test_an_abandoned_round(house: SchoolHouse) -> None:
    round_id = house.start_round()
    for auditor in ("a1", "a2", "a3"):
        statement = Abandon(house.federation.federation, round_id, auditor, bytes(32), "policy")
        house.federation.add(statement, b"", [house.federation.auditors[auditor]])
    house.sync()
    assert refusal(house, round_id).code == "round-aborted"


@pytest.mark.parametrize(
    "noise",
    [
        (*NOISE[:1], (NOISE[1][0], NOISE[1][1], NOISE[1][2], bytes(32))),
        (*NOISE[:1], (NOISE[1][0], NOISE[1][1], NOISE[1][2] - 1, NOISE[1][3])),
        (*NOISE[:1], (NOISE[1][0], NOISE[1][1] * 2, NOISE[1][2], NOISE[1][3])),
        (*NOISE[:1], ("A3", *NOISE[1][1:])),
        NOISE[:1],
        tuple(reversed(NOISE)),
    ],
    ids=["thresholds", "variance", "scale", "table", "missing table", "order"],
)
def test_noise_that_is_not_what_the_tables_make(
    house: SchoolHouse, noise: tuple[tuple[str, int, int, bytes], ...]
) -> None:
    assert refusal(house, house.start_round(noise=noise)).code == "wrong-noise"


def test_another_number_of_cells(house: SchoolHouse) -> None:
    assert refusal(house, house.start_round(cells=45)).code == "wrong-cells"


def test_a_plan_that_says_less_than_it_costs(house: SchoolHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    round_id = house.start_round()
    parts = house.desk.enrolled()
    dearer = replace(parts.published.read(parts.mirror.ledger.rounds[round_id]), rho=Fraction(21, 100))
    monkeypatch.setattr("node.vault.published.read_plan", lambda *_: dearer)
    monkeypatch.setattr(parts.published, "_known", {})
    assert refusal(house, round_id).code == "rho-understated"


def test_a_lower_rho_in_the_statement_changes_the_noise_that_is_expected(house: SchoolHouse) -> None:
    assert refusal(house, house.start_round(rho=Fraction(1, 10))).code == "wrong-noise"


@pytest.mark.parametrize(
    "body", [b'{"tables":[]}', b"[]", b'{"format":"fedscreen/plan/v9"}'], ids=["short", "list", "version"]
)
def test_a_plan_that_cannot_be_read(house: SchoolHouse, body: bytes) -> None:
    assert refusal(house, house.start_round(published_body=body)).code == "plan-invalid"


def test_an_unpinned_codebook_in_a_production_federation(house: SchoolHouse) -> None:
    document = plan_of()
    loose = replace(document, instruments=(replace(document.instruments[0], digest=""),))
    assert refusal(house, house.start_round(loose)).code == "codebook-not-pinned"


def test_an_unpinned_codebook_is_fine_in_a_demo(tmp_path: Path) -> None:
    house = SchoolHouse(tmp_path, TinyFederation(kind="demo"))
    document = plan_of()
    loose = replace(document, instruments=(replace(document.instruments[0], digest=""),))
    assert house.release(house.start_round(loose))["is_new"] == 1
    house.store.close()


def test_a_school_year_ahead_of_the_clock(house: SchoolHouse) -> None:
    """A plan of next year must not be charged to a year that this node has not seen begin."""
    house.now = utc(2026, 8, 20)
    round_id = house.start_round(plan_of(opens=utc(2026, 8, 1)))
    assert refusal(house, round_id).code == "wrong-school-year"


def test_no_records(house: SchoolHouse) -> None:
    round_id = house.publish()
    house.federation.approve(round_id)
    house.sync()
    assert refusal(house, round_id).code == "records-missing"


def test_records_of_another_census_date(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.save(pupils(), census_date=date(2026, 9, 30))
    error = refusal(house, round_id)
    assert isinstance(error, RecordsError)
    assert error.code == "wrong-census-date"


def test_records_of_another_codebook(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.save([replace(row, codebook="d" * 64) if row.codebook else row for row in pupils()])
    assert refusal(house, round_id).code == "records-unfit"


def test_an_identity_that_does_not_hold(house: SchoolHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    round_id = house.start_round()
    monkeypatch.setattr("node.vault.tabulate.violated", lambda *_: ("A2 = A1 [grade 7]",))
    error = refusal(house, round_id)
    assert (error.code, error.details["identity"]) == ("identity-violated", "A2 = A1 [grade 7]")


def test_a_split_log_releases_nothing_any_more(house: SchoolHouse) -> None:
    round_id = house.start_round()
    other = TinyFederation(kind="production")
    other.join()
    note = other.checkpoint(["a1", "a2", "a3"], house.now)
    with pytest.raises(VaultError) as caught:
        house.desk.on_log(0, [], b"", note)
    assert caught.value.code == "log-split"
    house.restart()
    assert refusal(house, round_id).code == "log-split"


COUNTIES = (("county", (("530101", "甲县"), ("530102", "乙县"))),)


def county_plan(*listed: str, kept: tuple[str, ...] = ()) -> PlanDocument:
    """The small plan with its second table by county."""
    attributes = (("county", tuple(pair for pair in COUNTIES[0][1] if pair[0] in listed)),)
    table = TableSpec(
        id="K",
        title="等级",
        dims=("county", "level"),
        where=(("county", kept),) if kept else (),
        attributes=("county",),
    )
    document = plan_of()
    return plan_of(tables=(document.tables[0], table), attributes=attributes)


def test_a_plan_that_lists_this_schools_own_value(house: SchoolHouse) -> None:
    round_id = house.start_round(county_plan("530101"))
    assert house.release(round_id)["is_new"] == 1
    house.submit()
    house.sync()
    rows = house.call("recompute", round=round_id.hex(), attempt=0)
    assert rows["outcome"] == "PASS"


def test_a_plan_that_does_not_list_this_schools_own_value(house: SchoolHouse) -> None:
    error = refusal(house, house.start_round(county_plan("530102")))
    assert error.code == "attribute-not-listed"
    assert "530101" in str(error.details["reason"])
    assert "530102" in str(error.details["reason"])


def test_a_group_of_schools_that_is_too_small(house: SchoolHouse) -> None:
    """Coordinator and auditors let a county of two schools through: this school still refuses."""
    federation = house.federation
    for node in list(federation.nodes.values())[:2]:
        node.attributes = (("county", "530102"),)
    federation.join()
    error = refusal(house, house.start_round(county_plan("530101", "530102")))
    assert (error.code, error.details["group"], error.details["least"]) == (
        "group-too-small",
        "county = 530102",
        5,
    )


def test_a_small_group_that_no_table_shows(house: SchoolHouse) -> None:
    federation = house.federation
    for node in list(federation.nodes.values())[:2]:
        node.attributes = (("county", "530102"),)
    federation.join()
    plan = county_plan("530101", "530102", kept=("530101",))
    first = replace(plan.tables[0], where=plan.tables[1].where, attributes=("county",))
    round_id = house.start_round(replace(plan, tables=(first, plan.tables[1])))
    assert house.release(round_id)["is_new"] == 1


def test_a_small_group_that_the_difference_of_two_tables_shows(house: SchoolHouse) -> None:
    federation = house.federation
    for node in list(federation.nodes.values())[:2]:
        node.attributes = (("county", "530102"),)
    federation.join()
    error = refusal(house, house.start_round(county_plan("530101", "530102", kept=("530101",))))
    assert (error.code, error.details["group"]) == ("group-too-small", "county = 530102")


def test_revoked_schools_do_not_fill_a_group(house: SchoolHouse) -> None:
    round_id = house.start_round(county_plan("530101"))
    federation = house.federation
    roster = federation.ledger.roster.digest
    for name in list(federation.nodes)[:3]:  # of 7, this school among them
        revoke = Revoke(federation.federation, roster, "node", name, "left")
        federation.add(revoke, b"", [federation.coordinator])
    house.sync()
    assert refusal(house, round_id).code == "group-too-small"


def test_a_refusal_is_a_round_refused_error(house: SchoolHouse) -> None:
    house.start_round()
    assert isinstance(refusal(house, bytes(32)), RoundRefusedError)
