"""Everything that the county's side can refuse, one class for each cause.

Callers catch ``CoordinatorError``. Every class carries a stable English ``code`` for programs;
messages name ids, sizes and steps, never a key, a seed, a count of pupils or a vector.
``service.py`` maps each class to its gRPC status in one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from plan.errors import Phrase, PhrasedError
from protos.errors import ConvertError

Message = Phrase | Exception | str


class Explained(Protocol):
    """Something wrong that has a phrase."""

    @property
    def phrase(self) -> Phrase:
        """What is wrong, in words."""


class CoordinatorError(PhrasedError):
    """Base of everything that this room raises on purpose."""

    code: ClassVar[str] = "coordinator"


class ConfigError(CoordinatorError):
    """coordinator.toml is missing, malformed or has a value out of its range."""

    code = "config"


class StoreError(CoordinatorError):
    """The database is missing, locked, or not what this version writes."""

    code = "store"


class SchemaVersionError(StoreError):
    """The database was written by another version of the schema."""

    code = "schema-version"


class StoreAwayError(StoreError):
    """The database server cannot be reached; what was asked for may be asked again."""

    code = "store-away"


class ExtraMissingError(CoordinatorError):
    """This needs an optional part of the installation."""

    code = "extra-missing"


class BackupError(CoordinatorError):
    """A backup cannot be made or read, or does not fit this folder."""

    code = "backup"


class LogRolledBackError(StoreError):
    """The log was published or signed further, or otherwise, than the database has it: a restored backup."""

    code = "log-rolled-back"


class CertificateError(CoordinatorError):
    """A certificate or a signing request cannot be used."""

    code = "certificate"


class EnrolmentRefusedError(CoordinatorError):
    """A request file is malformed, of another federation, or not signed by its own key."""

    code = "enrolment-refused"


class AlreadyEnrolledError(EnrolmentRefusedError):
    """This id was enrolled with other keys."""

    code = "already-enrolled"


class TokenRefusedError(EnrolmentRefusedError):
    """A token is unknown, expired, used by other keys, or for another school."""

    code = "token-refused"


class RosterError(CoordinatorError):
    """A roster cannot be proposed from what is enrolled."""

    code = "roster"


class RosterUnchangedError(RosterError):
    """A new roster would be the one in force."""

    code = "roster-unchanged"


class NoGenesisError(RosterError):
    """The federation has no genesis roster in the log yet."""

    code = "no-genesis"


class UnknownProposalError(RosterError):
    """No roster with this digest waits for signatures."""

    code = "unknown-proposal"


class SignatureRefusedError(CoordinatorError):
    """A signature line is not a valid one of the caller's key over these bytes."""

    code = "signature-refused"


class PlanRefusedError(CoordinatorError):
    """A plan does not fit the roster in force or the rules for its parameters."""

    code = "plan-refused"


class RosterWaitsError(PlanRefusedError):
    """A plan does not fit the roster in force, and another roster waits for the auditors' signatures."""

    code = "roster-waits"


class UnknownRoundError(CoordinatorError):
    """The log has no plan with this round id."""

    code = "unknown-round"


class NotRosteredError(CoordinatorError):
    """The caller is not in the roster that this needs, or was revoked."""

    code = "not-rostered"


class CallerError(CoordinatorError):
    """The caller's certificate is missing, expired, or not for a party of this federation."""

    code = "caller"


class WrongRoleError(CoordinatorError):
    """The call is for another role than the caller's certificate says."""

    code = "wrong-role"


class RevokedError(NotRosteredError):
    """The caller was revoked in the log; nothing is answered any more."""

    code = "revoked"


class CertificateDeniedError(CallerError):
    """The caller's certificate is denied by its serial: a newer one took its place, or it was stolen."""

    code = "certificate-denied"


class DrainingError(CoordinatorError):
    """This process is about to stop; the same call to another one, or a little later, succeeds."""

    code = "draining"


class TooManyCallsError(CoordinatorError):
    """The caller calls more often, or more at once, than its role may."""

    code = "too-many-calls"


class QuotaUsedError(CoordinatorError):
    """The caller has sent as many bytes as its role may within an hour."""

    code = "quota-used"


class IdentityMismatchError(CoordinatorError):
    """A statement names somebody else than the certificate that it came under."""

    code = "identity-mismatch"


class ReportRefusedError(CoordinatorError):
    """A report is malformed: length, digest, signature or header."""

    code = "report-refused"


class ReportLengthError(ReportRefusedError):
    """A report payload has another length than the plan fixes."""

    code = "report-length"


class ElementRangeError(ReportRefusedError):
    """A vector holds an element that is not canonical (>= p)."""

    code = "element-range"


