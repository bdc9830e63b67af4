"""The federation's certificate authority: P-256, a long root and short leaves.

A certificate binds a TLS key to one SAN URI ``spiffe://<federation>/<role>/<id>`` that only
the CA writes; nothing of what a request asks for is copied but its public key. Statements are
never signed by these keys. P-256, because gRPC's handshake refuses Ed25519 certificates.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from coordinator.errors import CertificateError
from plan.errors import phrase

CA_DAYS = 20 * 365  # a root must outlive every school year that its leaves serve
NODE_DAYS = 400  # summer holidays must not lock a school out
SHORT_DAYS = 90
LEAF_DAYS = {"node": NODE_DAYS, "auditor": SHORT_DAYS, "coordinator": SHORT_DAYS}
BACKDATE = timedelta(minutes=10)  # a school's clock may be slow
COORDINATOR_ID = "coordinator"


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> str:
        """The CA certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the certificate's DER (32 bytes), as it stands in rosters and cards."""
        return self.certificate.fingerprint(hashes.SHA256())


def uri_of(federation: str, role: str, party_id: str) -> str:
    """Name a party as its certificate does."""
    return f"spiffe://{federation}/{role}/{party_id}"


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def create_authority(
    federation: str, now: datetime, key: ec.EllipticCurvePrivateKey, number: int = 1
) -> Authority:
    """Make a CA: a certificate that its own key signs; each later one of a federation has its number."""
    suffix = "" if number == 1 else f" {number}"
    name = _name(f"fedscreen {federation[: 63 - 13 - len(suffix)]} CA{suffix}")
    builder = (
        _builder(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(builder.sign(key, hashes.SHA256()), key)


def link_authority(old: Authority, new: Authority, now: datetime) -> str:
    """Certify a new CA's key by the CA before it; return PEM.

    TLS never uses this certificate: it leads whoever pinned the old CA to the new one (`crypto.ca_chain`).
    """
    key = new.key.public_key()
    builder = (
        _builder(new.certificate.subject, old.certificate.subject, key, now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    return _sign(builder, old)


def load_authority(certificate_pem: bytes, key_pem: bytes) -> Authority:
    """Read a CA from its two files.

    Raises:
        CertificateError: a file is damaged or they do not belong together.
    """
    key = load_key(key_pem)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except (ValueError, x509.InvalidVersion) as err:
        raise CertificateError(phrase("CA files: damaged; restore keys/ from the backup")) from err
    if key.public_key() != certificate.public_key():
        raise CertificateError(phrase("CA files: the key does not belong to the certificate"))
    return Authority(certificate, key)


def load_key(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a P-256 key from PEM.

    Raises:
        CertificateError: it is no such key.
    """
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise CertificateError(phrase("key file: damaged; restore keys/ from the backup")) from err
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(phrase("key file: expected a P-256 key; restore keys/ from the backup"))
    return key


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a private key as unencrypted PKCS 8, for a file of mode 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def issue_client(authority: Authority, csr_pem: str, uri: str, days: int, now: datetime) -> str:
    """Certify the key of a signing request for one node or auditor; return PEM.

    Raises:
        CertificateError: the request is damaged, not signed by its own key, or not P-256.
    """
    public_key = _public_key_of(csr_pem)
    builder = _leaf(authority, public_key, uri, days, now, ExtendedKeyUsageOID.CLIENT_AUTH)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False
    )
    return _sign(builder, authority)


def issue_server(
    authority: Authority, federation: str, server_name: str, hosts: tuple[str, ...], now: datetime
) -> tuple[str, bytes]:
    """Make the coordinator's own server key and certificate; return (certificate PEM, key PEM).

    Args:
        authority: the CA.
        federation: part of the SAN URI.
        server_name: DNS name that clients check.
        hosts: further DNS names or IP addresses that it listens on.
        now: start of validity.
    """
    key = new_key()
    uri = uri_of(federation, "coordinator", COORDINATOR_ID)
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri), x509.DNSName(server_name)]
    names += [_host_name(host) for host in dict.fromkeys(hosts) if host != server_name]
    builder = _leaf(authority, key.public_key(), uri, SHORT_DAYS, now, ExtendedKeyUsageOID.SERVER_AUTH)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _sign(builder, authority), key_pem(key)


def expires_at(certificate_pem: bytes) -> datetime:
    """Tell when a certificate ends (UTC)."""
    return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc


def tls_key_of(certificate_pem: str) -> bytes:
    """Give the SHA-256 of the public key that a certificate is for."""
    key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).digest()


def is_issued_by(certificate_pem: bytes, authority: Authority) -> bool:
    """Tell whether a CA has signed a certificate."""
    try:
        x509.load_pem_x509_certificate(certificate_pem).verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def _public_key_of(csr_pem: str) -> ec.EllipticCurvePublicKey:
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        public_key = request.public_key()
        is_own = request.is_signature_valid
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion) as err:
        raise CertificateError(phrase("signing request: damaged; make the request again")) from err
    if not is_own or not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise CertificateError(phrase("signing request: expected a P-256 key that signed the request itself"))
    if not isinstance(public_key.curve, ec.SECP256R1):
        raise CertificateError(
            phrase("signing request: expected P-256, found %(name)s", name=public_key.curve.name)
        )
    return public_key


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=days))
    )


def _leaf(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    uri: str,
    days: int,
    now: datetime,
    purpose: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    ca = authority.certificate
    identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    common_name = uri.rpartition("/")[2]
    return (
        _builder(_name(common_name), ca.subject, public_key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )


def _sign(builder: x509.CertificateBuilder, authority: Authority) -> str:
    certificate = builder.sign(authority.key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
