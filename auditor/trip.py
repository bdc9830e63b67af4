"""One trip of an auditor without a network: read the county's file, do what can be done, write the answer.

Order and rules:

1. The file on the stick is whole, is for this auditor of this federation, and is not older than what this
   auditor has seen. An old file of the same log is refused as old; a file of another history goes to the
   mirror, which keeps its checkpoint as evidence.
2. The log is followed, then a person may sign rosters, plans and deadlines (`auditor.cli_offline`), then the
   same `Desk` as with a connection takes one pass: cosign, check, agree or abandon, open.
3. The answer is written last, whole or not at all. Everything once-only is in its slot by then: a trip that
   broke off is made again and gives the same bytes.
4. Whoever wants the vectors for a bundle signs a fresh key, to which the county seals them; the key is
   forgotten with the bundle written.

Spec: docs/air-gapped.md; ADR 25.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from auditor import watch as watching
from auditor.bundle_write import write_bundle
from auditor.config import AuditorConfig, AuditorFolder, read_config
from auditor.desk import Desk, Event
from auditor.durable import Durable, ignore_durable, replace_durably
from auditor.errors import AuditorError, MirrorError, RefusalError, StateError
from auditor.file_link import FileLink
from auditor.resend import answered_rounds, resend_opening
from auditor.signing import stored_entry
from auditor.state import SlotKind
from crypto.checkpoint import parse_checkpoint
from crypto.errors import CryptoError
from crypto.note import parse_note
from crypto.sealing import ROUND_SECRET_BYTES, round_public_key
from plan.errors import Phrase, PhraseError, parse_phrase, phrase
from protos.bundle import Manifest
from protos.errors import ProtocolError, TripFileError
from protos.stick import from_auditor_path, open_on_stick, to_auditor_path
from protos.trip_file import TO_AUDITOR, TO_COORDINATOR, TripFile, TripHead, write_trip
from protos.trip_records import Told, sign_trip_key

TRIP_KEY = "trip-key"  # record of the state: the secret of a key that was asked with; empty once it served
_DAMAGE = {
    "no-file": phrase(
        "there is no such file on the stick; the county writes it with 'fedscreen coordinator offline trip'"
    ),
    "not-a-file": phrase("a link, a folder or a pipe stands in its place; take a clean stick"),
    "too-large": phrase("it is larger than any file that the county writes"),
    "not-a-trip-file": phrase("it is not one that 'fedscreen coordinator offline trip' wrote"),
    "cut-off": phrase(
        "it was not copied completely; copy it again, and unmount the stick before you pull it"
    ),
    "damaged": phrase("it is damaged; copy it again from where it was written"),
}


@dataclass(slots=True)
class Trip:
    """A trip that has begun: the county's file is read, the log followed.

    Attributes:
        desk: this auditor, on the file instead of a connection.
        link: collects what goes back.
        head: whose file it was, and when it was written.
        told: what became of the answer before.
        num_new: log entries that this file has brought.
        answer_path: where the answer will be written.
    """

    desk: Desk
    link: FileLink
    head: TripHead
    told: tuple[Told, ...]
    num_new: int
    answer_path: Path
    _durable: Durable = field(default=ignore_durable, repr=False)

    @property
    def refused(self) -> tuple[Told, ...]:
        """What the county has not taken of the answer before."""
        return tuple(row for row in self.told if not row.is_taken)

    def ask_for_vectors(self) -> None:
        """Ask for the vectors and sums of released rounds, sealed to a key that lives until the bundle."""
        context, state = self.desk.context, self.desk.state
        with state.locked():
            secret = state.record(TRIP_KEY) or b""
            if len(secret) != ROUND_SECRET_BYTES:
                secret = context.entropy(ROUND_SECRET_BYTES)
                state.replace_record(TRIP_KEY, secret)
        own = context.ledger.roster.body.auditor(context.id) if context.ledger.size else None
        if own is None:
            raise RefusalError("not-rostered", phrase("the roster in force does not list this auditor"))
        signer = context.keys.statement_for(own.statement)
        key = round_public_key(secret)
        self.link.ask_for_vectors(sign_trip_key(self.head.federation, context.id, key, signer))

    def finish(self) -> list[Event]:
        """Take the desk's one pass and write the answer; gives what was done.

        Raises:
            MirrorError: the log must not be followed any further; no answer is written.
        """
        self._send_visits()
        try:
            events = self.desk.step(passes=1)
        except MirrorError:
            raise
        except (AuditorError, ProtocolError) as err:  # what is signed already still goes out
            words = phrase("%(name)s: %(reason)s", name=type(err).__name__, reason=err)
            events = [Event("error", None, words, False)]
        self._write_answer()
        return events

    def send_answers_again(self) -> None:
        """Put stored openings and sums into the answer once more, where the county has lost them."""
        context = self.desk.context
        with self.desk.state.locked():
            for round_id in answered_rounds(context):
                resend_opening(context, round_id)

    def _send_visits(self) -> None:
        """Put into the answer what was signed about visits to schools and does not stand in the log yet."""
        state, ledger = self.desk.state, self.desk.context.ledger
        with state.locked():
            for slot in state.slots_of(SlotKind.REPLAYED):
                with suppress(StateError):  # a damaged slot sends nothing, and stops nothing else
                    signed = stored_entry(state, SlotKind.REPLAYED, slot)
                    if signed is not None and signed.digest not in ledger.entries_digest:
                        self.link.submit_statement(signed.entry, signed.body)

    def _write_answer(self) -> None:
        context, stream = self.desk.context, io.BytesIO()
        head = TripHead(TO_COORDINATOR, self.head.federation, context.id, context.now())
        write_trip(stream, head, self.link.answer)
        replace_durably(self.answer_path, stream.getvalue(), "answer", self._durable)

    def write_bundle(self, out: Path, *, is_public: bool = False) -> Manifest:
        """Write a bundle out of log, vectors and sums of this file; forget the trip key."""
        state = self.desk.state
        with state.locked():
            manifest = write_bundle(self.desk.context, out, is_public=is_public)
            if not is_public and state.record(TRIP_KEY):
                state.replace_record(TRIP_KEY, b"")
        return manifest


def reason_of(told: Told) -> Phrase:
    """Read why the county has not taken something: a phrase, or words that are shown as they are."""
    try:
        return parse_phrase(told.message)
    except PhraseError:
        return phrase("%(text)s", text=told.message)


def printable(text: str) -> str:
    """Leave out of the county's words what a terminal might act upon."""
    return "".join(sign for sign in text if sign.isprintable())


