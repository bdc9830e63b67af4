"""What `fedscreen node status` and `floors` print for people: where everything of this node stands."""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from typing import Any

from node.cli_text import SHORT, Values, rational, round_lines
from node.cli_words import FLOORS, local_time
from node.side_words import CALLS, SIDES
from plan.words import ROLE_WORDS, word


def floor_lines(answer: Values) -> Iterator[str]:
    """List the floors: the code that options and plans use, the value, and what it means."""
    width = max((len(name) for name in answer), default=0)
    for name, value in answer.items():
        yield f"  {name:{width}}  {value!s:>5}  {word(FLOORS, name, _)}"


def status_lines(values: Values) -> Iterator[str]:
    """Show the whole status."""
    yield _("node %(node)s of %(federation)s, operator %(operator)s") % values
    yield from _grant_lines(values)
    if not values["fingerprint"]:
        return
    yield _("  federation card %(fingerprint)s, confinement %(confinement)s") % values
    yield from _running_lines(values["running"], values["certificate_days"])
    log = values["log"]
    yield _("  log: %(size)s entries, %(trusted_size)s of them cosigned") % log
    if log["split"]:
        yield _("  ATTENTION: the log showed two histories; nothing is released. Tell the auditors.")
    if values["held"]:
        yield _("  sending is held; nothing leaves")
    yield from _role_lines(values["roles"])
    for account in values["account"]:
        row = {name: rational(account[name]) for name in ("spent", "cap")}
        yield _("  account %(year)s: %(spent)s of %(cap)s spent") % {**row, "year": account["school_year"]}
    for row in values["records"]:
        yield from _record_lines(row, values["rounds"])
    yield from round_lines(values["rounds"])


def _grant_lines(values: Values) -> Iterator[str]:
    if values["address"]:
        return
    if values["requested"]:
        yield _("not joined yet: the request is made, and this node waits for the county's grant")
        yield _("  when it has come: fedscreen node setup GRANT")
    else:
        yield _("not joined yet: fedscreen node setup, with the county's invitation or card")


def _running_lines(running: Values, certificate_days: int | None) -> Iterator[str]:
    if certificate_days is not None:
        yield _("  certificate holds for %(days)s days") % {"days": certificate_days}
    if not running:
        yield _("  not running; reports are sent by 'fedscreen node run'")
        return
    for name in SIDES:
        side = running[name]
        values = {"side": word(SIDES, name, _), "level": side["level"] or _("stopped")}
        yield _("  %(side)s: %(level)s, started %(starts)s times") % {**values, "starts": side["starts"]}
        if side["last_error"]:
            yield f"    {side['last_error']}"
    for call, link in running["link"].items():
        words = {"call": word(CALLS, call, _), "status": link["status"], "at": local_time(link["at"])}
        if link["status"] == 0 and call == "report":
            yield _("  last report delivered: %(at)s") % words
        elif link["status"] == 0:
            yield _("  the county answers since %(at)s") % words
        else:
            yield _("  the county does not answer or refuses (%(call)s): code %(status)s at %(at)s") % words


def _role_lines(holders: list[dict[str, Any]]) -> Iterator[str]:
    for role in ("psychologist", "principal"):
        names = _(", ").join(row["name"] for row in holders if row["role"] == role)
        yield "  " + _("%(role)s: %(names)s") % {
            "role": word(ROLE_WORDS, role, _),
            "names": names or _("nobody yet"),
        }


def _record_lines(row: Values, rounds: list[dict[str, Any]]) -> Iterator[str]:
    """Show a wave's records: an entry into the form of the follow-up changes them as an import does."""
    changed = row.get("changed", row["imported"])
    shown = {**row, "imported": local_time(row["imported"]), "changed": local_time(changed)}
    yield _("  records %(school_year)s %(wave)s: %(num_records)s, imported %(imported)s") % shown
    if changed != row["imported"]:
        yield _("    changed on %(changed)s by what was typed into the follow-up form") % shown
    released = [
        (item["report"].get("released", ""), item["round"])
        for item in rounds
        if (item["school_year"], item["wave"]) == (row["school_year"], row["wave"])
    ]
    when, round_id = max(released, default=("", ""))
    if when and changed > when:
        told = {"round": round_id[:SHORT], "released": local_time(when)}
        yield _("    not as in round %(round)s, released on %(released)s: they changed since") % told
