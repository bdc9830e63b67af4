"""The mutation run itself: what it changes, and that a change of each kind of module is noticed."""

import subprocess
import sys
from pathlib import Path

import pytest
from mutation.child import path_of
from mutation.mutants import MutatedModule

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "tests" / "mutation" / "run.py"

NOTICED = [  # module, what stands there, what is put in its place
    ("replication", "2 * t > n + f,", "2 * t >= n + f,"),
    ("merkle", 'b"\\x01" + left + right', 'b"\\x01" + right + left'),
    ("derivation", 'kdf(report_secret, "seed", subset)', 'kdf(report_secret, "noise", subset)'),
    ("xof", "0x8000000080008008", "0x8000000080008009"),
    ("privacy.sensitivity", "return 2 if neighbouring is", "return 1 if neighbouring is"),
]
NOT_NOTICED = [
    ("replication", "# then C(n, t - 1) <= 35", "# because C(n, t - 1) <= 35"),
    ("merkle", "Hash a log entry into a leaf", "Make a leaf of a log entry"),
]


def changes(source: str) -> list[str]:
    return [mutant.change for mutant in MutatedModule(source).mutants]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", ["a < b -> a <= b", "a < b -> a >= b"]),
        ("x = a == b", ["a == b -> a != b"]),
        ("x = a not in b", ["a not in b -> a in b"]),
        ("x = 0 <= y", ["0 <= y -> 0 < y", "0 <= y -> 0 > y", "0 -> -1", "0 -> 1"]),
        ("x = 7", ["7 -> 0", "7 -> 6", "7 -> 8"]),
        ("x = True", ["True -> False"]),
        ("x = 'ab'", ["'ab' -> '`b'", "'ab' -> 'ac'", "'ab' -> ''"]),
        ("x = b'a'", ["b'a' -> b'`'", "b'a' -> b''"]),
        ("x = ''", ["'' -> 'X'"]),
        (
            "x = '[a-c]'",
            [f"'[a-c]' -> '{changed}'" for changed in ("Za-c]", "[`-c]", "[a,c]", "[a-b]", "")],
        ),
        ("x = a[i]", ["i -> i + 1", "i -> i - 1"]),
        ("x = a[:n]", ["n -> nothing", "n -> n + 1", "n -> n - 1"]),
        ("x = a[n + 1 :]", ["n + 1 -> n - 1", "n + 1 -> nothing", "1 -> 0", "1 -> 2"]),
        ("x = a + b", ["a + b -> a - b"]),
        ("x = a / b", ["a / b -> a * b"]),
        ("x |= a", ["x |= a -> nothing", "x |= a -> x &= a"]),
        ("x = a and b", ["a and b -> a or b", "a and b -> b", "a and b -> a"]),
        ("x = not a", ["not a -> a"]),
        ("x = min(a)", ["min -> max"]),
        ("if a: check(a)", ["if a -> if not a", "check(a) -> nothing"]),
        ("def f(): return a", ["return a -> return"]),
        ("a.b = c", ["a.b = c -> nothing"]),
        (
            "try: pass\nexcept (A, B): pass",
            ["except (A, B) -> except (B,)", "except (A, B) -> except (A,)"],
        ),
        (
            "def f():\n    raise E(f'more than {1 + 2}') from None",
            ["raise E(f'more than {1 + 2}') from None -> nothing"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_changes_of_a_piece_of_code(source: str, expected: list[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""Doc 1."""',
        "# 1 < 2",
        "import a",
        "from a import b",
        "x: NDArray[1]",
        "def f(a: b[1]) -> c[2]: pass",
        "A: TypeAlias = b[1]",
        "A = Callable[[bytes], Xof]",
        "__all__ = ['a']",
    ],
)
def test_what_is_no_code_is_left_alone(source: str) -> None:
    assert changes(source) == []


def test_each_mutant_differs_in_one_place_and_the_source_stays() -> None:
    module = MutatedModule("def f(a):\n    return a[1] < 3\n")
    results = []
    for mutant in (None, *module.mutants, None):
        names: dict[str, object] = {}
        exec(module.code(mutant), names)
        f = names["f"]
        assert callable(f)
        results.append(f([1, 2, 3, 4]))
    assert results[0] is results[-1] is True
    assert [mutant.key for mutant in module.mutants][1] == ("f", "return a[1] < 3", "a[1] < 3 -> a[1] <= 3")
    assert results[1:-1] == [None, True, False, True, False, False, False, True]


def test_a_repeated_change_of_a_line_is_numbered() -> None:
    assert changes("x = 5, 5")[:4] == ["5 -> 0", "5 -> 4", "5 -> 6", "5 -> 0 #2"]


def test_changes_of_each_kind_are_noticed_and_of_comments_are_not(tmp_path: Path) -> None:
    arguments, expected = [], []
    for number, (module, old, new) in enumerate([*NOTICED, *NOT_NOTICED]):
        source = path_of(module).read_text(encoding="utf-8")
        assert source.count(old) == 1
        text = tmp_path / f"{number}.py"
        text.write_text(source.replace(old, new), encoding="utf-8")
        arguments += ["--text", f"{module}={text}"]
        expected.append(f"{module} {'killed' if number < len(NOTICED) else 'survived'}")
    run = subprocess.run(
        [sys.executable, RUN, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stdout.splitlines()) == (0, expected), run.stderr
