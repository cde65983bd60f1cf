"""The pictures of the cost page: spend against its forecast, what the money buys, why it changed, cost by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from telltale.lib import charts
from telltale.lib import format as fmt
from telltale.lib.charts import Figure, Line, Path, Picture, Row, Spot, Stack, Text
from traces.canonical.types import BUCKETS
from traces.cost.decompose import Change, Part
from traces.cost.periods import Period
from traces.cost_view import (
    Links,
    change_headline,
    day_words,
    days_words,
    forecast_words,
    money,
    name_of,
    part_views,
    usd,
)
from traces.read.cost_values import Bill, CostPage, DayBill, MonthForecast
from traces.read.money import CostState
from traces.rollup.buckets import Calendar, time_of
from traces.rollup.sums import Sums

PICO = 1e12
# Parts of a bill: word, buckets, colour of the bar, of the swatch. Soft colours, since text lies on them.
PARTS = (
    ("Fresh input", ("input_fresh",), "f1s", "s1s"),
    ("Cached input", ("input_cache_read",), "f6s", "s6s"),
    ("Cache writes", ("input_cache_write_5m", "input_cache_write_1h"), "f3s", "s3s"),
    ("Output", ("output_text",), "f2s", "s2s"),
    ("Reasoning", ("output_reasoning",), "f4s", "s4s"),
    ("Audio", ("input_audio", "output_audio"), "f5s", "s5s"),
)
# Words short enough to stand under a step.
STEP_WORDS = {
    Part.VOLUME: "Volume", Part.MIX: "Mix", Part.PRICE: "Price", Part.INPUT: "Input", Part.OUTPUT: "Output",
    Part.CACHE: "Cache", Part.HOURLY: "Hours", Part.NEWLY_PRICED: "Priced", Part.JUDGING: "Judging",
}  # fmt: skip
_BAR_WIDTH, _LETTER = 505, 6.6


def spend(month: MonthForecast, calendar: Calendar, links: Links) -> Figure | None:
    """The month's cumulated cost against its forecast and the month before; None where nothing has a price."""
    if month.spent.pico is None and month.spent.state is not CostState.NONE:
        return None
    days, found = month.days, month.forecast
    length = _month_days(month.month)
    xs, ys, total = [0.0], [0.0], 0.0
    for at, day in enumerate(days):
        total += day.usd or 0.0
        xs.append(at + month.today_share if at + 1 == len(days) else at + 1.0)
        ys.append(total)
    lines = []
    if any(day.usd for day in month.previous):
        before_xs, before_ys, sum_before = [0.0], [0.0], 0.0
        for at, day in enumerate(month.previous[:length]):
            sum_before += day.usd or 0.0
            before_xs.append(at + 1.0)
            before_ys.append(sum_before)
        lines.append(Line(before_xs, before_ys, css="c-prev"))
    rows = []
    is_ahead = bool(found.ahead)
    if is_ahead and found.usd is not None:
        ahead_xs = [xs[-1], *(float((point.day - month.month).days + 1) for point in found.ahead)]
        lines.append(
            Line(
                ahead_xs,
                [total, *(point.usd for point in found.ahead)],
                low=[total, *(point.low_usd for point in found.ahead)],
                high=[total, *(point.high_usd for point in found.ahead)],
                is_dashed=True,
                end=fmt.about_cost(fmt.decimal_of(round(found.usd, 6))).removeprefix("about "),
                end_note="forecast",
                end_css="t-1",
            )
        )
    lines.append(
        Line(
            xs,
            ys,
            has_dot=True,
            end="" if is_ahead else fmt.cost(_usd(total)),
            end_css="t-1",
        )
    )
    spots = []
    running = 0.0
    for at, day in enumerate(days):
        running += day.usd or 0.0
        start, end = (time_of(calendar.day_start(day.day + timedelta(days=more))) for more in (0, 1))
        href = links.requests(start, end)
        title = f"{day_words(day.day)}: {fmt.cost(_usd(day.usd or 0.0))}, {fmt.cost(_usd(running))} since the first"
        spots.append(Spot(float(at), at + 1.0, href, title))
        rows.append(Row((day_words(day.day), fmt.cost(_usd(day.usd or 0.0)), fmt.cost(_usd(running)), ""), href))
    for point in found.ahead[1:] if is_ahead else ():
        low, high = fmt.cost(_usd(point.low_usd)), fmt.cost(_usd(point.high_usd))
        rows.append(Row((day_words(point.day), "", f"about {fmt.cost(_usd(point.usd))}", f"{low}{fmt.EN_DASH}{high}")))
    ticks = [(0.0, _short(month.month))]
    ticks += [(float(at), _short(month.month + timedelta(days=at))) for at in (9, 19)]
    ticks.append((float(length), _short(month.month + timedelta(days=length - 1))))
    picture = charts.line_picture(
        lines, ticks, charts.USD, x_range=(0.0, float(length)), size=charts.HALF, right=72.0, spots=spots
    )
    spent = money(month.spent)
    finding = f"{spent[0].upper()}{spent[1:]} spent in {month.month:%B} so far"
    if month.spent.pico is None:
        finding = f"Nothing spent in {month.month:%B} so far"
    words = forecast_words(month)
    grey = f" Dotted: {month.previous[0].day:%B}." if len(lines) > (2 if is_ahead else 1) else ""
    return Figure(
        finding,
        f"{words}.{grey}" if not words.endswith(".") else f"{words}{grey}",
        f"Cost since {_short(month.month)}, cumulated. {finding}. {words}",
        picture,
        ("Day", "Cost", "Since the first", "80% interval"),
        tuple(rows),
        is_fit=True,
    )


