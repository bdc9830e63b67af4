"""Tampered files: every kind of file of a bundle, its MANIFEST, and receipts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bundle_zoo import stories
from bundle_zoo.forge import Files, history_of
from bundle_zoo.tampering import branch, change_line, files, first, round_id
from fakes_federation import ZERO

from crypto.note import encode_note, parse_note
from crypto.tlog_proof import TlogProof, encode_proof, parse_proof
from protos.bundle import NAME
from protos.statements import (
    Abandon,
)

PLACES = {
    "checkpoint": ("log/checkpoint", "", "checkpoint"),
    "tile": ("log/tile/0/", "", "tree"),
    "entries": ("log/tile/entries/", "", "tree"),
    "body": ("log/blob/", "", "bodies"),
    "receipt": ("receipts/", "", "receipts"),
    "vector": ("reports/", ".y", "vectors"),
    "sum": ("sums/", ".sum", "sums"),
    "release.json": ("results/", "/release.json", "results"),
    "indicators.json": ("results/", "/indicators.json", "results"),
    "indicators.csv": ("results/", "/indicators.csv", "results"),
    "table": ("results/", "/tables/A1.csv", "results"),
    "estimates": ("results/", "/estimates/A1.csv", "results"),
}


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "bit": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    ),
    "cut": lambda data: data[:-1],
    "grown": lambda data: data + b"\n",
    "empty": lambda data: b"",
}


def _spoil(place: str, how: str) -> Callable[[Files], None]:
    start, end, _ = PLACES[place]

    def change(found: Files) -> None:
        path = first(found, start, end)
        found[path] = SPOILT[how](found[path])

    return change


def _every_file() -> None:
    for place, (start, end, check) in PLACES.items():
        files(f"{place}, a bit, old MANIFEST", "manifest", _spoil(place, "bit"), sealed=False)
        for how in SPOILT:
            files(f"{place}, {how}", check, _spoil(place, how))
        files(f"{place}, missing", "", lambda found, s=start, e=end: found.pop(first(found, s, e)) and None)  # type: ignore[misc]


STRANGE = {
    "extra.txt": "manifest",
    "log/extra": "manifest",
    "secret/x": "manifest",
    "log/tile/1/000": "tree",
    "log/tile/entries/001.p/1": "tree",
    "log/tile/0/000": "tree",
    "log/blob/" + "0" * 64: "bodies",
    "log/blob/x": "bodies",
    "receipts/x/s1.0.tlog-proof": "receipts",
    "reports/x/s1.0.y": "vectors",
    "sums/x/a1.3.sum": "sums",
    "results/x/release.json": "results",
    "results/readme.txt": "results",
}


def _adding(path: str) -> Callable[[Files], None]:
    return lambda found: found.update({path: b"x"})


def _added_files() -> None:
    for path, check in STRANGE.items():
        if check in ("receipts", "results"):
            files(f"added {path}, no round", check, _adding(path), stories.no_round, kind="public")
    for path in ("log/a b", "log/\x1b[2J", "log/new\nline", "log/\u540d"):
        files(f"added {path!a}", "manifest", _adding(path), sealed=False)
    for path, check in STRANGE.items():
        files(f"added {path}", check, lambda found, path=path: found.update({path: b"x"}))  # type: ignore[misc]
        files(
            f"added {path}, not listed",
            "manifest",
            lambda found, path=path: found.update({path: b"x"}),
            sealed=False,
        )  # type: ignore[misc]


def _swap(found: Files, start: str, end: str = "") -> None:
    one, two = sorted(path for path in found if path.startswith(start) and path.endswith(end))[:2]
    found[one], found[two] = found[two], found[one]


def _swapped_files() -> None:
    files("two bodies swapped", "bodies", lambda found: _swap(found, "log/blob/"))
    files("two receipts swapped", "receipts", lambda found: _swap(found, "receipts/"))
    files("two vectors swapped", "vectors", lambda found: _swap(found, "reports/"))
    files("two sums swapped", "sums", _swap_sums)
    files("two result files swapped", "results", lambda found: _swap(found, "results/", ".csv"))


def _swap_sums(found: Files) -> None:
    paths = sorted(path for path in found if path.startswith("sums/") and "/a1." in path)
    found[paths[0]], found[paths[1]] = found[paths[1]], found[paths[0]]


def _manifest(change: Callable[[list[str]], list[str]]) -> Callable[[Files], None]:
    def apply(found: Files) -> None:
        lines = found[NAME].decode().split("\n")
        found[NAME] = "\n".join(change(lines)).encode("utf-8")

    return apply


def _manifests() -> None:
    tricks: dict[str, Callable[[list[str]], list[str]]] = {
        "unsorted": lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
        "a line twice": lambda lines: [*lines[:3], *lines[2:]],
        "a file not listed": lambda lines: [*lines[:2], *lines[3:]],
        "no last line feed": lambda lines: lines[:-1],
        "an empty line": lambda lines: [*lines[:3], "", *lines[3:]],
        "CR LF": lambda lines: [line + "\r" for line in lines],
        "upper case": lambda lines: [*lines[:2], lines[2].upper(), *lines[3:]],
        "size with a zero": lambda lines: change_line(lines, 2, " ", " 0"),
        "size with a plus": lambda lines: change_line(lines, 2, " ", " +"),
        "two spaces": lambda lines: change_line(lines, 2, " ", "  "),
        "another version": lambda lines: ["fedscreen/manifest/v2", *lines[1:]],
        "another kind": lambda lines: [lines[0], "kind secret", *lines[2:]],
        "kind public": lambda lines: [lines[0], "kind public", *lines[2:]],
        "kind twice": lambda lines: [*lines[:2], *lines[1:]],
        "lists itself": lambda lines: sorted_lines(lines, "0" * 64 + " 1 MANIFEST"),
        "a path outside": lambda lines: sorted_lines(lines, "0" * 64 + " 1 ../secret"),
        "an absolute path": lambda lines: sorted_lines(lines, "0" * 64 + " 1 /etc/passwd"),
        "a path with a dot": lambda lines: sorted_lines(lines, "0" * 64 + " 1 ./log/checkpoint"),
        "a comment": lambda lines: [*lines[:2], "# nothing", *lines[2:]],
        "another letter": lambda lines: change_line(lines, 2, "log", "lög"),
        "another size": lambda lines: [
            *lines[:2],
            " ".join([lines[2].split(" ")[0], "7", lines[2].split(" ")[2]]),
            *lines[3:],
        ],
        "empty": lambda lines: [""],
    }
    for name, change in tricks.items():
        files(f"MANIFEST: {name}", "manifest", _manifest(change), sealed=False)
    files("MANIFEST: missing", "", lambda found: found.pop(NAME) and None, sealed=False)
    for what in ("link to a file", "link to a folder", "MANIFEST is a link", "a fifo"):
        files(f"disk: {what}", "manifest", lambda found: None, on_disk=what)
    files("a file of more than its size", "manifest", _spoil("vector", "grown"), sealed=False)


def sorted_lines(lines: list[str], line: str) -> list[str]:
    """Put a line of the MANIFEST where its path belongs."""
    rows = sorted([*lines[2:-1], line], key=lambda row: row.split(" ")[2])
    return [*lines[:2], *rows, ""]


def _receipt(change: Callable[[TlogProof], TlogProof]) -> Callable[[Files], None]:
    def apply(found: Files) -> None:
        path = first(found, "receipts/")
        found[path] = encode_proof(change(parse_proof(found[path])))

    return apply


def _other_history(proof: TlogProof) -> TlogProof:
    """Log and witnesses signed a fork that the school saw; the bundle shows the other branch."""
    fork = history_of(branch(min_group=6)).bundle()
    return parse_proof(fork[first(fork, "receipts/")])


def _fork_of_the_end(proof: TlogProof) -> TlogProof:
    """The same report in a tree whose last entry is another."""
    forked = history_of(stories.one_round())
    forked.is_changed = True
    forked.set(forked.last("opening"), draw=forked.rows[forked.last("opening")].statement.draw)  # type: ignore[union-attr]
    forked.rows.pop()
    forked.insert(
        len(forked.rows), Abandon("county-1", round_id(forked), "a1", ZERO, "x"), forked.county.auditors["a1"]
    )
    bundle = forked.bundle()
    return parse_proof(bundle[first(bundle, "receipts/")])


def _unsigned_proof(proof: TlogProof) -> TlogProof:
    note = parse_note(proof.checkpoint_note)
    return replace(proof, checkpoint_note=encode_note(replace(note, signatures=note.signatures[:1])))


def _receipts() -> None:
    for name, change in {
        "another index": lambda proof: replace(proof, index=proof.index + 1),
        "a hash less": lambda proof: replace(proof, hashes=proof.hashes[1:]),
        "a hash more": lambda proof: replace(proof, hashes=(*proof.hashes, bytes(32))),
        "another hash": lambda proof: replace(proof, hashes=(bytes(32), *proof.hashes[1:])),
        "signed by the log only": _unsigned_proof,
        "of another history": _other_history,
        "of a fork": _fork_of_the_end,
    }.items():
        files(f"receipt: {name}", "receipts", _receipt(change))
    files(
        "receipt: an extra line",
        "receipts",
        lambda found: _receipt_text(found, "\nindex ", "\nnote x\nindex "),
    )
    files(
        "receipt: index with a zero", "receipts", lambda found: _receipt_text(found, "\nindex ", "\nindex 0")
    )


def _receipt_text(found: Files, old: str, new: str) -> None:
    path = first(found, "receipts/")
    found[path] = found[path].decode().replace(old, new, 1).encode()


_every_file()
_added_files()
_swapped_files()
_manifests()
_receipts()
