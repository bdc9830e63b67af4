"""Reading outside values (a TOML file, a JSON body) key by key, keeping every problem.

A `Section` is one table under its key path. Each `take` returns a value of the right type; when there is
none it notes a `Problem` and returns a stand-in, so that reading goes on and the caller hears of everything
at once. After the last take the caller asks `has_problems` before it builds anything from the values.
"""

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final, TypeVar

from plan.errors import Phrase, PlanError, Problem, phrase
from plan.scores import ScoreRange, is_score, parse_score

MAX_INPUT_BYTES: Final = 256 * 1024
"""Largest plan, codebook or plan body that is read at all."""

MAX_LINE_CHARS: Final = 1000
"""Longest line of a TOML file: tomllib needs quadratic time for a key of many dotted parts."""

TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
NOTHING: Final = phrase("nothing")
DIGEST_PATTERN: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
ID_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z", re.ASCII)
FACTOR_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]{0,31}\Z", re.ASCII)

_RATIONAL = re.compile(r"([0-9]{1,9})(?:/([0-9]{1,9})|\.([0-9]{1,9}))?\Z", re.ASCII)
_MAX_SHOWN = 60
_MAX_LISTED = 20
_FORBIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")

T = TypeVar("T")


def load_toml(data: bytes, error: type[PlanError]) -> dict[str, object]:
    """Parse a TOML file of bounded size; a byte order mark (Windows Notepad writes one) is fine.

    Raises:
        error: too large, not UTF-8, or not TOML.
    """
    if len(data) > MAX_INPUT_BYTES:
        found, most = (
            phrase("%(size)s bytes", size=len(data)),
            phrase("at most %(size)s bytes", size=MAX_INPUT_BYTES),
        )
        raise error(Problem("", found, most))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        found = phrase("bytes that are not UTF-8, from position %(place)s on", place=err.start)
        advice = phrase("save the file as UTF-8; GBK and UTF-16 are not read")
        raise error(Problem("", found, phrase("UTF-8 text"), advice)) from err
    longest = max(len(line) for line in text.split("\n"))
    if longest > MAX_LINE_CHARS:
        allowed = phrase("lines of at most %(size)s characters", size=MAX_LINE_CHARS)
        raise error(Problem("", phrase("a line of %(size)s characters", size=longest), allowed))
    try:
        return tomllib.loads(text, parse_float=_decimal)
    except RecursionError as err:
        raise error(Problem("", phrase("too many brackets inside each other"), phrase("TOML"))) from err
    except ValueError as err:
        found = phrase("a mistake: %(reason)s", reason=str(err)[:200])
        advice = phrase("text stands in quotation marks; every table has its own heading in brackets")
        raise error(Problem("", found, phrase("TOML"), advice)) from err


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")  # an exponent beyond all bounds: refused later as no number


def describe(value: object) -> Phrase:
    """Say in a few words what a value is, bounded in length whatever the input."""
    if isinstance(value, str):
        shown = value if len(value) <= _MAX_SHOWN else value[:_MAX_SHOWN] + "…"
        return phrase("the text %(value)s", value=f"'{shown}'" if shown.isprintable() else ascii(shown))
    if isinstance(value, bool):
        return phrase("the word %(value)s", value=str(value).lower())
    if isinstance(value, int | Decimal):
        return _describe_number(value)
    if isinstance(value, date):
        return phrase("the date %(value)s", value=value.isoformat())
    if isinstance(value, Mapping):
        return phrase("a table")
    if isinstance(value, Sequence):
        parts = [describe(item).values for item in value[:_MAX_LISTED] if isinstance(item, str | int)]
        shown = ", ".join(str(part[0][1]) for part in parts if part)
        if len(parts) == len(value) and len(shown) <= _MAX_SHOWN:
            return phrase("the list [%(items)s]", items=shown)
        return phrase("a list of %(size)s", size=len(value))
    return phrase("a value of another kind")


def _describe_number(value: int | Decimal) -> Phrase:
    """Show a number, unless writing it out could take long: input may hold one of 10^5 digits."""
    if not (isinstance(value, Decimal) and not value.is_finite()) and -(10**18) < value < 10**18:
        shown = str(value)
        if len(shown) <= _MAX_SHOWN:
            return phrase("the number %(value)s", value=shown)
    return phrase("a number out of all bounds")


def shown_key(key: str) -> str:
    """Return a key or label as a part of a key path: bounded, quoted where it is not plain."""
    shown = key[:40]
    return shown if shown.isprintable() and shown and not set(shown) & set(" .'\"") else ascii(shown)


def nearest(name: str, known: Iterable[str]) -> Phrase | None:
    """Return the advice with the known name that looks most like `name`, if one does."""
    close = difflib.get_close_matches(name[:_MAX_SHOWN], list(known), n=1, cutoff=0.6)
    return phrase("did you mean %(name)s?", name=close[0]) if close else None


def is_clean_text(text: str, most: int) -> bool:
    """Say whether text is NFC, at most `most` characters, trimmed and free of invisible characters."""
    if len(text) > most or text != text.strip() or not unicodedata.is_normalized("NFC", text):
        return False
    return all(unicodedata.category(char) not in _FORBIDDEN_CATEGORIES for char in text)


