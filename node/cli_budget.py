"""`fedscreen node budget` for people: a bar, one line a round, and what it means, without mathematics first.

The bar is ASCII, so that every console shows it. What the vault answers holds no count of pupils; which ready
plans still fit is worked out here, because the vault opens no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from gettext import gettext as _
from importlib.resources import files
from typing import Any

from node.cli_text import SHORT, Values, rational
from plan.document import parse_plan_toml
from privacy.risk import times_in_100
from privacy.sensitivity import Neighbouring
from privacy.year_account import rounds_that_fit

BAR_WIDTH = 40


def N_(message: str) -> str:  # noqa: N802
    """Mark a message for the translation catalogue; it is translated where it is shown."""
    return message


_SURE = N_(
    "  Somebody who knows every other pupil's record and sees all that is published this year names the "
    "right one at most %(times)s times in 100; blind guessing makes 50."
)


def ready_fits(answer: Values) -> list[dict[str, Any]]:
    """Say for each ready plan how many more rounds of it the account carries.

    A plan that costs more than the school allows for one round fits never.
    """
    left, most = Fraction(answer["left"]), Fraction(answer["rho_round"])
    found = []
    for item in sorted(files("plan").joinpath("ready").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".toml"):
            plan = parse_plan_toml(item.read_bytes())
            times = rounds_that_fit(left, plan.rho) if plan.rho <= most else 0
            found.append({"id": plan.id, "title": plan.title, "rho": str(plan.rho), "fits": times})
    return found


def budget_lines(answer: Values) -> Iterator[str]:
    """Show the meter of a school year."""
    yield _("privacy account of the school year %(school_year)s, %(operator)s (%(node)s)") % answer
    yield from _meter_lines(answer)
    yield from _round_lines(answer)
    yield _("what that means for one pupil")
    yield from meaning_lines(answer)
    yield _("the same in the terms of the literature")
    yield from expert_lines(answer)
    if answer["rounds"]:
        yield from alone_lines(answer)
    if answer["is_current"]:
        yield from _fit_lines(answer)
    others = [year for year in answer["years"] if year != answer["school_year"]]
    if others:
        yield _("other years: %(years)s (--year YEAR)") % {"years": ", ".join(others)}


def bar(share: Fraction) -> str:
    """Draw how much of the account is spent: a share above 0 always shows."""
    filled = min(BAR_WIDTH, -(-share * BAR_WIDTH // 1))
    return f"[{'#' * filled}{'-' * (BAR_WIDTH - filled)}]"


def _meter_lines(answer: Values) -> Iterator[str]:
    spent, cap = Fraction(answer["spent"]), Fraction(answer["cap"])
    share = spent / cap
    yield _("  %(bar)s  %(percent)s %% spent") % {"bar": bar(share), "percent": f"{float(100 * share):.0f}"}
    numbers = {name: rational(answer[name]) for name in ("spent", "cap", "left")}
    yield _(
        "  %(spent)s of %(cap)s spent, %(left)s left (rho); the school can lower the cap, nobody can raise it"
    ) % (numbers)


def _round_lines(answer: Values) -> Iterator[str]:
    if not answer["rounds"]:
        yield _("no round has been charged in this school year")
        return
    yield _("rounds of this school year")
    for row in answer["rounds"]:
        title = row["title"] or _("(its plan is not in this copy of the log)")
        head = {
            "round": row["round"][:SHORT],
            "date": row["census_date"] or row["charged"][:10],
            "title": title,
        }
        yield _("  %(round)s  %(date)s  %(title)s") % head
        yield _("    cost %(rho)s; %(source)s") % {"rho": rational(row["rho"]), "source": source(row)}
        if row["predecessors"]:
            names = {"names": ", ".join(row["predecessors"])}
            yield _("    also reported by %(names)s, which this school has taken over") % names


def source(row: Values) -> str:
    """Say from where a round is known."""
    if row["given_back"]:
        return _("given back: the auditors have destroyed its keys unopened")
    if row["in_store"] and row["in_log"]:
        return _("known to this node and to the log")
    if row["in_log"]:
        return _("known from the log alone")
    return _("known to this node alone: charged, not yet in the log")


def meaning_lines(answer: Values) -> Iterator[str]:
    """Say what the year's cost means for one pupil."""
    times = {"times": times_in_100(answer["risks"][answer["relation"]]["guess"])}
    if not answer["rounds"]:
        yield _("  Nothing has been published about this school's pupils in this school year.")
    elif answer["relation"] == Neighbouring.REPLACE_ONE:
        yield _("  Think of two records that a pupil may have, both equally likely.")
        yield _(_SURE) % times
    else:
        yield _("  Think of a pupil who is in the data or is not, both equally likely.")
        yield _(_SURE) % times
    if Fraction(answer["spent"]) < Fraction(answer["cap"]):
        at_cap = {"times": times_in_100(answer["at_cap"]["guess"])}
        yield (
            _("  Once the whole account is spent, a guess would be right at most %(times)s times in 100.")
            % at_cap
        )


def expert_lines(answer: Values) -> Iterator[str]:
    """Say the same as (epsilon, delta), under both relations."""
    for relation, risk in answer["risks"].items():
        name = (
            _("replace one record") if relation == Neighbouring.REPLACE_ONE else _("add or remove one record")
        )
        mark = _("  <- claimed") if relation == answer["relation"] else ""
        values = {
            "name": name,
            "rho": rational(risk["rho"]),
            "epsilon": f"{risk['epsilon']:.3g}",
            "delta": f"{risk['delta']:g}",
            "guess": f"{100 * risk['guess']:.1f}",
            "gaussian": f"{100 * risk['gaussian_guess']:.1f}",
            "mark": mark,
        }
        yield (
            _(
                "  %(name)s: rho %(rho)s, epsilon %(epsilon)s at delta %(delta)s, "
                "bet won at most %(guess)s %% (Gaussian noise: %(gaussian)s %%)%(mark)s"
            )
            % values
        )
    most = max(risk["total_delta"] - risk["delta"] for risk in answer["risks"].values())
    yield _("  the sampler's distance adds at most %(most)s to delta") % {"most": f"{most:.1g}"}


def alone_lines(answer: Values) -> Iterator[str]:
    """Say what would be left if enough auditors broke the rules together."""
    alone = answer["alone"]
    if not alone["auditors"]:
        return
    yield (
        _("this holds while no more than %(collude)s of the %(auditors)s auditors side with the county")
        % alone
    )
    yield _("  If %(threshold)s of them broke the rules together, with or without the county,") % alone
    yield (
        _(
            "  nothing would be left but this school's own share of the noise: rho %(rho)s, the right record "
            "up to %(times)s times in 100. Auditors outside the county's own line are there to prevent that."
        )
        % {"rho": rational(alone["rho"]), "times": times_in_100(alone["guess"])}
    )


def _fit_lines(answer: Values) -> Iterator[str]:
    yield _("what still fits into this school year")
    for row in answer["fits"]:
        values: Mapping[str, object] = {**row, "rho": rational(row["rho"])}
        if Fraction(row["rho"]) > Fraction(answer["rho_round"]):
            yield _("  %(title)s (%(id)s), rho %(rho)s: more than this school allows for one round") % values
        else:
            yield _("  %(title)s (%(id)s), rho %(rho)s: %(fits)s more") % values
