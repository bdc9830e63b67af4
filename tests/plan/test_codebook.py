"""Codebooks: what labels and scores mean, and everything that is refused."""

from dataclasses import replace
from decimal import Decimal

import pytest
from plan_samples import codebook, codebook_toml

from plan.codebook import encode_codebook, parse_codebook_json, parse_codebook_toml
from plan.errors import CodebookError
from plan.labels import LabelSet, normalise_label

SMALL = """
format = "fedscreen/codebook/v1"
id = "small"
version = "1"
title = "小量表"
total = [0, 27]

[[factors]]
id = "mood"
title = "情绪"
range = [0, 9]
high = ">= 6"

[[levels]]
set = "one"
direction = "rising"
labels = { "正常" = 0, "一级" = 1, "二级" = 2, "三级" = 3, "无效" = 9 }
"""


def labels(direction: str, *, has_numbers: bool = False, **levels: str) -> LabelSet:
    pairs = sorted((normalise_label(name.removeprefix("_")), level) for name, level in levels.items())
    return LabelSet("set", direction, has_numbers, tuple(pairs))


@pytest.mark.parametrize("name", ["mht", "addhealth"])
def test_the_examples_are_valid_and_their_encoding_reads_back(name: str) -> None:
    book = codebook(name)
    assert book.id == name
    data = encode_codebook(book)
    assert parse_codebook_json(data) == book
    assert len(book.digest) == 32


def test_the_digest_depends_on_what_is_said_and_not_on_how_it_is_written() -> None:
    book = codebook("mht")
    written_otherwise = codebook_toml("mht").replace(b"[0, 90]", b'["0.0", 90.00]').replace(b"\n", b"\r\n")
    assert parse_codebook_toml(b"\xef\xbb\xbf" + written_otherwise).digest == book.digest
    changed = codebook_toml("mht").replace(b'invalid = ">= 7"', b'invalid = "> 7"')
    assert parse_codebook_toml(changed).digest != book.digest


def test_mht_has_eight_factors_that_are_high_from_eight_on() -> None:
    book = codebook("mht")
    scores = dict.fromkeys((name for name, _ in book.factor_titles), Decimal(7))
    assert len(scores) == 8
    assert book.factors_high(scores) == frozenset()
    assert book.factors_high(scores | {"social": Decimal(8)}) == {"social"}
    assert (book.total.low, book.total.high) == (0, 90)


@pytest.mark.parametrize(
    ("score", "code"),
    [("6", "1"), ("7", "2"), ("10", "2"), (None, "9")],
    ids=["pass", "fail", "most", "none"],
)
def test_validity_follows_the_declared_comparator(score: str | None, code: str) -> None:
    assert codebook("mht").validity_of(None if score is None else Decimal(score)) == code


def test_without_a_validity_scale_there_is_no_validity() -> None:
    assert codebook("addhealth").validity_of(Decimal(3)) == "9"


@pytest.mark.parametrize(
    ("label", "level"),
    [
        ("重点关注", "3"),
        (" 重点 关注\u3000", "3"),
        ("重\u200b点关注\ufeff", "3"),
        ("二级", "2"),
        ("红色", "3"),
        ("一般观察", "0"),
        ("效度未通过", "9"),
    ],
)
def test_a_label_on_which_all_sets_agree_needs_no_set(label: str, level: str) -> None:
    assert codebook("mht").level_of(label) == level


@pytest.mark.parametrize(
    ("label", "label_set", "level"),
    [
        ("三级", "third-is-severe", "3"),
        ("三级", "first-is-severe", "1"),
        ("一级预警", "third-is-severe", "1"),
        ("一级预警", "first-is-severe", "3"),
    ],
)
def test_tiers_follow_the_named_set(label: str, label_set: str, level: str) -> None:
    assert codebook("mht").level_of(label, label_set) == level


@pytest.mark.parametrize(
    ("label", "label_set"),
    [
        ("三级", ""),
        ("一级", ""),
        ("未测评", ""),
        ("紫色", ""),
        ("", ""),
        ("3", ""),
        ("2", "third-is-severe"),
        ("王小明", ""),
        ("重点关注", "no-such-set"),
        ("重点关注", "THIRD-IS-SEVERE"),
    ],
)
def test_a_label_without_one_declared_meaning_is_refused(label: str, label_set: str) -> None:
    with pytest.raises(CodebookError) as caught:
        codebook("mht").level_of(label, label_set)
    assert not label or label in ("三级", "一级", "3", "2", "重点关注") or label not in str(caught.value)


def test_addhealth_declares_bare_numbers() -> None:
    book = codebook("addhealth")
    assert [book.level_of(label) for label in ("0", "1", "2", "3", "４")] == ["0", "1", "2", "3", "3"]
    with pytest.raises(CodebookError):
        book.level_of("5")
    assert book.factors_high({}) == frozenset()


