"""How passphrases are asked for: hidden, checked before the second typing, and only of who can have one."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from canary_school import PASSPHRASE, PRINCIPAL, PSYCHOLOGIST, CanarySchool, quick_stretch, use_desks_here
from click.testing import CliRunner
from fakes_vault import pupils
from wall_support import TESTS

from node import cli_doctor, role_login
from node.cli_ask import ask_new_passphrase
from node.cli_context import Context
from node.config import open_folder
from node.errors import UnlockError

LONG = "four unrelated words here"
REPORT = ("report", "--exact", "--reason", "check", "--out")


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CanarySchool:
    """A node with records, whose passphrases are stretched quickly."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LANGUAGE", "en")
    monkeypatch.setattr(role_login, "stretch", quick_stretch)
    use_desks_here(monkeypatch)
    return CanarySchool(tmp_path)


def asked(*typed: str) -> tuple[str, str]:
    """Ask for a new passphrase; give it and what was shown."""
    with CliRunner().isolation(input="".join(line + "\n" for line in typed)) as (_out, err, _both):
        found = ask_new_passphrase("New passphrase")
        return found, err.getvalue().decode()


def test_the_same_twice_is_taken() -> None:
    assert asked(LONG, LONG)[0] == LONG


def test_two_that_differ_are_asked_for_once_more() -> None:
    found, shown = asked(LONG, LONG + "!", LONG, LONG)
    assert found == LONG
    assert "the two passphrases differ" in shown
    assert LONG not in shown


def test_a_short_one_is_refused_before_it_is_typed_again() -> None:
    with CliRunner().isolation(input=f"short\n{LONG}\n{LONG}\n") as (_out, err, _both):
        with pytest.raises(UnlockError) as caught:
            ask_new_passphrase("New passphrase")
        shown = err.getvalue().decode()
    assert caught.value.code == "passphrase-length"
    assert "Repeat" not in shown


def test_without_a_terminal_the_option_is_named_and_nothing_of_python_is_shown() -> None:
    code = (
        "from node.cli_ask import ask_passphrase\nfrom node.errors import UnlockError\n"
        "try:\n    ask_passphrase('Passphrase', '--role-passphrase-file')\n"
        "except UnlockError as err:\n    print(err)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(TESTS.parent)},
        input=b"typed into the dark\n",
        capture_output=True,
        start_new_session=True,  # no terminal to fall back on
        check=True,
    )
    assert done.stdout.decode().startswith("no-terminal: a passphrase is needed, and there is no terminal")
    assert "--role-passphrase-file FILE" in done.stdout.decode()
    for word in (b"GetPass", b"Warning", b"getpass.py", b"echo"):
        assert word not in done.stderr


def test_doctor_without_a_terminal_leaves_the_record_file_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_context: Context) -> None:
        raise UnlockError("no terminal", code="no-terminal")

    monkeypatch.setattr(Context, "vault", refuse)
    context = Context(open_folder(Path("nowhere")), None, as_json=False)
    found = {row.name: row for row in cli_doctor._look_into_vault(context, no_vault=False)}
    assert found["vault"].state == "SKIP"
    assert "--passphrase-file" in found["vault"].message


def never(*_words: object, **_named: object) -> str:
    raise AssertionError("a passphrase was asked for")


def test_while_nobody_has_the_role_no_passphrase_is_asked_for(
    school: CanarySchool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click, "prompt", never)
    school.house.open()
    school.house.save(pupils(), census_date=datetime.now(UTC).date())
    school.house.store.close()
    done = school.run(*REPORT, school.out / "x.html", "--holder", "王老师", "--dir", school.node)
    assert done.exit_code == 1
    assert "nobody is psychology teacher at this node yet" in done.shown
    assert "fedscreen node role add psychologist --holder NAME" in done.shown


def test_a_name_without_the_role_is_told_before_the_passphrase(
    school: CanarySchool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click, "prompt", never)
    school.save(30, 1)
    done = school.run(*REPORT, school.out / "x.html", "--holder", PRINCIPAL, "--dir", school.node)
    assert done.exit_code == 1
    assert f"{PRINCIPAL} is not psychology teacher at this node" in done.shown
    assert "fedscreen node role list" in done.shown
    assert PSYCHOLOGIST not in done.shown


def test_who_has_the_role_is_asked(school: CanarySchool) -> None:
    school.save(30, 1)
    options = ("--holder", PSYCHOLOGIST, "--dir", school.node)
    done = school.run(*REPORT, school.out / "x.html", *options, text=PASSPHRASE + "\n")
    assert done.exit_code == 0, done.shown


def test_a_new_holder_with_a_short_passphrase_is_refused_at_once(school: CanarySchool) -> None:
    options = ("--holder", "李老师", "--dir", school.node)
    done = school.run("role", "add", "psychologist", *options, text="short\n")
    assert done.exit_code == 1
    assert "a passphrase has 12 to 1024 characters" in done.shown
