"""The project's own wheel: built twice in two places it is the same; what belongs in is in."""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
sys.path.insert(0, str(TOOLS))

import build_wheel  # noqa: E402
import wheelhouse  # noqa: E402

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="built from git")


@pytest.fixture(scope="module")
def commit() -> str:
    return build_wheel.resolve("HEAD")


@pytest.fixture(scope="module")
def wheel(commit: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel.build(commit, tmp_path_factory.mktemp("first"))


def test_two_builds_in_two_places_give_the_same_bytes(
    commit: str, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")  # the commit's time is taken, whatever this says
    again = build_wheel.build(commit, tmp_path / "a" / "deeper" / "place")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_times_inside_are_the_commits(commit: str, wheel: Path) -> None:
    expected = time.gmtime(build_wheel.commit_time(commit))[:6]
    with zipfile.ZipFile(wheel) as found:
        times = {row.date_time for row in found.infolist()}
    assert times == {(*expected[:5], expected[5] // 2 * 2)}


def test_rooms_catalogue_and_examples_are_in_and_nothing_else_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as found:
        names = set(found.namelist())
    assert "fedscreen/locale/zh_CN/LC_MESSAGES/fedscreen.mo" in names
    assert "node/vault/worker.py" in names
    assert {"pages/templates/skeleton.html", "pages/static/pages.css", "auditor/page/static/app.css"} <= names
    tops = {name.split("/")[0] for name in names}
    rooms = {
        "node",
        "coordinator",
        "auditor",
        "pages",
        "paper",
        "results",
        "plan",
        "privacy",
        "crypto",
        "protos",
        "fedscreen",
    }
    assert {top for top in tops if not top.endswith(".dist-info")} == rooms


def test_sums_of_a_wheelhouse_are_checked_by_sha256sum(tmp_path: Path) -> None:
    for name in ("a.whl", "b.whl"):
        (tmp_path / name).write_bytes(name.encode())
    digest = wheelhouse.write_sums(tmp_path)
    assert wheelhouse.write_sums(tmp_path) == digest  # its own file is not counted
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "a.whl").write_bytes(b"other")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_a_wheel_that_does_not_exist_for_a_machine_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_wheel(_lock: str, target: object, _folder: Path) -> list[Path]:
        if "aarch64" in repr(target):
            raise subprocess.CalledProcessError(1, "pip")
        return []

    monkeypatch.setattr(wheelhouse, "fetch", no_wheel)
    targets = [wheelhouse.linux("3.12", machine) for machine in wheelhouse.MACHINES]
    assert wheelhouse.fill("", targets, tmp_path) == ["Python 3.12 on aarch64: not every wheel exists"]
