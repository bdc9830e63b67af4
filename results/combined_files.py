"""The files of a prefecture's totals: combined.json, indicators, a csv file for each table of all counties.

Each cell is the sum of the counties' consistent estimates, with the variances added (`results.combining`).
Numbers are unrounded and may be negative; ``shown`` is what people may be shown. No county's own number
stands in them: those are in the county's release.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from privacy.display import show_count
from results.amounts import Amount
from results.combining import Part, total_table
from results.errors import SelectionError
from results.files import indicator_files
from results.prefecture import total_indicators

FORMAT = "fedscreen/combined/v1"
_NUMBERS = ("estimate", "se", "low95", "high95", "shown")


@dataclass(frozen=True, slots=True)
class CountyHead:
    """Whose release is in the totals, and how it was verified.

    Attributes:
        federation: of the county.
        round_id, release: digests as hex.
        plan: id of its plan.
        school_year, wave: of the plan.
        standing: ``valid`` or ``corrected``; a withdrawn release is in no total.
        corrections: what was said of the release since.
        schools, reports_in: on the roster, and in the sum.
        rho: of the round.
        log_size, log_root: of the log that it was read from.
        policy: SHA-256 of the policy file as hex.
    """

    federation: str
    round_id: str
    release: str
    plan: str
    school_year: str
    wave: str
    standing: str
    corrections: tuple[Mapping[str, object], ...]
    schools: int
    reports_in: int
    rho: str
    log_size: int
    log_root: str
    policy: str

    def as_dict(self) -> dict[str, object]:
        """Return the head for a json file."""
        values: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        return values | {"corrections": [dict(row) for row in self.corrections]}


def combined_files(heads: Sequence[CountyHead], parts: Sequence[Part]) -> dict[str, bytes]:
    """Compute the files of a total: relative path → content.

    Args:
        heads: of the counties, in the order of the parts.
        parts: their releases and schools.

    Raises:
        SelectionError: fewer than two counties, other school years or waves, a federation twice, or rule 1 or
            3 of `results.combining`.
    """
    _check_heads(heads)
    tables = {name: list(total_table(parts, name)) for name in _common_tables(parts)}
    floor = max(part.release.display_floor for part in parts)
    head = {
        "format": FORMAT,
        "plan": heads[0].plan,
        "school_year": heads[0].school_year,
        "wave": heads[0].wave,
        "counties": [row.as_dict() for row in heads],
        "schools": sum(row.schools for row in heads),
        "reports_in": sum(row.reports_in for row in heads),
        "left_out": sorted({t.id for p in parts for t in p.release.tables} - tables.keys()),
        "display_floor": floor,
    }
    cells = {name: [_cell(keys, amount, floor) for keys, amount in rows] for name, rows in tables.items()}
    listed = [{"id": name, "cells": rows} for name, rows in cells.items()]
    files = {"combined.json": _json(head | {"tables": listed})}
    files |= indicator_files({"format": FORMAT, "plan": heads[0].plan}, total_indicators(parts))
    for name, rows in tables.items():
        files[f"tables/{name}.csv"] = _csv(rows, floor)
    return files


def _check_heads(heads: Sequence[CountyHead]) -> None:
    if len(heads) < 2:
        raise SelectionError("a total of counties: expected the releases of two or more")
    if len({head.federation for head in heads}) != len(heads):
        raise SelectionError("a total of counties: expected each county once")
    if len({(head.plan, head.school_year, head.wave) for head in heads}) != 1:
        raise SelectionError("a total of counties: expected the same plan, school year and wave in each")
    if any(head.standing == "withdrawn" for head in heads):
        raise SelectionError("a total of counties: a withdrawn release is in no total")


def _common_tables(parts: Sequence[Part]) -> list[str]:
    """List the tables of counts that every county released, in the first one's order."""
    known = [{table.id for table in part.release.tables} for part in parts]
    return [
        table.id
        for table in parts[0].release.tables
        if not table.layout.sum and all(table.id in found for found in known)
    ]


def _cell(keys: Mapping[str, str], amount: Amount, floor: int) -> dict[str, object]:
    return {"keys": dict(keys), **_numbers(amount, floor)}


def _numbers(amount: Amount, floor: int) -> dict[str, object]:
    interval = amount.interval
    shown = show_count(amount.value, amount.se, floor=floor).text()
    return dict(zip(_NUMBERS, (amount.value, amount.se, interval.low, interval.high, shown), strict=True))


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _csv(rows: Sequence[tuple[Mapping[str, str], Amount]], floor: int) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*(rows[0][0] if rows else ()), *_NUMBERS])
    writer.writerows([*keys.values(), *_numbers(amount, floor).values()] for keys, amount in rows)
    return out.getvalue().encode()
