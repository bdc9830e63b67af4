"""Replicated secret sharing: which auditors hold which seed, and which parameters are safe.

There is one seed per subset A of n - t + 1 auditors; every auditor in A holds it. Any t auditors together
hold all seeds, any t - 1 lack at least one. A subset is a bit mask in plan order: bit i is auditor i.
Spec: protocol.md, "Parameters" and "What it gives, and what not".
"""

from collections.abc import Iterable
from functools import cache
from itertools import combinations

from crypto.errors import ParameterError

MAX_AUDITORS = 7  # then C(n, t - 1) <= 35: a rank + 1 fits the XOF binder's one byte


def validate_parameters(n: int, t: int, f: int, q: int) -> None:
    """Check a plan's tuple: n auditors, t open, f may collude with the coordinator, q are a quorum.

    - t > (n + f)/2: otherwise a coordinator that shows different sets of reports to different honest
      auditors learns the difference of two sums, which can be one school's table.
    - q > (n + f)/2: two quorums share an honest auditor, so there is one agreed set at most; and with
      the rule for t, q abandons leave fewer than t auditors that could still answer.

    (1, 1, 0, 1) passes; that it exists only in a demo federation is for the roster's reader to enforce.

    Raises:
        ParameterError: a rule is broken; the message names it.
    """
    rules = (
        (1 <= t <= n <= MAX_AUDITORS, f"1 <= t <= n <= {MAX_AUDITORS}"),
        (0 <= f < t, "0 <= f <= t - 1"),
        (2 * t > n + f, "t > (n + f)/2"),
        (2 * q > n + f, "q > (n + f)/2"),
        (t <= q <= n, "t <= q <= n"),
    )
    for holds, rule in rules:
        if not holds:
            raise ParameterError(f"(n={n}, t={t}, f={f}, q={q}) breaks the rule {rule}")


@cache
def subsets(n: int, t: int) -> tuple[int, ...]:
    """Return the C(n, t - 1) subsets of n - t + 1 auditors as bit masks, ascending.

    Raises:
        ParameterError: not 1 <= t <= n <= 7.
    """
    if not 1 <= t <= n <= MAX_AUDITORS:
        raise ParameterError(f"no sharing with n={n}, t={t}: expected 1 <= t <= n <= {MAX_AUDITORS}")
    return tuple(sorted(sum(1 << i for i in members) for members in combinations(range(n), n - t + 1)))


def rank(subset: int, n: int, t: int) -> int:
    """Return a subset's position, from 0, in `subsets(n, t)`.

    Raises:
        ParameterError: it is none of them.
    """
    try:
        return subsets(n, t).index(subset)
    except ValueError as err:
        raise ParameterError(f"{subset} is no subset of {n - t + 1} of {n} auditors") from err


def subsets_with(index: int, n: int, t: int) -> tuple[int, ...]:
    """Return the C(n - 1, t - 1) subsets that auditor `index` belongs to, ascending.

    Raises:
        ParameterError: not 0 <= index < n.
    """
    if not 0 <= index < n:
        raise ParameterError(f"no auditor {index} among {n}")
    return tuple(subset for subset in subsets(n, t) if subset >> index & 1)


def covers(indices: Iterable[int], n: int, t: int) -> bool:
    """Say whether these auditors together hold the seed of every subset (so they can open)."""
    present = sum(1 << index for index in set(indices) if 0 <= index < n)
    return all(subset & present for subset in subsets(n, t))
