"""Reports kept by position: the same answers as from whole headers, and a changed store is noticed."""

from dataclasses import replace

import pytest
from statement_samples import EXAMPLES

from protos.report_table import Logged, ReportTable, contents_of
from protos.statements import Report, digest, encode_statement


def logged(node: str, attempt: int, index: int) -> Logged[Report]:
    example = EXAMPLES["report"]
    assert isinstance(example, Report)
    report = replace(example, node=node, attempt=attempt, vector=bytes([index]) * 32)
    text = encode_statement(report)
    return Logged(report, text, digest(text), index, b"")


ROWS = [logged("s2", 0, 0), logged("s1", 0, 1), logged("s2", 1, 2)]


def filled(table: ReportTable) -> ReportTable:
    for row in ROWS:
        table.add(row)
    return table


@pytest.fixture(params=["kept", "read back"])
def table(request: pytest.FixtureRequest) -> ReportTable:
    digests = [row.digest for row in ROWS]
    return filled(ReportTable() if request.param == "kept" else ReportTable(ROWS.__getitem__, digests))


def test_it_is_a_mapping_in_log_order(table: ReportTable) -> None:
    assert list(table) == [("s2", 0), ("s1", 0), ("s2", 1)]
    assert list(table.values()) == ROWS
    assert len(table) == 3
    assert ("s1", 1) not in table
    with pytest.raises(KeyError):
        table[("s1", 1)]


def test_positions_digests_and_contents_need_no_header(table: ReportTable) -> None:
    for row in ROWS:
        slot = row.statement.node, row.statement.attempt
        assert table.position_of(slot) == row.index
        assert table.digest_of(slot) == row.digest
        assert table.contents_of(slot) == contents_of(row.statement)
        assert table.find(row.digest) == slot
    assert table.find(bytes(32)) is None


def test_attempts_are_counted(table: ReportTable) -> None:
    assert [table.num_attempts(node) for node in ("s1", "s2", "s3")] == [1, 2, 0]


def test_a_report_can_be_exchanged_and_forgotten(table: ReportTable) -> None:
    other = logged("s1", 0, 9)
    table[("s1", 0)] = other
    assert table[("s1", 0)] == other
    assert table.position_of(("s1", 0)) == 9
    del table[("s1", 0)]
    assert list(table) == [("s2", 0), ("s2", 1)]
