"""A node's way into a federation, outside the vault: folders and users, TLS key, grant.

1. `prepare_folder` makes the directory, picks the two users of the wall and writes node.toml.
2. `certificate_request` makes the TLS key (it never moves) and a CSR; the vault puts the CSR into the
   signed request.
3. `read_grant` takes the county's answer only if the card's fingerprint is the one that a person was
   told by another way, and if certificate, CA and card belong together and to this node.
4. `install_grant` keeps it, after the vault has pinned the card.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from crypto.ca_chain import roots_pem, verify_ca_chain
from crypto.errors import CryptoError, VerificationError
from node.config import (
    HIGHEST_UID,
    LOWEST_UID,
    NodeConfig,
    NodeFolder,
    read_config,
    replace_file,
    write_config,
)
from node.errors import ConfigError, LinkError, _
from protos.card import fingerprint, parse_card
from protos.enrolment import Grant, parse_grant
from protos.errors import ProtocolError

ROLE = "node"
TLS_KEY, TLS_CERTIFICATE, CA_CERTIFICATE = "tls.key", "tls.crt", "ca.crt"


def prepare_folder(folder: NodeFolder, config: NodeConfig, entropy: Callable[[int], bytes]) -> NodeConfig:
    """Make a node's directory and node.toml; a second time with the same ids changes nothing.

    Args:
        folder: the node's directory.
        config: what was asked for, without users.
        entropy: the system's random bytes, to pick users.

    Returns:
        The configuration that holds: the existing one, or `config` with two users if run by root.

    Raises:
        ConfigError: another node lives there, or the directory cannot be made.
    """
    if folder.config.exists():
        existing = read_config(folder)
        if (existing.federation, existing.node) != (config.federation, config.node):
            raise ConfigError(
                _("%(folder)s belongs to node %(node)s of %(federation)s"),
                _("Use another folder for another node; nothing was changed."),
                details={
                    "folder": str(folder.root),
                    "node": existing.node,
                    "federation": existing.federation,
                },
            )
        return existing
    try:
        for path in (folder.root, folder.vault, folder.egress, folder.receipts):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise ConfigError(
            _("%(folder)s cannot be made (%(reason)s)"),
            _("Choose a folder on a local disk that you may write to."),
            details={"folder": str(folder.root), "reason": err.strerror or ""},
        ) from err
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        vault_uid, egress_uid = pick_users(entropy)
        config = replace(config, vault_uid=vault_uid, egress_uid=egress_uid)
    write_config(folder, config)
    return config


def pick_users(entropy: Callable[[int], bytes]) -> tuple[int, int]:
    """Pick two user numbers that no account on this machine has.

    They are random, so that two nodes on one machine do not share them; node.toml keeps them.
    """
    taken = _users_and_groups()
    found: list[int] = []
    while len(found) < 2:
        uid = LOWEST_UID + int.from_bytes(entropy(4)) % (HIGHEST_UID - LOWEST_UID + 1)
        if uid not in taken and uid not in found:
            found.append(uid)
    return found[0], found[1]


def _users_and_groups() -> set[int]:
    if os.name != "posix":
        return set()
    import pwd

    return {entry.pw_uid for entry in pwd.getpwall()} | {entry.pw_gid for entry in pwd.getpwall()}


def certificate_request(folder: NodeFolder, config: NodeConfig) -> str:
    """Make the TLS key if there is none yet, and write a CSR (PEM) that names this node.

    Raises:
        LinkError: the key file is damaged.
    """
    path = folder.egress / TLS_KEY
    if not path.exists():
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        replace_file(path, pem)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, config.node)]))
        .add_extension(x509.SubjectAlternativeName([_identity(config)]), critical=False)
        .sign(_tls_key(folder), hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _identity(config: NodeConfig) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(f"spiffe://{config.federation}/{ROLE}/{config.node}")


def _tls_key(folder: NodeFolder) -> ec.EllipticCurvePrivateKey:
    path = folder.egress / TLS_KEY
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as err:
        raise LinkError(
            _("%(file)s cannot be read as a private key"),
            _("Run 'fedscreen node request' on this machine first, or restore the file."),
            details={"file": str(path)},
        ) from err
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise LinkError(_("%(file)s is no P-256 key"), details={"file": str(path)})
    return key


def read_grant(folder: NodeFolder, config: NodeConfig, data: bytes, told_fingerprint: str) -> Grant:
    """Check a grant file in every respect, before anything is changed.

    Args:
        folder: the node's directory.
        config: its configuration.
        data: the file's content.
        told_fingerprint: of the federation card, as a person was told it by another way.

    Raises:
        LinkError: the grant is for another party, its card is not the one that was told, or its parts do not
            belong together.
    """
    try:
        grant = parse_grant(data)
        card = parse_card(grant.card_text) if grant.card_text else None
    except ProtocolError as err:
        raise _bad_grant(_("the file is damaged, or no grant"), "grant-damaged") from err
    if (grant.role, grant.federation, grant.id) != (ROLE, config.federation, config.node):
        raise _bad_grant(_("the grant is for another party"), "grant-other-party")
    if card is None:
        raise _bad_grant(_("the grant has no federation card yet"), "grant-no-card")
    found, told = fingerprint(grant.card_text), told_fingerprint.strip().lower()
    if not hmac.compare_digest(found.encode(), told.encode("ascii", "replace")):
        raise LinkError(
            _("the card's fingerprint is %(found)s, you gave %(told)s"),
            _("Do not go on: ask the county for its fingerprint by telephone."),
            code="fingerprint",
            details={"found": found, "told": told[:60]},
        )
    if card.federation != config.federation:
        raise _bad_grant(_("the grant's card is of another federation"), "grant-other-federation")
    _verify_certificate(folder, config, grant, card.ca)
    try:
        replace(config, address=grant.address, server_name=grant.server_name)
    except ConfigError as err:
        raise _bad_grant(_("the grant's address is malformed"), "grant-address") from err
    return grant


def _verify_certificate(folder: NodeFolder, config: NodeConfig, grant: Grant, ca_sha256: bytes) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(grant.certificate_pem.encode())
        roots = verify_ca_chain(grant.ca_pem.encode(), ca_sha256)
    except VerificationError as err:
        raise _bad_grant(
            _("the grant's CA is not the one that the federation card pins"), "grant-ca"
        ) from err
    except (ValueError, CryptoError, x509.InvalidVersion) as err:
        raise _bad_grant(_("the grant's certificates are damaged"), "grant-certificate") from err
    if not any(_is_issued_by(certificate, ca) for ca in roots):
        raise _bad_grant(_("the grant's certificate is not signed by its CA"), "grant-issuer")
    if certificate.public_key() != _tls_key(folder).public_key():
        raise _bad_grant(_("the grant's certificate is for another key than this node's"), "grant-key")
    if names_in(certificate) != [_identity(config).value]:
        raise _bad_grant(_("the grant's certificate names another party"), "grant-name")


def _is_issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def names_in(certificate: x509.Certificate) -> list[str]:
    """List the SPIFFE names that a certificate carries; empty where it has no such extension."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return []
    return list(extension.value.get_values_for_type(x509.UniformResourceIdentifier))


