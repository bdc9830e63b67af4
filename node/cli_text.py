"""What a node's commands print for people, line by line, in their language."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from gettext import gettext as _
from typing import Any

from node.cli_words import in_words, local_time
from node.errors import PHRASE_SUFFIX, NodeError
from node.vault.importing.errors import ADVICE, MESSAGES
from plan.errors import PlanError, parse_phrase
from plan.words import DECISIONS, PARTIES, RECEIPTS, REPLAY_CHECKS, REPORT_STATES, ROUND_STATES, word

Values = Mapping[str, Any]
SHORT = 16
MAX_RANGES = 12


def error_lines(err: NodeError) -> Iterator[str]:
    """Say what was refused, and what to do about it."""
    yield _("refused: %(reason)s") % {"reason": fill(err.message, err.details)}
    if err.advice:
        yield "  " + fill(err.advice, err.details)


def fill(template: str, details: Values) -> str:
    """Translate a template, then fill it in."""
    if not details:
        return _(template)
    phrases = {
        name.removesuffix(PHRASE_SUFFIX): _phrase_in(str(value))
        for name, value in details.items()
        if name.endswith(PHRASE_SUFFIX)
    }
    return _(template) % {**in_words(details, _), **phrases}


def _phrase_in(text: str) -> str:
    """Translate a phrase that came with a refusal; show what is none as it is."""
    try:
        return parse_phrase(text).text(_)
    except PlanError:
        return text


def init_lines(values: Values) -> Iterator[str]:
    """Show a new node."""
    yield _("node %(node)s of %(federation)s in %(folder)s") % values
    words = in_words(values, _)
    yield _("  confinement %(confinement)s, database key kept by: %(key_source)s") % words
    yield _("next: fedscreen node request")


def request_lines(values: Values) -> Iterator[str]:
    """Say where the request is."""
    yield _("request written to %(file)s; send it to the county") % values
    yield _("  report key %(report_key)s") % values


def accept_lines(values: Values) -> Iterator[str]:
    """Show what was pinned."""
    kind = word(PARTIES, values["kind"], _)
    yield _("joined %(federation)s (%(kind)s), fingerprint %(fingerprint)s") % {**values, "kind": kind}
    yield _("  coordinator %(address)s, certificate holds for %(certificate_days)s days") % values
    yield _("next: fedscreen node run")


def import_lines(answer: Values, names: Mapping[str, str] | None = None) -> Iterator[str]:
    """Show every problem by its place, then what was stored.

    Args:
        names: by part, what the person called the file; for the screen only, never written anywhere.
    """
    yield from issue_lines(in_order(answer["issues"]), names)
    yield _("wave %(wave)s of %(school_year)s, counted on %(census_date)s") % answer
    if answer["refused"]:
        yield _("nothing was imported; correct the files and import again")
        return
    counts = answer["counts"]
    yield (
        _("  %(roster_rows)s on the roster, %(screening_rows)s rows of results, %(matched)s matched") % counts
    )
    if counts.get("ledger_rows"):
        yield _("  %(ledger_rows)s rows of ledgers") % counts
    if counts.get("retest_rows"):
        yield _("  %(retest_rows)s pupils with a retest") % counts
    if counts.get("left_out"):
        yield _("  %(left_out)s rows without a pupil were left out") % counts
    if answer.get("form"):
        yield from _form_lines(answer["form"])
    if "tested" in answer:
        yield from _coverage_lines(answer)
    if answer["dry_run"]:
        yield _("dry run: nothing was stored")
    elif answer.get("is_new"):
        yield _("  %(records)s records stored") % counts
    else:
        yield _("  the same records were stored before")


def _coverage_lines(answer: Values) -> Iterator[str]:
    """Say how many pupils are tested, and what the records before had: numbers of coverage alone."""
    yield _("  %(tested)s pupils are tested") % answer
    if answer.get("before"):
        yield _("  the import before: %(pupils)s pupils, %(tested)s of them tested") % answer["before"]
    if answer.get("is_new") and answer.get("before"):
        yield _("  records of %(replaced)s of these pupils were replaced") % answer


def _form_lines(form: Values) -> Iterator[str]:
    """Say how the files met what was typed into the form of the follow-up."""
    yield _("  follow-up form: %(kept)s typed values are kept") % form
    if form["differ"]:
        yield _("    %(differ)s more although the files say something else: what was typed stands") % form
    if form["not_applied"]:
        yield _("    %(not_applied)s typed values wait: no consent, or no result") % form
    if form["off_roster"]:
        yield _("    entries about %(off_roster)s pupils wait who are not on the roster") % form


def in_order(issues: list[Values]) -> list[Values]:
    """Sort issues by file, sheet and row; the files as they came up first."""
    files = list(dict.fromkeys(issue["file"] for issue in issues))
    return sorted(issues, key=lambda issue: (files.index(issue["file"]), issue.get("sheet", 0), issue["row"]))


def alike(issues: list[Values]) -> Iterator[tuple[Values, list[int]]]:
    """Put issues together that differ only by their row; a wrong column is told once."""
    groups: dict[str, tuple[Values, list[int]]] = {}
    for issue in issues:
        key = json.dumps({**issue, "row": 0}, sort_keys=True)
        groups.setdefault(key, (issue, []))[1].append(issue["row"])
    yield from groups.values()


def ranges(rows: list[int]) -> str:
    """Write row numbers as ranges: 2-5, 9."""
    parts: list[list[int]] = []
    for row in sorted(set(rows)):
        if parts and row == parts[-1][-1] + 1:
            parts[-1][1:] = [row]
        else:
            parts.append([row])
    shown = ["-".join(map(str, part)) for part in parts[:MAX_RANGES]]
    return ", ".join(shown) + (" …" if len(parts) > MAX_RANGES else "")


def issue_words(issue: Values) -> dict[str, str]:
    """Translate an issue: its kind, its file, what is wrong, what to do."""
    template, advice = MESSAGES.get(issue["code"]), ADVICE.get(issue["code"])
    return {
        "kind": _("error") if issue["severity"] == "error" else _("warning"),
        "file": part_name(issue["file"]) if issue["file"] else "",
        "text": fill(template, issue["values"]) if template else issue["message"],
        "advice": fill(advice, issue["values"]) if advice else issue["advice"],
    }


def issue_lines(issues: list[Values], names: Mapping[str, str] | None = None) -> Iterator[str]:
    """Show every problem by its place; alike ones once, the same advice only where it changes."""
    said = ""
    for issue, rows in alike(issues):
        line, advice = _issue_lines(issue, rows, (names or {}).get(issue["file"], ""))
        if said and advice != said:
            yield said
        yield line
        said = advice
    if said:
        yield said


def _issue_lines(issue: Values, rows: list[int], name: str) -> tuple[str, str]:
    words = issue_words(issue)
    if name:
        words["file"] = f"{words['file']} {name}"
    place = [words["file"]] if words["file"] else []
    if issue.get("sheet"):
        place.append(_("sheet %(sheet)s") % issue)
    if len(rows) > 1:
        place.append(_("%(number)s rows (%(rows)s)") % {"number": len(rows), "rows": ranges(rows)})
    elif issue["row"]:
        place.append(_("row %(row)s") % issue)
    if issue["column"]:
        place.append(_("column %(column)s") % issue)
    if issue["header"]:
        place.append(f"“{issue['header']}”")
    words["place"] = _(", ").join(place)
    line = (_("%(kind)s: %(place)s: %(text)s") if place else _("%(kind)s: %(text)s")) % words
    return line, "  " + words["advice"]


def part_name(name: str) -> str:
    """Translate the part that a file plays in an import; a ledger keeps the profile's name for it."""
    words = {
        "roster": _("roster"),
        "screening": _("screening results"),
        "retest": _("retest"),
        "consent": _("consent by class"),
        "ledger": _("ledger"),
        "profile": _("profile"),
        "codebook": _("codebook"),
    }
    part, _dot, rest = name.partition(".")
    return f"{words[part]} {rest}".rstrip() if part in words else name


