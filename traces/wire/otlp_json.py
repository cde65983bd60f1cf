"""OTLP/JSON documents: the outline of a request, read without trust. A wrong shape is an empty one, never an error."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from typing import Any

import orjson

from traces.canonical.text import int_text, parse_int
from traces.canonical.types import WireError

_SNAKE = {
    "resource_spans": "resourceSpans",
    "resource_logs": "resourceLogs",
    "resource_metrics": "resourceMetrics",
}
_MAX_UINT64 = 2**64 - 1
# Each takes up to 232 bytes, so "[[],[],..." would take gigabytes. 64 MiB of honest OTLP/JSON hold about 2.6 million,
# but large OTLP is taken apart (traces.wire.json_pieces); 64 MiB of honest native JSON hold some 700,000.
MAX_CONTAINERS = 1_000_000
BOM = b"\xef\xbb\xbf"


class BadField(ValueError):
    """A field whose value cannot be used; the message names field and value."""


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; WireError 400 where it is none. See `read_document`."""
    document = read_document(body)
    if not isinstance(document, dict):
        raise WireError("JSON body must be an object")
    return document


def read_document(body: bytes, max_containers: int = 0) -> Any:
    """The JSON value of a body; WireError 400 where it is none, 413 where it holds too many objects and lists.

    Lone surrogates, NaN, Infinity and bad UTF-8 are read (and scrubbed later); an empty body is an empty request.
    """
    if not body.strip():
        return {}
    most = max_containers or MAX_CONTAINERS
    if len(body) > most and body.count(b"{") + body.count(b"[") > most:
        raise WireError(f"JSON body holds more than {most} objects and lists; lower the exporter's batch size", 413, 8)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _read_tolerantly(body, error)


def _read_tolerantly(body: bytes, error: orjson.JSONDecodeError) -> Any:
    text = body.decode("utf-8", "replace").lstrip("\ufeff")
    try:
        return json.loads(text, parse_int=parse_int, parse_constant=str)
    except RecursionError:
        raise WireError("JSON body is nested too deeply; at most 64 levels of values are kept") from None
    except ValueError:
        raise WireError(f"JSON body cannot be decoded: {error.msg} at byte {error.pos}") from None


def json_groups(document: dict[str, Any], groups: str, scopes: str, items: str) -> Iterator[tuple[Any, Any, list[Any]]]:
    """Resource, scope and list of items, group by group; WireError 400 for a document in snake_case."""
    refuse_snake_case(document)
    for resource_group in objects(document.get(groups)):
        resource = mapping(resource_group.get("resource"))
        for scope_group in objects(resource_group.get(scopes)):
            yield resource, mapping(scope_group.get("scope")), listing(scope_group.get(items))


def refuse_snake_case(keys: Container[str]) -> None:
    """WireError 400 where a document has a known key in snake_case and not in lowerCamelCase."""
    for snake, camel in _SNAKE.items():
        if snake in keys and camel not in keys:
            raise WireError(f"JSON keys must be lowerCamelCase: send {camel!r} instead of {snake!r}")


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; empty for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def listing(value: Any) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def mapping(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """A text; numbers as their text, anything else as an empty one."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def id_bytes(value: Any, field: str, size: int, *, optional: bool = False) -> bytes:
    """The bytes of a hex id of `size` bytes, in either case; empty where it may be left out. BadField otherwise."""
    if optional and (value is None or value == ""):
        return b""
    if not isinstance(value, str):
        raise BadField(f"{field} must be {size * 2} hex digits, got {_show(value)}")
    if len(value) != size * 2:
        advice = "; ids must be hex, not base64" if len(value) in (12, 24) else ""
        raise BadField(f"{field} must be {size * 2} hex digits, got {len(value)} characters: {_show(value)}{advice}")
    try:
        return bytes.fromhex(value) if value.isalnum() else bytes.fromhex("x")
    except ValueError:
        raise BadField(f"{field} must be {size * 2} hex digits, got {_show(value)}; ids must be hex") from None


def nanoseconds(value: Any, field: str) -> int:
    """A uint64 of nanoseconds as number or text; 0 where it was left out. BadField where it is no time."""
    if value is None or value == "":
        return 0
    if isinstance(value, str):
        try:
            value = int(value) if len(value) <= 100 else None
        except ValueError:
            value = _as_float(value)
    if isinstance(value, float):
        value = int(value) if value == value and abs(value) != float("inf") else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadField(f"{field} must be nanoseconds since 1970, got {_show(value)}")
    return min(max(value, 0), _MAX_UINT64)


def _as_float(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def enum(value: Any, prefix: str, names: tuple[str, ...]) -> int:
    """An enum as integer or by its name, 0 where it is neither."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return value if 0 <= value < len(names) else 0
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) < 4:
            return enum(int(value), prefix, names)
        name = value.removeprefix(prefix)
        return names.index(name) if name in names else 0
    return 0


def _show(value: Any) -> str:
    shown = int_text(value) if isinstance(value, int) else str(value)
    return repr(shown[:60].encode("utf-8", "replace").decode())
