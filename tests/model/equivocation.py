"""What answers over different sets give away without the agreement: exhaustively for n ≤ 7.

Notation and proofs: docs/agreement.md. Honest auditors H, m = n − f of them; subsets of s = n − t + 1
auditors; auditor a answers once, for the set S_a that it is shown. A combination λ of the schools' tables
becomes known exactly if it lies in

    L = ∩ over A ⊆ H, |A| = s, of span{ 1_{S_a} : a ∈ A }.

Two questions about L: may it contain more than the multiples of one vector (two sums opened), and may it
contain the unit vector of one school although every set shown has other schools too (a school isolated)?

Nothing is sampled. Schools in the same of the sets shown are interchangeable, so k sets are a choice of
their non-empty Venn regions. Auditors shown the same set are interchangeable, so an assignment is the sizes
of its k classes, and a subset A counts by the classes that it meets (`families_agree` checks that against the
product's own subsets). For more sets than three: `worst_agreement`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, combinations_with_replacement, product

from model.linear import Vector, intersection, is_in_span, reduced_rows

from crypto.field64 import MODULUS
from crypto.replication import MAX_AUDITORS, subsets

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """The worst of every way to show at most k different sets to the honest auditors of (n, t, f).

    Attributes:
        num_sets: k, 2 or more.
        two_sums: L has more than one dimension for some choice.
        two_sums_independent: the same among choices whose indicator vectors are linearly independent.
        isolates: L contains one school for some choice.
        choices: how many were looked at.
    """

    n: int
    t: int
    f: int
    num_sets: int
    two_sums: bool
    two_sums_independent: bool
    isolates: bool
    choices: int


def is_above_bound(n: int, t: int, f: int) -> bool:
    """The product's rule for t: t > (n + f)/2."""
    return 2 * t > n + f


def parameters(max_auditors: int = MAX_AUDITORS) -> Iterator[tuple[int, int, int]]:
    """Every n up to a bound, every t, every f ≤ t − 1."""
    for n in range(1, max_auditors + 1):
        for t in range(1, n + 1):
            yield from ((n, t, f) for f in range(t))


def shown_sets(num_sets: int) -> Iterator[tuple[Vector, ...]]:
    """Every choice of k different, non-empty sets, each as its indicator over the non-empty Venn regions."""
    regions = [region for region in product((0, 1), repeat=num_sets) if any(region)]
    for present in range(1, 1 << len(regions)):
        columns = [region for i, region in enumerate(regions) if present >> i & 1]
        sets = tuple(zip(*columns, strict=True))
        if len(set(sets)) == num_sets and all(any(row) for row in sets):
            yield sets


def class_sizes(honest: int, num_sets: int) -> Iterator[Sizes]:
    """Every way to show k sets to the honest auditors, each to at least one: how many see which."""
    for sizes in product(range(1, honest + 1), repeat=num_sets):
        if sum(sizes) == honest:
            yield sizes


def classes_met(sizes: Sizes, s: int) -> frozenset[frozenset[int]]:
    """Which sets of classes s auditors may meet: those of at most s classes, with s members together."""
    indices = range(len(sizes))
    return frozenset(
        frozenset(chosen)
        for number in range(1, min(s, len(sizes)) + 1)
        for chosen in combinations(indices, number)
        if sum(sizes[i] for i in chosen) >= s
    )


def learnable(sets: Sequence[Vector], met: Iterable[frozenset[int]]) -> list[Vector]:
    """Compute a basis of L. Only the smallest sets of classes count: a larger one has a larger span."""
    families = list(met)
    smallest = [row for row in families if not any(other < row for other in families)]
    return intersection([[sets[i] for i in row] for row in smallest], len(sets[0]))


def isolated_regions(sets: Sequence[Vector], basis: Sequence[Vector]) -> list[int]:
    """List the Venn regions that come out alone although no set shown is that region alone."""
    width = len(sets[0])
    units = [tuple(int(i == place) for i in range(width)) for place in range(width)]
    return [i for i, unit in enumerate(units) if unit not in sets and is_in_span(unit, basis)]


@cache
def _worst(honest: int, s: int, num_sets: int) -> tuple[bool, bool, bool, int]:
    two = independent = isolates = False
    choices = 0
    for sizes, sets in product(class_sizes(honest, num_sets), shown_sets(num_sets)):
        basis = learnable(sets, classes_met(sizes, s))
        choices += 1
        if len(basis) > 1:
            two = True
            independent = independent or len(reduced_rows(sets)) == num_sets
        isolates = isolates or bool(isolated_regions(sets, basis))
    return two, independent, isolates, choices


