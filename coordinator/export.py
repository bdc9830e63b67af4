"""Write a released round's results as files: release.json, one csv a table, indicators.

Everything is computed by ``results`` from the logged release and plan, so an auditor gets the
same bytes. Numbers are unrounded and may be negative; ``shown`` is what people may be shown.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coordinator.durable import DurableHook, ignore_step, write_file
from coordinator.errors import NotReleasedError
from coordinator.log_book import LogBook
from coordinator.plan_view import PublishedPlan, published_plan
from crypto.canonical import parse_json
from protos.round_log import RoundLog
from results.indicators import indicators
from results.release import Release, read_release
from results.rows import table_columns, table_rows
from results.summary import summarise
from results.tables import NoisyTable

FORMAT = "fedscreen/results/v1"


def result_files(book: LogBook, round_id: bytes) -> dict[str, bytes]:
    """Compute a round's result files: relative path → content.

    Raises:
        NotReleasedError: the round is not released, or it was released as corrupt.
    """
    with book.reading() as view:
        round_log = view.round(round_id)
    logged = round_log.release
    if logged is None or logged.statement.status != "ok":
        found = "not released yet" if logged is None else "released as corrupt, without numbers"
        raise NotReleasedError(f"round {round_id.hex()[:16]}…: {found}")
    plan = published_plan(round_log)
    body: Any = parse_json(logged.body)
    release = read_release(
        plan.document, body["tables"], release=round_id.hex(), reports_in=logged.statement.reports_in
    )
    found_indicators = [value.as_dict() for value in indicators(release)]
    files = {
        "release.json": _json(_release_values(round_log, plan, release)),
        "indicators.json": _json({"round": round_id.hex(), "indicators": found_indicators}),
    }
    for table in release.tables:
        files[f"tables/{table.id}.csv"] = _table_csv(table)
    return files


def export_results(
    book: LogBook, round_id: bytes, folder: Path, durable: DurableHook = ignore_step
) -> tuple[Path, ...]:
    """Write a round's result files into a folder; return their paths."""
    written = []
    for name, data in result_files(book, round_id).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data, durable)
        written.append(path)
    return tuple(written)


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _release_values(round_log: RoundLog, plan: PublishedPlan, release: Release) -> dict[str, object]:
    terms, logged = round_log.terms, round_log.release
    statement = logged.statement if logged else None
    return {
        "format": FORMAT,
        "federation": terms.federation,
        "round": round_log.round_id.hex(),
        "release": logged.digest.hex() if logged else "",
        "plan": {"id": plan.document.id, "title": plan.document.title, "serial": terms.serial},
        "school_year": plan.document.school_year,
        "wave": plan.document.wave,
        "status": statement.status if statement else "",
        "schools": len(round_log.roster.nodes),
        "reports_in": statement.reports_in if statement else 0,
        "reports_out": statement.reports_out if statement else 0,
        "replicas": statement.replicas if statement else 0,
        "rho": f"{terms.rho.numerator}/{terms.rho.denominator}",
        "cells": terms.cells,
        "tables": [_table_values(table) for table in release.tables],
        "summary": summarise(release).as_dict(),
    }


def _table_values(table: NoisyTable) -> dict[str, object]:
    return {
        "id": table.id,
        "title": table.layout.title,
        "dims": list(table.dims),
        "scale": table.layout.noise.scale,
        "s2": table.layout.noise.s2,
        "se": table.se,
        "cells": [row.as_dict() for row in table_rows(table)],
    }


def _table_csv(table: NoisyTable) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table_columns(table))
    writer.writerows(row.as_record() for row in table_rows(table))
    return out.getvalue().encode()
