"""What real traffic would have cost: its easiest requests with a cheaper model, its repeated questions from a cache."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from alerts.allowances.definition import decimal_of
from alerts.allowances.repeats import Said, find_repeats
from alerts.allowances.routing import Asked, Rates, Routed, Share, change_of, route
from alerts.read.judges import JudgeNow, read_judges
from alerts.read.what_if import (
    ModelServed,
    Request,
    Scope,
    hours_of,
    models_served,
    read_questions,
    read_requests,
    read_scores,
    sample_ids,
    total_of,
)
from evals.stats.ppi import difference
from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import Sums, hajek
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.cost.periods import days_between, today_in
from traces.prices import load_book
from traces.read.rollups import reading
from traces.rollup.buckets import calendar_of
from traces.rollup.sums import Sums as Spent

DAYS = (7, 14, 28)
PROXIES = {
    "tokens_in": "input tokens",
    "tokens_out": "output tokens",
    "calls": "model calls in the request",
    "turn": "turns of the session so far",
    "searches": "searches in the request",
}
CACHES = ("none", "exact", "near")
KEPT_HOURS = (1, 24, 168)
# With fewer scores of a model nothing is said of its quality.
SCORES_MIN = 20
TEXT_MAX = 300
# Shares that are shown beside the one that is asked for.
OTHERS = (Decimal("0.2"), Decimal("0.4"), Decimal("0.6"), Decimal("0.8"), Decimal(1))


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is asked: the easiest `share` by `difficulty` (a proxy, or "judge/criterion") to `model`, then a cache.

    `low_is_hard`: of scores, that low ones are the hard requests. `quality`: "judge/criterion" to compare models by.
    """

    days: int = 7
    feature: str | None = None
    model: str = ""
    share: Decimal = Decimal("0.6")
    difficulty: str = "tokens_in"
    low_is_hard: bool = False
    quality: str = ""
    cache: str = "exact"
    kept_hours: int = 24


