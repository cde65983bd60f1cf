"""The door to suites of probes, their runs, answers, baselines and alarms. (Bias probes of judges: evals.read.probes.)

Every list has a constant number of queries. Ids are rows' ids; suites and probes are also named by slug and key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Prefetch, Q, QuerySet

from evals.models import (
    Probe,
    ProbeAlarm,
    ProbeAnswer,
    ProbeBaseline,
    ProbeResult,
    ProbeRun,
    ProbeSeries,
    ProbeSuite,
    ProbeTarget,
    ProbeVersion,
)
from evals.probes.pins import is_pinned
from evals.probes.schedule import Schedule, parse_schedule, schedule_words
from evals.probes.verdicts import FIRST_ANSWERS
from evals.read.probe_state import newest_series
from evals.read.setup import person_words
from telltale.lib.db import raw_cursor

HISTORY = 12
ANSWERS_MAX = 60


@dataclass(frozen=True, slots=True)
class TargetView:
    """A model that a suite asks. Not `is_pinned`: its name lets the provider change it."""

    id: int
    connection_id: int
    connection_name: str
    model: str
    is_stand_in: bool
    is_asked: bool

    @property
    def is_pinned(self) -> bool:
        return is_pinned(self.model)


@dataclass(frozen=True, slots=True)
class ProbeView:
    """A probe at its newest version. `spec` is what `evals.probes.spec` reads."""

    id: int
    key: str
    number: int
    spec: Mapping[str, Any]
    created_at: datetime
    archived_at: datetime | None

    @property
    def must(self) -> str:
        return str(self.spec["must"])


@dataclass(frozen=True, slots=True)
class RunView:
    """A run. `cost_pico` is of the calls with a known price; `unpriced` had none. None: not known yet."""

    id: int
    suite_slug: str
    suite_name: str
    number: int
    cause: str
    state: str
    reason: str
    figures: Mapping[str, Any]
    calls: int | None
    cost_pico: int | None
    unpriced: int | None
    made_by: str
    job_id: int | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class SuiteView:
    """A suite as it is set up. `last` is its last run that ended, `running` the one under way."""

    id: int
    slug: str
    name: str
    schedule: Schedule
    with_changes: bool
    repeats: int
    temperature: float | None
    max_output_tokens: int
    runs_between_alarms: int
    budget_pico_run: int | None
    encoder_id: int | None
    encoder_name: str
    encoder_model: str
    paused_at: datetime | None
    next_at: datetime | None
    created_at: datetime
    archived_at: datetime | None
    targets: tuple[TargetView, ...]
    probes: tuple[ProbeView, ...]
    last: RunView | None = None
    running: RunView | None = None

    @property
    def asked(self) -> tuple[TargetView, ...]:
        """The models that runs ask now."""
        return tuple(each for each in self.targets if each.is_asked)

    @property
    def live(self) -> tuple[ProbeView, ...]:
        """The probes that runs ask now."""
        return tuple(each for each in self.probes if each.archived_at is None)

    @property
    def schedule_words(self) -> str:
        return schedule_words(self.schedule)

    @property
    def expected_a_week(self) -> float:
        """False alarms a week, by the suite's own budget line."""
        return self.schedule.runs_a_week / self.runs_between_alarms


@dataclass(frozen=True, slots=True)
class ResultView:
    """What one run found about one series. `runs` answers could be told; `unclear` could not, `unanswered` are none."""

    run_id: int
    run_number: int
    at: datetime
    passes: int
    runs: int
    unclear: int
    unanswered: int
    state: str
    was_learned: bool
    baseline: int | None
    base_passes: int | None
    base_runs: int | None
    figures: Mapping[str, Any]
    models: tuple[str, ...]
    fingerprints: tuple[str, ...]

    @property
    def p(self) -> float | None:
        """P that so few pass by chance, by the test that an alarm asks; None where there was none."""
        found = [self.figures.get(name) for name in ("p", "p_fisher")]
        known = [float(each) for each in found if each is not None]
        return max(known) if known else None


@dataclass(frozen=True, slots=True)
class BaselineView:
    """A baseline of a series: `runs` answers from run `first_run` on, of which `passes` passed."""

    number: int
    first_run: int | None
    passes: int
    runs: int
    frozen_at: datetime | None
    ended_at: datetime | None
    reason: str
    made_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SeriesView:
    """A version of a probe at a model, with its last results, oldest first."""

    id: int
    suite_slug: str
    suite_name: str
    probe: str
    version: int
    newest_version: int
    spec: Mapping[str, Any]
    target: TargetView
    state: str
    state_at: datetime
    baseline: BaselineView | None
    results: tuple[ResultView, ...] = ()

    @property
    def must(self) -> str:
        return str(self.spec["must"])

    @property
    def last(self) -> ResultView | None:
        return self.results[-1] if self.results else None


