"""Verifying bundles of real desks, and writing them. What is tampered with: `tests/bundle_zoo`."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes_auditors import FakeCounty, joined_county, replace_method, run_all
from numpy.typing import NDArray

from auditor.bundle_write import write_bundle
from auditor.desk import Desk
from auditor.errors import BundleError, LinkError
from auditor.policy import parse_auditor_policy
from auditor.verify.bundle_files import BundleFiles, check_manifest
from auditor.verify.outcome import Check, CheckFailed, Outcome, Verdict
from auditor.verify.run import verify_bundle
from protos.bundle import NAME, encode_manifest, manifest_of, parse_manifest
from protos.errors import ManifestError

Numbers = NDArray[np.int64]
Released = tuple[FakeCounty, dict[str, Desk], Path]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """One released round and the auditor's bundle of it; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("released")
    return _released_bundle(folder, joined_county())


def _released_bundle(
    folder: Path, county: FakeCounty, values: Callable[[Numbers], Numbers] | None = None
) -> Released:
    desks = {name: county.desk(name, folder / name) for name in sorted(county.auditors)}
    round_id = county.publish_plan()
    for desk in desks.values():
        desk.approve(round_id)
    county.collect(round_id)
    county.fix_candidates(round_id)
    run_all(list(desks.values()), 1)
    county.close(round_id)
    run_all(list(desks.values()), 3)
    opened = county.combine(round_id, sorted(desks))
    county.release_real(round_id, None if values is None else values(opened))
    run_all(list(desks.values()), 2)
    desks["a1"].step()
    write_bundle(desks["a1"].context, folder / "bundle")
    return county, desks, folder / "bundle"


@pytest.fixture
def bundle(released: Released, tmp_path: Path) -> Path:
    """A copy to be spoilt."""
    shutil.copytree(released[2], tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def policy_text(released: Released) -> str:
    """The policy that follows from the card."""
    return released[0].policy_text()


def _verify(bundle: Path, policy_text: str | None, head: bytes | None = None) -> Verdict:
    return verify_bundle(bundle, parse_auditor_policy(policy_text) if policy_text else None, head)


def _failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.outcome is Outcome.FAIL]


def _skipped(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.outcome is Outcome.SKIPPED]


