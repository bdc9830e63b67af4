"""`fedscreen node` from the command line, with real confined vaults; the county is made by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from fakes_log_server import SERVER_NAME, LogServer, Pair, make_ca, make_node
from wall_support import IS_ROOT, TESTS, wait_until

from crypto.note import KeyType, SigningKey
from node import enrolment
from node.cli import node as group
from node.config import HIGHEST_UID, LOWEST_UID, NodeFolder, open_folder, read_config, write_config
from protos.bodies import key_name
from protos.card import CardAuditor, FederationCard, encode_card, fingerprint
from protos.enrolment import Grant, encode_grant, parse_request

pytestmark = pytest.mark.process
KEY = bytes(range(50, 82))
FEDERATION, NODE = "county", "school-1"


@pytest.fixture(scope="module", autouse=True)
def credential(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("credentials")
    (folder / "fedscreen-database-key").write_bytes(KEY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(folder))
        patch.setenv("LANGUAGE", "en")
        yield


class Result:
    """What a command printed and how it ended."""

    def __init__(self, folder: Path, *arguments: str, input_text: str | None = None) -> None:
        name = arguments[:2] if arguments[0] == "audit" else arguments[:1]
        rest = arguments[len(name) :]
        found = CliRunner().invoke(group, [*name, "--dir", str(folder), *rest], input=input_text)
        self.exit_code, self.out, self.err = found.exit_code, found.stdout, found.stderr
        if found.exception and not isinstance(found.exception, SystemExit):
            raise found.exception

    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


INIT = ("init", "--federation", FEDERATION, "--id", NODE, "--operator", "第一中学", "--attribute", "county=A")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that was set up and has its TLS key."""
    folder = tmp_path_factory.mktemp("made") / "node"
    assert Result(folder, *INIT, "--floor", "min_reports=6", "--floor", "rho_round=1/8").exit_code == 0
    assert Result(folder, "request").exit_code == 0
    return folder


def make_card(ca: Pair, federation: str = FEDERATION, fill: int = 1) -> FederationCard:
    def key(role: str, party: str | None, kind: KeyType, number: int) -> Any:
        name = key_name(federation, role, party) if party else key_name(federation, role)
        return SigningKey(name, kind, bytes([number + fill]) * 32).verifier

    auditor = CardAuditor(
        "a1", key("auditor", "a1", KeyType.ED25519, 3), key("witness", "a1", KeyType.COSIGNATURE, 4)
    )
    return FederationCard(
        federation=federation,
        kind="demo",
        log=key("log", None, KeyType.ED25519, 1),
        coordinator=key("coordinator", None, KeyType.ED25519, 2),
        ca=ca.certificate.fingerprint(hashes.SHA256()),
        genesis=bytes(32),
        quorum=1,
        auditors=(auditor,),
        tuples=((1, 1, 0, 1),),
    )


def make_grant(folder: NodeFolder, ca: Pair, port: int = 8443, **changes: Any) -> Grant:
    """What a county answers: a certificate for the node's own TLS key."""
    tls_key = serialization.load_pem_private_key((folder.egress / "tls.key").read_bytes(), None)
    pair = make_node(ca, node=changes.pop("named", NODE), key=changes.pop("key", tls_key))
    values: dict[str, Any] = {
        "role": "node",
        "federation": FEDERATION,
        "id": NODE,
        "certificate_pem": pair.certificate_pem.decode(),
        "ca_pem": ca.certificate_pem.decode(),
        "card_text": encode_card(make_card(ca)),
        "address": f"127.0.0.1:{port}",
        "server_name": SERVER_NAME,
    }
    return Grant(**(values | changes))


def accept(folder: Path, grant: Grant, told: str | None = None, *options: str) -> Result:
    path = folder.parent / "grant.json"
    path.write_bytes(encode_grant(grant))
    shown = told if told is not None else fingerprint(grant.card_text)
    return Result(folder, "accept", str(path), "--fingerprint", shown, *options)


