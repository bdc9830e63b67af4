"""What a reader of a release must know beside its numbers, as phrases for every language.

`notes_of` speaks of one release; `EXACT_DATA_NOTES` of figures of earlier years that were added up exactly
from name lists, so that nobody compares the two without knowing what differs.
"""

from collections.abc import Mapping, Sequence

from plan.codes import GROUP
from plan.document import PlanDocument
from plan.errors import Phrase, phrase
from results.report_parts import WITHDRAWN

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


def notes_of(
    plan: PlanDocument, schools: int, reports_in: int, corrections: Sequence[Mapping[str, object]] = ()
) -> tuple[Phrase, ...]:
    """Say what a reader of these numbers must know besides the standard footers.

    Args:
        schools: on the plan's roster.
        reports_in: of them in the sum.
        corrections: what was said of the release since, as in `ReleaseHead`.
    """
    found = [*map(_correction, corrections)]
    found += [
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


def _correction(said: Mapping[str, object]) -> Phrase:
    """Say that a release was taken back, or that some of its tables are wrong."""
    if said.get("status") == WITHDRAWN:
        return phrase(
            "this release was withdrawn and must not be used: %(reason)s", reason=said.get("reason", "")
        )
    tables = said.get("tables")
    names = ", ".join(map(str, tables)) if isinstance(tables, list | tuple) else ""
    return phrase(
        "tables not to be read as they stand, as was logged later: %(tables)s (%(reason)s)",
        tables=names or phrase("all tables"),
        reason=said.get("reason", ""),
    )
