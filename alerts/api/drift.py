"""REST: drift of inputs and outputs against frozen references, their acts, and how traffic is sampled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import drifting
from alerts.api import drift_shapes as shape
from alerts.api.views import MonitorView
from alerts.drift.fields import SIDES, Side
from alerts.drift.wording import tell
from alerts.drifting.references import texts_of
from alerts.drifting.reports import SERIES_DAYS, WINDOWS
from alerts.read.drift import ReportView, day_series, latest_reports, settings_of, waiting
from alerts.read.drift_references import ReferenceView, get_reference, list_references
from alerts.read.vectors import encoders_of
from evals.setup.refusals import SetupRefused
from telltale.lib import clock
from telltale.rest import params, shapes
from telltale.rest.body import checked
from telltale.rest.form import PICO
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from traces.api.traces import too_slow
from traces.read import TooSlow
from traces.read.asking import asking

TAG = "Drift"
FEATURE = OpenApiParameter(
    "feature", OpenApiTypes.STR, description="One feature; empty: traces that told none. Absent: all together."
)
DAYS = OpenApiParameter(
    "days", {"type": "integer", "enum": list(WINDOWS), "default": 7}, description="Days of the window up to now."
)
REFERENCE = OpenApiParameter("reference", OpenApiTypes.STR, OpenApiParameter.PATH, description="The reference's id.")
REFERENCES_MOST = 200


def feature_of(request: Request) -> str | None:
    """The feature asked about: "" for none told, None for all."""
    query = request.query_params
    return params.text(query, "feature") if "feature" in query else None


def in_force(project_id: int, feature: str | None, key: str) -> dict[Side, ReferenceView]:
    """The references in force of a feature, by side."""
    return {each.side: each for each in list_references(project_id) if each.encoder == key and each.feature == feature}


class DriftReportView(MonitorView):
    query = {"GET": ("feature", "days")}

    @shapes.describe(
        "Drift of inputs and outputs",
        shape.DriftShape,
        tag=TAG,
        detail="The newest report of each side against the reference in force: the distance of all vectors with its "
        "permutation p, groups with example texts, fields with effect sizes beside a test, and the finding in a "
        "sentence. `p_adjusted` is within the family of one side's tests. Reports page nobody.",
        query=(FEATURE, DAYS),
    )
    def get(self, request: Request) -> Response:
        feature = feature_of(request)
        days = int(params.choice(request.query_params, "days", tuple(map(str, WINDOWS)), "7"))
        try:
            with asking():
                seen = encoders_of(self.project.pk)
                key = seen[0].key if seen else ""
                held = in_force(self.project.pk, feature, key)
                reports = latest_reports([each.id for each in held.values()], days)
                sides = [self._side(side, key, held.get(side), reports) for side in SIDES]
        except TooSlow:
            raise too_slow() from None
        called = shape.called(key)
        answer = {"feature": feature, "days": days, "encoder": key or None, "called": called, "sides": sides}
        return Response(answer)

    def _side(
        self, side: Side, key: str, reference: ReferenceView | None, reports: dict[int, ReportView]
    ) -> dict[str, Any]:
        found = None if reference is None else reports.get(reference.id)
        if found is None or reference is None:
            told = None if reference is None else shape.reference(reference)
            return {"side": side, "sentence": tell(None, side, key).sentence, "reference": told, "report": None}
        named = found.report.called(reference.names)
        traces = [trace for group in named.groups for trace in (*group.reference_traces, *group.current_traces)]
        texts = texts_of(self.project.pk, traces, side)
        view = ReportView(
            found.id, found.reference_id, found.days, found.start_at, found.end_at, found.made_at, named
        )  # fmt: skip
        return {
            "side": side,
            "sentence": tell(named, side, key).sentence,
            "reference": shape.reference(reference),
            "report": shape.report(view, texts),
        }


class DriftDaysView(MonitorView):
    query = {"GET": ("feature",)}

    @shapes.describe(
        "Drift by day",
        shape.DriftDaysShape,
        tag=TAG,
        detail=f"The distance of each of the last {SERIES_DAYS} days from the reference in force, with what 99 of 100 "
        "permutations stay under. A day of the reference itself is compared with its other days.",
        query=(FEATURE,),
    )
    def get(self, request: Request) -> Response:
        feature = feature_of(request)
        seen = encoders_of(self.project.pk)
        held = in_force(self.project.pk, feature, seen[0].key if seen else "")
        since = clock.now() - timedelta(days=SERIES_DAYS + 1)
        points = day_series([each.id for each in held.values()], since)
        items = [shape.day(side, point) for side, each in sorted(held.items()) for point in points[each.id]]
        return Response({"items": items})


class DriftUpdateView(MonitorView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Make drift reports anew",
        shape.DriftUpdateShape,
        tag=TAG,
        status=201,
        body=shape.DriftUpdateBody,
        detail="The reports of a feature's windows up to now, in the background.",
    )
    def post(self, request: Request) -> Response:
        body = checked(shape.DriftUpdateBody, request)
        job = drifting.start_update(self.project.pk, body["feature"], self.person_id)
        return Response({"job": job.pk}, status=201)


class DriftReferencesView(MonitorView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("replaced",)}

    @shapes.describe(
        "References of drift",
        shape.DriftReferencesShape,
        tag=TAG,
        detail="Those in force, newest first; with `replaced` those before them, too: none is ever deleted.",
        query=(OpenApiParameter("replaced", OpenApiTypes.BOOL, description="With those that were replaced."),),
    )
    def get(self, request: Request) -> Response:
        replaced = params.boolean(request.query_params, "replaced") or False
        rows = list_references(self.project.pk, with_replaced=replaced)[:REFERENCES_MOST]
        return Response({"items": [shape.reference(each) for each in rows]})

    @shapes.describe(
        "Freeze a reference of drift",
        shape.DriftReferencesShape,
        tag=TAG,
        status=201,
        body=shape.FreezeBody,
        detail="The sampled traces of [start, end), 500 vectors at least, of both sides that have as many. It is put "
        "in force at once; the one before is kept as replaced. Recorded with its reason.",
    )
    def post(self, request: Request) -> Response:
        body = checked(shape.FreezeBody, request)
        start, end = (params.parse_moment(name, body[name].isoformat()) for name in ("start", "end"))
        try:
            made = drifting.freeze(
                self.project, body["feature"], start, end, body["reason"], encoder=body.get("encoder", ""),
                by_id=self.person_id, request=self.http, actor=self.actor,
            )  # fmt: skip
        except drifting.FreezeRefused as refused:
            field = {"from": "start", "to": "end"}.get(refused.field, refused.field)
            raise bad_field(field, refused.message, limit=refused.limit or None, value=refused.value) from None
        drifting.start_update(self.project.pk, body["feature"], self.person_id)
        return Response({"items": [shape.reference(each) for each in made]}, status=201)


class DriftReferenceView(MonitorView):
    @shapes.describe("A reference of drift", shape.DriftReferenceShape, tag=TAG, path=(REFERENCE,))
    def get(self, request: Request, reference: str) -> Response:
        found = get_reference(self.project.pk, params.row_id(reference))
        if found is None:
            raise not_found()
        return Response(shape.reference(found))


class DriftApproveView(MonitorView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Approve a reference of drift",
        shape.DriftReferenceShape,
        tag=TAG,
        path=(REFERENCE,),
        detail="Says that it shows what is normal; recorded. Approving again changes nothing.",
    )
    def post(self, request: Request, reference: str) -> Response:
        try:
            found = drifting.approve(
                self.project, params.row_id(reference), by_id=self.person_id, request=self.http, actor=self.actor
            )  # fmt: skip
        except drifting.NoReference:
            raise not_found() from None
        return Response(shape.reference(found))


class DriftRenameView(MonitorView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Rename a topic of a reference of drift",
        shape.DriftReferenceShape,
        tag=TAG,
        path=(REFERENCE,),
        body=shape.RenameTopicBody,
    )
    def post(self, request: Request, reference: str) -> Response:
        body = checked(shape.RenameTopicBody, request)
        try:
            found = drifting.rename_topic(
                self.project, params.row_id(reference), body["topic"], body["name"], request=self.http, actor=self.actor
            )  # fmt: skip
        except drifting.NoReference:
            raise not_found() from None
        except drifting.FreezeRefused as refused:
            raise bad_field(refused.field, refused.message, limit=refused.limit or None, value=refused.value) from None
        return Response(shape.reference(found))


class DriftSettingsView(MonitorView):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe("How drift samples", shape.DriftSettingsShape, tag=TAG)
    def get(self, request: Request) -> Response:
        return Response(shape.settings(settings_of(self.project.pk), waiting(self.project.pk).n))

    @shapes.describe(
        "Change how drift samples",
        shape.DriftSettingsShape,
        tag=TAG,
        body=shape.DriftSettingsBody,
        detail="What is given. Another encoder embeds the stored traces of the last 35 days in the background and "
        "needs a reference of its own.",
    )
    def patch(self, request: Request) -> Response:
        body = checked(shape.DriftSettingsBody, request)
        changes: dict[str, Any] = {name: body[name] for name in _AS_IS if name in body}
        if "connection" in body:
            changes["connection_id"] = body["connection"]
        if "budget_usd_day" in body:
            usd = body["budget_usd_day"]
            changes["budget_pico_day"] = None if usd is None else int(usd * PICO)
        try:
            found = drifting.save_settings(
                self.project, changes, by_id=self.person_id, request=self.http, actor=self.actor
            )
        except SetupRefused as refused:
            field = {"connection_id": "connection", "budget_pico_day": "budget_usd_day"}.get(
                refused.field, refused.field
            )
            told = FieldError(field, refused.message, refused.limit or None, body.get(field))
            raise Problem(400, f"{field}: {refused.message}", told) from None
        return Response(shape.settings(found, waiting(self.project.pk).n))


_AS_IS = ("is_on", "encoder", "model", "cap_a_day", "budget_calls_day", "fields")
