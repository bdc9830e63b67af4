"""Write succession.json: a roster in which every kind of key is followed, and some that may not come.

    python tests/vectors/regenerate_succession.py [--check]

The log before it is that of `tests/fakes_federation.py`: a genesis roster and one with six nodes.
"""

import base64
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[level]) for level in (2, 1, 0)]

from fakes_federation import TinyFederation, fake_bytes, sign_entry  # noqa: E402
from vector_files import made_by, main  # noqa: E402

from crypto.note import SigningKey  # noqa: E402
from protos.bodies import RosterBody, encode_roster_body  # noqa: E402
from protos.statements import Roster, body_ref, encode_statement  # noqa: E402
from protos.succession import sign_succession, succession_text  # noqa: E402

FEDERATION = "county-1"


def next_key(old: SigningKey) -> SigningKey:
    """Give the key that follows."""
    return SigningKey(old.name, old.key_type, fake_bytes(f"next {old.name} {int(old.key_type)}"))


def entry_of(federation: TinyFederation, body: RosterBody, keys: list[SigningKey]) -> dict[str, str]:
    """Sign the next roster."""
    data, last = encode_roster_body(body), federation.ledger.roster
    statement = Roster(FEDERATION, last.statement.serial + 1, last.digest, "demo", 3, body_ref(data))
    entry = sign_entry(encode_statement(statement), [federation.coordinator, *keys])
    return {"body": data.decode(), "entry": base64.b64encode(entry).decode()}


def wrong_rosters(
    body: RosterBody, rolled: RosterBody, other: str, auditor: SigningKey, keys: list[SigningKey]
) -> list[tuple[str, str, RosterBody, list[SigningKey]]]:
    """Name each roster that is refused, with the code, and who signs it."""

    def with_node(succession: str) -> RosterBody:
        return replace(rolled, nodes=(replace(rolled.nodes[0], succession=succession), *rolled.nodes[1:]))

    still_there = replace(body.nodes[1], succeeds=("s1",))
    return [
        ("a report key without its predecessor's word", "wrong-succession", with_node(""), keys),
        ("the word of the new key", "wrong-succession", with_node(other), keys),
        ("the new auditor key has not signed", "too-few-signatures", rolled, keys[1:]),
        (
            "a node succeeds one that is still there",
            "wrong-merger",
            replace(body, nodes=(body.nodes[0], still_there, *body.nodes[2:])),
            [auditor, *keys[1:]],
        ),
    ]


def value() -> dict[str, Any]:
    """Make the file's value."""
    federation = TinyFederation()
    federation.join()
    node, auditor = federation.nodes["s1"].key(FEDERATION), federation.auditors["a1"]
    new_node, new_auditor = next_key(node), next_key(auditor)
    cosigner = next_key(federation.witnesses["a1"]).verifier
    line = sign_succession(FEDERATION, "node", "s1", node, new_node.verifier, None)
    other = sign_succession(FEDERATION, "node", "s1", new_node, new_node.verifier, None)
    body = federation.ledger.roster.body
    first = replace(
        body.auditors[0],
        statement=new_auditor.verifier,
        cosigner=cosigner,
        succession=sign_succession(FEDERATION, "auditor", "a1", auditor, new_auditor.verifier, cosigner),
    )
    rolled = replace(
        body,
        log=next_key(federation.log_key).verifier,
        coordinator=next_key(federation.coordinator).verifier,
        ca=fake_bytes("ca 2"),
        auditors=(first, *body.auditors[1:]),
        nodes=(replace(body.nodes[0], report=new_node.verifier, succession=line), *body.nodes[1:]),
    )
    keys = [new_auditor, federation.auditors["a2"], federation.auditors["a3"]]

    bad = wrong_rosters(body, rolled, other, auditor, keys)
    return {
        "source": made_by("regenerate_succession.py"),
        "card": federation.card_text,
        "log": [
            {"body": data.decode(), "entry": base64.b64encode(entry).decode()}
            for entry, data in federation.entries
        ],
        "succession": {
            "federation": FEDERATION,
            "role": "node",
            "id": "s1",
            "from": node.verifier.text,
            "to": new_node.verifier.text,
            "text": succession_text(FEDERATION, "node", "s1", node.verifier, new_node.verifier, None),
            "line": line,
        },
        "taken": entry_of(federation, rolled, keys),
        "refused": [
            {"name": name, "code": code, **entry_of(federation, wrong, signers)}
            for name, code, wrong, signers in bad
        ],
    }


FILES = {"succession.json": value}

if __name__ == "__main__":
    raise SystemExit(main(FILES, sys.argv[1:]))
