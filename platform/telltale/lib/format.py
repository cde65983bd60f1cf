"""How numbers and times are written on pages: the design's tables, as pure functions of values.

Unknown is a word, never 0 and never blank. Minus is the real sign, intervals take an en dash.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

MINUS = "−"
EN_DASH = "–"
ARROW = "→"
PICO = Decimal(10) ** 12
UNKNOWN = "unknown"

_LARGE = ((10**12, "trillion", "T"), (10**9, "billion", "B"), (10**6, "million", "M"))


def _rounded(value: float | Decimal, digits: int) -> Decimal:
    """`value` with `digits` decimals, halves away from zero, as people round."""
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    return rounded if rounded else abs(rounded)


def _significant(value: Decimal, digits: int) -> Decimal:
    """`value` with `digits` significant digits, in plain notation."""
    if value == 0:
        return value
    step = Decimal(1).scaleb(value.adjusted() - digits + 1)
    return (value / step).quantize(Decimal(1), rounding=ROUND_HALF_UP) * step


def decimal_of(value: float | Decimal) -> Decimal:
    """A chart's float as a decimal of the digits it shows; money becomes a float for charts alone."""
    return Decimal(str(value))


def _signed(text: str) -> str:
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def count(value: int | None, *, short: bool = False, missing: str = UNKNOWN) -> str:
    """A count: "1,264"; from one million two digits and a unit, "2.9 million", or "2.9 M" where `short`."""
    if value is None:
        return missing
    if abs(value) < 10**6:
        return _signed(f"{value:,}")
    two = _significant(Decimal(value), 2)
    size, word, letter = next(unit for unit in _LARGE if abs(two) >= unit[0])
    number = two / size
    shown = f"{number:.1f}" if abs(number) < 10 else f"{number:,.0f}"
    return _signed(f"{shown} {letter if short else word}")


def share(value: float | None, *, missing: str = UNKNOWN) -> str:
    """A share in 0..1 as a percentage: one decimal under 10%, else whole; never a false 0% or 100%."""
    if value is None:
        return missing
    pct = Decimal(str(value)) * 100
    if 0 < pct < Decimal("0.05"):
        return "under 0.1%"
    if 99 < pct < 100 and _rounded(pct, 0) == 100:
        return "over 99%"
    tenth = _rounded(pct, 1)
    if pct == 0:
        return "0%"
    return _signed(f"{tenth}%" if abs(tenth) < 10 else f"{_rounded(pct, 0)}%")


def latency(value_ms: float | None, *, short: bool = False, missing: str = UNKNOWN) -> str:
    """A duration in ms: "402 ms", "3.42 s" (one decimal where `short`), "4 min 33 s", "2 h 5 min"."""
    if value_ms is None:
        return missing
    if value_ms < 0:
        return MINUS + latency(-value_ms, short=short)
    if 0 < value_ms < 0.95:
        return f"{max(_rounded(value_ms, 1), Decimal('0.1'))} ms"
    if _rounded(value_ms, 0) < 1000:
        return f"{_rounded(value_ms, 0)} ms"
    digits = 1 if short else 2
    seconds = _rounded(value_ms / 1000, digits)
    if seconds < 60:
        return f"{seconds} s"
    whole = int(_rounded(value_ms / 1000, 0))
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = (whole + 30) // 60
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    hours = (minutes + 30) // 60
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def cost(value_usd: Decimal | None, *, missing: str = "unpriced") -> str:
    """Money: four decimals under $0.10, two under $100, whole above; too small for four is said in words."""
    if value_usd is None:
        return missing
    if value_usd < 0:
        return MINUS + cost(-value_usd)
    if value_usd == 0:
        return "$0"
    if value_usd < Decimal("0.00005"):
        return "under $0.0001"
    four = _rounded(value_usd, 4)
    if four < Decimal("0.1"):
        return f"${four}"
    two = _rounded(value_usd, 2)
    return f"${two}" if two < 100 else f"${_rounded(value_usd, 0):,}"


def cost_pico(value: int | None, *, missing: str = "unpriced") -> str:
    """Money as `cost`, from whole pico-dollars as they are stored."""
    return cost(None if value is None else Decimal(value) / PICO, missing=missing)


def cost_exact(value_pico: int | None, *, missing: str = "unpriced") -> str:
    """Money to the micro-dollar and further where there is more: "$0.015813"; for receipts and price rows."""
    if value_pico is None:
        return missing
    usd = Decimal(abs(value_pico)) / PICO
    digits = max(6, -int(usd.normalize().as_tuple().exponent)) if usd else 2
    return (MINUS if value_pico < 0 else "") + f"${usd:,.{digits}f}"


def about_cost(value_usd: Decimal | None, *, missing: str = UNKNOWN) -> str:
    """A forecast: three digits with "about"."""
    if value_usd is None:
        return missing
    three = _significant(value_usd, 3)
    return f"about ${three:,.0f}" if three >= 100 else f"about ${three:,.2f}"


