"""What `node status` and `node floors` show people: words instead of codes, local times, what waits."""

from __future__ import annotations

import gettext
import time
from collections.abc import Iterator
from typing import Any

import click
import pytest

from fedscreen.__main__ import main
from node import cli_doctor, cli_status, cli_text
from node.cli_words import FLOORS, KEY_SOURCES, in_words, local_time, name_places
from node.config import KEY_SOURCES as KNOWN_SOURCES
from node.doctor import good
from node.errors import NodeError
from node.frames import LinkState
from node.side_words import CALLS, SIDES
from node.vault.enrol import Floors


@pytest.fixture(autouse=True)
def in_china(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    domain = gettext.textdomain()
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    monkeypatch.setenv("LANGUAGE", "en")
    time.tzset()
    yield
    gettext.textdomain(domain)
    monkeypatch.undo()
    time.tzset()


def german(text: str) -> str:
    return {"vault": "Tresor", "egress": "Ausgang", "a passphrase": "Satz", "yes": "ja"}.get(text, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T16:30:59Z", "2026-11-23 00:30"),
        ("2026-11-22T08:00:00+00:00", "2026-11-22 16:00"),
        ("2026-11-22T08:00:00.123456+08:00", "2026-11-22 08:00"),
        ("2026-11-22 08:00 UTC", "2026-11-22 16:00"),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T08:00:00", "2026-11-22T08:00:00"),
        ("", ""),
        ("tomorrow", "tomorrow"),
    ],
)
def test_times_are_shown_as_the_clock_on_the_wall_has_them(text: str, expected: str) -> None:
    assert local_time(text) == expected


def test_codes_become_words_and_nothing_else_changes() -> None:
    details: dict[str, object] = {
        "side": "vault",
        "levels": "vault L3, egress L1",
        "source": "passphrase",
        "seccomp": "yes",
    }
    details |= {"since": "2026-11-22T16:30:00Z"}
    details |= {"file": "/vault/egress", "reason": "", "number": 3, "key_source": "credential"}
    assert in_words(details, german) == {
        "side": "Tresor",
        "levels": "Tresor L3, Ausgang L1",
        "source": "Satz",
        "seccomp": "ja",
        "file": "/vault/egress",
        "reason": "",
        "number": 3,
        "since": "2026-11-23 00:30",
        "key_source": "a systemd credential",
    }


def test_every_code_has_its_word() -> None:
    assert set(KEY_SOURCES) == set(KNOWN_SOURCES)
    assert set(FLOORS) == set(Floors().as_json())
    assert set(SIDES) == {"vault", "egress"}
    assert set(CALLS) == set(LinkState.CALLS)


def test_a_systems_reason_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_text, "_", lambda text: text.replace("No such file or directory", "fehlt"))
    err = NodeError(
        "%(file)s cannot be read (%(reason)s)", details={"file": "x", "reason": "No such file or directory"}
    )
    assert next(cli_text.error_lines(err)) == "refused: x cannot be read (fehlt)"


def test_doctor_shows_people_local_times_and_programs_utc() -> None:
    finding = good("clock", "it is %(now)s here", now="2026-11-22 08:00 UTC")
    assert next(cli_doctor._lines([finding])).endswith("it is 2026-11-22 16:00 here")
    assert finding.as_json()["message"] == "it is 2026-11-22 08:00 UTC here"


def test_floors_have_code_value_and_words() -> None:
    lines = list(cli_status.floor_lines(Floors().as_json()))
    assert len(lines) == 6
    assert lines[2].split(maxsplit=2) == ["min_reports", "5", FLOORS["min_reports"]]


def test_the_places_of_a_usage_have_words() -> None:
    words = {"FILE": "文件", "GRANT": "准入文件", "ROUND": "轮次", "DAY": "日期", "[OPTIONS]": "[选项]"}
    params: list[click.Parameter] = [
        click.Argument(["grant"]),
        click.Argument(["file"], required=False),
        click.Argument(["files"], nargs=-1, required=True),
        click.Argument(["round_id"], metavar="ROUND"),
        click.Argument(["other"]),
        click.Option(["--day"], metavar="DAY"),
    ]
    command = click.Command("x", params=params)
    name_places(command, lambda text: words.get(text, text))
    with click.Context(command) as context:
        assert command.get_usage(context).split()[1:] == [
            *("[选项]", "准入文件", "[文件]", "文件...", "轮次", "OTHER")
        ]
        assert params[-1].make_metavar(context) == "日期"


