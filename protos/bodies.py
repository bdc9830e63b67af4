"""The bodies of statements: canonical JSON (RFC 8785; integers and strings only).

A body's bytes are named in its statement by SHA-256 and length. Every parser here refuses
bytes that it would not write itself.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from crypto.canonical import encode_json, parse_json
from crypto.errors import CryptoError
from crypto.note import KeyType, VerifierKey, parse_signature_line, parse_vkey
from protos.errors import BodyError
from protos.fields import CODE_PATTERN, HEX_PATTERN, ID_PATTERN, TABLE_PATTERN

MAX_NODES = 100_000
MAX_WORDS = 200
MAX_LINE = 400
_id_of = attrgetter("id")


@dataclass(frozen=True, slots=True)
class RosterAuditor:
    """An auditor: who operates it, its two public keys, whether outside the county's line; where its keys
    follow others, the line by which the old statement key says so (`protos.succession`), else empty."""

    id: str
    operator: str
    statement: VerifierKey
    cosigner: VerifierKey
    is_outside: bool
    succession: str = ""


@dataclass(frozen=True, slots=True)
class RosterNode:
    """A node: operator, report key, commitment to its master secret (32 bytes), public attributes
    (county, school_type, deployment …), and the nodes that it succeeds; where its report key follows another,
    the line by which the old one says so (`protos.succession`), else empty."""

    id: str
    operator: str
    report: VerifierKey
    master: bytes
    attributes: tuple[tuple[str, str], ...]
    succeeds: tuple[str, ...]
    succession: str = ""


@dataclass(frozen=True, slots=True)
class RosterBody:
    """Everybody and everybody's keys; `ca` is SHA-256 of the CA certificate's DER; `tuples` are the
    (n, t, f, q) that plans may use."""

    log: VerifierKey
    coordinator: VerifierKey
    ca: bytes
    auditors: tuple[RosterAuditor, ...]
    nodes: tuple[RosterNode, ...]
    tuples: tuple[tuple[int, int, int, int], ...]

    def auditor(self, auditor_id: str) -> RosterAuditor | None:
        """Find an auditor by id."""
        return next((auditor for auditor in self.auditors if auditor.id == auditor_id), None)

    def node(self, node_id: str) -> RosterNode | None:
        """Find a node by id; they are in ascending order."""
        place = bisect_left(self.nodes, node_id, key=_id_of)
        found = self.nodes[place] if place < len(self.nodes) else None
        return found if found is not None and found.id == node_id else None


@dataclass(frozen=True, slots=True, order=True)
class ReportName:
    """Names one report: node, attempt, digest of its header's text."""

    node: str
    attempt: int
    digest: bytes


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """A report that is left out, and the code that says why."""

    report: ReportName
    code: str


@dataclass(frozen=True, slots=True)
class CloseBody:
    """S and what was left out of the candidates, both ascending by node."""

    set: tuple[ReportName, ...]
    excluded: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class TableSums:
    """One table of a release: the opened noisy sums in scaled units, one integer a cell."""

    table: str
    scale: int
    s2: int
    sums: tuple[int, ...]


