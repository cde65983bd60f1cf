"""The runs of a judge: states that add up, failures by reason, what waits, what was spent, the newest judgements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from evals.pages.judge import find
from evals.pages.judges import is_over, state_of
from evals.read import setup as read
from evals.read.judgements import REASONS, STATES, Counts, JudgementRow, counts, lag, list_judgements
from evals.read.runs import each_judgement
from evals.read.setup import JudgeView, SettingsView
from evals.read.spend import Used, day_of, ends_at, spend_by_day, used_on
from telltale.lib import clock
from telltale.projects.access import project_page
from telltale.projects.models import Project
from traces.pages.export import FORMATS, Busy, busy_response, download

PAGE = 50
PICO = Decimal(10) ** 12
WINDOWS = {"24h": ("24 hours", timedelta(hours=24)), "7d": ("7 days", timedelta(days=7)),
           "28d": ("28 days", timedelta(days=28))}  # fmt: skip
STATE_WORDS = {
    "scored": "Scored", "failed": "Failed", "skipped": "Skipped", "pending": "Waiting", "running": "Being judged",
}  # fmt: skip
RIBBONS = {"scored": "ok", "failed": "bad", "skipped": "none", "pending": "watch", "running": "watch"}
PURPOSES = {1: "live", 2: "backfill", 3: "calibration", 4: "experiment", 5: "probe"}
COLUMNS = (
    "judgement_id", "judge", "version", "trace_id", "span_id", "purpose", "state", "reason", "attempts", "made_at",
    "done_at", "trace_started_at", "feature", "model", "inclusion_probability", "is_flagged", "flags", "cost_usd",
    "duration_ms", "call_trace_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """How many judgements are in a state for a reason."""

    state: str
    reason: str
    words: str
    n: int
    href: str


@dataclass(frozen=True, slots=True)
class Line:
    """A judgement as the table writes it."""

    row: JudgementRow
    version: int
    ribbon: str
    word: str
    purpose: str


@require_http_methods(["GET", "HEAD"])
@project_page()
def runs(request: HttpRequest, project: Project, judge: str) -> HttpResponseBase:
    """How judging goes, and the judgements by `state`, `reason`, `flagged`; `before` is where a page ends."""
    view = find(project, judge)
    wanted, kept = _wanted(request)
    numbers = {version.id: version.number for version in view.versions}
    kind = request.GET.get("format", "")
    if kind in FORMATS:
        records = _records(project, view, wanted, numbers)
        try:
            return download(
                f"{project.slug}-{view.slug}-runs", kind, COLUMNS, records, is_head=request.method == "HEAD"
            )
        except Busy:
            return busy_response()
    now = clock.now()
    window = request.GET.get("t", "24h")
    window = window if window in WINDOWS else "24h"
    made = counts(project.pk, judge_id=view.id, start=now - WINDOWS[window][1])
    before = _id(request.GET.get("before", ""))
    rows = list_judgements(project.pk, judge_id=view.id, before=before, limit=PAGE + 1, **wanted)
    context = {
        "project": project,
        "judge": view,
        "window": window,
        "window_word": WINDOWS[window][0],
        "windows": [(value, word, value == window) for value, (word, _) in WINDOWS.items()],
        "made": made,
        "states": [(state, STATE_WORDS[state], made.of(state), RIBBONS[state]) for state in ORDER],
        "reasons": reason_lines(made, window),
        "retries": max(made.calls - made.of("scored") - made.of("failed"), 0) if made.calls else 0,
        "lines": [
            Line(row, numbers.get(row.judge_version_id, 0), RIBBONS[row.state], STATE_WORDS[row.state],
                 PURPOSES.get(row.purpose, "")) for row in rows[:PAGE]
        ],
        "older": "?" + urlencode({**kept, "before": rows[PAGE - 1].judgement_id}) if len(rows) > PAGE else "",
        "newest": "?" + urlencode(kept) if before else "",
        "kept": kept,
        "state": kept.get("state", ""),
        "state_choices": [("", "Any state"), *STATE_WORDS.items()],
        "flagged": kept.get("flagged", ""),
        "exports": [(name.upper(), "?" + urlencode({**kept, "format": name})) for name in FORMATS],
        **_pace(project, view, now, WINDOWS[window][1]),
    }  # fmt: skip
    return render(request, "evals/judge_runs.html", context)


ORDER = ("scored", "failed", "skipped", "pending", "running")


def _pace(project: Project, view: JudgeView, now: datetime, back: timedelta) -> dict[str, Any]:
    """What waits how long, what was spent by day, and what holds judging up."""
    zone = clock.zone_of(project.time_zone)
    today = day_of(now, zone)
    used = used_on(project.pk, today)
    limits = read.settings_for(project.pk)
    found = lag(project.pk, view.id, [version.id for version in view.versions])
    shown = view.live or view.newest
    connection = read.get_connection(project.pk, shown.connection_id) if shown.connection_id else None
    plan = read.plans_in_force(project.pk, now).get(view.id)
    ribbon, word = state_of(view, plan)
    days = spend_by_day(project.pk, day_of(now - back, zone), today, view.id)
    waited = None if found.oldest_waiting_at is None else now - found.oldest_waiting_at
    return {
        "ribbon": ribbon,
        "word": word,
        "lag": found,
        "waited_ms": None if waited is None else max(waited.total_seconds(), 0) * 1000,
        "median_ms": None if found.median_seconds is None else found.median_seconds * 1000,
        "p95_ms": None if found.p95_seconds is None else found.p95_seconds * 1000,
        "spent": next((each for each in days if each.day == today), None),
        "days": days[::-1],
        "used": used,
        "limits": limits,
        "over": over_limits(limits, used, view) if view.kind == "model" else [],
        "ends_at": ends_at(now, zone),
        "connection": connection if connection and connection.paused_until and connection.paused_until > now else None,
    }


def over_limits(limits: SettingsView, used: Used, view: JudgeView) -> list[str]:
    """Which of today's limits leave no room for calls of a judge."""
    asked = (
        ("today’s money for all judges", limits.budget_pico_day, used.whole_pico),
        ("today’s calls for all judges", limits.budget_calls_day, used.whole_calls),
        ("today’s money for this judge", view.budget_pico_day, used.pico(view.id)),
    )
    return [words for words, limit, spent in asked if is_over(limit, spent)]


