"""The folder for Windows: what goes in, what is refused, same bytes again; with a small Python and wheels."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
STATIC = ROOT / "deploy" / "windows"
sys.path.insert(0, str(TOOLS))

import lock_wheels  # noqa: E402
import pe_imports  # noqa: E402
import windows_bundle  # noqa: E402
from windows_bundle import BundleError, make  # noqa: E402

TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def library(*names: str, delayed: tuple[str, ...] = ()) -> bytes:
    """The smallest 64-bit PE file that imports these DLLs."""
    head = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0"
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 112 + 16 * 8, 0)
    start, rva = 512, 0x1000
    entries = [(20, 12, names), (32, 4, delayed)]
    sizes = [size * (len(found) + 1) for size, _at, found in entries]
    text, places = b"", []
    at_text = rva + sum(sizes)
    for _size, _at, found in entries:
        places.append(
            [
                at_text + len(text) + len(b"".join(n.encode() + b"\0" for n in found[:i]))
                for i in range(len(found))
            ]
        )
        text += b"".join(name.encode() + b"\0" for name in found)
    tables = b""
    for (size, at, found), where in zip(entries, places, strict=True):
        for place in where:
            row = bytearray(size)
            struct.pack_into("<I", row, at, place)
            tables += bytes(row)
        tables += bytes(size)
        assert len(found) == len(where)
    directories = [(0, 0)] * 16
    directories[1] = (rva, sizes[0])
    directories[13] = (rva + sizes[0], sizes[1])
    optional = struct.pack("<H106xI", 0x20B, 16) + b"".join(struct.pack("<II", *row) for row in directories)
    body = tables + text
    section = b".idata\0\0" + struct.pack("<IIII", len(body), rva, len(body), start) + bytes(16)
    before = head + coff + optional + section
    return before + bytes(start - len(before)) + body


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as found:
        for name, data in files.items():
            found.writestr(name, data)
    return stream.getvalue()


PYTHON = {
    "python.exe": library("kernel32.dll", "python313.dll"),
    "pythonw.exe": library("KERNEL32.dll", "python313.dll"),
    "python313.dll": library("KERNEL32.dll", "VCRUNTIME140.dll", "api-ms-win-crt-heap-l1-1-0.dll"),
    "vcruntime140.dll": library("KERNEL32.dll"),
    "python313._pth": b"python313.zip\r\n.\r\n#import site\r\n",
    "python313.zip": b"the standard library",
}
WHEELS = {
    "numpy-1.whl": {
        "numpy/__init__.py": b"",
        "numpy/core.pyd": library("python313.dll", "blas-123.dll", delayed=("vcruntime140.dll",)),
        "numpy.libs/blas-123.dll": library("KERNEL32.dll"),
        "numpy-1.data/purelib/extra.py": b"extra",
        "numpy-1.data/scripts/f2py.exe": b"left out",
        "numpy-1.dist-info/METADATA": b"Name: numpy",
    },
    "click-8.whl": {"click/__init__.py": b"click", "click-8.dist-info/METADATA": b"Name: click"},
}


class Workbench:
    """The files that a bundle is made of, each of which a test may spoil."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.python = dict(PYTHON)
        self.wheels = {name: dict(files) for name, files in WHEELS.items()}
        self.sha256 = ""

    def make(self, name: str = "out.zip") -> dict[str, bytes]:
        embed = self.root / "embed.zip"
        embed.write_bytes(archive(self.python))
        wheels = self.root / "wheels"
        wheels.mkdir(exist_ok=True)
        for wheel, files in self.wheels.items():
            (wheels / wheel).write_bytes(archive(files))
        own = self.root / "fedscreen-0.1.0-py3-none-any.whl"
        own.write_bytes(archive({"fedscreen/__main__.py": b"", "node/__init__.py": b""}))
        sha256 = self.sha256 or hashlib.sha256(embed.read_bytes()).hexdigest()
        make(embed, sha256, own, self.root / name, wheels)
        with zipfile.ZipFile(self.root / name) as found:
            return {row.filename: found.read(row) for row in found.infolist()}


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def test_everything_lies_where_it_is_looked_for(bench: Workbench) -> None:
    files = bench.make()
    top = {name.split("/")[1] for name in files}
    assert top >= {
        "node.cmd",
        "setup.cmd",
        "console.cmd",
        "READ-ME.txt",
        "请先读我.txt",
        "python",
        "lib",
        "windows",
    }
    assert files["fedscreen-windows/python/python313._pth"] == b"python313.zip\r\n.\r\n..\\lib\r\n"
    assert files["fedscreen-windows/python/fedscreen-vault.exe"] == PYTHON["python.exe"]
    assert files["fedscreen-windows/python/fedscreen-egress.exe"] == PYTHON["python.exe"]
    assert files["fedscreen-windows/lib/extra.py"] == b"extra"
    assert "fedscreen-windows/lib/node/__init__.py" in files
    assert not any("f2py" in name for name in files)


