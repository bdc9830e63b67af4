"""P9: no key, passphrase, pupil number, name or finding is in any message, also when everything goes wrong.

Planted pupils and real keys are searched for, in every spelling of `leak_search`, in what failing commands
print: for people and as JSON, on both streams, in log lines and in the details of errors.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_vault import KEY, SchoolHouse
from leak_search import Search, of_text, spell
from promise_county import CLASS, NAMES, YEAR, planted_number
from spoilt_files import SCORE, SPOILT, Files, encode_csv, planted_files

from fedscreen.__main__ import build
from fedscreen.demo.county import SCREENING_HEADER, make_county
from fedscreen.demo.run import school_year
from node import cli_text
from node.vault.enrol import load_identity
from node.vault.errors import VaultError
from node.vault.store import VaultStore
from node.vault.worker import refusal

TARGET = {"wave": "A", "school_year": YEAR, "census_date": f"{YEAR[:4]}-09-30"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SchoolHouse]:
    found = SchoolHouse(tmp_path)
    yield found
    found.store.close()


def planted_patterns() -> dict[str, bytes]:
    patterns: dict[str, bytes] = {}
    for text in (*NAMES, CLASS, str(SCORE), *(planted_number(place) for place in range(len(NAMES)))):
        patterns |= of_text(text)
        patterns |= spell(f"{text} escaped", json.dumps(text)[1:-1].encode())
    return patterns


def vault_patterns(store: VaultStore, key: bytes) -> dict[str, bytes]:
    """Every secret of a vault."""
    identity = load_identity(store)
    named = {"database key": key, "K": identity.master, "journal key": identity.journal_key}
    named |= {"pupil key": identity.pupil_key, "report key": identity.report_key.seed}
    return {name: pattern for label, value in named.items() for name, pattern in spell(label, value).items()}


def import_output(desk: Any, files: Files) -> str:
    """Everything that an import can show: the answer or refusal, and the lines for a person."""
    command = {"command": "import", **TARGET}
    try:
        answer, blobs = desk.handle(command, files.contents())
    except VaultError as err:
        lines = [str(err), err.advice, repr(err), repr(err.details)]
        return "\n".join([refusal(err)[4:].decode(), *lines, *cli_text.error_lines(err)])
    assert answer["refused"] == 1
    assert not blobs
    return "\n".join([json.dumps(answer, ensure_ascii=False), repr(answer), *cli_text.import_lines(answer)])


@pytest.mark.parametrize("name", SPOILT)
def test_refused_import_names_places_and_never_what_stands_there(
    house: SchoolHouse, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    files = planted_files()
    SPOILT[name](files)
    output = import_output(house.desk, files) + caplog.text
    assert Search(planted_patterns() | vault_patterns(house.store, KEY)).find(output.encode()) == set()
    assert house.call("records_summary")["records"] == []


@pytest.mark.parametrize("name", SPOILT)
def test_refused_import_says_the_same_whatever_was_found_in_the_pupils(house: SchoolHouse, name: str) -> None:
    """The same spoilt cell in two files that differ in every finding: no count of findings is told."""
    outputs = []
    for label, scores in (("正常", 0), ("三级预警", 1)):
        files = planted_files(label)
        for row in files.screening[1:]:
            start = SCREENING_HEADER.index("总分")
            row[start : start + 9] = [8 * scores, *[scores] * 8]
        SPOILT[name](files)
        outputs.append(import_output(house.desk, files))
    assert outputs[0] == outputs[1]


def test_clean_files_of_the_same_pupils_are_taken(house: SchoolHouse) -> None:
    files = planted_files()
    answer = house.call("import", files.contents(), **TARGET)
    assert answer["imported"] == 1
    assert Search(planted_patterns()).find(repr(answer).encode()) == set()


@pytest.mark.parametrize(
    "fields",
    [
        {"command": "import", **TARGET, "wave": NAMES[0]},
        {"command": "import", **TARGET, "census_date": planted_number(0)},
        {"command": "import", **TARGET, "consent": NAMES[0]},
        {"command": "release", "round": "ab" * 32, "by": ""},
        {"command": "preview", "round": "ab" * 32},
        {"command": "recompute", "round": "ab" * 32, "attempt": 0},
        {"command": "receipt", "round": "ab" * 32},
        {"command": "log_import"},
        {"command": "log_import", "round": NAMES[0]},
        {"command": "receipt_import"},
        {"command": "accept", "card_text": "fedscreen/card/v1\n" + NAMES[0]},
        {"command": NAMES[0]},
    ],
    ids=lambda fields: f"{fields['command']}",
)
def test_refused_command_says_nothing_of_keys_or_pupils(house: SchoolHouse, fields: dict[str, Any]) -> None:
    files = planted_files()
    house.call("import", files.contents(), **TARGET)
    house.now += timedelta(minutes=1)
    with pytest.raises(VaultError) as caught:
        house.desk.handle(fields, files.contents())
    shown = "\n".join([refusal(caught.value)[4:].decode(), str(caught.value), repr(caught.value)])
    assert Search(planted_patterns() | vault_patterns(house.store, KEY)).find(shown.encode()) == set()


def test_secrets_hide_themselves_from_repr(house: SchoolHouse) -> None:
    files = planted_files()
    house.call("import", files.contents(), **TARGET)
    identity = load_identity(house.store)
    shown = repr([identity, identity.report_key, house.store, house.desk, house.desk._parts])
    assert Search(vault_patterns(house.store, KEY)).find(shown.encode()) == set()


def test_search_would_find_each_of_them(house: SchoolHouse) -> None:
    identity = load_identity(house.store)
    search = Search(planted_patterns() | vault_patterns(house.store, KEY))
    for shown in (
        NAMES[3],
        repr(NAMES[3]),
        json.dumps(NAMES[3]),
        planted_number(2),
        str(SCORE),
        identity.master.hex(),
    ):
        assert search.find(f"refused: {shown}.".encode()) != set()


# ---------------------------------------------------------------- the commands, with a county's real folders


@dataclass
class Shell:
    """Runs commands on a copy of a demo's folders and keeps everything that they print."""

    root: Path
    search: Search
    caplog: pytest.LogCaptureFixture
    printed: list[str] = field(default_factory=list)

    @property
    def node(self) -> Path:
        return self.root / "node"

    def fails(self, *arguments: object, input_text: str | None = None) -> None:
        """Run a command for a person and as JSON; both must fail without a traceback and without a secret."""
        codes = self.tries(*arguments, input_text=input_text)
        assert set(codes) <= {1, 2, 70}

    def tries(self, *arguments: object, input_text: str | None = None) -> list[int]:
        """Run a command in both ways; it may succeed, but neither break nor tell a secret."""
        codes = []
        for extra in ((), ("--json",)):
            words = [str(word) for word in (*arguments, *extra)]
            found = CliRunner().invoke(build(), words, input=input_text)
            shown = found.stdout + found.stderr + self.caplog.text
            assert found.exception is None or isinstance(found.exception, SystemExit), (
                f"{words}: {found.exception!r}"
            )
            assert "Traceback" not in shown
            self.look(shown)
            codes.append(found.exit_code)
        return codes

    def look(self, shown: str) -> None:
        self.printed.append(shown)
        assert shown.strip()
        assert self.search.find(shown.encode()) == set()
        assert self.search.find(unescaped(shown).encode()) == set()