@pytest.mark.parametrize("score", ["-1", "90.5", "91"])
def test_a_total_out_of_range_is_refused_without_repeating_it(score: str) -> None:
    with pytest.raises(CodebookError, match="0 to 90") as caught:
        codebook("mht").check_total(Decimal(score))
    assert f" {score}" not in str(caught.value)


def test_a_total_in_range_passes() -> None:
    codebook("mht").check_total(Decimal(90))


@pytest.mark.parametrize(
    "change",
    [{"social": None}, {"extra": Decimal(1)}, {"social": Decimal(11)}, {"learning": Decimal(-1)}],
    ids=["missing", "unknown", "above", "below"],
)
def test_factor_scores_must_be_exactly_the_codebooks(change: dict[str, Decimal | None]) -> None:
    book = codebook("mht")
    scores: dict[str, Decimal | None] = dict.fromkeys((name for name, _ in book.factor_titles), Decimal(0))
    merged = {name: score for name, score in (scores | change).items() if score is not None}
    with pytest.raises(CodebookError):
        book.factors_high(merged)


@pytest.mark.parametrize("score", ["-1", "11"])
def test_a_validity_score_out_of_range_is_refused(score: str) -> None:
    with pytest.raises(CodebookError):
        codebook("mht").validity_of(Decimal(score))


@pytest.mark.parametrize(
    ("direction", "tiers"),
    [
        ("rising", {"一级": "1", "二级": "2", "三级": "3"}),
        ("falling", {"一级": "3", "二级": "2", "三级": "1"}),
        ("falling", {"一级": "3", "二级": "3", "三级": "2", "四级": "1"}),
        ("rising", {"I级": "1", "II级": "2", "III级": "3"}),
        ("rising", {"一级": "0", "二级": "1", "二级预警": "1", "三级": "3"}),
        ("none", {"正常": "0", "重度": "3"}),
        ("rising", {"一级": "1", "三级": "9"}),
    ],
)
def test_tiers_in_the_declared_direction_are_accepted(direction: str, tiers: dict[str, str]) -> None:
    assert labels(direction, **tiers).labels


@pytest.mark.parametrize(
    ("direction", "tiers"),
    [
        ("none", {"一级": "1"}),
        ("none", {"Ⅱ级预警": "2"}),
        ("sideways", {"正常": "0"}),
        ("falling", {"一级": "1", "二级": "2", "三级": "3"}),
        ("rising", {"一级": "3", "二级": "2", "三级": "1"}),
        ("rising", {"一级": "1", "三级": "1"}),
        ("rising", {"一级": "2", "二级": "2", "三级": "3"}),
        ("rising", {"二级": "2", "2级": "1"}),
        ("falling", {"I级": "1", "II级": "2"}),
        ("rising", {"_1级": "2", "_2级": "1"}),
        ("rising", {"第一级": "3", "第二级": "2"}),
    ],
)
def test_tiers_against_the_declared_direction_are_refused(direction: str, tiers: dict[str, str]) -> None:
    with pytest.raises(CodebookError, match="direction"):
        labels(direction, **tiers)


def test_a_bare_number_is_a_label_only_where_declared() -> None:
    assert LabelSet("set", "none", True, (("0", "0"), ("1", "1"))).level_of("1") == "1"
    with pytest.raises(CodebookError, match="bare number"):
        LabelSet("set", "none", False, (("0", "0"),))


