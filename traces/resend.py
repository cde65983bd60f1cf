"""Sending a stored trace or span again: OTLP/JSON requests, and the curl commands that post them.

What is sent is what was sent first, as far as it is stored, in the same vocabulary under the same scope, so that it is
read, counted and priced the same way. Text that was cut, masked or repaired on the way in stays so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from traces.forward import NewIds, Outgoing, traces_json
from traces.read import TraceRow, get_spans, list_spans
from traces.read.outgoing import outgoing_span, with_logs

# Spans and bytes of one request. The door takes 64 MiB; pieces of this size are nothing to either side.
PART_SPANS = 500
PART_BYTES = 8 * 1024 * 1024
_READ_SPANS = 50
# Control and format characters, which a terminal or a page would not show as they are: JSON has an escape for them.
_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffc"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
_END = "TELLTALE"


class TooLarge(Exception):
    """There is more than may be shown in one piece."""


def trace_ids(project_id: int, trace: TraceRow) -> list[int]:
    """The spans of a trace in order of start."""
    return [step.span_id for step in list_spans(project_id, trace).steps]


def each_request(
    project_id: int, trace: TraceRow, span_ids: list[int], *, only: int | None = None, salt: str | None = None
) -> Iterator[bytes]:
    """OTLP/JSON requests with the spans of `trace`, or with the one span `only`; with other ids where there is a salt.

    `span_ids` are those of the whole trace. Only as much as one request is held in memory.
    """
    wanted = span_ids if only is None else [only]
    ids = None if salt is None else NewIds(trace.trace_id, wanted, salt, is_whole=only is None)
    held: list[Outgoing] = []
    size = 0
    for at in range(0, len(wanted), _READ_SPANS):
        spans = read_outgoing(project_id, trace, wanted[at : at + _READ_SPANS], ids)
        fresh = sum(len(orjson.dumps([s.attributes, s.events], option=orjson.OPT_NON_STR_KEYS)) for s in spans)
        if held and (size + fresh > PART_BYTES or len(held) + len(spans) > PART_SPANS):
            yield as_json(held)
            held, size = [], 0
        held += spans
        size += fresh
    if held:
        yield as_json(held)


def read_outgoing(project_id: int, trace: TraceRow, span_ids: list[int], ids: NewIds | None) -> list[Outgoing]:
    """Some spans of a trace as they go out again, with other ids where `ids` gives them."""
    spans = (with_logs(outgoing_span(detail), detail) for detail in get_spans(project_id, trace, span_ids))
    return [ids.apply(span) if ids else span for span in spans]


def as_json(spans: list[Outgoing]) -> bytes:
    """An OTLP/JSON request on one line, with every character that could not be seen as an escape."""
    return plain_json(traces_json(spans)).encode()


def plain_json(value: Any, *, indent: bool = False) -> str:
    """JSON in which every character that could not be seen is an escape."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode()
    return _UNSEEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def curl_commands(requests: Iterator[bytes], url: str) -> Iterator[str]:
    """A shell command for each request. The body comes on standard input: an argument holds 128 KiB on Linux.

    Nothing in it is expanded by the shell (the mark of its end is quoted), and it is one line that cannot be that mark.
    """
    for body in requests:
        yield (
            f"curl --fail-with-body '{url}/v1/traces' \\\n"
            '  -H "Authorization: Bearer ${TELLTALE_KEY:?set it to a key with the scope ingest}" \\\n'
            "  -H 'Content-Type: application/json' \\\n"
            f"  --data-binary @- <<'{_END}'\n{body.decode()}\n{_END}\n"
        )


def joined(texts: Iterator[str], limit: int) -> str:
    """All of it as one text; TooLarge where it is longer than `limit`."""
    held: list[str] = []
    size = 0
    for text in texts:
        size += len(text)
        if size > limit:
            raise TooLarge
        held.append(text)
    return "".join(held)
