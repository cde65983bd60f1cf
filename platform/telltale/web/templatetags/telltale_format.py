"""Template names for `telltale.lib.format`, and the small marks of the design (icons, ribbons, severities)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.context import Context
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from telltale.lib import clock
from telltale.lib import format as fmt

register = template.Library()

RIBBONS = {"ok": "In range", "watch": "Watch", "bad": "Out of limits", "none": "No data"}
SEVERITIES = {"p0": "P0", "p1": "P1", "p2": "P2", "p3": "P3"}


@register.filter
def count(value: int | None, missing: str = fmt.UNKNOWN) -> str:
    """`{{ n|count }}`: 1,264 or 2.9 million."""
    return fmt.count(value, missing=missing)


@register.filter
def count_short(value: int | None, missing: str = fmt.UNKNOWN) -> str:
    """`{{ n|count_short }}`: as count, 160 M, for tables."""
    return fmt.count(value, short=True, missing=missing)


@register.filter
def share(value: float | None, missing: str = fmt.UNKNOWN) -> str:
    """`{{ x|share }}`: a share in 0..1 as 6.9% or 84%."""
    return fmt.share(value, missing=missing)


@register.filter
def latency(value_ms: float | None, missing: str = fmt.UNKNOWN) -> str:
    """`{{ ms|latency }}`: 402 ms, 3.42 s, 4 min 33 s."""
    return fmt.latency(value_ms, missing=missing)


@register.filter
def latency_short(value_ms: float | None, missing: str = fmt.UNKNOWN) -> str:
    """`{{ ms|latency_short }}`: as latency with one decimal of a second, for summaries."""
    return fmt.latency(value_ms, short=True, missing=missing)


@register.filter
def cost(value_usd: Decimal | None, missing: str = "unpriced") -> str:
    """`{{ usd|cost }}`: $0.0158, $4.71, $7,260."""
    return fmt.cost(value_usd, missing=missing)


@register.filter
def cost_pico(value: int | None, missing: str = "unpriced") -> str:
    """`{{ pico|cost_pico }}`: as cost, from whole pico-dollars."""
    return fmt.cost_pico(value, missing=missing)


@register.filter
def cost_exact(value_pico: int | None, missing: str = "unpriced") -> str:
    """`{{ pico|cost_exact }}`: every digit there is, at least six."""
    return fmt.cost_exact(value_pico, missing=missing)


@register.filter
def about_cost(value_usd: Decimal | None) -> str:
    """`{{ usd|about_cost }}`: about $11,800."""
    return fmt.about_cost(value_usd)


@register.filter
def score(value: float | None, missing: str = "not judged") -> str:
    """`{{ mean|score }}`: 4.31 or "not judged"."""
    return fmt.score(value, missing=missing)


@register.filter
def answer_score(value: int | None, best: int = 5) -> str:
    """`{{ answer|answer_score }}`: 2 / 5 or "not judged"."""
    return fmt.answer_score(value, best)


@register.filter
def or_word(value: object, word: str) -> object:
    """`{{ x|or_word:"none" }}`: the word where x is None or empty text; 0 stays 0."""
    return word if value is None or value == "" else value


@register.filter
def visible(text: str | None) -> str:
    """`{{ text|visible }}`: control and direction characters shown as marks. For every text a sender controls."""
    return fmt.visible(text or "")


@register.filter
def initials(name: str) -> str:
    """`{{ user|initials }}`: up to two letters for an avatar."""
    return fmt.initials(str(name))


@register.filter
def iso(at: datetime) -> str:
    """`{{ at|iso }}`: ISO 8601 in UTC, for attributes."""
    return fmt.iso(at)


@register.filter
def get_item(table: Mapping[Any, Any], key: object) -> object:
    """`{{ table|get_item:key }}`: the entry under a key that is a variable, None where there is none."""
    return table.get(key)


def _zone(context: Context) -> ZoneInfo:
    """The page's zone: `zone` of the context, else the project's, else UTC."""
    named = context.get("zone")
    if isinstance(named, ZoneInfo):
        return named
    project = context.get("project")
    return clock.zone_of(str(named or getattr(project, "time_zone", "") or "UTC"))


@register.simple_tag(takes_context=True)
def when(context: Context, at: datetime | None, missing: str = "never", seconds: bool = True) -> SafeString | str:
    """`{% when at %}`: a `<time>` in the page's zone, with the whole of it as title. `seconds=False` is coarser."""
    if at is None:
        return missing
    zone = _zone(context)
    text = fmt.moment(at, zone, clock.now(), seconds=seconds)
    return format_html('<time datetime="{}" title="{}">{}</time>', fmt.iso(at), fmt.full_moment(at, zone), text)


@register.simple_tag(takes_context=True)
def ago(context: Context, at: datetime | None, missing: str = "never") -> SafeString | str:
    """`{% ago at %}`: "57 min ago" as a `<time>` with the absolute time as title."""
    if at is None:
        return missing
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        fmt.iso(at),
        fmt.full_moment(at, _zone(context)),
        fmt.ago(at, clock.now()),
    )


@register.simple_tag(takes_context=True)
def as_of(context: Context) -> str:
    """`{% as_of %}`: this moment with its zone, "Thu 19 Nov 2026, 11:02 UTC"."""
    zone = _zone(context)
    now = clock.now()
    local = now.astimezone(zone)
    return f"{fmt.day(now, zone)}, {local:%H:%M} {local.tzname()}"


@register.simple_tag
def asset(path: str) -> str:
    """`{% asset "css/app.css" %}`: the address of a static file, changing with its contents."""
    version = _digest(path) if not settings.DEBUG else _digest.__wrapped__(path)
    return f"{static(path)}?v={version}"


@cache
def _digest(path: str) -> str:
    found = finders.find(path)
    if not isinstance(found, str):
        raise template.TemplateSyntaxError(f"no static file {path}")
    return hashlib.sha256(Path(found).read_bytes()).hexdigest()[:12]


@register.simple_tag
def icon(name: str, css: str = "i") -> SafeString:
    """`{% icon "trace" %}`: one icon of the sprite, hidden from screen readers."""
    symbol = name if name == "mark" or name.startswith("r-") else f"i-{name}"
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>', css, asset("icons.svg"), symbol)


@register.simple_tag
def ribbon(state: str, word: str = "", css: str = "") -> SafeString:
    """`{% ribbon "ok" "In range" %}`: a status as shape, word and colour; state is ok, watch, bad or none."""
    state = state if state in RIBBONS else "none"
    return format_html('<span class="st {} {}">{}{}</span>', state, css, icon(f"r-{state}", ""), word or RIBBONS[state])


@register.simple_tag
def sev(level: str) -> SafeString:
    """`{% sev "p1" %}`: a severity badge."""
    level = level.lower() if level.lower() in SEVERITIES else "p3"
    return format_html(
        '<span class="sev {}" title="Severity {}">{}</span>', level, SEVERITIES[level], SEVERITIES[level]
    )
