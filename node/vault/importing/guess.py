"""Propose an import profile from a file's headers and values, for a person to confirm.

A proposal decides nothing that two systems might mean differently: it lists what was recognised, and leaves
the rest as remarked-out lines with a question mark. Read as it stands it is a valid profile that refuses
exactly those labels.

What it repeats of a file are headers, and the labels of columns that were recognised as coded fields, if
they are few, short and no numbers as identifiers have. It never repeats a cell of any other column.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from node.vault.errors import CommandError, _
from node.vault.importing.cells import Cell, clean_text, column_letters, is_blank, says_nothing
from node.vault.importing.errors import refuse_file
from node.vault.importing.guess_words import FACTORS, HEADERS, JUNIOR_GRADES, LABELS
from node.vault.importing.headers import SEARCHED_ROWS, find_header, header_key
from node.vault.importing.profile import CODED, EITHER, REQUIRED, match_key
from node.vault.importing.reader import Sheet, read_sheets

MAX_FILES: Final = 8
MAX_LABELS_SHOWN: Final = 40
MAX_LABEL_CHARS: Final = 16
FEW_SHARE: Final = 4  # labels are fewer than a quarter of the rows, or few in all
FEW_LABELS: Final = 12

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?\Z", re.ASCII)
_IDENTIFIER = re.compile(r"[0-9]{5}", re.ASCII)
_ENTRY_YEAR = re.compile(r"(20[0-9]{2})级\Z", re.ASCII)
_NEEDED: Final = REQUIRED | {"guardian_consent"}
_TESTS: Final = frozenset({"level", "total", "validity", "administered_on", "validity_score"})


@dataclass(frozen=True, slots=True)
class Guess:
    """A proposal: the profile's text, and what was recognised, without any cell."""

    toml: bytes
    answer: dict[str, Any]


@dataclass(slots=True)
class _File:
    """One file as far as it was recognised: headers by field, labels by coded field."""

    part: str
    fields: dict[str, str] = field(default_factory=dict)
    factors: dict[str, str] = field(default_factory=dict)
    labels: dict[str, Counter[str]] = field(default_factory=dict, repr=False)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    num_rows: int = 0


def guess_profile(files: Mapping[str, bytes], school_year: str = "") -> Guess:
    """Propose a profile for one or more files of a school.

    Args:
        files: bytes by any name; which is the roster and which the platform's is recognised.
        school_year: helps with grades that are named by the year of entry.

    Raises:
        CommandError: no file, or too many.
        ImportingError: one of them is no table, or nothing in it is recognised.
    """
    if not 1 <= len(files) <= MAX_FILES:
        raise CommandError(_("1 to %(most)d files are looked at"), details={"most": MAX_FILES})
    opened = {part: read_sheets(part, data) for part, data in files.items()}
    instrument = _instrument_of(opened)
    found = [_recognise(part, sheets, instrument) for part, sheets in opened.items()]
    open_questions: list[str] = []
    toml = _write(found, instrument, school_year, open_questions)
    answer = {
        "instrument": instrument,
        "open": len(open_questions),
        "missing": [name for name in HEADERS if name in _NEEDED and not any(name in f.fields for f in found)],
        "files": [
            {
                "part": item.part,
                "rows": item.num_rows,
                "recognised": sorted((*item.fields, *item.factors)),
                "unknown_columns": [letters for letters, _header in item.unknown],
            }
            for item in found
        ],
    }
    return Guess(toml.encode("utf-8"), answer)


def _known(instrument: str) -> dict[str, str]:
    known = {header_key(alias): name for name, aliases in HEADERS.items() for alias in aliases}
    return known | {
        header_key(title): f"factor.{name}" for title, name in FACTORS.get(instrument, {}).items()
    }


def _instrument_of(opened: Mapping[str, list[Sheet]]) -> str:
    """Name the ready codebook most of whose factors stand in a header; empty if less than half do."""
    rows = [row for sheets in opened.values() for sheet in sheets for row in sheet.rows[:SEARCHED_ROWS]]
    headers = [{header_key(cell) for cell in row} for row in rows]
    best, most = "", 0.5
    for name, titles in FACTORS.items():
        num_factors = len(set(titles.values()))
        for keys in headers:
            share = len({titles[key] for key in keys if key in titles}) / num_factors
            if share > most:
                best, most = name, share
    return best


