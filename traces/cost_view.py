"""The cost page in words: a bill as sentence, figures and rows, each with the traces behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from urllib.parse import urlencode

from telltale.lib import format as fmt
from traces.canonical.types import MODEL_KINDS
from traces.cost.decompose import Change, Part, PartOfChange
from traces.cost.judging import JUDGE_SERVICE
from traces.cost.periods import Days, Period, month_of
from traces.read.cost_values import Bill, Breakdown, CostPage, DayBill, Line, MonthForecast, counted, money_of
from traces.read.money import CostState, CostSum
from traces.rollup.sums import OTHER, Sums

PICO = Decimal(10) ** 12
_BEFORE = {CostState.AT_LEAST: "at least ", CostState.AT_MOST: "at most ", CostState.ESTIMATE: "about "}
_INSTEAD = {CostState.NONE: "none", CostState.UNPRICED: "unpriced", CostState.UNKNOWN_USAGE: "usage unknown"}
LABELS = {
    "model": "Model", "feature": "Feature", "provider": "Provider", "user": "User", "session": "Session",
    "prompt": "Prompt version", "environment": "Environment", "service": "Service", "release": "Release", "day": "Day",
}  # fmt: skip
# How a breakdown's values are spelt in the address of the list of traces.
_FIELDS = {"prompt": ("prompt", "prompt_version")}


@dataclass(frozen=True, slots=True)
class Stat:
    """One figure: label, value, unit, and what it stands beside."""

    label: str
    value: str
    unit: str
    note: str


@dataclass(frozen=True, slots=True)
class RowView:
    """One row of a breakdown. `href` opens its traces, "" where no filter names them; `width` is its share, 0..100;
    `swatch` the class of its colour in the chart, "" for none."""

    name: str
    detail: str
    swatch: str
    href: str
    n: str
    fresh: str
    cached: str
    cached_share: str
    out: str
    each: str
    cost: str
    width: float
    share: str
    against: str
    before: str


@dataclass(frozen=True, slots=True)
class PartView:
    """One part of a change in a plain sentence, and the models that made most of it with their parts."""

    label: str
    amount: str
    sentence: str
    models: tuple[tuple[str, str], ...]


class Links:
    """Addresses of the traces behind figures: requests by the list's own fields, calls by `call.*`."""

    def __init__(self, base: str) -> None:
        self._base = base

    def requests(self, start: datetime, end: datetime, terms: Iterable[tuple[str, str | None]] = ()) -> str:
        """The traces that began in [start, end); None is "unknown"."""
        return self._address([("from", fmt.iso(start)), ("to", fmt.iso(end))], terms)

    def calls(self, start: datetime, end: datetime, line: Line, by: str) -> str:
        """The traces with calls of this row that began in [start, end)."""
        kinds = MODEL_KINDS if line.kind is None else {line.kind}
        pairs = [("call.from", fmt.iso(start)), ("call.to", fmt.iso(end))]
        pairs += [("call.kind", kind.name.lower()) for kind in sorted(kinds)]
        value = line.key[0]
        return self._address(pairs, [(f"call.{by}", None if value is None else str(value))])

    def row(self, line: Line, breakdown: Breakdown, start: datetime, end: datetime) -> str:
        """What a row of a breakdown counts; "" for what was folded together."""
        if OTHER in line.key:
            return ""
        if breakdown.is_of_calls:
            return self.calls(start, end, line, breakdown.by)
        names = _FIELDS.get(breakdown.by, (breakdown.by,))
        terms = zip(names, (None if value is None else str(value) for value in line.key), strict=True)
        return self.requests(start, end, terms)

    def _address(self, pairs: list[tuple[str, str]], terms: Iterable[tuple[str, str | None]]) -> str:
        pairs = [*pairs, *((f"{key}.missing", "yes") if value is None else (key, value) for key, value in terms)]
        return f"{self._base}?{urlencode(pairs)}"


def usd(pico: int | float) -> Decimal:
    """Pico-dollars as dollars, for formats."""
    return Decimal(pico) / PICO if isinstance(pico, int) else Decimal(str(pico)) / PICO


def money(cost: CostSum) -> str:
    """A sum with what it may claim: "at least $7,260", or the word instead of an amount."""
    return _INSTEAD.get(cost.state) or _BEFORE.get(cost.state, "") + fmt.cost(cost.usd)


