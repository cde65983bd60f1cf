"""REST: whether votes can be trusted, its history, what counts as satisfied, and silent sessions to read."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from evals.api import survivorship_shapes as shape
from evals.read.estimates import WINDOW_MAX, whole_hours
from evals.read.survivorship_kept import read_days
from evals.read.survivorship_sessions import read_silent
from evals.stats.results import TooLittle
from evals.stats.survivorship import NotIdentified
from evals.surviving import RefusedAnchor, anchoring_for, look_at, save_anchoring
from evals.surviving.keeping import KEPT_DAYS
from evals.surviving.looking import DELTA_MOST, rates_by_delta
from telltale.lib import clock
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field
from telltale.rest.views import ProjectView
from traces.api.traces import too_slow
from traces.read import TooSlow
from traces.read.behaviour import progress

TAG = "Survivorship"
DEFAULT_WINDOW = timedelta(days=7)
SEED_MAX = 2**31 - 1
FEATURES_MOST = 50
DAY_LIMIT = "a day such as 2026-11-19"
FEATURE = OpenApiParameter("feature", OpenApiTypes.STR, description="Sessions of this feature; empty: of none.")
UNITS = OpenApiParameter(
    "units", OpenApiTypes.STR, enum=["all"], description="Count traces that name no session as one unit each, too."
)
DELTA = OpenApiParameter(
    "delta",
    OpenApiTypes.FLOAT,
    description="0 to 0.5: `sensitivity` then has this step alone. Without it, steps of 0.05.",
)


def window_of(request: Request) -> tuple[datetime, datetime]:
    """The window asked for, the last seven days where none is."""
    query = request.query_params
    end = params.moment(query, "to") or clock.now()
    start, end = params.window(query, end - DEFAULT_WINDOW, end)
    if end - start > WINDOW_MAX:
        raise bad_field("from", "is too far from `to`", limit=f"{WINDOW_MAX.days} days", value=start.isoformat())
    return start, end


def feature_of(request: Request) -> str | None:
    """The feature asked about: "" for none told, None for all."""
    query = request.query_params
    return params.text(query, "feature") if "feature" in query else None


class SurvivorshipView(ProjectView):
    query = {"GET": ("from", "to", "feature", "units", "delta")}

    @shapes.describe(
        "Whether votes can be trusted",
        shape.SurvivorshipShape,
        tag=TAG,
        detail="Sessions whose first turn lies in the window, by what they did and how they voted; what votes say, "
        "what they leave open, the adjusted rate, the anchor, and the verdict with the rule it was made by. Without a "
        "window the last seven days.",
        query=(shapes.FROM, shapes.TO, FEATURE, UNITS, DELTA),
    )
    def get(self, request: Request) -> Response:
        start, end = window_of(request)
        with_lone = params.choice(request.query_params, "units", ("all",)) == "all"
        delta = _delta(request)
        try:
            found = look_at(
                self.project.pk,
                start,
                end,
                feature=feature_of(request),
                with_lone=with_lone,
                features_most=FEATURES_MOST,
            )
        except TooSlow:
            raise too_slow() from None
        now = progress(self.project.pk)
        definitions = {"version": now.version, "is_running": now.is_running, "done": now.done, "total": now.total}
        answer = shape.whole(found, definitions)
        if delta is not None:
            line = rates_by_delta(found.whole.counts, (delta,), found.whole.seed)
            if not isinstance(line, NotIdentified | TooLittle):
                answer["sensitivity"] = [{"delta": delta, "estimate": shape.estimate(line[0])}]
        return Response(answer)


def _delta(request: Request) -> float | None:
    raw = params.text(request.query_params, "delta")
    if not raw:
        return None
    limit = f"a number from 0 to {DELTA_MOST:g}"
    try:
        value = float(raw)
    except ValueError:
        raise bad_field("delta", "is no number", limit=limit, value=raw) from None
    if not (math.isfinite(value) and 0 <= value <= DELTA_MOST):
        raise bad_field("delta", "is out of range", limit=limit, value=raw)
    return value


class SurvivorshipHistoryView(ProjectView):
    query = {"GET": ("from", "to", "feature")}

    @shapes.describe(
        "History of the verdict on votes",
        shape.SurvivorshipHistoryShape,
        tag=TAG,
        detail="One verdict a day, over the 28 days before its end, made in the night after. Days of the project's "
        f"time zone; without `from` the last {KEPT_DAYS}.",
        query=(
            OpenApiParameter("from", OpenApiTypes.DATE, description="First day."),
            OpenApiParameter("to", OpenApiTypes.DATE, description="Last day, included."),
            FEATURE,
        ),
    )
    def get(self, request: Request) -> Response:
        first, last = _day(request, "from"), _day(request, "to")
        if first is not None and last is not None and first > last:
            raise bad_field("from", "must not be after `to`", limit=last.isoformat(), value=first.isoformat())
        since = first or (last or clock.now().astimezone(self.zone).date()) - timedelta(days=KEPT_DAYS)
        feature = feature_of(request)
        days = [day for day in read_days(self.project.pk, feature, since) if last is None or day.day <= last]
        return Response({"feature": feature, "items": [shape.day(day) for day in days]})


def _day(request: Request, name: str) -> date | None:
    raw = params.text(request.query_params, name)
    if not raw:
        return None
    try:
        day = date.fromisoformat(raw)
    except ValueError:
        raise bad_field(name, "is no day", limit=DAY_LIMIT, value=raw) from None
    if not params.YEAR_MIN <= day.year <= params.YEAR_MAX:
        raise bad_field(name, "is out of range", limit="years 1970 to 2200", value=raw)
    return day


class SurvivorshipSettingsView(ProjectView):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe(
        "What counts as a satisfied session",
        shape.SurvivorshipSettingsAnswerShape,
        tag=TAG,
        detail="Where nobody chose, the criterion of a live judge that is named most like satisfaction, else what "
        "people alone say of randomly drawn answers.",
    )
    def get(self, request: Request) -> Response:
        return Response(shape.settings_answer(anchoring_for(self.project.pk)))

    @shapes.describe(
        "Choose what counts as a satisfied session",
        shape.SurvivorshipSettingsAnswerShape,
        tag=TAG,
        body=shape.SurvivorshipSettingsBody,
        detail="The history of the verdict is made anew within the hour.",
    )
    def patch(self, request: Request) -> Response:
        body: dict[str, Any] = checked(shape.SurvivorshipSettingsBody, request)
        try:
            found = save_anchoring(self.project, body, request=self.http)
        except RefusedAnchor as refused:
            told = FieldError(refused.field, refused.message, refused.limit, body.get(refused.field))
            raise Problem(400, str(refused), told) from None
        return Response(shape.settings_answer(found))


class SilentSessionsView(ProjectView):
    query = {"GET": ("from", "to", "feature", "seed", "limit")}

    @shapes.describe(
        "Silent sessions that left",
        shape.SilentSessionsShape,
        tag=TAG,
        detail="Closed sessions that left after an answer and gave no vote, drawn at random, to be read by people. "
        "Without a window the last seven days.",
        query=(
            shapes.FROM,
            shapes.TO,
            FEATURE,
            OpenApiParameter(
                "seed", {"type": "integer", "minimum": 0, "maximum": SEED_MAX}, description="Of the draw."
            ),
            OpenApiParameter(
                "limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}, description="How many."
            ),
        ),
    )
    def get(self, request: Request) -> Response:
        start, end = window_of(request)
        seed = params.integer(request.query_params, "seed", 0, 0, SEED_MAX)
        n = params.integer(request.query_params, "limit", 20, 1, 100)
        try:
            rows = read_silent(self.project.pk, start, end, feature_of(request), n, seed)
        except TooSlow:
            raise too_slow() from None
        start, end = whole_hours(start, end)
        items = [shape.silent(row) for row in rows]
        return Response({"start": form.moment(start), "end": form.moment(end), "seed": seed, "items": items})
