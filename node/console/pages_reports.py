"""The school's own report, made in the vault and given to the person who asks; nothing of it is kept here.

The hand-in version is for psychologist and principal. The exact one and the follow-up list are the
psychologist's, with a reason that stands in the journal and on every page of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from node.console.sessions import PSYCHOLOGIST
from node.console.speech import speaking
from node.console.visit import Download, Page, Redirect, Reply, Visit
from node.errors import ConfigError, NodeError
from node.errors import _ as N_  # translated where it is shown
from node.local_report.compose import make_document
from node.local_report.document import Document
from node.local_report.html import encode_html
from node.local_report.words import VERSIONS

HAND_IN: Final = "hand-in"
FORMS: Final[Mapping[str, str]] = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
}
NEEDS: Final[Mapping[str, str]] = {"xlsx": "xlsxwriter", "pdf": "typst"}
"""By kind of file, the package that its writer needs."""
FORM_NAME: Final = "report"


def reports(visit: Visit) -> Reply:
    """Show which reports can be made."""
    versions = list(VERSIONS) if visit.role == PSYCHOLOGIST else [HAND_IN]
    records = visit.ask("records_summary")["records"]
    values = {"records": records, "versions": versions, "words": VERSIONS, "forms": list(FORMS)}
    missing = [form for form, module in NEEDS.items() if find_spec(module) is None]
    return Page("reports.html", {**values, "missing": missing, "typed": visit.typed(FORM_NAME)})


def make(visit: Visit) -> Reply:
    """Make a report and give it out; what is refused is told above the form, which keeps what was typed."""
    visit.keep_typed(FORM_NAME)
    try:
        reply = _make(visit)
    except NodeError as err:
        visit.say_refused(err)
        return Redirect("/reports")
    if isinstance(reply, Download):
        visit.typed(FORM_NAME)
    return reply


def _make(visit: Visit) -> Reply:
    version, form = visit.text("version"), visit.text("form")
    school_year, _sign, wave = visit.text("set").partition("/")
    if version not in VERSIONS or form not in FORMS or not wave:
        visit.say("bad", N_("version, wave or kind of file is missing"), N_("Choose one of each."))
        return Redirect("/reports")
    asks: dict[str, Any] = {"version": version, "school_year": school_year, "wave": wave}
    asks |= visit.session.actor | ({} if version == HAND_IN else {"reason": visit.text("reason")})
    encode = _encoder(form)
    answer = visit.ask("local_report", **{name: value for name, value in asks.items() if value != ""})
    with speaking(visit.language):
        content = encode(make_document(answer))
    return Download(f"report-{school_year}-{wave}-{version}.{form}", content, FORMS[form])


def _encoder(form: str) -> Callable[[Document], bytes]:
    """Give the writer of a kind of file, before anything stands in the journal.

    Raises:
        ConfigError: its package is not installed.
    """
    try:
        if form == "xlsx":
            from node.local_report.workbook import encode_workbook

            return encode_workbook
        if form == "pdf":
            import typst  # noqa: F401  (the writer itself loads it late)

            from node.local_report.pdf import encode_pdf

            return encode_pdf
    except ModuleNotFoundError as err:
        raise ConfigError(
            N_("a report of this kind needs the package %(module)s, which is not installed"),
            N_("Choose html, or install it: pip install 'fedscreen[node,pdf]'"),
            code="no-writer",
            details={"module": str(err.name)},
        ) from err
    return encode_html
