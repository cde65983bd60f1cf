"""The performance page: how long requests and model calls take, how many fail and why, beside what the machines did."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
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
from telltale.projects.access import project_page
from telltale.projects.models import Project
from telltale.stats.proportions import wilson
from telltale.stats.sketch import Sketch
from traces.api.performance import breakdown_json
from traces.canonical.types import Kind
from traces.pages.change_marks import marks_in
from traces.pages.export import FORMATS, cell
from traces.pages_accounting import query_string, read_window
from traces.performance_charts import Pictures
from traces.performance_view import Links, headline, interval_words, is_of_requests, rate, share_words, stats
from traces.read import TooSlow
from traces.read.performance import BREAKDOWNS, DIMENSIONS, Performance, Terms, quantile_of, read_performance
from traces.read.rollups import Reasons, Row
from traces.rollup.sums import OTHER

ROWS_MAX = 100
REASONS_MAX = 12
VALUE_CHARS_MAX = 1024
LABELS = {
    "feature": "Feature", "model": "Model", "provider": "Provider", "stage": "Stage", "service": "Service",
    "environment": "Environment", "release": "Release", "prompt": "Prompt", "prompt_version": "Prompt version",
}  # fmt: skip
BEFORE = {"1h": "the hour before", "24h": "the 24 h before", "7d": "the 7 days before", "28d": "the 28 days before"}


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the breakdown. `narrow` is this page for the value alone, `href` its traces; "" for none."""

    name: str
    detail: str
    narrow: str
    href: str
    n: str
    errors: str
    errors_ci: str
    p50: str
    p95: str
    p95_ci: str
    p99: str
    ttft: str
    tpot: str
    speed: str
    weighted: str
    length: str


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """How often an error type or a finish reason was told, of how many."""

    reason: str
    n: str
    share: str
    href: str


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter in words, and the address without it."""

    field: str
    word: str
    remove: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def performance(request: HttpRequest, project: Project) -> HttpResponseBase:
    """Latency, throughput and errors of the window asked for; `format=csv` or `ndjson` has the breakdown as a file."""
    zone = clock.zone_of(project.time_zone)
    query = request.GET
    window = read_window(query, zone, clock.now(), default="7d", keep=(*DIMENSIONS, *_missing_names(), "by"))
    terms, errors = read_terms(query)
    by = query.get("by", "feature")
    if by not in BREAKDOWNS:
        errors.append(f"by: {by[:40]!r} is no breakdown; {', '.join(BREAKDOWNS)} are.")
        by = "feature"
    context: dict[str, Any] = {
        "project": project,
        "window": window,
        "errors": errors,
        "chips": [Chip(LABELS[name].lower(), fmt.UNKNOWN if value is None else value, _without(query, name))
                  for name, value in terms.items()],
        "clear": query_string(query, **dict.fromkeys((*DIMENSIONS, *_missing_names()))),
        "tabs": [(query_string(query, by=name), f"By {LABELS[name].lower()}", name == by) for name in BREAKDOWNS],
        "welcome": reverse("project_welcome", args=[project.slug]),
    }  # fmt: skip
    try:
        found = read_performance(project.pk, project.time_zone, window.start_at, window.end_at, terms, by)
    except TooSlow:
        return render(request, "traces/performance.html", context | {"too_slow": True}, status=503)
    links = Links(reverse("trace_list", args=[project.slug]), terms)
    lines = breakdown_lines(found, links, query)
    if (kind := query.get("format")) in FORMATS:
        return _csv(project, by, lines) if kind == "csv" else _ndjson(project, found)
    marks = marks_in(
        project.pk, found.start, found.end, services=[terms.get("service")], features=[terms.get("feature")],
        environments=[terms.get("environment")],
    )  # fmt: skip
    context |= {
        "found": found,
        "is_empty": not found.calls.rows
        and not (found.requests and found.requests.rows)
        and (bool(terms) or not found.hosts.lines),
        "headline": headline(found),
        "stats": stats(found, BEFORE.get(window.current, "the period before")),
        "figures": marks.on_each(Pictures(found, zone, links).all()),
        "marks": marks,
        "lines": lines[:ROWS_MAX],
        "more": len(lines) - ROWS_MAX,
        "label": LABELS[by],
        "noun": _noun(found),
        "of_requests": is_of_requests(by, found),
        "error_lines": reason_lines(found.errors, _requests_with_errors(found), links, is_finish=False),
        "finish_lines": reason_lines(found.finishes, found.whole_calls.sums.n, links, is_finish=True),
        "retries": found.whole_calls.sums.retries,
        "refusals": share_words(wilson(found.whole_calls.sums.refusals, found.whole_calls.sums.n)),
        "refused": found.whole_calls.sums.refusals,
        "calls": found.whole_calls.sums.n,
        "csv": query_string(query, format="csv"),
        "ndjson": query_string(query, format="ndjson"),
        "other": found.other_share,
        "is_behind": found.state.lag_seconds > 10,
    }
    return render(request, "traces/performance.html", context)


def read_terms(query: QueryDict) -> tuple[dict[str, str | None], list[str]]:
    """The filter of an address, and what of it was not understood. `name.missing=yes` asks for "unknown"."""
    terms: dict[str, str | None] = {}
    errors = []
    for name in DIMENSIONS:
        value = query.get(name, "").strip()
        if query.get(f"{name}.missing") == "yes":
            terms[name] = None
        elif len(value) > VALUE_CHARS_MAX:
            errors.append(f"{name}: at most {VALUE_CHARS_MAX:,} characters, got {len(value):,}; it was left out.")
        elif "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
            errors.append(f"{name}: holds characters that no stored text has; it was left out.")
        elif value:
            terms[name] = value
    return terms, errors


def breakdown_lines(found: Performance, links: Links, query: QueryDict) -> list[Line]:
    """The rows of the breakdown, most frequent first."""
    rows = sorted(found.breakdown.rows, key=lambda row: (-row.sums.n, str(row.key)))
    return [_line(found, row, links, query) for row in rows]


def _line(found: Performance, row: Row, links: Links, query: QueryDict) -> Line:
    value = row.key[-1]
    name = fmt.UNKNOWN if value is None else str(value)
    detail, narrow = "", ""
    start, end = found.start, found.end
    if found.by == "stage":
        kind = Kind(int(row.key[0] or 0)).name.lower()
        name = kind if value is None else name
        detail = "" if value is None else kind
        href = links.steps(start, end, kind, None if value is None else str(value))
    else:
        is_requests = is_of_requests(found.by, found)
        asked: Terms = {found.by: None if value is None else str(value)}
        href = links.requests(start, end, asked) if is_requests else links.calls(start, end, asked)
        change = {found.by: name, f"{found.by}.missing": None} if value is not None else {
            found.by: None, f"{found.by}.missing": "yes"}  # fmt: skip
        narrow = query_string(query, **change)
    if value == OTHER:
        href = narrow = ""
        detail = "values beyond what is kept apart"
    share = wilson(row.sums.errors, row.sums.n)
    p95, low, high = quantile_of(row.sketch("duration"), 0.95)
    weighted = row.sums.token_weighted_duration_ns
    half_tpot = quantile_of(row.sketch("tpot"), 0.5)[0]
    length = row.sketch("length").quantile(0.5)
    return Line(
        name=name,
        detail=detail,
        narrow=narrow,
        href=href,
        n=f"{row.sums.n:,}",
        errors=fmt.share(share.share, missing="none"),
        errors_ci=f"{fmt.share(share.low)}{fmt.EN_DASH}{fmt.share(share.high)}",
        p50=_ms(row.sketch("duration"), 0.5),
        p95=fmt.latency(p95, missing="not told"),
        p95_ci=interval_words(low, high, row.sketch("duration").n),
        p99=_ms(row.sketch("duration"), 0.99),
        ttft=_ms(row.sketch("ttft"), 0.95),
        tpot=_ms(row.sketch("tpot"), 0.95),
        speed=rate(1000 / half_tpot) if half_tpot else "not told",
        weighted=fmt.latency(None if weighted is None else weighted / 1e6, missing="not told"),
        length="not told" if length is None else f"{round(length.value):,}",
    )


def _ms(sketch: Sketch, q: float) -> str:
    return fmt.latency(quantile_of(sketch, q)[0], missing="not told")


def reason_lines(found: Reasons | None, of: int, links: Links, *, is_finish: bool) -> list[ReasonLine]:
    """The most frequent reasons with their shares of `of`, each with its traces."""
    if found is None:
        return []
    lines = []
    for row in found.rows[:REASONS_MAX]:
        if is_finish:
            href = links.calls(found.start, found.end, {"finish_reason": row.reason})
        else:
            href = links.requests(found.start, found.end, {"error_type": row.reason})
        # One request names one error type, so reasons are never more than what they are of.
        share = share_words(wilson(min(row.n, of), of)) if of else fmt.UNKNOWN
        lines.append(ReasonLine(row.reason, f"{row.n:,}", share, "" if row.reason == OTHER else href))
    return lines


def _requests_with_errors(found: Performance) -> int:
    return found.whole_requests.sums.errors if found.whole_requests is not None else 0


def _noun(found: Performance) -> str:
    if found.by == "stage":
        return "steps"
    return "requests" if is_of_requests(found.by, found) else "model calls"


def _missing_names() -> tuple[str, ...]:
    return tuple(f"{name}.missing" for name in DIMENSIONS)


def _without(query: QueryDict, name: str) -> str:
    return query_string(query, **{name: None, f"{name}.missing": None})


def _csv(project: Project, by: str, lines: Sequence[Line]) -> HttpResponseBase:
    out = io.StringIO()
    writer = csv.writer(out)
    names = ("n", "errors", "errors_ci", "p50", "p95", "p95_ci", "p99", "ttft", "tpot", "speed", "weighted", "length")
    writer.writerow((by, "detail", *names))
    for line in lines:
        writer.writerow((cell(line.name), cell(line.detail), *(getattr(line, name) for name in names)))
    return _file(project, by, "csv", [out.getvalue()], len(lines))


def _ndjson(project: Project, found: Performance) -> HttpResponseBase:
    """The rows as REST gives them, a JSON object a line: exact numbers, null for what is not known."""
    rows = breakdown_json(found)
    return _file(project, found.by, "ndjson", [orjson.dumps(row) + b"\n" for row in rows], len(rows))


def _file(project: Project, by: str, kind: str, pieces: Sequence[str | bytes], n: int) -> HttpResponseBase:
    response = ListFile(pieces, lambda: n, content_type=FORMATS[kind])
    response["Content-Disposition"] = f'attachment; filename="{project.slug}-performance-{by}.{kind}"'
    return response


__all__ = ["performance"]
