"""The one linear combination that is opened: y less the first steps of a turnout ladder, summed over S.

At tier k a round opens Σ_S (y - w_1 - … - w_k), and an auditor returns Σ_S (M_A - M_A^(1) - … - M_A^(k)) for
each of its subsets: one vector, whatever k is. The noise that is taken out is never opened by itself, for it
would tell what is left. What is added and what is taken out are summed apart, each as fast as a sum without a
ladder, and subtracted once. At tier 0, and without a ladder, it is the plain sum.

Spec: docs/protocol.md "The turnout ladder".
"""

from collections.abc import Sequence

from crypto.errors import ParameterError
from crypto.field64 import FieldVector, check_shape, subtract
from crypto.mask_sum import MaskSum
from crypto.sharing import MAX_STEPS, add_report_masks


class TierSum:
    """A running sum, over reports, of their first vector less the next `tier` ones; memory for two vectors.

    Args:
        cells: length of every vector, at least 1.
        tier: steps that are taken out, 0 to `MAX_STEPS`.

    Raises:
        ParameterError: no cells, or no such tier.
    """

    def __init__(self, cells: int, tier: int) -> None:
        """Start with the zero vector."""
        if not 0 <= tier <= MAX_STEPS:
            raise ParameterError(f"a tier lies in 0..{MAX_STEPS}, found {tier}")
        self._cells = cells
        self._tier = tier
        self._kept = MaskSum(cells)
        self._taken_out = MaskSum(cells) if tier else None

    @property
    def num_elements(self) -> int:
        """Elements at the beginning of a report that `add_report` reads: y and the steps taken out."""
        return self._cells * (1 + self._tier)

    def add_report(self, elements: FieldVector) -> None:
        """Add one report's vectors, one behind the other: y, w_1 .. w_tier, canonical.

        Raises:
            ShapeMismatchError: another type or length; the sum is unchanged.
        """
        check_shape(elements, self.num_elements)
        self._kept.add_words(elements[: self._cells])
        if self._taken_out is not None:
            for start in range(self._cells, self.num_elements, self._cells):
                self._taken_out.add_words(elements[start : start + self._cells])

    def add_masks(self, subset: int, seeds: Sequence[bytes], round_id: bytes, n: int, t: int) -> None:
        """Add the masks of some reports' vectors from their seeds of one subset; see `add_report_masks`.

        Raises:
            ParameterError: no such subset, or a seed of another length; the sum is unchanged.
        """
        add_report_masks(self._kept, subset, seeds, round_id, n, t)
        if self._taken_out is not None:
            for step in range(1, self._tier + 1):
                add_report_masks(self._taken_out, subset, seeds, round_id, n, t, step=step)

    def value(self) -> FieldVector:
        """Return the combination so far as canonical elements, shape (cells,)."""
        total = self._kept.value()
        return total if self._taken_out is None else subtract(total, self._taken_out.value())
