"""Enrolment by files: a party's request comes in, a grant with certificate and card goes out.

Rules:
1. A request is signed by the key that it brings; the private keys never move.
2. A certificate's only identity is the SAN URI that the CA writes; the CSR gives just a key.
3. An id is enrolled once. The same keys may come again: with the same file (the same grant
   again, renewed when a third of its time is left) or with a new TLS key or attributes. Other
   keys under the same id are refused unless they come as a roll, signed by the key that the roster
   in force has for it; and a node id belongs to one operator for ever.
4. A party that renews over its own TLS connection brings a signing request alone, for the same TLS key: who
   has stolen that key gets no other one by it. A new TLS key comes in a request, and from then on no
   certificate of an earlier one is good (`coordinator.denied`).
5. Approval only registers. A party takes part from the roster on that its auditors sign.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from cryptography import x509
from sqlalchemy import Connection

from coordinator import ca, schema
from coordinator.denied import deny_certificate
from coordinator.errors import AlreadyEnrolledError, EnrolmentRefusedError
from coordinator.home import Home
from coordinator.identity import serial_of
from coordinator.log_book import LogBook, View
from coordinator.roster import card_text
from coordinator.store import insert_once, upsert
from crypto.note import VerifierKey
from plan.errors import phrase
from protos.card import fingerprint
from protos.enrolment import Enrolment, Grant, Request, encode_grant, parse_enrolment
from protos.errors import EnrolmentError, ProtocolError

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
    enrolment = _read(home, data)
    request = enrolment.request
    with book.writing("enrol") as view:
        row = find_enrolment(view, request.role, request.id)
        _check_against(view, enrolment, row)
        outside = _counts_outside(request, row, is_outside=is_outside)
        if row is not None and row.request == data and not _is_old(row.certificate_pem, request, view.now):
            certificate_pem = str(row.certificate_pem)
        else:
            certificate_pem = _certify(view, home, request.role, request.id, request.csr_pem)
            _deny_other_keys(view, request.role, request.id, certificate_pem, row)
        if row is None or (row.request, row.certificate_pem, bool(row.is_outside)) != (
            data,
            certificate_pem,
            outside,
        ):
            _keep(view.connection, request, data, certificate_pem, is_outside=outside)
        return _grant(view, home, request.role, request.id, certificate_pem)


def look_at_request(book: LogBook, home: Home, data: bytes, *, is_outside: bool = False) -> dict[str, Any]:
    """Say who asks, on which side an auditor would count, and the code to compare; change nothing.

    Args:
        book: the log and database.
        home: says which federation.
        data: the request file.
        is_outside: as for `approve_request`.

    Returns:
        role, id, operator, outside (of a node None), attributes, code.

    Raises:
        EnrolmentRefusedError, AlreadyEnrolledError: `approve_request` would refuse it.
    """
    enrolment = _read(home, data)
    request = enrolment.request
    with book.reading() as view:
        row = find_enrolment(view, request.role, request.id)
        _check_against(view, enrolment, row)
    outside = _counts_outside(request, row, is_outside=is_outside)
    return {
        "role": request.role,
        "id": request.id,
        "operator": request.operator,
        "outside": outside if request.role == "auditor" else None,
        "attributes": dict(request.attributes),
        "code": fingerprint(request.key.text),
    }


def renew_certificate(book: LogBook, home: Home, role: str, party_id: str, csr_pem: str) -> bytes:
    """Certify an enrolled party's TLS key anew; the caller has shown a certificate of it.

    Args:
        book: the log and database.
        home: holds the CA.
        role, party_id: as its certificate says.
        csr_pem: for its TLS key.

    Returns:
        The grant.

    Raises:
        EnrolmentRefusedError: nobody of this id is enrolled, or with another TLS key.
        CertificateError: the signing request cannot be certified.
    """
    with book.writing("renew") as view:
        row = find_enrolment(view, role, party_id)
        if row is None:
            raise EnrolmentRefusedError(
                phrase("%(role)s %(id)s: not enrolled", role=phrase(role), id=party_id)
            )
        certificate_pem = _certify(view, home, role, party_id, csr_pem)
        if ca.tls_key_of(certificate_pem) != ca.tls_key_of(row.certificate_pem):
            raise EnrolmentRefusedError(
                phrase(
                    "%(role)s %(id)s: a new TLS key comes with a request file, not by renewal",
                    role=phrase(role),
                    id=party_id,
                )
            )
        key = {"role": role, "id": party_id}
        values = {"is_outside": row.is_outside, "request": row.request, "certificate_pem": certificate_pem}
        upsert(view.connection, _TABLE, key, values)
        return _grant(view, home, role, party_id, certificate_pem)


def find_enrolment(view: View, role: str, party_id: str) -> Any:
    """Find the row of an enrolled party; None where there is none."""
    query = sa.select(_TABLE).where(_TABLE.c.role == role, _TABLE.c.id == party_id)
    return view.connection.execute(query).first()


def _grant(view: View, home: Home, role: str, party_id: str, certificate_pem: str) -> bytes:
    return encode_grant(
        Grant(
            role=role,
            federation=home.config.federation,
            id=party_id,
            certificate_pem=certificate_pem,
            ca_pem=home.ring.chain_pem(),
            card_text=card_text(view),
            address=home.config.public_address,
            server_name=home.config.server_name,
        )
    )


def _read(home: Home, data: bytes) -> Enrolment:
    try:
        enrolment = parse_enrolment(data)
    except ProtocolError as err:
        raise EnrolmentRefusedError(
            phrase("this is no request of a node or auditor, or it is damaged (%(reason)s)", reason=err)
        ) from err
    request = enrolment.request
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
    return enrolment


def _check_against(view: View, enrolment: Enrolment, row: Any) -> None:
    """Check a request against who is enrolled under its id; `row` is None where nobody is."""
    if row is not None:
        _check_keys(view, enrolment, parse_enrolment(row.request))
    elif enrolment.succession:
        raise EnrolmentRefusedError(phrase("a roll of keys: nobody of this id is enrolled"))


def _counts_outside(request: Request, row: Any, *, is_outside: bool) -> bool:
    """Tell whether a party counts as outside: the county says so now, or did, or the request does."""
    return is_outside or _says_outside(request) or bool(row is not None and row.is_outside)


def _check_keys(view: View, enrolment: Enrolment, before: Enrolment) -> None:
    """Let the same keys pass, and a roll by the key that the newest roster has."""
    request, earlier = enrolment.request, before.request
    if enrolment.succession and (request.operator, request.master) == (earlier.operator, earlier.master):
        rostered = rostered_key(view, request.role, request.id)
        try:
            if rostered == request.key:
                return  # the roll that the roster in force has taken
            enrolment.verify_follows(rostered or earlier.key)
        except EnrolmentError as err:
            raise AlreadyEnrolledError(
                phrase("%(role)s %(id)s: %(reason)s", role=phrase(request.role), id=request.id, reason=err)
            ) from err
        return
    _check_same_keys(request, earlier)


def rostered_key(view: View, role: str, party_id: str) -> VerifierKey | None:
    """Give the key that the newest roster with this party has for it; None before the first."""
    if not view.has_genesis:
        return None
    chain = view.ledger.chain
    if role == "node":
        node = chain.nodes.get(party_id)
        return node.report if node else None
    auditor = chain.auditors.get(party_id)
    return auditor.statement if auditor else None


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


def _certify(view: View, home: Home, role: str, party_id: str, csr_pem: str) -> str:
    uri = ca.uri_of(home.config.federation, role, party_id)
    issuer = home.issuer(view.ledger.roster.body.ca if view.has_genesis else None)
    certificate_pem = ca.issue_client(issuer, csr_pem, uri, ca.LEAF_DAYS[role], view.now)
    _note_issued(view, role, party_id, certificate_pem)
    return certificate_pem


def _note_issued(view: View, role: str, party_id: str, certificate_pem: str) -> None:
    row = {
        "serial": serial_of(x509.load_pem_x509_certificate(certificate_pem.encode())),
        "role": role,
        "party": party_id,
        "tls_key": ca.tls_key_of(certificate_pem),
        "issued_ms": round(view.now.timestamp() * 1000),
    }
    insert_once(view.connection, schema.certificates, row)


def _deny_other_keys(view: View, role: str, party_id: str, certificate_pem: str, before: Any) -> None:
    """Refuse from now on every certificate of this party that is not for the TLS key of the newest."""
    if before is not None:
        _note_issued(view, role, party_id, before.certificate_pem)  # may be older than the table
    table = schema.certificates
    mine = (table.c.role == role) & (table.c.party == party_id)
    others = sa.select(table.c.serial).where(mine, table.c.tls_key != ca.tls_key_of(certificate_pem))
    for serial in view.connection.execute(others).scalars().all():
        deny_certificate(view.connection, serial, role, party_id, "replaced", view.now)


def _says_outside(request: Request) -> bool:
    return dict(request.attributes).get(OUTSIDE_ATTRIBUTE, "") in _YES


def _keep(
    connection: Connection, request: Request, data: bytes, certificate_pem: str, *, is_outside: bool
) -> None:
    key = {"role": request.role, "id": request.id}
    values = {"is_outside": int(is_outside), "request": data, "certificate_pem": certificate_pem}
    upsert(connection, _TABLE, key, values)
