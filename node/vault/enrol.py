"""Who this node is: its keys, its local floors, and the federation it pinned.

Everything secret is made here, in the vault, and stays: the master secret K (from which all noise and
all masks are derived), the report key, the key that turns a student number into a record key, and the
journal's key. Outside see the report key's public half and the commitment SHA-256(E("master", id, K)).

Order: ``init`` → ``request`` (a file for the coordinator) → ``accept`` (the federation card, after a
person compared its fingerprint). Each is idempotent; a second one that differs is refused.

Spec: docs/protocol.md "Keys"; docs/architecture.md "How commands reach the vault".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from crypto.canonical import encode_json, parse_json
from crypto.derivation import kdf, master_commitment
from crypto.errors import CryptoError
from crypto.note import KeyType, SigningKey, VerifierKey
from node.vault.errors import CommandError, EnrolmentStateError, _
from node.vault.journal import TIME_FORMAT, Entropy
from node.vault.store import VaultStore
from plan.codes import SYSTEM
from protos.bodies import key_name, sorted_attributes
from protos.card import FederationCard, fingerprint, parse_card
from protos.enrolment import Request, encode_request, encode_roll, request_text
from protos.errors import BodyError, CardError
from protos.fields import ID_PATTERN
from protos.succession import sign_succession

SECRET_BYTES = 32
MAX_OPERATOR = 200
MAX_FRACTION_CHARS = 64
YEAR_CAP = Fraction(1, 2)  # privacy.md: rho a pupil and school year; only ever lowered
CARD_SETTING = "card"
FLOORS_SETTING = "floors"
ROLLS_SETTING = "report-key-rolls"
MAX_ROLLS = 64


@dataclass(frozen=True, slots=True)
class Floors:
    """What this school asks of every plan, whatever the county says.

    Attributes:
        threshold: least t, auditors that must open together.
        collude: least f, auditors assumed to collude with the coordinator.
        min_reports: least number of schools in an opened sum.
        colluding_schools: least number of schools assumed to add no noise.
        rho_round: most that one round may cost.
        rho_year: most that all rounds of one school year may cost; never above 1/2.
    """

    threshold: int = 3
    collude: int = 1
    min_reports: int = 5
    colluding_schools: int = 1
    rho_round: Fraction = Fraction(1, 4)
    rho_year: Fraction = YEAR_CAP

    def __post_init__(self) -> None:
        """Check the ranges."""
        numbers = (self.threshold, self.collude, self.min_reports, self.colluding_schools)
        if any(type(value) is not int or value < 0 for value in numbers):
            raise _bad("floors", _("whole numbers of at least 0"))
        if not 0 < self.rho_year <= YEAR_CAP or self.rho_round <= 0:
            raise _bad("floors", _("rho_round above 0 and rho_year above 0 and at most 1/2"))

    def as_json(self) -> dict[str, str | int]:
        """Give the floors as JSON values; rationals as text."""
        return {
            "threshold": self.threshold,
            "collude": self.collude,
            "min_reports": self.min_reports,
            "colluding_schools": self.colluding_schools,
            "rho_round": str(self.rho_round),
            "rho_year": str(self.rho_year),
        }

    def tightened(self, other: Floors) -> Floors:
        """Take the stricter of each value."""
        return Floors(
            max(self.threshold, other.threshold),
            max(self.collude, other.collude),
            max(self.min_reports, other.min_reports),
            max(self.colluding_schools, other.colluding_schools),
            min(self.rho_round, other.rho_round),
            min(self.rho_year, other.rho_year),
        )


def parse_floors(values: Mapping[str, Any], defaults: Floors | None = None) -> Floors:
    """Read floors from JSON values; what is missing stays at `defaults`.

    Raises:
        CommandError: an unknown key or a value out of range.
    """
    merged: dict[str, Any] = (defaults or Floors()).as_json()
    unknown = sorted(set(values) - set(merged))
    if unknown:
        raise _bad("floors", _("only the keys threshold, collude, min_reports … rho_year"))
    merged.update(values)
    try:
        for name in ("rho_round", "rho_year"):
            merged[name] = _fraction(merged[name])
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise _bad("floors", _("a rational such as 1/5")) from None
    return Floors(**merged)


def _fraction(value: Any) -> Fraction:
    """Read a/b or a decimal; an exponent is refused, for `Fraction` would write 1e999999999 out."""
    if isinstance(value, str) and (len(value) > MAX_FRACTION_CHARS or "e" in value.lower()):
        raise ValueError("not a short rational")
    return Fraction(value)


@dataclass(frozen=True, slots=True)
class Identity:
    """This node. The secrets are 32 bytes each and never leave the vault."""

    federation: str
    node: str
    operator: str
    attributes: tuple[tuple[str, str], ...]
    system: str
    created: str
    master: bytes = field(repr=False)
    report_seed: bytes = field(repr=False)
    pupil_key: bytes = field(repr=False)
    journal_key: bytes = field(repr=False)
    num_rolls: int = 0

    @property
    def report_key(self) -> SigningKey:
        """The newest key that signs this node's reports."""
        return self.report_key_at(self.num_rolls)

    def report_key_at(self, number: int) -> SigningKey:
        """Give the report key after so many rolls: the drawn one, then keys that follow from K.

        So a recovery file from before a roll still gives the new key, and nothing new has to be kept.
        """
        name = key_name(self.federation, "node", self.node)
        seed = self.report_seed if number == 0 else kdf(self.master, "report key", self.node, number)
        return SigningKey(name, KeyType.ED25519, seed)

    def key_for(self, verifier: VerifierKey) -> SigningKey | None:
        """Find the report key that a roster names; None where it is none of this node's."""
        keys = (self.report_key_at(number) for number in range(MAX_ROLLS + 1))
        return next((key for key in keys if key.verifier == verifier), None)

    @property
    def verifier(self) -> VerifierKey:
        """The public half of the report key."""
        return self.report_key.verifier

    @property
    def commitment(self) -> bytes:
        """The commitment to K that stands in the roster."""
        return master_commitment(self.node, self.master)

    def public_values(self) -> dict[str, Any]:
        """Give what is not secret, as JSON values."""
        return {
            "federation": self.federation,
            "node": self.node,
            "operator": self.operator,
            "attributes": dict(self.attributes),
            "system": self.system,
        }


