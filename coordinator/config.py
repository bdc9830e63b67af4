"""The coordinator's one TOML file, read once into a frozen value.

Unknown keys are refused, defaults are safe (loopback, production), and there is no secret in
it: keys are files of their own beside it. Limits of callers, connections and calls are its table
``[limits]`` (``coordinator.limits``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from coordinator.admin_http import is_loopback
from coordinator.errors import ConfigError
from coordinator.limits import Limits
from crypto.errors import CryptoError
from crypto.replication import validate_parameters
from plan.errors import Phrase, phrase

FILE_NAME = "coordinator.toml"
MAX_FILE_BYTES = 64 * 1024
MAX_UNIT_CHARS = 60
MAX_LINE_CHARS = 1000  # tomllib needs quadratic time for a key of many dotted parts
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
_DATABASE = re.compile(
    r"postgresql\+psycopg://(?:[^:@/\s]*@)?[^@/\s]*/[^/@?#\s]+(?:\?(?!.*password)[^\s#]*)?\Z"
)
_HOST_PORT = re.compile(r"(?:\[[0-9a-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}\Z")

Seconds = Annotated[float, Field(ge=0, le=31_536_000)]
Parties = Annotated[tuple[int, int, int, int], Field(strict=False)]


class Config(BaseModel):
    """Everything that one coordinator is told.

    Attributes:
        federation: id of the federation, part of every key name.
        unit: the county's name in words, for reports and pages; the federation's id when empty.
        kind: ``demo`` federations may use (1, 1) and are marked as such in every card.
        listen: host:port of the gRPC server; loopback unless told otherwise.
        address: host:port that nodes and auditors are given; `listen` when empty.
        server_name: DNS name in the server's certificate, which clients check.
        quorum: auditors needed for rosters, agreements and cosigned checkpoints.
        tuples: (n, t, f, q) that plans may use.
        tick_s: how often every round is looked at.
        check_grace_s: how long a close waits for the remaining auditors after q have checked.
        open_grace_s: how long the combination waits for more than t openings.
        school_bound: pupils a school may have at most where the roster gives no ``pupils``
            attribute; only the corruption check of the opened sum uses it.
        threads: gRPC worker threads; so many reports can at most share one flush to disk.
        drain_s: how long calls in flight may finish on SIGTERM.
        drain_notice_s: how long the process answers "not serving" before it closes its port, so
            that whoever spreads calls over several processes sees it in time.
        max_connection_age_s: how long a connection may be open.
        admin_listen: host:port for health and metrics over HTTP; loopback only, nothing when empty.
        enrol_listen: host:port of enrolment online, with the server's certificate alone; empty for none.
        enrol_address: host:port that invitations name for it; `enrol_listen` when empty.
        share_port: whether other coordinator processes on this machine may listen on the same port
            (SO_REUSEPORT); the kernel spreads connections over them.
        reflection: whether gRPC tells callers which methods there are.
        log_format: one line of ``json`` an event, or of ``text``.
        limits: see ``coordinator.limits``.
        database: PostgreSQL's address, ``postgresql+psycopg://user@host/name``, without a password; empty for
            a SQLite file in the folder.
        keep_vectors_days: how long a released round's masked vectors and mask sums are kept for its audit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)

    federation: str
    unit: str = ""
    kind: Literal["production", "demo"] = "production"
    listen: str = "127.0.0.1:50080"
    address: str = ""
    server_name: str = "coordinator.fedscreen.internal"
    quorum: Annotated[int, Field(ge=1, le=7)] = 3
    tuples: Annotated[tuple[Parties, ...], Field(min_length=1, max_length=16, strict=False)] = ((4, 3, 1, 3),)
    tick_s: Annotated[float, Field(gt=0, le=3600)] = 1.0
    check_grace_s: Seconds = 3600.0
    open_grace_s: Seconds = 3600.0
    school_bound: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000
    threads: Annotated[int, Field(ge=1, le=256)] = 16
    drain_s: Seconds = 10.0
    drain_notice_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    database: str = ""
    keep_vectors_days: Annotated[int, Field(ge=0, le=36_500)] = 400
    max_connection_age_s: Annotated[float, Field(ge=1, le=31_536_000)] = 3600.0
    admin_listen: str = ""
    enrol_listen: str = ""
    enrol_address: str = ""
    share_port: bool = False
    reflection: bool = False
    log_format: Literal["json", "text"] = "json"
    limits: Limits = Limits()

    @field_validator("federation")
    @classmethod
    def _check_federation(cls, value: str) -> str:
        if not _ID.match(value):
            raise ValueError("expected a-z 0-9 . _ - (at most 63, beginning with a letter or digit)")
        return value

    @field_validator("unit")
    @classmethod
    def _check_unit(cls, value: str) -> str:
        if value and not (len(value) <= MAX_UNIT_CHARS and value.isprintable() and value.strip() == value):
            raise ValueError("expected 1 to 60 visible characters")
        return value

    @field_validator("admin_listen")
    @classmethod
    def _check_admin(cls, value: str) -> str:
        host = value.rpartition(":")[0]
        if value and not (_HOST_PORT.match(value) and is_loopback(host)):
            raise ValueError("expected host:port of this machine alone")
        return value

    @field_validator("listen", "address", "admin_listen", "enrol_listen", "enrol_address")
    @classmethod
    def _check_address(cls, value: str) -> str:
        if value and not (_HOST_PORT.match(value) and int(value.rpartition(":")[2]) <= 65535):
            raise ValueError("expected host:port")
        return value

    @field_validator("server_name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", value):
            raise ValueError("expected a DNS name in lower case")
        return value

    @field_validator("database")
    @classmethod
    def _check_database(cls, value: str) -> str:
        if value and not _DATABASE.match(value):
            raise ValueError("expected postgresql+psycopg://user@host/name, without a password")
        return value

    @field_validator("tuples")
    @classmethod
    def _check_tuples(cls, value: tuple[Parties, ...]) -> tuple[Parties, ...]:
        for parties in value:
            try:
                validate_parameters(*parties)
            except CryptoError as err:
                raise ValueError(str(err)) from err
        return value

    @property
    def public_enrol_address(self) -> str:
        """The host:port to write into invitations; empty where there is no enrolment online."""
        return self.enrol_address or self.enrol_listen

    @property
    def public_address(self) -> str:
        """The host:port to write into grants."""
        return self.address or self.listen


