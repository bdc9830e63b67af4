"""The normative sampler: thresholds, byte-exact draws, and its distribution.

False alarms: every statistical test has a fixed seed and passes or fails for ever, but its limits are p >
1e-6 (one in a million for a right sampler with a fresh seed). The comparison with OpenDP is test_opendp.py.
"""

import ast
import bisect
import itertools
import json
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from vectors.make_discrete_gaussian import LARGE, PATH, reference_stream, reference_thresholds

import privacy.discrete_gaussian as module
from crypto.xof import XofHmacSha256Aes128, format_dst
from privacy.discrete_gaussian import (
    XOF_USAGE,
    Sampler,
    sampler_distance,
    table_bound,
    thresholds,
    thresholds_digest,
)
from privacy.errors import NoiseParameterError

CASES = json.loads(PATH.read_text(encoding="utf-8"))["cases"]
SMALL_CASES = [case for case in CASES if Fraction(case["s2"]) != LARGE]


def _number(text: str) -> int | Fraction:
    value = Fraction(text)
    return value.numerator if value.denominator == 1 else value


def _pmf(s2: float, bound: int) -> np.ndarray:
    k = np.arange(-bound, bound + 1, dtype=np.float64)
    weights = np.exp(-k * k / (2 * s2))
    return weights / weights.sum()


def _p_value(values: np.ndarray, s2: float, bound: int) -> float:
    """Chi-square p of `values` against the exact distribution; cells expecting under 10 are pooled."""
    expected = _pmf(s2, bound) * values.size
    observed = np.bincount(values + bound, minlength=2 * bound + 1).astype(np.float64)
    wide = np.flatnonzero(expected >= 10)
    first, last = int(wide[0]), int(wide[-1])

    def pooled(a: np.ndarray) -> np.ndarray:
        return np.concatenate(([a[:first].sum()], a[first : last + 1], [a[last + 1 :].sum()]))

    e, o = pooled(expected), pooled(observed)
    keep = e > 1e-3  # for very small s the pooled tails expect nothing; then they must hold nothing
    assert o[~keep].sum() == 0
    return float(chi2.sf(((o[keep] - e[keep]) ** 2 / e[keep]).sum(), keep.sum() - 1))


@pytest.mark.parametrize("s2", [Fraction(1, 4), 1, 2, 9, 10, 100, 2561, 15873, Fraction(12345, 7)], ids=str)
def test_thresholds_equal_the_second_implementation(s2):
    assert list(thresholds(s2)) == reference_thresholds(Fraction(s2))


def test_thresholds_of_the_largest_table_equal_the_second_implementation():
    assert list(thresholds(4096**2)) == reference_thresholds(LARGE)


@pytest.mark.parametrize("bits", [129, 131, 133, 140, 150, 161, 200])
@pytest.mark.parametrize("s2", [Fraction(1, 4), 9, 1000])
def test_floors_that_the_precision_does_not_prove_are_computed_again(bits, s2):
    assert module._upper_half(Fraction(s2), table_bound(s2), 129) is None
    assert module._thresholds_from(s2, bits) == thresholds(s2)


def test_too_little_precision_never_gives_a_wrong_floor():
    """Without the slack of the module docstring, 147 to 159 bits would give wrong thresholds here."""
    s2 = Fraction(460801)
    proved = [
        bits
        for bits in range(140, 186, 3)
        if (upper := module._upper_half(s2, table_bound(s2), bits)) is not None
        and [(1 << 127) + g for g in upper] == list(thresholds(s2)[table_bound(s2) : -1])
    ]
    answered = [
        bits for bits in range(140, 186, 3) if module._upper_half(s2, table_bound(s2), bits) is not None
    ]
    assert proved == answered != []


def test_precision_that_is_enough_is_not_raised(monkeypatch):
    monkeypatch.setattr(module, "_MORE_BITS", None)  # adding it would fail
    thresholds.cache_clear()
    assert len(thresholds(4096**2)) == 2 * table_bound(4096**2) + 1


