"""An installation is compared with its release: what was changed, added, left out, or put in Python's way."""

from __future__ import annotations

import hashlib
import json
import os
import py_compile
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from auditor import cli_install, install_check
from auditor.cli import auditor
from auditor.install_check import ReleaseError, parse_release, verify

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import release_digests  # noqa: E402

Tamper = Callable[[Path], object]
OWN = {
    "node/vault/worker.py": b"WORK = 1\n",
    "crypto/field64.py": b"def add(a, b):\n    return a + b\n",
    "crypto/__init__.py": b"",
    "fedscreen-0.1.0.dist-info/METADATA": b"Name: fedscreen\n",
    "fedscreen-0.1.0.dist-info/RECORD": b"",
}
LIBRARY = {
    "thing/__init__.py": b"A = 1\n",
    "thing-2.0.dist-info/METADATA": b"Name: thing\n",
    "thing-2.0.data/purelib/top_thing.py": b"B = 1\n",
    "thing-2.0.data/scripts/run": b"#!python\n",
}


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for place, data in files.items():
            archive.writestr(place, data)
    return path


@pytest.fixture
def release(tmp_path: Path) -> bytes:
    """Give the digests of a small release with one library in two versions."""
    own = wheel(tmp_path, "fedscreen-0.1.0-py3-none-any.whl", OWN)
    new = wheel(tmp_path, "thing-2.0-py3-none-any.whl", LIBRARY)
    other = {"thing/__init__.py": b"A = 2\n", "thing-2.0.dist-info/METADATA": b"Name: thing\n"}
    linux = wheel(tmp_path, "thing-2.0-cp311-abi3-linux.whl", other)
    release_digests.write_release(own, [new, linux], tmp_path / "release.json", "abc")
    return (tmp_path / "release.json").read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give an honest installation, compiled."""
    root = tmp_path / "site-packages"
    found = {**OWN, **LIBRARY}
    found["top_thing.py"] = found.pop("thing-2.0.data/purelib/top_thing.py")
    found.pop("thing-2.0.data/scripts/run")
    for name, data in found.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "fedscreen-0.1.0.dist-info" / "INSTALLER").write_bytes(b"pip\n")
    for name in ("crypto/field64.py", "thing/__init__.py", "top_thing.py"):
        py_compile.compile(str(root / name), doraise=True)
        py_compile.compile(str(root / name), doraise=True, optimize=1)
    return root


def wrong(root: Path, release: bytes) -> dict[str, list[str]]:
    values = verify(root, release, None)
    return {row["name"]: row["wrong"] for row in values["checks"] if row["result"] != "PASS"}


def test_an_honest_installation_passes(place: Path, release: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [sysconfig.get_path("stdlib"), str(place), "/usr/lib/python311.zip"])
    values = verify(place, release, {"PATH": "/bin"})
    assert values["outcome"] == "PASS", values
    assert [row["name"] for row in values["checks"]] == list(install_check.CHECKS)
    assert all(row["looked_at"] for row in values["checks"] if row["name"] != "startup")
    assert values["libraries"].keys() == {"thing"}
    assert values["release_sha256"] == hashlib.sha256(release).hexdigest()


def put(name: str, data: bytes = b"X = 1\n") -> Tamper:
    def tamper(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)

    return tamper


def compiled(source: str, code: bytes, flags: int = 0) -> Tamper:
    """Put a compiled file that does something else beside an honest source."""

    def tamper(root: Path) -> None:
        other = root.parent / "other.py"
        other.write_bytes(code)
        made = Path(py_compile.compile(str(other), doraise=True) or "").read_bytes()
        name = f"{Path(source).stem}.{sys.implementation.cache_tag}.pyc"
        target = root / Path(source).parent / "__pycache__" / name
        target.write_bytes(made[:4] + flags.to_bytes(4, "little") + made[8:])

    return tamper


CACHED = f"crypto/__pycache__/field64.{sys.implementation.cache_tag}.pyc"
TAMPERED: dict[str, tuple[Tamper, dict[str, list[str]]]] = {
    "a changed file": (
        put("node/vault/worker.py", b"WORK = 2\n"),
        {"files": ["node/vault/worker.py"]},
    ),
    "a changed library": (put("top_thing.py"), {"files": ["top_thing.py"], "cached": []}),
    "a missing file": (
        lambda root: (root / "node/vault/worker.py").unlink(),
        {"missing": ["node/vault/worker.py"]},
    ),
    "a module more in a room": (put("node/vault/extra.py"), {"added": ["node/vault/extra.py"]}),
    "a library of nobody": (put("stranger/__init__.py"), {"libraries": ["stranger/"]}),
    "a .pth file": (put("a.pth", b"import os\n"), {"startup": ["a.pth"]}),
    "sitecustomize": (put("sitecustomize.py"), {"startup": ["sitecustomize.py"]}),
    "usercustomize as a folder": (put("usercustomize/__init__.py"), {"libraries": ["usercustomize/"]}),
    "a module that hides the standard library's": (put("hashlib.py"), {"startup": ["hashlib.py"]}),
    "an extension at the top": (put("numpy.cpython-311-x86_64-linux-gnu.so"), {"startup": None}),
    "a compiled file of other code": (compiled("crypto/field64.py", b"X = 9\n"), {"cached": [CACHED]}),
    "one that Python would not even compare": (
        compiled("crypto/field64.py", b"X = 9\n", 1),
        {"cached": [CACHED]},
    ),
    "a compiled file without a source": (
        put("crypto/__pycache__/ghost.cpython-311.pyc"),
        {"cached": ["crypto/__pycache__/ghost.cpython-311.pyc"]},
    ),
    "a compiled file that is none": (put(CACHED, b"\0" * 40), {"cached": None}),
    "something else in __pycache__": (
        put("crypto/__pycache__/run.py"),
        {"cached": ["crypto/__pycache__/run.py"]},
    ),
    "a compiled module beside its source": (put("crypto/field64.pyc"), {"added": ["crypto/field64.pyc"]}),
    "a link": (
        lambda root: (root / "crypto" / "more.py").symlink_to(root / "top_thing.py"),
        {"links": ["crypto/more.py"]},
    ),
    "a room that is a link": (
        lambda root: [
            (root / "node").rename(root.parent / "n"),
            (root / "node").symlink_to(root.parent / "n"),
        ],
        {"links": ["node"]},
    ),
    "an editable installation": (
        put("fedscreen-0.1.0.dist-info/direct_url.json", b'{"dir_info":{"editable":true},"url":"file:///x"}'),
        {"links": ["fedscreen-0.1.0.dist-info/direct_url.json"]},
    ),
    "another wheel of the library": (
        put("thing/__init__.py", b"A = 2\n"),
        {"added": None},
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_is_found(place: Path, release: bytes, name: str) -> None:
    tamper, expected = TAMPERED[name]
    tamper(place)
    found = wrong(place, release)
    if name == "another wheel of the library":
        assert found
        return
    assert set(found) == set(expected) | ({"cached"} if "cached" in found and "files" in expected else set())
    for check, paths in expected.items():
        assert paths is None or not paths or found[check] == paths


def test_a_folder_that_cannot_be_read_is_not_passed(
    place: Path, release: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "hidden").mkdir()
    (place / "hidden" / "__init__.py").write_bytes(b"X = 1\n")
    listed = os.scandir

    def scandir(path: str) -> object:  # whoever runs the tests may be root, who reads everything
        if os.fspath(path).endswith("hidden"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    values = verify(place, release, None)
    assert values["outcome"] == "INCOMPLETE"
    assert [row["name"] for row in values["checks"] if row["result"] != "PASS"] == ["added"]


def test_a_files_name_cannot_write_on_the_terminal(place: Path, release: bytes) -> None:
    (place / "crypto" / "\x1b[2Jevil.py").write_bytes(b"X = 1\n")
    Path(os.fsdecode(os.fsencode(place) + b"/crypto/\xff.py")).write_bytes(b"X = 1\n")
    (found,) = [row["wrong"] for row in verify(place, release, None)["checks"] if row["name"] == "added"]
    assert len(found) == 2
    assert all(name.isascii() and name.isprintable() for name in found)


def test_another_pythons_compiled_files_are_not_passed(place: Path, release: bytes) -> None:
    target = place / "crypto" / "__pycache__" / "field64.cpython-399.pyc"
    target.write_bytes(b"\x01\x02\r\n" + bytes(40))
    values = verify(place, release, None)
    (row,) = [row for row in values["checks"] if row["name"] == "cached"]
    assert (row["result"], values["outcome"]) == ("SKIPPED", "INCOMPLETE")


def test_what_changes_from_where_modules_are_loaded(
    place: Path, release: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(place), str(place.parent)])
    values = verify(place, release, dict.fromkeys(install_check.VARIABLES, "/tmp/x"))
    (row,) = [row for row in values["checks"] if row["name"] == "environment"]
    assert set(row["wrong"]) == {*install_check.VARIABLES, str(place.parent)}
    (place.parent / "pyvenv.cfg").write_text("home = /usr\ninclude-system-site-packages = true\n")
    assert wrong(place, release)["links"] == ["pyvenv.cfg"]


def test_a_release_without_libraries_is_not_passed(place: Path, tmp_path: Path) -> None:
    own = tmp_path / "fedscreen-0.1.0-py3-none-any.whl"
    wheel(tmp_path, own.name, OWN)
    release_digests.write_release(own, (), tmp_path / "own.json")
    values = verify(place, (tmp_path / "own.json").read_bytes(), None)
    (row,) = [row for row in values["checks"] if row["name"] == "libraries"]
    assert row["result"] == "SKIPPED"
    assert values["outcome"] != "PASS"


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b'{"format":"x"}', b"\xff", b"[" * 100_000],
)
def test_files_of_digests_that_are_none(data: bytes) -> None:
    with pytest.raises(ReleaseError):
        parse_release(data)


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a\\b", "c:x", "a/./b"])
def test_paths_that_lead_elsewhere(release: bytes, path: str) -> None:
    values = json.loads(release)
    values["files"][path] = "0" * 64
    with pytest.raises(ReleaseError):
        parse_release(json.dumps(values).encode())


def test_it_runs_alone_and_as_a_command(place: Path, release: bytes, tmp_path: Path) -> None:
    """From the kit: one file, no library; isolated, so that nothing of this project can be imported."""
    alone = tmp_path / "install_check.py"
    alone.write_bytes(Path(install_check.__file__).read_bytes())
    arguments = ["--release", str(tmp_path / "release.json"), "--site-packages", str(place)]
    command = [sys.executable, "-I", str(alone), *arguments, "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, env={**os.environ})
    values: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, values["outcome"]) == (0, "PASS")
    shown = subprocess.run(
        [sys.executable, "-s", str(alone), *arguments[:3], place.name],
        cwd=place.parent,
        capture_output=True,
        check=False,
        env={"PYTHONIOENCODING": "ascii"},
    ).stdout.decode()
    assert "every file is the release's" in shown
    assert str(place.resolve()) in shown
    assert install_check.WORDS.keys() == set(install_check.CHECKS)
    assert {name: english for name, (english, _zh) in install_check.WORDS.items()} == cli_install.CHECKS
    (place / "evil.pth").write_bytes(b"import os\n")
    found = CliRunner().invoke(auditor, ["install", "verify", *arguments])
    assert found.exit_code == 1
    assert "evil.pth" in found.output
    broken = CliRunner().invoke(auditor, ["install", "verify", "--release", str(alone), "--json"])
    assert (broken.exit_code, json.loads(broken.stdout)["error"]) == (1, "release")


def test_a_single_program_beside_the_release_is_compared(place: Path, release: bytes, tmp_path: Path) -> None:
    program = tmp_path / "verify_standalone.py"
    program.write_bytes(b"print(1)\n")
    own = tmp_path / "fedscreen-0.1.0-py3-none-any.whl"
    library = tmp_path / "thing-2.0-py3-none-any.whl"
    release_digests.write_release(own, [library], tmp_path / "release.json")
    arguments = ["--release", str(tmp_path / "release.json"), "--site-packages", str(place)]

    def ask() -> Result:
        return CliRunner().invoke(auditor, ["install", "verify", *arguments])

    assert ask().exit_code == 0
    assert "verify_standalone.py beside it is the release's" in ask().output
    program.write_bytes(b"print(2)\n")
    assert ask().exit_code == 1
    assert "verify_standalone.py beside it is NOT the release's" in ask().output
    program.unlink()
    assert ask().exit_code == 0
    assert hashlib.sha256(b"print(1)\n").hexdigest() in ask().output
    assert "programs" not in json.loads(release) or json.loads(release)["programs"] == {}


def test_the_digest_stands_first_and_pip_has_a_word_of_its_own(place: Path, release: bytes) -> None:
    path = place.parent / "release.json"
    path.write_bytes(release)
    arguments = ["install", "verify", "--release", str(path), "--site-packages", str(place)]
    first, *rest = CliRunner().invoke(auditor, arguments).output.splitlines()
    assert hashlib.sha256(release).hexdigest() in first
    assert "pip uninstall" not in "".join(rest)
    (place / "pip").mkdir()
    (place / "pip" / "__init__.py").write_bytes(b"")
    found = CliRunner().invoke(auditor, arguments)
    assert found.exit_code == 1
    assert "'pip uninstall -y setuptools pip'" in found.output


def test_the_second_verifier_and_the_auditors_libraries_are_in_a_release(tmp_path: Path) -> None:
    release_digests.copy_programs(tmp_path)
    own = wheel(tmp_path, "fedscreen-0.1.0-py3-none-any.whl", OWN)
    release_digests.write_release(own, (), tmp_path / "release.json")
    found = parse_release((tmp_path / "release.json").read_bytes()).programs
    script = (ROOT / "tools" / "verify_standalone.py").read_bytes()
    assert found == {"verify_standalone.py": hashlib.sha256(script).hexdigest()}
    locks = release_digests.lock_text()
    assert all(f"\n{name}==" in locks for name in ("typst", "python-docx", "lxml", "segno", "sqlcipher3"))


def test_the_program_digest_is_the_vaults() -> None:
    """What a release says of itself is what its vault writes into reports."""
    from node.vault.worker import _SOFTWARE_ROOMS, software_digest

    assert release_digests.SOFTWARE_ROOMS == _SOFTWARE_ROOMS
    files = {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for room in _SOFTWARE_ROOMS
        for path in (ROOT / room).rglob("*.py")
    }
    assert release_digests.software_of(files) == software_digest().hex()