@pytest.mark.parametrize(
    "pairs",
    [
        (("", "0"),),
        (("正 常", "0"),),
        (("正\u200b常", "0"),),
        (("ａ", "0"),),
        (("x" * 33, "0"),),
        (("正常", "4"),),
        (("正常", "0"), ("正常", "1")),
        (("重度", "3"), ("一般", "0")),
    ],
    ids=["empty", "space", "invisible", "full_width", "long", "level", "repeated", "unordered"],
)
def test_a_label_set_is_valid_by_construction(pairs: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(CodebookError):
        LabelSet("set", "none", False, pairs)


REFUSED = [
    ("format", '"fedscreen/codebook/v1"', '"fedscreen/codebook/v2"', "format"),
    ("no_id", 'id = "small"', "", "id"),
    ("id_upper", '"small"', '"Small"', "id"),
    ("version_empty", 'version = "1"', 'version = ""', "version"),
    ("version_number", 'version = "1"', "version = 1", "version"),
    ("title_invisible", "小量表", "小\u200b量表", "title"),
    ("title_not_nfc", "小量表", "e\u0301", "title"),
    ("title_bidi", "小量表", "小\u202e量表", "title"),
    ("title_long", "小量表", "表" * 81, "title"),
    ("range_one", "[0, 27]", "[27]", "total"),
    ("range_reversed", "[0, 27]", "[27, 0]", "total"),
    ("range_text", "[0, 27]", '"0-27"', "total"),
    ("range_nan", "[0, 27]", "[0, nan]", "total"),
    ("range_huge", "[0, 27]", "[0, 1e999999999]", "total"),
    ("range_beyond", "[0, 27]", "[0, 1e99999999999999999999]", "total"),
    ("range_fine", "[0, 27]", "[0, 1.00001]", "total"),
    ("range_bool", "[0, 27]", "[false, true]", "total"),
    ("unknown_key", "[[factors]]", "scale = 1\n[[factors]]", "scale"),
    ("validity_text", "total =", 'validity = "x"\ntotal =', "validity"),
    ("validity_half", "[[factors]]", "[validity]\nrange = [0, 10]\n[[factors]]", "validity.invalid"),
    ("factor_id", '"mood"', '"Mood"', "factors.#1.id"),
    ("factor_high", '">= 6"', '"6"', "factors.#1.high"),
    ("factor_high_number", '">= 6"', "6", "factors.#1.high"),
    ("factor_title", "情绪", "", "factors.#1.title"),
    ("factor_key", "high = ", "hihg = ", "factors.#1.hihg"),
    ("factors_table", "[[factors]]", "[factors]", "factors"),
    ("set_name", '"one"', '"One"', "levels.#1.set"),
    ("direction", '"rising"', '"up"', "levels.#1.direction"),
    ("numbers", 'direction = "rising"', 'direction = "rising"\nnumbers = "yes"', "levels.#1.numbers"),
    ("level_four", '"三级" = 3', '"三级" = 4', "levels.#1.labels.三级"),
    ("level_float", '"三级" = 3', '"三级" = 3.0', "levels.#1.labels.三级"),
    ("level_bool", '"三级" = 3', '"三级" = true', "levels.#1.labels.三级"),
    ("label_twice", '"三级" = 3', '"三级" = 3, "三 级" = 3', "levels.one"),
    ("label_number", '"三级" = 3', '"3" = 3', "levels.one.labels.3"),
    ("tier_reversed", '"三级" = 3', '"三级" = 1', "levels.one.direction"),
    (
        "labels_empty",
        '{ "正常" = 0, "一级" = 1, "二级" = 2, "三级" = 3, "无效" = 9 }',
        "{}",
        "levels.#1.labels",
    ),
    ("no_labels", "labels = {", "label = {", "levels.#1.label"),
]


@pytest.mark.parametrize(
    ("old", "new", "key"), [item[1:] for item in REFUSED], ids=[item[0] for item in REFUSED]
)
def test_a_codebook_with_a_mistake_is_refused_at_its_key(old: str, new: str, key: str) -> None:
    assert old in SMALL
    with pytest.raises(CodebookError) as caught:
        parse_codebook_toml(SMALL.replace(old, new, 1).encode())
    assert key in {problem.key for problem in caught.value.problems}
    assert all(str(problem.allowed) and str(problem.found) for problem in caught.value.problems)


def test_repeated_factors_and_sets_are_refused() -> None:
    book = parse_codebook_toml(SMALL.encode())
    with pytest.raises(CodebookError, match="mood more than once"):
        replace(book, factors=book.factors * 2)
    with pytest.raises(CodebookError, match="one more than once"):
        replace(book, label_sets=book.label_sets * 2)


def test_all_mistakes_are_reported_at_once() -> None:
    text = SMALL.replace('"small"', '"S"').replace("[0, 27]", "7").replace(">= 6", "6")
    with pytest.raises(CodebookError) as caught:
        parse_codebook_toml(text.encode())
    assert {problem.key for problem in caught.value.problems} == {"id", "total", "factors.#1.high"}


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b"null", b'{"format":"fedscreen/codebook/v1"}', b"[" * 5000, b" " * 300_000],
    ids=["empty", "object", "list", "not_utf8", "null", "format_only", "deep", "large"],
)
def test_other_bytes_are_no_codebook(data: bytes) -> None:
    with pytest.raises(CodebookError):
        parse_codebook_json(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"27"', b"27"),
        (b'"27"', b'"27.0"'),
        (b'"validity":{}', b'"validity":{ }'),
        (b'"validity":{},', b""),
        (b'"numbers":"refused",', b""),
        (b'">= 6"', b'">=6"'),
    ],
)
def test_another_spelling_of_a_codebook_is_refused(old: bytes, new: bytes) -> None:
    data = encode_codebook(parse_codebook_toml(SMALL.encode()))
    assert old in data
    with pytest.raises(CodebookError):
        parse_codebook_json(data.replace(old, new))
