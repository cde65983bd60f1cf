"""What every REST address shares: who asks, for which project, whether they may, and how answers look."""

from __future__ import annotations

from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from telltale.accounts.models import User
from telltale.audit.downloads import audit_download
from telltale.audit.log import record_refused
from telltale.lib.clock import zone_of
from telltale.projects.access import ACT, RoleLacking, get_project_for, note_refusal, project_of_key
from telltale.projects.keys import KeyHolder
from telltale.projects.models import Project
from telltale.rest.auth import BrowserAuthentication, KeyAuthentication
from telltale.rest.body import JsonOnly, JsonParser, JsonRenderer
from telltale.rest.params import check_names, text
from telltale.rest.problems import Problem, bad_field, not_found


class ProjectView(APIView):
    """An address of one project. `acts` names the act (telltale.projects.access) that each method is.

    A key decides the project; `?project=` may repeat it and must then be right. A person names the project. In both
    cases not there and not theirs are one 404, and what is beyond scope or role is a 403 that says what is needed.
    """

    acts: ClassVar[dict[str, str]] = {"GET": "read"}
    # Where a key needs another scope than the act's own, by method; "signal|write": one of the two.
    key_scopes: ClassVar[dict[str, str]] = {}
    # Accepted query parameters besides `project`, by method.
    query: ClassVar[dict[str, tuple[str, ...]]] = {}
    # Beginnings of parameters whose names are the caller's own, such as keys of metadata.
    query_prefixes: ClassVar[tuple[str, ...]] = ()
    authentication_classes = (KeyAuthentication, BrowserAuthentication)
    permission_classes = ()
    throttle_classes = ()
    parser_classes = (JsonParser,)
    renderer_classes = (JsonRenderer,)
    content_negotiation_class = JsonOnly
    metadata_class = None
    project: Project

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not request.user or not request.user.is_authenticated:
            self.permission_denied(request)
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method not in self.acts:
            return
        own = (name for name in request.query_params if self.query_prefixes and name.startswith(self.query_prefixes))
        check_names(request.query_params, ("project", *self.query.get(method, ()), *own))
        act = ACT[self.acts[method]]
        slug = text(request.query_params, "project")
        if isinstance(request.auth, KeyHolder):
            self.project = _project_of_key(request.auth, slug)
            scope = self.key_scopes.get(method, act.scope)
            if request.auth.scopes.isdisjoint(scope.split("|")):
                # Keys of senders are refused by the second: what only admins may is written down alone.
                if scope == "admin" and method != "GET":
                    record_refused(self.project, self.http, scope, ", ".join(sorted(request.auth.scopes)))
                raise Problem(403, f"This needs a key with the scope {scope.replace('|', ' or ')}.")
        else:
            if not slug:
                raise bad_field("project", "is required: the slug of a project of yours")
            self.project = get_project_for(request.user, slug, act.at_least)

    def handle_exception(self, exc: Exception) -> Response:
        """A role that is lacking is written down; the answer is REST framework's."""
        if isinstance(exc, RoleLacking):
            note_refusal(self.http, exc)
        response: Response = super().handle_exception(exc)
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        return audit_download(self.http, answer, project=self.project) if hasattr(self, "project") else answer

    @property
    def person(self) -> User | None:
        """The person who asks; None where a key does."""
        return self.request.user if isinstance(self.request.user, User) else None

    @property
    def person_id(self) -> int | None:
        """The id of the person who asks; None where a key does."""
        return self.person.pk if self.person else None

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the project's days are cut."""
        return zone_of(self.project.time_zone)

    @property
    def http(self) -> HttpRequest:
        """Django's own request, as the audit log takes it."""
        return self.request._request


def _project_of_key(holder: KeyHolder, slug: str) -> Project:
    if slug and slug != holder.project_slug:
        raise not_found()
    project = project_of_key(holder.project_id)
    if project is None:
        raise not_found()
    return project
