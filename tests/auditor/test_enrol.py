"""Three files, keys that never move, and one fingerprint that a person compares."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fakes_auditors import FakeCounty

from auditor.config import AuditorConfig, AuditorFolder, encode_config, parse_config, read_config
from auditor.enrol import create_auditor, join, load_card, load_policy, make_request
from auditor.errors import AuditorError, ConfigError, KeyFileError
from auditor.keys import load_keys, load_tls
from crypto.fingerprint import fingerprint_words
from protos.card import CardAuditor, FederationCard, encode_card, fingerprint
from protos.enrolment import Grant, Request, encode_grant, parse_request

FEDERATION = "county-1"


class Authority:
    """A CA that signs whatever CSR it is given."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        self.certificate = self._build(name, name, self.key.public_key()).sign(self.key, hashes.SHA256())

    def _build(
        self, subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(7)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=400))
        )

    @property
    def pem(self) -> str:
        """The CA's certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def sha256(self) -> bytes:
        """What a card pins."""
        return self.certificate.fingerprint(hashes.SHA256())

    def sign(self, csr_pem: str) -> str:
        """Sign a CSR."""
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        public = csr.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        built = self._build(csr.subject, self.certificate.subject, public)
        return built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def new_auditor(root: Path, name: str = "a1") -> tuple[AuditorFolder, Request]:
    """Make an auditor and read its request back."""
    folder = AuditorFolder(root)
    create_auditor(folder, AuditorConfig(federation=FEDERATION, id=name, operator="大学"))
    return folder, parse_request(make_request(folder))


def card_for(request: Request, authority: Authority) -> FederationCard:
    """A federation's card that lists the requesting auditor as a1."""
    card = FakeCounty().card
    assert request.cosigner is not None
    own = CardAuditor("a1", request.key, request.cosigner)
    return replace(card, ca=authority.sha256, auditors=(own, *card.auditors[1:]))


def grant_for(request: Request, card: FederationCard, authority: Authority) -> Grant:
    """The coordinator's answer."""
    return Grant(
        role="auditor",
        federation=FEDERATION,
        id=request.id,
        certificate_pem=authority.sign(request.csr_pem),
        ca_pem=authority.pem,
        card_text=encode_card(card),
        address="127.0.0.1:4433",
        server_name="coordinator.county-1",
    )


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def party(tmp_path: Path) -> tuple[AuditorFolder, Request]:
    return new_auditor(tmp_path / "a1")


def test_joining_pins_everything(party: tuple[AuditorFolder, Request], authority: Authority) -> None:
    folder, request = party
    card = card_for(request, authority)
    grant = grant_for(request, card, authority)
    join(folder, encode_grant(grant), fingerprint(encode_card(card)).upper() + "\n")
    assert load_card(folder) == card
    assert load_policy(folder.policy).genesis == card.genesis
    config = read_config(folder)
    assert (config.address, config.server_name) == (grant.address, grant.server_name)
    assert load_tls(folder).certificate == grant.certificate_pem.encode()


def test_joining_again_with_a_renewed_certificate_keeps_the_policy(
    party: tuple[AuditorFolder, Request], authority: Authority
) -> None:
    folder, request = party
    card = card_for(request, authority)
    told = fingerprint(encode_card(card))
    join(folder, encode_grant(grant_for(request, card, authority)), told)
    folder.policy.write_text(folder.policy.read_text().replace("min-reports 5", "min-reports 9"))
    join(folder, encode_grant(grant_for(request, card, authority)), told)
    assert load_policy(folder.policy).min_reports == 9


def test_another_fingerprint_is_refused_and_nothing_is_pinned(
    party: tuple[AuditorFolder, Request], authority: Authority
) -> None:
    folder, request = party
    grant = grant_for(request, card_for(request, authority), authority)
    with pytest.raises(ConfigError, match="do not join"):
        join(folder, encode_grant(grant), "0000-" * 7 + "0000")
    assert not folder.card.exists()
    assert not (folder.keys / "tls.crt").exists()


def test_a_refusal_names_the_place_and_never_the_right_fingerprint(
    party: tuple[AuditorFolder, Request], authority: Authority
) -> None:
    folder, request = party
    card = card_for(request, authority)
    line = fingerprint(encode_card(card))
    grant = encode_grant(grant_for(request, card, authority))
    last = "0" if line[-1] != "0" else "1"
    for told, message in (
        (line[:-1] + last, "another word at place 16 of 16"),
        ("0000-" * 7 + "0000", "nearly all of them"),
        (fingerprint(request.key.text), "words of your own key"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            join(folder, grant, told)
        assert line[:9] not in str(caught.value)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_joining_by_words(party: tuple[AuditorFolder, Request], authority: Authority, language: str) -> None:
    folder, request = party
    card = card_for(request, authority)
    words = list(fingerprint_words(fingerprint(encode_card(card)), language))
    grant = encode_grant(grant_for(request, card, authority))
    wrong = [*words[:-1], words[0] if words[-1] != words[0] else words[1]]
    for told, message in ((wrong, "do not join"), (words[:-1], "found 15"), ([*words[:-1], "x"], "word 16")):
        with pytest.raises(ConfigError, match=message):
            join(folder, grant, " ".join(told))
        assert not folder.card.exists()
    join(folder, grant, " ".join(words))
    assert load_card(folder) == card


def _other_key(grant: Grant, authority: Authority, tmp_path: Path) -> Grant:
    _, stranger = new_auditor(tmp_path / "stranger")
    return replace(grant, certificate_pem=authority.sign(stranger.csr_pem))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("role", "for node a1"),
        ("id", "for auditor a2"),
        ("federation", "for auditor a1 of county-2"),
        ("no-card", "no federation card yet"),
        ("other-ca", "not the one that the federation card pins"),
        ("other-key", "another key than this auditor's"),
        ("other-issuer", "not signed by the federation's CA"),
        ("no-pem", "not PEM"),
        ("card-keys", "lists other keys for this auditor"),
    ],
)
def test_a_wrong_grant_is_refused(
    party: tuple[AuditorFolder, Request], authority: Authority, tmp_path: Path, change: str, message: str
) -> None:
    folder, request = party
    card = card_for(request, authority)
    grant = grant_for(request, card, authority)
    other = Authority()
    wrong: dict[str, Grant] = {
        "role": replace(grant, role="node"),
        "id": replace(grant, id="a2"),
        "federation": replace(grant, federation="county-2"),
        "no-card": replace(grant, card_text=""),
        "other-ca": replace(grant, ca_pem=other.pem, certificate_pem=other.sign(request.csr_pem)),
        "other-key": _other_key(grant, authority, tmp_path),
        "other-issuer": replace(grant, certificate_pem=other.sign(request.csr_pem)),
        "no-pem": replace(grant, certificate_pem="x"),
        "card-keys": replace(grant, card_text=encode_card(replace(FakeCounty().card, ca=authority.sha256))),
    }
    bad = wrong[change]
    with pytest.raises(AuditorError, match=message):
        join(folder, encode_grant(bad), fingerprint(bad.card_text))
    assert not folder.card.exists()


