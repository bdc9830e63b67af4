"""The wire contract may grow but not break: what `buf breaking` says of edits to the .proto."""

import re
import shutil
from pathlib import Path

import pytest
from generated_is_current import PROTO, ROOT, breaking_changes, stale_baseline

BREAKING = {
    "a field removed": ("  bytes cosigned = 4;", ""),
    "a field removed and reserved": ("  bytes cosigned = 4;", "  reserved 4;"),
    "a field renumbered": ("bytes cosigned = 4;", "bytes cosigned = 5;"),
    "a field renamed": ("bytes cosigned = 4;", "bytes witnessed = 4;"),
    "a field of another type": ("uint32 max_entries = 2;", "uint64 max_entries = 2;"),
    "bytes for text": ("string cosignature = 2;", "bytes cosignature = 2;"),
    "one instead of many": ("repeated bytes sums = 2;", "bytes sums = 2;"),
    "an rpc removed": ("  rpc GetSums(GetSumsRequest) returns (stream GetSumsResponse);", ""),
    "an rpc renamed": ("rpc GetSums(", "rpc FetchSums("),
    "another request": ("rpc GetSums(GetSumsRequest)", "rpc GetSums(GetBoxesRequest)"),
    "no stream any more": ("returns (stream GetSumsResponse)", "returns (GetSumsResponse)"),
    "a message renamed": ("LogEntry", "LogRow"),
    "another package": ("package fedscreen.v1;", "package fedscreen.v2;"),
    "a field moved into a oneof": ("bytes cosigned = 4;", "oneof newest { bytes cosigned = 4; }"),
}
GROWING = {
    "a field more": ("  bytes cosigned = 4;", "  bytes cosigned = 4;\n  uint64 size = 5;"),
    "an rpc more": ("  rpc GetLog(", "  rpc GetSize(GetLogRequest) returns (GetLogResponse);\n  rpc GetLog("),
    "a message more": ("message LogEntry {", "message Size {}\n\nmessage LogEntry {"),
    "an enum more": ("message LogEntry {", "enum Kind {\n  KIND_UNSPECIFIED = 0;\n}\n\nmessage LogEntry {"),
    "a comment": ("message LogEntry {", "// One entry.\nmessage LogEntry {"),
    "fields in another order": (
        "  bytes report = 1;\n  // The HPKE ciphertext for the caller.\n  bytes box = 2;",
        "  bytes box = 2;\n  bytes report = 1;",
    ),
}


ENUM = "\nenum Kind {\n  KIND_UNSPECIFIED = 0;\n  KIND_ONE = 1;\n}\n"
BROKEN_ENUM = {
    "an enum value renamed": ("KIND_ONE", "KIND_FIRST"),
    "an enum value renumbered": ("KIND_ONE = 1", "KIND_ONE = 2"),
    "an enum value removed": ("  KIND_ONE = 1;\n", ""),
}


def _write(folder: Path, text: str) -> Path:
    (folder / "protos").mkdir(parents=True)
    (folder / PROTO).write_text(text, "utf-8")
    shutil.copy(ROOT / "buf.yaml", folder)
    return folder


def _broken_by(folder: Path, old: str, new: str) -> list[str]:
    text = (ROOT / PROTO).read_text("utf-8")
    assert old in text
    found = breaking_changes(_write(folder, re.sub(rf"(?<![A-Za-z]){re.escape(old)}", lambda _: new, text)))
    assert not any("syntax" in line or "cannot find" in line for line in found)
    return found


def test_the_wire_is_the_baseline():
    assert stale_baseline() == []


@pytest.mark.parametrize(("old", "new"), BREAKING.values(), ids=list(BREAKING))
def test_an_edit_that_a_speaker_of_the_baseline_stumbles_over_is_found(tmp_path, old, new):
    assert _broken_by(tmp_path, old, new)


@pytest.mark.parametrize(("old", "new"), BROKEN_ENUM.values(), ids=list(BROKEN_ENUM))
def test_the_same_for_enums_of_which_the_wire_has_none_yet(tmp_path, old, new):
    text = (ROOT / PROTO).read_text("utf-8") + ENUM
    baseline = _write(tmp_path / "before", text) / "protos"
    assert breaking_changes(_write(tmp_path / "after", text.replace(old, new)), baseline)
    assert breaking_changes(_write(tmp_path / "same", text), baseline) == []


@pytest.mark.parametrize(("old", "new"), GROWING.values(), ids=list(GROWING))
def test_an_edit_that_only_adds_is_no_break(tmp_path, old, new):
    assert _broken_by(tmp_path, old, new) == []


def test_a_wire_that_does_not_parse_does_not_pass(tmp_path):
    assert breaking_changes(_write(tmp_path, "message LogEntry"))
