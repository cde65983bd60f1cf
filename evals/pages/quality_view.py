"""What the quality page says: headline, a card for each judge and criterion, lines of the breakdown, addresses.

A judge's own mean is called uncorrected wherever it stands. A figure never stands without its interval and its n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from evals.read.calibration import Badge
from evals.read.estimates import FLAG, UNORDERED, Coverage, Estimates, JudgeName, Key, LevelShare, Of, Row, Where
from evals.rubrics.kinds import POINTS
from evals.stats.ppi import Corrected
from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import DESIGN_EFFECT_SAID, NONRESPONSE_FLAG
from telltale.lib import format as fmt
from telltale.projects.models import Project

BADGES = {"proven": "ok", "failed": "bad", "stale": "watch", "not_proven": "watch", "none": ""}
BADGE_WORDS = {
    "proven": "proven",
    "failed": "failed the gate",
    "stale": "calibration stale",
    "not_proven": "not proven",
    "none": "not proven",
}
REASONS_SHOWN, LEVELS_SHOWN = 3, 6
STRIP = 240.0


@dataclass(frozen=True, slots=True)
class Strip:
    """An interval on its scale, as x positions of a strip of `STRIP` units: band, mark, and the judge's own mark."""

    low: float
    width: float
    mark: float
    judge: float | None
    ends: tuple[str, str]
    sentence: str


@dataclass(frozen=True, slots=True)
class Card:
    """One criterion of one judge version."""

    anchor: str
    title: str
    definition: str
    badge: str
    badge_css: str
    badge_words: str
    badge_href: str
    reason: str  # why the badge is none of a proven judge
    value: str  # the corrected quality, else "" and the uncorrected one stands in front
    interval: str
    standing: str  # what it rests on
    judge_value: str
    judge_interval: str
    too_little: str
    reviews_note: str
    strip: Strip | None
    n: str
    href: str
    n_eff: str
    traffic: str
    unequal: str
    bias: str
    levels: tuple[tuple[str, str], ...]
    is_flag: bool
    flag_href: str
    chart_href: str


@dataclass(frozen=True, slots=True)
class JudgeView:
    """One judge version with its cards, and how much of the traffic it saw."""

    name: str
    href: str
    runs_href: str
    version: str
    is_live: bool
    by: str
    cards: tuple[Card, ...]
    covered: str
    nonresponse: str
    is_flagged: bool
    pending: str
    uncovered: str


@dataclass(frozen=True, slots=True)
class Line:
    """One group of the breakdown."""

    name: str
    narrow: str
    href: str
    n: str
    traffic: str
    judge: str
    judge_interval: str
    corrected: str
    corrected_interval: str
    reviews: str
    unequal: str


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of the traces behind a figure."""

    project: Project
    zone: ZoneInfo
    where: Where

    @property
    def base(self) -> str:
        """The address of the project."""
        return f"/p/{self.project.slug}/"

    @property
    def of_all(self) -> str:
        """What is said of counts that know no parts of the traffic, on a page about a part of it."""
        where = (self.where.feature, self.where.model, self.where.prompt_version)
        return " of all its traffic" if any(each is not None for each in where) else ""

    def traces(self, of: Of, start: datetime, end: datetime, by: str = "", key: Key = None) -> str:
        """The traces that the judge version scored, of the part of the traffic the page is about."""
        dims = {name: getattr(self.where, name) for name in ("feature", "model", "prompt_version")}
        if by in dims and key is not None:
            dims[by] = str(key)
        if isinstance(key, date):
            first, last = span_of(key, self.zone, 7 if by == "week" else 1)
            start, end = max(start, first), min(end, last)
        pairs = [("counted", criterion_key(of))]
        for name, value in dims.items():
            if value:
                pairs.append((f"judged.{name}", value))
            elif value == "":
                pairs.append((f"judged.{name}.missing", "yes"))
        pairs += [("from", _iso(start)), ("to", _iso(end))]
        return f"{self.base}traces/?{urlencode(pairs)}"

    def flagged(self, of: Of, start: datetime, end: datetime) -> str:
        """The traces that the judge flagged."""
        pairs = [("flagged", of.judge_slug), ("from", _iso(start)), ("to", _iso(end))]
        return f"{self.base}traces/?{urlencode(pairs)}"

    def judge(self, slug: str, version: int | None = None) -> str:
        """The judge's own page."""
        return f"{self.base}judges/{slug}/" + (f"?v={version}" if version is not None else "")

    def calibration(self, of: Of) -> str:
        """Where the judge version is set against people."""
        query = urlencode([("v", of.version), ("criterion", of.name)])
        return f"{self.base}judges/{of.judge_slug}/calibration/?{query}"