# ---------------------------------------------------------------- init and request


def test_init_makes_a_node(made: Path) -> None:
    config = read_config(open_folder(made))
    assert (config.federation, config.node, config.key_source) == (FEDERATION, NODE, "credential")
    assert sorted(path.name for path in made.iterdir()) == [
        "egress",
        "node.toml",
        "receipts",
        "request.json",
        "vault",
    ]
    assert KEY.hex() not in (made / "node.toml").read_text()
    assert not (made / "vault" / "vault.db").read_bytes().startswith(b"SQLite format 3")
    if IS_ROOT:
        for uid in (config.vault_uid, config.egress_uid):
            assert LOWEST_UID <= uid <= HIGHEST_UID
        assert config.vault_uid != config.egress_uid
        assert (made / "vault").stat().st_uid == config.vault_uid


def test_init_again_changes_nothing(made: Path) -> None:
    before = (made / "node.toml").read_bytes()
    result = Result(made, *INIT, "--json")
    assert result.exit_code == 0
    assert result.json()["report_key"] == parse_request((made / "request.json").read_bytes()).key.text
    assert (made / "node.toml").read_bytes() == before


def test_init_of_another_node_in_the_same_folder_is_refused(made: Path) -> None:
    arguments = list(INIT)
    arguments[4] = "school-2"
    result = Result(made, *arguments)
    assert result.exit_code == 1
    assert "belongs to node school-1" in result.err


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("init", "--federation", "county", "--id", "x"), 2, "--operator"),
        ((*INIT[:4], "X Y", *INIT[5:]), 1, "node is"),
        ((*INIT, "--attribute", "broken"), 2, "NAME=VALUE"),
        ((*INIT, "--floor", "colour=1"), 2, "expected one of threshold"),
        ((*INIT, "--floor", "min_reports=x"), 2, "whole number"),
        ((*INIT, "--poll", "0"), 1, "poll_s"),
        ((*INIT, "--confinement-floor", "L9"), 2, "L9"),
    ],
)
def test_bad_init_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    result = Result(tmp_path / "node", *arguments)
    assert result.exit_code == exit_code
    assert message in result.err
    assert not (tmp_path / "node").exists()


def test_request_is_signed_and_names_the_node(made: Path) -> None:
    request = parse_request((made / "request.json").read_bytes())
    assert (request.role, request.federation, request.id) == ("node", FEDERATION, NODE)
    assert request.operator == "第一中学"
    assert request.attributes == (("county", "A"),)
    csr = x509.load_pem_x509_csr(request.csr_pem.encode())
    assert csr.is_signature_valid
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://county/node/school-1"]


def test_request_keeps_the_tls_key(made: Path, tmp_path: Path) -> None:
    before = (made / "egress" / "tls.key").read_bytes()
    result = Result(made, "request", "--out", str(tmp_path / "out.json"), "--json")
    assert result.json()["file"] == str(tmp_path / "out.json")
    assert (made / "egress" / "tls.key").read_bytes() == before


def test_passphrase_is_asked_for_and_a_wrong_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nacl.pwhash import argon2id

    monkeypatch.setattr(argon2id, "MEMLIMIT_MODERATE", argon2id.MEMLIMIT_MIN)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    folder = tmp_path / "node"
    phrase = "vier ganz verschiedene Wörter"
    made = Result(folder, *INIT, input_text=f"{phrase}\n{phrase}\n")
    assert made.exit_code == 0, made.err
    assert read_config(open_folder(folder)).key_source == "passphrase"
    assert phrase not in made.out + made.err
    again = Result(folder, "status", "--json", input_text=f"{phrase}\n")
    assert again.json()["node"] == NODE
    wrong = Result(folder, "status", input_text="another one altogether\n")
    assert wrong.exit_code == 1
    assert "does not open" in wrong.err
    path = tmp_path / "passphrase"
    path.write_text(phrase)
    path.chmod(0o600)
    assert Result(folder, "status", "--passphrase-file", str(path)).exit_code == 0