def buys(total: Sums) -> Figure | None:
    """Tokens and cost by what they were for; None where no tokens were told."""
    tokens = {name: getattr(total, name) for name in BUCKETS}
    costs = {name: getattr(total, f"cost_{name}") for name in BUCKETS}
    kinds = [
        (word, sum(tokens[b] for b in buckets), sum(costs[b] for b in buckets), css, swatch)
        for word, buckets, css, swatch in PARTS
    ]
    by_hour = total.cost_by_the_hour
    kinds = [kind for kind in kinds if kind[1] or kind[2]]
    if by_hour:
        kinds.append(("By the hour", 0, by_hour, "fline", "sline"))
    all_tokens, all_cost = sum(kind[1] for kind in kinds), sum(kind[2] for kind in kinds)
    if not all_tokens:
        return None
    picture = Picture(545, 140 if all_cost else 68)
    picture = _bar(picture, 8.0, "Tokens", fmt.count(all_tokens), [(k[0], k[1], _count(k[1]), k[3]) for k in kinds])
    largest = max(kinds, key=lambda kind: (kind[2], kind[1]))
    finding = f"{largest[0]} is {fmt.share(largest[1] / all_tokens)} of tokens"
    if all_cost:
        costs_shown = [(word, pico, fmt.cost(usd(pico)), css) for word, _, pico, css, _ in kinds]
        picture = _bar(picture, 80.0, "Cost", fmt.cost(usd(all_cost)), costs_shown)
        finding += f" and {fmt.share(largest[2] / all_cost)} of cost"
    rows = tuple(
        Row(
            (
                word,
                f"{n:,}" if n else "none",
                fmt.share(n / all_tokens),
                *((fmt.cost(usd(pico)), fmt.share(pico / all_cost), _rate(pico, n)) if all_cost else ()),
            )
        )
        for word, n, pico, _, _ in kinds
    )
    return Figure(
        finding,
        "Tokens and what they cost, by what they were for" if all_cost else "No token has a known cost",
        f"What the money buys. {finding}.",
        picture,
        ("Part", "Tokens", "Of tokens", *(("Cost", "Of cost", "A million tokens") if all_cost else ())),
        rows,
        tuple((swatch, f"{word}, {fmt.cost(usd(pico))}" if all_cost else word) for word, _, pico, _, swatch in kinds),
        is_fit=True,
    )


def change(found: Change, period: Period) -> Figure:
    """The waterfall from the bill before to the bill now."""
    steps = [
        (
            STEP_WORDS[part.part],
            part.pico / PICO,
            "f2" if part.pico > 0 else "f3" if part.pico < 0 else "fline",
        )
        for part in found.parts
    ]
    finding = change_headline(found, period)
    days = f"{days_words(period.whole)} against {days_words(period.before)}" if period.whole and period.before else ""
    rows = [Row(("Before", fmt.cost_exact(found.before_pico)))]
    rows += [
        Row((view.label, fmt.cost_exact(part.pico))) for view, part in zip(part_views(found), found.parts, strict=True)
    ]
    rows.append(Row(("Now", fmt.cost_exact(found.now_pico))))
    return Figure(
        finding,
        f"{days}, days that are over",
        f"From {fmt.cost(usd(found.before_pico))} to {fmt.cost(usd(found.now_pico))}: "
        + ", ".join(f"{view.label.lower()} {view.amount}" for view in part_views(found)),
        charts.step_picture(("Before", found.before_pico / PICO), steps, "Now", charts.USD),
        ("Step", "Cost"),
        tuple(rows),
        is_fit=True,
    )


