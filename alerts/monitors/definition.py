"""The definition of a monitor: read from JSON with every fault named by field, limit and value, and written back.

    {"name": "Errors of checkout", "metric": "errors", "scope": {"feature": ["checkout"]}, "window_minutes": 15,
     "method": "chart", "direction": "up", "severity": 1, "tier": "page"}

`parse_definition` reads what people send and fills in what they leave out from the metric; `read_definition` reads what
is stored and asks nothing of the catalogue, so that a monitor whose metric is gone still says what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from alerts.monitors.fields import Reader, is_clean, kind_of, shown
from alerts.monitors.states import Kind, Method
from alerts.monitors.stored import charted, minutes_of, moment_of, read_definition, to_json
from alerts.monitors.types import (
    BaselinePolicy,
    Composite,
    Definition,
    Member,
    Metric,
    Objective,
    Scope,
    Threshold,
)
from telltale.lib.faults import Fault, ItemRefused

# What a composite is a series of: its members, and nothing of its own.
COMPOSITE = "composite"
NAME_MAX, NOTE_MAX, TEXT_MAX = 120, 1_000, 200
NUMBER_MAX = 1e12
# Windows that cut a day evenly (in minutes), the day and the week: those of alerts.series.grid.
WINDOWS = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440, 10_080)
DAYS_LEAST, DAYS_MOST, DAYS_DEFAULT, DAYS_SHORT = 0.25, 56.0, 7.0, 3.0
LEAST_N_MAX = 1_000_000
WEIGHT_LEAST, WEIGHT_MOST = 0.1, 10.0
AFTER_MAX = 100
LATENESS_MOST = 1440
GRACE_MOST = 31 * 1440
NO_DATA_MOST = 31 * 1440
MEMBERS_LEAST, MEMBERS_MOST = 2, 20
WITHIN_MOST = 7 * 1440
LATENESS, GRACE = timedelta(minutes=10), timedelta(hours=24)
SHORT_WINDOW, SHORT_LATENESS = timedelta(minutes=5), timedelta(minutes=1)
PARAM_TEXTS_MAX = 20
OBJECTIVE_WINDOW_MOST = 60
TIERS = ("page", "notice")
DIRECTIONS = ("both", "up", "down")
SIDES = ("over", "under")
# The fewest units a window is judged by (statistics.md 3), where people do not say.
LEAST_N = {Kind.SCORE: 20, Kind.TIME: 20, Kind.COST: 20, Kind.CATEGORY: 20}
_METHODS: Mapping[Kind, tuple[Method, ...]] = {
    Kind.SHARE: (Method.CHART, Method.CUSUM, Method.SHEWHART, Method.FIXED, Method.OBJECTIVE),
    Kind.SCORE: (Method.CHART, Method.CUSUM, Method.SHEWHART, Method.FIXED),
    Kind.TIME: (Method.CHART, Method.CUSUM, Method.SHEWHART, Method.FIXED),
    Kind.COST: (Method.CHART, Method.CUSUM, Method.SHEWHART, Method.FIXED),
    Kind.COUNT: (Method.CHART, Method.CUSUM, Method.SHEWHART, Method.FIXED),
    Kind.LEVEL: (Method.CHART, Method.CUSUM, Method.SHEWHART, Method.FIXED),
    Kind.CATEGORY: (Method.CHART,),
    Kind.VECTOR: (Method.CHART,),
}
FIELDS = (
    "name", "metric", "method", "params", "scope", "window_minutes", "direction", "severity", "tier", "weight",
    "baseline", "threshold", "objective", "composite", "least_n", "no_data_minutes", "floor", "ceiling",
    "lateness_minutes", "grace_minutes", "note",
)  # fmt: skip
ScopeParser = Callable[[Any, Metric], Scope]
ParamsParser = Callable[[Metric, Any], dict[str, Any]]
# Lateness and grace that suit a metric.
TimingOf = Callable[[Metric], tuple[timedelta, timedelta]]


def methods_of(kind: Kind) -> tuple[Method, ...]:
    """The methods that can decide a series of this kind, the usual one first."""
    return _METHODS[kind]


def parse_definition(
    told: Any,
    metrics: Mapping[str, Metric],
    *,
    parse_scope: ScopeParser,
    parse_params: ParamsParser | None = None,
    timing: TimingOf | None = None,
) -> Definition:
    """The definition that `told`, JSON from outside, describes; ItemRefused with everything that is wrong with it.

    `metrics`: what can be charted, by key. `parse_scope` reads the field `scope`, `parse_params` the field `params`
    (both: ItemRefused, fields as "scope.x", "params.x"; no `parse_params`: only their form is looked at). What is left
    out is as the metric suggests.
    """
    if not isinstance(told, Mapping):
        raise ItemRefused(Fault("definition", "is no object", "an object", kind_of(told)))
    read = Reader(told)
    read.known(FIELDS)
    method = Method(read.choice("method", tuple(Method), Method.CHART))
    metric = None if method is Method.COMPOSITE else _metric(read, metrics)
    kind = metric.kind if metric else None
    if kind is not None and method not in _METHODS[kind]:
        words = ", ".join(_METHODS[kind])
        read.fault("method", f"cannot decide a series of the kind {kind}", f"one of {words}", method.value)
    usual = _usual_window(metric, method)
    window = timedelta(minutes=_window(read, metric, method, usual))
    for name, owner in (("threshold", Method.FIXED), ("objective", Method.OBJECTIVE), ("composite", Method.COMPOSITE)):
        if method is not owner and read.told.get(name) is not None:
            read.fault(name, f"is for the method {owner} alone", "null")
    threshold = _threshold(read, metric) if method is Method.FIXED else None
    objective = _objective(read) if method is Method.OBJECTIVE else None
    composite = _composite(read, window) if method is Method.COMPOSITE else None
    floor, ceiling = (_bound(read, name, metric) for name in ("floor", "ceiling"))
    if floor is not None and ceiling is not None and floor >= ceiling:
        read.fault("ceiling", "must lie above the floor", f"more than {floor:g}", ceiling)
    if composite is not None:
        for each in ("floor", "ceiling"):
            if read.told.get(each) is not None:
                read.fault(each, "is for series: a composite has none", "null", read.told[each])
        if read.told.get("metric") not in (None, COMPOSITE):
            read.fault("metric", "is not for a composite: its members have theirs", f"{COMPOSITE} or none", "another")
    lateness, grace = _usual_timing(metric, window, timing)
    definition = Definition(
        name=read.text("name", NAME_MAX),
        metric=metric.key if metric else COMPOSITE,
        method=method,
        params=_params(read, metric, parse_params),
        scope=_scope(read, metric, parse_scope),
        window=window,
        direction=read.choice("direction", DIRECTIONS, (metric.worse if metric else None) or "both"),  # type: ignore[arg-type]
        severity=_severity(read),
        is_paging=read.choice("tier", TIERS, "page") == "page",
        weight=read.number("weight", WEIGHT_LEAST, WEIGHT_MOST, 1.0),
        baseline=_baseline(read, window),
        threshold=threshold,
        objective=objective,
        composite=composite,
        least_n=read.whole("least_n", 1, LEAST_N_MAX, LEAST_N.get(kind, 1) if kind else 1),
        no_data=_no_data(read, window),
        floor=floor,
        ceiling=ceiling,
        lateness=timedelta(minutes=read.whole("lateness_minutes", 0, LATENESS_MOST, minutes_of(lateness))),
        grace=timedelta(minutes=read.whole("grace_minutes", 0, GRACE_MOST, minutes_of(grace))),
        note=read.text("note", NOTE_MAX, is_needed=False),
    )
    if definition.no_data is not None and definition.composite is not None:
        read.fault("no_data_minutes", "is for series: a composite has none", "null")
    if read.faults:
        raise ItemRefused(*read.faults)
    return definition


def _metric(read: Reader, metrics: Mapping[str, Metric]) -> Metric | None:
    told = read.told.get("metric")
    if told is None:
        read.fault("metric", "is required", "the key of a metric")
        return None
    found = metrics.get(told) if isinstance(told, str) else None
    if found is None:
        read.fault("metric", "is none that can be charted", "the key of a metric", shown(told))
    return found


def _params(read: Reader, metric: Metric | None, parse: ParamsParser | None) -> dict[str, Any]:
    inner = read.inner("params")
    told = dict(inner.told) if inner else {}
    needs, may = (metric.needs, metric.may) if metric else ((), ())
    found: dict[str, Any] = {}
    before = len(read.faults)
    for name, value in told.items():
        if name not in needs and name not in may:
            names = ", ".join((*needs, *may))
            accepted = f"one of {names}" if names else "none"
            read.fault(f"params.{str(name)[:60]}", "is no parameter of this metric", accepted)
        elif value is not None and value != "" and value != []:
            if _is_param(value):
                found[name] = value
            else:
                limit = f"text of 1 to {TEXT_MAX} characters, a list of it, or a number"
                read.fault(f"params.{name}", "is no value that can be", limit, shown(value))
    for name in needs:
        if name not in found and told.get(name) in (None, "", []):
            read.fault(f"params.{name}", "is required by this metric", "a value")
    if parse is None or metric is None or len(read.faults) > before:
        return found
    try:
        return parse(metric, found)
    except ItemRefused as refused:
        read.faults.extend(refused.faults)
        return found


def _is_param(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= PARAM_TEXTS_MAX and all(isinstance(each, str) and _is_param(each) for each in value)
    if isinstance(value, str):
        return 0 < len(value) <= TEXT_MAX and is_clean(value)
    return isinstance(value, int | float) and abs(value) <= NUMBER_MAX


def _scope(read: Reader, metric: Metric | None, parse: ScopeParser) -> Scope:
    told = read.told.get("scope")
    if metric is None:
        if told not in (None, {}) and read.told.get("method") == Method.COMPOSITE:
            read.fault("scope", "is for series: the members of a composite have theirs", "{}")
        return Scope()
    try:
        return parse(told, metric)
    except ItemRefused as refused:
        read.faults.extend(refused.faults)
        return Scope()


def _usual_window(metric: Metric | None, method: Method) -> int:
    if metric is None:
        return 15
    minutes = minutes_of(metric.window)
    return min(minutes, max(5, minutes_of(metric.shortest))) if method is Method.OBJECTIVE else minutes


def _window(read: Reader, metric: Metric | None, method: Method, usual: int) -> int:
    minutes = read.whole("window_minutes", 1, WINDOWS[-1], usual)
    limit = f"one of {', '.join(map(str, WINDOWS))}"
    if minutes not in WINDOWS:
        read.fault("window_minutes", "cuts no day evenly", limit, minutes)
        return usual
    if metric is not None and minutes < minutes_of(metric.shortest):
        shortest = minutes_of(metric.shortest)
        read.fault("window_minutes", "is shorter than this metric is kept by", f"{shortest} or more", minutes)
        return usual
    if method is Method.OBJECTIVE and minutes > OBJECTIVE_WINDOW_MOST:
        # The shorter burn rate is read over an hour and five minutes.
        limit = f"at most {OBJECTIVE_WINDOW_MOST}"
        read.fault("window_minutes", "is longer than burn rates are read by", limit, minutes)
        return usual
    return minutes


def _usual_timing(metric: Metric | None, window: timedelta, timing: TimingOf | None) -> tuple[timedelta, timedelta]:
    """Lateness and grace; an alarm within a minute is worth nothing where it waits ten for stragglers."""
    lateness, grace = timing(metric) if metric is not None and timing is not None else (LATENESS, GRACE)
    return (SHORT_LATENESS if window <= SHORT_WINDOW and lateness <= LATENESS else lateness), grace


def _severity(read: Reader) -> int:
    told = read.told.get("severity")
    if isinstance(told, str) and told.upper() in {"P0", "P1", "P2", "P3"}:
        return int(told[1])
    return read.whole("severity", 0, 3, 2)


def _range_of(metric: Metric | None) -> tuple[float, float]:
    """What a limit may be in the metric's unit."""
    if metric is None or metric.unit in {"number", "score"}:
        return -NUMBER_MAX, NUMBER_MAX
    return (0.0, 1.0) if metric.unit == "share" else (0.0, NUMBER_MAX)


