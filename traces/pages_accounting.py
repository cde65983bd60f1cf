"""The accounting page: what a project's senders sent, and what became of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from telltale.audit.downloads import ListFile
from telltale.lib import clock
from telltale.projects.access import project_page
from telltale.projects.models import Project
from telltale.projects.read import list_keys
from traces.accounting_chart import PARTS, BarChart, bar_chart
from traces.read.accounting import UNITS, Account, Flow, read_account

CHOICES = (
    ("1h", "1 h", timedelta(hours=1)),
    ("24h", "24 h", timedelta(hours=24)),
    ("7d", "7 d", timedelta(days=7)),
    ("28d", "28 d", timedelta(days=28)),
)
WORDS = {"1h": "in the last hour", "24h": "in the last 24 h", "7d": "in the last 7 days", "28d": "in the last 28 days"}
DEFAULT = "24h"
WINDOW_MAX = timedelta(days=400)
SOURCE_WORDS = {
    "traces": "OTLP traces", "native": "Native JSON", "logs": "OTLP logs", "metrics": "OTLP metrics",
    "signals": "Signals", "scores": "Scores", "reviews": "Labels and reviews", "items": "Dataset items",
    "results": "Results of experiments",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """The window a page was asked for, and what its picker shows."""

    start_at: datetime
    end_at: datetime
    label: str
    words: str
    current: str
    start: str
    end: str
    zone: str
    hidden: tuple[tuple[str, str], ...]
    choices: tuple[tuple[str, str, str], ...]
    error: str


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table: what it is about, its detail, its flow."""

    name: str
    detail: str
    flow: Flow


@dataclass(frozen=True, slots=True)
class Stat:
    """One figure: its label, value and unit, and what it stands beside."""

    label: str
    value: str
    unit: str
    note: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def accounting(request: HttpRequest, project: Project) -> HttpResponseBase:
    """The account of the window asked for, whole or of one key or source; `format=csv` has it as a table."""
    zone = clock.zone_of(project.time_zone)
    window = read_window(request.GET, zone, clock.now())
    keys = {row.id: row.name for row in list_keys(project)}
    key_id, source = _asked_key(request.GET, keys), request.GET.get("source", "")
    source = source if source in UNITS else ""
    account = read_account(project.pk, window.start_at, window.end_at, key_id=key_id, source=source)
    if request.GET.get("format") == "csv":
        return _csv(project, account)
    spans_only = not source and bool(account.spans.received or not account.total.received)
    shown, unit = (account.spans, "spans") if spans_only else (account.total, UNITS.get(source, "things"))
    chart = bar_chart(account.by_hour, zone, spans_only=spans_only)
    context: dict[str, Any] = {
        "project": project,
        "window": window,
        "account": account,
        "sentence": sentence(account, window.words),
        "stats": stats(shown, unit),
        "unit": unit,
        "chart": chart,
        "headline": headline(chart, zone),
        "welcome": reverse("project_welcome", args=[project.slug]),
        "parts": [(css.replace("f", "s", 1), word) for _, css, word in PARTS],
        "by_key": [
            Line(keys.get(row.key_id, f"removed key {row.key_id}"), SOURCE_WORDS.get(row.source, row.source), row.flow)
            for row in account.by_key
        ],
        "reasons": [(row, keys.get(row.key_id, f"removed key {row.key_id}")) for row in account.reasons],
        "masked": [
            {"rule": row.rule, "source": SOURCE_WORDS.get(row.source, row.source), "n": row.n, "last_at": row.last_at}
            for row in account.masked
        ],
        "masking": reverse("masking", args=[project.slug]),
        "keys": [(str(key), name, key == key_id) for key, name in keys.items()],
        "sources": [(name, word, name == source) for name, word in SOURCE_WORDS.items()],
        "is_filtered": bool(key_id or source),
        "unfiltered": query_string(request.GET, key=None, source=None),
        "csv": query_string(request.GET, format="csv"),
        "kept": [(name, value) for name, value in window_query(request.GET)],
    }
    return render(request, "traces/accounting.html", context)


