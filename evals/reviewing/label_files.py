"""Bodies of labels as items: JSON, NDJSON or CSV, each item with its line, a line that cannot be read as a fault. Pure.

A file that is wrong as a whole (no header, unknown columns, too many rows) is refused; of a file with bad lines every
other line counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from evals.reviewing.config import RefusedReview
from evals.reviewing.label_rows import FIELDS, NESTED, ROWS_MAX, Read, read_items

COLUMNS_MAX = 400
# A CSV cell is at most what a note and its quotes need.
csv.field_size_limit(1_000_000)
# 32 MB of brackets are a gigabyte of Python objects, of line ends as many turns of a loop. 20,000 rows need far fewer.
BRACKETS_MAX, COMMAS_MAX, LINES_MAX = 1_000_000, 4_000_000, 2_000_000
SHARED = ("trace_id", "span_id", "pi_judge", "pi_review", "at", "rubric", "rubric_version")


@dataclass(frozen=True, slots=True)
class Item:
    """What stands on a line (0: no file of lines), or why nothing can be read of it: field, fault."""

    value: object
    line: int = 0
    fault: tuple[str, str] | None = None


def read_json(value: object) -> Read:
    """Rows of a JSON value: an array, or an object with `items`, each a row or an item with rows below it."""
    items = value.get("items") if isinstance(value, dict) else value
    if not isinstance(items, list):
        raise RefusedReview("items", "is no array", "an array of labels, or an object with `items`")
    return _read(Item(item) for item in items)


def read_ndjson(raw: bytes) -> Read:
    """Rows of NDJSON: one JSON object a line; a line that is none is a fault of its own."""
    check_size(raw)
    return _read(_lines(raw))


def read_csv(raw: bytes) -> Read:
    """Rows of CSV with a header line, UTF-8. RefusedReview where it has none or names a column that is not known."""
    check_size(raw)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RefusedReview("body", "is not UTF-8") from None
    if "\x00" in text:
        raise RefusedReview("body", "holds U+0000")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise RefusedReview("line 1", f"cannot be read: {error}") from None
    _check_header(names)
    return _read(_cells(reader, names))


def check_size(raw: bytes) -> None:
    """RefusedReview where a body would unfold to more values than any labels have."""
    for sign, most in ((b"{[", BRACKETS_MAX), (b",", COMMAS_MAX), (b"\n", LINES_MAX)):
        if sum(raw.count(bytes((one,))) for one in sign) > most:
            raise RefusedReview("body", "holds too many values", f"{ROWS_MAX:,} rows in a request; send it in parts")


def _lines(raw: bytes) -> Iterator[Item]:
    for at, line in enumerate(io.BytesIO(raw), start=1):
        if not line.strip():
            continue
        try:
            yield Item(orjson.loads(line), at)
        except orjson.JSONDecodeError as error:
            yield Item(None, at, ("row", f"is not JSON: {error}"))


def _check_header(names: list[str]) -> None:
    if not any(names) or len(names) > COLUMNS_MAX:
        fault = "has too many columns" if any(names) else "has no header line"
        raise RefusedReview("body", fault, f"{COLUMNS_MAX} columns")
    wrong = next((n for n in names if n not in FIELDS and not n.startswith(NESTED)), None)
    if wrong is not None:
        limit = f"{', '.join(name for name in FIELDS if name != 'scores')}, score.<criterion>, reason.<criterion>"
        raise RefusedReview(wrong[:60] or "column", "is no column", limit)
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise RefusedReview(twice[:60], "is the name of two columns")


def _cells(reader: Iterator[list[str]], names: list[str]) -> Iterator[Item]:
    lines = reader  # a csv.reader: it also counts lines
    while True:
        line = int(lines.line_num) + 1  # type: ignore[attr-defined]
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            told = "has a quote that is never closed" if "end of data" in str(error) else f"cannot be read: {error}"
            yield Item(None, line, ("row", told))
            continue
        if len(cells) > len(names):
            yield Item(None, line, ("row", f"has {len(cells)} cells under {len(names)} columns"))
        elif any(cells):
            yield Item({name: _cell(cell) for name, cell in zip(names, cells, strict=False) if cell != ""}, line)


_COMPUTED = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")


def _cell(text: str) -> str:
    """A cell as it was before a file of ours kept spreadsheets from computing it."""
    return text[1:] if text[:1] == "'" and text[1:2] in _COMPUTED else text


def _read(items: Iterator[Item]) -> Read:
    return read_items((row.value, row.line, row.fault) for item in items for row in _rows(item))


def _rows(item: Item) -> Iterator[Item]:
    """The rows of an item: itself, or those below it with what the item says for all of them."""
    told = item.value
    if item.fault is not None or not isinstance(told, dict) or not ("reviews" in told or "judgements" in told):
        yield item
        return
    unknown = sorted(str(name) for name in told if name not in (*SHARED, "reviews", "judgements"))
    if unknown:
        yield Item(None, item.line, (unknown[0][:60], "is not known here"))
        return
    shared = {name: told[name] for name in SHARED if name in told}
    for group in ("reviews", "judgements"):
        below = told.get(group, [])
        if not isinstance(below, list):
            yield Item(None, item.line, (group, "is no array"))
            continue
        for row in below:
            yield Item(shared | row if isinstance(row, dict) else row, item.line)
