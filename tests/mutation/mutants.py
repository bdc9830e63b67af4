"""Every small change of a module's source that its tests should notice, one at a time.

    a comparison                its neighbour and its opposite: `<` gives `<=` and `>=`, `==` gives `!=`
    an integer                  one more, one less, 0; a truth value the other one
    a text or bytes             another first character, another last one, nothing; a regular expression
                                another one at every place
    an index, a slice's bound   one more, one less; a bound also gone
    + - * / // % ** << >> & | ^   another operator, also in `x += y`
    and or not - ~              the other one or gone; each operand of `and`, `or` gone
    min max any all             the other one
    a plain value as condition  its negation
    return x, raise, a call for its effect, x += y, a.b = c, a[i] = c, continue, break      gone
    a tuple of exceptions       each of them gone

Left alone: docstrings and comments, annotations and type aliases, imports, and what an exception is told: its
message is for people (that it is raised at all is not left alone).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, EllipsisType
from typing import Any

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
SWAPS = {"min": "max", "max": "min", "any": "all", "all": "any"}
NOT_VISITED = {"annotation", "returns", "bases", "type_params"}  # fields of a node that only say types
GENERIC = re.compile(r"(np\.)?[A-Z]\w*[a-z]\w*|list|dict|tuple|set|type")  # X of X[...] that is a type
_REGEX_LIKE = re.compile(r"[\[\\]")


@dataclass(frozen=True)
class Slot:
    """A place in a tree: one field of a node, or one item of a field that is a list."""

    parent: ast.AST
    field: str
    index: int | None

    def get(self) -> ast.AST:
        """Return what stands there."""
        value = getattr(self.parent, self.field)
        found: ast.AST = value if self.index is None else value[self.index]
        return found

    def put(self, node: ast.AST | None) -> None:
        """Put another node there."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, in words that stay true when lines are moved, and how to make it."""

    number: int
    line_number: int
    where: str  # the function or class it is in, "" for the module
    line: str
    change: str
    slot: Slot
    replacement: ast.AST | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies it in the list of survivors."""
        return self.where, self.line, self.change


class MutatedModule:
    """A module's source and its mutants."""

    def __init__(self, source: str, filename: str = "<source>") -> None:
        """Parse the source and find every mutant."""
        self._tree = ast.parse(source)
        self._filename = filename
        self.mutants = tuple(_number(self._tree, source))

    def code(self, mutant: Mutant | None = None) -> CodeType:
        """Compile the module with one change, or with none."""
        if mutant is None:
            return compile(self._tree, self._filename, "exec")
        original = mutant.slot.get()
        mutant.slot.put(mutant.replacement and ast.copy_location(mutant.replacement, original))
        try:
            ast.fix_missing_locations(self._tree)
            return compile(self._tree, self._filename, "exec")
        finally:
            mutant.slot.put(original)


def _number(tree: ast.Module, source: str) -> Iterator[Mutant]:
    lines = source.splitlines()
    seen: Counter[tuple[str, str, str]] = Counter()
    for number, (where, slot, replacement) in enumerate(_all_changes(tree)):
        original = slot.get()
        line_number: int = getattr(original, "lineno", None) or slot.parent.lineno  # type: ignore[attr-defined]
        line, change = lines[line_number - 1].strip(), f"{_show(original)} -> {_show(replacement)}"
        seen[where, line, change] += 1
        again = seen[where, line, change]
        change = change if again == 1 else f"{change} #{again}"
        yield Mutant(number, line_number, where, line, change, slot, replacement)


def _show(node: ast.AST | None) -> str:
    match node:
        case None | ast.Pass():
            return "nothing"
        case ast.ExceptHandler(type=caught):
            return f"except {_show(caught)}"
        case ast.If(test=test):
            return f"if {_show(test)}"
        case ast.While(test=test):
            return f"while {_show(test)}"
        case ast.match_case(guard=guard):
            return f"case if {_show(guard)}"
    return ast.unparse(node)


def _all_changes(tree: ast.Module) -> Iterator[tuple[str, Slot, ast.AST | None]]:
    for where, slot in list(_slots(tree, ())):
        for replacement in _changes(slot.get(), slot):
            yield where, slot, replacement


def _slots(node: ast.AST, where: tuple[str, ...]) -> Iterator[tuple[str, Slot]]:
    """Walk all places that hold code, in the order of the source."""
    for field, value in ast.iter_fields(node):
        if field in NOT_VISITED:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if not isinstance(child, ast.AST) or _is_left_alone(child, node, field, index):
                continue
            yield ".".join(where), Slot(node, field, index)
            name = child.name if isinstance(child, ast.FunctionDef | ast.ClassDef) else None
            yield from _slots(child, (*where, name) if name else where)


