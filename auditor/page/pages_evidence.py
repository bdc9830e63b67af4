"""The yearly evidence pack: made from the auditor's folder or from a bundle, written into a new folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from auditor.errors import EvidenceError
from auditor.evidence.documents import PROFILES
from auditor.evidence.gaps import failures_of, open_points_of
from auditor.evidence.sources import BUNDLE_FOLDER, Inputs, read_bundle, read_folder
from auditor.evidence.writing import Request, make_pack, with_inputs, write_pack
from auditor.page.pages_verify import read_path
from auditor.page.visit import KEEPER, Page, Redirect, Reply, Visit
from plan.errors import phrase

YEARS: Final = range(2000, 9999)


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that was written.

    Attributes:
        folder: where.
        verify: how the verification in it came out: PASS, FAIL or INCOMPLETE.
        num_files: how many files it has.
        num_failures, num_open: what it says of failed checks and of points that people still have to answer.
    """

    folder: str
    verify: str
    num_files: int
    num_failures: int
    num_open: int


def form(visit: Visit) -> Reply:
    """Ask for profile and year."""
    return Page("evidence.html", {"profiles": list(PROFILES), "year": visit.office.now().year})


def make(visit: Visit) -> Reply:
    """Make a pack; what takes long goes on while the page looks again."""
    profile, year, out = visit.text("profile"), visit.text("year"), read_path(visit.text("out"))
    is_year = len(year) == 4 and year.isascii() and year.isdigit() and int(year) in YEARS
    if profile not in PROFILES or not is_year:
        raise EvidenceError(phrase("choose a profile and a year of four digits"))
    if out.exists() or not out.parent.is_dir():
        raise EvidenceError(phrase("%(folder)s: exists already; choose a new folder", folder=out))
    request, inputs = Request(profile, int(year)), _inputs(visit)
    bundle = read_path(visit.text("bundle")) if visit.text("bundle") else None
    folder = visit.folder if visit.role == KEEPER else None
    if bundle is None and folder is None:
        raise EvidenceError(phrase("without an auditor's folder a pack is made from a bundle: name it"))

    def task(_work: object) -> Pack:
        staging = out.with_name(f".{out.name}.partial")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            if bundle is not None:
                source = read_bundle(bundle, inputs)
            elif folder is not None:
                source = read_folder(folder, inputs, staging / BUNDLE_FOLDER)
            facts, files = make_pack(source, request)
            files = with_inputs(files, inputs)
            write_pack(staging, files)
            staging.rename(out)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        summary = facts.verification.summary
        return Pack(str(out), summary, len(files) + 1, len(failures_of(facts)), len(open_points_of(facts)))

    visit.office.workshop.start("evidence", "/evidence/result", task)
    return Redirect("/evidence/result")


def result(visit: Visit) -> Reply:
    """Show what was made."""
    work = visit.office.workshop.last
    if work is None or work.kind != "evidence":
        return Redirect("/evidence")
    if not isinstance(work.result, Pack):
        return Page("work.html", {"work": work, "is_idle": work.is_done})
    return Page("evidence_made.html", {"pack": work.result})


def _inputs(visit: Visit) -> Inputs:
    policy: Path | None = visit.folder.policy if visit.role == KEEPER else None
    if visit.text("policy"):
        policy = read_path(visit.text("policy"))
    kept = read_path(visit.text("since")) if visit.text("since") else None
    stated = read_path(visit.text("statements")) if visit.text("statements") else None
    return Inputs(policy, kept, None, stated)