@dataclass(frozen=True, slots=True)
class AnswerView:
    """One answer. `passed` None: its checks could not tell, or there is no answer (`error` says why)."""

    id: int
    run_number: int
    repeat: int
    state: str
    text: str
    tools: Sequence[Mapping[str, str]]
    passed: bool | None
    checks: Sequence[Mapping[str, Any]]
    error: str
    finish_reason: str
    model: str
    fingerprint: str
    latency_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_pico: int | None
    trace_id: UUID | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class AlarmView:
    """A model of a suite answers otherwise than its baseline. `series` are the probes that were found changed."""

    id: int
    suite_slug: str
    suite_name: str
    target: TargetView
    run_number: int
    run_at: datetime
    evidence: Sequence[Mapping[str, Any]]
    p: float
    level: float
    within: int
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str
    closed_at: datetime | None
    closed_by: str
    verdict: str
    note: str
    series: tuple[tuple[int, str], ...] = field(default=())

    @property
    def state(self) -> str:
        """open, acknowledged or closed."""
        return "closed" if self.closed_at else "acknowledged" if self.acknowledged_at else "open"


def list_suites(project_id: int, *, with_archived: bool = False) -> list[SuiteView]:
    """The suites of a project by name."""
    rows = _suites(project_id)
    return _views(list(rows if with_archived else rows.filter(archived_at=None)))


def get_suite(project_id: int, slug: str) -> SuiteView | None:
    """One suite, put away or not; None where the project has none of this name."""
    return next(iter(_views(list(_suites(project_id).filter(slug=slug)))), None)


def list_series(
    project_id: int, *, suite: str = "", state: str = "", history: int = HISTORY, ids: Sequence[int] | None = None
) -> list[SeriesView]:
    """The series that runs add to now, of one suite or all, with their last results; `ids`: these, asked now or not."""
    if ids is not None:
        rows = ProbeSeries.objects.filter(target__suite__project_id=project_id, pk__in=list(ids))
    else:
        suites = ProbeSuite.objects.filter(project_id=project_id, archived_at=None)
        suites = suites.filter(slug=suite) if suite else suites
        rows = newest_series(list(suites.values_list("pk", flat=True)))
    rows = rows.filter(state=state) if state else rows
    found = list(
        rows.select_related("version__probe", "target__connection", "target__suite").order_by(
            "target__suite__name", "version__probe__key", "target__model", "pk"
        )
    )
    keys = [row.pk for row in found]
    results = _last_results(keys, history)
    baselines = {
        row.series_id: row
        for row in ProbeBaseline.objects.select_related("first_run", "made_by").filter(
            series_id__in=keys, ended_at=None
        )
    }
    newest = dict(
        ProbeVersion.objects.filter(probe_id__in={row.version.probe_id for row in found})
        .values_list("probe_id")
        .annotate(n=Max("number"))
        .values_list("probe_id", "n")
    )
    return [_series(row, newest, baselines.get(row.pk), results.get(row.pk, [])) for row in found]


def get_series(project_id: int, series_id: int, *, history: int = HISTORY) -> SeriesView | None:
    """One series with its last results; None where the project has none of this id."""
    return next(iter(list_series(project_id, ids=[series_id], history=history)), None)


def list_results(series_id: int, *, before: int | None = None, limit: int = 50) -> list[ResultView]:
    """The results of a series, newest first; `before`: of runs with a smaller number."""
    rows = ProbeResult.objects.select_related("run", "baseline").filter(series_id=series_id)
    rows = rows if before is None else rows.filter(run__number__lt=before)
    return [_result(row) for row in rows.order_by("-run__number")[:limit]]


def list_baselines(series_id: int) -> list[BaselineView]:
    """The baselines of a series, newest first."""
    rows = ProbeBaseline.objects.select_related("first_run", "made_by").filter(series_id=series_id)
    return [_baseline(row) for row in rows.order_by("-number")]


def list_answers(series_id: int, run_number: int, limit: int = ANSWERS_MAX) -> list[AnswerView]:
    """What a series was answered in a run, in the order it was asked."""
    rows = ProbeAnswer.objects.select_related("run").defer("vector")
    return [_answer(row) for row in rows.filter(series_id=series_id, run__number=run_number).order_by("repeat")[:limit]]


def first_answers(series_id: int) -> list[AnswerView]:
    """The first answers of the series' baseline, which later ones are compared with."""
    rows = list(ProbeBaseline.objects.filter(series_id=series_id, ended_at=None))
    found = first_answer_ids([row.pk for row in rows])
    answers = ProbeAnswer.objects.select_related("run").defer("vector").filter(pk__in=found)
    return [_answer(row) for row in answers.order_by("run_id", "repeat")]