def create_identity(
    store: VaultStore, entropy: Entropy, now: datetime, values: Mapping[str, Any], floors: Floors
) -> Identity:
    """Make this node's identity, inside the caller's transaction; the same values again change nothing.

    Raises:
        CommandError: a value is missing or out of range.
        EnrolmentStateError: the node is another one already.
    """
    public = _check_public(values)
    existing = find_identity(store)
    if existing is not None:
        if existing.public_values() != public:
            raise EnrolmentStateError(
                _("this record file belongs to node %(node)s of %(federation)s"),
                _("Use another folder for another node; nothing was changed."),
                code="already-initialised",
                details={"node": existing.node, "federation": existing.federation},
            )
        return existing
    secrets = [entropy(SECRET_BYTES) for _index in range(4)]
    if any(len(secret) != SECRET_BYTES for secret in secrets) or len(set(secrets)) != len(secrets):
        raise EnrolmentStateError(_("the entropy source failed"), code="entropy")
    return put_identity(store, public, secrets, now.strftime(TIME_FORMAT), floors)


def put_identity(
    store: VaultStore, public: Mapping[str, Any], secrets: Sequence[bytes], created: str, floors: Floors
) -> Identity:
    """Write the identity of a store that has none, inside the caller's transaction.

    Args:
        public: as `Identity.public_values`.
        secrets: master, report seed, pupil key, journal key; 32 bytes each.
        created: when they were drawn.
    """
    store.execute(
        "INSERT INTO identity (id, public, master, report_seed, pupil_key, journal_key, created)"
        " VALUES (1, ?, ?, ?, ?, ?, ?)",
        (encode_json(_check_public(public)), *secrets, created),
    )
    store.put_setting(FLOORS_SETTING, encode_json(floors.as_json()))
    return load_identity(store)


