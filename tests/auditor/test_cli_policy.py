"""`auditor policy`: shown in plain words, changed line by line, kept, never left unreadable."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fakes_auditors import FakeCounty

from auditor.cli import auditor
from auditor.config import AuditorFolder
from auditor.policy import parse_auditor_policy
from auditor.policy_edit import compare_policies
from auditor.trust import card_trust_fingerprint
from crypto.fingerprint import fingerprint_words
from protos.card import encode_card

Run = Callable[..., Result]


@pytest.fixture
def folder(county: FakeCounty, tmp_path: Path) -> AuditorFolder:
    made = AuditorFolder(tmp_path / "folder")
    made.root.mkdir()
    made.card.write_text(encode_card(county.card))
    made.policy.write_text("# 三位局领导 2026-09-01 定\n" + county.policy_text())
    return made


@pytest.fixture
def run(folder: AuditorFolder) -> Run:
    def call(*arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(auditor, ["policy", *arguments, "--dir", str(folder.root)], input=answer)

    return call


def test_it_is_shown_in_plain_words(run: Run) -> None:
    shown = run("show").output
    assert "a round costs a pupil at most rho 1/4, all rounds of a school year rho 1/2" in shown
    assert "allowed: 4 auditors, 3 of them open, 1 may collude, quorum 3" in shown
    assert "where 3 of these have cosigned it: a1, a2, a3, a4" in shown
    assert "never a table that uses: (nothing forbidden)" in shown
    assert json.loads(run("show", "--json").output)["max_rho"] == "1/4"


def test_a_tighter_limit_is_set_and_the_file_before_is_kept(run: Run, folder: AuditorFolder) -> None:
    before = folder.policy.read_text()
    done = run("set", "max-rho", "1/5", answer="y\n")
    assert done.exit_code == 0, done.output
    assert "    max-rho: 1/4 → 1/5" in done.output
    assert folder.policy.read_text() == before.replace("max-rho 1/4", "max-rho 1/5")
    assert (folder.old_policies / "0001.txt").read_text() == before
    assert "nothing changes" in run("set", "max-rho", "1/5").output
    assert run("set", "min-colluding-schools", "2", "--yes").exit_code == 0
    assert folder.policy.read_text().endswith("min-colluding-schools 2\n")
    assert sorted(path.name for path in folder.old_policies.iterdir()) == ["0001.txt", "0002.txt"]


def test_a_looser_limit_is_marked_and_no_means_no(run: Run, folder: AuditorFolder) -> None:
    before = folder.policy.read_text()
    declined = run("set", "min-group", "4", answer="n\n")
    assert declined.exit_code == 1
    assert "  ! min-group: 5 → 4" in declined.output
    assert "write down who decided it" in declined.output
    assert folder.policy.read_text() == before
    assert not folder.old_policies.exists()


def test_lines_are_added_and_removed(run: Run, folder: AuditorFolder) -> None:
    before = folder.policy.read_text()
    assert run("add", "forbid-field", "sex", "--yes").exit_code == 0
    assert run("add", "forbid-relation", "add-remove", "--yes").exit_code == 0
    added = json.loads(run("add", "tuple", "3", "3", "2", "3", "--yes", "--json").output)
    assert added["is_looser"] is True
    policy = parse_auditor_policy(folder.policy.read_text())
    assert (policy.forbidden_fields, policy.forbidden_relations) == (("sex",), ("add-remove",))
    assert policy.tuples == ((4, 3, 1, 3), (3, 3, 2, 3))
    for line in ("forbid-field sex", "forbid-relation add-remove", "tuple 3 3 2 3"):
        assert run("remove", *line.split(), "--yes").exit_code == 0
    assert folder.policy.read_text() == before


def test_a_name_that_nothing_has_is_marked_and_asked_about(run: Run, folder: AuditorFolder) -> None:
    before = folder.policy.read_text()
    for word, name, hint in (
        ("forbid-field", "fammily", "did you mean family?"),
        ("forbid-table", "A55", "no known plan has this name"),
    ):
        shown = run("add", word, name, answer="n\n")
        assert shown.exit_code == 1
        assert f"  ! {word} {name}: no known plan has this name" in shown.output
        assert hint in shown.output
        assert "although a name is not known?" in shown.output
    assert folder.policy.read_text() == before
    for word, name in (("forbid-field", "migrant"), ("forbid-field", "total"), ("forbid-table", "A5")):
        assert "!" not in run("add", word, name, "--yes").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "max-rho", "0.2"),
        ("set", "max-rho", "1/5", "1/6"),
        ("set", "genesis", "0" * 64),
        ("set", "tuple", "4", "3", "1", "3"),
        ("set", "log", "x"),
        ("add", "min-group", "5"),
        ("add", "witness", "x", "y"),
        ("add", "tuple", "4", "3", "1", "3"),
        ("add", "tuple", "4", "2", "1", "3"),
        ("add", "forbid-relation", "swap"),
        ("add", "forbid-field", "sex\nmax-rho 1/1"),
        ("remove", "tuple", "4", "3", "1", "3"),
        ("remove", "forbid-field", "sex"),
        ("remove", "quorum", "quorum"),
    ],
    ids=" ".join,
)
def test_what_would_spoil_the_policy_is_refused_and_nothing_written(
    run: Run, folder: AuditorFolder, arguments: tuple[str, ...]
) -> None:
    before = folder.policy.read_text()
    refused = run(*arguments, "--yes", "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.output)["error"] == "PolicyError"
    assert folder.policy.read_text() == before


def test_a_file_is_checked_against_the_one_in_force(run: Run, folder: AuditorFolder, tmp_path: Path) -> None:
    before, file = folder.policy.read_text(), tmp_path / "new.txt"
    file.write_text(before.replace("min-reports 5", "min-reports 8") + "forbid-table A3\n")
    checked = run("check", str(file))
    assert checked.exit_code == 0, checked.output
    assert "    min-reports: 5 → 8" in checked.output
    assert "    added: forbid-table A3" in checked.output
    assert folder.policy.read_text() == before
    assert run("use", str(file), "--yes").exit_code == 0
    assert folder.policy.read_text() == file.read_text()
    file.write_text("nonsense")
    assert run("check", str(file)).exit_code == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("group quorum 3", "group quorum 2"),
        lambda text: text.replace(" a1 a2 a3 a4", " a1 a2 a3"),
        lambda text: re.sub("genesis [0-9a-f]{64}", "genesis " + "0" * 64, text),
    ],
    ids=["quorum", "witness", "genesis"],
)
@pytest.mark.parametrize("command", ["check", "use"])
def test_a_file_that_pins_other_keys_is_refused(
    run: Run, folder: AuditorFolder, tmp_path: Path, command: str, change: Callable[[str], str]
) -> None:
    before, file = folder.policy.read_text(), tmp_path / "new.txt"
    file.write_text(change(before))
    assert file.read_text() != before
    refused = run(command, str(file), *(["--yes"] if command == "use" else []), "--json")
    assert json.loads(refused.output)["error"] == "policy-pins"
    assert folder.policy.read_text() == before


@pytest.mark.parametrize(
    ("old", "new", "is_looser"),
    [
        ("max-rho 1/4", "max-rho 1/3", True),
        ("max-rho 1/4", "max-rho 1/5", False),
        ("max-rho-year 1/2", "max-rho-year 1/1", True),
        ("min-reports 5", "min-reports 4", True),
        ("min-reports 5", "min-reports 6", False),
        ("min-group 5", "min-group 0", True),
        ("tuple 4 3 1 3", "tuple 4 3 1 3\ntuple 3 3 2 3", True),
        ("min-group 5", "min-group 5\nforbid-field sex", False),
        ("min-group 5", "min-group 5\nmin-colluding-schools 0", True),
    ],
)
def test_what_loosens_is_told_apart(county: FakeCounty, old: str, new: str, is_looser: bool) -> None:
    text = county.policy_text()
    policies = parse_auditor_policy(text), parse_auditor_policy(text.replace(old, new))
    assert [row.is_looser for row in compare_policies(*policies)] == [is_looser]
    assert [row.is_looser for row in compare_policies(*reversed(policies))] == [not is_looser]


def alone(*arguments: str | Path) -> Result:
    """Run as an inspector does: nobody's auditor, no folder."""
    return CliRunner().invoke(auditor, ["policy", *map(str, arguments), "--dir", "nowhere"])


