"""Receipts of hand-over files: a signed note that says who opened which file and when.

    fedscreen/hand-over-receipt/v1
    <the file's id>
    <SHA-256 of the file>
    <the token from inside the box>
    <when it was opened, UTC>
    <who opened it>

The recipient's key signs it. The token is known to nobody who has not opened the file, and the signature is
nobody else's: the sender keeps a proof that the named key opened exactly this file. The time is the
recipient's word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from crypto.errors import CryptoError
from crypto.note import VerifierKey, encode_signed, parse_note, verified_by
from node.errors import _
from node.hand_over_file import TIME_FORMAT, Opened
from node.hand_over_key import MAX_NAME, HandOverError, KeyPair

RECEIPT_FORMAT: Final = "fedscreen/hand-over-receipt/v1"
MAX_RECEIPT_BYTES: Final = 4096
_LINES = re.compile(
    r"(?P<format>[^\n]+)\n(?P<id>[0-9a-f]{32})\n(?P<digest>[0-9a-f]{64})\n(?P<token>[0-9a-f]{64})\n"
    r"(?P<opened>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n(?P<by>[^\n]{1,100})\n\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt says.

    Attributes:
        hand_over_id: of the file.
        digest: SHA-256 of the file, hex.
        token: from inside the box, hex.
        opened: when, UTC, as text; the recipient's word.
        by: who opened it; the recipient's word.
    """

    hand_over_id: str
    digest: str
    token: str = field(repr=False)
    opened: str
    by: str


def make_receipt(opened: Opened, own: KeyPair, by: str, now: datetime) -> bytes:
    """Sign the receipt of an opened file.

    Args:
        by: who opened it.

    Raises:
        HandOverError: no such name.
    """
    if not 0 < len(by) <= MAX_NAME or not by.isprintable():
        raise HandOverError(
            _("a name has 1 to %(high)d characters"),
            _("Correct the names."),
            code="hand-over-key-name",
            details={"high": MAX_NAME},
        )
    lines = (
        RECEIPT_FORMAT,
        opened.header.hand_over_id,
        opened.digest.hex(),
        opened.body.token,
        now.astimezone(UTC).strftime(TIME_FORMAT),
        by,
    )
    text = "".join(line + "\n" for line in lines)
    return encode_signed(text, [own.signing.sign(text)])


def parse_receipt(data: bytes) -> Receipt:
    """Read what a receipt says; nothing is verified yet.

    Raises:
        HandOverError: it is no receipt, or not whole.
    """
    try:
        found = _LINES.match(parse_note(data, MAX_RECEIPT_BYTES).text)
    except CryptoError:
        found = None
    if found is None or found["format"] != RECEIPT_FORMAT:
        raise HandOverError(
            _("this is no receipt of a hand-over file, or it is not whole"),
            _("Copy it again from where the recipient wrote it."),
            code="not-a-hand-over-receipt",
        )
    values: Mapping[str, str] = found.groupdict()
    return Receipt(values["id"], values["digest"], values["token"], values["opened"], values["by"])


def verify_receipt(data: bytes, verifier: VerifierKey, digest: str, token: str) -> Receipt:
    """Check a receipt against the file that was handed over.

    Args:
        verifier: of the key that the file was sealed to.
        digest, token: of that file, hex.

    Raises:
        HandOverError: it is no receipt, is for another file, or is not signed by the recipient.
    """
    receipt = parse_receipt(data)
    try:
        is_signed = bool(verified_by(parse_note(data, MAX_RECEIPT_BYTES), (verifier,)))
    except CryptoError:
        is_signed = False
    if not is_signed or (receipt.digest, receipt.token) != (digest, token):
        raise HandOverError(
            _("the receipt was not made by the recipient for this file"),
            _("Keep the file and ask the recipient by telephone."),
            code="hand-over-receipt-wrong",
        )
    return receipt
