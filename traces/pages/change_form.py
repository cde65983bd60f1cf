"""The form of a change: its inputs with what was typed, and the change that they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import QueryDict

from telltale.lib.faults import Fault
from traces.canonical.text import clean_text
from traces.changing import items as rules
from traces.changing.kinds import KIND_WORDS

# What is typed is shown again to be mended, up to here.
TYPED_MAX = 2 * rules.NOTE_CHARS_MAX
TIME_HINT = "as 2026-11-19 11:00"
_TEXTS = ("name", "version", "previous", "service", "feature", "environment", "author", "note", "url")
_TIMES = ("at", "ended_at")
_WORDS = {
    "kind": "What changed", "name": "Name", "version": "Version", "previous": "Version before", "service": "Service",
    "feature": "Feature", "environment": "Environment", "author": "Who", "note": "Note", "url": "Address",
    "at": "When", "ended_at": "Until",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Input:
    """One input: its name, its word, what stands in it, and what is wrong with it."""

    name: str
    word: str
    value: str
    error: str


@dataclass(frozen=True, slots=True)
class ChangeForm:
    """The form as a page shows it."""

    kinds: tuple[tuple[str, str, bool], ...]
    inputs: Mapping[str, Input]
    errors: tuple[tuple[str, str], ...]
    is_derived: bool
    name_max: int = rules.NAME_CHARS_MAX
    note_max: int = rules.NOTE_CHARS_MAX
    url_max: int = rules.URL_CHARS_MAX

    @property
    def versions(self) -> tuple[Input, ...]:
        """What it is now, and what it was before."""
        return self.inputs["version"], self.inputs["previous"]

    @property
    def times(self) -> tuple[Input, ...]:
        """When it began and ended."""
        return tuple(self.inputs[name] for name in _TIMES)

    @property
    def scopes(self) -> tuple[Input, ...]:
        """What it touches."""
        return self.inputs["service"], self.inputs["feature"], self.inputs["environment"]


def read_form(posted: QueryDict, zone: ZoneInfo) -> tuple[dict[str, Any], list[Fault]]:
    """What a form says, as an object of a request, and what of it cannot be read at all."""
    told: dict[str, Any] = {"kind": posted.get("kind", "")}
    faults = []
    for name in _TEXTS:
        told[name] = posted.get(name, "")
    for name in _TIMES:
        raw = posted.get(name, "").strip()
        told[name] = None
        if raw:
            try:
                at = datetime.fromisoformat(raw)
                told[name] = (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC).isoformat()
            except (ValueError, OverflowError):
                faults.append(Fault(name, "is no time", f"{TIME_HINT}, {zone}", raw))
    return told, faults


def form_of(
    told: Mapping[str, Any], zone: ZoneInfo, faults: Sequence[Fault] = (), *, derived: bool = False
) -> ChangeForm:
    """The form with what was told in it; times of a stored change are shown in `zone`."""
    wrong = {"version" if fault.field == "release" else fault.field: _say(fault) for fault in faults}
    inputs = {
        name: Input(name, _WORDS[name], _shown(name, told.get(name), zone), wrong.get(name, ""))
        for name in (*_TEXTS, *_TIMES)
    }
    kind = told.get("kind") or "deploy"
    return ChangeForm(
        tuple((value.value, word, value == kind) for value, word in KIND_WORDS.items()),
        inputs,
        tuple((field if field in _WORDS else "name", f"{_WORDS.get(field, 'The change')}: {said}")
              for field, said in wrong.items()),
        derived,
    )  # fmt: skip


def _shown(name: str, value: Any, zone: ZoneInfo) -> str:
    text = clean_text(str(value or ""))[:TYPED_MAX]
    if name in _TIMES and text:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return text
        if at.tzinfo is not None:
            return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    return text


def _say(fault: Fault) -> str:
    return f"{fault.message}{f' (accepted: {fault.limit})' if fault.limit else ''}."