@contextmanager
def open_trip(folder: AuditorFolder, stick: Path) -> Iterator[Trip]:
    """Open an auditor's folder on the county's file of a stick, check the file, follow the log.

    Raises:
        RefusalError: no file, not whole, another party's, or older than what this auditor has seen.
        MirrorError, ConfigError, StateError, LinkError: as with a connection.
    """
    config = read_config(folder)
    path = to_auditor_path(stick, config.id)
    with _whole_file(path) as file:
        verify_head(file.head, config, path)
        link = FileLink(file, _trip_secret(folder))
        yield begin_trip(watching.open_desk(folder, config, link), file, link, stick)


def begin_trip(
    desk: Desk, file: TripFile, link: FileLink, stick: Path, durable: Durable = ignore_durable
) -> Trip:
    """Check that a file is not older than what a desk has seen; follow its log.

    Raises:
        RefusalError: it is older.
    """
    verify_not_old(desk, link)
    answer_path = from_auditor_path(stick, desk.context.id)
    return Trip(desk, link, file.head, link.told(), desk.sync(), answer_path, durable)


@contextmanager
def _whole_file(path: Path) -> Iterator[TripFile]:
    try:
        stream = open_on_stick(path)
    except TripFileError as err:
        raise _bad_file(path, err) from err
    with stream:
        try:
            file = TripFile(stream)
        except TripFileError as err:
            raise _bad_file(path, err) from err
        yield file


def _bad_file(path: Path, err: TripFileError) -> RefusalError:
    return RefusalError(err.code, phrase("%(path)s: %(what)s", path=path, what=_DAMAGE[err.code]))


def verify_head(head: TripHead, config: AuditorConfig, path: Path) -> None:
    """Refuse a file that is somebody else's.

    Raises:
        RefusalError: another federation's, another auditor's, or an answer to a coordinator.
    """
    if head.whom != TO_AUDITOR:
        raise _wrong(path, "wrong-way", phrase("it is an answer for the county, not a file from it"))
    if head.federation != config.federation:
        words = phrase(
            "it is of federation %(found)s, this auditor belongs to %(expected)s",
            **_pair(head.federation, config.federation),
        )
        raise _wrong(path, "wrong-federation", words)
    if head.auditor != config.id:
        words = phrase("it is for auditor %(found)s, this is %(expected)s", **_pair(head.auditor, config.id))
        raise _wrong(path, "wrong-auditor", words)


def _pair(found: str, expected: str) -> dict[str, str]:
    return {"found": found, "expected": expected}


def _wrong(path: Path, code: str, words: Phrase) -> RefusalError:
    return RefusalError(code, phrase("%(path)s: %(what)s", path=path, what=words))


def verify_not_old(desk: Desk, link: FileLink) -> None:
    """Refuse a file that shows less of the same log than this auditor has seen: an old one is no rollback.

    Another history passes here on purpose: the mirror refuses it and keeps its checkpoint as evidence.

    Raises:
        RefusalError: it is older.
    """
    ledger = desk.mirror.ledger
    size, root = _claimed(link.log.latest)
    is_same_log = size == 0 or (size < ledger.size and ledger.root(size) == root)
    if size < ledger.size and is_same_log:
        raise RefusalError(
            "old-file",
            phrase(
                "the file shows %(size)s entries of the log, this auditor has seen %(seen)s: it is an older "
                "one; take the newest from the county",
                size=size,
                seen=ledger.size,
            ),
        )


def _claimed(latest: bytes) -> tuple[int, bytes]:
    if not latest:
        return 0, b""
    try:
        checkpoint = parse_checkpoint(parse_note(latest).text)
    except CryptoError as err:
        raise MirrorError(phrase("the coordinator's checkpoint is damaged or wrongly signed")) from err
    return checkpoint.size, checkpoint.root


def _trip_secret(folder: AuditorFolder) -> bytes:
    try:
        secret = (folder.state / TRIP_KEY).read_bytes()
    except FileNotFoundError:
        return b""
    if secret and len(secret) != ROUND_SECRET_BYTES:
        raise StateError(
            phrase(
                "%(path)s: damaged; remove it and make a trip with --bundle again",
                path=folder.state / TRIP_KEY,
            )
        )
    return secret
