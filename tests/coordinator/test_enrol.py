"""Enrolment by files: same request same grant; other keys, federations and damage refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from fakes_coordinator import FEDERATION, Auditor, County, School, csr, fake_bytes, small_config

from coordinator.errors import (
    AlreadyEnrolledError,
    CertificateDeniedError,
    CertificateError,
    EnrolmentRefusedError,
)
from coordinator.identity import Caller, identify
from crypto.derivation import master_commitment
from protos.card import fingerprint, parse_card
from protos.enrolment import parse_grant


def serial(grant: bytes) -> int:
    return x509.load_pem_x509_certificate(parse_grant(grant).certificate_pem.encode()).serial_number


def test_the_same_request_gives_the_same_grant(county: County) -> None:
    request = School("s01", "school 1").request()
    assert county.desk.approve_request(request) == county.desk.approve_request(request)


def test_a_grant_says_where_to_connect(county: County) -> None:
    grant = parse_grant(county.desk.approve_request(School("s01", "school 1").request()))
    assert (grant.role, grant.id, grant.federation) == ("node", "s01", FEDERATION)
    assert (grant.address, grant.server_name) == ("127.0.0.1:50080", county.config.server_name)
    ca = x509.load_pem_x509_certificate(grant.ca_pem.encode())
    x509.load_pem_x509_certificate(grant.certificate_pem.encode()).verify_directly_issued_by(ca)


def test_the_card_comes_with_the_genesis_draft_and_stays(county: County) -> None:
    county.enrol()
    request = county.auditors["a1"].request()
    assert parse_grant(county.desk.approve_request(request)).card_text == ""
    county.desk.propose_roster()
    card = parse_grant(county.desk.approve_request(request)).card_text
    assert {row.id for row in parse_card(card).auditors} == set(county.auditors)
    county.sign_rosters()
    assert parse_grant(county.desk.approve_request(request)).card_text == card
    assert fingerprint(card) == fingerprint(county.desk.card_text())


def test_other_keys_under_the_same_id_are_refused(county: County) -> None:
    school = School("s01", "school 1")
    county.desk.approve_request(school.request())
    with pytest.raises(AlreadyEnrolledError, match="other keys"):
        county.desk.approve_request(school.request(master=master_commitment("s01", fake_bytes("another"))))


def test_a_node_does_not_change_its_operator(county: County) -> None:
    school = School("s01", "school 1")
    county.desk.approve_request(school.request())
    with pytest.raises(AlreadyEnrolledError, match="another operator"):
        county.desk.approve_request(school.request(operator="another school"))


def test_the_same_keys_may_bring_a_new_tls_key(county: County) -> None:
    school = School("s01", "school 1")
    first = county.desk.approve_request(school.request())
    second = county.desk.approve_request(school.request(csr_pem=csr("new tls key")))
    assert serial(first) != serial(second)
    assert county.desk.approve_request(school.request(csr_pem=csr("new tls key"))) == second


def caller_of(grant: bytes) -> Caller:
    pem = parse_grant(grant).certificate_pem.encode()
    return identify(pem, "county-1", x509.load_pem_x509_certificate(pem).not_valid_before_utc)


def test_a_new_tls_key_ends_every_certificate_of_the_old_one(collecting: County) -> None:
    """A school whose computer was stolen comes with a new key; what the thief has, or renewed, is refused."""
    desk, school = collecting.desk, collecting.schools["s01"]
    stolen = desk.approve_request(school.request())
    by_thief = desk.renew_certificate("node", "s01", csr("s01"))
    for grant in (stolen, by_thief):
        desk.verify_caller(caller_of(grant))  # the same key: an answer may have been lost
    own = desk.approve_request(school.request(csr_pem=csr("new tls key")))
    for grant in (stolen, by_thief):
        with pytest.raises(CertificateDeniedError):
            desk.verify_caller(caller_of(grant))
    desk.verify_caller(caller_of(own))
    desk.verify_caller(caller_of(desk.renew_certificate("node", "s01", csr("new tls key"))))


def test_a_stolen_tls_key_gets_no_other_one_by_renewal(collecting: County) -> None:
    with pytest.raises(EnrolmentRefusedError, match="new TLS key"):
        collecting.desk.renew_certificate("node", "s01", csr("the thief's own"))


def test_the_same_request_renews_an_old_certificate(county: County) -> None:
    request = School("s01", "school 1").request()
    first = county.desk.approve_request(request)
    county.advance(days=260)
    assert serial(county.desk.approve_request(request)) == serial(first)
    county.advance(days=10)
    assert serial(county.desk.approve_request(request)) != serial(first)


@pytest.mark.parametrize("place", [10, 200, -20])
def test_a_changed_byte_is_refused(county: County, place: int) -> None:
    request = bytearray(School("s01", "school 1").request())
    request[place] ^= 1
    with pytest.raises(EnrolmentRefusedError):
        county.desk.approve_request(bytes(request))


def test_another_federations_request_is_refused(make_county: Callable[..., County]) -> None:
    county = make_county(config=small_config(federation="county-2"))
    with pytest.raises(EnrolmentRefusedError, match="county-1"):
        county.desk.approve_request(School("s01", "school 1").request())


def test_a_request_without_a_usable_csr_changes_nothing(county: County) -> None:
    school = School("s01", "school 1")
    with pytest.raises(CertificateError):
        county.desk.approve_request(school.request(csr_pem="nonsense"))
    assert parse_grant(county.desk.approve_request(school.request())).id == "s01"


@pytest.mark.parametrize(
    ("attributes", "flag", "expected"),
    [
        ((), False, False),
        ((), True, True),
        ((("outside", "yes"),), False, True),
        ((("outside", "no"),), False, False),
    ],
)
def test_an_outside_auditor_is_marked(
    county: County, attributes: tuple[tuple[str, str], ...], flag: bool, expected: bool
) -> None:
    county.enrol()
    auditor = Auditor("a1")
    county.desk.approve_request(auditor.request(attributes=attributes), is_outside=flag)
    county.desk.propose_roster()
    county.sign_rosters()
    row = county.ledger().roster.body.auditor("a1")
    assert row == replace(row, is_outside=expected)  # type: ignore[type-var]
