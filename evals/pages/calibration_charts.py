"""The chart of a judge's agreement with people over its calibrations."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from evals.pages.calibration_view import METRICS, has_value, interval_words, number
from evals.read.calibration import CalibrationRow
from evals.stats.gate import GateSettings
from telltale.lib import charts
from telltale.lib import format as fmt

TICKS_MAX = 6
AGREEMENT = charts.Unit(
    lambda value, step: number(value, 2 if step < 0.1 else 1),
    lambda value: fmt.UNKNOWN if value is None else number(value),
)


def history(rows: Sequence[CalibrationRow], gate: GateSettings, zone: ZoneInfo) -> charts.Figure | None:
    """Agreement by the gate's measure at each calibration of a judge, by version; None below two of them."""
    points = []
    for row in reversed(rows):
        found = (row.result.get("agreement") or {}).get(gate.metric)
        if has_value(found):
            points.append((row, found))
    if len(points) < 2:
        return None
    lines = []
    newest = points[-1][0].version
    for version in sorted({row.version for row, _ in points}):
        own = [(row, found) for row, found in points if row.version == version]
        is_newest = version == newest
        lines.append(
            charts.Line(
                xs=[row.computed_at.timestamp() for row, _ in own],
                ys=[found["value"] for _, found in own],
                css="c-line ink" if is_newest else "c-line grey",
                low=[found["low"] for _, found in own] if is_newest else (),
                high=[found["high"] for _, found in own] if is_newest else (),
                end=f"v{version} {number(own[-1][1]['value'])}",
                end_css="t-b t-ink" if is_newest else "t-m",
                has_dot=True,
            )
        )
    start, end = points[0][0].computed_at, points[-1][0].computed_at
    last, shown = points[-1]
    metric = METRICS[gate.metric]
    picture = charts.line_picture(
        lines,
        _ticks(points, zone),
        AGREEMENT,
        x_range=(start.timestamp(), max(end.timestamp(), start.timestamp() + 1)),
        right=88,
        from_zero=False,
        limits=[charts.Limit(gate.stay_at, f"{gate.stay_at:.2f} to stay live")],
    )
    words = interval_words(shown, gate.metric == "raw_agreement")
    finding = f"v{last.version} agrees with people at {number(shown['value'])}"
    note = f"{metric} at each calibration; the band is its 95% interval. Last: {words}, n = {last.pairs:,}"
    rows_ = tuple(
        charts.Row(
            (
                f"{row.computed_at.astimezone(zone):%-d %b %Y %H:%M}",
                f"v{row.version}",
                number(found["value"]),
                interval_words(found),
                f"{row.pairs:,}",
            )
        )
        for row, found in reversed(points)
    )
    return charts.Figure(
        finding=finding,
        note=note,
        sentence=f"{metric} of judge and people at {len(points)} calibrations, the last {number(shown['value'])}",
        picture=picture,
        head=("Calibrated", "Version", metric, "Interval", "Answers"),
        rows=rows_,
    )


def _ticks(points: Sequence[tuple[CalibrationRow, object]], zone: ZoneInfo) -> list[tuple[float, str]]:
    at = [row.computed_at for row, _ in points]
    chosen = [at[0], at[-1]] if len(at) > TICKS_MAX else at
    ticks: list[tuple[float, str]] = []
    for moment in chosen:
        word = f"{moment.astimezone(zone):%-d %b}"
        if not ticks or ticks[-1][1] != word:
            ticks.append((moment.timestamp(), word))
    return ticks