def _dict(value: Any, what: str, keys: Sequence[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or sorted(value) != sorted(keys):
        raise BodyError(f"{what}: expected exactly the keys {', '.join(keys)}")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_NODES:
        raise BodyError(f"{what}: expected a list of at most {MAX_NODES}")
    return value


def _int(value: Any, what: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BodyError(f"{what}: expected a number from {low} to {high}")
    return value


def _str(value: Any, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_WORDS or any(ch < " " for ch in value):
        raise BodyError(f"{what}: expected text of 1 to {MAX_WORDS} characters on one line")
    return value


def _id(value: Any, what: str) -> str:
    if not isinstance(value, str) or not ID_PATTERN.match(value):
        raise BodyError(f"{what}: expected an id (a-z 0-9 . _ -)")
    return value


def _digest(value: Any, what: str) -> bytes:
    if not isinstance(value, str) or len(value) != 64 or not HEX_PATTERN.match(value):
        raise BodyError(f"{what}: expected 64 lower-case hex digits")
    return bytes.fromhex(value)


def _key(value: Any, what: str, key_type: KeyType, name: str) -> VerifierKey:
    try:
        key = parse_vkey(_str(value, what))
    except CryptoError as err:
        raise BodyError(f"{what}: not a verifier key") from err
    if key.key_type != key_type or key.name != name:
        raise BodyError(f"{what}: expected a key named {name} of type {int(key_type)}")
    return key


def _ascending(ids: Sequence[Any], what: str) -> None:
    if any(a >= b for a, b in itertools.pairwise(ids)):
        raise BodyError(f"{what}: expected strictly ascending, each once")


def _parse(data: bytes) -> Any:
    try:
        return parse_json(data)
    except CryptoError as err:
        raise BodyError("body is not canonical JSON") from err


def key_name(federation: str, *parts: str) -> str:
    """Name a key of a federation, e.g. ``fedscreen/<federation>/node/<id>``."""
    return "/".join(("fedscreen", federation, *parts))


def _named(name: str, value: str) -> dict[str, str]:
    return {name: value} if value else {}


def encode_roster_body(body: RosterBody) -> bytes:
    """Write a roster's body; the inverse of `parse_roster_body`."""
    return encode_json(
        {
            "auditors": [
                {
                    "cosigner": auditor.cosigner.text,
                    "id": auditor.id,
                    "operator": auditor.operator,
                    "outside": int(auditor.is_outside),
                    "statement": auditor.statement.text,
                    **_named("succession", auditor.succession),
                }
                for auditor in body.auditors
            ],
            "ca": body.ca.hex(),
            "coordinator": body.coordinator.text,
            "log": body.log.text,
            "nodes": [
                {
                    "attributes": dict(node.attributes),
                    "id": node.id,
                    "master": node.master.hex(),
                    "operator": node.operator,
                    "report": node.report.text,
                    "succeeds": list(node.succeeds),
                    **_named("succession", node.succession),
                }
                for node in body.nodes
            ],
            "tuples": [list(row) for row in body.tuples],
        }
    )


def parse_roster_body(data: bytes, federation: str) -> RosterBody:
    """Read a roster's body.

    Raises:
        BodyError: not canonical, an id twice or out of order, a key of another name or kind,
            the same key for two purposes.
    """
    value = _dict(_parse(data), "roster", ("auditors", "ca", "coordinator", "log", "nodes", "tuples"))
    body = RosterBody(
        log=_key(value["log"], "log", KeyType.ED25519, key_name(federation, "log")),
        coordinator=_key(
            value["coordinator"], "coordinator", KeyType.ED25519, key_name(federation, "coordinator")
        ),
        ca=_digest(value["ca"], "ca"),
        auditors=tuple(_parse_auditor(row, federation) for row in _list(value["auditors"], "auditors")),
        nodes=tuple(_parse_node(row, federation) for row in _list(value["nodes"], "nodes")),
        tuples=tuple(_parse_tuple(row) for row in _list(value["tuples"], "tuples")),
    )
    _check_roster(body)
    return body


def _check_roster(body: RosterBody) -> None:
    _ascending([auditor.id for auditor in body.auditors], "auditors")
    _ascending([node.id for node in body.nodes], "nodes")
    _ascending(body.tuples, "tuples")
    if not body.auditors:
        raise BodyError("auditors: expected at least one")
    keys = [body.log, body.coordinator, *(node.report for node in body.nodes)]
    keys += [key for auditor in body.auditors for key in (auditor.statement, auditor.cosigner)]
    if len({key.public_key for key in keys}) != len(keys):
        raise BodyError("keys: expected another key for each party and purpose")
    if len({node.master for node in body.nodes}) != len(body.nodes):
        raise BodyError("nodes: expected another master commitment for each node")


def _parse_auditor(row: Any, federation: str) -> RosterAuditor:
    value, line = _with_line(row, "auditor", ("cosigner", "id", "operator", "outside", "statement"))
    auditor_id = _id(value["id"], "auditor id")
    return RosterAuditor(
        id=auditor_id,
        operator=_str(value["operator"], "auditor operator"),
        statement=_key(
            value["statement"], "statement", KeyType.ED25519, key_name(federation, "auditor", auditor_id)
        ),
        cosigner=_key(
            value["cosigner"], "cosigner", KeyType.COSIGNATURE, key_name(federation, "witness", auditor_id)
        ),
        is_outside=bool(_int(value["outside"], "outside", 0, 1)),
        succession=line,
    )


def _with_line(row: Any, what: str, keys: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Take the optional line of succession off a party's entry; it is there or absent, never empty."""
    if not isinstance(row, dict) or "succession" not in row:
        return _dict(row, what, keys), ""
    value = _dict(row, what, (*keys, "succession"))
    line = value["succession"]
    if not isinstance(line, str) or not 0 < len(line) <= MAX_LINE:
        raise BodyError(f"{what}: expected a signature line of at most {MAX_LINE} characters")
    try:
        parse_signature_line(line)
    except CryptoError as err:
        raise BodyError(f"{what}: its succession is no signature line") from err
    return value, line


def _parse_node(row: Any, federation: str) -> RosterNode:
    keys = ("attributes", "id", "master", "operator", "report", "succeeds")
    value, line = _with_line(row, "node", keys)
    node_id = _id(value["id"], "node id")
    attributes = value["attributes"]
    if not isinstance(attributes, dict) or len(attributes) > 16:
        raise BodyError("attributes: expected at most 16 keys")
    succeeds = tuple(_id(item, "succeeds") for item in _list(value["succeeds"], "succeeds"))
    _ascending(succeeds, "succeeds")
    return RosterNode(
        id=node_id,
        operator=_str(value["operator"], "node operator"),
        report=_key(value["report"], "report", KeyType.ED25519, key_name(federation, "node", node_id)),
        master=_digest(value["master"], "master"),
        attributes=sorted_attributes(attributes),
        succeeds=succeeds,
        succession=line,
    )


def sorted_attributes(attributes: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Put public attributes into their one order, checking keys and values."""
    return tuple(
        sorted((_id(key, "attribute"), _str(value, f"attribute {key}")) for key, value in attributes.items())
    )


def _parse_tuple(row: Any) -> tuple[int, int, int, int]:
    values = _list(row, "tuple")
    if len(values) != 4:
        raise BodyError("tuple: expected [n, t, f, q]")
    n, t, f, q = (_int(item, "tuple", 0, 7) for item in values)
    return n, t, f, q


def _report_row(name: ReportName) -> list[Any]:
    return [name.node, name.attempt, name.digest.hex()]


def _parse_report_row(row: Any, what: str) -> ReportName:
    values = _list(row, what)
    if len(values) != 3:
        raise BodyError(f"{what}: expected [node, attempt, digest]")
    return ReportName(_id(values[0], what), _int(values[1], what, 0, 3), _digest(values[2], what))


def _parse_refusal(row: Any, what: str) -> Refusal:
    values = _list(row, what)
    if len(values) != 4 or not isinstance(values[3], str) or not CODE_PATTERN.match(values[3]):
        raise BodyError(f"{what}: expected [node, attempt, digest, code]")
    return Refusal(_parse_report_row(values[:3], what), values[3])


def _refusal_row(refusal: Refusal) -> list[Any]:
    return [*_report_row(refusal.report), refusal.code]


def encode_candidates_body(reports: Sequence[ReportName]) -> bytes:
    """Write the candidates' body."""
    return encode_json({"reports": [_report_row(name) for name in reports]})


def parse_candidates_body(data: bytes) -> tuple[ReportName, ...]:
    """Read the candidates' body: one report a node, ascending."""
    value = _dict(_parse(data), "candidates", ("reports",))
    names = tuple(_parse_report_row(row, "reports") for row in _list(value["reports"], "reports"))
    _ascending([name.node for name in names], "reports")
    return names


def encode_checked_body(refused: Sequence[Refusal]) -> bytes:
    """Write the body of `checked`."""
    return encode_json({"refused": [_refusal_row(row) for row in refused]})


def parse_checked_body(data: bytes) -> tuple[Refusal, ...]:
    """Read the body of `checked`: what the auditor refuses, ascending by node."""
    value = _dict(_parse(data), "checked", ("refused",))
    refused = tuple(_parse_refusal(row, "refused") for row in _list(value["refused"], "refused"))
    _ascending([row.report.node for row in refused], "refused")
    return refused


def encode_close_body(body: CloseBody) -> bytes:
    """Write the body of a close."""
    return encode_json(
        {
            "excluded": [_refusal_row(row) for row in body.excluded],
            "set": [_report_row(name) for name in body.set],
        }
    )


def parse_close_body(data: bytes) -> CloseBody:
    """Read the body of a close."""
    value = _dict(_parse(data), "close", ("excluded", "set"))
    names = tuple(_parse_report_row(row, "set") for row in _list(value["set"], "set"))
    excluded = tuple(_parse_refusal(row, "excluded") for row in _list(value["excluded"], "excluded"))
    _ascending([name.node for name in names], "set")
    _ascending([row.report.node for row in excluded], "excluded")
    return CloseBody(names, excluded)


def encode_release_body(tables: Sequence[TableSums]) -> bytes:
    """Write the body of a release; no tables when the status is `corrupt`."""
    return encode_json(
        {
            "tables": [
                {"id": row.table, "s2": row.s2, "scale": row.scale, "sums": list(row.sums)} for row in tables
            ]
        }
    )


def parse_release_body(data: bytes) -> tuple[TableSums, ...]:
    """Read the body of a release."""
    value = _dict(_parse(data), "release", ("tables",))
    return tuple(_parse_table(row) for row in _list(value["tables"], "tables"))


def _parse_table(row: Any) -> TableSums:
    value = _dict(row, "table", ("id", "s2", "scale", "sums"))
    table = value["id"]
    if not isinstance(table, str) or not TABLE_PATTERN.match(table):
        raise BodyError("table id: expected letters, digits, _ and -")
    limit = 2**53 - 1
    sums = value["sums"]
    if not isinstance(sums, list) or len(sums) > 1_000_000:
        raise BodyError("sums: expected a list")
    return TableSums(
        table=table,
        scale=_int(value["scale"], "scale", 1, 2**40),
        s2=_int(value["s2"], "s2", 1, 2**24),
        sums=tuple(_int(item, "sums", -limit, limit) for item in sums),
    )
