"""The history of a probe at a model: the share that passed by run, with its interval and the limit of an alarm."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from evals.pages.probes_view import STATES, day_words, p_words
from evals.probes.verdicts import ANSWERS, PASSES, RECENT, TOGETHER
from evals.read.probing import AlarmView, ResultView
from telltale.lib import charts
from telltale.lib import format as fmt

TICKS_MAX = 8
# What the evidence of an alarm is about, most telling first.
MOVED = {
    PASSES: "fewer passes in this run", RECENT: "fewer passes over the last runs",
    TOGETHER: "fewer passes of all its probes together", ANSWERS: "other answers",
}  # fmt: skip


def history(
    results: Sequence[ResultView], zone: ZoneInfo, href: str, alarms: Sequence[AlarmView] = (), series_id: int = 0
) -> charts.Figure | None:
    """The runs of a probe, oldest first; None of fewer than two that could be told.

    `alarms`: those of its model, open or closed; their evidence says what changed.
    """
    known = [each for each in results if each.runs]
    if len(known) < 2:
        return None
    xs = [float(at) for at in range(len(results))]
    share = [each.passes / each.runs if each.runs else None for each in results]
    low = [_number(each, "low") for each in results]
    high = [_number(each, "high") for each in results]
    limit = [_limit(each) for each in results]
    lines = [
        charts.Line(xs, share, "c-line", low=low, high=high, end="Passed", end_css="t-1", has_dot=True),
        charts.Line(xs, limit, "c-limit", is_dashed=True, end="Alarm below", end_css="t-m"),
    ]
    every = max(1, -(-len(results) // TICKS_MAX))
    ticks = [(x, day_words(each.at, zone)) for x, each in zip(xs, results, strict=True)][::-1][::every][::-1]
    marks = [
        charts.Mark(x, y, "c-pt", 6.0)
        for x, y, each in zip(xs, share, results, strict=True)
        if each.state == "changed" and y is not None
    ]
    spots = [
        charts.Spot(x - 0.5, x + 0.5, f"{href}?run={each.run_number}", f"Run {each.run_number}: {_passed(each)}")
        for x, each in zip(xs, results, strict=True)
    ]
    picture = charts.line_picture(
        lines, ticks, charts.SHARE, x_range=(-0.5, len(results) - 0.5), right=96, spots=spots, marks=marks
    )  # fmt: skip
    last = known[-1]
    finding = f"{_passed(last)} passed in run {last.run_number}"
    return charts.Figure(
        finding=finding,
        note="share of answers that passed, by run; band: 95% interval; a ring is an alarm",
        sentence=f"Passes by run. {finding}.",
        picture=picture,
        head=("Run", "Passed", "95% interval", "Baseline", "p", "Alarm below", "Distance", "Noise", "p of distance",
              "State"),
        rows=tuple(
            charts.Row((*_cells(each, zone), state_words(each, alarms, series_id)), f"{href}?run={each.run_number}")
            for each in reversed(results)
        ),
    )  # fmt: skip


def _cells(each: ResultView, zone: ZoneInfo) -> tuple[str, ...]:
    low, high = _number(each, "low"), _number(each, "high")
    interval = fmt.UNKNOWN if low is None or high is None else f"{fmt.share(low)}{fmt.EN_DASH}{fmt.share(high)}"
    fewest, across, noise = (each.figures.get(name) for name in ("fewest", "across", "noise"))
    return (
        f"{each.run_number}, {day_words(each.at, zone)}",
        _passed(each),
        interval,
        fmt.UNKNOWN if each.base_runs is None else f"{each.base_passes} of {each.base_runs}",
        p_words(each.p),
        fmt.UNKNOWN if fewest is None else f"{fewest}",
        fmt.UNKNOWN if across is None else f"{across:.3f}",
        fmt.UNKNOWN if noise is None else f"{noise:.3f}",
        p_words(each.figures.get("p_answers")),
    )


def state_words(result: ResultView, alarms: Sequence[AlarmView], series_id: int) -> str:
    """ "Same", "Changed: fewer passes in this run; other answers": by the newest alarm at the run or before it."""
    word = STATES[result.state][1]
    if result.state != "changed":
        return word
    before = [each for each in alarms if each.run_number <= result.run_number]
    newest = max(before, key=lambda each: each.run_number, default=None)
    if newest is None:
        return word
    kinds = {told["kind"] for told in newest.evidence if told.get("series") in (None, series_id)}
    said = "; ".join(words for kind, words in MOVED.items() if kind in kinds)
    if not said:
        return word
    since = "" if newest.run_number == result.run_number else f", since run {newest.run_number}"
    return f"{word}: {said}{since}"


def _passed(each: ResultView) -> str:
    return f"{each.passes} of {each.runs}"


def _number(each: ResultView, name: str) -> float | None:
    value = each.figures.get(name)
    return None if value is None else float(value)


def _limit(each: ResultView) -> float | None:
    fewest = each.figures.get("fewest")
    return None if fewest is None or not each.runs else fewest / each.runs
