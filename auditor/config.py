"""auditor.toml: one frozen value, read once; unknown keys are refused.

Layout of an auditor's directory (secrets are files in `keys/`, readable by the owner only):

    auditor.toml   this configuration
    policy.txt     what this auditor signs (auditor.policy)
    old-policies/  the policies before, 0001.txt … (auditor.policy_edit)
    card.txt       the federation card, pinned at `join`
    keys/          statement.key, cosigner.key, tls.key, tls.crt, ca.crt
    mirror/        full copy of the log (auditor.mirror)
    state/         once-only slots, round secrets, mask sums: outside every backup (auditor.state)
    bundles/       what `bundle` writes
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.durable import make_private_directory, replace_durably
from auditor.errors import ConfigError
from plan.errors import Phrase, phrase

MAX_FILE_BYTES = 64 * 1024
MAX_LINE_CHARS = 1000  # tomllib needs quadratic time for a key of many dotted parts
ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
_ID = Annotated[str, Field(pattern=ID_PATTERN)]
_WORD = Annotated[str, Field(pattern=r"^[^\s\x00-\x1f\"\\]{0,253}$")]


_EXPECTED: Mapping[str, Phrase] = {
    "federation": phrase("a short name of a-z 0-9 . _ -"),
    "id": phrase("a short name of a-z 0-9 . _ -"),
    "operator": phrase(
        "one line of %(least)s to %(most)s characters without quotation marks", least=1, most=200
    ),
    "is_outside": phrase("true or false"),
    "address": phrase("host:port"),
    "server_name": phrase("a DNS name"),
    "poll_s": phrase("a number from %(low)s to %(high)s", low="0.05", high=86_400),
    "timeout_s": phrase("a number from %(low)s to %(high)s", low="0.1", high=600),
    "keep_keys_days": phrase("a whole number from %(low)s to %(high)s", low=0, high=3650),
}


class AuditorConfig(BaseModel):
    """What one auditor's processes need to know.

    Attributes:
        address: the coordinator's ``host:port``; empty before `join`.
        server_name: the name in the coordinator's certificate.
        poll_s: pause between two rounds of work of `watch`, in seconds.
        timeout_s: limit of one call to the coordinator, in seconds.
        keep_keys_days: days after a plan's `closes` when an unopened round's keys are destroyed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    federation: _ID
    id: _ID
    operator: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f\"\\]+$")]
    is_outside: bool = False
    address: _WORD = ""
    server_name: _WORD = ""
    poll_s: Annotated[float, Field(ge=0.05, le=86_400)] = 2.0
    timeout_s: Annotated[float, Field(ge=0.1, le=600)] = 20.0
    keep_keys_days: Annotated[int, Field(ge=0, le=3650)] = 60


@dataclass(frozen=True, slots=True)
class AuditorFolder:
    """Where everything of one auditor lies."""

    root: Path

    @property
    def config(self) -> Path:
        """auditor.toml."""
        return self.root / "auditor.toml"

    @property
    def policy(self) -> Path:
        """policy.txt."""
        return self.root / "policy.txt"

    @property
    def old_policies(self) -> Path:
        """Folder of the policies before the one in force."""
        return self.root / "old-policies"

    @property
    def card(self) -> Path:
        """card.txt."""
        return self.root / "card.txt"

    @property
    def keys(self) -> Path:
        """Folder of key files."""
        return self.root / "keys"

    @property
    def mirror(self) -> Path:
        """Folder of the log's copy."""
        return self.root / "mirror"

    @property
    def state(self) -> Path:
        """Folder of slots, secrets and sums."""
        return self.root / "state"


def first_problem(err: ValidationError) -> Phrase:
    """Say what is wrong with the first wrong key; its value is not repeated."""
    problem = err.errors(include_url=False, include_input=False, include_context=False)[0]
    key = str(problem["loc"][0])
    if key not in _EXPECTED:
        return phrase("%(key)s: an unknown key; allowed are %(names)s", key=key, names=", ".join(_EXPECTED))
    return phrase("%(key)s: expected %(expected)s", key=key, expected=_EXPECTED[key])


def parse_config(data: bytes) -> AuditorConfig:
    """Read auditor.toml.

    Raises:
        ConfigError: not TOML in UTF-8 (a BOM is tolerated), an unknown key, a value out of range.
    """
    try:
        return AuditorConfig.model_validate(_load_toml(data))
    except ValidationError as err:
        raise ConfigError(phrase("auditor.toml: %(problem)s", problem=first_problem(err))) from err
    except (ValueError, RecursionError) as err:  # also a number of too many digits
        raise ConfigError(
            phrase("auditor.toml: not TOML in UTF-8 (%(reason)s); mend or restore the file", reason=err)
        ) from err


def _load_toml(data: bytes) -> dict[str, Any]:
    text = data.decode("utf-8-sig")
    if len(data) > MAX_FILE_BYTES or max(map(len, text.split("\n"))) > MAX_LINE_CHARS:
        raise ValueError(f"at most {MAX_FILE_BYTES} bytes, and {MAX_LINE_CHARS} characters a line")
    return tomllib.loads(text)


def encode_config(config: AuditorConfig) -> bytes:
    """Write auditor.toml; the inverse of `parse_config`."""
    lines = []
    for key, value in config.model_dump().items():
        if isinstance(value, bool):
            lines.append(f"{key} = {'true' if value else 'false'}")
        elif isinstance(value, str):
            lines.append(f'{key} = "{value}"')  # the patterns above exclude quotes and backslashes
        else:
            lines.append(f"{key} = {value}")
    return ("\n".join(lines) + "\n").encode()


def read_config(folder: AuditorFolder) -> AuditorConfig:
    """Read the configuration of a directory.

    Raises:
        ConfigError: there is none, or it is malformed.
    """
    try:
        return parse_config(folder.config.read_bytes())
    except FileNotFoundError as err:
        raise ConfigError(
            phrase("%(config)s: not found; run 'fedscreen auditor init' first", config=folder.config)
        ) from err


def write_config(folder: AuditorFolder, config: AuditorConfig) -> None:
    """Replace the configuration of a directory."""
    make_private_directory(folder.root)
    replace_durably(folder.config, encode_config(config), "config")
