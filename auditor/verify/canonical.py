"""Check that whatever is written in the bundle is written in its one form: written again, the same bytes.

The parsers refuse other spellings by themselves, each where it is used. Here the same is asked once more of
everything that is signed, hashed or shown, so that no second spelling of a number, a line of base64 or a JSON
object can carry a message or be read differently by another program.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.verify.bundle_files import BundleFiles
from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckFailed, CheckSkipped
from crypto.canonical import encode_json, parse_json
from crypto.checkpoint import encode_checkpoint, parse_checkpoint
from crypto.note import encode_note, parse_note
from crypto.tlog_proof import encode_proof, parse_proof
from plan.errors import Phrase, phrase
from protos.statements import encode_statement, parse_statement

_RECEIPTS = "receipts"


def check_canonical(log: BundleLog) -> Phrase:
    """Write checkpoint, entries, bodies and receipts again and compare."""
    if not log.entries:
        raise CheckSkipped(phrase("the entries cannot be read"))
    number = 0
    for place, data, again in _texts(log):
        if data != again:
            raise CheckFailed(phrase("%(place)s: not written in its one form", place=place))
        number += 1
    if len(log.bodies) != len(log.entries):
        raise CheckSkipped(phrase("the bodies cannot be read"))
    return phrase("%(number)s texts read and written again", number=number)


def _texts(log: BundleLog) -> Iterator[tuple[Phrase, bytes, bytes]]:
    yield phrase("checkpoint"), log.note, _checkpoint_again(log.note)
    for position, entry in enumerate(log.entries):
        place = phrase("entry %(position)s", position=position)
        note = parse_note(entry)
        yield place, entry, encode_note(note)
        yield place, note.text.encode(), encode_statement(parse_statement(note.text)).encode()
    for position, body in enumerate(log.bodies):
        if body:
            yield phrase("body of entry %(position)s", position=position), body, encode_json(parse_json(body))
    yield from _receipts(log.files)


def _receipts(files: BundleFiles) -> Iterator[tuple[Phrase, bytes, bytes]]:
    for path in files.under(_RECEIPTS):
        data = files.read(path)
        proof = parse_proof(data)
        yield phrase("%(path)s", path=path), data, encode_proof(proof)
        note = proof.checkpoint_note
        yield phrase("%(path)s", path=path), note, _checkpoint_again(note)


def _checkpoint_again(data: bytes) -> bytes:
    note = parse_note(data)
    text = encode_checkpoint(parse_checkpoint(note.text))
    return encode_note(note) if text == note.text else b""
