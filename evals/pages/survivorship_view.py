"""What the survivorship page says: bars, groups, checks, what is left out; each with its numbers, ready to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from evals.pages.survivorship_bars import limits_words, percent_x
from evals.read.survivorship_sessions import Silent
from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship import Anchor, Bounds, Calibrated, Cell, StratumCoverage
from evals.stats.survivorship.bounds import VOTES_MIN
from evals.stats.survivorship.wording import (
    behaviour_words,
    interval,
    of_things,
    percent,
)
from evals.surviving import Look, Survivorship
from evals.surviving.rules import RULES
from telltale.lib import format as fmt
from telltale.projects.models import Project
from traces.behaviour.definition import Definition
from traces.behaviour.types import Stratum
from traces.pages.addresses import write_id

STATES = {"red": "bad", "amber": "watch", "green": "ok", "grey": "none"}
TITLES = {
    "red": "Red: the votes overstate how many are satisfied",
    "amber": "Amber: the votes may mislead",
    "green": "Green: the votes hold",
    "grey": "Grey: cannot tell",
}
SHORT = {"red": "Overstated", "amber": "May mislead", "green": "Holds", "grey": "Cannot tell"}
# In the order of the table.
GROUPS = (
    Stratum.COMPLETED,
    Stratum.CARRIED_ON,
    Stratum.RETRIED,
    Stratum.CORRECTED,
    Stratum.ESCALATED,
    Stratum.ABANDONED,
    Stratum.UNKNOWN,
)
NAMES = {
    Stratum.COMPLETED: "Reached their goal",
    Stratum.CARRIED_ON: "Carried on without trouble",
    Stratum.RETRIED: "Asked again",
    Stratum.CORRECTED: "Corrected the assistant",
    Stratum.ESCALATED: "Asked for a person",
    Stratum.ABANDONED: "Left after an answer",
    Stratum.UNKNOWN: "Named no session",
}


@dataclass(frozen=True, slots=True)
class Group:
    """One line of who votes and who does not."""

    name: str
    note: str
    n: str
    href: str
    share: float
    share_words: str
    votes: str
    votes_share: str
    votes_href: str
    of_votes: float
    of_votes_words: str
    up: str
    up_interval: str
    score: str
    score_note: str
    times: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stat:
    """One figure above the table, with its share as a bar."""

    label: str
    value: str
    share: float | None
    note: str

    @property
    def percent(self) -> float:
        """How far its bar goes, of 100."""
        return percent_x(self.share or 0.0)


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """One feature with its verdict."""

    name: str
    href: str
    state: str
    word: str
    rule: str
    n: str
    coverage: str
    votes: str
    votes_interval: str
    adjusted: str
    adjusted_interval: str
    anchor: str
    anchor_interval: str


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of what is under the figures."""

    project: Project
    start: datetime
    end: datetime
    feature: str | None

    @property
    def base(self) -> str:
        """The address of the project."""
        return f"/p/{self.project.slug}/"

    def _about(self) -> list[tuple[str, str]]:
        pairs = []
        if self.feature:
            pairs.append(("feature", self.feature))
        elif self.feature == "":
            pairs.append(("feature.missing", "yes"))
        return [*pairs, ("from", _iso(self.start)), ("to", _iso(self.end))]

    def sessions(self, stratum: Stratum | None = None, *votes: str) -> str:
        """The sessions of a group, by their votes (up, down, none). Traces without one are a list of their own."""
        if stratum is Stratum.UNKNOWN:
            return f"{self.base}traces/?{urlencode([('session.missing', 'yes'), *self._about()])}"
        pairs = [] if stratum is None else [("behaviour", stratum.name.lower()), ("seen.not", "unanswered")]
        pairs += [("vote", vote) for vote in votes]
        return f"{self.base}sessions/?{urlencode([*pairs, *self._about()])}"

    def read(self, **more: str) -> str:
        """Twenty silent sessions of a group, drawn at random."""
        return f"{self.base}signals/silent/?{urlencode([*more.items(), *self._about()])}"


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_of(found: Look) -> str:
    """Who is counted, coverage first."""
    total, unit = found.counts.total, unit_words(found)
    if not total.n:
        return f"No {unit[0]} has ended yet."
    covered = found.verdict.coverage
    limits = "" if covered is None or covered.low is None else f" (95% CI {limits_words(covered)})"
    share = f"{percent(total.votes / total.n)} gave a vote{limits}"
    return f"{share}: {fmt.count(total.votes)} of {fmt.count(total.n)} closed {unit[1] if total.n != 1 else unit[0]}."


