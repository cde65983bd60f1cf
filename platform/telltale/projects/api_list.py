"""REST: which projects the asker has."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from telltale.projects.access import projects_of
from telltale.projects.keys import KeyHolder
from telltale.projects.models import Project, Role
from telltale.rest import shapes
from telltale.rest.auth import BrowserAuthentication, KeyAuthentication
from telltale.rest.body import JsonOnly, JsonRenderer
from telltale.rest.params import check_names
from telltale.rest.problems import Problem


class ListedShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    organisation = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices, allow_null=True, help_text="Null for a key.")
    first_span_at = serializers.DateTimeField(allow_null=True)


class ListedProjectsShape(serializers.Serializer[Any]):
    items = ListedShape(many=True)


class ProjectsView(APIView):
    """The projects of a person, or the one of a key with the scope read."""

    authentication_classes = (KeyAuthentication, BrowserAuthentication)
    permission_classes = ()
    throttle_classes = ()
    renderer_classes = (JsonRenderer,)
    content_negotiation_class = JsonOnly
    metadata_class = None

    @shapes.describe("The projects of whoever asks", ListedProjectsShape, tag="Project")
    def get(self, request: Request) -> Response:
        if not request.user or not request.user.is_authenticated:
            self.permission_denied(request)
        check_names(request.query_params, ())
        if isinstance(request.auth, KeyHolder):
            if "read" not in request.auth.scopes:
                raise Problem(403, "This needs a key with the scope read.")
            found = list(Project.objects.select_related("organisation").filter(pk=request.auth.project_id))
            return Response({"items": [listed(project, None) for project in found]})
        return Response({"items": [listed(project, project.your_role) for project in projects_of(request.user)]})


def listed(project: Project, role: Role | None) -> dict[str, Any]:
    """A project as JSON, with the asker's role."""
    return {
        "slug": project.slug,
        "name": project.name,
        "organisation": project.organisation.name,
        "role": role,
        "first_span_at": project.first_span_at,
    }
