"""Series of scores: of judges, weighted to all traffic by the chance that each target had, and of programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import product
from typing import Any

import numpy as np
from psycopg import sql

from alerts.detectors.points import Values
from alerts.monitors.types import Definition, Reading, Window
from alerts.read.filtering import Filtered, filtered
from alerts.read.judges import JudgeNow, low_limit, read_judges
from alerts.read.series_sql import NOTHING, TOO_SLOW, also, hours_of, named, rows_of, spans_of, template
from alerts.series import making
from alerts.series.asked import Asked, SeriesFault
from evals.read.estimates import Where, read_estimates
from evals.read.labels import UNUSABLE
from evals.rubrics import Scale
from evals.stats.ppi import Corrected
from evals.stats.results import Estimate
from evals.stats.weighted import Sums, hajek
from traces.read.asking import TooSlow

Answers = list[list[Reading] | SeriesFault]
Key = tuple[str | None, ...]
FLAG = "_flag"
_ROWS = {"flagged": "series_scores_flagged", "posted_score": "series_scores_posted"}
OF_LOW = ("low_scores", "hallucination", "toxicity", "format_compliance")
OF_SCORES = ("score", "relevance", "flagged", "posted_score", *OF_LOW)
_TRACE_OF_TARGET = sql.SQL("JOIN traces_trace AS t ON t.project_id = j.project_id AND t.trace_id = j.target_id")
_TRACE_OF_SCORE = sql.SQL("{} JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id")


@dataclass(frozen=True, slots=True)
class _Cell:
    """Scores of one window and combination of dimensions."""

    n: int
    sums: tuple[float, ...]  # sw, sw2, swy, swy2, sw2y, sw2y2
    lows: tuple[float, ...]
    y: tuple[float, ...]
    w: tuple[float, ...]
    at: tuple[float, ...]


@dataclass(slots=True)
class _Group:
    """Series that one query reads: the same kind of scores, the same dimensions, the same filter."""

    rows: str
    dimensions: tuple[str, ...]
    chosen: Filtered | None
    members: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Told:
    """Whose scores a series is of, and what they mean."""

    judge: JudgeNow | None
    name: str
    scale: Scale | None = None
    low: float | None = None


def read_scores(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """Readings of scores. One query for each kind of scores, set of dimensions and filter; one for the judges."""
    answers: Answers = [TOO_SLOW for _ in asked]
    judges = _judges(project_id, asked)
    told: dict[int, _Told] = {}
    groups: dict[tuple[object, ...], _Group] = {}
    for at, each in enumerate(asked):
        try:
            told[at] = _told(each, judges)
            text = each.definition.scope.filter
            chosen = filtered(project_id, text) if text else None
        except SeriesFault as fault:
            answers[at] = fault
            continue
        rows = _ROWS.get(each.metric.key, "series_scores_judged")
        dimensions = tuple(name for name, _ in each.definition.scope.values)
        key = (rows, dimensions, each.definition.scope.filter)
        groups.setdefault(key, _Group(rows, dimensions, chosen)).members.append(at)
    for group in groups.values():
        lows = sorted({low for at in group.members if (low := told[at].low) is not None})
        try:
            found = _read(project_id, group, [told[at] for at in group.members], lows, windows)
        except TooSlow:
            continue
        for at in group.members:
            answers[at] = _answer(asked[at], told[at], found, lows, windows)
    return answers


@dataclass(frozen=True, slots=True)
class CorrectedPoint:
    """The quality of a day as people would see it: the judge's scores set right by `reviews` of drawn answers."""

    day: date
    value: float
    low: float | None
    high: float | None
    reviews: int


def read_corrected(
    project_id: int, zone: str, definition: Definition, start: datetime, end: datetime
) -> list[CorrectedPoint]:
    """What is drawn beside a judge's scores where people reviewed enough of a day; nothing elsewhere.

    Of the live version; scopes of one value of feature, model and prompt version. traces.read.asking.TooSlow.
    """
    judge = read_judges(project_id, [str(definition.params.get("judge", ""))])
    told = next(iter(judge.values()), None)
    scope = dict(definition.scope.values)
    if (
        told is None
        or definition.scope.filter
        or any(len(values) > 1 or name not in {"feature", "model", "prompt_version"} for name, values in scope.items())
    ):
        return []
    where = Where(told.id, told.live_version_id, **{name: values[0] or "" for name, values in scope.items()})
    criterion = str(definition.params.get("criterion", ""))
    found = read_estimates(project_id, zone, start, end, where, "day", name=criterion, with_coverage=False)
    points = []
    for row in found.rows:
        if isinstance(row.corrected, Corrected) and isinstance(row.key, date):
            estimate = row.corrected.estimate
            points.append(CorrectedPoint(row.key, estimate.value, estimate.low, estimate.high, row.reviews))
    return sorted(points, key=lambda point: point.day)


