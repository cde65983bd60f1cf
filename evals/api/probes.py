"""REST: probes of models. Suites, what runs found, alarms, and the acts that go with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from evals import probing
from evals.api import probe_shapes as shape
from evals.api.keeping import KeepingView
from evals.api.probe_json import (
    alarm_json,
    answer_json,
    baseline_json,
    probe_json,
    result_json,
    run_json,
    series_json,
    suite_json,
)
from evals.api.refusals import told
from evals.probes.checks import JUDGE, SIMILAR, Checked, passed, run_rule
from evals.probes.presets import PRESETS
from evals.probes.spec import material_of
from evals.probing.starting import Conflict
from evals.read import probing as read
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import Problem, bad_field, not_found

TAG = "Probes"
SUITE = OpenApiParameter("suite", OpenApiTypes.STR, OpenApiParameter.PATH, description="The suite's slug.")
KEY = OpenApiParameter("key", OpenApiTypes.STR, OpenApiParameter.PATH, description="The probe's key.")
NUMBER = OpenApiParameter("number", OpenApiTypes.STR, OpenApiParameter.PATH, description="The run's number.")
SERIES = OpenApiParameter("series_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The series' id.")
ALARM = OpenApiParameter("probe_alarm", OpenApiTypes.STR, OpenApiParameter.PATH, description="The alarm's id.")
OF_SUITE = OpenApiParameter("suite", OpenApiTypes.STR, description="The suite's slug.")
BEFORE = OpenApiParameter("before", OpenApiTypes.STR, description="What `next` gave.")
RUN_MAX = 2**31 - 1


class _ProbeView(KeepingView):
    """An address of probes."""

    def suite(self, slug: str) -> read.SuiteView:
        """The suite, or 404."""
        found = None if "\x00" in slug else read.get_suite(self.project.pk, slug)
        if found is None:
            raise not_found()
        return found

    def series(self, raw: str) -> read.SeriesView:
        """The series, or 404."""
        found = read.get_series(self.project.pk, params.row_id(raw))
        if found is None:
            raise not_found()
        return found

    def alarm(self, raw: str) -> read.AlarmView:
        """The alarm, or 404."""
        found = read.changes(self.project.pk, alarm_id=params.row_id(raw), limit=1)
        if not found:
            raise not_found()
        return found[0]

    def one_run(self, suite: str, number: str) -> read.RunView:
        """The run, or 404."""
        wanted = params.row_id(number)
        found = read.get_run(self.project.pk, self.suite(suite).slug, wanted) if wanted <= RUN_MAX else None
        if found is None:
            raise not_found()
        return found

    @contextmanager
    def told(self) -> Iterator[None]:
        """Refusals as problems."""
        try:
            with told({"budget_pico_run": "budget_usd_run", "config": "body"}):
                yield
        except Conflict as conflict:
            raise Problem(409, str(conflict)) from None

    def before(self, request: Request) -> int | None:
        """The parameter `before`."""
        return params.integer(request.query_params, "before", 0, 0, params.ID_MAX) or None


class ProbeSuitesView(_ProbeView):
    acts = {"GET": "read", "POST": "measure"}

    @shapes.describe("List suites of probes", shape.ProbeSuitesShape, tag=TAG, detail="Those put away included.")
    def get(self, request: Request) -> Response:
        found = read.list_suites(self.project.pk, with_archived=True)
        return Response({"items": [suite_json(each) for each in found]})

    @shapes.describe(
        "Make a suite of probes",
        shape.ProbeSuiteShape,
        tag=TAG,
        body=shape.ProbeSuiteBody,
        status=201,
        detail="Its first run asks each probe 20 times at least: these answers are the baseline. Every call costs what "
        "the model costs, and counts against the project's budget of the day.",
    )
    def post(self, request: Request) -> Response:
        body = checked(shape.ProbeSuiteBody, request)
        with self.told():
            slug = probing.make_suite(self.project, _wanted(body), by=self.by)
        return Response(suite_json(self.suite(slug)), status=201)


class ProbeSuiteView(_ProbeView):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe("One suite of probes", shape.ProbeSuiteShape, tag=TAG, path=(SUITE,))
    def get(self, request: Request, suite: str) -> Response:
        return Response(suite_json(self.suite(suite)))

    @shapes.describe(
        "Change a suite of probes",
        shape.ProbeSuiteShape,
        tag=TAG,
        path=(SUITE,),
        body=shape.ProbeSuiteChange,
        detail="A model that is asked no more keeps what it answered. Putting a suite away (`is_archived`) ends its "
        "schedule.",
    )
    def patch(self, request: Request, suite: str) -> Response:
        view = self.suite(suite)
        body = checked(shape.ProbeSuiteChange, request)
        if not body:
            raise bad_field("name", "or another field is required: there is nothing to change")
        with self.told():
            if body.get("is_archived") is False:
                probing.archive_suite(self.project, view.slug, is_archived=False, by=self.by)
            if values := {name: value for name, value in _wanted(body).items() if name != "is_archived"}:
                probing.change_suite(self.project, view.slug, values, by=self.by)
            if body.get("is_archived"):
                probing.archive_suite(self.project, view.slug, by=self.by)
        return Response(suite_json(self.suite(suite)))


class ProbeListView(_ProbeView):
    @shapes.describe("List probes of a suite", shape.ProbesShape, tag=TAG, path=(SUITE,))
    def get(self, request: Request, suite: str) -> Response:
        return Response({"items": [probe_json(each) for each in self.suite(suite).probes]})


class ProbeOneView(_ProbeView):
    acts = {"GET": "read", "PUT": "measure", "DELETE": "measure"}

    @shapes.describe("One probe", shape.ProbeShape, tag=TAG, path=(SUITE, KEY))
    def get(self, request: Request, suite: str, key: str) -> Response:
        return Response(probe_json(self._probe(suite, key)))

    @shapes.describe(
        "Keep a probe",
        shape.ProbePutShape,
        tag=TAG,
        path=(SUITE, KEY),
        body=shape.ProbeBody,
        detail="Another question, tool or check makes another version, which learns its own baseline. The same again "
        "changes nothing.",
    )
    def put(self, request: Request, suite: str, key: str) -> Response:
        view = self.suite(suite)
        body = checked(shape.ProbeBody, request)
        with self.told():
            number = probing.put_probe(self.project, view.slug, key, dict(body), by=self.by)
        return Response({"key": key, "version": number})

    @shapes.describe("Ask a probe no more", None, tag=TAG, path=(SUITE, KEY), status=204, detail="What it found stays.")
    def delete(self, request: Request, suite: str, key: str) -> Response:
        probe = self._probe(suite, key)
        with self.told():
            probing.archive_probe(self.project, suite, probe.key, by=self.by)
        return Response(status=204)

    def _probe(self, suite: str, key: str) -> read.ProbeView:
        found = next((each for each in self.suite(suite).probes if each.key == key), None)
        if found is None:
            raise not_found()
        return found


class ProbeRunsView(_ProbeView):
    acts = {"GET": "read", "POST": "measure"}
    query = {"GET": ("limit", "before")}

    @shapes.describe(
        "List runs of a suite", shape.ProbeRunsShape, tag=TAG, path=(SUITE,), query=(shapes.LIMIT, BEFORE),
        detail="Newest first.",
    )  # fmt: skip
    def get(self, request: Request, suite: str) -> Response:
        limit = params.page_size(request.query_params)
        rows = read.list_runs(
            self.project.pk, suite=self.suite(suite).slug, before=self.before(request), limit=limit + 1
        )
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return Response({"items": [run_json(row) for row in rows[:limit]], "next": more})

    @shapes.describe(
        "Run a suite now",
        shape.ProbeRunShape,
        tag=TAG,
        path=(SUITE,),
        status=202,
        problems={409: "A run is under way already."},
        detail="The run goes on by itself; its state is at its address.",
    )
    def post(self, request: Request, suite: str) -> Response:
        view = self.suite(suite)
        with self.told():
            number = probing.run_now(self.project, view.slug, by=self.by)
        row = read.get_run(self.project.pk, view.slug, number)
        if row is None:
            raise not_found()
        return Response(run_json(row), status=202)


class ProbeRunView(_ProbeView):
    @shapes.describe("One run of a suite", shape.ProbeRunWholeShape, tag=TAG, path=(SUITE, NUMBER))
    def get(self, request: Request, suite: str, number: str) -> Response:
        row = self.one_run(suite, number)
        answered, asked = read.progress_of(row.id)
        results = [
            {"series": str(series.id), "probe": series.probe, "version": series.version,
             "model": series.target.model, "result": result_json(result)}
            for series, result in read.run_results(row.id)
        ]  # fmt: skip
        return Response(run_json(row) | {"answered": answered, "asked": asked, "results": results})


class ProbeRunCancelView(_ProbeView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Cancel a run of a suite", shape.ProbeRunShape, tag=TAG, path=(SUITE, NUMBER),
        problems={409: "It is over already."}, detail="What was answered stays; nothing is judged by it.",
    )  # fmt: skip
    def post(self, request: Request, suite: str, number: str) -> Response:
        row = self.one_run(suite, number)
        with self.told():
            probing.cancel_run(self.project, row.suite_slug, row.number, by=self.by)
        return Response(run_json(self.one_run(suite, number)))


class ProbeSeriesListView(_ProbeView):
    query = {"GET": ("suite", "state")}

    @shapes.describe(
        "How probes stand",
        shape.ProbeSeriesListShape,
        tag=TAG,
        query=(OF_SUITE, OpenApiParameter("state", OpenApiTypes.STR, enum=list(shape.STATES))),
        detail="Each probe at each model that runs ask now, with what its last run found.",
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        slug, state = params.text(query, "suite"), params.choice(query, "state", shape.STATES)
        if slug:
            self.suite(slug)
        rows = read.list_series(self.project.pk, suite=slug, state=state, history=1)
        return Response({"items": [series_json(row) for row in rows]})


class ProbeSeriesView(_ProbeView):
    @shapes.describe("How one probe stands at a model", shape.ProbeSeriesShape, tag=TAG, path=(SERIES,))
    def get(self, request: Request, series_id: str) -> Response:
        return Response(series_json(self.series(series_id)))


class ProbeResultsView(_ProbeView):
    query = {"GET": ("limit", "before")}

    @shapes.describe(
        "What runs found about a probe at a model", shape.ProbeResultsShape, tag=TAG, path=(SERIES,),
        query=(shapes.LIMIT, BEFORE), detail="Newest first.",
    )  # fmt: skip
    def get(self, request: Request, series_id: str) -> Response:
        limit, before = params.page_size(request.query_params), self.before(request)
        if before is not None and before > RUN_MAX:
            before = RUN_MAX
        rows = read.list_results(self.series(series_id).id, before=before, limit=limit + 1)
        more = str(rows[limit - 1].run_number) if len(rows) > limit else None
        return Response({"items": [result_json(row) for row in rows[:limit]], "next": more})


class ProbeAnswersView(_ProbeView):
    query = {"GET": ("run",)}

    @shapes.describe(
        "Answers to a probe at a model",
        shape.ProbeAnswersShape,
        tag=TAG,
        path=(SERIES,),
        query=(
            OpenApiParameter(
                "run", {"type": "integer", "minimum": 1, "maximum": RUN_MAX},
                description="The run's number; without it the first answers, which later ones are compared with.",
            ),
        ),
    )  # fmt: skip
    def get(self, request: Request, series_id: str) -> Response:
        series, run = self.series(series_id), params.integer(request.query_params, "run", 0, 1, RUN_MAX)
        rows = read.list_answers(series.id, run) if run else read.first_answers(series.id)
        return Response({"items": [answer_json(row) for row in rows]})


class ProbeBaselinesView(_ProbeView):
    acts = {"GET": "read", "POST": "measure"}

    @shapes.describe("Baselines of a probe at a model", shape.ProbeBaselinesShape, tag=TAG, path=(SERIES,))
    def get(self, request: Request, series_id: str) -> Response:
        rows = read.list_baselines(self.series(series_id).id)
        return Response({"items": [baseline_json(row) for row in rows]})

    @shapes.describe(
        "Begin a new baseline of a probe",
        shape.ProbeBaselinesShape,
        tag=TAG,
        path=(SERIES,),
        body=shape.ProbeBaselineBody,
        status=201,
        problems={409: "An alarm of the model is open."},
        detail="With the answers of a run and those after it. The old one is kept; the reason is in the audit log.",
    )
    def post(self, request: Request, series_id: str) -> Response:
        series = self.series(series_id)
        body = checked(shape.ProbeBaselineBody, request)
        with self.told():
            probing.rebaseline(self.project, series.id, body["run"], body["reason"], by=self.by)
        return Response({"items": [baseline_json(row) for row in read.list_baselines(series.id)]}, status=201)


class ProbeAlarmsView(_ProbeView):
    query = {"GET": ("suite", "is_open", "limit", "before")}

    @shapes.describe(
        "List alarms of probes",
        shape.ProbeAlarmsShape,
        tag=TAG,
        query=(OF_SUITE, OpenApiParameter("is_open", OpenApiTypes.BOOL), shapes.LIMIT, BEFORE),
        detail="Newest first. A model has at most one open alarm.",
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        limit, slug = params.page_size(query), params.text(query, "suite")
        if slug:
            self.suite(slug)
        is_open, before = params.boolean(query, "is_open"), self.before(request)
        rows = read.changes(self.project.pk, suite=slug, is_open=is_open, before=before, limit=limit + 1)
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return Response({"items": [alarm_json(row) for row in rows[:limit]], "next": more})


class ProbeAlarmView(_ProbeView):
    @shapes.describe("One alarm of probes", shape.ProbeAlarmShape, tag=TAG, path=(ALARM,))
    def get(self, request: Request, probe_alarm: str) -> Response:
        return Response(alarm_json(self.alarm(probe_alarm)))


class ProbeAlarmAcknowledgeView(_ProbeView):
    acts = {"POST": "review"}

    @shapes.describe(
        "Acknowledge an alarm of probes", shape.ProbeAlarmShape, tag=TAG, path=(ALARM,),
        problems={409: "It is closed."}, detail="Somebody looks after it.",
    )  # fmt: skip
    def post(self, request: Request, probe_alarm: str) -> Response:
        row = self.alarm(probe_alarm)
        with self.told():
            probing.acknowledge(self.project, row.id, by=self.by)
        return Response(alarm_json(self.alarm(probe_alarm)))


class ProbeAlarmCloseView(_ProbeView):
    acts = {"POST": "review"}

    @shapes.describe(
        "Close an alarm of probes",
        shape.ProbeAlarmShape,
        tag=TAG,
        path=(ALARM,),
        body=shape.ProbeAlarmCloseBody,
        problems={409: "It is closed already."},
    )
    def post(self, request: Request, probe_alarm: str) -> Response:
        row = self.alarm(probe_alarm)
        body = checked(shape.ProbeAlarmCloseBody, request)
        with self.told():
            probing.close(self.project, row.id, body["verdict"], body.get("note", ""), by=self.by)
        return Response(alarm_json(self.alarm(probe_alarm)))


class ProbePresetsView(_ProbeView):
    @shapes.describe("Probes that ship", shape.ProbePresetsShape, tag=TAG, detail="All of them are harmless.")
    def get(self, request: Request) -> Response:
        items = [{"key": each.key, "about": each.about, "probe": dict(each.spec)} for each in PRESETS]
        return Response({"items": items})


class ProbeCheckView(_ProbeView):
    acts = {"POST": "read"}

    @shapes.describe(
        "Try a probe's checks on a text",
        shape.ProbeCheckedAllShape,
        tag=TAG,
        body=shape.ProbeCheckBody,
        detail="Nothing is asked or kept. Checks by a judge or by likeness need a run, and cannot tell here.",
    )
    def post(self, request: Request) -> Response:
        body = dict(checked(shape.ProbeCheckBody, request))
        answer, reason = body.pop("answer"), body.pop("finish_reason", "")
        calls = _calls(body.pop("tool_calls", None) or [])
        with self.told():
            spec = probing.checked_spec(body)
        material = material_of(spec, answer, calls, finish_reason=reason)
        found = [
            Checked(each.kind, None, "It needs a run.") if each.kind in (JUDGE, SIMILAR) else run_rule(each, material)
            for each in spec.checks
        ]
        return Response({"passed": passed(found), "checks": [each.as_json() for each in found]})


def _calls(raw: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(raw, list) or len(raw) > 20:
        raise bad_field("tool_calls", "must be a list of calls", limit="at most 20")
    found = []
    for at, each in enumerate(raw):
        name, arguments = (each.get("name"), each.get("arguments", "")) if isinstance(each, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(arguments, str):
            raise bad_field(f"tool_calls[{at}]", "needs a name and arguments", limit="two texts")
        found.append((name, arguments))
    return tuple(found)


def _wanted(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a suite as `evals.probing` takes them."""
    values = {name: value for name, value in body.items() if name != "budget_usd_run"}
    if "budget_usd_run" in body:
        usd = body["budget_usd_run"]
        values["budget_pico_run"] = None if usd is None else int(usd * form.PICO)
    return values
