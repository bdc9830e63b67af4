"""The backup file: every byte counts; a restore makes a whole node or none; the commands, behind the wall."""

from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_backup import BackedHouse, entropy, without_processes
from fakes_vault import KEY, pupils
from hypothesis import given
from hypothesis import strategies as st

from node import backup_file
from node.backup import read_header, restore_backup
from node.backup_file import MAGIC, TAG_BYTES, BackupHeader, encode_header, open_backup, split, write_backup
from node.cli import node as group
from node.config import NodeFolder, read_config
from node.errors import BackupError, ConfigError, NodeError, UnlockError, VaultRefusal
from node.new_folder import new_folder, verify_unused

PIECE = 64
OTHER_KEY = bytes(range(1, 33))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_file, "PIECE_BYTES", PIECE)


def header(*sizes: int, salt: bytes = b"s" * 32, **changes: Any) -> BackupHeader:
    names = ("node.toml", "tls.key", "vault.db")
    values = {
        "federation": "county",
        "node": "school-1",
        "made": "2026-09-10T08:00:00Z",
        "key_source": "passphrase",
        "wrapped_key": b"wrapped",
        "log_size": 9,
        "parts": tuple(zip(names, sizes, strict=False)),
        "salt": salt,
    }
    return BackupHeader(**(values | changes))


def written(head: BackupHeader, data: bytes, key: bytes = KEY) -> bytes:
    stream = io.BytesIO()
    write_backup(stream, head, key, [data[:100], b"", data[100:]])
    return stream.getvalue()


def read(data: bytes, key: bytes = KEY) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    opened = open_backup(io.BytesIO(data))
    split(
        opened.header,
        opened.contents(key),
        lambda name, part: found.update({name: found.get(name, b"") + part}),
    )
    return found


DATA = bytes(range(256)) * 2
WHOLE = header(10, 0, 300)


@given(st.lists(st.integers(0, 3 * PIECE), min_size=1, max_size=3), st.binary(max_size=9))
def test_what_was_written_is_read(sizes: list[int], seed: bytes) -> None:
    backup_file.PIECE_BYTES = PIECE
    data = (seed + bytes(range(256)) * 3)[: sum(sizes)]
    found = read(written(header(*sizes), data))
    assert b"".join(found.values()) == data
    assert [len(part) for part in found.values()] == sizes


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 5 * PIECE + 3])
def test_sizes_around_a_piece(size: int) -> None:
    data = (DATA * 2)[:size]
    assert read(written(header(size), data)) == {"node.toml": data}


def test_nothing_of_the_contents_stands_in_the_file_readable() -> None:
    data = written(header(360), b"PRIVATE KEY and G510502200901011234 " * 10)
    assert b"PRIVATE" not in data
    assert b"G5105022" not in data


def test_every_flipped_bit_is_refused() -> None:
    data = written(WHOLE, DATA[:310])
    for at in range(len(data)):
        spoilt = bytearray(data)
        spoilt[at] ^= 1 << (at % 8)
        with pytest.raises(BackupError) as caught:
            read(bytes(spoilt))
        assert caught.value.code in ("not-a-backup", "backup-damaged", "backup-cut-off", "wrong-key")
        assert (caught.value.code == "wrong-key") == (_check_at(data) <= at < _check_at(data) + 32)


def _check_at(data: bytes) -> int:
    (size,) = struct.unpack_from(">I", data, len(MAGIC))
    return len(MAGIC) + 4 + size + 32


def test_every_shorter_file_is_refused_as_cut_off() -> None:
    data = written(WHOLE, DATA[:310])
    codes = set()
    for size in range(len(data)):
        with pytest.raises(BackupError) as caught:
            read(data[:size])
        codes.add((size < len(MAGIC), caught.value.code))
    assert codes == {(True, "not-a-backup"), (False, "backup-cut-off")}


def sealed_pieces(data: bytes) -> tuple[bytes, list[bytes]]:
    start, step = _check_at(data) + 32, PIECE + TAG_BYTES
    return data[:start], [data[at : at + step] for at in range(start, len(data), step)]


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [rows[1], rows[0], *rows[2:]],
        lambda rows: [rows[0], rows[0], *rows[1:]],
        lambda rows: [rows[0], *rows[2:]],
        lambda rows: rows[:-1],
        lambda rows: [*rows, rows[-1]],
        lambda rows: [*rows, b"x"],
        lambda rows: [*rows[:-1], rows[0][: len(rows[-1])]],
    ],
    ids=["swapped", "doubled", "left-out", "last-left-out", "last-doubled", "longer", "last-of-another"],
)
def test_pieces_have_their_places(change: Callable[[list[bytes]], list[bytes]]) -> None:
    head, rows = sealed_pieces(written(WHOLE, DATA[:310]))
    with pytest.raises(BackupError):
        read(head + b"".join(change(rows)))


