"""From the CA that a federation card pins to the CAs that followed it.

A grant carries PEM certificates in this order: the pinned CA's own; then, for each later CA, its *link* (a
certificate of the new key by the CA before it) and its own certificate. TLS gets the CAs alone.

Pure: bytes in, values out. Spec: docs/protocol.md "Enrolment"; ADR 15.
"""

from __future__ import annotations

from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

from crypto.errors import DecodeError, VerificationError

MAX_CERTIFICATES = 65
_FAILURES = (
    InvalidSignature,
    UnsupportedAlgorithm,
    TypeError,
    ValueError,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def verify_ca_chain(pem: bytes, pinned: bytes) -> tuple[x509.Certificate, ...]:
    """Follow the links from a pinned CA.

    Args:
        pem: certificates in the order above.
        pinned: SHA-256 of the first one's DER (32 bytes).

    Returns:
        The CAs, oldest first.

    Raises:
        DecodeError: no certificates, too many, or a link without its CA.
        VerificationError: the first one is not the pinned one, or a link does not hold.
    """
    found = _read(pem)
    if found[0].fingerprint(hashes.SHA256()) != pinned:
        raise VerificationError("the first CA is not the pinned one")
    links, roots = found[1::2], found[0::2]
    for (old, new), link in zip(pairwise(roots), links, strict=True):
        _verify_link(old, link, new)
    return tuple(roots)


def _read(pem: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion) as err:
        raise DecodeError("no certificates in PEM") from err
    if len(found) > MAX_CERTIFICATES or len(found) % 2 == 0:
        raise DecodeError("expected a CA, then a link and a CA for each later one")
    return found


def _verify_link(old: x509.Certificate, link: x509.Certificate, new: x509.Certificate) -> None:
    try:
        is_same_key = link.public_key() == new.public_key()
        are_authorities = _is_authority(link) and _is_authority(new)
        link.verify_directly_issued_by(old)
        new.verify_directly_issued_by(new)
    except _FAILURES as err:
        raise VerificationError("a CA is not linked to the one before it") from err
    if not is_same_key or link.subject != new.subject or not are_authorities:
        raise VerificationError("a CA is not linked to the one before it")


def _is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is a CA's: a link that is none is some party's own leaf."""
    return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)


def roots_pem(roots: tuple[x509.Certificate, ...]) -> bytes:
    """Write CAs as PEM, for TLS."""
    return b"".join(row.public_bytes(serialization.Encoding.PEM) for row in roots)
