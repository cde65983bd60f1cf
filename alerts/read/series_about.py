"""What is known about a series before it is read: its scale, its history, what makes its numbers, what it can be of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from alerts.monitors.states import Kind
from alerts.monitors.types import Definition, Metric
from alerts.read.judges import JudgeNow, low_limit, read_judges
from alerts.read.series_hosts import OF_INGEST, fine_ingest_start
from alerts.read.series_rollups import where_of
from alerts.read.series_scores import FLAG, OF_LOW, OF_SCORES
from alerts.read.series_sql import rows_of
from alerts.read.series_units import OF_OUTCOMES
from alerts.read.series_vectors import OF_SAMPLES
from alerts.read.vectors import encoders_of
from alerts.series.asked import Asked
from alerts.series.catalogue import METRICS
from alerts.series.grid import window_at
from alerts.series.params import PARAMS
from alerts.series.recipes import RECIPES, Rows
from telltale.lib.faults import Fault
from traces.outcomes.spec import Measure
from traces.read.hosts import read_hosts
from traces.read.outcomes import list_outcomes
from traces.read.rollups import reading

# Rows by the minute and by the hour are kept so long (traces.rollup.covering); an hour less, since clocks differ.
_MINUTES, _HOURS = timedelta(days=8, hours=-1), timedelta(days=100, hours=-1)
# Nobody charts what lies further back; a trace with a broken clock would begin in 1970.
_FURTHEST = timedelta(days=400)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_FIRST_ROLLUP = "SELECT min(bucket) FROM traces_rollup WHERE project_id = %(project_id)s AND grain = %(grain)s"
_FIRST_TRACE = """
    SELECT min(started_at) FROM traces_trace WHERE project_id = %(project_id)s AND started_at >= %(furthest)s
"""
_FIRST_JUDGED = """
    SELECT min(hour) FROM evals_score_hour
    WHERE project_id = %(project_id)s AND judge_version_id = %(version)s AND name = %(name)s AND hour >= %(furthest)s
"""
_FIRST_SCORE = """
    SELECT min(started_at) FROM evals_score
    WHERE project_id = %(project_id)s AND name = %(name)s AND started_at >= %(furthest)s
"""
_FIRST_DECISION = """
    SELECT min(hour) FROM evals_decision_hour WHERE project_id = %(project_id)s AND judge_id = %(judge)s
"""
_FIRST_UNIT = "SELECT min(hour) FROM traces_behaviour_hour WHERE project_id = %(project_id)s AND hour >= %(furthest)s"
_FIRST_INGEST = "SELECT min(hour) FROM traces_ingest_hour WHERE project_id = %(project_id)s"
_FIRST_HOST = "SELECT min(first_seen_at) FROM traces_metric_series WHERE project_id = %(project_id)s"
_FIRST_SAMPLE = """
    SELECT min(started_at) FROM alerts_sample WHERE project_id = %(project_id)s AND started_at >= %(furthest)s
