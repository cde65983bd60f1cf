"""Formats that an answer, or a text in a JSON answer, may have to keep to."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import date, datetime
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit
from uuid import UUID
from xml.parsers import expat

_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\Z")
_NUMBER = re.compile(r"[+-]?(?:\d{1,40})(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?\Z")
_BULLET = re.compile(r"\s{0,12}(?:[-*•‣·]|\d{1,3}[.)])\s+\S")
_MARKDOWN = re.compile(
    r"^ {0,3}#{1,6} |^ {0,3}(?:[-*+]|\d{1,3}\.) |\*\*[^*\n]{1,200}\*\*|^```|^ {0,3}> "
    r"|\[[^\]\n]{1,200}\]\([^)\n]{1,500}\)|`[^`\n]{1,200}`",
    re.MULTILINE,
)
JSON_CHARS_MAX = 500_000


def load_json(text: str) -> object:
    """The value of a JSON text; ValueError where it is none, is too long, too deep or names a field twice."""
    if len(text) > JSON_CHARS_MAX:
        raise ValueError(f"is longer than {JSON_CHARS_MAX:,} characters")
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON (line {error.lineno}, column {error.colno})") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"holds {name}, which is no JSON")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError("names a field twice")
    return told


def _is_json(text: str) -> bool:
    return _holds(lambda: load_json(text))


def _is_json_of(kind: type) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return isinstance(load_json(text), kind)
        except ValueError:
            return False

    return check


def _holds(work: Callable[[], object]) -> bool:
    try:
        work()
    except ValueError:
        return False
    return True


def _is_url(text: str) -> bool:
    if len(text) > 2048 or any(c <= " " for c in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _is_date_time(text: str) -> bool:
    return len(text) > 10 and text[10] in "Tt " and _holds(lambda: datetime.fromisoformat(text))


def _is_date(text: str) -> bool:
    return len(text) == 10 and _holds(lambda: date.fromisoformat(text))


def _is_bullets(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(_BULLET.match(line) for line in lines)


def _is_csv(text: str) -> bool:
    """At least two columns, the same number in every row, and two rows."""
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error:
        return False
    return len(rows) >= 2 and len(rows[0]) >= 2 and all(len(row) == len(rows[0]) for row in rows)


def _is_xml(text: str) -> bool:
    """Well-formed XML without a document type: those can make a short text long."""
    if len(text) > JSON_CHARS_MAX or "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        return False
    try:
        expat.ParserCreate().Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError:
        return False
    return True


FORMATS: dict[str, Callable[[str], bool]] = {
    "json": _is_json,
    "json_object": _is_json_of(dict),
    "json_array": _is_json_of(list),
    "xml": _is_xml,
    "csv": _is_csv,
    "bullets": _is_bullets,
    "one_line": lambda text: "\n" not in text and bool(text),
    "no_markdown": lambda text: not _MARKDOWN.search(text),
    "integer": lambda text: text.lstrip("+-").isascii() and text.lstrip("+-").isdigit() and len(text) <= 40,
    "number": lambda text: bool(_NUMBER.match(text)),
    "date": _is_date,
    "date_time": _is_date_time,
    "email": lambda text: bool(_EMAIL.match(text)),
    "url": _is_url,
    "uuid": lambda text: len(text) == 36 and _holds(lambda: UUID(text)),
    "ipv4": lambda text: _holds(lambda: IPv4Address(text)),
    "ipv6": lambda text: _holds(lambda: IPv6Address(text)),
}
