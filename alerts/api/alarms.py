"""REST: alarms, and what people say of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import alarming
from alerts.api import monitor_json
from alerts.api import monitor_shapes as said
from alerts.api.monitors import MONITOR
from alerts.api.views import MonitorView, told
from alerts.read.alarms import ACKNOWLEDGED, CLOSED, STATES, VERDICTS, AlarmRow, get_alarm, list_alarms
from telltale.rest import paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import Problem, bad_field, not_found

ALARM = OpenApiParameter("alarm", OpenApiTypes.STR, OpenApiParameter.PATH, description="The alarm's id.")
_QUERY = ("state", "verdict", "severity", "pages", "from", "to", "limit", "cursor")
_PARAMETERS = (
    OpenApiParameter("state", OpenApiTypes.STR, enum=STATES, many=True, description="Any of these."),
    OpenApiParameter("verdict", OpenApiTypes.STR, enum=VERDICTS, many=True, description="Any of these."),
    OpenApiParameter("severity", {"type": "integer", "minimum": 0, "maximum": 3}, description="P0 to P3."),
    OpenApiParameter("pages", OpenApiTypes.BOOL, description="Those alone that may page."),
    shapes.FROM,
    shapes.TO,
    shapes.LIMIT,
    shapes.CURSOR,
)


class _List(MonitorView):
    def page(self, request: Request, monitor_id: int | None) -> Response:
        """One page of alarms, newest window first."""
        query = request.query_params
        start, end = params.moment(query, "from"), params.moment(query, "to")
        if start is not None and end is not None and start >= end:
            raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
        severity = params.integer(query, "severity", -1, 0, 3)
        limit = params.page_size(query)
        rows = list_alarms(
            self.project.pk, monitor_id=monitor_id, states=_any(query, "state", STATES),
            verdicts=_any(query, "verdict", VERDICTS), severities=() if severity < 0 else (severity,),
            pages_only=params.boolean(query, "pages") or False, start=start, end=end,
            before=_before(params.text(query, "cursor")), limit=limit + 1,
        )  # fmt: skip
        following = None
        if len(rows) > limit:
            last = rows[limit - 1]
            following = paging.write_cursor(last.window_start.isoformat(), last.id)
        return Response(paging.page(request, [monitor_json.alarm(row) for row in rows[:limit]], following, None))


class AlarmsView(_List):
    query = {"GET": _QUERY}

    @shapes.describe("List alarms", said.AlarmPage, tag="Monitors", detail="Newest window first.", query=_PARAMETERS)
    def get(self, request: Request) -> Response:
        return self.page(request, None)


class MonitorAlarmsView(_List):
    query = {"GET": _QUERY}

    @shapes.describe(
        "The alarms of a monitor",
        said.AlarmPage,
        tag="Monitors",
        path=(MONITOR,),
        detail="Newest window first, those of its earlier charts too.",
        query=_PARAMETERS,
    )
    def get(self, request: Request, monitor: str) -> Response:
        return self.page(request, self.monitor(monitor).id)


class AlarmView(MonitorView):
    acts = {"GET": "read", "PATCH": "review"}

    @shapes.describe("One alarm", said.AlarmShape, tag="Monitors", path=(ALARM,))
    def get(self, request: Request, alarm: str) -> Response:
        return Response(monitor_json.alarm(self._alarm(alarm)))

    @shapes.describe(
        "Acknowledge or close an alarm",
        said.AlarmShape,
        tag="Monitors",
        path=(ALARM,),
        body=said.AlarmBody,
        detail="To close one takes a verdict: what its chart added up starts again at 0. One that is over may be "
        "judged all the same, and judged anew.",
    )
    def patch(self, request: Request, alarm: str) -> Response:
        held = self._alarm(alarm)
        body = checked(said.AlarmBody, request)
        if body["state"] == CLOSED and "verdict" not in body:
            raise bad_field("verdict", "is required to close an alarm", limit=f"one of {', '.join(VERDICTS)}")
        if body["state"] == ACKNOWLEDGED and "verdict" in body:
            raise bad_field("verdict", "closes an alarm", limit="state closed")
        with told():
            if body["state"] == ACKNOWLEDGED:
                alarming.acknowledge(self.project, held.id, self.person, request=self.http, actor=self.actor)
            else:
                alarming.close(
                    self.project, held.id, body["verdict"], body.get("note", ""), self.person, request=self.http,
                    actor=self.actor,
                )  # fmt: skip
        return Response(monitor_json.alarm(self._alarm(alarm)))

    def _alarm(self, raw: str) -> AlarmRow:
        found = get_alarm(self.project.pk, params.row_id(raw))
        if found is None:
            raise not_found()
        return found


def _any(query: Any, name: str, accepted: tuple[str, ...]) -> list[str]:
    found = params.texts(query, name)
    for value in found:
        if value not in accepted:
            raise bad_field(name, "is not accepted", limit=f"one of {', '.join(accepted)}", value=value)
    return found


def _before(raw: str) -> tuple[datetime, int] | None:
    place = paging.read_cursor(raw, str, int)
    if place is None:
        return None
    try:
        return params.parse_moment("cursor", place[0]), place[1]
    except Problem:
        raise paging.bad_cursor(raw) from None
