"""`node doctor`: each thing that can be wrong is named, with what to do; nothing secret is ever shown."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_log_server import SERVER_NAME, LogServer, make_ca, make_node
from wall_support import IS_ROOT, VAULT_UID, make_config, make_folder

from node import doctor_link, doctor_machine, doctor_vault
from node.cli import node as group
from node.config import NodeConfig, NodeFolder, write_config
from node.doctor import FAIL, LABELS, OK, SKIP, STATES, WARN, Finding, bad, good, outcome, skipped
from node.session import open_vault

NOW = datetime.now(UTC)
KEY = bytes(range(40, 72))
PASSWORD = "geheim-4711-proxy"


def state(finding: Finding) -> str:
    """Give the state, after its texts were filled in: a placeholder without a value would fail here."""
    values = finding.as_json()
    assert "%(" not in values["message"] + values["advice"]
    assert (finding.state in (WARN, FAIL)) == bool(finding.advice)
    assert finding.name in LABELS
    return finding.state


# ---------------------------------------------------------------- the machine


@pytest.mark.parametrize(
    ("version", "expected"), [((3, 10), FAIL), ((3, 11), OK), ((3, 14), OK), ((3, 15), WARN), ((2, 7), FAIL)]
)
def test_python(version: tuple[int, int], expected: str) -> None:
    assert state(doctor_machine.check_python(version, "x")) == expected


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("click<9,>=8.2", OK),
        ("click>=99", FAIL),
        ("click<8", FAIL),
        ("click>=8.2.0.0.1", OK),
        ("no-such-package-of-ours>=1", FAIL),
        ('no-such-package-of-ours>=1; extra == "node"', FAIL),
        ('no-such-package-of-ours>=1; extra == "coordinator"', OK),
        ("no-such-package-of-ours>=1 ; extra == 'demo'", OK),
        ('fedscreen[coordinator,node]; extra == "demo"', OK),
    ],
)
def test_packages(requirement: str, expected: str) -> None:
    finding = doctor_machine.check_packages([requirement])
    assert state(finding) == expected
    if expected == FAIL:
        assert requirement.split(">")[0].split("<")[0] in str(finding.details["wrong"])


def test_the_installed_packages_are_those_of_a_node() -> None:
    finding = doctor_machine.check_packages()
    assert state(finding) == OK
    for name in ("grpcio", "sqlcipher3", "numpy", "cryptography"):
        assert name in str(finding.details["found"])
    assert "sqlalchemy" not in str(finding.details["found"]).lower()


@pytest.mark.parametrize(
    ("abi", "has_seccomp", "floor", "expected"),
    [
        (7, True, "L3", OK),
        (4, True, "L3", OK),
        (3, True, "L3", WARN),
        (0, True, "L3", FAIL),
        (7, False, "L3", FAIL),
        (0, False, "L0", WARN),
    ],
)
def test_kernel(abi: int, has_seccomp: bool, floor: str, expected: str) -> None:
    config = make_config(confinement_floor=floor)
    assert state(doctor_machine.check_kernel(config, abi, has_seccomp)) == expected


@pytest.mark.parametrize(
    ("vault_uid", "euid", "expected"), [(0, 1000, OK), (61901, 0, OK), (0, 0, FAIL), (61901, 1000, FAIL)]
)
def test_user(vault_uid: int, euid: int, expected: str) -> None:
    config = make_config(vault_uid=vault_uid, egress_uid=vault_uid + 1 if vault_uid else 0)
    assert state(doctor_machine.check_user(config, euid)) == expected


@pytest.mark.parametrize(("free", "expected"), [(50, FAIL), (500, WARN), (5000, OK)])
def test_disk_space(tmp_path: Path, free: int, expected: str) -> None:
    finding = doctor_machine.check_disk(NodeFolder(tmp_path), free * 1024 * 1024)
    assert state(finding) == expected
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    assert state(doctor_machine.check_disk(NodeFolder(tmp_path / "gone"), 10**12)) == FAIL


MOUNTS = """22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:26 / /srv/share rw,relatime - nfs4 server:/share rw
31 22 8:17 / /media/My\\040Stick rw - vfat /dev/sdb1 rw
32 22 0:5 / /srv/sharex rw - xfs /dev/x rw
33 22 0:40 /a /srv/share/deeper rw - ext4 /dev/y rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/home/it/node", "ext4", OK),
        ("/srv/share/node", "nfs4", FAIL),
        ("/srv/sharex", "xfs", OK),
        ("/srv/share/deeper/node", "ext4", OK),
        ("/media/My Stick/node", "vfat", FAIL),
    ],
)
def test_file_system(path: str, kind: str, expected: str) -> None:
    assert doctor_machine.file_system_of(Path(path), MOUNTS) == kind
    assert state(doctor_machine.check_file_system(NodeFolder(Path(path)), MOUNTS)) == expected


