"""REST: exports of everything of a project or of one of its users."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.audit.log import record_in
from telltale.rest import params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import Problem, not_found
from telltale.rest.views import ProjectView
from telltale.web.archive import keeping
from telltale.web.archive.exporting import start
from telltale.web.archive.pages import file_of
from telltale.web.models import Archive

TAG = "Export"
ID = OpenApiParameter("archive_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The export's id.")
STATES = ("waiting", "running", "done", "failed", "dropped")


class ExportShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    of = serializers.ChoiceField(("project", "user"))
    csv = serializers.BooleanField()
    state = serializers.ChoiceField(STATES)
    rows = serializers.IntegerField(help_text="So far, while it runs.")
    bytes = serializers.IntegerField()
    files = serializers.IntegerField()
    asked_by = serializers.CharField(allow_blank=True)
    asked_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    kept_until = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_blank=True)


class ExportListShape(serializers.Serializer[Any]):
    items = ExportShape(many=True)


class ExportBody(serializers.Serializer[Any]):
    user = serializers.CharField(
        max_length=1024, required=False, trim_whitespace=False, help_text="Only what is of this user."
    )
    csv = serializers.BooleanField(required=False, help_text="Each table as CSV as well.")


class ExportsView(ProjectView):
    acts = {"GET": "settings", "POST": "settings"}

    @shapes.describe("List exports", ExportListShape, tag=TAG, detail="The newest 50.")
    def get(self, request: Request) -> Response:
        return Response({"items": [keeping.archive_json(row) for row in keeping.list_archives(self.project)]})

    @shapes.describe(
        "Export everything",
        ExportShape,
        tag=TAG,
        body=ExportBody,
        status=202,
        problems={409: "Two are under way."},
        detail="A job writes it; it goes on after a crash and can be downloaded for three days.",
    )
    def post(self, request: Request) -> Response:
        body = checked(ExportBody, request)
        try:
            keeping.check_room(self.project)
        except keeping.Busy:
            raise Problem(409, "Two exports are under way. Ask again when one has ended.") from None
        by = self.person.email if self.person is not None else "an API key"
        archive = start(
            self.project,
            by_id=self.person.pk if self.person is not None else None,
            by=by,
            user=body.get("user", ""),
            is_csv=body.get("csv", False),
            request=self.http,
        )
        return Response(keeping.archive_json(self._find(archive.pk)[1]), status=202)

    def _find(self, archive_id: int) -> tuple[Archive, keeping.ArchiveRow]:
        found = keeping.find_archive(self.project, archive_id)
        if found is None:
            raise not_found()
        return found


class ExportView(ExportsView):
    acts = {"GET": "settings", "DELETE": "settings"}
    http_method_names = ["get", "head", "delete", "options"]

    @shapes.describe("One export", ExportShape, tag=TAG, path=(ID,))
    def get(self, request: Request, archive_id: str) -> Response:
        return Response(keeping.archive_json(self._find(params.row_id(archive_id))[1]))

    @shapes.describe("Remove an export", None, tag=TAG, status=204, path=(ID,))
    def delete(self, request: Request, archive_id: str) -> Response:
        archive, _ = self._find(params.row_id(archive_id))
        keeping.drop(archive)
        record_in(self.project, "project.export.drop", str(archive.pk), request=self.http)
        return Response(status=204)


class ExportFileView(ExportsView):
    acts = {"GET": "settings"}
    http_method_names = ["get", "head", "options"]

    @shapes.describe(
        "Download an export",
        None,
        tag=TAG,
        path=(ID,),
        problems={409: "It is not there: it runs, failed, or was dropped."},
        detail="A tar file: manifest.json, then gzip files of a JSON object a line. `telltale import` reads it.",
    )
    def get(self, request: Request, archive_id: str) -> HttpResponseBase:
        archive, row = self._find(params.row_id(archive_id))
        if not row.is_here:
            raise Problem(409, f"This export is {row.state}.")
        return file_of(self.http, self.project, archive)
