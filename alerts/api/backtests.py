"""REST: what a monitor would have done, before it is saved and after."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import backtesting, monitoring
from alerts.api.definition_shapes import MonitorBody, MonitorDefinitionShape
from alerts.api.monitor_shapes import STANDINGS
from alerts.api.monitors import MONITOR
from alerts.api.views import MonitorView, told
from alerts.backtesting import Backtest, Expected, Place
from alerts.charting.types import NewBaseline
from alerts.monitors.definition import to_json
from alerts.read.monitors import list_monitors
from telltale.rest import form, params, shapes
from telltale.rest.problems import bad_field


class FiredShape(serializers.Serializer[Any]):
    window_start = serializers.DateTimeField(help_text="Of the window that crossed.")
    window_end = serializers.DateTimeField()
    direction = serializers.ChoiceField(("up", "down"))
    rule = serializers.CharField()
    statistic = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField(allow_null=True)
    value = serializers.FloatField(allow_null=True, help_text="In the metric's unit.")
    ended_at = serializers.DateTimeField(allow_null=True, help_text="When it was quiet again; null: it goes on.")


class BacktestBaselineShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    n = serializers.IntegerField()
    windows = serializers.IntegerField()
    centre = serializers.FloatField(allow_null=True)
    method = serializers.CharField()
    excluded = serializers.ListField(child=serializers.DateTimeField())


class BacktestExpectedShape(serializers.Serializer[Any]):
    a_week = serializers.FloatField(allow_null=True, help_text="Null: unknown.")
    low = serializers.FloatField(allow_null=True, help_text="95 % limits, where it was counted.")
    high = serializers.FloatField(allow_null=True)
    words = serializers.CharField(help_text="How it is known.")


class BacktestCostShape(serializers.Serializer[Any]):
    monitor = serializers.IntegerField()
    name = serializers.CharField()
    hours_before = serializers.FloatField(help_text="Until a lasting change of one sd is seen, on average.")
    hours_after = serializers.FloatField()


class BacktestShape(serializers.Serializer[Any]):
    definition = MonitorDefinitionShape()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    windows = serializers.IntegerField(help_text="That were decided.")
    learning = serializers.IntegerField(help_text="Windows that were learned from.")
    judged = serializers.IntegerField(help_text="Windows that were held against a limit.")
    empty = serializers.IntegerField(help_text="Windows in which nothing came.")
    count = serializers.IntegerField(help_text="How often it would have alarmed.")
    alarms = FiredShape(many=True, help_text="Oldest first.")
    standing = serializers.ChoiceField(STANDINGS)
    standing_words = serializers.CharField()
    arl0 = serializers.FloatField(allow_null=True, help_text="Windows until a false alarm by its share; null: none.")
    expected = BacktestExpectedShape(help_text="False alarms a week while nothing is wrong.")
    baselines = BacktestBaselineShape(many=True, help_text="As they were frozen.")
    costs = BacktestCostShape(many=True, help_text="What it costs the other monitors.")


class BacktestBody(serializers.Serializer[Any]):
    """A definition, and the stretch to replay."""

    def get_fields(self) -> dict[str, Any]:
        return {
            "definition": MonitorBody(),
            "from": serializers.DateTimeField(
                required=False, help_text="Where its chart begins; five weeks back or with the first data if absent."
            ),
            "to": serializers.DateTimeField(required=False, help_text="Now if absent."),
        }


class BacktestView(MonitorView):
    acts = {"POST": "read"}

    @shapes.describe(
        "Back-test a monitor before it is saved",
        BacktestShape,
        tag="Monitors",
        body=BacktestBody,
        detail="Replays the stored history by the rules of the live engine, with the share of the alert budget that it "
        f"would have. At most {backtesting.WINDOWS_MOST:,} windows. Nothing is saved.",
        problems={503: "The history took too long to read."},
    )
    def post(self, request: Request) -> Response:
        body = dict(request.data)
        unknown = sorted(set(body) - {"definition", "from", "to"})
        if unknown:
            raise bad_field(unknown[0], "unknown field", limit="one of definition, from, to")
        span = {}
        for name in ("from", "to"):
            value = body.get(name)
            if value is not None and not isinstance(value, str):
                raise bad_field(name, "is no time", limit="ISO 8601", value=value)
            span[name] = params.parse_moment(name, value) if value else None
        with told():
            definition = monitoring.parse_for(self.project, body.get("definition"))
            found = backtesting.backtest(self.project, definition, span["from"], span["to"])
            place = backtesting.place_of(self.project.pk, definition)
        return Response(_json(self.project.pk, found, place))


class MonitorBacktestView(MonitorView):
    query = {"GET": ("from", "to")}

    @shapes.describe(
        "Back-test a monitor",
        BacktestShape,
        tag="Monitors",
        path=(MONITOR,),
        query=(
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="Where its chart begins, as it did if absent."),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="As far as it has decided if absent."),
        ),
        detail="Replays the windows that its chart has decided: on the same data the alarms are the same.",
        problems={503: "The history took too long to read."},
    )
    def get(self, request: Request, monitor: str) -> Response:
        held, query = self.monitor(monitor), request.query_params
        start, end = params.moment(query, "from"), params.moment(query, "to")
        with told():
            found = backtesting.backtest_of(self.project, held, start, end)
            place = backtesting.place_of(self.project.pk, held.definition, held.id)
        return Response(_json(self.project.pk, found, place))


def _json(project_id: int, found: Backtest, place: Place) -> dict[str, Any]:
    names = {str(row.id): row.name for row in list_monitors(project_id)} if place.costs else {}
    is_shared = found.definition.method not in backtesting.UNBUDGETED
    return {
        "definition": to_json(found.definition),
        "start": form.moment(found.start),
        "end": form.moment(found.end),
        "windows": found.windows,
        "learning": found.learning,
        "judged": found.judged,
        "empty": found.empty,
        "count": len(found.fired),
        "alarms": [_fired(each) for each in found.fired],
        "standing": found.standing.value,
        "standing_words": found.chart.words,
        "arl0": found.arl0 if is_shared else None,
        "expected": _expected(found.expected),
        "baselines": [_baseline(each) for each in found.baselines],
        "costs": [
            {
                "monitor": int(cost.key),
                "name": names.get(cost.key, ""),
                "hours_before": cost.hours_before,
                "hours_after": cost.hours_after,
            }
            for cost in place.costs
            if cost.key in names
        ],
    }


def _fired(fired: backtesting.Fired) -> dict[str, Any]:
    alarm = fired.alarm
    return {
        "window_start": form.moment(alarm.window.start),
        "window_end": form.moment(alarm.window.end),
        "direction": alarm.direction,
        "rule": alarm.rule,
        "statistic": alarm.statistic,
        "limit": alarm.limit,
        "value": alarm.value,
        "ended_at": form.moment(fired.ended_at),
    }


def _expected(expected: Expected) -> dict[str, Any]:
    return {"a_week": expected.a_week, "low": expected.low, "high": expected.high, "words": expected.words}


def _baseline(baseline: NewBaseline) -> dict[str, Any]:
    return {
        "start": form.moment(baseline.start),
        "end": form.moment(baseline.end),
        "n": baseline.n,
        "windows": baseline.windows,
        "centre": baseline.centre,
        "method": baseline.learned.method,
        "excluded": [form.moment(at) for at in baseline.excluded],
    }
