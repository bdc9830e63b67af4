"""`node setup` with a real county's files and real vaults: few questions, resumable, nothing on trust."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fakes_coordinator import County

from coordinator.cli import coordinator as coordinator_group
from node.cli import node as group
from node.config import open_folder, read_config
from protos.card import fingerprint, parse_card
from protos.enrolment import parse_grant, parse_request
from protos.invitation import parse_invitation

pytestmark = pytest.mark.process
KEY = bytes(range(60, 92))


@pytest.fixture(autouse=True)
def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fedscreen-database-key").write_bytes(KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LANGUAGE", "en")


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    """A county whose genesis roster is drafted: there is a card."""
    found = County(tmp_path_factory.mktemp("county") / "c")
    found.found()
    yield found
    found.desk.close()


def run_county(county: County, *arguments: object) -> dict[str, Any]:
    command = [*map(str, arguments), "--dir", str(county.directory), "--json"]
    found = CliRunner().invoke(coordinator_group, command, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return dict(json.loads(found.stdout))


def invoke(folder: Path, *arguments: object, text: str | None = None) -> Result:
    command = ["setup", *map(str, arguments), "--dir", str(folder)]
    return CliRunner().invoke(group, command, input=text, catch_exceptions=False)


def setup(folder: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    found = invoke(folder, *arguments, "--json")
    assert found.exit_code == code, found.output
    return dict(json.loads(found.stdout))


def told(county: County) -> str:
    return fingerprint(county.desk.card_text())


def invitation_of(county: County, folder: Path, node_id: str, *options: str) -> Path:
    answer = run_county(
        county, "invite", "--id", node_id, "--operator", "第十七中学", "--out", folder, *options
    )
    assert answer["fingerprint"] == told(county)
    return Path(answer["invitations"][0])


def test_three_commands_from_the_invitation_to_a_node_that_can_run(county: County, tmp_path: Path) -> None:
    invitation = invitation_of(county, tmp_path, "n1", "--attribute", "county=532501", "--system", "5-4")
    folder = tmp_path / "node"
    first = setup(folder, invitation, "--fingerprint", told(county).upper())
    assert (first["step"], first["compared"], first["card"]) == ("request", 1, told(county))
    request = parse_request(Path(first["request"]).read_bytes())
    assert (request.id, request.operator, request.attributes) == ("n1", "第十七中学", (("county", "532501"),))
    approved = run_county(county, "approve", first["request"], "--out", tmp_path)
    assert approved["grants"][0]["code"] == first["request_code"]
    second = setup(folder, approved["grants"][0]["grant"])  # no fingerprint: its card must be the pinned one
    assert (second["step"], second["fingerprint"]) == ("ready", told(county))
    assert second["next"] == "fedscreen node run"
    config = read_config(open_folder(folder))
    assert config.address == county.config.public_address
    assert setup(folder)["step"] == "ready"
    found = CliRunner().invoke(group, ["rounds", "--dir", str(folder), "--json"], catch_exceptions=False)
    assert found.exit_code == 0


def test_a_card_and_two_answers_are_enough(county: County, tmp_path: Path) -> None:
    card = tmp_path / "card.txt"
    card.write_text(county.desk.card_text(), "utf-8")
    found = invoke(tmp_path / "node", card, text=f"n2\n{told(county)}\n第二中学\n")
    assert found.exit_code == 0, found.output
    assert "fingerprint was compared: " + told(county) in found.stdout
    request = parse_request((tmp_path / "node" / "request.json").read_bytes())
    assert (request.id, request.operator, request.federation) == ("n2", "第二中学", "county-1")
    assert fingerprint(request.key.text) in found.stdout


def test_again_gives_the_same_and_asks_nothing(county: County, tmp_path: Path) -> None:
    invitation = invitation_of(county, tmp_path, "n3")
    folder = tmp_path / "node"
    first = setup(folder, invitation)
    data = Path(first["request"]).read_bytes()
    again = setup(folder)
    assert again["request_code"] == first["request_code"]
    assert parse_request(Path(again["request"]).read_bytes()).key == parse_request(data).key
    assert setup(folder, invitation, "--fingerprint", told(county))["compared"] == 1


def test_compared_later_it_needs_the_fingerprint_with_the_grant(county: County, tmp_path: Path) -> None:
    invitation = invitation_of(county, tmp_path, "n4")
    folder = tmp_path / "node"
    first = setup(folder, invitation)
    assert first["compared"] == 0
    grant = run_county(county, "approve", first["request"], "--out", tmp_path)["grants"][0]["grant"]
    wrong = setup(folder, grant, "--fingerprint", "0000-0000-0000-0000-0000-0000-0000-0000", code=1)
    assert wrong["error"] == "fingerprint"
    assert read_config(open_folder(folder)).address == ""
    found = invoke(folder, grant, text=f"{told(county)}\n")
    assert (found.exit_code, "fedscreen node run" in found.stdout) == (0, True)


def test_another_fingerprint_makes_nothing(county: County, tmp_path: Path) -> None:
    invitation = invitation_of(county, tmp_path, "n5")
    wrong = setup(tmp_path / "node", invitation, "--fingerprint", told(county)[:-1] + "x", code=1)
    assert wrong["error"] == "fingerprint"
    assert not (tmp_path / "node").exists()


def test_another_federations_card_or_grant_is_refused(county: County, tmp_path: Path) -> None:
    invitation = invitation_of(county, tmp_path, "n6")
    folder = tmp_path / "node"
    setup(folder, invitation, "--fingerprint", told(county))
    other = County(tmp_path / "other")
    other.found()
    card = tmp_path / "card.txt"
    card.write_text(changed_card(county.desk.card_text()), "utf-8")
    assert setup(folder, card, code=1)["error"] == "card-pinned"
    grant = tmp_path / "grant.json"
    request = (folder / "request.json").read_bytes()
    grant.write_bytes(other.desk.approve_request(request))
    assert parse_grant(grant.read_bytes()).federation == "county-1"
    refused = setup(folder, grant, code=1)["error"]
    other.desk.close()
    assert refused in ("fingerprint", "grant-no-card", "grant-ca")
    assert read_config(open_folder(folder)).address == ""


def changed_card(text: str) -> str:
    """The same card with another genesis roster."""
    genesis = parse_card(text).genesis.hex()
    return text.replace(genesis, genesis[::-1])


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"PK\x03\x04", b"fedscreen/card/v1\nfederation x\n", b"\xff" * 99]
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert setup(tmp_path / "node", path, code=1)["error"] == "setup-file"
    assert not (tmp_path / "node").exists()


def test_without_a_file_it_says_what_to_give(tmp_path: Path) -> None:
    found = invoke(tmp_path / "node")
    assert found.exit_code == 1
    assert "invitation" in found.stderr


def test_with_json_nothing_is_asked(county: County, tmp_path: Path) -> None:
    card = tmp_path / "card.txt"
    card.write_text(county.desk.card_text(), "utf-8")
    found = invoke(tmp_path / "node", card, "--json")
    assert (found.exit_code, "--id" in found.stderr) == (2, True)


# ---------------------------------------------------------------- the county's side


def test_a_list_of_schools_becomes_invitations(county: County, tmp_path: Path) -> None:
    path = tmp_path / "schools.csv"
    text = "id,operator,system,county,kind\nn10,第十中学,,532501,rural\nn11,第十一中学,5-4,532502,\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    answer = run_county(county, "invite", "--list", path, "--out", tmp_path / "out")
    found = [parse_invitation(Path(name).read_bytes()) for name in answer["invitations"]]
    assert [(row.id, row.system, dict(row.attributes)) for row in found] == [
        ("n10", "6-3", {"county": "532501", "kind": "rural"}),
        ("n11", "5-4", {"county": "532502"}),
    ]
    assert {row.card_text for row in found} == {county.desk.card_text()}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name,operator\nx,y\n", "headers"),
        ("id,operator\nn1,a\nn1,b\n", "stands in row 2 already"),
        ("id,operator\nn1,a\nN 2,b\n", "row 3"),
        ("id,operator\nn1,a,b,c\n", "row 2"),
        ("id,operator\nn1,\n", "row 2"),
        ("\xff", "UTF-8"),
    ],
)
def test_a_wrong_list_writes_nothing(county: County, tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "schools.csv"
    path.write_bytes(text.encode("latin-1"))
    command = ["invite", "--list", str(path), "--out", str(tmp_path / "out"), "--dir", str(county.directory)]
    found = CliRunner().invoke(coordinator_group, command, catch_exceptions=False)
    assert found.exit_code == 1
    assert word in found.stderr
    assert not (tmp_path / "out").exists()


def test_approve_with_propose_writes_the_first_grants_with_their_card(tmp_path: Path) -> None:
    county = County(tmp_path / "c")
    paths = []
    for auditor in county.auditors.values():
        paths.append(tmp_path / f"{auditor.id}.json")
        paths[-1].write_bytes(auditor.request())
    first = run_county(county, "approve", *paths, "--out", tmp_path / "grants", "--propose")
    assert all(row["has_card"] for row in first["grants"])
    cards = {parse_grant(path.read_bytes()).card_text for path in (tmp_path / "grants").iterdir()}
    assert {fingerprint(card) for card in cards} == {first["fingerprint"]}
    county.sign_rosters()
    again = run_county(county, "approve", *paths, "--out", tmp_path / "grants", "--propose")
    assert again == {key: value for key, value in first.items() if key != "roster"}
    county.desk.close()
