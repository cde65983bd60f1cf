"""REST: calibrations, their pairs, the gate, tasks for people, comparison of versions, and dated checks."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from evals import calibrating, routines
from evals.api import calibration_shapes as shape
from evals.calibrating.asking import begin_task
from evals.calibrating.gates import GateRefused, parse_gate, save_gate
from evals.read import calibration as read
from evals.read.calibration import Scope
from evals.read.gates import find_routine, gate_for
from evals.read.gates import routines as read_routines
from evals.read.pairs import load_pairs
from evals.read.setup import JudgeVersionView, JudgeView, get_judge
from evals.reviewing.config import RefusedReview
from evals.rubrics import Criterion
from telltale.projects.models import Project
from telltale.rest import paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from telltale.rest.views import ProjectView

TAG = "Calibration"
JUDGE = OpenApiParameter("judge", OpenApiTypes.STR, description="The judge, by its name in addresses.")
VERSION = OpenApiParameter("version", OpenApiTypes.INT, description="A version of the judge; the live one if left out.")
CRITERION = OpenApiParameter("criterion", OpenApiTypes.STR, description="The criterion's key.")
SCOPE = tuple(
    OpenApiParameter(name, OpenApiTypes.STR, description="Only this part of the traffic.")
    for name in ("feature", "model", "prompt_version")
)
SCOPE_NAMES = ("feature", "model", "prompt_version")
WHERE = ("judge", "version", "criterion", *SCOPE_NAMES)
ID = OpenApiParameter("calibration_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The calibration's id.")
ROUTINE_ID = OpenApiParameter("routine_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The check's id.")
VERSION_MAX = 2**31 - 1


def judge_named(project: Project, slug: str) -> JudgeView:
    """The judge; 400 where there is none, as the caller named it in a field."""
    found = get_judge(project.pk, slug) if slug else None
    if found is None:
        raise bad_field("judge", "is none of this project", limit="the judge's name in addresses", value=slug)
    return found


def version_of(judge: JudgeView, number: int | None) -> JudgeVersionView:
    """A version of a judge, the live or else the newest one by default; 400 where there is none."""
    found = judge.version(number) if number is not None else judge.live or judge.newest
    if found is None:
        raise bad_field("version", "is none of this judge", value=number)
    return found


def criterion_of(version: JudgeVersionView, key: str) -> Criterion:
    """A criterion of the version's rubric; 400 where there is none."""
    rubric = version.rubric_version.rubric
    found = rubric.criterion(key)
    if found is None:
        limit = "one of " + ", ".join(each.key for each in rubric.criteria)
        raise bad_field("criterion", "is none of the judge's rubric", limit=limit, value=key)
    return found


def scope_of(request: Request) -> Scope:
    """The part of the traffic that the address names."""
    return Scope(*(params.text(request.query_params, name) for name in SCOPE_NAMES))


def number_of(request: Request, name: str) -> int | None:
    """A version's number; None where it is left out."""
    return params.integer(request.query_params, name, 0, 1, VERSION_MAX) or None


