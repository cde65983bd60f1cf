"""What rooms above add to the pages of traces. This room knows the shapes of it and none of the names.

A room registers once, when its app is ready: fields to filter lists by, columns, and parts of the pages of a trace, a
span and a session. Each reads by itself, in a number of queries that does not grow with what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.safestring import SafeString

from telltale.projects.models import Project
from traces.read.fields import FIELDS, Field
from traces.read.rows import TraceRow

# (class, icon, words), as a turn of a session shows what is known of it.
Note = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a page: its template, and what it is filled with as `extra`."""

    template: str
    extra: Any


@dataclass(frozen=True, slots=True)
class SessionPart:
    """What is added to a page of a session: a part of its own, and notes on its turns by trace."""

    part: Part | None = None
    notes: Mapping[UUID, tuple[Note, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExtraColumn:
    """A column of the list. `read` gives the inside of the cells of some traces, in one query.

    `values` gives the same for files: text, numbers, truth or None; without it no file has the column.
    """

    key: str
    label: str
    read: Callable[[Project, Sequence[UUID]], Mapping[UUID, SafeString]]
    width: str = "w-text"
    is_number: bool = False
    values: Callable[[Project, Sequence[UUID]], Mapping[UUID, Any]] | None = None


@dataclass(frozen=True, slots=True)
class ColumnFamily:
    """Columns `<key>.<name>`, whatever the name: `names` are those to choose from."""

    key: str
    names: Callable[[Project], Sequence[str]]
    column: Callable[[str], ExtraColumn | None]


@dataclass(frozen=True, slots=True)
class ListAction:
    """What can be done with the traces of a list: the address takes the list's own parameters, or `pick` of each."""

    href: str
    label: str
    picked_label: str


ListActionMaker = Callable[[HttpRequest, Project], ListAction | None]
TracePartMaker = Callable[[HttpRequest, Project, TraceRow], Part | None]
SpanPartMaker = Callable[[Project, UUID, int], Part | None]
SessionPartMaker = Callable[[Project, str, Sequence[UUID]], SessionPart]

trace_parts: list[TracePartMaker] = []
list_actions: list[ListActionMaker] = []
span_parts: list[SpanPartMaker] = []
session_parts: list[SessionPartMaker] = []
_columns: dict[str, ExtraColumn] = {}
_families: dict[str, ColumnFamily] = {}


def add_field(known: Field) -> None:
    """Let lists of traces be filtered by a field whose `extra` says how."""
    if known.extra is None:
        raise ValueError("such a field says itself how it is asked about")
    FIELDS[known.key] = known


def add_column(column: ExtraColumn) -> None:
    """Let the list of traces show one more column."""
    _columns[column.key] = column


def add_columns(family: ColumnFamily) -> None:
    """Let the list of traces show columns of names that a project has of its own."""
    _families[family.key] = family


def find_column(key: str) -> ExtraColumn | None:
    """The column of this key; None where no room brought one."""
    if key in _columns:
        return _columns[key]
    head, dot, name = key.partition(".")
    return _families[head].column(name) if dot and name and head in _families else None


def columns_of(project: Project) -> list[ExtraColumn]:
    """The columns that a project's list may show besides its own."""
    found = list(_columns.values())
    for family in _families.values():
        found += [column for name in family.names(project) if (column := family.column(name)) is not None]
    return found


def actions_of_list(request: HttpRequest, project: Project) -> list[ListAction]:
    """What the reader may do with the traces of a list."""
    return [action for make in list_actions if (action := make(request, project)) is not None]


def parts_of_trace(request: HttpRequest, project: Project, row: TraceRow) -> list[Part]:
    """The parts that stand on the page of a trace."""
    return [part for make in trace_parts if (part := make(request, project, row)) is not None]


def parts_of_span(project: Project, trace_id: UUID, span_id: int) -> list[Part]:
    """The parts that stand in the panel of a span."""
    return [part for make in span_parts if (part := make(project, trace_id, span_id)) is not None]


def parts_of_session(
    project: Project, session_id: str, trace_ids: Sequence[UUID]
) -> tuple[list[Part], dict[UUID, tuple[Note, ...]]]:
    """The parts that stand on the page of a session, and what to note on its turns."""
    parts: list[Part] = []
    notes: dict[UUID, tuple[Note, ...]] = {}
    for make in session_parts:
        made = make(project, session_id, trace_ids)
        parts += [made.part] if made.part is not None else []
        for trace_id, more in made.notes.items():
            notes[trace_id] = (*notes.get(trace_id, ()), *more)
    return parts, notes