def signed(pico: int) -> str:
    """A difference: "+$12.40", "−$204", "no change"."""
    return f"+{fmt.cost(usd(pico))}" if pico > 0 else fmt.cost(usd(pico)) if pico else "no change"


def each_of(sums: Sums, n: int) -> str:
    """What one of `n` cost on average; a word where there is none, or nothing is known of the cost."""
    if not n:
        return "none"
    cost = money_of(sums)
    return _INSTEAD[cost.state] if cost.pico is None else fmt.cost(usd(cost.pico) / n)


def days_words(days: Days) -> str:
    """ "1–19 Nov 2026", "28 Oct–3 Nov 2026"."""
    first, last = days.first, days.last
    if first == last:
        return f"{first.day} {first:%b %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}{fmt.EN_DASH}{last.day} {last:%b %Y}"
    year = f" {first.year}" if first.year != last.year else ""
    return f"{first.day} {first:%b}{year}{fmt.EN_DASH}{last.day} {last:%b %Y}"


def day_words(day: date) -> str:
    """ "Thu 19 Nov"."""
    return f"{day:%a} {day.day} {day:%b}"


def period_words(period: Period) -> str:
    """How a sentence names a period: "so far this month", "in October", "from 3 to 9 Nov"."""
    named = {"month": "so far this month", "7d": "in the last 7 days", "28d": "in the last 28 days"}
    if period.name == "last_month":
        return f"in {period.days.first:%B}"
    return named.get(period.name) or (
        f"on {days_words(period.days)}" if period.days.n == 1 else days_words(period.days)
    )


def headline(page: CostPage) -> str:
    """The answer of the page: what the month will come to, or what the period cost."""
    forecast = page.month.forecast
    if page.bill.period.name == "month" and forecast.usd is not None and page.bill.money.pico is not None:
        low_end = page.bill.money.state in {CostState.AT_LEAST, CostState.ESTIMATE}
        about = fmt.about_cost(fmt.decimal_of(round(forecast.usd, 6)))
        return f"On course for {about.replace('about ', 'at least ') if low_end else about} this month"
    cost = money(page.bill.money)
    if page.bill.money.pico is None:
        word = {"none": "No cost", "unpriced": "Nothing priced"}.get(cost, "No known cost")
        return f"{word} {period_words(page.bill.period)}"
    words = period_words(page.bill.period)
    return f"{cost[0].upper()}{cost[1:]} {words if page.bill.period.name else 'for ' + words.removeprefix('on ')}"


def forecast_words(month: MonthForecast) -> str:
    """The forecast with its interval, or how much is missing for one."""
    found = month.forecast
    if found.usd is None or found.low_usd is None or found.high_usd is None:
        have = f"{found.n} whole day{'' if found.n == 1 else 's'}"
        return f"Too little data for a forecast: {have} so far, {found.needed} are needed."
    low, high = (
        fmt.about_cost(fmt.decimal_of(round(v, 6))).removeprefix("about ") for v in (found.low_usd, found.high_usd)
    )
    level = fmt.share(found.level)
    return (
        f"Month-end forecast {low}{fmt.EN_DASH}{high} ({level} interval), from {found.n} days: daily rate and weekdays"
    )


def stats(page: CostPage) -> list[Stat]:
    """The figures of the strip."""
    bill = page.bill
    total, whole, before = bill.total, bill.whole, bill.before
    period = bill.period
    then = f"{days_words(period.before)} " if period.before else ""
    per_day, per_request = "no day is over yet", ""
    a_day = None
    if whole is not None and period.whole and before is not None and period.before:
        a_day = None if money_of(whole).pico is None and whole.n else usd(whole.cost_pico) / period.whole.n
        was = None if money_of(before).pico is None and before.n else usd(before.cost_pico) / period.before.n
        change = "" if was is None or a_day is None else f", {fmt.change_pct(was, a_day)}"
        per_day = f"{then}{fmt.cost(was)}{change}"
        per_request = f"{then}{each_of(before, before.n)}"
    return [
        Stat("Spent", money(bill.money), "", _spent_note(bill)),
        Stat("Per day", fmt.cost(a_day, missing="unknown" if whole is None else "unpriced"), "", per_day),
        Stat("Per request", each_of(total, total.n), "", per_request),
        _cached(total),
        _judged(bill),
    ]


