"""Fingerprints for the telephone: three ways to say the same, and words that stay apart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import DecodeError
from crypto.fingerprint import fingerprint, fingerprint_words, read_fingerprint
from crypto.fingerprint_list import CHINESE, ENGLISH, THINGS

LINE = "0001-0203-0405-fdfe-ff10-2030-4050-6070"


def test_the_line_is_the_first_half_of_the_digest() -> None:
    assert fingerprint(b"x").replace("-", "") == hashlib.sha256(b"x").hexdigest()[:32]


@given(st.binary(max_size=40))
def test_every_way_to_say_it_is_read_back(data: bytes) -> None:
    line = fingerprint(data)
    zh, en = fingerprint_words(line, "zh"), fingerprint_words(line, "en")
    for told in (line, line.upper(), line.replace("-", " "), " ".join(zh), "".join(zh), "、".join(zh)):
        assert read_fingerprint(told) == line
    assert read_fingerprint(" ".join(en)) == read_fingerprint(", ".join(en).upper()) == line


def test_the_words_of_a_fingerprint_never_change() -> None:
    assert fingerprint_words(LINE, "en")[:3] == ("abacus", "airplane", "airport")
    assert fingerprint_words(LINE, "zh")[:3] == ("算盘", "飞机", "机场")
    table = "\n".join(" ".join(row) for row in THINGS)
    assert hashlib.sha256(table.encode()).hexdigest()[:16] == "0fbc647c78796b2a"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("", "found 0 parts"),
        ("x", "found 1 parts"),
        (LINE[:-1], "found 8 parts"),
        (LINE + "0", "found 8 parts"),
        (" ".join(fingerprint_words(LINE, "en")[:-1]), "found 15 parts"),
        ("".join(fingerprint_words(LINE, "zh"))[:-1], "word 16 of the fingerprint is not one"),
        (" ".join((*fingerprint_words(LINE, "en")[:-1], "lion")), "word 16 of the fingerprint is not one"),
        (" ".join((*fingerprint_words(LINE, "en")[:-1], "算盘")), "word 16"),
    ],
)
def test_what_is_none_is_refused_with_the_place(told: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        read_fingerprint(told)


def test_a_swapped_pair_of_words_is_another_fingerprint() -> None:
    first, second, *rest = fingerprint_words(LINE, "en")
    assert read_fingerprint(" ".join((second, first, *rest))) != LINE


def test_the_list_is_one_of_256_things() -> None:
    assert len(THINGS) == len(set(CHINESE)) == len(set(ENGLISH)) == 256
    assert all(re.fullmatch("[\u4e00-\u9fff]{2}", word) for word in CHINESE)
    assert all(re.fullmatch("[a-z]{2,13}", word) for word in ENGLISH)


def test_any_two_words_stay_apart_in_a_southern_accent() -> None:
    heard = [_heard(pinyin) for _, pinyin, _ in THINGS]
    assert _close_pairs(heard) == _close_pairs(ENGLISH) == []


def test_close_words_would_be_found() -> None:
    assert _close_pairs(("globe", "sun", "glove", "train", "rain")) == [("globe", "glove"), ("train", "rain")]
    assert _close_pairs(("lion", "lino", "moon")) == []


def _heard(pinyin: str) -> str:
    for sound, other in (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ng", "n"), ("f", "h"), ("r", "l")):
        pinyin = pinyin.replace(sound, other)
    return re.sub("(?:^n|(?<=[aeiou])n(?=[aeiou]))", "l", pinyin)


def _close_pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Find the words that differ in one letter or less."""
    found, seen = [], dict[str, str]()
    for word in words:
        places = range(len(word))
        exchanged = {f"{word[:place]}*{word[place + 1 :]}" for place in places}
        shorter = {"-" + word[:place] + word[place + 1 :] for place in places} | {"-" + word}
        for key in exchanged | shorter:
            if key in seen and (key in exchanged or word == key[1:] or seen[key] == key[1:]):
                found.append((seen[key], word))
            seen[key] = word
    return found