class RoundNotOpenError(CoordinatorError):
    """Reports are not taken yet: approvals are missing or the window has not begun."""

    code = "round-not-open"


class RoundExpiredError(CoordinatorError):
    """The plan's window has ended."""

    code = "round-expired"


class RoundClosedError(CoordinatorError):
    """The candidates stand in the log; no further report counts."""

    code = "round-closed"


class AlreadyReportedError(CoordinatorError):
    """Other bytes stand in the log for this round, node and attempt."""

    code = "already-reported"


class StatementRefusedError(CoordinatorError):
    """The log's rules refuse a statement.

    Attributes:
        reason: the ledger's own code, e.g. ``bad-signature``.
    """

    code = "statement-refused"

    def __init__(self, message: Message, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class AlreadyStatedError(CoordinatorError):
    """The auditor has logged another statement in the same once-only slot."""

    code = "already-stated"


class OpeningRefusedError(CoordinatorError):
    """Mask sums do not match the opening that commits to them."""

    code = "opening-refused"


class SchoolsMissingError(CoordinatorError):
    """An early close would leave out schools that have not reported.

    Attributes:
        nodes: their ids.
    """

    code = "schools-missing"

    def __init__(self, message: Message, nodes: tuple[str, ...]) -> None:
        super().__init__(message)
        self.nodes = nodes


class TooFewReportsError(CoordinatorError):
    """Fewer schools than the plan's floor would be in the set."""

    code = "too-few-reports"


class GroupTooSmallError(CoordinatorError):
    """A combination of public school attributes holds too few schools of the set."""

    code = "group-too-small"


class NotYetAgreedError(CoordinatorError):
    """The step needs a quorum of agreements first."""

    code = "not-yet-agreed"


class ReplicaMismatchError(CoordinatorError):
    """Auditors that hold the same seeds returned different sums, and no majority decides.

    Attributes:
        auditors: ids whose replicas disagree.
    """

    code = "replica-mismatch"

    def __init__(self, message: Message, auditors: tuple[str, ...]) -> None:
        super().__init__(message)
        self.auditors = auditors


class NotReleasedError(CoordinatorError):
    """The round has no release yet."""

    code = "not-released"


class WithdrawnError(CoordinatorError):
    """The release was withdrawn: its numbers must not be used any more."""

    code = "withdrawn"


class RoundEndedError(CoordinatorError):
    """The round is over, or too far on, for what is asked."""

    code = "round-ended"


class HasReportsError(CoordinatorError):
    """Schools have reported, so the round cannot be reissued with another plan."""

    code = "has-reports"


class ExtensionRefusedError(CoordinatorError):
    """A later deadline is not one that the rules allow."""

    code = "extension-refused"


class YearRefusedError(PlanRefusedError):
    """The plans of a school year do not go together: they cost too much, or ask the same twice."""

    code = "year-refused"


class NotOpenedError(CoordinatorError):
    """The caller has not logged its opening, so the masked vectors stay here."""

    code = "not-opened"


class NotCosignedError(CoordinatorError):
    """The log has no checkpoint with a quorum of cosignatures that would cover what is asked for."""

    code = "not-cosigned"


class FileError(CoordinatorError):
    """A file that a command was given, or asked to write, cannot be used."""

    code = "file"


class BoxesDeletedError(CoordinatorError):
    """The round was released and its sealed boxes are deleted."""

    code = "boxes-deleted"


class VectorsDeletedError(CoordinatorError):
    """The time for keeping the round's masked vectors is over and they are deleted."""

    code = "vectors-deleted"


class FsckError(CoordinatorError):
    """A published log folder is not whole.

    Attributes:
        problems: one phrase for each thing that is wrong.
        findings: the same in English.
    """

    code = "fsck"

    def __init__(self, problems: tuple[Phrase, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems
        self.findings = tuple(str(problem) for problem in problems)


class ReportError(CoordinatorError):
    """A report of results cannot be written in this form, of this round, or for this release class."""

    code = "report"


class FactsRefusedError(CoordinatorError):
    """A school's facts or a progress statement cannot be saved; nothing was.

    Attributes:
        problems: at least one; each says where, what was found and what is allowed.
    """

    code = "facts-refused"

    def __init__(self, problems: Sequence[Explained]) -> None:
        named = [(f"p{place}", problem.phrase) for place, problem in enumerate(problems)]
        super().__init__(Phrase("\n".join(f"%({name})s" for name, _ in named), tuple(named)))
        self.problems = tuple(problems)


def code_of(err: Exception) -> str:
    """Give the stable word of an error: its class's, `malformed` for bytes, `internal` for the unforeseen."""
    if isinstance(err, CoordinatorError):
        return err.code
    return "malformed" if isinstance(err, ConvertError) else "internal"