@given(st.fractions(Fraction(1, 4), 400, max_denominator=1000))
def test_thresholds_are_a_distribution_function(s2):
    table = thresholds(s2)
    bound = table_bound(s2)
    assert len(table) == 2 * bound + 1
    assert table[-1] == 1 << 128
    assert all(a <= b for a, b in itertools.pairwise(table))
    # F(-k-1) = 1 - F(k), and both are rounded down
    assert all(table[bound + k] + table[bound - k - 1] == (1 << 128) - 1 for k in range(bound))


@pytest.mark.parametrize("s2", [Fraction(1, 4), 1, 9, 15, 120**2, 120**2 + 1, 4095**2 + 1, 4096**2], ids=str)
def test_bound_is_the_exact_floor_of_14_sigma_plus_1(s2):
    whole = table_bound(s2) - 1
    assert whole**2 <= 196 * s2 < (whole + 1) ** 2


@pytest.mark.parametrize("s2", [0, -9, Fraction(1, 5), 4096**2 + 1, 9.0, 0.5, True, "9", None])
def test_variance_out_of_range_is_refused(s2):
    for function in (table_bound, thresholds, sampler_distance, Sampler):
        with pytest.raises(NoiseParameterError, match="s2: expected a rational"):
            function(s2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["s2"])
def test_known_answers_of_thresholds_and_samples(case):
    sampler = Sampler(_number(case["s2"]))
    assert sampler.bound == case["bound"]
    assert sampler.digest.hex() == case["thresholds_sha256"]
    for sample in case["samples"]:
        xof = XofHmacSha256Aes128(bytes.fromhex(sample["key"]), format_dst(XOF_USAGE, b""), b"")
        values = sampler.sample(xof.next, 5000)
        assert values[:12].tolist() == sample["first"]
        assert (
            module.hashlib.sha256(values.astype("<i8").tobytes()).hexdigest()
            == sample["sha256_of_5000_int64_le"]
        )


def test_the_digest_depends_on_every_threshold():
    table = thresholds(9)
    digests = {thresholds_digest((*table[:i], table[i] ^ 1, *table[i + 1 :])) for i in range(len(table))}
    assert len(digests | {thresholds_digest(table)}) == len(table) + 1


def _fixed(words: list[int]):
    data = b"".join(u.to_bytes(16, "little") for u in words)
    return lambda size: data[:size]


@pytest.mark.parametrize("s2", [Fraction(1, 4), 9, 400], ids=str)
def test_every_threshold_and_its_neighbours_give_the_smallest_k_above(s2):
    """Exact ties of the high word included: the thresholds themselves, one below, one above, and the ends."""
    table, sampler = thresholds(s2), Sampler(s2)
    words = sorted({w for c in table for w in (c - 1, c, c + 1, c ^ (1 << 63))} | {0, 1, (1 << 128) - 1})
    words = [w for w in words if 0 <= w < 1 << 128]
    expected = [bisect.bisect_right(table, u) - sampler.bound for u in words]
    assert sampler.sample(_fixed(words), len(words)).tolist() == expected
    assert expected[0] == -sampler.bound or table[0] == 0
    assert expected[-1] == next(k for k, c in enumerate(table) if c > (1 << 128) - 1) - sampler.bound


@given(st.lists(st.integers(0, (1 << 128) - 1), min_size=1, max_size=40))
def test_any_stream_gives_the_smallest_k_above(words):
    table, sampler = thresholds(2561), Sampler(2561)
    expected = [bisect.bisect_right(table, u) - sampler.bound for u in words]
    assert sampler.sample(_fixed(words), len(words)).tolist() == expected


def test_long_draws_are_one_stream_in_cell_order(make_stream):
    sampler, cells = Sampler(9), (1 << 16) + 7
    whole = sampler.sample(make_stream(1), cells)
    stream = make_stream(1)
    parts = [sampler.sample(stream, n) for n in (1, 6, 1 << 16)]
    assert np.array_equal(whole, np.concatenate(parts))
    assert whole.dtype == np.int64
    assert whole.shape == (cells,)


