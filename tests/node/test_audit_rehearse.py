"""`audit rehearse`: passes on an honest node, opens what the auditor expects, and can meet no real node."""

from __future__ import annotations

import inspect
import json
import tempfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from fakes_federation import fake_bytes

from node import audit_county, audit_material, audit_rehearse, audit_scratch, cli_audit
from node.audit_canaries import canary_files, canary_plan, codebook_toml, make_canaries
from node.audit_checks import AuditError
from node.audit_material import read_material
from node.audit_rehearse import spread_bounds
from node.cli import node as node_group
from plan.codes import school_year_of

TODAY = datetime.now(UTC)
ALL = (
    *("wall", "fresh", "import", "counts", "expected", "header", "size", "opened"),
    *("noise", "spread", "again", "replay"),
)
process = pytest.mark.process


def plan_toml(**changes: str) -> bytes:
    """A small plan as an auditor would write it: its window is long past."""
    year = int(school_year_of(TODAY.date())[:4])
    text = f"""
format = "fedscreen/plan/v1"
id = "trial"
title = "rehearsal"
purpose = "rehearsal"
recipients = ["nobody"]
legal_basis = "rehearsal"
consent = "record-only"
wave = "A"
school_year = "{year}-{year + 1}"
census_date = {TODAY.date().isoformat()}
grades = ["7", "8"]
systems = ["6-3"]
rho = "1/5"
[window]
opens = {year}-09-01T00:00:00Z
closes = {TODAY.date().isoformat()}T23:59:59Z
[trust]
auditors = 4
threshold = 3
collude = 1
quorum = 3
min_reports = "auto"
colluding_schools = 1
min_group = 5
[[instruments]]
id = "trial"
total = [0, 120]
factors = [{", ".join(f'["f{place}", "f{place}"]' for place in range(1, 9))}]
[[tables]]
id = "A1"
title = "A1"
dims = ["grade", "disposition"]
[[tables]]
id = "A2"
title = "A2"
dims = ["grade", "sex", "level"]
where = {{ disposition = [1, 2] }}
"""
    for old, new in changes.items():
        text = text.replace(old, new)
    return text.encode()


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as an auditor brings it, without tables of his own."""
    folder = tmp_path_factory.mktemp("material")
    count = iter(range(10**6))
    canaries = make_canaries(lambda size: fake_bytes(f"pupil {next(count)}", size), 30)
    files = canary_files(canaries, TODAY)
    for part, data in files.items():
        suffix = ".toml" if part in ("profile", "codebook") else ".csv"
        (folder / f"{part}{suffix}").write_bytes(data)
    (folder / "plan.toml").write_bytes(plan_toml())
    return folder


@pytest.fixture
def copied(material: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for path in material.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def play(*arguments: object) -> tuple[int, dict[str, Any]]:
    """Give the command; its exit code and JSON."""
    command = ["audit", "rehearse", *map(str, arguments), "--json"]
    found = CliRunner().invoke(node_group, command, catch_exceptions=False)
    return found.exit_code, json.loads(found.stdout)


def results(values: dict[str, Any]) -> dict[str, str]:
    assert [check["name"] for check in values["checks"]] == list(ALL)
    assert [check["number"] for check in values["checks"]] == list(range(1, len(ALL) + 1))
    return {check["name"]: check["result"] for check in values["checks"]}


def failing(values: dict[str, Any]) -> list[str]:
    return [name for name, result in results(values).items() if result == "FAIL"]


# ---------------------------------------------------------------- an honest node


@process
def test_a_rehearsal_passes_and_shows_what_it_opened(copied: Path, tmp_path: Path) -> None:
    code, values = play(copied)
    assert (code, values["outcome"], values["confinement"]) == (0, "PASS", "L3")
    assert {name for name, result in results(values).items() if result != "PASS"} == {"expected"}
    expected = {table["id"]: table["expected"] for table in values["tables"]}
    assert [sum(counts) for counts in expected.values()] == [30, 30]
    (copied / "expected.json").write_text(json.dumps(expected))
    archive = tmp_path / "material.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in copied.iterdir():
            packed.write(path, path.name)
    out = tmp_path / "opened.json"
    code, again = play(archive, "--out", out)
    assert (code, set(results(again).values())) == (0, {"PASS"})
    assert json.loads(out.read_text()) == again["tables"]
    for table in again["tables"]:
        away = np.abs(np.array(table["opened"]) - np.array(table["expected"]))
        assert 0 < away.max() <= table["bound"]
    # Another K, another noise: what the first rehearsal opened says nothing about this one.
    assert again["master"] != values["master"]
    assert again["tables"][0]["opened"] != values["tables"][0]["opened"]


@process
def test_a_ladder_and_roster_attributes_are_rehearsed_too(copied: Path) -> None:
    """Every component of the noise is opened by itself; the school's attribute picks its cells."""
    table = '[[tables]]\nid = "K"\ntitle = "K"\ndims = ["county", "level"]\n'
    listed = '[attributes]\ncounty = [["530101", "甲县"], ["530102", "乙县"]]\n'
    plan = plan_toml(
        **{
            'min_reports = "auto"': "min_reports = 5\nladder = [6, 8]",
            "[[instruments]]": f"{listed}[[instruments]]",
        }
    )
    (copied / "plan.toml").write_bytes(plan + table.encode())
    (copied / "school.toml").write_text('[attributes]\ncounty = "530102"\n')
    assert read_material(copied, TODAY).schools == 9
    code, values = play(copied)
    assert (code, failing(values)) == (0, [])
    by_county = next(table["expected"] for table in values["tables"] if table["id"] == "K")
    half = len(by_county) // 2
    assert sum(by_county[:half]) == 0
    assert sum(by_county[half:]) == 30


