"""What fuzzing and reading for it have found: one test for each, named for what went wrong.

Inputs are built here where they are large; small ones lie in `past/` and are replayed by `test_corpus.py`.
"""

import io
import struct
import zipfile
from base64 import encodebytes
from dataclasses import replace
from datetime import UTC, datetime
from time import thread_time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fakes_coordinator import School
from fuzz.memory import peak_bytes

import auditor.config
import coordinator.config
import node.config
from auditor.errors import ConfigError as AuditorConfigError
from coordinator.ca import create_authority, issue_client, new_key
from coordinator.errors import CertificateError
from coordinator.errors import ConfigError as CoordinatorConfigError
from crypto.canonical import parse_json
from crypto.errors import DecodeError
from crypto.note import KeyType, SigningKey
from crypto.policy import parse_policy
from node.errors import ConfigError as NodeConfigError
from node.errors import FrameError
from node.frames import encode_object, parse_object
from node.vault.enrol import parse_floors
from node.vault.errors import CommandError
from node.vault.importing import reader
from node.vault.importing.errors import ImportingError
from node.vault.importing.reader import read_sheets
from plan.errors import PlanError, parse_phrase
from protos.bodies import key_name
from protos.enrolment import Request, parse_request, sign_request
from protos.errors import EnrolmentError

CONFIGS = [
    pytest.param(node.config.parse_config, NodeConfigError, id="node"),
    pytest.param(coordinator.config.parse_config, CoordinatorConfigError, id="coordinator"),
    pytest.param(auditor.config.parse_config, AuditorConfigError, id="auditor"),
]
MIB = 1 << 20


@pytest.mark.parametrize(("parse", "error"), CONFIGS)
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"9" * 5000, id="more digits than Python reads"),
        pytest.param(b"0x" + b"f" * 5000, id="more digits than Python writes"),
        pytest.param(b"[\n" * 3000, id="nested too deep"),
    ],
)
def test_a_config_with_a_monstrous_value_is_refused_as_such(parse, error, value):
    with pytest.raises(error):
        parse(b'federation = "county"\nnode = "s1"\nkey_source = "passphrase"\nid = "a1"\npoll_s = ' + value)


@pytest.mark.parametrize(("parse", "error"), CONFIGS)
def test_a_config_key_of_many_dotted_parts_is_refused_before_it_takes_seconds(parse, error):
    started = thread_time()
    with pytest.raises(error):
        parse(b".".join([b"a"] * 30_000) + b" = 1\n")
    assert thread_time() - started < 1


@pytest.mark.parametrize(("parse", "error"), CONFIGS[1:])
def test_a_config_of_megabytes_is_refused_unread(parse, error):
    with pytest.raises(error, match="at most 65536 bytes"):
        parse(b"# nothing\n" * 100_000)


def test_groups_of_a_policy_may_stand_a_thousand_deep():
    vkey = SigningKey("w", KeyType.COSIGNATURE, bytes(32)).verifier.text
    lines = [f"witness w {vkey}", "group g0 any w", *(f"group g{i} all g{i - 1}" for i in range(1, 990))]
    policy = parse_policy("\n".join([*lines, "quorum g989"]))
    assert policy.is_satisfied({"w"})
    assert not policy.is_satisfied(set())


@pytest.mark.parametrize(
    "value", ["1e999999999", "1E-999999999", "1" * 65, float("inf"), float("nan"), None, "1/0"], ids=repr
)
def test_a_floor_that_would_fill_the_memory_or_is_no_number_is_refused(value):
    with pytest.raises(CommandError):
        parse_floors({"rho_round": value})


def test_a_part_of_a_workbook_that_unpacks_to_more_than_it_declares_is_not_unpacked():
    data = _workbook(bytes(100 * MIB)).replace(struct.pack("<I", 100 * MIB), struct.pack("<I", 10))
    assert peak_bytes(lambda: _refused_table(data)) < 4 * MIB


def test_cells_without_an_end_do_not_make_the_search_for_errors_quadratic():
    data = _workbook(b"", (b"<row " + b"<c a " * 199) * 250)
    started = thread_time()
    _refused_table(data)
    assert thread_time() - started < 2


def test_an_error_cell_in_a_row_of_thousands_of_digits_is_damage():
    _refused_table(_workbook(b"", b'<row><c t="e" r="A' + b"9" * 5000 + b'"/></row>'))


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(b'<c r="B9007199254740991"/>', id="a row of sixteen digits"),
        pytest.param(b'<c r="' + b"A" * 12 + b'1"/>', id="a column of twelve letters"),
        pytest.param(b'<c t="n"r="XFD1048576"/>', id="no space before the reference"),
        pytest.param(b"<c\tr\n=\r'XFD1048576'/>", id="other spaces"),
        pytest.param(b'<c x=">" r="XFD1048576"/>', id="a bracket in an attribute"),
        pytest.param(b"<c/>" * 201, id="too many columns"),
        pytest.param(b"<a-b:c/>" * 201, id="too many columns behind a prefix"),
    ],
)
def test_a_cell_that_needs_a_grid_beyond_all_bounds_never_reaches_the_reader(monkeypatch, cell):
    """The reader would ask for hundreds of GiB, and the process would be aborted."""
    monkeypatch.setattr(reader, "CalamineWorkbook", None)
    filled = cell.replace(b"/>", b"><v>1</v></c>")  # one without a value is taken out before
    _refused_table(_workbook(b"", b"<row>" + filled + b"</row>"))


