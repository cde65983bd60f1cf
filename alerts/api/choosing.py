"""REST: what can be watched, what to begin with, and the alert budget."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from alerts import budgeting, monitoring
from alerts.api import definition_shapes as defined
from alerts.api import monitor_shapes as said
from alerts.api.views import MonitorView, told
from alerts.monitors.definition import methods_of
from alerts.monitors.presets import PRESETS, Preset, warning_of
from alerts.monitors.stored import minutes_of
from alerts.monitors.types import Metric
from alerts.read.monitors import get_budget, list_monitors
from alerts.series.catalogue import METRICS
from alerts.series.params import PARAMS
from alerts.stats import budget
from telltale.rest import form, shapes
from telltale.rest.body import checked
from telltale.rest.problems import bad_field

WEEK_HOURS = 168.0


class MetricsView(MonitorView):
    @shapes.describe(
        "Metrics that can be watched",
        defined.MonitorMetricsShape,
        tag="Monitors",
        detail="Each with what it takes, by which dimensions it is told apart, and which methods decide it.",
    )
    def get(self, request: Request) -> Response:
        return Response({"items": [metric_json(each) for each in METRICS.values()]})


class PresetsView(MonitorView):
    @shapes.describe(
        "Monitors to begin with",
        defined.MonitorPresetsShape,
        tag="Monitors",
        detail="Charts of our own, and every threshold of the documents that people quote, named by its source, each "
        "with what it alarms while nothing is wrong.",
    )
    def get(self, request: Request) -> Response:
        return Response({"items": [preset_json(each) for each in PRESETS]})


class BudgetView(MonitorView):
    acts = {"GET": "read", "PUT": "measure"}

    @shapes.describe(
        "The alert budget",
        said.AlertBudgetShape,
        tag="Monitors",
        detail="One knob: false pages a week for the whole project. The limits of every chart follow from it.",
    )
    def get(self, request: Request) -> Response:
        return Response(self.answer())

    @shapes.describe(
        "Change the alert budget",
        said.AlertBudgetShape,
        tag="Monitors",
        body=said.AlertBudgetBody,
        detail="What is given. Limits of windows to come follow; past ones keep what they were judged by.",
    )
    def put(self, request: Request) -> Response:
        body = checked(said.AlertBudgetBody, request)
        if not body:
            raise bad_field("pages_a_week", "or another field is required: there is nothing to change")
        with told():
            monitoring.set_budget(self.project, body, by_id=self.person_id, request=self.http, actor=self.actor)
        return Response(self.answer())

    def answer(self) -> dict[str, Any]:
        """The budget, and how it is shared out."""
        held = get_budget(self.project.pk)
        names = {str(row.id): row.name for row in list_monitors(self.project.pk, limit=monitoring.MONITORS_MAX)}
        lines = [
            {
                "monitor": int(share.chart.key),
                "name": names[share.chart.key],
                "tier": share.chart.tier,
                "arl0": share.arl0,
                "expected_a_week": share.expected,
                "delay_hours": budget.delay_points(share.arl0) * WEEK_HOURS / share.chart.updates,
            }
            for share in budgeting.shares_of(self.project.pk)
            if share.chart.key in names
        ]
        return {
            "pages_a_week": held.pages_a_week,
            "marked_days": list(held.marked_days),
            "capacity": dict(held.capacity),
            "changed_by": held.changed_by or None,
            "changed_at": form.moment(held.changed_at),
            "expected_a_week": sum(line["expected_a_week"] for line in lines if line["tier"] == "page"),
            "monitors": lines,
        }


def metric_json(metric: Metric) -> dict[str, Any]:
    """One metric with what it takes."""
    return {
        "key": metric.key,
        "title": metric.title,
        "told": metric.told,
        "group": metric.group,
        "kind": metric.kind.value,
        "unit": metric.unit,
        "worse": metric.worse,
        "params": [
            {
                "name": name,
                "title": PARAMS[name].title,
                "kind": PARAMS[name].kind,
                "told": PARAMS[name].told,
                "is_required": name in metric.needs,
                "choices": [value for value, _ in PARAMS[name].choices],
                "low": PARAMS[name].low,
                "high": PARAMS[name].high,
                "default": PARAMS[name].default,
            }
            for name in (*metric.needs, *metric.may)
        ],
        "scopes": list(metric.scopes),
        "has_filter": metric.has_filter,
        "methods": [each.value for each in methods_of(metric.kind)],
        "window_minutes": minutes_of(metric.window),
        "shortest_minutes": minutes_of(metric.shortest),
    }


def preset_json(preset: Preset) -> dict[str, Any]:
    """One preset as it is sent to POST /monitors."""
    return {
        "slug": preset.slug,
        "name": preset.name,
        "about": preset.about,
        "source": preset.source,
        "source_words": preset.source_words,
        "needs": list(preset.needs),
        "warning": warning_of(preset.slug),
        "definition": {"name": preset.name, **preset.told},
    }
