"""From a release's model to the bytes of a file. Writers are loaded only when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from coordinator.errors import ReportError
from coordinator.reports.material import Material
from paper.document import Document
from paper.errors import PaperError
from paper.speech import speech_of
from plan.errors import phrase
from results.facts import InstitutionFacts
from results.report_model import ReportModel

KINDS: Final[Mapping[str, str]] = {
    "xlsx": ".xlsx",
    "csv.zip": ".csv.zip",
    "json": ".json",
    "html": ".html",
    "pdf": ".pdf",
    "docx": ".docx",
}
"""Kinds of files and how their names end: workbook, its tables twice, and the brief three times."""


def render(
    model: ReportModel,
    kind: str,
    language: str,
    *,
    conditions: Sequence[InstitutionFacts] = (),
) -> bytes:
    """Write a release as a file.

    Args:
        model: of one release, narrowed to the release class that the file is for; with its comparison.
        kind: a key of `KINDS`.
        language: `zh_CN` or `en`.
        conditions: what schools typed about themselves; shown in a workbook of the class 内部 only.

    Returns:
        The file; the same arguments give the same bytes (of pdf and docx: with the same fonts installed).

    Raises:
        ReportError: another kind or language, or a package that the kind needs is not installed.
    """
    if kind not in KINDS:
        raise ReportError(
            phrase(
                "kind of report: expected one of %(kinds)s, found '%(found)s'",
                kinds=", ".join(KINDS),
                found=kind[:20],
            )
        )
    try:
        material = Material(model, speech_of(language), tuple(conditions))
        return _ENCODERS[kind](_document(material, kind))
    except PaperError as err:
        raise ReportError(err.phrase) from err


def _document(material: Material, kind: str) -> Document:
    if kind in ("xlsx", "csv.zip", "json"):
        from coordinator.reports.workbook import make_workbook

        return make_workbook(material)
    from coordinator.reports.brief import make_brief

    return make_brief(material)


def _xlsx(document: Document) -> bytes:
    from coordinator.reports.xlsx import encode_xlsx

    return encode_xlsx(document)


def _csvs(document: Document) -> bytes:
    from coordinator.reports.csvs import encode_csvs

    return encode_csvs(document)


def _json(document: Document) -> bytes:
    from coordinator.reports.json_file import encode_json

    return encode_json(document)


def _html(document: Document) -> bytes:
    from paper.html import encode_html

    return encode_html(document)


def _pdf(document: Document) -> bytes:
    from paper.pdf import encode_pdf

    return encode_pdf(document)


def _docx(document: Document) -> bytes:
    from paper.docx import encode_docx

    return encode_docx(document)


_ENCODERS: Final[Mapping[str, Callable[[Document], bytes]]] = {
    "xlsx": _xlsx,
    "csv.zip": _csvs,
    "json": _json,
    "html": _html,
    "pdf": _pdf,
    "docx": _docx,
}