def _spent_note(bill: Bill) -> str:
    period = bill.period
    if period.name == "month":
        first, after = month_of(period.today)
        return f"day {period.today.day} of {(after - first).days}, today so far included"
    today = ", today so far included" if period.has_today else ""
    return f"{period.days.n} day{'' if period.days.n == 1 else 's'}{today}"


def _cached(total: Sums) -> Stat:
    if not total.input_tokens:
        return Stat("Input served from cache", "none", "", "no input tokens told")
    share = fmt.share(total.input_cache_read / total.input_tokens)
    if total.saved_pico > 0:
        without = total.cost_pico + total.saved_pico
        part = f", {fmt.share(total.saved_pico / without)} of the bill without it" if without > 0 else ""
        note = f"saved {fmt.cost(usd(total.saved_pico))}{part}"
    elif total.saved_pico < 0:
        note = f"cost {fmt.cost(usd(-total.saved_pico))} more than no cache: written and seldom read"
    else:
        note = "nothing saved"
    return Stat("Input served from cache", share, "", note)


def _judged(bill: Bill) -> Stat:
    if bill.judging is None or not bill.judging.n:
        return Stat("Judging", "none yet", "", f"calls of the service {JUDGE_SERVICE}")
    part = bill.judging.cost_pico / bill.total.cost_pico if bill.total.cost_pico else None
    return Stat("Judging", money(money_of(bill.judging)), "", f"{fmt.share(part)} of spent, which holds it")


def rows(breakdown: Breakdown, period: Period, links: Links) -> list[RowView]:
    """The rows of a breakdown by dimension."""
    whole = sum(line.sums.cost_pico for line in breakdown.lines)
    colours = iter(f"s{n}" for n in range(1, 6))
    return [
        _row(line, breakdown, period, links, whole, (next(colours, "") if line.sums.cost_pico else ""))
        for line in breakdown.lines
    ]


def name_of(line: Line, by: str) -> str:
    """What a row is called: its value, or that there is none."""
    if by == "prompt":
        name, version = line.key
        return "no prompt named" if name is None else f"{name} {version}" if version is not None else str(name)
    value = line.key[0]
    return f"no {LABELS[by].lower()} told" if value is None else str(value)


def _row(line: Line, breakdown: Breakdown, period: Period, links: Links, whole: int, swatch: str) -> RowView:
    sums, is_known = line.sums, line.money.pico is not None
    detail = ", ".join(line.providers)
    if line.kind is not None:
        detail = f"told by steps of kind {line.kind.name.lower()}, which call no model"
    elif OTHER in line.key:
        detail = "values beyond what is kept apart"
    n = counted(sums) if breakdown.is_of_calls else sums.n
    against, before = "", ""
    if period.whole and period.before:
        steps = len(line.by_point)
        now = sum(line.by_point[: period.whole.n]) if steps == period.days.n else sums.cost_pico
        before = fmt.cost(usd(line.before_pico or 0))
        against = _against(line.before_pico, now, period) if is_known or line.before_pico else "unknown"
    return RowView(
        name=name_of(line, breakdown.by),
        detail=detail,
        swatch=swatch,
        href=links.row(line, breakdown, period.days.start, period.days.end),
        n=f"{sums.n:,}",
        **_tokens(sums),
        each=each_of(sums, n),
        cost=money(line.money),
        width=round(100 * sums.cost_pico / whole, 2) if whole else 0.0,
        share=fmt.share(sums.cost_pico / whole) if whole and is_known else "",
        against=against,
        before=before,
    )


def _against(before: int | None, now: int, period: Period) -> str:
    """The change a day, since months differ in length."""
    if not period.whole or not period.before:
        return ""
    if not before:
        return "new" if now else "no change"
    return fmt.change_pct(usd(before) / period.before.n, usd(now) / period.whole.n)


def _tokens(sums: Sums) -> dict[str, str]:
    """Input that was computed, input read from a cache with its share, output."""
    cached = sums.input_cache_read
    return {
        "fresh": fmt.count(sums.input_tokens - cached, short=True) if sums.input_tokens else "none",
        "cached": fmt.count(cached, short=True) if cached else "no cache" if sums.input_tokens else "none",
        "cached_share": fmt.share(cached / sums.input_tokens) if cached and sums.input_tokens else "",
        "out": fmt.count(sums.output_tokens, short=True) if sums.output_tokens else "none",
    }


