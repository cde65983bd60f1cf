"""The columns of a list of sessions, and what a file of it holds."""

from __future__ import annotations

from html import escape
from typing import Any

from telltale.lib import format as fmt
from traces.behaviour.types import Fact, Stratum
from traces.canonical.types import BUCKETS
from traces.pages.addresses import write_id
from traces.pages.lists import Column, Page, below, cost_cell, count_cell, errors_cell, text, tokens_cell, when
from traces.read.session_did import Did
from traces.read.session_rows import SessionRow
from traces.read.signal_terms import STRATUM_WORDS


def said(row: SessionRow) -> tuple[str, str]:
    """The first question and the last answer, or what stands in for them."""
    title = row.preview_in or row.session_id
    return title, row.preview_out or ("No answer captured" if row.preview_in else "No text captured")


def _started(row: SessionRow, page: Page) -> str:
    features = row.features[0] if len(row.features) == 1 else f"{len(row.features)} features" if row.features else ""
    return f'<td class="nowrap">{when(row.first_started_at, page)}{below(features)}</td>'


def _said(row: SessionRow, page: Page) -> str:
    title, sub = said(row)
    href = f"{page.base}{escape(write_id(row.session_id))}/{page.suffix}"
    return (
        f'<td class="clip"><a class="rowlink clip2" dir="auto" data-item href="{href}">{text(title)}</a>'
        f'<span class="clip2 mut" dir="auto">{text(sub)}</span></td>'
    )


def _user(row: SessionRow, page: Page) -> str:
    if row.user_id is None:
        return '<td class="nowrap" data-l="User"><span class="mut">unknown</span></td>'
    shown = text(row.user_id)
    href = f"{page.base.removesuffix('sessions/')}users/{escape(write_id(row.user_id))}/"
    others = f"and {row.user_count - 1:,} more" if row.user_count > 1 else ""
    linked = f'<a class="cut" href="{href}" title="{shown}">{shown}</a>'
    return f'<td class="nowrap" data-l="User">{linked}{below(others)}</td>'


def _last(row: SessionRow, page: Page) -> str:
    return f'<td class="nowrap" data-l="Last active">{when(row.last_started_at, page)}</td>'


def _length(row: SessionRow, page: Page) -> str:
    if row.length_ms is None:
        return '<td class="num" data-l="Length"><span class="mut">not ended</span></td>'
    return f'<td class="num nowrap" data-l="Length">{fmt.latency(row.length_ms, short=True)}</td>'


_CSS = {
    Stratum.ABANDONED: "bad", Stratum.RETRIED: "watch", Stratum.CORRECTED: "bad", Stratum.ESCALATED: "bad",
    Stratum.COMPLETED: "ok",
}  # fmt: skip
# A column has less room than a sentence.
_SHORT = {Stratum.ABANDONED: "left"}
_VOTES = {1: ("ok", "up"), -1: ("bad", "down")}


def _did(row: SessionRow, page: Page) -> str:
    did = page.did.get(row.key)
    if did is None:
        return '<td class="nowrap" data-l="What they did, vote"><span class="mut">not known yet</span></td>'
    word, css = _SHORT.get(did.stratum, STRATUM_WORDS[did.stratum]), _CSS.get(did.stratum, "")
    shown = f'<span class="badge {css}">{word}</span>' if css else f'<span class="mut">{word}</span>'
    css, word = _VOTES.get(did.vote, ("", ""))
    vote = f'<span class="badge {css}">vote {word}</span>' if word else '<span class="mut">no vote</span>'
    return f'<td class="nowrap" data-l="What they did, vote">{shown}<br>{vote}</td>'


COLUMNS: tuple[Column[SessionRow], ...] = (
    Column("started", "Started", "started_at", "w-time", _started),
    Column("said", "First question, last answer", "", "w-said", _said),
    Column("user", "User", "", "w-text", _user),
    Column("last", "Last active", "last_at", "w-time", _last),
    Column("did", "What they did, vote", "", "w-text", _did),
    Column("turns", "Turns", "turns", "w-num", lambda row, page: count_cell("Turns", row.turns), is_number=True),
    Column("errors", "Errors", "errors", "w-num", lambda row, page: errors_cell(row.error_turns), is_number=True),
    Column(
        "tokens", "Tokens", "tokens", "w-num",
        lambda row, page: tokens_cell(row.tokens_in, row.tokens_out, "unknown" if row.generation_count else "none"),
        is_number=True,
    ),
    Column("cost", "Cost", "cost", "w-wide", lambda row, page: cost_cell(row.cost), is_number=True),
    Column("length", "Length", "length", "w-wide", _length, is_number=True),
)  # fmt: skip


NAMES = (
    "session_id", "started_at", "last_at", "ended_at", "length_ms", "turns", "turns_with_errors", "turns_failed",
    "spans", "generations", "slowest_ms", "cost_usd", "cost_state", "cost_reported_usd", "unpriced_spans", *BUCKETS,
    "user_id", "users", "features", "models", "service", "environment", "release", "first_question", "last_answer",
    "behaviour", "seen", "is_over", "vote", "rating",
)  # fmt: skip


def record(row: SessionRow, did: Did | None) -> dict[str, Any]:
    """A session as an export has it: flat, unknown as None, money exact."""
    tokens: dict[str, int | None] = dict.fromkeys(BUCKETS)
    if row.usage_count:
        tokens = dict(zip(BUCKETS, row.tokens, strict=True))
    return {
        "session_id": row.session_id,
        "started_at": row.first_started_at,
        "last_at": row.last_started_at,
        "ended_at": row.ended_at,
        "length_ms": row.length_ms,
        "turns": row.turns,
        "turns_with_errors": row.error_turns,
        "turns_failed": row.failed_turns,
        "spans": row.span_count,
        "generations": row.generation_count,
        "slowest_ms": row.worst_ms,
        "cost_usd": row.cost.usd,
        "cost_state": row.cost.state.value,
        "cost_reported_usd": row.cost.reported_usd,
        "unpriced_spans": row.cost.unpriced,
        **tokens,
        "user_id": row.user_id,
        "users": row.user_count,
        "features": row.features,
        "models": row.models,
        "service": row.service,
        "environment": row.environment,
        "release": row.release,
        "first_question": row.preview_in,
        "last_answer": row.preview_out,
        **did_record(did),
    }


def did_record(did: Did | None) -> dict[str, Any]:
    """What its user did, as files and REST have it; all None where no rule has looked at it yet."""
    if did is None:
        return dict.fromkeys(("behaviour", "seen", "is_over", "vote", "rating"))
    return {
        "behaviour": did.stratum.name.lower(),
        "seen": [str(fact.name).lower() for fact in Fact if fact & did.facts],
        "is_over": did.is_closed,
        "vote": {1: "up", -1: "down"}.get(did.vote, "none"),
        "rating": did.rating,
    }
