"""Quality over time: for each criterion its estimate with the interval as a band, and the table that says the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from evals.pages.quality_view import Links, figure_words, interval_words, lacking_words, span_of
from evals.read.estimates import FLAG, Estimates, Of, Row
from evals.stats.ppi import Corrected
from evals.stats.results import Estimate
from telltale.lib import charts
from telltale.lib import format as fmt

FIGURES_MAX, TICKS_MAX = 8, 6
POINTS = charts.Unit(
    lambda value, step: f"{value:,.2g}", lambda value: fmt.UNKNOWN if value is None else f"{value:.2f}"
)


def figures(found: Estimates, zone: ZoneInfo, links: Links) -> list[charts.Figure]:
    """A figure for each criterion of a version that has two points at least, most scored first."""
    series: dict[tuple[int, str], list[Row]] = {}
    for row in found.rows:
        series.setdefault((row.of.version_id, row.of.name), []).append(row)
    drawn = [rows for rows in series.values() if sum(isinstance(row.raw, Estimate) for row in rows) >= 2]
    drawn.sort(key=lambda rows: (not rows[0].of.is_live, rows[0].of.name == FLAG, -sum(row.n for row in rows)))
    return [_figure(rows, found, zone, links) for rows in drawn[:FIGURES_MAX]]


def _figure(rows: Sequence[Row], found: Estimates, zone: ZoneInfo, links: Links) -> charts.Figure:
    of = rows[0].of
    spans = [_span(row, zone, found) for row in rows]
    hrefs = [links.traces(of, found.start, found.end, found.by, row.key) for row in rows]
    xs = [(start.timestamp() + end.timestamp()) / 2 for start, end in spans]
    # A gap where there is nothing or too little: a line over it would claim to know.
    raw = [row.raw if isinstance(row.raw, Estimate) else None for row in rows]
    lines = [_line(xs, raw, spans, "c-line grey", "uncorrected", "t-m", "c-band")]
    corrected = [row.corrected.estimate if isinstance(row.corrected, Corrected) else None for row in rows]
    if any(corrected):
        lines.append(_line(xs, corrected, spans, "c-line", "corrected", "t-1", "c-band2"))
    known = [value for line in lines for value in (*line.ys, *line.low, *line.high) if value is not None]
    x_range = (found.start.timestamp(), found.end.timestamp())
    picture = charts.line_picture(
        lines,
        _ticks(spans, zone, x_range),
        charts.SHARE if of.is_share else POINTS,
        x_range=x_range,
        size=charts.HALF,
        right=96,
        from_zero=of.is_share and min(known, default=0) < 0.5,
        spots=[
            charts.Spot(
                start.timestamp(),
                end.timestamp(),
                links.traces(of, found.start, found.end, "", row.key),
                _title(of, row),
            )
            for (start, end), row in zip(spans, rows, strict=True)
        ],
    )
    step = {"hour": "an hour", "week": "a week"}.get(found.by, "a day")
    table = tuple(
        charts.Row(
            (
                _when(start, found.by, zone),
                figure_words(of, row.raw.value) if isinstance(row.raw, Estimate) else lacking_words(row.raw),
                interval_words(of, row.raw) if isinstance(row.raw, Estimate) else "none",
                _corrected_words(of, row),
                f"{row.n:,}",
            ),
            href,
        )
        for (start, _), row, href in zip(spans, rows, hrefs, strict=True)
    )
    head = ("From", "Uncorrected", "Interval", "Corrected", "Scores")
    version = "" if of.is_live else f" v{of.version}"
    return charts.Figure(
        finding=_finding(of, raw) + version,
        note=f"{of.judge_name} v{of.version}, a point {step}; band: 95% interval. Uncorrected unless it says corrected",
        sentence=f"{of.title} by {of.judge_name} v{of.version}, a point {step}: {_range(of, raw)}.",
        picture=picture,
        head=head,
        rows=table,
        is_fit=True,
    )


def _line(
    xs: Sequence[float],
    found: Sequence[Estimate | None],
    spans: Sequence[tuple[datetime, datetime]],
    css: str,
    end: str,
    end_css: str,
    band: str,
) -> charts.Line:
    at: list[float] = []
    values: list[Estimate | None] = []
    for place, (x, one) in enumerate(zip(xs, found, strict=True)):
        if place and spans[place][0] > spans[place - 1][1]:
            at.append((xs[place - 1] + x) / 2)
            values.append(None)
        at.append(x)
        values.append(one)
    return charts.Line(
        at,
        [one.value if one is not None else None for one in values],
        css,
        low=[one.low if one is not None else None for one in values],
        high=[one.high if one is not None else None for one in values],
        band_css=band,
        end=end,
        end_css=end_css,
        has_dot=True,
    )


def _finding(of: Of, found: Sequence[Estimate | None]) -> str:
    known = [one for one in found if one is not None]
    first, last = known[0], known[-1]
    values = f"{figure_words(of, first.value)} at first, {figure_words(of, last.value)} at last"
    if None in (first.low, first.high, last.low, last.high):
        return f"{of.title}: {values}"
    apart = first.high < last.low or last.high < first.low  # type: ignore[operator]
    return f"{of.title}: {values}" + ("" if apart else ", no difference shown")


def _range(of: Of, found: Sequence[Estimate | None]) -> str:
    values = [one.value for one in found if one is not None]
    return f"between {figure_words(of, min(values))} and {figure_words(of, max(values))}, uncorrected"


def _corrected_words(of: Of, row: Row) -> str:
    if not isinstance(row.corrected, Corrected):
        return f"{row.corrected.have:,} of {row.corrected.need:,} {row.corrected.what}"
    best = row.corrected.estimate
    return f"{figure_words(of, best.value)}, {interval_words(of, best)}"


def _title(of: Of, row: Row) -> str:
    if not isinstance(row.raw, Estimate):
        return lacking_words(row.raw)
    return f"{of.title} {figure_words(of, row.raw.value)} uncorrected, {interval_words(of, row.raw)}, {row.n:,} scores"


def _span(row: Row, zone: ZoneInfo, found: Estimates) -> tuple[datetime, datetime]:
    """What of the window a point stands for."""
    if not isinstance(row.key, date):
        raise TypeError("a point in time is needed")
    start, end = span_of(row.key, zone, 7 if found.by == "week" else 1)
    return max(start, found.start), min(end, found.end)


def _when(start: datetime, by: str, zone: ZoneInfo) -> str:
    local = start.astimezone(zone)
    return f"{local.day} {local:%b %H:%M}" if by == "hour" else f"{local:%a} {local.day} {local:%b}"


def _ticks(
    spans: Sequence[tuple[datetime, datetime]], zone: ZoneInfo, x_range: tuple[float, float]
) -> list[tuple[float, str]]:
    is_hourly = bool(spans) and spans[0][1] - spans[0][0] <= timedelta(hours=1)
    # So far apart that their words have room, whatever the gaps between points.
    apart = (x_range[1] - x_range[0]) / TICKS_MAX
    ticks: list[tuple[float, str]] = []
    for start, end in spans:
        x = (start.timestamp() + end.timestamp()) / 2
        if not ticks or x - ticks[-1][0] >= apart:
            local = start.astimezone(zone)
            ticks.append((x, f"{local:%H:%M}" if is_hourly else f"{local.day} {local:%b}"))
    return ticks
