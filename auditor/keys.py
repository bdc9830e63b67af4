"""The auditor's long-lived keys: made at `init`, never moved, one file each.

| file | key | its public half is in |
| --- | --- | --- |
| keys/statement.key | Ed25519, signs statements | roster |
| keys/cosigner.key | Ed25519, cosigns checkpoints (C2SP type 0x04) | roster, federation card, policies |
| keys/tls.key | P-256, mTLS to the coordinator | a certificate of the federation's CA |
| keys/statement-2.key, keys/cosigner-2.key … | the ones that follow (`roll`) | a later roster |

A key that another one follows stays: a round that was planned under it is finished with it. Which pair is in
force is said by the log's rosters alone.

Round keys are not here: they are one-round secrets (`auditor.state.SecretKind`).
Spec: docs/protocol.md section "Keys".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auditor.config import AuditorConfig, AuditorFolder
from auditor.durable import create_exclusively, make_private_directory, replace_durably
from auditor.errors import KeyFileError
from crypto.ca_chain import roots_pem, verify_ca_chain
from crypto.errors import CryptoError, VerificationError
from crypto.note import KeyType, SigningKey, VerifierKey
from plan.errors import phrase
from protos.bodies import key_name

SEED_BYTES = 32


Pair = tuple[SigningKey, SigningKey]
"""A statement key and the cosigner key beside it."""


@dataclass(slots=True)
class AuditorKeys:
    """The signing keys. They are different keys: a cosignature never stands for a statement.

    Attributes:
        statement, cosigner: the newest pair.
        earlier: the pairs that it follows, oldest first.
        read_again: reads the folder anew; another process may have made a pair.
    """

    statement: SigningKey = field(repr=False)
    cosigner: SigningKey = field(repr=False)
    earlier: tuple[Pair, ...] = field(default=(), repr=False)
    read_again: Callable[[], AuditorKeys] | None = field(default=None, repr=False, compare=False)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every pair, oldest first."""
        return (*self.earlier, (self.statement, self.cosigner))

    def holds(self, statement: VerifierKey, cosigner: VerifierKey) -> bool:
        """Tell whether a roster's two keys are a pair of this auditor's."""
        if not self._knows(statement):
            self._refresh()
        return (statement, cosigner) in [(one.verifier, two.verifier) for one, two in self.pairs]

    def statement_for(self, verifier: VerifierKey) -> SigningKey:
        """Give the statement key with this public half.

        Raises:
            KeyFileError: it is not one of this auditor's.
        """
        if not self._knows(verifier):
            self._refresh()
        for statement, _cosigner in self.pairs:
            if statement.verifier == verifier:
                return statement
        raise KeyFileError(phrase("the roster names another statement key for this auditor; restore keys/"))

    def cosigner_among(self, verifiers: Collection[VerifierKey]) -> SigningKey | None:
        """Give the cosigner key whose public half is among these; None where there is none."""
        for is_second in (False, True):
            if is_second:
                self._refresh()
            for _statement, cosigner in reversed(self.pairs):
                if cosigner.verifier in verifiers:
                    return cosigner
        return None

    def _knows(self, statement: VerifierKey) -> bool:
        return statement in [one.verifier for one, _two in self.pairs]

    def _refresh(self) -> None:
        if self.read_again is not None:
            found = self.read_again()
            self.statement, self.cosigner, self.earlier = found.statement, found.cosigner, found.earlier


def create_keys(
    folder: AuditorFolder, config: AuditorConfig, entropy: Callable[[int], bytes] = secrets.token_bytes
) -> AuditorKeys:
    """Make the three key files of a new auditor.

    Raises:
        KeyFileError: one of them exists; keys are never replaced in place.
    """
    make_private_directory(folder.keys)
    existing = [
        name for name in ("statement.key", "cosigner.key", "tls.key") if (folder.keys / name).exists()
    ]
    if existing:
        raise KeyFileError(
            phrase(
                "%(keys)s: exists already; choose another directory for a new auditor",
                keys=folder.keys / existing[0],
            )
        )
    for name in ("statement.key", "cosigner.key"):
        create_exclusively(folder.keys / name, entropy(SEED_BYTES).hex().encode() + b"\n", name)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    create_exclusively(folder.keys / "tls.key", pem, "tls.key")
    return load_keys(folder, config)


def load_keys(folder: AuditorFolder, config: AuditorConfig) -> AuditorKeys:
    """Read the signing keys.

    Raises:
        KeyFileError: a file is missing or malformed.
    """
    pairs = tuple(_read_pair(folder, config, number) for number in range(1, _num_pairs(folder) + 1))
    return AuditorKeys(*pairs[-1], earlier=pairs[:-1], read_again=lambda: load_keys(folder, config))