def _check(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


def _rewrite_manifest(bundle: Path, kind: str = "auditor") -> None:
    """List whatever is there now, as a forger would."""
    files = {
        path.relative_to(bundle).as_posix(): path.read_bytes()
        for path in bundle.rglob("*")
        if path.is_file() and path.name != NAME
    }
    (bundle / NAME).write_bytes(encode_manifest(manifest_of(kind, files)))


# --- good ones --------------------------------------------------------------------------------


def test_a_good_bundle_passes_every_check(released: Released, policy_text: str) -> None:
    verdict = _verify(released[2], policy_text)
    assert [check.outcome for check in verdict.checks] == [Outcome.PASS] * 27
    assert [check.number for check in verdict.checks] == list(range(1, 28))
    assert (verdict.exit_code, verdict.summary) == (0, "PASS")
    assert "fewest replicas 2" in _check(verdict, "openings").detail


def test_without_a_policy_nothing_is_proved(bundle: Path) -> None:
    verdict = _verify(bundle, None)
    assert (verdict.exit_code, verdict.summary) == (2, "INCOMPLETE")
    assert not _failed(verdict)
    assert set(_skipped(verdict)) == {
        *("policy", "checkpoint", "genesis", "rosters", "receipts", "rho", "account")
    }


def test_a_public_bundle_skips_the_arithmetic(released: Released, tmp_path: Path, policy_text: str) -> None:
    manifest = write_bundle(released[1]["a2"].context, tmp_path / "public", is_public=True)
    assert manifest.kind == "public"
    assert not [path for path in manifest.files if path.startswith(("reports/", "sums/"))]
    verdict = _verify(tmp_path / "public", policy_text)
    assert verdict.exit_code == 2
    assert _skipped(verdict) == ["vectors", "sums", "arithmetic"]


def test_every_auditor_writes_the_same_bundle(released: Released, tmp_path: Path) -> None:
    desk = released[1]["a2"]
    desk.step()
    write_bundle(desk.context, tmp_path / "other")
    assert (tmp_path / "other" / NAME).read_bytes() == (released[2] / NAME).read_bytes()


def test_the_log_must_extend_a_kept_head(released: Released, bundle: Path, policy_text: str) -> None:
    county = released[0]
    assert _verify(bundle, policy_text, county.note(3)).exit_code == 0
    other = joined_county()
    other.publish_plan(min_group=7)
    verdict = _verify(bundle, policy_text, other.note(3))
    assert _failed(verdict) == ["head"]
    assert _failed(_verify(bundle, policy_text, FakeCounty(federation="x").note(1))) == ["head"]


# --- changed bytes ----------------------------------------------------------------------------


def _all_files(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def test_a_changed_byte_anywhere_in_the_manifest_is_noticed(bundle: Path) -> None:
    path = bundle / NAME
    good = path.read_bytes()
    files = BundleFiles(bundle)
    for position in range(0, len(good), 113):
        bad = bytearray(good)
        bad[position] ^= 1
        path.write_bytes(bytes(bad))
        with pytest.raises((CheckFailed, ManifestError)):
            check_manifest(files)


# --- missing and added files ------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", ["log/blob/*", "receipts/*/*", "reports/*/*.y", "sums/*/*.sum", "results/*/release.json"]
)
@pytest.mark.parametrize("is_listed", [True, False])
def test_a_missing_file_is_incomplete(bundle: Path, policy_text: str, pattern: str, is_listed: bool) -> None:
    next(iter(sorted(bundle.glob(pattern)))).unlink()
    if not is_listed:
        _rewrite_manifest(bundle)
    verdict = _verify(bundle, policy_text)
    assert verdict.exit_code == 2
    assert not _failed(verdict)


@pytest.mark.parametrize("name", [NAME, "log/checkpoint"])
def test_without_manifest_or_checkpoint_it_is_incomplete(bundle: Path, policy_text: str, name: str) -> None:
    (bundle / name).unlink()
    assert _verify(bundle, policy_text).exit_code == 2


def test_an_empty_folder_is_incomplete(tmp_path: Path, policy_text: str) -> None:
    verdict = _verify(tmp_path, policy_text)
    assert verdict.exit_code == 2
    assert not _failed(verdict)


def test_an_unlisted_file_fails(bundle: Path, policy_text: str) -> None:
    (bundle / "extra.txt").write_text("x")
    assert _failed(_verify(bundle, policy_text)) == ["manifest"]


@pytest.mark.parametrize("name", ["\x1b[2J", "x\n25 PASS    results", "a b", "\u202e"])
def test_a_files_name_cannot_write_on_the_terminal(bundle: Path, policy_text: str, name: str) -> None:
    (bundle / "log" / name).write_text("x")
    check = _check(_verify(bundle, policy_text), "manifest")
    assert check.outcome is Outcome.FAIL
    assert check.detail.isprintable()


def test_a_link_fails(bundle: Path, policy_text: str) -> None:
    (bundle / "log" / "link").symlink_to("checkpoint")
    assert "manifest" in _failed(_verify(bundle, policy_text))


# --- lies of the coordinator ------------------------------------------------------------------


def test_a_false_sum_is_found_by_the_arithmetic(tmp_path: Path) -> None:
    def lie(opened: Numbers) -> Numbers:
        changed = opened.copy()
        changed[7] += 64
        return changed

    county, _, bundle = _released_bundle(tmp_path, joined_county(), lie)
    verdict = _verify(bundle, county.policy_text())
    assert _failed(verdict) == ["arithmetic"]


def test_a_log_that_breaks_the_rules_is_read_up_to_there(
    released: Released, bundle: Path, policy_text: str
) -> None:
    """A log key gone bad signs a tree with a body that no entry names so."""
    county = released[0]
    blob = next(iter(sorted((bundle / "log" / "blob").iterdir())))
    other = blob.read_bytes() + b" "
    blob.unlink()
    (blob.parent / hashlib.sha256(other).hexdigest()).write_bytes(other)
    _rewrite_manifest(bundle)
    verdict = _verify(bundle, policy_text)
    assert verdict.exit_code == 1
    assert _failed(verdict) == ["bodies"], "the new name belongs to nothing"
    assert county.ledger.size == 28


# --- writing ----------------------------------------------------------------------------------


def test_a_bundle_is_never_written_over(released: Released, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(released[1]["a1"].context, tmp_path)


def test_nothing_is_written_before_a_cosigned_checkpoint(county: FakeCounty, tmp_path: Path) -> None:
    desk = county.desk("a1", tmp_path / "a1")
    desk.sync()
    with pytest.raises(BundleError, match="no checkpoint"):
        write_bundle(desk.context, tmp_path / "bundle")


def test_an_auditor_that_did_not_open_writes_a_public_bundle(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes, tmp_path: Path
) -> None:
    three = [desks[name] for name in ("a1", "a2", "a3")]
    run_all(three, 3)
    county.release_real(closed_round)
    run_all(three, 2)
    desks["a4"].step()
    assert write_bundle(desks["a4"].context, tmp_path / "bundle").kind == "public"


@pytest.mark.parametrize(
    ("what", "lie"),
    [
        ("vectors", "withheld"),
        ("vectors", "changed"),
        ("vectors", "foreign"),
        ("vectors", "twice"),
        ("sums", "withheld"),
        ("sums", "changed"),
    ],
)
def test_vectors_and_sums_that_are_not_the_logged_ones_are_refused(
    released: Released, tmp_path: Path, lie: str, what: str
) -> None:
    context = released[1]["a1"].context
    link = released[0].link("a1")
    rows = list(getattr(link, f"get_{what}")(next(iter(released[0].ledger.rounds))))
    if lie == "withheld":
        rows = rows[1:]
    elif lie == "changed":
        rows[0] = (*rows[0][:-1], rows[0][-1][:-1] + b"\x00")
    elif lie == "foreign":
        rows.append((bytes(32), rows[0][-1]))
    else:
        rows.append(rows[0])
    setattr(link, f"get_{what}", lambda _round: rows)
    with pytest.raises(BundleError):
        write_bundle(replace(context, link=link), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_coordinator_that_gives_nothing_leaves_no_bundle(released: Released, tmp_path: Path) -> None:
    link = released[0].link("a1")

    def refuse(_round: bytes) -> None:
        raise LinkError("unavailable", "gone", is_temporary=True)

    replace_method(link, "get_vectors", refuse)
    with pytest.raises(LinkError):
        write_bundle(replace(released[1]["a1"].context, link=link), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_the_manifest_lists_everything(bundle: Path) -> None:
    manifest = parse_manifest((bundle / NAME).read_bytes())
    on_disk = {path.relative_to(bundle).as_posix() for path in _all_files(bundle)} - {NAME}
    assert set(manifest.files) == on_disk
    assert manifest.kind == "auditor"