def round_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """List rounds with this school's report."""
    if not rows:
        yield _("no round yet")
    for row in rows:
        values = {**row, "round": row["round"][:SHORT], "rho": rational(row["rho"])}
        values |= {name: local_time(row[name])[:10] for name in ("opens", "closes")}
        values["state"] = word(ROUND_STATES, row["state"], _)
        yield _("%(round)s  %(state)s  %(title)s") % values
        yield _("  %(opens)s to %(closes)s, %(cells)s cells, rho %(rho)s") % values
        yield from _report_lines(row["report"])


def _report_lines(report: Values) -> Iterator[str]:
    if report["state"] == "none":
        yield "  " + _("this school has released nothing")
        return
    receipts = ", ".join(word(RECEIPTS, name, _) for name in report["receipts"])
    values = {**report, "receipts": receipts or _("none"), "state": word(REPORT_STATES, report["state"], _)}
    text = _("report: %(state)s, attempt %(attempt)s, released by %(released_by)s, receipts: %(receipts)s")
    yield "  " + text % values
    if not report.get("is_signed", 1):
        yield _("    not signed by a principal: that name stands there as it was typed")


def release_lines(answer: Values) -> Iterator[str]:
    """Say what will be sent."""
    if answer["is_new"]:
        yield _("released: attempt %(attempt)s, %(bytes)s bytes; 'fedscreen node run' sends it") % answer
    else:
        state = word(REPORT_STATES, answer["state"], _)
        text = _("these records were released before: attempt %(attempt)s, %(state)s")
        yield text % {**answer, "state": state}


def decision_lines(answer: Values) -> Iterator[str]:
    """Say what was decided."""
    yield _("%(decision)s by %(by)s: %(reason)s") % {
        **answer,
        "decision": word(DECISIONS, answer["decision"], _),
    }
    yield from hold_lines(answer)


def hold_lines(answer: Values) -> Iterator[str]:
    """Say whether sending is held."""
    yield _("sending is held; nothing leaves") if answer["held"] else _("sending is on")


def receipt_lines(values: Values) -> Iterator[str]:
    """Say where the receipt is, and what it proves."""
    yield _("receipt written to %(file)s") % values
    if values["kind"] == "cosigned":
        yield _("  it carries the auditors' cosignatures; anyone can check it offline")
    else:
        yield _("  signed by the log only; ask again when the auditors have cosigned")


def check_lines(answer: Values) -> Iterator[str]:
    """Say whether store and journal are sound."""
    for page in answer["damaged"]:
        yield _("damaged: %(page)s") % {"page": page}
    if not answer["damaged"]:
        yield _("record file and journal are sound (%(journal_records)s journal records)") % answer


def replay_lines(answer: Values) -> Iterator[str]:
    """Show the numbered checks and the outcome."""
    for check in answer["checks"]:
        yield f"  {check['number']:2d}  {check['result']:7s} {word(REPLAY_CHECKS, check['name'], _)}"
    yield _("%(outcome)s: report %(report)s, confinement %(confinement)s") % answer


def rational(text: str) -> str:
    """Show an exact rational as a short decimal."""
    return f"{float(Fraction(text)):.4g}" if text else "?"