def create_next(
    folder: AuditorFolder, config: AuditorConfig, entropy: Callable[[int], bytes] = secrets.token_bytes
) -> AuditorKeys:
    """Make the next pair of keys; after a crash it goes on where it stopped.

    The statement key is written last: a pair counts from then on.
    """
    number = _num_pairs(folder) + 1
    for purpose in ("cosigner", "statement"):
        path = folder.keys / _file_name(purpose, number)
        if not path.exists():
            create_exclusively(path, entropy(SEED_BYTES).hex().encode() + b"\n", path.name)
    return load_keys(folder, config)


def _num_pairs(folder: AuditorFolder) -> int:
    number = 1
    while (folder.keys / _file_name("statement", number + 1)).exists():
        number += 1
    return number


def _file_name(purpose: str, number: int) -> str:
    return f"{purpose}.key" if number == 1 else f"{purpose}-{number}.key"


def _read_pair(folder: AuditorFolder, config: AuditorConfig, number: int) -> Pair:
    statement, cosigner = (
        _read_seed(folder.keys / _file_name(name, number)) for name in ("statement", "cosigner")
    )
    return (
        SigningKey(key_name(config.federation, "auditor", config.id), KeyType.ED25519, statement),
        SigningKey(key_name(config.federation, "witness", config.id), KeyType.COSIGNATURE, cosigner),
    )


def _read_seed(path: Path) -> bytes:
    text = _read(path)
    try:
        seed = bytes.fromhex(text.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, ValueError) as err:
        raise KeyFileError(
            phrase("%(path)s: not a key file; restore it from where `init` wrote it", path=path)
        ) from err
    if len(seed) != SEED_BYTES or text != seed.hex().encode() + b"\n":
        raise KeyFileError(
            phrase(
                "%(path)s: not a key file of %(seed_bytes)s bytes in hex; restore it",
                path=path,
                seed_bytes=SEED_BYTES,
            )
        )
    return seed


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as err:
        raise KeyFileError(
            phrase("%(path)s: not found; run 'fedscreen auditor init' or restore the file", path=path)
        ) from err


def certificate_request(folder: AuditorFolder, config: AuditorConfig) -> str:
    """Write the CSR (PEM) for the TLS key, naming ``spiffe://<federation>/auditor/<id>``."""
    uri = x509.UniformResourceIdentifier(f"spiffe://{config.federation}/auditor/{config.id}")
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, config.id)]))
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .sign(_tls_key(folder), hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _tls_key(folder: AuditorFolder) -> ec.EllipticCurvePrivateKey:
    path = folder.keys / "tls.key"
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except ValueError as err:
        raise KeyFileError(phrase("%(path)s: not a private key in PEM; restore it", path=path)) from err
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyFileError(phrase("%(path)s: expected a P-256 key", path=path))
    return key


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What mTLS needs, as PEM bytes."""

    key: bytes = field(repr=False)
    certificate: bytes
    ca: bytes


def load_tls(folder: AuditorFolder) -> TlsFiles:
    """Read key, certificate and CA for the connection to the coordinator.

    Raises:
        KeyFileError: a file is missing (before `join`, the certificate is).
    """
    return TlsFiles(*(_read(folder.keys / name) for name in ("tls.key", "tls.crt", "ca.crt")))


def install_certificate(folder: AuditorFolder, certificate_pem: str, ca_pem: str, ca_sha256: bytes) -> None:
    """Keep the certificate and the CAs of a grant.

    Raises:
        KeyFileError: the certificate is for another key or not by one of these CAs, or the CAs do not
            begin with the one that the federation card pins.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        roots = verify_ca_chain(ca_pem.encode(), ca_sha256)
    except VerificationError as err:
        raise KeyFileError(
            phrase("grant: the CA is not the one that the federation card pins; do not join")
        ) from err
    except (ValueError, CryptoError, x509.InvalidVersion) as err:
        raise KeyFileError(
            phrase("grant: certificate or CA is not PEM; ask the coordinator for it again")
        ) from err
    if certificate.public_key() != _tls_key(folder).public_key():
        raise KeyFileError(phrase("grant: the certificate is for another key than this auditor's"))
    if not any(_is_issued_by(certificate, ca) for ca in roots):
        raise KeyFileError(phrase("grant: the certificate is not signed by the federation's CA"))
    replace_durably(folder.keys / "tls.crt", certificate_pem.encode(), "tls.crt")
    replace_durably(folder.keys / "ca.crt", roots_pem(roots), "ca.crt")


def _is_issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def certificate_days(folder: AuditorFolder, now: datetime) -> int:
    """Count the days that the TLS certificate still holds; negative when it has expired.

    Raises:
        KeyFileError: it is missing or damaged.
    """
    path = folder.keys / "tls.crt"
    try:
        return (x509.load_pem_x509_certificate(_read(path)).not_valid_after_utc - now).days
    except (ValueError, x509.InvalidVersion) as err:
        raise KeyFileError(phrase("%(path)s: not a certificate in PEM; restore it", path=path)) from err
