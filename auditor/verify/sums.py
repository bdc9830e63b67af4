"""Checks of vectors, mask sums and the arithmetic between them; they need the auditor's bundle.

On a public bundle they are SKIPPED: it holds neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckFailed, CheckSkipped
from auditor.verify.round import (
    any_rounds,
    count,
    name_of,
    named_openings,
    only,
    released,
    set_of,
    sum_path,
    vector_path,
)
from crypto.field64 import FieldVector, parse_vector
from crypto.sharing import unmask
from crypto.tier_sum import TierSum
from plan.errors import Phrase, phrase
from protos.bodies import ReportName, parse_release_body
from protos.bundle import Manifest
from protos.ledger import RoundLog
from protos.statements import Opening, Release, Report


def check_vectors(log: BundleLog, manifest: Manifest | None) -> Phrase:
    """Check every masked vector of S: length, canonical elements, digest in the signed header."""
    _need_auditors_bundle(manifest)
    rounds = released(any_rounds(log, Report))
    expected = [vector_path(row.round_id, name) for row in rounds for name in set_of(row)]
    only(log, "reports", expected)
    for row in rounds:
        for _ in _vectors(log, row):
            pass
    return count(len(expected), phrase("%(number)s vectors", number=len(expected)))


def check_sums(log: BundleLog, manifest: Manifest | None) -> Phrase:
    """Check every mask sum that the release uses: length, canonical elements, digest in the opening."""
    _need_auditors_bundle(manifest)
    rounds = released(any_rounds(log, Opening))
    expected = [
        sum_path(row.round_id, auditor, subset)
        for row in rounds
        for auditor, logged in named_openings(row).items()
        for subset, _ in logged.statement.sums
    ]
    only(log, "sums", expected)
    for row in rounds:
        for _found in _sums(log, row):
            pass
    return count(len(expected), phrase("%(number)s mask sums", number=len(expected)))


def check_arithmetic(log: BundleLog, manifest: Manifest | None) -> Phrase:
    """Add the masked vectors of S and the masks, and compare with the released sums cell by cell."""
    _need_auditors_bundle(manifest)
    number = 0
    for row in released(any_rounds(log, Release)):
        total = TierSum(row.terms.cells, row.close.statement.tier if row.close else 0)
        for _, vector in _vectors(log, row):
            total.add_report(vector[: total.num_elements])
        masks: dict[int, FieldVector] = {}
        for _, subset, encoded in _sums(log, row):
            masks.setdefault(subset, encoded)
        opened = unmask(total.value(), [masks[subset] for subset in row.subsets])
        released_sums = [value for table in parse_release_body(_release_body(row)) for value in table.sums]
        if opened.tolist() != released_sums:
            raise CheckFailed(
                phrase(
                    "%(row)s: vectors and masks add up to another result than the release", row=name_of(row)
                )
            )
        number += len(released_sums)
    return count(number, phrase("%(number)s cells", number=number))


def _need_auditors_bundle(manifest: Manifest | None) -> None:
    if manifest is None:
        raise CheckSkipped(phrase("the MANIFEST cannot be read"))
    if manifest.kind != "auditor":
        raise CheckSkipped(phrase("a public bundle has no vectors and no mask sums"))


def _release_body(row: RoundLog) -> bytes:
    return row.release.body if row.release else b""


def _vectors(log: BundleLog, row: RoundLog) -> Iterator[tuple[ReportName, FieldVector]]:
    for name in set_of(row):
        path = vector_path(row.round_id, name)
        data = log.files.read(path)
        if hashlib.sha256(data).digest() != row.reports[(name.node, name.attempt)].statement.vector:
            raise CheckFailed(phrase("%(path)s: not the vector that the school signed", path=path))
        yield name, parse_vector(data, row.terms.num_elements)


def _sums(log: BundleLog, row: RoundLog) -> Iterator[tuple[str, int, FieldVector]]:
    for auditor, logged in named_openings(row).items():
        for subset, sum_digest in logged.statement.sums:
            path = sum_path(row.round_id, auditor, subset)
            data = log.files.read(path)
            if hashlib.sha256(data).digest() != sum_digest:
                raise CheckFailed(phrase("%(path)s: not the sum that the opening names", path=path))
            yield auditor, subset, parse_vector(data, row.terms.cells)


SUM_CHECKS: tuple[tuple[str, Callable[[BundleLog, Manifest | None], Phrase]], ...] = (
    ("vectors", check_vectors),
    ("sums", check_sums),
    ("arithmetic", check_arithmetic),
)
