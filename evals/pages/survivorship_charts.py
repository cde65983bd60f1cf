"""The gap between votes and what is known best over time, and the rate if the silent feel worse: charts with tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from evals.pages.survivorship_view import SHORT
from evals.read.survivorship_kept import Day
from evals.stats.results import Estimate
from evals.stats.survivorship.wording import interval, percent, points
from evals.surviving.looking import DELTAS
from telltale.lib import charts
from telltale.lib import format as fmt

TICKS_MAX = 5
WEEKS, DAYS = 12, 28


def history(days: Sequence[Day], zone: ZoneInfo, by: str) -> charts.Figure | None:
    """The verdicts of days past, one a week or one a day (as in the first week); None of fewer than two days."""
    shown = _weekly(days) if by == "week" else []
    by = "week" if len(shown) >= 2 else "day"
    shown = shown if by == "week" else list(days)[-DAYS:]
    if len(shown) < 2:
        return None
    xs = [_at(day.day, zone).timestamp() for day in shown]
    votes, adjusted, anchors = ([_figure(day, name) for day in shown] for name in ("votes", "calibrated", "anchor"))
    lines = [charts.Line(xs, [_value(one) for one in votes], "c-line grey", end="Votes", end_css="t-m")]
    for found, css, band, end, end_css in (
        (adjusted, "c-line", "c-band2", "Adjusted", "t-1"),
        (anchors, "c-line third", "c-band3", "Anchor", "t-ok"),
    ):
        if any(found):
            lows = [None if one is None else one["low"] for one in found]
            highs = [None if one is None else one["high"] for one in found]
            ys = [_value(one) for one in found]
            lines.append(charts.Line(xs, ys, css, low=lows, high=highs, band_css=band, end=end, end_css=end_css))
    every = max(1, -(-len(shown) // TICKS_MAX))
    ticks = [(x, f"{day.day.day} {day.day:%b}") for x, day in zip(xs, shown, strict=True)][::-1][::every][::-1]
    low = min((value for line in lines for value in (*line.ys, *line.low) if value is not None), default=0.0)
    picture = charts.line_picture(
        lines, ticks, charts.SHARE, x_range=(xs[0], xs[-1]), size=charts.HALF, right=84, from_zero=low < 0.2
    )
    rows = tuple(charts.Row(_cells(day)) for day in reversed(shown))
    return charts.Figure(
        finding=_finding(shown),
        note=f"{'Weekly' if by == 'week' else 'Daily'}; each point looks at the 28 days before; bands: 95% intervals",
        sentence=f"Votes’ rate, adjusted rate and anchor by day. {_finding(shown)}.",
        picture=picture,
        head=("End of", "Verdict", "Votes", "Adjusted", "Anchor", "Gap", "Sessions"),
        rows=rows,
        is_fit=True,
    )


def _weekly(days: Sequence[Day]) -> list[Day]:
    """The newest day, and each seventh before it."""
    if not days:
        return []
    last = days[-1].day
    return [day for day in days if (last - day.day).days % 7 == 0][-WEEKS:]


def _at(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)


def _figure(day: Day, name: str) -> Mapping[str, Any] | None:
    found = day.figures.get(name)
    return found if isinstance(found, Mapping) else None


def _value(found: Mapping[str, Any] | None) -> float | None:
    return None if found is None else found["value"]


def _cells(day: Day) -> tuple[str, ...]:
    gap = day.figures.get("gap")
    return (
        f"{day.day.day} {day.day:%b}",
        SHORT[day.colour],
        *(_words(_figure(day, name)) for name in ("votes", "calibrated", "anchor")),
        fmt.UNKNOWN if gap is None else f"{fmt.MINUS if gap < 0 else ''}{points(gap)}",
        fmt.count(day.sessions),
    )


def _words(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return fmt.UNKNOWN
    if found["low"] is None or found["high"] is None:
        return percent(found["value"])
    return f"{percent(found['value'])} ({interval(found['low'], found['high'])})"


def _finding(days: Sequence[Day]) -> str:
    known = [(day, day.figures["gap"]) for day in days if day.figures.get("gap") is not None]
    if len(known) < 2:
        return "The gap over time is not known: votes or figures beside them are missing"
    (first, before), (last, after) = known[0], known[-1]
    span = f"from {first.day.day} {first.day:%b} to {last.day.day} {last.day:%b}"
    if round(100 * before) == round(100 * after):
        return f"The gap stayed at {_gap(after)} {span}"
    verb = "grew" if after > before else "fell"
    return f"The gap {verb} from {_gap(before)} to {_gap(after)} {span}"


def _gap(gap: float) -> str:
    return f"{fmt.MINUS if gap < 0 else ''}{points(gap)}"


def line_of_deltas(line: Sequence[Estimate], chosen: float) -> charts.Figure:
    """The rate by how much less satisfied the silent may be than voters alike; `chosen` is marked."""
    picture = charts.line_picture(
        [
            charts.Line(
                DELTAS,
                [one.value for one in line],
                "c-line",
                low=[one.low for one in line],
                high=[one.high for one in line],
            )
        ],
        [(delta, f"{100 * delta:.0f}") for delta in DELTAS[::2]],
        charts.SHARE,
        x_range=(DELTAS[0], DELTAS[-1]),
        size=charts.HALF,
        events=[charts.Event(chosen, "")],
    )
    rows = tuple(
        charts.Row((points(delta) if delta else "0 points", percent(one.value), _interval(one)))
        for delta, one in zip(DELTAS, line, strict=True)
    )
    return charts.Figure(
        finding="If silent users are less satisfied than voters who did alike",
        note="Rate of all sessions by how many points less; band: 95% interval. Nothing in the data says which is true",
        sentence=f"From {percent(line[0].value)} at 0 points to {percent(line[-1].value)} at 50 points less.",
        picture=picture,
        head=("Less satisfied by", "Rate of all sessions", "95% interval"),
        rows=rows,
        is_fit=True,
    )


def _interval(found: Estimate) -> str:
    return "none" if found.low is None or found.high is None else interval(found.low, found.high)


def delta_words(delta: float, found: Estimate) -> tuple[str, str, str, str]:
    """(the step, as a form sends it; in points; the rate; its interval) of one delta."""
    return f"{delta:g}", points(delta) if delta else "0 points", percent(found.value), _interval(found)
