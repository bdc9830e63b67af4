"""The files of enrolment: a request (from node or auditor), a grant (from the coordinator), a roll.

`node request` → `coordinator approve` → `node accept --fingerprint`: three files' worth of work,
three commands, and no private key moves. All are canonical JSON in UTF-8. A request is
signed by the report key (node) or statement key (auditor) that it brings. A roll is the request of
an enrolled party with its next keys, and the line by which the key before says so (`protos.succession`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crypto.canonical import encode_json, parse_json
from crypto.errors import CryptoError, VerificationError
from crypto.note import (
    KeyType,
    SigningKey,
    VerifierKey,
    parse_signature_line,
    parse_vkey,
    verify_signature,
)
from protos.bodies import MAX_WORDS, key_name, sorted_attributes
from protos.errors import BodyError, EnrolmentError
from protos.fields import HEX_PATTERN, ID_PATTERN
from protos.succession import succession_text, verify_succession

REQUEST_FORMAT = "fedscreen/request/v1"
GRANT_FORMAT = "fedscreen/grant/v1"
ROLL_FORMAT = "fedscreen/roll/v1"
MAX_FILE_BYTES = 256 * 1024
ROLES = ("node", "auditor")


@dataclass(frozen=True, slots=True)
class Request:
    """What a party asks for. A node brings `master` (32-byte commitment) and no cosigner; an
    auditor brings a cosigner key and no master commitment. `csr_pem` is for its P-256 TLS key."""

    role: str
    federation: str
    id: str
    operator: str
    attributes: tuple[tuple[str, str], ...]
    key: VerifierKey
    cosigner: VerifierKey | None
    master: bytes | None
    csr_pem: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a party handed in: its request, and the line of succession where it is a roll, else empty."""

    request: Request
    succession: str

    def verify_follows(self, old: VerifierKey) -> None:
        """Check that the holder of the old key says that this request's keys follow it.

        Raises:
            EnrolmentError: it does not.
        """
        own = self.request
        text = succession_text(own.federation, own.role, own.id, old, own.key, own.cosigner)
        verify_succession(self.succession, text, old)


@dataclass(frozen=True, slots=True)
class Grant:
    """What the coordinator answers: TLS certificate and CA, the federation card, where to connect.

    `ca_pem` is a chain as in `crypto.ca_chain`: the CA of the card, and those that followed it.
    """

    role: str
    federation: str
    id: str
    certificate_pem: str
    ca_pem: str
    card_text: str
    address: str
    server_name: str


def _request_values(request: Request) -> dict[str, Any]:
    return {
        "attributes": dict(request.attributes),
        "cosigner": request.cosigner.text if request.cosigner else "",
        "csr": request.csr_pem,
        "federation": request.federation,
        "format": REQUEST_FORMAT,
        "id": request.id,
        "key": request.key.text,
        "master": request.master.hex() if request.master else "",
        "operator": request.operator,
        "role": request.role,
    }


def _signed_text(values: dict[str, Any]) -> str:
    return f"{REQUEST_FORMAT}\n{encode_json(values).decode('utf-8')}\n"


def request_text(request: Request) -> str:
    """Give the text that the requester's key signs (for keys that live behind the vault's wall)."""
    return _signed_text(_request_values(request))


def encode_request(request: Request, signature_line: str) -> bytes:
    """Write a request file with its signature line."""
    return encode_json(_request_values(request) | {"signature": signature_line})


def sign_request(request: Request, key: SigningKey) -> bytes:
    """Sign and write a request file."""
    return encode_request(request, key.sign(request_text(request)))


def parse_request(data: bytes) -> Request:
    """Read a request file and verify that it is signed by the key that it brings.

    Raises:
        EnrolmentError: damaged, or not signed by that key.
    """
    names = "attributes cosigner csr federation format id key master operator role signature"
    values = _values(data, REQUEST_FORMAT, names)
    signature = values.pop("signature")
    try:
        request = _read_request(values)
        verify_signature(_signed_text(values), parse_signature_line(signature), request.key)
    except VerificationError as err:
        raise EnrolmentError("request: not signed by the key that it brings; make it again") from err
    except (CryptoError, BodyError, ValueError) as err:
        raise EnrolmentError("request: damaged; make it again on the party's machine") from err
    return request


