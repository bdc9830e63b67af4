#!/usr/bin/env python3
# A second, independent verifier of fedscreen's bundles: one file, nothing but the Python standard library.
#
#     python3 verify_standalone.py BUNDLE --policy FILE [--head FILE] [--without-estimates] [--json]
#
# It shares no code with the product and is written from docs/protocol.md, docs/log.md and docs/privacy.md;
# "protocol 6" below is section 6 of the first. The checks, their names and numbers are those of `fedscreen
# auditor verify` (docs/verification.md). Exit codes: 0 every check passed, 1 one failed, 2 something was
# skipped or missing, or no policy was given. How to use and to read it: docs/verify-standalone.md.
#
# Top to bottom: files, signatures, notes, tree, policy (checks 1 to 4), statements (5), the rules of the log
# (6 to 8, and all that a round may say), what a plan means and costs, the checks in their order, main.
#
# How to read it: `need(x)` fails the check unless x holds, and the comment line above it is what the verdict
# then says. Damaged input may also end in an error of Python's; that fails the check just the same.
#
# Not done here: estimates and indicators come out of a least squares over all tables, a program as long as
# this one. Check "estimates" says SKIPPED for them, never PASS. Released sums and tables are recomputed.
#
# Laid out by hand, so that a rule stands on few lines and the whole on few pages.
# fmt: off
# ruff: noqa: E701, SIM905

import argparse
import base64
import hashlib
import json
import linecache
import math
import os
import re
import struct
import sys
import traceback
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache, partial
from itertools import chain, combinations, pairwise, permutations, product, takewhile
from types import SimpleNamespace
from typing import Any, NamedTuple

# A bag of named values: a statement, a policy, a table, what is known of the bundle so far.
Bag = Any


class Fail(Exception): ...  # what a check asks for does not hold


class Skip(Exception): ...  # a check cannot be made: something is missing


def need(holds: object, detail: str = "") -> None:
    if not holds: raise Fail(detail)


# --- Files of the bundle; check "manifest" -----------------------------------------------------------------
# A bundle is hostile: links are never followed, nothing outside of it is opened, sizes are bounded.

MAX_FILE, MAX_HELD = 256 << 20, 1 << 30  # bytes of one file; of all log entries, which are held in memory
MANIFEST_LINE = re.compile(r"([0-9a-f]{64}) (0|[1-9][0-9]{0,19}) ((?:[A-Za-z0-9._-]+/)*[A-Za-z0-9._-]+)")
PLACES: dict[str, tuple[str, ...]] = {"public": ("log/tile/", "log/blob/", "receipts/", "results/")}
PLACES["auditor"] = (*PLACES["public"], "reports/", "sums/")


