"""Rules as expressions: a small part of Python, read by our own interpreter, never by Python's.

The text is parsed to a syntax tree, and only the nodes, names and methods listed here mean anything; all others are
refused before the first run. There are no attributes but the listed methods of texts and objects, no imports, no
assignments, no functions of one's own, no formatting. Work is bounded: every step costs, steps over long texts cost by
their length, and values that would grow beyond a limit are not made.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from threading import Lock
from typing import Any

from evals.judges.expression_values import (
    FUNCTIONS,
    ITEMS_MAX,
    METHODS,
    NUMBER_MAX,
    TEXT_CHARS_MAX,
    ExpressionFailed,
    as_list,
    as_number,
    as_text,
    as_whole,
    bounded,
    sized,
    too_long,
)

SOURCE_CHARS_MAX = 2_000
NODES_MAX = 400
DEPTH_MAX = 40
# A step is a node of the tree, or some hundred characters of a text that is gone through: 50,000 take about 50 ms.
STEPS_MAX = 50_000
CHARS_A_STEP = 200
# These look at each character for longer; here characters a step.
_DEAR = {"matches": 20, "json": 2}

_WARNINGS = Lock()
NAMES = (
    "question", "answer", "system", "expected", "messages", "documents", "tools", "metadata", "feature", "model",
    "finish_reason", "error_type", "duration_ms", "ttft_ms", "cost_usd", "input_tokens", "output_tokens",
)  # fmt: skip


class BadExpression(ValueError):
    """An expression that is refused before it runs; the text says why."""


class Expression:
    """A checked expression, to be run on many materials."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._body = _parse(source)

    def run(self, values: Mapping[str, Any]) -> Any:
        """Its value: None, a bool, number, text, list or object. ExpressionFailed where there is none."""
        try:
            return _Run(values).value(self._body)
        except (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError, AttributeError) as error:
            raise ExpressionFailed(_told(error)) from None
        except RecursionError:
            raise ExpressionFailed("is nested too deeply") from None


@lru_cache(maxsize=512)
def compile_expression(source: str) -> Expression:
    """The checked expression of a text; BadExpression where it is none."""
    return Expression(source)


def _told(error: Exception) -> str:
    """What went wrong, in words that hold nothing of the material."""
    if isinstance(error, KeyError | IndexError):
        return "asks for a field or an item that is not there (use get, or check first)"
    if isinstance(error, ZeroDivisionError):
        return "divides by zero"
    if isinstance(error, TypeError | AttributeError):
        return "does something with a value that its kind cannot do (is it None?)"
    return "gets a value that it cannot work with"


def _parse(source: str) -> ast.expr:
    if len(source) > SOURCE_CHARS_MAX:
        raise BadExpression(f"has {len(source):,} characters; at most {SOURCE_CHARS_MAX:,}.")
    try:
        # Escapes such as \d, which people write in patterns, are warned about; filters are the whole process's.
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(source.strip(), mode="eval").body
    except SyntaxError as error:
        raise BadExpression(f"is no expression (column {error.offset or 1}).") from None
    except (ValueError, RecursionError, MemoryError):
        raise BadExpression("is no expression.") from None
    _check(body)
    return body


def _check(body: ast.expr) -> None:
    """BadExpression where anything in the tree is not on the lists."""
    count = 0
    stack: list[tuple[ast.AST, int, frozenset[str]]] = [(body, 0, frozenset(NAMES))]
    while stack:
        node, depth, known = stack.pop()
        count += 1
        if count > NODES_MAX:
            raise BadExpression(f"has more than {NODES_MAX} parts.")
        if depth > DEPTH_MAX:
            raise BadExpression(f"is nested more than {DEPTH_MAX} deep.")
        if isinstance(node, ast.ListComp | ast.GeneratorExp):
            known = _check_loop(node, known)
        elif not isinstance(node, _ALLOWED):
            raise BadExpression(f"uses {_node_name(node)}, which is not allowed.")
        if isinstance(node, ast.Call):
            _check_call(node)
            # The function itself is no value: only what it is called with is looked at.
            inner: list[ast.AST] = [*node.args]
            if isinstance(node.func, ast.Attribute):
                inner.append(node.func.value)
        else:
            if isinstance(node, ast.Name) and node.id not in known:
                raise BadExpression(f"names “{node.id[:40]}”, which is not known here. Known: {', '.join(NAMES)}.")
            if isinstance(node, ast.Constant):
                _check_constant(node.value)
            if isinstance(node, ast.Dict) and None in node.keys:
                raise BadExpression("uses **, which is not allowed.")
            inner = list(ast.iter_child_nodes(node))
        stack += [(each, depth + 1, known) for each in inner if not isinstance(each, ast.expr_context)]


