"""REST: judges, their versions, putting one in production, trying one, its sampling plan."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from evals import setup
from evals.api.judge_shapes import (
    JudgeBody,
    JudgeChange,
    JudgeLiveBody,
    JudgePresetsShape,
    JudgesShape,
    JudgeTryBody,
    OneJudgeShape,
    PlanEstimateShape,
    PreflightShape,
    SamplingPlanBody,
    SamplingPlanShape,
    SamplingPlansShape,
)
from evals.api.refusals import below, told
from evals.judges import JUDGE_PRESETS
from evals.pages.judges import Line, lines_of
from evals.read import setup as read
from evals.read.setup import JudgeVersionView, JudgeView, PlanView
from evals.read.spend import day_of, used_on
from evals.rubrics import RubricRefused, parse_rubric
from evals.setup.estimating import PlanEstimate, estimate_plan
from evals.setup.plans import checked_plan
from evals.setup.preflights import Preflight, find_preflight, start_preflight
from telltale.lib import clock
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import bad_field, not_found
from telltale.rest.views import ProjectView

JUDGE = OpenApiParameter("judge", OpenApiTypes.STR, OpenApiParameter.PATH, description="The judge's slug.")
TRY_ID = OpenApiParameter("try_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The preflight's id.")


class _Judges(ProjectView):
    def find(self, slug: str) -> JudgeView:
        """The judge; 404."""
        found = read.get_judge(self.project.pk, slug)
        if found is None:
            raise not_found()
        return found

    def rubric_version(self, body: dict[str, Any], judge: JudgeView | None = None) -> read.RubricVersionView:
        """The version of the rubric that a body names; 400."""
        if "rubric" not in body:
            if judge is None or "rubric_version" not in body:
                assert judge is not None  # noqa: S101 - a body without a judge names a rubric
                return judge.newest.rubric_version
            body = {**body, "rubric": judge.newest.rubric_version.slug}
        rubric = read.get_rubric(self.project.pk, body["rubric"])
        if rubric is None:
            raise bad_field("rubric", "is none of this project", value=body["rubric"])
        version = rubric.version(body["rubric_version"]) if "rubric_version" in body else rubric.newest
        if version is None:
            raise bad_field("rubric_version", "is none of this rubric", value=body["rubric_version"])
        return version

    def one(self, slug: str) -> dict[str, Any]:
        """A judge with its gate and its plan."""
        judge = self.find(slug)
        gate = setup.gate_of(self.project, judge.newest)
        plan = read.plans_in_force(self.project.pk, clock.now()).get(judge.id)
        return judge_json(judge) | {
            "gate": [{"criterion": key, "state": badge.state, "words": badge.words} for key, badge in gate.items()],
            "plan": None if plan is None else plan_json(plan),
        }


def connection_of(body: dict[str, Any], judge: JudgeView | None = None) -> int | None:
    """The connection that a body names, as a number; 400."""
    if "connection_id" not in body:
        return judge.newest.connection_id if judge else None
    raw = body["connection_id"]
    if raw is None:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) < 19):
        raise bad_field("connection_id", "is none of this project", value=raw)
    return int(raw)


def checked_rubric(spec: Any) -> Any:
    """A rubric that is sent along, as it came; 400."""
    try:
        parse_rubric(spec)
    except RubricRefused as error:
        raise bad_field(below("rubric_spec", error.field), error.message, limit=error.limit or None) from None
    return spec


NAMES = {"connection": "connection_id", "traces": "trace_ids"}


class JudgesView(_Judges):
    acts = {"GET": "read", "POST": "measure"}

    @shapes.describe("List judges", JudgesShape, tag="Judges")
    def get(self, request: Request) -> Response:
        found = read.list_judges(self.project.pk, with_archived=True)
        found.sort(key=lambda each: each.archived_at is not None)
        now = clock.now()
        used = used_on(self.project.pk, day_of(now, clock.zone_of(self.project.time_zone)))
        return Response({"items": [listed_json(each) for each in lines_of(self.project, found, used.by_judge, now)]})

    @shapes.describe("Make a judge", OneJudgeShape, tag="Judges", body=JudgeBody, status=201)
    def post(self, request: Request) -> Response:
        body = checked(JudgeBody, request)
        with told(NAMES):
            saved = setup.save_judge(
                self.project, slug=body.get("slug", ""), name=body["name"], kind=body["kind"], is_new=True,
                rubric_version_id=self.rubric_version(body).id, config=body.get("config", {}),
                connection_id=connection_of(body), model=body.get("model", ""), by_id=self.person_id,
                request=self.http,
            )  # fmt: skip
        judge = read.get_judge_by_id(self.project.pk, saved.judge_id)
        if judge is None:
            raise not_found()
        return Response(self.one(judge.slug), status=201)


class OneJudgeView(_Judges):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe("One judge with its versions, gate and plan", OneJudgeShape, tag="Judges", path=(JUDGE,))
    def get(self, request: Request, judge: str) -> Response:
        return Response(self.one(judge))

    @shapes.describe(
        "Change a judge",
        OneJudgeShape,
        tag="Judges",
        path=(JUDGE,),
        body=JudgeChange,
        detail="Rubric, connection, model and config are those of a version: one that was used is followed by the "
        "next. What is left out stays.",
    )
    def patch(self, request: Request, judge: str) -> Response:
        view = self.find(judge)
        body = checked(JudgeChange, request)
        if not body:
            raise bad_field("name", "or another field is required: there is nothing to change")
        with told(NAMES), transaction.atomic():
            if body.keys() & {"rubric", "rubric_version", "connection_id", "model", "config"}:
                setup.save_judge(
                    self.project, slug=view.slug, rubric_version_id=self.rubric_version(body, view).id,
                    config=body.get("config", dict(view.newest.config)), connection_id=connection_of(body, view),
                    model=body.get("model", view.newest.model), by_id=self.person_id, request=self.http,
                )  # fmt: skip
            self._rest(view, body)
        return Response(self.one(view.slug))

    def _rest(self, view: JudgeView, body: dict[str, Any]) -> None:
        """What belongs to the judge and not to a version."""
        if "name" in body:
            setup.change_judge(self.project, view.slug, name=body["name"], request=self.http)
        if "budget_usd_day" in body:
            usd = body["budget_usd_day"]
            pico = None if usd is None else int(usd * form.PICO)
            setup.change_judge(self.project, view.slug, budget_pico_day=pico, request=self.http)
        if "is_paused" in body:
            setup.pause_judge(self.project, view.slug, is_paused=body["is_paused"], request=self.http)
        if "is_archived" in body:
            setup.archive_judge(self.project, view.slug, is_archived=body["is_archived"], request=self.http)


class JudgeLiveView(_Judges):
    acts = {"POST": "measure", "DELETE": "measure"}

    @shapes.describe(
        "Put a judge in production",
        OneJudgeShape,
        tag="Judges",
        path=(JUDGE,),
        body=JudgeLiveBody,
        problems={409: "A criterion of the model is not proven against people, and no reason was given."},
    )
    def post(self, request: Request, judge: str) -> Response:
        view = self.find(judge)
        body = checked(JudgeLiveBody, request)
        if "version" in body and view.version(body["version"]) is None:
            raise bad_field("version", "is none of this judge", value=body["version"])
        with told():
            setup.make_live(
                self.project, view.slug, body.get("version"), reason=body.get("reason", ""), request=self.http
            )  # fmt: skip
        return Response(self.one(view.slug))

    @shapes.describe("Take a judge out of production", OneJudgeShape, tag="Judges", path=(JUDGE,))
    def delete(self, request: Request, judge: str) -> Response:
        view = self.find(judge)
        with told():
            setup.take_down(self.project, view.slug, request=self.http)
        return Response(self.one(view.slug))


class JudgeDraftView(_Judges):
    acts = {"DELETE": "measure"}

    @shapes.describe("Discard the draft of a judge", OneJudgeShape, tag="Judges", path=(JUDGE,))
    def delete(self, request: Request, judge: str) -> Response:
        view = self.find(judge)
        with told():
            setup.discard_draft(self.project, view.slug, request=self.http)
        return Response(self.one(view.slug))


class JudgeTriesView(_Judges):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Try a judge on traces",
        PreflightShape,
        tag="Judges",
        body=JudgeTryBody,
        status=202,
        detail="Nothing is saved and nothing is scored. Calls count in the day's limits.",
    )
    def post(self, request: Request) -> Response:
        body = checked(JudgeTryBody, request)
        if ("rubric" in body) == ("rubric_spec" in body):
            raise bad_field("rubric", "or `rubric_spec` is required, one of the two")
        rubric = body["rubric_spec"] if "rubric_spec" in body else dict(self.rubric_version(body).spec)
        trace_ids = []
        for at, raw in enumerate(body.get("trace_ids", [])):
            trace_id = params.trace_id(raw)
            if trace_id is None:
                raise bad_field(f"trace_ids[{at}]", "is no trace id", limit="32 hex digits", value=raw)
            trace_ids.append(trace_id)
        with told(NAMES):
            rubric = checked_rubric(rubric)
            job = start_preflight(
                self.project, kind=body["kind"], rubric=rubric,
                config=body.get("config", {}), connection_id=connection_of(body), model=body.get("model", ""),
                trace_ids=trace_ids, by_id=self.person_id,
            )  # fmt: skip
        found = find_preflight(self.project.pk, job)
        if found is None:
            raise not_found()
        return Response(preflight_json(found), status=202)


class JudgeTryView(_Judges):
    acts = {"GET": "read"}

    @shapes.describe("What came of trying a judge", PreflightShape, tag="Judges", path=(TRY_ID,))
    def get(self, request: Request, try_id: str) -> Response:
        found = find_preflight(self.project.pk, params.row_id(try_id))
        if found is None:
            raise not_found()
        return Response(preflight_json(found))


class JudgePlanView(_Judges):
    acts = {"GET": "read", "POST": "measure", "DELETE": "measure"}

    @shapes.describe("The sampling plans of a judge", SamplingPlansShape, tag="Judges", path=(JUDGE,))
    def get(self, request: Request, judge: str) -> Response:
        view = self.find(judge)
        return Response({"items": [plan_json(each) for each in read.list_plans(self.project.pk, view.id)]})

    @shapes.describe(
        "Set the sampling plan of a judge",
        SamplingPlanShape,
        tag="Judges",
        path=(JUDGE,),
        body=SamplingPlanBody,
        status=201,
        detail="A new version, in force from `valid_from` on. What was drawn stays drawn.",
    )
    def post(self, request: Request, judge: str) -> Response:
        view = self.find(judge)
        body = checked(SamplingPlanBody, request)
        with told(under="spec"):
            plan = setup.set_plan(
                self.project, view.slug, body["spec"], valid_from=body.get("valid_from"), by_id=self.person_id,
                request=self.http,
            )  # fmt: skip
        return Response(plan_json(plan), status=201)

    @shapes.describe("Draw nothing more for a judge", None, tag="Judges", path=(JUDGE,), status=204)
    def delete(self, request: Request, judge: str) -> Response:
        view = self.find(judge)
        with told():
            setup.end_plan(self.project, view.slug, request=self.http)
        return Response(status=204)


class PlanEstimateView(_Judges):
    acts = {"POST": "read"}

    @shapes.describe(
        "Estimate a sampling plan",
        PlanEstimateShape,
        tag="Judges",
        path=(JUDGE,),
        body=SamplingPlanBody,
        detail="What the plan would take and cost of a day like the last one. Nothing is saved.",
    )
    def post(self, request: Request, judge: str) -> Response:
        view = self.find(judge)
        body = checked(SamplingPlanBody, request)
        with told(under="spec"):
            spec = checked_plan(body["spec"])
        return Response(estimate_json(estimate_plan(self.project, view, view.live or view.newest, spec)))


class JudgePresetsView(ProjectView):
    acts = {"GET": "read"}

    @shapes.describe("Judges to begin with", JudgePresetsShape, tag="Judges")
    def get(self, request: Request) -> Response:
        names = ("slug", "name", "about", "source", "kind")
        return Response(
            {
                "items": [
                    {name: getattr(each, name) for name in names}
                    | {"rubric": dict(each.rubric), "config": dict(each.config)}
                    for each in JUDGE_PRESETS
                ]
            }
        )


def judge_json(view: JudgeView) -> dict[str, Any]:
    """A judge as REST shows it."""
    return {
        "slug": view.slug,
        "name": view.name,
        "kind": view.kind,
        "live_version": view.live.number if view.live else None,
        "live_since": form.moment(view.live_since),
        "is_paused": view.paused_at is not None,
        "budget_usd_day": form.usd(view.budget_pico_day),
        "archived_at": form.moment(view.archived_at),
        "created_at": form.moment(view.created_at),
        "versions": [version_json(each, view) for each in view.versions],
    }


def listed_json(line: Line) -> dict[str, Any]:
    """A judge as the list shows it."""
    return judge_json(line.judge) | {
        "state": line.word,
        "proof": line.badge.state,
        "plan": line.plan or None,
        "scored_24h": line.scored,
        "failed_24h": line.failed,
        "skipped_24h": line.skipped,
        "waiting_24h": line.waiting,
        "waits_seconds": None if line.lag_ms is None else line.lag_ms / 1000,
        "spent_today_usd": form.usd(line.spent_pico),
    }


def version_json(version: JudgeVersionView, judge: JudgeView) -> dict[str, Any]:
    """A version as REST shows it."""
    return {
        "id": str(version.id),
        "number": version.number,
        "rubric": version.rubric_version.slug,
        "rubric_version": version.rubric_version.number,
        "connection_id": None if version.connection_id is None else str(version.connection_id),
        "model": version.model or None,
        "is_stand_in": version.is_stand_in,
        "config": dict(version.config),
        "is_live": version.id == judge.live_version_id,
        "is_draft": version.is_draft,
        "frozen_at": form.moment(version.frozen_at),
        "created_by": version.created_by or None,
        "created_at": form.moment(version.created_at),
    }


def plan_json(plan: PlanView) -> dict[str, Any]:
    """A plan as REST shows it; its salt is nobody's business."""
    return {
        "id": str(plan.id),
        "number": plan.number,
        "spec": dict(plan.spec),
        "valid_from": form.moment(plan.valid_from),
        "valid_to": form.moment(plan.valid_to),
        "is_in_force": plan.holds_at(clock.now()),
        "created_by": plan.created_by or None,
        "created_at": form.moment(plan.created_at),
    }


def estimate_json(found: PlanEstimate) -> dict[str, Any]:
    """An estimate as REST shows it."""
    return {
        "looked_at": found.looked_at,
        "traces_day": found.traces_day,
        "is_exact": found.is_exact,
        "share": found.share,
        "judgements_day": found.judgements_day,
        "judgement_usd": form.usd(found.one_pico),
        "day_usd": form.usd(found.day_pico),
        "is_lowered": found.is_lowered,
    }


def preflight_json(found: Preflight) -> dict[str, Any]:
    """A preflight as REST shows it."""
    return {
        "id": str(found.id),
        "state": found.state,
        "is_stand_in": found.is_stand_in,
        "error": found.error or None,
        "cost_usd": form.usd(found.cost_pico) if found.tried else None,
        "items": [
            {name: value for name, value in each.items() if name != "price_pico"}
            | {"price_usd": form.usd(each["price_pico"])}
            for each in found.tried
        ],
    }
