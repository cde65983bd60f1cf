"""JSON schemas (2020-12) that an answer has to keep to, by the jsonschema library, with bounded work.

A schema is somebody's program: it may branch at every level, loop, or hold patterns that take for ever. So every
keyword that is tried counts against a budget, patterns are RE2's, and nothing is fetched: references are local.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from evals.judges.formats import FORMATS
from evals.judges.patterns import BadPattern, compile_pattern, found_in

SCHEMA_CHARS_MAX = 50_000
SCHEMA_DEPTH_MAX = 40
VALUE_DEPTH_MAX = 60
# Keywords tried in one validation, at up to 30 µs each. Fifty fields over a list of 100 objects need about 10,000.
STEPS_MAX = 20_000
# Keywords within keywords: a reference to itself goes on for ever. Each takes some frames of Python's stack, and at
# its end the library's index, which is written in Rust, panics instead of raising.
NESTING_MAX = 80
# These need all that other keywords found, at a cost that nothing bounds.
_UNKNOWN = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$id")
# Objects from names to schemas, and keywords whose values are no schemas.
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_VALUES = ("enum", "const", "default", "examples")
_FORMAT_NAMES = {"date-time": "date_time", "uri": "url"}


@dataclass(slots=True)
class _Work:
    """What one validation has left, and how deep it is."""

    left: int = STEPS_MAX
    nesting: int = 0


_work: ContextVar[_Work] = ContextVar("evals_schema_work")


class BadSchema(ValueError):
    """A schema that cannot be used; the text says why."""


class TooMuchWork(Exception):
    """A validation that went beyond its budget, or where it cannot go."""


def faults(schema: str, value: object) -> Iterator[str]:
    """What in `value` breaks the schema (its JSON text), place by place. TooMuchWork beyond the budget."""
    if _is_deeper(value, VALUE_DEPTH_MAX):
        raise TooMuchWork
    _work.set(_Work())
    try:
        for error in _compiled(schema).iter_errors(value):
            at = "".join(f"[{each}]" if isinstance(each, int) else f".{str(each)[:40]}" for each in error.absolute_path)
            yield f"at {at.lstrip('.') or 'the top'}: {_told(error)}"
    except (RecursionError, Unresolvable, BadPattern, ArithmeticError):
        # Also what a reference into an example or a constant leads to, and numbers that no float can hold.
        raise TooMuchWork from None


def _told(error: ValidationError) -> str:
    """The rule that was broken; never the value, which may be long and is the material's."""
    limit = json.dumps(error.validator_value, ensure_ascii=False, default=str)
    keyword = str(error.validator)
    if keyword == "additionalProperties":
        return "has fields that the schema does not know"
    return f"breaks “{keyword}”: {limit[:120]}{'…' if len(limit) > 120 else ''}"


