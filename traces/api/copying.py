"""REST: a trace as an OTLP/JSON request that sends it again."""

from __future__ import annotations

import secrets
from urllib.parse import urlencode

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.rest import paging, params, shapes
from telltale.rest.problems import not_found
from telltale.rest.views import ProjectView
from traces import resend
from traces.api.traces import TRACE_ID, find_trace, too_slow
from traces.forward import NewIds, traces_json
from traces.read import TooSlow

SPANS_MAX = 50
SALT_MAX = 64


class OtlpShape(serializers.Serializer[dict[str, object]]):
    """An ExportTraceServiceRequest."""

    resourceSpans = serializers.ListField(child=serializers.DictField())


class OtlpView(ProjectView):
    query = {"GET": ("span", "ids", "salt", "cursor")}

    @shapes.describe(
        "A trace as OTLP that sends it again",
        OtlpShape,
        tag="Traces",
        detail=f"The body of a request to `/v1/traces`: the spans as sent, as far as they are stored, {SPANS_MAX} an "
        "answer. A `Link` header with `rel=next` leads to the next ones. Log events are events of their span here.",
        path=(TRACE_ID,),
        query=(
            OpenApiParameter("span", OpenApiTypes.STR, description="This span alone, 16 hex digits."),
            OpenApiParameter(
                "ids", OpenApiTypes.STR, enum=["same", "new"], description="New ones make it another trace."
            ),
            OpenApiParameter(
                "salt", OpenApiTypes.STR, description="Of new ids: the same text gives the same ids. Random if absent."
            ),
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request, trace_id: str) -> Response:
        query = request.query_params
        is_new = params.choice(query, "ids", ("same", "new"), "same") == "new"
        salt = params.text(query, "salt")[:SALT_MAX] or secrets.token_hex(16)
        position = paging.read_cursor(params.text(query, "cursor"), int)
        start = 0 if position is None else position[0]
        if start < 0:
            raise paging.bad_cursor(str(start))
        row = find_trace(self, trace_id)
        try:
            span_ids = resend.trace_ids(self.project.pk, row)
            only = params.text(query, "span")
            if only:
                number = params.span_id(only)
                if number is None or number not in span_ids:
                    raise not_found()
                span_ids = [number]
            ids = NewIds(row.trace_id, span_ids, salt, is_whole=not only) if is_new else None
            chosen = span_ids[start : start + SPANS_MAX]
            body = traces_json(resend.read_outgoing(self.project.pk, row, chosen, ids))
        except TooSlow:
            raise too_slow() from None
        response = Response(body)
        if start + SPANS_MAX < len(span_ids):
            asked = {"project": self.project.slug, "cursor": paging.write_cursor(start + SPANS_MAX)}
            asked |= {"ids": "new", "salt": salt} if is_new else {}
            response["Link"] = f'<{request.build_absolute_uri(request.path)}?{urlencode(asked)}>; rel="next"'
        return response
