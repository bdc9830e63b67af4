"""Write bytes that every implementation refuses, and values that break one rule of protocol.md each.

    python tests/vectors/regenerate_bad.py [--check]

- crypto_bad_bytes.json: inputs of one parser each, with the error class that it raises.
- report_bad_bytes.json: the first report of round.json, edited, with the error of whoever notices first.
- report_bad_values.json: what steps of that report come to if one rule is broken; none may come out.
"""

import hashlib
import hmac
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[level]) for level in (2, 1, 0)]

from regenerate_round import MadeReport, WholeRound  # noqa: E402
from vector_files import load, made_by, main  # noqa: E402

from crypto import derivation  # noqa: E402
from crypto.canonical import encode_parts  # noqa: E402
from crypto.field64 import MODULUS, encode_vector, parse_vector, subtract  # noqa: E402
from crypto.mask_sum import MaskSum  # noqa: E402
from crypto.xof import format_dst  # noqa: E402

SCRIPT = "regenerate_bad.py"
ENTRIES_BEFORE_REPORTS = 7  # genesis, roster, plan, four approvals
ROOT = "Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk="
PROOF_HEAD = "c2sp.org/tlog-proof@v1\n"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@cache
def whole_round() -> WholeRound:
    """The round of round.json."""
    return WholeRound()


def crypto_bytes() -> dict[str, Any]:
    """Inputs of the parsers of crypto/, as hex, with what they raise."""
    note, vkey = load("note.json")["note"], load("note.json")["log_vkey"]
    box, length = encode_parts(*[bytes(32)] * 3), b"\x00\x00\x00\x20"
    proof = whole_round().receipt().decode()
    inputs: dict[str, dict[str, tuple[str | bytes, str]]] = {
        "vector": {
            "element p": (bytes(8) + MODULUS.to_bytes(8, "little"), "FieldRangeError"),
            "element 2^64 - 1": (bytes(8) + b"\xff" * 8, "FieldRangeError"),
            "one byte short": (bytes(15), "ShapeMismatchError"),
            "one cell more": (bytes(24), "ShapeMismatchError"),
        },
        "box plaintext": {
            "one byte short": (box[:-1], "DecodeError"),
            "one seed more": (box + length + bytes(32), "DecodeError"),
            "lengths little-endian": (box.replace(length, length[::-1]), "DecodeError"),
            "without lengths": (bytes(3 * 32), "DecodeError"),
            "a length of 31": (length[:3] + b"\x1f" + box[4:], "DecodeError"),
        },
        "base64": {
            "padding bits not zero": ("AAB=", "DecodeError"),
            "no padding": ("AAA", "DecodeError"),
            "URL alphabet": ("AA-_", "DecodeError"),
            "line feed": ("AAAA\n", "DecodeError"),
        },
        "note": {
            "carriage returns": (note.replace("\n", "\r\n"), "DecodeError"),
            "no empty line": (note.replace("\n\n", "\n"), "DecodeError"),
            "hyphen for the em dash": (note.replace("\u2014", "-"), "DecodeError"),
            "line after the signatures": (note + "x\n", "DecodeError"),
            "no line feed at the end": (note[:-1], "DecodeError"),
            "padding bits not zero": (altered_padding(note), "DecodeError"),
        },
        "checkpoint": {
            "leading zero": (f"a\n07\n{ROOT}\n", "DecodeError"),
            "short root": ("a\n7\nAAAA\n", "DecodeError"),
            "swapped lines": (f"a\n{ROOT}\n7\n", "DecodeError"),
            "no origin": (f"\n7\n{ROOT}\n", "DecodeError"),
        },
        "vkey": {
            "upper-case key id": (vkey.replace("5bb6d8f6", "5BB6D8F6"), "DecodeError"),
            "another name": (vkey.replace("county", "countz"), "DecodeError"),
            "cut short": (vkey[:-1], "DecodeError"),
        },
        "proof": {
            "another version": (proof.replace("@v1", "@v2", 1), "DecodeError"),
            "leading zero": (proof.replace("index ", "index 0", 1), "DecodeError"),
            "no checkpoint": (PROOF_HEAD + "index 0\n\n", "DecodeError"),
            "a short hash": (PROOF_HEAD + "index 0\nAAAA\n\n" + note, "DecodeError"),
        },
    }
    cases = [
        {"parser": parser, "name": name, "bytes": _bytes(data).hex(), "error": error}
        for parser, table in inputs.items()
        for name, (data, error) in table.items()
    ]
    return {"source": made_by(SCRIPT), "cells": 2, "seeds": 3, "cases": cases}


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def altered_padding(note: str) -> str:
    """Change bits at the end of a note's last base64 that no decoded byte holds."""
    letters = note.rstrip("\n=")
    return letters[:-1] + BASE64[BASE64.index(letters[-1]) + 1] + note[len(letters) :]