def _bound(read: Reader, name: str, metric: Metric | None) -> float | None:
    return read.maybe_number(name, *_range_of(metric))


def _threshold(read: Reader, metric: Metric | None) -> Threshold | None:
    inner = read.inner("threshold")
    if inner is None:
        if read.told.get("threshold") is None:
            read.fault("threshold", "is required by a fixed limit", "an object with limit and side")
        return None
    inner.known(("limit", "side", "release", "after"))
    low, high = _range_of(metric)
    limit = inner.maybe_number("limit", low, high)
    if limit is None and inner.told.get("limit") is None:
        inner.fault("limit", "is required", f"a number from {low:g} to {high:g}")
    side = inner.choice("side", SIDES, "under" if metric is not None and metric.worse == "down" else "over")
    release = inner.maybe_number("release", low, high)
    after = inner.whole("after", 1, AFTER_MAX, 1)
    if limit is None:
        return None
    if release is not None and (release > limit if side == "over" else release < limit):
        words = f"at most {limit:g}" if side == "over" else f"at least {limit:g}"
        inner.fault("release", "lies on the wrong side of the limit", words, release)
    return Threshold(limit, side, release, after)  # type: ignore[arg-type]


def _objective(read: Reader) -> Objective | None:
    inner = read.inner("objective")
    if inner is None:
        if read.told.get("objective") is None:
            read.fault("objective", "is required by an objective", "an object with allowed")
        return None
    inner.known(("allowed",))
    allowed = inner.maybe_number("allowed", 0.0, 1.0, is_open=True)
    if allowed is None and inner.told.get("allowed") is None:
        inner.fault("allowed", "is required", "a number between 0 and 1")
    return None if allowed is None else Objective(allowed)