class Files:
    def __init__(self, root: str) -> None:
        self.root, self.paths, self.strange = root, set[str](), list[str]()
        waiting = [""] if os.path.isdir(root) else []
        while waiting:
            folder = waiting.pop()
            try:
                found = [*os.scandir(os.path.join(root, folder))]
            except OSError:  # not to be read, or too deep: strange as well
                self.strange, found = [*self.strange, folder], []
            for item in found:
                if item.is_dir(follow_symlinks=False): waiting.append(f"{folder}{item.name}/")
                else:
                    kind = self.paths.add if item.is_file(follow_symlinks=False) else self.strange.append
                    kind(folder + item.name)

    def read(self, path: str, most: int = MAX_FILE) -> bytes:
        if path not in self.paths: raise Skip(f"{path} is missing")
        with open(os.path.join(self.root, path), "rb") as file: data = file.read(most + 1)
        # a file is larger than anything of its kind
        need(len(data) <= most, path)
        return data

    def describe(self, path: str) -> tuple[str, str]:
        with open(os.path.join(self.root, path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), str(file.tell())

    def only(self, folder: str, known: Iterable[str]) -> None:
        extra = {path for path in self.paths if path.startswith(f"{folder}/")}.difference(known)
        # a file that nothing in the log explains
        need(not extra, min(extra, default=""))


def read_manifest(files: Files) -> tuple[str, dict[str, tuple[str, str]]]:
    first, kind, *lines, last = files.read("MANIFEST", 64 << 20).decode("ascii").split("\n")
    found = [match.groups() for line in lines if (match := MANIFEST_LINE.fullmatch(line))]
    listed = {path: (digest, size) for digest, size, path in found}
    # MANIFEST: not its format, digest, size and plain relative path of each file in ascending order of path
    need(first == "fedscreen/manifest/v1" and kind in ("kind public", "kind auditor") and last == "")
    # MANIFEST: not its format, digest, size and plain relative path of each file in ascending order of path
    need(len(listed) == len(lines) and [*listed] == sorted(listed))
    # MANIFEST: a path that leaves the bundle
    need(not any({".", ".."} & {*path.split("/")} for path in listed))
    return kind[5:], listed


def check_manifest(b: Bag) -> str:
    # neither a plain file nor a folder
    need(not b.files.strange, min(b.files.strange, default=""))
    kind, listed = read_manifest(b.files)
    extra = b.files.paths - listed.keys() - {"MANIFEST"}
    # a file that is not listed
    need(not extra, min(extra, default=""))
    for path in sorted(listed):
        # not the file that the MANIFEST lists
        need(path not in b.files.paths or b.files.describe(path) == listed[path], path)
        # nothing of that kind belongs into a bundle of this kind
        need(path == "log/checkpoint" or path.startswith(PLACES[kind]), path)
    if missing := listed.keys() - b.files.paths:
        raise Skip(f"{len(missing)} listed files are missing, the first: {min(missing)}")
    return f"{len(listed)} files, kind {kind}"


# --- Ed25519 (RFC 8032), verification only -----------------------------------------------------------------
# Strict: S below the group's order, points in their one encoding, none of small order, and the equation
# [S]B = R + [h]A itself, without a cofactor. A point is (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int, int, int]
ZERO: Point = (0, 1, 1, 0)


# Also doubles. Complete, so no case is special; RFC 8032 section 5.1.4.
def add(one: Point, other: Point) -> Point:
    (x, y, z, t), (x2, y2, z2, t2) = one, other
    a, b, c, d = (y - x) * (y2 - x2), (y + x) * (y2 + x2), 2 * D * t * t2, 2 * z * z2
    e, f, g, h = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def decode_point(data: bytes) -> Point:
    sign, y = data[31] >> 7, int.from_bytes(data, "little") & (1 << 255) - 1
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7 % P, (P - 5) // 8, P) % P
    x = x if v * x * x % P == u else x * pow(2, (P - 1) // 4, P) % P
    # a public key that is no point, or not in its one encoding
    need(y < P and v * x * x % P == u and (x or not sign))
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def is_small(point: Point) -> bool:
    for _ in range(3): point = add(point, point)
    return point[0] == 0 and point[1] == point[2]


# 0 to 15 times the point, and the same of 2^64, 2^128 and 2^192 times the point: with these a product takes
# 64 doublings in place of 252.
def multiples(point: Point) -> list[list[Point]]:
    tables = []
    for _ in range(4):
        tables.append([ZERO])
        for _ in range(15): tables[-1].append(add(tables[-1][-1], point))
        for _ in range(64): point = add(point, point)
    return tables


BASE = multiples(decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little")))


@lru_cache(maxsize=1024)
def negated_multiples(public_key: bytes) -> list[list[Point]]:
    x, y, z, t = point = decode_point(public_key)
    # a public key of small order
    need(not is_small(point))
    return multiples((P - x, y, z, P - t))


# [s]B - [h]A has the encoding R. Remembered, because receipts repeat one checkpoint; h stands for the
# message.
@lru_cache(maxsize=1 << 16)
def holds(public_key: bytes, r: bytes, s: int, h: int) -> bool:
    total, minus = ZERO, negated_multiples(public_key)
    for shift in range(60, -1, -4):
        for _ in range(4): total = add(total, total)
        for part in range(4):
            at = shift + 64 * part
            total = add(add(total, BASE[part][s >> at & 15]), minus[part][h >> at & 15])
    x, y = (coordinate * pow(total[2], -1, P) % P for coordinate in total[:2])
    return not is_small(total) and (y | (x & 1) << 255).to_bytes(32, "little") == r


def is_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(r + public_key + message).digest(), "little") % ORDER
    return len(signature) == 64 and s < ORDER and holds(public_key, r, s, h)


# --- Signed notes, keys, checkpoints (log, "Entries, tree, checkpoints") -----------------------------------

NOTE_TEXT = re.compile(r"[^\x00-\x09\x0b-\x1f]*\n")
KEY_NAME = re.compile(r"[^\s\x00-\x1f+]+")
Line = tuple[str, bytes, bytes]  # name and id of the key, signature
Note = tuple[str, list[Line]]


class Key(NamedTuple):
    name: str
    id: bytes
    kind: int  # 1 signs texts, 4 cosigns checkpoints
    public: bytes
    text: str


def decode64(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    # base64 in another than its one spelling
    need(base64.b64encode(data).decode() == text)
    return data


def parse_key(text: str) -> Key:
    name, named, encoded = text.split("+", 2)
    data = decode64(encoded)
    found = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    # not a key of type 1 or 4 under its name and id
    need(KEY_NAME.fullmatch(name) and len(data) == 33 and data[0] in (1, 4) and found.hex() == named)
    return Key(name, found, data[0], data[1:], text)


def parse_line(text: str) -> Line:
    dash, name, encoded = text.split(" ", 2)
    blob = decode64(encoded)
    # not a signature line
    need(dash == "\u2014" and KEY_NAME.fullmatch(name) and len(blob) > 4)
    return name, blob[:4], blob[4:]


def parse_note(data: bytes, most: int = 1 << 20) -> Note:
    body, found, block = data.decode().rpartition("\n\n")
    # not a signed note: a text, an empty line, 1 to 100 signature lines
    need(len(data) <= most and found and block.endswith("\n") and block.count("\n") <= 100)
    # not a signed note: a control character in its text
    need(NOTE_TEXT.fullmatch(body + "\n"))
    return body + "\n", [parse_line(line) for line in block[:-1].split("\n")]


def check_line(text: str, line: Line, key: Key) -> None:
    message, signature = text.encode(), line[2]
    if key.kind == 4:
        time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        # a cosignature's time is out of range
        need(time < 1 << 63)
        message = f"cosignature/v1\ntime {time}\n".encode() + message
    # a signature does not hold
    need(line[:2] == key[:2] and is_signature(key.public, message, signature), key.name)


# Lines of unknown keys say nothing; one bad line of a known key refuses the whole note.
def signers_of(note: Note, keys: Iterable[Key]) -> set[Key]:
    wanted = {*keys}
    known = {key[:2]: key for key in wanted}
    # two keys share a name and an id
    need(len(known) == len(wanted))
    for line in note[1]:
        if line[:2] in known: check_line(note[0], line, known[line[:2]])
    return {known[line[:2]] for line in note[1] if line[:2] in known}


def parse_checkpoint(note: Note) -> Bag:
    origin, size, root, *rest, last = note[0].split("\n")
    # not a checkpoint: origin, size and base64 of the root
    need(origin and "" not in rest and not last and re.fullmatch("0|[1-9][0-9]{0,18}", size))
    # not a checkpoint: a size of 2^63 or more, or a root of another length
    need(len(decode64(root)) == 32 and int(size) < 1 << 63)
    return SimpleNamespace(origin=origin, size=int(size), root=decode64(root))


# --- The tree (RFC 6962) and its tiles (c2sp.org/tlog-tiles) -----------------------------------------------


def node_hash(left: bytes, right: bytes) -> bytes: return hashlib.sha256(b"\x01" + left + right).digest()


# levels[k][i] is the root of leaves i * 2^k up to (i + 1) * 2^k; what is not full stands in no level.
def tree_levels(entries: Iterable[bytes]) -> list[list[bytes]]:
    levels = [[hashlib.sha256(b"\0" + entry).digest() for entry in entries]]
    while len(levels[-1]) > 1: levels.append([*map(node_hash, levels[-1][::2], levels[-1][1::2])])
    return levels


def tree_root(levels: list[list[bytes]], size: int) -> bytes:
    parts = [level[(size >> k) - 1] for k, level in enumerate(levels) if size >> k & 1]
    root = parts[0] if parts else hashlib.sha256().digest()
    for left in parts[1:]: root = node_hash(left, root)
    return root


# Path and slice of every tile over so many hashes: 1234067 is x001/x234/067, a partial one ends with its
# width.
def tiles(count: int) -> Iterator[tuple[str, slice]]:
    for first in range(0, count, 256):
        digits, width = str(first // 256), min(count - first, 256)
        *groups, last = re.findall("...", digits.zfill((len(digits) + 2) // 3 * 3))
        end = f".p/{width}" if width < 256 else ""
        yield "".join(f"x{group}/" for group in groups) + last + end, slice(first, first + width)


# RFC 9162 section 2.1.3.2.
def check_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> None:
    node, last = index, size - 1
    for sibling in proof:
        # an inclusion proof that is too long
        need(last > 0 and len(sibling) == 32)
        if right := node & 1 or node == last:
            while node and not node & 1: node, last = node >> 1, last >> 1
        leaf = node_hash(sibling, leaf) if right else node_hash(leaf, sibling)
        node, last = node >> 1, last >> 1
    # an inclusion proof that does not lead to the root
    need(index < size and last == 0 and leaf == root)


# --- The policy: whose keys count (log, "Policies"). The inspector's own file, so read without distrust ----

SINGLE = "log quorum genesis max-rho max-rho-year min-reports min-group".split()
MANY = "witness group tuple forbid-field forbid-table forbid-relation min-colluding-schools".split()


def parse_policy(text: str) -> Bag:
    rows: dict[str, list[list[str]]] = defaultdict(list)
    for word, *values in filter(None, map(str.split, text.split("\n"))):
        if not word.startswith("#"): rows[word].append(values)
    # the policy needs one line each of SINGLE, at least one of witness and tuple, and no other words
    need(all(len(rows[word]) == 1 for word in SINGLE) and rows.keys() <= {*SINGLE, *MANY})
    one = SimpleNamespace(**{word.replace("-", "_"): rows[word][0][0] for word in SINGLE})
    witnesses = {name: parse_key(vkey) for name, vkey, *_ in rows["witness"]}
    groups = {name: ({"any": 1, "all": len(of)}.get(k) or int(k), of) for name, k, *of in rows["group"]}
    one.log, one.witnesses, one.groups = parse_key(one.log), witnesses, groups
    one.max_rho, one.max_rho_year = Fraction(one.max_rho), Fraction(one.max_rho_year)
    one.min_reports, one.min_group = int(one.min_reports), int(one.min_group)
    one.tuples = [[*map(int, row)] for row in rows["tuple"]]
    one.least_c = int((*rows["min-colluding-schools"], ["1"])[0][0])
    one.forbidden = {
        word: {row[0] for row in rows[f"forbid-{word}"]} for word in ("field", "table", "relation")
    }
    # the policy names no quorum of its witnesses, or a key of another kind or twice
    need(one.quorum in witnesses.keys() | groups.keys() and {key.kind for key in witnesses.values()} <= {4})
    # the policy names a key of another kind or twice, or allows a tuple that is not safe
    need(len({*witnesses.values()}) == len(witnesses) and one.log.kind == 1 and all(map(is_safe, one.tuples)))
    return one


# n auditors, t open, f may collude, q agree (protocol 1).
def is_safe(row: list[int]) -> bool:
    n, t, f, q = row
    return 1 <= t <= n <= 7 and 0 <= f < t and 2 * min(t, q) > n + f and t <= q <= n


# Signed by the log and cosigned by a quorum, by the keys that stand in the places of the policy's.
def check_trusted(note: Note, policy: Bag, log: Key, witnesses: dict[str, Key]) -> str:
    point = parse_checkpoint(note)
    signers = signers_of(note, [*witnesses.values(), *([log] if log.name == point.origin else [])])
    # a checkpoint that is not signed by the log that the policy names
    need(log in signers)
    good = {name for name, key in witnesses.items() if key in signers}
    what = f"size {point.size}, {len(good)} cosignatures"
    for name, (least, names) in policy.groups.items():
        good |= {name} if len(good.intersection(names)) >= least else set()
    # the policy's witnesses that cosigned a checkpoint are no quorum
    need(policy.quorum in good, what)
    return what


# --- Statements: one text, one meaning (protocol 4) --------------------------------------------------------
# Key and kind of each line in order; `*`: any number of lines; `+`: ends with digest and size of a body. All
# begin with the federation, those of a round with its id too; i, d, n, t are id, digest, number, time.

FORMATS = """
roster serial:0-18446744073709551615 previous:d kind:production|demo quorum:1-7 +
revoke roster:d subject:node|auditor id:i reason:code
plan serial:0-18446744073709551615 roster:d auditor*:i threshold:0-7 collude:0-7 quorum:0-7 min-reports:n \
colluding-schools:n min-group:n tier*:n rho:rational opens:t closes:t cells:1-1000000 \
noise*:table,1-1099511627776,1-16777216,d step*:table,1-12,1-16777216,d +
approval round:d roster:d auditor:i instance:instance round-key:key nonce:d draw:d
report round:d roster:d approvals:d node:i attempt:0-3 cells:1-1000000 vector:d seed*:1-127,d box*:i,d \
input:d software:d confinement:L[0-3] previous:d size:1-1099511627776
candidates round:d log-size:0-18446744073709551615 +
checked round:d auditor:i candidates:d +
close round:d candidates:d checked*:i,d tier:n reports:n +
agreement round:d auditor:i close:d
abandon round:d auditor:i close:d reason:code
opening round:d auditor:i close:d draw:d sum*:1-127,d
release round:d close:d status:ok|corrupt replicas:0-7 reports-in:n reports-out:n rho:rational \
agreement*:i,d opening*:i,d +
replayed round:d auditor:i node:i report:d outcome:PASS|FAIL confinement:L[0-3]
extension round:d serial:1-3 closes:t reason:code
extended round:d auditor:i extension:d
cancel round:d close:d successor:d reason:code
correction round:d release:d previous:d status:corrected|withdrawn table*:table successor:d reason:code
""".replace(" +", " body-sha256:d body-bytes:1-67108864").strip()
FIELDS = {row.split()[0]: ["federation:i", *row.split()[1:]] for row in FORMATS.split("\n")}
ZEROS = "0" * 64
WORDS = {
    "i": r"[a-z0-9][a-z0-9._-]{0,62}",
    "d": r"[0-9a-f]{64}",
    "t": r"[1-9][0-9]{3}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z",
    "table": r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}",
    "code": r"[a-z0-9][a-z0-9-]{0,62}",
    "instance": r"[0-9a-f]{32}",
    "key": r"[A-Za-z0-9+/]{1621}[AQgw]==",
    "rational": r"[0-9]{1,18}/[0-9]{1,18}",
}


def read_time(word: str) -> datetime: return datetime.strptime(word, "%Y-%m-%dT%H:%M:%SZ")


def ratio(value: Fraction) -> str: return f"{value.numerator}/{value.denominator}"


def read_word(kind: str, word: str) -> Any:
    low, dash, high = {"n": "0-10000000"}.get(kind, kind).partition("-")
    if dash and low.isdigit():
        # not a number in its range
        need(re.fullmatch("0|[1-9][0-9]{0,19}", word) and int(low) <= int(word) <= int(high), kind)
        return int(word)
    # a word that is not of its kind
    need(re.fullmatch(WORDS.get(kind, kind), word) and (kind != "t" or read_time(word)), kind)
    # a fraction that is not in lowest terms
    need(kind != "rational" or ratio(Fraction(word)) == word)
    return Fraction(word) if kind == "rational" else word


def parse_statement(text: str) -> Bag:
    first, *lines, last = text.split("\n")
    kind = first[len("fedscreen/") : -len("/v1")]
    # no statement of a known type, or more than 16 KiB
    need(first == f"fedscreen/{kind}/v1" and kind in FIELDS and not last and len(text.encode()) <= 16384)
    said: dict[str, Any] = {"type": kind, "text": text, "digest": hashlib.sha256(text.encode()).hexdigest()}
    at = 0
    for field in FIELDS[kind]:
        key, kinds = field.split(":", 1)
        name, rows = key.rstrip("*"), list[Any]()
        while at < len(lines) and lines[at].split(" ")[0] == name and (name != key or not rows):
            words = zip(kinds.split(","), lines[at].split(" ")[1:], strict=True)
            row = [read_word(*pair) for pair in words]
            rows.append(row if "," in kinds else row[0])
            at += 1
        # a statement without one of its lines
        need(name != key or rows, name)
        said[name.replace("-", "_")] = rows if name != key else rows[0]
    # a statement with a line that is not expected
    need(at == len(lines))
    return SimpleNamespace(**said)


# Bodies are canonical JSON: sorted keys, no white space, texts and integers below 2^53 only (protocol 2).
def encode_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def is_plain(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(is_plain, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) or (type(value) is int and abs(value) < 1 << 53)


def parse_json(data: bytes) -> Any:
    value = json.loads(data.decode())
    # a body that is not canonical JSON
    need(is_plain(value) and encode_json(value) == data)
    return value


def is_word(kind: str, *words: Any) -> bool:
    return all(isinstance(word, str) and re.fullmatch(WORDS.get(kind, kind), word) for word in words)


def is_ascending(items: Iterable[Any]) -> bool: return all(one < other for one, other in pairwise(items))


# --- Rosters: who takes part, and how keys follow each other (protocol 3 and 4) ----------------------------

ROSTER = {"auditors", "ca", "coordinator", "log", "nodes", "tuples"}
PARTIES = {
    "auditors": {"cosigner", "id", "operator", "outside", "statement"},
    "nodes": {"attributes", "id", "master", "operator", "report", "succeeds"},
}
LINE = r"[^\x00-\x1f]{1,200}"
ROLES = (("auditors", "statement", "auditor", 1), ("auditors", "cosigner", "witness", 4),
     ("nodes", "report", "node", 1))


def read_roster(s: Bag) -> None:
    body, keys = s.body, list[Key]()
    # a roster with other parts than it must have
    need(body.keys() == ROSTER and is_word("d", body["ca"]) and body["auditors"]
         and is_ascending(body["tuples"])
         and isinstance(body["tuples"], list))
    for name in ("log", "coordinator"):
        body[name] = key = parse_key(body[name])
        # a key of another name or kind
        need((key.name, key.kind) == (f"fedscreen/{s.federation}/{name}", 1), name)
        keys.append(key)
    for part, purpose, name, kind in ROLES:
        for row in body[part]:
            row[purpose] = key = parse_key(row[purpose])
            # a key of another name or kind
            need((key.name, key.kind) == (f"fedscreen/{s.federation}/{name}/{row['id']}", kind), row["id"])
            keys.append(key)
    for part in PARTIES:
        # a roster whose parties are not ascending, each once, with the parts that they must have
        need(is_ascending(row["id"] for row in body[part])
             and is_word("i", *(row["id"] for row in body[part])))
        for row in body[part]:
            # a party with other parts than it must have
            need(row.keys() - {"succession"} == PARTIES[part] and is_word(LINE, row["operator"]), row["id"])
            # a party with other parts than it must have
            need(part == "nodes" or (type(row["outside"]) is int and row["outside"] in (0, 1)), row["id"])
    for row in body["nodes"]:
        own = row["attributes"]
        # a node whose attributes are not at most 16 names with values, or that succeeds no list of ids
        need(is_word("i", *own, *row["succeeds"]) and is_word(LINE, *own.values()) and len(own) <= 16,
             row["id"])
        # a node without a commitment to its master secret, or that succeeds ids out of order
        need(is_word("d", row["master"]) and is_ascending(row["succeeds"])
             and isinstance(row["succeeds"], list), row["id"])
    # a key for two purposes, or a master secret of two nodes
    need(len({key.public for key in keys}) == len(keys)
         and len({row["master"] for row in body["nodes"]}) == len(body["nodes"]))


def keys_of(row: Bag) -> list[Key]:
    return [row[name] for name in ("statement", "cosigner", "report") if name in row]


class Log:
    def __init__(self, files: Files) -> None:
        self.files, self.said, self.rosters = files, list[Bag](), list[Bag]()
        self.rounds, self.digests, self.last = dict[str, Bag](), set[str](), dict[str, str]()
        self.revoked: dict[str, dict[str, int]] = {"nodes": {}, "auditors": {}}  # id -> position
        self.newest: dict[str, dict[str, Bag]] = {"nodes": {}, "auditors": {}}  # id -> last entry in a roster
        self.pairs: dict[str, list[Key]] = defaultdict(list)  # auditor -> its cosigner keys so far
        self.followed, self.successor = set[bytes](), dict[str, str]()

    # The one place that decides what may come next: form, body, the rule of its type, exactly its signatures.
    def append(self, entry: bytes) -> None:
        note = parse_note(entry, 24 * 1024)
        s = parse_statement(note[0])
        # a statement that stands in the log already, or is of another federation, or a log without a roster
        # first
        need(s.digest not in self.digests and s.federation == (self.rosters or [s])[0].federation)
        # a statement that stands in the log already, or is of another federation, or a log without a roster
        # first
        need(self.rosters or s.type == "roster")
        s.index, s.lines = len(self.said), note[1]
        s.body = self.read_body(s) if "body_bytes" in vars(s) else None
        signers = getattr(self, f"rule_{s.type}", self.rule_of_round)(s)
        # not signed by exactly those who must
        need([line[:2] for line in note[1]] == [key[:2] for key in signers])
        for line, key in zip(note[1], signers, strict=True): check_line(s.text, line, key)
        self.digests.add(s.digest)
        self.said.append(s)

    def read_body(self, s: Bag) -> Any:
        data = self.files.read(f"log/blob/{s.body_sha256}")
        # the body is not the one that the statement names
        need((hashlib.sha256(data).hexdigest(), len(data)) == (s.body_sha256, s.body_bytes))
        return parse_json(data)

    def roster_at(self, size: int) -> Bag:
        return next((row for row in reversed(self.rosters) if row.index < size), self.rosters[0])

    def rule_roster(self, s: Bag) -> list[Key]:
        read_roster(s)
        body, many = s.body, len(s.body["auditors"])
        old: Bag = self.rosters[-1] if self.rosters else None
        follows = (old.digest, old.serial + 1, old.kind) if old else (ZEROS, 1, s.kind)
        # a roster that does not follow the one in force
        need((s.previous, s.serial, s.kind) == follows)
        for row in body["tuples"]:
            # a tuple (n, t, f, q) or a quorum that is not safe; a single auditor is for a demo only
            need(is_safe(row) and row[0] <= many >= s.quorum and 2 * s.quorum > many + row[2]
                 and (row[0] > 1 or s.kind == "demo"))
        for part in PARTIES:
            for row in body[part]: self.check_succession(s.federation, part, row)
        self.check_mergers(body["nodes"])
        signers = self.roster_signers(s, old)
        before, heads = self.known_keys(), {body["log"].public, body["coordinator"].public}
        before |= {old.body["log"].public, old.body["coordinator"].public} if old else set()
        # a key came back that another one has followed
        need(not (heads | {key.public for part in PARTIES for row in body[part]
             for key in keys_of(row)}) & self.followed)
        for row in body["auditors"]: self.pairs[row["id"]].append(row["cosigner"])
        for part in PARTIES: self.newest[part].update((row["id"], row) for row in body[part])
        self.followed |= before - self.known_keys() - heads
        self.rosters.append(s)
        return signers

    def known_keys(self) -> set[bytes]:
        return {key.public for rows in self.newest.values() for row in rows.values() for key in keys_of(row)}

    # A key changes by the word of the one before it (protocol 3, "Key succession").
    def check_succession(self, federation: str, part: str, row: Bag) -> None:
        earlier: Bag = self.newest[part].get(row["id"], row)
        old, new = keys_of(earlier), keys_of(row)
        # new keys without a word of the old ones, or the other way round, or a node of another operator
        need(("succession" in row) == (old != new)
             and (part == "auditors" or row["operator"] == earlier["operator"]))
        if old != new:
            text = f"fedscreen/succession/v1\nfederation {federation}\nrole {part[:-1]}\nid {row['id']}\n"
            text += f"from {old[0].text}\nto {new[0].text}\n" + "".join(f"cosigner {key.text}\n"
                 for key in new[1:])
            check_line(text, parse_line(row["succession"]), old[0])

    def check_mergers(self, nodes: list[Bag]) -> None:
        present = {row["id"] for row in nodes}
        # a node came back that another one has succeeded
        need(not present & self.successor.keys())
        for row in nodes:
            for gone in row["succeeds"]:
                # a node succeeds one that has not left, or that another one succeeds
                need(gone in self.newest["nodes"].keys() - present
                     and self.successor.setdefault(gone, row["id"]) == row["id"])

    # The coordinator before, a quorum of the auditors before, and everyone who is new or has new keys.
    def roster_signers(self, s: Bag, old: Bag) -> list[Key]:
        former = {row["id"]: row for row in old.body["auditors"]} if old else {}
        now, lines = {row["id"]: row for row in s.body["auditors"]}, {line[:2] for line in s.lines}
        present = {name: row for name, row in ({**now,
             **{k: v for k, v in former.items() if k not in now}}).items() if row["statement"][:2] in lines}
        for name, row in now.items():
            # an auditor that is new, or has new keys, has not signed the roster
            need(name in present or (name in former and keys_of(former[name]) == keys_of(row)), name)
        # fewer auditors of the preceding roster have signed than its quorum
        need(not old or len((present.keys() & former.keys()) - self.revoked["auditors"].keys()) >= old.quorum)
        return [(old or s).body["coordinator"], *(row["statement"] for row in present.values())]

    def rule_revoke(self, s: Bag) -> list[Key]:
        roster, part, names = self.rosters[-1], f"{s.subject}s", [line[0] for line in s.lines]
        # it revokes nobody who stands in the roster in force unrevoked
        need(s.roster == roster.digest
             and s.id in {row["id"] for row in roster.body[part]} - self.revoked[part].keys())
        present = [row for row in roster.body["auditors"] if row["statement"].name in names]
        is_county = names == [roster.body["coordinator"].name]
        counted = {row["id"] for row in present} - self.revoked["auditors"].keys()
        # fewer auditors have signed than the quorum
        need(is_county or len(counted) >= roster.quorum)
        self.revoked[part][s.id] = s.index
        return [roster.body["coordinator"]] if is_county else [row["statement"] for row in present]

    # --- The rules of a round (protocol 6 and 7) -----------------------------------------------------------

    def rule_plan(self, s: Bag) -> list[Key]:
        roster, h, tables = self.rosters[-1], s.min_reports - s.colluding_schools, [row[0] for row in s.noise]
        n, t = len(s.auditor), s.threshold
        allowed = [row["id"] for row in roster.body["auditors"] if row["id"] not in self.revoked["auditors"]]
        # not the next plan under the roster in force, of auditors in its order, and of a tuple that it allows
        need((s.roster, s.serial) == (roster.digest, len(self.rounds) + 1)
             and [n, t, s.collude, s.quorum] in roster.body["tuples"])
        # not the next plan under the roster in force, of auditors in its order, and of a tuple that it allows
        need(s.auditor == [name for name in allowed if name in s.auditor])
        # a plan with too few schools, an empty window, no cost, or not one noise line a table
        need(s.min_reports >= 5 and s.colluding_schools >= 1 and s.min_group >= 1 and h >= 2
             and s.opens < s.closes and s.rho > 0 and len({*tables}) == len(tables) > 0)
        # the tiers of a ladder do not rise from above h, or are not one step line for each table and tier
        need(len(s.tier) <= 12 and is_ascending([h, *s.tier]) and [row[:2] for row in s.step]
             == [[t, k + 1] for t in tables for k in range(len(s.tier))])
        # more cells, or more noise, than is allowed
        need(s.cells * (1 + len(s.tier)) <= 10**6 and all(row[2] <= 2**24 for row in left(s, 0)))
        subsets = sorted(sum(1 << at for at in some) for some in combinations(range(n), n - t + 1))
        of = {name: [subset for subset in subsets if subset >> at & 1] for at, name in enumerate(s.auditor)}
        self.rounds[s.digest] = SimpleNamespace(
            plan=s, roster=roster, subsets=subsets, of=of, said=defaultdict(dict), reports={}, set=[],
            auditors={row["id"]: row for row in roster.body["auditors"]}, attempts=Counter(), closes=s.closes,
            nodes={row["id"]: row for row in roster.body["nodes"]}, extensions=[], corrections=[],
            names=[], candidates=None, close=None, release=None, cancel=None, apr=None)
        return [roster.body["coordinator"]]

    # Who signs: the node, the auditor with its key of the plan's roster, else the coordinator.
    def rule_of_round(self, s: Bag) -> list[Key]:
        # of no round of this log
        need(s.round in self.rounds)
        r, now = self.rounds[s.round], self.rosters[-1].body
        if s.type in ("report", "replayed"): return [getattr(self, s.type)(r, s)]
        if "auditor" in vars(s):
            # of no auditor of the plan, or of a revoked one, or said once already
            need(s.auditor in r.of.keys() - self.revoked["auditors"].keys()
                 and s.auditor not in r.said[s.type])
        getattr(self, s.type)(r, s)
        if "auditor" in vars(s):
            r.said[s.type][s.auditor] = s
            return [r.auditors[s.auditor]["statement"]]
        return [now["coordinator"] if s.type == "correction" else r.roster.body["coordinator"]]

    def replayed(self, r: Bag, s: Bag) -> Key:
        keys: dict[str, Key] = {row["id"]: row["statement"] for row in self.rosters[-1].body["auditors"]}
        # a replay by no auditor of the roster in force, or of no report of that node
        need(s.auditor not in self.revoked["auditors"]
             and (s.report, s.node) in {(row.digest, row.node) for row in r.reports.values()})
        return keys[s.auditor]

    def approval(self, r: Bag, s: Bag) -> None:
        # an approval of a round that was ended, or under another roster
        need(not r.cancel and s.roster == r.roster.digest)
        if len(r.said["approval"]) + 1 == len(r.of):
            texts = [(s if name == s.auditor else r.said["approval"][name]).text.encode()
                 for name in r.plan.auditor]
            r.apr = hashlib.sha256(b"".join(len(text).to_bytes(4, "big") + text
                 for text in texts)).hexdigest()

    def report(self, r: Bag, s: Bag) -> Bag:
        attempt, size = r.attempts[s.node], 8 * r.plan.cells * (1 + len(r.plan.tier))
        size += len(r.of) * (1136 + 36 * len(r.of[r.plan.auditor[0]]))
        # a report before all have approved, after the candidates or the end, or of no unrevoked node of the
        # plan's roster
        need(r.apr and not r.cancel and not r.candidates
             and s.node in r.nodes.keys() - self.revoked["nodes"].keys())
        # a report that is not the next of its node: roster, approvals, attempt, the one before it, cells and
        # size
        need([s.roster, s.approvals, s.attempt, s.previous, s.cells, s.size]
             == [r.roster.digest, r.apr, attempt, self.last.get(s.node, ZEROS), r.plan.cells, size])
        # a report whose seeds or boxes are not those of the plan's subsets and auditors
        need([row[0] for row in s.seed] == r.subsets and [row[0] for row in s.box] == r.plan.auditor)
        r.reports[s.node, attempt], r.attempts[s.node], self.last[s.node] = s, attempt + 1, s.digest
        return r.nodes[s.node]["report"]

    # S is a function of the log: of each unrevoked node the report with the highest attempt.
    def candidates(self, r: Bag, s: Bag) -> None:
        names = [(name, at - 1) for name, at in sorted(r.attempts.items())
             if name not in self.revoked["nodes"]]
        r.names = [[*name, r.reports[name].digest] for name in names]
        # candidates at a wrong time, or that are not the reports which stand in the log
        need(r.apr and not is_over(r) and not r.candidates and s.log_size == s.index
             and encode_json(s.body) == encode_json({"reports": r.names}))
        r.candidates = s

    def checked(self, r: Bag, s: Bag) -> None:
        rows, names = s.body["refused"], {(*row,) for row in r.names}
        # a check of other candidates, or after the close, or one that refuses what is no candidate
        need(r.candidates and s.candidates == r.candidates.digest and not r.close
             and {(*row[:3],) for row in rows} <= names)
        # a check whose body has another form
        need(s.body.keys() == {"refused"} and isinstance(rows, list) and is_ascending(row[0] for row in rows)
             and is_word("code", *(code for *_, code in rows)) and all(len(row) == 4 for row in rows))

    # S = candidates minus what the named checks refuse; the first of them in plan order gives the code.
    def close(self, r: Bag, s: Bag) -> None:
        # a close at a wrong time, or of other candidates, or that names too few checks
        need(r.candidates and not r.close and not is_over(r) and s.candidates == r.candidates.digest
             and names_logged(r, "checked", s.checked, r.plan.quorum))
        refused = [row for name, _ in s.checked[::-1] for row in r.said["checked"][name].body["refused"]]
        codes = {(*row,): code for *row, code in refused}
        r.set = [row for row in r.names if (*row,) not in codes]
        excluded = [[*row, codes[(*row,)]] for row in r.names if (*row,) in codes]
        operators = len({r.nodes[name]["operator"] for name, *_ in r.set})
        r.tier = sum(tier <= operators - r.plan.colluding_schools for tier in r.plan.tier)
        # S, its number or its tier is not what candidates and checks make it
        need(encode_json(s.body) == encode_json({"excluded": excluded, "set": r.set})
             and (s.reports, s.tier) == (len(r.set), r.tier))
        # S has fewer independent operators than min-reports
        need(operators >= r.plan.min_reports)
        r.close = s

    def agreement(self, r: Bag, s: Bag) -> None:
        closes = {r.close.digest} if r.close else set()
        # a second vote, or one about another close
        need(s.auditor not in r.said["agreement"] | r.said["abandon"]
             and s.close in closes | ({ZEROS} if s.type == "abandon" else set()))

    abandon = agreement

    def opening(self, r: Bag, s: Bag) -> None:
        # an opening of another close, before q have agreed, or after an abandon of the same auditor
        need(r.close and s.close == r.close.digest and len(r.said["agreement"]) >= r.plan.quorum
             and s.auditor not in r.said["abandon"])
        # an opening with other subsets than the auditor's, or a draw that its approval does not commit to
        need([row[0] for row in s.sum] == r.of[s.auditor]
             and hashlib.sha256(bytes.fromhex(s.draw)).hexdigest() == r.said["approval"][s.auditor].draw)

    def release(self, r: Bag, s: Bag) -> None:
        tables = s.body["tables"]
        # a release at a wrong time or of another close, or that names too few agreements or openings
        need(r.close and not r.release and not is_over(r) and s.close == r.close.digest
             and names_logged(r, "agreement", s.agreement, r.plan.quorum)
             and names_logged(r, "opening", s.opening, r.plan.threshold))
        sums = [(*row,) for name, _ in s.opening for row in r.said["opening"][name].sum]
        replicas = Counter(subset for subset, _ in sums)
        # openings that do not cover each subset, or contradict each other, or the fewest replicas stated
        # wrongly
        need(sorted(replicas) == r.subsets and s.replicas == min(replicas.values())
             and (s.status == "corrupt" or len({*sums}) == len(r.subsets)))
        # another number of reports than the close's, or another cost than the plan's
        need((s.reports_in, s.reports_out, s.rho) == (len(r.set), len(r.names) - len(r.set), r.plan.rho))
        # other tables than the plan's at this tier, or other cells
        need([(row["id"], row["scale"], row["s2"]) for row in tables]
             == (left(r.plan, r.tier) if s.status == "ok" else []) and s.body.keys() == {"tables"})
        # tables of another form
        need(isinstance(tables, list) and all(row.keys() == {"id", "s2", "scale", "sums"} for row in tables)
             and all(isinstance(row["sums"], list) and {*map(type, row["sums"])} <= {int} for row in tables))
        # other tables than the plan's at this tier, or other cells
        need(sum(len(row["sums"]) for row in tables) in (r.plan.cells, 0 if s.status == "corrupt" else -1))
        r.release = s

    # Deadlines, the county's end, what is said of a release later (ADR 19).
    def extension(self, r: Bag, s: Bag) -> None:
        # an extension at a wrong time, or not the next one, or not later, or more than 60 days
        need(r.apr and not is_over(r) and not r.candidates and s.serial == len(r.extensions) + 1
             and r.closes < s.closes and read_time(s.closes) - read_time(r.plan.closes) <= timedelta(days=60))
        r.extensions.append(s)
        r.said["extended"] = {}

    def extended(self, r: Bag, s: Bag) -> None:
        # a grant at a wrong time, or of another extension than the newest
        need(not is_over(r) and not r.candidates and s.auditor not in r.said["abandon"] and r.extensions
             and s.extension == r.extensions[-1].digest)
        if len(r.said["extended"]) + 1 >= r.plan.quorum: r.closes = r.extensions[-1].closes

    def cancel(self, r: Bag, s: Bag) -> None:
        # the county's end comes twice, or after a release, or names another close
        need(not r.cancel and not r.release and s.close == (r.close.digest if r.close else ZEROS))
        # a round is issued anew that has reports, or by an earlier one
        need(s.successor == ZEROS or (not r.reports and self.rounds[s.successor].plan.serial > r.plan.serial))
        r.cancel = s

    def correction(self, r: Bag, s: Bag) -> None:
        last, standing = ZEROS, {row.status for row in r.corrections}
        if r.corrections: last = r.corrections[-1].digest
        # a correction of no release with numbers, or that does not name the one before it
        need(r.release and r.release.status == "ok" and (s.release, s.previous) == (r.release.digest, last))
        # a correction of tables out of the plan's order, or a withdrawal of some, or after a withdrawal more
        # than a successor
        need(s.table == [row[0] for row in r.plan.noise if row[0] in s.table]
             and not (s.table and s.status == "withdrawn") and not ("withdrawn" in standing
             and (s.successor == ZEROS or s.table or s.status == "withdrawn")))
        other = self.rounds[s.successor] if s.successor != ZEROS else None
        # a successor that is no later round with numbers
        need(not other or (other.plan.serial > r.plan.serial and other.release
             and other.release.status == "ok"))
        r.corrections.append(s)


# Ended by the county, or by more auditors than q agreements can do without.
def is_over(r: Bag) -> bool: return bool(r.cancel) or len(r.said["abandon"]) > len(r.of) - r.plan.quorum


# Are these at least so many references to what is logged, in plan order?
def names_logged(r: Bag, kind: str, named: list[Any], least: int) -> bool:
    said, names = r.said[kind], {row[0] for row in named}
    return len(named) >= least and named == [[a, said[a].digest] for a in r.plan.auditor if a in said
         and a in names]


# Table, scale and the variance that a school leaves in a cell at a tier (protocol 5, the ladder).
def left(plan: Bag, tier: int) -> list[tuple[str, int, int]]:
    steps = [row for row in plan.step if row[1] > tier]
    return [(t, scale, s2 + sum(row[2] for row in steps if row[0] == t)) for t, scale, s2, _ in plan.noise]


# --- What a plan means and what it costs (protocol 5, "Cells"; privacy, "Sensitivity", "Noise", "Turnout") -

CODES = {name: codes.split() for names, codes in (row.split(": ") for row in """\
grade: 1 2 3 4 5 6 7 8 9 10 11 12 V1 V2 V3
stage: primary junior senior vocational
sex boarding: 1 2 9
pool: 1 2 3 9
left_behind: 0 1 2 9
family found_by: 1 2 3 4 9
migrant critical file_built carer_assigned home_visit handed_over: 0 1 9
disposition: 1 2 3 4 5 6 7 8
recheck level level2 level_before: 0 1 2 3 9
ref_dest: 1 2 3 4 5 6 9
outcome: 1 2 3 4 5 6 7 9
alert: low high 9
review: 3 14 15
groups_held: 3 4
band: 0 1 2 3 4 5 6 7 8 9
group: g1 g2 g3 g4 g5 g6 g7 g9
flag: reviewed guardian_told supported referral_advised referral_attended green_channel_free closed
system: 6-3 5-4""".split("\n")) for name in names.split()}
PLAN = {*"format id title purpose recipients legal_basis consent release_class wave school_year census_date \
neighbouring grades systems critical_items floors instruments tables attributes".split()}
TABLE = {*"id title dims where multi touch weight instrument reason".split()}


def in_order(some: Any, known: list[str]) -> bool:
    return bool(some) and some == [code for code in known if code in some]


# One line that a person reads: NFC, trimmed, nothing invisible.
def is_text(text: Any, most: int, least: int = 1) -> bool:
    return (isinstance(text, str) and least <= len(text) <= most and text == text.strip()
         and unicodedata.is_normalized("NFC", text)
            and not {*map(unicodedata.category, text)} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


# The codes of pairs of a code and its label, each once.
def codes_of(pairs: list[list[str]], most: int, longest: int) -> list[str]:
    codes = [code for code, _ in pairs]
    # a list of codes and labels of a wrong form
    need(isinstance(pairs, list) and {*map(type, pairs)} <= {list} and len({*codes}) == len(codes) <= most
         and all(is_text(code, longest) and is_text(label, 80) for code, label in pairs))
    return codes


def check_instrument(keys: Any, row: Bag) -> None:
    scores = [Fraction(score) for score in row["total"] if is_word(SCORE, score)]
    # an instrument of a wrong form: id, digest of its codebook, range of scores, factors
    need(keys == {"id", "digest", "total", "factors"} and is_word("i", row["id"])
         and is_word(f"({WORDS['d']})?", row["digest"])
         and isinstance(row["total"], list) and len(row["total"]) == len(scores) == 2
         and scores[0] < scores[1]
         and is_word("[a-z][a-z0-9_]{0,31}", *codes_of(row["factors"], 32, 32)))


SCORE = r"0|-?[1-9][0-9]{0,5}|-?(0|[1-9][0-9]{0,5})\.[0-9]{0,3}[1-9]"


def stage_of(grade: str, system: str) -> str:
    if grade[0] == "V" or int(grade) > 9: return "vocational" if grade[0] == "V" else "senior"
    return "primary" if int(grade) <= (6 if system == "6-3" else 5) else "junior"


def read_plan(p: Bag) -> Bag:
    body, codes, closes = p.body, {**CODES}, read_time(p.closes)
    day = datetime.strptime(body["census_date"], "%Y-%m-%d")
    year = day.year - (day.month < 9)
    # a plan with other parts than it must have
    need(body.keys() | {"attributes"} == PLAN and body["format"] == "fedscreen/plan/v1")
    # a school year that is not the census date's, or a window of more than 200 days, or before the census
    need((body["school_year"], body["census_date"]) == (f"{year}-{year + 1}", f"{day:%Y-%m-%d}")
         and year >= 1999
         and closes - read_time(p.opens) <= timedelta(days=200) and day.date() <= closes.date())
    # floors, cost, min-reports, min-group, tiers or grades that no plan may have
    need(body["floors"].keys() == {"display", "denominator"} and body["floors"]["display"] in range(11, 10001)
         and body["floors"]["denominator"] in range(30, 100001) and p.rho <= Fraction(1,
              2) and p.min_group >= 5
         and max(p.min_reports, p.min_group, *p.tier, 0) <= 200_000
         and in_order(body["grades"], CODES["grade"]) and in_order(body["systems"], CODES["system"]))
    # words that no plan may have
    need(body["neighbouring"] in ("replace-one", "add-remove")
         and body["consent"] in ("require", "record-only")
         and body["release_class"] in ("internal", "on-request", "public") and body["wave"] in ("A", "S", "X")
         and body["critical_items"] in ("off", "counted") and is_word("i", body["id"]))
    # words that a person reads, of a wrong form
    need(is_text(body["title"], 80) and is_text(body["purpose"], 300) and is_text(body["legal_basis"], 300)
         and isinstance(body["recipients"], list) and {*map(type, body["recipients"])} == {str}
         and len({*body["recipients"]}) == len(body["recipients"]) <= 8
         and all(is_text(row, 80) for row in body["recipients"]))
    for row in body["instruments"]: check_instrument(row.keys(), row)
    # no instrument, too many, or two of one name
    need(1 <= len({row["id"] for row in body["instruments"]}) == len(body["instruments"]) <= 8)
    attributes = {name: codes_of(rows, 200, 64) for name, rows in body.get("attributes", {}).items()}
    # attributes of a wrong form
    need(is_word("i", *attributes) and len(attributes) <= 4
         and not attributes.keys() & (CODES.keys() - {"system"} | {"factor"})
         and all(attributes.values()) and body.get("attributes") != {})
    stages = {stage_of(grade, system) for grade in body["grades"] for system in body["systems"]}
    codes |= {"grade": body["grades"], "stage": [name for name in CODES["stage"] if name in stages],
         **attributes}
    tables = [read_table(SimpleNamespace(**spec), spec.keys(), body, codes, attributes)
         for spec in body["tables"]]
    names, weights = {t.id.casefold() for t in tables}, sum(t.share for t in tables)
    # no table, too many, two of one name, or too many cells
    need(1 <= len(names) == len(tables) <= 48 and sum(t.cells for t in tables) <= 100_000)
    tiers = [p.min_reports - p.colluding_schools, *p.tier]
    for t in tables: t.scale, t.parts = size_noise(t.delta_sq, p.rho * t.share / weights, tiers)
    rho = sum(max(cost(t.delta_sq * t.scale**2, t.parts, tiers, k) for k in range(len(tiers)))
         for t in tables)
    return SimpleNamespace(tables=tables, cells=sum(t.cells for t in tables), rho=rho, attributes=attributes)


def read_table(t: Bag, keys: Any, body: Bag, codes: dict[str, list[str]], attributes: Any) -> Bag:
    named, sets = {*t.dims, *t.where}, [name for name in t.dims if name in ("group", "flag", "factor")]
    t.range, t.sum = getattr(t, "range", [0, 1]), getattr(t, "sum", "")
    mine = [row for row in body["instruments"] if row["id"] == t.instrument
         or (not t.instrument and len(body["instruments"]) == 1)]
    known = {**CODES, **codes, "factor": [name for name, _ in mine[0]["factors"]] if mine else []}
    full = {**CODES, **attributes}
    del full["system"], known["system"]
    t.codes = [[code for code in known[name] if code in t.where.get(name, known[name])] for name in t.dims]
    # a table with other parts than it must have
    need(keys - {"sum", "range"} == TABLE and is_word("table", t.id) and 1 <= len({*t.dims})
         == len(t.dims) <= 6
         and is_text(t.title, 60) and is_text(t.reason, 300, least=0) and isinstance(t.instrument,
              str) and isinstance(t.dims, list))
    for name, kept in t.where.items():
        # a filter by what cannot be filtered, or of codes that are none or out of order
        need(in_order(kept, full[name]) and name != "band"
             and (name in t.dims or name not in ("group", "flag")))
        # a filter by codes that this plan does not have
        need(not {name} & {*t.dims, *attributes} or in_order(kept, known[name]))
    is_scored = bool(named & {"band", "factor"}) or t.sum == "total"
    # a table of a set without its name and cap, of no or several instruments, of self-harm items that are off
    need(all(t.codes) and [t.multi] == (sets or [""]) and type(t.touch) is int
         and (mine or not (is_scored or t.instrument))
         and 1 <= t.touch <= (min(64, len(t.codes[t.dims.index(t.multi)])) if sets else 1)
         and ("critical" not in named or body["critical_items"] == "counted"))
    low, high = t.range
    # a sum of what cannot be summed, or over a wrong range, or over a set
    need(("sum" in keys) == ("range" in keys) and (not t.sum
         or (t.sum in ("total", "days_to_review", "duration_s") and not sets))
         and 1 <= high - low <= 1 << 20 and max(abs(low), abs(high)) <= 1 << 20)
    t.share, t.cells = Fraction(t.weight), math.prod(map(len, t.codes))
    # a weight that is not above 0, at most 1000, and in lowest terms
    need(str(t.share) == t.weight and 0 < t.share <= 1000)
    t.delta_sq = (2 if body["neighbouring"] == "replace-one" else 1) * t.touch * (high - low) ** 2
    return t


# Every form of e^2 in privacy.md is the quotient below plus a term in tau, and tau is positive and below
# 1e-37:
# it decides only whether a cost that is a whole multiple of 1e-15 is rounded up to the next one. It is.
def cost(delta_sq: int, parts: list[int], tiers: list[int], tier: int) -> Fraction:
    variance = tiers[tier] * (parts[0] + sum(parts[tier + 1 :]))
    return Fraction(delta_sq * 10**15 // (2 * variance) + 1, 10**15)


def size_noise(delta_sq: int, rho: Fraction, tiers: list[int]) -> tuple[int, list[int]]:
    def parts_at(scale: int) -> list[int]:
        v = Fraction(delta_sq * scale**2) / (2 * rho)
        parts = [math.ceil(v / tiers[-1])]
        parts += [math.ceil(v * (Fraction(1, low) - Fraction(1, high))) for low, high in pairwise(tiers)]
        while min(parts) >= 9 and sum(parts) <= 2**24 and any(
            cost(delta_sq * scale**2, parts, tiers, tier) > rho for tier in range(len(tiers))
        ):
            parts[0] += 1
        return parts

    scale, ladder = 64, len(tiers) > 1
    while scale < 1 << 20 and not ((parts := parts_at(scale))[0] >= 100 * len(parts) * ladder
         and min(parts) >= 9):
        scale *= 2
    while scale > 1 and sum(parts_at(scale)) > 2**24: scale //= 2
    # a table's share of the cost gives no noise that the mechanism covers
    need(min(parts_at(scale)) >= 9 and sum(parts_at(scale)) <= 2**24)
    return scale, parts_at(scale)


# SHA-256 of the sampler's thresholds (privacy, "The sampler"), with weights in steps of 2^-340: the sums are
# off
# by less than 2^-320, and a threshold that this would not decide is never met, and would be said.
@lru_cache(maxsize=1024)
def thresholds_digest(s2: int) -> str:
    digits, one = Context(prec=110), Decimal(2**340)
    powers = (digits.divide(Decimal(-k * k), Decimal(2 * s2)) for k in range(1, math.isqrt(460 * s2) + 2))
    weights = [int(digits.multiply(digits.exp(power), one)) for power in powers]
    total, running, above = 2**340 + 2 * sum(weights), 2**339, list[int]()
    for weight in weights[: math.isqrt(196 * s2) + 1]:
        value, rest = divmod(running << 128, total)
        # digits that do not decide a threshold
        need(total >> 80 < rest < total - (total >> 80))
        above.append(2**127 + value)
        running += weight
    rows = [*(2**128 - value - 1 for value in reversed(above)), *above, 2**128]
    return hashlib.sha256(b"".join(value.to_bytes(17, "little") for value in rows)).hexdigest()


# Groups of schools behind combinations of roster attributes, and those that one table counts beyond another:
# is one of them, among these nodes, smaller than min-group? (protocol 1)
def has_small_group(r: Bag, view: Bag, nodes: Iterable[str]) -> bool:
    own = {name: r.nodes[name]["attributes"] for name in nodes}
    own = {k: v for k, v in own.items() if all(v.get(a) in codes for a, codes in view.attributes.items())}
    known, sizes = {*view.attributes, *chain(*(row["attributes"] for row in r.nodes.values()))}, list[int]()

    def groups(names: Iterable[str], by: tuple[str, ...]) -> dict[Any, set[str]]:
        found: dict[Any, set[str]] = defaultdict(set)
        for name in names: found[tuple(own[name].get(key, "") for key in by)].add(name)
        return found

    shown: dict[str, dict[Any, set[str]]] = defaultdict(lambda: defaultdict(set))
    for t in view.tables:
        used = tuple(sorted(known & {*t.dims, *t.where}))
        shown[t.sum][used] |= set()
        for values, members in groups(own, used).items():
            kept = [key not in view.attributes or value in t.where.get(key, view.attributes[key]) for key,
                 value in zip(used, values, strict=True)]
            if all(kept):
                shown[t.sum][used] |= members
                sizes += [len(members)] if used else []
    for seen in shown.values():
        for used, other in permutations(seen, 2):
            both = tuple(key for key in used if key in other)
            there = groups(seen[other], both)
            for values, members in groups(seen[used], both).items():
                counted = there.get(values, set())
                sizes += [len(members - counted)] if counted <= members and members > counted else []
    return any(size < r.plan.min_group for size in sizes)


# --- The checks, in their order ----------------------------------------------------------------------------


def policy_of(b: Bag) -> Bag:
    if b.policy is None: raise Skip("no policy was given; keys out of the bundle prove nothing")
    return b.policy


def check_policy(b: Bag) -> str:
    policy = policy_of(b)
    return f"log {policy.log.name}, {len(policy.witnesses)} witnesses, genesis {policy.genesis[:16]}"


def check_checkpoint(b: Bag) -> str:
    b.data = b.files.read("log/checkpoint")
    b.note = parse_note(b.data)
    b.point = parse_checkpoint(b.note)
    policy = policy_of(b)
    try:
        return check_trusted(b.note, policy, policy.log, policy.witnesses)
    except Fail:
        log, entries = Log(b.files), read_entries(b)
        first = parse_statement(parse_note(entries[0])[0])
        # a checkpoint that is not signed by the policy's keys, over a log with another genesis
        need(first.digest == policy.genesis)
        for entry in entries: log.append(entry)
        # a checkpoint that is not signed by the policy's keys, over a log with another genesis
        need(log.rosters[0].body["log"] == policy.log)
        return check_trusted(b.note, policy, *followed(log, policy, b.point.size))


# The keys in the places of the policy's, by the rosters up to a tree size (protocol 3, "What counts").
def followed(log: Log, policy: Bag, size: int) -> tuple[Key, dict[str, Key]]:
    body = log.roster_at(size).body
    now = {key: row["cosigner"] for row in body["auditors"] for key in log.pairs[row["id"]]}
    logs = {row.body["log"] for row in log.rosters}
    return body["log"] if policy.log in logs else policy.log, {name: now.get(key, key) for name,
         key in policy.witnesses.items()}


def read_entries(b: Bag) -> list[bytes]:
    if b.point is None: raise Skip("the checkpoint cannot be read")
    # a tree without entries, or of too many
    need(0 < b.point.size <= 10**7)
    entries, held = list[bytes](), 0
    for path, part in tiles(b.point.size):
        data, at = b.files.read(f"log/tile/entries/{path}"), 0
        for _ in range(part.stop - part.start):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            entries.append(data[at + 2 : end])
            at = end
        held += len(data)
        # a bundle of entries that ends within one, or goes on behind the last, or more than this program
        # holds
        need(at == len(data) and held <= MAX_HELD, path)
    return entries


def check_tree(b: Bag) -> str:
    if b.point is None: raise Skip("the checkpoint cannot be read")
    size = b.point.size
    # a tree without entries, or of too many
    need(0 < size <= 10**7)
    wanted = [("entries", path, 0, part) for path, part in tiles(size)]
    for level in range((size.bit_length() + 7) // 8):
        wanted += [(str(level), path, level, part) for path, part in tiles(size >> 8 * level)]
    b.files.only("log/tile", (f"log/tile/{kind}/{path}" for kind, path, _, _ in wanted))
    entries = read_entries(b)
    b.levels = tree_levels(entries)
    # the entries have another root than the checkpoint
    need(tree_root(b.levels, size) == b.point.root)
    b.entries = entries
    for kind, path, level, part in wanted:
        # a tile that is not the one of the entries
        need(kind == "entries" or b.files.read(f"log/tile/{kind}/{path}")
             == b"".join(b.levels[8 * level][part]), path)
    return f"{size} entries, {len(wanted)} tiles"


def check_bodies(b: Bag) -> str:
    if not b.entries: raise Skip("the entries cannot be read")
    said = [parse_statement(parse_note(entry)[0]) for entry in b.entries]
    named = {f"log/blob/{s.body_sha256}": s for s in said if "body_bytes" in vars(s)}
    b.files.only("log/blob", named)
    for path, s in named.items():
        if path not in b.files.paths: raise Skip(f"{path} is missing")
        # a body that is not the one that its statement names
        need(b.files.describe(path) == (s.body_sha256, str(s.body_bytes)), path)
    b.said = said
    return f"{len(named)} bodies"


def check_genesis(b: Bag) -> str:
    policy = policy_of(b)
    if not b.entries: raise Skip("the entries cannot be read")
    found = hashlib.sha256(parse_note(b.entries[0])[0].encode()).hexdigest()
    # the log does not begin with the roster that the policy pins
    need(found == policy.genesis, found)
    return found


def check_entries(b: Bag) -> str:
    if not b.said: raise Skip("the entries cannot be read")
    key = parse_key(parse_json(b.files.read(f"log/blob/{b.said[0].body_sha256}"))["log"])
    # the genesis roster has another log key than the policy
    need(b.policy is None or key == b.policy.log)
    b.log = log = Log(b.files)
    for s, entry in zip(b.said, b.entries, strict=True):
        try:
            log.append(entry)
        except Exception as err:
            b.stopped, b.why = s.type, f"entry {len(log.said)} ({s.type}): {reason(err)}"
            raise Fail(b.why)
    roster = log.roster_at(b.point.size)
    gone = log.revoked["auditors"]
    keys = {row["cosigner"] for row in roster.body["auditors"] if row["id"] not in gone}
    signers = signers_of(b.note, [roster.body["log"], *keys])
    # the checkpoint is not signed by the log key of the roster in force and a quorum of its auditors
    need(b.point.origin == roster.body["log"].name and roster.body["log"] in signers
         and len(signers & keys) >= roster.quorum)
    return f"{len(log.said)} entries follow the rules"


def whole(b: Bag) -> Log:
    if b.log is None or b.stopped: raise Skip("the log could not be read, or only in part")
    return b.log  # type: ignore[no-any-return]


# All rounds; what a check is about fails if the log broke off at a statement of one of these types.
def any_rounds(b: Bag, *types: str) -> list[Bag]:
    # the log broke off at such a statement
    need(not b.stopped or b.stopped not in types, b.why)
    return [*whole(b).rounds.values()]


def rounds(b: Bag, *types: str) -> list[Bag]:
    if not (found := any_rounds(b, *types)): raise Skip("the log has no round")
    return found


def released(b: Bag, *types: str) -> list[tuple[str, Bag]]:
    return [(r.plan.digest, r) for r in any_rounds(b, *types) if r.release and r.release.status == "ok"]


def count(number: int, what: str) -> str:
    if not number: raise Skip(f"nothing to look at: 0 {what}")
    return f"{number} {what}"


def check_rosters(b: Bag) -> str:
    # the log broke off at a roster
    need(b.stopped != "roster", b.why)
    rosters, policy = whole(b).rosters, policy_of(b)
    known = {row["cosigner"] for roster in rosters for row in roster.body["auditors"]}
    # a witness of the policy is no auditor of this federation
    need({*policy.witnesses.values()} <= known)
    return f"{len(rosters)} rosters, {len(rosters[-1].body['nodes'])} nodes"


def view(r: Bag) -> Bag:
    if "view" not in vars(r): r.view = read_plan(r.plan)
    return r.view


def check_plans(b: Bag) -> str:
    for r in rounds(b, "plan"):
        v, p, policy = view(r), r.plan, b.policy
        # a plan with other cells or tables than follow from it, or that costs more than it says
        need([p.cells, [row[0] for row in p.noise]] == [v.cells, [t.id for t in v.tables]] and v.rho <= p.rho)
        check_noise_lines(r)
        used = {name for t in v.tables for name in (*t.dims, *t.where, t.sum)}
        # a plan that all approved and the policy does not allow: tuple, min-reports, min-group, what is
        # forbidden; before all have approved no report can follow, and a county's draft proves nothing
        need(not policy or not r.apr or ([len(p.auditor), p.threshold, p.collude, p.quorum] in policy.tuples
             and p.min_reports >= policy.min_reports and p.min_group >= policy.min_group
             and p.colluding_schools >= policy.least_c and not used & policy.forbidden["field"]
             and not {t.id for t in v.tables} & policy.forbidden["table"]
             and p.body["neighbouring"] not in policy.forbidden["relation"]))
    return count(len(b.log.rounds), "plans") + not_judged(b)


def not_judged(b: Bag) -> str:
    number = sum(not r.apr for r in b.log.rounds.values()) if b.policy else 0
    return f"; not approved by all their auditors, so not judged by the policy: {number}" if number else ""


def check_noise_lines(r: Bag) -> None:
    lines = [[t.id, t.scale, t.parts[0], thresholds_digest(t.parts[0])] for t in view(r).tables]
    steps = [[t.id, k, s, thresholds_digest(s)] for t in view(r).tables for k, s in enumerate(t.parts[1:], 1)]
    # noise or step lines that do not follow from the plan: scale, variance, thresholds
    need(r.plan.noise == lines and r.plan.step == steps)


def check_approvals(b: Bag) -> str:
    said = [s for r in rounds(b, "approval") for s in r.said["approval"].values()]
    # a round key, nonce or draw that was used before
    need(len({value for s in said for value in (s.round_key, s.nonce, s.draw)}) == 3 * len(said))
    return count(len(said), "approvals")


# What the rules of the log have decided already when the log is whole: S as a function of the log, refusals,
# votes. These checks say where it broke off, and how much there was to look at.
def check_said(b: Bag, what: str) -> str:
    types = {"votes": ("agreement", "abandon"), "reports": ("report",)}.get(what, (what,))
    rows = [s for r in rounds(b, *types) for s in b.log.said if s.type in types and s.round == r.plan.digest]
    return count(sum(len(s.body["reports"]) for s in rows) if what == "candidates" else len(rows), what)


def check_close(b: Bag) -> str:
    closed = [r for r in rounds(b, "close") if r.close]
    for r in closed:
        # a group of schools in S is smaller than min-group
        need(not has_small_group(r, view(r), [name for name, *_ in r.set]), f"round {r.plan.serial}")
        reports = [r.reports[node, at] for node, at, _ in r.set]
        sent = [value for s in reports for value in {s.vector, *(digest for _, digest in s.box)}]
        # two reports of S share a vector or a box: one was copied
        need(len({*sent}) == len(sent), f"round {r.plan.serial}")
    return count(len(closed), "closes")


def check_openings(b: Bag) -> str:
    said = [s for r in rounds(b, "opening", "release") for s in r.said["opening"].values()]
    for _, r in released(b):
        named = {name for name, _ in r.release.opening}
        good = {(*row,) for name in named for row in r.said["opening"][name].sum}
        against = sum(not {(*row,) for row in s.sum} <= good for s in r.said["opening"].values())
        # openings contradict the release, and those that it names do not decide who is right
        need(len(named) >= r.plan.threshold + against, f"round {r.plan.serial}")
    return count(len(said), "openings")


# c2sp.org/tlog-proof: index, hashes, checkpoint.
def parse_receipt(data: bytes) -> tuple[int, list[bytes], Note]:
    head, _, note = data.partition(b"\n\n")
    first, *lines = head.decode("ascii").split("\n")
    if lines[0].startswith("extra "): decode64(lines.pop(0)[6:])
    hashes = [decode64(line) for line in lines[1:]]
    # a receipt of another format
    need(first == "c2sp.org/tlog-proof@v1" and re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[0])
         and len(hashes) <= 63 and all(len(row) == 32 for row in hashes))
    return int(lines[0][6:]), hashes, parse_note(note)


def check_receipts(b: Bag) -> str:
    rows = [(f"receipts/{name}/{node}.{at}.tlog-proof", r.reports[node, at].index)
            for name, r in released(b, "report") for node, at, _ in r.set]
    b.files.only("receipts", (path for path, _ in rows))
    log, policy = whole(b), policy_of(b)
    for path, position in rows:
        index, hashes, note = parse_receipt(b.files.read(path, 1 << 20))
        point = parse_checkpoint(note)
        check_trusted(note, policy, *followed(log, policy, point.size))
        # a receipt for another entry than its report
        need(index == position, path)
        check_inclusion(b.levels[0][position], position, point.size, hashes, point.root)
        # a receipt under a checkpoint of another history
        need(point.size <= len(b.entries) and tree_root(b.levels, point.size) == point.root, path)
    return count(len(rows), "receipts")


def check_changes(b: Bag) -> str:
    log = whole(b)
    number = sum(s.type in ("extension", "extended", "cancel", "correction") for s in log.said)
    told = [f"; round {r.plan.serial}: its release was {r.corrections[-1].status}"
         for r in log.rounds.values() if r.corrections]
    return f"{number} changes" + "".join(told)


# Elements of the field p = 2^64 - 2^32 + 1, 8 bytes little-endian each, below p (protocol 1).
FIELD = 2**64 - 2**32 + 1


def read_vector(b: Bag, path: str, digest: str, length: int) -> tuple[int, ...]:
    data = b.files.read(path)
    # a vector or sum that is not the one whose digest was signed, or of another length
    need(hashlib.sha256(data).hexdigest() == digest and len(data) == 8 * length, path)
    vector = struct.unpack(f"<{length}Q", data)
    # a vector with an element that is not below p
    need(max(vector) < FIELD, path)
    return vector


# Paths, digests and lengths of the vectors of S, or of the sums that the release names.
def parts_of(b: Bag, what: str, type_: str) -> list[tuple[Bag, str, str, int]]:
    if b.kind != "auditor": raise Skip("a public bundle has no vectors and no mask sums")
    if what == "reports":
        return [(r, f"reports/{name}/{node}.{at}.y", r.reports[node, at].vector,
             r.plan.cells * (1 + len(r.plan.tier)))
                for name, r in released(b, type_) for node, at, _ in r.set]
    return [(r, f"sums/{name}/{auditor}.{subset}.sum", digest, r.plan.cells) for name, r in released(b, type_)
            for auditor, _ in r.release.opening for subset, digest in r.said["opening"][auditor].sum]


def check_parts(b: Bag, what: str) -> str:
    rows = parts_of(b, what, "report" if what == "reports" else "opening")
    b.files.only(what, (path for _, path, _, _ in rows))
    for _, path, digest, length in rows: read_vector(b, path, digest, length)
    return count(len(rows), what)


# Sum over S of y, without the steps up to the tier, plus each subset's mask sum once, lifted to -p/2 .. p/2.
def check_arithmetic(b: Bag) -> str:
    number = 0
    totals: dict[int, list[int]] = defaultdict(list)
    for r, path, digest, length in parts_of(b, "reports", "release"):
        vector, cells = read_vector(b, path, digest, length), r.plan.cells
        for _ in range(r.tier):
            vector = (*map(int.__sub__, vector[:cells], vector[cells : 2 * cells]), *vector[2 * cells :])
        totals[r.plan.serial] = [*map(int.__add__, totals[r.plan.serial] or [0] * cells, vector)]
    used = set[tuple[int, str]]()
    for r, path, digest, length in parts_of(b, "sums", "release"):
        vector, subset = read_vector(b, path, digest, length), (r.plan.serial, path.split(".")[-2])
        if subset not in used: totals[r.plan.serial] = [*map(int.__add__, totals[r.plan.serial], vector)]
        used.add(subset)
    for _, r in released(b, "release"):
        found = [(value + FIELD // 2) % FIELD - FIELD // 2 for value in totals[r.plan.serial]]
        # vectors and masks add up to another result than the release
        need(found == [value for row in r.release.body["tables"] for value in row["sums"]],
             f"round {r.plan.serial}")
        number += len(found)
    return count(number, "cells")


def check_noise(b: Bag) -> str:
    for r in rounds(b): check_noise_lines(r)
    return f"{sum(len(r.plan.noise) for r in rounds(b))} tables"


def check_rho(b: Bag) -> str:
    # a round costs more than its plan says, or a plan that all approved more than the policy allows
    for r in rounds(b): need(view(r).rho <= r.plan.rho <= (policy_of(b).max_rho, r.plan.rho)[not r.apr],
         f"round {r.plan.serial}")
    return f"{len(rounds(b))} rounds{not_judged(b)}"


# A node's account is the union by round of its reports and those of all that it succeeds (privacy, "The
# account").
def check_account(b: Bag) -> str:
    policy, most = policy_of(b), Fraction(0)
    succeeds: dict[str, set[str]] = defaultdict(set)
    charged: dict[str, dict[tuple[str, str], Fraction]] = defaultdict(dict)
    for row in (row for roster in whole(b).rosters
         for row in roster.body["nodes"]): succeeds[row["id"]] |= {*row["succeeds"]}
    for r in rounds(b):
        for node, _ in r.reports if len(r.said["abandon"]) < r.plan.quorum else ():
            charged[node][r.plan.body["school_year"], r.plan.digest] = view(r).rho
    if not charged: raise Skip("no reports to account for")
    for node in {*charged, *succeeds}:
        waiting, spent, years = [node], dict[tuple[str, str], Fraction](), defaultdict[str,
             Fraction](Fraction)
        for name in waiting:
            spent |= charged.get(name, {})
            waiting += sorted(succeeds[name] - {*waiting})
        for (year, _), rho in spent.items(): years[year] += rho
        # a node's rounds of a school year cost more than the policy allows
        need(all(rho <= policy.max_rho_year for rho in years.values()), node)
        most = max([most, *years.values()])
    return f"{len(charged)} accounts, at most rho {float(most):.6g} of {policy.max_rho_year}"


def csv(rows: Iterable[Iterable[Any]]) -> bytes:
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    cells = [['"' + text.replace('"', '""') + '"' if {*text} & {*',"\r\n'} else text for text in row]
         for row in texts]
    return "".join(",".join(row) + "\n" for row in cells).encode()



def dump(value: Any) -> bytes: return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


# Exactly: the head of release.json, released cells with their standard errors and intervals, each table's
# file.
# Of estimates and indicators: that the two files which state them agree, and that an interval fits its
# estimate.
def check_results(b: Bag) -> str:
    rows, ends = released(b), ("release.json", "indicators.json", "indicators.csv")
    places = [(f"results/{name}/", [t.id for t in view(r).tables]) for name, r in rows]
    known = [place + end for place, ids in places
         for end in (*ends, *(f"{kind}/{name}.csv" for name in ids for kind in ("tables", "estimates")))]
    b.files.only("results", known)
    if not rows: raise Skip("no round is released")
    for name, r in rows:
        said, tables, texts = r.release, list[Any](), dict[str, bytes]()
        for t, row in zip(view(r).tables, said.body["tables"], strict=True):
            se = math.sqrt(Fraction(said.reports_in * row["s2"], row["scale"] ** 2))
            codes, values = [*product(*t.codes)], [(total / row["scale"], se,
                 *around(total / row["scale"], se)) for total in row["sums"]]
            cells = [{"keys": dict(zip(t.dims, keys, strict=True)), **dict(zip(NUMBERS, value, strict=True))}
                 for keys, value in zip(codes, values, strict=True)]
            summed = {"sum": t.sum, "range": t.range} if t.sum else {}
            tables.append({"id": t.id, "title": t.title, "dims": t.dims, **summed, "scale": row["scale"],
                 "s2": row["s2"], "se": se, "cells": cells})
            texts[f"tables/{t.id}.csv"] = csv([[*t.dims, *NUMBERS],
                 *([*keys, *value] for keys, value in zip(codes, values, strict=True))])
        release, told = (json.loads(b.files.read(f"results/{name}/{kind}.json"))
             for kind in ("release", "indicators"))
        for t, table, made in zip(view(r).tables, tables, release["estimates"], strict=True):
            columns = SUMS if t.sum else COUNTS
            for cell, raw in zip(made["cells"], table["cells"], strict=True):
                # an estimate of another cell or form, or less exact than the released number, or whose
                # interval is another
                need([*cell] == ["keys", *columns] and cell["keys"] == raw["keys"]
                     and (t.sum or is_estimate(cell, raw["se"])), t.id)
            texts[f"estimates/{t.id}.csv"] = csv([[*t.dims, *columns],
                 *([*cell["keys"].values(), *(cell[key] for key in columns)] for cell in made["cells"])])
        standing = {row.status for row in r.corrections}
        fixes = [{"correction": row.digest, "status": row.status, "tables": row.table,
             "successor": row.successor.replace(ZEROS, ""), "reason": row.reason} for row in r.corrections]
        body = r.plan.body
        head = {"format": "fedscreen/results/v1", "federation": r.plan.federation, "round": name,
             "release": said.digest,
                "plan": {"id": body["id"], "title": body["title"],
                     "serial": r.plan.serial}, "school_year": body["school_year"], "wave": body["wave"],
                "status": max(standing, default=said.status), **({"corrections": fixes} if fixes
                     else {}), "schools": len(r.nodes),
                "reports_in": said.reports_in, "reports_out": said.reports_out, "replicas": said.replicas,
                "rho": ratio(r.plan.rho), "cells": r.plan.cells, "tables": tables}
        texts["release.json"] = dump({**head, "estimates": release["estimates"],
             "summary": release["summary"]})
        texts["indicators.json"] = dump({"round": name, "indicators": told["indicators"]})
        texts["indicators.csv"] = csv([INDICATOR, *(indicator_row(row) for row in told["indicators"])])
        # a result file that does not follow from the release
        for path, text in texts.items(): need(b.files.read(f"results/{name}/{path}") == text, path)
    return f"{len(known)} files"


NUMBERS = ("released", "se", "low95", "high95")
COUNTS = ("estimate", "se", "low95", "high95", "rounded", "shown")
SUMS = (*(part + end for part in ("pupils", "total", "mean") for end in ("", "_se", "_low95", "_high95")),
     "shown")
INDICATOR = ("id", "name", "unit", "definition", "keys", *NUMBERS, "shown", "tables")


def around(value: float, se: float) -> tuple[float, float]:
    return value - 1.959963984540054 * se, value + 1.959963984540054 * se


def is_estimate(cell: Bag, raw: float) -> bool:
    value, se = cell["estimate"], cell["se"]
    ends = (cell["low95"], cell["high95"]) == around(value, se) and 0 <= se <= raw * (1 + 1e-9)
    return ends and cell["rounded"] == max(math.floor(value + 0.5), 0)


def indicator_row(row: Bag) -> list[Any]:
    keys = ";".join(f"{name}={code}" for name, code in row["keys"].items())
    return [*(row[key] for key in INDICATOR[:4]), keys, *(row.get(key) for key in NUMBERS), row["shown"],
         " ".join(row["tables"])]


def check_estimates(_: Bag) -> str:
    raise Skip("least squares over all tables is not repeated here: `fedscreen auditor verify` does it")


def check_canonical(b: Bag) -> str:
    if not b.entries: raise Skip("the entries cannot be read")
    receipts = [b.files.read(path, 1 << 20) for path in b.files.paths if path.startswith("receipts/")]
    for data in receipts: parse_checkpoint(parse_receipt(data)[2])
    for entry in b.entries: parse_statement(parse_note(entry)[0])
    for data in (b.data, *b.entries, *(data.partition(b"\n\n")[2] for data in receipts)):
        text, lines = parse_note(data)
        again = "".join(f"\u2014 {name} {base64.b64encode(key + blob).decode()}\n" for name, key,
             blob in lines)
        # a note that is not written in its one form
        need(f"{text}\n{again}".encode() == data)
    paths = [path for path in b.files.paths if b.said and path.startswith("log/blob/")]
    bodies = [parse_json(b.files.read(path)) for path in paths]
    return f"{len(b.entries) + len(receipts) + len(bodies) + 1} texts"


def check_replays(b: Bag) -> str:
    # the log broke off at a replay
    need(b.stopped != "replayed", b.why)
    said = [s for s in whole(b).said if s.type == "replayed"]
    failed = "".join(f"; {s.auditor} at {s.node}: FAIL" for s in said if s.outcome == "FAIL")
    return f"{len(said)} replays{failed}"


def check_head(b: Bag) -> str:
    log, kept = whole(b), parse_checkpoint(parse_note(b.head))
    # the log does not extend the kept checkpoint
    need(kept.origin == log.rosters[0].body["log"].name and kept.size <= len(log.said)
         and tree_root(b.levels, kept.size) == kept.root)
    return f"extends size {kept.size}"


# --- Run ---------------------------------------------------------------------------------------------------

Check = Callable[[Bag], str]
CHECKS: list[tuple[int, str, Check]] = [
    (1, "manifest", check_manifest), (2, "policy", check_policy), (3, "checkpoint", check_checkpoint),
    (4, "tree", check_tree), (5, "bodies", check_bodies), (6, "genesis", check_genesis), (7, "entries",
         check_entries),
    (8, "rosters", check_rosters), (9, "plans", check_plans), (10, "approvals", check_approvals),
    (11, "reports", partial(check_said, what="reports")), (12, "receipts", check_receipts),
    (13, "candidates", partial(check_said, what="candidates")), (14, "checked",
         partial(check_said, what="checked")),
    (15, "close", check_close), (16, "votes", partial(check_said, what="votes")), (17, "openings",
         check_openings),
    (18, "changes", check_changes), (19, "vectors", partial(check_parts, what="reports")),
    (20, "sums", partial(check_parts, what="sums")), (21, "arithmetic", check_arithmetic), (22, "noise",
         check_noise),
    (23, "rho", check_rho), (24, "account", check_account), (25, "results", check_results),
    (26, "canonical", check_canonical), (27, "replays", check_replays), (28, "head", check_head),
    (29, "estimates", check_estimates),
]


# What the comment above the line says where the check ended, and the line's number.
def reason(err: BaseException) -> str:
    name, frames = reason.__code__.co_filename, traceback.extract_tb(err.__traceback__)
    line = [0, *(row.lineno or 0 for row in frames if row.filename == name and row.name != "need")][-1]
    if not isinstance(err, Fail): return f"unreadable ({type(err).__name__}) [line {line}]"
    above = (linecache.getline(name, n).strip() for n in range(line - 1, 0, -1))
    words = [text[2:] for text in takewhile(lambda text: text.startswith("#"), above)]
    return " ".join(words[::-1]) + (f" ({err})" if str(err) else "") + f" [line {line}]"


def run(check: Check, b: Bag) -> tuple[str, str]:
    try:
        outcome, detail = "PASS", check(b)
    except Skip as err: outcome, detail = "SKIPPED", str(err)
    except Exception as err: outcome, detail = "FAIL", b.why if b.why and str(err) == b.why else reason(err)
    return outcome, "".join(char if char.isprintable() else "?"
         for char in detail.encode(errors="replace").decode()[:400])


def read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file: return file.read(MAX_FILE)
    except OSError as err: raise argparse.ArgumentTypeError(f"{path}: {err.strerror}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a fedscreen bundle offline.")
    parser.add_argument("bundle", metavar="BUNDLE")
    for name, what in (("--policy", "whose keys and bounds count"),
         ("--head", "a checkpoint kept from earlier")):
        parser.add_argument(name, metavar="FILE", type=read_file, help=what)
    for name, what in (("--json", "print JSON"), ("--without-estimates",
         "do not ask for check 29, which is never made")):
        parser.add_argument(name, action="store_true", help=what)
    args = parser.parse_args()
    b = SimpleNamespace(files=Files(args.bundle), policy=None, head=args.head, kind=None, note=None,
         point=None, entries=[],
                        said=[], log=None, stopped=None, why="", levels=[])
    try:
        b.policy = parse_policy(args.policy.decode("utf-8-sig")) if args.policy is not None else None
    except Exception as err:
        print(json.dumps({"error": "PolicyError", "message": reason(err)}))
        return 1
    with suppress(Exception): b.kind = read_manifest(b.files)[0]
    asked = [row for row in CHECKS if (row[1] != "head" or b.head is not None)
         and not (row[1] == "estimates" and args.without_estimates)]
    rows = [(number, name, *run(check, b)) for number, name, check in asked]
    found = {row[2] for row in rows}
    code = 1 if "FAIL" in found else 0 if found == {"PASS"} else 2
    keys, verdict = ("number", "name", "outcome", "detail"), ("PASS", "FAIL", "INCOMPLETE")[code]
    checks = [dict(zip(keys, row, strict=True)) for row in rows]
    if args.json: print(json.dumps({"verify": verdict, "exit_code": code, "checks": checks}))
    else:
        for row in rows: print("{:2} {:11} {:8} {}".format(*row).encode("ascii", "backslashreplace").decode())
        print(verdict)
    return code


if __name__ == "__main__": sys.exit(main())
