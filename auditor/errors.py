"""What an auditor refuses, and what can go wrong with its own files.

Every error of this room is an ``AuditorError``. Messages name the place, what was expected,
what was found and what to do; never a key, a seed, a mask or a school's number.
"""

from __future__ import annotations

from plan.errors import Phrase, PhrasedError, phrase, phrase_of

Message = Phrase | Exception | str


class AuditorError(PhrasedError):
    """Base of everything that this room raises."""


class ConfigError(AuditorError):
    """auditor.toml is missing, has an unknown key or a value out of range."""


class KeyFileError(AuditorError):
    """A key file is missing, has the wrong length or does not belong to this auditor."""


class StateError(AuditorError):
    """The durable state is damaged or contradicts what was asked."""


class BusyError(StateError):
    """Another process of this auditor holds the state's lock."""


class SlotTakenError(StateError):
    """A once-only slot already holds other bytes than the ones offered."""


class AbstainError(StateError):
    """This state did not approve the round (restored copy, lost instance): it signs nothing more for it."""


class PolicyError(AuditorError):
    """The policy file is malformed; the message gives its line."""


class RefusalError(AuditorError):
    """Something proposed is against this auditor's policy or the protocol's rules.

    Attributes:
        code: stable English word for programs, e.g. ``max-rho``.
    """

    def __init__(self, code: str, message: Message) -> None:
        super().__init__(phrase("%(code)s: %(message)s", code=code, message=phrase_of(message)))
        self.code = code


class MirrorError(AuditorError):
    """The local copy of the log is damaged, or the log served is invalid."""


class SplitViewError(MirrorError):
    """The log served contradicts what this auditor has already seen or signed: a rollback or a fork."""


class NotReadyError(AuditorError):
    """A step's precondition is not met yet; asking again later is right."""


class CheckError(AuditorError):
    """The coordinator handed out boxes, vectors or sums that are not the logged ones."""


class LinkError(AuditorError):
    """The coordinator cannot be reached or refused a call.

    Attributes:
        code: stable English word, e.g. ``unavailable``.
        is_temporary: whether the same call may succeed later.
    """

    def __init__(self, code: str, message: Message, *, is_temporary: bool) -> None:
        super().__init__(phrase("%(code)s: %(message)s", code=code, message=phrase_of(message)))
        self.code = code
        self.is_temporary = is_temporary


class EvidenceError(AuditorError):
    """An evidence pack cannot be made of this log, or a package that one of its forms needs is missing."""


class BundleError(AuditorError):
    """A bundle cannot be written: something that belongs into it is not there."""