def test_the_sums_are_those_of_every_file(bench: Workbench) -> None:
    files = bench.make()
    lines = files.pop("fedscreen-windows/SHA256SUMS.txt").decode().split("\r\n")[:-1]
    listed = dict(reversed(line.split("  ", 1)) for line in lines)
    assert listed == {
        name.removeprefix("fedscreen-windows/"): hashlib.sha256(data).hexdigest()
        for name, data in files.items()
    }


def test_again_gives_the_same_bytes(bench: Workbench) -> None:
    bench.make("one.zip")
    bench.python = dict(reversed(bench.python.items()))  # another order in another zip
    bench.make("two.zip")
    assert (bench.root / "one.zip").read_bytes() == (bench.root / "two.zip").read_bytes()


def test_texts_are_as_windows_own_programs_want_them(bench: Workbench) -> None:
    files = bench.make()
    for name, data in files.items():
        if name.endswith((".cmd", ".ps1", ".txt", ".xml")) and "/lib/" not in name:
            assert b"\n" not in data.replace(b"\r\n", b""), name
        if name.endswith(".cmd"):
            assert data.isascii(), name  # cmd.exe reads the console's code page
            assert data.startswith(b"@echo off\r\n"), name
        if name.endswith(".ps1"):
            assert data.startswith(b"\xef\xbb\xbf"), name  # else PowerShell 5 reads it as GBK


def spoil_python(change: Callable[[dict[str, bytes]], object]) -> Callable[[Workbench], object]:
    return lambda bench: change(bench.python)


def spoil_wheel(name: str, data: bytes) -> Callable[[Workbench], object]:
    return lambda bench: bench.wheels["click-8.whl"].update({name: data})


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda bench: setattr(bench, "sha256", "0" * 64), "SHA-256"),
        (spoil_python(lambda files: files.pop("python.exe")), "no embeddable Python"),
        (spoil_python(lambda files: files.pop("python313._pth")), "no embeddable Python"),
        (spoil_python(lambda files: files.update({"python310._pth": files.pop("python313._pth")})), "310"),
        (spoil_python(lambda files: files.pop("vcruntime140.dll")), "needs vcruntime140.dll"),
        (lambda bench: bench.wheels["numpy-1.whl"].pop("numpy.libs/blas-123.dll"), "needs blas-123.dll"),
        (spoil_wheel("../evil.py", b""), "evil"),
        (spoil_wheel("C:/evil.py", b""), "evil"),
        (spoil_wheel("numpy/__init__.py", b"other"), "both have numpy/__init__.py"),
        (lambda bench: bench.wheels.clear(), "no wheel"),
    ],
    ids=["digest", "no exe", "no pth", "old", "no runtime", "no blas", "up", "drive", "twice", "none"],
)
def test_what_would_not_run_is_refused(
    bench: Workbench, spoil: Callable[[Workbench], object], word: str
) -> None:
    spoil(bench)
    with pytest.raises(BundleError, match=re.escape(word)):
        bench.make()
    assert not (bench.root / "out.zip").exists()


def test_imports_are_read_from_the_table() -> None:
    data = library("KERNEL32.dll", "b.dll", delayed=("Late.dll",))
    assert pe_imports.imported(data) == {"kernel32.dll", "b.dll", "late.dll"}
    assert pe_imports.imported(b"#!python") == set()
    with pytest.raises(ValueError, match="damaged"):
        pe_imports.imported(data[:300])


# ---------------------------------------------------------------- the lock for another machine

LOCK = """\
a==1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
b==2 ; sys_platform == 'win32' \\
    --hash=sha256:cc
c==3 ; python_full_version < '3.12' \\
    --hash=sha256:dd
c==4 ; python_full_version >= '3.12' \\
    --hash=sha256:ee
"""


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (lock_wheels.windows("3.11"), ["a==1", "b==2", "c==3"]),
        (lock_wheels.windows("3.13"), ["a==1", "b==2", "c==4"]),
        (lock_wheels.linux("3.11", "aarch64"), ["a==1", "c==3"]),
    ],
    ids=["windows 3.11", "windows 3.13", "linux"],
)
def test_markers_are_those_of_the_target(target: lock_wheels.Target, expected: list[str]) -> None:
    assert [str(found) for found, _hashes in lock_wheels.pins(LOCK, target)] == expected
    assert ";" not in lock_wheels.plain_lock(LOCK, target)
    assert "a==1 --hash=sha256:aa --hash=sha256:bb" in lock_wheels.plain_lock(LOCK, target)


