"""Two versions of a judge on the same answers, as a page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from evals.calibrating import Compared
from evals.pages.calibration_view import METRICS, interval_words, number, signed
from evals.stats.results import Estimate


@dataclass(frozen=True, slots=True)
class ComparisonLine:
    """One measure of two versions on the same answers, and whether they differ."""

    name: str
    first: str
    second: str
    difference: str
    ci: str
    word: str


def comparison_lines(found: Compared | None) -> tuple[ComparisonLine, ...]:
    """The measures of a comparison."""
    if found is None:
        return ()
    return tuple(
        ComparisonLine(
            name=METRICS[line.name],
            first=_figure(line.first),
            second=_figure(line.second),
            difference="undefined" if line.difference is None else signed(line.difference.value),
            ci=_interval(line.difference),
            word=_verdict(line.difference),
        )
        for line in found.lines
    )


def comparison_headline(found: Compared | None, version: int, other: int) -> str:
    """What a comparison of versions comes to."""
    if found is None:
        return f"v{version} and v{other} scored no labelled answer in common"
    first = found.lines[1 if len(found.lines) > 1 else 0]
    word = _verdict(first.difference)
    if word == "better":
        return f"v{other} agrees with people better than v{version}"
    if word == "worse":
        return f"v{other} agrees with people worse than v{version}"
    return f"v{version} and v{other} cannot be told apart on {found.n:,} answers"


def _figure(found: Estimate | None) -> str:
    return "undefined" if found is None else number(found.value)


def _interval(found: Estimate | None) -> str:
    if found is None:
        return ""
    return interval_words({"value": found.value, "low": found.low, "high": found.high})


def _verdict(found: Estimate | None) -> str:
    if found is None or found.low is None or found.high is None:
        return "too few"
    return "better" if found.low > 0 else "worse" if found.high < 0 else "no difference shown"
