"""Enrolment by files: a party's request comes in, a grant with certificate and card goes out.

Rules:
1. A request is signed by the key that it brings; the private keys never move.
2. A certificate's only identity is the SAN URI that the CA writes; the CSR gives just a key.
3. An id is enrolled once. The same keys may come again: with the same file (the same grant
   again, renewed when a third of its time is left) or with a new TLS key or attributes. Other
   keys under the same id are refused, and a node id belongs to one operator for ever.
4. Approval only registers. A party takes part from the roster on that its auditors sign.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator import ca, schema
from coordinator.errors import AlreadyEnrolledError, EnrolmentRefusedError
from coordinator.home import Home
from coordinator.log_book import LogBook
from coordinator.roster import card_text
from coordinator.store import upsert
from plan.errors import phrase
from protos.enrolment import Grant, Request, encode_grant, parse_request
from protos.errors import ProtocolError

OUTSIDE_ATTRIBUTE = "outside"
_YES = ("1", "yes", "true")
_TABLE = schema.enrolments


def approve_request(book: LogBook, home: Home, data: bytes, *, is_outside: bool = False) -> bytes:
    """Register a node or auditor and answer with its grant file.

    Args:
        book: the log and database.
        home: holds the CA.
        data: the request file.
        is_outside: of an auditor: outside the county's own line.

    Returns:
        The grant; its card is empty before the first ``roster propose``.

    Raises:
        EnrolmentRefusedError: damaged, of another federation, or not signed by its own key.
        AlreadyEnrolledError: the id is enrolled with other keys.
        CertificateError: the signing request cannot be certified.
    """
    request = _read(home, data)
    with book.writing("enrol") as view:
        row = view.connection.execute(
            sa.select(_TABLE).where(_TABLE.c.role == request.role, _TABLE.c.id == request.id)
        ).first()
        if row is not None:
            _check_same_keys(request, parse_request(row.request))
        outside = is_outside or _says_outside(request)
        if row is not None and row.request == data and not _is_old(row.certificate_pem, request, view.now):
            certificate_pem = str(row.certificate_pem)
        else:
            certificate_pem = _certify(home, request, view.now)
        if row is None or (row.request, row.certificate_pem, bool(row.is_outside)) != (
            data,
            certificate_pem,
            outside,
        ):
            _keep(view.connection, request, data, certificate_pem, is_outside=outside)
        card = card_text(view)
    return encode_grant(
        Grant(
            role=request.role,
            federation=request.federation,
            id=request.id,
            certificate_pem=certificate_pem,
            ca_pem=home.authority.certificate_pem,
            card_text=card,
            address=home.config.public_address,
            server_name=home.config.server_name,
        )
    )


def _read(home: Home, data: bytes) -> Request:
    try:
        request = parse_request(data)
    except ProtocolError as err:
        raise EnrolmentRefusedError(
            phrase("this is no request of a node or auditor, or it is damaged (%(reason)s)", reason=err)
        ) from err
    if request.federation != home.config.federation:
        raise EnrolmentRefusedError(
            phrase(
                "request of %(role)s %(id)s: for federation %(federation)s, this is %(config_federation)s",
                role=phrase(request.role),
                id=request.id,
                federation=request.federation,
                config_federation=home.config.federation,
            )
        )
    return request


def _check_same_keys(request: Request, earlier: Request) -> None:
    if (request.key, request.cosigner, request.master) != (earlier.key, earlier.cosigner, earlier.master):
        raise AlreadyEnrolledError(
            phrase(
                "%(role)s %(id)s: enrolled with other keys; choose another id, or compare by "
                "telephone who made this request",
                role=phrase(request.role),
                id=request.id,
            )
        )
    if request.role == "node" and request.operator != earlier.operator:
        raise AlreadyEnrolledError(
            phrase("node %(id)s: belongs to another operator; choose another id", id=request.id)
        )


def _is_old(certificate_pem: str, request: Request, now: datetime) -> bool:
    left = ca.expires_at(certificate_pem.encode()) - now
    return left < timedelta(days=ca.LEAF_DAYS[request.role] / 3)


def _certify(home: Home, request: Request, now: datetime) -> str:
    uri = ca.uri_of(request.federation, request.role, request.id)
    return ca.issue_client(home.authority, request.csr_pem, uri, ca.LEAF_DAYS[request.role], now)


def _says_outside(request: Request) -> bool:
    return dict(request.attributes).get(OUTSIDE_ATTRIBUTE, "") in _YES


def _keep(
    connection: Connection, request: Request, data: bytes, certificate_pem: str, *, is_outside: bool
) -> None:
    key = {"role": request.role, "id": request.id}
    values = {"is_outside": int(is_outside), "request": data, "certificate_pem": certificate_pem}
    upsert(connection, _TABLE, key, values)
