"""The result files of a released round: release.json, indicators.json and .csv, and per table two csv files.

`tables/<id>.csv` holds the released cells as they are archived, `estimates/<id>.csv` what follows from all
tables together (`results.estimate_rows`); release.json holds both.

Coordinator and auditor make them from the log with this same code, so `verify` compares bytes. Numbers are
unrounded and may be negative; ``shown`` is what people may be shown.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from plan.document import PlanDocument
from results.estimate_rows import estimate_columns, estimate_rows
from results.indicators import IndicatorValue, indicators
from results.release import Release, read_release
from results.rows import table_columns, table_rows
from results.summary import summarise
from results.tables import NoisyTable

FORMAT = "fedscreen/results/v1"
INDICATOR_COLUMNS = (
    *("id", "name", "unit", "definition", "keys"),
    *("released", "se", "low95", "high95", "shown", "tables"),
)
"""Columns of indicators.csv."""


@dataclass(frozen=True, slots=True)
class ReleaseHead:
    """What the log says about a release beside its tables.

    Attributes:
        federation: id.
        round_id, release: digests of the plan's and the release's statement.
        serial: of the plan.
        status: of the release.
        schools: nodes on the plan's roster.
        reports_in, reports_out: in S, and excluded.
        replicas: fewest replicas of any subset's mask sum.
        rho: the plan's.
        cells: the plan's.
        corrections: what was said of the release since, oldest first; none for one that stands as it is.
    """

    federation: str
    round_id: bytes
    release: bytes
    serial: int
    status: str
    schools: int
    reports_in: int
    reports_out: int
    replicas: int
    rho: Fraction
    cells: int
    corrections: tuple[Mapping[str, object], ...] = ()


class _Terms(Protocol):
    @property
    def federation(self) -> str: ...
    @property
    def serial(self) -> int: ...
    @property
    def rho(self) -> Fraction: ...
    @property
    def cells(self) -> int: ...


class _Statement(Protocol):
    @property
    def status(self) -> str: ...
    @property
    def reports_in(self) -> int: ...
    @property
    def reports_out(self) -> int: ...
    @property
    def replicas(self) -> int: ...


def head_of(
    terms: _Terms,
    statement: _Statement,
    round_id: bytes,
    release: bytes,
    schools: int,
    corrections: Sequence[Mapping[str, object]] = (),
) -> ReleaseHead:
    """Gather what the log says.

    Args:
        terms: the plan's statement.
        statement: the release's statement.
        round_id, release: their digests.
        schools: nodes on the plan's roster.
        corrections: each with its ``status``, ``tables``, ``successor`` and ``reason``, oldest first. The
            head's status is then ``withdrawn`` if one of them says so, else ``corrected``.
    """
    said = {str(row["status"]) for row in corrections}
    return ReleaseHead(
        federation=terms.federation,
        round_id=round_id,
        release=release,
        serial=terms.serial,
        status="withdrawn" if "withdrawn" in said else "corrected" if said else statement.status,
        schools=schools,
        reports_in=statement.reports_in,
        reports_out=statement.reports_out,
        replicas=statement.replicas,
        rho=terms.rho,
        cells=terms.cells,
        corrections=tuple(corrections),
    )


def result_files(
    head: ReleaseHead, plan: PlanDocument, released: Sequence[Mapping[str, object]]
) -> dict[str, bytes]:
    """Compute a round's result files: relative path → content.

    Args:
        head: what the log says.
        plan: as published.
        released: the release body's tables, each {"id", "scale", "s2", "sums"}.

    Raises:
        ResultsError, PlanError: plan and release do not fit together.
    """
    round_hex = head.round_id.hex()
    release = read_release(plan, released, release=round_hex, reports_in=head.reports_in)
    found = indicators(release)
    files = {
        "release.json": _json(_release_values(head, plan, release)),
        **indicator_files({"round": round_hex}, found),
    }
    for table in release.tables:
        files[f"tables/{table.id}.csv"] = _table_csv(table)
        files[f"estimates/{table.id}.csv"] = _estimates_csv(release, table)
    return files


def indicator_files(head: Mapping[str, object], values: Sequence[IndicatorValue]) -> dict[str, bytes]:
    """Write numbers of indicators as indicators.json, under what `head` says of them, and indicators.csv."""
    return {
        "indicators.json": _json({**head, "indicators": [value.as_dict() for value in values]}),
        "indicators.csv": _csv(INDICATOR_COLUMNS, map(_indicator_record, values)),
    }


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _release_values(head: ReleaseHead, plan: PlanDocument, release: Release) -> dict[str, object]:
    return {
        "format": FORMAT,
        "federation": head.federation,
        "round": head.round_id.hex(),
        "release": head.release.hex(),
        "plan": {"id": plan.id, "title": plan.title, "serial": head.serial},
        "school_year": plan.school_year,
        "wave": plan.wave,
        "status": head.status,
        **({"corrections": [dict(row) for row in head.corrections]} if head.corrections else {}),
        "schools": head.schools,
        "reports_in": head.reports_in,
        "reports_out": head.reports_out,
        "replicas": head.replicas,
        "rho": f"{head.rho.numerator}/{head.rho.denominator}",
        "cells": head.cells,
        "tables": [_table_values(table) for table in release.tables],
        "estimates": [_estimate_values(release, table) for table in release.tables],
        "summary": summarise(release).as_dict(),
    }


def _table_values(table: NoisyTable) -> dict[str, object]:
    return {
        "id": table.id,
        "title": table.layout.title,
        "dims": list(table.dims),
        **_number_values(table),
        "scale": table.layout.noise.scale,
        "s2": table.s2,
        "se": table.se,
        "cells": [row.as_dict() for row in table_rows(table)],
    }


def _number_values(table: NoisyTable) -> dict[str, object]:
    """Say which number of the record a table of sums adds up, and its clamp; nothing for counts."""
    layout = table.layout
    return {} if layout.range is None else {"sum": layout.sum, "range": list(layout.range)}


def _estimate_values(release: Release, table: NoisyTable) -> dict[str, object]:
    rows = estimate_rows(release, table)
    return {"id": table.id, "cells": [{"keys": dict(keys), **values} for keys, values in rows]}


def _indicator_record(value: IndicatorValue) -> tuple[object, ...]:
    """Return a number as a row; codes as `stage=junior;level=3`, tables joined by blanks."""
    row = value.row
    numbers = (row.released, row.se, row.low95, row.high95) if row else ("",) * 4
    keys = ";".join(f"{name}={code}" for name, code in value.keys.items())
    entry = value.indicator
    names = (entry.id, entry.name, entry.unit, entry.definition, keys)
    return (*names, *numbers, value.shown.text(), " ".join(value.sources))


def _table_csv(table: NoisyTable) -> bytes:
    return _csv(table_columns(table), (row.as_record() for row in table_rows(table)))


def _estimates_csv(release: Release, table: NoisyTable) -> bytes:
    rows = ((*keys.values(), *values.values()) for keys, values in estimate_rows(release, table))
    return _csv((*table.dims, *estimate_columns(table)), rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode()
