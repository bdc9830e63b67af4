"""Release: one vector per charge and attempt; every single write is crashed in test_double_spend.py."""

from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from fakes_federation import TinyFederation
from fakes_vault import Crash, SchoolHouse, plan_of, pupils
from watched_vault import back_up, restore

from crypto import derivation
from crypto.field64 import FieldVector, add, parse_vector
from crypto.mask_sum import MaskSum
from crypto.note import parse_note, verified_by
from crypto.replication import subsets_with
from crypto.sealing import open_box
from crypto.sharing import add_report_mask, unmask
from node.vault.errors import AccountError, AttemptError, CommandError, RecordsError
from node.vault.release import release_round
from plan.layout import build_layout
from plan.tabulation import scaled, tabulate
from privacy.discrete_gaussian import table_bound
from protos.bodies import Refusal
from protos.report_payload import ReportPayload, verify_contents
from protos.statements import Report, parse_statement


def header_of(payload: ReportPayload) -> Report:
    statement = parse_statement(parse_note(payload.note).text)
    assert isinstance(statement, Report)
    return statement


def seeds_of(house: SchoolHouse, round_id: bytes, payload: ReportPayload) -> dict[int, bytes]:
    """Open every auditor's box, as the auditors would, and compare with the commitments."""
    round_log, header = house.federation.round(round_id), header_of(payload)
    n, t = round_log.num_auditors, round_log.terms.threshold
    coms = derivation.commitments_digest([com for _, com in header.seeds])
    found: dict[int, bytes] = {}
    for index, auditor in enumerate(round_log.terms.auditors):
        info = derivation.box_info(
            round_id,
            header.node,
            header.attempt,
            auditor,
            round_log.approvals[auditor].statement.round_key,
            header.vector,
            coms,
        )
        secret = house.federation.round_secret_of(auditor, round_id)
        plaintext = open_box(secret, payload.boxes[index], info)
        held = subsets_with(index, n, t)
        for subset, seed in zip(held, derivation.parse_box_plaintext(plaintext, len(held)), strict=True):
            assert found.setdefault(subset, seed) == seed
    for subset, com in header.seeds:
        assert com == derivation.seed_commitment(round_id, header.node, header.attempt, subset, found[subset])
    return found


def mask_sums(house: SchoolHouse, round_id: bytes, all_seeds: list[dict[int, bytes]]) -> list[FieldVector]:
    terms = house.federation.round(round_id).terms
    sums = []
    for subset in all_seeds[0]:
        total = MaskSum(terms.cells)
        for seeds in all_seeds:
            add_report_mask(total, subset, seeds[subset], round_id, len(terms.auditors), terms.threshold)
        sums.append(total.value())
    return sums


def num_rows(house: SchoolHouse, table: str) -> int:
    return len(house.store.query(f"SELECT 1 FROM {table}"))


def test_a_preview_shows_the_exact_tables_and_changes_nothing(house: SchoolHouse) -> None:
    round_id = house.start_round()
    steps = len(house.steps)
    preview = house.call("preview", round=round_id.hex())
    layout = build_layout(plan_of())
    expected = tabulate(layout, pupils())
    shown = [cell["count"] for table in preview["tables"] for cell in table["cells"]]
    assert shown == expected.tolist()
    assert preview["account"]["before"] == "0"
    assert Fraction(preview["account"]["after"]) == Fraction(preview["rho"]) == layout.claimed_rho
    assert 0 < Fraction(preview["rho"]) <= Fraction(1, 5)
    assert preview["tables"][0]["cells"][0]["keys"] == {"grade": "7", "disposition": "1"}
    assert len(house.steps) == steps
    assert house.desk.outgoing() is None
    assert num_rows(house, "charge") == 0


