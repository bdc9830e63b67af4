"""The vault's side of files: the log in with every check, the stored bytes out, receipts in."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes_federation import TinyFederation
from fakes_vault import SchoolHouse, pupils

from node.vault import carry
from node.vault.enrol import load_identity
from node.vault.errors import MirrorError, VaultError
from node.vault.journal import Journal
from protos.log_file import LogFile, encode_log_file


def log_file(house: SchoolHouse, start: int = 0, **changes: Any) -> bytes:
    """What the county would export now."""
    federation = house.federation
    page = federation.page(0, None, house.now)
    file = LogFile(federation.federation, start, tuple(page.entries[start:]), page.cosigned)
    return encode_log_file(replace(file, **changes))


def import_log(house: SchoolHouse, data: bytes) -> dict[str, Any]:
    return house.call("log_import", {"log": data})


def code_of(house: SchoolHouse, command: str, files: dict[str, bytes]) -> str:
    with pytest.raises(VaultError) as caught:
        house.call(command, files)
    assert str(caught.value)
    return caught.value.code


def other_house(folder: Path, house: SchoolHouse) -> SchoolHouse:
    """A second school in a folder of its own."""
    (folder / "second").mkdir()
    return SchoolHouse(folder / "second", house.federation, node="school-2", operator="another")


def export(house: SchoolHouse) -> dict[str, bytes]:
    return dict(house.desk.handle({"command": "outbox_export"}, {})[1])


@pytest.fixture
def offline(house: SchoolHouse) -> tuple[SchoolHouse, bytes]:
    """A school that has never seen a page, and an approved round."""
    round_id = house.publish()
    house.federation.approve(round_id)
    house.save(pupils())
    return house, round_id


# ---------------------------------------------------------------- the log comes in


def test_a_file_does_what_the_network_does(offline: tuple[SchoolHouse, bytes], tmp_path: Path) -> None:
    house, round_id = offline
    answer = import_log(house, log_file(house))
    size = house.federation.ledger.size
    assert (answer["new_entries"], answer["size"], answer["trusted_size"]) == (size, size, size)
    assert answer["age_s"] == 0
    by_network = other_house(tmp_path, house)
    by_network.sync()
    states = [row["state"] for row in house.call("rounds")["rounds"]]
    assert states == [row["state"] for row in by_network.call("rounds")["rounds"]] == ["collecting"]
    assert house.release(round_id)["is_new"] == 1


def test_the_same_file_again_changes_nothing(offline: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = offline
    data = log_file(house)
    import_log(house, data)
    before = house.call("status")
    again = import_log(house, data)
    assert again["new_entries"] == 0
    assert house.call("status") == before
    house.restart()
    assert import_log(house, data)["new_entries"] == 0


def test_a_long_file_goes_in_page_by_page(
    offline: tuple[SchoolHouse, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, _round_id = offline
    for size in (2, 3):
        monkeypatch.setattr(carry, "MAX_PAGE_ENTRIES", size)
        house.publish()
        assert import_log(house, log_file(house))["trusted_size"] == house.federation.ledger.size


def test_a_file_may_begin_where_the_node_stands_and_no_later(offline: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = offline
    import_log(house, log_file(house))
    size = house.federation.ledger.size
    house.publish()
    with pytest.raises(MirrorError) as caught:
        import_log(house, log_file(house, size + 1))
    assert (caught.value.code, caught.value.details) == ("log-gap", {"start": size + 1, "size": size})
    assert caught.value.advice.startswith("Ask the county")
    assert import_log(house, log_file(house, size))["new_entries"] == 1
    assert import_log(house, log_file(house, 2))["new_entries"] == 0


def test_an_older_file_after_a_newer_one_is_nothing_new(offline: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = offline
    old = log_file(house)
    house.publish()
    import_log(house, log_file(house))
    answer = import_log(house, old)
    assert (answer["new_entries"], answer["trusted_size"]) == (0, house.federation.ledger.size)


def test_a_stale_file_is_taken_and_refuses_the_release(offline: tuple[SchoolHouse, bytes]) -> None:
    house, round_id = offline
    data = log_file(house)
    house.now += timedelta(hours=25)
    assert import_log(house, data)["age_s"] == 25 * 3600
    with pytest.raises(VaultError) as caught:
        house.release(round_id)
    assert caught.value.code == "log-stale"
    import_log(house, log_file(house))
    assert house.release(round_id)["is_new"] == 1


def test_a_file_of_too_few_cosignatures_is_refused(offline: tuple[SchoolHouse, bytes]) -> None:
    house, round_id = offline
    page = house.federation.page(0, list(house.federation.witnesses)[:2], house.now)
    weak = LogFile(house.federation.federation, 0, page.entries, page.cosigned or page.latest)
    assert weak.cosigned
    assert code_of(house, "log_import", {"log": encode_log_file(weak)}) == "log-checkpoint"
    no_checkpoint = encode_log_file(replace(weak, cosigned=b""))
    assert code_of(house, "log_import", {"log": no_checkpoint}) == "log-not-cosigned"
    assert house.call("status")["log"]["trusted_size"] == 0
    with pytest.raises(VaultError) as caught:
        house.release(round_id)
    assert caught.value.code == "log-unverified"
    assert import_log(house, log_file(house))["trusted_size"] == house.federation.ledger.size


def test_a_checkpoint_beyond_the_entries_is_refused(offline: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = offline
    page = house.federation.page(0, None, house.now)
    data = log_file(house, entries=page.entries[:-1])
    assert code_of(house, "log_import", {"log": data}) == "log-not-cosigned"


def test_another_log_under_the_same_name_is_a_split_view_and_stops_everything(
    offline: tuple[SchoolHouse, bytes],
) -> None:
    house, round_id = offline
    import_log(house, log_file(house))
    before = house.federation.ledger.size
    fork = TinyFederation(kind="production")
    fork.roster_nodes = (house.roster_node,)
    while fork.ledger.size < before:
        fork.publish(b"{}", 1, (("A1", 1, 1, bytes(32)),))
    page = fork.page(0, None, house.now)
    other = encode_log_file(LogFile(fork.federation, 0, page.entries, page.cosigned))
    assert code_of(house, "log_import", {"log": other}) == "log-differs"
    assert house.call("status")["log"]["split"] == 0  # who has written those entries is not proved
    other = encode_log_file(LogFile(fork.federation, before, (), page.cosigned))
    assert code_of(house, "log_import", {"log": other}) == "log-split"
    assert house.call("status")["log"]["trusted_size"] == before
    with pytest.raises(VaultError) as caught:
        house.release(round_id)
    assert caught.value.code == "log-split"


def test_a_file_of_another_federation_is_refused(offline: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = offline
    assert code_of(house, "log_import", {"log": log_file(house, federation="x")}) == "wrong-federation"


def test_hostile_files_give_only_the_vaults_own_errors(offline: tuple[SchoolHouse, bytes]) -> None:
    house, _round_id = offline
    good = log_file(house)
    bad = [b"", b"\0", os.urandom(2000), good[:-1], good[: len(good) // 2], good + b"\0", good[::-1]]
    step = max(1, len(good) // 200)
    for place in range(0, len(good), step):
        spoilt = bytearray(good)
        spoilt[place] ^= 0x10
        bad.append(bytes(spoilt))
    page = house.federation.page(0, None, house.now)
    for entry in (b"x", b"\n\n", page.entries[1][0], page.entries[0][0] + b"\n", os.urandom(500)):
        entries = (page.entries[0], (entry, b""), *page.entries[2:])
        bad.append(log_file(house, entries=entries))
    bad.append(log_file(house, cosigned=b"no note"))
    bad.append(log_file(house, cosigned=page.cosigned[:-20]))
    codes = {code_of(house, "log_import", {"log": data}) for data in bad}
    assert codes <= {"log-file", "log-refused", "log-checkpoint", "log-not-cosigned"}
    assert house.call("status")["log"]["split"] == 0
    assert import_log(house, good)["trusted_size"] == house.federation.ledger.size


def test_before_the_card_there_is_no_log(tmp_path: Path) -> None:
    house = SchoolHouse(tmp_path, is_enrolled=False)
    assert code_of(house, "log_import", {"log": log_file(house)}) == "not-accepted"
    assert code_of(house, "outbox_export", {}) == "not-accepted"
    assert code_of(house, "receipt_import", {"receipt": b"x"}) == "not-accepted"


def test_what_the_network_left_above_the_trusted_part_gives_way_to_the_file(
    offline: tuple[SchoolHouse, bytes],
) -> None:
    """Entries that only an untrusted link has said are replaced by the cosigned ones of the file."""
    house, _round_id = offline
    honest, fork = house.federation, TinyFederation(kind="production")
    import_log(house, log_file(house))
    size = honest.ledger.size
    for entry, body in honest.entries[fork.ledger.size :]:
        fork.ledger.append(entry, body)
        fork.entries.append((entry, body))
    lie, truth = fork.publish(b"{}", 1, (("A1", 1, 1, bytes(32)),)), house.publish()
    house.desk.on_log(size, fork.entries[size:], b"", b"")
    assert house.call("rounds")["rounds"][0]["round"] == lie.hex()
    house.publish()
    late = log_file(house, size + 1)
    with pytest.raises(MirrorError) as caught:
        import_log(house, late)
    assert (caught.value.code, caught.value.details["size"]) == ("log-gap", size)
    house.desk.on_log(size, fork.entries[size:], b"", b"")
    assert import_log(house, log_file(house))["trusted_size"] == size + 2
    assert house.call("rounds")["rounds"][1]["round"] == truth.hex()


# ---------------------------------------------------------------- reports go out


def test_the_exported_bytes_are_those_that_would_be_sent_every_time(
    offline: tuple[SchoolHouse, bytes],
) -> None:
    house, round_id = offline
    import_log(house, log_file(house))
    assert export(house) == {}
    house.release(round_id)
    waiting = house.desk.outgoing()
    assert waiting is not None
    name = f"school-1-{round_id.hex()[:16]}-0.report"
    assert export(house) == {name: waiting}
    assert export(house) == {name: waiting}
    house.restart()
    assert export(house) == {name: waiting}
    answer = house.call("outbox_export")["reports"]
    assert [(row["state"], row["bytes"]) for row in answer] == [("waiting", len(waiting))]
    assert house.call("rounds")["rounds"][0]["report"]["state"] == "waiting"


def test_a_report_is_out_of_the_outbox_when_the_cosigned_log_shows_it(
    offline: tuple[SchoolHouse, bytes],
) -> None:
    house, round_id = offline
    import_log(house, log_file(house))
    house.release(round_id)
    house.submit()
    assert len(export(house)) == 1
    import_log(house, log_file(house))
    assert export(house) == {}
    assert house.call("receipt", round=round_id.hex())["kind"] == "cosigned"


def test_a_logged_report_is_written_again_for_a_county_that_lost_it(
    offline: tuple[SchoolHouse, bytes],
) -> None:
    house, round_id = offline
    import_log(house, log_file(house))
    house.release(round_id)
    before = export(house)
    house.submit()
    import_log(house, log_file(house))
    answer, files = house.desk.handle({"command": "outbox_export", "again": True}, {})
    assert dict(files) == before
    assert [row["state"] for row in answer["reports"]] == ["cosigned"]


def test_a_held_node_exports_nothing(offline: tuple[SchoolHouse, bytes]) -> None:
    house, round_id = offline
    import_log(house, log_file(house))
    house.release(round_id)
    house.call("hold", on=1)
    assert code_of(house, "outbox_export", {}) == "held"
    house.call("hold", on=0)
    assert len(export(house)) == 1


def test_what_is_carried_out_stands_in_the_journal(offline: tuple[SchoolHouse, bytes]) -> None:
    house, round_id = offline
    import_log(house, log_file(house))
    digest = house.release(round_id)["digest"]
    export(house)
    export(house)
    journal = Journal(house.store, load_identity(house.store).journal_key, os.urandom)
    rows = [record for record in journal.verify() if record.kind == "carry-out"]
    assert [(row.target, row.data) for row in rows] == 2 * [(digest, {"round": round_id.hex(), "attempt": 0})]
    import_log(house, log_file(house))
    house.submit()
    house.sync()
    assert house.call("recompute", round=round_id.hex(), attempt=0)["outcome"] == "PASS"


# ---------------------------------------------------------------- receipts come in


def test_a_receipt_by_file_is_the_one_of_the_network(offline: tuple[SchoolHouse, bytes]) -> None:
    house, round_id = offline
    import_log(house, log_file(house))
    house.release(round_id)
    receipt = house.submit()
    for _time in range(2):
        answer = house.call("receipt_import", {"receipt": receipt})
        assert (answer["round"], answer["attempt"]) == (round_id.hex(), 0)
    assert house.blob("receipt", "receipt", round=round_id.hex()) == receipt
    assert len(house.store.query("SELECT 1 FROM receipt")) == 1


def test_what_proves_nothing_is_refused_and_not_kept(offline: tuple[SchoolHouse, bytes]) -> None:
    house, round_id = offline
    import_log(house, log_file(house))
    house.release(round_id)
    good = house.submit()
    bad = [b"", good[:-1], good[:-10], good[40:], good + b"x", bytes(300_000), os.urandom(900)]
    assert {code_of(house, "receipt_import", {"receipt": data}) for data in bad} == {"bad-receipt"}
    assert house.store.query("SELECT 1 FROM receipt") == []
