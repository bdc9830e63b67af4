"""A replay fails on every kind of tampering, and at which of its numbered checks: one table.

Three kinds: a program that sends other bytes than the function gives (`changed program`), evidence that is
altered where it lies (`stored`), and a journal written anew by somebody who has its key (`journal`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from fakes_vault import SchoolHouse, pupils

from crypto.canonical import decode_base64, encode_base64, encode_json
from crypto.field64 import MODULUS
from crypto.note import Note, encode_note, parse_signature_line
from node.vault.derive import Derived
from node.vault.errors import ReplayError
from node.vault.journal import Journal, JournalRecord
from node.vault.records import read_records, read_set
from node.vault.reports import all_reports
from plan.record import Record, to_row
from protos.report_payload import ReportPayload, encode_payload, note_of
from protos.statements import digest, encode_statement, parse_statement

Tamper = Callable[[SchoolHouse], None]
Program = Callable[[pytest.MonkeyPatch], AbstractContextManager[Any] | None]
NAMES = (
    *("journal", "plan", "master", "approvals", "records", "tables"),
    *("vector", "seeds", "input", "bytes", "header", "log"),
)
NUMBER = {name: number for number, name in enumerate(NAMES, 1)}


def failing(house: SchoolHouse, round_id: bytes) -> list[int]:
    """Replay and give the numbers of the checks that fail; a tampered one never says PASS."""
    answer = house.call("recompute", round=round_id.hex(), attempt=0)
    numbers = [check["number"] for check in answer["checks"] if check["result"] == "FAIL"]
    assert answer["outcome"] == ("FAIL" if numbers else answer["outcome"])
    return numbers


@pytest.fixture
def round_id(house: SchoolHouse) -> bytes:
    """A round with a delivered, honest report."""
    return delivered(house)


def delivered(house: SchoolHouse) -> bytes:
    found = house.start_round()
    house.release(found)
    house.submit()
    house.sync()
    return found


# ---------------------------------------------------------------- stored evidence


def write(house: SchoolHouse, statement: str, *values: Any) -> None:
    with house.store.transaction("tamper"):
        house.store.execute(statement, values)


def stored(house: SchoolHouse) -> bytes:
    row = house.store.one("SELECT payload FROM report")
    assert row is not None
    return bytes(row[0])


def flip(place: Callable[[bytes], int], mask: int = 1) -> Tamper:
    """Flip bits of one stored byte."""

    def tamper(house: SchoolHouse) -> None:
        payload = bytearray(stored(house))
        payload[place(payload)] ^= mask
        write(house, "UPDATE report SET payload = ?", bytes(payload))

    return tamper


def vector_start(payload: bytes) -> int:
    return 4 + len(note_of(payload))


def smuggle_into_low_cell(house: SchoolHouse) -> None:
    """Put a pupil's level where a count of nought or one is expected: eight bytes of one cell."""
    payload = bytearray(stored(house))
    at = vector_start(payload) + 8 * 3
    payload[at : at + 8] = (int.from_bytes(payload[at : at + 8], "little") * 3 % MODULUS).to_bytes(
        8, "little"
    )
    write(house, "UPDATE report SET payload = ?", bytes(payload))


def reseal_a_box(house: SchoolHouse) -> None:
    """Seal one auditor's seeds anew: another encapsulation, which could carry thirty bits to a friend."""
    payload = bytearray(stored(house))
    payload[-1136 - 96 : -1136 - 64] = bytes(range(32))
    write(house, "UPDATE report SET payload = ?", bytes(payload))


def other_master(house: SchoolHouse) -> None:
    write(house, "UPDATE identity SET master = ?", bytes(range(32)))
    house.restart()


def _some_row(records: list[Record]) -> Record:
    return next(row for row in records if row.disposition == "1")


def change_record(house: SchoolHouse) -> None:
    row = _some_row(pupils())
    data = encode_json(to_row(replace(row, level1=str((int(row.level1) + 1) % 4))))
    write(house, "UPDATE record SET data = ? WHERE rec_key = ?", data, row.rec_key)


def drop_record(house: SchoolHouse) -> None:
    write(house, "DELETE FROM record WHERE rec_key = ?", pupils()[3].rec_key)


def exchange_records(house: SchoolHouse) -> None:
    house.save(pupils(shift=1))
    write(house, "UPDATE report SET set_id = (SELECT set_id FROM record_set WHERE is_current = 1)")


def drop_journal_row(house: SchoolHouse) -> None:
    write(house, "DROP TRIGGER journal_no_delete")
    write(house, "DELETE FROM journal WHERE seq = 1")


def cut_journal_end(house: SchoolHouse) -> None:
    write(house, "DROP TRIGGER journal_no_delete")
    write(house, "DELETE FROM journal WHERE seq >= (SELECT journal_seq FROM report)")


def change_journal_row(house: SchoolHouse) -> None:
    write(house, "DROP TRIGGER journal_no_update")
    row = house.store.one("SELECT seq, sealed FROM journal WHERE seq = 1")
    assert row is not None
    sealed = bytearray(row[1])
    sealed[-1] ^= 1
    write(house, "UPDATE journal SET sealed = ? WHERE seq = ?", bytes(sealed), row[0])


