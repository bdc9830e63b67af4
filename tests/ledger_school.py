"""A made-up school with every column that the ready plans count: a roster with its ledgers, and results.

The pupils depend on a seed alone; the same seed in another wave gives the same pupils with new findings.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from random import Random

EXAMPLES = Path(__file__).parents[1] / "examples"
FACTORS = ("学习焦虑", "对人焦虑", "孤独倾向", "自责倾向", "过敏倾向", "身体症状", "恐怖倾向", "冲动倾向")
GRADES = (*tuple("四五六七八九"), "高一", "高二", "高三", "中职一", "中职二", "中职三")
LEVELS = ("正常", "一级预警", "二级预警", "三级预警")
GROUPS = ("留守", "离异", "心理障碍", "困境", "随迁", "残疾", "家暴或欺凌", "其他")
FLAGS = {
    "reviewed": "已复核",
    "guardian_told": "已告知监护人",
    "supported": "校内干预",
    "referral_advised": "建议转介",
    "referral_attended": "已就诊",
    "green_channel_free": "绿色通道免费",
    "closed": "已结案",
}
YES_NO = {"否": "0", "是": "1", "未知": "9"}
LABELS: dict[str, dict[str, str]] = {
    "groups": {
        **dict(zip(GROUPS, ("g1", "g2", "g3", "g4", "g5", "g6", "g7", "g9"), strict=True)),
        "无": "none",
    },
    "found_by": {"线上测评": "1", "线下观察": "2", "社区筛查": "3", "多渠道": "4"},
    "recheck": {"未复测": "0", "降级": "1", "维持": "2", "升级": "3"},
    "recheck_by": {"本校": "1", "第三方": "2", "医院": "3"},
    "file_built": YES_NO,
    "carer_assigned": YES_NO,
    "pool": {"新增": "1", "在册": "2", "销号": "3"},
    **dict.fromkeys(FLAGS, YES_NO),
    "ref_dest": {
        "精神专科": "1",
        "综合医院": "2",
        "妇幼": "3",
        "心理中心": "4",
        "社会机构": "5",
        "监护人未同意": "6",
    },
    "outcome": {
        "门诊": "1",
        "住院": "2",
        "休学": "3",
        "复学": "4",
        "校内随访": "5",
        "结案": "6",
        "失访": "7",
    },
    "home_visit": YES_NO,
    "handed_over": YES_NO,
}
HEADERS = {
    "groups": "重点群体",
    "found_by": "发现渠道",
    "recheck": "复测结果",
    "recheck_by": "复测机构",
    "level2": "复核等级",
    "file_built": "一生一策",
    "carer_assigned": "专人包案",
    "pool": "预警库",
    **FLAGS,
    "days_to_review": "复核天数",
    "ref_dest": "转介去向",
    "outcome": "转归",
    "home_visit": "家访",
    "handed_over": "档案移交",
    "duration_s": "用时",
}
ROSTER = ("学籍号", "性别", "年级", "就读方式", "是否留守儿童", "家庭结构", "监护人同意", "未测原因")
LEDGER = tuple(name for name in HEADERS if name != "duration_s")
RESULTS = ("学籍号", "测评日期", "效度", "总分", *FACTORS, "预警等级", "用时")


def ledger_profile() -> bytes:
    """Return the platform's profile with the ledgers' columns added."""
    text = (EXAMPLES / "profiles" / "platform.toml").read_text(encoding="utf-8")
    columns = "".join(f'{name} = ["{header}"]\n' for name, header in HEADERS.items())
    text = text.replace("\n[factors]", f"{columns}\n[factors]", 1)
    for name, labels in LABELS.items():
        text += f"\n[values.{name}]\n" + "".join(f'"{label}" = "{code}"\n' for label, code in labels.items())
    return text.encode()


def school_files(pupils: int, wave: str = "A", seed: int = 1) -> dict[str, bytes]:
    """Make the four files of a school whose pupils took the MHT in a wave of 2026-2027."""
    person, finding = Random(f"{seed} person"), Random(f"{seed} {wave}")
    roster: list[list[str]] = [[*ROSTER, *(HEADERS[name] for name in LEDGER)]]
    results: list[list[str]] = [list(RESULTS)]
    for number in range(pupils):
        who = _person(number, person)
        is_absent = finding.random() < 0.06
        who[-1] = finding.choice(("未测", "请假", "免测", "拒测", "转出")) if is_absent else ""
        level = finding.choices(range(4), (70, 14, 10, 6))[0]
        roster.append([*who, *_ledger(0 if is_absent else level, finding, is_tested=not is_absent)])
        if not is_absent:
            results.append(_result(who[0], level, finding, "2026-10-15" if wave == "A" else "2027-04-02"))
    return {
        "roster": _encode(roster),
        "screening": _encode(results),
        "profile": ledger_profile(),
        "codebook": (EXAMPLES / "codebooks" / "mht.toml").read_bytes(),
    }


def _person(number: int, random: Random) -> list[str]:
    grade = random.choice(GRADES)
    return [
        f"G99000120140901{number:03d}X",
        random.choice(("男", "女", "未说明")),
        grade if grade[0] in "高中" else f"{grade}年级",
        random.choice(("走读", "住校", "未知")),
        random.choice(("否", "一方外出", "双方外出", "未知")),
        random.choice(("双亲", "离异", "丧亲", "孤儿", "未知")),
        random.choices(("同意", "不同意", "未登记"), (96, 2, 2))[0],
        "",
    ]


def _ledger(level: int, random: Random, *, is_tested: bool) -> list[str]:
    """Make the cells of `LEDGER` for one pupil: groups and visits of anybody, the rest for alerts."""
    cells = dict.fromkeys(LEDGER, "")
    size = random.choices(range(6), (70, 15, 6, 4, 3, 2))[0]
    cells["groups"] = "、".join(random.sample(GROUPS, size)) or "无"
    cells["home_visit"] = random.choice(("是", "否", ""))
    if level >= 2:
        followed = set(LEDGER) - {"groups", "level2", "recheck_by", "days_to_review", "home_visit"}
        cells |= {name: random.choice((*LABELS[name], "")) for name in LEDGER if name in followed}
        cells["days_to_review"] = random.choice(("", "0", "3", "9 天", "21"))
        cells["level2"] = random.choice(LEVELS) if cells["recheck"] not in ("", "未复测") else ""
    return [cells[name] if is_tested or name not in ("recheck", "level2") else "" for name in LEDGER]


def _result(student_no: str, level: int, random: Random, day: str) -> list[str]:
    scores = [random.randint(0, 10 + 2 * level - (level > 0)) for _ in FACTORS]
    scores = [min(score, 10) for score in scores]
    validity = "未通过" if random.random() < 0.03 else "通过"
    total, duration = str(sum(scores)), f"{random.randint(90, 2400)}秒"
    return [student_no, day, validity, total, *map(str, scores), LEVELS[level], duration]


def _encode(rows: list[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()