class Section:
    """One table of a file under its key path; notes unknown keys at once, other problems as they are met.

    Attributes:
        path: key path of this table with a dot at the end, or "" for the top.
        problems: shared by all sections of one file, in the order met.
    """

    def __init__(
        self, values: Mapping[str, object], known: Sequence[str], problems: list[Problem], path: str = ""
    ) -> None:
        self.path = path
        self.problems = problems
        self._values = values
        self._failed: set[str] = set()
        for name in values:
            if name not in known:
                allowed = phrase("the keys %(names)s", names=", ".join(known))
                advice = nearest(name, known)
                self.add(name, Problem(self._path_of(name), phrase("an unknown key"), allowed, advice))

    @property
    def has_problems(self) -> bool:
        """Whether anything was noted in this section."""
        return bool(self._failed)

    def failed(self, *keys: str) -> bool:
        """Say whether one of these keys could not be read."""
        return not self._failed.isdisjoint(keys)

    def has(self, key: str) -> bool:
        """Say whether the table has the key."""
        return key in self._values

    def note(self, key: str, allowed: Phrase, advice: Phrase | None = None) -> None:
        """Note that the value of a key is not what is allowed."""
        found = describe(self._values[key]) if key in self._values else NOTHING
        self.add(key, Problem(self._path_of(key), found, allowed, advice))

    def add(self, key: str, *problems: Problem) -> None:
        """Keep problems that lie in the value of a key."""
        self._failed.add(key)
        self.problems.extend(problems)

    def fail(self, key: str) -> None:
        """Count a key as not read, because something inside of its table could not be."""
        self._failed.add(key)

    def complete(self, key: str, items: Sequence[T | None]) -> tuple[T, ...]:
        """Return the items of a list; where one could not be read the key counts as not read."""
        found = tuple(item for item in items if item is not None)
        if len(found) < len(items):
            self.fail(key)
        return found

    def _path_of(self, key: str) -> str:
        return self.path + shown_key(key)

    def take(
        self,
        key: str,
        read: Callable[[object], T | None],
        allowed: Phrase,
        stand_in: T,
        default: T | None = None,
        advice: Phrase | None = None,
    ) -> T:
        """Read one key.

        Args:
            read: returns the value, or None where it is not allowed.
            stand_in: returned when there is no value.
            default: returned when the key is absent; without one the key is required.
        """
        if key not in self._values and default is not None:
            return default
        value = read(self._values[key]) if key in self._values else None
        if value is None:
            self.note(key, allowed, advice)
            return stand_in
        return value

    def text(self, key: str, most: int, default: str | None = None, least: int = 1) -> str:
        """Read a line of text: NFC, no invisible characters, `least` to `most` characters."""

        def read(value: object) -> str | None:
            is_right = isinstance(value, str) and len(value) >= least and is_clean_text(value, most)
            return value if is_right and isinstance(value, str) else None

        allowed = phrase(
            "one line of %(least)s to %(most)s characters without invisible ones", least=least, most=most
        )
        return self.take(key, read, allowed, "", default)

    def word(self, key: str, pattern: re.Pattern[str], allowed: Phrase, default: str | None = None) -> str:
        """Read text that a pattern matches; `default` "" also allows the empty text."""

        def read(value: object) -> str | None:
            if not isinstance(value, str):
                return None
            return value if pattern.match(value) or value == default == "" else None

        return self.take(key, read, allowed, "", default)

    def choice(self, key: str, names: Iterable[str], default: str | None = None) -> str:
        """Read one of a few words."""
        known = tuple(names)

        def read(value: object) -> str | None:
            return value if isinstance(value, str) and value in known else None

        value = self._values.get(key)
        advice = nearest(value, known) if isinstance(value, str) else None
        allowed = phrase("one of %(names)s", names=", ".join(known))
        return self.take(key, read, allowed, known[0], default, advice)

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Read a whole number from `low` to `high`."""

        def read(value: object) -> int | None:
            return value if type(value) is int and low <= value <= high else None

        allowed = phrase("a whole number from %(low)s to %(high)s", low=low, high=high)
        return self.take(key, read, allowed, low, default)

    def rational(
        self, key: str, above: Fraction, most: Fraction, default: Fraction | None = None
    ) -> Fraction:
        """Read an exact number written as text, "7/25" or "0.28": more than `above`, at most `most`."""

        def read(value: object) -> Fraction | None:
            number = parse_rational(value)
            return number if number is not None and above < number <= most else None

        allowed = phrase(
            'a number above %(low)s and up to %(high)s, as text: "1/5" or "0.2"',
            low=str(above),
            high=str(most),
        )
        return self.take(key, read, allowed, most, default)

    def day(self, key: str) -> date:
        """Read a day: a TOML date, or its text YYYY-MM-DD."""
        return self.take(key, _read_day, phrase("a date such as 2026-09-30"), date(2000, 1, 1))

    def moment(self, key: str) -> datetime:
        """Read a moment with its offset from UTC, in whole seconds; returned in UTC."""
        advice = phrase("add the offset of the clock, +08:00 in China")
        allowed = phrase("a date and time with offset, such as 2026-10-12T08:00:00+08:00")
        return self.take(key, _read_moment, allowed, datetime(2000, 1, 1, tzinfo=UTC), None, advice)

    def score(self, key: str) -> Decimal:
        """Read a score: a number, or its plain decimal text."""
        return self.take(key, read_score, phrase("a number with at most four decimal places"), Decimal(0))

    def score_range(self, key: str) -> ScoreRange:
        """Read the lowest and the highest score, as a list of two."""

        def read(value: object) -> ScoreRange | None:
            ends = [read_score(end) for end in value] if isinstance(value, list) and len(value) == 2 else []
            low, high = ends or (None, None)
            return ScoreRange(low, high) if low is not None and high is not None and low < high else None

        allowed = phrase("the lowest and the highest score, such as [0, 90]")
        return self.take(key, read, allowed, ScoreRange(Decimal(0), Decimal(1)))

    def codes(
        self, key: str, known: Iterable[str], default: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """Read a list of different codes (whole numbers are taken as their text), in the set's own order."""
        names = tuple(known)

        def read(value: object) -> tuple[str, ...] | None:
            return read_codes(value, names)

        allowed = phrase("a list of one or more different codes out of %(names)s", names=", ".join(names))
        return self.take(key, read, allowed, names[:1], default)

    def lines(self, key: str, most_lines: int, most: int) -> tuple[str, ...]:
        """Read a list of different lines of text."""

        def read(value: object) -> tuple[str, ...] | None:
            if not isinstance(value, list) or not 1 <= len(value) <= most_lines:
                return None
            lines = tuple(
                line for line in value if isinstance(line, str) and line and is_clean_text(line, most)
            )
            return lines if len(lines) == len(value) == len(set(lines)) else None

        allowed = phrase(
            "a list of 1 to %(lines)s different lines of at most %(most)s characters",
            lines=most_lines,
            most=most,
        )
        nothing: tuple[str, ...] = ()
        return self.take(key, read, allowed, nothing)

    def tables(self, key: str, most: int, least: int = 1) -> list[Mapping[str, object]]:
        """Read a list of tables ([[key]] in TOML)."""

        def read(value: object) -> list[Mapping[str, object]] | None:
            if not isinstance(value, list) or not least <= len(value) <= most:
                return None
            return value if all(isinstance(item, dict) for item in value) else None

        allowed = phrase("%(least)s to %(most)s tables headed [[%(key)s]]", least=least, most=most, key=key)
        return self.take(key, read, allowed, [], None if least else [])

    def table(self, key: str) -> Mapping[str, object]:
        """Read one table ([key] in TOML)."""

        def read(value: object) -> Mapping[str, object] | None:
            return value if isinstance(value, dict) else None

        return self.take(key, read, phrase("a table headed [%(key)s]", key=key), {})

    def subsection(self, key: str, known: Sequence[str], *, is_required: bool = True) -> "Section":
        """Begin the section of one table; one that is missing is noted once, not key by key."""
        values = self.table(key) if is_required or self.has(key) else {}
        problems = [] if self.failed(key) else self.problems
        return Section(values, known, problems, f"{self.path}{key}.")