def point_to_another_journal_row(house: SchoolHouse) -> None:
    write(house, "UPDATE report SET journal_seq = 1")


STORED: dict[str, tuple[Tamper, list[int]]] = {
    "one bit of the vector": (flip(vector_start), [10]),
    "the top bit of a cell": (flip(lambda data: vector_start(data) + 7, 128), [10]),
    "one bit of a box": (flip(lambda data: len(data) - 1), [10]),
    "one bit of the header sent": (flip(lambda _data: 30), [11]),
    "one bit of its signature": (flip(lambda data: vector_start(data) - 20), [11]),
    "a value smuggled into a low cell": (smuggle_into_low_cell, [10]),
    "a box sealed anew": (reseal_a_box, [10]),
    "another K": (other_master, [3, 7, 8, 9, 10, 11]),
    "a changed record": (change_record, [5, 6]),
    "a dropped record": (drop_record, [5, 6]),
    "records exchanged with their digest": (exchange_records, [5, 6, 7, 8, 9, 10, 11]),
    "a dropped journal row": (drop_journal_row, [1]),
    "a journal cut off at its end": (cut_journal_end, [1]),
    "a changed journal row": (change_journal_row, [1]),
    "another row of the journal": (point_to_another_journal_row, [1]),
}


@pytest.mark.parametrize("name", STORED)
def test_tampering_with_what_is_stored(house: SchoolHouse, round_id: bytes, name: str) -> None:
    tamper, expected = STORED[name]
    tamper(house)
    assert failing(house, round_id) == expected


# ---------------------------------------------------------------- a journal written anew


def rewrite_journal(house: SchoolHouse, change: Callable[[dict[str, Any]], None]) -> None:
    """Write the whole journal anew with the report's record changed, as whoever has its key could."""
    parts = house.desk.enrolled()
    records = list(parts.journal.verify())
    with house.store.transaction("tamper"):
        house.store.execute("DROP TRIGGER journal_no_delete")
        house.store.execute("DELETE FROM journal")
        journal = Journal(house.store, parts.identity.journal_key, parts.entropy)
        for record in records:
            data = record.data
            if record.kind == "report" and isinstance(data, dict):
                data = dict(data)
                change(data)
            journal.append(
                JournalRecord(record.time, record.subject, record.kind, record.target, record.result, data)
            )


