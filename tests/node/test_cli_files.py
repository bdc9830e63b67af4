"""`node log|outbox|receipt` on the command line: refusals, limits before reading, the old spelling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_federation import TinyFederation
from wall_support import KEY, make_config, make_folder

from node import cli_files
from node.cli import node as group
from node.cli_files import MAX_LOG_BYTES, MAX_RECEIPT_BYTES
from node.config import NodeFolder, write_config
from node.errors import ConfigError
from node.session import open_vault
from protos.log_file import MAX_LOG_FILE_BYTES, LogFile, encode_log_file


@pytest.fixture(scope="module")
def federation() -> TinyFederation:
    return TinyFederation(kind="production")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, federation: TinyFederation) -> Iterator[NodeFolder]:
    """A node that has pinned its federation's card and seen nothing of the log."""
    root = tmp_path_factory.mktemp("node")
    found, config = make_folder(root / "node"), make_config(federation=federation.federation)
    write_config(found, config)
    (root / "fedscreen-database-key").write_bytes(KEY)
    with open_vault(found, config, KEY) as vault:
        init = {"federation": federation.federation, "node": config.node, "operator": "第一中学"}
        vault.call({"command": "init", **init})
        vault.call({"command": "accept", "card_text": federation.card_text})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(root))
        patch.setenv("LANGUAGE", "en")
        yield found


def run(folder: NodeFolder, *arguments: object, code: int = 0) -> dict[str, Any]:
    command = [*map(str, arguments), "--dir", str(folder.root), "--json"]
    found = CliRunner().invoke(group, command, catch_exceptions=False)
    assert found.exit_code == code, found.output
    return dict(json.loads(found.stdout))


@pytest.mark.process
def test_a_log_comes_in_whole_or_not_at_all(
    folder: NodeFolder, federation: TinyFederation, tmp_path: Path
) -> None:
    page = federation.page(0)
    data = encode_log_file(LogFile(federation.federation, 0, page.entries, page.cosigned))
    stick = tmp_path / "log"
    stick.write_bytes(data[:-1])
    assert run(folder, "log", "import", stick, code=1)["error"] == "log-file"
    stick.write_bytes(data)
    assert run(folder, "log", "import", stick)["new_entries"] == federation.ledger.size
    shown = CliRunner().invoke(group, ["log", "import", str(stick), "--dir", str(folder.root)]).stdout
    assert shown.startswith("nothing new; the log is trusted up to entry")
    assert run(folder, "outbox", "export", "--out", tmp_path / "out")["reports"] == []
    assert not (tmp_path / "out").exists()


@pytest.mark.process
def test_receipts_are_told_one_by_one(folder: NodeFolder, tmp_path: Path) -> None:
    for name, data in (("a.tlog-proof", b"c2sp.org/tlog-proof@v1\n"), ("b.tlog-proof", b"")):
        (tmp_path / name).write_bytes(data)
    with (tmp_path / "c.tlog-proof").open("wb") as stream:
        stream.truncate(MAX_RECEIPT_BYTES + 1)
    answer = run(folder, "receipt", "import", *sorted(tmp_path.iterdir()), code=1)
    assert answer["refused"] == 3
    assert [row["error"] for row in answer["receipts"]] == ["bad-receipt", "bad-receipt", "file"]


def test_a_file_larger_than_any_good_one_is_not_even_read(folder: NodeFolder, tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(MAX_LOG_BYTES + 1)
    assert run(folder, "log", "import", path, code=1)["error"] == "file"


@pytest.mark.parametrize(("age_s", "num_lines"), [(0, 1), (86_400, 1), (90_001, 2)])
def test_an_old_log_is_told(age_s: int, num_lines: int) -> None:
    lines = list(cli_files._log_lines({"new_entries": 2, "trusted_size": 9, "age_s": age_s}))
    assert len(lines) == num_lines
    assert "25" in lines[-1] or num_lines == 1


def test_limits_are_those_of_the_writer() -> None:
    assert MAX_LOG_BYTES == MAX_LOG_FILE_BYTES


@pytest.mark.parametrize("arguments", [["abcdef"], ["--json", "abcdef"], ["write", "abcdef"]])
def test_a_receipt_may_be_asked_for_as_before(tmp_path: Path, arguments: list[str]) -> None:
    """`node receipt ROUND` stays what it was when `receipt` had no subcommand."""
    found = CliRunner().invoke(group, ["receipt", *arguments, "--dir", str(tmp_path / "none")])
    assert found.exit_code == 1
    assert "node.toml" in found.output


@pytest.mark.parametrize("arguments", [["--help"], ["import", "--help"], ["write", "--help"]])
def test_help_is_there(arguments: list[str]) -> None:
    found = CliRunner().invoke(group, ["receipt", *arguments])
    assert found.exit_code == 0
    assert "Usage" in found.output or "用法" in found.output


def test_a_stick_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError) as caught:
        cli_files._write_into(tmp_path / "file" / "a.report", b"x")
    assert caught.value.code == "file"