@pytest.mark.parametrize("cells", [0, -1, 1.0, True, None])
def test_a_number_of_cells_that_is_none_is_refused(make_stream, cells):
    with pytest.raises(NoiseParameterError, match="cells"):
        Sampler(9).sample(make_stream(1), cells)


@pytest.mark.parametrize("wrong", [-1, 1, -16])
def test_a_stream_of_the_wrong_length_is_refused(wrong):
    with pytest.raises(NoiseParameterError, match="noise stream: expected 160 bytes"):
        Sampler(9).sample(lambda size: bytes(size + wrong), 10)


@pytest.mark.parametrize(
    "s2", [Fraction(1, 4), 1, 9, 20**2, 120**2, 679**2, 4000**2], ids=lambda s2: f"sigma-{math.sqrt(s2):g}"
)
def test_a_million_draws_fit_the_exact_distribution(make_stream, s2):
    sampler = Sampler(s2)
    values = sampler.sample(make_stream(20), 1_000_000)
    assert _p_value(values, float(s2), sampler.bound) > 1e-6


@pytest.mark.parametrize(
    "mutate",
    [
        lambda v, rng: v + 1,
        lambda v, rng: np.where(v < 0, -v, v),
        lambda v, rng: np.where((v == 0) & (rng.random(v.size) < 0.2), 1, v),
        lambda v, rng: np.rint(v * 1.01).astype(np.int64),
        lambda v, rng: np.clip(v, -40, 40),
        lambda v, rng: np.rint(v * 0.99).astype(np.int64),
    ],
    ids=["shifted", "folded", "zero-thinned", "one-percent-wide", "cut-at-two-sigma", "one-percent-narrow"],
)  # fmt: skip
def test_the_distribution_test_catches_a_wrong_sampler(make_stream, mutate):
    sampler = Sampler(400)
    values = mutate(sampler.sample(make_stream(21), 1_000_000), np.random.default_rng(3))
    assert _p_value(values, 400.0, sampler.bound) < 1e-6


def test_moments_of_a_million_draws(make_stream):
    values = Sampler(120**2).sample(make_stream(22), 1_000_000) / 120
    assert abs(values.mean()) < 5.2 / 1000
    assert abs((values**2).mean() - 1) < 5.2 * math.sqrt(2) / 1000


def _two_sample_p(one: np.ndarray, two: np.ndarray) -> float:
    low = int(min(one.min(), two.min()))
    a, b = (np.bincount(x - low, minlength=int(max(one.max(), two.max())) - low + 1) for x in (one, two))
    keep = a + b >= 20
    a, b = np.append(a[keep], a[~keep].sum()), np.append(b[keep], b[~keep].sum())
    a, b = a[a + b > 0], b[a + b > 0]
    share_one, share_two = math.sqrt(two.size / one.size), math.sqrt(one.size / two.size)
    return float(chi2.sf((((share_one * a - share_two * b) ** 2) / (a + b)).sum(), a.size - 1))


