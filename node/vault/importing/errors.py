"""What can be wrong with a file that a school imports, and how it is told.

A problem is always named by file, row and column, never by what stands there: an issue's text
holds no pupil id, name, label or score, and a file is called by its part (roster, screening,
profile, codebook), not by its own name, which people like to fill with a school and a class.

Every code has one English template in ``MESSAGES`` and one piece of advice in ``ADVICE``; whoever
shows an issue translates these first and fills in ``RowIssue.values`` afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from node.vault.errors import VaultError

ROSTER = "roster"
SCREENING = "screening"
PROFILE = "profile"
CODEBOOK = "codebook"
RETEST = "retest"
CONSENT = "consent"
LEDGER_PREFIX = "ledger."

MAX_ISSUES = 200

Severity = Literal["error", "warning"]


def _(message: str) -> str:
    """Mark a message for the translation catalogue; the vault itself always speaks English."""
    return message


MESSAGES: dict[str, str] = {
    "file-missing": _("The file is not there."),
    "file-empty": _("The file is empty."),
    "file-not-text": _("The file is neither a workbook nor text in UTF-8, UTF-16 or GB18030."),
    "text-damaged": _("Characters were lost when the file was saved in another encoding."),
    "encoding-differs": _("The file is not in the encoding that the profile declares."),
    "not-a-table": _("The file is no table but a document, a picture or an archive."),
    "web-page": _("The file is a web page or XML that only has the name of a workbook."),
    "server-answer": _("The file is a short answer of a web site, not the export itself."),
    "password": _("The workbook is protected by a password."),
    "xls-too-old": _("The workbook is of Excel 95 or older, or of a program that writes that kind."),
    "xls-damaged": _("The .xls workbook is damaged."),
    "other-workbook": _("The workbook is of another kind (.xlsb, .ods)."),
    "header-not-found": _(
        "None of the first %(allowed)s rows of any sheet has the headers that the profile names."
    ),
    "which-sheet": _(
        "The sheets %(expected)s all look like this table, and it is not clear which one is meant."
    ),
    "sheet-left-out": _("The sheets %(expected)s have some of these headers and were not read."),
    "total-line": _("The row is a total or a remark and was left out."),
    "header-again": _("The header stands here once more; the row was left out."),
    "ambiguous-pupil": _("Several pupils of the roster fit this row."),
    "contradicts-roster": _("A pupil of this name is on the roster, but with another entry in this column."),
    "differs-from-roster": _("This entry differs from the roster; the roster's counts."),
    "identity-incomplete": _("The name alone does not tell which pupil this row is about."),
    "tested-twice": _("The pupil has a valid result of the first test and one of a make-up test."),
    "day-before-test": _("This day lies before the day of the test."),
    "day-to-come": _("This day is still to come."),
    "sources-differ": _("Another file says something else about this pupil."),
    "not-enrolled": _("The pupil was not enrolled here on the census date; the result is not counted here."),
    "school-code": _("The school code is none of those that the profile lists."),
    "double-class": _("The class of this row already stands in row %(first)s."),
    "class-not-on-roster": _("No pupil of the roster is in this class."),
    "consent-late": _("The consent of this class is dated after the test of a pupil."),
    "grade-system": _(
        "In the school system %(expected)s this name of a grade means another grade than the profile says."
    ),
    "duration-form": _("The cell is not a duration such as 123秒 or 2分3秒."),
    "birth-form": _("The cell is not a month of birth such as 2015-09."),
    "text-too-long": _("The cell holds more than %(allowed)s characters."),
    "which-ledger": _("It is not clear which ledger of the profile this file is."),
    "file-too-large": _("The file has more than %(allowed)s."),
    "csv-damaged": _("The csv file cannot be taken apart into rows and columns."),
    "not-xlsx": _("The file is a zip archive or another document, not an xlsx workbook."),
    "xlsx-damaged": _("The workbook is damaged or uses something that a plain table never has."),
    "xlsx-bomb": _("The workbook unpacks to more than %(allowed)s."),
    "formula-error": _("A cell holds a formula error such as #N/A or #REF!."),
    "formula-not-computed": _("The cell holds a formula whose result no program has computed yet."),
    "sheet-missing": _("The workbook has no sheet of the name or number that the profile gives."),
    "too-many-rows": _("The table has more than %(allowed)s rows."),
    "too-many-columns": _("The table has more than %(allowed)s columns."),
    "header-missing": _("There is no header in row %(expected)s, where the profile expects it."),
    "no-rows": _("There is no pupil below the header."),
    "profile-invalid": _("The import profile is not valid at %(place)s: %(expected)s."),
    "codebook-invalid": _("The codebook is not valid at %(place)s: %(expected)s."),
    "wrong-file": _("Not one column of results is in this file."),
    "missing-column": _("No column is called any of: %(expected)s."),
    "double-column": _(
        "Two columns have a name that means the same field: columns %(first)s and %(second)s."
    ),
    "cell-past-header": _("The row is longer than the header."),
    "empty-cell": _("The cell is empty, and this column must be filled."),
    "not-text": _("The cell holds something else than text."),
    "unmapped-label": _("The profile does not say what the label in this cell means."),
    "unmapped-level": _("The codebook does not say which alert level the label in this cell means."),
    "ambiguous-level": _("The label in this cell means different alert levels in the codebook's label sets."),
    "bare-number": _("The cell holds a bare number, and nothing says what it means."),
    "student-no-damaged": _("The student number was stored as a number and its last digits are lost."),
    "student-no-form": _("The student number is not G, L or J and 18 further characters."),
    "student-no-letter": _("The student number has no letter in front, or is an identity card's number."),
    "name-masked": _("The name is partly hidden, so it cannot tell which pupil this row is about."),
    "not-a-number": _("The cell is not a number."),
    "score-range": _("The score is outside the codebook's range %(low)s to %(high)s."),
    "not-whole": _("The cell is not a whole number."),
    "number-range": _("The number is not from 0 to %(most)s."),
    "date-form": _("The cell is not a date such as 2025-09-20."),
    "date-range": _("The date is not in the school year %(expected)s."),
    "duplicate-pupil": _("The pupil of this row already stands in row %(first)s."),
    "not-on-roster": _("The pupil of this row is not on the roster."),
    "tested-and-excused": _("The pupil has a result and also a reason for having none."),
    "reasons-differ": _("Roster and screening file give different reasons for a missing result."),
    "consents-differ": _("Roster and screening file differ on the guardian's consent."),
    "recheck-untested": _("The pupil has the result of a recheck, but no result of a test."),
    "no-consent": _("Not one pupil has a recorded consent; all of them count as 'consent not recorded'."),
    "no-results": _("Not one row has a result; all of these pupils count as not tested."),
    "names-not-read": _(
        "The names stand in this column, but the profile does not read it: no name is kept for the follow-up."
    ),
    "classes-not-read": _(
        "The classes stand in this column, but the profile does not read it: nothing is told by class."
    ),
    "results-gone": _("Fewer than half as many pupils are tested as in the import before."),
    "rules-swapped": _("Profile and codebook are the wrong way round."),
    "files-swapped": _("The roster and the platform's file are the wrong way round."),
    "rules-as-table": _("The file is a profile or a codebook and no table."),
    "more-issues": _("There is more; only the first %(allowed)s are listed."),
}

ADVICE: dict[str, str] = {
    "file-missing": _("Give both the roster and the platform's file, the profile and the codebook."),
    "file-empty": _("Export the file again."),
    "file-not-text": _("Open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."),
    "text-damaged": _(
        "Export the file again, and do not save it in a text editor; an .xlsx workbook keeps all characters."
    ),
    "encoding-differs": _("Take `encoding` out of the profile, or export the file again."),
    "not-a-table": _("Unpack an archive; copy the table of a document into a new workbook (.xlsx)."),
    "web-page": _("Open it in Excel or WPS and save it as an Excel workbook (.xlsx)."),
    "server-answer": _("Log in to the platform again and export the file once more."),
    "password": _("Open it, take the password away, and save it as an Excel workbook (.xlsx)."),
    "xls-too-old": _("Open it and save it as an Excel workbook (.xlsx)."),
    "xls-damaged": _("Open it and save it as an Excel workbook (.xlsx), or export it again."),
    "other-workbook": _("Open it and save it as an Excel workbook (.xlsx)."),
    "header-not-found": _(
        "Check that this is the right file. If its header stands further down, give `header_row` in the"
        " profile; 'fedscreen node profile guess' proposes a profile for other headers."
    ),
    "which-sheet": _("Give --sheet with the sheet's name or number; * takes all of them together."),
    "sheet-left-out": _("If pupils stand in them, mend their headers and give --sheet with *."),
    "total-line": _("There is nothing to do if no pupil stands in it."),
    "header-again": _("There is nothing to do."),
    "ambiguous-pupil": _("Add the student number or the month of birth to both files."),
    "contradicts-roster": _("Correct one of the two files."),
    "differs-from-roster": _("Correct the file that is wrong."),
    "identity-incomplete": _("Fill in grade and class, or the month of birth, or the student number."),
    "tested-twice": _("Delete one of the two rows."),
    "day-before-test": _("Correct one of the two days."),
    "day-to-come": _("Correct the day, or check this computer's clock."),
    "sources-differ": _("Correct one of the files."),
    "not-enrolled": _("There is nothing to do if the dates are right: a pupil counts where enrolled."),
    "school-code": _("Delete the rows of other schools, or have the code added to `school_codes`."),
    "double-class": _("Keep one row for each class."),
    "class-not-on-roster": _("Correct grade or class."),
    "consent-late": _("Check the two days."),
    "grade-system": _("Use an import profile for this school system."),
    "duration-form": _("Correct the cell, or leave it empty."),
    "birth-form": _("Set the column's format to text or date and fill in the cell again."),
    "text-too-long": _("Correct the cell."),
    "which-ledger": _("Write --ledger NAME=FILE with one of the profile's names: %(expected)s."),
    "file-too-large": _("Remove pictures and sheets that are not needed, or import by campus."),
    "csv-damaged": _("Open it in a spreadsheet program and save it as .xlsx."),
    "not-xlsx": _("Unpack an archive; open anything else in Excel or WPS and save it as a workbook (.xlsx)."),
    "xlsx-damaged": _("Copy the table into a new workbook (paste as values) and save that as .xlsx."),
    "xlsx-bomb": _("Copy the table into a new workbook (paste as values) and save that as .xlsx."),
    "formula-error": _("Mend the formula, or paste the column as values."),
    "formula-not-computed": _("Open the file in Excel or WPS, save it, and import it again."),
    "sheet-missing": _("Correct `sheet` in the profile or the name of the sheet."),
    "too-many-rows": _("Delete the rows below the table; one file holds one school."),
    "too-many-columns": _("Delete the columns beside the table."),
    "header-missing": _("Correct `header_row` in the profile, or take it out: then it is looked for."),
    "no-rows": _("Export the file again."),
    "profile-invalid": _("Correct the profile, or use one of the ready profiles."),
    "codebook-invalid": _("Use the codebook that the county has published."),
    "wrong-file": _(
        "Check which file is the roster and which one is the platform's; add its headers to the profile."
    ),
    "missing-column": _("Export the file with this column, or add the platform's own header to the profile."),
    "double-column": _("Delete one of the two columns."),
    "cell-past-header": _("Remove the stray cell or give its column a header."),
    "empty-cell": _("Fill in the cell."),
    "not-text": _("Set the column's format to text and fill in the cell again."),
    "unmapped-label": _("Use one of the labels that the profile knows, or have the label added to it."),
    "unmapped-level": _("Use one of the codebook's labels; a new label needs a new codebook."),
    "ambiguous-level": _("Name the platform's label set in the profile (`levels`)."),
    "bare-number": _("Export labels instead of numbers, or have the coding added to the profile."),
    "student-no-damaged": _("Set the column's format to text, then export or paste it again."),
    "student-no-form": _("Copy the number from the student register."),
    "student-no-letter": _("Copy the number from the student register: G, L or J and 18 characters."),
    "name-masked": _("Export it with whole names or with student numbers."),
    "not-a-number": _("Correct the cell; leave it empty only if the pupil has no result."),
    "score-range": _("Correct the score, or check that this is the right codebook."),
    "not-whole": _("Correct the cell; leave it empty where there is no number."),
    "number-range": _("Correct the cell; leave it empty where there is no number."),
    "date-form": _("Set the column's format to date."),
    "date-range": _("Correct the date, or check the school year."),
    "duplicate-pupil": _("Keep one row for each pupil."),
    "not-on-roster": _("Correct the student number, or add the pupil to the roster."),
    "tested-and-excused": _("Delete the reason, or the result."),
    "reasons-differ": _("Correct one of the two files."),
    "consents-differ": _("Correct one of the two files."),
    "recheck-untested": _("Add the pupil's result, or delete the recheck."),
    "no-consent": _("Check the consent column before you release anything."),
    "no-results": _(
        "If they were tested, open the file in Excel or WPS, see whether it shows results, and save it."
    ),
    "names-not-read": _("Under [columns] of the profile write: %(line)s - then import again."),
    "classes-not-read": _("Under [columns] of the profile write: %(line)s - then import again."),
    "results-gone": _("Take the import back with 'fedscreen node import --undo' if that is not meant."),
    "rules-swapped": _("Give the profile as --profile and the codebook as --codebook."),
    "files-swapped": _("Give the roster as --roster and the platform's file as --screening."),
    "rules-as-table": _("Check which file stands behind which option."),
    "more-issues": _("Correct these first and import again."),
}


@dataclass(frozen=True, slots=True)
class RowIssue:
    """One problem of one file, by its place.

    Attributes:
        file: the part: ``roster``, ``screening``, ``retest``, ``consent``, ``ledger.NAME``, ``profile`` or
            ``codebook``.
        row: 1-based row as a spreadsheet program shows it; 0 when the whole file is meant.
        column: letters as a spreadsheet program shows them; empty when the whole row is meant.
        code: a key of ``MESSAGES``.
        header: the column's header as the profile spells it; empty if unknown.
        values: what the templates need; never anything that was read from a pupil's row.
        severity: an ``error`` stops the whole import, a ``warning`` does not.
        sheet: 1-based number of the sheet where a file has several; else 0.
    """

    file: str
    row: int
    column: str
    code: str
    header: str = ""
    values: tuple[tuple[str, str], ...] = ()
    severity: Severity = "error"
    sheet: int = 0

    @property
    def message(self) -> str:
        """Give what is wrong, in English."""
        return MESSAGES[self.code] % dict(self.values)

    @property
    def advice(self) -> str:
        """Give what to do about it, in English."""
        return ADVICE[self.code] % dict(self.values)

    def as_json(self) -> dict[str, str | int | dict[str, str]]:
        """Give the issue as JSON values, with everything that a translation needs."""
        return {
            "file": self.file,
            "sheet": self.sheet,
            "row": self.row,
            "column": self.column,
            "header": self.header,
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "advice": self.advice,
            "values": dict(self.values),
        }


class ImportingError(VaultError):
    """A file cannot be imported at all; ``issues`` (at least one) say where and why."""

    CODE = "import-refused"

    def __init__(self, *issues: RowIssue) -> None:
        first = issues[0]
        super().__init__(
            MESSAGES[first.code], ADVICE[first.code], code=first.code, details=dict(first.values)
        )
        self.issues = issues


class CellError(VaultError):
    """One cell is refused; who reads the row knows where it stands. ``details`` fill the template."""

    def __init__(self, code: str, **values: str) -> None:
        super().__init__(MESSAGES[code], ADVICE[code], code=code, details=dict(values))
        self.values = tuple(sorted(values.items()))


def refuse_file(file: str, code: str, *, row: int = 0, column: str = "", **values: str) -> ImportingError:
    """Make the error of one file, for ``raise``."""
    return ImportingError(RowIssue(file, row, column, code, values=tuple(sorted(values.items()))))


class IssueList:
    """The issues of one import, in the order in which they were met; at most ``MAX_ISSUES`` of a severity."""

    def __init__(self) -> None:
        self._issues: list[RowIssue] = []
        self._counts: dict[Severity, int] = {"error": 0, "warning": 0}

    def add(self, issue: RowIssue) -> None:
        """Keep an issue; beyond the bound it only counts."""
        self._counts[issue.severity] += 1
        if self._counts[issue.severity] <= MAX_ISSUES:
            self._issues.append(issue)

    @property
    def has_errors(self) -> bool:
        """Whether any issue stops the import."""
        return self._counts["error"] > 0

    def listed(self) -> tuple[RowIssue, ...]:
        """Give the issues, and one more that says so when there were too many of a severity to list."""
        more = [
            RowIssue("", 0, "", "more-issues", values=(("allowed", str(MAX_ISSUES)),), severity=severity)
            for severity, count in self._counts.items()
            if count > MAX_ISSUES
        ]
        return (*self._issues, *more)
