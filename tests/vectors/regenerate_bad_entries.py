"""Write round_bad_entries.json: entries that may not come next after the first `after` entries of round.json.

    python tests/vectors/regenerate_bad_entries.py [--check]

Each is signed by whom it says, unless the signature is what is wrong, and has the ledger's code.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[level]) for level in (2, 1, 0)]

from fakes_federation import TinyFederation, sign_entry  # noqa: E402
from regenerate_round import WholeRound  # noqa: E402
from vector_files import made_by, main  # noqa: E402

from crypto.note import SigningKey  # noqa: E402

ONES, ZERO = "11" * 32, "00" * 32


class Entries:
    """The entries of a round, and altered ones."""

    def __init__(self, federation: TinyFederation) -> None:
        """Take the entries of a round that was played."""
        self.federation = federation
        self.entries = [entry.decode() for entry, _ in self.federation.entries]
        self.bodies = [body.decode() for _, body in self.federation.entries]
        self.types = [entry.split("/")[1] for entry in self.entries]
        self.cases: list[dict[str, Any]] = []

    def add(self, code: str, name: str, after: int, entry: str, body: str) -> None:
        """Add a case."""
        self.cases.append({"name": name, "after": after, "entry": entry, "body": body, "code": code})

    def signed(
        self,
        code: str,
        name: str,
        at: int,
        keys: Sequence[SigningKey],
        after: int | None = None,
        **lines: str,
    ) -> None:
        """Add the entry at a position with other values behind some keys, signed again."""
        text = "".join(
            f"{key} {lines[key.replace('-', '_')]}\n" if key.replace("-", "_") in lines else f"{line}\n"
            for line in self.text(at).split("\n")[:-1]
            for key in [line.split(" ")[0]]
        )
        entry = sign_entry(text, keys).decode()
        self.add(code, name, at if after is None else after, entry, self.bodies[at])

    def resigned(self, code: str, name: str, at: int, lines: Sequence[str]) -> None:
        """Add the entry at a position with other signature lines."""
        self.add(code, name, at, f"{self.text(at)}\n" + "".join(lines), self.bodies[at])

    def resigned_text(self, code: str, name: str, at: int, text: str, keys: Sequence[SigningKey]) -> None:
        """Add the entry at a position with another text, signed again."""
        if text == self.text(at):
            raise ValueError(f"{name}: nothing was changed")
        self.add(code, name, at, sign_entry(text, keys).decode(), self.bodies[at])

    def without_line(self, at: int, start: str) -> str:
        """The text of an entry without the line that starts so."""
        lines = self.text(at).splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(start))

    def swapped(self, at: int, one: str, other: str) -> str:
        """The text of an entry with two neighbouring lines the other way round."""
        lines = self.text(at).splitlines(keepends=True)
        place = next(i for i, line in enumerate(lines) if line.startswith(one))
        if not lines[place + 1].startswith(other):
            raise ValueError(f"{other} does not follow {one}")
        lines[place], lines[place + 1] = lines[place + 1], lines[place]
        return "".join(lines)

    def text(self, at: int) -> str:
        """The statement's text."""
        return self.entries[at].rpartition("\n\n")[0] + "\n"

    def signatures(self, at: int) -> list[str]:
        """The signature lines, each with its line feed."""
        return self.entries[at].rpartition("\n\n")[2].splitlines(keepends=True)