def _is_left_alone(child: ast.AST, parent: ast.AST, field: str, index: int | None) -> bool:
    match child:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant(value=str() | EllipsisType())):
            return True
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Subscript(value=ast.Name() | ast.Attribute() as base) if GENERIC.fullmatch(
            ast.unparse(base)
        ):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
    return isinstance(parent, ast.Raise) and field in ("exc", "cause")


def _changes(node: ast.AST, slot: Slot) -> Iterator[ast.AST | None]:
    yield from _changed_statement(node)
    if isinstance(node, ast.expr):
        yield from _changed_expression(node, slot)


def _changed_statement(node: ast.AST) -> Iterator[ast.AST | None]:
    match node:
        case ast.Return(value=value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(None) if value else ast.Pass()
        case ast.Raise() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript() | ast.Tuple(elts=[ast.Attribute(), *_])]):
            yield ast.Pass()
        case ast.AugAssign(target, op, value):
            yield ast.Pass()
            yield ast.AugAssign(target, OPERATORS[type(op)](), value)
        case ast.If(test, body, orelse) if _is_plain(test):
            yield ast.If(_negated(test), body, orelse)
        case ast.While(test, body, orelse) if _is_plain(test):
            yield ast.While(_negated(test), body, orelse)
        case ast.match_case(pattern, ast.expr() as guard, body) if _is_plain(guard):
            yield ast.match_case(pattern, _negated(guard), body)
        case ast.ExceptHandler(ast.Tuple(elts=caught), name, body):
            for i in range(len(caught)):
                fewer = ast.Tuple(caught[:i] + caught[i + 1 :], ast.Load())
                yield ast.ExceptHandler(fewer, name, body)


def _is_plain(test: ast.expr) -> bool:
    return not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp)


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _changed_expression(node: ast.expr, slot: Slot) -> Iterator[ast.AST | None]:
    match node:
        case ast.Compare(left, ops, comparators):
            for i, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    yield ast.Compare(left, [*ops[:i], other(), *ops[i + 1 :]], comparators)
        case ast.BinOp(left, op, right):
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
            for i in range(len(values)):
                rest = values[:i] + values[i + 1 :]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
        case ast.IfExp(test, body, orelse) if _is_plain(test):
            yield ast.IfExp(_negated(test), body, orelse)
        case ast.Name(id=name) if name in SWAPS and isinstance(slot.parent, ast.Call):
            yield ast.Name(SWAPS[name], ast.Load())
        case ast.Constant():
            yield from map(ast.Constant, _changed_constant(node.value, is_in_text=slot.field == "values"))
        case ast.Slice() | ast.Subscript():
            pass
    if isinstance(slot.parent, ast.comprehension) and slot.field == "ifs" and _is_plain(node):
        yield _negated(node)
    if isinstance(slot.parent, ast.Slice) and slot.field in ("lower", "upper"):
        yield None
        yield from _moved(node)
    elif isinstance(slot.parent, ast.Subscript) and slot.field == "slice":
        yield from _moved(node)


def _moved(place: ast.expr) -> Iterator[ast.AST]:
    """One more and one less, unless a constant in it does just that."""
    match place:
        case ast.Constant() | ast.UnaryOp(operand=ast.Constant()) | ast.Slice() | ast.Tuple() | ast.Compare():
            return
        case ast.BinOp(op=ast.Add() | ast.Sub(), right=ast.Constant()):
            return
    yield ast.BinOp(place, ast.Add(), ast.Constant(1))
    yield ast.BinOp(place, ast.Sub(), ast.Constant(1))


def _changed_constant(value: Any, *, is_in_text: bool) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from sorted({value + 1, value - 1, 0} - {value})
    elif isinstance(value, bytes):
        texts = _changed_text(value.decode("latin-1"), is_in_text=is_in_text)
        yield from (text.encode("latin-1") for text in texts)
    elif isinstance(value, str):
        yield from _changed_text(value, is_in_text=is_in_text)


def _changed_text(text: str, *, is_in_text: bool) -> Iterator[str]:
    if not text:
        yield "X"
        return
    is_regex = _REGEX_LIKE.search(text) is not None and len(text) > 2
    for at in range(len(text)) if is_regex else sorted({0, len(text) - 1}):
        changed = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
        if not is_regex or _is_regex(changed):
            yield changed
    yield ""


def _is_regex(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True
