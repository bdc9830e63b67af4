"""The auditor's long-lived keys: made at `init`, never moved, one file each.

| file | key | its public half is in |
| --- | --- | --- |
| keys/statement.key | Ed25519, signs statements | roster |
| keys/cosigner.key | Ed25519, cosigns checkpoints (C2SP type 0x04) | roster, federation card, policies |
| keys/tls.key | P-256, mTLS to the coordinator | a certificate of the federation's CA |

Round keys are not here: they are one-round secrets (`auditor.state.SecretKind`).
Spec: docs/protocol.md section "Keys".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auditor.config import AuditorConfig, AuditorFolder
from auditor.durable import create_exclusively, make_private_directory, replace_durably
from auditor.errors import KeyFileError
from crypto.note import KeyType, SigningKey
from plan.errors import phrase
from protos.bodies import key_name

SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class AuditorKeys:
    """The two signing keys. They are different keys: a cosignature never stands for a statement."""

    statement: SigningKey = field(repr=False)
    cosigner: SigningKey = field(repr=False)


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
    names = config.federation, config.id
    return AuditorKeys(
        statement=SigningKey(
            key_name(names[0], "auditor", names[1]),
            KeyType.ED25519,
            _read_seed(folder.keys / "statement.key"),
        ),
        cosigner=SigningKey(
            key_name(names[0], "witness", names[1]),
            KeyType.COSIGNATURE,
            _read_seed(folder.keys / "cosigner.key"),
        ),
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
    """Keep the certificate and CA of a grant.

    Raises:
        KeyFileError: the certificate is for another key or not by this CA, or the CA is not the
            one that the federation card pins.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        ca = x509.load_pem_x509_certificate(ca_pem.encode())
    except (ValueError, x509.InvalidVersion) as err:
        raise KeyFileError(
            phrase("grant: certificate or CA is not PEM; ask the coordinator for it again")
        ) from err
    if ca.fingerprint(hashes.SHA256()) != ca_sha256:
        raise KeyFileError(phrase("grant: the CA is not the one that the federation card pins; do not join"))
    if certificate.public_key() != _tls_key(folder).public_key():
        raise KeyFileError(phrase("grant: the certificate is for another key than this auditor's"))
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError) as err:
        raise KeyFileError(phrase("grant: the certificate is not signed by the federation's CA")) from err
    replace_durably(folder.keys / "tls.crt", certificate_pem.encode(), "tls.crt")
    replace_durably(folder.keys / "ca.crt", ca_pem.encode(), "ca.crt")
