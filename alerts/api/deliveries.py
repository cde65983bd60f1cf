"""REST: silences, and the log of what people were told."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import delivering
from alerts.addressing import silences
from alerts.api import notice_json
from alerts.api import notice_shapes as said
from alerts.api.channels import TAG, NoticeView
from alerts.notices.transitions import KINDS
from alerts.read import notices as read
from alerts.read.notices import STATES, DeliveryRow, SilenceRow
from telltale.lib import clock
from telltale.rest import paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import Problem, bad_field, not_found

SILENCE = OpenApiParameter("silence", OpenApiTypes.STR, OpenApiParameter.PATH, description="The silence's id.")
DELIVERY = OpenApiParameter("delivery", OpenApiTypes.STR, OpenApiParameter.PATH, description="The delivery's id.")
_QUERY = ("state", "kind", "channel", "incident", "from", "to", "limit", "cursor")
_PARAMETERS = (
    OpenApiParameter("state", OpenApiTypes.STR, enum=STATES, many=True, description="Any of these."),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=[str(kind) for kind in KINDS], many=True, description="Any."),
    OpenApiParameter("channel", OpenApiTypes.STR, description="A channel's id."),
    OpenApiParameter("incident", OpenApiTypes.STR, description="An incident's number, 42 or INC-42."),
    shapes.FROM,
    shapes.TO,
    shapes.LIMIT,
    shapes.CURSOR,
)


class SilencesView(NoticeView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("going",)}

    @shapes.describe(
        "List silences",
        said.SilencesShape,
        tag=TAG,
        detail="The last to end first, at most 200.",
        query=(OpenApiParameter("going", OpenApiTypes.BOOL, description="Those alone that are on or ahead."),),
    )
    def get(self, request: Request) -> Response:
        rows = read.list_silences(self.project.pk, going=params.boolean(request.query_params, "going"))
        now = clock.now()
        return Response({"items": [notice_json.silence(row, now) for row in rows]})

    @shapes.describe(
        "Add a silence",
        said.SilenceShape,
        tag=TAG,
        body=said.SilenceBody,
        status=201,
        detail="Nobody is told of what matches until it ends; incidents open all the same. What still goes on then is "
        "told. All that is given must match; nothing given is everything but the watchdog.",
    )
    def post(self, request: Request) -> Response:
        body = checked(said.SilenceBody, request)
        if "monitors" in body:
            body["monitors"] = [_monitor(each, at) for at, each in enumerate(body["monitors"])]
        made = silences.add(self.project, body, by_id=self.person_id, **self.by)
        return Response(notice_json.silence(_silence(self, str(made)), clock.now()), status=201)


class OneSilenceView(NoticeView):
    acts = {"GET": "read", "DELETE": "measure"}

    @shapes.describe("One silence", said.SilenceShape, tag=TAG, path=(SILENCE,))
    def get(self, request: Request, silence: str) -> Response:
        return Response(notice_json.silence(_silence(self, silence), clock.now()))

    @shapes.describe(
        "End a silence", None, tag=TAG, path=(SILENCE,), status=204,
        detail="What it held back and still goes on is told. The silence stays in the list.",
    )  # fmt: skip
    def delete(self, request: Request, silence: str) -> Response:
        silences.end(self.project, _silence(self, silence).id, **self.by)
        return Response(status=204)


class DeliveriesView(NoticeView):
    query = {"GET": _QUERY}

    @shapes.describe(
        "The log of deliveries", said.DeliveryPage, tag=TAG, detail="Newest first, kept for 180 days.",
        query=_PARAMETERS,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        query = request.query_params
        start, end = params.moment(query, "from"), params.moment(query, "to")
        if start is not None and end is not None and start >= end:
            raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
        limit = params.page_size(query)
        place = paging.read_cursor(params.text(query, "cursor"), int)
        rows = read.list_deliveries(
            self.project.pk, states=_any(query, "state", STATES), kinds=_any(query, "kind", KINDS),
            channel_id=_id(query, "channel"), incident_number=_incident(query), start=start, end=end,
            before=place[0] if place else None, limit=limit + 1,
        )  # fmt: skip
        following = paging.write_cursor(rows[limit - 1].id) if len(rows) > limit else None
        items = [notice_json.delivery(row) for row in rows[:limit]]
        return Response(paging.page(request, items, following, None))


class OneDeliveryView(NoticeView):
    @shapes.describe("One delivery with its attempts", said.OneDeliveryShape, tag=TAG, path=(DELIVERY,))
    def get(self, request: Request, delivery: str) -> Response:
        row = _delivery(self, delivery)
        return Response(notice_json.one_delivery(row, read.list_attempts(row.id)))


class RetryView(NoticeView):
    acts = {"POST": "notify"}

    @shapes.describe(
        "Try a delivery again now",
        said.OneDeliveryShape,
        tag=TAG,
        path=(DELIVERY,),
        detail="One that waits, or was given up; it goes out within seconds, with the same id.",
        problems={409: "It is delivered, or nobody was to be told."},
    )
    def post(self, request: Request, delivery: str) -> Response:
        row = _delivery(self, delivery)
        if not delivering.retry_now(self.project, row.id, **self.by):
            raise Problem(409, f"There is nothing to try again: it is {row.state}.")
        row = _delivery(self, delivery)
        return Response(notice_json.one_delivery(row, read.list_attempts(row.id)))


def _silence(view: NoticeView, raw: str) -> SilenceRow:
    found = read.get_silence(view.project.pk, params.row_id(raw))
    if found is None:
        raise not_found()
    return found


def _delivery(view: NoticeView, raw: str) -> DeliveryRow:
    found = read.get_delivery(view.project.pk, params.row_id(raw))
    if found is None:
        raise not_found()
    return found


def _any(query: Any, name: str, accepted: tuple[str, ...]) -> list[str]:
    found = params.texts(query, name)
    for value in found:
        if value not in accepted:
            raise bad_field(name, "is not accepted", limit=f"one of {', '.join(accepted)}", value=value)
    return found


def _id(query: Any, name: str) -> int | None:
    raw = params.text(query, name)
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) < 19):
        raise bad_field(name, "is no id", limit="the id of a channel", value=raw)
    return int(raw)


def _incident(query: Any) -> int | None:
    raw = params.text(query, "incident")
    if not raw:
        return None
    found = re.fullmatch(r"(?:INC-)?([0-9]{1,9})", raw, re.ASCII | re.IGNORECASE)
    if found is None:
        raise bad_field("incident", "is no incident", limit="42 or INC-42", value=raw)
    return int(found[1])


def _monitor(raw: str, at: int) -> int:
    if not (raw.isascii() and raw.isdigit() and len(raw) < 19):
        raise bad_field(f"monitors[{at}]", "is no id", limit="the id of a monitor", value=raw)
    return int(raw)
