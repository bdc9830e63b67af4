"""Write tests/vectors/statements.json: the text of one statement of each type, and texts that are refused.

Run as `python tests/vectors/regenerate_statements.py`; the examples are those of the test module.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write the file anew."""
    spec = importlib.util.spec_from_file_location("examples", HERE.parent / "protos" / "test_statements.py")
    if spec is None or spec.loader is None:
        raise SystemExit("tests/protos/test_statements.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    texts = {name: module.encode_statement(example) for name, example in module.EXAMPLES.items()}
    agreement, plan = texts["agreement"], texts["plan"]
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
        "empty": "",
    }
    head = {"made by": "fedscreen, regenerate_statements.py", "texts": texts, "bad": bad}
    (HERE / "statements.json").write_text(json.dumps(head, indent=1, ensure_ascii=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