@process
def test_an_auditor_who_counts_otherwise_is_told(copied: Path) -> None:
    (copied / "expected.json").write_text(json.dumps({"A1": [1] * 16, "A2": [0] * 40}))
    code, values = play(copied)
    assert (code, failing(values)) == (1, ["expected"])


# ---------------------------------------------------------------- programs that are not honest


Program = Callable[[pytest.MonkeyPatch], None]


def other_noise(scale: float) -> Program:
    """Open a report whose noise has another size."""

    def program(patch: pytest.MonkeyPatch) -> None:
        honest = audit_rehearse._noise
        patch.setattr(audit_rehearse, "_noise", lambda run: (honest(run) * scale).astype(np.int64))

    return program


def one_pupil_more(patch: pytest.MonkeyPatch) -> None:
    """Count one pupil more outside than inside."""
    honest = audit_rehearse.tabulate

    def tabulate(*arguments: Any) -> Any:
        counts = honest(*arguments)
        counts[0] += 1
        return counts

    patch.setattr(audit_rehearse, "tabulate", tabulate)


def smuggled(patch: pytest.MonkeyPatch) -> None:
    """Open a report with a value added to one low cell, as a program would that smuggles."""
    honest = audit_county.unmask

    def unmask(*arguments: Any) -> Any:
        opened = honest(*arguments)
        opened[3] += 10**6
        return opened

    patch.setattr(audit_county, "unmask", unmask)


def other_program(patch: pytest.MonkeyPatch) -> None:
    """Compare with the digest of another program."""
    patch.setattr(audit_rehearse, "software_digest", lambda: bytes(32))


def other_seed(patch: pytest.MonkeyPatch) -> None:
    """Open boxes with seeds that the header does not commit to."""
    patch.setattr(audit_county, "seed_commitment", lambda *_arguments: bytes(32))


PROGRAMS: dict[str, tuple[Program, list[str]]] = {
    "no noise": (other_noise(0), ["spread"]),
    "a tenth of the noise": (other_noise(0.1), ["spread"]),
    "ten times the noise": (other_noise(10), ["noise", "spread"]),
    "a pupil more": (one_pupil_more, ["counts"]),
    "a smuggled value": (smuggled, ["noise", "spread"]),
    "another program": (other_program, ["header"]),
    "other seeds": (other_seed, ["opened"]),
}