def read_unparsable(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """How many answers of judges were of no use. Two queries."""
    judges = _judges(project_id, asked)
    params = {"project_id": project_id, "judges": [each.id for each in judges.values()], "reasons": list(UNUSABLE)}
    try:
        rows = rows_of(template("series_unparsable"), params | hours_of(windows))
    except TooSlow:
        return [TOO_SLOW for _ in asked]
    found = {(judge_id, at): (int(scored), int(bad)) for at, judge_id, scored, bad in rows}
    answers: Answers = []
    for each in asked:
        judge = judges.get(str(each.definition.params["judge"]))
        if judge is None:
            answers.append(_no_judge(each.definition))
            continue
        pairs = [found.get((judge.id, at), (0, 0)) for at in range(len(windows))]
        answers.append(
            [
                making.share(window, bad, scored + bad, "the judge answered nothing")
                for window, (scored, bad) in zip(windows, pairs, strict=True)
            ]
        )
    return answers


def read_coverage(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """What part of the traffic that it fits each judge scored. One query for each set of dimensions; one for judges."""
    answers: Answers = [TOO_SLOW for _ in asked]
    judges = _judges(project_id, asked)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, each in enumerate(asked):
        groups[tuple(name for name, _ in each.definition.scope.values)].append(at)
    for dimensions, members in groups.items():
        query = template("series_coverage", dimensions=named("h", dimensions), groups=also("h", dimensions))
        params = {"project_id": project_id, "judges": [each.id for each in judges.values()]}
        try:
            rows = rows_of(query, params | hours_of(windows))
        except TooSlow:
            continue
        found: dict[tuple[int, int], dict[Key, tuple[int, int]]] = defaultdict(dict)
        for at, judge_id, *key, fits, judged in rows:
            found[judge_id, at][tuple(value or None for value in key)] = (int(fits), int(judged))
        for member in members:
            definition = asked[member].definition
            judge = judges.get(str(definition.params["judge"]))
            if judge is None:
                answers[member] = _no_judge(definition)
                continue
            readings = []
            for at, window in enumerate(windows):
                cells = _of(found.get((judge.id, at), {}), definition)
                fits, judged = sum(each[0] for each in cells), sum(each[1] for each in cells)
                readings.append(making.share(window, min(judged, fits), fits, "nothing that the judge fits"))
            answers[member] = readings
    return answers


def _judges(project_id: int, asked: Sequence[Asked]) -> dict[str, JudgeNow]:
    slugs = {str(each.definition.params["judge"]) for each in asked if "judge" in each.metric.needs}
    return read_judges(project_id, slugs) if slugs else {}


def _no_judge(definition: Definition) -> SeriesFault:
    return SeriesFault(f"there is no judge {definition.params['judge']}")


def _told(asked: Asked, judges: Mapping[str, JudgeNow]) -> _Told:
    """SeriesFault where the judge, or its criterion, is gone or says nothing of the kind."""
    params, key = asked.definition.params, asked.metric.key
    if key == "posted_score":
        return _Told(None, str(params["name"]))
    judge = judges.get(str(params["judge"]))
    if judge is None:
        raise _no_judge(asked.definition)
    if key == "flagged":
        return _Told(judge, FLAG, low=0.5)
    criterion = judge.criterion(str(params["criterion"]))
    if criterion is None:
        raise SeriesFault(f"the rubric of {judge.name} has no criterion {params['criterion']}")
    if not criterion.scale.has_numbers:
        raise SeriesFault(f"the labels of {criterion.title} have no order, so they have no mean and no low ones")
    if key not in OF_LOW:
        return _Told(judge, criterion.key, criterion.scale)
    low = low_limit(criterion, params.get("at_most"))
    if low is None:
        raise SeriesFault(f"{criterion.title} flags nothing: say up to which number a score counts as low (at_most)")
    return _Told(judge, criterion.key, criterion.scale, low)


def _read(
    project_id: int, group: _Group, told: Sequence[_Told], lows: Sequence[float], windows: Sequence[Window]
) -> dict[tuple[int, str, int], dict[Key, _Cell]]:
    is_posted = group.rows == "series_scores_posted"
    conditions: sql.Composable = NOTHING
    params: dict[str, Any] = {}
    if group.chosen is not None:
        conditions, params = sql.SQL("AND ") + group.chosen.conditions, group.chosen.params
    joined: sql.Composable = NOTHING
    if is_posted:
        joined = _TRACE_OF_SCORE.format(sql.SQL("LEFT" if group.chosen is None else ""))
    elif group.chosen is not None:
        joined = _TRACE_OF_TARGET
    dimensions = group.dimensions
    query = template(
        "series_scores",
        dimensions=named("r", dimensions),
        partition=also("u", dimensions),
        groups=also("r", dimensions),
        most=sql.Literal(making.SCORES_MAX),
        lows=sql.SQL("").join(
            sql.SQL("coalesce(sum(r.w ORDER BY r.place) FILTER (WHERE r.y <= {}::float8), 0), ").format(
                sql.Literal(low)
            )
            for low in lows
        ),
        rows=template(
            group.rows,
            dimensions=named("t" if is_posted else "j", dimensions),
            traces=joined,
            conditions=conditions,
        ),
    )
    judges = [each.judge for each in told if each.judge is not None]
    rows = rows_of(
        query,
        params
        | spans_of(windows)
        | {
            "project_id": project_id,
            "names": sorted({each.name for each in told}),
            "judges": sorted({each.id for each in judges}),
            "live": sorted({each.live_version_id for each in judges if each.live_version_id is not None}),
        },
    )
    width = len(dimensions)
    found: dict[tuple[int, str, int], dict[Key, _Cell]] = defaultdict(dict)
    for at, judge_id, name, *cells in rows:
        key = tuple(value or None for value in cells[:width])
        n, *sums = cells[width : width + 7]
        weights = cells[width + 7 : width + 7 + len(lows)]
        y, w, times = cells[width + 7 + len(lows) :]
        found[judge_id, name, at][key] = _Cell(
            int(n), tuple(map(float, sums)), tuple(map(float, weights)), tuple(y), tuple(w), tuple(times)
        )
    return found


def _of(cells: Mapping[Key, Any], definition: Definition) -> list[Any]:
    accepted = [values for _, values in definition.scope.values]
    return [cells[key] for key in product(*accepted) if key in cells]


def _answer(
    asked: Asked,
    told: _Told,
    found: Mapping[tuple[int, str, int], Mapping[Key, _Cell]],
    lows: Sequence[float],
    windows: Sequence[Window],
) -> list[Reading]:
    judge_id = 0 if told.judge is None else told.judge.id
    readings = []
    for at, window in enumerate(windows):
        cells = _of(found.get((judge_id, told.name, at), {}), asked.definition)
        if not cells:
            readings.append(making.nothing(window, "no score"))
        elif told.low is not None:
            readings.append(_share(asked, told, cells, lows.index(told.low), window))
        else:
            readings.append(_score(asked, told, cells, window))
    return readings


def _share(asked: Asked, told: _Told, cells: Sequence[_Cell], place: int, window: Window) -> Reading:
    n, sw, sw2 = sum(each.n for each in cells), sum(each.sums[0] for each in cells), sum(each.sums[1] for each in cells)
    low = sum(each.lows[place] for each in cells)
    # The flag is 0 or 1 and its low ones are those that are not flagged; a format is kept where the score is not low.
    part = sw - low if asked.metric.key in {"flagged", "format_compliance"} else low
    return making.weighted_share(window, n, part, sw, sw2, "no score")


def _score(asked: Asked, told: _Told, cells: Sequence[_Cell], window: Window) -> Reading:
    n = sum(each.n for each in cells)
    sw, sw2, swy, swy2, sw2y, sw2y2 = (sum(each.sums[i] for each in cells) for i in range(6))
    scale = (float(told.scale.low), float(told.scale.high)) if told.scale is not None else None
    estimate = hajek(Sums(n, sw, sw2, swy, swy2, sw2y, sw2y2), of="process", scale=scale)
    low, high = (estimate.low, estimate.high) if isinstance(estimate, Estimate) else (None, None)
    figures: list[float | None] = [swy / sw, low, high]
    y, w = _in_order(cells)
    if asked.metric.key == "relevance" and told.scale is not None:
        span = told.scale.high - told.scale.low
        figures = [None if each is None else (each - told.scale.low) / span for each in figures]
        y = (y - told.scale.low) / span
    weights = None if bool((w == w[0]).all()) else tuple(w.tolist())
    value, low, high = figures
    return Reading(window, n, value, Values(tuple(y.tolist()), weights), low, high, n_eff=sw * sw / sw2)


def _in_order(cells: Sequence[_Cell]) -> tuple[making.Floats, making.Floats]:
    """Scores in order of their targets' start with their weights, at most so many of them."""
    at = np.concatenate([np.array(each.at) for each in cells])
    y = np.concatenate([np.array(each.y) for each in cells])
    # Of a cell with more than are kept, each that is kept stands for several.
    w = np.concatenate([np.array(each.w) * (each.n / len(each.w)) for each in cells])
    order = np.argsort(at, kind="stable")
    order = order[making.spread_ranks(len(order), making.SCORES_MAX) - 1]
    return y[order], w[order]