def span_of(key: date, zone: ZoneInfo, days: int = 1) -> tuple[datetime, datetime]:
    """What a point in time stands for: the hour that begins then, or the hours (of UTC) that begin in its days."""
    if isinstance(key, datetime):
        return key, key + timedelta(hours=1)
    start, end = (datetime.combine(key + timedelta(days=add), time(), zone).astimezone(UTC) for add in (0, days))
    return _next_hour(start), _next_hour(end)


def _next_hour(at: datetime) -> datetime:
    whole = at.replace(minute=0, second=0, microsecond=0)
    return whole if whole == at else whole + timedelta(hours=1)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def figure_words(of: Of, value: float | None) -> str:
    """A value of a criterion: "3.62", or "87%"."""
    if value is None:
        return fmt.UNKNOWN
    return fmt.share(value) if of.is_share else f"{value:.2f}"


def with_scale(of: Of, value: float | None) -> str:
    """The same with its scale: "3.62 of 5"."""
    scale = of.scale
    of_most = f" of {scale.high}" if scale is not None and scale.kind == POINTS and value is not None else ""
    return figure_words(of, value) + of_most


def interval_words(of: Of, found: Estimate) -> str:
    """ "95% CI 3.51 to 3.73", or that there is none since all was judged."""
    if found.low is None or found.high is None:
        return "no interval"
    if found.low == found.high:
        return "every target was judged"
    low, high = figure_words(of, found.low), figure_words(of, found.high)
    return f"{found.level:.0%} CI {low} to {high}"


def lacking_words(found: TooLittle) -> str:
    """ "Too little data: 12 of 20 scores, 8 more are needed"."""
    if found.what == UNORDERED:
        return "No mean: its labels have no order"
    return f"Too little data: {found.have:,} of {found.need:,} {found.what}, {_more(found)}"


def _more(found: TooLittle) -> str:
    missing = found.need - found.have
    return f"{missing:,} more {'is' if missing == 1 else 'are'} needed"


def unequal_words(row: Row) -> str:
    """What is said where scores weigh so unequally that many are worth few; else ""."""
    if row.n < 2 or row.design_effect <= DESIGN_EFFECT_SAID:
        return ""
    return (
        f"Weights are very unequal: {row.n:,} scores tell as much as {row.n_eff:,.0f} equally drawn ones would"
        f" (design effect {row.design_effect:.1f})"
    )


def primary(rows: Sequence[Row]) -> Row | None:
    """The row that the headline is about: corrected by most reviews, else with most scores; live versions alone."""
    live = [row for row in rows if row.of.is_live and row.of.name != FLAG]
    shown = [row for row in live or rows if isinstance(row.raw, Estimate) and row.of.name != FLAG]
    if not shown:
        return None
    return max(shown, key=lambda row: (isinstance(row.corrected, Corrected), row.reviews, not row.of.is_share, row.n))


def headline(found: Estimates, is_judged: bool) -> str:
    """How good the answers are, and how sure that is."""
    row = primary(found.rows)
    if row is None or not isinstance(row.raw, Estimate):
        if found.rows or is_judged:
            return "Too little data to say how good the answers are"
        return "Nothing was judged in this window"
    title = row.of.title
    if isinstance(row.corrected, Corrected):
        best = row.corrected.estimate
        sure = "" if best.low is None else f", {figure_words(row.of, best.low)} to {figure_words(row.of, best.high)}"
        if row.of.is_share:
            return f"As people see it, {title} holds for {figure_words(row.of, best.value)} of answers{sure}"
        return f"As people see it, answers score {with_scale(row.of, best.value)} for {title}{sure}"
    said = with_scale(row.of, row.raw.value)
    what = f"holds for {said} of answers" if row.of.is_share else f"is {said}"
    return f"Uncorrected, {title} {what}: too few reviews to say how far to trust the judge"