def day_rows(days: Sequence[DayBill], links: Links, today: date) -> list[RowView]:
    """One row a day, the newest first."""
    most = max((day.sums.cost_pico for day in days), default=0)
    whole = sum(day.sums.cost_pico for day in days)
    made = []
    for day in reversed(days):
        length = f"{day.hours:g} hours" if day.hours != 24 else ""
        detail = ", ".join(part for part in ("so far" if day.day == today else "", length) if part)
        cost = money_of(day.sums)
        made.append(
            RowView(
                name=day_words(day.day),
                detail=detail,
                swatch="",
                href=links.requests(day.start, day.end),
                n=f"{day.sums.n:,}",
                **_tokens(day.sums),
                each=each_of(day.sums, day.sums.n),
                cost=money(cost),
                width=round(100 * day.sums.cost_pico / most, 2) if most else 0.0,
                share=fmt.share(day.sums.cost_pico / whole) if whole else "none",
                against="",
                before="",
            )
        )
    return made


def change_headline(change: Change, period: Period) -> str:
    """The finding of the change: "$42.10 more than 1–18 Oct, most of it volume"."""
    if not change.pico:
        return "The same as the period before"
    then = f" than {days_words(period.before)}" if period.before else ""
    largest = max(change.parts, key=lambda part: part.pico if change.pico > 0 else -part.pico)
    more = "more" if change.pico > 0 else "less"
    return f"{fmt.cost(usd(abs(change.pico)))} {more}{then}, most by {PART_WORDS[largest.part][0].lower()}"


# Part: its label, what it means when the bill grew by it, and when it shrank.
PART_WORDS = {
    Part.VOLUME: ("Volume", "More calls", "Fewer calls"),
    Part.MIX: ("Model mix", "A larger part of the calls went to dearer models", "A larger part went to cheaper models"),
    Part.PRICE: ("Price", "A token costs more", "A token costs less"),
    Part.INPUT: ("Input tokens", "Longer prompts a call", "Shorter prompts a call"),
    Part.OUTPUT: ("Output tokens", "Longer answers a call", "Shorter answers a call"),
    Part.CACHE: ("Cache", "Less of the input came from the cache", "More of the input came from the cache"),
    Part.HOURLY: ("Machine hours", "Models charged by the hour ran longer", "Models charged by the hour ran shorter"),
    Part.NEWLY_PRICED: ("Newly priced", "Models without a price before have one now", "Models have no price any more"),
    Part.JUDGING: ("Judging", "Judging cost more", "Judging cost less"),
}


def part_views(change: Change) -> list[PartView]:
    """One plain sentence for each part, in the order in which they were taken."""
    return [
        PartView(
            PART_WORDS[part.part][0],
            signed(part.pico),
            _part_sentence(part, change),
            () if part.part is Part.VOLUME else tuple((model, signed(pico)) for model, pico in part.models),
        )
        for part in change.parts
    ]


def _part_sentence(part: PartOfChange, change: Change) -> str:
    if not part.pico and not part.models:
        return "No change."
    _, grew, shrank = PART_WORDS[part.part]
    words = grew if part.pico > 0 else shrank if part.pico < 0 else "What grew and what shrank cancel out"
    if part.part is Part.VOLUME:
        pct = fmt.change_pct(change.calls_before, change.calls_now)
        more = "" if pct in {"new", "no change"} else f" ({pct})"
        return f"{words}: {change.calls_now:,} against {change.calls_before:,}{more}."
    return f"{words}{':' if part.models else '.'}"


def unpriced_words(total: Sums) -> str:
    """How much of the calls no price fits, in a sentence; "" where all have one."""
    missing = total.unpriced_count + total.partial_count
    n = counted(total)
    if not missing:
        return ""
    return f"{missing:,} of {n:,} calls ({fmt.share(missing / n)}) have no full price and are in no sum"


def unknown_words(total: Sums) -> str:
    """How many calls told no tokens; "" where all did."""
    n = total.unknown_usage_count
    return f"{n:,} call{' tells' if n == 1 else 's tell'} no tokens, so nobody knows what they cost." if n else ""
