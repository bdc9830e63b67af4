"""The commands: accounts by command line, refusals, where the dashboard may listen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_dashboard import PASSPHRASE, Office

from coordinator.cli import coordinator
from coordinator.dashboard.serve import address_of, bind
from coordinator.errors import ConfigError


def run(office: Office, *words: str, given: str = "", code: int = 0) -> dict[str, Any]:
    place = ("--dir", str(office.county.directory), "--json")
    done = CliRunner().invoke(coordinator, [*words, *place], input=given)
    assert done.exit_code == code, done.output
    return dict(json.loads(done.stdout))


def test_an_account_made_by_command_logs_in(office: Office) -> None:
    given = ("--role", "clerk", "--person", "王小明", "--passphrase-stdin")
    assert run(office, "account", "add", "wang", *given, given=PASSPHRASE + "\n")["role"] == "clerk"
    assert office.visitor().log_in("wang").page.url.path == "/board"
    rows = {row["name"]: row for row in run(office, "account", "list")["accounts"]}
    assert rows["wang"]["person"] == "王小明"
    assert "(command line)" in office.visitor("audit").get("/journal").text


@pytest.mark.parametrize(
    ("name", "role", "given"),
    [
        ("wang", "clerk", "short"),
        ("Wang!", "clerk", PASSPHRASE),
        ("clerk", "clerk", PASSPHRASE),
        ("wang", "school", PASSPHRASE),
        ("wang", "clerk", ""),
    ],
)
def test_a_wrong_account_is_refused_and_nothing_is_stored(
    office: Office, name: str, role: str, given: str
) -> None:
    before = run(office, "account", "list")
    answer = run(office, "account", "add", name, "--role", role, "--passphrase-stdin", given=given, code=1)
    assert answer["error"] == "account"
    assert run(office, "account", "list") == before


def test_every_school_gets_a_code_of_its_own(office: Office, tmp_path: Path) -> None:
    out = tmp_path / "codes.csv"
    assert run(office, "account", "schools", "--out", str(out))["accounts"] == 5  # one has an account
    assert out.stat().st_mode & 0o777 == 0o600
    rows = [line.split(",") for line in out.read_text("utf-8-sig").splitlines()[1:]]
    assert len({row[2] for row in rows}) == 5
    visitor = office.visitor()
    visitor.get("/setup")
    form = {"name": rows[0][1], "code": rows[0][2], "new": PASSPHRASE, "again": PASSPHRASE}
    assert visitor.post("/setup", form).url.path == "/facts"
    again = tmp_path / "again.csv"
    assert run(office, "account", "schools", "--out", str(again))["accounts"] == 0
    assert run(office, "account", "schools", "--out", str(out), code=1)["error"] == "account"


def test_a_reset_ends_the_passphrase(office: Office) -> None:
    code = run(office, "account", "reset", "security")["code"]
    assert office.visitor().log_in("security").page.status_code == 403
    visitor = office.visitor()
    office.county.advance(seconds=2)
    visitor.get("/setup")
    form = {"name": "security", "code": code, "new": PASSPHRASE, "again": PASSPHRASE}
    assert visitor.post("/setup", form).url.path == "/roles"


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "dash.example:443"])
def test_beyond_this_machine_only_with_tls(listen: str) -> None:
    with pytest.raises(ConfigError, match="only with TLS"):
        bind(listen, has_certificate=False)


@pytest.mark.parametrize("listen", ["", "127.0.0.1", "127.0.0.1:99999", "a b:1", ":80", "http://x:80"])
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        bind(listen, has_certificate=True)


def test_the_public_name_decides(tmp_path: Path) -> None:
    with bind("127.0.0.1:0", has_certificate=False) as listener:
        found = address_of(listener, "https://dash.example/", has_certificate=False)
        assert (found.origin, found.is_secure) == ("https://dash.example", True)
        assert address_of(listener, "", has_certificate=True).scheme == "https"
        for wrong in (
            "dash.example",
            "https://",
            "https://Dash.example",
            "https://a/b",
            "ftp://a",
            "https://a@b",
        ):
            with pytest.raises(ConfigError):
                address_of(listener, wrong, has_certificate=False)
