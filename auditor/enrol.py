"""Join a federation in three files: request out, grant in, keys never move.

1. `init` makes keys and a signed request (this auditor's public keys and a CSR).
2. The coordinator answers with a grant: certificate, CA, federation card, address.
3. `join` takes the grant only if the card's fingerprint is the one that a person was told by
   another way, and if certificate and CA are the ones that belong to it.
"""

from __future__ import annotations

from pathlib import Path

from auditor.config import AuditorConfig, AuditorFolder, read_config, write_config
from auditor.durable import replace_durably
from auditor.errors import ConfigError, KeyFileError
from auditor.keys import (
    AuditorKeys,
    certificate_request,
    create_keys,
    create_next,
    install_certificate,
    load_keys,
)
from auditor.policy import AuditorPolicy, default_policy, parse_auditor_policy
from crypto.errors import CryptoError
from crypto.fingerprint import read_fingerprint
from crypto.note import VerifierKey
from plan.errors import Phrase, phrase
from protos.card import FederationCard, fingerprint, parse_card
from protos.enrolment import Grant, Request, encode_roll, parse_grant, sign_request
from protos.ledger import Ledger
from protos.succession import sign_succession

ROLE = "auditor"
MAX_MISHEARD = 4  # more other words than this are no slip of tongue or ear
OUTSIDE = "outside"  # attribute of the request: outside the county's own line


def create_auditor(folder: AuditorFolder, config: AuditorConfig) -> AuditorKeys:
    """Make a new auditor's keys and configuration.

    Raises:
        ConfigError, KeyFileError: the directory has an auditor already.
    """
    if folder.config.exists():
        raise ConfigError(
            phrase(
                "%(config)s: exists already; choose another directory for a new auditor", config=folder.config
            )
        )
    keys = create_keys(folder, config)
    write_config(folder, config)
    return keys


def make_request(folder: AuditorFolder) -> bytes:
    """Write the request file of an auditor, with its newest keys."""
    config = read_config(folder)
    return _request(folder, config, load_keys(folder, config))


def _request(folder: AuditorFolder, config: AuditorConfig, keys: AuditorKeys) -> bytes:
    request = Request(
        role=ROLE,
        federation=config.federation,
        id=config.id,
        operator=config.operator,
        attributes=((OUTSIDE, "1"),) if config.is_outside else (),
        key=keys.statement.verifier,
        cosigner=keys.cosigner.verifier,
        master=None,
        csr_pem=certificate_request(folder, config),
    )
    return sign_request(request, keys.statement)


def roll_keys(folder: AuditorFolder, ledger: Ledger) -> bytes:
    """Make the next pair of keys unless one waits for its roster already; give the roll file.

    Args:
        folder: the auditor's directory.
        ledger: its copy of the log, which says which pair is in force.

    Raises:
        ConfigError: this auditor stands in no roster yet.
    """
    config = read_config(folder)
    keys = load_keys(folder, config)
    rostered = ledger.chain.auditors.get(config.id)
    if rostered is None:
        raise ConfigError(phrase("this auditor stands in no roster yet, so there are no keys to roll over"))
    if (rostered.statement, rostered.cosigner) == (keys.statement.verifier, keys.cosigner.verifier):
        keys = create_next(folder, config)
    old, new, cosigner = keys.statement_for(rostered.statement), keys.statement, keys.cosigner
    line = sign_succession(config.federation, ROLE, config.id, old, new.verifier, cosigner.verifier)
    return encode_roll(_request(folder, config, keys), line)


def join(folder: AuditorFolder, grant_data: bytes, expected_fingerprint: str) -> FederationCard:
    """Take a grant; writes certificate, card, default policy and the coordinator's address.

    Args:
        folder: the auditor's directory.
        grant_data: the grant file.
        expected_fingerprint: of the federation card, as told by another way than the file: digits or words.

    Raises:
        ConfigError: another party's grant, no card in it, another fingerprint, another card than before.
        KeyFileError: certificate or CA do not belong here.
        ProtocolError: the file is malformed.
    """
    config = read_config(folder)
    grant = parse_grant(grant_data)
    keys = load_keys(folder, config)
    _verify_grant(grant, config, expected_fingerprint, keys.statement.verifier)
    card = parse_card(grant.card_text)
    _verify_card(card, config, keys)
    if folder.card.exists() and folder.card.read_text("utf-8") != grant.card_text:
        raise ConfigError(
            phrase("%(card)s: another card is pinned; a federation's card never changes", card=folder.card)
        )
    install_certificate(folder, grant.certificate_pem, grant.ca_pem, card.ca)
    replace_durably(folder.card, grant.card_text.encode(), "card")
    if not folder.policy.exists():
        replace_durably(folder.policy, default_policy(card).encode(), "policy")
    address = {"address": grant.address, "server_name": grant.server_name}
    write_config(folder, config.model_copy(update=address))
    return card


