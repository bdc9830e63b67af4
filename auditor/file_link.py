"""The coordinator as an auditor without a network reaches it: `auditor.link` over a file on a stick.

What the coordinator wrote is read where a call would ask for it; what a call would send is kept until the
answer is written. Rules:

1. Nothing here is believed: `Mirror` and the steps check log, proposals, boxes, vectors and sums exactly as
   they check the answers of calls, and every once-only statement stands in its slot before it gets here.
2. A call that the file has no answer for is refused with what to do; nothing is made up.
3. What was submitted twice stands in the answer once; of two cosignatures of one size the later.

The position of a statement is not known before the county has it: -1 stands for that. ADR 25.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from auditor.errors import LinkError
from crypto.errors import CryptoError
from crypto.sealing import RoundKey, load_round_key, open_box
from plan.errors import Phrase, phrase
from protos import trip_records as records
from protos.convert import LogPage, Proposal
from protos.errors import ConvertError, TripFileError
from protos.trip_file import TO_AUDITOR, Parts, Record, TripFile, TripHead, write_trip

NOT_KNOWN_YET = -1


class FileLink:
    """`auditor.link.CoordinatorLink` over one trip file.

    Args:
        file: what the coordinator wrote for this auditor, whole and of this federation.
        trip_secret: opens vectors and sums, if this auditor has asked for them; else empty.

    Raises:
        LinkError: the file does not begin with where its part of the log begins.
    """

    def __init__(self, file: TripFile, trip_secret: bytes = b"") -> None:
        self._file = file
        self._secret = trip_secret
        self._loaded: RoundKey | None = None
        self._cosignatures: dict[int, Parts] = {}
        self._answer: list[Record] = []
        with _reading():
            heads = [records.parse_log(parts) for parts in file.parts(records.LOG)]
        if len(heads) != 1:
            raise _refuse("malformed", phrase("the file does not say where its part of the log begins"))
        self.log = heads[0]

    @property
    def answer(self) -> tuple[Record, ...]:
        """What goes back to the coordinator: cosignatures first, the rest in the order of submission."""
        cosigned = ((records.COSIGNATURE, parts) for _, parts in sorted(self._cosignatures.items()))
        return (*cosigned, *self._answer)

    def told(self) -> tuple[records.Told, ...]:
        """Read what the coordinator says became of the answer before."""
        with _reading():
            return tuple(records.parse_told(parts) for parts in self._file.parts(records.TOLD))

    # --- in ---------------------------------------------------------------------------------------

    def get_log(self, start: int, max_entries: int) -> LogPage:
        """Read the log from a position on."""
        first = self.log.start
        if start < first:
            raise _refuse(
                "log-gap",
                phrase(
                    "the file's part of the log begins with entry %(first)s, this auditor has %(size)s "
                    "entries; ask the county for a file with the whole log (without --from)",
                    first=first,
                    size=start,
                ),
            )
        with _reading():
            found = self._file.parts(records.ENTRY, start - first, start - first + max_entries)
            entries = tuple(records.parse_entry_record(parts) for parts in found)
        return LogPage(start, entries, self.log.latest, self.log.cosigned)

    def list_proposals(self) -> Sequence[Proposal]:
        """List the rosters that wait for signatures."""
        with _reading():
            return tuple(records.parse_proposal_record(row) for row in self._file.parts(records.PROPOSAL))

    def get_boxes(self, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Stream this auditor's sealed boxes of a round."""
        with _reading():
            found = False
            for parts in self._file.parts(records.BOX):
                of_round, report, box = records.parse_box_record(parts)
                if of_round == round_id:
                    found = True
                    yield report, box
        if not found:
            raise _not_on_stick(round_id)

    def get_vectors(self, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Stream the masked vectors of the closed set, opened with the trip key."""
        with _reading():
            found = False
            for parts in self._file.parts(records.VECTOR):
                of_round, report, sealed = records.parse_vector_record(parts)
                if of_round == round_id:
                    found = True
                    yield report, self._opened(records.VECTOR, parts, sealed)
        if not found:
            raise _not_on_stick(round_id)

    def get_sums(self, round_id: bytes) -> Iterator[tuple[str, int, bytes]]:
        """Stream the mask sums of a released round, opened with the trip key."""
        with _reading():
            for parts in self._file.parts(records.SUM):
                of_round, auditor, subset, sealed = records.parse_sum_record(parts)
                if of_round == round_id:
                    yield auditor, subset, self._opened(records.SUM, parts, sealed)

    def _opened(self, kind: int, parts: Parts, sealed: bytes) -> bytes:
        head = self._file.head
        info = records.seal_info(head.federation, head.auditor, kind, parts[:-1])
        try:
            return open_box(self._key(), sealed, info)
        except CryptoError as err:
            raise _refuse(
                "not-sealed-for-us",
                phrase(
                    "the vectors in this file are sealed to another key than this auditor's present one; "
                    "make a trip with --bundle again"
                ),
            ) from err

    def _key(self) -> RoundKey:
        if self._loaded is None:
            self._loaded = load_round_key(self._secret)
        return self._loaded

    # --- out --------------------------------------------------------------------------------------

    def submit_cosignature(self, size: int, line: str) -> None:
        """Keep a cosignature for the answer."""
        self._cosignatures[size] = records.cosignature_parts(size, line)

    def sign_roster(self, digest: bytes, line: str) -> bool:
        """Keep a roster signature for the answer; it is not logged yet."""
        self._keep(records.ROSTER_LINE, (digest, line.encode()))
        return False

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        """Keep a signed statement for the answer."""
        return self._keep(records.STATEMENT, (entry, body))

    def submit_opening(self, entry: bytes, sums: Sequence[bytes]) -> int:
        """Keep an opening with its sums for the answer."""
        return self._keep(records.OPENING, (entry, *sums))

    def ask_for_vectors(self, key_record: Parts) -> None:
        """Put this auditor's signed trip key into the answer: the next file then brings vectors and sums."""
        self._keep(records.KEY, key_record)

    def _keep(self, kind: int, parts: Parts) -> int:
        if (kind, parts) not in self._answer:
            self._answer.append((kind, parts))
        return NOT_KNOWN_YET


def empty_link(federation: str, auditor: str, kind: type[FileLink] = FileLink) -> FileLink:
    """Make a link to nobody, for looking at what this auditor has; `kind` may say so when it is asked."""
    stream, head = io.BytesIO(), TripHead(TO_AUDITOR, federation, auditor, datetime.fromtimestamp(0, UTC))
    write_trip(stream, head, [(records.LOG, records.log_parts(records.LogHead(0, b"", b"")))])
    return kind(TripFile(stream))


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (ConvertError, TripFileError) as err:
        raise _refuse(
            "malformed", phrase("the coordinator's file is malformed (%(reason)s)", reason=err)
        ) from err


def _not_on_stick(round_id: bytes) -> LinkError:
    return _refuse(
        "not-on-stick",
        phrase(
            "the file holds nothing for this step of round %(round)s; go on with the next file of the county",
            round=round_id.hex()[:16],
        ),
    )


def _refuse(code: str, words: Phrase) -> LinkError:
    return LinkError(code, words, is_temporary=False)