def test_a_pinned_card_never_changes(party: tuple[AuditorFolder, Request], authority: Authority) -> None:
    folder, request = party
    card = card_for(request, authority)
    join(folder, encode_grant(grant_for(request, card, authority)), fingerprint(encode_card(card)))
    other = replace(card, genesis=bytes(32))
    with pytest.raises(ConfigError, match="another card is pinned"):
        join(folder, encode_grant(grant_for(request, other, authority)), fingerprint(encode_card(other)))
    assert load_card(folder) == card


def test_an_auditor_is_made_once(party: tuple[AuditorFolder, Request]) -> None:
    folder, _ = party
    config = read_config(folder)
    with pytest.raises(ConfigError, match="exists already"):
        create_auditor(folder, config)
    folder.config.unlink()
    with pytest.raises(KeyFileError, match="exists already"):
        create_auditor(folder, config)


def test_two_auditors_have_different_keys(tmp_path: Path) -> None:
    first, second = new_auditor(tmp_path / "x")[1], new_auditor(tmp_path / "y")[1]
    assert first.key != second.key
    assert first.cosigner != second.cosigner
    assert first.key.public_key != getattr(first.cosigner, "public_key", None)


def test_key_files_are_for_the_owner_only(party: tuple[AuditorFolder, Request]) -> None:
    for name in ("statement.key", "cosigner.key", "tls.key"):
        assert stat.S_IMODE((party[0].keys / name).stat().st_mode) == 0o600


def test_keys_never_show_in_a_repr(party: tuple[AuditorFolder, Request]) -> None:
    folder, _ = party
    keys = load_keys(folder, read_config(folder))
    assert keys.statement.seed.hex() not in repr(keys)
    assert repr(keys.statement.seed) not in repr(keys)


@pytest.mark.parametrize(
    "content", [b"", b"00\n", b"zz" * 32 + b"\n", b"00" * 32, b"AB" * 32 + b"\n", b"\xff"]
)
def test_a_damaged_key_file_is_refused(party: tuple[AuditorFolder, Request], content: bytes) -> None:
    folder, _ = party
    (folder.keys / "statement.key").write_bytes(content)
    with pytest.raises(KeyFileError, match=r"statement\.key"):
        load_keys(folder, read_config(folder))


def test_a_missing_key_file_says_what_to_do(party: tuple[AuditorFolder, Request]) -> None:
    folder, _ = party
    (folder.keys / "cosigner.key").unlink()
    with pytest.raises(KeyFileError, match="run 'fedscreen auditor init'"):
        load_keys(folder, read_config(folder))
    with pytest.raises(KeyFileError, match=r"tls\.crt"):
        load_tls(folder)


# --- auditor.toml -----------------------------------------------------------------------------


def test_the_configuration_is_written_and_read_back() -> None:
    config = AuditorConfig(federation="f", id="a", operator="县卫健委", is_outside=True, poll_s=0.5)
    assert parse_config(encode_config(config)) == config
    assert parse_config(b"\xef\xbb\xbf" + encode_config(config)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("federation = 'f'\nid = 'a'\noperator = 'o'\nextra = 1", "extra"),
        ("federation = 'f'\nid = 'A'\noperator = 'o'", "id"),
        ("federation = 'f'\nid = 'a'", "operator"),
        ("federation = 'f'\nid = 'a'\noperator = 'a\"b'", "operator"),
        ("federation = 'f'\nid = 'a'\noperator = 'o'\npoll_s = 0", "poll_s"),
        ("federation = 'f'\nid = 'a'\noperator = 'o'\naddress = 'a b'", "address"),
        ("federation = ", "not TOML"),
    ],
)
def test_a_wrong_configuration_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(text.encode())


def test_a_configuration_that_is_not_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="not TOML in UTF-8"):
        parse_config(b"\xff\xfe")


def test_a_missing_configuration_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="init"):
        read_config(AuditorFolder(tmp_path))
    with pytest.raises(ConfigError, match="join"):
        load_card(AuditorFolder(tmp_path))
    with pytest.raises(ConfigError, match="not found"):
        load_policy(tmp_path / "policy.txt")


def test_a_pinned_card_that_is_not_text_is_refused(tmp_path: Path) -> None:
    AuditorFolder(tmp_path).card.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_card(AuditorFolder(tmp_path))