def list_runs(
    project_id: int, *, suite: str = "", before: int | None = None, limit: int = 50, run_id: int | None = None
) -> list[RunView]:
    """Runs, newest first; `before`: with a smaller id."""
    rows = ProbeRun.objects.select_related("suite", "made_by").filter(suite__project_id=project_id)
    rows = rows.filter(suite__slug=suite) if suite else rows
    rows = rows if before is None else rows.filter(pk__lt=before)
    rows = rows if run_id is None else rows.filter(pk=run_id)
    return [_run(row) for row in rows.order_by("-pk")[:limit]]


def get_run(project_id: int, suite: str, number: int) -> RunView | None:
    """One run of a suite; None where there is none."""
    rows = ProbeRun.objects.select_related("suite", "made_by")
    row = rows.filter(suite__project_id=project_id, suite__slug=suite, number=number).first()
    return None if row is None else _run(row)


def run_results(run_id: int) -> list[tuple[SeriesView, ResultView]]:
    """What a run found, each with its series, by probe and model."""
    rows = list(
        ProbeResult.objects.select_related(
            "run", "baseline", "series__version__probe", "series__target__connection", "series__target__suite"
        )
        .filter(run_id=run_id)
        .order_by("series__version__probe__key", "series__target__model", "pk")
    )
    return [(_series(row.series, {}, None, []), _result(row)) for row in rows]


def progress_of(run_id: int) -> tuple[int, int]:
    """Answers of a run that are there or failed, and all of them."""
    counts = ProbeAnswer.objects.filter(run_id=run_id).aggregate(
        over=Count("pk", filter=~Q(state="pending")), all=Count("pk")
    )
    return counts["over"], counts["all"]


def changes(
    project_id: int,
    *,
    suite: str = "",
    is_open: bool | None = None,
    before: int | None = None,
    limit: int = 50,
    alarm_id: int | None = None,
) -> list[AlarmView]:
    """Alarms of a project's probes, newest first; `before`: with a smaller id."""
    rows = ProbeAlarm.objects.select_related(
        "suite", "target__connection", "run", "acknowledged_by", "closed_by"
    ).filter(suite__project_id=project_id)
    rows = rows.filter(suite__slug=suite) if suite else rows
    rows = rows if is_open is None else rows.filter(closed_at__isnull=is_open)
    rows = rows if before is None else rows.filter(pk__lt=before)
    rows = rows if alarm_id is None else rows.filter(pk=alarm_id)
    found = list(rows.order_by("-pk")[:limit])
    moved = ProbeResult.objects.filter(run_id__in={row.run_id for row in found}, state="changed").values_list(
        "run_id", "series__target_id", "series_id", "series__version__probe__key"
    )
    named: dict[tuple[int, int], list[tuple[int, str]]] = {}
    for run_id, target_id, series_id, key in moved.order_by("series__version__probe__key"):
        named.setdefault((run_id, target_id), []).append((series_id, key))
    return [_alarm(row, named.get((row.run_id, row.target_id), [])) for row in found]


def _suites(project_id: int) -> QuerySet[ProbeSuite]:
    versions = ProbeVersion.objects.order_by("probe_id", "-number").distinct("probe_id")
    return (
        ProbeSuite.objects.filter(project_id=project_id)
        .select_related("encoder")
        .prefetch_related(
            Prefetch("targets", ProbeTarget.objects.select_related("connection").order_by("model", "pk")),
            Prefetch("probes", Probe.objects.order_by("key")),
            Prefetch("probes__versions", versions),
        )
        .order_by("name", "pk")
    )


_LAST_RUNS = """
SELECT DISTINCT ON (suite_id, state = 'running') id FROM evals_proberun
WHERE suite_id = ANY(%(suites)s) AND state IN ('running', 'done', 'failed')
ORDER BY suite_id, state = 'running', number DESC
"""


def _views(rows: Sequence[ProbeSuite]) -> list[SuiteView]:
    ids = _ids(_LAST_RUNS, suites=[row.pk for row in rows])
    runs: dict[tuple[int, bool], RunView] = {}
    for run in ProbeRun.objects.select_related("suite", "made_by").filter(pk__in=ids):
        runs[run.suite_id, run.state == "running"] = _run(run)
    return [
        SuiteView(
            row.pk, row.slug, row.name, parse_schedule(row.schedule), row.with_changes, row.repeats, row.temperature,
            row.max_output_tokens, row.runs_between_alarms, row.budget_pico_run, row.encoder_id,
            row.encoder.name if row.encoder else "", row.encoder_model, row.paused_at, row.next_at, row.created_at,
            row.archived_at, tuple(_target(each) for each in row.targets.all()),
            tuple(_probe(each) for each in row.probes.all() if each.versions.all()),
            runs.get((row.pk, False)), runs.get((row.pk, True)),
        )
        for row in rows
    ]  # fmt: skip


