"""Renew an auditor's TLS certificate over the connection that it secures, from two thirds of its life on.

The TLS key stays. The answer is taken only for this auditor's key and under the CA that its card pins, or
one that is linked to it. What fails leaves the old certificate; the way by file stays open.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from auditor.client import GrpcLink
from auditor.config import AuditorFolder, read_config
from auditor.enrol import load_card
from auditor.errors import ConfigError
from auditor.keys import certificate_days, certificate_request, install_certificate, load_tls
from plan.errors import phrase
from protos.enrolment import parse_grant


def is_due(folder: AuditorFolder, now: datetime) -> bool:
    """Tell whether two thirds of the certificate's life are over.

    Raises:
        KeyFileError: it is missing.
    """
    certificate = x509.load_pem_x509_certificate(load_tls(folder).certificate)
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now - start >= (end - start) * 2 / 3


def renew_if_due(folder: AuditorFolder, link: GrpcLink, now: datetime, *, anyway: bool = False) -> int | None:
    """Renew the certificate if it is due; gives the days that the new one holds, None where nothing was due.

    Raises:
        LinkError: no answer, or a refusal.
        ConfigError, KeyFileError, ProtocolError: the grant does not belong here.
    """
    if not anyway and not is_due(folder, now):
        return None
    config = read_config(folder)
    grant = parse_grant(link.renew(certificate_request(folder, config)))
    if (grant.role, grant.federation, grant.id) != ("auditor", config.federation, config.id):
        raise ConfigError(phrase("the grant is for another party"))
    install_certificate(folder, grant.certificate_pem, grant.ca_pem, load_card(folder).ca)
    link.use(load_tls(folder))
    return certificate_days(folder, now)
