"""A school whose pupils are canaries, and every command of `fedscreen node` on it, in this process.

Commands run as click runs them; only the vault is not a process of its own: `DeskSession` gives what is asked
to a real desk on the real record file and takes answers, refusals and files through the same encoding as the
pipe. Names, student numbers and guardians' telephone numbers are planted in every encoding of the files.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import follow_up_school
import pytest
from click.testing import CliRunner
from fakes_vault import KEY, SchoolHouse, plan_of, pupils
from leak_search import Search, of_text, spell
from promise_county import NAMES
from wall_support import make_config

from fedscreen.__main__ import build
from fedscreen.demo.school_files import encode_workbook
from node import session
from node.config import NodeFolder, write_config
from node.frames import encode_object, encode_response, parse_object, parse_response
from node.vault.desk import Desk
from node.vault.errors import VaultError
from node.vault.store import VaultStore
from node.vault.worker import refusal
from plan.codebook import parse_codebook_toml
from plan.publishing import use_codebook
from privacy.year_account import school_year_of

TODAY = datetime.now(UTC).replace(microsecond=0)
YEAR = school_year_of(TODAY.date())
PSYCHOLOGIST, PRINCIPAL = "李老师", "王校长"
PASSPHRASE = "four unrelated words here"
PHONES = tuple(f"1395823{place:04d}" for place in range(7017, 7024))
PUPILS = NAMES[: len(follow_up_school.NAMES)]
NUMBERS = tuple(follow_up_school.number(place) for place in range(len(PUPILS)))
CANARIES = (*PUPILS, *NUMBERS, *PHONES)


def school_files() -> dict[str, bytes]:
    """The made-up school of the follow-up, its pupils renamed to canaries, with telephone numbers."""
    made = follow_up_school.files(day=TODAY.date().isoformat())
    rows = made["roster"].decode().split("\n")
    rows[0] += ",监护人电话"
    for place in range(len(PUPILS)):
        rows[place + 1] = rows[place + 1].replace(follow_up_school.NAMES[place], PUPILS[place])
        rows[place + 1] += f",{PHONES[place]}"
    return made | {"roster": "\n".join(rows).encode()}


def search_of_canaries() -> Search:
    """Every spelling of every canary, also as JSON escapes it."""
    patterns: dict[str, bytes] = {}
    for text in CANARIES:
        patterns |= of_text(text)
        patterns |= spell(f"{text} escaped", json.dumps(text)[1:-1].encode())
    return Search(patterns)


def unescaped(shown: str) -> str:
    """JSON may hide a text behind escapes: show it plainly."""
    units = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), shown)
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def contents(data: bytes) -> Iterator[bytes]:
    """What a file says: itself, the members of an archive, the streams of a PDF."""
    yield data
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield archive.read(name)
    if data.startswith(b"%PDF"):
        for found in re.finditer(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
            try:
                yield zlib.decompress(found[1])
            except zlib.error:
                continue


class DeskSession:
    """A command's conversation with a desk in this process."""

    level = "L3"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def call(
        self, command: Mapping[str, Any], files: Mapping[str, bytes | Path] | None = None
    ) -> tuple[dict[str, Any], dict[str, bytes]]:
        """As `VaultSession.call`."""
        given = {
            name: found if isinstance(found, bytes) else found.read_bytes()
            for name, found in (files or {}).items()
        }
        try:
            answer, blobs = self.desk.handle(parse_object(encode_object(command)), given)
            response = encode_response({"ok": True, "answer": dict(answer)}, blobs)
        except VaultError as err:
            response = refusal(err)
        header, found = parse_response(response)
        if header.get("ok") is not True:
            raise session._refusal(header.get("error"))
        return dict(header["answer"]), found


@contextmanager
def open_here(folder: NodeFolder, _config: object, key: bytes, **_rest: object) -> Iterator[DeskSession]:
    """Open a vault in this process."""
    try:
        store = VaultStore(folder.vault / "vault.db", key)
    except VaultError as err:
        raise session._refusal(parse_response(refusal(err))[0]["error"]) from None
    try:
        yield DeskSession(
            Desk(store, entropy=os.urandom, now=lambda: datetime.now(UTC), level="L3", software=bytes(32))
        )
    finally:
        store.close()


def use_desks_here(patch: pytest.MonkeyPatch) -> None:
    """Let every command open its vault in this process."""
    real = session.open_vault
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "node" and getattr(module, "open_vault", None) is real:
            patch.setattr(module, "open_vault", open_here)


