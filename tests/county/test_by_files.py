"""Half of the schools never touch the network: the same set, the same release, the same verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from county_sums import expected_sum, finish, opened_sum
from fakes_county import CountySimulator

from auditor.bundle_write import write_bundle
from auditor.policy import parse_auditor_policy
from auditor.verify.run import verify_bundle
from crypto.tlog_proof import parse_proof, verify_proof
from protos.log_file import encode_log_file
from protos.report_payload import note_of

OFFLINE = ["s01", "s03", "s05"]


def bring_log(county: CountySimulator, node_id: str, start: int = 0) -> dict[str, object]:
    """Carry the log from the county to a school."""
    data = encode_log_file(county.coordinator.export_outbox(start)[0])
    return county.nodes[node_id].handle({"command": "log_import"}, {"log": data})[0]


def fetch_reports(county: CountySimulator, node_id: str) -> list[bytes]:
    """Take what a school has to carry to the county."""
    return list(county.nodes[node_id].handle({"command": "outbox_export"}, {})[1].values())


def bring_report(county: CountySimulator, node_id: str) -> None:
    """Carry a school's reports to the county, and the receipts back."""
    for payload in fetch_reports(county, node_id):
        receipt = county.coordinator.import_report(payload).proof
        county.nodes[node_id].handle({"command": "receipt_import"}, {"receipt": receipt})


def released_everywhere(root: Path) -> tuple[CountySimulator, bytes]:
    """A county in which every school has released and nothing was sent; the offline ones know files only."""
    county = CountySimulator(root)
    county.absent = set(OFFLINE)
    round_id = county.start_round()
    for node_id in OFFLINE:
        assert county.served.get(node_id) is None
        bring_log(county, node_id)
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    return county, round_id


def copy_of(county: CountySimulator, root: Path) -> CountySimulator:
    """Open a second copy; the first one stays open on its own folders."""
    copy = county.copy_to(root)
    again = CountySimulator.reopen(county.root, county)
    county.__dict__.update(again.__dict__)
    return copy


def verified(county: CountySimulator, folder: Path) -> list[tuple[str, str]]:
    """Write an auditor's bundle and verify it offline: every check and its outcome."""
    county.work()
    write_bundle(county.auditors["a1"].context, folder)
    verdict = verify_bundle(folder, parse_auditor_policy(county.policy_text))
    assert verdict.exit_code == 0
    return [(check.name, check.outcome.value) for check in verdict.checks]


def set_of(county: CountySimulator, round_id: bytes) -> list[tuple[str, int, bytes]]:
    """S as the close says it: node, attempt, digest of the report's header, which names every byte of it."""
    close = county.round(round_id).close_body()
    assert close is not None
    assert close.excluded == ()
    return [(name.node, name.attempt, name.digest) for name in close.set]


def test_half_of_the_schools_by_files_give_the_same_as_all_by_network(county_folder: Path) -> None:
    mixed, round_id = released_everywhere(county_folder / "mixed")
    wired = copy_of(mixed, county_folder / "wired")
    wired.absent = set()
    finish(wired, round_id)

    mixed.absent = set(OFFLINE)
    for node_id in OFFLINE:
        bring_report(mixed, node_id)
    finish(mixed, round_id)
    for node_id in OFFLINE:
        bring_log(mixed, node_id, 2)
        assert mixed.served.get(node_id) is None

    one, other = wired.round(round_id), mixed.round(round_id)
    assert set_of(wired, round_id) == set_of(mixed, round_id)
    assert [node for node, _attempt, _digest in set_of(mixed, round_id)] == mixed.node_ids
    assert one.release is not None
    assert other.release is not None
    assert one.release.body == other.release.body
    assert one.release.statement.reports_in == other.release.statement.reports_in == 6
    assert np.array_equal(opened_sum(mixed, round_id), expected_sum(mixed, round_id, mixed.node_ids))
    checks = verified(mixed, county_folder / "bundle-mixed")
    assert checks == verified(wired, county_folder / "bundle-wired")
    assert len(checks) > 15
    assert {outcome for _name, outcome in checks} == {"PASS"}

    card = mixed.ledger().card
    for node_id in mixed.node_ids:
        answer, blobs = mixed.nodes[node_id].handle({"command": "receipt", "round": round_id.hex()}, {})
        assert answer["kind"] == "cosigned"
        proof = parse_proof(blobs["receipt"])
        entry = mixed.coordinator.get_log(proof.index, 1).entries[0][0]
        verify_proof(proof, entry, card.log, [row.cosigner for row in card.auditors], card.quorum)
        status = mixed.nodes[node_id].handle({"command": "rounds"}, {})[0]["rounds"][0]["report"]
        assert (status["state"], status["receipts"]) == ("released", ["immediate", "cosigned"])
    mixed.close()
    wired.close()


def test_carrying_twice_and_out_of_turn_changes_nothing(county_folder: Path) -> None:
    county, round_id = released_everywhere(county_folder / "county")
    stale = encode_log_file(county.coordinator.export_outbox()[0])
    (payload,) = fetch_reports(county, "s01")
    county.release("s01", round_id)
    assert fetch_reports(county, "s01") == [payload]
    first = county.coordinator.import_report(payload)
    county.restart("coordinator")
    assert county.coordinator.import_report(payload) == first
    county.absent = {"s03", "s05"}  # s01 gets a network after all, and sends the same bytes again
    county.work(max_passes=8)
    assert fetch_reports(county, "s01") == []
    county.nodes["s01"].handle({"command": "log_import"}, {"log": stale})
    assert fetch_reports(county, "s01") == []
    headers = [entry for entry, _body in county.coordinator.get_log(0, 10_000).entries]
    assert headers.count(note_of(payload)) == 1
    county.close()
