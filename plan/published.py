"""A published plan as every reader understands it: joined, laid out, and recomputed from nothing but itself.

Nothing about privacy is taken over from the one who published: cells, noise lines and cost follow
from the plan's body and terms; `disagreements` says where the statement differs from that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

from plan.document import PlanDocument, Terms, from_published
from plan.layout import Layout, build_layout
from privacy.discrete_gaussian import Sampler

NoiseRow = tuple[str, int, int, bytes]
"""Table, scale, variance in scaled units, SHA-256 of the sampler's thresholds; with a ladder those of z_0."""

StepRow = tuple[str, int, int, bytes]
"""Table, step k of the ladder from 1, variance of w_k in scaled units, SHA-256 of its thresholds."""


class PlanStatement(Protocol):
    """What this room needs of a signed plan statement (`protos.statements.Plan` is one)."""

    @property
    def auditors(self) -> Sequence[str]:
        """Ids of the plan's auditors."""

    @property
    def threshold(self) -> int:
        """How many of them open."""

    @property
    def collude(self) -> int:
        """How many may collude with the coordinator."""

    @property
    def quorum(self) -> int:
        """How many agree."""

    @property
    def min_reports(self) -> int:
        """Fewest independent operators in S."""

    @property
    def colluding_schools(self) -> int:
        """Schools assumed to add no noise."""

    @property
    def min_group(self) -> int:
        """Fewest schools behind a combination of roster attributes."""

    @property
    def rho(self) -> Fraction:
        """The cost stated."""

    @property
    def opens(self) -> datetime:
        """Begin of the window."""

    @property
    def closes(self) -> datetime:
        """End of the window."""

    @property
    def cells(self) -> int:
        """Cells stated."""

    @property
    def noise(self) -> Sequence[NoiseRow]:
        """Noise lines stated."""

    @property
    def tiers(self) -> tuple[int, ...]:
        """m_1 .. m_L of a turnout ladder."""

    @property
    def steps(self) -> Sequence[StepRow]:
        """Noise lines of the ladder's steps."""


@dataclass(frozen=True, slots=True)
class Published:
    """A plan and what follows from it.

    Attributes:
        document: what is collected, under which terms.
        layout: where each table stands in the vector, and its noise.
        noise: the noise line that each table must have, in order.
        rho: what the round really costs a pupil (zCDP), recomputed, rounded up.
        steps: the lines of the ladder's steps, table by table; none without a ladder.
    """

    document: PlanDocument
    layout: Layout
    noise: tuple[NoiseRow, ...]
    rho: Fraction
    steps: tuple[StepRow, ...] = ()


def terms_of_statement(statement: PlanStatement) -> Terms:
    """Take the terms out of a plan's statement."""
    return Terms(
        num_auditors=len(statement.auditors),
        threshold=statement.threshold,
        collude=statement.collude,
        quorum=statement.quorum,
        min_reports=statement.min_reports,
        colluding_schools=statement.colluding_schools,
        min_group=statement.min_group,
        rho=statement.rho,
        opens=statement.opens,
        closes=statement.closes,
        tiers=statement.tiers,
    )


def read_published(statement: PlanStatement, body: bytes) -> Published:
    """Read a plan and recompute everything that follows from it.

    Raises:
        PlanError: the body is no plan that goes with these terms.
        PrivacyError: its noise cannot be sized.
    """
    return _read(terms_of_statement(statement), body)


@lru_cache(maxsize=64)
def _read(terms: Terms, body: bytes) -> Published:
    document = from_published(body, terms)
    layout = build_layout(document)
    return Published(document, layout, noise_rows(layout), layout.claimed_rho, step_rows(layout))


def noise_rows(layout: Layout) -> tuple[NoiseRow, ...]:
    """Compute the noise lines that a plan with this layout must state."""
    return tuple(
        (table.id, table.noise.scale, z_0, thresholds_sha256(z_0))
        for table in layout.tables
        for z_0 in table.noise.components[:1]
    )


def step_rows(layout: Layout) -> tuple[StepRow, ...]:
    """Compute the lines of the steps that a plan with this layout must state; none without a ladder."""
    return tuple(
        (table.id, place, s2, thresholds_sha256(s2))
        for table in layout.tables
        for place, s2 in enumerate(table.noise.steps, start=1)
    )


@lru_cache(maxsize=1024)
def thresholds_sha256(s2: int) -> bytes:
    """Recompute the digest of the sampler's thresholds for one variance (scaled units)."""
    return Sampler(s2).digest


def disagreement(statement: PlanStatement, published: Published) -> tuple[str, str] | None:
    """Find the first figure of a statement that does not follow from the plan.

    Returns:
        (code, message), None where everything agrees. Codes: wrong-cells, wrong-noise, wrong-rho.
    """
    if statement.cells != published.layout.cells:
        cells = published.layout.cells
        return "wrong-cells", f"{cells} cells follow from the plan, it says {statement.cells}"
    if len(statement.noise) != len(published.noise):
        wanted = len(published.noise)
        return "wrong-noise", f"expected {wanted} noise lines, found {len(statement.noise)}"
    for expected, found in zip(published.noise, statement.noise, strict=True):
        if expected != tuple(found):
            return (
                "wrong-noise",
                f"table {expected[0]}: scale {expected[1]} and s2 {expected[2]} with their thresholds follow "
                f"from the plan, it says {found[0]} {found[1]} {found[2]}",
            )
    if tuple(statement.steps) != published.steps:
        missing = next((row for row in published.steps if row not in statement.steps), None)
        return "wrong-noise", (
            f"table {missing[0]}, step {missing[1]}: s2 {missing[2]} and its thresholds follow from the plan"
            if missing
            else f"expected {len(published.steps)} step lines, found {len(statement.steps)}"
        )
    if published.rho > statement.rho:
        return (
            "wrong-rho",
            f"the tables cost rho {float(published.rho):.6g}, the plan says {statement.rho}",
        )
    return None