def unit_words(found: Look) -> tuple[str, str]:
    """What one unit is called, and several."""
    if found.has_lone and not found.units.sessions.n:
        return "trace without a session", "traces without a session"
    if found.has_lone:
        return "session or trace without one", "sessions and traces without one"
    return "session with an answer", "sessions with an answer"


def note_lines(found: Look) -> list[str]:
    """What stands in the note of the verdict, each a sentence or two, the reason first."""
    bounds = [found.words.bounds or ""]
    if found.counts[Stratum.ABANDONED].silent and isinstance(found.behaviour, Bounds):
        words = behaviour_words(found.behaviour)
        bounds.append(f"Taking other silent sessions at their behaviour: {words[0].lower()}{words[1:]}")
    said = [found.words.reason, " ".join(bounds).strip(), found.words.who or "", *found.words.notes]
    return [line for line in said if line]


def stats(found: Look) -> list[Stat]:
    """From everyone down to those who voted up."""
    total, left = found.counts.total, found.counts[Stratum.ABANDONED].n
    if not total.n:
        return []
    stayed = total.n - left
    up = f"{percent(total.up / total.n)} of sessions, {up_words(total)} of votes" if total.votes else ""
    name = "Sessions with an answer" if not found.has_lone else "Units with an answer"
    return [
        Stat(name, fmt.count(total.n), 1.0, "closed; everyone"),
        Stat("Stayed, or ended well", fmt.count(stayed), stayed / total.n,
             f"{percent(stayed / total.n)} of sessions"),
        Stat("Gave a vote", fmt.count(total.votes), total.votes / total.n,
             f"{percent(total.votes / total.n)} of sessions"),
        Stat("Votes up", fmt.count(total.up) if total.votes else fmt.UNKNOWN,
             total.up / total.n if total.votes else None, up or "nobody voted"),
    ]  # fmt: skip


def up_words(total: Cell) -> str:
    """Ups of votes: a share from 30 votes on, below that the bare numbers, "unknown" of none."""
    if not total.votes:
        return fmt.UNKNOWN
    return percent(total.up / total.votes) if total.votes >= VOTES_MIN else f"{total.up} of {total.votes}"


def groups(found: Survivorship, definition: Definition, links: Links) -> list[Group]:
    """Who votes and who does not, by what the session did."""
    counts, total = found.whole.counts, found.whole.counts.total
    notes = group_notes(definition)
    rows = []
    for stratum in GROUPS:
        cell = counts[stratum]
        if not cell.n:
            continue
        own = found.whole.verdict.strata.get(stratum)
        score = found.scores.silent.get(stratum) if found.scores is not None else None
        of_votes = cell.votes / total.votes if total.votes else 0.0
        rate = None
        if isinstance(own, StratumCoverage) and isinstance(own.rate, Estimate):
            rate = own.rate
        rows.append(
            Group(
                name=NAMES[stratum],
                note=notes[stratum],
                n=fmt.count(cell.n),
                href=links.sessions(stratum),
                share=percent_x(cell.n / total.n),
                share_words=percent(cell.n / total.n),
                votes=fmt.count(cell.votes),
                votes_share=percent(cell.votes / cell.n),
                votes_href=links.sessions(stratum, "up", "down"),
                of_votes=percent_x(of_votes),
                of_votes_words=percent(of_votes) if total.votes else fmt.UNKNOWN,
                up=fmt.UNKNOWN if cell.rate is None else percent(cell.rate),
                up_interval="" if rate is None else limits_words(rate),
                score="" if score is None else fmt.score(score.value),
                score_note="" if score is None else _score_note(score),
                times=_times(own),
            )
        )
    return rows


def _score_note(score: Estimate) -> str:
    limits = "" if score.low is None or score.high is None else f"{score.low:.2f} to {score.high:.2f}, "
    return f"{limits}n = {score.n:,}"


def totals(found: Survivorship) -> dict[str, str]:
    """The last line of the table: all sessions."""
    total = found.whole.counts.total
    score = found.scores.all_silent if found.scores is not None else None
    return {
        "all_share": percent(total.votes / total.n) if total.n else "",
        "all_up": up_words(total),
        "all_score": "too few" if score is None else fmt.score(score.value),
    }


