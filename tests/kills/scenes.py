"""A school at every stage of its round, as folders to be copied, and the operations that are killed there.

`Stage` builds the folders once: enrolled with an open round → imported → released; and the released one as an
older version's record file. An operation is a real command on a copy of one of them, with the school's files,
the real confined vault and, for sending, the real egress and a coordinator behind mTLS.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fakes_federation import TinyFederation
from fakes_log_server import SERVER_NAME, LogServer
from fakes_vault import KEY, SchoolHouse, plan_of
from kills.tracing import Traced, run
from sqlcipher3 import dbapi2 as sqlcipher
from wall_support import EGRESS_UID, TESTS, VAULT_UID, make_config, make_folder

from crypto.merkle import inclusion_proof
from crypto.tlog_proof import TlogProof, encode_proof
from node.config import NodeFolder, write_config
from node.vault.desk import Desk
from node.vault.enrol import load_identity
from node.vault.reports import all_reports
from node.vault.schema import FORMAT_1
from node.vault.store import VaultStore
from plan.codebook import parse_codebook_toml
from plan.document import PlanDocument
from plan.publishing import use_codebook
from privacy.year_account import school_year_of
from protos import fedscreen_v1_pb2 as pb
from protos.report_payload import note_of, parse_payload

ROOT = TESTS.parent
EXAMPLES = ROOT / "examples"
NUM_PUPILS = 60
NODE = "school-1"
BY = "王老师"
TODAY = datetime.now(UTC).replace(microsecond=0)


def document() -> PlanDocument:
    """A small plan whose round is open now."""
    window = {"opens": TODAY - timedelta(hours=1), "closes": TODAY + timedelta(days=20)}
    plan = plan_of(school_year=school_year_of(TODAY.date()), census_date=TODAY.date(), **window)
    return use_codebook(plan, parse_codebook_toml((EXAMPLES / "codebooks/addhealth.toml").read_bytes()))


def write_school_files(folder: Path) -> list[str]:
    """Write the four files of an import; give the options that name them."""
    folder.mkdir()
    roster, screening = ["学籍号,姓名,年级,监护人同意"], ["学籍号,测评日期,总分,预警等级"]
    for place in range(NUM_PUPILS):
        number = f"G99000120140900{place:03d}X"
        roster.append(f"{number},学生{place:03d},{'七年级' if place % 2 else '八年级'},同意")
        screening.append(f"{number},{TODAY:%Y-%m-%d},{place % 5},{place % 5}")
    files = {
        "roster.csv": "\n".join(roster).encode(),
        "screening.csv": "\n".join(screening).encode(),
        "profile.toml": (EXAMPLES / "profiles/addhealth.toml").read_bytes(),
        "codebook.toml": (EXAMPLES / "codebooks/addhealth.toml").read_bytes(),
    }
    options = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        options += [f"--{name.split('.')[0]}", str(folder / name)]
    return options


@dataclass
class County(LogServer):
    """A coordinator over a `TinyFederation`: real log, real receipts."""

    federation: TinyFederation = field(default_factory=lambda: TinyFederation(kind="production"))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def GetLog(self, request: Any, context: Any) -> Any:
        with self.lock:
            self.starts.append(request.start)
            page = self.federation.page(request.start, None, datetime.now(UTC).replace(microsecond=0))
        answer = pb.GetLogResponse(start=page.start, latest=page.latest, cosigned=page.cosigned)
        answer.entries.extend(pb.LogEntry(entry=entry, body=body) for entry, body in page.entries)
        return answer

    def SubmitReport(self, request: Any, context: Any) -> Any:
        federation, entry = self.federation, note_of(request.payload)
        with self.lock:
            self.reports.append(request.payload)
            if entry not in [known for known, _body in federation.entries]:
                federation.ledger.append(entry, b"")
                federation.entries.append((entry, b""))
            index = [known for known, _body in federation.entries].index(entry)
            hashes = inclusion_proof(federation.ledger.leaves, index, federation.ledger.size)
            receipt = encode_proof(TlogProof(index, hashes, federation.checkpoint()))
        return pb.SubmitReportResponse(receipt=receipt)


@dataclass(frozen=True)
class State:
    """What a school's record file says, as far as kills may not spoil it."""

    damaged: tuple[str, ...]
    journal: tuple[str, ...]
    sets: tuple[tuple[int, str, int], ...]
    num_records: int
    charges: tuple[str, ...]
    reports: tuple[tuple[int, str], ...]
    payloads: tuple[bytes, ...] = field(repr=False)
    receipts: tuple[str, ...]
    states: tuple[str, ...]

    def vectors(self, federation: TinyFederation, round_id: bytes) -> set[bytes]:
        """The masked and noisy vectors of all stored reports."""
        log = federation.round(round_id)
        return {
            parse_payload(payload, log.terms.num_elements, log.box_bytes, log.num_auditors).vector
            for payload in self.payloads
        }


