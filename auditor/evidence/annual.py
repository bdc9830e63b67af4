"""The yearly pack on minors' personal information, chapter by chapter, from facts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from auditor.evidence import chapters_keys as keys
from auditor.evidence import chapters_log as log
from auditor.evidence import chapters_rounds as rounds
from auditor.evidence.blocks import body, items, legal, note, table
from auditor.evidence.facts import Facts
from auditor.evidence.finding_words import NOT_MET_WORDS, told
from auditor.evidence.gaps import CUSTODY_TOPICS, NOT_MET, RETENTION_TOPICS, failures_of, open_points_of, said
from auditor.evidence.wording import FORMS, KINDS, LAWYER, TOPICS, UNSTATED, WITHIN, Both, Voice
from paper.document import Block, Paragraph

TITLE: Final = Both(
    "未成年人个人信息保护年度合规审计证据（%(year)s 年度）",
    "Evidence for the yearly audit of minors' personal information, %(year)s",
)
Chapter = Callable[[Facts, Voice], Iterator[Block]]


def purpose(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say what the pack is for, and what it is not."""
    yield body(
        voice,
        Both(
            "本材料汇总联盟 %(name)s 在 %(year)s 年度内学生心理健康测评汇总统计的可核验证据，"
            "供年度合规审计、主管部门检查和档案留存使用。"
            "内容取自各方签名的公开日志，由程序生成；日志证明不了、由人填写的，单独标明。",
            "This pack collects what can be verified of federation %(name)s and its statistics of school "
            "mental-health screening in %(year)s, for the yearly compliance audit, inspections and the "
            "archive. It "
            "is made by a program from a public log that every party signs; what people state beside it "
            "is marked.",
        ),
        name=facts.federation,
        year=facts.year,
    )
    yield legal(
        voice,
        Both(
            "依据：《未成年人网络保护条例》第三十七条，每年对未成年人个人信息处理情况进行合规审计；"
            "国家网信部门 2025 年 12 月 29 日通知，每年 1 月底前报上一年度。是否适用、由谁报送、"
            "以何种格式，由律师核定。",
            "Basis: Article 37 of the Regulations on the Protection of Minors in Cyberspace (a yearly "
            "compliance "
            "audit of how minors' personal information is handled); the notice of the national "
            "cyberspace authority "
            "of 29 December 2025 (the past year, by the end of January). Whether they apply, who files "
            "and in which "
            "form is for a lawyer.",
        ),
    )
    yield legal(
        voice,
        Both(
            "学生记录属敏感个人信息（《个人信息保护法》第二十八条）；"
            "测评由县级教育部门牵头组织（教思政厅函〔2021〕10号）。",
            "Pupils' records are sensitive personal information (Article 28, Personal Information "
            "Protection Law); "
            "the county's education department leads the screening (notice 教思政厅函〔2021〕10号).",
        ),
    )
    yield Paragraph(
        voice.say(
            Both(
                "本材料是证据，不是合规结论，也不是法律意见。",
                "This pack is evidence. It is neither a finding of compliance nor legal advice.",
            )
        ),
        "warning",
    )