def find(n: int, t: int, f: int, num_sets: int) -> Finding:
    """Look at every way to show two to k sets under (n, t, f)."""
    rows = [_worst(n - f, n - t + 1, number) for number in range(2, num_sets + 1)]
    two, independent, isolates, choices = zip(*rows, strict=True)
    return Finding(n, t, f, num_sets, any(two), any(independent), any(isolates), sum(choices))


def mismatches(max_auditors: int = MAX_AUDITORS) -> list[str]:
    """Compare every finding with what docs/agreement.md states; empty if all of it holds.

    Two sets, or three whose indicators are linearly independent: two sums exactly if t ≤ (n + f)/2. A school
    alone, with two or three sets: exactly then too. Three sets of which one is the disjoint union of the
    others: two sums exactly if t ≤ (2n + f)/3.
    """
    wrong = []
    for n, t, f in parameters(max_auditors):
        for num_sets in (2, 3):
            row = find(n, t, f, num_sets)
            below = not is_above_bound(n, t, f)
            expected = (below if num_sets == 2 else 3 * t <= 2 * n + f, below, below)
            if (row.two_sums, row.two_sums_independent, row.isolates) != expected:
                wrong.append(f"{row}: expected two_sums, two_sums_independent, isolates = {expected}")
    return wrong


def families_agree(n: int, t: int, f: int, num_sets: int) -> bool:
    """Whether the classes met are those of the product's own subsets, for every assignment of sets."""
    unknown = [row for row in subsets(n, t) if row & ((1 << f) - 1) == 0]
    for shown in product(range(num_sets), repeat=n - f):
        sizes = tuple(shown.count(i) for i in range(num_sets))
        if 0 in sizes:
            continue
        met = {frozenset(shown[i - f] for i in range(f, n) if row >> i & 1) for row in unknown}
        if met != classes_met(sizes, n - t + 1):
            return False
    return True


# -- any number of sets --------------------------------------------------------------------------


def worst_agreement(honest: int, dimension: int) -> int:
    """Find how many auditors can always be picked whose answers do not isolate a given school.

    Let b ∈ {0,1}^m say which of m honest auditors were shown a set with the victim, and C the space spanned
    by the like vectors of the other schools, of some dimension k. The answers of a subset A isolate the
    victim exactly if no word of C agrees with b on all of A. So it is safe if some word agrees with b in at
    least s places; C has a basis of 0/1 vectors, so an auditor is one of 2^k − 1 types and its b.

    Returns:
        The smallest, over every such C and b, of the largest agreement.
    """
    types = [row for row in product((0, 1), repeat=dimension) if any(row)]
    cells = list(product(types, (0, 1)))
    words = _words(types, dimension)
    agreement = [[int(_dot(word, row) == b) for word in words] for row, b in cells]
    worst = honest
    for chosen in combinations_with_replacement(range(len(cells)), honest):
        columns = zip(*(agreement[i] for i in chosen), strict=True)
        worst = min(worst, max(sum(column) for column in columns))
    return worst


def _words(types: Sequence[Vector], dimension: int) -> list[Vector]:
    """List the coefficients that fit b on some basis of types, for every b: a best word is among them."""
    found = set()
    for basis in combinations(types, dimension):
        if len(reduced_rows(basis)) == dimension:
            for b in product((0, 1), repeat=dimension):
                rows = reduced_rows([(*row, bit) for row, bit in zip(basis, b, strict=True)])
                found.add(tuple(row[-1] for row in sorted(rows, reverse=True)))
    return sorted(found)


def _dot(word: Vector, row: Vector) -> int:
    return sum(a for a, bit in zip(word, row, strict=True) if bit) % MODULUS


def isolates_by_any_number_of_sets(honest: int, s: int) -> bool:
    """Whether some choice of any number of sets isolates a school although t > (n + f)/2 (2s ≤ m + 1).

    C of dimension s or more agrees with b on s places of its own, so only smaller ones are looked at.
    """
    return any(worst_agreement(honest, dimension) < s for dimension in range(1, s))


NINE_AUDITORS: tuple[Vector, ...] = (
    *[(1, 1, 0)] * 2,
    *[(1, 0, 1)] * 2,
    *[(0, 1, 1)] * 2,
    (0, 1, 0),
    (0, 0, 1),
    (1, 1, 1),
)
"""Nine sets over (the victim, P, Q), P and Q disjoint: any five of them isolate the victim.

So at n = 9, t = 5, f = 0 the rule t > (n + f)/2 alone would not protect a school: one more reason why
`MAX_AUDITORS` is 7 and why the agreement is not a second lock on the same door.
"""


def nine_auditors_isolate_the_victim() -> bool:
    """Whether every five of `NINE_AUDITORS` have the victim in their span."""
    return all(is_in_span((1, 0, 0), chosen) for chosen in combinations(NINE_AUDITORS, 5))
