"""The schools' side of the demo: one node each, driven through the same confined vaults as the commands.

A school keeps one command vault open for its whole day (init, request, accept, import, preview,
release, receipt) while `fedscreen node run` serves the same store beside it, as a teacher's
commands do one by one.

Folders below the demo's: `nodes/<id>/` (node.toml, vault/, egress/), `credentials/<id>/` (the
database key, as systemd would hand it over).
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedscreen.demo.errors import DemoError
from fedscreen.demo.processes import Processes
from fedscreen.demo.school_files import CODEBOOK_FILE, PROFILE_FILE, ROSTER_FILE, SCREENING_FILE, School
from node import enrolment
from node.config import NodeConfig, NodeFolder
from node.session import VaultSession, open_vault
from node.unwrap import CREDENTIAL_NAME, KEY_BYTES
from plan.document import PlanDocument
from plan.errors import phrase
from protos.card import fingerprint
from protos.enrolment import parse_grant

FILES = {
    "roster": ROSTER_FILE,
    "screening": SCREENING_FILE,
    "profile": PROFILE_FILE,
    "codebook": CODEBOOK_FILE,
}


@dataclass(slots=True)
class DemoSchool:
    """One school of the demo.

    Attributes:
        school: its made-up files.
        files: folder of the files that it imports.
        folder: its node's directory.
        config: its node.toml.
        credentials: folder with the database key, for `node run`.
        key: its database key (32 bytes, secret).
        vault: the open conversation with its command vault.
    """

    school: School
    files: Path
    folder: NodeFolder
    config: NodeConfig
    credentials: Path
    key: bytes = field(repr=False)
    vault: VaultSession | None = None
    _open: ExitStack = field(default_factory=ExitStack, repr=False)

    @property
    def id(self) -> str:
        """The node's id."""
        return self.school.id

    def call(
        self, command: str, files: dict[str, bytes | Path] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Give the open vault a command."""
        return self._call(command, files or {}, fields)[0]

    def _call(
        self, command: str, files: dict[str, bytes | Path], fields: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, bytes]]:
        if self.vault is None:
            raise DemoError(phrase("%(id)s: its vault is not open", id=self.id))
        return self.vault.call({"command": command, **fields}, files)

    def open(self) -> None:
        """Start this school's command vault."""
        self.vault = self._open.enter_context(open_vault(self.folder, self.config, self.key))

    def close(self) -> None:
        """End the command vault, if it runs."""
        self.vault = None
        self._open.close()

    def request(self, floors: dict[str, Any]) -> bytes:
        """Make the node's identity and its enrolment request."""
        self.call(
            "init",
            federation=self.config.federation,
            node=self.id,
            operator=self.school.operator,
            attributes=dict(self.school.attributes),
            system=self.school.system,
            floors=floors,
        )
        csr = enrolment.certificate_request(self.folder, self.config)
        return self._call("request", {}, {"csr": csr})[1]["request"]

    def accept(self, grant: bytes) -> None:
        """Take the county's grant; the demo stands for the telephone that tells the fingerprint."""
        told = fingerprint(parse_grant(grant).card_text)
        checked = enrolment.read_grant(self.folder, self.config, grant, told)
        self.call("accept", card_text=checked.card_text)
        self.config = enrolment.install_grant(self.folder, self.config, checked)

    def import_files(self, plan: PlanDocument) -> None:
        """Import the school's roster and platform file for the plan's wave.

        Raises:
            DemoError: a file is refused.
        """
        files: dict[str, bytes | Path] = {role: self.files / name for role, name in FILES.items()}
        target = {
            "wave": plan.wave,
            "school_year": plan.school_year,
            "census_date": plan.census_date.isoformat(),
            "consent": plan.consent,
        }
        answer, _blobs = self._call("import", files, target)
        if answer["refused"]:
            raise DemoError(
                phrase(
                    "%(id)s: its files are refused: %(reason)s",
                    id=self.id,
                    reason=answer["issues"][0]["message"],
                )
            )

    def start(self, processes: Processes, record_frames: Path | None = None) -> None:
        """Start what `fedscreen node run` turns into: the supervisor, which starts vault and egress.

        The command itself would only unwrap the key and load what it needs for that, once for each node.
        """
        arguments = ["--dir", str(self.folder.root)]
        if record_frames is not None:
            arguments += ["--record-frames", str((record_frames / self.id).absolute())]
        processes.start(f"node-{self.id}", arguments, module="node.supervise", secret=self.key)

    def knows(self, round_id: bytes) -> bool:
        """Whether the node has read the round, approved by all, and a quorum has cosigned what it read."""
        rows = self.call("rounds")["rounds"]
        if not any(row["round"] == round_id.hex() and row["state"] == "collecting" for row in rows):
            return False
        log = self.call("status")["log"]
        return bool(log["trusted_size"] == log["size"])

    def release(self, round_id: bytes, by: str) -> dict[str, Any]:
        """Preview, then release exactly what was previewed."""
        preview = self.call("preview", round=round_id.hex())
        return self.call("release", round=round_id.hex(), by=by, records=preview["records"])

    def receipt(self, round_id: bytes) -> bytes | None:
        """The proof that the report stands in the cosigned log; None before that."""
        answer, blobs = self._call("receipt", {}, {"round": round_id.hex()})
        return blobs["receipt"] if answer["kind"] == "cosigned" else None


def prepare_school(root: Path, files: Path, school: School, federation: str, poll_s: float) -> DemoSchool:
    """Make a school's node directory and its database key."""
    asked = NodeConfig(federation=federation, node=school.id, key_source="credential", poll_s=poll_s)
    folder = NodeFolder((root / "nodes" / school.id).absolute())
    config = enrolment.prepare_folder(folder, asked, secrets.token_bytes)
    credentials = (root / "credentials" / school.id).absolute()
    credentials.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = secrets.token_bytes(KEY_BYTES)
    path = credentials / CREDENTIAL_NAME
    path.touch(mode=0o600)
    path.write_bytes(key)
    return DemoSchool(school, files / school.id, folder, config, credentials, key)
