"""Rosters, successions of keys, revocations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bundle_zoo import stories
from bundle_zoo.forge import History
from bundle_zoo.tampering import (
    OTHER,
    Story,
    answers,
    change_body,
    close_id,
    history,
    raw_edit,
    round_id,
)
from fakes_federation import fake_bytes

from crypto.note import KeyType, SigningKey
from protos.bodies import (
    encode_roster_body,
    parse_roster_body,
)
from protos.statements import (
    Agreement,
    Revoke,
    body_ref,
)


def _roster(change: Callable[[Any], Any], nth: int = 1, **fields: Any) -> Callable[[History], None]:
    def body(data: bytes) -> bytes:
        return encode_roster_body(change(parse_roster_body(data, "county-1")))

    return change_body("roster", body, nth, **fields)


def _node(rows: Any, place: int, **fields: Any) -> Any:
    nodes = list(rows.nodes)
    nodes[place] = replace(nodes[place], **fields)
    return replace(rows, nodes=tuple(nodes))


def _auditor(rows: Any, place: int, **fields: Any) -> Any:
    auditors = list(rows.auditors)
    auditors[place] = replace(auditors[place], **fields)
    return replace(rows, auditors=tuple(auditors))


def _verifier(*parts: str, key_type: KeyType = KeyType.ED25519) -> Any:
    return SigningKey(
        "/".join(("fedscreen", "county-1", *parts)), key_type, fake_bytes(f"strange {parts}")
    ).verifier


def _rosters() -> None:
    def new_node(rows):
        return _node(rows, 0, report=_verifier("node", "s1"))

    def new_auditor(rows):
        return _auditor(rows, 0, statement=_verifier("auditor", "a1"))

    def new_witness(rows):
        return _auditor(rows, 0, cosigner=_verifier("witness", "a1", key_type=KeyType.COSIGNATURE))

    entries: dict[str, tuple[Callable[[History], None], Story]] = {
        "a school's key changes without its word": (_roster(new_node, 2), stories.rosters),
        "an auditor's key changes without its word": (_roster(new_auditor, 2), stories.rosters),
        "a witness key changes without its word": (_roster(new_witness, 2), stories.rosters),
        "a school goes to another operator": (
            _roster(lambda rows: _node(rows, 0, operator="somebody else"), 2),
            stories.rosters,
        ),
        "a line of succession without a new key": (
            _roster(
                lambda rows: _node(rows, 0, succession="\u2014 fedscreen/county-1/node/s1 " + "A" * 92), 2
            ),
            stories.rosters,
        ),
        "a succession signed by another key": (_foreign_succession, lambda: stories.rolled("node")),
        "a succession left out": (
            _roster(lambda rows: _node(rows, 1, succession=""), 2),
            lambda: stories.rolled("node"),
        ),
        "a school that was taken over comes back": (_returning_school, stories.merged),
        "a school is taken over that is still there": (
            _roster(lambda rows: _node(rows, 0, succeeds=("s4",)), 2),
            stories.merged,
        ),
        "a school takes over one that never was": (
            _roster(lambda rows: _node(rows, 0, succeeds=("s77",)), 2),
            stories.merged,
        ),
        "a tuple that the rules forbid": (
            _roster(lambda rows: replace(rows, tuples=((4, 2, 1, 3),))),
            stories.one_round,
        ),
        "a tuple of more auditors than there are": (
            _roster(lambda rows: replace(rows, tuples=((4, 3, 1, 3), (5, 4, 2, 4)))),
            stories.one_round,
        ),
        "a single auditor in a production federation": (_production_single, stories.production),
        "two schools with one key": (
            _roster(lambda rows: _node(rows, 1, report=rows.nodes[0].report)),
            stories.one_round,
        ),
        "two schools with one secret": (
            _roster(lambda rows: _node(rows, 1, master=rows.nodes[0].master)),
            stories.one_round,
        ),
        "schools not ascending": (
            _roster(lambda rows: replace(rows, nodes=rows.nodes[::-1])),
            stories.one_round,
        ),
        "a sock puppet among the auditors": (_sock_puppet, stories.replaced),
        "a new auditor that has not signed": (_signer_without("a5"), stories.replaced),
        "too few of the preceding roster": (_few_signers, stories.rosters),
        "a revoked auditor makes the quorum": (_revoked_quorum, stories.rosters),
        "revocation of nobody": (_insert_revoke("node", "s77"), stories.one_round),
        "revocation twice": (_insert_revoke("node", "s2"), lambda: stories.revoked("node")),
        "revocation signed by a school": (_revoke_by_school, lambda: stories.revoked("node")),
        "revocation signed by two auditors": (_revoke_by_two, lambda: stories.revoked("node")),
        "revocation under another roster": (
            raw_edit("revoke", "roster", OTHER.hex()),
            lambda: stories.revoked("node"),
        ),
        "a revoked school reports": (_revoked_reports, lambda: stories.revoked("node")),
        "a revoked auditor agrees": (_revoked_agrees, lambda: stories.revoked("auditor")),
        "a revoked auditor approves": (_early_revocation("auditor", "a2"), stories.one_round),
    }
    for name, (change, story) in entries.items():
        history(f"roster: {name}", "entries", change, story)
    history(
        "roster: a key that was followed comes back", "checkpoint", _returning_key, stories.everything_rolled
    )


def _foreign_succession(found: History) -> None:
    def change(rows: Any) -> Any:
        line = rows.nodes[1].succession
        return _node(rows, 1, succession=found.county.coordinator.sign("x\n") if line else line)

    _roster(change, 2)(found)


def _returning_key(found: History) -> None:
    key = SigningKey("fedscreen/county-1/node/s3", KeyType.ED25519, fake_bytes("node s1"))
    _roster(lambda rows: _node(rows, 2, report=key.verifier), -1)(found)


def _returning_school(found: History) -> None:
    place = found.find("roster", 2)
    old = parse_roster_body(found.rows[found.find("roster", 1)].body, "county-1")
    rows = parse_roster_body(found.rows[place].body, "county-1")
    body = encode_roster_body(
        replace(rows, nodes=tuple(sorted((*rows.nodes, old.nodes[1]), key=lambda row: row.id)))
    )
    found.set(place, body, body=body_ref(body))


def _production_single(found: History) -> None:
    place = found.find("roster", 1)
    rows = parse_roster_body(found.rows[place].body, "yunnan.county-9")
    body = encode_roster_body(replace(rows, tuples=((1, 1, 0, 1), *rows.tuples)))
    found.set(place, body, body=body_ref(body))


def _sock_puppet(found: History) -> None:
    """The county exchanges an auditor by itself: one signature of the old ones."""
    row = found.rows[found.find("roster", 2)]
    row.signers = tuple(key for key in row.signers if not key.name.endswith(("/a2", "/a3")))


def _signer_without(name: str) -> Callable[[History], None]:
    def change(found: History) -> None:
        row = found.rows[found.find("roster", 2)]
        row.signers = tuple(key for key in row.signers if not key.name.endswith("/" + name))

    return change


def _few_signers(found: History) -> None:
    row = found.rows[found.find("roster", 2)]
    row.signers = row.signers[:3]


def _revoked_quorum(found: History) -> None:
    _early_revocation("auditor", "a2", before="roster", nth=2)(found)


def _insert_revoke(subject: str, name: str) -> Callable[[History], None]:
    def change(found: History) -> None:
        roster = found.rows[found.find("roster", -1)].digest
        said = Revoke("county-1", roster, subject, name, "again")
        found.insert(len(found.rows), said, found.county.coordinator)

    return change


def _early_revocation(
    subject: str, name: str, before: str = "approval", nth: int = 0
) -> Callable[[History], None]:
    def change(found: History) -> None:
        place = found.find(before, nth)
        roster = next(row for row in reversed(found.rows[:place]) if row.type == "roster").digest
        found.insert(place, Revoke("county-1", roster, subject, name, "lost"), found.county.coordinator)

    return change


def _revoke_by_school(found: History) -> None:
    found.rows[found.find("revoke")].signers = (found.county.nodes["s1"].key("county-1"),)


def _revoke_by_two(found: History) -> None:
    found.rows[found.find("revoke")].signers = tuple(answers(found, "a1", "a2"))


def _revoked_reports(found: History) -> None:
    row = found.rows.pop(found.find("revoke"))
    found.rows.insert(found.find("report"), row)


def _revoked_agrees(found: History) -> None:
    said = Agreement("county-1", round_id(found), "a2", close_id(found))
    found.insert(found.find("opening"), said, *answers(found, "a2"))


_rosters()