@process
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_wrong_fails(material: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    program, expected = PROGRAMS[name]
    program(monkeypatch)
    code, values = play(material)
    assert (code, values["outcome"]) == (1, "FAIL")
    assert failing(values) == expected


@pytest.mark.parametrize("cells", [10, 46, 180, 5000])
def test_the_range_of_the_spread_holds_and_excludes(cells: int) -> None:
    """Bounds lie around 1, close in with more cells, and no noise at all is always outside."""
    low, high = spread_bounds(cells)
    assert 0 < low < 1 < high
    generator = np.random.default_rng(7)
    ratios = (generator.normal(size=(2000, cells)) ** 2).mean(axis=1)
    assert low < ratios.min()
    assert ratios.max() < high
    wider = spread_bounds(cells // 2)
    assert wider[0] < low
    assert wider[1] > high


# ---------------------------------------------------------------- never the real node


@process
def test_a_real_node_is_never_opened_nor_asked_for(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder stands in the environment, as for every other command; the rehearsal does not look."""
    real = tmp_path / "real"
    (real / "vault").mkdir(parents=True)
    for name in ("node.toml", "database.key", "vault/vault.db"):
        (real / name).write_bytes(b"whoever opens this is refused")
    monkeypatch.setenv("FEDSCREEN_NODE_DIR", str(real))
    monkeypatch.setenv("FEDSCREEN_NODE_PASSPHRASE_FILE", str(real / "node.toml"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(real))
    opened: list[str] = []
    start = audit_scratch.open_vault

    def watched(folder: Any, config: Any, key: bytes) -> Any:
        opened.append(str(folder.root))
        return start(folder, config, key)

    monkeypatch.setattr(audit_scratch, "open_vault", watched)
    code, values = play(material)
    assert (code, results(values)["fresh"]) == (0, "PASS")
    assert len(opened) == 1
    assert Path(opened[0]).parent.name.startswith(audit_scratch.PREFIX)
    assert not Path(opened[0]).exists()
    assert Path(opened[0]).parent.parent == Path(tempfile.gettempdir())


@pytest.mark.parametrize("name", ["rehearse", "selftest"])
def test_no_option_names_a_node(name: str) -> None:
    """A trial that took a folder or a passphrase could confirm guesses about real pupils."""
    audit = cli_audit.audit
    assert hasattr(audit, "commands")
    names = {parameter.name for parameter in audit.commands[name].params}
    assert names <= {"file", "out", "floor", "as_json"}
    refused = CliRunner().invoke(node_group, ["audit", name, "--dir", "somewhere"])
    assert refused.exit_code == 2


def test_no_function_of_a_trial_takes_a_nodes_folder_or_key() -> None:
    """The vault of a trial lies below the trial's own new folder, under keys drawn there."""
    assert set(inspect.signature(audit_rehearse.rehearse).parameters) == {"material", "floor"}
    assert set(inspect.signature(audit_scratch.scratch_folder).parameters) == set()
    assert not {"key", "master", "folder"} & set(
        inspect.signature(audit_scratch.make_scratch_node).parameters
    )


@pytest.mark.parametrize(
    "name",
    ["vault.db", "node.toml", "database.key", "vault", "roster.db", "ledger..csv", "notes.txt", ".hidden"],
)
def test_a_nodes_folder_or_any_other_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).mkdir() if name == "vault" else (copied / name).write_bytes(b"x")
    with pytest.raises(AuditError) as caught:
        read_material(copied, TODAY)
    assert caught.value.code == "rehearsal-files"


@process
def test_a_vault_that_had_an_identity_before_fails(material: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the scratch vault were not new, its K would not be either."""
    honest = audit_rehearse._has_no_identity

    def used(vault: Any) -> bool:
        asks = {"federation": audit_county.FEDERATION, "node": audit_county.NODE}
        asks |= {"operator": audit_county.OPERATOR, "system": "6-3"}
        vault.call({"command": "init", **asks, "attributes": {}, "floors": {}})
        return honest(vault)

    monkeypatch.setattr(audit_rehearse, "_has_no_identity", used)
    assert failing(play(material)[1]) == ["fresh"]


# ---------------------------------------------------------------- what the auditor brings


@pytest.mark.parametrize(
    "name", ["plan.toml", "roster.csv", "screening.csv", "profile.toml", "codebook.toml"]
)
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(AuditError, match=name.removesuffix(".csv").removesuffix(".toml")):
        read_material(copied, TODAY)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plan.toml", b"id = 3"),
        ("plan.toml", plan_toml(**{'id = "trial"\ntotal': 'id = "other"\ntotal'})),
        ("school.toml", b"system = '7-2'"),
        ("school.toml", b"key = 'x'"),
        ("school.toml", b"attributes = 3"),
        ("school.toml", b"\xff"),
        ("expected.json", b"[1]"),
        ("expected.json", b'{"A1": ["x"]}'),
        ("expected.json", b"{"),
    ],
)
def test_malformed_material_is_refused_with_the_files_name(copied: Path, name: str, data: bytes) -> None:
    (copied / name).write_bytes(data)
    with pytest.raises(AuditError, match=name):
        read_material(copied, TODAY)


def test_a_zip_with_folders_too_much_or_damage_is_refused(copied: Path, tmp_path: Path) -> None:
    for place, (name, data) in enumerate(
        [("a/plan.toml", b"x"), ("../plan.toml", b"x"), ("roster.csv", bytes(2**26 + 1))]
    ):
        archive = tmp_path / f"{place}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(name, data)
        with pytest.raises(AuditError):
            read_material(archive, TODAY)
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(AuditError):
        read_material(tmp_path / "no.zip", TODAY)


def test_material_opens_the_window_today_and_pins_the_codebook(material: Path) -> None:
    found = read_material(material, TODAY)
    assert found.plan.opens < TODAY < found.plan.closes
    assert all(item.digest for item in found.plan.instruments)
    assert found.plan.min_reports == 5
    assert found.schools == audit_material.LEAST_SCHOOLS
    assert codebook_toml() == found.files["codebook"]
    assert canary_plan(TODAY).num_auditors == found.plan.num_auditors
