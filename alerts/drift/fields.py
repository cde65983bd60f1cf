"""What is compared of inputs and outputs besides vectors: categories and numbers, with the words pages use."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["input", "output"]
SIDES: tuple[Side, ...] = ("input", "output")
SIDE_NO: dict[Side, int] = {"input": 1, "output": 2}

NONE = "none"  # a trace that called no tool
# Where bands of lengths begin; what is below the first is one of its own.
EDGES = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


@dataclass(frozen=True, slots=True)
class Field:
    """One thing compared. `side`: which table it stands in; `is_number`: compared as numbers too, in `unit`."""

    key: str
    title: str
    side: Side
    column: str
    is_number: bool = False
    unit: str = ""


FIELDS: tuple[Field, ...] = (
    Field("input_topic", "Topic of the input", "input", ""),
    Field("input_language", "Language of the input", "input", "input_language"),
    Field("input_length", "Length of the input", "input", "input_chars", True, "characters"),
    Field("input_tokens", "Input tokens", "input", "input_tokens", True, "tokens"),
    Field("prompt_version", "Prompt version", "input", "prompt_version"),
    Field("output_topic", "Topic of the output", "output", ""),
    Field("output_language", "Language of the output", "output", "output_language"),
    Field("output_length", "Length of the output", "output", "output_chars", True, "characters"),
    Field("output_tokens", "Output tokens", "output", "output_tokens", True, "tokens"),
    Field("tools", "Tools called", "output", "tools"),
    Field("finish_reason", "Finish reason", "output", "finish_reason"),
    Field("model", "Model", "output", "model"),
    Field("provider", "Provider", "output", "provider"),
)
BY_KEY = {field.key: field for field in FIELDS}
# Before a metadata key that the project compares.
OWN = "field:"


def band_of(number: float) -> str:
    """The band of a length in words: "64 to 127"."""
    at = bisect_right(EDGES, number)
    if at == 0:
        return f"under {EDGES[0]}"
    if at == len(EDGES):
        return f"{EDGES[-1]:,} and more"
    return f"{EDGES[at - 1]:,} to {EDGES[at] - 1:,}"


BANDS = tuple(band_of(edge) for edge in (0, *EDGES))


def combined(tools: Sequence[str]) -> str:
    """The tools that one trace called as one category: "search + refund"; "none" where it called none."""
    return " + ".join(tools)[:200] or NONE