def over_time(page: CostPage, links: Links, calendar: Calendar) -> Figure | None:
    """Cost by day (or week, or month) in stacks of the breakdown; None where nothing cost anything."""
    bill, breakdown = page.bill, page.breakdown
    if breakdown is None or not breakdown.lines:
        return _by_day(bill, links)
    spans = list(pairwise(breakdown.edges))
    unit = "day" if len(spans) == bill.period.days.n else "week" if len(spans) > 14 else "month"
    lines = [line for line in breakdown.lines if line.sums.cost_pico]
    if not lines:
        return None
    stacks = charts.merge_rest(
        [Stack(name_of(line, breakdown.by), [pico / PICO for pico in line.by_point]) for line in lines]
    )
    totals = [sum(line.by_point[at] for line in lines) for at in range(len(spans))]
    starts = [start.astimezone(calendar.zone).date() for start, _ in spans]
    words = [day_words(start) if unit == "day" else f"{unit} of {_short(start)}" for start in starts]
    hrefs = [links.requests(start, end) for start, end in spans]
    spots = [(href, f"{word}: {fmt.cost(usd(pico))}") for href, word, pico in zip(hrefs, words, totals, strict=True)]
    rows = [
        Row((word, fmt.cost(usd(total)), *(fmt.cost(_usd(stack.values[at] or 0.0)) for stack in stacks)), href)
        for at, (word, total, href) in enumerate(zip(words, totals, hrefs, strict=True))
    ]
    shown = charts.spread(len(spans), 12)
    label = {"model": "model", "prompt": "prompt version"}.get(breakdown.by, breakdown.by)
    return Figure(
        _dearest(words, totals, unit),
        f"Cost per {unit} by {label}, USD{_so_far(bill.period)}",
        f"Cost per {unit} by {label}, {days_words(bill.period.days)}. {_dearest(words, totals, unit)}.",
        charts.bar_picture(
            stacks, [_short(start) if at in shown else "" for at, start in enumerate(starts)], charts.USD, spots=spots
        ),
        ("Day" if unit == "day" else "From", "Cost", *(stack.word for stack in stacks)),
        tuple(rows),
        tuple((stack.css.replace("f", "s", 1), stack.word) for stack in stacks),
    )


def _by_day(bill: Bill, links: Links) -> Figure | None:
    days: Sequence[DayBill] = bill.days
    totals = [day.sums.cost_pico for day in days]
    if not any(totals):
        return None
    words = [day_words(day.day) for day in days]
    hrefs = [links.requests(day.start, day.end) for day in days]
    spots = [(href, f"{word}: {fmt.cost(usd(pico))}") for href, word, pico in zip(hrefs, words, totals, strict=True)]
    shown = charts.spread(len(days), 12)
    return Figure(
        _dearest(words, totals, "day"),
        f"Cost per day, USD{_so_far(bill.period)}",
        f"Cost per day, {days_words(bill.period.days)}. {_dearest(words, totals, 'day')}.",
        charts.bar_picture(
            [Stack("Cost", [pico / PICO for pico in totals])],
            [_short(day.day) if at in shown else "" for at, day in enumerate(days)],
            charts.USD,
            spots=spots,
        ),
        ("Day", "Cost"),
        tuple(Row((word, fmt.cost(usd(pico))), href) for word, pico, href in zip(words, totals, hrefs, strict=True)),
    )


def _dearest(words: Sequence[str], totals: Sequence[int], unit: str) -> str:
    most = max(range(len(totals)), key=lambda at: totals[at])
    return f"The dearest {unit} was {words[most].removeprefix(unit + ' of ')}, {fmt.cost(usd(totals[most]))}"


def _so_far(period: Period) -> str:
    return f". {day_words(period.today)} is so far" if period.has_today else ""


def _bar(
    picture: Picture, top: float, label: str, sum_text: str, parts: Sequence[tuple[str, int, str, str]]
) -> Picture:
    """One bar of parts across the picture, each with its name and amount where they fit."""
    left, width, height = 20.0, float(_BAR_WIDTH), 28.0
    total = sum(max(value, 0) for _, value, _, _ in parts)
    paths, x = [], left
    texts = [Text(left, top + 10, label, "t-m"), Text(left + width, top + 10, sum_text, "", "end")]
    for word, value, amount, css in parts:
        share = width * max(value, 0) / total if total else 0.0
        if not share:
            continue
        shown = max(share - 2, 1.0)
        paths.append(Path(f"M{x:.1f} {top + 18:g}h{shown:.1f}v{height:g}h-{shown:.1f}z", css))
        for text in (f"{word} {amount}", word):
            if len(text) * _LETTER + 12 <= shown:
                texts.append(Text(round(x + 8, 1), top + 36, text, "t-ink"))
                break
        x += share
    return replace(picture, paths=(*picture.paths, *paths), texts=(*picture.texts, *texts))


def _rate(pico: int, tokens: int) -> str:
    return fmt.cost(usd(pico) * 1_000_000 / tokens) if tokens else "none"


def _count(value: int) -> str:
    return fmt.count(value, short=True)


def _usd(value: float) -> Decimal:
    return fmt.decimal_of(round(value, 12))


def _short(day: date) -> str:
    return f"{day.day} {day:%b}"


def _month_days(month: date) -> int:
    return ((month + timedelta(days=32)).replace(day=1) - month).days
