"""REST: channels, their routes, and how a project tells."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import delivering
from alerts.addressing import NotThere, channels, routes, settings
from alerts.api import notice_json
from alerts.api import notice_shapes as said
from alerts.api.views import MonitorView, problem_of
from alerts.read import notices as read
from alerts.read.notices import ChannelRow, RouteRow
from telltale.lib.faults import ItemRefused
from telltale.rest import params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import bad_field, not_found

CHANNEL = OpenApiParameter("channel", OpenApiTypes.STR, OpenApiParameter.PATH, description="The channel's id.")
ROUTE = OpenApiParameter("route", OpenApiTypes.STR, OpenApiParameter.PATH, description="The route's id.")
TAG = "Notifications"


class NoticeView(MonitorView):
    """An address of notifications."""

    def handle_exception(self, exc: Exception) -> Response:
        """What setting up refuses, as the problem a caller can mend."""
        if isinstance(exc, ItemRefused):
            return super().handle_exception(problem_of(exc))
        if isinstance(exc, NotThere):
            return super().handle_exception(not_found())
        return super().handle_exception(exc)

    @property
    def by(self) -> dict[str, Any]:
        """Who acts, for the audit log."""
        return {"request": self.http, "actor": self.actor}

    def channel(self, raw: str) -> ChannelRow:
        """The channel that an address names; 404 where the project has none."""
        found = read.get_channel(self.project.pk, params.row_id(raw))
        if found is None:
            raise not_found()
        return found

    def route(self, raw: str) -> RouteRow:
        """The route that an address names; 404 where the project has none."""
        found = read.get_route(self.project.pk, params.row_id(raw))
        if found is None:
            raise not_found()
        return found


class ChannelsView(NoticeView):
    acts = {"GET": "read", "POST": "notify"}

    @shapes.describe("List channels", said.ChannelsShape, tag=TAG, detail="By name, those put away last.")
    def get(self, request: Request) -> Response:
        rows = read.list_channels(self.project.pk, with_archived=True)
        return Response({"items": [notice_json.channel(row) for row in rows]})

    @shapes.describe(
        "Add a channel",
        said.MadeChannelShape,
        tag=TAG,
        body=said.ChannelBody,
        status=201,
        detail="E-mail takes `to`; Slack, Teams and webhooks take `url`; PagerDuty and Opsgenie take `key`, and `url` "
        "where the service is elsewhere. A webhook's signing key is in this answer alone.",
    )
    def post(self, request: Request) -> Response:
        made = channels.add(self.project, checked(said.ChannelBody, request), by_id=self.person_id, **self.by)
        body = notice_json.channel(self.channel(str(made.id)))
        return Response({**body, "signing_key": made.signing_key or None}, status=201)


class OneChannelView(NoticeView):
    acts = {"GET": "read", "PATCH": "notify", "DELETE": "notify"}

    @shapes.describe("One channel", said.ChannelShape, tag=TAG, path=(CHANNEL,))
    def get(self, request: Request, channel: str) -> Response:
        return Response(notice_json.channel(self.channel(channel)))

    @shapes.describe(
        "Change a channel",
        said.ChannelShape,
        tag=TAG,
        path=(CHANNEL,),
        body=said.ChannelChange,
        detail="What waits for it is tried at once; switched off, what waits is dropped. Another host needs its key "
        "again.",
    )
    def patch(self, request: Request, channel: str) -> Response:
        held = self.channel(channel)
        body = checked(said.ChannelChange, request)
        if not body:
            raise bad_field("name", "or another field is required: there is nothing to change")
        channels.change(self.project, held.id, body, **self.by)
        return Response(notice_json.channel(self.channel(channel)))

    @shapes.describe(
        "Put a channel away",
        None,
        tag=TAG,
        path=(CHANNEL,),
        status=204,
        detail="Nothing goes there any more, its secret is forgotten, its log is kept.",
    )
    def delete(self, request: Request, channel: str) -> Response:
        channels.archive(self.project, self.channel(channel).id, **self.by)
        return Response(status=204)


class ChannelTestView(NoticeView):
    acts = {"POST": "notify"}

    @shapes.describe(
        "Send a test message to a channel",
        said.ChannelTestedShape,
        tag=TAG,
        path=(CHANNEL,),
        detail="One attempt, at most some ten seconds; what came of it is the answer.",
    )
    def post(self, request: Request, channel: str) -> Response:
        tested = delivering.send_test(self.project, self.channel(channel).id, token=delivering.make_token(), **self.by)
        if tested is None:
            raise not_found()
        return Response(
            {
                "is_delivered": tested.is_delivered,
                "message": tested.words,
                "status": tested.status,
                "delivery": str(tested.delivery_id),
            }
        )


class ChannelRotateView(NoticeView):
    acts = {"POST": "notify"}

    @shapes.describe("Make a new signing key of a webhook", said.SigningKeyShape, tag=TAG, path=(CHANNEL,))
    def post(self, request: Request, channel: str) -> Response:
        return Response({"signing_key": channels.rotate(self.project, self.channel(channel).id, **self.by)})


class RoutesView(NoticeView):
    acts = {"GET": "read", "POST": "notify"}

    @shapes.describe("List routes", said.RoutesShape, tag=TAG, detail="Those that tell at once first.")
    def get(self, request: Request) -> Response:
        return Response({"items": [notice_json.route(row) for row in read.list_routes(self.project.pk)]})

    @shapes.describe(
        "Add a route",
        said.RouteShape,
        tag=TAG,
        body=said.RouteBody,
        status=201,
        detail="Which transitions go to a channel: by severity, feature, kind and hours. With `after_minutes` it is an "
        "escalation: told where nobody acknowledged for so long, and then of what follows.",
    )
    def post(self, request: Request) -> Response:
        body = _hours(checked(said.RouteBody, request))
        body["channel"] = self.channel(body["channel"]).id
        made = routes.add(self.project, body, **self.by)
        return Response(notice_json.route(self.route(str(made))), status=201)


class OneRouteView(NoticeView):
    acts = {"GET": "read", "PATCH": "notify", "DELETE": "notify"}

    @shapes.describe("One route", said.RouteShape, tag=TAG, path=(ROUTE,))
    def get(self, request: Request, route: str) -> Response:
        return Response(notice_json.route(self.route(route)))

    @shapes.describe("Change a route", said.RouteShape, tag=TAG, path=(ROUTE,), body=said.RouteChange)
    def patch(self, request: Request, route: str) -> Response:
        held = self.route(route)
        body = checked(said.RouteChange, request)
        if not body:
            raise bad_field("severities", "or another field is required: there is nothing to change")
        routes.change(self.project, held.id, _hours(body), **self.by)
        return Response(notice_json.route(self.route(route)))

    @shapes.describe("Remove a route", None, tag=TAG, path=(ROUTE,), status=204)
    def delete(self, request: Request, route: str) -> Response:
        routes.remove(self.project, self.route(route).id, **self.by)
        return Response(status=204)


class NoticeSettingsView(NoticeView):
    acts = {"GET": "read", "PATCH": "notify"}

    @shapes.describe("How a project tells", said.NoticeSettingsShape, tag=TAG)
    def get(self, request: Request) -> Response:
        return Response(notice_json.settings(read.get_notice_settings(self.project.pk)))

    @shapes.describe(
        "Change how a project tells",
        said.NoticeSettingsShape,
        tag=TAG,
        body=said.NoticeSettingsChange,
        detail="How long alarms of one trouble are one message, how often an incident that nobody acknowledges is told "
        "again, and the address that is pinged while monitors are evaluated.",
    )
    def patch(self, request: Request) -> Response:
        body = checked(said.NoticeSettingsChange, request)
        if not body:
            raise bad_field("group_seconds", "or another field is required: there is nothing to change")
        settings.put(self.project, body, by_id=self.person_id, **self.by)
        return Response(notice_json.settings(read.get_notice_settings(self.project.pk)))


def _hours(body: dict[str, Any]) -> dict[str, Any]:
    """The body with hours as routes take them: null is always."""
    if "hours" in body:
        body["hours"] = dict(body["hours"] or {})
    return body
