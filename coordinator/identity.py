"""Who is calling: read from the certificate that the TLS handshake verified.

The handshake proves that the federation's CA signed it; here its one SAN URI gives federation,
role and id, and its expiry is looked at on every call, since a channel may outlive it. Whether
this party or this very certificate is refused meanwhile is ``coordinator.denied``'s question.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from coordinator.errors import CallerError
from plan.errors import phrase

CALLER_ROLES = ("node", "auditor")


@dataclass(frozen=True, slots=True)
class Caller:
    """A party behind a verified certificate; `serial` is the certificate's, in hex."""

    role: str
    id: str
    expires: datetime
    serial: str


def identify(certificate_pem: bytes | None, federation: str, now: datetime) -> Caller:
    """Tell who a certificate is for.

    Raises:
        CallerError: none was shown, it is not for a node or auditor of this federation, or it has expired.
    """
    if not certificate_pem:
        raise CallerError(phrase("no client certificate"))
    caller = _read(certificate_pem, federation)
    if caller.expires <= now:
        raise CallerError(
            phrase(
                "the certificate of %(role)s %(id)s has expired; renew it",
                role=phrase(caller.role),
                id=caller.id,
            )
        )
    return caller


@lru_cache(maxsize=4096)
def _read(certificate_pem: bytes, federation: str) -> Caller:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound) as err:
        raise CallerError(phrase("the client certificate names no party")) from err
    prefix = f"spiffe://{federation}/"
    role, _, party = uris[0].removeprefix(prefix).partition("/") if len(uris) == 1 else ("", "", "")
    if len(uris) != 1 or not uris[0].startswith(prefix) or role not in CALLER_ROLES or not party:
        raise CallerError(
            phrase(
                "the client certificate is not for a node or auditor of %(federation)s", federation=federation
            )
        )
    return Caller(role, party, certificate.not_valid_after_utc, serial_of(certificate))


def serial_of(certificate: x509.Certificate) -> str:
    """Write a certificate's serial as the table of denied certificates has it: lower-case hex."""
    return f"{certificate.serial_number:x}"