@dataclass(frozen=True, slots=True)
class Quality:
    """Judges' scores of the easy requests: of those that the target answered, and of those that others did.

    `difference`: target less others; None where either has too few.
    """

    name: str
    target: Estimate | TooLittle
    others: Estimate | TooLittle
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class Cached:
    """What a cache of answers would have done. `share` of requests and `money` of the bill, with intervals.

    `n` questions since `since`; `later` turns of sessions are never answered from a cache, nor what is `cut` or empty.
    `missing`: hits whose cost nobody knows, which save nothing here.
    """

    n: int
    hits: int
    since: datetime
    is_complete: bool
    share: Share | None
    money: Share | None
    later: int
    cut: int
    missing: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer. `total`: all requests of the window, exact; None figures: not asked for, or nothing to say."""

    assumed: Assumed
    start: datetime
    end: datetime
    total: Spent
    models: tuple[ModelServed, ...]
    judged: tuple[tuple[str, str], ...]
    routed: Routed | None
    others: tuple[tuple[Decimal, Routed], ...]
    is_complete: bool
    left_out: int
    rates: Rates | None
    rates_from: str
    quality: Quality | None
    cached: Cached | None

    @property
    def day_pico(self) -> Fraction:
        """The bill of a mean day."""
        return Fraction(self.total.cost_pico, self.assumed.days)

    @property
    def routed_change(self) -> float | None:
        """What routing alone would change, as a share of the bill."""
        return None if self.routed is None or self.routed.change is None else self.routed.change.value

    @property
    def change(self) -> float | None:
        """Routing, then the cache over what is left: repeated questions are taken to be routed as the others are."""
        told = [self.routed_change, self.cached.money.value if self.cached and self.cached.money else None]
        if told == [None, None]:
            return None
        return (1 + (told[0] or 0.0)) * (1 + (told[1] or 0.0)) - 1


def read_assumed(told: Mapping[str, str]) -> Assumed:
    """What an address asks for; ItemRefused with all faults. Shares are per cent, as people write them."""
    faults: list[Fault] = []

    def one(name: str, accepted: Sequence[str], default: str) -> str:
        raw = told.get(name, "") or default
        if raw not in accepted:
            faults.append(Fault(name, "is not accepted", f"one of {', '.join(accepted)}", raw[:120]))
            return default
        return raw

    difficulty = told.get("difficulty", "") or "tokens_in"
    if "/" not in difficulty:
        difficulty = one("difficulty", tuple(PROXIES), "tokens_in")
    share = decimal_of(told.get("share", "") or "60")
    if share is None or not 0 <= share <= 100:
        faults.append(Fault("share", "is out of range", "per cent, 0 to 100", told.get("share", "")[:40]))
        share = Decimal(60)
    days = one("days", tuple(map(str, DAYS)), str(DAYS[0]))
    kept = one("kept_hours", tuple(map(str, KEPT_HOURS)), str(KEPT_HOURS[1]))
    cache, hard = one("cache", CACHES, "exact"), one("hard", ("high", "low"), "high")
    texts = {name: told.get(name, "") for name in ("feature", "model", "quality")} | {"difficulty": difficulty}
    for name, text in texts.items():
        if len(text) > TEXT_MAX or any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in text):
            faults.append(Fault(name, "is no name", f"up to {TEXT_MAX} characters of text"))
    if faults:
        raise ItemRefused(*faults)
    return Assumed(
        days=int(days), feature=texts["feature"] or None, model=texts["model"], share=share / 100,
        difficulty=difficulty, low_is_hard=hard == "low", quality=texts["quality"], cache=cache, kept_hours=int(kept),
    )  # fmt: skip


def ask(project: Project, assumed: Assumed) -> WhatIf:
    """What would have come of it. ItemRefused for a model, judge or feature that there is not. TooSlow."""
    calendar, now = calendar_of(project.time_zone), clock.now()
    today = today_in(calendar, now)
    # Whole days: today's would count for a part of one.
    days = days_between(today - timedelta(days=assumed.days), today, calendar)
    scope = Scope(project.pk, days.start, days.end, assumed.feature)
    with reading(project.pk, project.time_zone) as rollups:
        total = total_of(rollups, scope)
        models = models_served(rollups, scope.start, scope.end)
        hours = hours_of(rollups, scope)
    judges = read_judges(project.pk)
    judged = tuple(
        (f"{judge.slug}/{each.key}", f"{judge.name}: {each.title}")
        for judge in judges.values()
        if judge.rubric is not None
        for each in judge.rubric.criteria
        if each.scale.has_numbers
    )
    of_score = _criterion("difficulty", assumed.difficulty, judges) if "/" in assumed.difficulty else None
    of_quality = _criterion("quality", assumed.quality, judges) if assumed.quality else None
    model = assumed.model
    routed = quality = rates = None
    is_complete, left_out, rates_from = True, 0, ""
    others: tuple[tuple[Decimal, Routed], ...] = ()
    if model and total.n:
        rates, rates_from = _rates(project, model, models, now)
        wanted, is_complete, scores = _chosen(scope, hours, of_score)
        found = read_requests(project.pk, wanted, with_turns=assumed.difficulty == "turn")
        usable = [each for each in found if not each.missing]
        left_out = len(found) - len(usable)
        asked = [_asked(each, assumed, model, scores) for each in usable]
        routed = route(asked, rates, float(assumed.share), is_complete=is_complete)
        others = tuple((each, route(asked, rates, float(each), is_complete=is_complete)) for each in OTHERS)
        if of_quality is not None:
            quality = _quality(scope, assumed, of_quality, routed)
    cached = None if assumed.cache == "none" or not total.n else _cached(scope, assumed, total.n)
    return WhatIf(
        assumed, scope.start, scope.end, total, tuple(models), judged, routed, others, is_complete, left_out, rates,
        rates_from, quality, cached,
    )  # fmt: skip


Scored = Mapping[UUID, tuple[float, float | None]]


def _chosen(
    scope: Scope, hours: Sequence[tuple[datetime, datetime, int]], of_score: tuple[JudgeNow, str] | None
) -> tuple[list[UUID], bool, Scored | None]:
    """Which requests are looked at: a sample of all, or those that a judge scored, which are never all."""
    if of_score is None:
        ids, is_complete = sample_ids(scope, hours, seed=int(scope.start.timestamp()))
        return ids, is_complete, None
    scores = {key: told for key, told in read_scores(scope, of_score[0].id, of_score[1]).items() if told[1]}
    return list(scores), False, scores


def _asked(request: Request, assumed: Assumed, model: str, scores: Scored | None) -> Asked:
    moves = [each for each in request.calls if each.model != model]
    pico = sum(each.pico for each in moves)
    score = scores.get(request.trace_id) if scores is not None else None
    return Asked(
        key=request.trace_id,
        difficulty=_difficulty(request, assumed, scores),
        moves_pico=pico,
        moves_tokens=tuple(map(sum, zip(*(each.tokens for each in moves), strict=True))) or (0,) * 8,
        # Whatever else the request paid for: embeddings, calls that the target answers already.
        stays_pico=request.pico - pico,
        cluster=request.session_id or request.trace_id,
        weight=1 / score[1] if score and score[1] else 1.0,
    )


def _difficulty(request: Request, assumed: Assumed, scores: Scored | None) -> float | None:
    if scores is not None:
        held = scores.get(request.trace_id)
        return None if held is None else -held[0] if assumed.low_is_hard else held[0]
    told: dict[str, float] = {
        "tokens_in": request.tokens_in,
        "tokens_out": request.tokens_out,
        "calls": request.calls_n,
        "turn": request.turn,
        "searches": request.searches,
    }
    return told[assumed.difficulty]


def _rates(project: Project, model: str, models: Sequence[ModelServed], now: datetime) -> tuple[Rates, str]:
    """What the target costs a token: as it was paid, and by the price book where it was not used so. ItemRefused."""
    paid = next((each.rates for each in models if each.model == model), (None,) * 8)
    match = load_book(project.pk).match(None, model, None, int(now.timestamp() * 1_000_000))
    listed: Rates = (None,) * 8
    if match is not None:
        listed = tuple(None if rate is None else Fraction(rate) for rate in match.row.rates)
        # Reasoning takes the output rate (docs/cost.md).
        if listed[6] is None:
            listed = (*listed[:6], listed[5], listed[7])
    rates = tuple(first if first is not None else second for first, second in zip(paid, listed, strict=True))
    if all(rate is None for rate in rates):
        raise ItemRefused(
            Fault("model", "has no price", "a model that answered in these days, or of the price book", model)
        )
    both = any(each is not None for each in paid)
    return rates, "as paid in these days" if both else "by the price book"


def _criterion(field: str, named: str, judges: Mapping[str, JudgeNow]) -> tuple[JudgeNow, str]:
    slug, _, key = named.partition("/")
    judge = judges.get(slug)
    criterion = judge.criterion(key) if judge else None
    if judge is None or criterion is None or not criterion.scale.has_numbers:
        raise ItemRefused(Fault(field, "is no judge's criterion with numbers", "judge/criterion", named[:120]))
    return judge, key


def _quality(scope: Scope, assumed: Assumed, of: tuple[JudgeNow, str], routed: Routed) -> Quality:
    """Scores of requests as easy as those that move, by who answered."""
    judge, key = of
    scores = {trace: (y, pi) for trace, (y, pi) in read_scores(scope, judge.id, key).items() if pi}
    is_same = assumed.difficulty == assumed.quality
    found = read_requests(scope.project_id, list(scores), with_turns=assumed.difficulty == "turn") if scores else []
    sides: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for request in found:
        names = {each.model for each in request.calls}
        hard: float | None
        if "/" in assumed.difficulty and not is_same:
            hard = None if request.trace_id not in routed.keys else routed.cut
        else:
            hard = _difficulty(request, assumed, scores if is_same else None)
        if routed.cut is None or hard is None or hard > routed.cut or not names:
            continue
        # A request that both answered tells of neither.
        if len(names) > 1 and assumed.model in names:
            continue
        value, pi = scores[request.trace_id]
        sides[names == {assumed.model}].append((value, pi or 1.0))
    target, others = (_mean(sides[side], judge, key) for side in (True, False))
    told = None
    if isinstance(target, Estimate) and isinstance(others, Estimate) and target.error and others.error:
        told = difference(target, others)
    return Quality(f"{judge.name}: {key}", target, others, told)


def _mean(scores: Sequence[tuple[float, float]], judge: JudgeNow, key: str) -> Estimate | TooLittle:
    if len(scores) < SCORES_MIN:
        return TooLittle(len(scores), SCORES_MIN, "scores")
    values, chances = zip(*scores, strict=True)
    criterion = judge.criterion(key)
    scale = None if criterion is None else (float(criterion.scale.low), float(criterion.scale.high))
    return hajek(Sums.of(values, chances), of="process", scale=scale)


def _cached(scope: Scope, assumed: Assumed, n: int) -> Cached:
    questions = read_questions(scope)
    said = [Said(each.at, each.text if each.is_first else "", each.feature) for each in questions]
    hits = find_repeats(said, timedelta(hours=assumed.kept_hours), near=assumed.cache == "near")
    is_complete = len(questions) >= n
    rows: list[tuple[int, int, Hashable, float]] = []
    money: list[tuple[int, int, Hashable, float]] = []
    for at, (each, hit) in enumerate(zip(questions, hits, strict=True)):
        # A question and its repeats stand or fall together.
        cluster = at if hit is None else hit
        rows.append((1, 0 if hit is None else -1, cluster, 1.0))
        if each.pico is not None:
            money.append((each.pico, 0 if hit is None else -each.pico, cluster, 1.0))
    pairs = [(each, questions[hit]) for each, hit in zip(questions, hits, strict=True) if hit is not None]
    different = [(each.text, first.text) for each, first in pairs if each.text != first.text]
    shown = list(dict.fromkeys(different or [(each.text, first.text) for each, first in pairs]))
    return Cached(
        n=len(questions),
        hits=len(pairs),
        since=questions[0].at if questions else scope.start,
        is_complete=is_complete,
        share=_positive(change_of(rows, is_complete)),
        money=change_of(money, is_complete),
        later=sum(not each.is_first for each in questions),
        cut=sum(each.is_cut or not each.text for each in questions if each.is_first),
        missing=sum(each.pico is None for each, _ in pairs),
        examples=tuple(shown[:5]),
    )


def _positive(share: Share | None) -> Share | None:
    """A loss as a gain."""
    if share is None:
        return None
    return Share(-share.value, None if share.high is None else -share.high, None if share.low is None else -share.low)
