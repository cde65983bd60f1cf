"""Signals of end users as pages write them: a card on the trace and the session, notes on turns, lines of a list.

What an application told is text of strangers: escaped, made visible, never an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from telltale.lib import format as fmt
from telltale.projects.models import Project
from traces.extras import Note
from traces.pages.addresses import write_id
from traces.read.signal_list import SOURCE_WORDS, TARGET_WORDS
from traces.read.signals import Signal
from traces.signals.kinds import Kind, Source, Target
from traces.wire.ids import hex_span_id

# Words of a signal on a turn of a session; the trace has all of them.
NOTE_CHARS_MAX = 120
SHOWN_MAX = 50
NOTES_MAX = 6
# What was told so much later than it happened is marked: figures that people saw meanwhile lacked it.
LATE = timedelta(hours=1)
# kind -> (class of the badge, icon, words)
_LOOKS: dict[Kind, tuple[str, str, str]] = {
    Kind.CORRECTION: ("bad", "pen", "Corrected"),
    Kind.FOLLOW_UP: ("", "session", "Asked further"),
    Kind.RETRY: ("watch", "session", "Asked again"),
    Kind.COPIED: ("ok", "check", "Copied"),
    Kind.EDITED: ("watch", "pen", "Edited"),
    Kind.ABANDONED: ("bad", "leave", "Left"),
    Kind.ESCALATED: ("bad", "people", "Wanted a person"),
    Kind.COMPLETED: ("ok", "check", "Task completed"),
    Kind.CONVERSION: ("ok", "check", "Conversion"),
    Kind.TEXT: ("", "session", "Said"),
}
_THUMBS = {1: ("ok", "thumb", "Thumb up"), -1: ("bad", "thumbdown", "Thumb down")}


@dataclass(frozen=True, slots=True)
class SignalView:
    """One signal as a card shows it. `remarks` are what a reader should know of it, in order."""

    anchor: str
    css: str
    icon: str
    title: str
    name: str
    text: str
    happened_at: datetime
    who: str
    who_href: str
    source: str
    span_hex: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignalsView:
    """Signals of one target: what users did, and apart from it numbers of somebody's own evaluator."""

    signals: tuple[SignalView, ...]
    outside: tuple[SignalView, ...]
    total: int
    all_href: str

    @property
    def shown(self) -> int:
        """How many of all of them are written."""
        return len(self.signals) + len(self.outside)


def look(row: Signal) -> tuple[str, str, str]:
    """(class, icon, words) of a signal."""
    if row.kind is Kind.THUMB:
        # A word that is neither up nor down is shown as it was told.
        unread = f"Thumb “{row.label}”" if row.label is not None else "Thumb taken back"
        return _THUMBS.get(row.vote or 0, ("", "thumb", unread))
    if row.kind is Kind.RATING:
        return "", "thumb", f"Rating {value_words(row) or 'without a value'}"
    if row.kind in _LOOKS:
        css, icon, words = _LOOKS[row.kind]
        value = value_words(row) if row.kind is Kind.CONVERSION else ""
        taken_back = row.truth is False or (row.kind is not Kind.CONVERSION and row.number == 0)
        return ("", icon, f"{words}: taken back") if taken_back else (css, icon, f"{words} {value}".strip())
    value = value_words(row)
    return "", "judge" if row.kind is Kind.OUTSIDE else "thumb", f"{row.name} {value}".strip()


def value_words(row: Signal) -> str:
    """What a signal says beside its name: number, label or truth; free text stands by itself."""
    if row.number is not None:
        return f"{row.number:,.6g}" if abs(row.number) < 1e6 else f"{row.number:,.2f}"
    if row.label is not None:
        return row.label
    return "" if row.truth is None else ("yes" if row.truth else "no")


def remarks(row: Signal) -> tuple[str, ...]:
    """What a reader should know of how a signal came."""
    found = []
    if row.revision > 1:
        found.append(f"changed {row.revision - 1:,} time{'' if row.revision == 2 else 's'}")
    if row.is_dated and row.received_at - row.happened_at > LATE:
        found.append(f"told {_length(row.received_at - row.happened_at)} later")
    if not row.is_dated:
        found.append("its sender told no time: when it came")
    if row.bound_at is None:
        found.append(f"its {TARGET_WORDS[row.target]} is not here yet")
    elif row.bound_at - row.received_at > timedelta(minutes=1):
        found.append(f"came {_length(row.bound_at - row.received_at)} before its {TARGET_WORDS[row.target]}")
    return tuple(found)


def _length(delta: timedelta) -> str:
    return fmt.latency(delta.total_seconds() * 1000, short=True) if delta < timedelta(days=2) else f"{delta.days} days"


def view_signal(row: Signal, project: Project) -> SignalView:
    """One signal as a card shows it."""
    css, icon, title = look(row)
    parts = [part for part in (row.text, row.comment) if part]
    return SignalView(
        anchor=f"signal-{row.id}",
        css=css,
        icon=icon,
        title=title,
        name=row.name,
        text="\n".join(parts),
        happened_at=row.happened_at,
        who=row.author or "",
        who_href=f"/p/{project.slug}/users/{write_id(row.author)}/" if row.author else "",
        source="" if row.source in {Source.END_USER, Source.API} else SOURCE_WORDS[row.source],
        span_hex=hex_span_id(row.span_id) if row.span_id is not None else "",
        remarks=remarks(row),
    )


def view_signals(project: Project, rows: Sequence[Signal], all_href: str) -> SignalsView | None:
    """The card of some signals; None for none."""
    if not rows:
        return None
    shown = [view_signal(row, project) for row in rows[:SHOWN_MAX]]
    users = tuple(view for view, row in zip(shown, rows, strict=False) if row.kind is not Kind.OUTSIDE)
    others = tuple(view for view, row in zip(shown, rows, strict=False) if row.kind is Kind.OUTSIDE)
    return SignalsView(users, others, len(rows), all_href)


def note_of(row: Signal) -> Note:
    """A signal as a note on a turn: (class, icon, words)."""
    css, icon, words = look(row)
    said = row.comment or row.text
    if said:
        said = said if len(said) <= NOTE_CHARS_MAX else f"{said[:NOTE_CHARS_MAX]}…"
        words = f"{words}: “{said}”"
    return css, icon, words


def notes_by_trace(rows: Iterable[Signal]) -> Mapping[UUID, tuple[Note, ...]]:
    """Notes on the turns that signals are about; numbers of somebody's evaluator are on the trace alone."""
    found: dict[UUID, list[Note]] = {}
    for row in rows:
        if row.trace_id is not None and row.kind is not Kind.OUTSIDE and row.target is not Target.SESSION:
            found.setdefault(row.trace_id, []).append(note_of(row))
    for trace_id, notes in found.items():
        if len(notes) > NOTES_MAX:
            found[trace_id] = [*notes[:NOTES_MAX], ("", "thumb", f"and {len(notes) - NOTES_MAX:,} more signals")]
    return {trace_id: tuple(notes) for trace_id, notes in found.items()}


def brief_words(rows: Iterable[Signal]) -> str:
    """The signals of one trace in a line, for files and cells: "Thumb down; Corrected"."""
    return "; ".join(dict.fromkeys(look(row)[2] for row in rows if row.kind is not Kind.OUTSIDE))