def parse_rational(value: object) -> Fraction | None:
    """Read an exact non-negative number: text a, a/b or a.b, or a TOML number; None where it is none."""
    if type(value) is int:
        return Fraction(value) if 0 <= value < 10**9 else None
    if isinstance(value, Decimal):
        return Fraction(value) if is_score(value) and value >= 0 else None
    match = _RATIONAL.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    if match[2] is not None:
        return Fraction(int(match[1]), int(match[2])) if int(match[2]) else None
    return Fraction(Decimal(match[0]))


def encode_rational(value: Fraction) -> str:
    """Return the canonical text of an exact number: lowest terms, `1/5`; whole numbers `1`."""
    return str(value)


def encode_moment(value: datetime) -> str:
    """Return a UTC moment as `2026-10-12T00:00:00Z`."""
    return value.strftime(TIME_FORMAT)


def _read_day(value: object) -> date | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return None
    return value if type(value) is date and value.year >= 2000 else None


def _read_moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime) or value.tzinfo is None or not 2000 <= value.year <= 9000:
        return None
    moment = value.astimezone(UTC)
    return None if moment.microsecond else moment


def read_score(value: object) -> Decimal | None:
    """Read a score from a whole number, a decimal or plain decimal text; None where it is none."""
    if type(value) is int:
        value = Decimal(value)
    if isinstance(value, Decimal):
        return value if is_score(value) else None
    if not isinstance(value, str):
        return None
    try:
        return parse_score(value)
    except ValueError:
        return None


def read_codes(value: object, known: Sequence[str]) -> tuple[str, ...] | None:
    """Read a list of different codes in the set's order; None where it is none."""
    if not isinstance(value, list) or not value:
        return None
    given = [str(item) if type(item) is int and 0 <= item < 100 else item for item in value]
    if any(not isinstance(item, str) or item not in known for item in given) or len(set(given)) != len(given):
        return None
    return tuple(code for code in known if code in given)
