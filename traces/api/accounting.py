"""REST: the account of ingest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.lib import clock
from telltale.rest import form, params, shapes
from telltale.rest.problems import bad_field
from telltale.rest.views import ProjectView
from traces.read.accounting import UNITS, Account, Flow, read_account

WINDOW_MAX = timedelta(days=400)


class FlowShape(serializers.Serializer[Any]):
    requests = serializers.IntegerField()
    body_bytes = serializers.IntegerField()
    received = serializers.IntegerField()
    stored = serializers.IntegerField()
    duplicate = serializers.IntegerField(help_text="Stored already when it came.")
    rejected = serializers.IntegerField(help_text="Refused with a reason.")
    dropped = serializers.IntegerField(help_text="Left out by policy.")
    missing = serializers.IntegerField(help_text="Received minus all of the above; anything but 0 is a fault of ours.")
    lag_mean_ms = serializers.FloatField(allow_null=True, help_text="First byte to commit.")
    lag_max_ms = serializers.FloatField(allow_null=True)


class HourShape(FlowShape):
    hour = serializers.DateTimeField()


class KeyFlowShape(FlowShape):
    key_id = serializers.IntegerField()
    source = serializers.ChoiceField(choices=sorted(UNITS))  # type: ignore[assignment]


class SourceFlowShape(FlowShape):
    source = serializers.ChoiceField(choices=sorted(UNITS))  # type: ignore[assignment]
    unit = serializers.CharField()


class ReasonShape(serializers.Serializer[Any]):
    key_id = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    outcome = serializers.CharField(help_text="rejected or dropped")
    reason = serializers.CharField()
    n = serializers.IntegerField()
    last_example = serializers.CharField()
    last_at = serializers.DateTimeField()


class RefusalShape(serializers.Serializer[Any]):
    source = serializers.CharField()  # type: ignore[assignment]
    http_status = serializers.IntegerField()
    reason = serializers.CharField()
    n = serializers.IntegerField()
    last_example = serializers.CharField()
    last_at = serializers.DateTimeField()


class MaskedShape(serializers.Serializer[Any]):
    source = serializers.CharField()  # type: ignore[assignment]
    rule = serializers.CharField(help_text="A kind of secret, the name of an own pattern, or `no content`.")
    n = serializers.IntegerField()
    last_at = serializers.DateTimeField()


class AccountShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField(help_text="The window in whole hours, [start, end).")
    end = serializers.DateTimeField()
    adds_up = serializers.BooleanField()
    unexplained = serializers.IntegerField(
        help_text="Rejected and dropped without a reason; anything but 0 is a fault."
    )
    spans = FlowShape()
    total = FlowShape()
    by_hour = HourShape(many=True)
    by_key = KeyFlowShape(many=True)
    by_source = SourceFlowShape(many=True)
    reasons = ReasonShape(many=True)
    refusals = RefusalShape(many=True)
    masked = MaskedShape(many=True, help_text="What was masked before it was stored, by rule. In no sum above.")


class AccountingView(ProjectView):
    query = {"GET": ("from", "to", "key", "source")}

    @shapes.describe(
        "What was received and what became of it",
        AccountShape,
        tag="Accounting",
        detail="received = stored + duplicate + rejected + dropped, by hour, key and source, over the whole hours that "
        "touch the window (the last 24 h by default). `spans` sums what came as spans; `total` also log records and "
        "metric points.",
        query=(
            shapes.FROM,
            shapes.TO,
            OpenApiParameter(
                "key", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}, description="One key's id."
            ),
            OpenApiParameter("source", OpenApiTypes.STR, enum=sorted(UNITS), description="One source."),
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        now = clock.now()
        start, end = params.window(query, now - timedelta(hours=24), now)
        if end - start > WINDOW_MAX:
            raise bad_field("from", "the window is too long", limit=f"{WINDOW_MAX.days} days", value=str(end - start))
        key_id = params.integer(query, "key", 0, 1, 2**63 - 1) or None
        source = params.choice(query, "source", tuple(UNITS))
        return Response(account_json(read_account(self.project.pk, start, end, key_id=key_id, source=source)))


def account_json(account: Account) -> dict[str, Any]:
    """An account as REST shows it."""
    return {
        "start": form.moment(account.start),
        "end": form.moment(account.end),
        "adds_up": account.is_whole,
        "unexplained": account.unexplained,
        "spans": flow_json(account.spans),
        "total": flow_json(account.total),
        "by_hour": [{"hour": form.moment(row.hour), **flow_json(row.flow)} for row in account.by_hour],
        "by_key": [{"key_id": row.key_id, "source": row.source, **flow_json(row.flow)} for row in account.by_key],
        "by_source": [{"source": row.source, "unit": row.unit, **flow_json(row.flow)} for row in account.by_source],
        "reasons": [
            {
                "key_id": row.key_id,
                "source": row.source,
                "outcome": row.outcome,
                "reason": row.reason,
                "n": row.n,
                "last_example": row.last_example,
                "last_at": form.moment(row.last_at),
            }
            for row in account.reasons
        ],
        "refusals": [
            {
                "source": row.source,
                "http_status": row.http_status,
                "reason": row.reason,
                "n": row.n,
                "last_example": row.last_example,
                "last_at": form.moment(row.last_at),
            }
            for row in account.refusals
        ],
        "masked": [
            {"source": row.source, "rule": row.rule, "n": row.n, "last_at": form.moment(row.last_at)}
            for row in account.masked
        ],
    }


def flow_json(flow: Flow) -> dict[str, Any]:
    """A flow as REST shows it."""
    return {
        "requests": flow.requests,
        "body_bytes": flow.body_bytes,
        "received": flow.received,
        "stored": flow.stored,
        "duplicate": flow.duplicate,
        "rejected": flow.rejected,
        "dropped": flow.dropped,
        "missing": flow.missing,
        "lag_mean_ms": flow.lag_mean_ms,
        "lag_max_ms": flow.lag_max_ms,
    }