def report_bytes() -> dict[str, Any]:
    """Edits of a report's payload: `remove` bytes at `at`, then `insert` there."""
    made = whole_round().reports[0]
    payload, note = made.payload, made.note.decode()
    vector_at = 4 + len(made.note)
    boxes_at, box_bytes = vector_at + len(made.derived.vector), len(made.boxes[0])
    cases: list[dict[str, Any]] = []

    def edit(name: str, at: int, remove: int, insert: bytes, error: str, code: str = "") -> None:
        case = {"name": name, "at": at, "remove": remove, "insert": insert.hex(), "error": error}
        cases.append(case | ({"code": code} if code else {}))

    def other_note(name: str, changed: str, error: str, code: str = "") -> None:
        data = changed.encode()
        edit(name, 0, vector_at, len(data).to_bytes(4, "big") + data, error, code)

    edit("empty", 0, len(payload), b"", "PayloadError")
    edit("length little-endian", 0, 4, len(made.note).to_bytes(4, "little"), "PayloadError")
    edit("one byte short", len(payload) - 1, 1, b"", "PayloadError")
    edit("one byte more", len(payload), 0, b"\x00", "PayloadError")
    edit("a cell more", vector_at, 0, bytes(8), "PayloadError")
    edit("a bit of the vector", vector_at, 1, bytes([payload[vector_at] ^ 1]), "PayloadError")
    edit("a bit of a box", boxes_at, 1, bytes([payload[boxes_at] ^ 1]), "PayloadError")
    edit("two boxes swapped", boxes_at, 2 * box_bytes, made.boxes[1] + made.boxes[0], "PayloadError")
    text, _, signature = note.rpartition("\n\n")
    first, federation, round_line, *_ = text.split("\n")
    other_note("carriage returns", note.replace("\n", "\r\n"), "DecodeError")
    other_note("no signature", f"{text}\n\n", "DecodeError")
    other_note("altered base64 padding", altered_padding(note), "DecodeError")
    swapped = f"{first}\n{round_line}\n{federation}"
    other_note(
        "swapped lines", note.replace(f"{first}\n{federation}\n{round_line}", swapped), "StatementError"
    )
    other_note("not in normal form C", note.replace("node s1\n", "node se\u0301\n"), "StatementError")
    other_note("composed, but no id", note.replace("node s1\n", "node s\u00e9\n"), "StatementError")
    other_note("upper-case digest", note.replace("vector ", "vector A", 1), "StatementError")
    other_note("leading zero", note.replace("cells 14", "cells 014"), "StatementError")
    other_note("a line twice", note.replace("attempt 0\n", "attempt 0\n" * 2), "StatementError")
    other_note("signature line twice", note + signature, "LedgerError", "wrong-signers")
    other_note("another attempt", note.replace("attempt 0", "attempt 1"), "LedgerError", "wrong-attempt")
    other_note("another node", note.replace("node s1\n", "node s4\n"), "LedgerError", "wrong-signers")
    other_note("another round", note.replace(round_line, "round " + "0" * 64), "LedgerError", "no-such-round")
    other_note(
        "lower confinement", note.replace("confinement L3", "confinement L1"), "LedgerError", "bad-signature"
    )
    return {"source": made_by(SCRIPT), "report": 0, "after": ENTRIES_BEFORE_REPORTS, "cases": cases}


