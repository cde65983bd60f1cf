"""REST: what is taken for abandonment, a retry, a vote …, and how often each was seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.lib import clock
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem
from telltale.rest.views import ProjectView
from traces import behaving
from traces.api import definition_shapes as said
from traces.api.traces import answers
from traces.behaviour import sentences
from traces.behaviour.definition import FEATURE_CHARS_MAX, DefinitionError, parse_definition, to_json
from traces.behaviour.rates import Mean, Rate
from traces.read import behaviour as read
from traces.read.definitions import in_force, list_versions, try_definition

WINDOW_DEFAULT, WINDOW_MAX = timedelta(days=7), timedelta(days=400)
_FEATURE = OpenApiParameter("feature", OpenApiTypes.STR, description="Sessions of this feature alone.")


class DefinitionsView(ProjectView):
    acts = {"GET": "read", "PUT": "measure"}

    @shapes.describe("The definitions of signals in force", said.DefinitionsShape, tag="Signals")
    def get(self, request: Request) -> Response:
        return Response(_definitions(self.project.pk))

    @shapes.describe(
        "Put definitions of signals in force",
        said.DefinitionsShape,
        tag="Signals",
        body=said.DefinitionBody,
        detail="Makes a version, and a job counts the stored sessions by it; `progress` says how far it is. What "
        "`definition` leaves out is as shipped. One that says the same as the one in force makes no version.",
        problems={409: "Another version is in force than the one named."},
    )
    def put(self, request: Request) -> Response:
        body = checked(said.DefinitionBody, request)
        with told(), answers():
            behaving.save_definition(
                self.project, body["definition"], by_id=self.person_id, of_version=body.get("version"),
                actor=_actor(self), request=self.http,
            )  # fmt: skip
        return Response(_definitions(self.project.pk))


class DefinitionPreviewView(ProjectView):
    acts = {"POST": "read"}

    @shapes.describe(
        "Try definitions of signals out",
        said.DefinitionTriedShape,
        tag="Signals",
        body=said.DefinitionTryBody,
        detail="What a definition would say of the newest closed sessions, beside what the one in force says of the "
        "same ones. Nothing is saved.",
    )
    def post(self, request: Request) -> Response:
        body = checked(said.DefinitionTryBody, request)
        with told(), answers():
            wanted = parse_definition(body["definition"])
            tried = try_definition(self.project.pk, wanted, body.get("feature"))
        counts = [{"key": key, "now": now, "then": then} for key, _, now, then in tried.counts]
        return Response({"sessions": tried.sessions, "still_open": tried.open, "counts": counts})


class DefinitionProgressView(ProjectView):
    acts = {"GET": "read"}

    @shapes.describe(
        "How far sessions are counted by the definitions in force", said.DefinitionProgressShape, tag="Signals"
    )
    def get(self, request: Request) -> Response:
        return Response(_progress(self.project.pk))


class DefinitionRetryView(ProjectView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Go on with a count of sessions that stopped",
        said.DefinitionProgressShape,
        tag="Signals",
        problems={409: "No count has stopped."},
    )
    def post(self, request: Request) -> Response:
        if not behaving.retry_refold(self.project.pk):
            raise Problem(409, "No count has stopped.")
        return Response(_progress(self.project.pk))


class DefinitionVersionsView(ProjectView):
    acts = {"GET": "read"}

    @shapes.describe(
        "Versions of the definitions of signals",
        said.DefinitionVersionsShape,
        tag="Signals",
        detail="The newest 100, each with what it changed; the shipped one is version 0.",
    )
    def get(self, request: Request) -> Response:
        items = [
            {
                "version": each.version,
                "created_at": form.moment(each.created_at),
                "created_by": each.created_by or None,
                "changes": [{"field": field, "words": words} for field, words in each.changes],
            }
            for each in list_versions(self.project.pk, 100)
        ]
        return Response({"items": items})


class BehaviourRatesView(ProjectView):
    acts = {"GET": "read"}
    query = {"GET": ("from", "to", "feature")}

    @shapes.describe(
        "What people did",
        said.BehaviourRatesShape,
        tag="Signals",
        detail="Rates over closed sessions whose first turn lies in the window (the last 7 days if absent; whole "
        "hours), each with its rule in words, its denominator and its interval.",
        query=(shapes.FROM, shapes.TO, _FEATURE),
    )
    def get(self, request: Request) -> Response:
        query, now = request.query_params, clock.now()
        start, end = params.window(query, now - WINDOW_DEFAULT, now)
        if end - start > WINDOW_MAX:
            limit = f"{WINDOW_MAX.days} days"
            raise Problem(400, "The window is too long.", FieldError("from", "the window is too long", limit=limit))
        feature = params.text(query, "feature")[:FEATURE_CHARS_MAX] if "feature" in query else None
        with answers():
            found = read.rates(self.project.pk, start, end, feature)
        return Response(
            {
                "from": form.moment(start),
                "to": form.moment(end),
                "version": found.version,
                "sessions": found.sessions,
                "open": found.open,
                "lone": found.lone,
                "rates": [rate_json(rate) for rate in found.rates],
                "answers": mean_json(found.answers),
                "seconds": mean_json(found.seconds),
            }
        )


def _actor(view: ProjectView) -> str:
    """What the audit log calls a key; "" for a person, whom it knows."""
    holder = view.request.auth
    if not isinstance(holder, KeyHolder):
        return ""
    name = ApiKey.objects.filter(pk=holder.key_id).values_list("name", flat=True).first()
    return f"API key {name or holder.key_id}"


def rate_json(rate: Rate) -> dict[str, Any]:
    """One rate as REST tells it."""
    found = rate.found
    return {
        "key": rate.key,
        "name": rate.label,
        "rule": rate.rule,
        "found": found.k,
        "of": found.n,
        "share": found.share,
        "low": found.low,
        "high": found.high,
        "left_out": rate.left_out,
        "left_out_why": rate.left_out_why if rate.left_out else "",
    }


def mean_json(mean: Mean) -> dict[str, Any]:
    """One mean as REST tells it."""
    return {"value": mean.value, "low": mean.low, "high": mean.high, "n": mean.n}


@contextmanager
def told() -> Iterator[None]:
    """Raise what definitions refuse as the problem a caller can mend."""
    try:
        yield
    except DefinitionError as error:
        faults = [FieldError(_path(fault.field), fault.message, value=fault.value) for fault in error.faults[:50]]
        raise Problem(400, "The definition cannot be taken.", *faults) from None
    except behaving.Outdated as error:
        raise Problem(409, f"Version {error.version} is in force. Read it, and change that one.") from None


def _path(field: str) -> str:
    return field if field == "definition" else f"definition.{field[:200]}"


def _definitions(project_id: int) -> dict[str, Any]:
    held = in_force(project_id)
    return {
        "version": held.version,
        "created_at": form.moment(held.created_at),
        "created_by": held.created_by or None,
        "definition": to_json(held.definition),
        "rules": [{"key": key, "name": label, "rule": rule(held.definition)} for key, label, rule in sentences.ALL],
        "progress": _progress(project_id),
    }


def _progress(project_id: int) -> dict[str, Any]:
    found = read.progress(project_id)
    return {
        "version": found.version,
        "is_running": found.is_running,
        "done": found.done,
        "total": found.total,
        "share": found.share,
        "error": found.error,
        "waiting": found.waiting,
    }
