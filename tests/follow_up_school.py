"""A made-up school of seven pupils for the follow-up: names, levels, consent, a ledger, two waves.

| pupil | level | |
| --- | --- | --- |
| 0 | 3 | |
| 1 | 2 | |
| 2 | 1 | |
| 3 | 0 | |
| 4 | 3 | consent denied: counted in 6, with no finding |
| 5 | | on leave, not tested |
| 6 | 2 | of the same name as pupil 3 |
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fakes_roles import actor, add
from fakes_vault import SchoolHouse

from node.vault.find_pupil import find_wave
from node.vault.records import read_records
from node.vault.roles import PSYCHOLOGIST
from plan.record import Record

EXAMPLES = Path(__file__).parents[1] / "examples"
TEACHER = "李老师"
NAMES = ("赵若兰", "钱一鸣", "孙知行", "李晓梅", "周子衿", "吴安然", "李晓梅")
LEVELS = ("三级预警", "二级预警", "一级预警", "正常", "三级预警", "", "二级预警")
FACTORS = ("学习焦虑", "对人焦虑", "孤独倾向", "自责倾向", "过敏倾向", "身体症状", "恐怖倾向", "冲动倾向")
AUTUMN = {"wave": "A", "school_year": "2026-2027", "census_date": "2026-09-30"}
SPRING = {"wave": "S", "school_year": "2026-2027", "census_date": "2027-03-31"}
FIRST, SECOND, THIRD, FOURTH, DENIED, ON_LEAVE, SAME_NAME = range(7)


def number(place: int) -> str:
    """Give a pupil's student number."""
    return f"G99000120150901{place:03d}X"


def files(
    *,
    levels: tuple[str, ...] = LEVELS,
    pupils: tuple[int, ...] = tuple(range(7)),
    ledger: dict[int, dict[str, str]] | None = None,
    refused: tuple[int, ...] = (DENIED,),
    no_follow_up: tuple[int, ...] = (),
    unrecorded: tuple[int, ...] = (),
    day: str = "2026-09-20",
) -> dict[str, bytes]:
    """Write the files of an import.

    Args:
        levels: labels, by pupil.
        pupils: who is on the roster.
        ledger: by pupil, what a follow-up ledger says, by header.
        refused: pupils whose guardians did not consent.
        no_follow_up: pupils whose guardians denied follow-up.
        unrecorded: pupils whose consent is not recorded.
    """
    roster = ["全国学籍号,姓名,性别,年级,班级,出生日期,监护人同意,未测原因,跟进同意"]
    screening = [",".join(("学籍号", "测评日期", "总分", "预警等级", *FACTORS))]
    for place in pupils:
        consent = "不同意" if place in refused else ("未登记" if place in unrecorded else "同意")
        absence = "请假" if place == ON_LEAVE else ""
        follow_up = "不同意" if place in no_follow_up else "同意"
        who = f"{number(place)},{NAMES[place]},{'男女'[place % 2]},七年级,{1 + place // 4}班"
        roster.append(f"{who},2013-0{place + 1}-03,{consent},{absence},{follow_up}")
        if place != ON_LEAVE:
            screening.append(f"{number(place)},{day},34,{levels[place]},9,8,7,0,1,2,3,4")
    profile = (EXAMPLES / "profiles/platform-person.toml").read_text("utf-8")
    profile = profile.replace("[columns]", '[columns]\nconsent_follow_up = ["跟进同意"]', 1)
    profile += '\n[values.consent_follow_up]\n"同意" = 1\n"不同意" = 2\n'
    found = {
        "roster": "\n".join(roster).encode(),
        "screening": "\n".join(screening).encode(),
        "profile": profile.encode(),
        "codebook": (EXAMPLES / "codebooks/mht.toml").read_bytes(),
    }
    return found | ({"ledger.follow-up": _ledger(ledger)} if ledger else {})


def _ledger(rows: dict[int, dict[str, str]]) -> bytes:
    headers = sorted({header for row in rows.values() for header in row})
    lines = [",".join(("学籍号", "姓名", "年级", "班级", *headers))]
    for place, row in rows.items():
        cells = (row.get(header, "") for header in headers)
        lines.append(",".join((number(place), NAMES[place], "七年级", f"{1 + place // 4}班", *cells)))
    return "\n".join(lines).encode()


def open_school(house: SchoolHouse, **changes: Any) -> SchoolHouse:
    """Make the psychologist's role and import the autumn wave."""
    add(house, PSYCHOLOGIST, TEACHER)
    bring_in(house, **changes)
    return house


def bring_in(house: SchoolHouse, wave: dict[str, str] = AUTUMN, **changes: Any) -> dict[str, Any]:
    """Import a wave."""
    answer = house.call("import", files(**changes), **wave)
    if answer["refused"]:
        raise LookupError(answer["issues"])
    return answer


def ask(house: SchoolHouse, command: str, **fields: Any) -> dict[str, Any]:
    """Give a command as the psychologist."""
    return house.call(command, actor=actor(PSYCHOLOGIST, TEACHER), **fields)


def form(house: SchoolHouse, place: int, wave: str = "A", **values: Any) -> dict[str, Any]:
    """Type something about a pupil into the form."""
    asks = {"school_year": "2026-2027", "wave": wave, "pupil": number(place), "values": values}
    return ask(house, "follow_up_set", **asks)


def record(house: SchoolHouse, place: int, wave: str = "A") -> Record:
    """Give the stored record of a pupil."""
    rows = ask(house, "follow_up_list", school_year="2026-2027", wave=wave, all=1)["pupils"]
    (key,) = [row["rec_key"] for row in rows if row["student_no"] == number(place)]
    records = read_records(house.store, find_wave(house.store, "2026-2027", wave))
    return next(row for row in records if row.rec_key.hex() == key)
