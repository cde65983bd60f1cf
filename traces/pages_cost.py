"""The cost page: what was spent on what, why it changed, and what the month will come to."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from telltale.audit.downloads import ListFile
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.access import may, project_page
from telltale.projects.models import Project
from traces import cost_charts
from traces.cost.periods import NAMED, Period, PeriodError, given_period, named_period, read_day
from traces.cost_records import day_records, line_records, session_records, user_records
from traces.cost_view import (
    LABELS,
    Links,
    RowView,
    day_rows,
    days_words,
    headline,
    money,
    part_views,
    rows,
    stats,
    unknown_words,
    unpriced_words,
    usd,
)
from traces.pages.addresses import write_id
from traces.pages.change_marks import marks_in
from traces.pages.export import FORMATS, cell
from traces.pages_accounting import query_string
from traces.read import TooSlow
from traces.read.cost import BY, read_cost_page, read_sessions, read_users
from traces.read.cost_values import CostPage, money_of
from traces.read.rollups import UserRow
from traces.read.session_rows import SessionRow
from traces.rollup.buckets import Calendar, calendar_of

ROWS_MAX = 50
ALL_ROWS_MAX = 1000
EXPORT_MAX = 10_000
WORDS = {"month": "This month", "last_month": "Last month", "7d": "7 d", "28d": "28 d"}
# Behind by more than this is worth a word.
LAG_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Window:
    """What the time picker shows."""

    label: str
    current: str
    start: str
    end: str
    zone: str
    hidden: tuple[tuple[str, str], ...]
    choices: tuple[tuple[str, str, str], ...]
    hint: str
    error: str


@dataclass(frozen=True, slots=True)
class HeavyRow:
    """A user or a session among the dearest."""

    name: str
    detail: str
    href: str
    n: str
    n_href: str
    tokens_in: str
    cached: str
    tokens_out: str
    each: str
    cost: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def cost(request: HttpRequest, project: Project) -> HttpResponseBase:
    """The bill of the period asked for, broken down by `by`; `format=csv` or `ndjson` has all rows."""
    calendar = calendar_of(project.time_zone)
    period, window = read_period(request.GET, calendar)
    by = request.GET.get("by", "model")
    errors = [window.error] if window.error else []
    if by not in BY:
        errors.append(f"There is no breakdown by {by[:40]!r}; there are {', '.join(BY)}.")
        by = "model"
    context: dict[str, Any] = {
        "project": project,
        "window": window,
        "errors": errors,
        "by": by,
        "tabs": [(query_string(request.GET, by=name, rows=None), LABELS[name], name == by) for name in BY],
        "prices": reverse("prices", args=[project.slug]),
        "welcome": reverse("project_welcome", args=[project.slug]),
    }
    try:
        if request.GET.get("format") in FORMATS:
            return _export(project, period, by, request.GET["format"])
        found = read_cost_page(project.pk, project.time_zone, period, by)
    except TooSlow:
        return render(request, "traces/cost.html", context | {"too_slow": True}, status=503)
    return render(request, "traces/cost.html", context | shown(project, found, by, request.GET, calendar))


def read_period(query: QueryDict, calendar: Calendar) -> tuple[Period, Window]:
    """The period of `t`, or of the days `from` and `to`; this month where they are absent or wrong."""
    now = clock.now()
    name, error = query.get("t", "") or "month", ""
    period = None
    if query.get("from") or query.get("to"):
        try:
            today = now.astimezone(calendar.zone).date()
            first = read_day("from", query.get("from", ""), calendar)
            last = read_day("to", query.get("to", ""), calendar) if query.get("to") else today
            period = given_period(first, last, calendar, now)
        except PeriodError as wrong:
            error = f"{wrong}." + (f" It was {wrong.value!r}." if wrong.value else "")
    elif name not in NAMED:
        error = f"There is no period {name[:40]!r}; there are {', '.join(NAMED)}, or from and to."
    period = period or named_period(name if name in NAMED else "month", calendar, now)
    choices = tuple(
        (value, word, query_string(query, t=None if value == "month" else value, **{"from": None, "to": None}))
        for value, word in WORDS.items()
    )
    hidden = (("by", str(query["by"])),) if query.get("by") else ()
    label = {"month": f"{period.days.first:%B} to date", "last_month": f"{period.days.first:%B %Y}"}.get(
        period.name, {"7d": "Last 7 days", "28d": "Last 28 days"}.get(period.name, days_words(period.days))
    )
    hint = f"Whole days in {calendar.name}, as 2026-11-19; both are included."
    first_text, last_text = period.days.first.isoformat(), period.days.last.isoformat()
    return period, Window(label, period.name, first_text, last_text, calendar.name, hidden, choices, hint, error)


def shown(project: Project, page: CostPage, by: str, query: QueryDict, calendar: Calendar) -> dict[str, Any]:
    """What the template writes."""
    bill, period = page.bill, page.bill.period
    links = Links(reverse("trace_list", args=[project.slug]))
    has_bills = bill.change is not None and bool(bill.change.before_pico or bill.change.now_pico)
    change = bill.change if has_bills else None
    most = ALL_ROWS_MAX if query.get("rows") == "all" else ROWS_MAX
    lines: list[RowView] = []
    if page.breakdown is not None:
        lines = rows(page.breakdown, period, links)
    elif by == "day":
        lines = day_rows(bill.days, links, period.today)
    rest = lines[most:]
    marks = marks_in(project.pk, period.days.start, period.days.end)
    return {
        "page": page,
        "bill": bill,
        "is_empty": not bill.total.n
        and not (bill.before and bill.before.n)
        and not any(day.usd for day in (*page.month.days, *page.month.previous)),
        "is_quiet": not bill.total.n,
        "headline": headline(page),
        "days": days_words(period.days),
        "stats": stats(page),
        "unpriced": unpriced_words(bill.total),
        "unpriced_href": links.requests(period.days.start, period.days.end, [("cost_status", "unpriced")]),
        "partial_href": links.requests(period.days.start, period.days.end, [("cost_status", "partial")]),
        "unknown": unknown_words(bill.total),
        "may_price": may(project, "prices"),
        "spend": cost_charts.spend(page.month, calendar, links),
        "buys": cost_charts.buys(bill.total),
        "change": cost_charts.change(change, period) if change else None,
        "parts": part_views(change) if change else [],
        "chart": marks.on(cost_charts.over_time(page, links, calendar)),
        "marks": marks,
        "label": LABELS[by],
        "noun": "Calls" if page.breakdown and page.breakdown.is_of_calls else "Requests",
        "one": "call" if page.breakdown and page.breakdown.is_of_calls else "request",
        "lines": lines[:most],
        "more": len(rest),
        "more_href": query_string(query, rows="all"),
        "is_listed": by not in {"user", "session"},
        "listed": _heavy_rows(project, page, links, by),
        # Beyond so many the list is of those who were among the dearest of a day.
        "is_sampled": bool(page.users and not page.users.is_exact),
        "listed_more": max(page.users.count - ROWS_MAX, 0) if page.users else 0,
        "total": _total(page, by),
        "before_days": days_words(period.before) if period.before else "",
        "heavy_users": _users(project, page.heaviest.users, page, links),
        "heavy_sessions": _sessions(project, page.heaviest.sessions, links),
        "users_month": page.heaviest.users_days.first,
        "by_user": query_string(query, by="user", rows=None),
        "by_session": query_string(query, by="session", rows=None),
        "csv": query_string(query, format="csv"),
        "ndjson": query_string(query, format="ndjson"),
        "is_behind": bill.state.lag_seconds > LAG_SECONDS,
    }


def _total(page: CostPage, by: str) -> str:
    """The sum under the breakdown."""
    if page.breakdown is not None:
        return money(money_of(page.breakdown.total))
    return money(page.bill.money) if by == "day" else ""


def _heavy_rows(project: Project, page: CostPage, links: Links, by: str) -> list[HeavyRow] | None:
    """The rows by user or by session; None where finding them took too long."""
    if by == "user":
        return _users(project, page.users.rows if page.users else None, page, links, in_period=True)
    return _sessions(project, page.sessions, links) if by == "session" else []


def _users(
    project: Project, found: Sequence[UserRow] | None, page: CostPage, links: Links, *, in_period: bool = False
) -> list[HeavyRow] | None:
    if found is None:
        return None
    days = page.bill.period.days if in_period else page.heaviest.users_days
    return [
        HeavyRow(
            name=row.user_id,
            detail=f"{row.unpriced_count:,} call{'' if row.unpriced_count == 1 else 's'} unpriced"
            if row.unpriced_count
            else "",
            href=reverse("user_page", args=[project.slug, write_id(row.user_id)]),
            n=f"{row.n:,}",
            n_href=links.requests(days.start, days.end, [("user", row.user_id)]),
            tokens_in=fmt.count(row.input_tokens - row.cached_tokens, short=True),
            cached=fmt.count(row.cached_tokens, short=True),
            tokens_out=fmt.count(row.output_tokens, short=True),
            each=fmt.cost(usd(row.cost_pico) / row.n) if row.cost_pico and row.n else "none",
            cost=_least(row.cost_pico, row.unpriced_count),
        )
        for row in found
    ]


def _least(pico: int, unpriced: int) -> str:
    """A cost of which some calls may lack a price."""
    if unpriced and not pico:
        return "unpriced"
    return ("at least " if unpriced else "") + fmt.cost(usd(pico))


def _sessions(project: Project, found: Sequence[SessionRow] | None, links: Links) -> list[HeavyRow] | None:
    if found is None:
        return None
    return [
        HeavyRow(
            name=row.session_id,
            detail=row.user_id or "",
            href=reverse("session_page", args=[project.slug, write_id(row.session_id)]),
            n=f"{row.turns:,}",
            n_href="",
            tokens_in=fmt.count(sum(row.tokens[:5]) - row.tokens[1], short=True),
            cached=fmt.count(row.tokens[1], short=True),
            tokens_out=fmt.count(sum(row.tokens[5:]), short=True),
            each=fmt.cost(usd(row.cost_pico) / row.turns) if row.cost.pico and row.turns else "none",
            cost=money(row.cost),
        )
        for row in found
    ]


def _export(project: Project, period: Period, by: str, kind: str) -> HttpResponseBase:
    """All rows of a breakdown as a download: exact dollars as decimal text, unknown as nothing."""
    if by == "user":
        records = user_records(read_users(project.pk, project.time_zone, period, EXPORT_MAX).rows)
    elif by == "session":
        records = session_records(read_sessions(project.pk, period.days, ALL_ROWS_MAX))
    elif by == "day":
        records = day_records(read_cost_page(project.pk, project.time_zone, period, by).bill.days)
    else:
        found = read_cost_page(project.pk, project.time_zone, period, by)
        records = line_records(found.breakdown) if found.breakdown else []
    lines = _csv(records) if kind == "csv" else (orjson.dumps(record) + b"\n" for record in records)
    response = ListFile(lines, lambda: len(records), content_type=FORMATS[kind])
    name = f"{project.slug}-cost-by-{by}-{period.days.first}-{period.days.last}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _csv(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    if records:
        yield writer.writerow(list(records[0]))
    for record in records:
        yield writer.writerow([cell(value) for value in record.values()])
