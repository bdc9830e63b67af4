"""Chapters about who held keys and who witnessed the log."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.evidence.blocks import body, minute, note, table
from auditor.evidence.facts import Duty, Facts, Head, Term
from auditor.evidence.wording import KEY_CHANGES, REASONS, Both, Voice
from paper.document import Block

TEXT, NUMBER = "text", "number"


def terms(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say which auditor held which keys from which roster to which, and who was away when."""
    yield _terms(facts, voice)
    yield _rosters(facts, voice)
    yield _new_keys(facts, voice)
    yield _revocations(facts, voice)
    yield from _duties(facts, voice)


def _terms(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("审计方任期（依名册链）", "Auditors' terms (from the chain of rosters)"),
        (
            (Both("审计方", "auditor"), TEXT),
            (Both("机构", "operator"), TEXT),
            (Both("县级条线之外", "outside the county's line"), TEXT),
            (Both("声明密钥", "statement key"), TEXT),
            (Both("联署密钥", "cosigning key"), TEXT),
            (Both("任期（名册号）", "term (roster)"), TEXT),
            (Both("备注", "remark"), TEXT),
        ),
        (
            (
                row.auditor,
                row.operator,
                voice.yes(row.is_outside),
                row.statement_key,
                row.cosigner_key,
                _span(row, voice),
                _remark(row, voice),
            )
            for row in facts.terms
        ),
    )


def _rosters(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("名册", "Rosters"),
        (
            (Both("名册号", "roster"), NUMBER),
            (Both("日志位置", "log entry"), NUMBER),
            (Both("学校", "schools"), NUMBER),
            (Both("办学主体", "operators"), NUMBER),
            (Both("审计方", "auditors"), TEXT),
            (Both("法定人数", "quorum"), NUMBER),
            (Both("本年度", "this year"), TEXT),
        ),
        (
            (
                row.serial,
                row.index,
                row.num_schools,
                row.num_operators,
                voice.listed(row.auditors),
                row.quorum,
                voice.yes(row.is_of_year),
            )
            for row in facts.rosters
        ),
    )


def _new_keys(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("密钥更换", "New keys"),
        (
            (Both("名册号", "roster"), NUMBER),
            (Both("事项", "what"), TEXT),
            (Both("谁", "who"), TEXT),
            (Both("数量", "number"), NUMBER),
        ),
        (
            (row.roster, voice.word(KEY_CHANGES, row.what), row.who or "—", row.number)
            for row in facts.key_changes
        ),
    )


def _revocations(facts: Facts, voice: Voice) -> Block:
    return table(
        voice,
        Both("除名", "Revocations"),
        (
            (Both("对象", "who"), TEXT),
            (Both("类别", "kind"), TEXT),
            (Both("原因", "why"), TEXT),
            (Both("日志位置", "log entry"), NUMBER),
        ),
        (
            (
                row.id,
                voice.say(Both("学校", "school") if row.subject == "node" else Both("审计方", "auditor")),
                voice.word(REASONS, row.reason),
                row.index,
            )
            for row in facts.revocations
        ),
    )


def _span(row: Term, voice: Voice) -> str:
    until = str(row.until_roster) if row.until_roster else voice.speech.choose("今", "now")
    return f"{row.from_roster} – {until}"


def _remark(row: Term, voice: Voice) -> str:
    said = []
    if row.follows:
        said.append(voice.say(Both("接替其前一密钥", "follows its earlier key")))
    if row.revoked_at:
        why = voice.word(REASONS, row.reason)
        said.append(voice.say(Both("已除名：%(why)s", "revoked: %(why)s"), why=why))
    return voice.speech.choose("；", "; ").join(said) or "—"


def _duties(facts: Facts, voice: Voice) -> Iterator[Block]:
    yield table(
        voice,
        Both("各轮中每家审计方做了什么", "What each auditor did in each round"),
        (
            (Both("轮次", "round"), NUMBER),
            (Both("审计方", "auditor"), TEXT),
            (Both("批准", "approved"), TEXT),
            (Both("核对", "checked"), TEXT),
            (Both("同意或弃权", "agreed or abandoned"), TEXT),
            (Both("开封", "opened"), TEXT),
            (Both("缺席", "away"), TEXT),
        ),
        (
            (
                row.serial,
                duty.auditor,
                voice.yes(duty.approved),
                voice.yes(duty.checked),
                _vote(duty, voice),
                voice.yes(duty.opened),
                voice.yes(duty.is_away),
            )
            for row in facts.rounds
            for duty in row.duties
        ),
    )
    yield note(
        voice,
        Both(
            "“缺席”指候选名单公布后没有任何声明。轮次只需达到法定人数的审计方，缺席一家不影响结果。",
            "“Away” is whoever stated nothing after the candidates were fixed. A round needs a quorum "
            "only; one "
            "auditor may be away.",
        ),
    )


def _vote(duty: Duty, voice: Voice) -> str:
    if duty.abandoned:
        why = voice.word(REASONS, duty.abandoned)
        return voice.say(Both("弃权：%(why)s", "abandoned: %(why)s"), why=why)
    return voice.say(Both("同意", "agreed")) if duty.agreed else "—"


def witnesses(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Say who cosigned the log at the ends of the year."""
    for head, words in (
        (facts.start, Both("年初留存的检查点", "The checkpoint kept from the beginning of the year")),
        (facts.end, Both("最新检查点", "The newest checkpoint")),
    ):
        if head.note:
            yield _cosignatures(head, words, voice)
    yield body(
        voice,
        Both(
            "日志由审计方兼任见证。联署人各自保存全部日志，并核对与所见一致；时间是联署人自己的时钟。",
            "The auditors witness the log. Whoever cosigns keeps the whole log and has found it "
            "consistent with what "
            "it saw before; times are the witnesses' own.",
        ),
    )


def _cosignatures(head: Head, words: Both, voice: Voice) -> Block:
    title = voice.say(words) + voice.say(
        Both("：%(size)s 条，须 %(quorum)s 家联署", ": %(size)s entries, %(quorum)s cosignatures needed"),
        size=head.size,
        quorum=head.quorum,
    )
    return table(
        voice,
        title,
        ((Both("联署人", "witness"), TEXT), (Both("时间（北京时间）", "time (UTC+8)"), TEXT)),
        ((row.auditor, minute(row.time)) for row in head.cosignatures),
    )
