"""How good the answers are: for every judge and criterion, the estimate for all traffic with its interval.

A judge's own mean is `raw` and always called uncorrected: judges are off by a point or two in either direction. Where
people reviewed a drawn sample, `corrected` is the quality as people would see it. Both come from sums by the hour and
from the reviews, never from the scores of all traces.

Windows are whole hours in UTC; a day of the project's zone is the hours that begin in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, LiteralString
from zoneinfo import ZoneInfo

import numpy as np
import orjson
from psycopg import sql

from evals.read.calibration import NO_BADGE, Badge, badges
from evals.rubrics import Criterion, Rubric, Scale, parse_rubric
from evals.rubrics.kinds import BOOLEAN, RubricRefused
from evals.stats.nonresponse import RAISED_MAX
from evals.stats.ppi import REVIEWS_MIN, Corrected, ppi_nested
from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import NONRESPONSE_FLAG, Sums, hajek, wilson_eff
from telltale.lib.clock import zone_of
from telltale.lib.sql import load
from traces.read.asking import asking, fetch

By = Literal["feature", "model", "prompt_version", "hour", "day", "week"]
FLAG = "_flag"
# What is lacking for a mean of labels without an order: no number of scores helps.
UNORDERED = "scores on an ordered scale"
# Fewer say too little to be shown as a figure of all traffic.
SCORES_MIN = 20
REVIEWS_MAX = 20_000
WINDOW_MAX = timedelta(days=400)
HOUR_POINTS_MAX = timedelta(days=14)
_KEYS: dict[str, LiteralString] = {
    "": "NULL::text",
    "feature": "h.feature",
    "model": "h.model",
    "prompt_version": "h.prompt_version",
    "hour": "h.hour",
    "day": "(h.hour AT TIME ZONE %(zone)s)::date",
    "week": "date_trunc('week', h.hour AT TIME ZONE %(zone)s)::date",
}
# The same over sums of whole days; an hour is in none of them.
_DAY_KEYS: dict[str, LiteralString] = {**_KEYS, "hour": "NULL::timestamptz", "day": "h.day"}
_DAY_KEYS["week"] = "date_trunc('week', h.day)::date"

_HASHES = """
    SELECT set_config('enable_nestloop', %s, true), set_config('enable_mergejoin', %s, true),
        set_config('jit', %s, true), set_config('enable_seqscan', %s, true)
"""
_JUDGES = """
    SELECT id, slug, name, kind, live_version_id IS NOT NULL FROM evals_judge
    WHERE project_id = %(project_id)s AND archived_at IS NULL ORDER BY name, id
"""

Step = Literal["hour", "day", "week"]
Key = str | datetime | date | None


@dataclass(frozen=True, slots=True)
class Where:
    """What part of the traffic is asked about; None is any, "" what its sender did not tell."""

    judge_id: int | None = None
    version_id: int | None = None
    feature: str | None = None
    model: str | None = None
    prompt_version: str | None = None


@dataclass(frozen=True, slots=True)
class Of:
    """Whose figure it is: a judge version and one criterion of its rubric (None: the flag, or one that is gone)."""

    judge_id: int
    judge_slug: str
    judge_name: str
    judge_kind: str
    version_id: int
    version: int
    model: str
    is_live: bool
    rubric_name: str
    rubric_slug: str
    rubric_version: int
    name: str
    criterion: Criterion | None

    @property
    def title(self) -> str:
        """The criterion as its rubric writes it."""
        if self.name == FLAG:
            return "Flagged"
        return self.criterion.title if self.criterion is not None else self.name

    @property
    def scale(self) -> Scale | None:
        """The criterion's scale; None where the rubric has none of this name."""
        return self.criterion.scale if self.criterion is not None else None

    @property
    def is_share(self) -> bool:
        """Whether it is a share of traffic (0..1): yes or no, or the flag."""
        return self.name == FLAG or (self.scale is not None and self.scale.kind == BOOLEAN)


