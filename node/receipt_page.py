"""A receipt as a page that a school reads, prints and files; the proof itself stands below as it is.

A single HTML file without scripts and without anything from elsewhere. What stands above the proof is this
node's own word; only the proof is checked, as the file that the page names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from gettext import gettext as _
from html import escape
from typing import Any

from node.cli_text import SHORT
from node.cli_words import local_time
from plan.words import RECEIPTS, REPORT_STATES, word

SUFFIXES = (".html", ".htm")
_STYLE = """
@page { size: A4; margin: 18mm }
body { font: 11pt/1.6 "Noto Serif CJK SC", "SimSun", "Songti SC", serif }
body { color: #000; max-width: 174mm; margin: 0 auto }
h1 { font-size: 18pt; text-align: center; margin: 0 0 6mm }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #000; padding: 2mm 3mm; text-align: left; vertical-align: top }
th { width: 42mm; font-weight: normal }
td { overflow-wrap: anywhere }
.digest { font-family: "DejaVu Sans Mono", "Consolas", monospace; font-size: 9pt }
pre { border: 1px solid #000; padding: 3mm; font-size: 7.5pt; white-space: pre-wrap; overflow-wrap: anywhere }
"""


def receipt_page(
    school: Mapping[str, Any], found: Mapping[str, Any], answer: Mapping[str, Any], proof: bytes
) -> str:
    """Write the page.

    Args:
        school: the node's identity.
        found: the round, as `rounds` lists it.
        answer: the receipt's kind and attempt.
        proof: the tlog-proof.

    Privacy: no count; whom the report is about stands nowhere.
    """
    report: Mapping[str, Any] = next(
        (row for row in found["attempts"] if row["attempt"] == answer["attempt"]), {}
    )
    table = "".join(
        f"<tr><th>{escape(label)}</th><td{' class=digest' if is_code else ''}>{escape(text)}</td></tr>"
        for label, text, is_code in _rows(school, found, answer, report)
    )
    language = "zh-CN" if os.environ.get("LANGUAGE", "").startswith("zh") else "en"
    title = escape(_("Receipt of a school's report"))
    head = f'<meta charset="utf-8"><title>{title}</title>'
    told = "".join(f"<p>{escape(line)}</p>" for line in _told(found, answer))
    return (
        f'<!doctype html>\n<html lang="{escape(language)}"><head>{head}\n'
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n<table>{table}</table>\n"
        f"{told}\n<pre>{escape(proof.decode('utf-8', 'replace'))}</pre>\n</body></html>\n"
    )


def _rows(
    school: Mapping[str, Any], found: Mapping[str, Any], answer: Mapping[str, Any], report: Mapping[str, Any]
) -> tuple[tuple[str, str, bool], ...]:
    """List what the page says of the report: label, text, whether it is a code to compare."""
    state = word(REPORT_STATES, report.get("state", ""), _)
    released = _("%(time)s by %(by)s") % {
        "time": local_time(report.get("released", "")),
        "by": report.get("released_by", ""),
    }
    index = report.get("index", -1)
    return (
        (_("School"), school["operator"], False),
        (_("Node"), f"{school['node']} · {school['federation']}", False),
        (_("Round"), f"{found['title']} · {found['school_year']} {found['wave']}", False),
        (_("Number of the round"), found["round"], True),
        (_("Released"), released, False),
        (_("Report"), _("attempt %(attempt)s, %(state)s") % {**answer, "state": state}, False),
        (_("Digest of the report (SHA-256)"), report.get("digest", ""), True),
        (_("Entry of the log"), str(index) if index >= 0 else "–", False),
        (_("Receipt"), word(RECEIPTS, answer["kind"], _), False),
    )


def _told(found: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[str, ...]:
    if answer["kind"] == "cosigned":
        kind = _("The auditors have signed that this report stands in the federation's log.")
    else:
        kind = _("Only the log has signed so far: write the receipt again when the auditors have cosigned.")
    text = _("As a file to be checked: fedscreen node receipt %(round)s --out receipt.tlog-proof")
    return kind, text % {"round": found["round"][:SHORT]}, _("The proof, as it stands in that file:")