def cases() -> dict[str, Any]:
    """All cases."""
    made = Entries(WholeRound().federation)
    at = made.types.index
    coordinator, auditors = [made.federation.coordinator], list(made.federation.auditors.values())
    a1, everybody = auditors[:1], coordinator + auditors
    roster, plan, approval, report, close = 1, at("plan"), at("approval"), at("report"), at("close")
    agreement, opening, release = at("agreement"), at("opening"), at("release")

    made.signed("wrong-genesis", "genesis that the card does not pin", 0, everybody, quorum="4")
    made.signed("no-roster", "log that starts with a plan", plan, coordinator, after=0)
    signatures = made.signatures(roster)
    made.resigned("too-few-signatures", "roster signed by two auditors", roster, signatures[:3])
    made.resigned(
        "wrong-signers", "roster's signatures in another order", roster, [signatures[1], signatures[0]]
    )
    made.resigned("wrong-signers", "roster with a signature twice", roster, [signatures[0], *signatures])
    made.signed("wrong-predecessor", "roster with a gap in the serials", roster, everybody, serial="3")
    made.signed("wrong-predecessor", "roster that follows none", roster, everybody, previous=ONES)

    made.signed("wrong-signers", "plan signed by an auditor", plan, a1)
    made.signed("wrong-signers", "plan with one signature too many", plan, coordinator + a1)
    made.signed("wrong-tuple", "tuple that the roster does not allow", plan, coordinator, threshold="2")
    made.signed("wrong-plan", "fewer reports than five", plan, coordinator, min_reports="4")
    made.signed("wrong-plan", "h below 2", plan, coordinator, colluding_schools="4")
    made.signed("wrong-federation", "plan of another federation", plan, coordinator, federation="county-2")
    made.add("wrong-body", "plan with another body", plan, made.entries[plan], made.bodies[plan] + " ")

    made.signed("wrong-signers", "approval signed by another auditor", approval, auditors[1:2])
    made.signed("second-approval", "second approval", approval, a1, after=approval + 1, nonce=ONES)
    made.add("already-logged", "the same approval again", approval + 1, made.entries[approval], "")
    made.signed("no-such-round", "approval of no round", approval, a1, round=ONES)
    made.signed("wrong-roster", "approval under another roster", approval, a1, roster=ONES)
    made.add("not-approved", "report before all have approved", report - 1, made.entries[report], "")

    key = [made.federation.nodes["s1"].key(made.federation.federation)]
    made.signed("wrong-round", "report over other approvals", report, key, approvals=ONES)
    made.signed("wrong-attempt", "first report as attempt 1", report, key, attempt="1")
    made.signed("wrong-previous", "report after another", report, key, previous=ONES)
    made.signed("wrong-size", "report of another size", report, key, size="5087")
    made.signed("not-a-node", "report of a stranger", report, key, node="s9")
    made.add("too-late", "report after the candidates", close, _late_report(made, key), "")

    made.signed("wrong-log-size", "candidates at another size", at("candidates"), coordinator, log_size="1")
    made.signed("wrong-candidates", "check of other candidates", at("checked"), a1, candidates=ONES)
    made.signed("wrong-set", "close that counts wrongly", close, coordinator, reports="6")
    made.add("wrong-close", "opening before the close", close, made.entries[opening], "")
    made.signed("wrong-close", "agreement with no close", agreement, a1, close=ZERO)
    made.add("second-vote", "agreement, then abandon", agreement + 1, _abandon(made, agreement, a1), "")
    made.add("not-agreed", "opening after two agreements", agreement + 2, made.entries[opening], "")
    made.signed("wrong-draw", "opening that reveals another draw", opening, a1, draw=ONES)
    made.add("wrong-sums", "opening that lacks a sum", opening, _without_last_line(made, opening, a1), "")
    made.signed("wrong-replicas", "release that overstates replicas", release, coordinator, replicas="3")
    made.signed("wrong-release", "release with another rho", release, coordinator, rho="1/6")
    made.signed("second-release", "second release", release, coordinator, after=release + 1, status="corrupt")
    made.resigned("bad-signature", "signature of another text", release, _moved(made, release, plan))
    return {"source": made_by("regenerate_bad_entries.py"), "cases": made.cases}


def _late_report(made: Entries, keys: Sequence[SigningKey]) -> str:
    text = made.text(made.types.index("report")).replace("attempt 0\n", "attempt 1\n")
    return sign_entry(text, keys).decode()


def _abandon(made: Entries, agreement: int, keys: Sequence[SigningKey]) -> str:
    text = made.text(agreement).replace("/agreement/", "/abandon/") + "reason changed-mind\n"
    return sign_entry(text, keys).decode()


def _without_last_line(made: Entries, at: int, keys: Sequence[SigningKey]) -> str:
    lines = made.text(at).splitlines(keepends=True)
    return sign_entry("".join(lines[:-1]), keys).decode()


def _moved(made: Entries, at: int, other: int) -> list[str]:
    """The signature line of another statement by the same key."""
    assert made.signatures(at)[0].split(" ")[1] == made.signatures(other)[0].split(" ")[1]
    return made.signatures(other)


FILES = {"round_bad_entries.json": cases}

if __name__ == "__main__":
    sys.exit(main(FILES, sys.argv[1:]))
