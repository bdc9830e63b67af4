"""Which names of the standard library Windows does not have: read from the type stubs, for this Python.

The stubs say `if sys.platform != "win32":`, and that is the best list there is. `MODULES` are whole modules
that are missing there.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from functools import cache
from pathlib import Path

MODULES = frozenset(
    {"crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "readline"}
    | {"resource", "spwd", "syslog", "termios", "tty"}
)
LOOKED_AT = ("os", "signal", "socket", "select", "time", "subprocess", "stat", "asyncio", "multiprocessing")


@cache
def missing_on_windows(module: str) -> frozenset[str]:
    """Names of a module that Linux has and Windows has not."""
    return frozenset(_names(module, "linux") - _names(module, "win32"))


def _names(module: str, platform: str) -> set[str]:
    stub = _stub(module)
    return _defined(ast.parse(stub.read_text("utf-8")).body, platform)


def _stub(module: str) -> Path:
    found = importlib.util.find_spec("mypy")
    if found is None or found.origin is None:
        raise RuntimeError("mypy brings the type stubs of the standard library")
    folder = Path(found.origin).parent / "typeshed" / "stdlib"
    package = folder / module / "__init__.pyi"
    return package if package.is_file() else folder / f"{module}.pyi"


def _defined(body: list[ast.stmt], platform: str) -> set[str]:
    found: set[str] = set()
    for item in body:
        if isinstance(item, ast.If):
            found |= _defined(item.body if _holds(item.test, platform) else item.orelse, platform)
        elif isinstance(item, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            found.add(item.name)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            found.add(item.target.id)
        elif isinstance(item, ast.Assign):
            found |= {target.id for target in item.targets if isinstance(target, ast.Name)}
        elif isinstance(item, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name for alias in item.names}
    return found


def _holds(test: ast.expr, platform: str) -> bool:
    if isinstance(test, ast.BoolOp):
        parts = [_holds(value, platform) for value in test.values]
        return all(parts) if isinstance(test.op, ast.And) else any(parts)
    if isinstance(test, ast.UnaryOp):
        return not _holds(test.operand, platform)
    text = ast.unparse(test)
    if "sys.platform" in text or "sys.version_info" in text:

        class System:
            version_info = sys.version_info

        System.platform = platform  # type: ignore[attr-defined]
        return bool(eval(compile(ast.Expression(test), "stub", "eval"), {"sys": System}))
    return False
