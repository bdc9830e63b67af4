"""Releases that nobody signed, and roles by their words, on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from canary_school import PASSPHRASE, PRINCIPAL, TODAY, CanarySchool, Shown, quick_stretch, use_desks_here
from fakes_roles import actor, add
from fakes_vault import SchoolHouse, pupils

from node import cli_rounds, cli_text, role_login

NAME = "张校长"


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CanarySchool:
    """A node with records and no role."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LANGUAGE", "en")
    monkeypatch.setattr(role_login, "stretch", quick_stretch)
    use_desks_here(monkeypatch)
    found = CanarySchool(tmp_path)
    found.house.open()
    rows = [replace(row, codebook=found.codebook) if row.disposition == "1" else row for row in pupils()]
    found.house.save(rows, census_date=TODAY.date())
    found.house.store.close()
    return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SchoolHouse]:
    found = SchoolHouse(tmp_path)
    yield found
    found.store.close()


def release(school: CanarySchool, *more: object, text: str | None = None) -> Shown:
    return school.run("release", school.round_id[:8], "--by", NAME, "--dir", school.node, *more, text=text)


def report_of(school: CanarySchool) -> dict[str, object]:
    shown = school.run("rounds", "--dir", school.node, "--json").shown
    return dict(json.loads(shown)["rounds"][0]["report"])


def test_without_a_terminal_an_unproven_release_is_told_and_not_asked(school: CanarySchool) -> None:
    done = release(school)
    assert done.exit_code == 0, done.shown
    assert f"nothing proves the name {NAME}" in done.shown
    assert "[y/N]" not in done.shown
    assert report_of(school)["is_signed"] == 0
    assert "not signed by a principal" in school.run("rounds", "--dir", school.node).shown
    assert "not signed by a principal" in school.run("status", "--dir", school.node).shown


def test_json_is_nothing_but_json(school: CanarySchool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_rounds, "_has_terminal", lambda: True)
    assert json.loads(release(school, "--json").shown)["is_signed"] == 0


@pytest.mark.parametrize(
    ("more", "text", "exit_code", "state"),
    [([], "n\n", 1, "none"), ([], "y\n", 0, "waiting"), (["--yes"], None, 0, "waiting")],
    ids=["no", "yes", "--yes"],
)
def test_at_a_terminal_a_person_is_asked(
    school: CanarySchool,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    text: str | None,
    exit_code: int,
    state: str,
) -> None:
    monkeypatch.setattr(cli_rounds, "_has_terminal", lambda: True)
    done = release(school, *more, text=text)
    assert done.exit_code == exit_code, done.shown
    assert ("[y/N]" in done.shown) == (not more)
    assert report_of(school)["state"] == state


@pytest.mark.parametrize("said", ["放行负责人", "校长", "releasing principal", "principal"])
def test_a_role_is_given_by_its_code_or_its_words(school: CanarySchool, said: str) -> None:
    options = ("--holder", NAME, "--role-passphrase-file", school.passphrase, "--dir", school.node)
    assert school.run("role", "add", said, *options).exit_code == 0
    done = release(school, "--role-passphrase-file", school.passphrase)
    assert (done.exit_code, "nothing proves" in done.shown) == (0, False)
    assert report_of(school)["is_signed"] == 1
    assert "not signed" not in school.run("rounds", "--dir", school.node).shown


def test_another_word_is_refused_with_the_words_that_are_known(school: CanarySchool) -> None:
    done = school.run("role", "add", "班主任", "--holder", NAME, "--dir", school.node)
    assert done.exit_code == 2
    assert "psychologist / psychology teacher, principal / releasing principal" in done.shown


def test_a_preview_takes_the_role_by_its_words(school: CanarySchool) -> None:
    school.save(30, 1)
    options = ("--holder", PRINCIPAL, "--role-passphrase-file", school.passphrase, "--dir", school.node)
    done = school.run("preview", school.round_id[:8], "--role", "校长", *options)
    assert (done.exit_code, "sum –" in done.shown) == (0, False)


def test_a_refusal_names_the_role_in_words_and_the_code_in_the_command(school: CanarySchool) -> None:
    done = school.run("follow-up", "list", "--dir", school.node)
    assert "nobody holds the role psychology teacher on this node yet" in done.shown
    assert "'fedscreen node role add psychologist --holder NAME'" in done.shown
    details = json.loads(school.run("follow-up", "list", "--dir", school.node, "--json").shown)["details"]
    assert details["id"] == "psychologist"
    assert PASSPHRASE not in done.shown


def test_an_approval_of_the_same_records_signs_a_release_afterwards(house: SchoolHouse) -> None:
    round_id = house.start_round()
    assert house.release(round_id)["is_signed"] == 0
    add(house, "principal", NAME)
    asks = {"round": round_id.hex(), "decision": "approve", "actor": actor("principal", NAME)}
    assert house.call("decide", **asks)["is_signed"] == 1


def test_a_later_signature_about_other_records_does_not_sign_an_earlier_release(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    house.desk.on_receipt(house.submit())
    house.sync()
    add(house, "principal", "李校长")
    house.save(pupils(shift=1))
    house.now = house.now.replace(minute=house.now.minute + 1)
    asks = {"round": round_id.hex(), "decision": "approve", "actor": actor("principal", "李校长")}
    assert house.call("decide", **asks)["is_signed"] == 1
    (row,) = house.call("rounds")["rounds"]
    assert [attempt["is_signed"] for attempt in row["attempts"]] == [0, 1]


def test_a_report_that_only_the_log_has_is_not_called_unsigned() -> None:
    lost = {"state": "lost", "attempt": 0, "released_by": "", "receipts": []}
    assert len(list(cli_text._report_lines(lost))) == 1
