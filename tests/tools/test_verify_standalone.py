"""The second verifier: small, alone on the standard library, strict, and of one mind with the product's.

By default a part of the zoo is held against both verifiers; `FEDSCREEN_ZOO=all` takes every bundle of it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from bundle_zoo.honest import HONEST
from bundle_zoo.tampered import TAMPERED
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from auditor.policy import parse_auditor_policy
from auditor.verify.run import verify_bundle
from crypto.canonical import encode_json
from plan.document import PlanDocument, encode_body, from_published, parse_plan_toml, terms_of
from plan.errors import PlanError
from plan.layout import build_layout
from plan.published import thresholds_sha256
from protos.bundle import encode_manifest, manifest_of

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "verify_standalone.py"
MOST_LINES = 1150
"""Code lines of the script; it has to stay short enough to be read."""

ESTIMATES = "estimates"
"""The one check that only the second verifier names: it is never made there, and says so."""

Files = dict[str, bytes]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_standalone", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


standalone = _load()


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Run the script as a command, in this process; returns its JSON."""

    def run_it(
        folder: Path, policy: str | None = None, head: bytes | None = None, *more: str
    ) -> dict[str, Any]:
        args = [str(SCRIPT), str(folder), "--json", *more]
        for name, data in (("policy", policy.encode() if policy is not None else None), ("head", head)):
            if data is not None:
                (tmp_path / name).write_bytes(data)
                args += [f"--{name}", str(tmp_path / name)]
        monkeypatch.setattr(sys, "argv", args)
        code = standalone.main()
        verdict: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert verdict.get("exit_code", code) == code
        return verdict

    return run_it