def install_grant(folder: NodeFolder, config: NodeConfig, grant: Grant) -> NodeConfig:
    """Keep certificate, CAs and address of a checked grant."""
    replace_file(folder.egress / TLS_CERTIFICATE, grant.certificate_pem.encode())
    roots = verify_ca_chain(grant.ca_pem.encode(), parse_card(grant.card_text).ca)
    replace_file(folder.egress / CA_CERTIFICATE, roots_pem(roots))
    changed = replace(config, address=grant.address, server_name=grant.server_name)
    write_config(folder, changed)
    return changed


def read_renewal(folder: NodeFolder, config: NodeConfig, data: bytes) -> Grant:
    """Check the answer to a renewal: for this node and its key, under the CA that it has had all along.

    Raises:
        LinkError: it is not.
    """
    try:
        grant = parse_grant(data)
        pinned = x509.load_pem_x509_certificates((folder.egress / CA_CERTIFICATE).read_bytes())[0]
    except ProtocolError as err:
        raise _bad_grant(_("the file is damaged, or no grant"), "grant-damaged") from err
    except (OSError, ValueError, x509.InvalidVersion) as err:
        raise LinkError(
            _("%(file)s cannot be read as a certificate"),
            _("Run 'fedscreen node accept' again with the county's file."),
            details={"file": str(folder.egress / CA_CERTIFICATE)},
        ) from err
    if (grant.role, grant.federation, grant.id) != (ROLE, config.federation, config.node):
        raise _bad_grant(_("the grant is for another party"), "grant-other-party")
    _verify_certificate(folder, config, grant, pinned.fingerprint(hashes.SHA256()))
    return grant


def install_renewal(folder: NodeFolder, grant: Grant) -> None:
    """Keep the CAs and the certificate of a checked renewal; the CAs first, for one of them may be new."""
    pem = grant.ca_pem.encode()
    first = x509.load_pem_x509_certificates(pem)[0].fingerprint(hashes.SHA256())
    replace_file(folder.egress / CA_CERTIFICATE, roots_pem(verify_ca_chain(pem, first)))
    replace_file(folder.egress / TLS_CERTIFICATE, grant.certificate_pem.encode())


def certificate_days(folder: NodeFolder, now: datetime | None = None) -> int | None:
    """Count the days that this node's certificate still holds; None where there is none, negative if expired.

    Raises:
        LinkError: the file is damaged.
    """
    path: Path = folder.egress / TLS_CERTIFICATE
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, x509.InvalidVersion) as err:
        raise LinkError(
            _("%(file)s cannot be read as a certificate"),
            _("Run 'fedscreen node accept' again with the county's file."),
            details={"file": str(path)},
        ) from err
    return (certificate.not_valid_after_utc - (now or datetime.now(UTC))).days


def _bad_grant(message: str, code: str) -> LinkError:
    advice = _("Nothing was changed. Ask the county to make it again from this node's own request.")
    return LinkError(message, advice, code=code)
