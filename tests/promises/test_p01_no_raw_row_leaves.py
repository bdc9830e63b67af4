"""P1: no raw row leaves a node. Every byte that crosses a boundary is recorded and searched.

Planted are student numbers, names, a class, a date, rows of scores, the vault's own coding of records, and
the exact tables of two schools. They are looked for in every frame on the pipes, every message inside TLS,
every log line, and every file of the coordinator, the auditors and the nodes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from canaries import find_canaries
from leak_search import FORMATS, Search, files_below, frames_in, of_numbers, of_text, read_messages
from promise_county import (
    FEW,
    MANY,
    NAMES,
    NUM_OFFERS,
    OTHER,
    PLANTED,
    canary_patterns,
    leak_names,
    planted_number,
    planted_scores,
    sent,
)

from node.frames import Kind

pytestmark = pytest.mark.process
NODES = ("s01", "s02", "s03", "s04", "s05")


@pytest.fixture(scope="module")
def patterns(county: Path) -> dict[str, bytes]:
    return canary_patterns(county)


@pytest.fixture(scope="module")
def search(patterns: dict[str, bytes]) -> Search:
    return Search(patterns)


def messages(county: Path) -> Iterator[tuple[str, bytes]]:
    for caller, method, part, data in read_messages(county / "messages.jsonl"):
        yield f"{part} of {method} from {caller}", data


# ---------------------------------------------------------------- nothing planted is found


def test_frames_hold_nothing_planted(county: Path, search: Search) -> None:
    parts = [
        (f"{node} {path.name} {number}", payload)
        for node in NODES
        for path in (county / "frames" / node).iterdir()
        for number, (_kind, payload) in enumerate(frames_in(path))
    ]
    assert len(parts) > 4 * len(NODES)
    assert search.find_in(parts) == []


def test_messages_hold_nothing_planted(county: Path, search: Search) -> None:
    for node in NODES:
        assert sent(county, "GetLog", node)
        assert sent(county, "SubmitReport", node)
    assert search.find_in(messages(county)) == []


@pytest.mark.parametrize(
    "folder", ["logs", "frames", "county/coordinator", "county/auditors", "county/nodes"]
)
def test_files_hold_nothing_planted(county: Path, search: Search, folder: str) -> None:
    found = list(files_below(county / folder))
    assert found
    assert search.find_in(found) == []


def test_what_was_searched_is_what_there_is(county: Path) -> None:
    names = [name for name, _data in files_below(county / "county" / "coordinator")]
    assert {"coordinator.db", "coordinator.db, all cells", "log/checkpoint", "results/release.json"} <= set(
        names
    )
    auditors = {name.split("/")[0] for name, _data in files_below(county / "county" / "auditors")}
    assert auditors == {"a1", "a2", "a3", "a4"}
    logs = {path.name for path in (county / "logs").iterdir()}
    assert {"coordinator.log", "auditor-a1.log", "node-s01.log"} <= logs
    assert {kind for kind, _payload in frames_in(county / "frames" / PLANTED / "from-vault.frames")} == {
        Kind.REPORT
    }
    kinds = {kind for kind, _payload in frames_in(county / "frames" / PLANTED / "from-egress.frames")}
    assert {Kind.LOG, Kind.RECEIPT} <= kinds


# ---------------------------------------------------------------- the same search finds what leaks


@pytest.mark.parametrize("side", ["vault", "egress"])
def test_leak_on_purpose_is_found_behind_tls(county: Path, search: Search, side: str) -> None:
    rows = read_messages(county / "leaky" / side / "messages.jsonl")
    found = set().union(*(search.find(data) for _caller, _method, part, data in rows if part == "request"))
    assert leak_names() <= found


def test_leak_of_a_vault_is_found_in_its_frames(county: Path, search: Search) -> None:
    frames = frames_in(county / "leaky" / "vault" / "frames" / "from-vault.frames")
    assert leak_names() <= set().union(*(search.find(payload) for _kind, payload in frames))


def test_leak_in_the_right_form_passes_every_other_check(county: Path) -> None:
    """Length and header of a leaking report are those of an honest one: only the search tells them apart."""
    leaking = frames_in(county / "leaky" / "vault" / "frames" / "from-vault.frames")
    honest = frames_in(county / "frames" / PLANTED / "from-vault.frames")
    assert {(kind, len(payload)) for kind, payload in leaking} == {
        (kind, len(payload)) for kind, payload in honest
    }
    errors = [
        row for row in read_messages(county / "leaky" / "vault" / "messages.jsonl") if row[2] == "error"
    ]
    assert errors  # the coordinator refused it


def test_egress_that_leaks_shows_nothing_on_the_pipe(county: Path, search: Search) -> None:
    assert search.find_in(files_below(county / "leaky" / "egress" / "frames")) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "gb18030"])
@pytest.mark.parametrize("offset", range(4))
def test_search_finds_every_spelling_of_a_text(search: Search, encoding: str, offset: int) -> None:
    import base64

    for text in (NAMES[0], planted_number(0)):
        raw = bytes(range(200, 200 + offset)) + text.encode(encoding) + b"\xfe\xff"
        written = [raw, raw.hex().encode(), raw.hex().upper().encode()]
        written += [base64.b64encode(raw), base64.urlsafe_b64encode(raw)]
        for data in written:
            names = search.find(b"\0\0" + data + b"\0\0")
            assert any(name.startswith(f"{text} {encoding}") for name in names)
            assert find_canaries(data, [text])


@pytest.mark.parametrize("form", FORMATS)
def test_search_finds_a_row_of_scores_in_every_width(search: Search, form: str) -> None:
    import struct

    scores = planted_scores(2)
    raw = b"".join(struct.pack(form, score) for score in scores)
    assert any(name.startswith(f"factor scores 2 {form}") for name in search.find(b"\x01" + raw + b"\x01"))


def test_search_finds_exact_tables_and_records(patterns: dict[str, bytes], search: Search) -> None:
    for start in (f"{PLANTED} counts", f"{PLANTED} scaled counts", f"{OTHER} counts", "record 0 utf-8"):
        chosen = [pattern for name, pattern in patterns.items() if name.startswith(start)]
        assert chosen
        assert search.find(b"x" + chosen[0] + b"x")


def test_search_finds_nothing_in_noise(search: Search) -> None:
    import hashlib

    noise = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(20_000))
    assert search.find(noise) == set()
    assert search.find(noise.hex().encode()) == set()


def test_equal_data_is_searched_once_and_every_label_of_a_find_is_told() -> None:
    search = Search(of_text("欧阳麴犇") | of_numbers("row", [7, 1, 9, 4, 2, 8, 3]))
    assert search.find_in([("a", b"nothing here"), ("b", "欧阳麴犇".encode()), ("c", b"7,1,9,4,2,8,3")]) == [
        "b: 欧阳麴犇 utf-8",
        "c: row ',' gb18030",
        "c: row ',' utf-8",
    ]


# ---------------------------------------------------------------- lengths do not depend on records


def test_vaults_of_very_different_schools_answer_the_same_frames_with_the_same_lengths(county: Path) -> None:
    """Six pupils without a finding, nine hundred with all: the same kinds, lengths and number."""
    driven = json.loads((county / "driven.json").read_text())
    assert driven[FEW] == driven[MANY]
    assert driven[FEW]["before"] == []
    assert len(driven[FEW]["after"]) == NUM_OFFERS + 1
    assert {kind for kind, _length in driven[FEW]["after"]} == {Kind.REPORT}
    assert len({length for _kind, length in driven[FEW]["after"]}) == 1


def test_frames_of_all_schools_have_one_length(county: Path) -> None:
    lengths = {
        (kind, len(payload))
        for node in NODES
        for kind, payload in frames_in(county / "frames" / node / "from-vault.frames")
    }
    assert len(lengths) == 1


def test_messages_of_all_schools_have_the_same_lengths(county: Path) -> None:
    reports = {node: sent(county, "SubmitReport", node) for node in NODES}
    assert {len(set(found)) for found in reports.values()} == {1}
    assert len({len(data) for found in reports.values() for data in found}) == 1
    asked = [{len(data) for data in sent(county, "GetLog", node)} for node in (FEW, MANY)]
    assert asked[0] == asked[1]


def test_reports_of_one_school_are_the_same_bytes_every_time(county: Path) -> None:
    for node in NODES:
        frames = frames_in(county / "frames" / node / "from-vault.frames")
        assert len({payload for _kind, payload in frames}) == 1
