"""Raw against mix-standardised on the page of a chart: a finding, a picture, a table of the values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from alerts.monitors.types import Metric
from alerts.pages import units
from alerts.pages.chart_figure import RIGHT, time_ticks
from alerts.read.mixed import Mixed, Part
from alerts.stats.mix import Standardised
from evals.stats.results import TooLittle
from telltale.lib import charts
from telltale.lib import format as fmt


@dataclass(frozen=True, slots=True)
class MixLine:
    """One value of the dimension, in words."""

    name: str
    before: str
    now: str
    mean: str
    n: str


@dataclass(frozen=True, slots=True)
class MixView:
    """What the card says: a finding and its grounds, the chart, the values. `lacking`: why there is none of it."""

    finding: str
    grounds: str
    figure: charts.Figure | None
    lines: tuple[MixLine, ...]
    lacking: str = ""


def lacking(words: str) -> MixView:
    """The card where nothing can be shown."""
    return MixView("", "", None, (), words)


def view(
    found: Mixed | TooLittle, metric: Metric, dimension: str, of: str, start: datetime, end: datetime, zone: ZoneInfo
) -> MixView:
    """What the mix of a dimension does to the series over [start, end); `of`: whose mix is held still, in words."""
    name = dimension.replace("_", " ")
    if isinstance(found, TooLittle):
        return lacking(f"Too little to say: {found.have} of {found.need} {found.what}.")
    unit, by = units.unit_of(metric), units.difference(metric)
    whole = found.whole
    if isinstance(whole, TooLittle):
        return lacking(f"Too little to say: {whole.have} of {whole.need} {whole.what}.")
    words = "means" if metric.kind != "share" else "shares"
    sign = "+" if whole.from_mix > 0 else fmt.MINUS
    finding = f"The mix by {name} does {sign}{by(whole.from_mix)} to it" if by(whole.from_mix) != by(0.0) else (
        f"The mix by {name} does next to nothing to it"
    )  # fmt: skip
    grounds = (
        f"As it came {_told(unit, whole.raw)}; at the mix of {of} {_told(unit, whole.standardised)}. "
        f"Both are {words} over the windows drawn here, n = {whole.raw.n:,}."
    )
    if whole.covered < 0.995:
        grounds += f" {fmt.share(1 - whole.covered)} of the mix of {of} has no value now: {', '.join(whole.absent)}."
    if whole.fresh:
        grounds += " New since: " + ", ".join(f"{value} ({fmt.share(part)})" for value, part in whole.fresh) + "."
    if found.is_cut:
        grounds += f" The {len(found.parts)} most frequent values alone are in it."
    return MixView(
        finding,
        grounds,
        _figure(found, unit, name, of, start, end, zone),
        tuple(_line(each, unit) for each in found.parts),
    )


def _told(unit: charts.Unit, estimate: object) -> str:
    value, low, high = (getattr(estimate, part) for part in ("value", "low", "high"))
    said = unit.text(value)
    return f"{said} (95% CI {unit.text(low)}{fmt.EN_DASH}{unit.text(high)})" if low is not None else said


def _line(part: Part, unit: charts.Unit) -> MixLine:
    mean = "none" if part.mean is None else unit.text(part.mean)
    return MixLine(part.name, fmt.share(part.before), fmt.share(part.now), mean, f"{part.n:,.0f}")


def _figure(
    found: Mixed, unit: charts.Unit, name: str, of: str, start: datetime, end: datetime, zone: ZoneInfo
) -> charts.Figure | None:
    known: Sequence[Standardised | None] = [
        each if isinstance(each, Standardised) else None for _, each in found.windows
    ]
    if sum(each is not None for each in known) < 2:
        return None
    xs = [(window.start.timestamp() + window.end.timestamp()) / 2 for window, _ in found.windows]
    raw = [each.raw.value if each else None for each in known]
    at_mix = [each.standardised.value if each else None for each in known]
    drawn = [value for value in (*raw, *at_mix) if value is not None]
    picture = charts.line_picture(
        [
            charts.Line(xs, raw, "c-line grey", end="As it came"),
            charts.Line(xs, at_mix, "c-line ink", end="At the mix", end_css="t-ink"),
        ],
        time_ticks(start, end, zone),
        unit,
        x_range=(start.timestamp(), end.timestamp()),
        right=RIGHT,
        from_zero=0 <= min(drawn) < 0.35 * max(drawn),
    )
    return charts.Figure(
        finding=f"As it came, and at the mix of {of} by {name}",
        note=" A gap: under 20 units in values that were there then.",
        sentence=f"Two lines by window, between {unit.text(min(drawn))} and {unit.text(max(drawn))}.",
        picture=picture,
        head=(),
        rows=(),
        legend=(("l-grey", "as it came"), ("l-ink", f"at the mix of {of}")),
    )