def _composite(read: Reader, window: timedelta) -> Composite | None:
    inner = read.inner("composite")
    if inner is None:
        if read.told.get("composite") is None:
            read.fault("composite", "is required by a composite", "an object with members")
        return None
    inner.known(("members", "least", "within_minutes", "score_over"))
    members = _members(inner)
    least = inner.whole("least", 1, MEMBERS_MOST, 2)
    if members and least > len(members):
        inner.fault("least", "is more than there are members", f"1 to {len(members)}", least)
    within = inner.whole("within_minutes", 1, WITHIN_MOST, 360)
    if timedelta(minutes=within) < window:
        inner.fault("within_minutes", "is shorter than one window", f"{minutes_of(window)} or more", within)
    score_over = inner.maybe_number("score_over", 0.0, NUMBER_MAX, is_open=True)
    return Composite(members, least, timedelta(minutes=within), score_over)


def _members(inner: Reader) -> tuple[Member, ...]:
    told = inner.told.get("members")
    limit = f"{MEMBERS_LEAST} to {MEMBERS_MOST} members"
    if not isinstance(told, list):
        inner.fault("members", "is no list", limit, None if told is None else kind_of(told))
        return ()
    if not MEMBERS_LEAST <= len(told) <= MEMBERS_MOST:
        inner.fault("members", "are too few" if len(told) < MEMBERS_LEAST else "are too many", limit, len(told))
    members: list[Member] = []
    for at, each in enumerate(told[:MEMBERS_MOST]):
        if isinstance(each, int) and not isinstance(each, bool):
            each = {"monitor": each}
        if not isinstance(each, Mapping):
            inner.fault(f"members[{at}]", "is no object", "an object with monitor and weight", kind_of(each))
            continue
        row = Reader(each, f"{inner.under}members[{at}].", inner.faults)
        row.known(("monitor", "weight"))
        monitor = row.whole("monitor", 1, 2**63 - 1, 0)
        if not monitor and row.told.get("monitor") is None:
            row.fault("monitor", "is required", "the id of a monitor")
        if monitor and any(member.monitor_id == monitor for member in members):
            row.fault("monitor", "is a member already", "each monitor once", monitor)
        members.append(Member(monitor, row.number("weight", WEIGHT_LEAST, WEIGHT_MOST, 1.0)))
    return tuple(members)