def test_wrong_credential_is_refused(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "fedscreen-database-key").write_bytes(os.urandom(32))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    result = Result(made, "status", "--json")
    assert result.exit_code == 1
    assert result.json()["error"] in ("wrong-key", "store-damaged")


# ---------------------------------------------------------------- accept


@pytest.fixture(scope="module")
def county() -> Pair:
    return make_ca()


@pytest.fixture(scope="module")
def accepted(made: Path, county: Pair) -> Path:
    """The same node after the county's grant."""
    assert accept(made, make_grant(open_folder(made), county)).exit_code == 0
    return made


def test_status_before_accept(made: Path) -> None:
    config = open_folder(made)
    if read_config(config).address:
        pytest.skip("accepted already")
    assert "not joined yet" in Result(made, "status").out
    for arguments in (("rounds",), ("preview", "abcd"), ("run",)):
        assert Result(made, *arguments).exit_code == 1


def other_key(ca: Pair) -> dict[str, Any]:
    return {"key": make_node(ca).key}


def other_ca(ca: Pair) -> dict[str, Any]:
    return {"ca_pem": make_ca().certificate_pem.decode()}


def other_issuer(ca: Pair) -> dict[str, Any]:
    return {"certificate_pem": make_node(make_ca()).certificate_pem.decode()}


def other_card(ca: Pair) -> dict[str, Any]:
    return {"card_text": encode_card(make_card(make_ca()))}


def other_federation_card(ca: Pair) -> dict[str, Any]:
    return {"card_text": encode_card(make_card(ca, "another"))}


REFUSED: list[tuple[Any, str]] = [
    (lambda ca: {"id": "school-2"}, "grant-other-party"),
    (lambda ca: {"role": "auditor"}, "grant-other-party"),
    (lambda ca: {"federation": "another"}, "grant-other-party"),
    (lambda ca: {"named": "school-2"}, "grant-name"),
    (lambda ca: {"certificate_pem": "no certificate"}, "grant-certificate"),
    (lambda ca: {"card_text": ""}, "grant-no-card"),
    (lambda ca: {"card_text": "fedscreen/card/v1\n"}, "grant-damaged"),
    (lambda ca: {"address": "county"}, "grant-address"),
    (lambda ca: {"address": "county:1\nx = 1"}, "grant-address"),
    (lambda ca: {"server_name": 'a"b'}, "grant-address"),
    (other_key, "grant-key"),
    (other_ca, "grant-ca"),
    (other_issuer, "grant-issuer"),
    (other_card, "grant-ca"),
    (other_federation_card, "grant-other-federation"),
]


@pytest.mark.parametrize(("change", "code"), REFUSED)
def test_bad_grant_is_refused_and_changes_nothing(made: Path, county: Pair, change: Any, code: str) -> None:
    folder = open_folder(made)
    before = (made / "node.toml").read_bytes()
    result = accept(made, make_grant(folder, county, **change(county)), None, "--json")
    assert result.exit_code == 1
    assert result.json()["error"] == code
    assert (made / "node.toml").read_bytes() == before


@pytest.mark.parametrize("told", ["", "0000-0000-0000-0000-0000-0000-0000-0000", "学校"])
def test_another_fingerprint_is_refused(made: Path, county: Pair, told: str) -> None:
    result = accept(made, make_grant(open_folder(made), county), told)
    assert result.exit_code == 1
    assert "telephone" in result.err


