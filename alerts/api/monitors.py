"""REST: monitors as people define them, and what they have decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import monitoring
from alerts.api import definition_shapes as defined
from alerts.api import monitor_json
from alerts.api import monitor_shapes as said
from alerts.api.views import MonitorView, told
from alerts.monitors.states import Standing
from alerts.read.monitors import list_monitors
from alerts.read.points import list_points
from telltale.rest import paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import Problem, bad_field

MONITOR = OpenApiParameter("monitor", OpenApiTypes.STR, OpenApiParameter.PATH, description="The monitor's id.")
POINTS_DEFAULT, POINTS_MOST = 500, 5_000
_OUTDATED = {409: "Another revision is in force than the one named."}
# Beside the definition in the body of a change.
_BESIDE = ("of_revision", "is_on", "is_archived")


class MonitorsView(MonitorView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("standing", "metric", "method", "q", "archived", "limit", "cursor")}

    @shapes.describe(
        "List monitors",
        said.MonitorPage,
        tag="Monitors",
        detail="In the order in which they were made, each with where it stands.",
        query=(
            OpenApiParameter("standing", OpenApiTypes.STR, enum=said.STANDINGS, many=True, description="Any of these."),
            OpenApiParameter("metric", OpenApiTypes.STR, description="Of this metric alone."),
            OpenApiParameter("method", OpenApiTypes.STR, enum=defined.METHODS),
            OpenApiParameter("q", OpenApiTypes.STR, description="Whose name holds this."),
            OpenApiParameter("archived", OpenApiTypes.BOOL, description="Those put away, instead of the others."),
            shapes.LIMIT,
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        after = paging.read_cursor(params.text(query, "cursor"), int)
        limit = params.page_size(query)
        rows = list_monitors(
            self.project.pk, archived=params.boolean(query, "archived") or False, standings=_standings(query),
            metric=params.text(query, "metric"), method=params.choice(query, "method", defined.METHODS),
            search=params.text(query, "q"), after=after[0] if after else None, limit=limit + 1,
        )  # fmt: skip
        following = paging.write_cursor(rows[limit - 1].id) if len(rows) > limit else None
        return Response(paging.page(request, [monitor_json.monitor(row) for row in rows[:limit]], following, None))

    @shapes.describe(
        "Make a monitor",
        said.MonitorShape,
        tag="Monitors",
        status=201,
        body=defined.MonitorBody,
        detail="What is left out is as the preset or the metric suggests. Its chart begins with the stored history; "
        "alarms from before it was made do not page.",
    )
    def post(self, request: Request) -> Response:
        with told():
            made = monitoring.create(
                self.project, request.data, by_id=self.person_id, request=self.http, actor=self.actor
            )
        return Response(monitor_json.monitor(self.monitor(str(made))), status=201)


class OneMonitorView(MonitorView):
    acts = {"GET": "read", "PATCH": "measure", "DELETE": "measure"}

    @shapes.describe("One monitor", said.MonitorShape, tag="Monitors", path=(MONITOR,))
    def get(self, request: Request, monitor: str) -> Response:
        return Response(monitor_json.monitor(self.monitor(monitor)))

    @shapes.describe(
        "Change a monitor",
        said.MonitorShape,
        tag="Monitors",
        path=(MONITOR,),
        body=defined.MonitorDefinitionChange,
        detail="The fields that are given. What decides windows (metric, params, scope, window, method, direction, "
        "limits, baseline, least n, no data, lateness) begins a new chart over the stored history and ends open "
        "alarms; name, severity, tier, weight, grace and note do not. `is_archived: false` takes it back.",
        problems=_OUTDATED,
    )
    def patch(self, request: Request, monitor: str) -> Response:
        held = self.monitor(monitor)
        body = dict(request.data)
        if not body:
            raise bad_field("name", "or another field is required: there is nothing to change")
        beside = _beside(body)
        with told():
            monitoring.change_all(
                self.project, held.id, body, of_revision=beside.get("of_revision"), is_on=beside.get("is_on"),
                is_archived=beside.get("is_archived"), request=self.http, actor=self.actor,
            )  # fmt: skip
        return Response(monitor_json.monitor(self.monitor(monitor)))

    @shapes.describe(
        "Put a monitor away",
        None,
        tag="Monitors",
        status=204,
        path=(MONITOR,),
        detail="It is charted no longer and its open alarms end; its chart, baselines and alarms are kept.",
    )
    def delete(self, request: Request, monitor: str) -> Response:
        held = self.monitor(monitor, with_archived=False)
        with told():
            monitoring.archive(self.project, held.id, request=self.http, actor=self.actor)
        return Response(status=204)


class MuteView(MonitorView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Mute a monitor, or let it page again",
        said.MonitorShape,
        tag="Monitors",
        path=(MONITOR,),
        body=said.MuteBody,
        detail="A muted monitor goes on being charted, and does not page; the others get its share of the budget.",
    )
    def post(self, request: Request, monitor: str) -> Response:
        held = self.monitor(monitor, with_archived=False)
        body = checked(said.MuteBody, request)
        with told():
            if body["until"] is None:
                monitoring.unmute(self.project, held.id, request=self.http, actor=self.actor)
            else:
                monitoring.mute(self.project, held.id, body["until"], request=self.http, actor=self.actor)
        return Response(monitor_json.monitor(self.monitor(monitor)))


class PointsView(MonitorView):
    query = {"GET": ("from", "to", "chart_no", "limit", "cursor")}

    @shapes.describe(
        "The decided windows of a monitor",
        said.MonitorPointsShape,
        tag="Monitors",
        path=(MONITOR,),
        detail="Each with what it held, what came of it, and the limits it was judged by.",
        query=(
            shapes.FROM,
            shapes.TO,
            OpenApiParameter(
                "chart_no", OpenApiTypes.INT, description="An earlier chart of it; the present if absent."
            ),
            OpenApiParameter(
                "limit", {"type": "integer", "minimum": 1, "maximum": POINTS_MOST, "default": POINTS_DEFAULT}
            ),
            OpenApiParameter("cursor", OpenApiTypes.STR, description="The position that `next` gave."),
        ),
    )
    def get(self, request: Request, monitor: str) -> Response:
        held, query = self.monitor(monitor), request.query_params
        start, end = params.moment(query, "from"), params.moment(query, "to")
        if start is not None and end is not None and start >= end:
            raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
        place = paging.read_cursor(params.text(query, "cursor"), str)
        if place is not None:
            start = _place(place[0])
        chart_no = params.integer(query, "chart_no", held.chart_no, 1, 2**31 - 1)
        limit = params.integer(query, "limit", POINTS_DEFAULT, 1, POINTS_MOST)
        rows = list_points(held.id, chart_no, start, end, limit=limit + 1)
        following = paging.write_cursor(rows[limit].start_at.isoformat()) if len(rows) > limit else None
        page = paging.page(request, [monitor_json.point(row) for row in rows[:limit]], following, None)
        return Response({"chart_no": chart_no, "items": page["items"], "next": page["next"]})


def _standings(query: QueryDict) -> list[Standing]:
    found = []
    for value in params.texts(query, "standing"):
        if value not in said.STANDINGS:
            raise bad_field("standing", "is not accepted", limit=f"one of {', '.join(said.STANDINGS)}", value=value)
        found.append(Standing(value))
    return found


def _beside(body: dict[str, Any]) -> dict[str, Any]:
    """What is no part of the definition, taken out of `body`; null says nothing."""
    found = {name: body.pop(name) for name in _BESIDE if name in body}
    found = {name: value for name, value in found.items() if value is not None}
    for name in ("is_on", "is_archived"):
        if name in found and not isinstance(found[name], bool):
            raise bad_field(name, "is neither true nor false", limit="true or false", value=found[name])
    revision = found.get("of_revision")
    if revision is not None and (isinstance(revision, bool) or not isinstance(revision, int)):
        raise bad_field("of_revision", "is no whole number", limit="the revision of the monitor", value=revision)
    return found


def _place(raw: str) -> datetime:
    try:
        return params.parse_moment("cursor", raw)
    except Problem:
        raise paging.bad_cursor(raw) from None
