"""The survivorship check of a window: every figure of the page, of all features together and of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import numpy as np

from evals.read.estimates import SCORES_MIN, whole_hours
from evals.read.survivorship import Drawn, Sample, Units, read_cells, read_sample, units_of, whole
from evals.rubrics.kinds import Scale
from evals.stats.ppi import REVIEWS_MIN, difference
from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship import (
    Anchor,
    Bounds,
    Calibrated,
    Cell,
    Counts,
    NotIdentified,
    Verdict,
    Weighted,
    Words,
    anchor_from_reviews,
    behaviour_bounds,
    calibrated,
    ipw,
    sensitivity,
    verdict,
    words,
)
from evals.stats.survivorship.calibrating import DELTA_MOST as DELTA_MOST
from evals.stats.weighted import Sums, hajek
from evals.surviving.choosing import Anchoring, anchoring_for
from traces.behaviour.rates import Cell as BehaviourCell
from traces.behaviour.types import Stratum

# The slider of the page; each is a link without a script.
DELTAS = tuple(step / 20 for step in range(11))
# Each takes 5 ms of processor time, most of it resampling.
FEATURES_SHOWN = 8

Identified = Calibrated | NotIdentified | TooLittle


@dataclass(frozen=True, slots=True)
class JudgeScores:
    """What the judge gave the last answers of sessions, uncorrected: of the silent by group and over all, of voters.

    `apart`: silent minus voters. None where fewer than 20 scores are there.
    """

    silent: Mapping[Stratum, Estimate]
    all_silent: Estimate | None
    voters: Estimate | None
    apart: Estimate | None


@dataclass(frozen=True, slots=True)
class Look:
    """The check of one feature, or of all together (`feature` None). `has_lone`: traces without a session count."""

    feature: str | None
    units: Units
    counts: Counts
    has_lone: bool
    behaviour: Bounds | TooLittle
    calibrated: Identified
    weighted: Weighted | TooLittle
    anchor: Anchor | TooLittle | None
    verdict: Verdict
    words: Words
    seed: int

    @property
    def gap(self) -> float | None:
        """By how much the votes lie above the anchor, or else above the calibrated rate; None where one is missing."""
        best = self.best
        if self.verdict.votes is None or best is None:
            return None
        return self.verdict.votes.value - best[0]

    @property
    def best(self) -> tuple[float, float, float] | None:
        """(value, low, high) of what is known best beside the votes: the anchor, else the calibrated rate."""
        if isinstance(self.anchor, Anchor):
            return self.anchor.estimate, self.anchor.low, self.anchor.high
        if isinstance(self.calibrated, Calibrated):
            found = self.calibrated.estimate
            low, high = (found.value if limit is None else limit for limit in (found.low, found.high))
            return found.value, low, high
        return None


@dataclass(frozen=True, slots=True)
class Survivorship:
    """The check of a window: `whole` of what was asked about, and each feature beside it (`hidden` more are not shown).

    `line`: the calibrated rate for each of DELTAS. `all_features`: every one that had units, most sessions first.
    `cells`: the counts that all of it is made of, of what was asked about.
    """

    start: datetime
    end: datetime
    whole: Look
    features: tuple[Look, ...]
    hidden: int
    line: tuple[Estimate, ...] | NotIdentified | TooLittle
    scores: JudgeScores | None
    sample: Sample
    anchoring: Anchoring
    all_features: tuple[str, ...] = field(default=())
    cells: tuple[BehaviourCell, ...] = field(default=(), repr=False)


def look_at(
    project_id: int,
    start: datetime,
    end: datetime,
    *,
    feature: str | None = None,
    with_lone: bool = False,
    features_most: int = FEATURES_SHOWN,
) -> Survivorship:
    """The check of sessions whose first turn lies in the window, widened to whole hours. traces.read.TooSlow.

    `with_lone`: traces that name no session count as well; without it they stand in only where there is no session.
    """
    start, end = whole_hours(start, end)
    anchoring = anchoring_for(project_id)
    found_cells = read_cells(project_id, start, end)
    by_feature = units_of(found_cells)
    asked = whole(by_feature) if feature is None else by_feature.get(feature, Units())
    sample = Sample()
    if anchoring.is_on and not asked.is_empty:
        sample = read_sample(project_id, start, end, anchoring.judging, anchoring.at_least)
    found = look(project_id, feature, asked, sample, anchoring, with_lone=with_lone)
    ordered = sorted(by_feature, key=lambda name: (-by_feature[name].counts(with_lone=with_lone).n, name))
    known = [name for name in ordered if by_feature[name].counts(with_lone=with_lone).n]
    is_split = len(known) > 1 or (len(known) == 1 and known[0] != "")
    shown = known[:features_most] if feature is None and is_split else []
    return Survivorship(
        start,
        end,
        found,
        tuple(look(project_id, name, by_feature[name], sample, anchoring, with_lone=with_lone) for name in shown),
        len(known) - len(shown) if shown else 0,
        rates_by_delta(found.counts, DELTAS, found.seed),
        judge_scores(counted(sample.of(feature), has_lone=found.has_lone), anchoring.judging.criterion.scale)
        if anchoring.judging is not None
        else None,
        sample,
        anchoring,
        tuple(ordered),
        tuple(found_cells if feature is None else (cell for cell in found_cells if cell.feature == feature)),
    )


def look(
    seed: int, feature: str | None, units: Units, sample: Sample, anchoring: Anchoring, *, with_lone: bool = False
) -> Look:
    """The check of units at hand. `seed`: of the bootstrap; told with the figures."""
    counts = units.counts(with_lone=with_lone)
    has_lone = bool(units.lone.n) and (with_lone or not units.sessions.n)
    anchor = anchor_of(counted(sample.of(feature), has_lone=has_lone)) if anchoring.is_on else None
    weighed = _calibrated(_key(counts), seed)
    found = verdict(counts, anchor, tolerance=anchoring.tolerance, seed=seed, calibrated=weighed)
    behaved, weighted = behaviour_bounds(counts), ipw(counts)
    return Look(feature, units, counts, has_lone, behaved, weighed, weighted, anchor, found, words(found), seed)


def counted(drawn: Sequence[Drawn], *, has_lone: bool) -> list[Drawn]:
    """Those that stand for what rates are of: traces without a session only where such count."""
    return [each for each in drawn if has_lone or not each.is_lone]


def anchor_of(drawn: Sequence[Drawn]) -> Anchor | TooLittle | None:
    """The anchor from drawn sessions; TooLittle names how many reviews there are. None of no session drawn at all.

    People's reviews alone, or made to go further by the judge where the judge scored what they read: whichever is worth
    more reviews.
    """
    if not drawn:
        return None
    alone = _from([each for each in drawn if each.person is not None], is_nested=False)
    nested = [each for each in drawn if each.judge is not None]
    if sum(each.person is not None for each in nested) < REVIEWS_MIN:
        return alone
    joined = _from(nested, is_nested=True)
    if isinstance(joined, TooLittle) or (isinstance(alone, Anchor) and alone.n_eff > joined.n_eff):
        return alone
    return joined


def _from(drawn: Sequence[Drawn], *, is_nested: bool) -> Anchor | TooLittle:
    """The anchor from reviews alone, or from those of judged sessions with the judge beside."""
    if not drawn:
        return TooLittle(0, REVIEWS_MIN, "reviews")
    table = np.array(
        [(each.judge, each.pi_judge, each.person, each.pi_review, each.pi_person) for each in drawn],
        dtype=np.float64,
    )  # None becomes NaN: no score
    judge, pi_judge, person, pi_review, pi_person = np.repeat(table, [each.times for each in drawn], axis=0).T
    if is_nested:
        return anchor_from_reviews(judge, pi_judge, person, pi_review)
    return anchor_from_reviews(np.full(judge.size, np.nan), 1.0, person, pi_person)


def judge_scores(drawn: Sequence[Drawn], scale: Scale) -> JudgeScores:
    """The judge's own means on its scale, weighted by each session's chance to be judged."""
    ends = (float(scale.low), float(scale.high))
    silent: dict[Stratum, list[Drawn]] = {}
    every: list[Drawn] = []
    voters: list[Drawn] = []
    for each in drawn:
        if each.score is None:
            continue
        if each.has_voted:
            voters.append(each)
        else:
            every.append(each)
            silent.setdefault(each.stratum, []).append(each)
    means = {stratum: _mean(rows, ends) for stratum, rows in silent.items()}
    one, other = _mean(every, ends), _mean(voters, ends)
    apart = None
    if one is not None and other is not None and one.error is not None and other.error is not None:
        apart = difference(one, other)
    return JudgeScores({stratum: mean for stratum, mean in means.items() if mean is not None}, one, other, apart)


def _mean(rows: Sequence[Drawn], ends: tuple[float, float]) -> Estimate | None:
    times = [each.times for each in rows]
    if sum(times) < SCORES_MIN:
        return None
    table = np.array([(each.score or 0.0, each.pi_judge) for each in rows])
    scores, pi = np.repeat(table, times, axis=0).T
    found = hajek(Sums.of(scores, pi), of="process", scale=ends)
    return found if isinstance(found, Estimate) else None


Key = tuple[tuple[int, int, int, int], ...]


def _key(counts: Counts) -> Key:
    return tuple((int(stratum), *cell) for stratum, cell in counts.by_stratum.items())


def _counts(key: Key) -> Counts:
    return Counts({Stratum(stratum): Cell(up, down, silent) for stratum, up, down, silent in key})


# The same counts with the same seed give the same interval: pages of a quiet hour draw it once.
@lru_cache(maxsize=1024)
def _calibrated(key: Key, seed: int) -> Identified:
    return calibrated(_counts(key), seed)


@lru_cache(maxsize=256)
def _line(key: Key, deltas: tuple[float, ...], seed: int) -> tuple[Estimate, ...] | NotIdentified | TooLittle:
    return sensitivity(_counts(key), deltas, seed)


def rates_by_delta(
    counts: Counts, deltas: tuple[float, ...], seed: int
) -> tuple[Estimate, ...] | NotIdentified | TooLittle:
    """The calibrated rate if silent users are satisfied `delta` less than voters alike, for each of `deltas`."""
    return _line(_key(counts), deltas, seed)