def _recognise(part: str, sheets: list[Sheet], instrument: str) -> _File:
    known = _known(instrument)
    best: tuple[int, Sheet, tuple[int, int]] | None = None
    for sheet in sheets:
        block = find_header(sheet.rows, known)
        if block is None or sheet.is_hidden:
            continue
        hits = sum(header_key(cell) in known for row in sheet.rows[block[0] : block[1]] for cell in row)
        if best is None or hits > best[0]:
            best = (hits, sheet, block)
    if best is None:
        raise refuse_file(part, "header-not-found", allowed=str(SEARCHED_ROWS))
    _hits, sheet, block = best
    return _read_columns(part, sheet.rows, block, known)


def _read_columns(
    part: str, rows: list[list[Cell]], block: tuple[int, int], known: Mapping[str, str]
) -> _File:
    item = _File(part)
    body = [row for row in rows[block[1] :] if not all(map(is_blank, row))]
    item.num_rows = len(body)
    width = max(len(row) for row in rows[block[0] : block[1]])
    for index in range(width):
        titles = [
            clean_text(cell)
            for row in rows[block[0] : block[1]]
            if index < len(row) and isinstance(cell := row[index], str) and not is_blank(cell)
        ]
        title = next((text for text in reversed(titles) if header_key(text) in known), "")
        if not title:
            item.unknown.append((column_letters(index), titles[-1] if titles else ""))
            continue
        name = known[header_key(title)]
        if name.startswith("factor."):
            item.factors.setdefault(name.removeprefix("factor."), title)
        elif item.fields.setdefault(name, title) == title and (name in CODED or name == "level"):
            cells = (row[index] for row in body if index < len(row))
            item.labels[name] = Counter(text for cell in cells if (text := _label(cell)))
    is_test = bool(_TESTS & item.fields.keys()) or bool(item.factors)
    item.part = "screening" if is_test else ("roster" if "student_no" in item.fields else part)
    return item


def _label(cell: Cell) -> str:
    if isinstance(cell, float) and cell == cell // 1:
        return str(int(cell))
    return "" if not isinstance(cell, str) or says_nothing(cell) else clean_text(cell)


