"""REST: the steps of an incident, its summary, and the project's settings of incidents."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import moving, timing
from alerts.api import incident_json as shown
from alerts.api import incident_shapes as said
from alerts.api.incident_views import NUMBER, OUTDATED, IncidentView, told
from alerts.incidents.types import SEVERITIES, Step
from alerts.read.incident_settings import get_settings_row
from alerts.read.incidents import list_steps
from alerts.summing_up import markdown, summarise
from telltale.rest import params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import bad_field, not_found

TAG = "Incidents"
STEP = OpenApiParameter("step", OpenApiTypes.STR, OpenApiParameter.PATH, enum=said.STEP_NAMES)


class IncidentStepsView(IncidentView):
    @shapes.describe(
        "The steps of an incident",
        said.IncidentStepsShape,
        tag=TAG,
        path=(NUMBER,),
        detail="Those begun, of every round.",
    )
    def get(self, request: Request, number: str) -> Response:
        return Response({"items": [shown.step(row) for row in list_steps(self.incident(number).id)]})


class IncidentStepView(IncidentView):
    acts = {"PUT": "review"}

    @shapes.describe(
        "Finish a step, keep a draft, or go back",
        said.IncidentDetailShape,
        tag=TAG,
        path=(NUMBER, STEP),
        body=said.IncidentStepBody,
        detail="One of outcome, draft and is_open. A finished step lets the incident go on to the first that nobody "
        "finished; finished again, its outcome is another and nothing moves back. What the steps themselves do, "
        "such as verdicts, the scope's sentence, the change that was marked or closing, has addresses of its own.",
        problems=OUTDATED,
    )
    def put(self, request: Request, number: str, step: str) -> Response:
        held = self.incident(number)
        if step not in said.STEP_NAMES:
            raise not_found()
        body = checked(said.IncidentStepBody, request)
        given = [name for name in ("outcome", "draft", "is_open") if name in body]
        if len(given) != 1:
            raise bad_field("outcome", "or draft or is_open is required, and one alone", value=", ".join(given))
        at, version = Step(step), body.get("of_version")
        with told():
            if "outcome" in body:
                moving.finish_step(self.project, held.number, at, body["outcome"], version=version, **self.by)
            elif "draft" in body:
                moving.save_draft(self.project, held.number, at, body["draft"])
            elif body["is_open"]:
                moving.go_back(self.project, held.number, at, version=version, **self.by)
            else:
                raise bad_field("is_open", "can only be true: outcome finishes a step", value=False)
        return Response(self.detail(self.incident(number)))


class IncidentSummaryView(IncidentView):
    query = {"GET": ("format",)}

    @shapes.describe(
        "The summary of an incident",
        said.IncidentSummaryShape,
        tag=TAG,
        path=(NUMBER,),
        detail="Written from the timeline at every reading. `format=markdown` has it as text to send on.",
        query=(OpenApiParameter("format", OpenApiTypes.STR, enum=["json", "markdown"]),),
        media={"text/markdown": OpenApiTypes.STR},
    )
    def get(self, request: Request, number: str) -> Response | HttpResponse:
        kind = params.choice(request.query_params, "format", ("json", "markdown"), "json")
        row = self.incident(number)
        summary = summarise(row, self.zone)
        if kind == "json":
            return Response(shown.summary(summary))
        url = request.build_absolute_uri(f"/p/{self.project.slug}/{row.path}")
        return HttpResponse(markdown(summary, self.zone, url), content_type="text/markdown; charset=utf-8")


class IncidentSettingsView(IncidentView):
    acts = {"GET": "read", "PUT": "measure"}

    @shapes.describe("Timers and gates of incidents", said.IncidentSettingsAnswer, tag=TAG)
    def get(self, request: Request) -> Response:
        return Response(shown.settings(get_settings_row(self.project.pk)))

    @shapes.describe(
        "Change timers and gates of incidents",
        said.IncidentSettingsAnswer,
        tag=TAG,
        body=said.IncidentSettingsShape,
        detail="What is left out stays. Steps under way get their new timer.",
    )
    def put(self, request: Request) -> Response:
        body = checked(said.IncidentSettingsShape, request)
        timers: dict[int, Any] = {
            level: {Step(name): minutes for name, minutes in body["timers"][f"p{level}"].items()}
            for level in SEVERITIES
            if f"p{level}" in body.get("timers", {})
        }
        with told():
            timing.change(
                self.project, timers=timers, cases_least=body.get("cases_least"),
                recovery_hours=body.get("recovery_hours"), reopen_days=body.get("reopen_days"), **self.by,
            )  # fmt: skip
        return Response(shown.settings(get_settings_row(self.project.pk)))
