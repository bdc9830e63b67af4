"""What a node's processes outside the vault refuse, and what to do about it.

As in `node.vault.errors`, a message and an advice are English %-templates over `details`, so that
whoever shows them can translate first and fill in afterwards. Nothing in `details` is a share, a
seed, a key, a passphrase, a pupil's id or a count of pupils.
"""

from __future__ import annotations

from typing import ClassVar

# Exit codes of every `fedscreen node` process.
EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_CONFINEMENT = 70
EXIT_STORE = 71
EXIT_UNREACHABLE = 75

Detail = str | int | list[str]
PHRASE_SUFFIX = ".phrase"  # the entry beside `name` in `details` that holds a phrase to be translated


def _(message: str) -> str:
    """Mark a message for the translation catalogue; the command line translates it."""
    return message


class NodeError(Exception):
    """Base of everything that a node's processes refuse.

    Attributes:
        code: stable English word for programs.
        message: template of one sentence: place, expected, found.
        advice: template of one sentence: what to do next.
        details: what the templates need; JSON values only.
    """

    CODE: ClassVar[str] = "node"
    EXIT: ClassVar[int] = EXIT_REFUSED

    def __init__(
        self,
        message: str,
        advice: str = "",
        *,
        code: str = "",
        details: dict[str, Detail] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or self.CODE
        self.message = message
        self.advice = advice
        self.details: dict[str, Detail] = dict(details or {})

    def __str__(self) -> str:
        """Fill the English templates."""
        parts = [
            part % self.details if self.details else part for part in (self.message, self.advice) if part
        ]
        return f"{self.code}: " + " ".join(parts)


class FrameError(NodeError):
    """Bytes on a pipe are not a frame, or not one that may come this way."""

    CODE = "frame"


class ConfigError(NodeError):
    """node.toml is missing, malformed, or says something that is not allowed."""

    CODE = "config"


class UnlockError(NodeError):
    """The database key cannot be unwrapped."""

    CODE = "unlock"


class ConfinementError(NodeError):
    """The wall does not stand as it should; the process ends with exit code 70."""

    CODE = "confinement"
    EXIT = EXIT_CONFINEMENT


class SuperviseError(NodeError):
    """The two sides of the wall cannot be started or kept running."""

    CODE = "supervise"


class LinkError(NodeError):
    """The egress cannot be set up: certificate, key or address."""

    CODE = "link"


class SessionError(NodeError):
    """A command's vault ended before it answered."""

    CODE = "session"


class BackupError(NodeError):
    """A backup or a recovery file cannot be written, or not be opened."""

    CODE = "backup"


class VaultRefusal(NodeError):
    """The vault's own refusal, as a command sees it: code, message, advice and details."""

    CODE = "vault"
