"""Evidence for the audit records of a level 3 system, control family by control family, from facts alone.

The families stand in `mlps3_controls.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from auditor.evidence import annual
from auditor.evidence import chapters_keys as keys
from auditor.evidence import chapters_log as log
from auditor.evidence.blocks import body, legal, note, table
from auditor.evidence.facts import Facts
from auditor.evidence.mlps3_controls import FAMILIES, STATUS, Family
from auditor.evidence.wording import STATEMENTS, Both, Voice
from paper.document import Block, Paragraph

TITLE: Final = Both(
    "网络安全等级保护三级 审计记录对照证据（%(year)s 年度）",
    "Audit records of a level 3 system (等级保护): evidence by control, %(year)s",
)
SHARES: Final = (26, 17, 57)  # alike in every family


def statement(_facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say first what level the product has: none."""
    yield Paragraph(
        voice.say(
            Both(
                "软件本身没有、也不能有等级；等级由运营单位对其运行的系统定级、备案、测评。"
                "本材料只是供测评引用的证据，不是测评结论。",
                "The software has no level and cannot have one: operators grade, file and have assessed "
                "the systems "
                "that they run. This is evidence for an assessor to use, not an assessment.",
            )
        ),
        "warning",
    )
    yield legal(
        voice,
        Both(
            "等级保护、网络安全法律和标准的条款、留存 180 日的依据待核，本材料不引用条号。",
            "Clauses of the graded protection rules, laws and standards, and the basis of the 180 days, "
            "are still to "
            "be checked; none is cited here.",
        ),
    )
    yield note(
        voice,
        Both(
            "范围：公开日志及其各签名方。县级主机、学校电脑、测评平台各自定级。",
            "Scope: the public log and those who sign it. The county's host, schools' computers and "
            "testing platforms "
            "are graded on their own.",
        ),
    )


def _family(family: Family) -> annual.Chapter:
    def chapter(facts: Facts, voice: Voice) -> Iterator[Block]:
        yield table(
            voice,
            "",
            (
                (Both("要求", "what is asked"), "text"),
                (Both("状态", "status"), "text"),
                (Both("证据", "evidence"), "text"),
            ),
            (
                (
                    voice.say(row.asked),
                    voice.say(STATUS[row.status]),
                    voice.say(row.evidence, **row.values(facts, voice)),
                )
                for row in family.items
            ),
            SHARES,
        )

    return chapter


def records(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Count the audit records of the year by type."""
    yield body(
        voice,
        Both(
            "日志共 %(size)s 条，其中本年度如下（年初位置见附录“日志根”）。",
            "The log has %(size)s entries; those of the year by type (where it begins: annex “Log roots”):",
        ),
        size=facts.end.size,
    )
    yield table(
        voice,
        "",
        ((Both("类型", "type"), "text"), (Both("条数", "entries"), "number")),
        ((voice.word(STATEMENTS, row.type), row.number) for row in facts.entries_of_year),
    )


BODY: Final[tuple[tuple[Both, annual.Chapter], ...]] = (
    (Both("定级声明和范围", "Statement of level, and scope"), statement),
    *((family.title, _family(family)) for family in FAMILIES),
    (Both("本年度审计记录", "Audit records of the year"), records),
    (Both("失败与异常", "Failures"), annual.failures),
    (Both("未决事项", "Open points"), annual.open_points),
    (Both("尚未满足的要求", "What is not yet met"), annual.not_met),
)
ANNEXES: Final[tuple[tuple[Both, annual.Chapter], ...]] = (
    *annual.ANNEXES[:3],
    (Both("密钥与任期", "Keys and terms"), keys.terms),
    (Both("见证与联署", "Witnesses and cosignatures"), keys.witnesses),
    (Both("日志根", "Log roots"), log.ends),
)