def unescaped(shown: str) -> str:
    """JSON may hide a text behind escapes: show it plainly."""
    units = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), shown)
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def key_patterns(folder: Path) -> dict[str, bytes]:
    """Every private key that lies in a folder: seeds in hex, PEM lines."""
    patterns: dict[str, bytes] = {}
    for path in [*folder.rglob("*.key"), *folder.rglob("fedscreen-database-key")]:
        data = path.read_bytes()
        if b"PRIVATE KEY" in data:
            for line in data.decode().splitlines()[1:-1]:
                patterns |= spell(f"{path.name} PEM", line.encode())
        elif len(data) == 32:
            patterns |= spell(path.name, data)
        else:
            patterns |= spell(f"{path.name} hex", data.strip()) | spell(
                path.name, bytes.fromhex(data.decode())
            )
    return patterns


@pytest.fixture
def shell(
    runs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """Copies of node s05, coordinator and auditor a1 of a finished demo, and its planted secrets."""
    caplog.set_level(logging.DEBUG)
    county = runs / "first" / "county"
    for name, source in (("node", "nodes/s05"), ("coordinator", "coordinator"), ("auditor", "auditors/a1")):
        shutil.copytree(county / source, tmp_path / name)
    shutil.copytree(county / "credentials" / "s05", tmp_path / "credentials")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("LANGUAGE", "en")
    key = (tmp_path / "credentials" / "fedscreen-database-key").read_bytes()
    copied = tmp_path / "copy.db"
    shutil.copy(tmp_path / "node" / "vault" / "vault.db", copied)
    store = VaultStore(copied, key)
    patterns = vault_patterns(store, key) | key_patterns(tmp_path) | planted_patterns()
    store.close()
    copied.unlink()
    for row in pupils_of_s05():
        patterns |= of_text(str(row[0]))
        patterns |= of_text(str(row[1])) if len(str(row[1])) > 2 else {}
    return Shell(tmp_path, Search(patterns), caplog)


def pupils_of_s05() -> list[Any]:
    from demo_runs import NUM_PUPILS, NUM_SCHOOLS, SEED
    from promise_county import TODAY

    return list(make_county(NUM_SCHOOLS, NUM_PUPILS, SEED, school_year(TODAY))[4].roster[1:])


def write_files(folder: Path, files: Files) -> list[object]:
    """Write four files; give the options that name them."""
    folder.mkdir(exist_ok=True)
    options: list[object] = []
    for role, data in files.contents().items():
        path = folder / files.names()[role]
        path.write_bytes(data)
        options += [f"--{role}", path]
    return options


def options_of_target() -> list[str]:
    return [word for name, value in TARGET.items() for word in ("--" + name.replace("_", "-"), value)]


process = pytest.mark.process


@process
@pytest.mark.parametrize(
    "name", ["name in the place of a level", "columns shifted", "csv cut in a character"]
)
def test_import_command_with_bad_files(shell: Shell, name: str) -> None:
    files = planted_files()
    SPOILT[name](files)
    shell.fails(
        "node", "import", "--dir", shell.node, *write_files(shell.root / "files", files), *options_of_target()
    )


@process
def test_release_after_the_collection_was_closed(shell: Shell, runs: Path) -> None:
    """A plan's refusal: other records are imported, but the round is over."""
    summary = json.loads((runs / "first" / "summary.json").read_text())
    files = write_files(shell.root / "files", planted_files())
    arguments = ["node", "import", "--dir", shell.node, *files, "--round", summary["round"][:16]]
    assert CliRunner().invoke(build(), [str(word) for word in arguments]).exit_code == 0
    shell.fails("node", "release", summary["round"][:16], "--by", "王老师", "--dir", shell.node)
    assert "closed the collection" in shell.printed[0]


@process
def test_commands_about_a_round_that_is_not_there(shell: Shell) -> None:
    shell.fails("node", "preview", "ffff0000", "--dir", shell.node)
    shell.fails("node", "accept", shell.root / "credentials" / "fedscreen-database-key", "--fingerprint", "x",
                "--dir", shell.node)  # fmt: skip


@process
def test_another_database_key(shell: Shell) -> None:
    path = shell.root / "credentials" / "fedscreen-database-key"
    other = secrets.token_bytes(32)
    path.write_bytes(other)
    shell.fails("node", "status", "--dir", shell.node)
    assert Search(spell("other key", other)).find("".join(shell.printed).encode()) == set()


@process
def test_damaged_record_file(shell: Shell) -> None:
    path = shell.node / "vault" / "vault.db"
    data = bytearray(path.read_bytes())
    for at in range(4096 + 100, len(data), 4096):
        data[at] ^= 1
    path.write_bytes(data)
    shell.fails("node", "check", "--dir", shell.node)


@process
def test_node_that_cannot_open_its_record_file_ends_and_says_so(shell: Shell) -> None:
    """`run`, in processes of its own: supervisor, vault and egress write to the streams themselves."""
    (shell.root / "credentials" / "fedscreen-database-key").write_bytes(secrets.token_bytes(32))
    found = subprocess.run(
        [sys.executable, "-m", "fedscreen", "node", "run", "--dir", str(shell.node)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "FEDSCREEN_LANG": "zh_CN"},
    )
    assert found.returncode == 1
    assert b"Traceback" not in found.stderr
    shell.look((found.stdout + found.stderr).decode())


@process
def test_wrong_passphrase(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nacl.pwhash import argon2id

    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(argon2id, "MEMLIMIT_MODERATE", argon2id.MEMLIMIT_MIN)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("LANGUAGE", "en")
    right, wrong = "vier ganz verschiedene Wörter", "somebody else's other words"
    init = [
        "node",
        "init",
        "--federation",
        "county",
        "--id",
        "s1",
        "--operator",
        "x",
        "--dir",
        str(tmp_path / "n"),
    ]
    made = CliRunner().invoke(build(), init, input=f"{right}\n{right}\n")
    assert made.exit_code == 0, made.output
    shell = Shell(tmp_path, Search(of_text(right) | of_text(wrong)), caplog)
    shell.fails("node", "status", "--dir", tmp_path / "n", input_text=f"{wrong}\n")
    open_file = tmp_path / "open"
    open_file.write_text(right)
    open_file.chmod(0o644)
    shell.fails("node", "status", "--dir", tmp_path / "n", "--passphrase-file", open_file)
    shell.look(made.stdout + made.stderr)


@process
def test_coordinator_and_auditor_given_the_wrong_files(shell: Shell, runs: Path) -> None:
    """A roster, a workbook and a key in the place of every file that these commands read."""
    write_files(shell.root / "files", planted_files())
    table = shell.root / "files" / "roster.csv"
    table.write_bytes(encode_csv(planted_files().roster))
    key = shell.root / "coordinator" / "keys" / "statement.key"
    bundle = runs / "first" / "bundle"
    for wrong in (table, shell.root / "files" / "roster.xlsx", key):
        shell.fails("plan", "check", wrong)
        shell.fails("plan", "show", wrong)
        shell.fails("coordinator", "approve", wrong, "--dir", shell.root / "coordinator")
        shell.fails("coordinator", "plan", "publish", wrong, "--dir", shell.root / "coordinator")
        shell.fails("coordinator", "log", "fsck", "--policy", wrong, "--dir", shell.root / "coordinator")
        shell.fails("coordinator", "log", "fsck", "--card", wrong, "--dir", shell.root / "coordinator")
        shell.fails(
            "auditor", "join", "--grant", wrong, "--fingerprint", "x", "--dir", shell.root / "auditor"
        )
        shell.fails("auditor", "verify", bundle, "--policy", wrong)
        shell.fails("auditor", "verify", bundle, "--policy", runs / "first" / "policy.txt", "--head", wrong)
        shell.fails("node", "accept", wrong, "--fingerprint", "0000", "--dir", shell.node)


@process
def test_damaged_folders_of_coordinator_and_auditor(shell: Shell) -> None:
    coordinator, auditor = shell.root / "coordinator", shell.root / "auditor"
    shell.fails("coordinator", "init", "--federation", "demo-county", "--dir", coordinator)
    shell.fails("coordinator", "round", "close", "--dir", coordinator)
    for change in (lambda data: data[:-9], lambda data: data + b"\xff", lambda data: data.swapcase() + data):
        for name in ("coordinator/keys/log.key", "coordinator/keys/ca.key", "coordinator/coordinator.toml"):
            with changed(shell.root / name, change):
                shell.tries("coordinator", "round", "status", "--dir", coordinator)
        for name in (
            "keys/statement.key",
            "keys/cosigner.key",
            "keys/tls.key",
            "card.txt",
            "auditor.toml",
            "policy.txt",
        ):
            with changed(auditor / name, change):
                shell.tries("auditor", "status", "--offline", "--dir", auditor)
    for path in (coordinator / "coordinator.toml", auditor / "auditor.toml", shell.node / "node.toml"):
        path.write_bytes((shell.node / "egress" / "tls.key").read_bytes())
    shell.fails("coordinator", "round", "status", "--dir", coordinator)
    shell.fails("auditor", "status", "--offline", "--dir", auditor)
    shell.fails("node", "status", "--dir", shell.node)


@contextmanager
def changed(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """Spoil a file for a while."""
    before = path.read_bytes()
    path.write_bytes(change(before))
    try:
        yield
    finally:
        path.write_bytes(before)
