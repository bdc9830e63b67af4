"""Draw the picture of the principals' pages, once in Chinese and once in English.

    python docs/pictures/make_privacy.py        # writes privacy-zh.svg and privacy-en.svg beside this file

The width of the curves and the numbers of the scale are computed from the ready plan `autumn-full` for 60
schools; the true and the published count are made up (the published one is a likely draw). No font is loaded:
the reader's own is used.
"""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from plan.document import parse_plan_toml  # noqa: E402
from plan.layout import build_layout  # noqa: E402
from plan.publishing import resolve  # noqa: E402
from privacy.intervals import Z95  # noqa: E402
from privacy.risk import guess_bound, times_in_100  # noqa: E402

SCHOOLS = 60
TRUE, PUBLISHED = 41, 47
CAP = Fraction(1, 2)
WIDTH, HEIGHT = 900, 640
INK, SOFT, LINE, BLUE, RED, GREEN = "#222", "#555", "#cfcfcf", "#1f5fa8", "#b23a2e", "#2d7d46"
FONT = "system-ui, 'Noto Sans CJK SC', 'Microsoft YaHei', 'PingFang SC', 'WenQuanYi Micro Hei', sans-serif"

WORDS = {
    "zh": {
        "title": "本校数据怎样变成全县的一个数",
        "1": "1  什么离开学校：一串看不懂的数",
        "school": "本校电脑",
        "records": "学生记录、姓名、精确表",
        "stays": "始终留在这里",
        "noise": "加噪声、加掩码",
        "sent": "送出：83 114 902 771 …",
        "others": "其余 {others} 所学校",
        "sum": "全县总和",
        "county": "只能打开总和，打不开单校",
        "keys": "4 个审计方中 3 个同意后才打开",
        "2": "2  噪声是什么意思：公布 {published}，真实是 {true} 还是 {more}，看不出来",
        "shown": "公布 {published} ± {margin}",
        "without": "真实 {true} 人时可能公布的数",
        "with": "多一名学生、真实 {more} 人时",
        "axis": "公布的人数（例：某年级某性别“重点关注”）",
        "3": "3  一名学生最多承担多大风险：猜 100 次能猜对几次",
        "blind": "{times} 次\n闭着眼睛猜",
        "round": "{times} 次\n看到秋季全员筛查",
        "year": "{times} 次\n全年额度用完",
        "sure": "100 次\n完全确定",
        "note": "猜的人知道其余每名学生的记录，只在这名学生的两种可能之间猜。",
    },
    "en": {
        "title": "How a school's data become one number of the county",
        "1": "1  What leaves the school: figures that say nothing",
        "school": "the school's computer",
        "records": "records, names, exact tables",
        "stays": "stay here, always",
        "noise": "noise and mask added",
        "sent": "sent: 83 114 902 771 …",
        "others": "{others} other schools",
        "sum": "the county's sum",
        "county": "only the sum can be opened",
        "keys": "3 of 4 auditors must agree first",
        "2": "2  What noise means: {published} is published, and {true} or {more} cannot be told apart",
        "shown": "published: {published} ± {margin}",
        "without": "likely numbers if {true} is true",
        "with": "likely numbers with one pupil more",
        "axis": "published number of pupils (example: one grade and sex, level 3)",
        "3": "3  What one pupil risks at most: how often a guess is right, out of 100",
        "blind": "{times}\nblind guess",
        "round": "{times}\nautumn screening seen",
        "year": "{times}\nwhole year's account",
        "sure": "100\ncertain",
        "note": "Who guesses knows every other pupil's record, and has two possible records of this one.",
    },
}


def figures() -> dict[str, int | float]:
    """Compute what the picture shows from the ready plan."""
    draft = parse_plan_toml((HERE.parents[1] / "plan/ready/autumn-full.toml").read_bytes())
    plan = resolve(draft, SCHOOLS)
    sigma = math.sqrt(build_layout(plan).table("A2").released_variance(SCHOOLS))
    return {
        "others": SCHOOLS - 1,
        "true": TRUE,
        "more": TRUE + 1,
        "published": PUBLISHED,
        "sigma": sigma,
        "margin": math.ceil(Z95 * sigma),
        "round": times_in_100(guess_bound(plan.rho)),
        "year": times_in_100(guess_bound(CAP)),
    }


def text(x: float, y: float, words: str, **more: str | int) -> str:
    """Write one line of text."""
    values = {"fill": INK, **more}
    attributes = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in values.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(words, quote=False)}</text>'


def box(x: float, y: float, width: float, height: float, stroke: str, fill: str = "#fff") -> str:
    """Draw a frame with round corners."""
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{stroke}" '
        'stroke-width="1.6"/>'
    )


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """Draw an arrow."""
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{SOFT}" stroke-width="1.8" '
        'marker-end="url(#tip)"/>'
    )


def path_panel(say: dict[str, str]) -> list[str]:
    """Draw the way from a school to the county."""
    middle = {"text_anchor": "middle"}
    return [
        text(30, 78, say["1"], font_size=16, font_weight=600),
        box(30, 94, 215, 106, GREEN, "#f2f8f3"),
        text(137, 120, say["school"], font_weight=600, **middle),
        text(137, 146, say["records"], **middle),
        text(137, 168, say["stays"], fill=GREEN, font_weight=600, **middle),
        arrow(250, 136, 352, 136),
        text(452, 126, say["noise"], fill=BLUE, **middle),
        text(452, 150, say["sent"], font_weight=600, **middle),
        arrow(552, 136, 640, 136),
        box(355, 104, 194, 62, BLUE, "none"),
        text(452, 190, say["others"], fill=SOFT, **middle),
        arrow(552, 186, 640, 160),
        box(645, 94, 225, 106, INK, "#f7f7f7"),
        text(757, 120, say["sum"], font_weight=600, **middle),
        text(757, 146, say["county"], **middle),
        text(757, 170, say["keys"], fill=SOFT, font_size=13, **middle),
    ]


