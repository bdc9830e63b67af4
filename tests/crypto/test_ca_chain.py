"""From a pinned CA to those that followed it: a link is made by the CA before, for an authority."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coordinator import ca
from crypto.ca_chain import verify_ca_chain
from crypto.errors import VerificationError

NOW = datetime(2026, 9, 1, tzinfo=UTC)


def own_authority(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> str:
    """A CA certificate that a party makes of its own TLS key, under the name in its leaf."""
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def leaf_of(authority: ca.Authority, key: ec.EllipticCurvePrivateKey) -> str:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    csr_pem = request.public_bytes(serialization.Encoding.PEM).decode()
    return ca.issue_client(authority, csr_pem, ca.uri_of("county-1", "node", "s01"), 400, NOW)


def test_the_next_authority_is_found_by_its_link() -> None:
    first = ca.create_authority("county-1", NOW, ca.new_key())
    second = ca.create_authority("county-1", NOW, ca.new_key(), 2)
    pem = first.certificate_pem + ca.link_authority(first, second, NOW) + second.certificate_pem
    assert verify_ca_chain(pem.encode(), first.fingerprint) == (first.certificate, second.certificate)


def test_a_party_makes_no_authority_of_its_own_certificate() -> None:
    first, key = ca.create_authority("county-1", NOW, ca.new_key()), ca.new_key()
    leaf = leaf_of(first, key)
    subject = x509.load_pem_x509_certificate(leaf.encode()).subject
    pem = first.certificate_pem + leaf + own_authority(subject, key)
    with pytest.raises(VerificationError, match="not linked"):
        verify_ca_chain(pem.encode(), first.fingerprint)


def test_a_certificate_that_says_something_twice_is_refused() -> None:
    """Found by mutation: the second of two equal extensions raised an error of its own."""
    old = ca.create_authority("county-1", NOW, ca.new_key())
    new = ca.create_authority("county-1", NOW, ca.new_key(), 2)
    der = new.certificate.public_bytes(serialization.Encoding.DER)
    twice = der.replace(b"\x55\x1d\x0e", b"\x55\x1d\x13")  # subject key identifier -> basic constraints
    pem = ssl.DER_cert_to_PEM_cert(twice)
    chain = old.certificate_pem + ca.link_authority(old, new, NOW) + pem
    assert twice != der
    with pytest.raises(VerificationError):
        verify_ca_chain(chain.encode(), old.fingerprint)
