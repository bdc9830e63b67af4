"""The bundle that a demo leaves: it verifies by its policy, and any other bundle or byte does not."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakes_county
import pytest
from click.testing import CliRunner
from demo_commands import Finished, run_command
from fakes_county import CountySimulator

from auditor.bundle_write import write_bundle
from auditor.cli import auditor
from auditor.policy import AuditorPolicy, parse_auditor_policy
from auditor.verify.bundle_files import BundleFiles, check_manifest
from auditor.verify.outcome import CheckFailed, Outcome, Verdict
from auditor.verify.run import verify_bundle
from crypto.checkpoint import parse_checkpoint
from crypto.merkle import leaf_hash
from crypto.note import parse_note
from crypto.tiles import changed_tiles, entries_path, parse_entries
from fedscreen.demo.federation import FEDERATION
from protos.bundle import NAME, encode_manifest, manifest_of
from protos.errors import ManifestError
from protos.ledger import RoundState

pytestmark = pytest.mark.process

EVERY = 6  # of files spoilt one by one that are verified whole; `tests/bundle_zoo` spoils every kind
NEEDS_POLICY = {"policy", "checkpoint", "genesis", "rosters", "receipts", "rho", "account"}


@pytest.fixture(scope="module")
def policy(finished: Finished) -> AuditorPolicy:
    """The policy that the demo wrote."""
    return parse_auditor_policy((finished.out / "policy.txt").read_text("utf-8"))


@pytest.fixture(scope="module")
def shared(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the bundle; who changes it puts it back."""
    folder = tmp_path_factory.mktemp("shared") / "bundle"
    shutil.copytree(finished.out / "bundle", folder)
    return folder


