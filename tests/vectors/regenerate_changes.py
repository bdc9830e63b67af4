"""Write changes.json: a log in which a deadline moves, a round is ended and replaced, a release is withdrawn.

    python tests/vectors/regenerate_changes.py [--check]

`entries` may come one after another; `closes` says which deadline of the first round is in force after so
many of them; each of `refused` may not come after the first `after` entries, and has the ledger's code.
"""

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[level]) for level in (2, 1, 0)]

from fakes_federation import CLOSES, ZERO, TinyFederation, sign_entry  # noqa: E402
from vector_files import made_by, main  # noqa: E402

from crypto.note import SigningKey  # noqa: E402
from protos.card import encode_card  # noqa: E402
from protos.errors import LedgerError  # noqa: E402
from protos.fields import TIME  # noqa: E402
from protos.statements import (  # noqa: E402
    Abandon,
    Cancel,
    Correction,
    Extended,
    Extension,
    Statement,
    encode_statement,
)

DAY = timedelta(days=1)


class Changes:
    """Two rounds whose plans are changed, and what may not come at each point."""

    def __init__(self) -> None:
        """Play the log."""
        self.made = TinyFederation()
        self.made.join()
        self.refused: list[dict[str, Any]] = []
        self.closes: list[list[Any]] = []
        self.first, self.second = self.made.publish(), self.made.publish()
        self._deadline()
        self._end()
        self._release()
        self._corrections()

    def say(self, statement: Statement, name: str = "coordinator") -> bytes:
        """Append a statement without a body."""
        return self.made.add(statement, b"", [self._key(name)])

    def _key(self, name: str) -> SigningKey:
        return self.made.coordinator if name == "coordinator" else self.made.auditors[name]

    def refuse(self, name: str, statement: Statement, signer: str = "coordinator") -> None:
        """Note a statement that may not come now, with its code."""
        entry = sign_entry(encode_statement(statement), [self._key(signer)])
        try:
            self.made.ledger.check(entry, b"")
        except LedgerError as err:
            row = {"name": name, "after": self.made.ledger.size, "entry": entry.decode(), "code": err.code}
            self.refused.append(row)
            return
        raise ValueError(f"{name}: is taken")

    def note_deadline(self) -> None:
        """Note the first round's deadline as it is now."""
        self.closes.append([self.made.ledger.size, TIME.encode(self.made.round(self.first).closes)])

    def _deadline(self) -> None:
        wish = Extension("county-1", self.first, 1, CLOSES + 7 * DAY, "schools-missing")
        self.refuse("a deadline before the approvals", wish)
        self.made.approve(self.first)
        self.refuse("a deadline that is not later", replace(wish, closes=CLOSES))
        self.refuse("a deadline after 61 days", replace(wish, closes=CLOSES + 61 * DAY))
        self.refuse("the second wish first", replace(wish, serial=2))
        self.refuse("an auditor asks", wish, "a1")
        self.refuse("a grant of nothing", Extended("county-1", self.first, "a1", ZERO), "a1")
        digest = self.say(wish)
        self.refuse("a grant in another's name", Extended("county-1", self.first, "a1", digest), "a2")
        for name in ("a1", "a2"):
            self.say(Extended("county-1", self.first, name, digest), name)
        self.refuse("a grant twice", Extended("county-1", self.first, "a1", digest), "a1")
        self.note_deadline()
        newer = self.say(replace(wish, serial=2, closes=CLOSES + 9 * DAY))
        self.refuse("a grant of an older wish", Extended("county-1", self.first, "a3", digest), "a3")
        for name in ("a4", "a3", "a1"):
            self.note_deadline()
            self.say(Extended("county-1", self.first, name, newer), name)
        self.note_deadline()

    def _end(self) -> None:
        end = Cancel("county-1", self.second, ZERO, ZERO, "reissued")
        self.refuse("an end by an auditor", end, "a1")
        self.refuse("replaced by an earlier round", replace(end, successor=self.first))
        self.refuse("an end that names a close", replace(end, close=self.first))
        third = self.made.publish()
        self.say(replace(end, successor=third))
        self.refuse("an end twice", replace(end, reason="other"))
        approval = self.made.approval("a1", self.second)
        self.refuse("an approval after the end", approval, "a1")
        self.say(Abandon("county-1", self.second, "a1", ZERO, "cancelled"), "a1")

    def _release(self) -> None:
        made, first = self.made, self.first
        for node in made.nodes:
            made.report(node, first)
        end = Cancel(
            "county-1", first, ZERO, made.round(self.second).changes.cancel.statement.successor, "reissued"
        )  # type: ignore[union-attr]
        self.refuse("replaced although there are reports", end)
        made.fix_candidates(first)
        wish = Extension("county-1", first, 3, CLOSES + 20 * DAY, "holiday")
        self.refuse("a deadline after the candidates", wish)
        names = sorted(made.auditors)
        for name in names:
            made.check(name, first)
        made.close(first)
        for name in names:
            made.agree(name, first)
        for name in names:
            made.open_(name, first)
        self.refuse("a correction before the release", self._correction(release=ZERO))
        made.release(first)
        close = made.round(first).close
        late = Cancel("county-1", first, close.digest if close else ZERO, ZERO, "other")
        self.refuse("an end after the release", late)

    def _correction(self, **changes: Any) -> Correction:
        row = self.made.round(self.first)
        said = row.changes.corrections
        found = Correction(
            federation="county-1",
            round=self.first,
            release=row.release.digest if row.release else ZERO,
            previous=said[-1].digest if said else ZERO,
            status="corrected",
            tables=(),
            successor=ZERO,
            reason="wrong-records",
        )
        return replace(found, **changes)

    def _corrections(self) -> None:
        table = self.made.round(self.first).terms.noise_lines[0].table
        self.refuse("a correction of another release", self._correction(release=self.first))
        self.refuse("a correction without the one before it", self._correction(previous=self.first))
        self.refuse("a table that the plan has not", self._correction(tables=("Z9",)))
        self.refuse("a withdrawal of one table", self._correction(status="withdrawn", tables=(table,)))
        self.refuse("replaced by a round without a release", self._correction(successor=self.second))
        self.refuse("a correction by an auditor", self._correction(), "a1")
        self.say(self._correction(tables=(table,)))
        self.refuse("the chain broken", self._correction(previous=ZERO, reason="other"))
        self.say(self._correction(status="withdrawn"))
        self.refuse("a withdrawal taken back", self._correction())
        self.refuse("withdrawn twice", self._correction(status="withdrawn", reason="other"))

    def value(self) -> dict[str, Any]:
        """What the file holds."""
        return {
            "source": made_by("regenerate_changes.py"),
            "card": encode_card(self.made.card),
            "first": self.first.hex(),
            "ended": self.second.hex(),
            "entries": [
                {"entry": entry.decode(), "body": body.decode()} for entry, body in self.made.entries
            ],
            "closes": self.closes,
            "standing": self.made.round(self.first).changes.standing,
            "refused": self.refused,
        }


FILES = {"changes.json": lambda: Changes().value()}

if __name__ == "__main__":
    sys.exit(main(FILES, sys.argv[1:]))
