"""Other spellings of the same, signed."""

from __future__ import annotations

from collections.abc import Callable

from bundle_zoo.forge import History
from bundle_zoo.tampering import close_id, history


def _text(kind: str, old: str, new: str) -> Callable[[History], None]:
    return lambda found: found.edit(found.find(kind), old, new)


def _raw(kind: str, old: bytes, new: bytes) -> Callable[[History], None]:
    """Change an entry's bytes, signed or not, beneath every parser."""

    def change(found: History) -> None:
        row = found.rows[found.find(kind)]
        row.raw = row.entry().replace(old, new, 1)

    return change


def _spelling() -> None:
    for name, change in {
        "a number with a leading zero": _text("plan", "threshold 3", "threshold 03"),
        "a number with a plus": _text("plan", "threshold 3", "threshold +3"),
        "a number with a space": _text("plan", "threshold 3", "threshold 3 "),
        "two spaces": _text("plan", "threshold 3", "threshold  3"),
        "a digit that is not ASCII": _text("plan", "threshold 3", "threshold \u0663"),
        "a fraction not in lowest terms": _text("plan", "rho 1/10", "rho 2/20"),
        "a time with an offset": _text("plan", "Z\n", "+00:00\n"),
        "an unknown type": _text("agreement", "fedscreen/agreement/v1", "fedscreen/consent/v1"),
        "another version": _text("agreement", "fedscreen/agreement/v1", "fedscreen/agreement/v2"),
        "a line more": _text("agreement", "auditor a1\n", "auditor a1\nnote hello\n"),
        "a line twice": _text("agreement", "auditor a1\n", "auditor a1\nauditor a1\n"),
        "lines in another order": _swap_lines,
        "an id in capitals": _text("agreement", "auditor a1", "auditor A1"),
        "an unknown status": _text("release", "status ok", "status fine"),
        "an attempt of four": _text("report", "attempt 0", "attempt 4"),
        "more auditors than seven": _text("plan", "threshold 3", "threshold 8"),
        "digest in capitals": _upper_digest,
        "base64 of a round key with other padding bits": _round_key_padding,
        "a text that is not NFC": _text("agreement", "auditor a1", "auditor a\u0301"),
        "body bytes wrong": _wrong_body_bytes,
    }.items():
        history(f"spelling: {name}", "bodies", change)
    for name, change in {
        "no empty line": _raw("agreement", b"\n\n", b"\n"),
        "bytes after the signatures": _raw("agreement", b"=\n", b"=\nx"),
        "not UTF-8": _raw("agreement", b"auditor a1", b"auditor \xff1"),
        "a tab": _raw("agreement", b"auditor a1", b"auditor\ta1"),
        "a NUL": _raw("agreement", b"auditor a1", b"auditor \x001"),
        "signature without padding": _raw("agreement", b"=\n", b"\n"),
    }.items():
        history(f"entry: {name}", "bodies", change)


def _wrong_body_bytes(found: History) -> None:
    row = found.rows[found.find("plan")]
    found.edit(found.find("plan"), "body-bytes ", "body-bytes 0")
    row.is_raw = True


def _swap_lines(found: History) -> None:
    row = found.rows[found.find("agreement")]
    lines = row.text.split("\n")
    lines[2], lines[3] = lines[3], lines[2]
    row.text = "\n".join(lines)


def _upper_digest(found: History) -> None:
    row = found.rows[found.find("agreement")]
    digest = close_id(found).hex()
    row.text = row.text.replace(digest, digest.upper())


def _round_key_padding(found: History) -> None:
    row = found.rows[found.find("approval")]
    line = next(item for item in row.text.split("\n") if item.startswith("round-key "))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stem = line.rstrip("=")
    row.text = row.text.replace(
        line, stem[:-1] + alphabet[alphabet.index(stem[-1]) ^ 1] + "=" * (len(line) - len(stem))
    )


_spelling()