def reason_lines(made: Counts, window: str) -> tuple[ReasonLine, ...]:
    """Reasons of failures, skips and waiting, the most frequent first."""
    found = sorted(made.by_reason.items(), key=lambda item: (ORDER.index(item[0][0]), -item[1], item[0][1]))
    return tuple(
        ReasonLine(
            STATE_WORDS[state], reason, REASONS.get(reason, reason), n,
            "?" + urlencode({"t": window, "state": state, "reason": reason}),
        )
        for (state, reason), n in found
        if n
    )  # fmt: skip


def _wanted(request: HttpRequest) -> tuple[dict[str, Any], dict[str, str]]:
    """What is asked for, and the parameters that links keep."""
    wanted: dict[str, Any] = {}
    kept: dict[str, str] = {}
    window, state = request.GET.get("t", ""), request.GET.get("state", "")
    reason, flagged = request.GET.get("reason", ""), request.GET.get("flagged", "")
    if window in WINDOWS:
        kept["t"] = window
    if state in STATES:
        wanted["state"] = kept["state"] = state
    if reason in REASONS and reason:
        wanted["reason"] = kept["reason"] = reason
    if flagged == "1":
        wanted["is_flagged"], kept["flagged"] = True, "1"
    return wanted, kept


def _id(raw: str) -> int | None:
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 20 and int(raw) < 2**63 else None


def _records(
    project: Project, view: JudgeView, wanted: dict[str, Any], numbers: dict[int, int]
) -> Iterator[dict[str, Any]]:
    for row in each_judgement(project.pk, view.id, **wanted):
        yield record(row, view.slug, numbers.get(row.judge_version_id))


def record(row: JudgementRow, judge: str, version: int | None) -> dict[str, Any]:
    """A judgement as files have it."""
    return {
        "judgement_id": str(row.judgement_id),
        "judge": judge,
        "version": version,
        "trace_id": row.target_id,
        "span_id": f"{row.span_id & (2**64 - 1):016x}" if row.span_id else None,
        "purpose": PURPOSES.get(row.purpose),
        "state": row.state,
        "reason": row.reason or None,
        "attempts": row.attempts,
        "made_at": row.made_at,
        "done_at": row.done_at,
        "trace_started_at": row.started_at,
        "feature": row.feature or None,
        "model": row.model or None,
        "inclusion_probability": row.pi,
        "is_flagged": row.is_flagged,
        "flags": list(row.flags),
        "cost_usd": None if row.cost_pico is None else row.cost_pico / PICO,
        "duration_ms": row.duration_ms,
        "call_trace_id": row.call_trace_id,
    }
