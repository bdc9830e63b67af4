"""Compare an installed copy of this program with a release, file by file: pip itself never does.

Runs as `fedscreen auditor install verify`, and alone (it is in the kit of a visit, and needs nothing but
Python 3.11):

    python3 install_check.py --release release.json --site-packages DIR

DIR is the folder that holds the rooms `node/`, `crypto/` …: of this Python, of a disk that is mounted read
only, or of a copy on a stick; `lib` in the folder for Windows. Only reading it from OUTSIDE means something
where the machine is in somebody else's hands: a program that runs there can be made to lie, this one too.

| check | looks at |
| --- | --- |
| 1 `release` | the file of digests is well formed; its SHA-256 is printed, to be compared by another way |
| 2 `files` | every file of the release, ours and the locked libraries', by SHA-256 |
| 3 `missing` | no file of the release is missing |
| 4 `added` | no file more in a folder of the release: rooms, libraries, their dist-info |
| 5 `libraries` | every other folder there belongs to a library of the release; pip and setuptools do not |
| 6 `startup` | no `.pth`, sitecustomize or usercustomize, no module at the top that belongs to nothing |
| 7 `cached` | every .pyc in a __pycache__ is what its source gives |
| 8 `links` | no symbolic link, no editable install, no venv that takes the system's packages too |
| 9 `environment` | no PYTHONPATH, LD_PRELOAD …; sys.path has no other place (only on the running machine) |

Not looked at: Python itself and the system's libraries, other programs, what is loaded in memory, scripts in
bin/ or Scripts/. What pip writes (INSTALLER, RECORD, REQUESTED, direct_url.json) is in no wheel; its text is
not compared, but for links to folders. Where 7 is SKIPPED, the files are another Python's: delete the
__pycache__ folders, Python makes them anew. Programs that a release has as single files are compared where
they lie beside the file of digests; another file of that name fails it all.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import marshal
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = "fedscreen/release/v1"
CHECKS = (
    *("release", "files", "missing", "added", "libraries", "startup", "cached", "links"),
    "environment",
)
WORDS = {
    "release": ("the file of digests is well formed", "摘要文件格式正确"),
    "files": ("every file is the release's", "每个文件都与发布版一致"),
    "missing": ("no file of the release is missing", "没有缺少发布版的文件"),
    "added": ("no file was added in its folders", "发布版的文件夹里没有多出文件"),
    "libraries": ("every other folder is a library of the release", "其他文件夹都是发布版的程序库"),
    "startup": ("nothing that Python reads or finds at its start", "没有 Python 启动时会读取的多余文件"),
    "cached": ("compiled files are what their sources give", "编译文件与源文件相符"),
    "links": ("no link, no editable installation", "没有链接，没有可编辑安装"),
    "environment": ("no variable that makes Python load something else", "没有让 Python 载入别处内容的变量"),
}
"""What each check says, in English and Chinese: alone there is no catalogue, and both stand beside it."""
OUTCOME_WORDS = {
    "PASS": "全部相同 / all the same",
    "FAIL": "有不同之处 / something differs",
    "INCOMPLETE": "有未查之处 / something was not looked at",
}
PASS, FAIL, SKIPPED = "PASS", "FAIL", "SKIPPED"
BY_PIP = frozenset({"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"})
INSTALLERS = frozenset({"pip", "setuptools", "_distutils_hack", "pkg_resources", "distutils-precedence.pth"})
CACHE = "__pycache__"
PYC_HEADER_BYTES = 16
VARIABLES = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONPLATLIBDIR"),
    *("PYTHONPYCACHEPREFIX", "PYTHONINSPECT", "PYTHONBREAKPOINT", "LD_PRELOAD", "LD_LIBRARY_PATH"),
    *("LD_AUDIT", "DYLD_INSERT_LIBRARIES"),
)
STARTUP = re.compile(r"(.*\.pth|(site|user)customize(\.py|\.pyc|\..*\.(so|pyd))?)\Z", re.IGNORECASE)
MODULE = re.compile(r".*\.(py|pyc|pyd|so|zip|egg|egg-link)\Z", re.IGNORECASE)
MOST_SHOWN = 50


class ReleaseError(Exception):
    """The file of digests is none."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a release's file of digests says.

    Attributes:
        version: of the release; `commit` it was built from.
        software: digest that a vault of this release puts into its reports.
        own: path → SHA-256 in hex, of the project's own files.
        libraries: for each library, wheels that may be installed: wheel's SHA-256 → path → SHA-256.
        programs: name → SHA-256 of single files that stand beside the file of digests.
    """

    version: str
    commit: str
    software: str
    own: Mapping[str, str]
    libraries: Mapping[str, Mapping[str, Mapping[str, str]]]
    programs: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Finding:
    """One numbered check: its result, how many things it looked at, and what is wrong (paths)."""

    number: int
    name: str
    result: str = PASS
    looked_at: int = 0
    wrong: list[str] = field(default_factory=list)
    note: str = ""

    def add(self, what: str) -> None:
        """Note something wrong; a file's name may hold anything that a terminal obeys."""
        self.result = FAIL
        self.wrong.append(what if what.isprintable() else ascii(what))

    def skip(self, note: str) -> None:
        """Note that this was not looked at, or not all of it."""
        self.note = note
        if self.result == PASS:
            self.result = SKIPPED

    def values(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "number": self.number,
            "name": self.name,
            "result": self.result,
            "looked_at": self.looked_at,
            "note": self.note,
            "wrong": sorted(self.wrong)[:MOST_SHOWN],
            "num_wrong": len(self.wrong),
        }