class _ExactSampler:
    """Canonne-Kamath-Steinke, Algorithms 1 to 3, on whole numbers; slow and independent of any table."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def _below(self, n: int) -> int:
        return int(self._rng.integers(n))

    def _bernoulli_exp(self, x: Fraction) -> bool:
        """True with probability e^-x."""
        while x > 1:
            if not self._bernoulli_exp(Fraction(1)):
                return False
            x -= 1
        k = 1
        while self._below(x.denominator * k) < x.numerator:
            k += 1
        return k % 2 == 1

    def _laplace(self, t: int) -> int:
        while True:
            u = self._below(t)
            if not self._bernoulli_exp(Fraction(u, t)):
                continue
            v = 0
            while self._bernoulli_exp(Fraction(1)):
                v += 1
            is_negative, magnitude = self._below(2) == 1, u + t * v
            if not (is_negative and magnitude == 0):
                return -magnitude if is_negative else magnitude

    def draw(self, s2: int) -> int:
        t = math.isqrt(s2) + 1
        while True:
            y = self._laplace(t)
            if self._bernoulli_exp((abs(y) - Fraction(s2, t)) ** 2 / (2 * s2)):
                return y


def test_same_distribution_as_the_exact_rejection_sampler(make_stream):
    exact = _ExactSampler(7)
    theirs = np.array([exact.draw(10) for _ in range(20_000)])
    ours = Sampler(10).sample(make_stream(23), 1_000_000)
    assert _two_sample_p(ours, theirs) > 1e-6


@pytest.mark.parametrize("s2", [Fraction(1, 4), 9, 15873], ids=str)
def test_stated_distance_covers_the_exact_one(s2):
    """Compare the drawn probabilities with the pmf in 100 digits."""
    import mpmath

    table = thresholds(s2)
    bound = table_bound(s2)
    with mpmath.workdps(100):
        variance = mpmath.mpf(Fraction(s2).numerator) / Fraction(s2).denominator
        far = bound + 2 * int(math.sqrt(s2)) + 40
        weights = [mpmath.exp(-mpmath.mpf(k * k) / (2 * variance)) for k in range(far + 1)]
        total = weights[0] + 2 * mpmath.fsum(weights[1:])
        distance = 2 * mpmath.fsum(weights[bound + 1 :]) / total
        for k in range(-bound, bound + 1):
            drawn = table[bound + k] - (table[bound + k - 1] if k > -bound else 0)
            distance += abs(mpmath.mpf(drawn) / 2**128 - weights[abs(k)] / total)
        stated = sampler_distance(s2)
        assert distance / 2 <= mpmath.mpf(stated.numerator) / stated.denominator
        assert distance / 2 * 20 > mpmath.mpf(stated.numerator) / stated.denominator


def test_stated_distances():
    assert sampler_distance(9) < Fraction(1, 1 << 122)
    assert sampler_distance(128**2) < Fraction(1, 1 << 117)
    assert sampler_distance(4096**2) < Fraction(1, 1 << 112)


_PROGRAM = """
import hashlib
from crypto.xof import XofHmacSha256Aes128, format_dst
from privacy.discrete_gaussian import Sampler
for s2 in (9, 2561, 15873, 460801):
    sampler = Sampler(s2)
    xof = XofHmacSha256Aes128(bytes(range(32)), format_dst(32, b""), b"")
    values = sampler.sample(xof.next, 5000).astype("<i8")
    print(sampler.digest.hex(), hashlib.sha256(values.tobytes()).hexdigest())
"""


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        (["-O"], {"PYTHONHASHSEED": "1", "LC_ALL": "C"}),
        (["-OO"], {"PYTHONHASHSEED": "99", "LC_ALL": "tr_TR.UTF-8"}),
    ],
    ids=["optimised", "turkish"],
)  # fmt: skip
def test_same_bytes_in_other_interpreters(flags, environment):
    root = Path(module.__file__).parents[1]
    result = subprocess.run(
        [sys.executable, *flags, "-c", _PROGRAM],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root), **environment}, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    by_s2 = {case["s2"]: case for case in CASES}
    expected = [
        f"{case['thresholds_sha256']} {case['samples'][0]['sha256_of_5000_int64_le']}"
        for case in (by_s2[s2] for s2 in ("9", "2561", "15873", "460801"))
    ]
    assert result.stdout.splitlines() == expected


def test_the_reference_stream_is_the_protocols_xof():
    key = bytes(range(32))
    assert XofHmacSha256Aes128(key, format_dst(XOF_USAGE, b""), b"").next(999) == reference_stream(key, 999)


def test_no_float_and_no_library_generator_on_the_path_of_the_noise():
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    attributes = {f"{ast.unparse(node)}" for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(
        isinstance(node, ast.Constant) and isinstance(node.value, float | complex) for node in ast.walk(tree)
    )
    assert "float" not in names
    assert not {a for a in attributes if "random" in a or "float" in a}
    assert {a for a in attributes if a.startswith("math.")} == {"math.isqrt", "math.floor"}
    assert imported == {
        "hashlib", "math", "collections.abc", "fractions", "functools", "numpy", "numpy.typing",
        "privacy.errors",
    }  # fmt: skip
    # the only true divisions make Fractions out of Fractions
    divisions = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
    }
    assert divisions == {"1 / (2 * s2)", "1 / s2"}