def _check_loop(node: ast.ListComp | ast.GeneratorExp, known: frozenset[str]) -> frozenset[str]:
    for each in node.generators:
        if each.is_async or not isinstance(each.target, ast.Name):
            raise BadExpression("loops over more than one name at a time, which is not allowed.")
        if each.target.id.startswith("_") or each.target.id in NAMES or each.target.id in FUNCTIONS:
            raise BadExpression(f"uses “{each.target.id[:40]}” as a name of its own, which is not allowed.")
    return known | {each.target.id for each in node.generators if isinstance(each.target, ast.Name)}


def _check_call(node: ast.Call) -> None:
    if node.keywords or any(isinstance(each, ast.Starred) for each in node.args):
        raise BadExpression("calls with a name or a star before an argument, which is not allowed.")
    if isinstance(node.func, ast.Name):
        if node.func.id not in FUNCTIONS:
            raise BadExpression(f"calls “{node.func.id[:40]}”. Allowed: {', '.join(FUNCTIONS)}.")
    elif isinstance(node.func, ast.Attribute):
        if node.func.attr not in METHODS:
            raise BadExpression(f"calls “.{node.func.attr[:40]}”. Allowed: {', '.join(METHODS)}.")
    else:
        raise BadExpression("calls something that is no name.")


def _check_constant(value: object) -> None:
    if value is None or isinstance(value, bool | str):
        return
    if not isinstance(value, int | float) or not abs(value) <= NUMBER_MAX:
        raise BadExpression("holds a constant that is no text, true, false, None or number up to 1e15.")


def _node_name(node: ast.AST) -> str:
    names = {"Attribute": "an attribute", "Lambda": "a function of its own", "JoinedStr": "a formatted text",
             "NamedExpr": "an assignment", "Pow": "a power", "DictComp": "a dict comprehension",
             "SetComp": "a set comprehension"}  # fmt: skip
    return names.get(type(node).__name__, f"“{type(node).__name__}”")


_ALLOWED = (
    ast.Constant, ast.Name, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Add,
    ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
    ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.IfExp, ast.Call, ast.List, ast.Tuple, ast.Dict, ast.Subscript, ast.Slice,
    ast.comprehension,
)  # fmt: skip