# ---------------------------------------------------------------- the release's digests


def parse_release(data: bytes) -> Release:
    """Read a release's file of digests.

    Raises:
        ReleaseError: it is none.
    """
    try:
        values = json.loads(data)
        if values["format"] != FORMAT:
            raise ReleaseError(f"expected a file of the format {FORMAT}")
        own = _files(values["files"])
        libraries = {
            str(name): {str(wheel): _files(files) for wheel, files in wheels.items()}
            for name, wheels in values["libraries"].items()
        }
        programs = _files(values.get("programs", {}))
        texts = [str(values[name]) for name in ("version", "commit", "software")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise ReleaseError("this is no file of digests as tools/build_wheel.py writes it") from err
    if not own:
        raise ReleaseError("the file of digests names no file")
    return Release(texts[0], texts[1], texts[2], own, libraries, programs)


def _files(values: Mapping[str, str]) -> dict[str, str]:
    for path, digest in values.items():
        parts = path.split("/")
        if "\\" in path or ":" in path or not all(parts) or {".", ".."} & set(parts):
            raise ReleaseError(f"{path[:80]}: no plain relative path")
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ReleaseError(f"{path[:80]}: no SHA-256")
    return dict(values)


# ---------------------------------------------------------------- what lies on the disk


class Installation:
    """A folder of installed packages, read without importing anything from it.

    Args:
        root: the folder.
        release: what should lie in it.

    Attributes:
        findings: the checks, by name.
        expected: path → SHA-256 of what should be there.
        installed: library → SHA-256 of the wheel that agrees best with what is there.
    """

    def __init__(self, root: Path, release: Release) -> None:
        self.root, self.release = root, release
        self.findings = {name: Finding(number, name) for number, name in enumerate(CHECKS, 1)}
        self.expected: dict[str, str] = dict(release.own)
        self.installed: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._found: list[str] = []
        for name, wheels in release.libraries.items():
            self._take_library(name, wheels)
        self._tops = {path.split("/")[0] for path in self.expected}

    def check(self, environ: Mapping[str, str] | None) -> list[Finding]:
        """Make every check.

        Args:
            environ: of the running machine; None where the folder is read from outside, and then there is
                no check `environment`.
        """
        self.findings["release"].looked_at = len(self.expected)
        self._check_files()
        self._found = list(self._walk())
        self._check_added()
        self._check_cached()
        self._check_direct_urls()
        self._check_venv()
        if environ is None:
            del self.findings["environment"]
        else:
            self._check_environment(environ)
        if not self.release.libraries:
            self.findings["libraries"].skip("the release names no libraries")
        return list(self.findings.values())

    # -- what should be there

    def _take_library(self, name: str, wheels: Mapping[str, Mapping[str, str]]) -> None:
        """Expect that one of a library's wheels which agrees best with what is there; nothing if none is."""
        best = max(wheels.items(), key=lambda row: self._num_equal(row[1]))
        if any((self.root / path).exists() for path in best[1]):
            self.installed[name] = best[0]
            self.expected |= best[1]

    def _num_equal(self, files: Mapping[str, str]) -> int:
        """Count the files of a wheel that are there as they are in it."""
        return sum(self._hash(path) == digest for path, digest in files.items())

    def _hash(self, path: str) -> str:
        """Give a file's SHA-256 in hex, empty where there is no file."""
        if path not in self._hashes:
            found = self.root / path
            is_plain = found.is_file() and not found.is_symlink()
            self._hashes[path] = hashlib.sha256(found.read_bytes()).hexdigest() if is_plain else ""
        return self._hashes[path]

    def _check_files(self) -> None:
        files, missing = self.findings["files"], self.findings["missing"]
        for path, digest in self.expected.items():
            missing.looked_at += 1
            found = self._hash(path)
            if not found:
                missing.add(path)
                continue
            files.looked_at += 1
            if found != digest:
                files.add(path)
        self.findings["libraries"].looked_at = len(self.installed)

    # -- what is there besides

    def _walk(self) -> Iterator[str]:
        """Give every file below, relative, with `/`; a link is told and not followed."""
        links = self.findings["links"]
        for folder, names, files in os.walk(self.root, onerror=self._unread):
            base = Path(folder)
            for name in (*names, *files):
                path = (base / name).relative_to(self.root).as_posix()
                if (base / name).is_symlink():
                    links.add(path)
                elif name in files:
                    links.looked_at += 1
                    yield path
            names[:] = [name for name in names if not (base / name).is_symlink()]

    def _unread(self, _err: OSError) -> None:
        """A folder that may not be listed: what lies in it was not looked at, so nothing is passed."""
        self.findings["added"].skip("a folder cannot be read; read the disk as a user who may")

    def _check_added(self) -> None:
        strangers = set()
        for path in self._found:
            top, slash, _rest = path.partition("/")
            name = path.rpartition("/")[2]
            if path in self.expected or CACHE in path.split("/"):
                continue
            if not slash:
                self._check_top(path)
            elif top not in self._tops:
                strangers.add(f"{top}/")
            elif not (top.endswith(".dist-info") and name in BY_PIP):
                self.findings["added"].add(path)
        self.findings["added"].looked_at = len(self._found)
        for top in strangers if self.release.libraries else ():
            self.findings["libraries"].add(top)

    def _check_top(self, path: str) -> None:
        """A file beside the packages: one that Python reads when it starts, or that can be imported."""
        self.findings["startup"].looked_at += 1
        if STARTUP.match(path) or MODULE.match(path):
            self.findings["startup"].add(path)

    def _check_cached(self) -> None:
        cached = self.findings["cached"]
        for path in self._found:
            if CACHE not in path.split("/"):
                continue
            cached.looked_at += 1
            answer = self._compare(path)
            if answer is None:
                cached.skip("compiled by another version of Python; delete the __pycache__ folders")
            elif not answer:
                cached.add(path)

    def _compare(self, path: str) -> bool | None:
        """Tell whether a compiled file is what its source gives; None where this Python cannot say."""
        match = re.fullmatch(r"(?:(.*)/)?__pycache__/([^/]+?)\.([a-z]+-\d+)(?:\.opt-([12]))?\.pyc", path)
        if match is None:
            return False
        source = "/".join(filter(None, (match[1], f"{match[2]}.py")))
        data = (self.root / path).read_bytes()
        if source not in self.expected or not self._hash(source):
            return self._is_of_no_release(source)
        if data[:4] != importlib.util.MAGIC_NUMBER:
            return None
        return _is_compiled_from(data, (self.root / source).read_bytes(), int(match[4] or 0))

    def _is_of_no_release(self, source: str) -> bool:
        """Excuse what lies in a stranger's folder: that is told as a whole."""
        return source.split("/")[0] not in self._tops and "/" in source

    def _check_direct_urls(self) -> None:
        for path in self._found:
            if path.endswith(".dist-info/direct_url.json"):
                data = (self.root / path).read_bytes()
                if b'"editable"' in data or b'"dir_info"' in data:
                    self.findings["links"].add(path)

    def _check_environment(self, environ: Mapping[str, str]) -> None:
        found = self.findings["environment"]
        places = strange_places(self.root)
        found.looked_at = len(VARIABLES) + len(sys.path)
        for name in (*(name for name in VARIABLES if environ.get(name)), *places):
            found.add(name)

    def _check_venv(self) -> None:
        """A virtual environment that also takes what the system has installed."""
        for folder in list(self.root.parents)[:4]:
            try:
                text = (folder / "pyvenv.cfg").read_text("utf-8", "replace")
            except OSError:
                continue
            if re.search(r"^include-system-site-packages\s*=\s*true", text, re.MULTILINE | re.IGNORECASE):
                self.findings["links"].add("pyvenv.cfg")
            return


def strange_places(root: Path) -> list[str]:
    """Give the places that this Python imports from which are not its own, not `root`, not this file's."""
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    own |= {str(Path(name) / "lib-dynload") for name in own}
    fine = {Path(name).resolve() for name in own if name} | {root.resolve(), Path(__file__).resolve().parent}
    is_program = Path(sys.argv[0] or ".").resolve().parent
    found = [Path(name or ".").resolve() for name in sys.path]
    zipped = re.compile(r"python3\d+\.zip")
    return sorted({str(p) for p in found if p not in fine | {is_program} and not zipped.fullmatch(p.name)})


def _is_compiled_from(data: bytes, source: bytes, optimize: int) -> bool:
    """Compile a source and compare; the file's name inside does not count."""
    try:
        code: Any = marshal.loads(data[PYC_HEADER_BYTES:])  # noqa: S302  (nothing of it is run)
        return bool(code == compile(source, "source", "exec", dont_inherit=True, optimize=optimize))
    except (ValueError, EOFError, TypeError, SyntaxError):
        return False


# ---------------------------------------------------------------- one answer


def outcome_of(findings: list[Finding]) -> str:
    """Sum up: FAIL if a check failed, PASS if all passed, else INCOMPLETE."""
    results = {finding.result for finding in findings}
    if FAIL in results:
        return FAIL
    return PASS if results == {PASS} else "INCOMPLETE"


def compare_programs(release: Release, beside: Path | None) -> list[dict[str, str]]:
    """Compare the single files of a release that lie in a folder; SKIPPED is one that does not."""
    rows = []
    for name, digest in sorted(release.programs.items()):
        path = None if beside is None else beside / name
        data = path.read_bytes() if path is not None and path.is_file() else None
        is_same = data is not None and hashlib.sha256(data).hexdigest() == digest
        result = SKIPPED if data is None else PASS if is_same else FAIL
        rows.append({"name": name, "sha256": digest, "result": result})
    return rows


def verify(
    root: Path, data: bytes, environ: Mapping[str, str] | None, beside: Path | None = None
) -> dict[str, Any]:
    """Compare a folder with a release's file of digests.

    Args:
        root: the folder of installed packages.
        data: the file of digests.
        environ: of the running machine; None where the folder is read from outside.
        beside: folder of the file of digests, where the release's single files may lie.

    Returns:
        JSON values: outcome, release, digest of the file of digests, the libraries found, checks.

    Raises:
        ReleaseError: the file of digests is none, or the folder is no folder.
    """
    release = parse_release(data)
    if not root.is_dir():
        raise ReleaseError(f"{root}: no folder; give the one that holds node/, crypto/ …")
    installation = Installation(root, release)
    findings = installation.check(environ)
    programs = compare_programs(release, beside)
    is_other = any(row["result"] == FAIL for row in programs)
    return {
        "outcome": FAIL if is_other else outcome_of(findings),
        "site_packages": str(root.resolve()),
        "release": {"version": release.version, "commit": release.commit, "software": release.software},
        "release_sha256": hashlib.sha256(data).hexdigest(),
        "libraries": installation.installed,
        "programs": programs,
        "has_installer": any(INSTALLERS & {path.rstrip("/") for path in row.wrong} for row in findings),
        "checks": [finding.values() for finding in findings],
    }


def own_site_packages() -> Path:
    """Give the folder of packages that this very module was loaded from; else Python's."""
    here = Path(__file__).resolve().parent
    return here.parent if here.name == "auditor" else Path(sysconfig.get_path("purelib"))


EXIT_CODES = {PASS: 0, FAIL: 1, "INCOMPLETE": 2}


def main(arguments: list[str] | None = None) -> int:
    """Run as a program of its own; exit code 0 PASS, 1 FAIL, 2 incomplete or wrong usage."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--site-packages", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without Chinese still shows the English
    environ = os.environ if options.site_packages is None else None
    place = options.site_packages or own_site_packages()
    try:
        values = verify(place, options.release.read_bytes(), environ, options.release.parent)
    except (ReleaseError, OSError) as err:
        print(err, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(values))
    else:
        print_values(values, print)
    return EXIT_CODES[values["outcome"]]


def print_values(values: Mapping[str, Any], line: Callable[[str], None]) -> None:
    """Print the answer of `verify` in both languages; the digest first, as the rest hangs on it."""
    line(f"发布版 / release {values['release']['version']}; SHA-256 {values['release_sha256']}")
    line("先另行核对上面的 SHA-256 / first compare this SHA-256 by another way")
    for row in values["checks"]:
        note = f"  ({row['note']})" if row["note"] else ""
        english, chinese = WORDS[row["name"]]
        line(f"{row['number']:2d}  {row['result']:7s} {chinese} / {english}: {row['looked_at']}{note}")
        for path in row["wrong"]:
            line(f"      {path}")
        if row["num_wrong"] > len(row["wrong"]):
            line(f"      … {row['num_wrong']} in all")
    for row in values["programs"]:
        line(f"    {row['result']:7s} {row['name']}  {row['sha256']}")
    if values["has_installer"]:
        line(
            "请卸载 pip 和 setuptools 后再查 / "
            "pip and setuptools belong to no release: uninstall them, then ask again"
        )
    line(f"{values['outcome']} {OUTCOME_WORDS[values['outcome']]}: {values['site_packages']}")


if __name__ == "__main__":
    sys.exit(main())
