"""The fingerprints that a key keeper compares with the county by another way than the files.

Three of them: of this auditor's statement key, which the county sees in the request (`coordinator approve
--show`), and, from `join` on, of the federation card and of what a policy of its must pin (`auditor.trust`),
which an inspector has on the own screen from `policy show`. Each is shown as digits, as words and as a QR
code with the same digits; the sheet is one page to print, sign and keep. Nothing in it is secret.
"""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from auditor.config import AuditorFolder, read_config
from auditor.durable import replace_durably
from auditor.enrol import load_card
from auditor.keys import load_keys
from auditor.trust import card_trust_fingerprint
from crypto.fingerprint import fingerprint_words
from protos.card import fingerprint

SHEET_NAME = "fingerprints.html"
GROUP_WORDS = 4
Translate = Callable[[str], str]


def _(message: str) -> str:
    """Mark a sentence for the translation catalogue; the caller translates it."""
    return message


KINDS = {
    "key": _("this auditor's key: the county reads it from the request"),
    "card": _("the federation card: every auditor and every school reads the same"),
    "policy": _("what a policy must pin: an inspector reads the same from 'policy show'"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One fingerprint.

    Attributes:
        kind: `key`, `card` or `policy`.
        name: whose: `federation/auditor/id`, `federation/card` or `federation/policy`.
        line: eight groups of four hex digits.
    """

    kind: str
    name: str
    line: str

    @property
    def code(self) -> str:
        """What the QR code says."""
        return f"fedscreen {self.name} {self.line}"

    def words(self, language: str) -> tuple[str, ...]:
        """The sixteen words, `zh` or `en`, four by four."""
        found = fingerprint_words(self.line, language)
        return tuple(
            "  ".join(found[start : start + GROUP_WORDS]) for start in range(0, len(found), GROUP_WORDS)
        )


def fingerprints_of(folder: AuditorFolder) -> tuple[Shown, ...]:
    """List an auditor's fingerprints: of its newest key, and once it has joined of the card and of its pins.

    Raises:
        ConfigError, KeyFileError: there is no auditor in the folder.
    """
    config = read_config(folder)
    key = load_keys(folder, config).statement.verifier
    found = [Shown("key", f"{config.federation}/auditor/{config.id}", fingerprint(key.text))]
    if folder.card.exists():
        line = fingerprint(folder.card.read_text("utf-8"))
        found.append(Shown("card", f"{config.federation}/card", line))
        pinned = card_trust_fingerprint(load_card(folder))
        found.append(Shown("policy", f"{config.federation}/policy", pinned))
    return tuple(found)


def shown_lines(shown: Shown, language: str, translate: Translate, *, has_code: bool = True) -> Iterator[str]:
    """Show a fingerprint for the telephone: digits, words, and a QR code for the terminal."""
    yield f"{translate(KINDS[shown.kind])} ({shown.name})"
    yield f"  {shown.line}"
    for row in shown.words(language):
        yield f"  {row}"
    if has_code:
        yield from _terminal_code(shown.code, translate)


def _terminal_code(text: str, translate: Translate) -> Iterator[str]:
    out = io.StringIO()
    try:
        import segno
    except ImportError:
        yield translate(_("  (no QR code: 'segno' is not installed here; digits and words say the same)"))
        return
    segno.make(text, error="m", micro=False).terminal(out, border=2, compact=True)
    yield from out.getvalue().rstrip("\n").split("\n")


def write_sheet(folder: AuditorFolder, translate: Translate) -> None:
    """Write the page to print into the folder, anew."""
    page = sheet(fingerprints_of(folder), translate)
    replace_durably(folder.root / SHEET_NAME, page.encode("utf-8"), "fingerprints")


def sheet(rows: tuple[Shown, ...], translate: Translate) -> str:
    """Lay out the page to print: each fingerprint as digits, as words in both languages, as a QR code."""
    title = html.escape(translate(_("Fingerprints to compare")))
    advice = html.escape(
        translate(
            _(
                "Read them out by telephone or side by side, not out of a message that came with the files. "
                "If one word differs: stop, join nothing, sign nothing, call the other side."
            )
        )
    )
    signed = html.escape(translate(_("compared with (name, telephone, date, signature):")))
    parts = "".join(_part(row, translate) for row in rows)
    return (
        '<!doctype html>\n<html><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title}</h1><p>{advice}</p>{parts}<p>{signed} {'_' * 30}</p></body></html>\n"
    )


_STYLE = (
    "body{font:12pt sans-serif;margin:2cm}h2{font-size:13pt;margin-top:1.2cm}"
    "code,pre{font:13pt monospace}svg{float:right}"
)


def _part(shown: Shown, translate: Translate) -> str:
    title, name = html.escape(translate(KINDS[shown.kind])), html.escape(shown.name)
    words = "".join(f"<pre>{html.escape(chr(10).join(shown.words(name)))}</pre>" for name in ("zh", "en"))
    return f"<h2>{title}</h2>{_svg_code(shown.code)}<p>{name}</p><p><code>{shown.line}</code></p>{words}"


def _svg_code(text: str) -> str:
    """Draw the QR code as inline SVG; empty where nothing can draw one."""
    try:
        import segno
    except ImportError:
        return ""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", xmldecl=False, scale=4, border=2)
    return out.getvalue().decode()
