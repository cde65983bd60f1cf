"""Rubrics to begin with: the criteria that the literature on monitoring LLM applications names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A rubric to begin with, as `parse_rubric` reads it. `source` says who names its criteria."""

    slug: str
    name: str
    about: str
    source: str
    spec: dict[str, Any]


PRESETS: tuple[Preset, ...] = ()
