"""Items in files: CSV, JSON and NDJSON, with the columns that are input, expected answer and key."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from evals.keeping.changes import ITEMS_MAX, ORIGINS, DatasetRefused
from evals.write.datasets import NewItem

FILE_BYTES_MAX = 20 * 1024 * 1024
KINDS = ("csv", "json", "ndjson")
FIELD_CHARS_MAX = 1024 * 1024
# Tried in this order where the mapping does not say.
INPUT_NAMES = ("input", "question", "prompt", "query", "messages", "text")
EXPECTED_NAMES = (
    "expected", "expected_output", "expected_answer", "reference", "ground_truth", "answer", "output", "target",
    "label",
)  # fmt: skip
KEY_NAMES = ("key", "id", "item_key", "item_id")
# A file with these columns is an export of ours: it comes back as what it was.
EXPORT_NAMES = frozenset({"key", "input", "expected", "metadata", "origin", "trace_id", "inclusion_probability"})


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which columns are what. Empty: found by their usual names. Several inputs make one object of these names."""

    input: tuple[str, ...] = ()
    expected: str = ""
    key: str = ""
    # None: every other column; else these alone.
    metadata: tuple[str, ...] | None = None


def kind_of(name: str, data: bytes) -> str:
    """The kind of a file by its name, else by how it begins."""
    ending = name.rpartition(".")[2].lower()
    if ending in {"csv", "tsv", "json"}:
        return "csv" if ending == "tsv" else ending
    if ending in {"ndjson", "jsonl"}:
        return "ndjson"
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return "json" if start == b"[" else "ndjson" if start == b"{" else "csv"


def read_file(kind: str, data: bytes, mapping: Mapping, ref: str = "") -> list[NewItem]:
    """The items in a file. DatasetRefused names the row and column, and the columns there are."""
    if kind not in KINDS:
        raise DatasetRefused("kind", "is none that can be read", ", ".join(KINDS), kind)
    if len(data) > FILE_BYTES_MAX:
        raise DatasetRefused("file", "is too large", f"{FILE_BYTES_MAX:,} bytes", f"{len(data):,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetRefused("file", "is not UTF-8", "UTF-8 text", f"byte {error.start}") from None
    rows = _csv_rows(text) if kind == "csv" else _json_rows(text) if kind == "json" else _ndjson_rows(text)
    if not rows:
        raise DatasetRefused("file", "holds no rows", "at least one")
    if len(rows) > ITEMS_MAX:
        raise DatasetRefused("file", "holds too many rows", f"{ITEMS_MAX:,} rows", f"{len(rows):,} rows")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if set(names) >= EXPORT_NAMES and mapping == Mapping():
        return [_exported(row, f"{ref} row {place}".strip()) for place, row in enumerate(rows, 1)]
    return [_item(row, place, chosen, ref) for chosen in [_choose(names, mapping)] for place, row in enumerate(rows, 1)]


def split_names(text: str) -> tuple[str, ...]:
    """Names of columns as a form takes them: "question, context"."""
    return tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))


def _choose(names: Sequence[str], mapping: Mapping) -> Mapping:
    there = "columns of the file: " + ", ".join(names[:30])
    for field, wanted in (("input", mapping.input), ("expected", (mapping.expected,)), ("key", (mapping.key,)),
                          ("metadata", mapping.metadata or ())):  # fmt: skip
        for name in wanted:
            if name and name not in names:
                raise DatasetRefused(field, "names a column that the file has not", there, name)
    inputs = mapping.input or tuple(name for name in INPUT_NAMES if name in names)[:1]
    if not inputs:
        raise DatasetRefused("input", "must name the column that holds the input", there)
    expected = mapping.expected or next((name for name in EXPECTED_NAMES if name in names and name not in inputs), "")
    key = mapping.key or next((name for name in KEY_NAMES if name in names and name not in inputs), "")
    used = {*inputs, expected, key}
    metadata = tuple(name for name in names if name not in used) if mapping.metadata is None else mapping.metadata
    return Mapping(inputs, expected, key, metadata)


