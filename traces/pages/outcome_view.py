"""Outcomes as their pages show them: lines of the list, the facts of one, lines by feature, lines of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from telltale.lib import format as fmt
from traces.behaviour.types import Fact, Stratum
from traces.measuring import TRIED_DAYS, Tried
from traces.outcomes.ratio import Ratio, Sums, TooLittle, change
from traces.outcomes.spec import Measure, OutcomeSpec, Per
from traces.outcomes.words import FACT_WORDS, any_of, sentence
from traces.pages.addresses import write_id
from traces.pages.outcome_charts import Spark, spark
from traces.pages.outcome_words import (
    change_words,
    interval_words,
    known_words,
    lacking_words,
    noise_css,
    noise_words,
    value_words,
)
from traces.read.outcome_sessions import BookedSession
from traces.read.outcomes import Defined, Point, Progress, figure

STRATUM_WORDS = {
    Stratum.UNKNOWN: "not known",
    Stratum.ABANDONED: "abandoned",
    Stratum.RETRIED: "retried",
    Stratum.CORRECTED: "corrected",
    Stratum.ESCALATED: "escalated",
    Stratum.COMPLETED: "completed",
    Stratum.CARRIED_ON: "carried on",
    Stratum.OPEN: "still open",
}


@dataclass(frozen=True, slots=True)
class FigureView:
    """A figure as it stands on a page: its words, or why there is none."""

    value: str  # "" where there is too little data
    interval: str
    lacking: str
    n: str
    known: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The change against the period before, in words; `css` is its class. "" `value`: nothing to compare with."""

    value: str
    interval: str
    noise: str
    css: str


@dataclass(frozen=True, slots=True)
class Line:
    """One outcome of the list."""

    outcome: Defined
    about: str
    figure: FigureView
    moved: Moved
    spark: Spark | None
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """One feature of an outcome."""

    name: str
    href: str
    sessions: str
    figure: FigureView


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session behind a number."""

    name: str
    href: str
    started_at: datetime
    feature: str
    turns: str
    group: str
    facts: str
    adds: str
    cost: str


@dataclass(frozen=True, slots=True)
class TriedView:
    """What a measure says of the last days, before it is saved."""

    about: str
    figure: FigureView
    scope: str


NOTHING = Moved("", "", "nothing to compare with", "mut")
# The newest sessions are counted first: the time before would look small.
COUNTING = Moved("", "", "after the count", "mut")


def figure_view(outcome: Defined, sums: Sums) -> FigureView:
    """The figure of some sums."""
    return _figure_view(outcome.spec, figure(outcome, sums), sums)


def tried_view(tried: Tried) -> TriedView:
    """What a measure that is tried out says."""
    sessions = f"{tried.looked:,} session{'' if tried.looked == 1 else 's'}"
    scope = f"over the {sessions} that closed and began in the last {TRIED_DAYS} days"
    if tried.is_capped:
        scope = f"over the newest {sessions} alone: there are more in the last {TRIED_DAYS} days"
    return TriedView(sentence(tried.spec), _figure_view(tried.spec, tried.figure, tried.sums), scope)


def _figure_view(spec: OutcomeSpec, found: Ratio | TooLittle, sums: Sums) -> FigureView:
    known = known_words(spec, sums)
    n = f"{sums.n:,}"
    if isinstance(found, TooLittle):
        return FigureView("", "", lacking_words(spec, found), n, known)
    return FigureView(value_words(spec, found.value), interval_words(spec, found), "", n, known)


def moved_view(outcome: Defined, now: Sums, before: Sums, progress: Progress | None) -> Moved:
    """The change from one period to the next; none while sessions are being counted again."""
    if progress is not None:
        return COUNTING
    later, earlier, spec = figure(outcome, now), figure(outcome, before), outcome.spec
    if not isinstance(later, Ratio) or not isinstance(earlier, Ratio):
        return NOTHING
    found = change(later, earlier)
    return Moved(
        change_words(spec, found), interval_words(spec, found), noise_words(spec, found), noise_css(spec, found)
    )


def line(outcome: Defined, now: Sums, before: Sums, days: Sequence[Point], progress: Progress | None) -> Line:
    """One outcome of the list."""
    moved = moved_view(outcome, now, before, progress)
    return Line(
        outcome, sentence(outcome.spec), figure_view(outcome, now), moved, spark(outcome, days), progress
    )  # fmt: skip


def which_words(outcome: Defined) -> dict[str, str]:
    """What the lists of sessions are called."""
    it = any_of(outcome.spec.of)
    words = {"all": "All of them", "with": f"With {it}", "without": "Without", "unknown": "Not known"}
    if outcome.spec.measure is Measure.VALUE and outcome.spec.per is Per.SESSION:
        words["with"] = "With a value"
    return words


def session_line(outcome: Defined, row: BookedSession, slug: str) -> SessionLine:
    """One session of a list."""
    if row.session_id is None:
        name, href = f"trace {row.unit_key.hex[:8]}", reverse("trace_page", args=[slug, row.unit_key.hex])
    else:
        name, href = row.session_id, reverse("session_page", args=[slug, write_id(row.session_id)])
    facts = [FACT_WORDS[fact] for fact in Fact if fact in row.facts and fact in FACT_WORDS]
    return SessionLine(
        name=name,
        href=href,
        started_at=row.first_at,
        feature=row.feature or "no feature told",
        turns=f"{row.turns:,}",
        group=STRATUM_WORDS[row.stratum],
        facts=", ".join(facts) or "nothing of note",
        adds=_adds(outcome, row),
        cost=fmt.cost_pico(row.cost_pico, missing="not known"),
    )


def _adds(outcome: Defined, row: BookedSession) -> str:
    """What a session adds to the figure."""
    if row.x is None or row.y is None:
        return "not known"
    if outcome.spec.measure is Measure.SHARE:
        return "with" if row.y else "without"
    if outcome.spec.measure is Measure.COST:
        return "with" if row.x else "without"
    return value_words(outcome.spec, float(row.y))
