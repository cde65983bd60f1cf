"""Series from the rows of traces: what a filter narrows, and what single requests cost.

One query for each set of dimensions and filter, bounded in time: roll-ups know neither filters nor single costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from psycopg import sql

from alerts.monitors.types import Definition, Reading, Window
from alerts.read.filtering import Filtered, filtered
from alerts.read.series_sql import also, named, rows_of, spans_of, template
from alerts.series import making
from alerts.series.asked import Asked, SeriesFault
from alerts.series.recipes import RECIPES, Held
from telltale.stats.sketch import BOUNDS, Sketch, encode
from traces.read.asking import TooSlow
from traces.rollup.sums import Sums, add

Answers = list[list[Reading] | SeriesFault]
Key = tuple[str | None, ...]
Read = Callable[["Group", Filtered], Sequence[list[Reading] | SeriesFault]]
TOO_SLOW = SeriesFault(
    "looking at the traces of these windows took too long: narrow the filter, or take fewer or shorter windows",
    is_passing=True,
)
# What a trace's own row tells under a filter; other metrics are of roll-ups alone.
OF_TRACES = ("errors", "failures", "requests", "spend", "unpriced", "input_tokens", "output_tokens", "cache_share")
OF_TIMES = ("request_duration", "slow_requests")
OF_COSTS = ("cost_per_request", "free_requests")
_SUMS = (
    "n", "errors", "failed", "priced_count", "unpriced_count", "unknown_usage_count", "partial_count",
    "upper_bound_count", "input_fresh", "input_cache_read", "input_cache_write_5m", "input_cache_write_1h",
    "input_audio", "output_text", "output_reasoning", "output_audio", "cost_pico",
)  # fmt: skip


@dataclass(slots=True)
class Group:
    """Series that one query reads: of the same dimensions and filter."""

    dimensions: tuple[str, ...]
    filter: str
    members: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of the units of one window: all, those known, their sum and squares in USD, those of 0, some by rank."""

    n: int
    known: int
    total: float
    squares: float
    free: int
    ranks: tuple[float, ...]


