"""`verify diff`: the same log extended, or the evidence that it is not; and how `verify` is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundle_zoo import stories
from bundle_zoo.county import ZooCounty
from bundle_zoo.forge import Files, history_of
from bundle_zoo.tampering import branch
from click.testing import CliRunner, Result
from fakes_auditors import joined_county

from auditor.bundle_write import write_bundle
from auditor.cli import auditor
from auditor.config import AuditorFolder
from auditor.verify.diff import compare, read_shown
from auditor.verify.outcome import CheckSkipped, Outcome
from auditor.verify.run import verify_bundle


def _write(files: Files, folder: Path) -> Path:
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def _bundle(county: ZooCounty, folder: Path, size: int | None = None) -> Path:
    return _write(history_of(county, size).bundle("public"), folder)


def _diff(old: Path, new: Path) -> Result:
    return CliRunner().invoke(auditor, ["verify", "diff", str(old), str(new)])


def _json(old: Path, new: Path) -> dict[str, object]:
    result = CliRunner().invoke(auditor, ["verify", "diff", str(old), str(new), "--json"])
    values: dict[str, object] = json.loads(result.output)
    assert values["exit_code"] == result.exit_code
    return values


def _outcomes(values: dict[str, object]) -> list[str]:
    rows = values["checks"]
    assert isinstance(rows, list)
    assert [row["number"] for row in rows] == [1, 2, 3, 4]
    return [row["outcome"] for row in rows]


def test_a_body_of_holes_is_not_read_into_memory(tmp_path: Path) -> None:
    county = stories.corrected("table", "withdrawn", "replaced")
    old, new = _bundle(county, tmp_path / "old", 28), _bundle(county, tmp_path / "new")
    for path in (new / "log" / "blob").iterdir():
        with path.open("r+b") as file:
            file.truncate(200 * 2**20)
    found = {row.number: row for row in compare(old, new).verdict.checks}
    assert found[2].outcome is Outcome.FAIL
    assert "more than" in found[2].detail
    read = {row.name: row for row in verify_bundle(new, None, None).checks}
    assert read["bodies"].outcome is Outcome.FAIL
    assert "more than" in read["bodies"].detail


def test_bodies_that_are_not_there_are_not_said_to_be_in_their_one_form(tmp_path: Path) -> None:
    bundle = _bundle(stories.corrected("table", "withdrawn", "replaced"), tmp_path / "bundle")
    assert {row.name: row.outcome for row in verify_bundle(bundle, None, None).checks}[
        "canonical"
    ] is Outcome.PASS
    next((bundle / "log" / "blob").iterdir()).unlink()
    found = {row.name: row.outcome for row in verify_bundle(bundle, None, None).checks}
    assert (found["bodies"], found["canonical"]) == (Outcome.SKIPPED, Outcome.SKIPPED)


def test_what_is_new_is_told_in_words(tmp_path: Path) -> None:
    county = stories.corrected("table", "withdrawn", "replaced")
    old, new = _bundle(county, tmp_path / "old", 28), _bundle(county, tmp_path / "new")
    result = _diff(old, new)
    assert result.exit_code == 0, result.output
    assert "round 2: new plan" in result.output
    assert "round 2: released, 6 reports in, 0 left out" in result.output
    assert "round 1: its release is withdrawn" in result.output
    assert "round 2: 6 × report" in result.output


def test_what_is_new_is_told_to_a_program(tmp_path: Path) -> None:
    county = stories.replayed("PASS", "PASS", "FAIL")
    values = _json(_bundle(county, tmp_path / "old", 28), _bundle(county, tmp_path / "new"))
    assert values["diff"] == "PASS"
    assert "evidence" not in values
    news = values["news"]
    assert isinstance(news, list)
    assert [(row["entry"], row["statement"], row["detail"]) for row in news] == [
        (28, "replayed", "s1 PASS"),
        (29, "replayed", "s2 PASS"),
        (30, "replayed", "s3 FAIL"),
    ]


def test_rosters_and_revocations_are_told(tmp_path: Path) -> None:
    county = stories.revoked("node")
    result = _diff(_bundle(county, tmp_path / "old", 1), _bundle(county, tmp_path / "new"))
    assert result.exit_code == 0
    assert "roster 2" in result.output
    assert "revoked: node s2" in result.output


def test_the_same_log_is_nothing_new(tmp_path: Path) -> None:
    bundle = _bundle(stories.one_round(), tmp_path / "one")
    result = _diff(bundle, bundle)
    assert result.exit_code == 0
    assert "nothing is new" in result.output


@pytest.mark.parametrize("form", ["checkpoint", "log"])
def test_a_checkpoint_or_a_published_log_is_as_good_as_a_bundle(tmp_path: Path, form: str) -> None:
    county = stories.one_round()
    old = _bundle(county, tmp_path / "old", 20) / "log"
    kept = old / "checkpoint" if form == "checkpoint" else old
    values = _json(kept, _bundle(county, tmp_path / "new"))
    assert _outcomes(values) == ["PASS"] * 4


def test_an_auditors_own_folder_is_what_it_kept(tmp_path: Path) -> None:
    county = joined_county()
    desk = county.desk("a1", tmp_path / "a1")
    county.cosign_as(sorted(county.auditors), county.ledger.size)
    desk.sync()
    AuditorFolder(tmp_path / "a1").card.write_text(county.card_text)
    county.publish_plan()
    county.cosign_as(sorted(county.auditors), county.ledger.size)
    other = county.desk("a2", tmp_path / "a2")
    other.sync()
    write_bundle(other.context, tmp_path / "bundle", is_public=True)
    found = compare(tmp_path / "a1", tmp_path / "bundle")
    assert [row.outcome for row in found.verdict.checks] == [Outcome.PASS] * 4
    assert [said.TYPE for _, said in found.news] == ["plan"]


def test_a_split_view_gives_both_signed_checkpoints(tmp_path: Path) -> None:
    old = _bundle(stories.one_round(), tmp_path / "old")
    values = _json(old, _bundle(branch(min_group=6), tmp_path / "new"))
    assert _outcomes(values) == ["PASS", "PASS", "FAIL", "PASS"]
    assert values["news"] == []
    evidence = values["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["first_different_entry"] == 2
    for name in ("old", "new"):
        assert evidence[f"{name}_checkpoint"] == (tmp_path / name / "log" / "checkpoint").read_text("utf-8")
    shown = _diff(old, tmp_path / "new").output
    assert "the first entry that differs: 2" in shown
    assert "PASS    what was kept: size" in shown
    assert "ANOTHER HISTORY" in shown
    assert str(evidence["new_checkpoint"]).strip() in shown


@pytest.mark.parametrize(
    ("size", "words"), [(20, "rolled back"), (None, "another history, and shorter")], ids=["older", "fork"]
)
def test_a_shorter_log_fails(tmp_path: Path, size: int | None, words: str) -> None:
    old = _bundle(stories.attempts(), tmp_path / "old")
    county = stories.attempts() if size else branch(min_group=6)
    result = _diff(old, _bundle(county, tmp_path / "new", size))
    assert result.exit_code == 1
    assert words in result.output


def test_a_shorter_log_than_a_kept_checkpoint_fails(tmp_path: Path) -> None:
    county = stories.one_round()
    kept = _bundle(county, tmp_path / "old") / "log" / "checkpoint"
    result = _diff(kept, _bundle(county, tmp_path / "new", 20))
    assert result.exit_code == 1
    assert "smaller than what was kept" in result.output


def test_a_log_that_breaks_the_rules_fails_although_it_extends(tmp_path: Path) -> None:
    county = stories.one_round()
    history = history_of(county)
    history.is_changed = True
    history.copy_row(history.find("release"), len(history.rows))
    values = _json(
        _bundle(county, tmp_path / "old", 20), _write(history.settle().bundle("public"), tmp_path / "new")
    )
    assert _outcomes(values) == ["PASS", "PASS", "PASS", "FAIL"]


def test_too_few_cosignatures_of_the_new_head_fail(tmp_path: Path) -> None:
    county = stories.one_round()
    history = history_of(county, None, ("a1", "a2"))
    new = _write(history.bundle("public"), tmp_path / "new")
    assert _outcomes(_json(_bundle(county, tmp_path / "old", 20), new)) == ["PASS", "PASS", "PASS", "FAIL"]


def test_another_federation_fails(tmp_path: Path) -> None:
    old = _bundle(stories.one_round(), tmp_path / "old")
    values = _json(old, _bundle(stories.production(), tmp_path / "new"))
    assert _outcomes(values)[2] == "FAIL"


def test_a_changed_entry_of_what_was_kept_fails(tmp_path: Path) -> None:
    county = stories.one_round()
    old = _bundle(county, tmp_path / "old", 20)
    path = old / "log" / "tile" / "entries" / "000.p" / "20"
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b"A\n")
    assert _outcomes(_json(old, _bundle(county, tmp_path / "new"))) == ["FAIL", "PASS", "SKIPPED", "PASS"]


def test_what_is_not_there_is_incomplete(tmp_path: Path) -> None:
    county = stories.one_round()
    old = _bundle(county, tmp_path / "old", 20)
    assert _diff(tmp_path, old).exit_code == 2
    assert _diff(old, old / "log" / "checkpoint").exit_code == 2
    assert _diff(old, tmp_path / "nowhere").exit_code == 2
    with pytest.raises(CheckSkipped):
        read_shown(tmp_path)


def test_a_file_that_is_no_checkpoint_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"\xff" * 10)
    new = _bundle(stories.one_round(), tmp_path / "new")
    assert _outcomes(_json(tmp_path / "junk", new))[0] == "FAIL"
    (tmp_path / "junk").write_bytes(bytes(2 << 20))
    assert "too large" in _diff(tmp_path / "junk", new).output


@pytest.mark.parametrize("name", ["bundle", "check-bundle", "evidence"])
def test_a_bundle_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    county = stories.one_round()
    _write(history_of(county).bundle(), tmp_path / name)
    (tmp_path / "policy").write_text(county.policy_text())
    result = CliRunner().invoke(auditor, ["verify", name, "--policy", "policy", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["verify"] == "PASS"
    assert CliRunner().invoke(auditor, ["verify", "--policy", "policy", name]).exit_code == 0


def test_a_bundle_in_a_folder_called_diff_is_given_with_a_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(history_of(stories.one_round()).bundle(), tmp_path / "diff")
    assert CliRunner().invoke(auditor, ["verify", "./diff"]).exit_code == 2  # no policy
    assert "OLD NEW" in CliRunner().invoke(auditor, ["verify", "diff"]).output


def test_the_help_names_both_ways() -> None:
    shown = CliRunner().invoke(auditor, ["verify", "--help"]).output
    assert "BUNDLE | diff OLD NEW" in shown
    assert "--policy" in shown
