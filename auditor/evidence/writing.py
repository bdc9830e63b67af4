"""Write a pack: documents, evidence.json, what it was made from, a MANIFEST of digests, in one new folder.

| file | |
| --- | --- |
| `<profile>.zh-CN.docx`, `.pdf`, `.html`; `<profile>.en.…` | for people; the same facts in each |
| `evidence.json` | the facts, canonical JSON |
| `checkpoint.txt` | the newest checkpoint as signed: keep it, next year's pack begins with it (`--since`) |
| `policy.txt`, `statements.toml`, `since.txt` | copies of what was given |
| `bundle/` | only if the pack was made from an auditor's folder: the public bundle that was checked |
| `MANIFEST` | `sha256sum --check MANIFEST` |

The same inputs give the same bytes (of a pdf: with the same fonts).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from auditor.errors import EvidenceError
from auditor.evidence.documents import PROFILES, make_document
from auditor.evidence.facts import Facts
from auditor.evidence.gaps import NOT_MET, failures_of, open_points_of
from auditor.evidence.gather import Source, gather
from auditor.evidence.mlps3_controls import RETENTION_DAYS, span_days
from auditor.evidence.sources import BUNDLE_FOLDER, Inputs
from auditor.evidence.values import encode_values
from auditor.evidence.wording import ALGORITHMS, SOURCES
from paper.document import Document
from paper.errors import PaperError
from paper.speech import CHINESE, ENGLISH, speech_of
from plan.errors import phrase

FORMATS: Final = ("html", "pdf", "docx")
LANGUAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "zh": (CHINESE,),
    "en": (ENGLISH,),
    "both": (CHINESE, ENGLISH),
}
MANIFEST: Final = "MANIFEST"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        profile: a key of `documents.PROFILES`.
        year: the calendar year at the county.
        languages: of `paper.speech.LANGUAGES`.
        formats: of `FORMATS`.
        made_on: day on the pack, `YYYY-MM-DD`; empty for that of the newest cosignature.
    """

    profile: str
    year: int
    languages: Sequence[str] = (CHINESE, ENGLISH)
    formats: Sequence[str] = FORMATS
    made_on: str = ""


def make_pack(source: Source, request: Request) -> tuple[Facts, dict[str, bytes]]:
    """Make the files of a pack; writes nothing.

    Returns:
        The facts, and path → content of documents, evidence.json and checkpoint.txt.

    Raises:
        EvidenceError: a package that a form needs is not installed, or no font.
    """
    facts = gather(source, request.year, request.made_on)
    files = {"evidence.json": evidence_bytes(facts, request.profile), "checkpoint.txt": source.checkpoint}
    for language in request.languages:
        speech = speech_of(language)
        document = make_document(facts, request.profile, speech)
        for name in request.formats:
            files[f"{request.profile}.{speech.tag}.{name}"] = _encode(document, name)
    return facts, files


def evidence_bytes(facts: Facts, profile: str) -> bytes:
    """Write the facts and what is derived from them as canonical JSON."""
    return encode_values(
        {
            "profile": profile,
            "facts": facts,
            "failures": failures_of(facts),
            "open_points": open_points_of(facts),
            "not_met": NOT_MET,
            "sources_of_law": SOURCES,
            "algorithms": ALGORITHMS,
            "log_retention_days_asked": RETENTION_DAYS,
            "days_between_checkpoints": span_days(facts),
            "delta": "10^-6",
            "utc_offset_hours": 8,
            "bet_blind_percent": 50,
            "bet_of": 100,
            "num_checks": len(facts.verification.checks),
            "num_checks_passed": sum(row.outcome == "PASS" for row in facts.verification.checks),
            "num_rounds": len(facts.rounds),
            "num_schools": len(facts.schools),
            "num_entry_types_of_year": len(facts.entries_of_year),
            "num_entries_of_year": sum(row.number for row in facts.entries_of_year),
            "num_key_changes": len(facts.key_changes),
            "num_rosters": len(facts.rosters),
            "num_visits": len(facts.visits),
            "num_replays_of_year": sum(row.is_of_year for row in facts.replays),
        }
    )


def _encode(document: Document, name: str) -> bytes:
    try:
        return _ENCODERS[name](document)
    except PaperError as err:
        raise EvidenceError(phrase("%(name)s: %(reason)s", name=name, reason=err)) from err


def _html(document: Document) -> bytes:
    from paper.html import encode_html

    return encode_html(document)


def _pdf(document: Document) -> bytes:
    from paper.pdf import encode_pdf

    return encode_pdf(document)


def _docx(document: Document) -> bytes:
    from paper.docx import encode_docx

    return encode_docx(document)


_ENCODERS: Final[Mapping[str, Callable[[Document], bytes]]] = {"html": _html, "pdf": _pdf, "docx": _docx}


def with_inputs(files: Mapping[str, bytes], inputs: Inputs) -> dict[str, bytes]:
    """Add copies of what the pack was made from."""
    given = {"policy.txt": inputs.policy, "statements.toml": inputs.stated, "since.txt": inputs.kept}
    return {**files, **{name: path.read_bytes() for name, path in given.items() if path is not None}}


def write_pack(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files and the MANIFEST into the pack's folder, which the caller has made.

    The MANIFEST names `bundle/MANIFEST`, too, which names every file of the bundle.
    """
    listed = dict(files)
    bundle = folder / BUNDLE_FOLDER / MANIFEST
    if bundle.is_file():
        listed[f"{BUNDLE_FOLDER}/{MANIFEST}"] = bundle.read_bytes()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / MANIFEST).write_text(manifest_text(listed), encoding="ascii", newline="\n")


def manifest_text(files: Mapping[str, bytes]) -> str:
    """Write the list of digests as `sha256sum` reads it, ascending by path."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))


def check_request(request: Request) -> None:
    """Check names before anything is read.

    Raises:
        EvidenceError: another profile or form.
    """
    if request.profile not in PROFILES or not set(request.formats) <= set(FORMATS):
        raise EvidenceError(
            phrase(
                "profiles are %(profiles)s, formats are %(formats)s",
                profiles=", ".join(PROFILES),
                formats=", ".join(FORMATS),
            )
        )
