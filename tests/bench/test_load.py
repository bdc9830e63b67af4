"""The load generator, small: what it measures is there, and its tables say it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bench import load


def test_schools_report(tmp_path: Path) -> None:
    options = argparse.Namespace(nodes=6, processes=1)
    row = load.reports(tmp_path / "county", options, load.SMALL, in_flight=3)
    assert (row["logged"], row["nodes"], row["retried"], row["ok"]) == (6, 6, 0, True)
    assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert row["cpu_ms"] > 0


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        ([(True, 3.4), (True, 2.9)], (2.9, True)),
        ([(True, 3.4), (False, 2.9)], (3.4, False)),
        ([(False, 1.0)], (1.0, False)),
    ],
    ids=["the best counts", "a report is missing in the best", "a report is missing"],
)
def test_a_limit_that_is_missed_is_said(
    passes: list[tuple[bool, float]], expected: tuple[float, bool]
) -> None:
    found = load.best_of({"ok": ok, "cpu_ms": cpu_ms} for ok, cpu_ms in passes)
    assert (found["cpu_ms"], found["ok"]) == expected


def test_tables_are_made_of_the_figures_kept() -> None:
    rows = [
        {"scenario": "machine"},
        {
            "scenario": "report",
            "database": "SQLite",
            "coordinators": 1,
            "cells": 1010,
            "in_flight": 32,
            "logged": 1000,
            "nodes": 1000,
            "per_s": 207.4,
            "p50_ms": 92.4,
            "p99_ms": 167.1,
            "cpu_ms": 2.345,
            "rss_mib": 120.3,
        },
        {"scenario": "handshake", "cpu_ms": 0.65},
        {"scenario": "poll", "cpu_ms": 3.2},
        {"scenario": "idle", "open": 5000, "rss_mib": 447.7, "rss_before_mib": 100.8, "kib_each": 71.0},
    ]
    assert "| SQLite | 1 | 1,010 | 32 | 1,000 of 1,000 | 207 | 92 | 167 | 2.35 | 120 |" in load.reports_table(
        rows
    )
    assert "448 MiB, of which 101 without them (71 KiB each)" in load.parts_table(rows)