def _times(own: StratumCoverage | TooLittle | None) -> tuple[str, ...]:
    """The interval of how often a group votes, and how that compares with all others."""
    if not isinstance(own, StratumCoverage):
        return ()
    words = limits_words(own.coverage)
    return (words,) if own.ratio is None else (words, f"{_factor(own.ratio)}× the others’")


def _factor(ratio: float) -> str:
    if ratio < 0.95:
        return f"{ratio:.2f}" if ratio >= 0.005 else "under 0.01"
    return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def group_notes(definition: Definition) -> dict[Stratum, str]:
    """What makes a session one of a group, in a few words; the rules in full are on the page of definitions."""
    idle = f"{definition.idle_minutes} minutes"
    most = "one answer" if definition.abandon_answers == 1 else f"{definition.abandon_answers} answers"
    left = f"At most {most}, no sign of completion, and nothing more for {idle}"
    return {
        Stratum.COMPLETED: "A completion, a conversion, a copied answer or words of leave-taking",
        Stratum.CARRIED_ON: "Asked something new; no sign of trouble",
        Stratum.RETRIED: f"The same again within {_time(definition.retry_seconds)}, or rephrased within "
        f"{_time(definition.rephrase_seconds)}",
        Stratum.CORRECTED: "“No, I meant…”, or edited the answer",
        Stratum.ESCALATED: "Asked for a human",
        Stratum.ABANDONED: left if definition.abandon_answers and not definition.single_shot else "A signal says so",
        Stratum.UNKNOWN: "What came after the answer is not known",
    }


def _time(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 60 and not seconds % 60 else f"{seconds} s"


def reading_words(rows: Sequence[Group]) -> str:
    """The two groups that are over- and underrepresented the most, to be read from both bars."""
    if len(rows) < 2 or not any(row.of_votes for row in rows):
        return ""
    most = max(rows, key=lambda row: row.of_votes - row.share)
    least = min(rows, key=lambda row: row.of_votes - row.share)
    if most is least:
        return ""
    said = "; ".join(
        f"“{row.name}” is {row.share_words} of sessions and {row.of_votes_words} of votes" for row in (most, least)
    )
    return f"Read the two bars together: {said}."


def feature_line(found: Look, href: str) -> FeatureLine:
    """One feature of the table."""
    total, verdict = found.counts.total, found.verdict
    weighed = found.calibrated.estimate if isinstance(found.calibrated, Calibrated) else None
    anchor = found.anchor if isinstance(found.anchor, Anchor) else None
    return FeatureLine(
        name=found.feature or "no feature told",
        href=href,
        state=STATES[verdict.colour],
        word=SHORT[verdict.colour],
        rule=RULES[verdict.rule],
        n=fmt.count(total.n) + (" traces" if found.has_lone else ""),
        coverage=percent(total.votes / total.n) if total.n else fmt.UNKNOWN,
        votes=up_words(total),
        votes_interval="" if verdict.votes is None or total.votes < VOTES_MIN else limits_words(verdict.votes),
        adjusted="not identified" if weighed is None else percent(weighed.value),
        adjusted_interval="" if weighed is None else limits_words(weighed),
        anchor="none" if anchor is None else percent(anchor.estimate),
        anchor_interval="" if anchor is None else interval(anchor.low, anchor.high),
    )


@dataclass(frozen=True, slots=True)
class SilentRow:
    """One silent session to be read."""

    href: str
    name: str
    feature: str
    at: datetime
    facts: str
    asked: str
    answered: str


def silent_row(row: Silent, base: str) -> SilentRow:
    """A silent session as the page shows it."""
    if row.session_id is not None:
        name, href = row.session_id, f"{base}sessions/{write_id(row.session_id)}/"
    else:
        hex_id = row.trace_id.hex if row.trace_id else ""
        name, href = f"trace {hex_id[:8]}", f"{base}traces/{hex_id}/"
    length = "" if row.length_seconds is None else f", {fmt.latency(1000 * row.length_seconds, short=True)}"
    return SilentRow(
        href,
        name,
        row.feature,
        row.first_at,
        f"{of_things(row.turns, 'turn')}, {of_things(row.answers, 'answer')}{length}",
        row.asked or "",
        row.answered or "",
    )
