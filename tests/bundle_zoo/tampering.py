"""Tampered bundles: what an attacker may do to an honest one, and the number of the check that must find it.

Two kinds. `files` changes the bundle's files and writes a new MANIFEST, as somebody can who holds no key.
`history` rewrites the log: everything that follows is made anew and signed with the real keys, as a
coordinator could with auditors that collude, so that no bad signature gives it away. The number is that of
the first check that fails: most of what breaks a rule of the log stops at 7 (entries), and the check of that
part says so too.
`INCOMPLETE` is for what is not there: nothing is proved, and nothing fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bundle_zoo import stories
from bundle_zoo.county import ZooCounty
from bundle_zoo.forge import Files, History, Row, history_of, seal
from bundle_zoo.stories import county_of
from fakes_federation import fake_bytes

from auditor.verify.outcome import NUMBERS
from crypto.note import SigningKey
from protos.bodies import (
    encode_release_body,
    parse_release_body,
)
from protos.statements import (
    body_ref,
)

INCOMPLETE = 0
"""Instead of a number: exit code 2, something is missing."""


Story = Callable[[], ZooCounty]


@dataclass(frozen=True)
class Tampered:
    """One tampered bundle.

    Attributes:
        number: of the first check that fails; `INCOMPLETE` where something is missing.
        make: files, policy text, kept checkpoint.
        on_disk: done to the folder after it was written: links cannot be told in bytes.
    """

    number: int
    make: Callable[[], tuple[Files, str, bytes | None]]
    on_disk: str = ""


TAMPERED: dict[str, Tampered] = {}


def number_of(check: str) -> int:
    """The number of a check."""
    return NUMBERS[check] if check else INCOMPLETE


def register(name: str, tampered: Tampered) -> None:
    if name in TAMPERED:
        raise ValueError(f"two tamperings are called {name}")
    TAMPERED[name] = tampered


def files(
    name: str,
    check: str,
    change: Callable[[Files], Files | None],
    story: Story = stories.one_round,
    *,
    kind: str = "auditor",
    sealed: bool = True,
    on_disk: str = "",
) -> None:
    """Add a bundle whose files were changed; `sealed`: with a new MANIFEST."""

    def make() -> tuple[Files, str, bytes | None]:
        county = story()
        found = history_of(county).bundle(kind)
        changed = change(found)
        found = found if changed is None else changed
        return (seal(found, kind) if sealed else found), county.policy_text(), None

    register(name, Tampered(number_of(check), make, on_disk))


def history(
    name: str,
    check: str,
    change: Callable[[History], None],
    story: Story = stories.one_round,
    *,
    kind: str = "auditor",
    head: Callable[[ZooCounty], bytes] | None = None,
    policy: tuple[str, str] = ("", ""),
) -> None:
    """Add a bundle whose log was rewritten and signed anew."""

    def make() -> tuple[Files, str, bytes | None]:
        county = story()
        found = history_of(county)
        found.is_changed = True
        change(found)
        text = county.policy_text()
        if policy[0]:
            text = text.replace(*policy)
        return found.settle().bundle(kind), text, head(county) if head else None

    register(name, Tampered(number_of(check), make))


def first(found: Files, start: str, end: str = "") -> str:
    """The first path that begins and ends so."""
    return min(path for path in found if path.startswith(start) and path.endswith(end))


def change_line(lines: list[str], place: int, old: str, new: str) -> list[str]:
    return [*lines[:place], lines[place].replace(old, new, 1), *lines[place + 1 :]]


def false_key(key: SigningKey) -> SigningKey:
    return SigningKey(key.name, key.key_type, fake_bytes(f"false {key.name}"))


def branch(**terms: Any) -> ZooCounty:
    county = county_of()
    round_id = county.plan_round(**terms)
    county.collect(round_id)
    county.finish(round_id)
    return county


def delete(kind: str, nth: int = 0, **having: str) -> Callable[[History], None]:
    return lambda found: found.rows.pop(found.find(kind, nth, **having)) and None


ALL_TYPES = (
    "roster",
    "plan",
    "approval",
    "report",
    "candidates",
    "checked",
    "close",
    "agreement",
    "opening",
    "release",
)


def signer(kind: str, pick: Callable[[History, Row], tuple[SigningKey, ...]]) -> Callable[[History], None]:
    def change(found: History) -> None:
        row = found.rows[found.find(kind, 1 if kind == "roster" else 0)]
        row.signers = pick(found, row)

    return change


OTHER = fake_bytes("another digest")


def set_fields(kind: str, nth: int = 0, /, **fields: Any) -> Callable[[History], None]:
    return lambda found: found.set(found.find(kind, nth), **fields)


def change_fields(
    kind: str, change: Callable[[Any], dict[str, Any]], nth: int = 0
) -> Callable[[History], None]:
    def apply(found: History) -> None:
        place = found.find(kind, nth)
        found.set(place, **change(found.rows[place].statement))

    return apply


def raw_edit(kind: str, key: str, value: str, nth: int = 0) -> Callable[[History], None]:
    """Put another digest in, which nothing follows."""

    def change(found: History) -> None:
        row = found.rows[found.find(kind, nth)]
        lines = row.text.split("\n")
        place = next(number for number, line in enumerate(lines) if line.startswith(key + " "))
        lines[place] = f"{key} {value}"
        row.text = "\n".join(lines)

    return change


def change_body(
    kind: str, change: Callable[[bytes], bytes], nth: int = 0, **fields: Any
) -> Callable[[History], None]:
    def apply(found: History) -> None:
        place = found.find(kind, nth)
        body = change(found.rows[place].body)
        found.set(place, body, body=body_ref(body), **fields)

    return apply


def change_tables(change: Callable[[list[Any]], list[Any]]) -> Callable[[bytes], bytes]:
    return lambda body: encode_release_body(change(list(parse_release_body(body))))


def more(table: Any, cell: int = 0, by: int = 1) -> Any:
    sums = list(table.sums)
    sums[cell] += by
    return replace(table, sums=tuple(sums))


def answers(found: History, *names: str) -> list[SigningKey]:
    return [found.county.auditors[name] for name in names]


def round_id(found: History, nth: int = 0) -> bytes:
    return found.rows[found.find("plan", nth)].digest


def close_id(found: History, nth: int = 0) -> bytes:
    return found.rows[found.find("close", nth)].digest


def wrong_sum(found: History) -> None:
    change_body(
        "release", change_tables(lambda rows: [more(rows[0]), *rows[1:]]), found.last("release") and 0
    )(found)