def test_what_a_keeper_reads_out_is_what_an_inspector_sees(folder: AuditorFolder, county: FakeCounty) -> None:
    told = card_trust_fingerprint(county.card)
    words = " ".join(fingerprint_words(told, "en"))
    shown = alone("show", folder.policy)
    assert told in shown.output
    assert county.card.genesis.hex() in shown.output
    assert "  ".join(fingerprint_words(told, "en")[:4]) in shown.output
    for given in (told, words, " ".join(fingerprint_words(told, "zh"))):
        assert alone("check", folder.policy, "--fingerprint", given).exit_code == 0
    assert alone("check", folder.policy, "--card", folder.card).exit_code == 0
    assert json.loads(alone("show", folder.policy, "--card", folder.card, "--json").output)["card"]


def test_a_tighter_policy_pins_the_same(folder: AuditorFolder) -> None:
    before = json.loads(alone("show", folder.policy, "--json").output)["fingerprint"]
    folder.policy.write_text(folder.policy.read_text() + "forbid-table A3\n")
    assert json.loads(alone("show", folder.policy, "--json").output)["fingerprint"] == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda text: text.replace("group quorum 3", "group quorum 2"), "quorum"),
        (lambda text: text.replace(" a1 a2 a3 a4", " a1 a2 a3"), "quorum"),
        (lambda text: re.sub("witness a4 .*\n", "", text).replace(" a1 a2 a3 a4", " a1 a2 a3"), "witnesses"),
        (lambda text: re.sub("genesis [0-9a-f]{64}", "genesis " + "0" * 64, text), "genesis"),
    ],
    ids=["quorum", "a witness that does not count", "a witness less", "genesis"],
)
def test_another_countys_policy_is_refused_without_a_folder(
    folder: AuditorFolder, county: FakeCounty, change: Callable[[str], str], named: str
) -> None:
    before = folder.policy.read_text()
    folder.policy.write_text(change(before))
    assert folder.policy.read_text() != before
    told = card_trust_fingerprint(county.card)
    for words in (("--fingerprint", told), ("--card", folder.card)):
        refused = alone("check", folder.policy, *words, "--json")
        assert (refused.exit_code, json.loads(refused.output)["error"]) == (1, "other-trust")
    assert f"differ in: {named}" in alone("show", folder.policy, "--card", folder.card).output


def test_a_policy_compared_with_nothing_is_not_called_good(folder: AuditorFolder) -> None:
    checked = alone("check", folder.policy)
    assert checked.exit_code == 2
    assert "compared with nothing" in checked.output
    assert "a good policy" not in checked.output
    assert json.loads(alone("check", folder.policy, "--json").output)["is_compared"] is False


def test_a_word_that_was_misheard_is_told(folder: AuditorFolder) -> None:
    assert alone("check", folder.policy, "--fingerprint", "one two three").exit_code == 1
    assert "you were told 0000-" in alone("check", folder.policy, "--fingerprint", "0" * 32).output


def test_verify_names_no_command_that_nobody_can_type(tmp_path: Path) -> None:
    refused = CliRunner().invoke(auditor, ["verify", str(tmp_path / "nope")], prog_name="auditor")
    assert refused.exit_code == 2
    assert "auditor verify [OPTIONS] BUNDLE" in refused.output
    assert "check-bundle" not in refused.output
