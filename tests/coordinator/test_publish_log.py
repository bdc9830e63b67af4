"""The static folder: follows from the database, mends itself, and any change of it is found."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes_coordinator import County, Crash, small_config, small_plan

from coordinator.cli import _policy_of
from coordinator.desk import Desk
from coordinator.errors import FsckError, LogRolledBackError, StoreError
from coordinator.fsck import fsck
from coordinator.log_book import LogBook, View
from coordinator.publish_log import published_checkpoint
from crypto.policy import LogPolicy, parse_policy
from protos.card import FederationCard, parse_card


def folder_of(county: County) -> Path:
    return county.directory / "log"


def rules(county: County) -> tuple[LogPolicy, FederationCard]:
    text = county.desk.card_text()
    return _policy_of(text), parse_card(text)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_published_log_is_whole(released: County) -> None:
    checkpoint = fsck(folder_of(released), *rules(released))
    assert checkpoint.size == released.ledger().size
    assert checkpoint.root == released.ledger().root()


def test_publishing_again_changes_nothing(released: County) -> None:
    before = files_of(folder_of(released))
    released.reopen().tick()
    assert files_of(folder_of(released)) == before


def test_only_a_cosigned_tree_is_published(released: County) -> None:
    before = published_checkpoint(folder_of(released))
    released.desk.publish_plan(small_plan(title="另一个"))
    released.desk.tick()
    assert published_checkpoint(folder_of(released)) == before
    released.cosign()
    released.desk.tick()
    after = published_checkpoint(folder_of(released))
    assert before is not None
    assert after is not None
    assert after.size == before.size + 1
    assert fsck(folder_of(released), *rules(released)) == after  # older partial tiles may stay


def test_a_lost_folder_is_written_again(released: County) -> None:
    before = files_of(folder_of(released))
    shutil.rmtree(folder_of(released))
    released.reopen().tick()
    newest = files_of(folder_of(released))
    assert {name: before[name] for name in newest} == newest
    fsck(folder_of(released), *rules(released))


def test_another_folder_gets_a_whole_copy(released: County, tmp_path: Path) -> None:
    for _ in range(2):
        assert released.desk.export_log(tmp_path / "copy") == released.ledger().size
    assert fsck(tmp_path / "copy", *rules(released)).size == released.ledger().size
    assert not (tmp_path / "copy.new").exists()


def test_a_crash_at_any_file_is_mended(released: County) -> None:
    shutil.rmtree(folder_of(released))
    released.reopen()
    crashed: set[str] = set()

    def crash_once(step: str) -> None:
        if step not in crashed:
            crashed.add(step)
            raise Crash

    released.durable = crash_once
    for _ in range(200):
        try:
            released.desk.tick()
        except Crash:
            found = published_checkpoint(folder_of(released))
            if found is not None:
                fsck(folder_of(released), *rules(released))
            continue
        break
    assert "after checkpoint" in crashed
    fsck(folder_of(released), *rules(released))
    assert not list(folder_of(released).rglob("*.new"))


def test_an_old_database_is_refused(released: County) -> None:
    released.desk.close()
    with sqlite3.connect(released.directory / "coordinator.db") as connection:
        connection.execute("DELETE FROM entries WHERE position = (SELECT max(position) FROM entries)")
    connection.close()
    with pytest.raises(LogRolledBackError, match="old copy"):
        released.open()


def test_a_changed_database_is_refused(released: County) -> None:
    released.desk.close()
    with sqlite3.connect(released.directory / "coordinator.db") as connection:
        (entry,) = connection.execute("SELECT entry FROM entries WHERE position = 7").fetchone()
        changed = (entry.replace(b"confinement L3", b"confinement L2"),)
        connection.execute("UPDATE entries SET entry = ? WHERE position = 7", changed)
    connection.close()
    with pytest.raises(StoreError, match="entry 7"):
        released.open()


def test_an_entry_swapped_under_the_stored_tree_is_refused(released: County) -> None:
    released.desk.close()
    with sqlite3.connect(released.directory / "coordinator.db") as connection:
        connection.execute("UPDATE entries SET root = zeroblob(32) WHERE position = 26")
    connection.close()
    with pytest.raises(StoreError, match="stored tree"):
        released.open()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_any_changed_file_is_found(released: County) -> None:
    for name in files_of(folder_of(released)):
        path = folder_of(released) / name
        original = path.read_bytes()
        flip(path)
        with pytest.raises(FsckError):
            fsck(folder_of(released), *rules(released))
        path.write_bytes(original)
    fsck(folder_of(released), *rules(released))


def test_any_truncated_file_is_found(released: County) -> None:
    for name in files_of(folder_of(released)):
        path = folder_of(released) / name
        original = path.read_bytes()
        path.write_bytes(original[:-1])
        with pytest.raises(FsckError):
            fsck(folder_of(released), *rules(released))
        path.write_bytes(original)


def test_any_missing_file_is_found(released: County) -> None:
    newest = published_checkpoint(folder_of(released))
    assert newest is not None
    shutil.rmtree(folder_of(released))
    released.reopen().tick()  # without older partial tiles, which may be missing
    for name in files_of(folder_of(released)):
        path = folder_of(released) / name
        original = path.read_bytes()
        path.unlink()
        with pytest.raises(FsckError, match=re.escape(name)):
            fsck(folder_of(released), *rules(released))
        path.write_bytes(original)


@pytest.mark.parametrize(
    "name", ["extra", "blob/" + "0" * 64, "tile/0/001", "tile/entries/000.p/200", "tile/9/000"]
)
def test_an_added_file_is_found(released: County, name: str) -> None:
    path = folder_of(released) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"more")
    with pytest.raises(FsckError, match="does not belong here"):
        fsck(folder_of(released), *rules(released))


def test_a_checkpoint_without_a_quorum_is_found(released: County) -> None:
    path = folder_of(released) / "checkpoint"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))  # log and two of four witnesses
    with pytest.raises(FsckError, match="quorum"):
        fsck(folder_of(released), *rules(released))


def test_another_federations_keys_do_not_fit(released: County, make_county: Callable[..., County]) -> None:
    other = make_county(config=small_config(federation="county-2"))
    key = other.desk.home.log_key.verifier
    with pytest.raises(FsckError, match="no log of the policy"):
        fsck(folder_of(released), parse_policy(f"log {key.text}\nquorum none\n"))
    assert fsck(folder_of(released), None).size > 0


def test_the_card_checks_every_entry(released: County, make_county: Callable[..., County]) -> None:
    other = make_county(num_schools=5)
    other.enrol()
    other.desk.propose_roster()
    with pytest.raises(FsckError, match="entry 0"):
        fsck(folder_of(released), None, parse_card(other.desk.card_text()))


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(FsckError, match="checkpoint: missing"):
        fsck(tmp_path, None)


def test_a_log_that_another_process_publishes_meanwhile_is_no_rollback(
    released: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command opens the database; before it looks at the folder, the server appends and publishes."""
    server, original = released.desk, LogBook.reading

    @contextmanager
    def publishing(book: LogBook) -> Iterator[View]:
        with original(book) as view:
            monkeypatch.setattr(LogBook, "reading", original)
            server.publish_plan(small_plan(title="另一个"))
            released.cosign()
            server.tick()
            yield view

    before = published_checkpoint(folder_of(released))
    monkeypatch.setattr(LogBook, "reading", publishing)
    Desk(released.directory, now=lambda: released.clock).close()
    after = published_checkpoint(folder_of(released))
    assert before is not None
    assert after is not None
    assert after.size == before.size + 1
