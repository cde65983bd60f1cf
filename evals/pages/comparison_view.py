"""The comparison of two experiments in words: the answer first, then lines and items ready to be written."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from evals.metrics.contents import question_of, text_of
from evals.read.comparison import (
    BETTER,
    CANNOT_TELL,
    COST,
    LATENCY,
    PAIRS_MIN,
    TOO_LITTLE,
    WORSE,
    Comparison,
    Line,
    Measure,
    Moved,
    worst_first,
)
from evals.read.experiments import ResultRow
from telltale.lib import format as fmt

PAGE_MOVED = 20
VERDICTS = {
    BETTER: ("ok", "Proven better"), WORSE: ("bad", "Proven worse"), CANNOT_TELL: ("none", "Cannot tell"),
    TOO_LITTLE: ("none", "Too little data"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LineView:
    """One measure as a row: both means, the difference with its interval, and what that proves."""

    line: Line
    title: str
    by: str
    new: str
    old: str
    difference: str
    interval: str
    ribbon: str
    verdict: str
    moved: str
    n: str
    sort_href: str
    is_sorted: bool
    direction: str


@dataclass(frozen=True, slots=True)
class MovedView:
    """One item with how far its value moved."""

    key: str
    new: str
    old: str
    change: str
    css: str


@dataclass(frozen=True, slots=True)
class View:
    """The comparison as the page writes it."""

    lines: tuple[LineView, ...]
    others: tuple[LineView, ...]
    sorted_by: str
    moved: tuple[MovedView, ...]
    moved_total: int
    shown: str
    newer: str
    older: str
    level_each: str
    family: int


@dataclass(frozen=True, slots=True)
class Side:
    """What one experiment answered to an item."""

    asked: str
    expected: str
    output: str
    error: str
    scores: tuple[tuple[str, str, str], ...]
    trace_href: str

    @classmethod
    def of(cls, result: ResultRow | None, slug: str) -> Side:
        """A result as one side of the page."""
        if result is None:
            return cls("", "", "", "no result", (), "")
        scores = tuple(
            (each.name, each.label or (f"{each.number:g}" if each.number is not None else fmt.UNKNOWN), each.comment)
            for each in result.scores
        )
        href = reverse("trace_page", args=[slug, result.trace_id.hex]) if result.trace_id else ""
        return cls(
            question_of(result.input), text_of(result.expected), text_of(result.output), result.error, scores, href
        )


def verdict_words(found: Comparison) -> str:
    """The answer of the page in a sentence."""
    worse, better = ([_named(line.measure) for line in lines] for lines in (found.worse, found.better))
    if worse and better:
        return f"Proven worse on {_and(worse)}, better on {_and(better)}"
    if worse:
        return f"Proven worse on {_and(worse)}"
    if better:
        return f"Proven better on {_and(better)}, worse on nothing"
    if not found.family:
        return "Nothing that both were measured by"
    if all(line.verdict == TOO_LITTLE for line in found.family):
        return "Too few items to tell"
    return f"No difference is proven on {len(found.family)} measure{'' if len(found.family) == 1 else 's'}"


def view_comparison(slug: str, found: Comparison, sort: str, start: int) -> View:
    """Everything the page shows, sorted by the measure `sort` or else by the first that got worse."""
    base = reverse("experiment", args=[slug, found.new.id])
    chosen = found.line(sort) or next(iter([*found.worse, *found.family, *found.lines]), None)
    views = [_line(line, base, found.old.id, chosen) for line in found.lines]
    moved = worst_first(chosen, found.moved[chosen.measure.key]) if chosen else []
    start = min(start, max(len(moved) - 1, 0)) // PAGE_MOVED * PAGE_MOVED
    page = moved[start : start + PAGE_MOVED]
    key = chosen.measure.key if chosen else ""

    def address(at: int) -> str:
        return "?" + urlencode({"against": found.old.id, "sort": key, "from": at})

    level = next((line.level_each for line in found.family), found.level)
    return View(
        lines=tuple(view for view in views if view.line.measure.decides),
        others=tuple(view for view in views if not view.line.measure.decides),
        sorted_by=_named(chosen.measure) if chosen else "",
        moved=tuple(_moved(each, chosen.measure) for each in page) if chosen else (),
        moved_total=len(moved),
        shown=f"{start + 1:,}{fmt.EN_DASH}{start + len(page):,} of {len(moved):,}" if page else "none",
        newer=address(start - PAGE_MOVED) if start else "",
        older=address(start + PAGE_MOVED) if start + PAGE_MOVED < len(moved) else "",
        level_each=f"{100 * level:.2f}".rstrip("0").rstrip("."),
        family=len(found.family),
    )


def word_of(measure: Measure, value: float | None, *, signed: bool = False) -> str:
    """A value of a measure as people read it."""
    if value is None:
        return fmt.UNKNOWN
    sign = "+" if signed and value > 0 else ""
    if measure.key == LATENCY:
        return f"{'-' if value < 0 else sign}{fmt.latency(abs(value))}".replace("-", "−")
    if measure.key == COST:
        return f"{'−' if value < 0 else sign}{fmt.cost_exact(round(abs(value) * 1e8) * 10_000)}"
    if measure.is_binary:
        points = 100 * value
        return f"{sign}{points:.1f}{' points' if signed else '%'}".replace("-", "−")
    return f"{sign}{value:.3g}".replace("-", "−")


def _line(line: Line, base: str, old_id: int, chosen: Line | None) -> LineView:
    measure = line.measure
    ribbon, verdict = VERDICTS[line.verdict]
    if line.verdict == TOO_LITTLE:
        verdict = f"Too little data: {line.n} of {PAIRS_MIN} pairs"
    interval = fmt.UNKNOWN
    if line.low is not None and line.high is not None:
        low, high = (word_of(measure, value, signed=True) for value in (line.low, line.high))
        interval = f"{low} to {high}"
    elif line.difference is not None:
        interval = "no interval from so few equal differences"
    query = urlencode({"against": old_id, "sort": measure.key})
    return LineView(
        line=line,
        title=measure.title,
        by=f"{measure.judge.name} v{measure.judge.number}" if measure.judge else _KINDS[measure.kind],
        new=word_of(measure, line.new_mean),
        old=word_of(measure, line.old_mean),
        difference=word_of(measure, line.difference, signed=True),
        interval=interval,
        ribbon=ribbon,
        verdict=verdict,
        moved=f"{line.wins:,} up, {line.losses:,} down, {line.ties:,} the same",
        n=f"{line.n:,}",
        sort_href=f"{base}?{query}#items",
        is_sorted=chosen is line,
        direction="" if measure.is_higher_better else "less is better",
    )


_KINDS = {"metric": "reference metric", "sent": "sent along", "own": "of every result"}


def _moved(moved: Moved, measure: Measure) -> MovedView:
    change = moved.change or 0.0
    is_worse = change < 0 if measure.is_higher_better else change > 0
    css = "up" if change and is_worse else "down" if change else "mut"
    words = word_of(measure, moved.change, signed=True) if change else "the same"
    return MovedView(moved.key, word_of(measure, moved.new), word_of(measure, moved.old), words, css)


def _named(measure: Measure) -> str:
    return measure.title[:1].lower() + measure.title[1:] if measure.title[1:2].islower() else measure.title


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
