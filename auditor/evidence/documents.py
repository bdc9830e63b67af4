"""From a year's facts to a document in one language, by profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from auditor.evidence import annual, mlps3
from auditor.evidence.facts import Facts
from auditor.evidence.wording import OUTCOMES, Both, Voice
from paper.document import Document, Head, Part
from paper.speech import Speech

_NUMERALS: Final = "一二三四五六七八九十"
NOTICE: Final = Both(
    "依公开日志生成的证据，不是合规结论", "evidence from the public log, no finding of compliance"
)
VERIFICATION: Final = Both("核验结论", "Verification")
MARK: Final = Both("内部", "Internal")
FOOTERS: Final = (
    Both(
        "本材料不含任何学校的人数或结果，不得用于学校排名。",
        "There is no school's count or result in this pack; it may not be used to rank schools.",
    ),
    Both(
        "测评结果仅供教育关怀工作参考，不作为医学诊断。",
        "Results of the screening serve education and care only; they are no medical diagnosis.",
    ),
    Both(
        "本系统不用于紧急情况上报。发现学生有自伤、伤人风险，请立即按应急预案告知监护人并就医。",
        "This system is no crisis channel. If a pupil is at risk, follow the emergency plan, tell the "
        "guardians and "
        "see a doctor at once.",
    ),
)
SIGN: Final = (
    Both("制作人", "Made by"),
    Both("守密方/督查方", "Auditor or inspector"),
    Both("律师审核", "Checked by a lawyer"),
    Both("单位（盖章）与日期", "Institution (seal), date"),
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a pack is made for: its title and its chapters."""

    title: Both
    chapters: Sequence[tuple[Both, annual.Chapter]]
    annexes: Sequence[tuple[Both, annual.Chapter]]


PROFILES: Final[Mapping[str, Profile]] = {
    "cn-minors-annual": Profile(annual.TITLE, annual.BODY, annual.ANNEXES),
    "mlps3": Profile(mlps3.TITLE, mlps3.BODY, mlps3.ANNEXES),
}


def make_document(facts: Facts, profile: str, speech: Speech) -> Document:
    """Write the pack's document of one profile in one language."""
    chosen, voice = PROFILES[profile], Voice(speech)
    parts = [
        Part(_heading(at, title, voice), tuple(chapter(facts, voice)))
        for at, (title, chapter) in enumerate(chosen.chapters, 1)
    ]
    parts += [
        Part(_annex(at, title, voice), tuple(chapter(facts, voice)), is_annex=True)
        for at, (title, chapter) in enumerate(chosen.annexes, 1)
    ]
    return Document(_head(facts, chosen, voice), tuple(parts))


def _heading(at: int, title: Both, voice: Voice) -> str:
    return voice.speech.choose(f"{numeral(at)}、{title.zh}", f"{at}. {title.en}")


def _annex(at: int, title: Both, voice: Voice) -> str:
    return voice.speech.choose(f"附{numeral(at)}：{title.zh}", f"Annex {at}: {title.en}")


def numeral(number: int) -> str:
    """Write a number from 1 to 19 in Chinese."""
    tens, ones = divmod(number, 10)
    return ("十" if tens else "") + (_NUMERALS[ones - 1] if ones else "")


def _head(facts: Facts, profile: Profile, voice: Voice) -> Head:
    return Head(
        title=voice.say(profile.title, year=facts.year),
        subtitle=annual.subtitle(facts, voice),
        place=facts.federation,
        mark=voice.say(MARK),
        notice=voice.say(NOTICE),
        facts=tuple((voice.say(name), value) for name, value in _about(facts, voice)),
        sign=tuple(voice.say(words) for words in SIGN),
        footers=tuple(voice.say(words) for words in FOOTERS),
        day=date.fromisoformat(facts.made_on),
        language=voice.speech.tag,
        withheld="—",
        alarms=(voice.say(VERIFICATION),) if facts.verification.summary == "FAIL" else (),
    )


def _about(facts: Facts, voice: Voice) -> tuple[tuple[Both, str], ...]:
    summary = voice.word(OUTCOMES, facts.verification.summary)
    source = {
        "folder": Both("审计方自己的日志副本", "an auditor's own copy"),
        "bundle": Both("核验包", "a bundle"),
    }
    return (
        (Both("年度", "Year"), str(facts.year)),
        (Both("材料日期", "Date of this pack"), facts.made_on),
        (Both("来源", "Made from"), voice.say(source[facts.source])),
        (Both("日志条数", "Log entries"), str(facts.end.size)),
        (Both("轮次", "Rounds"), str(len(facts.rounds))),
        (VERIFICATION, summary),
    )