_LAST_RESULTS = """
SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY series_id ORDER BY run_id DESC) AS place
    FROM evals_proberesult
    WHERE series_id = ANY(%(series)s)
) AS r
WHERE place <= %(most)s
"""


def _last_results(series_ids: Sequence[int], most: int) -> dict[int, list[ResultView]]:
    """The last results of each series, oldest first."""
    ids = _ids(_LAST_RESULTS, series=list(series_ids), most=most)
    found: dict[int, list[ResultView]] = {}
    for row in ProbeResult.objects.select_related("run", "baseline").filter(pk__in=ids).order_by("run_id"):
        found.setdefault(row.series_id, []).append(_result(row))
    return found


_FIRST_ANSWERS = """
SELECT id FROM (
    SELECT a.id, row_number() OVER (PARTITION BY a.series_id ORDER BY r.run_id, a.repeat) AS place
    FROM evals_probebaseline AS b
    JOIN evals_proberesult AS r ON r.series_id = b.series_id AND r.run_id >= b.first_run_id AND r.was_learned
    JOIN evals_probeanswer AS a ON a.run_id = r.run_id AND a.series_id = r.series_id AND a.state = 'done'
    WHERE b.id = ANY(%(baselines)s)
) AS a
WHERE place <= %(most)s
"""


def first_answer_ids(baselines: Iterable[int], most: int = FIRST_ANSWERS) -> list[int]:
    """The ids of the first answers of baselines, at most `most` of each."""
    return _ids(_FIRST_ANSWERS, baselines=list(baselines), most=most)


def _ids(query: str, **params: Any) -> list[int]:
    with raw_cursor() as cursor:
        cursor.execute(query, params)
        return [key for (key,) in cursor.fetchall()]


def _target(row: ProbeTarget) -> TargetView:
    connection = row.connection
    return TargetView(
        row.pk, connection.pk, connection.name, row.model, connection.is_stand_in, row.archived_at is None
    )


def _probe(row: Probe) -> ProbeView:
    newest = row.versions.all()[0]
    return ProbeView(row.pk, row.key, newest.number, newest.spec, newest.created_at, row.archived_at)


def _run(row: ProbeRun) -> RunView:
    return RunView(
        row.pk, row.suite.slug, row.suite.name, row.number, row.cause, row.state, row.reason, row.figures, row.calls,
        row.cost_pico, row.unpriced, person_words(row.made_by), row.job_id, row.created_at, row.finished_at,
    )  # fmt: skip


def _result(row: ProbeResult) -> ResultView:
    return ResultView(
        row.run_id, row.run.number, row.run.created_at, row.passes, row.runs, row.unclear, row.unanswered, row.state,
        row.was_learned, None if row.baseline is None else row.baseline.number, row.base_passes, row.base_runs,
        row.figures, tuple(row.models_answered), tuple(row.fingerprints),
    )  # fmt: skip


def _series(
    row: ProbeSeries, newest: Mapping[int, int], baseline: ProbeBaseline | None, results: Sequence[ResultView]
) -> SeriesView:
    suite, version = row.target.suite, row.version
    return SeriesView(
        row.pk, suite.slug, suite.name, version.probe.key, version.number,
        newest.get(version.probe_id, version.number), version.spec, _target(row.target), row.state, row.state_at,
        None if baseline is None else _baseline(baseline), tuple(results),
    )  # fmt: skip


def _baseline(row: ProbeBaseline) -> BaselineView:
    return BaselineView(
        row.number, None if row.first_run is None else row.first_run.number, row.passes, row.runs, row.frozen_at,
        row.ended_at, row.reason, person_words(row.made_by), row.created_at,
    )  # fmt: skip


def _answer(row: ProbeAnswer) -> AnswerView:
    return AnswerView(
        row.pk, row.run.number, row.repeat, row.state, row.text, row.tools, row.passed, row.checks, row.error,
        row.finish_reason, row.model_answered, row.fingerprint, row.latency_ms, row.input_tokens, row.output_tokens,
        row.cost_pico, row.trace_id, row.done_at,
    )  # fmt: skip


def _alarm(row: ProbeAlarm, series: Sequence[tuple[int, str]]) -> AlarmView:
    return AlarmView(
        row.pk, row.suite.slug, row.suite.name, _target(row.target), row.run.number, row.run.created_at, row.evidence,
        row.p, row.level, row.within, row.opened_at, row.acknowledged_at, person_words(row.acknowledged_by),
        row.closed_at, person_words(row.closed_by), row.verdict, row.note, tuple(series),
    )  # fmt: skip
