"""REST: saved views."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.lib import clock
from telltale.projects.keys import KeyHolder
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field
from telltale.rest.views import ProjectView
from traces import saved_views
from traces.forms import canonical_query
from traces.saved_views import View, ViewRefused

VIEW_ID = OpenApiParameter("view_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The view's id.")


class ViewShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    page = serializers.ChoiceField(choices=saved_views.PAGES)
    name = serializers.CharField()
    query = serializers.CharField(help_text="The list's address behind the question mark; empty for all traces.")
    is_shared = serializers.BooleanField()
    is_default = serializers.BooleanField(help_text="Whether your list opens with it.")
    may_change = serializers.BooleanField()
    made_by = serializers.CharField(help_text="Empty where a key made it or the account is gone.")
    updated_at = serializers.DateTimeField()


class ViewsShape(serializers.Serializer[Any]):
    items = ViewShape(many=True)


class ViewChange(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, help_text=f"At most {saved_views.NAME_MAX} characters.")
    query = serializers.CharField(
        required=False, allow_blank=True, help_text="As the page's address has it; filters, sort, columns, time range."
    )
    is_shared = serializers.BooleanField(required=False, help_text="Needs the role that shares views.")
    is_default = serializers.BooleanField(required=False, help_text="For people alone.")


class ViewBody(ViewChange):
    name = serializers.CharField(help_text=f"At most {saved_views.NAME_MAX} characters.")
    page = serializers.ChoiceField(choices=saved_views.PAGES, default="traces")


class _View(ProjectView):
    key_scopes = {"POST": "write", "PATCH": "write", "DELETE": "write"}

    def asker(self) -> saved_views.Asker:
        """Who asks."""
        holder = self.request.auth
        return saved_views.asker_of(self.project, self.person, holder if isinstance(holder, KeyHolder) else None)

    def query_of(self, body: dict[str, Any]) -> str | None:
        """The query of a body as the page spells it; 400 for what the list would not understand."""
        if "query" not in body:
            return None
        if len(body["query"]) > saved_views.QUERY_MAX:
            raise bad_field("query", "is too long", limit=f"{saved_views.QUERY_MAX} characters")
        query, errors = canonical_query(body["query"].removeprefix("?"), self.zone, clock.now())
        if errors:
            told = [FieldError(f"query.{e.key}", e.message, e.limit or None, e.value or None) for e in errors]
            raise Problem(400, "; ".join(f"{e.field}: {e.message}" for e in told[:5]), *told)
        return query

    def set_default(self, body: dict[str, Any], view: View) -> View:
        """The view after `is_default` of a body was done."""
        if "is_default" not in body or body["is_default"] == view.is_default:
            return view
        if self.person is None:
            raise bad_field("is_default", "is a person's: a key opens no list")
        saved_views.set_default(self.project, self.person, view.id if body["is_default"] else None, view.page)
        return saved_views.get_view(self.project, self.asker(), view.id)


class ViewsView(_View):
    acts = {"GET": "read", "POST": "read"}
    query = {"GET": ("page",)}

    @shapes.describe(
        "List saved views",
        ViewsShape,
        tag="Views",
        detail="Your own and those shared with the project, by name; a key sees the shared ones.",
        query=(OpenApiParameter("page", OpenApiTypes.STR, enum=saved_views.PAGES, description="Of which list."),),
    )
    def get(self, request: Request) -> Response:
        page = params.choice(request.query_params, "page", saved_views.PAGES, "traces")
        views = saved_views.list_views(self.project, self.asker(), page)
        return Response({"items": [view_json(view) for view in views]})

    @shapes.describe(
        "Save a view",
        ViewShape,
        tag="Views",
        detail="Private unless `is_shared`; a key can only share.",
        body=ViewBody,
        status=201,
    )
    def post(self, request: Request) -> Response:
        body = checked(ViewBody, request)
        query = self.query_of(body) or ""
        try:
            view = saved_views.save_view(
                self.project, self.asker(), body["name"], query, is_shared=body.get("is_shared", False),
                page=body["page"], request=self.http,
            )  # fmt: skip
        except ViewRefused as error:
            raise refused(error) from None
        return Response(view_json(self.set_default(body, view)), status=201)


class ViewView(_View):
    acts = {"GET": "read", "PATCH": "read", "DELETE": "read"}

    @shapes.describe("One saved view", ViewShape, tag="Views", path=(VIEW_ID,))
    def get(self, request: Request, view_id: str) -> Response:
        return Response(view_json(saved_views.get_view(self.project, self.asker(), params.row_id(view_id))))

    @shapes.describe(
        "Change a saved view",
        ViewShape,
        tag="Views",
        detail="A shared view is changed by who made it, or by an admin. `is_default` is anybody's own matter.",
        path=(VIEW_ID,),
        body=ViewChange,
    )
    def patch(self, request: Request, view_id: str) -> Response:
        number, asker = params.row_id(view_id), self.asker()
        view = saved_views.get_view(self.project, asker, number)
        body = checked(ViewChange, request)
        query = self.query_of(body)
        try:
            if body.keys() & {"name", "query", "is_shared"}:
                view = saved_views.change_view(
                    self.project, asker, number, name=body.get("name"), query=query, is_shared=body.get("is_shared"),
                    request=self.http,
                )  # fmt: skip
        except ViewRefused as error:
            raise refused(error) from None
        except PermissionError as error:
            raise PermissionDenied(str(error)) from None
        return Response(view_json(self.set_default(body, view)))

    @shapes.describe("Delete a saved view", None, tag="Views", path=(VIEW_ID,), status=204)
    def delete(self, request: Request, view_id: str) -> Response:
        try:
            saved_views.delete_view(self.project, self.asker(), params.row_id(view_id), request=self.http)
        except PermissionError as error:
            raise PermissionDenied(str(error)) from None
        return Response(status=204)


def view_json(view: View) -> dict[str, Any]:
    """A view as REST shows it."""
    return {
        "id": str(view.id),
        "page": view.page,
        "name": view.name,
        "query": view.query,
        "is_shared": view.is_shared,
        "is_default": view.is_default,
        "may_change": view.may_change,
        "made_by": view.made_by,
        "updated_at": form.moment(view.updated_at),
    }


def refused(error: ViewRefused) -> Problem:
    """What is wrong with a view, as a 400."""
    return bad_field(error.field, error.message, limit=error.limit or None, value=error.value or None)
