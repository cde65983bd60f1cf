"""What the survivorship check stands on: sessions by what they did and how they voted, and a drawn sample of them.

Sessions are counted by the hour of their first turn (`traces_behaviour_hour`), so no page looks at all of them. The
sample are closed sessions whose last answer was drawn for review or judged with a known chance: whether it was drawn
has nothing to do with whether its user voted. Every read is bounded; what a bound left out is said in the result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from evals.read.estimates import whole_hours
from evals.read.survivorship_kept import Judging, read_rubric
from evals.rubrics import Criterion
from evals.stats.survivorship.counts import Counts
from telltale.lib.clock import zone_of
from telltale.lib.sql import load
from traces.behaviour.rates import Cell
from traces.behaviour.types import Fact, Stratum
from traces.read.asking import asking, fetch
from traces.read.behaviour import cells

# A person reads an answer in a minute: this many in a window are a full-time job.
REVIEWS_LOOKED_AT, REVIEWS_MAX = 6_000, 2_000
# Beside some hundred reviews, more than a thousand or two judged sessions make the interval hardly narrower (the second
# term of PPI's variance); looking one up costs 6 microseconds.
JUDGED_LOOKED_AT, JUDGED_KEPT = 20_000, 2_000
# The last answer of a session comes so much later than its first turn, at most: longer ones are in no sample.
SESSION_MAX = timedelta(days=7)
# Nobody waits for the history of the verdict.
WORK_TIMEOUT_MS = 60_000
# What a person's verdict says of an answer, where they gave no score of the criterion.
SATISFIED_BY_VERDICT = {"good": 1.0, "false_alarm": 1.0, "failure": 0.0}
_PLANNER = """
    SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
        set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true)
"""


@dataclass(slots=True)
class Units:
    """How many units there are of one feature, or of all: closed ones by group and vote, and what is in no rate.

    `sessions` are closed sessions with an answer, `lone` traces with an answer that name no session. `open`: not over
    yet. `unanswered`: closed, and nothing in it was ever answered, with `unanswered_votes` of them voting.
    """

    sessions: Counts = field(default_factory=Counts)
    lone: Counts = field(default_factory=Counts)
    open: int = 0
    open_votes: int = 0
    unanswered: int = 0
    unanswered_votes: int = 0

    def __add__(self, other: Units) -> Units:
        return Units(
            self.sessions + other.sessions,
            self.lone + other.lone,
            self.open + other.open,
            self.open_votes + other.open_votes,
            self.unanswered + other.unanswered,
            self.unanswered_votes + other.unanswered_votes,
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all happened."""
        return not (self.sessions.n or self.lone.n or self.open or self.unanswered)

    def counts(self, *, with_lone: bool = False) -> Counts:
        """What rates are of: closed sessions; traces without a session where there is no session, or if asked for."""
        if with_lone:
            return self.sessions + self.lone
        return self.sessions if self.sessions.n else self.lone


@dataclass(frozen=True, slots=True)
class Drawn:
    """A session that was drawn, by its last answer. `judge` and `person`: 1 satisfied, 0 not, None no score.

    `pi_judge`: the chance to be judged (1 where no judge scored it); `pi_review`: the chance that such a one was given
    to a person; `pi_person`: the chance to be given to a person, over all. `score`: the judge's, as it was given.
    `is_lone`: a trace that names no session. `times`: so many are alike.
    """

    feature: str
    stratum: Stratum
    has_voted: bool
    judge: float | None
    pi_judge: float
    person: float | None = None
    pi_review: float = 1.0
    pi_person: float = 1.0
    score: float | None = None
    is_lone: bool = False
    times: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """The drawn sessions of a window. `judged_since` is set where there were more scores than are looked at."""

    drawn: tuple[Drawn, ...] = ()
    judged_since: datetime | None = None
    is_review_cut: bool = False

    def of(self, feature: str | None) -> tuple[Drawn, ...]:
        """Those of one feature; None for all."""
        return self.drawn if feature is None else tuple(each for each in self.drawn if each.feature == feature)


def read_cells(project_id: int, start: datetime, end: datetime) -> list[Cell]:
    """Units whose first turn lies in the window (of whole hours), counted by all that is told apart. traces.TooSlow."""
    with asking():
        return cells(project_id, start, end)


def read_units_by_day(project_id: int, start: datetime, end: datetime, zone: str) -> dict[date, dict[str, Units]]:
    """Units by the day (of `zone`) of the hour that the first turn lies in, and by feature."""
    with asking(WORK_TIMEOUT_MS):
        found = cells(project_id, start, end, by="day", time_zone=zone)
    by_day: dict[date, list[Cell]] = defaultdict(list)
    for cell in found:
        if isinstance(cell.key, datetime):
            by_day[cell.key.astimezone(zone_of(zone)).date()].append(cell)
    return {day: units_of(of_day) for day, of_day in by_day.items()}


def units_of(found: Iterable[Cell]) -> dict[str, Units]:
    """Units by feature ("" where none was told)."""
    units: dict[str, Units] = defaultdict(Units)
    counted: dict[tuple[str, bool], list[tuple[int, int, int]]] = defaultdict(list)
    for cell in found:
        of_feature = units[cell.feature]
        if not cell.is_closed or cell.stratum is Stratum.OPEN:
            of_feature.open += cell.n
            of_feature.open_votes += cell.n if cell.vote else 0
        elif cell.facts & Fact.UNANSWERED:
            of_feature.unanswered += cell.n
            of_feature.unanswered_votes += cell.n if cell.vote else 0
        else:
            counted[cell.feature, bool(cell.facts & Fact.LONE)].append((cell.stratum, cell.vote, cell.n))
    for (feature, is_lone), rows in counted.items():
        setattr(units[feature], "lone" if is_lone else "sessions", Counts.of(rows))
    return dict(units)


