"""Figures of outcomes as pages write them: a share, money, a value with its own unit, a time, answers."""

from __future__ import annotations

from decimal import Decimal

from telltale.lib import charts
from telltale.lib import format as fmt
from traces.outcomes.ratio import Change, Ratio, Sums, TooLittle
from traces.outcomes.spec import Measure, OutcomeSpec

UNITS = {Measure.SHARE: "share", Measure.COST: "USD", Measure.TIME: "seconds", Measure.ANSWERS: "answers"}


def unit_of(spec: OutcomeSpec) -> str:
    """The unit of an outcome's figures, as machines read it; "" where its values have none."""
    return UNITS.get(spec.measure, spec.unit)


def value_words(spec: OutcomeSpec, value: float) -> str:
    """ "41%", "$0.12", "38.20 EUR", "4 min 33 s", "2.4 answers"."""
    match spec.measure:
        case Measure.SHARE:
            return fmt.share(value)
        case Measure.COST:
            return fmt.cost(Decimal(repr(value)))
        case Measure.TIME:
            return fmt.latency(value * 1000)
        case Measure.ANSWERS:
            return f"{value:,.2f} answers"
        case Measure.VALUE:
            return f"{plain(value)} {spec.unit}".strip()


def plain(value: float) -> str:
    """A number with two decimals, or three digits where it is below 1."""
    if value and abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:,.2f}" if abs(value) < 1e15 else f"{value:.3g}"


def interval_words(spec: OutcomeSpec, found: Ratio | Change) -> str:
    """ "95% CI 38% to 44%"."""
    if found.low == found.high:
        return "all alike"
    return f"95% CI {_signed(spec, found.low, found)} to {_signed(spec, found.high, found)}"


def change_words(spec: OutcomeSpec, moved: Change) -> str:
    """ "+3.1 pts", "−$0.02"."""
    return _signed(spec, moved.value, moved)


def noise_words(spec: OutcomeSpec, moved: Change) -> str:
    """Whether a change is more than chance, and whether it is for the better."""
    if not moved.is_more_than_noise:
        return "within noise"
    is_better = (moved.value > 0) == (spec.better == "higher")
    return f"more than noise, {'better' if is_better else 'worse'}"


def noise_css(spec: OutcomeSpec, moved: Change) -> str:
    """The class of the same: `up` is bad, `good` is good."""
    if not moved.is_more_than_noise:
        return "mut"
    return "good" if (moved.value > 0) == (spec.better == "higher") else "up"


def lacking_words(spec: OutcomeSpec, found: TooLittle) -> str:
    """ "Too little data: 12 of 30 sessions, 18 more are needed"."""
    missing = found.need - found.have
    verb = "is" if missing == 1 else "are"
    what = "sessions with it" if found.what == "sessions" and not spec.is_over_all else found.what
    return f"Too little data: {found.have:,} of {found.need:,} {what}, {missing:,} more {verb} needed"


def known_words(spec: OutcomeSpec, sums: Sums) -> str:
    """How many of its sessions a figure rests on: "cost known for 93% of sessions"; "" where none is left out."""
    if not sums.unknown or sums.known_share is None:
        return ""
    what = {Measure.COST: "cost known", Measure.VALUE: "value known", Measure.TIME: "time known"}
    word = what.get(spec.measure, "known")
    return f"{word} for {fmt.share(sums.known_share)} of sessions; {sums.unknown:,} left out"


def axis(spec: OutcomeSpec) -> charts.Unit:
    """How a chart writes the figures."""
    units = {Measure.SHARE: charts.SHARE, Measure.COST: charts.USD}
    if spec.measure in units:
        return units[spec.measure]
    if spec.measure is Measure.TIME:
        return charts.Unit(
            lambda value, step: charts.MS.tick(value * 1000, step * 1000),
            lambda value: fmt.latency(None if value is None else value * 1000),
        )
    return charts.Unit(
        lambda value, step: f"{value:,.{charts._digits(step)}f}" if abs(value) < 1e9 else f"{value:.3g}",
        lambda value: fmt.UNKNOWN if value is None else plain(value),
    )


def _signed(spec: OutcomeSpec, value: float, found: Ratio | Change) -> str:
    if isinstance(found, Ratio):
        return value_words(spec, value)
    is_share = spec.measure is Measure.SHARE
    text = f"{abs(value) * 100:.1f} pts" if is_share else value_words(spec, abs(value))
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{text}"