def report_values() -> dict[str, Any]:
    """Values of the first report of round.json under one broken rule each."""
    made = whole_round().reports[0]
    seeds, secret = made.derived.seeds, _round_secret(made)
    dst = format_dst(1, made.recipe.round_id)
    other_id = format_dst(1, made.recipe.round_id, 0xFFFFFFFF)
    short_usage = dst[:6] + dst[7:]
    held = [seed for subset, seed in seeds.items() if subset & 1]
    commitments = [value for _, value in made.derived.commitments]
    x, key = made.counts * 64, derivation.kdf(secret, "x")
    broken: list[tuple[str, str, bytes]] = [
        ("y", "the binder is 1 + rank, not rank", _masked(made, dst, lambda rank, subset: rank)),
        ("y", "the binder is 1 + rank, not the subset", _masked(made, dst, lambda rank, subset: subset)),
        ("y", "the algorithm id is 0xFFFF4653", _masked(made, other_id, lambda rank, subset: 1 + rank)),
        ("y", "a usage has two bytes", _masked(made, short_usage, lambda rank, subset: 1 + rank)),
        ("y", "ranks ascend by subset", _masked(made, dst, lambda rank, subset: 6 - rank)),
        ("box plaintext of a1", "seeds ascend by subset", derivation.box_plaintext(held[::-1])),
        ("box plaintext of a1", "each seed carries its length", b"".join(held)),
        ("commitments digest", "the digest is over E()", hashlib.sha256(b"".join(commitments)).digest()),
        ("commitments digest", "they ascend by subset", derivation.commitments_digest(commitments[::-1])),
        (
            "first commitment",
            "it names round, node, attempt and subset",
            hashlib.sha256(encode_parts("seed", held[0])).digest(),
        ),
        ("xm", "x is little-endian", hmac.digest(key, x.astype(">i8").tobytes(), "sha256")),
        (
            "xm",
            "x is scaled, the counts are not",
            hmac.digest(key, made.counts.astype("<i8").tobytes(), "sha256"),
        ),
        ("xm", "its key is kdf(R, x), not R", hmac.digest(secret, x.astype("<i8").tobytes(), "sha256")),
        (
            "noise key of table 0",
            "tables count from 0",
            derivation.noise_key(_report_secret(made), 1),
        ),
    ]
    cases = [{"of": of, "rule": rule, "value": value.hex()} for of, rule, value in broken]
    return {"source": made_by(SCRIPT), "report": 0, "cases": cases}


def _round_secret(made: MadeReport) -> bytes:
    return made.recipe.round_secret(whole_round().federation.nodes[made.node].master)


def _report_secret(made: MadeReport) -> bytes:
    return derivation.report_secret(_round_secret(made), made.attempt, made.derived.tag)


def _masked(made: MadeReport, dst: bytes, binder: Callable[[int, int], int]) -> bytes:
    """The vector under other streams: take the right masks off, put the wrong ones on."""
    cells = len(made.counts)
    right, wrong = MaskSum(cells), MaskSum(cells)
    right.add_vector(parse_vector(made.derived.vector, cells))
    for rank, (subset, seed) in enumerate(made.derived.seeds.items()):
        right.add_mask(seed, format_dst(1, made.recipe.round_id), bytes([1 + rank]))
        wrong.add_mask(seed, dst, bytes([binder(rank, subset)]))
    return encode_vector(subtract(right.value(), wrong.value()))


FILES = {
    "crypto_bad_bytes.json": crypto_bytes,
    "report_bad_bytes.json": report_bytes,
    "report_bad_values.json": report_values,
}

if __name__ == "__main__":
    sys.exit(main(FILES, sys.argv[1:]))
