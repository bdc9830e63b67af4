"""The result files of a released round: release.json, indicators.json, one csv a table.

Everything is computed by `results` from the logged release and plan, so that whoever has the log
gets the same bytes; `verify` recomputes them and compares byte for byte. Numbers are unrounded
and may be negative; ``shown`` is what people may be shown.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from auditor.errors import BundleError
from auditor.plan_view import PlanView, view_plan
from crypto.canonical import parse_json
from protos.ledger import Logged, RoundLog
from protos.statements import Release as ReleaseStatement
from results.indicators import indicators
from results.release import Release, read_release
from results.rows import table_columns, table_rows
from results.summary import summarise
from results.tables import NoisyTable

FORMAT = "fedscreen/results/v1"


def result_files(round_log: RoundLog) -> dict[str, bytes]:
    """Compute a round's result files: relative path → content.

    Raises:
        BundleError: the round is not released with a sum.
        RefusalError, ResultsError, BodyError: plan and release do not fit together.
    """
    logged = round_log.release
    if logged is None or logged.statement.status != "ok":
        raise BundleError(f"round {round_log.round_id.hex()[:16]} is not released with a sum")
    view = view_plan(round_log.terms, round_log.plan.body)
    body: Any = parse_json(logged.body)
    round_hex = round_log.round_id.hex()
    release = read_release(
        view.document, body["tables"], release=round_hex, reports_in=logged.statement.reports_in
    )
    found = [value.as_dict() for value in indicators(release)]
    files = {
        "release.json": _json(_release_values(round_log, logged, view, release)),
        "indicators.json": _json({"round": round_hex, "indicators": found}),
    }
    for table in release.tables:
        files[f"tables/{table.id}.csv"] = _table_csv(table)
    return files


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _release_values(
    round_log: RoundLog, logged: Logged[ReleaseStatement], view: PlanView, release: Release
) -> dict[str, object]:
    terms, statement = round_log.terms, logged.statement
    return {
        "format": FORMAT,
        "federation": terms.federation,
        "round": round_log.round_id.hex(),
        "release": logged.digest.hex(),
        "plan": {"id": view.document.id, "title": view.document.title, "serial": terms.serial},
        "school_year": view.document.school_year,
        "wave": view.document.wave,
        "status": statement.status,
        "schools": len(round_log.roster.nodes),
        "reports_in": statement.reports_in,
        "reports_out": statement.reports_out,
        "replicas": statement.replicas,
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