def _baseline(read: Reader, window: timedelta) -> BaselinePolicy:
    inner = read.inner("baseline")
    if inner is None:
        return BaselinePolicy(days=_usual_days(window))
    inner.known(("start", "end", "days"))
    start, end = inner.moment("start"), inner.moment("end")
    days = inner.number("days", DAYS_LEAST, DAYS_MOST, _usual_days(window))
    if end is not None and start is None:
        inner.fault("start", "is required beside an end", "a time before the end")
    if start is not None and end is not None:
        if end <= start:
            inner.fault("end", "must lie after the start", f"after {moment_of(start)}", moment_of(end))
        elif end - start < window:
            inner.fault("end", "leaves less than one window", f"{minutes_of(window)} minutes or more", moment_of(end))
        elif end - start > timedelta(days=DAYS_MOST):
            inner.fault("end", "makes too long a stretch", f"at most {DAYS_MOST:g} days", moment_of(end))
    return BaselinePolicy(start, end, days)


def _usual_days(window: timedelta) -> float:
    """A week, so that every day is in it. Minutes are kept for eight days (traces.rollup.covering): three, that there
    is history left to watch; windows of days need some of them."""
    if window < timedelta(hours=1):
        return DAYS_SHORT
    return max(DAYS_DEFAULT, 8 * (window / timedelta(days=1)))


def _no_data(read: Reader, window: timedelta) -> timedelta | None:
    if read.told.get("no_data_minutes") is None:
        return None
    least = minutes_of(window)
    minutes = read.whole("no_data_minutes", 1, NO_DATA_MOST, least)
    if minutes < least:
        read.fault("no_data_minutes", "is shorter than one window", f"{least} to {NO_DATA_MOST}", minutes)
    return timedelta(minutes=minutes)


__all__ = ["COMPOSITE", "charted", "methods_of", "parse_definition", "read_definition", "to_json"]