@pytest.mark.parametrize(
    "line", ["a>=1 --hash=sha256:aa", "a==1", "a==1 --hash=md5:aa", "a --hash=sha256:aa"]
)
def test_a_line_that_pins_nothing_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="expected name==version"):
        list(lock_wheels.pins(line, lock_wheels.windows("3.11")))


def test_the_real_lock_can_be_read_for_every_target() -> None:
    text = (ROOT / "requirements-node.lock").read_text("utf-8")
    for target in (lock_wheels.windows("3.13"), lock_wheels.linux("3.14", "x86_64")):
        names = {found.name for found, _hashes in lock_wheels.pins(text, target)}
        assert names >= {"grpcio", "sqlcipher3", "numpy", "cryptography", "pynacl"}


# ---------------------------------------------------------------- scripts and tasks


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.xml")), ids=lambda path: path.name)
def test_tasks_need_no_rights_and_end_never(path: Path) -> None:
    root = ElementTree.parse(path).getroot()

    def text(name: str) -> str | None:
        return root.findtext(f".//{TASK}{name}")

    assert text("RunLevel") == "LeastPrivilege"
    assert text("ExecutionTimeLimit") == "PT0S"
    assert text("MultipleInstancesPolicy") == "IgnoreNew"
    assert text("Command") == "@ROOT@\\python\\pythonw.exe"
    assert text("Arguments") == '-X utf8 -m fedscreen node run --dir "@ROOT@\\node"'
    trigger, logon = {
        "task-at-logon.xml": ("LogonTrigger", "InteractiveToken"),
        "task-at-start.xml": ("BootTrigger", "Password"),
    }[path.name]
    assert root.find(f".//{TASK}{trigger}") is not None
    assert text("LogonType") == logon


@pytest.mark.parametrize("script", ["start-at-logon.ps1", "install-service.ps1"])
def test_scripts_fill_every_place_of_their_task(script: str) -> None:
    text = (STATIC / script).read_text("utf-8")
    (task,) = re.findall(r"task-at-[a-z]+\.xml", text)
    places = set(re.findall(r"@[A-Z]+@", (STATIC / task).read_text("utf-8")))
    assert places == {"@ROOT@", "@USER@"}
    assert all(f".Replace('{place}', (& $escape " in text for place in places)


def test_the_rules_are_about_the_programs_that_the_sides_run_as() -> None:
    text = (STATIC / "install-service.ps1").read_text("utf-8")
    assert re.findall(r"-Program \$(\w+)", text) == ["vault", "egress", "egress", "egress"]
    for side in windows_bundle.SIDES:
        assert f"${side} = Join-Path $python 'fedscreen-{side}.exe'" in text
    assert "Action = 'Block'" in text


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.ps1")), ids=lambda path: path.name)
def test_scripts_are_plain_and_balanced(path: Path) -> None:
    """No PowerShell runs here: at least nothing is left open, and nothing is downloaded or run from text."""
    text = path.read_text("utf-8")
    assert text.isascii()
    code = re.sub(r"(?m)^\s*#.*$", "", text)
    bare = re.sub(r"'[^']*'|\"(?:[^\"`]|`.)*\"", "''", code)
    for first, last in ("()", "{}", "[]"):
        assert bare.count(first) == bare.count(last)
    assert bare.count("'") % 2 == 0
    assert "$ErrorActionPreference = 'Stop'" in text
    assert not re.search(
        r"Invoke-(WebRequest|RestMethod|Expression)|\biex\b|Net\.WebClient|Bypass.*Set-", code
    )


@pytest.mark.parametrize("name", ["READ-ME.txt", "请先读我.txt"])
def test_read_me_names_what_is_there(name: str) -> None:
    text = (STATIC / name).read_text("utf-8")
    for found in re.findall(r"windows\\([a-z-]+\.ps1)", text):
        assert (STATIC / found).is_file()
    for found in re.findall(r"\b([a-z]+\.cmd)\b", text):
        assert (STATIC / found).is_file()


def test_the_program_says_what_is_wrong_and_ends_with_1(tmp_path: Path) -> None:
    embed, wheel = tmp_path / "embed.zip", tmp_path / "own.whl"
    embed.write_bytes(b"no zip")
    wheel.write_bytes(b"")
    arguments = ["--embed", embed, "--embed-sha256", "0" * 64, "--wheel", wheel, "--wheels", tmp_path]
    done = subprocess.run(
        [sys.executable, TOOLS / "windows_bundle.py", *arguments, "--out", tmp_path / "out.zip"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "download it again" in done.stderr
    assert "Traceback" not in done.stderr
