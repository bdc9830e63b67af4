"""The command ``template``: what a workbook for a paper school is made from.

Takes the file ``codebook`` (labels, factors and ranges for the columns) and, if it is given, ``roster``: the
school's own list, whose names and numbers come back for the workbook. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.vault.enrol import load_identity
from node.vault.errors import CommandError, _, shown_as
from node.vault.fields import Answer, Fields, Files, Handler
from node.vault.importing.errors import CODEBOOK, ROSTER
from node.vault.importing.template_roster import read_template_roster
from node.vault.open_vault import OpenVault
from plan.codebook import Codebook, parse_codebook_toml
from plan.codes import LEVEL
from plan.errors import CodebookError, phrase
from plan.scores import encode_score


def _template(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow("levels", "sheet")
    identity = load_identity(desk.store)
    codebook = _read_codebook(files.get(CODEBOOK, b""))
    named = fields.text("levels", 80) if fields.has("levels") else ""
    answer: dict[str, Any] = {
        "operator": identity.operator,
        "system": identity.system,
        "instrument": _instrument(codebook),
        **_levels(codebook, named),
        "pupils": [],
        "issues": [],
        "refused": 0,
    }
    if ROSTER in files:
        sheet = fields.text("sheet", 80) if fields.has("sheet") else ""
        rows, issues = read_template_roster(files[ROSTER], identity.system, sheet)
        is_refused = any(issue.severity == "error" for issue in issues)
        answer["issues"] = [issue.as_json() for issue in issues]
        answer["refused"] = int(is_refused)
        answer["pupils"] = [] if is_refused else rows
    return answer, {}


def _read_codebook(data: bytes) -> Codebook:
    try:
        return parse_codebook_toml(data)
    except CodebookError as err:
        expected = shown_as("expected", err.problems[0].allowed)
        place = shown_as("place", phrase("%(key)s", key=err.problems[0].key or "-"))
        raise CommandError(
            _("the codebook is not valid at %(place)s: expected %(expected)s"),
            _("Take a ready codebook or the one that the county signed."),
            code="codebook-invalid",
            details={**place, **expected},
        ) from None


def _instrument(codebook: Codebook) -> dict[str, Any]:
    return {
        "id": codebook.id,
        "title": codebook.title,
        "total": [encode_score(codebook.total.low), encode_score(codebook.total.high)],
        "has_validity": int(codebook.validity is not None),
        "factors": [
            [item.id, item.title, encode_score(item.range.low), encode_score(item.range.high)]
            for item in codebook.factors
        ],
    }


def _levels(codebook: Codebook, named: str) -> dict[str, Any]:
    """Choose one label for each level: the common one if the codebook has it, else its first.

    Raises:
        CommandError: no such label set, or several that read their labels differently and none was named.
    """
    for name in [named] if named else ["", *(labels.name for labels in codebook.label_sets)]:
        chosen = _labels_of(codebook, name)
        if "0" in chosen and "3" in chosen and (name == named or len(codebook.label_sets) == 1):
            return {"levels": name, "labels": chosen}
    names = ", ".join(labels.name for labels in codebook.label_sets)
    raise CommandError(
        _("the codebook has several sets of level labels (%(names)s), and they read labels differently"),
        _("Name one with --levels."),
        code="which-levels",
        details={"names": names},
    )


def _labels_of(codebook: Codebook, label_set: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for level, common in LEVEL.items():
        texts = [
            label
            for labels in codebook.label_sets
            if label_set in ("", labels.name)
            for label, code in labels.labels
            if code == level and _means(codebook, label, label_set, level)
        ]
        preferred = [common, *common.split("/"), "无效", *texts]
        known = next((text for text in preferred if text in texts), "")
        if known:
            found[level] = known
    return found


def _means(codebook: Codebook, label: str, label_set: str, level: str) -> bool:
    try:
        return codebook.level_of(label, label_set) == level
    except CodebookError:
        return False


COMMANDS: Final[Mapping[str, Handler]] = {"template": _template}
