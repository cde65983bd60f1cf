"""The performance page in words: figures from what was read, with their intervals and the traces behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from telltale.lib import charts
from telltale.lib import format as fmt
from telltale.stats.proportions import Proportion, wilson
from traces.presets import Preset
from traces.read.performance import DIMENSIONS, Performance, Terms, Totals
from traces.read.rollups import Row
from traces.rollup.covering import Step

# Beyond this an axis names days.
LONG = timedelta(hours=36)
# What a rate is counted over: the shortest in which at least one falls.
PER = ((1, "a second"), (60, "a minute"), (3600, "an hour"), (86_400, "a day"))


@dataclass(frozen=True, slots=True)
class Stat:
    """One figure: label, value, unit, and what it stands beside."""

    label: str
    value: str
    unit: str
    note: str


@dataclass(frozen=True, slots=True)
class Point:
    """One point of time of a chart."""

    start: datetime
    end: datetime
    row: Row


def rate(value: float) -> str:
    """A rate with two significant digits below 10: "0.042", "3.1", "1,240"."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def per(most: float) -> tuple[int, str]:
    """Over how many seconds to count what comes `most` times a second at its most, and the words for it."""
    return next(((seconds, words) for seconds, words in PER if most * seconds >= 1), PER[-1])


def rate_words(a_second: float) -> str:
    """A rate over the time in which about one falls: "3.1 a second", "15 an hour"."""
    seconds, words = per(a_second)
    return f"{rate(a_second * seconds)} {words}"


class Links:
    """Addresses of the traces behind figures: requests by the list's own fields, model calls by `call.*`."""

    def __init__(self, base: str, terms: Terms) -> None:
        self._base = base
        self._terms = terms
        # Most addresses differ in their times alone, and a page has hundreds: the rest is put together once.
        self._rests: dict[tuple[str, str], str] = {}
        self._times: dict[datetime, str] = {}

    def requests(self, start: datetime, end: datetime, more: Terms | None = None) -> str:
        """The traces that began in [start, end)."""
        return self._address("", start, end, "", more)

    def calls(self, start: datetime, end: datetime, more: Terms | None = None, kind: str = "generation") -> str:
        """The traces with a model call (or another step) that began in [start, end)."""
        return self._address("call.", start, end, kind, more)

    def steps(self, start: datetime, end: datetime, kind: str, name: str | None) -> str:
        """The traces with a step of this kind (and name) that began in [start, end)."""
        return self.calls(start, end, None if name is None else {"name": name}, kind)

    def _address(self, prefix: str, start: datetime, end: datetime, kind: str, more: Terms | None) -> str:
        rest = self._rests.get((prefix, kind)) if more is None else None
        if rest is None:
            pairs = [("call.kind", kind)] if kind else []
            for name, value in {**self._terms, **(more or {})}.items():
                pairs.append((prefix + name, value) if value is not None else (f"{prefix}{name}.missing", "yes"))
            rest = f"&{urlencode(pairs)}" if pairs else ""
            if more is None:
                self._rests[prefix, kind] = rest
        return f"{self._base}?{prefix}from={self._time(start)}&{prefix}to={self._time(end)}{rest}"

    def _time(self, at: datetime) -> str:
        found = self._times.get(at)
        if found is None:
            found = self._times[at] = quote(fmt.iso(at))
        return found


def points_of(edges: Sequence[datetime], rows: Sequence[Row]) -> list[Point]:
    """The rows with the time that each is of."""
    return [Point(start, end, row) for (start, end), row in zip(pairwise(edges), rows, strict=True)]


def tick_words(edges: Sequence[datetime], zone: ZoneInfo, most: int) -> dict[int, str]:
    """Which of the edges an axis names, by their place, and how: days over a long window, else times of day."""
    local = [at.astimezone(zone) for at in edges]
    is_long = edges[-1] - edges[0] > LONG
    places: Sequence[int] = range(len(edges))
    if is_long:
        days = [at for at in places if (local[at].hour, local[at].minute) == (0, 0)]
        # A step of six hours may miss midnight; then the first point of each day stands for it.
        places = days or [at for at in places if at and local[at].date() != local[at - 1].date()]
    shown = [place for at, place in enumerate(places) if at in charts.spread(len(places), most)]
    return {at: f"{local[at].day} {local[at]:%b}" if is_long else f"{local[at]:%H:%M}" for at in shown}


def full_moment(at: datetime, step: Step | None, zone: ZoneInfo) -> str:
    """As `moment`, never without its day."""
    local = at.astimezone(zone)
    return f"{local.day} {local:%b}" if step is not None and step >= Step.DAY else f"{local.day} {local:%b %H:%M}"


def step_words(step: Step | None) -> str:
    """ "by hour", "by 5 minutes"."""
    words = {
        Step.MINUTE: "minute", Step.FIVE_MINUTES: "5 minutes", Step.QUARTER: "quarter of an hour", Step.HOUR: "hour",
        Step.SIX_HOURS: "6 hours", Step.DAY: "day", Step.WEEK: "week", Step.MONTH: "month",
    }  # fmt: skip
    return f"by {words[step]}" if step is not None else "in all"