def quick_stretch(passphrase: str, salt: bytes) -> bytes:
    """Stand in for Argon2id, which takes 0.4 s each time."""
    return (passphrase.encode() + salt).ljust(32, b".")[-32:]


@dataclass
class Shown:
    """What one run of a command showed and wrote."""

    words: list[str]
    exit_code: int
    shown: str
    files: dict[str, bytes]
    found: list[str] = field(default_factory=list)


class CanarySchool:
    """A node with canaries in it. `root/out` is where commands write."""

    def __init__(self, root: Path) -> None:
        self.root, self.node, self.out = root, root / "node", root / "out"
        self.search = search_of_canaries()
        for path in (self.node / "vault", self.node / "egress", self.node / "receipts", self.out):
            path.mkdir(parents=True)
        (root / "fedscreen-database-key").write_bytes(KEY)
        self.passphrase = self._secret("passphrase", PASSPHRASE)
        self.wrong = self._secret("wrong", "four other unrelated words")
        self.house = SchoolHouse(self.node / "vault")
        self.house.now = TODAY
        config = make_config(federation=self.house.federation.federation, node="school-1")
        write_config(NodeFolder(self.node), config)
        self.round_id = self._publish()
        self.house.store.close()
        self.num_outputs = 0

    def _secret(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return path

    def _publish(self) -> str:
        window = {"opens": TODAY - timedelta(hours=1), "closes": TODAY + timedelta(days=20)}
        plan = plan_of(school_year=YEAR, census_date=TODAY.date(), **window)
        plan = use_codebook(plan, parse_codebook_toml(school_files()["codebook"]))
        self.codebook = plan.instruments[0].digest
        round_id = self.house.publish(plan, opens=plan.opens, closes=plan.closes)
        self.house.federation.approve(round_id)
        self.house.sync()
        return round_id.hex()

    def save(self, num: int, level: int) -> None:
        """Give the node other pupils, and its two roles; every second one has this level."""
        house = self.house
        house.open()
        records = [
            replace(pupil, level1=str(level * (place % 2)), codebook=self.codebook)
            if pupil.disposition == "1"
            else pupil
            for place, pupil in enumerate(pupils(num))
        ]
        for role, name in (("psychologist", PSYCHOLOGIST), ("principal", PRINCIPAL)):
            salt = house.call("role_salt", role=role, name=name)["salt"]
            key = quick_stretch(PASSPHRASE, bytes.fromhex(salt)).hex()
            house.call("role_add", role=role, name=name, salt=salt, key=key)
        house.save(records, census_date=TODAY.date())
        house.store.close()

    def write_import(self, encoding: str = "utf-8") -> list[str]:
        """Write the files of an import in one encoding; give the options that name them."""
        folder = self.root / f"files-{encoding}"
        folder.mkdir(exist_ok=True)
        options = []
        for name, data in school_files().items():
            ending = "toml" if name in ("profile", "codebook") else "csv"
            if ending == "csv" and encoding == "xlsx":
                rows = [line.split(",") for line in data.decode().split("\n")]
                data, ending = encode_workbook("x", rows), "xlsx"
            elif ending == "csv":
                data = data.decode().encode(encoding)
            path = folder / f"{name}.{ending}"
            path.write_bytes(data)
            options += [f"--{name}", str(path)]
        return options

    def run(self, *words: object, language: str = "en", text: str | None = None) -> Shown:
        """Run a command; search everything that it showed and wrote."""
        before = {path: path.stat().st_mtime_ns for path in self.out.rglob("*") if path.is_file()}
        line = [str(word) for word in words]
        found = CliRunner(env={"LANGUAGE": language}).invoke(build(), ["node", *line], input=text)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise AssertionError(f"{line}: {found.exception!r}") from found.exception
        written = {
            str(path.relative_to(self.out)): path.read_bytes()
            for path in self.out.rglob("*")
            if path.is_file() and before.get(path) != path.stat().st_mtime_ns
        }
        shown = Shown(line, found.exit_code, found.stdout + found.stderr, written)
        shown.found = self.look(shown)
        return shown

    def look(self, shown: Shown) -> list[str]:
        """Name every canary in what was shown and written."""
        parts = [("output", shown.shown.encode()), ("output", unescaped(shown.shown).encode())]
        parts += [(name, part) for name, data in shown.files.items() for part in contents(data)]
        return self.search.find_in(parts)

    def new(self, name: str) -> Path:
        """A path to write to that nobody used yet."""
        self.num_outputs += 1
        return self.out / f"{self.num_outputs}-{name}"
