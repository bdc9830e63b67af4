"""A coordinator's folder: made once, also across crashes; keys private; server certificate renewed."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fakes_coordinator import START, Crash, fake_bytes, small_config

from coordinator.desk import Desk
from coordinator.errors import CertificateError, ConfigError
from coordinator.home import create_home, load_home, server_credentials


def entropy(size: int) -> bytes:
    """Different bytes at every call."""
    entropy.calls += 1  # type: ignore[attr-defined]
    return fake_bytes(f"entropy {entropy.calls}", size)  # type: ignore[attr-defined]


entropy.calls = 0  # type: ignore[attr-defined]


def test_keys_are_readable_by_the_owner_only(tmp_path: Path) -> None:
    create_home(tmp_path / "c", small_config(), START, entropy)
    assert (tmp_path / "c" / "keys").stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "c" / "keys").iterdir()}
    assert modes == {"log.key": 0o600, "statement.key": 0o600, "ca.key": 0o600}
    assert (tmp_path / "c" / "coordinator.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "c" / "coordinator.db").stat().st_mode & 0o777 == 0o600


def test_no_key_is_in_a_repr(tmp_path: Path) -> None:
    home = create_home(tmp_path / "c", small_config(), START, entropy)
    assert home.log_key.seed.hex() not in repr(home)
    assert "SigningKey" not in repr(home)


def test_a_finished_folder_is_not_made_again(tmp_path: Path) -> None:
    before = create_home(tmp_path / "c", small_config(), START, entropy)
    with pytest.raises(ConfigError, match="exists already"):
        create_home(tmp_path / "c", small_config(), START, entropy)
    assert load_home(tmp_path / "c").log_key == before.log_key


def test_init_goes_on_after_a_crash_at_any_write(tmp_path: Path) -> None:
    crashed: set[str] = set()
    seeds: set[bytes] = set()

    def crash_once(step: str) -> None:
        if step not in crashed:
            crashed.add(step)
            raise Crash

    while "after coordinator.toml" not in crashed:
        with suppress(Crash):
            create_home(tmp_path / "c", small_config(), START, entropy, crash_once)
        seeds |= {file.read_bytes() for file in (tmp_path / "c" / "keys").glob("*.key")}
    assert len(crashed) == 12  # four keys and certificates, the database, the configuration
    home = load_home(tmp_path / "c")
    assert home.log_key.seed != home.statement_key.seed
    assert len(seeds) == 3  # a key that was once on disk stays
    Desk(tmp_path / "c").close()
    assert not list((tmp_path / "c").rglob("*.new*"))


@pytest.mark.parametrize("name", ["keys/log.key", "keys/ca.key", "ca.pem", "coordinator.toml"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    create_home(tmp_path / "c", small_config(), START, entropy)
    (tmp_path / "c" / name).unlink()
    with pytest.raises(ConfigError, match=Path(name).name):
        load_home(tmp_path / "c")


@pytest.mark.parametrize("text", ["", "xyz", "00" * 31])
def test_a_damaged_key_is_refused(tmp_path: Path, text: str) -> None:
    create_home(tmp_path / "c", small_config(), START, entropy)
    (tmp_path / "c" / "keys" / "log.key").write_text(text)
    with pytest.raises(ConfigError, match="keys"):
        load_home(tmp_path / "c")


def test_a_damaged_ca_is_refused(tmp_path: Path) -> None:
    create_home(tmp_path / "c", small_config(), START, entropy)
    (tmp_path / "c" / "keys" / "ca.key").write_text("nothing")
    with pytest.raises(CertificateError):
        load_home(tmp_path / "c")


def test_the_server_certificate_is_kept_until_a_third_is_left(tmp_path: Path) -> None:
    home = create_home(tmp_path / "c", small_config(), START, entropy)
    first = server_credentials(home, ("127.0.0.1",), START)
    assert server_credentials(home, ("127.0.0.1",), START + timedelta(days=59)) == first
    second = server_credentials(home, ("127.0.0.1",), START + timedelta(days=61))
    assert second != first
    assert x509.load_pem_x509_certificate(second[0]).not_valid_after_utc == START + timedelta(days=151)


def test_a_new_server_key_never_stands_beside_an_old_certificate(tmp_path: Path) -> None:
    home = create_home(tmp_path / "c", small_config(), START, entropy)
    server_credentials(home, (), START)

    def crash(step: str) -> None:
        if step == "after server.key":
            raise Crash

    with pytest.raises(Crash):
        server_credentials(home, (), START + timedelta(days=80), crash)
    certificate, key = server_credentials(home, (), START + timedelta(days=80))
    public = x509.load_pem_x509_certificate(certificate).public_key()
    assert load_pem_private_key(key, None).public_key() == public
