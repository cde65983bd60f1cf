"""REST: connections to models, and the limits of judging."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals import setup
from evals.api.refusals import told
from evals.calling.kinds import KINDS
from evals.read import setup as read
from evals.read.setup import ConnectionView
from evals.setup.connections import AT_A_TIME_MAX, CALLS_A_MINUTE_MAX, TIMEOUT_MAX, TIMEOUT_MIN
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import bad_field, not_found
from telltale.rest.views import ProjectView

CONNECTION_ID = OpenApiParameter(
    "connection_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The connection's id."
)
MILLION = 1_000_000
# A price a token in pico-dollars is a price per million tokens in micro-dollars: six decimals, exactly.
PRICES = {"input_usd_per_million": "input_pico", "output_usd_per_million": "output_pico"}
SPELLED = {pico: usd for usd, pico in PRICES.items()}


class ConnectionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    base_url = serializers.CharField()
    key_hint = serializers.CharField(allow_null=True, help_text="The end of the key; null where there is none.")
    timeout_seconds = serializers.FloatField()
    calls_a_minute = serializers.IntegerField(allow_null=True)
    at_a_time = serializers.IntegerField()
    input_usd_per_million = serializers.CharField(allow_null=True, help_text="Null: the price book is asked.")
    output_usd_per_million = serializers.CharField(allow_null=True)
    is_stand_in = serializers.BooleanField(help_text="It is no real model.")
    paused_until = serializers.DateTimeField(allow_null=True)
    paused_reason = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class ConnectionsShape(serializers.Serializer[Any]):
    items = ConnectionShape(many=True)


class ConnectionChange(serializers.Serializer[Any]):
    name = serializers.CharField(required=False)
    kind = serializers.ChoiceField(choices=KINDS, required=False)
    base_url = serializers.CharField(required=False, help_text="Up to and with the version, https://…/v1.")
    key = serializers.CharField(
        required=False, allow_blank=True, help_text="Kept encrypted, never shown; empty forgets it; another host does."
    )
    timeout_seconds = serializers.FloatField(required=False, min_value=TIMEOUT_MIN, max_value=TIMEOUT_MAX)
    calls_a_minute = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=CALLS_A_MINUTE_MAX
    )
    at_a_time = serializers.IntegerField(required=False, min_value=1, max_value=AT_A_TIME_MAX)
    input_usd_per_million = serializers.DecimalField(18, 6, required=False, allow_null=True, min_value=0)
    output_usd_per_million = serializers.DecimalField(18, 6, required=False, allow_null=True, min_value=0)
    is_stand_in = serializers.BooleanField(required=False)
    is_archived = serializers.BooleanField(required=False)


class ConnectionBody(ConnectionChange):
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    base_url = serializers.CharField(help_text="Up to and with the version, https://…/v1.")
    is_archived = None  # type: ignore[assignment]


class ConnectionTestBody(serializers.Serializer[Any]):
    model = serializers.CharField(max_length=200)


class ConnectionTestedShape(serializers.Serializer[Any]):
    is_ok = serializers.BooleanField()
    message = serializers.CharField()
    text = serializers.CharField(help_text="The model's answer, cut.")
    model = serializers.CharField()
    duration_ms = serializers.FloatField(allow_null=True)
    cost_usd = serializers.CharField(allow_null=True)


class EvaluationShape(serializers.Serializer[Any]):
    budget_usd_day = serializers.CharField(allow_null=True, help_text="Of all judges, a day of the project's zone.")
    budget_calls_day = serializers.IntegerField(allow_null=True)
    settle_seconds = serializers.IntegerField(help_text="A trace is looked at when nothing of it came for so long.")


class EvaluationChange(serializers.Serializer[Any]):
    budget_usd_day = serializers.DecimalField(18, 12, required=False, allow_null=True, min_value=0)
    budget_calls_day = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    settle_seconds = serializers.IntegerField(required=False, min_value=1, max_value=3600)


def fields_of(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a connection as `evals.setup` takes them."""
    values = {name: value for name, value in body.items() if name not in PRICES and name != "is_archived"}
    for usd, pico in PRICES.items():
        if usd in body:
            values[pico] = None if body[usd] is None else int(body[usd] * MILLION)
    return values


class ConnectionsView(ProjectView):
    acts = {"GET": "read", "POST": "connect"}

    @shapes.describe("List connections to models", ConnectionsShape, tag="Judges")
    def get(self, request: Request) -> Response:
        found = read.list_connections(self.project.pk, with_archived=True)
        return Response({"items": [connection_json(each) for each in found]})

    @shapes.describe("Add a connection to a model", ConnectionShape, tag="Judges", body=ConnectionBody, status=201)
    def post(self, request: Request) -> Response:
        body = checked(ConnectionBody, request)
        with told(SPELLED):
            made = setup.add_connection(self.project, **fields_of(body), by_id=self.person_id, request=self.http)
        return Response(connection_json(made), status=201)