def find_identity(store: VaultStore) -> Identity | None:
    """Read this node's identity, None before ``init``."""
    row = store.one(
        "SELECT public, created, master, report_seed, pupil_key, journal_key FROM identity WHERE id = 1"
    )
    if row is None:
        return None
    public, rolls = _object(bytes(row[0])), store.setting(ROLLS_SETTING)
    return Identity(
        federation=public["federation"],
        node=public["node"],
        operator=public["operator"],
        attributes=tuple(sorted(public["attributes"].items())),
        system=public["system"],
        created=row[1],
        master=bytes(row[2]),
        report_seed=bytes(row[3]),
        pupil_key=bytes(row[4]),
        journal_key=bytes(row[5]),
        num_rolls=int(rolls) if rolls else 0,
    )


def load_identity(store: VaultStore) -> Identity:
    """Read this node's identity.

    Raises:
        EnrolmentStateError: ``init`` has not been run.
    """
    identity = find_identity(store)
    if identity is None:
        raise EnrolmentStateError(
            _("this node has no identity yet"),
            _("Run 'fedscreen node setup'; if it had one, its record file was lost: restore a backup."),
            code="not-initialised",
        )
    return identity


def load_floors(store: VaultStore) -> Floors:
    """Read the local floors; the defaults before ``init``."""
    stored = store.setting(FLOORS_SETTING)
    return Floors() if stored is None else parse_floors(_object(stored))


def tighten_floors(store: VaultStore, values: Mapping[str, Any]) -> Floors:
    """Make the floors stricter, inside the caller's transaction; nothing ever loosens them."""
    current = load_floors(store)
    floors = current.tightened(parse_floors(values, current))
    store.put_setting(FLOORS_SETTING, encode_json(floors.as_json()))
    return floors


def make_request(identity: Identity, csr_pem: str) -> bytes:
    """Write and sign the enrolment request of this node.

    The vault builds the text itself: nothing that comes from outside is signed as it is.
    """
    if not isinstance(csr_pem, str) or not 0 < len(csr_pem) <= 16 * 1024:
        raise _bad("csr", _("a certificate request in PEM form"))
    request = Request(
        role="node",
        federation=identity.federation,
        id=identity.node,
        operator=identity.operator,
        attributes=identity.attributes,
        key=identity.verifier,
        cosigner=None,
        master=identity.commitment,
        csr_pem=csr_pem,
    )
    return encode_request(request, identity.report_key.sign(request_text(request)))


def roll_report_key(
    store: VaultStore, identity: Identity, rostered: VerifierKey | None, csr_pem: str
) -> bytes:
    """Go over to the next report key, inside the caller's transaction, and write the roll file.

    Asking again before a roster has the new key gives the same key.

    Args:
        rostered: this node's key in the newest roster of its copy of the log; None before the first.

    Raises:
        EnrolmentStateError: no roster has this node, or with another key; or there were too many rolls.
    """
    old = None if rostered is None else identity.key_for(rostered)
    if old is None:
        raise EnrolmentStateError(
            _("no roster has a key of this node yet, so there is none to roll over"),
            _("Let the node run until it has the newest log; then give the command again."),
            code="no-rostered-key",
        )
    number = next(item for item in range(MAX_ROLLS + 1) if identity.report_key_at(item) == old) + 1
    if number > MAX_ROLLS:
        raise EnrolmentStateError(
            _("this node's key was rolled over %(most)d times; it needs a new id"),
            _("Ask the county to enrol the school anew, as the successor of this one."),
            code="too-many-rolls",
            details={"most": MAX_ROLLS},
        )
    store.put_setting(ROLLS_SETTING, str(number).encode())
    rolled = replace(identity, num_rolls=number)
    line = sign_succession(identity.federation, "node", identity.node, old, rolled.verifier, None)
    return encode_roll(make_request(rolled, csr_pem), line)


