"""The plan document: what is read, everything that is refused, and the split for publishing."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import ready_plan, ready_toml

from plan.document import encode_body, from_published, parse_plan_toml, terms_of
from plan.errors import DocumentError
from privacy.sensitivity import Neighbouring

READY = ready_toml().decode()


def refused(text: str | bytes) -> DocumentError:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(DocumentError) as caught:
        parse_plan_toml(data)
    assert all(problem.key is not None and str(problem.allowed) for problem in caught.value.problems)
    return caught.value


def keys_of(error: DocumentError) -> set[str]:
    return {problem.key for problem in error.problems}


def test_autumn_full_is_what_the_domain_asks_for() -> None:
    plan = parse_plan_toml(ready_toml())
    assert [table.id for table in plan.tables] == ["A1", "A2", "A3", "A4", "A5", "A6", "A7"]
    assert plan.rho == Fraction(1, 5)
    assert plan.neighbouring is Neighbouring.REPLACE_ONE
    assert (plan.num_auditors, plan.threshold, plan.collude, plan.quorum) == (4, 3, 1, 3)
    assert plan.min_reports is None
    assert len(plan.grades) == 12
    assert plan.consent == "require"
    assert not plan.has_critical_items
    assert {table.id: table.kept for table in plan.tables} == {
        "A1": {},
        "A2": {"disposition": ("1", "2")},
        "A3": {"disposition": ("1", "2")},
        "A4": {"disposition": ("1", "2")},
        "A5": {"disposition": ("1", "2")},
        "A6": {"disposition": ("1",)},
        "A7": {"disposition": ("1",)},
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b'"1/5"', b'"0.2"'),
        lambda data: data.replace(b'"1/5"', b"0.2"),
        lambda data: data.replace(b'"7/25"', b'"14/50"'),
        lambda data: data.replace(b"[1, 2]", b'["2", "1"]'),
        lambda data: data.replace(b"2026-09-30", b'"2026-09-30"'),
        lambda data: data.replace(b"2026-10-12T08:00:00+08:00", b"2026-10-12T00:00:00Z"),
        lambda data: data.replace(b'consent = "require"', b""),
        lambda data: data.replace(b'"4", "5", "6"', b"6, 5, 4"),
    ],
    ids=["bom", "crlf", "decimal", "number", "not_lowest", "codes", "day", "utc", "default", "grades"],
)
def test_another_way_to_write_the_same_plan(change: Any) -> None:
    assert parse_plan_toml(change(ready_toml())) == parse_plan_toml(ready_toml())


TOP = [
    ("format_missing", 'format = "fedscreen/plan/v1"', "", "format"),
    ("format_other", "plan/v1", "plan/v2", "format"),
    ("id_upper", '"autumn-full"', '"Autumn"', "id"),
    ("id_path", '"autumn-full"', '"../x"', "id"),
    ("id_line_feed", '"autumn-full"', '"autumn\\n"', "id"),
    ("title_empty", '"秋季全员筛查"', '""', "title"),
    ("title_space", '"秋季全员筛查"', '" 秋季"', "title"),
    ("title_number", '"秋季全员筛查"', "5", "title"),
    ("title_control", '"秋季全员筛查"', '"秋\\u0007季"', "title"),
    ("title_bidi", '"秋季全员筛查"', '"秋\\u202e季"', "title"),
    ("title_not_nfc", '"秋季全员筛查"', '"e\\u0301"', "title"),
    ("title_long", '"秋季全员筛查"', '"' + "筛" * 81 + '"', "title"),
    ("recipients_text", 'recipients = ["县(市、区)教育局"]', 'recipients = "县"', "recipients"),
    ("recipients_none", 'recipients = ["县(市、区)教育局"]', "recipients = []", "recipients"),
    ("recipients_twice", 'recipients = ["县(市、区)教育局"]', 'recipients = ["县", "县"]', "recipients"),
    ("basis_missing", "legal_basis", "legal_bases", "legal_basis"),
    ("consent", '"require"', '"none"', "consent"),
    ("consent_bool", '"require"', "true", "consent"),
    ("release_class", '"internal"', '"secret"', "release_class"),
    ("wave", 'wave = "A"', 'wave = "B"', "wave"),
    ("year_form", '"2026-2027"', '"2026/2027"', "school_year"),
    ("year_span", '"2026-2027"', '"2026-2028"', "school_year"),
    ("year_ahead", '"2026-2027"', '"2027-2028"', "school_year"),
    ("year_behind", '"2026-2027"', '"2025-2026"', "school_year"),
    ("census_before_year", "2026-09-30", "2026-08-31", "school_year"),
    ("census_impossible", "census_date = 2026-09-30", 'census_date = "2026-09-31"', "census_date"),
    ("census_moment", "2026-09-30", "2026-09-30T00:00:00", "census_date"),
    ("census_after_close", "2026-09-30", "2027-01-01", "census_date"),
    ("neighbouring", '"replace-one"', '"replace_one"', "neighbouring"),
    ("grade_unknown", '"V3"]', '"V4"]', "grades"),
    ("grade_twice", '"V3"]', '"V2"]', "grades"),
    (
        "grades_none",
        'grades = ["4", "5", "6", "7", "8", "9", "10", "11", "12", "V1", "V2", "V3"]',
        "grades = []",
        "grades",
    ),
    ("grade_float", '"V3"]', "9.0]", "grades"),
    ("system", '"6-3", "5-4"', '"6-3", "5-3"', "systems"),
    ("critical", 'critical_items = "off"', "critical_items = false", "critical_items"),
    ("unknown_key", "[window]", "extra = 1\n[window]", "extra"),
    ("floors_text", "display = 11", 'display = "11"', "floors.display"),
    ("floors_low", "display = 11", "display = 10", "floors.display"),
    ("floors_base_low", "denominator = 30", "denominator = 29", "floors.denominator"),
    ("floors_key", "denominator = 30", "base = 30", "floors.base"),
]

COST = [
    ("rho_zero", '"1/5"', '"0"', "rho"),
    ("rho_above_cap", '"1/5"', '"51/100"', "rho"),
    ("rho_negative", '"1/5"', '"-1/5"', "rho"),
    ("rho_over_zero", '"1/5"', '"1/0"', "rho"),
    ("rho_exponent", '"1/5"', '"2e-1"', "rho"),
    ("rho_huge_exponent", '"1/5"', "1e-999999999", "rho"),
    ("rho_bool", '"1/5"', "true", "rho"),
    ("rho_nan", '"1/5"', "nan", "rho"),
    ("rho_inf", '"1/5"', "inf", "rho"),
    ("rho_spaces", '"1/5"', '"1 / 5"', "rho"),
    ("rho_long", '"1/5"', '"1/50000000000000000000"', "rho"),
    ("rho_big_number", '"1/5"', "0x" + "f" * 900, "rho"),
    ("opens_local", "2026-10-12T08:00:00+08:00", "2026-10-12T08:00:00", "window.opens"),
    ("opens_day", "2026-10-12T08:00:00+08:00", "2026-10-12", "window.opens"),
    ("opens_fraction", "2026-10-12T08:00:00+08:00", "2026-10-12T08:00:00.5+08:00", "window.opens"),
    ("opens_text", "2026-10-12T08:00:00+08:00", '"tomorrow"', "window.opens"),
    ("closes_before", "2026-12-31T18:00:00", "2026-10-11T18:00:00", "window.closes"),
    ("closes_same", "2026-12-31T18:00:00", "2026-10-12T08:00:00", "window.closes"),
    ("closes_late", "2026-12-31T18:00:00", "2027-06-30T18:00:00", "window.closes"),
    ("window_missing", "[window]", "[windows]", "window"),
    ("window_text", "[window]\n", 'window = "x"\n[windows]\n', "window"),
    ("trust_missing", "[trust]", "[truth]", "trust"),
    ("auditors", "auditors = 4", "auditors = 8", "trust.auditors"),
    ("auditors_none", "auditors = 4", "auditors = 0", "trust.auditors"),
    ("auditors_names", "auditors = 4", 'auditors = ["a", "b"]', "trust.auditors"),
    ("threshold_minority", "threshold = 3", "threshold = 2", "trust"),
    ("threshold_above", "threshold = 3", "threshold = 5", "trust"),
    ("collude_many", "collude = 1", "collude = 2", "trust"),
    ("quorum_low", "quorum = 3", "quorum = 2", "trust"),
    ("quorum_high", "quorum = 3", "quorum = 5", "trust"),
    ("min_reports_word", '"auto"', '"all"', "trust.min_reports"),
    ("min_reports_four", '"auto"', "4", "trust.min_reports"),
    ("min_reports_zero", '"auto"', "0", "trust.min_reports"),
    ("min_reports_bool", '"auto"', "true", "trust.min_reports"),
    ("colluding_none", "colluding_schools = 1", "colluding_schools = 0", "trust.colluding_schools"),
    ("min_group_low", "min_group = 5", "min_group = 4", "trust.min_group"),
    ("trust_key", "quorum = 3", "quorums = 3", "trust.quorums"),
]

INSTRUMENT = [
    ("no_instrument", "[[instruments]]", "[[instrument]]", "instruments"),
    ("id", 'id = "mht"', 'id = "MHT"', "instruments.MHT.id"),
    ("id_missing", 'id = "mht"', "", "instruments.#1.id"),
    ("digest_short", 'digest = ""', 'digest = "ab"', "instruments.mht.digest"),
    ("digest_upper", 'digest = ""', f'digest = "{"AB" * 32}"', "instruments.mht.digest"),
    ("total", "total = [0, 90]", "total = 90", "instruments.mht.total"),
    ("total_reversed", "total = [0, 90]", "total = [90, 0]", "instruments.mht.total"),
    ("factor_single", '["social", "对人焦虑"]', '["social"]', "instruments.mht.factors"),
    ("factor_twice", '["social", "对人焦虑"]', '["learning", "对人焦虑"]', "instruments.mht.factors"),
    ("factor_upper", '["social", "对人焦虑"]', '["Social", "对人焦虑"]', "instruments.mht.factors"),
    ("factor_untitled", '["social", "对人焦虑"]', '["social", ""]', "instruments.mht.factors"),
    ("factor_text", '["social", "对人焦虑"]', '"social"', "instruments.mht.factors"),
    ("key", "total = [0, 90]", "total = [0, 90]\nversion = 1", "instruments.mht.version"),
]

A1 = 'dims = ["grade", "disposition"]'
A6 = 'dims = ["stage", "sex", "factor"]'
A7 = 'dims = ["stage", "band"]'
TABLE = [
    ("id_space", 'id = "A1"', 'id = "A 1"', "tables.#1.id"),
    ("id_path", 'id = "A1"', 'id = "../A1"', "tables.#1.id"),
    ("id_repeated", 'id = "A1"', 'id = "A2"', "tables.A2.id"),
    ("id_repeated_case", 'id = "A1"', 'id = "a2"', "tables.A2.id"),
    ("title_missing", 'title = "测评情况"', "", "tables.A1.title"),
    ("dims_unknown", A1, 'dims = ["grade", "school"]', "tables.A1.dims"),
    ("dims_class", A1, 'dims = ["class_no"]', "tables.A1.dims"),
    ("dims_empty", A1, "dims = []", "tables.A1.dims"),
    ("dims_repeated", A1, 'dims = ["grade", "grade"]', "tables.A1.dims"),
    ("dims_number", A1, "dims = [1]", "tables.A1.dims"),
    ("dims_seven", A1, "dims = " + str(["grade"] * 7).replace("'", '"'), "tables.A1.dims"),
    ("dims_critical", A1, 'dims = ["grade", "critical"]', "tables.A1.dims"),
    ("where_critical", A1, A1 + "\nwhere = { critical = [1] }", "tables.A1.dims"),
    ("where_text", A1, A1 + '\nwhere = "x"', "tables.A1.where"),
    ("where_unknown", A1, A1 + "\nwhere = { school = [1] }", "tables.A1.where.school"),
    ("where_band", A1, A1 + "\nwhere = { band = [1] }", "tables.A1.where.band"),
    ("where_code", A1, A1 + "\nwhere = { sex = [3] }", "tables.A1.where.sex"),
    ("where_none", A1, A1 + "\nwhere = { sex = [] }", "tables.A1.where.sex"),
    ("where_twice", A1, A1 + "\nwhere = { sex = [1, 1] }", "tables.A1.where.sex"),
    ("where_single", A1, A1 + "\nwhere = { sex = 1 }", "tables.A1.where.sex"),
    ("where_other_set", A1, A1 + '\nwhere = { group = ["g1"] }', "tables.A1.where.group"),
    ("where_grade_not_eligible", A1, A1 + '\nwhere = { grade = ["3"] }', "tables.A1.where.grade"),
    ("two_sets", A6, 'dims = ["group", "factor"]', "tables.A6.dims"),
    ("multi_missing", 'multi = "factor" ', "# ", "tables.A6.multi"),
    ("multi_other", 'multi = "factor"', 'multi = "group"', "tables.A6.multi"),
    ("multi_without_set", A1, A1 + '\nmulti = "grade"', "tables.A1.multi"),
    ("touch_without_set", A1, A1 + "\ntouch = 2", "tables.A1.touch"),
    ("touch_zero", "touch = 8", "touch = 0", "tables.A6.touch"),
    ("touch_above_codes", "touch = 8", "touch = 9", "tables.A6.touch"),
    ("touch_text", "touch = 8", 'touch = "8"', "tables.A6.touch"),
    ("weight_zero", '"7/25"', '"0"', "tables.A6.weight"),
    ("weight_large", '"7/25"', '"1001"', "tables.A6.weight"),
    ("weight_bool", '"7/25"', "true", "tables.A6.weight"),
    ("instrument_unknown", A7, A7 + '\ninstrument = "phq"', "tables.A7.instrument"),
    ("reason_line_feed", A7, A7 + '\nreason = "a\\nb"', "tables.A7.reason"),
    ("unknown_key", A7, A7 + "\nbins = 10", "tables.A7.bins"),
    (
        "too_many_cells",
        A1,
        'dims = ["grade", "disposition", "outcome", "ref_dest", "level", "level2"]',
        "tables",
    ),
]

MISTAKES = [*TOP, *COST, *INSTRUMENT, *TABLE]


@pytest.mark.parametrize(
    ("old", "new", "key"), [item[1:] for item in MISTAKES], ids=[item[0] for item in MISTAKES]
)
def test_a_mistake_is_refused_at_its_key(old: str, new: str, key: str) -> None:
    assert old in READY
    error = refused(READY.replace(old, new, 1))
    assert key in keys_of(error)
    assert len(str(error)) < 5000


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("quorum =", "qourum =", "quorum"),
        ("touch = 8", "tuoch = 8", "touch"),
        ('"family"', '"famly"', "family"),
        ('"require"', '"requires"', "require"),
        ("census_date", "censusdate", "census_date"),
    ],
)
def test_the_nearest_known_name_is_suggested(old: str, new: str, name: str) -> None:
    error = refused(READY.replace(old, new, 1))
    assert f"did you mean {name}?" in {str(problem.advice) for problem in error.problems}


def test_problems_of_one_kind_do_not_hide_the_others() -> None:
    text = READY
    for old, new in (
        ('wave = "A"', 'wave = "B"'),
        ("threshold = 3", "threshold = 2"),
        ('"2026-2027"', '"2025-2026"'),
        ("2026-12-31T18", "2026-10-01T18"),
        ("touch = 8", "touch = 9"),
    ):
        text = text.replace(old, new, 1)
    expected = {"wave", "trust", "school_year", "window.closes", "tables.A6.touch"}
    assert keys_of(refused(text)) == expected
    assert keys_of(refused(text.replace('wave = "B"', 'wave = "A"'))) == expected - {"wave"}


def test_a_missing_table_is_one_problem_not_one_a_key() -> None:
    error = refused(READY.replace("[trust]", "[trsut]", 1))
    assert keys_of(error) == {"trust", "trsut"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        "title = '秋季'".encode("gbk"),
        READY.encode("utf-16"),
        b"a = " + b"[\n" * 100_000,
        b"a = " + b"9" * 5000,
        b"a",
        b"a = 1\na = 2",
        b"x = 1\n" * 60_000,
        READY.encode().replace(b"\n[trust]", b"\n\x00[trust]"),
        b".".join([b"a"] * 20_000) + b" = 1",
        (b".".join([b"a"] * 400) + b" = 1\n") * 2,
    ],
    ids=[
        "empty",
        "not_utf8",
        "gbk",
        "utf16",
        "brackets",
        "digits",
        "no_value",
        "twice",
        "large",
        "nul",
        "dots",
        "deep",
    ],
)
def test_hostile_bytes_raise_only_a_document_error(data: bytes) -> None:
    refused(data)


def test_the_size_is_bounded() -> None:
    comment = b"\n#" * ((256 * 1024 - len(READY.encode())) // 2)
    comment += b"\n" * (256 * 1024 - len(READY.encode()) - len(comment))
    assert parse_plan_toml(READY.encode() + comment)
    assert "at most 262144 bytes" in str(refused(READY.encode() + comment + b"\n"))


def test_the_length_of_a_line_is_bounded() -> None:
    assert parse_plan_toml(READY.encode() + b"\n#" + b"x" * 999)
    assert "at most 1000 characters" in str(refused(READY.encode() + b"\n#" + b"x" * 1000))


def test_keys_of_hostile_text_are_shown_bounded_and_escaped() -> None:
    error = refused(READY.replace("[window]", '"\u202ea b" = 1\n"' + "k" * 300 + '" = 2\n[window]', 1))
    assert keys_of(error) == {"'\\u202ea b'", "k" * 40}


@given(st.binary(max_size=400))
def test_random_bytes_raise_only_a_document_error(data: bytes) -> None:
    refused(data)


@given(st.integers(0, len(READY) - 1), st.sampled_from(list("\x00\n\"'[]{}=,#9aé\u202e")))
def test_a_changed_character_gives_a_plan_or_a_document_error(position: int, char: str) -> None:
    with contextlib.suppress(DocumentError):
        parse_plan_toml((READY[:position] + char + READY[position + 1 :]).encode())


def test_publishing_and_putting_together_are_exact_inverses() -> None:
    plan = ready_plan(12)
    body = encode_body(plan)
    again = from_published(body, terms_of(plan))
    assert again == plan
    assert encode_body(again) == body


def test_the_body_holds_none_of_the_terms() -> None:
    plan = ready_plan(12)
    other = replace(
        plan,
        rho=Fraction(1, 10),
        min_reports=30,
        colluding_schools=3,
        min_group=7,
        num_auditors=7,
        threshold=5,
        collude=2,
        quorum=5,
        opens=plan.opens + timedelta(days=1),
    )
    assert encode_body(other) == encode_body(plan)
    assert from_published(encode_body(plan), terms_of(other)) == other


def test_a_draft_has_no_terms() -> None:
    draft = parse_plan_toml(ready_toml())
    with pytest.raises(DocumentError, match="auto"):
        terms_of(draft)
    with pytest.raises(DocumentError, match="auto"):
        _ = draft.noise_schools
    assert ready_plan(60).noise_schools == 47


BODY_CHANGES = [
    ("white_space", b'{"census', b'{ "census'),
    ("unknown_key", b'"wave":"A"', b'"wave":"A","x":1'),
    ("missing_key", b',"wave":"A"', b""),
    ("missing_default", b'"consent":"require",', b""),
    ("code_number", b'"disposition":["1","2"]', b'"disposition":[1,2]'),
    ("code_order", b'"disposition":["1","2"]', b'"disposition":["2","1"]'),
    ("weight_not_lowest", b'"7/25"', b'"14/50"'),
    ("weight_decimal", b'"7/25"', b'"0.28"'),
    ("touch_text", b'"touch":8', b'"touch":"8"'),
    ("total_number", b'["0","90"]', b"[0,90]"),
    ("terms_inside", b'"wave":"A"', b'"rho":"1/5","wave":"A"'),
    ("day_form", b'"2026-09-30"', b'"20260930"'),
    ("bool", b'"touch":8', b'"touch":true'),
    ("null", b'"reason":""', b'"reason":null'),
    ("float", b'"touch":8', b'"touch":8.0'),
    ("surrogate", b'"wave":"A"', b'"wave":"\\ud800"'),
]


@pytest.mark.parametrize(
    ("old", "new"), [item[1:] for item in BODY_CHANGES], ids=[item[0] for item in BODY_CHANGES]
)
def test_another_spelling_of_a_body_is_refused(old: bytes, new: bytes) -> None:
    plan = ready_plan()
    body = encode_body(plan)
    assert old in body
    with pytest.raises(DocumentError):
        from_published(body.replace(old, new, 1), terms_of(plan))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'"x"', b"\xff", b"[" * 2000, b" " * 300_000],
    ids=["empty", "list", "object", "text", "not_utf8", "deep", "large"],
)
def test_other_bytes_are_no_body(body: bytes) -> None:
    with pytest.raises(DocumentError):
        from_published(body, terms_of(ready_plan()))


TERMS = [
    ("auditors", {"num_auditors": 8}, "trust"),
    ("threshold", {"threshold": 2}, "trust"),
    ("collude", {"collude": 3}, "trust"),
    ("quorum", {"quorum": 1}, "trust"),
    ("min_reports", {"min_reports": 4}, "trust.min_reports"),
    ("colluding_none", {"colluding_schools": 0}, "trust.colluding_schools"),
    ("colluding_all", {"colluding_schools": 47}, "trust.colluding_schools"),
    ("min_group", {"min_group": 1}, "trust.min_group"),
    ("rho_zero", {"rho": Fraction(0)}, "rho"),
    ("rho_above", {"rho": Fraction(2, 3)}, "rho"),
    ("closes", {"closes": datetime(2026, 1, 1, tzinfo=UTC)}, "window.closes"),
    ("opens_fraction", {"opens": datetime(2026, 10, 12, 0, 0, 0, 5, tzinfo=UTC)}, "window"),
    ("opens_offset", {"opens": datetime(2026, 10, 12, tzinfo=timezone(timedelta(hours=8)))}, "window"),
]


@pytest.mark.parametrize(("values", "key"), [item[1:] for item in TERMS], ids=[item[0] for item in TERMS])
def test_terms_that_break_a_rule_are_refused(values: dict[str, Any], key: str) -> None:
    plan = ready_plan(60)
    with pytest.raises(DocumentError) as caught:
        from_published(encode_body(plan), replace(terms_of(plan), **values))
    assert key in keys_of(caught.value)


def test_one_auditor_alone_is_left_to_the_roster_to_refuse() -> None:
    assert replace(ready_plan(), num_auditors=1, threshold=1, collude=0, quorum=1)


def test_two_instruments_need_tables_that_say_which() -> None:
    plan = ready_plan()
    other = replace(plan.instruments[0], id="phq9", factors=())
    with pytest.raises(DocumentError) as caught:
        replace(plan, instruments=(*plan.instruments, other))
    assert keys_of(caught.value) == {"tables.A6.instrument", "tables.A7.instrument"}
    tables = tuple(replace(table, instrument="mht") if table.is_scored else table for table in plan.tables)
    both = replace(plan, instruments=(*plan.instruments, other), tables=tables)
    assert from_published(encode_body(both), terms_of(both)) == both
    wrong = tuple(replace(table, instrument="phq9") if table.multi else table for table in tables)
    with pytest.raises(DocumentError) as caught:
        replace(both, tables=wrong)
    assert {"tables.A6.dims"} <= keys_of(caught.value)


def test_two_instruments_of_one_id_are_refused() -> None:
    plan = ready_plan()
    with pytest.raises(DocumentError, match="different ids"):
        replace(plan, instruments=plan.instruments * 2)


def test_critical_items_are_counted_only_on_a_persons_word() -> None:
    table = '[[tables]]\nid = "A8"\ntitle = "风险题"\ndims = ["stage", "sex", "critical"]\n'
    assert "critical_items" in str(refused(READY + table))
    allowed = READY.replace('critical_items = "off"', 'critical_items = "counted"') + table
    assert parse_plan_toml(allowed.encode()).has_critical_items


def test_accepts_a_pinned_codebook_only() -> None:
    plan = ready_plan()
    assert plan.accepts("mht", "cd" * 32)
    assert not plan.accepts("phq9", "cd" * 32)
    pinned = replace(plan, instruments=(replace(plan.instruments[0], digest="ab" * 32),))
    assert pinned.accepts("mht", "ab" * 32)
    assert not pinned.accepts("mht", "cd" * 32)