class OneConnectionView(ProjectView):
    acts = {"GET": "read", "PATCH": "connect"}

    @shapes.describe("One connection to a model", ConnectionShape, tag="Judges", path=(CONNECTION_ID,))
    def get(self, request: Request, connection_id: str) -> Response:
        return Response(connection_json(self._find(connection_id)))

    @shapes.describe(
        "Change a connection to a model",
        ConnectionShape,
        tag="Judges",
        path=(CONNECTION_ID,),
        body=ConnectionChange,
        detail="Putting it away (`is_archived`) forgets its key, and is refused while a judge in production uses it.",
    )
    def patch(self, request: Request, connection_id: str) -> Response:
        view = self._find(connection_id)
        body = checked(ConnectionChange, request)
        if not body:
            raise bad_field("name", "or another field is required: there is nothing to change")
        with told(SPELLED | {"connection": "is_archived"}), transaction.atomic():
            if values := fields_of(body):
                setup.change_connection(self.project, view.id, request=self.http, **values)
            if "is_archived" in body:
                setup.archive_connection(
                    self.project, view.id, is_archived=body["is_archived"], request=self.http
                )  # fmt: skip
        return Response(connection_json(self._find(connection_id)))

    def _find(self, connection_id: str) -> ConnectionView:
        found = read.get_connection(self.project.pk, params.row_id(connection_id))
        if found is None:
            raise not_found()
        return found


class ConnectionTestView(ProjectView):
    acts = {"POST": "connect"}

    @shapes.describe(
        "Test a connection to a model",
        ConnectionTestedShape,
        tag="Judges",
        path=(CONNECTION_ID,),
        body=ConnectionTestBody,
        detail="One short call, at most 20 s; what came of it is the answer.",
    )
    def post(self, request: Request, connection_id: str) -> Response:
        number = params.row_id(connection_id)
        if read.get_connection(self.project.pk, number) is None:
            raise not_found()
        with told():
            tested = setup.try_connection(
                self.project, number, checked(ConnectionTestBody, request)["model"], request=self.http
            )  # fmt: skip
        return Response(
            {
                "is_ok": tested.is_ok,
                "message": tested.message,
                "text": tested.text,
                "model": tested.model,
                "duration_ms": tested.duration_ms,
                "cost_usd": form.usd(tested.cost_pico),
            }
        )


class EvaluationView(ProjectView):
    acts = {"GET": "read", "PATCH": "connect"}

    @shapes.describe("The limits of judging", EvaluationShape, tag="Judges")
    def get(self, request: Request) -> Response:
        return Response(evaluation_json(setup.settings_for(self.project.pk)))

    @shapes.describe(
        "Change the limits of judging",
        EvaluationShape,
        tag="Judges",
        body=EvaluationChange,
        detail="A null budget is no limit. The gate's values are at /api/v1/calibrations/gate.",
    )
    def patch(self, request: Request) -> Response:
        body = checked(EvaluationChange, request)
        if not body:
            raise bad_field("budget_usd_day", "or another field is required: there is nothing to change")
        values = {name: value for name, value in body.items() if name != "budget_usd_day"}
        if "budget_usd_day" in body:
            usd = body["budget_usd_day"]
            values["budget_pico_day"] = None if usd is None else int(usd * form.PICO)
        with told():
            return Response(evaluation_json(setup.save_settings(self.project, request=self.http, **values)))


def evaluation_json(held: read.SettingsView) -> dict[str, Any]:
    """The limits as REST shows them."""
    return {
        "budget_usd_day": form.usd(held.budget_pico_day),
        "budget_calls_day": held.budget_calls_day,
        "settle_seconds": held.settle_seconds,
    }


def connection_json(view: ConnectionView) -> dict[str, Any]:
    """A connection as REST shows it."""
    return {
        "id": str(view.id),
        "name": view.name,
        "kind": view.kind,
        "base_url": view.base_url,
        "key_hint": view.key_hint or None,
        "timeout_seconds": view.timeout_seconds,
        "calls_a_minute": view.calls_a_minute,
        "at_a_time": view.at_a_time,
        "input_usd_per_million": form.usd_per_million(view.input_pico),
        "output_usd_per_million": form.usd_per_million(view.output_pico),
        "is_stand_in": view.is_stand_in,
        "paused_until": form.moment(view.paused_until),
        "paused_reason": view.paused_reason or None,
        "created_at": form.moment(view.created_at),
        "archived_at": form.moment(view.archived_at),
    }
