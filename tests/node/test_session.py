"""Commands and their own vault: files in, answers out, refusals in full, nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes_desk import fake_vault
from wall_support import KEY, TESTS, VAULT_UID, make_config, make_folder

from node.config import NodeFolder
from node.errors import ConfinementError, SessionError, SuperviseError, VaultRefusal
from node.frames import Kind, write_frame
from node.launch import vault_command
from node.session import VaultSession, open_vault
from node.vault import worker

pytestmark = pytest.mark.process
COMMAND = fake_vault(TESTS, VAULT_UID)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> NodeFolder:
    return make_folder(tmp_path_factory.mktemp("session") / "node")


@pytest.fixture(scope="module")
def shared(folder: NodeFolder) -> Iterator[VaultSession]:
    with open_vault(folder, make_config(), KEY, command=COMMAND) as vault:
        yield vault


def test_command_and_files_cross_and_come_back(shared: VaultSession, tmp_path: Path) -> None:
    big = tmp_path / "roster.xlsx"
    big.write_bytes(os.urandom(2_500_000))
    (tmp_path / "empty").write_bytes(b"")
    files = {"roster": big, "profile": b"x = 1", "empty": tmp_path / "empty", "nothing": b""}
    answer, blobs = shared.call({"command": "echo", "名": "一"}, files)
    assert answer == {"got": {"command": "echo", "名": "一"}, "level": "L3"}
    assert blobs == {"roster": big.read_bytes(), "profile": b"x = 1", "empty": b"", "nothing": b""}
    assert shared.level == "L3"


def test_refusal_comes_back_whole_and_the_session_goes_on(shared: VaultSession) -> None:
    with pytest.raises(VaultRefusal) as caught:
        shared.call({"command": "refuse"})
    assert caught.value.code == "bad-row"
    assert caught.value.details == {"row": 3}
    assert str(caught.value) == "bad-row: row 3 is wrong Mend it."
    assert shared.call({"command": "counts"})[0] == {"entries": 0, "receipts": 0}


def test_print_in_the_vault_goes_nowhere(shared: VaultSession) -> None:
    assert shared.call({"command": "print"})[0] == {"printed": 1}


def test_no_module_is_loaded_after_the_lock_down(shared: VaultSession) -> None:
    before = shared.call({"command": "modules"})[0]["modules"]
    shared.call({"command": "echo"}, {"x": b"y"})
    assert shared.call({"command": "modules"})[0]["modules"] == before


def test_fault_is_named_without_its_value(folder: NodeFolder) -> None:
    with (
        open_vault(folder, make_config(), KEY, command=COMMAND) as vault,
        pytest.raises(SessionError, match="ValueError at fakes_desk:") as caught,
    ):
        vault.call({"command": "crash"})
    assert "13812345678" not in str(caught.value)


def test_import_after_the_lock_down_fails(folder: NodeFolder) -> None:
    with (
        open_vault(folder, make_config(), KEY, command=COMMAND) as vault,
        pytest.raises(SessionError, match="ModuleNotFoundError"),
    ):
        vault.call({"command": "import"})


def test_wrong_key_is_a_refusal(folder: NodeFolder) -> None:
    with (
        open_vault(folder, make_config(), bytes(32), command=COMMAND) as vault,
        pytest.raises(VaultRefusal, match="Use the right one"),
    ):
        vault.call({"command": "counts"})


def test_real_store_refuses_another_key_and_stays_unchanged(folder: NodeFolder, shared: VaultSession) -> None:
    before = (folder.vault / "vault.db").read_bytes()
    with (
        open_vault(folder, make_config(), b"\x01" * 32, command=COMMAND) as vault,
        pytest.raises(VaultRefusal, match=r"unchanged|nothing was read"),
    ):
        vault.call({"command": "counts"})
    assert (folder.vault / "vault.db").read_bytes() == before


def test_key_of_another_length_is_refused(folder: NodeFolder) -> None:
    with (
        pytest.raises(SuperviseError, match="wrong length"),
        open_vault(folder, make_config(), b"short", command=COMMAND),
    ):
        pass


def test_file_that_cannot_be_read_is_named(folder: NodeFolder, tmp_path: Path) -> None:
    with (
        open_vault(folder, make_config(), KEY, command=COMMAND) as vault,
        pytest.raises(SessionError, match=r"missing\.xlsx cannot be read"),
    ):
        vault.call({"command": "echo"}, {"roster": tmp_path / "missing.xlsx"})


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "giant"])
def test_what_is_no_ordinary_file_is_refused_and_never_waited_for(
    folder: NodeFolder, tmp_path: Path, kind: str
) -> None:
    path = {"pipe": tmp_path / "pipe\n\x1b[31m\udcff", "device": Path("/dev/zero"), "folder": tmp_path}.get(
        kind, tmp_path / kind
    )
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "giant":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    with (
        open_vault(folder, make_config(), KEY, command=COMMAND) as vault,
        pytest.raises(SessionError, match=r"is not an ordinary file|has more than 120 MiB") as caught,
    ):
        vault.call({"command": "echo"}, {"roster": path})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("change", [1, -1])
def test_a_file_that_grows_or_shrinks_while_it_is_read_is_refused(
    folder: NodeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: int
) -> None:
    path = tmp_path / "roster.xlsx"
    path.write_bytes(bytes(2_000_000))
    monkeypatch.setattr("node.session._ordinary_size", lambda found: found.stat().st_size - change)
    with (
        open_vault(folder, make_config(), KEY, command=COMMAND) as vault,
        pytest.raises(SessionError, match="changed while it was read"),
    ):
        vault.call({"command": "echo"}, {"roster": path})


def test_killed_vault_is_an_error_with_advice(folder: NodeFolder) -> None:
    with open_vault(folder, make_config(), KEY, command=COMMAND) as vault:
        vault._side.process.kill()
        vault._side.process.wait()
        with pytest.raises(SessionError, match="run the command again"):
            vault.call({"command": "echo"}, {"x": bytes(3_000_000)})


@pytest.mark.parametrize("kind", [Kind.LOG, Kind.RECEIPT, Kind.END, Kind.KEY])
def test_command_vault_takes_no_other_frame(folder: NodeFolder, kind: Kind) -> None:
    with open_vault(folder, make_config(), KEY, command=COMMAND) as vault:
        write_frame(vault._side.stdin, kind, bytes(32) if kind is not Kind.END else b"")
        with pytest.raises(SessionError, match="FrameError"):
            vault.call({"command": "counts"})


def test_program_that_is_no_vault_is_an_error(folder: NodeFolder) -> None:
    with (
        pytest.raises(SuperviseError, match="exit code 3"),
        open_vault(folder, make_config(), KEY, command=lambda *_rest: ["/bin/sh", "-c", "exit 3"]),
    ):
        pass


@pytest.mark.parametrize("text", ["echo rubbish", "printf 'FSF1\\001\\000\\000\\000\\020aaaaaaaaaaaaaaaa'"])
def test_false_ready_is_an_error(folder: NodeFolder, text: str) -> None:
    with (
        pytest.raises((SuperviseError, ConfinementError)),
        open_vault(folder, make_config(), KEY, command=lambda *_rest: ["/bin/sh", "-c", text]),
    ):
        pass


def test_real_vault_starts_with_the_same_confinement(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "node")
    with open_vault(folder, make_config(), KEY, command=vault_command) as vault:
        assert vault.level == "L3"
        with pytest.raises(VaultRefusal, match="node setup"):
            vault.call({"command": "identity"})


def test_late_modules_are_the_ones_that_libraries_load(tmp_path: Path) -> None:
    worker.load_late_modules()
    assert len(worker.software_digest()) == 32
    assert worker.software_digest() == worker.software_digest()
