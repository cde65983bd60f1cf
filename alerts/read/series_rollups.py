"""Series from roll-ups: many at once, in one query for each set of dimensions they are narrowed by."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import product
from math import prod

from alerts.models import Budget
from alerts.monitors.types import Definition, Reading, Window
from alerts.series import making
from alerts.series.asked import Asked, SeriesFault
from alerts.series.recipes import RECIPES, Held, Recipe, Rows
from telltale.stats.sketch import Sketch
from traces.canonical.types import Kind
from traces.cost.judging import JUDGE_SERVICE
from traces.read.asking import TooSlow
from traces.read.rollups import Rollups, Where, calls, reading, requests
from traces.rollup.buckets import minute_of, time_of
from traces.rollup.sums import Sums, add

# Nobody waits for it, and a round has many of them.
TIMEOUT_MS = 20_000
TOO_SLOW = SeriesFault("reading it took too long; it is tried again", is_passing=True)
GONE = "sums by the minute are kept for 8 days, by the hour for 100"
# How far back silence looks, and from how far back its end is known to the minute.
SILENCE_MOST, SILENCE_FINE = timedelta(days=7), timedelta(hours=2)
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_ROWS = {
    Rows.REQUESTS: requests(),
    Rows.CALLS: calls(kind=int(Kind.GENERATION)),
    Rows.SPANS: calls(),
    Rows.TOOLS: calls(kind=int(Kind.TOOL)),
}
Key = tuple[str | int | None, ...]
Answers = list[list[Reading] | SeriesFault]


@dataclass(slots=True)
class _Group:
    """Series that one query reads: the same rows, narrowed by the same dimensions."""

    rows: Rows
    dimensions: tuple[str, ...]
    members: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Cell:
    """What was read of one window of one combination of dimensions."""

    sums: Sums = field(default_factory=Sums)
    sketches: Mapping[str, Sketch] = field(default_factory=dict)
    named: dict[str | None, int] = field(default_factory=dict)


Found = dict[Key, dict[int, _Cell]]


def read_rollups(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """Readings of every series in every window. Two queries at most for each group of series."""
    answers: Answers = [TOO_SLOW for _ in asked]
    capacities = _capacities(project_id, asked)
    for group in _groups(asked):
        try:
            with reading(project_id, zone, TIMEOUT_MS) as rollups:
                known = [at for at, each in enumerate(windows) if rollups.can_answer(each.start, each.end)]
                found = _read(rollups, group, asked, [windows[at] for at in known])
        except TooSlow:
            continue
        places = {at: place for place, at in enumerate(known)}
        for member in group.members:
            answers[member] = _answer(asked[member], found, group, windows, places, zone, capacities.get(member))
    return answers


def read_silence(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """How long each window's end lies behind the last request, in seconds. Two queries for each set of dimensions."""
    answers: Answers = [TOO_SLOW for _ in asked]
    for group in _groups(asked, Rows.REQUESTS):
        try:
            with reading(project_id, zone, TIMEOUT_MS) as rollups:
                seen = _seen(rollups, group, asked, windows)
        except TooSlow:
            continue
        for member in group.members:
            keys = _keys(asked[member].definition, group.dimensions, seen)
            ends = sorted(at for key in keys for at in seen[key])
            answers[member] = [_silence(window, ends) for window in windows]
    return answers


def where_of(rows: Rows, values: Mapping[str, Iterable[str | None]]) -> Where:
    """The application's rows of these values; the product's own calls of judges only where their service is named."""
    where = _ROWS[rows].only(**{name: tuple(accepted) for name, accepted in values.items()})
    return where if "service" in values else where.but(service=JUDGE_SERVICE)


def _groups(asked: Sequence[Asked], rows: Rows | None = None) -> list[_Group]:
    groups: dict[tuple[Rows, tuple[str, ...], str], _Group] = {}
    for at, each in enumerate(asked):
        recipe = None if rows is not None else RECIPES[each.metric.key]
        kind = rows if recipe is None else recipe.rows
        assert kind is not None  # noqa: S101 - one of the two tells it
        dimensions = tuple(name for name, _ in each.definition.scope.values)
        more = "" if recipe is None else recipe.by or str(recipe.reason or "")
        groups.setdefault((kind, dimensions, more), _Group(kind, dimensions)).members.append(at)
    return list(groups.values())


def _where(group: _Group, asked: Sequence[Asked]) -> Where:
    values: dict[str, dict[str | None, None]] = defaultdict(dict)
    for member in group.members:
        for name, accepted in asked[member].definition.scope.values:
            values[name].update(dict.fromkeys(accepted))
    return where_of(group.rows, values)


def _read(rollups: Rollups, group: _Group, asked: Sequence[Asked], windows: Sequence[Window]) -> Found:
    if not windows:
        return {}
    recipes = [RECIPES[asked[member].metric.key] for member in group.members]
    first = recipes[0]
    spans = [(window.start, window.end) for window in windows]
    where = _where(group, asked)
    found: Found = defaultdict(lambda: defaultdict(_Cell))
    by = group.dimensions if not first.by or first.by in group.dimensions else (*group.dimensions, first.by)
    want = tuple(dict.fromkeys(name for recipe in recipes for name in recipe.want))
    sketches = tuple(dict.fromkeys(name for recipe in recipes for name in recipe.sketches))
    width = len(group.dimensions)
    for row in rollups.ask_windows(where, spans, by=by, want=want, sketches=sketches):
        cell = found[row.key[:width]][row.at]
        if first.by:
            value = row.key[by.index(first.by)]
            cell.named[None if value is None else str(value)] = row.sums.n
        cell.sums = row.sums if not first.by else add((cell.sums, row.sums))
        cell.sketches = row.sketches
    if first.reason is not None:
        for told in rollups.reasons_in_windows(first.reason, where, spans, by=group.dimensions):
            named = found[told.key][told.at].named
            named[told.reason] = named.get(told.reason, 0) + told.n
    return found