"""


def metrics_for(project_id: int, definitions: Sequence[Definition]) -> list[Metric | None]:
    """The metric of each definition with its own scale (`lowest`, `highest`); None where there is no such metric.

    One query where any is of a judge's scores.
    """
    found = [METRICS.get(each.metric) for each in definitions]
    slugs = {
        str(each.params.get("judge", ""))
        for each, metric in zip(definitions, found, strict=True)
        if metric is not None and metric.kind is Kind.SCORE and each.params.get("judge")
    }
    judges = read_judges(project_id, slugs) if slugs else {}
    return [_scaled(metric, each, judges) for each, metric in zip(definitions, found, strict=True)]


def metric_for(project_id: int, definition: Definition) -> Metric | None:
    """The metric of one definition with its own scale; None where there is no such metric."""
    return metrics_for(project_id, [definition])[0]


def history_start(
    project_id: int, time_zone: str, metric: Metric, definition: Definition, now: datetime
) -> datetime | None:
    """Where the first window lies that can be read whole; None where there is nothing yet.

    Sums by the minute are kept for 8 days, by the hour for 100: windows under an hour, under a day reach no further.
    """
    first = _first(project_id, metric, definition, now)
    if first is None:
        return None
    least = now - _FURTHEST
    if (metric.key in RECIPES and not definition.scope.filter) or metric.key == "silence":
        least = max(least, now - _kept(definition.window))
    if metric.key in OF_INGEST and definition.window < _HOUR:
        least = max(least, fine_ingest_start(now))
    at = max(first, least)
    window = window_at(time_zone, definition.window, at)
    return window.start if window.start >= at else window.end


def made_by(project_id: int, metric: Metric, definition: Definition) -> str:
    """What makes the numbers of a series: another text means that they cannot be compared with those before.

    The judge's version, the outcome's revision, the encoder; "" where nothing can change.
    """
    return makers(project_id, [Asked(metric, definition)])[0]


def makers(project_id: int, asked: Sequence[Asked]) -> list[str]:
    """As `made_by`, of many series in three queries at most."""
    slugs = {str(each.definition.params["judge"]) for each in asked if each.definition.params.get("judge")}
    judges = read_judges(project_id, slugs) if slugs else {}
    revisions: dict[str, int] = {}
    if any(each.metric.key in OF_OUTCOMES for each in asked):
        revisions = {each.slug: each.revision for each in list_outcomes(project_id, with_archived=True)}
    newest = ""
    if any(each.metric.key in OF_SAMPLES and not each.definition.params.get("encoder") for each in asked):
        newest = next((each.key for each in encoders_of(project_id)), "")
    return [_maker(each, judges, revisions, newest) for each in asked]


def _maker(asked: Asked, judges: Mapping[str, JudgeNow], revisions: Mapping[str, int], newest: str) -> str:
    params = asked.definition.params
    if params.get("judge"):
        judge = judges.get(str(params["judge"]))
        return "" if judge is None else f"judge {judge.slug} v{judge.number} {judge.config_hash[:12]}"
    if asked.metric.key in OF_OUTCOMES:
        revision = revisions.get(str(params.get("outcome")))
        return "" if revision is None else f"outcome {params['outcome']} r{revision}"
    if asked.metric.key in OF_SAMPLES:
        encoder = params.get("encoder") or newest
        return f"encoder {encoder}" if encoder else ""
    return ""


def check_params(project_id: int, metric: Metric, params: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with params that `parse_params` took: a judge, criterion or outcome that is not there or unfit."""
    faults: list[Fault] = []
    if params.get("judge"):
        faults += _judge_faults(project_id, metric, params)
    if params.get("outcome") and "outcome" in metric.needs:
        defined = {each.slug: each for each in list_outcomes(project_id)}
        outcome = defined.get(str(params["outcome"]))
        if outcome is None:
            limit = ", ".join(defined) or "none yet: define one under Outcomes"
            faults.append(Fault("params.outcome", "is no outcome of this project", limit, params["outcome"]))
        elif metric.key == "cost_per_resolved" and outcome.spec.measure is not Measure.COST:
            limit = ", ".join(slug for slug, each in defined.items() if each.spec.measure is Measure.COST) or "none yet"
            faults.append(Fault("params.outcome", "measures no cost", limit, params["outcome"]))
    return faults


def values_of(
    project_id: int, time_zone: str, metric: Metric, dimension: str, start: datetime, end: datetime, limit: int = 100
) -> list[str | None]:
    """Values of a dimension that a series can be narrowed by, most frequent first; None is "unknown". TooSlow."""
    if dimension not in metric.scopes:
        return []
    is_of_calls = dimension in {"provider", "model"}
    where = where_of(Rows.CALLS if is_of_calls else Rows.REQUESTS, {})
    with reading(project_id, time_zone) as rollups:
        found = rollups.values(where, start, end, dimension, limit)
    return [None if value is None else str(value) for value in found]


