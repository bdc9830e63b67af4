"""Tiles: paths and bundles as published, and a folder grown step by step equals one written at once."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import DecodeError, ParameterError
from crypto.merkle import leaf_hash, tree_root
from crypto.tiles import (
    changed_tiles,
    encode_entries,
    entries_path,
    parse_entries,
    parse_entries_path,
    parse_tile,
    parse_tile_path,
    tile_path,
)

ENTRIES = [b"entry %d" % i for i in range(70_000)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 999, 1, "tile/0/999.p/1"),
        (1, 1000, 255, "tile/1/x001/000.p/255"),
        (63, 1234067, 256, "tile/63/x001/x234/067"),
        (10, 1_000_000_000, 7, "tile/10/x001/x000/x000/000.p/7"),
        (9, 5, 99, "tile/9/005.p/99"),
        (0, (1 << 63) - 1, 100, "tile/0/x009/x223/x372/x036/x854/x775/807.p/100"),
    ],
)
def test_paths_are_those_of_the_format(level: int, index: int, width: int, path: str) -> None:
    assert tile_path(level, index, width) == path
    assert parse_tile_path(path) == (level, index, width)


@given(st.integers(0, 63), st.integers(0, (1 << 63) - 1), st.integers(1, 256))
def test_paths_round_trip(level: int, index: int, width: int) -> None:
    assert parse_tile_path(tile_path(level, index, width)) == (level, index, width)
    assert parse_entries_path(entries_path(index, width)) == (index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile.0/000",
        "tile/0.000",
        "tile/0/x001.000",
        "tile/0/000.p.1",
        "tile/0/000xp/1",
        "tile/0/000.p/1000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/067",
        "tile/0/x01/067",
        "tile/0/x001/x067",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/300",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "/tile/0/000",
        "../tile/0/000",
        "tile/entries/000",
        "tile/0/" + "x001/" * 30 + "001",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/" + "x999/" * 3000 + "001",
    ],
)
def test_a_malformed_tile_path_is_refused(path: str) -> None:
    with pytest.raises(DecodeError):
        parse_tile_path(path)
    if not path.startswith("tile/entries"):
        with pytest.raises(DecodeError):
            parse_entries_path(path.replace("tile/0", "tile/entries"))


@pytest.mark.parametrize("path", ["tile.entries/000", "tile/entries.000", "tile/entries", "tile/0/000"])
def test_a_malformed_path_of_a_bundle_is_refused(path: str) -> None:
    with pytest.raises(DecodeError):
        parse_entries_path(path)


@pytest.mark.parametrize(
    ("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, 1 << 63, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_a_tile_out_of_range_has_no_path(level: int, index: int, width: int) -> None:
    with pytest.raises(ParameterError):
        tile_path(level, index, width)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    data = encode_entries(entries)
    assert parse_entries(data, len(entries)) == tuple(entries)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 1),
        (b"\x00", 1),
        (b"\x00\x00", 0),
        (b"\x00\x00", 2),
        (b"\x00\x01", 1),
        (b"\x00\x02a", 1),
        (b"\x00\x01ab", 1),
        (b"\x00\x01a\x00", 1),
        (b"\x00\x01a\x00", 2),
        (b"\x00\x01a\x00\x05abcd", 2),
    ],
)
def test_a_malformed_bundle_is_refused(data: bytes, count: int) -> None:
    with pytest.raises(DecodeError):
        parse_entries(data, count)


@given(st.binary(max_size=30), st.integers(0, 4))
def test_hostile_bundles_raise_only_decode_errors(data: bytes, count: int) -> None:
    try:
        entries = parse_entries(data, count)
    except DecodeError:
        return
    assert encode_entries(entries) == data


def test_a_bundle_that_is_cut_short_or_too_long_says_where() -> None:
    for data, reason in (
        (b"\x00", "ends within entry 0 of 2"),
        (b"\x00\x01", "ends within entry 0 of 2"),
        (b"\x00\x01a\x00", "ends within entry 1 of 2"),
        (b"\x00\x01a\x00\x02b", "ends within entry 1 of 2"),
        (b"\x00\x01a\x00\x01bc", "2 entries has 1 bytes too many"),
    ):
        with pytest.raises(DecodeError, match=reason):
            parse_entries(data, 2)


def test_a_bundle_that_does_not_fit_is_refused() -> None:
    assert parse_entries(encode_entries([bytes(0xFFFF)]), 1) == (bytes(0xFFFF),)
    for entries in ([bytes(0x10000)], [b""] * 257):
        with pytest.raises(ParameterError):
            encode_entries(entries)


@pytest.mark.parametrize(("length", "width"), [(0, 1), (31, 1), (33, 1), (64, 1), (32, 2)])
def test_a_tile_of_another_length_is_refused(length: int, width: int) -> None:
    with pytest.raises(DecodeError):
        parse_tile(bytes(length), width)


def test_a_tile_is_the_list_of_its_hashes() -> None:
    assert parse_tile(b"".join(LEAVES[:3]), 3) == tuple(LEAVES[:3])
    assert parse_tile(b"", 0) == ()


def test_a_tree_of_70000_has_the_tiles_that_the_format_names() -> None:
    folder = dict(changed_tiles(LEAVES, ENTRIES, 0, 70_000))
    hash_tiles = {parse_tile_path(path) for path in folder if not path.startswith("tile/entries")}
    assert hash_tiles == (
        {(0, index, 256) for index in range(273)} | {(0, 273, 112), (1, 0, 256), (1, 1, 17), (2, 0, 1)}
    )
    level_one = parse_tile(folder["tile/1/001.p/17"], 17)
    assert level_one[16] == tree_root(LEAVES[272 * 256 : 273 * 256])
    assert parse_tile(folder["tile/2/000.p/1"], 1) == (tree_root(LEAVES[:65536]),)
    assert parse_entries(folder["tile/entries/273.p/112"], 112) == tuple(ENTRIES[273 * 256 :])


def test_a_tree_of_256_has_a_full_tile_and_a_partial_one_above() -> None:
    assert {path for path, _ in changed_tiles(LEAVES, ENTRIES, 0, 256)} == {
        "tile/entries/000",
        "tile/0/000",
        "tile/1/000.p/1",
    }


@given(st.lists(st.integers(0, 900), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_growing_in_steps_writes_every_tile_of_the_last_size(sizes: list[int]) -> None:
    grown: dict[str, bytes] = {}
    steps = [0, *sorted(sizes)]
    for old, new in pairwise(steps):
        for path, contents in changed_tiles(LEAVES, ENTRIES, old, new):
            assert grown.setdefault(path, contents) == contents  # a written tile never changes
    final = dict(changed_tiles(LEAVES, ENTRIES, 0, steps[-1]))
    assert final.items() <= grown.items()


def test_a_log_that_does_not_grow_changes_nothing() -> None:
    assert list(changed_tiles(LEAVES, ENTRIES, 300, 300)) == []
    assert list(changed_tiles([], [], 0, 0)) == []


@pytest.mark.parametrize(("old", "new"), [(-1, 1), (2, 1), (0, 4)])
def test_sizes_beyond_the_log_are_refused(old: int, new: int) -> None:
    for leaves, entries in ((3, 3), (3, 5), (5, 3)):
        with pytest.raises(ParameterError, match=f"cannot grow from {old} to {new}"):
            list(changed_tiles(LEAVES[:leaves], ENTRIES[:entries], old, new))
