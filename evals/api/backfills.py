"""REST: judging past traces."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evals import backfilling
from evals.api.refusals import told
from evals.backfilling import Progress
from evals.read import setup as read
from evals.read.backfills import BackfillView, list_backfills, view_of
from evals.read.judgements import STATES
from telltale.rest import form, paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces.read import TooSlow

BACKFILL_ID = OpenApiParameter("backfill_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The backfill's id.")
QUERY = (OpenApiParameter("judge", OpenApiTypes.STR, description="A judge's slug."), shapes.LIMIT, shapes.CURSOR)
BACKFILL_STATES = ("running", "paused", "done", "cancelled")


class BackfillShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    judge = serializers.CharField()
    judge_version = serializers.IntegerField()
    query = serializers.CharField()
    share = serializers.FloatField()
    state = serializers.ChoiceField(choices=BACKFILL_STATES)
    traces_total = serializers.IntegerField(allow_null=True)
    traces_seen = serializers.IntegerField()
    queued = serializers.IntegerField()
    estimate_usd = serializers.CharField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


BackfillsShape = shapes.page_of(BackfillShape, "BackfillsShape")


class OneBackfillShape(BackfillShape):
    states = serializers.DictField(child=serializers.IntegerField(), help_text="Its judgements by state.")
    cost_usd = serializers.CharField(help_text="Of all calls whose price is known.")
    share_done = serializers.FloatField(allow_null=True)


class BackfillBody(serializers.Serializer[Any]):
    judge = serializers.CharField(max_length=60, help_text="A judge's slug.")
    judge_version = serializers.IntegerField(
        required=False, min_value=1, help_text="The one in production where left out, else the newest."
    )
    query = serializers.CharField(
        allow_blank=True, max_length=backfilling.QUERY_MAX, help_text="As the trace list's address has it."
    )
    share = serializers.FloatField(required=False, default=1.0, min_value=0.001, max_value=1.0)


class BackfillEstimateShape(serializers.Serializer[Any]):
    traces = serializers.IntegerField()
    is_exact = serializers.BooleanField()
    judgements = serializers.IntegerField()
    estimate_usd = serializers.CharField(allow_null=True)
    start = serializers.DateTimeField(allow_null=True)
    end = serializers.DateTimeField(allow_null=True)


class BackfillChange(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=("running", "paused", "cancelled"))


class _Backfills(ProjectView):
    def asked(self, request: Request) -> tuple[int, str, float]:
        """The judge version, query and share of a body."""
        body = checked(BackfillBody, request)
        judge = read.get_judge(self.project.pk, body["judge"])
        if judge is None:
            raise bad_field("judge", "is none of this project", value=body["judge"])
        version = judge.version(body["judge_version"]) if "judge_version" in body else judge.live or judge.newest
        if version is None:
            raise bad_field("judge_version", "is none of this judge", value=body["judge_version"])
        return version.id, body["query"], body["share"]


class BackfillsView(_Backfills):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("judge", "limit", "cursor")}

    @shapes.describe("List backfills", BackfillsShape, tag="Judges", query=QUERY, detail="Newest first.")
    def get(self, request: Request) -> Response:
        judge_id = None
        if slug := params.text(request.query_params, "judge"):
            judge = read.get_judge(self.project.pk, slug)
            if judge is None:
                raise bad_field("judge", "is none of this project", value=slug)
            judge_id = judge.id
        position = paging.read_cursor(params.text(request.query_params, "cursor"), int)
        size = params.page_size(request.query_params)
        before = position[0] if position else None
        rows = list_backfills(self.project.pk, judge_id=judge_id, before=before, limit=size + 1)
        following = paging.write_cursor(rows[size - 1].id) if len(rows) > size else None
        return Response(paging.page(request, [backfill_json(row) for row in rows[:size]], following, None))

    @shapes.describe(
        "Judge past traces",
        OneBackfillShape,
        tag="Judges",
        body=BackfillBody,
        status=201,
        detail="Live traces go first, the day's limits hold, and no trace is judged twice by one version.",
    )
    def post(self, request: Request) -> Response:
        version_id, query, share = self.asked(request)
        with told(), _in_time():
            row = backfilling.start(
                self.project, version_id, query, share, by_id=self.person_id, request=self.http
            )  # fmt: skip
        return Response(one_json(_find(self.project.pk, row.pk)), status=201)


class BackfillEstimateView(_Backfills):
    acts = {"POST": "read"}

    @shapes.describe(
        "Estimate a backfill", BackfillEstimateShape, tag="Judges", body=BackfillBody, detail="Nothing is started."
    )
    def post(self, request: Request) -> Response:
        version_id, query, share = self.asked(request)
        with told(), _in_time():
            found = backfilling.estimate(self.project, version_id, query, share)
        return Response(
            {
                "traces": found.traces,
                "is_exact": found.is_exact,
                "judgements": found.judgements,
                "estimate_usd": form.usd(found.pico),
                "start": form.moment(found.start),
                "end": form.moment(found.end),
            }
        )


class BackfillOneView(_Backfills):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe("One backfill with its progress", OneBackfillShape, tag="Judges", path=(BACKFILL_ID,))
    def get(self, request: Request, backfill_id: str) -> Response:
        return Response(one_json(_find(self.project.pk, params.row_id(backfill_id))))

    @shapes.describe(
        "Pause, resume or cancel a backfill",
        OneBackfillShape,
        tag="Judges",
        path=(BACKFILL_ID,),
        body=BackfillChange,
        problems={409: "It is not in a state that this can follow."},
    )
    def patch(self, request: Request, backfill_id: str) -> Response:
        number = params.row_id(backfill_id)
        found = _find(self.project.pk, number)
        wanted = checked(BackfillChange, request)["state"]
        if found.row.state != wanted:
            step = {
                "running": backfilling.resume,
                "paused": backfilling.pause,
                "cancelled": backfilling.cancel,
            }[wanted]
            if not step(self.project, number, request=self.http):
                raise Problem(409, f"The backfill is {found.row.state} and cannot be {wanted}.")
        return Response(one_json(_find(self.project.pk, number)))


class _in_time:
    """Turns a count that takes too long into a problem that says what helps."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TooSlow):
            slow = FieldError("query", "takes too long to count", "a shorter window or fewer words")
            raise Problem(503, "query: takes too long to count", slow) from None


def _find(project_id: int, backfill_id: int) -> Progress:
    found = backfilling.progress(project_id, backfill_id)
    if found is None:
        raise not_found()
    return found


def backfill_json(view: BackfillView) -> dict[str, Any]:
    """A backfill as REST shows it."""
    return {
        "id": str(view.id),
        "judge": view.judge_slug,
        "judge_version": view.version,
        "query": view.query,
        "share": view.share,
        "state": view.state,
        "traces_total": view.traces_total,
        "traces_seen": view.traces_seen,
        "queued": view.queued,
        "estimate_usd": form.usd(view.estimate_pico),
        "created_by": view.created_by or None,
        "created_at": form.moment(view.created_at),
        "finished_at": form.moment(view.finished_at),
    }


def one_json(found: Progress) -> dict[str, Any]:
    """A backfill with its judgements by state."""
    return backfill_json(view_of(found.row)) | {
        "states": {state: found.counts.of(state) for state in STATES},
        "cost_usd": form.usd(found.counts.cost_pico),
        "share_done": found.share_done,
    }