def _item(row: dict[str, Any], place: int, chosen: Mapping, ref: str) -> NewItem:
    if len(chosen.input) == 1:
        input_ = row.get(chosen.input[0])
    else:
        input_ = {name: row[name] for name in chosen.input if row.get(name) is not None}
    if input_ in (None, "", {}, []):
        raise DatasetRefused(f"row {place}", "has no input", f"a value in {', '.join(chosen.input)}")
    metadata = {name: row[name] for name in chosen.metadata or () if row.get(name) is not None}
    # What an export wrote as `metadata` comes back as it was.
    if set(metadata) == {"metadata"} and isinstance(metadata["metadata"], dict):
        metadata = metadata["metadata"]
    key = row.get(chosen.key) if chosen.key else None
    expected = row.get(chosen.expected) if chosen.expected else None
    return NewItem(
        "" if key is None else str(key), input_, expected, metadata, "file", ref=f"{ref} row {place}".strip()
    )


def _exported(row: dict[str, Any], where: str) -> NewItem:
    """An item of an export of ours, with where it came from."""
    trace_id, pi = row.get("trace_id"), row.get("inclusion_probability")
    if row.get("input") is None:
        raise DatasetRefused(where, "has no input", "a value in input")
    try:
        found = UUID(hex=str(trace_id)) if trace_id else None
        chance = float(pi) if pi not in (None, "") else None
    except ValueError:
        raise DatasetRefused(where, "has an odd trace_id or inclusion_probability", "as exported") from None
    origin = row.get("origin") if row.get("origin") in ORIGINS else "file"
    key, metadata = row.get("key"), row.get("metadata") or {}
    return NewItem(
        "" if key is None else str(key), row["input"], row.get("expected"), metadata, str(origin), found,
        ref=str(row.get("ref") or where), pi=chance,
    )  # fmt: skip


def _csv_rows(text: str) -> list[dict[str, Any]]:
    csv.field_size_limit(FIELD_CHARS_MAX)
    head = text[:4096].partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter="\t" if head.count("\t") > head.count(",") else ","
    )
    try:
        names = [name.strip() for name in reader.fieldnames or []]
        if len(set(names)) != len(names) or "" in names:
            raise DatasetRefused("file", "has columns without a name, or two of one name", "one name a column")
        reader.fieldnames = names
        rows = []
        for place, row in enumerate(reader, 1):
            if None in row:
                raise DatasetRefused(f"row {place}", "has more cells than the heading", f"{len(names)} cells")
            # An empty cell is nothing: a CSV cannot tell it from empty text.
            rows.append({name: _cell(value) if value else None for name, value in row.items()})
        return rows
    except csv.Error as error:
        raise DatasetRefused("file", f"is no CSV: {error}", "CSV with a heading") from None


def _cell(value: str) -> Any:
    """A cell as it is; one that is a JSON object or array is that, as an export writes it."""
    if value[:1] in "{[" and value[-1:] in "}]":
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    # The apostrophe that an export puts before what a spreadsheet would compute.
    return value[1:] if value[:1] == "'" and value[1:2] in "=+-@\uff1d\uff0b\uff0d\uff20" and len(value) > 1 else value


def _json_rows(text: str) -> list[dict[str, Any]]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DatasetRefused("file", f"is no JSON: {error}", "a list of objects") from None
    if isinstance(found, dict):
        found = next((found[name] for name in ("items", "data", "rows", "examples") if name in found), found)
    if not isinstance(found, list):
        raise DatasetRefused("file", "holds no list", 'a list of objects, or {"items": [...]}')
    return [_object(row, place) for place, row in enumerate(found, 1)]


def _ndjson_rows(text: str) -> list[dict[str, Any]]:
    rows = []
    for place, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(_object(orjson.loads(line), place))
        except orjson.JSONDecodeError as error:
            raise DatasetRefused(f"line {place}", f"is no JSON: {error}", "one object a line") from None
    return rows


def _object(row: Any, place: int) -> dict[str, Any]:
    if isinstance(row, str):
        return {"input": row}
    if not isinstance(row, dict):
        raise DatasetRefused(f"row {place}", "is no object", "an object of columns")
    return row