def put(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def tamper(data: dict[str, Any]) -> None:
        data[name] = change(data[name])

    return tamper


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


JOURNAL: dict[str, tuple[Callable[[dict[str, Any]], None], list[int]]] = {
    "a count": (put("counts", lambda text: encode_base64(flipped(decode_base64(text)))), [6]),
    "the digest of the rows": (put("rows", lambda text: flipped(bytes.fromhex(text)).hex()), [5, 9, 11]),
    "the commitment to K": (put("master", lambda text: flipped(bytes.fromhex(text)).hex()), [3]),
    "an approval less": (put("approvals", lambda texts: texts[1:]), [4, 7, 8, 9, 10, 11]),
    "approvals in another order": (put("approvals", lambda texts: texts[::-1]), [4, 7, 8, 9, 10, 11]),
    "an edited approval": (
        put("approvals", lambda texts: [texts[0].replace("auditor a1", "auditor a2"), *texts[1:]]),
        [4, 7, 8, 9, 10, 11],
    ),
    "plan text": (put("plan", lambda text: text.replace("min-reports 5", "min-reports 6")), [2]),
    "plan body": (put("plan_body", lambda text: encode_base64(decode_base64(text) + b" ")), [2]),
    "another attempt": (put("attempt", lambda _number: 1), [1]),
    "confinement in the header": (
        put("header", lambda text: text.replace("confinement L3", "confinement L2")),
        [1],
    ),
    "software in the header": (
        put("header", lambda text: text.replace("\nsoftware ", "\nsoftware 0")[:-1]),
        [1],
    ),
}


@pytest.mark.parametrize("name", JOURNAL)
def test_tampering_with_the_journal_under_its_key(house: SchoolHouse, round_id: bytes, name: str) -> None:
    change, expected = JOURNAL[name]
    rewrite_journal(house, change)
    found = failing(house, round_id)
    assert found == expected


# ---------------------------------------------------------------- everything written anew, but the log


def reissue(house: SchoolHouse, **changes: Any) -> None:
    """Change the header wherever it stands on this machine, and sign it: only the log knows better."""
    parts, (report,) = house.desk.enrolled(), all_reports(house.store)
    header = parse_statement(stored(house)[4:].split(b"\n\n")[0].decode() + "\n")
    text = encode_statement(replace(header, **changes))
    note = encode_note(Note(text, (parse_signature_line(parts.identity.report_key.sign(text)),)))
    rest = stored(house)[vector_start(stored(house)) :]
    rewrite_journal(house, put("header", lambda _old: text))
    write(
        house,
        "UPDATE report SET payload = ?, digest = ? WHERE attempt = ?",
        encode_payload(ReportPayload(note, rest, ())),
        digest(text),
        report.attempt,
    )


@pytest.mark.parametrize(
    "changes",
    [{"software": bytes(range(32))}, {"confinement": "L2"}, {"previous": bytes(range(32))}],
    ids=["software digest", "confinement", "previous report"],
)
def test_a_header_edited_everywhere_but_in_the_log(
    house: SchoolHouse, round_id: bytes, changes: dict[str, Any]
) -> None:
    reissue(house, **changes)
    assert failing(house, round_id) == [NUMBER["log"]]


def test_other_records_with_a_journal_to_match_still_give_another_vector(
    house: SchoolHouse, round_id: bytes
) -> None:
    """Whoever exchanges the records and journals their digest and counts is caught by the bytes sent."""
    exchange_records(house)
    record_set = read_set(house.store, all_reports(house.store)[0].set_id)
    read_records(house.store, record_set)
    preview = house.call("preview", round=round_id.hex())
    counts = b"".join(
        int(cell["count"]).to_bytes(8, "little") for table in preview["tables"] for cell in table["cells"]
    )

    def change(data: dict[str, Any]) -> None:
        data |= {"rows": record_set.digest.hex(), "counts": encode_base64(counts)}

    rewrite_journal(house, change)
    assert failing(house, round_id) == [7, 8, 9, 10, 11]


def test_records_that_are_gone_give_no_pass(house: SchoolHouse, round_id: bytes) -> None:
    write(house, "DELETE FROM record")
    assert failing(house, round_id) == [5, 6]


def test_records_said_to_be_deleted_by_retention_give_no_pass(house: SchoolHouse, round_id: bytes) -> None:
    """It is no FAIL, and it is no PASS either: the auditor asks when the audit before it was filed."""
    write(house, "INSERT INTO pruned_set SELECT set_id, '2027-09-01' FROM record_set WHERE is_current = 1")
    with pytest.raises(ReplayError) as caught:
        house.call("recompute", round=round_id.hex(), attempt=0)
    assert caught.value.code == "records-gone"


def test_a_report_that_is_not_there_gives_no_pass(house: SchoolHouse, round_id: bytes) -> None:
    with pytest.raises(ReplayError):
        house.call("recompute", round=round_id.hex(), attempt=1)


# ---------------------------------------------------------------- changed programs


def with_other_vector(change: Callable[[bytes], bytes]) -> Program:
    """Be a program that changes y before it signs: header, journal and log all agree with each other."""
    from node.vault import release

    honest = release.derive

    def derive(*arguments: Any) -> Derived:
        derived = honest(*arguments)
        return replace(derived, vector=change(derived.vector))

    return lambda patch: patch.setattr(release, "derive", derive)


def _add_to_cell(vector: bytes, cell: int, value: int) -> bytes:
    number = (int.from_bytes(vector[8 * cell : 8 * cell + 8], "little") + value) % MODULUS
    return vector[: 8 * cell] + number.to_bytes(8, "little") + vector[8 * cell + 8 :]


def reroll(patch: pytest.MonkeyPatch) -> None:
    """Draw the noise with another key, for instance until it looks well."""
    patch.setattr("node.vault.derive.derivation.noise_key", lambda secret, index: bytes([index]) + secret[1:])


def reseed(patch: pytest.MonkeyPatch) -> None:
    """Mask with seeds of one's own choice, for instance with a message in them."""
    patch.setattr(
        "node.vault.derive.derivation.seeds",
        lambda _secret, subsets: {subset: bytes([subset]) * 32 for subset in subsets},
    )


def no_noise(patch: pytest.MonkeyPatch) -> None:
    """Leave the noise out."""
    import numpy as np

    patch.setattr(
        "node.vault.derive.draw_noise",
        lambda layout, _secret: np.zeros((layout.num_vectors, layout.cells), np.int64),
    )


def free_input(patch: pytest.MonkeyPatch) -> None:
    """Put something of one's own in place of the input commitment: 32 free bytes in every header."""
    patch.setattr("node.vault.derive.derivation.input_commitment", lambda *_arguments: bytes(range(32)))


PROGRAMS: dict[str, tuple[Program, list[int]]] = {
    "a value smuggled into a low cell": (with_other_vector(lambda y: _add_to_cell(y, 3, 64)), [7, 10, 11]),
    "one bit in the last cell": (with_other_vector(lambda y: y[:-8] + flipped(y[-8:])), [7, 10, 11]),
    "noise drawn again": (reroll, [7, 10, 11]),
    "no noise": (no_noise, [7, 10, 11]),
    "seeds of one's own": (reseed, [7, 8, 10, 11]),
    "a free input commitment": (free_input, [9, 11]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_changed_program_that_is_consistent_with_itself(
    house: SchoolHouse, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    program, expected = PROGRAMS[name]
    with monkeypatch.context() as patch:
        program(patch)
        found = delivered(house)
    assert failing(house, found) == expected


def test_the_table_names_at_least_nine_kinds_and_every_check() -> None:
    tables = (STORED, JOURNAL, PROGRAMS)
    assert sum(map(len, tables)) >= 30
    reached = {number for table in tables for _tamper, expected in table.values() for number in expected}
    assert reached | {NUMBER["log"]} == set(NUMBER.values())
