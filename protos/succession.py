"""One key after another: the line by which a party's old key names the one that follows it.

A node's report key and an auditor's two keys change only with such a line in the roster that brings the
new ones, so that whoever pinned the old key (a school its auditors, an auditor its schools) knows the new one
from the party itself and not from the county. The line is a C2SP signature of the text below by the old
statement or report key; its first line keeps it apart from every statement.

I/O-free. Spec: docs/protocol.md "Key succession"; ADR 15.
"""

from __future__ import annotations

from crypto.errors import CryptoError
from crypto.note import SigningKey, VerifierKey, parse_signature_line, verify_signature
from protos.errors import EnrolmentError

FIRST_LINE = "fedscreen/succession/v1"


def succession_text(
    federation: str, role: str, party: str, old: VerifierKey, new: VerifierKey, cosigner: VerifierKey | None
) -> str:
    """Write what the old key signs.

    Args:
        federation, role, party: whose key it is; role is ``node`` or ``auditor``.
        old, new: report keys of a node, statement keys of an auditor.
        cosigner: an auditor's cosigner key from then on; None for a node.
    """
    lines = [FIRST_LINE, f"federation {federation}", f"role {role}", f"id {party}"]
    lines += [f"from {old.text}", f"to {new.text}"]
    lines += [f"cosigner {cosigner.text}"] if cosigner else []
    return "\n".join(lines) + "\n"


def sign_succession(
    federation: str, role: str, party: str, old: SigningKey, new: VerifierKey, cosigner: VerifierKey | None
) -> str:
    """Sign with the old key that `new` follows it; gives the signature line."""
    return old.sign(succession_text(federation, role, party, old.verifier, new, cosigner))


def verify_succession(line: str, text: str, old: VerifierKey) -> None:
    """Check that the old key has signed a succession.

    Raises:
        EnrolmentError: no signature line, or not by that key.
    """
    try:
        verify_signature(text, parse_signature_line(line), old)
    except CryptoError as err:
        raise EnrolmentError("succession: not signed by the key that the roster knows") from err
