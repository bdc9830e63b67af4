"""Commands about who this node is: ``init``, ``identity``, ``request``, ``roll``, ``accept``, ``floors``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from node.vault.enrol import (
    accept_card,
    create_identity,
    find_card,
    find_identity,
    load_identity,
    make_request,
    parse_floors,
    roll_report_key,
    tighten_floors,
)
from node.vault.fields import Answer, Fields, Files, Handler, command_record
from node.vault.open_vault import OpenVault
from protos.card import fingerprint


def _init(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("federation", "node", "operator", "attributes", "system", "floors")
    floors = parse_floors(fields.mapping("floors"))
    values = {key: value for key, value in fields.values.items() if key != "floors"}
    with desk.store.transaction("init"):
        is_new = find_identity(desk.store) is None
        now = desk.clock.now()
        identity = create_identity(desk.store, desk.entropy, now, values, floors)
        if is_new:
            desk.journal(identity).append(command_record(now, "init", identity.node, {}))
    return desk.describe_identity(identity), {}


def _identity(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    return desk.describe_identity(load_identity(desk.store)), {}


def _request(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("csr")
    identity = load_identity(desk.store)
    request = make_request(identity, fields.text("csr", 16 * 1024))
    return desk.describe_identity(identity), {"request": request}


def _roll(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("csr")
    parts, csr = desk.enrolled(), fields.text("csr", 16 * 1024)
    rostered = parts.mirror.ledger.chain.nodes.get(parts.identity.node)
    with desk.store.transaction("roll"):
        identity = load_identity(desk.store)
        data = roll_report_key(desk.store, identity, rostered.report if rostered else None, csr)
        rolled = load_identity(desk.store)
        if rolled.num_rolls != identity.num_rolls:
            values = {"number": str(rolled.num_rolls)}
            desk.journal(identity).append(command_record(desk.clock.now(), "roll", identity.node, values))
    return desk.describe_identity(rolled), {"roll": data}


def _accept(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("card_text")
    identity, text = load_identity(desk.store), fields.text("card_text", 64 * 1024)
    with desk.store.transaction("accept"):
        is_new = find_card(desk.store) is None
        card = accept_card(desk.store, identity, text)
        if is_new:
            data = {"fingerprint": fingerprint(text)}
            now = desk.clock.now()
            desk.journal(identity).append(command_record(now, "accept", card.federation, data))
    return {"federation": card.federation, "kind": card.kind, "fingerprint": fingerprint(text)}, {}


def _floors(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("floors")
    identity = load_identity(desk.store)
    with desk.store.transaction("floors"):
        floors = tighten_floors(desk.store, fields.mapping("floors"))
        values = floors.as_json()
        desk.journal(identity).append(command_record(desk.clock.now(), "floors", identity.node, values))
    return values, {}


COMMANDS: Final[Mapping[str, Handler]] = {
    "init": _init,
    "identity": _identity,
    "request": _request,
    "roll": _roll,
    "accept": _accept,
    "floors": _floors,
}
