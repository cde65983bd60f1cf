"""REST: outcomes as they are defined, what they come to, and the sessions behind each number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.lib import clock
from telltale.rest import form, paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces import measuring
from traces.api import outcome_shapes as said
from traces.api.traces import answers
from traces.outcomes.presets import PRESETS
from traces.outcomes.ratio import Ratio, Sums, TooLittle, change
from traces.outcomes.spec import FEATURE_MAX, SpecRefused, parse_outcome, to_json
from traces.outcomes.words import sentence
from traces.pages.export import FORMATS
from traces.pages.outcome_files import download_days, download_sessions, read_spot, session_record, write_spot
from traces.pages.outcome_words import unit_of
from traces.read import outcomes as read
from traces.read.outcome_sessions import WHICH, choices, each_session, list_sessions
from traces.read.outcomes import Defined, Period, Point, Progress, figure, period_of

WINDOW_DEFAULT, WINDOW_MAX = timedelta(days=7), timedelta(days=400)
ARCHIVED = {409: "The outcome is archived: it has no figures until it is taken back."}
OUTCOME = OpenApiParameter("outcome", OpenApiTypes.STR, OpenApiParameter.PATH, description="The outcome's slug.")
FEATURE = OpenApiParameter("feature", OpenApiTypes.STR, description="Sessions of this feature alone.")
FORMAT = OpenApiParameter("format", OpenApiTypes.STR, enum=["json", *FORMATS], description="csv, ndjson: as a file.")


class OutcomesView(ProjectView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("archived", "from", "to", "feature")}

    @shapes.describe(
        "List outcomes with their figures",
        said.OutcomeListShape,
        tag="Outcomes",
        detail="Each with its figure over the window (the last 7 days if absent), that of as long a window before, and "
        "their difference.",
        query=(
            OpenApiParameter("archived", OpenApiTypes.BOOL, description="Also those put away, which have no figures."),
            shapes.FROM,
            shapes.TO,
            FEATURE,
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        found = read.list_outcomes(self.project.pk, with_archived=params.boolean(query, "archived") or False)
        period, feature = _period(request), _feature(request)
        live = [each for each in found if each.archived_at is None]
        with answers():
            now = read.read_sums(self.project.pk, live, period, feature)
            before = read.read_sums(self.project.pk, live, period.before, feature)
        progress = read.progress_of(self.project.pk, live)
        items = []
        for each in found:
            counted = progress.get(each.id)
            figures = dict(_NO_FIGURES)
            if each.id in now:
                figures = compared(each, now[each.id], before[each.id], period, counted)
            items.append(outcome_json(each, counted) | figures)
        return Response({"items": items, **_window(period)})

    @shapes.describe(
        "Define an outcome",
        said.OutcomeShape,
        tag="Outcomes",
        status=201,
        body=said.OutcomeBody,
        detail="By `name` and `spec`, or by `preset`, the slug of a shipped one. The stored sessions are counted by a "
        "job; `recount` says how far it is.",
    )
    def post(self, request: Request) -> Response:
        body = checked(said.OutcomeBody, request)
        preset = body.get("preset", "")
        with told():
            if preset:
                if set(body) - {"preset"}:
                    raise bad_field("preset", "stands alone: it brings its name and spec")
                made = measuring.add_preset(self.project, preset, by_id=self.person_id, request=self.http)
            else:
                if "spec" not in body or "name" not in body:
                    missing = "name" if "name" not in body else "spec"
                    raise bad_field(missing, "is required, unless `preset` names a shipped outcome")
                made = measuring.add_outcome(
                    self.project, body["name"], body["spec"], slug=body.get("slug", ""), by_id=self.person_id,
                    request=self.http,
                )  # fmt: skip
        return Response(_one(self.project.pk, made), status=201)


class OneOutcomeView(ProjectView):
    acts = {"GET": "read", "PATCH": "measure", "DELETE": "measure"}

    @shapes.describe("One outcome", said.OutcomeShape, tag="Outcomes", path=(OUTCOME,))
    def get(self, request: Request, outcome: str) -> Response:
        return Response(_one(self.project.pk, _find(self.project.pk, outcome)))

    @shapes.describe(
        "Change an outcome",
        said.OutcomeShape,
        tag="Outcomes",
        path=(OUTCOME,),
        body=said.OutcomeChange,
        detail="What is given. Another measure makes a new revision: its figures begin anew and the stored sessions "
        "are counted by a job. `is_archived` puts it away, or takes it back.",
    )
    def patch(self, request: Request, outcome: str) -> Response:
        held = _find(self.project.pk, outcome)
        body = checked(said.OutcomeChange, request)
        if not body:
            raise bad_field("spec", "or another field is required: there is nothing to change")
        with told():
            held = measuring.change_all(
                self.project, held.slug, name=body.get("name"), told=body.get("spec"),
                is_archived=body.get("is_archived"), by_id=self.person_id, request=self.http,
            )  # fmt: skip
        return Response(_one(self.project.pk, held))

    @shapes.describe(
        "Put an outcome away",
        None,
        tag="Outcomes",
        status=204,
        path=(OUTCOME,),
        detail="It is not counted any more and its figures go; its definition stays. `is_archived: false` takes it "
        "back, counted anew.",
    )
    def delete(self, request: Request, outcome: str) -> Response:
        with told():
            held = _find(self.project.pk, outcome)
            measuring.archive_outcome(
                self.project, held.slug, is_archived=True, by_id=self.person_id, request=self.http
            )
        return Response(status=204)


class OutcomeRecountView(ProjectView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Count an outcome again",
        said.OutcomeShape,
        tag="Outcomes",
        path=(OUTCOME,),
        detail="Throws its figures away and counts the stored sessions anew, as where a job failed.",
    )
    def post(self, request: Request, outcome: str) -> Response:
        with told():
            held = _find(self.project.pk, outcome)
            return Response(
                _one(
                    self.project.pk,
                    measuring.count_again(self.project, held.slug, by_id=self.person_id, request=self.http),
                )
            )


class OutcomePreviewView(ProjectView):
    acts = {"POST": "read"}

    @shapes.describe(
        "Try an outcome out",
        said.OutcomeTriedShape,
        tag="Outcomes",
        body=said.PreviewBody,
        detail=f"What a measure says of the sessions of the last {measuring.TRIED_DAYS} days, at most the newest "
        f"{measuring.TRIED_UNITS:,} of them. Nothing is saved.",
    )
    def post(self, request: Request) -> Response:
        body = checked(said.PreviewBody, request)
        with told(), answers():
            spec = parse_outcome(body["spec"])
            tried = measuring.try_outcome(self.project, spec)
        shown = {"spec": to_json(spec), "sentence": sentence(spec), "unit": unit_of(spec)}
        looked = {"looked_at": tried.looked, "is_capped": tried.is_capped, "since": form.moment(tried.since)}
        return Response(shown | looked | {"figure": figure_json(tried.figure, tried.sums)})


class OutcomePresetsView(ProjectView):
    @shapes.describe("Outcomes to begin with", said.OutcomePresetsShape, tag="Outcomes")
    def get(self, request: Request) -> Response:
        names = ("slug", "name", "about")
        items = [
            {name: getattr(each, name) for name in names} | {"spec": to_json(parse_outcome(each.told))}
            for each in PRESETS
        ]
        return Response({"items": items})


class OutcomeFiguresView(ProjectView):
    query = {"GET": ("from", "to", "feature")}

    @shapes.describe(
        "What an outcome comes to",
        said.OutcomeFiguresShape,
        tag="Outcomes",
        path=(OUTCOME,),
        query=(shapes.FROM, shapes.TO, FEATURE),
        detail="Over the whole hours that the window touches (the last 7 days if absent): the figure, that of as long "
        "a window before, their difference, and the figure of each feature. Sessions that are still open are in none.",
        problems=ARCHIVED,
    )
    def get(self, request: Request, outcome: str) -> Response:
        found, period = _live(self.project.pk, outcome), _period(request)
        feature = _feature(request)
        with answers():
            now = read.read_sums(self.project.pk, [found], period, feature)[found.id]
            before = read.read_sums(self.project.pk, [found], period.before, feature)[found.id]
            features, has_more = read.read_features(self.project.pk, found, period)
        progress = read.progress_of(self.project.pk, [found]).get(found.id)
        figures = compared(found, now, before, period, progress)
        by_feature = [
            {"feature": name or None, **figure_json(figure(found, sums), sums)} for name, sums in features
        ]  # fmt: skip
        return Response(
            {**_window(period), **figures, "unit": unit_of(found.spec), "features": by_feature,
             "has_more_features": has_more, "recount": progress_json(progress)}
        )  # fmt: skip


class OutcomeDaysView(ProjectView):
    query = {"GET": ("from", "to", "feature", "format")}

    @shapes.describe(
        "An outcome day by day",
        said.OutcomeDaysShape,
        tag="Outcomes",
        path=(OUTCOME,),
        query=(shapes.FROM, shapes.TO, FEATURE, FORMAT),
        detail="A point for each day that the window touches, in the project's zone, oldest first, with the sums it "
        "is made of: sums of several days add up to theirs.",
        problems=ARCHIVED,
    )
    def get(self, request: Request, outcome: str) -> HttpResponseBase:
        found, period = _live(self.project.pk, outcome), _period(request)
        kind = params.choice(request.query_params, "format", ("json", *FORMATS), "json")
        with answers():
            days = read.read_days(
                self.project.pk, self.project.time_zone, [found], period, _feature(request)
            )[found.id]  # fmt: skip
        if kind in FORMATS:
            return download_days(self.project.slug, found, days, kind, is_head=request.method == "HEAD")
        items = [day_json(each) for each in days]
        progress = _progress(self.project.pk, found)
        return Response({**_window(period), "unit": unit_of(found.spec), "items": items, "recount": progress})


class OutcomeSessionsView(ProjectView):
    query = {"GET": ("which", "from", "to", "feature", "limit", "cursor", "format")}

    @shapes.describe(
        "The sessions behind an outcome",
        shapes.page_of(said.OutcomeSessionShape, "OutcomeSessionPage"),
        tag="Outcomes",
        path=(OUTCOME,),
        query=(
            OpenApiParameter("which", OpenApiTypes.STR, enum=WHICH, description="With X, without it, or not known."),
            shapes.FROM,
            shapes.TO,
            FEATURE,
            shapes.LIMIT,
            shapes.CURSOR,
            FORMAT,
        ),
        detail="Closed sessions by their first turn, newest first, as the outcome counts them.",
        problems=ARCHIVED,
    )
    def get(self, request: Request, outcome: str) -> HttpResponseBase:
        found, period, query = _live(self.project.pk, outcome), _period(request), request.query_params
        which = params.choice(query, "which", WHICH, "all")
        if which not in choices(found):
            limit = f"one of {', '.join(choices(found))}"
            raise bad_field(
                "which", "has no list: the outcome is a mean over sessions with it", limit=limit, value=which
            )
        kind = params.choice(query, "format", ("json", *FORMATS), "json")
        feature = _feature(request)
        if kind in FORMATS:
            with answers():
                return download_sessions(
                    self.project.slug, found, kind,
                    each_session(self.project.pk, found, period, which, feature), is_head=request.method == "HEAD",
                )  # fmt: skip
        spot = read_spot(params.text(query, "cursor"))
        with answers():
            page = list_sessions(self.project.pk, found, period, which, feature, spot, params.page_size(query))
        items = [session_record(each) for each in page.rows]
        return Response(paging.page(request, items, write_spot(page.older), write_spot(page.newer)))


@contextmanager
def told() -> Iterator[None]:
    """Raise what outcomes refuse as the problem a caller can mend."""
    try:
        yield
    except SpecRefused as refused:
        names = {"measure", "of", "among", "per", "features", "better", "unit"}
        first = refused.field.split(".")[0].split("[")[0]
        field = f"spec.{refused.field}" if first in names else refused.field
        raise bad_field(field, refused.message, limit=refused.limit or None, value=refused.value) from None
    except measuring.NotThere:
        raise not_found() from None


def outcome_json(found: Defined, progress: Progress | None) -> dict[str, Any]:
    """An outcome as REST shows it."""
    return {
        "slug": found.slug,
        "name": found.name,
        "spec": to_json(found.spec),
        "sentence": sentence(found.spec),
        "unit": unit_of(found.spec),
        "revision": found.revision,
        "created_by": found.created_by or None,
        "created_at": form.moment(found.created_at),
        "changed_at": form.moment(found.changed_at),
        "archived_at": form.moment(found.archived_at),
        "recount": progress_json(progress),
    }


def progress_json(progress: Progress | None) -> dict[str, Any] | None:
    """How far counting again is; None where it is done."""
    if progress is None:
        return None
    return {"state": progress.state, "done": progress.done, "total": progress.total, "error": progress.error}


def figure_json(found: Ratio | TooLittle, sums: Sums) -> dict[str, Any]:
    """A figure with its interval and n, or what there is too little of."""
    base = {
        "sessions": sums.n,
        "unknown": sums.unknown,
        "known_share": sums.known_share,
        "sum_x": f"{sums.x.normalize():f}",
        "sum_y": f"{sums.y.normalize():f}",
    }
    if isinstance(found, TooLittle):
        lacking = {"what": found.what, "have": found.have, "need": found.need}
        return {"value": None, "low": None, "high": None, "method": None, "lacking": lacking, **base}
    return {"value": found.value, "low": found.low, "high": found.high, "method": found.method, "lacking": None, **base}


def compared(found: Defined, now: Sums, before: Sums, period: Period, counted: Progress | None) -> dict[str, Any]:
    """The figure of a period, of the one before, and their difference: none while sessions are counted again."""
    later, earlier = figure(found, now), figure(found, before)
    difference = None
    if counted is None and isinstance(later, Ratio) and isinstance(earlier, Ratio):
        moved = change(later, earlier)
        difference = {
            "value": moved.value,
            "low": moved.low,
            "high": moved.high,
            "is_more_than_noise": moved.is_more_than_noise,
        }
    return {
        "figure": figure_json(later, now),
        "before": figure_json(earlier, before) | {
            "from": form.moment(period.before.start), "to": form.moment(period.before.end),
        },
        "change": difference,
    }  # fmt: skip


_NO_FIGURES: dict[str, Any] = {"figure": None, "before": None, "change": None}


def day_json(point: Point) -> dict[str, Any]:
    """One day as REST shows it."""
    found = point.lacking or Ratio(point.ratio or 0.0, point.low or 0.0, point.high or 0.0, point.n, point.method)
    shown = figure_json(found, point.sums)
    return {"day": point.day.isoformat(), "start": form.moment(point.start), "end": form.moment(point.end), **shown}


def _find(project_id: int, slug: str) -> Defined:
    found = read.get_outcome(project_id, params.clean_text("outcome", slug))
    if found is None:
        raise not_found()
    return found


def _live(project_id: int, slug: str) -> Defined:
    found = _find(project_id, slug)
    if found.archived_at is not None:
        raise Problem(409, "The outcome is archived and has no figures. Take it back, and it is counted anew.")
    return found


def _one(project_id: int, found: Defined) -> dict[str, Any]:
    return outcome_json(found, read.progress_of(project_id, [found]).get(found.id))


def _progress(project_id: int, found: Defined) -> dict[str, Any] | None:
    return progress_json(read.progress_of(project_id, [found]).get(found.id))


def _period(request: Request) -> Period:
    now = clock.now()
    start, end = params.window(request.query_params, now - WINDOW_DEFAULT, now)
    if end - start > WINDOW_MAX:
        raise bad_field("from", "is too far from `to`", limit=f"{WINDOW_MAX.days} days", value=(end - start).days)
    return period_of(start, end)


def _window(period: Period) -> dict[str, Any]:
    return {"from": form.moment(period.start), "to": form.moment(period.end)}


def _feature(request: Request) -> str | None:
    name = params.text(request.query_params, "feature")
    if len(name) > FEATURE_MAX:
        raise bad_field("feature", "is too long", limit=f"{FEATURE_MAX} characters")
    return name if "feature" in request.query_params else None
