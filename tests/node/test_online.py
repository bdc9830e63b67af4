"""Enrolment in one command and renewal: a real server, confined processes; once, checked, resumable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from fakes_coordinator import County, School

from coordinator import enrol_service
from coordinator.desk import utc_now
from coordinator.enrol_service import Brake, serving_enrolment
from coordinator.errors import TokenRefusedError
from coordinator.service import make_server
from coordinator.tls import TlsFiles
from node.cli import node as group
from node.config import open_folder, read_config, write_config
from node.enrolment import TLS_CERTIFICATE
from node.errors import NodeError
from node.online import is_renewal_due, renew_online
from protos.card import fingerprint
from protos.enrolment import parse_grant
from protos.invitation import Invitation, Online, encode_invitation, parse_invitation

pytestmark = pytest.mark.process
KEY = bytes(range(60, 92))
ATTRIBUTES = (("county", "532501"), ("deployment", "a"))


@pytest.fixture(autouse=True)
def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fedscreen-database-key").write_bytes(KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LANGUAGE", "en")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[County, int, int]]:
    """A county whose clock runs, its enrolment port, and the port of everybody else."""
    county = County(tmp_path_factory.mktemp("county") / "c")
    county.found()
    county.clock = datetime.now(UTC)
    tls = TlsFiles(county.desk.home, (), utc_now)
    now = tls.current()
    server, port = make_server(
        county.desk, now.certificate, now.key, "127.0.0.1:0", lambda: datetime.now(UTC)
    )
    server.start()
    with serving_enrolment(county.desk, "127.0.0.1:0", tls.current) as enrol_port:
        yield county, enrol_port, port
    server.stop(0).wait()
    county.desk.close()


def invitation_of(county: County, port: int, node: str, days: int = 14) -> Invitation:
    home = county.desk.home
    plain = Invitation("county-1", node, "第十七中学", ATTRIBUTES, "6-3", county.desk.card_text())
    token = county.desk.make_token(plain, days)
    online = Online(f"127.0.0.1:{port}", home.config.server_name, home.ring.chain_pem(), token)
    return Invitation("county-1", node, "第十七中学", ATTRIBUTES, "6-3", plain.card_text, online)


def setup(folder: Path, invitation: Invitation, county: County, place: Path) -> Result:
    file = place / "invitation.json"
    file.write_bytes(encode_invitation(invitation))
    told = fingerprint(county.desk.card_text())
    command = ["setup", str(file), "--fingerprint", told, "--dir", str(folder), "--json"]
    return CliRunner().invoke(group, command, catch_exceptions=False)


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_one_command_from_the_invitation_to_a_node_that_can_run(
    served: tuple[County, int, int], tmp_path: Path
) -> None:
    county, enrol_port, port = served
    invitation = invitation_of(county, enrol_port, "m1")
    folder = tmp_path / "node"
    assert answer(setup(folder, invitation, county, tmp_path))["step"] == "ready"
    states = {row["id"]: row["state"] for row in county.desk.describe_members()}
    assert states["m1"] == "waiting"  # it takes part from the roster on that the auditors sign
    again = answer(setup(folder, invitation, county, tmp_path))  # as after a lost answer
    assert again["step"] == "ready"
    stranger = setup(tmp_path / "other", invitation, county, tmp_path)
    assert stranger.exit_code == 1
    assert json.loads(stranger.stdout)["error"] == "enrolment-refused"

    place, config = open_folder(folder), read_config(open_folder(folder))
    write_config(place, type(config)(**{**_values(config), "address": f"127.0.0.1:{port}"}))
    before = (place.egress / TLS_CERTIFICATE).read_bytes()
    assert not is_renewal_due(place)
    assert is_renewal_due(place, datetime.now(UTC) + timedelta(days=46))
    renew_online(place, read_config(place))
    after = (place.egress / TLS_CERTIFICATE).read_bytes()
    first, second = (x509.load_pem_x509_certificate(pem) for pem in (before, after))
    assert first.serial_number != second.serial_number
    assert first.public_key() == second.public_key()
    result = CliRunner().invoke(group, ["keys", "renew", "--now", "--dir", str(folder), "--json"])
    assert answer(result)["renewed"] == 1


def _values(config: Any) -> dict[str, Any]:
    return {name: getattr(config, name) for name in type(config).__dataclass_fields__}


def test_nothing_is_sent_before_the_fingerprint_was_compared(
    served: tuple[County, int, int], tmp_path: Path
) -> None:
    county, enrol_port, _ = served
    file = tmp_path / "invitation.json"
    file.write_bytes(encode_invitation(invitation_of(county, enrol_port, "m2")))
    result = CliRunner().invoke(group, ["setup", str(file), "--dir", str(tmp_path / "node"), "--json"])
    assert answer(result)["step"] == "request"
    assert "m2" not in {row["id"] for row in county.desk.describe_members()}


def test_a_server_that_is_away_leaves_the_way_by_files(
    served: tuple[County, int, int], tmp_path: Path
) -> None:
    county, _, _ = served
    result = setup(tmp_path / "node", invitation_of(county, 9, "m3"), county, tmp_path)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"] == "no-answer"
    assert (tmp_path / "node" / "request.json").exists()
    with pytest.raises(NodeError, match="coordinator"):
        renew_online(open_folder(tmp_path / "node"), read_config(open_folder(tmp_path / "node")))


def test_a_token_is_for_one_school_one_time_and_some_days(served: tuple[County, int, int]) -> None:
    county, enrol_port, _ = served
    desk = county.desk

    def token_of(node: str) -> str:
        online = invitation_of(county, enrol_port, node).online
        assert online is not None
        return online.token

    def request_of(node: str, **changes: object) -> bytes:
        return School(node, "第十七中学", ATTRIBUTES).request(**changes)

    token, other = token_of("m4"), token_of("m6")
    refused = [
        ("", request_of("m4")),
        ("0" * 32, request_of("m4")),
        (token.upper(), request_of("m4")) if token.upper() != token else ("A" * 32, request_of("m4")),
        (other, request_of("m4")),
        (token, request_of("m4", operator="另一所学校")),
        (token, request_of("m4", attributes=(("county", "532501"), ("deployment", "b")))),
        (token, county.auditors["a1"].request()),
        (token, b"no request"),
    ]
    for guess, data in refused:
        with pytest.raises(TokenRefusedError):
            desk.enrol_by_token(guess, data)
    grant = desk.enrol_by_token(token, request_of("m4"))
    assert parse_grant(desk.enrol_by_token(token, request_of("m4"))).id == parse_grant(grant).id == "m4"
    with pytest.raises(TokenRefusedError):  # the same school, but other keys
        desk.enrol_by_token(token, request_of("m4", master=bytes(32)))
    replaced, newest = token_of("m7"), token_of("m7")
    with pytest.raises(TokenRefusedError):
        desk.enrol_by_token(replaced, request_of("m7"))
    now = county.clock
    county.clock = now + timedelta(days=15)
    with pytest.raises(TokenRefusedError):
        desk.enrol_by_token(newest, request_of("m7"))
    county.clock = now
    assert desk.enrol_by_token(newest, request_of("m7"))


def test_only_a_digest_of_the_token_is_kept(served: tuple[County, int, int]) -> None:
    county, enrol_port, _ = served
    invitation = invitation_of(county, enrol_port, "m5")
    assert invitation.online is not None
    assert invitation.online.token not in repr(invitation)
    stored = b"".join(path.read_bytes() for path in county.desk.home.directory.glob("coordinator.db*"))
    assert invitation.online.token.encode() not in stored
    assert bytes.fromhex(invitation.online.token) not in stored
    assert parse_invitation(encode_invitation(invitation)) == invitation


def test_a_caller_that_fails_too_often_is_not_answered_for_a_while() -> None:
    now = [0.0]
    brake = Brake(lambda: now[0])
    for _ in range(enrol_service.MAX_FAILURES):
        assert brake.is_open("ipv4:10.0.0.1")
        brake.note_failure("ipv4:10.0.0.1")
    assert not brake.is_open("ipv4:10.0.0.1")
    assert brake.is_open("ipv4:10.0.0.2")
    now[0] = enrol_service.WINDOW_S
    assert brake.is_open("ipv4:10.0.0.1")
