"""What lists of sessions and of users share: columns, headings, the words above a list.

Cells are finished HTML, put together here and not by the template engine, which takes seven times as long. Every text
is escaped where it enters (`text`), and what a sender controls is made visible too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape
from typing import Any, Generic, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.safestring import SafeString, mark_safe

from telltale.lib import format as fmt
from traces.forms import ListState, window_of
from traces.pages.words import COSTS
from traces.read import CostSum, Count
from traces.read.filters import Field, ops_of
from traces.read.session_did import Did

Row = TypeVar("Row")
OPS = (
    ("is", "equal to"),
    ("not", "not equal to"),
    ("min", "at least"),
    ("max", "at most"),
    ("missing", "unknown"),
    ("exists", "known"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """What cells need to know of the page they are on. `base` and `suffix` surround an id in its address."""

    base: str
    suffix: str
    zone: ZoneInfo
    now: datetime
    did: Mapping[UUID, Did] = field(default_factory=dict)  # of sessions, by key


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column: its heading, what it sorts by ("" for nothing), its width class, and the cell of a row."""

    key: str
    label: str
    sort: str
    width: str
    cell: Callable[[Row, Page], str]
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """A column heading; without a key it does not sort."""

    key: str
    label: str
    is_number: bool
    href: str
    desc_key: str
    width: str


@dataclass(frozen=True, slots=True)
class WayOut:
    """For a list of nothing: one filter less, and how many that would show."""

    words: str
    href: str
    count: Count


def headings(columns: Sequence[Column[Row]], state: ListState) -> list[Heading]:
    """The columns, each with the address that sorts by it: the largest first, then the other way."""
    shown = []
    for column in columns:
        key = column.sort
        sort = key if state.sort == f"-{key}" else f"-{key}"
        href = replace(state, sort=sort, before="", after="").address() if key else ""
        shown.append(Heading(key, column.label, column.is_number, href, f"-{key}", column.width))
    return shown


def rows_html(rows: Iterable[Row], columns: Sequence[Column[Row]], page: Page) -> list[SafeString]:
    """The cells of each row, ready to stand in its <tr>."""
    return [mark_safe("".join([column.cell(row, page) for column in columns])) for row in rows]  # noqa: S308 - by `text`


def frame(state: ListState, zone: ZoneInfo, now: datetime, fields: dict[str, Field]) -> dict[str, Any]:
    """What such a page shows whatever the answer is."""
    return {
        "state": state,
        "window": window_of(state, zone, now),
        "chips": state.chips(),
        "q": state.wanted.q,
        "hidden": [pair for pair in state.pairs() if pair[0] != "q"],
        "clear": state.without_filters(),
        "fields": [(key, field.label) for key, field in fields.items()],
        "ops": [(op, word) for op, word in OPS if any(op in ops_of(field) for field in fields.values())],
        "zone_name": str(zone),
        "csv": state.address(("format", "csv")),
        "ndjson": state.address(("format", "ndjson")),
    }


def place_words(first: int, shown: int, count: Count | None) -> str:
    """ "1–50 of 311": where in the list a page is."""
    of = "" if count is None else f" of {count_words(count)}"
    return f"{first:,}–{first + shown - 1:,}{of}"


def count_words(count: Count) -> str:
    """ "1,264" or "about 12,000": an estimate has the two digits it deserves."""
    return f"{count.n:,}" if count.is_exact else f"about {round(count.n, -max(len(str(count.n)) - 2, 0)):,}"


def ways_out(state: ListState, count_each: Callable[[list[ListState]], list[Count]]) -> list[WayOut]:
    """For a list of nothing: each filter that could go, with how many rows would be left, most first."""
    options: list[tuple[str, ListState]] = []
    # The chips of terms come first; behind them may be one about what is hidden, which leaves nothing to drop.
    for term, chip in zip(state.wanted.terms, state.chips(), strict=False):
        words = " ".join(word for word in (chip.field, chip.op, chip.word) if word)
        options.append((words, replace(state, wanted=state.wanted.without(term.key))))
    if state.wanted.q:
        options.append((f"the search for “{state.wanted.q}”", replace(state, wanted=replace(state.wanted, q=""))))
    every = replace(state, wanted=replace(state.wanted, start=None, end=None), time=(("t", "all"),))
    if state.time != every.time:
        options.append(("the time range", every))
    counts = count_each([option for _, option in options])
    found = [WayOut(words, option.address(), n) for (words, option), n in zip(options, counts, strict=True) if n.n]
    return sorted(found, key=lambda way: -way.count.n)


def text(value: str | None) -> str:
    """Some text of a sender as HTML."""
    return escape(fmt.visible(value or ""))


def when(at: datetime, page: Page) -> str:
    """A moment as a <time> in the page's zone."""
    full = fmt.full_moment(at, page.zone)
    return f'<time datetime="{fmt.iso(at)}" title="{full}">{fmt.moment(at, page.zone, page.now)}</time>'


def below(value: str) -> str:
    """The second line of a cell, cut to its width."""
    shown = text(value)
    return f'<span class="mut cut" title="{shown}">{shown}</span>' if value else ""


def count_cell(label: str, n: int | None, missing: str = "unknown") -> str:
    """A number's cell; `label` stands before it on a phone."""
    shown = f'<span class="mut">{missing}</span>' if n is None else fmt.count(n, short=True)
    return f'<td class="num" data-l="{label}">{shown}</td>'


def errors_cell(n: int) -> str:
    """How many failed; none is a word, since most rows have it."""
    shown = f'<span class="badge bad">{fmt.count(n, short=True)}</span>' if n else '<span class="mut">none</span>'
    return f'<td class="num" data-l="Errors">{shown}</td>'


def tokens_cell(tokens_in: int | None, tokens_out: int | None, missing: str) -> str:
    """Tokens in and, below, out."""
    if tokens_in is None:
        return f'<td class="num" data-l="Tokens"><span class="mut">{missing}</span></td>'
    shown, out = fmt.count(tokens_in, short=True), fmt.count(tokens_out, short=True)
    return f'<td class="num" data-l="Tokens">{shown}<br><span class="mut">+ {out}</span></td>'


def cost_cell(cost: CostSum) -> str:
    """A cost with what it may claim."""
    before, word = COSTS[cost.state]
    if cost.usd is None:
        return f'<td class="num" data-l="Cost"><span class="mut">{word}</span></td>'
    mark = f'<br><span class="mut">{before.strip()}</span>' if before else ""
    return f'<td class="num" data-l="Cost">{fmt.cost(cost.usd)}{mark}</td>'
