"""REST: failing cases of an incident, the experiment over them, and closing it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import closing, learning
from alerts.api.incident_base import MOVED, TAG, IncidentPartView, told
from alerts.api.incident_views import NUMBER
from alerts.incidents.types import NOTE_MAX, State
from alerts.read.cases import list_cases, list_tried
from alerts.read.incidents import IncidentRow
from telltale.rest import shapes
from telltale.rest.body import checked

WHY = ("real", "flagged", "kept")


class IncidentCaseShape(serializers.Serializer[Any]):
    case = serializers.CharField(help_text="Its name: the trace's 32 hex digits, and : with 16 of a call.")
    trace_id = serializers.CharField()
    why = serializers.ChoiceField(
        WHY, help_text="real: people said so in triage; flagged: the monitor did; kept: it is in a dataset."
    )
    by = serializers.CharField(help_text="Who called it real.")
    pi = serializers.FloatField(allow_null=True, help_text="The chance it had to be dealt, of all traffic.")
    question = serializers.CharField(help_text="The beginning of what was asked.")
    answer = serializers.CharField()
    datasets = serializers.ListField(child=serializers.CharField(), help_text="Those that hold it for this incident.")
    is_gone = serializers.BooleanField(help_text="Its trace is not stored any more.")


class IncidentTriedShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    dataset = serializers.CharField()
    answered = serializers.IntegerField(help_text="Cases of the incident that it has an answer to.")
    lacking = serializers.CharField(help_text="Why it does not count; empty: it does.")
    is_recorded = serializers.BooleanField()


class IncidentCasesShape(serializers.Serializer[Any]):
    cases = IncidentCaseShape(many=True)
    experiments = IncidentTriedShape(many=True)


class IncidentCasesBody(serializers.Serializer[Any]):
    cases = serializers.ListField(
        child=serializers.CharField(max_length=64), help_text=f"1 to {learning.CASES_MOST} names of cases."
    )
    dataset = serializers.CharField(
        required=False, allow_blank=True, max_length=60, help_text="The slug of a dataset that is there."
    )
    name = serializers.CharField(
        required=False, allow_blank=True, max_length=120, help_text="Or the name of a new one."
    )


class IncidentCasesAddedShape(serializers.Serializer[Any]):
    dataset = serializers.CharField()
    version = serializers.IntegerField(help_text="Of the dataset, with the cases in it.")
    added = serializers.IntegerField()
    known = serializers.IntegerField(help_text="Those that were in it for this incident.")
    gone = serializers.IntegerField(help_text="Those whose trace says nothing any more.")


class IncidentExperimentBody(serializers.Serializer[Any]):
    experiment = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


class IncidentConditionShape(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="decided, scope, cases, experiment or recovered.")
    words = serializers.CharField()
    detail = serializers.CharField(help_text="How far it is.")
    is_met = serializers.BooleanField()
    is_required = serializers.BooleanField(help_text="False: a warning that keeps nothing open.")


class IncidentCloseShape(serializers.Serializer[Any]):
    is_closed = serializers.BooleanField()
    closed_at = serializers.DateTimeField(allow_null=True)
    override_reason = serializers.CharField()
    conditions = IncidentConditionShape(many=True)


class IncidentCloseBody(serializers.Serializer[Any]):
    override_reason = serializers.CharField(
        required=False, allow_blank=True, max_length=NOTE_MAX,
        help_text="Closes it although conditions are not met: administrators, keys of scope admin.",
    )  # fmt: skip
    of_version = serializers.IntegerField(required=False, min_value=0, help_text="Refused where it is another by now.")


class CasesView(IncidentPartView):
    acts = {"GET": "read", "POST": "review"}

    @shapes.describe(
        "List failing cases", IncidentCasesShape, tag=TAG, path=(NUMBER,),
        detail="Those people called real first, then flagged ones nobody decided; none of those that were dealt before "
        "all are looked at or decided. And the experiments over the datasets that hold them.",
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        return Response(self._shown(self.incident(number)))

    @shapes.describe(
        "Add failing cases to a dataset", IncidentCasesAddedShape, tag=TAG, path=(NUMBER,), body=IncidentCasesBody,
        problems=MOVED,
        detail="Each becomes an item with its question, the answer that failed beside it, its origin and the chance it "
        "had to be dealt. One of `dataset` and `name`.",
    )  # fmt: skip
    def post(self, request: Request, number: str) -> Response:
        row = self.incident(number)
        body = checked(IncidentCasesBody, request)
        with told():
            wanted = [learning.read_ref(each) for each in body["cases"][: learning.CASES_MOST + 1]]
            added = learning.add_cases(
                self.project, row.number, wanted, dataset=body.get("dataset", ""), name=body.get("name", "").strip(),
                user=self.person, request=self.http, actor=self.actor,
            )  # fmt: skip
        return Response(
            {
                "dataset": added.dataset_slug, "version": added.version, "added": added.added, "known": added.known,
                "gone": added.gone,
            }
        )  # fmt: skip

    def _shown(self, row: IncidentRow) -> dict[str, Any]:
        kept = [each for each in list_cases(self.project.pk, row.id) if each.is_kept]
        tried = list_tried(self.project.pk, kept, closing.began_of(row)) if kept else []
        return {
            "cases": [
                {
                    "case": each.ref, "trace_id": each.trace_id.hex, "why": each.why, "by": each.who, "pi": each.pi,
                    "question": each.question, "answer": each.answer, "datasets": list(each.datasets),
                    "is_gone": each.is_gone,
                }
                for each in learning.candidates(self.project.pk, row)
            ],
            "experiments": [
                {
                    "id": each.row.id, "name": each.row.name, "dataset": each.row.dataset_slug,
                    "answered": each.covers, "lacking": each.lacking,
                    "is_recorded": each.row.id == row.experiment_id,
                }
                for each in tried
            ],
        }  # fmt: skip


class IncidentExperimentView(IncidentPartView):
    acts = {"PUT": "review"}

    @shapes.describe(
        "Record the experiment over the cases", IncidentCloseShape, tag=TAG, path=(NUMBER,),
        body=IncidentExperimentBody, problems=MOVED,
        detail="A done experiment over a dataset that holds the cases. Answers what closing needs.",
    )  # fmt: skip
    def put(self, request: Request, number: str) -> Response:
        row = self.incident(number)
        body = checked(IncidentExperimentBody, request)
        with told():
            learning.record_experiment(
                self.project, row.number, body["experiment"], user=self.person, request=self.http, actor=self.actor
            )
        return Response(close_json(self.project.pk, self.incident(number)))


class CloseView(IncidentPartView):
    acts = {"GET": "read", "POST": "review"}

    @shapes.describe(
        "What closing needs", IncidentCloseShape, tag=TAG, path=(NUMBER,),
        detail="A person decided, the scope is written, failing cases are in a dataset, and one experiment over them "
        "is recorded. A series still outside its limits is a warning.",
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        return Response(close_json(self.project.pk, self.incident(number)))

    @shapes.describe(
        "Close an incident", IncidentCloseShape, tag=TAG, path=(NUMBER,), body=IncidentCloseBody,
        problems={409: "A condition is not met: `errors` names each. Or somebody changed it meanwhile."},
        detail="Refused until every condition is met. Closing what is closed changes nothing.",
    )  # fmt: skip
    def post(self, request: Request, number: str) -> Response:
        row = self.incident(number)
        body = checked(IncidentCloseBody, request)
        with told():
            closing.close(
                self.project, row.number, override_reason=body.get("override_reason", ""),
                may_override=self.may_override, user=self.person, request=self.http, actor=self.actor,
                version=body.get("of_version"),
            )  # fmt: skip
        return Response(close_json(self.project.pk, self.incident(number)))


def close_json(project_id: int, row: IncidentRow) -> dict[str, Any]:
    """What closing an incident needs, and whether it is closed."""
    return {
        "is_closed": row.state == State.RESOLVED,
        "closed_at": None if row.closed_at is None else _iso(row.closed_at),
        "override_reason": row.override_reason,
        "conditions": [
            {
                "key": each.key, "words": each.words, "detail": each.detail, "is_met": each.is_met,
                "is_required": each.is_required,
            }
            for each in closing.conditions(project_id, row)
        ],
    }  # fmt: skip


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
