"""REST: who is affected by an incident, what it began with, what was done, and whether it is back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import isolating, looking, recovering, scoping
from alerts.api import incident_found_shapes as said
from alerts.api.incident_views import NUMBER, OUTDATED, IncidentView, told
from alerts.incidents import isolated, scoped
from alerts.read.incidents import IncidentRow
from alerts.read.reports import ReportRow, ResponseRow, reports_of, responses_of
from alerts.tasks import look_into_incidents
from telltale.jobs.wake import wake
from telltale.lib.format import iso
from telltale.rest import params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import bad_field, not_found

TAG = "Incidents"
MADE = OpenApiParameter("made", OpenApiTypes.STR, OpenApiParameter.PATH, description="The response's id.")
_ANEW = "The worker makes it within seconds; until then the one before is shown."
_SERIES = tuple(said.RecoverySeriesShape._declared_fields)
_CHANGE = tuple(said.FoundChangeShape._declared_fields)
_ONSET = tuple(said.FoundOnsetShape._declared_fields)
_STRETCH = tuple(said.FoundStretchShape._declared_fields)
_SLICE = tuple(name for name in said.FoundSliceShape._declared_fields if name not in {"parts", "share_before"})


class _Found(IncidentView):
    def report(self, held: IncidentRow, kind: str) -> ReportRow | None:
        """The report of the incident's round, as it was kept."""
        return reports_of(held.id, held.round).get(kind)

    def anew(self, held: IncidentRow, kind: str) -> None:
        """Have it made again."""
        with told():
            looking.ask(self.project, held.number, kind)
        wake(look_into_incidents)


