"""What a hand-over file says of a pupil, by kind: no more than its recipient needs.

| field | transfer | referral | consultation | why |
| --- | --- | --- | --- | --- |
| name, birth | yes | yes | no | to know who it is; experts judge a case, not a person |
| student_no | yes | no | no | the next school finds the pupil by it; a hospital has no use for it |
| grade, sex | yes | yes | yes | |
| instrument, tested_on, level1 | yes | yes | yes | what was found, by which scale, when |
| recheck, level2 | yes | yes | yes | what was found after that |
| reviewed, guardian_told, supported | yes | yes | yes | what the school has done |
| referral_advised, referral_attended, ref_dest, outcome | yes | no | yes | where it stands |
| file_built, pool, carer_assigned | yes | no | yes | what the next school continues, what experts judge |
| days_to_review, closed | no | no | yes | for a closure |
| total, factors_high, critical | asked for | asked for | asked for | only if the sender names them (`more`) |

Never: class, family, left-behind, groups (also not g3 and g7), consent, and answers to items, which the vault
does not have. A field that is not known is left out. Codes go with their label, so that a recipient needs no
list of codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from node.vault.errors import CommandError, _
from node.vault.register import PupilCard
from plan.codes import FIELD_CODES, UNKNOWN
from plan.record import Record
from plan.scores import encode_score

WHO: Final = ("name", "birth", "student_no")
FOUND: Final = ("grade", "sex", "instrument", "tested_on", "level1", "recheck", "level2")
DONE: Final = ("reviewed", "guardian_told", "supported")
REFERRED: Final = ("referral_advised", "referral_attended", "ref_dest", "outcome")
KEPT: Final = ("file_built", "carer_assigned", "pool")
FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "transfer": (*WHO, *FOUND, *DONE, *REFERRED, *KEPT),
        "referral": ("name", "birth", *FOUND, *DONE),
        "consultation": (*FOUND, *DONE, *REFERRED, *KEPT, "days_to_review", "closed"),
    }
)
"""By kind, what is handed over where it is known."""

MORE: Final = ("total", "factors_high", "critical")
"""What is handed over only if the sender asks for it by name."""


def pupil_fields(
    kind: str, record: Record, card: PupilCard | None, more: Iterable[str] = ()
) -> dict[str, str]:
    """Give what a file of a kind says of a pupil: text by field, known fields only.

    Args:
        card: the pupil's card; None where no names were kept.
        more: fields of `MORE` besides.

    Raises:
        CommandError: a field that may not be asked for.
    """
    asked = tuple(more)
    if set(asked) - set(MORE):
        raise CommandError(
            _("%(field)s: expected %(expected)s"),
            _("Correct the value and run the command again."),
            details={"field": "more", "expected": ", ".join(MORE)},
        )
    names = (*FIELDS[kind], *(name for name in MORE if name in asked))
    found = {name: _text_of(name, record, card) for name in names}
    return {name: text for name, text in found.items() if text}


def has_finding(fields: Mapping[str, str]) -> bool:
    """Say whether anything is said but who the pupil is."""
    return bool(set(fields) - {*WHO, "grade", "sex"})


def _text_of(name: str, record: Record, card: PupilCard | None) -> str:
    if name in WHO:
        return str(getattr(card, name)) if card is not None else ""
    if name == "tested_on":
        return record.administered_on.isoformat() if record.administered_on is not None else ""
    if name == "days_to_review":
        return "" if record.days_to_review is None else str(record.days_to_review)
    if name == "total":
        return "" if record.total is None else encode_score(record.total)
    if name == "factors_high":
        return ", ".join(sorted(record.factors_high))
    if name == "instrument":
        return record.instrument
    code = str(getattr(record, name))
    if code == UNKNOWN and name != "grade":
        return ""
    return f"{code} {FIELD_CODES[name][code]}"
