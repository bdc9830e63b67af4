"""Chapters about rounds: plans, accounts, releases, replays."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.evidence.blocks import body, day, items, minute, note, short, table
from auditor.evidence.facts import Facts, Round
from auditor.evidence.facts import Table as PlanTable
from auditor.evidence.wording import (
    CLASSES,
    CONSENTS,
    ENDS,
    OUTCOMES,
    REASONS,
    REFUSALS,
    RELATIONS,
    STANDINGS,
    STATES,
    TRIALS,
    WAVES,
    Both,
    Voice,
)
from paper.document import Block, Paragraph

ROUND, TEXT, NUMBER = Both("轮次", "round"), "text", "number"


def plans(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say in plain words what each plan of the year asked for and counted."""
    yield table(
        voice,
        Both("各轮方案", "Plans"),
        (
            (ROUND, NUMBER),
            (Both("名称", "title"), TEXT),
            (Both("学年、批次", "school year, wave"), TEXT),
            (Both("收集期", "window"), TEXT),
            (Both("表数", "tables"), NUMBER),
            (Both("格数", "cells"), NUMBER),
            ((Both("ρ", "ρ")), TEXT),
            (Both("结果", "state"), TEXT),
        ),
        (_plan_row(row, voice) for row in facts.rounds),
    )
    for row in facts.rounds:
        yield Paragraph(_in_words(row, voice))
        yield table(
            voice,
            voice.say(Both("第 %(serial)s 轮统计的内容", "What round %(serial)s counted"), serial=row.serial),
            (
                (Both("表", "table"), TEXT),
                (Both("名称", "title"), TEXT),
                (Both("按什么分组", "counts pupils by"), TEXT),
                (Both("只计哪些学生", "only pupils with"), TEXT),
                (Both("格数", "cells"), NUMBER),
            ),
            (
                (item.id, item.title, _dims(item, voice), _where(item, voice), item.cells)
                for item in row.tables
            ),
        )
    yield note(
        voice,
        Both(
            "每个格子是加了噪声的合计。任何一所学校的格子不离开学校；打开的只有合计。",
            "Each cell is a sum with noise. No school's cells ever leave the school; only the sum is opened.",
        ),
    )


def _plan_row(row: Round, voice: Voice) -> tuple[int | str, ...]:
    window = f"{day(voice, row.opens)} – {day(voice, row.deadline)}"
    return (
        row.serial,
        row.title,
        f"{row.school_year} {voice.word(WAVES, row.wave)}",
        window,
        len(row.tables),
        row.cells,
        row.rho_decimal,
        voice.word(ENDS, row.ended) if row.ended else voice.word(STATES, row.state),
    )


def _in_words(row: Round, voice: Voice) -> str:
    return voice.say(
        Both(
            "第 %(serial)s 轮《%(title)s》（编号 %(id)s…）：目的“%(purpose)s”；依据“%(basis)s”；结果报送 "
            "%(recipients)s；"
            "发布等级%(release_class)s；%(consent)s；统计时点 %(census)s。审计方 %(auditors)s，须 "
            "%(threshold)s 家开封，"
            "同意数不少于 %(quorum)s；至少 %(min_reports)s 个独立办学主体，每组至少 %(min_group)s 所学校。"
            "每名学生至多付出 ρ = %(rho)s（口径：%(relation)s），即 δ = 10⁻⁶ 时 ε = %(epsilon)s。",
            "Round %(serial)s, “%(title)s” (id %(id)s…). Purpose: “%(purpose)s”. Basis: “%(basis)s”. "
            "Results go to "
            "%(recipients)s; release class %(release_class)s; %(consent)s; census on %(census)s. Auditors: "
            "%(auditors)s; %(threshold)s open, at least %(quorum)s agree; at least %(min_reports)s "
            "independent "
            "operators, and %(min_group)s schools in every group. It costs a pupil at most ρ = %(rho)s "
            "(%(relation)s), which is ε = %(epsilon)s at δ = 10⁻⁶.",
        ),
        serial=row.serial,
        title=row.title,
        id=short(row.id),
        purpose=row.purpose,
        basis=row.legal_basis,
        recipients=voice.listed(row.recipients),
        release_class=voice.word(CLASSES, row.release_class),
        consent=voice.word(CONSENTS, row.consent),
        census=row.census_date,
        auditors=voice.listed(row.auditors),
        threshold=row.threshold,
        quorum=row.quorum,
        min_reports=row.min_reports,
        min_group=row.min_group,
        rho=row.rho_decimal,
        relation=voice.word(RELATIONS, row.neighbouring),
        epsilon=row.epsilon,
    )


