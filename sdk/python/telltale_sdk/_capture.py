"""Values of the application as text: bounded, masked, and made without running code of theirs that may wait or write.

Nothing is iterated that may only be iterated once, and no `__repr__` is called of a type we do not know: of a database
query it would send the query.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import types
import uuid
from collections import ChainMap, deque
from collections.abc import Callable, Mapping
from typing import Any

from telltale_sdk._guard import warn_once

VALUE_BYTES = 64 * 1024
NODES_MAX = 5_000
DEPTH_MAX = 24
MASK_FAILED = "[masking failed: not sent]"
# A mask sees this much more than is kept, so that what it looks for is never cut apart before it looks.
MASK_MARGIN = 4_096
# Digits that a mask may want to see although they are no text: card and telephone numbers.
NUMBER_SEEN_FROM = 100_000

Mask = Callable[[str], str]
INT64_MAX = 2**63 - 1

_PLAIN_TEXT = (
    decimal.Decimal, fractions.Fraction, uuid.UUID, datetime.date, datetime.time, datetime.timedelta,
    pathlib.PurePath, complex, range,
)  # fmt: skip
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)
_LISTS = (list, tuple, set, frozenset, deque)


def clean(text: str) -> str:
    """The text without what UTF-8 cannot say: one lone surrogate would cost its whole batch."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def cut(text: str, limit: int = VALUE_BYTES) -> str:
    """The text in at most about `limit` bytes, cut at a character, saying how much is gone."""
    if len(text) * 4 <= limit:
        return text
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    kept = data[: max(limit - 40, 0)].decode("utf-8", "ignore")
    return f"{kept}… [{len(text) - len(kept):,} more characters]"


def apply_mask(mask: Mask | None, text: str) -> str:
    """What the mask makes of a text; a fixed marker where it fails. Never the text itself in that case."""
    if mask is None:
        return text
    try:
        masked = mask(text)
        if isinstance(masked, str):
            return masked
        kind = f"gave {type(masked).__name__}, not text"
    except Exception as error:  # noqa: BLE001 - whatever the mask raises, its text must not leave
        kind = f"raised {type(error).__name__}"
    warn_once(f"mask/{kind}", "the mask %s; its text is replaced by a marker", kind)
    return MASK_FAILED


def masked_text(text: str, mask: Mask | None, limit: int = VALUE_BYTES) -> str:
    """One text, masked before it is cut to `limit` bytes."""
    if mask is None:
        return clean(cut(text, limit))
    seen = limit + MASK_MARGIN
    if len(text) <= seen:
        return clean(cut(apply_mask(mask, text), limit))
    masked = apply_mask(mask, text[:seen])
    # Its end may hold half of what the mask would have found.
    kept = masked if masked == MASK_FAILED else masked[: max(len(masked) - MASK_MARGIN, 0)]
    return clean(f"{cut(kept, max(limit - 40, 0))}… [{len(text) - len(kept):,} more characters]")


def to_text(value: Any, mask: Mask | None, limit: int = VALUE_BYTES) -> str:
    """A value as text of at most about `limit` bytes: text as it is, all else as JSON. Masked piece by piece."""
    if isinstance(value, str):
        return masked_text(value, mask, limit)
    budget = limit
    for _ in range(4):
        plain = _Walk(mask, budget).plain(value, 0)
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), default=_describe)
        if len(text) * 4 <= limit or len(text.encode("utf-8", "replace")) <= limit:
            return clean(text)
        # Escapes made it longer than its letters: `\\u0000` is six.
        budget //= 4
    return clean(cut(text, limit))


