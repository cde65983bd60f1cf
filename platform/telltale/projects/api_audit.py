"""REST: the audit log of a project, an organisation or the installation, as its page shows it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.audit.read import AuditFilter, find_entries
from telltale.projects.access import SecondFactorLacking, get_organisation_for, lacks_second_factor
from telltale.projects.api_list import AskerView
from telltale.projects.audit_pages import entry_json, slugs_of
from telltale.rest import paging, params, shapes
from telltale.rest.params import check_names
from telltale.rest.problems import not_found
from telltale.rest.views import ProjectView

NAMES = ("action", "actor", "target", "outcome", "from", "to", "limit", "cursor")
QUERY = (
    OpenApiParameter("action", OpenApiTypes.STR, description="One act such as key.create, or one kind such as key."),
    OpenApiParameter("actor", OpenApiTypes.STR, description="One person's e-mail address, or `key 12`."),
    OpenApiParameter("target", OpenApiTypes.STR, description="A part of what was acted on, in any case."),
    OpenApiParameter("outcome", OpenApiTypes.STR, description="done, refused or broken off."),
    shapes.FROM,
    shapes.TO,
    shapes.LIMIT,
    shapes.CURSOR,
)
DETAIL = "Newest first. Ingest is not audited; it is accounted for."


class ChangeShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField(allow_blank=True)


class AuditShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    project = serializers.CharField(allow_null=True, help_text="Its slug; null where it is of none, or gone.")
    actor = serializers.CharField()
    action = serializers.CharField()
    target = serializers.CharField(allow_blank=True)
    outcome = serializers.CharField()
    address = serializers.CharField(allow_blank=True)
    changes = ChangeShape(many=True)


AUDIT_PAGE = shapes.page_of(AuditShape, "AuditPage")


class AuditView(ProjectView):
    acts = {"GET": "audit"}
    query = {"GET": NAMES}

    @shapes.describe("Who did what to this project", AUDIT_PAGE, tag="Project", detail=DETAIL, query=QUERY)
    def get(self, request: Request) -> Response:
        return _answer(request, project_id=self.project.pk)


class LogView(AskerView):
    """What both logs that are of no single project share."""

    def check_query(self, request: Request) -> None:
        check_names(request.query_params, NAMES)


class OrganisationAuditView(LogView):
    @shapes.describe(
        "Who did what to an organisation and its projects", AUDIT_PAGE, tag="Project", detail=DETAIL, query=QUERY
    )
    def get(self, request: Request, organisation_slug: str) -> Response:
        return _answer(request, organisation_id=get_organisation_for(self.person, organisation_slug).pk)


class InstallationAuditView(LogView):
    @shapes.describe(
        "Who did what on this server",
        AUDIT_PAGE,
        tag="Project",
        detail="For whoever operates it. " + DETAIL,
        query=QUERY,
    )
    def get(self, request: Request) -> Response:
        if not self.person.is_superuser:
            raise not_found()
        if lacks_second_factor(self.person):
            raise SecondFactorLacking
        return _answer(request)


def _answer(request: Request, **whose: int) -> Response:
    query = request.query_params
    position = paging.read_cursor(params.text(query, "cursor"), int)
    wanted = AuditFilter(
        **whose,
        action=params.text(query, "action"),
        actor=params.text(query, "actor"),
        target=params.text(query, "target"),
        outcome=params.text(query, "outcome"),
        start=params.moment(query, "from"),
        end=params.moment(query, "to"),
    )
    page = find_entries(wanted, before=position[0] if position else None, size=params.page_size(query))
    older = None if page.older is None else paging.write_cursor(page.older)
    slugs = slugs_of(page.rows)
    return Response(paging.page(request, [entry_json(row, slugs) for row in page.rows], older, None))