def score(value: float | None, *, missing: str = "not judged") -> str:
    """A mean score with two decimals."""
    return missing if value is None else _signed(str(_rounded(value, 2)))


def answer_score(value: int | None, best: int = 5, *, missing: str = "not judged") -> str:
    """One judge's answer: "2 / 5"."""
    return missing if value is None else f"{value} / {best}"


def change(before: str, after: str) -> str:
    """Two formatted values with an arrow between."""
    return f"{before} {ARROW} {after}"


def change_share(before: float | None, after: float | None, *, missing: str = UNKNOWN) -> str:
    """The change between two shares, in points: "+19.8 pts"."""
    if before is None or after is None:
        return missing
    points = _rounded((Decimal(str(after)) - Decimal(str(before))) * 100, 1)
    return f"{'+' if points > 0 else ''}{_signed(str(points))} pts"


def change_pct(before: float | Decimal | None, after: float | Decimal | None, *, missing: str = UNKNOWN) -> str:
    """The relative change between two amounts: "−3.2%"; in words where there was nothing to compare with."""
    if before is None or after is None:
        return missing
    if not before:
        return "new" if after else "no change"
    pct = (Decimal(str(after)) / Decimal(str(before)) - 1) * 100
    tenth = _rounded(pct, 1)
    shown = tenth if abs(tenth) < 10 else _rounded(pct, 0)
    return f"{'+' if shown > 0 else ''}{_signed(f'{shown:,}')}%" if shown else "no change"


def interval(value: float, low: float, high: float, n: int, *, digits: int = 2) -> str:
    """An estimate with its 95% interval and n: "0.56 (95% CI 0.38–0.74), n = 101"."""
    parts = [_signed(str(_rounded(x, digits))) for x in (value, low, high)]
    return f"{parts[0]} (95% CI {parts[1]}{EN_DASH}{parts[2]}), n = {n:,}"


def ratio(value: float, low: float, high: float) -> str:
    """A ratio with its range: "29.7 (24.1–36.5)"."""
    return f"{_rounded(value, 1)} ({_rounded(low, 1)}{EN_DASH}{_rounded(high, 1)})"


def times_as_likely(value: float) -> str:
    """A ratio in words: "30 times as likely"."""
    shown = _rounded(value, 0) if value >= 10 else _rounded(value, 1)
    return f"{shown} times as likely"


def moment(at: datetime | None, zone: ZoneInfo, now: datetime, *, seconds: bool = True, missing: str = "never") -> str:
    """A time in `zone`: "10:41:07" today ("Today 10:41" without seconds), "19 Nov 10:41" this year, "19 Nov 2025"."""
    if at is None:
        return missing
    local, today = at.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M:%S}" if seconds else f"Today {local:%H:%M}"
    if local.year == today.year:
        return f"{local.day} {local:%b %H:%M}"
    return f"{local.day} {local:%b} {local.year}"


def full_moment(at: datetime, zone: ZoneInfo) -> str:
    """A time with nothing left out: "19 Nov 2026, 10:41:07 UTC"."""
    local = at.astimezone(zone)
    return f"{local.day} {local:%b} {local.year}, {local:%H:%M:%S} {local.tzname() or 'UTC'}"


def day(at: datetime, zone: ZoneInfo) -> str:
    """A day with its weekday: "Thu 19 Nov 2026"."""
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b} {local.year}"


def ago(at: datetime | None, now: datetime, *, missing: str = "never") -> str:
    """How long ago: "just now", "57 min ago", "3 days ago"; "in 5 min" for what is ahead."""
    if at is None:
        return missing
    seconds = (now - at).total_seconds()
    if abs(seconds) < 10:
        return "just now"
    text = span_words(abs(seconds))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def span_words(seconds: float) -> str:
    """A length of time, whole and in one unit: "38 s", "57 min", "23 h", "3 days"."""
    if seconds < 60:
        return f"{int(seconds)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 86_400:
        return f"{int(seconds // 3600)} h"
    days = int(seconds // 86_400)
    return "1 day" if days == 1 else f"{days:,} days"


def iso(at: datetime) -> str:
    """The machine form of a time: ISO 8601 in UTC, to the second or as fine as it is."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def initials(name: str) -> str:
    """Up to two letters that stand for a person."""
    words = [word for word in name.replace("@", " ").replace(".", " ").split() if word[0].isalnum()]
    letters = words[0][0] + words[1][0] if len(words) > 1 and "@" not in name else (words[0][:2] if words else "?")
    return letters.upper()


# Control characters, lone surrogates, and what reorders or hides text: bidirectional controls and the like (U+061C,
# U+200B, U+200E, U+200F, U+202A..E, U+2060..9) and tags. Tabs, line breaks and the joiners U+200C and U+200D, which
# emoji and several scripts need, are harmless. One search in C: character by character took 7 ms of a list's 30.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """`text` with control and direction characters shown as marks; tabs and line breaks stay."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(_mark, text)


def _mark(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"[U+{code:04X}]"
