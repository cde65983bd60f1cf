"""REST: judgements with their states, and why a trace was or was not judged."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals.api.judges import JUDGE
from evals.judging.answers import unpack_answer
from evals.pages.runs import PURPOSES, over_limits
from evals.read import setup as read
from evals.read.judgements import (
    STATES,
    JudgementRow,
    counts,
    lag,
    list_judgements,
    read_answer,
    why,
)
from evals.read.runs import get_judgement
from evals.read.setup import JudgeView
from evals.read.spend import day_of, ends_at, used_on
from telltale.lib import clock
from telltale.projects.models import Project
from telltale.rest import form, paging, params, shapes
from telltale.rest.problems import bad_field, not_found
from telltale.rest.views import ProjectView

JUDGEMENT_ID = OpenApiParameter(
    "judgement_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The judgement's id."
)
TRACE_ID = OpenApiParameter("trace_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="32 hex digits.")
QUERY = (
    OpenApiParameter("judge", OpenApiTypes.STR, description="A judge's slug."),
    OpenApiParameter("state", OpenApiTypes.STR, enum=STATES),
    OpenApiParameter("reason", OpenApiTypes.STR, description="Of failures, skips and waiting."),
    OpenApiParameter("is_flagged", OpenApiTypes.BOOL),
    OpenApiParameter("trace_id", OpenApiTypes.STR, description="Of this trace."),
    shapes.LIMIT,
    shapes.CURSOR,
)


class JudgementShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    judge = serializers.CharField()
    judge_version = serializers.IntegerField(allow_null=True)
    target = serializers.ChoiceField(choices=("trace", "span", "result"))
    trace_id = serializers.CharField(allow_null=True)
    span_id = serializers.CharField(allow_null=True)
    purpose = serializers.ChoiceField(choices=tuple(PURPOSES.values()))
    state = serializers.ChoiceField(choices=STATES)
    reason = serializers.CharField(allow_null=True)
    attempts = serializers.IntegerField(help_text="Calls that were answered or lost.")
    inclusion_probability = serializers.FloatField(allow_null=True)
    is_flagged = serializers.BooleanField(allow_null=True)
    flags = serializers.ListField(child=serializers.CharField())
    feature = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    cost_usd = serializers.CharField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    call_trace_id = serializers.CharField(allow_null=True, help_text="The judge's own call, stored as a trace.")
    started_at = serializers.DateTimeField(help_text="Of the target.")
    made_at = serializers.DateTimeField()
    done_at = serializers.DateTimeField(allow_null=True)


JudgementsShape = shapes.page_of(JudgementShape, "JudgementsShape")


class OneJudgementShape(JudgementShape):
    answer = serializers.DictField(
        allow_null=True, help_text="The last answer: text, and verdict or unusable; null where none is kept."
    )


class StateReasonShape(serializers.Serializer[Any]):
    state = serializers.CharField()
    reason = serializers.CharField()
    n = serializers.IntegerField()


class HeldUpShape(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=("paused", "connection", "budget"))
    until = serializers.DateTimeField(allow_null=True)
    words = serializers.CharField()


class JudgeRunsShape(serializers.Serializer[Any]):
    made = serializers.IntegerField(help_text="The sum of the states.")
    states = serializers.DictField(child=serializers.IntegerField())
    reasons = StateReasonShape(many=True)
    calls = serializers.IntegerField()
    cost_usd = serializers.CharField(help_text="Of all calls whose price is known.")
    unpriced_calls = serializers.IntegerField()
    oldest_waiting_at = serializers.DateTimeField(allow_null=True)
    median_seconds = serializers.FloatField(allow_null=True, help_text="From made to done, of the newest.")
    p95_seconds = serializers.FloatField(allow_null=True)
    held_up = HeldUpShape(many=True, help_text="Why nobody is called now; empty while judging goes on.")


class WhyShape(serializers.Serializer[Any]):
    judge = serializers.CharField()
    state = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    words = serializers.CharField()
    inclusion_probability = serializers.FloatField(allow_null=True)
    draw = serializers.FloatField(allow_null=True, help_text="The salted hash in [0, 1).")
    rule = serializers.CharField(allow_null=True)
    plan = serializers.IntegerField(allow_null=True)
    judgement_id = serializers.CharField(allow_null=True)


class WhysShape(serializers.Serializer[Any]):
    items = WhyShape(many=True)


class JudgementsView(ProjectView):
    query = {"GET": ("judge", "state", "reason", "is_flagged", "trace_id", "limit", "cursor")}

    @shapes.describe("List judgements", JudgementsShape, tag="Judges", query=QUERY, detail="Newest first.")
    def get(self, request: Request) -> Response:
        asked = request.query_params
        wanted: dict[str, Any] = {}
        if slug := params.text(asked, "judge"):
            judge = read.get_judge(self.project.pk, slug)
            if judge is None:
                raise bad_field("judge", "is none of this project", value=slug)
            wanted["judge_id"] = judge.id
        wanted["state"] = params.choice(asked, "state", STATES) or None
        wanted["reason"] = params.text(asked, "reason") or None
        wanted["is_flagged"] = params.boolean(asked, "is_flagged")
        if raw := params.text(asked, "trace_id"):
            wanted["target_id"] = params.trace_id(raw)
            if wanted["target_id"] is None:
                raise bad_field("trace_id", "is no trace id", limit="32 hex digits", value=raw)
        position = paging.read_cursor(params.text(asked, "cursor"), int)
        size = params.page_size(asked)
        rows = list_judgements(
            self.project.pk, before=position[0] if position else None, limit=size + 1, **wanted
        )  # fmt: skip
        numbers = numbers_of(self.project.pk)
        items = [judgement_json(row, numbers) for row in rows[:size]]
        following = paging.write_cursor(rows[size - 1].judgement_id) if len(rows) > size else None
        return Response(paging.page(request, items, following, None))


class JudgementView(ProjectView):
    @shapes.describe("One judgement with its answer", OneJudgementShape, tag="Judges", path=(JUDGEMENT_ID,))
    def get(self, request: Request, judgement_id: str) -> Response:
        number = params.row_id(judgement_id)
        row = get_judgement(self.project.pk, number)
        if row is None:
            raise not_found()
        packed = read_answer(self.project.pk, number)
        answer = None if packed is None else unpack_answer(packed)
        return Response(judgement_json(row, numbers_of(self.project.pk)) | {"answer": answer})


class JudgeRunsView(ProjectView):
    query = {"GET": ("from", "to")}

    @shapes.describe(
        "How the judging of a judge goes",
        JudgeRunsShape,
        tag="Judges",
        path=(JUDGE,),
        query=(shapes.FROM, shapes.TO),
        detail="By the whole hour judgements were made in; all of them where no window is given.",
    )
    def get(self, request: Request, judge: str) -> Response:
        view = read.get_judge(self.project.pk, judge)
        if view is None:
            raise not_found()
        start, end = params.moment(request.query_params, "from"), params.moment(request.query_params, "to")
        if start is not None and end is not None and start >= end:
            raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
        made = counts(self.project.pk, judge_id=view.id, start=start, end=end)
        behind = lag(self.project.pk, view.id, [version.id for version in view.versions])
        return Response(
            {
                "made": made.made,
                "states": {state: made.of(state) for state in STATES},
                "reasons": [
                    {"state": state, "reason": reason, "n": n} for (state, reason), n in sorted(made.by_reason.items())
                ],
                "calls": made.calls,
                "cost_usd": form.usd(made.cost_pico),
                "unpriced_calls": made.unpriced_calls,
                "oldest_waiting_at": form.moment(behind.oldest_waiting_at),
                "median_seconds": behind.median_seconds,
                "p95_seconds": behind.p95_seconds,
                "held_up": held_up_json(self.project, view),
            }
        )


class TraceJudgingView(ProjectView):
    @shapes.describe(
        "Why a trace was or was not judged",
        WhysShape,
        tag="Judges",
        path=(TRACE_ID,),
        detail="One item for each judge of models or rules, also for a trace that is not there (yet).",
    )
    def get(self, request: Request, trace_id: str) -> Response:
        found = params.trace_id(trace_id)
        if found is None:
            raise not_found()
        return Response(
            {
                "items": [
                    {
                        "judge": each.judge_slug,
                        "state": each.state or None,
                        "reason": each.reason or None,
                        "words": each.words,
                        "inclusion_probability": each.pi,
                        "draw": each.draw,
                        "rule": each.rule or None,
                        "plan": each.plan_number,
                        "judgement_id": None if each.judgement_id is None else str(each.judgement_id),
                    }
                    for each in why(self.project.pk, found)
                ]
            }
        )


def held_up_json(project: Project, view: JudgeView) -> list[dict[str, Any]]:
    """Why the calls of a judge wait."""
    now, zone = clock.now(), clock.zone_of(project.time_zone)
    found: list[dict[str, Any]] = []
    if view.paused_at is not None:
        found.append({"reason": "paused", "until": None, "words": "Somebody paused the judge."})
    if view.kind != "model":
        return found
    shown = view.live or view.newest
    connection = None if shown.connection_id is None else read.get_connection(project.pk, shown.connection_id)
    if connection is not None and connection.paused_until is not None and connection.paused_until > now:
        words = connection.paused_reason or "The provider asked to wait."
        found.append({"reason": "connection", "until": form.moment(connection.paused_until), "words": words})
    for words in over_limits(read.settings_for(project.pk), used_on(project.pk, day_of(now, zone)), view):
        found.append({"reason": "budget", "until": form.moment(ends_at(now, zone)), "words": f"Used up: {words}."})
    return found


def numbers_of(project_id: int) -> dict[int, tuple[str, int]]:
    """The slug and number of each judge version of a project, by id."""
    return {
        version.id: (judge.slug, version.number)
        for judge in read.list_judges(project_id, with_archived=True)
        for version in judge.versions
    }


def judgement_json(row: JudgementRow, numbers: dict[int, tuple[str, int]]) -> dict[str, Any]:
    """A judgement as REST shows it."""
    slug, number = numbers.get(row.judge_version_id, ("", None))
    is_result = row.target_kind == 4
    return {
        "id": str(row.judgement_id),
        "judge": slug,
        "judge_version": number,
        "target": "result" if is_result else "span" if row.span_id else "trace",
        "trace_id": None if is_result else row.target_id.hex,
        "span_id": form.hex_span(row.span_id) if row.span_id else None,
        "purpose": PURPOSES.get(row.purpose),
        "state": row.state,
        "reason": row.reason or None,
        "attempts": row.attempts,
        "inclusion_probability": row.pi,
        "is_flagged": row.is_flagged,
        "flags": list(row.flags),
        "feature": row.feature or None,
        "model": row.model or None,
        "cost_usd": form.usd(row.cost_pico),
        "duration_ms": row.duration_ms,
        "call_trace_id": form.hex_trace(row.call_trace_id),
        "started_at": form.moment(row.started_at),
        "made_at": form.moment(row.made_at),
        "done_at": form.moment(row.done_at),
    }