def accept_card(store: VaultStore, identity: Identity, text: str) -> FederationCard:
    """Pin a federation card, inside the caller's transaction; the same card again changes nothing.

    A person has compared its fingerprint with the one told by the county.

    Raises:
        CommandError: not a card.
        EnrolmentStateError: another federation's card, or another card is pinned already.
    """
    card = _parse_card(text)
    if card.federation != identity.federation:
        raise EnrolmentStateError(
            _("the card is of federation %(found)s, this node belongs to %(expected)s"),
            _("Ask the county for its own federation card."),
            code="wrong-federation",
            details={"found": card.federation, "expected": identity.federation},
        )
    pinned = store.setting(CARD_SETTING)
    if pinned is not None and pinned != text.encode("utf-8"):
        raise EnrolmentStateError(
            _("another card is pinned already, fingerprint %(fingerprint)s"),
            _("Compare the fingerprints with the county by phone; a new federation needs a new node folder."),
            code="card-pinned",
            details={"fingerprint": fingerprint(pinned.decode("utf-8"))},
        )
    store.put_setting(CARD_SETTING, text.encode("utf-8"))
    return card


def find_card(store: VaultStore) -> tuple[FederationCard, str] | None:
    """Read the pinned card and its text, None before ``accept``."""
    stored = store.setting(CARD_SETTING)
    if stored is None:
        return None
    text = stored.decode("utf-8")
    return _parse_card(text), text


def not_accepted() -> EnrolmentStateError:
    """Make the error of a node that has pinned no federation, for ``raise``."""
    return EnrolmentStateError(
        _("this node has not accepted a federation card yet"),
        _("Run 'fedscreen node accept' with the file that the county sent."),
        code="not-accepted",
    )


def _check_public(values: Mapping[str, Any]) -> dict[str, Any]:
    federation, node = values.get("federation"), values.get("node")
    for name, value in (("federation", federation), ("node", node)):
        if not isinstance(value, str) or not ID_PATTERN.match(value):
            raise _bad(name, _("an id of a-z 0-9 . _ -"))
    operator = values.get("operator")
    if not isinstance(operator, str) or not 0 < len(operator) <= MAX_OPERATOR or not operator.isprintable():
        raise _bad("operator", _("a name of 1 to 200 characters on one line"))
    system = values.get("system", next(iter(SYSTEM)))
    if system not in SYSTEM:
        raise _bad("system", ", ".join(SYSTEM))
    attributes = values.get("attributes", {})
    if not isinstance(attributes, dict):
        raise _bad("attributes", _("an object of texts"))
    try:
        ordered = dict(sorted_attributes(attributes))
    except BodyError:
        raise _bad("attributes", _("an object of texts")) from None
    return {
        "federation": federation,
        "node": node,
        "operator": operator,
        "attributes": ordered,
        "system": system,
    }


def _parse_card(text: str) -> FederationCard:
    try:
        return parse_card(text)
    except CardError:
        raise CommandError(
            _("the file is no federation card, or it is damaged"),
            _("Ask the county to send the grant file again."),
            code="bad-card",
        ) from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = parse_json(data)
    except CryptoError:
        value = ""
    if not isinstance(value, dict):
        raise EnrolmentStateError(_("the node's settings are damaged"), code="settings-damaged")
    return dict(value)


def _bad(name: str, expected: str) -> CommandError:
    return CommandError(
        _("%(field)s: expected %(expected)s"),
        _("Correct the value and run the command again."),
        details={"field": name, "expected": expected},
    )