class CalibrationsView(ProjectView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": (*WHERE, "state", "history", "limit", "cursor")}

    @shapes.describe(
        "Calibrations",
        shapes.page_of(shape.CalibrationShape, "CalibrationPage"),
        tag=TAG,
        detail="The newest calibration of each judge version, criterion and scope, newest first; with `history=true` "
        "every one that was kept, of which `result` then holds agreement and gate alone. `feature`, `model` and "
        "`prompt_version` keep to calibrations of exactly that scope.",
        query=(
            JUDGE,
            OpenApiParameter("version", OpenApiTypes.INT, description="A version of the judge; any if left out."),
            CRITERION,
            *SCOPE,
            OpenApiParameter("state", OpenApiTypes.STR, enum=shape.STATES, description="Only such."),
            OpenApiParameter("history", OpenApiTypes.BOOL, description="Also those that newer ones replaced."),
            shapes.LIMIT,
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        slug, number = params.text(query, "judge"), number_of(request, "version")
        judge = judge_named(self.project, slug) if slug else None
        if number is not None and judge is None:
            raise bad_field("judge", "is required beside `version`")
        version_id = None if judge is None or number is None else version_of(judge, number).id
        judge_id = None if judge is None else judge.id
        criterion = params.text(query, "criterion") or None
        scope = scope_of(request) if any(name in query for name in SCOPE_NAMES) else None
        limit, state = params.page_size(query), params.choice(query, "state", shape.STATES)
        position = paging.read_cursor(params.text(query, "cursor"), int)
        before = None if position is None else int(position[0])
        if params.boolean(query, "history"):
            if state:
                raise bad_field("state", "is not taken beside `history`")
            rows = list(
                read.kept(
                    self.project.pk,
                    judge_id=judge_id,
                    version_id=version_id,
                    criterion=criterion,
                    scope=scope,
                    before=before,
                    most=limit + 1,
                )
            )
        else:
            found = read.newest(self.project.pk, judge_id=judge_id, version_id=version_id, criterion=criterion)
            rows = sorted(found, key=lambda row: -row.id)
            rows = [
                row
                for row in rows
                if (scope is None or row.scope == scope)
                and (not state or row.state == state)
                and (before is None or row.id < before)
            ]
        after = paging.write_cursor(rows[limit - 1].id) if len(rows) > limit else None
        return Response(paging.page(request, [shape.calibration_json(row) for row in rows[:limit]], after, None))

    @shapes.describe(
        "Calibrate a judge version now",
        shape.CalibrationsMadeShape,
        tag=TAG,
        status=201,
        body=shape.CalibrationBody,
        detail="Sets it against the labels there are. The same happens by itself within a minute of new labels. "
        "No item is made for a criterion in which no answer has both a label and a score of this version.",
    )
    def post(self, request: Request) -> Response:
        body = checked(shape.CalibrationBody, request)
        judge = judge_named(self.project, body["judge"])
        version = version_of(judge, body.get("version"))
        key = body.get("criterion")
        chosen = [criterion_of(version, key)] if key else list(version.rubric_version.rubric.criteria)
        scope = Scope.of(body.get("scope") or {})
        made = [calibrating.calibrate(self.project.pk, version, criterion, scope) for criterion in chosen]
        return Response({"items": [shape.calibration_json(row) for row in made if row is not None]}, status=201)


class CalibrationView(ProjectView):
    acts = {"GET": "read"}

    @shapes.describe("One calibration", shape.CalibrationShape, tag=TAG, path=(ID,))
    def get(self, request: Request, calibration_id: str) -> Response:
        row = read.find(self.project.pk, params.row_id(calibration_id))
        if row is None:
            raise not_found()
        return Response(shape.calibration_json(row))


class PairsView(ProjectView):
    acts = {"GET": "read"}
    query = {"GET": (*WHERE, "limit", "cursor")}

    @shapes.describe(
        "Pairs behind a calibration",
        shapes.page_of(shape.PairShape, "PairPage"),
        tag=TAG,
        detail="What people and a judge version said of the same answers, in the order of trace ids.",
        query=(JUDGE, VERSION, CRITERION, *SCOPE, shapes.LIMIT, shapes.CURSOR),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        version = version_of(judge_named(self.project, params.text(query, "judge")), number_of(request, "version"))
        criterion = criterion_of(version, params.text(query, "criterion"))
        found = load_pairs(self.project.pk, version.id, criterion, scope_of(request))
        limit, position = params.page_size(query), paging.read_cursor(params.text(query, "cursor"), str, int)
        after = None if position is None else (position[0], position[1])
        rows = [pair for pair in found.labelled if after is None or (pair.trace_id.hex, pair.span_id) > after]
        last = rows[limit - 1] if len(rows) > limit else None
        cursor = None if last is None else paging.write_cursor(last.trace_id.hex, last.span_id)
        return Response(paging.page(request, [shape.pair_json(pair, found) for pair in rows[:limit]], cursor, None))


class CompareVersionsView(ProjectView):
    acts = {"GET": "read"}
    query = {"GET": (*WHERE, "against")}

    @shapes.describe(
        "Compare two versions of a judge",
        shape.ComparedShape,
        tag=TAG,
        detail="On the labelled answers that both scored; differences are second minus first, with paired intervals. "
        "404 where there are none.",
        query=(
            JUDGE,
            VERSION,
            OpenApiParameter("against", OpenApiTypes.INT, required=True, description="The other version."),
            CRITERION,
            *SCOPE,
        ),
    )
    def get(self, request: Request) -> Response:
        judge = judge_named(self.project, params.text(request.query_params, "judge"))
        version = version_of(judge, number_of(request, "version"))
        against = number_of(request, "against")
        if against is None:
            raise bad_field("against", "is required: the number of the other version")
        other = judge.version(against)
        if other is None:
            raise bad_field("against", "is none of this judge", value=against)
        criterion = criterion_of(version, params.text(request.query_params, "criterion"))
        found = calibrating.compare(self.project.pk, version, other, criterion, scope_of(request))
        if found is None:
            raise not_found()
        return Response(shape.compared_json(found))


class GateView(ProjectView):
    acts = {"GET": "read", "PUT": "measure"}
    query = {"GET": ("judge",), "PUT": ("judge",)}

    def _judge(self, request: Request) -> JudgeView | None:
        slug = params.text(request.query_params, "judge")
        return judge_named(self.project, slug) if slug else None

    @shapes.describe(
        "The gate",
        shape.GateAnswerShape,
        tag=TAG,
        detail="What a judge must show, or what all judges must without `judge`.",
        query=(JUDGE,),
    )
    def get(self, request: Request) -> Response:
        judge = self._judge(request)
        return Response(shape.gate_json(gate_for(self.project.pk, None if judge is None else judge.id)))

    @shapes.describe(
        "Change the gate",
        shape.GateAnswerShape,
        tag=TAG,
        body=shape.GateBody,
        detail="Of one judge, or of the project without `judge`. What is calibrated is put to the new values at once "
        "for a judge, within a minute for the rest.",
        query=(JUDGE,),
    )
    def put(self, request: Request) -> Response:
        body = checked(shape.GateBody, request)
        judge = self._judge(request)
        is_own = body.pop("own", None)
        if is_own is False and judge is None:
            raise bad_field("own", "is of a judge; name one in `judge`")
        before = gate_for(self.project.pk, None if judge is None else judge.id).settings
        try:
            wanted = None if is_own is False else parse_gate(body, before)
        except GateRefused as refused:
            told = FieldError(refused.field, refused.message, refused.limit, body.get(refused.field))
            raise Problem(400, str(refused), told) from None
        choice = save_gate(
            self.project,
            wanted,
            judge_id=None if judge is None else judge.id,
            judge_slug="" if judge is None else judge.slug,
            request=self.http,
        )
        if judge is not None:
            calibrating.judge_again(self.project.pk, judge.id)
        return Response(shape.gate_json(choice))


class CalibrationTasksView(ProjectView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Draw answers for people to label",
        shape.TaskShape,
        tag=TAG,
        status=201,
        body=shape.TaskBody,
        detail="A blind review queue of judged answers over all levels of a criterion, each with a known chance.",
    )
    def post(self, request: Request) -> Response:
        body = checked(shape.TaskBody, request)
        judge = judge_named(self.project, body.pop("judge"))
        version = version_of(judge, body.pop("version", None))
        try:
            made = begin_task(self.project, judge, version, **body, by_id=self.person_id, request=self.http)
        except RefusedReview as refused:
            told = FieldError(refused.field, refused.message, refused.limit or None, refused.value or None)
            raise Problem(400, str(refused), told) from None
        return Response({"queue": made.queue.slug, "items": made.items, "to_judge": made.to_judge}, status=201)


class RoutinesView(ProjectView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("judge", "kind", "state", "limit", "cursor")}

    @shapes.describe(
        "Dated checks of judges",
        shapes.page_of(shape.RoutineShape, "RoutinePage"),
        tag=TAG,
        detail="Monthly and quarterly looks, bias probes, and the injection set; newest first.",
        query=(
            JUDGE,
            OpenApiParameter("kind", OpenApiTypes.STR, enum=routines.KINDS, description="Only such."),
            OpenApiParameter("state", OpenApiTypes.STR, enum=("due", "running", "done", "skipped")),
            shapes.LIMIT,
            shapes.CURSOR,
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        slug = params.text(query, "judge")
        position, limit = paging.read_cursor(params.text(query, "cursor"), int), params.page_size(query)
        rows = read_routines(
            self.project.pk,
            judge_id=judge_named(self.project, slug).id if slug else None,
            kind=params.choice(query, "kind", routines.KINDS),
            state=params.choice(query, "state", ("due", "running", "done", "skipped")),
            before=int(position[0]) if position else 0,
            most=limit + 1,
        )
        after = paging.write_cursor(rows[limit - 1].id) if len(rows) > limit else None
        return Response(paging.page(request, [shape.routine_json(row) for row in rows[:limit]], after, None))

    @shapes.describe(
        "Begin a check now",
        shape.RoutineShape,
        tag=TAG,
        status=201,
        body=shape.RoutineBody,
        problems={409: "One of its kind is under way."},
    )
    def post(self, request: Request) -> Response:
        body = checked(shape.RoutineBody, request)
        judge = judge_named(self.project, body["judge"])
        kinds = routines.kinds_for(judge.kind)
        if body["kind"] not in kinds:
            raise bad_field("kind", "is none for this judge", limit=f"one of {', '.join(kinds)}", value=body["kind"])
        version = body.get("version")
        if version is not None:
            if body["kind"] != routines.ATTACKS:
                raise bad_field("version", "is for attacks alone", limit=f"kind {routines.ATTACKS}", value=version)
            version = version_of(judge, version).number
        begun = routines.begin_now(self.project, judge, body["kind"], version=version, request=self.http)
        row = None if begun is None else find_routine(self.project.pk, begun)
        if row is None:
            raise Problem(409, "A check of this kind is under way.")
        return Response(shape.routine_json(row), status=201)


class RoutineView(ProjectView):
    acts = {"GET": "read", "DELETE": "measure"}

    @shapes.describe("One check", shape.RoutineShape, tag=TAG, path=(ROUTINE_ID,))
    def get(self, request: Request, routine_id: str) -> Response:
        return Response(shape.routine_json(self._row(routine_id)))

    @shapes.describe(
        "Skip a check",
        None,
        tag=TAG,
        status=204,
        path=(ROUTINE_ID,),
        detail="Lets a check that is due or under way go; it stays in the list as skipped.",
        problems={409: "It is over."},
    )
    def delete(self, request: Request, routine_id: str) -> Response:
        if not routines.skip(self.project, self._row(routine_id), request=self.http):
            raise Problem(409, "The check is over.")
        return Response(status=204)

    def _row(self, routine_id: str) -> Any:
        row = find_routine(self.project.pk, params.row_id(routine_id))
        if row is None:
            raise not_found()
        return row
