"""The one place where a window changes a chart. A function of its arguments alone: live, back-test and replay agree.

    readings -> merged where too small -> learning, or judged by the frozen baseline -> alarm, latched until it ends

Nothing a window holds moves the limits that judge it. An alarm stays open, and there is no second one, until a person
closes it (`release`) or `QUIET_WINDOWS` windows in a row were within limits.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from alerts.charting import learning as learner
from alerts.charting import thresholds
from alerts.charting.merging import WAIT_MOST, is_enough, merged
from alerts.charting.showing import MICRO, Shown, shown
from alerts.charting.types import (
    RULE_MEMBERS,
    RULE_NO_DATA,
    RULE_THRESHOLD,
    Advanced,
    Chart,
    Collected,
    Decided,
    Learning,
    NewAlarm,
    NewBaseline,
    OpenAlarm,
    Phase,
    Recall,
    Waiting,
    collected,
)
from alerts.detectors.base import Direction, Part, State
from alerts.detectors.registry import detector_of
from alerts.monitors.definition import charted
from alerts.monitors.states import UNJUDGED, Method, PointState, Standing
from alerts.monitors.types import Data, Definition, Members, Metric, Reading, Share

# An alarm ends by itself after so many windows in a row within limits.
QUIET_WINDOWS = 8
WITHOUT_BASELINE = frozenset({Method.FIXED, Method.OBJECTIVE, Method.COMPOSITE})
_WORDS = {
    Standing.IN_CONTROL: "within its limits",
    Standing.NO_DATA: "nothing came in the last window",
    Standing.TOO_LITTLE: "too little came to judge",
}


def seed_of(definition: Definition) -> int:
    """The seed of a chart's baselines: of what is charted alone, so that a back-test has those of the live chart."""
    told = json.dumps(charted(definition), sort_keys=True, ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:4], "big")


def begin(definition: Definition, seed: int | None = None) -> Chart:
    """The chart before its first window."""
    policy = definition.baseline
    learns = definition.method not in WITHOUT_BASELINE
    learning = Learning(policy.start, policy.end, policy.days) if learns else None
    return Chart(
        seed=seed_of(definition) if seed is None else seed,
        standing=Standing.LEARNING if learns else Standing.NO_DATA,
        words=learner.words(learning) if learning else "no window so far",
        learning=learning,
    )


def release(chart: Chart) -> Chart:
    """The chart after a person closed its alarm: what it added up starts again at 0, the baseline stays."""
    standing = Standing.IN_CONTROL if chart.learning is None else Standing.LEARNING
    words = "alarm closed" if chart.learning is None else learner.words(chart.learning)
    return replace(_released(chart), standing=standing, words=words, since=chart.decided_to)