def _read_request(values: dict[str, Any]) -> Request:
    role, federation, party = values["role"], values["federation"], values["id"]
    if role not in ROLES or not ID_PATTERN.match(federation) or not ID_PATTERN.match(party):
        raise ValueError("role, federation or id")
    key = parse_vkey(values["key"])
    if key.name != key_name(federation, role, party) or key.key_type != KeyType.ED25519:
        raise ValueError("key of another name or kind")
    cosigner = parse_vkey(values["cosigner"]) if role == "auditor" else None
    expected = key_name(federation, "witness", party)
    if cosigner and (cosigner.name != expected or cosigner.key_type != KeyType.COSIGNATURE):
        raise ValueError("cosigner of another name or kind")
    if cosigner and cosigner.public_key == key.public_key:
        raise ValueError("one key for two purposes")
    master = values["master"]
    if len(master) != (64 if role == "node" else 0) or not HEX_PATTERN.match(master):
        raise ValueError("master commitment")
    if role == "node" and values["cosigner"]:
        raise ValueError("a node has no cosigner")
    attributes, operator = values["attributes"], values["operator"]
    if not isinstance(attributes, dict) or len(attributes) > 16:
        raise ValueError("attributes")
    if not 0 < len(operator) <= MAX_WORDS or any(character < " " for character in operator):
        raise ValueError("operator: a roster with it could not be read")
    return Request(
        role=role,
        federation=federation,
        id=party,
        operator=operator,
        attributes=sorted_attributes(attributes),
        key=key,
        cosigner=cosigner,
        master=bytes.fromhex(master) if role == "node" else None,
        csr_pem=values["csr"],
    )


def encode_roll(request: bytes, succession: str) -> bytes:
    """Write a roll file: a request file with the next keys, and the old key's line."""
    return encode_json({"format": ROLL_FORMAT, "request": request.decode("utf-8"), "succession": succession})


def parse_enrolment(data: bytes) -> Enrolment:
    """Read a request file or a roll file; whom the keys follow is checked by `Enrolment.verify_follows`.

    Raises:
        EnrolmentError: neither, or damaged, or not signed by the key that it brings.
    """
    if f'"format":"{ROLL_FORMAT}"'.encode() not in data[:MAX_FILE_BYTES]:
        return Enrolment(parse_request(data), "")
    values = _values(data, ROLL_FORMAT, "format request succession")
    return Enrolment(parse_request(values["request"].encode("utf-8")), values["succession"])


def encode_grant(grant: Grant) -> bytes:
    """Write a grant file; the inverse of `parse_grant`."""
    return encode_json(
        {
            "address": grant.address,
            "ca": grant.ca_pem,
            "card": grant.card_text,
            "certificate": grant.certificate_pem,
            "federation": grant.federation,
            "format": GRANT_FORMAT,
            "id": grant.id,
            "role": grant.role,
            "server_name": grant.server_name,
        }
    )


def parse_grant(data: bytes) -> Grant:
    """Read a grant file. Its card is not trusted until a person compared its fingerprint."""
    values = _values(data, GRANT_FORMAT, "address ca card certificate federation format id role server_name")
    if values["role"] not in ROLES or not ID_PATTERN.match(values["id"]):
        raise EnrolmentError("grant: damaged; ask the coordinator for it again")
    return Grant(
        role=values["role"],
        federation=values["federation"],
        id=values["id"],
        certificate_pem=values["certificate"],
        ca_pem=values["ca"],
        card_text=values["card"],
        address=values["address"],
        server_name=values["server_name"],
    )


def _values(data: bytes, file_format: str, names: str) -> dict[str, Any]:
    what = file_format.split("/")[1]
    if len(data) > MAX_FILE_BYTES:
        raise EnrolmentError(f"{what}: file of {len(data)} bytes, at most {MAX_FILE_BYTES}")
    try:
        values = parse_json(data)
    except CryptoError as err:
        raise EnrolmentError(f"{what}: not a {what} file, or damaged") from err
    if not isinstance(values, dict) or sorted(values) != names.split():
        raise EnrolmentError(f"{what}: not a {what} file of this version")
    texts = {key: value for key, value in values.items() if key != "attributes"}
    if values["format"] != file_format or any(not isinstance(value, str) for value in texts.values()):
        raise EnrolmentError(f"{what}: not a {what} file of this version")
    return dict(values)
