"""A span without what was said: names, times, tokens, cost and ids stay, text goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from traces.canonical.keys import TYPED_KEYS, Slot
from traces.forward.outgoing import Outgoing

# Text is kept of these alone, so that an attribute nobody knows cannot carry a prompt out. Numbers and booleans of any
# name stay.
_MAPS = frozenset(
    {
        Slot.METADATA_MAP,
        Slot.TAGS,
        Slot.INVOCATION,
        Slot.ERROR_MESSAGE,
        Slot.ERROR_STACK,
        Slot.SCRUBBED,
    }
)
_KEPT = frozenset(key for slot, keys in TYPED_KEYS.items() if slot not in _MAPS for key in keys) | frozenset(
    {"exception.type", "http.request.method", "http.method", "rpc.system", "db.system", "gen_ai.output.type"}
)
_FAMILIES = ("server.", "network.", "telemetry.")
_TEXT_MAX = 256


def without_content(span: Outgoing) -> Outgoing:
    """The span with numbers, booleans and known short names alone; events keep name and time."""
    return replace(
        span,
        attributes=_kept(span.attributes),
        events=[{**event, "attributes": _kept(event.get("attributes") or {})} for event in span.events],
        links=[{**link, "attributes": _kept(link.get("attributes") or {})} for link in span.links],
        status_message="",
    )


def _kept(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if _is_kept(key, value)}


def _is_kept(key: str, value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return True
    is_known = key in _KEPT or key.startswith(_FAMILIES)
    if isinstance(value, str):
        return is_known and len(value) <= _TEXT_MAX
    if isinstance(value, list):
        return is_known and all(isinstance(item, str) and len(item) <= _TEXT_MAX for item in value)
    # Counts come as maps too: usage details, cost details.
    return isinstance(value, dict) and is_known and all(isinstance(item, int | float) for item in value.values())