@dataclass(frozen=True, slots=True)
class Row:
    """One estimate for all traffic of one group. `key` is the group's value, None for all of it.

    `raw` is the judge's own mean (uncorrected); `corrected` stands on `reviews` drawn reviews. `coverage` is the sum of
    the weights: about how many traces it speaks for.
    """

    of: Of
    key: Key
    raw: Estimate | TooLittle
    corrected: Corrected | TooLittle
    n: int
    n_eff: float
    coverage: float
    reviews: int
    badge: Badge

    @property
    def is_unordered(self) -> bool:
        """Whether its labels have no order: shares, no mean."""
        return self.of.scale is not None and not self.of.scale.has_numbers

    @property
    def design_effect(self) -> float:
        """How many times more scores this took than equally weighted ones would; 1 when all weigh the same."""
        return self.n / self.n_eff if self.n_eff > 0 else 1.0

    @property
    def mean(self) -> float | None:
        """The judge's mean, however few scores there are; None of none."""
        return self.raw.value if isinstance(self.raw, Estimate) else None


@dataclass(frozen=True, slots=True)
class JudgeName:
    """What a judge of the project is called, and whether a version of it is live."""

    id: int
    slug: str
    name: str
    kind: str
    is_live: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the traffic a judge's plans covered, took, and what became of the judgements made in the window.

    `uncovered` fit the judge's filter and had no chance. `states` adds up to all judgements made.
    """

    judge_id: int
    covered: int = 0
    taken: int = 0
    uncovered: int = 0
    states: dict[str, int] = field(default_factory=dict, hash=False)
    reasons: tuple[tuple[str, str, int], ...] = ()  # (state, reason, n), most first

    @property
    def ended(self) -> int:
        """How many judgements came to an end."""
        return sum(self.states.get(state, 0) for state in ("scored", "failed", "skipped"))

    @property
    def nonresponse(self) -> float | None:
        """The share of ended judgements without a score; None of none."""
        return 1 - self.states.get("scored", 0) / self.ended if self.ended else None

    @property
    def is_flagged(self) -> bool:
        """Whether too many have none for the estimate to stand without a warning."""
        return self.nonresponse is not None and self.nonresponse > NONRESPONSE_FLAG

    @property
    def share(self) -> float | None:
        """The share of the covered that was drawn; None of none."""
        return self.taken / self.covered if self.covered else None


@dataclass(frozen=True, slots=True)
class Estimates:
    """Rows by judge, live versions first, and criterion; coverage by judge; the judges; the effective window."""

    rows: tuple[Row, ...]
    judges: tuple[JudgeName, ...]
    coverage: dict[int, Coverage] = field(hash=False)
    start: datetime
    end: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Scores of people beside those of judges, as rows of `read_reviewed`, and the rubrics they differ by."""

    rows: tuple[tuple[Any, ...], ...]
    specs: dict[int, Rubric | None] = field(hash=False)


@dataclass(frozen=True, slots=True)
class LevelShare:
    """What share of all traffic has one level of a criterion, by the judge: `n` scores said so."""

    level: str
    n: int
    share: float


def read_estimates(
    project_id: int,
    zone: str,
    start: datetime,
    end: datetime,
    where: Where = Where(),
    by: By | Literal[""] = "",
    *,
    name: str = "",
    with_coverage: bool = True,
    reviewed: Reviewed | None = None,
) -> Estimates:
    """The estimates of a window, one row a judge version, criterion (`name` alone, where given) and group.

    The window is widened to whole hours. `reviewed`: what `read_over_time` read of the same window and traffic. TooSlow
    where the database took longer than a page may.
    """
    return _read(project_id, zone, start, end, where, by, name, with_coverage, reviewed)[0]


def read_over_time(
    project_id: int, zone: str, start: datetime, end: datetime, where: Where, step: Step
) -> tuple[Estimates, Estimates, Reviewed]:
    """The estimates of the whole window, and the same by `step`: sums of parts are read once and added up.

    The third is what was reviewed in it, for `read_estimates` of the same window.
    """
    parts, groups, reviewed = _read(project_id, zone, start, end, where, step, "", True)
    whole: dict[tuple[int, str], _Group] = {}
    for group in groups:
        key = (group.of.version_id, group.of.name)
        whole[key] = whole[key].joined(group) if key in whole else replace(group, key=None)
    rows = sorted((group.row() for group in whole.values()), key=_order)
    return replace(parts, rows=tuple(rows), by=""), parts, reviewed


