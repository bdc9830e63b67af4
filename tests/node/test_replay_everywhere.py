"""A replay passes however Python is run: hash seeds, locales, -O and -OO; and no check is an `assert`.

The same with several versions of Python: `tests/replay_matrix/run.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from replay_matrix import school
from replay_matrix.run import compile_locale

from node.errors import NodeError

pytestmark = pytest.mark.process
ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    *("auditor", "coordinator", "crypto", "fedscreen", "node", "pages", "paper"),
    *("plan", "privacy", "protos", "results"),
)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A school that has reported, its vault run plainly."""
    folder = tmp_path_factory.mktemp("school")
    assert school.make(folder, [], [])["records"] > 0
    return folder


@pytest.mark.parametrize(
    ("environ", "flags"),
    [
        (["PYTHONHASHSEED=0", "LC_ALL=C", "PYTHONUTF8=0"], []),
        (["PYTHONHASHSEED=4294967295", "LC_ALL=tr_TR.UTF-8", "PYTHONUTF8=0"], ["-O"]),
        (["LC_ALL=de_DE.ISO-8859-1", "PYTHONUTF8=0"], ["-OO"]),
    ],
    ids=["seed 0, C", "another seed, Turkish, -O", "no UTF-8, -OO"],
)
def test_replay_passes(reported: Path, tmp_path: Path, environ: list[str], flags: list[str]) -> None:
    language, _dot, charset = environ[-2].removeprefix("LC_ALL=").partition(".")
    if charset and not compile_locale(tmp_path, language, charset):
        pytest.skip(f"this machine cannot make the locale {language}.{charset}")
    answer = school.replay(reported, [*environ, f"LOCPATH={tmp_path}"], flags)
    assert (answer["outcome"], answer["confinement"]) == ("PASS", "L3")
    assert {check["result"] for check in answer["checks"]} == {"PASS"}
    assert len(answer["checks"]) == 12


def test_the_vault_really_gets_that_environment(reported: Path) -> None:
    with pytest.raises(NodeError, match="before it was ready"):
        school.replay(reported, ["PYTHONHASHSEED=no-number"], [])


def test_nothing_in_the_product_is_checked_by_what_optimisation_removes() -> None:
    found = []
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "_pb2" not in path.name):
        for part in ast.walk(ast.parse(path.read_bytes())):
            is_debug = isinstance(part, ast.Name) and part.id == "__debug__"
            if isinstance(part, ast.Assert) or is_debug:
                found.append(f"{path.relative_to(ROOT)}:{part.lineno}")
    assert found == []
