"""REST: what traffic cost, by what, by day, why it changed, and what the month will come to."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.lib import clock
from telltale.rest import form, paging, params, shapes
from telltale.rest.problems import bad_field
from telltale.rest.views import ProjectView
from traces.api.traces import too_slow
from traces.cost.decompose import Change
from traces.cost.forecast import Ahead
from traces.cost.periods import NAMED, Days, Period, PeriodError, given_period, named_period, read_day
from traces.cost_records import day_records, line_record, session_records, sums_record, user_records
from traces.read import TooSlow
from traces.read.cost import (
    BY,
    read_breakdown,
    read_change,
    read_days,
    read_forecast,
    read_judging,
    read_sessions,
    read_users,
)
from traces.read.cost_values import MonthForecast
from traces.read.rollups import Rollups, reading
from traces.rollup.buckets import calendar_of
from traces.rollup.sums import add

LISTED_MAX = 10_000
SESSIONS_MAX = 1000
T = OpenApiParameter("t", OpenApiTypes.STR, enum=list(NAMED), description="A period by name; `month` is the default.")
DAY_FROM = OpenApiParameter("from", OpenApiTypes.STR, description="First day, as 2026-11-01, in the project's zone.")
DAY_TO = OpenApiParameter("to", OpenApiTypes.STR, description="Last day, included; today where it is absent.")
PERIOD = (T, DAY_FROM, DAY_TO)


class CostSumsShape(serializers.Serializer[Any]):
    requests = serializers.IntegerField(allow_null=True, help_text="Traces; null where single calls are counted.")
    calls = serializers.IntegerField(allow_null=True, help_text="Spans; null where requests are counted.")
    counted_calls = serializers.IntegerField(help_text="Calls that count: each provider call once, however often told.")
    input_tokens = serializers.IntegerField()
    input_fresh = serializers.IntegerField()
    input_cache_read = serializers.IntegerField()
    input_cache_write = serializers.IntegerField()
    input_audio = serializers.IntegerField()
    output_tokens = serializers.IntegerField(help_text="Text, reasoning and audio.")
    output_reasoning = serializers.IntegerField()
    output_audio = serializers.IntegerField()
    cost_usd = serializers.CharField(
        allow_null=True,
        help_text="Exact. Without the calls below; null where none could be priced: unknown is not 0.",
    )
    saved_usd = serializers.CharField(help_text="What caching saved; negative where it cost more than it saved.")
    unpriced_calls = serializers.IntegerField()
    partly_priced_calls = serializers.IntegerField()
    unknown_usage_calls = serializers.IntegerField()
    upper_bound_calls = serializers.IntegerField(help_text="Calls whose cost is at most this.")


class CostPeriodShape(serializers.Serializer[Any]):
    first_day = serializers.CharField()
    last_day = serializers.CharField(help_text="Included.")
    start = serializers.DateTimeField(help_text="Beginning of the first day.")
    end = serializers.DateTimeField(help_text="End of the last day.")
    days = serializers.IntegerField()


class CostRowShape(CostSumsShape):
    model = serializers.CharField(required=False, allow_null=True, help_text="By model; null is unknown.")
    provider = serializers.CharField(required=False, allow_null=True)
    feature = serializers.CharField(required=False, allow_null=True)
    service = serializers.CharField(required=False, allow_null=True)
    environment = serializers.CharField(required=False, allow_null=True)
    release = serializers.CharField(required=False, allow_null=True)
    prompt = serializers.CharField(required=False, allow_null=True)
    prompt_version = serializers.CharField(required=False, allow_null=True)
    user = serializers.CharField(required=False, allow_null=True)
    session = serializers.CharField(required=False)
    day = serializers.CharField(required=False)
    kind = serializers.CharField(
        required=False,
        help_text="By model or provider: call, or the kind of a step that calls no model but tells usage.",
    )
    before_usd = serializers.CharField(
        required=False, allow_null=True, help_text="What it cost in the days before; null where it did not occur."
    )


class CostPageShape(serializers.Serializer[Any]):
    items = CostRowShape(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    by = serializers.ChoiceField(choices=BY)
    period = CostPeriodShape()
    before = CostPeriodShape(allow_null=True)
    total = CostSumsShape(help_text="All requests of the period, judging included.")
    judging = CostSumsShape(allow_null=True, help_text="Requests of judges; null: there never were any.")


class CostDayShape(CostSumsShape):
    day = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    hours = serializers.FloatField(help_text="23 and 25 where clocks change.")


class CostDaysShape(serializers.Serializer[Any]):
    period = CostPeriodShape()
    items = CostDayShape(many=True)
    total = CostSumsShape()


class CostPartModelShape(serializers.Serializer[Any]):
    model = serializers.CharField()
    usd = serializers.CharField()


class CostPartShape(serializers.Serializer[Any]):
    part = serializers.CharField()
    usd = serializers.CharField()
    models = CostPartModelShape(many=True, help_text="The models that made most of it, rounded to the pico-dollar.")


class CostChangeShape(serializers.Serializer[Any]):
    period = CostPeriodShape(help_text="The days of the period that are over.")
    before = CostPeriodShape()
    before_usd = serializers.CharField()
    now_usd = serializers.CharField()
    change_usd = serializers.CharField(help_text="The exact sum of all parts.")
    parts = CostPartShape(many=True, help_text="In the order in which they were taken.")
    calls_before = serializers.IntegerField()
    calls_now = serializers.IntegerField()
    unpriced_before = serializers.IntegerField(help_text="Calls without a full price: apart, in no bill.")
    unpriced_now = serializers.IntegerField()


class CostChangeAnswerShape(serializers.Serializer[Any]):
    change = CostChangeShape(allow_null=True, help_text="Null where no day of the period is over.")


class CostAheadShape(serializers.Serializer[Any]):
    day = serializers.CharField()
    usd = serializers.CharField(help_text="Expected sum since the first of the month at the end of this day.")
    low_usd = serializers.CharField()
    high_usd = serializers.CharField()


class CostForecastShape(serializers.Serializer[Any]):
    month = serializers.CharField(help_text="As 2026-11.")
    as_of = serializers.DateTimeField()
    spent_usd = serializers.CharField()
    forecast_usd = serializers.CharField(allow_null=True, help_text="Null: too little data; `n` of `needed` days.")
    low_usd = serializers.CharField(allow_null=True)
    high_usd = serializers.CharField(allow_null=True)
    level = serializers.FloatField(help_text="Of the interval.")
    n = serializers.IntegerField(help_text="Whole days learned from.")
    needed = serializers.IntegerField()
    ahead = CostAheadShape(many=True)


class CostView(ProjectView):
    query = {"GET": ("by", "t", "from", "to", "limit", "cursor")}

    @shapes.describe(
        "Cost by model, feature, user and more",
        CostPageShape,
        tag="Cost",
        detail="Dearest first; by day in order. Requests are booked on the day they began, calls (by model or "
        "provider) at their own start. At most 10,000 users and 1,000 sessions can be paged through. Of users and "
        "sessions only some of the sums are kept.",
        query=(
            OpenApiParameter("by", OpenApiTypes.STR, enum=list(BY), description="`model` where it is absent."),
            *PERIOD,
            shapes.LIMIT,
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        by = params.choice(query, "by", BY, "model")
        period = read_period(self)
        limit = params.page_size(query)
        position = paging.read_cursor(params.text(query, "cursor"), str, int)
        if position is not None and (position[0] != by or not 0 <= position[1] <= LISTED_MAX):
            raise paging.bad_cursor(params.text(query, "cursor"))
        try:
            with reading(self.project.pk, self.project.time_zone) as rollups:
                days = read_days(rollups, period.days)
                judging = read_judging(rollups, period.days)
                found = self._items(rollups, period, by) if by not in {"user", "session", "day"} else []
            if by == "day":
                found = day_records(days)
            elif by == "user":
                found = user_records(read_users(self.project.pk, self.project.time_zone, period, LISTED_MAX).rows)
            elif by == "session":
                found = session_records(read_sessions(self.project.pk, period.days, SESSIONS_MAX))
        except TooSlow:
            raise too_slow() from None
        first = position[1] if position else 0
        last = first + limit
        after = paging.write_cursor(by, last) if last < len(found) else None
        before = paging.write_cursor(by, max(first - limit, 0)) if first else None
        return Response(
            {
                **paging.page(request, found[first:last], after, before),
                "by": by,
                "period": period_json(period.days),
                "before": period_json(period.before) if period.before else None,
                "total": sums_record(add(day.sums for day in days), is_of_calls=False),
                "judging": None if judging is None else sums_record(judging, is_of_calls=False),
            }
        )

    def _items(self, rollups: Rollups, period: Period, by: str) -> list[dict[str, Any]]:
        breakdown = read_breakdown(rollups, period, by)
        return [line_record(line, breakdown) for line in breakdown.lines]


class CostDaysView(ProjectView):
    query = {"GET": ("t", "from", "to")}

    @shapes.describe(
        "Cost by day",
        CostDaysShape,
        tag="Cost",
        detail="Every day of the period, cut in the project's time zone; today is so far.",
        query=PERIOD,
    )
    def get(self, request: Request) -> Response:
        period = read_period(self)
        try:
            with reading(self.project.pk, self.project.time_zone) as rollups:
                days = read_days(rollups, period.days)
        except TooSlow:
            raise too_slow() from None
        total = sums_record(add(day.sums for day in days), is_of_calls=False)
        return Response({"period": period_json(period.days), "items": day_records(days), "total": total})


class CostChangeView(ProjectView):
    query = {"GET": ("t", "from", "to")}

    @shapes.describe(
        "Why the cost changed",
        CostChangeAnswerShape,
        tag="Cost",
        detail="The days of the period that are over against the days before, split in this order into volume, model "
        "mix, price, input tokens, output tokens and cache; the parts sum to the difference exactly.",
        query=PERIOD,
    )
    def get(self, request: Request) -> Response:
        period = read_period(self)
        try:
            with reading(self.project.pk, self.project.time_zone) as rollups:
                change = read_change(rollups, period)
        except TooSlow:
            raise too_slow() from None
        return Response({"change": None if change is None else change_json(change, period)})


class CostForecastView(ProjectView):
    query = {"GET": ()}

    @shapes.describe(
        "What this month will cost",
        CostForecastShape,
        tag="Cost",
        detail="From the daily rate with its weekday pattern over at most eight weeks, with an 80 % interval.",
    )
    def get(self, request: Request) -> Response:
        now = clock.now()
        try:
            with reading(self.project.pk, self.project.time_zone) as rollups:
                found = read_forecast(rollups, now)
        except TooSlow:
            raise too_slow() from None
        return Response(forecast_json(found, now))


def read_period(view: ProjectView) -> Period:
    """The period an address asks for; 400 where there is none such."""
    query = view.request.query_params
    calendar, now = calendar_of(view.project.time_zone), clock.now()
    name = params.choice(query, "t", NAMED, "month")
    first, last = params.text(query, "from"), params.text(query, "to")
    if not first and not last:
        return named_period(name, calendar, now)
    if query.get("t"):
        raise bad_field("t", "stands beside `from` and `to`", limit="one or the other", value=name)
    try:
        today = now.astimezone(calendar.zone).date()
        if not first:
            raise PeriodError("from", "is required", "a day such as 2026-11-19, beside `to`")
        return given_period(
            read_day("from", first, calendar), read_day("to", last, calendar) if last else today, calendar, now
        )
    except PeriodError as error:
        raise bad_field(error.field, error.message, limit=error.limit, value=error.value) from None


def period_json(days: Days) -> dict[str, Any]:
    """Some days as REST shows them."""
    return {
        "first_day": days.first.isoformat(),
        "last_day": days.last.isoformat(),
        "start": form.moment(days.start),
        "end": form.moment(days.end),
        "days": days.n,
    }


def change_json(change: Change, period: Period) -> dict[str, Any]:
    """A change as REST shows it."""
    return {
        "period": period_json(period.whole) if period.whole else None,
        "before": period_json(period.before) if period.before else None,
        "before_usd": form.usd(change.before_pico),
        "now_usd": form.usd(change.now_pico),
        "change_usd": form.usd(change.pico),
        "parts": [
            {
                "part": part.part.value,
                "usd": form.usd(part.pico),
                "models": [{"model": model, "usd": form.usd(pico)} for model, pico in part.models],
            }
            for part in change.parts
        ],
        "calls_before": change.calls_before,
        "calls_now": change.calls_now,
        "unpriced_before": change.unpriced_before,
        "unpriced_now": change.unpriced_now,
    }


def forecast_json(found: MonthForecast, now: datetime) -> dict[str, Any]:
    """A forecast as REST shows it; dollars to the micro-dollar, since they are estimates."""
    forecast = found.forecast
    return {
        "month": f"{found.month:%Y-%m}",
        "as_of": form.moment(now),
        "spent_usd": _usd(forecast.spent_usd),
        "forecast_usd": _usd(forecast.usd),
        "low_usd": _usd(forecast.low_usd),
        "high_usd": _usd(forecast.high_usd),
        "level": forecast.level,
        "n": forecast.n,
        "needed": forecast.needed,
        "ahead": [_ahead(point) for point in forecast.ahead],
    }


def _ahead(point: Ahead) -> dict[str, Any]:
    return {
        "day": point.day.isoformat(),
        "usd": _usd(point.usd),
        "low_usd": _usd(point.low_usd),
        "high_usd": _usd(point.high_usd),
    }


def _usd(value: float | None) -> str | None:
    return None if value is None else f"{Decimal(str(value)):.6f}"
