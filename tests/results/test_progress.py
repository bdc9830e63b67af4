"""Progress statements: bands and yes/no, never numbers, results or schools in what is published."""

from __future__ import annotations

import pytest

from results.facts import (
    ATTESTATIONS,
    BAND_LABELS,
    BANDS,
    FactsError,
    ProgressStatement,
    parse_progress,
    progress_summary,
)

RAW = {"wave": "A", "band": "80-95", "by": "王校长", "on": "2026-10-21"}
RAW |= {"started": "1", "consent_recorded": "否"}


def statement(node: str = "s01", **changes: object) -> ProgressStatement:
    return parse_progress(node, {**RAW, **changes})


def test_a_statement_is_read_and_written_the_same() -> None:
    found = statement()
    assert dict(found.attestations) == {"started": True, "consent_recorded": False}
    assert parse_progress("s01", found.plain()) == found
    assert statement(wave="秋季", band="80%至95%") == found


def test_bands_are_those_of_the_design() -> None:
    assert list(BANDS) == ["lt80", "80-95", "ge95"] == list(BAND_LABELS)
    assert [str(text) for text in BAND_LABELS.values()] == ["below 80 %", "80 % to 95 %", "95 % or more"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("band", "93%"),
        ("band", ""),
        ("band", "0.93"),
        ("wave", "夏季"),
        ("by", ""),
        ("by", "x" * 41),
        ("by", "王\n李"),
        ("on", "昨天"),
        ("on", "2026-02-30"),
        ("started", "差不多"),
    ],
)
def test_anything_else_is_refused_with_its_field(name: str, value: str) -> None:
    with pytest.raises(FactsError) as caught:
        statement(**{name: value})
    assert [problem.key for problem in caught.value.problems] == [name]


@pytest.mark.parametrize("name", ["重点关注人数", "n_alert", "level3", "未测名单"])
def test_nothing_about_results_or_pupils_can_be_stated(name: str) -> None:
    with pytest.raises(FactsError) as caught:
        statement(**{name: "3"})
    assert len(caught.value.problems) == 1


def test_no_attestation_is_about_a_result() -> None:
    for zh, _label in ATTESTATIONS.values():
        assert not any(word in zh for word in ("预警", "重点", "人数", "检出", "转介", "建档"))


def test_the_summary_counts_schools_and_names_none() -> None:
    rows = [statement("s01"), statement("s02", band="ge95"), statement("s03", band="ge95", started="0")]
    found = progress_summary(rows, 5)
    assert dict(found.by_band) == {"lt80": 0, "80-95": 1, "ge95": 2}
    assert found.by_attestation["started"] == 2
    assert found.missing == 2
    assert "s01" not in str(found)


def test_a_school_counts_once() -> None:
    with pytest.raises(FactsError):
        progress_summary([statement(), statement()], 5)
    with pytest.raises(FactsError):
        progress_summary([statement("s01"), statement("s02")], 1)
