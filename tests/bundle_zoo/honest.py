"""Honest bundles: every one must pass, apart from the checks that have nothing to look at.

Each function tells the story of one county; `HONEST` lists the bundles that are made of them. `PUBLIC` is
what a public bundle leaves out. The other skipped checks are those of a story that has not got so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bundle_zoo.county import ZooCounty
from bundle_zoo.forge import Files, History, history_of
from bundle_zoo.stories import (
    TUPLES,
    abandoned,
    attempts,
    cancelled,
    closed,
    collecting,
    corrected,
    corrupt,
    drafts,
    everything_rolled,
    extended,
    groups,
    ladder,
    large,
    late_opening,
    merged,
    no_round,
    one_round,
    partly_abandoned,
    planned,
    production,
    refused,
    refused_by_one,
    replaced,
    replayed,
    revoked,
    rolled,
    rosters,
    set_aside,
    two_years,
    unsealed,
    year,
)

PUBLIC = frozenset({"vectors", "sums", "arithmetic"})
NO_RELEASE = frozenset({"receipts", "vectors", "sums", "arithmetic", "results"})
NO_OPENING = NO_RELEASE | {"openings"}
NO_CLOSE = NO_OPENING | {"close", "votes"}
NO_CANDIDATES = NO_CLOSE | {"candidates", "checked"}
NO_REPORT = NO_CANDIDATES | {"reports", "account"}
NO_PLAN = NO_REPORT | {"plans", "approvals", "noise", "rho"}


@dataclass(frozen=True)
class Honest:
    """One honest bundle.

    Attributes:
        make: its history.
        kind: `auditor` or `public`.
        skipped: names of the checks that have nothing to look at.
        policy: changes of the default policy: (old words, new words).
        head_at: size of the log at which a checkpoint was kept; 0 for none.
    """

    make: Callable[[], History]
    kind: str
    skipped: frozenset[str]
    policy: tuple[tuple[str, str], ...] = ()
    head_at: int = 0

    def files(self) -> Files:
        """Write the bundle."""
        return self.make().settle().bundle(self.kind)

    def policy_text(self) -> str:
        """The policy that the verifier gets."""
        text = self.make().county.policy_text()
        for old, new in self.policy:
            text = text.replace(old, new)
        return text

    def head(self) -> bytes | None:
        """The checkpoint that was kept."""
        if not self.head_at:
            return None
        history = history_of(self.make().county, self.head_at)
        return history.bundle()["log/checkpoint"]


# --- stories ------------------------------------------------------------------------------------


# --- bundles ------------------------------------------------------------------------------------

HONEST: dict[str, Honest] = {}


def _add(
    name: str,
    county: Callable[[], ZooCounty],
    *,
    kinds: Sequence[str] = ("auditor", "public"),
    skipped: frozenset[str] = frozenset(),
    size: int | None = None,
    cosigners: tuple[str, ...] | None = None,
    head_at: int = 0,
    policy: tuple[tuple[str, str], ...] = (),
) -> None:
    for kind in kinds:
        out = skipped | (PUBLIC if kind == "public" else frozenset())

        def make() -> History:
            return history_of(county(), size, cosigners)

        HONEST[f"{name} {kind}"] = Honest(make, kind, out, policy, head_at)


def _fill() -> None:
    public, own = ("public",), ("auditor",)
    for name, row in TUPLES.items():
        _add(f"tuple {name}", lambda name=name: one_round(name))  # type: ignore[misc]
        if row[0] > row[1]:
            _add(f"tuple {name} one away", lambda name=name: one_round(name, ("a2",)), kinds=own)  # type: ignore[misc]
    _add("tuple 75 two away", lambda: one_round("75", ("a2", "a6")), kinds=own)
    _add("year", year, head_at=17)
    _add("year without a4", year, cosigners=("a1", "a2", "a3"), kinds=own)
    _add("year without a1", year, cosigners=("a2", "a3", "a4"), kinds=own)
    _add("year with all", year, cosigners=("a1", "a2", "a3", "a4"), kinds=public)
    _add("year up to the first release", year, size=44, kinds=own)
    _add("two years", two_years, head_at=2)
    _add("no round", no_round, skipped=NO_PLAN, kinds=public)
    _add("planned", planned, skipped=NO_REPORT, kinds=public)
    _add("collecting", collecting, skipped=NO_CANDIDATES, kinds=public)
    _add("closed", closed, skipped=NO_OPENING, kinds=public)
    _add("unsealed", unsealed, skipped=NO_RELEASE, kinds=public)
    _add("corrupt", corrupt, skipped=NO_RELEASE)
    for stage in ("planned", "collected", "checked", "closed"):
        _add(f"abandoned {stage}", lambda stage=stage: abandoned(stage), kinds=own)  # type: ignore[misc]
    _add("partly abandoned", partly_abandoned, kinds=own)
    for stage in ("planned", "collecting", "closed", "reissued"):
        _add(f"cancelled {stage}", lambda stage=stage: cancelled(stage), kinds=own)  # type: ignore[misc]
    tight = (("max-rho 1/4", "max-rho 1/8"),)  # allows plans of rho 1/10, and not those of 1/5
    for who in ((), ("a2",), ("a1", "a3", "a4")):
        for end in (False, True):
            _add(
                f"a plan too dear, {len(who)} of 4 approved{', cancelled' if end else ''}",
                lambda who=who, end=end: drafts(who, is_cancelled=end),  # type: ignore[misc]
                kinds=own,
                policy=tight,
            )
    _add(
        "a plan of a forbidden relation, 2 of 4 approved",
        lambda: drafts(("a1", "a4"), neighbouring="add-remove"),
        kinds=own,
        policy=(("tuple 4 3 1 3\n", "tuple 4 3 1 3\nforbid-relation add-remove\n"),),
    )
    _add("extended", lambda: extended(("a1", "a3", "a4")))
    _add("extended by two only", lambda: extended(("a1", "a3")), kinds=own)
    _add("extended three times", lambda: extended(("a1", "a2", "a3"), 3), kinds=own)
    _add("corrected", lambda: corrected("table", "all"))
    _add("withdrawn", lambda: corrected("withdrawn"), kinds=own)
    _add("withdrawn and replaced", lambda: corrected("table", "withdrawn", "replaced"))
    _add("rosters", rosters, head_at=12)
    for who in ("auditor", "auditors", "coordinator", "node"):
        _add(f"rolled {who}", lambda who=who: rolled(who), kinds=own, head_at=9)  # type: ignore[misc]
        _add(f"rolled {who}, a round open", lambda who=who: rolled(who, True), kinds=own)  # type: ignore[misc]
    _add("everything rolled", everything_rolled)
    _add("replaced", replaced)
    _add("revoked node", lambda: revoked("node"), kinds=own)
    _add("revoked auditor", lambda: revoked("auditor"), kinds=own)
    _add("merged", merged)
    _add("attempts", attempts, kinds=own)
    _add("refused", lambda: refused(s3="bad-box"))
    _add("refused two", lambda: refused(s3="bad-box", s7="seed-again"), kinds=own)
    _add("refused by one", refused_by_one, kinds=own)
    for reports in (5, 6, 7):
        _add(f"ladder {reports}", lambda reports=reports: ladder(reports))  # type: ignore[misc]
    _add("a small group refused", lambda: groups(is_refused=True))
    _add("replayed", lambda: replayed("PASS", "PASS", "FAIL"), kinds=own)
    _add("set aside", set_aside, kinds=own)
    _add("late opening", late_opening, kinds=own)
    _add("production", production, kinds=own)
    _add("large", large, kinds=public)
    for size in (255, 256, 257):
        _add(f"large at {size}", large, kinds=own, size=size)


_fill()