@pytest.mark.parametrize(
    ("arguments", "language", "expected"),
    [
        (("release", "abcd"), "zh_CN", "缺少选项 '--by'。"),
        (("release", "abcd"), "en", "Missing option '--by'."),
        (("preview",), "en", "Missing argument 'ROUND'."),
        (("decide", "abcd", "--holder", "x"), "en", "Missing argument '{hold|decline}'. Choose from:"),
    ],
)
def test_what_is_missing_is_said_with_the_languages_own_full_stop(
    arguments: tuple[str, ...],
    language: str,
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FEDSCREEN_LANG", language)
    with pytest.raises(SystemExit) as caught:
        main(["node", *arguments])
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


# ---------------------------------------------------------------- status


def status(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "node": "s",
        "federation": "f",
        "operator": "第一中学",
        "address": "county:1",
        "requested": 1,
        "fingerprint": "abcd",
        "confinement": "L3",
        "running": {},
        "certificate_days": 9,
        "log": {"size": 3, "trusted_size": 3, "split": 0},
        "held": 0,
        "roles": [],
        "account": [],
        "records": [],
        "rounds": [],
    }
    return values | changes


def shown(**changes: Any) -> str:
    return "\n".join(cli_status.status_lines(status(**changes)))


def record_set(imported: str, changed: str) -> dict[str, Any]:
    values = {"school_year": "2026-2027", "wave": "A", "num_records": 30, "provenance": {}}
    return values | {"imported": imported, "changed": changed}


def round_row(released: str, wave: str = "A", digit: str = "a") -> dict[str, Any]:
    report = {"state": "logged", "attempt": 0, "released": released, "released_by": "x", "receipts": []}
    return {
        "round": digit * 64,
        "state": "collecting",
        "title": "Autumn",
        "school_year": "2026-2027",
        "wave": wave,
        "rho": "1/8",
        "cells": 4,
        "opens": "2026-09-01T16:30:00+00:00",
        "closes": "2026-10-01T00:00:00+00:00",
        "report": report if released else {"state": "none"},
    }


@pytest.mark.parametrize(
    ("changes", "expected", "absent"),
    [
        (
            {"requested": 0, "fingerprint": "", "address": ""},
            "fedscreen node setup, with the county's",
            "waits",
        ),
        ({"fingerprint": "", "address": ""}, "waits for the county's grant", "federation card"),
        ({"address": ""}, "waits for the county's grant", "with the county's invitation"),
        ({}, "federation card abcd", "not joined"),
    ],
    ids=["nothing yet", "request made", "card compared", "joined"],
)
def test_what_is_still_to_come_from_the_county_is_told(
    changes: dict[str, Any], expected: str, absent: str
) -> None:
    assert expected in shown(**changes)
    assert absent not in shown(**changes)


def test_who_holds_which_role_is_told() -> None:
    holders = [{"role": "principal", "name": "王"}, {"role": "principal", "name": "李"}]
    lines = shown(roles=holders).splitlines()
    assert "  releasing principal: 王, 李" in lines
    assert "  psychology teacher: nobody yet" in lines


def test_both_sides_and_calls_have_words_and_local_times() -> None:
    side = {"level": "L3", "starts": 1, "last_error": ""}
    link = {
        "log": {"status": 0, "at": "2026-11-22T08:00:00Z"},
        "report": {"status": 14, "at": "2026-11-22T09:00:00Z"},
    }
    text = shown(running={"vault": side, "egress": {**side, "level": ""}, "link": link})
    assert "  vault: L3, started 1 times" in text
    assert "  egress: stopped, started 1 times" in text
    assert "the county answers since 2026-11-22 16:00" in text
    assert "(sending a report): code 14 at 2026-11-22 17:00" in text


EARLY, LATE, LATER = "2026-10-01T08:00:00Z", "2026-10-02T08:00:00Z", "2026-10-03T08:00:00Z"


def test_an_entry_in_the_form_is_no_import() -> None:
    text = shown(records=[record_set(EARLY, LATE)])
    assert "imported 2026-10-01 16:00" in text
    assert "changed on 2026-10-02 16:00 by what was typed into the follow-up form" in text
    assert "typed" not in shown(records=[record_set(EARLY, EARLY)])


@pytest.mark.parametrize(
    ("rounds", "is_told"),
    [
        ([round_row(EARLY)], True),
        ([round_row(LATER)], False),
        ([round_row(LATER, digit="b"), round_row(EARLY)], False),
        ([round_row(EARLY, wave="S")], False),
        ([round_row("")], False),
        ([], False),
    ],
    ids=["earlier", "later", "the newest counts", "another wave", "not released", "no round"],
)
def test_records_that_changed_since_their_newest_release_are_told(
    rounds: list[dict[str, Any]], is_told: bool
) -> None:
    text = shown(records=[record_set(EARLY, LATE)], rounds=rounds)
    assert ("not as in round aaaaaaaaaaaaaaaa, released on 2026-10-01 16:00" in text) == is_told


def test_the_days_of_a_window_are_those_of_the_wall_clock() -> None:
    assert "2026-09-02 to 2026-10-01" in shown(rounds=[round_row(EARLY)])
