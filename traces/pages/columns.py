"""The columns a list of traces can have, and its rows as finished HTML.

Rows are put together here, not in a template: fifty rows of seven cells took the template engine 7 ms, and take 1 ms
here (measured). Every text is escaped where it enters (`_e`); what a sender controls is made visible too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from html import escape as _e
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.safestring import SafeString, mark_safe

from telltale.lib import format as fmt
from traces.canonical.types import SpanFlag, SpanStatus
from traces.extras import ExtraColumn, find_column
from traces.forms import TRACES
from traces.pages.addresses import write_id
from traces.pages.words import COSTS
from traces.read import TraceRow
from traces.read.notes import Marks


@dataclass(frozen=True, slots=True)
class Page:
    """What cells need to know of the page they are on. `base` and `suffix` surround a trace's id in its address."""

    base: str
    suffix: str
    zone: ZoneInfo
    now: datetime
    matches: Mapping[UUID, str] = field(default_factory=dict)  # where a text was found, as HTML
    marks: Mapping[UUID, Marks] = field(default_factory=dict)  # notes, read where their column is shown
    extras: Mapping[str, Mapping[UUID, str]] = field(default_factory=dict)  # cells of columns of other rooms, as HTML


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, what it sorts by ("" for nothing), its width class, and the cell of a row."""

    key: str
    label: str
    sort: str
    width: str
    cell: Callable[[TraceRow, Page], str]
    is_number: bool = False


def _time(row: TraceRow, page: Page) -> str:
    feature = f'<span class="mut cut">{_text(row.feature)}</span>' if row.feature else ""
    return f'<td class="nowrap">{_when(row.started_at, page)}{feature}</td>'


def _when(at: datetime, page: Page) -> str:
    full = fmt.full_moment(at, page.zone)
    return f'<time datetime="{fmt.iso(at)}" title="{full}">{fmt.moment(at, page.zone, page.now)}</time>'


def _said(row: TraceRow, page: Page) -> str:
    title, sub = said(row)
    match = page.matches.get(row.trace_id, "")
    match = f'<span class="clip2 found" dir="auto">{match}</span>' if match else ""
    return (
        f'<td class="clip"><a class="rowlink clip2" dir="auto" data-item href="{page.base}{row.hex_id}/{page.suffix}">'
        f'{_text(title)}</a><span class="clip2 mut">{_text(sub)}</span>{match}</td>'
    )


def said(row: TraceRow) -> tuple[str, str]:
    """What a trace asked and what it answered, or its name and why there is no text."""
    title, sub = row.preview_in or row.name, row.preview_out or ""
    if not row.preview_in:
        is_captured = row.flags & (SpanFlag.HAS_INPUT | SpanFlag.HAS_OUTPUT)
        why = "text too long to show here" if is_captured else "no text captured"
        sub = sub or f"{row.span_count:,} span{'' if row.span_count == 1 else 's'}, {why}"
    return title, sub or "No answer captured"


def _model(row: TraceRow, page: Page) -> str:
    models = row.models
    more = f"{len(models) - 1} more model{'' if len(models) == 2 else 's'}" if len(models) > 1 else ""
    below = ", ".join(part for part in (row.prompt_version, more) if part)
    first = f'<span class="cut">{_text(models[0])}</span>' if models else '<span class="mut">no model</span>'
    return f'<td class="nowrap">{first}{_below(below)}</td>'


def _below(text: str) -> str:
    return f'<span class="mut cut">{_text(text)}</span>' if text else ""


def _errors(row: TraceRow, page: Page) -> str:
    if not row.error_count:
        return '<td class="num" data-l="Errors"><span class="mut">none</span></td>'
    kind = (row.error_type or "").rsplit(".", 1)[-1]
    below = f'<span class="tiny up cut">{_text(kind)}</span>' if kind else ""
    shown = fmt.count(row.error_count, short=True)
    return f'<td class="num" data-l="Errors"><span class="badge bad">{shown}</span>{below}</td>'


def _tokens(row: TraceRow, page: Page) -> str:
    if row.tokens_in is None:
        word = "unknown" if row.generation_count else "none"
        return f'<td class="num" data-l="Tokens"><span class="mut">{word}</span></td>'
    out = fmt.count(row.tokens_out, short=True)
    shown = fmt.count(row.tokens_in, short=True)
    return f'<td class="num" data-l="Tokens">{shown}<br><span class="mut">+ {out}</span></td>'


def _cost(row: TraceRow, page: Page) -> str:
    before, word = COSTS[row.cost.state]
    if row.cost.usd is None:
        return f'<td class="num" data-l="Cost"><span class="mut">{word}</span></td>'
    mark = f'<br><span class="mut">{before.strip()}</span>' if before else ""
    return f'<td class="num" data-l="Cost">{fmt.cost(row.cost.usd)}{mark}</td>'


def _duration(row: TraceRow, page: Page) -> str:
    shown = fmt.latency(row.duration_ms, missing="not ended")
    ttft = "" if row.ttft_ms is None else f'<br><span class="mut">first {fmt.latency(row.ttft_ms)}</span>'
    return f'<td class="num" data-l="Latency">{shown}{ttft}</td>'


def _ttft(row: TraceRow, page: Page) -> str:
    missing = "unknown" if row.generation_count else "none"
    shown = fmt.latency(row.ttft_ms, missing=missing)
    inner = f'<span class="mut">{shown}</span>' if row.ttft_ms is None else shown
    return f'<td class="num" data-l="First token">{inner}</td>'


def _status(row: TraceRow, page: Page) -> str:
    word = {SpanStatus.ERROR: '<span class="badge bad">failed</span>', None: '<span class="mut">unknown</span>'}.get(
        row.root_status
    )
    return f'<td class="nowrap" data-l="Status">{word or "ended"}</td>'


def _trace_id(row: TraceRow, page: Page) -> str:
    foreign = row.foreign_trace_id
    below = f'<span class="mut cut" title="{_text(foreign)}">{_text(foreign)}</span>' if foreign else ""
    return f'<td class="nowrap" data-l="Id"><span class="mono cut" title="{row.hex_id}">{row.hex_id}</span>{below}</td>'


def _tags(row: TraceRow, page: Page) -> str:
    if not row.tags:
        return '<td data-l="Tags"><span class="mut">none</span></td>'
    return f'<td data-l="Tags"><span class="cut">{_text(", ".join(row.tags))}</span></td>'


def _notes(row: TraceRow, page: Page) -> str:
    mark = page.marks.get(row.trace_id)
    if mark is None:
        return '<td data-l="Notes"><span class="mut">none</span></td>'
    n = mark.comments
    said = f"{n:,} comment{'' if n == 1 else 's'}" if n else ""
    labels = f'<span class="cut">{_text(", ".join(mark.labels))}</span>' if mark.labels else ""
    return f'<td data-l="Notes">{labels}<span class="mut">{said}</span></td>'


def _pick(row: TraceRow, page: Page) -> str:
    title = _text(said(row)[0][:80])
    return (
        f'<td data-l="Compare"><label class="check"><input type="checkbox" name="pick" value="{row.hex_id}"'
        f' form="compare"><span class="vh">Compare {title}</span></label></td>'
    )


def _count_of(label: str, value: Callable[[TraceRow], int | None]) -> Callable[[TraceRow, Page], str]:
    def cell(row: TraceRow, page: Page) -> str:
        n = value(row)
        shown = '<span class="mut">unknown</span>' if n is None else fmt.count(n, short=True)
        return f'<td class="num" data-l="{label}">{shown}</td>'

    return cell


def _text_of(label: str, value: Callable[[TraceRow], str | None]) -> Callable[[TraceRow, Page], str]:
    def cell(row: TraceRow, page: Page) -> str:
        held = value(row)
        if held is None:
            return f'<td class="nowrap" data-l="{label}"><span class="mut">unknown</span></td>'
        shown = _text(held)
        return f'<td class="nowrap" data-l="{label}"><span class="cut" title="{shown}">{shown}</span></td>'

    return cell


def _link_of(label: str, folder: str, value: Callable[[TraceRow], str | None]) -> Callable[[TraceRow, Page], str]:
    plain = _text_of(label, value)

    def cell(row: TraceRow, page: Page) -> str:
        held = value(row)
        if held is None:
            return plain(row, page)
        href, shown = f"{page.base.removesuffix('traces/')}{folder}/{_e(write_id(held))}/", _text(held)
        return f'<td class="nowrap" data-l="{label}"><a class="cut" href="{href}" title="{shown}">{shown}</a></td>'

    return cell


def _text(text: str | None) -> str:
    return _e(fmt.visible(text or ""))


_ALL = (
    Column("time", "Time", "started_at", "w-time", _time),
    Column("said", "Asked, answered", "", "w-said", _said),
    Column("model", "Model", "", "w-text", _model),
    Column("errors", "Errors", "errors", "w-num", _errors, is_number=True),
    Column("tokens", "Tokens", "tokens", "w-num", _tokens, is_number=True),
    Column("cost", "Cost", "cost", "w-num", _cost, is_number=True),
    Column("latency", "Latency", "duration", "w-wide", _duration, is_number=True),
    Column("first_token", "First token", "", "w-num", _ttft, is_number=True),
    Column("status", "Status", "", "w-num", _status),
    Column("finish_reason", "Finish", "", "w-num", _text_of("Finish", lambda row: row.finish_reason)),
    Column("feature", "Feature", "", "w-text", _text_of("Feature", lambda row: row.feature)),
    Column("user", "User", "", "w-text", _link_of("User", "users", lambda row: row.user_id)),
    Column("session", "Session", "", "w-text", _link_of("Session", "sessions", lambda row: row.session_id)),
    Column("environment", "Environment", "", "w-text", _text_of("Environment", lambda row: row.environment)),
    Column("release", "Release", "", "w-text", _text_of("Release", lambda row: row.release)),
    Column("service", "Service", "", "w-text", _text_of("Service", lambda row: row.service)),
    Column("prompt", "Prompt", "", "w-text", _text_of("Prompt", lambda row: row.prompt_name)),
    Column("prompt_version", "Version", "", "w-text", _text_of("Version", lambda row: row.prompt_version)),
    Column("name", "Name", "", "w-text", _text_of("Name", lambda row: row.name)),
    Column("error_type", "Error type", "", "w-text", _text_of("Error type", lambda row: row.error_type)),
    Column("tags", "Tags", "", "w-text", _tags),
    Column("spans", "Spans", "", "w-num", _count_of("Spans", lambda row: row.span_count), is_number=True),
    Column("calls", "Model calls", "", "w-num", _count_of("Calls", lambda row: row.generation_count), is_number=True),
    Column("cached", "Cached input", "", "w-num", _count_of("Cached", lambda row: _cached(row)), is_number=True),
    Column("trace_id", "Trace id", "", "w-text", _trace_id),
    Column("notes", "Labels, comments", "", "w-text", _notes),
    Column("pick", "Compare", "", "w-num", _pick),
)  # fmt: skip


def _cached(row: TraceRow) -> int | None:
    return row.cached_tokens if row.has_tokens else None


COLUMNS = {column.key: column for column in _ALL}


@lru_cache(maxsize=512)
def chosen(keys: tuple[str, ...]) -> tuple[Column, ...]:
    """The columns of a list; the default ones for none."""
    columns = [COLUMNS[key] if key in COLUMNS else _extra(find_column(key)) for key in keys or TRACES.default_columns]
    return tuple(column for column in columns if column is not None)


def _extra(column: ExtraColumn | None) -> Column | None:
    if column is None:
        return None
    css, label, key = "num" if column.is_number else "nowrap", _text(column.label), column.key

    def cell(row: TraceRow, page: Page) -> str:
        inner = page.extras.get(key, {}).get(row.trace_id) or '<span class="mut">none</span>'
        return f'<td class="{css}" data-l="{label}">{inner}</td>'

    return Column(key, column.label, "", column.width, cell, is_number=column.is_number)


def row_html(row: TraceRow, columns: Sequence[Column], page: Page) -> SafeString:
    """One row's cells; every text in them is escaped."""
    return mark_safe("".join([column.cell(row, page) for column in columns]))  # noqa: S308


def rows_html(rows: Iterable[TraceRow], columns: Sequence[Column], page: Page) -> list[SafeString]:
    """The cells of each row."""
    return [row_html(row, columns, page) for row in rows]