def _read(
    project_id: int,
    zone: str,
    start: datetime,
    end: datetime,
    where: Where,
    by: str,
    name: str,
    with_coverage: bool,
    reviewed: Reviewed | None = None,
) -> tuple[Estimates, list[_Group], Reviewed]:
    start, end = whole_hours(start, end)
    params: dict[str, Any] = {
        "project_id": project_id,
        "start": start,
        "end": end,
        "zone": zone_of(zone).key,
        "judge_id": where.judge_id,
        "version_id": where.version_id,
        "feature": where.feature,
        "model": where.model,
        "prompt_version": where.prompt_version,
        "name": name or None,
        "most": REVIEWS_MAX,
    }
    with asking() as cursor:
        # How many rows a window has is in no planner's figures: it would look through all hours once for each of them.
        cursor.execute(_HASHES, ["off", "off", "off", "on"])
        sums = fetch(cursor, _query("read_estimate_sums", by), params)
        # Reviews are looked up by key, also while the planner still takes the tables for empty.
        cursor.execute(_HASHES, ["on", "on", "on", "off"])
        versions = _versions(cursor, project_id, {row[1] for row in sums})
        if reviewed is None:
            names = sorted({row[2] for row in sums if row[2] != FLAG})
            asked = params | {"names": names}
            rows = fetch(cursor, load("evals", "read_reviewed"), asked) if names else []
            reviewed = Reviewed(tuple(rows), _other_specs(cursor, rows))
        coverage = _coverage(cursor, params) if with_coverage else {}
        judges = tuple(JudgeName(*row) for row in fetch(cursor, _JUDGES, params)) if with_coverage else ()
    told = badges(project_id, list(versions))
    reviews = _reviews(reviewed, by, zone_of(zone), {(row[1], row[2]) for row in sums})
    groups = []
    for judge_id, version_id, criterion, key, *figures in sums:
        of = _of(versions.get(version_id), judge_id, version_id, criterion)
        if of is not None:
            n = int(figures[0])
            drawn, raised = Sums(n, *map(float, figures[1:10])), Sums(n, *map(float, figures[10:19]))
            badge = told.get((version_id, criterion), NO_BADGE)
            groups.append(_Group(of, key, drawn, raised, reviews.get((version_id, criterion, key), {}), badge))
    found = sorted((group.row() for group in groups), key=_order)
    return Estimates(tuple(found), judges, coverage, start, end, by), groups, reviewed


def read_levels(
    project_id: int, start: datetime, end: datetime, names: Collection[str], where: Where = Where()
) -> dict[tuple[int, str], tuple[LevelShare, ...]]:
    """The levels that judges gave, weighted to all traffic, by (version, criterion); most frequent first."""
    start, end = whole_hours(start, end)
    params = {
        "project_id": project_id,
        "start": start,
        "end": end,
        "names": list(names),
        "judge_id": where.judge_id,
        "version_id": where.version_id,
        "feature": where.feature,
        "model": where.model,
        "prompt_version": where.prompt_version,
    }
    with asking() as cursor:
        rows = fetch(cursor, load("evals", "read_level_shares"), params)
    found: dict[tuple[int, str], list[tuple[str, int, float]]] = defaultdict(list)
    for version_id, name, level, n, weight in rows:
        found[version_id, name].append((level, n, weight))
    shares = {}
    for key, levels in found.items():
        whole = sum(weight for _, _, weight in levels) or 1.0
        ordered = sorted(levels, key=lambda each: -each[2])
        shares[key] = tuple(LevelShare(level, n, weight / whole) for level, n, weight in ordered)
    return shares