def judge_views(
    found: Estimates, links: Links, levels: dict[tuple[int, str], tuple[LevelShare, ...]], choose: str
) -> list[JudgeView]:
    """The judges with what they found; those that were to judge and have no score come too.

    `choose` is the address that changes what the breakdown is about, with {} for the criterion.
    """
    views, seen = [], set()
    versions: dict[int, list[Row]] = {}
    for row in found.rows:
        versions.setdefault(row.of.version_id, []).append(row)
    for rows in versions.values():
        of = rows[0].of
        coverage = found.coverage.get(of.judge_id) if of.judge_id not in seen else None
        seen.add(of.judge_id)
        cards = tuple(_card(row, found, links, levels, choose) for row in rows)
        by = ", ".join(part for part in (of.model, f"rubric {of.rubric_name} v{of.rubric_version}") if part)
        views.append(_judge(of.judge_slug, of.judge_name, f"v{of.version}", of.is_live, by, cards, coverage, links))
    for judge in found.judges:
        if judge.id not in seen and (judge.id in found.coverage or judge.is_live):
            views.append(_silent(judge, found.coverage.get(judge.id), links))
    return views


def _silent(judge: JudgeName, coverage: Coverage | None, links: Links) -> JudgeView:
    return _judge(judge.slug, judge.name, "", judge.is_live, "", (), coverage, links)


def _judge(
    slug: str,
    name: str,
    version: str,
    is_live: bool,
    by: str,
    cards: tuple[Card, ...],
    coverage: Coverage | None,
    links: Links,
) -> JudgeView:
    covered, nonresponse, pending, uncovered = "", "", "", ""
    if coverage is not None:
        if coverage.covered:
            covered = f"Drew {coverage.taken:,} of {coverage.covered:,} traces ({fmt.share(coverage.share)})"
        if coverage.nonresponse is not None:
            missing = coverage.ended - coverage.states.get("scored", 0)
            why = ", ".join(f"{n:,} {reason or state}" for state, reason, n in coverage.reasons[:REASONS_SHOWN])
            nonresponse = (
                f"{missing:,} of {coverage.ended:,} judgements{links.of_all} ended without a score"
                f" ({fmt.share(coverage.nonresponse)})" + (f": {why.replace('_', ' ')}" if why else "")
            )
        waiting = coverage.states.get("pending", 0) + coverage.states.get("running", 0)
        pending = f"{waiting:,}{links.of_all} still wait" if waiting else ""
        if coverage.uncovered:
            uncovered = f"{coverage.uncovered:,} traces had no chance of being judged: no figure speaks of them"
    return JudgeView(
        name=name,
        href=links.judge(slug),
        runs_href=f"{links.judge(slug)}runs/",
        version=version,
        is_live=is_live,
        by=by,
        cards=cards,
        covered=covered,
        nonresponse=nonresponse,
        is_flagged=coverage is not None and coverage.is_flagged,
        pending=pending,
        uncovered=uncovered,
    )


def _card(
    row: Row, found: Estimates, links: Links, levels: dict[tuple[int, str], tuple[LevelShare, ...]], choose: str
) -> Card:
    of, raw, corrected = row.of, row.raw, row.corrected
    is_known, is_corrected = isinstance(raw, Estimate), isinstance(corrected, Corrected)
    best = corrected.estimate if isinstance(corrected, Corrected) else raw
    own = levels.get((of.version_id, of.name), ())
    return Card(
        anchor=f"c-{of.version_id}-{of.name}",
        title=of.title,
        definition=of.criterion.definition if of.criterion is not None else "",
        badge="" if of.name == FLAG else BADGE_WORDS[row.badge.state],
        badge_css=BADGES[row.badge.state],
        badge_words=_badge_words(row.badge),
        badge_href=links.calibration(of),
        reason="" if of.name == FLAG or row.badge.state == "proven" else _badge_words(row.badge),
        value=with_scale(of, corrected.estimate.value) if isinstance(corrected, Corrected) else "",
        interval=interval_words(of, corrected.estimate) if isinstance(corrected, Corrected) else "",
        standing=_standing(corrected) if isinstance(corrected, Corrected) else "",
        judge_value=with_scale(of, raw.value) if isinstance(raw, Estimate) else "",
        judge_interval=interval_words(of, raw) if isinstance(raw, Estimate) else "",
        too_little="" if isinstance(raw, Estimate) or own else lacking_words(raw),
        reviews_note=_reviews_note(of, corrected),
        strip=_strip(of, best, raw if is_corrected else None) if is_known and isinstance(best, Estimate) else None,
        n=f"{row.n:,}",
        href=links.traces(of, found.start, found.end),
        n_eff=f"{row.n_eff:,.0f}",
        traffic=f"{row.coverage:,.0f}",
        unequal=unequal_words(row),
        bias=_bias(of, corrected) if isinstance(corrected, Corrected) else "",
        levels=tuple((level.level, fmt.share(level.share)) for level in own[:LEVELS_SHOWN]),
        is_flag=of.name == FLAG,
        flag_href=links.flagged(of, found.start, found.end) if of.name == FLAG else "",
        chart_href="" if of.name == FLAG else choose.format(urlencode({"of": criterion_key(of)})),
    )