def check_schema(schema: object) -> str:
    """The JSON text of a usable schema; BadSchema where it is none."""
    if not isinstance(schema, dict | bool):
        raise BadSchema("must be a JSON object.")
    try:
        text = json.dumps(schema, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        raise BadSchema("must be plain JSON.") from None
    if len(text) > SCHEMA_CHARS_MAX:
        raise BadSchema(f"has {len(text):,} characters; at most {SCHEMA_CHARS_MAX:,}.")
    _walk(schema, 0)
    _compiled(text)
    return text


def _walk(schema: object, depth: int) -> None:
    """BadSchema where a schema, or one below it, uses what is not supported. Names of fields are no keywords."""
    if depth > SCHEMA_DEPTH_MAX:
        raise BadSchema(f"is nested more than {SCHEMA_DEPTH_MAX} deep.")
    if isinstance(schema, list):
        for each in schema:
            _walk(each, depth + 1)
    if not isinstance(schema, dict):
        return
    for name, value in schema.items():
        if name in _UNKNOWN:
            raise BadSchema(f"uses “{name}”, which is not supported.")
        if name == "$ref" and isinstance(value, str) and not value.startswith("#"):
            raise BadSchema("refers to another document; only references within it (#/...) are followed.")
        if name == "pattern" and isinstance(value, str):
            _check_pattern(value)
        if name == "patternProperties" and isinstance(value, dict):
            for pattern in value:
                _check_pattern(pattern)
        if name in _MAPS and isinstance(value, dict):
            for each in value.values():
                _walk(each, depth + 1)
        elif name not in _VALUES:
            _walk(value, depth + 1)


def _check_pattern(pattern: str) -> None:
    try:
        compile_pattern(pattern)
    except BadPattern as bad:
        raise BadSchema(f"holds a pattern that {bad}") from None


@lru_cache(maxsize=256)
def _compiled(text: str) -> Any:
    schema = json.loads(text)
    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        said = error.message[:200] if isinstance(error, SchemaError) else "nested too deeply"
        raise BadSchema(f"is no JSON schema (2020-12): {said}.") from None
    return _Validator(schema, format_checker=_formats(), registry=Registry())


def _formats() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name in ("date", "date-time", "email", "uri", "uuid", "ipv4", "ipv6"):
        checker.checks(name)(_format_check(FORMATS[_FORMAT_NAMES.get(name, name)]))
    return checker


def _format_check(check: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or check(value)


def _pattern(validator: Any, pattern: str, value: object, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and found_in(compile_pattern(pattern), value) is None:
        yield ValidationError("does not match the pattern")


def _pattern_properties(validator: Any, patterns: Any, value: object, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for pattern, below in patterns.items():
            compiled = compile_pattern(pattern)
            for name, each in value.items():
                if found_in(compiled, name) is not None:
                    yield from validator.descend(each, below, path=name, schema_path=pattern)


def _additional(validator: Any, below: Any, value: object, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    known = schema.get("properties", {})
    patterns = [compile_pattern(each) for each in schema.get("patternProperties", {})]
    for name, each in value.items():
        if name in known or any(found_in(pattern, name) is not None for pattern in patterns):
            continue
        if below is False:
            yield ValidationError("a field that the schema does not know")
            return
        yield from validator.descend(each, below, path=name)


def _unique_items(validator: Any, wanted: bool, value: object, schema: Any) -> Iterator[ValidationError]:
    """By their JSON, in time linear in the list: comparing each with each is not."""
    if wanted and isinstance(value, list):
        seen = {json.dumps(each, sort_keys=True) for each in value}
        if len(seen) < len(value):
            yield ValidationError("holds an item twice")


def _enum(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """The library's own, and each value that may be compared is a step: a long list is not one look."""
    now = _work.get()
    now.left -= len(wanted) // 20 if isinstance(wanted, list) else 0
    if now.left < 0:
        raise TooMuchWork
    yield from Draft202012Validator.VALIDATORS["enum"](validator, wanted, value, schema) or ()


def _counted(work: Any) -> Any:
    def keyword(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        now = _work.get()
        now.left -= 1
        if now.left < 0 or now.nesting >= NESTING_MAX:
            raise TooMuchWork
        now.nesting += 1
        try:
            yield from work(validator, wanted, value, schema) or ()
        finally:
            now.nesting -= 1

    return keyword


def _is_deeper(value: object, most: int) -> bool:
    """Whether lists and objects are nested more than `most` deep."""
    level: list[object] = [value]
    for _ in range(most + 1):
        level = [inner for each in level if isinstance(each, list | dict) for inner in _inner(each)]
        if not level:
            return False
    return True


def _inner(value: list[object] | dict[str, object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


def _unknown(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """Only a reference into what is no schema leads here: the walk refuses these keywords."""
    raise TooMuchWork
    yield


_KEYWORDS = {
    **Draft202012Validator.VALIDATORS,
    **dict.fromkeys((name for name in _UNKNOWN if name in Draft202012Validator.VALIDATORS), _unknown),
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "uniqueItems": _unique_items,
    "enum": _enum,
}
_Validator: Any = extend(Draft202012Validator, {name: _counted(work) for name, work in _KEYWORDS.items()})