def _shown(labels: Counter[str], num_rows: int) -> list[str]:
    """Give the labels that may be shown: a coded column has few and short ones, many times each."""
    if len(labels) > max(FEW_LABELS, num_rows // FEW_SHARE) or len(labels) > MAX_LABELS_SHOWN:
        return []
    return sorted(text for text in labels if len(text) <= MAX_LABEL_CHARS and not _IDENTIFIER.search(text))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write(found: Sequence[_File], instrument: str, school_year: str, questions: list[str]) -> str:
    lines = [
        "# 导入模板草案:由表头和取值推测,须由人逐条核对后使用。带 ? 的行请补全后去掉行首的 #。",
        "# A proposal from headers and values: check each line; complete those with a ?, take their # away.",
        "",
        'id = "my-platform"',
        'version = "1"',
        'title = "本校导入模板(待核对)"',
        f"join = {_text(_join(found))}",
        'levels = ""                    # 量表口径中的标签组,如 third-is-severe 或 first-is-severe,见下',
        f"optional = {json.dumps(_optional(found))}",
        "",
        "[columns]",
    ]
    fields: dict[str, list[str]] = {}
    factors: dict[str, list[str]] = {}
    labels: dict[str, Counter[str]] = {}
    for item in found:
        for into, names in ((fields, item.fields), (factors, item.factors)):
            for name, title in names.items():
                if title not in into.setdefault(name, []):
                    into[name].append(title)
        for name, counts in item.labels.items():
            shown = {text: counts[text] for text in _shown(counts, item.num_rows)}
            labels.setdefault(name, Counter()).update(shown)
    for name in HEADERS:
        if name in fields:
            lines.append(f"{name} = [{', '.join(map(_text, fields[name]))}]")
        elif name in ("student_no", "grade", "administered_on", "level", "total"):
            questions.append(name)
            lines.append(f'# {name} = ["?"]            # 必填 required')
    lines += _unknown_lines(found)
    if factors:
        lines += ["", f"[factors]                      # {instrument}"]
        lines += [f"{name} = [{', '.join(map(_text, titles))}]" for name, titles in factors.items()]
    for name in HEADERS:
        if name in labels and name in CODED:
            lines += _label_lines(name, labels[name], school_year, questions)
    lines += _level_lines(labels.get("level", Counter()), questions)
    return "\n".join(lines) + "\n"


def _join(found: Sequence[_File]) -> str:
    """Join by number where both files have one; else, if names and classes are there, by person."""
    has_person = all(
        {"name", "class_no"} <= item.fields.keys() or "local_no" in item.fields for item in found
    )
    has_number = all("student_no" in item.fields for item in found)
    return "auto" if has_person and not has_number else "student_no"


def _optional(found: Sequence[_File]) -> list[str]:
    named = {name for item in found for name in item.fields}
    return sorted(named & EITHER & {"absence", "migrant", "groups", "student_informed"})


def _unknown_lines(found: Sequence[_File]) -> list[str]:
    lines = []
    for item in found:
        titles = [
            f"{letters} {title[:MAX_LABEL_CHARS]}"
            for letters, title in item.unknown
            if title and not _IDENTIFIER.search(title)
        ]
        if titles:
            lines.append(
                f"# {item.part}: 未识别、不会读取的列 columns not recognised: {'; '.join(titles[:40])}"
            )
    return lines


def _label_lines(name: str, labels: Counter[str], school_year: str, questions: list[str]) -> list[str]:
    codes = LABELS.get(name, {})
    lines, seen = ["", f"[values.{name}]"], set()
    for text in sorted(labels):
        key = match_key(text)
        if key in seen:
            continue
        seen.add(key)
        code = codes.get(key)
        if code is not None:
            lines.append(f"{_text(text)} = {_code(code)}")
            continue
        questions.append(f"{name}: {text}")
        hint = _grade_hint(key, school_year) if name == "grade" else ""
        lines.append(f"# {_text(text)} = ?{hint}")
    if len(seen) == 0 or lines[2:] == [] or all(line.startswith("#") for line in lines[2:]):
        first = next(iter(codes.items()), None)  # a table must be there; this label does no harm
        if first is not None:
            lines.append(f"{_text(first[0])} = {_code(first[1])}")
    return lines


def _code(code: str) -> str:
    return code if code.isascii() and code.isdigit() else _text(code)


def _grade_hint(key: str, school_year: str) -> str:
    found = _ENTRY_YEAR.match(key)
    if found and school_year[:4].isdigit():
        grade = int(school_year[:4]) - int(found[1]) + 1
        return f"                  # {grade},若为小学入学年 if the year of entry into grade 1"
    for system, labels in JUNIOR_GRADES.items():
        if key in labels and system == "6-3":
            other = JUNIOR_GRADES["5-4"].get(key, "")
            return f"                  # 六三学制 {labels[key]};五四学制 {other}"
    return ""


def _level_lines(labels: Counter[str], questions: list[str]) -> list[str]:
    """List the platform's level labels; what they mean is the codebook's to say."""
    shown = [text for text in sorted(labels) if not _NUMBER.match(text)]
    numbers = [text for text in sorted(labels) if _NUMBER.match(text)]
    lines = []
    if shown:
        lines += ["", f"# 预警等级的取值 level labels: {', '.join(shown)}"]
        lines.append(
            "# 含义由量表口径(codebook)决定;“三级”在有的地方最重,在有的地方最轻,请核对后填写上面的 levels。"
        )
        if any("级" in text for text in shown):
            questions.append("levels")
    if numbers:
        questions.append("level numbers")
        lines.append(
            "# 等级为纯数字:须由平台导出文字标签,或在量表口径中声明含义。bare numbers need a codebook."
        )
    return lines
