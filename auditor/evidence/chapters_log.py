"""Chapters about the log itself: its roots, what `verify` said, how to repeat it, who is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from auditor.evidence.blocks import body, code, note, table
from auditor.evidence.facts import Facts, Head
from auditor.evidence.wording import FORMS, OUTCOMES, STATEMENTS, Both, Voice
from paper.document import Block, Paragraph
from plan.words import CHECKS

TEXT, NUMBER = "text", "number"
ORIGINS: Final = {
    "kept": Both("年初（上年度留存，已核对）", "beginning (kept last year, found consistent)"),
    "beginning": Both("年初（日志自本年度开始）", "beginning (the log began in this year)"),
    "unknown": Both("年初（推定，无留存检查点）", "beginning (inferred; no checkpoint was kept)"),
    "newest": Both("年末（最新）", "end (newest)"),
}


def roots(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Give size and root of the log at both ends of the year, and what was entered between them."""
    yield from ends(facts, voice)
    yield table(
        voice,
        Both("本年度的日志条目", "Entries of the year"),
        ((Both("类型", "type"), TEXT), (Both("条数", "entries"), NUMBER)),
        ((voice.word(STATEMENTS, row.type), row.number) for row in facts.entries_of_year),
    )


def ends(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Give size and root of the log at both ends of the year."""
    yield table(
        voice,
        Both("日志的两端", "The two ends of the log"),
        (
            (Both("时点", "when"), TEXT),
            (Both("条数", "entries"), NUMBER),
            (Both("联署", "cosignatures"), NUMBER),
        ),
        (
            (voice.say(ORIGINS[head.origin]), head.size, len(head.cosignatures))
            for head in (facts.start, facts.end)
        ),
    )
    for head in (facts.start, facts.end):
        if head.root:
            yield note(
                voice,
                Both("第 %(size)s 条时的根（十六进制）：", "Root at %(size)s entries (hex):"),
                size=head.size,
            )
            yield from code((head.root,))
    yield note(voice, Both("首份名册的摘要：", "Digest of the genesis roster:"))
    yield from code((facts.genesis,))
    yield note(
        voice,
        Both(
            "本年度的条目：第 %(first)s 条之后，至第 %(last)s 条。",
            "Entries of the year: those after the first %(first)s, up to %(last)s.",
        ),
        first=facts.start.size,
        last=facts.year_until,
    )


def checks(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Give the outcome of every check, by number, and the digest of what was checked."""
    found = facts.verification
    yield body(
        voice,
        Both(
            "结论：%(summary)s。所核验的核验包：%(kind)s，%(files)s 个文件，其文件清单的 SHA-256 为：",
            "Outcome: %(summary)s. What was checked: a bundle of kind %(kind)s with %(files)s files; "
            "SHA-256 of its "
            "MANIFEST:",
        ),
        summary=voice.word(OUTCOMES, found.summary),
        kind=voice.speech.choose(
            {"public": "公开包", "auditor": "审计方包"}.get(found.kind, found.kind), found.kind
        ),
        files=found.num_files,
    )
    yield from code((found.bundle,))
    if found.policy:
        yield note(voice, Both("所用策略文件的 SHA-256：", "SHA-256 of the policy file:"))
        yield from code((found.policy,))
    yield table(
        voice,
        Both("逐项结果", "Check by check"),
        (
            (Both("序号", "no."), NUMBER),
            (Both("检查", "check"), TEXT),
            (Both("结果", "outcome"), TEXT),
            (Both("看到什么", "what was looked at or found"), TEXT),
        ),
        (
            (
                row.number,
                voice.speech.say(CHECKS.get(row.name, row.name)),
                voice.word(OUTCOMES, row.outcome),
                row.detail_zh if voice.speech.is_chinese else row.detail,
            )
            for row in found.checks
        ),
    )


def commands(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Give the commands that repeat everything, for somebody who does not trust this pack."""
    steps: list[tuple[Both, str]] = [
        (
            Both("核对本材料的文件未被改动：", "Compare the files of this pack with its list:"),
            "sha256sum --check MANIFEST",
        ),
        (
            Both("核对核验包的文件清单就是附一所列的那一份：", "See that the bundle is the one of annex 1:"),
            "sha256sum BUNDLE/MANIFEST",
        ),
        (
            Both("逐项核验，用核验人自己的策略文件：", "Run every check, with a policy of your own:"),
            "fedscreen auditor verify BUNDLE --policy POLICY",
        ),
        (
            Both(
                "用不共享代码的第二个核验程序再做一遍：",
                "The same with the second verifier, which shares no code:",
            ),
            "python tools/verify_standalone.py BUNDLE --policy POLICY",
        ),
        (
            Both(
                "核对日志是上年度留存检查点的延续：",
                "See that the log extends the checkpoint kept last year:",
            ),
            "fedscreen auditor verify BUNDLE --policy POLICY --head KEPT-CHECKPOINT",
        ),
    ]
    steps += [
        (
            Both("重做第 %(serial)s 轮的抽签：", "Make the draw of round %(serial)s again:"),
            f"fedscreen auditor challenge select {row.id[:16]} --bundle BUNDLE --policy POLICY",
        )
        for row in facts.rounds
        if row.has_draw
    ]
    steps.append(
        (
            Both("重新生成本材料，逐字节比较：", "Make this pack again and compare it byte by byte:"),
            f"fedscreen auditor report --profile PROFILE --year {facts.year} --bundle BUNDLE --policy POLICY "
            f"--date {facts.made_on} --out FOLDER",
        )
    )
    serials = iter(row.serial for row in facts.rounds if row.has_draw)
    for words, line in steps:
        is_draw = "challenge select" in line
        yield note(voice, words, serial=next(serials)) if is_draw else note(voice, words)
        yield from code((line,))
    yield note(
        voice,
        Both(
            "核验包须由持有审计方包的一方提供；生成时另用了留存检查点、现场核查文件或说明文件的，"
            "重新生成须用相同的文件。",
            "Whoever holds the bundle hands it over. A pack that was made with a kept checkpoint, visits or "
            "statements needs the same files to be made again.",
        ),
    )


def notes(facts: Facts, voice: Voice) -> Iterator[Block]:
    """Print the signed checkpoints, line by line."""
    heads: tuple[tuple[Head, Both], ...] = (
        (facts.start, Both("年初：", "Beginning:")),
        (facts.end, Both("年末：", "End:")),
    )
    for head, words in heads:
        if head.note:
            yield Paragraph(voice.say(words))
            yield from code(head.note.rstrip("\n").split("\n"))


def schools(facts: Facts, voice: Voice) -> Iterator[Block]:
    """List the schools of the roster in force with the form in which records lie."""
    yield note(
        voice,
        Both(
            "依名册，按编号排列；没有任何学校的人数或结果。",
            "From the roster, by id; no count or result of a school.",
        ),
    )
    has_names = any(row.name for row in facts.schools)
    yield table(
        voice,
        "",
        (
            (Both("学校", "school"), TEXT),
            *(((Both("名称", "name"), TEXT),) if has_names else ()),
            (Both("办学主体", "operator"), TEXT),
            (Both("部署方式", "records"), TEXT),
        ),
        (
            (
                row.id,
                *((row.name or "—",) if has_names else ()),
                row.operator,
                voice.word(FORMS, row.deployment),
            )
            for row in facts.schools
        ),
    )