def whole(by_feature: Mapping[str, Units]) -> Units:
    """All features together."""
    return sum(by_feature.values(), Units())


def read_sample(
    project_id: int,
    start: datetime,
    end: datetime,
    judging: Judging | None,
    at_least: float | None,
    timeout_ms: int | None = None,
) -> Sample:
    """The sessions of the window that people read or the judge (if any) scored, each drawn with a known chance.

    Several reviews of one answer count as their mean, the newest adjudication settles it. A person's score of the
    criterion counts where there is one (by the judge's own wording), else their verdict; "unsure" says nothing.
    """
    start, end = whole_hours(start, end)
    about = {
        "project_id": project_id,
        "start": start,
        "end_": end,
        "until": end + SESSION_MAX,
        "criterion": judging.criterion.key if judging else None,
        "judge_id": judging.judge_id if judging else None,
        "version_ids": list(judging.version_ids) if judging else [],
        "lone": int(Fact.LONE),
    }
    least = at_least if at_least is not None else judging.suggested if judging else None
    with asking(timeout_ms) as cursor:
        # Each row is looked up by its key, also while the planner takes the tables for empty.
        cursor.execute(_PLANNER)
        bounds = {"newest": REVIEWS_LOOKED_AT, "most": REVIEWS_MAX}
        rows = fetch(cursor, load("evals", "read_survivorship_reviews"), about | bounds)
        people = _people(rows, judging, least, _wordings(cursor, rows, judging))
        judged: list[tuple[Any, ...]] = []
        n, oldest_at = 0, None
        if judging is not None:
            n, oldest_at = fetch(
                cursor, load("evals", "read_survivorship_scores"), about | {"newest": JUDGED_LOOKED_AT}
            )[0]
        if n:
            reviewed = [trace_id for trace_id, one in people.items() if one.judge is not None]
            more = {"oldest": oldest_at, "share": min(1.0, JUDGED_KEPT / n), "reviewed": reviewed}
            judged = fetch(cursor, load("evals", "read_survivorship_judged"), about | more)
    found = {row[0] for row in judged}
    # What people read corrects the judge only where it is among the scores that were looked at.
    drawn = [one if trace_id in found else replace(one, judge=None, score=None) for trace_id, one in people.items()]
    for trace_id, feature, stratum, has_voted, is_lone, score, pi, times in judged:
        if trace_id is None:
            value = _reaches(score, least)
            one = Drawn(feature, Stratum(stratum), has_voted, value, pi, score=score, is_lone=is_lone, times=times)
            drawn.append(one)
    return Sample(tuple(drawn), oldest_at if n >= JUDGED_LOOKED_AT else None, len(rows) >= REVIEWS_MAX)


def _reaches(score: float, least: float | None) -> float:
    return float(least is not None and score >= least)


def _people(
    rows: Iterable[tuple[Any, ...]], judging: Judging | None, least: float | None, same: Mapping[int, bool]
) -> dict[UUID, Drawn]:
    """What people said, by trace."""
    said: dict[UUID, list[tuple[float, bool, tuple[Any, ...]]]] = defaultdict(list)
    for row in rows:
        trace_id, verdict, is_ruling, wording, number = row[4], row[5], row[8], row[9], row[10]
        value = SATISFIED_BY_VERDICT.get(verdict)
        if number is not None and judging is not None and same.get(wording, False):
            value = _reaches(number, least)
        if value is not None:
            said[trace_id].append((value, is_ruling, row))
    found = {}
    for trace_id, each in said.items():
        ruling = next((value for value, is_ruling, _ in each if is_ruling), None)
        value = ruling if ruling is not None else sum(value for value, _, _ in each) / len(each)
        first = each[0][2]
        feature, stratum, vote, is_lone, score, pi = first[1], first[2], first[3], first[11], first[12], first[13]
        of_people = [(1.0 if row[6] is None else row[6]) * row[7] for _, _, row in each]
        found[trace_id] = Drawn(
            feature,
            Stratum(stratum),
            vote != 0,
            None if score is None else _reaches(score, least),
            1.0 if pi is None else pi,
            value,
            max(row[7] for _, _, row in each),
            max(of_people),
            score,
            is_lone,
        )
    return found


def _wordings(cursor: Any, rows: Sequence[tuple[Any, ...]], judging: Judging | None) -> dict[int, bool]:
    """Whether each version of a rubric that people scored by words the criterion as the judge's does."""
    if judging is None:
        return {}
    same = {judging.rubric_version_id: True}
    others = sorted({row[9] for row in rows if row[10] is not None} - set(same))
    if others:
        query = "SELECT id, spec::text FROM evals_rubricversion WHERE id = ANY(%(ids)s::bigint[])"
        for id_, spec in fetch(cursor, query, {"ids": others}):
            rubric = read_rubric(spec)
            theirs = rubric.criterion(judging.criterion.key) if rubric is not None else None
            same[id_] = theirs is not None and _is_alike(theirs, judging.criterion)
    return same


def _is_alike(one: Criterion, other: Criterion) -> bool:
    return (one.definition, one.scale) == (other.definition, other.scale)