def read_window(
    query: QueryDict,
    zone: ZoneInfo,
    now: datetime,
    *,
    default: str = DEFAULT,
    keep: Collection[str] = ("key", "source"),
) -> Window:
    """The window of `t` or of `from` and `to`, the default where they are absent or wrong (`error` then says so).

    `keep` names what of the address the picker's form carries along.
    """
    hidden = tuple((name, str(value)) for name in keep for value in query.getlist(name) if value)
    choices = tuple(
        (value, word, query_string(query, t=value, **{"from": None, "to": None})) for value, word, _ in CHOICES
    )
    lengths = {value: length for value, _, length in CHOICES}
    current, error = query.get("t", ""), ""
    if query.get("from") or query.get("to"):
        try:
            start, end = _moment(query.get("from", ""), zone), _moment(query.get("to", "") or now.isoformat(), zone)
            if not timedelta(0) < end - start <= WINDOW_MAX:
                raise ValueError
            label = f"{_text(start, zone)} to {_text(end, zone)}"
            return Window(
                start,
                end,
                label,
                f"from {label}",
                "",
                _text(start, zone),
                _text(end, zone),
                str(zone),
                hidden,
                choices,
                "",
            )
        except (ValueError, OverflowError):
            error = (
                f"From and to must be times such as 2026-11-19 11:00, in order, at most {WINDOW_MAX.days} days apart."
            )
    elif current and current not in lengths:
        error = f"There is no window {current[:20]!r}; 1h, 24h, 7d and 28d are."
    current = current if current in lengths else default
    start = now - lengths[current]
    label = WORDS[current].removeprefix("in the ").capitalize()
    return Window(
        start,
        now,
        label,
        WORDS[current],
        current,
        _text(start, zone),
        _text(now, zone),
        str(zone),
        hidden,
        choices,
        error,
    )


def sentence(account: Account, words: str) -> str:
    """The answer of the page in one or two sentences."""
    rows = [(row.flow, row.unit) for row in account.by_source if UNITS[row.source] != "spans"]
    others = [f"{flow.received:,} {unit}" for flow, unit in rows if flow.received]
    missing = sum(abs(row.flow.missing) for row in account.by_source)
    if missing:
        received = f"{account.total.received:,} things received {words}"
        return f"{missing:,} of {received} are not accounted for. This is a fault of ours."
    if account.unexplained:
        n = f"{abs(account.unexplained):,}"
        return f"The sum holds, but {n} of what was not stored {words} has no reason. This is a fault of ours."
    if account.spans.received == 1:
        first = f"The one span received {words} is accounted for."
    elif account.spans.received or not others:
        first = f"All {account.spans.received:,} spans received {words} are accounted for."
    else:
        return f"All {' and '.join(others)} received {words} are accounted for."
    return f"{first} So are {' and '.join(others)}." if others else first


def stats(flow: Flow, unit: str) -> list[Stat]:
    """The figures of the page."""
    share = f"{100 * flow.stored / flow.received:.1f}% of received" if flow.received else ""
    return [
        Stat(
            "Received", f"{flow.received:,}", unit, f"in {flow.requests:,} request{'' if flow.requests == 1 else 's'}"
        ),
        Stat("Stored", f"{flow.stored:,}", "", share),
        Stat("Stored already", f"{flow.duplicate:,}", "", "sent again, kept once"),
        Stat("Rejected", f"{flow.rejected:,}", "", "by reason, below"),
        Stat("Dropped by policy", f"{flow.dropped:,}", "", "by reason, below"),
        Stat("First byte to commit", _ms(flow.lag_mean_ms), "mean", f"at most {_ms(flow.lag_max_ms)}"),
    ]


def headline(chart: BarChart, zone: ZoneInfo) -> str:
    """What the chart shows, in a sentence."""
    if chart.most is None:
        return "Nothing of this kind was received."
    at = chart.most.start.astimezone(zone)
    when = f"{at.day} {at:%b}" if chart.unit_word == "day" else f"{at.day} {at:%b %H:%M}"
    return f"Most came in the {chart.unit_word} of {when}: {chart.most.flow.received:,}."


def query_string(query: QueryDict, **changes: str | None) -> str:
    """The query with some names set, or removed where None, as `?...`."""
    kept = [(name, value) for name in query for value in query.getlist(name) if name not in changes]
    return "?" + urlencode([*kept, *((name, value) for name, value in changes.items() if value is not None)])


def window_query(query: QueryDict) -> list[tuple[str, str]]:
    """What a filter form keeps of the window."""
    return [(name, str(query[name])) for name in ("t", "from", "to") if query.get(name)]


def _asked_key(query: QueryDict, keys: dict[int, str]) -> int | None:
    raw = query.get("key", "")
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 and int(raw) in keys else None


def _moment(text: str, zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(text.strip())
    at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    if not 1970 <= at.year <= 2200:
        raise ValueError
    return at


def _text(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _ms(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def _csv(project: Project, account: Account) -> HttpResponseBase:
    out = io.StringIO()
    writer = csv.writer(out)
    names = (
        "requests",
        "body_bytes",
        "received",
        "stored",
        "duplicate",
        "rejected",
        "dropped",
        "missing",
        "lag_mean_ms",
        "lag_max_ms",
    )
    writer.writerow(("hour", *names))
    for row in account.by_hour:
        writer.writerow((row.hour.isoformat(), *(getattr(row.flow, name) for name in names)))
    response = ListFile([out.getvalue()], lambda: len(account.by_hour), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{project.slug}-accounting.csv"'
    return response
