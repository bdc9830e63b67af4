"""The CA: identity comes from the CA alone, times as agreed, damaged requests refused."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from coordinator import ca
from coordinator.errors import CertificateError

NOW = datetime(2026, 9, 1, tzinfo=UTC)
URI = "spiffe://county-1/node/s01"


@pytest.fixture(scope="module")
def authority() -> ca.Authority:
    return ca.create_authority("county-1", NOW, ca.new_key())


def make_csr(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, san: str = "") -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anybody")])
    )
    if san:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(san)])
        builder = builder.add_extension(names, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM).decode()


def uris(pem: str) -> list[str]:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def test_the_uri_is_the_cas_and_not_the_requests(authority: ca.Authority) -> None:
    csr = make_csr(ec.generate_private_key(ec.SECP256R1()), "spiffe://county-1/node/other")
    assert uris(ca.issue_client(authority, csr, URI, 90, NOW)) == [URI]


def test_a_leaf_is_for_clients_only_and_no_ca(authority: ca.Authority) -> None:
    pem = ca.issue_client(authority, make_csr(ec.generate_private_key(ec.SECP256R1())), URI, 90, NOW)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    certificate.verify_directly_issued_by(authority.certificate)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(("role", "days"), [("node", 400), ("auditor", 90)])
def test_lifetimes(authority: ca.Authority, role: str, days: int) -> None:
    csr = make_csr(ec.generate_private_key(ec.SECP256R1()))
    pem = ca.issue_client(authority, csr, URI, ca.LEAF_DAYS[role], NOW)
    assert ca.expires_at(pem.encode()) == NOW + timedelta(days=days)


def test_the_root_outlives_its_leaves(authority: ca.Authority) -> None:
    assert ca.expires_at(authority.certificate_pem.encode()) > NOW + timedelta(days=10 * 365)


def test_the_server_certificate_names_dns_and_address(authority: ca.Authority) -> None:
    pem, key = ca.issue_server(authority, "county-1", "c.internal", ("127.0.0.1", "[::1]", "host"), NOW)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["c.internal", "host"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    private = serialization.load_pem_private_key(key, None)
    assert private.public_key() == certificate.public_key()


@pytest.mark.parametrize(
    "csr",
    [
        "",
        "not pem",
        make_csr(ec.generate_private_key(ec.SECP384R1())),
        make_csr(ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=["empty", "garbage", "P-384", "Ed25519"],
)
def test_other_requests_are_refused(authority: ca.Authority, csr: str) -> None:
    with pytest.raises(CertificateError):
        ca.issue_client(authority, csr, URI, 90, NOW)


def test_a_request_not_signed_by_its_own_key_is_refused(authority: ca.Authority) -> None:
    one, other = (
        x509.load_pem_x509_csr(make_csr(ec.generate_private_key(ec.SECP256R1())).encode()) for _ in range(2)
    )
    der = one.public_bytes(serialization.Encoding.DER)
    spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    forged = der.replace(one.public_key().public_bytes(*spki), other.public_key().public_bytes(*spki))
    assert forged != der
    pem = x509.load_der_x509_csr(forged).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(CertificateError, match="signed the request"):
        ca.issue_client(authority, pem, URI, 90, NOW)


def test_loading_refuses_a_key_of_another_ca(authority: ca.Authority) -> None:
    other = ca.create_authority("county-1", NOW, ca.new_key())
    with pytest.raises(CertificateError, match="belong"):
        ca.load_authority(authority.certificate_pem.encode(), ca.key_pem(other.key))
    with pytest.raises(CertificateError, match="damaged"):
        ca.load_authority(b"", ca.key_pem(other.key))


def test_the_key_is_not_in_the_repr(authority: ca.Authority) -> None:
    assert "key=" not in repr(authority)
