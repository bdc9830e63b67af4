"""Facts about schools, typed by people: fields, one school's facts, indicators FI-01 to FI-10, progress.

This is the door to `results.fact_fields`, `results.fact_records`, `results.fact_indicators` and
`results.progress`, and says who may see what:

1. Facts are exact, outside of differential privacy, and never computed by a node (`DECLARATION`).
2. A count of pupils in difficulty is not a fact.
3. By school they are shown only to that school, and in 表9 学校条件 of a result of the class 内部
   (`condition_rows`). Indicators name no school and may stand in every class.
4. Progress statements are never published by school, in no class; the clerk who telephones sees them.
"""

from collections.abc import Sequence
from typing import Final

from plan.errors import Problem, phrase
from results.errors import FactsError
from results.fact_fields import FIELDS, SECTIONS, Field, field_of_header, is_about_difficulty
from results.fact_indicators import FI_CATALOGUE, FactIndicator, FactValue, Target, fact_indicators
from results.fact_records import (
    InstitutionFacts,
    Value,
    is_year,
    parse_facts,
    plain_value,
    show_value,
    unknown_problem,
)
from results.progress import (
    ATTESTATIONS,
    BAND_LABELS,
    BANDS,
    ProgressStatement,
    ProgressSummary,
    parse_progress,
    progress_summary,
)

__all__ = [
    "ATTESTATIONS",
    "BANDS",
    "BAND_LABELS",
    "DECLARATION",
    "DECLARATION_TEXT",
    "FIELDS",
    "FI_CATALOGUE",
    "INTERNAL",
    "SECTIONS",
    "FactIndicator",
    "FactValue",
    "FactsError",
    "Field",
    "InstitutionFacts",
    "ProgressStatement",
    "ProgressSummary",
    "Target",
    "Value",
    "condition_rows",
    "fact_indicators",
    "field_of_header",
    "is_about_difficulty",
    "is_year",
    "parse_facts",
    "parse_progress",
    "plain_value",
    "progress_summary",
    "show_value",
    "unknown_problem",
]

INTERNAL: Final = "internal"
"""The release class 内部."""

DECLARATION: Final = (
    "学校条件由学校人员填报,为未加噪声的事实数据,不在差分隐私保护范围之内,也不由学校节点计算;"
    "不含任何困难学生、预警学生的人数。分校数据仅供本校和县级内部使用,不得对外发布,不得用于学校排名。"
)
"""What stands under every table of facts, in Chinese."""

DECLARATION_TEXT: Final = phrase(
    "School conditions are typed by people: exact, outside of differential privacy, never computed by a "
    "node, and without any count of pupils in difficulty. By school they are for the school and for use "
    "inside the county, not for publication and not for ranking."
)
"""The same in the reader's language."""


def condition_rows(
    facts: Sequence[InstitutionFacts], release_class: str
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Give 表9 学校条件: zh headers, and a row of shown values for each school by name.

    Raises:
        FactsError: the release class is not 内部.
    """
    if release_class != INTERNAL:
        advice = phrase("facts by school stay inside the county; publish the indicators")
        raise FactsError(
            Problem("release_class", phrase("another class"), phrase("the class 内部 (internal)"), advice)
        )
    names = tuple(name for name in FIELDS if name != "platform_admin_holder")  # may name a person
    ordered = sorted(facts, key=lambda row: (row.school_name, row.node))
    return (
        tuple(FIELDS[name].header.rstrip("*") for name in names),
        tuple(tuple(row.shown(name) for name in names) for row in ordered),
    )
