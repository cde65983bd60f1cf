"""REST: incidents, and what people do with them. Each step's own work has addresses of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import moving, regrouping
from alerts.api import incident_json as shown
from alerts.api import incident_shapes as said
from alerts.api.incident_views import NUMBER, OUTDATED, WRONG_STATE, IncidentView, told
from alerts.read.incidents import (
    Sort,
    Spot,
    list_events,
    list_incidents,
    list_members,
    spot_of,
)
from telltale.rest import paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import Problem, bad_field

Row = TypeVar("Row")
TAG = "Incidents"
SORTS = ("opened", "time_left", "closed")
SHOWN = 50
_QUERY = (
    "state", "severity", "step", "verdict", "assignee", "feature", "q", "from", "to", "sort", "limit", "cursor",
)  # fmt: skip
_PARAMETERS = (
    OpenApiParameter("state", OpenApiTypes.STR, enum=said.STATES, many=True, description="Any of these."),
    OpenApiParameter(
        "severity",
        {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 3}},
        description="P0 to P3, any of these.",
    ),
    OpenApiParameter("step", OpenApiTypes.STR, enum=said.STEP_NAMES, many=True, description="Any of these."),
    OpenApiParameter("verdict", OpenApiTypes.STR, enum=said.VERDICTS, many=True, description="Any of these."),
    OpenApiParameter("assignee", OpenApiTypes.STR, description="A person's id, or `nobody`."),
    OpenApiParameter("feature", OpenApiTypes.STR, description="Whose scope names this feature."),
    OpenApiParameter("q", OpenApiTypes.STR, description="Whose title holds this, or of this number."),
    OpenApiParameter(
        "sort", OpenApiTypes.STR, enum=SORTS,
        description="opened: newest first. time_left: the least left on the step first. closed: closed last first; "
        "`from` and `to` are then of the closing.",
    ),
    shapes.FROM,
    shapes.TO,
    shapes.LIMIT,
    shapes.CURSOR,
)  # fmt: skip


class IncidentsView(IncidentView):
    acts = {"GET": "read", "POST": "review"}
    query = {"GET": _QUERY}

    @shapes.describe("List incidents", said.IncidentPage, tag=TAG, query=_PARAMETERS)
    def get(self, request: Request) -> Response:
        query = request.query_params
        start, end = params.moment(query, "from"), params.moment(query, "to")
        if start is not None and end is not None and start >= end:
            raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
        limit, assignee = params.page_size(query), params.text(query, "assignee")
        sort: Sort = params.choice(query, "sort", SORTS, "opened")  # type: ignore[assignment]
        with told():
            rows = list_incidents(
                self.project.pk, states=_any(query, "state", said.STATES), steps=_any(query, "step", said.STEP_NAMES),
                severities=[int(one) for one in _any(query, "severity", ("0", "1", "2", "3"))],
                verdicts=_any(query, "verdict", said.VERDICTS), unassigned=assignee == "nobody",
                assignee_id=_person(assignee), feature=params.text(query, "feature"), q=params.text(query, "q"),
                since=start, until=end, limit=limit + 1, sort=sort, after=_after(params.text(query, "cursor"), sort),
            )  # fmt: skip
        following = None
        if len(rows) > limit:
            at, pk = spot_of(rows[limit - 1], sort)
            following = paging.write_cursor(f"{sort}:{at.isoformat()}", pk)
        return Response(paging.page(request, [shown.incident(row) for row in rows[:limit]], following, None))

    @shapes.describe(
        "Open an incident by hand",
        said.IncidentDetailShape,
        tag=TAG,
        status=201,
        body=said.IncidentBody,
        detail="People are told as the routes say, and triage begins. Alarms of the same part of the project join it "
        "by themselves. Incidents of alarms open without this.",
    )
    def post(self, request: Request) -> Response:
        body = checked(said.IncidentBody, request)
        with told():
            made = regrouping.open_by_hand(
                self.project, body["title"], body["severity"], body.get("scope") or {}, _members(body), **self.by
            )
        return Response(self.detail(self.incident(str(made))), status=201)


class _One(IncidentView):
    def answer(self, number: str) -> Response:
        """The incident as it is now."""
        return Response(self.detail(self.incident(number)))


class IncidentOneView(_One):
    acts = {"GET": "read", "PATCH": "review"}

    @shapes.describe("One incident", said.IncidentDetailShape, tag=TAG, path=(NUMBER,))
    def get(self, request: Request, number: str) -> Response:
        with told():
            return self.answer(number)

    @shapes.describe(
        "Change an incident",
        said.IncidentDetailShape,
        tag=TAG,
        path=(NUMBER,),
        body=said.IncidentChange,
        detail="Its title, its severity. Worse is told; timers follow the severity.",
        problems=OUTDATED,
    )
    def patch(self, request: Request, number: str) -> Response:
        held, body = self.incident(number), checked(said.IncidentChange, request)
        if "title" not in body and "severity" not in body:
            raise bad_field("title", "or severity is required: there is nothing to change")
        version = body.get("of_version")
        with told():
            if "title" in body:
                done = moving.retitle(self.project, held.number, body["title"], version=version, **self.by)
                version = None if done else version
            if "severity" in body:
                moving.set_severity(self.project, held.number, body["severity"], version=version, **self.by)
        return self.answer(number)


class IncidentAcknowledgeView(_One):
    acts = {"POST": "review"}

    @shapes.describe(
        "Acknowledge an incident",
        said.IncidentDetailShape,
        tag=TAG,
        path=(NUMBER,),
        detail="Somebody is on it; it is theirs where it was nobody's. Done before, it changes nothing.",
        problems=WRONG_STATE,
    )
    def post(self, request: Request, number: str) -> Response:
        with told():
            moving.acknowledge(self.project, self.incident(number).number, **self.by)
        return self.answer(number)


class IncidentAssignView(_One):
    acts = {"POST": "review"}

    @shapes.describe(
        "Assign an incident",
        said.IncidentDetailShape,
        tag=TAG,
        path=(NUMBER,),
        body=said.IncidentAssignBody,
        problems=OUTDATED,
    )
    def post(self, request: Request, number: str) -> Response:
        held, body = self.incident(number), checked(said.IncidentAssignBody, request)
        with told():
            moving.assign(self.project, held.number, body["user_id"], version=body.get("of_version"), **self.by)
        return self.answer(number)


class IncidentWatchView(_One):
    acts = {"POST": "read", "DELETE": "read"}

    @shapes.describe(
        "Watch an incident",
        said.IncidentDetailShape,
        tag=TAG,
        path=(NUMBER,),
        detail="You are told of it by e-mail, whatever the routes say. A key is nobody: it cannot watch.",
    )
    def post(self, request: Request, number: str) -> Response:
        held, person = self.incident(number), self._me()
        with told():
            moving.watch(self.project, held.number, user=person, request=self.http)
        return self.answer(number)

    @shapes.describe("Watch an incident no longer", said.IncidentDetailShape, tag=TAG, path=(NUMBER,))
    def delete(self, request: Request, number: str) -> Response:
        held, person = self.incident(number), self._me()
        with told():
            moving.unwatch(self.project, held.number, user=person, request=self.http)
        return self.answer(number)

    def _me(self) -> Any:
        if self.person is None:
            raise Problem(400, "A key is nobody who could be told: a person watches, in a browser session.")
        return self.person


class IncidentCommentsView(_One):
    acts = {"GET": "read", "POST": "review"}
    query = {"GET": ("limit", "cursor")}

    @shapes.describe(
        "Comments on an incident", said.EventPage, tag=TAG, path=(NUMBER,), query=(shapes.LIMIT, shapes.CURSOR)
    )
    def get(self, request: Request, number: str) -> Response:
        return _events(self, request, number, ("commented",))

    @shapes.describe(
        "Comment on an incident",
        said.IncidentDetailShape,
        tag=TAG,
        status=201,
        path=(NUMBER,),
        body=said.IncidentCommentBody,
    )
    def post(self, request: Request, number: str) -> Response:
        held, body = self.incident(number), checked(said.IncidentCommentBody, request)
        with told():
            moving.comment(self.project, held.number, body["text"], **self.by)
        return Response(self.detail(self.incident(number)), status=201)


class IncidentEventsView(IncidentView):
    query = {"GET": ("kind", "limit", "cursor")}

    @shapes.describe(
        "The timeline of an incident",
        said.EventPage,
        tag=TAG,
        path=(NUMBER,),
        detail="Newest first.",
        query=(
            OpenApiParameter("kind", OpenApiTypes.STR, many=True, description="Any of these kinds."),
            shapes.LIMIT,
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request, number: str) -> Response:
        return _events(self, request, number, params.texts(request.query_params, "kind"))


class IncidentMembersView(_One):
    acts = {"GET": "read", "POST": "review"}
    query = {"GET": ("limit", "cursor")}

    @shapes.describe(
        "What belongs to an incident",
        said.MemberPage,
        tag=TAG,
        path=(NUMBER,),
        detail="In the order in which it began.",
        query=(shapes.LIMIT, shapes.CURSOR),
    )
    def get(self, request: Request, number: str) -> Response:
        held, limit = self.incident(number), params.page_size(request.query_params)
        after = _moment_and_id(params.text(request.query_params, "cursor"))
        rows = list_members(held.id, limit=limit + 1, after=after)
        return _page(request, rows, limit, shown.member, lambda row: (row.began_at, row.id))

    @shapes.describe(
        "Let something join an incident",
        said.IncidentDetailShape,
        tag=TAG,
        path=(NUMBER,),
        body=said.IncidentMembersBody,
        detail="Alarms, alarms of probes and items of review queues that belong to no incident. What belongs to this "
        "one already changes nothing.",
        problems=WRONG_STATE,
    )
    def post(self, request: Request, number: str) -> Response:
        held, body = self.incident(number), checked(said.IncidentMembersBody, request)
        with told():
            regrouping.join(self.project, held.number, _members(body), **self.by)
        return self.answer(number)


class IncidentMuteView(_One):
    acts = {"POST": "review"}

    @shapes.describe(
        "Mute an incident",
        said.IncidentDetailShape,
        tag=TAG,
        path=(NUMBER,),
        body=said.IncidentMuteBody,
        detail="Nobody is told of it until a moment, or until it gets worse. `until: null` alone ends that.",
        problems=WRONG_STATE,
    )
    def post(self, request: Request, number: str) -> Response:
        held, body = self.incident(number), checked(said.IncidentMuteBody, request)
        until, until_worse = body.get("until"), body["until_worse"]
        with told():
            if until is None and not until_worse:
                if "until" not in body:
                    raise bad_field("until", "or until_worse is required", limit="ISO 8601, or null to end it")
                moving.unmute(self.project, held.number, **self.by)
            else:
                moving.mute(self.project, held.number, until=until, until_worse=until_worse, **self.by)
        return self.answer(number)


class IncidentMergeView(_One):
    acts = {"POST": "review"}

    @shapes.describe(
        "Merge an incident into another",
        said.IncidentDetailShape,
        tag=TAG,
        path=(NUMBER,),
        body=said.IncidentMergeBody,
        detail="Everything that belongs to it belongs to the other one then, which is the answer. Both must go on.",
        problems=WRONG_STATE,
    )
    def post(self, request: Request, number: str) -> Response:
        held, body = self.incident(number), checked(said.IncidentMergeBody, request)
        with told():
            regrouping.merge(self.project, held.number, body["into"], **self.by)
        return self.answer(str(body["into"]))


class IncidentSplitView(_One):
    acts = {"POST": "review"}

    @shapes.describe(
        "Split an incident",
        said.IncidentDetailShape,
        tag=TAG,
        status=201,
        path=(NUMBER,),
        body=said.IncidentSplitBody,
        detail="Some of its members become an incident of their own, which is the answer.",
        problems=WRONG_STATE,
    )
    def post(self, request: Request, number: str) -> Response:
        held, body = self.incident(number), checked(said.IncidentSplitBody, request)
        with told():
            made = regrouping.split(self.project, held.number, body["members"], title=body.get("title", ""), **self.by)
        return Response(self.detail(self.incident(str(made))), status=201)


class IncidentReopenView(_One):
    acts = {"POST": "review"}

    @shapes.describe(
        "Open an incident again",
        said.IncidentDetailShape,
        tag=TAG,
        path=(NUMBER,),
        body=said.IncidentReopenBody,
        detail="A resolved one begins another round at triage; what was found before is kept.",
        problems=WRONG_STATE,
    )
    def post(self, request: Request, number: str) -> Response:
        held, body = self.incident(number), checked(said.IncidentReopenBody, request)
        with told():
            regrouping.open_again(self.project, held.number, body["reason"], **self.by)
        return self.answer(number)


def _events(view: IncidentView, request: Request, number: str, kinds: Any) -> Response:
    held, limit = view.incident(number), params.page_size(request.query_params)
    before = _moment_and_id(params.text(request.query_params, "cursor"))
    rows = list_events(held.id, kinds=tuple(kinds), before=before, limit=limit + 1)
    return _page(request, rows, limit, shown.event, lambda row: (row.at, row.id))


def _page(
    request: Request, rows: list[Row], limit: int, show: Callable[[Row], Any], spot: Callable[[Row], Spot]
) -> Response:
    """A page of rows, of which there is one too many where others follow."""
    following = None
    if len(rows) > limit:
        at, row_id = spot(rows[limit - 1])
        following = paging.write_cursor(at.isoformat(), row_id)
    return Response(paging.page(request, [show(row) for row in rows[:limit]], following, None))


def _any(query: Any, name: str, accepted: Any) -> list[str]:
    found = params.texts(query, name)
    for value in found:
        if value not in accepted:
            raise bad_field(name, "is not accepted", limit=f"one of {', '.join(accepted)}", value=value)
    return found


def _person(raw: str) -> int | None:
    if raw in {"", "nobody"}:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) < 19):
        raise bad_field("assignee", "is not accepted", limit="a person's id, or nobody", value=raw)
    return int(raw)


def _members(body: Any) -> list[tuple[str, int]]:
    return [(one["kind"], one["id"]) for one in body.get("members") or ()]


def _moment_and_id(raw: str) -> Spot | None:
    place = paging.read_cursor(raw, str, int)
    return None if place is None else _spot(raw, place[0], place[1])


def _spot(raw: str, at: str, row_id: int) -> Spot:
    try:
        return params.parse_moment("cursor", at), row_id
    except Problem:
        raise paging.bad_cursor(raw) from None


def _after(raw: str, sort: Sort) -> Spot | None:
    place = paging.read_cursor(raw, str, int)
    if place is None:
        return None
    told, _, at = place[0].partition(":")
    if told != sort:
        raise paging.bad_cursor(raw)
    return _spot(raw, at, place[1])