def _verify_grant(
    grant: Grant, config: AuditorConfig, expected_fingerprint: str, own_key: VerifierKey
) -> None:
    if (grant.role, grant.federation, grant.id) != (ROLE, config.federation, config.id):
        raise ConfigError(
            phrase(
                "grant: for %(role)s %(id)s of %(federation)s, this is auditor %(config_id)s",
                role=phrase(grant.role),
                id=grant.id,
                federation=grant.federation,
                config_id=config.id,
            )
        )
    if not grant.card_text:
        raise ConfigError(
            phrase(
                "grant: has no federation card yet; the coordinator proposes its first roster and "
                "approves again"
            )
        )
    found, told = fingerprint(grant.card_text), read_told(expected_fingerprint)
    if told == fingerprint(own_key.text):
        raise ConfigError(
            phrase("these are the words of your own key; asked for are those of the federation card")
        )
    if found != told:
        raise ConfigError(_other_words(found, told))


def _other_words(found: str, told: str) -> Phrase:
    """Say which words differ and never what the grant's file has: whoever sees it would type it in."""
    pairs = zip(bytes.fromhex(found.replace("-", "")), bytes.fromhex(told.replace("-", "")), strict=True)
    places = [place for place, (one, other) in enumerate(pairs, start=1) if one != other]
    if len(places) > MAX_MISHEARD:
        return phrase(
            "grant: its federation card has other words than you were told, nearly all of them; do not join, "
            "call the coordinator by a number that you know"
        )
    return phrase(
        "grant: its federation card has another word at place %(places)s of 16 than you were told (two "
        "digits are one word); have it read out again; if it stays so, do not join, call the coordinator",
        places=", ".join(str(place) for place in places),
    )


def read_told(text: str) -> str:
    """Read a fingerprint as a person typed it: digits, or words of either language.

    Raises:
        ConfigError: it is none.
    """
    try:
        return read_fingerprint(text)
    except CryptoError as err:
        message = phrase(
            "--fingerprint: expected sixteen words, or eight groups of four digits; have it read out again "
            "(%(reason)s)",
            reason=err,
        )
        raise ConfigError(message) from err


def _verify_card(card: FederationCard, config: AuditorConfig, keys: AuditorKeys) -> None:
    if card.federation != config.federation:
        raise ConfigError(
            phrase(
                "card: of %(federation)s, this auditor is set up for %(config_federation)s",
                federation=card.federation,
                config_federation=config.federation,
            )
        )
    own = next((row for row in card.auditors if row.id == config.id), None)
    if own is not None and not keys.holds(own.statement, own.cosigner):
        raise KeyFileError(
            phrase("card: lists other keys for this auditor; do not join, call the coordinator")
        )


def load_card(folder: AuditorFolder) -> FederationCard:
    """Read the pinned federation card.

    Raises:
        ConfigError: there is none, or it is not text.
    """
    try:
        return read_card(folder.card)
    except FileNotFoundError as err:
        raise ConfigError(
            phrase("%(card)s: not found; run 'fedscreen auditor join' first", card=folder.card)
        ) from err


def read_card(path: Path) -> FederationCard:
    """Read a federation card's file.

    Raises:
        ConfigError: it is not text.
        CardError: it is no card.
    """
    try:
        return parse_card(path.read_text("utf-8"))
    except UnicodeDecodeError as err:
        raise ConfigError(phrase("%(path)s: not UTF-8 text", path=path)) from err


def load_policy(path: Path) -> AuditorPolicy:
    """Read a policy file.

    Raises:
        ConfigError: there is none, or it is not text.
        PolicyError: it is malformed.
    """
    try:
        return parse_auditor_policy(path.read_text("utf-8-sig"))
    except FileNotFoundError as err:
        raise ConfigError(phrase("%(path)s: not found", path=path)) from err
    except UnicodeDecodeError as err:
        raise ConfigError(phrase("%(path)s: not UTF-8 text", path=path)) from err
