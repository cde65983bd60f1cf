"""REST: what judging cost by day, against the day's limits."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals.read import setup as read
from evals.read.spend import Spend, day_of, spend_by_day
from evals.write.spend import WHOLE
from telltale.lib import clock
from telltale.rest import form, params, shapes
from telltale.rest.problems import bad_field
from telltale.rest.views import ProjectView

DAYS, DAYS_MAX = 30, 400
DAY_LIMIT = "a day such as 2026-11-19"


class SpendDayShape(serializers.Serializer[Any]):
    day = serializers.CharField()
    spent_usd = serializers.CharField(help_text="Exactly, of calls that were answered: the provider's bill for them.")
    calls = serializers.IntegerField(help_text="Calls that were answered, by an error too.")
    unpriced_calls = serializers.IntegerField(help_text="Those of them whose price is not known.")
    lost_calls = serializers.IntegerField(help_text="Calls without an answer: a time-out, a worker that died.")
    lost_usd = serializers.CharField(
        help_text="What those may have cost: as much as the same call did when it was made again, until then all that "
        "was set aside. It counts against the limit."
    )
    reserved_calls = serializers.IntegerField(help_text="Calls under way now.")
    reserved_usd = serializers.CharField(help_text="Set aside for them.")


class SpendShape(serializers.Serializer[Any]):
    judge = serializers.CharField(allow_null=True, help_text="Null: all judges, and what was tried before saving.")
    time_zone = serializers.CharField(help_text="Days are cut in it.")
    limit_usd_day = serializers.CharField(allow_null=True, help_text="Null: no limit.")
    limit_calls_day = serializers.IntegerField(allow_null=True, help_text="Null: no limit.")
    items = SpendDayShape(many=True, help_text="Newest first; days without any call are left out.")


class SpendView(ProjectView):
    query = {"GET": ("judge", "from", "to")}

    @shapes.describe(
        "What judging cost by day",
        SpendShape,
        tag="Judges",
        detail=f"The last {DAYS} days where no period is given; at most {DAYS_MAX}.",
        query=(
            OpenApiParameter("judge", OpenApiTypes.STR, description="A judge's slug; all where it is absent."),
            OpenApiParameter("from", OpenApiTypes.DATE, description="First day, in the project's time zone."),
            OpenApiParameter("to", OpenApiTypes.DATE, description="Last day, included."),
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        slug = params.text(query, "judge")
        judge = read.get_judge(self.project.pk, slug) if slug else None
        if slug and judge is None:
            raise bad_field("judge", "is none of this project", value=slug)
        last = _day("to", params.text(query, "to")) or day_of(clock.now(), clock.zone_of(self.project.time_zone))
        first = _day("from", params.text(query, "from")) or last - timedelta(days=DAYS - 1)
        if first > last:
            raise bad_field("from", "must not be after `to`", limit=last.isoformat(), value=first.isoformat())
        if (last - first).days >= DAYS_MAX:
            raise bad_field("from", "is too far back", limit=f"{DAYS_MAX} days", value=first.isoformat())
        limits = read.settings_for(self.project.pk)
        days = spend_by_day(self.project.pk, first, last, WHOLE if judge is None else judge.id)
        return Response(
            {
                "judge": None if judge is None else judge.slug,
                "time_zone": self.project.time_zone,
                "limit_usd_day": form.usd(limits.budget_pico_day if judge is None else judge.budget_pico_day),
                "limit_calls_day": limits.budget_calls_day if judge is None else None,
                "items": [spend_json(day) for day in reversed(days)],
            }
        )


def spend_json(day: Spend) -> dict[str, Any]:
    """A day of judging as REST shows it."""
    return {
        "day": day.day.isoformat(),
        "spent_usd": form.usd(day.spent_pico),
        "calls": day.calls,
        "unpriced_calls": day.unpriced_calls,
        "lost_calls": day.lost_calls,
        "lost_usd": form.usd(day.lost_pico),
        "reserved_calls": day.reserved_calls,
        "reserved_usd": form.usd(day.reserved_pico),
    }


def _day(name: str, raw: str) -> date | None:
    if not raw:
        return None
    try:
        day = date.fromisoformat(raw)
    except ValueError:
        raise bad_field(name, "is no day", limit=DAY_LIMIT, value=raw) from None
    if not 1970 <= day.year <= 2200:
        raise bad_field(name, "is out of range", limit="years 1970 to 2200", value=raw)
    return day