def read_traces(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """Sums over traces under a filter. A query for each set of dimensions and filter."""

    def read(group: Group, chosen: Filtered) -> list[list[Reading]]:
        rows = rows_of(_query("series_traces", group, chosen), chosen.params | spans_of(windows))
        width = len(group.dimensions)
        found: dict[int, dict[Key, Sums]] = defaultdict(dict)
        for at, *cells in rows:
            told = {name: int(value or 0) for name, value in zip(_SUMS, cells[width:], strict=True)}
            found[at][tuple(cells[:width])] = Sums(**told)
        return [_made(asked[at], found, windows, zone) for at in group.members]

    return _by_group(project_id, asked, read)


def read_trace_times(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """How long requests took, under a filter. A query for each set of dimensions and filter."""

    def read(group: Group, chosen: Filtered) -> list[list[Reading]]:
        params = chosen.params | spans_of(windows) | {"bounds": list(BOUNDS)}
        rows = rows_of(_query("series_trace_times", group, chosen), params)
        counts: dict[int, dict[Key, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
        for at, *key, bucket, n in rows:
            counts[at][tuple(key)][bucket] = n
        found = {at: {key: Sketch(encode(held)) for key, held in cells.items()} for at, cells in counts.items()}
        return [_timed(asked[at], found, windows, zone) for at in group.members]

    return _by_group(project_id, asked, read)


def read_costs(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """What single requests cost. A query for each set of dimensions and filter."""
    return _by_group(project_id, asked, partial(_costs, asked, windows, "series_costs_of_traces", "t"))


def costs_of_units(
    project_id: int, group: Group, asked: Sequence[Asked], windows: Sequence[Window]
) -> list[list[Reading]]:
    """What single sessions cost; for the series of sessions."""
    chosen = Filtered(sql.SQL("{}").format(sql.SQL("true")), {"project_id": project_id})
    return _costs(asked, windows, "series_costs_of_sessions", "b", group, chosen)


def _costs(
    asked: Sequence[Asked], windows: Sequence[Window], rows: str, table: str, group: Group, chosen: Filtered
) -> list[list[Reading]]:
    dimensions = group.dimensions
    query = template(
        "series_costs",
        dimensions=named("r", dimensions),
        partition=also("u", dimensions),
        groups=also("r", dimensions),
        most=sql.Literal(making.VALUES_MAX),
        rows=template(rows, dimensions=named(table, dimensions), conditions=chosen.conditions),
    )
    width = len(dimensions)
    found: dict[int, dict[Key, Costs]] = defaultdict(dict)
    for at, *cells in rows_of(query, chosen.params | spans_of(windows)):
        n, known, total, squares, free, ranks = cells[width:]
        key = tuple(value or None for value in cells[:width])
        found[at][key] = Costs(int(n), int(known), float(total), float(squares), int(free), tuple(ranks))
    return [_priced(asked[at], found, windows) for at in group.members]


def _by_group(project_id: int, asked: Sequence[Asked], read: Read) -> Answers:
    answers: Answers = [TOO_SLOW for _ in asked]
    groups: dict[tuple[tuple[str, ...], str], Group] = {}
    for at, each in enumerate(asked):
        scope = each.definition.scope
        dimensions = tuple(name for name, _ in scope.values)
        if wrong := [name for name in dimensions if name in {"provider", "model"}]:
            answers[at] = SeriesFault(f"beside a filter {wrong[0]} is narrowed by the filter itself")
            continue
        groups.setdefault((dimensions, scope.filter), Group(dimensions, scope.filter)).members.append(at)
    for group in groups.values():
        try:
            chosen = filtered(project_id, group.filter, _accepted(group, asked))
            found = read(group, chosen)
        except TooSlow:
            continue
        except SeriesFault as fault:
            found = [fault] * len(group.members)
        for at, answer in zip(group.members, found, strict=True):
            answers[at] = answer
    return answers


def _accepted(group: Group, asked: Sequence[Asked]) -> dict[str, frozenset[str | None]]:
    """The values that any of the group's series accepts, by dimension."""
    values: dict[str, set[str | None]] = defaultdict(set)
    for member in group.members:
        for name, accepted in asked[member].definition.scope.values:
            values[name].update(accepted)
    return {name: frozenset(accepted) for name, accepted in values.items()}


def _query(name: str, group: Group, chosen: Filtered) -> sql.Composed:
    return template(
        name,
        dimensions=named("t", group.dimensions),
        groups=also("t", group.dimensions),
        conditions=chosen.conditions,
    )


def _of(cells: Mapping[Key, Any], definition: Definition) -> list[Any]:
    return [cells[key] for key in product(*(values for _, values in definition.scope.values)) if key in cells]


def _made(asked: Asked, found: Mapping[int, Mapping[Key, Sums]], windows: Sequence[Window], zone: str) -> list[Reading]:
    make = RECIPES[asked.metric.key].make
    return [
        make(Held(window, zone, asked.metric, asked.definition, add(_of(found.get(at, {}), asked.definition))))
        for at, window in enumerate(windows)
    ]


def _timed(
    asked: Asked, found: Mapping[int, Mapping[Key, Sketch]], windows: Sequence[Window], zone: str
) -> list[Reading]:
    make = RECIPES[asked.metric.key].make
    readings = []
    for at, window in enumerate(windows):
        sketch = Sketch.merged(_of(found.get(at, {}), asked.definition))
        readings.append(make(Held(window, zone, asked.metric, asked.definition, Sums(), {"duration": sketch})))
    return readings


def _priced(asked: Asked, found: Mapping[int, Mapping[Key, Costs]], windows: Sequence[Window]) -> list[Reading]:
    seed = f"{asked.metric.key} {asked.definition.scope}"
    readings = []
    for at, window in enumerate(windows):
        cells = _of(found.get(at, {}), asked.definition)
        n, known = sum(each.n for each in cells), sum(each.known for each in cells)
        if asked.metric.key == "free_requests":
            coverage = known / n if n else None
            free = sum(each.free for each in cells)
            if n and not known:
                readings.append(making.nothing(window, "no cost is known", n, coverage))
            else:
                readings.append(making.share(window, free, known, "no request called a model", coverage))
            continue
        total, squares = sum(each.total for each in cells), sum(each.squares for each in cells)
        readings.append(making.costs(window, n, known, total, squares, _joined(cells), seed))
    return readings


def _joined(cells: Sequence[Costs]) -> making.Floats:
    """Values evenly spread over the ranks of all cells together; those of a large cell stand for more."""
    filled = [each for each in cells if each.ranks]
    if len(filled) < 2:
        return np.array(filled[0].ranks if filled else (), dtype=np.float64)
    values = np.concatenate([np.array(each.ranks) for each in filled])
    heavy = np.concatenate([np.full(len(each.ranks), each.known / len(each.ranks)) for each in filled])
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(heavy[order])
    most = min(making.VALUES_MAX, round(float(upto[-1])))
    wanted = (np.arange(most) + 0.5) * (float(upto[-1]) / most)
    chosen: making.Floats = values[order][np.minimum(np.searchsorted(upto, wanted), len(values) - 1)]
    return chosen