class _Run:
    """One run: the names as they are now, and the steps that are left."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.names = dict(values)
        self.left = STEPS_MAX

    def value(self, node: ast.expr) -> Any:
        self.pay(1)
        return _NODES[type(node)](self, node)

    def pay(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise ExpressionFailed(f"takes more than {STEPS_MAX:,} steps")

    def pay_for(self, *values: Any) -> None:
        """The price of going through texts and lists once."""
        for each in values:
            if isinstance(each, str):
                self.pay(len(each) // CHARS_A_STEP)
            elif isinstance(each, list | dict):
                self.pay(len(each))

    def constant(self, node: ast.Constant) -> Any:
        return node.value

    def name(self, node: ast.Name) -> Any:
        return self.names[node.id]

    def bool_op(self, node: ast.BoolOp) -> Any:
        is_and = isinstance(node.op, ast.And)
        value: Any = None
        for each in node.values:
            value = self.value(each)
            if bool(value) is not is_and:
                return value
        return value

    def unary(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return not value
        return -as_number(value) if isinstance(node.op, ast.USub) else as_number(value)

    def binary(self, node: ast.BinOp) -> Any:
        left, right, op = self.value(node.left), self.value(node.right), node.op
        if isinstance(op, ast.Add) and isinstance(left, str) and isinstance(right, str):
            self.pay_for(left, right)
            return as_text(left + right) if len(left) + len(right) <= TEXT_CHARS_MAX else too_long()
        if isinstance(op, ast.Add) and isinstance(left, list) and isinstance(right, list):
            self.pay_for(left, right)
            return left + right if len(left) + len(right) <= ITEMS_MAX else too_long()
        return bounded(_ARITHMETIC[type(op)](as_number(left), as_number(right)))

    def compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for op, each in zip(node.ops, node.comparators, strict=True):
            right = self.value(each)
            self.pay_compare(left, right, 0)
            if not _COMPARISONS[type(op)](left, right):
                return False
            left = right
        return True

    def pay_compare(self, left: Any, right: Any, depth: int) -> None:
        self.pay(1)
        self.pay_for(left, right)
        if depth > DEPTH_MAX:
            raise ExpressionFailed("compares values that are nested too deeply")
        for value in (left, right):
            # Whatever is inside of a list may be gone through for each comparison.
            inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            for each in inner:
                self.pay_compare(each, None, depth + 1)

    def if_exp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def items(self, node: ast.List | ast.Tuple) -> list[Any]:
        return [self.value(each) for each in node.elts]

    def dict_of(self, node: ast.Dict) -> dict[str, Any]:
        keys = [self.value(each) for each in node.keys if each is not None]
        if not all(isinstance(key, str) for key in keys):
            raise TypeError("keys are texts")
        return dict(zip(keys, [self.value(each) for each in node.values], strict=True))

    def subscript(self, node: ast.Subscript) -> Any:
        value = self.value(node.value)
        if not isinstance(value, str | list | dict):
            raise TypeError("nothing to take a part of")
        if isinstance(node.slice, ast.Slice):
            parts = [None if each is None else as_whole(self.value(each)) for each in _bounds(node.slice)]
            self.pay_for(value)
            return value[slice(*parts)] if not isinstance(value, dict) else too_long()
        key = self.value(node.slice)
        if isinstance(value, dict):
            return value[key] if isinstance(key, str) else value[str(key)]
        return value[as_whole(key)]

    def loop(self, node: ast.ListComp | ast.GeneratorExp) -> list[Any]:
        made: list[Any] = []
        before = dict(self.names)
        self._loop(node, 0, made)
        self.names = before
        return made

    def _loop(self, node: ast.ListComp | ast.GeneratorExp, at: int, made: list[Any]) -> None:
        if at == len(node.generators):
            made.append(self.value(node.elt))
            if len(made) > ITEMS_MAX:
                too_long()
            return
        each = node.generators[at]
        over = self.value(each.iter)
        if isinstance(over, dict):
            over = list(over)
        if not isinstance(over, list | str):
            raise TypeError("nothing to go through")
        name = each.target.id if isinstance(each.target, ast.Name) else ""
        for item in over:
            self.pay(1)
            self.names[name] = item
            if all(self.value(test) for test in each.ifs):
                self._loop(node, at + 1, made)

    def call(self, node: ast.Call) -> Any:
        arguments = [self.value(each) for each in node.args]
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value)
            self.pay_for(owner, *arguments)
            kind, method, most = METHODS[node.func.attr]
            if not isinstance(owner, kind) or len(arguments) > most:
                raise TypeError("no such method of this value")
            return self.made(method(owner, *arguments))
        assert isinstance(node.func, ast.Name)  # noqa: S101 - checked before the first run
        self.pay_for(*arguments)
        function, least, most = FUNCTIONS[node.func.id]
        if not least <= len(arguments) <= most:
            raise TypeError("too few or too many arguments")
        if node.func.id in _DEAR:
            self.pay(sum(len(each) for each in arguments if isinstance(each, str)) // _DEAR[node.func.id])
        return self.made(function(*arguments))

    def made(self, value: Any) -> Any:
        """What a function made, paid for: it may be larger than what went in."""
        self.pay_for(sized(value))
        return value


def _bounds(node: ast.Slice) -> tuple[ast.expr | None, ...]:
    return node.lower, node.upper, node.step


def _in(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return as_text(left) in right
    if isinstance(right, dict):
        return isinstance(left, str) and left in right
    return left in as_list(right)


def _order(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        return compare(as_number(left), as_number(right))

    return ordered


_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: lambda left, right: bool(left == right),
    ast.NotEq: lambda left, right: bool(left != right),
    ast.Is: lambda left, right: left is right if right is None or left is None else bool(left == right),
    ast.IsNot: lambda left, right: left is not right if right is None or left is None else bool(left != right),
    ast.In: _in,
    ast.NotIn: lambda left, right: not _in(left, right),
    ast.Lt: _order(lambda left, right: left < right),
    ast.LtE: _order(lambda left, right: left <= right),
    ast.Gt: _order(lambda left, right: left > right),
    ast.GtE: _order(lambda left, right: left >= right),
}
_NODES: dict[type[ast.expr], Callable[[_Run, Any], Any]] = {
    ast.Constant: _Run.constant,
    ast.Name: _Run.name,
    ast.BoolOp: _Run.bool_op,
    ast.UnaryOp: _Run.unary,
    ast.BinOp: _Run.binary,
    ast.Compare: _Run.compare,
    ast.IfExp: _Run.if_exp,
    ast.List: _Run.items,
    ast.Tuple: _Run.items,
    ast.Dict: _Run.dict_of,
    ast.Subscript: _Run.subscript,
    ast.ListComp: _Run.loop,
    ast.GeneratorExp: _Run.loop,
    ast.Call: _Run.call,
}