def interval_words(low: float | None, high: float | None, n: int) -> str:
    """The 95 % interval of a latency in words: "95% CI 3.1 s–3.6 s", or that no upper limit exists from so few."""
    if not n:
        return "none told"
    n_words = f"n = {n:,}"
    if low is None and high is None:
        return f"no 95% CI from {n_words}"
    if high is None:
        return f"at least {fmt.latency(low)}, no upper limit from {n_words}"
    if low is None:
        return f"at most {fmt.latency(high)}, no lower limit from {n_words}"
    return f"95% CI {fmt.latency(low)}{fmt.EN_DASH}{fmt.latency(high)}, {n_words}"


def share_words(found: Proportion) -> str:
    """A share with its interval: "1.2% (95% CI 0.9%–1.6%)"."""
    if found.share is None:
        return fmt.UNKNOWN
    return f"{fmt.share(found.share)} (95% CI {fmt.share(found.low)}{fmt.EN_DASH}{fmt.share(found.high)})"


def preset_note(presets: Sequence[Preset]) -> str:
    """What the dashed lines are: "Dashed: p95 over 5 s, after <guide>"."""
    if not presets:
        return ""
    return "Dashed: " + "; ".join(f"{preset.words}, after “{preset.source}”" for preset in presets)


def headline(found: Performance) -> str:
    """The page's answer in one sentence."""
    whole, noun = (found.whole_calls, "model calls")
    if found.whole_requests is not None:
        whole, noun = (found.whole_requests, "requests")
    half, _, _ = whole.quantile_ms("duration", 0.5)
    tail, _, _ = whole.quantile_ms("duration", 0.95)
    if half is None or tail is None:
        return f"No {noun} with a known duration"
    within = fmt.latency(half, short=True), fmt.latency(tail, short=True)
    return f"Half of {noun} end within {within[0]}, 95 of 100 within {within[1]}"


def stats(found: Performance, words: str) -> list[Stat]:
    """The strip of figures, each with its interval and what it is compared with. `words` names the window before."""
    rows: list[Stat] = []
    called = found.whole_calls
    if found.whole_requests is not None and found.before is not None:
        whole = found.whole_requests
        before = fmt.change_pct(found.before.sums.n, whole.sums.n)
        note = f"{rate_words(whole.sums.n / found.seconds)}; {before} on {words}"
        rows.append(Stat("Requests", fmt.count(whole.sums.n), "", note))
        rows.append(_latency_stat("Latency p95", whole, "duration", found.before, words))
        share = wilson(whole.sums.errors, whole.sums.n)
        was = wilson(found.before.sums.errors, found.before.sums.n)
        interval = f"95% CI {fmt.share(share.low)}{fmt.EN_DASH}{fmt.share(share.high)}; " if share.n else ""
        note = f"{interval}{words} {fmt.share(was.share, missing='no requests')}"
        rows.append(Stat("With errors", fmt.share(share.share, missing="none"), "", note))
    else:
        before = fmt.change_pct(found.calls_before.sums.n, called.sums.n)
        rows.append(Stat("Model calls", fmt.count(called.sums.n), "", f"{before} on {words}"))
        rows.append(_latency_stat("Latency p95", called, "duration", None, words))
    first = _latency_stat("First token p95", called, "ttft", found.calls_before, words)
    told = called.sketches["ttft"].n if "ttft" in called.sketches else 0
    coverage = f"told by {told:,} of {called.sums.n:,} calls"
    rows.append(Stat(first.label, first.value, "", f"{first.note}; {coverage}"))
    half, _, _ = called.quantile_ms("tpot", 0.5)
    speed = fmt.UNKNOWN if not half else rate(1000 / half)
    tail, low, high = called.quantile_ms("tpot", 0.95)
    n = called.sketches["tpot"].n if "tpot" in called.sketches else 0
    rows.append(
        Stat("Speed of a call", speed, "tokens a second" if half else "",
             f"median; a token p95 {fmt.latency(tail)}, {interval_words(low, high, n)}")
    )  # fmt: skip
    mean, weighted = called.sums.mean_duration_ns, called.sums.token_weighted_duration_ns
    rows.append(
        Stat("Token-weighted latency", fmt.latency(None if weighted is None else weighted / 1e6), "",
             f"plain mean {fmt.latency(None if mean is None else mean / 1e6)}; long answers weigh more")
    )  # fmt: skip
    return rows


def _latency_stat(label: str, whole: Totals, name: str, before: Totals | None, words: str) -> Stat:
    value, low, high = whole.quantile_ms(name, 0.95)
    n = whole.sketches[name].n if name in whole.sketches else 0
    note = interval_words(low, high, n)
    if before is not None:
        was, _, _ = before.quantile_ms(name, 0.95)
        note += f"; {words} {fmt.latency(was, missing='none')}"
    return Stat(label, fmt.latency(value, missing="unknown"), "", note)


def is_of_requests(by: str, found: Performance) -> bool:
    """Whether the breakdown counts requests; else it counts model calls, or steps of all kinds."""
    return by != "stage" and DIMENSIONS[by][1] and found.requests is not None
