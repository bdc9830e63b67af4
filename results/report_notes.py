"""What a reader of a release must know beside its numbers, as phrases for every language.

`notes_of` speaks of one release; `EXACT_DATA_NOTES` of figures of earlier years that were added up exactly
from name lists, so that nobody compares the two without knowing what differs.
"""

from plan.codes import GROUP
from plan.document import PlanDocument
from plan.errors import Phrase, phrase

_NUM_GROUPS = len(GROUP)

EXACT_DATA_NOTES: tuple[Phrase, ...] = (
    phrase(
        "figures of earlier years were exact sums of lists; these carry random noise of known size: compare "
        "only differences that are larger than the interval"
    ),
    phrase(
        "pupils are counted where enrolled on the census date; lists of a platform often hold only those "
        "who were tested, or pupils twice"
    ),
    phrase(
        "levels follow the codebook named in the plan; earlier lists may have used other tools, cut-offs "
        "or colours"
    ),
    phrase(
        "pupils without recorded consent are counted as such and have no level; earlier lists may have "
        "held them"
    ),
    phrase(
        "the sum of the schools' own exact reports is not this release: schools left out, late corrections "
        "and noise all differ"
    ),
)
"""Why these numbers and exact figures of earlier years are not simply compared."""


def notes_of(plan: PlanDocument, schools: int, reports_in: int) -> tuple[Phrase, ...]:
    """Say what a reader of these numbers must know besides the standard footers."""
    found = [
        phrase(
            "the numbers are estimates with random noise, not for statistical returns; ± is the half-width "
            "of a 95%% interval"
        )
    ]
    if len(plan.instruments) > 1:
        names = ", ".join(item.id for item in plan.instruments)
        found.append(
            phrase(
                "several instruments were used (%(names)s): levels are pooled over them and depend on how "
                "each codebook maps its labels",
                names=names,
            )
        )
    if reports_in < schools:
        found.append(
            phrase(
                "the numbers are about the pupils of %(reports)s of %(schools)s schools",
                reports=reports_in,
                schools=schools,
            )
        )
    if len(plan.systems) > 1:
        found.append(
            phrase(
                "6-3 and 5-4 schools are in one plan: grade 6 is of two stages, and some numbers by stage "
                "are given for primary and junior together"
            )
        )
    if any(table.multi == "group" and table.touch < _NUM_GROUPS for table in plan.tables):
        found.append(
            phrase(
                "a pupil in many groups is counted in the first three of them only; the three ledgers are "
                "never cut short"
            )
        )
    return tuple(found)
