"""What the users of a session did, as its page tells it: the group it is in and why, signals, notes on turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from telltale.projects.models import Project
from traces.behaviour.types import Behaviour, Fact, Stratum, Why
from traces.extras import Note
from traces.forms import query_string
from traces.pages.signal_view import SignalsView, notes_by_trace, view_signals
from traces.read.behaviour import behaviour_of_session
from traces.read.signal_terms import FACT_WORDS, STRATUM_WORDS
from traces.read.signals import signals_of_session
from traces.signals.kinds import Target

_ICONS: dict[Fact, tuple[str, str]] = {
    Fact.ABANDONED: ("bad", "leave"),
    Fact.RETRIED: ("watch", "session"),
    Fact.REPHRASED: ("watch", "session"),
    Fact.CORRECTED: ("bad", "pen"),
    Fact.FOLLOWED_UP: ("", "session"),
    Fact.ESCALATED: ("bad", "people"),
    Fact.COMPLETED: ("ok", "check"),
    Fact.CLOSING_WORDS: ("ok", "check"),
}
_CSS = {
    Stratum.ABANDONED: "bad", Stratum.RETRIED: "watch", Stratum.CORRECTED: "bad", Stratum.ESCALATED: "bad",
    Stratum.COMPLETED: "ok",
}  # fmt: skip
VOTE_WORDS = {1: "Up", -1: "Down", 0: "None"}


@dataclass(frozen=True, slots=True)
class WhyView:
    """One reason: what was seen, in which turn, and from what."""

    fact: str
    words: str
    is_told: bool
    href: str
    turn: str


@dataclass(frozen=True, slots=True)
class BehaviourView:
    """What its users did, as a card of the page."""

    word: str
    note: str
    css: str
    is_open: bool
    closes_at: datetime
    vote: str
    vote_note: str
    whys: tuple[WhyView, ...]
    definitions_href: str


@dataclass(frozen=True, slots=True)
class SessionSignals:
    """All of it: the card, the session's own signals, and what to note on which turn."""

    did: BehaviourView | None
    signals: SignalsView | None
    notes: dict[UUID, tuple[Note, ...]]


def session_signals(project: Project, session_id: str, turns: Mapping[UUID, tuple[int, str]]) -> SessionSignals:
    """What is known of a session's users. `turns`: of the traces on the page, their number and their anchor."""
    rows = signals_of_session(project.pk, session_id)
    behaviour = behaviour_of_session(project.pk, session_id)
    own = [row for row in rows if row.target is Target.SESSION]
    notes = dict(notes_by_trace(rows))
    if behaviour is not None:
        for why in behaviour.whys:
            # What a signal tells is on the turn as that signal already.
            if not why.is_told and why.trace_id is not None and why.fact in _ICONS:
                notes[why.trace_id] = (*notes.get(why.trace_id, ()), (*_ICONS[why.fact], _sentence(why.words)))
    all_href = f"/p/{project.slug}/signals/all/{query_string([('session', session_id), ('t', 'all')])}"
    return SessionSignals(
        did=None if behaviour is None else view_behaviour(project, behaviour, turns),
        signals=view_signals(project, own, all_href),
        notes=notes,
    )


def view_behaviour(project: Project, found: Behaviour, turns: Mapping[UUID, tuple[int, str]]) -> BehaviourView:
    """The card of one behaviour."""
    return BehaviourView(
        word=STRATUM_WORDS[found.stratum].capitalize(),
        note="in no rate until it is over" if not found.is_closed else "by stated rules, see below",
        css=_CSS.get(found.stratum, ""),
        is_open=not found.is_closed,
        closes_at=found.closes_at,
        vote=VOTE_WORDS[found.vote],
        vote_note=_vote_note(found),
        whys=tuple(_why(project, why, turns) for why in found.whys),
        definitions_href=f"/p/{project.slug}/signals/definitions/",
    )


def _vote_note(found: Behaviour) -> str:
    parts = [f"the last of {found.votes:,} people’s"] if found.votes > 1 else []
    parts += [f"rated {found.rating:g}"] if found.rating is not None else []
    return ", ".join(parts) or ("nobody voted" if not found.vote else "a thumb")


def _why(project: Project, why: Why, turns: Mapping[UUID, tuple[int, str]]) -> WhyView:
    number, anchor = turns.get(why.trace_id, (0, "")) if why.trace_id is not None else (0, "")
    href = f"#{anchor}" if anchor else f"/p/{project.slug}/traces/{why.trace_id.hex}/" if why.trace_id else ""
    turn = f"turn {number}" if number else "a turn of another page" if why.trace_id else ""
    return WhyView(FACT_WORDS.get(why.fact, "").capitalize(), why.words, why.is_told, href, turn)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
