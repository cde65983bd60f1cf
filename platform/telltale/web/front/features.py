"""The features of a project side by side: what each was asked for, how good, how quick, at what price. Pure.

A cell is marked where a monitor of that feature alone is out of its limits: a difference between features is no alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from alerts.pages.sparks import Spark, spark
from alerts.pages.units import unit_of
from alerts.read.fronted import CurvePoint, line_of
from alerts.read.shown import Shown, SparkPoint
from alerts.series.catalogue import find_metric
from evals.pages.quality_view import figure_words, primary
from evals.read.estimates import Of, Row
from evals.stats.ppi import Corrected
from evals.stats.results import Estimate
from telltale.lib import format as fmt
from telltale.web.front.reading import is_wrong
from telltale.web.front.values import FeatureUse, Front, Watching
from traces.behaviour.rates import Rates
from traces.read.cost_values import money_of

MOST = 12
# Fewer and a share or a quantile of the day says nothing: the cell tells how many there were.
LEAST = 20
# The column that a metric's alarm marks.
_COLUMNS = {
    "score": "score", "low_scores": "score", "hallucination": "unsupported", "errors": "errors",
    "failures": "errors", "call_errors": "errors", "corrected": "corrected", "abandoned": "left",
    "request_duration": "p95", "duration": "p95", "slow_requests": "p95", "cost_per_request": "cost", "spend": "cost",
    "requests": "requests", "silence": "requests",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure: its words, what stands below, the monitor that marks it (None: not marked)."""

    text: str
    note: str = ""
    monitor_id: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One feature."""

    name: str
    href: str
    requests: Cell
    score: Cell
    spark: Spark | None
    unsupported: Cell
    errors: Cell
    corrected: Cell
    left: Cell
    p95: Cell
    cost: Cell


@dataclass(frozen=True, slots=True)
class Table:
    """The features, busiest first; `more` are left out. `score`: title of the judged criterion, "" without any;
    `unsupported`: whether a monitor of hallucinations says which criterion tells them."""

    lines: tuple[Line, ...]
    score: str
    unsupported: bool
    more: int
    has_marks: bool


def table(front: Front, behaviour: dict[str, Rates], base: str) -> Table | None:
    """The table; None where nothing came or it took too long to read."""
    traffic = front.traffic
    if traffic is None or not traffic.features:
        return None
    rows = front.judged.rows if front.judged is not None else ()
    of, claims = _main(rows, front.watching, front.now), _claims(rows, front.watching)
    scores = {row.key: row for row in rows if of is not None and _is_of(row.of, of)}
    unsupported = {row.key: row for row in rows if claims is not None and _is_of(row.of, claims)}
    marks = _marks(front.watching, front.now, of) if front.watching else {}
    sparks = _sparks(front.watching, of) if front.watching else {}
    shown = traffic.features[:MOST]
    lines = tuple(
        _line(
            use, of, scores.get(use.feature or ""), sparks.get(use.feature), unsupported.get(use.feature or ""),
            behaviour.get(use.feature or ""), marks.get(use.feature, {}), front, base,
        )
        for use in shown
    )  # fmt: skip
    named = {use.feature for use in shown}
    more = len(traffic.features) - len(shown)
    return Table(lines, of.title if of else "", claims is not None, more, bool(named & set(marks)))


def _main(rows: Sequence[Row], watching: Watching | None, now: datetime) -> Of | None:
    """The criterion of the table: that of the worst alarm about scores, else the headline's of the quality page."""
    wrong = [each for each in watching.live if is_wrong(each, now) and _column(each) == "score"] if watching else []
    for each in sorted(wrong, key=lambda each: (each.severity, each.metric != "score", each.id)):
        criterion = watching.about[each.id].criterion if watching else ""
        found = _live(rows, criterion)
        if found is not None:
            return found
    row = primary(rows)
    return row.of if row is not None else None


def _claims(rows: Sequence[Row], watching: Watching | None) -> Of | None:
    """The criterion that monitors of hallucinations look at, where it is a share of answers."""
    live = watching.live if watching is not None else ()
    criteria = (
        (watching.about[each.id].criterion for each in live if each.metric == "hallucination") if watching else ()
    )
    return next((found for one in criteria if (found := _live(rows, one)) is not None and found.is_share), None)


def _live(rows: Sequence[Row], criterion: str) -> Of | None:
    return next((row.of for row in rows if row.of.is_live and row.of.name == criterion), None)


def _column(monitor: Shown) -> str:
    return _COLUMNS.get(monitor.metric, "")


def _is_of(one: Of, other: Of) -> bool:
    return (one.version_id, one.name) == (other.version_id, other.name)


