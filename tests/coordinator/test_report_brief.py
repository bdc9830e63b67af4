"""The brief: eight chapters, numbers with their intervals, footers, the class on every page."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from html import unescape

import pytest
import report_samples as samples

from coordinator.errors import ReportError
from coordinator.reports import render
from paper import docx as docx_writer
from paper import pdf as pdf_writer
from results.release_class import CLASSES, narrow
from results.waves import with_cumulative

CHAPTERS = [
    "一、基本情况",
    "二、总体情况",
    "三、分学段、年级、性别情况",
    "四、重点群体情况",
    "五、复测与跟进处置",
    "六、工作条件与保障",
    "七、存在的问题",
    "八、下一步工作",
    "附一：口径说明",
    "附二：隐私保护说明",
    "附三：审计凭证",
]
FOOTERS = (
    "估计数，不作统计报表数据",
    "本表为经隐私保护处理的汇总统计，含随机扰动，不得用于核对个人、班级或学校排名。",
    "测评结果仅供教育关怀工作参考，不作为医学诊断。",
    "本系统不用于紧急情况上报。发现学生有自伤、伤人风险，请立即按应急预案告知监护人并就医。",
)
FORBIDDEN = ("问题学生", "患者", "心理疾病", "异常学生", "名单以外", "排名第", "患病", "病人")
PLANS = ("autumn-full", "spring-monitor", "follow-up", "ledgers")


@pytest.fixture(scope="module", autouse=True)
def _bound() -> None:
    samples.bind()


def page_of(name: str = "autumn-full", language: str = "zh_CN") -> str:
    return render(samples.model(name), "html", language).decode()


def words_of(page: str) -> str:
    return unescape(re.sub("<[^>]+>", "\n", re.sub("<style>.*?</style>", "", page)))


@pytest.mark.parametrize("name", PLANS)
def test_chapters_come_in_order_and_each_says_something(name: str) -> None:
    page = page_of(name)
    assert re.findall("<h2>(.*?)</h2>", page) == CHAPTERS
    for body in re.split("<h2>.*?</h2>", page)[1:]:
        assert len(words_of(body).strip()) > 10


@pytest.mark.parametrize("name", PLANS)
def test_every_estimate_in_a_sentence_has_its_interval(name: str) -> None:
    sentences = re.findall('<p class="body">(.*?)</p>', page_of(name))
    estimates = re.findall("约[0-9.]+[人%]", " ".join(sentences))
    intervals = re.findall("约([0-9.]+)[人%]，95%区间([0-9.]+)[人%]～([0-9.]+)[人%]", " ".join(sentences))
    assert len(estimates) == len(intervals)
    assert len(intervals) >= 3
    assert all(float(low) <= float(value) <= float(high) for value, low, high in intervals)


@pytest.mark.parametrize("language", ["zh_CN", "en"])
@pytest.mark.parametrize("name", PLANS)
def test_no_word_that_a_screening_must_not_use(name: str, language: str) -> None:
    text = words_of(page_of(name, language))
    for word in (*FORBIDDEN, "patient", "illness", "abnormal", "problem student"):
        assert word not in text.lower()


def test_the_title_names_county_school_year_and_term() -> None:
    assert "<h1>样例县2026—2027学年秋季学期学生心理健康测评情况分析报告</h1>" in page_of()
    title = "样例县: report on the mental-health screening of pupils, School year 2026–2027, autumn term"
    assert title in page_of(language="en")


def test_the_page_is_one_file_that_fetches_and_runs_nothing() -> None:
    page = page_of()
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href|action)\s*=""", page)
    assert set(re.findall("https?://[^\"' <]+", page)) == {"http://www.w3.org/2000/svg"}
    assert page.count("<svg") == 3
    ids = re.findall(' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_class_and_notice_stand_on_every_page_and_the_footers_at_the_end() -> None:
    page = page_of()
    running = re.findall('<div class="running"[^>]*>(.*?)</div>', page)[0]
    assert words_of(running).split() == ["内部", FOOTERS[0]]
    assert "position:fixed" in page
    for text in FOOTERS:
        assert text in words_of(page.rpartition('<div class="footers">')[2])


@pytest.mark.parametrize("text", samples.HOSTILE)
def test_a_hostile_name_is_only_a_text(text: str) -> None:
    plain, hostile = (render(samples.named(name), "html", "zh_CN").decode() for name in ("x", text))
    tags = [re.findall("<([a-z0-9]+)[ >]", page) for page in (plain, hostile)]
    assert sorted(tags[0]) == sorted(tags[1])
    assert "\u202e" not in hostile


def test_what_is_withheld_is_said_and_never_shown() -> None:
    model = samples.model("autumn-full", samples.SMALL_SIZE)
    page = render(model, "html", "zh_CN").decode()
    hidden = [row for row in model.indicators if row.shown.is_withheld and row.row and row.row.released > 3]
    assert hidden
    assert "样本过小，不予显示" in page


@pytest.mark.parametrize(("value", "margin", "is_named"), [(92.0, 2.0, True), (94.0, 2.0, False)])
def test_problems_are_named_only_where_the_interval_says_so(
    value: float, margin: float, is_named: bool
) -> None:
    model = samples.model()
    coverage = model.value("IND-02")
    assert coverage is not None
    shown = replace(coverage, shown=replace(coverage.shown, value=value, margin=margin))
    others = tuple(shown if row is coverage else row for row in model.indicators)
    page = render(replace(model, indicators=others), "html", "zh_CN").decode()
    assert ("测评覆盖率低于95%" in page) == is_named


@pytest.mark.parametrize("is_higher", [True, False])
def test_a_stage_above_the_county_stands_in_chapter_three_and_is_no_problem(is_higher: bool) -> None:
    model = samples.model()
    stage = next(row for row in model.indicators if row.indicator.id == "IND-08/2+" and "stage" in row.keys)
    value = 60.0 if is_higher else 0.5
    shown = replace(stage, shown=replace(stage.shown, value=value, margin=0.2))
    rows = tuple(
        shown if row is stage else row
        for row in model.indicators
        if row is stage or row.indicator.id != "IND-08/2+" or not {"stage"} <= row.keys.keys()
    )
    page = words_of(render(replace(model, indicators=rows), "html", "zh_CN").decode())
    third = page.partition(f"\n{CHAPTERS[2]}\n")[2].partition(CHAPTERS[3])[0]
    assert ("检出率高于全县" in third) == is_higher
    assert page.count("检出率高于全县") == is_higher


@pytest.mark.parametrize(
    ("place", "start"), [("Yunling", "Yunling 2026"), ("云岭县教育局", "云岭县教育局2026")]
)
def test_a_latin_name_does_not_run_into_the_year(place: str, start: str) -> None:
    model = samples.model()
    page = render(replace(model, head=replace(model.head, federation_title=place)), "html", "zh_CN").decode()
    assert f"<h1>{start}—2027学年" in page


def test_a_withdrawn_release_says_so_first() -> None:
    model = samples.model()
    page = render(replace(model, head=replace(model.head, status="withdrawn")), "html", "zh_CN").decode()
    assert "已被撤回" in words_of(page.partition("<h2>二")[0])


def test_the_word_document_has_class_pictures_and_constant_times() -> None:
    docx = pytest.importorskip("docx")
    data = render(samples.model(), "docx", "zh_CN")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert sum(name.startswith("word/media/") for name in archive.namelist()) == 3
        body = archive.read("word/document.xml").decode()
    assert body.count('descr="') == 3
    found = docx.Document(io.BytesIO(data))
    heads = [item.text for item in found.paragraphs if item.style.name.startswith("Heading")]
    assert heads == CHAPTERS
    section = found.sections[0]
    assert "内部" in section.header.paragraphs[0].text
    assert FOOTERS[0] in section.footer.paragraphs[0].text
    assert "PAGE" in section.footer.paragraphs[0]._p.xml
    assert found.core_properties.created.isoformat().startswith("2026-12-31")
    text = "\n".join(item.text for item in found.paragraphs)
    assert all(words in text for words in FOOTERS)


def test_the_pdf_has_three_to_six_pages_for_the_county() -> None:
    pytest.importorskip("typst")
    for name in PLANS:
        data = render(samples.model(name), "pdf", "zh_CN")
        assert data.startswith(b"%PDF-")
        assert 3 <= len(re.findall(rb"/Type ?/Page\b", data)) <= 6


def test_without_a_package_the_refusal_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    with pytest.raises(ReportError, match="extra 'pdf'"):
        render(samples.model(), "pdf", "zh_CN")
    monkeypatch.setitem(__import__("sys").modules, "docx", None)
    with pytest.raises(ReportError, match="extra 'docx'"):
        render(samples.model(), "docx", "zh_CN")
    assert pdf_writer.CHINESE_FONTS
    assert docx_writer.PICTURE_MM


def test_a_word_document_without_typst_has_the_numbers_in_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docx")
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    data = render(samples.model(), "docx", "zh_CN")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert not any(name.startswith("word/media/") for name in archive.namelist())
        assert "各年级需要关注及以上检出率" in archive.read("word/document.xml").decode()


def test_tests_of_all_waves_are_told_once_there_are_two() -> None:
    autumn, spring = samples.model("autumn-full"), samples.model("spring-monitor")
    page = render(with_cumulative(spring, [autumn]), "html", "zh_CN").decode()
    found = re.findall("累计测评人次约([0-9]+)人次，95%区间", page)
    tested = [model.value("IND-03") for model in (autumn, spring)]
    total = sum(value.row.released for value in tested if value and value.row)
    assert len(found) == 1
    assert abs(int(found[0]) - total) <= 2.5
    assert "累计测评人次" not in render(with_cumulative(spring, []), "html", "zh_CN").decode()


@pytest.mark.parametrize(("name", "floor"), [("on-request", "20"), ("public", "50")])
def test_what_a_class_hides_is_not_said_to_be_uncounted(name: str, floor: str) -> None:
    model = replace(samples.model(), head=replace(samples.model().head, plan_class="public"))
    narrowed = narrow(model, CLASSES[name])
    for kind in ("html", "json"):
        text = render(narrowed, kind, "zh_CN").decode()
        assert "本报告的公开类别不显示此项内容" in text
        assert "未采集重点群体" not in text
        assert f"数值小于{floor}，" in text
    assert "本次方案未" in page_of("ledgers")
