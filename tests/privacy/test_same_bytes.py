"""One key, one report, byte for byte: whatever interpreter, and with no other source of numbers on the way.

The whole path of the noise is meant: from a node's master secret through the keys, the stream, the sampler
and the masks to the vector that is sent (`node.vault.derive`), with and without a turnout ladder.
"""

from __future__ import annotations

import ast
import inspect
import os
import random
import secrets
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import crypto.derivation
import crypto.field64
import crypto.sharing
import crypto.xof
import node.vault.derive
import privacy.discrete_gaussian

ROOT = Path(node.vault.derive.__file__).parents[2]
PATH = (
    node.vault.derive,
    privacy.discrete_gaussian,
    crypto.derivation,
    crypto.xof,
    crypto.sharing,
    crypto.field64,
)
PROGRAM = """
import hashlib
import numpy as np
from bench.audit_path import Round, make_plan, terms_of
from node.vault.derive import derive
from plan.layout import build_layout
TABLES = '''
[[tables]]
id = "A1"
title = "1"
dims = ["grade", "sex"]
[[tables]]
id = "A2"
title = "2"
dims = ["grade", "group"]
multi = "group"
touch = 3
weight = 2
[[tables]]
id = "A3"
title = "3"
dims = ["sex"]
sum = "days_to_review"
range = [0, 90]
'''
for trust in ("", "ladder = [5, 7]"):
    document = make_plan(TABLES, "replace-one", trust)
    layout = build_layout(document)
    round_ = Round(layout, terms_of(document, layout), bytes(range(32)))
    x = np.arange(layout.cells, dtype=np.int64)
    report = derive(round_.recipe("s1"), bytes(32), x, 1, bytes(32))
    parts = [report.vector, report.tag, report.input]
    parts += [seed for _, seed in sorted(report.seeds.items())] + [com for _, com in report.commitments]
    parts += [digest for _, _, _, digest in round_.terms.noise]
    print(hashlib.sha256(b"".join(parts)).hexdigest(), len(report.vector))
"""


def run(*flags: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *flags, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def here() -> list[str]:
    """The digests of both reports in this kind of interpreter."""
    return run(PYTHONHASHSEED="0", LC_ALL="C.UTF-8")


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        (("-O",), {"PYTHONHASHSEED": "1", "LC_ALL": "C", "PYTHONUTF8": "0"}),
        (("-OO",), {"PYTHONHASHSEED": "99", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Shanghai"}),
        ((), {"PYTHONHASHSEED": "random", "LC_ALL": "zh_CN.GB18030", "OPENBLAS_NUM_THREADS": "1"}),
    ],
    ids=["optimised", "turkish", "chinese"],
)
def test_a_whole_report_is_the_same_in_other_interpreters(
    here: list[str], flags: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert len(set(here)) == 2
    assert run(*flags, **environment) == here


def _forbidden(*_arguments: object, **_options: object) -> None:
    raise AssertionError("a source of numbers that is not the node's key")


def test_no_other_source_of_numbers_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    expected: dict[str, object] = {}
    exec(PROGRAM, expected)  # all that is loaded late is loaded now
    for owner, names in (
        (os, ("urandom", "getrandom")),
        (random, ("random", "getrandbits", "randrange", "SystemRandom")),
        (random.Random, ("random", "getrandbits")),
        (secrets, ("token_bytes", "randbits", "randbelow")),
        (np.random, ("default_rng", "random", "normal", "standard_normal", "randint", "bytes")),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, _forbidden, raising=False)
    found: dict[str, object] = {}
    exec(PROGRAM, found)
    assert found["parts"] == expected["parts"]


def _names(tree: ast.AST) -> set[str]:
    found = {ast.unparse(item) for item in ast.walk(tree) if isinstance(item, ast.Attribute | ast.Name)}
    for item in ast.walk(tree):
        if isinstance(item, ast.Import | ast.ImportFrom):
            found |= {alias.name for alias in item.names}
            found.add(getattr(item, "module", None) or "")
    return found


@pytest.mark.parametrize("module", PATH, ids=lambda module: module.__name__)
def test_no_float_and_no_generator_of_a_library_on_the_path(module: ModuleType) -> None:
    """By the source; test_discrete_gaussian.py says more about the sampler itself."""
    tree = ast.parse(inspect.getsource(module))
    words = {word for name in _names(tree) for word in name.split(".")}
    assert not {word for word in words if "float" in word or word in ("double", "longdouble")}
    assert not words & {"random", "secrets", "urandom", "getrandom", "default_rng", "SystemRandom", "uuid"}
    assert not words & {"time", "datetime", "getpid", "hash", "id"}
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert not [value for value in constants if isinstance(value, float | complex)]
    texts = {value for value in constants if isinstance(value, str)}
    assert not texts & {"<f8", ">f8", "f8", "d", "<f4", "f4"}
    divisions = [
        n for n in ast.walk(tree) if isinstance(n, ast.BinOp | ast.AugAssign) and isinstance(n.op, ast.Div)
    ]
    is_sampler = module is privacy.discrete_gaussian
    assert {ast.unparse(node) for node in divisions} <= ({"1 / (2 * s2)", "1 / s2"} if is_sampler else set())


def test_the_path_is_the_whole_path() -> None:
    """Every module of ours that `derive` uses while it runs is one of those above, or holds only data."""
    used: set[str] = set()

    def watch(frame: object, event: str, _argument: object) -> None:
        name = frame.f_globals.get("__name__", "")  # type: ignore[attr-defined]
        if event == "call" and name.split(".")[0] in ("crypto", "node", "plan", "privacy", "protos"):
            used.add(name)

    namespace: dict[str, object] = {}
    exec(PROGRAM, namespace)
    used.clear()
    arguments = (bytes(32), namespace["x"], 1, bytes(32))
    recipe = namespace["round_"].recipe("s1")  # type: ignore[attr-defined]
    sys.setprofile(watch)
    try:
        namespace["derive"](recipe, *arguments)  # type: ignore[operator]
    finally:
        sys.setprofile(None)
    data = {
        "plan.layout",
        "privacy.accountant",
        "crypto.canonical",
        "crypto.prio3_shares",
        "crypto.replication",
    }
    assert used <= {module.__name__ for module in PATH} | data
    assert {"node.vault.derive", "privacy.discrete_gaussian", "crypto.xof"} <= used
