"""A throw-away node in a new folder: real confinement, a database key and a K of its own, no real record.

Nothing here takes a node's folder: a trial makes its own below the system's folder for temporary files and
removes it at the end. So no option and no file can point a trial at a school's records or at its K.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from node import enrolment
from node.audit_checks import AuditError
from node.audit_county import FEDERATION, NODE, OPERATOR, StandInCounty
from node.audit_wire import SERVER_NAME, TrialAuthority
from node.config import NodeConfig, NodeFolder, replace_file, write_config
from node.errors import _
from node.frames import KEY_BYTES
from node.session import VaultSession, open_vault
from plan.document import PlanDocument

PREFIX = "fedscreen-trial-"
POLL_S = 0.2
VaultCommand = Callable[[NodeFolder, NodeConfig, str], list[str]]


def now() -> datetime:
    """Read the computer's clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class ScratchNode:
    """One throw-away node and the county that it believes in.

    Attributes:
        folder, config: as of any node.
        county: the stand-in county.
        authority: its CA.
        key: the database key (32 bytes).
        attributes: the node's public attributes.
        system: its school system.
    """

    folder: NodeFolder
    config: NodeConfig
    county: StandInCounty
    authority: TrialAuthority
    attributes: Mapping[str, str]
    system: str
    key: bytes = field(repr=False)

    @contextmanager
    def vault(self) -> Iterator[VaultSession]:
        """Open a confined vault for commands."""
        with open_vault(self.folder, self.config, self.key) as session:
            yield session

    def enrol(self, vault: VaultSession) -> dict[str, Any]:
        """Make its identity, pin the county's card, and stand on the county's roster."""
        asks: dict[str, Any] = {
            "federation": FEDERATION,
            "node": NODE,
            "operator": OPERATOR,
            "system": self.system,
        }
        asks |= {"attributes": dict(self.attributes), "floors": {}}
        identity, _files = vault.call({"command": "init", **asks})
        vault.call({"command": "accept", "card_text": self.county.card_text})
        master = bytes.fromhex(str(identity["master"]))
        self.county.enrol(str(identity["report_key"]), master, self.attributes)
        return identity

    def connect(self, port: int) -> None:
        """Give the egress its TLS key, its certificate, and the address of the county."""
        request = x509.load_pem_x509_csr(enrolment.certificate_request(self.folder, self.config).encode())
        key = request.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise AuditError(_("the trial's TLS key is of another kind than expected"))
        name = x509.UniformResourceIdentifier(f"spiffe://{FEDERATION}/node/{NODE}")
        certificate = self.authority.certify(key, name, is_server=False)
        replace_file(self.folder.egress / enrolment.TLS_CERTIFICATE, certificate)
        replace_file(self.folder.egress / enrolment.CA_CERTIFICATE, self.authority.pem)
        self.config = replace(self.config, address=f"127.0.0.1:{port}", server_name=SERVER_NAME)
        write_config(self.folder, self.config)

    def read_log(self, vault: VaultSession) -> None:
        """Let the vault read the county's log, as a file."""
        vault.call({"command": "log_import"}, {"log": self.county.log_file()})


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a new folder for a trial, and remove it with all that is in it.

    Raises:
        AuditError: there is no place for it.
    """
    try:
        root = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    except OSError as err:
        raise AuditError(
            _("a folder for the trial cannot be made (%(reason)s)"),
            _("Free some space, or name another folder for temporary files with TMPDIR."),
            code="folder",
            details={"reason": err.strerror or ""},
        ) from err
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def make_scratch_node(
    root: Path,
    document: PlanDocument,
    schools: int,
    floor: str,
    *,
    attributes: Mapping[str, str],
    system: str,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> ScratchNode:
    """Make a node and its county in a new folder; nothing runs yet.

    Args:
        root: an empty folder of this trial.
        document: the plan whose trust terms the county follows.
        schools: operators on the roster.
        floor: lowest level of confinement that is accepted.
        attributes, system: of the node.
        entropy: for the county's keys; the vault draws its own.
    """
    authority = TrialAuthority()
    terms = (document.num_auditors, document.threshold, document.collude, document.quorum)
    county = StandInCounty(entropy, now, authority.fingerprint, terms, schools)
    folder = NodeFolder(root / "node")
    asked = NodeConfig(FEDERATION, NODE, "credential", confinement_floor=floor, poll_s=POLL_S)
    config = enrolment.prepare_folder(folder, asked, entropy)
    return ScratchNode(
        folder, config, county, authority, attributes, system, key=secrets.token_bytes(KEY_BYTES)
    )
