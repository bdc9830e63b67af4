"""Who a record is about, as the roster says it; kept beside the record, sealed but for the class."""

from __future__ import annotations

from collections.abc import Callable

from node.vault.importing.rows import PupilRow
from node.vault.register import PupilCard
from plan.record import Record


def make_card(record: Record, enrolled: PupilRow, class_key: Callable[[str, str], str]) -> PupilCard:
    """Make the card of one pupil.

    Args:
        record: the pupil's record, for its key and grade.
        enrolled: the row of the roster.
        class_key: gives the class within its grade (`join.class_reader`).
    """
    birth = enrolled.values.get("birth_ym")
    return PupilCard(
        rec_key=record.rec_key,
        class_name=class_key(enrolled.text("class_no"), record.grade),
        name=enrolled.text("name"),
        student_no=enrolled.text("student_no"),
        local_no=enrolled.text("local_no"),
        birth="" if birth is None else str(birth),
    )