class IncidentScopeView(_Found):
    acts = {"GET": "read", "POST": "review", "PUT": "review"}

    @shapes.describe(
        "Who is affected by an incident", said.IncidentScopeShape, tag=TAG, path=(NUMBER,),
        detail="Values and pairs of values ranked by the excess they explain against the baseline.",
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        return self._answer(self.incident(number))

    @shapes.describe(
        "Compare an incident's responses again", said.IncidentScopeShape, tag=TAG, path=(NUMBER,), detail=_ANEW
    )
    def post(self, request: Request, number: str) -> Response:
        held = self.incident(number)
        self.anew(held, "scope")
        return self._answer(held)

    @shapes.describe(
        "Write the scope of an incident", said.IncidentScopeShape, tag=TAG, path=(NUMBER,),
        body=said.IncidentScopeBody, problems=OUTDATED,
        detail="Finishes the step; written again, it takes the place of what was there.",
    )  # fmt: skip
    def put(self, request: Request, number: str) -> Response:
        held = self.incident(number)
        body = checked(said.IncidentScopeBody, request)
        with told():
            scoping.write_scope(
                self.project, held.number, body["note"], user=self.person, request=self.http, actor=self.actor,
                version=body.get("of_version"),
            )  # fmt: skip
        return self._answer(self.incident(number))

    def _answer(self, held: IncidentRow) -> Response:
        report = self.report(held, "scope")
        body = report.body if report is not None else {}
        return Response(
            _head(report)
            | {
                "note": held.scope_note or None,
                "finding": scoped.finding(body) if body else None,
                "draft": (scoped.draft(body) or None) if body else None,
                "report": _scope(body) if body else None,
            }
        )


class IncidentIsolateView(_Found):
    acts = {"GET": "read", "POST": "review", "PUT": "review", "DELETE": "review"}

    @shapes.describe(
        "What an incident began with", said.IncidentIsolateShape, tag=TAG, path=(NUMBER,),
        detail="The estimated start against the change log, versions side by side, texts and settings compared. It "
        "ranks; a person marks the cause.",
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        return self._answer(self.incident(number))

    @shapes.describe(
        "Rank the changes of an incident again", said.IncidentIsolateShape, tag=TAG, path=(NUMBER,), detail=_ANEW
    )
    def post(self, request: Request, number: str) -> Response:
        held = self.incident(number)
        self.anew(held, "isolate")
        return self._answer(held)

    @shapes.describe(
        "Mark what an incident began with", said.IncidentIsolateShape, tag=TAG, path=(NUMBER,),
        body=said.IncidentCauseBody, problems=OUTDATED,
        detail="A change of the log, or a note where none says it. Finishes the step.",
    )  # fmt: skip
    def put(self, request: Request, number: str) -> Response:
        held = self.incident(number)
        body = checked(said.IncidentCauseBody, request)
        if body.get("change") is None and not body.get("note", "").strip():
            raise bad_field("change", "or note is required", limit="the id of a change, or words")
        with told():
            isolating.mark_cause(
                self.project, held.number, body.get("change"), body.get("note", ""), user=self.person,
                request=self.http, actor=self.actor, version=body.get("of_version"),
            )  # fmt: skip
        return self._answer(self.incident(number))

    @shapes.describe(
        "Take back what an incident began with", None, tag=TAG, path=(NUMBER,), status=204, problems=OUTDATED
    )
    def delete(self, request: Request, number: str) -> Response:
        held = self.incident(number)
        with told():
            isolating.clear_cause(self.project, held.number, user=self.person, request=self.http, actor=self.actor)
        return Response(status=204)

    def _answer(self, held: IncidentRow) -> Response:
        report = self.report(held, "isolate")
        body = report.body if report is not None else {}
        return Response(
            _head(report)
            | {
                "cause_change": held.cause_change,
                "cause_note": held.cause_note or None,
                "finding": isolated.finding(body) if body else None,
                "report": _isolate(body) if body else None,
            }
        )


class IncidentResponsesView(_Found):
    acts = {"GET": "read", "POST": "review"}

    @shapes.describe(
        "What was done about an incident", said.IncidentResponsesShape, tag=TAG, path=(NUMBER,),
        detail="Of every round, in the order in which it took effect.",
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        return Response({"items": [_response(row) for row in responses_of(self.incident(number).id)]})

    @shapes.describe(
        "Record what was done about an incident", said.IncidentResponseShape, tag=TAG, path=(NUMBER,), status=201,
        body=said.IncidentResponseBody, problems=OUTDATED,
        detail="Finishes the step, and has its series watched until they are back. Nothing is deployed.",
    )  # fmt: skip
    def post(self, request: Request, number: str) -> Response:
        held = self.incident(number)
        body = checked(said.IncidentResponseBody, request)
        with told():
            made = recovering.record(
                self.project, held.number, body["kind"], at=body.get("at"), note=body.get("note", ""),
                url=body.get("url", "").strip(), as_change=body.get("log", False), user=self.person,
                request=self.http, actor=self.actor, version=body.get("of_version"),
            )  # fmt: skip
        self.anew(held, "recovery")
        row = next(row for row in responses_of(held.id) if row.id == made)
        return Response(_response(row), status=201)


class IncidentResponseView(_Found):
    acts = {"DELETE": "review"}

    @shapes.describe(
        "Take back a response to an incident", None, tag=TAG, path=(NUMBER, MADE), status=204, problems=OUTDATED,
        detail="One that was recorded by mistake. The change log keeps what it was told.",
    )  # fmt: skip
    def delete(self, request: Request, number: str, made: str) -> Response:
        held = self.incident(number)
        key = params.row_id(made)
        if all(row.id != key for row in responses_of(held.id)):
            raise not_found()
        with told():
            recovering.withdraw(self.project, held.number, key, user=self.person, request=self.http, actor=self.actor)
        return Response(status=204)


class IncidentRecoveryView(_Found):
    acts = {"GET": "read", "POST": "review"}

    @shapes.describe(
        "Whether an incident's series are back", said.IncidentRecoveryShape, tag=TAG, path=(NUMBER,),
        detail="Windows since the last response, judged by the baseline from before.",
    )  # fmt: skip
    def get(self, request: Request, number: str) -> Response:
        return self._answer(self.incident(number))

    @shapes.describe(
        "Look at an incident's series again", said.IncidentRecoveryShape, tag=TAG, path=(NUMBER,), detail=_ANEW
    )
    def post(self, request: Request, number: str) -> Response:
        held = self.incident(number)
        self.anew(held, "recovery")
        return self._answer(held)

    def _answer(self, held: IncidentRow) -> Response:
        report = self.report(held, "recovery")
        body = report.body if report is not None else {}
        return Response(
            _head(report)
            | {
                "recovery": body.get("state"),
                "words": body.get("words"),
                "response": body.get("response"),
                "recovered_at": body.get("recovered_at"),
                "series": [_named(one, _SERIES) for one in body.get("series", [])],
            }
        )


def _head(report: ReportRow | None) -> dict[str, Any]:
    if report is None:
        return {"state": "wanted", "error": None, "asked_at": None, "made_at": None}
    return {
        "state": report.state,
        "error": report.error or None,
        "asked_at": iso(report.asked_at),
        "made_at": iso(report.made_at) if report.made_at else None,
    }


def _scope(body: Mapping[str, Any]) -> dict[str, Any]:
    lacking = body.get("too_little")
    return {
        "words": body["by"]["words"],
        "monitor_id": body["by"]["monitor_id"],
        "metric": body["by"]["metric"],
        "is_mix": body["is_mix"],
        "now": _named(body["now"], _STRETCH),
        "before": _named(body["before"], _STRETCH),
        "compared": body["fields"],
        "not_compared": body["not_compared"],
        "too_little": f"{lacking['have']} {lacking['what']}, {lacking['need']} are needed" if lacking else None,
        "tested": body.get("tested"),
        "too_few": body.get("too_few"),
        "left_out": body.get("left_out"),
        "q": body.get("q"),
        "slices": [_slice(one) for one in body.get("slices", [])],
        "more_slices": body.get("more_slices", 0),
        "unclear": [_slice(one) for one in body.get("unclear", [])],
        "seconds": body["seconds"],
    }


def _slice(one: Mapping[str, Any]) -> dict[str, Any]:
    parts = [{"field": name, "value": value} for name, value in one["parts"]]
    return {"parts": parts, "share_before": one.get("share_before"), **_named(one, _SLICE)}


def _isolate(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "onset": _named(body["onset"], _ONSET),
        "monitor_id": body["monitor_id"],
        "metric": body["metric"],
        "changes": [{**_named(one, _CHANGE), "says": one["says"] or None} for one in body["changes"]],
        "more_changes": body["more_changes"],
        "inside": body["inside"],
        "together": body["together"],
        "versions": body["versions"],
        "differences": [
            {
                "change": one["change"],
                "title": one["title"],
                "text": [{"op": op, "text": text} for op, text in (one.get("text") or {}).get("pieces", [])],
                "settings": one["settings"],
                "traces": one.get("traces", []),
            }
            for one in body["differences"]
        ],
        "seconds": body["seconds"],
    }


def _named(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: found[name] for name in names}


def _response(row: ResponseRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "at": iso(row.at.astimezone(UTC)),
        "note": row.note or None,
        "url": row.url or None,
        "change": row.change,
        "by": row.by or None,
        "recorded_at": iso(row.recorded_at),
        "recovered_at": iso(row.recovered_at) if row.recovered_at else None,
    }
