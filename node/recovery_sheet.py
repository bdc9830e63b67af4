"""The sheet for the principal's safe: one A4 page with the recovery code and what to do with it.

A single HTML file without scripts and without anything from elsewhere; printed in a browser, then deleted.
"""

from __future__ import annotations

from gettext import gettext as _
from html import escape

from node.recovery import CODE, RecoveryFile

_STYLE = """
@page { size: A4; margin: 18mm }
body { font: 12pt/1.6 "Noto Serif CJK SC", "SimSun", "Songti SC", serif }
body { color: #000; max-width: 174mm; margin: 0 auto }
h1 { font-size: 20pt; text-align: center; margin: 0 0 8mm }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #000; padding: 2mm 3mm; text-align: left; vertical-align: top }
th { width: 42mm; font-weight: normal }
.code { font: bold 18pt/2 "DejaVu Sans Mono", "Consolas", monospace; text-align: center; margin: 8mm 0 }
.code span { display: inline-block; width: 38mm }
.digest { font-family: monospace; font-size: 9pt; word-break: break-all }
.sign td { height: 14mm }
"""


def recovery_sheet(file: RecoveryFile, secret: str, name: str, digest: str, language: str) -> str:
    """Write the sheet.

    Args:
        file: the recovery file.
        secret: its formatted code; a passphrase is not printed.
        name: what the recovery file is called.
        digest: its SHA-256, hex.
        language: for the page's `lang`.

    Privacy: whoever has this sheet and the file has the node.
    """
    rows = [
        (_("School"), file.operator),
        (_("Node"), f"{file.node} · {file.federation}"),
        (_("Made"), file.made.replace("T", " ").replace("Z", " UTC")),
        (_("Recovery file"), name),
    ]
    table = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in rows)
    table += f'<tr><th>SHA-256</th><td class="digest">{escape(digest)}</td></tr>'
    steps = "".join(f"<li>{escape(line)}</li>" for line in _steps(name))
    title = escape(_("Recovery sheet of the school's node"))
    signs = (_("Principal (signature)"), _("Sealed and put into the safe on"), _("Opened on, and why"))
    signed = "".join(f"<tr><th>{escape(label)}</th><td></td></tr>" for label in signs)
    head = f'<meta charset="utf-8"><title>{title}</title>'
    return (
        f'<!doctype html>\n<html lang="{escape(language)}"><head>{head}\n'
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n<table>{table}</table>\n"
        f"{_code(file, secret)}\n<ol>{steps}</ol>\n"
        f'<table class="sign">{signed}</table>\n</body></html>\n'
    )


def _code(file: RecoveryFile, secret: str) -> str:
    if file.seal != CODE:
        return f"<p>{escape(_('Sealed with a passphrase of the principal, which stands nowhere.'))}</p>"
    groups = "".join(f"<span>{escape(group)}</span>" for group in secret.split("-"))
    return f'<p>{escape(_("Recovery code"))}</p><div class="code">{groups}</div>'


def _steps(name: str) -> tuple[str, ...]:
    return (
        _("Put this sheet into a sealed envelope in the principal's safe. Keep the file in another place."),
        _("Whoever has both can report in this school's name. Whoever has one of them has nothing."),
        _("There are no pupils' records in the file; these come from a backup, or are imported again."),
        _("If the computer is lost, on a new one: fedscreen node recovery restore %(file)s --dir NEW")
        % {"file": name},
        _("The old computer must not run again. Tell the county if it was stolen."),
        _("Once a year: fedscreen node recovery check %(file)s") % {"file": name},
    )
