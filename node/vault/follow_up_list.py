"""The follow-up list of one wave: who needs what next, by name; for the psychologist alone.

A pupil stands on it while `open_steps` has something to do, or while a critical item is marked and nobody has
reviewed it. It holds what a person needs to act, no score and no factor. Held by nobody but the reader: each
list is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from node.vault.follow_up_form import level_now, open_steps
from node.vault.register import PupilCard
from node.vault.report_axes import class_order
from plan.codes import GRADE, UNKNOWN
from plan.record import Record

REVIEWED = "reviewed"


def follow_up_list(records: Iterable[Record], cards: Mapping[bytes, PupilCard]) -> list[dict[str, Any]]:
    """List the pupils with something open, the most severe first, then by class.

    Args:
        records: of one wave.
        cards: opened with the psychologist's key, by ``rec_key``.

    Returns:
        JSON values of each pupil: `name`, `no` (the school's own number, else the student number), `grade`,
        `class`, `level1`, `level`, `critical`, `recheck`, `open` (fields of the form).
    """
    rows = [
        (record, cards.get(record.rec_key, PupilCard(record.rec_key, "")), steps)
        for record in records
        if (steps := _steps(record))
    ]
    rows.sort(key=lambda row: _order(*row))
    return [_values(*row) for row in rows]


def _steps(record: Record) -> list[str]:
    steps = open_steps(record)
    is_urgent = record.critical == "1" and record.reviewed != "1" and record.closed != "1"
    return [REVIEWED, *(step for step in steps if step not in (REVIEWED, "closed"))] if is_urgent else steps


def _order(record: Record, card: PupilCard, steps: list[str]) -> tuple[object, ...]:
    level = level_now(record)
    severity = -1 if level == UNKNOWN else int(level)
    place = list(GRADE).index(record.grade)
    is_urgent = record.critical == "1" and REVIEWED in steps
    return (not is_urgent, -severity, place, class_order(card.class_name), card.name)


def _values(record: Record, card: PupilCard, steps: list[str]) -> dict[str, Any]:
    return {
        "name": card.name,
        "no": card.local_no or card.student_no,
        "grade": record.grade,
        "class": card.class_name,
        "level1": record.level1,
        "level": level_now(record),
        "critical": record.critical,
        "recheck": record.recheck,
        "open": steps,
    }