def read_state(folder: Path) -> State:
    """Read a copy of a record file: the next real command shall be the first that finds what a kill left."""
    aside = folder.parent / f"{folder.name}-looked-at"
    shutil.copytree(folder / "vault", aside)
    store = VaultStore(aside / "vault.db", KEY)
    try:
        desk = Desk(store, entropy=os.urandom, now=lambda: datetime.now(UTC), level="L3", software=bytes(32))
        checked, _files = desk.handle({"command": "check_store"}, {})
        rounds, _files = desk.handle({"command": "rounds"}, {})
        records = list(desk.journal(load_identity(store)).verify())
        if len(records) != checked["journal_records"]:
            raise AssertionError("the journal has another length when it is read again")
        return State(
            tuple(checked["damaged"]),
            tuple(record.kind for record in records),
            tuple((row[0], bytes(row[1]).hex(), row[2]) for row in store.query(
                "SELECT set_id, digest, num_records FROM record_set WHERE is_current = 1")),
            store.query("SELECT count(*) FROM record")[0][0],
            tuple(bytes(row[0]).hex() for row in store.query("SELECT round FROM charge")),
            tuple((report.attempt, report.digest.hex()) for report in all_reports(store)),
            tuple(bytes(row[0]) for row in store.query("SELECT payload FROM report WHERE payload NOT NULL")),
            tuple(row[0] for row in store.query("SELECT kind FROM receipt ORDER BY kind")),
            tuple(row["report"].get("state", "") for row in rounds["rounds"]),
        )  # fmt: skip
    finally:
        store.close()
        shutil.rmtree(aside)


def age(path: Path) -> None:
    """Make a record file one of format 1, as the version before wrote it, with all its rows."""
    new = path.with_name("older.db")
    source, target = _connect(path), _connect(new)
    for statement in FORMAT_1:
        target.execute(statement)
    tables = [row[0] for row in target.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in source.execute(f'SELECT * FROM "{table}"'):
            target.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)
    target.execute("PRAGMA user_version = 1")
    source.close()
    target.close()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.rename(new, path)


def _connect(path: Path) -> Any:
    connection = sqlcipher.connect(str(path), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


class Stage:
    """The folders of every stage below `root`, and the county they belong to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.chmod(0o755)  # the vault's own user passes through
        (root / "fedscreen-database-key").write_bytes(KEY)
        self.files = write_school_files(root / "files")
        self.county = County()
        self.server, self.port = self.county.serve()
        self.round_id = self._enrol(root / "enrolled")
        self._after("imported", "enrolled", lambda folder: self.command("import", folder, *self.files))
        self._after(
            "released",
            "imported",
            lambda folder: self.command("release", folder, self.round_id.hex()[:16], "--by", BY),
        )
        self._after("older", "released", None)
        age(root / "older" / "vault" / "vault.db")

    def _enrol(self, folder: Path) -> bytes:
        node = make_folder(folder, self.county)
        federation = self.county.federation
        house = SchoolHouse(node.vault, federation, node=NODE)
        house.now = datetime.now(UTC).replace(microsecond=0)
        plan = document()
        round_id = house.publish(plan, opens=plan.opens, closes=plan.closes)
        federation.approve(round_id)
        house.sync()
        house.store.close()
        config = make_config(
            federation=federation.federation,
            node=NODE,
            vault_uid=VAULT_UID,
            egress_uid=EGRESS_UID,
            address=f"127.0.0.1:{self.port}",
            server_name=SERVER_NAME,
        )
        write_config(node, config)
        return round_id

    def _after(self, name: str, before: str, line: Callable[[Path], list[str]] | None) -> None:
        shutil.copytree(self.root / before, self.root / name)
        if line is not None and self.finish(line(self.root / name)) != 0:
            raise AssertionError((self.root / "last.out").read_text())

    def close(self) -> None:
        """Stop the coordinator."""
        self.server.stop(0).wait()

    def environment(self) -> dict[str, str]:
        """What every command gets."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return kept | {
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            "FEDSCREEN_LANG": "en",
            "CREDENTIALS_DIRECTORY": str(self.root),
        }

    def command(self, name: str, folder: Path, *arguments: str) -> list[str]:
        """A command line of `fedscreen node`."""
        words = [*name.split(), "--dir", str(folder), *arguments, "--json"]
        return [sys.executable, "-m", "fedscreen", "node", *words]

    @contextmanager
    def copy_of(self, stage: str) -> Iterator[Path]:
        """A fresh copy of a stage's folder, with the county as it was."""
        before = copy.deepcopy(self.county.federation.entries), copy.deepcopy(self.county.federation.ledger)
        folder = self.root / f"{stage}-{time.monotonic_ns()}"
        shutil.copytree(self.root / stage, folder)
        self.county.reports.clear()
        self.county.starts.clear()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
            with self.county.lock:
                self.county.federation.entries, self.county.federation.ledger = before

    def trace(self, line: list[str], kill_at: int | None, **options: Any) -> Traced:
        """Run a command line, killed at a point or to its end."""
        return run(line, kill_at, self.environment(), out=self.root / "last.out", **options)

    def finish(self, line: list[str], stdin: bytes = b"", stop_when: Callable[[], bool] | None = None) -> int:
        """Run a command line to its end, nobody looking on; give its exit code."""
        with (self.root / "last.out").open("wb") as out:
            process = subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=out, stderr=out, env=self.environment()
            )
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            until_s = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < until_s:
                time.sleep(0.02)
                if stop_when is not None and stop_when():
                    process.terminate()
                    break
            return process.wait(60)

    def supervise(self, folder: Path) -> list[str]:
        """The command line that `fedscreen node run` becomes; it reads the key on stdin."""
        return [sys.executable, "-m", "node.supervise", "--dir", str(NodeFolder(folder).root)]