def to_label(value: Any, mask: Mask | None = None, limit: int = 1024) -> str:
    """A name or id as short text; "" for None."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else to_text(value, None, limit)
    return masked_text(text, mask, limit)


class _Walk:
    """One value on its way to plain JSON. `left` bytes and `nodes` values are all it may take."""

    def __init__(self, mask: Mask | None, limit: int) -> None:
        self.mask = mask
        self.left = limit
        self.nodes = NODES_MAX
        self.open: set[int] = set()

    def plain(self, value: Any, depth: int) -> Any:
        """A value that json.dumps takes."""
        self.nodes -= 1
        if self.nodes < 0 or self.left <= 0:
            return "…"
        if value is None or value is True or value is False:
            self.left -= 5
            return value
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is int or kind is float:
            return self.number(value)
        if depth >= DEPTH_MAX:
            return "… [nested deeper]"
        if id(value) in self.open:
            return "… [contains itself]"
        self.open.add(id(value))
        try:
            return self.compound(value, depth)
        except Exception as error:  # noqa: BLE001 - a value that cannot be read must not cost its neighbours
            return f"<{_type_name(value)}: unreadable, {type(error).__name__}>"
        finally:
            self.open.discard(id(value))

    def text(self, value: str) -> str:
        limit = max(self.left, 0)
        made = masked_text(value, self.mask, limit)
        self.left -= len(made) + 3 if made.isascii() else len(made.encode("utf-8")) + 3
        return made

    def number(self, value: float) -> Any:
        self.left -= 8
        if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        if self.mask is not None and abs(value) >= NUMBER_SEEN_FROM:
            # Python refuses to write integers of thousands of digits.
            told = f"{value:.6e}" if abs(value) > 1e300 else str(value)
            masked = apply_mask(self.mask, told)
            return value if masked == told and abs(value) <= 1e300 else masked
        return value if abs(value) <= INT64_MAX or isinstance(value, float) else f"{value:.6e}"

    def compound(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict | types.MappingProxyType | ChainMap):
            return self.mapping(value, depth)
        if isinstance(value, _LISTS):
            return self.sequence(value, depth)
        if isinstance(value, bytes | bytearray | memoryview):
            self.left -= 24
            return f"<{len(value) if not isinstance(value, memoryview) else value.nbytes:,} bytes>"
        if isinstance(value, enum.Enum):
            return self.plain(value.value, depth + 1)
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, bool | int | float):
            return self.number(value + 0)
        if isinstance(value, _PLAIN_TEXT):
            return self.text(str(value))
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {value}")
        if isinstance(value, _NAMED):
            return self.text(f"<{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}>")
        return self.thing(value, depth)

    def thing(self, value: Any, depth: int) -> Any:
        """An object with fields (dataclass, named tuple, pydantic, attrs), else its type's name."""
        if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value) if field.repr]
            return self.mapping({name: getattr(value, name, None) for name in names}, depth)
        fields = getattr(type(value), "model_fields", None) or getattr(type(value), "__fields__", None)
        if isinstance(fields, Mapping):
            # Read field by field: `model_dump` would copy all of it, however large.
            return self.mapping({name: getattr(value, name, None) for name in list(fields)}, depth)
        attributes = getattr(type(value), "__attrs_attrs__", None)
        if attributes is not None:
            names = [attribute.name for attribute in attributes if attribute.repr]
            return self.mapping({name: getattr(value, name, None) for name in names}, depth)
        self.left -= 40
        return _describe(value)

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, item in list(value.items()) if len(value) <= NODES_MAX else _first_items(value):
            if self.left <= 0 or self.nodes <= 0:
                made["…"] = f"[{len(value) - len(made):,} more entries]"
                break
            name = self.text(key if type(key) is str else str(self.plain(key, depth + 1)))
            made[name] = self.plain(item, depth + 1)
        return made

    def sequence(self, value: Any, depth: int) -> Any:
        names = getattr(value, "_fields", None)
        if isinstance(value, tuple) and isinstance(names, tuple):
            return self.mapping(dict(zip(names, value, strict=False)), depth)
        made: list[Any] = []
        for item in tuple(value) if len(value) <= NODES_MAX else _first(value):
            if self.left <= 0 or self.nodes <= 0:
                made.append(f"… [{len(value) - len(made):,} more items]")
                break
            made.append(self.plain(item, depth + 1))
        return made


def _first_items(value: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return [(key, value[key]) for key, _ in zip(value, range(NODES_MAX + 1), strict=False)]


def _first(value: Any) -> list[Any]:
    return [item for item, _ in zip(value, range(NODES_MAX + 1), strict=False)]


def _type_name(value: Any) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _describe(value: Any) -> str:
    return f"<{_type_name(value)} object>"


def attribute_value(value: Any, mask: Mask | None) -> str | bool | int | float | list[str]:
    """What OpenTelemetry can carry as an attribute: numbers and truths as they are, the rest as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and type(value) is int:
        return value if abs(value) <= INT64_MAX else to_text(value, mask)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, list | tuple) and len(value) <= 64 and all(isinstance(item, str) for item in value):
        return [masked_text(item, mask, 1024) for item in value]
    return to_text(value, mask)