def _dims(item: PlanTable, voice: Voice) -> str:
    if voice.speech.is_chinese:
        words = " × ".join(item.dim_titles)
        return f"{words}（合计{item.sum}）" if item.sum else words
    words = " × ".join(name.replace("_", " ") for name in item.dims)
    return f"{words} (sum of {item.sum})" if item.sum else words


def _where(item: PlanTable, voice: Voice) -> str:
    found = item.where_zh if voice.speech.is_chinese else tuple(text.replace("_", " ") for text in item.where)
    return voice.speech.choose("；", "; ").join(found) or voice.speech.choose("全部", "all")


def accounts(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say what each school year has cost a pupil at most."""
    yield table(
        voice,
        Both(
            "每名学生的额度（各校中的最高值，不列学校）", "What a pupil was charged at most, over all schools"
        ),
        (
            (Both("学年", "school year"), TEXT),
            (Both("有报送的学校数", "schools with reports"), NUMBER),
            (Both("最高 ρ", "highest ρ"), TEXT),
            (Both("即 ε（δ = 10⁻⁶）", "as ε (δ = 10⁻⁶)"), TEXT),
            (Both("上限 ρ", "cap ρ"), TEXT),
            (Both("上限 ε", "cap ε"), TEXT),
            (Both("未超上限", "within the cap"), TEXT),
        ),
        (
            (
                row.school_year,
                row.num_schools,
                row.spent_decimal,
                row.epsilon,
                row.cap_decimal,
                row.cap_epsilon,
                voice.yes(row.is_within),
            )
            for row in facts.accounts
        ),
    )
    for row in facts.accounts:
        yield body(
            voice,
            Both(
                "%(year)s 学年：设想有人知道其他一切，只猜某一名学生的两种可能记录中哪一种为真，"
                "看过全部公布结果之后，平均每 100 次至多猜对 %(bet)s 次（不看时为 50 次）。",
                "School year %(year)s: somebody who knows everything else and guesses which of two possible "
                "records of one pupil is the true one is right at most %(bet)s times in 100 after seeing "
                "all that "
                "was published (50 without seeing it).",
            ),
            year=row.school_year,
            bet=row.bet_percent,
        )
    yield note(
        voice,
        Both(
            "额度由任何人依日志重新计算；审计方多数弃权、密钥未开封即销毁的轮次退还额度，县级终止的不退。",
            "Anybody recomputes the account from the log. A round that a quorum of auditors abandoned "
            "costs nothing; "
            "one that the county ended does.",
        ),
    )


def releases(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say how each round ended, and what was moved, corrected or withdrawn."""
    yield _ends(facts, voice)
    yield _extensions(facts, voice)
    yield _corrections(facts, voice)
    ended = [row for row in facts.rounds if row.ended]
    yield from items(_end_of(row, voice) for row in ended)


def _ends(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("各轮的结果", "How each round ended"),
        (
            (ROUND, NUMBER),
            (Both("名册学校", "schools in the roster"), NUMBER),
            (Both("有报送", "reported"), NUMBER),
            (Both("计入合计", "in the sum"), NUMBER),
            (Both("未计入", "refused"), NUMBER),
            (Both("结果", "end"), TEXT),
            (Both("现状", "standing"), TEXT),
            (Both("日志位置", "log entry"), TEXT),
        ),
        (_release_row(row, voice) for row in facts.rounds),
    )


def _extensions(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("延期", "Extensions"),
        (
            (ROUND, NUMBER),
            (Both("第几次", "number"), NUMBER),
            (Both("新期限", "new deadline"), TEXT),
            (Both("原因", "why"), TEXT),
            (Both("准予的审计方", "granted by"), TEXT),
            (Both("生效", "in force"), TEXT),
        ),
        (
            (
                row.serial,
                item.serial,
                day(voice, item.closes),
                voice.word(REASONS, item.reason),
                voice.listed(item.granted),
                voice.yes(item.is_in_force),
            )
            for row in facts.rounds
            for item in row.extensions
        ),
    )


def _corrections(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("更正和撤回", "Corrections and withdrawals"),
        (
            (ROUND, NUMBER),
            (Both("性质", "what"), TEXT),
            (Both("涉及的表", "tables"), TEXT),
            (Both("替代轮次", "replaced by round"), TEXT),
            (Both("原因", "why"), TEXT),
            (Both("日志位置", "log entry"), NUMBER),
        ),
        (
            (
                row.serial,
                voice.word(STANDINGS, item.status),
                voice.listed(item.tables) if item.tables else voice.speech.choose("全部", "all"),
                str(item.successor or "—"),
                voice.word(REASONS, item.reason),
                item.index,
            )
            for row in facts.rounds
            for item in row.corrections
        ),
    )


def _release_row(row: Round, voice: Voice) -> tuple[int | str, ...]:
    return (
        row.serial,
        row.num_schools,
        row.num_reporting,
        row.num_set,
        len(row.excluded),
        voice.word(ENDS, row.ended) if row.ended else voice.word(STATES, row.state),
        voice.word(STANDINGS, row.release_standing) if row.release_standing else "—",
        str(row.release_index) if row.release_status else "—",
    )


def _end_of(row: Round, voice: Voice) -> str:
    why = voice.listed([voice.word(REASONS, item) for item in row.reason.split(" ") if item])
    words = voice.say(
        Both("第 %(serial)s 轮：%(end)s", "Round %(serial)s: %(end)s"),
        serial=row.serial,
        end=voice.word(ENDS, row.ended),
    )
    if row.reason:
        words += voice.say(Both("；原因：%(why)s", "; why: %(why)s"), why=why)
    if row.successor:
        words += voice.say(
            Both("；代替它的是第 %(next)s 轮", "; replaced by round %(next)s"), next=row.successor
        )
    refund = Both("；额度已退还", "; its cost was given back")
    return words + (voice.say(refund) if row.is_refunded else "") + voice.speech.choose("。", ".")


def refused_rows(facts: Facts, voice: Voice) -> Iterator[tuple[int | str, ...]]:
    """Give the reports that were refused, as the public log has them."""
    for row in facts.rounds:
        for item in row.excluded:
            yield row.serial, item.node, item.attempt + 1, voice.word(REFUSALS, item.code)


def replays(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say which draws were made, what was recomputed on site, and what visits found."""
    yield _draws(facts, voice)
    yield _logged_replays(facts, voice)
    yield _visits(facts, voice)


def _draws(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("抽查依据", "Draws"),
        (
            (ROUND, NUMBER),
            (Both("可以抽查", "draw possible"), TEXT),
            (Both("已重算的学校数", "schools replayed"), NUMBER),
            (Both("同意而未公开承诺的审计方", "auditors that withheld their share"), TEXT),
        ),
        (
            (
                row.serial,
                voice.yes(row.has_draw),
                len({item.node for item in facts.replays if item.round == row.serial}),
                voice.listed(row.withheld_draws),
            )
            for row in facts.rounds
        ),
    )


def _logged_replays(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("日志中的现场重算", "Replays in the log"),
        (
            (ROUND, NUMBER),
            (Both("学校", "school"), TEXT),
            (Both("审计方", "auditor"), TEXT),
            (Both("结果", "outcome"), TEXT),
            (Both("隔离等级", "wall"), TEXT),
            (Both("日志位置", "log entry"), NUMBER),
        ),
        (
            (
                row.round,
                row.node,
                row.auditor,
                voice.word(OUTCOMES, row.outcome),
                row.confinement,
                row.index,
            )
            for row in facts.replays
            if row.is_of_year
        ),
    )


def _visits(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("现场核查记录（审计方的文件）", "Visits (the auditor's own files)"),
        (
            (ROUND, NUMBER),
            (Both("学校", "school"), TEXT),
            (Both("审计方", "auditor"), TEXT),
            (Both("时间", "time"), TEXT),
            (Both("做了什么", "what was tried"), TEXT),
            (Both("结论", "outcome"), TEXT),
            (Both("签名", "signed"), TEXT),
            (Both("已入日志", "logged"), TEXT),
            (Both("文件摘要", "digest of the file"), TEXT),
        ),
        (
            (
                row.round,
                row.node,
                row.auditor,
                minute(row.ended) if row.ended else "—",
                voice.listed([_trial(item, voice) for item in row.trials]),
                voice.word(OUTCOMES, row.outcome),
                voice.yes(row.is_signed),
                voice.yes(row.is_logged),
                short(row.sha256),
            )
            for row in facts.visits
        ),
    )


def _trial(text: str, voice: Voice) -> str:
    name, _, outcome = text.partition(" ")
    gap = voice.speech.choose("：", ": ")
    return f"{voice.word(TRIALS, name)}{gap}{voice.word(OUTCOMES, outcome)}"