def curve(centre: float, sigma: float, place: tuple[float, float], colour: str, dash: str) -> str:
    """Draw the bell of what may be published for one true number."""
    left, bottom = place
    points = []
    for step in range(141):
        value = 10 + step * 0.5
        height = 118 * math.exp(-((value - centre) ** 2) / (2 * sigma**2))
        points.append(f"{left + (value - 10) * 11.2:.1f},{bottom - height:.1f}")
    return (
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2.2" '
        f'stroke-dasharray="{dash}"/>'
    )


def noise_panel(say: dict[str, str], values: dict[str, int | float]) -> list[str]:
    """Draw the two bells that lie almost on each other."""
    left, bottom, sigma = 58.0, 402.0, float(values["sigma"])

    def at(value: float) -> float:
        return left + (value - 10) * 11.2

    lines = [
        text(30, 244, say["2"], font_size=16, font_weight=600),
        f'<line x1="{left}" y1="{bottom}" x2="{at(80)}" y2="{bottom}" stroke="{INK}"/>',
        curve(TRUE, sigma, (left, bottom), BLUE, "none"),
        curve(TRUE + 1, sigma, (left, bottom), RED, "6 4"),
    ]
    for value in range(10, 81, 10):
        lines.append(
            f'<line x1="{at(value)}" y1="{bottom}" x2="{at(value)}" y2="{bottom + 5}" stroke="{INK}"/>'
        )
        lines.append(text(at(value), bottom + 20, str(value), text_anchor="middle", fill=SOFT))
    lines.append(text(at(45), bottom + 40, say["axis"], text_anchor="middle", fill=SOFT))
    lines.append(
        f'<line x1="{at(PUBLISHED)}" y1="{bottom}" x2="{at(PUBLISHED)}" y2="{bottom - 134}" stroke="{INK}" '
        'stroke-width="1.6" stroke-dasharray="2 3"/>'
    )
    lines.append(text(at(PUBLISHED) + 8, bottom - 122, say["shown"], font_weight=600))
    for row, (name, colour, dash) in enumerate((("without", BLUE, "none"), ("with", RED, "6 4"))):
        y = 300 + 24 * row
        lines.append(
            f'<line x1="{at(57)}" y1="{y - 5}" x2="{at(60)}" y2="{y - 5}" stroke="{colour}" '
            f'stroke-width="2.2" stroke-dasharray="{dash}"/>'
        )
        lines.append(text(at(60.8), y, say[name], fill=colour))
    return lines


def risk_panel(say: dict[str, str], values: dict[str, int | float]) -> list[str]:
    """Draw the scale from blind guessing to certainty."""
    left, right, y = 60.0, 840.0, 548.0

    def at(times: float) -> float:
        return left + (times - 50) / 50 * (right - left)

    year = float(values["year"])
    lines = [
        text(30, 494, say["3"], font_size=16, font_weight=600),
        f'<rect x="{left}" y="{y - 9}" width="{right - left}" height="18" fill="#eee" rx="4"/>',
        f'<rect x="{left}" y="{y - 9}" width="{at(year) - left:.1f}" height="18" fill="#cfe0f2" rx="4"/>',
    ]
    marks = (
        ("blind", 50, SOFT),
        ("round", values["round"], BLUE),
        ("year", values["year"], INK),
        ("sure", 100, RED),
    )
    for name, times, colour in marks:
        x = at(float(times))
        lines.append(
            f'<line x1="{x:.1f}" y1="{y - 14}" x2="{x:.1f}" y2="{y + 14}" stroke="{colour}" '
            'stroke-width="3"/>'
        )
        number, words = say[name].format(times=times).split("\n")
        anchor = {"blind": "start", "sure": "end", "round": "end"}.get(name, "start")
        shift = {"blind": -6, "sure": 6, "round": 8, "year": -8}[name]
        lines.append(text(x + shift, y + 33, number, font_weight=600, fill=colour, text_anchor=anchor))
        lines.append(text(x + shift, y + 52, words, fill=SOFT, text_anchor=anchor))
    lines.append(text(30, y + 80, say["note"], fill=SOFT, font_size=13))
    return lines


def svg(language: str) -> str:
    """Return the whole picture in one language: "zh" or "en"."""
    values = figures()
    say = {
        name: words if name in ("blind", "round", "year", "sure") else words.format(**values)
        for name, words in WORDS[language].items()
    }
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="{FONT}" font-size="14">'
    )
    tip = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{SOFT}"/></marker></defs>'
    )
    lines = [
        head,
        f"<title>{escape(say['title'])}</title>",
        tip,
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(30, 40, say["title"], font_size=20, font_weight=700),
        *path_panel(say),
        *noise_panel(say, values),
        *risk_panel(say, values),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write both pictures."""
    for language in WORDS:
        (HERE / f"privacy-{language}.svg").write_text(svg(language), "utf-8")


if __name__ == "__main__":
    main()