def test_this_file_system_is_known(tmp_path: Path) -> None:
    assert state(doctor_machine.check_file_system(NodeFolder(tmp_path))) == OK


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("", 0o700, OK),
        ("", 0o755, OK),
        ("", 0o777, FAIL),
        ("node.toml", 0o666, FAIL),
        ("node.toml", 0o644, OK),
        ("vault", 0o750, FAIL),
        ("egress", 0o711, FAIL),
        ("egress/tls.key", 0o640, FAIL),
        ("database.key", 0o604, FAIL),
        ("vault/vault.db", 0o644, FAIL),
        ("receipts", 0o755, OK),
        ("receipts", 0o775, FAIL),
    ],
)
def test_permissions(tmp_path: Path, name: str, mode: int, expected: str) -> None:
    folder = make_folder(tmp_path / "node", LogServer())
    folder.root.chmod(0o700)
    for path in (folder.config, folder.key_file, folder.vault / "vault.db", folder.egress / "tls.key"):
        path.touch()
        path.chmod(0o600)
    (folder.root / name).chmod(mode)
    finding = doctor_machine.check_permissions(folder)
    assert state(finding) == expected
    if expected == FAIL:
        assert str(folder.root / name).rstrip("/") in str(finding.details["file"])


def test_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    folder = make_folder(tmp_path / "node")
    assert state(doctor_machine.check_key(folder, make_config())) == FAIL
    assert state(doctor_machine.check_key(folder, make_config(key_source="passphrase"))) == FAIL
    folder.key_file.touch()
    assert state(doctor_machine.check_key(folder, make_config(key_source="passphrase"))) == OK
    (tmp_path / "fedscreen-database-key").write_bytes(KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert state(doctor_machine.check_key(folder, make_config())) == OK


@pytest.mark.process
def test_the_wall_is_really_tried(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "node", LogServer())
    config = make_config(address="127.0.0.1:8443", server_name=SERVER_NAME)
    finding = doctor_machine.check_confinement(folder, config, "127.0.0.1")
    assert (state(finding), finding.details["levels"]) == (OK, "vault L3, egress L3")
    assert not (folder.vault / "vault.db").exists()


@pytest.mark.process
@pytest.mark.skipif(not IS_ROOT, reason="only root needs a user for the vault")
def test_a_wall_that_does_not_stand_is_told(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "node")
    finding = doctor_machine.check_confinement(folder, make_config(vault_uid=0, egress_uid=0), "")
    assert state(finding) == FAIL
    assert "root" in finding.as_json()["message"]


# ---------------------------------------------------------------- the way to the county


def certified(tmp_path: Path, **changes: Any) -> tuple[NodeFolder, NodeConfig]:
    """A node with a certificate; `days`, `node`, `key` change it."""
    folder, ca = make_folder(tmp_path / "node", LogServer()), make_ca()
    pair = make_node(ca, **changes)
    (folder.egress / "tls.crt").write_bytes(pair.certificate_pem)
    (folder.egress / "tls.key").write_bytes(pair.key_pem)
    return folder, make_config(address="127.0.0.1:1", server_name=SERVER_NAME)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"days": 400}, OK),
        ({"days": 30}, WARN),
        ({"days": -1}, FAIL),
        ({"days": 400, "node": "school-2"}, FAIL),
        ({"days": 400, "federation": "another"}, FAIL),
    ],
)
def test_certificate(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    folder, config = certified(tmp_path, **changes)
    assert state(doctor_link.check_certificate(folder, config, NOW)) == expected


def test_certificate_of_another_key_or_damaged_or_of_tomorrow(tmp_path: Path) -> None:
    folder, config = certified(tmp_path, days=400)
    early = doctor_link.check_certificate(folder, config, NOW - timedelta(days=101))
    assert state(early) == FAIL
    assert "date" in early.advice
    good_key = (folder.egress / "tls.key").read_bytes()
    for data in (make_node(make_ca()).key_pem, b"no key"):
        (folder.egress / "tls.key").write_bytes(data)
        assert state(doctor_link.check_certificate(folder, config, NOW)) == FAIL
    (folder.egress / "tls.key").write_bytes(good_key)
    (folder.egress / "tls.crt").write_bytes(b"no certificate")
    assert state(doctor_link.check_certificate(folder, config, NOW)) == FAIL
    (folder.egress / "tls.crt").unlink()
    assert state(doctor_link.check_certificate(folder, config, NOW)) == FAIL


def test_proxies_are_named_and_their_values_not_shown() -> None:
    assert state(doctor_link.check_proxy({"PATH": "/bin", "https_proxy": "", "no_proxy": "x"})) == OK
    finding = doctor_link.check_proxy({"HTTPS_PROXY": f"http://it:{PASSWORD}@proxy:3128", "all_proxy": "x"})
    assert state(finding) == WARN
    assert finding.details["names"] == "HTTPS_PROXY, all_proxy"
    assert PASSWORD not in json.dumps(finding.as_json())


@pytest.mark.parametrize(
    ("address", "expected", "found"),
    [
        ("127.0.0.1:8443", OK, "127.0.0.1"),
        ("[::1]:8443", OK, "::1"),
        ("localhost:8443", OK, None),
        ("nowhere.invalid:8443", FAIL, ""),
    ],
)
def test_name(address: str, expected: str, found: str | None) -> None:
    finding, resolved = doctor_link.check_name(make_config(address=address))
    assert state(finding) == expected
    assert found is None or resolved == found


@contextmanager
def listener(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """A TCP server that is not the county's."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _peer = server.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_connection_is_refused_or_taken() -> None:
    with listener(lambda _connection: None) as port:
        assert state(doctor_link.check_connection("127.0.0.1", port)) == OK
    finding = doctor_link.check_connection("127.0.0.1", port)
    assert state(finding) == FAIL
    assert "coordinator" in finding.advice


@pytest.mark.parametrize(
    ("err", "word"), [(TimeoutError(), "firewall"), (OSError(101, "Network is unreachable"), "cable")]
)
def test_connection_that_is_dropped(monkeypatch: pytest.MonkeyPatch, err: OSError, word: str) -> None:
    def fail(*_arguments: object) -> None:
        raise err

    monkeypatch.setattr(socket, "create_connection", fail)
    finding = doctor_link.check_connection("203.0.113.1", 50080)
    assert state(finding) == FAIL
    assert word in finding.advice
    assert "outbox export" in finding.advice


def test_tls_with_the_county_with_another_server_and_with_none(tmp_path: Path) -> None:
    county, impostor = LogServer(), LogServer()
    folder = make_folder(tmp_path / "node", county)
    for server, expected in ((county, OK), (impostor, FAIL)):
        handle, port = server.serve()
        config = make_config(address=f"127.0.0.1:{port}", server_name=SERVER_NAME)
        finding = doctor_link.check_tls(folder, config, "127.0.0.1")
        assert state(finding) == expected
        if server is county:
            other = make_config(address=f"127.0.0.1:{port}", server_name="another.test")
            assert state(doctor_link.check_tls(folder, other, "127.0.0.1")) == FAIL
        else:
            assert "inspects" in finding.advice
        handle.stop(0).wait()
    for answer in (lambda found: found.sendall(b"HTTP/1.0 400 no\r\n\r\n"), lambda found: found.recv(9)):
        with listener(answer) as port:
            config = make_config(address=f"127.0.0.1:{port}", server_name=SERVER_NAME)
            assert state(doctor_link.check_tls(folder, config, "127.0.0.1")) == FAIL


# ---------------------------------------------------------------- what the vault knows


@pytest.mark.parametrize(
    ("minutes", "expected"), [((), WARN), ((-60,), OK), ((4,), OK), ((6,), FAIL), ((-600, 90), FAIL)]
)
def test_clock(minutes: tuple[int, ...], expected: str) -> None:
    evidence = [NOW + timedelta(minutes=number) for number in minutes]
    assert state(doctor_vault.check_clock(NOW, evidence)) == expected


def status_of(hours: float, *, split: int = 0, clock: float = 0) -> dict[str, Any]:
    trusted = (NOW - timedelta(hours=hours)).isoformat()
    log = {"size": 9, "trusted_size": 9, "trusted_time": trusted, "split": split}
    return {"log": log, "clock": (NOW + timedelta(hours=clock)).isoformat()}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, SKIP),
        (status_of(1), OK),
        (status_of(-1), OK),
        (status_of(25), WARN),
        (status_of(1, split=1), FAIL),
        ({"log": {"split": 0, "trusted_time": "", "trusted_size": 0}}, WARN),
    ],
)
def test_log(status: dict[str, Any], expected: str) -> None:
    assert state(doctor_vault.check_log(status, NOW)) == expected


def test_the_vaults_mark_tells_a_clock_that_was_turned_back() -> None:
    for clock, expected in ((0, OK), (3, FAIL)):
        evidence = doctor_vault.times_in(status_of(1, clock=clock), NOW)
        assert state(doctor_vault.check_clock(NOW, evidence)) == expected
    assert doctor_vault.times_in({"clock": "x"}, NOW) == ()


def running(level: str = "L3", starts: int = 1, status: int = 0) -> dict[str, Any]:
    side = {"pid": 1, "level": level, "starts": starts, "last_error": ""}
    return {"vault": side, "egress": side, "link": {"log": {"status": status, "at": "x", "report": ""}}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, WARN),
        (running(), OK),
        (running(level=""), FAIL),
        (running(status=14), WARN),
        (running(starts=9), WARN),
        ({"vault": {}, "egress": {}}, FAIL),
    ],
)
def test_running(values: dict[str, Any], expected: str) -> None:
    assert state(doctor_vault.check_running(values)) == expected


# ---------------------------------------------------------------- together


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([good("disk", "x")], OK),
        ([good("disk", "x"), skipped("tls", "x")], WARN),
        ([skipped("tls", "x"), bad("disk", "x", "y"), good("log", "x")], FAIL),
    ],
)
def test_outcome_is_the_worst(findings: list[Finding], expected: str) -> None:
    assert outcome(findings) == expected


def test_every_state_has_a_word() -> None:
    assert set(STATES) == {OK, WARN, FAIL, SKIP}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeFolder, LogServer]]:
    """A node that knows its county, which serves."""
    county, root = LogServer(), tmp_path_factory.mktemp("served")
    handle, port = county.serve()
    folder = make_folder(root / "node", county)
    folder.root.chmod(0o700)
    (folder.egress / "tls.key").chmod(0o600)
    config = make_config(address=f"127.0.0.1:{port}", server_name=SERVER_NAME)
    write_config(folder, config)
    (root / "fedscreen-database-key").write_bytes(KEY)
    with open_vault(folder, config, KEY) as vault:
        vault.call({"command": "init", "federation": "county", "node": "school-1", "operator": "第一中学"})
    yield folder, county
    handle.stop(0).wait()


@pytest.fixture
def node(served: tuple[NodeFolder, LogServer], monkeypatch: pytest.MonkeyPatch) -> NodeFolder:
    """Its folder, for commands that get its key and speak English."""
    folder, _county = served
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder.root.parent))
    monkeypatch.setenv("LANGUAGE", "en")
    return folder


def run(folder: NodeFolder, *options: str) -> tuple[int, str]:
    found = CliRunner().invoke(group, ["doctor", "--dir", str(folder.root), *options], catch_exceptions=False)
    return found.exit_code, found.stdout


@pytest.mark.process
def test_the_command_looks_at_everything_and_shows_no_secret(
    node: NodeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://it:{PASSWORD}@proxy:3128")
    code, out = run(node, "--json")
    values = json.loads(out)
    states = {row["name"]: row["state"] for row in values["findings"]}
    assert list(states) == list(LABELS)
    doubts = {"certificate": WARN, "proxy": WARN, "log": SKIP, "running": WARN}
    doubts |= {"backup": WARN, "recovery": WARN}
    expected = {name: doubts.get(name, OK) for name in LABELS}
    if VAULT_UID == 0 or os.geteuid() != 0:
        expected["user"] = OK
    assert (code, values["outcome"], states) == (0, WARN, expected)
    _code, shown = run(node, "--no-vault", "--offline")
    assert "nothing has failed" in shown
    secrets = [PASSWORD, KEY.hex(), str(KEY), (node.egress / "tls.key").read_text().splitlines()[1]]
    assert [secret for secret in secrets if secret in out + shown] == []


_NETWORK = ("proxy", "name", "connection", "tls", "running")


@pytest.mark.parametrize(
    ("made", "expected"),
    [("", WARN), ("2026-09-09T00:00:00Z", OK), ("2026-06-01T00:00:00Z", WARN)],
    ids=["never", "yesterday", "long-ago"],
)
def test_a_backup_that_is_missing_or_old_is_told(made: str, expected: str) -> None:
    now = datetime(2026, 9, 10, tzinfo=UTC)
    assert state(doctor_vault.check_backup({"safety": {"backup": made}}, now)) == expected


@pytest.mark.parametrize(("made", "expected"), [("", WARN), ("2020-01-01T00:00:00Z", OK)])
def test_a_missing_recovery_file_is_told(made: str, expected: str) -> None:
    assert state(doctor_vault.check_recovery({"safety": {"recovery": made}})) == expected


@pytest.mark.process
def test_what_is_left_out_is_said(node: NodeFolder) -> None:
    code, out = run(node, "--json", "--offline", "--no-vault")
    states = {row["name"]: row["state"] for row in json.loads(out)["findings"]}
    left_out = {name for name, found in states.items() if found == SKIP}
    assert (code, left_out) == (0, {*_NETWORK, "vault", "log", "backup", "recovery"})


@pytest.mark.process
def test_a_county_that_is_away_and_another_key_fail(
    node: NodeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = node.config.read_bytes()
    write_config(node, make_config(address="127.0.0.1:9", server_name=SERVER_NAME))
    (tmp_path / "fedscreen-database-key").write_bytes(bytes(reversed(KEY)))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    code, out = run(node, "--json")
    node.config.write_bytes(before)
    states = {row["name"]: row["state"] for row in json.loads(out)["findings"]}
    assert (code, states["connection"], states["tls"], states["vault"]) == (1, FAIL, SKIP, FAIL)
    assert (states["log"], states["confinement"]) == (SKIP, OK)


def test_before_init_it_says_what_to_do(tmp_path: Path) -> None:
    code, out = run(NodeFolder(tmp_path / "none"), "--json")
    values = json.loads(out)
    assert (code, values["outcome"]) == (1, FAIL)
    assert "init" in next(row["advice"] for row in values["findings"] if row["name"] == "settings")