def _write(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def _outcomes(verdict: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(row["number"], row["name"], row["outcome"]) for row in verdict["checks"]]


def _compare(
    run: Callable[..., dict[str, Any]], folder: Path, policy: str | None, head: bytes | None
) -> dict[str, Any]:
    """Both verifiers give every check the same number and outcome; returns the script's verdict."""
    found = run(folder, policy, head, "--without-estimates")
    theirs = verify_bundle(folder, parse_auditor_policy(policy) if policy else None, head)
    assert _outcomes(found) == [(row.number, row.name, row.outcome.value) for row in theirs.checks]
    assert found["exit_code"] == theirs.exit_code
    return found


# --- what it is -------------------------------------------------------------------------------


def test_it_is_short_enough_to_be_read() -> None:
    lines = [line.strip() for line in SCRIPT.read_text("utf-8").split("\n")]
    assert sum(bool(line) and not line.startswith("#") for line in lines) <= MOST_LINES
    assert max(map(len, SCRIPT.read_text("utf-8").split("\n"))) <= 110


def test_it_stands_on_the_standard_library_alone() -> None:
    tree = ast.parse(SCRIPT.read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
    assert not {"importlib", "ctypes", "subprocess", "socket", "pickle"} & names
    calls = {getattr(node.func, "id", "") for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not {"eval", "exec", "__import__", "compile"} & calls


def test_every_condition_says_what_it_asks_for() -> None:
    """What a verdict says is the comment above the line."""
    lines = SCRIPT.read_text("utf-8").split("\n")
    tree = ast.parse("\n".join(lines))
    places = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "need"
    ]
    assert len(places) > 100
    assert [line for line in places if not lines[line - 2].strip().startswith("# ")] == []


# --- Ed25519 ----------------------------------------------------------------------------------

RFC_8032 = [  # section 7.1, tests 1 to 3 and SHA(abc): public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]
SMALL_ORDER = [  # the eight points of small order in all their encodings, after the table of libsodium
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
]


def _holds(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        return bool(standalone.is_signature(public, message, signature))
    except standalone.Fail:
        return False


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_signatures_of_the_rfc_hold(public: str, message: str, signature: str) -> None:
    key, text, blob = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert _holds(key, text, blob)
    assert not _holds(key, text + b"x", blob)
    above = int.from_bytes(blob[32:], "little") + standalone.ORDER
    assert not _holds(key, text, blob[:32] + above.to_bytes(32, "little")), "S is not canonical"
    assert not _holds(key, text, blob[:63])
    assert not _holds(key, text, blob + b"\0")


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_point_of_small_order_is_no_key_and_no_r(point: str) -> None:
    """With such a key [S]B = R + [h]A has solutions that nobody signed."""
    zero = bytes(32)
    assert not any(_holds(bytes.fromhex(point), bytes([n]), bytes.fromhex(point) + zero) for n in range(8))
    public = bytes.fromhex(RFC_8032[0][0])
    assert not _holds(public, b"", bytes.fromhex(point) + zero)


def test_a_key_in_another_encoding_is_refused() -> None:
    """y and y + p are the same point; only y below p may be written."""
    two = standalone.decode_point
    found = 0
    for y in range(19):
        with pytest.raises(standalone.Fail):
            two((standalone.P + y).to_bytes(32, "little"))
        found += 1
    assert found == 19


def test_an_equation_that_holds_only_times_eight_is_refused() -> None:
    """R moved by a point of small order: verifiers with a cofactor accept it, others do not."""
    sv, secret, nonce = standalone, 12345678901234567, 987654321
    base = sv.decode_point((4 * pow(5, -1, sv.P) % sv.P).to_bytes(32, "little"))
    public = _encode(_times(secret, base))
    torsion = sv.decode_point(bytes.fromhex(SMALL_ORDER[2]))
    for moved in (False, True):
        point = _times(nonce, base)
        r = _encode(sv.add(point, torsion) if moved else point)
        h = int.from_bytes(hashlib.sha512(r + public + b"text").digest(), "little")
        s = ((nonce + h * secret) % sv.ORDER).to_bytes(32, "little")
        assert _holds(public, b"text", r + s) is not moved


def _times(number: int, point: Any) -> Any:
    total = standalone.ZERO
    while number:
        total = standalone.add(total, point) if number & 1 else total
        point, number = standalone.add(point, point), number >> 1
    return total


def _encode(point: Any) -> bytes:
    inverse = pow(point[2], -1, standalone.P)
    x, y = point[0] * inverse % standalone.P, point[1] * inverse % standalone.P
    return int(y | (x & 1) << 255).to_bytes(32, "little")


def test_it_agrees_with_another_implementation() -> None:
    rng = random.Random(7)
    for _ in range(12):
        key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), rng.randbytes(rng.randrange(200))
        good = key.sign(message)
        place = rng.randrange(512)
        bad = (int.from_bytes(good, "little") ^ 1 << place).to_bytes(64, "little")
        for signature in (good, bad):
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
                expected = True
            except InvalidSignature:
                expected = False
            assert _holds(public, message, signature) is expected


@pytest.mark.parametrize("s2", [9, 10, 2704, 65537])
def test_thresholds_are_those_of_the_sampler(s2: int) -> None:
    assert standalone.thresholds_digest(s2) == thresholds_sha256(s2).hex()


# --- agreement --------------------------------------------------------------------------------


def _some(names: list[str], every: int) -> list[str]:
    return names if os.environ.get("FEDSCREEN_ZOO") == "all" else names[::every]


@pytest.mark.parametrize("name", _some(sorted(HONEST), 16))
def test_both_agree_on_honest_bundles(name: str, run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    bundle = HONEST[name]
    folder = _write(bundle.files(), tmp_path / "bundle")
    found = _compare(run, folder, bundle.policy_text(), bundle.head())
    assert not [row for row in found["checks"] if row["outcome"] == "FAIL"]


@pytest.mark.parametrize("name", _some(sorted(TAMPERED), 50))
def test_both_agree_on_tampered_bundles(
    name: str, run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    tampered = TAMPERED[name]
    if tampered.on_disk:
        pytest.skip("links and pipes: see below")
    files, policy, head = tampered.make()
    found = _compare(run, _write(files, tmp_path / "bundle"), policy, head)
    failed = [row["number"] for row in found["checks"] if row["outcome"] == "FAIL"]
    assert failed[:1] == ([tampered.number] if tampered.number else [])


VALUES: list[Any] = [0, 1, 2, -1, 65, "", "x", "A", "9", "sex", "level", "group", "factor", "band", "total"]
VALUES += [
    [],
    ["1", "2"],
    ["2", "1"],
    ["grade"],
    [0, 90],
    [90, 0],
    {},
    {"sex": ["1"]},
    {"disposition": ["1"]},
]
VALUES += ["replace-one", "counted", "1/2", "2/4", "1001", "2026-2027", "2030-09-01", {"level": ["3", "2"]}]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from _places(item, (*path, key))


def _mutant(body: Any, rng: random.Random) -> Any:
    """A plan's body with one value exchanged, left out, or there twice."""
    *path, last = rng.choice(list(_places(body)))
    place = body
    for key in path:
        place = place[key]
    if rng.random() < 0.6:
        place[last] = rng.choice(VALUES)
    elif rng.random() < 0.5:
        del place[last]
    elif isinstance(place, list):
        place.append(place[last])
    return body


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (SCRIPT.parents[1] / "plan/ready").glob("*.toml"))
)
def test_both_read_the_same_out_of_a_plan_and_refuse_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells, noise and cost of every ready plan; then a dozen bodies with one fault each."""
    monkeypatch.setattr(standalone, "thresholds_digest", str)
    document = parse_plan_toml((SCRIPT.parents[1] / f"plan/ready/{name}.toml").read_bytes())
    document = replace(document, min_reports=document.min_reports or 40, tiers=document.tiers or (41, 50))
    rng = random.Random(name)
    for number in range(13):
        body = json.loads(encode_body(document))
        body = _mutant(body, rng) if number else body
        assert _read_by_script(document, body) == _read_by_product(document, body)


def _read_by_product(document: PlanDocument, body: Any) -> Any:
    try:
        layout = build_layout(from_published(encode_json(body), terms_of(document)))
    except PlanError:
        return None
    noise = [(row.id, row.noise.scale, [*row.noise.components]) for row in layout.tables]
    return layout.cells, layout.claimed_rho, noise


def _read_by_script(document: PlanDocument, body: Any) -> Any:
    opens, closes = (at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in (document.opens, document.closes))
    terms = {
        name: getattr(document, name) for name in ("min_reports", "colluding_schools", "min_group", "rho")
    }
    plan = SimpleNamespace(**terms, opens=opens, closes=closes, tier=[*(document.tiers or ())], body=body)
    try:
        view = standalone.read_plan(plan)
    except Exception:  # whatever it is, `run` makes a FAIL of it
        return None
    return view.cells, view.rho, [(row.id, row.scale, row.parts) for row in view.tables]


@pytest.fixture(scope="module")
def good() -> tuple[Files, str]:
    """The files of one released round, and its policy."""
    bundle = HONEST["tuple 43 auditor"]
    return bundle.files(), bundle.policy_text()


def test_a_good_bundle_is_incomplete_only_by_the_estimates(
    good: tuple[Files, str], run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = _write(good[0], tmp_path / "bundle")
    verdict = run(folder, good[1])
    assert [row["name"] for row in verdict["checks"] if row["outcome"] != "PASS"] == [ESTIMATES]
    assert (verdict["verify"], verdict["exit_code"]) == ("INCOMPLETE", 2)
    verdict = run(folder, good[1], None, "--without-estimates")
    assert (verdict["verify"], verdict["exit_code"]) == ("PASS", 0)
    assert ESTIMATES not in {row["name"] for row in verdict["checks"]}


def test_without_a_policy_nothing_is_proved(
    good: tuple[Files, str], run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    assert _compare(run, _write(good[0], tmp_path / "bundle"), None, None)["exit_code"] == 2


def test_a_policy_that_is_none_is_refused(
    good: tuple[Files, str], run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = _write(good[0], tmp_path / "bundle")
    for text in ("", good[1].replace("genesis", "genisis"), good[1].replace("tuple 4 3", "tuple 4 2")):
        assert run(folder, text)["error"] == "PolicyError"


def test_windows_line_ends_in_the_policy_change_nothing(
    good: tuple[Files, str], run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = _write(good[0], tmp_path / "bundle")
    text = "\ufeff" + good[1].replace("\n", "\r\n")
    assert run(folder, text, None, "--without-estimates")["exit_code"] == 0


# --- hostile bundles --------------------------------------------------------------------------


def _sealed(files: Files) -> Files:
    kept = {name: data for name, data in files.items() if name != "MANIFEST"}
    return {**kept, "MANIFEST": encode_manifest(manifest_of("auditor", kept))}


def _first(files: Files, start: str) -> str:
    return min(name for name in files if name.startswith(start))


HOSTILE: dict[str, tuple[str, bytes]] = {
    "not UTF-8": ("log/checkpoint", b"\xff\xfe\n\n\xe2\x80\x94 x AAAA\n"),
    "an empty checkpoint": ("log/checkpoint", b""),
    "a huge tree": ("log/checkpoint", b"x\n9999999999999999999\nAAAA\n\n\xe2\x80\x94 x AAAAAAA=\n"),
    "deep JSON": ("results/*/release.json", b"[" * 200_000),
    "a huge number": ("results/*/release.json", b"[" + b"9" * 100_000 + b"]"),
    "NaN": ("results/*/indicators.json", b'{"round":NaN,"indicators":[]}'),
    "CRLF": ("results/*/indicators.csv", b"id\r\n"),
    "an entry bundle cut short": ("log/tile/entries/", b"\xff\xff\x00"),
    "a receipt of zeros": ("receipts/", bytes(10_000)),
    "a vector of one byte": ("reports/", b"\x00"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_fail_and_nothing_breaks(
    name: str, good: tuple[Files, str], run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    place, data = HOSTILE[name]
    start, _, end = place.partition("*")
    path = min(item for item in good[0] if item.startswith(start) and item.endswith(end))
    folder = _write(_sealed({**good[0], path: data}), tmp_path / "bundle")
    verdict = run(folder, good[1])
    assert verdict["exit_code"] == 1
    assert all(row["detail"] for row in verdict["checks"])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(" log/checkpoint", " ../checkpoint"),
        lambda text: text.replace(" log/checkpoint", " /log/checkpoint"),
        lambda text: text + text.split("\n")[2] + "\n",
        lambda text: text.replace("v1", "v2", 1),
        lambda text: text[:-1],
        lambda _text: "\n" * 1000,
        lambda _text: "",
    ],
    ids=["crlf", "parent", "absolute", "twice", "version", "no end", "empty lines", "empty"],
)
def test_a_manifest_in_another_form_fails(
    change: Callable[[str], str], good: tuple[Files, str], run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    files = {**good[0], "MANIFEST": change(good[0]["MANIFEST"].decode()).encode()}
    verdict = run(_write(files, tmp_path / "bundle"), good[1])
    assert _outcomes(verdict)[0] == (1, "manifest", "FAIL")


def test_links_pipes_and_strange_names_fail(
    good: tuple[Files, str], run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = _write(good[0], tmp_path / "bundle")
    outside = tmp_path / "outside"
    outside.mkdir()
    strange: list[tuple[Path, Callable[[Path], object]]] = [
        (folder / "log" / "link", lambda path: path.symlink_to(outside)),
        (folder / "log" / "file", lambda path: path.symlink_to("checkpoint")),
        (folder / "pipe", os.mkfifo),
        (Path(os.fsdecode(bytes(folder) + b"/\xff\x1b[31m")), lambda path: path.write_bytes(b"x")),
    ]
    for path, make in strange:
        make(path)
        verdict = run(folder, good[1])
        assert _outcomes(verdict)[0] == (1, "manifest", "FAIL")
        assert "\x1b" not in json.dumps(verdict)
        path.unlink()
    assert run(folder, good[1], None, "--without-estimates")["exit_code"] == 0


def test_a_folder_too_deep_to_read_is_strange(
    good: tuple[Files, str], run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = _write(good[0], tmp_path / "bundle")
    here = os.open(folder, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert _outcomes(run(folder, good[1]))[0] == (1, "manifest", "FAIL")


def test_nothing_that_is_no_bundle_breaks_it(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        assert run(folder)["exit_code"] == 2


@pytest.mark.parametrize(
    "data",
    [
        *(
            b'{"a":1,"a":1}',
            b'{"b":1,"a":1}',
            b'{"a": 1}',
            b'{"a":true}',
            b'{"a":1.0}',
            b'{"a":null}',
            b"[1e3]",
        ),
        *(
            b'{"a":"\\u0041"}',
            b"[-0]",
            b"[01]",
            b"[9007199254740992]",
            b"\xef\xbb\xbf[]",
            b"[\xff]",
            b"[NaN]",
        ),
    ],
)
def test_json_in_another_form_is_refused(data: bytes) -> None:
    with pytest.raises((standalone.Fail, ValueError)):
        standalone.parse_json(data)


def test_json_in_its_one_form_is_read() -> None:
    value = {"z": [1, -5, "é\u4e2d\n"], "a": {"b": []}}
    assert standalone.parse_json(encode_json(value)) == value
