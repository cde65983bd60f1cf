"""A series as it came and as it would be at the baseline's mix: read by the values of one dimension, standardised."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.monitors.states import Kind
from alerts.monitors.types import Definition, Metric, Reading, Scope, Share, Values, Window
from alerts.read.series import Asked, SeriesFault, read_many
from alerts.read.series_about import values_of
from alerts.stats.mix import Standardised, Stratum, standardise
from evals.stats.results import TooLittle

# So many values of the dimension, the most frequent first; what is left over is in neither figure, and is said.
STRATA_MAX = 8
WINDOWS_MAX = 200
KINDS = frozenset({Kind.SHARE, Kind.SCORE, Kind.TIME, Kind.COST})
_DAY = timedelta(days=1)
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Part:
    """One value of the dimension: its part of the baseline's units and of the last windows', and its mean there."""

    name: str
    before: float
    now: float
    mean: float | None
    n: float


@dataclass(frozen=True, slots=True)
class Mixed:
    """Each window standardised to the baseline's mix. `covered`: part of the series that the values read stand for."""

    windows: tuple[tuple[Window, Standardised | TooLittle], ...]
    parts: tuple[Part, ...]
    whole: Standardised | TooLittle
    is_cut: bool


def dimensions_of(metric: Metric | None, definition: Definition) -> list[str]:
    """The dimensions a series can be split by: those it knows and its scope does not hold fast."""
    if metric is None or metric.kind not in KINDS or definition.scope.filter or definition.scope.view is not None:
        return []
    fixed = {name for name, values in definition.scope.values if len(values) == 1}
    return [name for name in metric.scopes if name not in fixed]


def read_mixed(
    project_id: int,
    time_zone: str,
    metric: Metric,
    definition: Definition,
    dimension: str,
    reference: tuple[datetime, datetime],
    windows: Sequence[Window],
) -> Mixed | TooLittle:
    """The newest WINDOWS_MAX of `windows`, standardised to the mix of the stretch `reference`.

    SeriesFault where the series cannot be read, TooSlow where it takes too long.
    """
    windows = windows[-WINDOWS_MAX:]
    if not windows:
        return TooLittle(0, 1, "windows in this time")
    values = values_of(
        project_id, time_zone, metric, dimension, min(reference[0], windows[0].start), windows[-1].end, STRATA_MAX + 1
    )
    wanted = dict(definition.scope.values).get(dimension, ())
    values = [value for value in values if not wanted or value in wanted]
    kept = values[:STRATA_MAX]
    if len(kept) < 2:
        return TooLittle(len(kept), 2, f"values of {dimension.replace('_', ' ')}")
    asked = [Asked(metric, _narrowed(definition, dimension, value)) for value in kept]
    names = [UNKNOWN if value is None else value for value in kept]
    before = _answered(read_many(project_id, time_zone, asked, _days(*reference)))
    now = _answered(read_many(project_id, time_zone, asked, windows))
    shares = {name: math.fsum(one.n for one in rows) for name, rows in zip(names, before, strict=True)}
    if not math.fsum(shares.values()) > 0:
        return TooLittle(0, 1, "units in the baseline")
    found = []
    for at, window in enumerate(windows):
        strata = {name: _stratum(rows[at]) for name, rows in zip(names, now, strict=True)}
        known = {name: stratum for name, stratum in strata.items() if stratum is not None}
        found.append((window, standardise(shares, known) if known else TooLittle(0, 1, "units")))
    whole = {name: _joined(_stratum(one) for one in rows) for name, rows in zip(names, now, strict=True)}
    sums = {name: stratum for name, stratum in whole.items() if stratum is not None}
    total, all_now = math.fsum(shares.values()), math.fsum(each.n for each in sums.values())
    parts = tuple(
        Part(
            name,
            shares[name] / total,
            sums[name].n / all_now if name in sums else 0.0,
            sums[name].mean if name in sums else None,
            sums[name].n if name in sums else 0.0,
        )
        for name in names
    )
    return Mixed(
        tuple(found),
        parts,
        standardise(shares, sums) if sums else TooLittle(0, 1, "units in this time"),
        len(values) > STRATA_MAX,
    )


def _narrowed(definition: Definition, dimension: str, value: str | None) -> Definition:
    others = [(name, values) for name, values in definition.scope.values if name != dimension]
    scope = Scope(tuple(sorted([*others, (dimension, (value,))])))
    return replace(definition, scope=scope)


def _answered(answers: Iterable[list[Reading] | SeriesFault]) -> list[list[Reading]]:
    found = []
    for answer in answers:
        if isinstance(answer, SeriesFault):
            raise answer
        found.append(answer)
    return found


def _days(start: datetime, end: datetime) -> list[Window]:
    """[start, end) in pieces of a day: the mix needs sums alone."""
    found = []
    while start < end:
        found.append(Window(start, min(start + _DAY, end)))
        start = found[-1].end
    return found


def _stratum(reading: Reading) -> Stratum | None:
    data = reading.data
    if isinstance(data, Share) and data.n:
        return Stratum.of_share(data.k, data.n)
    if not isinstance(data, Values) or not data.values:
        return None
    weights = data.weights or (1.0,) * len(data.values)
    total = math.fsum(weights)
    mean = math.fsum(w * x for w, x in zip(weights, data.values, strict=True)) / total
    if len(data.values) == 1:
        return Stratum(1.0, mean, None)
    squares = math.fsum(w * (x - mean) ** 2 for w, x in zip(weights, data.values, strict=True))
    return Stratum(reading.n_eff or float(reading.n), mean, squares / total)


def _joined(strata: Iterable[Stratum | None]) -> Stratum | None:
    """Strata of one value over several windows as one."""
    known = [each for each in strata if each is not None]
    n = math.fsum(each.n for each in known)
    if n <= 0:
        return None
    mean = math.fsum(each.n * each.mean for each in known) / n
    inside = math.fsum(each.n * (each.variance or 0.0) for each in known)
    between = math.fsum(each.n * (each.mean - mean) ** 2 for each in known)
    return Stratum(n, mean, (inside + between) / n if n > 1 else None)
