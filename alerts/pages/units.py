"""How the values of a metric are written on pages, and on the axis of its chart. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from alerts.monitors.types import Metric
from telltale.lib import charts
from telltale.lib import format as fmt


def _plain(value: float | None) -> str:
    """Three digits that say something: "0.0123", "4.31", "128", "12,900"."""
    if value is None:
        return fmt.UNKNOWN
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}".replace("-", fmt.MINUS)
    return f"{value:.3g}".replace("-", fmt.MINUS) if abs(value) >= 1e-4 else f"{value:.1e}".replace("-", fmt.MINUS)


def _plain_tick(value: float, step: float) -> str:
    if step >= 1000:
        return charts.COUNT.tick(value, step)
    digits = next((digits for digits in range(9) if abs(round(step, digits) - step) < step * 1e-6), 9)
    return f"{value:,.{digits}f}".replace("-", fmt.MINUS)


def _count(value: float | None) -> str:
    return fmt.UNKNOWN if value is None else _plain(value) if abs(value) < 10 else fmt.count(round(value))


def _seconds(value: float | None) -> str:
    return fmt.latency(None if value is None else value * 1000)


def _usd(value: float | None) -> str:
    if value is not None and 0 < abs(value) < 0.001:
        # Four decimals would write a small cost and its limit alike.
        return f"{fmt.MINUS if value < 0 else ''}${Decimal(f'{abs(value):.1e}'):f}"
    return fmt.cost(None if value is None else Decimal(repr(value)))


PLAIN = charts.Unit(_plain_tick, _plain)
UNITS = {
    "share": charts.SHARE,
    "score": charts.Unit(_plain_tick, fmt.score),
    "ms": charts.MS,
    "usd": charts.Unit(charts.USD.tick, _usd),
    "count": charts.Unit(charts.COUNT.tick, _count),
    "tokens": charts.Unit(charts.COUNT.tick, _count),
    "seconds": charts.Unit(lambda value, step: charts.MS.tick(value * 1000, step * 1000), _seconds),
}


def unit_of(metric: Metric | None) -> charts.Unit:
    """How the values of a metric are written; as plain numbers where it is not known."""
    return UNITS.get(metric.unit, PLAIN) if metric else PLAIN


def band(unit: charts.Unit, low: float | None, high: float | None, missing: str = "not yet known") -> str:
    """What is expected: "4.18–4.44", "under 2%", "over 95%"."""
    if low is not None and high is not None:
        return f"{unit.text(low)}{' to ' if low < 0 else fmt.EN_DASH}{unit.text(high)}"
    if high is not None:
        return f"under {unit.text(high)}"
    return f"over {unit.text(low)}" if low is not None else missing


def difference(metric: Metric | None) -> Callable[[float], str]:
    """How a difference of two values is written, without its sign: points for shares."""
    if metric is not None and metric.unit == "share":
        return lambda value: f"{fmt.decimal_of(round(abs(value) * 100, 1))} pts"
    unit = unit_of(metric)
    return lambda value: unit.text(abs(value))
