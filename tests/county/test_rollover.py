"""Every key rolled over in the middle of a round: it completes, and the next one runs under the new keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from county_sums import expected_sum, finish, opened_sum
from cryptography import x509
from fakes_county import FEDERATION, CountySimulator, Crash, tls_request
from fakes_vault import plan_of

from auditor.bundle_write import write_bundle
from auditor.cli_text import roster_lines
from auditor.config import AuditorConfig, AuditorFolder, encode_config
from auditor.enrol import roll_keys
from auditor.keys import certificate_request
from auditor.verify.run import verify_bundle
from coordinator.errors import AlreadyEnrolledError, FsckError, RosterError
from coordinator.fsck import fsck
from crypto.ca_chain import verify_ca_chain
from crypto.canonical import encode_json, parse_json
from crypto.note import KeyType, SigningKey, parse_note, verified_by
from crypto.policy import parse_policy
from plan.document import PlanDocument
from protos.bodies import key_name
from protos.card import parse_card
from protos.enrolment import parse_grant
from protos.ledger import Ledger

NUM_FILE_STEPS = 10  # before and after each of five files
LATER = date(2026, 9, 8)
PURPOSES = ("log", "statement", "ca")


def ledger_of(county: CountySimulator) -> Ledger:
    return county.auditors["a1"].context.ledger


def agree_on_roster(county: CountySimulator) -> None:
    """Propose what is enrolled now and let every auditor sign it."""
    digest = county.coordinator.propose_roster()
    for auditor in county.auditors.values():
        auditor.step()
        if auditor.sign_roster(digest):
            break
    county.work(max_passes=3)
    assert ledger_of(county).roster.digest == digest


def auditor_config(name: str) -> AuditorConfig:
    return AuditorConfig(federation=FEDERATION, id=name, operator=f"operator {name}")


def auditor_request(county: CountySimulator, name: str) -> str:
    return certificate_request(AuditorFolder(county.root / name), auditor_config(name))


def roll_auditor(county: CountySimulator, name: str) -> bytes:
    folder = AuditorFolder(county.root / name)
    config = auditor_config(name)
    folder.config.write_bytes(encode_config(config))
    return roll_keys(folder, county.auditors[name].context.ledger)


def roll_node(county: CountySimulator, name: str) -> bytes:
    _, blobs = county.nodes[name].handle({"command": "roll", "csr": tls_request(name)}, {})
    return blobs["roll"]


def roll_everything(county: CountySimulator) -> None:
    for purpose in PURPOSES:
        assert county.coordinator.roll_key(purpose)
        assert not county.coordinator.roll_key(purpose)  # one waits already
    for name in county.auditor_ids:
        county.coordinator.approve_request(roll_auditor(county, name))
    for name in county.node_ids:
        county.coordinator.approve_request(roll_node(county, name))


def keys_in_force(county: CountySimulator) -> set[str]:
    body = ledger_of(county).roster.body
    keys = {body.log.text, body.coordinator.text, body.ca.hex(), *(row.report.text for row in body.nodes)}
    return keys | {key.text for row in body.auditors for key in (row.statement, row.cosigner)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> CountySimulator:
    """A closed county: three of its schools had reported, and then every key was rolled over."""
    county = CountySimulator(tmp_path_factory.mktemp("rolled") / "base")
    round_id = county.start_round()
    for node_id in county.node_ids[:3]:
        county.release(node_id, round_id)
    county.work(max_passes=4)
    before = keys_in_force(county)
    roll_everything(county)
    agree_on_roster(county)
    assert len(before) == 3 + 8 + 6
    assert not before & keys_in_force(county)
    county.close()
    return county


@pytest.fixture
def rolled(base: CountySimulator, tmp_path: Path) -> Iterator[tuple[CountySimulator, bytes]]:
    """A copy of that county as new processes open it, and its round."""
    shutil.copytree(base.root, tmp_path / "copy")
    county = CountySimulator.reopen(tmp_path / "copy", base, when_needed=True)
    yield county, county.coordinator.round_ids()[0]
    county.close()


def test_a_round_completes_and_the_next_one_runs_under_the_new_keys(
    rolled: tuple[CountySimulator, bytes], tmp_path: Path
) -> None:
    county, round_id = rolled
    assert not ledger_of(county).rounds[round_id].reports.num_attempts("s04")
    for node_id in county.node_ids[3:]:
        county.release(node_id, round_id)
    finish(county, round_id)
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))
    second = county.start_round(later_plan(county))
    for node_id in county.node_ids:
        county.import_pupils(node_id, county.records[node_id], census_date=LATER)
        county.release(node_id, second)
    finish(county, second)
    assert np.array_equal(opened_sum(county, second), expected_sum(county, second, county.node_ids))
    bundle = tmp_path / "bundle"
    write_bundle(county.auditors["a1"].context, bundle)
    verdict = verify_bundle(bundle, county.auditors["a1"].context.policy)
    assert [row for row in verdict.checks if row.outcome.value == "FAIL"] == []
    found = {row.name: row.outcome.value for row in verdict.checks}
    assert (found["checkpoint"], found["entries"], found["rosters"]) == ("PASS", "PASS", "PASS")


def later_plan(county: CountySimulator) -> PlanDocument:
    n, t, f, q = county.tuple_
    values = {"num_auditors": n, "threshold": t, "collude": f, "quorum": q, "min_group": 5}
    return plan_of(id="second", census_date=LATER, **values)


def test_every_receipt_and_the_published_log_hold_for_who_pinned_the_first_keys(
    rolled: tuple[CountySimulator, bytes], tmp_path: Path
) -> None:
    county, round_id = rolled
    for node_id in county.node_ids[3:]:
        county.release(node_id, round_id)
    finish(county, round_id)
    for node_id in county.node_ids:
        answer, blobs = county.nodes[node_id].handle({"command": "receipt", "round": round_id.hex()}, {})
        assert answer["kind"] == "cosigned"
        assert blobs["receipt"]
    card = parse_card(county.card_text)
    rules = parse_policy(
        f"log {card.log.text}\n"
        + "".join(f"witness {row.id} {row.cosigner.text}\n" for row in card.auditors)
        + f"group all-of-them {card.quorum} {' '.join(row.id for row in card.auditors)}\nquorum all-of-them\n"
    )
    county.coordinator.export_log(tmp_path / "log")
    assert fsck(tmp_path / "log", rules, card).size == ledger_of(county).size
    with pytest.raises(FsckError):  # the old keys alone no longer make the quorum
        fsck(tmp_path / "log", rules)


def test_an_old_log_key_signs_on_until_it_is_retired(rolled: tuple[CountySimulator, bytes]) -> None:
    county, round_id = rolled
    keys = ledger_of(county).chain.log_keys()
    latest = parse_note(county.coordinator.get_log(0, 1).latest)
    assert len(keys) == 2
    assert set(verified_by(latest, keys)) == set(keys)
    receipt = county.coordinator.receipts_of(round_id)[0].proof
    assert county.coordinator.retire_key("log") == 1
    assert county.coordinator.retire_key("log") == 0
    latest = parse_note(county.coordinator.get_log(0, 1).latest)
    assert verified_by(latest, keys) == (keys[1],)
    county.close()
    county = CountySimulator.reopen(county.root, county)  # everybody reads the log from its beginning
    for node_id in county.node_ids[3:]:
        county.release(node_id, round_id)
    finish(county, round_id)
    assert county.coordinator.receipts_of(round_id)[0].proof != receipt  # the key of its size is gone
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))


def test_a_statement_key_is_kept_while_an_open_round_needs_it(rolled: tuple[CountySimulator, bytes]) -> None:
    county, round_id = rolled
    with pytest.raises(RosterError, match="not finished"):
        county.coordinator.retire_key("statement")
    for node_id in county.node_ids[3:]:
        county.release(node_id, round_id)
    finish(county, round_id)
    assert county.coordinator.retire_key("statement") == 1


def test_a_later_deadline_is_granted_with_the_key_that_the_round_knows(
    rolled: tuple[CountySimulator, bytes],
) -> None:
    county, round_id = rolled
    later = county.round(round_id).closes + timedelta(days=3)
    county.coordinator.rounds.extend(round_id, later, "schools-missing")
    for name in ("a1", "a2", "a3"):
        county.auditors[name].step()
        assert county.auditors[name].extend(round_id) >= 0
    county.work(max_passes=3)
    assert county.round(round_id).closes == later


def test_a_ca_is_kept_while_somebody_has_its_certificate(rolled: tuple[CountySimulator, bytes]) -> None:
    county, _ = rolled
    with pytest.raises(RosterError, match=r"auditor/a1, .*auditor/a2"):
        county.coordinator.retire_key("ca")
    parties = [("auditor", name) for name in county.auditor_ids] + [
        ("node", name) for name in county.node_ids
    ]
    for role, name in parties:
        csr_pem = tls_request(name) if role == "node" else auditor_request(county, name)
        grant = parse_grant(county.coordinator.renew_certificate(role, name, csr_pem))
        roots = verify_ca_chain(grant.ca_pem.encode(), parse_card(county.card_text).ca)
        certificate = x509.load_pem_x509_certificate(grant.certificate_pem.encode())
        certificate.verify_directly_issued_by(roots[-1])
    assert len(roots) == 2
    assert county.coordinator.retire_key("ca") == 1


def test_a_roll_that_the_old_key_did_not_sign_is_refused(county_folder: Path) -> None:
    county = CountySimulator(county_folder)
    county.work(max_passes=2)
    values = parse_json(roll_node(county, "s01"))
    thief = SigningKey(key_name(FEDERATION, "node", "s01"), KeyType.ED25519, bytes(range(32)))
    values["succession"] = thief.sign("fedscreen/succession/v1\n")
    with pytest.raises(AlreadyEnrolledError, match="succession"):
        county.coordinator.approve_request(encode_json(values))


def test_a_crash_at_any_file_of_a_roll_leaves_one_key_more(county_folder: Path, tmp_path: Path) -> None:
    base = CountySimulator(county_folder)
    base.close()
    for step in range(NUM_FILE_STEPS + 1):
        shutil.copytree(base.root / "coordinator", tmp_path / str(step) / "coordinator")
        county = CountySimulator.reopen(tmp_path / str(step), base, when_needed=True)
        county.faults.crash_party, county.faults.crash_step = "coordinator", step
        for purpose in PURPOSES:
            try:
                county.coordinator.roll_key(purpose)
            except Crash:
                county.restart("coordinator")
                county.coordinator.roll_key(purpose)
        ring = county.coordinator.home.ring
        found = [len(ring.signing("log")), len(ring.signing("statement")), len(ring.authorities())]
        assert found == [2, 2, 2]
        assert county.faults.num_crashes == int(step < NUM_FILE_STEPS)
        county.coordinator.close()


def test_an_auditor_sees_whose_keys_change_before_it_signs(base: CountySimulator, tmp_path: Path) -> None:
    shutil.copytree(base.root, tmp_path / "copy")
    county = CountySimulator.reopen(tmp_path / "copy", base, when_needed=True)
    county.coordinator.roll_key("statement")
    county.work(max_passes=2)
    county.coordinator.approve_request(roll_node(county, "s02"))
    county.coordinator.leave("node", "s06", "s01")
    county.coordinator.propose_roster()
    (review,) = county.auditors["a1"].list_rosters()
    assert (review.rolled, review.own_keys) == (("s02",), ("coordinator",))
    assert review.mergers == (("s01", ("s06",)),)
    text = "\n".join(roster_lines(review))
    assert "s02" in text
    assert "s01 takes over s06" in text
    county.close()