def scope(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say what was looked at and what was not."""
    yield body(
        voice,
        Both(
            "年度按北京时间的公历年计；日志条目本身不带时间，轮次以其收集期（含准予的延期）落在年内为准。"
            "本年度共 %(rounds)s 轮，名册现有 %(schools)s 所学校；日志截至第 %(size)s 条。",
            "The year is the calendar year at UTC+8. Log entries carry no time; a round belongs to the "
            "year if its "
            "window, granted extensions included, has a day in it. There are %(rounds)s rounds; the "
            "roster in force "
            "has %(schools)s schools; the log is read up to %(size)s entries.",
        ),
        rounds=len(facts.rounds),
        schools=len(facts.schools),
        size=facts.end.size,
    )
    yield from items(
        voice.say(words)
        for words in (
            Both(
                "包括：方案、批准、报送的收讫、核对、截止、同意、开封、发布、更正、名册与密钥、现场重算、"
                "隐私额度。",
                "Included: plans, approvals, receipts of reports, checks, closes, agreements, openings, "
                "releases, "
                "corrections, rosters and keys, replays, the privacy accounts.",
            ),
            Both(
                "不包括：任何学生的记录、任何学校的人数或结果、任何估计数；本系统之外的收集（纸质、"
                "社交软件）；学校本机和测评平台内部的管理。",
                "Not included: any pupil's record, any school's count or result, any estimate; whatever "
                "is collected "
                "outside of this system; how schools' computers and testing platforms are run inside.",
            ),
        )
    )
    if said(facts).get("controllers"):
        yield body(
            voice,
            Both(
                "个人信息处理者（由人填写）：%(text)s",
                "Who decides about purposes and means (stated): %(text)s",
            ),
            text=said(facts)["controllers"],
        )


def custody(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say where records lie, and what is stated about the platform."""
    yield table(
        voice,
        Both(
            "学校的部署方式（名册属性，每次发布都载明）",
            "Where schools keep their records (stated in each release)",
        ),
        ((Both("方式", "form"), "text"), (Both("学校数", "schools"), "number")),
        ((voice.word(FORMS, row.form), row.number) for row in facts.custody if row.number),
    )
    yield note(
        voice,
        Both(
            "哪所学校采用哪种方式见附四。本系统的保证只及于本通道：平台上另存的记录不在其内，"
            "因此须另作说明。",
            "Annex 4 names each school's form. What this system promises covers its own channel only; "
            "records that a "
            "platform keeps beside it are not in it, and so they are stated here.",
        ),
    )
    stated = said(facts)
    yield table(
        voice,
        Both(
            "平台数据保管（由人填写，日志不能证明）",
            "Platform custody (stated by people; the log cannot show it)",
        ),
        ((Both("事项", "matter"), "text"), (Both("说明", "statement"), "text")),
        ((voice.say(TOPICS[topic]), stated.get(topic) or voice.say(UNSTATED)) for topic in CUSTODY_TOPICS),
    )


def failures(facts: Facts, voice: Voice) -> Iterator[Block]:
    """List what failed; schools only as the public log names them, by code."""
    found = failures_of(facts)
    yield from items(told(row, voice) for row in found) or (
        body(voice, Both("本年度没有。", "None this year.")),
    )
    yield table(
        voice,
        Both(
            "被拒收的报送（公开日志所载，只有代码）",
            "Reports that were refused (from the public log, by code)",
        ),
        (
            (Both("轮次", "round"), "number"),
            (Both("学校", "school"), "text"),
            (Both("第几次", "attempt"), "number"),
            (Both("原因", "why"), "text"),
        ),
        rounds.refused_rows(facts, voice),
    )


def retention(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say how long what is kept."""
    stated = said(facts)
    yield table(
        voice,
        Both("保存期限（天数由人填写）", "Retention (days as stated by people)"),
        (
            (Both("内容", "what"), "text"),
            (Both("软件的做法", "what the product does"), "text"),
            (Both("天数", "days"), "text"),
        ),
        (
            (voice.say(TOPICS[topic]), voice.say(WITHIN[topic]), stated.get(topic) or voice.say(UNSTATED))
            for topic in RETENTION_TOPICS
        ),
    )
    yield note(
        voice,
        Both(
            "审计方的轮次密钥在开封、弃权、过期或发布之后销毁，不受上表约束。",
            "Auditors' round keys are destroyed after an opening, an abandonment, their expiry or the "
            "release, "
            "whatever the table says.",
        ),
    )


def open_points(facts: Facts, voice: Voice) -> Iterator[Block]:
    """List what this pack leaves open."""
    found = items(told(row, voice) for row in open_points_of(facts))
    yield from found or (body(voice, Both("没有。", "None.")),)


def not_met(_facts: Facts, voice: Voice) -> Iterator[Block]:
    """List what the product does not meet."""
    yield from items(voice.say(NOT_MET_WORDS[name]) for name in NOT_MET)
    yield legal(
        voice,
        Both(
            "等级保护和商用密码的法律依据、适用范围待核；结论以主管部门和测评机构的意见为准。",
            "Legal bases and scope of graded protection and commercial cryptography are still to be "
            "checked; what "
            "authorities and assessors say counts.",
        ),
    )


BODY: Final[tuple[tuple[Both, Chapter], ...]] = (
    (Both("目的和依据", "Purpose and basis"), purpose),
    (Both("范围", "Scope"), scope),
    (Both("部署方式与平台数据保管", "Deployment forms and platform custody"), custody),
    (Both("本年度的方案", "Plans of the year"), rounds.plans),
    (Both("学年隐私额度", "Privacy accounts by school year"), rounds.accounts),
    (Both("发布及其变更", "Releases and what became of them"), rounds.releases),
    (Both("谁在何时持有密钥", "Who held keys, and when"), keys.terms),
    (Both("见证与联署", "Witnesses and cosignatures"), keys.witnesses),
    (Both("现场核查与重算", "On-site visits, replays and draws"), rounds.replays),
    (Both("失败与异常", "Failures"), failures),
    (Both("日志根", "Log roots"), log.roots),
    (Both("保存期限", "Retention"), retention),
    (Both("未决事项", "Open points"), open_points),
    (Both("尚未满足的要求", "What is not yet met"), not_met),
)
ANNEXES: Final[tuple[tuple[Both, Chapter], ...]] = (
    (Both("逐项核验结果", "Verification, check by check"), log.checks),
    (Both("怎样重新核验", "How to repeat each check"), log.commands),
    (Both("检查点原文", "Checkpoints as signed"), log.notes),
    (Both("学校及其部署方式", "Schools and where they keep their records"), log.schools),
)
SUBTITLE: Final = Both("联盟 %(name)s（%(kind)s）", "Federation %(name)s (%(kind)s)")


def subtitle(facts: Facts, voice: Voice) -> str:
    """Name the federation and its kind."""
    return voice.say(SUBTITLE, name=facts.federation, kind=voice.say(KINDS[facts.kind]))


__all__ = ["ANNEXES", "BODY", "LAWYER", "TITLE", "subtitle"]
