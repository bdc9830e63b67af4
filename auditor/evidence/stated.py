"""What people state themselves, because no log can show it: platform custody and how long what is kept.

A TOML file of texts and whole numbers; unknown keys are refused:

    controllers = "县教育局；各校"          # who decides about purposes and means
    [custody]
    admin_accounts = "…"                    # who holds bureau administrators' accounts at the platform
    export_rights_removed = "2026-08-30"    # since when nobody at the bureau can export there
    confidentiality_agreement = "…"
    deletion_certificate = "…"
    [retention]                             # whole numbers of days
    records_days = 1095
    sealed_files_days = 365
    journal_days = 3650
    vectors_days = 400
    log_days = 3650
    backups_days = 180
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final

from auditor.errors import ConfigError
from auditor.evidence.gaps import CUSTODY_TOPICS, RETENTION_TOPICS
from plan.errors import phrase

MAX_BYTES: Final = 64 * 1024
MAX_LINE_CHARS: Final = 2000  # tomllib needs quadratic time for a key of many dotted parts
MAX_CHARS: Final = 500
MAX_DAYS: Final = 36_500


def parse_stated(data: bytes) -> dict[str, str]:
    """Read the file; topic → text, in the order of the chapters.

    Raises:
        ConfigError: not TOML in UTF-8, an unknown key, or a value of another kind.
    """
    try:
        values = _load(data)
    except (ValueError, RecursionError) as err:
        raise ConfigError(phrase("statements: not TOML in UTF-8 (%(reason)s)", reason=err)) from err
    _refuse_unknown(values, ("controllers", "custody", "retention"), "statements")
    custody, retention = values.get("custody", {}), values.get("retention", {})
    _refuse_unknown(custody, CUSTODY_TOPICS, "custody")
    _refuse_unknown(retention, RETENTION_TOPICS, "retention")
    found = {"controllers": values["controllers"]} if "controllers" in values else {}
    found |= {topic: custody[topic] for topic in CUSTODY_TOPICS if topic in custody}
    texts = {topic: _text(topic, value) for topic, value in found.items()}
    return texts | {topic: _days(topic, retention[topic]) for topic in RETENTION_TOPICS if topic in retention}


def _load(data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8-sig")
    if len(data) > MAX_BYTES or max(map(len, text.split("\n"))) > MAX_LINE_CHARS:
        raise ValueError(f"at most {MAX_BYTES} bytes, and {MAX_LINE_CHARS} characters a line")
    return tomllib.loads(text)


def _refuse_unknown(values: object, names: tuple[str, ...], place: str) -> None:
    if not isinstance(values, Mapping):
        raise ConfigError(phrase("%(place)s: expected a table", place=place))
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ConfigError(
            phrase(
                "%(place)s: unknown key %(key)s; allowed are %(names)s",
                place=place,
                key=unknown[0][:40],
                names=", ".join(names),
            )
        )


def _text(topic: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CHARS:
        raise ConfigError(
            phrase("%(topic)s: expected a text of 1 to %(most)s characters", topic=topic, most=MAX_CHARS)
        )
    return value


def _days(topic: str, value: object) -> str:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_DAYS:
        raise ConfigError(
            phrase("%(topic)s: expected a whole number of days up to %(most)s", topic=topic, most=MAX_DAYS)
        )
    return str(value)
