"""Make the folder that a Windows PC unpacks and runs: Python, this project and every wheel it needs.

    python tools/windows_bundle.py --embed python-3.13.5-embed-amd64.zip --embed-sha256 HEX \\
        --wheel dist/fedscreen-0.1.0-py3-none-any.whl --out dist/fedscreen-windows.zip

Rules:

1. The embeddable Python comes from whoever calls this, with the SHA-256 that python.org states for it;
   another digest is refused. Its version, 3.11 to 3.13, is read from the file.
2. The wheels are those of requirements-node.lock for 64-bit Windows and that Python, each with a hash of the
   lock (`--wheels` takes a folder instead of downloading).
3. Two copies of python.exe, `fedscreen-vault.exe` and `fedscreen-egress.exe`, let the firewall tell the two
   sides apart.
4. Every DLL that any file in it imports is in it, or belongs to Windows; else nothing is written.
5. The same input gives the same bytes: sorted names, one time, no owner.

The layout is told in deploy/windows/READ-ME.txt, which stands at the top of it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from lock_wheels import fetch, windows
from pe_imports import imported

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "deploy" / "windows"
LOCK = ROOT / "requirements-node.lock"
TOP = "fedscreen-windows"
EARLIEST = (1980, 1, 1, 0, 0, 0)
PYTHONS = ("311", "312", "313")
SIDES = ("vault", "egress")
AT_THE_TOP = (".cmd", ".txt")
CRLF = (".cmd", ".ps1", ".txt", ".xml")
# What belongs to Windows 10 and newer itself.
OF_WINDOWS = frozenset(
    f"{name}.dll"
    for name in (
        *("advapi32", "bcrypt", "bcryptprimitives", "cabinet", "comctl32", "comdlg32", "crypt32", "cryptnet"),
        *(
            "dbghelp",
            "dnsapi",
            "gdi32",
            "iphlpapi",
            "kernel32",
            "msi",
            "msvcrt",
            "mswsock",
            "ncrypt",
            "ntdll",
        ),
        *("ole32", "oleaut32", "powrprof", "propsys", "psapi", "rpcrt4", "secur32", "setupapi", "shell32"),
        *("shlwapi", "ucrtbase", "user32", "userenv", "version", "winmm", "ws2_32", "wsock32", "pdh"),
    )
)

Files = dict[str, bytes]


class BundleError(Exception):
    """The bundle cannot be made; the text says what to do."""


def read_embed(path: Path, sha256: str) -> tuple[Files, str]:
    """Read the embeddable Python; give its files and its version as "313".

    Raises:
        BundleError: another file than the one that was stated, or not such a zip.
    """
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.strip().lower():
        raise BundleError(f"{path.name} has SHA-256 {found}, stated was {sha256}: download it again")
    files = _unzip(data)
    versions = [match[1] for name in files if (match := re.fullmatch(r"python(3\d\d)\._pth", name))]
    if len(versions) != 1 or "python.exe" not in files:
        raise BundleError(f"{path.name} is no embeddable Python: expected python.exe and python3NN._pth")
    if versions[0] not in PYTHONS:
        raise BundleError(f"{path.name} is Python {versions[0]}, expected one of {', '.join(PYTHONS)}")
    return files, versions[0]


def _unzip(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {row.filename: archive.read(row) for row in archive.infolist() if not row.is_dir()}


def unpack_wheel(path: Path) -> Files:
    """Give a wheel's files as they lie when installed; scripts and headers are left out.

    Raises:
        BundleError: a name in it leads elsewhere.
    """
    found: Files = {}
    for name, data in _unzip(path.read_bytes()).items():
        parts = name.split("/")
        if parts[0].endswith(".data"):
            if parts[1] not in ("purelib", "platlib"):
                continue
            parts = parts[2:]
        if ".." in parts or not all(parts) or "\\" in name or ":" in name:
            raise BundleError(f"{path.name} has a file named {name}")
        found["/".join(parts)] = data
    return found


def merge(wheels: Iterable[Path]) -> Files:
    """Put wheels into one folder; the same file twice must be the same.

    Raises:
        BundleError: two wheels bring different files of one name.
    """
    found: Files = {}
    for wheel in sorted(wheels):
        for name, data in unpack_wheel(wheel).items():
            if found.setdefault(name, data) != data:
                raise BundleError(f"{wheel.name} and another wheel both have {name}")
    return found


def lay_out(embed: Mapping[str, bytes], version: str, libraries: Mapping[str, bytes]) -> Files:
    """Give every file of the bundle by its place below the top folder."""
    found = {f"python/{name}": data for name, data in embed.items()}
    # With this file Python looks nowhere else: no environment, no registry, no user's folder.
    found[f"python/python{version}._pth"] = f"python{version}.zip\r\n.\r\n..\\lib\r\n".encode()
    for side in SIDES:
        found[f"python/fedscreen-{side}.exe"] = embed["python.exe"]
    found |= {f"lib/{name}": data for name, data in libraries.items()}
    for path in sorted(STATIC.iterdir()):
        place = path.name if path.suffix in AT_THE_TOP else f"windows/{path.name}"
        found[place] = windows_text(path)
    found["LICENSE.txt"] = (ROOT / "LICENSE").read_bytes().replace(b"\n", b"\r\n")
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}\r\n" for name, data in sorted(found.items())]
    return found | {"SHA256SUMS.txt": "".join(sums).encode()}


def windows_text(path: Path) -> bytes:
    """Read a file of deploy/windows, with the line ends and the mark that Windows' own programs want."""
    text = path.read_text("utf-8")
    if path.suffix not in CRLF:
        return text.encode()
    mark = b"" if path.suffix == ".cmd" else b"\xef\xbb\xbf"
    return mark + text.replace("\n", "\r\n").encode()