def test_damaged_grant_is_refused(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "grant.json"
    path.write_bytes(b"{}")
    result = Result(made, "accept", str(path), "--fingerprint", "x", "--json")
    assert result.json()["error"] == "grant-damaged"


def test_accept_then_everything_that_needs_a_federation(made: Path, county: Pair) -> None:
    folder = open_folder(made)
    grant = make_grant(folder, county)
    told = fingerprint(grant.card_text).upper()
    result = accept(made, grant, told)
    assert result.exit_code == 0, result.err
    assert "fingerprint " + told.lower() in result.out
    config = read_config(folder)
    assert (config.address, config.server_name) == ("127.0.0.1:8443", SERVER_NAME)
    assert accept(made, grant).exit_code == 0
    changed = replace(grant, card_text=encode_card(make_card(county, fill=9)))
    refused = accept(made, changed, None, "--json")
    assert refused.json()["error"] == "card-pinned"
    status = Result(made, "status", "--json").json()
    assert status["fingerprint"] == told.lower()
    assert status["confinement"] == "L3"
    assert status["floors"]["min_reports"] == 6
    assert status["floors"]["rho_round"] == "1/8"
    assert status["certificate_days"] in (29, 30)
    assert status["running"] == {}
    assert "not running" in Result(made, "status").out
    assert Result(made, "rounds", "--json").json() == {"rounds": []}
    budget = Result(made, "budget", "--json").json()
    assert (budget["spent"], budget["left"], budget["rho_round"]) == ("0", "1/2", "1/8")
    assert {row["id"]: row["fits"] for row in budget["fits"]}["autumn-full"] == 0  # above this school's 1/8
    assert "0 % spent" in Result(made, "budget").out
    wrong = Result(made, "budget", "--year", "2026")
    assert (wrong.exit_code, "school year such as" in wrong.err) == (1, True)
    assert Result(made, "check").exit_code == 0
    assert Result(made, "hold", "--json").json() == {"held": 1}
    assert "sending is on" in Result(made, "hold", "--off").out
    assert Result(made, "floors", "--floor", "min_reports=7", "--json").json()["min_reports"] == 7
    assert Result(made, "floors", "--floor", "min_reports=5", "--json").json()["min_reports"] == 7


@pytest.mark.parametrize(
    "arguments",
    [
        ("preview", "abcdef"),
        ("preview", "ab"),
        ("release", "abcdef", "--by", "王老师"),
        ("receipt", "abcdef"),
        ("audit", "replay", "abcdef"),
    ],
)
def test_unknown_round_is_refused(accepted: Path, arguments: tuple[str, ...]) -> None:
    result = Result(accepted, *arguments)
    assert result.exit_code == 1
    assert "fedscreen node rounds" in result.err
    assert result.out == ""


def test_refusal_as_json_is_english_and_on_stdout(accepted: Path) -> None:
    result = Result(accepted, "preview", "abcdef", "--json")
    values = result.json()
    assert result.err == ""
    assert values["error"] == "which-round"
    assert values["message"] == "0 rounds of this node's log begin with abcdef"
    assert values["details"] == {"found": 0, "prefix": "abcdef"}


def test_import_without_an_open_round_asks_for_the_wave(accepted: Path, tmp_path: Path) -> None:
    made = accepted
    names = ("roster", "screening", "profile", "codebook")
    files = []
    for name in names:
        path = tmp_path / f"{name}.csv"
        path.write_text("x")
        files += [f"--{name}", str(path)]
    assert Result(made, "import", *files, "--json").json()["error"] == "which-wave"
    mixed = Result(made, "import", *files, "--round", "abcd", "--wave", "autumn")
    assert mixed.exit_code == 2
    target = ("--wave", "autumn", "--school-year", "2026-2027", "--census-date", "2026-09-30")
    refused = Result(made, "import", *files, *target, "--json")
    assert refused.exit_code == 1
    assert "error" in refused.json() or refused.json()["refused"] == 1
    missing = Result(made, "import", *files[:-1], str(tmp_path / "none.toml"))
    assert missing.exit_code == 2


# ---------------------------------------------------------------- run


@pytest.fixture
def served(accepted: Path) -> Iterator[tuple[LogServer, int]]:
    fake = LogServer()
    server, port = fake.serve()
    folder = open_folder(accepted)
    config = replace(read_config(folder), address=f"127.0.0.1:{port}", server_name=SERVER_NAME, poll_s=0.1)
    write_config(folder, config)
    tls_key = serialization.load_pem_private_key((folder.egress / "tls.key").read_bytes(), None)
    (folder.egress / "tls.crt").write_bytes(make_node(fake.ca, key=tls_key).certificate_pem)
    (folder.egress / "ca.crt").write_bytes(fake.ca.certificate_pem)
    yield fake, port
    server.stop(0).wait()


def test_run_keeps_both_sides_and_status_shows_them(
    made: Path, served: tuple[LogServer, int], tmp_path: Path
) -> None:
    environ = {**os.environ, "PYTHONPATH": str(TESTS.parent), "FEDSCREEN_LANG": "en"}
    command = [sys.executable, "-m", "fedscreen", "node", "run", "--dir", str(made)]
    process = subprocess.Popen(
        [*command, "--record-frames", str(tmp_path / "frames")],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    folder = open_folder(made)
    try:
        served[0].wait_for(lambda: len(served[0].starts) > 3)
        wait_until(folder.running.exists)
        values = wait_until(lambda: Result(made, "status", "--json").json()["running"])
        assert values["supervisor"] == process.pid
        assert (values["vault"]["level"], values["egress"]["level"]) == ("L3", "L3")
        assert values["link"]["log"]["status"] == 0
        assert "the county answers since" in Result(made, "status").out
        parts = [process.pid, values["vault"]["pid"], values["egress"]["pid"]]
        assert sum(pss_kib(pid) for pid in parts) < 100 * 1024
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "Open a second window" in err.decode()
    assert out.decode().splitlines()[-1] == "stopped"
    assert out.decode().splitlines()[:2] == [
        "vault: running, confinement L3",
        "egress: running, confinement L3",
    ]
    assert (tmp_path / "frames" / "from-egress.frames").stat().st_size > 0
    assert Result(made, "status", "--json").json()["running"] == {}


def pss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def test_run_with_an_expired_certificate_is_refused(made: Path, served: tuple[LogServer, int]) -> None:
    folder = open_folder(made)
    (folder.egress / "tls.crt").write_bytes(make_node(served[0].ca, days=-1).certificate_pem)
    result = Result(made, "run", "--json")
    assert result.exit_code == 1
    assert result.json()["error"] == "certificate"
    (folder.egress / "tls.crt").unlink()
    assert Result(made, "run", "--json").json()["error"] == "certificate"
    (folder.egress / "tls.crt").write_text("broken")
    assert Result(made, "run", "--json").json()["error"] == "link"


@pytest.mark.skipif(not IS_ROOT, reason="only root needs users")
def test_folder_of_root_without_users_ends_with_70(made: Path, served: tuple[LogServer, int]) -> None:
    folder = open_folder(made)
    write_config(folder, replace(read_config(folder), vault_uid=0))
    result = Result(made, "status", "--json")
    write_config(folder, replace(read_config(folder), vault_uid=61955))
    assert result.exit_code == 70
    assert result.json()["error"] == "confinement"


def test_users_are_random_and_free(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    taken = LOWEST_UID + 5
    account = pwd.struct_passwd(("x", "x", taken, taken, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [account])
    draws = iter([5, 5, 9, 9, 7])
    found = enrolment.pick_users(lambda size: next(draws).to_bytes(size))
    assert found == (LOWEST_UID + 9, LOWEST_UID + 7)


@pytest.mark.parametrize("arguments", [(), ("init",), ("import",), ("run",), ("audit", "replay")])
def test_help_is_there(arguments: tuple[str, ...]) -> None:
    found = CliRunner().invoke(group, [*arguments, "--help"])
    assert found.exit_code == 0
    assert "--help" in found.output
