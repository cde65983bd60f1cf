"""REST: a project's audit log, as its page shows it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.audit.read import AuditRow, list_entries
from telltale.rest import paging, params, shapes
from telltale.rest.views import ProjectView


class ChangeShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField(allow_blank=True)


class AuditShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    action = serializers.CharField()
    target = serializers.CharField(allow_blank=True)
    outcome = serializers.CharField()
    address = serializers.CharField(allow_blank=True)
    changes = ChangeShape(many=True)


class AuditView(ProjectView):
    acts = {"GET": "audit"}
    query = {"GET": ("action", "actor", "limit", "cursor")}

    @shapes.describe(
        "Who did what to this project",
        shapes.page_of(AuditShape, "AuditPage"),
        tag="Project",
        detail="Newest first. Ingest is not audited; it is accounted for.",
        query=(
            OpenApiParameter("action", OpenApiTypes.STR, description="One kind of act, such as key.create."),
            OpenApiParameter("actor", OpenApiTypes.STR, description="One person's e-mail address."),
            shapes.LIMIT,
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        position = paging.read_cursor(params.text(query, "cursor"), int)
        page = list_entries(
            self.project.pk,
            action=params.text(query, "action"),
            actor=params.text(query, "actor"),
            before=position[0] if position else None,
            size=params.page_size(query),
        )
        older = None if page.older is None else paging.write_cursor(page.older)
        return Response(paging.page(request, [entry_json(row) for row in page.rows], older, None))


def entry_json(row: AuditRow) -> dict[str, Any]:
    """An entry as JSON."""
    return {
        "id": row.id,
        "at": row.at,
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "outcome": row.outcome,
        "address": row.address,
        "changes": [{"name": name, "before": before, "after": after} for name, before, after in row.changes],
    }
