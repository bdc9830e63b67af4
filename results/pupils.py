"""Sets of pupils that indicators count, said in the codes of the record: who they are, whatever tables say.

A population consists of pieces, disjoint sets of pupils, mostly one; each piece may be described in several
wordings, of which a plan's tables need to know only one. `Population.within` narrows it to pupils of given
codes, so that a number per stage or level is of the same pupils as the total.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plan.populations import Selection
from results.estimates import Estimate
from results.estimator import Estimator
from results.release import Release

JOIN = "+"
"""Joins the codes of a key that stands for several."""

Pieces = tuple[tuple[Selection, ...], ...]


@dataclass(frozen=True, slots=True)
class Population:
    """A set of pupils.

    Attributes:
        name: zh.
        pieces: disjoint sets of pupils; of each, every way in which a plan's tables may describe it.
    """

    name: str
    pieces: Pieces

    def within(self, keys: Mapping[str, str]) -> Pieces:
        """Return those of its pupils who have the given codes; no piece where nobody can have them."""
        chosen = {name: frozenset(code.split(JOIN)) for name, code in keys.items()}
        narrowed = ([_narrow(choice, chosen) for choice in piece] for piece in self.pieces)
        kept = (tuple(choice for choice in piece if choice is not None) for piece in narrowed)
        return tuple(piece for piece in kept if piece)

    @property
    def dims(self) -> frozenset[str]:
        """Every dimension that one of its wordings names."""
        return frozenset(name for piece in self.pieces for choice in piece for name in choice)


def population(name: str, *wordings: Mapping[str, str]) -> Population:
    """Name a set of pupils in one or several wordings; codes are separated by blanks."""
    return Population(name, (tuple(map(_selection, wordings)),))


def union(name: str, *pieces: Mapping[str, str]) -> Population:
    """Name the union of disjoint sets of pupils, each in one wording."""
    return Population(name, tuple((_selection(piece),) for piece in pieces))


def find_cells(
    estimator: Estimator, people: Population, keys: Mapping[str, str], prefer: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Find the cells that count the pupils of a population who have the given codes.

    Args:
        prefer: as for `Estimator.find`.

    Returns:
        Ids of tables and positions in the vector, as `Estimator.find`; both empty if no table says.
    """
    found = [estimator.find(piece, prefer) for piece in people.within(keys)]
    if not all(cells for _, cells in found):
        return (), ()
    sources = dict.fromkeys(name for names, _ in found for name in names)
    shared = tuple(name for name in sources if all(name in names for names, _ in found))
    return shared or tuple(sources), tuple(sorted(cell for _, cells in found for cell in cells))


def estimate(
    release: Release, people: Population, keys: Mapping[str, str], prefer: Sequence[str] = ()
) -> Estimate | None:
    """Estimate how many pupils of a population have the given codes, or None if no table says."""
    sources, cells = find_cells(release.estimator, people, keys, prefer)
    return Estimate(release, cells, sources) if cells else None


def _selection(codes: Mapping[str, str]) -> Selection:
    return {name: frozenset(text.split()) for name, text in codes.items()}


def _narrow(choice: Selection, chosen: Mapping[str, frozenset[str]]) -> Selection | None:
    """Add codes to a wording; None if its own codes leave nobody."""
    met = {name: codes & frozenset(choice.get(name, codes)) for name, codes in chosen.items()}
    return {**choice, **met} if all(met.values()) else None
