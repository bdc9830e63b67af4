"""What a log that was held against a kept one tells: what is new in it, and how a failure reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from auditor.verify.diff import Difference, Shown
from auditor.verify.outcome import Outcome
from plan.errors import Phrase, phrase
from plan.words import PARTIES, STATEMENTS
from protos.statements import Correction, Plan, Release, Replayed, Revoke, Roster, Statement


def conclusion(found: Difference) -> Phrase:
    """Say in one sentence how a comparison came out, and what is to be done."""
    outcomes = {row.name: row.outcome for row in found.verdict.checks}
    if found.verdict.exit_code == 0:
        return phrase("the log that was kept, extended")
    if found.verdict.exit_code == 2:
        return phrase("incomplete: something could not be read; this is no proof")
    if outcomes.get("extends") is Outcome.FAIL:
        return phrase(
            "ANOTHER HISTORY, or an older state: not the log that was kept, extended. Stop, keep both, and "
            "telephone two auditors of different institutions"
        )
    return phrase(
        "NOT a log that follows the rules: stop, keep both, and telephone two auditors of different "
        "institutions"
    )


def news_lines(found: Difference) -> Iterator[Phrase]:
    """Tell rosters, plans, releases, corrections and replays one by one, and count what is many."""
    counts: Counter[tuple[str, bytes]] = Counter()
    for _position, said in found.news:
        line = _one_line(found, said)
        if line is None:
            counts[said.TYPE, getattr(said, "round", b"")] += 1
        else:
            yield line
    for (kind, round_id), number in counts.items():
        what = Phrase(STATEMENTS.get(kind, kind))
        yield phrase(
            "round %(round)s: %(number)s × %(what)s",
            round=_serial(found, round_id),
            number=number,
            what=what,
        )


def note_text(shown: Shown) -> str:
    """Write a checkpoint for a screen; signs that cannot be printed are marked."""
    text = shown.note.decode("utf-8", "replace").rstrip("\n")
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)


def _serial(found: Difference, round_id: bytes) -> str:
    rounds = found.ledger.rounds if found.ledger else {}
    return str(rounds[round_id].terms.serial) if round_id in rounds else round_id.hex()[:16]


def _one_line(found: Difference, said: Statement) -> Phrase | None:
    serial = _serial(found, getattr(said, "round", b""))
    match said:
        case Roster():
            return phrase("roster %(serial)s", serial=said.serial)
        case Revoke():
            subject = Phrase(PARTIES.get(said.subject, said.subject))
            return phrase("revoked: %(subject)s %(id)s", subject=subject, id=said.id)
        case Plan():
            return phrase("round %(serial)s: new plan", serial=said.serial)
        case Release() if said.status != "ok":
            return phrase("round %(round)s: ended as corrupt, without numbers", round=serial)
        case Release():
            return phrase(
                "round %(round)s: released, %(reports_in)s reports in, %(reports_out)s left out",
                round=serial,
                reports_in=said.reports_in,
                reports_out=said.reports_out,
            )
        case Correction() if said.status == "withdrawn":
            return phrase("round %(round)s: its release is withdrawn", round=serial)
        case Correction():
            return phrase("round %(round)s: its release is corrected", round=serial)
        case Replayed():
            return phrase(
                "round %(round)s: %(auditor)s replayed the report of %(node)s: %(outcome)s",
                round=serial,
                node=said.node,
                outcome=said.outcome,
                auditor=said.auditor,
            )
    return None
