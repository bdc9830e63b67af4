"""An instrument as a plan names it: which codebook may have coded the records, and what tables need of it."""

from dataclasses import dataclass, replace
from typing import Final

from crypto.canonical import JsonInput
from plan.codebook import MAX_FACTORS, MAX_TITLE_CHARS, Codebook
from plan.errors import DocumentError, Phrase, Problem, phrase, raise_if
from plan.reading import (
    DIGEST_PATTERN,
    FACTOR_PATTERN,
    ID_PATTERN,
    Section,
    is_clean_text,
)
from plan.scores import ScoreRange, encode_score

INSTRUMENT_KEYS: Final = ("id", "digest", "total", "factors")

Factors = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument that a plan allows.

    Attributes:
        id: the codebook's id.
        digest: SHA-256 of the codebook's canonical JSON in hex; "" (any version) only in a draft or a demo.
        total: range of the total score, which `band` divides into tenths.
        factors: pairs of a factor's id and title, the codes of `factor`.

    Raises:
        DocumentError: a repeated factor, or an id or digest of another form.
    """

    id: str
    digest: str
    total: ScoreRange
    factors: Factors

    def __post_init__(self) -> None:
        names = [name for name, _ in self.factors]
        checks = (
            ("id", ID_PATTERN.match(self.id) is not None, phrase("a short name of a-z 0-9 . _ -")),
            ("digest", is_digest(self.digest), phrase('64 hex digits, or "" in a draft')),
            ("factors", len(set(names)) == len(names) <= MAX_FACTORS, phrase("different factors")),
        )
        raise_if(
            DocumentError,
            [
                Problem(f"instruments.{self.id[:40]}.{key}", phrase("another value"), allowed)
                for key, is_right, allowed in checks
                if not is_right
            ],
        )

    def accepts(self, codebook_id: str, digest: str) -> bool:
        """Say whether records that this codebook (digest in hex) coded may be counted."""
        return codebook_id == self.id and self.digest in ("", digest)


def is_digest(text: str) -> bool:
    """Say whether text is a SHA-256 in hex, or empty."""
    return text == "" or DIGEST_PATTERN.match(text) is not None


def instrument_of(codebook: Codebook) -> Instrument:
    """Return the instrument that allows exactly this codebook."""
    return Instrument(codebook.id, codebook.digest.hex(), codebook.total, codebook.factor_titles)


def pin(instrument: Instrument, codebook: Codebook) -> Instrument:
    """Return the instrument with the codebook's digest.

    Raises:
        DocumentError: the codebook is another one than the plan describes.
    """
    exact = instrument_of(codebook)
    differing = [
        name
        for name, ours, theirs in (
            ("id", instrument.id, exact.id),
            ("total", instrument.total, exact.total),
            ("factors", instrument.factors, exact.factors),
            ("digest", instrument.digest or exact.digest, exact.digest),
        )
        if ours != theirs
    ]
    found = phrase("another value than the codebook '%(name)s' has", name=codebook.id)
    allowed = phrase("what the codebook says")
    raise_if(
        DocumentError, [Problem(f"instruments.{instrument.id}.{key}", found, allowed) for key in differing]
    )
    return replace(instrument, digest=exact.digest)


def instrument_json(instrument: Instrument) -> dict[str, JsonInput]:
    """Return the value that stands in a plan's body."""
    return {
        "id": instrument.id,
        "digest": instrument.digest,
        "total": [encode_score(instrument.total.low), encode_score(instrument.total.high)],
        "factors": [list(pair) for pair in instrument.factors],
    }


def read_instrument(section: Section) -> Instrument | None:
    """Read one instrument; None after a problem was noted."""
    name = section.word("id", ID_PATTERN, phrase("a short name of a-z 0-9 . _ -"))
    digest = section.word("digest", DIGEST_PATTERN, phrase('64 hex digits, or "" in a draft'), default="")
    total = section.score_range("total")
    none: Factors = ()
    factors = section.take("factors", _read_factors, _FACTORS_ALLOWED, none, default=none)
    if section.has_problems:
        return None
    try:
        return Instrument(name, digest, total, factors)
    except DocumentError as err:
        section.add("id", *err.problems)
        return None


_FACTORS_ALLOWED: Phrase = phrase(
    'a list of pairs of different ids and titles, such as [["learning", "学习焦虑"]], at most %(most)s',
    most=MAX_FACTORS,
)


def _read_factors(value: object) -> Factors | None:
    if not isinstance(value, list) or len(value) > MAX_FACTORS:
        return None
    factors = [tuple(pair) for pair in value if isinstance(pair, list) and _is_factor(pair)]
    is_right = len(factors) == len(value) and len({pair[0] for pair in factors}) == len(factors)
    return tuple((name, title) for name, title in factors) if is_right else None


def _is_factor(pair: list[object]) -> bool:
    if len(pair) != 2:
        return False
    name, title = pair
    return (
        isinstance(name, str)
        and isinstance(title, str)
        and FACTOR_PATTERN.match(name) is not None
        and title != ""
        and is_clean_text(title, MAX_TITLE_CHARS)
    )