def test_rows_behind_a_strange_prefix_are_counted():
    _refused_table(_workbook(b"", "<é.-:row/>".encode() * 50_001))


def test_shared_texts_of_cells_without_spaces_are_counted():
    data = _workbook(b"", b'<row><c r="A1"t="s"><v>0</v></c></row>' * 600, b"<si>" + b"x" * MIB)
    with pytest.raises(ImportingError, match="xlsx-bomb"):
        read_sheets("roster", data)


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\\\\\ud83d"', '"x\\uDFFF"', "\ud800"], ids=ascii)
def test_a_lone_surrogate_that_no_terminal_prints_is_no_frame_and_no_phrase(text):
    data = f'{{"a":{text}}}'.encode("utf-8", "surrogatepass")
    with pytest.raises(FrameError):
        parse_object(data)
    with pytest.raises(PlanError):
        parse_phrase(f'{{"msgid":"%(a)s","values":{{"a":{text}}}}}')
    with pytest.raises(PlanError):
        parse_phrase(f'{{"msgid":{text},"values":{{}}}}')
    with pytest.raises(PlanError):
        parse_phrase(f'{{"msgid":"","values":{{{text}:1}}}}')


@pytest.mark.parametrize("text", ["\\ud800", "\\\\ud800", "😀", "\\"])
def test_what_only_looks_like_a_surrogate_is_a_frame(text):
    assert parse_object(encode_object({text: text})) == {text: text}


def test_canonical_json_takes_no_more_than_sixty_times_its_bytes():
    data = b"[" + b",".join([b'{"":' * 14 + b"0" + b"}" * 14] * 1000) + b"]"
    with pytest.raises(DecodeError, match="nested deeper"):
        parse_json(b"[" + data + b"]")
    assert peak_bytes(lambda: parse_json(data)) < 60 * len(data)


@pytest.mark.parametrize("operator", ["two\nlines", "tab\t", "\0", "x" * 201], ids=repr)
def test_a_request_whose_operator_no_roster_may_name_is_refused_before_it_is_enrolled(operator):
    with pytest.raises(EnrolmentError):
        parse_request(School("s1", operator).request())


def test_a_request_with_one_key_for_two_purposes_is_refused():
    key = SigningKey(key_name("county-1", "auditor", "a1"), KeyType.ED25519, bytes(32))
    cosigner = SigningKey(key_name("county-1", "witness", "a1"), KeyType.COSIGNATURE, bytes(32))
    request = Request("auditor", "county-1", "a1", "x", (), key.verifier, cosigner.verifier, None, "")
    with pytest.raises(EnrolmentError):
        parse_request(sign_request(request, key))
    other = replace(cosigner, seed=b"1" * 32).verifier
    assert parse_request(sign_request(replace(request, cosigner=other), key)).cosigner == other


def test_a_signing_request_of_another_version_is_refused():
    pem = _request().replace(b"\x02\x01\x00", b"\x02\x01\x07", 1)
    with pytest.raises(CertificateError, match="damaged"):
        _issue(pem)


def test_a_signing_request_with_a_signature_of_an_unknown_kind_is_refused():
    ecdsa_with_sha256 = bytes.fromhex("06082a8648ce3d040302")
    with pytest.raises(CertificateError):
        _issue(_request().replace(ecdsa_with_sha256, ecdsa_with_sha256[:-1] + b"\x63"))


def test_a_signing_request_for_a_key_of_an_unknown_kind_is_refused():
    ec_public_key = bytes.fromhex("06072a8648ce3d0201")
    with pytest.raises(CertificateError):
        _issue(_request().replace(ec_public_key, ec_public_key[:-1] + b"\x63"))


def _refused_table(data: bytes) -> None:
    with pytest.raises(ImportingError):
        read_sheets("roster", data)


def _workbook(workbook: bytes, sheet: bytes = b"", strings: bytes = b"") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", workbook)
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
        archive.writestr("xl/sharedStrings.xml", strings)
    return packed.getvalue()


def _request() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "s1")])
    key = ec.derive_private_key(7, ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def _issue(request_der: bytes) -> str:
    pem = _pem(request_der)
    now = datetime(2026, 9, 1, tzinfo=UTC)
    authority = create_authority("county", now, new_key())
    return issue_client(authority, pem, "spiffe://county/node/s1", 30, now)


def _pem(der: bytes) -> str:
    body = encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
