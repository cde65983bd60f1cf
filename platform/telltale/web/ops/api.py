"""REST for whoever operates the installation: long jobs that failed, tried again or put aside."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.projects.access import SecondFactorLacking, lacks_second_factor
from telltale.projects.api_list import AskerView
from telltale.rest import paging, params, shapes
from telltale.rest.problems import Problem, not_found
from telltale.web.ops.failed import ACTS, FailedJob, act_on, read_failed

TAG = "Operations"
QUERY = (
    OpenApiParameter("kind", OpenApiTypes.STR, description="Of this kind alone, such as reprice."),
    shapes.LIMIT,
    shapes.CURSOR,
)
NOT_FAILED = {409: "The job has not failed, or not any more."}


class FailedJobShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.CharField()
    project = serializers.CharField(allow_null=True, help_text="Its slug; null where it is of none.")
    error = serializers.CharField(allow_blank=True, help_text="Why the last attempt failed.")
    attempts = serializers.IntegerField()
    progress = serializers.IntegerField(help_text="Where it goes on when it is tried again.")
    total = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class JobActShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    act = serializers.ChoiceField(tuple(ACTS))


FAILED_PAGE = shapes.page_of(FailedJobShape, "FailedJobPage")


class OperatorView(AskerView):
    """An address of the operator: to other people it is not there, and no key is the operator's."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        person = self.person
        if not hasattr(self, str(request.method).lower()):
            raise MethodNotAllowed(str(request.method))
        if not person.is_superuser:
            raise not_found()
        if lacks_second_factor(person):
            raise SecondFactorLacking


class FailedJobsView(OperatorView):
    def check_query(self, request: Request) -> None:
        params.check_names(request.query_params, ("kind", "limit", "cursor"))

    @shapes.describe(
        "Failed jobs of the installation",
        FAILED_PAGE,
        tag=TAG,
        query=QUERY,
        detail="Long jobs (repricing, exports, erasures, ...) that failed and wait for a person, newest first. For "
        "whoever operates the installation.",
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        position = paging.read_cursor(params.text(query, "cursor"), int)
        size = params.page_size(query)
        found = read_failed(kind=params.text(query, "kind"), before=position[0] if position else None, limit=size + 1)
        older = paging.write_cursor(found[size - 1].id) if len(found) > size else None
        return Response(paging.page(request, [_json(row) for row in found[:size]], older, None))


class _ActView(OperatorView):
    act = ""

    def _do(self, request: Request, job_id: str) -> Response:
        number = params.row_id(job_id)
        done = act_on(number, self.act, request=request._request)
        if done is None:
            raise not_found()
        if not done:
            raise Problem(409, "This job has not failed (any more): nothing was done.")
        return Response({"id": number, "act": self.act})


class RetryJobView(_ActView):
    act = "retry"

    @shapes.describe(
        "Try a failed job again", JobActShape, tag=TAG, problems=NOT_FAILED,
        detail="It goes on where it stopped; a worker takes it within seconds. Audited.",
    )  # fmt: skip
    def post(self, request: Request, job_id: str) -> Response:
        return self._do(request, job_id)


class DiscardJobView(_ActView):
    act = "discard"

    @shapes.describe(
        "Put a failed job aside", JobActShape, tag=TAG, problems=NOT_FAILED,
        detail="It rests as cancelled, and nobody is told of it any more. Audited.",
    )  # fmt: skip
    def post(self, request: Request, job_id: str) -> Response:
        return self._do(request, job_id)


def _json(row: FailedJob) -> dict[str, Any]:
    return asdict(row) | {"project": row.project or None}
