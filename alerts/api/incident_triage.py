"""REST: triage of an incident, its responses one by one and blind, and the decision."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import triaging
from alerts.api.incident_base import MOVED, TAG, IncidentPartView, told
from alerts.api.incident_views import NUMBER
from alerts.api.views import problem_of
from alerts.incidents.types import NOTE_MAX, NotThere, Verdict
from alerts.read.incidents import IncidentRow
from alerts.read.triage import BEFORE, CONTROL, FLAGGED, VERDICTS, Deal, Drawn, get_deal
from alerts.stats.triage import Arm, Range
from alerts.triaging import ITEM_NOTE_MAX, TakenBy
from evals.judges.material import Material
from evals.read.material import load_materials
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from telltale.rest import params, shapes
from telltale.rest.batch import items_of
from telltale.rest.body import checked
from telltale.rest.problems import bad_field

ORIGINS = (FLAGGED, CONTROL, BEFORE)
TEXT_MAX = 20_000
VERDICTS_MOST = 100
POSITION = OpenApiParameter("position", OpenApiTypes.STR, OpenApiParameter.PATH, description="Its place in the deal.")


class TriageRangeShape(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True, help_text="Null: only the limits are known.")
    low = serializers.FloatField(help_text="Of the 95 % interval.")
    high = serializers.FloatField()


class TriageArmShape(serializers.Serializer[Any]):
    dealt = serializers.IntegerField()
    real = serializers.IntegerField()
    false = serializers.IntegerField()
    unsure = serializers.IntegerField()
    left = serializers.IntegerField()
    real_share = TriageRangeShape(allow_null=True, help_text="Of those called real or false.")


class TriageStretchShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    responses = serializers.IntegerField()
    flagged = serializers.IntegerField()
    flagged_share = serializers.FloatField(allow_null=True, help_text="Weighted to all traffic.")


class TriageItemShape(serializers.Serializer[Any]):
    position = serializers.IntegerField()
    verdict = serializers.ChoiceField(VERDICTS, allow_null=True)
    by = serializers.CharField(help_text="Who said it; empty: nobody, or a key.")
    note = serializers.CharField()
    held_by = serializers.CharField(help_text="Who has it on the screen now.")
    question = serializers.CharField(help_text=f"Cut to {TEXT_MAX:,} characters; empty: none is stored.")
    answer = serializers.CharField()
    is_gone = serializers.BooleanField(help_text="Its trace is not stored any more.")
    origin = serializers.ChoiceField(ORIGINS, allow_null=True, help_text="Null until all are looked at or decided.")
    trace_id = serializers.CharField(allow_null=True, help_text="Null until all are looked at or decided.")
    span_id = serializers.CharField(allow_null=True)


class TriageShape(serializers.Serializer[Any]):
    is_dealt = serializers.BooleanField()
    verdict = serializers.ChoiceField(tuple(Verdict), allow_null=True, help_text="What people decided.")
    flagged_words = serializers.CharField(help_text="What flagged responses have in common.")
    lacking = serializers.CharField(help_text="Why there is little or nothing to look at.")
    left = serializers.IntegerField()
    suggestion = serializers.ChoiceField(tuple(Verdict), allow_null=True, help_text="A machine's; a person decides.")
    why = serializers.CharField()
    now = TriageStretchShape(allow_null=True)
    before = TriageStretchShape(allow_null=True)
    flagged = TriageArmShape(allow_null=True)
    control = TriageArmShape(allow_null=True)
    flagged_before = TriageArmShape(allow_null=True)
    real_now = TriageRangeShape(allow_null=True, help_text="Flagged share times its real part, of all responses.")
    real_before = TriageRangeShape(allow_null=True)
    rise = TriageRangeShape(allow_null=True)
    items = TriageItemShape(many=True)


class TriageVerdictBody(serializers.Serializer[Any]):
    position = serializers.IntegerField(min_value=1, max_value=32_767)
    verdict = serializers.ChoiceField(VERDICTS)
    note = serializers.CharField(required=False, allow_blank=True, max_length=ITEM_NOTE_MAX)


class TriageVerdictsBody(serializers.Serializer[Any]):
    verdicts = TriageVerdictBody(many=True, help_text=f"1 to {VERDICTS_MOST}; each is taken or refused by itself.")


class TriageVerdictRowShape(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="Its place in the request.")
    accepted = serializers.BooleanField()
    detail = serializers.CharField(help_text="Why it was not taken.")


class TriageVerdictsShape(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField()
    left = serializers.IntegerField(help_text="Responses nobody said anything of.")
    rows = TriageVerdictRowShape(many=True)


class TriageConclusionBody(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(tuple(Verdict))
    note = serializers.CharField(
        required=False, allow_blank=True, max_length=NOTE_MAX,
        help_text="Needed where fewer than 10 flagged responses are decided.",
    )  # fmt: skip
    of_version = serializers.IntegerField(required=False, min_value=0, help_text="Refused where it is another by now.")


class _Triage(IncidentPartView):
    def shown(self, row: IncidentRow) -> dict[str, Any]:
        """The triage of an incident as JSON."""
        found = get_deal(row.id, row.round, clock.now())
        body: dict[str, Any] = {
            "is_dealt": found is not None, "verdict": row.verdict or None, "flagged_words": "", "lacking": "",
            "left": 0, "suggestion": None, "why": "", "now": None, "before": None, "flagged": None, "control": None,
            "flagged_before": None, "real_now": None, "real_before": None, "rise": None, "items": [],
        }  # fmt: skip
        if found is None:
            return body
        weighed = found.weigh()
        targets = [(item.trace_id, item.span_id or 0) for item in found.items]
        # A call that says nothing by itself is shown by its whole trace.
        held = load_materials(self.project.pk, [*targets, *((trace_id, 0) for trace_id, _ in targets)])
        return body | {
            "flagged_words": found.words, "lacking": found.lacking, "left": found.left,
            "suggestion": weighed.suggestion or None, "why": weighed.why, "now": _stretch(found.now),
            "before": _stretch(found.before), "flagged": _arm(found.arm(FLAGGED), weighed.confirmed),
            "control": _arm(found.arm(CONTROL), weighed.missed),
            "flagged_before": _arm(found.arm(BEFORE), weighed.confirmed_before), "real_now": _range(weighed.rate_now),
            "real_before": _range(weighed.rate_before), "rise": _range(weighed.rise),
            "items": _items(found, held),
        }  # fmt: skip


class TriageView(_Triage):
    acts = {"GET": "read", "POST": "review"}

    @shapes.describe(
        "Read triage", TriageShape, tag=TAG, path=(NUMBER,),
        detail="The responses that were dealt, with what people said of them. Which were flagged is not told before "
        "all are looked at, so that nobody judges by it.",
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        return Response(self.shown(self.incident(number)))

    @shapes.describe(
        "Deal responses", TriageShape, tag=TAG, path=(NUMBER,), problems=MOVED,
        detail="Twenty flagged responses at random among as many others. What was dealt stays; it is filled up where "
        "more came since.",
    )  # fmt: skip
    def post(self, request: Request, number: str) -> Response:
        row = self.incident(number)
        with told():
            triaging.deal(self.project, row.number, user=self.person, request=self.http, actor=self.actor)
        return Response(self.shown(self.incident(number)))


class TriageVerdictsView(IncidentPartView):
    acts = {"PUT": "review"}

    @shapes.describe(
        "Say verdicts", TriageVerdictsShape, tag=TAG, path=(NUMBER,), body=TriageVerdictsBody, problems=MOVED,
        detail="real: a failure that a user met; false: nothing wrong with it; unsure. What another said before stays, "
        "and its row says so.",
    )  # fmt: skip
    def put(self, request: Request, number: str) -> Response:
        row = self.incident(number)
        rows: list[dict[str, Any]] = []
        for at, raw in enumerate(items_of(request.data, "verdicts", VERDICTS_MOST)):
            words = _refusal(raw)
            if not words:
                words = self._say(row, raw)
            rows.append({"index": at, "accepted": not words, "detail": words})
        found = get_deal(row.id, row.round, clock.now())
        accepted = sum(each["accepted"] for each in rows)
        left = found.left if found is not None else 0
        return Response({"accepted": accepted, "refused": len(rows) - accepted, "left": left, "rows": rows})

    def _say(self, row: IncidentRow, raw: dict[str, Any]) -> str:
        """Why a verdict was not taken; "" where it was."""
        with told():
            try:
                triaging.say(
                    self.project, row.number, raw["position"], raw["verdict"], user=self.person, key_id=self.key_id,
                    note=raw.get("note"),
                )  # fmt: skip
            except NotThere:
                return "position: there is no such response"
            except TakenBy as taken:
                return f"{taken.who} said it before: {taken.verdict}. That stays."
            except ItemRefused as refused:
                return problem_of(refused).message
        return ""


class TriageVerdictView(IncidentPartView):
    acts = {"DELETE": "review"}

    @shapes.describe(
        "Take back a verdict", None, tag=TAG, status=204, path=(NUMBER, POSITION), problems=MOVED,
        detail="One's own alone.",
    )  # fmt: skip
    def delete(self, request: Request, number: str, position: str) -> Response:
        row = self.incident(number)
        with told():
            triaging.take_back(self.project, row.number, params.row_id(position), user=self.person, key_id=self.key_id)
        return Response(status=204)


class TriageConclusionView(_Triage):
    acts = {"POST": "review"}

    @shapes.describe(
        "Decide real or false alarm", TriageShape, tag=TAG, path=(NUMBER,), body=TriageConclusionBody, problems=MOVED,
        detail="A real one goes on to scope. A false alarm closes the incident and counts in the record of its "
        "monitors.",
    )  # fmt: skip
    def post(self, request: Request, number: str) -> Response:
        row = self.incident(number)
        body = checked(TriageConclusionBody, request)
        with told():
            triaging.conclude(
                self.project, row.number, body["verdict"], body.get("note", ""), user=self.person, request=self.http,
                actor=self.actor, version=body.get("of_version"),
            )  # fmt: skip
        return Response(self.shown(self.incident(number)))


def _refusal(raw: Any) -> str:
    """What is wrong with one verdict before it is looked at; "" where nothing is."""
    if not isinstance(raw, dict):
        raise bad_field("verdicts", "holds what is no object", limit="objects with position and verdict", value=raw)
    form = TriageVerdictBody(data=raw)
    unknown = sorted(str(key) for key in set(raw) - set(form.fields))
    if unknown:
        return f"{unknown[0][:80]!r} is an unknown field"
    if form.is_valid():
        raw.update(form.validated_data)
        return ""
    return "; ".join(f"{name}: {' '.join(map(str, errors))}" for name, errors in form.errors.items())[:400]


def _items(found: Deal, held: dict[Any, Material]) -> list[dict[str, Any]]:
    rows = []
    for item in found.items:
        material = held.get((item.trace_id, item.span_id or 0)) or held.get((item.trace_id, 0))
        is_open = found.is_open
        rows.append(
            {
                "position": item.position, "verdict": item.verdict or None, "by": item.who, "note": item.note,
                "held_by": item.held_by, "question": (material.question if material else "")[:TEXT_MAX],
                "answer": (material.answer if material else "")[:TEXT_MAX], "is_gone": material is None,
                "origin": item.origin if is_open else None, "trace_id": item.hex_id if is_open else None,
                "span_id": f"{item.span_id & (2**64 - 1):016x}" if is_open and item.span_id else None,
            }
        )  # fmt: skip
    return rows


def _stretch(drawn: Drawn) -> dict[str, Any]:
    return {
        "start": _iso(drawn.start), "end": _iso(drawn.end), "responses": drawn.n, "flagged": drawn.flagged,
        "flagged_share": drawn.share,
    }  # fmt: skip


def _arm(arm: Arm, part: Range | None) -> dict[str, Any]:
    return {
        "dealt": arm.dealt, "real": arm.real, "false": arm.false, "unsure": arm.unsure, "left": arm.left,
        "real_share": _range(part),
    }  # fmt: skip


def _range(part: Range | None) -> dict[str, Any] | None:
    return None if part is None else {"value": part.value, "low": part.low, "high": part.high}


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