def test_the_header_is_signed_and_names_the_bytes(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    payload = house.payload(round_id)
    header = header_of(payload)
    verify_contents(payload, header)
    key = house.roster_node.report
    assert verified_by(parse_note(payload.note), [key]) == (key,)
    assert (header.node, header.attempt, header.confinement) == ("school-1", 0, "L3")
    assert header.previous == bytes(32)
    assert header.approvals == house.federation.round(round_id).approvals_digest()


def test_the_masks_in_the_boxes_uncover_the_noised_counts(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    payload = house.payload(round_id)
    seeds = seeds_of(house, round_id, payload)
    layout = build_layout(plan_of())
    vector = parse_vector(payload.vector, layout.cells)
    opened = unmask(vector, mask_sums(house, round_id, [seeds]))
    noise = opened - scaled(layout, tabulate(layout, pupils()))
    for table in layout.tables:
        drawn = noise[table.offset : table.end]
        assert int(np.abs(drawn).max()) <= table_bound(table.noise.s2)
        assert np.any(drawn != 0)


def test_five_schools_add_up_to_the_sum_of_their_counts(tmp_path: Path) -> None:
    federation = TinyFederation(kind="production")
    houses = []
    for number in range(5):
        folder = tmp_path / f"school-{number}"
        folder.mkdir()
        houses.append(SchoolHouse(folder, federation, node=f"school-{number}", operator=f"学校{number}"))
    round_id = houses[0].publish()
    federation.approve(round_id)
    layout = build_layout(plan_of())
    total, seeds = np.zeros(layout.cells, dtype=np.uint64), []
    truth = np.zeros(layout.cells, dtype=np.int64)
    for number, house in enumerate(houses):
        house.sync()
        house.save(pupils(40 + number, shift=number))
        house.release(round_id)
        payload = house.payload(round_id)
        total = add(total, parse_vector(payload.vector, layout.cells))
        seeds.append(seeds_of(house, round_id, payload))
        truth += scaled(layout, tabulate(layout, pupils(40 + number, shift=number)))
        house.submit()
        house.store.close()
    error = unmask(total, mask_sums(houses[0], round_id, seeds)) - truth
    sigma = np.sqrt(5 * layout.tables[0].noise.s2)
    assert 0 < float(np.abs(error).max()) < 6 * sigma
    assert len(federation.round(round_id).reports) == 5


def test_the_same_tables_again_give_the_stored_bytes(house: SchoolHouse) -> None:
    round_id = house.start_round()
    first = house.release(round_id)
    payload = house.desk.outgoing()
    assert first["is_new"] == 1
    again = house.release(round_id)
    house.restart()
    third = house.release(round_id)
    assert (again["is_new"], third["is_new"]) == (0, 0)
    assert house.desk.outgoing() == payload
    assert (num_rows(house, "charge"), num_rows(house, "report")) == (1, 1)


def test_two_very_different_schools_send_equally_many_bytes(tmp_path: Path) -> None:
    sizes = set()
    for number, records in enumerate((pupils(1), pupils(900, shift=2))):
        folder = tmp_path / str(number)
        folder.mkdir()
        house = SchoolHouse(folder)
        round_id = house.start_round()
        house.save(records)
        house.release(round_id)
        sizes.add(len(house.desk.outgoing() or b""))
        house.store.close()
    assert len(sizes) == 1


def test_the_report_waits_until_a_cosigned_checkpoint_covers_it(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    payload = house.desk.outgoing()
    house.submit()
    page = house.federation.page(0, [], house.now)
    house.desk.on_log(0, list(page.entries), page.latest, b"")
    assert house.desk.outgoing() == payload
    assert house.call("rounds")["rounds"][0]["report"]["state"] == "logged"
    house.sync()
    assert house.desk.outgoing() is None
    assert house.call("rounds")["rounds"][0]["report"]["state"] == "cosigned"


def test_held_reports_are_not_sent(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    house.call("hold", on=1)
    assert house.desk.outgoing() is None
    house.call("hold", on=0)
    assert house.desk.outgoing() is not None


# -- attempts ----------------------------------------------------------------------------------


def deliver(house: SchoolHouse) -> None:
    house.submit()
    house.sync()


def test_other_tables_make_a_new_attempt_once_the_first_has_arrived(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    first = house.payload(round_id)
    deliver(house)
    house.save(pupils(shift=1))
    second_answer = house.release(round_id)
    second = house.payload(round_id)
    assert second_answer["attempt"] == 1
    assert header_of(second).previous == house.federation.ledger.last_report["school-1"]
    assert second.vector != first.vector
    assert set(header_of(second).seeds).isdisjoint(header_of(first).seeds)
    assert num_rows(house, "charge") == 1
    deliver(house)
    assert house.call("rounds")["rounds"][0]["attempts"][0]["state"] == "cosigned"


def test_no_new_attempt_while_a_report_is_on_its_way(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    payload = house.desk.outgoing()
    house.save(pupils(shift=1))
    with pytest.raises(AttemptError) as caught:
        house.release(round_id)
    assert caught.value.code == "report-waiting"
    assert house.desk.outgoing() == payload


def test_there_are_four_attempts(house: SchoolHouse) -> None:
    round_id = house.start_round()
    for attempt in range(4):
        house.save(pupils(30 + attempt))
        assert house.release(round_id)["attempt"] == attempt
        deliver(house)
    house.save(pupils(50))
    with pytest.raises(AttemptError) as caught:
        house.release(round_id)
    assert caught.value.code == "no-attempt-left"
    assert (num_rows(house, "charge"), num_rows(house, "report")) == (1, 4)


def test_tables_that_come_back_are_a_new_attempt_with_new_noise(house: SchoolHouse) -> None:
    round_id = house.start_round()
    vectors = []
    for shift in (0, 1, 0):
        house.save(pupils(shift=shift))
        house.release(round_id)
        vectors.append(house.payload(round_id).vector)
        deliver(house)
    assert len(set(vectors)) == 3


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_after_the_candidates_nothing_new_goes_out(house: SchoolHouse, is_first: bool) -> None:
    round_id = house.start_round()
    if not is_first:
        house.release(round_id)
        deliver(house)
    house.federation.fix_candidates(round_id)
    house.sync()
    house.save(pupils(shift=1))
    with pytest.raises(AttemptError) as caught:
        house.release(round_id)
    assert caught.value.code == "too-late"
    assert house.desk.outgoing() is None
    assert num_rows(house, "charge") == (0 if is_first else 1)


def report_state(house: SchoolHouse, attempt: int) -> str:
    house.sync()
    return str(house.call("rounds")["rounds"][0]["attempts"][attempt]["state"])


def test_an_earlier_attempt_is_superseded_and_a_refused_one_excluded(house: SchoolHouse) -> None:
    federation, round_id = house.federation, house.start_round()
    for shift in (0, 1):
        house.save(pupils(shift=shift))
        house.release(round_id)
        deliver(house)
    for number in range(1, 6):
        federation.report(f"s{number}", round_id)
    federation.fix_candidates(round_id)
    assert (report_state(house, 0), report_state(house, 1)) == ("superseded", "cosigned")
    own = next(row for row in federation.round(round_id).candidate_names() if row.node == house.node)
    federation.check("a1", round_id, [Refusal(own, "bad-box")])
    for auditor in ("a2", "a3"):
        federation.check(auditor, round_id)
    federation.close(round_id)
    assert (report_state(house, 0), report_state(house, 1)) == ("superseded", "excluded")
    assert house.desk.outgoing() is None


def test_a_report_that_missed_the_candidates_is_dead_and_blocks_no_later_round(house: SchoolHouse) -> None:
    first = house.start_round()
    house.release(first)
    house.federation.fix_candidates(first)
    house.sync()
    assert house.call("rounds")["rounds"][0]["report"]["state"] == "dead"
    assert house.desk.outgoing() is None
    second = house.publish(replace(plan_of(), id="tiny-2"))
    house.federation.approve(second)
    house.sync()
    assert house.release(second)["attempt"] == 0
    deliver(house)


def test_a_second_round_waits_for_the_first_report(house: SchoolHouse) -> None:
    first = house.start_round()
    second = house.publish(replace(plan_of(), id="tiny-2"))
    house.federation.approve(second)
    house.sync()
    house.release(first)
    with pytest.raises(AttemptError) as caught:
        house.release(second)
    assert caught.value.code == "report-waiting"
    deliver(house)
    house.release(second)
    deliver(house)
    assert num_rows(house, "charge") == 2


# -- crashes -----------------------------------------------------------------------------------


@pytest.fixture
def reference(tmp_path: Path) -> bytes:
    """The vector that an undisturbed release makes."""
    folder = tmp_path / "reference"
    folder.mkdir()
    house = SchoolHouse(folder)
    round_id = house.start_round()
    house.release(round_id)
    vector = house.payload(round_id).vector
    house.store.close()
    return vector


RELEASE_STEPS = ["before charge", "after charge", "before report", "after report"]


def test_a_release_has_the_durable_writes_that_are_crashed_below(house: SchoolHouse) -> None:
    round_id = house.start_round()
    done = len(house.steps)
    house.release(round_id)
    assert house.steps[done:] == RELEASE_STEPS


@pytest.mark.parametrize("point", range(len(RELEASE_STEPS)), ids=RELEASE_STEPS)
def test_a_crash_at_any_write_gives_one_vector_and_one_charge(
    tmp_path: Path, reference: bytes, point: int
) -> None:
    house = SchoolHouse(tmp_path)
    round_id = house.start_round()
    house.crash_at = len(house.steps) + point
    with pytest.raises(Crash):
        house.release(round_id)
    house.restart()
    was_sent = house.desk.outgoing()
    house.release(round_id)
    payload = house.payload(round_id)
    assert payload.vector == reference
    assert was_sent in (None, house.desk.outgoing())
    assert (num_rows(house, "charge"), num_rows(house, "report")) == (1, 1)
    assert house.call("check_store")["damaged"] == []
    deliver(house)
    assert house.call("recompute", round=round_id.hex(), attempt=0)["outcome"] == "PASS"
    house.store.close()


@pytest.mark.parametrize("point", range(2), ids=["before log page", "after log page"])
def test_a_crash_while_taking_the_log_loses_nothing(house: SchoolHouse, point: int) -> None:
    round_id = house.start_round()
    house.release(round_id)
    house.submit()
    house.crash_at = len(house.steps) + point
    with pytest.raises(Crash):
        house.sync()
    house.restart()
    house.sync()
    assert house.call("status")["log"]["trusted_size"] == house.federation.ledger.size
    assert house.desk.outgoing() is None


def test_a_process_that_survives_its_failed_commit_stays_consistent(house: SchoolHouse) -> None:
    round_id = house.publish()
    house.federation.approve(round_id)
    house.crash_at = len(house.steps)
    with pytest.raises(Crash):
        house.sync()
    house.sync()
    house.save(pupils())
    house.release(round_id)
    deliver(house)


def test_two_concurrent_releases_make_one_vector(tmp_path: Path) -> None:
    house = SchoolHouse(tmp_path)
    round_id = house.start_round()
    house.store.close()
    answers, errors = [], []
    barrier = threading.Barrier(3)

    def work() -> None:
        other = SchoolHouse(tmp_path, house.federation, is_enrolled=False)
        barrier.wait()
        try:
            answers.append(other.release(round_id))
        except AttemptError as err:  # pragma: no cover - would be a failure
            errors.append(err)
        other.store.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(answer["is_new"] for answer in answers) == [0, 0, 1]
    assert len({answer["digest"] for answer in answers}) == 1
    house.open()
    assert (num_rows(house, "charge"), num_rows(house, "report")) == (1, 1)
    house.store.close()


@pytest.mark.parametrize("is_other_table", [False, True], ids=["same tables", "records imported anew"])
def test_another_process_that_releases_in_between_is_the_one_that_counts(
    house: SchoolHouse, is_other_table: bool
) -> None:
    round_id = house.start_round()
    other = SchoolHouse(house.folder, house.federation, is_enrolled=False)
    answers = []

    def meanwhile() -> None:
        if is_other_table:
            other.save(pupils(shift=1))
        answers.append(other.release(round_id))

    house.at_step["after charge"] = meanwhile
    answers.append(house.release(round_id))
    assert [answer["is_new"] for answer in answers] == [1, 0]
    assert answers[0]["digest"] == answers[1]["digest"]
    assert (num_rows(house, "charge"), num_rows(house, "report")) == (1, 1)
    other.store.close()


def test_records_that_change_between_charge_and_draw_are_counted_anew(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.crash_at = len(house.steps) + 1
    with pytest.raises(Crash):
        house.release(round_id)
    house.restart()
    house.save(pupils(shift=1))
    house.release(round_id)
    assert (num_rows(house, "charge"), num_rows(house, "report")) == (1, 1)
    deliver(house)
    assert house.call("recompute", round=round_id.hex(), attempt=0)["outcome"] == "PASS"


# -- restored backups --------------------------------------------------------------------------


def test_a_restored_backup_cannot_reset_the_account(house: SchoolHouse) -> None:
    first = house.start_round(plan_of(rho=Fraction(1, 4)))
    backup = back_up(house)
    house.release(first)
    deliver(house)
    restore(house, backup)
    house.sync()
    assert num_rows(house, "charge") == 0
    account = house.call("status")["account"][0]
    assert Fraction(account["spent"]) > Fraction(24, 100)
    for number in (2, 3):
        later = house.publish(replace(plan_of(rho=Fraction(1, 4)), id=f"tiny-{number}"))
        house.federation.approve(later)
        house.sync()
        if number == 2:
            house.release(later)
            deliver(house)
    with pytest.raises(AccountError) as caught:
        house.release(later)
    assert caught.value.code == "account-exceeded"
    assert house.desk.outgoing() is None


def test_a_restored_backup_sends_logged_tables_no_second_time(house: SchoolHouse) -> None:
    round_id = house.start_round()
    backup = back_up(house)
    house.release(round_id)
    deliver(house)
    restore(house, backup)
    house.sync()
    with pytest.raises(AttemptError) as caught:
        house.release(round_id)
    assert caught.value.code == "already-logged"
    house.save(pupils(shift=1))
    assert house.release(round_id)["attempt"] == 1
    deliver(house)


def test_a_report_under_an_attempt_that_the_log_already_has_is_dead(house: SchoolHouse) -> None:
    round_id = house.start_round()
    backup = back_up(house)
    house.release(round_id)
    house.submit()
    restore(house, backup)
    house.save(pupils(shift=1))
    house.release(round_id)  # the log that was restored does not show the first one yet
    house.sync()
    assert house.call("rounds")["rounds"][0]["report"]["state"] == "dead"
    assert house.desk.outgoing() is None
    assert house.release(round_id)["attempt"] == 1
    deliver(house)


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 101])
def test_a_release_needs_a_name(house: SchoolHouse, name: str) -> None:
    round_id = house.start_round()
    with pytest.raises(CommandError):
        house.call("release", round=round_id.hex(), by=name)
    assert num_rows(house, "charge") == 0


def test_records_other_than_the_previewed_ones_are_refused(house: SchoolHouse) -> None:
    round_id = house.start_round()
    seen = house.call("preview", round=round_id.hex())["records"]
    house.save(pupils(shift=1))
    with pytest.raises(RecordsError) as caught:
        house.call("release", round=round_id.hex(), by="李校长", records=seen)
    assert caught.value.code == "records-changed"
    seen = house.call("preview", round=round_id.hex())["records"]
    assert house.call("release", round=round_id.hex(), by="李校长", records=seen)["is_new"] == 1


def test_an_error_names_no_pupil_and_no_count(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.save([replace(row, codebook="d" * 64) if row.codebook else row for row in pupils()])
    with pytest.raises(RecordsError) as caught:
        house.release(round_id)
    text = str(caught.value) + str(caught.value.details)
    assert caught.value.code == "records-unfit"
    assert pupils()[0].rec_key.hex() not in text
    assert "30" not in text


def test_a_release_without_a_checked_round_object_is_not_possible(house: SchoolHouse) -> None:
    round_id = house.publish()
    house.sync()
    house.save(pupils())
    with pytest.raises(Exception, match="approval-missing"):
        release_round(house.desk.enrolled(), round_id, "李校长")
    assert num_rows(house, "charge") == 0
