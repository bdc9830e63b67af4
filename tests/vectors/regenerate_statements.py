"""Write statements.json, the text of one statement of each type, and statements_bad_texts.json.

    python tests/vectors/regenerate_statements.py [--check]

The examples are those of tests/statement_samples.py. A bad text is refused by whoever reads it.
"""

import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[level]) for level in (2, 1, 0)]

from statement_samples import EXAMPLES  # noqa: E402
from vector_files import made_by, main  # noqa: E402

from protos.statements import encode_statement  # noqa: E402

SOURCE = made_by("regenerate_statements.py")


def texts() -> dict[str, str]:
    """The text of one statement of each type."""
    return {name: encode_statement(example) for name, example in EXAMPLES.items()}


def good() -> dict[str, Any]:
    """The good texts."""
    return {"source": SOURCE, "texts": texts()}


def refused() -> dict[str, Any]:
    """Texts with one fault each."""
    agreement, plan = texts()["agreement"], texts()["plan"]
    bad = {
        "no line feed at the end": agreement[:-1],
        "two line feeds at the end": agreement + "\n",
        "carriage returns": agreement.replace("\n", "\r\n"),
        "tab": agreement.replace("auditor a1", "auditor\ta1"),
        "two spaces": agreement.replace("auditor a1", "auditor  a1"),
        "space at the end of a line": agreement.replace("auditor a1", "auditor a1 "),
        "upper-case hex": agreement.replace("22" * 32, "2A" * 32),
        "short digest": agreement.replace("22" * 32, "22" * 31),
        "other version": agreement.replace("/v1", "/v2"),
        "unknown type": agreement.replace("/agreement/", "/agreemant/"),
        "other order": "".join(sorted(agreement.splitlines(keepends=True), reverse=True)),
        "unknown key": agreement + "more 1\n",
        "leading zero": plan.replace("serial 1", "serial 01"),
        "plus sign": plan.replace("serial 1", "serial +1"),
        "above u64": plan.replace("serial 1", "serial 18446744073709551616"),
        "fraction not in lowest terms": plan.replace("rho 1/5", "rho 2/10"),
        "fraction over zero": plan.replace("rho 1/5", "rho 1/0"),
        "time with offset": plan.replace("2026-09-01T00:00:00Z", "2026-09-01T08:00:00+08:00"),
        "impossible date": plan.replace("2026-09-01", "2026-02-30"),
        "noise without thresholds": plan.replace("noise A1 64 14000 " + "11" * 32, "noise A1 64 14000"),
        "not in normal form C": agreement.replace("auditor a1", "auditor e\u0301"),
        "byte order mark": "\ufeff" + agreement,
        "swapped lines": agreement.replace("auditor a1\n", "").replace("/v1\n", "/v1\nauditor a1\n"),
        "a line twice": agreement.replace("auditor a1\n", "auditor a1\n" * 2),
        "a line missing": agreement.replace("auditor a1\n", ""),
        "padding bits not zero": texts()["approval"].replace("A==\n", "B==\n").replace("A=\n", "B=\n"),
        "a subset of nobody": texts()["opening"].replace("sum 3 ", "sum 0 "),
        "empty": "",
    }
    cases = [{"name": name, "text": text, "error": "StatementError"} for name, text in bad.items()]
    return {"source": SOURCE, "cases": cases}


FILES = {"statements.json": good, "statements_bad_texts.json": refused}

if __name__ == "__main__":
    sys.exit(main(FILES, sys.argv[1:]))