def test_pieces_of_another_backup_of_the_same_node_do_not_fit() -> None:
    head, rows = sealed_pieces(written(WHOLE, DATA[:310]))
    _other, others = sealed_pieces(written(header(10, 0, 300, salt=b"t" * 32), DATA[:310]))
    with pytest.raises(BackupError):
        read(head + rows[0] + b"".join(others[1:]))


def test_a_wrong_key_is_told_from_damage_and_names_the_node() -> None:
    with pytest.raises(BackupError) as caught:
        read(written(WHOLE, DATA[:310]), OTHER_KEY)
    assert caught.value.code == "wrong-key"
    assert "school-1" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{"log_size": -1}, {"salt": b""}, {"salt": b"x" * 31}, {"made": 5}, {"parts": (("vault.db", -1),)}],
    ids=["log", "no-salt", "short-salt", "made", "negative"],
)
def test_a_header_of_wrong_values_is_refused(changes: dict[str, Any]) -> None:
    if "log_size" in changes:
        changes = {"log_size": "many"}
    with pytest.raises((BackupError, TypeError)):
        backup_file.parse_header(encode_header(header(5, **changes)))


@pytest.mark.parametrize("data", [b"", b"x", b"SQLite format 3\0" * 9, MAGIC, MAGIC + b"\xff" * 8])
def test_another_file_is_no_backup(data: bytes) -> None:
    with pytest.raises(BackupError):
        open_backup(io.BytesIO(data))


# -- a whole node or none ----------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackedHouse]:
    monkeypatch.setattr(backup_file, "PIECE_BYTES", 1 << 20)
    without_processes(monkeypatch, tmp_path)
    opened = BackedHouse(tmp_path / "school")
    opened.save(pupils())
    yield opened
    opened.store.close()


def restore(file: Path, root: Path, key: bytes = KEY, **options: Any) -> dict[str, Any]:
    return restore_backup(
        file, NodeFolder(root), lambda _head, _folder: (key, "credential"), entropy, **options
    )


def test_a_restored_folder_has_all_that_a_node_needs(house: BackedHouse, tmp_path: Path) -> None:
    answer = restore(house.keep(tmp_path / "b"), tmp_path / "new")
    new = NodeFolder(tmp_path / "new")
    assert (answer["node"], answer["federation"]) == ("school-1", "county-1")
    assert (new.egress / "tls.key").read_bytes() == b"a TLS key"
    assert read_config(new).node == "school-1"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (new.root, new.vault, new.vault / "vault.db"))
    assert not list(tmp_path.glob(".*"))
    if os.geteuid() == 0:
        assert read_config(new).vault_uid not in (0, house.config.vault_uid)


def test_a_folder_in_which_anything_lies_is_left_alone(house: BackedHouse, tmp_path: Path) -> None:
    file = house.keep(tmp_path / "b")
    used = tmp_path / "used"
    used.mkdir()
    (used / "notes.txt").write_text("x")
    with pytest.raises(ConfigError) as caught:
        restore(file, used)
    assert caught.value.code == "folder-used"
    assert [path.name for path in used.iterdir()] == ["notes.txt"]
    restore(file, tmp_path / "empty" / "deeper")
    (tmp_path / "ready").mkdir()
    restore(file, tmp_path / "ready")


def test_what_an_interrupted_restore_left_is_removed_by_a_later_one(
    house: BackedHouse, tmp_path: Path
) -> None:
    file = house.keep(tmp_path / "b")
    old, young = tmp_path / ".new.new-1", tmp_path / ".new.new-2"
    for path in (old, young):
        (path / "vault").mkdir(parents=True)
    os.utime(old, (1_000_000_000, 1_000_000_000))
    restore(file, tmp_path / "new")
    assert (old.exists(), young.exists()) == (False, True)


def test_a_folder_that_is_filled_meanwhile_wins(tmp_path: Path) -> None:
    def race() -> None:
        with new_folder(NodeFolder(tmp_path / "new")):
            (tmp_path / "new").mkdir()
            (tmp_path / "new" / "node.toml").write_text("x")

    with pytest.raises(ConfigError) as caught:
        race()
    assert caught.value.code == "folder-used"
    assert (tmp_path / "new" / "node.toml").read_text() == "x"
    assert not list(tmp_path.glob(".new*"))
    with pytest.raises(ConfigError):
        verify_unused(NodeFolder(tmp_path / "new" / "node.toml"))


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_a_damaged_or_short_backup_makes_no_folder(house: BackedHouse, tmp_path: Path, part: float) -> None:
    data = bytearray(house.keep(tmp_path / "b").read_bytes())
    at = int(len(data) * part)
    (tmp_path / "short").write_bytes(data[:at])
    data[at] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    for name in ("short", "damaged"):
        with pytest.raises(BackupError):
            restore(tmp_path / name, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_wrong_key_makes_no_folder(house: BackedHouse, tmp_path: Path) -> None:
    with pytest.raises(BackupError) as caught:
        restore(house.keep(tmp_path / "b"), tmp_path / "new", OTHER_KEY)
    assert caught.value.code == "wrong-key"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (("../../evil", "vault.db"), b""),
        (
            ("node.toml", "vault.db"),
            b'federation = "county-1"\nnode = "school-2"\nkey_source = "credential"\n',
        ),
        (("node.toml",), b'federation = "county-1"\nnode = "school-1"\nkey_source = "credential"\n'),
    ],
    ids=["path", "other-node", "no-records"],
)
def test_parts_that_do_not_belong_are_refused(
    house: BackedHouse, tmp_path: Path, names: tuple[str, ...], settings: bytes
) -> None:
    contents = (settings, (house.folder / "vault.db").read_bytes())[: len(names)]
    parts = tuple((name, len(data)) for name, data in zip(names, contents, strict=True))
    head = header(federation="county-1", parts=parts)
    (tmp_path / "b").write_bytes(written(head, b"".join(contents)))
    with pytest.raises(BackupError) as caught:
        restore(tmp_path / "b", tmp_path / "new")
    assert caught.value.code == "other-node"
    assert not (tmp_path / "new").exists()
    assert not (tmp_path.parent / "evil").exists()