def advance(
    chart: Chart,
    definition: Definition,
    metric: Metric,
    reading: Reading,
    arl0: float,
    *,
    recall: Recall | None = None,
    marked: bool = False,
) -> Advanced:
    """The chart after one closed window, with the point, and the alarm or baseline that came of it.

    Windows come in order, each once. `arl0`: windows until a false alarm, for a baseline that is frozen now. `recall`
    gives collected windows that the chart does not hold itself. `marked`: people marked this day as no example of
    normal; it is judged and never learned from. ValueError for a window that was decided before.
    """
    window = reading.window
    if chart.decided_to is not None and window.start < chart.decided_to:
        raise ValueError(f"the window from {window.start} was decided before")
    has_data = reading.n > 0 and reading.data is not None
    if has_data:
        chart = replace(chart, last_data_at=window.end)
    ended = has_data and chart.alarm is not None and chart.alarm.rule == RULE_NO_DATA
    if ended:
        # Silence has nothing to do with what the detector added up: that goes on.
        chart = replace(chart, alarm=None, quiet=0)
    chart, judged = _judged(chart, definition, metric, reading, arl0, marked, recall)
    silent = None if has_data else _silence(chart, definition, reading)
    if silent is not None:
        judged = replace(judged, lead=silent, crossed="down", parts=(silent,))
    chart, alarm, over = _alarmed(chart, definition, reading, judged)
    phase = Phase.LEARNING if judged.is_learning else Phase.LATCHED if judged.was_latched else Phase.WATCHED
    chart = _stood(replace(chart, decided_to=window.end), judged, window.end)
    return Advanced(chart, _point(reading, judged, phase, alarm), alarm, ended or over, judged.baseline)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a window came to, before alarms: `decided` where a rule spoke, `lead` the rule that speaks."""

    state: PointState
    is_learning: bool = False
    was_latched: bool = False
    decided: bool = False
    lead: Part | None = None
    crossed: Direction | None = None
    parts: tuple[Part, ...] = ()
    z: float | None = None
    value: float | None = None
    over: bool = False
    shown: Shown = field(default_factory=Shown)
    baseline_no: int = 0
    baseline: NewBaseline | None = None
    data: Data | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


def _judged(
    chart: Chart,
    definition: Definition,
    metric: Metric,
    reading: Reading,
    arl0: float,
    marked: bool,
    recall: Recall | None,
) -> tuple[Chart, _Judged]:
    """Chart and window after merging, learning or judging; nothing of alarms but whether one was open."""
    window, data = reading.window, reading.data
    plain = _Judged(
        PointState.NO_DATA,
        is_learning=chart.is_learning,
        was_latched=chart.alarm is not None,
        baseline_no=chart.baseline_no if chart.baseline is not None and not chart.is_learning else 0,
    )
    if data is None:
        state = PointState.NO_DATA if reading.n == 0 else PointState.TOO_LITTLE
        why = {"why": reading.lacking} if reading.lacking else {}
        if chart.waiting is not None and window.end - chart.waiting.start >= WAIT_MOST:
            chart = replace(chart, waiting=None)
        return chart, replace(plain, state=state, told=why)
    start, n, value = window.start, reading.n, reading.value
    if chart.waiting is not None:
        joined = merged(chart.waiting.data, data)
        if joined is not None:
            start, n, data = chart.waiting.start, n + chart.waiting.n, joined
            value = _value_of(joined, value)
    if not is_enough(n, data, definition, chart.baseline):
        return _too_small(chart, definition, plain, reading, start, n, data)
    chart = replace(chart, waiting=None)
    told: dict[str, Any] = {} if start == window.start else {"merged_from": _text(start), "merged_n": n}
    held = replace(plain, data=data, value=value, told=told)
    if marked:
        held = replace(held, told={**held.told, "marked": True})
    if definition.method in WITHOUT_BASELINE:
        chart, judged = _by_rule(chart, definition, reading, arl0, held)
    elif chart.is_learning:
        taken = None if marked else collected(start, window.end, n, value, data)
        chart, judged = _learned(chart, definition, metric, arl0, taken, held, recall)
    else:
        chart, judged = _by_detector(chart, held, data, metric)
    beyond = thresholds.bound(definition, value)
    if beyond is not None:
        crossed: Direction = "down" if beyond.limit_low is not None else "up"
        parts = (*judged.parts, beyond)
        judged = replace(judged, state=PointState.OUT, decided=True, lead=beyond, crossed=crossed, parts=parts)
    elif judged.is_learning and (definition.floor is not None or definition.ceiling is not None):
        judged = replace(judged, decided=True)
    return chart, judged


def _too_small(
    chart: Chart, definition: Definition, plain: _Judged, reading: Reading, start: datetime, n: int, data: Data
) -> tuple[Chart, _Judged]:
    """A window that holds too little: it waits for the next, or is left undecided after a day, or where it cannot."""
    window = reading.window
    told: dict[str, Any] = {"why": f"{n} of at least {definition.least_n}"}
    if start != window.start:
        told["merged_from"] = _text(start)
    # A drawn quantile cannot be made of two windows: fixed limits wait for shares alone.
    can_wait = merged(data, data) is not None and (
        definition.method not in WITHOUT_BASELINE or (isinstance(data, Share) and definition.method is Method.FIXED)
    )
    if not can_wait or window.end - start >= WAIT_MOST:
        return replace(chart, waiting=None), replace(plain, state=PointState.TOO_LITTLE, told=told)
    return replace(chart, waiting=Waiting(start, n, data)), replace(plain, state=PointState.WAITING, told=told)


def _by_rule(
    chart: Chart, definition: Definition, reading: Reading, arl0: float, held: _Judged
) -> tuple[Chart, _Judged]:
    """Fixed limits, burn rates, members."""
    data = held.data
    if definition.threshold is not None:
        if held.value is None:
            return chart, replace(held, state=PointState.NO_DATA)
        chart, ruling = thresholds.by_threshold(chart, definition.threshold, held.value)
    elif definition.objective is not None and isinstance(data, Share):
        tallies, ruling = thresholds.by_burn(chart, definition.objective, reading.window, data, arl0)
        chart = replace(chart, tallies=tallies)
    elif definition.composite is not None and isinstance(data, Members):
        ruling = thresholds.by_members(chart, definition.composite, data)
    else:
        raise ValueError(f"a window of {type(data).__name__} cannot be decided by {definition.method}")
    told = {**held.told, "why": ruling.why} if ruling.why else held.told
    in_unit = definition.threshold is not None
    drawn = Shown(ruling.lead.limit_low, ruling.lead.limit_high) if in_unit else Shown()
    return chart, replace(
        held,
        state=PointState.OUT if ruling.crossed else PointState.IN_LIMITS,
        decided=True,
        lead=ruling.lead,
        crossed=ruling.crossed,
        parts=ruling.parts,
        value=ruling.value,
        over=ruling.over,
        shown=drawn,
        told=told,
    )


def _learned(
    chart: Chart,
    definition: Definition,
    metric: Metric,
    arl0: float,
    taken: Collected | None,
    held: _Judged,
    recall: Recall | None,
) -> tuple[Chart, _Judged]:
    """One window more to learn from, and the baseline where there is enough."""
    judged = replace(held, state=PointState.LEARNING)
    if taken is None or chart.learning is None:
        return chart, judged
    learning = learner.collect(chart.learning, taken)
    if not learner.is_due(learning, taken.end):
        return replace(chart, learning=learning), judged
    no = chart.baseline_no + 1
    tried = learner.attempt(learning, definition, metric, arl0, chart.seed + no, no, taken.end, recall)
    if tried.baseline is None:
        return replace(chart, learning=tried.learning), judged
    return take_over(chart, tried.baseline), replace(judged, baseline=tried.baseline)


def take_over(chart: Chart, baseline: NewBaseline) -> Chart:
    """The chart judged by `baseline` from the next window on; an open alarm stays open."""
    return replace(
        chart,
        learning=None,
        baseline=baseline.learned,
        baseline_no=baseline.no,
        centre=baseline.centre,
        state=State(),
    )


def _by_detector(chart: Chart, held: _Judged, data: Data, metric: Metric) -> tuple[Chart, _Judged]:
    """The window as the frozen baseline sees it."""
    baseline = chart.baseline
    if baseline is None:
        raise ValueError("a chart that is not learning has a baseline")
    before = replace(chart.state, latched=chart.alarm is not None)
    state, verdict = detector_of(baseline).step(baseline, before, data)
    lead = Part(verdict.rule, verdict.statistic, verdict.limit_low, verdict.limit_high)
    # A detector that merges by itself says nothing yet, and moves nothing.
    decided = verdict.z is not None or verdict.crossed is not None
    judged = replace(
        held,
        state=PointState.OUT if verdict.crossed else PointState.IN_LIMITS if decided else PointState.WAITING,
        decided=decided,
        lead=lead,
        crossed=verdict.crossed,
        parts=verdict.parts,
        z=verdict.z,
        shown=shown(baseline, chart.centre, before, data, verdict, MICRO if metric.unit == "usd" else 1.0),
    )
    return replace(chart, state=state), judged


def _silence(chart: Chart, definition: Definition, reading: Reading) -> Part | None:
    """The rule of silence: minutes without anything, beyond what the definition allows; None within."""
    if definition.no_data is None or chart.last_data_at is None:
        return None
    quiet = (reading.window.end - chart.last_data_at) / timedelta(minutes=1)
    allowed = definition.no_data / timedelta(minutes=1)
    return Part(RULE_NO_DATA, quiet, None, allowed) if quiet >= allowed else None


def _alarmed(
    chart: Chart, definition: Definition, reading: Reading, judged: _Judged
) -> tuple[Chart, NewAlarm | None, bool]:
    """Opens an alarm, keeps it open, or ends it: (chart, the new one, whether the open one ended)."""
    if judged.crossed is not None and judged.lead is not None:
        if chart.alarm is not None:
            return replace(chart, quiet=0), None, False
        lead, window = judged.lead, reading.window
        limit = lead.limit_low if judged.crossed == "down" and lead.limit_low is not None else lead.limit_high
        alarm = NewAlarm(
            window=window,
            direction=judged.crossed,
            rule=lead.rule,
            statistic=_finite(lead.statistic),
            limit=_finite(limit),
            value=judged.value if judged.data is not None else reading.value,
            severity=definition.severity,
            evidence=_evidence(judged, reading),
        )
        return replace(chart, alarm=OpenAlarm(window.start, judged.crossed, lead.rule), quiet=0), alarm, False
    if chart.alarm is None or not judged.decided:
        return chart, None, False
    quiet = chart.quiet + 1
    at_once = judged.over and chart.alarm.rule in {RULE_THRESHOLD, RULE_MEMBERS}
    if at_once or quiet >= QUIET_WINDOWS:
        return replace(_released(chart), fresh_from=reading.window.end), None, True
    return replace(chart, quiet=quiet), None, False


def _released(chart: Chart) -> Chart:
    return replace(
        chart,
        alarm=None,
        quiet=0,
        state=chart.state.released(),
        breached=False,
        beyond=0,
        tallies=(),
        fresh_from=chart.decided_to,
    )


def _evidence(judged: _Judged, reading: Reading) -> dict[str, Any]:
    found: dict[str, Any] = {"n": reading.n, "z": _finite(judged.z), "rules": _rules(judged.parts)}
    if isinstance(judged.data, Members):
        found["members"] = [{"monitor": member, "at": at} for member, at in judged.data.alarmed]
        found["nearness"] = [{"monitor": member, "nearness": near} for member, near in judged.data.nearness]
    return found


def _stood(chart: Chart, judged: _Judged, at: datetime) -> Chart:
    """The chart with where it stands now, in a word and a line."""
    standing, words = chart.standing, chart.words
    learning = chart.learning
    if chart.alarm is not None:
        standing = Standing.ACKNOWLEDGED if chart.alarm.acknowledged else Standing.ALARMED
        words = f"{chart.alarm.rule}: beyond its {'upper' if chart.alarm.direction == 'up' else 'lower'} limit"
        if chart.alarm.rule == RULE_NO_DATA:
            words = "nothing has come for longer than it may"
    elif learning is not None:
        standing = Standing.UNSTABLE if learning.split_at else Standing.STALE if learning.stale else Standing.LEARNING
        words = learner.words(learning, at)
        if learning.stale:
            words = f"{learning.stale}; {words}"
        elif learning.split_at:
            words = f"it changed about {learning.split_at:%Y-%m-%d %H:%M} UTC and learns from there; {words}"
    elif judged.state is not PointState.WAITING:
        standing = {
            PointState.NO_DATA: Standing.NO_DATA,
            PointState.TOO_LITTLE: Standing.TOO_LITTLE,
        }.get(judged.state, Standing.IN_CONTROL)
        # The window that completed a baseline was learned from, not judged.
        said = UNJUDGED if judged.state is PointState.LEARNING else _WORDS[standing]
        words = str(judged.told.get("why") or said)
    since = chart.since if standing == chart.standing and chart.since is not None else at
    return replace(chart, standing=standing, words=words[:400], since=since)


def _point(reading: Reading, judged: _Judged, phase: Phase, alarm: NewAlarm | None) -> Decided:
    lead = judged.lead
    told = dict(judged.told)
    if judged.parts:
        told["rules"] = _rules(judged.parts)
    if judged.shown.centre is not None:
        told["centre"] = judged.shown.centre
    return Decided(
        window=reading.window,
        n=reading.n,
        n_eff=reading.n_eff,
        value=reading.value,
        low=reading.low,
        high=reading.high,
        coverage=reading.coverage,
        phase=phase,
        baseline_no=judged.baseline_no,
        state=judged.state,
        z=_finite(judged.z),
        statistic=_finite(lead.statistic) if lead else None,
        limit_low=_finite(lead.limit_low) if lead else None,
        limit_high=_finite(lead.limit_high) if lead else None,
        shown_low=judged.shown.low,
        shown_high=judged.shown.high,
        shown_level=judged.shown.level,
        rule=lead.rule if lead else "",
        crossed=judged.crossed or "",
        opened=alarm is not None,
        told=told,
        data=judged.data,
    )


def _rules(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    return [
        {
            "rule": part.rule,
            "statistic": _finite(part.statistic),
            "low": _finite(part.limit_low),
            "high": _finite(part.limit_high),
        }
        for part in parts
    ]


def _value_of(data: Data, drawn: float | None) -> float | None:
    """The value of merged windows, where their data say it exactly; else that of the last one."""
    return data.k / data.n if isinstance(data, Share) and data.n else drawn


def _finite(value: float | None) -> float | None:
    """A number that JSON can hold; beyond all numbers is beyond telling."""
    return value if value is not None and math.isfinite(value) else None


def _text(at: datetime) -> str:
    return at.isoformat()
