"""Files instead of the network: a report file meets every check that a call meets, and no other one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from fakes_coordinator import County, School

from coordinator import errors
from coordinator.cli import coordinator as group
from crypto.field64 import MODULUS
from crypto.tlog_proof import parse_proof, verify_proof
from protos.ledger import Ledger
from protos.log_file import encode_log_file, parse_log_file
from protos.report_payload import note_of

Spoil = Callable[[bytes], bytes]


def code_of(call: Callable[[], object]) -> str:
    """Give the code of what a call is refused with; empty where it is taken."""
    try:
        call()
    except errors.CoordinatorError as err:
        return err.code
    return ""


def run(county: County, *arguments: object) -> tuple[int, dict[str, object]]:
    command = [str(item) for item in (*arguments, "--dir", county.directory, "--json")]
    found = CliRunner().invoke(group, command, catch_exceptions=False)
    return found.exit_code, json.loads(found.stdout)


def flip(place: int) -> Spoil:
    def apply(data: bytes) -> bytes:
        spoilt = bytearray(data)
        spoilt[place] ^= 1
        return bytes(spoilt)

    return apply


def in_header(word: bytes, other: bytes) -> Spoil:
    return lambda data: data.replace(word, other, 1)


SPOILT: dict[str, Spoil] = {
    "one byte short": lambda data: data[:-1],
    "one byte long": lambda data: data + b"\0",
    "header only": lambda data: data[: 4 + len(note_of(data))],
    "half": lambda data: data[: len(data) // 2],
    "last block zero": lambda data: data[:-512] + bytes(512),
    "first byte of the vector": lambda data: flip(4 + len(note_of(data)))(data),
    "last box": flip(-1),
    "signature": lambda data: flip(2 + len(note_of(data)))(data),
    "another node's name": in_header(b"\nnode s01\n", b"\nnode s02\n"),
    "a name that no node has": in_header(b"\nnode s01\n", b"\nnode s99\n"),
    "another round": in_header(b"\nround ", b"\nround 00"),
    "attempt": in_header(b"\nattempt 0\n", b"\nattempt 1\n"),
    "confinement": in_header(b"\nconfinement L3\n", b"\nconfinement L2\n"),
    "nothing": lambda _data: b"",
    "no length": lambda data: data[:3],
    "wild length": lambda data: b"\xff\xff\xff\xff" + data[4:],
    "no report": lambda _data: b"\0\0\0\x05hello",
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_is_refused_as_a_spoilt_call_is(collecting: County, spoil: Spoil) -> None:
    payload = collecting.payload("s01", collecting.round_id)
    data, size = spoil(payload), collecting.ledger().size
    by_file = code_of(lambda: collecting.desk.import_report(data))
    owner = "s02" if b"\nnode s02\n" in data else "s99" if b"\nnode s99\n" in data else "s01"
    assert by_file == code_of(lambda: collecting.desk.submit_report(owner, data)) != ""
    assert collecting.ledger().size == size
    assert collecting.desk.import_report(payload).node == "s01"


@pytest.mark.parametrize("value", [MODULUS, 2**64 - 1])
def test_an_element_that_is_not_canonical(collecting: County, value: int) -> None:
    school = collecting.schools["s01"]
    data = school.payload(
        collecting.ledger(),
        collecting.round_id,
        spoil=lambda vector: vector[:16] + value.to_bytes(8, "little") + vector[24:],
    )
    assert code_of(lambda: collecting.desk.import_report(data)) == "element-range"


def fix_candidates(county: County) -> None:
    county.report(county.round_id, [name for name in county.schools if name != "s01"])
    county.desk.request_close(county.round_id, without_missing=True)
    county.desk.tick()


STATES: dict[str, tuple[Callable[[County], object], str]] = {
    "before the window": (lambda county: county.advance(days=-60), "round-not-open"),
    "after the window": (lambda county: county.advance(days=300), "round-expired"),
    "candidates fixed": (fix_candidates, "round-closed"),
    "revoked": (lambda county: county.desk.revoke("node", "s01", "key-lost"), "not-rostered"),
    "other bytes": (lambda county: county.desk.submit_report("s01", other_bytes(county)), "already-reported"),
}


def other_bytes(county: County) -> bytes:
    return county.schools["s01"].payload(county.ledger(), county.round_id)


@pytest.mark.parametrize(("change", "code"), STATES.values(), ids=STATES)
def test_a_round_that_takes_no_call_takes_no_file(
    collecting: County, change: Callable[[County], object], code: str
) -> None:
    payload = collecting.payload("s01", collecting.round_id)
    change(collecting)
    assert code_of(lambda: collecting.desk.import_report(payload)) == code
    assert code_of(lambda: collecting.desk.submit_report("s01", payload)) == code


def test_a_stranger_cannot_make_a_file_for_a_school(collecting: County) -> None:
    """Who has no report key of the roster gets nothing in, whatever name the header bears."""
    thief = School("s01", "school 1")
    forged = thief.payload(collecting.ledger(), collecting.round_id)
    other = collecting.schools["s02"].key
    note = note_of(forged)
    text = note.decode().split("\n\n", 1)[0] + "\n"
    line = other.sign(text)
    changed = f"{text}\n{line}\n".encode()
    data = len(changed).to_bytes(4, "big") + changed + forged[4 + len(note) :]
    assert code_of(lambda: collecting.desk.import_report(data)) == "report-refused"
    assert len(collecting.round(collecting.round_id).reports) == 0


def test_file_and_call_get_the_same_receipt_and_one_entry(collecting: County) -> None:
    payload = collecting.payload("s01", collecting.round_id)
    size = collecting.ledger().size
    taken = collecting.desk.import_report(payload)
    assert (taken.node, taken.attempt, taken.round_id) == ("s01", 0, collecting.round_id)
    assert collecting.desk.submit_report("s01", payload) == taken.proof
    assert collecting.desk.import_report(payload) == taken
    assert collecting.reopen().import_report(payload) == taken
    assert collecting.ledger().size == size + 1
    log_key = collecting.desk.home.log_key.verifier
    assert verify_proof(parse_proof(taken.proof), note_of(payload), log_key, (), 0).size == size + 1
    assert collecting.desk.receipts_of(collecting.round_id) == (taken,)


def test_receipts_come_in_the_order_of_the_schools(collecting: County) -> None:
    for name in ("s03", "s01", "s02"):
        collecting.desk.import_report(collecting.payload(name, collecting.round_id))
    assert [row.node for row in collecting.desk.receipts_of(collecting.round_id)] == ["s01", "s02", "s03"]


# ---------------------------------------------------------------- the log file


def test_the_log_file_is_the_cosigned_log(collecting: County) -> None:
    collecting.cosign()
    size = collecting.ledger().size
    collecting.report(collecting.round_id, ["s01"])
    file = parse_log_file(encode_log_file(collecting.desk.export_outbox()[0]))
    assert (file.federation, file.start, file.size) == ("county-1", 0, size)
    ledger = Ledger(collecting.ledger().card)
    for entry, body in file.entries:
        ledger.append(entry, body)
    assert ledger.verify_checkpoint(file.cosigned).size == size
    later, _until = collecting.desk.export_outbox(size - 2)
    assert (later.start, later.entries) == (size - 2, file.entries[-2:])
    assert collecting.desk.export_outbox(size)[0].entries == ()


def test_it_serves_for_a_day_from_when_a_quorum_had_signed(collecting: County) -> None:
    signed = collecting.clock
    collecting.cosign(["a1", "a2", "a3"])
    collecting.advance(hours=5)
    assert collecting.desk.export_outbox()[1] == signed + timedelta(hours=24)
    collecting.cosign(["a4"])
    assert collecting.desk.export_outbox()[1] == signed + timedelta(hours=24)
    collecting.cosign(["a1", "a2"])
    assert collecting.desk.export_outbox()[1] == signed + timedelta(hours=29)


def test_what_is_not_cosigned_is_not_handed_out(collecting: County) -> None:
    with pytest.raises(errors.NotCosignedError):
        collecting.desk.export_outbox()
    collecting.cosign(["a1", "a2"])
    with pytest.raises(errors.NotCosignedError):
        collecting.desk.export_outbox()
    collecting.cosign()
    with pytest.raises(errors.NotCosignedError):
        collecting.desk.export_outbox(collecting.ledger().size + 1)


def test_an_empty_log_is_no_file(county: County) -> None:
    with pytest.raises(errors.NotCosignedError):
        county.desk.export_outbox()


# ---------------------------------------------------------------- the commands


def test_commands_take_what_is_good_and_name_what_is_not(collecting: County, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    for name in ("s01", "s02"):
        (stick / f"{name}.report").write_bytes(collecting.payload(name, collecting.round_id))
    cut = stick / "cut.report"
    cut.write_bytes((stick / "s02.report").read_bytes()[:-9])
    (stick / "notes.txt").write_text("not a report")
    files = sorted(stick.iterdir())
    code, answer = run(collecting, "report", "import", *files, "--receipts", stick / "receipts")
    rows = {Path(str(row["file"])).name: row for row in answer["reports"]}  # type: ignore[attr-defined]
    assert (code, answer["refused"]) == (1, 2)
    assert rows["cut.report"]["error"] == "report-length"
    assert rows["notes.txt"]["error"] == "report-refused"
    assert (rows["s01.report"]["node"], rows["s02.report"]["attempt"]) == ("s01", 0)
    receipts = {path.name: path.read_bytes() for path in (stick / "receipts").iterdir()}
    assert len(receipts) == 2
    again, _answer = run(collecting, "report", "import", stick / "s01.report", stick / "s02.report")
    assert again == 0
    code, answer = run(collecting, "receipt", "export", "--out", tmp_path / "again")
    assert code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == receipts
    code, answer = run(collecting, "receipt", "export", "--out", tmp_path / "one", "--node", "s02")
    assert [row["node"] for row in answer["receipts"]] == ["s02"]  # type: ignore[attr-defined]


def test_outbox_export_writes_one_whole_file(collecting: County, tmp_path: Path) -> None:
    assert run(collecting, "outbox", "export", "--out", tmp_path / "log")[0] == 1
    collecting.cosign()
    code, answer = run(collecting, "outbox", "export", "--out", tmp_path / "stick" / "log")
    assert code == 0
    file = parse_log_file((tmp_path / "stick" / "log").read_bytes())
    assert answer["size"] == file.size == collecting.ledger().size
    code, answer = run(collecting, "outbox", "export", "--out", tmp_path / "log", "--from", 3)
    assert (code, answer["from"]) == (0, 3)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["log"]


def test_a_file_that_cannot_be_written_is_a_refusal(collecting: County, tmp_path: Path) -> None:
    collecting.cosign()
    (tmp_path / "taken").write_text("a file")
    code, answer = run(collecting, "outbox", "export", "--out", tmp_path / "taken" / "log")
    assert (code, answer["error"]) == (1, "file")


def test_a_file_larger_than_any_report_is_not_read_whole(collecting: County, tmp_path: Path) -> None:
    path = tmp_path / "huge.report"
    with path.open("wb") as stream:
        stream.write(collecting.payload("s01", collecting.round_id))
        stream.truncate(2**33)
    code, answer = run(collecting, "report", "import", path)
    assert (code, answer["reports"][0]["error"]) == (1, "report-length")  # type: ignore[index]
