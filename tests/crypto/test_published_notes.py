"""Signed notes, checkpoints and cosignatures that others published as examples, as known answers.

Sources: golang.org/x/mod/sumdb/note (its package example and tests: Peter Neumann, Enoch Root),
c2sp.org/signed-note, /tlog-checkpoint, /tlog-cosignature and /tlog-witness (their examples),
github.com/transparency-dev/witness (its test log "monkeys").
"""

import pytest

from crypto.canonical import decode_base64
from crypto.checkpoint import cosignature_time, encode_checkpoint, parse_checkpoint
from crypto.errors import ConsistencyError, CryptoError, DecodeError, VerificationError
from crypto.merkle import verify_consistency
from crypto.note import (
    KeyType,
    Note,
    SigningKey,
    encode_note,
    parse_note,
    parse_vkey,
    verified_by,
    verify_signature,
)

PETER_SKEY = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"  # type 1, then the seed
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH_VKEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER = (
    "— PeterNeumann"
    " x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH = (
    "— EnochRoot"
    " rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
MALFORMED = {
    "text only": TEXT,
    "no signature": TEXT + "\n",
    "no line feed at the end": TEXT + "\n" + PETER[:-1],
    "control character": "\x01" + TEXT + "\n" + PETER,
    "name with a space": TEXT + "\n" + PETER.replace("PeterNeumann", "Bad Name"),
    "line after the signatures": TEXT + "\n" + PETER + "Unexpected line.\n",
    "101 signatures": TEXT + "\n" + PETER * 101,
}

FOO_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n— example.com/foo"
    " Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
SOFA = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 \
jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""
MONKEYS_VKEY = "monkeys+db4d9f7e+AULaJMvTtDLHPUcUrjdDad9vDlh/PTfC2VV60JUtCfWT"
MONKEYS_5 = """\
monkeys
5
41smjBUiAU70EtKlT6lIOIYtRTYxYXsDB+XHfcvu/BE=

— monkeys \
202fftzGl3LVoqjXfwCFZZXs8I+5G22+Ek2K0AOyBuSJ/8/CZawNF+6fNlTKOCd622pbzJNkkJFWuw9DbicZCkEx9AY=
"""
MONKEYS_8 = """\
monkeys
8
V8K9aklZ4EPB+RMOk1/8VsJUdFZR77GDtZUQq84vSbo=

— monkeys \
202ffoUEboiQYpHzICeaFmoy3RNviHTpAxYrq/eO4QQVQMvu9UebKBMX2MJC76NLthZaKsnKbCA8GxrjePZhvDCH7Ag=
"""
MONKEYS_PROOF = [
    "b9e1d62618f7fee8034e4c5010f727ab24d8e4705cb296c374bf2025a87a10d2",
    "aac66cd7a79ce4012d80762fe8eec3a77f22d1ca4145c3f4cee022e7efcd599d",
    "89d0f753f66a290c483b39cd5e9eafb12021293395fad3d4a2ad053cfbcfdc9e",
    "29e40bb79c966f4c6fe96aff6f30acfce5f3e8d84c02215175d6e018a5dee833",
]


def test_signing_as_peter_neumann_gives_the_published_note() -> None:
    typed_seed = decode_base64(PETER_SKEY)
    key = SigningKey("PeterNeumann", KeyType(typed_seed[0]), typed_seed[1:])
    assert key.verifier.text == PETER_VKEY
    assert key.sign(TEXT) + "\n" == PETER


def test_the_published_note_is_signed_by_whom_it_names() -> None:
    peter, enoch = parse_vkey(PETER_VKEY), parse_vkey(ENOCH_VKEY)
    note = parse_note(f"{TEXT}\n{PETER}{ENOCH}".encode())
    assert note.text == TEXT
    assert verified_by(note, (peter, enoch)) == (peter, enoch)
    assert verified_by(note, (peter,)) == (peter,)
    assert verified_by(note, ()) == ()
    twice = parse_note(f"{TEXT}\n{PETER}{PETER}{ENOCH}{ENOCH}{ENOCH[:60]}ABCD{ENOCH[60:]}".encode())
    assert verified_by(twice, (peter,)) == (peter,)  # a bad line of an unknown key is ignored


def test_an_invalid_signature_of_a_known_key_is_refused() -> None:
    note = parse_note(f"{TEXT}\n{PETER[:60]}ABCD{PETER[60:]}".encode())
    with pytest.raises(VerificationError, match="PeterNeumann"):
        verified_by(note, (parse_vkey(PETER_VKEY),))


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_published_notes_are_refused(name: str) -> None:
    with pytest.raises(DecodeError):
        parse_note(MALFORMED[name].encode())
    with pytest.raises(DecodeError):
        parse_note(b"\xff" + f"{TEXT}\n{PETER}".encode())


def test_every_mangling_of_the_published_key_is_refused() -> None:
    length = len(PETER_VKEY)
    parts = [PETER_VKEY[i:j] for i in range(length) for j in range(i + 1, length + 1) if j - i < length]
    raised = [PETER_VKEY[:i] + chr(ord(PETER_VKEY[i]) + 1) + PETER_VKEY[i + 1 :] for i in range(length)]
    other_length = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=="
    other_type = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    for text in (*parts, *raised, other_length, other_type):
        with pytest.raises(DecodeError):
            parse_vkey(text)


def test_the_example_of_signed_note_verifies() -> None:
    note, key = parse_note(FOO_NOTE.encode()), parse_vkey(FOO_VKEY)
    assert verified_by(note, (key,)) == (key,)
    with pytest.raises(VerificationError):
        verified_by(Note(note.text.replace("This", "this"), note.signatures), (key,))


def test_the_example_of_a_cosigned_checkpoint_is_read_and_written_again() -> None:
    note = parse_note(SOFA.encode())
    checkpoint = parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert encode_checkpoint(checkpoint) == note.text
    assert encode_note(note) == SOFA.encode()
    assert [signature.name for signature in note.signatures] == [checkpoint.origin, "witness.example.com/w1"]
    assert cosignature_time(note.signatures[1]) == 1679315147  # as the example's signed message says
    assert len(note.signatures[1].blob) == 72


def test_cosigning_the_example_signs_the_message_that_the_format_prints() -> None:
    text = parse_note(SOFA.encode()).text
    witness = SigningKey("witness.example.com/w1", KeyType.COSIGNATURE, bytes(range(32)))
    line = parse_note(f"{text}\n{witness.cosign(text, 1679315147)}\n".encode()).signatures[0]
    verify_signature(text, line, witness.verifier)
    plain = SigningKey(witness.name, KeyType.ED25519, witness.seed)
    printed = (
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    assert decode_base64(plain.sign(printed).split(" ")[2])[4:] == line.blob[8:]


def test_the_published_test_log_is_signed_and_consistent() -> None:
    key = parse_vkey(MONKEYS_VKEY)
    notes = [parse_note(data.encode()) for data in (MONKEYS_5, MONKEYS_8)]
    assert [verified_by(note, (key,)) for note in notes] == [(key,), (key,)]
    old, new = (parse_checkpoint(note.text) for note in notes)
    proof = [bytes.fromhex(value) for value in MONKEYS_PROOF]
    verify_consistency(old.size, new.size, proof, old.root, new.root)
    for bad in (proof[:-1], proof[::-1], [*proof, proof[0]]):
        with pytest.raises(ConsistencyError):
            verify_consistency(old.size, new.size, bad, old.root, new.root)
    with pytest.raises(CryptoError):
        verify_consistency(new.size, old.size, proof, new.root, old.root)