def whole_hours(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The window widened to whole hours."""
    first = start.replace(minute=0, second=0, microsecond=0)
    last = end.replace(minute=0, second=0, microsecond=0)
    return first, last if last == end else last + timedelta(hours=1)


@lru_cache(maxsize=32)
def _query(name: str, by: str) -> str:
    text = "\n".join(line for line in load("evals", name).splitlines() if not line.startswith("--"))
    parts = {
        "key": sql.SQL(_KEYS[by]),
        "day_key": sql.SQL(_DAY_KEYS[by]),
        "days": sql.SQL("false" if by == "hour" else "true"),
        "most": sql.Literal(RAISED_MAX),
    }
    return sql.SQL(text).format(**parts).as_string(None)


def _versions(cursor: Any, project_id: int, version_ids: Collection[int]) -> dict[int, tuple[Any, ...]]:
    if not version_ids:
        return {}
    params = {"project_id": project_id, "version_ids": sorted(version_ids)}
    return {row[0]: row for row in fetch(cursor, load("evals", "read_estimate_versions"), params)}


def _of(version: tuple[Any, ...] | None, judge_id: int, version_id: int, name: str) -> Of | None:
    """Whose figure a row of sums is; None where the judge is gone."""
    if version is None:
        return None
    _, number, model, _, slug, judge, kind, live_id, _, rubric, rubric_slug, rubric_number, spec = version
    read = _rubric(spec)
    return Of(
        judge_id=judge_id,
        judge_slug=slug,
        judge_name=judge,
        judge_kind=kind,
        version_id=version_id,
        version=number,
        model=model,
        is_live=live_id == version_id,
        rubric_name=rubric,
        rubric_slug=rubric_slug,
        rubric_version=rubric_number,
        name=name,
        criterion=read.criterion(name) if read is not None else None,
    )


@lru_cache(maxsize=256)
def _rubric(spec: str) -> Rubric | None:
    try:
        return parse_rubric(orjson.loads(spec))
    except RubricRefused:
        return None


def _order(row: Row) -> tuple[Any, ...]:
    """By judge, the live version first; criteria by title, the flag last; groups by weight, times in order."""
    criteria = (row.of.name == FLAG, row.of.title)
    key = row.key
    place: Any = (0, key.isoformat()) if isinstance(key, date) else (-row.coverage, key or "")
    return (row.of.judge_name, row.of.judge_id, not row.of.is_live, -row.of.version, criteria, place)


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """A target that people and the judge scored: the people's level, the judge's, and the chances of both draws."""

    person: float
    judge: float
    pi: float
    pi_review: float


@dataclass(frozen=True, slots=True)
class _Group:
    """The sums of one group: weighted as drawn, and raised for what got no score; and its reviews by judgement."""

    of: Of
    key: Key
    drawn: Sums
    raised: Sums
    reviews: dict[int, _Reviewed]
    badge: Badge

    def joined(self, other: _Group) -> _Group:
        """Both together."""
        both = self.reviews | other.reviews
        return replace(self, drawn=self.drawn + other.drawn, raised=self.raised + other.raised, reviews=both)

    def row(self) -> Row:
        """The estimate."""
        return Row(
            of=self.of,
            key=self.key,
            raw=_raw(self.of, self.raised),
            corrected=_corrected(self.of, self.reviews, self.drawn),
            n=self.raised.n,
            n_eff=self.raised.n_eff,
            coverage=self.raised.sw,
            reviews=len(self.reviews),
            badge=self.badge,
        )


def _reviews(
    reviewed: Reviewed, by: str, zone: ZoneInfo, wanted: Collection[tuple[int, str]]
) -> dict[tuple[int, str, Key], dict[int, _Reviewed]]:
    """What people said of each judged target, by (version, criterion, group) and judgement, of those `wanted`.

    Several people count as their mean; the newest adjudication settles it. Reviews by another wording are left out.
    """
    said: dict[tuple[int, str, Key], dict[int, list[tuple[Any, ...]]]] = defaultdict(dict)
    same: dict[tuple[int, int, str], bool] = {}
    keys: dict[int, Key] = {}
    place = {"feature": 2, "model": 3, "prompt_version": 4}.get(by)
    for row in reviewed.rows:
        version_id, name, hour, theirs, judges = row[0], row[1], row[5], row[12], row[13]
        if (version_id, name) not in wanted:
            continue
        if theirs is not None and theirs != judges:
            wording = (theirs, judges, name)
            if wording not in same:
                same[wording] = _is_same_wording(reviewed.specs, *wording)
            if not same[wording]:
                continue
        key: Key = None
        if place is not None:
            key = row[place]
        elif by:
            if hour not in keys:
                keys[hour] = _time_key(hour, by, zone)
            key = keys[hour]
        said[version_id, name, key].setdefault(row[6], []).append(row)
    return {
        group: {judgement_id: _settled(rows) for judgement_id, rows in judgements.items()}
        for group, judgements in said.items()
    }


def _time_key(hour: int, by: str, zone: ZoneInfo) -> Key:
    """The point in time that an hour (seconds since 1970) belongs to."""
    at = datetime.fromtimestamp(hour, UTC)
    if by == "hour":
        return at
    day = at.astimezone(zone).date()
    return day if by == "day" else day - timedelta(days=day.weekday())


def _settled(rows: list[tuple[Any, ...]]) -> _Reviewed:
    # Columns 7 to 11: the person's number, the judge's, pi, pi_review, whether it settles. Rows come newest first.
    first = rows[0]
    if len(rows) == 1:
        return _Reviewed(*first[7:11])
    ruling = next((row for row in rows if row[11]), None)
    person = ruling[7] if ruling is not None else sum(row[7] for row in rows) / len(rows)
    return _Reviewed(person, first[8], first[9], max(row[10] for row in rows))


def _is_same_wording(specs: dict[int, Rubric | None], theirs: int, judges: int, name: str) -> bool:
    rubrics = (specs.get(theirs), specs.get(judges))
    criteria = [rubric.criterion(name) if rubric is not None else None for rubric in rubrics]
    one, other = criteria
    return one is not None and other is not None and (one.definition, one.scale) == (other.definition, other.scale)


def _other_specs(cursor: Any, reviewed: Sequence[tuple[Any, ...]]) -> dict[int, Rubric | None]:
    """The rubrics of reviews that name another version than the judge's."""
    ids = {id_ for row in reviewed if row[12] not in {None, row[13]} for id_ in row[12:14] if id_ is not None}
    if not ids:
        return {}
    query = "SELECT id, spec::text FROM evals_rubricversion WHERE id = ANY(%(ids)s::bigint[])"
    return {id_: _rubric(spec) for id_, spec in fetch(cursor, query, {"ids": sorted(ids)})}


def _coverage(cursor: Any, params: dict[str, Any]) -> dict[int, Coverage]:
    drawn = {row[0]: row[1:] for row in fetch(cursor, load("evals", "read_estimate_coverage"), params)}
    states: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    reasons: dict[int, dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for judge_id, _, state, reason, n in fetch(cursor, load("evals", "read_estimate_states"), params):
        states[judge_id][state] += n
        if state in {"failed", "skipped"}:
            reasons[judge_id][state, reason] += n
    found = {}
    for judge_id in drawn.keys() | states.keys():
        covered, taken, uncovered = drawn.get(judge_id, (0, 0, 0))
        ordered = sorted(reasons[judge_id].items(), key=lambda each: -each[1])
        why = tuple((state, reason, n) for (state, reason), n in ordered)
        found[judge_id] = Coverage(judge_id, covered, taken, uncovered, dict(states[judge_id]), why)
    return found


def _raw(of: Of, sums: Sums) -> Estimate | TooLittle:
    """The judge's mean over all traffic; levels without an order have none."""
    if of.scale is not None and not of.scale.has_numbers:
        return TooLittle(0, SCORES_MIN, UNORDERED)
    if sums.n < SCORES_MIN:
        return TooLittle(sums.n, SCORES_MIN, "scores")
    if of.is_share:
        return wilson_eff(sums, of="traffic")
    scale = (float(of.scale.low), float(of.scale.high)) if of.scale is not None else None
    return hajek(sums, of="traffic", scale=scale)


def _corrected(of: Of, reviews: dict[int, _Reviewed], judged: Sums) -> Corrected | TooLittle:
    """The quality as people would see it."""
    if len(reviews) < REVIEWS_MIN or (of.scale is not None and not of.scale.has_numbers) or of.name == FLAG:
        return TooLittle(len(reviews), REVIEWS_MIN, "reviews")
    if judged.n < len(reviews):
        return TooLittle(judged.n, len(reviews), "judged targets")
    each = list(reviews.values())
    scale = (0.0, 1.0) if of.is_share else None
    if scale is None and of.scale is not None:
        scale = (float(of.scale.low), float(of.scale.high))
    return ppi_nested(
        np.array([one.person for one in each]),
        np.array([one.judge for one in each]),
        np.array([one.pi for one in each]),
        np.array([one.pi_review for one in each]),
        judged,
        scale=scale,
    )
