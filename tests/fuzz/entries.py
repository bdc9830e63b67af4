"""Log entries of a hostile signer: any text, the body that it names, the keys that its type needs."""

from __future__ import annotations

from fakes_federation import TinyFederation

from crypto.note import SigningKey
from protos.statements import body_ref

BODY_MARK = b"\n\0"


def with_body(text: str, body: bytes) -> str:
    """Name the body in the text where the text names one."""
    head, line, _ = text.partition("\nbody-sha256 ")
    if not line:
        return text
    ref = body_ref(body)
    return f"{head}\nbody-sha256 {ref.sha256.hex()}\nbody-bytes {ref.size}\n"


def signers_of(federation: TinyFederation, text: str) -> list[SigningKey]:
    """The keys that must sign a statement of this type by this party."""
    fields = dict(line.split(" ", 1) for line in text.split("\n") if " " in line)
    kind = text.split("\n", 1)[0].removeprefix("fedscreen/").removesuffix("/v1")
    if kind == "roster":
        return [federation.coordinator, *federation.auditors.values()]
    if kind == "report" and fields.get("node", "") in federation.nodes:
        return [federation.nodes[fields["node"]].key(federation.federation)]
    if fields.get("auditor", "") in federation.auditors and kind != "plan":
        return [federation.auditors[fields["auditor"]]]
    return [federation.coordinator]