@pytest.fixture
def bundle(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the bundle to be spoilt."""
    shutil.copytree(finished.out / "bundle", tmp_path / "bundle")
    return tmp_path / "bundle"


def failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if check.outcome is Outcome.FAIL}


def skipped(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.checks if check.outcome is Outcome.SKIPPED}


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def rewrite_manifest(folder: Path) -> None:
    """List whatever is there now, as a forger would."""
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in files_of(folder) if p.name != NAME}
    (folder / NAME).write_bytes(encode_manifest(manifest_of("auditor", files)))


# --- as it is -------------------------------------------------------------------------------------


def test_the_command_says_pass_with_the_policy_and_no_more_than_incomplete_without(
    finished: Finished,
) -> None:
    bundle, policy_file = finished.out / "bundle", finished.out / "policy.txt"
    good = run_command("auditor", "verify", bundle, "--policy", policy_file, "--json")
    assert good.returncode == 0, good.stderr
    values = json.loads(good.stdout)
    assert (values["verify"], values["exit_code"]) == ("PASS", 0)
    assert {check["outcome"] for check in values["checks"]} == {"PASS"}
    assert [check["number"] for check in values["checks"]] == list(range(1, len(values["checks"]) + 1))
    unpinned = run_command("auditor", "verify", bundle, "--json")
    assert unpinned.returncode == 2
    values = json.loads(unpinned.stdout)
    assert (values["verify"], values["exit_code"]) == ("INCOMPLETE", 2)
    assert {check["name"] for check in values["checks"] if check["outcome"] == "SKIPPED"} == NEEDS_POLICY


def test_its_own_checkpoint_is_a_head_that_it_extends(finished: Finished, policy: AuditorPolicy) -> None:
    head = (finished.out / "log/checkpoint").read_bytes()
    kept = (finished.out / "bundle/log/checkpoint").read_bytes()
    assert verify_bundle(finished.out / "bundle", policy, kept).exit_code == 0
    if parse_checkpoint(parse_note(head).text) == parse_checkpoint(parse_note(kept).text):
        assert verify_bundle(finished.out / "bundle", policy, head).exit_code == 0


def test_every_school_of_the_demo_is_in_it(finished: Finished) -> None:
    files = [path.relative_to(finished.out / "bundle").parts for path in files_of(finished.out / "bundle")]
    schools = sorted(path.name for path in (finished.out / "schools").iterdir())
    for place, ending in (("receipts", ".0.tlog-proof"), ("reports", ".0.y")):
        names = sorted(parts[-1] for parts in files if parts[0] == place)
        assert names == [school + ending for school in schools]


# --- a changed, missing, added byte or file -------------------------------------------------------


def test_a_changed_byte_in_the_middle_of_any_file_is_named(shared: Path, policy: AuditorPolicy) -> None:
    paths = files_of(shared)
    assert len(paths) > 35
    for number, path in enumerate(paths[::EVERY]):
        good = path.read_bytes()
        path.write_bytes(changed(good, len(good) // 2, 1 << (number % 8)))
        verdict = verify_bundle(shared, policy)
        path.write_bytes(good)
        assert verdict.exit_code == 1, path
        assert "manifest" in failed(verdict), path
    assert verify_bundle(shared, policy).exit_code == 0


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_changed_byte_at_either_end_of_any_file_is_named(
    shared: Path, policy: AuditorPolicy, mask: int
) -> None:
    """By the first check alone, whose failure is exit code 1 (and for the MANIFEST itself by all)."""
    for path in files_of(shared):
        good = path.read_bytes()
        for position in (0, len(good) - 1):
            path.write_bytes(changed(good, position, mask))
            with pytest.raises((CheckFailed, ManifestError)):
                check_manifest(BundleFiles(shared))
            if path.name == NAME and position:
                assert verify_bundle(shared, policy).exit_code == 1
            path.write_bytes(good)
    assert verify_bundle(shared, policy).exit_code == 0


def changed(good: bytes, position: int, mask: int) -> bytes:
    bad = bytearray(good)
    bad[position] ^= mask
    return bytes(bad)


SPOILT = [
    ("log/checkpoint", {"checkpoint"}),
    ("log/tile/0/000.p/*", {"tree"}),
    ("log/tile/entries/000.p/*", {"tree"}),
    ("log/blob/*", {"bodies"}),
    ("receipts/*/*", {"receipts"}),
    ("reports/*/*.y", {"vectors", "arithmetic"}),
    ("sums/*/*.sum", {"sums", "arithmetic"}),
    ("results/*/release.json", {"results"}),
    ("results/*/indicators.json", {"results"}),
    ("results/*/tables/A6.csv", {"results"}),
]


@pytest.mark.parametrize(("pattern", "names"), SPOILT, ids=[pattern for pattern, _names in SPOILT])
def test_a_changed_byte_with_a_fitting_manifest_is_named_too(
    bundle: Path, policy: AuditorPolicy, pattern: str, names: set[str]
) -> None:
    path = sorted(bundle.glob(pattern))[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    rewrite_manifest(bundle)
    verdict = verify_bundle(bundle, policy)
    assert verdict.exit_code == 1
    assert names <= failed(verdict)
    assert "manifest" not in failed(verdict)


@pytest.mark.parametrize("pattern", ["MANIFEST", "sums/*/*.sum"])
def test_the_command_names_what_a_changed_byte_breaks(finished: Finished, bundle: Path, pattern: str) -> None:
    path = next(iter(sorted(bundle.glob(pattern))))
    data = bytearray(path.read_bytes())
    data[-2] ^= 4
    path.write_bytes(bytes(data))
    done = run_command("auditor", "verify", bundle, "--policy", finished.out / "policy.txt")
    assert done.returncode == 1
    assert " 1 FAIL    list of files: " in done.stdout
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_never_a_pass(shared: Path, policy: AuditorPolicy) -> None:
    for path in files_of(shared)[EVERY // 2 :: EVERY]:
        good = path.read_bytes()
        path.unlink()
        verdict = verify_bundle(shared, policy)
        path.write_bytes(good)
        assert verdict.exit_code == 2, path
        assert skipped(verdict), path
    assert verify_bundle(shared, policy).exit_code == 0


@pytest.mark.parametrize(
    "name",
    ["note.txt", "log/tile/1/000", "log/blob/" + "0" * 64, "results/x/release.json", "reports/s99.0.y"],
)
def test_an_added_file_is_named(bundle: Path, policy: AuditorPolicy, name: str) -> None:
    path = bundle / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"added")
    verdict = verify_bundle(bundle, policy)
    assert verdict.exit_code == 1
    assert "manifest" in failed(verdict)
    assert name in next(check.detail for check in verdict.checks if check.name == "manifest")
    rewrite_manifest(bundle)  # and where the forger lists it
    assert verify_bundle(bundle, policy).exit_code == 1


def test_two_schools_vectors_changed_for_each_other_are_named(bundle: Path, policy: AuditorPolicy) -> None:
    first, second = sorted(bundle.glob("reports/*/*.y"))[:2]
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    rewrite_manifest(bundle)
    verdict = verify_bundle(bundle, policy)  # although their sum is the same
    assert verdict.exit_code == 1
    assert "vectors" in failed(verdict)


# --- a log cut short ------------------------------------------------------------------------------


def cut_log(folder: Path, size: int) -> None:
    """Leave only the first entries, with the tiles that they have."""
    tile = next(iter(sorted(folder.glob("log/tile/entries/*/*"))))
    entries = parse_entries(tile.read_bytes(), int(tile.name))[:size]
    shutil.rmtree(folder / "log/tile")
    for path, data in changed_tiles([leaf_hash(entry) for entry in entries], entries, 0, size):
        (folder / "log" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "log" / path).write_bytes(data)
    assert (folder / "log" / entries_path(0, size)).is_file()


def test_a_log_that_ends_too_early_is_named(bundle: Path, policy: AuditorPolicy) -> None:
    size = parse_checkpoint(parse_note((bundle / "log/checkpoint").read_bytes()).text).size
    cut_log(bundle, size - 1)
    rewrite_manifest(bundle)
    verdict = verify_bundle(bundle, policy)
    assert verdict.exit_code != 0
    tile = bundle / "log" / entries_path(0, size)  # the place where the checkpoint says that it is
    tile.parent.mkdir(parents=True, exist_ok=True)
    (bundle / "log" / entries_path(0, size - 1)).rename(tile)
    rewrite_manifest(bundle)
    verdict = verify_bundle(bundle, policy)
    assert verdict.exit_code == 1
    assert "tree" in failed(verdict)


def test_a_cut_file_of_the_log_is_named(bundle: Path, policy: AuditorPolicy) -> None:
    for pattern in ("log/tile/entries/*/*", "log/tile/0/*/*", "log/checkpoint"):
        path = next(iter(sorted(bundle.glob(pattern))))
        good = path.read_bytes()
        for size in (0, 1, len(good) // 2, len(good) - 1):
            path.write_bytes(good[:size])
            verdict = verify_bundle(bundle, policy)
            assert verdict.exit_code == 1, (path, size)
            assert failed(verdict) & {"tree", "checkpoint"}, (path, size)
        path.write_bytes(good)
    assert verify_bundle(bundle, policy).exit_code == 0


def test_an_empty_folder_is_incomplete(tmp_path: Path, policy: AuditorPolicy) -> None:
    verdict = verify_bundle(tmp_path, policy)
    assert verdict.exit_code == 2
    assert Outcome.PASS not in {check.outcome for check in verdict.checks if check.name != "policy"}


# --- another federation ---------------------------------------------------------------------------


class Forged:
    """A county with other keys that says it is the demo's: everything about it is in order but the keys."""

    def __init__(self, root: Path) -> None:
        county = CountySimulator(root / "county", schools=5)
        round_id = county.start_round()
        for node_id in county.node_ids:
            county.release(node_id, round_id)
        assert county.work(county.is_state(round_id, RoundState.RELEASED))
        county.work()
        desk = county.auditors["a1"]
        desk.step()
        self.bundle = root / "bundle"
        write_bundle(desk.context, self.bundle)
        self.policy = parse_auditor_policy(county.policy_text)
        self.policy_file = root / "policy.txt"
        self.policy_file.write_text(county.policy_text, "utf-8")
        county.close()


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forged]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fakes_county, "FEDERATION", FEDERATION)
        yield Forged(tmp_path_factory.mktemp("forged"))