def _line(
    use: FeatureUse,
    of: Of | None,
    score: Row | None,
    curve: Spark | None,
    claims: Row | None,
    rates: Rates | None,
    marks: dict[str, int],
    front: Front,
    base: str,
) -> Line:
    sums = use.sums
    found = {rate.key: rate.found for rate in rates.rates} if rates is not None else {}
    p95 = use.durations.quantile(0.95) if sums.n >= LEAST else None
    window = {"from": fmt.iso(front.traffic.start), "to": fmt.iso(front.traffic.end)} if front.traffic else {}
    term = {"feature": use.feature} if use.feature is not None else {"feature.missing": "yes"}
    return Line(
        name=fmt.visible(use.feature) if use.feature is not None else "no feature told",
        href=f"{base}traces/?{urlencode({**window, **term})}",
        requests=Cell(fmt.count(sums.n), "", marks.get("requests")),
        score=_score(of, score, marks.get("score")),
        spark=curve,
        unsupported=_unsupported(claims, marks.get("unsupported")),
        errors=_share(sums.errors, sums.n, marks.get("errors")),
        corrected=_rate(found.get("correction"), marks.get("corrected")),
        left=_rate(found.get("abandonment"), marks.get("left")),
        p95=Cell(fmt.latency(p95.value / 1e6, short=True), "", marks.get("p95"))
        if p95 is not None
        else Cell("too few", "", marks.get("p95")),
        cost=_cost(use, marks.get("cost")),
    )


def _score(of: Of | None, row: Row | None, mark: int | None) -> Cell:
    if of is None or row is None:
        return Cell("not judged", "", mark)
    best = row.corrected.estimate if isinstance(row.corrected, Corrected) else row.raw
    if not isinstance(best, Estimate):
        return Cell("too few", f"n = {row.n:,}", mark)
    return Cell(figure_words(of, best.value), f"n = {row.n:,}", mark)


def _unsupported(row: Row | None, mark: int | None) -> Cell:
    """The share that the criterion does not hold for."""
    if row is None:
        return Cell("not judged", "", mark)
    best = row.corrected.estimate if isinstance(row.corrected, Corrected) else row.raw
    if not isinstance(best, Estimate):
        return Cell("too few", f"n = {row.n:,}", mark)
    return Cell(fmt.share(1 - best.value), f"n = {row.n:,}", mark)


def _share(k: int, n: int, mark: int | None) -> Cell:
    return Cell(fmt.share(k / n) if n >= LEAST else f"{k:,} of {n:,}", "", mark)


def _rate(found: Any, mark: int | None) -> Cell:
    if found is None or not found.n:
        return Cell("unknown", "", mark)
    return _share(found.k, found.n, mark)


def _cost(use: FeatureUse, mark: int | None) -> Cell:
    sums = use.sums
    if not sums.n or not money_of(sums).is_known:
        return Cell("unpriced" if sums.unpriced_count else "unknown", "", mark)
    return Cell(fmt.cost_pico(round(sums.cost_pico / sums.n)), "at least" if sums.unpriced_count else "", mark)


def _marks(watching: Watching, now: datetime, of: Of | None) -> dict[str | None, dict[str, int]]:
    """By feature and column: the monitor of it alone that is out; of scores, that of the criterion shown."""
    found: dict[str | None, dict[str, int]] = {}
    for each in watching.live:
        features = dict(watching.about[each.id].scope.values).get("feature", ())
        column = _column(each)
        is_other = column == "score" and (of is None or watching.about[each.id].criterion != of.name)
        if is_wrong(each, now) and len(features) == 1 and column and not is_other:
            found.setdefault(features[0], {}).setdefault(column, each.id)
    return found


def _sparks(watching: Watching, of: Of | None) -> dict[str | None, Spark]:
    """By feature: the line of its monitor of the criterion, else of any score."""
    found: dict[str | None, Spark] = {}
    for each in watching.live:
        points = watching.small.get(each.id)
        features = dict(watching.about[each.id].scope.values).get("feature", ())
        if not points or len(features) != 1 or of is None or watching.about[each.id].criterion != of.name:
            continue
        drawn = spark(_points(line_of(points, is_smoothed=False)), unit_of(find_metric(each.metric)))
        if drawn is not None and (features[0] not in found or each.metric == "score"):
            found[features[0]] = drawn
    return found


def _points(points: Sequence[CurvePoint]) -> list[SparkPoint]:
    if not points:
        return []
    first, last = points[0].start_at, points[-1].end_at
    whole = (last - first).total_seconds() or 1.0
    return [
        SparkPoint(
            min(int((each.start_at - first).total_seconds() / whole * 48), 47), each.value, each.shown_low,
            each.shown_high, each.is_out,
        )
        for each in points
    ]  # fmt: skip
