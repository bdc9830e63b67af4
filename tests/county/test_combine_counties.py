"""A prefecture adds two counties' releases: what each log and policy prove, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import fakes_county
import pytest
from click.testing import CliRunner
from county_sums import finish
from fakes_county import CountySimulator

from coordinator.cli import coordinator as command
from coordinator.combine_counties import County, combine_counties
from coordinator.errors import FileError, FsckError, NotReleasedError, WithdrawnError

Stage = tuple[CountySimulator, bytes]


@pytest.fixture(scope="module")
def other(county_root: Path) -> Iterator[CountySimulator]:
    """A second county with a released round, under its own name."""
    patch = pytest.MonkeyPatch()
    patch.setattr(fakes_county, "FEDERATION", "county-2")
    made = CountySimulator(county_root / "other-county", schools=5)
    round_id = made.start_round()
    for node_id in made.node_ids:
        made.release(node_id, round_id)
    finish(made, round_id)
    made.work()
    patch.undo()
    yield made
    made.close()


def evidence(county: CountySimulator, folder: Path) -> County:
    county.coordinator.export_log(folder)
    return County(folder, county.policy_text.encode())


def test_totals_are_the_sums_of_what_the_logs_say(
    released: Stage, other: CountySimulator, tmp_path: Path
) -> None:
    first, second = evidence(released[0], tmp_path / "one"), evidence(other, tmp_path / "two")
    files = combine_counties([first, second], "tiny")
    assert files == combine_counties([first, second], "tiny", "2026-2027")
    combined = json.loads(files["combined.json"])
    assert [row["federation"] for row in combined["counties"]] == ["county-1", "county-2"]
    assert (combined["schools"], combined["reports_in"]) == (11, 11)
    released[0].coordinator.export_results(released[1], tmp_path / "a")
    (round_two,) = other.coordinator.round_ids()
    other.coordinator.export_results(round_two, tmp_path / "b")
    single = [json.loads((tmp_path / name / "release.json").read_text("utf-8")) for name in "ab"]
    for table, *parts in zip(combined["tables"], *(row["estimates"] for row in single), strict=True):
        for cell, *cells in zip(table["cells"], *(row["cells"] for row in parts), strict=True):
            assert cell["estimate"] == pytest.approx(sum(row["estimate"] for row in cells))
            assert cell["se"] == pytest.approx(sum(row["se"] ** 2 for row in cells) ** 0.5)


def test_a_county_twice_or_alone_is_no_total(released: Stage, tmp_path: Path) -> None:
    one = evidence(released[0], tmp_path / "one")
    for counties in ([one], [one, one]):
        with pytest.raises(FileError):
            combine_counties(counties, "tiny")


def test_a_withdrawn_release_or_none_is_in_no_total(
    released: Stage, other: CountySimulator, tmp_path: Path
) -> None:
    county, round_id = released
    second = evidence(other, tmp_path / "two")
    with pytest.raises(NotReleasedError):
        combine_counties([second, evidence(county, tmp_path / "one")], "another-plan")
    county.coordinator.rounds.correct(round_id, "withdrawn", "school-miscounted")
    county.work()
    with pytest.raises(WithdrawnError):
        combine_counties([second, evidence(county, tmp_path / "later")], "tiny")


@pytest.mark.parametrize("change", ["entry", "checkpoint", "policy", "genesis", "missing"])
def test_what_a_policy_does_not_prove_is_refused(
    released: Stage, other: CountySimulator, tmp_path: Path, change: str
) -> None:
    first, second = evidence(released[0], tmp_path / "one"), evidence(other, tmp_path / "two")
    changes: dict[str, Callable[[], County]] = {
        "entry": lambda: spoilt(first, "tile/entries/000.p/*"),
        "checkpoint": lambda: spoilt(first, "checkpoint"),
        "policy": lambda: County(first.folder, second.policy),
        "genesis": lambda: County(first.folder, without(first.policy, b"genesis ")),
        "missing": lambda: missing(first),
    }
    with pytest.raises((FsckError, FileError)):
        combine_counties([changes[change](), second], "tiny")


def spoilt(county: County, pattern: str) -> County:
    for path in county.folder.glob(pattern):
        data = path.read_bytes()
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    return county


def without(policy: bytes, word: bytes) -> bytes:
    return b"\n".join(line for line in policy.split(b"\n") if not line.startswith(word))


def missing(county: County) -> County:
    shutil.rmtree(county.folder / "blob")
    return county


def test_the_command_writes_nothing_unless_every_county_passes(
    released: Stage, other: CountySimulator, tmp_path: Path
) -> None:
    first, second = evidence(released[0], tmp_path / "one"), evidence(other, tmp_path / "two")
    policies = []
    for name, county in (("p1", first), ("p2", second)):
        (tmp_path / name).write_bytes(county.policy)
        policies += ["--policy", str(tmp_path / name)]
    arguments = ["results", "combine", str(first.folder), str(second.folder), "--plan", "tiny"]
    arguments += ["--out", str(tmp_path / "out"), "--json"]
    wrong = CliRunner().invoke(command, [*arguments, *policies[2:], *policies[:2]])
    assert (wrong.exit_code, json.loads(wrong.output)["error"]) == (1, "file")
    assert not (tmp_path / "out").exists()
    found = CliRunner().invoke(command, [*arguments, *policies])
    assert found.exit_code == 0, found.output
    assert (tmp_path / "out" / "combined.json").is_file()
    assert CliRunner().invoke(command, [*arguments, *policies[:2]]).exit_code == 2