def test_an_existing_file_is_not_written_over(house: BackedHouse, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("the only good one")
    with pytest.raises(ConfigError) as caught:
        house.keep(tmp_path / "b")
    assert caught.value.code == "exists"
    assert (tmp_path / "b").read_text() == "the only good one"


def test_a_full_disk_leaves_no_file(
    house: BackedHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("node.backup.write_backup", full)
    with pytest.raises(NodeError, match="disk is full"):
        house.keep(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert [path.name for path in house.folder.iterdir() if "snapshot" in path.name] == []
    assert house.call("status")["safety"]["backup"] == ""


def test_a_log_file_tells_at_once_what_came_later(house: BackedHouse, tmp_path: Path) -> None:
    from protos.log_file import LogFile, encode_log_file

    round_id = house.start_round()
    file = house.keep(tmp_path / "b")
    house.release(round_id)
    house.desk.on_receipt(house.submit())
    page = house.federation.page(0, None, house.now)
    (tmp_path / "log").write_bytes(encode_log_file(LogFile("county-1", 0, page.entries, page.cosigned)))
    answer = restore(file, tmp_path / "new", log=tmp_path / "log")
    assert answer["newer"] == [{"round": round_id.hex(), "attempt": 0}]
    assert answer["log_new"] == 1
    (tmp_path / "log").write_bytes(b"no log")
    with pytest.raises(VaultRefusal):
        restore(file, tmp_path / "newer", log=tmp_path / "log")
    assert not (tmp_path / "newer").exists()


# -- the command line, behind the wall -----------------------------------------------------------

PASSPHRASE = "four unrelated words here"


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a node whose key a passphrase keeps, and the passphrase."""
    root = tmp_path_factory.mktemp("commands")
    root.chmod(0o755)
    (root / "pw").write_text(PASSPHRASE)
    (root / "pw").chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CREDENTIALS_DIRECTORY", raising=False)
        patch.setenv("LANGUAGE", "en")
        init = ["--federation", "county", "--id", "school-1", "--operator", "第一中学"]
        run(root, "init", *init, folder="node")
        yield root


def run(root: Path, *words: object, folder: str, code: int = 0) -> dict[str, Any]:
    options = ["--dir", str(root / folder), "--passphrase-file", str(root / "pw"), "--json"]
    found = CliRunner().invoke(group, [*map(str, words), *options], catch_exceptions=False)
    assert found.exit_code == code, found.output
    return dict(json.loads(found.stdout))


@pytest.mark.process
def test_backup_and_restore_by_command(school: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_file, "PIECE_BYTES", 1 << 20)
    answer = run(school, "backup", "--out", school / "b", folder="node")
    assert (answer["node"], answer["key_source"]) == ("school-1", "passphrase")
    assert (school / "b").stat().st_mode & 0o077 == 0
    assert read_header(school / "b").wrapped_key == (school / "node" / "database.key").read_bytes()
    assert run(school, "restore", school / "b", folder="new")["log_size"] == 0
    before, after = (run(school, "status", folder=name) for name in ("node", "new"))
    assert [before[name] for name in ("report_key", "master")] == [
        after[name] for name in ("report_key", "master")
    ]
    assert run(school, "check", folder="new")["damaged"] == []
    assert run(school, "restore", school / "b", folder="new", code=1)["error"] == "folder-used"


@pytest.mark.process
def test_a_wrong_passphrase_is_told(school: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_file, "PIECE_BYTES", 1 << 20)
    run(school, "backup", "--out", school / "c", folder="node")
    (school / "other").write_text("another passphrase entirely")
    (school / "other").chmod(0o600)
    words = [
        "restore",
        str(school / "c"),
        "--dir",
        str(school / "n"),
        "--passphrase-file",
        str(school / "other"),
    ]
    found = CliRunner().invoke(group, [*words, "--json"], catch_exceptions=False)
    assert json.loads(found.stdout)["error"] == "wrong-passphrase"
    assert not (school / "n").exists()
    assert found.exit_code == UnlockError.EXIT
