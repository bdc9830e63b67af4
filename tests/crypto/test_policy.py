"""Trust policies: the specification's example, every rule that a line can break, and whose word suffices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.errors import CosignatureError, DecodeError, VerificationError
from crypto.note import KeyType, SigningKey
from crypto.policy import LogPolicy, parse_policy, verify_checkpoint

LOG = SigningKey("county/log", KeyType.ED25519, bytes(32))
OTHER_LOG = SigningKey("county/log2", KeyType.ED25519, bytes([99]) * 32)
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
WITNESSES = {
    name: SigningKey(f"county/witness/{name}", KeyType.COSIGNATURE, bytes([i + 1]) * 32)
    for i, name in enumerate(NAMES)
}
LINES = [f"log {LOG.verifier.text}"] + [
    f"witness {name} {key.verifier.text}" for name, key in WITNESSES.items()
]
EXAMPLE = "\n".join(
    [
        *LINES,
        "group X-witnesses 2 X1 X2 X3",
        "group Y-witnesses any Y1 Y2 Y3",
        "group X-and-Y all X-witnesses Y-witnesses",
        "quorum X-and-Y",
        "",
    ]
)


def checkpoint_note(*names: str, log: SigningKey = LOG, origin: str | None = None) -> bytes:
    text = encode_checkpoint(Checkpoint(origin or log.name, 5, bytes(32)))
    lines = [log.sign(text)] + [cosign(text, WITNESSES[name], 7) for name in names]
    return (text + "\n" + "".join(line + "\n" for line in lines)).encode()


@given(st.sets(st.sampled_from(NAMES)))
def test_the_specifications_example_wants_two_x_and_one_y(names: set[str]) -> None:
    policy = parse_policy(EXAMPLE)
    expected = len(names & {"X1", "X2", "X3"}) >= 2 and bool(names & {"Y1", "Y2", "Y3"})
    assert policy.is_satisfied(names) == expected
    assert policy.is_satisfied(names | {"stranger", "X-witnesses", "X-and-Y"}) == expected


def test_a_checkpoint_is_verified_against_the_quorum() -> None:
    policy = parse_policy(EXAMPLE)
    assert verify_checkpoint(checkpoint_note("X1", "X3", "Y2"), policy).size == 5
    for names in ((), ("X1", "Y1"), ("X1", "X2", "X3"), ("Y1", "Y2", "Y3")):
        with pytest.raises(CosignatureError):
            verify_checkpoint(checkpoint_note(*names), policy)


def test_a_checkpoint_needs_a_listed_log_under_its_own_origin() -> None:
    policy = parse_policy(f"log {LOG.verifier.text}\nlog {OTHER_LOG.verifier.text}\nquorum none\n")
    assert verify_checkpoint(checkpoint_note(log=OTHER_LOG), policy).origin == "county/log2"
    stranger = SigningKey("county/log", KeyType.ED25519, bytes([7]) * 32)
    for note in (checkpoint_note(log=stranger), checkpoint_note(log=LOG, origin="county/log2")):
        with pytest.raises(VerificationError, match="no log of the policy"):
            verify_checkpoint(note, policy)


def test_a_wrong_cosignature_refuses_the_checkpoint() -> None:
    note = checkpoint_note("X1", "X2", "X3", "Y1")
    cut = note.rindex(b" ") + 1
    wrong = note[: cut + 20] + (b"A" if note[cut + 20 : cut + 21] != b"A" else b"B") + note[cut + 21 :]
    with pytest.raises(CosignatureError, match="does not hold"):
        verify_checkpoint(wrong, parse_policy(EXAMPLE))


@pytest.mark.parametrize(
    ("quorum", "names", "is_satisfied"),
    [
        ("quorum none", set(), True),
        ("quorum X1", {"X1"}, True),
        ("quorum X1", {"X2"}, False),
        ("group g all X1 X2\nquorum g", {"X1"}, False),
        ("group g all X1 X2\nquorum g", {"X1", "X2"}, True),
        ("group g 1 X1 X2\nquorum g", {"X2"}, True),
    ],
)
def test_quorums(quorum: str, names: set[str], is_satisfied: bool) -> None:
    assert parse_policy("\n".join([*LINES, quorum])).is_satisfied(names) == is_satisfied


def test_white_space_comments_and_urls_say_nothing() -> None:
    policy = parse_policy(
        f"# ours\n\n \t# more\n\tlog   {LOG.verifier.text}\thttps://log.example/ \n"
        f"witness  李 {WITNESSES['X1'].verifier.text} https://w.example/\n quorum 李"
    )
    assert policy == LogPolicy((LOG.verifier,), {"李": WITNESSES["X1"].verifier}, {}, "李")


def test_an_applications_own_lines_are_returned_only_if_it_asks() -> None:
    text = "quorum none\ntuple 4 3 1 3\nschool a\ntuple 3 3 2 3\n"
    assert parse_policy(text, ("tuple", "school")).extra == (
        ("tuple", "4", "3", "1", "3"),
        ("school", "a"),
        ("tuple", "3", "3", "2", "3"),
    )
    with pytest.raises(DecodeError, match="line 2"):
        parse_policy(text)
    with pytest.raises(DecodeError, match="line 3"):
        parse_policy(text, ("tuple",))


def test_an_application_cannot_take_over_the_formats_own_words() -> None:
    with pytest.raises(DecodeError):
        parse_policy("quorum none\nquorum X1\n", ("quorum",))


VKEY = WITNESSES["X1"].verifier.text


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ("log", 8),
        ("log x", 8),
        (f"log {VKEY}", 8),
        (f"log {LOG.verifier.text}", 8),
        (f"log {OTHER_LOG.verifier.text} url more", 8),
        ("witness W", 8),
        (f"witness W {OTHER_LOG.verifier.text}", 8),
        (f"witness X1 {SigningKey('w', KeyType.COSIGNATURE, bytes([50]) * 32).verifier.text}", 8),
        (f"witness W {SigningKey('w', KeyType.COSIGNATURE, WITNESSES['X1'].seed).verifier.text}", 8),
        (f"witness none {SigningKey('w', KeyType.COSIGNATURE, bytes([50]) * 32).verifier.text}", 8),
        ("group g any", 8),
        ("group g", 8),
        ("group g 0 X1", 8),
        ("group g 2 X1", 8),
        ("group g -1 X1", 8),
        ("group g +1 X1", 8),
        ("group g ² X1 X2", 8),
        ("group g some X1", 8),
        ("group g any Z", 8),
        ("group g any g", 8),
        ("group g any none", 8),
        ("group X1 any X2", 8),
        ("group none any X2", 8),
        ("group g any X1 X1", 8),
        ("group g any X1\ngroup h any X1", 9),
        ("group g any X1\ngroup g any X2", 9),
        ("quorum", 8),
        ("quorum g\ngroup g any X1", 8),
        ("quorum X1 X2", 8),
        ("quorum X1\nquorum X1", 9),
        ("quorums X1", 8),
        ("Quorum X1", 8),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused_with_its_number(lines: str, number: int) -> None:
    with pytest.raises(DecodeError, match=f"^policy line {number}: "):
        parse_policy("\n".join([*LINES, lines, "quorum none"]))


@pytest.mark.parametrize("text", ["", "# nothing\n", "\n".join(LINES)], ids=["empty", "comment", "no quorum"])
def test_a_policy_without_quorum_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="exactly one quorum"):
        parse_policy(text)


@pytest.mark.parametrize(
    "text", ["quorum none\r\n", "quorum\x0bnone", "quorum none\x7f", "quorum none\0"], ids=repr
)
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="control"):
        parse_policy(text)


def test_only_spaces_and_tabs_separate_words() -> None:
    with pytest.raises(DecodeError):
        parse_policy("quorum\u00a0none")


def test_a_policy_is_bounded() -> None:
    assert len(parse_policy("quorum none" + "\n" * 999).logs) == 0
    with pytest.raises(DecodeError, match="at most 1000 lines, found 1001"):
        parse_policy("quorum none" + "\n" * 1000)


def test_a_log_may_have_two_keys_and_one_of_them_suffices() -> None:
    renewed = SigningKey(LOG.name, KeyType.ED25519, bytes([7]) * 32)
    policy = parse_policy(f"log {LOG.verifier.text}\nlog {renewed.verifier.text}\nquorum none\n")
    for key in (LOG, renewed):
        assert verify_checkpoint(checkpoint_note(log=key), policy).origin == LOG.name


def test_a_threshold_is_a_number_of_at_most_three_digits() -> None:
    names = [f"W{i}" for i in range(100)]
    lines = [
        f"witness {name} {SigningKey('w', KeyType.COSIGNATURE, bytes([i]) * 32).verifier.text}"
        for i, name in enumerate(names)
    ]
    policy = parse_policy("\n".join([*lines, f"group g 100 {' '.join(names)}", "quorum g"]))
    assert policy.is_satisfied(set(names))
    assert not policy.is_satisfied(set(names[1:]))
    for threshold in ("0001", "0100", "00001", "1" * 5000):
        with pytest.raises(DecodeError, match=r"threshold is any, all or 1\.\.100"):
            parse_policy("\n".join([*lines, f"group g {threshold} {' '.join(names)}", "quorum g"]))


@given(st.text(max_size=60))
def test_hostile_policies_raise_only_decode_errors(text: str) -> None:
    for candidate in (text, "quorum none\n" + text, "group " + text, f"witness {text} {VKEY}\nquorum {text}"):
        try:
            parse_policy(candidate)
        except DecodeError:
            continue
