"""REST: erasures of traces, sessions and users with their receipts, and the removal of a project."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.projects.keys import KeyHolder
from telltale.projects.models import Project
from telltale.rest import paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from telltale.web.erasing import asking, read
from telltale.web.models import Erasure

ID = OpenApiParameter("erasure_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The erasure's id.")
TAG = "Privacy"
STATES = ("waiting", "running", "done", "failed", "undone")


class CountsField(serializers.DictField):
    """Rows by table."""

    child = serializers.IntegerField()


class ErasureShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.ChoiceField(
        (*asking.KINDS, "late", "project", "organisation"),
        help_text="late: parts of traces that came before the span that named an erased user or session.",
    )
    subject = serializers.CharField(help_text="Its last characters, where it is long enough; a project's slug.")
    key = serializers.CharField(allow_null=True, help_text="Keyed hash of the subject, as the audit log names it.")
    state = serializers.ChoiceField(STATES)
    phase = serializers.CharField(allow_null=True)
    asked_by = serializers.CharField(allow_blank=True)
    asked_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    verified_at = serializers.DateTimeField(allow_null=True, help_text="When every table was searched and held none.")
    traces_done = serializers.IntegerField(help_text="Traces removed; of a project: rows.")
    traces_total = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    rows_removed = serializers.IntegerField()
    removed = CountsField(help_text="Rows removed, by table.")
    values_replaced = serializers.IntegerField()
    replaced = CountsField(help_text="Values in rows that stay, with the ids taken out, by table.")
    kept = CountsField(help_text="Entries that name it and cannot be changed: those of the audit log.")
    rows_remaining = serializers.IntegerField(allow_null=True, help_text="Null until it was looked for; 0 when done.")
    remaining = CountsField()
    lifted_at = serializers.DateTimeField(allow_null=True, help_text="Since when what arrives is stored again.")
    lifted_by = serializers.CharField(allow_null=True)


ERASURES = shapes.page_of(ErasureShape, "ErasurePage")


class ErasureBody(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(asking.KINDS)
    id = serializers.CharField(max_length=1024, trim_whitespace=False, help_text="As it was sent.")


class RemovalBody(serializers.Serializer[Any]):
    slug = serializers.CharField(max_length=60, help_text="The project's slug, to confirm.")


class RemovalShape(serializers.Serializer[Any]):
    asked_at = serializers.DateTimeField(allow_null=True, help_text="Null: nobody asked.")
    due_at = serializers.DateTimeField(allow_null=True)
    asked_by = serializers.CharField(allow_null=True)


class ErasuresView(ProjectView):
    acts = {"GET": "erase", "POST": "erase"}
    query = {"GET": ("limit", "cursor")}

    @shapes.describe("List erasures", ERASURES, tag=TAG, query=(shapes.LIMIT, shapes.CURSOR), detail="Newest first.")
    def get(self, request: Request) -> Response:
        position = paging.read_cursor(params.text(request.query_params, "cursor"), int)
        size = params.page_size(request.query_params)
        found = read.list_receipts(self.project.pk, before=position[0] if position else None, limit=size + 1)
        following = paging.write_cursor(found[size - 1].id) if len(found) > size else None
        return Response(paging.page(request, [read.receipt_json(each) for each in found[:size]], following, None))

    @shapes.describe(
        "Erase a trace, a session or a user",
        ErasureShape,
        tag=TAG,
        body=ErasureBody,
        status=202,
        detail="A job removes it from every table and searches each of them before it says done. What arrives of it "
        "from now on is refused and counted as `erased`. The same again while it is under way gives that erasure.",
    )
    def post(self, request: Request) -> Response:
        body = checked(ErasureBody, request)
        try:
            row = asking.ask(
                self.project, body["kind"], body["id"], by=_by(self), by_id=self.person_id, request=self.http
            )
        except asking.Fault as fault:
            raise bad_field(fault.field, fault.message, limit=fault.limit or None) from None
        return Response(_told(self.project, row.pk), status=202)


class ErasureView(ProjectView):
    acts = {"GET": "erase"}

    @shapes.describe("One erasure: its progress, then its receipt", ErasureShape, tag=TAG, path=(ID,))
    def get(self, request: Request, erasure_id: str) -> Response:
        return Response(_told(self.project, params.row_id(erasure_id)))


class RetryView(ProjectView):
    acts = {"POST": "erase"}

    @shapes.describe(
        "Go on with an erasure that stopped",
        ErasureShape,
        tag=TAG,
        path=(ID,),
        status=202,
        problems={409: "It has not failed."},
    )
    def post(self, request: Request, erasure_id: str) -> Response:
        row = _find(self.project, params.row_id(erasure_id))
        try:
            asking.try_again(self.project, row, by=_by(self), request=self.http)
        except asking.Conflict as conflict:
            raise Problem(409, str(conflict)) from None
        return Response(_told(self.project, row.pk), status=202)


class LiftView(ProjectView):
    acts = {"POST": "erase"}

    @shapes.describe(
        "Store again what arrives of what was erased",
        ErasureShape,
        tag=TAG,
        path=(ID,),
        problems={409: "Nothing is refused because of it."},
        detail="What is gone stays gone.",
    )
    def post(self, request: Request, erasure_id: str) -> Response:
        row = _find(self.project, params.row_id(erasure_id))
        try:
            asking.lift(self.project, row, by=_by(self), request=self.http)
        except asking.Conflict as conflict:
            raise Problem(409, str(conflict)) from None
        return Response(_told(self.project, row.pk))


class RemovalView(ProjectView):
    acts = {"GET": "read", "POST": "remove", "DELETE": "remove"}

    @shapes.describe("Whether the project is being removed", RemovalShape, tag=TAG)
    def get(self, request: Request) -> Response:
        return Response(_removal(self.project))

    @shapes.describe(
        "Remove the project with everything in it",
        RemovalShape,
        tag=TAG,
        body=RemovalBody,
        status=202,
        problems={409: "It is being removed already."},
        detail="Its keys are refused within 5 seconds, the one that asks among them. For seven days an owner can undo "
        "it; then every row goes, and the slug is free again.",
    )
    def post(self, request: Request) -> Response:
        if checked(RemovalBody, request)["slug"] != self.project.slug:
            raise Problem(
                400, "The body is not valid.", FieldError("slug", "is not this project's slug", self.project.slug)
            )
        try:
            asking.ask_project(self.project, by=_by(self), request=self.http)
        except asking.Conflict as conflict:
            raise Problem(409, str(conflict)) from None
        self.project.refresh_from_db()
        return Response(_removal(self.project), status=202)

    @shapes.describe(
        "Keep the project after all",
        RemovalShape,
        tag=TAG,
        problems={409: "It is not being removed, or its removal has begun."},
    )
    def delete(self, request: Request) -> Response:
        try:
            asking.undo_project(self.project, by=_by(self), request=self.http)
        except asking.Conflict as conflict:
            raise Problem(409, str(conflict)) from None
        self.project.refresh_from_db()
        return Response(_removal(self.project))


def _by(view: ProjectView) -> str:
    """Who asks, as receipts name them."""
    if view.person is not None:
        return view.person.email
    holder = view.request.auth
    return f"key {holder.key_id}" if isinstance(holder, KeyHolder) else ""


def _removal(project: Project) -> dict[str, Any]:
    return {
        "asked_at": project.deletion_asked_at,
        "due_at": project.deletion_due_at,
        "asked_by": project.deletion_asked_by or None,
    }


def _told(project: Project, erasure_id: int) -> dict[str, Any]:
    return read.receipt_json(read.receipt_of(_find(project, erasure_id)))


def _find(project: Project, erasure_id: int) -> Erasure:
    row = read.find_erasure(project.pk, erasure_id)
    if row is None:
        raise not_found()
    return row
