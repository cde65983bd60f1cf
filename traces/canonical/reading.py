"""The attributes of one span, sorted: what typed columns read, what the body keeps, what stays an attribute."""

from __future__ import annotations

from typing import Any

from traces.canonical.fallbacks import gather_tags
from traces.canonical.keys import LEARNED, Slot, behind_prefix, rule_of
from traces.canonical.limits import Limits
from traces.canonical.notes import Notes
from traces.canonical.source import Source
from traces.canonical.text import MAX_SMALL_CHARS, clean_text, clean_value, cut_text, decode_map, decode_small
from traces.canonical.types import Origin, Vocabulary

_NO_VALUES: list[Any] = [None] * Slot.COUNT
_NO_RANKS: list[int] = [99] * Slot.COUNT
# Clients that write their values as JSON text, quotes included.
_QUOTING = frozenset({Vocabulary.MLFLOW, Vocabulary.LANGFUSE})
PLAIN_CHARS = 256  # 1,024 bytes at most: shorter text needs no measuring
_MAX_METADATA_DEPTH = 16


class Reading:
    """One pass over a span's attributes. `values` holds, by slot, what the most believed key said; None is unknown."""

    __slots__ = (
        "has_input", "has_output", "is_quoting", "kinds", "metadata", "notes", "origin", "ranks", "raw", "rest",
        "source", "tags", "text_limit", "values", "vocabulary",
    )  # fmt: skip

    def __init__(self, attributes: dict[str, Any], source: Source, notes: Notes, limits: Limits) -> None:
        self.source = source
        self.notes = notes
        self.origin: Origin = source.origin(attributes)
        self.vocabulary = vocabulary = self.origin.vocabulary
        self.is_quoting = vocabulary in _QUOTING
        self.text_limit = limits.indexed_text_bytes
        self.values = values = _NO_VALUES.copy()
        self.ranks = ranks = _NO_RANKS.copy()
        self.raw: dict[str, Any] = {}
        self.rest: dict[str, Any] = {}
        self.kinds: list[tuple[int, str, Any]] | None = None
        self.metadata: dict[str, Any] | None = None
        self.tags: list[str] | None = None
        self.has_input = self.has_output = False
        raw, rest = self.raw, self.rest
        learned = LEARNED.get
        for key, value in attributes.items():
            slot, rank = learned(key) or rule_of(key)
            if slot == 0:
                rest[key] = value
                continue
            raw[key] = value
            if slot > 8:
                if rank < ranks[slot] and value is not None and value != "" and value != "null":
                    ranks[slot] = rank
                    values[slot] = value
            elif slot == 2:
                self.has_input = self.has_input or bool(value)
            elif slot == 3:
                self.has_output = self.has_output or bool(value)
            elif slot == 8:
                if self.kinds is None:
                    self.kinds = [(rank, key, value)]
                else:
                    self.kinds.append((rank, key, value))
            elif slot != 1:
                self._take(slot, key, value, limits)

    def _take(self, slot: int, key: str, value: Any, limits: Limits) -> None:
        if slot == Slot.METADATA:
            if value is not None and value != "":
                self._add_metadata(behind_prefix(key, slot), decode_small(value) if self.is_quoting else value)
        elif slot == Slot.METADATA_MAP:
            found = decode_map(value)
            if found is None:
                if value and not (isinstance(value, str) and len(value) > MAX_SMALL_CHARS):
                    self._add_metadata(key, value)
            else:
                for name, item in found.items():
                    self._add_metadata(name, item)
        else:
            self.tags = gather_tags(self.tags, key, value, slot, self.vocabulary, limits.tags)

    def _add_metadata(self, name: str, value: Any) -> None:
        if self.metadata is None:
            self.metadata = {}
        self.metadata[clean_text(str(name))] = clean_value(value, _MAX_METADATA_DEPTH)

    def text(self, slot: int) -> str | None:
        """The text of a slot, cut to what may be indexed; numbers and booleans as text, a list by its first text."""
        value = self.values[slot]
        if value is None:
            return None
        if type(value) is str and len(value) <= PLAIN_CHARS and not (self.is_quoting and value[0] == '"'):
            return value
        return self.fit(value)

    def fit(self, value: Any) -> str | None:
        """Any value as indexable text, None where it has none."""
        if self.is_quoting:
            value = decode_small(value)
        if isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        if not isinstance(value, str) or not value:
            return None
        shorter = cut_text(value, self.text_limit)
        if shorter != value:
            self.notes.note_cut(shorter[:40], len(value.encode()))
        return shorter

    def entry(self, *names: str) -> str | None:
        """The first of these names that the metadata gives a text or number, as indexable text."""
        if self.metadata is not None:
            for name in names:
                value = self.metadata.get(name)
                if value is not None and not isinstance(value, dict | list | bool):
                    return self.fit(value)
        return None