def param_choices(
    project_id: int, metric: Metric, name: str, params: Mapping[str, Any], now: datetime
) -> list[tuple[str, str]]:
    """What a param can be as (value, title); nothing for numbers and free text."""
    param = PARAMS[name]
    match param.kind:
        case "choice":
            return list(param.choices)
        case "judge":
            return [(each.slug, each.name) for each in read_judges(project_id).values()]
        case "criterion":
            judge = read_judges(project_id).get(str(params.get("judge", "")))
            criteria = () if judge is None or judge.rubric is None else judge.rubric.criteria
            return [(each.key, each.title) for each in criteria if each.scale.has_numbers]
        case "outcome":
            outcomes = list_outcomes(project_id)
            if metric.key == "cost_per_resolved":
                outcomes = [each for each in outcomes if each.spec.measure is Measure.COST]
            return [(each.slug, each.name) for each in outcomes]
        case "host":
            lines = read_hosts(project_id, now - _DAY, now, is_fine=False).lines
            hosts = sorted({line.host for line in lines if f"host_{line.measure.key}" == metric.key})
            return [(host, host) for host in hosts]
        case "encoder":
            return [(each.key, each.key) for each in encoders_of(project_id)]
    return []


def _scaled(metric: Metric | None, definition: Definition, judges: Mapping[str, JudgeNow]) -> Metric | None:
    if metric is None or metric.kind is not Kind.SCORE:
        return metric
    if metric.key == "relevance":
        return replace(metric, lowest=0.0, highest=1.0)
    judge = judges.get(str(definition.params.get("judge", "")))
    criterion = None if judge is None else judge.criterion(str(definition.params.get("criterion", "")))
    if criterion is None or not criterion.scale.has_numbers:
        return metric
    return replace(metric, lowest=float(criterion.scale.low), highest=float(criterion.scale.high))


def _first(project_id: int, metric: Metric, definition: Definition, now: datetime) -> datetime | None:
    params: dict[str, Any] = {"project_id": project_id, "furthest": now - _FURTHEST, "grain": 60}
    key, told = metric.key, definition.params
    if "judge" in metric.needs:
        judge = read_judges(project_id, [str(told.get("judge", ""))]).get(str(told.get("judge", "")))
        if judge is None:
            return None
        # Scores of another version are other numbers; where none is live, the newest that there is.
        query = _FIRST_JUDGED if key in OF_SCORES else _FIRST_DECISION
        name = FLAG if key == "flagged" else str(told.get("criterion"))
        params |= {"judge": judge.id, "version": judge.version_id, "name": name}
    elif key == "posted_score":
        query = _FIRST_SCORE
        params["name"] = str(told.get("name"))
    elif metric.key in OF_SAMPLES:
        query = _FIRST_SAMPLE
    elif (key in RECIPES and not definition.scope.filter) or key == "silence":
        query = _FIRST_ROLLUP
        params["grain"] = 60 if definition.window < _DAY else 1440
    elif metric.scopes == ("feature",):
        query = _FIRST_UNIT
    elif key in OF_INGEST:
        query = _FIRST_INGEST
    elif key.startswith("host_"):
        query = _FIRST_HOST
    else:
        query = _FIRST_TRACE
    rows = rows_of(sql.SQL(query), params)
    found: datetime | None = rows[0][0]
    return found


def _kept(window: timedelta) -> timedelta:
    if window < _HOUR:
        return _MINUTES
    return _HOURS if window < _DAY else _FURTHEST


def _judge_faults(project_id: int, metric: Metric, params: Mapping[str, Any]) -> list[Fault]:
    judges = read_judges(project_id)
    judge = judges.get(str(params["judge"]))
    if judge is None:
        limit = ", ".join(list(judges)[:20]) or "none yet: make one under Judges"
        return [Fault("params.judge", "is no judge of this project", limit, params["judge"])]
    if not params.get("criterion") or "criterion" not in metric.needs:
        return []
    criterion = judge.criterion(str(params["criterion"]))
    keys = [each.key for each in (judge.rubric.criteria if judge.rubric else ()) if each.scale.has_numbers]
    if criterion is None:
        return [Fault("params.criterion", f"is no criterion of {judge.name}", ", ".join(keys), params["criterion"])]
    if not criterion.scale.has_numbers:
        return [Fault("params.criterion", "has labels without an order", ", ".join(keys), params["criterion"])]
    if metric.key in OF_LOW:
        low = low_limit(criterion, params.get("at_most"))
        span = f"{criterion.scale.low} to {criterion.scale.high - 1}"
        if low is None:
            return [Fault("params.at_most", "is missing: the criterion flags nothing by itself", span)]
        if not criterion.scale.low <= low < criterion.scale.high:
            return [Fault("params.at_most", "leaves no score that is not low, or none that is", span, low)]
    return []