def _keys(definition: Definition, dimensions: tuple[str, ...], found: Mapping[Key, object]) -> list[Key]:
    """The combinations of dimensions that a series is of, among those that were found."""
    accepted = [values for _, values in definition.scope.values]
    if prod(map(len, accepted)) <= len(found):
        return [key for key in product(*accepted) if key in found]
    wanted = [frozenset(values) for values in accepted]
    return [key for key in found if all(value in values for value, values in zip(key, wanted, strict=True))]


def _answer(
    asked: Asked,
    found: Found,
    group: _Group,
    windows: Sequence[Window],
    places: Mapping[int, int],
    zone: str,
    capacity: float | SeriesFault | None,
) -> list[Reading] | SeriesFault:
    if isinstance(capacity, SeriesFault):
        return capacity
    recipe = RECIPES[asked.metric.key]
    held = [found[key] for key in _keys(asked.definition, group.dimensions, found)]
    readings = []
    for at, window in enumerate(windows):
        if at not in places:
            readings.append(making.nothing(window, GONE))
            continue
        cell = _joined([cells[places[at]] for cells in held if places[at] in cells], recipe)
        readings.append(
            recipe.make(
                Held(window, zone, asked.metric, asked.definition, cell.sums, cell.sketches, cell.named, capacity)
            )
        )
    return readings


def _joined(cells: Sequence[_Cell], recipe: Recipe) -> _Cell:
    if len(cells) == 1:
        return cells[0]
    if not cells:
        return _Cell()
    named: dict[str | None, int] = defaultdict(int)
    for cell in cells:
        for name, n in cell.named.items():
            named[name] += n
    sketches = {
        name: Sketch.merged(cell.sketches[name] for cell in cells if name in cell.sketches) for name in recipe.sketches
    }
    return _Cell(add(cell.sums for cell in cells), sketches, named)


def _capacities(project_id: int, asked: Sequence[Asked]) -> dict[int, float | SeriesFault]:
    """Calls a minute that each series of throughput is held against; one query where any is asked."""
    wanted = [at for at, each in enumerate(asked) if each.metric.key == "utilisation"]
    if not wanted:
        return {}
    told = Budget.objects.filter(project_id=project_id).values_list("capacity", flat=True).first() or {}
    return {at: _capacity(asked[at].definition, told) for at in wanted}


def lacks_capacity(project_id: int, definition: Definition) -> str:
    """Why throughput of this definition can be held against nothing; "" where it can."""
    told = Budget.objects.filter(project_id=project_id).values_list("capacity", flat=True).first() or {}
    found = _capacity(definition, told)
    return found.words if isinstance(found, SeriesFault) else ""


def _capacity(definition: Definition, told: Mapping[str, object]) -> float | SeriesFault:
    own = definition.params.get("capacity")
    if isinstance(own, int | float) and own > 0:
        return float(own)
    total = 0.0
    for name, values in definition.scope.values:
        if name in {"model", "service"}:
            for value in values:
                entered = told.get(f"{name}:{value}")
                if not isinstance(entered, int | float) or entered <= 0:
                    return SeriesFault(f"no capacity is entered for {name} {value or 'unknown'}")
                total += float(entered)
            return total
    return SeriesFault("throughput needs a capacity, or a model or service with one")


def _seen(
    rollups: Rollups, group: _Group, asked: Sequence[Asked], windows: Sequence[Window]
) -> dict[Key, list[datetime]]:
    """Ends of the minutes (near the windows) and of the hours (before) in which requests began, by dimensions."""
    where = _where(group, asked)
    seen: dict[Key, list[datetime]] = defaultdict(list)
    low, high = min(each.start for each in windows), max(each.end for each in windows)
    from_minute = max(low - SILENCE_FINE, rollups.now - timedelta(days=8) + _HOUR)
    cut = _hour_start(rollups, from_minute)
    hours = _hours(rollups, _hour_start(rollups, low - SILENCE_MOST), min(cut, high))
    minutes = [(at, at + _MINUTE) for at in _each(cut, high, _MINUTE)]
    for spans in (hours, minutes):
        usable = [span for span in spans if rollups.can_answer(*span)]
        if usable:
            for row in rollups.ask_windows(where, usable, by=group.dimensions, want=("counts",)):
                if row.sums.n:
                    seen[row.key].append(usable[row.at][1])
    return seen


def _hour_start(rollups: Rollups, at: datetime) -> datetime:
    return time_of(rollups.calendar.place(minute_of(at))[0])


def _hours(rollups: Rollups, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    found = []
    at = minute_of(start)
    while time_of(at) < end:
        following = rollups.calendar.next_hour(at)
        found.append((time_of(at), time_of(following)))
        at = following
    return found


def _each(start: datetime, end: datetime, step: timedelta) -> Iterable[datetime]:
    while start < end:
        yield start
        start += step


def _silence(window: Window, ends: Sequence[datetime]) -> Reading:
    place = bisect_right(ends, window.end)
    most = SILENCE_MOST.total_seconds()
    if not place:
        return replace(making.level(window, most, 1, ""), lacking="no request for a week or more")
    return making.level(window, min((window.end - ends[place - 1]).total_seconds(), most), 1, "")
