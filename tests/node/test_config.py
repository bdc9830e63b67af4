"""node.toml: what is read is what was written; everything else is refused by name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from node.config import (
    NodeConfig,
    NodeFolder,
    encode_config,
    open_folder,
    parse_config,
    read_config,
    replace_file,
    write_config,
)
from node.errors import ConfigError

BASE = NodeConfig(federation="county", node="school-1", key_source="passphrase")
FULL = NodeConfig(
    federation="county",
    node="school-1",
    key_source="credential",
    vault_uid=61200,
    egress_uid=61201,
    confinement_floor="L2",
    address="[fd00::1]:8443",
    server_name="coordinator.county.example",
    poll_s=0.3,
    timeout_s=7.5,
)


@pytest.mark.parametrize("config", [BASE, FULL])
def test_round_trip(config: NodeConfig) -> None:
    assert parse_config(encode_config(config)) == config


def test_defaults_are_safe() -> None:
    config = parse_config(b'federation = "county"\nnode = "school-1"\nkey_source = "passphrase"\n')
    assert config.confinement_floor == "L3"
    assert config.address == ""


def test_file_of_windows_notepad_is_read() -> None:
    assert parse_config(b"\xef\xbb\xbf" + encode_config(FULL).replace(b"\n", b"\r\n")) == FULL


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("coordinator:8443", "coordinator", 8443), ("10.0.0.1:1", "10.0.0.1", 1), ("[::1]:65535", "::1", 65535)],
)
def test_address_has_host_and_port(address: str, host: str, port: int) -> None:
    config = NodeConfig("county", "school-1", "passphrase", address=address)
    assert (config.host, config.port) == (host, port)


BAD: list[tuple[str, object]] = [
    ("federation", ""),
    ("federation", "County"),
    ("federation", "a" * 64),
    ("federation", 7),
    ("node", "学校"),
    ("node", "-x"),
    ("key_source", "none"),
    ("key_source", ""),
    ("vault_uid", 1000),
    ("vault_uid", -1),
    ("vault_uid", 65520),
    ("vault_uid", "61200"),
    ("egress_uid", True),
    ("confinement_floor", "L4"),
    ("confinement_floor", ""),
    ("address", "coordinator"),
    ("address", "coordinator:0"),
    ("address", "coordinator:65536"),
    ("address", "co ordinator:1"),
    ("address", "https://coordinator:1"),
    ("address", "::1:443"),
    ("server_name", "a b"),
    ("server_name", 'a"'),
    ("poll_s", 0.0),
    ("poll_s", 86_401.0),
    ("poll_s", True),
    ("poll_s", "5"),
    ("timeout_s", 0.0),
    ("timeout_s", float("nan")),
]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_bad_value_is_refused_by_name(key: str, value: object) -> None:
    values = {item.name: getattr(FULL, item.name) for item in fields(FULL)} | {key: value}
    with pytest.raises(ConfigError, match=f"node.toml: {key} is"):
        NodeConfig(**values)


def test_two_sides_have_two_users() -> None:
    with pytest.raises(ConfigError, match="both 61200"):
        NodeConfig("county", "school-1", "passphrase", vault_uid=61200, egress_uid=61200)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "missing keys"),
        (encode_config(FULL) + b"colour = 1\n", "unknown keys ..colour"),
        (encode_config(FULL).replace(b"poll_s", b"poll"), "unknown keys ..poll"),
        (encode_config(FULL) + b"[vault]\nx = 1\n", "unknown keys"),
        (encode_config(FULL).replace(b"node =", b"n ="), "missing keys ..node"),
        (b"federation = ", "not TOML"),
        (encode_config(FULL) + encode_config(FULL), "not TOML"),
        (encode_config(FULL).replace(b"county", b"\xff"), "not TOML in UTF-8"),
        (b"#" * 70_000, "at most"),
    ],
)
def test_malformed_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(data)


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"node init.*--dir"):
        read_config(NodeFolder(tmp_path))


def test_written_file_is_read_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    write_config(folder, BASE)
    write_config(folder, FULL)
    assert read_config(folder) == FULL
    assert [path.name for path in tmp_path.iterdir()] == ["node.toml"]


def test_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_folder(Path("school")).vault == tmp_path / "school" / "vault"


def test_failed_replacement_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def fails(source: object, target: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr("node.config.os.replace", fails)
    with pytest.raises(OSError, match="disk"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o600
