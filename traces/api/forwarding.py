"""REST: where accepted spans are sent on to."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces import forwarding, sending
from traces.forwarding import TargetRefused, TargetView, Wanted

TARGET_ID = OpenApiParameter("target_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The target's id.")
STATES = ("new", "idle", "sending", "waiting", "failing", "paused")


class TargetShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    url = serializers.CharField()
    headers = serializers.DictField(
        child=serializers.CharField(), help_text="Names with the end of each value; values are never shown."
    )
    with_content = serializers.BooleanField()
    is_paused = serializers.BooleanField()
    state = serializers.ChoiceField(choices=STATES)
    queued_spans = serializers.IntegerField()
    lag_seconds = serializers.FloatField(allow_null=True, help_text="How long the oldest waiting span has waited.")
    sent_spans = serializers.IntegerField()
    refused_spans = serializers.IntegerField(help_text="By the target; not sent again.")
    dropped_spans = serializers.DictField(
        child=serializers.IntegerField(), help_text="By reason: too_old, queue_full, gone."
    )
    failures = serializers.IntegerField(help_text="Attempts in a row that failed.")
    failing_since = serializers.DateTimeField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(allow_null=True)
    last_error_at = serializers.DateTimeField(allow_null=True)
    last_sent_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class TargetsShape(serializers.Serializer[Any]):
    items = TargetShape(many=True)


class TargetBody(serializers.Serializer[Any]):
    name = serializers.CharField()
    url = serializers.CharField(help_text="https://…; a bare host gets /v1/traces.")
    headers = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False),
        required=False,
        help_text="Sent with each request; kept encrypted, never shown again.",
    )
    with_content = serializers.BooleanField(required=False, default=True)


class TargetChange(serializers.Serializer[Any]):
    name = serializers.CharField(required=False)
    url = serializers.CharField(required=False)
    headers = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False),
        required=False,
        help_text="All of them anew; absent: as they are, unless the host changes, which clears them.",
    )
    with_content = serializers.BooleanField(required=False)
    is_paused = serializers.BooleanField(required=False)


class TestedShape(serializers.Serializer[Any]):
    is_accepted = serializers.BooleanField()
    message = serializers.CharField()
    trace_id = serializers.CharField()


class TargetsView(ProjectView):
    acts = {"GET": "read", "POST": "forward"}

    @shapes.describe("The targets of forwarding", TargetsShape, tag="Forwarding")
    def get(self, request: Request) -> Response:
        return Response({"items": [target_json(target) for target in forwarding.list_targets(self.project.pk)]})

    @shapes.describe(
        "Send accepted spans on to a target",
        TargetShape,
        tag="Forwarding",
        status=201,
        body=TargetBody,
        detail="Spans accepted from about now on (5 s) are sent, protobuf and gzip, with their own ids.",
    )
    def post(self, request: Request) -> Response:
        told = checked(TargetBody, request)
        wanted = Wanted(told["name"], told["url"], told.get("headers", {}), told["with_content"])
        try:
            target = forwarding.add_target(self.project, wanted, by_id=self.person_id, request=self.http)
        except TargetRefused as refused:
            raise _problem(refused) from None
        return Response(target_json(target), status=201)


class OneTargetView(ProjectView):
    acts = {"GET": "read", "PATCH": "forward", "DELETE": "forward"}

    @shapes.describe("One target of forwarding", TargetShape, tag="Forwarding", path=(TARGET_ID,))
    def get(self, request: Request, target_id: str) -> Response:
        return Response(target_json(self._find(target_id)))

    @shapes.describe(
        "Change, pause or resume a target",
        TargetShape,
        tag="Forwarding",
        body=TargetChange,
        path=(TARGET_ID,),
        detail="Resuming one that fails has it tried at once.",
    )
    def patch(self, request: Request, target_id: str) -> Response:
        target: TargetView | None = self._find(target_id)
        told = checked(TargetChange, request)
        if not told:
            raise bad_field("name", "or another field is required: there is nothing to change")
        assert target is not None  # noqa: S101 - found above
        changes = {key: told[key] for key in ("name", "url", "with_content") if key in told}
        try:
            if changes or "headers" in told:
                wanted = Wanted(
                    changes.get("name", target.name),
                    changes.get("url", target.url),
                    told.get("headers"),
                    changes.get("with_content", target.with_content),
                )
                target = forwarding.change_target(self.project, target.id, wanted, request=self.http)
            if target is not None and "is_paused" in told:
                target = forwarding.pause_target(
                    self.project, target.id, is_paused=told["is_paused"], request=self.http
                )
        except TargetRefused as refused:
            raise _problem(refused) from None
        if target is None:
            raise not_found()
        return Response(target_json(target))

    @shapes.describe("Remove a target", None, tag="Forwarding", status=204, path=(TARGET_ID,))
    def delete(self, request: Request, target_id: str) -> Response:
        if not forwarding.remove_target(self.project, params.row_id(target_id), request=self.http):
            raise not_found()
        return Response(status=204)

    def _find(self, target_id: str) -> TargetView:
        target = forwarding.get_target(self.project.pk, params.row_id(target_id))
        if target is None:
            raise not_found()
        return target


class TargetTestView(ProjectView):
    acts = {"POST": "forward"}

    @shapes.describe(
        "Send a test span to a target",
        TestedShape,
        tag="Forwarding",
        path=(TARGET_ID,),
        detail="One span named `telltale forwarding test`; what came of it is the answer, within some seconds.",
    )
    def post(self, request: Request, target_id: str) -> Response:
        tested = sending.send_test(self.project, params.row_id(target_id), request=self.http)
        if tested is None:
            raise not_found()
        return Response({"is_accepted": tested.is_accepted, "message": tested.message, "trace_id": tested.trace_id})


def target_json(target: TargetView) -> dict[str, Any]:
    """A target as REST shows it."""
    return {
        "id": str(target.id),
        "name": target.name,
        "url": target.url,
        "headers": dict(target.headers),
        "with_content": target.with_content,
        "is_paused": target.is_paused,
        "state": target.state,
        "queued_spans": target.queued_spans,
        "lag_seconds": target.lag_seconds,
        "sent_spans": target.sent_spans,
        "refused_spans": target.refused_spans,
        "dropped_spans": dict(target.dropped),
        "failures": target.failures,
        "failing_since": form.moment(target.failing_since),
        "next_at": form.moment(target.next_at),
        "last_error": target.last_error or None,
        "last_error_at": form.moment(target.last_error_at),
        "last_sent_at": form.moment(target.last_sent_at),
        "created_at": form.moment(target.created_at),
    }


def _problem(refused: TargetRefused) -> Problem:
    return Problem(400, str(refused), FieldError(refused.field, refused.message, refused.limit or None))
