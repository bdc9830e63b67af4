"""A new node in one go: folder, users, key, identity, card and request; then, with the grant, the rest.

Order, and every step may be given again: what is there already stays as it is.

1. `read_setup_file`: a federation card, a county's invitation, or the county's grant.
2. `make_node`: folder, node.toml, users, database key.
3. `write_request`: identity in the vault; the card is pinned if its fingerprint was compared; TLS key and
   request.
4. `take_grant`: the county's answer. Where a card is pinned, the grant's must be that one.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from node import enrolment, unwrap
from node.config import NodeConfig, NodeFolder, read_config, write_config
from node.errors import ConfigError, LinkError, VaultRefusal
from node.errors import _ as N_
from node.session import VaultSession
from protos.card import FIRST_LINE, fingerprint, parse_card
from protos.enrolment import GRANT_FORMAT, Grant
from protos.errors import ProtocolError
from protos.invitation import INVITATION_FORMAT, Invitation, parse_invitation

MAX_FILE_BYTES = 256 * 1024
Ask = Callable[[], str]


def read_setup_file(path: Path) -> Invitation | str | bytes:
    """Read what a county sends: an `Invitation`, a card's text, or a grant's bytes.

    Raises:
        ConfigError: it is none of these, or damaged.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        if data.startswith(FIRST_LINE.encode()):
            text = data.decode("utf-8")
            parse_card(text)
            return text
        if f'"{INVITATION_FORMAT}"'.encode() in data[:MAX_FILE_BYTES]:
            return parse_invitation(data)
    except (OSError, UnicodeDecodeError, ProtocolError) as err:
        raise ConfigError(
            N_("%(file)s cannot be read as a card or an invitation (%(reason)s)"),
            N_("Copy it again from what the county sent."),
            code="setup-file",
            details={"file": str(path), "reason": _reason(err)},
        ) from err
    if f'"{GRANT_FORMAT}"'.encode() in data[:MAX_FILE_BYTES]:
        return data
    raise ConfigError(
        N_("%(file)s is neither a federation card, nor an invitation, nor a grant"),
        N_("Give one of the files that the county sent."),
        code="setup-file",
        details={"file": str(path)},
    )


def _reason(err: Exception) -> str:
    return (err.strerror or "") if isinstance(err, OSError) else type(err).__name__


def verify_told(card_text: str, told: str) -> None:
    """Compare a card's fingerprint with the one that a person was told by another way.

    Raises:
        LinkError: they differ; nothing has been made.
    """
    found, said = fingerprint(card_text), told.strip().lower()
    if not hmac.compare_digest(found.encode(), said.encode("ascii", "replace")):
        raise LinkError(
            N_("the card's fingerprint is %(found)s, you gave %(told)s"),
            N_("Do not go on: ask the county for its fingerprint by telephone."),
            code="fingerprint",
            details={"found": found, "told": said[:60]},
        )


def make_node(folder: NodeFolder, asked: NodeConfig, ask: Ask, ask_twice: Ask) -> tuple[NodeConfig, bytes]:
    """Make folder, node.toml, users and database key; what is there already stays.

    Args:
        folder: the node's directory.
        asked: the settings of a new node.
        ask, ask_twice: give the passphrase of an existing, of a new key.

    Returns:
        The settings that hold, and the database key (32 bytes, secret).

    Raises:
        ConfigError, UnlockError: another node lives there, or there is no key.
    """
    config = enrolment.prepare_folder(folder, asked, secrets.token_bytes)
    how = ask if unwrap.has_key(folder, config.key_source) else ask_twice
    return config, unwrap.create_key(folder, config.key_source, secrets.token_bytes, how)


def change_proxy(folder: NodeFolder, proxy: str) -> NodeConfig:
    """Write another proxy ("host:port", or empty for none) into an existing node's settings.

    It holds from the next start of `fedscreen node run` on.

    Raises:
        ConfigError: it is malformed; nothing has changed.
    """
    config = read_config(folder)
    if config.proxy == proxy:
        return config
    changed = replace(config, proxy=proxy)
    write_config(folder, changed)
    return changed


def find_identity(vault: VaultSession) -> dict[str, Any]:
    """Ask the vault who this node is; empty before it has an identity."""
    try:
        return vault.call({"command": "identity"})[0]
    except VaultRefusal as err:
        if err.code != "not-initialised":
            raise
        return {}


def write_request(
    vault: VaultSession, folder: NodeFolder, config: NodeConfig, init: Mapping[str, Any], card_text: str
) -> tuple[dict[str, Any], bytes]:
    """Make the identity if there is none, pin the card if there is one, and sign the request.

    Args:
        vault: the open vault.
        folder, config: the node.
        init: fields of the vault's `init` for a node that has no identity yet.
        card_text: a card whose fingerprint a person has compared; empty pins nothing.

    Returns:
        The identity's public values, and the request file.
    """
    identity = find_identity(vault) or vault.call({"command": "init", **init})[0]
    if card_text:
        vault.call({"command": "accept", "card_text": card_text})
    csr = enrolment.certificate_request(folder, config)
    _answer, files = vault.call({"command": "request", "csr": csr})
    return identity, files["request"]


def pinned_fingerprint(vault: VaultSession) -> str:
    """Ask the vault for the fingerprint of the card that it has pinned; empty where there is none."""
    return str(vault.call({"command": "status"})[0]["fingerprint"])


def verify_same_card(vault: VaultSession, card_text: str) -> None:
    """Refuse a card other than the one that is pinned already; where none is, any will do.

    Raises:
        VaultRefusal: another one is pinned.
    """
    pinned = pinned_fingerprint(vault)
    if pinned and pinned != fingerprint(card_text):
        raise VaultRefusal(
            N_("another card is pinned already, fingerprint %(fingerprint)s"),
            N_(
                "Compare the fingerprints with the county by phone; a new federation needs a new node folder."
            ),
            code="card-pinned",
            details={"fingerprint": pinned},
        )


def take_grant(vault: VaultSession, folder: NodeFolder, config: NodeConfig, checked: Grant) -> dict[str, Any]:
    """Pin the card of a grant that `enrolment.read_grant` has checked, and keep certificate and address.

    Raises:
        VaultRefusal: another card is pinned; nothing has changed.
    """
    answer, _files = vault.call({"command": "accept", "card_text": checked.card_text})
    enrolment.install_grant(folder, config, checked)
    return {
        "federation": answer["federation"],
        "kind": answer["kind"],
        "fingerprint": fingerprint(checked.card_text),
        "address": checked.address,
        "certificate_days": enrolment.certificate_days(folder),
    }
