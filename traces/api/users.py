"""REST: users of the application, over whole days of the project's zone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.lib import clock
from telltale.rest import form, paging, params, shapes
from telltale.rest.problems import bad_field, not_found
from telltale.rest.views import ProjectView
from traces.api import listing, session_shapes
from traces.api.traces import answers
from traces.pages.addresses import read_ids, write_id
from traces.pages.export import FORMATS
from traces.pages.user_list import export_users
from traces.read.asking import asking
from traces.read.users import DEFAULT_SORT, USER_FIELDS, USER_SORTS, UserRow, UserSums, list_users, read_user
from traces.rollup.buckets import calendar_of

FILTERS = listing.filter_names(USER_FIELDS)
ID = OpenApiParameter(
    "user",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    description="The user's id; one with slashes or other signs as its `address`: ~ and base64url of its UTF-8.",
)
DAYS = 7


class UserListView(ProjectView):
    query = {"GET": ("from", "to", "q", "sort", "limit", "cursor", "format", *FILTERS)}

    @shapes.describe(
        "List users",
        shapes.page_of(session_shapes.UserShape, "UserPage"),
        tag="Users",
        detail="The most expensive first unless sorted otherwise, over the days of the project's zone that the window "
        "touches; without one, over all there ever were.",
        query=(
            shapes.FROM,
            shapes.TO,
            OpenApiParameter("q", OpenApiTypes.STR, description="A part of the user's id."),
            listing.sort_parameter(USER_SORTS),
            shapes.LIMIT,
            shapes.CURSOR,
            listing.FORMAT,
            *listing.filter_parameters(USER_FIELDS),
        ),
    )
    def get(self, request: Request) -> HttpResponseBase:
        query = request.query_params
        wanted, ask = listing.read_filter(query, USER_FIELDS), listing.read_ask(query)
        calendar, kind = calendar_of(self.project.time_zone), listing.read_format(query)
        sort = params.text(query, "sort") or DEFAULT_SORT
        with answers():
            if kind in FORMATS:
                return export_users(self.project, wanted, sort, kind, request.method == "HEAD")
            page = list_users(self.project.pk, calendar, wanted, sort, ask)
        items = [row_json(row) for row in page.rows]
        return Response(paging.page(request, items, *listing.cursors(page.older, page.newer)))


class UserView(ProjectView):
    query = {"GET": ("from", "to")}

    @shapes.describe(
        "One user by day",
        session_shapes.UserDetailShape,
        tag="Users",
        detail=f"What a user used and cost in each day that the window touches, {DAYS} days unless asked otherwise; in "
        "each month where that is more than 400 days.",
        path=(ID,),
        query=(shapes.FROM, shapes.TO),
    )
    def get(self, request: Request, user: str) -> Response:
        query, now = request.query_params, clock.now()
        end = params.moment(query, "to") or now
        start = params.moment(query, "from") or end - timedelta(days=DAYS)
        if start >= end:
            raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
        calendar = calendar_of(self.project.time_zone)
        with answers(), asking() as cursor:
            for user_id in read_ids(user):
                found = read_user(cursor, self.project.pk, calendar, user_id, start, end)
                if found is not None:
                    break
            else:
                raise not_found()
        return Response(
            {
                "user_id": user_id,
                "address": write_id(user_id),
                "first_at": form.moment(found.first_at),
                "last_at": form.moment(found.last_at),
                "start": form.moment(found.days.start),
                "end": form.moment(found.days.end),
                "step": "month" if found.is_by_month else "day",
                **sums_json(found.total),
                "points": [
                    {"start": form.moment(point.start), "end": form.moment(point.end), **sums_json(point.sums)}
                    for point in found.points
                ],
            }
        )


def row_json(row: UserRow) -> dict[str, Any]:
    """A user of a list; unknown is null."""
    return {
        "user_id": row.user_id,
        "address": write_id(row.user_id),
        "first_at": form.moment(row.first_at),
        "last_at": form.moment(row.last_at),
        **sums_json(row.sums),
    }


def sums_json(sums: UserSums) -> dict[str, Any]:
    """What a user used; unknown is null."""
    is_known = sums.has_tokens
    return {
        "requests": sums.requests,
        "requests_with_errors": sums.errors,
        "input_tokens": sums.input_tokens if is_known else None,
        "cached_tokens": sums.cached_tokens if is_known else None,
        "output_tokens": sums.output_tokens if is_known else None,
        "cost_usd": form.usd(sums.cost.pico),
        "cost_state": sums.cost.state.value,
        "unpriced": sums.unpriced_count,
    }
