"""What can be wrong with bytes that claim to be part of the protocol.

Hostile bytes raise only these (or crypto's own errors); callers catch ``ProtocolError``.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Base of everything that this room raises."""


class StatementError(ProtocolError):
    """A statement's text is not in its one canonical form."""


class BodyError(ProtocolError):
    """A statement's body is malformed or is not the one that the text names."""


class CardError(ProtocolError):
    """A federation card is malformed."""


class EnrolmentError(ProtocolError):
    """A request or grant file is malformed or not signed by the key that it names."""


class PayloadError(ProtocolError):
    """A report payload has the wrong length or does not match its header."""


class ConvertError(ProtocolError):
    """A gRPC message has a field out of its range."""


class LogFileError(ProtocolError):
    """A file that should carry the log is none, or not whole.

    Attributes:
        code: ``not-a-log-file``, ``cut-off`` or ``damaged``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class TripFileError(ProtocolError):
    """A file that should go between an auditor and its coordinator is none, or not whole.

    Attributes:
        code: ``not-a-trip-file``, ``cut-off``, ``damaged``, ``too-large``, ``no-file`` or ``not-a-file``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ManifestError(ProtocolError):
    """A bundle's MANIFEST is not in its one canonical form."""


class LedgerError(ProtocolError):
    """An entry is not a valid next entry of the log.

    Attributes:
        code: stable English word for programs, e.g. ``bad-signature``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
