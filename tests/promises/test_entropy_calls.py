"""Where randomness comes from: every call in the product that draws entropy, by place, with its reason.

A new one fails the test until it stands in `EXPECTED` with a reason; one that has vanished fails it too. The
list is what docs/threat-model.md "Where randomness comes from" says in short.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from crypto.xof import XofHmacSha256Aes128, format_dst
from privacy.discrete_gaussian import XOF_USAGE, Sampler, thresholds

REPOSITORY = Path(__file__).parents[2]
ROOMS = (
    "crypto",
    "privacy",
    "plan",
    "protos",
    "results",
    "node",
    "coordinator",
    "auditor",
    "pages",
    "paper",
    "fedscreen",
)
PURE_ROOMS = ("crypto", "privacy", "plan", "protos", "results")

# What counts as drawing entropy. A name is what it is after its imports are followed.
NAMES = (
    *(
        "os.urandom",
        "os.getrandom",
        "secrets.",
        "random.",
        "numpy.random",
        "uuid.uuid1",
        "uuid.uuid4",
        "tempfile.",
    ),
    *(
        "nacl.utils.",
        "nacl.public.",
        "nacl.secret.",
        "nacl.bindings.randombytes",
        "nacl.pwhash.str",
        "nacl.pwhash.argon2id.str",
        "ssl.",
    ),
    *(
        "cryptography.fernet.",
        "sqlcipher3.dbapi2.connect",
        "grpc.secure_channel",
        "grpc.ssl_server_credentials",
        "grpc.dynamic_ssl_server_credentials",
    ),
    *("importlib.import_module", "builtins.__import__", "builtins.hash"),
)
SUFFIXES = ("keypair", "randombytes", "urandom", "getrandom", "random_serial_number")
METHODS = ("generate", "generate_private_key", "generate_key", "generate_parameters", "encrypt", "randbytes")
DEVICES = ("/dev/urandom", "/dev/random", "/dev/hwrng")
BUILTINS = ("__import__", "hash")
DETERMINISTIC = ("nacl.bindings.crypto_sign_seed_keypair",)  # Ed25519 from a seed

SERIAL = "cryptography.x509.random_serial_number"
TOKEN_BYTES = "secrets.token_bytes"

# file -> (place in it, what, how often, why).
EXPECTED: dict[str, list[tuple[str, str, int, str]]] = {
    "auditor/cli_page.py": [
        ("_run", TOKEN_BYTES, 1, "links, session ids and form tokens of the auditor's page")
    ],
    "auditor/client.py": [("GrpcLink._connect", "grpc.secure_channel", 1, "TLS to the coordinator")],
    "auditor/keys.py": [
        ("create_keys", TOKEN_BYTES, 1, "seeds of the statement key and the witness key"),
        ("create_next", TOKEN_BYTES, 1, "seeds of the pair of keys that follows"),
        ("create_keys", "generate_private_key", 1, "the auditor's TLS key"),
        ("certificate_request", "ECDSA signature", 1, "the TLS key signs its own request"),
    ],
    "auditor/state.py": [("State.__init__", TOKEN_BYTES, 1, "default source of a new state's instance id")],
    "auditor/watch.py": [("open_desk", TOKEN_BYTES, 1, "round keys, nonces and draws of approvals")],
    "coordinator/backup.py": [("_scratch", "tempfile.TemporaryDirectory", 1, "the name of a working folder")],
    "coordinator/ca.py": [
        ("new_key", "generate_private_key", 1, "the CA's key and the server's"),
        ("create_authority", "ECDSA signature", 1, "the CA's own certificate"),
        ("_sign", "ECDSA signature", 1, "every certificate that the CA issues"),
        ("_builder", SERIAL, 1, "serial numbers of certificates"),
    ],
    "coordinator/accounts.py": [
        ("stretch", "nacl.pwhash.argon2id.str", 1, "the salt of a stretched passphrase of the dashboard")
    ],
    "coordinator/cli_dashboard.py": [
        ("_code", TOKEN_BYTES, 1, "set-up codes of accounts"),
        ("_run", TOKEN_BYTES, 1, "session ids, set-up codes, secrets of second factors of the dashboard"),
    ],
    "coordinator/cli.py": [("init", TOKEN_BYTES, 1, "seeds of the log key and the statement key")],
    "coordinator/desk.py": [
        ("Desk.__init__", TOKEN_BYTES, 1, "seeds of keys that follow, tokens of invitations")
    ],
    "coordinator/cli_store.py": [("backup", TOKEN_BYTES, 1, "the salt of a backup's key")],
    "coordinator/tls.py": [
        (
            "credentials_of",
            "grpc.dynamic_ssl_server_credentials",
            1,
            "TLS to nodes and auditors, and of enrolment",
        )
    ],
    "crypto/sealing.py": [
        ("seal", "encrypt", 1, "HPKE's encapsulation; the one thing that a replay leaves free")
    ],
    "fedscreen/__main__.py": [
        ("Rooms.get_command", "importlib.import_module", 1, "loads a room's commands by name")
    ],
    "fedscreen/demo/county.py": [("make_county", "random.Random", 1, "made-up pupils, from the demo's seed")],
    "fedscreen/demo/federation.py": [
        ("Federation.create", TOKEN_BYTES, 1, "as coordinator/cli.py, in the demo")
    ],
    "fedscreen/demo/schools.py": [("prepare_school", TOKEN_BYTES, 2, "as node/cli.py, in the demo")],
    "node/cli.py": [
        ("Commands.get_command", "importlib.import_module", 1, "loads a command by name, from a fixed list")
    ],
    "node/cli_backup.py": [
        ("backup", TOKEN_BYTES, 1, "the salt of a backup's key"),
        ("restore", TOKEN_BYTES, 1, "two users of the new machine"),
        ("restore.find_key", TOKEN_BYTES, 1, "salt and nonce of database.key, with a recovery file"),
    ],
    "node/cli_console.py": [
        ("run_console", TOKEN_BYTES, 1, "links, session ids and form tokens of the page on this computer")
    ],
    "node/cli_hand_over.py": [
        ("recipient_init", TOKEN_BYTES, 1, "a recipient's private key, and salt and nonce of its file")
    ],
    "node/cli_recovery.py": [
        ("make", TOKEN_BYTES, 2, "the recovery code; salt and nonce of the recovery file"),
        ("restore", TOKEN_BYTES, 1, "the new node's users, database key, salt and nonce"),
    ],
    "node/audit_rehearse.py": [
        ("rehearse", TOKEN_BYTES, 1, "keys of a rehearsal's made-up county; no record of a school is there")
    ],
    "node/audit_scratch.py": [
        ("scratch_folder", "tempfile.mkdtemp", 1, "the name of a trial's folder"),
        ("make_scratch_node", TOKEN_BYTES, 2, "keys of a made-up county; a throw-away node's database key"),
    ],
    "node/audit_selftest.py": [
        ("run_selftest", TOKEN_BYTES, 1, "planted pupils that no program can know beforehand"),
        ("_check_search", TOKEN_BYTES, 1, "bytes around what the search must find"),
    ],
    "node/audit_wire.py": [
        ("TrialAuthority.__init__", "generate_private_key", 1, "a trial's CA"),
        ("TrialAuthority.__init__", "ECDSA signature", 1, "the trial CA's own certificate"),
        ("TrialAuthority.certify", "ECDSA signature", 1, "certificates of a trial"),
        ("_builder", SERIAL, 1, "serial numbers of a trial's certificates"),
        ("CountyServer.__init__", "generate_private_key", 1, "the TLS key of a trial's county"),
        ("CountyServer.__init__", "grpc.ssl_server_credentials", 1, "TLS to a trial's egress"),
    ],
    "node/confine.py": [
        ("", "/dev/urandom", 1, "the one file that a confined egress may read: gRPC opens it for TLS")
    ],
    "node/doctor_link.py": [
        ("_handshake", "ssl.SSLContext", 1, "TLS without a certificate: who answers at the county's address"),
        ("_handshake", "ssl.PROTOCOL_TLS_CLIENT", 1, "draws nothing: a constant of it"),
        ("_handshake", "ssl.TLSVersion.TLSv1_2", 1, "draws nothing: a constant of it"),
        ("check_tls", "ssl.SSLCertVerificationError", 1, "draws nothing: what a handshake may raise"),
        ("check_tls", "ssl.SSLError", 1, "draws nothing: what a handshake may raise"),
    ],
    "node/egress/client.py": [
        ("Coordinator.__init__", "grpc.secure_channel", 1, "TLS; this side has no records"),
        ("EnrolmentPort.enrol", "grpc.secure_channel", 1, "TLS, before there are any records"),
    ],
    "node/egress/send.py": [("pause_s", "os.urandom", 1, "spreads retries; this side has no records")],
    "node/egress/worker.py": [
        ("load_late_modules", "importlib.import_module", 1, "a fixed list, before the wall")
    ],
    "node/enrolment.py": [
        ("certificate_request", "generate_private_key", 1, "the node's TLS key, which only the egress gets"),
        ("certificate_request", "ECDSA signature", 1, "the TLS key signs its own request"),
    ],
    "node/setup.py": [
        ("make_node", TOKEN_BYTES, 2, "picks two users; K's file: database key, salt and nonce")
    ],
    "node/unwrap.py": [("SystemdCredential.unwrap", "/dev/urandom", 1, "only in an advice to a person")],
    "node/vault/store.py": [
        ("VaultStore._connect", "sqlcipher3.dbapi2.connect", 1, "salt and page nonces at rest")
    ],
    "node/vault/worker.py": [
        ("load_desk.open_desk", TOKEN_BYTES, 1, "K, report key, journal key and nonces; never the noise"),
        ("load_late_modules", "importlib.import_module", 1, "a fixed list, before the wall"),
    ],
}

# The way from a table to masked noise. What is drawn there is a function of keys that are drawn elsewhere.
NOISE_PATH = (
    *("privacy/discrete_gaussian.py", "node/vault/derive.py", "node/vault/tabulate.py", "plan/tabulation.py"),
    *(
        "crypto/xof.py",
        "crypto/derivation.py",
        "crypto/sharing.py",
        "crypto/mask_sum.py",
        "crypto/field64.py",
    ),
)
EXACT_MATH = ("isqrt", "floor", "comb", "gcd")
DIVISIONS = {("privacy/discrete_gaussian.py", "_upper_half"): 2}  # of a Fraction, exact


def modules() -> list[Path]:
    """Every source file of the product, without generated ones."""
    found = [path for room in ROOMS for path in sorted((REPOSITORY / room).rglob("*.py"))]
    return [path for path in found if "_pb2" not in path.name]


class Scan(ast.NodeVisitor):
    """Collects every use of an entropy source: (place, what)."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[str, str]] = []
        self._place: list[str] = []
        self._names: dict[str, str] = {}
        self._docstrings = {id(node) for node in _docstrings(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for item in node.names:
                    name = item.asname or item.name.split(".")[0]
                    self._names[name] = item.name if item.asname else name
            elif isinstance(node, ast.ImportFrom) and node.module:
                for item in node.names:
                    self._names[item.asname or item.name] = f"{node.module}.{item.name}"
        self.visit(tree)

    def _inside(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self._place.append(node.name)
        self.generic_visit(node)
        self._place.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _inside

    def visit_arg(self, node: ast.arg) -> None:
        """Leave annotations out: naming a type draws nothing."""

    def visit_Name(self, node: ast.Name) -> None:
        self._note(self._names.get(node.id, f"builtins.{node.id}" if node.id in BUILTINS else f"?{node.id}"))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = _dotted(node)
        if dotted is None:
            self._note(f"?.{node.attr}")
            self.generic_visit(node)
            return
        first, _, rest = dotted.partition(".")
        self._note(f"{self._names.get(first, f'?{first}')}.{rest}")

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "sign" and len(node.args) > 1:
            self._add("ECDSA signature")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and id(node) not in self._docstrings:
            for device in DEVICES:
                if device in node.value:
                    self._add(device)

    def _note(self, name: str) -> None:
        last = name.rpartition(".")[2]
        if name.startswith(NAMES) or (last.endswith(SUFFIXES) and name not in DETERMINISTIC and "." in name):
            self._add(name)
        elif last in METHODS and "." in name:
            self._add(last)

    def _add(self, what: str) -> None:
        self.found.append((".".join(self._place), what))


def _dotted(node: ast.expr) -> str | None:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            yield first.value


def uses(source: str) -> Counter[tuple[str, str]]:
    return Counter(Scan(ast.parse(source)).found)


# ---------------------------------------------------------------- the list


def test_entropy_is_drawn_where_the_list_says_and_nowhere_else() -> None:
    found = {
        (str(path.relative_to(REPOSITORY)), place, what, count)
        for path in modules()
        for (place, what), count in uses(path.read_text("utf-8")).items()
    }
    expected = {
        (file, place, what, count) for file, rows in EXPECTED.items() for place, what, count, _why in rows
    }
    assert sorted(found - expected) == [], "new: give each a line with its reason in EXPECTED"
    assert sorted(expected - found) == [], "vanished: take their lines out of EXPECTED"


def test_every_line_of_the_list_has_a_reason() -> None:
    assert all(why for rows in EXPECTED.values() for _place, _what, _count, why in rows)


def test_pure_rooms_draw_nothing_but_an_encapsulation() -> None:
    pure = {
        file: [row[0] for row in rows] for file, rows in EXPECTED.items() if file.split("/")[0] in PURE_ROOMS
    }
    assert pure == {"crypto/sealing.py": ["seal"]}


def test_all_rooms_are_read() -> None:
    names = {str(path.relative_to(REPOSITORY)) for path in modules()}
    assert set(EXPECTED) <= names
    assert {name.split("/")[0] for name in names} == set(ROOMS)
    assert len(names) > 150


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import os\nos.urandom(3)", "os.urandom"),
        ("from os import urandom as u\nu(3)", "os.urandom"),
        ("import secrets as s\nf(s.token_bytes)", "secrets.token_bytes"),
        ("from secrets import token_hex\nx = [token_hex]", "secrets.token_hex"),
        ("def f(e=__import__('secrets').token_bytes): pass", "builtins.__import__"),
        ("import random\nrandom.random()", "random.random"),
        ("from random import SystemRandom as R\nR()", "random.SystemRandom"),
        ("import numpy as np\nnp.random.default_rng()", "numpy.random.default_rng"),
        ("from numpy import random as r\nr.normal()", "numpy.random.normal"),
        ("import numpy.random\nnumpy.random.seed(1)", "numpy.random.seed"),
        ("import uuid\nuuid.uuid4()", "uuid.uuid4"),
        ("import nacl.utils\nnacl.utils.random(2)", "nacl.utils.random"),
        ("from nacl.utils import random\nrandom(2)", "nacl.utils.random"),
        (
            "from nacl.bindings import crypto_sign_keypair\ncrypto_sign_keypair()",
            "nacl.bindings.crypto_sign_keypair",
        ),
        ("from nacl.signing import SigningKey\nSigningKey.generate()", "generate"),
        ("ec.generate_private_key(ec.SECP256R1())", "generate_private_key"),
        ("Suite(A, B, C).encrypt(b'', key, b'')", "encrypt"),
        ("key.sign(data, ECDSA(SHA256()))", "ECDSA signature"),
        ("open('/dev/urandom', 'rb')", "/dev/urandom"),
        ("import tempfile\ntempfile.mkdtemp()", "tempfile.mkdtemp"),
        ("hash('x')", "builtins.hash"),
        ("import importlib\nimportlib.import_module('secrets')", "importlib.import_module"),
        ("x509.random_serial_number()", "?x509.random_serial_number"),
    ],
)
def test_scan_sees_every_way_to_draw(source: str, what: str) -> None:
    assert what in {name for _place, name in uses(source)}


@pytest.mark.parametrize(
    "source",
    [
        "key.sign(data)",
        "def f(random: Random, entropy: Entropy) -> Random: ...",
        '"""Reads /dev/urandom."""',
        "import random_walk\nrandom_walk.step()",
        "entropy(32)",
        "from nacl.bindings import crypto_sign_seed_keypair as k\nk(seed)",
    ],
)
def test_scan_sees_nothing_where_nothing_is_drawn(source: str) -> None:
    assert uses(source) == Counter()


def test_place_is_the_function_with_its_class() -> None:
    source = "import os\nclass A:\n  def b(self):\n    def c(): return os.urandom(1) + os.urandom(2)"
    assert uses(source) == Counter({("A.b.c", "os.urandom"): 2})


# ---------------------------------------------------------------- the noise


def inexact(file: str, source: str) -> list[str]:
    """Everything in a module that could bring a platform's float or chance into a sum."""
    found: list[str] = []
    divisions: Counter[str] = Counter()
    for function, node in _with_function(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"line {node.lineno}: the number {node.value}")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            divisions[function] += 1
        elif isinstance(node, ast.Name) and node.id in ("float", "complex", "random", "secrets", "Random"):
            found.append(f"line {node.lineno}: {node.id}")
        elif isinstance(node, ast.Attribute):
            is_math = (
                isinstance(node.value, ast.Name) and node.value.id == "math" and node.attr not in EXACT_MATH
            )
            is_float = node.attr.startswith(
                ("float", "double", "longdouble", "half", "true_divide", "random")
            )
            if is_math or is_float or node.attr in ("exp", "log", "sqrt", "power", "divide"):
                found.append(f"line {node.lineno}: {node.attr}")
    allowed = {name: count for (known, name), count in DIVISIONS.items() if known == file}
    return found + [
        f"{name}: / {count} times" for name, count in divisions.items() if allowed.get(name) != count
    ]


def _with_function(tree: ast.AST, name: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in ast.iter_child_nodes(tree):
        inner = node.name if isinstance(node, ast.FunctionDef) else name
        yield inner, node
        yield from _with_function(node, inner)


@pytest.mark.parametrize("file", NOISE_PATH)
def test_nothing_on_the_way_of_the_noise_is_inexact_or_random(file: str) -> None:
    source = (REPOSITORY / file).read_text("utf-8")
    assert inexact(file, source) == []
    assert uses(source) == Counter()


@pytest.mark.parametrize(
    "source",
    [
        "x = 0.5",
        "x = 1 / 3",
        "x /= 3",
        "math.exp(1)",
        "np.float64(3)",
        "x.astype(float)",
        "np.sqrt(x)",
        "Random(1)",
    ],
)
def test_inexact_code_would_be_seen(source: str) -> None:
    assert inexact("privacy/discrete_gaussian.py", source)


def test_noise_is_drawn_with_every_source_of_entropy_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import random
    import secrets

    def refuse(*_ignored: object) -> bytes:
        raise AssertionError("entropy was drawn")

    for module, name in ((os, "urandom"), (os, "getrandom"), (secrets, "token_bytes"), (random, "random")):
        monkeypatch.setattr(module, name, refuse)
    drawn = [
        Sampler(1000).sample(XofHmacSha256Aes128(b"k" * 32, format_dst(XOF_USAGE, b""), b"").next, 5000)
        for _turn in range(2)
    ]
    assert drawn[0].dtype == np.int64
    assert np.array_equal(drawn[0], drawn[1])
    assert len(set(drawn[0].tolist())) > 100
    assert {type(value) for value in thresholds(1000)} == {int}
