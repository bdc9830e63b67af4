"""Which schools are replayed: a draw that nobody can foresee or steer, and anybody can make again.

Every auditor commits to 32 random bytes r_a in its approval, before there is a report, and reveals them in
its opening, after the set S is fixed. With the parts in the order of the plan, and an empty part for an r_a
that did not stand in the log before the release:

    seed   = SHA-256(E("challenge", close digest, r_1, …, r_n))
    w_k    = the first eight bytes, big-endian, of SHA-256(E("draw", seed, k)),  k = 0, 1, 2, …

S is sorted by node id; row[0 … N-1]. For i = 0, 1, … (number - 1): take the next w_k below the largest
multiple of N - i that is at most 2^64 (one that is not below is thrown away), and exchange row[i] and
row[i + w_k mod (N - i)]. The first `number` rows are the draw; a larger draw begins with a smaller one.

The draw is final with the release, or once every auditor has opened. What is withheld is told: whoever
decides which openings come before the release picks one of `num_draws` draws, so for a county that helps its
schools a miss is up to that many times as likely (`odds_against_county`).

I/O-free. Spec: docs/on-site-audit.md "Which schools"; known answers: tests/vectors/challenge.json.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb

from crypto.canonical import encode_parts
from protos.bodies import ReportName
from protos.errors import ProtocolError
from protos.round_log import RoundLog

WORD_VALUES = 1 << 64
WORD_BYTES = 8


class ChallengeError(ProtocolError):
    """There is no draw yet, or none of this size."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The draw of one round.

    Attributes:
        close: digest of the close.
        seed: what the draw is made from.
        revealed: auditor → r_a that counts, in the order of the plan.
        late: auditors whose r_a came after the release; it does not count.
        withheld: auditors whose r_a is not in the log.
        schools: S, ascending by node id.
        num_draws: how many draws those could choose from who decide which openings count.
    """

    close: bytes
    seed: bytes
    revealed: dict[str, bytes]
    late: tuple[str, ...]
    withheld: tuple[str, ...]
    schools: tuple[ReportName, ...]
    num_draws: int

    def draw(self, number: int) -> tuple[ReportName, ...]:
        """Draw so many schools, in the order drawn.

        Raises:
            ChallengeError: the set has fewer.
        """
        return draw_rows(self.seed, self.schools, number)


def challenge_of(round_log: RoundLog) -> Challenge:
    """Give the draw of a round.

    Raises:
        ChallengeError: the round is not closed, or it is still open which openings count.
    """
    close, body = round_log.close, round_log.close_body()
    if close is None or body is None:
        raise ChallengeError("this round is not closed yet; the draw comes after the openings")
    auditors, openings = round_log.terms.auditors, round_log.openings
    limit = round_log.release.index if round_log.release else None
    if limit is None and len(openings) < len(auditors):
        missing = ", ".join(name for name in auditors if name not in openings)
        raise ChallengeError(f"not released yet, and no opening of {missing}: wait for the release")
    counted = {name: row for name, row in openings.items() if limit is None or row.index < limit}
    revealed = {name: counted[name].statement.draw for name in auditors if name in counted}
    return Challenge(
        close=close.digest,
        seed=challenge_seed(close.digest, [revealed.get(name, b"") for name in auditors]),
        revealed=revealed,
        late=tuple(name for name in auditors if name in openings and name not in counted),
        withheld=tuple(name for name in auditors if name not in openings),
        schools=tuple(sorted(body.set, key=lambda name: name.node)),
        num_draws=num_draws(len(auditors), round_log.terms.threshold),
    )


def challenge_seed(close: bytes, draws: Sequence[bytes]) -> bytes:
    """SHA-256(E("challenge", close digest, r_1, …, r_n)); an r_a that does not count is an empty part."""
    return hashlib.sha256(encode_parts("challenge", close, *draws)).digest()


def words(seed: bytes) -> Iterator[int]:
    """Give w_0, w_1, …: whole numbers below 2^64."""
    number = 0
    while True:
        data = hashlib.sha256(encode_parts("draw", seed, number)).digest()
        yield int.from_bytes(data[:WORD_BYTES], "big")
        number += 1


def draw_rows(seed: bytes, schools: Sequence[ReportName], number: int) -> tuple[ReportName, ...]:
    """Draw without putting back; see the module's text."""
    if not 1 <= number <= len(schools):
        raise ChallengeError(f"{number} schools of a set of {len(schools)}: expected 1 to {len(schools)}")
    rows, source = list(schools), words(seed)
    for place in range(number):
        other = place + below(source, len(rows) - place)
        rows[place], rows[other] = rows[other], rows[place]
    return tuple(rows[:number])


def below(source: Iterator[int], bound: int) -> int:
    """Take a number below a bound, each equally likely: words that would favour some are thrown away."""
    limit = WORD_VALUES - WORD_VALUES % bound
    word = next(source)
    while word >= limit:
        word = next(source)
    return word % bound


def num_draws(num_auditors: int, threshold: int) -> int:
    """Count the sets of openings, t or more, that a release can come after: each gives another draw."""
    return sum(comb(num_auditors, size) for size in range(threshold, num_auditors + 1))


def odds(num_schools: int, cheaters: int, number: int) -> Fraction:
    """Give the probability that at least one of the cheaters is drawn: 1 - C(N - K, n) / C(N, n)."""
    if not 0 <= cheaters <= num_schools or not 0 <= number <= num_schools:
        raise ChallengeError(f"{cheaters} cheaters and {number} replays of {num_schools} schools")
    return 1 - Fraction(comb(num_schools - cheaters, number), comb(num_schools, number))


def odds_against_county(num_schools: int, cheaters: int, number: int, draws: int) -> Fraction:
    """Give a lower bound of the odds where friends of the cheaters pick the best of so many draws."""
    missed = 1 - odds(num_schools, cheaters, number)
    return max(Fraction(0), 1 - draws * missed)


def replays_needed(num_schools: int, cheaters: int, probability: Fraction) -> int:
    """Give the fewest replays that find one of the cheaters with this probability.

    Raises:
        ChallengeError: the probability is not above 0 and below 1, or there are no cheaters to find.
    """
    if not 0 < probability < 1 or not 1 <= cheaters <= num_schools:
        raise ChallengeError("a probability lies between 0 and 1, and there is at least one cheater")
    low, high = 1, num_schools
    while low < high:
        middle = (low + high) // 2
        if odds(num_schools, cheaters, middle) >= probability:
            high = middle
        else:
            low = middle + 1
    return low
