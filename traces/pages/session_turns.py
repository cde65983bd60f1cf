"""The turns of a session as its page writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from traces.canonical.content import Message
from traces.canonical.types import SpanFlag
from traces.extras import Note
from traces.pages.content import Text, Turn, view_messages
from traces.pages.lists import text
from traces.pages.words import COSTS
from traces.read import TraceRow
from traces.read.turns import TurnPage, Words

_LONG = ' long" tabindex="0'


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn as the page writes it. `notes` are (class, icon, words): what else is known of it, errors first."""

    number: int
    anchor: str
    href: str
    started_at: datetime
    at: str
    said: tuple[SafeString, ...]
    has_answer: bool
    name: str
    why_silent: str
    is_cut: bool
    duration_ms: float | None
    cost_before: str
    cost_usd: Decimal | None
    cost_word: str
    model: str
    user: str
    notes: tuple[tuple[str, str, str], ...]


def view_turns(
    page: TurnPage,
    words: dict[UUID, Words],
    zone: ZoneInfo,
    trace_base: str,
    has_users: bool,
    notes: Mapping[UUID, tuple[Note, ...]],
) -> list[TurnView]:
    """The turns of a page, with `notes` of rooms above by trace.

    All texts of it share one limit, so that a page never grows beyond use.
    """
    said: list[Message] = []
    for turn in page.turns:
        held = words[turn.trace.trace_id]
        said += [*([held.asked] if held.asked else []), *held.answered]
    turns = iter(view_messages(said))
    days = len({turn.trace.started_at.astimezone(zone).date() for turn in page.turns})
    views = []
    for number, turn in enumerate(page.turns, page.first):
        held = words[turn.trace.trace_id]
        asked = next(turns) if held.asked else None
        answered = tuple(next(turns) for _ in held.answered)
        at = _moment(turn.trace.started_at.astimezone(zone), days > 1)
        views.append(_view(number, turn.trace, asked, answered, held.is_cut, at, trace_base, has_users, notes))
    return views


def _view(
    number: int,
    row: TraceRow,
    asked: Turn | None,
    answered: tuple[Turn, ...],
    is_cut: bool,
    at: str,
    trace_base: str,
    has_users: bool,
    notes: Mapping[UUID, tuple[Note, ...]],
) -> TurnView:
    before, word = COSTS[row.cost.state]
    is_captured = row.flags & (SpanFlag.HAS_INPUT | SpanFlag.HAS_OUTPUT)
    models = row.models
    return TurnView(
        number=number,
        anchor=anchor_of(row),
        href=f"{trace_base}{row.hex_id}/",
        started_at=row.started_at,
        at=at,
        said=tuple(map(message_html, (*([asked] if asked else []), *answered))),
        has_answer=bool(answered),
        name=row.name or "(no name)",
        why_silent="text too long to show here" if is_captured else "no text captured",
        is_cut=is_cut,
        duration_ms=row.duration_ms,
        cost_before=before,
        cost_usd=row.cost.usd,
        cost_word=word if row.cost.state.value != "none" else "no cost",
        model=", ".join(models[:2]) + (f" and {len(models) - 2} more" if len(models) > 2 else ""),
        user=row.user_id or "" if has_users else "",
        notes=(*_notes(row), *notes.get(row.trace_id, ())),
    )


def anchor_of(row: TraceRow) -> str:
    """Where on the page a turn is."""
    return f"t-{row.hex_id[:8]}"


def message_html(turn: Turn) -> SafeString:
    """One message as HTML, as `traces/_turn.html` writes it.

    Plain text, which nearly all of a conversation is, is put together here: fifty turns took the templates 12 ms.
    """
    if any(block.kind != "text" for block in turn.blocks) or turn.detail:
        return render_to_string("traces/_turn.html", {"turn": turn})
    texts = "".join(
        f'<p dir="auto" class="said{_LONG if block.body.is_long else ""}">{_said(block.body)}</p>'
        for block in turn.blocks
    )
    who = f'<div class="who">{text(turn.who)}</div>'
    return mark_safe(f'<div class="msg {turn.css}">{who}<div class="txt">{texts}</div></div>')  # noqa: S308 - by `text`


def _said(body: Text) -> str:
    if not body.total:
        return text(body.text)
    words = f"… the first {len(body.text):,} of {body.total:,} characters. The whole is in Raw JSON."
    return f'{text(body.text)}<span class="cutmark">{words}</span>'


def _notes(row: TraceRow) -> tuple[tuple[str, str, str], ...]:
    notes = []
    if row.is_failed:
        notes.append(("bad", "incident", f"Failed: {row.error_type}" if row.error_type else "Failed"))
    elif row.error_count:
        n = row.error_count
        kind = f": {row.error_type}" if row.error_type else ""
        notes.append(("watch", "incident", f"{n:,} span{'' if n == 1 else 's'} failed{kind}"))
    if row.finish_reason in {"length", "refusal", "content_filter"}:
        words = {"length": "Cut off by the limit", "refusal": "Refused", "content_filter": "Stopped by a filter"}
        notes.append(("watch", "info", words[row.finish_reason]))
    return tuple(notes)


def _moment(local: datetime, with_day: bool) -> str:
    """ "12:34:19", or "16 Nov 12:34:19" where the turns are of several days."""
    return f"{local.day} {local:%b %H:%M:%S}" if with_day else f"{local:%H:%M:%S}"