def test_a_bundle_forged_whole_under_other_keys_is_named(
    forged: Forged, finished: Finished, policy: AuditorPolicy
) -> None:
    assert verify_bundle(forged.bundle, forged.policy).exit_code == 0  # nothing else is wrong with it
    assert forged.policy.log.name == policy.log.name
    verdict = verify_bundle(forged.bundle, policy)
    assert verdict.exit_code == 1
    assert {"checkpoint", "genesis", "entries"} <= failed(verdict)
    assert verify_bundle(forged.bundle, None).exit_code == 2
    done = run_command("auditor", "verify", forged.bundle, "--policy", finished.out / "policy.txt")
    assert done.returncode == 1
    assert "checkpoint" in done.stdout


def test_the_policy_of_another_federation_is_no_policy_for_it(forged: Forged, finished: Finished) -> None:
    verdict = verify_bundle(finished.out / "bundle", forged.policy)
    assert verdict.exit_code == 1
    assert {"checkpoint", "genesis", "entries"} <= failed(verdict)


def test_a_log_of_other_keys_under_the_demos_results_is_named(
    forged: Forged, bundle: Path, policy: AuditorPolicy
) -> None:
    shutil.rmtree(bundle / "log")
    shutil.copytree(forged.bundle / "log", bundle / "log")
    rewrite_manifest(bundle)
    verdict = verify_bundle(bundle, policy)
    assert verdict.exit_code == 1
    assert {"checkpoint", "genesis", "entries"} <= failed(verdict)