def criterion_key(of: Of) -> str:
    """How an address names a criterion of a judge version."""
    return f"{of.judge_slug}@{of.version}/{of.name}"


def _badge_words(badge: Badge) -> str:
    return badge.words[:1].upper() + badge.words[1:]


def _standing(corrected: Corrected) -> str:
    n = corrected.estimate.n
    worth = max(round(corrected.effective_reviews), n)
    judge = f", worth {worth:,} with the judge's help" if worth > n else ""
    return f"corrected by {n:,} reviews{judge}"


def _reviews_note(of: Of, corrected: Corrected | TooLittle) -> str:
    if isinstance(corrected, Corrected) or of.name == FLAG:
        return ""
    if corrected.what != "reviews":
        return ""
    return f"Not corrected: {corrected.have:,} of {corrected.need:,} drawn reviews, {_more(corrected)}"


def _bias(of: Of, corrected: Corrected) -> str:
    points = corrected.bias * 100 if of.is_share else corrected.bias
    unit = " points of a percent" if of.is_share else ""
    if abs(points) < (0.5 if of.is_share else 0.005):
        return "the judge is right on average"
    word = "too much" if points > 0 else "too little"
    return f"the judge gives {abs(points):.{0 if of.is_share else 2}f}{unit} {word}"


def _strip(of: Of, best: Estimate, judge: Estimate | TooLittle | None) -> Strip | None:
    scale = of.scale
    low, high = (0.0, 1.0) if of.is_share else (None, None)
    if not of.is_share and scale is not None:
        low, high = float(scale.low), float(scale.high)
    if low is None or high is None or best.low is None or best.high is None:
        return None

    def x(value: float) -> float:
        return round((min(max(value, low), high) - low) / (high - low) * STRIP, 1)

    ends = ("0%", "100%") if of.is_share else (f"{low:g}", f"{high:g}")
    mark = x(judge.value) if isinstance(judge, Estimate) else None
    width = max(x(best.high) - x(best.low), 2.0)
    sentence = (
        f"{of.title}: {with_scale(of, best.value)}, {interval_words(of, best)}, on a scale from {ends[0]} to {ends[1]}"
    )
    return Strip(min(x(best.low), STRIP - width), width, x(best.value), mark, ends, sentence)


def lines(rows: Sequence[Row], found: Estimates, links: Links, by: str, narrow: str) -> list[Line]:
    """The rows of the breakdown, those that speak for most traffic first."""
    ordered = sorted(rows, key=lambda row: -row.coverage)
    return [_line(row, found, links, by, narrow) for row in ordered]


def _line(row: Row, found: Estimates, links: Links, by: str, narrow: str) -> Line:
    raw, corrected = row.raw, row.corrected
    value = str(row.key or "")
    change = {by: value} if value else {f"{by}.missing": "yes"}
    return Line(
        name=value or fmt.UNKNOWN,
        narrow=narrow.format(urlencode(change)),
        href=links.traces(row.of, found.start, found.end, by, value),
        n=f"{row.n:,}",
        traffic=f"{row.coverage:,.0f}",
        judge=figure_words(row.of, raw.value) if isinstance(raw, Estimate) else "too little data",
        judge_interval=_short_interval(row.of, raw),
        corrected=figure_words(row.of, corrected.estimate.value) if isinstance(corrected, Corrected) else "",
        corrected_interval=_short_interval(
            row.of, corrected.estimate if isinstance(corrected, Corrected) else corrected
        ),
        reviews=f"{row.reviews:,}",
        unequal=unequal_words(row),
    )


def _short_interval(of: Of, found: Estimate | TooLittle) -> str:
    if isinstance(found, TooLittle):
        return "no order" if found.what == UNORDERED else f"{found.have:,} of {found.need:,} {found.what}"
    if found.low is None or found.high is None:
        return ""
    if found.low == found.high:
        return "all judged"
    return f"{figure_words(of, found.low)} to {figure_words(of, found.high)}"


NONRESPONSE_WORDS = fmt.share(NONRESPONSE_FLAG)