def parse_config(data: bytes, place: str = FILE_NAME) -> Config:
    """Read coordinator.toml; a UTF-8 byte-order mark is tolerated.

    Raises:
        ConfigError: names the key, what is allowed, and the file.
    """
    try:
        values = _load_toml(data)
    except (ValueError, RecursionError) as err:  # also a number of too many digits
        raise ConfigError(
            phrase("%(place)s: not a UTF-8 TOML file (%(reason)s); mend that line", place=place, reason=err)
        ) from err
    try:
        config = Config.model_validate(values)
    except ValidationError as err:
        raise ConfigError(phrase("%(place)s: %(reason)s", place=place, reason=_first_problem(err))) from err
    if config.kind == "production" and any(parties[0] == 1 for parties in config.tuples):
        raise ConfigError(
            phrase('%(place)s: tuples: one auditor alone is allowed only with kind = "demo"', place=place)
        )
    return config


def _load_toml(data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8-sig")
    if len(data) > MAX_FILE_BYTES or max(map(len, text.split("\n"))) > MAX_LINE_CHARS:
        raise ValueError(f"at most {MAX_FILE_BYTES} bytes, and {MAX_LINE_CHARS} characters a line")
    return tomllib.loads(text)


_EXPECTED: Mapping[str, Phrase] = {
    "federation": phrase("a short name of a-z 0-9 . _ -"),
    "unit": phrase("a name of 1 to %(most)s visible characters", most=MAX_UNIT_CHARS),
    "kind": phrase("one of %(names)s", names="production, demo"),
    "listen": phrase("host:port"),
    "address": phrase("host:port"),
    "enrol_listen": phrase("host:port"),
    "enrol_address": phrase("host:port"),
    "server_name": phrase("a DNS name in lower case"),
    "quorum": phrase("a whole number from %(low)s to %(high)s", low=1, high=7),
    "tuples": phrase("(3, 3, 2, 3), (4, 3, 1, 3), (5, 4, 2, 4), (7, 5, 2, 5) or another safe choice"),
    "admin_listen": phrase("host:port with a loopback host, e.g. %(example)s", example="127.0.0.1:50081"),
    "reflection": phrase("one of %(names)s", names="true, false"),
    "share_port": phrase("one of %(names)s", names="true, false"),
    "log_format": phrase("one of %(names)s", names="json, text"),
    "limits": phrase("a number in the range that docs/county-service.md gives"),
    "database": phrase(
        "postgresql+psycopg://user@host:port/name without a password; that belongs into "
        "keys/database.password or ~/.pgpass"
    ),
    "keep_vectors_days": phrase("a whole number from %(low)s to %(high)s", low=0, high=36_500),
    "school_bound": phrase("a whole number from %(low)s to %(high)s", low=1, high=1_000_000),
    "threads": phrase("a whole number from %(low)s to %(high)s", low=1, high=256),
}
_SECONDS = phrase("seconds, as a number in range")


def _first_problem(err: ValidationError) -> Phrase:
    """Say what is wrong with the first wrong key; its value is not repeated."""
    problem = err.errors(include_input=False, include_context=False, include_url=False)[0]
    first = str(problem["loc"][0])
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known = Limits.model_fields if first == "limits" else Config.model_fields
        return phrase("%(key)s: an unknown key; allowed are %(names)s", key=key, names=", ".join(known))
    return phrase("%(key)s: expected %(expected)s", key=key, expected=_EXPECTED.get(first, _SECONDS))


def load_config(directory: Path) -> Config:
    """Read the file of one coordinator's folder.

    Raises:
        ConfigError: the file is missing or wrong.
    """
    path = directory / FILE_NAME
    try:
        data = path.read_bytes()
    except OSError as err:
        raise ConfigError(
            phrase("%(path)s: cannot be read; run 'fedscreen coordinator init' first", path=path)
        ) from err
    return parse_config(data, str(path))


def encode_config(config: Config) -> bytes:
    """Write a config as TOML; `parse_config` reads it back to an equal value."""
    lines = ["# One county's coordinator. See 'fedscreen coordinator --help'."]
    values = config.model_dump(exclude={"limits"})
    lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
    limits = config.limits.model_dump(exclude_defaults=True)  # the others follow the program
    lines += ["", "[limits]", *(f"{key} = {_toml(value)}" for key, value in limits.items())] if limits else []
    return ("\n".join(lines) + "\n").encode()


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
