"""REST: what is stored of each kind, for how long, and what the sweeps removed."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects import keeping
from telltale.rest import shapes
from telltale.rest.views import ProjectView
from telltale.web.keeping.sweeping import ask_sweep
from telltale.web.keeping.view import kind_json, proof_json, read_kinds

TAG = "Retention"


class SweepShape(serializers.Serializer[Any]):
    at = serializers.DateTimeField(allow_null=True)
    rows_removed_that_day = serializers.IntegerField()
    bytes_removed_that_day = serializers.IntegerField()
    cutoff_at = serializers.DateTimeField(help_text="What began before it is past its days.")
    oldest_left_at = serializers.DateTimeField(allow_null=True, help_text="Null: nothing is left.")
    reason = serializers.CharField(allow_blank=True)


class KeptKindShape(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(keeping.SIZED)
    kept_days = serializers.IntegerField(allow_null=True, help_text="Null: until the project is deleted.")
    rows = serializers.IntegerField(allow_null=True, help_text="Null: not measured yet.")
    bytes = serializers.IntegerField(allow_null=True, help_text="On disk, indexes included.")
    is_sampled = serializers.BooleanField(help_text="Whether large tables were counted in a sample of their pages.")
    bytes_a_day = serializers.IntegerField(allow_null=True, help_text="Of the last seven full days.")
    levels_off_at_bytes = serializers.IntegerField(allow_null=True)
    measured_at = serializers.DateTimeField(allow_null=True)
    last_sweep = SweepShape(allow_null=True)
    standing = serializers.ChoiceField(("none", "due", "ok", "working", "late"))


class ProofShape(serializers.Serializer[Any]):
    day = serializers.DateField()
    kind = serializers.ChoiceField(keeping.KINDS)
    runs = serializers.IntegerField()
    rows_removed = serializers.IntegerField()
    bytes_removed = serializers.IntegerField()
    cutoff_at = serializers.DateTimeField()
    oldest_left_at = serializers.DateTimeField(allow_null=True)
    is_done = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)


class RetentionShape(serializers.Serializer[Any]):
    kinds = KeptKindShape(many=True)
    proofs = ProofShape(many=True, help_text="Days on which something went, or a sweep did not end; newest first.")


class AskedShape(serializers.Serializer[Any]):
    asked = serializers.BooleanField()


class RetentionView(ProjectView):
    acts = {"GET": "read"}

    @shapes.describe("What is stored and for how long", RetentionShape, tag=TAG)
    def get(self, request: Request) -> Response:
        kinds = [kind_json(row) for row in read_kinds(self.project, clock.now())]
        return Response({"kinds": kinds, "proofs": [proof_json(row) for row in keeping.read_proofs(self.project)]})


class SweepView(ProjectView):
    acts = {"POST": "settings"}

    @shapes.describe("Have sweeps run now", AskedShape, tag=TAG, status=202, detail="They run each hour by themselves.")
    def post(self, request: Request) -> Response:
        ask_sweep()
        record_in(self.project, "retention.sweep", self.project.slug, request=self.http)
        return Response({"asked": True}, status=202)