@pytest.mark.parametrize(
    ("line", "check"),
    [
        (("max-rho", "1/6"), "rho"),
        (("max-rho-year", "1/6"), "account"),
        (("genesis", "0" * 64), "genesis"),
    ],
    ids=["max-rho", "max-rho-year", "genesis"],
)
def test_a_policy_with_one_other_line_fails_that_check(
    finished: Finished, line: tuple[str, str], check: str
) -> None:
    text = (finished.out / "policy.txt").read_text("utf-8")
    lines = [" ".join(line) if row.split(" ")[0] == line[0] else row for row in text.splitlines()]
    verdict = verify_bundle(finished.out / "bundle", parse_auditor_policy("\n".join(lines) + "\n"))
    assert verdict.exit_code == 1
    assert check in failed(verdict)


@pytest.mark.parametrize(
    "text", ["", "quorum none\n", "log x\n", "\x00"], ids=["empty", "none", "bad-key", "nul"]
)
def test_a_policy_that_is_none_is_refused(finished: Finished, tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.txt"
    path.write_text(text)
    done = run_in_process("verify", finished.out / "bundle", "--policy", path, "--json")
    assert done[0] == 1
    assert done[1].keys() == {"error", "message"}


def test_a_policy_file_that_is_not_there_is_wrong_usage(finished: Finished, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        auditor, ["verify", str(finished.out / "bundle"), "--policy", str(tmp_path / "none")]
    )
    assert done.exit_code == 2


def run_in_process(*arguments: object) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(auditor, [str(argument) for argument in arguments])
    return done.exit_code, dict(json.loads(done.stdout))


def test_the_demos_policy_is_pinned_to_its_genesis(finished: Finished, policy: AuditorPolicy) -> None:
    tile = next(iter(sorted((finished.out / "bundle").glob("log/tile/entries/*/*"))))
    text = parse_note(parse_entries(tile.read_bytes(), int(tile.name))[0]).text
    assert hashlib.sha256(text.encode()).digest() == policy.genesis
