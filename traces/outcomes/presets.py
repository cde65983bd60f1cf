"""Measures to begin with, each one click to add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A measure under a name; `told` is what `parse_outcome` reads."""

    slug: str
    name: str
    about: str
    told: dict[str, Any]


PRESETS = (
    Preset(
        "conversion",
        "Conversion",
        "Sessions with a conversion, of all sessions.",
        {"measure": "share", "of": [{"kind": "conversion"}], "better": "higher"},
    ),
    Preset(
        "resolution",
        "Resolution",
        "Sessions that came to their end by the project’s definition, told or seen, of all sessions.",
        {"measure": "share", "of": [{"fact": "completed"}], "better": "higher"},
    ),
    Preset(
        "escalation",
        "Escalation",
        "Sessions handed to a person, told or hinted at in words, of all sessions.",
        {"measure": "share", "of": [{"fact": "escalated"}], "better": "lower"},
    ),
    Preset(
        "task-completion",
        "Task completion",
        "Sessions for which your product said that the task is done, of all sessions.",
        {"measure": "share", "of": [{"kind": "completed"}], "better": "higher"},
    ),
    Preset(
        "order-value",
        "Order value",
        "The numbers that conversions carry, summed by session, a session with a conversion.",
        {"measure": "value", "of": [{"kind": "conversion"}], "per": "with", "better": "higher"},
    ),
    Preset(
        "cost-per-resolved-query",
        "Cost per resolved query",
        "What all sessions cost, by those that were completed: what failed is paid for too.",
        {"measure": "cost", "of": [{"fact": "completed"}], "better": "lower"},
    ),
    Preset(
        "time-to-value",
        "Time to value",
        "From the first turn to the first completed task or conversion, among sessions with one.",
        {"measure": "time", "of": [{"kind": "completed"}, {"kind": "conversion"}], "better": "lower"},
    ),
)


def find_preset(slug: str) -> Preset | None:
    """The preset of that name; None where there is none."""
    return next((preset for preset in PRESETS if preset.slug == slug), None)