def missing_libraries(files: Mapping[str, bytes]) -> list[str]:
    """Name every DLL that is imported and is neither in the bundle nor Windows' own, with who wants it."""
    there = {name.rpartition("/")[2].lower() for name in files}
    wanted = []
    for name, data in sorted(files.items()):
        for library in sorted(imported(data) if name.endswith((".exe", ".dll", ".pyd")) else ()):
            is_of_windows = library in OF_WINDOWS or library.startswith(("api-ms-win-", "ext-ms-"))
            if library not in there and not is_of_windows:
                wanted.append(f"{name} needs {library}")
    return wanted


def write_zip(files: Mapping[str, bytes], out: Path) -> str:
    """Write the zip; give its SHA-256. The same files give the same bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(files):
            row = zipfile.ZipInfo(f"{TOP}/{name}", EARLIEST)
            row.compress_type, row.create_system, row.external_attr = zipfile.ZIP_DEFLATED, 0, 0
            archive.writestr(row, files[name], compresslevel=9)
    return hashlib.sha256(out.read_bytes()).hexdigest()


def make(embed: Path, sha256: str, own: Path, out: Path, wheels: Path | None = None) -> str:
    """Make the bundle; give its SHA-256.

    Args:
        embed: the embeddable Python's zip.
        sha256: its digest as python.org states it.
        own: this project's wheel.
        out: the zip to write.
        wheels: a folder with the wheels of the lock for Windows; None downloads them.

    Raises:
        BundleError: something is not as it should be; nothing was written.
    """
    files, version = read_embed(embed, sha256)
    with tempfile.TemporaryDirectory() as place:
        target = windows(f"{version[0]}.{version[1:]}")
        found = (
            sorted(wheels.glob("*.whl")) if wheels else fetch(LOCK.read_text("utf-8"), target, Path(place))
        )
        if not found:
            raise BundleError(f"no wheel in {wheels}")
        bundle = lay_out(files, version, merge([*found, own]))
    lost = missing_libraries(bundle)
    if lost:
        raise BundleError("the bundle would not start: " + "; ".join(lost))
    return write_zip(bundle, out)


def main() -> int:
    """Make a bundle and print its name and SHA-256."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--embed", type=Path, required=True)
    parser.add_argument("--embed-sha256", required=True)
    parser.add_argument("--wheel", type=Path, required=True, help="this project's own wheel")
    parser.add_argument(
        "--wheels", type=Path, help="folder with the wheels of the lock, instead of downloading"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / f"{TOP}.zip")
    options = parser.parse_args()
    try:
        digest = make(options.embed, options.embed_sha256, options.wheel, options.out, options.wheels)
    except BundleError as err:
        print(f"windows-bundle: {err}", file=sys.stderr)
        return 1
    size = os.path.getsize(options.out) // (1 << 20)
    print(f"{digest}  {options.out.name}  ({size} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
